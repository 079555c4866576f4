"""The feedback workbook, opened again: what the partner reads, where, and nothing that acts by itself."""

from __future__ import annotations

import io
import zipfile

import openpyxl
import polars as pl
import pytest
from python_calamine import SheetVisibleEnum, load_workbook

from lnob_pipeline.submissions.readers.feedback_xlsx import HIDDEN
from lnob_pipeline.validation.feedback import FOLLOWING, MAXIMUM_KINDS, kinds_to_mend, make_feedback
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.rules import SEVERITIES


def sheets(content):
    with load_workbook(io.BytesIO(content)) as book:
        return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


@pytest.fixture
def faulty(judge, households, persons):
    households[0]["water"] = "77"
    households[1]["water"] = "=cmd()"
    households[2]["consent"] = "2"
    households[3]["date"] = "2018-01-01"
    households[5]["minutes"] = "5000"
    households[8]["id"] = "h007"
    persons[0]["age"] = "214"
    return judge(households, persons)


def test_the_summary_says_what_is_in(faulty):
    read = sheets(feedback_workbook(faulty))
    shown = ["Summary", "To mend", "Your rows households", "Your rows persons"]
    assert list(read) == [*shown, HIDDEN, f"{HIDDEN}_1", f"{HIDDEN}_2"]
    with load_workbook(io.BytesIO(feedback_workbook(faulty))) as book:
        visible = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
    assert visible == shown
    text = "\n".join(str(cell) for row in read["Summary"] for cell in row)
    assert "36 of 40 rows are in" in text
    assert "Rows left out and listed: 3" in text
    assert "Rows without consent: 1" in text
    assert "phone: a phone number, 40 cells" in text
    assert "Rows that were not read (numbers only)" in text and "households.csv: row 4 (Everybody in the data" in text


def test_kinds_stand_worst_first_with_their_places(faulty):
    kinds = kinds_to_mend(faulty.findings)
    order = [list(SEVERITIES).index(severity) for severity in kinds["severity"]]
    assert order == sorted(order)
    read = sheets(feedback_workbook(faulty))["To mend"]
    header, *rows = read
    assert header[:3] == ["Severity", "What", "Where"]
    assert len(rows) == min(kinds.filter(pl.col("severity") != "information").height, MAXIMUM_KINDS)
    by_reason = {row[5]: row for row in rows}
    age = next(row for reason, row in by_reason.items() if reason.startswith("not possible") and row[4] == "214")
    assert "column age" in age[2] and "row 2" in age[2] and age[3] == 1
    unknown = next(row for reason, row in by_reason.items() if reason.startswith("not an answer"))
    assert "row 2, 3" in unknown[2] and unknown[4] == "77"
    assert all(row[6] and row[7] and row[8] for row in rows)


def test_a_reason_that_follows_from_others_stands_after_them(faulty):
    kinds = kinds_to_mend(faulty.findings).filter(pl.col("severity") == "warning")["reason_id"].to_list()
    follows = [reason in FOLLOWING for reason in kinds]
    assert any(follows) and follows == sorted(follows)


def test_the_rows_are_theirs_in_their_order_without_refused_ones_and_identifiers(faulty, households):
    read = sheets(feedback_workbook(faulty))
    header, *rows = read["Your rows households"]
    assert header == [
        "Row in your file", "Leave this row out?", "What to mend here", "date", "area", "stratum", "cluster", "weight",
        "residence", "size", "water", "minutes", "groups",
    ]  # fmt: skip
    assert [row[0] for row in rows] == [n for n in range(2, 42) if n != 4]  # row 4 is refused
    by_number = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_number[20]["weight"] == households[18]["weight"] and by_number[20]["What to mend here"] == ""
    assert by_number[2]["water"] == "77" and by_number[3]["water"] == "(not shown)"
    assert "put one of the codes" in by_number[2]["What to mend here"]
    everything = "\n".join(str(cell) for sheet in read.values() for row in sheet for cell in row)
    assert "Invented Person" not in everything and "Invented Member" not in everything and "h007" not in everything
    assert "+254 700" not in everything and "cmd" not in everything and "a long remark" not in everything


def test_a_place_that_may_not_be_kept_is_not_shown(judge, households):
    for number, row in enumerate(households):
        row["may_keep_place"] = "2" if number == 3 else "1"
        row["cluster"] = f"c{number // 5}"
    validated = judge(households, manifest={"consent.location_column": "may_keep_place"})
    header, *rows = sheets(feedback_workbook(validated))["Your rows households"]
    shown = {row[0]: row[header.index("cluster")] for row in rows}
    assert shown[5] == "(not shown)" and "c0" not in shown.values()


def test_faults_are_coloured_and_explained_in_a_note(faulty):
    book = openpyxl.load_workbook(io.BytesIO(feedback_workbook(faulty)))
    sheet = book["Your rows households"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    wrong, right = sheet.cell(2, columns["water"]), sheet.cell(2, columns["minutes"])
    assert wrong.fill.start_color.rgb == "FFFBE3A6" and right.fill.fill_type is None
    assert wrong.comment.text.startswith("not an answer of this question") and right.comment is None
    date = next(row for row in sheet.iter_rows(min_row=2) if row[0].value == 5)
    assert date[0].fill.start_color.rgb == "FFF4B6AE"  # the whole row is out


def test_nothing_a_partner_typed_becomes_a_formula_or_a_link(judge, households):
    for row in households[:3]:
        row["groups"] = "=1+1"
        row["cluster"] = "http://example.org/x"
    content = feedback_workbook(judge(households))
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for name in book.namelist():
            part = book.read(name).decode()
            assert "<f>" not in part and "<hyperlink" not in part


def test_the_same_input_gives_the_same_bytes(faulty):
    assert feedback_workbook(faulty) == feedback_workbook(faulty, make_feedback(faulty))


def test_no_more_kinds_than_a_person_reads(judge, households):
    households = [row | {f"new_{i}": "x" for i in range(20)} for row in households]
    validated = judge(households)
    rows = sheets(feedback_workbook(validated))["To mend"]
    assert kinds_to_mend(validated.findings).filter(pl.col("severity") == "warning").height == 20
    assert rows[-1][0] == "5 more kinds are not listed here; mend these first"


def test_a_rejected_hand_in_says_why_first(judge):
    validated = judge(manifest={"consent.column": "agreed"})
    read = sheets(feedback_workbook(validated))
    assert "not accepted yet" in str(read["Summary"])
    assert read["To mend"][1][0].startswith("blocks") and "agreed" in read["To mend"][1][5]


def test_a_right_hand_in_has_nothing_to_mend(judge):
    validated = judge()
    read = sheets(feedback_workbook(validated))
    assert read["To mend"][1][0] == "Nothing to mend."
    assert validated.findings.filter(pl.col("severity") != "information").is_empty()
    assert "for information" in [row[0] for row in read["Summary"]]  # the encoding of the files is no fault
