"""Excel workbooks (.xlsx): opened only after they were looked over, each cell as the text a person would type.

The engine is calamine. It lays a sheet out as a full rectangle, so that one cell in the last corner of a sheet asks for
more memory than a machine has; the addresses of the cells are therefore bounded first. Formulas count by their last
result, macros and pictures are not read.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, load_workbook

from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, table_from_columns

MAXIMUM_CELLS = 20_000_000
"""Rows x columns of the used rectangle of one sheet."""

CELL = re.compile(rb"""<(?:\w+:)?c\b(?:\s[^<>]*?\br\s*=\s*["']([A-Za-z]{1,4})(\d{1,10})["'])?[^<>]*?(/?)>""")
"""A cell of a sheet: column letters and row, where it says them, and the slash of a cell without content."""
ROW = re.compile(rb"""<(?:\w+:)?row\b[^<>]*?\br\s*=\s*["'](\d{1,10})["']""")
OPEN_QUOTE = re.compile(rb"""<(?:\w+:)?(?:c|row)\b(?:[^<>"']|"[^"<>]*"|'[^'<>]*')*+["']""")
"""A cell or row with > or < inside an attribute: an address after it would not be seen."""
OLD_OR_LOCKED = bytes.fromhex("d0cf11e0a1b11ae1")

Cell = str | float | int | bool | datetime.date | datetime.datetime | datetime.time | datetime.timedelta


@dataclass(frozen=True)
class Sheet:
    """A sheet as text, from its first row and column on.

    merged: ranges as (first row, first column, last row, last column), all counted from 0.
    """

    name: str
    columns: list[list[str | None]]
    merged: list[tuple[int, int, int, int]]

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def row(self, index: int) -> list[str | None]:
        """One row, counted from 0."""
        return [column[index] for column in self.columns]


def read_sheets(content: bytes, file: str) -> dict[str, Sheet]:
    """All worksheets of a workbook by name, in order. Raises ReaderError."""
    _look_over(content, file)
    try:
        with load_workbook(io.BytesIO(content)) as workbook:
            return {name: _sheet(workbook, name) for name in workbook.sheet_names}
    except PasswordError:
        raise _locked(file) from None
    except (CalamineError, OSError, ValueError):
        raise ReaderError(
            file, "the workbook is damaged and does not open", "open it, save it under a new name, send the new file"
        ) from None


def sheet_table(sheet: Sheet, file: str, *, header_row: int = 0) -> SourceTable:
    """A sheet with one header row as a table named as the sheet."""
    columns = [column[header_row:] for column in sheet.columns]
    return table_from_columns(columns, sheet.name, file, sheet=sheet.name, first_row=header_row + 1)


def as_typed(cell: Cell) -> str | None:
    """A cell as a person would type it: 12 and not 12.0, 2019-03-04 and not a serial number; empty is None."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if cell.time() == datetime.time() else cell.isoformat()
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)


def _sheet(workbook: CalamineWorkbook, name: str) -> Sheet:
    sheet = workbook.get_sheet_by_name(name)
    rows = sheet.to_python(skip_empty_area=False)
    columns = [[as_typed(cell) for cell in column] for column in zip(*rows, strict=True)]
    merged = [(*start, *end) for start, end in sheet.merged_cell_ranges or []]
    return Sheet(name, columns, merged)


def _look_over(content: bytes, file: str) -> None:
    """Refuse what must not reach the engine, in words that tell the partner what the file is."""
    if content.startswith(OLD_OR_LOCKED):
        raise _locked(file)
    if not content.startswith(b"PK"):
        page = content.lstrip()[:1] == b"<"
        raise ReaderError(
            file,
            "this is a web page, not a workbook (perhaps the page asking to log in)"
            if page
            else "this is not an .xlsx workbook",
            "export again, open the file in Excel to see that it is right, and send it",
        )
    parts = unpack(content, file, suffixes=("",))
    if "xl/workbook.xml" not in parts:
        raise ReaderError(file, "this is a zip, not an .xlsx workbook", "save it as .xlsx and send the workbook itself")
    for part in parts.values():
        strange = b"<!DOCTYPE" in part[:4096] or b"<!ENTITY" in part[:4096] or part[:2] in (b"\xff\xfe", b"\xfe\xff")
        if strange or (b"sheetData" in part and OPEN_QUOTE.search(part)):
            raise ReaderError(file, "the workbook holds what no spreadsheet program writes", "save it again in Excel")
        if b"sheetData" in part:
            _check_extent(part, file)


def _check_extent(part: bytes, file: str) -> None:
    filled = [(letters, row) for letters, row, empty in CELL.findall(part) if not empty]
    columns = max((_column_number(letters) for letters in {letters for letters, _ in filled}), default=0)
    rows = max((int(row or 0) for row in {row for _, row in filled}), default=0)
    unplaced = sum(not letters for letters, _ in filled)
    if unplaced:  # cells may leave out their address; then the row gives it, or the cell before it
        rows = max(rows, max(map(int, ROW.findall(part)), default=0)) + unplaced
        columns += min(unplaced, 16_384)
    if rows * columns > MAXIMUM_CELLS:
        raise ReaderError(
            file,
            f"a sheet reaches to row {rows} and column {columns}: something was typed far away from the table",
            "delete the rows below and the columns to the right of the table, and save again",
        )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _locked(file: str) -> ReaderError:
    return ReaderError(
        file,
        "the workbook is locked with a password, or is of the old .xls kind",
        "save it as .xlsx without a password",
    )


def require_sheets(sheets: Iterable[str], wanted: Iterable[str], file: str) -> None:
    """Raise ReaderError if a sheet that the template has is not there."""
    absent = [name for name in wanted if name not in set(sheets)]
    if absent:
        raise ReaderError(file, f"the sheet {', '.join(absent)} is not there", "start from the template of this form")
