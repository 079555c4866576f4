"""Checks of stage 3: that persons and households belong together."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.partitions import SUBMISSIONS

with warnings.catch_warnings():
    # A partition on a check is a preview in Dagster 1.13; without it the UI could not tell whose check failed.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        dg.AssetCheckSpec(
            "every_person_has_a_household",
            asset=tables.PERSON_KEYS.name,
            description="The household of every person is among the households",
            partitions_def=SUBMISSIONS,
        )
    ]


def check_results(lake: Path, key: str) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the check on the tables as written: numbers of rows alone."""
    persons, households = (
        pl.scan_parquet(storage.table_path(lake, table, key)).select("household_key")
        for table in (tables.PERSON_KEYS, tables.HOUSEHOLD_KEYS)
    )
    alone = persons.join(households, on="household_key", how="anti").select(pl.len()).collect().item()
    yield dg.AssetCheckResult(
        check_name="every_person_has_a_household",
        asset_key=tables.PERSON_KEYS.name,
        passed=alone == 0,
        metadata={"without_household": alone},
    )
