"""ODK Central CSV export (.zip): one CSV for the form and one for each repeat, joined by KEY and PARENT_KEY.

Source: ODK Central, `submissions.csv.zip`. Groups are joined to field names with "-", the parts of a split
select-multiple with "/". Media files in the zip are checked as any part but never unpacked.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem, table_from_rows


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every CSV of the zip by its name without .csv. Raises ReaderError."""
    if not content.startswith(b"PK"):
        raise ReaderError(file.path, "this is not a zip", "export from ODK Central as CSV and send the zip as it came")
    parts = unpack(content, file.path, suffixes=(".csv",))
    tables: dict[str, SourceTable] = {}
    for part, data in sorted(parts.items(), key=lambda item: file_stem(item[0])):
        if "/" in part:
            raise ReaderError(file.path, "a CSV lies in a folder of the zip", "send the zip as ODK Central made it")
        inner = DataFile(path=part, role="data", format="csv", delimiter=",", date_order=file.date_order)
        rows = delimited.read_rows(data, inner)
        name = file_stem(part)
        tables[name] = table_from_rows(rows, name, file.path, sheet=part)
        if "KEY" not in tables[name].frame.columns:
            raise ReaderError(
                file.path, "the column KEY is not there", "export again from ODK Central", sheet=part, row=1
            )
    if not tables:
        raise ReaderError(file.path, "the zip holds no CSV", "export from ODK Central as CSV (zip)")
    return tables
