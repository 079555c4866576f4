"""Derived variables: in which order they are made, what households see of persons, what is unknown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.bank_rules import notes
from lnob_pipeline.mappings.derive import (
    Step,
    asked,
    behind,
    circles,
    condition,
    household_columns,
    members_sql,
    parameters_behind,
    question_of,
    steps,
    tables,
)
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import DerivedVariable, Variable
from lnob_pipeline.warehouse import connect

Library = Callable[[dict[str, str]], Mappings]

BANK = """
topic: test
title: A household with children
variables:
  age: {label: Age, unit: person, type: number, measure: years, minimum: 0, maximum: 110, source: a test}
  sex: {label: Sex, unit: person, type: code, codes: {female: Female, male: Male}, source: a test}
  at_school: {label: Attends, unit: person, type: code, codes: {"yes": Attends, "no": Does not}, source: a test}
  rooms: {label: Rooms, unit: household, type: number, measure: rooms, minimum: 1, maximum: 20, source: a test}
  size: {label: Members, unit: household, type: number, measure: persons, minimum: 1, maximum: 30, source: a test}
  piped: {label: Piped water, unit: household, type: code, codes: {"yes": Piped, "no": Not piped}, source: a test}
  is_respondent: {label: Selected, unit: person, type: code, codes: {"yes": Selected, "no": Not}, source: a test}
  opinion: {label: Opinion, unit: respondent, type: code, codes: {good: Good, bad: Bad}, source: a test}
derived:
  deprived:
    label: Crowded, or a child is out of school
    unit: household
    type: code
    codes: {"yes": Deprived, "no": Not deprived}
    expression: |
      CASE WHEN persons_per_room > 3 OR child_out_of_school = 'yes' THEN 'yes'
           WHEN persons_per_room <= 3 AND child_out_of_school = 'no' THEN 'no' END
    source: a test
  persons_per_room:
    label: Persons a room
    unit: household
    type: number
    measure: persons a room
    expression: size / rooms
    source: a test
  child_out_of_school:
    label: A child of school age is out of school
    unit: household
    type: code
    codes: {"yes": A child is out of school, "no": No child is}
    members: any
    expression: school_age_child = 'yes' AND at_school = 'no'
    source: a test
  school_age_child:
    label: Of school age
    unit: person
    type: code
    codes: {"yes": Of school age, "no": Younger or older}
    expression: |
      CASE WHEN age >= school_age AND age < school_age + 8 THEN 'yes' WHEN age IS NOT NULL THEN 'no' END
    source: a test
  everybody_adult:
    label: Only adults live here
    unit: household
    type: code
    codes: {"yes": Only adults, "no": Also children}
    members: all
    expression: age >= 18
    source: a test
  discontent_in_poverty:
    label: Thinks ill of the place and lives in a deprived household
    unit: respondent
    type: code
    codes: {"yes": Discontent, "no": Not}
    expression: |
      CASE WHEN opinion = 'bad' AND deprived = 'yes' THEN 'yes' WHEN opinion = 'good' OR deprived = 'no' THEN 'no' END
    source: a test
"""


@pytest.fixture
def mappings(library: Library) -> Mappings:
    return library({"variables/test.yaml": BANK})


def test_each_step_rests_on_what_was_made_before(mappings: Mappings) -> None:
    assert steps(mappings) == [
        Step("households", False, ("persons_per_room",)),
        Step("persons", False, ("school_age_child",)),
        Step("households", True, ("child_out_of_school", "everybody_adult")),
        Step("households", False, ("deprived",)),
        Step("persons", False, ("discontent_in_poverty",)),
    ]
    assert steps(mappings, ["child_out_of_school"]) == [
        Step("persons", False, ("school_age_child",)),
        Step("households", True, ("child_out_of_school",)),
    ]
    assert steps(mappings, ["age"]) == []


def test_names_are_followed_to_questions_and_parameters(mappings: Mappings) -> None:
    assert asked(["deprived"], mappings) == {"age", "at_school", "rooms", "size"}
    assert asked(["age_missing", "deprived"], mappings) >= {"age"}
    assert parameters_behind(["deprived"], mappings) == {"school_age"}
    assert parameters_behind(["everybody_adult"], mappings) == set()
    assert "persons_per_room" in behind(["deprived"], mappings)
    assert question_of("age_missing", mappings) == "age"
    assert question_of("sex_missing", mappings) == "sex_missing", "a coded variable has no companion"
    assert household_columns(["discontent_in_poverty"], mappings) == ["deprived"]


def test_a_circle_is_named_and_not_computed(library: Library) -> None:
    text = BANK.replace("expression: size / rooms", "expression: size / rooms + round_trip") + (
        "  round_trip: {label: Round, unit: household, type: number, measure: none, "
        "expression: persons_per_room + 1, source: a test}\n"
    )
    mappings = library({"variables/test.yaml": text})
    assert circles(mappings) == ["persons_per_room", "round_trip"]
    with pytest.raises(ValueError, match="in a circle: deprived, discontent_in_poverty, persons_per_room, round_trip"):
        steps(mappings)


def made(mappings: Mappings, country: str, households: list[dict[str, Any]], persons: list[dict[str, Any]]) -> Any:
    """Household key -> derived variables of the household; (household, person) -> those of the person."""

    def rows(given: list[dict[str, Any]], names: list[str], keys: list[str]) -> str:
        kinds = {"age": "DOUBLE", "size": "DOUBLE", "rooms": "DOUBLE"}
        each = [
            ", ".join(
                f"{'NULL' if row.get(name) is None else repr(row[name])}::{kinds.get(name, 'VARCHAR')} AS {name}"
                for name in [*keys, *names]
            )
            for row in given
        ]
        return " UNION ALL ".join(f"SELECT {row}" for row in each)

    of_household = ["rooms", "rooms_missing", "size", "size_missing", "piped"]
    of_person = ["age", "age_missing", "sex", "at_school", "opinion"]
    clause, households_name, persons_name = tables(
        rows(households, of_household, ["household_key"]),
        rows(persons, of_person, ["household_key", "person_key"]),
        mappings,
        mappings.parameters_of(country),
    )
    with connect() as connection:
        found = connection.sql(f"{clause} SELECT * FROM {households_name}").pl().to_dicts()
        people = connection.sql(f"{clause} SELECT * FROM {persons_name}").pl().to_dicts()
    return {row["household_key"]: row for row in found} | {
        (row["household_key"], row["person_key"]): row for row in people
    }


def test_the_chain_by_hand(mappings: Mappings) -> None:
    households = [
        {"household_key": "crowded", "size": 8, "rooms": 2},
        {"household_key": "truant", "size": 2, "rooms": 2},
        {"household_key": "well", "size": 3, "rooms": 2},
        {"household_key": "unknown", "size": 2, "rooms": 2},
        {"household_key": "empty", "size": 2, "rooms": 2},
        {"household_key": "roofless", "size": 2, "rooms": 0},
    ]
    persons: list[dict[str, Any]] = [
        {"household_key": "crowded", "person_key": "1", "age": 40, "opinion": "bad"},
        {"household_key": "truant", "person_key": "1", "age": 6, "at_school": "no"},
        {"household_key": "truant", "person_key": "2", "age": 40, "at_school": "not_asked", "opinion": "refused"},
        {"household_key": "well", "person_key": "1", "age": 13, "at_school": "yes"},
        {"household_key": "well", "person_key": "2", "age": 14, "at_school": "no", "opinion": "bad"},
        {"household_key": "unknown", "person_key": "1", "age": 7, "at_school": "dont_know"},
        {"household_key": "unknown", "person_key": "2", "age": 18, "opinion": "bad"},
        {"household_key": "roofless", "person_key": "1", "age": None, "age_missing": "refused", "at_school": "no"},
    ]
    found = made(mappings, "KEN", households, persons)
    assert {key: found[key]["persons_per_room"] for key in ("crowded", "truant", "roofless")} == {
        "crowded": 4.0,
        "truant": 1.0,
        "roofless": None,
    }
    assert [found["truant", "1"]["school_age_child"], found["well", "2"]["school_age_child"]] == ["yes", "no"]
    assert {key: found[key]["child_out_of_school"] for key in found if isinstance(key, str)} == {
        "crowded": "no",  # forty years are beyond school, whatever was asked
        "truant": "yes",
        "well": "no",
        "unknown": None,  # a child of seven whose attendance nobody knows
        "empty": None,  # no roster
        "roofless": None,
    }
    assert {key: found[key]["everybody_adult"] for key in found if isinstance(key, str)} == {
        "crowded": "yes",
        "truant": "no",
        "well": "no",
        "unknown": "no",
        "empty": None,
        "roofless": None,
    }
    assert {key: found[key]["deprived"] for key in found if isinstance(key, str)} == {
        "crowded": "yes",
        "truant": "yes",
        "well": "no",
        "unknown": None,
        "empty": None,
        "roofless": None,
    }
    assert found["crowded", "1"]["discontent_in_poverty"] == "yes"
    assert found["well", "2"]["discontent_in_poverty"] == "no"
    assert found["unknown", "2"]["discontent_in_poverty"] is None


def test_without_the_parameter_of_the_country_nothing_rests_on_it(mappings: Mappings) -> None:
    persons = [{"household_key": "h", "person_key": "1", "age": 7, "at_school": "no", "opinion": "good"}]
    found = made(mappings, "NPL", [{"household_key": "h", "size": 9, "rooms": 1}], persons)
    assert found["h", "1"]["school_age_child"] is None
    assert found["h"]["child_out_of_school"] is None
    assert found["h"]["deprived"] is None, "crowded for sure, and still: the country has no such variable"
    assert found["h"]["persons_per_room"] == 9.0
    assert found["h"]["everybody_adult"] == "no"


def _single(rule: str) -> Mappings:
    age = Variable(label="Age", unit="person", type="number", measure="years", source="a test")
    derived = DerivedVariable.model_validate(
        {
            "label": "An adult",
            "unit": "household",
            "type": "code",
            "codes": {"yes": "Yes", "no": "No"},
            "members": rule,
            "expression": "age >= 18",
            "source": "a test",
        }
    )
    return Mappings(Path(), {"age": age}, {"adult_there": derived}, {}, {}, {}, {}, {}, {}, {})


SINGLE = {rule: _single(rule) for rule in ("any", "all")}


@given(
    members=st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=5),
    rule=st.sampled_from(["any", "all"]),
)
def test_members_follow_the_logic_of_unknown(members: list[bool | None], rule: str) -> None:
    mappings = SINGLE[rule]
    ages = ", ".join(f"({'NULL' if m is None else 30 if m else 3}::DOUBLE)" for m in members)
    sql = members_sql("adult_there", mappings, {})
    with connect(threads=1) as connection:
        ((found,),) = connection.execute(f"SELECT {sql} FROM (VALUES {ages}) AS t(age)").fetchall()
    if rule == "any":
        expected = "yes" if True in members else None if None in members else "no"
    else:
        expected = "no" if False in members else None if None in members else "yes"
    assert found == expected


def test_a_country_without_a_number_is_noted(mappings: Mappings) -> None:
    assert notes(mappings) == [
        "countries.yaml: NPL has no value of school_age; what rests on it is not computed for Nepal"
    ]


def test_a_missing_code_is_unknown_in_a_condition_also_under_not(mappings: Mappings) -> None:
    sql = condition("NOT piped = 'yes'", mappings, {})
    with connect() as connection:
        rows = connection.execute(
            f"SELECT piped, {sql} FROM (VALUES ('yes'), ('no'), ('refused'), ('unmapped'), (NULL)) AS t(piped)"
        ).fetchall()
    assert rows == [("yes", False), ("no", True), ("refused", None), ("unmapped", None), (None, None)]
