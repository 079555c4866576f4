"""Assets of stage 3: households, persons and evidence in the words of the question bank."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.harmonisation.checks import CHECKS, check_results
from lnob_pipeline.mappings.load import MappingError, load_mappings
from lnob_pipeline.pipeline import run_harmonisation
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import Table


def _tables() -> tuple[Table, Table]:
    """The harmonised tables; without the columns of the question bank where a mapping file cannot be read just now."""
    try:
        mappings = load_mappings(Settings.load().mappings)
    except MappingError:
        return tables.HOUSEHOLD_KEYS, tables.PERSON_KEYS
    return tables.harmonised_households(mappings), tables.harmonised_persons(mappings)


HOUSEHOLDS, PERSONS = _tables()


@dg.multi_asset(
    name="harmonisation_stage",
    specs=[
        asset_spec(HOUSEHOLDS, UPSTREAM["harmonisation"]),
        asset_spec(PERSONS, UPSTREAM["harmonisation"]),
        asset_spec(tables.CITIZEN_EVIDENCE, UPSTREAM["harmonisation"]),
        asset_spec(tables.DISCLOSURE_RISK, UPSTREAM["harmonisation"]),
    ],
    check_specs=[
        *CHECKS,
        *key_checks(HOUSEHOLDS.name, PERSONS.name, tables.CITIZEN_EVIDENCE.name, tables.DISCLOSURE_RISK.name),
    ],
)
def harmonisation_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Translate the accepted answers by the instrument file."""
    loaded, key = settings.load(), context.partition_key
    step = run_harmonisation(loaded, key)
    if step.texts.get("stopped_variables"):
        context.log.warning(f"too many unknown codes, variable stopped: {step.texts['stopped_variables']}")
    yield from results(step, loaded)
    yield from key_results(step, loaded)
    if step.outputs:
        yield from check_results(loaded.lake, key)
