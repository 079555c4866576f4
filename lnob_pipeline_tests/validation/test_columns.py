"""Which header is which column: names, other names, paths through groups, option columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.models import Record
from lnob_pipeline.validation.columns import Headers, find_headers, is_system, names_of, same_table

TEXT: dict[str, Any] = {"variable": "location"}
OPTIONS = {"kinds": {"a": "a", "b": "b", "Fish, fresh": "b"}}


def record(**columns: dict[str, Any]) -> Record:
    return Record.model_validate({"table": "t", "unit": "household", "columns": columns})


def find(headers: list[str], ticks: set[str] | None = None, /, **columns: dict[str, Any]) -> Headers:
    options = {name: OPTIONS[name] for name in columns if name in OPTIONS}
    return find_headers(record(**columns), headers, options, ticks or set())


@pytest.mark.parametrize(
    "header",
    [
        "water",
        "home/water",
        "home.water",
        "home:water",
        "home-water",
        "a/b/water",
        " water ",
        "home / water",
        "home: water",
    ],
)
def test_a_question_is_found_under_its_groups(header: str) -> None:
    found = find([header], water=TEXT)
    assert found.of == {"water": (header,)} and not found.unclear
    assert found.by_path == ([] if header.strip() == "water" else ["water"])


@pytest.mark.parametrize("header", ["home.water", "home-water", "water"])
def test_the_instrument_may_say_the_groups_itself(header: str) -> None:
    assert find([header], None, **{"home/water": TEXT}).of == {"home/water": (header,)}


def test_a_label_in_any_language_is_a_name() -> None:
    said = TEXT | {"aliases": ["Where does the water come from?", "Maji hutoka wapi?", "पानी कहाँ से आता है?"]}
    for label in said["aliases"]:
        assert find([f"Home/{label}"], water=said).of == {"water": (f"Home/{label}",)}


def test_names_of_several_versions_are_one_question() -> None:
    said = TEXT | {"aliases": ["source", "Source of water"]}
    assert find(["old/source", "new/water", "x"], water=said).of == {"water": ("old/source", "new/water")}


def test_two_groups_are_not_guessed() -> None:
    found = find(["man/age", "woman/age"], age=TEXT)
    assert found.of == {} and found.unclear == {"age": 2}
    named = find(["man/age", "woman/age"], age=TEXT | {"aliases": ["man/age"]})
    assert named.of == {"age": ("man/age",)} and named.elsewhere == {"woman/age": "age"}


def test_one_header_for_two_columns_is_not_guessed() -> None:
    found = find(["x/age"], None, **{"a/x/age": TEXT, "age": TEXT})
    assert found.of == {} and found.unclear == {"a/x/age": 2, "age": 2}


def test_an_option_is_not_a_question_under_a_group() -> None:
    assert find(["kinds", "kinds/other"], kinds=TEXT, other=TEXT).of == {"kinds": ("kinds",)}
    assert find(["x/kinds/other"], kinds=TEXT, other=TEXT).of == {}


def test_options_by_code_and_by_label() -> None:
    several = TEXT | {"select": "multiple", "aliases": ["What kinds?"]}
    for question in ("kinds", "grp/kinds", "grp-kinds", "Group/What kinds?"):
        found = find([f"{question}/a", f"{question}/Fish, fresh", f"{question}.b"], kinds=several)
        assert found.options == {"kinds": {f"{question}/a": "a", f"{question}/Fish, fresh": "b", f"{question}.b": "b"}}


def test_unknown_options_count_only_if_they_are_ticks() -> None:
    several = TEXT | {"select": "multiple"}
    headers = ["kinds/a", "kinds/new", "kinds/how many"]
    assert find(headers, {"kinds/new"}, kinds=several).options == {"kinds": {"kinds/a": "a", "kinds/new": None}}
    mapped = find(headers, {"kinds/new"}, kinds=several, **{"kinds/new": TEXT})
    assert mapped.options == {"kinds": {"kinds/a": "a"}}
    declared = find(headers, {"kinds/new"}, kinds=several, **{"kinds/a": {"exclude": "option_column"}})
    assert declared.options == {"kinds": {"kinds/a": "a", "kinds/new": None}}


def test_names_for_a_cleaning_log() -> None:
    form = record(water=TEXT | {"aliases": ["Water?"]})
    headers = ["home/water", "kinds/a", "kinds.a"]
    names = names_of(form, headers, find_headers(form, headers, {}, set()))
    assert {name: names[name] for name in ("water", "Water?", "home.water", "kinds/a", "kinds.a")} == {
        "water": "home/water",
        "Water?": "home/water",
        "home.water": "home/water",
        "kinds/a": "kinds/a",
        "kinds.a": "kinds.a",
    }
    assert "kinds-a" not in names  # it could be either


@pytest.mark.parametrize(
    ("wanted", "name", "same"),
    [
        ("Household survey with repeatable groups", "Household survey with repeat...", True),
        ("Household survey with repeatable groups", "Household survey with repeatable groups", True),
        ("a/b: c?", "a_b_ c_", True),
        ("Members", "members", True),
        ("Household survey with repeatable groups", "Household survey with repeat", False),
    ],
)
def test_names_of_sheets(wanted: str, name: str, same: bool) -> None:
    assert same_table(wanted, name) is same


def test_columns_of_the_survey_tool() -> None:
    tool = ["_id", "_index", "__version__", "_version_", "_submission__uuid", "FormVersion", "meta/instanceID"]
    assert all(map(is_system, tool))
    assert not any(map(is_system, ["id", "version", "_q_latitude", "meta/instanceName", "deviceid", "conversion"]))


names = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@given(headers=st.lists(names, unique=True, max_size=8), columns=st.lists(names, unique=True, min_size=1, max_size=6))
def test_a_header_is_one_column_and_an_exact_name_is_always_found(headers: list[str], columns: list[str]) -> None:
    found = find(headers, None, **dict.fromkeys(columns, TEXT))
    claimed = [header for of in found.of.values() for header in of]
    assert len(claimed) == len(set(claimed)) and set(claimed) <= set(headers)
    for column in set(headers) & set(columns):
        assert column in found.of[column]
    for column, of in found.of.items():
        assert all(header.endswith(column) or column.endswith(header) for header in of)
    assert not set(found.unclear) & set(found.of)
