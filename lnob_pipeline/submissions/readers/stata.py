"""Stata .dta files: codes as text, with value labels kept aside; lettered missing values (.a, .b) as their letter.

The plain missing value (.) is an empty cell. A table is named as its file.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.statistical_file import read_with
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

OLD_RELEASES = (104, 105, 108, 110, 111, 112, 113, 114, 115)


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table. Raises ReaderError."""
    import pyreadstat

    old = content[0] in OLD_RELEASES and content[1:2] in (b"\x01", b"\x02")  # release, then the byte order
    if not content.startswith(b"<stata_dta>") and not old:
        raise ReaderError(file.path, "this is not a Stata .dta file", "save it in Stata as .dta (version 8 or later)")
    return read_with(pyreadstat.read_dta, content, file, ".dta")
