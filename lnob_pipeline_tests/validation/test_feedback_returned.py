"""The way there and back: feedback, cells mended in it, the workbook handed in again; and what is not read of it."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, parse_manifest
from lnob_pipeline.submissions.readers import ReaderError, read_file
from lnob_pipeline.validation.feedback import make_feedback
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.validation.conftest import MANIFEST, csv_bytes, good_households, good_persons

Judge = Callable[..., Validated]
FILE = {"path": "feedback.xlsx", "role": "corrections", "format": "feedback_xlsx"}
WITH_WORKBOOK = {"files": [*MANIFEST["files"], FILE]}
HOUSEHOLDS, PERSONS = "Your rows households", "Your rows persons"


def faulty_households() -> list[dict[str, str]]:
    households = good_households()
    households[0]["water"] = "77"
    households[1]["water"] = "Invented Name"
    households[2]["consent"] = "2"
    households[3]["date"] = "2018-01-01"
    households[5]["minutes"] = "5000"
    households[6]["minutes"] = ""
    households[7]["minutes"] = "007"
    return households


def faulty_persons() -> list[dict[str, str]]:
    persons = good_persons()
    persons[0]["age"] = "214"
    return persons


@pytest.fixture(scope="module")
def first(judge: Judge) -> Validated:
    return judge(faulty_households(), faulty_persons())


def opened(content: bytes) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def saved(book: Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def place(sheet: Worksheet, row: int, column: str) -> tuple[int, int]:
    """Where the cell of a row of the partner's file stands."""
    header = [cell.value for cell in sheet[1]].index(column) + 1
    line = next(line for line in range(2, sheet.max_row + 1) if sheet.cell(line, 1).value == row)
    return line, header


def put(book: Workbook, sheet: str, row: int, column: str, value: object) -> None:
    book[sheet].cell(*place(book[sheet], row, column)).value = value


def mended(content: bytes) -> bytes:
    """The workbook as a partner mends it: as text, as a number, a cell that was not shown, one that was empty."""
    book = opened(content)
    put(book, HOUSEHOLDS, 2, "water", 11)
    put(book, HOUSEHOLDS, 3, "water", "21")
    put(book, HOUSEHOLDS, 5, "date", "2019-05-04")
    put(book, HOUSEHOLDS, 7, "minutes", 50)
    put(book, HOUSEHOLDS, 8, "minutes", "12")
    put(book, PERSONS, 2, "age", 21)
    return saved(book)


def again(judge: Judge, *workbooks: bytes) -> Validated:
    """The same files handed in with workbooks."""
    names = ["feedback.xlsx", *(f"feedback_{n}.xlsx" for n in range(2, 5))][: len(workbooks)]
    files = [*MANIFEST["files"], *(FILE | {"path": name} for name in names)]
    contents = dict(zip(names, workbooks, strict=True))
    return judge(faulty_households(), faulty_persons(), {"files": files}, contents=contents)


def answers(validated: Validated) -> pl.DataFrame:
    assert validated.responses is not None
    return validated.responses


def test_an_untouched_workbook_changes_nothing(judge: Judge, first: Validated) -> None:
    back = again(judge, feedback_workbook(first))
    assert answers(back).equals(answers(first)) and back.findings.equals(first.findings)


def test_mended_cells_come_in_and_nothing_else_changes(judge: Judge, first: Validated) -> None:
    assert first.state == "accepted_with_flags" and first.outcome["n_accepted"].item() == 38
    back = again(judge, mended(feedback_workbook(first)))
    assert back.outcome["n_accepted"].item() == 39 and back.outcome["n_quarantined"].item() == 0
    faults = back.findings.filter(pl.col("effect").is_in(["row", "cell", "note"]))
    assert faults.is_empty()
    assert not [kind for kind in make_feedback(back).kinds if kind.severity != "information"]
    before = answers(first).drop("record_key", "parent_key", "submission_id")
    after = answers(back).select(before.columns)
    same = before.join(after, on=before.columns, how="semi", nulls_equal=True)
    changed = before.join(after, on=before.columns, how="anti", nulls_equal=True)["row_number"].to_list()
    # rows 2, 3, 7 and 8 of the households, row 2 of the persons; row 5 and its two members came in
    assert sorted(changed) == [2, 2, 3, 7, 8]
    assert same.height == before.height - 5 and after.height == before.height + 3
    counted = back.findings.filter(pl.col("reason_id") == "change_response")
    assert sorted(counted["column"]) == ["age", "date", "minutes", "water"]
    who = back.results.filter(pl.col("expectation") == "corrected_by_partner").select("record", "n_checked")
    assert sorted(who.rows()) == [("household", 5), ("person", 1)]


def test_the_next_workbook_holds_the_corrections_before_it(judge: Judge, first: Validated) -> None:
    once = mended(feedback_workbook(first))
    back = again(judge, once)
    next_one = feedback_workbook(back)
    assert answers(again(judge, next_one)).equals(answers(back))
    both = again(judge, once, next_one)
    assert answers(both).equals(answers(back))
    assert not [kind.reason_id for kind in make_feedback(both).kinds if kind.severity != "information"]
    book = opened(next_one)
    put(book, HOUSEHOLDS, 7, "minutes", 60)  # mended once more
    third = again(judge, saved(book))
    assert answers(third).filter((pl.col("record") == "household") & (pl.col("row_number") == 7))["minutes"][0] == "60"


def test_rows_can_be_left_out_and_stay_out(judge: Judge, first: Validated) -> None:
    book = opened(feedback_workbook(first))
    put(book, HOUSEHOLDS, 5, "Leave this row out?", "leave out")
    once = saved(book)
    back = again(judge, once)
    assert back.outcome["n_rows"].item() == 39 and back.outcome["n_quarantined"].item() == 0
    assert "parent_out" not in back.findings["reason_id"].to_list()  # its members went with it
    next_one = feedback_workbook(back)
    assert answers(again(judge, next_one)).equals(answers(back))
    assert answers(again(judge, once, next_one)).equals(answers(back))


def test_sorting_colours_and_deleted_rows_change_nothing(judge: Judge, first: Validated) -> None:
    book = opened(mended(feedback_workbook(first)))
    sheet = book[HOUSEHOLDS]
    rows = sorted(([cell.value for cell in row] for row in sheet.iter_rows(min_row=2)), key=lambda row: -int(row[0]))
    for line, row in enumerate(rows, start=2):
        for column, value in enumerate(row, start=1):
            sheet.cell(line, column).value = value
    for number in (20, 30):
        sheet.delete_rows(place(sheet, number, "water")[0])
    sheet.delete_cols(place(sheet, 2, "residence")[1])
    assert answers(again(judge, saved(book))).equals(answers(again(judge, mended(feedback_workbook(first)))))


def test_an_office_suite_may_turn_text_into_numbers(judge: Judge, first: Validated) -> None:
    book = opened(feedback_workbook(first))
    put(book, HOUSEHOLDS, 9, "minutes", 7)  # was 007
    put(book, HOUSEHOLDS, 9, "weight", 1.07)
    assert answers(again(judge, saved(book))).equals(answers(first))


def test_what_was_added_is_not_read_and_it_is_said(judge: Judge, first: Validated) -> None:
    book = opened(feedback_workbook(first))
    sheet = book[HOUSEHOLDS]
    sheet.cell(1, sheet.max_column + 1).value = "Invented Column Name"
    sheet.cell(2, sheet.max_column).value = "x"
    sheet.cell(sheet.max_row + 1, place(sheet, 2, "water")[1]).value = "11"
    put(book, HOUSEHOLDS, 6, "Leave this row out?", "Invented Word")
    back = again(judge, saved(book))
    assert answers(back).equals(answers(first))
    notes = " ".join(back.findings.filter(pl.col("reason_id") == "reader_note")["reason"])
    assert "columns that were added to the feedback workbook are not read: 1" in notes
    assert "rows without a row number of the feedback workbook are not read: 1" in notes
    assert "rows with something else than the word from the list in the second column: 1" in notes
    assert "Invented" not in notes


def test_consent_cannot_be_given_in_the_workbook(judge: Judge, first: Validated) -> None:
    """Neither the column nor the refused row is in it; a forged twin is stopped by the cleaning log."""
    book = opened(feedback_workbook(first))
    header = [cell.value for cell in book[HOUSEHOLDS][1]]
    assert "consent" not in header
    for name in (HOUSEHOLDS, "lnob_1"):
        sheet = book[name]
        sheet.cell(1, sheet.max_column + 1).value = "consent"
        sheet.cell(sheet.max_row + 1, 1).value = "4"
        sheet.cell(sheet.max_row, sheet.max_column).value = "1" if name == HOUSEHOLDS else "2"
    back = again(judge, saved(book))
    assert "consent_not_changed" in back.findings["reason_id"].to_list()
    assert back.outcome["n_refused"].item() == 1


def test_an_identifier_typed_into_the_workbook_goes_no_further(judge: Judge, first: Validated) -> None:
    book = opened(feedback_workbook(first))
    put(book, HOUSEHOLDS, 2, "water", "+254 711 222 333")
    back = again(judge, saved(book))
    frames = [back.quarantine, back.results, back.outcome, back.findings, *back.rows.values(), answers(back)]
    assert not [frame for frame in frames if "711" in frame.write_csv()]
    assert b"711 222" not in feedback_workbook(back)


def test_a_workbook_for_another_file_is_not_applied(judge: Judge, first: Validated) -> None:
    workbook = mended(feedback_workbook(first))
    households = faulty_households()[1:]  # a row was deleted: the numbers of all others are other ones now
    back = judge(households, faulty_persons(), WITH_WORKBOOK, contents={"feedback.xlsx": workbook})
    assert back.state == "rejected"
    reasons = back.findings.filter(pl.col("severity") == "blocking")["reason_id"].to_list()
    assert reasons == ["workbook_of_other_file"]


def test_the_answer_as_collected_must_still_be_there(judge: Judge, first: Validated) -> None:
    book = opened(mended(feedback_workbook(first)))
    twin = book["lnob_1"]
    line = next(n for n in range(2, twin.max_row + 1) if twin.cell(n, 1).value == "2")
    twin.cell(line, [cell.value for cell in twin[1]].index("water") + 1).value = "21"
    left = again(judge, saved(book)).findings.filter(pl.col("reason_id") == "other_than_expected")
    assert left.select("row_number", "column").rows() == [(2, "water")]


@pytest.mark.parametrize("spoil", ["no_hidden", "no_twin", "other_kind"])
def test_a_workbook_that_lost_its_hidden_sheets_says_so(first: Validated, spoil: str) -> None:
    book = opened(feedback_workbook(first))
    if spoil == "other_kind":
        book["lnob"].cell(1, 2).value = "another/9"
    else:
        del book["lnob" if spoil == "no_hidden" else "lnob_1"]
    with pytest.raises(ReaderError, match=r"feedback workbook"):
        read_file(saved(book), DataFile.model_validate(FILE))


def test_labels_and_option_columns_are_shown_as_written_and_mended_one_by_one(judge: Judge) -> None:
    """The copy has the headers of the source: a question spread over columns is mended in its option columns."""
    households = good_households()
    for place_in_list, row in enumerate(households):
        said = row.pop("groups").split()
        for option in ("pwd", "dalit", "none"):
            row[f"groups/{option}"] = str(int(option in said))
        if place_in_list == 4:
            row["groups/pwd"] = "7"
    first = judge(households)
    content = feedback_workbook(first)
    book = opened(content)
    header = [cell.value for cell in book[HOUSEHOLDS][1]]
    assert header[-3:] == ["groups/pwd", "groups/dalit", "groups/none"]
    assert book[HOUSEHOLDS].cell(*place(book[HOUSEHOLDS], 2, "groups/none")).value == "1"
    assert "no_tick" in first.findings["reason_id"].to_list()
    put(book, HOUSEHOLDS, 6, "groups/pwd", 1)
    back = judge(households, None, WITH_WORKBOOK, contents={"feedback.xlsx": saved(book)})
    assert "no_tick" not in back.findings["reason_id"].to_list()
    assert answers(back).filter((pl.col("record") == "household") & (pl.col("row_number") == 6))["groups"][0] == "pwd"


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_a_workbook_saved_by_libreoffice_comes_back(judge: Judge, first: Validated, tmp_path: Path) -> None:
    source, out = tmp_path / "feedback.xlsx", tmp_path / "out"
    source.write_bytes(mended(feedback_workbook(first)))
    profile = f"-env:UserInstallation=file://{tmp_path / 'profile'}"
    command = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    back = again(judge, (out / "feedback.xlsx").read_bytes())
    assert answers(back).equals(answers(again(judge, mended(feedback_workbook(first)))))


def test_a_workbook_is_a_correction_and_nothing_else() -> None:
    with pytest.raises(ValueError, match="has the role corrections"):
        DataFile.model_validate(FILE | {"role": "data"})


def test_the_lines_name_the_columns_of_the_source(first: Validated) -> None:
    tables = read_file(mended(feedback_workbook(first)), DataFile.model_validate(FILE))
    lines = tables["household"].frame
    assert lines.select("row", "column", "expected", "new").rows() == [
        ("2", "water", "77", "11"),
        ("3", "water", None, "21"),
        ("5", "date", "2018-01-01", "2019-05-04"),
        ("7", "minutes", "5000", "50"),
        ("8", "minutes", None, "12"),
    ]
    assert lines["empty"].to_list() == [None, None, None, None, "1"]
    assert csv_bytes(faulty_households()).count(b"77") == 1  # what is expected is what was there


def test_a_score_card_is_mended_score_by_score(root: Path) -> None:
    """One row of the file holds the scores of several groups: each is a row of the workbook, named 5-1, 5-2, ..."""
    folder = root / "data" / "submissions" / "mwi" / "mwi-2020-health-score-card"
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    settings, mappings = Settings.load(), load_mappings(root / "indicator_mappings")
    files = [(file, (folder / file.path).read_bytes()) for file in manifest.files]
    first = validate(manifest, "1", files, mappings, settings, great_expectations=False)
    book = opened(feedback_workbook(first, make_feedback(first, "en")))
    sheet = next(sheet for sheet in book.worksheets if sheet.title == "Your rows scores")
    header = [cell.value for cell in sheet[1]]
    row, score = sheet[2], header.index("score")
    assert "-" in row[0].value and "meeting" in header
    assert row[header.index("meeting")].value == "(not shown)"  # the name of a community and a group
    was, row[score].value = row[score].value, "1" if row[score].value != "1" else "2"
    sheet.cell(3, 2).value = "leave out"
    given = [*files, (DataFile.model_validate(FILE), saved(book))]
    back = validate(manifest, "2", given, mappings, settings, great_expectations=False)
    assert back.outcome["n_rows"].item() == first.outcome["n_rows"].item()
    assert "part_of_a_row" in back.findings["reason_id"].to_list()
    before, after = (
        answers(each).filter(pl.col("record") == "scores").sort("record_key")["score"] for each in (first, back)
    )
    assert (before != after).sum() == 1 and was in before.filter(before != after).to_list()
