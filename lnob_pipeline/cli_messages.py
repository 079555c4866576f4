"""The command `lnob messages`: the catalogues of the feedback and of the report, kept complete.

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
    report: Annotated[
        bool, typer.Option("--report", help="--missing and --merge for the report, not for the feedback")
    ] = False,
) -> None:
    """Check the catalogues of messages: complete, nothing stale, same names in braces."""
    from lnob_pipeline.messages import extract
    from lnob_pipeline.messages.catalogue import FEEDBACK, REPORT
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    chosen = REPORT if report else FEEDBACK
    wanted = language if merge is not None else missing
    if (merge is not None or missing is not None) and wanted not in chosen.languages:
        raise ValueError(f"the language is one of {', '.join(chosen.languages)}")
    read = {
        FEEDBACK.template: (FEEDBACK, *extract.messages(settings.home / "docs" / "producers_guide.md")),
        REPORT.template: (REPORT, *extract.report_messages(settings.mappings)),
    }
    entries = read[chosen.template][1]
    if missing is not None:
        typer.echo(extract.missing(entries, missing, chosen), nl=False)
        return
    if write:
        changed = [
            f"{name}, {domain.purpose}" for domain, said, _ in read.values() for name in extract.write(said, domain)
        ]
        for name in [*changed, *_write_schema(settings.home / "docs" / "feedback.schema.json")]:
            typer.echo(f"written: {name}")
    problems = []
    if merge is not None and language is not None:
        taken, left = extract.merge(entries, language, merge.read_text("utf-8"), chosen)
        problems = left
        typer.echo(f"{language}: {taken} translations taken in")
    for domain, said, found in read.values():
        problems += [*found, *(f"{problem} ({domain.purpose})" for problem in extract.findings(said, domain))]
    _tell(problems)
    for domain, said, _ in read.values():
        counts = ", ".join(f"{name} {extract.translated(name, domain)[0]}" for name in domain.languages)
        typer.echo(f"{domain.purpose}: {len(said)} messages, nothing stale; translated: {counts}")


def _tell(problems: list[str]) -> None:
    """Print what was found and stop; do nothing where nothing was."""
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(NOT_ACCEPTED)


def _write_schema(path: Path) -> list[str]:
    """Write the schema of the feedback for machines; return its name where it changed."""
    from lnob_pipeline.validation.feedback import schema_text

    text = schema_text()
    if path.exists() and path.read_text("utf-8") == text:
        return []
    path.write_text(text, "utf-8")
    return [path.name]
