"""Assets of stage 2: answers that passed, what did not, and every rule as a check of `responses`."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.pipeline import STAGE_2, run_validation
from lnob_pipeline.validation.checks import CHECKS, check_results


@dg.multi_asset(
    name="validation_stage",
    specs=[
        asset_spec(tables.RESPONSES, UPSTREAM["validation"]),
        asset_spec(tables.QUARANTINE, UPSTREAM["validation"]),
        asset_spec(tables.VALIDATION_RESULTS, UPSTREAM["validation"]),
        asset_spec(tables.VALIDATION_OUTCOMES, UPSTREAM["validation"]),
        asset_spec(tables.FITNESS, UPSTREAM["validation"]),
        asset_spec(tables.LINKAGE, UPSTREAM["validation"]),
    ],
    check_specs=[*CHECKS, *key_checks(*(table.name for table in STAGE_2))],
)
def validation_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Take identifiers out, check, promote: `responses` are withheld when a blocking rule fails, the rest never is."""
    loaded, key = settings.load(), context.partition_key
    step = run_validation(loaded, key)
    for problem in step.problems:
        context.log.error(problem)
    yield from results(step, loaded)
    yield from key_results(step, loaded)
    yield from check_results(storage.read_table(loaded.lake, tables.VALIDATION_RESULTS, key))
