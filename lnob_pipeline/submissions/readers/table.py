"""What every reader gives back: a table of text that knows where each of its rows stands in the partner's file.

Here belong the table, the error, and the one way in which rows of cells become a table. Formats are in their modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import polars as pl

MAXIMUM_COLUMNS = 10_000
"""More columns than any questionnaire has: a file beyond it is damaged or was not made for this."""


class ReaderError(ValueError):
    """A file cannot be read. Says what, where (file, sheet, row) and how to mend it; never repeats a cell."""

    def __init__(self, file: str, problem: str, mend: str, *, sheet: str | None = None, row: int | None = None) -> None:
        self.file, self.problem, self.mend, self.sheet, self.row = file, problem, mend, sheet, row
        place = file + (f", sheet {sheet}" if sheet else "") + (f", row {row}" if row else "")
        super().__init__(f"{place}: {problem}; {mend}")


@dataclass(frozen=True)
class SourceTable:
    """One table of a file, as written.

    frame: String columns under the source's headers; an empty cell is null. row_numbers: for each row of the frame, its
    number as the partner sees it (spreadsheet and text files: the header is row 1; SPSS and Stata: the case number).
    labels: question texts by column; value_labels: {column: {code: label}}; missing_codes: the codes and ranges
    ("97 to 99") that the file itself declares missing, by column.
    """

    name: str
    frame: pl.DataFrame
    row_numbers: pl.Series
    file: str
    sheet: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    missing_codes: dict[str, list[str]] = field(default_factory=dict)


def file_stem(path: str) -> str:
    """The name of a file without its folder and its last extension."""
    return PurePosixPath(path.replace("\\", "/")).stem


def table_from_rows(
    rows: Sequence[Sequence[str | None]], name: str, file: str, *, sheet: str | None = None, first_row: int = 1
) -> SourceTable:
    """A table from rows of text, the header first; `first_row` is the number of the header row in the file.

    Rows and columns without any content are left out, and the numbers of the rows stay. Raises ReaderError for a header
    that is empty or stands twice, and for a row with content beyond the last header.
    """
    width = max((len(row) for row in rows), default=0)
    columns = [[row[i] if i < len(row) else None for row in rows] for i in range(width)]
    return table_from_columns(columns, name, file, sheet=sheet, first_row=first_row)


def table_from_columns(
    columns: Sequence[Sequence[str | None]], name: str, file: str, *, sheet: str | None = None, first_row: int = 1
) -> SourceTable:
    """As table_from_rows, from columns of equal length whose first value is the header."""
    columns = [column for column in columns if any(column)]
    if not columns:
        raise ReaderError(file, "there is nothing in it", "send the file again with its data", sheet=sheet)
    headers = [column[0] or "" for column in columns]
    _check_headers(headers, columns, file, sheet, first_row)
    series = [pl.Series(header, column[1:], dtype=pl.String) for header, column in zip(headers, columns, strict=True)]
    frame = pl.DataFrame(series).with_columns(pl.all().replace("", None))
    numbers = pl.Series("row_number", range(first_row + 1, first_row + 1 + frame.height), dtype=pl.Int64)
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    return SourceTable(name, frame.filter(filled), numbers.filter(filled), file, sheet)


def _check_headers(
    headers: list[str], columns: Sequence[Sequence[str | None]], file: str, sheet: str | None, row: int
) -> None:
    if len(headers) > MAXIMUM_COLUMNS:
        raise ReaderError(
            file,
            f"{len(headers)} columns, at most {MAXIMUM_COLUMNS} are read",
            "send one table in a sheet",
            sheet=sheet,
            row=row,
        )
    twice = sorted(header for header, count in Counter(headers).items() if count > 1 and header.strip())
    if twice:  # by number and not by name: where a file has no header, its first row is a person
        places = ", ".join(str(place) for place, header in enumerate(headers, start=1) if header == twice[0])
        raise ReaderError(
            file,
            f"the same column name stands more than once (columns {places}), so its answers cannot be told apart",
            "export with question names (XML values and headers), or rename one of them",
            sheet=sheet,
            row=row,
        )
    if nameless := sum(not header.strip() for header in headers):
        raise ReaderError(
            file,
            f"{nameless} columns with answers have no name" if nameless > 1 else "a column with answers has no name",
            "name every column in the first row",
            sheet=sheet,
            row=row,
        )
