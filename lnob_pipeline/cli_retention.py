"""`lnob retention`: which raw files may no longer be kept, and their deletion.

Here: arguments, what the terminal says, exit codes. The rules are in submissions/retention.py.
"""

from __future__ import annotations

import datetime
from typing import Annotated

import polars as pl
import typer

from lnob_pipeline.settings import Settings


def retention(
    today: Annotated[str | None, typer.Option(help="Judge as of this day, YYYY-MM-DD; today if left out")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it nothing is changed")] = False,
) -> None:
    """Show raw files past their retention date or withdrawn, sealed and in the inbox; with --yes delete them."""
    from lnob_pipeline.automation.resources import now
    from lnob_pipeline.cli import NOT_ACCEPTED, out, show
    from lnob_pipeline.submissions import retention as rules

    settings = Settings.load()
    day = datetime.date.fromisoformat(today) if today else datetime.datetime.now(datetime.UTC).date()
    if yes:
        rules.clear_removed(settings)
    items, strays = rules.due(settings, day), rules.unknown(settings, now())
    if strays:
        out.print(f"{len(strays)} sealed files belong to no submission: runs were cut off before they received them")
    if not items and not strays:
        out.print(f"As of {day} no raw file has to go.")
        return
    lines = [
        (
            item.submission_id,
            item.because,
            item.retention_until,
            len(item.sealed - item.needed),
            len(item.needed),
            0 if item.inbox_stays else item.inbox_files,
            item.inbox_stays,
        )
        for item in items
    ]
    columns = {
        "submission": pl.String,
        "because": pl.String,
        "until": pl.Date,
        "sealed: goes": pl.Int64,
        "sealed: stays": pl.Int64,
        "inbox: goes": pl.Int64,
        "inbox stays because": pl.String,
    }
    if lines:
        show(pl.DataFrame(lines, schema=columns, orient="row"), f"Raw files that have to go as of {day}")
    if not yes:
        out.print("Nothing was changed. Delete them with --yes; what was accepted stays in the tables.")
        return
    problems = rules.let_go(settings, items, day, now())
    for problem in problems:
        out.print(problem, markup=False, highlight=False)
    out.print("Deleted and recorded. Copies elsewhere (backups, mail) are not reached from here.")
    if problems:
        raise typer.Exit(NOT_ACCEPTED)
