"""Pulling from KoboToolbox and ODK Central: what comes is all there is, in every mood of a service."""

from __future__ import annotations

import copy
import datetime
import random
import stat
import time
from email.utils import format_datetime
from typing import Any

import pytest
import yaml

from lnob_pipeline.submissions.connectors import PullError
from lnob_pipeline.submissions.connectors.service import LONGEST_PAUSE
from lnob_pipeline_tests.submissions.connectors.conftest import SECRET, Source
from lnob_pipeline_tests.submissions.connectors.survey_server import PASSWORD, SESSION, TOKEN, SurveyServer


def same(source: Source) -> bool:
    """Whether the file holds what the service holds, in the order of time."""
    return source.kept() == sorted(source.rows, key=source.order)


def refused(source: Source, **how: Any) -> str:
    """The message of a pull that fails; the file is as before, and the message keeps every secret."""
    before = source.file.read_bytes() if source.file.exists() else None
    with pytest.raises(PullError) as error:
        source.pull(**how)
    assert (source.file.read_bytes() if source.file.exists() else None) == before
    message = str(error.value)
    assert error.value.__cause__ is None and (error.value.__suppress_context__ or error.value.__context__ is None)
    assert not any(secret in message for secret in (TOKEN, PASSWORD, SESSION, SECRET, "Amina", "Token", "Bearer"))
    return message


def test_all_pages_come_and_the_file_is_private(source: Source) -> None:
    pulled = source.pull()
    assert (pulled.changed, pulled.total, pulled.new, pulled.deleted) == (True, 35, 35, 0)
    assert same(source) and stat.S_IMODE(source.file.stat().st_mode) == 0o600
    assert len(source.server.queries(source.pages)) >= 4 and source.pauses == []
    assert not list(source.folder.glob(".*"))


def test_repeats_come_with_their_submission(source: Source) -> None:
    source.pull()
    repeat = "roster" if source.kobo else "members"
    assert [len(row[repeat]) for row in source.kept()] == [1] * 35


def test_nothing_new_leaves_the_file_alone_and_asks_for_no_answer_again(source: Source) -> None:
    source.pull()
    before = source.file.stat().st_mtime_ns
    source.server.asked.clear()
    pulled = source.pull()
    assert not pulled.changed and (pulled.new, pulled.edited, pulled.reviewed, pulled.deleted) == (0, 0, 0, 0)
    assert source.file.stat().st_mtime_ns == before
    light = "fields" if source.kobo else "$select"
    assert all(light in query for query in source.server.queries(source.pages))


def test_only_what_changed_is_asked_for(source: Source) -> None:
    source.pull()
    source.rows += source.more(2)
    source.edit(source.rows[3])
    source.review(source.rows[5])
    del source.rows[0]
    source.server.asked.clear()
    pulled = source.pull()
    assert (pulled.total, pulled.new, pulled.deleted) == (36, 2, 1)
    # In Kobo a review is no edit; Central's time of change moves with both.
    assert (pulled.edited, pulled.reviewed) == ((1, 1) if source.kobo else (2, 2))
    assert same(source)
    light = "fields" if source.kobo else "$select"
    answers = [query for query in source.server.queries(source.pages) if light not in query]
    assert len(answers) == 1
    if source.kobo:
        assert answers[0]["query"] == '{"_id":{"$in":[4,6,1035,1036]}}'
    else:
        assert answers[0]["$filter"].startswith("__system/submissionDate ge 2019-03-01T17:15:00.000Z or ")


@pytest.mark.parametrize("source", ["odk_central"], indirect=True)
def test_a_changed_row_that_the_filter_does_not_find_is_found_by_reading_all(source: Source) -> None:
    source.pull()
    source.edit(source.rows[2])
    source.server.filtered_out = {source.rows[2]["__id"]}
    assert source.pull().edited == 1 and same(source)


def test_full_reads_every_submission_again(source: Source) -> None:
    source.pull()
    source.file.write_bytes(source.file.read_bytes().replace(SECRET.encode(), b"mended by hand"))
    assert not source.pull().changed
    assert source.pull(full=True).changed and same(source)


def test_a_file_that_a_pull_did_not_make_is_replaced(source: Source) -> None:
    source.file.write_bytes(b"consent;water\n")
    assert source.pull().new == 35 and same(source)


def test_the_state_of_review_is_kept(source: Source) -> None:
    source.review(source.rows[0])
    source.pull()
    first = source.kept()[0]
    assert (first["_validation_status"]["uid"] if source.kobo else first["__system"]["reviewState"]).endswith(
        "approved"
    )


def test_a_page_shorter_than_asked_is_not_the_last(source: Source) -> None:
    source.server.limit = 4  # a server that cuts pages without a word
    source.pull()
    assert same(source)


def test_pages_by_offset_of_older_servers(source: Source) -> None:
    source.server.skiptokens = False
    source.pull()
    assert same(source)


@pytest.mark.parametrize("kind", ["wrong_count", "repeated_page", "empty_page", "no_json", "foreign"])
@pytest.mark.parametrize("skip", [1, 2, 6, 10])
def test_a_page_that_lies_once_is_read_again(source: Source, kind: str, skip: int) -> None:
    source.server.misbehave(kind, where=source.pages, skip=skip)
    source.pull()
    assert same(source) and source.pauses


@pytest.mark.parametrize("kind", ["wrong_count", "repeated_page", "empty_page", "foreign"])
def test_a_page_that_always_lies_replaces_nothing(source: Source, kind: str) -> None:
    source.pull()
    source.rows += source.more(3)
    source.server.misbehave(kind, where=source.pages, skip=1, times=None)
    assert "5 readings did not add up" in refused(source)


@pytest.mark.parametrize("how", [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 502}, {"kind": "status", "status": 429},
    {"kind": "truncated"}, {"kind": "reset"}, {"kind": "html"},
])  # fmt: skip
@pytest.mark.parametrize("skip", [0, 2, 5])
def test_a_fault_that_passes_is_waited_for(source: Source, how: dict[str, Any], skip: int) -> None:
    source.server.misbehave(where=source.pages, skip=skip, times=2, **how)
    source.pull()
    assert same(source) and len(source.pauses) == 2
    assert 0.5 <= source.pauses[0] <= 1.0 <= source.pauses[1] <= 2.0


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"kind": "status", "status": 500}, "status 500, 5 times in a row"),
        ({"kind": "html"}, "a web page (to log in, or about repairs)"),
        ({"kind": "truncated"}, "no complete answer"),
        ({"kind": "no_json"}, "cut off, or is no JSON"),
        ({"kind": "status", "status": 401}, "the token was refused"),
        ({"kind": "status", "status": 403}, "no right"),
        ({"kind": "status", "status": 404}, "no such form"),
        ({"kind": "status", "status": 418}, "status 418"),
        ({"kind": "redirect", "headers": {"Location": "https://evil.invalid/"}}, "another address"),
    ],
)
def test_a_fault_that_stays_is_said_and_replaces_nothing(source: Source, how: dict[str, Any], said: str) -> None:
    source.pull()
    source.rows += source.more(3)
    source.server.misbehave(where=source.pages, times=None, **how)
    assert said in refused(source)


def test_retry_after_is_obeyed_up_to_a_limit(source: Source) -> None:
    source.server.misbehave("status", where=source.pages, status=429, headers={"Retry-After": "7"})
    source.pull()
    assert source.pauses == [7.0]
    source.rows += source.more(1)
    source.server.misbehave(
        "status", where=source.pages, status=503, headers={"Retry-After": f"{LONGEST_PAUSE + 60:.0f}"}
    )
    assert "asks to come back in 180 seconds" in refused(source)


def test_retry_after_may_be_a_date(source: Source) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    headers = {"Retry-After": format_datetime(moment, usegmt=True)}
    source.server.misbehave("status", where=source.pages, status=503, headers=headers)
    source.pull()
    assert 60 < source.pauses[0] <= 90


def test_a_slow_answer_is_not_waited_for_without_end(source: Source) -> None:
    source.settings = type(source.settings).load(
        home=source.settings.home, pull_hosts="127.0.0.1", pull_timeout_seconds=1, pull_attempts=2
    )
    source.server.misbehave("slow", where=source.pages, times=None, seconds=5)
    assert "no complete answer" in refused(source)


def test_an_answer_that_drips_is_not_waited_for_without_end(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnob_pipeline.submissions.connectors.service.SLOWEST_ANSWER", 1)
    source.settings = type(source.settings).load(
        home=source.settings.home, pull_hosts="127.0.0.1", pull_timeout_seconds=1, pull_attempts=1
    )
    start = time.monotonic()
    source.server.misbehave("drip", where=source.pages, times=None, seconds=20)
    assert "no complete answer" in refused(source) and time.monotonic() - start < 12


def test_an_answer_larger_than_the_limit_is_not_read_to_its_end(source: Source) -> None:
    source.settings = type(source.settings).load(
        home=source.settings.home, pull_hosts="127.0.0.1", maximum_file_bytes=1_000_000
    )
    source.server.misbehave("huge", where=source.pages, times=None)
    assert "larger than 1,000,000 bytes" in refused(source)


def test_more_submissions_than_are_taken(source: Source) -> None:
    source.settings = type(source.settings).load(home=source.settings.home, pull_hosts="127.0.0.1", maximum_rows=20)
    assert "35 submissions, at most 20" in refused(source)


def test_all_of_them_larger_than_a_file_may_be(source: Source) -> None:
    source.settings = type(source.settings).load(
        home=source.settings.home, pull_hosts="127.0.0.1", maximum_file_bytes=4_000, pull_page_size=5
    )
    assert "larger than 4,000 bytes" in refused(source)


def test_a_form_that_is_encrypted_gives_no_empty_rows(source: Source) -> None:
    source.rows[7] |= {"base64EncryptedKey": "k"} if source.kobo else {}
    if not source.kobo:
        source.rows[7]["__system"]["status"] = "notDecrypted"
    assert "submissions are encrypted" in refused(source)


def test_a_question_that_stands_twice_is_no_silent_loss(source: Source) -> None:
    source.server.misbehave("twice", where=source.pages, times=None)
    assert "holds a question twice" in refused(source)


@pytest.mark.parametrize("seed", range(12))
def test_a_form_that_people_work_on_meanwhile(source: Source, seed: int) -> None:
    """Submissions come, go and change between any two requests: the file is what the service held at one moment."""
    chance = random.Random(seed)
    until = chance.randint(4, 9)  # fewer requests than the readings that are tried take
    moments: list[Any] = []

    def work(number: int) -> None:
        if number <= until:
            if chance.random() < 0.5:
                source.rows.append(source.newest(number))
            if chance.random() < 0.5:
                del source.rows[chance.randrange(len(source.rows))]
            if chance.random() < 0.3:
                source.edit(chance.choice(source.rows))
        moments.append(copy.deepcopy(source.rows))

    if chance.random() < 0.5:
        source.pull()
    source.server.asked.clear()
    source.server.before = work
    source.server.skiptokens = chance.random() < 0.5
    source.pull()
    assert source.kept() in [sorted(rows, key=source.order) for rows in moments]
    source.pull()
    assert same(source)


def test_work_that_never_rests_replaces_nothing(source: Source) -> None:
    source.pull()
    source.server.before = lambda number: source.rows.append(source.newest(number))
    assert "did not add up" in refused(source)


def test_one_goes_and_one_comes_between_two_pages(source: Source) -> None:
    """The total stays and an offset passes one submission by: only reading the list twice shows it."""
    source.server.skiptokens = False
    asked = {"n": 0}

    def swap(_: int) -> None:
        asked["n"] += 1
        if asked["n"] == (2 if source.kobo else 3):  # before the second page; Central is asked for a session first
            gone = source.rows[0] if source.kobo else source.rows[-1]
            source.rows.remove(gone)
            came = source.more(1)[0]
            if not source.kobo:  # older than all: newest come first, so that it does not push the others down
                came["__system"]["submissionDate"] = "2018-01-01T00:00:00.000Z"
            source.rows.append(came)

    source.server.before = swap
    source.pull()
    assert same(source) and source.pauses


def test_a_service_that_lists_nothing_any_more_empties_no_file(source: Source) -> None:
    source.pull()
    source.rows = []
    assert "lists no submission any more" in refused(source)


def test_a_form_without_submissions_writes_no_file(source: Source) -> None:
    source.rows = []
    pulled = source.pull()
    assert not pulled.changed and pulled.notes == ("the service lists no submission yet",) and not source.file.exists()


def test_the_questionnaire_is_kept_when_its_sheets_change(source: Source, root: Any) -> None:
    form = (root / "data/submissions/ken/ken-2019-household-survey/form.xlsx").read_bytes()
    source.connect(pull_form=True)
    assert "no questionnaire as a workbook" in source.pull().notes[0]
    source.server.form = form
    assert source.pull().changed and (source.folder / "form.xlsx").read_bytes() == form
    assert not source.pull().changed
    source.server.form = b"<html>no workbook"
    assert "no workbook" in source.pull().notes[0] and (source.folder / "form.xlsx").read_bytes() == form


# --- where the token goes -------------------------------------------------------------------------------------------


def test_the_token_is_sent_in_one_header_and_the_session_is_ended(source: Source) -> None:
    source.pull()
    server = source.server
    if source.kobo:
        assert set(server.authorizations) == {f"Token {TOKEN}"}
    else:
        assert set(server.authorizations) == {"", f"Bearer {SESSION}"} and server.authorizations.count("") == 1
        assert server.paths("POST") == ["/v1/sessions"] and not server.sessions
    assert not any(secret in str(server.asked) for secret in (TOKEN, PASSWORD, SESSION))
    assert [agent.split("/")[0] for agent in server.agents] == ["lnob-pipeline"]


@pytest.mark.parametrize("source", ["odk_central"], indirect=True)
def test_the_token_of_a_session_is_used_as_it_is(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_TOKEN_TEST", SESSION)
    assert source.pull().new == 35 and source.server.paths("POST") == [] == source.server.paths("DELETE")


def test_netrc_and_proxies_have_no_say(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = source.settings.home / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert source.pull().new == 35
    # As for a server elsewhere: there a proxy is used where the environment names one, but never .netrc.
    monkeypatch.setattr("lnob_pipeline.submissions.connectors.service.is_loopback", lambda _: False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source.rows += source.more(1)
    assert source.pull().new == 1
    assert not any(header.startswith("Basic") for header in source.server.authorizations)


def test_a_token_that_is_wrong_or_absent(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_TOKEN_TEST", "wrong" if source.kobo else "desk@example.org:wrong")
    assert "the token was refused" in refused(source)
    for useless in ("", "with\x07bell"):
        monkeypatch.setenv("LNOB_TOKEN_TEST", useless)
        assert "LNOB_TOKEN_TEST holds no token" in refused(source)
    monkeypatch.delenv("LNOB_TOKEN_TEST")
    assert "LNOB_TOKEN_TEST holds no token" in refused(source)


def test_a_host_that_the_operator_did_not_name_gets_nothing(source: Source) -> None:
    source.settings = type(source.settings).load(home=source.settings.home)
    assert "LNOB_PULL_HOSTS" in refused(source) and source.server.asked == []


def test_a_redirect_is_not_followed(source: Source) -> None:
    with SurveyServer() as other:
        source.server.misbehave("redirect", where=source.pages, times=None, headers={"Location": other.url})
        assert "another address" in refused(source) and other.asked == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "http://kobo.example.org"}, "url: starts with https://"),
        ({"url": "https://someone:secret@kobo.example.org"}, "url: is the address of the server alone"),
        ({"url": "https://kobo.example.org/?token=secret"}, "url: is the address of the server alone"),
        ({"url": "file:///etc/passwd"}, "url: starts with https://"),
        ({"token": "AWS_SECRET"}, "token: String should match"),
        ({"token": "k0b0-5ecret-t0ken"}, "token: String should match"),
        ({"service": "ona"}, "service: Input should be 'kobo' or 'odk_central'"),
        ({"asset": None, "project": None, "form": None}, "kobo takes asset; odk_central takes project and form"),
        ({"asset": "a/../../b", "project": 0}, "asset: String should match"),
        ({"password": "secret"}, "fields that it does not take"),
    ],
)
def test_a_connection_that_cannot_be_used(source: Source, fields: dict[str, Any], said: str) -> None:
    source.connect(**fields)
    message = refused(source)
    assert message.startswith("connection.yaml: ") and said in message and "secret" not in message
    assert source.server.asked == []


def test_a_folder_that_cannot_be_used(source: Source) -> None:
    connection = source.folder / "connection.yaml"
    text = connection.read_text()
    connection.write_text("service: [kobo")
    assert refused(source).startswith("connection.yaml, line ")
    connection.write_text("- kobo")
    assert "connection.yaml: the file" in refused(source)
    connection.unlink()
    assert "there is no connection.yaml" in refused(source)
    elsewhere = source.settings.home / "elsewhere.yaml"
    elsewhere.write_text(text)
    connection.symlink_to(elsewhere)
    assert "is a link" in refused(source)
    connection.unlink()
    connection.write_text(text)
    manifest = source.folder / "submission.yaml"
    fields = yaml.safe_load(manifest.read_text())
    listed = fields["files"][0]["path"]
    for path in ("part/submissions.json", listed):
        fields["files"][0] |= {"path": path, "format": "csv" if path == listed else fields["files"][0]["format"]}
        manifest.write_text(yaml.safe_dump(fields))
        assert "the manifest lists one file with role data and format" in refused(source)
    manifest.unlink()
    assert "no manifest" in refused(source)


@pytest.mark.parametrize(
    "fields", [{"withdrawn": True}, {"agreement": {"identifier": "DSA-1", "retention_until": "2020-01-01"}}]
)
def test_what_may_not_be_kept_is_not_pulled(source: Source, fields: dict[str, Any]) -> None:
    manifest = source.folder / "submission.yaml"
    manifest.write_text(yaml.safe_dump(yaml.safe_load(manifest.read_text()) | fields))
    assert "nothing is pulled" in refused(source) and source.server.asked == []


def test_a_data_file_that_is_a_link_is_not_followed(source: Source) -> None:
    elsewhere = source.settings.home / "elsewhere.json"
    elsewhere.write_text("[]")
    source.file.symlink_to(elsewhere)
    assert "is a link" in refused(source) and elsewhere.read_text() == "[]"


def test_a_library_that_speaks_is_not_repeated(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.connect(url="http://127.0.0.1:9")
    assert "no complete answer (ConnectionError), 5 times in a row" in refused(source)
