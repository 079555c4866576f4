"""XLSForm questionnaires: the sheets survey, choices and settings, read leniently, whatever program wrote them.

Source: xlsform.org, and the aliases of pyxform. Forms in real use often fail the strict compilers, so nothing is
compiled: what matters here are the types of the questions, because types such as geopoint or image are identifiers
whatever their name, their texts, and their logic. A form is a workbook (.xlsx), or text: one CSV for each sheet, or the
one CSV of pyxform whose first column names the sheet.

Headers come out in small letters and by their present names (relevant, constraint, required, calculation); only the
language of a translated column stays as written ("label::English (en)"). Columns without a name, and those that repeat
the name of one before, are left out. Nothing of a form's logic is evaluated here.
"""

from __future__ import annotations

import re

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.delimited import read_rows
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, make_table, text_series

SHEETS = ("survey", "choices", "settings")
NEEDED = {"survey": ("type", "name"), "choices": ("list_name", "name"), "settings": ()}
"""Columns by which a sheet is known where the file does not name it, and which it must have."""
ALIASES = {
    "list name": "list_name",
    "value": "name",
    "caption": "label",
    "relevance": "relevant",
    "bind::relevant": "relevant",
    "bind::constraint": "constraint",
    "bind::required": "required",
    "bind::calculate": "calculation",
    "calculate": "calculation",
    "skippable": "required",
    "choice filter": "choice_filter",
    "constraint message": "constraint_message",
    "command": "type",
    "tag": "name",
}
"""Other names that columns have in forms, after those of pyxform."""
SPLIT = re.compile(r"\s*::?\s*")
TEMPLATE = "send the XLSForm itself"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The tables survey, choices and settings, as far as they are there. Raises ReaderError.

    A workbook has a survey; a CSV may be one sheet alone.
    """
    if content.startswith(b"PK") or content.lstrip()[:1] == b"<":
        sheets = {name.strip().lower(): sheet for name, sheet in read_sheets(content, file.path).items()}
        if "survey" not in sheets:
            raise ReaderError(
                file.path, "the sheet {sheets} is not there", "start from the template of this form", sheets="survey"
            )
        rows = {
            name: [sheets[name].row(place) for place in range(sheets[name].height)] for name in SHEETS if name in sheets
        }
        starts = dict.fromkeys(rows, 1)
    else:
        rows, starts = _sheets_of_text(content, file)
    tables = {
        name: _table(name, lines, starts[name], file.path) for name, lines in rows.items() if any(map(any, lines))
    }
    for name, table in tables.items():
        absent = [column for column in NEEDED[name] if column not in table.frame.columns]
        if absent and name == "survey":
            raise ReaderError(
                file.path,
                "the column {columns} is not there",
                TEMPLATE,
                sheet=name,
                row=starts[name],
                columns=", ".join(absent),
            )
    return tables


def _table(name: str, rows: list[list[str | None]], header_row: int, file: str) -> SourceTable:
    header, *body = rows
    columns: dict[str, int] = {}
    for place, text in enumerate(header):
        if said := _header(text or ""):
            columns.setdefault(said, place)
    if not columns:
        raise ReaderError(file, "the first row of the sheet names no columns", TEMPLATE, sheet=name, row=header_row)
    cells = [
        text_series(str(number), [row[place] if place < len(row) else None for row in body])
        for number, place in enumerate(columns.values())
    ]
    return make_table(list(columns), pl.DataFrame(cells), name, file, sheet=name, header_row=header_row)


def _header(text: str) -> str:
    """The name of a column: in small letters, without the aliases, its language as written."""
    first, *languages = SPLIT.split(" ".join(text.split()))
    name = first.lower()
    if languages and f"{name}::{languages[0].lower()}" in ALIASES:
        name, languages = ALIASES[f"{name}::{languages[0].lower()}"], languages[1:]
    return "::".join([ALIASES.get(name, name), *languages])


def _sheets_of_text(content: bytes, file: DataFile) -> tuple[dict[str, list[list[str | None]]], dict[str, int]]:
    """The sheets of a CSV and the numbers of their header rows: of one sheet, known by its columns, or of several."""
    lines = read_rows(content, file)
    marked = [place for place, line in enumerate(lines) if _marks(line)]
    if marked:
        ends = [*marked[1:], len(lines)]
        named = {str(lines[at][0]).strip().lower(): (at, end) for at, end in zip(marked, ends, strict=True)}
        rows = {name: [line[1:] for line in lines[at + 1 : end]] for name, (at, end) in named.items() if end > at + 1}
        return rows, {name: named[name][0] + 2 for name in rows}
    headers = {_header(text or "") for text in lines[0]} if lines else set()
    for name in ("choices", "survey"):
        if headers >= set(NEEDED[name]):
            return {name: lines}, {name: 1}
    return {"survey": lines}, {"survey": 1}


def _marks(line: list[str | None]) -> bool:
    """Whether a line of pyxform's CSV names a sheet and nothing else."""
    return bool(line) and (line[0] or "").strip().lower() in SHEETS and not any(line[1:])


def question_types(survey: SourceTable) -> dict[str, str]:
    """The type of each question by name, without list names: {"gps": "geopoint", "consent": "select_one"}.

    Groups and repeats are left out. A name that stands twice keeps the type it has first.
    """
    types: dict[str, str] = {}
    for kind, name in survey.frame.select("type", "name").drop_nulls().iter_rows():
        words = kind.strip().lower().split()
        if words and words[0] not in ("begin", "end", "begin_group", "end_group", "begin_repeat", "end_repeat"):
            types.setdefault(name.strip(), words[0])
    return types


def question_labels(survey: SourceTable) -> dict[str, dict[str, str]]:
    """The text of each question by name and label column: {"consent": {"label::English (en)": "..."}}."""
    columns = [column for column in survey.frame.columns if column.lower().startswith("label")]
    labels: dict[str, dict[str, str]] = {}
    for name, *texts in survey.frame.select("name", *columns).iter_rows():
        found = {column: text for column, text in zip(columns, texts, strict=True) if text}
        if name and found:
            labels.setdefault(name.strip(), found)
    return labels
