"""The cleaning log: what a partner corrected, as data. Clean = raw + log; the raw file stays as it was handed in.

Here belongs applying a log to a table of the source, in memory, before anything is judged. A line is applied where it
is certain: the row and the question exist once, the answer is still the expected one, and no other line wants something
else. Every other line is given back with its reason. Neither the answers nor the reasons of the log, which may name
people, leave this module. Words after impact-initiatives/cleaningtools (change_response, blank_response, remove_survey,
no_action).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import polars as pl

from lnob_pipeline.submissions.manifest import Corrections
from lnob_pipeline.submissions.readers.table import SourceTable
from lnob_pipeline.validation.normalise import ascii_digits, number_text, tidy, tidy_text

ACTIONS = ("change_response", "blank_response", "remove_row", "no_action")
ROLES = ("enumerator", "supervisor", "data_manager", "community", "secretariat")
"""Who can have decided on a correction; any other word could be a name and is not repeated."""
PLACE = "(place)"
TRUTH = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Corrected:
    """A table after its log.

    applied: one row for each line that was applied (line, action, header, row_number, compared: whether the log says
    what the answer was). left: one row for each line that was not (line, header, row_number, reason: a key of
    rules.REASONS). removed: the numbers of the rows that are gone. No frame holds an answer.
    """

    table: SourceTable
    applied: pl.DataFrame
    left: pl.DataFrame
    removed: pl.Series


def absent_columns(log: SourceTable, said: Corrections) -> list[str]:
    """Columns that the manifest names and the log has not; the expected answer may be left out."""
    known = {tidy_text(header) for header in log.frame.columns}
    wanted = (said.record_key, said.column, said.action, said.new_value)
    return [name for name in wanted if tidy_text(name) not in known]


def log_lines(log: SourceTable, said: Corrections) -> pl.DataFrame:
    """The lines of a log as line, key, name, action, expected, new, empty, again. An unknown word of action is null.

    empty: the answer is expected to be none; again: a line whose answer is there already is no fault. Both are said by
    feedback workbooks that come back, and by no log.
    """
    headers = {tidy_text(header): header for header in log.frame.columns}

    def cells(name: str) -> pl.Expr:
        header = headers.get(tidy_text(name))
        return pl.lit(None, dtype=pl.String) if header is None else tidy(pl.col(header))

    words = {tidy_text(word): action for action in ACTIONS for word in getattr(said, action)}
    action = cells(said.action).replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
    return log.frame.select(
        log.row_numbers.cast(pl.Int64).alias("line"),
        cells(said.record_key).alias("key"),
        cells(said.column).alias("name"),
        action.alias("action"),
        cells(said.expected).alias("expected"),
        cells(said.new_value).alias("new"),
        pl.lit(False).alias("empty"),
        pl.lit(False).alias("again"),
    )


def explanations(log: SourceTable, said: Corrections) -> pl.DataFrame:
    """For each line of a log whether it says why, and the role that decided: line, explained, decided_by (or null)."""
    headers = {tidy_text(header): header for header in log.frame.columns}

    def cells(name: str) -> pl.Expr:
        header = headers.get(tidy_text(name))
        return pl.lit(None, dtype=pl.String) if header is None else tidy(pl.col(header))

    role = cells(said.decided_by).str.to_lowercase().str.replace_all(r"[\s-]+", "_")
    return log.frame.select(
        log.row_numbers.cast(pl.Int64).alias("line"),
        cells(said.reason).is_not_null().alias("explained"),
        pl.when(role.is_in(ROLES)).then(role).alias("decided_by"),
    )


def apply_log(
    table: SourceTable, key: str, lines: pl.DataFrame, headers: Mapping[str, str], protected: Collection[str] = ()
) -> Corrected:
    """Apply the lines of a log to a table.

    key: header of the table with the ids that the log names rows by. headers: name of a question in the log (tidy) ->
    header of the table. protected: headers that no log may change (the question of consent).
    """
    frame = table.frame.with_row_index(PLACE)
    rows = (
        frame.select(PLACE, tidy(pl.col(key)).alias("key"), table.row_numbers.cast(pl.Int64).alias("row_number"))
        .drop_nulls("key")
        .group_by("key")
        .agg(pl.col(PLACE).first(), pl.col("row_number").first(), pl.len().alias("n"))
    )
    header = pl.col("name").replace_strict(list(headers), list(headers.values()), default=None, return_dtype=pl.String)
    said = lines.join(rows, on="key", how="left", maintain_order="left").with_columns(header.alias("header"))
    said = said.join(_cells(frame, said), on=["line"], how="left", maintain_order="left")
    edits = pl.col("action").is_in(["change_response", "blank_response"])
    new = pl.when(pl.col("action") == "change_response").then("new")
    said = said.with_columns(new.alias("new")).with_columns(
        pl.when(pl.col("action").is_null())
        .then(pl.lit("unknown_action"))
        .when(pl.col("action") == "no_action")
        .then(pl.lit("no_action"))
        .when(pl.col("n").is_null() & pl.col("again") & (pl.col("action") == "remove_row"))
        .then(pl.lit("no_action"))
        .when(pl.col("n").is_null())
        .then(pl.lit("no_such_row"))
        .when(pl.col("n") > 1)
        .then(pl.lit("several_rows"))
        .when(edits & pl.col("header").is_null())
        .then(pl.lit("no_such_question"))
        .when(edits & pl.col("header").is_in(list(protected)))
        .then(pl.lit("consent_not_changed"))
        .when(edits & pl.col("again") & _same("new", "raw"))
        .then(pl.lit("no_action"))
        .when((pl.col("action") == "change_response") & pl.col("new").is_null())
        .then(pl.lit("no_new_answer"))
        .when(edits & (pl.col("expected").is_not_null() | pl.col("empty")) & ~_same("expected", "raw"))
        .then(pl.lit("other_than_expected"))
        .alias("reason")
    )
    sound = edits & pl.col("reason").is_null()
    new_answers = said.filter(sound).group_by(PLACE, "header").agg(pl.col("new").n_unique().alias("answers"))
    said = said.join(new_answers, on=[PLACE, "header"], how="left", maintain_order="left").with_columns(
        pl.when(sound & (pl.col("answers") > 1)).then(pl.lit("two_new_answers")).otherwise("reason").alias("reason")
    )
    done = said.filter(pl.col("reason").is_null())
    removed = done.filter(pl.col("action") == "remove_row")[PLACE].unique().sort()
    for column in done.filter(edits)["header"].unique().sort():
        changes = done.filter(edits & (pl.col("header") == column)).unique(PLACE).select(PLACE, "new", change=True)
        frame = (
            frame.join(changes, on=PLACE, how="left", maintain_order="left")
            .with_columns(pl.when("change").then("new").otherwise(column).alias(column))
            .drop("new", "change")
        )
    stays = ~frame[PLACE].is_in(removed.implode())
    places = ["line", "action", "header", "row_number"]
    left = said.filter(pl.col("reason").is_not_null() & (pl.col("reason") != "no_action"))
    return Corrected(
        replace(table, frame=frame.filter(stays).drop(PLACE), row_numbers=table.row_numbers.filter(stays)),
        done.select(*places, pl.col("expected").is_not_null().alias("compared")),
        left.select("line", "header", "row_number", "reason"),
        table.row_numbers.filter(~stays),
    )


def _cells(frame: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """The answer as collected for each line that names a row and a question of the table: line, raw."""
    found = [pl.DataFrame(schema={"line": pl.Int64, "raw": pl.String})]
    for header in said["header"].drop_nulls().unique().sort():
        lines = said.filter(pl.col("header") == header).select("line", PLACE)
        found.append(lines.join(frame.select(PLACE, tidy(pl.col(header)).alias("raw")), on=PLACE).select("line", "raw"))
    return pl.concat(found)


def _same(one: str, other: str) -> pl.Expr:
    """Whether two cells mean the same: the same text, number (24 and 24.0) or truth (1 and TRUE). Null only as null."""

    def number(name: str) -> pl.Expr:
        cell = ascii_digits(pl.col(name))
        truth = cell.str.to_lowercase().replace_strict(TRUTH, default=None, return_dtype=pl.String)
        return number_text(pl.coalesce(truth, cell)).cast(pl.Float64, strict=False)

    return pl.col(one).eq_missing(pl.col(other)) | (number(one) == number(other)).fill_null(False)
