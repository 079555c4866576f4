"""Consent, row by row: of a row without it nothing but its number goes past this module.

Here belongs who agreed, and who is refused with whom (the members of a household, the statements of a group). What is
done with the rows that consented is in contracts.py.
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.findings import KEY, LABEL, PARENT, ROW, Findings, Rows
from lnob_pipeline.validation.normalise import tidy, tidy_text
from lnob_pipeline.validation.privacy import public_file, public_words
from lnob_pipeline.validation.structure import Source, parents_first, sheet_of


def consenting(
    manifest: Manifest, instrument: Instrument, sources: dict[str, Source], found: Findings
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
            sheet_of(source),
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


def _working(source: Source) -> pl.DataFrame:
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
    sources: dict[str, Source],
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
    manifest: Manifest, instrument: Instrument, sources: dict[str, Source]
) -> tuple[str, pl.Series] | None:
    """The record with the consent question, and its answers; the manifest and the instrument must mean the same."""
    wanted = tidy_text(manifest.consent.column or "")
    said = instrument.consent
    names = [said.record] if said else parents_first(instrument)
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
    for name in parents_first(instrument):
        record = instrument.records[name]
        if record.parent in refused and name in refused and refused[record.parent].any():
            keys = frames[record.parent].filter(refused[record.parent])[KEY]
            refused[name] = refused[name] | frames[name][PARENT].is_in(keys.implode()).fill_null(False)
    documents = {name: document_column(record) for name, record in instrument.records.items() if name in frames}
    if (header := documents.get(start)) is not None:
        silent = frames[start].filter(refused[start])[header]
        for name, other in documents.items():
            if name != start and other is not None:
                refused[name] = refused[name] | frames[name][other].is_in(silent.implode()).fill_null(False)


def document_column(record: Record) -> str | None:
    """The column with the title of a discussion or an interview; None where the record has none."""
    return next((header for header, column in record.columns.items() if column.role == "document"), None)
