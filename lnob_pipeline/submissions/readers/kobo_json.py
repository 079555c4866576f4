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

from dataclasses import replace
from typing import Any

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.json_rows import AGAIN, GrowingTable, checked_submissions, json_cell, parse_json
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem

DOT, DOLLAR = "Lg==", "JA=="
"""A dot and a dollar sign in base64."""
STATUS, PLACE = "_validation_status", "_geolocation"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The main table and one table for each repeat. Raises ReaderError."""
    whole, notes = parse_json(content, file)
    tables = {"": GrowingTable(file_stem(file.path))}
    for submission in checked_submissions(_of_page(whole, file.path), file.path):
        _add(submission, "", None, tables, file.path)
    made = [replace(table.table(file.path), notes=notes) for table in tables.values()]
    return {table.name: table for table in made}


def _of_page(whole: Any, file: str) -> Any:
    """The list of submissions, where it stands in a page of the API."""
    if isinstance(whole, dict) and isinstance(whole.get("results"), list):
        held, count = len(whole["results"]), whole.get("count")
        if whole.get("next") or whole.get("previous") or (isinstance(count, int) and count != held):
            raise ReaderError(file, "this is one page with {held} submissions, and there are more", AGAIN, held=held)
        return whole["results"]
    return whole


_Parent = tuple[str, int, dict[str, str | None]]
"""Name of a table, number of a row in it, and the identifiers of the submission."""


def _add(
    answers: dict[str, Any], path: str, parent: _Parent | None, tables: dict[str, GrowingTable], file: str
) -> None:
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
            row[name] = json_cell(value)
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
            tables[name] = GrowingTable(name if last in {other.name for other in tables.values()} else last)
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
        return json_cell(value.get("uid"))
    if name == PLACE and isinstance(value, list):
        return " ".join(filter(None, map(json_cell, value))) or None
    if value and not _of_the_system(name):
        raise ReaderError(file, "an answer is an object or a list, not a text", AGAIN)
    return None
