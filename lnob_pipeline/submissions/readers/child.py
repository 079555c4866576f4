"""A process of its own for reading: no file can end, fill or stall the pipeline.

Here belong that process, its limits, and the way tables come back from it; what it runs is `read_here`, as in process.
Engines written in C and Rust end their process where memory runs out (abort(3)) or where a file leads them astray, and
that cannot be caught; so they run where it does no harm. The child gets the bytes of a file in memory that both share
(memfd_create(2)) and gives back JSON, and tables in Arrow's format in sealed memory: nothing is unpickled, and nothing
is written to a disk. (Where a system has no such memory, files without a name take its place.) It knows nothing of the
environment of its parent, and what it prints goes nowhere. One child reads file after file as long as it stays well;
one that grew, failed or ran out of time is not used again.

Limits are those of the kernel (setrlimit(2), alarm(2)): what is read in the child cannot get round them. Where a system
has no /proc (not Linux) the limit of memory is not set. Two replies are never mixed up: one file at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.limits import Limits
from lnob_pipeline.submissions.readers.table import Note, ReaderError, SourceTable

START = "from lnob_pipeline.submissions.readers.child import serve; serve()"
ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",  # threads set address space aside, which counts as memory here
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": str(min(4, os.cpu_count() or 1)),
}
PASSED_ON = ("LD_LIBRARY_PATH", "PYTHONHOME")
"""What some installations of Python cannot start without; all else of the environment stays with the parent."""
LARGE = 250_000_000
"""Bytes of memory from which on a child is not used again: memory once taken is seldom given back."""
LENGTH = struct.Struct("<Q")
ROW = "row_number"

SHORT_OF_MEMORY = re.compile(r"new thread|thread ?pool|alloc|temporarily unavailable|capacity overflow", re.IGNORECASE)
"""What else is said where no memory is left; a library that finds none to be loaded into says ImportError."""

TOO_MUCH_MEMORY = "the file asks for more memory than one file may take ({limit} MB)"
TOO_MUCH_TIME = "the file could not be read to its end within {limit} seconds"
NOT_FIT = "the file breaks the program that reads it"
UNFORESEEN = "the file does not open ({kind})"
SAVE_AGAIN = (
    "open it in the program that made it, delete what does not belong to the table, save it under a new name and send "
    "the new file; divide it if it is very large"
)


class ChildError(RuntimeError):
    """The process that reads files cannot be started or does not answer; no file is at fault."""


class _Child:
    """The process, as its parent sees it."""

    def __init__(self) -> None:
        here = str(Path(__file__).resolve().parents[3])
        paths = [here, *(str(Path(place).resolve()) for place in sys.path)]
        self.parent = os.getpid()
        self.kept = 0
        self.line, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT
                | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
                cwd="/",
            )
        try:
            _receive(self.line)
        except (EOFError, ConnectionError):
            code = self.end()
            raise ChildError(f"the process that reads files does not start (it ended with {code})") from None

    def of_use(self) -> bool:
        """Whether it lives and belongs to this process, not to the one that this was forked from."""
        return self.parent == os.getpid() and self.process.poll() is None

    def fits(self, limits: Limits) -> bool:
        """Whether a file could take no more than its limit out of what the child kept of earlier files."""
        return self.kept <= limits.memory_bytes

    def end(self) -> int:
        """End it; return how it ended (negative: by which signal)."""
        self.line.close()
        try:
            return self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


_lock = threading.Lock()
_children: list[_Child] = []
"""The child that waits for the next file; none before the first."""
_ending: list[_Child] = []
"""Children that are not used any more, until they have ended."""


def read_apart(content: bytes, file: DataFile, limits: Limits | None = None) -> dict[str, SourceTable]:
    """Read a file in the child. Raises ReaderError; ChildError where no child can be had."""
    limits = limits or Limits()
    order = {"file": file.model_dump_json(), "limits": asdict(limits)}
    with _asked(order, content, file.path, limits) as (reply, line):
        return {name: _table(meta, line) for name, meta in reply["tables"].items()}


def cells_apart(content: bytes, path: str, limits: Limits | None = None) -> dict[str, Any]:
    """The sheets of a workbook (spreadsheet.Sheet) by name, read in the child. Raises as `read_apart`."""
    from lnob_pipeline.submissions.readers.spreadsheet import Sheet

    limits = limits or Limits()
    with _asked({"cells": path, "limits": asdict(limits)}, content, path, limits) as (reply, _):
        sheets = reply["sheets"]
        frames = [[pl.Series(str(n), column, pl.String) for n, column in enumerate(s.pop("columns"))] for s in sheets]
        return {s["name"]: Sheet(frame=pl.DataFrame(f), **s) for s, f in zip(sheets, frames, strict=True)}


@contextlib.contextmanager
def _asked(
    order: dict[str, Any], content: bytes, path: str, limits: Limits
) -> Iterator[tuple[dict[str, Any], socket.socket]]:
    """Send an order; give the head of the reply and the line on which the tables follow."""
    with _lock:
        _ending[:] = [child for child in _ending if child.process.poll() is None]
        if _children and _children[0].of_use() and not _children[0].fits(limits):
            _put_away()
        if not _children or not _children[0].of_use():
            _children[:] = [_Child()]
        child = _children[0]
        reusable = False
        try:
            with _memory() as memory:
                memory.write(content)
                memory.flush()
                socket.send_fds(child.line, [b"f"], [memory.fileno()])
            _send(child.line, order)
            reply = _receive(child.line)
            child.kept = reply["kept"]
            if "error" in reply:
                raise _error(reply["error"])
            yield reply, child.line
            reusable = not reply["grown"]
        except ReaderError:
            reusable = not reply["grown"]
            raise
        except (ConnectionError, EOFError, ValueError, pl.exceptions.PolarsError):  # no reply, or one that is none
            raise _ended(child.end(), path, limits) from None
        finally:
            if not reusable:
                _put_away()


def _put_away() -> None:
    """Let the child end, and use it no more."""
    _children[0].line.close()
    _ending.extend(_children)
    _children.clear()


def _ended(code: int, path: str, limits: Limits) -> ReaderError:
    """What a partner is told of a child that ended while it read a file."""
    if code == -signal.SIGALRM:
        return ReaderError(path, TOO_MUCH_TIME, SAVE_AGAIN, limit=limits.seconds)
    if code in (-signal.SIGABRT, -signal.SIGKILL):  # engines abort where memory is refused; the kernel kills
        return ReaderError(path, TOO_MUCH_MEMORY, SAVE_AGAIN, limit=limits.memory_bytes // 1_000_000)
    return ReaderError(path, NOT_FIT, SAVE_AGAIN)


def _error(said: dict[str, Any]) -> ReaderError:
    details = said.pop("details")
    return ReaderError(said["file"], said["problem"], said["mend"], sheet=said["sheet"], row=said["row"], **details)


def _table(meta: dict[str, Any], line: socket.socket) -> SourceTable:
    import pyarrow as pa

    _, handles, _, _ = socket.recv_fds(line, 1, 1)
    if not handles:
        raise EOFError
    with os.fdopen(handles[0], "rb") as memory:
        _seal(memory)
        with pa.memory_map(f"/dev/fd/{memory.fileno()}") as mapped:
            frame = pl.from_arrow(pa.ipc.open_file(mapped).read_all(), rechunk=False)
    if not isinstance(frame, pl.DataFrame):
        raise EOFError
    meta["notes"] = tuple(Note(**note) for note in meta["notes"])
    return SourceTable(frame=frame.select(frame.columns[1:]), row_numbers=frame.to_series(0).alias(ROW), **meta)


@atexit.register
def _end_with_the_parent() -> None:
    for child in (*_children, *_ending):
        if child.of_use():
            child.end()


def _send(line: socket.socket, said: dict[str, Any]) -> None:
    text = json.dumps(said).encode()
    line.sendall(LENGTH.pack(len(text)) + text)


def _receive(line: socket.socket) -> dict[str, Any]:
    """What the other side says. Raises EOFError where it has ended."""
    said: dict[str, Any] = json.loads(_exactly(line, LENGTH.unpack(_exactly(line, LENGTH.size))[0]))
    return said


def _exactly(line: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = line.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _memory() -> IO[bytes]:
    """A file in memory, or one that has no name and goes with its last reader."""
    if sys.platform != "linux":
        return tempfile.TemporaryFile(prefix="lnob-")
    return os.fdopen(os.memfd_create("lnob", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")


def _seal(memory: IO[bytes]) -> None:
    """Nobody changes it any more, the child neither."""
    if sys.platform == "linux":
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)


def serve() -> None:
    """The child: read files as they come, until its parent ends or it has grown."""
    line = _own_line()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no memory image with answers in it
    with contextlib.suppress(OSError):  # where memory is short this process goes first, not its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    pl.DataFrame({"warm": ["up"]}).with_columns(pl.all().replace("", None))  # threads start before memory is counted
    start, grown = _statm()[0], False
    _send(line, {})
    while not grown:
        _, handles, _, _ = socket.recv_fds(line, 1, 1)
        if not handles:
            return
        with os.fdopen(handles[0], "rb") as memory:
            memory.seek(0)
            content = memory.read()
        said, tables = _carried_out(_receive(line), content)
        del content
        grown = _statm()[1] > LARGE
        _send(line, said | {"grown": grown, "kept": _statm()[0] - start})
        for table in tables:
            _hand_over(table, line)


def _hand_over(table: SourceTable, line: socket.socket) -> None:
    """Send a table, its row numbers first."""
    name = ROW
    while name in table.frame.columns:
        name += "_"
    with _memory() as memory:
        frame = table.frame.select(table.row_numbers.alias(name), pl.all())
        frame.write_ipc(f"/dev/fd/{memory.fileno()}")
        socket.send_fds(line, [b"t"], [memory.fileno()])


def _own_line() -> socket.socket:
    """The line to the parent, out of reach of what libraries print and read."""
    line = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    return line


def _carried_out(order: dict[str, Any], content: bytes) -> tuple[dict[str, Any], list[SourceTable]]:
    """Read under the limits: the head of the reply, and the tables that follow it."""
    from lnob_pipeline.submissions.readers import read_here

    limits = Limits(**order["limits"])
    path = order.get("cells", "")
    try:
        with _limited(limits, len(content)):
            if path:
                from lnob_pipeline.submissions.readers.spreadsheet import read_sheets

                sheets = read_sheets(content, path).values()
                parts = ("name", "columns", "merged", "hidden")
                return {"sheets": [{part: getattr(sheet, part) for part in parts} for sheet in sheets]}, []
            file = DataFile.model_validate_json(order["file"])
            path = file.path
            tables = read_here(content, file, limits)
            return {"tables": {name: _meta(table) for name, table in tables.items()}}, list(tables.values())
    except ReaderError as error:
        return {"error": _said(error)}, []
    except BaseException as error:  # engines panic past Exception; their text may hold a cell, so only the kind is told
        if isinstance(error, MemoryError | ImportError) or SHORT_OF_MEMORY.search(str(error)):
            limit = limits.memory_bytes // 1_000_000
            return {"error": _said(ReaderError(path, TOO_MUCH_MEMORY, SAVE_AGAIN, limit=limit))}, []
        return {"error": _said(ReaderError(path, UNFORESEEN, SAVE_AGAIN, kind=type(error).__name__))}, []


@contextlib.contextmanager
def _limited(limits: Limits, size: int) -> Iterator[None]:
    """Memory, time, and bytes that a file in memory may hold (pyreadstat needs one); the alarm ends the process."""
    before, files = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, files[1]))
    if address_space := _statm()[0]:
        resource.setrlimit(resource.RLIMIT_AS, (address_space + limits.memory_bytes, before[1]))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limits.seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, files)


def _statm() -> tuple[int, int]:
    """Address space and memory in use, in bytes; zeros where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0, 0
    return int(pages[0]) * resource.getpagesize(), int(pages[1]) * resource.getpagesize()


def _meta(table: SourceTable) -> dict[str, Any]:
    names = [field.name for field in fields(table) if field.name not in ("frame", "row_numbers")]
    meta = {name: getattr(table, name) for name in names}
    return meta | {"notes": [asdict(note) for note in table.notes]}


def _said(error: ReaderError) -> dict[str, Any]:
    return {
        "file": error.file,
        "problem": error.problem_template,
        "mend": error.mend_template,
        "sheet": error.sheet,
        "row": error.row,
        "details": error.details,
    }
