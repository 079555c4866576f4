"""Faults 30 to 43: what people and programs write into cells, each through the gate, and damage in what is stored.

The numbers are those of the project's list of faults. Proved elsewhere, and not repeated here:

| fault | what | where |
|---|---|---|
| 31 | each spelling of a number by itself | validation/test_normalise.py |
| 32 | a Bikram Sambat date in a column that may hold one | validation/test_gate_rules.py |
| 38 | numbers out of range | validation/test_gate_rules.py |
| 39 | rows with the same id are all out, with their members | validation/test_gate_rules.py |
| 40 | identifiers | test_privacy_end_to_end.py; small cells: publication/test_disclosure.py |
| 41 | a household size that differs from its members | validation/test_gate_rules.py |
| 42 | absent and unknown columns | validation/test_gate_rules.py |
| 43 | a damaged release, a damaged sealed file | publication/test_release.py, submissions/test_receive.py |
| 44 | withdrawal | test_versions.py |
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from lnob_pipeline import pipeline
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.faults import hand_ins
from lnob_pipeline_tests.faults.gate import (
    cell,
    csv_bytes,
    good_households,
    good_persons,
    judged,
    refused,
    said,
    workbook,
)

WATER = "records.household.columns.water"
BANDS = {f"{WATER}.codes": {"0-4": "piped_dwelling", "5-9": "borehole", "10-14": "surface_water"}}
"""A question whose answers are age bands."""


def with_cells(column: str, *cells: str, fill: str | None = None) -> list[dict[str, str]]:
    """Households whose first rows have these cells, the others `fill` if it is given."""
    rows = good_households()
    for number, row in enumerate(rows):
        if number < len(cells):
            row[column] = cells[number]
        elif fill is not None:
            row[column] = fill
    return rows


def rows_of(found: pl.DataFrame) -> list[int]:
    """The rows that a finding lists, in order."""
    return sorted(number for number in found["row_number"].to_list() if number is not None)


# 30: letters


@pytest.mark.parametrize(
    ("written", "proposed"),
    [
        ("\u043aisumu", "kisumu"),
        ("kis\u0075m\u03bf\u0075", None),
        ("turk\u0430n\u0430", "turkana"),
        ("ｋｉｓｕｍｕ", "kisumu"),
    ],
    ids=["Cyrillic", "another word", "two letters", "full width"],
)
def test_fault_30_look_alike_letters_are_refused_with_a_hint(
    mappings: Mappings, written: str, proposed: str | None
) -> None:
    validated = judged(mappings, households=with_cells("area", written))
    hints = said(validated, "look_alike_letters")
    if proposed is None:
        assert hints.is_empty() and said(validated, "unknown_code").height == 1
    else:
        assert rows_of(hints) == [2] and f"may be {proposed}" in hints["reason"][0]
    assert cell(validated, "household", 2, "area") != "kisumu"


@pytest.mark.parametrize(
    "written",
    ["\u200bkisumu", "kisumu\ufeff", "kis\u200bumu", "\u00a0kisumu\u00a0", "kis\u00adumu", "\u2003kisumu\u200e"],
)
def test_fault_30_marks_without_a_shape_are_no_other_answer(mappings: Mappings, written: str) -> None:
    validated = judged(mappings, households=with_cells("area", written))
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert cell(validated, "household", 2, "area") == "kisumu"


def test_fault_30_letters_composed_and_joined_are_the_same_code(mappings: Mappings) -> None:
    codes = {"ha\u0300 giang": "piped_dwelling", "क्\u200dष": "borehole", "क्ष": "surface_water"}
    households = with_cells("water", "h\u00e0 giang", "क्\u200dष", "क्ष", fill="98")
    validated = judged(mappings, households=households, instrument={f"{WATER}.codes": codes})
    assert said(validated, rule="codes").is_empty()
    kept = [cell(validated, "household", row, "water") for row in (2, 3, 4)]
    assert kept == ["ha\u0300 giang", "क्\u200dष", "क्ष"], "a joiner inside a word of an Indic script tells words apart"


# 31: numbers


def test_fault_31_numbers_of_every_hand_are_read(mappings: Mappings) -> None:
    written = ["১২", "१२", "１２", "٠١٢", "12,0", "\u200e12", "12.0"]
    validated = judged(mappings, households=with_cells("minutes", *written))
    assert said(validated, rule="types").is_empty()
    kept = [float(cell(validated, "household", row, "minutes") or "nan") for row in range(2, 2 + len(written))]
    assert kept == [12.0] * len(written)


def test_fault_31_one_comma_alone_is_asked_for_and_settled_by_its_neighbours(mappings: Mappings) -> None:
    alone = judged(mappings, households=with_cells("weight", "1,234"))
    assert rows_of(said(alone, "ambiguous_number")) == [2]
    beside = judged(mappings, households=with_cells("weight", "1,234", "1,20,000"))
    assert said(beside, "ambiguous_number").is_empty()
    decimal = judged(mappings, households=with_cells("weight", "1,234", "0,75"))
    assert rows_of(said(decimal, "ambiguous_number")) == [2]


@pytest.mark.parametrize("written", ["(29.5)", "(29.5)%", "[30]", "(12)"])
def test_fault_31_numbers_in_brackets_are_asked_for_and_never_negative(mappings: Mappings, written: str) -> None:
    validated = judged(mappings, households=with_cells("minutes", written))
    found = said(validated, "bracketed_number")
    assert rows_of(found) == [2] and "few cases" in found["reason"][0]
    assert cell(validated, "household", 2, "minutes") == "unmapped"


@pytest.mark.parametrize("written", ["\u22125", "\u20135", "-5"])
def test_fault_31_a_minus_in_any_form_is_a_minus(mappings: Mappings, written: str) -> None:
    validated = judged(mappings, households=with_cells("minutes", written))
    assert rows_of(said(validated, "out_of_range")) == [2]


# 32: calendars

NEPAL = {
    "submission": "npl-2019-test",
    "country": "NPL",
    "geography.admin1": ["NP-P1", "NP-P2"],
}
AREAS = {"records.household.columns.area.codes": {"kisumu": "NP-P1", "turkana": "NP-P2"}, "calendar_columns": None}


def test_fault_32_a_year_of_nepal_is_proposed_in_every_column_of_dates(mappings: Mappings) -> None:
    households = with_cells("date", "2076-02-13", "2087-02-13")
    validated = judged(mappings, households=households, manifest=NEPAL, instrument=AREAS)
    found = said(validated, "bikram_sambat")
    assert rows_of(found) == [2, 3] and "2019-05" in found.sort("row_number")["reason"][0]
    assert cell(validated, "household", 2, "date") is None


@pytest.mark.parametrize("written", ["76-02-13", "13.2.76", "27/5/19"])
def test_fault_32_two_digits_are_no_year(mappings: Mappings, written: str) -> None:
    validated = judged(mappings, households=with_cells("date", written), manifest=NEPAL, instrument=AREAS)
    assert rows_of(said(validated, "two_digit_year")) == [2]
    assert cell(validated, "household", 2, "date") is None


def test_fault_32_a_year_to_come_is_not_taken(mappings: Mappings) -> None:
    validated = judged(mappings, households=with_cells("date", "2032-05-13"), instrument={"calendar_columns": None})
    assert rows_of(said(validated, "outside_dates").filter(pl.col("record") == "household")) == [2]


# 33: dates that were age bands


@pytest.mark.parametrize(
    "written", ["05-Sep", "5-Sep", "Sep-05", "9-May", "May-09", "2024-09-05", "2009-05-01", "45540"]
)
def test_fault_33_a_date_that_was_an_age_band_is_recognised_and_asked_for(mappings: Mappings, written: str) -> None:
    households = with_cells("water", written, fill="0-4")
    validated = judged(mappings, households=households, instrument=BANDS)
    found = said(validated, "date_for_code")
    assert rows_of(found) == [2] and found["effect"].to_list() == ["cell"]
    assert "5-9" in found["reason"][0]
    assert cell(validated, "household", 2, "water") != "5-9"


def test_fault_33_the_spreadsheet_that_did_it(mappings: Mappings) -> None:
    """A cell that holds a date shown as 5-Sep, beside cells that are text."""

    def change(book: xlsxwriter.Workbook) -> None:
        sheet = book.get_worksheet_by_name("households")
        column = list(good_households()[0]).index("water")
        sheet.write_datetime(1, column, datetime.datetime(2024, 9, 5), book.add_format({"num_format": "d-mmm"}))
        sheet.write_number(2, column, 45_579)

    content = workbook(with_cells("water", fill="0-4"), also=change)
    validated = judged(mappings, file=("data.xlsx", "xlsx", content), instrument=BANDS)
    found = said(validated, "date_for_code").sort("row_number")
    assert rows_of(found) == [2, 3]
    assert "5-9" in found["reason"][0] and "10-14" not in found["reason"][0]
    assert "10-14" in found["reason"][1] and "5-9" not in found["reason"][1]


def test_fault_33_a_date_is_no_age_band_where_none_is_known(mappings: Mappings) -> None:
    validated = judged(mappings, households=with_cells("water", "05-Sep", "45540"))
    assert said(validated, "date_for_code").is_empty() and rows_of(said(validated, "unknown_code")) == [2, 3]


# 34: delimiters, quotes, ragged rows


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_fault_34_delimiters_are_found(mappings: Mappings, delimiter: str) -> None:
    tables = {
        name: csv_bytes(rows).replace(b",", delimiter.encode())
        for name, rows in (("households.csv", good_households()), ("persons.csv", good_persons()))
    }
    files = [{"path": name, "role": "data", "format": "csv"} for name in tables]
    validated = judged(mappings, contents=tables, manifest={"files": files})
    assert validated.state == "accepted", validated.outcome["reasons"][0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: line + b",more", ("row 12", "cells and the header has")),
        (lambda line: line.rsplit(b",", 1)[0], ("row 12", "cells and the header has")),
        (lambda line: line.replace(b"a long", b'"a long', 1), ("quotation mark",)),
    ],
    ids=["one cell more", "one cell less", "open quote"],
)
def test_fault_34_a_row_of_another_width_is_named(
    mappings: Mappings, spoil: Callable[[bytes], bytes], words: tuple[str, ...]
) -> None:
    lines = csv_bytes(good_households()).split(b"\r\n")
    lines[11] = spoil(lines[11])
    assert refused(judged(mappings, contents={"households.csv": b"\r\n".join(lines)}), *words)


# 35: headers


def sheet_of(rows: list[list[str]], merged: list[tuple[int, int, int, int, str]] | None = None) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet("households")
        for number, row in enumerate(rows):
            for place, text in enumerate(row):
                sheet.write_string(number, place, text) if text else None
        for top, left, bottom, right, text in merged or []:
            sheet.merge_range(top, left, bottom, right, text)
    return stream.getvalue()


def table(*above: list[str]) -> list[list[str]]:
    rows = good_households()
    return [*above, list(rows[0]), *(list(row.values()) for row in rows)]


FILES: list[dict[str, Any]] = [
    {"path": "households.xlsx", "role": "data", "format": "xlsx"},
    {"path": "persons.csv", "role": "data", "format": "csv"},
]


def with_sheet(mappings: Mappings, content: bytes, **layout: int) -> Any:
    files = [FILES[0] | layout, FILES[1]]
    return judged(mappings, contents={"households.xlsx": content}, manifest={"files": files})


def test_fault_35_a_title_is_asked_for_and_read_when_the_manifest_says_so(mappings: Mappings) -> None:
    content = sheet_of(table(["Survey of two counties"], []))
    assert refused(with_sheet(mappings, content), "files.title_rows")
    validated = with_sheet(mappings, content, title_rows=2)
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert cell(validated, "household", 4, "minutes") == "5", "rows keep the numbers of the partner's file"


def test_fault_35_merged_headers_are_read_when_the_manifest_says_so(mappings: Mappings) -> None:
    names = list(good_households()[0])
    content = sheet_of(table([""] * len(names)), [(0, 0, 0, 4, "Home"), (0, 5, 0, len(names) - 1, "Interview")])
    assert with_sheet(mappings, content).state == "rejected"
    aliases = {
        f"records.household.columns.{name}.aliases": [f"{'Home' if place < 5 else 'Interview'} / {name}"]
        for place, name in enumerate(names)
    }
    files = [FILES[0] | {"header_rows": 2}, FILES[1]]
    validated = judged(mappings, contents={"households.xlsx": content}, manifest={"files": files}, instrument=aliases)
    assert validated.state == "accepted", validated.outcome["reasons"][0]


def test_fault_35_the_same_header_twice_is_asked_for(mappings: Mappings) -> None:
    rows = table()
    rows[0][-1] = "water"
    assert refused(with_sheet(mappings, sheet_of(rows)), "same column name stands more than once")


def test_fault_35_translated_headers_are_read_by_their_other_names(mappings: Mappings) -> None:
    rows = table()
    rows[0] = ["chanzo cha maji" if name == "water" else name for name in rows[0]]
    content = sheet_of(rows)
    assert with_sheet(mappings, content).state == "rejected"
    validated = judged(
        mappings,
        contents={"households.xlsx": content},
        manifest={"files": FILES},
        instrument={f"{WATER}.aliases": ["Chanzo cha maji", "chanzo cha maji"]},
    )
    assert validated.state == "accepted", validated.outcome["reasons"][0]


# 36 to 38: codes, units, sentinels


def test_fault_36_labels_are_read_as_codes_and_slips_are_not(mappings: Mappings) -> None:
    choices = {"choices": {"areas": {"kisumu": ["Kisumu", "Kisumu County"], "turkana": ["Turkana"]}}}
    form = choices | {"records.household.columns.area.choices": "areas"}
    households = with_cells("area", "Kisumu County", "Kisummu", "KE-17", "Keniya")
    validated = judged(mappings, households=households, instrument=form)
    kept = [cell(validated, "household", row, "area") for row in (2, 3, 4)]
    assert kept[0] == "kisumu" and kept[1] != "kisumu"
    assert 3 in rows_of(said(validated, "unknown_code")) and 5 in rows_of(said(validated, "unknown_code"))


def test_fault_37_percent_signs_are_asked_for_and_a_mix_is_flagged(mappings: Mappings) -> None:
    signs = judged(mappings, households=with_cells("minutes", "45 %", "45%", "४५٪"))
    assert rows_of(said(signs, "percent_sign")) == [2, 3, 4] and said(signs, "mixed_shares").is_empty()
    mixed = judged(mappings, households=with_cells("minutes", "45 %", "0.45", "0.3"))
    found = said(mixed, "mixed_shares")
    assert found["column"].to_list() == ["minutes"] and "1 answers have a percent sign and 2" in found["reason"][0]
    assert cell(mixed, "household", 2, "minutes") == "unmapped"


def test_fault_38_numbers_that_are_none_and_codes_for_missing_ones(mappings: Mappings) -> None:
    households = with_cells("minutes", "NaN", "inf", "-99", "999", "999.0", "९९९", "1e3", "#DIV/0!", "=1+1")
    validated = judged(mappings, households=households)
    assert rows_of(said(validated, "not_a_number")) == [2, 3, 8, 9, 10]
    assert rows_of(said(validated, "out_of_range")) == [4]
    assert [cell(validated, "household", row, "minutes") for row in (5, 6, 7)] == ["999"] * 3


def test_fault_39_rows_with_one_id_and_other_answers_stand_side_by_side(mappings: Mappings) -> None:
    households = good_households()
    households[7] |= {"id": "h003", "minutes": "77"}
    validated = judged(mappings, households=households)
    assert rows_of(said(validated, "duplicate").filter(pl.col("record") == "household")) == [5, 9]
    shown = validated.rows["household"].filter(pl.col("label").is_in(["5", "9"]))
    assert sorted(shown["minutes"].to_list()) == ["77", "8"]


# 43: damage in what is stored

KEY = "ind-2020-partly-bad"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Settings:
    home = hand_ins.make_home(tmp_path_factory.mktemp("home"), root)
    hand_ins.copy_sample(root, home, KEY)
    settings = hand_ins.settings_of(home)
    run_stages(settings)
    return settings


def run_stages(settings: Settings) -> dict[str, bool]:
    """Stages 1 to 4; whether each did any work."""
    steps = [pipeline.run_submissions(settings, KEY, now=hand_ins.NOW)]
    steps += [run(settings, KEY) for run in (pipeline.run_validation, pipeline.run_harmonisation)]
    steps.append(pipeline.run_estimation(settings, KEY))
    return {step.stage: step.changed for step in steps}


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("responses", "validation"),
        ("quarantine", "validation"),
        ("validation_results", "validation"),
        ("harmonised_households", "harmonisation"),
        ("citizen_estimates", "estimation"),
    ],
)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_fault_43_a_flipped_byte_in_a_stored_table_is_noticed_and_mended(
    lake: Settings, name: str, stage: str, place: float
) -> None:
    path = lake.lake / name / f"{KEY}.parquet"
    before = path.read_bytes()
    assert not any(run_stages(lake).values())
    damaged = bytearray(before)
    damaged[int(place * (len(damaged) - 1))] ^= 0x10
    path.write_bytes(bytes(damaged))
    worked = run_stages(lake)
    assert worked[stage], worked
    assert path.read_bytes() == before
    assert not any(run_stages(lake).values())
