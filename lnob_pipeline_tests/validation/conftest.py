"""A small hand-in that is right, and a way to judge variants of it. All people are invented."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.gate import Validated, validate

YES_NO = {"positive": ["1"], "negative": ["2"], "missing": {"dont_know": ["8"]}}
INSTRUMENT: dict[str, Any] = {
    "instrument": "test-household-v1",
    "title": "Test",
    "version": "1",
    "data_type": "household_survey",
    "languages": ["en"],
    "calendar_columns": {"date": "bikram_sambat_possible"},
    "consent": {"record": "household", "column": "consent", "affirmative": ["1"]},
    "records": {
        "household": {
            "table": "households",
            "unit": "household",
            "key": "id",
            "identity": "id",
            "columns": {
                "id": {"exclude": "technical"},
                "consent": {"exclude": "consent"},
                "head_name": {"exclude": "identifier"},
                "phone": {"exclude": "identifier"},
                "remarks": {"exclude": "free_text"},
                "date": {"variable": "interview_date"},
                "area": {"variable": "admin1", "codes": {"kisumu": "KE-17", "turkana": "KE-43", "nairobi": "KE-30"}},
                "stratum": {"variable": "stratum"},
                "cluster": {"variable": "cluster"},
                "weight": {"variable": "household_weight"},
                "residence": {"variable": "location", "codes": {"1": "urban", "2": "rural"}},
                "size": {"variable": "household_size"},
                "water": {
                    "variable": "drinking_water_source",
                    "codes": {"11": "piped_dwelling", "21": "borehole", "81": "surface_water"},
                    "missing": {"dont_know": ["98"]},
                },
                "minutes": {"variable": "drinking_water_minutes", "missing": {"dont_know": ["999"]}},
                "groups": {
                    "variable": "marginalised_groups",
                    "select": "multiple",
                    "codes": {"pwd": "persons_with_disabilities", "dalit": "dalit", "none": "none"},
                },
            },
        },
        "person": {
            "table": "persons",
            "unit": "person",
            "parent": "household",
            "parent_key": "household_id",
            "columns": {
                "household_id": {"exclude": "technical"},
                "name": {"exclude": "identifier"},
                "sex": {"variable": "sex", "codes": {"1": "male", "2": "female"}},
                "age": {"variable": "age", "missing": {"dont_know": ["998"]}},
                "respondent": {"variable": "is_respondent", "positive": ["1"], "negative": ["2"]},
                "account": {"variable": "account_institution", **YES_NO},
            },
        },
    },
    "reviewed": {"by": "secretariat data team", "date": "2020-01-01", "source": "test"},
}
MANIFEST: dict[str, Any] = {
    "submission": "ken-2019-test",
    "country": "KEN",
    "title": "Test (synthetic)",
    "organisation": "Invented organisation",
    "synthetic": True,
    "data_type": "household_survey",
    "instrument": "test-household-v1",
    "language": "en",
    "collection": {"start": "2019-05-01", "end": "2019-06-30"},
    "geography": {"level": "admin1", "admin1": ["KE-17", "KE-43"], "description": "two counties"},
    "population": "households of two counties",
    "sampling": {
        "method": "probability",
        "frame": "list",
        "stages": 2,
        "strata": "stratum",
        "cluster": "cluster",
        "weight": "weight",
    },
    "sample_size": {"planned": 40, "achieved": 40},
    "engagement": {
        "need": 3,
        "design": 4,
        "collection": 5,
        "processing": 2,
        "analysis": 2,
        "dissemination": 3,
        "use": 3,
    },
    "consent": {"column": "consent", "affirmative": ["1"], "obtained": "per_row"},
    "ethics": {"body": "Invented committee", "approval_number": "1", "approval_date": "2019-03-01"},
    "agreement": {"identifier": "A-1", "retention_until": "2029-01-01"},
    "disclosure": {"organisation": True, "place": True},
    "partner": {"publish": True, "date": "2020-01-23", "represented_by": "meeting"},
    "files": [
        {"path": "households.csv", "role": "data", "format": "csv", "delimiter": ","},
        {"path": "persons.csv", "role": "data", "format": "csv", "delimiter": ","},
    ],
}


def good_households(n: int = 40) -> list[dict[str, str]]:
    """Households of eight clusters in two strata, two members each."""
    rows = []
    for i in range(n):
        cluster = i // 5
        rows.append(
            {
                "id": f"h{i:03d}",
                "consent": "1",
                "head_name": f"Invented Person {i}",
                "phone": f"+254 700 000 {i:03d}",
                "remarks": "a long remark that nobody may keep",
                "date": f"2019-05-{1 + i % 28:02d}",
                "area": "kisumu" if cluster < 4 else "turkana",
                "stratum": "kisumu" if cluster < 4 else "turkana",
                "cluster": f"c{cluster}",
                "weight": f"{1 + i / 100:.2f}",
                "residence": "1" if i % 2 else "2",
                "size": "2",
                "water": ("11", "21", "81", "98")[i % 4],
                "minutes": str(5 + i),
                "groups": ("none", "pwd", "pwd dalit")[i % 3],
            }
        )
    return rows


def good_persons(n: int = 40) -> list[dict[str, str]]:
    """Two members a household, the first of them the respondent."""
    return [
        {
            "household_id": f"h{i:03d}",
            "name": f"Invented Member {i}-{k}",
            "sex": str(k + 1),
            "age": str(20 + i - 10 * k),
            "respondent": "1" if k == 0 else "2",
            "account": ("1", "2", "8")[i % 3] if k == 0 else "",
        }
        for i in range(n)
        for k in range(2)
    ]


def csv_bytes(rows: list[dict[str, str]]) -> bytes:
    """Rows as a comma-separated file."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), quoting=csv.QUOTE_MINIMAL)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of `base` with `changes`; keys with a dot go down, a value None removes."""
    result = copy.deepcopy(base)
    for path, value in changes.items():
        *above, last = path.split(".")
        place = result
        for step in above:
            place = place[step]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return result


@pytest.fixture(scope="session")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Mappings:
    """The real question bank, groups and countries; the instruments are those of the tests."""
    folder = tmp_path_factory.mktemp("mappings") / "indicator_mappings"
    ignored = shutil.ignore_patterns("instruments", "indicators", "schema")
    shutil.copytree(Settings.load().mappings, folder, ignore=ignored)
    return load_mappings(folder)


@pytest.fixture(scope="session")
def judge(mappings: Mappings) -> Callable[..., Validated]:
    """judge(households, persons, manifest changes, instrument changes) -> Validated, without Great Expectations."""

    def run(
        households: list[dict[str, str]] | None = None,
        persons: list[dict[str, str]] | None = None,
        manifest: dict[str, Any] | None = None,
        instrument: dict[str, Any] | None = None,
        contents: dict[str, bytes] | None = None,
        settings: Settings | None = None,
        great_expectations: bool = False,
        base_manifest: dict[str, Any] = MANIFEST,
        base_instrument: dict[str, Any] = INSTRUMENT,
        reviews: dict[str, str] | None = None,
        linkage_key: bytes | None = None,
    ) -> Validated:
        said = Manifest.model_validate(merged(base_manifest, manifest or {}))
        form = Instrument.model_validate(merged(base_instrument, instrument or {}))
        known = dataclasses.replace(mappings, instruments={form.instrument: form})
        data = {
            "households.csv": csv_bytes(good_households() if households is None else households),
            "persons.csv": csv_bytes(good_persons() if persons is None else persons),
        } | (contents or {})
        files = [(file, data[file.path]) for file in said.files]
        return validate(
            said,
            "0" * 64,
            files,
            known,
            settings or Settings.load(),
            great_expectations=great_expectations,
            reviews=reviews,
            linkage_key=linkage_key,
        )

    return run


@pytest.fixture
def households() -> list[dict[str, str]]:
    return good_households()


@pytest.fixture
def persons() -> list[dict[str, str]]:
    return good_persons()
