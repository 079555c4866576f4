"""The report of a release as one HTML page that needs no network and no script.

Here: what the page shows, chosen and put into words from the released tables. Not here: words for codes (words.py),
form (page.html.jinja, style.css), numbers (they are taken as published; this module only rounds them). The same tables
give the same page: there is no clock and no order but that of the tables and the mappings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.disclosure import FEW_PARTICIPANTS
from lnob_pipeline.publication.report import figures, words
from lnob_pipeline.publication.report.labels import Labels, in_order
from lnob_pipeline.publication.report.template import rendered
from lnob_pipeline.publication.report.words import in_words, listed
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES

LARGEST_PAGE = 300_000  # bytes: a page for a slow connection and an old phone
ROWS = (40, 16, 8, 4, 2, 1)
"""Rows of a figure or of a hand-in's evidence: the first number with which the page keeps within LARGEST_PAGE."""

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
Row = dict[str, Any]


def render(
    tables: Mapping[str, pl.DataFrame], mappings: Mappings, settings: Settings, provenance: Mapping[str, Any]
) -> str:
    """The page for the disclosed `tables` (by name, RELEASE_TABLES). provenance: the facts of manifest.json."""
    countries = [
        {"iso3": iso3, "name": country.name}
        for iso3, country in sorted(mappings.countries.items(), key=lambda item: item[1].name)
    ]
    labels = Labels(mappings)
    official = figures.official_only(tables["comparison"], labels)
    content: Row = {
        "facts": {"code_version": None, "mapping_version": None, **provenance},
        "settings": settings,
        "official_release": (release := _first(tables["sdg_catalogue"], "release") or "–"),
        "official_snapshot": provenance.get("official_snapshot") or f"UN Global SDG Database, release {release}",
        "synthetic": _synthetic(tables["sources"]),
        "availability": words.AVAILABILITY,
        "comparability": words.COMPARABILITY,
        "matrix": _matrix(tables, countries, labels),
        "gaps": _gaps(tables["data_gaps"], countries, labels),
        "hidden": _hidden(tables["citizen_estimates"], labels),
        "evidence_finding": _evidence_finding(tables["citizen_evidence"]),
        "sources": _sources(tables["sources"], labels),
        "downloads": [
            {"name": table.name, "rows": f"{tables[table.name].height:,}", "description": table.description}
            for table in RELEASE_TABLES
        ],
    }
    catalogue = tables["sdg_catalogue"]
    not_loaded = set(catalogue.filter(pl.col("in_release") & ~pl.col("loaded"))["series"])
    page = ""
    for most_rows in ROWS:
        found = figures.hand_ins(tables["comparison"], tables["citizen_estimates"], labels, most_rows, not_loaded)
        page = rendered(
            _TEMPLATE,
            **content,
            figures_finding=figures.finding(found),
            countries=[
                {**country, "hand_ins": found.get(country["iso3"], []), "official": official.get(country["iso3"], [])}
                for country in countries
            ],
            evidence=_evidence(tables["citizen_evidence"], labels, most_rows),
        )
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def _first(frame: pl.DataFrame, column: str) -> str | None:
    values = frame[column].drop_nulls().unique().sort()
    return values[-1] if len(values) else None


def _synthetic(sources: pl.DataFrame) -> str | None:
    count, total = sources.filter(pl.col("synthetic").fill_null(False)).height, sources.height
    if not count:
        return None
    which = "All" if count == total else f"{count} of the {total}"
    return (
        f"Synthetic sample data. {which} hand-ins behind this release are made up: the people in them do not exist, "
        f"and their figures say nothing about any country. The official figures are real."
    )


def _matrix(tables: Mapping[str, pl.DataFrame], countries: list[dict[str, str]], labels: Labels) -> Row:
    """Indicator x country: a letter of AVAILABILITY and whether there is other evidence.

    Where no series of an indicator is reported and one was not loaded, the snapshot does not tell whether it is.
    """
    pair = ["iso3", "indicator"]
    headlines = tables["data_gaps"].filter(pl.col("stratum") == "_T")
    official = headlines.filter(pl.col("status") == "reported")
    unknown = headlines.filter(pl.col("status") == "not_loaded")
    citizen = tables["citizen_estimates"].filter(pl.col("estimate").is_not_null())
    evidence = tables["citizen_evidence"].filter(pl.col("finding").ne_missing(FEW_PARTICIPANTS))
    cells = (
        pl.DataFrame({"indicator": list(labels.indicators)}, schema={"indicator": pl.String})
        .join(
            pl.DataFrame({"iso3": [country["iso3"] for country in countries]}, schema={"iso3": pl.String}), how="cross"
        )
        .join(official.select(*pair, official=True).unique(), on=pair, how="left", maintain_order="left")
        .join(unknown.select(*pair, unknown=True).unique(), on=pair, how="left", maintain_order="left")
        .join(citizen.select(*pair, citizen=True).unique(), on=pair, how="left", maintain_order="left")
        .join(evidence.select(*pair, evidence=True).unique(), on=pair, how="left", maintain_order="left")
        .with_columns(pl.col("official", "unknown", "citizen", "evidence").fill_null(False))
        .with_columns(
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
    )
    found: dict[str, list[Row]] = {code: [] for code in labels.indicators}
    for cell in cells.select("indicator", "letter", "evidence").to_dicts():
        spoken = words.AVAILABILITY[cell["letter"]][0] + (", other evidence" if cell["evidence"] else "")
        found[cell["indicator"]].append({**cell, "words": spoken})
    return {
        "countries": countries,
        "rows": [{"indicator": code, "title": labels.indicators[code], "cells": row} for code, row in found.items()],
        "finding": _matrix_finding(cells, labels),
    }


def _matrix_finding(cells: pl.DataFrame, labels: Labels) -> str:
    counts = dict(cells["letter"].value_counts().iter_rows())
    text = (
        f"Of {cells.height} pairs of country and indicator, {counts.get('B', 0)} have an official and a citizen figure,"
        f" {counts.get('O', 0)} an official figure only, {counts.get('C', 0)} a citizen figure only and "
        f"{counts.get('–', 0)} neither."
    )
    if unknown := counts.get("?", 0) + counts.get("C?", 0):
        text += (
            f" For {unknown} the official series is not in this snapshot, so nothing is said about official figures; "
            f"{counts.get('C?', 0)} of these have a citizen figure."
        )
    alone = cells.filter(pl.col("letter") == "C")["iso3"].value_counts().sort("count", "iso3", descending=[True, False])
    if alone.height:
        most = alone.filter(pl.col("count") == pl.col("count").max())["iso3"].to_list()
        text += f" Citizen data stands alone most often in {listed([labels.countries[iso3] for iso3 in most])}."
    return text


def _gaps(gaps: pl.DataFrame, countries: list[dict[str, str]], labels: Labels) -> Row:
    """Counts of statuses (headlines) and flags (all expected strata) by country, and what no country can mend."""
    headlines = gaps.filter(pl.col("stratum") == "_T")
    flags = gaps.with_columns(flag=pl.col("flags").str.split(",")).explode("flag").filter(pl.col("flag") != "")
    effects = gaps.filter(pl.col("citizen_effect").is_not_null() & (pl.col("status") != "not_applicable"))
    tables = [
        {
            "id": f"gaps-{what.lower()}",
            "what": what,
            "caption": caption,
            "rows": _counts(frame, column, spoken, countries),
        }
        for what, caption, frame, column, spoken in (
            ("Status", "Official headline values: number of series", headlines, "status", words.GAP_STATUS),
            ("Remark", "Remarks on official values, all breakdowns: number of values", flags, "flag", words.GAP_FLAG),
            (
                "Effect",
                "What citizen data does: number of expected values",
                effects,
                "citizen_effect",
                words.CITIZEN_EFFECT,
            ),
        )
    ]
    # A group that some series could show is not one that official figures can not show.
    no_code = (
        gaps.filter(pl.col("marginalised_group") != "_T")
        .group_by("marginalised_group")
        .agg(without=_without_code().all())
        .filter("without")
    )
    # An indicator of which the release has another series, loaded or not, is not without any.
    no_series = (
        headlines.filter(pl.col("status") != "not_applicable")
        .group_by("indicator")
        .agg(none=(pl.col("status") == "no_series").all())
        .filter("none")["indicator"]
        .to_list()
    )
    # Counted as in the table coverage: a missing breakdown of a missing headline is the same gap as the headline.
    judged = gaps.filter(
        ~pl.col("status").is_in(["not_applicable", "not_loaded"])
        & ((pl.col("stratum") == "_T") | pl.any_horizontal(pl.col("status", "headline_status") == "reported"))
    )
    missing = judged.filter(pl.col("status") != "reported")
    return {
        "tables": [table for table in tables if table["rows"]],
        "no_code": listed(sorted(labels.groups.get(code, code) for code in no_code["marginalised_group"].unique())),
        "no_series": listed(
            [f"{code} ({labels.indicators.get(code, code)})" for code in in_order(dict.fromkeys(no_series))]
        ),
        "finding": f"Of {judged.height:,} official values that this project looks for, headlines and breakdowns, "
        f"{missing.height:,} do not exist for the years since the base year. For "
        f"{missing.filter(_without_code()).height:,} of these the official code list has no place: no country can "
        f"mend that alone. Breakdowns of a missing headline are counted with it, as one.",
    }


def _without_code() -> pl.Expr:
    return pl.col("flags").str.split(",").list.contains("group_has_no_code")


def _counts(frame: pl.DataFrame, column: str, spoken: Mapping[str, str], countries: list[dict[str, str]]) -> list[Row]:
    """Rows of a table of counts: the codes that occur, in words, and one count a country."""
    counts = {(code, iso3): count for code, iso3, count in frame.group_by(column, "iso3").len().iter_rows()}
    present = {code for code, _ in counts}
    codes = [*(code for code in spoken if code in present), *sorted(present - spoken.keys())]
    return [
        {
            "words": in_words(spoken, code),
            "counts": [f"{counts.get((code, country['iso3']), 0):,}" for country in countries],
        }
        for code in codes
    ]


def _hidden(estimates: pl.DataFrame, labels: Labels) -> list[Row]:
    """Numbers that are not shown, counted by hand-in and reason, with whom they would be about."""
    rows = (
        estimates.filter(pl.col("estimate").is_null())
        .with_columns(who=labels.stratum(), order=labels.stratum_order())
        .sort("submission_id", "status", "order", "stratum")
        .group_by("submission_id", "status", maintain_order=True)
        .agg(pl.len().alias("figures"), pl.col("indicator").unique(), pl.col("who").unique(maintain_order=True))
    )
    return [
        {
            "submission_id": row["submission_id"],
            "reason": in_words(words.ESTIMATE_STATUS, row["status"]),
            "figures": f"{row['figures']:,}",
            "indicators": ", ".join(in_order(dict.fromkeys(row["indicator"]))),
            "who": listed([f"“{who}”" if ", " in who else who for who in row["who"]], most=8),
        }
        for row in rows.to_dicts()
    ]


def _evidence(evidence: pl.DataFrame, labels: Labels, most_rows: int) -> list[Row]:
    """For each hand-in its rows in words, at most `most_rows`; never a percentage."""
    hidden = pl.col("finding") == FEW_PARTICIPANTS
    scale = pl.format(
        "{} on a scale from {} to {}{}",
        pl.col("score").round(1),
        pl.col("scale_minimum").cast(pl.Int64),
        pl.col("scale_maximum").cast(pl.Int64),
        pl.when(pl.col("better") == "low").then(pl.lit(" (low is good)")).otherwise(pl.lit(" (high is good)")),
    )
    behind = pl.concat_str(
        pl.when(pl.col("evidence_type") != "policy_review").then(
            _count("n_groups", "group or interview", "groups or interviews")
        ),
        _count("n_participants", "person", "people"),
        _count("n_mentions", "mention", "mentions"),
        "source",
        separator=", ",
        ignore_nulls=True,
    )
    rows = (
        evidence.sort("iso3", "submission_id", "indicator", "evidence_type", "statement", "marginalised_group", "area")
        .with_columns(
            about=pl.col("statement").str.replace_all("_", " "),
            who=pl.concat_str(
                pl.col("marginalised_group").replace({**labels.categories["sex"], **labels.groups, "all": "All"}),
                pl.col("area").str.split(",").list.eval(pl.element().replace(labels.areas)).list.join(", "),
                separator=", ",
                ignore_nulls=True,
            ),
            kind=pl.col("evidence_type").replace(dict(words.DATA_TYPE)),
            found=pl.when(hidden)
            .then(pl.lit("not shown: fewer than four people"))
            .when(pl.col("score").is_not_null())
            .then(scale)
            .otherwise(pl.col("finding").str.replace_all("_", " ").fill_null("–")),
            behind=behind,
        )
        .with_columns(
            who=pl.when(pl.col("who") == "").then(pl.lit("–")).otherwise("who"),
            about=pl.when(pl.col("evidence_type") == "provider_score")
            .then(pl.col("about") + ", by the provider")
            .otherwise("about"),
        )
    )
    return [
        {
            "submission_id": submission,
            "country": labels.countries.get(part["iso3"][0], part["iso3"][0]),
            "year": part["year"][0],
            "kinds": listed(part["kind"].unique(maintain_order=True).to_list()),
            "more": max(0, part.height - most_rows),
            "rows": part.head(most_rows).select("indicator", "about", "who", "found", "behind").to_dicts(),
        }
        for (submission,), part in rows.partition_by("submission_id", maintain_order=True, as_dict=True).items()
    ]


def _count(column: str, one: str, many: str) -> pl.Expr:
    return pl.when(pl.col(column) == 1).then(pl.lit(f"1 {one}")).otherwise(pl.format(f"{{}} {many}", column))


def _evidence_finding(evidence: pl.DataFrame) -> str:
    if evidence.is_empty():
        return "This release holds no score cards, discussions, interviews or policy reviews."
    hidden = evidence.filter(pl.col("finding") == FEW_PARTICIPANTS).height
    return (
        f"{evidence.height:,} findings on {evidence['indicator'].n_unique()} indicators from "
        f"{evidence['submission_id'].n_unique()} hand-ins; {hidden:,} not shown because fewer than four people stand "
        f"behind them."
    )


def _sources(sources: pl.DataFrame, labels: Labels) -> list[Row]:
    def place(row: Row) -> str:
        country = str(labels.countries.get(row["iso3"], row["iso3"]))
        if row["year"] is None:  # rejected: nothing of the manifest is told
            return country
        return f"{country}: {labels.area(row['area_level'], row['area'])}, {row['year']}"

    def organisation(row: Row) -> str:
        unnamed = "not named" if row["year"] is None else "not named, as the partner wishes"
        return str(row["organisation"] or unnamed)

    return [
        {
            "submission_id": row["submission_id"],
            "organisation": organisation(row),
            "what": f"{in_words(words.DATA_TYPE, row['data_type'])}; {in_words(words.SAMPLING, row['sampling_method'])}"
            + ("; synthetic" if row["synthetic"] else ""),
            "place": place(row),
            "n_accepted": "–" if row["n_accepted"] is None else f"{row['n_accepted']:,}",
            "state": in_words(words.STATE, row["state"]),
        }
        for row in sources.sort("submission_id").to_dicts()
    ]
