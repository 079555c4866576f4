"""A folder of the inbox with a connection, for each service, and a server on this machine that it points to."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.connectors import Pulled, pull
from lnob_pipeline_tests.submissions.conftest import ANSWERS
from lnob_pipeline_tests.submissions.connectors.survey_server import (
    ASSET,
    EMAIL,
    FORM,
    PASSWORD,
    PROJECT,
    TOKEN,
    Json,
    SurveyServer,
)

SECRET = "Amina of the lake"
"""Stands in every submission, and in no message."""


def kobo_rows(n: int, start: int = 1) -> list[Json]:
    return [
        {
            "_id": number,
            "_uuid": f"kobo-{number}",
            "_submission_time": f"2019-03-04T08:{number % 60:02d}:00",
            "_validation_status": {},
            "consent": "yes",
            "person/name": SECRET,
            "roster": [{"roster/age": str(number % 90)}],
        }
        for number in range(start, start + n)
    ]


def odk_rows(n: int, start: int = 1) -> list[Json]:
    day = datetime.datetime(2019, 3, 1)
    return [
        {
            "__id": f"uuid:odk-{number}",
            "__system": {
                "submissionDate": f"{day + datetime.timedelta(minutes=number):%Y-%m-%dT%H:%M}:00.000Z",
                "updatedAt": None,
                "reviewState": None,
                "edits": 0,
                "formVersion": "1",
            },
            "person": {"name": SECRET},
            "members": [{"__id": f"{number:040x}", "age": number % 90}],
            "members@odata.navigationLink": f"Submissions('uuid:odk-{number}')/members",
        }
        for number in range(start, start + n)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(home=tmp_path, pull_hosts="127.0.0.1", pull_page_size=10, pull_timeout_seconds=2)


@pytest.fixture
def server() -> Iterator[SurveyServer]:
    with SurveyServer(kobo_rows(35), odk_rows(35)) as running:
        yield running


class Source:
    """A folder of the inbox, its service, and a pull that does not wait."""

    def __init__(self, settings: Settings, server: SurveyServer, service: str) -> None:
        self.settings, self.server, self.service = settings, server, service
        self.key = f"ken-2019-{service.replace('_', '-')}"
        self.folder = settings.inbox / "ken" / self.key
        self.folder.mkdir(parents=True)
        self.kobo = service == "kobo"
        self.file = self.folder / "submissions.json"
        self.pages = "data/" if self.kobo else "Submissions"
        self.pauses: list[float] = []
        kind = "kobo_json" if self.kobo else "odk_json"
        files = [
            {"path": self.file.name, "role": "data", "format": kind},
            {"path": "form.xlsx", "role": "form", "format": "xlsform"},
        ]
        manifest = ANSWERS | {"submission": self.key, "files": files}
        (self.folder / "submission.yaml").write_text(yaml.safe_dump(manifest))
        self.connect()

    def connect(self, **fields: Any) -> None:
        form = {"asset": ASSET} if self.kobo else {"project": PROJECT, "form": FORM}
        said = {"service": self.service, "url": self.server.url, "token": "LNOB_TOKEN_TEST"} | form | fields
        said = {name: value for name, value in said.items() if value is not None}
        (self.folder / "connection.yaml").write_text(yaml.safe_dump(said))

    def pull(self, **how: Any) -> Pulled:
        return pull(self.settings, self.folder, sleep=self.pauses.append, **how)

    @property
    def rows(self) -> list[Json]:
        """The submissions of the service."""
        return self.server.kobo if self.kobo else self.server.odk

    @rows.setter
    def rows(self, rows: list[Json]) -> None:
        if self.kobo:
            self.server.kobo = rows
        else:
            self.server.odk = rows

    def kept(self) -> list[Json]:
        """The submissions of the file."""
        content = json.loads(self.file.read_bytes())
        found: list[Json] = content if self.kobo else content["value"]
        return found

    def more(self, n: int) -> list[Json]:
        start = 1000 + len(self.rows)
        return kobo_rows(n, start) if self.kobo else odk_rows(n, start)

    def newest(self, number: int) -> Json:
        """A submission that nobody has, later than all others."""
        row = self.more(1)[0]
        if self.kobo:
            return row | {"_id": 5000 + number}
        row["__system"]["submissionDate"] = f"2019-04-01T00:{number // 60:02d}:{number % 60:02d}.000Z"
        return row | {"__id": f"uuid:new-{number}"}

    def order(self, row: Json) -> Any:
        """Submissions in the order of time."""
        return row["_id"] if self.kobo else (row["__system"]["submissionDate"], row["__id"])

    def edit(self, row: Json) -> None:
        """As the service does when somebody edits an answer."""
        if self.kobo:
            row |= {"_uuid": f"{row['_uuid']}-edited", "consent": "no"}
        else:
            edits = row["__system"]["edits"] + 1
            changed = f"2020-01-01T00:00:00.{edits:03d}Z"
            row["__system"] |= {"updatedAt": changed, "edits": edits, "reviewState": "edited"}
            row["person"] = {"name": "another"}

    def review(self, row: Json) -> None:
        """As the service does when somebody approves."""
        if self.kobo:
            row["_validation_status"] = {"uid": "validation_status_approved", "label": "Approved"}
        else:
            row["__system"] |= {"updatedAt": "2020-02-01T00:00:00.000Z", "reviewState": "approved"}


@pytest.fixture(params=["kobo", "odk_central"])
def source(
    request: pytest.FixtureRequest, settings: Settings, server: SurveyServer, monkeypatch: pytest.MonkeyPatch
) -> Source:
    """A folder with a connection to each service in turn."""
    monkeypatch.setenv("LNOB_TOKEN_TEST", TOKEN if request.param == "kobo" else f"{EMAIL}:{PASSWORD}")
    return Source(settings, server, request.param)
