"""The gate: files of one hand-in in, accepted answers and everything there is to say about the rest out.

Order: read as text in memory (reading.py); count and take out identifiers (identifiers.py); structure (structure.py);
consent, row by row (consent.py); then the contract of columns and records (contracts.py); then the decision
(outcome.py). If the structure or the consent cannot be established, no row is read further and no cell is repeated
anywhere. A cleaning log is applied to the tables before anything is judged (corrections.py), and the headers and cells
of the export become columns and answers of the instrument (columns.py, answers.py).

Columns that the instrument does not map to a variable or a role end here: they are kept nowhere.
"""

from __future__ import annotations

import traceback
from pathlib import Path

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.validation import contracts
from lnob_pipeline.validation.cleaning import corrected, main_record
from lnob_pipeline.validation.consent import consenting, document_column
from lnob_pipeline.validation.findings import Findings, Rows
from lnob_pipeline.validation.identifiers import count_identifiers, without_unprotected
from lnob_pipeline.validation.outcome import Validated, assemble, balance_of, check_sizes, quarantined
from lnob_pipeline.validation.privacy import public_manifest, public_words
from lnob_pipeline.validation.reading import known_sheets, read_tables
from lnob_pipeline.validation.structure import check_places, find_instrument, find_records, parents_first

__all__ = ["GateError", "Validated", "validate"]

PACKAGE = Path(__file__).parents[1]


class GateError(RuntimeError):
    """The gate itself failed. Says where in the program, never what a cell holds."""


def validate(
    manifest: Manifest,
    version: str,
    files: list[tuple[DataFile, bytes]],
    mappings: Mappings,
    settings: Settings,
    *,
    great_expectations: bool = True,
) -> Validated:
    """Judge one hand-in. Faults of the data never raise; they are in what comes back.

    `great_expectations` False leaves the suites out (the rule says not_applicable); the contract is always checked.
    Raises GateError where a library fails in a way that is no fault of the data.
    """
    try:
        return _validated(manifest, version, files, mappings, settings, great_expectations)
    except pl.exceptions.PolarsError as error:  # its text may carry a cell
        steps = traceback.extract_tb(error.__traceback__)
        ours = [step for step in steps if Path(step.filename).is_relative_to(PACKAGE)][-1]
        where = f"{Path(ours.filename).name}, line {ours.lineno}"
        raise GateError(f"{manifest.submission}: {type(error).__name__} in {where}") from None


def _validated(
    manifest: Manifest,
    version: str,
    files: list[tuple[DataFile, bytes]],
    mappings: Mappings,
    settings: Settings,
    great_expectations: bool,
) -> Validated:
    found = Findings()
    instrument = find_instrument(manifest, mappings, found)
    check_places(manifest, mappings, found)
    tables, logs, form_types = read_tables(files, known_sheets(instrument), settings, found)
    if instrument:
        tables = corrected(manifest, instrument, tables, logs, found)
    sources = find_records(instrument, tables, form_types, found) if instrument else {}
    sources = {name: without_unprotected(manifest, name, source, mappings, found) for name, source in sources.items()}
    count_identifiers(tables, sources, form_types, found)
    for name in public_manifest(manifest)[1]:
        found.whole("identifiers", "identifier_in_manifest", field=name, expectation="no_identifier_in_manifest")
    _ethics_of_manifest(manifest, found)
    _engagement(manifest, found)
    rows: dict[str, Rows] = {}
    refused: dict[str, pl.Series] = {}
    if instrument and sources and not found.blocked("readable", "structure"):
        rows, refused, raw = consenting(manifest, instrument, sources, found)
    if instrument and rows and not found.blocked("consent"):
        _check(manifest, instrument, mappings, rows, raw, found)
        out = quarantined(rows, instrument, found)
        for name, record_rows in rows.items():
            contracts.check_missing_answers(record_rows, out[name], found)
        if great_expectations:
            from lnob_pipeline.validation.expectations import expect

            found.results.extend(expect(rows, instrument, mappings, settings))
    else:
        rows, out = {}, {}
    balance = balance_of(sources, rows, refused, out)
    main = main_record(instrument) if instrument else None
    check_sizes(manifest, balance, main, settings, found)
    return assemble(manifest, version, mappings, rows, refused, out, sources, balance, main, found)


def _check(
    manifest: Manifest,
    instrument: Instrument,
    mappings: Mappings,
    rows: dict[str, Rows],
    raw: dict[str, pl.DataFrame],
    found: Findings,
) -> None:
    """All rules on rows, record by record."""
    _documents_numbered(rows)
    roster = any(part.record.unit == "person" for part in rows.values())
    firsts = []
    for name in parents_first(instrument):
        part = rows[name]
        contracts.check_columns(part, instrument, mappings, manifest.country, found)
        has_children = any(other.record.parent == name for other in rows.values())
        contracts.check_identity(part, raw[name], has_children, found)
        contracts.check_dates(part, manifest, found)
        contracts.check_place(part, manifest, found)
        firsts.append(contracts.first_interview(part))
        if manifest.sampling.method == "probability":
            contracts.check_design(part, manifest, found)
        if part.record.parent is not None:
            contracts.check_parents(part, rows[part.record.parent], found)
            if part.record.unit == "person" and rows[part.record.parent].record.unit == "household":
                contracts.check_household(rows[part.record.parent], part, found)
        if part.record.unit == "person" or (part.record.unit == "household" and not roster):
            contracts.check_minors(part, roster, manifest, found)
    _design_agrees(manifest, instrument, found)
    first = min((day for day in firsts if day is not None), default=None)
    if first is not None and manifest.collection.start <= first < manifest.ethics.approval_date:
        found.whole(
            "ethics", "approval_after_collection", approval=manifest.ethics.approval_date, first=first,
            expectation="approval_before_interviews",
        )  # fmt: skip


def _documents_numbered(rows: dict[str, Rows]) -> None:
    """Titles of discussions and interviews may name people: a running number takes their place in every record."""
    headers = {name: header for name, part in rows.items() if (header := document_column(part.record)) is not None}
    titles = [rows[name].frame[header] for name, header in headers.items()]
    if not titles:
        return
    known = pl.concat(titles, rechunk=True).drop_nulls().unique().sort().to_list()
    numbers = [f"document-{number:02d}" for number in range(1, len(known) + 1)]
    for name, header in headers.items():
        part = rows[name]
        part.frame = part.frame.with_columns(pl.col(header).replace_strict(known, numbers, default=None))


def _design_agrees(manifest: Manifest, instrument: Instrument, found: Findings) -> None:
    """The manifest and the instrument name the same columns for stratum, cluster and weight."""
    if manifest.sampling.method != "probability":
        return
    for part, variable in contracts.DESIGN.items():
        named = getattr(manifest.sampling, part)
        columns = [record.columns for record in instrument.records.values()]
        mapped = [header for each in columns for header, column in each.items() if column.variable == variable]
        if named is not None and named not in mapped:
            found.whole(
                "design", "not_the_design", named=public_words([named]), part=part,
                mapped=", ".join(mapped) or "nothing to it", expectation="columns_as_declared",
            )  # fmt: skip


def _ethics_of_manifest(manifest: Manifest, found: Findings) -> None:
    """The approval before the first day of collection."""
    if manifest.ethics.approval_date > manifest.collection.start:
        found.whole(
            "ethics", "approval_after_collection", approval=manifest.ethics.approval_date,
            first=manifest.collection.start, expectation="approval_before_collection",
        )  # fmt: skip
    else:
        found.result("ethics", 1, 0, expectation="approval_before_collection")


def _engagement(manifest: Manifest, found: Findings) -> None:
    levels = manifest.engagement
    message = f"design {levels.design}, collection {levels.collection}"
    if not levels.is_citizen_data:
        message += ": labelled as non-citizen data and kept apart"
    found.result(
        "citizen_engagement", 1, int(not levels.is_citizen_data), expectation="level_4_in_design_or_collection",
        message=message,
    )  # fmt: skip
