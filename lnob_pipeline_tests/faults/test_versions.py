"""Versions of one submission through the whole pipeline: corrected, wrongly corrected, sent again, withdrawn."""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import pipeline, storage
from lnob_pipeline.pipeline import run_all
from lnob_pipeline.publication.release import OUTPUTS as EVERY_OUTPUT
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger, retention, reviews
from lnob_pipeline_tests.faults import hand_ins

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

KEY = "ind-2020-partly-bad"
OTHER = "nga-2020-policy-review"
TOLD = ("sources", "withdrawals")
"""Tables that say of a withdrawn submission that it was there."""


@dataclass
class Story:
    """A home in which the same submission is handed in again and again; day by day."""

    settings: Settings
    folder: Path
    day: int = 0

    def run(self) -> list[str]:
        """Run everything on the next day; the stages that changed something."""
        self.day += 1
        steps = run_all(self.settings, f"2026-11-{self.day:02d}T00:00:00Z")
        assert [step for step in steps if step.texts.get("state") == "failed"] == []
        return [step.stage for step in steps if step.changed]

    def published(self, table: str) -> pl.DataFrame:
        """A table of the latest release."""
        return pl.read_parquet(self.settings.published / "latest" / f"{table}.parquet")

    def release(self) -> str:
        """The name of the latest release."""
        return (self.settings.published / "latest").resolve().name

    def source(self) -> dict[str, object]:
        """The line of the submission in the list of sources."""
        return self.published("sources").filter(pl.col("submission_id") == KEY).row(0, named=True)

    def status(self) -> dict[str, object]:
        """The line of the submission in `lnob status`."""
        return ledger.status_table(self.settings).filter(pl.col("submission_id") == KEY).row(0, named=True)

    def later_tables(self) -> dict[str, str]:
        """sha256 of what stages 3 and 4 and the release hold of the submission."""
        tables = ("responses", "harmonised_households", "harmonised_persons", "citizen_estimates")
        found = {name: storage.sha256_file(self.settings.lake / name / f"{KEY}.parquet") for name in tables}
        rows = self.published("citizen_estimates").filter(pl.col("submission_id") == KEY)
        return found | {"published": rows.write_json()}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Story:
    home = hand_ins.make_home(tmp_path_factory.mktemp("original"), root)
    hand_ins.copy_sample(root, home, OTHER)
    folder = hand_ins.copy_sample(root, home, KEY)
    story = Story(hand_ins.settings_of(home), folder)
    story.run()
    return story


@pytest.fixture
def story(original: Story, tmp_path: Path) -> Story:
    """A copy of the home after its first run."""
    home = original.settings.lake.parent.parent
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    settings = hand_ins.settings_of(tmp_path / "home")
    return Story(settings, settings.inbox / KEY[:3] / KEY, original.day)


def test_the_same_content_again_does_nothing(story: Story) -> None:
    before, release = story.later_tables(), story.release()
    path = story.folder / "responses.csv"
    path.write_bytes(path.read_bytes())  # copied once more, with another time of change
    assert story.run() == []
    assert story.later_tables() == before and story.release() == release
    assert ledger.history(story.settings, KEY).height == 1


def test_a_changed_file_supersedes(story: Story) -> None:
    before, first = story.later_tables(), story.source()
    path = story.folder / "responses.csv"
    text = path.read_text("utf-8-sig")
    path.write_text(text.replace("लकड़ी", "एलपीजी", 60), "utf-8")  # wood was gas
    assert path.read_text("utf-8") != text
    assert {"validation", "harmonisation", "estimation", "publication"} <= set(story.run())
    second = story.source()
    assert second["version"] != first["version"] and second["state"] in ledger.ACCEPTED
    assert story.later_tables()["published"] != before["published"]
    states = dict(ledger.history(story.settings, KEY).select("version", "state").iter_rows())
    assert states == {first["version"]: "superseded", second["version"]: "received"}


def test_a_rejected_correction_keeps_the_earlier_version_and_says_so(story: Story) -> None:
    before, first = story.later_tables(), story.source()
    path = story.folder / "responses.csv"
    good = path.read_bytes()
    lines = good.decode("utf-8-sig").splitlines()
    path.write_text("\n".join([lines[0].replace("सहमति", "अन्य"), *lines[1:]]), "utf-8")  # no consent question any more
    story.run()
    assert story.later_tables() == before
    assert story.source()["state"] == "rejected" and story.source()["version"] == first["version"]
    status = story.status()
    assert status["state"] == "rejected" and status["in_tables"] == first["version"]
    assert f"version {str(first['version'])[:12]} stays in the tables" in str(status["reason"])
    path.write_bytes(good)  # the partner goes back to the version before
    story.run()
    assert story.later_tables() == before and story.status()["state"] == first["state"]


def test_an_unreadable_correction_keeps_the_earlier_version_and_says_so(story: Story) -> None:
    before, first = story.later_tables(), story.source()
    manifest = story.folder / "submission.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "\n  - [", "utf-8")
    story.run()
    assert story.later_tables() == before
    assert story.source()["state"] == "unreadable" and story.status()["in_tables"] == first["version"]


def test_a_withdrawn_submission_leaves_every_later_table_and_the_next_release(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnob_pipeline.publication.release.OUTPUTS", EVERY_OUTPUT)
    release = story.release()
    manifest = story.folder / "submission.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "\nwithdrawn: true\n", "utf-8")
    (story.folder / "responses.csv").unlink()  # a withdrawal needs no files
    story.run()
    lake = story.settings.lake
    left = sorted(path.relative_to(lake).as_posix() for path in lake.rglob(f"*{KEY}*"))
    tables = ("retention", "sealed_files", "submissions")
    assert left == [f"{table}/{KEY}.parquet{copy}" for table in tables for copy in ("", ".copy")]
    tombstones = pl.read_parquet(lake / "retention" / f"{KEY}.parquet")
    assert tombstones["because"].to_list() == ["withdrawn"]
    assert not (story.settings.sealed / tombstones["sha256"].item()).exists()
    kept = b"".join((lake / name).read_bytes() for name in left)
    assert b"Udaharan" not in kept and b"responses.csv" not in kept
    assert story.release() != release
    for path in (story.settings.published / "latest").glob("*.parquet"):
        frame = pl.read_parquet(path)
        for column in {"submission_id", "subject"} & set(frame.columns):
            assert path.stem in TOLD or KEY not in frame[column].to_list(), path.name
        texts = frame.select(pl.col(pl.String)).write_csv()
        assert path.stem in TOLD or KEY not in texts, path.name
    source = story.source()
    assert source["state"] == "withdrawn" and source["organisation"] is None and source["n_accepted"] is None
    pages = [path.read_text("utf-8") for path in (story.settings.published / "latest").rglob("*.html")]
    assert pages and not any("Udaharan Volunteers" in page for page in pages)
    (stone,) = story.published("withdrawals").to_dicts()
    assert stone["submission_id"] == KEY and stone["first_release"] == stone["last_release"] == release
    assert not (story.settings.published / "releases" / release).exists()  # it held the numbers of the submission
    left_of_it = json.loads((story.settings.published / "releases" / f"{release}.removed.json").read_text())
    assert left_of_it["why"] == f"withdrawn since: {KEY}"
    assert story.run() == []


def test_a_submission_handed_in_again_after_its_withdrawal_comes_back(story: Story) -> None:
    before, first = story.later_tables(), story.source()
    manifest, answers = story.folder / "submission.yaml", story.folder / "responses.csv"
    text, content = manifest.read_text("utf-8"), answers.read_bytes()
    manifest.write_text(text + "\nwithdrawn: true\n", "utf-8")
    answers.unlink()
    story.run()
    manifest.write_text(text, "utf-8")
    answers.write_bytes(content)
    story.run()
    assert story.later_tables() == before
    assert story.source() == first


def test_results_stay_when_retention_has_deleted_the_raw_files(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    before, first = story.later_tables(), story.source()
    day, now = datetime.date(2030, 1, 1), "2030-01-01T00:00:00Z"
    assert retention.let_go(story.settings, retention.due(story.settings, day), day, now) == []
    assert list(story.settings.sealed.iterdir()) == [] and not story.folder.exists()
    # Another version of the code would judge everything anew: what cannot be judged stays as it is, and nothing is red.
    monkeypatch.setattr(pipeline, "code_version", lambda: "another")
    step = pipeline.run_validation(story.settings, KEY)
    assert not step.changed and "deleted as of 2030-01-01" in step.texts["notes"]
    assert step.texts["state"] == first["state"] and step.problems == ()
    assert pipeline.run_submissions(story.settings, KEY, now=now).texts["state"] == "received"
    for stage in (pipeline.run_harmonisation, pipeline.run_estimation):
        assert stage(story.settings, KEY).changed  # from the answers that were accepted
    story.run()
    assert story.later_tables() == before
    assert story.source() == first and story.status()["in_tables"] == first["version"]


def test_a_changed_instrument_is_applied_and_supersedes_nothing(story: Story, tmp_path: Path) -> None:
    rows = ledger.history(story.settings, KEY)
    mappings = tmp_path / "mappings"
    shutil.copytree(story.settings.mappings, mappings)
    settings = dataclasses.replace(story.settings, mappings=mappings)
    assert pipeline.run_validation(settings, KEY).changed is False
    (instrument,) = (mappings / "instruments").glob(f"{ledger.live(settings, KEY)[0].manifest.instrument}.yaml")
    instrument.write_text(instrument.read_text("utf-8") + "\n# read once more\n", "utf-8")
    assert pipeline.run_validation(settings, KEY).changed
    assert ledger.history(settings, KEY).equals(rows)
    assert ledger.status_table(settings, KEY)["in_tables"].item() == rows["version"].item()


def test_a_reviewers_decision_makes_stage_2_run_again(story: Story) -> None:
    (live,) = ledger.live(story.settings, KEY)

    def decide(version: str, decision: str) -> bool:
        day = datetime.date(2026, 11, 23)
        reviews.record(story.settings, KEY, version, "ethics", decision, "secretariat", day, "seen", lambda text: False)
        return pipeline.run_validation(story.settings, KEY).changed

    assert not pipeline.run_validation(story.settings, KEY).changed
    assert decide(live.version, "accept")
    assert not pipeline.run_validation(story.settings, KEY).changed
    assert not decide("0" * 64, "reject")  # it is about another version
    kept = pl.read_parquet(story.settings.lake / "reviews" / f"{KEY}.parquet")
    assert kept["version"].to_list() == [live.version[:12], "0" * 12]


def test_what_waits_for_a_person_goes_on_or_ends_with_the_recorded_decision(story: Story) -> None:
    before, first = story.later_tables(), story.source()
    path = story.folder / "responses.csv"
    text = path.read_text("utf-8-sig")
    path.write_text(text.replace(",आदिवासी,महिला,27,5,", ",आदिवासी,महिला,9,5,", 1), "utf-8")  # a child of nine answered
    story.run()
    (live,) = ledger.live(story.settings, KEY)
    assert story.status()["state"] == "waiting_for_review"
    assert story.later_tables() == before and story.source()["version"] == first["version"]  # nothing of it is used

    def decide(decision: str, day: int) -> None:
        date = datetime.date(2026, 11, day)
        reviews.record(
            story.settings, KEY, live.version, "ethics", decision, "ethics_reviewer", date, "seen", lambda text: False
        )
        story.run()

    decide("accept", 20)
    assert story.status()["state"] == "accepted_with_flags"
    assert story.status()["in_tables"] == live.version == story.source()["version"]
    assert story.later_tables() != before
    assert ledger.versions(story.settings, KEY)["state"].to_list() == ["superseded", "accepted_with_flags"]
    decide("reject", 21)  # a second thought: it leaves the tables and the next release
    assert story.status()["state"] == "rejected" and story.status()["in_tables"] is None
    assert story.published("citizen_estimates").filter(pl.col("submission_id") == KEY).is_empty()
