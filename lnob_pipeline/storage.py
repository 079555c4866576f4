"""The only writer of files: whole or not at all, and the same bytes for the same input.

Here belong atomic writes, private folders, the layout of the lake and the deterministic Parquet form. Meaning of tables
is in tables.py. A file is written beside its place, flushed to disk and renamed, so that a reader or a crash sees the
old file or the new one (rename(2), fsync(2)).

A table that is not public bears a mark, the sha256 of its own bytes: what a disk changed since is noticed when it is
read. (Of a release SHA256SUMS says the same.) A table whose history nothing could make again has a copy beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lnob_pipeline.tables import CodeLists, Table

PRIVATE = 0o700
ROW_GROUP_SIZE = 100_000
UNFINISHED = ".unfinished"
MARKED = "written_bytes"
UNMARKED = b"sha256:" + b"0" * 64
MARK = re.compile(rb"sha256:[0-9a-f]{64}")
_NOTES: ContextVar[dict[Path, str] | None] = ContextVar("sums of the files written", default=None)


class DamagedTableError(OSError):
    """The bytes of a table in the lake are not those that were written. Says which file, and how to mend."""

    def __init__(self, path: Path) -> None:
        copied = f" and {copy_of(path).name}" if copy_of(path).exists() else ""
        super().__init__(
            f"{path.parent.name}/{path.name}{copied} of the lake: damaged, the bytes are not those that were written; "
            "restore it from a backup, or take it away and run `lnob run`, which makes it anew from what it rests on "
            "(a ledger then begins with what lies in the inbox)"
        )


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter (mode 0700), and return it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(PRIVATE)
    return path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success flush it and rename it to `path`, else remove it.

    A temporary file is locked as long as its writer lives (flock(2)); what a killed writer left is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(path.parent)
    temporary, handle = _locked_file(path)
    try:
        yield temporary
        _note(path, lambda: sha256_file(temporary))
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _locked_file(path: Path) -> tuple[Path, int]:
    """A new empty file beside `path`, with a lock that dies with this process."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return Path(name), handle
        os.close(handle)  # another process took it for abandoned before it was locked


def _clear_abandoned(folder: Path) -> None:
    for path in folder.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):  # already gone, or locked by its living writer
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def flush(path: Path) -> None:
    """Force a file's or a folder's content to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def noted() -> Iterator[dict[Path, str]]:
    """Collect the sha256 of every file that this thread writes meanwhile, by its resolved path.

    Of bytes it is the sha256 of what was to be written, of other files that of what lay there before the rename: who
    reads the file afterwards and finds another one knows that the disk, or somebody, changed it.
    """
    notes: dict[Path, str] = {}
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def _note(path: Path, digest: Callable[[], str]) -> None:
    if (notes := _NOTES.get()) is not None:
        notes[path.resolve()] = digest()


def write_bytes(path: Path, content: bytes) -> str:
    """Write bytes whole; return their sha256."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    digest = sha256_bytes(content)
    _note(path, lambda: digest)
    return digest


def write_unseen(path: Path, content: bytes) -> None:
    """Write bytes into a folder that nobody sees yet, and that its owner flushes and renames as a whole at the end.

    For many small files: each one flushed and renamed by itself takes long and saves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    _note(path, lambda: sha256_bytes(content))


def sha256_bytes(content: bytes) -> str:
    """The sha256 of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def in_form(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The frame with the table's columns, order and types, sorted by its key and then by every other column.

    Raises pl.exceptions.PolarsError where a column is absent or a value does not fit its type.
    """
    return _as_text(_ordered(frame, table), table)


def _ordered(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The columns and rows of `in_form`; columns of codes (Enum) and absent ones (Null) may not be text yet."""
    extra = [name for name in frame.columns if name not in table.schema] if table.open else []
    compact = [name for name in table.schema if isinstance(frame.schema.get(name), pl.Enum | pl.Null)]
    shaped = frame.select(
        *(name if name in compact else pl.col(name).cast(kind) for name, kind in table.schema.items()), *sorted(extra)
    )
    if _ascends(shaped, table.key):
        return shaped
    if not shaped.select(table.key).is_duplicated().any():
        return shaped.sort(table.key, nulls_last=True)
    carried = [name for name in shaped.columns if shaped[name].null_count() < shaped.height]  # the others order nothing
    keys = [*table.key, *(name for name in carried if name not in table.key)]
    return _as_text(shaped, table).sort(keys, nulls_last=True, maintain_order=True)


def _ascends(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether each row comes after the one before it by its key, nulls last: then it is in order, and no key twice.

    Looked at in slices, of which each begins with the last row of the one before: shifted columns are copies.
    """
    later, same = pl.lit(value=False), pl.lit(value=True)
    for name in key:
        here, before = pl.col(name), pl.col(name).shift(1)
        higher = (before < here).fill_null(before.is_not_null() & here.is_null())
        later, same = later | (same & higher), same & before.eq_missing(here)
    slices = (frame.slice(start, ROW_GROUP_SIZE + 1) for start in range(0, frame.height - 1, ROW_GROUP_SIZE))
    return all(part.lazy().select(later.slice(1).all()).collect().item() for part in slices)


def _as_text(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    return frame.with_columns(pl.col(name).cast(kind) for name, kind in table.schema.items())


def write_table(
    frame: pl.DataFrame, table: Table, path: Path, code_lists: CodeLists | None = None, *, shaped: bool = False
) -> str:
    """Write one Parquet file of a table (zstd, descriptions in the Arrow metadata); return its sha256.

    code_lists: those that stand in the metadata of the coded columns. shaped: the frame is
    what in_form() gave already, so that nothing is to be sorted. One row group at a time becomes text: a large
    survey with many codes takes little memory till then.
    """
    return _write(iter([frame if shaped else _ordered(frame, table)]), table, path, code_lists=code_lists)


def write_stream(frames: Iterable[pl.DataFrame], table: Table, path: Path) -> str:
    """Write the file that `write_table` would write of all frames together, without holding them together.

    The first column of the key has no nulls and ascends from frame to frame; within one value of it rows come in any
    order, also across frames. Frames of an open table carry the same source columns. Raises ValueError otherwise.
    """
    return _write((_ordered(part, table) for part in _whole_values(frames, table.key[0])), table, path, table.empty())


def write_lazily(frame: pl.LazyFrame, table: Table, path: Path, code_lists: CodeLists | None = None) -> str:
    """Write the file that `write_table` would write of the rows of a frame, without ever holding all of them.

    It is read once for each value of the first column of the key.
    """
    first = pl.col(table.key[0])
    values = frame.select(first.unique().sort(nulls_last=True)).collect().to_series()
    has = (first.is_null() if value is None else first == value for value in values)  # the reader skips row groups
    parts = (_ordered(frame.filter(one).collect(), table) for one in has)
    return _write(parts, table, path, table.empty(), code_lists)


def _whole_values(frames: Iterable[pl.DataFrame], column: str) -> Iterator[pl.DataFrame]:
    """The same rows, cut where the value of a column changes, so that each part can be sorted by itself."""
    waiting: list[pl.DataFrame] = []  # rows of `last`, the highest value so far: more of them may come
    last = ""
    for frame in frames:
        if frame.is_empty():
            continue
        values = frame[column].cast(pl.String)
        if values.has_nulls():
            raise ValueError(f"a row has no {column}, by which the rows are written in order")
        for part in (frame.filter(values != values.max()), frame.filter(values == values.max())):
            if part.is_empty():
                continue
            first, top = str(part[column].cast(pl.String).min()), str(part[column].cast(pl.String).max())
            if waiting and first < last:
                raise ValueError(f"{column} {first} comes after {last}; the rows have to come in ascending order of it")
            if waiting and first > last:
                yield _joined(waiting)
                waiting = []
            waiting.append(part)
            last = top
    if waiting:
        yield _joined(waiting)


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame of several, whose columns of codes may list other codes."""
    return frames[0] if len(frames) == 1 else pl.concat([frame.cast({pl.Enum: pl.String}) for frame in frames])


def _write(
    parts: Iterator[pl.DataFrame],
    table: Table,
    path: Path,
    none: pl.DataFrame | None = None,
    code_lists: CodeLists | None = None,
) -> str:
    """Write parts in the form of `_ordered`, one after the other; `none` stands for no part at all."""
    if table.visibility != "public":
        private_folder(path.parent)
    first = next(parts, none)
    if first is None:
        raise ValueError(f"table {table.name}: nothing to write")
    schema = table.arrow(first.columns, code_lists)
    with written_whole(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            if table.visibility != "public":
                writer.add_key_value_metadata({MARKED: UNMARKED.decode()})
            for group in _row_groups(itertools.chain([first], parts), table):
                arrow = group.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
                writer.write_table(arrow, ROW_GROUP_SIZE)
        if table.visibility != "public":
            _mark(temporary)
        return sha256_file(temporary)


def _row_groups(parts: Iterable[pl.DataFrame], table: Table) -> Iterator[pl.DataFrame]:
    """The rows of all parts as text, `ROW_GROUP_SIZE` at a time and the rest last; one empty group for no rows."""
    waiting: list[pl.DataFrame] = []
    held = 0
    for part in parts:
        start = 0
        while start < part.height or not (waiting or start):
            piece = _as_text(part.slice(start, ROW_GROUP_SIZE - held), table)
            waiting.append(piece)
            held += piece.height
            start += piece.height
            if held == ROW_GROUP_SIZE:
                yield pl.concat(waiting)
                waiting, held = [], 0
    if waiting:
        yield pl.concat(waiting)


def _mark(path: Path) -> None:
    """Put the sha256 of a file into its place in the footer; it is that of the file with zeros in this place."""
    digest, footer = _hashed(path)
    digest.update(footer)
    with path.open("r+b") as stream:
        stream.seek(footer.rindex(UNMARKED) - len(footer), os.SEEK_END)
        stream.write(UNMARKED[:7] + digest.hexdigest().encode())


def _hashed(path: Path) -> tuple[hashlib._Hash, bytes]:
    """The sha256 so far of a Parquet file without its footer, and the footer."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 8, 0))
        length = int.from_bytes(stream.read(4), "little") + 8
        left = max(size - length, 0)
        stream.seek(0)
        while left:
            chunk = stream.read(min(left, 1 << 20))
            digest.update(chunk)
            left -= len(chunk)
        return digest, stream.read()


def is_intact(path: Path) -> bool:
    """Whether a file of a table holds the bytes that were written; one from before there were marks: page by page."""
    digest, footer = _hashed(path)
    if marks := list(MARK.finditer(footer)):
        start, end = marks[-1].span()
        digest.update(footer[:start] + UNMARKED + footer[end:])
        return digest.hexdigest().encode() == footer[start + 7 : end]
    content = path.read_bytes()
    if MARKED.encode() in content or UNMARKED[:7] in content:
        return False
    try:
        pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError):
        return False
    return True


def copy_of(path: Path) -> Path:
    """Where the copy of a file of a table lies, if it is kept twice."""
    return path.with_name(f"{path.name}.copy")


def intact_file(path: Path) -> Path | None:
    """The file of a table, or its copy where the file is damaged or lost; None where there is neither.

    Raises DamagedTableError where none of them is intact.
    """
    found = [file for file in (path, copy_of(path)) if file.exists()]
    if not found:
        return None
    for file in found:
        if is_intact(file):
            return file
    raise DamagedTableError(path)


def table_path(lake: Path, table: Table, partition: str | None = None) -> Path:
    """Where a table lies in the lake: <lake>/<table>.parquet, or <lake>/<table>/<submission>.parquet."""
    if table.partitioned != (partition is not None):
        raise ValueError(f"table {table.name}: {'needs' if table.partitioned else 'has no'} partition")
    return lake / table.name / f"{partition}.parquet" if partition else lake / f"{table.name}.parquet"


def read_table(lake: Path, table: Table, partition: str | None = None) -> pl.DataFrame:
    """Read one file of a table; an absent file is an empty table. Raises DamagedTableError."""
    path = intact_file(table_path(lake, table, partition))
    return pl.read_parquet(path.read_bytes()) if path else table.empty()


def scan_table(lake: Path, table: Table) -> pl.LazyFrame:
    """One file of a table of which nothing is read yet but its sum, for a table that can have millions of rows.

    Raises DamagedTableError.
    """
    path = intact_file(table_path(lake, table))
    return pl.scan_parquet(path, glob=False) if path else table.empty().lazy()


def read_partitions(lake: Path, table: Table, partitions: list[str]) -> pl.DataFrame:
    """Read the given partitions of a table in the order given; absent files are left out."""
    frames = [read_table(lake, table, key) for key in partitions if table_path(lake, table, key).exists()]
    return pl.concat([table.empty(), *frames], how="diagonal" if table.open else "vertical")


def partitions(lake: Path, table: Table) -> list[str]:
    """The partitions of a table that have a file or a copy, sorted."""
    names = (path.name.removesuffix(".copy") for path in (lake / table.name).glob("*.parquet*"))
    return sorted({name.removesuffix(".parquet") for name in names if name.endswith(".parquet")})


def read_all(lake: Path, table: Table) -> pl.DataFrame:
    """All partitions of a table, in the order of their names; read at once, as they may be many."""
    files = [intact_file(table_path(lake, table, key)) for key in partitions(lake, table)]
    return pl.read_parquet([file for file in files if file]) if files else table.empty()
