"""The command line as a person and a script meet it: output, exit codes, nothing kept by `check`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lnob_pipeline.settings import Settings
from lnob_pipeline_tests import command
from lnob_pipeline_tests.homes import project_folder

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two small hand-ins, one of which is rejected."""
    return project_folder(tmp_path_factory.mktemp("home"), ["ken-2019-no-consent", "nga-2020-policy-review"])


@pytest.fixture(scope="module")
def lnob(home: Path) -> Run:
    def call(*arguments: str) -> Done:
        return command.lnob(*arguments, settings={"LNOB_HOME": str(home)})

    return call


@pytest.fixture(scope="module")
def first(home: Path) -> Done:
    """The run of a real process: the other calls are made in this one."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LNOB_", "DAGSTER_"))}
    line = [sys.executable, "-c", "from lnob_pipeline.cli import main; main()", "run"]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=180, check=False, env=environment | {"LNOB_HOME": str(home)}
    )


def test_run_tells_what_was_done_and_that_something_was_not_accepted(first: Done, home: Path) -> None:
    assert first.returncode == 3, first.stderr
    for word in ("validation", "rejected", "accepted", "release ", "new"):
        assert word in first.stdout
    assert (home / "data/published/latest/index.html").exists()
    assert (home / ".dagster/dagster.yaml").exists()


def test_a_second_run_says_that_nothing_has_changed(first: Done, lnob: Run) -> None:
    again = lnob("run")
    assert "Nothing has changed" in again.stdout, again.stdout + again.stderr
    assert "as before" in again.stdout


def test_status_shows_the_ledger_and_one_submission_whole(first: Done, lnob: Run) -> None:
    assert "ken-2019-no-consent" in lnob("status").stdout
    one = lnob("status", "ken-2019-no-consent")
    assert one.returncode == 0 and "consent" in one.stdout
    unknown = lnob("status", "ken-2019-unknown")
    assert unknown.returncode == 2 and "lnob status" in unknown.stderr


def test_gaps_filters_by_country_and_indicator(first: Done, lnob: Run) -> None:
    found = lnob("gaps", "--country", "KEN", "--indicator", "16.9.1")
    assert found.returncode == 0 and "none_since_2015" in found.stdout
    assert "NPL" not in found.stdout
    assert lnob("gaps", "--country", "XXX").returncode == 2


def test_run_refuses_a_name_that_is_not_in_the_inbox(lnob: Run) -> None:
    done = lnob("run", "ken-2019-unknown")
    assert done.returncode == 2 and "ken-2019-unknown" in done.stderr
    assert "Traceback" not in done.stderr


def files(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.as_posix(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file())


def test_check_says_what_to_mend_and_keeps_nothing(lnob: Run, home: Path, root: Path, tmp_path: Path) -> None:
    before = files(home)
    bad = lnob("check", str(root / "data/submissions/ken/ken-2019-no-consent"))
    assert bad.returncode == 3 and "rejected" in bad.stdout, bad.stdout + bad.stderr
    feedback = tmp_path / "feedback.xlsx"
    flagged = lnob("check", str(root / "data/submissions/ind/ind-2020-partly-bad"), "--feedback", str(feedback))
    assert flagged.returncode == 0 and "284 of 300 rows are in" in flagged.stdout
    assert feedback.read_bytes()[:2] == b"PK"
    assert files(home) == before


def test_check_of_a_broken_manifest_names_the_field(lnob: Run, tmp_path: Path) -> None:
    folder = tmp_path / "ken-2020-broken"
    folder.mkdir()
    (folder / "submission.yaml").write_text("submission: ken-2020-broken\ncountry: Kenya\n", "utf-8")
    done = lnob("check", str(folder))
    assert done.returncode == 3 and "country" in done.stdout and "Traceback" not in done.stderr


def test_new_makes_a_manifest_that_check_can_read(lnob: Run, tmp_path: Path) -> None:
    made = lnob("new", "KEN", "2020-water-survey", "household_survey", "--folder", str(tmp_path), "--form", "yaml")
    assert made.returncode == 0, made.stderr
    assert lnob("check", str(tmp_path / "ken-2020-water-survey")).returncode == 3  # not filled in yet


def test_lint_passes_and_help_lists_every_command(lnob: Run) -> None:
    assert lnob("lint").returncode == 0
    shown = lnob("--help").stdout
    for name in ("demo", "run", "check", "status", "gaps", "lint", "new", "ui"):
        assert name in shown


def test_a_wrong_setting_is_said(home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LNOB_AS_OF_YEAR", "soon")
        with pytest.raises(ValueError, match="LNOB_AS_OF_YEAR"):
            Settings.load(home=home)
