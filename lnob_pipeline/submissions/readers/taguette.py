"""Coded excerpts as Taguette exports them: id, document, tag, content; one row for each highlight and tag.

A highlight with two tags stands on two rows with the same id: count ids, not rows. Tags are paths with a backslash.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

COLUMNS = ["id", "document", "tag", "content"]


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table `highlights`. Raises ReaderError."""
    commas = file.model_copy(update={"delimiter": file.delimiter or ","})
    table = delimited.read_table(content, commas, "highlights")
    absent = [column for column in COLUMNS if column not in table.frame.columns]
    if absent:
        raise ReaderError(
            file.path,
            "the column {columns} is not there",
            "export the highlights of Taguette as CSV",
            row=1,
            columns=", ".join(absent),
        )
    return {"highlights": table}
