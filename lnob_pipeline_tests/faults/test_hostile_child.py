"""The process that reads files: what it gives back, and what it keeps from the pipeline."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xlsxwriter

from lnob_pipeline.submissions.manifest import DataFile, parse_manifest
from lnob_pipeline.submissions.readers import Limits, ReaderError, SourceTable, child, delimited, read_file, read_here
from lnob_pipeline.submissions.readers.child import read_apart

CSV = DataFile(path="answers.csv", role="data", format="csv", delimiter=",")
SMALL = b"a,b\n1,x\n"
LARGE = b"a,b,c,d\n" + b'1,"he said ""yes""",42,x\n' * 400_000
"""Enough quotes to take a tenth of a second or more, on any machine."""
SLOW = LARGE * 20 + b"1,2,3,4\r5,6,7,8\n"
"""A return alone, which the fast engine cannot read: seconds on any machine."""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A child of this test alone."""
    while child._children:
        child._children.pop().end()
    for one in child._ending:
        one.process.wait(60)
    child._ending.clear()
    yield


def pid() -> int:
    """The child that waits for the next file."""
    return child._children[0].process.pid


def kill_at_work(process: int, end: int) -> None:
    """Send a signal once the process has worked for some hundredths of a second more: it reads."""

    def worked() -> int:
        return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))

    before, last = worked(), time.monotonic() + 60
    while worked() < before + 25 and time.monotonic() < last:
        time.sleep(0.005)
    os.kill(process, end)


def same(left: dict[str, SourceTable], right: dict[str, SourceTable]) -> bool:
    parts = ("name", "file", "sheet", "labels", "value_labels", "missing_codes", "notes")
    return list(left) == list(right) and all(
        left[name].frame.equals(right[name].frame)
        and left[name].frame.schema == right[name].frame.schema
        and left[name].row_numbers.equals(right[name].row_numbers)
        and [getattr(left[name], part) for part in parts] == [getattr(right[name], part) for part in parts]
        for name in left
    )


def test_every_bundled_file_reads_as_in_process(root: Path) -> None:
    formats = set()
    for manifest in sorted((root / "data" / "submissions").glob("*/*/submission.yaml")):
        for file in parse_manifest(manifest.read_bytes(), manifest.name).files:
            content = (manifest.parent / file.path).read_bytes()
            assert same(read_apart(content, file), read_here(content, file)), file
            formats.add(file.format)
    assert {"kobo_xlsx", "spss", "stata", "odk_zip", "csv", "score_card"} <= formats


def test_an_error_comes_back_with_all_its_parts() -> None:
    with pytest.raises(ReaderError) as apart:
        read_apart(b"a,b\n1,2\n1,2,3\n", CSV)
    with pytest.raises(ReaderError) as here:
        read_here(b"a,b\n1,2\n1,2,3\n", CSV)
    assert vars(apart.value) == vars(here.value) and str(apart.value) == str(here.value)
    assert apart.value.row == 3 and apart.value.details["cells"] == 3


def test_one_child_reads_file_after_file_and_survives_bad_ones() -> None:
    read_apart(SMALL, CSV)
    first = pid()
    with pytest.raises(ReaderError):
        read_apart(b"PK\x03\x04", CSV)
    assert read_apart(SMALL, CSV)["answers"].frame.rows() == [("1", "x")] and pid() == first


def test_too_much_memory_is_refused_and_the_next_file_is_read() -> None:
    with pytest.raises(ReaderError, match=r"more memory than one file may take \(10 MB\)"):
        read_apart(LARGE, CSV, Limits(memory_bytes=10_000_000))
    assert read_apart(SMALL, CSV)


def test_an_engine_that_aborts_ends_the_child_alone() -> None:
    """The last corner of a sheet makes the engine ask for 549 GB; the limit on cells, which catches it, is lifted."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write(1_048_575, 16_383, "x")
    file = DataFile(path="a.xlsx", role="data", format="xlsx")
    with pytest.raises(ReaderError, match="more memory"):
        read_apart(stream.getvalue(), file, Limits(cells=10**12))
    assert read_apart(SMALL, CSV)


def test_too_much_time_is_refused_and_the_next_file_is_read() -> None:
    started = time.monotonic()
    with pytest.raises(ReaderError, match="within 1 seconds"):
        read_apart(SLOW, CSV, Limits(seconds=1, memory_bytes=20_000_000_000))
    assert time.monotonic() - started < 15
    assert read_apart(SMALL, CSV)


@pytest.mark.parametrize(
    ("end", "words"), [(signal.SIGSEGV, "breaks the program"), (signal.SIGKILL, "more memory")], ids=["crash", "kernel"]
)
def test_a_child_that_dies_while_reading_is_told_of_as_a_file_that_cannot_be_read(end: int, words: str) -> None:
    read_apart(SMALL, CSV)
    killer = threading.Thread(target=kill_at_work, args=(pid(), end))
    killer.start()
    with pytest.raises(ReaderError, match=words):
        read_apart(LARGE * 20, CSV, Limits(memory_bytes=20_000_000_000))
    killer.join()
    assert read_apart(SMALL, CSV)


def test_a_child_that_died_while_it_waited_is_replaced() -> None:
    read_apart(SMALL, CSV)
    first = pid()
    os.kill(first, signal.SIGKILL)
    child._children[0].process.wait()
    assert read_apart(SMALL, CSV) and pid() != first


def test_a_child_that_has_grown_is_not_used_again() -> None:
    read_apart(SMALL, CSV)
    first = pid()
    wide = b"a,b\n" + (b"x" * 900_000 + b",1\n") * 350
    assert read_apart(wide, CSV)["answers"].frame.height == 350
    read_apart(SMALL, CSV)
    assert pid() != first


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_the_child_knows_no_secret_and_leaves_no_image_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_KOBO_TOKEN", "a-very-secret-token")
    read_apart(SMALL, CSV)
    process = Path("/proc", str(pid()))
    assert b"secret" not in (process / "environ").read_bytes()
    assert b"secret" not in (process / "cmdline").read_bytes()
    core = next(line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core file size"))
    assert core.split()[4] == "0"
    assert (process / "oom_score_adj").read_text().strip() == "1000"
    assert (process / "cwd").readlink() == Path("/")
    places = {(process / "fd" / name).readlink().as_posix() for name in ("0", "1", "2")}
    assert places == {"/dev/null"}


def test_the_child_ends_with_its_parent() -> None:
    code = (
        "import os\nfrom lnob_pipeline.submissions.manifest import DataFile\n"
        "from lnob_pipeline.submissions.readers import child\n"
        "child.read_apart(b'a,b\\n1,2\\n', DataFile(path='a.csv', role='data', format='csv'))\n"
        "print(child._children[0].process.pid, flush=True)\nos._exit(1)\n"
    )
    root = Path(child.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=root, check=False
    )
    orphan = Path("/proc", done.stdout.strip())
    for _ in range(100):
        if not orphan.exists() or "Z" in (orphan / "stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the child still lives")


def test_several_threads_get_their_own_tables() -> None:
    found: dict[int, list[tuple[object, ...]]] = {}

    def read(number: int) -> None:
        found[number] = read_apart(b"a,b\n%d,x\n" % number, CSV)["answers"].frame.rows()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [(str(number), "x")] for number in range(8)}


def test_a_limit_of_cells_holds_for_every_format() -> None:
    with pytest.raises(ReaderError, match="4 cells, at most 3"):
        read_apart(b"a,b\n1,2\n3,4\n", CSV, Limits(cells=3))
    with pytest.raises(ReaderError, match="columns, at most 1"):
        read_apart(SMALL, CSV, Limits(columns=1))


def test_plain_text_is_read_without_a_child_and_other_text_in_it() -> None:
    assert read_file(SMALL, CSV)["answers"].frame.rows() == [("1", "x")] and not child._children
    assert read_file("a,b\n1,é\n".encode("cp1252"), CSV.model_copy(update={"encoding": "windows-1252"}))
    assert not child._children
    odd = b'a,b\n1,x"y\n'  # the fast engine drops a quotation mark here
    assert read_file(odd, CSV)["answers"].frame.rows() == [("1", 'x"y')] and child._children


@pytest.mark.parametrize(
    "content",
    [
        b"a" + b",b" * 9_000 + b"\n" + b"1\n" * 30_000,  # every row becomes as wide as the first: 270 million cells
        b'"a' + b",b\n" * 2_000 + b'"',  # the first row has no end within what is looked at
        LARGE,
    ],
    ids=["wide", "endless", "limit"],
)
def test_text_that_could_take_more_than_the_limit_is_not_read_without_a_child(content: bytes) -> None:
    assert not child._ending
    with contextlib.suppress(ReaderError):
        read_file(content, CSV, Limits(memory_bytes=60_000_000))
    assert child._children or child._ending


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
@pytest.mark.parametrize("content", [LARGE, b"a,b\n" + b"1,2\n" * 2_000_000, b"a,b\n" + b"x" * 99_999 + b",1\n"])
def test_plain_text_takes_no_more_than_was_reckoned(content: bytes) -> None:
    """The address space of a process may grow by what was reckoned and no more, and the text is read in it.

    Threads set address space aside without using it (arenas of malloc(3)), so they share one arena here.
    """
    reckoned = int(delimited._memory_needed(content, content.count(b"\n"), ","))
    code = (
        "import sys\nfrom lnob_pipeline.submissions.manifest import DataFile\n"
        "from lnob_pipeline.submissions.readers import child, read_here, Limits\n"
        "file = DataFile(path='a.csv', role='data', format='csv', delimiter=',')\n"
        "content = sys.stdin.buffer.read()\nread_here(b'a,b\\n1,2\\n', file)\n"
        f"with child._limited(Limits(memory_bytes={reckoned} + 64_000_000), len(content)):\n"
        "    print(read_here(content, file)['a'].frame.height)\n"
    )
    root = Path(child.__file__).parents[3]
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], input=content, capture_output=True, cwd=root, env=environment, check=True
    )
    assert int(done.stdout) == content.count(b"\n") - 1


def test_what_a_child_kept_of_one_file_is_not_there_for_the_next_to_take() -> None:
    read_apart(SMALL + b'2,"y"\n' * 2_000_000, CSV)
    first, kept = pid(), child._children[0].kept
    assert kept > 1_000_000
    read_apart(SMALL, CSV, Limits(memory_bytes=kept))
    assert pid() == first
    with pytest.raises(ReaderError, match="more memory than one file may take"):
        read_apart(SMALL + b'2,"y"\n' * 2_000_000, CSV, Limits(memory_bytes=1_000_000))
    assert not child._children or pid() != first
