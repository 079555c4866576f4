"""Coded excerpts as Taguette exports them: id, document, tag, content; one row for each highlight and tag.

A highlight with two tags stands on two rows with the same id: count ids, not rows. Tags are paths with a backslash.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, table_from_rows

COLUMNS = ["id", "document", "tag", "content"]


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table `highlights`. Raises ReaderError."""
    rows = delimited.read_rows(content, file.model_copy(update={"delimiter": file.delimiter or ","}))
    table = table_from_rows(rows, "highlights", file.path)
    absent = [column for column in COLUMNS if column not in table.frame.columns]
    if absent:
        raise ReaderError(
            file.path, f"the column {', '.join(absent)} is not there", "export the highlights of Taguette as CSV", row=1
        )
    return {"highlights": table}
