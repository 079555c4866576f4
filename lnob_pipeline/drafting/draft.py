"""The draft of an instrument file: proposals with their reasons, and everything else left to be decided.

Here belongs the text of the draft. It proposes and never decides: a column without a variable, polarity, codes in
doubt, the answers to the consent question and the review are left so that the file cannot be loaded, or lint refuses
it, until a person has filled them in. Scores are made in match.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lnob_pipeline.drafting.match import Match, Matcher, assign, is_remark, missing_kind, says_yes_or_no
from lnob_pipeline.drafting.questions import PARADATA, Question

TO_DECIDE = "TO DECIDE"
PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
ALIASES = 2
"""Labels of a question that are proposed as other headers of its column."""


def draft(questions: Sequence[Question], matcher: Matcher, cutoff: float, path: Path) -> str:
    """The text of the instrument file for the questions of the form or data file `path`."""
    proposals = assign(questions, matcher, cutoff)
    consent = next((q for q in questions if q.repeat is None and _is_consent(q)), None)
    slug = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "form"
    lines = [
        f"# Draft by `lnob map suggest` from {_remark(path.name)}: {len(questions)} questions, {len(proposals)}",
        f"# proposals at a score of {cutoff} or more. Nothing is decided: read every line, fill in what says",
        f"# {TO_DECIDE}, take the remarks out, name the file as its instrument. Until then `lnob lint` refuses it.",
        f"instrument: {slug}",
        f"title: {_quoted(path.stem)}  # {TO_DECIDE}: the title of the questionnaire",
        f'version:  # {TO_DECIDE}: for example "2021"',
        f"data_type: household_survey  # {TO_DECIDE}: or score_card, focus_group, interview, policy_review",
        f"languages:  # {TO_DECIDE}: for example [en, sw]",
        *_consent(consent),
        *_choice_lists(questions, proposals),
        "records:",
    ]
    repeats = list(dict.fromkeys(question.repeat for question in questions))
    for repeat in sorted(repeats, key=lambda name: name is not None):
        lines += _record(repeat, path)
        for place, question in enumerate(questions):
            if question.repeat == repeat:
                if question is consent:
                    lines.append(f"      {_quoted(question.name)}: {{exclude: consent}}  # by its name")
                else:
                    lines += _column(question, proposals.get(place), matcher, questions, proposals)
    lines.append(f"reviewed:  # {TO_DECIDE}: {{by: ..., date: YYYY-MM-DD, source: what it was read against}}")
    return "\n".join(lines) + "\n"


def _is_consent(question: Question) -> bool:
    return question.kind == "one" and "consent" in question.name.lower()


def _consent(question: Question | None) -> list[str]:
    if question is None:
        return [f"consent:  # {TO_DECIDE}: no consent question was found; a survey without one is refused"]
    offered = ", ".join(_quoted(code) for code in question.choices)
    column = _quoted(question.name)
    note = f'# {TO_DECIDE}: which of {_remark(offered)} is consent, for example ["yes"]'
    return [f"consent: {{record: household, column: {column}, affirmative: }}  {note}"]


def _choice_lists(questions: Sequence[Question], proposals: dict[int, Match]) -> Iterator[str]:
    """The lists of choices that proposed questions use, with their labels."""
    lists = {
        q.list_name: q.choices for place, q in enumerate(questions) if place in proposals and q.list_name and q.choices
    }
    if lists:
        yield "choices:"
    for name, choices in lists.items():
        yield f"  {_quoted(name or '')}:"
        for code, labels in choices.items():
            yield f"    {_quoted(code)}: [{', '.join(json.dumps(label, ensure_ascii=False) for label in labels)}]"


def _record(repeat: str | None, path: Path) -> list[str]:
    if repeat is None:
        return [
            "  household:",
            f"    table: {_quoted(path.stem)}  # {TO_DECIDE}: the sheet or file with one row a household",
            "    unit: household",
            "    columns:",
        ]
    name = re.sub(r"[^a-z0-9]+", "_", repeat.lower()).strip("_")
    return [
        f"  {_quoted(name if name[:1].isalpha() else 'repeat_' + name)}:",
        f"    table: {_quoted(repeat)}",
        f"    unit: person  # {TO_DECIDE}: a repeat may hold persons, or something that has no place here",
        "    parent: household",
        f"    parent_key: {TO_DECIDE}  # the column with the key of the household",
        "    columns:",
    ]


def _column(
    question: Question,
    match: Match | None,
    matcher: Matcher,
    all_of_them: Sequence[Question],
    proposals: dict[int, Match],
) -> list[str]:
    """The lines of one column."""
    name = f"      {_quoted(question.name)}:"
    if match is not None:
        return _proposed(name, question, match, matcher)
    if left := _left_out(question, all_of_them):
        exclude, reason = left
        return [f"{name} {{exclude: {exclude}}}  # proposed: {_remark(reason)}"]
    nearest = next(iter(matcher.candidates(question)), None)
    why = "no variable is near"
    if nearest is not None:
        taken = next(
            (all_of_them[p].name for p, other in proposals.items() if other.variable == nearest.variable), None
        )
        why = f"nearest {nearest.variable} {nearest.score:.2f}: {nearest.reason}"
        why += f"; proposed for {taken}" if taken else ""
    label = f" {_remark(question.texts[0])[:90]!r};" if question.texts else ""
    return [f"{name} {{}}  # {TO_DECIDE}:{label} {_remark(why)}"]


def _left_out(question: Question, all_of_them: Sequence[Question]) -> tuple[str, str] | None:
    """Why a question is proposed to be left out, by the rules of privacy and by its type; None for all others."""
    if question.identifier:
        return "identifier", f"seems to be: {question.identifier}"
    if question.form_type in PARADATA:
        return "paradata", f"type {question.form_type}"
    if question.form_type in ("calculate", "technical"):
        return "technical", "computed by the form or added by the survey tool"
    above = re.split(r"[/.](?=[^/.]*$)", question.name)[0]
    if above != question.name and any(other.name == above for other in all_of_them):
        return "option_column", f"an option of {above}"
    if is_remark(question) or (question.kind == "text" and not question.choices):
        return "free_text", "typed text"
    return None


def _proposed(name: str, question: Question, match: Match, matcher: Matcher) -> list[str]:
    variable = matcher.mappings.variables[match.variable]
    lines = [name, f"        variable: {match.variable}  # {match.score:.2f}: {_remark(match.reason)}"]
    if question.texts:
        shown = ", ".join(json.dumps(text, ensure_ascii=False) for text in dict.fromkeys(question.texts[:ALIASES]))
        lines.append(f"        # asked: {_remark(shown)[:200]}")
    if variable.type == "codes":
        lines.append("        select: multiple")
    codes = matcher.mappings.codes(match.variable)
    if variable.type == "code" and set(codes) == {"yes", "no"}:
        lines += _polarity(question)
    elif variable.type in ("code", "codes"):
        lines += _codes(question, match.variable, matcher)
    elif variable.type == "number":
        limits = f"{_limit(variable.minimum)} to {_limit(variable.maximum)} {variable.measure}"
        lines.append(f"        # {TO_DECIDE}: is the unit the same ({_remark(limits)})? If not, say multiply.")
    if variable.type in ("code", "codes", "number"):
        lines += _missing(question)
    if question.list_name and question.choices and variable.type in ("code", "codes"):
        lines.append(f"        choices: {_quoted(question.list_name)}")
    if question.unlisted:
        lines.append(f"        # {TO_DECIDE}: {question.unlisted} answers that stand in the file once are not shown")
    return lines


def _missing(question: Question) -> list[str]:
    """The choices, or the numbers as -999, that seem to be no answer."""
    missing: dict[str, list[str]] = {}
    for code, labels in question.choices.items():
        if (kind := missing_kind(code, labels)) is not None:
            missing.setdefault(kind, []).append(_code(code))
    lines = [
        f"          {kind}: [{', '.join(listed)}]  # proposed; look it up in the form"
        for kind, listed in missing.items()
    ]
    return ["        missing:", *lines] if lines else []


def _polarity(question: Question) -> list[str]:
    """Empty lists, which lint refuses, with what the words seem to say."""
    said = {code: says_yes_or_no(code, labels) for code, labels in question.choices.items()}
    left = [code for code, labels in question.choices.items() if missing_kind(code, labels) is None]
    lines = []
    for side, word in (("positive", "yes"), ("negative", "no")):
        seems = ", ".join(_code(code) for code in left if said[code] == word)
        proposal = f"seems [{seems}]" if seems else f"one of [{', '.join(map(_code, left))}]"
        lines.append(f"        {side}: []  # {TO_DECIDE}: {_remark(proposal)}; does it mean {word} for the variable?")
    return lines


def _codes(question: Question, variable: str, matcher: Matcher) -> list[str]:
    lines = ["        codes:"]
    for code, (own, likeness) in matcher.codes(question, variable).items():
        labels = "; ".join(question.choices[code][:1])
        note = f"{likeness:.2f} {_remark(labels)}".strip()
        lines.append(f"          {_code(code)}: {_code(own) if own else TO_DECIDE}  # {note}")
    return lines if len(lines) > 1 else [f"        codes: {{}}  # {TO_DECIDE}: the form lists no choices"]


def _limit(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _quoted(text: str) -> str:
    """A text as a YAML scalar."""
    return text if PLAIN.match(text) and text.lower() not in YAML_WORDS else json.dumps(text, ensure_ascii=False)


_code = _quoted


def _remark(text: str) -> str:
    """A text as it may stand in a comment: one line, no control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
