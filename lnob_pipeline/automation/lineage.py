"""Column lineage as Dagster draws it: the declarations of column_lineage.py, with the variables of one hand-in.

Here: which columns of which assets an asset's columns rest on. Not here: the declarations. Where a declaration says
`*`, the columns are those that the hand-in has: the questions behind its estimates, the columns that its instrument
maps. Names of columns alone are shown, never what they hold. Concept: https://docs.dagster.io (column lineage).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.standing import markdown
from lnob_pipeline.column_lineage import ORIGINS, VARIABLES, made_for_release, made_in_stage
from lnob_pipeline.mappings.derive import asked
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings

Pair = tuple[str, str, str]
"""Column, asset that it rests on, column of that asset."""


def lineage_of(table: str, settings: Settings, key: str | None) -> dg.TableColumnLineage:
    """What the columns of a table of the lake rest on; `key`: the hand-in of a partition."""
    declared = [(column, source, name) for column, source, name, _ in made_in_stage(table) if source not in ORIGINS]
    pairs: list[Pair] = [pair for pair in declared if pair[2] != VARIABLES]
    open_ended = [(column, source) for column, source, name in declared if name == VARIABLES]
    if key is not None:
        variables = {source: _variables(table, source, settings, key) for source in {of for _, of in open_ended}}
        pairs += [(column, source, each) for column, source in open_ended for each in variables[source]]
    if table in (tables.HOUSEHOLD_KEYS.name, tables.PERSON_KEYS.name) and key is not None:
        pairs += _harmonised(table, settings, key)
    return _lineage(pairs)


def lineage_of_release() -> dg.TableColumnLineage:
    """What `table.column` of a release rests on."""
    return _lineage(
        (f"{table.name}.{column}", source, name)
        for table in tables.RELEASE_TABLES
        for column, source, name, _ in made_for_release(table.name)
        if source not in ORIGINS
    )


def in_words(lineage: dg.TableColumnLineage) -> dg.MarkdownMetadataValue:
    """The same as a table to read: the open-source UI keeps column lineage and does not draw it."""
    lines = (
        (column, ", ".join(f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps))
        for column, deps in lineage.deps_by_column.items()
    )
    return dg.MetadataValue.md(markdown(lines, ("column", "made from")))


def _lineage(pairs: Iterable[Pair]) -> dg.TableColumnLineage:
    found: dict[str, dict[tuple[str, str], None]] = {}
    for column, source, name in pairs:
        found.setdefault(column, {})[source, name] = None
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=source, column_name=name) for source, name in sources]
            for column, sources in found.items()
        }
    )


def _variables(table: str, source: str, settings: Settings, key: str) -> list[str]:
    """The columns that `*` stands for in a hand-in; none where nothing is known of it."""
    mappings = load_mappings(settings.mappings)
    if table == tables.CITIZEN_ESTIMATES.name:
        frame = storage.read_table(settings.lake, tables.CITIZEN_ESTIMATES, key)
        behind = set(frame.select(pl.col("questions").str.split(",").explode()).to_series().drop_nulls())
        households = source == tables.HOUSEHOLD_KEYS.name
        return [
            name
            for name, variable in mappings.variables.items()
            if name in behind and (variable.unit == "household") == households
        ]
    instrument = _instrument(settings, key, mappings)
    if table == tables.CITIZEN_EVIDENCE.name and instrument is not None and instrument.statements:
        return sorted({name for record in instrument.records.values() for name in record.columns})
    return []


def _harmonised(table: str, settings: Settings, key: str) -> Iterator[Pair]:
    """Variables and what is derived from them <- columns of the source that the instrument maps."""
    mappings = load_mappings(settings.mappings)
    instrument = _instrument(settings, key, mappings)
    yield "submission_id", tables.RESPONSES.name, "submission_id"
    yield "household_key", tables.RESPONSES.name, "record_key"
    if table == tables.PERSON_KEYS.name:
        yield "household_key", tables.RESPONSES.name, "parent_key"
        yield "person_key", tables.RESPONSES.name, "record_key"
    if instrument is None:
        return
    columns = _columns_of(instrument)
    units = ("household",) if table == tables.HOUSEHOLD_KEYS.name else ("person", "respondent")
    questions = {name: {name} for name, variable in mappings.variables.items() if variable.unit in units}
    questions |= {name: asked([name], mappings) for name, derived in mappings.derived.items() if derived.unit in units}
    for name, behind in questions.items():
        for each in (column for question in sorted(behind) for column in columns.get(question, [])):
            yield name, tables.RESPONSES.name, each


def _instrument(settings: Settings, key: str, mappings: Mappings) -> Instrument | None:
    """The instrument of the newest usable version of a hand-in."""
    rows = storage.read_table(settings.lake, tables.SUBMISSIONS, key).filter(pl.col("state") == "received")
    return None if rows.is_empty() else mappings.instruments.get(rows["instrument"][-1])


def _columns_of(instrument: Instrument) -> dict[str, list[str]]:
    """Variable -> columns of the source that answer it."""
    found: dict[str, list[str]] = {}
    for record in instrument.records.values():
        for name, column in record.columns.items():
            if column.variable:
                found.setdefault(column.variable, []).append(name)
    return found
