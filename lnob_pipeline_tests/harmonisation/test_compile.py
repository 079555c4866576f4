"""Harmonisation by hand: codes, units, missing answers, ladders, and the Washington Group cut-off."""

import dataclasses
import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.harmonisation.compile import Harmonised, harmonise
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import (
    Column,
    DerivedVariable,
    Instrument,
    Parameter,
    Record,
    Review,
    Variable,
)
from lnob_pipeline.storage import write_table
from lnob_pipeline.tables import harmonised_households
from lnob_pipeline.warehouse import connect

YES_NO = {"positive": ["1"], "negative": ["2"], "missing": {"dont_know": ["8"], "refused": ["9"]}}
WATER = {"pipe": "piped_dwelling", "tap": "public_tap", "well": "unprotected_well", "river": "surface_water"}
DIFFICULTY = {"1": "no_difficulty", "2": "some_difficulty", "3": "a_lot_of_difficulty", "4": "cannot_do"}
DOMAINS = ["seeing", "hearing", "walking", "remembering", "self_care", "communicating"]


def instrument(household: dict[str, dict], person: dict[str, dict] | None = None) -> Instrument:
    records = {
        "household": Record(table="main", unit="household", columns={k: Column(**v) for k, v in household.items()})
    }
    if person is not None:
        columns = {k: Column(**v) for k, v in person.items()}
        records["person"] = Record(table="members", unit="person", parent="household", columns=columns)
    return Instrument(
        instrument="test-form",
        title="Test form",
        version="1",
        data_type="household_survey",
        languages=["en"],
        records=records,
        reviewed=Review(by="test", date=datetime.date(2026, 1, 1), source="this test"),
    )


def run(mappings: Mappings, form: Instrument, rows: list[dict[str, str | None]], limit: float = 1.0) -> Harmonised:
    frame = pl.DataFrame(
        [{"submission_id": "ken-2019-x", "record": "household", "parent_key": None, **row} for row in rows]
    )
    numbered = frame.with_columns(row_number=pl.int_range(2, pl.len() + 2, dtype=pl.Int32))
    if "record_key" not in numbered.columns:
        numbered = numbered.with_columns(record_key=pl.col("row_number").cast(pl.String))
    with connect(threads=1) as connection:
        return harmonise(connection, form, numbered, mappings, limit)


WATER_CASES = [
    # source, place, minutes, service by the JMP ladder
    ("pipe", "", "", "at_least_basic"),
    ("tap", "", "30", "at_least_basic"),  # thirty minutes exactly is basic
    ("tap", "", "31", "limited"),
    ("tap", "home", "", "at_least_basic"),  # on premises: minutes are not asked
    ("tap", "", "998", "dont_know"),
    ("tap", "", "", "not_asked"),
    ("well", "", "5", "unimproved"),
    ("river", "", "5", "surface_water"),
    ("98", "", "5", "dont_know"),
    ("lake of the moon", "", "5", "unmapped"),
    ("", "", "", "not_asked"),
]


@pytest.mark.parametrize(("source", "place", "minutes", "service"), WATER_CASES)
def test_drinking_water_ladder(mappings: Mappings, source: str, place: str, minutes: str, service: str) -> None:
    form = instrument(
        {
            "w": {"variable": "drinking_water_source", "codes": WATER, "missing": {"dont_know": ["98"]}},
            "p": {"variable": "drinking_water_place", "codes": {"home": "own_yard", "far": "elsewhere"}},
            "m": {"variable": "drinking_water_minutes", "missing": {"dont_know": ["998"]}},
        }
    )
    result = run(mappings, form, [{"w": source, "p": place, "m": minutes}])
    assert result.households["drinking_water_service"].to_list() == [service]


SANITATION_CASES = [
    ("septic", "2", "at_least_basic"),
    ("septic", "1", "limited"),
    ("septic", "8", "dont_know"),
    ("drain", "2", "unimproved"),  # flush to open drain is not improved
    ("where", "2", "at_least_basic"),  # flush, outlet not known, is improved
    ("bush", "", "open_defecation"),
]


@pytest.mark.parametrize(("facility", "shared", "service"), SANITATION_CASES)
def test_sanitation_ladder(mappings: Mappings, facility: str, shared: str, service: str) -> None:
    codes = {"septic": "flush_septic", "drain": "flush_open_drain", "where": "flush_unknown", "bush": "no_facility"}
    form = instrument(
        {"f": {"variable": "sanitation_facility", "codes": codes}, "s": {"variable": "sanitation_shared", **YES_NO}}
    )
    result = run(mappings, form, [{"f": facility, "s": shared}])
    assert result.households["sanitation_service"].to_list() == [service]


WASHING_CASES = [
    ("sink", "1", "soap", "basic"),
    ("sink", "1", "ash", "limited"),  # ash is not soap
    ("sink", "2", "soap", "limited"),
    ("none", "", "", "no_facility"),
    ("closed", "", "", "refused"),  # no permission to see
    ("sink", "9", "soap", "refused"),
]


@pytest.mark.parametrize(("place", "water", "soap", "service"), WASHING_CASES)
def test_handwashing_ladder(mappings: Mappings, place: str, water: str, soap: str, service: str) -> None:
    places = {"sink": "fixed_observed", "none": "no_place", "closed": "no_permission"}
    form = instrument(
        {
            "p": {"variable": "handwashing_place", "codes": places},
            "w": {"variable": "handwashing_water", **YES_NO},
            "s": {"variable": "handwashing_soap", "codes": {"soap": "soap", "ash": "ash_mud_sand"}},
        }
    )
    result = run(mappings, form, [{"p": place, "w": water, "s": soap}])
    assert result.households["handwashing_service"].to_list() == [service]


DISABILITY_CASES = [
    ("30", "111111", "no"),
    ("30", "112111", "no"),  # some difficulty is below the cut-off
    ("30", "113111", "yes"),
    ("30", "111114", "yes"),
    ("4", "444444", None),  # not classified below five years
    ("5", "111113", "yes"),
    ("30", "999999", None),  # a person who refuses all is not "without disability"
    ("30", "111119", None),
    ("30", "311119", "yes"),
    ("", "111111", None),
]


@pytest.mark.parametrize(("age", "answers", "disability"), DISABILITY_CASES)
def test_washington_group_cut_off(mappings: Mappings, age: str, answers: str, disability: str | None) -> None:
    columns: dict[str, dict] = {"age": {"variable": "age"}}
    for domain in DOMAINS:
        columns[domain] = {"variable": f"difficulty_{domain}", "codes": DIFFICULTY, "missing": {"refused": ["9"]}}
    result = run(mappings, instrument(columns), [{"age": age, **dict(zip(DOMAINS, answers, strict=True))}])
    assert result.persons["disability"].to_list() == [disability]


@given(st.lists(st.sampled_from("123489 "), min_size=6, max_size=6), st.integers(0, 110))
def test_disability_is_never_no_without_six_answers(mappings: Mappings, answers: list[str], age: int) -> None:
    columns: dict[str, dict] = {"age": {"variable": "age"}}
    for domain in DOMAINS:
        columns[domain] = {
            "variable": f"difficulty_{domain}",
            "codes": DIFFICULTY,
            "missing": {"dont_know": ["8"], "refused": ["9"]},
        }
    rows: list[dict[str, str | None]] = [{"age": str(age), **dict(zip(DOMAINS, answers, strict=True))}]
    (disability,) = run(mappings, instrument(columns), rows).persons["disability"].to_list()
    if age < 5:
        assert disability is None
    elif set(answers) & set("34"):
        assert disability == "yes"
    elif set(answers) <= set("12"):
        assert disability == "no"
    else:
        assert disability is None


def test_polarity_is_what_the_file_says(mappings: Mappings) -> None:
    form = instrument({"q": {"variable": "sanitation_shared", "positive": ["no"], "negative": ["yes"]}})
    result = run(mappings, form, [{"q": "yes"}, {"q": "no"}])
    assert result.households["sanitation_shared"].to_list() == ["no", "yes"]


def test_numbers_are_converted_and_say_why_they_are_absent(mappings: Mappings) -> None:
    form = instrument(
        {
            "hours": {
                "variable": "drinking_water_minutes",
                "multiply": 60,
                "missing": {"dont_know": ["98"], "refused": ["-9"]},
            }
        }
    )
    rows: list[dict[str, str | None]] = [{"hours": text} for text in ("0.5", "98", "-9", "", "soon")]
    found = run(mappings, form, rows).households
    assert found["drinking_water_minutes"].to_list() == [30.0, None, None, None, None]
    assert found["drinking_water_minutes_missing"].to_list() == [None, "dont_know", "refused", "not_asked", "unmapped"]


def test_select_multiple_is_sorted_and_unknown_options_are_unmapped(mappings: Mappings) -> None:
    codes = {"a": "dalit", "b": "refugees", "no": "none"}
    form = instrument({"g": {"variable": "marginalised_groups", "select": "multiple", "codes": codes}})
    rows: list[dict[str, str | None]] = [{"g": text} for text in ("b a", "a", "a z", "", "no")]
    assert run(mappings, form, rows).households["marginalised_groups"].to_list() == [
        "dalit refugees",
        "dalit",
        "unmapped",
        "not_asked",
        "none",
    ]


def test_a_variable_with_too_many_unknown_codes_stops(mappings: Mappings) -> None:
    form = instrument({"w": {"variable": "drinking_water_source", "codes": WATER}})
    rows: list[dict[str, str | None]] = [{"w": text} for text in ("pipe", "pipe", "moon", "")]
    stopped = run(mappings, form, rows, limit=0.05)
    assert stopped.unmapped == {"drinking_water_source": (1, 3, True)}
    assert stopped.households["drinking_water_source"].to_list() == ["unmapped", "unmapped", "unmapped", "not_asked"]
    kept = run(mappings, form, rows, limit=0.5)
    assert kept.unmapped == {"drinking_water_source": (1, 3, False)}
    assert kept.households["drinking_water_source"].to_list() == [
        "piped_dwelling",
        "piped_dwelling",
        "unmapped",
        "not_asked",
    ]


def test_respondent_answers_go_to_the_respondent_alone(mappings: Mappings) -> None:
    form = instrument(
        {"phone": {"variable": "mobile_device", **YES_NO}},
        {
            "who": {"variable": "is_respondent", **YES_NO},
            "sex": {"variable": "sex", "codes": {"f": "female", "m": "male"}},
        },
    )
    rows: list[dict[str, str | None]] = [
        {"record_key": "h1", "phone": "1", "who": None, "sex": None},
        {"record": "person", "record_key": "p1", "parent_key": "h1", "phone": None, "who": "2", "sex": "m"},
        {"record": "person", "record_key": "p2", "parent_key": "h1", "phone": None, "who": "1", "sex": "f"},
    ]
    persons = run(mappings, form, rows).persons.select("person_key", "household_key", "sex", "mobile_device")
    assert persons.rows() == [("p1", "h1", "male", None), ("p2", "h1", "female", "yes")]


def test_quotes_in_headers_and_codes_are_data(mappings: Mappings) -> None:
    header = 'What "is"; DROP TABLE responses --'
    form = instrument({header: {"variable": "location", "codes": {"o'town'); --": "urban", "country": "rural"}}})
    result = run(mappings, form, [{header: "o'town'); --"}, {header: "country"}])
    assert result.households["location"].to_list() == ["urban", "rural"]


def bank(mappings: Mappings, derived: dict[str, dict], **variables: dict) -> Mappings:
    """The library with more derived variables, and more questions."""
    asked = {name: Variable(label="x", source="this test", **described) for name, described in variables.items()}
    made = {name: DerivedVariable(label="x", source="this test", **described) for name, described in derived.items()}
    return dataclasses.replace(mappings, variables=mappings.variables | asked, derived=mappings.derived | made)


YES = {"codes": {"yes": "Yes", "no": "No"}}
NUMBER = {"type": "number", "measure": "rooms"}
CHAIN = {
    # Named before what they rest on: the order in the files does not matter.
    "crowded": {
        "unit": "household",
        "type": "code",
        "expression": "CASE WHEN persons_a_room > 3 THEN 'yes' WHEN persons_a_room <= 3 THEN 'no' END",
        **YES,
    },
    "persons_a_room": {"unit": "household", "type": "number", "measure": "x", "expression": "household_size / rooms"},
}
ROOMS = {"size": {"variable": "household_size"}, "rooms": {"variable": "rooms"}}


def test_derived_variables_rest_on_each_other(mappings: Mappings) -> None:
    changed = bank(mappings, CHAIN, rooms={"unit": "household", **NUMBER})
    rows: list[dict[str, str | None]] = [
        {"size": size, "rooms": rooms} for size, rooms in (("7", "2"), ("6", "2"), ("6", "0"), ("6", ""))
    ]
    found = run(changed, instrument(ROOMS), rows).households
    assert found["persons_a_room"].to_list() == [3.5, 3.0, None, None]  # a division by zero is unknown
    assert found["crowded"].to_list() == ["yes", "no", None, None]


@pytest.mark.parametrize("absent", ["size", "rooms"])
def test_what_the_form_does_not_carry_is_null_as_a_whole(mappings: Mappings, absent: str) -> None:
    changed = bank(mappings, CHAIN, rooms={"unit": "household", **NUMBER})
    form = instrument({source: column for source, column in ROOMS.items() if source != absent})
    found = run(changed, form, [{"size": "7", "rooms": "2"}])
    for name in ("persons_a_room", "crowded", ROOMS[absent]["variable"], "drinking_water_source"):
        assert found.households[name].to_list() == [None], name


def test_a_mapped_column_that_the_answers_lack_is_not_an_answer(mappings: Mappings) -> None:
    # The gate takes sensitive columns out: nobody may count as "not asked", which a measure could keep as a no.
    form = instrument({"w": {"variable": "drinking_water_source", "codes": WATER}, "q": {"variable": "location"}})
    found = run(mappings, form, [{"w": "pipe"}]).households
    assert found["location"].to_list() == [None]
    assert found["drinking_water_source"].to_list() == ["piped_dwelling"]


def entry_age(mappings: Mappings, **values: float) -> Mappings:
    """A derived variable of persons over a parameter that some countries have."""
    school = {
        "school_age": {
            "unit": "person",
            "type": "code",
            "expression": "CASE WHEN age >= entry_age THEN 'yes' WHEN age < entry_age THEN 'no' END",
            **YES,
        }
    }
    changed = bank(mappings, school)
    countries = {
        iso3: country.model_copy(update={"parameters": {"entry_age": values[iso3]} if iso3 in values else {}})
        for iso3, country in mappings.countries.items()
    }
    parameters = {"entry_age": Parameter(label="x", unit="years", source="this test")}
    return dataclasses.replace(
        changed, countries=countries, parameters=parameters, derived={"school_age": changed.derived["school_age"]}
    )


@pytest.mark.parametrize(("values", "expected"), [({"KEN": 6.0}, ["no", "yes"]), ({"NPL": 5.0}, [None, None])])
def test_parameters_are_those_of_the_country(mappings: Mappings, values: dict[str, float], expected: list) -> None:
    found = run(entry_age(mappings, **values), instrument({"a": {"variable": "age"}}), [{"a": "5"}, {"a": "6"}])
    assert found.persons["school_age"].to_list() == expected


MEMBERS = {
    "a_girl_at_work": {
        "unit": "household",
        "type": "code",
        "members": "any",
        "expression": "age < 15 AND sex = 'female' AND works = 'yes'",
        **YES,
    },
    "everybody_works": {"unit": "household", "type": "code", "members": "all", "expression": "works = 'yes'", **YES},
    # A household variable over its members, seen again by each person.
    "with_girl": {"unit": "person", "type": "code", "expression": "a_girl_at_work", **YES},
}
HOMES = {
    # household: members as (age, sex, works), then any and all
    "h1": ([("10", "f", "1"), ("40", "m", "1")], "yes", "yes"),
    "h2": ([("10", "f", "2"), ("40", "m", "8")], "no", "no"),  # one no decides all; the man is no girl
    "h3": ([("10", "f", "8"), ("40", "m", "1")], None, None),  # the girl is not known
    "h4": ([("", "f", "1"), ("10", "m", "2")], None, "no"),  # her age is not known
    "h5": ([("10", "f", "1"), ("12", "f", "8")], "yes", None),  # one yes decides any
    "h6": ([], None, None),  # no roster
}


def test_variables_of_the_household_from_its_members(mappings: Mappings) -> None:
    works = {"unit": "person", "type": "code", **YES}
    changed = bank(mappings, MEMBERS, works=works)
    person = {
        "age": {"variable": "age"},
        "sex": {"variable": "sex", "codes": {"f": "female", "m": "male"}},
        "works": {"variable": "works", **YES_NO},
    }
    rows: list[dict[str, str | None]] = []
    for key, (members, _, _) in HOMES.items():
        rows.append({"record_key": key, "age": None, "sex": None, "works": None})
        rows += [
            {
                "record": "person",
                "record_key": f"{key}-{place}",
                "parent_key": key,
                "age": age,
                "sex": sex,
                "works": work,
            }
            for place, (age, sex, work) in enumerate(members)
        ]
    found = run(changed, instrument({}, person), rows)
    assert found.households["a_girl_at_work"].to_list() == [any_ for _, any_, _ in HOMES.values()]
    assert found.households["everybody_works"].to_list() == [all_ for _, _, all_ in HOMES.values()]
    of_household = dict(found.households.select("household_key", "a_girl_at_work").iter_rows())
    assert [text for _, text in found.persons.select("household_key", "with_girl").iter_rows()] == [
        of_household[key] for key in found.persons["household_key"]
    ]
    # Without a roster a respondent does not stand for the household.
    alone = run(changed, instrument(person), [{"age": "10", "sex": "f", "works": "1"}])
    assert alone.households["a_girl_at_work"].to_list() == [None]
    assert alone.persons["with_girl"].to_list() == [None]


def test_labels_of_a_choice_list_are_read_as_their_codes(mappings: Mappings) -> None:
    water = {"variable": "drinking_water_source", "codes": {"1": "piped_dwelling", "2": "public_tap"}}
    groups = {"variable": "marginalised_groups", "codes": {"a": "dalit", "b": "refugees"}}
    form = instrument(
        {
            "w": water | {"choices": "water", "missing": {"dont_know": ["9"]}},
            "g": groups | {"choices": "groups", "select": "multiple", "separator": ", "},
        }
    )
    choices = {
        "water": {"1": ["Bomba", "Pipe"], "2": ["1"], "9": ["Sijui"]},
        "groups": {"a": ["Dalit"], "b": ["Wakimbizi"]},
    }
    form = form.model_copy(update={"choices": choices})
    rows: list[dict[str, str | None]] = [
        {"w": text, "g": groups}
        for text, groups in (("Bomba", "Wakimbizi, Dalit"), ("1", "a"), ("Sijui", "Dalit, Kisima"), ("Kisima", ""))
    ]
    found = run(mappings, form, rows).households
    # A text that is a code is a code, though it is the label of another one too.
    assert found["drinking_water_source"].to_list() == ["piped_dwelling", "piped_dwelling", "dont_know", "unmapped"]
    assert found["marginalised_groups"].to_list() == ["dalit refugees", "dalit", "unmapped", "not_asked"]


def test_missing_codes_of_dates_and_texts_are_no_answers(mappings: Mappings) -> None:
    form = instrument(
        {
            "c": {"variable": "cluster", "missing": {"dont_know": ["99"]}},
            "d": {"variable": "interview_date", "missing": {"refused": ["1900-01-01"]}},
        }
    )
    rows: list[dict[str, str | None]] = [{"c": "99", "d": "1900-01-01"}, {"c": "12", "d": "2019-05-27"}]
    found = run(mappings, form, rows).households
    assert found["cluster"].to_list() == [None, "12"]
    assert found["interview_date"].to_list() == [None, datetime.date(2019, 5, 27)]


def test_a_missing_code_among_several_answers_is_no_answer(mappings: Mappings) -> None:
    form = instrument(
        {
            "g": {
                "variable": "marginalised_groups",
                "select": "multiple",
                "codes": {"a": "dalit"},
                "missing": {"dont_know": ["dk"]},
            }
        }
    )
    rows: list[dict[str, str | None]] = [{"g": text} for text in ("dk", "a dk", "a")]
    assert run(mappings, form, rows).households["marginalised_groups"].to_list() == ["dont_know", "unmapped", "dalit"]


@pytest.mark.thorough
@given(st.lists(st.sampled_from(["pipe", " pipe", "tap", "98", "moon", "", None, "9999999"]), min_size=1, max_size=40))
def test_each_row_is_translated_as_if_it_were_alone(mappings: Mappings, texts: list[str | None]) -> None:
    form = instrument(
        {
            "w": {"variable": "drinking_water_source", "codes": WATER, "missing": {"dont_know": ["98"]}},
            "m": {"variable": "drinking_water_minutes"},
        }
    )
    rows: list[dict[str, str | None]] = [
        {"record_key": f"h{place:02}", "w": text, "m": text} for place, text in enumerate(texts)
    ]
    columns = ["drinking_water_source", "drinking_water_minutes", "drinking_water_minutes_missing"]
    whole = (
        run(mappings, form, rows)
        .households.select(pl.col(columns[0]).cast(pl.String), columns[1], pl.col(columns[2]).cast(pl.String))
        .rows()
    )
    alone = {
        text: run(mappings, form, [{"w": text, "m": text}]).households.select(columns).row(0) for text in set(texts)
    }
    assert whole == [alone[text] for text in texts]


def test_the_file_gives_the_same_as_the_frame(mappings: Mappings, tmp_path: Path) -> None:
    form = instrument({"w": {"variable": "drinking_water_source", "codes": WATER}}, {"age": {"variable": "age"}})
    rows = [
        {"record_key": "h1", "parent_key": None, "record": "household", "w": "pipe", "age": None},
        {"record_key": "p1", "parent_key": "h1", "record": "person", "w": None, "age": "7"},
    ]
    frame = pl.DataFrame(rows).with_columns(submission_id=pl.lit("ken-2019-x"), row_number=pl.lit(2, dtype=pl.Int32))
    frame.write_parquet(tmp_path / "responses.parquet")
    with connect(threads=1) as connection:
        once = harmonise(connection, form, frame, mappings, 1.0)
        again = harmonise(connection, form, pl.scan_parquet(tmp_path / "responses.parquet"), mappings, 1.0)
    assert once.households.equals(again.households)
    assert once.persons.equals(again.persons)


def test_both_tables_can_be_written_and_read_as_text(mappings: Mappings, tmp_path: Path) -> None:
    form = instrument({"w": {"variable": "drinking_water_source", "codes": WATER}})
    found = run(mappings, form, [{"w": "pipe"}, {"w": "moon"}])
    table = harmonised_households(mappings)
    write_table(found.households, table, tmp_path / "households.parquet")
    read = pl.read_parquet(tmp_path / "households.parquet")
    assert dict(read.schema) == table.schema
    assert read["drinking_water_source"].to_list() == ["piped_dwelling", "unmapped"]


def test_several_answers_are_split_as_the_table_of_responses_joins_them(mappings: Mappings) -> None:
    codes = {"piped, yard": "dalit", "well": "refugees"}
    form = instrument(
        {"g": {"variable": "marginalised_groups", "select": "multiple", "separator": ", ", "codes": codes}}
    )
    column = form.records["household"].columns["g"]
    assert column.joined_by not in "piped, yard"
    found = run(mappings, form, [{"g": column.joined_by.join(["well", "piped, yard"])}]).households
    assert found["marginalised_groups"].to_list() == ["dalit refugees"]
