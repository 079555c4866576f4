"""Delimited text (CSV and its relatives): the delimiter declared or found, every cell as written, every row counted.

Cells are cut by RFC 4180: a cell with the delimiter, a line end or a quotation mark stands in quotation marks, and a
quotation mark in it is doubled. A row with too few or too many cells is an error that names it. A row that is nothing
but "" is an empty one, and a first row "sep=;", by which Excel is told the delimiter, is a title. Encodings are in
encoding.py.

Two engines give the same rows. Polars is fast, and it fills short rows and drops odd quotation marks without a word; so
its answer counts only where nothing was dropped or filled in: every quotation mark stands where RFC 4180 lets it stand,
delimiters and line ends outside of them are as many as the table has, and with its cells and the quotation marks they
add up to the bytes of the file. Anything else goes through the csv module, row by row. Where only plain text is asked
for, the second engine is not used, and the first only where its tables are known to be within the limit of memory; the
first takes no cell that is not UTF-8, and what is no cell is ASCII.
"""

from __future__ import annotations

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.encoding import CHUNK, Text, read_text
from lnob_pipeline.submissions.readers.limits import LIMITS, ONLY_PLAIN, plain_only
from lnob_pipeline.submissions.readers.table import (
    TITLE_ABOVE,
    ReaderError,
    SourceTable,
    file_stem,
    joined_header,
    make_table,
    text_series,
)

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
SAID_TO_EXCEL = re.compile(rb'(?i)"?sep=([,;|\t])"?(?:\r\n|\n)')
MAXIMUM_FIELD = 1_000_000
SAMPLE = 65_536
"""Bytes at the start of a file by which its delimiter is found."""
MAXIMUM_HEADER = 1_000
"""Lines at the start of a file in which titles and header must end."""
BYTES_A_BYTE, BYTES_A_CELL = 3, 50
"""Memory that the first engine takes at most, for each byte of a text and for each cell of its table (measured)."""


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
        return _table(text, file, name, sheet, plain)
    except ReaderError as error:
        if sheet is None or error.sheet is not None:
            raise
        template, mend = error.problem_template, error.mend_template
        raise ReaderError(error.file, template, mend, sheet=sheet, row=error.row, **error.details) from None


def read_rows(content: bytes, file: DataFile) -> list[list[str | None]]:
    """All rows as they stand, whatever their width, for text that is no table. Raises ReaderError."""
    plain_only()
    text = read_text(content, file).content
    delimiter = DELIMITERS[file.delimiter] if file.delimiter else find_delimiter(text, file)
    return [[cell or None for cell in row] for row in _rows(text, delimiter, file, 0)]


def _table(text: Text, file: DataFile, name: str, sheet: str | None, plain: bool) -> SourceTable:
    content = text.content
    if (said := SAID_TO_EXCEL.match(content)) and not file.title_rows:
        delimiter = DELIMITERS[file.delimiter] if file.delimiter else said[1].decode()
        titles, titles_end = 1, said.end()
    else:
        delimiter = DELIMITERS[file.delimiter] if file.delimiter else find_delimiter(content, file)
        titles, titles_end = _first_rows(content, delimiter, file.title_rows, file.path)
    body = content[titles_end:]
    if ONLY_PLAIN.get() and _memory_needed(body, text.line_feeds, delimiter) > LIMITS.get().memory_bytes:
        plain_only()
    longest = None
    if (cut := _by_polars(body, delimiter)) is not None:
        frame, longest = cut
    else:
        plain_only()
        frame = _by_csv(body, delimiter, file, titles)
    if frame.height < file.header_rows:
        raise ReaderError(file.path, "there is nothing in it", "send the file again with its data")
    rows = [list(row) for row in frame.head(file.header_rows).iter_rows()]
    headers = joined_header(rows) if file.header_rows > 1 else rows[0]
    table = make_table(
        headers,
        frame.slice(file.header_rows),
        name,
        file.path,
        sheet=sheet,
        header_row=titles + file.header_rows,
        plain=plain,
        notes=text.notes,
    )
    return replace(table, longest=longest)


def _memory_needed(text: bytes, line_feeds: int, delimiter: str) -> float:
    """Bytes that the first engine can take: it makes every row as wide as the first; infinite where that has no end."""
    lines = io.BytesIO(text)
    reader = csv.reader((lines.readline().decode() for _ in range(MAXIMUM_HEADER)), delimiter=delimiter, strict=True)
    width = len(next(reader, []))
    return len(text) * BYTES_A_BYTE + width * (line_feeds + 1) * BYTES_A_CELL


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
        plain_only()
        raise ReaderError(
            file, "the rows above the names of the columns do not end", "look at files.title_rows in the manifest"
        ) from None
    return count, lines.tell()


def _by_polars(text: bytes, delimiter: str) -> tuple[pl.DataFrame, int] | None:
    """All rows, the header first, and bytes of the longest cell.

    None where the engine cannot be shown to have kept every byte.
    """
    end = len(text)
    while end and text[end - 1] in b"\r\n":
        end -= 1
    # One line end at the end is no row; it is left where it is, as without it a large text would be copied.
    body = text if text[end:] in (b"\n", b"\r\n") else text[:end]
    if body.endswith(delimiter.encode()):  # Polars takes one cell too many at the very end of a file for none
        body += b"\n"
    with ThreadPoolExecutor(1) as beside:
        counted = beside.submit(_marks, text, end, delimiter) if ONLY_PLAIN.get() else None  # see encoding._in_chunks
        try:
            frame = pl.read_csv(body, has_header=False, separator=delimiter, infer_schema=False)
        except pl.exceptions.PolarsError:
            return None
        marks = counted.result() if counted else _marks(text, end, delimiter)
    if marks is None or frame.width < 2 or frame.height == 0:
        return None
    lengths = pl.all().str.len_bytes()
    sums, longest = lengths.sum().cast(pl.Int64).name.suffix("+"), lengths.max().name.suffix("<")
    counted_cells = frame.lazy().select(sums, longest).collect()  # lazily: lengths are measured once
    cells = counted_cells.select(pl.sum_horizontal(r"^.*\+$")).item()
    between = (frame.width - 1) * frame.height + len(marks.line_end) * (frame.height - 1)
    if (marks.between or between) != between or cells + between + marks.quotes != end:
        return None
    kept = frame.with_columns(pl.when(pl.all() != "").then(pl.all())) if marks.empty else frame
    return kept, counted_cells.select(pl.max_horizontal("^.*<$")).item() or 0


@dataclass(frozen=True)
class _Marks:
    """What stands in a text beside its cells.

    quotes: quotation marks that are no part of a cell; empty: whether a cell may consist of quotation marks alone;
    between: bytes of delimiters and line ends outside quotation marks, None where there are no such marks; line_end:
    the one that ends every row.
    """

    quotes: int
    empty: bool
    between: int | None
    line_end: str


def _marks(text: bytes, end: int, delimiter: str, *, paired: bool = True) -> _Marks | None:
    """The marks of the text before `end`; None where a quotation mark or a line end stands where RFC 4180 has none.

    Every second quotation mark opens a quoted cell, behind a border (delimiter, line end, start), and the next one
    closes it, before a border; one that opens right behind one that closes is the second half of a doubled mark.
    A byte is a bit here, and 64 are looked at together, in parts that the nearest memory of a processor holds.
    paired: as long as each line feed has a carriage return before it, they are not looked at by themselves; with the
    first that has not, all begins anew. Source: Langdale and Lemire (2019), Parsing gigabytes of JSON per second, 3.1.
    """
    returns = b"\r" in text
    if not returns and b'"' not in text:
        return _Marks(0, False, None, "\n")
    letters = np.frombuffer(text, np.uint8, end)
    quotes = between = feeds = carriages = pairs = 0
    empty = False
    inside, bordered, closed, opened, returned = FALSE, TRUE, FALSE, FALSE, FALSE  # of the byte before a part
    carried_before = False
    for start in range(0, end, CHUNK):
        part = letters[start : start + CHUNK]
        if start + CHUNK >= end:  # one more delimiter stands for the border at the end
            part = np.pad(part, (0, 64 - len(part) % 64))
            part[end - start] = ord(delimiter)
        fed = part == ord("\n")
        quote, bordering = _bits(part == ord('"')), fed | (part == ord(delimiter))
        if returns:
            carried = part == ord("\r")
            bordering |= carried
            if paired and (fed[0] != carried_before or (fed[1:] != carried[:-1]).any()):
                return _marks(text, end, delimiter, paired=False)
            carried_before = carried[-1]
        border = _bits(bordering)
        within, inside = _within(quote, inside)
        outside = ~within
        if returns and not paired:
            feed, carriage = _bits(fed), _bits(carried)
            carriage &= outside
            feed &= outside
            before, returned = _moved(carriage, returned)
            feeds, carriages, pairs = feeds + _count(feed), carriages + _count(carriage), pairs + _count(feed & before)
        opening = quote & within
        closing = quote ^ opening
        border_left, bordered = _moved(border, bordered)
        closing_left, closed = _moved(closing, closed)
        if ((opening & ~(border_left | closing_left)) | (closing_left & ~(border | opening))).any():
            return None
        first = opening & ~closing_left
        first_left, opened = _moved(first, opened)
        empty = empty or bool((closing & first_left).any())
        quotes += _count(closing) + _count(first)
        between += _count(border & outside)
    if inside or (carriages and not feeds == carriages == pairs):  # a lone return ends a row for the csv module alone
        return None
    return _Marks(quotes, empty, between - 1, "\r\n" if carriages or (returns and paired) else "\n")


_Bits = npt.NDArray[np.uint64]
FALSE, TRUE, EVERY = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
LAST = np.uint64(63)


def _bits(found: npt.NDArray[np.bool_]) -> _Bits:
    """One bit for each of so many times 64 answers, the first one lowest."""
    return np.packbits(found, bitorder="little").view("<u8")


def _moved(bits: _Bits, before: np.uint64) -> tuple[_Bits, np.uint64]:
    """Each bit in the place of the next one, `before` in the first; and the last bit."""
    moved = bits << TRUE
    moved[1:] |= bits[:-1] >> LAST
    moved[0] |= before
    return moved, bits[-1] >> LAST


def _within(quote: _Bits, inside: np.uint64) -> tuple[_Bits, np.uint64]:
    """Whether up to each place the number of quotation marks is odd, where it was so before (`inside`); at the end."""
    within = quote.copy()
    for width in (1, 2, 4, 8, 16, 32):
        within ^= within << np.uint64(width)
    odd = np.bitwise_xor.accumulate(within >> LAST) ^ inside
    within[1:] ^= odd[:-1] * EVERY
    within[0] ^= inside * EVERY
    return within, odd[-1]


def _count(bits: _Bits) -> int:
    return int(np.bitwise_count(bits).sum())


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
        rows.extend([] if row == [""] else row for row in csv.reader(lines, delimiter=delimiter, strict=True))
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
        widths = [len(row) for row in rows if row and row != [""]]
        if widths and widths[0] > 1 and sum(width == widths[0] for width in widths) >= 0.9 * len(widths):
            fits[word] = widths[0]
    if not fits:
        plain_only()
        raise ReaderError(
            file.path,
            "the cells are not divided by , ; | or tab",
            "say the delimiter in the manifest (files.delimiter), and how many rows stand above the names of the "
            "columns (files.title_rows)",
        )
    most = max(fits.values())
    best = [word for word, width in fits.items() if width == most]
    if len(best) > 1:
        plain_only()
        raise ReaderError(
            file.path,
            "the cells could be divided by {delimiters}",
            "say which in the manifest (files.delimiter)",
            delimiters=" / ".join(best),
        )
    return DELIMITERS[best[0]]
