"""A plain workbook: every sheet is a table whose names stand in its first row, unless the manifest says otherwise.

For tables that no survey tool made as they are: cleaning logs, sheets of a spreadsheet program. Exports of KoboToolbox
and the project's own templates have readers of their own, which know more about them. The manifest may name the one
sheet to read (files.sheet), rows above the names (files.title_rows) and names in several rows (files.header_rows).
Hidden sheets are read only if they are named: whoever sends a file does not see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import Sheet, read_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable

HIDDEN = (
    "hidden sheets of the workbook were not read ({n}); if one holds answers, show it, or name it in the manifest "
    "(files.sheet)"
)


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every visible sheet that holds something, or the named one, by the name of the sheet. Raises ReaderError."""
    return plain_tables(read_sheets(content, file.path), file)


def plain_tables(sheets: Mapping[str, Sheet], file: DataFile) -> dict[str, SourceTable]:
    """The sheets of a workbook as tables with the layout of the manifest. Raises ReaderError."""
    if file.sheet is not None:
        sheets = {name: sheet for name, sheet in sheets.items() if name.strip() == file.sheet}
        if not sheets:
            raise ReaderError(
                file.path,
                "the sheet that the manifest names (files.sheet) is not there",
                "write its name as it stands on the tab of the sheet",
            )
    tables = {
        name: sheet_table(sheet, file.path, title_rows=file.title_rows, header_rows=file.header_rows, plain=True)
        for name, sheet in sheets.items()
        if sheet.height and (file.sheet is not None or not sheet.hidden)
    }
    if not tables:
        raise ReaderError(file.path, "all sheets are empty", "send the file again with its data")
    hidden = sum(sheet.hidden and sheet.height > 0 for sheet in sheets.values())
    if hidden and file.sheet is None:
        first = next(iter(tables))
        tables[first] = replace(tables[first], notes=(Note(HIDDEN, {"n": hidden}),))
    return tables
