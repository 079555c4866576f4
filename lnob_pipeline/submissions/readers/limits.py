"""How much a file may ask for: the limits of reading, in force while a file is read.

Here belong the numbers and where they come from (settings.py). What keeps to them is in archive.py, spreadsheet.py,
table.py, delimited.py and child.py.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from lnob_pipeline.settings import Settings


@dataclass(frozen=True)
class Limits:
    """Limits of reading one file.

    memory_bytes: what the reader may take beyond what it has when idle; seconds: by the clock on the wall; columns of
    one table; cells of one table or sheet; cell_letters of one cell, as bytes of UTF-8; archive_parts, archive_bytes:
    parts of a zip, and bytes of those that are unpacked; archive_ratio: unpacked to packed bytes of one part.
    """

    memory_bytes: int = Settings.reader_memory_bytes
    seconds: int = Settings.reader_seconds
    columns: int = Settings.maximum_columns
    cells: int = Settings.maximum_cells
    cell_letters: int = Settings.maximum_cell_letters
    archive_parts: int = Settings.maximum_archive_parts
    archive_bytes: int = Settings.maximum_archive_bytes
    archive_ratio: int = Settings.maximum_archive_ratio

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the settings name."""
        return cls(
            settings.reader_memory_bytes,
            settings.reader_seconds,
            settings.maximum_columns,
            settings.maximum_cells,
            settings.maximum_cell_letters,
            settings.maximum_archive_parts,
            settings.maximum_archive_bytes,
            settings.maximum_archive_ratio,
        )


LIMITS: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 - frozen, so nobody can change it
"""The limits in force."""

ONLY_PLAIN: ContextVar[bool] = ContextVar("only_plain", default=False)
"""Whether a reader gives up (NotPlainError) before it does what could take more than the limits."""


class NotPlainError(Exception):
    """A text is not so plain that what it asks for is known before it is cut; it is read in the child."""


def plain_only() -> None:
    """Raise NotPlainError where only plain text is read: what follows needs a process of its own."""
    if ONLY_PLAIN.get():
        raise NotPlainError
