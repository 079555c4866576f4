"""The command `lnob pull`: submissions from KoboToolbox and ODK Central into the inbox, and marks back.

Here: arguments, lines in the terminal, exit codes as in cli.py, and which submission a row in quarantine belongs to
(that needs tables of stage 2, which the connectors do not know). Pulling is in submissions/connectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from lnob_pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from lnob_pipeline.submissions.connectors import Pulled
    from lnob_pipeline.submissions.ledger import Live
    from lnob_pipeline.submissions.manifest import DataFile
    from lnob_pipeline.submissions.readers import SourceTable

FORMATS = ("kobo_json", "odk_json")
"""Formats that a pull leaves."""
DEEPEST = 20
"""Repeats in repeats."""
MOST_REASONS = 5


def pull(
    submissions: Annotated[
        list[str] | None, typer.Argument(help="Folders of the inbox; all that have a connection.yaml if none is named")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read every submission again, not only what changed")] = False,
    write_back: Annotated[
        bool,
        typer.Option(
            "--write-back", help="Then mark at the service what the last validation put into quarantine (write_back)"
        ),
    ] = False,
) -> None:
    """Pull the submissions of forms from KoboToolbox and ODK Central into the inbox (see docs/connectors.md)."""
    from lnob_pipeline.cli import NOT_ACCEPTED, out, show
    from lnob_pipeline.submissions.connectors import PullError
    from lnob_pipeline.submissions.ledger import LedgerError
    from lnob_pipeline.submissions.manifest import ManifestError

    settings = Settings.load()
    done: list[Pulled] = []
    lines: list[str] = []
    failed = False
    for folder in _folders(settings, submissions or []):
        try:
            done.append(_pull(settings, folder, full=full))
            lines += [f"{folder.name}: {note}" for note in done[-1].notes]
            if write_back:
                marked = _write_back(settings, folder)
                lines.append(f"{folder.name}: {marked} submissions marked at the service")
        except (PullError, ManifestError, LedgerError, OSError) as error:
            failed = True
            lines.append(f"not done: {folder.name}: {error}")
        except Exception as error:  # what a library says may hold an answer: only its kind is passed on
            failed = True
            lines.append(f"not done: {folder.name}: {type(error).__name__}")
    if done:
        counts = ("total", "new", "edited", "reviewed", "deleted")
        rows = [
            (item.submission_id, "yes" if item.changed else "no", *(getattr(item, n) for n in counts)) for item in done
        ]
        show(pl.DataFrame(rows, schema=["submission", "changed", *counts], orient="row"), "Pulled")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(NOT_ACCEPTED)


def _folders(settings: Settings, submissions: list[str]) -> list[Path]:
    """The folders named, or all with a connection. Raises ValueError where there is none."""
    from lnob_pipeline.submissions.connectors import CONNECTION
    from lnob_pipeline.submissions.receive import scan

    found = {folder.name: folder for folder in scan(settings)}
    if unknown := sorted(set(submissions) - found.keys()):
        raise ValueError(f"not in the inbox {settings.inbox}: {', '.join(unknown)}")
    chosen = [found[name] for name in submissions] or [f for f in found.values() if (f / CONNECTION).exists()]
    if not chosen:
        raise ValueError(f"no folder of the inbox {settings.inbox} has a {CONNECTION}; see docs/connectors.md")
    return chosen


def _pull(settings: Settings, folder: Path, *, full: bool) -> Pulled:
    from lnob_pipeline.submissions.connectors import pull as pull_folder

    return pull_folder(settings, folder, full=full)


def _write_back(settings: Settings, folder: Path) -> int:
    """Mark the rows that the last validation put into quarantine; return how many were marked."""
    from lnob_pipeline.submissions import ledger
    from lnob_pipeline.submissions.connectors import PullError, hold

    live = next(iter(ledger.live(settings, folder.name)), None)
    if live is None or ledger.outcome(settings, live).is_empty():
        raise PullError("it was not validated yet; run `lnob run`, then write back")
    files = ledger.sealed_files(settings, folder.name)
    content = next((content for file, content in files if file.role == "data" and file.format in FORMATS), None)
    if content is None:
        raise PullError("the version that was validated holds no pulled file; run `lnob run`, then write back")
    return hold(settings, folder, content, _comments(settings, live, files))


def _comments(settings: Settings, live: Live, files: list[tuple[DataFile, bytes]]) -> dict[str, str]:
    """Id of a submission with rows in quarantine -> rules and columns, without any answer. Ids are held in memory."""
    from lnob_pipeline import storage, tables
    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.submissions.readers import read_file
    from lnob_pipeline.validation.cleaning import tables_of
    from lnob_pipeline.validation.rules import RULES

    instrument = load_mappings(settings.mappings).instruments.get(live.manifest.instrument)
    if instrument is None:
        return {}  # no row was judged
    read = [
        (file, table) for file, content in files if file.role == "data" for table in read_file(content, file).values()
    ]
    out = storage.read_table(settings.lake, tables.QUARANTINE, live.submission_id).filter(pl.col("effect") == "row")
    titles = {rule_id: rule.title for rule_id, rule in RULES.items()}
    said = pl.concat_str(
        pl.col("rule_id").replace_strict(titles, default=pl.col("rule_id")),
        pl.format(" ({})", pl.col("column")),
        ignore_nulls=True,
    )
    parents = _parents([table for _, table in read])
    frames = [
        out.filter(pl.col("record") == record)
        .join(_ids(table, parents), on="row_number")
        .select("id", said.alias("said"))
        for record, (file, table) in tables_of(instrument, read).items()
        if file.format in FORMATS
    ]
    if not frames:
        return {}
    found = pl.concat(frames).group_by("id").agg(pl.col("said").unique().sort().head(MOST_REASONS))
    return {
        key: f"Not accepted: {'; '.join(reasons)}. Your feedback says how to mend it." for key, reasons in found.rows()
    }


def _ids(table: SourceTable, parents: pl.DataFrame) -> pl.DataFrame:
    """Row number -> id of the submission that the row belongs to, up to which the rows of a repeat are followed."""
    names = ("_submission__id", "_id", "PARENT_KEY", "KEY")
    keys = table.frame[next(name for name in names if name in table.frame.columns)]
    for _ in range(DEEPEST):
        keys = keys.replace(parents["KEY"], parents["PARENT_KEY"])
    return pl.DataFrame({"row_number": table.row_numbers.cast(pl.Int32), "id": keys}).drop_nulls()


def _parents(tables: list[SourceTable]) -> pl.DataFrame:
    """Row of a repeat -> the row that it belongs to, for all repeats of ODK Central."""
    empty = pl.DataFrame(schema={"KEY": pl.String, "PARENT_KEY": pl.String})
    repeats = [table.frame.select("KEY", "PARENT_KEY") for table in tables if "PARENT_KEY" in table.frame.columns]
    return pl.concat([empty, *repeats]).drop_nulls().unique("KEY")
