"""Latrine survey of Dowa, Salima and Thyolo, Malawi, 2020: 89 households with coordinates, photographs and remarks.

The file has no consent question. As published it is refused; `made` adds the column that its producer would have to
add. It gives no estimate: the kind of toilet, the size of the household and the way to the water were not asked.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import storage, tables
from lnob_pipeline.pipeline import run_gaps, run_official
from lnob_pipeline_tests.real_files.hand_in import (
    NOW,
    PER_ROW,
    Manifest,
    Run,
    ethics,
    found_again,
    manifest,
    run,
    unknown_columns,
)

FILE = "dowalatrinesurvey.csv"
FIELDS: Manifest = manifest(
    submission="mwi-2020-latrine-survey",
    country="MWI",
    title="Household latrine survey of Dowa, Salima and Thyolo, 2020",
    organisation="BASEflow",
    instrument="owd-dowa-malawi-2020-v1",
    collection={"start": "2020-10-14", "end": "2020-10-26"},
    geography={
        "level": "admin2",
        "admin1": ["MW-C", "MW-S"],
        "description": "Rural and peri-urban places of the districts Dowa, Salima and Thyolo",
    },
    population="Households with a latrine in rural and peri-urban places of three districts",
    sampling={"method": "purposive"},
    sample_size={"planned": 89, "achieved": 89},
    consent=PER_ROW | {"affirmative": ["Yes"]},
    ethics=ethics("2020-10-14"),
    partner={"publish": True, "date": "2025-07-16", "represented_by": "BASEflow, which published the file (CC BY 4.0)"},
    files=[{"path": FILE, "role": "data", "format": "csv", "date_order": "mdy"}],
)
PLACES = ("latitude", "longitude", "photo_sanitation_facility")
REMARKS = ("purchase_installation_process", "latrine_usage_process", "ideal_latrine_description", "latrine_description")


@pytest.fixture(scope="module")
def file(citizen: Path) -> Path:
    return citizen / "owd_dowa_malawi" / "inst" / "extdata" / FILE


@pytest.fixture(scope="module")
def source(file: Path) -> pl.DataFrame:
    return pl.read_csv(file, infer_schema=False)


@pytest.fixture(scope="module")
def made(source: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    content = source.with_columns(consent=pl.lit("Yes")).write_csv().encode()
    return run(tmp_path_factory.mktemp("dowa") / "home", FIELDS, {FILE: content})


def test_as_published_it_is_refused_because_nobody_can_know_who_agreed(file: Path, tmp_path: Path) -> None:
    refused = run(tmp_path / "home", FIELDS, {FILE: file.read_bytes()})
    step = refused.steps["validation"]
    assert step.texts["state"] == "rejected"
    assert "the consent question (consent) is not a column of the data" in step.texts["reasons"]
    assert refused.numbers == {"n_rows": 89, "n_accepted": 0, "n_quarantined": 89, "n_refused": 0}


def test_every_household_is_accepted(made: Run) -> None:
    assert made.numbers == {"n_rows": 89, "n_accepted": 89, "n_quarantined": 0, "n_refused": 0}
    assert made.table(tables.QUARANTINE).is_empty()


def test_every_column_is_mapped_or_left_out_with_a_reason(made: Run) -> None:
    assert unknown_columns(made) == []


def test_the_file_before_cleaning_gives_the_same_answers(made: Run, citizen: Path, tmp_path: Path) -> None:
    """Windows-1252, blanks around districts and places, cells of several lines."""
    raw = citizen / "owd_dowa_malawi" / "data-raw" / "Dowa Household Latrine survey.csv"
    rows = list(csv.reader(io.StringIO(raw.read_bytes().decode("cp1252"), newline="")))
    assert {row[rows[0].index("district")] for row in rows[1:]} == {" Dowa", " Salima", " Thyolo"}
    content = io.StringIO(newline="")
    csv.writer(content).writerows([*row, "consent" if place == 0 else "Yes"] for place, row in enumerate(rows))
    again = run(tmp_path / "home", FIELDS, {FILE: content.getvalue().encode("cp1252")})
    assert again.households.equals(made.households)


def test_month_first_dates_and_districts(made: Run) -> None:
    days = made.households["interview_date"]
    assert (str(days.min()), str(days.max())) == ("2020-10-14", "2020-10-26")
    assert dict(made.households["admin1"].value_counts().iter_rows()) == {"MW-C": 59, "MW-S": 30}
    assert dict(made.households["location"].value_counts().iter_rows()) == {"urban": 51, "rural": 38}


def test_several_sources_of_water_are_no_main_source(made: Run, source: pl.DataFrame) -> None:
    counts = dict(made.households["drinking_water_source"].value_counts().iter_rows())
    several = source.filter(pl.col("water_source").str.contains(",")).height
    assert counts == {
        "borehole": 50, "piped_yard": 16, "piped_dwelling": 6, "unprotected_well": 4, "protected_well": 3,
        "public_tap": 1, "unprotected_spring": 1, "surface_water": 1, "not_asked": several,
    }  # fmt: skip
    assert several == 7


def test_emptied_and_shared_are_known_only_where_they_were_asked(made: Run) -> None:
    counts = dict(made.households["excreta_emptied"].value_counts().iter_rows())
    assert counts == {"no": 72, "not_asked": 16, "yes": 1}
    counts = dict(made.households["sanitation_shared"].value_counts().iter_rows())
    assert counts == {"not_asked": 81, "no": 7, "yes": 1}
    assert made.households["sanitation_service"].null_count() == 89


def test_a_survey_of_latrines_gives_no_share_of_basic_sanitation(made: Run) -> None:
    assert made.table(tables.CITIZEN_ESTIMATES).is_empty()
    assert made.supported().is_empty()


def test_no_place_photograph_or_remark_is_kept(made: Run, source: pl.DataFrame) -> None:
    values = {value for name in PLACES for value in source[name]}
    assert len(values) == 3 * 89
    values |= {value for name in REMARKS for value in source[name] if len(value) > 20}
    assert found_again(made, values) == set()


def test_the_gap_table_of_malawi_learns_nothing_from_it(made: Run) -> None:
    run_official(made.settings, NOW)
    step = run_gaps(made.settings)
    assert step.numbers["submissions"] == 0  # nobody says that the people agreed to share their answers
    gaps = storage.read_table(made.settings.lake, tables.DATA_GAPS)
    effects = gaps.filter(pl.col("iso3") == "MWI", ~pl.col("status").is_in(["not_applicable"]))["citizen_effect"]
    assert len(effects) > 1_000
    assert set(effects.drop_nulls()) <= {"nothing_yet"}
    compared = storage.read_table(made.settings.lake, tables.COMPARISON)
    assert compared.filter(pl.col("submission_id").is_not_null()).is_empty()
