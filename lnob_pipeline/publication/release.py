"""A release: a dated folder that is written whole, checked, and only then shown.

Here: the files of a release, their sums, the swap of `latest`, and the lock. Not here: what may be shown (disclosure),
how the page looks (report), the form of Parquet and DuckDB (storage, warehouse), what a whole release is (verify).

    published/releases/2026-11-22_1a2b3c4d/   one Parquet file a table, all that OUTPUTS write, SHA256SUMS
    published/latest -> releases/2026-11-22_1a2b3c4d

The eight letters are the start of a hash over the Parquet files and the code, so the same is the same release and not
written twice. A folder appears by one rename, `latest` changes by another (rename(2) is atomic), both after fsync(2):
at any moment a reader finds the old release or the new one. A process that dies leaves at most a folder whose name
starts with a dot; the next run removes it. The lock is the kernel's (flock(2)) and dies with its holder. Older releases
are removed after that, under the same lock, as the policy says (history).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication import (
    catalogue,
    changes,
    history,
    open_sdg,
    release_manifest,
    report,
    sdmx,
    statistical_packages,
    tabular,
    workbook,
)
from lnob_pipeline.publication.code_lists import code_lists
from lnob_pipeline.publication.content import ReleaseContent, Writer, WrittenTables
from lnob_pipeline.publication.disclosure import FEWEST_CASES
from lnob_pipeline.publication.verify import SUMS, verify, verify_sums
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES

OUTPUTS: tuple[tuple[str, Writer], ...] = (
    ("csv", tabular.write_csv),
    ("duckdb", tabular.write_duckdb),
    ("sdmx", sdmx.write),
    ("open_sdg", open_sdg.write),
    ("stata_spss", statistical_packages.write),
    ("workbook", workbook.write),
    ("catalogue", catalogue.write),
    ("documentation", tabular.write_documentation),
    ("changes", changes.write),
    ("report", report.write),
)
"""What a release is written as beside Parquet, in this order: name of the part and its writer."""
TEXTS = (".html", ".json", ".md", ".txt", ".yml", ".yaml", ".xml")
"""Files whose text is searched for folders of this machine."""
_BUILDING = ".building-"


class ReleaseError(RuntimeError):
    """The release could not be made; what was published before is untouched. The message says what to do."""


@dataclass(frozen=True)
class Release:
    """path: the folder; hash: sha256 over its Parquet files and the code; changed: `latest` shows something new."""

    path: Path
    hash: str
    changed: bool


def publish(
    tables: Mapping[str, pl.DataFrame | pl.LazyFrame],
    settings: Settings,
    released_at: str,
    provenance: Mapping[str, Any],
    *,
    patience: float = 60.0,
) -> Release:
    """Write the release of `tables` and point `published/latest` at it; do nothing when it is already there.

    tables: one disclosed frame for each of RELEASE_TABLES, by name; one with millions of rows had better be lazy:
    it is never held whole then. released_at: ISO 8601, UTC; its day names the
    folder. provenance: JSON-like facts for manifest.json and the page (submissions with their versions, official
    release, mapping and code version). patience: seconds to wait for another run that is publishing. Raises
    ReleaseError.
    """
    _refuse_what_is_not_public(tables)
    history.check_policy(settings)
    releases = settings.published / "releases"
    with _changing(settings, patience):
        with _building(releases) as folder:
            release = _write(folder, tables, settings, released_at, provenance)
        withdrawn = tables["withdrawals"].lazy().select("submission_id").collect()["submission_id"].to_list()
        _prune(settings, withdrawn, released_at)
        return release


def prune(
    settings: Settings, withdrawn: Collection[str], now: str, *, dry_run: bool = False, patience: float = 60.0
) -> dict[str, str]:
    """Remove the releases that the policy lets go (history.leaving); with dry_run nothing. Release -> why it goes.

    withdrawn: submissions that are withdrawn now. now: ISO 8601, UTC. Raises ReleaseError.
    """
    if dry_run or not (settings.published / "releases").is_dir():
        return history.leaving(history.past(settings.published), history.shown(settings.published), settings, withdrawn)
    with _changing(settings, patience):
        return _prune(settings, withdrawn, now)


def _refuse_what_is_not_public(tables: Mapping[str, pl.DataFrame | pl.LazyFrame]) -> None:
    public = {table.name: table for table in RELEASE_TABLES}
    if tables.keys() != public.keys():
        absent, extra = sorted(public.keys() - tables.keys()), sorted(tables.keys() - public.keys())
        raise ReleaseError(f"a release holds the public tables and no other; absent: {absent}, not public: {extra}")
    for name, frame in tables.items():
        if extra := sorted(set(frame.lazy().collect_schema().names()) - public[name].schema.keys()):
            raise ReleaseError(f"{name} holds columns that are not public: {', '.join(extra)}; disclose it first")
    for name, estimate, cases in (
        ("citizen_estimates", "estimate", "n"),
        ("comparison", "citizen_estimate", "citizen_n"),
    ):
        open_cells = pl.col(estimate).is_not_null() & (pl.col(cases).fill_null(0) < FEWEST_CASES)
        if count := tables[name].lazy().filter(open_cells).collect().height:
            raise ReleaseError(
                f"{name} shows {count} estimate(s) of fewer than {FEWEST_CASES} cases; disclose it first"
            )
    unsafe = tables["disclosure_audit"].lazy().filter(~pl.col("passed").fill_null(value=False)).collect()
    for submission, series in unsafe.select("submission_id", "series").iter_rows():
        raise ReleaseError(f"{submission}, {series}: the disclosure audit did not pass; disclose it first")


def _write(
    folder: Path,
    tables: Mapping[str, pl.DataFrame | pl.LazyFrame],
    settings: Settings,
    released_at: str,
    provenance: Mapping[str, Any],
) -> Release:
    """Fill `folder`, move it to its place and swap `latest`; called with the lock held."""
    mappings = load_mappings(settings.mappings)
    with storage.noted() as notes:
        lists = code_lists(mappings)
        sums = {}
        for table in RELEASE_TABLES:
            path = folder / f"{table.name}.parquet"
            frame = tables[table.name]
            if isinstance(frame, pl.LazyFrame):
                sums[path.name] = storage.write_lazily(frame, table, path, lists)
            else:
                sums[path.name] = storage.write_table(frame, table, path, lists)
        written = WrittenTables(folder)
        versions = (str(provenance.get(name, "")) for name in ("code_version", "mapping_version"))
        stated = "".join([*(f"{sums[name]}  {name}\n" for name in sorted(sums)), *versions])
        digest = hashlib.sha256(stated.encode()).hexdigest()
        latest = settings.published / "latest"
        if found := _sound(folder.parent, digest[:8], latest):
            return Release(found, digest, _point(latest, found))
        place = _free_name(folder.parent, f"{released_at[:10]}_{digest[:8]}")
        previous = latest.resolve() if latest.is_dir() else None
        about = {
            "release": place.name,
            "released_at": released_at,
            "hash": digest,
            "previous": previous.name if previous else None,
            **provenance,
        }
        facts = release_manifest.facts(written, sums, mappings, settings, [name for name, _ in OUTPUTS], about)
        content = ReleaseContent(written, mappings, settings, facts, previous)
        for _, write in OUTPUTS:
            write(folder, content)
    _write_sums(folder, notes, settings)
    if problems := verify(folder):
        raise ReleaseError("the release does not read back as it was written: " + "; ".join(problems))
    _show(folder, place)
    return Release(place, digest, _point(latest, place))


def _write_sums(folder: Path, notes: Mapping[Path, str], settings: Settings) -> None:
    """SHA256SUMS over what was to be written, not over what lies there: verify() compares the two."""
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.resolve(): path.relative_to(folder).as_posix() for path in written}
    if strange := sorted(name for path, name in names.items() if path not in notes):
        raise ReleaseError(f"{', '.join(strange)}: not written through storage, so nobody can say that it is whole")
    for path, name in names.items():
        if name.endswith(TEXTS):
            _refuse_paths(name, path.read_text("utf-8"), settings)
    base = folder.resolve()
    sums = sorted((path.relative_to(base).as_posix(), digest) for path, digest in notes.items() if base in path.parents)
    storage.write_bytes(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums).encode())


def _refuse_paths(name: str, text: str, settings: Settings) -> None:
    values = (getattr(settings, field.name) for field in dataclasses.fields(settings))
    for value in values:
        if isinstance(value, Path) and value.is_absolute() and str(value) in text:
            raise ReleaseError(f"{name} would name a folder of this machine ({value}); take it out of the provenance")


def _sound(releases: Path, start: str, latest: Path) -> Path | None:
    """The release of these tables that is already there, whole. One that is damaged is removed, to be written again.

    Unless `latest` shows it: then it stays till a whole one is shown, so that `latest` always shows something.
    """
    for found in sorted(releases.glob(f"[0-9]*_{start}*")):
        if not found.is_dir():
            continue
        if not verify_sums(found):
            return found
        if not (latest.is_symlink() and latest.readlink().name == found.name):
            aside = found.rename(releases / f"{_BUILDING}damaged-{found.name}")
            shutil.rmtree(aside, ignore_errors=True)
    return None


def _free_name(releases: Path, name: str) -> Path:
    """Where the release goes; a number is added where a damaged release of the same name is still shown."""
    places = itertools.chain([releases / name], (releases / f"{name}-{number}" for number in itertools.count(2)))
    return next(place for place in places if not place.exists())


def _show(folder: Path, place: Path) -> None:
    """Give the folder to everyone, flush it and move it to its place."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        storage.flush(path)
    folder.rename(place)
    storage.flush(place.parent)


def _point(latest: Path, release: Path) -> bool:
    """Make `latest` a relative link to the release, by one rename; return whether it pointed elsewhere."""
    target = Path(release.parent.name) / release.name
    if latest.is_symlink() and latest.readlink() == target:
        return False
    link = latest.with_name(f".{latest.name}-{os.getpid()}")
    link.symlink_to(target)
    link.replace(latest)
    storage.flush(latest.parent)
    return True


def _prune(settings: Settings, withdrawn: Collection[str], now: str) -> dict[str, str]:
    """Remove what the policy lets go; called with the lock held."""
    releases = history.past(settings.published)
    why = history.leaving(releases, history.shown(settings.published), settings, withdrawn)
    try:
        history.remove(settings.published, why, now)
    except OSError as error:
        raise ReleaseError(
            f"older releases could not all be removed below {settings.published}: {error.strerror or error}. What "
            f"`latest` shows is whole; mend the folder, then run again or `lnob release prune`"
        ) from error
    return why


@contextlib.contextmanager
def _changing(settings: Settings, patience: float) -> Iterator[None]:
    """Hold the lock of the published folder; what a run that died has left is removed first. Raises ReleaseError."""
    try:
        (settings.published / "releases").mkdir(parents=True, exist_ok=True)
        with _lock(settings.published, patience):
            _clear_leftovers(settings.published)
            yield
    except (OSError, duckdb.OperationalError, duckdb.FatalException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ReleaseError(
            f"the release could not be written below {settings.published}: {reason}. What was published before is "
            f"untouched; make room or mend the folder's permissions, then run again"
        ) from error


@contextlib.contextmanager
def _building(releases: Path) -> Iterator[Path]:
    """A folder beside the releases that is gone afterwards, unless it was moved to its place."""
    folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=releases))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_leftovers(published: Path) -> None:
    """Remove what a run that died has left; only the holder of the lock may."""
    for folder in (published / "releases").glob(f"{_BUILDING}*"):
        shutil.rmtree(folder, ignore_errors=True)
    for link in published.glob(".latest-*"):
        link.unlink()
    history.clear(published)


@contextlib.contextmanager
def _lock(published: Path, patience: float) -> Iterator[None]:
    """Hold the lock of the published folder; wait for another holder at most `patience` seconds."""
    with (published / ".lock").open("w") as file:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ReleaseError(
                        f"another run is publishing to {published} and has not finished within {patience:.0f} s; "
                        f"wait for it, then run again"
                    ) from None
                time.sleep(0.05)
        yield
