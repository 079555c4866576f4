"""The catalogues: every message of the code is in each of them, and nothing else; how they are kept so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from babel.messages.pofile import read_po, write_po

from lnob_pipeline.messages import extract
from lnob_pipeline.messages.catalogue import (
    ENGLISH,
    FEEDBACK,
    FOLDER,
    LANGUAGES,
    PROTECTED,
    REPORT,
    Catalogue,
    CatalogueError,
    catalogue,
)
from lnob_pipeline.messages.extract import Entry
from lnob_pipeline.messages.message import Message, from_json, to_json
from lnob_pipeline.publication.report.speech import Speech, languages
from lnob_pipeline.validation.rules import KINDS, REASONS, RULES, WORKBOOK

GUIDE = Path(__file__).parents[2] / "docs" / "producers_guide.md"


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    found, problems = extract.messages(GUIDE)
    assert problems == []
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the catalogues to be changed."""
    place = tmp_path / "messages"
    shutil.copytree(FOLDER, place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(FEEDBACK, "folder", place)
    return place


def test_the_catalogues_are_in_step_with_the_code(entries: list[Entry]) -> None:
    assert extract.findings(entries) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_catalogue_is_read(language: str) -> None:
    read = catalogue(language)
    assert read.language == language and read.status in ("official", "reviewed", "draft")


def test_every_text_of_the_rules_and_of_the_readers_is_a_message(entries: list[Entry]) -> None:
    known = {entry.text for entry in entries}
    for rule in RULES.values():
        assert {rule.title, rule.why, rule.mend} <= known
    spoken = [
        text
        for pair in REASONS.values()
        for text in pair
        if extract.SPOKEN.search(text.replace("{", "").split("}")[-1])
    ]
    assert set(spoken) <= known and set(KINDS.values()) <= known
    assert WORKBOOK["again_files"] in known
    assert "the file is empty (0 bytes)" in known
    contexts = {entry.context for entry in entries}
    assert {"kind", *PROTECTED} <= contexts


def test_the_guide_holds_what_people_are_asked(entries: list[Entry]) -> None:
    asked = [entry.text for entry in entries if entry.context == "consent"]
    assert "Do you agree to take part?" in asked and len(asked) >= 6
    assert sum(entry.context == "washington_group" for entry in entries) == 6


def test_no_draft_holds_a_translation_of_what_people_are_asked() -> None:
    for language in LANGUAGES:
        read = extract.read_catalogue(language)
        if extract.status_of(read, language) == "draft":
            assert not [entry.id for entry in read if entry.context in PROTECTED and entry.string]


def spoilt(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('msgid "Nothing to mend."', 'msgid "Nothing to mend!"', "lacks the message: Nothing to mend."),
        ('msgid "Nothing to mend."', 'msgid "Nothing to mend!"', "no longer said: Nothing to mend!"),
        ('msgid "Nothing to mend."', '#, fuzzy\nmsgid "Nothing to mend."', "marked as fuzzy"),
        ("# Status: draft", "# Status: fine", "does not say what its translations are worth"),
        ('msgid "row {numbers}"\nmsgstr "', 'msgid "row {numbers}"\nmsgstr "{number}', "the names in braces differ"),
        ('msgid "row {numbers}"\nmsgstr "', 'msgid "row {numbers}"\nmsgstr "{', "braces do not pair"),
        ("msgid ", "\nrubbish msgid ", "does not open"),
    ],
)
def test_a_catalogue_out_of_step_is_found(folder: Path, entries: list[Entry], old: str, new: str, finding: str) -> None:
    spoilt(folder / "vi.po", old, new)
    assert [line for line in extract.findings(entries) if finding in line and line.startswith("vi.po")]


def test_writing_keeps_translations_and_drops_what_is_no_longer_said(folder: Path, entries: list[Entry]) -> None:
    filled = yaml.safe_dump([{"en": "Nothing to mend.", "ny": "Palibe chokonza."}])
    assert extract.merge(entries, "ny", filled) == (1, [])
    more = [*entries[1:], Entry("a new message", None, "x.py")]
    assert set(extract.write(more)) == {f"{language}.po" for language in LANGUAGES} | {"messages.pot"}
    assert extract.findings(more) == [] and extract.write(more) == []
    texts = {str(entry.id): str(entry.string) for entry in extract.read_catalogue("ny") if entry.id}
    assert texts["Nothing to mend."] == "Palibe chokonza." and texts["a new message"] == ""
    assert entries[0].text not in texts


def test_what_is_missing_goes_out_and_comes_back(folder: Path, entries: list[Entry]) -> None:
    with (folder / "ha.po").open("rb") as stream:
        read = read_po(stream)
    read["row {numbers}"].string = ""
    with (folder / "ha.po").open("wb") as stream:
        write_po(stream, read, width=0)
    listed = yaml.safe_load(extract.missing(entries, "ha"))
    assert {item["en"] for item in listed} <= {entry.text for entry in entries}
    assert not [item for item in listed if item.get("context") in PROTECTED]  # left to reviewers
    for item in listed:
        item["ha"] = "ha: " + item["en"]
    taken, problems = extract.merge(entries, "ha", yaml.safe_dump(listed, allow_unicode=True))
    assert problems == [] and taken == len(listed)
    assert extract.missing(entries, "ha") == "" and extract.findings(entries) == []
    with (folder / "ha.po").open("rb") as stream:
        said = {str(entry.id): str(entry.string) for entry in read_po(stream)}
    assert said["row {numbers}"] == "ha: row {numbers}"


def test_a_translation_that_would_break_is_not_taken(folder: Path, entries: list[Entry]) -> None:
    given = [{"en": "row {numbers}", "sw": "safu {nambari}"}, {"en": "never said", "sw": "x"}, {"en": "Why", "sw": "{"}]
    taken, problems = extract.merge(entries, "sw", yaml.safe_dump(given))
    assert taken == 0 and len(problems) == 3
    with pytest.raises(CatalogueError, match="list of entries"):
        extract.merge(entries, "sw", "row: x")
    with pytest.raises(CatalogueError, match="not YAML"):
        extract.merge(entries, "sw", "- en: a: b")


def test_a_message_put_together_from_pieces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lnob_pipeline"
    shutil.copytree(extract.PACKAGE / "validation", package / "validation")
    (package / "submissions").mkdir()
    source = 'MEND = "mend it"\ndef f(n):\n    raise ReaderError("f", f"{n} rows", MEND)\n'
    (package / "submissions" / "bad.py").write_text(source)
    monkeypatch.setattr(extract, "PACKAGE", package)
    monkeypatch.setattr(extract, "RULES", package / "validation" / "rules.py")
    found, problems = extract.messages()
    assert problems == ["submissions/bad.py, line 3: the message is not one constant text; give its parts as details"]
    assert "mend it" in {entry.text for entry in found}


def test_a_message_is_said_with_messages_in_it() -> None:
    speak = Catalogue("sw", "draft", {(None, "{problem}!"): "{problem}?", (None, "row {n}"): "safu {n}"})
    details = {"problem": Message("row {n}", {"n": 3})}
    assert speak.say("{problem}!", details) == "safu 3?"
    assert speak.say("{problem}!", from_json(to_json(details))) == "safu 3?"
    assert ENGLISH.say("{problem}!", details) == "row 3!"


def test_an_unknown_language_is_english() -> None:
    assert catalogue("xx") is ENGLISH and catalogue("en") is ENGLISH


MAPPINGS = Path(__file__).parents[2] / "indicator_mappings"


@pytest.fixture
def report_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the catalogues of the report, to be changed."""
    place = tmp_path / "report"
    shutil.copytree(REPORT.folder, place)
    monkeypatch.setattr(REPORT, "folder", place)
    return place


def test_the_report_is_in_step_with_its_catalogues() -> None:
    said, problems = extract.report_messages(MAPPINGS)
    assert problems == []
    assert extract.findings(said, REPORT) == []
    assert {"bn", "hi", "ne", "sw", "vi"} <= REPORT.languages.keys()
    texts = {entry.text: entry.plural for entry in said}
    assert texts["{n} row"] == "{n} rows" and texts["Dalits"] is None and "Child marriage" in texts


def test_a_language_of_the_report_is_added_by_its_file(report_folder: Path) -> None:
    said, _ = extract.report_messages(MAPPINGS)
    shutil.copy(report_folder / REPORT.template, report_folder / "ta.po")
    assert extract.write(said, REPORT) == ["ta.po"]
    assert REPORT.languages["ta"] == "தமிழ்" and languages()["ta"] == "தமிழ்"
    filled = [
        {"en": "{n} row", "en_plural": "{n} rows", "ta": ["ஒரு வரிசை", "{n} வரிசைகள்"]},
        {"en": "Whole country", "ta": "நாடு முழுவதும்"},
        {"en": "{n} mention", "ta": ["{n}", "{m}"]},
        {"en": "{n} person", "ta": "{n}"},
    ]
    taken, problems = extract.merge(said, "ta", yaml.safe_dump(filled), REPORT)
    assert taken == 2 and len(problems) == 2
    tamil = Speech("ta")
    assert tamil.status == "draft" and tamil.direction == "ltr"
    assert tamil.count("{n} row", "{n} rows", 1) == "ஒரு வரிசை"
    assert tamil.count("{n} row", "{n} rows", 12345) == "12,345 வரிசைகள்"
    assert tamil.say("Whole country") == "நாடு முழுவதும்" and tamil.plain("Chart") == "Chart"
    assert tamil.say("Chart") == '<span lang="en">Chart</span>'
    assert tamil.say("Goal {number}", number="<b>") == '<span lang="en">Goal &lt;b&gt;</span>'


def test_numbers_lists_and_countries_are_those_of_the_language() -> None:
    assert [Speech(code).number(1234.56, 1) for code in ("en", "vi", "bn")] == ["1,234.6", "1.234,6", "1,234.6"]
    assert Speech("vi").listed(["a", "b"]) == "a và b" and Speech().listed(["a", "b", "c"], most=1) == "a and 2 more"
    assert Speech("ne").country("NPL", "Nepal") == "नेपाल" and Speech().country("VNM", "Viet Nam") == "Viet Nam"
