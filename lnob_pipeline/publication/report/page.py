"""The overview of a release: what there is, how old it is, what cannot be said, and for the statistics office how.

Here: the numbers of the overview (once a release) and the page (once a language). Not here: the pages of the countries
(country.py), the whole framework (gap_matrix.py), sentences (sentences.py), form (overview.html.jinja, style.css).
The same tables give the same page: there is no clock and no order but that of the tables and the mappings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.disclosure import FEW_PARTICIPANTS
from lnob_pipeline.publication.report import sentences, words
from lnob_pipeline.publication.report.labels import Labels, in_order
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.publication.report.template import rendered
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES

LARGEST_PAGE = 260_000  # bytes: a page for a slow connection and an old phone
NOT_JUDGED = ("not_applicable", "not_loaded", "no_series")
"""Statuses of headlines that say nothing about the country."""

Row = dict[str, Any]
Tables = Mapping[str, pl.DataFrame]


def numbers(content: ReleaseContent, labels: Labels) -> Row:
    """What the overview shows, in no language."""
    tables, settings = content.tables, content.settings
    countries, gaps = countries_of(labels), content.scan("data_gaps")
    headlines = gaps.filter(pl.col("stratum") == "_T").collect()
    return {
        "countries": countries,
        "official": official_words(tables, content.facts),
        "sources": sources(tables["sources"]),
        "matrix": _matrix(headlines, tables, countries, labels),
        "breakdowns": _breakdowns(gaps, tables["citizen_estimates"], labels),
        "ages": _ages(headlines, countries, settings),
        "gaps": _gaps(gaps, headlines, countries, labels),
        "hidden": tables["citizen_estimates"].filter(pl.col("estimate").is_null()).height,
        "shown": tables["citizen_estimates"].filter(pl.col("estimate").is_not_null()).height,
        "tables": [(table.name, content.rows(table.name), table.description) for table in RELEASE_TABLES],
    }


def render(numbers: Row, content: ReleaseContent, labels: Labels, speech: Speech) -> str:
    """The overview in a language. numbers: of `numbers`."""
    return rendered(
        "overview.html.jinja",
        speech,
        "index.html",
        content.facts,
        settings=content.settings,
        labels=labels,
        words=words,
        sentences=sentences,
        **numbers,
    )


def countries_of(labels: Labels) -> list[str]:
    """The countries by their English name: the same order in every language, so that pages can be set side by side."""
    return sorted(labels.countries, key=lambda iso3: labels.countries[iso3])


def official_words(tables: Tables, facts: Mapping[str, Any]) -> str:
    """The official figures in use, as the manifest names them."""
    releases = tables["sdg_catalogue"]["release"].drop_nulls().unique().sort()
    release = releases[-1] if len(releases) else "–"
    return str(facts.get("official_snapshot") or f"UN Global SDG Database, release {release}")


def sources(table: pl.DataFrame, iso3: str | None = None) -> Row:
    """The hand-ins of a country or of all, and how many of them are synthetic."""
    rows = (table if iso3 is None else table.filter(pl.col("iso3") == iso3)).sort("submission_id")
    return {
        "rows": rows.to_dicts(),
        "total": rows.height,
        "synthetic": rows.filter(pl.col("synthetic").fill_null(False)).height,
    }


def _matrix(headlines: pl.DataFrame, tables: Tables, countries: list[str], labels: Labels) -> Row:
    """Indicator x country: a letter of AVAILABILITY and whether there is other evidence.

    Where no series of an indicator is reported and one was not loaded, the snapshot does not tell whether it is.
    """
    pair = ["iso3", "indicator"]
    present = {
        "official": headlines.filter(pl.col("status") == "reported"),
        "unknown": headlines.filter(pl.col("status") == "not_loaded"),
        "citizen": tables["citizen_estimates"].filter(pl.col("estimate").is_not_null()),
        "evidence": tables["citizen_evidence"].filter(pl.col("finding").ne_missing(FEW_PARTICIPANTS)),
    }
    cells = pl.DataFrame({"indicator": list(labels.indicators)}, schema={"indicator": pl.String}).join(
        pl.DataFrame({"iso3": countries}, schema={"iso3": pl.String}), how="cross"
    )
    for name, frame in present.items():
        found = frame.select(pair).unique().with_columns(pl.lit(True).alias(name))
        cells = cells.join(found, on=pair, how="left", maintain_order="left")
    cells = cells.with_columns(pl.col(list(present)).fill_null(False)).with_columns(
        letter=pl.when("official", "citizen")
        .then(pl.lit("B"))
        .when("official")
        .then(pl.lit("O"))
        .when("unknown", "citizen")
        .then(pl.lit("C?"))
        .when("unknown")
        .then(pl.lit("?"))
        .when("citizen")
        .then(pl.lit("C"))
        .otherwise(pl.lit("–"))
    )
    rows: dict[str, list[Row]] = {code: [] for code in labels.indicators}
    for cell in cells.select("indicator", "letter", "evidence").to_dicts():
        rows[cell["indicator"]].append(cell)
    alone = cells.filter(pl.col("letter") == "C")["iso3"].value_counts().sort("count", "iso3", descending=[True, False])
    return {
        "rows": list(rows.items()),
        "counts": dict(cells["letter"].value_counts().iter_rows()),
        "alone": alone.filter(pl.col("count") == pl.col("count").max())["iso3"].to_list(),
    }


def _breakdowns(all_gaps: pl.LazyFrame, estimates: pl.DataFrame, labels: Labels) -> Row:
    """Indicator x breakdown: in how many countries there is an official figure, and a citizen figure, by it.

    A letter of AVAILABILITY over all countries; a cell is None where no official series is expected to have the
    breakdown and no citizen figure has it.
    """
    expected_of = all_gaps.select("iso3", "indicator", "status", *words.BREAKDOWN).unique().collect()
    gaps = expected_of.filter(~pl.col("status").is_in(NOT_JUDGED))
    citizen = estimates.filter(pl.col("estimate").is_not_null())
    rows: dict[str, list[Row]] = {code: [] for code in labels.indicators}
    cells: list[Row] = []
    for name in words.BREAKDOWN:
        by = pl.col(name) != "_T"
        expected = set(expected_of.filter(by)["indicator"].unique())
        official, counted = (
            dict(frame.filter(by).group_by("indicator").agg(pl.col("iso3").n_unique()).iter_rows())
            for frame in (gaps.filter(pl.col("status") == "reported"), citizen)
        )
        for code, row in rows.items():
            n_official, n_citizen = official.get(code, 0), counted.get(code, 0)
            letter = "B" if n_official and n_citizen else "O" if n_official else "C" if n_citizen else "–"
            known = code in expected or n_citizen > 0
            cells.append(cell := {"letter": letter if known else "", "official": n_official, "citizen": n_citizen})
            row.append(cell)
    asked = [cell for cell in cells if cell["letter"]]
    return {
        "rows": list(rows.items()),
        "total": len(asked),
        "official": sum(cell["official"] > 0 for cell in asked),
        "alone": sum(cell["letter"] == "C" for cell in asked),
    }


def ages_of(gaps: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """iso3, indicator, age: years from the latest official headline value to the year that gaps are judged from.

    age is null where there never was a value. Indicators whose series do not exist, were not loaded or do not apply say
    nothing about the country and have no row; nor have those without a value of which one series was not loaded.
    """
    judged = ~pl.col("status").is_in(NOT_JUDGED)
    return (
        gaps.filter(pl.col("stratum") == "_T")
        .group_by("iso3", "indicator")
        .agg(
            pl.col("latest_year").filter(judged).max(),
            judged=judged.any(),
            unknown=(pl.col("status") == "not_loaded").any(),
        )
        .filter(pl.col("judged") & (pl.col("latest_year").is_not_null() | ~pl.col("unknown")))
        .select("iso3", "indicator", "latest_year", age=pl.lit(settings.as_of_year) - pl.col("latest_year"))
        .sort("iso3", "indicator")
    )


def _ages(gaps: pl.DataFrame, countries: list[str], settings: Settings) -> Row:
    ages = ages_of(gaps, settings)
    limits = (settings.stale_after_years, settings.obsolete_after_years)
    silent = ages.filter(pl.col("age").is_null())["iso3"].value_counts()
    median = ages["age"].median()
    rows = []
    for iso3 in countries:
        age = ages.filter(pl.col("iso3") == iso3)["age"]
        known = age.drop_nulls()
        counts = [
            int((known <= limits[0]).sum()),
            int(((known > limits[0]) & (known <= limits[1])).sum()),
            int((known > limits[1]).sum()),
            age.null_count(),
        ]
        rows.append({"iso3": iso3, "counts": counts, "total": len(age), "median": _whole(known.median())})
    return {
        "rows": rows,
        "limits": limits,
        "median": _whole(median),
        "silent": silent.filter(pl.col("count") == pl.col("count").max())["iso3"].sort().to_list(),
    }


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _gaps(gaps: pl.LazyFrame, headlines: pl.DataFrame, countries: list[str], labels: Labels) -> Row:
    """Counts of statuses (headlines) and flags (all expected strata) by country, and what no country can mend."""
    flagged = _tally(gaps.filter(pl.col("flags") != ""), "flags")
    flags = (
        flagged.with_columns(flag=pl.col("flags").str.split(","))
        .explode("flag")
        .group_by("iso3", "flag")
        .agg(pl.col("len").sum())
    )
    effects = gaps.filter(pl.col("citizen_effect").is_not_null() & (pl.col("status") != "not_applicable"))
    # A group that some series could show is not one that official figures can not show.
    no_code = (
        gaps.filter(pl.col("marginalised_group") != "_T")
        .group_by("marginalised_group")
        .agg(without=without_code().all())
        .filter("without")
        .collect()
    )
    # An indicator of which the release has another series, loaded or not, is not without any.
    no_series = (
        headlines.filter(pl.col("status") != "not_applicable")
        .group_by("indicator")
        .agg(none=(pl.col("status") == "no_series").all())
        .filter("none")["indicator"]
        .to_list()
    )
    return {
        "statuses": _counts(_tally(headlines.lazy(), "status"), "status", words.GAP_STATUS, countries),
        "flags": _counts(flags, "flag", words.GAP_FLAG, countries),
        "effects": _counts(_tally(effects, "citizen_effect"), "citizen_effect", words.CITIZEN_EFFECT, countries),
        "groups_without_code": [code for code in labels.groups if code in set(no_code["marginalised_group"])],
        "without_series": in_order(no_series),
        **judged_of(gaps),
    }


def judged_of(gaps: pl.LazyFrame) -> dict[str, int]:
    """judged, missing, and missing for want of a code (no_code): how many cells.

    Counted as in the table coverage: a missing breakdown of a missing headline is one gap with it.
    """
    missing = pl.col("status") != "reported"
    return (
        gaps.filter(
            ~pl.col("status").is_in(["not_applicable", "not_loaded"])
            & ((pl.col("stratum") == "_T") | pl.any_horizontal(pl.col("status", "headline_status") == "reported"))
        )
        .select(judged=pl.len(), missing=missing.sum(), no_code=(missing & without_code()).sum())
        .collect()
        .row(0, named=True)
    )


def without_code() -> pl.Expr:
    """Expression: the official code list has no place for the group."""
    return pl.col("flags").str.contains(r"(^|,)group_has_no_code(,|$)")


def _tally(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """How many rows there are of each value and country: iso3, the column, len."""
    return frame.group_by("iso3", column).len().collect()


def _counts(tally: pl.DataFrame, column: str, known: Mapping[str, str], countries: list[str]) -> list[Row]:
    """Rows of a table of counts: the codes that occur, in the order of their words, and one count a country."""
    counts = {(code, iso3): count for code, iso3, count in tally.select(column, "iso3", "len").iter_rows()}
    present = {code for code, _ in counts}
    codes = [*(code for code in known if code in present), *sorted(present - known.keys())]
    return [{"code": code, "counts": [counts.get((code, iso3), 0) for iso3 in countries]} for code in codes]
