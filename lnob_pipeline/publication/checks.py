"""Checks of stage 7: the release as it lies on disk."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from lnob_pipeline.publication.release import verify

CHECKS = [
    dg.AssetCheckSpec("sums_verify", asset="published_release", description="Every file has the sha256 of SHA256SUMS"),
    dg.AssetCheckSpec(
        "no_small_cells",
        asset="published_release",
        description="No published estimate rests on fewer than 25 unweighted cases",
    ),
    dg.AssetCheckSpec(
        "disclosure_audit",
        asset="published_release",
        description="No hidden estimate can be reckoned from the shown ones closer than its rule allows",
    ),
]


def check_results(release: Path) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks on the files of a release."""
    problems = verify(release)
    yield dg.AssetCheckResult(
        check_name="sums_verify",
        asset_key="published_release",
        passed=not problems,
        metadata={"problems": len(problems)},
    )
    estimates = pl.scan_parquet(release / "citizen_estimates.parquet")
    small = estimates.filter(pl.col("estimate").is_not_null() & (pl.col("n") < 25)).select(pl.len()).collect().item()
    yield dg.AssetCheckResult(
        check_name="no_small_cells", asset_key="published_release", passed=small == 0, metadata={"small": small}
    )
    audit = pl.read_parquet(release / "disclosure_audit.parquet")
    failed = audit.filter(~pl.col("passed").fill_null(value=False)).height
    yield dg.AssetCheckResult(
        check_name="disclosure_audit",
        asset_key="published_release",
        passed=failed == 0,
        metadata={
            "hidden": int(audit["n_hidden"].sum()),
            "attacked": int(audit["n_attacked"].sum()),
            "public_before": int(audit["n_public_before"].sum()),
            "failed": failed,
        },
    )
