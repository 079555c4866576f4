"""A plain workbook: every sheet is a table whose names stand in its first row.

For tables that no survey tool made as they are: cleaning logs, sheets of a spreadsheet program. Exports of KoboToolbox
and the project's own templates have readers of their own, which know more about them.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every sheet that holds something, by the name of the sheet. Raises ReaderError."""
    sheets = read_sheets(content, file.path)
    tables = {name: sheet_table(sheet, file.path) for name, sheet in sheets.items() if sheet.columns}
    if not tables:
        raise ReaderError(file.path, "all sheets are empty", "send the file again with its data")
    return tables
