"""One invented form in every shape in which KoboToolbox exports it: the same answers each time, or a flag."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import RESPONSES
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.validation.conftest import MANIFEST, merged

TITLE = "Who is counted? A household survey"
"""Longer than the name of a sheet may be, and with a letter that a sheet may not have."""
SHEET = "Who is counted_ A household s..."[:28] + "..."
GROUPS = {"disability": "Person with a disability", "women": "Household of a woman", "none": "None"}
WATER = {"pipe": "Pipe, in the yard", "well": "Well", "other": "Other"}
CODED = {"water": WATER, "sex": {"m": "Male", "f": "Female"}}
QUESTIONS = {
    "agree": ("intro/agree", "Introduction/Do you agree to take part?"),
    "day": ("intro/day", "Introduction/Day of the interview"),
    "water": ("home/water", "Home/Where does the water come from?"),
    "minutes": ("home/minutes", "Home/Minutes to the water"),
    "groups": ("home/groups", "Home/Who lives here?"),
}
MEMBERS = {"sex": ("roster/sex", "Members/Sex"), "age": ("roster/age", "Members/Age")}
SUBMISSIONS: list[dict[str, Any]] = [
    {"agree": "yes", "day": "2019-05-02", "water": "pipe", "minutes": "0", "groups": "women disability",
     "roster": [{"sex": "f", "age": "40"}, {"sex": "m", "age": "9"}]},
    {"agree": "no", "day": "2019-05-02", "water": "well", "minutes": "12", "groups": "women",
     "roster": [{"sex": "m", "age": "71"}]},
    {"agree": "yes", "day": "2019-05-03", "water": "well", "minutes": "20", "groups": "none",
     "roster": [{"sex": "f", "age": "33"}]},
    {"agree": "yes", "day": "2019-05-04", "water": "other", "minutes": "", "groups": "", "roster": []},
]  # fmt: skip
INSTRUMENT: dict[str, Any] = {
    "instrument": "test-export-v1",
    "title": "Test",
    "version": "1",
    "data_type": "household_survey",
    "languages": ["en"],
    "versions": ["v1", "v2"],
    "choices": {
        "groups": {code: [label] for code, label in GROUPS.items()},
        "water": {code: [label, f"Ilikuwa {code}"] for code, label in WATER.items()},
        "sex": {code: [label] for code, label in CODED["sex"].items()},
    },
    "consent": {"record": "household", "column": "agree", "affirmative": ["yes", "Yes, I agree"]},
    "records": {
        "household": {
            "table": TITLE,
            "unit": "household",
            "key": "_index",
            "columns": {
                "_index": {"exclude": "technical"},
                "agree": {"exclude": "consent", "aliases": ["Do you agree to take part?"]},
                "day": {"variable": "interview_date", "aliases": ["Day of the interview"]},
                "water": {
                    "variable": "drinking_water_source",
                    "aliases": ["Where does the water come from?"],
                    "choices": "water",
                    "codes": {"pipe": "piped_yard", "well": "protected_well", "other": "other"},
                },
                "minutes": {"variable": "drinking_water_minutes", "aliases": ["Minutes to the water"]},
                "groups": {
                    "variable": "marginalised_groups",
                    "aliases": ["Who lives here?"],
                    "select": "multiple",
                    "choices": "groups",
                    "codes": {
                        "disability": "persons_with_disabilities", "women": "women_headed_households", "none": "none"
                    },
                },
            },
        },
        "person": {
            "table": "roster",
            "unit": "person",
            "key": "_index",
            "parent": "household",
            "parent_key": "_parent_index",
            "columns": {
                "_index": {"exclude": "technical"},
                "_parent_index": {"exclude": "technical"},
                "sex": {
                    "variable": "sex", "aliases": ["Sex"], "choices": "sex", "codes": {"m": "male", "f": "female"}
                },
                "age": {"variable": "age", "aliases": ["Age"]},
            },
        },
    },
    "reviewed": {"by": "tests", "date": "2026-01-01", "source": "invented"},
}  # fmt: skip


def value(question: str, answer: str, labels: bool) -> str:
    """An answer as an export writes it."""
    if labels and question == "agree":
        return {"yes": "Yes, I agree", "no": "No"}[answer]
    if labels and question == "groups":
        return " ".join(GROUPS[code] for code in answer.split())
    return CODED.get(question, {}).get(answer, answer) if labels else answer


def header(question: str, labels: bool, mark: str) -> str:
    path, label = (QUESTIONS | MEMBERS)[question]
    return label if labels else path.replace("/", mark)


def main_rows(
    labels: bool, mode: str, mark: str = "/", ticks: tuple[str, str] = ("1", "0"), versions: str = "v2"
) -> list[list[str]]:
    """The main table: joined answers (summary), option columns (details), or both."""
    heads: list[str] = []
    for question in QUESTIONS:
        if question != "groups" or mode != "details":
            heads.append(header(question, labels, mark))
        if question == "groups" and mode != "summary":
            options = GROUPS.values() if labels else GROUPS
            heads += [f"{header(question, labels, mark)}/{option}" for option in options]
    rows = [[*heads, "__version__", "_uuid", "_index"]]
    for number, submission in enumerate(SUBMISSIONS, start=1):
        row: list[str] = []
        for question in QUESTIONS:
            answer = submission[question]
            if question != "groups" or mode != "details":
                row.append(value(question, answer, labels))
            if question == "groups" and mode != "summary":
                row += [(ticks[0] if code in answer.split() else ticks[1]) if answer else "" for code in GROUPS]
        rows.append([*row, versions, f"uuid-{number}", str(number)])
    return rows


def repeat_rows(labels: bool, mark: str = "/") -> list[list[str]]:
    rows = [
        [*(header(question, labels, mark) for question in MEMBERS), "_index", "_parent_table_name", "_parent_index"]
    ]
    for number, submission in enumerate(SUBMISSIONS, start=1):
        for member in submission["roster"]:
            answers = [value(question, member[question], labels) for question in MEMBERS]
            rows.append([*answers, str(len(rows)), TITLE, str(number)])
    return rows


def workbook(tables: dict[str, list[list[str]]]) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        for name, rows in tables.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for place, cell in enumerate(row):
                    if cell and number and rows[0][place] in ("_index", "_parent_index"):
                        sheet.write_number(number, place, int(cell))
                    elif cell:
                        sheet.write_string(number, place, cell)
    return stream.getvalue()


def quoted(rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=";", quoting=csv.QUOTE_ALL).writerows(rows)
    return stream.getvalue().encode("utf-8-sig")


def api() -> bytes:
    submissions = []
    for number, submission in enumerate(SUBMISSIONS, start=1):
        made: dict[str, Any] = {
            "_id": number, "_uuid": f"uuid-{number}", "__version__": "v2", "_validation_status": {}, "_tags": [],
            "_attachments": [{"filename": "a.jpg"}], "_geolocation": [None, None], "meta/instanceID": f"uuid:{number}",
        }  # fmt: skip
        for question, (path, _) in QUESTIONS.items():
            if submission[question]:
                made[path] = submission[question]
        if submission["roster"]:
            made["members/roster"] = [
                {f"members/roster/{key}": int(cell) if key == "age" else cell for key, cell in member.items()}
                for member in submission["roster"]
            ]
        submissions.append(made)
    return json.dumps({"count": len(submissions), "next": None, "previous": None, "results": submissions}).encode()


EXPORTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    f"{'labels' if labels else 'xml'}.{mode}.{mark}": (
        "kobo_xlsx",
        lambda labels=labels, mode=mode, mark=mark: workbook(
            {SHEET: main_rows(labels, mode, mark), "roster": repeat_rows(labels, mark)}
        ),
    )
    for labels, mode, mark in itertools.product((False, True), ("both", "summary", "details"), ("/", ".", ":", "-"))
} | {"api.json": ("kobo_json", api)}
"""Every export with its repeat. Labels do not know the mark between the names of groups: they have their own path."""


@pytest.fixture(scope="module")
def judged(mappings: Mappings) -> Callable[..., Validated]:
    def run(contents: dict[str, tuple[str, bytes]], instrument: dict[str, Any] | None = None) -> Validated:
        form = Instrument.model_validate(merged(INSTRUMENT, instrument or {}))
        files = [
            {"path": path, "role": "data", "format": kind} | ({"delimiter": ";"} if kind == "csv" else {})
            for path, (kind, _) in contents.items()
        ]
        said = Manifest.model_validate(
            MANIFEST
            | {
                "instrument": form.instrument,
                "sampling": {"method": "purposive"},
                "sample_size": {"planned": 3, "achieved": 4},
                "consent": {"column": "agree", "affirmative": ["yes", "Yes, I agree"], "obtained": "per_row"},
                "files": files,
            }
        )
        data = [(file, contents[file.path][1]) for file in said.files]
        known = dataclasses.replace(mappings, instruments={form.instrument: form})
        return validate(said, "0" * 64, data, known, Settings.load(), great_expectations=False)

    return run


def one(judged: Callable[..., Validated], export: str, **changes: Any) -> Validated:
    kind, made = EXPORTS[export]
    return judged({"export.json" if kind == "kobo_json" else "export.xlsx": (kind, made())}, **changes)


def whole(validated: Validated) -> pl.DataFrame:
    assert validated.responses is not None, validated.outcome["reasons"][0]
    return validated.responses.select(sorted(validated.responses.columns)).sort("record", "row_number")


def failed(validated: Validated) -> list[str]:
    return sorted(set(validated.results.filter(pl.col("outcome") == "failed")["expectation"]))


def test_the_answers_are_those_of_the_form(judged: Callable[..., Validated]) -> None:
    table = whole(one(judged, "xml.summary./"))
    households = table.filter(pl.col("record") == "household")
    assert households.select("day", "water", "minutes", "groups").rows() == [
        ("2019-05-02", "pipe", "0", "disability women"),
        ("2019-05-03", "well", "20", "none"),
        ("2019-05-04", "other", None, None),
    ]
    persons = table.filter(pl.col("record") == "person")
    assert persons.select("parent_key", "sex", "age").rows() == [
        ("household-2", "f", "40"),
        ("household-2", "m", "9"),
        ("household-4", "f", "33"),
    ]


@pytest.mark.parametrize("export", sorted(EXPORTS))
def test_every_export_gives_the_same_responses(judged: Callable[..., Validated], export: str) -> None:
    validated = one(judged, export)
    assert whole(validated).equals(whole(one(judged, "xml.summary./")))
    assert not [name for name in failed(validated) if name not in ("breakdown_answered", "missing_answers")]


@pytest.mark.parametrize(("labels", "mode"), list(itertools.product((False, True), ("both", "summary", "details"))))
def test_a_csv_has_the_households_and_says_that_the_members_are_not_there(
    judged: Callable[..., Validated], labels: bool, mode: str
) -> None:
    content = quoted(main_rows(labels, mode))
    alone = judged({"anything.csv": ("csv", content)})
    assert alone.state == "rejected" and "leaves repeat groups out" in alone.outcome["reasons"][0]
    records = {"records": {"household": INSTRUMENT["records"]["household"]}}
    households = whole(judged({"anything.csv": ("csv", content)}, instrument=records))
    expected = whole(one(judged, "xml.summary./")).filter(pl.col("record") == "household")
    assert households.equals(expected.select(households.columns))


@pytest.mark.parametrize("ticks", [("TRUE", "FALSE"), ("True", "False"), ("१", "०")])
def test_ticks_of_other_programs(judged: Callable[..., Validated], ticks: tuple[str, str]) -> None:
    tables = {SHEET: main_rows(False, "details", ticks=ticks), "roster": repeat_rows(False)}
    validated = judged({"export.xlsx": ("kobo_xlsx", workbook(tables))})
    assert whole(validated).equals(whole(one(judged, "xml.summary./")))


def test_another_version_of_the_form_stays_and_is_said(judged: Callable[..., Validated]) -> None:
    rows = main_rows(False, "summary")
    rows[3][rows[0].index("__version__")] = "v9"
    validated = judged({"export.xlsx": ("kobo_xlsx", workbook({SHEET: rows, "roster": repeat_rows(False)}))})
    assert whole(validated).equals(whole(one(judged, "xml.summary./")))
    assert validated.state == "accepted_with_flags" and failed(validated) == ["breakdown_answered", "versions_known"]
    said = validated.findings.filter(pl.col("rule_id") == "structure")
    assert said["reason"].to_list() == [
        "1 rows are of a version of the form that the mapping of the questionnaire does not name (v9)"
    ]


def renamed(old: list[str], new: list[str], name: str) -> dict[str, tuple[str, bytes]]:
    """The export after a question was renamed: the old column and, at the end, the new one."""
    rows = main_rows(False, "summary")
    place = rows[0].index("home/water")
    rows[0].append(name)
    for row, before, after in zip(rows[1:], old, new, strict=True):
        row[place] = before
        row.append(after)
    return {"export.xlsx": ("kobo_xlsx", workbook({SHEET: rows, "roster": repeat_rows(False)}))}


def test_a_renamed_question_is_one_question(judged: Callable[..., Validated]) -> None:
    aliases = {"records.household.columns.water.aliases": ["home2/water_source"]}
    files = renamed(["pipe", "", "", "other"], ["", "well", "Ilikuwa well", "Other"], "home2/water_source")
    validated = judged(files, instrument=aliases)
    assert whole(validated).equals(whole(one(judged, "xml.summary./")))
    assert failed(validated) == ["breakdown_answered"]


def test_two_different_answers_to_one_question_are_none(judged: Callable[..., Validated]) -> None:
    aliases = {"records.household.columns.water.aliases": ["home2/water_source"]}
    files = renamed(["pipe", "well", "well", "other"], ["well", "pipe", "", "other"], "home2/water_source")
    validated = judged(files, instrument=aliases)
    water = whole(validated).filter(pl.col("record") == "household")["water"]
    assert water.to_list() == ["unmapped", "well", "other"]
    said = validated.quarantine.filter(pl.col("rule_id") == "codes")
    assert said.select("row_number", "column", "written").rows() == [(2, "water", None)]  # nothing of the refused row
    assert "say different things" in said["reason"][0]


def test_a_name_in_two_groups_is_not_guessed(judged: Callable[..., Validated]) -> None:
    """Neither is named by the mapping: the question could have been moved, or be another one."""
    files = renamed(["pipe", "well", "well", "other"], ["", "", "", "well"], "home2/water")
    validated = judged(files)
    assert validated.state == "rejected"
    assert "2 columns of the file end in water" in validated.outcome["reasons"][0]
    named = judged(files, instrument={"records.household.columns.water.aliases": ["home/water"]})
    assert whole(named)["water"].to_list()[:3] == ["pipe", "well", "other"]
    assert "bears the name of the question water" in " ".join(named.findings["reason"])


def test_options_and_joined_answers_that_differ_are_said(judged: Callable[..., Validated]) -> None:
    rows = main_rows(False, "both")
    rows[1][rows[0].index("home/groups/none")] = "1"
    rows[3][rows[0].index("home/groups/women")] = "often"
    validated = judged({"export.xlsx": ("kobo_xlsx", workbook({SHEET: rows, "roster": repeat_rows(False)}))})
    groups = whole(validated).filter(pl.col("record") == "household")["groups"]
    assert groups.to_list() == ["unmapped", "unmapped", None]
    assert failed(validated) == ["breakdown_answered", "no_conflicting_columns", "no_no_tick", "question_stopped"]


def test_an_option_that_nobody_mapped_is_an_answer_all_the_same(judged: Callable[..., Validated]) -> None:
    rows = main_rows(False, "details")
    for row, cell in zip(rows, ["home/groups/fishing", "1", "0", "0", ""], strict=True):
        row.append(cell)
    validated = judged({"export.xlsx": ("kobo_xlsx", workbook({SHEET: rows, "roster": repeat_rows(False)}))})
    groups = whole(validated).filter(pl.col("record") == "household")["groups"]
    assert groups.to_list() == ["disability women unmapped", "none", None]


def test_blank_options_are_no_answer_and_zeros_are_counted(judged: Callable[..., Validated]) -> None:
    rows = main_rows(False, "details")
    for option in GROUPS:
        rows[3][rows[0].index(f"home/groups/{option}")] = "0"
    validated = judged({"export.xlsx": ("kobo_xlsx", workbook({SHEET: rows, "roster": repeat_rows(False)}))})
    groups = whole(validated).filter(pl.col("record") == "household")["groups"]
    assert groups.to_list() == ["disability women", None, None]
    said = validated.results.filter(pl.col("expectation") == "an_option_is_ticked")
    assert said.select("column", "n_failed", "outcome").rows() == [("groups", 1, "passed")]


def test_the_table_keeps_its_form(judged: Callable[..., Validated]) -> None:
    assert whole(one(judged, "api.json")).select(list(RESPONSES.schema)).schema == RESPONSES.schema
