"""KoboToolbox CSV export: the main table alone, with ";" between the cells and every cell in quotes.

Columns are found by header, never by place: the system columns changed over the years. A CSV of KoboToolbox has no
repeated groups, which is said in a note; the XLSX export and the JSON have them. Source: formpack, kpi issue 2517.
"""

from __future__ import annotations

from dataclasses import replace

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import delimited
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable, file_stem

NO_REPEATS = Note(
    "a CSV of KoboToolbox leaves out repeated questions, such as a list of household members; if your form has them, "
    "export as XLS and hand that in"
)


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table named as the file. Raises ReaderError."""
    name = file_stem(file.path)
    semicolons = b";" in content.split(b"\n", 1)[0]
    as_exported = file if file.delimiter or not semicolons else file.model_copy(update={"delimiter": ";"})
    table = delimited.read_table(content, as_exported, name)
    if "_index" not in table.frame.columns:
        raise ReaderError(
            file.path,
            "the column _index is not there, so this is not an export of KoboToolbox as it came",
            'export as CSV with "XML values and headers", and send the file without editing its first row',
            row=1,
        )
    return {name: replace(table, notes=(*table.notes, NO_REPEATS))}
