"""Nothing half-written is visible: runs that are killed while they write, and the run after them.

The kills are SIGKILL to a process of its own: most at a seeded number of writes (a file is on its way to its place, or
has just got there), some after a seeded time.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lnob_pipeline import storage
from lnob_pipeline.pipeline import run_all
from lnob_pipeline.publication.release import verify
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.faults import hand_ins
from lnob_pipeline_tests.faults.hand_ins import NOW
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.thorough import FACTOR

KEYS = ("bgd-2019-named-groups", "mwi-2020-health-score-card", "nga-2020-policy-review")
SEED, BY_WRITES, BY_TIME = 20261123, 6 if FACTOR else 2, 4 if FACTOR else 1
pytestmark = [pytest.mark.repeated, pytest.mark.usefixtures("few_outputs_of_module")]
RUN = """
import os, signal, sys
from lnob_pipeline import storage
from lnob_pipeline.pipeline import run_all
from lnob_pipeline.publication import release
from lnob_pipeline.settings import Settings

release.OUTPUTS = tuple(output for output in release.OUTPUTS if output[0] in sys.argv[3].split(","))
last, flush, seen = int(sys.argv[2]), storage.flush, 0

def counted(path):
    global seen
    seen += 1
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)

storage.flush = counted
print("ready", flush=True)
run_all(Settings.load(), sys.argv[1])
"""


@dataclass
class Killed:
    """A home after its killed runs and the last whole one; `problems` were seen in between."""

    settings: Settings
    kills: int = 0
    problems: list[str] = field(default_factory=list)
    left_behind: int = 0


def start(home: Path, root: Path, writes: int) -> subprocess.Popen[bytes]:
    """A run in a process of its own that kills itself at the given write; 0 for never."""
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"LNOB_HOME": str(home), "PYTHONPATH": str(root), "TMPDIR": str(temporary)}
    environment["POLARS_MAX_THREADS"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, NOW, str(writes), ",".join(FEW)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def make(folder: Path, root: Path) -> Path:
    home = hand_ins.make_home(folder, root)
    for key in KEYS:
        hand_ins.copy_sample(root, home, key)
    private = home / "data" / "lake" / "private"
    private.mkdir(parents=True)
    (private / "linkage.key").write_bytes(bytes(32))  # one key, else the linkage ids of two homes differ
    return home


def sums(settings: Settings) -> dict[str, str]:
    """sha256 of every published Parquet file."""
    latest = settings.published / "latest"
    return {path.name: storage.sha256_file(path) for path in sorted(latest.glob("*.parquet"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Settings:
    settings = hand_ins.settings_of(make(tmp_path_factory.mktemp("undisturbed"), root))
    run_all(settings, NOW)
    return settings


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Killed:
    home = make(tmp_path_factory.mktemp("killed"), root)
    seen = Killed(hand_ins.settings_of(home))
    chance = random.Random(SEED)
    moments: list[tuple[str, float]] = [("writes", chance.randint(2, 40)) for _ in range(BY_WRITES)]
    moments += [("time", chance.uniform(0.1, 3.0)) for _ in range(BY_TIME)]
    chance.shuffle(moments)
    for kind, moment in moments:
        process = start(home, root, int(moment) if kind == "writes" else 0)
        if kind == "time":
            time.sleep(moment)
            process.kill()
        process.communicate(timeout=120)
        seen.kills += process.returncode == -signal.SIGKILL
        seen.left_behind += len(list(seen.settings.lake.rglob(f".*{storage.UNFINISHED}")))
        latest = seen.settings.published / "latest"
        if os.path.lexists(latest):
            seen.problems += verify(latest.resolve())
    process = start(home, root, 0)
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints[-2000:]
    return seen


def test_runs_were_killed(killed: Killed) -> None:
    assert killed.kills >= BY_WRITES
    assert killed.left_behind > 0  # some died in the middle of a file


def test_what_is_published_is_absent_or_whole_after_every_kill(killed: Killed) -> None:
    assert killed.problems == []
    assert verify((killed.settings.published / "latest").resolve()) == []


def test_the_run_after_the_kills_gives_the_undisturbed_bytes(killed: Killed, undisturbed: Settings) -> None:
    assert sums(killed.settings) == sums(undisturbed)
    lake = {
        path.relative_to(undisturbed.lake).as_posix(): storage.sha256_file(path)
        for path in undisturbed.lake.rglob("*")
        if path.is_file()
    }
    again = {
        path.relative_to(killed.settings.lake).as_posix(): storage.sha256_file(path)
        for path in killed.settings.lake.rglob("*")
        if path.is_file()
    }
    differing = {name for name in lake.keys() | again.keys() if lake.get(name) != again.get(name)}
    assert differing == set()


def test_no_temporary_file_is_left(killed: Killed) -> None:
    home = killed.settings.lake.parent.parent
    left = [
        path.relative_to(home).as_posix()
        for folder in (killed.settings.lake, killed.settings.published)
        for path in folder.rglob(".*")
        if path.name != ".lock"
    ]
    assert left == []
    # A library may have made a folder for itself; no file, and so no answer of anybody, lies outside the lake.
    assert [path for path in (home / "tmp").rglob("*") if path.is_file() and b"$FL2" in path.read_bytes()] == []
    assert list((home / "tmp").glob("lnob-*")) == []
