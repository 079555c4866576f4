"""`lnob official`: the releases of the UN SDG database that are there, and which one is in use.

Here: arguments, what the terminal says, exit codes. The rules are in official/.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lnob_pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Releases of the UN SDG database: list, fetch, take a download, accept.")


@app.command("list")
def list_releases() -> None:
    """Show every release that was taken in, which one is in use, and why one is held."""
    import polars as pl

    from lnob_pipeline.cli import out, show
    from lnob_pipeline.official.releases import choose, standing

    settings, areas = _here()
    choice = choose(settings, areas, "", ask=False)
    rows = choice.releases
    show(rows.select("release", "route", "fetched", "rows", "series", "state", "decided_by"), "Official releases")
    for row in rows.iter_rows(named=True):
        if row["held_because"] and row["state"] == "held":
            out.print(f"{row['release']} is held. {row['held_because']}", highlight=False, soft_wrap=True)
            accept_it = f"lnob official accept {row['release']} --by NAME --because TEXT"
            out.print(f"  Look at it; if it is right: {accept_it}", highlight=False, soft_wrap=True)
        if row["decision"]:
            said = f"{row['release']} was accepted by {row['decided_by']} on {row['decided_on']}: {row['decision']}"
            out.print(said, markup=False, highlight=False, soft_wrap=True)
    if rows.filter(pl.col("route") != "bundled").is_empty():
        there = ", ".join(item.folder.name for item in standing(settings, areas))
        unused = f"Taken in and not used, as the settings say bundled: {there}; set LNOB_OFFICIAL_SOURCE=last_good"
        nothing = "Nothing was taken in yet: lnob official fetch, or lnob official take FILE"
        out.print(unused if there else nothing, highlight=False, soft_wrap=True)
    out.print(f"in use: {choice.snapshot.info.label}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def fetch(
    every_area: Annotated[bool, typer.Option("--all-areas", help="Every area, not only the partnership's")] = False,
) -> None:
    """Fetch the current release from the service of the settings (api, or sdmx); a cut-off fetch goes on."""
    from lnob_pipeline.automation.resources import now
    from lnob_pipeline.cli import NOT_ACCEPTED, out
    from lnob_pipeline.official.http import OfficialSourceError
    from lnob_pipeline.official.releases import fetch as fetch_release
    from lnob_pipeline.official.releases import standing

    settings, areas = _here()
    source = "sdmx" if settings.official_source == "sdmx" else "api"
    settings = replace(
        settings, official_source=source, official_areas="all" if every_area else settings.official_areas
    )
    try:
        folder = fetch_release(settings, areas, now()[:10])
    except OfficialSourceError as error:
        out.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_ACCEPTED) from None
    item = next(item for item in standing(settings, areas) if item.folder == folder)
    words = {"in_use": "in use", "held": f"held: {item.held_because}", "superseded": "superseded by a later release"}
    about = f"{folder.name}: {item.manifest['rows']:,} rows, {len(item.manifest['series'])} series, {words[item.state]}"
    out.print(about, markup=False, highlight=False, soft_wrap=True)
    if item.state == "held":
        raise typer.Exit(NOT_ACCEPTED)


@app.command()
def take(
    file: Annotated[
        Path, typer.Argument(help="Bulk download of the UN: .csv, .csv.gz or .parquet", exists=True, dir_okay=False)
    ],
    release: Annotated[str, typer.Option(help="Name of the release, for example 2020-10 or 2022.Q2.G.02")],
    fetched: Annotated[str, typer.Option(help="Day of the download, YYYY-MM-DD")],
) -> None:
    """Take a bulk download of the UN in as the snapshot of a release."""
    from lnob_pipeline.cli import NOT_ACCEPTED, out
    from lnob_pipeline.official.bulk import take as take_file
    from lnob_pipeline.official.http import OfficialSourceError
    from lnob_pipeline.official.releases import standing
    from lnob_pipeline.official.snapshot import SNAPSHOTS, read_snapshot

    settings, areas = _here()
    try:
        folder = take_file(file, settings.lake / SNAPSHOTS, release, fetched)
        info = read_snapshot(folder).info
    except OfficialSourceError as error:
        out.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_ACCEPTED) from None
    out.print(f"{info.label}: {info.rows:,} rows, {info.series} series in {folder}", highlight=False, soft_wrap=True)
    item = next(item for item in standing(settings, areas) if item.folder == folder)
    if item.state == "held":
        out.print(f"It is held: {item.held_because}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_ACCEPTED)
    if settings.official_source == "bundled":
        out.print("The settings still use the bundled figures; set LNOB_OFFICIAL_SOURCE=last_good", highlight=False)


@app.command()
def accept(
    release: Annotated[str, typer.Argument(help="Release that is held, as `lnob official list` names it")],
    by: Annotated[str, typer.Option(help="Who decides")],
    because: Annotated[str, typer.Option(help="Why the release may be used")],
) -> None:
    """Let a held release be used from the next run on."""
    from lnob_pipeline.cli import out
    from lnob_pipeline.official.releases import accept as accept_release

    settings, areas = _here()
    day = datetime.datetime.now(datetime.UTC).date()
    path = accept_release(settings, areas, release, by, because, day)
    out.print(f"{release} will be used from the next run on; the decision is in {path}", soft_wrap=True)


def tell(settings: Settings) -> None:
    """One line on the official figures of the last run, and one for each release that waits for a person."""
    import polars as pl

    from lnob_pipeline import storage, tables
    from lnob_pipeline.cli import out
    from lnob_pipeline.gaps.comparison import snapshot_label

    releases = storage.read_table(settings.lake, tables.OFFICIAL_RELEASES)
    if label := snapshot_label(releases):
        out.print(f"official figures: {label}", markup=False, highlight=False)
    for release in releases.filter(pl.col("state") == "held")["release"]:
        out.print(f"official release {release} is held: lnob official list", markup=False, highlight=False)


def _here() -> tuple[Settings, list[str]]:
    """The settings and the M49 codes of the partnership."""
    from lnob_pipeline.mappings.load import load_mappings

    settings = Settings.load()
    return settings, [country.m49 for country in load_mappings(settings.mappings).countries.values()]
