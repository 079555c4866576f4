"""Assets of stage 3: households, persons and evidence in the words of the question bank."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.metadata import asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.pipeline import run_harmonisation
from lnob_pipeline.settings import Settings

_MAPPINGS = load_mappings(Settings.load().mappings)


@dg.multi_asset(
    name="harmonisation_stage",
    specs=[
        asset_spec(tables.harmonised_households(_MAPPINGS), ["responses"]),
        asset_spec(tables.harmonised_persons(_MAPPINGS), ["responses"]),
        asset_spec(tables.CITIZEN_EVIDENCE, ["responses"]),
    ],
)
def harmonisation_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any]]:
    """Translate the accepted answers by the instrument file."""
    step = run_harmonisation(settings.load(), context.partition_key)
    if step.texts.get("stopped_variables"):
        context.log.warning(f"too many unknown codes, variable stopped: {step.texts['stopped_variables']}")
    yield from results(step)
