"""Readers: the bytes of a partner's file in, tables of text with their place of origin out.

One module a format. A reader keeps every cell as a person would type it: no types are guessed, nothing is trimmed,
digits of other scripts and grouped numbers stay as written (validation's business). Nothing is written to disk, except
that SPSS and Stata files pass through a file in memory.
"""

from __future__ import annotations

from importlib import import_module

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

__all__ = ["ReaderError", "SourceTable", "read_file"]

MODULES = {
    "kobo_xlsx": "kobo_xlsx",
    "kobo_json": "kobo_json",
    "xlsx": "xlsx",
    "xlsform": "xlsform",
    "spss": "spss",
    "stata": "stata",
    "csv": "delimited",
    "odk_zip": "odk_zip",
    "score_card": "score_card",
    "taguette_csv": "taguette",
    "policy_review": "policy_review",
}
"""The module that reads each format of the manifest. It is imported when a file of that format is read."""


def read_file(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """Read one file of a submission: its tables by name. Raises ReaderError, which says what to mend."""
    if not content:
        raise ReaderError(file.path, "the file is empty (0 bytes)", "send the file again")
    reader = import_module(f"{__name__}.{MODULES[file.format]}")
    tables: dict[str, SourceTable] = reader.read(content, file)
    return tables
