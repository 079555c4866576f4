"""Metadata: from table declarations and steps to what the Dagster UI shows. Counts and hashes, never an answer.

Concept: https://docs.dagster.io (asset metadata, column schema, data versions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.pipeline import Step, code_version
from lnob_pipeline.tables import Table

OWNERS = ["team:secretariat"]


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
                constraints=dg.TableColumnConstraints(nullable=column.name not in table.key),
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
    """One materialisation for each output of a step; its sha256 is the data version. `previews`: table -> markdown."""
    for output in step.outputs:
        text = (previews or {}).get(output.table)
        preview = {} if text is None else {"preview": dg.MetadataValue.md(text)}
        yield dg.MaterializeResult(
            asset_key=output.table,
            metadata=metadata_of(step, output.table) | preview,
            data_version=dg.DataVersion(output.sha256),
        )


def materialisations(step: Step) -> Iterator[dg.AssetMaterialization]:
    """The same as events, for bulk work: one run reports the partitions of many submissions."""
    for output in step.outputs:
        yield dg.AssetMaterialization(
            output.table,
            partition=step.key,
            metadata=metadata_of(step, output.table),
            tags={"dagster/data_version": output.sha256},
        )
