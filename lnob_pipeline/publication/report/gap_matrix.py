"""The whole framework as one table: every indicator x country, and what the official figures say of the whole country.

Here: the headline rows of `data_gaps`, one cell an indicator and country. Not here: breakdowns (they are in the file),
citizen figures (page.py). An indicator with several series takes the best of their statuses: a country that reports one
of them is not silent. Where none is reported and one was not loaded, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.report.labels import Labels, in_order
from lnob_pipeline.publication.report.template import rendered
from lnob_pipeline.settings import Settings

# From the best to the worst: the first that any series of the indicator has. Status -> class of the cell, its text
# (None: the latest year) and what it means.
STATUSES: Final[Mapping[str, tuple[str, str | None, str]]] = {
    "reported": ("B", None, "latest year of an official value since the base year"),
    "none_since_2015": ("O", None, "latest year of an official value, which is before the base year"),
    "not_loaded": ("", "?", "these official figures do not hold such a series: nothing is said"),
    "withheld": ("W", "w", "a value exists and is withheld"),
    "not_provided": ("W", "x", "listed in the official data, without a value"),
    "never_reported": ("W", "0", "never an official value"),
    "no_series": ("", "–", "the official release has no series: no country can report"),
    "not_applicable": ("", "n/a", "does not apply to the country"),
}
_HELPFUL: Final = ("closes", "could_close", "informs", "illustrates", "not_shown")
GOALS: Final = 17


def render(
    tables: Mapping[str, pl.DataFrame], mappings: Mappings, settings: Settings, provenance: Mapping[str, Any]
) -> str:
    """The page for the disclosed `tables` (data_gaps and sdg_catalogue). provenance: the facts of manifest.json."""
    labels = Labels(mappings)
    countries = [
        {"iso3": iso3, "name": name} for iso3, name in sorted(labels.countries.items(), key=lambda item: item[1])
    ]
    cells = _cells(tables["data_gaps"])
    judged = cells.filter(~pl.col("status").is_in(["not_applicable", "not_loaded"]))
    release = next(iter(tables["sdg_catalogue"]["release"].drop_nulls().unique().sort(descending=True)), "–")
    goals = []
    for goal in range(1, GOALS + 1):
        rows = _rows(cells.filter(pl.col("goal") == goal), [country["iso3"] for country in countries], labels)
        if rows:
            goals.append({"goal": goal, "rows": rows, "finding": _said(judged.filter(pl.col("goal") == goal))})
    return rendered(
        Path(__file__).with_name("gap_matrix.html.jinja"),
        facts=provenance,
        settings=settings,
        official_snapshot=provenance.get("official_snapshot") or f"UN Global SDG Database, release {release}",
        finding=_said(judged),
        legend={
            text or ("2019" if status == "reported" else "2012"): {"class": kind, "text": words}
            for status, (kind, text, words) in STATUSES.items()
        },
        countries=countries,
        goals=goals,
    )


def _cells(gaps: pl.DataFrame) -> pl.DataFrame:
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
    )


def _rows(cells: pl.DataFrame, countries: list[str], labels: Labels) -> list[dict[str, Any]]:
    found = {(row["indicator"], row["iso3"]): row for row in cells.to_dicts()}
    return [
        {
            "indicator": code,
            "title": labels.indicator(code),
            "cells": [_cell(found.get((code, iso3))) for iso3 in countries],
        }
        for code in in_order(dict.fromkeys(cells["indicator"]))
    ]


def _cell(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"class": "", "text": "", "citizen": False}
    kind, text, _ = STATUSES[row["status"]]
    return {"class": kind, "text": row["latest_year"] if text is None else text, "citizen": row["citizen"]}


def _said(judged: pl.DataFrame) -> str:
    """One sentence on the cells that can be judged."""
    if judged.is_empty():
        return "No official series was loaded: nothing is said."
    reported = judged.filter(pl.col("status") == "reported").height
    silent = judged.filter(pl.col("status") == "never_reported").height
    text = (
        f"Of {judged.height:,} pairs of country and indicator that can be judged, {reported:,} have an official value "
        f"since the base year and {silent:,} never had one."
    )
    if helped := judged.filter("citizen", pl.col("status") != "reported").height:
        text += f" For {helped:,} of the missing ones there is citizen data."
    return text
