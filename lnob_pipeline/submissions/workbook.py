"""The forms of the manifest: submission.yaml with its explanations, submission.xlsx with drop-down lists.

Here belong the two templates that `lnob new` writes, and the way back from a workbook to the fields of the manifest.
What a field means is in manifest.py, the one source of both forms. A workbook is read by its headers: a sheet with the
columns `field` and `answer` holds answers, one with `path`, `role` and `format` lists the files; sheets, rows and
columns may be moved, added or translated around them.
"""

from __future__ import annotations

import datetime
import io
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import xlsxwriter
import yaml

from lnob_pipeline.storage import write_bytes
from lnob_pipeline.submissions.manifest import (
    SUBMISSION_PATTERN,
    DataType,
    FormField,
    ManifestError,
    form_fields,
)
from lnob_pipeline.submissions.readers.child import cells_apart
from lnob_pipeline.submissions.readers.spreadsheet import Sheet
from lnob_pipeline.submissions.readers.table import ReaderError

CREATED = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
"""Written into every workbook, so that the same template has the same bytes."""
HEADER_ROWS = 10
FILE_ROWS = 20
FIELDS = {field.path: field for field in form_fields()}
FILE_FIELDS = {field.path: field for field in form_fields("DataFile")}
SEPARATOR = re.compile(r"[;\n]")
FAULTY = re.compile(r"#(NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A)")

Choices = Mapping[str, Mapping[str, str]]
"""Codes with their labels by field, from the mappings: {"groups": {"dalit": "Dalits"}, "instrument": {...}}."""


def new_submission(
    folder: Path,
    country: str,
    slug: str,
    data_type: str,
    form: Literal["yaml", "xlsx"],
    *,
    choices: Choices | None = None,
) -> Path:
    """Make <folder>/<submission>/ with a template of the manifest; return the path of the template.

    `slug` holds the year and a short name: 2020-water-survey for ken-2020-water-survey. Raises ValueError for a name
    that cannot be an identifier, FileExistsError rather than overwrite a manifest.
    """
    submission = f"{country.lower()}-{slug}"
    if not re.fullmatch(SUBMISSION_PATTERN, submission):
        raise ValueError(
            "an identifier is a country, a year and a short name in small letters, digits and hyphens: "
            "for KEN and 2020-water-survey it is ken-2020-water-survey"
        )
    if data_type not in get_args(DataType):
        raise ValueError(f"the data type is one of {', '.join(get_args(DataType))}")
    home = folder / submission
    if any((home / f"submission.{kind}").exists() for kind in ("yaml", "xlsx")):
        raise FileExistsError(f"{submission} has a manifest already; mend that one, or choose another name")
    answers: dict[str, Any] = {"submission": submission, "country": country.upper(), "data_type": data_type}
    if data_type != "household_survey":
        answers["sampling"] = {"method": "not_applicable"}
    if data_type == "policy_review":
        answers["consent"] = {"obtained": "not_applicable"}
    path = home / f"submission.{form}"
    write_bytes(path, (template_yaml if form == "yaml" else template_workbook)(answers, choices))
    return path


def template_yaml(answers: Mapping[str, Any], choices: Choices | None = None) -> bytes:
    """submission.yaml with every field explained; `answers` (nested, as the manifest) are filled in."""
    lines = [
        "# The manifest of one hand-in. Lines that start with # explain; write your answers behind the colons.",
        "# Leave a field that is optional and does not apply empty. Dates are written as 2019-03-31.",
    ]
    part = ""
    for field in FIELDS.values():
        above, _, name = field.path.rpartition(".")
        if above != part and above:
            lines += ["", f"{above}:"]
        part, margin = above, "  " if above else ""
        lines += ["", *_comment(field, margin, choices)]
        lines.append(f"{margin}{name}:{_scalar(_at(answers, field.path))}")
    lines += ["", "# The files of the hand-in. Repeat the lines from the hyphen on for each further file.", "files:"]
    for number, file in enumerate(answers.get("files") or [{}]):
        for position, field in enumerate(FILE_FIELDS.values()):
            lines += _comment(field, "    ", None) if number == 0 else []
            lines.append(f"{'    ' if position else '  - '}{field.path}:{_scalar(file.get(field.path))}")
    return ("\n".join(lines) + "\n").encode()


def _comment(field: FormField, margin: str, choices: Choices | None) -> list[str]:
    codes = ("yes", "no") if field.kind == "boolean" else field.choices or (choices or {}).get(field.path, ())
    example = f"[{field.example.replace(';', ',')}]" if field.kind == "list" else _plain(field.example)
    lines = [
        field.description + ("" if field.required else " (optional)"),
        *([f"Takes: {' / '.join(map(_plain, codes))}"] if codes else []),
        f"Example: {example}",
    ]
    comment = f"{margin}# "
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, 110, initial_indent=comment, subsequent_indent=comment, break_on_hyphens=False, break_long_words=False
        )
    ]


def _plain(code: str) -> str:
    """A code as it is typed in YAML: punctuation stands in quotes."""
    return code if code[0].isalnum() else f'"{code}"'


def _scalar(answer: Any) -> str:
    """An answer as YAML on one line, after a space; nothing for no answer."""
    if answer is None or answer == []:
        return ""
    quoted = '"' if isinstance(answer, str) and "\n" in answer else None
    text = yaml.safe_dump([answer], default_flow_style=True, default_style=quoted, allow_unicode=True, width=10**6)
    return " " + text.strip()[1:-1]


def _at(answers: Mapping[str, Any], path: str) -> Any:
    found: Any = answers
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def template_workbook(answers: Mapping[str, Any], choices: Choices | None = None) -> bytes:
    """submission.xlsx: the required answers, the others, the files, and the codes behind the drop-down lists."""
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(stream, options)
    book.set_properties({"title": "Manifest of a submission", "created": CREATED})
    form = _Form(book, choices or {})
    form.questions(
        "Required",
        "Answer every question of this sheet, then list your files on the sheet Files.",
        [field for field in FIELDS.values() if field.required],
        answers,
    )
    form.questions(
        "More",
        "Answer what applies to your data; each question says when it is needed.",
        [field for field in FIELDS.values() if not field.required],
        answers,
    )
    form.files(answers.get("files") or [])
    form.codes()
    book.close()
    return stream.getvalue()


class _Form:
    """One template while it is written: the sheets of a workbook and the lists that its cells draw on."""

    def __init__(self, book: Any, choices: Choices) -> None:
        self.book, self.lists = book, {path: dict(codes) for path, codes in choices.items() if codes}
        self.fields = {**FIELDS, **{f"files.{name}": field for name, field in FILE_FIELDS.items()}}
        for path, field in self.fields.items():
            codes = ("yes", "no") if field.kind == "boolean" else field.choices
            if codes:
                self.lists[path] = dict.fromkeys(codes, "")
        cell = {"text_wrap": True, "valign": "top"}
        self.plain = book.add_format(cell)
        self.faint = book.add_format({**cell, "font_color": "#595959"})
        self.strong = book.add_format({**cell, "bold": True, "font_size": 12})
        self.header = book.add_format({**cell, "bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF"})
        answer = {**cell, "bg_color": "#FFF8E1", "border": 1, "border_color": "#BFBFBF"}
        self.answer = {
            "date": book.add_format({**answer, "num_format": "yyyy-mm-dd", "align": "left"}),
            "integer": book.add_format({**answer, "num_format": "0", "align": "left"}),
            "text": book.add_format({**answer, "num_format": "@"}),
        }

    def questions(self, name: str, introduction: str, fields: list[FormField], answers: Mapping[str, Any]) -> None:
        """A sheet with one question a row."""
        sheet = self.book.add_worksheet(name)
        sheet.write_string(0, 0, introduction, self.strong)
        for column, (title, width) in enumerate({"question": 70, "answer": 40, "example": 34, "field": 26}.items()):
            sheet.write_string(2, column, title, self.header)
            sheet.set_column(column, column, width)
        sheet.freeze_panes(3, 0)
        row, part = 3, ""
        for field in sorted(fields, key=lambda field: "." in field.path):  # what stands in no part comes first
            above = field.path.rpartition(".")[0]
            if above != part and above:
                sheet.write_string(row, 0, above.replace("_", " ").capitalize(), self.strong)
                row += 1
            part = above
            several = " (several: one a line, or with ; between)" if field.kind == "list" else ""
            sheet.write_string(row, 0, field.description + several, self.plain)
            self._answer(sheet, row, 1, field.path, _at(answers, field.path))
            sheet.write_string(row, 2, field.example, self.faint)
            sheet.write_string(row, 3, field.path, self.faint)
            row += 1

    def files(self, files: list[Mapping[str, Any]]) -> None:
        """The sheet that lists the files."""
        sheet = self.book.add_worksheet("Files")
        sheet.write_string(
            0, 0, "One line for each file of the hand-in. Put the files beside this workbook.", self.strong
        )
        for column, field in enumerate(FILE_FIELDS.values()):
            sheet.write_string(1, column, field.description, self.plain)
            sheet.write_string(2, column, field.path, self.header)
            sheet.set_column(column, column, 34)
            for number in range(max(FILE_ROWS, len(files))):
                given = files[number].get(field.path) if number < len(files) else None
                self._answer(sheet, 3 + number, column, f"files.{field.path}", given)
        sheet.freeze_panes(3, 0)

    def codes(self) -> None:
        """The sheet that the drop-down lists draw on: two columns a field, code and label."""
        sheet = self.book.add_worksheet("Codes")
        for number, (path, codes) in enumerate(self.lists.items()):
            sheet.write_string(0, 2 * number, path, self.header)
            sheet.set_column(2 * number, 2 * number + 1, 24)
            for row, (code, label) in enumerate(codes.items(), start=1):
                sheet.write_string(row, 2 * number, code, self.plain)
                sheet.write_string(row, 2 * number + 1, label, self.faint)

    def _answer(self, sheet: Any, row: int, column: int, path: str, answer: Any) -> None:
        field = self.fields[path]
        form = self.answer.get(field.kind, self.answer["text"])
        if answer is None or answer == []:
            sheet.write_blank(row, column, None, form)
        elif isinstance(answer, bool):
            sheet.write_string(row, column, "yes" if answer else "no", form)
        elif isinstance(answer, int):
            sheet.write_number(row, column, answer, form)
        elif isinstance(answer, datetime.date):
            sheet.write_datetime(row, column, answer, form)
        else:
            sheet.write_string(row, column, "; ".join(answer) if isinstance(answer, list) else answer, form)
        if path in self.lists and field.kind != "list":
            number = list(self.lists).index(path)
            letter = xlsxwriter.utility.xl_col_to_name(2 * number, col_abs=True)
            rule: dict[str, Any] = {
                "validate": "list",
                "source": f"=Codes!{letter}$2:{letter}${len(self.lists[path]) + 1}",
            }
            mend = "Choose an answer from the list."
        elif field.kind == "integer":
            rule = {"validate": "integer", "criteria": ">=", "value": 0}
            mend = "Write a whole number."
        elif field.kind == "date":
            rule = {"validate": "date", "criteria": ">=", "value": datetime.date(1990, 1, 1)}
            mend = "Write a date as 2019-03-31."
        else:
            return
        sheet.data_validation(row, column, row, column, {**rule, "error_title": "Please mend", "error_message": mend})


@dataclass(frozen=True)
class _Answer:
    """One answer of a workbook: where it belongs in the manifest, what is written, where it stands."""

    location: tuple[str | int, ...]
    text: str | None
    place: str


def manifest_fields(content: bytes, file: str) -> dict[str, Any]:
    """The fields of a filled submission.xlsx, nested as in YAML, answers as text. Raises ManifestError."""
    fields: dict[str, Any] = {path.split(".")[0]: {} for path in FIELDS if "." in path}
    files: dict[int, dict[str, str]] = {}
    for answer in _answers(content, file):
        if answer.text is None:
            continue
        if FAULTY.fullmatch(answer.text):
            raise ManifestError(file, [f"{answer.place}: the formula gives an error; write the answer itself"])
        first, *rest = answer.location
        if first == "files":
            number, name = rest
            files.setdefault(int(number), {})[str(name)] = answer.text
            continue
        listed = FIELDS[".".join(str(name) for name in answer.location)].kind == "list"
        value: Any = (
            [item for part in SEPARATOR.split(answer.text) if (item := part.strip())] if listed else answer.text
        )
        (fields[str(first)] if rest else fields)[str(rest[0]) if rest else str(first)] = value
    return fields | ({"files": [files[number] for number in sorted(files)]} if files else {})


def place(content: bytes, location: tuple[Any, ...]) -> str:
    """Sheet and row of a field of a workbook; empty where the field has none."""
    for answer in _answers(content, "submission.xlsx"):
        shared = min(len(answer.location), len(location))
        if location and answer.location[:shared] == location[:shared]:
            return answer.place
    return ""


def _answers(content: bytes, file: str) -> list[_Answer]:
    """All answers, blank ones too, in the order of the sheets. Files are counted from 0, without empty lines."""
    try:
        sheets = cells_apart(content, file)
    except ReaderError as error:
        raise ManifestError(file, [f"{error.problem}; {error.mend}"]) from None
    answers: list[_Answer] = []
    files = 0
    for sheet in sheets.values():
        if header := _header(sheet, ("field", "answer")):
            answers += _sheet_answers(sheet, *header, file)
        elif header := _header(sheet, ("path", "role", "format")):
            for row, columns in _rows(sheet, *header):
                written = {name: text for name in FILE_FIELDS if (text := columns.get(name)) is not None}
                here = f"sheet {sheet.name}, row {row}"
                answers += [_Answer(("files", files, name), written.get(name), here) for name in FILE_FIELDS if written]
                files += bool(written)
    if not answers:
        raise ManifestError(file, ["no sheet has the columns field and answer; start from `lnob new`"])
    return answers


def _sheet_answers(sheet: Sheet, header: int, columns: dict[str, int], file: str) -> list[_Answer]:
    answers: list[_Answer] = []
    for row, cells in _rows(sheet, header, columns):
        field, here = cells.get("field"), f"sheet {sheet.name}, row {row}"
        if field in FIELDS:
            if any(answer.location == tuple(field.split(".")) for answer in answers):
                raise ManifestError(file, [f"{here}: the field stands for the second time; keep one of the rows"])
            answers.append(_Answer(tuple(field.split(".")), cells.get("answer"), here))
        elif cells.get("answer") is not None:
            problem = "an answer beside which the column `field` names no field of the manifest; take the name from a "
            raise ManifestError(file, [f"{here}: {problem}fresh template"])
    return answers


def _header(sheet: Sheet, names: tuple[str, ...]) -> tuple[int, dict[str, int]] | None:
    """Index of the header row that has all `names`, and the column of each header; None where there is none."""
    for index in range(min(HEADER_ROWS, sheet.height)):
        columns = {(text or "").strip().lower(): column for column, text in enumerate(sheet.row(index))}
        if columns.keys() >= set(names):
            return index, columns
    return None


def _rows(sheet: Sheet, header: int, columns: dict[str, int]) -> list[tuple[int, dict[str, str]]]:
    """The rows below a header: number as the partner sees it, and the cells that hold text, by header."""
    rows = []
    for index in range(header + 1, sheet.height):
        cells = sheet.row(index)
        written = {name: (cells[column] or "").strip() for name, column in columns.items()}
        rows.append((index + 1, {name: text for name, text in written.items() if text}))
    return rows
