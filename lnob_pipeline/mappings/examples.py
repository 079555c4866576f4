"""Known answers: constructed respondents and what each measure must make of them, in indicator_mappings/examples/.

Here: the form of such a file, and running it through the SQL of the pipeline (derive.py, measures.py). A swapped
polarity, a wrong threshold or a wrong universe cannot be seen in the text of a mapping; it is seen here. Not here: what
can be said of a mapping without running it (bank_rules.py, indicator_rules.py, instrument_rules.py).
"""

from __future__ import annotations

import datetime
import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import duckdb
import polars as pl
from pydantic import Field

from lnob_pipeline.mappings.derive import asked, sound, tables
from lnob_pipeline.mappings.findings import Finding, listed
from lnob_pipeline.mappings.findings import Path as Place
from lnob_pipeline.mappings.load import Mappings, read_file
from lnob_pipeline.mappings.measures import columns, computable, lacking, variables
from lnob_pipeline.mappings.models import MISSING_KINDS, Component, Measure, Model, Series

FEWEST_ROWS = 4
TOLERANCE = 1e-6

Answer = bool | float | str | datetime.date | list[str] | None
Word = Literal["in", "out", "left_out"]
Outcome = str | float | list[str] | list[float]
Expected = Word | float | list[Word] | Annotated[list[float], Field(min_length=2, max_length=2)]


class ExampleRow(Model):
    """One household, and one person of it where a measure is of persons or respondents.

    `given`: question -> answer; a question that is not given was not asked, `null` is a form without the question.
    `each`: one question and several answers that come to the same, as so many rows. `members`: further persons of the
    household. `expect`: code of a series or component -> what becomes of the row: in, out or left_out; a list of them
    for a mean of shares; a number; numerator and denominator of a ratio.
    """

    because: Annotated[str, Field(min_length=3)]
    given: dict[str, Answer] = Field(default_factory=dict)
    each: Annotated[dict[str, Annotated[list[Answer], Field(min_length=2)]], Field(max_length=1)] = Field(
        default_factory=dict
    )
    members: list[dict[str, Answer]] = Field(default_factory=list)
    expect: Annotated[dict[str, Expected], Field(min_length=1)]


class ExampleFile(Model):
    """The known answers of one indicator. `given` holds for every row that does not say otherwise."""

    indicator: str
    country: str | None = None
    given: dict[str, Answer] = Field(default_factory=dict)
    rows: Annotated[list[ExampleRow], Field(min_length=1)]


@dataclass(frozen=True)
class _Case:
    """One file of examples beside the measures it speaks of."""

    file: str
    examples: ExampleFile
    computed: dict[str, Series | Component]


def example_file(indicator: str) -> str:
    """Where the known answers of an indicator lie, below the mapping folder."""
    return f"examples/{indicator.partition('.')[0]}/{indicator}.yaml"


def example_findings(mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding | str]:
    """What is wrong with the known answers: a finding, or a finished line where a file cannot be read."""
    cases = []
    derived = sound(mappings)
    present = {path.relative_to(mappings.folder).as_posix() for path in mappings.folder.glob("examples/*/*.yaml")}
    wanted = {example_file(code): indicator for code, indicator in mappings.indicators.items() if indicator.computed}
    for file in sorted(wanted.keys() - present):
        yield file, (), f"is missing: {FEWEST_ROWS} or more known answers for each computed series (see README.md)"
    for file in sorted(present):
        if file not in wanted:
            yield file, (), "belongs to no indicator that computes something; rename or remove it"
            continue
        examples, _, problems = read_file(mappings.folder, file, ExampleFile)
        yield from problems
        if examples is None:
            continue
        if examples.indicator != wanted[file].indicator:
            yield file, ("indicator",), f"the file is of {wanted[file].indicator}, and says {examples.indicator}"
            continue
        case = _Case(file, examples, wanted[file].computed)
        if not all(computable(_measure(case, code), derived, mappings) for code in case.computed):
            continue
        mistakes = list(_rows(case, mappings))
        yield from mistakes
        yield from _coverage(case)
        if not mistakes:
            cases.append(case)
    yield from _compared(cases, mappings, connection)


def _rows(case: _Case, mappings: Mappings) -> Iterator[Finding]:
    """Names, codes and limits of what is given and expected."""
    examples = case.examples
    if examples.country is not None and examples.country not in mappings.countries:
        yield case.file, ("country",), f"{examples.country} is no country of countries.yaml"
        return
    for where, name, answer in _given(examples):
        yield from ((case.file, where, sentence) for sentence in _answer(name, answer, mappings))
        if "members" in where and name in mappings.variables and mappings.variables[name].unit == "household":
            yield case.file, where, f"{name} is a variable of the household; put it into given"
    seen: set[str] = set()
    for number, row in enumerate(examples.rows):
        if row.because in seen:
            yield case.file, ("rows", number, "because"), "another row has the same reason; say what this one shows"
        seen.add(row.because)
        for code, expected in row.expect.items():
            if sentence := _expectation(code, expected, case):
                yield case.file, ("rows", number, "expect", code), sentence
    for code in {code: None for row in examples.rows for code in row.expect if code in case.computed}:
        if reason := lacking(_measure(case, code), mappings, examples.country):
            sentence = f"{code} cannot be computed: {reason}; say `country` at the top of the file"
            yield case.file, ("country",), sentence


def _given(examples: ExampleFile) -> Iterator[tuple[Place, str, Answer]]:
    """Every answer of a file with its path."""
    for name, answer in examples.given.items():
        yield ("given", name), name, answer
    for number, row in enumerate(examples.rows):
        for name, answer in row.given.items():
            yield ("rows", number, "given", name), name, answer
        for name, several in row.each.items():
            for place, answer in enumerate(several):
                yield ("rows", number, "each", name, place), name, answer
        for position, member in enumerate(row.members):
            for name, answer in member.items():
                yield ("rows", number, "members", position, name), name, answer


def _expectation(code: str, expected: Expected, case: _Case) -> str | None:
    """What is wrong with an expectation."""
    if code not in case.computed:
        return f"{code} is not computed by {case.examples.indicator}: {listed(case.computed)}"
    return _form(_measure(case, code), expected)


def _measure(case: _Case, code: str) -> Measure:
    measure = case.computed[code].measure
    assert measure is not None
    return measure


def _answer(name: str, answer: Answer, mappings: Mappings) -> Iterator[str]:
    """What is wrong with a given answer."""
    question = mappings.variables.get(name)
    if question is None:
        derived = name in mappings.derived
        yield f"{name} {'is derived: give the questions behind it' if derived else 'is no question of the bank'}"
        return
    if answer is None or answer in MISSING_KINDS:
        return
    if question.type in ("code", "codes"):
        codes = answer if isinstance(answer, list) else [_text(answer)]
        if question.type == "code" and isinstance(answer, list):
            yield f"{name} takes one code, not a list"
        elif strange := set(codes) - set(mappings.codes(name)):
            yield f"{name} has no code {listed(strange)}; it has {', '.join(mappings.codes(name))}"
    elif question.type == "number":
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            yield f"{name} is a number or one of {', '.join(MISSING_KINDS)}"
        elif (
            not (question.minimum or -math.inf)
            <= answer
            <= (math.inf if question.maximum is None else question.maximum)
        ):
            yield f"{name} is {answer:g}, outside {question.minimum} to {question.maximum}"
    elif question.type == "date" and not isinstance(answer, datetime.date):
        yield f"{name} is a day, as in 2020-03-31"


def _form(measure: Measure, expected: Expected) -> str | None:
    """What is wrong with the form of an expectation."""
    words = {"in", "out", "left_out"}
    if measure.statistic == "mean_of_shares":
        if not isinstance(expected, list) or len(expected) != len(measure.shares) or not set(expected) <= words:
            return f"a mean of shares expects a list of {len(measure.shares)} words in, out or left_out"
    elif measure.statistic == "ratio":
        if expected != "left_out" and (not isinstance(expected, list) or any(item in words for item in expected)):
            return "a ratio expects [numerator, denominator] or left_out"
    elif _is_quantity(measure):
        if expected != "left_out" and not isinstance(expected, int | float):
            return "a number is expected here, or left_out"
    elif not isinstance(expected, str):
        return "in, out or left_out is expected here"
    return None


def _is_quantity(measure: Measure) -> bool:
    return measure.statistic in ("mean", "rasch") or (measure.score is not None and measure.score.give != "headcount")


def _coverage(case: _Case) -> Iterator[Finding]:
    """Each computed code has enough rows, and each outcome is met."""
    for code in case.computed:
        found = [row.expect[code] for row in case.examples.rows if code in row.expect]
        if len(found) < FEWEST_ROWS:
            yield case.file, ("rows",), f"{code} stands in {len(found)} rows; show at least {FEWEST_ROWS}"
            continue
        measure = _measure(case, code)
        if measure.statistic == "ratio" or _is_quantity(measure):
            numbers = {str(item) for item in found if item != "left_out"}
            if len(numbers) < 2 or "left_out" not in found:
                yield case.file, ("rows",), f"show two different numbers and left_out for {code}"
            continue
        each = list(zip(*found, strict=False)) if measure.statistic == "mean_of_shares" else [tuple(found)]
        for outcomes in each:
            if absent := {"in", "out", "left_out"} - {str(item) for item in outcomes}:
                yield case.file, ("rows",), f"no row shows {listed(absent)} for {code}"
                break


def _compared(cases: list[_Case], mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Run the rows of all files, country by country; a finding for every row that comes out differently."""
    by_country: dict[str | None, list[_Case]] = defaultdict(list)
    for case in cases:
        by_country[case.examples.country].append(case)
    for chosen in by_country.values():
        try:
            yield from _differences(chosen, mappings, connection)
        except duckdb.Error:
            for case in chosen:
                try:
                    yield from _differences([case], mappings, connection)
                except duckdb.Error as error:
                    sentence = f"the measures of {case.examples.indicator} cannot run: {str(error).splitlines()[0]}"
                    yield case.file, (), sentence


def _differences(cases: list[_Case], mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    measures = {code: _measure(case, code) for case in cases for code in case.computed}
    constructed = [(case, *pair) for case in cases for pair in households_of(case.examples)]
    wanted = {
        (household.key, code) for case, number, household in constructed for code in case.examples.rows[number].expect
    }
    rows = [household for _, _, household in constructed]
    found = outcomes(rows, measures, wanted, cases[0].examples.country, mappings, connection)
    for case, number, household in constructed:
        row = case.examples.rows[number]
        for code, answer in row.expect.items():
            outcome = found[household.key, code]
            if not agree(answer, outcome):
                which = "".join(f" ({household.given[name]})" for name in row.each)
                sentence = f"{row.because}{which}: expected {_said(answer)}, but the mapping makes it {_said(outcome)}"
                yield case.file, ("rows", number, "expect", code), sentence


def households_of(examples: ExampleFile) -> list[tuple[int, Household]]:
    """The rows of a file as households, with the number of the row and keys that no other file has."""
    found = []
    for number, row in enumerate(examples.rows):
        variants: list[dict[str, Answer]] = [
            {name: answer} for name, several in row.each.items() for answer in several
        ] or [{}]
        for place, variant in enumerate(variants):
            key = f"{examples.indicator} {number} {place}"
            found.append((number, Household(key, examples.given | row.given | variant, row.members)))
    return found


def agree(expected: Expected, outcome: Outcome) -> bool:
    """Whether a measure made of a row what was expected."""
    if isinstance(expected, list):
        together: Iterable[tuple[Any, Any]] = zip(expected, outcome, strict=True) if isinstance(outcome, list) else ()
        return isinstance(outcome, list) and all(agree(one, other) for one, other in together)
    if isinstance(expected, str) or isinstance(outcome, str | list):
        return expected == outcome
    return math.isclose(expected, outcome, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _said(outcome: Expected | Outcome) -> str:
    if isinstance(outcome, list):
        return f"[{', '.join(map(_said, outcome))}]"
    return outcome if isinstance(outcome, str) else f"{outcome:g}"


def outcomes(
    rows: Sequence[Household],
    measures: Mapping[str, Measure],
    wanted: Collection[tuple[str, str]],
    country: str | None,
    mappings: Mappings,
    connection: duckdb.DuckDBPyConnection,
) -> dict[tuple[str, str], Outcome]:
    """(Row, code) -> what the measure of the code makes of the row, for those that are wanted.

    Raises duckdb.Error where a measure cannot run.
    """
    measures = {code: measure for code, measure in measures.items() if not lacking(measure, mappings, country)}
    named = set().union(*(variables(measure) for measure in measures.values()), {"is_respondent"})
    households, persons = frames(rows, asked(named, mappings), mappings)
    connection.register("example_households", households)
    connection.register("example_persons", persons)
    clause, of_households, of_persons = tables(
        "SELECT * FROM example_households",
        "SELECT * FROM example_persons",
        mappings,
        mappings.parameters_of(country),
        named,
    )
    sources = {
        True: of_households,
        False: f"{of_persons} JOIN {of_households} USING (household_key) WHERE person_key = 0",
    }
    found: dict[tuple[str, str], Outcome] = {}
    for of_household, source in sources.items():
        made = {
            code: columns(measure, mappings, country)
            for code, measure in measures.items()
            if (measure.unit == "household") == of_household
        }
        if not made:
            continue
        listing = ", ".join(sql for parts in made.values() for sql in parts.values())
        answers = connection.execute(f"{clause} SELECT household_key, {listing} FROM {source}").fetchall()
        ends = list(itertools.accumulate((len(parts) for parts in made.values()), initial=1))
        for answer in answers:
            for code, start, end in zip(made, ends, ends[1:], strict=False):
                if (answer[0], code) in wanted:
                    found[answer[0], code] = _outcome(measures[code], list(answer[start:end]))
    return found


def _outcome(measure: Measure, values: list[Any]) -> Outcome:
    """The values of a measure's columns for one row, in the words of an expectation."""
    words = {"1": "in", "0": "out", None: "left_out"}
    if measure.statistic == "mean_of_shares":
        return [words[value] for value in values]
    if None in values:
        return "left_out"
    if measure.statistic == "rasch":
        return float(sum(value == "1" for value in values))
    if measure.statistic == "ratio":
        return values
    value: Outcome = values[0] if _is_quantity(measure) else words[values[0]]
    return value


@dataclass(frozen=True)
class Household:
    """One constructed household: its answers and those of one person of it, and further members."""

    key: str
    given: Mapping[str, Answer]
    members: list[dict[str, Answer]] = field(default_factory=list)


def frames(
    chosen: Sequence[Household], questions: Iterable[str], mappings: Mappings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Households and persons, as harmonisation would give them for a form that asks `questions`."""
    names = sorted(questions)
    of_household = [name for name in names if mappings.variables[name].unit == "household"]
    of_person = [name for name in names if mappings.variables[name].unit != "household"]
    households = {"household_key": [household.key for household in chosen]}
    people: list[tuple[str, int, Mapping[str, Answer]]] = []
    for household in chosen:
        members: list[Mapping[str, Answer]] = [{"is_respondent": "no"} | member for member in household.members]
        if not members or any(mappings.variables[name].unit != "household" for name in household.given):
            members.insert(0, {"is_respondent": "yes"} | dict(household.given))
        people += [(household.key, place, member) for place, member in enumerate(members)]
    persons = {"household_key": [key for key, _, _ in people], "person_key": [place for _, place, _ in people]}
    return (
        pl.DataFrame(households).with_columns(_answers([item.given for item in chosen], of_household, mappings)),
        pl.DataFrame(persons).with_columns(_answers([given for _, _, given in people], of_person, mappings)),
    )


def _answers(rows: Sequence[Mapping[str, Answer]], names: list[str], mappings: Mappings) -> list[pl.Series]:
    """The columns of `names`: what is given, else not asked."""
    cells: dict[str, list[Any]] = {}
    kinds: dict[str, Any] = {}
    for name in names:
        match mappings.variables[name].type:
            case "number":
                cells[name], kinds[name] = [None] * len(rows), pl.Float64
                cells[f"{name}_missing"] = ["not_asked"] * len(rows)
            case "date":
                cells[name], kinds[name] = [None] * len(rows), pl.Date
            case "text":
                cells[name] = [None] * len(rows)
            case _:
                cells[name] = ["not_asked"] * len(rows)
    for place, given in enumerate(rows):
        for name, answer in given.items():
            if name not in cells:
                continue
            plain = mappings.variables[name].type in ("text", "date")
            missing = isinstance(answer, str) and answer in MISSING_KINDS
            if f"{name}_missing" in cells:
                cells[name][place] = None if missing else answer
                cells[f"{name}_missing"][place] = answer if missing else None
            elif isinstance(answer, list):
                cells[name][place] = " ".join(sorted(answer))
            else:
                cells[name][place] = (
                    None if plain and missing else _text(answer) if isinstance(answer, bool) else answer
                )
    return [pl.Series(name, values, dtype=kinds.get(name, pl.String)) for name, values in cells.items()]


def _text(answer: Answer) -> str:
    """A code as text; YAML reads a bare yes as true."""
    return {True: "yes", False: "no"}[answer] if isinstance(answer, bool) else str(answer)
