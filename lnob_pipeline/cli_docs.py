"""The command `lnob docs`: the pages under docs/ that are made from the mapping files.

Here: arguments, lines in the terminal, the exit code. What the pages say is in mappings/pages.py.
"""

from __future__ import annotations

from typing import Annotated

import typer

NOT_ACCEPTED = 3


def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say which pages are stale or wrong")] = False,
) -> None:
    """Write the pages of indicators and variables from the mapping files (docs/)."""
    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.mappings.pages import page_findings, write_pages
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    mappings = load_mappings(settings.mappings)
    folder = settings.home / "docs"
    changed = [] if check else write_pages(mappings, folder)
    findings = page_findings(mappings, folder)
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(NOT_ACCEPTED)
    typer.echo("docs: nothing is stale" if check else f"docs: {len(changed)} pages written or removed in {folder}")
