"""Checks of stage 4: what must hold of every estimate, whatever the survey."""

import warnings
from collections.abc import Iterator

import dagster as dg
import polars as pl

from lnob_pipeline.automation.partitions import SUBMISSIONS

with warnings.catch_warnings():
    # A partition on a check is a preview in Dagster 1.13; without it the UI could not tell whose check failed.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        dg.AssetCheckSpec(
            "interval_encloses_estimate",
            asset="citizen_estimates",
            description="Every estimate lies inside its interval",
            partitions_def=SUBMISSIONS,
        ),
        dg.AssetCheckSpec(
            "errors_of_probability_samples_alone",
            asset="citizen_estimates",
            description="No other sample has a standard error or an interval",
            partitions_def=SUBMISSIONS,
        ),
    ]


def check_results(estimates: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks on the table as written: numbers of rows, no estimate."""
    estimate, low, high = (pl.col(name) for name in ("estimate", "ci_low", "ci_high"))
    # Rounded to nine decimals when written.
    outside = estimates.filter((estimate < low - 1e-8) | (estimate > high + 1e-8)).height
    yield dg.AssetCheckResult(
        check_name="interval_encloses_estimate",
        asset_key="citizen_estimates",
        passed=outside == 0,
        metadata={"outside": outside, "with_interval": estimates["ci_low"].count()},
    )
    with_error = pl.any_horizontal(pl.col("standard_error", "ci_low", "ci_high").is_not_null())
    wrong = estimates.filter((pl.col("sampling_method") != "probability") & with_error).height
    yield dg.AssetCheckResult(
        check_name="errors_of_probability_samples_alone",
        asset_key="citizen_estimates",
        passed=wrong == 0,
        metadata={"wrong": wrong},
    )
