"""The tables and columns of a hand-in against its instrument: what is there, absent, unknown or of another version.

Here belongs finding the table of each record and the columns of each question, and what the manifest says that the
mappings must know. Answers are looked at in contracts.py, headers in columns.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.readers import SourceTable
from lnob_pipeline.tables import RESPONSES
from lnob_pipeline.validation.answers import Answers, options_of, read_answers, rows_of_ticks
from lnob_pipeline.validation.cleaning import FileTable, tables_of
from lnob_pipeline.validation.columns import VERSION, Headers, find_headers, flat, is_system
from lnob_pipeline.validation.findings import KEY, LABEL, PARENT, ROW, Findings
from lnob_pipeline.validation.misread import latin
from lnob_pipeline.validation.normalise import tidy, tidy_text
from lnob_pipeline.validation.privacy import (
    NOT_SHOWN,
    code_shaped,
    is_near,
    kind_by_form,
    looks_identifying,
    public_column,
    public_file,
    public_words,
)


@dataclass(frozen=True)
class Source:
    """A record of the instrument found in the files."""

    record: Record
    table: SourceTable
    file: DataFile
    headers: Headers
    answers: Answers


def find_instrument(manifest: Manifest, mappings: Mappings, found: Findings) -> Instrument | None:
    """The instrument that the manifest names, for its data type; None, and a finding, where there is none."""
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


def check_places(manifest: Manifest, mappings: Mappings, found: Findings) -> None:
    """Country, areas and groups of the manifest are those of the mappings; others could not be told apart later."""
    country = mappings.countries.get(manifest.country)
    if country is None:
        found.whole("structure", "unknown_country", known=", ".join(mappings.countries))
    elif strange := [area for area in manifest.geography.admin1 if area not in country.admin1]:
        found.whole("structure", "unknown_area", n_failed=len(strange), known=", ".join(country.admin1))
    if strange := [group for group in manifest.groups if group not in mappings.groups]:
        found.whole("structure", "unknown_group", n_failed=len(strange), known=", ".join(mappings.groups))


def find_records(
    instrument: Instrument, tables: list[FileTable], form_types: dict[str, str], found: Findings
) -> dict[str, Source]:
    """Find the table of each record and its columns; list what is absent and what is unknown."""
    sources: dict[str, Source] = {}
    places = tables_of(instrument, tables)
    for name, record in instrument.records.items():
        if name not in places:
            if tables:
                found.whole("structure", "absent_table", record=name, table=record.table)
            continue
        file, table = places[name]
        options = options_of(record, instrument)
        headers = find_headers(record, table.frame.columns, options, rows_of_ticks(table.frame) if options else set())
        answers = read_answers(record, instrument, table.frame, headers, table.value_labels)
        sources[name] = source = Source(record, table, file, headers, answers)
        _absent_columns(name, source, instrument, form_types, found)
        _unknown_columns(name, source, found)
        if record.parent is None:
            _versions(name, source, instrument, found)
        if table.frame.is_empty() and record.parent is None:
            found.whole("structure", "empty_table", file=public_file(file), record=name, table=record.table)
    return sources


def _versions(name: str, source: Source, instrument: Instrument, found: Findings) -> None:
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


def _needed(name: str, record: Record, instrument: Instrument) -> set[str]:
    """Columns without which a record cannot be used: all that are mapped, and its keys."""
    keys = {record.key, record.identity, record.parent_key}
    keys |= {child.parent_key for child in instrument.records.values() if child.parent == name and record.key is None}
    mapped = {header for header, column in record.columns.items() if column.exclude is None}
    return mapped | {key for key in keys if key is not None and key in record.columns}


def _absent_columns(
    name: str, source: Source, instrument: Instrument, form_types: dict[str, str], found: Findings
) -> None:
    record = source.record
    where: dict[str, Any] = {"file": public_file(source.file), "sheet": sheet_of(source), "record": name}
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


def _unknown_columns(name: str, source: Source, found: Findings) -> None:
    known = {header for headers in source.headers.of.values() for header in headers}
    known |= {header for options in source.headers.options.values() for header in options}
    unknown: list[str] = []
    look_alikes = {
        latin(flat(name)): column
        for column, said in source.record.columns.items()
        if column not in source.headers.of
        for name in (column, *said.aliases)
    }
    for place, header in enumerate(source.table.frame.columns, start=1):
        if header in known or is_system(header):
            continue
        column = public_column(header, place, source.record.columns)
        unknown.append(column)
        question = source.headers.elsewhere.get(header)
        reason = "column_elsewhere" if question else "unknown_column"
        if question is None and (question := look_alikes.get(latin(flat(header)))):
            reason = "look_alike_header"
        found.finding(
            "structure", reason, file=public_file(source.file), sheet=sheet_of(source), column=column, record=name,
            severity="warning", question=question,
        )  # fmt: skip
    found.result(
        "structure", source.table.frame.width, len(unknown), expectation="columns_known", record=name,
        severity="warning",
        message="columns that the questionnaire does not have: " + ", ".join(unknown) if unknown else None,
    )  # fmt: skip


def sheet_of(source: Source) -> str | None:
    """The sheet of a record by the name the instrument knows: one table may bear any name, also that of a person."""
    sheet = source.table.sheet
    known = tidy_text(source.record.table).casefold()
    same = sheet is None or tidy_text(sheet).casefold() in (known, f"{known}.csv")
    return sheet if same else source.record.table


def parents_first(instrument: Instrument) -> list[str]:
    """Records so that each comes after its parent."""
    order: list[str] = []
    while len(order) < len(instrument.records):
        free = [n for n, r in instrument.records.items() if n not in order and (r.parent is None or r.parent in order)]
        if not free:
            raise ValueError(f"instrument {instrument.instrument}: records are parents of each other")
        order.extend(free)
    return order
