"""Files as the tools of partners write them, with the same bytes on every run.

Clocks are what makes such files differ: every date inside a container is fixed here.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import xlsxwriter

Cell = str | int | float | None
Rows = Iterable[Sequence[Cell]]
CLOCK = datetime.datetime(2020, 10, 16, 9, 0, 0)


def workbook(write: Callable[[xlsxwriter.Workbook], None]) -> bytes:
    """An .xlsx whose sheets the function adds."""
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(stream, options) as book:
        book.set_properties({"created": CLOCK, "author": "", "title": ""})
        write(book)
    return stream.getvalue()


def tables_workbook(sheets: Mapping[str, pl.DataFrame]) -> bytes:
    """An .xlsx of plain tables, headers in the first row, empty cells left out."""

    def write(book: xlsxwriter.Workbook) -> None:
        for name, frame in sheets.items():
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, frame.columns)
            for place, column in enumerate(frame.columns):
                for row, cell in enumerate(frame[column].to_list(), start=1):
                    if cell is not None and cell != "":
                        sheet.write(row, place, cell)

    return workbook(write)


def delimited(
    frame: pl.DataFrame, *, delimiter: str = ",", end: str = "\r\n", mark: bool = False, quote_all: bool = False
) -> bytes:
    """A delimited text file in UTF-8, with a byte order mark if asked."""
    stream = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(frame.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in frame.iter_rows())
    return stream.getvalue().encode("utf-8-sig" if mark else "utf-8")


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """A zip with fixed dates."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            part = zipfile.ZipInfo(name, CLOCK.timetuple()[:6])
            part.compress_type = zipfile.ZIP_DEFLATED
            part.external_attr = 0o644 << 16
            archive.writestr(part, content)
    return stream.getvalue()


def spss(frame: pl.DataFrame, **metadata: Any) -> bytes:
    """An SPSS .sav file; the time of writing in its header (bytes 92 to 109) is fixed."""
    content = bytearray(_written(pyreadstat.write_sav, frame, ".sav", metadata))
    content[92:109] = CLOCK.strftime("%d %b %y%H:%M:%S").encode("ascii")
    return bytes(content)


def stata(frame: pl.DataFrame, **metadata: Any) -> bytes:
    """A Stata .dta file (format of Stata 14 and later); the time of writing in its header is fixed."""
    content = _written(pyreadstat.write_dta, frame, ".dta", metadata | {"version": 14})
    stamp = CLOCK.strftime("%d %b %Y %H:%M").encode("ascii")
    return re.sub(rb"<timestamp>.{18}</timestamp>", b"<timestamp>\x11" + stamp + b"</timestamp>", content, count=1)


def _written(write: Callable[..., Any], frame: pl.DataFrame, suffix: str, metadata: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(frame, str(path), **metadata)
        return path.read_bytes()
