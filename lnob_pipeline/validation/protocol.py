"""Sensitive questions: their answers are kept only where a special protocol was in force, in all of its parts.

Here: which columns of a record are sensitive, and taking them out before a row is read. Not here: what the protocol is
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
    sensitive = [
        header
        for header, column in record.columns.items()
        if column.variable is not None and mappings.variables[column.variable].sensitive
    ]
    if not sensitive:
        return record
    if manifest.ethics.sensitive_answers_allowed:
        message = f"{len(sensitive)} sensitive questions, asked under a special protocol"
        found.result(RULE, len(sensitive), 0, expectation="protocol_in_force", record=name, message=message)
        return record
    for header in sensitive:
        cells = answers.get(header, pl.Series(dtype=pl.String))
        n = len(cells) - cells.null_count()
        found.whole(
            RULE, "sensitive_taken_out", file=file, record=name, column=header, n_checked=len(cells), n_failed=n, n=n
        )
    return record.model_copy(update={"columns": record.columns | dict.fromkeys(sensitive, TAKEN_OUT)})
