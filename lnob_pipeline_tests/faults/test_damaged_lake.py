"""A disk changes bytes of a table of the lake: it is noticed, mended from what stands beside or beneath, or said."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import storage
from lnob_pipeline.pipeline import Step, run_all
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger
from lnob_pipeline.tables import SUBMISSIONS
from lnob_pipeline_tests.faults import hand_ins
from lnob_pipeline_tests.faults.hand_ins import NOW

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

KEY, OTHER = "mwi-2020-health-score-card", "nga-2020-policy-review"
LATER = "2026-11-24T00:00:00Z"
FLIPS = random.Random(20261123)


def flip(path: Path) -> None:
    """Change one bit somewhere in a file."""
    content = bytearray(path.read_bytes())
    content[FLIPS.randrange(len(content))] ^= 1 << FLIPS.randrange(8)
    path.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A home with two hand-ins, one of two versions, both in the tables."""
    home = hand_ins.make_home(tmp_path_factory.mktemp("whole"), root)
    folder = hand_ins.copy_sample(root, home, KEY)
    hand_ins.copy_sample(root, home, OTHER)
    header = "submission,version,rule_id,decision,decided_by,date,reason\n"
    line = f"{KEY},{'a' * 12},any_rule,accept,secretariat,2020-11-30,of a version that is not here\n"
    (home / "data" / "submissions" / "reviews.csv").write_text(header + line, "utf-8")
    run_all(hand_ins.settings_of(home), NOW)
    manifest = folder / "submission.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "\n# a second version\n", "utf-8")
    run_all(hand_ins.settings_of(home), LATER)
    return home


@pytest.fixture
def settings(whole: Path, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    shutil.copytree(whole, home, symlinks=True)
    return hand_ins.settings_of(home)


def sums(settings: Settings) -> dict[str, str]:
    return {
        path.relative_to(settings.lake).as_posix(): storage.sha256_file(path)
        for path in settings.lake.rglob("*")
        if path.is_file()
    }


def failed(steps: list[Step]) -> list[str]:
    return [f"{step.stage} {step.key}: {step.problems}" for step in steps if step.texts.get("state") == "failed"]


@pytest.mark.thorough
def test_a_flip_anywhere_in_a_table_is_noticed(settings: Settings) -> None:
    path = storage.table_path(settings.lake, SUBMISSIONS, KEY)
    content = path.read_bytes()
    unnoticed = []
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        if storage.is_intact(path):
            unnoticed.append(place)
    assert unnoticed == []


def test_every_table_and_stamp_of_the_lake_is_mended_by_the_next_run(settings: Settings) -> None:
    before = sums(settings)
    damaged = [path for path in settings.lake.rglob("*") if path.suffix in (".parquet", ".json")]
    assert {path.parent.name for path in damaged} >= {
        "submissions", "sealed_files", "validation_outcomes", "reviews", "responses", "stamps", "feedback", "lake",
    }  # fmt: skip
    for path in damaged:
        flip(path)
    steps = run_all(settings, "2026-11-25T00:00:00Z")
    assert failed(steps) == []
    after = sums(settings)
    told = {name for name in before if name.startswith(("feedback/", "stamps/"))}  # workbooks bear what was known
    assert {name for name in before if after.get(name) != before[name]} - told == set()


@pytest.mark.parametrize("harm", [flip, Path.unlink], ids=["flipped", "lost"])
@pytest.mark.parametrize("table", ["submissions", "sealed_files", "validation_outcomes"])
def test_the_ledger_is_read_from_its_copy_and_mended(
    settings: Settings, table: str, harm: Callable[[Path], None]
) -> None:
    before, states = sums(settings), ledger.status_table(settings)
    harm(settings.lake / table / f"{KEY}.parquet")
    assert ledger.status_table(settings).equals(states)
    assert ledger.history(settings, KEY)["state"].to_list() == ["superseded", "received"]
    run_all(settings, LATER)
    assert sums(settings) == before


def test_a_ledger_damaged_twice_is_an_error_that_says_how_to_mend_and_stops_no_other(settings: Settings) -> None:
    path = storage.table_path(settings.lake, SUBMISSIONS, KEY)
    for file in (path, storage.copy_of(path)):
        flip(file)
    (settings.lake / "harmonised_households" / f"{OTHER}.parquet").unlink()
    steps: list[Step] = []
    with pytest.raises(storage.DamagedTableError, match=f"submissions/{KEY}.parquet and .*copy of the lake: damaged"):
        run_all(settings, LATER, done=steps.append)
    assert {line.split(":")[0] for line in failed(steps)} == {
        f"{stage} {KEY}" for stage in ("submissions", "validation", "harmonisation", "estimation")
    }
    assert (settings.lake / "harmonised_households" / f"{OTHER}.parquet").exists()
    for file in (path, storage.copy_of(path)):  # as the error says
        file.unlink()
    assert failed(run_all(settings, LATER)) == []
    assert set(ledger.status_table(settings).filter(pl.col("in_tables").is_not_null())["submission_id"]) == {KEY, OTHER}


def test_answers_that_cannot_be_made_again_are_an_error_that_names_them(settings: Settings) -> None:
    for path in settings.sealed.iterdir():
        path.unlink()
    shutil.rmtree(settings.inbox / KEY[:3] / KEY)
    path = settings.lake / "responses" / f"{KEY}.parquet"
    flip(path)
    with pytest.raises(storage.DamagedTableError, match=f"responses/{KEY}.parquet of the lake: damaged"):
        storage.intact_file(path)
