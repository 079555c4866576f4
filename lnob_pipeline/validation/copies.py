"""A partner's rows as they may be shown to it again: under its own headers, in its own order, as it wrote them.

Here belongs which cells may be shown. A cell of a mapped column is shown as it was written if its answer is right, if
it is the same as what the checks let through, or if it cannot identify a person; any other is NOT_SHOWN. Columns that
are not mapped (names, ids, free texts) and rows that were refused are not in a copy at all. What is drawn with it is in
feedback_workbook.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column
from lnob_pipeline.validation.answers import NOT_TICKED, TICKED
from lnob_pipeline.validation.contracts import PLACES
from lnob_pipeline.validation.findings import LABEL, Rows
from lnob_pipeline.validation.normalise import tidy
from lnob_pipeline.validation.privacy import NOT_SHOWN, looks_identifying, showable
from lnob_pipeline.validation.returned import labels_of
from lnob_pipeline.validation.structure import Source

MAXIMUM_ROWS = 2_000
"""Rows of a record in its copy. A longer record is copied as far as it has something to mend."""
RECOGNISED = ("code", "codes", "number", "date")
"""Types of variables whose right answers are known ones, so that they may be shown as written."""


@dataclass(frozen=True)
class Copy:
    """The rows of one record.

    frame: label, then one column for each header, text as it may be shown; original: the same before corrections by an
    earlier workbook; columns: header -> column of the instrument; left_out: labels of rows that an earlier workbook
    left out; n_more: rows with something to mend that are not in the copy; digest: sha256 of the file of the rows.
    """

    record: str
    table: str
    frame: pl.DataFrame
    original: pl.DataFrame
    columns: dict[str, str]
    left_out: list[str]
    n_more: int
    digest: str


def copies(
    sources: Mapping[str, Source],
    rows: Mapping[str, Rows],
    findings: pl.DataFrame,
    applied: pl.DataFrame,
    digests: Mapping[str, str],
    mappings: Mappings,
) -> dict[str, Copy]:
    """The copy of each record. applied: lines of earlier workbooks (returned.APPLIED); digests: sha256 by path."""
    return {
        name: _copy(name, sources[name], part, findings, applied.filter(pl.col("record") == name), digests, mappings)
        for name, part in rows.items()
    }


def _copy(
    name: str,
    source: Source,
    part: Rows,
    findings: pl.DataFrame,
    applied: pl.DataFrame,
    digests: Mapping[str, str],
    mappings: Mappings,
) -> Copy:
    marks = findings.filter((pl.col("record") == name) & pl.col("effect").is_in(["row", "cell", "note"]))
    chosen = part.frame[LABEL]
    if len(chosen) > MAXIMUM_ROWS:
        chosen = chosen.filter(chosen.is_in(marks["label"].drop_nulls().unique().implode())).head(MAXIMUM_ROWS)
    here = part.frame[LABEL].is_in(chosen.implode())
    labels = labels_of(source.table.row_numbers)
    consented = labels.is_in(chosen.implode())
    table, labels = source.table.frame.filter(consented), labels.filter(consented)
    of = {header: column for column, headers in source.headers.of.items() for header in headers}
    of |= {header: column for column, headers in source.headers.options.items() for header in headers}
    of = {header: of[header] for header in table.columns if of.get(header) in part.shown}
    ticks = {header for headers in source.headers.options.values() for header in headers}
    wrong = marks.filter(pl.col("effect") != "note")
    shown: list[pl.Series] = [labels.alias("label")]
    columns: dict[str, str] = {}
    for header, column in of.items():
        bad = wrong.filter(pl.col("column") == column)["label"]
        cells = table.select(tidy(pl.col(header)).alias("cell")).to_series()
        shown_here = part.shown[column].filter(here)
        frame = pl.DataFrame({"cell": cells, "shown": shown_here, "label": labels})
        right = pl.lit(_recognised(part.record.columns[column], mappings)) & pl.col("shown").is_not_null()
        faulty = pl.col("label").is_in(bad.implode())
        right &= ~faulty
        may = right | (pl.col("cell") == pl.col("shown"))
        if header in ticks:
            may |= pl.col("cell").str.to_lowercase().is_in([*TICKED, *NOT_TICKED])
        if len(bad):
            different = cells.drop_nulls().unique()
            harmless = different.filter(showable(different))
            may |= faulty & pl.col("cell").is_in(harmless.implode())
        text = pl.when(pl.col("cell").is_null() | may.fill_null(False)).then("cell").otherwise(pl.lit(NOT_SHOWN))
        public = column if looks_identifying(header) else header
        columns[public] = column
        shown.append(frame.select(text.alias(public)).to_series())
    frame = pl.DataFrame(shown)
    removed = applied.filter(pl.col("action") == "remove_row")["label"].unique(maintain_order=True).to_list()
    public_of = dict(zip(of, columns, strict=True))
    return Copy(
        name, part.record.table, frame, _before(frame, applied, public_of), columns, removed,
        len(set(marks["label"].drop_nulls()) - set(labels)), digests.get(source.file.path, ""),
    )  # fmt: skip


def _recognised(column: Column, mappings: Mappings) -> bool:
    """Whether the answers of a column are known ones: codes, numbers, dates. Others may stand for a place."""
    if column.variable in PLACES:
        return False
    if column.codes or column.positive or column.negative:
        return True
    return column.variable is not None and mappings.variables[column.variable].type in RECOGNISED


def _before(frame: pl.DataFrame, applied: pl.DataFrame, public: Mapping[str, str]) -> pl.DataFrame:
    """The copy before earlier corrections: what was there as far as it was shown then."""
    for (header,), lines in applied.filter(pl.col("action") != "remove_row").group_by("header", maintain_order=True):
        name = public.get(str(header))
        if name is None:
            continue
        was = pl.when(~pl.col("empty")).then(pl.coalesce("expected", pl.lit(NOT_SHOWN)))
        change = lines.select("label", was.alias("was"), pl.lit(True).alias("changed")).unique("label", keep="last")
        joined = frame.join(change, on="label", how="left", maintain_order="left")
        frame = joined.with_columns(pl.when("changed").then("was").otherwise(name).alias(name)).drop("was", "changed")
    return frame
