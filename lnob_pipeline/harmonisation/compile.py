"""Instrument -> variables: the accepted answers in the words of the question bank.

Here belongs the translation of codes, units and missing answers, and the order in which derived variables are made.
What an answer means for an indicator is in the indicator files; what is wrong with an answer was said by validation. An
unknown code becomes `unmapped`; a variable with too many of them stops (all its answers become `unmapped`), because a
share over the rest would be a guess.

A variable that the form does not carry is null as a whole, and so is a derived variable when the form lacks a question
behind it (beside its optional ones) or the country a parameter: half a definition would be another one.

Answers are translated in Polars, where a code is a small number (Enum) and not a text; expressions run in DuckDB, which
gets only the columns that they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lnob_pipeline.mappings.derive import derived_sql, household_columns, members_sql, steps
from lnob_pipeline.mappings.expressions import parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, Column, Instrument, Record
from lnob_pipeline.tables import Table, harmonised_households, harmonised_persons

UNMAPPED, NOT_ASKED = "unmapped", "not_asked"


@dataclass(frozen=True)
class Harmonised:
    """Households and persons with the columns of their tables; `unmapped`: variable -> (unknown, answers, stopped).

    Columns of codes are Enum, columns that the form cannot give are Null; storage writes both as text.
    """

    households: pl.DataFrame
    persons: pl.DataFrame
    unmapped: dict[str, tuple[int, int, bool]]


def harmonise(
    connection: duckdb.DuckDBPyConnection,
    instrument: Instrument,
    responses: pl.DataFrame | pl.LazyFrame,
    mappings: Mappings,
    unmapped_share_limit: float,
) -> Harmonised:
    """Translate the accepted answers of a survey.

    responses: the table RESPONSES of one submission; a scan of its Parquet file reads only the mapped columns. Returns
    households and persons in the order of their keys. A survey without a record of persons gives one person a
    household: its respondent.
    """
    scan = responses.lazy()
    present = scan.collect_schema().names()
    household, person = _record_of(instrument, "household"), _record_of(instrument, "person")
    if household is None:
        raise ValueError(f"instrument {instrument.instrument}: a survey needs a record of unit household")
    unmapped: dict[str, tuple[int, int, bool]] = {}
    given: set[str] = set()
    answers: dict[str, pl.DataFrame] = {}
    for name, record in filter(None, (household, person)):
        columns = {source: column for source, column in record.columns.items() if column.variable and source in present}
        frame = _answers(scan.filter(pl.col("record") == name), columns, instrument, mappings)
        answers[record.unit] = _stop(frame, columns, mappings, unmapped_share_limit, unmapped)
        given |= {column.variable for column in columns.values() if column.variable}
    households = answers["household"].rename({"record_key": "household_key"}).drop("parent_key")
    households = households.sort("submission_id", "household_key")
    if person is None:
        yes = pl.lit("yes").alias("is_respondent")
        persons = households.with_columns(yes, person_key="household_key")
        given.add("is_respondent")
    else:
        persons = _roster(answers["person"], households, mappings)
    households, persons = _derived(connection, households, persons, given, person is not None, mappings)
    return Harmonised(
        _table(households, harmonised_households(mappings)), _table(persons, harmonised_persons(mappings)), unmapped
    )


def _record_of(instrument: Instrument, unit: str) -> tuple[str, Record] | None:
    return next(((name, record) for name, record in instrument.records.items() if record.unit == unit), None)


def _answers(
    rows: pl.LazyFrame, columns: dict[str, Column], instrument: Instrument, mappings: Mappings
) -> pl.DataFrame:
    """The keys and a column for every variable that is mapped; a number has its missing kind beside it.

    Each distinct text of a column is translated once, however many people gave it.
    """
    keys = ["submission_id", "record_key", "parent_key"]
    texts = rows.select(*keys, pl.col(list(columns)).cast(pl.Categorical)).collect()
    translated = []
    for source, column in columns.items():
        distinct = texts[source].unique()
        text = pl.col("text").str.strip_chars()
        meant = pl.DataFrame({"text": distinct.cast(pl.String)}).select(
            _translation(pl.when(text != "").then(text), column, instrument, mappings)
        )
        translated += meant[_places(texts[source], distinct)].get_columns()
    return texts.select(keys).with_columns(translated)


def _places(answers: pl.Series, distinct: pl.Series) -> NDArray[np.uint32]:
    """Where each answer stands among the distinct ones."""
    numbers = distinct.to_physical()
    none = 1 + max(numbers.drop_nulls().to_list(), default=0)
    place = np.zeros(none + 1, dtype=np.uint32)
    place[numbers.fill_null(none)] = np.arange(len(distinct))
    return place[answers.to_physical().fill_null(none)]


def _translation(text: pl.Expr, column: Column, instrument: Instrument, mappings: Mappings) -> list[pl.Expr]:
    """One mapped column as its variable, and for a number its missing kind."""
    name = column.variable
    assert name is not None
    variable = mappings.variables[name]
    codes = column.codes | dict.fromkeys(column.positive, "yes") | dict.fromkeys(column.negative, "no")
    missing = {code: kind for kind, listed in column.missing.items() for code in listed}
    choices = instrument.choices.get(column.choices or "", {})
    spelled = {label: code for code, labels in choices.items() for label in labels if label not in choices}
    text = text.replace(spelled)
    kind = pl.when(text.is_null()).then(pl.lit(NOT_ASKED)).otherwise(_coded(text, missing, None))
    answered = pl.when(kind.is_null()).then(text)
    match variable.type:
        case "number":
            number = answered.cast(pl.Float64, strict=False)
            known = pl.when(number.is_finite()).then(number * column.multiply)
            kind = pl.coalesce(kind, pl.when(known.is_null()).then(pl.lit(UNMAPPED)))
            return [known.alias(name), kind.cast(pl.Enum(MISSING_KINDS)).alias(f"{name}_missing")]
        case "date":
            return [answered.str.head(10).str.to_date("%Y-%m-%d", strict=False).alias(name)]
        case "text":
            # A text variable (stratum, cluster, area) may still be recoded; without codes the text itself is kept.
            return [answered.replace(codes).alias(name)]
        case "codes":
            option = _coded(pl.element().replace(spelled), codes, UNMAPPED)
            chosen = answered.str.split(column.joined_by).list.eval(option).list.unique().list.sort()
            whole = pl.when(chosen.list.contains(UNMAPPED)).then(pl.lit(UNMAPPED)).otherwise(chosen.list.join(" "))
            return [pl.coalesce(kind, whole).alias(name)]
    known_codes = pl.Enum(list(dict.fromkeys([*mappings.codes(name), *codes.values(), *MISSING_KINDS])))
    return [pl.coalesce(kind, _coded(answered, codes, UNMAPPED)).cast(known_codes).alias(name)]


def _coded(text: pl.Expr, codes: Mapping[str, str], otherwise: str | None) -> pl.Expr:
    """Source code -> code of the bank; anything else is `otherwise`."""
    return text.replace_strict(codes, default=otherwise, return_dtype=pl.String)


def _stop(
    answers: pl.DataFrame,
    columns: dict[str, Column],
    mappings: Mappings,
    limit: float,
    unmapped: dict[str, tuple[int, int, bool]],
) -> pl.DataFrame:
    """Count unknown answers of each variable; above the limit every answer of the variable becomes `unmapped`."""
    variables = [column.variable for column in columns.values() if column.variable]
    coded = [name for name in variables if mappings.variables[name].type in ("code", "codes")]
    unknown = answers.select((pl.col(name) == UNMAPPED).sum() for name in coded)
    answered = answers.select((pl.col(name) != NOT_ASKED).sum() for name in coded)
    stopped = []
    for name in coded:
        if n := unknown[name].item():
            stops = n > limit * answered[name].item()
            unmapped[name] = (n, answered[name].item(), stops)
            stopped += [name] if stops else []
    return answers.with_columns(
        pl.when(pl.col(name) != NOT_ASKED).then(pl.lit(UNMAPPED)).otherwise(name).cast(answers.schema[name]).alias(name)
        for name in stopped
    )


def _roster(persons: pl.DataFrame, households: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """The persons of the households; what the household's record asks of a respondent goes to the respondent alone."""
    keys = persons.rename({"record_key": "person_key", "parent_key": "household_key"})
    of_respondents = [name for name in households.columns if _unit(name, mappings) == "respondent"]
    joined = keys.join(
        households.select("household_key", *of_respondents), on="household_key", how="inner", maintain_order="left"
    )
    selected = pl.col("is_respondent") == "yes" if "is_respondent" in keys.columns else pl.lit(False)
    return joined.with_columns(pl.when(selected).then(name).alias(name) for name in of_respondents).sort(
        "submission_id", "household_key", "person_key"
    )


def _unit(column: str, mappings: Mappings) -> str | None:
    variable = mappings.variables.get(column) or mappings.variables.get(column.removesuffix("_missing"))
    return variable.unit if variable else None


def _derived(
    connection: duckdb.DuckDBPyConnection,
    households: pl.DataFrame,
    persons: pl.DataFrame,
    given: set[str],
    roster: bool,
    mappings: Mappings,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add the derived variables that the form and the country can give, each after those that it rests on."""
    iso3 = _country(households, mappings)
    parameters = mappings.parameters_of(iso3)
    known = given | {name for name, value in parameters.items() if value is not None}
    frames = {"households": households, "persons": persons}
    for step in steps(mappings):
        names = [name for name in step.names if _needs(name, mappings) <= known and (roster or not step.members)]
        known |= set(names)
        if not names:
            continue
        if step.members:
            columns = {name: members_sql(name, mappings, parameters) for name in names}
            made = _evaluate(connection, frames["persons"], columns, mappings, by="household_key")
            frames["households"] = frames["households"].join(
                made, on="household_key", how="left", maintain_order="left"
            )
        else:
            columns = {name: derived_sql(name, mappings, parameters) for name in names}
            frame = frames[step.frame]
            if step.frame == "persons":
                seen = [name for name in household_columns(names, mappings) if name in frames["households"].columns]
                frame = _beside(frame, frames["households"].select("household_key", *seen)) if seen else frame
            frames[step.frame] = frames[step.frame].with_columns(_evaluate(connection, frame, columns, mappings))
    return frames["households"], frames["persons"]


def _country(households: pl.DataFrame, mappings: Mappings) -> str | None:
    """The country, which the identifier of every submission starts with."""
    iso3 = str(households["submission_id"].first()).split("-")[0].upper()
    return iso3 if iso3 in mappings.countries else None


def _needs(name: str, mappings: Mappings) -> set[str]:
    """The names that a derived variable cannot do without: questions, derived variables, parameters."""
    derived = mappings.derived[name]
    return {
        found if found in mappings.variables or found in mappings.derived else found.removesuffix("_missing")
        for found in parse(derived.expression).variables - set(derived.optional)
    }


def _beside(persons: pl.DataFrame, households: pl.DataFrame) -> pl.DataFrame:
    return persons.join(households, on="household_key", how="left", maintain_order="left")


def _evaluate(
    connection: duckdb.DuckDBPyConnection,
    frame: pl.DataFrame,
    columns: dict[str, str],
    mappings: Mappings,
    by: str | None = None,
) -> pl.DataFrame:
    """The columns of a frame, row by row in its order, or in groups of the column `by`; names it lacks are null."""
    named = set().union(*(parse(mappings.derived[name].expression).variables for name in columns))
    named -= set(mappings.parameters)
    absent = {name: pl.Float64 if _is_number(name, mappings) else pl.String for name in named - set(frame.columns)}
    keys = [by] if by else []
    selected = frame.select(
        *keys,
        *sorted(named & set(frame.columns)),
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in sorted(absent.items())),
    )
    connection.register("answers", selected)
    expressions = ", ".join([*map(quoted, keys), *(f"{sql} AS {quoted(name)}" for name, sql in columns.items())])
    made = connection.sql(f"SELECT {expressions} FROM answers {f'GROUP BY {quoted(by)}' if by else ''}").pl()
    connection.unregister("answers")
    return made


def _is_number(name: str, mappings: Mappings) -> bool:
    found = mappings.variables.get(name) or mappings.derived.get(name)
    return found is not None and found.type == "number"


def _table(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """All columns of a harmonised table in its order; those that the form cannot give are Null."""
    return frame.select(name if name in frame.columns else pl.lit(None).alias(name) for name in table.schema)
