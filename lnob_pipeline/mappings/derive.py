"""Derived variables and conditions as SQL: what rests on what, which units see each other, what counts as unknown.

Here: names of expressions followed down to questions and parameters, the order in which derived variables are made,
and the SQL for them over one row of households or persons. Harmonisation runs it over the answers of a survey, the lint
over known answers. Not here: measures (measures.py) and the translation of source codes (harmonisation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lnob_pipeline.mappings.expressions import ExpressionError, literal, number, parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, DerivedVariable, Variable, VariableUnit

Frame = Literal["households", "persons"]

UNITS_SEEN: dict[VariableUnit, tuple[VariableUnit, ...]] = {
    "household": ("household",),
    "person": ("household", "person"),
    "respondent": ("household", "person", "respondent"),
}
"""The variables that an expression about a unit may name. A household sees its persons through `members` alone."""

MISSING_CODES = ", ".join(literal(kind) for kind in MISSING_KINDS)
SQL_TYPES = {"code": "VARCHAR", "codes": "VARCHAR", "text": "VARCHAR", "number": "DOUBLE", "date": "DATE"}


@dataclass(frozen=True)
class Step:
    """Derived variables of one frame that rest on questions and on earlier steps alone."""

    frame: Frame
    members: bool
    names: tuple[str, ...]


def variable(name: str, mappings: Mappings) -> Variable | DerivedVariable | None:
    """The variable of a name, derived or not; None where there is none."""
    return mappings.variables.get(name) or mappings.derived.get(name)


def question_of(name: str, mappings: Mappings) -> str:
    """The variable that a name speaks of: `age` for `age` and for its companion `age_missing`."""
    plain = name.removesuffix("_missing")
    asked = mappings.variables.get(plain)
    return plain if name != plain and asked is not None and asked.type == "number" else name


def units_seen(derived: DerivedVariable) -> tuple[VariableUnit, ...]:
    """Units whose variables the expression of a derived variable may name."""
    return UNITS_SEEN["person" if derived.members else derived.unit]


def behind(names: Iterable[str], mappings: Mappings, *, optional: bool = True) -> set[str]:
    """Every name that `names` rest on, themselves included: derived variables, questions, parameters.

    optional: whether to follow what a derived variable can do without.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = question_of(waiting.pop(), mappings)
        if name in found:
            continue
        found.add(name)
        if derived := mappings.derived.get(name):
            waiting += parse(derived.expression).variables - (set() if optional else set(derived.optional))
    return found


def asked(names: Iterable[str], mappings: Mappings, *, optional: bool = True) -> set[str]:
    """The questions behind names."""
    return {name for name in behind(names, mappings, optional=optional) if name in mappings.variables}


def parameters_behind(names: Iterable[str], mappings: Mappings) -> set[str]:
    """The parameters behind names."""
    return behind(names, mappings) & set(mappings.parameters)


def rests_on(mappings: Mappings) -> dict[str, set[str]]:
    """Derived variable -> the derived variables in its expression; those that cannot be parsed are left out."""
    found = {}
    for name, derived in mappings.derived.items():
        try:
            inner = parse(derived.expression).variables
        except ExpressionError:
            continue
        found[name] = {question_of(each, mappings) for each in inner} & set(mappings.derived)
    return found


def circles(mappings: Mappings) -> list[str]:
    """Derived variables that rest on themselves, at whatever distance."""
    needs = rests_on(mappings)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(needs.get(start, ()))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += needs.get(name, ())
        return found

    return [name for name in needs if name in reached(name)]


def sound(mappings: Mappings) -> set[str]:
    """The derived variables that can be computed: parsed, every name known, in no circle, resting on such alone."""
    needs = rests_on(mappings)
    known = {*mappings.variables, *mappings.derived, *mappings.parameters}
    waiting = {
        name: inner
        for name, inner in needs.items()
        if {question_of(each, mappings) for each in parse(mappings.derived[name].expression).variables} <= known
    }
    found: set[str] = set()
    while ready := {name for name, inner in waiting.items() if inner <= found} - found:
        found |= ready
    return found


def steps(mappings: Mappings, wanted: Iterable[str] | None = None) -> list[Step]:
    """The order in which to make derived variables: `wanted` and what they rest on, or all. Raises ValueError."""
    names = set(mappings.derived) if wanted is None else behind(wanted, mappings)
    needs = {name: inner for name, inner in rests_on(mappings).items() if name in names}
    made: list[Step] = []
    kinds: tuple[tuple[Frame, bool], ...] = (("households", False), ("persons", False), ("households", True))
    while needs:
        before = len(needs)
        for frame, members in kinds:
            ready = tuple(
                name
                for name, inner in needs.items()
                if not inner & needs.keys() and _kind(mappings.derived[name]) == (frame, members)
            )
            if ready:
                made.append(Step(frame, members, ready))
                needs = {name: inner for name, inner in needs.items() if name not in ready}
        if len(needs) == before:
            raise ValueError(f"derived variables rest on each other in a circle: {', '.join(sorted(needs))}")
    return made


def _kind(derived: DerivedVariable) -> tuple[Frame, bool]:
    return ("households" if derived.unit == "household" else "persons", derived.members is not None)


def household_columns(names: Iterable[str], mappings: Mappings) -> list[str]:
    """The columns of the household that expressions over persons name, for derived variables `names`."""
    read = set().union(*(parse(mappings.derived[name].expression).variables for name in names))
    return sorted(
        name
        for name in read
        if (found := variable(question_of(name, mappings), mappings)) is not None and found.unit == "household"
    )


def values(names: Iterable[str], parameters: Mapping[str, float | None]) -> dict[str, str]:
    """Parameter -> its number as SQL, for those among `names`."""
    found = {}
    for name in names:
        if name in parameters:
            value = parameters[name]
            found[name] = "NULL" if value is None else number(value)
    return found


def known(names: Iterable[str], mappings: Mappings, parameters: Mapping[str, float | None]) -> dict[str, str]:
    """Name -> SQL in which a missing code is NULL, for coded variables; parameters as numbers."""
    names = list(names)
    found = values(names, parameters)
    for name in names:
        coded = variable(name, mappings)
        if coded is not None and coded.type in ("code", "codes"):
            found[name] = f"CASE WHEN {quoted(name)} IN ({MISSING_CODES}) THEN NULL ELSE {quoted(name)} END"
    return found


def condition(text: str, mappings: Mappings, parameters: Mapping[str, float | None]) -> str:
    """SQL of a condition or a number in which a missing answer is unknown, so that NOT does not turn it into a yes."""
    expression = parse(text)
    return expression.sql_with(known(expression.variables, mappings, parameters))


def derived_sql(name: str, mappings: Mappings, parameters: Mapping[str, float | None]) -> str:
    """SQL of a derived variable over one row; NULL as a whole where the country lacks a parameter behind it."""
    derived = mappings.derived[name]
    expression = parse(derived.expression)
    if _lacks(name, mappings, parameters):
        return f"NULL::{SQL_TYPES[derived.type]}"
    return f"CAST({expression.sql_with(values(expression.variables, parameters))} AS {SQL_TYPES[derived.type]})"


def members_sql(name: str, mappings: Mappings, parameters: Mapping[str, float | None]) -> str:
    """SQL of a variable made from the members, as an aggregate over the persons of a household: yes, no or NULL."""
    derived = mappings.derived[name]
    if _lacks(name, mappings, parameters):
        return "NULL::VARCHAR"
    holds = condition(derived.expression, mappings, parameters)
    everybody_known = f"count(*) = count({holds})"
    if derived.members == "any":
        return f"CASE WHEN bool_or({holds}) THEN 'yes' WHEN {everybody_known} THEN 'no' END"
    return f"CASE WHEN bool_or(NOT {holds}) THEN 'no' WHEN {everybody_known} THEN 'yes' END"


def _lacks(name: str, mappings: Mappings, parameters: Mapping[str, float | None]) -> bool:
    return any(parameters.get(inner) is None for inner in parameters_behind([name], mappings))


def tables(
    households: str,
    persons: str,
    mappings: Mappings,
    parameters: Mapping[str, float | None],
    wanted: Iterable[str] | None = None,
) -> tuple[str, str, str]:
    """A WITH clause that adds derived variables to two relations, and the names of the relations that have them.

    households, persons: SQL of relations with household_key and the questions as columns; `persons` may be empty.
    """
    parts = [f"households_0 AS ({households})", f"persons_0 AS ({persons})"]
    count = {"households": 0, "persons": 0}
    for step in steps(mappings, wanted):
        source = f"{step.frame}_{count[step.frame]}"
        count[step.frame] += 1
        target = f"{step.frame}_{count[step.frame]}"
        beside = ["household_key AS of_household", *map(quoted, household_columns(step.names, mappings))]
        people = (
            f"persons_{count['persons'] - (step.frame == 'persons')} AS p"
            f" LEFT JOIN (SELECT {', '.join(beside)} FROM households_{count['households'] - step.members})"
            " ON p.household_key = of_household"
        )
        if step.members:
            columns = ", ".join(f"{members_sql(name, mappings, parameters)} AS {quoted(name)}" for name in step.names)
            parts.append(
                f"{target} AS (SELECT h.*, m.* EXCLUDE (of_members) FROM {source} AS h LEFT JOIN ("
                f"SELECT p.household_key AS of_members, {columns} FROM {people} GROUP BY ALL"
                ") AS m ON h.household_key = of_members)"
            )
            continue
        columns = ", ".join(f"{derived_sql(name, mappings, parameters)} AS {quoted(name)}" for name in step.names)
        relation = people if step.frame == "persons" else f"{source} AS p"
        parts.append(f"{target} AS (SELECT p.*, {columns} FROM {relation})")
    return f"WITH {', '.join(parts)}", f"households_{count['households']}", f"persons_{count['persons']}"
