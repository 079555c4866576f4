"""SurveyCTO CSV export: one wide file, or the long format with one file for the form and one for each repeat group.

In the wide format repeats are numbered columns (name_1, name_2) and stay as they are. In the long format the files come
zipped, or listed one by one; their rows are tied by KEY and PARENT_KEY, and each table is named as its file
(`form-repeat`). A log of corrections that SurveyCTO adds (`form_correction_log`) is no data and is left out, with a
note. Source: SurveyCTO documentation, format of exported data.
"""

from __future__ import annotations

from dataclasses import replace

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.odk_zip import csv_tables, require_key
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable, file_stem

LOG = "_correction_log"
LEFT_OUT = Note("the log of corrections in the zip is not read; the data hold the corrected answers already")
AGAIN = "export again from SurveyCTO and send the file as it came"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table of the form, and one for each repeat group where the format is long. Raises ReaderError."""
    if content.startswith(b"PK"):
        tables = csv_tables(content, file)
    else:
        name = file_stem(file.path)
        tables = {name: delimited.read_table(content, file, name)}
    data = {name: table for name, table in tables.items() if not name.endswith(LOG)}
    if not data:
        raise ReaderError(file.path, "the zip holds no CSV", AGAIN)
    for table in data.values():
        require_key(table, AGAIN)
    if len(data) < len(tables):
        first = next(iter(data))
        data[first] = replace(data[first], notes=(*data[first].notes, LEFT_OUT))
    return data
