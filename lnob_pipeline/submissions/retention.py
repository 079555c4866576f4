"""Let raw files go: when the day of their agreement has passed, and when a submission is withdrawn.

Here belong which raw files may go, deleting them, and the record that outlives them (table RETENTION). Raw files are
the sealed bytes and what still lies in the inbox; both hold identifiers. The rules:

- The day is that of the newest usable manifest (agreement.retention_until), for files of all versions. Raw files may
  be kept on that day and not after it. Those of a withdrawn submission may go at once.
- Bytes that a submission whose day has not passed needs as well stay, and the record says so.
- The record is written first: a run that is cut off in between is completed by the next one. Names of files go too.
- Sealed bytes that no row of the ledger knows go after a day: a run was cut off before it received them.
- A folder of the inbox goes only if the ledger holds what lies in it; a hand-in that was not received yet stays.

What was accepted stays in the tables, and stage 2 leaves the version alone (ledger.closed_on). Deleting a file does not
reach copies that others made: backups, mail, the partner's own.
"""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import flush, read_all, read_table
from lnob_pipeline.submissions.ledger import history, keep, ledger_lock, standing
from lnob_pipeline.submissions.manifest import MANIFEST_NAMES
from lnob_pipeline.submissions.receive import content_version, file_stamps
from lnob_pipeline.tables import RETENTION, SEALED_FILES

REMOVED = ".removed-"
"""A folder of the inbox on its way out bears this before its name, so that a cut-off removal is completed."""


@dataclass(frozen=True)
class Due:
    """A submission whose raw files may go.

    because: retention_date or withdrawn. sealed: sha256 of its bytes that are still there; needed: those of them that
    another submission needs. inbox_files: number of files in its folder of the inbox, listed in the manifest or not;
    inbox_stays: why that folder cannot be removed, or empty.
    """

    submission_id: str
    state: str
    because: str
    retention_until: datetime.date | None
    sealed: frozenset[str]
    needed: frozenset[str]
    inbox_files: int
    inbox_stays: str


def due(settings: Settings, today: datetime.date) -> list[Due]:
    """Every submission of which raw files are left that may go as of `today`, sorted."""
    over = _over(settings, today)
    there, needed = _there(settings), _needed(settings, over["submission_id"])
    found = [_due(settings, row, there, needed) for row in over.iter_rows(named=True)]
    return [item for item in found if item.sealed - item.needed or item.inbox_files]


def overdue(settings: Settings, today: datetime.date) -> list[str]:
    """The submissions that due() would list, found without reading a file, for a reminder; sorted."""
    over = _over(settings, today)["submission_id"]
    there, needed = _there(settings), _needed(settings, over)
    return [
        submission
        for submission in over
        if there.get(submission, frozenset()) - needed or _folder(settings, submission).is_dir()
    ]


def unknown(settings: Settings, now: str) -> list[str]:
    """Sealed bytes that belong to no submission and are older than a day, sorted. `now`: ISO 8601, UTC."""
    if not settings.sealed.is_dir():
        return []
    known = set(read_all(settings.lake, SEALED_FILES)["sha256"])
    yesterday = datetime.datetime.fromisoformat(now).timestamp() - datetime.timedelta(days=1).total_seconds()
    return sorted(
        path.name
        for path in settings.sealed.iterdir()
        if re.fullmatch("[0-9a-f]{64}", path.name) and path.name not in known and path.stat().st_mtime < yesterday
    )


def let_go(settings: Settings, items: Sequence[Due], today: datetime.date, now: str) -> list[str]:
    """Delete what may go and record it; what could not be done, as sentences. `now`: ISO 8601, UTC."""
    with ledger_lock(settings):
        needed = _needed(settings, _over(settings, today)["submission_id"])
        _erase(settings, items, needed, today, now)
        for digest in unknown(settings, now):
            (settings.sealed / digest).unlink()
    told = []
    for item in items:
        if item.inbox_files and item.inbox_stays:
            told.append(f"{item.submission_id}: its folder in the inbox stays: {item.inbox_stays}")
        elif item.inbox_files:
            try:
                _remove(settings, _folder(settings, item.submission_id))
            except OSError as error:
                told.append(f"{item.submission_id}: its folder in the inbox cannot be removed: {error.strerror}")
    return told


def erase_withdrawn(settings: Settings, submission_id: str, now: str) -> None:
    """Delete the sealed bytes of a withdrawn submission, less what others need. Done again it does nothing."""
    if not _sealed(settings, read_table(settings.lake, SEALED_FILES, submission_id)["sha256"]):
        return
    with ledger_lock(settings):
        withdrawn = standing(history(settings)).filter(pl.col("state") == "withdrawn")["submission_id"]
        item = Due(submission_id, "withdrawn", "withdrawn", None, frozenset(), frozenset(), 0, "")
        _erase(settings, [item], _needed(settings, withdrawn), datetime.date.fromisoformat(now[:10]), now)


def clear_removed(settings: Settings) -> None:
    """Complete removals from the inbox that were cut off."""
    for folder in settings.inbox.glob(f"{REMOVED}*"):
        shutil.rmtree(folder)


def _over(settings: Settings, today: datetime.date) -> pl.DataFrame:
    """Submissions that were withdrawn or whose day has passed: submission_id, state, version (newest), until."""
    rows = history(settings)
    day = pl.col("manifest").str.json_path_match("$.agreement.retention_until").str.to_date(strict=False)
    usable = rows.filter(pl.col("state") == "received").select("submission_id", day.alias("until"))
    return (
        standing(rows)
        .group_by("submission_id", maintain_order=True)
        .last()
        .join(usable, on="submission_id", how="left")
        .filter((pl.col("state") == "withdrawn") | (pl.col("until") < today))
        .sort("submission_id")
        .select("submission_id", "state", "version", "until")
    )


def _due(settings: Settings, row: dict[str, Any], there: Mapping[str, frozenset[str]], needed: frozenset[str]) -> Due:
    submission = row["submission_id"]
    sealed = there.get(submission, frozenset())
    folder = _folder(settings, submission)
    return Due(
        submission_id=submission,
        state=row["state"],
        because="withdrawn" if row["state"] == "withdrawn" else "retention_date",
        retention_until=row["until"],
        sealed=sealed,
        needed=sealed & needed,
        inbox_files=len(file_stamps(folder)),
        inbox_stays=_inbox_stays(settings, folder, row["version"]),
    )


def _there(settings: Settings) -> dict[str, frozenset[str]]:
    """For each submission the sha256 of its files that are still sealed; its partitions are read at once."""
    rows = read_all(settings.lake, SEALED_FILES)
    sealed = _sealed(settings, rows["sha256"])
    found = rows.group_by("submission_id").agg("sha256")
    return {submission: sealed.intersection(digests) for submission, digests in found.iter_rows()}


def _sealed(settings: Settings, digests: pl.Series) -> frozenset[str]:
    """Those of some sha256 whose bytes are there."""
    return frozenset(digest for digest in digests.unique() if (settings.sealed / digest).exists())


def _inbox_stays(settings: Settings, folder: Path, version: str) -> str:
    if folder.is_symlink():
        return "it is a link; remove what it points to by hand"
    if not folder.is_dir():
        return ""
    if not any((folder / name).exists() for name in MANIFEST_NAMES):
        return "it holds files without a manifest; look whose they are, then remove them by hand"
    if content_version(settings, folder) != version:
        return "it holds a hand-in that was not received as it lies there; run `lnob run`, then this again"
    return ""


def _needed(settings: Settings, over: pl.Series) -> frozenset[str]:
    """sha256 of the files of all submissions but those that are over."""
    files = read_all(settings.lake, SEALED_FILES)
    return frozenset(files.filter(~pl.col("submission_id").is_in(over.implode()))["sha256"])


def _erase(settings: Settings, items: Sequence[Due], needed: frozenset[str], today: datetime.date, now: str) -> None:
    """Record, take the names out, then delete: in this order over all of them, as they may share bytes."""
    there = {}
    for item in items:
        files = read_table(settings.lake, SEALED_FILES, item.submission_id)
        there[item.submission_id] = _sealed(settings, files["sha256"])
        left = files.filter(pl.col("sha256").is_in(list(there[item.submission_id])))
        _record(settings, item, left, needed, today, now)
        _without_names(settings, item.submission_id, files)
    going = frozenset().union(*there.values()) - needed
    for digest in sorted(going):
        (settings.sealed / digest).unlink(missing_ok=True)
    if going:
        flush(settings.sealed)


def _record(
    settings: Settings, item: Due, files: pl.DataFrame, needed: frozenset[str], today: datetime.date, now: str
) -> None:
    """Add what becomes of each file to the table RETENTION; that a file is kept is said once."""
    stays = pl.col("sha256").is_in(list(needed))
    rows = files.unique(["version", "sha256"]).select(
        "submission_id",
        "version",
        "sha256",
        pl.when(stays).then(pl.lit("kept")).otherwise(pl.lit("deleted")).alias("action"),
        pl.when(stays).then(pl.lit("needed_by_another_submission")).otherwise(pl.lit(item.because)).alias("because"),
        pl.lit(item.retention_until, dtype=pl.Date).alias("retention_until"),
        pl.lit(today).alias("as_of"),
        pl.lit(now).alias("recorded_at"),
    )
    earlier = read_table(settings.lake, RETENTION, item.submission_id)
    kept_before = earlier.filter(pl.col("action") == "kept")
    new = rows.join(kept_before, on=["version", "sha256", "action"], how="anti").join(
        earlier, on=["version", "sha256", "recorded_at"], how="anti"
    )
    if new.height:
        keep(settings, pl.concat([earlier, new]), RETENTION, item.submission_id)


def _without_names(settings: Settings, submission: str, files: pl.DataFrame) -> None:
    """Replace the names of files by their rank in the version, in the same order (ledger.without_paths)."""
    rank = pl.col("path").rank("ordinal").over("version").cast(pl.String).str.zfill(4)
    named = files.with_columns(path=pl.format("file_{}", rank))
    if not named.equals(files):
        keep(settings, named, SEALED_FILES, submission)


def _folder(settings: Settings, submission: str) -> Path:
    return settings.inbox / submission[:3] / submission


def _remove(settings: Settings, folder: Path) -> None:
    """Take a folder out of the inbox by one rename, then delete it."""
    leaving = settings.inbox / f"{REMOVED}{folder.name}"
    if leaving.exists():
        shutil.rmtree(leaving)
    folder.rename(leaving)
    shutil.rmtree(leaving)
