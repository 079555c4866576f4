"""Checks of stage 1: whether a manifest can be used at all."""

import warnings
from collections.abc import Iterator

import dagster as dg

from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.pipeline import Step

with warnings.catch_warnings():
    # A partition on a check is a preview in Dagster 1.13; without it the UI could not tell whose check failed.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        dg.AssetCheckSpec(
            "manifest_usable",
            asset="submissions",
            description="The manifest can be read and says what it must",
            blocking=True,
            partitions_def=SUBMISSIONS,
        )
    ]


def check_results(step: Step) -> Iterator[dg.AssetCheckResult]:
    """One result: the number of things to mend in the manifest, never what it says."""
    yield dg.AssetCheckResult(
        check_name="manifest_usable",
        asset_key="submissions",
        passed=not step.problems,
        metadata={"to_mend": len(step.problems)},
    )
