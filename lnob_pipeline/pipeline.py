"""The stages as steps: read, call, write, say what was done. Used by the Dagster assets and by the command line alike.

Here: which function gets which table, what a step depends on, and skipping a step whose inputs have not changed. Not
here: what a stage does (its package) and when it runs (automation/). A step remembers the hash of its inputs (content,
mappings, code, settings) and of its outputs in a stamp beside the tables; a step whose stamp holds does nothing.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from lnob_pipeline import __version__, storage, tables
from lnob_pipeline.column_lineage import column_lineage
from lnob_pipeline.estimation.design import EstimationInputError
from lnob_pipeline.estimation.plan import estimate_submission
from lnob_pipeline.gaps.comparison import compare, snapshot_label, with_gaps
from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.gaps.decisions import REGISTER, decisions, withheld_submissions
from lnob_pipeline.gaps.typology import gaps
from lnob_pipeline.harmonisation.compile import harmonise
from lnob_pipeline.harmonisation.evidence import evidence
from lnob_pipeline.mappings.load import MappingError, load_mappings
from lnob_pipeline.official.catalogue import build_catalogue, observation_parts
from lnob_pipeline.official.releases import choose
from lnob_pipeline.official.revisions import revisions_of
from lnob_pipeline.official.snapshot import expected_series
from lnob_pipeline.publication.code_lists import codes_table
from lnob_pipeline.publication.disclosure import disclose, visible_effects
from lnob_pipeline.publication.disclosure_links import published_before
from lnob_pipeline.publication.history import past, withdrawals
from lnob_pipeline.publication.release import publish
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger, reviews
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.submissions.receive import receive, scan
from lnob_pipeline.submissions.retention import erase_withdrawn, overdue
from lnob_pipeline.tables import Table
from lnob_pipeline.validation.feedback import feedback_json, feedback_text, make_feedback
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import GateError, Validated, validate
from lnob_pipeline.validation.linkage import linkage_key
from lnob_pipeline.validation.privacy import looks_identifying, public_manifest
from lnob_pipeline.validation.progress import faults_of, remembered
from lnob_pipeline.validation.risk import disclosure_risk
from lnob_pipeline.warehouse import connect

STAGES = ("submissions", "validation", "harmonisation", "estimation", "official", "gaps", "publication")
PARTITIONED_STAGES = STAGES[:4]
STAGE_2 = (
    tables.RESPONSES,
    tables.QUARANTINE,
    tables.VALIDATION_RESULTS,
    tables.FITNESS,
    tables.LINKAGE,
    tables.VALIDATION_OUTCOMES,
)


@dataclass(frozen=True)
class Output:
    """One file of a table that a step wrote or found in place: sha256 and number of rows."""

    table: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Step:
    """What a step did. `numbers` are counts worth plotting; `problems` say why a submission stopped here."""

    stage: str
    key: str | None
    changed: bool
    outputs: tuple[Output, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    def output(self, table: str) -> Output | None:
        """The output of a table, if the step has it."""
        return next((item for item in self.outputs if item.table == table), None)


class StageError(RuntimeError):
    """Something unforeseen in a stage. Says which submission and where in the code, never what a cell held."""


def _private(run: Callable[..., Step]) -> Callable[..., Step]:
    """Raise what a library says about a cell again without the cell: messages end up in logs and in the event log."""

    @functools.wraps(run)
    def wrapper(settings: Settings, key: str, **more: str) -> Step:
        try:
            return run(settings, key, **more)
        except (StageError, GateError, ledger.LedgerError, MappingError, EstimationInputError, OSError):
            raise
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}, line {frame.lineno}"
            message = f"{run.__name__.removeprefix('run_')} of {key}: {type(error).__name__} in {place}"
            raise StageError(f"{message}; what it says is not repeated, as it could hold an answer") from None

    return wrapper


def attempt(run: Callable[..., Step], settings: Settings, key: str, **more: str) -> Step:
    """Run one stage of one submission; what is unforeseen is a problem of this submission and stops no other one."""
    try:
        return run(settings, key, **more)
    except Exception as error:
        return Step(
            run.__name__.removeprefix("run_"), key, changed=False, problems=(str(error),), texts={"state": "failed"}
        )


@functools.lru_cache(maxsize=1)
def code_version() -> str:
    """A hash over the package's own files: what a result depends on beside data and mappings."""
    package = Path(__file__).parent
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".po", ".jinja", ".css", ".js"):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def clean_manifest(manifest: Manifest) -> Manifest:
    """The manifest as it may be kept: what looks like an identifier in its texts rests in the inbox alone."""
    return public_manifest(manifest)[0]


@_private
def run_submissions(settings: Settings, key: str, now: str) -> Step:
    """Stage 1 for one hand-in: read the manifest, seal the files, keep the ledger. `now`: ISO 8601, UTC.

    Of a withdrawn one everything else is removed, its sealed bytes included; the ledger and the tombstones stay.
    """
    received = receive(settings, settings.inbox / key.split("-", maxsplit=1)[0] / key, now, clean_manifest)
    if received.state == "withdrawn":
        _forget(settings, key)
        erase_withdrawn(settings, key, now)
    outputs = [_in_place(settings, table, key) for table in (tables.SUBMISSIONS, tables.SEALED_FILES)]
    return Step(
        "submissions",
        key,
        received.changed,
        tuple(item for item in outputs if item),
        problems=tuple(received.problems) if received.state == "unreadable" else (),
        texts={"state": received.state, "version": received.version, "notes": " | ".join(received.problems)},
    )


@_private
def run_validation(settings: Settings, key: str) -> Step:
    """Stage 2 for one hand-in: `responses` wait for every blocking rule to pass; the rest is always written.

    Without its raw files, which retention deleted, a version is not judged again: what is in the tables stays.
    """
    live = _live(settings, key)
    if live is None:
        return Step("validation", key, changed=False)
    mappings = load_mappings(settings.mappings)
    decisions = reviews.decided(settings, key, live.version, looks_identifying)
    reviews.keep(settings, key, looks_identifying)
    inputs = _hash(
        live.version,
        mappings.instrument_version(live.manifest.instrument),
        code_version(),
        _rules(settings),
        *(f"{rule} {decision}" for rule, decision in sorted(decisions.items())),
    )
    if (done := _stamped(settings, "validation", key, inputs)) is not None:
        return done
    if (day := ledger.closed_on(settings, key, live.version)) is not None:
        return _closed(settings, live, day)

    files = ledger.sealed_files(settings, key)
    key_of_links = linkage_key(settings.linkage_key)
    checked = validate(
        live.manifest, live.version, files, mappings, settings, reviews=decisions, linkage_key=key_of_links
    )
    outcome = checked.outcome.row(0, named=True)
    write_feedback(settings, checked)
    outputs = [
        _write(settings, checked.quarantine, tables.QUARANTINE, key),
        _write(settings, checked.results, tables.VALIDATION_RESULTS, key),
        _write(settings, checked.fitness, tables.FITNESS, key),
        _write(settings, checked.linkage, tables.LINKAGE, key),
    ]
    rejected = checked.responses is None
    if checked.responses is not None:
        outputs.insert(0, _write(settings, checked.responses, tables.RESPONSES, key))
    # Last, since later stages take the version that it accepts: its responses are in place by then.
    outputs.append(Output(tables.VALIDATION_OUTCOMES.name, ledger.record_outcome(settings, checked.outcome), 1))
    step = Step(
        "validation",
        key,
        changed=True,
        outputs=tuple(outputs),
        numbers={name: outcome[name] for name in ("n_rows", "n_accepted", "n_quarantined", "n_refused")},
        problems=tuple(outcome["reasons"].split(" | ")) if rejected else (),
        texts={"state": outcome["state"], "reasons": outcome["reasons"] or ""},
    )
    return _stamp(settings, step, inputs)


@_private
def run_harmonisation(settings: Settings, key: str) -> Step:
    """Stage 3 for one hand-in: surveys to households and persons, all else to evidence."""
    promoted = promoted_submission(settings, key)
    responses = _in_place(settings, tables.RESPONSES, key)
    if promoted is None or responses is None:
        return Step("harmonisation", key, changed=False)
    mappings = load_mappings(settings.mappings)
    manifest = promoted.manifest
    inputs = _hash(
        responses.sha256,
        promoted.version,
        mappings.instrument_version(manifest.instrument),
        code_version(),
        _rules(settings),
    )
    if (done := _stamped(settings, "harmonisation", key, inputs)) is not None:
        return done

    instrument = mappings.instruments[manifest.instrument]
    # A scan: of a large survey only the mapped columns are read, record by record.
    scan = pl.scan_parquet(storage.table_path(settings.lake, tables.RESPONSES, key))
    households, persons = tables.harmonised_households(mappings), tables.harmonised_persons(mappings)
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    risk = tables.DISCLOSURE_RISK.empty()
    with connect(threads=1) as connection:
        frame = scan.collect() if instrument.statements else tables.RESPONSES.empty()
        found = evidence(connection, manifest, instrument, frame)
        outputs = [_write(settings, found, tables.CITIZEN_EVIDENCE, key)]
        if instrument.data_type == "household_survey":
            result = harmonise(connection, instrument, scan, mappings, settings.unmapped_share_limit)
            outputs.append(_write(settings, result.households, households, key))
            outputs.append(_write(settings, result.persons, persons, key))
            stopped = sorted(name for name, (_, _, stops) in result.unmapped.items() if stops)
            numbers = {
                "households": result.households.height,
                "persons": result.persons.height,
                "unmapped_answers": sum(unknown for unknown, _, _ in result.unmapped.values()),
                "stopped_variables": len(stopped),
            }
            texts = {"stopped_variables": ", ".join(stopped)}
            risk = disclosure_risk(manifest, promoted.version, result.households, result.persons, mappings, settings)
        else:
            outputs.append(_write(settings, households.empty(), households, key))
            outputs.append(_write(settings, persons.empty(), persons, key))
            numbers = {"evidence_rows": found.height}
    outputs.append(_write(settings, risk, tables.DISCLOSURE_RISK, key))
    return _stamp(settings, Step("harmonisation", key, True, tuple(outputs), numbers, texts=texts), inputs)


@_private
def run_estimation(settings: Settings, key: str) -> Step:
    """Stage 4 for one hand-in. Data without citizen engagement are not estimated: they are labelled and kept apart."""
    promoted = promoted_submission(settings, key)
    mappings = load_mappings(settings.mappings)
    households = tables.harmonised_households(mappings)
    persons = tables.harmonised_persons(mappings)
    sources = [_in_place(settings, households, key), _in_place(settings, persons, key)]
    if promoted is None or any(item is None for item in sources):
        return Step("estimation", key, changed=False)
    inputs = _hash(
        promoted.version,
        *(item.sha256 for item in sources if item),
        mappings.version(),
        code_version(),
        _rules(settings),
    )
    if (done := _stamped(settings, "estimation", key, inputs)) is not None:
        return done

    frame = tables.CITIZEN_ESTIMATES.empty()
    if promoted.manifest.data_type == "household_survey" and promoted.citizen_data:
        with connect(threads=1) as connection:
            frame = estimate_submission(
                connection,
                promoted.manifest,
                storage.read_table(settings.lake, households, key),
                storage.read_table(settings.lake, persons, key),
                promoted.quarantine_share,
                mappings,
                settings,
            )
    output = _write(settings, frame, tables.CITIZEN_ESTIMATES, key)
    numbers = {"estimates": frame.height, "indicators": frame["indicator"].n_unique()}
    return _stamp(settings, Step("estimation", key, True, (output,), numbers), inputs)


def run_status(settings: Settings, now: str) -> Step:
    """The state of every submission; numbers: how many are in each state, in all, and past their retention date."""
    table = tables.SUBMISSION_STATUS
    try:
        before = _in_place(settings, table)
    except storage.DamagedTableError:
        before = None  # it is made from the ledger each time
    frame = ledger.status_table(settings).select(list(table.schema))
    output = _write(settings, frame, table)
    counts = dict(frame["state"].value_counts().sort("state").iter_rows())
    late = len(overdue(settings, datetime.date.fromisoformat(now[:10])))
    numbers = counts | {"submissions": frame.height, "past_retention": late}
    return Step("status", None, output != before, (output,), numbers)


def run_official(settings: Settings, now: str) -> Step:
    """Stage 5: the catalogue and the observations of the official release in use, and what it changed."""
    mappings = load_mappings(settings.mappings)
    iso3 = {country.m49: code for code, country in mappings.countries.items()}
    choice = choose(settings, iso3, now[:10])
    info = choice.snapshot.info
    inputs = _hash(
        info.sha256,
        info.label,
        choice.releases.write_json(),
        mappings.hashes["countries.yaml"],
        storage.sha256_file(settings.official / "series.csv"),
        code_version(),
        _rules(settings),
    )
    if (done := _stamped(settings, "official", None, inputs)) is not None:
        return done
    catalogue = build_catalogue(choice.snapshot, expected_series(settings.official))
    parts = observation_parts(choice.snapshot, iso3, every_area=settings.official_areas == "all")
    path = storage.table_path(settings.lake, tables.OFFICIAL_OBSERVATIONS)
    outputs = (
        _write(settings, catalogue, tables.SDG_CATALOGUE),
        _write_stream(settings, parts, tables.OFFICIAL_OBSERVATIONS),
        _write(settings, choice.releases, tables.OFFICIAL_RELEASES),
        _write_stream(settings, revisions_of(choice, catalogue, path, settings, iso3), tables.OFFICIAL_REVISIONS),
    )
    numbers = {
        "observations": outputs[1].rows,
        "series": info.series,
        "revisions": outputs[3].rows,
        "held_releases": choice.releases.filter(pl.col("state") == "held").height,
    }
    texts = {"official_source": info.label, "official_because": info.reason}
    return _stamp(settings, Step("official", None, True, outputs, numbers, texts=texts), inputs)


def run_gaps(settings: Settings) -> Step:
    """Stage 6: official and citizen side by side, the gaps, coverage and decisions."""
    mappings = load_mappings(settings.mappings)
    promoted = publishable(settings)
    keys = [item.submission_id for item in promoted]
    decision_rows = decided(settings)
    official = (
        tables.SDG_CATALOGUE,
        tables.OFFICIAL_OBSERVATIONS,
        tables.OFFICIAL_RELEASES,
        tables.OFFICIAL_REVISIONS,
    )
    sources = [_in_place(settings, table) for table in official]
    sources += [
        _in_place(settings, table, key) for key in keys for table in (tables.CITIZEN_ESTIMATES, tables.CITIZEN_EVIDENCE)
    ]
    inputs = _hash(
        *(f"{item.table} {item.sha256}" for item in sources if item),
        *(f"{item.submission_id} {item.version}" for item in promoted),
        mappings.version(),
        code_version(),
        _rules(settings),
        decision_rows.write_json(),
    )
    if (done := _stamped(settings, "gaps", None, inputs)) is not None:
        return done
    catalogue = storage.read_table(settings.lake, tables.SDG_CATALOGUE)
    observations = storage.read_table(settings.lake, tables.OFFICIAL_OBSERVATIONS)
    estimates = storage.read_partitions(settings.lake, tables.CITIZEN_ESTIMATES, keys)
    found = storage.read_partitions(settings.lake, tables.CITIZEN_EVIDENCE, keys)
    releases = storage.read_table(settings.lake, tables.OFFICIAL_RELEASES)
    revisions = storage.read_table(settings.lake, tables.OFFICIAL_REVISIONS)
    gap_rows = gaps(observations, catalogue, estimates, found, decision_rows, mappings, settings, revisions)
    frames = {
        tables.COMPARISON: with_gaps(
            compare(observations, catalogue, estimates, mappings, settings, official_releases=releases), gap_rows
        ),
        tables.DATA_GAPS: gap_rows,
        tables.COVERAGE: coverage(gap_rows),
        tables.DECISIONS: decision_rows,
    }
    outputs = tuple(_write(settings, frame, table) for table, frame in frames.items())
    missing = gap_rows.filter(~pl.col("status").is_in(["reported", "not_applicable", "not_loaded"])).height
    numbers = {
        "gap_cells": missing,
        "cells": gap_rows.height,
        "informed_cells": gap_rows.filter(pl.col("citizen_effect") != "nothing_yet").height,
        "submissions": len(keys),
    }
    return _stamp(settings, Step("gaps", None, True, outputs, numbers), inputs)


def run_publication(settings: Settings, now: str) -> Step:
    """Stage 7: disclosure control and the release. The same tables make the same release; then nothing is done."""
    mappings = load_mappings(settings.mappings)
    keys = [item.submission_id for item in publishable(settings)]
    unpartitioned = (tables.SDG_CATALOGUE, tables.OFFICIAL_RELEASES, tables.OFFICIAL_REVISIONS, tables.DECISIONS)
    frames = {table.name: storage.read_table(settings.lake, table) for table in unpartitioned}
    disclosed = disclose(
        storage.read_partitions(settings.lake, tables.CITIZEN_ESTIMATES, keys),
        storage.read_table(settings.lake, tables.COMPARISON),
        storage.read_partitions(settings.lake, tables.CITIZEN_EVIDENCE, keys),
        mappings,
        settings,
        published_before(settings.published),
    )
    frames |= disclosed._asdict()
    long: dict[str, pl.DataFrame | pl.LazyFrame] = {
        "official_observations": storage.scan_table(settings.lake, tables.OFFICIAL_OBSERVATIONS),
        "data_gaps": visible_effects(storage.scan_table(settings.lake, tables.DATA_GAPS), disclosed.citizen_estimates),
    }
    frames["coverage"] = coverage(long["data_gaps"])
    frames["withdrawals"] = withdrawals(withdrawn(settings), past(settings.published))
    unseen = (pl.col("state") == "withdrawn") & ~pl.col("submission_id").is_in(
        frames["withdrawals"]["submission_id"].implode()
    )
    frames["sources"] = sources_table(settings).filter(~unseen)  # withdrawn before it was published: leaves no trace
    frames["column_lineage"] = column_lineage()
    frames["codes"] = codes_table(mappings)
    releases = frames["sdg_catalogue"]["release"].unique().sort().to_list()
    provenance = {
        "official_release": releases[0] if releases else None,
        "official_snapshot": snapshot_label(frames["official_releases"]),
        "mapping_version": mappings.version(),
        "code_version": code_version(),
        "package_version": __version__,
    }
    release = publish({**frames, **long}, settings, now, provenance)
    written = {table.name: release.path / f"{table.name}.parquet" for table in tables.RELEASE_TABLES}
    outputs = tuple(
        Output(name, storage.sha256_file(path), pq.read_metadata(path).num_rows) for name, path in written.items()
    )
    hidden = frames["citizen_estimates"].filter(pl.col("status").str.starts_with("suppressed")).height
    numbers = {"estimates": frames["citizen_estimates"].height, "hidden_estimates": hidden}
    texts = {
        "release": release.path.name,
        "hash": release.hash,
        "path": str(release.path),
        "page": str(release.path / "index.html"),
    }
    return Step("publication", None, release.changed, outputs, numbers, texts=texts)


def run_all(
    settings: Settings, now: str, keys: Iterable[str] = (), done: Callable[[Step], None] | None = None
) -> list[Step]:
    """Every stage for the given submissions (all of the inbox when none is given), one after the other.

    `done` is called after each step.
    """
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        if done is not None:
            done(step)

    for key in list(keys) or inbox_keys(settings):
        note(attempt(run_submissions, settings, key, now=now))
        for run in (run_validation, run_harmonisation, run_estimation):
            note(attempt(run, settings, key))
    note(run_status(settings, now))
    note(run_official(settings, now))
    note(run_gaps(settings))
    note(run_publication(settings, now))
    return steps


def inbox_keys(settings: Settings) -> list[str]:
    """The submissions that the inbox holds, sorted."""
    return [folder.name for folder in scan(settings)]


def feedback_path(settings: Settings, key: str, form: str = "xlsx") -> Path:
    """Where the feedback on a submission lies (closed: it is for its partner): xlsx, txt or json."""
    return settings.lake / "feedback" / f"{key}.{form}"


def write_feedback(settings: Settings, checked: Validated, language: str | None = None) -> None:
    """Write the feedback as workbook, short text and JSON beside each other, and what the next one needs to know.

    In another language than the manifest's the files bear its code: <submission>.<language>.xlsx.
    """
    key, version = checked.manifest.submission, checked.outcome["version"].item()
    storage.private_folder(settings.lake / "feedback")
    kept = feedback_path(settings, key, "faults.json")
    faults = faults_of(checked.findings, dict(checked.balance.select("record", "n_rows").iter_rows()))
    try:
        content, since_last = remembered(kept.read_bytes() if kept.exists() else None, version, faults)
    except (ValueError, KeyError, TypeError):  # damaged: nothing is known of the version before
        content, since_last = remembered(None, version, faults)
    said = make_feedback(checked, language, since_last)
    named = f"{key}.{language}" if language else key
    storage.write_bytes(feedback_path(settings, named), feedback_workbook(checked, said))
    storage.write_bytes(feedback_path(settings, named, "txt"), feedback_text(said).encode())
    storage.write_bytes(feedback_path(settings, named, "json"), feedback_json(said))
    storage.write_bytes(kept, content)


def feedback_in(settings: Settings, key: str, language: str) -> None:
    """Write the feedback on the live version of a submission in another language; it is judged anew for it."""
    live = _live(settings, key)
    if live is None:
        raise ValueError(f"{key} has no version that could be judged; `lnob status` lists what is there")
    decisions = reviews.decided(settings, key, live.version, looks_identifying)
    files = ledger.sealed_files(settings, key)
    mappings = load_mappings(settings.mappings)
    checked = validate(live.manifest, live.version, files, mappings, settings, reviews=decisions)
    write_feedback(settings, checked, language)


@dataclass(frozen=True)
class Promoted:
    """The version of a submission whose answers were last accepted, its manifest as it may be shown."""

    submission_id: str
    version: str
    manifest: Manifest
    quarantine_share: float
    citizen_data: bool


def promoted_submissions(settings: Settings, key: str | None = None) -> list[Promoted]:
    """The accepted version of each live submission (of one, if named); others are left out."""
    found = []
    for item in ledger.promoted(settings, key):
        outcome = ledger.outcome(settings, item).row(0, named=True)
        share, citizen_data = outcome["quarantine_share"] or 0.0, outcome["citizen_data"]
        manifest = clean_manifest(item.manifest)
        found.append(Promoted(item.submission_id, item.version, manifest, share, citizen_data))
    return found


def promoted_submission(settings: Settings, key: str) -> Promoted | None:
    """The accepted version of one submission; None where there is none."""
    return next(iter(promoted_submissions(settings, key)), None)


def publishable(settings: Settings) -> list[Promoted]:
    """Accepted versions of live submissions that may be published, in order of their keys.

    Partner and community agree and have not objected since, and the people who were asked agreed that data are shared.
    """
    objections = withheld_submissions(decided(settings))
    return [
        item
        for item in promoted_submissions(settings)
        if item.manifest.partner.publish
        and item.submission_id not in objections
        and (item.manifest.consent.obtained != "per_row" or "share_data" in item.manifest.consent.scopes)
    ]


def decided(settings: Settings) -> pl.DataFrame:
    """The table DECISIONS: consents of the accepted submissions, and the register of the inbox."""
    register = settings.inbox / REGISTER
    manifests = [item.manifest for item in promoted_submissions(settings)]
    known = ledger.history(settings)["submission_id"].unique().to_list()
    return decisions(manifests, register.read_bytes() if register.exists() else None, known)


def withdrawn(settings: Settings) -> pl.DataFrame:
    """The submissions that are withdrawn: submission_id, iso3, received_at of the withdrawal."""
    rows = ledger.standing(ledger.history(settings)).filter(pl.col("state") == "withdrawn")
    return rows.select("submission_id", "iso3", "received_at")


def sources_table(settings: Settings) -> pl.DataFrame:
    """The table SOURCES: every submission of the ledger as far as it may be named."""
    states = ledger.status_table(settings)
    accepted = {item.submission_id: item for item in publishable(settings)}
    living = {item.submission_id: item for item in ledger.live(settings)}
    rows = []
    for row in states.iter_rows(named=True):
        promoted = accepted.get(row["submission_id"])
        manifest = promoted.manifest if promoted else None
        live = living.get(row["submission_id"])
        rows.append(
            {
                "submission_id": row["submission_id"],
                "iso3": row["iso3"],
                "organisation": manifest.organisation if manifest and manifest.disclosure.organisation else None,
                "data_type": row["data_type"],
                "state": row["state"],
                "sampling_method": manifest.sampling.method if manifest else None,
                "area_level": manifest.geography.level if manifest else None,
                "area": ",".join(manifest.geography.admin1) or None if manifest and manifest.disclosure.place else None,
                "year": manifest.year if manifest else None,
                "n_planned": manifest.sample_size.planned if manifest else None,
                "n_accepted": row["n_accepted"],
                "n_quarantined": row["n_quarantined"],
                "n_refused": row["n_refused"],
                "citizen_data": promoted.citizen_data if promoted else None,
                "synthetic": live.manifest.synthetic if live else None,
                "instrument": manifest.instrument if manifest else None,
                "version": promoted.version if promoted else row["version"],
            }
        )
    return pl.DataFrame(rows, schema=tables.SOURCES.schema)


def _live(settings: Settings, key: str) -> ledger.Live | None:
    return next(iter(ledger.live(settings, key)), None)


def _closed(settings: Settings, live: ledger.Live, day: datetime.date) -> Step:
    """What stage 2 says of a version whose raw files are gone: its last decision, and that it is not made anew."""
    outcome = ledger.outcome(settings, live)
    state = outcome["state"].item() if outcome.height else "received"
    note = f"its raw files were deleted as of {day}: the results stay as they are; a new hand-in is judged anew"
    found = (_in_place(settings, table, live.submission_id) for table in STAGE_2)
    outputs = tuple(item for item in found if item)
    return Step("validation", live.submission_id, False, outputs, texts={"state": state, "notes": note})


def _forget(settings: Settings, key: str) -> None:
    """Remove what later stages keep of a withdrawn submission, whatever they are; stage 1 keeps that it was there."""
    kept = {table.name for table in (tables.SUBMISSIONS, tables.SEALED_FILES, tables.RETENTION)}
    for folder in settings.lake.iterdir():
        if not folder.is_dir() or folder.name in kept:
            continue
        for path in folder.glob(f"*{key}.*"):
            if path.name.startswith(f"{key}.") or (folder.name == "stamps" and f".{key}." in path.name):
                path.unlink(missing_ok=True)


def _write(settings: Settings, frame: pl.DataFrame, table: Table, key: str | None = None) -> Output:
    digest = storage.write_table(frame, table, storage.table_path(settings.lake, table, key))
    return Output(table.name, digest, frame.height)


def _write_stream(settings: Settings, frames: Iterable[pl.DataFrame], table: Table) -> Output:
    path = storage.table_path(settings.lake, table)
    digest = storage.write_stream(frames, table, path)
    return Output(table.name, digest, pl.scan_parquet(path).select(pl.len()).collect().item())


def _in_place(settings: Settings, table: Table, key: str | None = None) -> Output | None:
    """The output of a table as it lies in the lake; None where it does not. Raises DamagedTableError."""
    path = storage.intact_file(storage.table_path(settings.lake, table, key))
    if path is None:
        return None
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    return Output(table.name, storage.sha256_file(path), rows)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _rules(settings: Settings) -> str:
    """The settings that change numbers (no folders, not pulling, not how long releases stay), as canonical JSON."""
    values = {
        name: value
        for name, value in asdict(settings).items()
        if not isinstance(value, Path) and not name.startswith("pull_") and not name.endswith("_releases")
    }
    return json.dumps(values, sort_keys=True)


def _stamp_path(settings: Settings, stage: str, key: str | None) -> Path:
    return settings.lake / "stamps" / f"{stage}{'.' + key if key else ''}.json"


def _stamp(settings: Settings, step: Step, inputs: str) -> Step:
    storage.private_folder(settings.lake / "stamps")
    content: dict[str, Any] = {"inputs": inputs, "step": asdict(step)}
    text = json.dumps(content | {"content": _hash(json.dumps(content, sort_keys=True))}, sort_keys=True)
    storage.write_bytes(_stamp_path(settings, step.stage, step.key), text.encode())
    return step


def _read_stamp(path: Path) -> dict[str, Any]:
    """What a stamp holds; nothing where there is none, or where its bytes are not those that were written."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        return content if content.pop("content") == _hash(json.dumps(content, sort_keys=True)) else {}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def _stamped(settings: Settings, stage: str, key: str | None, inputs: str) -> Step | None:
    """What the step said last time, unless its inputs or the files it wrote have changed since."""
    content = _read_stamp(_stamp_path(settings, stage, key))
    if content.get("inputs") != inputs:
        return None
    step = content["step"]
    outputs = tuple(Output(**item) for item in step["outputs"])
    for item in outputs:
        name = settings.lake / item.table / f"{key}.parquet" if key else settings.lake / f"{item.table}.parquet"
        if not name.exists() or storage.sha256_file(name) != item.sha256:
            return None
    return Step(stage, key, False, outputs, step["numbers"], tuple(step["problems"]), step["texts"])
