"""Assets of stage 5: the official release in use, which releases there are, and what the one in use changed."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import asset_spec, results
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.official.checks import CHECKS, check_results
from lnob_pipeline.pipeline import run_official


@dg.multi_asset(
    name="official_stage",
    specs=[
        asset_spec(tables.SDG_CATALOGUE),
        asset_spec(tables.OFFICIAL_OBSERVATIONS),
        asset_spec(tables.OFFICIAL_RELEASES),
        asset_spec(tables.OFFICIAL_REVISIONS),
    ],
    check_specs=[*CHECKS, *key_checks("sdg_catalogue", "official_releases")],
)
def official_stage(
    context: dg.AssetExecutionContext, settings: PipelineSettings
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Take one snapshot of the UN SDG database, or the last good one, or the bundled figures."""
    loaded = settings.load()
    step = run_official(loaded, now())
    context.log.info("%s: %s", step.texts["official_source"], step.texts["official_because"])
    yield from results(step, loaded)
    yield from key_results(step, loaded)
    yield from check_results(loaded.lake)
