"""The page of a country: citizen beside official figures, groups, how old official values are, what is missing.

Here: the numbers of the page (once a release) and the page (once a language). Not here: which values stand in a figure
(figures.py), sentences (sentences.py), form (country.html.jinja, style.css).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from markupsafe import Markup

from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.disclosure import CAUTION_BELOW, FEW_PARTICIPANTS
from lnob_pipeline.publication.report import figures, sentences, words
from lnob_pipeline.publication.report.labels import Labels, in_order
from lnob_pipeline.publication.report.page import (
    LARGEST_PAGE,
    ages_of,
    countries_of,
    judged_of,
    official_words,
    sources,
)
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.publication.report.template import rendered

ROWS = (60, 24, 12, 6, 3, 1)
"""Rows of a figure or of a hand-in's evidence: the first number with which the page keeps within LARGEST_PAGE."""
OPEN_FIGURES = 3
"""Figures of a hand-in that are open when the page is; the others open by a click, a key, or a search in the page."""

Row = dict[str, Any]


def numbers(content: ReleaseContent, labels: Labels) -> dict[str, Row]:
    """Country -> what its page shows, in no language."""
    tables = content.tables
    catalogue = tables["sdg_catalogue"]
    not_loaded = set(catalogue.filter(pl.col("in_release") & ~pl.col("loaded"))["series"])
    hand_ins = figures.hand_ins(tables["comparison"], tables["citizen_estimates"], labels, not_loaded)
    official = figures.official_only(tables["comparison"], labels)
    ages = ages_of(content.scan("data_gaps").filter(pl.col("stratum") == "_T").collect(), content.settings)
    found = {}
    for iso3 in countries_of(labels):
        gaps = content.scan("data_gaps").filter(pl.col("iso3") == iso3)
        estimates, evidence = (
            tables[name].filter(pl.col("iso3") == iso3) for name in ("citizen_estimates", "citizen_evidence")
        )
        own = hand_ins.get(iso3, [])
        found[iso3] = {
            "iso3": iso3,
            "official": official_words(tables, content.facts),
            "sources": sources(tables["sources"], iso3),
            "hand_ins": own,
            **_ranking([figure for hand_in in own for figure in hand_in["figures"]]),
            "official_only": official.get(iso3, []),
            **_ages(ages.filter(pl.col("iso3") == iso3)),
            "reasons": _reasons(gaps),
            "gaps": judged_of(gaps),
            "hidden": _hidden(estimates, labels),
            "n_hidden": estimates.filter(pl.col("estimate").is_null()).height,
            "n_shown": estimates.filter(pl.col("estimate").is_not_null()).height,
            "evidence": _evidence(evidence, tables["sources"]),
            "methods": _methods(estimates, labels),
        }
    return found


def render(numbers: Row, content: ReleaseContent, labels: Labels, speech: Speech, sheets: Sequence[Markup] = ()) -> str:
    """The page of a country in a language. numbers: of `numbers`. sheets: links to the sheets for its communities."""
    page = ""
    for most_rows in ROWS:
        page = rendered(
            "country.html.jinja",
            speech,
            f"{numbers['iso3']}.html",
            content.facts,
            settings=content.settings,
            labels=labels,
            words=words,
            sentences=sentences,
            sheets=sheets,
            countries=countries_of(labels),
            most_rows=most_rows,
            open_figures=OPEN_FIGURES,
            caution_below=CAUTION_BELOW,
            **numbers,
        )
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def _ranking(own: list[Row]) -> Row:
    """The figures of class A by how far behind they are, and those that stand apart: what the first chart shows.

    Where neither more nor less is better there is no distance: those come last.
    """
    same = [figure for figure in own if figure["comparability"] == "A" and figure["headline"]]
    ranked = [figure for figure in same if figure["official"]]
    distances = {figure["id"]: float("-inf") if figure["behind"] is None else figure["behind"] for figure in ranked}
    return {
        "ranked": sorted(ranked, key=lambda figure: (-distances[figure["id"]], figure["id"])),
        "alone": [figure for figure in same if not figure["official"]],
        "adapted": [figure for figure in own if figure["comparability"] == "C" and figure["headline"]],
        "respondents": [figure for figure in own if figure["kind"] == "respondents" and not figure["headline"]],
        "kinds": {
            kind: sum(figure["kind"] == kind for figure in own) for kind in ("same_line", "beside", "respondents")
        },
    }


def _ages(ages: pl.DataFrame) -> Row:
    """Indicators by the age of their latest official value, the oldest first, and those that never had one."""
    known = ages.filter(pl.col("age").is_not_null()).select("indicator", "latest_year", "age").to_dicts()
    place = {code: number for number, code in enumerate(in_order(ages["indicator"]))}
    return {
        "ages": sorted(known, key=lambda row: (-row["age"], place[row["indicator"]])),
        "never": in_order(ages.filter(pl.col("age").is_null())["indicator"]),
    }


def _reasons(gaps: pl.LazyFrame) -> list[Row]:
    """Why something cannot be said of official figures: reason, number of values, indicators."""
    headlines = gaps.filter(pl.col("stratum") == "_T").select("indicator", "status").collect()
    statuses = headlines.filter(~pl.col("status").is_in(["reported", "not_applicable"]))
    headline = pl.col("stratum") == "_T"
    # Counted by all flags of a row first: there are few combinations, and a row for each flag would fill the memory.
    flagged = gaps.filter(pl.col("flags") != "").group_by("indicator", "flags", headline=headline).len("n")
    flags = flagged.collect().with_columns(flag=pl.col("flags").str.split(",")).explode("flag")
    found = []
    for known, column, frame in (
        ("GAP_STATUS", "status", statuses.group_by("indicator", "status").len("n")),
        ("GAP_FLAG", "flag", flags.filter("headline")),
        ("GAP_FLAG", "flag", flags.filter(~pl.col("headline"))),
    ):
        rows = frame.group_by(column).agg(pl.col("n").sum(), indicators=pl.col("indicator").unique())
        order = {code: place for place, code in enumerate(getattr(words, known))}
        part = [
            {
                "words": known,
                "code": row[column],
                "n": row["n"],
                "headline": frame is not flags,
                "indicators": in_order(row["indicators"]),
            }
            for row in sorted(rows.to_dicts(), key=lambda row: (order.get(row[column], 999), row[column]))
        ]
        found.append(part)
    return [
        {"what": what, "rows": rows}
        for what, rows in zip(("statuses", "remarks", "breakdowns"), found, strict=True)
        if rows
    ]


def _hidden(estimates: pl.DataFrame, labels: Labels) -> list[Row]:
    """Numbers that are not shown, counted by hand-in and reason, with whom they would be about."""
    rows = (
        estimates.filter(pl.col("estimate").is_null())
        .with_columns(order=labels.stratum_order())
        .sort("submission_id", "status", "order", "stratum")
    )
    return [
        {
            "submission_id": submission,
            "status": status,
            "n": part.height,
            "indicators": in_order(part["indicator"].unique()),
            "who": part.unique("stratum", keep="first", maintain_order=True).to_dicts(),
        }
        for (submission, status), part in rows.partition_by(
            "submission_id", "status", maintain_order=True, as_dict=True
        ).items()
    ]


def _evidence(evidence: pl.DataFrame, sources: pl.DataFrame) -> Row:
    """What people said, hand-in by hand-in, with the instrument that they were asked with; never a percentage."""
    instruments = sources.select("submission_id", "instrument").unique("submission_id")
    rows = evidence.join(instruments, on="submission_id", how="left").sort(
        "submission_id", "indicator", "evidence_type", "statement", "marginalised_group", "area", nulls_last=False
    )
    return {
        "findings": rows.height,
        "indicators": rows["indicator"].n_unique(),
        "hand_ins": rows["submission_id"].n_unique(),
        "hidden": rows.filter(pl.col("finding") == FEW_PARTICIPANTS).height,
        "parts": [
            {
                "submission_id": submission,
                "year": part["year"][0],
                "kinds": part["evidence_type"].unique(maintain_order=True).to_list(),
                "rows": part.to_dicts(),
            }
            for (submission,), part in rows.partition_by("submission_id", maintain_order=True, as_dict=True).items()
        ],
    }


def _methods(estimates: pl.DataFrame, labels: Labels) -> list[Row]:
    """For a reader from a statistics office: one row a hand-in and series, by its figure of all, else the largest."""
    return (
        estimates.filter(pl.col("estimate").is_not_null())
        .with_columns(place=labels.indicator_order(), order=labels.stratum_order())
        .sort("submission_id", "place", "indicator", "series", "order", "stratum")
        .group_by("submission_id", "series", maintain_order=True)
        .agg(pl.len().alias("figures"), pl.all().exclude("submission_id", "series").first())
        .to_dicts()
    )
