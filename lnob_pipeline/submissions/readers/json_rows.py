"""What the JSON of survey tools has in common: strict parsing, rows that grow into tables, values as a person types.

Here belong no formats: which key is a question, a repeat or the tool's own is said by kobo_json.py, odk_json.py and
surveycto_json.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.encoding import read_text
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable, table_from_columns

HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that may be half of a letter: a half alone is no text."""
AGAIN = "download the JSON again (all submissions, one file) and send it as it came"


@dataclass
class GrowingTable:
    """A table that grows: header -> cells as far as they are known, and the number of rows."""

    name: str
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    height: int = 0

    def add(self, row: dict[str, str | None]) -> None:
        """Add a row; a header that is new is empty in all rows before."""
        for header, cell in row.items():
            cells = self.columns.setdefault(header, [])
            cells.extend([None] * (self.height - len(cells)))
            cells.append(cell)
        self.height += 1

    def table(self, file: str) -> SourceTable:
        """The table, its header counted as row 1."""
        columns = [[header, *cells, *[None] * (self.height - len(cells))] for header, cells in self.columns.items()]
        return table_from_columns(columns, self.name, file)


def parse_json(content: bytes, file: DataFile) -> tuple[Any, tuple[Note, ...]]:
    """The whole of a JSON file, and what is to be said of its encoding. Raises ReaderError.

    No name may stand twice in an object, for one of the two values would be lost; NaN and infinity are no JSON.
    """
    text = read_text(content, file)
    try:
        whole = json.loads(text.content, object_pairs_hook=_once, parse_constant=_not_a_number)
        if HALF.search(text.content):
            json.dumps(whole, ensure_ascii=False).encode()
        return whole, text.notes
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise ReaderError(file.path, "this is not JSON, or it is cut off", AGAIN, row=line) from None


def checked_submissions(whole: Any, file: str) -> list[dict[str, Any]]:
    """A list of objects that is not empty. Raises ReaderError."""
    if not isinstance(whole, list):
        raise ReaderError(file, "the file is not a list of submissions", AGAIN)
    for number, submission in enumerate(whole, start=1):
        if not isinstance(submission, dict):
            raise ReaderError(file, "submission {number} is not a set of answers", AGAIN, number=number)
    if not whole:
        raise ReaderError(file, "the file holds no submission", "download it again, for all dates")
    return whole


def json_cell(value: Any) -> str | None:
    """A value as a person would type it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if isinstance(value, str | int) and value != "" else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names each stand once."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _not_a_number(_: str) -> None:
    raise ValueError
