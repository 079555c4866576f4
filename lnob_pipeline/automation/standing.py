"""What stands behind the tables of all hand-ins, in words for the UI: hand-ins with versions, official release.

Here: Markdown from the ledger and the official releases. Organisations are named only where their manifest allows it,
as in the table `sources`; nothing here is about a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.gaps.comparison import snapshot_label
from lnob_pipeline.pipeline import Step, publishable, sources_table
from lnob_pipeline.settings import Settings

LETTERS = 12
"""How many letters of a version are shown; `lnob review` takes as many."""
CHANGES_SHOWN = 6_000
FILES = {
    "page": "index.html",
    "gap_matrix": "report/en/gaps.html",
    "codebook": "CODEBOOK.md",
    "changes": "CHANGES.md",
    "manifest": "manifest.json",
    "workbook": "lnob.xlsx",
    "database": "lnob.duckdb",
    "sums": "SHA256SUMS",
}
"""Entry of the release asset -> file of the release."""


def markdown(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> str:
    """A table in Markdown; what is absent is a dash."""
    body = ([str(cell if cell is not None else "-").replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *body))


def stands_on(settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    """Entries `stands_on_submissions` and `stands_on_official_release` of gap tables and release."""
    used = {item.submission_id for item in publishable(settings)}
    rows = sources_table(settings).select(
        "submission_id",
        pl.col("version").str.head(LETTERS),
        "state",
        "iso3",
        "organisation",
        pl.when(pl.col("submission_id").is_in(used)).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("used"),
    )
    releases = storage.read_table(settings.lake, tables.OFFICIAL_RELEASES)
    names = ["submission", "version", "state", "country", "organisation", "in these tables"]
    return {
        "stands_on_submissions": dg.MetadataValue.md(markdown(rows.rows(), names)),
        "stands_on_official_release": dg.MetadataValue.text(snapshot_label(releases) or "none"),
    }


def of_release(step: Step) -> dict[str, dg.MetadataValue[Any]]:
    """Where the files of the release lie, its tables with their rows, and what changed since the one before."""
    folder = Path(step.texts["path"])
    entries: dict[str, dg.MetadataValue[Any]] = {
        f"{name}_file": dg.MetadataValue.path(str(folder / file))
        for name, file in FILES.items()
        if (folder / file).is_file()
    }
    rows = [(item.table, f"{item.rows:,}") for item in step.outputs]
    entries["tables"] = dg.MetadataValue.md(markdown(rows, ["table", "rows"]))
    if (folder / FILES["changes"]).is_file():
        text = (folder / FILES["changes"]).read_text("utf-8")
        entries["changes"] = dg.MetadataValue.md(text if len(text) <= CHANGES_SHOWN else f"{text[:CHANGES_SHOWN]} …")
    return entries
