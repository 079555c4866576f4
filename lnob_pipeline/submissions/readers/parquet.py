"""Parquet: any type of column as the text that a person would type; columns of columns are refused.

Rows have the number of their place, the first is 1. NaN, with which some programs mark an empty cell, is an empty cell.
The table is named as the file.
"""

from __future__ import annotations

import io

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem, make_table
from lnob_pipeline.submissions.readers.typed import typed_text

MARK = b"PAR1"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table. Raises ReaderError."""
    if not content.startswith(MARK) or not content.endswith(MARK):
        raise ReaderError(
            file.path, "this is not a Parquet file, or it is cut off", "write it again and send the new file"
        )
    try:
        frame = pl.read_parquet(io.BytesIO(content), use_statistics=False)
    except (pl.exceptions.PolarsError, OSError, ValueError):
        raise ReaderError(
            file.path, "the Parquet file is damaged and does not open", "write it again and send the new file"
        ) from None
    for place, kind in enumerate(frame.dtypes, start=1):
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise ReaderError(
                file.path,
                "column {column} holds lists, parts or raw bytes instead of one answer in each row",
                "write each part into a column of its own, or repeated parts into a table of their own",
                column=place,
            )
    name = file_stem(file.path)
    texts = frame.select(typed_text(column, kind) for column, kind in frame.schema.items())
    return {name: make_table(frame.columns, texts, name, file.path, header_row=0)}
