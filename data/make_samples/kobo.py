"""KoboToolbox: XLSForm of a questionnaire, and the XLSX export of its answers with the system columns of 2019.

The shape follows formpack: values and headers in XML form, select-multiple in both modes (the codes joined, and a 1/0
column a code), geopoint with four part columns, one sheet a repeat.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from data.make_samples import files
from data.make_samples.people import Generator, Texts, identifiers

Question = tuple[str, str, str, str, str]
"""Type, name, English label, label in the other language, relevance."""
SYSTEM = ("_notes", "_status", "_submitted_by")


def form(
    title: str,
    form_id: str,
    version: str,
    language: str,
    questions: Sequence[Question],
    choices: Mapping[str, Sequence[tuple[str, str, str]]],
) -> bytes:
    """The XLSForm workbook: survey, choices, settings."""
    labels = ["label::English (en)", f"label::{language}"]
    survey = pl.DataFrame(list(questions), schema=["type", "name", *labels, "relevant"], orient="row")
    rows = [(name, *choice) for name, items in choices.items() for choice in items]
    settings = {"form_title": [title], "form_id": [form_id], "version": [version], "default_language": ["English (en)"]}
    return files.tables_workbook(
        {
            "survey": survey,
            "choices": pl.DataFrame(rows, schema=["list_name", "name", *labels], orient="row"),
            "settings": pl.DataFrame(settings),
        }
    )


def select_multiple(name: str, answers: Texts, codes: Sequence[str]) -> dict[str, list[object]]:
    """The column of joined codes, and a 1/0 column for each code, blank where the question was not asked."""
    columns: dict[str, list[object]] = {name: list(answers)}
    chosen = [None if answer is None else set(answer.split()) for answer in answers]
    for code in codes:
        columns[f"{name}/{code}"] = [None if picked is None else int(code in picked) for picked in chosen]
    return columns


def geopoint(name: str, latitude: Sequence[float], longitude: Sequence[float]) -> dict[str, list[object]]:
    """The point as Kobo writes it, and its four parts."""
    altitude, precision = "0", "4.9"
    return {
        name: [f"{lat:.6f} {lon:.6f} {altitude} {precision}" for lat, lon in zip(latitude, longitude, strict=True)],
        f"_{name}_latitude": [f"{lat:.6f}" for lat in latitude],
        f"_{name}_longitude": [f"{lon:.6f}" for lon in longitude],
        f"_{name}_altitude": [altitude] * len(latitude),
        f"_{name}_precision": [precision] * len(latitude),
    }


def times(rng: Generator, days: Sequence[datetime.date], minutes: tuple[int, int]) -> dict[str, list[str]]:
    """Columns start, end and _submission_time of interviews on the given days, offset of East Africa."""
    n = len(days)
    begin = [
        datetime.datetime.combine(day, datetime.time(8)) + datetime.timedelta(minutes=int(m))
        for day, m in zip(days, rng.integers(0, 480, n), strict=True)
    ]
    end = [b + datetime.timedelta(minutes=int(m)) for b, m in zip(begin, rng.integers(*minutes, n), strict=True)]
    return {
        "start": [f"{moment:%Y-%m-%dT%H:%M:%S}.000+03:00" for moment in begin],
        "end": [f"{moment:%Y-%m-%dT%H:%M:%S}.000+03:00" for moment in end],
        "_submission_time": [f"{moment + datetime.timedelta(hours=1):%Y-%m-%dT%H:%M:%S}" for moment in end],
    }


def system_columns(
    rng: Generator, n: int, submitted: Sequence[str], user: Sequence[str], version: str
) -> dict[str, list[object]]:
    """`__version__` to `_index` in the order of an export of 2019."""
    return {
        "__version__": [version] * n,
        "_id": [int(i) for i in 41_000_000 + np.cumsum(rng.integers(1, 40, n))],
        "_uuid": list(identifiers(rng, n)),
        "_submission_time": list(submitted),
        "_validation_status": ["validation_status_approved" if hit else None for hit in rng.random(n) < 0.7],
        "_notes": [None] * n,
        "_status": ["submitted_via_web"] * n,
        "_submitted_by": list(user),
        "_tags": [None] * n,
        "_index": list(range(1, n + 1)),
    }


def repeat_columns(main: Mapping[str, Sequence[object]], title: str, parent: Sequence[int]) -> dict[str, list[object]]:
    """The columns at the end of the sheet of a repeat; `parent` holds the row (from 0) of the main sheet."""
    columns: dict[str, list[object]] = {
        "_index": list(range(1, len(parent) + 1)),
        "_parent_table_name": [title] * len(parent),
        "_parent_index": [row + 1 for row in parent],
    }
    for name in ("_id", "_uuid", "_submission_time", "_validation_status", *SYSTEM, "__version__", "_tags"):
        columns[f"_submission_{name}"] = [main[name][row] for row in parent]
    return columns
