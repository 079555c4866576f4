"""Harmonisation by hand: codes, units, missing answers, ladders, and the Washington Group cut-off."""

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.harmonisation.compile import Harmonised, harmonise
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument, Record, Review
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
