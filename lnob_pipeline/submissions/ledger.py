"""Read the ledger: which hand-ins are live, their files, their history, and the state of each.

Here belongs every question about the ledger. receive.py writes it. The state of a submission is a join: stage 1 says
received, withdrawn or unreadable, stage 2 decides on each version (validation_outcomes). Two lists follow:

- live(): the newest usable version of each submission that is not withdrawn. Stage 2 validates it.
- promoted(): the newest version of each of them that stage 2 accepted. Stages 3 to 7 work with these keys, and with
  the manifest of that version. As a rejection withholds `responses`, the file of the partition is the one promoted
  last: a rejected or unreadable correction leaves the version before it in the tables, flagged in status_table().

For promoted() to know the version before a rejected one, record_outcome() adds a decision to the partition instead of
replacing it. Of the versions accepted only the last is kept: it is the one whose `responses` lie in the lake. A version
that is validated again, by other rules, and rejected leaves the tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from pydantic import ValidationError

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import read_partitions, read_table, sha256_bytes, table_path, write_table
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.tables import SEALED_FILES, SUBMISSIONS, VALIDATION_OUTCOMES

ACCEPTED = ("accepted", "accepted_with_flags")


class LedgerError(ValueError):
    """The ledger and what it points to do not agree; says what an operator can do."""


@dataclass(frozen=True)
class Live:
    """A version of a submission that counts, with its manifest as received."""

    submission_id: str
    version: str
    manifest: Manifest


def history(settings: Settings, submission_id: str | None = None) -> pl.DataFrame:
    """Every version of every submission (or of one) ever received: table submissions, oldest first within each."""
    folder = settings.lake / SUBMISSIONS.name
    keys = sorted(path.stem for path in folder.glob("*.parquet")) if submission_id is None else [submission_id]
    return read_partitions(settings.lake, SUBMISSIONS, keys)


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
    rows = history(settings, submission_id)
    living = rows.filter(pl.col("state") == "received").select("submission_id")
    candidates = (
        rows.filter(pl.col("manifest").is_not_null() & pl.col("state").is_in(["received", "superseded"]))
        .join(living, on="submission_id", how="semi")
        .join(
            _outcomes(settings, living).filter(pl.col("state").is_in(ACCEPTED)),
            on=["submission_id", "version"],
            how="semi",
        )
        .unique("submission_id", keep="last", maintain_order=True)  # a version handed in twice has two rows
    )
    return _with_manifests(settings, candidates)


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
    earlier = read_table(settings.lake, VALIDATION_OUTCOMES, submission)
    accepts = pl.lit(outcome["state"].item() in ACCEPTED)
    kept = earlier.filter(~(accepts & pl.col("state").is_in(ACCEPTED))).join(outcome, on="version", how="anti")
    rows = pl.concat([kept, outcome.select(earlier.columns)])
    return write_table(rows, VALIDATION_OUTCOMES, table_path(settings.lake, VALIDATION_OUTCOMES, submission))


def outcome(settings: Settings, of: Live) -> pl.DataFrame:
    """The decision on one version: table validation_outcomes, one row; none where it was not validated yet."""
    return read_table(settings.lake, VALIDATION_OUTCOMES, of.submission_id).filter(pl.col("version") == of.version)


def status_table(settings: Settings) -> pl.DataFrame:
    """The state of each submission, one row each, for `lnob status`; sorted by submission.

    Columns: submission_id, iso3, data_type, state, reason, received_at, version (of the newest hand-in), in_tables (the
    version that later tables hold; null for none), n_rows, n_accepted, n_quarantined, n_refused. `state` is unreadable
    or withdrawn (stage 1), the decision of stage 2, or received until there is one.
    """
    rows = history(settings)
    kept = {item.submission_id: item.version for item in promoted(settings)}
    counts = ["n_rows", "n_accepted", "n_quarantined", "n_refused"]
    decisions = _outcomes(settings, rows).select(
        "submission_id", "version", pl.col("state").alias("decision"), "reasons", *counts
    )
    decided = pl.col("decision").is_not_null() & (pl.col("state") == "received")
    in_tables = pl.DataFrame(
        {"submission_id": list(kept), "in_tables": list(kept.values())},
        schema={"submission_id": pl.String, "in_tables": pl.String},
    )
    stays = pl.col("in_tables").is_not_null() & (pl.col("in_tables") != pl.col("version"))
    known = rows.group_by("submission_id").agg(pl.col("data_type").drop_nulls().last().alias("data_type_known"))
    return (
        standing(rows)
        .group_by("submission_id", maintain_order=True)
        .last()
        .join(decisions, on=["submission_id", "version"], how="left")
        .join(in_tables, on="submission_id", how="left")
        .join(known, on="submission_id", how="left")
        .with_columns(
            data_type=pl.coalesce("data_type", "data_type_known"),
            reason=pl.concat_str(
                pl.when(decided).then("reasons").otherwise("reason").replace("", None),
                pl.when(stays).then(pl.format("version {} stays in the tables", pl.col("in_tables").str.head(12))),
                separator=" | ",
                ignore_nulls=True,
            ),
            state=pl.when(decided).then("decision").otherwise("state"),
        )
        .sort("submission_id")
        .select("submission_id", "iso3", "data_type", "state", "reason", "received_at", "version", "in_tables", *counts)
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
    for submission, version, text in rows.select("submission_id", "version", "manifest").iter_rows():
        try:
            manifest = _with_paths(Manifest.model_validate_json(text), list(_sealed(settings, submission, version)))
        except (ValidationError, KeyError):
            raise LedgerError(
                f"{submission}: the ledger holds a manifest that this version of the pipeline cannot use; "
                f"set {SUBMISSIONS.name}/{submission}.parquet of the lake aside and receive the submission again"
            ) from None
        found.append(Live(submission, version, manifest))
    return found


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
    keys = rows["submission_id"].unique().sort().to_list()
    return read_partitions(settings.lake, VALIDATION_OUTCOMES, keys)
