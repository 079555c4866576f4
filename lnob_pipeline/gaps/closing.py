"""Which questions of the bank would close a gap, and for whom they would have to be asked.

Here: from the indicator library to the columns `closing_questions` and `closing_group` of a gap. Not here: what citizen
data that are there do to a gap (typology.py).

A gap is closed by an estimate of class A alone (same definition, probability sample of the country), so questions are
named only where the library computes the official series itself, by an exact definition, and the country has what the
measure needs beside answers (parameters, national weights). For any other gap `why_not` says what stands in the way: no
indicator file, a series that is not computed, an adapted definition.
"""

from __future__ import annotations

import functools
from typing import Final

import polars as pl

from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.derive import asked
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator, Series
from lnob_pipeline.mappings.strata import TOTAL

GAP_STATUSES: Final = ("no_series", "none_since_2015", "withheld", "not_provided", "never_reported")
"""The statuses that are gaps: not reported, though the cell applies and the snapshot would show it."""

EVERYBODY: Final = "everybody"


def with_closing(cells: pl.LazyFrame, mappings: Mappings) -> pl.LazyFrame:
    """Add `closing_questions` (in the order of the bank, joined by ',') and `closing_group` to the cells.

    `cells` has iso3, indicator, series, stratum and status. Both columns are empty where the cell is no gap, or where
    no question closes it.
    """
    strata = (
        cells.select("stratum")
        .unique()
        .with_columns(pl.col("stratum").str.split(";").alias("cell"))
        .explode("cell")
        .join(_of_categories(mappings).lazy(), on="cell", how="left", maintain_order="left")
        .group_by("stratum", maintain_order=True)
        .agg(
            pl.col("of_category").explode().drop_nulls(),
            pl.col("label").str.join(", ").alias("closing_group"),
        )
        .with_columns(
            pl.when(pl.col("stratum") == TOTAL)
            .then(pl.lit(EVERYBODY))
            .otherwise("closing_group")
            .alias("closing_group")
        )
    )
    order = pl.DataFrame({"name": list(mappings.variables)}).with_row_index("place")
    wanted = (
        cells.filter(pl.col("status").is_in(GAP_STATUSES))
        .select("iso3", "indicator", "series", "stratum")
        .join(_of_series(mappings).lazy(), on=["iso3", "indicator", "series"])
        .join(strata, on="stratum")
    )
    # The same questions stand behind many cells: each pair of series and stratum is put in order once.
    pairs = (
        wanted.select("of_series", "stratum", "of_category")
        .unique(["of_series", "stratum"])
        .with_columns(pl.concat_list(pl.col("of_series").str.split(","), "of_category").alias("name"))
        .explode("name")
        .join(order.lazy(), on="name")
        .unique(["of_series", "stratum", "name"])
        .sort("place")
        .group_by("of_series", "stratum", maintain_order=True)
        .agg(pl.col("name").str.join(",").alias("closing_questions"))
    )
    found = wanted.join(pairs, on=["of_series", "stratum"]).select(
        "iso3", "indicator", "series", "stratum", "closing_questions", "closing_group"
    )
    return cells.join(found, on=["iso3", "indicator", "series", "stratum"], how="left").with_columns(
        pl.col("closing_questions", "closing_group").fill_null("")
    )


@functools.lru_cache(maxsize=4)
def _of_series(mappings: Mappings) -> pl.DataFrame:
    """iso3, series, indicator and the questions that give the series there; computed once for a library."""
    return pl.DataFrame(
        [
            {"iso3": iso3, "series": series.code, "indicator": code, "of_series": ",".join(questions)}
            for code, indicator in mappings.indicators.items()
            for series in indicator.series
            for iso3 in mappings.countries
            if why_not(indicator, series, iso3, mappings) is None
            and (questions := questions_of_series(series, mappings))
        ],
        schema=dict.fromkeys(("iso3", "series", "indicator", "of_series"), pl.String),
    )


@functools.lru_cache(maxsize=4)
def _of_categories(mappings: Mappings) -> pl.DataFrame:
    """Cell of a stratum (sex=F), the questions that tell who is in it, and its label; computed once for a library."""
    return pl.DataFrame(
        [
            {
                "cell": f"{name}={code}",
                "of_category": questions_of_category(name, code, mappings),
                "label": category.label,
            }
            for name in mappings.breakdowns
            for code, category in mappings.categories(name).items()
        ],
        schema={"cell": pl.String, "of_category": pl.List(pl.String), "label": pl.String},
    )


def questions_of_series(series: Series, mappings: Mappings) -> list[str]:
    """The questions that the measure of a series needs, in the order of the bank; none where it has no measure."""
    if series.measure is None:
        return []
    needed = measures.questions(series.measure, mappings, optional=False)
    return [name for name in mappings.variables if name in needed]


def questions_of_category(breakdown: str, category: str, mappings: Mappings) -> list[str]:
    """The questions that tell who is in a category of a breakdown, in the order of the bank."""
    needed = asked(parse(mappings.categories(breakdown)[category].when).variables, mappings, optional=False)
    return [name for name in mappings.variables if name in needed]


def why_not(indicator: Indicator | None, series: Series | None, iso3: str, mappings: Mappings) -> str | None:
    """Why no question of the bank closes a gap of a series, as a sentence; None where questions do."""
    if indicator is None or series is None:
        what = "has no file for the indicator" if indicator is None else "does not hold this series"
        return f"the indicator library {what}: it names no question that would close the gap"
    if series.measure is None:
        return f"the library does not compute the series from answers: {series.not_computed_because}"
    if "household_survey" not in indicator.served_by:
        return "no household survey serves the indicator"
    if series.match != "exact":
        return (
            f"the questions of the bank give it by another definition ({series.match}), so that an answer informs "
            f"the gap and does not close it: {series.adapted_because}"
        )
    reason = measures.lacking(series.measure, mappings, iso3)
    return f"the questions are there, but {reason}" if reason else None
