"""Workbooks (.xlsx, .ods): opened only after they were looked over, each cell as the text a person would type.

The engine is calamine. It lays a sheet out as a full rectangle, so that one cell in the last corner of a sheet asks for
more memory than a machine has; the addresses of the cells are therefore bounded first. Formulas count by their last
result; macros, pictures and comments are not read. What an .ods file is looked over for stands in ods.py.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import gc
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl
from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.limits import LIMITS
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, joined_header, make_table

ROW = re.compile(rb"<(\w+:)?row(?=[\s>/])")
NUMBER = re.compile(rb"""\br\s*=\s*["'](\d{1,10})["']""")
ADDRESS = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,4})\d{1,10}["']""")
WHOLE_ADDRESS = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,4}\d{1,10})["']""")
OLD_OR_LOCKED = bytes.fromhex("d0cf11e0a1b11ae1")

HEAD = 10
"""Rows that are looked at one by one: below titles and names most columns hold one kind of cell."""
SHORTEST, LONGEST = 1e-4, 1e15
"""Between these Python and Polars write a decimal number in the same way."""

ODD = "the workbook holds what no spreadsheet program writes"
TWICE = "the rows or cells of a sheet do not follow each other: one stands twice, or before the one above it"
SAVE_IN_EXCEL = "save it again in Excel"
SEE_ALL = "open it in Excel, see that every row is there, and save it under a new name"

Cell = str | float | int | bool | datetime.date | datetime.datetime | datetime.time | datetime.timedelta


@dataclass(frozen=True)
class Sheet:
    """A sheet as text, from its first row and column on.

    frame: String columns, one for each column of the sheet; an empty cell is null. merged: ranges as (first row, first
    column, last row, last column), all counted from 0; none for an .ods file.
    hidden: whoever opens the workbook does not see it.
    """

    name: str
    frame: pl.DataFrame
    merged: list[tuple[int, int, int, int]]
    hidden: bool = False

    @functools.cached_property
    def columns(self) -> list[list[str | None]]:
        """The cells of each column."""
        return [column.to_list() for column in self.frame.iter_columns()]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.frame.height

    def row(self, index: int) -> list[str | None]:
        """One row, counted from 0."""
        return list(self.frame.row(index))


def read_sheets(content: bytes, file: str) -> dict[str, Sheet]:
    """All worksheets of an .xlsx workbook by name, in order. Raises ReaderError."""
    filled = _look_over(content, file)
    sheets = open_sheets(content, file)
    if filled != sum(column.count() for sheet in sheets.values() for column in sheet.frame):
        _check_addresses(content, file)
    return sheets


def open_sheets(content: bytes, file: str) -> dict[str, Sheet]:
    """All worksheets of a workbook that was looked over. Raises ReaderError."""
    try:
        with _no_collection(), load_workbook(io.BytesIO(content)) as workbook:
            return {
                sheet.name: _sheet(workbook, sheet.name, sheet.visible != SheetVisibleEnum.Visible)
                for sheet in workbook.sheets_metadata
                if sheet.typ == SheetTypeEnum.WorkSheet
            }
    except PasswordError:
        raise locked(file) from None
    except (CalamineError, OSError, ValueError):
        raise ReaderError(
            file, "the workbook is damaged and does not open", "open it, save it under a new name, send the new file"
        ) from None


def sheet_table(
    sheet: Sheet, file: str, *, title_rows: int = 0, header_rows: int = 1, plain: bool = False
) -> SourceTable:
    """A sheet as a table named as the sheet: titles, the rows of the header, the data. Raises ReaderError.

    plain: as in make_table.
    """
    start = title_rows + header_rows
    if sheet.height < start:
        raise ReaderError(file, "there is nothing in it", "send the file again with its data", sheet=sheet.name)
    rows = [sheet.row(place) for place in range(title_rows, start)]
    merged = [
        (top - title_rows, left, bottom - title_rows, right)
        for top, left, bottom, right in sheet.merged
        if title_rows <= top < start
    ]
    return make_table(
        joined_header(rows, merged) if header_rows > 1 else rows[0],
        sheet.frame.slice(start),
        sheet.name,
        file,
        sheet=sheet.name,
        header_row=start,
        plain=plain,
    )


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


def _sheet(workbook: CalamineWorkbook, name: str, hidden: bool) -> Sheet:
    sheet = workbook.get_sheet_by_name(name)
    rows = sheet.to_python(skip_empty_area=False)
    width = len(rows[0]) if rows else 0
    cells: list[Cell] = list(chain.from_iterable(rows))  # one list cut by steps: far quicker than zip(*rows)
    if len(cells) != width * len(rows):
        raise ValueError("the engine gave rows of different lengths")
    del rows
    columns = [_typed(cells[place::width]).alias(str(place)) for place in range(width)]
    merged = [(*start, *end) for start, end in sheet.merged_cell_ranges or []]
    return Sheet(name, pl.DataFrame(columns), merged, hidden)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Without the search for cycles: cells hold none, and millions of them set it off again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _typed(cells: Sequence[Cell]) -> pl.Series:
    """A column of cells as text: all at once where its body is of one kind."""
    head, body = cells[:HEAD], cells[HEAD:]
    kinds = set(map(type, body))
    texts: pl.Series | None = None
    if kinds == {str}:
        texts = pl.Series(body, dtype=pl.String)
        texts = pl.select(pl.when(texts != "").then(texts)).to_series()
    elif float in kinds and kinds <= {float, str}:
        texts = _numbers(body)
    if texts is None:
        return pl.Series(_each(cells), dtype=pl.String)
    return pl.concat([pl.Series([as_typed(cell) for cell in head], dtype=pl.String), texts], rechunk=True)


def _numbers(cells: Sequence[Cell]) -> pl.Series | None:
    """Numbers and empty cells as as_typed writes them; None where another text or a very small or large number is."""
    try:
        numbers = pl.Series([None if cell == "" else cell for cell in cells], dtype=pl.Float64)
    except TypeError:
        return None
    whole = (numbers == numbers.round(0)).fill_null(True)
    plain = numbers.abs().is_between(SHORTEST, LONGEST, closed="left").fill_null(True) | (numbers == 0).fill_null(True)
    if not plain.all():
        return None
    if whole.all():
        return numbers.cast(pl.Int64).cast(pl.String)
    return numbers.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, numbers.cast(pl.String))


def _each(cells: Sequence[Cell]) -> list[str | None]:
    """Cells of several kinds as text, each different one looked at once; TRUE equals 1, but is another text."""
    if bool in set(map(type, cells)):
        return [as_typed(cell) for cell in cells]
    texts = {cell: as_typed(cell) for cell in set(cells)}
    return [texts[cell] for cell in cells]


def _look_over(content: bytes, file: str) -> int:
    """Refuse what must not reach the engine, in words that tell the partner what the file is.

    Returns how many cells of all sheets hold something, by their closing tags.
    """
    if content.startswith(OLD_OR_LOCKED):
        raise locked(file)
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
    filled = 0
    for part in parts.values():
        if b"<!DOCTYPE" in part[:4096] or b"<!ENTITY" in part[:4096] or part[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ReaderError(file, ODD, SAVE_IN_EXCEL)
        if b"sheetData" in part:
            filled += _check_extent(part, file)
    return filled


def _check_addresses(content: bytes, file: str) -> None:
    """Refuse a workbook in which two cells have one address: the engine keeps one of them."""
    for part in unpack(content, file, suffixes=("",)).values():
        if b"sheetData" in part:
            addresses = WHOLE_ADDRESS.findall(part)
            if len(set(addresses)) < len(addresses):
                raise ReaderError(file, TWICE, SEE_ALL)


def _check_extent(part: bytes, file: str) -> int:
    """Refuse a sheet whose last filled row and column make too large a rectangle, or whose rows are out of order.

    Cells stand in order in their rows, as all programs write them, so that the last ones reach farthest. A file that
    is made otherwise in order to pass is stopped by the limits of the process that reads it (child.py). Of two rows
    with one number the engine keeps one; a row without a number follows the one before. Returns how many cells hold
    something.
    """
    data = part[: part.rfind(b"sheetData>")]
    tag = ROW.search(data)
    if tag is None:
        return 0
    opening, closing = (mark % (tag[1] or b"") for mark in (b"<%bc", b"</%bc>"))
    rows = columns = 0
    seen: set[bytes] = set()
    place = filled = 0
    for row in data.split(tag[0])[1:]:
        number = NUMBER.search(row, 0, row.find(b">") + 1)
        before, place = place, int(number[1]) if number else place + 1
        if place <= before:
            raise ReaderError(file, TWICE, SEE_ALL)
        last = row.rfind(closing)  # a cell without content is one tag, which closes itself
        if last < 0:
            continue
        rows = place
        filled += row.count(closing)
        address = ADDRESS.search(row, row.rfind(opening, 0, last), last)
        if address is None:
            columns = max(columns, row.count(opening))
        else:
            seen.add(address[1])
    columns = max((columns, *map(_column_number, seen)))
    if rows * columns > LIMITS.get().cells:
        raise ReaderError(
            file,
            "a sheet reaches to row {rows} and column {columns}: something was typed far away from the table",
            "delete the rows below and the columns to the right of the table, and save again",
            rows=rows,
            columns=columns,
        )
    return filled


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def locked(file: str) -> ReaderError:
    """What is said of a workbook behind a password."""
    return ReaderError(
        file,
        "the workbook is locked with a password, or is of the old .xls kind",
        "save it as .xlsx without a password",
    )


def require_sheets(sheets: Iterable[str], wanted: Iterable[str], file: str) -> None:
    """Raise ReaderError if a sheet that the template has is not there."""
    absent = [name for name in wanted if name not in set(sheets)]
    if absent:
        raise ReaderError(
            file,
            "the sheet {sheets} is not there",
            "start from the template of this form",
            sheets=", ".join(absent),
        )
