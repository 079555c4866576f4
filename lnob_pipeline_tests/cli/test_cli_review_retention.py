"""`lnob review` and `lnob retention` as a person meets them: what is listed, what is recorded, what is deleted."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lnob_pipeline import pipeline
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests import command
from lnob_pipeline_tests.homes import project_folder

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY = "ind-2020-partly-bad"
NOW = "2026-11-23T00:00:00Z"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one survey, in which a child of nine answered: a person has to look at it."""
    folder = project_folder(tmp_path, [KEY])
    path = folder / "data/submissions/ind" / KEY / "responses.csv"
    text = path.read_text("utf-8-sig")
    path.write_text(text.replace(",महिला,27,5,", ",महिला,9,5,", 1), "utf-8")
    judge(folder)
    return folder


def judge(home: Path) -> pipeline.Step:
    settings = Settings.load(home=home)
    pipeline.run_submissions(settings, KEY, now=NOW)
    return pipeline.run_validation(settings, KEY)


@pytest.fixture
def lnob(home: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return command.lnob(*arguments, settings={"LNOB_HOME": str(home)})

    return call


def test_a_decision_is_listed_recorded_and_takes_effect(home: Path, lnob: Run) -> None:
    listed = lnob("review")
    assert listed.returncode == 0 and KEY in listed.stdout and "ethics" in listed.stdout, listed.stderr
    assert "2026-11-23" in listed.stdout
    decision = ("review", KEY, "--rule", "ethics", "--accept", "--by", "ethics_reviewer", "--date", "2026-11-20")
    for wrong in (
        decision,  # no reason
        (*decision, "--reason", "ask 0712 345 678"),
        ("review", KEY, "--rule", "structure", "--reject", "--by", "secretariat", "--reason", "x"),
        ("review", "ken-2019-unknown", "--rule", "ethics", "--reject", "--by", "secretariat", "--reason", "x"),
        ("review", KEY, "--rule", "ethics", "--reject", "--by", "Amina", "--reason", "x"),
        (*decision, "--date", "2999-01-01", "--reason", "x"),
    ):
        refused = lnob(*wrong)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr, wrong
        assert "0712" not in refused.stderr and "Amina" not in refused.stderr
    register = home / "data/submissions/reviews.csv"
    assert not register.exists()
    recorded = lnob(*decision, "--reason", "guardian was there")
    assert recorded.returncode == 0 and f"lnob run {KEY}" in recorded.stdout, recorded.stderr
    (line,) = csv.DictReader(register.open(encoding="utf-8", newline=""))
    assert (line["decision"], line["date"], line["reason"]) == ("accept", "2026-11-20", "guardian was there")
    assert "not run yet" in lnob("review").stdout
    assert judge(home).texts["state"] == "accepted_with_flags"
    assert "Nothing waits" in lnob("review").stdout
    again = lnob("review", KEY, "--rule", "ethics", "--reject", "--by", "secretariat", "--reason", "second thought")
    assert again.returncode == 0, again.stderr
    assert judge(home).texts["state"] == "rejected"
    register.write_text(register.read_text("utf-8") + "a line, that nobody can read\n", "utf-8")
    told = lnob("review")
    assert told.returncode == 3 and "line 4" in told.stdout


def test_retention_shows_first_and_deletes_only_when_told(home: Path, lnob: Run) -> None:
    folder, lake = home / "data/submissions/ind" / KEY, home / "data/lake"
    assert "no raw file" in lnob("retention", "--today", "2029-12-31").stdout
    shown = lnob("retention", "--today", "2030-01-01")
    assert shown.returncode == 0 and KEY in shown.stdout and "Nothing was changed" in shown.stdout, shown.stderr
    assert folder.is_dir() and len(list((lake / "sealed").iterdir())) == 1
    assert lnob("retention", "--today", "soon").returncode == 2
    done = lnob("retention", "--today", "2030-01-01", "--yes")
    assert done.returncode == 0 and "Deleted and recorded" in done.stdout, done.stderr
    assert not folder.exists() and list((lake / "sealed").iterdir()) == []
    assert "no raw file" in lnob("retention", "--today", "2030-01-01").stdout
    too_late = lnob("review", KEY, "--rule", "ethics", "--accept", "--by", "secretariat", "--reason", "x")
    assert too_late.returncode == 2 and "deleted as of 2030-01-01" in too_late.stderr
    assert "deleted as of 2030-01-01" in " ".join(lnob("status", KEY).stdout.split())
