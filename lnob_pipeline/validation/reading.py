"""The files of a hand-in as tables: what opens, what does not, and what a message may repeat of it.

Here belongs the step from sealed bytes to tables of text, file by file. Formats are in submissions/readers, and what
the tables mean is in structure.py.
"""

from __future__ import annotations

from typing import Any

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, read_file
from lnob_pipeline.submissions.readers.xlsform import SHEETS, question_types
from lnob_pipeline.validation.cleaning import FileTable
from lnob_pipeline.validation.findings import Findings
from lnob_pipeline.validation.privacy import looks_identifying, public_file
from lnob_pipeline.validation.rules import RULES, Severity


def known_sheets(instrument: Instrument | None) -> set[str]:
    """Names of sheets, and of parts of a zip, that a message may repeat."""
    tables = {record.table for record in instrument.records.values()} if instrument else set()
    return tables | {f"{table}.csv" for table in tables} | set(SHEETS)


def read_tables(
    files: list[tuple[DataFile, bytes]], known_tables: set[str], settings: Settings, found: Findings
) -> tuple[list[FileTable], list[FileTable], dict[str, str]]:
    """All tables of the data files, those of cleaning logs, and the types of the questions where a form is there."""
    tables: list[FileTable] = []
    logs: list[FileTable] = []
    types: dict[str, str] = {}
    for file, content in files:
        if file.role == "codebook":
            continue
        severity: Severity = "warning" if file.role == "form" else "blocking"
        name = public_file(file)
        try:
            read = read_file(content, file)
        except ReaderError as error:
            problem = error.problem if not looks_identifying(error.problem) else "the table cannot be read"
            sheet = error.sheet if error.sheet in known_tables else None
            problem = f"row {error.row}: {problem}" if error.row else problem
            details: dict[str, Any] = {"problem": problem, "mend": error.mend}
            found.whole("readable", "unreadable_file", file=name, sheet=sheet, severity=severity, **details)
            continue
        except Exception as error:  # a library's own error may carry a cell: only its kind is passed on
            details = {
                "problem": f"the file does not open ({type(error).__name__})",
                "mend": RULES["readable"].mend,
            }
            found.whole("readable", "unreadable_file", file=name, severity=severity, **details)
            continue
        if file.role == "form":
            if "survey" in read:
                types |= question_types(read["survey"])
            continue
        rows = sum(table.frame.height for table in read.values())
        if rows > settings.maximum_rows:
            found.whole("readable", "too_many_rows", file=name, rows=rows, limit=settings.maximum_rows)
            continue
        into = logs if file.role == "corrections" else tables
        into.extend((file, table) for table in read.values())
    found.result("readable", len(files), 0, expectation="files_open", message=f"{len(files)} files looked at")
    return tables, logs, types
