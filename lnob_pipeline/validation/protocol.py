"""Sensitive questions: their answers are kept only where a special protocol was in force, in all of its parts.

Here: which columns of a record are sensitive, and taking them out before a row is read. Where the manifest claims the
protocol, they are kept back until a person has looked at it: no machine can. Not here: what the protocol is
(the manifest), which variables are sensitive (the question bank). What is taken out is kept nowhere: no text of these
columns goes past the gate. Source: WHO, Putting women first: ethical and safety recommendations for research on
domestic violence against women (2001).
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Record
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.findings import Findings

RULE = "special_protocol"
TAKEN_OUT = Column(exclude="not_used", reason="sensitive, and no special protocol was in force")


def sensitive_columns(record: Record, mappings: Mappings) -> list[str]:
    """The columns of a record that answer a sensitive question."""
    return [
        header
        for header, column in record.columns.items()
        if column.variable is not None and mappings.variables[column.variable].sensitive
    ]


def without_sensitive(
    manifest: Manifest,
    name: str,
    record: Record,
    answers: dict[str, pl.Series],
    file: str,
    mappings: Mappings,
    found: Findings,
) -> Record:
    """The record as it may be read: without its sensitive columns, unless the protocol of the manifest is complete.

    answers: column of the instrument -> the cells of the file, for the columns that the file has.
    """
    sensitive = sensitive_columns(record, mappings)
    if not sensitive:
        return record
    if manifest.ethics.sensitive_answers_allowed:
        found.whole(
            RULE, "sensitive_kept", file=file, record=name, severity="review", expectation="protocol_in_force",
            n_checked=len(sensitive), n_failed=len(sensitive), n=len(sensitive),
        )  # fmt: skip
        return record
    for header in sensitive:
        cells = answers.get(header, pl.Series(dtype=pl.String))
        n = len(cells) - cells.null_count()
        found.whole(
            RULE, "sensitive_taken_out", file=file, record=name, column=header, n_checked=len(cells), n_failed=n, n=n
        )
    return record.model_copy(update={"columns": record.columns | dict.fromkeys(sensitive, TAKEN_OUT)})
