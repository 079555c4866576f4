"""The pages under docs/ that are made from the mapping files: which there are, writing them, and whether they are true.

One page for each indicator and variable, and the indexes. They are kept in the repository so that they can be read
where the code is hosted; nobody edits them. Not here: what a page says (page_of_indicator.py, page_of_variable.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from lnob_pipeline.mappings.load import Mappings, read_file
from lnob_pipeline.mappings.markdown import anchors, code, link, plain, table, targets
from lnob_pipeline.mappings.models import Indicator, VariableFile
from lnob_pipeline.mappings.page_of_indicator import AVAILABILITY, GOALS, order, page_of_indicator
from lnob_pipeline.mappings.page_of_variable import page_of_variable
from lnob_pipeline.storage import write_bytes

MARK = "<!-- Written by `lnob docs` from indicator_mappings/. Change the mapping, not this page. -->\n"
FOLDERS = ("indicators", "variables")
INTRODUCTION = """\
# The library of indicators and questions

What each SDG indicator of the library counts, and each question it is made from. The pages are written from the files
in [indicator_mappings](../indicator_mappings/README.md) by `lnob docs`; `lnob docs --check` says which are stale.

An indicator page says who is in the universe and who in the numerator, in words and as the mapping writes it; what
happens to missing answers; what does not compare with the official series and why; which questions to ask; and which
data of partners can serve it, as what class. A variable page has the wording and the answers in every language.

| Class | What it means |
|---|---|
| A | same definition, representative of the stated area |
| B | same definition, a named group or a sample that stands for its respondents only |
| C | another definition |
| D | evidence that illustrates |
| E | evidence that supports |

"""


def pages(mappings: Mappings) -> dict[str, str]:
    """Path below docs/ -> Markdown of every page. The mappings must be clean (`lnob lint`)."""
    found = {"README.md": _index(mappings), "indicators/README.md": _indicators(mappings)}
    found["variables/README.md"] = _variables(mappings)
    for number in sorted(mappings.indicators, key=order):
        found[f"indicators/{number}.md"] = page_of_indicator(mappings.indicators[number], mappings)
    for name in sorted([*mappings.variables, *mappings.derived]):
        found[f"variables/{name}.md"] = page_of_variable(name, mappings)
    return {path: MARK + text for path, text in found.items()}


def write_pages(mappings: Mappings, folder: Path) -> list[str]:
    """Write what has changed below `folder` (docs/) and remove pages of what has gone; returns these paths."""
    made = pages(mappings)
    changed = []
    for path, text in made.items():
        if _read(folder / path) != text:
            write_bytes(folder / path, text.encode())
            changed.append(path)
    for path in _orphans(made, folder):
        if _read(folder / path).startswith(MARK):
            (folder / path).unlink()
            changed.append(path)
    return changed


def page_findings(mappings: Mappings, folder: Path) -> list[str]:
    """What is wrong with the pages below `folder` (docs/), as `path: sentence`; empty when all is well."""
    made = pages(mappings)
    found = [f"docs/{path}: is stale; run `lnob docs`" for path, text in made.items() if _read(folder / path) != text]
    for path in _orphans(made, folder):
        if _read(folder / path).startswith(MARK):
            found.append(f"docs/{path}: what it describes has gone; run `lnob docs`")
        else:
            found.append(f"docs/{path}: is not made from the mappings; this folder is, so move it elsewhere")
    return [*found, *broken_links(made, folder)]


def broken_links(made: Mapping[str, str], folder: Path) -> list[str]:
    """Links of the pages that lead nowhere: to no page, no file of the repository, no heading."""
    headings = {path: anchors(text) for path, text in made.items()}
    found = []
    for path, text in made.items():
        for target in sorted(set(targets(text))):
            file, _, anchor = target.partition("#")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
            if not (place in made or (folder / place).exists()) or (anchor and anchor not in headings.get(place, ())):
                found.append(f"docs/{path}: the link {target} leads nowhere")
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _orphans(made: Mapping[str, str], folder: Path) -> Iterator[str]:
    for name in FOLDERS:
        for path in sorted((folder / name).glob("*.md")):
            if (place := f"{name}/{path.name}") not in made:
                yield place


def _index(mappings: Mappings) -> str:
    goals = _by_goal(mappings)
    rows = [
        (
            link(f"{goal} {GOALS[goal]}", f"indicators/README.md#{_anchor(goal)}"),
            ", ".join(_number(each) for each in found),
        )
        for goal, found in goals.items()
    ]
    topics = [
        (
            link(plain(bank.title), f"variables/README.md#{next(iter(anchors(f'# {bank.title}')))}"),
            str(len(bank.variables)),
            str(len(bank.derived)),
        )
        for bank in _banks(mappings)
    ]
    tables = [
        "## Indicators by goal",
        "",
        *table(("Goal", "Indicators"), rows),
        "## Questions by topic",
        "",
        *table(("Topic", "Questions", "Derived variables"), topics),
    ]
    return INTRODUCTION + "\n".join(tables).rstrip() + "\n"


def _indicators(mappings: Mappings) -> str:
    lines = ["# Indicators", "", "Availability:", ""]
    lines += [f"- {letter}: {meaning}" for letter, meaning in AVAILABILITY.items()] + [""]
    for goal, found in _by_goal(mappings).items():
        rows = [
            (
                link(each.indicator, f"{each.indicator}.md"),
                plain(each.title),
                each.availability,
                f"{sum(item.measure is not None for item in each.series)} of {len(each.series)}",
                str(len(each.components)),
            )
            for each in found
        ]
        header = ("Indicator", "Title", "Availability", "Official series computed", "Components")
        lines += [f"## Goal {goal} {GOALS[goal]}", "", *table(header, rows)]
    return "\n".join(lines).rstrip() + "\n"


def _variables(mappings: Mappings) -> str:
    lines = ["# Questions and derived variables", ""]
    for bank in _banks(mappings):
        rows: list[tuple[str, ...]] = [
            (link(code(name), f"{name}.md"), plain(item.label), item.unit, item.type)
            for name, item in bank.variables.items()
        ]
        rows += [
            (link(code(name), f"{name}.md"), plain(item.label), item.unit, f"{item.type}, derived")
            for name, item in bank.derived.items()
        ]
        lines += [f"## {plain(bank.title)}", "", *table(("Variable", "Label", "Of", "Type"), rows)]
    return "\n".join(lines).rstrip() + "\n"


def _by_goal(mappings: Mappings) -> dict[str, list[Indicator]]:
    found: dict[str, list[Indicator]] = {}
    for number in sorted(mappings.indicators, key=order):
        indicator = mappings.indicators[number]
        found.setdefault(indicator.goal, []).append(indicator)
    return found


def _banks(mappings: Mappings) -> list[VariableFile]:
    """The files of the question bank by title."""
    names = sorted({file for identifier, file in mappings.files.items() if identifier.startswith("variable:")})
    banks = [bank for name in names if (bank := read_file(mappings.folder, name, VariableFile)[0]) is not None]
    return sorted(banks, key=lambda bank: bank.title)


def _number(indicator: Indicator) -> str:
    return link(indicator.indicator, f"indicators/{indicator.indicator}.md")


def _anchor(goal: str) -> str:
    return next(iter(anchors(f"## Goal {goal} {GOALS[goal]}")))
