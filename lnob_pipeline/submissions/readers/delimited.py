"""Delimited text (CSV and its relatives): encoding and delimiter found or refused, never guessed into garbage.

UTF-8 with or without byte order mark, UTF-16 with one, Windows-1252. A byte that does not fit is an error that names
its row; no letter is ever replaced. Source for quoting: RFC 4180.
"""

from __future__ import annotations

import codecs
import csv
import io

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem, table_from_rows

DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
MAXIMUM_FIELD = 1_000_000


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table named as the file. Raises ReaderError."""
    name = file_stem(file.path)
    return {name: table_from_rows(read_rows(content, file), name, file.path)}


def read_rows(content: bytes, file: DataFile) -> list[list[str]]:
    """All rows as lists of text, the header first. Raises ReaderError.

    A quoted cell may hold line breaks: the number of a row is its place in the table, as a spreadsheet shows it.
    """
    text = decode(content, file.path)
    delimiter = DELIMITERS[file.delimiter] if file.delimiter else find_delimiter(text, file.path)
    rows: list[list[str]] = []
    csv.field_size_limit(MAXIMUM_FIELD)
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        raise ReaderError(
            file.path,
            "a quotation mark is opened and not closed, or stands inside a cell",
            "look for a single double quote in this row, or export again with all cells quoted",
            row=len(rows) + 1,
        ) from None
    _check_widths(rows, delimiter, file.path)
    return rows


def decode(content: bytes, file: str) -> str:
    """Bytes to text by byte order mark, UTF-8, or Windows-1252. Raises ReaderError."""
    marks = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    encoding = next((name for mark, name in marks if content.startswith(mark)), None)
    if content.startswith((b"PK\x03\x04", b"$FL2", bytes.fromhex("d0cf11e0"))):
        raise ReaderError(file, "this is a workbook or another program's file, not a text file", "export it as CSV")
    if encoding != "utf-16" and b"\0" in content:
        raise ReaderError(file, "the file holds bytes that no text has", "save it again as CSV UTF-8")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None or _mostly_utf8(content):
            raise _undecodable(content, error.start, file, encoding or "utf-8") from None
    else:
        if "\0" in text:
            raise ReaderError(file, "the file is not in the encoding it claims", "save it again as CSV UTF-8")
        return text
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _undecodable(content, error.start, file, "Windows-1252") from None


def _mostly_utf8(content: bytes) -> bool:
    """Whether the file has real UTF-8 letters, so that the odd byte is damage and not another encoding."""
    kept = content.decode("utf-8", errors="ignore")
    sound = sum(len(letter.encode()) for letter in kept if ord(letter) > 127)
    high = sum(byte > 127 for byte in content)
    return 2 * sound > high


def _undecodable(content: bytes, position: int, file: str, encoding: str) -> ReaderError:
    row = content[:position].count(b"\n") + 1
    return ReaderError(
        file,
        f"byte {position + 1} is not a letter in {encoding}; the file mixes encodings or is damaged",
        "save it again as CSV UTF-8",
        row=row,
    )


def find_delimiter(text: str, file: str) -> str:
    """The one delimiter that cuts the first rows into the same number of cells, more than one. Raises ReaderError."""
    sample = text[:65_536]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    fits = {}
    for word, delimiter in DELIMITERS.items():
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]
        except csv.Error:
            continue
        if widths and widths[0] > 1 and sum(width == widths[0] for width in widths) >= 0.9 * len(widths):
            fits[word] = widths[0]
    if not fits:
        raise ReaderError(
            file, "the cells are not divided by , ; | or tab", "say the delimiter in the manifest (files.delimiter)"
        )
    most = max(fits.values())
    best = [word for word, width in fits.items() if width == most]
    if len(best) > 1:
        raise ReaderError(
            file, f"the cells could be divided by {' or '.join(best)}", "say which in the manifest (files.delimiter)"
        )
    return DELIMITERS[best[0]]


def _check_widths(rows: list[list[str]], delimiter: str, file: str) -> None:
    width = len(rows[0]) if rows else 0
    for number, row in enumerate(rows, start=1):
        if row and len(row) != width:
            cut = "tab" if delimiter == "\t" else delimiter
            raise ReaderError(
                file,
                f"this row has {len(row)} cells and the header has {width}, with {cut} as delimiter",
                "put quotes around cells that hold the delimiter",
                row=number,
            )
