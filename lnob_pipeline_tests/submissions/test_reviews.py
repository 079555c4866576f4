"""The register of reviewers' decisions: what counts, what is told by line, what a broken register must not do."""

from __future__ import annotations

import csv
import datetime
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import read_table
from lnob_pipeline.submissions import reviews
from lnob_pipeline.submissions.reviews import COLUMNS, REGISTER, ReviewError, changed, decided, keep, problems, record
from lnob_pipeline.tables import REVIEWS
from lnob_pipeline.validation.privacy import looks_identifying

ID = "ken-2019-test"
VERSION, OTHER = "a1b2c3d4e5f6" + "0" * 52, "b" * 64
DAY = datetime.date(2026, 11, 23)


@pytest.fixture
def inbox(settings: Settings) -> Path:
    settings.inbox.mkdir(parents=True)
    return settings.inbox


def write(inbox: Path, *lines: str, header: str = ",".join(COLUMNS)) -> None:
    (inbox / REGISTER).write_text("\n".join([header, *lines]) + "\n", "utf-8")


def line(rule: str = "protocol", decision: str = "accept", day: str = "2026-11-20", version: str = VERSION[:12]) -> str:
    return f"{ID},{version},{rule},{decision},ethics_reviewer,{day},read the protocol"


def test_without_a_register_nothing_is_decided(settings: Settings) -> None:
    assert decided(settings, ID, VERSION) == {} and problems(settings, looks_identifying) == []
    assert not keep(settings, ID, looks_identifying) and changed(settings, looks_identifying) == {}


def test_a_decision_holds_for_its_version_and_its_rule_alone(settings: Settings, inbox: Path) -> None:
    write(inbox, line(), line("minors", "reject"), line("minors", "accept", version=OTHER[:12]))
    assert decided(settings, ID, VERSION) == {"protocol": "accept", "minors": "reject"}
    assert decided(settings, ID, OTHER) == {"minors": "accept"}
    assert decided(settings, "ken-2019-tes", VERSION) == {}


@pytest.mark.parametrize(
    ("days", "holds"),
    [
        (["2026-11-20:accept", "2026-11-21:reject"], "reject"),
        (["2026-11-21:reject", "2026-11-20:accept"], "reject"),  # by day, not by line
        (["2026-11-20:reject", "2026-11-20:accept"], "accept"),  # on one day by line
    ],
)
def test_the_latest_decision_holds(settings: Settings, inbox: Path, days: list[str], holds: str) -> None:
    write(inbox, *(line(day=text.split(":")[0], decision=text.split(":")[1]) for text in days))
    assert decided(settings, ID, VERSION) == {"protocol": holds}


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (f"{ID},{VERSION[:11]},protocol,accept,secretariat,2026-11-20,why", "version"),
        (f"{ID},{VERSION[:12]},Protocol,accept,secretariat,2026-11-20,why", "rule_id"),
        (f"{ID},{VERSION[:12]},protocol,yes,secretariat,2026-11-20,why", "decision"),
        (f"{ID},{VERSION[:12]},protocol,accept,Amina Otieno,2026-11-20,why", "decided_by"),
        (f"{ID},{VERSION[:12]},protocol,accept,secretariat,20.11.2026,why", "date"),
        (f"{ID},{VERSION[:12]},protocol,accept,secretariat,2026-11-20,", "reason"),
        (f"{ID},{VERSION[:12]},protocol,accept,secretariat,2026-11-20,=1+1", "formula"),
        (f"{ID},{VERSION[:12]},protocol,accept,secretariat,2026-11-20,call 0712 345 678", "phone number"),
        (f"{ID},{VERSION[:12]},protocol,accept,secretariat,2026-11-20,one,two", "8 fields"),
        (f"kenya,{VERSION[:12]},protocol,accept,secretariat,2026-11-20,why", "submission"),
    ],
)
def test_a_line_with_a_problem_does_not_count_and_is_told_by_its_number(
    settings: Settings, inbox: Path, bad: str, told: str
) -> None:
    write(inbox, line("minors"), bad, line("alike", "reject"))
    assert decided(settings, ID, VERSION, looks_identifying) == {"minors": "accept", "alike": "reject"}
    (sentence,) = problems(settings, looks_identifying)
    assert sentence.startswith("reviews.csv, line 3: ") and told in sentence
    for secret in ("Amina", "0712"):
        assert secret not in sentence


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe" + line().encode(),
        ",".join(COLUMNS[:-1]).encode(),
        f"{';'.join(COLUMNS)}\n".encode(),
        f'{",".join(COLUMNS)}\n{line()[:-1]}"quote" in a cell\n{ID},"never closed'.encode(),
    ],
    ids=["encoding", "columns", "semicolons", "quotes"],
)
def test_a_register_that_cannot_be_read_leaves_in_force_what_was_read_last(
    settings: Settings, inbox: Path, content: bytes
) -> None:
    write(inbox, line())
    assert keep(settings, ID, looks_identifying) and not keep(settings, ID, looks_identifying)
    (inbox / REGISTER).write_bytes(content)
    assert decided(settings, ID, VERSION) == {"protocol": "accept"}
    assert changed(settings, looks_identifying) == {}
    assert len(problems(settings, looks_identifying)) == 1
    with pytest.raises(ReviewError):
        record(settings, ID, VERSION, "minors", "accept", "secretariat", DAY, "why", looks_identifying)
    assert (inbox / REGISTER).read_bytes() == content  # what a person wrote is never overwritten


def test_a_decision_that_is_taken_back_from_the_register_is_gone(settings: Settings, inbox: Path) -> None:
    write(inbox, line())
    keep(settings, ID, looks_identifying)
    write(inbox)
    assert decided(settings, ID, VERSION) == {} and set(changed(settings, looks_identifying)) == {ID}
    assert keep(settings, ID, looks_identifying)
    assert read_table(settings.lake, REVIEWS, ID).is_empty() and changed(settings, looks_identifying) == {}


def test_record_adds_a_line_and_keeps_the_others_to_the_byte(settings: Settings, inbox: Path) -> None:
    record(settings, ID, VERSION, "protocol", "accept", "secretariat", DAY, "read,\n the “protocol”", looks_identifying)
    first = (inbox / REGISTER).read_bytes()
    assert first.decode().splitlines() == [
        ",".join(COLUMNS),
        f'{ID},{VERSION[:12]},protocol,accept,secretariat,2026-11-23,"read, the “protocol”"',
    ]
    by_hand = b"\xef\xbb\xbf" + first.replace(b"\n", b"\r\n").rstrip()  # saved by a spreadsheet
    (inbox / REGISTER).write_bytes(by_hand)
    record(settings, ID, VERSION, "minors", "reject", "community", DAY, "no consent of guardians", looks_identifying)
    assert (inbox / REGISTER).read_bytes().startswith(by_hand)
    assert decided(settings, ID, VERSION, looks_identifying) == {"protocol": "accept", "minors": "reject"}
    assert problems(settings, looks_identifying) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"decided_by": "Amina"},
        {"decision": "maybe"},
        {"reason": "ask amina@example.org"},
        {"reason": " "},
        {"reason": "x" * 501},
        {"rule_id": "../x"},
        {"submission_id": "x"},
    ],
)
def test_record_refuses_what_would_not_count(settings: Settings, inbox: Path, wrong: dict[str, str]) -> None:
    said = {"submission_id": ID, "rule_id": "protocol", "decision": "accept", "decided_by": "secretariat"}
    said |= {"reason": "why"} | wrong
    with pytest.raises(ReviewError) as error:
        record(settings, version=VERSION, date=DAY, identifies=looks_identifying, **said)
    assert not (inbox / REGISTER).exists() and "amina" not in str(error.value).lower()


@given(reason=st.text(min_size=1).filter(lambda text: text.strip()))
def test_any_reason_is_refused_or_read_again_as_it_was(tmp_path_factory: pytest.TempPathFactory, reason: str) -> None:
    settings = Settings.load(home=tmp_path_factory.mktemp("home"))
    settings.inbox.mkdir(parents=True)
    try:
        record(settings, ID, VERSION, "protocol", "accept", "secretariat", DAY, reason, looks_identifying)
    except (ReviewError, UnicodeEncodeError):
        assert not (settings.inbox / REGISTER).exists()
        return
    keep(settings, ID, looks_identifying)
    assert read_table(settings.lake, REVIEWS, ID)["reason"].to_list() == [" ".join(reason.split())]


def test_many_writers_at_once_lose_no_line(settings: Settings, inbox: Path) -> None:
    code = """
import datetime, sys
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.reviews import record
settings = Settings.load(home=sys.argv[1])
for number in range(8):
    rule = f"rule_{sys.argv[2]}_{number}"
    record(settings, "ken-2019-test", "a" * 64, rule, "accept", "secretariat", datetime.date(2026, 1, 1), "why",
           lambda text: False)
"""
    home = str(settings.home)
    workers = [subprocess.Popen([sys.executable, "-c", code, home, str(number)]) for number in range(3)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    rows = list(csv.DictReader(io.StringIO((inbox / REGISTER).read_text("utf-8"))))
    assert len(rows) == 24 == len({row["rule_id"] for row in rows})
    assert len(decided(settings, ID, "a" * 64)) == 24


def test_the_register_is_one_of_many_lines_and_each_submission_sees_its_own(settings: Settings, inbox: Path) -> None:
    others = [line().replace(ID, f"ken-2019-no-{number}") for number in range(300)]
    write(inbox, *others, line("minors", "reject"))
    assert decided(settings, ID, VERSION, looks_identifying) == {"minors": "reject"}
    assert len(changed(settings, looks_identifying)) == 301
    assert reviews.SHORT == 12
