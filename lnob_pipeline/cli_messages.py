"""The command `lnob messages`: the catalogues of what is said to partners, kept complete.

Here: arguments, lines in the terminal, the exit code. What a message is and how catalogues are checked is in messages/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NOT_ACCEPTED = 3


def messages(
    write: Annotated[bool, typer.Option("--write", help="Bring all catalogues in step with the code")] = False,
    missing: Annotated[str | None, typer.Option(help="Print what this language lacks, as YAML to fill in")] = None,
    merge: Annotated[
        Path | None, typer.Option(help="Take in translations from a filled YAML (with --language)", exists=True)
    ] = None,
    language: Annotated[str | None, typer.Option(help="The language of --merge, for example sw")] = None,
) -> None:
    """Check the catalogues of messages (lnob_pipeline/messages): complete, nothing stale, same names in braces."""
    from lnob_pipeline.messages import extract
    from lnob_pipeline.messages.catalogue import LANGUAGES
    from lnob_pipeline.settings import Settings

    wanted = language if merge is not None else missing
    if (merge is not None or missing is not None) and wanted not in LANGUAGES:
        raise ValueError(f"the language is one of {', '.join(LANGUAGES)}")
    entries, problems = extract.messages(Settings.load().home / "docs" / "producers_guide.md")
    if write:
        for name in [*extract.write(entries), *_write_schema(Settings.load().home / "docs" / "feedback.schema.json")]:
            typer.echo(f"written: {name}")
    if missing is not None:
        typer.echo(extract.missing(entries, missing), nl=False)
        return
    if merge is not None and language is not None:
        taken, left = extract.merge(entries, language, merge.read_text("utf-8"))
        problems += left
        typer.echo(f"{language}: {taken} translations taken in")
    problems += extract.findings(entries)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(NOT_ACCEPTED)
    counts = ", ".join(f"{name} {extract.translated(name)[0]}" for name in LANGUAGES)
    typer.echo(f"{len(entries)} messages, nothing stale; translated: {counts}")


def _write_schema(path: Path) -> list[str]:
    """Write the schema of the feedback for machines; return its name where it changed."""
    from lnob_pipeline.validation.feedback import schema_text

    text = schema_text()
    if path.exists() and path.read_text("utf-8") == text:
        return []
    path.write_text(text, "utf-8")
    return [path.name]
