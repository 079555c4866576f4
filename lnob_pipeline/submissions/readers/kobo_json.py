"""KoboToolbox JSON as its API (version 2) gives it: a list of submissions with flat keys `group/question`.

A repeat is a list inside its submission and becomes a table of its own, as in the XLSX export: `_index` numbers the
rows of a table, `_parent_index` and `_parent_table_name` name the row they belong to. The main table is named as the
file, a repeat by the last part of its path. A row has the number that it has in the XLSX export, whose header is row 1.

Left out: links to pictures and sounds, and what KoboToolbox itself keeps as lists and objects beside the answers. The
state of review (`_validation_status`) is its identifier, `_geolocation` the text "latitude longitude". Dots in names,
and a dollar sign at their start, come in base64 from older servers and are put back. Source: kobotoolbox/kobocat issue
420, kobotoolbox/kpi issue 1585.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.delimited import decode
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem, table_from_columns

DOT, DOLLAR = "Lg==", "JA=="
"""A dot and a dollar sign in base64."""
STATUS, PLACE = "_validation_status", "_geolocation"
AGAIN = "download the JSON again (all submissions, one file) and send it as it came"


@dataclass
class _Table:
    """A table that grows: header -> cells as far as they are known, and the number of rows."""

    name: str
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    height: int = 0

    def add(self, row: dict[str, str | None]) -> None:
        for header, cell in row.items():
            cells = self.columns.setdefault(header, [])
            cells.extend([None] * (self.height - len(cells)))
            cells.append(cell)
        self.height += 1

    def table(self, file: str) -> SourceTable:
        columns = [[header, *cells, *[None] * (self.height - len(cells))] for header, cells in self.columns.items()]
        return table_from_columns(columns, self.name, file)


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The main table and one table for each repeat. Raises ReaderError."""
    submissions = _submissions(content, file.path)
    tables = {"": _Table(file_stem(file.path))}
    for number, submission in enumerate(submissions, start=1):
        if not isinstance(submission, dict):
            raise ReaderError(file.path, f"submission {number} is not a set of answers", AGAIN)
        _add(submission, "", None, tables, file.path)
    if not submissions:
        raise ReaderError(file.path, "the file holds no submission", "download it again, for all dates")
    made = [table.table(file.path) for table in tables.values()]
    return {table.name: table for table in made}


def _submissions(content: bytes, file: str) -> list[Any]:
    """The list of submissions, whether it stands alone or in a page of the API."""
    try:
        whole = json.loads(decode(content, file), object_pairs_hook=_once, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ReaderError):
            raise
        line = getattr(error, "lineno", None)
        raise ReaderError(file, "this is not JSON, or it is cut off", AGAIN, row=line) from None
    if isinstance(whole, dict) and isinstance(whole.get("results"), list):
        held, count = len(whole["results"]), whole.get("count")
        if whole.get("next") or whole.get("previous") or (isinstance(count, int) and count != held):
            raise ReaderError(file, f"this is one page with {held} submissions, and there are more", AGAIN)
        whole = whole["results"]
    if not isinstance(whole, list):
        raise ReaderError(file, "the file is not a list of submissions", AGAIN)
    return whole


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names each stand once."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _not_a_number(_: str) -> None:
    """NaN and infinity are no JSON."""
    raise ValueError


_Parent = tuple[str, int, dict[str, str | None]]
"""Name of a table, number of a row in it, and the identifiers of the submission."""


def _add(answers: dict[str, Any], path: str, parent: _Parent | None, tables: dict[str, _Table], file: str) -> None:
    """Add the row of one submission, or of one turn of a repeat, and those of the repeats in it."""
    table = tables[path]
    row: dict[str, str | None] = {}
    repeats: list[tuple[str, list[dict[str, Any]]]] = []
    for key, value in answers.items():
        name = _name(key)
        turns = isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)
        if turns and not _of_the_system(name):
            repeats.append((name, value))
        elif not isinstance(value, dict | list):
            row[name] = _cell(value)
        elif (cell := _nested(name, value, file)) is not None:
            row[name] = cell
    index = table.height + 1
    row["_index"] = str(index)
    if parent is None:
        identity = {f"_submission_{part}": row.get(part) for part in ("_id", "_uuid")}
    else:
        above, number, identity = parent
        row |= {"_parent_table_name": above, "_parent_index": str(number)} | identity
    table.add(row)
    for name, turns_of_repeat in repeats:
        if name not in tables:
            last = name.rsplit("/", 1)[-1]
            tables[name] = _Table(name if last in {other.name for other in tables.values()} else last)
        for turn in turns_of_repeat:
            _add(turn, name, (table.name, index, identity), tables, file)


def _name(key: str) -> str:
    """The name of a question with its dots and dollar signs."""
    return "/".join(f"${part[len(DOLLAR) :]}" if part.startswith(DOLLAR) else part for part in key.split("/")).replace(
        DOT, "."
    )


def _of_the_system(name: str) -> bool:
    return name.startswith(("_", "meta/", "formhub/"))


def _nested(name: str, value: Any, file: str) -> str | None:
    """The text of what KoboToolbox keeps as an object or a list, where a table has a place for it; else nothing."""
    if name == STATUS and isinstance(value, dict):
        return _cell(value.get("uid"))
    if name == PLACE and isinstance(value, list):
        return " ".join(filter(None, map(_cell, value))) or None
    if value and not _of_the_system(name):
        raise ReaderError(file, "an answer is an object or a list, not a text", AGAIN)
    return None


def _cell(value: Any) -> str | None:
    """A value as a person would type it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value) if isinstance(value, str | int) and value != "" else None
