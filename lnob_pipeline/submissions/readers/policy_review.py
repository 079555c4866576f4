"""Policy review workbooks: the sheet `answers` with one row a question. Other sheets are notes and are not read."""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets, require_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import SourceTable

SHEET = "answers"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table answers. Raises ReaderError."""
    sheets = read_sheets(content, file.path)
    require_sheets(sheets, [SHEET], file.path)
    return {SHEET: sheet_table(sheets[SHEET], file.path)}
