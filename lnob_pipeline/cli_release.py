"""`lnob release`: the releases that there are, whether they are whole, what differs between two, which of them go.

Here: arguments, what the terminal says, exit codes. The rules are in publication/ (verify, changes, history).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from lnob_pipeline.settings import Settings

NOT_WHOLE = 1
MOST_ROWS = 200

app = typer.Typer(no_args_is_help=True, help="Releases: list them, verify one, compare two, let old ones go.")
Named = Annotated[str, typer.Argument(help="A folder, the name of a release, latest or previous (the one before it)")]


@app.command("list")
def list_releases() -> None:
    """Every release that is there or was removed, the newest first."""
    from lnob_pipeline.cli import out, show
    from lnob_pipeline.publication import history

    published = Settings.load().published
    latest = history.shown(published)
    found = history.past(published)
    lines = [
        (
            item.released_at[:10],
            item.name,
            None if item.problem else len(item.held),
            "yes" if item.synthetic else "",
            None if item.folder is None else round(_size(item.folder) / 1e6, 1),
            item.problem
            or (f"removed: {item.why}" if item.folder is None else "latest" if item.name == latest else ""),
        )
        for item in reversed(found)
    ]
    if not lines:
        out.print("There is no release yet; `lnob run` makes one.")
        return
    columns = {
        "date": pl.String,
        "release": pl.String,
        "submissions": pl.Int64,
        "synthetic": pl.String,
        "MB": pl.Float64,
        "state": pl.String,
    }
    show(pl.DataFrame(lines, schema=columns, orient="row"), f"Releases in {published}")


@app.command()
def verify(release: Named = "latest") -> None:
    """Check sums, schemas, keys, and that every form of each table has the same rows; a sentence a problem."""
    from lnob_pipeline.cli import out
    from lnob_pipeline.publication.verify import verify as problems_of

    folder = find(Settings.load().published, release)
    problems = problems_of(folder)
    for problem in problems:
        out.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(NOT_WHOLE)
    out.print(f"{folder.name} is what was published: sums, schemas, keys and rows agree", highlight=False)


@app.command()
def diff(
    before: Named = "previous",
    now: Named = "latest",
    table: Annotated[str | None, typer.Option(help="Of one table: by column and country, with examples")] = None,
    rows: Annotated[int, typer.Option(help="With --table: show so many rows that differ", min=0, max=MOST_ROWS)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON, for programs")] = False,
) -> None:
    """Show what differs between two releases: rows added, changed and withdrawn, by table and country."""
    from lnob_pipeline.cli import out, show
    from lnob_pipeline.publication import changes

    published = Settings.load().published
    folders = find(published, before), find(published, now)
    shown = changes.examples(*folders, table, rows) if table else pl.DataFrame()
    found = changes.changes(*folders)
    if as_json:
        content = found.as_json() | ({"examples": shown.to_dicts()} if table else {})
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    out.print(f"From {found.before} to {found.now}", highlight=False)
    for name, (was, is_now) in found.behind.items():
        out.print(f"{name}: {was} before, {is_now} now", markup=False, highlight=False)
    for what, submissions in found.submissions.items():
        if submissions:
            out.print(f"submissions {what}: {', '.join(submissions)}", markup=False, highlight=False)
    for sentence in found.structure:
        out.print(sentence, markup=False, highlight=False)
    counts = changes.by_column(found)
    counts = counts.filter(pl.col("table") == table) if table else counts
    if counts.is_empty():
        out.print(f"No row of {table or 'any table'} differs.")
        return
    show(counts, "Rows that differ")
    if shown.height:
        show(shown, f"The first of them in {table} (at most {rows} rows)")


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing")] = False,
) -> None:
    """Remove old releases as the settings keep_releases and withdrawn_releases say; what latest shows stays."""
    from lnob_pipeline.automation.resources import now
    from lnob_pipeline.cli import out
    from lnob_pipeline.pipeline import withdrawn
    from lnob_pipeline.publication import history, release

    settings = Settings.load()
    gone = withdrawn(settings)["submission_id"].to_list()
    why = release.prune(settings, gone, now(), dry_run=dry_run)
    for name, reason in why.items():
        out.print(f"{name} {'would go' if dry_run else 'was removed'}: {reason}", markup=False, highlight=False)
    for item in history.past(settings.published):
        if item.problem:
            out.print(f"{item.name} stays, as {item.problem}: look at it by hand", markup=False, highlight=False)
    if not why:
        out.print("No release has to go.")


def find(published: Path, release: str) -> Path:
    """The folder of a release that is meant by a folder, a name, latest or previous. Raises ValueError."""
    from lnob_pipeline.publication import history

    if Path(release).is_dir() and (Path(release) / "manifest.json").exists():
        return Path(release).resolve()
    there = [item for item in history.past(published) if item.folder is not None]
    latest = history.shown(published)
    if release == "latest" and latest:
        return published / "releases" / latest
    names = [item.name for item in there]
    if release == "previous" and latest in names[1:]:
        return published / "releases" / names[names.index(latest) - 1]
    if release in names:
        return published / "releases" / release
    known = ", ".join(names) or "none; `lnob run` makes one"
    raise ValueError(f"{release} is no release that is there; there are: {known}")


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
