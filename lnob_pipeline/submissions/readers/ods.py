"""A plain workbook of LibreOffice (.ods), read as one of Excel is (xlsx.py).

An .ods file says how often a row or a cell is repeated, and a few bytes can ask for billions of cells; the engine
writes them all out. So content.xml is looked over first: how far its filled cells reach, with what is repeated counted
in. The look-over knows the names of elements as the engine does, letter by letter. Source: OASIS, OpenDocument 1.3,
part 3 (table:number-columns-repeated, table:number-rows-repeated).
"""

from __future__ import annotations

import re

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.limits import LIMITS
from lnob_pipeline.submissions.readers.spreadsheet import locked, open_sheets
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable
from lnob_pipeline.submissions.readers.xlsx import plain_tables

TABLE = re.compile(rb"<table:table(?=[\s>])")
ROW, CELL, COVERED = b"<table:table-row", b"<table:table-cell", b"<table:covered-table-cell"
REPEATED = b"table:number-columns-repeated", b"table:number-rows-repeated"
REPEATING = b"s-repeated"
SHORTEST_CELL = len(CELL + b"/>")
TIMES = tuple(re.compile(name + rb"""\s*=\s*["'](\d{1,10})["']""") for name in REPEATED)
MAXIMUM_REPEATED = 1_048_576
"""Rows that a sheet has; no program repeats more."""
MAXIMUM_COLUMNS = 16_384
"""Columns that a sheet has; the engine drops what lies beyond without a word."""


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every visible sheet that holds something, or the named one, by the name of the sheet. Raises ReaderError."""
    if not content.startswith(b"PK"):
        raise ReaderError(file.path, "this is not an .ods workbook", "save it as .ods and send the new file")
    parts = unpack(content, file.path, suffixes=("content.xml", "manifest.xml"))
    if "content.xml" not in parts:
        raise ReaderError(file.path, "this is a zip, not an .ods workbook", "save it as .ods and send the workbook")
    if b"encryption-data" in parts.get("META-INF/manifest.xml", b""):
        raise locked(file.path)
    _look_over(parts["content.xml"], file.path)
    return plain_tables(open_sheets(content, file.path), file)


def _look_over(part: bytes, file: str) -> None:
    """Refuse definitions, other encodings than UTF-8, and cells that reach too far."""
    head = part[:200].lower()
    encoded = b"encoding" in head and b"utf-8" not in head
    some = REPEATING in part
    repeats = [(part.count(name), times.findall(part)) for name, times in zip(REPEATED, TIMES, strict=True) if some]
    odd = any(count != len(said) for count, said in repeats)
    much = any(int(times) > MAXIMUM_REPEATED for _, said in repeats for times in set(said))
    defined = b"!" in part and (b"<!DOCTYPE" in part or b"<!ENTITY" in part)
    if encoded or odd or much or defined or not head.lstrip().startswith(b"<"):
        raise ReaderError(file, "the workbook holds what no spreadsheet program writes", "save it again in LibreOffice")
    if not some and _at_most(part) <= LIMITS.get().cells:
        return
    for table in part.split(b"</table:table>"):
        start = TABLE.search(table)
        rows, columns = _extent(table[start.end() :] if start else b"")
        if rows * columns > LIMITS.get().cells or columns > MAXIMUM_COLUMNS:
            raise ReaderError(
                file,
                "a sheet reaches to row {rows} and column {columns}: something was typed far away from the table",
                "delete the rows below and the columns to the right of the table, and save again",
                rows=rows,
                columns=columns,
            )


def _at_most(part: bytes) -> int:
    """More cells than any table has where nothing is repeated: by the number and the length of all rows."""
    rows = part.split(ROW)
    return len(rows) * (max(map(len, rows)) // SHORTEST_CELL + 1)


def _extent(table: bytes) -> tuple[int, int]:
    """Rows and columns up to the last filled cell. Patterns are tried only where something is repeated: they cost."""
    place = rows = columns = 0
    some, covered = REPEATING in table, COVERED in table
    for row in table.split(ROW)[1:]:
        place += 1
        if some and REPEATED[1] in row and (repeated := TIMES[1].search(row[: row.find(b"<")])):
            place += int(repeated[1]) - 1
        last = max(row.rfind(b"office:"), row.rfind(b"<text:"))
        if last < 0:
            continue
        end = row.find(b"<", last + 1)
        filled = row[: end if end > 0 else len(row)]
        cells = filled.count(CELL) + (filled.count(COVERED) if covered else 0)
        if some and REPEATED[0] in filled:
            cells += sum(int(times) - 1 for times in TIMES[0].findall(filled))
        rows = place
        columns = max(columns, cells)
    return rows, columns
