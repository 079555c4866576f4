"""Checks of stage 6: what must hold of the gap table whatever the data."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

CHECKS = [
    dg.AssetCheckSpec(
        "one_row_a_cell", asset="data_gaps", blocking=True, description="Every expected cell stands once"
    ),
    dg.AssetCheckSpec(
        "same_line_is_class_a",
        asset="comparison",
        blocking=True,
        description="Only class A of the same area stands on one line with an official value",
    ),
]


def check_results(gaps: pl.DataFrame, comparison: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks on the tables as written."""
    twice = gaps.height - gaps.select("iso3", "indicator", "series", "stratum").n_unique() if gaps.height else 0
    yield dg.AssetCheckResult(
        check_name="one_row_a_cell", asset_key="data_gaps", passed=twice == 0, metadata={"twice": twice}
    )
    same_line = pl.col("relation") == "same_line"
    allowed = (pl.col("comparability") == "A") & (pl.col("citizen_area_level") == "national")
    wrong = comparison.filter(same_line & ~allowed.fill_null(value=False)).height
    yield dg.AssetCheckResult(
        check_name="same_line_is_class_a", asset_key="comparison", passed=wrong == 0, metadata={"wrong": wrong}
    )
