"""SurveyCTO data as its server gives them in JSON: a list of submissions, wide, every value a text.

Repeats are numbered columns (name_1, name_2) and stay as they are. Dates are texts such as "Oct 10, 2015 6:26:24 PM".
Telephone numbers and those of the SIM card come along unless the form leaves them out: the gate counts them and lets
none through. A row has the number that it has in the CSV export, whose header is row 1. Source: SurveyCTO, REST API,
forms/data/wide/json.
"""

from __future__ import annotations

from dataclasses import replace

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.json_rows import AGAIN, GrowingTable, checked_submissions, json_cell, parse_json
from lnob_pipeline.submissions.readers.odk_zip import require_key
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table named as the file. Raises ReaderError."""
    whole, notes = parse_json(content, file)
    table = GrowingTable(file_stem(file.path))
    for number, submission in enumerate(checked_submissions(whole, file.path), start=1):
        if any(isinstance(value, dict | list) for value in submission.values()):
            raise ReaderError(
                file.path,
                "submission {number} holds an object or a list where a text should be",
                "download it again in the wide format",
                number=number,
            )
        table.add({name: json_cell(value) for name, value in submission.items()})
    made = replace(table.table(file.path), notes=notes)
    require_key(made, AGAIN)
    return {made.name: made}
