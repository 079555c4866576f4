"""The feedback workbook, opened again: what the partner reads, where, and nothing that acts by itself."""

from __future__ import annotations

import io
import zipfile

import polars as pl
import pytest
from python_calamine import load_workbook

from lnob_pipeline.validation.feedback import MAXIMUM_KINDS, feedback_workbook, kinds_to_mend
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
    assert list(read) == ["Summary", "To mend", "Your rows"]
    text = "\n".join(str(cell) for row in read["Summary"] for cell in row)
    assert "36 of 40 rows are in" in text
    assert "Rows left out and listed: 3" in text
    assert "Rows without consent: 1" in text
    assert "a phone number: 40 cells taken out" in text


def test_kinds_stand_worst_first_with_their_places(faulty):
    kinds = kinds_to_mend(faulty.findings)
    order = [list(SEVERITIES).index(severity) for severity in kinds["severity"]]
    assert order == sorted(order)
    read = sheets(feedback_workbook(faulty))["To mend"]
    header, *rows = read
    assert header[:3] == ["Severity", "What", "Where"]
    assert len(rows) == min(kinds.height, MAXIMUM_KINDS)
    by_reason = {row[5]: row for row in rows}
    age = next(row for reason, row in by_reason.items() if reason.startswith("not possible") and row[4] == "214")
    assert "column age" in age[2] and "row 2" in age[2] and age[3] == 1
    unknown = next(row for reason, row in by_reason.items() if reason.startswith("not an answer"))
    assert "row 2, 3" in unknown[2] and unknown[4] == "77"
    assert all(row[6] and row[7] and row[8] for row in rows)


def test_rows_carry_their_number_and_refused_ones_only_that(faulty):
    read = sheets(feedback_workbook(faulty))["Your rows"]
    text = "\n".join(str(cell) for row in read for cell in row)
    assert "Rows without consent (numbers only): 4" in text
    numbers = [row[1] for row in read if isinstance(row[1], float)]
    assert {2.0, 3.0, 5.0, 7.0, 9.0, 10.0} <= set(numbers) and 4.0 not in numbers
    for column in ("head_name", "phone", "remarks", "name"):
        assert column not in [cell for row in read for cell in row]
    assert "Invented Person" not in text and "Invented Member" not in text


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
    assert feedback_workbook(faulty) == feedback_workbook(faulty)


def test_no_more_kinds_than_a_person_reads(judge, households):
    households = [row | {f"new_{i}": "x" for i in range(20)} for row in households]
    validated = judge(households)
    rows = sheets(feedback_workbook(validated))["To mend"]
    assert kinds_to_mend(validated.findings).height == 20
    assert rows[-1][0] == "5 more kinds are not listed here; mend these first"


def test_a_rejected_hand_in_says_why_first(judge):
    validated = judge(manifest={"consent.column": "agreed"})
    read = sheets(feedback_workbook(validated))
    assert "not accepted yet" in str(read["Summary"])
    assert read["To mend"][1][0].startswith("blocks") and "agreed" in read["To mend"][1][5]


def test_a_right_hand_in_has_nothing_to_mend(judge):
    validated = judge()
    assert sheets(feedback_workbook(validated))["To mend"][1][0] == "Nothing to mend."
    assert validated.findings.filter(pl.col("effect") != "refused").is_empty()
