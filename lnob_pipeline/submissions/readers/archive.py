"""Zip files, checked before anything in them is used.

A partner's .zip and .xlsx (which is a zip) may be damaged or hostile: names that lead outside, links, passwords, parts
that unpack to gigabytes. Parts are unpacked in memory only. Sizes are counted while unpacking: what a zip says about
itself is not believed.
"""

from __future__ import annotations

import copy
import io
import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from lnob_pipeline.submissions.readers.table import ReaderError

MAXIMUM_PARTS = 5_000
MAXIMUM_TOTAL = 300_000_000
"""Bytes of all parts together, unpacked."""
MAXIMUM_RATIO = 200
"""Unpacked to packed bytes of one part; counts for parts of more than SMALL bytes."""
SMALL = 5_000_000
CHUNK = 1 << 20


def unpack(content: bytes, file: str, *, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """The parts whose names end in one of `suffixes`, unpacked, by name. Raises ReaderError.

    All parts are checked, also those that are not unpacked.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError):
        raise ReaderError(
            file, "the file is cut off or damaged: it does not open as a zip", "export it again and send the new file"
        ) from None
    with archive:
        parts = archive.infolist()
        if len(parts) > MAXIMUM_PARTS:
            raise ReaderError(file, f"{len(parts)} parts, at most {MAXIMUM_PARTS} are read", "send only the tables")
        for part in parts:
            _check_part(part, file)
        unpacked: dict[str, bytes] = {}
        total = 0
        for part in parts:
            if part.is_dir() or not part.filename.lower().endswith(suffixes):
                continue
            if part.filename in unpacked:
                raise ReaderError(file, "two parts of the zip have the same name", "export it again")
            unpacked[part.filename] = _read_part(archive, part, file, MAXIMUM_TOTAL - total)
            total += len(unpacked[part.filename])
    return unpacked


def _check_part(part: zipfile.ZipInfo, file: str) -> None:
    path = PurePosixPath(part.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in part.filename or "\0" in part.orig_filename:
        raise ReaderError(file, "a part of the zip has a name that leads outside its folder", "export it again")
    if stat.S_ISLNK(part.external_attr >> 16):
        raise ReaderError(file, "a part of the zip is a link, not a file", "zip the files themselves")
    if part.flag_bits & 0x1:
        raise ReaderError(file, "the zip is locked with a password", "export it again without encryption")


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, file: str, allowed: int) -> bytes:
    probe = copy.copy(part)
    probe.file_size = allowed + CHUNK  # the size on the label is not believed: read to the real end, up to the limit
    chunks: list[bytes] = []
    size = 0
    try:
        with archive.open(probe) as stream:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > allowed or (size > SMALL and size > MAXIMUM_RATIO * max(part.compress_size, 1)):
                    raise ReaderError(
                        file,
                        "the file unpacks to far more than a table holds (it looks like a zip bomb)",
                        "export it again, without pictures and other files",
                    )
                chunks.append(chunk)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError):
        raise ReaderError(file, "a part of the zip is damaged", "export it again and send the new file") from None
    if size != part.file_size:
        raise ReaderError(file, "a part of the zip is not as long as the zip says", "export it again")
    return b"".join(chunks)
