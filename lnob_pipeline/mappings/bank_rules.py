"""Rules for the question bank and what every file rests on: variables, breakdowns, groups, countries, retired ids.

Here: question texts and their conditions, derived variables (names, codes, circles, what they make of no answer),
categories, parameters. Rules for indicators and for instruments stand in their own modules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import duckdb

from lnob_pipeline.mappings.derive import (
    UNITS_SEEN,
    asked,
    circles,
    question_of,
    rests_on,
    sound,
    tables,
    units_seen,
    variable,
)
from lnob_pipeline.mappings.examples import Household, frames
from lnob_pipeline.mappings.expressions import Expression, quoted
from lnob_pipeline.mappings.findings import Finding, Gives, Path, checked, listed
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, DerivedVariable, Variable

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
"""The tags of BCP 47 that are in use here: language, script, region."""


def question_findings(mappings: Mappings) -> Iterator[Finding]:
    """Questions: names of their own, texts in known languages, labels for every code, limits, when they are asked."""
    languages = {language for country in mappings.countries.values() for language in country.languages}
    for name, question in mappings.variables.items():
        file, where = mappings.files[f"variable:{name}"], ("variables", name)
        sentences = [*_languages(question, languages), *_labels(name, question, mappings)]
        yield from ((file, (*where, *path), text) for path, text in sentences)
        low, high = question.minimum, question.maximum
        if low is not None and high is not None and low > high:
            yield file, (*where, "minimum"), f"the minimum {low:g} is above the maximum {high:g}"
        if question.asked_if is not None:
            yield from _asked_if(name, question.asked_if, file, (*where, "asked_if"), mappings)
    for name in [*mappings.variables, *mappings.derived]:
        file, section = mappings.files[f"variable:{name}"], "variables" if name in mappings.variables else "derived"
        if name in mappings.parameters:
            yield file, (section, name), f"{name} is a parameter of countries.yaml too; rename one"
        if question_of(name, mappings) != name:
            taken = question_of(name, mappings)
            yield file, (section, name), f"{name} is kept for the missing answers of {taken}; rename it"


def _languages(question: Variable, languages: set[str]) -> Iterator[tuple[Path, str]]:
    for key, texts in (("question", question.question), ("code_labels", question.code_labels)):
        for language in texts:
            if not LANGUAGE.fullmatch(language):
                yield (key, language), f"{language} is no language tag (BCP 47), such as sw or zh-Hans"
            elif language not in languages:
                yield (key, language), f"{language} is a language of no country in countries.yaml"


def _labels(name: str, question: Variable, mappings: Mappings) -> Iterator[tuple[Path, str]]:
    for language, labels in question.code_labels.items():
        place = ("code_labels", language)
        if language not in question.question:
            yield place, f"the codes have labels in {language}, but the question has no text in {language}"
        if absent := set(mappings.codes(name)) - set(labels):
            yield place, f"labels in {language} are absent for {listed(absent)}"
        if strange := set(labels) - {*mappings.codes(name), *MISSING_KINDS}:
            yield place, f"{name} has no code {listed(strange)}"
        if twice := _twice(labels):
            yield place, f"{listed(twice)} stands for two codes; who answers could not tell them apart"
    if twice := _twice(question.codes):
        yield ("codes",), f"{listed(twice)} stands for two codes; say what tells them apart"


def _twice(labels: Mapping[str, str]) -> list[str]:
    counted = Counter(label.strip().casefold() for label in labels.values())
    return [label for label, count in counted.items() if count > 1]


def _asked_if(name: str, text: str, file: str, where: Path, mappings: Mappings) -> Iterator[Finding]:
    unit = mappings.variables[name].unit
    about = f"who is asked, a {unit}"
    for found in checked(
        text, file, where, mappings, units=UNITS_SEEN[unit], gives="condition", about=about, missing_codes=True
    ):
        if not isinstance(found, Expression):
            yield found
            continue
        if beyond := found.variables & {*mappings.derived, *mappings.parameters}:
            yield (
                file,
                where,
                f"{listed(beyond)} is no question, and a form knows questions alone; name those behind it",
            )
        if name in {question_of(inner, mappings) for inner in found.variables}:
            yield file, where, f"{name} cannot decide whether it is asked itself"


def derived_findings(mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Derived variables: names, units, codes, circles, and what comes of no answer."""
    for name, derived in mappings.derived.items():
        yield from _derived(name, derived, mappings.files[f"variable:{name}"], mappings)
    if round_ := circles(mappings):
        for name in round_:
            where = ("derived", name, "expression")
            yield mappings.files[f"variable:{name}"], where, f"{name} rests on itself, in a circle of {listed(round_)}"
    yield from _of_nothing(mappings, connection)


def _derived(name: str, derived: DerivedVariable, file: str, mappings: Mappings) -> Iterator[Finding]:
    where = ("derived", name, "expression")
    expected: Gives = "condition" if derived.members else "number" if derived.type == "number" else "code"
    for found in checked(
        derived.expression,
        file,
        where,
        mappings,
        units=units_seen(derived),
        gives=expected,
        about="the persons of a household" if derived.members else f"a {derived.unit}",
        missing_codes=not derived.members,
    ):
        if not isinstance(found, Expression):
            yield found
            continue
        if unused := set(derived.optional) - found.variables:
            yield file, ("derived", name, "optional"), f"{listed(unused)} is not in the expression"
        if derived.members or derived.type == "number":
            if derived.members and not _of_persons(found, mappings):
                yield file, where, f"{name} is made from the members, and names no variable of persons"
            continue
        if strange := found.results - {*derived.codes, *MISSING_KINDS}:
            yield file, where, f"{name} can become {listed(strange)}, which its codes do not list"
        if never := set(derived.codes) - found.results:
            yield file, ("derived", name, "codes"), f"{name} can never become {listed(never)}"


def _of_persons(expression: Expression, mappings: Mappings) -> bool:
    units = {
        found.unit
        for name in expression.variables
        if (found := variable(question_of(name, mappings), mappings)) is not None
    }
    return "person" in units


def _of_nothing(mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """A derived variable that makes a code or a number of nothing but missing answers hides them: `ELSE 'no'`."""
    computable = sound(mappings)
    names = [name for name in mappings.derived if name in computable]
    questions = asked(names, mappings)
    probes = [Household("a form without the questions", dict.fromkeys(questions))]
    probes += [Household(f"nothing but {kind}", dict.fromkeys(questions, kind)) for kind in MISSING_KINDS]
    households, persons = frames(probes, questions, mappings)
    connection.register("probe_households", households)
    connection.register("probe_persons", persons)
    try:
        found = _made(connection, names, mappings)
    except duckdb.Error:
        found = []
        needs = rests_on(mappings)
        failed: set[str] = set()
        for name in names:
            try:
                found += _made(connection, [name], mappings)
            except duckdb.Error as error:
                failed.add(name)
                if not needs[name] & failed:
                    sentence = f"{name} cannot be computed: {str(error).splitlines()[0]}"
                    yield mappings.files[f"variable:{name}"], ("derived", name, "expression"), sentence
    told = set()
    for probe, name, value in found:
        if value is not None and value not in MISSING_KINDS and name not in told:
            told.add(name)
            sentence = f"{name} becomes {value} of {probe}; let it become that missing answer, or nothing"
            yield mappings.files[f"variable:{name}"], ("derived", name, "expression"), sentence


def _made(
    connection: duckdb.DuckDBPyConnection, names: list[str], mappings: Mappings
) -> list[tuple[str, str, str | float | None]]:
    """(Probe, derived variable, what it becomes)."""
    clause, households, persons = tables(
        "SELECT * FROM probe_households",
        "SELECT * FROM probe_persons",
        mappings,
        dict.fromkeys(mappings.parameters, 1.0),
        names,
    )
    found = []
    for relation, of_household in ((households, True), (persons, False)):
        chosen = [name for name in names if (mappings.derived[name].unit == "household") == of_household]
        if chosen:
            listing = ", ".join(map(quoted, chosen))
            rows = connection.execute(f"{clause} SELECT household_key, {listing} FROM {relation}").fetchall()
            found += [
                (probe, name, value) for probe, *values in rows for name, value in zip(chosen, values, strict=True)
            ]
    return found


def breakdown_findings(mappings: Mappings) -> Iterator[Finding]:
    """Breakdowns: there are categories, and each is a condition over variables that the unit can see."""
    file = "breakdowns.yaml"
    for name, breakdown in mappings.breakdowns.items():
        if breakdown.categories_from is None and not breakdown.categories:
            yield file, ("breakdowns", name), f"{name} has no categories"
        for code, category in breakdown.categories.items():
            where = ("breakdowns", name, "categories", code)
            for found in checked(
                category.when,
                file,
                where,
                mappings,
                units=UNITS_SEEN[breakdown.unit],
                gives="condition",
                about=f"a {breakdown.unit}",
            ):
                if not isinstance(found, Expression):
                    yield found


def country_findings(mappings: Mappings) -> Iterator[Finding]:
    """Countries, their parameters, and the countries that groups and applicability name."""
    for iso3, country in mappings.countries.items():
        where = ("countries", iso3)
        for name in sorted(country.parameters.keys() - mappings.parameters.keys()):
            yield (
                "countries.yaml",
                (*where, "parameters", name),
                f"{name} is not declared under parameters, with a source",
            )
        for language in country.languages:
            if not LANGUAGE.fullmatch(language):
                yield "countries.yaml", (*where, "languages"), f"{language} is no language tag (BCP 47)"
    for code, group in mappings.groups.items():
        if strange := set(group.countries) - set(mappings.countries):
            yield "groups.yaml", ("groups", code, "countries"), f"{listed(strange)} is no country of countries.yaml"
    for number, rule in enumerate(mappings.applicability.not_applicable):
        if strange := set(rule.countries) - set(mappings.countries):
            place = ("not_applicable", number, "countries")
            yield "applicability.yaml", place, f"{listed(strange)} is no country of countries.yaml"
    codes = {item.code for indicator in mappings.indicators.values() for item in indicator.series}
    for code in sorted(mappings.applicability.series.keys() - codes):
        sentence = f"{code} is a series of no indicator file; mend the code or remove the line"
        yield "applicability.yaml", ("series", code), sentence


def notes(mappings: Mappings) -> list[str]:
    """What is not wrong but limits what can be computed: countries without a value of a parameter."""
    return [
        f"countries.yaml: {iso3} has no value of {name}; what rests on it is not computed for {country.name}"
        for iso3, country in mappings.countries.items()
        for name in mappings.parameters
        if name not in country.parameters
    ]
