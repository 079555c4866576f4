"""The gate: files of one hand-in in, accepted answers and everything there is to say about the rest out.

Order: read as text in memory; count and take out identifiers; structure; consent, row by row; then the contract of
columns and records; then the decision. Of a row without consent nothing but its number goes past `_consenting`. If the
structure or the consent cannot be established, no row is read further and no cell is repeated anywhere.

A cleaning log is applied to the tables before anything is judged (corrections.py), and the headers and cells of the
export become columns and answers of the instrument (columns.py, answers.py).

The way of a row: rows in the file = accepted + in quarantine + refused, for each record (`Validated.balance`). Columns
that the instrument does not map to a variable or a role end here: they are kept nowhere.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file
from lnob_pipeline.submissions.readers.xlsform import SHEETS, question_types
from lnob_pipeline.tables import QUARANTINE, RESPONSES, VALIDATION_OUTCOMES, VALIDATION_RESULTS
from lnob_pipeline.validation import contracts
from lnob_pipeline.validation.answers import Answers, options_of, read_answers, rows_of_ticks
from lnob_pipeline.validation.cleaning import FileTable, corrected, main_record, tables_of
from lnob_pipeline.validation.columns import VERSION, Headers, find_headers, is_system
from lnob_pipeline.validation.contracts import KEY, LABEL, PARENT, ROW, Findings, Result, Rows
from lnob_pipeline.validation.normalise import tidy, tidy_text
from lnob_pipeline.validation.privacy import (
    NOT_SHOWN,
    code_shaped,
    identifier_kind,
    is_near,
    kind_by_form,
    kind_by_name,
    looks_identifying,
    public_column,
    public_file,
    public_manifest,
    public_words,
)
from lnob_pipeline.validation.protocol import without_sensitive
from lnob_pipeline.validation.rules import KINDS, REASONS, RULES, Severity

PLAN_SHARE = 0.8
"""Fewer than four in five of the planned units is said."""
IDENTIFIER_SHARE, IDENTIFIER_ROWS = 0.01, 3
"""A column is identifying if so many of its rows look like identifiers (either is enough)."""


PACKAGE = Path(__file__).parents[1]
STOPPING = ("readable", "structure", "consent")
"""Without these no row is read further."""


class GateError(RuntimeError):
    """The gate itself failed. Says where in the program, never what a cell holds."""


@dataclass(frozen=True)
class Validated:
    """What stage 2 says of one version of one submission.

    responses is None when the submission is rejected; quarantine, results and outcome are always there. findings holds
    all that the partner can mend, also what is no row or cell (columns: contracts.FINDING); rows holds, by record, the
    rows with something to mend as they may be shown (label, row_number and the mapped columns); places: {record: (file,
    sheet)}. balance: record, n_rows, n_accepted, n_quarantined, n_refused.
    """

    manifest: Manifest
    responses: pl.DataFrame | None
    quarantine: pl.DataFrame
    results: pl.DataFrame
    outcome: pl.DataFrame
    findings: pl.DataFrame
    balance: pl.DataFrame
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    places: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """accepted, accepted_with_flags or rejected."""
        return str(self.outcome["state"][0])

    @property
    def accepted(self) -> bool:
        """Whether the responses may be promoted."""
        return self.responses is not None


@dataclass(frozen=True)
class _Source:
    """A record of the instrument found in the files."""

    record: Record
    table: SourceTable
    file: DataFile
    headers: Headers
    answers: Answers


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
    instrument = _instrument(manifest, mappings, found)
    _known_places(manifest, mappings, found)
    tables, logs, form_types = _read(files, _sheets(instrument), settings, found)
    if instrument:
        tables = corrected(manifest, instrument, tables, logs, found)
    sources = _structure(instrument, tables, form_types, found) if instrument else {}
    sources = {name: _allowed(manifest, name, source, mappings, found) for name, source in sources.items()}
    _identifiers(tables, sources, form_types, found)
    for name in public_manifest(manifest)[1]:
        found.whole("identifiers", "identifier_in_manifest", field=name, expectation="no_identifier_in_manifest")
    _ethics_of_manifest(manifest, found)
    _engagement(manifest, found)
    rows: dict[str, Rows] = {}
    refused: dict[str, pl.Series] = {}
    if instrument and sources and not _blocked(found, "readable", "structure"):
        rows, refused, raw = _consenting(manifest, instrument, sources, found)
    if instrument and rows and not _blocked(found, "consent"):
        _check(manifest, instrument, mappings, rows, raw, found)
        out = _out(rows, instrument, found)
        for name, record_rows in rows.items():
            contracts.check_missing_answers(record_rows, out[name], found)
        if great_expectations:
            from lnob_pipeline.validation.expectations import expect

            found.results.extend(expect(rows, instrument, mappings, settings))
    else:
        rows, out = {}, {}
    balance = _balance(sources, rows, refused, out)
    main = main_record(instrument) if instrument else None
    _sizes(manifest, balance, main, settings, found)
    return _assemble(manifest, version, mappings, rows, refused, out, sources, balance, main, found)


def _sheets(instrument: Instrument | None) -> set[str]:
    """Names of sheets, and of parts of a zip, that a message may repeat."""
    tables = {record.table for record in instrument.records.values()} if instrument else set()
    return tables | {f"{table}.csv" for table in tables} | set(SHEETS)


def _read(
    files: list[tuple[DataFile, bytes]], known_tables: set[str], settings: Settings, found: Findings
) -> tuple[list[FileTable], list[FileTable], dict[str, str]]:
    """All tables of the data files, those of cleaning logs, and the types of the questions where a form is there."""
    tables: list[FileTable] = []
    logs: list[FileTable] = []
    types: dict[str, str] = {}
    for file, content in files:
        if file.role == "codebook":
            continue
        severity: Severity = "warning" if file.role == "form" else "blocking"
        name = public_file(file)
        try:
            read = read_file(content, file)
        except ReaderError as error:
            problem = error.problem if not looks_identifying(error.problem) else "the table cannot be read"
            sheet = error.sheet if error.sheet in known_tables else None
            problem = f"row {error.row}: {problem}" if error.row else problem
            details: dict[str, Any] = {"problem": problem, "mend": error.mend}
            found.whole("readable", "unreadable_file", file=name, sheet=sheet, severity=severity, **details)
            continue
        except Exception as error:  # a library's own error may carry a cell: only its kind is passed on
            details = {
                "problem": f"the file does not open ({type(error).__name__})",
                "mend": RULES["readable"].mend,
            }
            found.whole("readable", "unreadable_file", file=name, severity=severity, **details)
            continue
        if file.role == "form":
            if "survey" in read:
                types |= question_types(read["survey"])
            continue
        rows = sum(table.frame.height for table in read.values())
        if rows > settings.maximum_rows:
            found.whole("readable", "too_many_rows", file=name, rows=rows, limit=settings.maximum_rows)
            continue
        into = logs if file.role == "corrections" else tables
        into.extend((file, table) for table in read.values())
    found.result("readable", len(files), 0, expectation="files_open", message=f"{len(files)} files looked at")
    return tables, logs, types


def _instrument(manifest: Manifest, mappings: Mappings, found: Findings) -> Instrument | None:
    instrument = mappings.instruments.get(manifest.instrument)
    if instrument is None:
        near = is_near(manifest.instrument, mappings.instruments) and not looks_identifying(manifest.instrument)
        found.whole("structure", "unknown_instrument", instrument=manifest.instrument if near else NOT_SHOWN)
        return None
    same = {instrument.data_type, manifest.data_type} <= {"focus_group", "interview"}
    if instrument.data_type != manifest.data_type and not same:
        found.whole(
            "structure", "other_data_type", instrument=manifest.instrument, declared=instrument.data_type,
            data_type=manifest.data_type,
        )  # fmt: skip
    return instrument


def _known_places(manifest: Manifest, mappings: Mappings, found: Findings) -> None:
    """Country, areas and groups of the manifest are those of the mappings; others could not be told apart later."""
    country = mappings.countries.get(manifest.country)
    if country is None:
        found.whole("structure", "unknown_country", known=", ".join(mappings.countries))
    elif strange := [area for area in manifest.geography.admin1 if area not in country.admin1]:
        found.whole("structure", "unknown_area", n_failed=len(strange), known=", ".join(country.admin1))
    if strange := [group for group in manifest.groups if group not in mappings.groups]:
        found.whole("structure", "unknown_group", n_failed=len(strange), known=", ".join(mappings.groups))


def _structure(
    instrument: Instrument, tables: list[FileTable], form_types: dict[str, str], found: Findings
) -> dict[str, _Source]:
    """Find the table of each record and its columns; list what is absent and what is unknown."""
    sources: dict[str, _Source] = {}
    places = tables_of(instrument, tables)
    for name, record in instrument.records.items():
        if name not in places:
            if tables:
                found.whole("structure", "absent_table", record=name, table=record.table)
            continue
        file, table = places[name]
        options = options_of(record, instrument)
        headers = find_headers(record, table.frame.columns, options, rows_of_ticks(table.frame) if options else set())
        answers = read_answers(record, instrument, table.frame, headers)
        sources[name] = source = _Source(record, table, file, headers, answers)
        _absent_columns(name, source, instrument, form_types, found)
        _unknown_columns(name, source, found)
        if record.parent is None:
            _versions(name, source, instrument, found)
        if table.frame.is_empty() and record.parent is None:
            found.whole("structure", "empty_table", file=public_file(file), record=name, table=record.table)
    return sources


def _versions(name: str, source: _Source, instrument: Instrument, found: Findings) -> None:
    """Rows of a version of the form that the instrument does not name: they stay, and it is said."""
    headers = [header for header in source.table.frame.columns if VERSION.match(header)]
    if not instrument.versions or not headers:
        return
    version = source.table.frame.select(pl.coalesce(tidy(pl.col(header)) for header in headers)).to_series()
    known = [tidy_text(each) for each in instrument.versions]
    unknown = version.filter(~version.is_in(known).fill_null(False))
    if unknown.is_empty():
        found.result("structure", len(version), 0, expectation="versions_known", record=name)
        return
    different = unknown.drop_nulls().unique().sort()
    shown = different.filter(code_shaped(different)).to_list()
    found.whole(
        "structure", "unknown_version", file=public_file(source.file), record=name, column=headers[0],
        severity="warning", expectation="versions_known", n_checked=len(version), n_failed=len(unknown),
        n=len(unknown), versions=public_words(shown) or NOT_SHOWN,
    )  # fmt: skip


def _allowed(manifest: Manifest, name: str, source: _Source, mappings: Mappings, found: Findings) -> _Source:
    """The source without the sensitive columns that its protocol does not cover."""
    answers = {column: source.answers.frame[column] for column in source.answers.frame.columns}
    file = public_file(source.file)
    return replace(source, record=without_sensitive(manifest, name, source.record, answers, file, mappings, found))


def _needed(name: str, record: Record, instrument: Instrument) -> set[str]:
    """Columns without which a record cannot be used: all that are mapped, and its keys."""
    keys = {record.key, record.identity, record.parent_key}
    keys |= {child.parent_key for child in instrument.records.values() if child.parent == name and record.key is None}
    mapped = {header for header, column in record.columns.items() if column.exclude is None}
    return mapped | {key for key in keys if key is not None and key in record.columns}


def _absent_columns(
    name: str, source: _Source, instrument: Instrument, form_types: dict[str, str], found: Findings
) -> None:
    record = source.record
    where: dict[str, Any] = {"file": public_file(source.file), "sheet": _sheet(source), "record": name}
    needed = sorted(_needed(name, record, instrument))
    absent = 0
    present = source.headers.of.keys() | source.headers.options.keys()
    for header in needed:
        if header in source.headers.unclear:
            n = source.headers.unclear[header]
            found.whole("structure", "unclear_column", column=header, n=n, **where)
            absent += 1
        elif header not in present or kind_by_form(header, form_types):
            found.whole("structure", "absent_column", column=header, **where)
            absent += 1
    if source.headers.by_path:
        message = f"found under a group of the form: {', '.join(source.headers.by_path)}"
        found.result(
            "structure", len(source.headers.by_path), 0, expectation="columns_by_path", record=name,
            severity="information", message=message,
        )  # fmt: skip
    reserved = {column.name for column in RESPONSES.columns} | {ROW, LABEL, KEY, PARENT}
    for header, column in record.columns.items():
        if column.exclude is None and header.casefold() in reserved:
            found.whole("structure", "reserved_column", column=header, **where)
    if not absent:
        found.result("structure", len(needed), 0, expectation="columns_present", record=name)


def _unknown_columns(name: str, source: _Source, found: Findings) -> None:
    known = {header for headers in source.headers.of.values() for header in headers}
    known |= {header for options in source.headers.options.values() for header in options}
    unknown: list[str] = []
    for place, header in enumerate(source.table.frame.columns, start=1):
        if header in known or is_system(header):
            continue
        column = public_column(header, place, source.record.columns)
        unknown.append(column)
        values = (name, public_file(source.file), _sheet(source), None, column, "structure", "submission", None)
        question = source.headers.elsewhere.get(header)
        why, mend = REASONS["column_elsewhere" if question else "unknown_column"]
        texts = (why.format(question=question), mend, "warning", None)
        found.frames.append(pl.DataFrame([(*values, *texts)], schema=contracts.FINDING, orient="row"))
    found.result(
        "structure", source.table.frame.width, len(unknown), expectation="columns_known", record=name,
        severity="warning",
        message="columns that the questionnaire does not have: " + ", ".join(unknown) if unknown else None,
    )  # fmt: skip


def _sheet(source: _Source) -> str | None:
    """The sheet of a record by the name the instrument knows: one table may bear any name, also that of a person."""
    sheet = source.table.sheet
    known = tidy_text(source.record.table).casefold()
    same = sheet is None or tidy_text(sheet).casefold() in (known, f"{known}.csv")
    return sheet if same else source.record.table


def _identifiers(
    tables: list[FileTable], sources: dict[str, _Source], form_types: dict[str, str], found: Findings
) -> None:
    """Count what is taken out, by column. What the instrument declares is information, what it does not is a flag."""
    used = {id(source.table): (name, source) for name, source in sources.items()}
    for file, table in tables:
        name, source = used.get(id(table), (None, None))
        of = source.headers.of if source else {}
        declared = {header: column for column, headers in of.items() for header in headers}
        options = {
            header for found_options in (source.headers.options.values() if source else ()) for header in found_options
        }
        for place, header in enumerate(table.frame.columns, start=1):
            cells = table.frame[header]
            filled = len(cells) - cells.null_count()
            column = source.record.columns[declared[header]] if source and header in declared else None
            if filled == 0 or header in options or (column is not None and column.exclude is None):
                continue  # the cells of mapped columns are looked at one by one, after consent
            if column is not None:
                if column.exclude == "identifier":
                    said = kind_by_form(header, form_types) or kind_by_name(header) or "declared"
                    found.result(
                        "identifiers", filled, 0, expectation="taken_out", record=name, column=declared[header],
                        severity="information", message=f"{KINDS[said]}: {filled} cells taken out",
                    )  # fmt: skip
                continue
            kind, n = _kind_of_column(header, cells, form_types)
            if kind is not None and is_system(header):
                found.result(
                    "identifiers", filled, 0, expectation="taken_out", record=name, column=header,
                    severity="information", message=f"{KINDS[kind]}: {filled} cells taken out",
                )  # fmt: skip
            elif kind is not None:
                found.whole(
                    "identifiers", "identifier_column", file=public_file(file), record=name, n_checked=len(cells),
                    n_failed=n, column=public_column(header, place, source.record.columns if source else ()),
                    expectation="no_identifier_columns",
                    kind=KINDS[kind], n=n,
                )  # fmt: skip
    n = sum(table.frame.width for _, table in tables)
    found.result("identifiers", n, 0, expectation="columns_looked_at", message=f"{n} columns looked at")


def _kind_of_column(header: str, cells: pl.Series, form_types: dict[str, str]) -> tuple[str | None, int]:
    """The kind of identifier in a column that no instrument declares, and in how many rows."""
    filled = len(cells) - cells.null_count()
    if kind := kind_by_form(header, form_types) or kind_by_name(header):
        return kind, filled
    kinds = identifier_kind(cells).drop_nulls()
    if len(kinds) >= IDENTIFIER_ROWS or (len(kinds) and len(kinds) / filled >= IDENTIFIER_SHARE):
        return str(kinds.mode().sort()[0]), len(kinds)
    return None, 0


def _consenting(
    manifest: Manifest, instrument: Instrument, sources: dict[str, _Source], found: Findings
) -> tuple[dict[str, Rows], dict[str, pl.Series], dict[str, pl.DataFrame]]:
    """The rows that consented, the numbers of those that did not, and the id columns of the former."""
    frames = {name: _working(source) for name, source in sources.items()}
    refused = _refused(manifest, instrument, sources, frames, found)
    if refused is None:
        return {}, {}, {}
    rows: dict[str, Rows] = {}
    raw: dict[str, pl.DataFrame] = {}
    numbers: dict[str, pl.Series] = {}
    for name, source in sources.items():
        out = refused[name]
        numbers[name] = frames[name].filter(out)[ROW]
        consenting = frames[name].filter(~out)
        mapped = [header for header, column in source.record.columns.items() if column.exclude is None]
        rows[name] = Rows(
            name,
            source.record,
            public_file(source.file),
            _sheet(source),
            source.file.date_order,
            consenting.select(ROW, LABEL, KEY, PARENT, *mapped),
            instrument.choices,
            {
                reason: {column: mask.filter(~out) for column, mask in masks.items() if column in mapped}
                for reason, masks in source.answers.faults.items()
            },
            {column: mask.filter(~out) for column, mask in source.answers.not_ticked.items() if column in mapped},
        )
        ids = dict.fromkeys(h for h in (source.record.identity, source.record.key) if h is not None)
        raw[name] = consenting.select(header for header in ids if header in consenting.columns)
    return rows, numbers, raw


def _working(source: _Source) -> pl.DataFrame:
    """The table under the instrument's names, tidied, with row number, key and parent key."""
    record, answers = source.record, source.answers.frame
    ids = (record.key, record.identity, record.parent_key)
    used = [name for name in answers.columns if record.columns[name].exclude in (None, "consent") or name in ids]
    row = source.table.row_numbers.cast(pl.Int32).alias(ROW)
    chosen = pl.DataFrame([row, *(answers[name] for name in used)])  # a record may have no column that is used
    count = pl.int_range(1, pl.len() + 1).over(ROW)
    label = pl.when(pl.len().over(ROW) > 1).then(pl.format("{}-{}", ROW, count)).otherwise(pl.col(ROW).cast(pl.String))
    chosen = chosen.with_columns(label.alias(LABEL))
    key = pl.col(record.key) if record.key in chosen.columns else pl.col(LABEL)
    parent = pl.col(record.parent_key) if record.parent_key in chosen.columns else pl.lit(None, dtype=pl.String)
    return chosen.with_columns(key.alias(KEY), parent.alias(PARENT))


def _refused(
    manifest: Manifest,
    instrument: Instrument,
    sources: dict[str, _Source],
    frames: dict[str, pl.DataFrame],
    found: Findings,
) -> dict[str, pl.Series] | None:
    """For each record which rows are without consent; None where consent cannot be established."""
    nobody = {name: pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True) for name, frame in frames.items()}
    per_row_needed = manifest.data_type == "household_survey"
    if manifest.consent.obtained != "per_row":
        if per_row_needed or (manifest.consent.obtained == "not_applicable" and manifest.data_type != "policy_review"):
            found.whole("consent", "no_consent_declared")
            return None
        found.result("consent", 0, 0, expectation="consent_declared", message=f"obtained {manifest.consent.obtained}")
        return nobody
    place = _consent_place(manifest, instrument, sources)
    if place is None:
        found.whole("consent", "no_consent_question", column=public_words([manifest.consent.column or ""]))
        return None
    name, answers = place
    affirmative = {tidy_text(code) for code in manifest.consent.affirmative}
    if instrument.consent is not None:
        affirmative &= {tidy_text(code) for code in instrument.consent.affirmative}
    refused = dict(nobody)
    refused[name] = ~answers.is_in(sorted(affirmative)).fill_null(False)
    n = int(refused[name].sum())
    if len(answers) and n == len(answers):
        words = public_words(sorted(affirmative))
        found.whole("consent", "nobody_consented", affirmative=words, n_checked=n, n_failed=n)
        return None
    message = f"{n} of {len(answers)} rows without consent; their answers are kept nowhere"
    found.result("consent", len(answers), 0, expectation="consent_given", record=name, message=message)
    _spread(name, refused, instrument, frames)
    return refused


def _consent_place(
    manifest: Manifest, instrument: Instrument, sources: dict[str, _Source]
) -> tuple[str, pl.Series] | None:
    """The record with the consent question, and its answers; the manifest and the instrument must mean the same."""
    wanted = tidy_text(manifest.consent.column or "")
    said = instrument.consent
    names = [said.record] if said else _parents_first(instrument)
    for name in names:
        source = sources.get(name)
        if source is None:
            continue
        called = {
            column: {column, *item.aliases} for column, item in source.record.columns.items()
            if said is None or column == said.column
        }  # fmt: skip
        column = next((c for c, texts in called.items() if wanted in {tidy_text(text) for text in texts}), None)
        if column is not None and column in source.answers.frame.columns:
            return name, source.answers.frame[column]
        header = next((h for h in source.table.frame.columns if tidy_text(h) == wanted), None)
        if header is not None and (said is None or tidy_text(said.column) == wanted):
            return name, source.table.frame.select(tidy(pl.col(header))).to_series()
    return None


def _spread(start: str, refused: dict[str, pl.Series], instrument: Instrument, frames: dict[str, pl.DataFrame]) -> None:
    """Members of a refused household, and statements of a refused group, are refused with it."""
    for name in _parents_first(instrument):
        record = instrument.records[name]
        if record.parent in refused and name in refused and refused[record.parent].any():
            keys = frames[record.parent].filter(refused[record.parent])[KEY]
            refused[name] = refused[name] | frames[name][PARENT].is_in(keys.implode()).fill_null(False)
    documents = {name: _document(record) for name, record in instrument.records.items() if name in frames}
    if (header := documents.get(start)) is not None:
        silent = frames[start].filter(refused[start])[header]
        for name, other in documents.items():
            if name != start and other is not None:
                refused[name] = refused[name] | frames[name][other].is_in(silent.implode()).fill_null(False)


def _document(record: Record) -> str | None:
    return next((header for header, column in record.columns.items() if column.role == "document"), None)


def _parents_first(instrument: Instrument) -> list[str]:
    """Records so that each comes after its parent."""
    order: list[str] = []
    while len(order) < len(instrument.records):
        free = [n for n, r in instrument.records.items() if n not in order and (r.parent is None or r.parent in order)]
        if not free:
            raise ValueError(f"instrument {instrument.instrument}: records are parents of each other")
        order.extend(free)
    return order


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
    for name in _parents_first(instrument):
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
    headers = {name: header for name, part in rows.items() if (header := _document(part.record)) is not None}
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


def _out(rows: dict[str, Rows], instrument: Instrument, found: Findings) -> dict[str, pl.Series]:
    """For each record which rows are in quarantine: their own faults, and rows that belong to such a row."""
    listed = found.table().filter(pl.col("effect") == "row")
    out: dict[str, pl.Series] = {}
    for name in _parents_first(instrument):
        part = rows[name]
        own = listed.filter(pl.col("record") == name)["label"].unique()
        out[name] = part.frame[LABEL].is_in(own.implode())
        parent = part.record.parent
        if parent is not None and out[parent].any():
            keys = rows[parent].frame.filter(out[parent])[KEY]
            waiting = part.frame[PARENT].is_in(keys.implode()).fill_null(False) & ~out[name]
            found.add(part, waiting, _first_rule(listed, parent), "row", "parent_out", column=part.record.parent_key)
            out[name] = out[name] | waiting
            listed = found.table().filter(pl.col("effect") == "row")
    return out


def _first_rule(listed: pl.DataFrame, parent: str) -> str:
    """The rule that most of the parents in quarantine broke."""
    return str(listed.filter(pl.col("record") == parent)["rule_id"].mode().sort()[0])


def _balance(
    sources: dict[str, _Source], rows: dict[str, Rows], refused: dict[str, pl.Series], out: dict[str, pl.Series]
) -> pl.DataFrame:
    """Rows of each record: in the file, accepted, in quarantine, refused. Nothing is checked without consent."""
    lines = []
    for name, source in sources.items():
        n_refused = len(refused[name]) if name in refused else 0
        quarantined = int(out[name].sum()) if name in out else 0
        n = source.table.frame.height
        accepted = rows[name].frame.height - quarantined if name in rows else 0
        lines.append((name, n, accepted, quarantined if name in rows else n - n_refused, n_refused))
    names = ("record", "n_rows", "n_accepted", "n_quarantined", "n_refused")
    schema = {"record": pl.String(), **dict.fromkeys(names[1:], pl.Int32())}
    return pl.DataFrame(lines, schema=schema, orient="row")


def _counts(balance: pl.DataFrame, main: str | None) -> tuple[int, int, int, int]:
    line = balance.filter(pl.col("record") == main).drop("record").rows() if main else []
    return line[0] if line else (0, 0, 0, 0)


def _sizes(manifest: Manifest, balance: pl.DataFrame, main: str | None, settings: Settings, found: Findings) -> None:
    """Completeness of the hand-in, and the share in quarantine."""
    n, accepted, quarantined, refused = _counts(balance, main)
    stopped = _blocked(found, *STOPPING)
    if manifest.data_type == "household_survey" and n:
        achieved, planned = manifest.sample_size.achieved, manifest.sample_size.planned
        if achieved not in (n, n - refused):
            found.whole("completeness", "achieved_differs", achieved=achieved, rows=n)
        else:
            found.result("completeness", n, 0, expectation="achieved_as_declared", record=main)
        if n - refused < PLAN_SHARE * planned:
            found.whole("completeness", "far_below_plan", rows=n - refused, planned=planned, n_checked=planned)
        else:
            found.result("completeness", n, 0, expectation="reached_the_plan", record=main)
    if stopped:
        return
    consented = n - refused
    share = quarantined / consented if consented else 0.0
    details: dict[str, Any] = {
        "quarantined": quarantined,
        "n": consented,
        "n_checked": consented,
        "n_failed": quarantined,
    }
    if accepted == 0:
        found.whole(
            "quarantine_share", "nothing_accepted", severity="blocking", n_checked=consented, n_failed=quarantined
        )
    elif share > settings.rejection_share_limit:
        limit = f"{100 * settings.rejection_share_limit:g}"
        found.whole("quarantine_share", "quarantine_high", severity="blocking", limit=limit, **details)
    elif share > settings.quarantine_share_limit:
        limit = f"{100 * settings.quarantine_share_limit:g}"
        found.whole("quarantine_share", "quarantine_high", limit=limit, **details)
    else:
        message = f"{quarantined} of {consented} rows in quarantine"
        found.result(
            "quarantine_share", consented, quarantined, expectation="quarantine_high", outcome="passed", message=message
        )


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


def _blocked(found: Findings, *rule_ids: str) -> bool:
    """Whether a blocking failure stands (of one of the rules, where any are named)."""
    return any(
        result.outcome == "failed" and result.severity == "blocking" and (not rule_ids or result.rule_id in rule_ids)
        for result in found.results
    )


def _assemble(
    manifest: Manifest,
    version: str,
    mappings: Mappings,
    rows: dict[str, Rows],
    refused: dict[str, pl.Series],
    out: dict[str, pl.Series],
    sources: dict[str, _Source],
    balance: pl.DataFrame,
    main: str | None,
    found: Findings,
) -> Validated:
    """The frames of the stage."""
    places = {name: (public_file(source.file), _sheet(source)) for name, source in sources.items()}
    spread = [
        _refused_findings(numbers, name, places[name])
        for name, numbers in refused.items()
        if len(numbers) and sources[name].record.parent is None
    ]
    findings = pl.concat([found.table(), *spread])
    rejected = _blocked(found)
    flagged = any(result.outcome == "failed" and result.severity == "warning" for result in found.results)
    state = "rejected" if rejected else "accepted_with_flags" if flagged else "accepted"
    n, accepted, quarantined, n_refused = _counts(balance, main)
    severities = ("blocking",) if rejected else ("warning",)
    reasons = [result for result in found.results if result.outcome == "failed" and result.severity in severities]
    taken = [r.message.split(":")[0] for r in found.results if r.expectation == "taken_out"] if rejected else []
    kinds = [f"{RULES['identifiers'].title}: {', '.join(sorted(set(taken)))}"] if taken else []
    outcome = {
        "submission_id": manifest.submission,
        "version": version,
        "state": state,
        "reasons": " | ".join(dict.fromkeys([*map(_reason, reasons), *kinds])),
        "n_rows": n,
        "n_accepted": 0 if rejected else accepted,
        "n_quarantined": n - n_refused if rejected else quarantined,
        "n_refused": n_refused,
        "quarantine_share": quarantined / (n - n_refused) if n > n_refused else None,
        "citizen_data": manifest.engagement.is_citizen_data,
        "mapping_version": mappings.instrument_version(manifest.instrument),
    }
    identity = pl.lit(manifest.submission).alias("submission_id")
    quarantine = findings.filter(pl.col("effect").is_in(["row", "cell", "refused"])).with_columns(identity)
    results = pl.DataFrame(
        [vars(result) for result in _every_rule(found.results, _blocked(found, *STOPPING))],
        schema={name: kind for name, kind in VALIDATION_RESULTS.schema.items() if name != "submission_id"},
    ).with_columns(identity)
    return Validated(
        manifest=manifest,
        responses=None if rejected else _responses(manifest, rows, out),
        quarantine=quarantine.select(list(QUARANTINE.schema)).sort(QUARANTINE.key, nulls_last=True),
        results=results.select(list(VALIDATION_RESULTS.schema)).sort(VALIDATION_RESULTS.key, nulls_last=True),
        outcome=pl.DataFrame([outcome], schema=VALIDATION_OUTCOMES.schema),
        findings=findings,
        balance=balance,
        rows=_rows_to_mend(rows, findings),
        places=places,
    )


def _reason(result: Result) -> str:
    """A failed result as a sentence that names its place."""
    place = ", ".join(part for part in (result.record, result.column) if part)
    title = RULES[result.rule_id].title
    return f"{title} ({place}): {result.message}" if place else f"{title}: {result.message}"


def _every_rule(results: list[Result], stopped: bool) -> list[Result]:
    """The results, and one line for each rule that had nothing to look at, or was not reached."""
    answered = {result.rule_id for result in results}
    message = "not looked at, because the hand-in stopped before" if stopped else "nothing to look at in this hand-in"
    absent = [
        Result(rule.rule_id, rule.severity, "not_applicable", "any", message)
        for rule in RULES.values()
        if rule.rule_id not in answered
    ]
    return [*results, *absent]


def _refused_findings(numbers: pl.Series, name: str, place: tuple[str, str | None]) -> pl.DataFrame:
    """Refused rows: number and rule, nothing else. Members of a refused household are counted, not listed."""
    reason, mend = REASONS["no_consent"]
    constant = {
        "record": name, "file": place[0], "sheet": place[1], "column": None, "rule_id": "consent", "effect": "refused",
        "written": None, "reason": reason, "mend": mend, "severity": "information",
    }  # fmt: skip
    return pl.DataFrame({"row_number": numbers}).select(
        (pl.col("row_number") if column in ("row_number", "label") else pl.lit(constant[column]))
        .cast(kind)
        .alias(column)
        for column, kind in contracts.FINDING.items()
    )


def _responses(manifest: Manifest, rows: dict[str, Rows], out: dict[str, pl.Series]) -> pl.DataFrame:
    """Accepted rows with their kept text.

    Keys are not those of the source, which could lead back to a person: a key is the record and the number of the first
    row that carries the source's key.
    """
    frames = []
    keys: dict[str, pl.DataFrame] = {}
    for name, part in rows.items():
        first = pl.when(pl.col(KEY).is_null()).then(LABEL).otherwise(pl.col(LABEL).first().over(KEY))
        keys[name] = part.frame.select(KEY, pl.format("{}-{}", pl.lit(name), first).alias("record_key"))
    for name, part in rows.items():
        frame = (
            keys[name]
            .select("record_key")
            .with_columns(
                pl.lit(manifest.submission).alias("submission_id"),
                pl.lit(name).alias("record"),
                part.frame[ROW].alias("row_number"),
                pl.lit(None, dtype=pl.String).alias("parent_key"),
                *(series.alias(header) for header, series in part.kept.items()),
            )
        )
        if part.record.parent is not None:
            parents = keys[part.record.parent].drop_nulls(KEY).unique(KEY)
            links = part.frame.select(PARENT).join(
                parents, left_on=PARENT, right_on=KEY, how="left", maintain_order="left"
            )
            frame = frame.with_columns(links["record_key"].alias("parent_key"))
        frames.append(frame.filter(~out[name]))
    fixed = list(RESPONSES.schema)
    whole = pl.concat(frames, how="diagonal")
    return whole.select(*fixed, *sorted(column for column in whole.columns if column not in fixed))


def _rows_to_mend(rows: dict[str, Rows], findings: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """By record, the rows with something to mend, as they may be shown."""
    listed = findings.filter(pl.col("effect").is_in(["row", "cell", "note"]) & pl.col("row_number").is_not_null())
    frames = {}
    for name, part in rows.items():
        labels = listed.filter(pl.col("record") == name)["label"].unique()
        chosen = part.frame[LABEL].is_in(labels.implode())
        places = [part.frame[LABEL].alias("label"), part.frame[ROW].alias("row_number")]
        columns = [*places, *(series.alias(h) for h, series in part.shown.items())]
        frame = pl.DataFrame(columns).filter(chosen)
        if frame.height:
            frames[name] = frame
    return frames
