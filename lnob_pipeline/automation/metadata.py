"""Metadata: from table declarations and steps to what the Dagster UI shows. Counts and hashes, never an answer.

Concept: https://docs.dagster.io (asset metadata, column schema, data versions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from lnob_pipeline.automation.lineage import in_words, lineage_of, lineage_of_release
from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.automation.standing import of_release, stands_on
from lnob_pipeline.pipeline import Step, code_version
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES, Column, Table

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
ABSENT_IN_KEY = {
    ("quarantine", "sheet"), ("quarantine", "row_number"), ("quarantine", "column"),
    ("validation_results", "record"), ("validation_results", "column"), ("validation_results", "expectation"),
    ("citizen_evidence", "marginalised_group"), ("citizen_evidence", "area"), ("sdg_catalogue", "series"),
    ("official_revisions", "m49"), ("official_revisions", "year"), ("official_revisions", "dimension_key"),
    ("official_revisions", "nature"), ("comparison", "submission_id"),
}  # fmt: skip
"""Columns of a key that may be null: it says something there, as no sheet or no citizen number does."""
WHERE_TO_LOOK = (
    "\n\nWhich hand-ins and which official release stand behind it: `stands_on_submissions` and "
    "`stands_on_official_release` in the metadata, under Events or at the foot of this page."
)
"""What an analyst asks first of tables made from all hand-ins, in their descriptions."""


def asset_spec(
    table: Table, deps: Sequence[str] = (), *, automation: dg.AutomationCondition[Any] | None = None
) -> dg.AssetSpec:
    """The asset of a table: same name, group of its stage, columns as declared; partitioned as the table is."""
    return dg.AssetSpec(
        table.name,
        deps=list(deps),
        description=table.description + (WHERE_TO_LOOK if table.stage == "gaps" else ""),
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
    """The declared columns with type, description, unit and key."""
    return dg.TableSchema(columns=[_column(table, column) for column in table.columns], constraints=_key(table))


def release_schema() -> dg.TableSchema:
    """The columns of every table of a release, as `table.column`."""
    return dg.TableSchema(
        columns=[
            _column(table, column, f"{table.name}.{column.name}")
            for table in RELEASE_TABLES
            for column in table.columns
        ]
    )


def _column(table: Table, column: Column, name: str | None = None) -> dg.TableColumn:
    in_key = column.name in table.key
    return dg.TableColumn(
        name or column.name,
        column.kind,
        description=(column.description + (f" ({column.unit})" if column.unit else "")).replace("<", "\\<"),  # Markdown
        constraints=dg.TableColumnConstraints(
            nullable=not in_key or (table.name, column.name) in ABSENT_IN_KEY,
            unique=table.key == (column.name,),
            other=["part of the key"] if in_key and len(table.key) > 1 else [],
        ),
    )


def _key(table: Table) -> dg.TableConstraints:
    return dg.TableConstraints(other=[f"one row for each {', '.join(table.key)}"])


def metadata_of(step: Step, table: str, settings: Settings) -> dict[str, Any]:
    """Row count, hash, column lineage and the step's counts, as entries that the UI shows and plots over time."""
    output = step.output(table)
    rows = "dagster/partition_row_count" if step.key else "dagster/row_count"
    counts: dict[str, Any] = {rows: output.rows, "sha256": output.sha256} if output else {}
    counts |= {name: dg.MetadataValue.float(float(value)) for name, value in step.numbers.items()}
    lineage = lineage_of_release() if table == RELEASE else lineage_of(table, settings, step.key)
    if lineage.deps_by_column:
        counts |= {"dagster/column_lineage": lineage, "column_sources": in_words(lineage)}
    return counts | dict(step.texts) | {"changed": step.changed}


def results(
    step: Step, settings: Settings, previews: dict[str, str] | None = None
) -> Iterator[dg.MaterializeResult[Any]]:
    """One materialisation for each asset of a step; its hash is the data version. `previews`: table -> markdown."""
    for key, metadata, version in _assets(step, settings):
        text = (previews or {}).get(key)
        preview = {} if text is None else {"preview": dg.MetadataValue.md(text)}
        yield dg.MaterializeResult(asset_key=key, metadata=metadata | preview, data_version=dg.DataVersion(version))


@dataclass(frozen=True)
class Input:
    """What a step was made from: asset, data version, and the place of its event in the log (NULL for none)."""

    asset: str
    version: str
    pointer: str


def materialisations(step: Step, inputs: Sequence[Input], settings: Settings) -> Iterator[dg.AssetMaterialization]:
    """The same as events, for bulk work: one run reports the partitions of many submissions.

    Without `inputs` the UI could not tell what an asset was made from, and would call it unsynced.
    """
    for key, metadata, version in _assets(step, settings):
        tags = {"dagster/data_version": version, "dagster/code_version": code_version()}
        for item in inputs:
            tags[f"dagster/input_data_version/{item.asset}"] = item.version
            tags[f"dagster/input_event_pointer/{item.asset}"] = item.pointer
        yield dg.AssetMaterialization(key, partition=step.key, metadata=metadata, tags=tags)


def _assets(step: Step, settings: Settings) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Asset key, metadata and data version. The tables of a release are one asset, published_release."""
    if step.stage == "publication":
        entries = metadata_of(step, RELEASE, settings) | stands_on(settings) | of_release(step)
        yield RELEASE, entries, step.texts["hash"]
        return
    behind = stands_on(settings) if step.stage == "gaps" else {}
    for output in step.outputs:
        yield output.table, metadata_of(step, output.table, settings) | behind, output.sha256
