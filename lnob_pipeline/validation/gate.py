"""The gate: files of one hand-in in, accepted answers and everything there is to say about the rest out.

Order: read as text in memory (reading.py); count and take out identifiers (identifiers.py); structure (structure.py);
consent, row by row (consent.py); then the contract of columns and records (contracts.py); then the decision
(outcome.py). If the structure or the consent cannot be established, no row is read further and no cell is repeated
anywhere. A cleaning log is applied to the tables before anything is judged (corrections.py), and the headers and cells
of the export become columns and answers of the instrument (columns.py, answers.py).

Columns that the instrument does not map to a variable or a role end here: they are kept nowhere.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.validation import contracts, quality
from lnob_pipeline.validation.cleaning import corrected, main_record
from lnob_pipeline.validation.conduct import check_conduct, tool_columns
from lnob_pipeline.validation.consent import Consenting, consenting, document_column
from lnob_pipeline.validation.copies import copies
from lnob_pipeline.validation.findings import Findings, Rows
from lnob_pipeline.validation.fitness import Evidence, scorecard
from lnob_pipeline.validation.form_logic import Form, read_form, replay
from lnob_pipeline.validation.identifiers import report_taken_out, take_out, without_unprotected
from lnob_pipeline.validation.law import check_guardians, check_law
from lnob_pipeline.validation.linkage import linkage
from lnob_pipeline.validation.outcome import Validated, assemble, balance_of, check_sizes, decided, quarantined
from lnob_pipeline.validation.privacy import public_manifest, public_words
from lnob_pipeline.validation.protocol import sensitive_columns
from lnob_pipeline.validation.reading import known_sheets, read_tables
from lnob_pipeline.validation.returned import APPLIED, WORKBOOK, returned
from lnob_pipeline.validation.scopes import apply_scopes
from lnob_pipeline.validation.structure import Source, check_places, find_instrument, find_records, parents_first

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
    reviews: Mapping[str, str] | None = None,
    linkage_key: bytes | None = None,
) -> Validated:
    """Judge one hand-in. Faults of the data never raise; they are in what comes back.

    `great_expectations` False leaves the suites out (the rule says not_applicable); the contract is always checked.
    `reviews`: rule -> accept or reject, what a reviewer decided on this version of the hand-in.
    `linkage_key`: key of the linkage ids; without it there are none.
    Raises GateError where a library fails in a way that is no fault of the data.
    """
    try:
        return _validated(manifest, version, files, mappings, settings, great_expectations, reviews or {}, linkage_key)
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
    reviews: Mapping[str, str],
    linkage_key: bytes | None,
) -> Validated:
    found = Findings()
    instrument = find_instrument(manifest, mappings, found)
    check_places(manifest, mappings, found)
    tables, logs, form_types = read_tables(files, known_sheets(instrument), settings, found)
    digests = {file.path: hashlib.sha256(content).hexdigest() for file, content in files}
    applied = pl.DataFrame(schema=APPLIED)
    if instrument:
        workbooks = [log for log in logs if log[0].format == WORKBOOK]
        logs = [log for log in logs if log[0].format != WORKBOOK]
        tables = corrected(manifest, instrument, tables, logs, found)
        tables, applied = returned(manifest, instrument, tables, workbooks, digests, found)
    out_of = [take_out(table, form_types, instrument, manifest) for _, table in tables]
    tables = [(file, table) for (file, _), (table, _) in zip(tables, out_of, strict=True)]
    sources = find_records(instrument, tables, form_types, found) if instrument else {}
    sources = {name: without_unprotected(manifest, name, source, mappings, found) for name, source in sources.items()}
    report_taken_out(tables, [taken for _, taken in out_of], sources, found)
    for name in public_manifest(manifest)[1]:
        found.whole("identifiers", "identifier_in_manifest", field=name, expectation="no_identifier_in_manifest")
    _ethics_of_manifest(manifest, found)
    _engagement(manifest, found)
    guardian_age = check_law(manifest, mappings, found)
    form = read_form(files, settings) if instrument else None
    agreed = None
    if instrument and sources and not found.blocked("readable", "structure"):
        agreed = consenting(
            manifest,
            instrument,
            sources,
            found,
            guardian_age=guardian_age,
            sensitive={name: sensitive_columns(source.record, mappings) for name, source in sources.items()},
            beside={name: headers_beside(source, form) for name, source in sources.items()},
        )
    rows, refused = (agreed.rows, agreed.refused) if agreed else ({}, {})
    if instrument and agreed and rows and not found.blocked("consent"):
        _check(manifest, instrument, mappings, settings, agreed, guardian_age, found)
        if form is not None:
            replay(form, instrument, sources, agreed, found)
        out = quarantined(rows, instrument, found)
        for name, part in rows.items():
            contracts.check_missing_answers(part, out[name], found)
            quality.check_coverage(part, out[name], manifest, mappings, found)
            quality.check_group_sizes(part, out[name], found)
            quality.note_missing(part, out[name], found)
            quality.check_unknown_answers(part, out[name], mappings, settings.unmapped_share_limit, found)
        if great_expectations:
            from lnob_pipeline.validation.expectations import expect

            found.results.extend(expect(rows, instrument, mappings, settings))
    else:
        rows, out = {}, {}
    balance = balance_of(sources, rows, refused, out)
    main = main_record(instrument) if instrument else None
    check_sizes(manifest, balance, main, settings, found)
    found = decided(found, reviews)
    seen = Evidence(manifest, instrument, mappings, settings, found, rows, out, main)
    judged = assemble(manifest, version, mappings, rows, refused, out, sources, balance, main, found)
    judged = replace(judged, fitness=scorecard(seen, version, reviews))
    if agreed and rows and judged.accepted and linkage_key is not None:
        judged = replace(judged, linkage=linkage(manifest.submission, agreed, out, linkage_key))
    return replace(judged, copies=copies(sources, rows, judged.findings, applied, digests, mappings))


def _check(
    manifest: Manifest,
    instrument: Instrument,
    mappings: Mappings,
    settings: Settings,
    agreed: Consenting,
    guardian_age: int,
    found: Findings,
) -> None:
    """All rules on rows, record by record."""
    rows = agreed.rows
    _documents_numbered(rows)
    roster = any(part.record.unit == "person" for part in rows.values())
    firsts = []
    for name in parents_first(instrument):
        part = rows[name]
        contracts.check_columns(part, instrument, mappings, manifest.country, found)
        has_children = any(other.record.parent == name for other in rows.values())
        quality.check_sentinels(part, mappings, found)
        quality.check_percentages(part, instrument, mappings, found)
        contracts.check_identity(part, agreed.beside[name], has_children, found)
        contracts.check_dates(part, manifest, found)
        contracts.check_place(part, manifest, found)
        firsts.append(contracts.first_interview(part))
        if manifest.sampling.method == "probability":
            contracts.check_design(part, manifest, found)
        if part.record.parent is not None:
            contracts.check_parents(part, rows[part.record.parent], found)
            if part.record.unit == "person" and rows[part.record.parent].record.unit == "household":
                contracts.check_household(rows[part.record.parent], part, agreed.without_all[name], found)
        if part.record.unit == "person" or (part.record.unit == "household" and not roster):
            contracts.check_minors(part, roster, manifest, guardian_age, settings, found)
            check_guardians(part, roster, manifest, guardian_age, found)
    for name, part in rows.items():
        quality.check_copies(part, rows, found)
        quality.check_heaping(part, found)
        check_conduct(part, agreed.beside[name], manifest, found)
    apply_scopes(manifest, rows, agreed.scopes, found)
    _design_agrees(manifest, instrument, found)
    first = min((day for day in firsts if day is not None), default=None)
    if first is not None and manifest.collection.start <= first < manifest.ethics.approval_date:
        found.whole(
            "ethics", "approval_after_collection", approval=manifest.ethics.approval_date, first=first,
            expectation="approval_before_interviews",
        )  # fmt: skip


def headers_beside(source: Source, form: Form | None) -> list[str]:
    """Headers of a table that are looked at beside the answers: marks of the survey tool, and questions of the form."""
    questions = form.headers_beside(source) if form else ()
    return [*tool_columns(source.table.frame.columns).values(), *questions]


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
