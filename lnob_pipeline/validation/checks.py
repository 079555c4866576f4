"""Checks of stage 2: one for each rule of rules.py, the same list in every run, also where a rule does not apply."""

import warnings
from collections.abc import Iterator

import dagster as dg
import polars as pl

from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.validation.rules import RULES

with warnings.catch_warnings():
    # A partition on a check is a preview in Dagster 1.13; without it the UI could not tell whose check failed.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        dg.AssetCheckSpec(
            rule.rule_id,
            asset="responses",
            description=rule.title,
            blocking=rule.severity == "blocking",
            partitions_def=SUBMISSIONS,
        )
        for rule in RULES.values()
    ]


def check_results(results: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
    """One result a rule: passed unless an item failed; counts and the columns concerned as metadata, no value.

    Blocking rules come last, so that every other result is recorded before the run stops.
    """
    summary = {
        row["rule_id"]: row
        for row in results.group_by("rule_id")
        .agg(
            failed=(pl.col("outcome") == "failed").any(),
            blocks=((pl.col("outcome") == "failed") & (pl.col("severity") == "blocking")).any(),
            applies=(pl.col("outcome") != "not_applicable").any(),
            n_checked=pl.col("n_checked").max(),
            n_failed=pl.col("n_failed").sum(),
            columns=pl.col("column").filter(pl.col("outcome") == "failed").drop_nulls().unique().sort().str.join(", "),
        )
        .iter_rows(named=True)
    }
    for rule in sorted(RULES.values(), key=lambda rule: rule.severity == "blocking"):
        row = summary.get(rule.rule_id)
        failed = bool(row and row["failed"])
        yield dg.AssetCheckResult(
            check_name=rule.rule_id,
            asset_key="responses",
            passed=not failed,
            # A blocking rule can hold warnings (a column too many); only what rejected the submission stops the run.
            severity=dg.AssetCheckSeverity.ERROR if row and row["blocks"] else dg.AssetCheckSeverity.WARN,
            metadata={
                "applies": bool(row and row["applies"]),
                "n_checked": (row["n_checked"] if row else 0) or 0,
                "n_failed": (row["n_failed"] if row else 0) or 0,
                "columns": (row["columns"] if row else "") or "",
            },
        )
