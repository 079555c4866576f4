"""Assets of stage 1: the ledger and the sealed files of one submission."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.metadata import asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.pipeline import run_submissions
from lnob_pipeline.submissions.checks import CHECKS, check_results


@dg.multi_asset(
    name="submissions_stage",
    specs=[asset_spec(tables.SUBMISSIONS), asset_spec(tables.SEALED_FILES)],
    check_specs=CHECKS,
)
def submissions_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Read the manifest, seal the files, keep the ledger."""
    step = run_submissions(settings.load(), context.partition_key, now=now())
    for problem in step.problems:
        context.log.error(problem)
    yield from results(step)
    yield from check_results(step)
