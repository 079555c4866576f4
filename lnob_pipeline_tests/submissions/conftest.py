"""A hand-in of invented content, for the tests of stage 1."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lnob_pipeline.settings import Settings

ANSWERS: dict[str, Any] = {
    "submission": "ken-2019-test",
    "country": "KEN",
    "title": "A test collection",
    "organisation": "Example network",
    "synthetic": True,
    "data_type": "household_survey",
    "instrument": "ken_test",
    "language": "sw",
    "collection": {"start": datetime.date(2019, 3, 4), "end": datetime.date(2019, 4, 12)},
    "geography": {"level": "admin1", "admin1": ["KE-17", "KE-43"], "description": "Two counties"},
    "population": "Members of private households",
    "groups": ["fishing_communities", "pastoralists"],
    "sampling": {
        "method": "probability",
        "frame": "Enumeration areas",
        "stages": 2,
        "strata": "stratum",
        "cluster": "ea",
        "weight": "w",
    },
    "sample_size": {"planned": 900, "achieved": 874},
    "engagement": {
        "need": 4,
        "design": 4,
        "collection": 5,
        "processing": 2,
        "analysis": 2,
        "dissemination": 3,
        "use": 0,
    },
    "consent": {"column": "consent", "affirmative": ["yes", "1"], "scopes": ["share_data"], "obtained": "per_row"},
    "ethics": {"body": "Committee", "approval_number": "0123", "approval_date": datetime.date(2019, 2, 1)},
    "agreement": {"identifier": "DSA-1", "retention_until": datetime.date(2029, 12, 31)},
    "disclosure": {"organisation": True, "place": False},
    "partner": {"publish": True, "date": datetime.date(2020, 1, 23), "represented_by": "Assembly of the lake"},
    "files": [
        {"path": "answers.csv", "role": "data", "format": "csv", "delimiter": ";"},
        {"path": "codes/list.csv", "role": "codebook", "format": "csv"},
    ],
}


@pytest.fixture
def answers() -> dict[str, Any]:
    """The fields of a usable manifest, free to be changed."""
    return copy.deepcopy(ANSWERS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(home=tmp_path)


class HandIn:
    """A folder of the inbox; write() puts the manifest into it."""

    def __init__(self, folder: Path, answers: dict[str, Any]) -> None:
        self.folder, self.answers = folder, answers

    def write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "submission.yaml").write_text(yaml.safe_dump(self.answers, allow_unicode=True))
        return self.folder

    def file(self, path: str, content: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)


@pytest.fixture
def hand_in(settings: Settings, answers: dict[str, Any]) -> HandIn:
    """A usable hand-in in the inbox."""
    made = HandIn(settings.inbox / "ken" / "ken-2019-test", answers)
    made.file("answers.csv", b"consent;water\nyes;piped\n")
    made.file("codes/list.csv", b"code,label\n1,piped\n")
    made.write()
    return made


@pytest.fixture
def another(settings: Settings, answers: dict[str, Any]) -> HandIn:
    """A second hand-in, of the same bytes in its file."""
    fields = copy.deepcopy(ANSWERS) | {"submission": "ken-2020-other", "files": ANSWERS["files"][:1]}
    made = HandIn(settings.inbox / "ken" / "ken-2020-other", fields)
    made.file("answers.csv", b"consent;water\nyes;piped\n")
    made.write()
    return made
