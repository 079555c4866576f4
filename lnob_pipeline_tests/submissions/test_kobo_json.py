"""KoboToolbox JSON: flat keys, repeats in repeats, what the system adds, and what is no such file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file

FILE = DataFile(path="answers.json", role="data", format="kobo_json")


def tables(submissions: Any) -> dict[str, SourceTable]:
    return read_file(json.dumps(submissions, ensure_ascii=False).encode(), FILE)


def test_submissions_become_rows_with_the_numbers_of_the_table() -> None:
    answers = [{"home/water": "pipe", "size": 4, "weight": 0.5, "whole": 2.0, "ok": True}, {"size": "", "sex": None}]
    table = tables(answers)["answers"]
    assert table.frame.rows(named=True) == [
        {"home/water": "pipe", "size": "4", "weight": "0.5", "whole": "2", "ok": "TRUE", "sex": None, "_index": "1"},
        {"home/water": None, "size": None, "weight": None, "whole": None, "ok": None, "sex": None, "_index": "2"},
    ]
    assert table.row_numbers.to_list() == [2, 3] and set(table.frame.dtypes) == {pl.String}


def test_repeats_in_repeats_know_their_parents() -> None:
    trees = [
        {"_id": 7, "_uuid": "u7", "grp/tree": [
            {"grp/tree/kind": "pine", "grp/tree/nest": [{"grp/tree/nest/eggs": 1}, {"grp/tree/nest/eggs": 2}]},
            {"grp/tree/kind": "oak"},
        ]},
        {"_id": 8, "_uuid": "u8", "grp/tree": [{"grp/tree/kind": "elm", "grp/tree/nest": [{"grp/tree/nest/eggs": 3}]}]},
    ]  # fmt: skip
    made = tables(trees)
    assert list(made) == ["answers", "tree", "nest"]
    columns = ["_index", "_parent_table_name", "_parent_index", "_submission__uuid"]
    assert made["tree"].frame.select("grp/tree/kind", *columns).rows() == [
        ("pine", "1", "answers", "1", "u7"),
        ("oak", "2", "answers", "1", "u7"),
        ("elm", "3", "answers", "2", "u8"),
    ]
    assert made["nest"].frame.select("grp/tree/nest/eggs", *columns).rows() == [
        ("1", "1", "tree", "1", "u7"),
        ("2", "2", "tree", "1", "u7"),
        ("3", "3", "tree", "3", "u8"),
    ]


def test_two_repeats_of_one_name_stay_apart() -> None:
    made = tables([{"a/member": [{"a/member/x": "1"}], "b/member": [{"b/member/x": "2"}]}])
    assert list(made) == ["answers", "member", "b/member"]


def test_what_the_system_adds() -> None:
    status = {"uid": "validation_status_approved", "label": "Approved", "by_whom": "someone"}
    made = tables(
        [
            {"q": "1", "_validation_status": status, "_geolocation": [1.25, -3.5], "_attachments": [{"f": "x"}]},
            {"q": "2", "_validation_status": {}, "_geolocation": [None, None], "_tags": [], "_notes": ["secret"]},
        ]
    )
    assert list(made) == ["answers"]
    assert made["answers"].frame.rows(named=True) == [
        {"q": "1", "_validation_status": "validation_status_approved", "_geolocation": "1.25 -3.5", "_index": "1"},
        {"q": "2", "_validation_status": None, "_geolocation": None, "_index": "2"},
    ]


def test_dots_and_dollars_of_older_servers() -> None:
    frame = tables([{"grp/qLg==1": "a", "grp/JA==x": "b"}])["answers"].frame
    assert frame.columns == ["grp/q.1", "grp/$x", "_index"]


def test_a_page_of_the_api_is_read_only_if_it_is_the_whole() -> None:
    page = {"count": 1, "next": None, "previous": None, "results": [{"q": "1"}]}
    assert tables(page)["answers"].frame["q"].to_list() == ["1"]
    for change in ({"next": "page 2"}, {"count": 2}, {"previous": "page 0"}):
        with pytest.raises(ReaderError, match="this is one page with 1 submissions, and there are more"):
            tables(page | change)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"[{", "not JSON, or it is cut off"),
        (b'[{"q": NaN}]', "not JSON"),
        (b'[{"q": 1, "q": 2}]', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"detail": "Not found."}', "not a list of submissions"),
        (b"[]", "holds no submission"),
        (b"[1]", "submission 1 is not a set of answers"),
        (b'[{"q": {"deep": "secret"}}]', "an object or a list, not a text"),
        (b'[{"q": ["secret", "b"]}]', "an object or a list, not a text"),
        (b"PK\x03\x04", "workbook or another program"),
    ],
)
def test_what_is_no_such_file_is_refused_without_a_word_of_it(content: bytes, words: str) -> None:
    with pytest.raises(ReaderError, match=words) as error:
        read_file(content, FILE)
    assert "secret" not in str(error.value)


keys = st.text("abc/", min_size=1, max_size=5).filter(lambda key: key.strip("/"))
values = st.one_of(st.text("xyz 1", max_size=5), st.integers(-99, 99), st.none())


@given(st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=6))
def test_nothing_is_lost_and_nothing_is_added(submissions: list[dict[str, Any]]) -> None:
    table = tables(submissions)["answers"]
    assert table.frame.height == len(submissions)
    for row, submission in zip(table.frame.iter_rows(named=True), submissions, strict=True):
        filled = {key: str(value) for key, value in submission.items() if value not in (None, "")}
        assert {key: cell for key, cell in row.items() if cell is not None and key != "_index"} == filled


def test_a_plain_workbook_has_a_table_for_each_sheet(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "log.xlsx") as book:
        book.add_worksheet("log").write_row(0, 0, ["record_key", "column"])
        book.get_worksheet_by_name("log").write_row(1, 0, ["a1", "age"])
        book.add_worksheet("empty")
    made = read_file((tmp_path / "log.xlsx").read_bytes(), DataFile(path="log.xlsx", role="corrections", format="xlsx"))
    assert list(made) == ["log"] and made["log"].frame.rows() == [("a1", "age")]
