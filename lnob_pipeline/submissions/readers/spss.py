"""SPSS .sav files: codes as text, with value labels and user-defined missing values kept aside.

User-defined missing values stay in the cells as they are (97, 98, 99): what each means is said by the instrument, not
by this reader. A table is named as its file. The head of a file says how many cases follow, and the engine stops there
without a word; so the cases are read to the end of the file, and a head that says another number is an error. Source of
the layout: PSPP developer's guide, system file format, file header record (layout_code, ncases; below 0 it is unknown).
"""

from __future__ import annotations

import struct

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.statistical_file import read_with
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

LAYOUT, CASES = 64, 80
"""Where the head has two numbers of four bytes: its layout (2 or 3, which tells the order of bytes), and the cases."""
HEAD = 176


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The file as one table. Raises ReaderError."""
    import pyreadstat

    if not content.startswith((b"$FL2", b"$FL3")) or len(content) < HEAD:
        raise ReaderError(file.path, "this is not an SPSS .sav file", "save it in SPSS as .sav")
    order = "<" if content[LAYOUT] in (2, 3) else ">"
    (said,) = struct.unpack_from(f"{order}i", content, CASES)
    unknown = content[:CASES] + struct.pack(f"{order}i", -1) + content[CASES + 4 :]
    tables = read_with(pyreadstat.read_sav, unknown, file, ".sav")
    for table in tables.values():
        if said >= 0 and said != table.frame.height:
            raise ReaderError(
                file.path,
                "the head of the file says that it has {said} cases, and {found} are in it: it is cut off or damaged",
                "save it again in the program that made it, and send the new file",
                said=said,
                found=table.frame.height,
            )
    return tables
