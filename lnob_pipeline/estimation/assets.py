"""Asset of stage 4: what each survey supports. No preview: these numbers have not passed disclosure control."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.pipeline import run_estimation


@dg.multi_asset(
    name="estimation_stage",
    specs=[asset_spec(tables.CITIZEN_ESTIMATES, UPSTREAM["estimation"])],
)
def estimation_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any]]:
    """Estimate every indicator and stratum that the survey supports."""
    yield from results(run_estimation(settings.load(), context.partition_key))
