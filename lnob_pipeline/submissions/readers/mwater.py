"""Responses of an mWater survey, exported as CSV or XLSX: option texts instead of codes, several answers with commas.

An option may hold commas and slashes itself ("Piped into yard/plot"), and the order of the answers is that of ticking:
where a cell is to be cut is found by the options of the instrument, not here. Source: exports published by
openwashdata (Dowa and Nchalo, Malawi).
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets
from lnob_pipeline.submissions.readers.table import SourceTable, file_stem
from lnob_pipeline.submissions.readers.xlsx import plain_tables


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The sheets of an XLSX by their names, or the CSV as one table named as the file. Raises ReaderError."""
    if content.startswith(b"PK"):
        return plain_tables(read_sheets(content, file.path), file)
    name = file_stem(file.path)
    return {name: delimited.read_table(content, file, name)}
