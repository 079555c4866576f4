"""`lnob official` as the secretariat meets it: take a download, see it held, let it be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnob_pipeline.cli import NOT_ACCEPTED, app
from lnob_pipeline_tests.official.test_official_bulk import ROWS, write

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LNOB_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LNOB_OFFICIAL_SOURCE", "last_good")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "lake"


def take(file: Path, release: str) -> tuple[int, str]:
    result = run(app, ["official", "take", str(file), "--release", release, "--fetched", "2020-10-28"])
    return result.exit_code, " ".join(result.output.split())


def test_without_anything_the_bundled_figures_are_in_use() -> None:
    result = run(app, ["official", "list"])
    assert result.exit_code == 0
    assert "in use: UN Global SDG Database, release 2020-10 (bundled, of 2020-10)" in result.output
    assert "Nothing was taken in yet" in result.output


def test_a_download_that_lost_much_waits_for_a_person(tmp_path: Path, lake: Path) -> None:
    code, said = take(write(tmp_path / "first.csv"), "2021.Q1.G.01")
    assert (code, "4 rows, 3 series" in said) == (0, True)
    code, said = take(write(tmp_path / "less.csv", rows=ROWS[:1]), "2021.Q2.G.01")
    assert code == NOT_ACCEPTED
    assert "It is held: less than in 2021.Q1.G.01 by more than 30%: rows: 1 instead of 4 (-75%)" in said

    listed = run(app, ["official", "list"])
    assert listed.exit_code == 0
    assert "2021.Q2.G.01 is held" in listed.output
    assert (
        "in use: UN Global SDG Database, release 2021.Q1.G.01 (last good snapshot, fetched 2020-10-28)" in listed.output
    )

    words = ["official", "accept", "2021.Q2.G.01", "--by", "A. Otieno", "--because", "a trial"]
    assert run(app, words).exit_code == 0
    assert (lake / "official_snapshots" / "2021.Q2.G.01.accepted.json").exists()
    listed = run(app, ["official", "list"])
    assert "was accepted by A. Otieno" in listed.output
    assert "in use: UN Global SDG Database, release 2021.Q2.G.01" in listed.output
    again = run(app, words)
    assert isinstance(again.exception, ValueError)
    assert "no release 2021.Q2.G.01 is held" in str(again.exception)


def test_a_file_that_is_no_download_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    code, said = take(tmp_path / "other.csv", "2021.Q1.G.01")
    assert code == NOT_ACCEPTED
    assert "it lacks goal, target, indicator, series" in said


def test_a_service_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from lnob_pipeline.official import releases
    from lnob_pipeline.official.http import HttpSettings

    # The command asks patiently, as a nightly run does; a test does not wait for that.
    hasty = HttpSettings(connect_timeout=1, attempts=1)
    service = releases._service
    monkeypatch.setattr(releases, "_service", lambda settings, route, http: service(settings, route, http or hasty))
    monkeypatch.setenv("LNOB_OFFICIAL_API", "http://127.0.0.1:9/SDGAPI")
    result = run(app, ["official", "fetch"])
    assert result.exit_code == NOT_ACCEPTED
    assert "127.0.0.1:9" in result.output
