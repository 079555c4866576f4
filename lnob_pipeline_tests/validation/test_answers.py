"""Cells of several answers, option columns and renamed questions: what is certain is read, the rest is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.validation.answers import Answers, known_texts, options_of, read_answers, rows_of_ticks
from lnob_pipeline.validation.columns import find_headers

CODES = {"pipe": "piped_yard", "well": "protected_well", "river": "surface_water"}
LABELS = {"pipe": ["Piped into yard/plot, shared"], "well": ["Well, protected", "Kisima"], "river": ["River"]}


def instrument(codes: dict[str, str], labels: dict[str, list[str]] | None = None, separator: str = " ") -> Instrument:
    column: dict[str, Any] = {"variable": "q", "select": "multiple", "separator": separator, "codes": codes}
    if labels:
        column["choices"] = "list"
    return Instrument.model_validate(
        {
            "instrument": "test",
            "title": "Test",
            "version": "1",
            "data_type": "household_survey",
            "languages": ["en"],
            "choices": {"list": labels} if labels else {},
            "records": {
                "household": {
                    "table": "t",
                    "unit": "household",
                    "columns": {"q": column, "n": {"variable": "n", "aliases": ["n_old"]}},
                }
            },
            "reviewed": {"by": "tests", "date": "2026-01-01", "source": "test"},
        }
    )


def read(form: Instrument, table: Mapping[str, Sequence[str | None]]) -> Answers:
    record = form.records["household"]
    frame = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String))
    headers = find_headers(record, frame.columns, options_of(record, form), rows_of_ticks(frame))
    return read_answers(record, form, frame, headers)


def cells(answers: Answers, name: str = "q") -> list[str | None]:
    return answers.frame[name].to_list()


@pytest.mark.parametrize(
    ("cell", "read_as"),
    [
        ("pipe river", "pipe river"),
        ("river  pipe", "pipe river"),
        ("river river", "river"),
        ("River Kisima", "well river"),
        ("Well, protected Piped into yard/plot, shared", "pipe well"),
        ("Piped into yard/plot, shared", "pipe"),
        ("Spring River", "Spring river"),  # unknown text stays, for the gate to judge
        ("Piped into yard River", "Piped into yard river"),
        (None, None),
        ("", None),
    ],
)
def test_joined_by_a_blank(cell: str | None, read_as: str | None) -> None:
    assert cells(read(instrument(CODES, LABELS), {"q": [cell]})) == [read_as]


def test_joined_by_commas_that_the_answers_hold_themselves() -> None:
    """As mWater writes them: "Piped into yard/plot, shared, River"."""
    codes = {
        "Piped into yard/plot, shared": "piped_yard",
        "Well, protected": "protected_well",
        "River": "surface_water",
    }
    form = instrument(codes, separator=",")
    table = {"q": ["River, Piped into yard/plot, shared", "Well, protected", "Piped into yard/plot, River"]}
    mark = form.records["household"].columns["q"].joined_by
    assert mark not in "".join(codes)
    assert cells(read(form, table)) == [
        f"Piped into yard/plot, shared{mark}River",
        "Well, protected",
        f"Piped into yard/plot{mark}River",
    ]


def test_what_reads_in_two_ways_is_not_read() -> None:
    form = instrument({"1": "a", "2": "b", "3": "c"}, {"1": ["Tea"], "2": ["Tea leaves"], "3": ["leaves"]})
    answers = read(form, {"q": ["Tea leaves", "Tea", "leaves", "leaves Tea"]})
    assert cells(answers) == [None, "1", "3", "1 3"]
    assert answers.faults["ambiguous_answers"]["q"].to_list() == [True, False, False, False]


def test_option_columns_settle_what_reads_in_two_ways() -> None:
    form = instrument({"1": "a", "2": "b", "3": "c"}, {"1": ["Tea"], "2": ["Tea leaves"], "3": ["leaves"]})
    answers = read(form, {"q": ["Tea leaves", None], "q/1": ["0", None], "q/2": ["1", None], "q/3": ["0", None]})
    assert cells(answers) == ["2", None] and answers.faults == {}


def test_a_label_of_two_codes_is_no_answer() -> None:
    form = instrument({"1": "a", "2": "b"}, {"1": ["Other"], "2": ["Other", "Else"]})
    column = form.records["household"].columns["q"]
    assert known_texts(column, form.choices) == {"1": "1", "2": "2", "Else": "2"}


def test_option_columns() -> None:
    table = {
        "q/pipe": ["1", "TRUE", "0", None, "1", "yes"],
        "q/Kisima": ["0", "1.0", "0", None, None, "0"],
        "q/river": ["1", "False", "0", None, None, "0"],
    }
    answers = read(instrument(CODES, LABELS), table)
    assert cells(answers) == ["pipe river", "pipe well", None, None, "pipe", None]
    assert answers.not_ticked["q"].to_list() == [False, False, True, False, False, False]
    assert answers.faults["no_tick"]["q"].to_list() == [False] * 5 + [True]


def test_joined_and_options_must_agree() -> None:
    table = {
        "q": ["pipe", "pipe", None, "pipe", "pipe spring"],
        "q/pipe": ["1", "0", "1", None, "1"],
        "q/well": ["0", "1", "0", None, "0"],
    }
    answers = read(instrument(CODES), table)
    assert cells(answers) == ["pipe", None, "pipe", "pipe", "pipe spring"]
    assert answers.faults["conflicting_columns"]["q"].to_list() == [False, True, False, False, False]


def test_only_the_options_that_have_a_column_are_compared() -> None:
    answers = read(instrument(CODES), {"q": ["pipe river", "river"], "q/pipe": ["1", "0"]})
    assert cells(answers) == ["pipe river", "river"] and answers.faults == {}


def test_renamed_numbers_agree_whatever_their_spelling() -> None:
    answers = read(instrument(CODES), {"n": ["5", None, "7", "१०"], "n_old": ["5.0", "6", "8", "10"]})
    assert cells(answers, "n") == ["5", "6", None, "१०"]
    assert answers.faults["conflicting_columns"]["n"].to_list() == [False, False, True, False]


words = st.text("ab", min_size=1, max_size=2)
option_texts = st.lists(st.lists(words, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=6, unique=True)


@given(data=st.data(), texts=option_texts)
def test_joined_labels_are_read_right_or_not_at_all(data: st.DataObject, texts: list[str]) -> None:
    codes = {f"c{number}": "x" for number in range(len(texts))}
    labels = {code: [text] for code, text in zip(codes, texts, strict=True)}
    chosen = data.draw(st.lists(st.sampled_from(sorted(codes)), min_size=1, unique=True))
    assume(not set(texts) & set(codes))
    answers = read(instrument(codes, labels), {"q": [" ".join(labels[code][0] for code in chosen)]})
    if "ambiguous_answers" in answers.faults:
        assert cells(answers) == [None]
    else:
        assert cells(answers) == [" ".join(sorted(chosen))]


@given(rows=st.lists(st.sets(st.sampled_from(sorted(CODES)), min_size=1), min_size=1, max_size=5))
def test_joined_split_and_both_are_the_same(rows: list[set[str]]) -> None:
    form = instrument(CODES)
    joined = {"q": [" ".join(row) for row in rows]}
    split = {f"q/{code}": ["1" if code in row else "0" for row in rows] for code in CODES}
    assert cells(read(form, joined)) == cells(read(form, split)) == cells(read(form, joined | split))
