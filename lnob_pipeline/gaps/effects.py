"""What citizen data does to a gap: closes it, could close it, informs or illustrates it.

Here: the strongest effect on each cell and the submissions behind it. Not here: the gap itself (typology.py), which
questions would close it (closing.py).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from lnob_pipeline.gaps.comparison import citizen_side, comparable, same_definition
from lnob_pipeline.gaps.decisions import accepted_submissions
from lnob_pipeline.gaps.expected import CELL
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings

EFFECTS: Final = ("nothing_yet", "illustrates", "informs", "could_close", "closes")
"""What citizen data does to a gap, from the weakest to the strongest."""


def _illustrated(mappings: Mappings) -> pl.LazyFrame:
    """Component -> each series that it illustrates."""
    rows = []
    for indicator in mappings.indicators.values():
        series = [item.code for item in indicator.series if item.measure is None] or [i.code for i in indicator.series]
        rows += [(component.code, code) for component in indicator.components for code in series]
    return pl.LazyFrame(rows, schema={"component": pl.String, "illustrated": pl.String}, orient="row")


def _former_codes(cells: pl.LazyFrame, mappings: Mappings) -> dict[str, str]:
    """Series of the library -> the code that the release still has it under, where that one alone is expected."""
    there = set(cells.select("series").unique().collect()["series"])
    renamed = mappings.framework.series.filter(pl.col("renamed_to") != "").select("renamed_to", "series")
    return {now: former for now, former in renamed.iter_rows() if now not in there and former in there}


def effects(
    citizen_estimates: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    decisions: pl.DataFrame,
    cells: pl.LazyFrame,
    mappings: Mappings,
    settings: Settings,
) -> pl.LazyFrame:
    """CELL, citizen_effect (the strongest) and the submissions behind it.

    could_close: class A, probability sample of the country, definition of the official series, collected within the
    window of years before the as-of year, reliable; closes: the statistics office has accepted the submission as well.
    Every other estimate informs its own stratum; one of too few cases says nothing. A component illustrates the same
    stratum of the series of its indicator that are not computed (of all, where all are). Evidence illustrates the
    headline of its indicator and, where it names a group (women and men of a score card included), the stratum of the
    group.
    """
    versions = cells.select("indicator", "official_definition_versions").drop_nulls().unique()
    estimates = (
        citizen_side(citizen_estimates)
        .with_columns(pl.col("series").replace(_former_codes(cells, mappings)))
        .join(_illustrated(mappings), left_on="series", right_on="component", how="left")
        .with_columns(
            pl.col("illustrated").is_not_null().alias("is_component"),
            pl.coalesce("illustrated", "series").alias("series"),
        )
        .join(versions, on="indicator", how="inner")
    )
    says_something = (
        (pl.col("citizen_status") == "estimated")
        & pl.col("citizen_estimate").is_not_null()
        & (pl.col("citizen_reliability") != "too_few_cases").fill_null(False)
    )
    first_year = settings.as_of_year - settings.comparison_window_years
    could_close = (
        comparable()
        & same_definition()
        & pl.col("citizen_year").is_between(first_year, settings.as_of_year)
        & (pl.col("citizen_reliability") == "reliable")
    )
    accepted = accepted_submissions(decisions).with_columns(pl.lit(True).alias("accepted"))
    from_estimates = (
        estimates.filter(says_something)
        .join(accepted, on="submission_id", how="left")
        .select(
            *CELL,
            "submission_id",
            pl.when("is_component")
            .then(EFFECTS.index("illustrates"))
            .when(could_close & pl.col("accepted").fill_null(False))
            .then(EFFECTS.index("closes"))
            .when(could_close)
            .then(EFFECTS.index("could_close"))
            .otherwise(EFFECTS.index("informs"))
            .cast(pl.Int32)
            .alias("strength"),
        )
    )
    evidence = citizen_evidence.lazy().filter(pl.col("comparability").is_in(["D", "E"]))
    group = pl.col("marginalised_group")
    strata = (
        pl.lit(TOTAL),
        pl.when(group.is_in(list(mappings.categories("sex")))).then(pl.format("sex={}", group)),
        pl.when(group.is_in(list(mappings.groups))).then(pl.format("marginalised_group={}", group)),
    )
    from_evidence = (
        pl.concat([evidence.select("iso3", "indicator", "submission_id", item.alias("stratum")) for item in strata])
        .drop_nulls("stratum")
        .unique()
        .join(cells.select(CELL), on=["iso3", "indicator", "stratum"])
        .select(*CELL, "submission_id", pl.lit(EFFECTS.index("illustrates"), dtype=pl.Int32).alias("strength"))
    )
    strongest = pl.col("strength") == pl.col("strength").max()
    return (
        pl.concat([from_estimates, from_evidence])
        .group_by(CELL)
        .agg(
            pl.col("strength").max(),
            pl.col("submission_id").filter(strongest).unique().sort().str.join(",").alias("citizen_submissions"),
        )
        .with_columns(
            pl.col("strength").replace_strict(dict(enumerate(EFFECTS)), return_dtype=pl.String).alias("citizen_effect")
        )
    )
