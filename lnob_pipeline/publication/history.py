"""Earlier releases: which there were, what each held, which of them go, and what is left of one that went.

Here: the list of releases, the table withdrawals, the policy for old releases and their removal. Not here: how a
release is made and shown, and the lock under which one is removed (release), raw files (submissions/retention).

A release that is removed leaves `releases/<name>.removed.json`: its name, day and hash, why it went, and which
submissions it held. So the table withdrawals says the same before and after. Two policies, both settings:
keep_releases (all, or how many of the newest) and withdrawn_releases (remove or keep those that hold the numbers of a
submission that was withdrawn since). What `latest` shows is never removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from lnob_pipeline import storage
from lnob_pipeline.publication import release_manifest
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import WITHDRAWALS

TOMBSTONE = ".removed.json"
LEAVING = ".removed-"
"""A release on its way out bears this before its name, so that a removal that was cut off is completed."""


@dataclass(frozen=True)
class Past:
    """A release that is there, or was.

    released_at: ISO 8601, UTC. held: submission -> version of those whose figures it holds. folder: None where it was
    removed. problem: why it cannot be read; then the fields but name and folder say nothing.
    """

    name: str
    released_at: str
    hash: str
    held: Mapping[str, str]
    folder: Path | None
    synthetic: bool = False
    why: str = ""
    problem: str = ""


def past(published: Path) -> list[Past]:
    """Every release that is there or left a tombstone, oldest first."""
    releases = published / "releases"
    folders = {path.name: path for path in releases.glob("[0-9]*") if path.is_dir()}
    stones = {path.name.removesuffix(TOMBSTONE): path for path in releases.glob(f"[0-9]*{TOMBSTONE}")}
    found = [_there(folder) for folder in folders.values()]
    found += [_gone(name, path) for name, path in stones.items() if name not in folders]
    return sorted(found, key=lambda item: (item.released_at, item.name))


def shown(published: Path) -> str | None:
    """The name of the release that `latest` shows."""
    latest = published / "latest"
    return latest.readlink().name if latest.is_symlink() and latest.is_dir() else None


def withdrawals(withdrawn: pl.DataFrame, releases: Iterable[Past]) -> pl.DataFrame:
    """The table WITHDRAWALS. withdrawn: submission_id, iso3, received_at of each withdrawn submission, ISO 8601.

    A submission that no release ever held leaves no row.
    """
    rows = [
        (submission, version, item.name, place)
        for place, item in enumerate(releases)
        for submission, version in item.held.items()
    ]
    held = pl.DataFrame(rows, schema=["submission_id", "version", "release", "place"], orient="row", schema_overrides={
        "submission_id": pl.String, "version": pl.String, "release": pl.String, "place": pl.Int32,
    })  # fmt: skip
    found = (
        held.sort("place")
        .group_by("submission_id", maintain_order=True)
        .agg(
            pl.col("release").first().alias("first_release"),
            pl.col("release").last().alias("last_release"),
            pl.col("version").unique(maintain_order=True).str.head(12).str.join(",").alias("versions"),
        )
        .join(withdrawn, on="submission_id")
        .with_columns(withdrawn_on=pl.col("received_at").str.head(10).str.to_date())
    )
    return storage.in_form(found, WITHDRAWALS)


def leaving(
    releases: Sequence[Past], latest: str | None, settings: Settings, withdrawn: Collection[str]
) -> dict[str, str]:
    """Release -> why it goes, of those that are there. Raises ValueError for a setting that says neither."""
    there = [item for item in releases if item.folder is not None and not item.problem]
    number = _keep(settings)
    old = there[:-number] if number is not None else []
    why = {item.name: f"keep_releases is {number}" for item in old}
    if _removes_withdrawn(settings):
        for item in there:
            if gone := sorted(set(withdrawn) & item.held.keys()):
                why[item.name] = f"withdrawn since: {', '.join(gone)}"
    return {name: reason for name, reason in why.items() if name != latest}


def remove(published: Path, why: Mapping[str, str], now: str) -> None:
    """Remove releases; `now`: ISO 8601, UTC. Each one is gone by one rename, after its tombstone is in its place."""
    releases = published / "releases"
    known = {item.name: item for item in past(published)}
    for name, reason in why.items():
        item = known[name]
        stone = {
            "release": name,
            "released_at": item.released_at,
            "hash": item.hash,
            "removed_at": now,
            "why": reason,
            "submissions": dict(item.held),
        }
        text = json.dumps(stone, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        storage.write_bytes(releases / f"{name}{TOMBSTONE}", text.encode())
        (releases / name).rename(releases / f"{LEAVING}{name}")
        storage.flush(releases)
    clear(published)


def clear(published: Path) -> None:
    """Complete removals that were cut off: what is left of the folders, and tombstones of releases that are there."""
    releases = published / "releases"
    for folder in releases.glob(f"{LEAVING}*"):
        shutil.rmtree(folder)
    for stone in releases.glob(f"[0-9]*{TOMBSTONE}"):
        if (releases / stone.name.removesuffix(TOMBSTONE)).is_dir():
            stone.unlink()


def check_policy(settings: Settings) -> None:
    """Raise ValueError for a setting of the policy that says nothing, before any release is written."""
    _keep(settings)
    _removes_withdrawn(settings)


def _keep(settings: Settings) -> int | None:
    if settings.keep_releases == "all":
        return None
    if not settings.keep_releases.isdecimal() or int(settings.keep_releases) < 1:
        raise ValueError(f"LNOB_KEEP_RELEASES is {settings.keep_releases!r}; it takes all, or a whole number from 1 on")
    return int(settings.keep_releases)


def _removes_withdrawn(settings: Settings) -> bool:
    if settings.withdrawn_releases not in ("remove", "keep"):
        raise ValueError(f"LNOB_WITHDRAWN_RELEASES is {settings.withdrawn_releases!r}; it takes remove or keep")
    return settings.withdrawn_releases == "remove"


def _there(folder: Path) -> Past:
    try:
        facts = json.loads((folder / release_manifest.NAME).read_bytes())
        held = release_manifest.held(pl.scan_parquet(folder / "sources.parquet"))
        return Past(
            folder.name, facts["released_at"], facts.get("hash", ""), held, folder, synthetic=facts["synthetic"]
        )
    except (OSError, ValueError, KeyError, PolarsError) as error:
        return Past(
            folder.name, folder.name[:10], "", {}, folder, problem=f"it cannot be read ({type(error).__name__})"
        )


def _gone(name: str, path: Path) -> Past:
    try:
        stone = json.loads(path.read_bytes())
        return Past(name, stone["released_at"], stone["hash"], stone["submissions"], None, why=stone["why"])
    except (OSError, ValueError, KeyError) as error:
        return Past(name, name[:10], "", {}, None, problem=f"its tombstone cannot be read ({type(error).__name__})")
