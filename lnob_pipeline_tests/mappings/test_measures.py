"""What one row contributes to a series, statistic by statistic, by hand and against a reference in Python."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.measures import answers, columns, lacking, questions, variables
from lnob_pipeline.mappings.models import Measure
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.thorough import tries

Library = Callable[[dict[str, str]], Mappings]
Row = dict[str, Any]

YES_NO = 'type: code, codes: {"yes": Said yes, "no": Said no}'
BANK = f"""
topic: test
title: Answers of one person
variables:
  age: {{label: Age, unit: person, type: number, measure: years, minimum: 0, maximum: 110, source: a test}}
  is_respondent: {{label: Selected, unit: person, {YES_NO}, source: a test}}
  hours: {{label: Hours, unit: respondent, type: number, measure: hours, minimum: 0, maximum: 24, source: a test}}
  trust: {{label: Trust, unit: respondent, {YES_NO}, source: a test}}
  voted: {{label: Voted, unit: respondent, {YES_NO}, source: a test}}
  skipped: {{label: Skipped a meal, unit: respondent, {YES_NO}, source: a test}}
  rooms: {{label: Rooms, unit: household, type: number, measure: rooms, minimum: 1, maximum: 20, source: a test}}
derived:
  half_hours:
    label: Half of the hours
    unit: respondent
    type: number
    measure: hours
    expression: hours / 2
    source: a test
  pupil_age:
    label: Years since entry
    unit: person
    type: number
    measure: years
    expression: age - school_age
    source: a test
"""
KINDS = {"age": "DOUBLE", "hours": "DOUBLE", "half_hours": "DOUBLE", "rooms": "DOUBLE", "pupil_age": "DOUBLE"}
NAMES = ["age", "age_missing", "is_respondent", "hours", "hours_missing", "trust", "voted", "skipped", "rooms"]
NAMES += ["rooms_missing", "half_hours", "pupil_age"]
EXCLUDE = dict.fromkeys(("dont_know", "refused", "not_asked", "unmapped"), "exclude")
KEEP_DONT_KNOW = EXCLUDE | {"dont_know": "not_in_numerator"}


@pytest.fixture
def mappings(library: Library) -> Mappings:
    return library({"variables/test.yaml": BANK})


def measure(statistic: str, **described: Any) -> Measure:
    return Measure.model_validate({"unit": "respondent", "weight": "respondent", "statistic": statistic} | described)


def share(universe: str, numerator: str, missing: dict[str, str] = EXCLUDE) -> dict[str, Any]:
    return {"universe": universe, "numerator": numerator, "missing": missing}


def outcomes(measured: Measure, mappings: Mappings, rows: list[Row], country: str | None = "KEN") -> list[Any]:
    """What each row contributes: the value of the only column, or a tuple of them."""
    sql = columns(measured, mappings, country)
    each = [
        ", ".join(
            f"CAST({'NULL' if row.get(name) is None else repr(row[name])} AS {KINDS.get(name, 'VARCHAR')}) AS {name}"
            for name in NAMES
        )
        for row in ({"is_respondent": "yes"} | row for row in rows)
    ]
    relation = " UNION ALL ".join(f"SELECT {place} AS place, {row}" for place, row in enumerate(each))
    with connect(threads=1) as connection:
        found = connection.execute(f"SELECT {', '.join(sql.values())} FROM ({relation}) ORDER BY place").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def test_a_proportion(mappings: Mappings) -> None:
    trusting = measure("proportion", shares=[share("age >= 18", "trust = 'yes'", KEEP_DONT_KNOW)])
    rows: list[Row] = [
        {"age": 18, "trust": "yes"},
        {"age": 18, "trust": "no"},
        {"age": 17, "trust": "yes"},
        {"age": None, "age_missing": "refused", "trust": "yes"},
        {"age": 30, "trust": "dont_know"},
        {"age": 30, "trust": "refused"},
        {"age": 30, "trust": "not_asked"},
        {"age": 30, "trust": "unmapped"},
        {"age": 30, "trust": None},
        {"age": 30, "trust": "yes", "is_respondent": "no"},
        {"age": 30, "trust": "yes", "is_respondent": "refused"},
        {"age": 30, "trust": "yes", "is_respondent": None},
    ]
    assert outcomes(trusting, mappings, rows) == ["1", "0", None, None, "0", *[None] * 7]


def test_what_the_answers_decide_holds_and_the_rest_follows_the_rule(mappings: Mappings) -> None:
    either = measure("proportion", shares=[share("TRUE", "trust = 'yes' OR voted = 'yes'", KEEP_DONT_KNOW)])
    rows: list[Row] = [
        {"trust": "yes", "voted": "refused"},
        {"trust": "no", "voted": "dont_know"},
        {"trust": "no", "voted": "refused"},
        {"trust": "dont_know", "voted": "refused"},
        {"trust": "dont_know", "voted": None},
        {"trust": "yes", "voted": None},
    ]
    assert outcomes(either, mappings, rows) == ["1", "0", None, None, None, "1"]
    both = measure("proportion", shares=[share("TRUE", "trust = 'yes' AND voted = 'yes'")])
    skipped_by_the_form: list[Row] = [{"trust": "no", "voted": "not_asked"}, {"trust": "yes", "voted": "not_asked"}]
    assert outcomes(both, mappings, skipped_by_the_form) == ["0", None]


def test_a_number_in_a_numerator_follows_the_rule_of_its_kind(mappings: Mappings) -> None:
    long = measure("proportion", shares=[share("TRUE", "hours > 2", KEEP_DONT_KNOW)])
    rows: list[Row] = [
        {"hours": 3.0},
        {"hours": 2.0},
        {"hours": None, "hours_missing": "dont_know"},
        {"hours": None, "hours_missing": "refused"},
        {"hours": None},
    ]
    assert outcomes(long, mappings, rows) == ["1", "0", "0", None, None]
    derived = measure("proportion", shares=[share("TRUE", "half_hours > 1", KEEP_DONT_KNOW)])
    assert outcomes(derived, mappings, [{"half_hours": 1.5}, {"half_hours": None}]) == ["1", None]


@given(
    answer=st.fixed_dictionaries(
        {
            name: st.sampled_from(["yes", "no", "dont_know", "refused", "not_asked", "unmapped", None])
            for name in ("trust", "voted")
        }
    ),
    stays=st.sets(st.sampled_from(["dont_know", "refused", "not_asked", "unmapped"])),
    conjunction=st.booleans(),
)
@settings(max_examples=tries(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_and_rule_against_a_reference(
    mappings: Mappings, answer: Row, stays: set[str], conjunction: bool
) -> None:
    rule = {kind: "not_in_numerator" if kind in stays else "exclude" for kind in EXCLUDE}
    word = "AND" if conjunction else "OR"
    measured = measure("proportion", shares=[share("TRUE", f"trust = 'yes' {word} voted = 'yes'", rule)])
    known = {name: {"yes": True, "no": False}.get(str(value)) for name, value in answer.items()}
    decisive = not conjunction
    expected: str | None
    if decisive in known.values():
        expected = "1" if decisive else "0"
    elif None not in known.values():
        expected = "0" if decisive else "1"
    else:
        kinds = {value for value in answer.values() if value not in ("yes", "no")}
        expected = "0" if kinds <= stays else None
    assert outcomes(measured, mappings, [answer]) == [expected]


def test_a_mean_of_shares_has_a_denominator_for_each(mappings: Mappings) -> None:
    mean = measure("mean_of_shares", shares=[share("TRUE", "trust = 'yes'"), share("age >= 18", "voted = 'yes'")])
    rows = [{"age": 20, "trust": "yes", "voted": "no"}, {"age": 10, "trust": "refused", "voted": "yes"}]
    assert outcomes(mean, mappings, rows) == [("1", "0"), (None, None)]


def test_a_composite_takes_complete_cases(mappings: Mappings) -> None:
    composite = measure("composite", shares=[share("TRUE", "trust = 'yes'"), share("TRUE", "voted = 'yes'")])
    rows: list[Row] = [
        {"trust": "yes", "voted": "yes"},
        {"trust": "yes", "voted": "no"},
        {"trust": "no", "voted": "refused"},
        {"trust": "yes", "voted": "refused"},
    ]
    assert outcomes(composite, mappings, rows) == ["1", "0", None, None]


def test_a_mean(mappings: Mappings) -> None:
    mean = measure("mean", mean={"universe": "age >= 15", "value": "hours * 7"})
    rows: list[Row] = [
        {"age": 15, "hours": 2.0},
        {"age": 14, "hours": 2.0},
        {"age": 40, "hours": None, "hours_missing": "refused"},
    ]
    assert outcomes(mean, mappings, rows) == [14.0, None, None]


def test_a_ratio_adds_nothing_where_a_universe_ends_and_leaves_where_a_sum_is_open(mappings: Mappings) -> None:
    ratio = measure(
        "ratio",
        ratio={
            "numerator": {"universe": "trust = 'yes'", "value": "hours"},
            "denominator": {"universe": "age >= 15", "value": "1"},
        },
    )
    rows: list[Row] = [
        {"age": 20, "trust": "yes", "hours": 3.0},
        {"age": 20, "trust": "no", "hours": 3.0},
        {"age": 20, "trust": "yes", "hours": None},
        {"age": 10, "trust": "yes", "hours": 3.0},
        {"age": 10, "trust": "no", "hours": 3.0},
        {"age": 20, "trust": "yes", "hours": 3.0, "is_respondent": "no"},
    ]
    assert outcomes(ratio, mappings, rows) == [
        (3.0, 1.0),
        (0.0, 1.0),
        (None, None),
        (3.0, 0.0),
        (None, None),
        (None, None),
    ]


def score(give: str) -> Measure:
    third = 1 / 3
    return measure(
        "score",
        score={
            "universe": "age >= 15",
            "items": {
                "trust": {"label": "No trust", "deprived": "trust = 'no'"},
                "vote": {"label": "No vote", "deprived": "voted = 'no'"},
                "meal": {"label": "No meal", "deprived": "skipped = 'yes'"},
            },
            "national": {
                "KEN": {"weights": dict.fromkeys(("trust", "vote", "meal"), third), "cutoff": 2 * third, "source": "t"}
            },
            "give": give,
        },
    )


def test_a_score_counts_weighted_deprivations(mappings: Mappings) -> None:
    rows: list[Row] = [
        {"age": 20, "trust": "no", "voted": "no", "skipped": "no"},  # two thirds: at the cut-off
        {"age": 20, "trust": "no", "voted": "yes", "skipped": "no"},
        {"age": 20, "trust": "no", "voted": "no", "skipped": "yes"},
        {"age": 20, "trust": "no", "voted": "no", "skipped": "refused"},  # poor for sure, and still not complete
        {"age": 10, "trust": "no", "voted": "no", "skipped": "yes"},
    ]
    assert outcomes(score("headcount"), mappings, rows) == ["1", "0", "1", None, None]
    assert outcomes(score("intensity"), mappings, rows) == pytest.approx([2 / 3, None, 1.0, None, None])
    assert outcomes(score("adjusted_headcount"), mappings, rows) == pytest.approx([2 / 3, 0.0, 1.0, None, None])


def test_a_country_without_weights_or_parameters_has_no_such_estimate(mappings: Mappings) -> None:
    assert lacking(score("headcount"), mappings, "KEN") is None
    assert (
        lacking(score("headcount"), mappings, "NPL") == "NPL has no national weights and cut-off in the indicator file"
    )
    with pytest.raises(ValueError, match="no national weights"):
        columns(score("headcount"), mappings, "NPL")
    entry = measure("proportion", shares=[share("pupil_age >= 0", "trust = 'yes'")])
    assert lacking(entry, mappings, "KEN") is None
    assert lacking(entry, mappings, "NPL") == "NPL has no value of school_age in countries.yaml"
    assert lacking(entry, mappings, None) == "no country has no value of school_age in countries.yaml"


def test_a_parameter_is_a_number_of_the_country(mappings: Mappings) -> None:
    of_age = measure("proportion", shares=[share("age >= school_age", "trust = 'yes'")])
    rows = [{"age": 6, "trust": "yes"}, {"age": 5, "trust": "yes"}]
    assert outcomes(of_age, mappings, rows, "KEN") == ["1", None]


def test_a_scale_gives_a_column_an_item(mappings: Mappings) -> None:
    scale = measure(
        "rasch",
        rasch={"universe": "age >= 15", "items": {"trust": -1.0, "voted": 0.0, "skipped": 1.0}, "threshold": 0.0},
    )
    rows: list[Row] = [
        {"age": 15, "trust": "yes", "voted": "no", "skipped": "refused"},
        {"age": 14, "trust": "yes", "voted": "no", "skipped": "no"},
    ]
    assert list(columns(scale, mappings, None)) == ["trust", "voted", "skipped"]
    assert outcomes(scale, mappings, rows) == [("1", "0", None), (None, None, None)]


def test_a_measure_knows_its_questions(mappings: Mappings) -> None:
    measured = measure("mean", mean={"universe": "age >= 15 AND pupil_age > 3", "value": "half_hours"})
    assert variables(measured) == {"age", "pupil_age", "half_hours"}
    assert questions(measured, mappings) == {"age", "hours"}
    assert answers(measured, mappings) == {"hours"}
    assert variables(measured, "universe") == {"age", "pupil_age"}
