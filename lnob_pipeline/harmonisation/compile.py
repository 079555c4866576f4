"""Instrument -> variables: SQL made from the instrument file, run by DuckDB over the accepted answers.

Here belongs the translation of codes, units and missing answers, and the derived variables. What an answer means for an
indicator is in the indicator files; what is wrong with an answer was said by validation. An unknown code becomes
`unmapped`; a variable with too many of them stops (all its answers become `unmapped`), because a share over the rest
would be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import polars as pl

from lnob_pipeline.mappings.expressions import literal, parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument, Record
from lnob_pipeline.tables import Table, harmonised_households, harmonised_persons


@dataclass(frozen=True)
class Harmonised:
    """Households and persons in table form; `unmapped`: variable -> (unknown answers, answers, stopped or not)."""

    households: pl.DataFrame
    persons: pl.DataFrame
    unmapped: dict[str, tuple[int, int, bool]]


def harmonise(
    connection: duckdb.DuckDBPyConnection,
    instrument: Instrument,
    responses: pl.DataFrame,
    mappings: Mappings,
    unmapped_share_limit: float,
) -> Harmonised:
    """Translate the accepted answers of a survey.

    responses: the table RESPONSES of one submission. Returns households and persons in the form of
    tables.harmonised_households and tables.harmonised_persons. A survey without a record of persons gives one person a
    household: its respondent.
    """
    connection.register("responses", responses)
    household = _record_of(instrument, "household")
    person = _record_of(instrument, "person")
    unmapped: dict[str, tuple[int, int, bool]] = {}
    if household is None:
        raise ValueError(f"instrument {instrument.instrument}: a survey needs a record of unit household")
    name, record = household
    _answers(connection, "household_answers", name, record, responses.columns, mappings)
    _stop(connection, "household_answers", record, mappings, unmapped_share_limit, unmapped)
    if person is not None:
        person_name, person_record = person
        _answers(connection, "person_answers", person_name, person_record, responses.columns, mappings)
        _stop(connection, "person_answers", person_record, mappings, unmapped_share_limit, unmapped)
        respondent = [
            f"CASE WHEN p.is_respondent = 'yes' THEN h.{column} END AS {column}"
            for column in _columns(record, mappings, "respondent")
        ]
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE persons AS
            SELECT {", ".join(["p.*", *respondent])}
            FROM person_answers p JOIN household_answers h ON p.parent_key = h.record_key"""
        )
        keys = "parent_key AS household_key, record_key AS person_key"
    else:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE persons AS SELECT *, 'yes' AS is_respondent FROM household_answers"
        )
        keys = "record_key AS household_key, record_key AS person_key"
    households = _table(
        connection, "household_answers", harmonised_households(mappings), mappings, "record_key AS household_key"
    )
    persons = _table(connection, "persons", harmonised_persons(mappings), mappings, keys)
    connection.execute("DROP TABLE persons; DROP TABLE household_answers; DROP TABLE IF EXISTS person_answers")
    connection.unregister("responses")
    return Harmonised(households, persons, unmapped)


def _record_of(instrument: Instrument, unit: str) -> tuple[str, Record] | None:
    return next(((name, record) for name, record in instrument.records.items() if record.unit == unit), None)


def _columns(record: Record, mappings: Mappings, unit: str) -> list[str]:
    """The harmonised column names that a record gives for variables of a unit."""
    names = []
    for column in record.columns.values():
        if column.variable and mappings.variables[column.variable].unit == unit:
            names.append(column.variable)
            if mappings.variables[column.variable].type == "number":
                names.append(f"{column.variable}_missing")
    return names


def _answers(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    name: str,
    record: Record,
    present: list[str],
    mappings: Mappings,
) -> None:
    """Make the temporary table `target` with a column for every variable that the record maps."""
    expressions = ["submission_id", "record_key", "parent_key"]
    for source, column in record.columns.items():
        if column.variable is not None:
            text = f"nullif(trim({quoted(source)}), '')" if source in present else "NULL::VARCHAR"
            expressions += _translation(text, column, mappings)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {target} AS "
        f"SELECT {', '.join(expressions)} FROM responses WHERE record = {literal(name)}"
    )


def _translation(text: str, column: Column, mappings: Mappings) -> list[str]:
    """SQL for one mapped column: the variable, and for a number its missing kind."""
    assert column.variable is not None
    variable = mappings.variables[column.variable]
    missing = "".join(
        f" WHEN {text} IN ({', '.join(map(literal, codes))}) THEN '{kind}'"
        for kind, codes in column.missing.items()
        if codes
    )
    if variable.type == "number":
        number = f"TRY_CAST({text} AS DOUBLE)"
        return [
            f"CASE WHEN CASE {missing} END IS NULL THEN {number} * {column.multiply} END AS {column.variable}"
            if missing
            else f"{number} * {column.multiply} AS {column.variable}",
            f"CASE WHEN {text} IS NULL THEN 'not_asked'{missing} WHEN {number} IS NULL THEN 'unmapped' END"
            f" AS {column.variable}_missing",
        ]
    if variable.type == "date":
        return [f"TRY_CAST({text} AS DATE) AS {column.variable}"]
    if variable.type == "text":
        # A text variable (stratum, cluster, area) may still be recoded; without codes the text itself is kept.
        recoded = _case(text, column.codes, text)
        return [f"CASE WHEN {text} IS NULL THEN NULL ELSE {recoded} END AS {column.variable}"]
    codes = column.codes | dict.fromkeys(column.positive, "yes") | dict.fromkeys(column.negative, "no")
    if variable.type == "codes":
        each = _case("option", codes, "'unmapped'")
        options = f"string_split({text}, {literal(column.separator)})"
        chosen = f"list_sort(list_distinct(list_transform({options}, lambda option: {each})))"
        return [
            f"CASE WHEN {text} IS NULL THEN 'not_asked'{missing}"
            f" WHEN list_contains({chosen}, 'unmapped') THEN 'unmapped'"
            f" ELSE array_to_string({chosen}, ' ') END AS {column.variable}"
        ]
    coded = _case(text, codes, literal("unmapped"))
    return [f"CASE WHEN {text} IS NULL THEN 'not_asked'{missing} ELSE {coded} END AS {column.variable}"]


def _case(text: str, codes: dict[str, str], otherwise: str) -> str:
    """Source code -> variable code; anything else is `otherwise`."""
    if not codes:
        return otherwise
    whens = " ".join(f"WHEN {literal(source)} THEN {literal(code)}" for source, code in codes.items())
    return f"CASE {text} {whens} ELSE {otherwise} END"


def _stop(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    record: Record,
    mappings: Mappings,
    limit: float,
    unmapped: dict[str, tuple[int, int, bool]],
) -> None:
    """Count unknown answers of each variable; above the limit every answer of the variable becomes `unmapped`."""
    coded = [
        column.variable
        for column in record.columns.values()
        if column.variable and mappings.variables[column.variable].type in ("code", "codes")
    ]
    if not coded:
        return
    counts = ", ".join(
        f"count(*) FILTER (WHERE {name} = 'unmapped'), count(*) FILTER (WHERE {name} <> 'not_asked')" for name in coded
    )
    row = connection.execute(f"SELECT {counts} FROM {target}").fetchall()[0]
    for name, unknown, answers in zip(coded, row[::2], row[1::2], strict=True):
        if unknown:
            stopped = unknown > limit * answers
            unmapped[name] = (unknown, answers, stopped)
            if stopped:
                connection.execute(f"UPDATE {target} SET {name} = 'unmapped' WHERE {name} <> 'not_asked'")


def _table(
    connection: duckdb.DuckDBPyConnection, source: str, table: Table, mappings: Mappings, keys: str
) -> pl.DataFrame:
    """All columns of a harmonised table: mapped ones, NULL for those the form does not carry, and derived ones."""
    present = {row[0] for row in connection.execute(f"DESCRIBE {source}").fetchall()}
    kinds = {"text": "VARCHAR", "number": "DOUBLE", "date": "DATE"}
    plain = [
        column.name if column.name in present else f"NULL::{kinds[column.kind]} AS {column.name}"
        for column in table.columns
        if column.name not in ("submission_id", "household_key", "person_key") and column.name not in mappings.derived
    ]
    derived = [
        f"{parse(mappings.derived[column.name].expression).sql} AS {column.name}"
        for column in table.columns
        if column.name in mappings.derived
    ]
    query = f"SELECT submission_id, {keys}, {', '.join(plain)} FROM {source}"
    ordered = ", ".join(table.key)
    return connection.sql(f"SELECT {', '.join(['*', *derived])} FROM ({query}) ORDER BY {ordered}").pl()
