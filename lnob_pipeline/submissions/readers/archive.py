"""Zip files, checked before anything in them is used.

A partner's .zip and .xlsx (which is a zip) may be damaged or hostile: names that lead outside, links, passwords, parts
that unpack to gigabytes, parts that lie over each other, zips in zips. What the list of parts says is checked before
anything is unpacked; parts are unpacked in memory only, and sizes are counted while they are, since what a zip says
about itself is not believed. How much is too much stands in limits.py. Source: PKWARE, APPNOTE.TXT 4.3 (layout of a
zip); D. Fifield, A better zip bomb, 2019 (overlapping parts).
"""

from __future__ import annotations

import copy
import io
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from lnob_pipeline.submissions.readers.limits import LIMITS, Limits
from lnob_pipeline.submissions.readers.table import ReaderError

SMALL = 5_000_000
"""Bytes up to which a part may be packed as tightly as it likes."""
CHUNK = 1 << 20
LOCAL_HEADER = 30
"""Bytes before the name of a part in front of its content."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How spreadsheet programs and survey tools pack; for other methods nothing bounds what a few bytes unpack to."""
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
"""How archives begin."""
ARCHIVE_NAMES = (".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".tar")
LEFT_BY_SYSTEMS = "__MACOSX"
"""Folder that macOS adds to every zip, with a shadow of each file."""

AGAIN = "export it again"
TOO_MUCH = "the file unpacks to far more than a table holds (it looks like a zip bomb)"
WITHOUT_OTHERS = "export it again, without pictures and other files"
NESTED = "the zip holds another zip, and nothing inside that is read"
INNER = "take the inner file out, and send it by itself"


def unpack(content: bytes, file: str, *, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """The parts whose names end in one of `suffixes` ("" means all), unpacked, by name. Raises ReaderError.

    All parts are checked, also those that are not unpacked. An archive among the parts is never opened; where the
    parts are asked for by their ending, one that is an archive or lies beside them as one is an error.
    """
    limits = LIMITS.get()
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise ReaderError(
            file, "the file is cut off or damaged: it does not open as a zip", "export it again and send the new file"
        ) from None
    with archive:
        parts = archive.infolist()
        _check_list(parts, archive.start_dir, file, limits)
        wanted = [
            part
            for part in parts
            if not part.is_dir()
            and part.filename.lower().endswith(suffixes)
            and PurePosixPath(part.filename).parts[0] != LEFT_BY_SYSTEMS
        ]
        _check_sizes(wanted, file, limits)
        inner = [part.filename for part in parts if part.filename.lower().endswith(ARCHIVE_NAMES)]
        if "" not in suffixes and any(not wanted or "/" not in name for name in inner):  # in a folder: an attachment
            raise ReaderError(file, NESTED, INNER)
        unpacked: dict[str, bytes] = {}
        left = limits.archive_bytes
        for part in wanted:
            data = _read_part(archive, part, file, left, limits)
            if "" not in suffixes and data.startswith(ARCHIVES):
                raise ReaderError(file, NESTED, INNER)
            unpacked[part.filename] = data
            left -= len(data)
    return unpacked


def _check_list(parts: Sequence[zipfile.ZipInfo], directory: int, file: str, limits: Limits) -> None:
    """What the list of parts says; `directory` is where in the file the list begins."""
    if len(parts) > limits.archive_parts:
        raise ReaderError(
            file,
            "the zip has {parts} parts, at most {limit} are read",
            "send only the tables",
            parts=len(parts),
            limit=limits.archive_parts,
        )
    for part in parts:
        _check_part(part, file)
    if len({part.filename for part in parts}) < len(parts):
        raise ReaderError(file, "two parts of the zip have the same name", AGAIN)
    end = 0
    for part in sorted(parts, key=lambda part: part.header_offset):
        if part.header_offset < end:
            raise ReaderError(file, "two parts of the zip lie over each other", AGAIN)
        name = part.orig_filename.encode("utf-8" if part.flag_bits & 0x800 else "cp437")
        end = part.header_offset + LOCAL_HEADER + len(name) + part.compress_size
    if end > directory:
        raise ReaderError(file, "two parts of the zip lie over each other", AGAIN)


def _check_part(part: zipfile.ZipInfo, file: str) -> None:
    name = part.orig_filename
    path = PurePosixPath(name.replace("\\", "/"))
    strange = ":" in name or any(unicodedata.category(letter) == "Cc" for letter in name)
    if strange or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ReaderError(file, "a part of the zip has a name that leads outside its folder", AGAIN)
    if "\\" in name:
        raise ReaderError(file, "a part of the zip has a backslash in its name", "zip the files again without folders")
    if stat.S_ISLNK(part.external_attr >> 16):
        raise ReaderError(file, "a part of the zip is a link, not a file", "zip the files themselves")
    if part.flag_bits & 0x1:
        raise ReaderError(file, "the zip is locked with a password", "export it again without encryption")


def _check_sizes(parts: Sequence[zipfile.ZipInfo], file: str, limits: Limits) -> None:
    """What the parts to unpack say of their size and of how they are packed."""
    if any(part.compress_type not in METHODS for part in parts):
        raise ReaderError(file, "the zip is packed in an unusual way that is not read here", "zip the files as usual")
    tight = any(_too_tight(part.file_size, part, limits) for part in parts)
    if tight or sum(part.file_size for part in parts) > limits.archive_bytes:
        raise ReaderError(file, TOO_MUCH, WITHOUT_OTHERS)


def _too_tight(size: int, part: zipfile.ZipInfo, limits: Limits) -> bool:
    return size > SMALL and size > limits.archive_ratio * max(part.compress_size, 1)


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, file: str, allowed: int, limits: Limits) -> bytes:
    probe = copy.copy(part)
    probe.file_size = allowed + CHUNK  # the size on the label is not believed: read to the real end, up to the limit
    chunks: list[bytes] = []
    size = 0
    try:
        with archive.open(probe) as stream:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > allowed or _too_tight(size, part, limits):
                    raise ReaderError(file, TOO_MUCH, WITHOUT_OTHERS)
                chunks.append(chunk)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError):
        raise ReaderError(file, "a part of the zip is damaged", "export it again and send the new file") from None
    if size != part.file_size:
        raise ReaderError(file, "a part of the zip is not as long as the zip says", AGAIN)
    return b"".join(chunks)
