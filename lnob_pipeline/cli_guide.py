"""The commands `lnob template` and `lnob guide`: what a producer needs before the first hand-in.

Here: arguments and files. Templates are in submissions/templates.py; the guide is docs/producers_guide.md, and its
printable form is made in guide.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def template(
    kind: Annotated[str, typer.Argument(help="household_survey, score_card, focus_group, interview or policy_review")],
    output: Annotated[Path | None, typer.Option("--out", help="The file (.xlsx); <kind>.xlsx if none is named")] = None,
) -> None:
    """Write an empty data file for a kind of data, with an explanation of its columns."""
    from lnob_pipeline.storage import write_bytes
    from lnob_pipeline.submissions.templates import template as make

    content, path = make(kind), output or Path(f"{kind}.xlsx")
    if path.exists():
        raise FileExistsError(f"{path} is there already; name another file (--out)")
    write_bytes(path, content)
    typer.echo(f"{path}: the sheet `read me` explains the columns")


def guide(
    output: Annotated[Path, typer.Option("--out", help="The page (.html), to be printed from a browser")],
    language: Annotated[
        str, typer.Option(help="Language of the texts that people are asked, where a reviewed translation is there")
    ] = "en",
) -> None:
    """Write the guide for producers as a page to print (A4)."""
    from lnob_pipeline.guide import printable
    from lnob_pipeline.messages.catalogue import catalogue
    from lnob_pipeline.settings import Settings
    from lnob_pipeline.storage import write_bytes

    text = (Settings.load().home / "docs" / "producers_guide.md").read_text("utf-8")
    write_bytes(output, printable(text, catalogue(language)).encode())
    typer.echo(f"{output}: print it from a browser, on A4")
