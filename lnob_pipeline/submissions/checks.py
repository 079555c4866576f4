"""Checks of stage 1: whether a manifest can be used at all, and whether raw files are past their date."""

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


STATUS_CHECKS = [
    dg.AssetCheckSpec(
        "nothing_is_past_its_date",
        asset="submission_status",
        description="No raw file is kept longer than its agreement allows; `lnob retention` lists and deletes them",
    )
]


def status_results(step: Step) -> Iterator[dg.AssetCheckResult]:
    """One result: how many raw files are past the date of their agreement."""
    late = int(step.numbers["past_retention"])
    yield dg.AssetCheckResult(
        check_name="nothing_is_past_its_date",
        asset_key="submission_status",
        passed=late == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"past_retention": late},
    )
