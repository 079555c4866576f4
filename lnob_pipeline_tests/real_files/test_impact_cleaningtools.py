"""Household survey on water in Tal Afar, Iraq, 2021 (IMPACT): raw data and cleaning log, against the clean file.

Iraq is no country of the partnership: the hand-in is refused for that. The rest is tested with a copy of the mappings
that knows Iraq. The cleaning log (726 lines) removes 54 interviews; the producer's own clean file tells whether it was
applied as meant.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import tables
from lnob_pipeline_tests.homes import ROOT
from lnob_pipeline_tests.real_files.hand_in import (
    PER_ROW,
    Manifest,
    Run,
    cells,
    ethics,
    found_again,
    labelled,
    manifest,
    run,
    unknown_columns,
)

RAW, LOG, CLEAN = (f"cleaningtools_{name}.csv" for name in ("raw_data", "cleaning_log", "clean_data"))
FIELDS: Manifest = manifest(
    submission="irq-2021-water-survey",
    country="IRQ",
    title="Household survey on water, Tal Afar, 2021",
    organisation="IMPACT Initiatives",
    instrument="impact-cleaningtools-2021-v1",
    collection={"start": "2021-07-04", "end": "2021-07-15"},
    geography={"level": "community", "admin1": ["IQ-NI"], "description": "Neighbourhoods of the town of Tal Afar"},
    population="Households of the town of Tal Afar",
    # The sample frame gives a fixed number of households for each neighbourhood, and the file no weight.
    sampling={"method": "quota"},
    sample_size={"planned": 578, "achieved": 578},
    consent=PER_ROW | {"column": "consent_remote", "affirmative": ["yes"]},
    ethics=ethics("2021-07-04"),
    corrections={
        "record_key": "X_uuid",
        "column": "questions",
        "action": "change_type",
        "expected": "old_value",
        "new_value": "new_value",
        "remove_row": ["remove_survey"],
    },
    files=[
        {"path": RAW, "role": "data", "format": "csv", "delimiter": ","},
        {"path": LOG, "role": "corrections", "format": "csv", "delimiter": ","},
    ],
)
IRAQ = (
    '  IRQ: {m49: "368", name: Iraq, languages: [ar, en], calendar: gregorian, phone: "964", '
    "admin1: {IQ-NI: Ninewa}, parameters: {}}\n"
)
IMPROVED = ["piped", "tap", "borehole", "bottled", "trucking", "rainwater"]
ENOUGH = ["more_than_sufficient", "sufficient", "just_enough"]


@pytest.fixture(scope="module")
def folder(citizen: Path) -> Path:
    return citizen / "impact_cleaningtools"


@pytest.fixture(scope="module")
def clean(folder: Path) -> pl.DataFrame:
    """The producer's clean data."""
    return pl.read_csv(folder / CLEAN, infer_schema=False).with_columns(pl.col("num_hh_member").cast(pl.Float64))


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (RAW, LOG)}


@pytest.fixture(scope="module")
def made(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("impact")
    mappings = home / "indicator_mappings"
    shutil.copytree(ROOT / "indicator_mappings", mappings)
    countries = mappings / "countries.yaml"
    text = countries.read_text("utf-8")
    assert text.count("\ncountries:\n") == 1
    countries.write_text(text.replace("\ncountries:\n", f"\ncountries:\n{IRAQ}"), "utf-8")
    return run(home / "home", FIELDS, files, mappings)


def test_a_country_outside_the_partnership_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    refused = run(tmp_path / "home", FIELDS, files)
    assert refused.steps["validation"].texts["state"] == "rejected"
    assert "the country of the manifest is not one of the partnership" in refused.steps["validation"].texts["reasons"]


def test_the_cleaning_log_leaves_the_households_of_the_clean_file(made: Run, clean: pl.DataFrame) -> None:
    assert clean.height == 578
    assert made.numbers["n_accepted"] == 578, made.steps
    assert made.households.height == 578
    assert made.numbers["n_quarantined"] == 0
    assert made.numbers["n_refused"] == 0


def test_every_column_is_mapped_or_left_out_with_a_reason(made: Run) -> None:
    assert unknown_columns(made) == []


def test_answers_are_those_of_the_clean_file(made: Run, clean: pl.DataFrame) -> None:
    households = made.households
    assert households["household_size"].sum() == clean["num_hh_member"].sum()
    counts = dict(households["drinking_water_source"].value_counts().iter_rows())
    expected = dict(clean["water_source_drinking"].value_counts().iter_rows())
    names = {"piped": "piped_yard", "trucking": "tanker_truck", "tap": "public_tap", "bottled": "bottled"}
    assert counts == {names[code]: n for code, n in expected.items()}
    enough = clean.filter(pl.col("access_water_enough").is_in(ENOUGH)).height
    assert households.filter(pl.col("drinking_water_sufficient") == "sufficient").height == enough
    days = households["interview_date"].drop_nulls()
    assert len(days) == 578
    assert days.sort().to_list() == clean["date_assessment"].str.to_date().sort().to_list()


@pytest.mark.parametrize("language", [0, 1], ids=["English", "Arabic"])
def test_an_export_of_labels_gives_the_same_answers(
    made: Run, clean: pl.DataFrame, tmp_path: Path, language: int
) -> None:
    instrument = made.mappings.instruments[made.instrument]
    frame = labelled(
        clean.select(pl.all().cast(pl.String)), instrument.records["household"], instrument.choices, language
    )
    assert frame.columns != clean.columns
    fields = FIELDS | {"files": FIELDS["files"][:1]}
    again = run(tmp_path / "home", fields, {RAW: frame.write_csv().encode()}, made.settings.mappings.resolve())
    assert again.numbers["n_accepted"] == 578
    keys = ["household_key", "submission_id"]
    same = [name for name in made.households.columns if name not in keys]
    assert again.households.select(same).sort(same).equals(made.households.select(same).sort(same))


def test_members_of_households_headed_by_women_by_hand(made: Run, clean: pl.DataFrame) -> None:
    assert made.table(tables.CITIZEN_ESTIMATES).is_empty()  # people were asked and took no other part
    supported = made.supported()
    assert supported["stratum"].unique().to_list() == ["marginalised_group=women_headed_households"]
    women = clean.filter(pl.col("gender_hoh") == "female")
    improved, enough = pl.col("water_source_drinking").is_in(IMPROVED), pl.col("access_water_enough").is_in(ENOUGH)
    members = pl.col("num_hh_member")
    share = women.select(100 * members.filter(improved & enough).sum() / members.sum()).item()
    found = supported.filter(pl.col("series") == "LNOB_H2O_SUFFICIENT").row(0, named=True)
    assert found["estimate"] == pytest.approx(share, abs=1e-6)
    assert (found["n"], found["n_numerator"]) == (women.height, women.filter(improved & enough).height)
    assert (found["comparability"], found["standard_error"]) == ("C", None)
    # Neither the place of the water nor the way to it, the toilet or the light were asked.
    assert set(supported["series"]) == {"LNOB_H2O_SUFFICIENT"}


def test_no_id_of_an_interview_and_no_remark_is_kept(made: Run, folder: Path, clean: pl.DataFrame) -> None:
    raw = pl.read_csv(folder / RAW, infer_schema=False)
    ids = {value for name in ("X_uuid", "deviceid", "X_id", "X_submitted_by") for value in raw[name].drop_nulls()}
    assert len(ids) > 1_200
    assert not cells(made) & ids
    remarks = {
        text
        for name in raw.columns
        if name.endswith(("_other", "_why_not"))
        for text in raw[name].drop_nulls()
        if len(text) > 25 and not text.isascii()
    }
    assert len(remarks) > 100
    log = pl.read_csv(folder / LOG, infer_schema=False)
    remarks |= {text for text in log["Field.Officer.s.response"].drop_nulls() if len(text) > 25}
    assert found_again(made, remarks | set(raw["X_uuid"])) == set()
