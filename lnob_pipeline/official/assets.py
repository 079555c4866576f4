"""Assets of stage 5: the catalogue and the observations of one official release."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.metadata import asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.pipeline import run_official


@dg.multi_asset(
    name="official_stage", specs=[asset_spec(tables.SDG_CATALOGUE), asset_spec(tables.OFFICIAL_OBSERVATIONS)]
)
def official_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any]]:
    """Take one snapshot of the UN SDG database, or the last good one, or the bundled figures."""
    step = run_official(settings.load(), now())
    context.log.info(step.texts["official_source"])
    yield from results(step)
