"""Feedback workbooks that came back: their changed cells applied to the tables, as a cleaning log by the partner.

Here belongs which table a line speaks of, and what the partner hears of it; finding the changed cells is in
submissions/readers/feedback_xlsx.py, applying lines in corrections.py. The files stay as they were handed in: the
workbook is applied to them each time they are read. It fits only the file that it was made for, which is known by its
content: the rows of another file have other numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.submissions.readers import SourceTable
from lnob_pipeline.submissions.readers.feedback_xlsx import LINE
from lnob_pipeline.validation.answers import options_of
from lnob_pipeline.validation.cleaning import (
    RULE,
    FileTable,
    consent_headers,
    replaced,
    tables_of,
    tell,
    without_children,
)
from lnob_pipeline.validation.columns import find_headers, names_of
from lnob_pipeline.validation.corrections import apply_log
from lnob_pipeline.validation.findings import LABEL, ROW, Findings
from lnob_pipeline.validation.normalise import tidy
from lnob_pipeline.validation.privacy import public_file

WORKBOOK = "feedback_xlsx"
"""Format of these files in the manifest."""
APPLIED = {
    "record": pl.String(),
    "label": pl.String(),
    "header": pl.String(),
    "action": pl.String(),
    "expected": pl.String(),
    "empty": pl.Boolean(),
}
"""A line that was applied: the row, the column of the source, and the answer as collected as far as it was shown."""


def labels_of(row_numbers: pl.Series) -> pl.Series:
    """The label of each row of a table: its number, with a count where a reader makes several rows of one."""
    frame = pl.DataFrame({ROW: row_numbers.cast(pl.Int64)})
    count = pl.int_range(1, pl.len() + 1).over(ROW)
    label = pl.when(pl.len().over(ROW) > 1).then(pl.format("{}-{}", ROW, count)).otherwise(pl.col(ROW).cast(pl.String))
    return frame.select(label).to_series()


def returned(
    manifest: Manifest,
    instrument: Instrument,
    tables: list[FileTable],
    workbooks: list[FileTable],
    digests: Mapping[str, str],
    found: Findings,
) -> tuple[list[FileTable], pl.DataFrame]:
    """The tables after the workbooks, and the lines that were applied (columns APPLIED).

    digests: sha256 of each file of the hand-in by path. A workbook for other files is not applied and blocks: without
    it the data are not what the partner means.
    """
    applied = [pl.DataFrame(schema=APPLIED)]
    for file, log in workbooks:
        place = tables_of(instrument, tables).get(log.name)
        if log.frame.is_empty():
            continue
        if place is None or digests.get(place[0].path) != log.frame["file_sha256"][0]:
            found.whole(RULE, "workbook_of_other_file", file=public_file(file), severity="blocking")
            continue
        _, table = place
        record = instrument.records[log.name]
        headers = find_headers(record, table.frame.columns, options_of(record, instrument), set())
        names = names_of(record, table.frame.columns, headers)
        labelled = replace(table, frame=table.frame.with_columns(labels_of(table.row_numbers).alias(LABEL)))
        lines = _lines(log)
        part = (lines["action"] == "remove_row") & lines["key"].str.contains("-", literal=True)
        if n := int(part.sum()):  # without one of them the others would get other labels
            found.whole(RULE, "part_of_a_row", file=public_file(file), record=log.name, n_checked=n, n_failed=n, n=n)
        lines = lines.filter(~part)
        done = apply_log(labelled, LABEL, lines, names, consent_headers(manifest, instrument, names))
        said = done.applied.join(lines, on="line").with_columns(record=pl.lit(log.name), label="key")
        applied.append(said.select(pl.col(name).cast(kind) for name, kind in APPLIED.items()))
        after = replace(done.table, frame=done.table.frame.drop(LABEL))
        tell(file, log.name, instrument, table, replace(done, table=after), found)
        n = done.applied.height
        found.result(
            RULE, n, 0, expectation="corrected_by_partner", record=log.name, severity="information",
            message=f"{n} corrections by the partner, in the feedback workbook",
        )  # fmt: skip
        tables = without_children(log.name, instrument, replaced(tables, table, after), table, done.removed)
    return tables, pl.concat(applied)


def _lines(log: SourceTable) -> pl.DataFrame:
    """The lines as corrections.apply_log takes them, each with a number of its own."""
    row, column, action, expected, empty, new, _ = (pl.col(name) for name in LINE)
    return log.frame.select(
        pl.int_range(1, pl.len() + 1).cast(pl.Int64).alias("line"),
        tidy(row).alias("key"),
        tidy(column).alias("name"),
        action,
        tidy(expected).alias("expected"),
        tidy(new).alias("new"),
        empty.is_not_null().alias("empty"),
        pl.lit(True).alias("again"),
    )
