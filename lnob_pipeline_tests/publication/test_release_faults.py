"""Publishing and pruning under SIGKILL, a full disk and two runs at once: `latest` is the old release or the new one.

Each fault happens to a real process. The kills come at seeded moments of the wall clock, spread over the time that an
undisturbed run takes, so also in the middle of a file or of a removal; test_release.py kills at changes of the disk.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.publication import history
from lnob_pipeline.publication.release import ReleaseError, publish, verify
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT
from lnob_pipeline_tests.thorough import FACTOR

Tables = dict[str, pl.DataFrame]
SEED, KILLS = 20261124, 24 if FACTOR else 4
pytestmark = pytest.mark.usefixtures("few_outputs")

RUN = """
import pickle, resource, sys
from lnob_pipeline.publication import release
tables, settings, provenance, released_at = pickle.load(open(sys.argv[1], "rb"))
release.OUTPUTS = tuple(output for output in release.OUTPUTS if output[0] in sys.argv[2].split(","))
if sys.argv[3] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
print("ready", flush=True)
try:
    release.publish(tables, settings, released_at, provenance)
except release.ReleaseError as error:
    print(f"refused|{error}", flush=True)
else:
    print("published", flush=True)
"""


def changed(tables: Tables, size: int) -> Tables:
    """The same tables with another planned size: another release."""
    return tables | {"sources": tables["sources"].with_columns(n_planned=pl.lit(size, pl.Int32))}


def start(
    folder: Path, tables: Tables, settings: Settings, released_at: str = RELEASED_AT, file_bytes: int = 0
) -> subprocess.Popen[str]:
    """Publish in another process, which is ready to begin; it may write no file longer than `file_bytes`, 0 for any."""
    given = folder / "given.pickle"
    given.write_bytes(pickle.dumps((tables, settings, PROVENANCE, released_at)))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(given), ",".join(FEW), str(file_bytes)],
        cwd=HOME, env=os.environ | {"POLARS_MAX_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def state(settings: Settings) -> tuple[str | None, list[str]]:
    """What `latest` shows, and what is wrong with it or with any other release that is there."""
    latest = history.shown(settings.published)
    assert latest is not None or not os.path.lexists(settings.published / "latest")
    folders = sorted((settings.published / "releases").glob("2*[0-9a-f]"))
    return latest, [problem for folder in folders if folder.is_dir() for problem in verify(folder)]


def leftovers(settings: Settings) -> list[str]:
    found = [*settings.published.glob("releases/.*"), *settings.published.glob(".latest*")]
    return sorted(path.name for path in found)


def releases(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.published / "releases").iterdir() if path.is_dir())


@pytest.mark.repeated
def test_sigkill_at_seeded_moments_of_publishing_and_pruning(small: Tables, settings: Settings, tmp_path: Path) -> None:
    """Every run publishes something new and removes the oldest of two: a kill falls into either."""
    policy = dataclasses.replace(settings, keep_releases="2")
    for size in (1, 2):
        publish(changed(small, size), policy, f"2026-11-{size:02d}T00:00:00Z", PROVENANCE)
    process = start(tmp_path, changed(small, 3), policy, "2026-11-03T00:00:00Z")
    running = time.monotonic()
    assert process.communicate(timeout=120)[0] == "published\n"
    whole = time.monotonic() - running
    assert whole < 60
    chance = random.Random(SEED)
    killed, seen = 0, set()
    for number in range(KILLS):
        before, _ = state(policy)
        size = 4 + number
        process = start(tmp_path, changed(small, size), policy, f"2026-12-{size:02d}T00:00:00Z")
        time.sleep(moment := whole * chance.uniform(0.02, 1.0))
        process.kill()
        process.communicate(timeout=120)
        killed += process.returncode == -signal.SIGKILL
        if not process.returncode:  # it had ended: the machine is faster than it was
            whole = moment
        latest, problems = state(policy)
        assert problems == []
        assert latest == before or (latest is not None and latest.startswith(f"2026-12-{size:02d}"))
        seen.add(latest == before)
    assert killed >= KILLS // 2
    assert True in seen  # some died before the swap
    last = publish(changed(small, 99), policy, "2026-12-31T00:00:00Z", PROVENANCE)
    assert state(policy) == (last.path.name, [])
    assert leftovers(policy) == []
    assert len(releases(policy)) == 2
    stones = [item for item in history.past(policy.published) if item.folder is None]
    assert stones and all(item.why == "keep_releases is 2" and not item.problem for item in stones)


PRUNE = """
import os, pickle, signal, sys
from pathlib import Path
from lnob_pipeline import storage
from lnob_pipeline.publication import release
settings, withdrawn, left = *pickle.load(open(sys.argv[1], "rb")), int(sys.argv[2])

def dying(function):
    def wrapper(*arguments, **keywords):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)
    return wrapper

storage.flush = dying(storage.flush)
os.unlink, os.rmdir = dying(os.unlink), dying(os.rmdir)  # what shutil.rmtree calls for each file
for name in ("rename", "replace", "unlink"):
    setattr(Path, name, dying(getattr(Path, name)))
release.prune(settings, withdrawn, "2027-01-01T00:00:00Z")
print(left, flush=True)
"""


def prune(folder: Path, settings: Settings, withdrawn: list[str], steps: int) -> tuple[int, str]:
    """Prune in another process that kills itself before its change of the disk number `steps`; exit code, output."""
    given = folder / "prune.pickle"
    given.write_bytes(pickle.dumps((settings, withdrawn)))
    done = subprocess.run(
        [sys.executable, "-c", PRUNE, str(given), str(steps)],
        cwd=HOME, env=os.environ | {"POLARS_MAX_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.repeated
def test_sigkill_while_pruning_loses_no_tombstone(small: Tables, settings: Settings, tmp_path: Path) -> None:
    for size in (1, 2, 3):
        publish(changed(small, size), settings, f"2026-11-{size:02d}T00:00:00Z", PROVENANCE)
    names = releases(settings)
    policy = dataclasses.replace(settings, keep_releases="1")
    original = tmp_path / "original"
    shutil.copytree(policy.published, original, symlinks=True)
    code, output = prune(tmp_path, policy, [], 10**6)
    assert code == 0
    changes = 10**6 - int(output)
    assert changes > 20
    held = {item.name: item.held for item in history.past(original)}
    chance = random.Random(SEED)
    for step in sorted(chance.sample(range(changes), 20 if FACTOR else 3)):
        shutil.rmtree(policy.published)
        shutil.copytree(original, policy.published, symlinks=True)
        assert prune(tmp_path, policy, [], step)[0] == -signal.SIGKILL
        assert state(policy) == (names[-1], [])
        assert {item.name: item.held for item in history.past(policy.published)} == held  # there, or its tombstone
        assert prune(tmp_path, policy, [], 10**6)[0] == 0
        assert releases(policy) == names[-1:] and leftovers(policy) == []
        assert {item.name: item.held for item in history.past(policy.published)} == held


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs can be mounted by root alone")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_anywhere_leaves_the_old_release(
    small: Tables, settings: Settings, little_disk: Path
) -> None:
    policy = dataclasses.replace(settings, published=little_disk / "published")
    old = publish(small, policy, RELEASED_AT, PROVENANCE)
    filler = little_disk / "filler"
    free = shutil.disk_usage(little_disk).free
    chance = random.Random(SEED)
    refused = 0
    for size in sorted(chance.randrange(4_096, free) for _ in range(10)):
        filler.write_bytes(bytes(free - size))
        try:
            publish(changed(small, size), policy, RELEASED_AT, PROVENANCE)
        except ReleaseError as error:
            refused += 1
            assert "untouched" in str(error)
            assert state(policy) == (old.path.name, [])
            assert leftovers(policy) == []
        else:
            break  # as much as a release takes; from here on it is shown
        finally:
            filler.unlink()
    assert refused >= 3
    last = publish(changed(small, 7), dataclasses.replace(policy, keep_releases="1"), RELEASED_AT, PROVENANCE)
    assert state(policy) == (last.path.name, [])


def test_a_file_that_cannot_grow_leaves_the_old_release(small: Tables, settings: Settings, tmp_path: Path) -> None:
    """The kernel refuses every write past a length (RLIMIT_FSIZE): of the longest files first, then of any."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    old = publish(small, settings, RELEASED_AT, PROVENANCE)
    lengths = sorted({path.stat().st_size for path in old.path.rglob("*") if path.is_file()})
    places = [lengths[0] - 1, lengths[len(lengths) // 3], lengths[len(lengths) * 2 // 3], lengths[-2]]
    for number, length in enumerate(places):
        output, _ = start(tmp_path, changed(small, number), settings, file_bytes=length).communicate(timeout=120)
        assert output.startswith("refused|") and "untouched" in output
        assert state(settings) == (old.path.name, [])
        assert leftovers(settings) == []


@pytest.mark.thorough
def test_two_publishers_at_once_many_times(small: Tables, settings: Settings, tmp_path: Path) -> None:
    policy = dataclasses.replace(settings, keep_releases="3")
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    for turn in range(3):
        processes = [
            start(folder, changed(small, 10 * turn + place), policy, f"2026-12-{turn + 1:02d}T00:00:00Z")
            for place, folder in enumerate(folders)
        ]
        while any(process.poll() is None for process in processes):
            latest = policy.published / "latest"
            assert not latest.exists() or verify(latest.resolve()) == []  # what nobody shows may be on its way out
            time.sleep(0.2)
        assert [process.communicate(timeout=120)[0] for process in processes] == ["published\n"] * 2
        assert leftovers(policy) == []
    assert len(releases(policy)) == 3
