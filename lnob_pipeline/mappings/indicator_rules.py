"""Rules for indicators: what a statistician could get silently wrong about a series.

Here: expressions, units, weights, missing rules, breakdowns and universes, availability, definitions, sensitivity. What
only an example can show (swapped polarity, a wrong threshold) is in examples.py.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Literal

import duckdb

from lnob_pipeline.mappings.derive import UNITS_SEEN, asked, question_of, sound, variable
from lnob_pipeline.mappings.expressions import Expression, parse, quoted
from lnob_pipeline.mappings.findings import Finding, Gives, Path, checked, listed
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.measures import answers, computable, expressions, readable, variables
from lnob_pipeline.mappings.models import MISSING_KINDS, Component, Indicator, Measure, Series

SENSITIVE = ("5.2.1", "5.2.2", "5.3.2", "5.6.1", "11.7.2", "16.1.3", "16.2.1", "16.2.3")
"""Indicators about violence, mutilation, sexual and reproductive decisions: asked under a special protocol alone."""

HOUSEHOLDS = "households? dwellings? homes?"
PERSONS = (
    "populations? people persons? individuals? wom[ae]n girls? m[ae]n boys? mothers? child(ren)? infants? births? "
    "youth adolescents? adults? pupils? students? learners? teachers? employees? workers? employed unemployed "
    "residents? inhabitants? citizens? users? victims? detainees? prisoners? migrants? respondents? farmers? members?"
)
COUNTED = re.compile(
    rf"\b(?:(?P<households>{'|'.join(HOUSEHOLDS.split())})|(?P<persons>{'|'.join(PERSONS.split())}))\b", re.IGNORECASE
)
"""The first of these nouns in the title of a series is whom it counts."""

SURVEY_CLASSES = {"A": "A or C", "B": "A or C", "C": "C"}
"""Availability -> the classes with which a survey can serve the indicator."""


def indicator_findings(mappings: Mappings, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """All rules of this module, over all indicators."""
    codes: dict[str, str] = {}
    flawed: set[str] = set()
    derived = sound(mappings)
    of_everybody = _of_breakdowns(mappings, derived)
    for code, indicator in mappings.indicators.items():
        file = mappings.files[f"indicator:{code}"]
        if file != f"indicators/{indicator.goal}/{code}.yaml":
            yield file, ("indicator",), f"indicator {code} belongs into indicators/{indicator.goal}/{code}.yaml"
        yield from _breakdowns(indicator, file, mappings)
        yield from _definition(indicator, file)
        yield from _availability(indicator, file)
        items: list[tuple[Path, Series | Component]] = [
            *((("series", place), item) for place, item in enumerate(indicator.series)),
            *((("components", place), part) for place, part in enumerate(indicator.components)),
        ]
        for where, item in items:
            if item.code in codes:
                yield file, (*where, "code"), f"{item.code} stands in {codes[item.code]} already; a code has one place"
            codes.setdefault(item.code, code)
            if item.measure is None:
                continue
            mistakes = list(_measure(item.measure, file, (*where, "measure"), mappings))
            yield from mistakes
            if mistakes:
                flawed.add(code)
            yield from _counted(item, item.measure, file, (*where, "measure"))
            if computable(item.measure, derived, mappings):
                counted = answers(item.measure, mappings) - of_everybody
                yield from _sensitive(indicator, counted, file, (*where, "measure"), mappings)
    yield from _universes(mappings, mappings.indicators.keys() - flawed, connection)


def _breakdowns(indicator: Indicator, file: str, mappings: Mappings) -> Iterator[Finding]:
    said = indicator.breakdowns
    for key, names in {
        "required": said.required,
        "lnob": said.lnob,
        "outside_universe": said.outside_universe,
        "crossings": itertools.chain.from_iterable(said.crossings),
    }.items():
        for name in sorted(set(names) - set(mappings.breakdowns)):
            where = ("breakdowns", key)
            yield file, where, f"{name} is no breakdown of breakdowns.yaml; say in not_carried why the project has none"
    for name in sorted(set(said.not_carried) & set(mappings.breakdowns)):
        yield file, ("breakdowns", "not_carried", name), f"{name} is a breakdown; put it under required or lnob"
    both = [*said.required, *said.lnob]
    for name in sorted({name for name in both if both.count(name) > 1}):
        yield file, ("breakdowns",), f"{name} is named twice under required and lnob; name it once"
    for place, names in enumerate(said.crossings):
        if len(set(names)) < 2 or len(set(names)) < len(names):
            sentence = f"[{', '.join(names)}] crosses nothing; name different breakdowns, two or more"
            yield file, ("breakdowns", "crossings", place), sentence
    for name in sorted(set(said.outside_universe) & set(mappings.breakdowns)):
        if strange := set(said.outside_universe[name]) - set(mappings.categories(name)):
            yield file, ("breakdowns", "outside_universe", name), f"{listed(strange)} is no category of {name}"


def _definition(indicator: Indicator, file: str) -> Iterator[Finding]:
    definition, official = indicator.definition, indicator.official_definition_versions
    where = ("definition",)
    sheet = indicator.indicator.replace(".", "-")
    if not re.match(rf"{sheet[:-1] if sheet[-1].isalpha() else sheet}[a-z]?\b", definition.sheet):
        yield (
            file,
            (*where, "sheet"),
            f"the sheet of {indicator.indicator} is {sheet}; the file cites {definition.sheet}",
        )
    start, end = definition.valid_from, definition.valid_to
    if start and end and start > end:
        yield file, (*where, "valid_from"), f"the definition is in force from {start} to {end}: the days are swapped"
    if not official:
        yield file, ("official_definition_versions",), "say which versions the official series follow"
        return
    for version in official:
        if not re.fullmatch(r"\d{4}(-\d{2})?", version):
            yield file, ("official_definition_versions",), f"{version} is no version; write 2020 or 2020-10"
    if end and definition.version > end.isoformat():
        yield file, (*where, "valid_to"), f"version {definition.version} begins after its own end, {end}"
    if definition.version not in official and definition.version < max(official):
        sentence = (
            f"version {definition.version} is coded, and the official series follow {', '.join(official)}: "
            "read the newer sheet and code it, or add the version that they follow"
        )
        yield file, (*where, "version"), sentence
    elif end and definition.read and end < definition.read and definition.version not in official:
        sentence = (
            f"version {definition.version} ended on {end}, and no official series follows it: code the newer sheet"
        )
        yield file, (*where, "valid_to"), sentence


def _availability(indicator: Indicator, file: str) -> Iterator[Finding]:
    series = [item.code for item in indicator.series if item.measure is not None]
    components = [item.code for item in indicator.components]
    problems = [
        ("A", not series, "A says that a survey can compute a series, and none has a measure; say B, C or D"),
        ("C", len(series) == len(indicator.series), "C has components, and every series is computed; say A or B"),
        ("C", not components, "C says that a component or proxy can be computed, and there is none (components)"),
        ("D", bool(series or components), "D is evidence alone, and something is computed; say A, B or C"),
    ]
    for letter, wrong, sentence in problems:
        if letter == indicator.availability and wrong:
            yield file, ("availability",), sentence
    yield from ((file, ("served_by", *where), text) for where, text in _served_by(indicator))
    if indicator.indicator in SENSITIVE and not indicator.sensitive:
        yield file, (), "the indicator is sensitive; say sensitive: true, and so for each question it counts"


def _served_by(indicator: Indicator) -> Iterator[tuple[Path, str]]:
    for kind, letter in indicator.served_by.items():
        if kind != "household_survey":
            if letter in ("A", "C"):
                yield (kind,), f"a {kind} illustrates (D) or supports (E), and never becomes a share"
        elif indicator.availability == "D":
            yield (kind,), "availability D is evidence alone: a survey cannot serve it"
        elif letter not in (allowed := SURVEY_CLASSES[indicator.availability]):
            yield (kind,), f"a survey serves availability {indicator.availability} with class {allowed}, not {letter}"
    if indicator.computed and "household_survey" not in indicator.served_by:
        yield (), "something is computed, and no household_survey serves it: it would never be estimated"


def _measure(measure: Measure, file: str, where: Path, mappings: Mappings) -> Iterator[Finding]:
    """Expressions, names and units of a measure, and its missing rules."""
    for path, role, text in expressions(measure):
        gives: Gives = "number" if path[-1] == "value" else "condition"
        place = (*where, *path)
        units = UNITS_SEEN[measure.unit]
        for found in checked(text, file, place, mappings, units=units, gives=gives, about=f"a {measure.unit}"):
            if not isinstance(found, Expression):
                yield found
            elif role == "counted" and not found.variables and gives == "condition":
                yield file, place, f"the {path[-1]} names no variable"
    yield from _items(measure, file, where, mappings)
    if not readable(measure):
        return
    for position, share in enumerate(measure.shares):
        yield from _missing(measure, position, file, where)
        if share.universe.strip() == share.numerator.strip():
            place = (*where, "shares", position, "numerator")
            yield file, place, "numerator and universe are the same: the share would be 100 %"
    yield from _unit(measure, file, where, mappings)


def _unit(measure: Measure, file: str, where: Path, mappings: Mappings) -> Iterator[Finding]:
    """The unit must be the one whose answers are counted: the whole roster, or each household once for its members."""
    named = [variable(question_of(name, mappings), mappings) for name in variables(measure)]
    units = {found.unit for found in named if found is not None}
    if measure.unit == "respondent" and "respondent" not in units:
        sentence = (
            "no variable is answered by the respondent: count persons (unit and weight person), of the whole roster"
        )
        yield file, (*where, "unit"), sentence
    if measure.unit == "person" and "person" not in units:
        sentence = "every variable is of the household: say unit household and weight household_size"
        yield file, (*where, "unit"), sentence


def _missing(measure: Measure, position: int, file: str, where: Path) -> Iterator[Finding]:
    share, place = measure.shares[position], (*where, "shares", position, "missing")
    if absent := set(MISSING_KINDS) - set(share.missing):
        yield file, place, f"say what happens to {listed(absent)}"
    if share.missing.get("unmapped") == "not_in_numerator":
        yield file, place, "an unmapped answer is unknown; it cannot count as not in the numerator"
    if share.missing.get("not_asked") == "not_in_numerator":
        sentence = (
            "who was not asked is unknown; if the skip of the form decides the answer, say so in a derived variable"
        )
        yield file, place, sentence
    stays = [kind for kind, rule in share.missing.items() if rule == "not_in_numerator"]
    both = parse(share.universe).variables & parse(share.numerator).variables
    if stays and both:
        yield (
            file,
            place,
            f"{listed(both)} stands in the universe too, so that {listed(stays)} leaves there and never stays in the "
            "denominator; take it out of the universe or exclude",
        )


def _items(measure: Measure, file: str, where: Path, mappings: Mappings) -> Iterator[Finding]:
    """Items of scales and the countries of scores."""
    for name in measure.rasch.items if measure.rasch else ():
        found = variable(name, mappings)
        place = (*where, "rasch", "items", name)
        if found is None:
            yield file, place, f"{name} is no variable of the question bank"
        elif found.type != "code" or set(mappings.codes(name)) != {"yes", "no"}:
            yield file, place, f"{name} is no yes/no variable; an item of a Rasch scale is affirmed or not"
        elif found.unit not in UNITS_SEEN[measure.unit]:
            yield file, place, f"{name} is a variable of the {found.unit}, and this is about a {measure.unit}"
    if measure.rasch and measure.rasch.threshold not in measure.rasch.items.values():
        place = (*where, "rasch", "threshold")
        yield file, place, f"{measure.rasch.threshold} is the severity of none of the items; FAO sets it at one of them"
    for iso3 in measure.score.national if measure.score else ():
        if iso3 not in mappings.countries:
            yield file, (*where, "score", "national", iso3), f"{iso3} is no country of countries.yaml"


def counts(title: str) -> str | None:
    """Whom a title counts: households or persons, by the first noun that says so; None where none does."""
    found = COUNTED.search(title)
    return found.lastgroup if found else None


def _counted(item: Series | Component, measure: Measure, file: str, where: Path) -> Iterator[Finding]:
    """The weight must count what the title counts."""
    by_title = counts(item.title)
    if by_title and measure.counts and by_title != measure.counts:
        yield file, (*where, "counts"), f"the title counts {by_title}; mend the title or leave counts out"
        return
    wanted = by_title or measure.counts
    by_weight = "households" if measure.weight == "household" else "persons"
    if wanted is None:
        yield file, where, f"the title does not say whom it counts; say `counts: {by_weight}` or the other one"
    elif wanted != by_weight:
        better = "household" if wanted == "households" else "household_size, person or respondent"
        sentence = (
            f"the series counts {wanted}, and the weight {measure.weight} counts {by_weight}; say weight {better}"
        )
        yield file, (*where, "weight"), sentence
    shares = measure.statistic in ("proportion", "mean_of_shares", "composite", "rasch")
    if (shares or (measure.score and measure.score.give == "headcount")) and item.unit != "PERCENT":
        yield file, (*where[:-1], "unit"), f"a {measure.statistic} is a share: its unit is PERCENT, not {item.unit}"


def _of_breakdowns(mappings: Mappings, derived: set[str]) -> set[str]:
    """The questions behind breakdowns: everybody is asked them, and no protocol guards them."""
    names: set[str] = set()
    for _, _, expression in _whens(mappings):
        if expression.variables <= {*mappings.variables, *derived}:
            names |= asked(expression.variables, mappings)
    return names


def _whens(mappings: Mappings) -> Iterator[tuple[str, str, Expression]]:
    """(Breakdown, category, its condition), where nothing is wrong with the condition."""
    for name, breakdown in mappings.breakdowns.items():
        for code, category in mappings.categories(name).items():
            found = list(
                checked(
                    category.when, "", (), mappings, units=UNITS_SEEN[breakdown.unit], gives="condition", about="it"
                )
            )
            if len(found) == 1 and isinstance(found[0], Expression):
                yield name, code, found[0]


def _sensitive(
    indicator: Indicator, counted: set[str], file: str, where: Path, mappings: Mappings
) -> Iterator[Finding]:
    """A sensitive indicator counts sensitive questions, and a sensitive question makes its indicator sensitive."""
    plain = {name for name in counted if not mappings.variables[name].sensitive}
    if indicator.sensitive and plain:
        yield (
            file,
            where,
            f"the indicator is sensitive, and {listed(plain)} is not: say sensitive: true in the question bank",
        )
    if not indicator.sensitive and (strict := counted - plain):
        yield file, where, f"{listed(strict)} is sensitive, and the indicator is not: say sensitive: true"


Place = Literal["whole", "cut", "outside"]


def _universes(mappings: Mappings, indicators: set[str], connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Categories of age and sex beside the universes: what is ruled out or cut must be said, and nothing else.

    Every age and sex is tried with all other answers unknown: a category is whole where each of its values can be in
    the universe, outside where none can, cut in between.
    """
    universes = {
        code: [
            text
            for item in indicator.computed.values()
            if item.measure
            for _, role, text in expressions(item.measure)
            if role == "universe"
        ]
        for code, indicator in mappings.indicators.items()
        if code in indicators
    }
    texts = list(dict.fromkeys(text for found in universes.values() for text in found))
    possible = _possible(texts, mappings, connection)
    members = {
        (breakdown, code): (name, _holding(expression, name, mappings, connection))
        for breakdown, code, expression in _whens(mappings)
        for name in ("age", "sex")
        if expression.variables == {name} and name in mappings.variables
    }
    for code, found in universes.items():
        indicator = mappings.indicators[code]
        said = indicator.breakdowns
        shown = {*said.required, *said.lnob, *itertools.chain.from_iterable(said.crossings)}
        for (breakdown, category), (name, values) in members.items():
            if breakdown not in shown or not found:
                continue
            places: set[Place] = set()
            for text in found:
                inside = possible[text][name] & values
                places.add("whole" if inside == values else "cut" if inside else "outside")
            declared = category in said.outside_universe.get(breakdown, [])
            if sentence := _misplaced(f"{breakdown} {category}", places, declared=declared):
                where = ("breakdowns", "outside_universe", breakdown)
                yield mappings.files[f"indicator:{code}"], where, sentence


def _misplaced(category: str, places: set[Place], *, declared: bool) -> str | None:
    if declared and places == {"whole"}:
        return f"{category} is wholly in the universe; take it out of outside_universe"
    if not declared and "cut" in places:
        return f"the universe cuts {category}: name it in outside_universe, so that a part does not stand for the whole"
    if not declared and places == {"outside"}:
        return f"the universe has nobody of {category}: name it in outside_universe, so that nobody misses it"
    return None


def _values(name: str, mappings: Mappings) -> list[float] | list[str]:
    """Every age in years, or every code of sex."""
    if name == "sex":
        return list(mappings.codes("sex"))
    return [float(age) for age in range(int(mappings.variables["age"].maximum or 120) + 1)]


def _holding(
    expression: Expression, name: str, mappings: Mappings, connection: duckdb.DuckDBPyConnection
) -> set[float | str]:
    """The ages or sexes for which a condition over them holds."""
    query = f"SELECT {quoted(name)} FROM unnest(?) AS t({quoted(name)}) WHERE {expression.sql}"
    return {value for (value,) in connection.execute(query, [_values(name, mappings)]).fetchall()}


def _possible(
    texts: list[str], mappings: Mappings, connection: duckdb.DuckDBPyConnection
) -> dict[str, dict[str, set[float | str]]]:
    """Universe -> the ages and the sexes that can be in it, whatever the other answers are."""
    present = [name for name in ("age", "sex") if name in mappings.variables]
    found: dict[str, dict[str, set[float | str]]] = {text: {name: set() for name in present} for text in texts}
    if not texts or not present:
        return found
    conditions = []
    for text in texts:
        expression = parse(text)
        unknown = dict.fromkeys(expression.variables - set(present), "NULL")
        conditions.append(f"({expression.sql_with(unknown)}) IS DISTINCT FROM FALSE")
    grid = " CROSS JOIN ".join(f"unnest(?) AS {name}_values({quoted(name)})" for name in present)
    rows = connection.execute(
        f"SELECT {', '.join(map(quoted, present))}, {', '.join(conditions)} FROM {grid}",
        [_values(name, mappings) for name in present],
    ).fetchall()
    for row in rows:
        for text, inside in zip(texts, row[len(present) :], strict=True):
            if inside:
                for name, value in zip(present, row, strict=False):
                    found[text][name].add(value)
    return found
