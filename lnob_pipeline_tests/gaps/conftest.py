"""Small frames for the tests of stage 6: each row names what matters to the test and takes the rest from here."""

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline import tables
from lnob_pipeline.gaps.typology import gaps
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.official.values import parse_values
from lnob_pipeline.settings import Settings

Row = dict[str, Any]
OBSERVATION: Row = {"release": "2020-10", "iso3": "KEN", "year": 2018, "nature": "C", "units": "PERCENT"}
OBSERVATION |= {"series": "IT_MOB_OWN", "value_text": "50", "dimension_key": ""}
ESTIMATE: Row = {
    "submission_id": "ken-2019-survey",
    "iso3": "KEN",
    "indicator": "5.b.1",
    "series": "IT_MOB_OWN",
    "stratum": "_T",
    **dict.fromkeys(tables.STRATUM_DIMENSIONS, "_T"),
    "unit": "PERCENT",
    "definition_version": "2020-10",
    "year": 2019,
    "area_level": "national",
    "area": None,
    "population": "persons of the country",
    "estimate": 60.0,
    "standard_error": 2.0,
    "ci_low": 56.0,
    "ci_high": 64.0,
    "n": 900,
    "reliability": "reliable",
    "comparability": "A",
    "comparability_reason": "same definition, probability sample, representative of the stated area",
    "sampling_method": "probability",
    "status": "estimated",
    "questions": "owns_mobile_phone",
    "instrument": "ken-household",
    "mapping_version": "0",
}
EVIDENCE: Row = {
    "submission_id": "ken-2020-discussions",
    "iso3": "KEN",
    "indicator": "5.b.1",
    "evidence_type": "focus_group",
    "statement": "price",
    "marginalised_group": None,
    "comparability": "D",
    "year": 2020,
}


def frame(table: tables.Table, default: Row, rows: tuple[Row, ...]) -> pl.DataFrame:
    whole = [{**dict.fromkeys(table.schema), **default, **row} for row in rows]
    return pl.DataFrame(whole, schema=table.schema)


@pytest.fixture(scope="session")
def observations(mappings: Mappings) -> Callable[..., pl.DataFrame]:
    """Official observations; value, interval and flag are read from `value_text` as stage 5 reads them."""

    def make(*rows: Row) -> pl.DataFrame:
        made = frame(tables.OFFICIAL_OBSERVATIONS, OBSERVATION, rows)
        codes = {iso3: country.m49 for iso3, country in mappings.countries.items()}
        made = parse_values(made.drop("value", "lower", "upper", "value_flag")).with_columns(
            pl.coalesce("m49", pl.col("iso3").replace_strict(codes)).alias("m49")
        )
        return made.select(pl.col(name).cast(kind) for name, kind in tables.OFFICIAL_OBSERVATIONS.schema.items())

    return make


@pytest.fixture(scope="session")
def estimates() -> Callable[..., pl.DataFrame]:
    return lambda *rows: frame(tables.CITIZEN_ESTIMATES, ESTIMATE, rows)


@pytest.fixture(scope="session")
def evidence() -> Callable[..., pl.DataFrame]:
    return lambda *rows: frame(tables.CITIZEN_EVIDENCE, EVIDENCE, rows)


@pytest.fixture(scope="session")
def accepted() -> Callable[..., pl.DataFrame]:
    """A decision about ken-2019-survey: by whom, what, on which day of November 2020."""

    def make(decided_by: str, decision: str, day: int = 1) -> pl.DataFrame:
        row = ("ken-2019-survey", decided_by, decision, datetime.date(2020, 11, day), "Minute 1")
        return pl.DataFrame([row], schema=tables.DECISIONS.schema, orient="row")

    return make


@pytest.fixture(scope="session")
def catalogue(mappings: Mappings) -> Callable[..., pl.DataFrame]:
    """A catalogue in which every series of the library is there and loaded, but for those that are named."""

    def make(not_in_release: tuple[str, ...] = (), not_loaded: tuple[str, ...] = ()) -> pl.DataFrame:
        rows = tuple(
            {
                "release": "2020-10",
                "indicator": indicator.indicator,
                "goal": indicator.goal,
                "series": series.code,
                "in_release": series.code not in not_in_release,
                "loaded": series.code not in (*not_in_release, *not_loaded),
            }
            for indicator in mappings.indicators.values()
            for series in indicator.series
        )
        return frame(tables.SDG_CATALOGUE, {}, rows)

    return make


@pytest.fixture(scope="session")
def as_of_2020() -> Settings:
    """Settings of the tests of this stage: as-of year 2020, base year 2015, thresholds as they come."""
    return dataclasses.replace(Settings.load(home=Path("unused")), as_of_year=2020, base_year=2015)


@pytest.fixture(scope="session")
def judge(
    observations: Callable[..., pl.DataFrame],
    estimates: Callable[..., pl.DataFrame],
    evidence: Callable[..., pl.DataFrame],
    catalogue: Callable[..., pl.DataFrame],
    mappings: Mappings,
    as_of_2020: Settings,
) -> Callable[..., pl.DataFrame]:
    """DATA_GAPS of the given official rows and what else is named."""

    def make(*rows: Row, **given: Any) -> pl.DataFrame:
        return gaps(
            observations(*rows),
            given.get("catalogue", catalogue()),
            given.get("estimates", estimates()),
            given.get("evidence", evidence()),
            given.get("decisions", tables.DECISIONS.empty()),
            given.get("mappings", mappings),
            given.get("settings", as_of_2020),
        )

    return make


@pytest.fixture(scope="session")
def cell() -> Callable[..., Row]:
    """One row of DATA_GAPS or COMPARISON as a dictionary, its flags as a set. There must be exactly one."""

    def find(table: pl.DataFrame, iso3: str = "KEN", series: str = "IT_MOB_OWN", stratum: str = "_T") -> Row:
        found = table.filter(
            (pl.col("iso3") == iso3) & (pl.col("series") == series) & (pl.col("stratum") == stratum)
        ).to_dicts()
        assert len(found) == 1, f"{len(found)} rows for {iso3} {series} {stratum}"
        flags = {name for name in found[0]["flags"].split(",") if name}
        return found[0] | {"flags": flags}

    return find
