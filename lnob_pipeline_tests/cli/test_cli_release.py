"""`lnob release` as a person meets it: what is listed, verified, compared and removed, with the exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication import release
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests import command
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, disclosed

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three releases; in the last one a value of every headline differs."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.load(home=home, mappings=HOME / "indicator_mappings")
    (home / "indicator_mappings").symlink_to(HOME / "indicator_mappings")
    frames = disclosed(load_mappings(settings.mappings))
    small = {name: frame.filter(iso3="BGD") if "iso3" in frame.columns else frame for name, frame in frames.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "OUTPUTS", tuple(output for output in release.OUTPUTS if output[0] in FEW))
        for day, year in enumerate((2012, 2013, 2014), start=1):
            stated = pl.when(pl.col("stratum") == "_T").then(pl.lit(year, pl.Int32)).otherwise("latest_year")
            tables = small | {"data_gaps": small["data_gaps"].with_columns(latest_year=stated)}
            release.publish(tables, settings, f"2026-11-{day:02d}T00:00:00Z", PROVENANCE)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home", symlinks=True))


@pytest.fixture
def lnob(home: Path) -> Run:
    def call(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return command.lnob("release", *arguments, settings={"LNOB_HOME": str(home)} | settings)

    return call


def names(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "data/published/releases").iterdir() if path.is_dir())


def test_the_list_names_every_release_and_which_is_shown(home: Path, lnob: Run) -> None:
    done = lnob("list")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "2026-11-" in line]
    assert [name in line for name, line in zip(reversed(names(home)), lines, strict=True)] == [True] * 3
    assert ["latest" in line for line in lines] == [True, False, False]
    assert all("yes" in line for line in lines)  # synthetic


def test_verify_says_each_problem_and_exits_with_1(home: Path, lnob: Run) -> None:
    first, *_, last = names(home)
    done = lnob("verify")
    assert done.returncode == 0 and last in done.stdout and "is what was published" in done.stdout
    path = home / "data/published/releases" / first / "coverage.csv"
    path.write_text("x")
    (path.parent / "codes.csv").unlink()
    done = lnob("verify", first)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{first}: codes.csv is missing",
        f"{first}: coverage.csv is not what was published",
    ]
    done = lnob("verify", "2020-01-01_00000000")
    assert done.returncode == 2 and "is no release that is there" in done.stderr and last in done.stderr


def test_diff_compares_any_two_releases(home: Path, lnob: Run) -> None:
    first, second, last = names(home)
    done = lnob("diff")
    assert done.returncode == 0, done.stderr
    assert f"From {second} to {last}" in done.stdout
    assert "data_gaps" in done.stdout and "latest_year" in done.stdout
    done = lnob("diff", first, "latest", "--json", "--table", "data_gaps", "--rows", "2")
    content = json.loads(done.stdout)
    assert (content["before"], content["now"]) == (first, last)
    (counts,) = content["tables"]
    assert counts["table"] == "data_gaps" and counts["iso3"] == "BGD" and counts["changed"] > 10
    assert [row["before"] + row["now"] for row in content["examples"]] == ["20122014"] * 2
    done = lnob("diff", str(home / "data/published/releases" / first), str(home / "data/published/latest"))
    assert f"From {first} to {last}" in done.stdout
    done = lnob("diff", "latest", "latest")
    assert "No row of any table differs" in done.stdout


def test_prune_removes_what_the_policy_lets_go(home: Path, lnob: Run) -> None:
    first, second, last = names(home)
    assert "No release has to go" in lnob("prune").stdout
    done = lnob("prune", "--dry-run", LNOB_KEEP_RELEASES="1")
    assert f"{first} would go: keep_releases is 1" in done.stdout and names(home) == [first, second, last]
    done = lnob("prune", LNOB_KEEP_RELEASES="1")
    assert done.returncode == 0 and f"{second} was removed" in done.stdout
    assert names(home) == [last]
    assert lnob("list").stdout.count("removed: keep_releases is 1") == 2
    assert lnob("prune", LNOB_KEEP_RELEASES="none").returncode == 2
    assert lnob("verify").returncode == 0
