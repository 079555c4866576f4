"""Receiving: sealing, versions, the ledger's states, and what a partner's folder may not do."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import read_table, table_path
from lnob_pipeline.submissions import receive as module
from lnob_pipeline.submissions.ledger import history, live, sealed_files
from lnob_pipeline.submissions.receive import (
    content_version,
    inbox_fingerprint,
    misplaced,
    public_name,
    receive,
    scan,
)
from lnob_pipeline.tables import SEALED_FILES, SUBMISSIONS

ID = "ken-2019-test"
FIRST, SECOND, THIRD = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def states(settings: Settings) -> list[str]:
    return history(settings)["state"].to_list()


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and its time of change."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_first_receipt_seals_and_records(settings, hand_in):
    received = receive(settings, hand_in.folder, FIRST)

    assert (received.submission_id, received.state, received.changed, received.problems) == (ID, "received", True, [])
    (row,) = history(settings).rows(named=True)
    assert row["version"] == received.version
    assert (row["iso3"], row["data_type"], row["instrument"], row["reason"]) == (
        "KEN",
        "household_survey",
        "ken_test",
        "",
    )
    assert row["received_at"] == FIRST
    files = read_table(settings.lake, SEALED_FILES, ID).rows(named=True)
    assert [file["path"] for file in files] == ["answers.csv", "codes/list.csv"]
    for file in files:
        content = (hand_in.folder / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["bytes"] == len(content)
        assert (settings.sealed / file["sha256"]).read_bytes() == content
    assert [content for _, content in sealed_files(settings, ID)] == [
        b"consent;water\nyes;piped\n",
        b"code,label\n1,piped\n",
    ]


def test_version_is_the_documented_hash(settings, hand_in):
    manifest = (hand_in.folder / "submission.yaml").read_bytes()
    lines = sorted(
        f"{hashlib.sha256((hand_in.folder / path).read_bytes()).hexdigest()} {path}"
        for path in ("answers.csv", "codes/list.csv")
    )
    expected = hashlib.sha256("\n".join([hashlib.sha256(manifest).hexdigest(), *lines]).encode()).hexdigest()
    assert content_version(settings, hand_in.folder) == expected
    assert not settings.lake.exists()
    assert receive(settings, hand_in.folder, FIRST).version == expected


def test_only_the_owner_can_read_what_is_kept(settings, hand_in):
    previous = os.umask(0)  # the modes are set, not left to the umask
    try:
        receive(settings, hand_in.folder, FIRST)
    finally:
        os.umask(previous)
    assert mode(settings.sealed) == 0o700
    assert {mode(path) for path in settings.sealed.iterdir()} == {0o600}
    for table in (SUBMISSIONS, SEALED_FILES):
        path = table_path(settings.lake, table, ID)
        assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_same_content_again_writes_nothing(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    before = everything(settings.lake)
    again = receive(settings, hand_in.folder, SECOND)
    assert (again.version, again.state, again.changed) == (first.version, "received", False)
    assert everything(settings.lake) == before


def test_same_bytes_are_stored_once(settings, hand_in, another):
    receive(settings, hand_in.folder, FIRST)
    receive(settings, another.folder, FIRST)
    assert len(list(settings.sealed.iterdir())) == 2
    assert [len(sealed_files(settings, key)) for key in (ID, "ken-2020-other")] == [2, 1]


@pytest.mark.parametrize("what", ["data", "manifest"])
def test_changed_content_is_a_new_version(settings, hand_in, what):
    first = receive(settings, hand_in.folder, FIRST)
    if what == "data":
        hand_in.file("answers.csv", b"consent;water\nno;\n")
    else:
        hand_in.answers["title"] = "A better title"
        hand_in.write()
    second = receive(settings, hand_in.folder, SECOND)

    assert second.changed
    assert second.version != first.version
    rows = history(settings).rows(named=True)
    assert [(row["version"], row["state"]) for row in rows] == [
        (first.version, "superseded"),
        (second.version, "received"),
    ]
    assert second.version[:12] in rows[0]["reason"]
    assert SECOND in rows[0]["reason"]
    assert rows[1]["reason"] == ""
    assert [item.version for item in live(settings)] == [second.version]
    assert sealed_files(settings, ID, first.version)[0][1] == b"consent;water\nyes;piped\n"


def test_the_earlier_content_again_is_received_again(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    hand_in.file("answers.csv", b"other")
    receive(settings, hand_in.folder, SECOND)
    hand_in.file("answers.csv", b"consent;water\nyes;piped\n")
    third = receive(settings, hand_in.folder, THIRD)
    assert third.changed
    assert third.version == first.version
    assert states(settings) == ["superseded", "superseded", "received"]
    assert [item.version for item in live(settings)] == [first.version]


def test_back_and_forth_at_one_moment_keeps_one_row_a_version(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    hand_in.file("answers.csv", b"other")
    receive(settings, hand_in.folder, FIRST)
    hand_in.file("answers.csv", b"consent;water\nyes;piped\n")
    receive(settings, hand_in.folder, FIRST)
    assert sorted(states(settings)) == ["received", "superseded"]
    assert [item.version for item in live(settings)] == [first.version]


def test_withdrawal_and_return(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    hand_in.answers["withdrawn"] = True
    (hand_in.write() / "answers.csv").unlink()  # a withdrawal needs no files
    withdrawn = receive(settings, hand_in.folder, SECOND)
    assert (withdrawn.state, withdrawn.changed) == ("withdrawn", True)
    assert states(settings) == ["superseded", "withdrawn"]
    assert live(settings) == []
    assert not receive(settings, hand_in.folder, THIRD).changed

    hand_in.answers["withdrawn"] = False
    del hand_in.answers["withdrawn"]
    hand_in.write()
    hand_in.file("answers.csv", b"consent;water\nyes;piped\n")
    assert receive(settings, hand_in.folder, THIRD).version == first.version
    assert [item.version for item in live(settings)] == [first.version]


def test_withdrawal_does_not_fail_for_want_of_another_field(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    (hand_in.folder / "submission.yaml").write_text(f"submission: {ID}\nwithdrawn: yes\ntitel: a slip\n")
    assert receive(settings, hand_in.folder, SECOND).state == "withdrawn"
    assert live(settings) == []


def test_withdrawal_of_another_submission_is_not_one(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    (hand_in.folder / "submission.yaml").write_text("submission: ken-2020-other\nwithdrawn: yes\n")
    assert receive(settings, hand_in.folder, SECOND).state == "unreadable"
    assert len(live(settings)) == 1


@pytest.mark.parametrize("absent", ["manifest", "folder"])
def test_an_empty_or_absent_folder_is_no_withdrawal(settings, hand_in, absent):
    first = receive(settings, hand_in.folder, FIRST)
    for path in sorted(hand_in.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if absent == "folder":
        hand_in.folder.rmdir()
    before = everything(settings.lake)
    again = receive(settings, hand_in.folder, SECOND)
    assert (again.version, again.state, again.changed) == (first.version, "received", False)
    assert "withdrawn: true" in again.problems[0]
    assert everything(settings.lake) == before
    assert scan(settings) == []
    assert len(live(settings)) == 1


def test_an_unknown_folder_without_manifest_leaves_no_trace(settings, hand_in):
    (hand_in.folder / "submission.yaml").unlink()
    received = receive(settings, hand_in.folder, FIRST)
    assert (received.state, received.changed) == ("unreadable", False)
    assert not settings.lake.exists()


SECRET = "Wanjiru-Otieno-0700000123"


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"just text " + SECRET.encode(),
        b"title: [" + SECRET.encode(),
        f"submission: {SECRET}".encode(),
        f"{SECRET}: 1".encode(),
        f"files: [{{path: ../{SECRET}.csv, role: data, format: csv}}]".encode(),
        f"country: {SECRET}\nsampling: {{method: {SECRET}}}\ncollection: {{start: {SECRET}}}".encode(),
        b"\xff\xfe\x00 not text",
        b"x" * 1_100_000,
    ],
)
def test_an_unusable_manifest_is_a_row_that_repeats_nothing(settings, hand_in, manifest):
    (hand_in.folder / "submission.yaml").write_bytes(manifest)
    received = receive(settings, hand_in.folder, FIRST)
    assert (received.state, received.changed) == ("unreadable", True)
    assert received.problems
    (row,) = history(settings).rows(named=True)
    assert (row["state"], row["manifest"], row["iso3"]) == ("unreadable", None, "KEN")
    assert row["reason"] == " | ".join(received.problems)
    assert SECRET not in row["reason"]
    assert live(settings) == []
    assert not receive(settings, hand_in.folder, SECOND).changed


def test_an_unreadable_correction_leaves_the_version_before_it_live(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    (hand_in.folder / "submission.yaml").write_text("title: x")
    assert receive(settings, hand_in.folder, SECOND).state == "unreadable"
    assert states(settings) == ["received", "unreadable"]
    assert [item.version for item in live(settings)] == [first.version]

    (hand_in.folder / "submission.yaml").write_text("title: y")
    (hand_in.folder / "submission.yaml").write_text("titel: y")
    receive(settings, hand_in.folder, THIRD)
    assert states(settings) == ["received", "superseded", "unreadable"]

    hand_in.answers["title"] = "Mended"
    hand_in.write()
    mended = receive(settings, hand_in.folder, "2026-01-04T00:00:00Z")
    assert states(settings) == ["superseded", "superseded", "superseded", "received"]
    assert [item.version for item in live(settings)] == [mended.version]
    assert mended.version != first.version


def test_folder_and_identifier_agree(settings, hand_in):
    hand_in.answers["submission"] = "ken-2019-typo"
    received = receive(settings, hand_in.write(), FIRST)
    assert received.submission_id == ID
    assert received.state == "unreadable"
    assert "name of the folder" in received.problems[0]


def test_both_manifests_are_one_too_many(settings, hand_in):
    hand_in.file("submission.xlsx", b"PK")
    received = receive(settings, hand_in.folder, FIRST)
    assert received.state == "unreadable"
    assert "keep one manifest" in received.problems[0]


@pytest.mark.parametrize(
    "name", ["Jane Doe 0700000123", "KEN-2019-test", "ken-19-test", "ken-2020-", "ken-2019-test\n", ".."]
)
def test_a_folder_whose_name_is_no_identifier_is_not_entered(settings, hand_in, name):
    folder = settings.inbox / "ken" / name
    if name != "..":
        hand_in.folder.rename(folder)
    received = receive(settings, folder, FIRST)
    assert (received.submission_id, received.state, received.changed) == ("", "unreadable", False)
    assert name not in received.problems[0]
    assert not settings.lake.exists()


@pytest.mark.parametrize(
    "path", ["../outside.csv", "/etc/hostname", "codes/../../outside.csv", "C:\\outside.csv", "..\\outside.csv"]
)
def test_no_path_leaves_the_folder(settings, hand_in, path):
    (hand_in.folder.parent / "outside.csv").write_bytes(b"outside")
    hand_in.answers["files"][0]["path"] = path
    received = receive(settings, hand_in.write(), FIRST)
    assert received.state == "unreadable"
    assert "outside the folder" in received.problems[0]
    assert not settings.sealed.exists()


@pytest.mark.parametrize("what", ["file", "folder", "manifest", "hand-in"])
def test_links_are_not_followed(settings, hand_in, tmp_path, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "list.csv").write_bytes(b"outside")
    folder = hand_in.folder
    if what == "file":
        (folder / "answers.csv").unlink()
        (folder / "answers.csv").symlink_to(outside / "list.csv")
    elif what == "folder":
        (folder / "codes" / "list.csv").unlink()
        (folder / "codes").rmdir()
        (folder / "codes").symlink_to(outside)
    elif what == "manifest":
        (folder / "submission.yaml").rename(outside / "submission.yaml")
        (folder / "submission.yaml").symlink_to(outside / "submission.yaml")
    else:
        folder.rename(outside / "hand-in")
        folder.symlink_to(outside / "hand-in")
    received = receive(settings, folder, FIRST)
    assert received.state == "unreadable"
    assert "is a link" in received.problems[0]
    assert not settings.sealed.exists()


def test_a_pipe_or_a_folder_is_not_a_file(settings, hand_in):
    (hand_in.folder / "answers.csv").unlink()
    os.mkfifo(hand_in.folder / "answers.csv")  # opening a pipe for reading waits for a writer, unless care is taken
    hand_in.answers["files"][1]["path"] = "codes"
    received = receive(settings, hand_in.write(), FIRST)
    assert [problem.endswith("is not a file") for problem in received.problems] == [True, True]


def test_a_file_above_the_limit_is_refused(settings, hand_in, tmp_path):
    small = Settings.load(home=tmp_path, maximum_file_bytes=23)
    received = receive(small, hand_in.folder, FIRST)
    assert received.state == "unreadable"
    assert received.problems == [
        "submission.yaml: file 1 of the manifest (data) is larger than the limit of 23 bytes; "
        "split it, or ask the secretariat"
    ]
    assert receive(Settings.load(home=tmp_path, maximum_file_bytes=24), hand_in.folder, SECOND).state == "received"
    assert states(small) == ["superseded", "received"]


def test_an_absent_file_is_named_by_number_and_role_and_may_come_later(settings, hand_in):
    (hand_in.folder / "codes" / "list.csv").unlink()
    received = receive(settings, hand_in.folder, FIRST)
    assert "file 2 of the manifest (codebook) is not in the folder" in received.problems[0]
    assert "list.csv" not in received.problems[0]
    hand_in.file("codes/list.csv", b"code,label\n1,piped\n")
    assert receive(settings, hand_in.folder, SECOND).state == "received"


def test_files_not_listed_are_told_and_not_sealed(settings, hand_in):
    hand_in.file("answers (2).csv", b"forgotten")
    hand_in.file(".DS_Store", b"system")
    hand_in.file("~$answers.xlsx", b"lock")
    received = receive(settings, hand_in.folder, FIRST)
    assert received.state == "received"
    assert received.problems == ["files in the folder that the manifest does not list: 1; they were not taken in"]
    assert len(list(settings.sealed.iterdir())) == 2


def test_a_name_composed_in_another_way_is_found(settings, hand_in):
    hand_in.answers["files"][1]["path"] = "codes/r\u00e9ponses.csv"  # one letter
    hand_in.file("codes/re\u0301ponses.csv", b"x")  # letter and accent, as some systems unpack it
    received = receive(settings, hand_in.write(), FIRST)
    assert received.state == "received"
    assert sealed_files(settings, ID)[1][1] == b"x"


def test_names_of_files_stay_in_the_sealed_table(settings, hand_in):
    hand_in.answers["files"][0]["path"] = f"{SECRET}.csv"
    hand_in.file(f"{SECRET}.csv", b"x")
    receive(settings, hand_in.write(), FIRST)
    (row,) = history(settings).rows(named=True)
    assert SECRET not in json.dumps(row)
    assert SECRET in read_table(settings.lake, SEALED_FILES, ID)["path"].to_list()[0]
    assert [file.path for file in live(settings)[0].manifest.files] == [f"{SECRET}.csv", "codes/list.csv"]


@pytest.mark.parametrize("cut", ["_enter_files", "keep"])
def test_a_run_cut_off_between_seal_and_ledger_is_completed_by_the_next(settings, hand_in, monkeypatch, cut):
    def power_failure(*arguments, **named):
        if cut == "_enter_files" or arguments[2] is SUBMISSIONS:
            raise KeyboardInterrupt
        return written(*arguments, **named)

    written = getattr(module, cut)
    with monkeypatch.context() as patch:
        patch.setattr(module, cut, power_failure)
        with pytest.raises(KeyboardInterrupt):
            receive(settings, hand_in.folder, FIRST)
    assert len(list(settings.sealed.iterdir())) == 2
    assert live(settings) == []

    received = receive(settings, hand_in.folder, SECOND)
    assert (received.state, received.changed) == ("received", True)
    assert len(sealed_files(settings, ID)) == 2
    assert read_table(settings.lake, SEALED_FILES, ID).height == 2


def test_rows_of_a_version_that_was_cut_off_and_never_received_fall_away(settings, hand_in, monkeypatch):
    def power_failure(settings, frame, table, submission):
        if table is SUBMISSIONS:
            raise KeyboardInterrupt
        return written(settings, frame, table, submission)

    written = module.keep
    with monkeypatch.context() as patch:
        patch.setattr(module, "keep", power_failure)
        with pytest.raises(KeyboardInterrupt):
            receive(settings, hand_in.folder, FIRST)
    hand_in.file("answers.csv", b"complete now")
    received = receive(settings, hand_in.folder, SECOND)
    assert read_table(settings.lake, SEALED_FILES, ID)["version"].unique().to_list() == [received.version]


def test_a_cut_while_sealing_leaves_no_half_file(settings, hand_in, monkeypatch):
    class Cut:
        def update(self, chunk: bytes) -> None:
            raise KeyboardInterrupt

    hashing = hashlib.sha256
    with monkeypatch.context() as patch:
        patch.setattr(module.hashlib, "sha256", lambda *content: hashing(*content) if content else Cut())
        with pytest.raises(KeyboardInterrupt):
            receive(settings, hand_in.folder, FIRST)
    assert list(settings.sealed.iterdir()) == []


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(settings, hand_in, monkeypatch):
    look = module._look

    def look_then_change(*arguments):
        content = look(*arguments)
        hand_in.file("answers.csv", b"consent;water\nyes;piped\nyes;well\n")
        return content

    with monkeypatch.context() as patch:
        patch.setattr(module, "_look", look_then_change)
        received = receive(settings, hand_in.folder, FIRST)
    assert (received.state, received.changed) == ("unreadable", False)
    assert "copied in full" in received.problems[0]
    assert history(settings).is_empty()
    assert receive(settings, hand_in.folder, SECOND).state == "received"


def test_a_damaged_sealed_file_is_made_whole_from_the_inbox(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    kept = sorted(settings.sealed.iterdir())[0]
    content = kept.read_bytes()
    kept.write_bytes(b"!" + content[1:])
    receive(settings, hand_in.folder, SECOND)
    assert kept.read_bytes() == content


RECEIVE = """
import sys
from pathlib import Path
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.receive import receive
settings = Settings.load(home=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
receive(settings, Path(sys.argv[2]), sys.argv[3])
"""


def test_two_submissions_and_the_same_one_received_at_once(settings, hand_in, another, tmp_path):
    jobs = [(hand_in.folder, FIRST), (another.folder, FIRST), (hand_in.folder, SECOND), (another.folder, SECOND)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RECEIVE, str(tmp_path), str(folder), at],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder, at in jobs
    ]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:  # all are loaded: let them go together
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0, 0, 0, 0]
    assert history(settings)["submission_id"].to_list() == [ID, "ken-2020-other"]
    assert [len(sealed_files(settings, item.submission_id)) for item in live(settings)] == [2, 1]
    assert len(list(settings.sealed.iterdir())) == 2


def test_scan_lists_hand_ins_in_order_and_tells_of_the_others(settings, hand_in, another):
    (settings.inbox / "bgd" / "bgd-2019-empty").mkdir(parents=True)
    for country, name in [("bgd", "ken-2019-test"), ("ken", SECRET), (SECRET, "ken-2019-test")]:
        (settings.inbox / country / name).mkdir(parents=True)
        (settings.inbox / country / name / "submission.yaml").write_text("title: x")
    assert scan(settings) == [hand_in.folder, another.folder]
    told = misplaced(settings)
    assert [sentence.split(":")[0] for sentence in told] == [
        "inbox folder (not a country)",
        "inbox folder bgd",
        "inbox folder ken",
    ]
    assert SECRET not in " ".join(told)
    assert scan(Settings.load(home=settings.inbox / "nowhere")) == []


def test_fingerprint_changes_with_any_file_and_not_without(hand_in):
    seen = [inbox_fingerprint(hand_in.folder)]
    assert inbox_fingerprint(hand_in.folder) == seen[0]
    hand_in.file("codes/new.csv", b"x")
    seen.append(inbox_fingerprint(hand_in.folder))
    (hand_in.folder / "codes" / "new.csv").rename(hand_in.folder / "codes" / "newer.csv")
    seen.append(inbox_fingerprint(hand_in.folder))
    hand_in.file("answers.csv", b"longer than it was before, by far")
    seen.append(inbox_fingerprint(hand_in.folder))
    os.utime(hand_in.folder / "answers.csv", ns=(1, 1))
    seen.append(inbox_fingerprint(hand_in.folder))
    (hand_in.folder / "answers.csv").unlink()
    seen.append(inbox_fingerprint(hand_in.folder))
    assert len(set(seen)) == len(seen)


def test_touching_a_file_changes_the_fingerprint_and_not_the_version(settings, hand_in):
    before = inbox_fingerprint(hand_in.folder), content_version(settings, hand_in.folder)
    os.utime(hand_in.folder / "answers.csv", ns=(1, 1))
    assert inbox_fingerprint(hand_in.folder) != before[0]
    assert content_version(settings, hand_in.folder) == before[1]


def test_public_name_gives_way_to_the_role():
    def scanner(text: str) -> bool:
        return "jane doe" in text.lower() or "0700000123" in text

    assert public_name("codes/answers 2019.xlsx", "data", scanner) == "answers 2019.xlsx"
    assert public_name("jane_doe_answers.xlsx", "data", scanner) == "data file (.xlsx)"
    assert public_name("calls/0700000123.sav", "codebook", scanner) == "codebook file (.sav)"
    assert public_name("answers.Jane Doe", "data", scanner) == "data file"


def test_public_name_with_the_scanner_of_the_privacy_wall():
    from lnob_pipeline.validation.privacy import looks_identifying

    assert public_name("data/answers_2019.xlsx", "data", looks_identifying) == "answers_2019.xlsx"
    for path in ("calls_0700-000-123.xlsx", "+254700000123.xlsx", "jane@example.org.xlsx"):
        assert public_name(path, "data", looks_identifying) == "data file (.xlsx)"


def test_the_ledger_has_the_declared_columns(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    for table in (SUBMISSIONS, SEALED_FILES):
        stored = pl.read_parquet(table_path(settings.lake, table, ID))
        assert dict(stored.schema) == table.schema
