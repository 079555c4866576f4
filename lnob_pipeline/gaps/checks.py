"""Checks of stage 6: what must hold of the gap table whatever the data."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.gaps.coverage import ALL, EFFECTS

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
    dg.AssetCheckSpec(
        "cells_add_up",
        asset="coverage",
        blocking=True,
        description="Every expected cell is counted once in each breakdown, and judged cells are reported or a gap",
    ),
]


def check_results(lake: Path) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks on the tables as written."""
    gaps, comparison, coverage = (
        storage.read_table(lake, table) for table in (tables.DATA_GAPS, tables.COMPARISON, tables.COVERAGE)
    )
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
    whole = coverage.filter(pl.col("category") == ALL)
    parts = pl.sum_horizontal("n_reported", *(f"n_{effect}" for effect in EFFECTS))
    uneven = coverage.filter(pl.col("n_judged") != parts).height
    uncounted = gaps.height - int(whole["n_expected"].sum())
    yield dg.AssetCheckResult(
        check_name="cells_add_up",
        asset_key="coverage",
        passed=uneven == 0 and uncounted == 0,
        metadata={"uneven": uneven, "uncounted": uncounted, "cells": gaps.height},
    )
