"""Asset of stage 4: what each survey supports. No preview: these numbers have not passed disclosure control."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.estimation.checks import CHECKS, check_results
from lnob_pipeline.pipeline import run_estimation


@dg.multi_asset(
    name="estimation_stage",
    specs=[asset_spec(tables.CITIZEN_ESTIMATES, UPSTREAM["estimation"])],
    check_specs=[*CHECKS, *key_checks("citizen_estimates")],
)
def estimation_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Estimate every indicator and stratum that the survey supports."""
    loaded, key = settings.load(), context.partition_key
    step = run_estimation(loaded, key)
    yield from results(step, loaded)
    yield from key_results(step, loaded)
    if step.outputs:
        yield from check_results(storage.read_table(loaded.lake, tables.CITIZEN_ESTIMATES, key))
