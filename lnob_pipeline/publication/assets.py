"""Asset of stage 7: the release. Its numbers have passed disclosure control, so it shows a preview."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from lnob_pipeline import tables
from lnob_pipeline.automation.metadata import OWNERS, RELEASE, UPSTREAM, release_schema, results
from lnob_pipeline.automation.policies import WHEN_ANYTHING_NEW
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.pipeline import code_version, run_publication
from lnob_pipeline.publication.checks import CHECKS, check_results

DESCRIPTION = (
    "A dated, frozen folder with every public table in every form: "
    f"{', '.join(table.name for table in tables.RELEASE_TABLES)}.\n\nIts page, codebook, changes and manifest, and the "
    "hand-ins and the official release that stand behind it: in the metadata, under Events or at the foot of this page."
)


@dg.multi_asset(
    name="publication_stage",
    specs=[
        dg.AssetSpec(
            RELEASE,
            deps=UPSTREAM["publication"],
            description=DESCRIPTION,
            group_name="publication",
            owners=OWNERS,
            metadata={"dagster/column_schema": release_schema()},
            kinds={"duckdb", "parquet", "csv"},
            tags={"visibility": "public"},
            code_version=code_version(),
            automation_condition=WHEN_ANYTHING_NEW,
        )
    ],
    check_specs=CHECKS,
    pool="publication",
)
def publication_stage(settings: PipelineSettings) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Disclosure control, then one release folder and `latest`."""
    loaded = settings.load()
    step = run_publication(loaded, now())
    yield from results(step, loaded)
    yield from check_results(Path(step.texts["path"]))
