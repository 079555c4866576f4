"""Cleaning logs of a hand-in: to which table they apply, what follows from them, and what the partner hears of them.

Here belongs what needs the manifest and the instrument; applying one log to one table is in corrections.py. A log
speaks of the rows of the main record (households, scores); what hangs on a row that it removes goes with it. A log that
cannot be used stops the hand-in: without it the data are not what the partner means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.readers import SourceTable
from lnob_pipeline.validation.answers import options_of
from lnob_pipeline.validation.columns import find_headers, names_of, same_table
from lnob_pipeline.validation.corrections import Corrected, absent_columns, apply_log, explanations, log_lines
from lnob_pipeline.validation.findings import FINDING, Findings
from lnob_pipeline.validation.normalise import tidy, tidy_text
from lnob_pipeline.validation.privacy import public_column, public_file, public_words
from lnob_pipeline.validation.rules import REASONS, RULES

FileTable = tuple[DataFile, SourceTable]
"""A table and the file that it comes from."""
RULE = "corrections"
PARENTS = {"_parent_index", "PARENT_KEY"}
"""Columns of a repeat in exports of KoboToolbox, ODK Central and SurveyCTO: a table with one is not the main one."""
WITH_REPEATS = ("kobo_xlsx", "kobo_json", "odk_zip", "odk_json", "surveycto_csv")
"""Formats whose main table bears a name of its own, that of the form or of the file, beside those of its repeats."""
MAIN_UNITS = ("household", "score", "excerpt", "answer")
"""Units of the record whose rows the outcome counts, in order of choice."""


def main_record(instrument: Instrument) -> str:
    """The record whose rows are the units of the hand-in."""
    units = {record.unit: name for name, record in reversed(instrument.records.items()) if record.parent is None}
    return next((units[unit] for unit in MAIN_UNITS if unit in units), next(iter(instrument.records)))


def tables_of(instrument: Instrument, tables: list[FileTable]) -> dict[str, FileTable]:
    """The table of each record: by its name, or because it is the only main table for the only main record.

    The main table of a survey tool bears the name of the form or of the file, and a single file any name.
    """
    found: dict[str, FileTable] = {}
    for name, record in instrument.records.items():
        place = next((place for place in tables if same_table(record.table, place[1].name)), None)
        if place is not None:
            found[name] = place
    roots = [name for name, record in instrument.records.items() if record.parent is None]
    taken = {id(table) for _, table in found.values()}
    main = [place for place in tables if id(place[1]) not in taken and PARENTS.isdisjoint(place[1].frame.columns)]
    if len(roots) == 1 and roots[0] not in found and len(main) == 1:
        file, _ = main[0]
        if len(tables) == 1 or file.format in WITH_REPEATS:
            found[roots[0]] = main[0]
    return found


def corrected(
    manifest: Manifest, instrument: Instrument, tables: list[FileTable], logs: list[FileTable], found: Findings
) -> list[FileTable]:
    """The tables after the cleaning logs."""
    for file, log in logs:
        if absent := absent_columns(log, manifest.corrections):
            found.whole(
                RULE, "no_such_log_column", file=public_file(file), columns=public_words(absent), severity="blocking"
            )
            continue
        name = main_record(instrument)
        place = tables_of(instrument, tables).get(name)
        key, headers = _names(manifest, instrument, name, place[1]) if place else (None, {})
        if place is None or key is None:
            found.whole(RULE, "no_row_of_log", file=public_file(file), severity="blocking")
            continue
        _, table = place
        protected = consent_headers(manifest, instrument, headers)
        done = apply_log(table, key, log_lines(log, manifest.corrections), headers, protected)
        tell(file, name, instrument, table, done, found)
        _tell_who_and_why(name, done, explanations(log, manifest.corrections), found)
        tables = without_children(name, instrument, replaced(tables, table, done.table), table, done.removed)
    return tables


def consent_headers(manifest: Manifest, instrument: Instrument, headers: Mapping[str, str]) -> set[str]:
    """Headers with an answer to a question of consent or protection: no correction changes them. headers: by name."""
    said = {
        manifest.consent.column, instrument.consent.column if instrument.consent else None,
        *manifest.consent.scope_columns.values(), manifest.ethics.guardian_consent_column,
        manifest.ethics.privacy_column,
    }  # fmt: skip
    return {headers[tidy_text(name)] for name in said if name and tidy_text(name) in headers}


def _names(
    manifest: Manifest, instrument: Instrument, name: str, table: SourceTable
) -> tuple[str | None, dict[str, str]]:
    """The header with the ids that the log names rows by, and the headers by every name of theirs."""
    record = instrument.records[name]
    found = find_headers(record, table.frame.columns, options_of(record, instrument), set())
    headers = names_of(record, table.frame.columns, found)
    said = manifest.corrections.identifier or record.identity or record.key
    return headers.get(tidy_text(said or "")), headers


def replaced(tables: list[FileTable], old: SourceTable, new: SourceTable) -> list[FileTable]:
    """The tables with one in the place of another."""
    return [(file, new if table is old else table) for file, table in tables]


def without_children(
    name: str, instrument: Instrument, tables: list[FileTable], before: SourceTable, removed: pl.Series
) -> list[FileTable]:
    """The tables without the rows that belong to a removed row. before: the table that held the removed rows."""
    record = instrument.records[name]
    if removed.is_empty() or record.key is None:
        return tables
    gone = before.frame.filter(before.row_numbers.is_in(removed.implode()))
    keys = find_headers(record, before.frame.columns, {}, set()).of.get(record.key, ())
    for child, other in instrument.records.items():
        place = tables_of(instrument, tables).get(child)
        if other.parent != name or place is None or other.parent_key is None or not keys:
            continue
        table = place[1]
        links = find_headers(other, table.frame.columns, {}, set()).of.get(other.parent_key, ())
        if links:
            ids = gone.select(tidy(pl.col(keys[0]))).to_series().drop_nulls()
            out = table.frame.select(tidy(pl.col(links[0])).is_in(ids.implode()).fill_null(False)).to_series()
            rest = replace(table, frame=table.frame.filter(~out), row_numbers=table.row_numbers.filter(~out))
            tables = replaced(tables, table, rest)
            tables = without_children(child, instrument, tables, table, table.row_numbers.filter(out))
    return tables


def tell(
    file: DataFile, name: str, instrument: Instrument, table: SourceTable, done: Corrected, found: Findings
) -> None:
    """What a log did, by action and question, and the lines that were left. No answer and no reason of the log."""
    record = instrument.records[name]
    of = find_headers(record, table.frame.columns, options_of(record, instrument), set()).of
    shown = {
        header: public_column(header, place, record.columns)
        for place, header in enumerate(table.frame.columns, start=1)
    } | {header: column for column, headers in of.items() for header in headers}
    where = {"file": public_file(file), "record": name}
    changed = done.applied.filter(pl.col("action") != "remove_row")
    counts = changed.group_by("action", "header").agg(pl.len(), (~pl.col("compared")).sum().alias("unseen"))
    for action, header, n, unseen in counts.sort("action", "header").iter_rows():
        found.whole(
            RULE, action, column=shown[header], severity="information", n_checked=n, n_failed=0, n=n, unseen=unseen,
            **where,
        )  # fmt: skip
    if n := len(done.removed):
        found.whole(RULE, "remove_row", severity="information", n_checked=n, n_failed=0, n=n, **where)
    written = pl.lit(None) if file.format == "feedback_xlsx" else pl.format("line {} of the log", "line")
    for (reason,), lines in done.left.group_by("reason", maintain_order=True):
        why, mend = REASONS[str(reason)]
        said = where | {"rule_id": RULE, "effect": "note", "reason": why, "mend": mend, "sheet": None}
        said |= {"reason_id": str(reason), "details": "{}"}
        finding = lines.select(
            "row_number",
            pl.col("row_number").cast(pl.String).alias("label"),
            pl.col("header").replace(shown).alias("column"),
            written.alias("written"),
            pl.lit(RULES[RULE].severity).alias("severity"),
            *(pl.lit(text, dtype=pl.String).alias(key) for key, text in said.items()),
        )
        found.frames.append(finding.select(pl.col(key).cast(kind) for key, kind in FINDING.items()))
        message = f"{lines.height} lines of the cleaning log were not applied: {why}"
        found.result(RULE, lines.height, lines.height, expectation=str(reason), record=name, message=message)
    if done.left.is_empty():
        found.result(RULE, done.applied.height, 0, expectation="lines_applied", record=name)


def _tell_who_and_why(name: str, done: Corrected, said: pl.DataFrame, found: Findings) -> None:
    """Record how many of the corrections say why, and the roles that decided; neither a reason nor a name."""
    lines = done.applied.select("line").unique().join(said, on="line", how="left")
    if lines.is_empty():
        return
    roles = lines["decided_by"].drop_nulls().value_counts().sort("decided_by")
    message = REASONS["corrections_explained"][0].format(
        n=lines.height,
        explained=lines["explained"].sum(),
        roles=", ".join(f"{role} {n}" for role, n in roles.iter_rows()) or "-",
    )
    found.result(
        RULE, lines.height, 0, expectation="corrections_explained", record=name, message=message, severity="information"
    )
