"""Old releases are kept or go by policy, and a withdrawn submission leaves a tombstone in every later release."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.publication import history
from lnob_pipeline.publication.release import Release, ReleaseError, prune, publish, verify
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.publication.release_factory import PROVENANCE

Tables = dict[str, pl.DataFrame]
KEY, OTHER = "ken-2019-household-survey", "npl-2020-whole-country"
pytestmark = pytest.mark.usefixtures("few_outputs")


@pytest.fixture
def few(tables: Tables) -> Tables:
    """A release of two submissions and few rows."""
    held = {name: frame for name, frame in tables.items() if "submission_id" in frame.columns}
    held = {name: frame.filter(pl.col("submission_id").is_in([KEY, OTHER])).head(200) for name, frame in held.items()}
    return tables | {"data_gaps": tables["data_gaps"].head(50)} | held


def without(tables: Tables, key: str) -> Tables:
    held = {name: frame for name, frame in tables.items() if "submission_id" in frame.columns}
    return tables | {name: frame.filter(pl.col("submission_id") != key) for name, frame in held.items()}


def version(tables: Tables, key: str, letter: str) -> Tables:
    own = pl.when(pl.col("submission_id") == key).then(pl.lit(letter * 64)).otherwise("version")
    return tables | {"sources": tables["sources"].with_columns(version=own)}


def withdrawn(*keys: str) -> pl.DataFrame:
    rows = [(key, key[:3].upper(), "2026-11-20T10:00:00Z") for key in keys]
    return pl.DataFrame(rows, schema=dict.fromkeys(("submission_id", "iso3", "received_at"), pl.String), orient="row")


def published(tables: Tables, settings: Settings, day: int, *gone: str) -> Release:
    """Publish as run_publication does: with the withdrawals that the earlier releases tell of."""
    for key in gone:
        tables = without(tables, key)
    stones = history.withdrawals(withdrawn(*gone), history.past(settings.published))
    return publish(tables | {"withdrawals": stones}, settings, f"2026-11-{day:02d}T00:00:00Z", PROVENANCE)


def stone(settings: Settings, release: Release) -> dict[str, object]:
    path = settings.published / "releases" / f"{release.path.name}.removed.json"
    content: dict[str, object] = json.loads(path.read_text())
    return content


def test_a_submission_withdrawn_before_it_was_published_leaves_none(few: Tables, settings: Settings) -> None:
    release = published(without(few, KEY), settings, 1, KEY)
    assert pl.read_parquet(release.path / "withdrawals.parquet").is_empty()
    again = published(without(few, KEY), settings, 2, KEY)
    assert not again.changed


@pytest.mark.parametrize("policy", ["remove", "keep"])
def test_a_withdrawn_submission_leaves_a_tombstone_and_its_releases_go_by_policy(
    few: Tables, settings: Settings, policy: str
) -> None:
    settings = dataclasses.replace(settings, withdrawn_releases=policy)
    before = published(without(few, KEY), settings, 1)
    first = published(version(few, KEY, "a"), settings, 2)
    second = published(version(few, KEY, "b"), settings, 3)
    after = published(few, settings, 4, KEY)
    (row,) = pl.read_parquet(after.path / "withdrawals.parquet").to_dicts()
    assert row == {
        "submission_id": KEY,
        "iso3": "KEN",
        "withdrawn_on": datetime.date(2026, 11, 20),
        "first_release": first.path.name,
        "last_release": second.path.name,
        "versions": f"{'a' * 12},{'b' * 12}",
    }
    assert verify(after.path) == [] and before.path.is_dir()
    kept = policy == "keep"
    assert first.path.is_dir() is second.path.is_dir() is kept
    if not kept:
        left = stone(settings, second)
        assert left == {
            "release": second.path.name,
            "released_at": "2026-11-03T00:00:00Z",
            "hash": second.hash,
            "removed_at": "2026-11-04T00:00:00Z",
            "why": f"withdrawn since: {KEY}",
            "submissions": {KEY: "b" * 64, OTHER: "f" * 64},
        }
    # Told from the tombstones or from the folders, the table is the same, and so is the release.
    again = published(few, settings, 5, KEY)
    assert again == Release(after.path, after.hash, changed=False)


def test_a_submission_handed_in_again_is_withdrawn_no_more(few: Tables, settings: Settings) -> None:
    published(few, settings, 1)
    published(few, settings, 2, KEY)
    back = published(few, settings, 3)
    assert pl.read_parquet(back.path / "withdrawals.parquet").is_empty()
    assert history.shown(settings.published) == back.path.name


def test_the_newest_releases_are_kept_and_what_latest_shows(few: Tables, settings: Settings) -> None:
    made = [published(version(few, KEY, letter), settings, day) for day, letter in enumerate("abcde", start=1)]
    shown = published(version(few, KEY, "b"), settings, 6)  # an earlier one is shown again
    assert shown.path == made[1].path
    policy = dataclasses.replace(settings, keep_releases="2")
    would = prune(policy, [], "2026-12-01T00:00:00Z", dry_run=True)
    assert sorted(would) == [made[0].path.name, made[2].path.name]
    assert all(release.path.is_dir() for release in made)
    assert prune(policy, [], "2026-12-01T00:00:00Z") == would
    assert [release.path.is_dir() for release in made] == [False, True, False, True, True]
    assert prune(policy, [], "2026-12-02T00:00:00Z") == {}
    assert stone(settings, made[0])["removed_at"] == "2026-12-01T00:00:00Z"
    found = history.past(settings.published)
    assert [item.name for item in found] == [release.path.name for release in made]
    assert [item.held[KEY] for item in found] == [letter * 64 for letter in "abcde"]


def test_a_removed_release_that_is_published_again_has_no_tombstone(few: Tables, settings: Settings) -> None:
    policy = dataclasses.replace(settings, keep_releases="1")
    first = published(version(few, KEY, "a"), policy, 1)
    published(version(few, KEY, "b"), policy, 2)
    assert not first.path.exists() and stone(policy, first)
    again = published(version(few, KEY, "a"), policy, 1)
    assert again.path == first.path and again.path.is_dir()
    assert prune(policy, [], "2026-12-01T00:00:00Z") == {}  # the newest stays, and the one that is shown
    assert not (policy.published / "releases" / f"{first.path.name}.removed.json").exists()


def test_a_release_that_cannot_be_read_stays_and_is_told(few: Tables, settings: Settings) -> None:
    first = published(few, settings, 1)
    (first.path / "manifest.json").write_text("{")
    second = published(few, settings, 2, KEY)
    assert first.path.is_dir() and second.changed
    assert [bool(item.problem) for item in history.past(settings.published)] == [True, False]


@pytest.mark.parametrize(("keep", "held"), [("0", "remove"), ("few", "remove"), ("all", "")])
def test_a_policy_that_says_nothing_stops_before_anything_is_written(
    few: Tables, settings: Settings, keep: str, held: str
) -> None:
    policy = dataclasses.replace(settings, keep_releases=keep, withdrawn_releases=held)
    with pytest.raises(ValueError, match="LNOB_WITHDRAWN_RELEASES" if keep == "all" else "LNOB_KEEP_RELEASES"):
        published(few, policy, 1)
    assert not settings.published.exists()


def test_what_cannot_be_removed_is_said_and_the_release_is_shown(
    few: Tables, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(version(few, KEY, "a"), settings, 1)
    policy = dataclasses.replace(settings, keep_releases="1")
    rename = Path.rename

    def stuck(path: Path, target: Path) -> Path:
        if path == first.path:
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stuck)
    with pytest.raises(ReleaseError, match=r"older releases could not all be removed.*Permission denied"):
        published(version(few, KEY, "b"), policy, 2)
    assert (history.shown(policy.published) or "").startswith("2026-11-02") and first.path.is_dir()
