"""Assets of stage 1: the ledger and the sealed files of one submission; and the state of all of them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.policies import WHEN_ANYTHING_NEW
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.pipeline import run_status, run_submissions
from lnob_pipeline.submissions.checks import CHECKS, STATUS_CHECKS, check_results, status_results


@dg.multi_asset(
    name="submissions_stage",
    specs=[asset_spec(tables.SUBMISSIONS), asset_spec(tables.SEALED_FILES)],
    check_specs=[*CHECKS, *key_checks("sealed_files")],
)
def submissions_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Read the manifest, seal the files, keep the ledger."""
    loaded = settings.load()
    step = run_submissions(loaded, context.partition_key, now=now())
    for problem in step.problems:
        context.log.error(problem)
    yield from results(step, loaded)
    yield from check_results(step)
    yield from key_results(step, loaded)


@dg.multi_asset(
    name="status",
    specs=[asset_spec(tables.SUBMISSION_STATUS, UPSTREAM["status"], automation=WHEN_ANYTHING_NEW)],
    check_specs=[*STATUS_CHECKS, *key_checks("submission_status")],
)
def status(settings: PipelineSettings) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """The state of each submission. Counts as metadata, so that the UI plots how many wait; no reason, no name."""
    loaded = settings.load()
    step = run_status(loaded, now())
    preview = "\n".join(f"| {name} | {int(count)} |" for name, count in step.numbers.items())
    yield from results(step, loaded, {tables.SUBMISSION_STATUS.name: f"| state | submissions |\n|---|---|\n{preview}"})
    yield from status_results(step)
    yield from key_results(step, loaded)
