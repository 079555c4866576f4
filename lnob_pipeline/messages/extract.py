"""All messages of the pipeline, read from its source, and the catalogues kept in step with them.

Here belongs what makes and checks catalogues; nothing here runs when feedback is written. A message is a constant: the
texts of validation/rules.py, and what is handed to ReaderError, Note and Message. Texts of the producers' guide that
people are asked (consent, Washington Group) are messages too, marked in the guide by <!-- messages: CONTEXT --> and
<!-- end -->. A message that is put together from pieces cannot be translated, and is a finding.
"""

from __future__ import annotations

import ast
import datetime
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import yaml
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from lnob_pipeline.messages.catalogue import (
    FOLDER,
    KIND,
    LANGUAGES,
    PROTECTED,
    UNIT,
    CatalogueError,
    path_of,
    read_catalogue,
    status_of,
)

PACKAGE = FOLDER.parent
RULES = PACKAGE / "validation" / "rules.py"
TEXTS = {
    "RULES": None, "REASONS": None, "STATES": None, "NEXT": None, "SEVERITIES": None, "EFFECTS": None,
    "WORKBOOK": None, "KINDS": KIND, "UNITS": UNIT,
}  # fmt: skip
"""Names in rules.py that hold messages, and their context."""
CALLS = {
    "ReaderError": ((1, "problem"), (2, "mend")),
    "require_key": ((1, "mend"),),
    "Note": ((0, "template"),),
    "Message": ((0, "template"),),
}
"""Calls that carry messages: place and name of the arguments."""
STAGES = ("submissions", "validation")
"""The packages that speak to partners."""
TEMPLATE = FOLDER / "messages.pot"
MARKED = re.compile(r"<!-- messages: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)
SPOKEN = re.compile("[a-z]{2}")
"""What a message has outside its braces; a bare date or code is said alike in every language."""
Assigned = dict[str, list[ast.expr]]
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
"""A constant, so that the same messages give the same bytes."""
HEAD = """{name} for the feedback to partners.
Status: {status}
(official: adopted by the authority named here; reviewed: read by a speaker who knows the subject; draft: neither)"""


@dataclass(frozen=True)
class Entry:
    """A message of the code: its English, its context, and the file it stands in."""

    text: str
    context: str | None
    place: str


def messages(guide: Path | None = None) -> tuple[list[Entry], list[str]]:
    """Every message once, in the order of the files, and a sentence for each that is not constant."""
    found: dict[tuple[str | None, str], Entry] = {}
    problems: list[str] = []
    paths = sorted(path for stage in STAGES for path in (PACKAGE / stage).rglob("*.py"))
    trees = {path: ast.parse(path.read_text("utf-8")) for path in paths}
    shared = {name: given for tree in trees.values() for name, given in _assigned(tree.body).items() if name.isupper()}
    for path, tree in trees.items():
        place = path.relative_to(PACKAGE).as_posix()
        for line, context, text in _rules(tree) if path == RULES else _texts(tree, shared):
            if text is None:
                problems.append(
                    f"{place}, line {line}: the message is not one constant text; give its parts as details"
                )
            elif SPOKEN.search(re.sub(r"\{.*?\}", "", text)):
                found.setdefault((context, text), Entry(text, context, place))
    if guide is not None and guide.exists():
        for context, part in MARKED.findall(guide.read_text("utf-8")):
            for text in filter(None, (line.strip().lstrip("-*0123456789.> ").strip() for line in part.splitlines())):
                found.setdefault((context, text), Entry(text, context, guide.name))
    return list(found.values()), problems


def _texts(tree: ast.Module, shared: Assigned) -> Iterator[tuple[int, str | None, str | None]]:
    """Line, context and text of each message of a module; None for the text of one that is not constant."""
    assigned = shared | _assigned(ast.walk(tree))
    handed_on = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    for node in ast.walk(tree):
        name = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or name not in CALLS or len(node.args) <= CALLS[name][0][0]:
            continue
        for place, keyword in CALLS[name]:
            given = next((item.value for item in node.keywords if item.arg == keyword), None)
            if given is None and place < len(node.args):
                given = node.args[place]
            if not (isinstance(given, ast.Name) and given.id in handed_on and given.id not in assigned):
                for text in _constants(given, assigned):
                    yield node.lineno, None, text


def _assigned(nodes: Iterable[ast.AST]) -> Assigned:
    """What is assigned to each name, value by value."""
    found: Assigned = {}
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(value)
    return found


def _constants(node: ast.expr | None, assigned: Assigned) -> Iterator[str | None]:
    """The texts an argument can have: a constant, the name of some, or one of two by a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body, assigned)
        yield from _constants(node.orelse, assigned)
    elif isinstance(node, ast.Name) and node.id in assigned:
        for value in assigned[node.id]:
            yield from _constants(value, {name: given for name, given in assigned.items() if name != node.id})
    elif not isinstance(node, ast.Attribute | ast.Subscript):  # those were a message before: they are handed on
        yield None


def _rules(tree: ast.Module) -> Iterator[tuple[int, str | None, str | None]]:
    for node in tree.body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        name = target.id if isinstance(target, ast.Name) else ""
        value = getattr(node, "value", None)
        if name not in TEXTS or value is None:
            continue
        calls = [
            item for item in ast.walk(value) if isinstance(item, ast.Call) and getattr(item.func, "id", "") == "Rule"
        ]
        parts = [part for call in calls for part in call.args[2:]] if name == "RULES" else []
        if isinstance(value, ast.Dict):
            parts = [part for item in value.values for part in (item.elts if isinstance(item, ast.Tuple) else [item])]
        for part in parts:
            for text in _constants(part, {}):
                yield part.lineno, TEXTS[name], text


def placeholders(text: str) -> list[str]:
    """The {names} of a message, sorted. Raises ValueError where braces do not pair."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def findings(entries: list[Entry]) -> list[str]:
    """What is wrong with the catalogues: a sentence for each fault. A message without a translation is none."""
    known = {(entry.context, entry.text) for entry in entries}
    found = []
    for entry in entries:
        try:
            placeholders(entry.text)
        except ValueError:
            found.append(f"{entry.place}: braces do not pair in: {entry.text}")
    for language in LANGUAGES:
        try:
            read = read_catalogue(language)
            status_of(read, language)
        except CatalogueError as error:
            found.append(str(error))
            continue
        name = path_of(language).name
        held = {(entry.context, str(entry.id)): entry for entry in read if entry.id}
        found += [f"{name} lacks the message: {text}" for context, text in known - held.keys()]
        found += [f"{name} holds a message that is no longer said: {text}" for _, text in held.keys() - known]
        found += [f"{name} keeps an old message: {item.id}" for item in read.obsolete.values()]
        found += [f"{name}: marked as fuzzy: {entry.id}" for entry in held.values() if entry.fuzzy]
        for (_, text), message in held.items():
            if message.string and (said := _placeholder_fault(text, str(message.string))):
                found.append(f"{name}: {said}: {text}")
    return sorted(found)


def _placeholder_fault(text: str, translation: str) -> str:
    try:
        same = set(placeholders(text)) == set(placeholders(translation))
    except ValueError:
        return "braces do not pair in the translation of"
    return "" if same else "the names in braces differ in the translation of"


def translated(language: str) -> tuple[int, int]:
    """How many messages of a catalogue are translated, and how many it has."""
    entries = [entry for entry in read_catalogue(language) if entry.id]
    return sum(bool(entry.string) for entry in entries), len(entries)


def write(entries: list[Entry]) -> list[str]:
    """Bring the template and every catalogue in step with the code; return the names of the files that changed.

    Translations of messages that stay are kept; those of messages that are no longer said fall away.
    """
    changed = []
    if _write(TEMPLATE, _catalog("en", entries, {}, HEAD.format(name="All messages", status="draft"))):
        changed.append(TEMPLATE.name)
    for language, name in LANGUAGES.items():
        kept: dict[tuple[str | None, str], str] = {}
        head = HEAD.format(name=name, status="draft")
        if path_of(language).exists():
            read = read_catalogue(language)
            kept = {(entry.context, str(entry.id)): str(entry.string) for entry in read if entry.id and entry.string}
            head = re.sub(r"^# ?", "", read.header_comment, flags=re.MULTILINE)
        if _write(path_of(language), _catalog(language, entries, kept, head)):
            changed.append(path_of(language).name)
    return changed


def missing(entries: list[Entry], language: str) -> str:
    """The messages of a language without a translation, as YAML to fill in. Protected ones are left to reviewers."""
    read = read_catalogue(language)
    done = {(entry.context, str(entry.id)) for entry in read if entry.string}
    draft = status_of(read, language) == "draft"
    left = [
        {"en": entry.text, language: ""} | ({"context": entry.context} if entry.context else {})
        for entry in entries
        if (entry.context, entry.text) not in done and not (draft and entry.context in PROTECTED)
    ]
    return yaml.safe_dump(left, allow_unicode=True, sort_keys=False, width=10**6) if left else ""


def merge(entries: list[Entry], language: str, text: str) -> tuple[int, list[str]]:
    """Take translations from filled YAML into a catalogue; return how many, and a sentence for each not taken.

    Raises CatalogueError where the text is not a list of messages.
    """
    try:
        given = yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise CatalogueError(f"the translations are not YAML{line}; put texts with colons in quotes") from None
    if not isinstance(given, list) or not all(
        isinstance(item, dict) and isinstance(item.get("en"), str) for item in given
    ):
        raise CatalogueError("the translations are a list of entries with `en` and the language, as --missing gives it")
    known = {(entry.context, entry.text) for entry in entries}
    read = read_catalogue(language)
    kept = {(entry.context, str(entry.id)): str(entry.string) for entry in read if entry.id and entry.string}
    taken, problems = 0, []
    for item in given:
        key, translation = (item.get("context"), item["en"]), str(item.get(language) or "").strip()
        if not translation:
            continue
        if key not in known:
            problems.append(f"no message of the pipeline: {key[1]}")
        elif fault := _placeholder_fault(key[1], translation):
            problems.append(f"{fault}: {key[1]}")
        else:
            kept[key] = translation
            taken += 1
    head = re.sub(r"^# ?", "", read.header_comment, flags=re.MULTILINE)
    _write(path_of(language), _catalog(language, entries, kept, head))
    return taken, problems


def _catalog(language: str, entries: list[Entry], texts: dict[tuple[str | None, str], str], head: str) -> Catalog:
    made = Catalog(
        locale=language, project="lnob-pipeline", version="1", creation_date=LONG_AGO, revision_date=LONG_AGO,
        header_comment="\n".join(f"# {line}".rstrip() for line in head.splitlines()), fuzzy=False,
        last_translator="", language_team="",
    )  # fmt: skip
    for entry in entries:
        key = (entry.context, entry.text)
        made.add(entry.text, texts.get(key, ""), locations=[(entry.place, 0)], context=entry.context)
    return made


def _write(path: Path, made: Catalog) -> bool:
    stream = BytesIO()
    write_po(stream, made, width=0, include_lineno=False, sort_by_file=True)
    if path.exists() and path.read_bytes() == stream.getvalue():
        return False
    path.write_bytes(stream.getvalue())
    return True
