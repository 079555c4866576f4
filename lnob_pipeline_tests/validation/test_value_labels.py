"""Value labels of SPSS and Stata files: codes are read by them, and a code that means two things is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import read_file
from lnob_pipeline.validation.answers import Answers, read_answers
from lnob_pipeline.validation.columns import find_headers

COLUMN = {"variable": "q", "choices": "yesno", "codes": {"yes": "yes", "no": "no", "1": "first"}}


def read(path: Path, labels: dict[float, str]) -> Answers:
    """The answers of a file written by the library, through the reader."""
    form: dict[str, Any] = {
        "instrument": "test",
        "title": "Test",
        "version": "1",
        "data_type": "household_survey",
        "languages": ["en"],
        "choices": {"yesno": {"yes": ["Yes", "Ndiyo"], "no": ["No"], "1": ["First"]}},
        "records": {"household": {"table": "t", "unit": "household", "columns": {"q": COLUMN}}},
        "reviewed": {"by": "tests", "date": "2026-01-01", "source": "test"},
    }
    instrument = Instrument.model_validate(form)
    pyreadstat.write_sav(
        pl.DataFrame({"q": [1.0, 2.0, 3.0, None]}), str(path), variable_value_labels={"q": dict(labels)}
    )
    table = read_file(path.read_bytes(), DataFile(path=path.name, role="data", format="spss"))["t"]
    record = instrument.records["household"]
    headers = find_headers(record, table.frame.columns, {}, set())
    return read_answers(record, instrument, table.frame, headers, table.value_labels)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.sav"


def test_codes_of_the_file_are_read_by_its_labels(path: Path) -> None:
    answers = read(path, {1: "First", 2: "Ndiyo", 3: "No"})
    assert answers.frame["q"].to_list() == ["1", "yes", "no", None] and not answers.faults


def test_a_label_that_is_unknown_leaves_the_code(path: Path) -> None:
    answers = read(path, {2: "Perhaps", 3: "1"})
    assert answers.frame["q"].to_list() == ["1", "2", "3", None] and not answers.faults


def test_a_code_that_means_something_else_in_the_file_is_not_taken(path: Path) -> None:
    answers = read(path, {1: "Yes", 2: "No"})
    assert answers.frame["q"].to_list() == [None, "no", "3", None]
    assert answers.faults["other_label"]["q"].to_list() == [True, False, False, False]
