"""All messages of the pipeline, read from its source, and the catalogues kept in step with them.

Here belongs what makes and checks catalogues; nothing here runs when feedback or a report is written. A message is a
constant. Of the feedback: the texts of validation/rules.py, and what is handed to ReaderError, Note and Message; texts
of the producers' guide that people are asked (consent, Washington Group) are messages too, marked in the guide by
<!-- messages: CONTEXT --> and <!-- end -->. Of the report: what its templates and modules hand to say, plain and count,
the words of words.py, and the labels of groups and breakdowns. A message that is put together from pieces cannot be
translated, and is a finding.
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

import jinja2
import yaml
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Translation
from babel.messages.pofile import write_po
from jinja2 import nodes

from lnob_pipeline.messages.catalogue import (
    FEEDBACK,
    FOLDER,
    KIND,
    PROTECTED,
    UNIT,
    CatalogueError,
    Domain,
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
REPORT_SOURCES = PACKAGE / "publication" / "report"
SPEAKING = {"say": 1, "plain": 1, "count": 2}
"""What says a message of the report, and how many of its arguments are texts: one, or singular and plural."""
MARKED = re.compile(r"<!-- messages: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)
SPOKEN = re.compile("[a-z]{2}")
"""What a message has outside its braces; a bare date or code is said alike in every language."""
Assigned = dict[str, list[ast.expr]]
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
"""A constant, so that the same messages give the same bytes."""
ALL = "All messages"
"""The name of a template, which gives way to the language's own where the template was copied to begin a language."""
HEAD = """{name} for {purpose}.
Status: {status}
(official: adopted by the authority named here; reviewed: read by a speaker who knows the subject; draft: neither)"""


@dataclass(frozen=True)
class Entry:
    """A message of the code: its English, its context, the file it stands in, and the English of more than one."""

    text: str
    context: str | None
    place: str
    plural: str | None = None


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


def report_messages(mappings: Path) -> tuple[list[Entry], list[str]]:
    """Every message of the report once, and a sentence for each that is not constant. mappings: their folder."""
    found: dict[str, Entry] = {}
    problems: list[str] = []
    for path in sorted([*REPORT_SOURCES.glob("*.py"), *REPORT_SOURCES.glob("*.jinja")]):
        said = _said_by_module(path) if path.suffix == ".py" else _said_by_template(path)
        for line, texts in said:
            if any(text is None for text in texts):
                problems.append(
                    f"{path.name}, line {line}: the message is not one constant text; give its parts by name"
                )
                continue
            one, *many = [str(text) for text in texts]
            entry = Entry(one, None, f"publication/report/{path.name}", many[0] if many else None)
            if found.setdefault(one, entry).plural != entry.plural:
                problems.append(f"{path.name}, line {line}: said with a plural and without, or with two: {one}")
    for name in ("groups.yaml", "breakdowns.yaml"):
        for text in _labels(yaml.safe_load((mappings / name).read_text("utf-8"))):
            found.setdefault(text, Entry(text, None, name))
    return list(found.values()), problems


def _said_by_module(path: Path) -> Iterator[tuple[int, list[str | None]]]:
    tree = ast.parse(path.read_text("utf-8"))
    if path.name.endswith("words.py"):
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
                for value in node.value.values:
                    for part in value.elts if isinstance(value, ast.Tuple) else [value]:
                        yield part.lineno, list(_constants(part, {}))
    for call in (item for item in ast.walk(tree) if isinstance(item, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        # A text that is handed on in a variable is one of words.py or of the mappings, or was found where it was made.
        if name in SPEAKING and call.args and not isinstance(call.args[0], ast.Name | ast.Subscript | ast.Attribute):
            yield call.lineno, [text for part in call.args[: SPEAKING[name]] for text in _constants(part, {})]


def _said_by_template(path: Path) -> Iterator[tuple[int, list[str | None]]]:
    for call in jinja2.Environment().parse(path.read_text("utf-8")).find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        if name in SPEAKING and not isinstance(call.args[0], nodes.Name | nodes.Getattr | nodes.Getitem):
            texts = call.args[: SPEAKING[name]]
            yield call.lineno, [part.value if isinstance(part, nodes.Const) else None for part in texts]


def _labels(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("label"), str):
            yield node["label"]
        for value in node.values():
            yield from _labels(value)


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


def findings(entries: list[Entry], domain: Domain = FEEDBACK) -> list[str]:
    """What is wrong with the catalogues: a sentence for each fault. A message without a translation is none."""
    known = {(entry.context, entry.text): entry for entry in entries}
    found = []
    for entry in entries:
        try:
            placeholders(entry.text)
        except ValueError:
            found.append(f"{entry.place}: braces do not pair in: {entry.text}")
    for language in domain.languages:
        try:
            read = read_catalogue(language, domain)
            status_of(read, language)
        except CatalogueError as error:
            found.append(str(error))
            continue
        name = path_of(language, domain).name
        held = {(item.context, _english(item)): item for item in read if item.id}
        found += [f"{name} lacks the message: {text}" for context, text in known.keys() - held.keys()]
        found += [f"{name} holds a message that is no longer said: {text}" for _, text in held.keys() - known.keys()]
        found += [f"{name} keeps an old message: {item.id}" for item in read.obsolete.values()]
        found += [f"{name}: marked as fuzzy: {_english(item)}" for item in held.values() if item.fuzzy]
        for key in held.keys() & known.keys():
            if said := _fault(known[key], _translations(held[key])):
                found.append(f"{name}: {said}: {key[1]}")
    return sorted(found)


def _english(item: Translation) -> str:
    return str(item.id if isinstance(item.id, str) else item.id[0])


def _translations(item: Translation) -> list[str]:
    """The forms of a translation, one or one for each plural form; none unless all are there."""
    forms = [item.string] if isinstance(item.string, str) else list(item.string or ())
    return forms if all(forms) else []


def _fault(entry: Entry, forms: list[str]) -> str:
    """What is wrong with a translation; empty for nothing. A form that is said of one number may leave `n` out."""
    may_lack = set() if entry.plural is None else {"n"}
    for form in forms:
        try:
            same = set(placeholders(entry.plural or entry.text)) | may_lack == set(placeholders(form)) | may_lack
        except ValueError:
            return "braces do not pair in the translation of"
        if not same:
            return "the names in braces differ in the translation of"
    return ""


def translated(language: str, domain: Domain = FEEDBACK) -> tuple[int, int]:
    """How many messages of a catalogue are translated, and how many it has."""
    items = [item for item in read_catalogue(language, domain) if item.id]
    return sum(bool(_translations(item)) for item in items), len(items)


def write(entries: list[Entry], domain: Domain = FEEDBACK) -> list[str]:
    """Bring the template and every catalogue in step with the code; return the names of the files that changed.

    Translations of messages that stay are kept; those of messages that are no longer said fall away.
    """
    changed = []
    head = HEAD.format(name=ALL, purpose=domain.purpose, status="draft")
    if _write(domain.folder / domain.template, _catalog("en", entries, {}, head)):
        changed.append(domain.template)
    for language, name in domain.languages.items():
        kept: dict[tuple[str | None, str], list[str]] = {}
        head = HEAD.format(name=name, purpose=domain.purpose, status="draft")
        if path_of(language, domain).exists():
            read = read_catalogue(language, domain)
            kept, head = _kept(read), re.sub(f"^{ALL}", name, _head(read))
        if _write(path_of(language, domain), _catalog(language, entries, kept, head)):
            changed.append(path_of(language, domain).name)
    return changed


def _kept(read: Catalog) -> dict[tuple[str | None, str], list[str]]:
    return {(item.context, _english(item)): forms for item in read if item.id and (forms := _translations(item))}


def _head(read: Catalog) -> str:
    return re.sub(r"^# ?", "", read.header_comment, flags=re.MULTILINE)


def missing(entries: list[Entry], language: str, domain: Domain = FEEDBACK) -> str:
    """The messages of a language without a translation, as YAML to fill in. Protected ones are left to reviewers.

    A message with a plural (`en_plural`) has a list with one place for each plural form of the language.
    """
    read = read_catalogue(language, domain)
    done = _kept(read)
    draft = status_of(read, language) == "draft"
    left = [
        {"en": entry.text}
        | ({language: ""} if entry.plural is None else {"en_plural": entry.plural, language: [""] * read.num_plurals})
        | ({"context": entry.context} if entry.context else {})
        for entry in entries
        if (entry.context, entry.text) not in done and not (draft and entry.context in PROTECTED)
    ]
    return yaml.safe_dump(left, allow_unicode=True, sort_keys=False, width=10**6) if left else ""


def merge(entries: list[Entry], language: str, text: str, domain: Domain = FEEDBACK) -> tuple[int, list[str]]:
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
    known = {(entry.context, entry.text): entry for entry in entries}
    read = read_catalogue(language, domain)
    kept = _kept(read)
    taken, problems = 0, []
    for item in given:
        key, filled = (item.get("context"), item["en"]), item.get(language) or ""
        forms = [str(form or "").strip() for form in (filled if isinstance(filled, list) else [filled])]
        if not all(forms):
            continue
        entry = known.get(key)
        if entry is None:
            problems.append(f"no message of the pipeline: {key[1]}")
        elif len(forms) != (wanted := 1 if entry.plural is None else read.num_plurals):
            problems.append(f"{len(forms)} plural forms, and {language} has {wanted}: {key[1]}")
        elif fault := _fault(entry, forms):
            problems.append(f"{fault}: {key[1]}")
        else:
            kept[key] = forms
            taken += 1
    _write(path_of(language, domain), _catalog(language, entries, kept, _head(read)))
    return taken, problems


def _catalog(language: str, entries: list[Entry], texts: dict[tuple[str | None, str], list[str]], head: str) -> Catalog:
    made = Catalog(
        locale=language, project="lnob-pipeline", version="1", creation_date=LONG_AGO, revision_date=LONG_AGO,
        header_comment="\n".join(f"# {line}".rstrip() for line in head.splitlines()), fuzzy=False,
        last_translator="", language_team="",
    )  # fmt: skip
    for entry in entries:
        forms = texts.get((entry.context, entry.text), [])
        if entry.plural is None:
            made.add(entry.text, forms[0] if forms else "", locations=[(entry.place, 0)], context=entry.context)
        else:
            filled = tuple(forms) if len(forms) == made.num_plurals else ("",) * made.num_plurals
            made.add((entry.text, entry.plural), filled, locations=[(entry.place, 0)], context=entry.context)
    return made


def _write(path: Path, made: Catalog) -> bool:
    stream = BytesIO()
    write_po(stream, made, width=0, include_lineno=False, sort_by_file=True)
    if path.exists() and path.read_bytes() == stream.getvalue():
        return False
    path.write_bytes(stream.getvalue())
    return True
