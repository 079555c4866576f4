"""SPSS .sav files: codes as text, with value labels and user-defined missing values kept aside.

User-defined missing values stay in the cells as they are (97, 98, 99): what each means is said by the instrument, not
by this reader. A table is named as its file.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.statistical_file import read_with
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table. Raises ReaderError."""
    import pyreadstat

    if not content.startswith((b"$FL2", b"$FL3")):
        raise ReaderError(file.path, "this is not an SPSS .sav file", "save it in SPSS as .sav")
    return read_with(pyreadstat.read_sav, content, file, ".sav")
