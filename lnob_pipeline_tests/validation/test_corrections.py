"""The cleaning log: clean = raw + log, line by line, and a real log against its real clean file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import Corrections, DataFile
from lnob_pipeline.submissions.readers import SourceTable, read_file
from lnob_pipeline.validation.corrections import Corrected, apply_log, log_lines
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline_tests.validation.conftest import MANIFEST, csv_bytes, good_households, good_persons

REAL = Path(__file__).parents[3] / "shared" / "data" / "citizen" / "impact_cleaningtools"
COLUMNS = ("record_key", "column", "action", "expected", "new_value")

Line = tuple[str, str, str, str, str]


def source(rows: dict[str, list[str | None]]) -> SourceTable:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows, pl.String))
    return SourceTable("t", frame, pl.Series(range(2, 2 + frame.height), dtype=pl.Int64), "t.csv")


def corrected(table: SourceTable, lines: list[Line], protected: set[str] | None = None) -> Corrected:
    log = source({name: [line[place] for line in lines] for place, name in enumerate(COLUMNS)})
    headers = {header: header for header in table.frame.columns}
    return apply_log(table, "id", log_lines(log, Corrections()), headers, protected or set())


RAW = source({"id": ["a", "b", "c", "c"], "age": ["350", "35.0", None, "7"], "piped": ["FALSE", "TRUE", "x", "y"]})


@pytest.mark.parametrize(
    ("line", "row", "cells"),
    [
        (("a", "age", "change_response", "350", "35"), 0, ("a", "35", "FALSE")),
        (("b", "age", "change_response", "35", "36"), 1, ("b", "36", "TRUE")),  # 35 and 35.0 are one number
        (("b", "age", "change_response", "", "36"), 1, ("b", "36", "TRUE")),
        (("a", "piped", "change_response", "0", "1"), 0, ("a", "350", "1")),  # 0 and FALSE are one truth
        (("a", "age", "blank_response", "350", ""), 0, ("a", None, "FALSE")),
        ((" a ", " age ", " change_response ", "350", " 35 "), 0, ("a", "35", "FALSE")),
    ],
)
def test_a_line_that_fits_is_applied(line: Line, row: int, cells: tuple[str | None, ...]) -> None:
    done = corrected(RAW, [line])
    assert done.table.frame.row(row) == cells and done.left.is_empty()
    assert done.table.frame.height == 4 and RAW.frame["age"].to_list() == ["350", "35.0", None, "7"]
    others = [n for n in range(4) if n != row]
    assert done.table.frame[others].equals(RAW.frame[others])
    assert done.applied["compared"].to_list() == [bool(line[3])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("a", "age", "change_response", "351", "35"), "other_than_expected"),
        (("c", "age", "change_response", "7", "8"), "several_rows"),
        (("z", "age", "change_response", "7", "8"), "no_such_row"),
        (("", "age", "change_response", "7", "8"), "no_such_row"),
        (("a", "weight", "change_response", "7", "8"), "no_such_question"),
        (("a", "age", "change_response", "350", ""), "no_new_answer"),
        (("a", "age", "replace", "350", "35"), "unknown_action"),
        (("c", "", "remove_row", "", ""), "several_rows"),
    ],
)
def test_a_line_that_does_not_fit_is_left_and_given_back(line: Line, reason: str) -> None:
    done = corrected(RAW, [line])
    assert done.table.frame.equals(RAW.frame) and done.applied.is_empty()
    assert done.left["reason"].to_list() == [reason] and done.left["line"].to_list() == [2]


def test_rows_are_removed_and_the_others_keep_their_numbers() -> None:
    done = corrected(RAW, [("a", "", "remove_row", "", ""), ("a", "", "remove_row", "", "")])
    assert done.removed.to_list() == [2] and done.table.row_numbers.to_list() == [3, 4, 5]
    assert done.table.frame["id"].to_list() == ["b", "c", "c"]


def test_the_expected_answer_is_the_one_as_collected() -> None:
    lines: list[Line] = [("a", "age", "change_response", "350", "35"), ("a", "age", "change_response", "35", "36")]
    done = corrected(RAW, lines)
    assert done.table.frame["age"][0] == "35" and done.left["reason"].to_list() == ["other_than_expected"]


def test_two_lines_for_one_place() -> None:
    same = corrected(RAW, [("a", "age", "change_response", "350", "35")] * 2)
    assert same.table.frame["age"][0] == "35" and same.applied.height == 2
    for other in (("a", "age", "change_response", "", "36"), ("a", "age", "blank_response", "", "")):
        done = corrected(RAW, [("a", "age", "change_response", "350", "35"), other])
        assert done.table.frame["age"][0] == "350" and done.left["reason"].to_list() == ["two_new_answers"] * 2


def test_no_action_does_nothing_and_consent_is_not_changed() -> None:
    done = corrected(
        RAW, [("a", "age", "no_action", "1", "2"), ("a", "piped", "change_response", "", "TRUE")], {"piped"}
    )
    assert done.table.frame.equals(RAW.frame) and done.left["reason"].to_list() == ["consent_not_changed"]


@given(st.lists(st.tuples(st.sampled_from("abz"), st.sampled_from(["age", "piped", "no"]), st.sampled_from(
    ["change_response", "blank_response", "no_action", "?"]), st.sampled_from(["", "350", "TRUE"]),
    st.sampled_from(["", "1", "2"])), min_size=1, max_size=8))  # fmt: skip
def test_only_what_an_applied_line_names_differs(lines: list[Line]) -> None:
    done = corrected(RAW, lines)
    touched = set(done.applied.select("row_number", "header").iter_rows())
    for header in RAW.frame.columns:
        differ = ~RAW.frame[header].eq_missing(done.table.frame[header])
        assert {(number, header) for number in RAW.row_numbers.filter(differ)} <= touched
    counted = done.applied.height + done.left.height + sum(line[2] == "no_action" for line in lines)
    assert counted == len(lines)


def judged(
    judge: Callable[..., Validated], lines: list[dict[str, str]], corrections: dict[str, Any] | None = None
) -> Validated:
    log = {"path": "log.csv", "role": "corrections", "format": "csv", "delimiter": ","}
    manifest = {"files": [*MANIFEST["files"], log], "sample_size": {"planned": 40, "achieved": 39}}
    if corrections is not None:
        manifest["corrections"] = corrections
    return judge(manifest=manifest, contents={"log.csv": csv_bytes(lines)})


LOG = [
    {"record_key": "h003", "column": "minutes", "action": "change_response", "expected": "8", "new_value": "80",
     "reason": "Mama Wanjiku said so, +254 712 345 678"},
    {"record_key": "h004", "column": "water", "action": "blank_response", "expected": "", "new_value": "",
     "reason": ""},
    {"record_key": "h005", "column": "", "action": "remove_row", "expected": "", "new_value": "", "reason": "a test"},
    {"record_key": "h006", "column": "minutes", "action": "change_response", "expected": "99", "new_value": "7",
     "reason": ""},
    {"record_key": "h007", "column": "phone", "action": "change_response", "expected": "+254 700 000 007",
     "new_value": "+254 711 111 111", "reason": ""},
    {"record_key": "h008", "column": "consent", "action": "change_response", "expected": "1", "new_value": "2",
     "reason": ""},
]  # fmt: skip


def test_a_hand_in_with_a_cleaning_log(judge: Callable[..., Validated]) -> None:
    validated = judged(judge, LOG)
    assert validated.state == "accepted_with_flags"
    assert validated.responses is not None
    households = validated.responses.filter(pl.col("record") == "household").sort("row_number")
    assert households.height == 39 and 7 not in households["row_number"]
    by_row = {row["row_number"]: row for row in households.iter_rows(named=True)}
    assert (by_row[5]["minutes"], by_row[6]["water"], by_row[8]["minutes"]) == ("80", None, "11")
    persons = validated.responses.filter(pl.col("record") == "person")
    assert persons.height == 78 and persons["parent_key"].null_count() == 0  # its two members went with h005
    results = validated.results.filter(pl.col("rule_id") == "corrections").sort("expectation")
    assert results.select("expectation", "column", "n_checked", "n_failed", "outcome").rows() == [
        ("blank_response", "water", 1, 0, "passed"),
        ("change_response", "minutes", 1, 0, "passed"),
        ("change_response", "phone", 1, 0, "passed"),
        ("consent_not_changed", None, 1, 1, "failed"),
        ("corrections_explained", None, 4, 0, "passed"),
        ("other_than_expected", None, 1, 1, "failed"),
        ("remove_row", None, 1, 0, "passed"),
    ]
    left = validated.findings.filter((pl.col("rule_id") == "corrections") & (pl.col("effect") == "note"))
    assert left.select("row_number", "column", "written").sort("row_number").rows() == [
        (8, "minutes", "line 5 of the log"),
        (10, "consent", "line 7 of the log"),
    ]


def test_who_decided_and_whether_they_say_why_is_recorded(judge: Callable[..., Validated]) -> None:
    who = ["Supervisor", "data manager", "Mama Wanjiku", "supervisor", "enumerator", ""]
    lines = [line | {"decided_by": role} for line, role in zip(LOG, who, strict=True)]
    (told,) = judged(judge, lines).results.filter(expectation="corrections_explained")["message"]
    # Of six lines four were applied; two of them give a reason; a name is no role.
    assert told == "2 of 4 corrections say why; who decided: data_manager 1, enumerator 1, supervisor 1"


def test_nothing_of_a_log_is_told(judge: Callable[..., Validated]) -> None:
    validated = judged(judge, LOG)
    frames = [validated.results, validated.findings, validated.quarantine, validated.outcome]
    text = " ".join(str(frame.to_dicts()) for frame in frames)
    assert "'80'" not in text  # the answer as corrected stands in the partner's own rows alone
    text += " ".join(str(frame.to_dicts()) for frame in validated.rows.values())
    for secret in ("Wanjiku", "711 111", "700 000 007", "712 345", "'99'", "Invented"):
        assert secret not in text
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(feedback_workbook(validated))) as book:
        told = b" ".join(book.read(name) for name in book.namelist()).decode(errors="ignore")
    assert "by the cleaning log" in told and "Wanjiku" not in told and "711 111" not in told


def test_the_log_may_have_its_own_words(judge: Callable[..., Validated]) -> None:
    lines = [
        {"X_uuid": "h003", "questions": "minutes", "change_type": "fix", "old": "8", "new": "80"},
        {"X_uuid": "h005", "questions": "", "change_type": "remove_survey", "old": "", "new": ""},
    ]
    words = {
        "identifier": "id", "record_key": "X_uuid", "column": "questions", "action": "change_type", "expected": "old",
        "new_value": "new", "change_response": ["fix"], "remove_row": ["remove_survey"],
    }  # fmt: skip
    validated = judged(judge, lines, words)
    assert validated.state == "accepted"
    assert validated.balance.filter(pl.col("record") == "household").row(0) == ("household", 39, 39, 0, 0)
    assert validated.responses is not None
    minutes = validated.responses.filter((pl.col("record") == "household") & (pl.col("row_number") == 5))["minutes"]
    assert minutes.to_list() == ["80"]


@pytest.mark.parametrize(
    ("corrections", "words"),
    [({"column": "question"}, "the cleaning log has no column question"), ({"identifier": "uuid"}, "ids")],
)
def test_a_log_that_cannot_be_used_stops_the_hand_in(
    judge: Callable[..., Validated], corrections: dict[str, Any], words: str
) -> None:
    validated = judged(judge, LOG, corrections)
    assert validated.state == "rejected" and words in validated.outcome["reasons"][0]


def test_without_a_log_nothing_is_said(judge: Callable[..., Validated]) -> None:
    validated = judge()
    assert validated.results.filter(pl.col("rule_id") == "corrections")["outcome"].to_list() == ["not_applicable"]
    assert len(good_households()) == 40 and len(good_persons()) == 80


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared folder with the real survey is not here")
class TestRealLog:
    """The survey that impact-initiatives/cleaningtools ships: raw 632 x 348, log of 726 lines, clean 578 x 350."""

    @staticmethod
    def table(name: str) -> SourceTable:
        path = f"cleaningtools_{name}.csv"
        file = DataFile(path=path, role="data", format="csv", delimiter=",")
        return next(iter(read_file((REAL / path).read_bytes(), file).values()))

    def test_the_log_makes_the_clean_file_of_the_raw_one(self) -> None:
        raw, log, clean = self.table("raw_data"), self.table("cleaning_log"), self.table("clean_data")
        assert (raw.frame.shape, log.frame.shape, clean.frame.shape) == ((632, 348), (726, 11), (578, 350))
        said = Corrections(
            record_key="X_uuid", column="questions", action="change_type", expected="old_value", new_value="new_value",
            remove_row=["remove_survey"],
        )  # fmt: skip
        done = apply_log(raw, "X_uuid", log_lines(log, said), {header: header for header in raw.frame.columns})
        assert done.left.is_empty() and len(done.removed) == 54
        counts = done.applied.group_by("action").len().sort("action").rows()
        assert counts == [("blank_response", 3), ("change_response", 48), ("remove_row", 55)]
        ours, theirs = done.table.frame.sort("X_uuid"), clean.frame.sort("X_uuid")
        assert ours.shape == (578, 348) and ours["X_uuid"].equals(theirs["X_uuid"])
        assert set(clean.frame.columns) - set(raw.frame.columns) == {"water_sector", "socio_eco_division"}
        alike = {"True": "1", "False": "0"}
        number = r"^(-?[0-9]+)\.0$"  # the clean file writes 250000 where the raw one writes 250000.0
        same = [
            frame.select(ours.columns).with_columns(pl.all().replace(alike).str.replace(number, "$1"))
            for frame in (ours, theirs)
        ]
        different = [name for name in ours.columns if not same[0][name].equals(same[1][name])]
        assert different == []
        before = raw.frame.filter(raw.frame["X_uuid"].is_in(clean.frame["X_uuid"].implode())).sort("X_uuid")
        changed = sum(int((~before[name].eq_missing(ours[name])).sum()) for name in ours.columns)
        edits = log.frame.filter(pl.col("change_type").is_in(["change_response", "blank_response"]))
        staying = edits.filter(pl.col("X_uuid").is_in(clean.frame["X_uuid"].implode())).unique(["X_uuid", "questions"])
        assert changed == staying.height == 47
