"""Official and citizen values side by side: the numbers of the figures of a country, in no language.

Here: which values stand in a figure, in which order, and how far a citizen value is behind the official one. Not here:
words (country.html.jinja, sentences.py), numbers (they are taken as published). A figure is one series of one hand-in;
its kind says what may be set beside what:

    same_line    both speak of the same area by the same definition
    beside       a probability sample of another area or year, or by an adapted definition, or without an official value
    respondents  no interval: stands for those who answered
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import polars as pl

from lnob_pipeline.publication.report.labels import Labels, sign
from lnob_pipeline.tables import STRATUM_DIMENSIONS

PLOTTED = ("sex", "location", "disability", "marginalised_group")
"""Dimensions with rows of their own; age, wealth and crossings are in the files."""
PERCENT = "PERCENT"

Row = dict[str, Any]


def hand_ins(
    comparison: pl.DataFrame, estimates: pl.DataFrame, labels: Labels, not_loaded: Container[object] = frozenset()
) -> dict[str, list[Row]]:
    """Country -> its hand-ins, each with one figure for each series that has a citizen number to show.

    comparison, estimates: the released tables. not_loaded: official series that the release has and the snapshot has
    not; of these no absence is told. Only what is in percent has a place on the axis; the rest is in the files.
    """
    comparison = comparison.filter(pl.col("unit") == PERCENT)
    whole_country = {
        (row["iso3"], row["series"]): row
        for row in comparison.filter((pl.col("stratum") == "_T") & pl.col("official_value").is_not_null())
        .unique(["iso3", "series"], keep="first", maintain_order=True)
        .to_dicts()
    }
    found: dict[str, list[Row]] = {}
    rows = _rows(comparison, estimates, labels)
    for (iso3, submission), hand_in in rows.partition_by(
        "iso3", "submission_id", maintain_order=True, as_dict=True
    ).items():
        parts = hand_in.partition_by("indicator", "series", maintain_order=True, as_dict=True)
        first = hand_in.row(0, named=True)
        found.setdefault(str(iso3), []).append(
            {
                **{name: first[name] for name in ("submission_id", "sampling_method", "citizen_area_level")},
                **{name: first[name] for name in ("citizen_area", "citizen_year")},
                "figures": [
                    _figure(f"{submission}-{series}", part, whole_country.get((iso3, series)), series in not_loaded)
                    for (_, series), part in parts.items()
                ],
            }
        )
    return found


def official_only(comparison: pl.DataFrame, labels: Labels) -> dict[str, list[Row]]:
    """Country -> the headline official values of series without a citizen number to show."""
    comparison = comparison.filter(pl.col("unit") == PERCENT)
    citizen = comparison.filter(pl.col("citizen_estimate").is_not_null()).select("iso3", "series").unique()
    rows = (
        comparison.filter((pl.col("stratum") == "_T") & pl.col("official_value_text").is_not_null())
        .join(citizen, on=["iso3", "series"], how="anti")
        .unique(["iso3", "series", "indicator"], keep="first", maintain_order=True)
        .with_columns(place=labels.indicator_order())
        .sort("place", "indicator", "series")
    )
    return {str(iso3): part.to_dicts() for (iso3,), part in rows.partition_by("iso3", as_dict=True).items()}


def _rows(comparison: pl.DataFrame, estimates: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """The comparison's rows with a citizen number: headline first, then by breakdown, the furthest behind first."""
    sampling = estimates.select("submission_id", "series", "stratum", sampling="sampling_method")
    rows = comparison.filter(pl.col("citizen_estimate").is_not_null())
    pairs = rows.select("indicator", "series").unique().sort("indicator", "series").rows()
    signs = pl.DataFrame(
        [(series, sign(indicator, series)) for indicator, series in pairs],
        schema={"series": pl.String, "sign": pl.Int32},
        orient="row",
    ).unique("series", keep="first", maintain_order=True)
    n_dimensions = pl.sum_horizontal(pl.col(name) != "_T" for name in STRATUM_DIMENSIONS)
    apart = pl.any_horizontal(pl.col(name) != "_T" for name in STRATUM_DIMENSIONS if name not in PLOTTED)
    return (
        rows.join(sampling, on=["submission_id", "series", "stratum"], how="left", maintain_order="left")
        .join(signs, on="series", how="left", maintain_order="left")
        .with_columns(
            sampling_method=pl.coalesce("sampling_method", "sampling"),
            plotted=(n_dimensions <= 1) & ~apart,
            order=labels.stratum_order(),
            place=labels.indicator_order(),
            same_line=pl.col("relation") == "same_line",
            dimension=pl.coalesce(
                [pl.when(pl.col(name) != "_T").then(pl.lit(name)) for name in STRATUM_DIMENSIONS]
                + [pl.lit("", pl.String)]
            ),
        )
        .sort(
            "iso3",
            "submission_id",
            "place",
            "indicator",
            "series",
            pl.col("order").floordiv(1000),
            pl.col("citizen_estimate") * pl.col("sign"),
            "order",
            "stratum",
        )
    )


def _figure(identifier: str, part: pl.DataFrame, official: Row | None, not_loaded: bool) -> Row:
    """One series of one hand-in; `official` is the official value of the whole country, if there is one.

    behind: points by which the citizen headline is behind it, negative where it is ahead; outside: the
    official value lies outside the interval of the citizen figure.
    """
    respondents = part["citizen_ci_low"].null_count() == part.height
    shown = part.filter("plotted")
    first = part.row(0, named=True)
    headline = first if first["stratum"] == "_T" else None
    better = first["sign"]
    behind, outside = None, False
    if headline and official and better:
        behind = better * (official["official_value"] - headline["citizen_estimate"])
        ends_of_interval = (headline["citizen_ci_low"], headline["citizen_ci_high"])
        outside = (
            None in ends_of_interval or not ends_of_interval[0] <= official["official_value"] <= ends_of_interval[1]
        )
    rows = shown.to_dicts()
    ends = [row for row in rows if row["stratum"] != "_T"]
    return {
        "id": identifier,
        "indicator": first["indicator"],
        "series": first["series"],
        "kind": "respondents" if respondents else "same_line" if first["same_line"] else "beside",
        "comparability": first["comparability"],
        "better": better,
        "behind": behind,
        "outside": outside,
        "headline": headline,
        "official": official,
        "not_loaded": not_loaded,
        "differences": _differences(first["differences"]) if official else [],
        "flags": [flag for flag in (first["flags"] or "").split(",") if flag],
        "lowest": min(ends, key=lambda row: (row["citizen_estimate"], row["stratum"]), default=None),
        "highest": max(ends, key=lambda row: (row["citizen_estimate"], row["stratum"]), default=None),
        "rows": rows,
        "beyond": part.height - len(rows),
    }


def _differences(text: str | None) -> list[str]:
    """The kinds of what differs: 'area: ... | year: ...' -> area, year."""
    kinds = [part.partition(":")[0].split(" ")[0] for part in (text or "").split(" | ") if part]
    return list(dict.fromkeys(kinds))
