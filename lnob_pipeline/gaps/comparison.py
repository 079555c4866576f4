"""Official and citizen figures of the same country, series and stratum, side by side.

Here: which official value stands beside which citizen estimate, in what relation, and what differs between the two. Not
here: what is missing (typology.py), what may be shown (publication). The official columns hold official values only.

Only a class A estimate of the whole country stands on one line with an official series. Every other estimate stands
beside it and `differences` names why; a local sample is never wrong for differing from a national figure. A component
stands alone under its own code: no official figure is ever joined to it.

Units. The official value and its bounds are in the unit of the row: a share becomes percent. Where the published unit
is another and no factor is known, nothing is judged and `differences` says so; the value's text stays as published.

Source: the rules for figures beside a citizen estimate in the project's gap typology; the test of a difference of two
independent estimates is the usual one (1.96 standard errors of the difference).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import polars as pl

from lnob_pipeline.gaps.expected import (
    CELL,
    COMPONENT_PREFIX,
    MODELLED,
    NATURE_ORDER,
    by_cell,
    expected_cells,
    known_observations,
)
from lnob_pipeline.gaps.lineage import with_lineage
from lnob_pipeline.mappings.framework import ANY
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import COMPARISON, STRATUM_DIMENSIONS

WHOLE: Final = {"PERCENT": 100.0, "PT": 100.0, "PER_MARW_20T24Y": 100.0, "SHARE": 1.0, "PROPORTION": 1.0}
"""Units that say a part of a whole -> the number that is the whole. PER_MARW_20T24Y is the per cent of the women of 20
to 24 years, as the database codes it; PT is per cent in SDMX."""
Z: Final = 1.96
"""The 0.975 quantile of the normal distribution, as the rule states it."""

_CITIZEN_COLUMNS: Final = {
    "year": "citizen_year",
    "estimate": "citizen_estimate",
    "standard_error": "citizen_standard_error",
    "ci_low": "citizen_ci_low",
    "ci_high": "citizen_ci_high",
    "n": "citizen_n",
    "population": "citizen_population",
    "area_level": "citizen_area_level",
    "area": "citizen_area",
    "reliability": "citizen_reliability",
    "status": "citizen_status",
}
_CARRIED: Final = (
    "submission_id",
    "unit",
    "comparability",
    "comparability_reason",
    "sampling_method",
    "questions",
    "instrument",
    "mapping_version",
)
OF_THE_PAIR: Final = ("discrepancy", "differs_from_model")
"""Flags of a gap that stand in `flags` of the row that they are about, and are hidden with it."""


OF_THE_GAP: Final = ("gap_status", "gap_flags", "closing_questions")
"""Columns that `with_gaps` fills."""


def compare(
    official_observations: pl.DataFrame,
    sdg_catalogue: pl.DataFrame,
    citizen_estimates: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    *,
    official_releases: pl.DataFrame | None = None,
    areas: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """The table COMPARISON: every citizen estimate, and every expected cell that only official figures fill.

    Beside an estimate stands the latest usable official value of the same cell, whatever its year. official_releases:
    the table of that name, for the words of the figures in use. areas: as for `expected_cells`. What the gap table says
    of the cell is added by `with_gaps`. A cell without a whole (its slice holds `*`) has figures of parts only: none of
    them stands here. Raises ValueError where there is no catalogue.
    """
    release = official_release(sdg_catalogue)
    parts = pl.col("slices").list.eval(pl.element().str.contains(ANY, literal=True)).list.any()
    cells = expected_cells(mappings, sdg_catalogue, areas).filter(~parts.fill_null(value=False))
    official = latest_official(official_observations, cells, settings)
    citizen = citizen_side(citizen_estimates)
    versions = cells.select("indicator", "definition_version", "official_definition_versions").unique()
    beside = citizen.join(official, on=CELL, how="left").join(versions, on="indicator", how="left")
    alone = (
        cells.select(*CELL, *STRATUM_DIMENSIONS, "unit", "definition_version", "official_definition_versions")
        .join(official, on=CELL, how="inner")
        .join(citizen, on=CELL, how="anti")
    )
    rows = pl.concat([beside, alone], how="diagonal").with_columns(
        pl.lit(release).alias("official_release"),
        pl.lit(snapshot_label(official_releases), dtype=pl.String).alias("official_snapshot"),
        pl.coalesce("computed_version", "definition_version").alias("definition_version"),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in OF_THE_GAP),
    )
    judged = (
        in_one_unit(rows)
        .with_columns(_relation().alias("relation"), same_definition().alias("same_definition"))
        .with_columns(_differences().alias("differences"))
        .with_columns(_flags(settings).alias("flags"))
        .pipe(with_lineage, mappings)
    )
    return in_form(judged.collect(), COMPARISON)


def without_flags_of_the_pair(flags: pl.Expr) -> pl.Expr:
    """Flags joined by ',' without those that say how far a citizen number lies from an official one."""
    kept = pl.element().filter(~pl.element().is_in(OF_THE_PAIR))
    return flags.str.split(",").list.eval(kept).list.join(",")


def with_gaps(comparison: pl.DataFrame, data_gaps: pl.DataFrame) -> pl.DataFrame:
    """COMPARISON with what DATA_GAPS says of each cell: gap_status, gap_flags, closing_questions; null for a component.

    The flags that are about a pair of figures are left out: they stand in `flags` of their row.
    """
    flags = without_flags_of_the_pair(pl.col("flags"))
    said = data_gaps.lazy().select(
        *CELL, pl.col("status").alias("gap_status"), flags.alias("gap_flags"), "closing_questions"
    )
    joined = comparison.lazy().drop(OF_THE_GAP).join(said, on=CELL, how="left", validate="m:1")
    return in_form(joined.collect(), COMPARISON)


def official_release(sdg_catalogue: pl.DataFrame) -> str:
    """The release of the catalogue. Raises ValueError where the catalogue is empty: silence would look like gaps."""
    if sdg_catalogue.is_empty():
        raise ValueError("the official catalogue is empty; run stage 5 (official) first, otherwise all would be a gap")
    return str(sdg_catalogue["release"].max())


def snapshot_label(official_releases: pl.DataFrame | None) -> str | None:
    """The official figures in use in a few words: release, how and when they came; None where that is not known."""
    if official_releases is None or official_releases.filter(pl.col("state") == "in_use").is_empty():
        return None
    used = official_releases.filter(pl.col("state") == "in_use").sort("release", "fetched").row(-1, named=True)
    how = {"sdmx": "fetched as SDMX", "file": "bulk download, fetched", "bundled": "bundled, of"}
    return f"UN Global SDG Database, release {used['release']} ({how.get(used['route'], 'fetched')} {used['fetched']})"


def citizen_side(citizen_estimates: pl.DataFrame) -> pl.LazyFrame:
    """The citizen estimates under the names that COMPARISON gives them, with the version that was computed."""
    return citizen_estimates.lazy().select(
        *CELL,
        *STRATUM_DIMENSIONS,
        *_CARRIED,
        pl.col("definition_version").alias("computed_version"),
        *(pl.col(source).alias(name) for source, name in _CITIZEN_COLUMNS.items()),
    )


def latest_official(official_observations: pl.DataFrame, cells: pl.LazyFrame, settings: Settings) -> pl.LazyFrame:
    """The latest usable official value of each cell that has one; in one year the country's own figure goes first."""
    rank = pl.col("nature").replace_strict(
        {nature: place for place, nature in enumerate(NATURE_ORDER)}, default=len(NATURE_ORDER), return_dtype=pl.Int32
    )
    latest = (
        by_cell(known_observations(official_observations, settings).filter("usable"), cells)
        .with_columns(rank.alias("rank"))
        .sort(
            *CELL,
            "year",
            "rank",
            "slice_number",
            "value_text",
            descending=[False] * len(CELL) + [True, False, False, False],
        )
        .unique(CELL, keep="first", maintain_order=True)
    )
    return latest.select(
        *CELL,
        pl.col("year").alias("official_year"),
        pl.col("value_text").alias("official_value_text"),
        pl.col("value").alias("official_value"),
        pl.col("nature").alias("official_nature"),
        "value_flag",
        pl.col("units").alias("official_unit"),
        pl.col("source").alias("official_source"),
        pl.coalesce("value", "lower").alias("official_low"),
        pl.coalesce("value", "upper").alias("official_high"),
        "lower_bound",
        "upper_bound",
    )


def in_one_unit(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The official figures in the unit of the row, with `factor` (null where the two units do not meet).

    Adds `official_lower` and `official_upper`: the published bounds where they enclose the value, else the ends of a
    censored value. Bounds that enclose it only as percentages of a share, or as shares of a percentage, are read so;
    others say nothing of the value and are left out (`odd_bounds`).
    """
    unit, published = pl.col("unit").str.to_uppercase(), pl.col("official_unit").str.strip_chars().str.to_uppercase()
    whole = unit.replace_strict(WHOLE, default=None, return_dtype=pl.Float64)
    factor = (
        pl.when(published.is_null() | (published == unit))
        .then(1.0)
        .otherwise(whole / published.replace_strict(WHOLE, default=None, return_dtype=pl.Float64))
    )
    numbers = ("official_value", "official_low", "official_high", "lower_bound", "upper_bound")
    lower, value, upper = (pl.col(name) for name in ("lower_bound", "official_value", "upper_bound"))

    def enclosed(scale: float) -> pl.Expr:
        return (lower * scale).le(value).fill_null(True) & (upper * scale).ge(value).fill_null(True)

    scale = (
        pl.when(enclosed(1.0)).then(1.0).when(whole.is_not_null() & enclosed(100.0)).then(100.0)
        .when(whole.is_not_null() & enclosed(0.01)).then(0.01)
    )  # fmt: skip
    some_bound = value.is_not_null() & (lower.is_not_null() | upper.is_not_null())
    return (
        rows.with_columns(whole.alias("whole"), factor.alias("factor"))
        .with_columns(pl.col(name) * pl.col("factor").fill_null(1.0) for name in numbers)
        .with_columns(scale.alias("scale"))
        .with_columns(
            (some_bound & pl.col("scale").is_null()).alias("odd_bounds"),
            lower * pl.col("scale"),
            upper * pl.col("scale"),
        )
        .with_columns(
            pl.coalesce("lower_bound", pl.when(value.is_null()).then("official_low")).alias("official_lower"),
            pl.coalesce("upper_bound", pl.when(value.is_null()).then("official_high")).alias("official_upper"),
        )
    )


def is_component() -> pl.Expr:
    """Whether a row is a component, by its code: never a figure of the official series."""
    return pl.col("series").str.starts_with(COMPONENT_PREFIX)


def same_definition() -> pl.Expr:
    """Whether the definition that was computed is one that the official series follows."""
    return pl.col("official_definition_versions").list.contains(pl.col("computed_version")).fill_null(False)


def comparable() -> pl.Expr:
    """Whether a citizen estimate is of class A and of the whole country, from a probability sample."""
    return (
        (pl.col("comparability") == "A")
        & (pl.col("citizen_area_level") == "national")
        & (pl.col("sampling_method") == "probability")
        & (pl.col("citizen_status") == "estimated")
        & pl.col("citizen_estimate").is_not_null()
    ).fill_null(False)


def _relation() -> pl.Expr:
    return (
        pl.when(pl.col("submission_id").is_null())
        .then(pl.lit("official_only"))
        .when(pl.col("official_year").is_null())
        .then(pl.lit("citizen_only"))
        .when(comparable())
        .then(pl.lit("same_line"))
        .otherwise(pl.lit("beside"))
    )


def _differences() -> pl.Expr:
    """What differs, in words, joined by ' | '; empty where only one of the two is there or nothing differs.

    A component says what it is a component of.
    """
    official_versions = pl.col("official_definition_versions").list.join(", ")
    years = (pl.col("official_year") - pl.col("citizen_year")).abs()
    area = pl.when(pl.col("citizen_area").is_null()).then(pl.lit("a part of it")).otherwise(pl.col("citizen_area"))
    nature = pl.col("official_nature").replace_strict(
        {
            "E": "estimated by the agency (E)",
            "M": "modelled by the agency (M)",
            "G": "global monitoring figure without a national counterpart (G)",
            "NA": "nature of the official figure not known",
        },
        default=None,
        return_dtype=pl.String,
    )
    differences = [
        pl.when(~pl.col("same_definition")).then(
            pl.format("definition: version {} against {}", pl.col("computed_version"), official_versions)
        ),
        pl.when(pl.col("comparability") == "C").then(pl.format("definition: {}", pl.col("comparability_reason"))),
        pl.when(pl.col("citizen_area_level") != "national").then(
            pl.format("area: {} ({}) against the country", area, pl.col("citizen_area_level"))
        ),
        pl.when((pl.col("sampling_method") != "probability") | (pl.col("comparability") == "B")).then(
            pl.format("population: {}", pl.col("citizen_population"))
        ),
        pl.when(years > 0).then(
            pl.format("year: {} against {}, {} apart", pl.col("citizen_year"), pl.col("official_year"), years)
        ),
        pl.when(pl.col("sampling_method") != "probability").then(
            pl.format("sampling: {}, no interval", pl.col("sampling_method"))
        ),
        pl.when(pl.col("factor").is_null()).then(
            pl.format("unit: {} against {}", pl.col("unit"), pl.col("official_unit"))
        ),
        pl.when(nature.is_not_null()).then(pl.format("nature: {}", nature)),
        pl.when(pl.col("value_flag").is_in(["below", "above"])).then(
            pl.format("precision: the official value is censored ({})", pl.col("official_value_text"))
        ),
        pl.when("odd_bounds").then(pl.lit("precision: the published bounds do not enclose the official value")),
    ]
    text = pl.concat_str(differences, separator=" | ", ignore_nulls=True)
    return (
        pl.when(is_component())
        .then(pl.format("component of {}, not the official series", pl.col("indicator")))
        .when(pl.col("relation").is_in(["same_line", "beside"]))
        .then(text)
        .otherwise(pl.lit(""))
    )


def _flags(settings: Settings) -> pl.Expr:
    """`discrepancy`, or `differs_from_model` where the official nature is E or M; else empty.

    Judged on one line only, for the same definition version and unit, within the window of years, and not for too few
    cases. With bounds on both sides: the wider half of the published bounds is read as 1.96 standard errors, and the
    distance has to exceed 1.96 standard errors of the difference. Without: the official value has to lie outside the
    citizen interval by more than `discrepancy_points`, percentage points; in a unit that is no part of a whole it is
    not judged without bounds. A censored value is the whole interval it stands for: the distance is to its nearer end.
    """
    low = pl.col("official_low").fill_null(0.0)
    high = pl.coalesce("official_high", "whole", pl.lit(math.inf))
    estimate = pl.col("citizen_estimate")
    distance = pl.max_horizontal(low - estimate, estimate - high, pl.lit(0.0))
    half = pl.max_horizontal(
        pl.col("official_value") - pl.col("lower_bound"), pl.col("upper_bound") - pl.col("official_value")
    )
    has_error = pl.all_horizontal(
        pl.col("official_value", "lower_bound", "upper_bound", "citizen_standard_error").is_not_null()
    )
    error = (pl.col("citizen_standard_error").pow(2) + (half / Z).pow(2)).sqrt()
    outside = (high < pl.col("citizen_ci_low")) | (low > pl.col("citizen_ci_high"))
    points = settings.discrepancy_points / 100 * pl.col("whole")
    differs = pl.when(has_error).then(distance > Z * error).otherwise((outside & (distance > points)).fill_null(False))
    judged = (
        (pl.col("relation") == "same_line")
        & pl.col("same_definition")
        & pl.col("factor").is_not_null()
        & (pl.col("citizen_reliability") != "too_few_cases").fill_null(False)
        & ((pl.col("official_year") - pl.col("citizen_year")).abs() <= settings.comparison_window_years)
    )
    name = (
        pl.when(pl.col("official_nature").is_in(MODELLED))
        .then(pl.lit("differs_from_model"))
        .otherwise(pl.lit("discrepancy"))
    )
    return pl.when(judged & differs).then(name).otherwise(pl.lit(""))
