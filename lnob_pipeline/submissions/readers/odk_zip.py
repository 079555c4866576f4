"""ODK Central CSV export (.zip): one CSV for the form and one for each repeat, joined by KEY and PARENT_KEY.

Source: ODK Central, `submissions.csv.zip`. Groups are joined to field names with "-", the parts of a split
select-multiple with "/". The tool's own columns (SubmissionDate, SubmitterName, ReviewState, Edits and others) stay
under their names: the gate knows which of them name people. Media files in the zip are checked as any part but never
unpacked.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem

KEY = "KEY"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every CSV of the zip by its name without .csv. Raises ReaderError."""
    if not content.startswith(b"PK"):
        raise ReaderError(file.path, "this is not a zip", "export from ODK Central as CSV and send the zip as it came")
    tables = csv_tables(content, file)
    if not tables:
        raise ReaderError(file.path, "the zip holds no CSV", "export from ODK Central as CSV (zip)")
    for table in tables.values():
        require_key(table, "export again from ODK Central")
    return tables


def csv_tables(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Every CSV of a zip without folders as a table named as the part. Raises ReaderError."""
    parts = unpack(content, file.path, suffixes=(".csv",))
    tables: dict[str, SourceTable] = {}
    inner = file.model_copy(update={"delimiter": file.delimiter or ","})
    for part, data in sorted(parts.items(), key=lambda item: file_stem(item[0])):
        if "/" in part:
            raise ReaderError(file.path, "a CSV lies in a folder of the zip", "send the zip as it was exported")
        name = file_stem(part)
        tables[name] = delimited.read_table(data, inner, name, sheet=part)
    return tables


def require_key(table: SourceTable, mend: str) -> None:
    """Raise ReaderError if the rows of a table have no id."""
    if KEY not in table.frame.columns:
        raise ReaderError(table.file, "the column KEY is not there", mend, sheet=table.sheet, row=1)
