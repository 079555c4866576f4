"""Retention: what may go and when, what stays, and what the pipeline does with a version whose raw files are gone."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import pipeline
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import read_table
from lnob_pipeline.submissions import retention
from lnob_pipeline.submissions.ledger import LedgerError, closed_on, live, sealed_files, status_table
from lnob_pipeline.submissions.receive import receive, scan
from lnob_pipeline.submissions.retention import due, erase_withdrawn, let_go, overdue
from lnob_pipeline.tables import RETENTION, SEALED_FILES
from lnob_pipeline_tests.submissions.conftest import HandIn

ID = "ken-2019-test"
LAST, AFTER = datetime.date(2029, 12, 31), datetime.date(2030, 1, 1)
FIRST, SECOND, THIRD = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2030-01-01T08:00:00Z"
FOURTH = "2030-01-02T08:00:00Z"


def sealed(settings: Settings) -> set[bytes]:
    return {path.read_bytes() for path in settings.sealed.iterdir()}


def run(settings: Settings, today: datetime.date = AFTER, now: str = THIRD) -> list[str]:
    return let_go(settings, due(settings, today), today, now)


def test_the_last_day_is_a_day_on_which_files_may_be_kept(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    assert due(settings, LAST) == [] == overdue(settings, LAST)
    assert overdue(settings, AFTER) == [ID]
    (item,) = due(settings, AFTER)
    assert (item.submission_id, item.because, item.retention_until) == (ID, "retention_date", LAST)
    assert len(item.sealed) == 2 and item.needed == frozenset() and (item.inbox_files, item.inbox_stays) == (3, "")
    assert len(sealed(settings)) == 2 and hand_in.folder.exists()  # looking changes nothing


def test_raw_files_go_and_their_hashes_stay(settings: Settings, hand_in: HandIn) -> None:
    version = receive(settings, hand_in.folder, FIRST).version
    hashes = {path.name for path in settings.sealed.iterdir()}
    assert run(settings) == []
    assert sealed(settings) == set() and not hand_in.folder.exists() and scan(settings) == []
    rows = read_table(settings.lake, RETENTION, ID)
    assert set(rows["sha256"]) == hashes and rows["version"].unique().to_list() == [version]
    assert rows.select("action", "because", "retention_until", "as_of", "recorded_at").unique().rows() == [
        ("deleted", "retention_date", LAST, AFTER, THIRD)
    ]
    assert closed_on(settings, ID, version) == AFTER
    assert [item.version for item in live(settings)] == [version]
    assert "raw files deleted as of 2030-01-01" in status_table(settings)["reason"].item()
    assert due(settings, AFTER) == [] == overdue(settings, AFTER)
    run(settings, now=FOURTH)
    assert read_table(settings.lake, RETENTION, ID).equals(rows)


def test_names_of_files_go_with_them(settings: Settings, hand_in: HandIn) -> None:
    hand_in.answers["files"] += [
        {"path": f"jane_doe_{n}.csv", "role": "data", "format": "csv", "delimiter": ","} for n in range(10)
    ]
    for number in range(10):
        hand_in.file(f"jane_doe_{number}.csv", f"{number}".encode())
    receive(settings, hand_in.write(), FIRST)
    before = [(file.role, content) for file, content in sealed_files(settings, ID)]
    retention._without_names(settings, ID, read_table(settings.lake, SEALED_FILES, ID))
    # Until the bytes are gone each file is still found under the right one of twelve ranks.
    assert [(file.role, content) for file, content in sealed_files(settings, ID)] == before
    run(settings)
    assert read_table(settings.lake, SEALED_FILES, ID)["path"].to_list()[-1] == "file_0012"
    kept = b"".join(path.read_bytes() for path in settings.lake.rglob("*") if path.is_file())
    assert b"jane_doe" not in kept and len(live(settings)) == 1


def test_bytes_that_another_submission_needs_stay_until_its_day(
    settings: Settings, hand_in: HandIn, another: HandIn
) -> None:
    another.answers["agreement"] = {"identifier": "DSA-2", "retention_until": datetime.date(2035, 1, 1)}
    first = receive(settings, hand_in.folder, FIRST)
    second = receive(settings, another.write(), FIRST)
    assert run(settings) == []
    assert sealed(settings) == {b"consent;water\nyes;piped\n"}
    assert sealed_files(settings, "ken-2020-other")[0][1] == b"consent;water\nyes;piped\n"
    assert closed_on(settings, ID, first.version) == AFTER
    assert closed_on(settings, "ken-2020-other", second.version) is None
    rows = read_table(settings.lake, RETENTION, ID).select("action", "because").sort("action").rows()
    assert rows == [("deleted", "retention_date"), ("kept", "needed_by_another_submission")]
    assert due(settings, AFTER) == []
    run(settings, now=FOURTH)
    assert read_table(settings.lake, RETENTION, ID).height == 2  # that it is kept is said once
    run(settings, datetime.date(2036, 1, 1), "2036-01-01T00:00:00Z")
    assert sealed(settings) == set()
    assert closed_on(settings, "ken-2020-other", second.version) == datetime.date(2036, 1, 1)


def test_two_that_are_over_and_share_bytes_are_both_recorded(
    settings: Settings, hand_in: HandIn, another: HandIn
) -> None:
    versions = {item.name: receive(settings, item, FIRST).version for item in (hand_in.folder, another.folder)}
    run(settings)
    assert sealed(settings) == set()
    assert {closed_on(settings, name, version) for name, version in versions.items()} == {AFTER}


def test_a_longer_agreement_keeps_the_files_of_all_versions(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    hand_in.answers["agreement"] = {"identifier": "DSA-2", "retention_until": datetime.date(2035, 1, 1)}
    hand_in.file("answers.csv", b"corrected")
    receive(settings, hand_in.write(), SECOND)
    assert due(settings, AFTER) == [] and len(sealed(settings)) == 3
    run(settings, datetime.date(2035, 1, 2))
    assert sealed(settings) == set()


def test_a_hand_in_that_was_not_received_stays_in_the_inbox(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    hand_in.file("answers.csv", b"a correction on its way")
    (item,) = due(settings, AFTER)
    assert "not received" in item.inbox_stays
    (problem,) = run(settings)
    assert "stays" in problem and (hand_in.folder / "answers.csv").exists() and sealed(settings) == set()
    (hand_in.folder / "submission.yaml").unlink()
    (problem,) = run(settings)
    assert "without a manifest" in problem and (hand_in.folder / "answers.csv").exists()


def test_a_link_in_the_inbox_is_not_followed(settings: Settings, hand_in: HandIn, tmp_path: Path) -> None:
    receive(settings, hand_in.folder, FIRST)
    elsewhere = tmp_path / "elsewhere"
    hand_in.folder.rename(elsewhere)
    hand_in.folder.symlink_to(elsewhere)
    (problem,) = run(settings)
    assert "link" in problem and (elsewhere / "answers.csv").exists()


def test_an_inbox_that_cannot_be_changed_is_told_and_stops_nothing(
    settings: Settings, hand_in: HandIn, another: HandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in (hand_in, another):
        receive(settings, made.folder, FIRST)
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path == hand_in.folder:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    (problem,) = run(settings)
    assert problem == f"{ID}: its folder in the inbox cannot be removed: Permission denied"
    assert hand_in.folder.exists() and not another.folder.exists() and sealed(settings) == set()


def test_bytes_of_a_run_that_was_cut_off_go_after_a_day(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    stray = settings.sealed / ("e" * 64)
    stray.write_bytes(b"sealed, and changed before it was received")
    today = datetime.datetime.now(datetime.UTC)
    for days, found in ((0, []), (2, [stray.name])):
        now = (today + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert retention.unknown(settings, now) == found
        assert let_go(settings, [], today.date(), now) == []
        assert stray.exists() == (not found)
    assert len(sealed(settings)) == 2


def test_without_a_ledger_nothing_is_due(settings: Settings) -> None:
    assert due(settings, AFTER) == [] == overdue(settings, AFTER)
    assert run(settings) == []


def test_a_removal_that_was_cut_off_is_completed(
    settings: Settings, hand_in: HandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(settings, hand_in.folder, FIRST)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retention.shutil, "rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            run(settings)
    assert not hand_in.folder.exists() and len(list(settings.inbox.glob(".removed-*"))) == 1
    retention.clear_removed(settings)
    assert list(settings.inbox.glob(".removed-*")) == []


@pytest.mark.parametrize("step", ["_without_names", "flush"])
def test_a_deletion_that_was_cut_off_is_completed(
    settings: Settings, hand_in: HandIn, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    version = receive(settings, hand_in.folder, FIRST).version

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retention, step, cut)
        with pytest.raises(KeyboardInterrupt):
            run(settings)
    run(settings, now=FOURTH)
    assert sealed(settings) == set() and closed_on(settings, ID, version) == AFTER
    assert not hand_in.folder.exists()


def test_the_same_content_handed_in_again_is_not_sealed_again_and_other_content_is(
    settings: Settings, hand_in: HandIn
) -> None:
    receive(settings, hand_in.folder, FIRST)
    run(settings)
    hand_in.file("answers.csv", b"consent;water\nyes;piped\n")
    hand_in.file("codes/list.csv", b"code,label\n1,piped\n")
    assert not receive(settings, hand_in.write(), FOURTH).changed
    assert sealed(settings) == set()
    hand_in.answers["agreement"] = {"identifier": "DSA-2", "retention_until": datetime.date(2035, 1, 1)}
    again = receive(settings, hand_in.write(), FOURTH)
    assert again.changed and len(sealed(settings)) == 2 and closed_on(settings, ID, again.version) is None


def test_a_withdrawn_submission_loses_its_bytes_at_once_and_its_manifest(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    hand_in.answers["withdrawn"] = True
    hand_in.write()
    pipeline.run_submissions(settings, ID, now=SECOND)
    assert sealed(settings) == set()
    rows = read_table(settings.lake, RETENTION, ID)
    assert rows["because"].unique().to_list() == ["withdrawn"] and rows["as_of"].unique().to_list() == [
        datetime.date(2026, 1, 2)
    ]
    kept = b"".join(path.read_bytes() for path in settings.lake.rglob("*") if path.is_file())
    assert b"Example network" not in kept and b"answers.csv" not in kept
    (item,) = due(settings, datetime.date(2026, 1, 3))  # the copies in the inbox
    assert (item.because, item.inbox_files, item.sealed) == ("withdrawn", 3, frozenset())
    run(settings, datetime.date(2026, 1, 3), "2026-01-03T00:00:00Z")
    assert not hand_in.folder.exists() and status_table(settings)["state"].item() == "withdrawn"


def test_a_withdrawal_leaves_the_bytes_of_others(settings: Settings, hand_in: HandIn, another: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    receive(settings, another.folder, FIRST)
    hand_in.answers["withdrawn"] = True
    pipeline.run_submissions(settings, hand_in.write().name, now=SECOND)
    assert sealed(settings) == {b"consent;water\nyes;piped\n"}
    assert len(sealed_files(settings, "ken-2020-other")) == 1
    erase_withdrawn(settings, ID, THIRD)
    assert len(sealed_files(settings, "ken-2020-other")) == 1


def test_a_lost_file_is_not_taken_for_a_deleted_one(settings: Settings, hand_in: HandIn) -> None:
    """Withdrawn, then handed in again with the same content: the tombstones of then do not excuse a loss of now."""
    version = receive(settings, hand_in.folder, FIRST).version
    hand_in.answers["withdrawn"] = True
    pipeline.run_submissions(settings, hand_in.write().name, now=SECOND)
    del hand_in.answers["withdrawn"]
    assert receive(settings, hand_in.write(), THIRD).version == version
    assert len(sealed(settings)) == 2
    for path in settings.sealed.iterdir():
        path.unlink()
    assert closed_on(settings, ID, version) is None
    with pytest.raises(LedgerError, match="receive ken-2019-test again"):
        sealed_files(settings, ID)
    receive(settings, hand_in.folder, FOURTH)
    assert len(sealed_files(settings, ID)) == 2


def test_the_table_holds_no_null_where_none_belongs(settings: Settings, hand_in: HandIn) -> None:
    receive(settings, hand_in.folder, FIRST)
    run(settings)
    assert read_table(settings.lake, RETENTION, ID).null_count().sum_horizontal().item() == 0
    assert read_table(settings.lake, RETENTION, ID).filter(pl.col("sha256").str.len_chars() != 64).is_empty()
