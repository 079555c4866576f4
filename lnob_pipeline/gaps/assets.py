"""Assets of stage 6: official and citizen figures side by side, the gaps, coverage and decisions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.checks import key_checks, key_results
from lnob_pipeline.automation.metadata import UPSTREAM, asset_spec, results
from lnob_pipeline.automation.policies import WHEN_ANYTHING_NEW
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.automation.standing import markdown
from lnob_pipeline.gaps.checks import CHECKS, check_results
from lnob_pipeline.pipeline import run_gaps

PREVIEW = 15


@dg.multi_asset(
    name="gaps_stage",
    specs=[
        asset_spec(tables.COMPARISON, UPSTREAM["gaps"], automation=WHEN_ANYTHING_NEW),
        asset_spec(tables.DATA_GAPS, UPSTREAM["gaps"], automation=WHEN_ANYTHING_NEW),
        asset_spec(tables.COVERAGE, UPSTREAM["gaps"], automation=WHEN_ANYTHING_NEW),
        asset_spec(tables.DECISIONS, UPSTREAM["gaps"], automation=WHEN_ANYTHING_NEW),
    ],
    check_specs=[*CHECKS, *key_checks("comparison", "coverage", "decisions")],
    pool="publication",
)
def gaps_stage(settings: PipelineSettings) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Judge every expected cell. The comparison has no preview: it has not passed disclosure control."""
    loaded = settings.load()
    step = run_gaps(loaded)
    gaps = storage.read_table(loaded.lake, tables.DATA_GAPS)
    columns = ["iso3", "series", "stratum", "status", "flags", "citizen_effect"]
    previews = {"data_gaps": markdown(gaps.select(columns).head(PREVIEW).rows(), columns)}
    yield from results(step, loaded, previews)
    yield from key_results(step, loaded)
    yield from check_results(loaded.lake)
