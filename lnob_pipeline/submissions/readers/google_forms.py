"""Responses of a Google Form as CSV: the whole question as header, answers to one question joined by ", ".

The download is a .csv, or a .zip with one .csv in it. The first column is the time of the answer, under a name in the
language of the form; columns are found by header. Which commas divide answers and which belong to an option is found by
the options of the instrument, not here.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table named as the file. Raises ReaderError."""
    if content.startswith(b"PK"):
        parts = list(unpack(content, file.path, suffixes=(".csv",)).values())
        if len(parts) != 1:
            raise ReaderError(
                file.path,
                "the zip holds {parts} CSV files instead of one",
                "download the responses again and send the file as it came",
                parts=len(parts),
            )
        content = parts[0]
    name = file_stem(file.path)
    commas = file.model_copy(update={"delimiter": file.delimiter or ","})
    return {name: delimited.read_table(content, commas, name)}
