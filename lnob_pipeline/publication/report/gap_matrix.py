"""The whole framework as one table: every indicator x country, and what the official figures say of the whole country.

Here: the headline rows of `data_gaps`, one cell an indicator and country. Not here: breakdowns (they are in the file),
citizen figures (page.py). An indicator with several series takes the best of their statuses: a country that reports one
of them is not silent. Where none is reported and one was not loaded, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import sentences, words
from lnob_pipeline.publication.report.labels import Labels, in_order
from lnob_pipeline.publication.report.page import countries_of, official_words
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.publication.report.template import rendered

# From the best to the worst: the first that any series of the indicator has. Status -> class of the cell and its text
# (None: the latest year); what it means is words.CELL.
STATUSES: Final[Mapping[str, tuple[str, str | None]]] = {
    "reported": ("B", None),
    "none_since_2015": ("O", None),
    "not_loaded": ("", "?"),
    "withheld": ("W", "w"),
    "not_provided": ("W", "x"),
    "never_reported": ("W", "0"),
    "no_series": ("", "–"),
    "not_applicable": ("", "n/a"),
}
_HELPFUL: Final = ("closes", "could_close", "informs", "illustrates", "not_shown")
GOALS: Final = 17
EXAMPLE_YEARS: Final = {"reported": "2019", "none_since_2015": "2012"}
"""What the legend shows for a cell that holds a year."""


def numbers(content: ReleaseContent, labels: Labels) -> dict[str, Any]:
    """What the page shows, in no language."""
    countries = countries_of(labels)
    cells = _cells(content.scan("data_gaps"))
    judged = cells.filter(~pl.col("status").is_in(["not_applicable", "not_loaded"]))
    goals = []
    for goal in range(1, GOALS + 1):
        if rows := _rows(cells.filter(pl.col("goal") == goal), countries):
            goals.append({"goal": goal, "rows": rows, "counts": _counts(judged.filter(pl.col("goal") == goal))})
    return {
        "countries": countries,
        "goals": goals,
        "counts": _counts(judged),
        "official": official_words(content.tables, content.facts),
    }


def render(numbers: Mapping[str, Any], content: ReleaseContent, labels: Labels, speech: Speech) -> str:
    """The page in a language. numbers: of `numbers`."""
    return rendered(
        "gap_matrix.html.jinja",
        speech,
        "gaps.html",
        content.facts,
        settings=content.settings,
        labels=labels,
        words=words,
        sentences=sentences,
        legend=[(EXAMPLE_YEARS.get(status) or text, kind, status) for status, (kind, text) in STATUSES.items()],
        **numbers,
    )


def _cells(gaps: pl.LazyFrame) -> pl.DataFrame:
    """goal, indicator, iso3, status (the best of the series), latest_year, citizen (whether citizen data helps)."""
    rank = pl.col("status").replace_strict(
        {status: place for place, status in enumerate(STATUSES)}, default=len(STATUSES), return_dtype=pl.Int32
    )
    return (
        gaps.filter(pl.col("stratum") == "_T")
        .with_columns(rank.alias("rank"))
        .group_by("indicator", "iso3")
        .agg(
            pl.col("status").sort_by("rank").first(),
            pl.col("latest_year").max(),
            pl.col("citizen_effect").is_in(_HELPFUL).any().alias("citizen"),
        )
        .with_columns(pl.col("indicator").str.extract(r"^(\d+)\.").cast(pl.Int32).alias("goal"))
        .sort("indicator", "iso3")
        .collect()
    )


def _rows(cells: pl.DataFrame, countries: list[str]) -> list[dict[str, Any]]:
    found = {(row["indicator"], row["iso3"]): row for row in cells.to_dicts()}
    return [
        {"indicator": code, "cells": [_cell(found.get((code, iso3))) for iso3 in countries]}
        for code in in_order(dict.fromkeys(cells["indicator"]))
    ]


def _cell(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"class": "", "text": "", "citizen": False}
    kind, text = STATUSES[row["status"]]
    return {"class": kind, "text": row["latest_year"] if text is None else text, "citizen": row["citizen"]}


def _counts(judged: pl.DataFrame) -> tuple[int, int, int, int]:
    """Cells that can be judged, those with a value, those that never had one, and missing ones with citizen data."""
    return (
        judged.height,
        judged.filter(pl.col("status") == "reported").height,
        judged.filter(pl.col("status") == "never_reported").height,
        judged.filter("citizen", pl.col("status") != "reported").height,
    )
