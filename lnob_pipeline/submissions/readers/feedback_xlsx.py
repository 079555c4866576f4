"""A feedback workbook that comes back: the cells that the partner changed in it, as lines of a cleaning log.

Here belong finding what was changed, and the names of the hidden parts by which a workbook is known. What the workbook
looks like is in validation/feedback_workbook.py; the lines are applied by validation/returned.py. Each sheet of rows
has a hidden twin with the answers as collected; a cell that differs from its twin is a correction, whatever was sorted,
filtered or coloured. Rows are told apart by the number in their first column. A row or column that was deleted changes
nothing.
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import Sheet, read_sheets
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable

FORMAT = "lnob-feedback/1"
HIDDEN = "lnob"
"""Name of the hidden sheet that says what the workbook is; the twins are lnob_1, lnob_2, ..."""
WORDS = ("format", "submission", "version", "not_shown", "row", "leave_out_column", "leave_out", "todo")
"""What the hidden sheet says, one a row: name and text."""
TABLE = ("sheet", "twin", "record", "file_sha256")
"""Below them, one row for each sheet of rows."""
LINE = ("row", "column", "action", "expected", "empty", "new", "file_sha256")
"""Columns of a line. expected is null where the answer was not shown; empty is 1 where there was none."""
NEW_ROWS = "rows without a row number of the feedback workbook are not read: {rows}; add new rows to your data file"
OTHER_WORD = "rows with something else than the word from the list in the second column: {rows}; they were kept"
MEND = "mend the cells of the feedback workbook as it was sent to you, and save it as .xlsx"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The changed cells of each sheet of rows: tables by record, columns LINE; row_numbers are those of the sheet."""
    sheets = read_sheets(content, file.path)
    if HIDDEN not in sheets:
        raise ReaderError(file.path, "this is no feedback workbook, or its hidden sheets were deleted", MEND)
    said = [sheets[HIDDEN].row(index) for index in range(sheets[HIDDEN].height)]
    words = {str(row[0]): row[1] or "" for row in said[: len(WORDS)] if len(row) > 1}
    if words.get("format") != FORMAT or set(words) != set(WORDS):
        raise ReaderError(file.path, "this feedback workbook is of a kind that is not known here", MEND)
    tables = {}
    for row in said[len(WORDS) + 1 :]:
        cells = dict(zip(TABLE, row, strict=False))
        name, twin = cells.get("sheet"), cells.get("twin")
        if not name or twin not in sheets:
            raise ReaderError(file.path, "the hidden sheets of the feedback workbook were changed", MEND)
        record = str(cells["record"])
        tables[record] = _changes(sheets, name, str(twin), words, str(cells["file_sha256"]), record, file.path)
    return tables


def _changes(
    sheets: dict[str, Sheet], name: str, twin: str, words: dict[str, str], digest: str, record: str, file: str
) -> SourceTable:
    """The lines of one sheet."""
    notes: list[Note] = []
    if name not in sheets:
        notes.append(Note("a sheet of the feedback workbook is gone; nothing of it was changed"))
    before = _table(sheets[twin], "row")
    after = _table(sheets[name], words["row"]) if name in sheets else before.clear()
    action, chosen = words["leave_out_column"], words["leave_out"].strip().casefold()
    columns = [column for column in before.columns if column not in ("row", "line", action) and column in after.columns]
    strange = set(after.columns) - {*before.columns, action, words["todo"]}
    if added := sum(after[column].null_count() < after.height for column in strange):
        notes.append(Note("columns that were added to the feedback workbook are not read: {added}", {"added": added}))
    answered = pl.any_horizontal(pl.lit(False), *(pl.col(column).is_not_null() for column in columns))
    if unknown := after.join(before, on="row", how="anti").filter(answered).height:
        notes.append(Note(NEW_ROWS, {"rows": unknown}))
    lines = _cells(before, columns, "was").join(_cells(after, columns, "new", "line"), on=["row", "column"])
    lines = lines.filter(~_same()).with_columns(
        action=pl.when(pl.col("new").is_null()).then(pl.lit("blank_response")).otherwise(pl.lit("change_response")),
        expected=pl.when(pl.col("was") != words["not_shown"]).then("was"),
        empty=pl.when(pl.col("was").is_null()).then(pl.lit("1")),
    )
    out = pl.DataFrame(schema=dict.fromkeys(("row", "line"), pl.String))
    if action in after.columns:
        said = after.join(before.select("row"), on="row", how="semi").filter(pl.col(action).is_not_null())
        leave = pl.col(action).str.to_lowercase() == chosen
        out = said.filter(leave).select("row", "line")
        if other := said.filter(~leave).height:
            notes.append(Note(OTHER_WORD, {"rows": other}))
    removals = out.with_columns(action=pl.lit("remove_row"))
    whole = pl.concat([lines, removals], how="diagonal").with_columns(file_sha256=pl.lit(digest))
    whole = whole.with_columns(pl.col("line").cast(pl.Int64).alias("number")).sort("number", "column", nulls_last=True)
    absent = [pl.lit(None, dtype=pl.String).alias(column) for column in LINE if column not in whole.columns]
    frame = whole.with_columns(absent).select(pl.col(column).cast(pl.String) for column in LINE)
    return SourceTable(record, frame, whole["number"].alias("row_number"), file, name, notes=tuple(notes))


def _table(sheet: Sheet, key: str) -> pl.DataFrame:
    """A sheet under its first row as text without blanks at the ends; `key` becomes row, `line` is the sheet's row."""
    found: dict[str, list[str | None]] = {}
    for column in sheet.columns:
        header = (column[0] or "").strip()
        if header and header not in found:
            found[header] = column[1:]
    frame = pl.DataFrame(found, schema=dict.fromkeys(found, pl.String)).rename({key: "row"} if key in found else {})
    if "row" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("row"))
    text = pl.all().str.strip_chars()
    frame = frame.select(text).select(pl.when(pl.all() != "").then(pl.all()))
    return frame.with_columns(pl.int_range(2, pl.len() + 2).cast(pl.String).alias("line"))


def _cells(frame: pl.DataFrame, columns: list[str], name: str, *more: str) -> pl.DataFrame:
    """The cells of some columns, one a row: row, column, and the text under `name`."""
    index = ["row", *more]
    return (
        frame.filter(pl.col("row").is_not_null())
        .select(*index, *columns)
        .unpivot(columns, index=index, variable_name="column", value_name=name)
        .cast({"column": pl.String, name: pl.String})
    )


def _same() -> pl.Expr:
    """Whether a cell says what it said: the same text, or the same number (an office suite makes 7.0 a 7)."""
    numbers = pl.col("was").cast(pl.Float64, strict=False) == pl.col("new").cast(pl.Float64, strict=False)
    return pl.col("was").eq_missing(pl.col("new")) | numbers.fill_null(False)
