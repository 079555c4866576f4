"""`lnob form`: a questionnaire for some indicators, with its mapping and the start of a manifest.

Here: arguments, files, what the terminal says. What is asked is decided in forms/.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.settings import Settings

if TYPE_CHECKING:
    from lnob_pipeline.forms.questions import Form

app = typer.Typer(no_args_is_help=True, help="Questionnaires made from the question bank.")
out = Console(width=None if sys.stdout.isatty() else 150)
SHOWN = 12


@app.callback()
def form() -> None:
    """Questionnaires made from the question bank."""


@app.command()
def build(
    indicators: Annotated[str, typer.Option(help="Indicators joined by commas, for example 1.4.1,16.9.1")],
    languages: Annotated[str, typer.Option(help="Languages joined by commas, for example sw,en")] = "en",
    name: Annotated[
        str | None, typer.Option(help="Name of the instrument; made from the indicators if left out")
    ] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166-1 alpha-3: its areas and groups alone")] = None,
    adult_age: Annotated[int, typer.Option(help="Age from which a member can be drawn as the respondent")] = 15,
    special_protocol: Annotated[
        str | None, typer.Option(help="The guideline under which sensitive questions are asked, as the WHO's of 2001")
    ] = None,
    reviewed_by: Annotated[
        str | None, typer.Option(help="Who has read the mapping; signs it with today's date")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Where the files are put")] = Path(),
) -> None:
    """Write an XLSForm that asks what some indicators need, the instrument that reads its export, and a manifest."""
    from lnob_pipeline.forms import instrument, questions, xlsform
    from lnob_pipeline.storage import write_bytes
    from lnob_pipeline.submissions.workbook import template_yaml

    mappings = load_mappings(Settings.load().mappings)
    codes, spoken = _listed(indicators), _listed(languages)
    name = name or _name(codes)
    title = name[:31]
    built = questions.build(codes, spoken, mappings, country.upper() if country else None, adult_age)
    _check_protocol(codes, built.sensitive, special_protocol)
    signature = instrument.Signature(reviewed_by, datetime.date.today()) if reviewed_by else None
    mapping = instrument.text(
        built, name, title, spoken, mappings, special_protocol=special_protocol, signature=signature
    )
    answers: dict[str, Any] = {
        "country": country.upper() if country else None,
        "data_type": "household_survey",
        "instrument": name,
        "consent": {"column": "consent", "affirmative": ["yes"], "obtained": "per_row"},
        "sampling": {
            "strata": "stratum",
            "cluster": "cluster",
            "respondent_selection": f"Drawn by the form among members of {adult_age} years and over",
        },
        "files": [
            {"path": f"{title}.xlsx", "role": "data", "format": "kobo_xlsx"},
            {"path": f"{name}-form.xlsx", "role": "form", "format": "xlsform"},
        ],
    }
    files = {
        f"{name}-form.xlsx": xlsform.workbook(built, title, spoken),
        f"{name}.yaml": mapping.encode(),
        "submission.yaml": template_yaml(answers),
    }
    if there := [file for file in files if (folder / file).exists()]:
        raise FileExistsError(f"{', '.join(there)} is there already; name another folder (--out)")
    for file, content in files.items():
        write_bytes(folder / file, content)
        out.print(f"{folder / file}", soft_wrap=True)
    for sentence in _said(built, name, codes, adult_age, signed=signature is not None):
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _name(indicators: list[str]) -> str:
    name = f"form-{'-'.join(code.replace('.', '-') for code in indicators)}"
    if len(name) > 31:
        raise ValueError("for this many indicators give the form a name of up to 31 characters (--name)")
    return name


def _check_protocol(indicators: list[str], sensitive: set[str], special_protocol: str | None) -> None:
    """Raise ValueError where sensitive questions would be asked without a protocol, or a protocol has no questions."""
    if sensitive and not special_protocol:
        raise ValueError(
            f"{', '.join(indicators)} need sensitive questions ({', '.join(sorted(sensitive))}). Asked without private "
            "room, trained interviewers, a list of services for help and one person a household they can bring people "
            "into danger. Name the guideline that you follow (--special-protocol), or leave these indicators out"
        )
    if special_protocol and not sensitive:
        raise ValueError("no question of these indicators is sensitive; leave --special-protocol out")


def _said(built: Form, name: str, indicators: list[str], adult_age: int, *, signed: bool) -> list[str]:
    """What the user must know of the form."""
    lines = [f"{len(built.asked)} questions for {', '.join(indicators)}"]
    lines.append(f"Add to the export before you hand it in; no form can ask it: {', '.join(built.added)}")
    for language, texts in built.untranslated.items():
        if texts:
            more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            lines.append(f"{language}: {len(texts)} texts stand in English: {', '.join(texts[:SHOWN])}{more}")
    if built.groups_left_out:
        lines.append(
            f"Not asked in front of the household: {', '.join(built.groups_left_out)} (sensitive groups of persons)"
        )
    if adult_age < 18 and any(row.name == "respondent" for row in built.rows):
        lines.append(
            f"The form draws one adult of {adult_age} years and over: where one under 18 is interviewed, the manifest "
            "says so and the guardian consents (--adult-age 18 draws none)"
        )
    if not signed:
        lines.append(f"{name}.yaml is to be signed (reviewed): read it against the form, then say who and when")
    return lines
