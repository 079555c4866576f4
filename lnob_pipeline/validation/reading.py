"""The files of a hand-in as tables: what opens, what does not, and what a message may repeat of it.

Here belongs the step from sealed bytes to tables of text, file by file. Formats are in submissions/readers, and what
the tables mean is in structure.py.
"""

from __future__ import annotations

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.messages.message import Message
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import Limits, ReaderError, SourceTable, read_file
from lnob_pipeline.submissions.readers.child import ChildError
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
    limits = Limits.of(settings)
    for file, content in files:
        if file.role == "codebook":
            continue
        severity: Severity = "warning" if file.role == "form" else "blocking"
        name = public_file(file)
        try:
            read = read_file(content, file, limits)
        except ReaderError as error:
            _unreadable(error, name, error.sheet if error.sheet in known_tables else None, severity, found)
            continue
        except ChildError:  # no file is at fault
            raise
        except Exception as error:  # a library's own error may carry a cell: only its kind is passed on
            problem = Message("the file does not open ({kind})", {"kind": type(error).__name__})
            mend = Message(RULES["readable"].mend)
            found.whole("readable", "unreadable_file", file=name, severity=severity, problem=problem, mend=mend)
            continue
        _notes(read, name, found)
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


def _unreadable(error: ReaderError, file: str, sheet: str | None, severity: Severity, found: Findings) -> None:
    problem = Message(error.problem_template, error.details)
    if looks_identifying(error.problem):
        problem = Message("the table cannot be read")
    mend = Message(error.mend_template, error.details)
    if error.row:
        found.whole(
            "readable", "unreadable_row", file=file, sheet=sheet, severity=severity, row=error.row, problem=problem,
            mend=mend,
        )  # fmt: skip
    else:
        found.whole(
            "readable", "unreadable_file", file=file, sheet=sheet, severity=severity, problem=problem, mend=mend
        )


def _notes(read: dict[str, SourceTable], file: str, found: Findings) -> None:
    """What a reader found and the partner should know, once a file."""
    notes = {note.text: note for table in read.values() for note in table.notes}
    for note in notes.values():
        found.whole(
            "readable", "reader_note", file=file, severity="information", n_failed=0, expectation="reader_note",
            note=Message(note.template, note.details),
        )  # fmt: skip
