"""Bytes to text: the encoding declared, marked or found; never a letter replaced, and never a guess between two.

In order: what the manifest says; a byte order mark; UTF-16 by its zero bytes; UTF-8 to the last byte; one of SNIFFED,
if its letters make sense and those of the others do not (charset-normalizer's measure of mess). What was found is
stated in a note. Control characters are refused: no table has them, and readers further on may stop at them.
Where only plain text is read, what is not marked is taken for UTF-8: who cuts it says so of every cell or gives up.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.limits import ONLY_PLAIN, plain_only
from lnob_pipeline.submissions.readers.table import Note, ReaderError

CODECS = {
    "utf-8": "utf-8",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32-le": "utf-32-le",
    "utf-32-be": "utf-32-be",
    "windows-1252": "cp1252",
    "windows-1258": "cp1258",
    "mac-roman": "mac_roman",
}
"""Encodings by the name they have in the manifest; windows-1258 is that of Vietnamese."""
SNIFFED = ("windows-1252", "windows-1258", "mac-roman")
MARKS = (  # UTF-32 first: the mark of UTF-16 is the beginning of its own
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PROGRAMS = (b"PK\x03\x04", b"$FL2", b"$FL3", b"PAR1", bytes.fromhex("d0cf11e0"))
"""First bytes of zips (and so of workbooks), SPSS, Parquet and old Excel files."""
CHUNK = 1 << 19
"""Bytes that are looked at together: as many as the nearest memory of a processor holds."""
CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r") + b"\x7f"
WORKERS = 2
"""Threads that look through a text; more than two are seldom free beside those of the engines."""
EQUALLY_CLEAR = 0.02
"""Difference of mess below which two encodings cannot be told apart."""
SAMPLE_LINES = 2_000
Found = TypeVar("Found")

READ_AS = "the file was read as {encoding}; if letters look wrong, say its encoding in the manifest (files.encoding)"
SAVE_AGAIN = "save it again as CSV UTF-8"


@dataclass(frozen=True)
class Text:
    """The text of a file as UTF-8 without a mark, its number of line feeds, what is to be said about its encoding."""

    content: bytes
    line_feeds: int
    notes: tuple[Note, ...] = ()


def read_text(content: bytes, file: DataFile) -> Text:
    """The text of a file. Raises ReaderError."""
    if content.startswith(PROGRAMS):
        raise ReaderError(
            file.path, "this is a workbook or another program's file, not a text file", "export it as CSV"
        )
    found = file.encoding or _marked(content) or _by_zeros(content)
    unproven = found is None and ONLY_PLAIN.get()
    found = found or ("utf-8" if unproven else _utf8_or_sniffed(content, file.path))
    body = next((content[len(mark) :] for mark, name in MARKS if name == found and content.startswith(mark)), content)
    if found != "utf-8":
        body = _decoded(body, found, file.path).encode()
    elif file.encoding or body is not content:
        _decoded(body, found, file.path)
    line_feeds = _line_feeds(body, file.path)
    stated = found in (file.encoding, "utf-8")
    return Text(body, line_feeds, () if stated else (Note(READ_AS, {"encoding": found}),))


def _marked(content: bytes) -> str | None:
    return next((name for mark, name in MARKS if content.startswith(mark)), None)


def _by_zeros(content: bytes) -> str | None:
    """UTF-16 without a mark: commas and line ends have a zero byte before or after them, and only on that side."""
    if len(content) % 2 or b"\0" not in content[:CHUNK]:
        return None
    before, after = content[::2].count(0), content[1::2].count(0)
    name, rare, often = ("utf-16-le", before, after) if after > before else ("utf-16-be", after, before)
    try:
        sound = "\0" not in content.decode(name)
    except UnicodeDecodeError:
        return None
    return name if sound and 50 * rare <= often else None


def _utf8_or_sniffed(content: bytes, file: str) -> str:
    """UTF-8, or one of SNIFFED. Raises ReaderError, also for a file that was UTF-8 before some bytes were damaged."""
    if _decodes(content, "utf-8"):
        return "utf-8"
    kept = content.decode("utf-8", errors="ignore")
    letters = sum(len(letter.encode()) for letter in kept if ord(letter) > 127)
    if 2 * letters > sum(byte > 127 for byte in content):
        _decoded(content, "utf-8", file)
    return _sniffed(content, file)


def _decoded(content: bytes, encoding: str, file: str) -> str:
    try:
        return content.decode(CODECS[encoding])
    except UnicodeDecodeError as error:
        raise ReaderError(
            file,
            "byte {byte} is not a letter in {encoding}; the file mixes encodings or is damaged",
            SAVE_AGAIN,
            row=content[: error.start].count(b"\n") + 1,
            byte=error.start + 1,
            encoding=encoding,
        ) from None


def _sniffed(content: bytes, file: str) -> str:
    """The one of SNIFFED whose letters make sense. Raises ReaderError where that is none, or more than one."""
    plain_only()
    from charset_normalizer import from_bytes

    telling = b"\n".join([line for line in content.splitlines() if not line.isascii()][:SAMPLE_LINES])
    named = {codec: name for name, codec in CODECS.items() if name in SNIFFED}
    tried = from_bytes(telling, cp_isolation=list(named), preemptive_behaviour=False, enable_fallback=False)
    clear = min((match.chaos for match in tried), default=1.0) + EQUALLY_CLEAR
    texts: dict[str, str] = {}
    for match in tried:
        if match.chaos < clear and not _has_greek(str(match)):
            texts.setdefault(str(match), named[match.encoding])
    fits = [name for name in texts.values() if _decodes(content, name)]
    if len(fits) == 1:
        return fits[0]
    raise ReaderError(
        file,
        "the letters of the file can be read in more than one way, or in none (tried: {encodings})",
        "save it again as CSV UTF-8, or say its encoding in the manifest (files.encoding)",
        row=next(number for number, line in enumerate(content.split(b"\n"), start=1) if not line.isascii()),
        encodings=", ".join(("utf-8", *(fits or SNIFFED))),
    )


def _has_greek(text: str) -> bool:
    """Whether a Greek letter stands in the text: SNIFFED are encodings of Latin letters, and 3½ m is no 3Ω m."""
    return any(unicodedata.name(letter, "").startswith("GREEK") for letter in set(text) if letter.isalpha())


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        if encoding != "utf-8":
            content.decode(CODECS[encoding])
        elif not content.isascii():
            _decode_utf8(content)
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        return False
    return True


def _decode_utf8(content: bytes) -> None:
    """Raise PolarsError where bytes are no UTF-8: the same answer as Python's, several times as fast."""

    def decode(start: int) -> None:
        end = start + CHUNK
        for _ in range(3):  # a letter has at most three bytes after its first, and is not cut
            start += 0 < start < len(content) and content[start] & 0xC0 == 0x80
            end += end < len(content) and content[end] & 0xC0 == 0x80
        pl.Series([content[start:end]], dtype=pl.Binary).cast(pl.String)

    _in_chunks(decode, len(content))


def _in_chunks(look: Callable[[int], Found], size: int) -> list[Found]:
    """What is found in each chunk of a text, by its start; several are looked at together where text is plain.

    Not under a limit of memory, where a thread that finds none dies, and whoever started it waits for ever.
    """
    starts = range(0, size, CHUNK)
    if len(starts) < 2 * WORKERS or not ONLY_PLAIN.get():
        return [look(start) for start in starts]
    with ThreadPoolExecutor(WORKERS) as workers:
        shares = [starts[worker::WORKERS] for worker in range(WORKERS)]
        return [
            found for share in workers.map(lambda share: [look(start) for start in share], shares) for found in share
        ]


def _line_feeds(content: bytes, file: str) -> int:
    """The number of line feeds. Raises ReaderError for control characters, all but tab and line ends."""
    letters = np.frombuffer(content, np.uint8)

    def look(start: int) -> tuple[int, bool]:
        """Bytes below a blank are counted and those that text has are taken off; 127 is the largest signed byte."""
        chunk = letters[start : start + CHUNK]
        feeds = int(np.count_nonzero(chunk == ord("\n")))
        others = np.count_nonzero(chunk < ord(" ")) - feeds
        for usual in "\r\t":
            others = others and others - np.count_nonzero(chunk == ord(usual))
        return feeds, bool(others or chunk.view(np.int8).max() == 127)

    found = _in_chunks(look, len(content))
    if any(controls for _, controls in found):
        plain_only()
        start = next(place for place, byte in enumerate(content) if byte in CONTROLS)
        raise ReaderError(
            file,
            "the file holds bytes that no text has (byte {byte})",
            SAVE_AGAIN,
            row=content[:start].count(b"\n") + 1,
            byte=start + 1,
        )
    return sum(feeds for feeds, _ in found)
