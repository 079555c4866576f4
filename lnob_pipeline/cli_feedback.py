"""The command `lnob feedback`: what a partner is told of its hand-in, in its language.

Here: arguments, lines in the terminal. What is said is in validation/feedback.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

FORMS = {"xlsx": "xlsx", "text": "txt", "json": "json"}


def feedback(
    submission: Annotated[str, typer.Argument(help="The submission, for example ken-2019-household-survey")],
    language: Annotated[
        str | None, typer.Option(help="bn, en, ha, hi, ne, ny, sw or vi; the manifest's if none is named")
    ] = None,
    form: Annotated[
        Literal["xlsx", "text", "json"], typer.Option("--format", help="The workbook's place, or text or JSON here")
    ] = "text",
) -> None:
    """Show the feedback on a submission; workbook, text and JSON lie in the feedback folder of the lake."""
    from lnob_pipeline.messages.catalogue import LANGUAGES
    from lnob_pipeline.pipeline import feedback_in, feedback_path
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    if language is not None and language not in {*LANGUAGES, "en"}:
        raise ValueError(f"there is no catalogue for {language}; there is en, {', '.join(LANGUAGES)}")
    if language is not None:
        feedback_in(settings, submission, language)
    named = f"{submission}.{language}" if language else submission
    path = feedback_path(settings, named, FORMS[form])
    if not path.exists():
        raise ValueError(f"there is no feedback on {submission} yet; run `lnob run {submission}` first")
    typer.echo(str(path) if form == "xlsx" else path.read_text("utf-8").rstrip("\n"))
