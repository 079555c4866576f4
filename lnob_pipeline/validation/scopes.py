"""What people agreed to beyond the interview, applied row by row to the answers that are kept.

Here belong the scopes location, quote, photo and recontact. Sharing the answers decides whether a row is read at all
(consent.py). Names, telephone numbers, pictures and words are taken out of every row in any case (identifiers.py): for
these scopes there is nothing left to do but to say how many people refused.
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.findings import Findings, Rows

NEAR_HOME = ("cluster", "stratum")
"""Variables that can say more of a place than its first-level area."""


def apply_scopes(
    manifest: Manifest, rows: dict[str, Rows], scopes: dict[str, dict[str, pl.Series]], found: Findings
) -> None:
    """Take the place finer than the first-level area out of rows that did not agree to it; count every refusal.

    In a probability sample the cluster is part of the design: there the codes of all clusters become running numbers,
    so that they lead to no place, and who belongs together stays known.
    """
    for scope, masks in scopes.items():
        for name, agreed in masks.items():
            n = int((~agreed).sum())
            if scope == "location":
                _without_place(manifest, rows[name], agreed)
            found.result(
                "consent", len(agreed), 0, expectation=f"scope_{scope}", record=name, severity="information",
                message=f"{n} of {len(agreed)} rows without consent for {scope}; it was not kept",
            )  # fmt: skip


def _without_place(manifest: Manifest, part: Rows, agreed: pl.Series) -> None:
    if agreed.all():
        return
    for header, column in part.record.columns.items():
        if column.variable not in NEAR_HOME or header not in part.kept:
            continue
        cells = part.kept[header]
        if manifest.sampling.method == "probability":
            codes = cells.drop_nulls().unique().sort().to_list()
            numbers = [f"{column.variable}-{number:03d}" for number in range(1, len(codes) + 1)]
            cells = cells.replace(codes, numbers)
        else:
            frame = pl.DataFrame({"cell": cells, "agreed": agreed})
            cells = frame.select(pl.when("agreed").then("cell")).to_series()
        part.kept[header] = part.shown[header] = cells
