"""The practice hand-in: each mistake in it is found and explained, and mending them all brings every row in."""

from __future__ import annotations

import csv
import datetime
import io
import json
import shutil
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lnob_pipeline import pipeline, storage
from lnob_pipeline.cli import app
from lnob_pipeline.messages.catalogue import LANGUAGES, catalogue
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import FITNESS
from lnob_pipeline.validation.rules import STATES, WORKBOOK

KEY = "ken-2019-practice"
NOW = "2020-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def practice(root: Path) -> Path:
    return root / "data" / "practice"


@pytest.fixture(scope="module")
def seeded(practice: Path) -> list[dict[str, str]]:
    with (practice / "seeded_mistakes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def settings(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An inbox with the practice hand-in, judged once."""
    home = tmp_path_factory.mktemp("practice")
    shutil.copytree(practice / KEY, home / "inbox" / "ken" / KEY)
    lake = home / "lake"
    settings = Settings.load(inbox=home / "inbox", lake=lake, sealed=lake / "sealed", published=home / "published")
    judged(settings)
    return settings


def judged(settings: Settings) -> dict[str, object]:
    pipeline.run_submissions(settings, KEY, now=NOW)
    pipeline.run_validation(settings, KEY)
    said: dict[str, object] = json.loads(pipeline.feedback_path(settings, KEY, "json").read_bytes())
    return said


def test_it_says_that_it_is_made_up(practice: Path) -> None:
    manifest = yaml.safe_load((practice / KEY / "submission.yaml").read_text("utf-8"))
    assert manifest["synthetic"] is True and manifest["partner"]["publish"] is False
    assert "made up" in (practice / "README.md").read_text("utf-8")


def test_each_seeded_mistake_is_found_and_explained(settings: Settings, seeded: list[dict[str, str]]) -> None:
    said = json.loads(pipeline.feedback_path(settings, KEY, "json").read_bytes())
    kinds = {(kind["reason_id"], kind["column"] or ""): kind for kind in said["kinds"]}
    found = {
        (reason, column, str(row))
        for (reason, column), kind in kinds.items()
        if kind["severity"] != "information"
        for row in kind["rows"] or [""]
    }
    wanted = {(line["reason_id"], line["column"], line["row"]) for line in seeded if line["reason_id"] != "no_consent"}
    assert found == wanted  # nothing is missed, and nothing is found that was not put in
    for kind in kinds.values():
        assert min(len(kind[part]) for part in ("title", "what", "why", "mend", "example")) > 1
    assert said["rows"] == {"in_file": 30, "accepted": 25, "left_out": 4, "refused": 1}
    text = "\n".join(str(cell) for row in openpyxl.load_workbook(
        pipeline.feedback_path(settings, KEY))["Summary"].iter_rows(values_only=True) for cell in row)  # fmt: skip
    assert "row 4 (Everybody in the data agreed to take part)" in text


def test_the_open_questions_of_the_scorecard_are_listed_and_can_be_decided(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LNOB_INBOX", str(settings.inbox))
    monkeypatch.setenv("LNOB_LAKE", str(settings.lake))
    listed = CliRunner().invoke(app, ["review"], env={"COLUMNS": "240"})
    assert listed.exit_code == 0 and "impartiality" in listed.output and KEY in listed.output, listed.output
    decision = [
        "review",
        KEY,
        "--rule",
        "impartiality",
        "--reject",
        "--by",
        "secretariat",
        "--reason",
        "funder unknown",
    ]
    assert CliRunner().invoke(app, decision).exit_code == 0
    judged(settings)
    card = storage.read_table(settings.lake, FITNESS, KEY)
    assert card.filter(pl.col("criterion") == "impartiality")["status"].item() == "not_met"


def test_the_readme_teaches_the_same(practice: Path, seeded: list[dict[str, str]]) -> None:
    readme = (practice / "README.md").read_text("utf-8")
    for line in seeded:
        if line["right"]:
            assert f"{line['right']}" in readme and line["column"] in readme


def test_mending_all_of_it_brings_every_row_in(settings: Settings, seeded: list[dict[str, str]]) -> None:
    book = openpyxl.load_workbook(pipeline.feedback_path(settings, KEY))
    sheet = book[WORKBOOK["rows"]]
    columns = {cell.value: cell.column for cell in sheet[1]}
    lines = {str(sheet.cell(line, 1).value): line for line in range(2, sheet.max_row + 1)}
    for mistake in seeded:
        if mistake["right"] == WORKBOOK["leave_out"]:
            sheet.cell(lines[mistake["row"]], columns[WORKBOOK["leave_out_column"]]).value = mistake["right"]
        elif mistake["right"]:
            sheet.cell(lines[mistake["row"]], columns[mistake["column"]]).value = mistake["right"]
    folder = settings.inbox / "ken" / KEY
    before = (folder / "answers.csv").read_bytes()
    book.save(folder / "practice_feedback.xlsx")
    manifest = yaml.safe_load((folder / "submission.yaml").read_text("utf-8"))
    manifest["files"].append({"path": "practice_feedback.xlsx", "role": "corrections", "format": "feedback_xlsx"})
    manifest["sample_size"]["achieved"] = 29
    (folder / "submission.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    said = judged(settings)
    assert said["rows"] == {"in_file": 29, "accepted": 28, "left_out": 0, "refused": 1}
    left = {kind["reason_id"] for kind in said["kinds"] if kind["severity"] != "information"}  # type: ignore[attr-defined]
    assert left == {"unknown_column"}
    assert said["since_last"] == {"before": 15, "mended": 14, "new": 0}
    assert (folder / "answers.csv").read_bytes() == before
    text = pipeline.feedback_path(settings, KEY, "txt").read_text("utf-8")
    assert "14 of 15 faults of your last hand-in are mended, 0 are new" in text


@pytest.mark.parametrize("language", ["bn", "ne", "sw"])
def test_the_feedback_is_there_in_other_languages(settings: Settings, language: str) -> None:
    pipeline.feedback_in(settings, KEY, language)
    named = f"{KEY}.{language}"
    said = json.loads(pipeline.feedback_path(settings, named, "json").read_bytes())
    speak = catalogue(language)
    assert said["language"] == language in LANGUAGES and said["result"] == speak.text(STATES[said["state"]])
    book = openpyxl.load_workbook(io.BytesIO(pipeline.feedback_path(settings, named).read_bytes()))
    summary = "\n".join(str(cell) for row in book.worksheets[0].iter_rows(values_only=True) for cell in row)
    assert (WORKBOOK["draft"] in summary) == (speak.status == "draft")
    assert speak.text(WORKBOOK["draft"]) in summary or speak.status != "draft"


def test_the_feedback_goes_with_a_withdrawn_hand_in(settings: Settings) -> None:
    folder = settings.inbox / "ken" / KEY
    manifest = yaml.safe_load((folder / "submission.yaml").read_text("utf-8"))
    manifest["withdrawn"] = True
    (folder / "submission.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
    assert list((settings.lake / "feedback").iterdir())
    pipeline.run_submissions(settings, KEY, now=datetime.datetime(2020, 2, 1, tzinfo=datetime.UTC).isoformat())
    assert not list((settings.lake / "feedback").iterdir())
