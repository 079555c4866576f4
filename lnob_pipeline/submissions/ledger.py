"""Read the ledger: which hand-ins are live, their files, their history, and the state of each.

Here belongs every question about the ledger, and how its tables are kept: by one writer at a time, and twice, since
nothing else holds the history. What a disk did to one of the two files mend() repairs from the other. What is written
into them belongs to receive.py and retention.py. The state of a submission is a join: stage 1 says
received, withdrawn or unreadable, stage 2 decides on each version (validation_outcomes). Two lists follow:

- live(): the newest usable version of each submission that is not withdrawn. Stage 2 validates it.
- promoted(): the newest version of each of them that stage 2 accepted. Stages 3 to 7 work with these keys, and with
  the manifest of that version. As a rejection withholds `responses`, the file of the partition is the one promoted
  last: a rejected or unreadable correction leaves the version before it in the tables, flagged in status_table().

For promoted() to know the version before a rejected one, record_outcome() adds a decision to the partition instead of
replacing it. Of the versions accepted only the last is kept: it is the one whose `responses` lie in the lake. A version
that is validated again, by other rules, and rejected leaves the tables.

A version whose raw files were deleted by retention is closed (closed_on): its results stay, stage 2 leaves it alone.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
from pydantic import ValidationError

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import (
    copy_of,
    intact_file,
    private_folder,
    read_all,
    read_table,
    sha256_bytes,
    table_path,
    write_bytes,
    write_table,
)
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.states import ACCEPTED, DECISIONS
from lnob_pipeline.tables import RETENTION, SEALED_FILES, SUBMISSIONS, VALIDATION_OUTCOMES, Table

__all__ = [
    "ACCEPTED",
    "LedgerError",
    "Live",
    "closed_on",
    "history",
    "keep",
    "ledger_lock",
    "live",
    "mend",
    "outcome",
    "promoted",
    "record_outcome",
    "sealed_files",
    "standing",
    "status_table",
    "versions",
    "without_paths",
]

TABLES = (SUBMISSIONS, SEALED_FILES, RETENTION, VALIDATION_OUTCOMES)
"""The tables that are kept twice."""
COUNTS = ("n_rows", "n_accepted", "n_quarantined", "n_refused")


class LedgerError(ValueError):
    """The ledger and what it points to do not agree; says what an operator can do."""


@dataclass(frozen=True)
class Live:
    """A version of a submission that counts, with its manifest as received."""

    submission_id: str
    version: str
    manifest: Manifest


@contextmanager
def ledger_lock(settings: Settings) -> Iterator[None]:
    """One writer of the ledger at a time, over all processes of this machine (flock(2)); not to be taken twice."""
    descriptor = os.open(private_folder(settings.lake / SUBMISSIONS.name), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def keep(settings: Settings, rows: pl.DataFrame, table: Table, submission_id: str) -> str:
    """Write a table of the ledger for one submission, its copy first; returns the sha256 of the file."""
    path = table_path(settings.lake, table, submission_id)
    write_table(rows, table, copy_of(path))
    return write_bytes(path, copy_of(path).read_bytes())


def mend(settings: Settings, submission_id: str) -> None:
    """Make file and copy of each table of the ledger equal again, under the lock: the file counts where it is intact.

    Raises DamagedTableError where neither is.
    """
    for path in (table_path(settings.lake, table, submission_id) for table in TABLES):
        if (good := intact_file(path)) is None:
            continue
        content = good.read_bytes()
        for file in (path, copy_of(path)):
            if not file.exists() or file.read_bytes() != content:
                write_bytes(file, content)


def history(settings: Settings, submission_id: str | None = None) -> pl.DataFrame:
    """Every version of every submission (or of one) ever received: table submissions, oldest first within each."""
    if submission_id is not None:
        return read_table(settings.lake, SUBMISSIONS, submission_id)
    return read_all(settings.lake, SUBMISSIONS)


def standing(rows: pl.DataFrame) -> pl.DataFrame:
    """Of each submission the row that counts, and after it the newer one that could not be read, if there is one."""
    return rows.filter(pl.col("state") != "superseded").sort("submission_id", pl.col("state") == "unreadable")


def live(settings: Settings, submission_id: str | None = None) -> list[Live]:
    """The newest usable version of each submission (or of one), withdrawn ones left out; sorted by submission.

    A newer manifest that could not be read changes nothing here: status_table() shows it. Raises LedgerError.
    """
    return _with_manifests(settings, history(settings, submission_id).filter(pl.col("state") == "received"))


def promoted(settings: Settings, submission_id: str | None = None) -> list[Live]:
    """For each live submission (or for one) the version accepted last; those never accepted are left out."""
    return _with_manifests(settings, _in_tables(settings, history(settings, submission_id)))


def _in_tables(settings: Settings, rows: pl.DataFrame) -> pl.DataFrame:
    """Of the rows of the ledger those of the versions that later tables hold: at most one a submission."""
    living = rows.filter(pl.col("state") == "received").select("submission_id")
    return (
        rows.filter(pl.col("manifest").is_not_null() & pl.col("state").is_in(["received", "superseded"]))
        .join(living, on="submission_id", how="semi")
        .join(
            _outcomes(settings, living).filter(pl.col("state").is_in(ACCEPTED)),
            on=["submission_id", "version"],
            how="semi",
        )
        .unique("submission_id", keep="last", maintain_order=True)  # a version handed in twice has two rows
    )


def sealed_files(settings: Settings, submission_id: str, version: str | None = None) -> list[tuple[DataFile, bytes]]:
    """The files of a submission as bytes, in the order of the manifest; of its live version if none is named.

    Every file is hashed as it is read. Raises LedgerError where the submission is not live, where a file is absent or
    where its bytes are no longer those that were sealed.
    """
    found = read_table(settings.lake, SUBMISSIONS, submission_id)
    wanted = pl.col("state") == "received" if version is None else pl.col("version") == version
    chosen = _with_manifests(settings, found.filter(wanted & pl.col("manifest").is_not_null()).tail(1))
    if not chosen:
        raise LedgerError(
            f"{submission_id} has no files to read: it was withdrawn, could not be read or was never received"
        )
    digests = _sealed(settings, chosen[0].submission_id, chosen[0].version)
    return [(file, _bytes(settings, submission_id, file, digests[file.path])) for file in chosen[0].manifest.files]


def record_outcome(settings: Settings, outcome: pl.DataFrame) -> str:
    """Write the decision on a version (table validation_outcomes, one row) beside those on earlier versions.

    Returns the sha256 of the file. The same decision again gives the same bytes.
    """
    (submission,) = outcome["submission_id"].to_list()
    if (state := outcome["state"].item()) not in DECISIONS:
        raise LedgerError(f"{submission}: {state} is no decision of stage 2; it says one of {', '.join(DECISIONS)}")
    accepts = pl.lit(outcome["state"].item() in ACCEPTED)
    with ledger_lock(settings):
        earlier = read_table(settings.lake, VALIDATION_OUTCOMES, submission)
        kept = earlier.filter(~(accepts & pl.col("state").is_in(ACCEPTED))).join(outcome, on="version", how="anti")
        rows = pl.concat([kept, outcome.select(earlier.columns)])
        return keep(settings, rows, VALIDATION_OUTCOMES, submission)


def outcome(settings: Settings, of: Live) -> pl.DataFrame:
    """The decision on one version: table validation_outcomes, one row; none where it was not validated yet."""
    return read_table(settings.lake, VALIDATION_OUTCOMES, of.submission_id).filter(pl.col("version") == of.version)


def versions(settings: Settings, submission_id: str) -> pl.DataFrame:
    """The versions of one submission, oldest first: received_at, version, state (states.py), in_tables, reason."""
    rows = history(settings, submission_id)
    kept = _in_tables(settings, rows)["version"].implode()
    return (
        _with_decisions(settings, rows)
        .with_columns(in_tables=pl.col("version").is_in(kept))
        .select("received_at", "version", "state", "in_tables", "reason")
    )


def status_table(settings: Settings, submission_id: str | None = None) -> pl.DataFrame:
    """The state of each submission (or of one), one row each, for `lnob status`; sorted by submission.

    Columns: submission_id, iso3, data_type, state, reason, received_at, version (of the newest hand-in), in_tables (the
    version that later tables hold; null for none), n_rows, n_accepted, n_quarantined, n_refused. `state` is unreadable
    or withdrawn (stage 1), the decision of stage 2, or received until there is one.
    """
    rows = history(settings, submission_id)
    in_tables = _in_tables(settings, rows).select("submission_id", pl.col("version").alias("in_tables"))
    stays = pl.col("in_tables") != pl.col("version")
    known = rows.group_by("submission_id").agg(pl.col("data_type").drop_nulls().last().alias("data_type_known"))
    return (
        _with_decisions(settings, standing(rows))
        .group_by("submission_id", maintain_order=True)
        .last()
        .join(in_tables, on="submission_id", how="left")
        .join(known, on="submission_id", how="left")
        .join(_deletions(settings, submission_id), on=["submission_id", "version"], how="left")
        .with_columns(
            data_type=pl.coalesce("data_type", "data_type_known"),
            reason=pl.concat_str(
                pl.col("reason").replace("", None),
                pl.when(stays).then(pl.format("version {} stays in the tables", pl.col("in_tables").str.head(12))),
                pl.when(pl.col("recorded_at") >= pl.col("received_at")).then(
                    pl.format("raw files deleted as of {}; its results stay as they are", "deleted")
                ),
                separator=" | ",
                ignore_nulls=True,
            ),
        )
        .sort("submission_id")
        .select("submission_id", "iso3", "data_type", "state", "reason", "received_at", "version", "in_tables", *COUNTS)
    )


def closed_on(settings: Settings, submission_id: str, version: str) -> datetime.date | None:
    """The day as of which the raw files of the live version were deleted on purpose; None where they are there.

    Only what was deleted since the version was received counts: the same content may have been handed in again.
    """
    deleted = read_table(settings.lake, RETENTION, submission_id).filter(
        (pl.col("version") == version) & (pl.col("action") == "deleted")
    )
    if deleted.is_empty():
        return None
    live = history(settings, submission_id).filter((pl.col("state") == "received") & (pl.col("version") == version))
    deleted = deleted.join_where(live.select("received_at"), pl.col("recorded_at") >= pl.col("received_at"))
    absent = [digest for digest in deleted["sha256"] if not (settings.sealed / digest).exists()]
    days: list[datetime.date] = deleted.filter(pl.col("sha256").is_in(absent))["as_of"].to_list()
    return max(days, default=None)


def _with_decisions(settings: Settings, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the ledger with the decision and the counts of stage 2; of what is received, its state and reason."""
    decisions = _outcomes(settings, rows).select(
        "submission_id", "version", pl.col("state").alias("decision"), "reasons", *COUNTS
    )
    decided = pl.col("decision").is_not_null() & (pl.col("state") == "received")
    return rows.join(decisions, on=["submission_id", "version"], how="left", maintain_order="left").with_columns(
        reason=pl.when(decided).then("reasons").otherwise("reason"),
        state=pl.when(decided).then("decision").otherwise("state"),
    )


def _deletions(settings: Settings, submission_id: str | None) -> pl.DataFrame:
    """submission_id, version, deleted, recorded_at: as of which day raw files of a version were deleted, and when."""
    if submission_id is not None:
        rows = read_table(settings.lake, RETENTION, submission_id)
    else:
        rows = read_all(settings.lake, RETENTION)
    deleted = rows.filter(pl.col("action") == "deleted")
    return deleted.group_by("submission_id", "version").agg(
        pl.col("as_of").max().alias("deleted"), pl.col("recorded_at").max()
    )


def without_paths(manifest: Manifest) -> Manifest:
    """The manifest with each path replaced by file_<n>, n the rank of the path: names of files stay in sealed_files."""
    ranks = {path: f"file_{rank}" for rank, path in enumerate(sorted(file.path for file in manifest.files), start=1)}
    return _renamed(manifest, ranks)


def _with_paths(manifest: Manifest, paths: list[str]) -> Manifest:
    return _renamed(manifest, {f"file_{rank}": path for rank, path in enumerate(sorted(paths), start=1)})


def _renamed(manifest: Manifest, names: dict[str, str]) -> Manifest:
    files = [file.model_copy(update={"path": names[file.path]}) for file in manifest.files]
    return manifest.model_copy(update={"files": files})


def _with_manifests(settings: Settings, rows: pl.DataFrame) -> list[Live]:
    found = []
    paths = _paths(settings, rows["submission_id"].to_list())
    for submission, version, text in rows.select("submission_id", "version", "manifest").iter_rows():
        try:
            manifest = _with_paths(Manifest.model_validate_json(text), paths.get((submission, version), []))
        except (ValidationError, KeyError):
            raise LedgerError(
                f"{submission}: the ledger holds a manifest that this version of the pipeline cannot use; "
                f"set {SUBMISSIONS.name}/{submission}.parquet and its copy aside and receive the submission again"
            ) from None
        found.append(Live(submission, version, manifest))
    return found


def _paths(settings: Settings, submissions: list[str]) -> dict[tuple[str, str], list[str]]:
    """The names of the files of each version of the submissions."""
    if not submissions:
        return {}
    if len(submissions) == 1:
        rows = read_table(settings.lake, SEALED_FILES, submissions[0])
    else:
        rows = read_all(settings.lake, SEALED_FILES)
    found = rows.group_by("submission_id", "version").agg("path")
    return {(submission, version): paths for submission, version, paths in found.iter_rows()}


def _sealed(settings: Settings, submission: str, version: str) -> dict[str, str]:
    """Path -> sha256 of the files of one version."""
    rows = read_table(settings.lake, SEALED_FILES, submission).filter(pl.col("version") == version)
    return dict(rows.select("path", "sha256").iter_rows())


def _bytes(settings: Settings, submission: str, file: DataFile, digest: str) -> bytes:
    mend = f"delete {digest} from the sealed folder, if it is there, and receive {submission} again from the inbox"
    try:
        content = (settings.sealed / digest).read_bytes()
    except OSError:
        raise LedgerError(f"{submission}: a sealed file ({file.role}) cannot be read; {mend}") from None
    if sha256_bytes(content) != digest:
        raise LedgerError(f"{submission}: a sealed file ({file.role}) is no longer what was handed in; {mend}")
    return content


def _outcomes(settings: Settings, rows: pl.DataFrame) -> pl.DataFrame:
    keys = rows.select("submission_id").unique()
    if keys.height == 1:
        return read_table(settings.lake, VALIDATION_OUTCOMES, keys.item())
    return read_all(settings.lake, VALIDATION_OUTCOMES).join(
        keys, on="submission_id", how="semi", maintain_order="left"
    )
