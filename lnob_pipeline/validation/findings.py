"""What stage 2 works on and what it finds: rows that consented, findings, and the result of each check.

Here belongs the record of what was found, and its words from rules.py. Who finds it is in contracts.py, structure.py
and their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from lnob_pipeline.mappings.models import Record
from lnob_pipeline.messages.message import to_json
from lnob_pipeline.validation.normalise import DateOrder
from lnob_pipeline.validation.rules import REASONS, RULES

ROW, LABEL, KEY, PARENT = "(row)", "(label)", "(key)", "(parent)"
"""Columns of work beside those of the source: row number in the file, label of the row (its number, with a count where
a reader makes several rows of one), key of the row, key of its parent."""
FINDING = {
    "record": pl.String(),
    "file": pl.String(),
    "sheet": pl.String(),
    "row_number": pl.Int32(),
    "column": pl.String(),
    "rule_id": pl.String(),
    "effect": pl.String(),
    "written": pl.String(),
    "reason": pl.String(),
    "mend": pl.String(),
    "severity": pl.String(),
    "label": pl.String(),
    "reason_id": pl.String(),
    "details": pl.String(),
}
"""A finding. reason and mend are the English of `reason_id` (rules.REASONS), filled with `details` (JSON): with these
two it can be said in another language."""
PROPOSAL = "(proposal)"
"""Where the proposal of a row stands in its details."""


@dataclass
class Rows:
    """The rows of one record that consented: ROW, LABEL, KEY, PARENT and the mapped columns as tidy text.

    kept: text for `responses`; shown: text for the feedback; numbers: values before the check of their range.
    choices: the lists of the instrument; faults: cells that say two things, by reason and column; not_ticked: rows
    without a tick in any option, by column (answers.Answers).
    """

    name: str
    record: Record
    file: str
    sheet: str | None
    date_order: DateOrder
    frame: pl.DataFrame
    choices: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    faults: dict[str, dict[str, pl.Series]] = field(default_factory=dict)
    not_ticked: dict[str, pl.Series] = field(default_factory=dict)
    kept: dict[str, pl.Series] = field(default_factory=dict)
    shown: dict[str, pl.Series] = field(default_factory=dict)
    numbers: dict[str, pl.Series] = field(default_factory=dict)

    def columns_of(self, variable: str) -> list[str]:
        """Source columns that answer a variable."""
        return [header for header, column in self.record.columns.items() if column.variable == variable]


@dataclass(frozen=True)
class Result:
    """One row of validation_results, less the submission."""

    rule_id: str
    severity: str
    outcome: str
    expectation: str
    message: str
    record: str | None = None
    column: str | None = None
    n_checked: int = 0
    n_failed: int = 0
    engine: str = "contract"


@dataclass
class Findings:
    """What was found: rows and cells (`frames`, as FINDING) and a result for each check."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def add(
        self,
        rows: Rows,
        mask: pl.Series,
        rule_id: str,
        effect: str,
        reason: str,
        *,
        column: str | None = None,
        written: pl.Series | None = None,
        severity: str | None = None,
        details: dict[str, object] | None = None,
        proposal: pl.Series | None = None,
    ) -> int:
        """List the rows where `mask` holds; return how many. `written` is shown as it is: null what may not be."""
        mask = mask.fill_null(False)
        count = int(mask.sum())
        if count == 0:
            return 0
        filling: dict[str, object] = {"column": column, "proposal": "{}"} | (details or {})
        why, mend = (text.format_map(filling) for text in REASONS[reason])
        nobody = nothing(rows.frame.height)
        chosen = pl.DataFrame(
            {
                "row_number": rows.frame[ROW],
                "label": rows.frame[LABEL],
                "written": nobody if written is None else written,
                "proposal": nobody if proposal is None else proposal,
            }
        ).filter(mask)
        reason_text, said = pl.lit(why), pl.lit(to_json({"column": column} | (details or {})))
        if proposal is not None:
            reason_text = pl.format(why, pl.col("proposal"))
            before, after = to_json({"column": column, "proposal": PROPOSAL} | (details or {})).split(PROPOSAL)
            said = pl.concat_str(pl.lit(before), pl.col("proposal").str.replace_all(r'["\\]', ""), pl.lit(after))
        self.frames.append(
            chosen.with_columns(
                pl.lit(rows.name).alias("record"),
                pl.lit(rows.file).alias("file"),
                pl.lit(rows.sheet, dtype=pl.String).alias("sheet"),
                pl.lit(column, dtype=pl.String).alias("column"),
                pl.lit(rule_id).alias("rule_id"),
                pl.lit(effect).alias("effect"),
                reason_text.alias("reason"),
                pl.lit(mend).alias("mend"),
                pl.lit(severity or ("warning" if effect != "refused" else "information")).alias("severity"),
                pl.lit(reason).alias("reason_id"),
                said.alias("details"),
            ).select(pl.col(name).cast(kind) for name, kind in FINDING.items())
        )
        return count

    def whole(
        self, rule_id: str, reason: str, *, file: str | None = None, sheet: str | None = None,
        column: str | None = None, record: str | None = None, severity: str | None = None,
        expectation: str | None = None, n_checked: int = 1, n_failed: int = 1, **details: object,
    ) -> None:  # fmt: skip
        """A fault of the hand-in, a table or a column: a finding without a row, and a failed result."""
        severity = severity or RULES[rule_id].severity
        why, mend = self.finding(
            rule_id, reason, file=file, sheet=sheet, column=column, record=record, severity=severity, **details
        )
        place = ", ".join(part for part in (file, sheet) if part)
        message = f"{place}: {why}; {mend}" if place else f"{why}; {mend}"
        self.result(
            rule_id, n_checked, n_failed, message=message, severity=severity, record=record, column=column,
            expectation=expectation or reason,
        )  # fmt: skip

    def finding(
        self, rule_id: str, reason: str, *, file: str | None = None, sheet: str | None = None,
        column: str | None = None, record: str | None = None, severity: str | None = None, **details: object,
    ) -> tuple[str, str]:  # fmt: skip
        """List a finding without a row and without a result; return its reason and how to mend it, in English.

        A detail may be a messages.Message, which is said in the partner's language too.
        """
        filling = {"column": column, "file": file} | details
        why, mend = (text.format_map(filling) for text in REASONS[reason])
        values = (
            record, file, sheet, None, column, rule_id, "submission", None, why, mend,
            severity or RULES[rule_id].severity, None, reason, to_json(filling),
        )  # fmt: skip
        self.frames.append(pl.DataFrame([values], schema=FINDING, orient="row"))
        return why, mend

    def result(
        self,
        rule_id: str,
        n_checked: int,
        n_failed: int,
        *,
        message: str | None = None,
        severity: str | None = None,
        expectation: str,
        record: str | None = None,
        column: str | None = None,
        outcome: str | None = None,
    ) -> None:
        """The result of a check: failed where something failed, unless `outcome` says otherwise."""
        outcome = outcome or ("failed" if n_failed else "passed")
        text = message or (f"{n_failed} of {n_checked} to mend" if n_failed else f"{n_checked} looked at")
        severity = severity or RULES[rule_id].severity
        self.results.append(Result(rule_id, severity, outcome, expectation, text, record, column, n_checked, n_failed))

    def table(self) -> pl.DataFrame:
        """All findings as one frame."""
        return pl.concat([pl.DataFrame(schema=FINDING), *self.frames])

    def blocked(self, *rule_ids: str) -> bool:
        """Whether a blocking failure stands (of one of the rules, where any are named)."""
        return any(
            result.outcome == "failed"
            and result.severity == "blocking"
            and (not rule_ids or result.rule_id in rule_ids)
            for result in self.results
        )


def nothing(height: int) -> pl.Series:
    """A text column without any text."""
    return pl.repeat(None, height, dtype=pl.String, eager=True)
