"""From the service to the responses: what is pulled is judged as the same file handed in by hand, and marked there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lnob_pipeline import storage, tables
from lnob_pipeline.cli import app
from lnob_pipeline.pipeline import run_submissions, run_validation
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.connectors import CONNECTION, pull
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import SourceTable, read_file
from lnob_pipeline.submissions.receive import content_version, inbox_fingerprint
from lnob_pipeline_tests.submissions.connectors.survey_server import (
    ASSET,
    EMAIL,
    PASSWORD,
    PROJECT,
    TOKEN,
    Json,
    SurveyServer,
)

KEN, NPL = "ken-2019-household-survey", "npl-2020-two-municipalities"
FORM = "two_municipalities"
NOW = "2026-11-23T12:00:00Z"


def bundled(root: Path, key: str) -> Path:
    return root / "data" / "submissions" / key[:3] / key


def read(folder: Path, name: str, kind: Any) -> dict[str, SourceTable]:
    return read_file((folder / name).read_bytes(), DataFile(path=name, role="data", format=kind))


def filled(row: Json) -> Json:
    return {name: cell for name, cell in row.items() if cell is not None}


def kobo_submissions(root: Path) -> list[Json]:
    """The bundled export of Kenya as the API gives it: flat keys, repeats inside, each answer once."""
    main, roster = read(bundled(root, KEN), "export.xlsx", "kobo_xlsx").values()
    members: dict[str, list[Json]] = {}
    for row in roster.frame.iter_rows(named=True):
        answers = {f"roster/{name}": cell for name, cell in row.items() if not name.startswith("_")}
        members.setdefault(row["_parent_index"], []).append(filled(answers))
    made = []
    for number, row in enumerate(main.frame.iter_rows(named=True), start=1):
        gone = [n for n in row if "/" in n or n.startswith("_gps_") or n in ("_index", "_notes", "_tags")]
        answers = {name: cell for name, cell in filled(row).items() if name not in gone}
        status = answers.pop("_validation_status", None)
        made.append(
            answers
            | {"_id": 41_000_000 + number, "_validation_status": {"uid": status, "label": "?"} if status else {}}
            | {"roster": members.get(row["_index"], []), "_attachments": [], "_geolocation": [-0.07, 34.7]}
        )
    return made


def odk_submissions(root: Path) -> list[Json]:
    """The bundled export of Nepal as OData gives it: groups as objects, repeats inside, `__id` and `__system`."""
    found = read(bundled(root, NPL), "two_municipalities.zip", "odk_zip")
    members: dict[str, list[Json]] = {}
    for row in found[f"{FORM}-members"].frame.iter_rows(named=True):
        key, parent = row.pop("KEY"), row.pop("PARENT_KEY")
        members.setdefault(parent, []).append({"__id": hashlib.sha1(key.encode()).hexdigest()} | row)
    made = []
    for number, row in enumerate(found[FORM].frame.iter_rows(named=True)):
        second = f"2020-01-20T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
        key = row.pop("KEY")
        answers: Json = {
            "__id": key,
            "__system": {
                "submissionDate": second,
                "updatedAt": None,
                "submitterName": row.pop("SubmitterName", None),
                "reviewState": None,
                "edits": 0,
            },
        }
        for name, cell in row.items():
            group, _, question = name.rpartition("-")
            if name not in ("SubmissionDate", "SubmitterID", "Status", "ReviewState", "DeviceID", "Edits"):
                (answers.setdefault(group, {}) if group else answers)[question] = cell
        made.append(answers | {"members": members.get(str(key), [])})
    return made


class Home:
    """A project folder with one bundled hand-in whose data come from a service."""

    def __init__(self, folder: Path, root: Path, key: str, server: SurveyServer, **connection: Any) -> None:
        self.key, self.server, self.home = key, server, folder
        self.settings = Settings.load(
            home=folder, mappings=root / "indicator_mappings", official=root / "data/official", pull_hosts="127.0.0.1"
        )
        self.folder = self.settings.inbox / key[:3] / key
        shutil.copytree(bundled(root, key), self.folder)
        self.kobo = key == KEN
        self.file = self.folder / "submissions.json"
        manifest = yaml.safe_load((self.folder / "submission.yaml").read_text())
        files = [item for item in manifest["files"] if item["role"] != "data"]
        kind = "kobo_json" if self.kobo else "odk_json"
        manifest["files"] = [{"path": self.file.name, "role": "data", "format": kind}, *files]
        (self.folder / "submission.yaml").write_text(yaml.safe_dump(manifest, allow_unicode=True))
        said = {"service": "kobo", "asset": ASSET} if self.kobo else {"service": "odk_central", "project": PROJECT}
        form = {} if self.kobo else {"form": FORM}
        connected = said | form | {"url": server.url, "token": "LNOB_TOKEN_TEST"} | connection
        (self.folder / CONNECTION).write_text(yaml.safe_dump(connected))

    def pull(self) -> Any:
        return pull(self.settings, self.folder, sleep=lambda _: None)

    def judge(self) -> str:
        run_submissions(self.settings, self.key, now=NOW)
        return run_validation(self.settings, self.key).texts["state"]

    def table(self, table: tables.Table) -> pl.DataFrame:
        return storage.read_table(self.settings.lake, table, self.key)

    def command(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of `lnob pull`, in this process."""
        done = CliRunner().invoke(app, ["pull", *arguments], env=self.environment(), terminal_width=200)
        return done.exit_code, done.output + (repr(done.exception) if done.exit_code == 1 else "")

    @property
    def rows(self) -> list[Json]:
        return self.server.kobo if self.kobo else self.server.odk

    def spoil(self) -> None:
        """Interviews long before the collection, in six submissions."""
        for row in self.rows[20:140:20]:
            answers = row if self.kobo else row["visit"]
            answers["today" if self.kobo else "visit_date"] = "2012-05-05"

    def environment(self) -> dict[str, str]:
        folders = {name: str(getattr(self.settings, name)) for name in ("home", "mappings", "official")}
        return (
            os.environ
            | {f"LNOB_{name.upper()}": value for name, value in folders.items()}
            | {"LNOB_PULL_HOSTS": "127.0.0.1", "LNOB_TOKEN_TEST": TOKEN if self.kobo else f"{EMAIL}:{PASSWORD}"}
        )


@pytest.fixture(scope="module")
def services(root: Path) -> dict[str, list[Json]]:
    return {"kobo": kobo_submissions(root), "odk": odk_submissions(root)}


@pytest.fixture
def server(services: dict[str, list[Json]], monkeypatch: pytest.MonkeyPatch) -> Iterator[SurveyServer]:
    with SurveyServer(**json.loads(json.dumps(services))) as running:
        running.form_name = FORM
        yield running


@pytest.fixture(params=[KEN, NPL])
def home(
    request: pytest.FixtureRequest, tmp_path: Path, root: Path, server: SurveyServer, monkeypatch: pytest.MonkeyPatch
) -> Home:
    monkeypatch.setenv("LNOB_TOKEN_TEST", TOKEN if request.param == KEN else f"{EMAIL}:{PASSWORD}")
    return Home(tmp_path / "home", root, request.param, server, write_back=True)


def by_hand(tmp_path: Path, root: Path, home: Home, *, original: bool) -> Home:
    """The same data handed in by hand: the original export, or one download of the API without paging."""
    other = Home(tmp_path / f"hand-{original}", root, home.key, home.server)
    (other.folder / CONNECTION).unlink()
    if original:
        shutil.copy(bundled(root, home.key) / "submission.yaml", other.folder / "submission.yaml")
    elif home.kobo:
        other.file.write_text(json.dumps({"count": len(home.server.kobo), "results": home.server.kobo}, indent=1))
    else:
        context = f"https://central.example.org/v1/projects/7/forms/{FORM}.svc/$metadata#Submissions"
        other.file.write_text(json.dumps({"@odata.context": context, "value": home.server.odk}))
    return other


@pytest.mark.parametrize("original", [False, True])
def test_what_is_pulled_is_judged_as_what_is_handed_in(home: Home, tmp_path: Path, root: Path, original: bool) -> None:
    if not original:
        home.spoil()
    assert home.pull().new == len(home.rows)
    other = by_hand(tmp_path, root, home, original=original)
    found = [item.judge() for item in (home, other)]
    assert all(state.startswith("accepted") for state in found) and (original or found[0] == found[1])
    responses, wanted = home.table(tables.RESPONSES), other.table(tables.RESPONSES)
    assert responses.height > 400 and responses.equals(wanted.select(responses.columns))
    counts = ["n_rows", "n_accepted", "n_quarantined", "n_refused"]
    outcomes = [item.table(tables.VALIDATION_OUTCOMES).select(counts).rows() for item in (home, other)]
    assert outcomes[0] == outcomes[1] and outcomes[0][0][2] == (0 if original else 6)


def test_the_sensor_sees_a_pull_that_changed_something_and_no_other(home: Home) -> None:
    home.pull()
    seen, version = inbox_fingerprint(home.folder), content_version(home.settings, home.folder)
    home.pull()
    assert inbox_fingerprint(home.folder) == seen
    home.rows.pop()
    home.pull()
    assert inbox_fingerprint(home.folder) != seen and content_version(home.settings, home.folder) != version


def quarantined(home: Home) -> set[str]:
    """Ids of the submissions with rows in quarantine, worked out from the data that the server holds."""
    out = home.table(tables.QUARANTINE).filter(pl.col("effect") == "row")
    rows = sorted(home.rows, key=lambda row: row["_id"] if home.kobo else row["__system"]["submissionDate"])
    ids = [str(row["_id" if home.kobo else "__id"]) for row in rows]
    members = [key for key, row in zip(ids, rows, strict=True) for _ in row["roster" if home.kobo else "members"]]
    main = {"households", "household", "main"} & set(out["record"])
    found = set()
    for record, number in out.select("record", "row_number").iter_rows():
        found.add((ids if record in main else members)[number - 2])
    return found


def states(home: Home) -> dict[str, str | None]:
    if home.kobo:
        return {str(row["_id"]): (row["_validation_status"] or {}).get("uid") for row in home.rows}
    return {row["__id"]: row["__system"]["reviewState"] for row in home.rows}


def wrote(home: Home) -> int:
    """Requests that changed something at the service."""
    return len(home.server.paths("PATCH")) + sum(not path.endswith("sessions") for path in home.server.paths("POST"))


def test_what_is_in_quarantine_is_marked_once_and_a_person_is_not_overruled(home: Home) -> None:
    held = "validation_status_on_hold" if home.kobo else "hasIssues"
    home.spoil()
    for row in home.rows if home.kobo else []:
        row["_validation_status"] = {}  # nobody has looked yet
    assert home.command(home.key)[0] == 0
    code, said = home.command(home.key, "--write-back")
    assert code == 3 and "not validated yet" in said

    home.judge()
    before = states(home)
    connection = (home.folder / CONNECTION).read_text()
    (home.folder / CONNECTION).write_text(connection.replace("write_back: true", "write_back: false"))
    code, said = home.command(home.key, "--write-back")
    assert code == 3 and "write_back: true does" in said
    (home.folder / CONNECTION).write_text(connection)
    assert home.command(home.key)[0] == 0
    home.server.may_validate = False
    code, said = home.command(home.key, "--write-back")
    assert code == 3 and "the token has no right to this" in said and states(home) == before
    home.server.may_validate = True

    bad = sorted(quarantined(home))
    assert len(bad) == 6
    by_id = {str(row["_id" if home.kobo else "__id"]): row for row in home.rows}
    person, edited = by_id[bad[0]], by_id[bad[1]]
    if home.kobo:
        person["_validation_status"] = {"uid": "validation_status_approved", "label": "Approved"}
        edited["_uuid"] = "edited-since-it-was-judged"
    else:
        person["__system"] |= {"reviewState": "approved", "updatedAt": "2021-01-01T00:00:00.000Z"}
        edited["__system"] |= {"reviewState": "edited", "updatedAt": "2021-01-02T00:00:00.000Z", "edits": 1}
    home.server.asked.clear()
    code, said = home.command(home.key, "--write-back")
    assert code == 0 and "4 submissions marked at the service" in said
    now = states(home)
    assert {key for key, state in now.items() if state == held} == set(bad[2:])
    assert now[bad[0]] == ("validation_status_approved" if home.kobo else "approved") and now[bad[1]] != held
    assert wrote(home) == (1 if home.kobo else 8)
    if not home.kobo:
        assert home.server.comments.keys() == set(bad[2:]) and all(len(c) == 1 for c in home.server.comments.values())
        comments = json.dumps(home.server.comments)
        assert "Not accepted: " in comments and "visit-visit_date" in comments and "2012" not in comments

    home.server.asked.clear()
    assert "0 submissions marked" in home.command(home.key, "--write-back")[1] and wrote(home) == 0


def test_the_command_pulls_every_connected_folder_and_tells_no_secret(home: Home, root: Path) -> None:
    lonely = home.settings.inbox / "nga" / "nga-2020-policy-review"
    shutil.copytree(bundled(root, lonely.name), lonely)
    code, said = home.command()
    assert code == 0 and home.key in said and lonely.name not in said
    people = ["Mfano 0001", "+254700"] if home.kobo else ["uuid:"]
    assert not any(secret in said for secret in (TOKEN, PASSWORD, EMAIL, *people))
    home.server.misbehave("status", where="data/" if home.kobo else "Submissions", times=None, status=401)
    code, said = home.command()
    assert code == 3 and f"not done: {home.key}: 127.0.0.1: the token was refused" in said


@pytest.mark.parametrize("after", [3, 12])
def test_killed_in_the_middle_the_old_file_stays(home: Home, after: int) -> None:
    home.settings = Settings.load(
        home=home.home, mappings=home.settings.mappings, official=home.settings.official, pull_hosts="127.0.0.1"
    )
    home.pull()
    before = home.file.read_bytes()
    rows = home.rows
    for row in rows[::2]:
        if home.kobo:
            row["_uuid"] += "-edited"
        else:
            row["__system"] |= {"edits": 1, "updatedAt": "2021-01-01T00:00:00.000Z"}
    home.server.asked.clear()
    home.server.before = lambda number: time.sleep(0.2)
    code = "from lnob_pipeline.cli import main; main()"
    environment = home.environment() | {"LNOB_PULL_PAGE_SIZE": "100"}
    process = subprocess.Popen([sys.executable, "-c", code, "pull", home.key], env=environment)
    end = time.monotonic() + 60
    while len(home.server.asked) < after and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert home.file.read_bytes() == before
    home.server.before = lambda _: None
    assert home.pull().edited == len(rows[::2])
    assert not list(home.folder.glob(".*")) and stat.S_IMODE(home.file.stat().st_mode) == 0o600
