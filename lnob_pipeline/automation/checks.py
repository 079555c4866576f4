"""Checks that every table can have: one row for each key, and nothing absent where the key needs it.

Here: the check of the declaration itself, for the tables that have no better one. Not here: what must hold of the
numbers of a stage (the checks.py of the stages).
"""

import warnings
from collections.abc import Iterator
from typing import Final

import dagster as dg
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.metadata import ABSENT_IN_KEY
from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.pipeline import Step
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import Table

NAME: Final = "one_row_a_key"
CHECKED: Final = {
    table.name: table
    for table in (
        tables.SEALED_FILES,
        tables.QUARANTINE,
        tables.VALIDATION_RESULTS,
        tables.VALIDATION_OUTCOMES,
        tables.FITNESS,
        tables.LINKAGE,
        tables.SUBMISSION_STATUS,
        tables.HOUSEHOLD_KEYS,
        tables.PERSON_KEYS,
        tables.CITIZEN_EVIDENCE,
        tables.DISCLOSURE_RISK,
        tables.CITIZEN_ESTIMATES,
        tables.SDG_CATALOGUE,
        tables.OFFICIAL_RELEASES,
        tables.COMPARISON,
        tables.COVERAGE,
        tables.DECISIONS,
    )
}
"""The tables whose key is checked here; those that are left out have a check of their own that says the same."""


def key_checks(*names: str) -> list[dg.AssetCheckSpec]:
    """The specification for each of the named tables that is checked here."""
    found = [CHECKED[name] for name in names if name in CHECKED]
    with warnings.catch_warnings():
        # A partition on a check is a preview in Dagster 1.13; without it the UI could not tell whose check failed.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                NAME,
                asset=table.name,
                description=f"One row for each {', '.join(table.key)}; none of them absent that the key needs",
                blocking=not table.partitioned,
                partitions_def=SUBMISSIONS if table.partitioned else None,
            )
            for table in found
        ]


def key_results(step: Step, settings: Settings) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the check on the tables of a step as written: numbers of rows alone."""
    for output in step.outputs:
        if table := CHECKED.get(output.table) if step.stage != "publication" else None:
            yield _result(table, pl.scan_parquet(storage.table_path(settings.lake, table, step.key)))


def _result(table: Table, rows: pl.LazyFrame) -> dg.AssetCheckResult:
    needed = [name for name in table.key if (table.name, name) not in ABSENT_IN_KEY]
    counted = rows.select(
        pl.len().alias("rows"),
        pl.struct(table.key).n_unique().alias("keys"),
        pl.any_horizontal(pl.col(needed).is_null()).sum().alias("absent"),
    ).collect()
    total, keys, absent = counted.row(0)
    return dg.AssetCheckResult(
        check_name=NAME,
        asset_key=table.name,
        passed=total == keys and absent == 0,
        severity=dg.AssetCheckSeverity.WARN if table.partitioned else dg.AssetCheckSeverity.ERROR,
        metadata={"rows": total, "repeated": total - keys, "without_key": absent},
    )
