"""Nchalo water project, Malawi, 2021: 74 interviews in 13 communities, with coordinates and remarks.

The file has no consent question. As published it is refused; `made` adds the column that its producer would have to
add. It gives no estimate: it asks about communities, not about the water and the size of the household.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import tables
from lnob_pipeline_tests.real_files.hand_in import (
    PER_ROW,
    Manifest,
    Run,
    cells,
    ethics,
    found_again,
    manifest,
    run,
    unknown_columns,
)

FILE = "nchalohhwatersurvey.csv"
FIELDS: Manifest = manifest(
    submission="mwi-2021-nchalo-water",
    country="MWI",
    title="Nchalo water project, household survey, 2021",
    organisation="BASEflow",
    instrument="owd-nchalo-malawi-2021-v1",
    collection={"start": "2021-04-07", "end": "2021-04-08"},
    geography={"level": "community", "admin1": ["MW-S"], "description": "Rural communities around Nchalo"},
    population="Households of rural communities around Nchalo",
    sampling={"method": "purposive"},
    sample_size={"planned": 74, "achieved": 74},
    consent=PER_ROW | {"affirmative": ["Yes"]},
    ethics=ethics("2021-04-07"),
    files=[{"path": FILE, "role": "data", "format": "csv", "date_order": "mdy"}],
)


@pytest.fixture(scope="module")
def file(citizen: Path) -> Path:
    return citizen / "owd_nchalo_malawi" / "inst" / "extdata" / FILE


@pytest.fixture(scope="module")
def source(file: Path) -> pl.DataFrame:
    return pl.read_csv(file, infer_schema=False)


@pytest.fixture(scope="module")
def made(source: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    content = source.with_columns(consent=pl.lit("Yes")).write_csv().encode()
    return run(tmp_path_factory.mktemp("nchalo") / "home", FIELDS, {FILE: content})


def test_as_published_it_is_refused_because_nobody_can_know_who_agreed(file: Path, tmp_path: Path) -> None:
    refused = run(tmp_path / "home", FIELDS, {FILE: file.read_bytes()})
    step = refused.steps["validation"]
    assert step.texts["state"] == "rejected"
    assert "the consent question (consent) is not a column of the data" in step.texts["reasons"]
    assert refused.numbers == {"n_rows": 74, "n_accepted": 0, "n_quarantined": 74, "n_refused": 0}


def test_every_interview_is_accepted(made: Run) -> None:
    assert made.numbers == {"n_rows": 74, "n_accepted": 74, "n_quarantined": 0, "n_refused": 0}
    assert made.table(tables.QUARANTINE).is_empty()


def test_every_column_is_mapped_or_left_out_with_a_reason(made: Run) -> None:
    assert unknown_columns(made) == []


def test_days_and_sources_of_water(made: Run) -> None:
    days = dict(made.households["interview_date"].cast(pl.String).value_counts().iter_rows())
    assert days == {"2021-04-07": 38, "2021-04-08": 36}
    counts = dict(made.households["drinking_water_source"].value_counts().iter_rows())
    assert counts == {"borehole": 36, "surface_water": 20, "other": 11, "public_tap": 7}


def test_answers_for_a_community_give_no_share_of_its_people(made: Run) -> None:
    assert made.table(tables.CITIZEN_ESTIMATES).is_empty()
    assert made.supported().is_empty()
    assert made.households["household_size"].null_count() == 74


def test_no_place_and_no_remark_is_kept(made: Run, source: pl.DataFrame) -> None:
    assert not cells(made) & set(source["community_name"])
    remarks = {
        text
        for name in source.columns
        if name.endswith(("_comments", "_other"))
        for text in source[name].drop_nulls()
        if len(text) > 20
    }
    assert len(remarks) > 50
    places = set(source["latitude"]) | set(source["longitude"])
    assert found_again(made, remarks | places) == set()
