"""Delimited text (CSV and its relatives): the delimiter declared or found, every cell as written, every row counted.

Cells are cut by RFC 4180: a cell with the delimiter, a line end or a quotation mark stands in quotation marks, and a
quotation mark in it is doubled. A row with too few or too many cells is an error that names it. Encodings are in
encoding.py.

Two engines give the same rows. Polars is fast, and it fills short rows and drops odd quotation marks without a word; so
its answer counts only where nothing was dropped or filled in: every quotation mark stands where RFC 4180 lets it stand,
and cells, delimiters, line ends and quotation marks add up to the bytes of the file. Where most cells are quoted it is
quicker to write the table again and to compare byte by byte. Anything else goes through the csv module, row by row.
"""

from __future__ import annotations

import csv
import io
from typing import Literal

import numpy as np
import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.encoding import read_text
from lnob_pipeline.submissions.readers.table import (
    TITLE_ABOVE,
    Note,
    ReaderError,
    SourceTable,
    file_stem,
    joined_header,
    make_table,
    text_series,
)

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
MAXIMUM_FIELD = 1_000_000
SAMPLE = 65_536
"""Bytes at the start of a file by which its delimiter is found."""
MAXIMUM_HEADER = 1_000
"""Lines at the start of a file in which titles and header must end."""


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table named as the file. Raises ReaderError."""
    name = file_stem(file.path)
    return {name: read_table(content, file, name, plain=True)}


def read_table(
    content: bytes, file: DataFile, name: str, *, sheet: str | None = None, plain: bool = False
) -> SourceTable:
    """One table from delimited text, with the layout that the manifest gives (titles, header of several rows).

    A quoted cell may hold line breaks: the number of a row is its place in the table, as a spreadsheet shows it.
    sheet: name of the part where the text is one of several. Raises ReaderError.
    """
    text = read_text(content, file)
    try:
        return _table(text.content, text.notes, file, name, sheet, plain)
    except ReaderError as error:
        if sheet is None or error.sheet is not None:
            raise
        template, mend = error.problem_template, error.mend_template
        raise ReaderError(error.file, template, mend, sheet=sheet, row=error.row, **error.details) from None


def read_rows(content: bytes, file: DataFile) -> list[list[str | None]]:
    """All rows as they stand, whatever their width, for text that is no table. Raises ReaderError."""
    text = read_text(content, file).content
    delimiter = DELIMITERS[file.delimiter] if file.delimiter else find_delimiter(text, file)
    return [[cell or None for cell in row] for row in _rows(text, delimiter, file, 0)]


def _table(
    text: bytes, notes: tuple[Note, ...], file: DataFile, name: str, sheet: str | None, plain: bool
) -> SourceTable:
    delimiter = DELIMITERS[file.delimiter] if file.delimiter else find_delimiter(text, file)
    titles, titles_end = _first_rows(text, delimiter, file.title_rows, file.path)
    frame = _by_polars(text[titles_end:], delimiter)
    if frame is None:
        frame = _by_csv(text[titles_end:], delimiter, file, titles)
    if frame.height < file.header_rows:
        raise ReaderError(file.path, "there is nothing in it", "send the file again with its data")
    rows = [list(row) for row in frame.head(file.header_rows).iter_rows()]
    headers = joined_header(rows) if file.header_rows > 1 else rows[0]
    return make_table(
        headers,
        frame.slice(file.header_rows),
        name,
        file.path,
        sheet=sheet,
        header_row=titles + file.header_rows,
        plain=plain,
        notes=notes,
    )


def _first_rows(text: bytes, delimiter: str, count: int, file: str) -> tuple[int, int]:
    """Number of the rows above the header, and where they end; a title may hold line breaks."""
    if count == 0:
        return 0, 0
    lines = io.BytesIO(text)
    reader = csv.reader((lines.readline().decode() for _ in range(MAXIMUM_HEADER)), delimiter=delimiter, strict=True)
    try:
        for _ in range(count):
            next(reader)
    except (csv.Error, StopIteration):
        raise ReaderError(
            file, "the rows above the names of the columns do not end", "look at files.title_rows in the manifest"
        ) from None
    return count, lines.tell()


def _by_polars(text: bytes, delimiter: str) -> pl.DataFrame | None:
    """All rows, the header first; None where the engine cannot be shown to have kept every byte."""
    end = len(text)
    while end and text[end - 1] in b"\r\n":
        end -= 1
    body = text if len(text) - end <= 2 else text[:end]  # one line end at the end is no row, several would be
    if body.endswith(delimiter.encode()):  # Polars takes one cell too many at the very end of a file for none
        body += b"\n"
    returns = body.count(b"\r") if b"\r" in body else 0
    if returns and not returns == body.count(b"\n") == body.count(b"\r\n"):
        return None  # a lone return ends a row for the csv module, and not for Polars
    try:
        frame = pl.read_csv(body, has_header=False, separator=delimiter, infer_schema=False)
    except pl.exceptions.PolarsError:
        return None
    if frame.width < 2 or frame.height == 0:
        return None
    line_end = "\r\n" if returns else "\n"
    quoted = b'"' in body
    start = body[:SAMPLE]
    if quoted and start.count(b'"') > start.count(delimiter.encode()):
        written = io.BytesIO()
        quotes = body.count(b'"')
        style: Literal["always", "necessary"] = "always" if quotes >= 2 * frame.width * frame.height else "necessary"
        frame.write_csv(written, include_header=False, separator=delimiter, line_terminator=line_end, quote_style=style)
        kept = written.getvalue() == (body if len(body) > end else body + line_end.encode())
    else:
        marks = _marks(body, end, delimiter) if quoted else 0
        cells = frame.select(pl.sum_horizontal(pl.all().str.len_bytes().sum().cast(pl.Int64))).item()
        between = (frame.width - 1) * frame.height + len(line_end) * (frame.height - 1)
        kept = marks is not None and cells + between + marks == end
    if not kept:
        return None
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all())) if quoted else frame


def _marks(body: bytes, end: int, delimiter: str) -> int | None:
    """Quotation marks before `end` that are no part of a cell; None where one in a cell is not doubled.

    Every second mark opens a quoted cell, at the border of a cell, and the next one closes it, at a border; one that
    opens right behind one that closes is the second half of a doubled mark.
    """
    letters = np.frombuffer(body, np.uint8, end)
    places = np.flatnonzero(letters == ord('"'))
    if len(places) % 2:
        return None
    opening, closing = places[::2], places[1::2]
    doubled = closing[:-1] + 1 == opening[1:]
    before = letters[opening - 1]  # of the first letter the last, which is looked at below
    after = letters[(closing + 1) % len(letters)]
    opens = (before == ord(delimiter)) | (before == ord("\n"))
    closes = (after == ord(delimiter)) | (after == ord("\n")) | (after == ord("\r"))
    opens[1:] |= doubled
    closes[:-1] |= doubled
    opens[0] |= opening[0] == 0
    closes[-1] |= closing[-1] == len(letters) - 1
    return len(places) - int(doubled.sum()) if opens.all() and closes.all() else None


def _by_csv(text: bytes, delimiter: str, file: DataFile, above: int) -> pl.DataFrame:
    """All rows, the header first. Raises ReaderError with the row for what RFC 4180 does not allow."""
    rows = _rows(text, delimiter, file, above)
    width = len(rows[0]) if rows else 0
    for number, row in enumerate(rows, start=1):
        if row and len(row) != width:
            raise _uneven(number, len(row), width, delimiter, file, above)
    columns = [[row[place] if row else None for row in rows] for place in range(width)]
    return pl.DataFrame([text_series(str(place), column) for place, column in enumerate(columns)])


def _rows(text: bytes, delimiter: str, file: DataFile, above: int) -> list[list[str]]:
    """The rows of the csv module; `above` is the number of rows before the first."""
    rows: list[list[str]] = []
    csv.field_size_limit(MAXIMUM_FIELD)
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    try:
        rows.extend(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        raise ReaderError(
            file.path,
            "a quotation mark is opened and not closed, or stands inside a cell",
            "look for a single double quote in this row, or export again with all cells quoted",
            row=above + len(rows) + 1,
        ) from None
    return rows


def _uneven(row: int, cells: int, width: int, delimiter: str, file: DataFile, above: int) -> ReaderError:
    title = row == file.header_rows + 1 and width < cells
    return ReaderError(
        file.path,
        "this row has {cells} cells and the header has {width}, with {delimiter} as delimiter",
        TITLE_ABOVE if title else "put quotes around cells that hold the delimiter",
        row=above + row,
        cells=cells,
        width=width,
        delimiter="tab" if delimiter == "\t" else delimiter,
    )


def find_delimiter(text: bytes, file: DataFile) -> str:
    """The one delimiter that cuts the first rows into the same number of cells, more than one. Raises ReaderError.

    Rows above the header are left out; without a declared title the first row counts with the others.
    """
    sample = text[:SAMPLE]
    if len(text) > len(sample):
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    lines = sample.decode("utf-8", errors="ignore")  # only the last letter can be cut, and only cells are counted
    fits = {}
    for word, delimiter in DELIMITERS.items():
        try:
            rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter))[file.title_rows :]
        except csv.Error:
            continue
        widths = [len(row) for row in rows if row]
        if widths and widths[0] > 1 and sum(width == widths[0] for width in widths) >= 0.9 * len(widths):
            fits[word] = widths[0]
    if not fits:
        raise ReaderError(
            file.path,
            "the cells are not divided by , ; | or tab",
            "say the delimiter in the manifest (files.delimiter), and how many rows stand above the names of the "
            "columns (files.title_rows)",
        )
    most = max(fits.values())
    best = [word for word, width in fits.items() if width == most]
    if len(best) > 1:
        raise ReaderError(
            file.path,
            "the cells could be divided by {delimiters}",
            "say which in the manifest (files.delimiter)",
            delimiters=" / ".join(best),
        )
    return DELIMITERS[best[0]]
