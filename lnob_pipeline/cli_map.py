"""`lnob map`: the commands for those who write mappings, a draft of an instrument and a trial of it.

Here: arguments, output, exit codes, as in cli.py. Nothing is computed here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Draft an instrument file, and see what it makes of a hand-in.")


@app.command()
def suggest(
    form: Annotated[
        Path, typer.Argument(help="XLSForm, or data (.csv .xlsx .sav .dta .json .zip)", exists=True, dir_okay=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Where to put the draft (.yaml); else it is printed")] = None,
    cutoff: Annotated[
        float | None, typer.Option(min=0, max=1, help="Score from which a variable is proposed; 0.6 unless set")
    ] = None,
) -> None:
    """Draft an instrument file from a form or a data file. It proposes and never decides: lint refuses the draft."""
    from lnob_pipeline.drafting.draft import draft
    from lnob_pipeline.drafting.match import CUTOFF, Matcher, read_synonyms
    from lnob_pipeline.drafting.questions import read_questions

    settings = Settings.load()
    matcher = Matcher(load_mappings(settings.mappings), read_synonyms(settings.mappings))
    text = draft(read_questions(form), matcher, CUTOFF if cutoff is None else cutoff, form)
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise ValueError(f"{out} is there already; take another name, so that no decision is lost")
    out.write_text(text, "utf-8")
    typer.echo(f"{out}: read every line, fill in what says TO DECIDE, then `lnob lint`")


@app.command()
def test(
    instrument: Annotated[str, typer.Argument(help="Name of an instrument, or its file (.yaml)")],
    submission: Annotated[Path, typer.Argument(help="Folder of a hand-in, or its name in the inbox")],
) -> None:
    """Show what a mapping makes of a hand-in, question by question. Nothing is kept. Exit code 3 if it is not whole."""
    from lnob_pipeline.automation.resources import now
    from lnob_pipeline.cli import NOT_ACCEPTED, show
    from lnob_pipeline.cli import out as terminal
    from lnob_pipeline.drafting.trial import read_instrument, trial
    from lnob_pipeline.pipeline import clean_manifest
    from lnob_pipeline.submissions import ledger
    from lnob_pipeline.submissions.receive import receive

    inbox = Settings.load().inbox / submission.name.split("-", maxsplit=1)[0] / submission.name
    folder = submission if submission.is_dir() else inbox
    if not folder.is_dir():
        raise ValueError(f"{submission} is neither a folder nor a hand-in of the inbox")
    mappings = load_mappings(Settings.load().mappings)
    chosen = read_instrument(instrument, mappings)
    with tempfile.TemporaryDirectory() as temporary:
        lake = Path(temporary) / "lake"
        settings = Settings.load(lake=lake, sealed=lake / "sealed")
        received = receive(settings, folder, now(), clean_manifest)
        live = ledger.live(settings, received.submission_id) if received.state == "received" else []
        if not live:
            for problem in received.problems:
                terminal.print(f"- {problem}", markup=False, highlight=False)
            raise typer.Exit(NOT_ACCEPTED)
        files = ledger.sealed_files(settings, received.submission_id)
        tried = trial(chosen, live[0].manifest, files, mappings, settings)
    for problem in tried.problems:
        terminal.print(f"- {problem}", markup=False, highlight=False)
    for (_, column, _), rows in tried.answers.group_by("record", "column", "variable", maintain_order=True):
        place = f"{rows['record'][0]}, {column} -> {rows['variable'][0]}"
        show(rows.select("in the file", "becomes", "answers", "remark"), place)
    left = ", ".join(f"{n} {reason}" for reason, n in tried.left_out.items())
    terminal.print(f"left out: {left or 'nothing'}; rows without consent (not counted): {tried.refused}")
    if tried.answers.is_empty():
        terminal.print("No answer could be looked at; mend the lines above.")
        raise typer.Exit(NOT_ACCEPTED)
    terminal.print(f"{tried.unmapped} answers are not mapped")
    if tried.unmapped:
        raise typer.Exit(NOT_ACCEPTED)
