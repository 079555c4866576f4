"""What every reader gives back: a table of text that knows where each of its rows stands in the partner's file.

Here belong the table, the error, and the one way in which rows of cells become a table. Formats are in their modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import polars as pl

from lnob_pipeline.submissions.readers.limits import LIMITS

TITLE_ABOVE = (
    "name every column; if a title stands above the names, write in the manifest how many rows it takes "
    "(files.title_rows), and if the names take more than one row, how many (files.header_rows)"
)
SEVERAL_ROWS = (
    "rename one of them; if the names take more than one row, write in the manifest how many (files.header_rows)"
)

Detail = str | int


class ReaderError(ValueError):
    """A file cannot be read. Says what, where (file, sheet, row) and how to mend it; never repeats a cell.

    `problem` and `mend` are given as constant English with {names}, which `details` fill: so they can be translated.
    Afterwards problem and mend are the filled English; problem_template, mend_template and details are its parts.
    """

    def __init__(
        self, file: str, problem: str, mend: str, *, sheet: str | None = None, row: int | None = None, **details: Detail
    ) -> None:
        self.file, self.sheet, self.row = file, sheet, row
        self.problem_template, self.mend_template, self.details = problem, mend, details
        self.problem, self.mend = problem.format(**details), mend.format(**details)
        place = file + (f", sheet {sheet}" if sheet else "") + (f", row {row}" if row else "")
        super().__init__(f"{place}: {self.problem}; {self.mend}")


@dataclass(frozen=True)
class Note:
    """Something that a reader found and the partner should know, although the file can be read (its encoding).

    As in ReaderError: `template` is constant English with {names}, which `details` fill. Never repeats a cell.
    """

    template: str
    details: dict[str, Detail] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The filled English."""
        return self.template.format(**self.details)


@dataclass(frozen=True)
class SourceTable:
    """One table of a file, as written.

    frame: String columns under the source's headers; an empty cell is null. row_numbers: for each row of the frame, its
    number as the partner sees it (spreadsheet and text files: the header is row 1; SPSS and Stata: the case number).
    labels: question texts by column; value_labels: {column: {code: label}}; missing_codes: the codes and ranges
    ("97 to 99") that the file itself declares missing, by column. notes: what the partner should know. longest: bytes
    that no cell is longer than, where the reader knows.
    """

    name: str
    frame: pl.DataFrame
    row_numbers: pl.Series
    file: str
    sheet: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    missing_codes: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    longest: int | None = None


def file_stem(path: str) -> str:
    """The name of a file without its folder and its last extension."""
    return PurePosixPath(path.replace("\\", "/")).stem


def table_from_rows(
    rows: Sequence[Sequence[str | None]], name: str, file: str, *, sheet: str | None = None, first_row: int = 1
) -> SourceTable:
    """A table from rows of text, the header first; `first_row` is the number of the header row in the file.

    Raises ReaderError as make_table does.
    """
    width = max((len(row) for row in rows), default=0)
    columns = [[row[i] if i < len(row) else None for row in rows] for i in range(width)]
    return table_from_columns(columns, name, file, sheet=sheet, first_row=first_row)


def table_from_columns(
    columns: Sequence[Sequence[str | None]], name: str, file: str, *, sheet: str | None = None, first_row: int = 1
) -> SourceTable:
    """As table_from_rows, from columns of equal length whose first value is the header."""
    headers = [column[0] if column else None for column in columns]
    frame = pl.DataFrame([text_series(str(place), column[1:]) for place, column in enumerate(columns)])
    return make_table(headers, frame, name, file, sheet=sheet, header_row=first_row)


def text_series(name: str, cells: Sequence[str | None]) -> pl.Series:
    """Cells as a column of text in which an empty one is null."""
    return pl.Series(name, [cell or None for cell in cells], dtype=pl.String)


def make_table(
    headers: Sequence[str | None],
    frame: pl.DataFrame,
    name: str,
    file: str,
    *,
    sheet: str | None = None,
    header_row: int = 1,
    plain: bool = False,
    notes: tuple[Note, ...] = (),
) -> SourceTable:
    """A table from its headers and the text below them, of which the first row has the number header_row + 1.

    An empty cell is null in the frame. Rows and columns without any content are left out, and the numbers of the rows
    stay. Raises ReaderError for a header that is empty or stands twice, and for a row with content beyond the last
    header. plain: the manifest may say that titles stand above the header or that it takes several rows, and the error
    points there.
    """
    used = [column.null_count() < frame.height for column in frame.iter_columns()]
    places = [place for place, header in enumerate(headers) if header or (place < len(used) and used[place])]
    if not places:
        raise ReaderError(file, "there is nothing in it", "send the file again with its data", sheet=sheet)
    names = [headers[place] or "" for place in places]
    _check_headers(names, file, sheet, header_row, plain)
    columns = [frame.to_series(place).alias(header) for place, header in zip(places, names, strict=True)]
    frame = pl.DataFrame(columns)
    numbers = pl.Series("row_number", range(header_row + 1, header_row + 1 + frame.height), dtype=pl.Int64)
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    if not filled.all():
        frame, numbers = frame.filter(filled), numbers.filter(filled)
    return SourceTable(name, frame, numbers, file, sheet, notes=notes)


def joined_header(
    rows: Sequence[Sequence[str | None]], merged: Sequence[tuple[int, int, int, int]] = ()
) -> list[str | None]:
    """One name a column from the rows that a header takes: "Toilet / Shared".

    A name of an upper row counts for the columns that its cell is merged over (merged: first row, first column, last
    row, last column, counted from the first of `rows`). Where the file says nothing of merged cells it counts for the
    empty cells to its right, up to the next name of the same row or of a row above.
    """
    names: list[list[str]] = [[] for _ in rows[0]]
    starts = {0}
    for number, row in enumerate(rows):
        cells = [(cell or "").strip() for cell in row]
        starts |= {place for place, cell in enumerate(cells) if cell}
        if number < len(rows) - 1:
            if merged:
                for top, left, _, right in merged:
                    if top == number:
                        cells[left : right + 1] = [cells[left]] * len(cells[left : right + 1])
            else:
                for place in range(1, len(cells)):
                    if not cells[place] and place not in starts:
                        cells[place] = cells[place - 1]
        for place, cell in enumerate(cells):
            if cell:
                names[place].append(cell)
    return [" / ".join(parts) or None for parts in names]


def _check_headers(headers: list[str], file: str, sheet: str | None, row: int, plain: bool) -> None:
    if len(headers) > (limit := LIMITS.get().columns):
        raise ReaderError(
            file,
            "{columns} columns, at most {limit} are read",
            "send one table in a sheet",
            sheet=sheet,
            row=row,
            columns=len(headers),
            limit=limit,
        )
    twice = sorted(header for header, count in Counter(headers).items() if count > 1 and header.strip())
    if twice:  # by number and not by name: where a file has no header, its first row is a person
        places = ", ".join(str(place) for place, header in enumerate(headers, start=1) if header == twice[0])
        raise ReaderError(
            file,
            "the same column name stands more than once (columns {columns}), so its answers cannot be told apart",
            SEVERAL_ROWS if plain else "export with question names (XML values and headers), or rename one of them",
            sheet=sheet,
            row=row,
            columns=places,
        )
    if nameless := sum(not header.strip() for header in headers):
        raise ReaderError(
            file,
            "columns with answers have no name: {nameless} of {columns}",
            TITLE_ABOVE if plain else "name every column in the first row",
            sheet=sheet,
            row=row,
            nameless=nameless,
            columns=len(headers),
        )
