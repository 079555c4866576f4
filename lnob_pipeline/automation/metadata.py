"""Metadata: from table declarations and steps to what the Dagster UI shows. Counts and hashes, never an answer.

Concept: https://docs.dagster.io (asset metadata, column schema, data versions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.pipeline import Step, code_version
from lnob_pipeline.tables import Table

OWNERS = ["team:secretariat"]
RELEASE = "published_release"
UPSTREAM = {
    "validation": ("submissions", "sealed_files"),
    "status": ("submissions", "validation_outcomes"),
    "harmonisation": ("responses",),
    "estimation": ("harmonised_households", "harmonised_persons"),
    "gaps": (
        "citizen_estimates", "citizen_evidence", "sdg_catalogue", "official_observations", "official_releases",
        "official_revisions",
    ),
    "publication": (
        "comparison", "data_gaps", "coverage", "decisions", "citizen_estimates", "citizen_evidence", "sdg_catalogue",
        "official_observations", "official_releases", "official_revisions", "submissions", "validation_outcomes",
    ),
}  # fmt: skip
"""Stage -> the assets that its own are made from."""


def asset_spec(
    table: Table, deps: Sequence[str] = (), *, automation: dg.AutomationCondition[Any] | None = None
) -> dg.AssetSpec:
    """The asset of a table: same name, group of its stage, columns as declared; partitioned as the table is."""
    return dg.AssetSpec(
        table.name,
        deps=list(deps),
        description=table.description,
        group_name=table.stage,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        tags={"visibility": table.visibility},
        metadata={"dagster/column_schema": column_schema(table), "dagster/table_name": table.name},
        partitions_def=SUBMISSIONS if table.partitioned else None,
        skippable=True,
        code_version=code_version(),
        automation_condition=automation,
    )


def column_schema(table: Table) -> dg.TableSchema:
    """The declared columns with type, description and unit."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.kind,
                description=column.description + (f" ({column.unit})" if column.unit else ""),
            )
            for column in table.columns
        ]
    )


def metadata_of(step: Step, table: str) -> dict[str, Any]:
    """Row count, hash, and the step's counts, as entries that the UI plots over time."""
    output = step.output(table)
    rows = "dagster/partition_row_count" if step.key else "dagster/row_count"
    counts: dict[str, Any] = {rows: output.rows, "sha256": output.sha256} if output else {}
    counts |= {name: dg.MetadataValue.float(float(value)) for name, value in step.numbers.items()}
    return counts | dict(step.texts) | {"changed": step.changed}


def results(step: Step, previews: dict[str, str] | None = None) -> Iterator[dg.MaterializeResult[Any]]:
    """One materialisation for each asset of a step; its hash is the data version. `previews`: table -> markdown."""
    for key, metadata, version in _assets(step):
        text = (previews or {}).get(key)
        preview = {} if text is None else {"preview": dg.MetadataValue.md(text)}
        yield dg.MaterializeResult(asset_key=key, metadata=metadata | preview, data_version=dg.DataVersion(version))


@dataclass(frozen=True)
class Input:
    """What a step was made from: asset, data version, and the place of its event in the log (NULL for none)."""

    asset: str
    version: str
    pointer: str


def materialisations(step: Step, inputs: Sequence[Input]) -> Iterator[dg.AssetMaterialization]:
    """The same as events, for bulk work: one run reports the partitions of many submissions.

    Without `inputs` the UI could not tell what an asset was made from, and would call it unsynced.
    """
    for key, metadata, version in _assets(step):
        tags = {"dagster/data_version": version, "dagster/code_version": code_version()}
        for item in inputs:
            tags[f"dagster/input_data_version/{item.asset}"] = item.version
            tags[f"dagster/input_event_pointer/{item.asset}"] = item.pointer
        yield dg.AssetMaterialization(key, partition=step.key, metadata=metadata, tags=tags)


def _assets(step: Step) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Asset key, metadata and data version. The tables of a release are one asset, published_release."""
    if step.stage != "publication":
        for output in step.outputs:
            yield output.table, metadata_of(step, output.table), output.sha256
        return
    rows = "\n".join(f"| {item.table} | {item.rows} |" for item in step.outputs)
    listed = {"tables": dg.MetadataValue.md(f"| table | rows |\n|---|---|\n{rows}")}
    page = {"page": dg.MetadataValue.path(step.texts["page"])}
    yield RELEASE, metadata_of(step, RELEASE) | listed | page, step.texts["hash"]
