"""Habits and damage beyond the numbered list of faults: heads that lie, rows that are none, dates that were bands.

All people are invented. What a partner reads of a broken folder is looked at as `lnob check` prints it.
"""

from __future__ import annotations

import datetime
import io
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pyreadstat
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.pipeline import run_all
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_here
from lnob_pipeline.validation.conduct import minutes_between
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline_tests.command import lnob
from lnob_pipeline_tests.faults import gate, hand_ins
from lnob_pipeline_tests.faults.gate import cell, good_households, good_persons, judged, said, with_parts
from lnob_pipeline_tests.faults.test_broken_content import AREAS, BANDS, NEPAL, WATER, rows_of, with_cells
from lnob_pipeline_tests.faults.test_kill import start


def here(content: bytes, kind: str, **layout: object) -> SourceTable:
    """The first table of a small file, read in this process."""
    file = DataFile.model_validate({"path": f"survey.{kind}", "role": "data", "format": kind} | layout)
    return next(iter(read_here(content, file).values()))


# workbooks of LibreOffice that repeat rows and cells

OFFICE = (
    b'<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    b'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    b'<table:table table:name="households">%s</table:table></office:spreadsheet></office:body>'
    b"</office:document-content>"
)


def row(*cells: bytes, times: int = 1) -> bytes:
    repeated = b' table:number-rows-repeated="%d"' % times if times > 1 else b""
    return b"<table:table-row%s>%s</table:table-row>" % (repeated, b"".join(cells))


def text(word: bytes, times: int = 1) -> bytes:
    start = b'<table:table-cell table:number-columns-repeated="%d" office:value-type="string">' % times
    return start + b"<text:p>%s</text:p></table:table-cell>" % word


def nothing(times: int) -> bytes:
    return b'<table:table-cell table:number-columns-repeated="%d"/>' % times


HEADER, ANSWERS = row(text(b"id"), text(b"water")), row(text(b"1"), text(b"11"))


def sheet(*rows: bytes) -> bytes:
    return gate.ods(OFFICE % b"".join(rows))


def test_an_ods_padded_to_the_last_cell_is_as_long_as_its_answers() -> None:
    header = row(text(b"id"), text(b"water"), nothing(16_382))
    table = here(sheet(header, ANSWERS, row(nothing(16_384), times=1_048_574)), "ods")
    assert table.frame.rows() == [("1", "11")]


def test_rows_below_a_gap_in_an_ods_keep_their_number() -> None:
    table = here(sheet(HEADER, row(nothing(1), times=5_000), ANSWERS), "ods")
    assert table.frame.rows() == [("1", "11")] and table.row_numbers.to_list() == [5_002]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([HEADER, *[row(nothing(1), times=1_000_000)] * 100, ANSWERS], "row 100000002"),
        ([row(text(b"id"), nothing(16_383), text(b"water")), ANSWERS], "column 16385"),
        ([row(text(b"id"), nothing(1_000_000), text(b"water")), ANSWERS], "column 1000002"),
        ([HEADER, row(text(b"1"), times=2_000_000)], "no spreadsheet program writes"),
    ],
    ids=["rows that add up", "beyond the last column", "a million columns", "two million rows"],
)
def test_an_ods_that_repeats_millions_is_refused_and_loses_no_cell(rows: list[bytes], words: str) -> None:
    with pytest.raises(ReaderError, match=words):
        here(sheet(*rows), "ods")


# SPSS files whose head lies

CASES = 80
"""Where the head of a .sav has the number of its cases, four bytes."""


@pytest.mark.parametrize("kind", [{}, {"row_compress": True}, {"compress": True}], ids=["plain", "sav", "zsav"])
@pytest.mark.parametrize("lie", [0, 1, 2, 4, 2**31 - 1])
def test_an_sav_whose_head_lies_about_its_cases_is_refused(tmp_path: Path, kind: dict[str, Any], lie: int) -> None:
    path = tmp_path / "survey.sav"
    pyreadstat.write_sav(pl.DataFrame({"id": [1.0, 2.0, 3.0], "water": ["11", "21", "81"]}).to_pandas(), path, **kind)
    content = bytearray(path.read_bytes())
    answers = here(bytes(content), "spss").frame
    struct.pack_into("<i", content, CASES, -1)  # unknown, as programs write it that do not count beforehand
    assert here(bytes(content), "spss").frame.equals(answers) and answers.height == 3
    struct.pack_into("<i", content, CASES, lie)
    with pytest.raises(ReaderError, match=f"says that it has {lie} cases, and 3 are in it"):
        here(bytes(content), "spss")


# letters that join, in answers and in codes


def test_joiners_stay_in_answers_and_look_alikes_are_found_beside_them(mappings: Mappings) -> None:
    joined, apart = "क्\u200dषेत्र", "क्\u200cषेत्र"
    codes = {joined: "piped_dwelling", apart: "borehole", "surface": "surface_water"}
    households = with_cells("water", joined, apart, "surf\u0430ce", f"{joined}\u200d", fill="98")
    validated = judged(mappings, households=households, instrument={f"{WATER}.codes": codes})
    assert [cell(validated, "household", row, "water") for row in (2, 3, 5)] == [joined, apart, joined]
    hints = said(validated, "look_alike_letters")
    assert rows_of(hints) == [4] and "may be surface" in hints["reason"][0]


# numbers


@pytest.mark.parametrize(
    ("written", "in_doubt"), [(["1,20,000", "0,75"], []), (["1,20,000", "1,234", "3,5"], [3])], ids=["sure", "doubt"]
)
def test_lakh_commas_and_decimal_commas_in_one_column(
    mappings: Mappings, written: list[str], in_doubt: list[int]
) -> None:
    validated = judged(mappings, households=with_cells("weight", *written))
    assert rows_of(said(validated, "ambiguous_number")) == in_doubt, "never a guess between 1234 and 1.234"
    assert cell(validated, "household", 2, "weight") == "120000"


# age bands that a program turned into dates, in each format that has dates

BAND = datetime.date(2024, 9, 5)


def _dated(kind: str, path: Path) -> bytes:
    """The households in a format whose cells of water are dates."""
    frame = pl.DataFrame(good_households()).with_columns(water=pl.lit(BAND))
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "xlsx":
        frame.write_excel(path, worksheet="households")
    elif kind == "ods":
        date = b'<table:table-cell office:value-type="date" office:date-value="2024-09-05">'
        date += b"<text:p>05-Sep</text:p></table:table-cell>"
        rows = [
            [date if name == "water" else text(word.encode()) for name, word in r.items()] for r in good_households()
        ]
        return sheet(row(*(text(name.encode()) for name in good_households()[0])), *(row(*cells) for cells in rows))
    else:
        write = pyreadstat.write_sav if kind == "spss" else pyreadstat.write_dta
        write(frame.to_pandas(), path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["xlsx", "ods", "parquet", "spss", "stata"])
def test_age_bands_turned_into_dates_are_asked_for_in_every_format(
    mappings: Mappings, tmp_path: Path, kind: str
) -> None:
    content = _dated(kind, tmp_path / f"households.{kind}")
    files = [
        {"path": "households.data", "role": "data", "format": kind},
        {"path": "persons.csv", "role": "data", "format": "csv"},
    ]
    validated = judged(mappings, contents={"households.data": content}, manifest={"files": files}, instrument=BANDS)
    found = said(validated, "date_for_code")
    assert found.height == 40, said(validated).select("reason_id", "reason").unique().rows()
    assert "5-9" in found["reason"][0]


# rows that are none


@pytest.mark.parametrize("kind", ["total", "header"])
def test_total_rows_and_repeated_headers_are_never_answers(mappings: Mappings, kind: str) -> None:
    def among(rows: list[dict[str, str]], totals: dict[str, str]) -> list[dict[str, str]]:
        extra = {name: name for name in rows[0]} if kind == "header" else dict.fromkeys(rows[0], "") | totals
        return [*rows[:20], extra, *rows[20:]]

    households = among(good_households(), {"id": "Total", "size": "80", "minutes": "980"})
    persons = among(good_persons(), {"household_id": "Sum", "age": "2000"})
    validated = judged(mappings, households=households, persons=persons)
    assert rows_of(said(validated, "no_consent")) == [22] and rows_of(said(validated, "orphan")) == [22]
    assert validated.balance.sort("record")["n_accepted"].to_list() == [40, len(good_persons())]


# times and calendars


def test_interviews_across_midnight_are_as_long_as_they_were() -> None:
    spans = (
        ("2019-05-10T23:50:00.000+03:00", "2019-05-11T00:20:00.000+03:00"),
        ("2019-05-10T23:50:00-04:00", "2019-05-11T04:20:00Z"),
        ("2019-05-10T23:50:00-04", "2019-05-11T04:20:00Z"),
        ("2019-05-10 23:50:00", "2019-05-11 00:20:00"),
    )
    start, end = (pl.Series(times) for times in zip(*spans, strict=True))
    assert minutes_between(start, end).to_list() == [30.0] * 4


@pytest.mark.parametrize(
    "written", ["2019-05-03T23:50:00-04:00", "2019-05-03T23:50:00-04", "2019-05-03T00:10:00+05:45"]
)
def test_the_day_of_an_interview_is_the_one_where_it_was_held(mappings: Mappings, written: str) -> None:
    assert cell(judged(mappings, households=with_cells("date", written)), "household", 2, "date") == "2019-05-03"


@pytest.mark.parametrize("written", ["२०७६-०२-१३", "2076/2/13", "2076-02-32"])
def test_a_year_of_nepal_in_any_digits_is_proposed_and_not_taken(mappings: Mappings, written: str) -> None:
    """The second month has 32 days in some years."""
    validated = judged(mappings, households=with_cells("date", written), manifest=NEPAL, instrument=AREAS)
    found = said(validated, "bikram_sambat")
    assert rows_of(found) == [2] and "2019-0" in found["reason"][0]
    assert cell(validated, "household", 2, "date") is None


# coordinates without a telling name


def test_coordinates_in_columns_without_a_telling_name_are_kept_nowhere(mappings: Mappings) -> None:
    places = [(f"{-0.1034 + n / 1000:.4f}", f"{34.7512 + n / 700:.4f}") for n in range(40)]
    households = [
        row | {"q17": south, "q18": east} for row, (south, east) in zip(good_households(), places, strict=True)
    ]
    validated = judged(mappings, households=households)
    assert rows_of(said(validated, "unknown_column")) == []
    assert said(validated, "unknown_column").height == 2
    assert validated.responses is not None
    kept = [validated.responses, validated.findings, validated.quarantine, validated.results, validated.outcome]
    written = " ".join(frame.write_csv() for frame in kept)
    assert "minutes" in written
    assert [place for pair in places for place in pair if len(place) > 6 and place in written] == []


# delimited text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_line_that_tells_excel_the_delimiter_is_a_title(first: str, end: str) -> None:
    content = end.join([first, "id;water", "1;a, b", "2;c"]).encode()
    for layout in ({}, {"delimiter": ";"}, {"title_rows": 1}):
        table = here(content, "csv", **layout)
        assert table.frame.rows() == [("1", "a, b"), ("2", "c")] and table.row_numbers.to_list() == [3, 4]


@pytest.mark.parametrize("others", [1, 30])
def test_a_line_of_two_quotation_marks_is_an_empty_row(others: int) -> None:
    content = 'id,water\n1,11\n""\n' + "2,21\n" * others
    table = here(content.encode(), "csv")
    assert table.frame.rows() == [("1", "11")] + [("2", "21")] * others
    assert table.row_numbers.to_list() == [2, *range(4, 4 + others)]


@pytest.mark.parametrize(("content", "row"), [(b"id,water\n1,\x0011\n", 2), (b"id,water\n1,11\n" + bytes(512), 3)])
def test_zero_bytes_are_named_by_their_row_and_how_to_mend(content: bytes, row: int) -> None:
    with pytest.raises(ReaderError, match="bytes that no text has") as caught:
        here(content, "csv")
    assert caught.value.row == row and caught.value.mend == "save it again as CSV UTF-8"


# a feedback workbook that was cut off


@pytest.fixture(scope="module")
def feedback(mappings: Mappings) -> bytes:
    return feedback_workbook(judged(mappings, households=with_cells("minutes", "5000")))


def _read_back(content: bytes) -> dict[str, SourceTable]:
    return read_here(content, DataFile(path="feedback.xlsx", role="corrections", format="feedback_xlsx"))


def test_a_feedback_workbook_that_was_cut_off_is_refused(feedback: bytes) -> None:
    assert all(table.frame.is_empty() for table in _read_back(feedback).values())
    for length in (100, len(feedback) // 2, len(feedback) - 30, len(feedback) - 1):
        with pytest.raises(ReaderError, match="cut off or damaged"):
            _read_back(feedback[:length])
    for number in range(1, 8):
        part = f"xl/worksheets/sheet{number}.xml"
        with pytest.raises(ReaderError, match="damaged and does not open"):
            _read_back(with_parts(feedback, {part: lambda whole: whole[: len(whole) // 2]}))


def test_a_feedback_workbook_whose_hidden_rows_are_gone_changes_nothing_and_says_so(feedback: bytes) -> None:
    book = openpyxl.load_workbook(io.BytesIO(feedback))
    book["lnob_1"].delete_rows(20, 100)
    stream = io.BytesIO()
    book.save(stream)
    tables = _read_back(stream.getvalue())
    assert all(table.frame.is_empty() for table in tables.values())
    assert any("are not read: 22" in note.text for table in tables.values() for note in table.notes)


# two whole runs at once, and a broken folder as its partner sees it

CARD = "mwi-2020-health-score-card"


@pytest.mark.thorough
@pytest.mark.usefixtures("few_outputs")
def test_two_whole_runs_at_once_on_one_lake_end_as_one(tmp_path: Path, root: Path) -> None:
    home = hand_ins.make_home(tmp_path, root)
    hand_ins.copy_sample(root, home, CARD)
    runs = [start(home, root, 0) for _ in range(2)]
    ends = [(run.communicate(timeout=300)[1], run.returncode) for run in runs]
    assert [code for _, code in ends] == [0, 0], ends
    settings = hand_ins.settings_of(home)
    steps = run_all(settings, hand_ins.NOW)
    assert [step.stage for step in steps if step.problems] == []
    assert [step.stage for step in steps if step.changed and step.stage in ("submissions", "validation")] == []
    assert not [path for path in (home / "data").rglob("*") if path.name.endswith(".unfinished")]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:900]), ("score_card.xlsx", "cut off", "export it again")),
        (lambda file: file.unlink(), ("file 1 of the manifest", "not in the folder", "add it, or correct its name")),
        (lambda file: file.write_bytes(b"<html>Please log in</html>"), ("score_card.xlsx", "web page", "export again")),
        (lambda file: (file.parent / "submission.yaml").unlink(), ("no manifest", "lnob new")),
        (lambda file: (file.parent / "submission.yaml").write_text("country: [\n"), ("line 2", "not YAML", "quotes")),
    ],
    ids=["cut off", "gone", "web page", "no manifest", "broken manifest"],
)
def test_check_says_of_a_broken_folder_what_where_and_how_to_mend(
    tmp_path: Path, root: Path, spoil: Callable[[Path], object], words: tuple[str, ...]
) -> None:
    folder = tmp_path / CARD
    shutil.copytree(hand_ins.sample(root, CARD), folder)
    spoil(folder / "score_card.xlsx")
    done = lnob("check", str(folder), settings={"LNOB_HOME": str(root), "COLUMNS": "250"})
    assert done.returncode == 3
    assert [word for word in words if word not in done.stdout] == [], done.stdout
    assert "Traceback" not in done.stdout + done.stderr
