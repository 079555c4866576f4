"""The expected cells counted by country, goal, breakdown and category.

Here: counting DATA_GAPS. Not here: judging a cell (typology.py). The published definitions of "there is data" stand
side by side, each in a column of its own: UNSD's three data point types (one year since the base year; two years; two
years since and two before), each for values of any nature, of nature C, and of C or CA (its CNA).

Every expected cell is in one of: not applicable, not loaded, under a missing headline, judged. A gap is a judged cell
that is not reported. A missing stratum of a missing headline is the same gap as the headline: it is counted once, under
the headline, and is not judged for itself; `n_with_headline` counts such cells and `n_with_headline_citizen` those of
them that citizen data speaks of. For every row n_judged is n_reported and the sum of n_closes, n_could_close,
n_informs, n_illustrates, n_not_shown (after disclosure control) and n_nothing_yet.

The row of the category `_all` is the sum over the categories of its breakdown; a sum over goals or countries is over
rows of one category. Sources: UNSD DataAvailability (dataPointType 1 to 3, natureOfData All, C, CNA).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import COVERAGE

ALL: Final = "_all"
"""The category that stands for all categories of a breakdown."""
HEADLINE: Final = "headline"

EFFECTS: Final = ("closes", "could_close", "informs", "illustrates", "not_shown", "nothing_yet")
SAYS_SOMETHING: Final = EFFECTS[:4]
NATURES: Final = {"": "base", "_country_data": "country_data", "_country": "country"}
"""Ending of a count -> whose years it counts: of any nature, of nature C, of C or CA."""


def coverage(data_gaps: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """The table COVERAGE of a table DATA_GAPS."""
    cells = (
        data_gaps.lazy()
        .with_columns(pl.col("indicator").str.extract(r"^(\w+)\.").alias("goal"))
        .join(_strata(data_gaps), on="stratum")
        .with_columns(holds().alias("holds"))
        .unnest("holds")
    )
    counted = [name for name in COVERAGE.schema if name.startswith("n_") and name != "n_expected"]
    counts = [pl.len().alias("n_expected"), *(pl.col(name).sum() for name in counted)]
    by_category = cells.filter(pl.col("category") != ALL).group_by("iso3", "goal", "breakdown", "category").agg(counts)
    whole = cells.group_by("iso3", "goal", "breakdown").agg(pl.lit(ALL).alias("category"), *counts)
    return in_form(pl.concat([by_category, whole], how="diagonal").collect(), COVERAGE)


def holds() -> pl.Expr:
    """A struct over a row of DATA_GAPS: for each count of COVERAGE (n_reported ...) whether the cell is in it."""
    headline, status = pl.col("stratum") == TOTAL, pl.col("status")
    reported, applicable, not_loaded = (
        status == "reported",
        status != "not_applicable",
        status == "not_loaded",
    )
    counted = headline | reported | (pl.col("headline_status") == "reported")
    judged = applicable & ~not_loaded & counted
    with_headline = applicable & ~not_loaded & ~counted
    gap, effect = judged & ~reported, pl.col("citizen_effect")
    return pl.struct(
        applicable.alias("n_applicable"),
        not_loaded.alias("n_not_loaded"),
        with_headline.alias("n_with_headline"),
        judged.alias("n_judged"),
        reported.alias("n_reported"),
        *(
            (reported & condition).alias(f"{name}{suffix}")
            for suffix, of in NATURES.items()
            for name, condition in _data_point_types(of).items()
        ),
        *((gap & (effect == name)).alias(f"n_{name}") for name in EFFECTS),
        (with_headline & effect.is_in(SAYS_SOMETHING)).alias("n_with_headline_citizen"),
    )


def _data_point_types(of: str) -> dict[str, pl.Expr]:
    """UNSD's data point types 1 to 3 over the years of one nature of data."""
    since, before = ("since_base", "before_base") if of == "base" else (of, f"{of}_before_base")
    years, earlier = pl.col(f"n_years_{since}"), pl.col(f"n_years_{before}")
    return {
        "n_one_year": years >= 1,
        "n_two_years": years >= 2,
        "n_two_years_and_baseline": (years >= 2) & (earlier >= 2),
    }


def _strata(data_gaps: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """Each stratum with its breakdown and its category; a crossing has the category `_all`."""
    pairs = pl.col("stratum").str.split(";")
    names = pairs.list.eval(pl.element().str.extract(r"^([^=]*)="))
    single = (pairs.list.len() == 1) & (pl.col("stratum") != TOTAL)
    return (
        data_gaps.lazy()
        .select(pl.col("stratum").unique())
        .with_columns(
            pl.when(pl.col("stratum") == TOTAL)
            .then(pl.lit(HEADLINE))
            .otherwise(names.list.join(" x "))
            .alias("breakdown"),
            pl.when(single).then(pl.col("stratum").str.extract(r"=(.*)$")).otherwise(pl.lit(ALL)).alias("category"),
        )
    )
