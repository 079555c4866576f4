"""KoboToolbox XLSX export (values and headers in XML form): one table a sheet, the first sheet the main one.

Source: formpack, which writes these exports. Columns are found by header, never by place: the system columns changed
over the years. Sheet names are cut to 31 characters, so that `_parent_table_name` may be longer than the name of the
sheet it means. A repeat has a sheet of its own with `_parent_index`.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every sheet that holds something, by the name of the sheet. Raises ReaderError."""
    sheets = read_sheets(content, file.path)
    tables = {name: sheet_table(sheet, file.path) for name, sheet in sheets.items() if sheet.height}
    if not tables:
        raise ReaderError(file.path, "all sheets are empty", "export again, for all dates and all versions of the form")
    main = next(iter(tables))
    if "_index" not in tables[main].frame.columns:
        raise ReaderError(
            file.path,
            "the column _index is not there, so this is not an export of KoboToolbox as it came",
            'export as XLS with "XML values and headers", and send the file without editing its first row',
            sheet=main,
            row=1,
        )
    for name in list(tables)[1:]:
        if "_parent_index" not in tables[name].frame.columns:
            raise ReaderError(
                file.path,
                "the column _parent_index is not there, so its rows belong to nobody",
                "delete sheets that you added, or export again",
                sheet=name,
                row=1,
            )
    return tables
