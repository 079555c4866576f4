"""Slips by rule (mutants.py) in every measure and derived variable: the known answers must notice.

Mistakes as a person makes them in a file are in test_mistakes.py.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator

import duckdb
import pytest

from lnob_pipeline.mappings.derive import asked, behind
from lnob_pipeline.mappings.examples import ExampleFile, agree, example_file, households_of, outcomes
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.indicator_rules import indicator_findings
from lnob_pipeline.mappings.load import Mappings, read_file
from lnob_pipeline.mappings.measures import variables
from lnob_pipeline.mappings.models import Component, Measure, Series
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.mappings import mutants

ALL_NOTICED = {
    "polarity",
    "universe",
    "value",
    "threshold",
    "strictness",
    "missing rule of dont_know",
    "missing rule of refused",
}

BANDS = "an earlier WHEN has taken the rows between the two numbers"
SAME_MEANING = {
    "universe: 4.2.1 SE_DEV_ONTRK": "the derived variable is empty outside 24 to 59 months",
    "threshold: 4.2.1 SE_DEV_ONTRK": "the derived variable is empty outside 24 to 59 months",
    "strictness: 4.2.1 SE_DEV_ONTRK": "the derived variable is empty outside 24 to 59 months",
    "missing rule of dont_know: 4.2.1 SE_DEV_ONTRK": "a milestone that is open leaves the derived variable empty",
    "missing rule of refused: 4.2.1 SE_DEV_ONTRK": "a milestone that is open leaves the derived variable empty",
    "missing rule of refused: 6.1.1 LNOB_H2O_PREMISES_SUFFICIENT_ECOLI_FREE: shares.0": "all shares rest on the source",
    "threshold: drinking_water_service: WHEN drinking_water_minutes > 29": BANDS,
    "strictness: drinking_water_service: WHEN drinking_water_minutes >= 30": BANDS,
    "threshold: undernourished_child: WHEN age < 6": BANDS,
    "strictness: undernourished_child: WHEN age <= 5": BANDS,
    "threshold: living_area: WHEN household_size <= 4": BANDS,
    "threshold: sexual_violence_before_18: WHEN sexual_violence_first_age >= 17": BANDS,
    "strictness: primary_completed: WHEN education_grade_completed <=": BANDS,
    "strictness: lower_secondary_completed: WHEN education_grade_completed <=": BANDS,
    "strictness: upper_secondary_completed: WHEN education_grade_completed <=": BANDS,
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 23": "the universe begins at 24 months",
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 29": BANDS,
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 35": BANDS,
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 41": BANDS,
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 47": BANDS,
    "threshold: developmentally_on_track: WHEN age_months BETWEEN 48 AND 60": "the universe ends at 59 months",
    "threshold: first_union: WHEN age_first_union >= 17": BANDS,
    "threshold: child_labour_economic: WHEN age >= 11": BANDS,
    "threshold: child_labour_economic: WHEN age >= 14": BANDS,
    "threshold: child_labour_chores: WHEN age < 16": BANDS,
    "strictness: child_labour_chores: WHEN age <= 15": BANDS,
}
"""How the name of a slip begins that changes nothing -> why."""


@pytest.fixture(scope="module")
def known(mappings: Mappings) -> dict[str, ExampleFile]:
    found = {}
    for code, indicator in mappings.indicators.items():
        if indicator.computed:
            examples, _, problems = read_file(mappings.folder, example_file(code), ExampleFile)
            assert examples is not None, problems
            found[code] = examples
    return found


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(threads=1) as opened:
        opened.execute("PRAGMA disable_optimizer")
        yield opened


Slip = tuple[str, str]
"""Kind, and where with what."""


def measured(item: Series | Component) -> Measure:
    assert item.measure is not None
    return item.measure


def slips_in_measures(
    mappings: Mappings, known: dict[str, ExampleFile], connection: duckdb.DuckDBPyConnection
) -> Iterator[tuple[Slip, bool]]:
    """Each slip and whether it is noticed: all slips of an indicator run in one query, as series of their own."""
    for code, examples in known.items():
        computed = mappings.indicators[code].computed
        made = {
            f"{series} slip {place}": (series, kind, changed)
            for series, item in computed.items()
            for place, (kind, changed) in enumerate(mutants.of_measure(measured(item)))
        }
        constructed = households_of(examples)
        rows = [household for _, household in constructed]
        expected = {
            (household.key, name): examples.rows[number].expect[series]
            for number, household in constructed
            for name, (series, _, _) in made.items()
            if series in examples.rows[number].expect
        }
        measures = {name: changed for name, (_, _, changed) in made.items()}
        found = outcomes(rows, measures, expected.keys(), examples.country, mappings, connection)
        noticed = {name for (key, name), answer in expected.items() if not agree(answer, found[key, name])}
        for name, (series, kind, changed) in made.items():
            slip = (kind, f"{code} {series}: {difference(measured(computed[series]), changed)}")
            caught = name in noticed or refused(mappings, code, series, changed, connection)
            yield slip, caught or (kind.startswith("missing rule") and settled(measured(computed[series]), mappings))


def settled(measure: Measure, mappings: Mappings) -> bool:
    """Whether what is counted also decides who is in the universe: then an open answer is outside, by any rule."""
    return all(
        asked(parse(share.numerator).variables, mappings) <= asked(parse(share.universe).variables, mappings)
        for share in measure.shares
    )


def difference(before: Measure, after: Measure) -> str:
    old = dict(mutants.leaves(before.model_dump()))
    return next(
        f"{'.'.join(map(str, path))} = {value}"
        for path, value in mutants.leaves(after.model_dump())
        if old[path] != value
    )


def refused(
    mappings: Mappings, code: str, series: str, changed: Measure, connection: duckdb.DuckDBPyConnection
) -> bool:
    """Whether lint itself refuses the indicator with the changed measure."""
    indicator = mappings.indicators[code]
    items = {
        part: [
            item.model_copy(update={"measure": changed}) if item.code == series else item
            for item in getattr(indicator, part)
        ]
        for part in ("series", "components")
    }
    alone = dataclasses.replace(mappings, indicators={code: indicator.model_copy(update=items)})
    return any(True for _ in indicator_findings(alone, connection))


@pytest.mark.thorough
def test_known_answers_notice_slips_in_measures(
    mappings: Mappings, known: dict[str, ExampleFile], connection: duckdb.DuckDBPyConnection
) -> None:
    judge(list(slips_in_measures(mappings, known, connection)), least=500, codes=0.95)


def slips_in_derived_variables(
    mappings: Mappings, known: dict[str, ExampleFile], connection: duckdb.DuckDBPyConnection
) -> Iterator[tuple[Slip, bool]]:
    rests: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for code in known:
        for series, item in mappings.indicators[code].computed.items():
            for name in behind(variables(measured(item)), mappings) & set(mappings.derived):
                rests[name].append((code, series))
    for name, users in rests.items():
        derived = mappings.derived[name]
        for kind, text in mutants.slips(derived.expression):
            changed = derived.model_copy(update={"expression": text})
            slipped = dataclasses.replace(mappings, derived=mappings.derived | {name: changed})
            where = f"{name}: {text_difference(derived.expression, text)}"
            yield (kind, where), any(unlike(code, users, known[code], slipped, connection) for code in dict(users))


def unlike(
    code: str,
    users: list[tuple[str, str]],
    examples: ExampleFile,
    mappings: Mappings,
    connection: duckdb.DuckDBPyConnection,
) -> bool:
    chosen = {series: measured(mappings.indicators[code].computed[series]) for user, series in users if user == code}
    constructed = households_of(examples)
    rows = [household for _, household in constructed]
    expected = {
        (household.key, series): answer
        for number, household in constructed
        for series, answer in examples.rows[number].expect.items()
        if series in chosen
    }
    found = outcomes(rows, chosen, expected.keys(), examples.country, mappings, connection)
    return any(not agree(answer, found[key]) for key, answer in expected.items())


def text_difference(before: str, after: str) -> str:
    lines = [new.strip() for old, new in zip(before.splitlines(), after.splitlines(), strict=False) if old != new]
    return lines[0] if lines else after


@pytest.mark.thorough
def test_known_answers_notice_slips_in_derived_variables(
    mappings: Mappings, known: dict[str, ExampleFile], connection: duckdb.DuckDBPyConnection
) -> None:
    judge(list(slips_in_derived_variables(mappings, known, connection)), least=300, codes=0.7)


def judge(slips: list[tuple[Slip, bool]], least: int, codes: float) -> None:
    """All slips of most kinds are noticed, and of the codes left out of a list the share `codes` at least."""
    assert len(slips) >= least, "the slips are not made"
    made = Counter(kind for (kind, _), _ in slips)
    noticed = Counter(kind for (kind, _), seen in slips if seen)
    for kind, number in sorted(made.items()):
        print(f"{kind}: {noticed[kind]} of {number} noticed")
    missed = [f"{kind}: {where}" for (kind, where), seen in slips if not seen and kind in ALL_NOTICED]
    assert [slip for slip in missed if not slip.startswith(tuple(SAME_MEANING))] == []
    assert noticed["code left out"] >= codes * made["code left out"]
