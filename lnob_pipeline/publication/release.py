"""A release: a dated folder that is written whole, checked, and only then shown.

Here: the files of a release, their sums, the swap of `latest`, and the lock. Not here: what may be shown (disclosure),
how the page looks (report), the form of Parquet and DuckDB (storage, warehouse).

    published/releases/2026-11-22_1a2b3c4d/   one Parquet file a table, all that OUTPUTS write, SHA256SUMS
    published/latest -> releases/2026-11-22_1a2b3c4d

The eight letters are the start of a hash over the Parquet files and the code, so the same is the same release and not
written twice. A folder appears by one rename, `latest` changes by another (rename(2) is atomic), both after fsync(2):
at any moment a reader finds the old release or the new one. A process that dies leaves at most a folder whose name
starts with a dot; the next run removes it. The lock is the kernel's (flock(2)) and dies with its holder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication import report, tabular
from lnob_pipeline.publication.content import ReleaseContent, Writer
from lnob_pipeline.publication.disclosure import FEWEST_CASES
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES

SUMS = "SHA256SUMS"
OUTPUTS: tuple[tuple[str, Writer], ...] = (
    ("csv", tabular.write_csv),
    ("duckdb", tabular.write_duckdb),
    ("report", report.write),
    ("documentation", tabular.write_documentation),
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
    tables: Mapping[str, pl.DataFrame],
    settings: Settings,
    released_at: str,
    provenance: Mapping[str, Any],
    *,
    patience: float = 60.0,
) -> Release:
    """Write the release of `tables` and point `published/latest` at it; do nothing when it is already there.

    tables: one disclosed frame for each of RELEASE_TABLES, by name. released_at: ISO 8601, UTC; its day names the
    folder. provenance: JSON-like facts for manifest.json and the page (submissions with their versions, official
    release, mapping and code version). patience: seconds to wait for another run that is publishing. Raises
    ReleaseError.
    """
    _refuse_what_is_not_public(tables)
    releases = settings.published / "releases"
    try:
        releases.mkdir(parents=True, exist_ok=True)
        with _lock(settings.published, patience):
            _clear_leftovers(settings.published)
            with _building(releases) as folder:
                return _write(folder, tables, settings, released_at, provenance)
    except (OSError, duckdb.IOException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ReleaseError(
            f"the release could not be written below {settings.published}: {reason}. What was published before is "
            f"untouched; make room or mend the folder's permissions, then run again"
        ) from error


def verify(folder: Path) -> list[str]:
    """Check a release against its SHA256SUMS. Returns one sentence for each problem, none when all is well."""
    if not (folder / SUMS).is_file():
        return [f"{folder.name}: {SUMS} is missing"]
    expected = {}
    for line in (folder / SUMS).read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {SUMS}
    return [
        *(f"{folder.name}: {name} is missing" for name in sorted(expected.keys() - present)),
        *(f"{folder.name}: {name} is not listed in {SUMS}" for name in sorted(present - expected.keys())),
        *(
            f"{folder.name}: {name} is not what was published"
            for name in sorted(expected.keys() & present)
            if storage.sha256_file(folder / name) != expected[name]
        ),
    ]


def _refuse_what_is_not_public(tables: Mapping[str, pl.DataFrame]) -> None:
    public = {table.name: table for table in RELEASE_TABLES}
    if tables.keys() != public.keys():
        absent, extra = sorted(public.keys() - tables.keys()), sorted(tables.keys() - public.keys())
        raise ReleaseError(f"a release holds the public tables and no other; absent: {absent}, not public: {extra}")
    for name, frame in tables.items():
        if extra := sorted(set(frame.columns) - public[name].schema.keys()):
            raise ReleaseError(f"{name} holds columns that are not public: {', '.join(extra)}; disclose it first")
    for name, estimate, cases in (
        ("citizen_estimates", "estimate", "n"),
        ("comparison", "citizen_estimate", "citizen_n"),
    ):
        open_cells = pl.col(estimate).is_not_null() & (pl.col(cases).fill_null(0) < FEWEST_CASES)
        if count := tables[name].filter(open_cells).height:
            raise ReleaseError(
                f"{name} shows {count} estimate(s) of fewer than {FEWEST_CASES} cases; disclose it first"
            )


def _write(
    folder: Path,
    tables: Mapping[str, pl.DataFrame],
    settings: Settings,
    released_at: str,
    provenance: Mapping[str, Any],
) -> Release:
    """Fill `folder`, move it to its place and swap `latest`; called with the lock held."""
    parquet = {table: folder / f"{table.name}.parquet" for table in RELEASE_TABLES}
    sums = {path.name: storage.write_table(tables[table.name], table, path) for table, path in parquet.items()}
    versions = (str(provenance.get(name, "")) for name in ("code_version", "mapping_version"))
    stated = "".join([*(f"{sums[name]}  {name}\n" for name in sorted(sums)), *versions])
    digest = hashlib.sha256(stated.encode()).hexdigest()
    latest = settings.published / "latest"
    found = _sound(folder.parent, digest[:8])
    if found:
        return Release(found, digest, _point(latest, found))
    identifier = f"{released_at[:10]}_{digest[:8]}"
    shaped = {table.name: storage.in_form(tables[table.name], table) for table in RELEASE_TABLES}
    facts = _manifest(shaped, sums, settings, {"release": identifier, "released_at": released_at, **provenance})
    previous = latest.resolve() if latest.is_dir() else None
    content = ReleaseContent(shaped, load_mappings(settings.mappings), settings, facts, previous)
    for _, write in OUTPUTS:
        write(folder, content)
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in written:
        if name.endswith(TEXTS):
            _refuse_paths(name, (folder / name).read_text("utf-8"), settings)
    sums |= {name: storage.sha256_file(folder / name) for name in written if name not in sums}
    storage.write_bytes(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())
    if problems := verify(folder):
        raise ReleaseError("the release does not read back as it was written: " + "; ".join(problems))
    place = folder.parent / identifier
    _show(folder, place)
    return Release(place, digest, _point(latest, place))


def _manifest(
    tables: Mapping[str, pl.DataFrame], sums: Mapping[str, str], settings: Settings, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Where the release comes from. Folders of this machine are left out."""
    thresholds = {
        field.name: value
        for field in dataclasses.fields(settings)
        if not isinstance(value := getattr(settings, field.name), Path)
    }
    return {
        **provenance,
        "synthetic": bool(tables["sources"]["synthetic"].any()),
        "settings": thresholds,
        "tables": {name: {"rows": frame.height, "sha256": sums[f"{name}.parquet"]} for name, frame in tables.items()},
    }


def _refuse_paths(name: str, text: str, settings: Settings) -> None:
    values = (getattr(settings, field.name) for field in dataclasses.fields(settings))
    for value in values:
        if isinstance(value, Path) and value.is_absolute() and str(value) in text:
            raise ReleaseError(f"{name} would name a folder of this machine ({value}); take it out of the provenance")


def _sound(releases: Path, start: str) -> Path | None:
    """The release of these tables that is already there. One that is damaged is put aside, to be written again."""
    for found in sorted(releases.glob(f"*_{start}")):
        if not verify(found):
            return found
        found.rename(releases / f"{_BUILDING}damaged-{found.name}")
    return None


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
