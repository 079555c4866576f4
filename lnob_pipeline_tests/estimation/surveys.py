"""Small surveys for the tests of stage 4: a form, a manifest, households with members, and their estimates."""

import dataclasses
import datetime
from typing import Any

import polars as pl

from lnob_pipeline.estimation.plan import estimate_submission
from lnob_pipeline.mappings import derive
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument, Record, Review
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import harmonised_households, harmonised_persons
from lnob_pipeline.warehouse import connect

HOUSEHOLD = [
    "stratum",
    "cluster",
    "household_weight",
    "household_size",
    "eligible_adults",
    "location",
    "marginalised_groups",
]
HOUSEHOLD += ["wealth_quintile", "cooking_fuel"]
PERSON = ["sex", "age", "is_respondent", "birth_registration"]
RESPONDENT = ["account_institution", "mobile_money_12_months", "have_say", "have_influence"]


def form(
    *,
    leave_out: tuple[str, ...] = (),
    proxy: tuple[str, ...] = (),
    of_household: tuple[str, ...] = (),
    of_person: tuple[str, ...] = (),
) -> Instrument:
    """A form with a roster that asks the questions above, and more of the household and of each person."""

    def column(name: str) -> Column:
        return Column(variable=name, reported_by="proxy" if name in proxy else "self")

    records = {
        "household": Record(
            table="main",
            unit="household",
            columns={n: column(n) for n in [*HOUSEHOLD, *RESPONDENT, *of_household] if n not in leave_out},
        ),
        "person": Record(
            table="members",
            unit="person",
            parent="household",
            columns={n: column(n) for n in [*PERSON, *of_person] if n not in leave_out},
        ),
    }
    review = Review(by="test", date=datetime.date(2026, 1, 1), source="this test")
    return Instrument(
        instrument="test-form",
        title="Test form",
        version="1",
        data_type="household_survey",
        languages=["en"],
        records=records,
        reviewed=review,
    )


def manifest(method: str = "probability", level: str = "admin1", **ethics: bool) -> Manifest:
    """A manifest of Kenya; `ethics` holds answers beside the approval."""
    sampling: dict[str, Any] = {"method": method}
    if method == "probability":
        sampling |= {"frame": "census", "stages": 2, "weight": "w", "cluster": "c", "strata": "s"}
    return Manifest.model_validate(
        {
            "submission": "ken-2019-x",
            "country": "KEN",
            "title": "Synthetic test",
            "organisation": "Test organisation",
            "synthetic": True,
            "data_type": "household_survey",
            "instrument": "test-form",
            "language": "en",
            "collection": {"start": "2019-05-01", "end": "2019-06-30"},
            "geography": {
                "level": level,
                "admin1": [] if level == "national" else ["KE-17"],
                "description": "Kisumu",
            },
            "population": "members of private households of Kisumu",
            "sampling": sampling,
            "sample_size": {"planned": 100, "achieved": 100},
            "engagement": dict.fromkeys(
                ["need", "design", "collection", "processing", "analysis", "dissemination", "use"], 4
            ),
            "consent": {"obtained": "per_row", "column": "consent", "affirmative": ["yes"]},
            "ethics": {"body": "Test board", "approval_number": "1", "approval_date": "2019-01-01", **ethics},
            "agreement": {"identifier": "DSA-1", "retention_until": "2029-12-31"},
            "disclosure": {"organisation": True, "place": True},
            "partner": {"publish": True, "date": "2020-01-23", "represented_by": "Test council"},
            "files": [{"path": "data.csv", "role": "data", "format": "csv"}],
        }
    )


def frames(mappings: Mappings, rows: list[dict[str, Any]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Households and persons from one dict a household; `members` holds dicts of persons."""
    households, persons = [], []
    for number, row in enumerate(rows):
        key = f"h{number:03}"
        members = row.get("members", [{}])
        households.append(
            {"submission_id": "ken-2019-x", "household_key": key} | {k: v for k, v in row.items() if k != "members"}
        )
        for place, member in enumerate(members):
            persons.append(
                {"submission_id": "ken-2019-x", "household_key": key, "person_key": f"{key}-{place}"} | member
            )
    tables = harmonised_households(mappings), harmonised_persons(mappings)
    with connect(threads=1) as connection:
        for name, items, table in zip(
            ("given_households", "given_persons"), (households, persons), tables, strict=True
        ):
            asked = {key: kind for key, kind in table.schema.items() if key not in mappings.derived}
            given = set().union(*items)
            frame = pl.DataFrame(items, schema_overrides={key: kind for key, kind in asked.items() if key in given})
            absent = (pl.lit(None, dtype=kind).alias(key) for key, kind in asked.items() if key not in given)
            connection.register(name, frame.with_columns(absent))
        chain, *relations = derive.tables(
            "FROM given_households", "FROM given_persons", mappings, mappings.parameters_of("KEN")
        )
        made = [connection.sql(f"{chain} FROM {relation}").pl() for relation in relations]
    return made[0].select(list(tables[0].schema)), made[1].select(list(tables[1].schema))


def run(
    mappings: Mappings,
    rows: list[dict[str, Any]],
    *,
    method: str = "probability",
    level: str = "admin1",
    instrument: Instrument | None = None,
    quarantine_share: float = 0.0,
    **ethics: bool,
) -> pl.DataFrame:
    """CITIZEN_ESTIMATES of the rows, each a household with `members`."""
    changed = dataclasses.replace(mappings, instruments={"test-form": instrument or form()})
    households, persons = frames(changed, rows)
    with connect(threads=1) as connection:
        return estimate_submission(
            connection,
            manifest(method, level, **ethics),
            households,
            persons,
            quarantine_share,
            changed,
            Settings.load(),
        )


def row(found: pl.DataFrame, series: str, stratum: str = "_T") -> dict[str, Any]:
    """The one row of a series and a stratum."""
    chosen = found.filter((pl.col("series") == series) & (pl.col("stratum") == stratum))
    assert chosen.height == 1, found.select("series", "stratum")
    return chosen.row(0, named=True)


def household(cluster: int, weight: float, size: int, fuel: str, **more: Any) -> dict[str, Any]:
    """A household: clusters 1 and 2 are of stratum s1, the others of s2."""
    return {
        "stratum": "s1" if cluster < 3 else "s2",
        "cluster": f"c{cluster}",
        "household_weight": weight,
        "household_size": float(size),
        "eligible_adults": 1.0,
        "cooking_fuel": fuel,
        **more,
    }
