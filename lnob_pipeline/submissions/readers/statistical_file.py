"""What SPSS and Stata files have in common: numbers with labels become text codes, the labels are kept aside.

The engine, ReadStat through pyreadstat, opens files by path only. The path leads to memory (memfd_create(2)), so that
not even a process that is killed leaves the answers on a disk. Where a system has no such files the bytes lie for that
moment in a private folder (mode 0700).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem
from lnob_pipeline.submissions.readers.typed import typed_text


def read_with(reader: Callable[..., Any], content: bytes, file: DataFile, suffix: str) -> dict[str, SourceTable]:
    """Read with a function of pyreadstat into one table named as the file. Raises ReaderError."""
    with _path_of(content, suffix) as path:
        try:
            frame, metadata = reader(str(path), user_missing=True, output_format="polars")
        except MemoryError:
            raise
        except Exception as error:  # the engine raises plain exceptions of its own; none of their text is passed on
            raise ReaderError(
                file.path,
                "the file does not open as {suffix} ({kind})",
                "save it again in the program that made it, and send the new file",
                suffix=suffix,
                kind=type(error).__name__,
            ) from None
    name = file_stem(file.path)
    texts = frame.select(_as_text(column) for column in frame.iter_columns())
    numbers = pl.Series("row_number", range(1, frame.height + 1), dtype=pl.Int64)
    return {
        name: SourceTable(
            name,
            texts,
            numbers,
            file.path,
            labels={column: text for column, text in metadata.column_names_to_labels.items() if text},
            value_labels={
                column: {_code(code): str(label) for code, label in labels.items()}
                for column, labels in metadata.variable_value_labels.items()
            },
            missing_codes=_missing_codes(metadata),
        )
    }


@contextlib.contextmanager
def _path_of(content: bytes, suffix: str) -> Iterator[Path]:
    """A path under which the engine can open the bytes."""
    if sys.platform == "linux":
        handle = os.memfd_create(f"file{suffix}")
        with os.fdopen(handle, "wb", closefd=False) as stream:
            stream.write(content)
        try:
            yield Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
        return
    with tempfile.TemporaryDirectory(prefix="lnob-") as folder:
        path = Path(folder) / f"file{suffix}"
        path.touch(mode=0o600)
        path.write_bytes(content)
        yield path


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Object:  # Stata: numbers with lettered missing values among them
        return pl.Series(column.name, [None if v is None else _code(v) for v in column], dtype=pl.String)
    return column.to_frame().select(typed_text(column.name, column.dtype)).to_series()


def _code(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _missing_codes(metadata: Any) -> dict[str, list[str]]:
    declared: dict[str, list[str]] = {}
    for column, ranges in metadata.missing_ranges.items():
        ends = [(_code(bound["lo"]), _code(bound["hi"])) for bound in ranges]
        declared[column] = [low if low == high else f"{low} to {high}" for low, high in ends]
    for column, letters in metadata.missing_user_values.items():
        declared.setdefault(column, []).extend(str(letter) for letter in letters)
    return declared
