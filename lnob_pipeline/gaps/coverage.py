"""The expected cells counted by country, goal and breakdown.

Here: counting DATA_GAPS. Not here: judging a cell (typology.py). Several definitions of "there is data" stand side by
side: at least one year since the base year, two years (UNSD data portal), two years of the country's own figures
(World Bank Statistical Performance Indicators; natures C and CA).

A gap is a judged cell that is not reported. A missing stratum of a missing headline is the same gap as the headline: it
is counted once, under the headline, and is not judged for itself. What citizen data does to that stratum stands in
DATA_GAPS. For every row n_judged is n_reported and the sum of n_could_close, n_informs, n_illustrates, n_not_shown
(after disclosure control) and n_nothing_yet.
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import COVERAGE


def coverage(data_gaps: pl.DataFrame) -> pl.DataFrame:
    """The table COVERAGE of a table DATA_GAPS."""
    headline = pl.col("stratum") == TOTAL
    reported = pl.col("status") == "reported"
    applicable = pl.col("status") != "not_applicable"
    counted = headline | reported | (pl.col("headline_status") == "reported")
    judged = applicable & (pl.col("status") != "not_loaded") & counted
    two_years = reported & (pl.col("n_years_since_base") >= 2)
    # With two years or more the flag says exactly that fewer than two of them are the country's own.
    owned = two_years & ~pl.col("flags").str.split(",").list.contains("not_country_owned")
    breakdown = (
        pl.when(headline)
        .then(pl.lit("headline"))
        .otherwise(pl.col("stratum").str.replace_all("=[^;]*", "").str.replace_all(";", " x ", literal=True))
    )
    effects = {
        "n_could_close": ["could_close", "closes"],
        "n_informs": ["informs"],
        "n_illustrates": ["illustrates"],
        "n_not_shown": ["not_shown"],
        "n_nothing_yet": ["nothing_yet"],
    }
    counted_cells = {
        "n_applicable": applicable,
        "n_judged": judged,
        "n_reported": reported,
        "n_two_years": two_years,
        "n_country_owned": owned,
        **{name: judged & ~reported & pl.col("citizen_effect").is_in(which) for name, which in effects.items()},
    }
    counts = (
        data_gaps.lazy()
        .with_columns(pl.col("indicator").str.extract(r"^(\d+)\.").alias("goal"), breakdown.alias("breakdown"))
        .group_by("iso3", "goal", "breakdown")
        .agg(pl.len().alias("n_expected"), *(cells.sum().alias(name) for name, cells in counted_cells.items()))
    )
    return in_form(counts.collect(), COVERAGE)
