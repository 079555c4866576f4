"""The page of a variable: the question, its answers in every language, who asks it and what rests on it.

Not here: expressions in words (words.py), which pages there are (pages.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.derive import asked, behind, question_of
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.markdown import code, facts, link, listed, plain, table, written
from lnob_pipeline.mappings.models import DerivedVariable, Instrument, Variable
from lnob_pipeline.mappings.page_of_indicator import LIBRARY, order
from lnob_pipeline.mappings.words import Words

LANGUAGES = {
    "bn": "Bengali",
    "en": "English",
    "ha": "Hausa",
    "hi": "Hindi",
    "ne": "Nepali",
    "ny": "Chichewa",
    "sw": "Swahili",
    "vi": "Vietnamese",
}
UNITS = {
    "household": "household",
    "person": "person: each member of the household",
    "respondent": "respondent: the one selected adult",
}
TYPES = {"code": "one code", "codes": "several codes", "number": "number", "text": "text", "date": "day"}
MEMBERS = {
    "any": "*{}* where the following holds for a member of the household, *{}* where it is known to hold for none.",
    "all": "*{}* where the following is known to hold for every member of the household, *{}* where it fails for one.",
}


def page_of_variable(name: str, mappings: Mappings) -> str:
    """The Markdown of docs/variables/<variable>.md."""
    variable = mappings.variables.get(name) or mappings.derived[name]
    words = Words(mappings, "")
    lines = [f"# {name}", "", plain(variable.label), "", *_facts(name, variable, mappings, words)]
    if isinstance(variable, Variable):
        lines += _question(variable)
    else:
        lines += _derivation(variable, mappings, words)
    lines += [*_codes(name, variable, mappings), *_used_by(name, mappings), *_asked_by(name, mappings)]
    return "\n".join(lines).rstrip() + "\n"


def _facts(name: str, variable: Variable | DerivedVariable, mappings: Mappings, words: Words) -> list[str]:
    rows = [("Asked of" if isinstance(variable, Variable) else "Of", UNITS[variable.unit])]
    rows.append(("Type", TYPES[variable.type] + ("" if isinstance(variable, Variable) else ", derived")))
    if variable.measure:
        rows.append(("Measure", plain(variable.measure)))
    if isinstance(variable, Variable):
        limits = [f"from {variable.minimum:g}"] if variable.minimum is not None else []
        limits += [f"to {variable.maximum:g}"] if variable.maximum is not None else []
        rows += [("Limits", " ".join(limits))] if limits else []
        if variable.asked_if:
            rows.append(("Asked if", f"{words.say(variable.asked_if)} ({code(variable.asked_if)})"))
        if variable.sensitive:
            rows.append(("Sensitive", "yes: kept only where a special protocol was in force"))
    rows.append(("Source", plain(variable.source)))
    rows.append(("File", link("question bank", f"{LIBRARY}{mappings.files[f'variable:{name}']}")))
    return facts(rows)


def _question(variable: Variable) -> list[str]:
    rows = [(LANGUAGES.get(language, language), plain(text)) for language, text in sorted(variable.question.items())]
    return ["## Question", "", *table(("Language", "Wording"), rows)] if rows else []


def _derivation(variable: DerivedVariable, mappings: Mappings, words: Words) -> Iterator[str]:
    yield from ("## How it is derived", "")
    if variable.members:
        yield from (MEMBERS[variable.members].format(plain(variable.codes["yes"]), plain(variable.codes["no"])), "")
    rules = words.rules(variable.expression, variable.codes)
    if len(rules) > 1:
        yield from ("The first rule that holds decides.", "")
        yield from (f"{number}. {rule}" for number, rule in enumerate(rules, start=1))
    else:
        yield rules[0]
    first, *others = written(variable.expression, "")
    yield from ("", *([first] if first else []), *others, "")
    inside = {question_of(each, mappings) for each in parse(variable.expression).variables} - set(mappings.parameters)
    yield f"Rests on {listed([_linked(each) for each in sorted(inside)], 'and')}."
    if variable.optional:
        yield f"A form may lack {listed([_linked(each) for each in sorted(variable.optional)])}."
    yield ""


def _codes(name: str, variable: Variable | DerivedVariable, mappings: Mappings) -> list[str]:
    labels = variable.code_labels if isinstance(variable, Variable) else {}
    languages = sorted(labels)
    rows = [
        (code(key), plain(label), *(plain(labels[language].get(key, "")) for language in languages))
        for key, label in mappings.codes(name).items()
    ]
    header = ("Code", "Meaning", *(LANGUAGES.get(language, language) for language in languages))
    return ["## Codes", "", *table(header, rows)] if rows else []


def _used_by(name: str, mappings: Mappings) -> list[str]:
    derived = [
        each
        for each, found in sorted(mappings.derived.items())
        if name in {question_of(inner, mappings) for inner in parse(found.expression).variables}
    ]
    lines = [f"- derived variables {', '.join(map(_linked, derived))}"] if derived else []
    for number, indicator in sorted(mappings.indicators.items(), key=lambda item: order(item[0])):
        codes = [
            key
            for key, item in indicator.computed.items()
            if item.measure and name in behind(measures.variables(item.measure), mappings)
        ]
        if codes:
            title = plain(indicator.title)
            lines.append(f"- {link(number, f'../indicators/{number}.md')} {title}: {', '.join(map(code, codes))}")
    breakdowns = [
        plain(breakdown.label)
        for key, breakdown in mappings.breakdowns.items()
        if any(name in behind(parse(item.when).variables, mappings) for item in mappings.categories(key).values())
    ]
    lines += [f"- breakdowns: {'; '.join(breakdowns)}"] if breakdowns else []
    return ["## Used by", "", *(lines or ["Nothing yet."]), ""]


def _asked_by(name: str, mappings: Mappings) -> list[str]:
    """The questionnaires that map the question, or all that a derived variable needs."""
    instruments = [mappings.instruments[key] for key in sorted(mappings.instruments)]
    if name in mappings.variables:
        rows = [row for instrument in instruments for row in _columns(name, instrument)]
        lines = table(("Questionnaire", "Column", "Answered by", "Asked otherwise"), rows)
        return ["## Asked by", "", *(lines or ["No questionnaire in the library asks it yet.", ""])]
    needed = asked([name], mappings, optional=False)
    forms = [_form(instrument) for instrument in instruments if needed <= _mapped(instrument)]
    lines = [f"- {form}" for form in forms] or ["No questionnaire in the library asks all that it needs yet."]
    return ["## Given by", "", *lines, ""]


def _columns(name: str, instrument: Instrument) -> Iterator[tuple[str, ...]]:
    for record in instrument.records.values():
        for header, column in record.columns.items():
            if column.variable == name:
                yield _form(instrument), code(header), column.reported_by, plain(column.adapted_because or "")


def _mapped(instrument: Instrument) -> set[str]:
    columns = (column for record in instrument.records.values() for column in record.columns.values())
    return {column.variable for column in columns if column.variable}


def _form(instrument: Instrument) -> str:
    return link(code(instrument.instrument), f"{LIBRARY}instruments/{instrument.instrument}.yaml")


def _linked(name: str) -> str:
    return link(code(name), f"{name}.md")
