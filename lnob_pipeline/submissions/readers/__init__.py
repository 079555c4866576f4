"""Readers: the bytes of a partner's file in, tables of text with their place of origin out.

One module a format. A reader keeps every cell as a person would type it: no types are guessed, nothing is trimmed,
digits of other scripts and grouped numbers stay as written (validation's business). Nothing is written to disk, except
that SPSS and Stata files pass through a file in memory. Files are read in a process of its own (child.py), within
limits (limits.py); delimited text only where it is not plain: what plain text asks for is known before it is cut, and
to hand millions of cells from process to process takes longer than to cut them.
"""

from __future__ import annotations

import csv
from importlib import import_module

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.child import read_apart
from lnob_pipeline.submissions.readers.encoding import PROGRAMS
from lnob_pipeline.submissions.readers.limits import LIMITS, ONLY_PLAIN, Limits, NotPlainError
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

__all__ = ["Limits", "ReaderError", "SourceTable", "read_file", "read_here"]

MODULES = {
    "kobo_xlsx": "kobo_xlsx",
    "kobo_csv": "kobo_csv",
    "kobo_json": "kobo_json",
    "xlsx": "xlsx",
    "xlsform": "xlsform",
    "feedback_xlsx": "feedback_xlsx",
    "spss": "spss",
    "stata": "stata",
    "csv": "delimited",
    "ods": "ods",
    "parquet": "parquet",
    "odk_zip": "odk_zip",
    "odk_json": "odk_json",
    "surveycto_csv": "surveycto_csv",
    "surveycto_json": "surveycto_json",
    "google_forms_csv": "google_forms",
    "mwater": "mwater",
    "score_card": "score_card",
    "taguette_csv": "taguette",
    "refi_qda": "refi_qda",
    "policy_review": "policy_review",
}
"""The module that reads each format of the manifest. It is imported when a file of that format is read."""
DELIMITED = ("csv", "kobo_csv", "surveycto_csv", "google_forms_csv", "mwater", "taguette_csv")
"""Formats that are delimited text, unless they are packed in a zip."""


def read_file(content: bytes, file: DataFile, limits: Limits | None = None) -> dict[str, SourceTable]:
    """Read one file of a submission, in a process of its own unless it is plain text: its tables by name.

    Raises ReaderError, which says what to mend, also where the file asks for too much or breaks the reader.
    """
    if not content:
        raise ReaderError(file.path, "the file is empty (0 bytes)", "send the file again")
    limits = limits or Limits()
    if file.format in DELIMITED and not content.startswith(PROGRAMS):
        before = ONLY_PLAIN.set(True)
        try:
            return read_here(content, file, limits)
        except (NotPlainError, csv.Error, UnicodeDecodeError, pl.exceptions.PanicException):
            pass
        finally:
            ONLY_PLAIN.reset(before)
    return read_apart(content, file, limits)


def read_here(content: bytes, file: DataFile, limits: Limits | None = None) -> dict[str, SourceTable]:
    """As `read_file`, always in this process: what the child runs. A hostile file can end the process."""
    limits = limits or Limits()
    if not content:
        raise ReaderError(file.path, "the file is empty (0 bytes)", "send the file again")
    before = LIMITS.set(limits)
    try:
        reader = import_module(f"{__name__}.{MODULES[file.format]}")
        tables: dict[str, SourceTable] = reader.read(content, file)
    finally:
        LIMITS.reset(before)
    for table in tables.values():
        if (cells := table.frame.height * table.frame.width) > limits.cells:
            raise ReaderError(
                file.path,
                "a table has {cells} cells, at most {limit} are read",
                "divide the hand-in into several, for example one for each area",
                cells=cells,
                limit=limits.cells,
            )
        _check_letters(table, limits.cell_letters)
    return tables


def _check_letters(table: SourceTable, limit: int) -> None:
    """Refuse a cell so long that it is no answer; the first one is named by its column and row."""
    if table.longest is not None and table.longest <= limit:
        return
    longest = table.frame.select(pl.col(pl.String).str.len_bytes().max())
    for header in longest.columns:
        if (longest[header].item() or 0) > limit:
            row = table.frame[header].str.len_bytes().gt(limit).arg_true()[0]
            raise ReaderError(
                table.file,
                "the cell in column {column} has more than {limit} letters, which is no answer",
                "look at this cell: perhaps a file was pasted into it, or a quotation mark is missing; mend it, and "
                "export again",
                sheet=table.sheet,
                row=table.row_numbers[row],
                column=table.frame.get_column_index(header) + 1,
                limit=limit,
            )
