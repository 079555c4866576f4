"""Lint: the library is clean, and each kind of mapping mistake is found with file and line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lnob_pipeline.mappings.lint import lint
from lnob_pipeline.mappings.load import MappingError, load_mappings


def findings(folder: Path) -> list[str]:
    try:
        return lint(load_mappings(folder))
    except MappingError as error:
        return error.problems


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "indicator_mappings", tmp_path / "indicator_mappings"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text, f"{file} has changed: {old!r} is not there"
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_the_library_is_clean(root: Path) -> None:
    assert findings(root / "indicator_mappings") == []


MISTAKES: list[tuple[str, str, str, str, str]] = [
    (
        "unknown code in a numerator",
        "indicators/7/7.1.2.yaml",
        "'electricity', 'lpg'",
        "'electricity', 'lpgas'",
        "cooking_fuel has no code 'lpgas'",
    ),
    (
        "unknown variable in a universe",
        "indicators/16/16.9.1.yaml",
        'universe: "age < 5"',
        'universe: "years < 5"',
        "years is no variable",
    ),
    (
        "weight that does not fit the unit",
        "indicators/16/16.9.1.yaml",
        "weight: person",
        "weight: household_size",
        "cannot be weighted",
    ),
    (
        "missing rule left out",
        "indicators/16/16.9.1.yaml",
        "dont_know: not_in_numerator, ",
        "",
        "say what happens to dont_know",
    ),
    (
        "unmapped answers counted as no",
        "indicators/16/16.9.1.yaml",
        "unmapped: exclude",
        "unmapped: not_in_numerator",
        "cannot count as not in the numerator",
    ),
    (
        "household variable misspelt in a ladder",
        "variables/water.yaml",
        "drinking_water_minutes <= 30",
        "drinking_water_minute <= 30",
        "drinking_water_minute is no variable",
    ),
    (
        "ladder step that the codes do not list",
        "variables/water.yaml",
        "THEN 'limited'",
        "THEN 'limitted'",
        "limitted",
    ),
    (
        "function that reads a file",
        "breakdowns.yaml",
        "when: \"sex = 'female'\"",
        "when: \"read_text('secret') = sex\"",
        "the function read_text is not allowed",
    ),
    (
        "polarity not said",
        "instruments/ken-household-2019-v1.yaml",
        'positive: ["yes"], negative: ["no"], missing: {dont_know: ["dk"]}',
        'missing: {dont_know: ["dk"]}',
        "say which source codes are positive and negative",
    ),
    (
        "code mapped to two meanings",
        "instruments/ken-household-2019-v1.yaml",
        'missing: {dont_know: ["98"]}',
        'missing: {dont_know: ["96"]}',
        "means two things",
    ),
    (
        "code that the variable does not have",
        "instruments/ken-household-2019-v1.yaml",
        '"21": borehole',
        '"21": bore_hole',
        "has no code bore_hole",
    ),
    (
        "column both mapped and excluded",
        "instruments/ken-household-2019-v1.yaml",
        "county: {variable: admin1}",
        "county: {variable: admin1, exclude: technical}",
        "a column has one of",
    ),
    (
        "column left out without a reason",
        "instruments/ken-household-2019-v1.yaml",
        'exclude: not_used, reason: "the producer made wealth_quintile from it"',
        "exclude: not_used",
        "says why",
    ),
    (
        "group that does not exist",
        "instruments/ken-household-2019-v1.yaml",
        "refugee: refugees",
        "refugee: refugee",
        "has no code refugee",
    ),
    (
        "adapted measure that does not say why",
        "indicators/7/7.1.2.yaml",
        "match: exact",
        "match: adapted",
        "says why",
    ),
    ("field that no model knows", "groups.yaml", "sensitive: false}", "sensitive: false, note: x}", "Extra inputs"),
    ("file that is no YAML", "groups.yaml", "groups:", "groups: [", "not YAML"),
]


@pytest.mark.parametrize(("name", "file", "old", "new", "says"), MISTAKES, ids=[item[0] for item in MISTAKES])
def test_a_mistake_is_found_where_it_is(folder: Path, name: str, file: str, old: str, new: str, says: str) -> None:
    edit(folder, file, old, new)
    found = findings(folder)
    assert any(line.startswith(f"{file}:") and says in line for line in found), found


def test_the_line_of_a_finding_is_the_line_in_the_file(folder: Path) -> None:
    edit(folder, "indicators/7/7.1.2.yaml", "'electricity', 'lpg'", "'electricity', 'lpgas'")
    lines = (folder / "indicators/7/7.1.2.yaml").read_text("utf-8").splitlines()
    number = next(place for place, line in enumerate(lines, start=1) if "lpgas" in line)
    assert any(line.startswith(f"indicators/7/7.1.2.yaml:{number}:") for line in findings(folder))


REMOVALS: list[tuple[str, Callable[[Path], None]]] = [
    ("indicator:7.1.2", lambda folder: (folder / "indicators/7/7.1.2.yaml").unlink()),
    ("group:homeless", lambda folder: edit(folder, "groups.yaml", "  homeless: {", "  homeless_people: {")),
]


@pytest.mark.parametrize(("identifier", "remove"), REMOVALS, ids=[item[0] for item in REMOVALS])
def test_an_id_that_goes_is_retired_or_found(folder: Path, identifier: str, remove: Callable[[Path], None]) -> None:
    remove(folder)
    assert any(f"{identifier} has gone" in line for line in findings(folder))
    edit(folder, "retired.yaml", "retired: {}", f'retired: {{"{identifier}": "2026-11-23, no longer asked"}}')
    assert not any(f"{identifier} has gone" in line for line in findings(folder))
