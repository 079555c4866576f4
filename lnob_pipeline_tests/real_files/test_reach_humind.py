"""Multi-sector needs assessment 2024 (REACH): 241 households in three strata, 965 members (Washington Group).

The answers are made up by a machine and name no country: the hand-in says so (synthetic), and one country of the
partnership stands in. Estimates are computed again here from the workbook, with nothing but Polars.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from lnob_pipeline import tables
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

FILE = "dummy_raw_data.xlsx"
FIELDS: Manifest = manifest(
    submission="nga-2024-needs-assessment",
    country="NGA",
    title="Multi-sector needs assessment 2024, data made up by a machine",
    organisation="REACH (IMPACT Initiatives)",
    synthetic=True,
    instrument="reach-humind-2024-v1",
    collection={"start": "2024-07-30", "end": "2024-07-30"},
    geography={"level": "community", "admin1": ["NG-BO"], "description": "Three invented areas"},
    population="Members of the households of three invented areas",
    sampling={
        "method": "probability",
        "frame": "Three areas with 1,000, 2,000 and 4,000 households (sheet sample_frame of the analysis plan)",
        "stages": 1,
        "strata": "stratum",
        "weight": "weight",
    },
    sample_size={"planned": 241, "achieved": 241},
    consent=PER_ROW | {"affirmative": ["yes"]},
    ethics=ethics("2024-07-30"),
    files=[{"path": FILE, "role": "data", "format": "xlsx"}],
)
UNKNOWN = ["dnk", "pnta"]
IMPROVED_TOILET = [
    "flush_piped_sewer", "flush_septic_tank", "flush_pit_latrine", "flush_dnk_where", "ventilated_pit_latrine_slab",
    "pit_latrine_slab", "twin_pit_latrine_slab", "compost", "container",
]  # fmt: skip
IMPROVED_WATER = [
    "piped_dwelling", "piped_compound", "piped_neighbour", "tap", "borehole", "protected_well", "protected_spring",
    "rainwater_collection", "tank_truck", "cart_tank", "kiosk", "bottled_water", "sachet_water",
]  # fmt: skip


@pytest.fixture(scope="module")
def file(citizen: Path) -> Path:
    return citizen / "reach_humind_data" / FILE


@pytest.fixture(scope="module")
def source(file: Path) -> pl.DataFrame:
    frame = pl.read_excel(file, sheet_name="main", infer_schema_length=0)
    assert frame.shape == (241, 367)
    return frame.with_columns(
        pl.col("weight", "hh_size", "wash_drinking_water_time_int").cast(pl.Float64, strict=False)
    )


@pytest.fixture(scope="module")
def roster(file: Path) -> pl.DataFrame:
    return pl.read_excel(file, sheet_name="roster", infer_schema_length=0)


@pytest.fixture(scope="module")
def made(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("humind") / "home", FIELDS, {FILE: file.read_bytes()})


@pytest.fixture(scope="module")
def supported(made: Run) -> pl.DataFrame:
    return made.supported()


def share(source: pl.DataFrame, inside: pl.Expr) -> float:
    """Percent of the members of households where `inside` is true, among those where it is known."""
    weight = pl.col("weight") * pl.col("hh_size")
    known = source.select(inside.cast(pl.Float64).alias("in"), weight.alias("w")).drop_nulls("in")
    return float(known.select(100 * (pl.col("in") * pl.col("w")).sum() / pl.col("w").sum()).item())


def headline(supported: pl.DataFrame, series: str) -> dict[str, object]:
    return supported.filter(pl.col("series") == series, pl.col("stratum") == "_T").row(0, named=True)


def test_households_and_members_are_accepted_and_impossible_ages_are_listed(made: Run, roster: pl.DataFrame) -> None:
    assert made.numbers == {"n_rows": 241, "n_accepted": 241, "n_quarantined": 0, "n_refused": 0}, made.steps
    assert (made.households.height, made.persons.height) == (241, 965)
    listed = made.table(tables.QUARANTINE)
    above = roster.filter(pl.col("ind_age").cast(pl.Float64) > 110).height
    assert above == 72
    assert dict(listed.group_by("rule_id", "effect", "column").len().select("column", "len").iter_rows()) == {
        "ind_age": above
    }


def test_every_column_is_mapped_or_left_out_with_a_reason(made: Run) -> None:
    assert unknown_columns(made) == []


def test_without_engagement_nothing_is_estimated(made: Run) -> None:
    assert made.table(tables.CITIZEN_ESTIMATES).is_empty()


def basic_sanitation() -> pl.Expr:
    """Whether the toilet is improved and not shared; null where either answer is open and would decide."""
    facility, shared = pl.col("wash_sanitation_facility"), pl.col("wash_sanitation_facility_sharing_yn")
    return (
        pl.when(facility.is_in(UNKNOWN))
        .then(None)
        .when(~facility.is_in(IMPROVED_TOILET))
        .then(False)
        .when(~shared.is_in(UNKNOWN))
        .then(shared == "no")
    )


def test_basic_sanitation(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    found = headline(supported, "SP_ACS_BSRVSAN")
    assert found["estimate"] == pytest.approx(share(source, basic_sanitation()), abs=1e-6)
    assert found["n"] == source.select(basic_sanitation()).to_series().drop_nulls().len()
    assert (found["comparability"], found["unit"]) == ("A", "PERCENT")


def test_basic_sanitation_by_disability_counts_members(
    supported: pl.DataFrame, source: pl.DataFrame, roster: pl.DataFrame
) -> None:
    questions = [name for name in roster.columns if name.startswith("wgq_")]
    assert len(questions) == 6
    severe = pl.any_horizontal(pl.col(questions).is_in(["lot_of_difficulty", "cannot_do"]))
    with_disability = roster.filter(severe, pl.col("ind_age").cast(pl.Float64).is_between(5, 110)).select("uuid")
    members = with_disability.join(source.with_columns(inside=basic_sanitation()), on="uuid").drop_nulls("inside")
    percent = members.select(100 * pl.col("weight").filter("inside").sum() / pl.col("weight").sum()).item()
    found = supported.filter(pl.col("series") == "SP_ACS_BSRVSAN", pl.col("stratum") == "disability=yes")
    assert found["estimate"].item() == pytest.approx(percent, abs=1e-6)
    assert found["n"].item() == members["uuid"].n_unique()


def test_open_defecation_needs_no_answer_on_sharing(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    facility = pl.col("wash_sanitation_facility")
    inside = pl.when(~facility.is_in(UNKNOWN)).then(facility == "none")
    found = headline(supported, "SH_SAN_DEFECT")
    assert found["estimate"] == pytest.approx(share(source, inside), abs=1e-6)


def test_basic_water_is_class_c_because_the_queue_is_not_named(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    water, place = pl.col("wash_drinking_water_source"), pl.col("wash_drinking_water_time_yn")
    inside = (
        pl.when(water.is_in(UNKNOWN))
        .then(None)
        .when(~water.is_in(IMPROVED_WATER))
        .then(False)
        .when(water.is_in(["piped_dwelling", "piped_compound"]) | (place == "water_on_premises").fill_null(False))
        .then(True)
        .otherwise(pl.col("wash_drinking_water_time_int") <= 30)
    )
    found = headline(supported, "SP_ACS_BSRVH2O")
    assert found["estimate"] == pytest.approx(share(source, inside), abs=1e-6)
    assert found["n"] == source.select(inside.alias("in")).drop_nulls().height
    assert found["comparability"] == "C"
    assert "queue" in str(found["comparability_reason"])


def test_never_too_little_is_good(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    water, lack = pl.col("wash_drinking_water_source"), pl.col("wash_drinking_water_quantity")
    improved = pl.when(~water.is_in(UNKNOWN)).then(water.is_in(IMPROVED_WATER))
    enough = pl.when(~lack.is_in(UNKNOWN)).then(lack == "never")
    found = headline(supported, "LNOB_H2O_SUFFICIENT")
    assert found["estimate"] == pytest.approx(share(source, improved & enough), abs=1e-6)
    assert found["comparability"] == "C"


def test_clean_light(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    light = pl.col("energy_lighting_source")
    clean = ["electricity", "solar_flashlight", "rechargeable_flashlight", "battery_flashlight", "biogas"]
    inside = pl.when(~light.is_in([*UNKNOWN, "none", "other"])).then(light.is_in(clean))
    found = headline(supported, "EG_CFT_LIGHT")
    assert found["estimate"] == pytest.approx(share(source, inside), abs=1e-6)
    assert found["comparability"] == "C"


def test_handwashing_counts_what_was_seen(supported: pl.DataFrame, source: pl.DataFrame) -> None:
    place = pl.col("wash_handwashing_facility")
    water = pl.col("wash_handwashing_facility_observed_water")
    soap = pl.col("wash_handwashing_facility_observed_soap")
    inside = (
        pl.when(place == "none")
        .then(False)
        .when(place == "available")
        .then((water == "water_available") & (soap == "soap_available"))
    )
    found = headline(supported, "SH_SAN_HNDWSH")
    assert found["estimate"] == pytest.approx(share(source, inside), abs=1e-6)
    assert found["n"] == source.select(inside.alias("in")).drop_nulls().height


def test_a_person_who_refuses_a_domain_is_not_without_disability(made: Run, roster: pl.DataFrame) -> None:
    questions = [name for name in roster.columns if name.startswith("wgq_")]
    mild = roster.filter(
        pl.col("ind_age").cast(pl.Float64).is_between(5, 110),
        pl.all_horizontal(pl.col(questions).is_in(["no_difficulty", "some_difficulty"])),
    ).height
    assert made.persons.filter(pl.col("disability") == "no").height == mild


@pytest.mark.parametrize("language", [0, 1], ids=["English", "French"])
def test_an_export_of_labels_gives_the_same_answers(
    made: Run, source: pl.DataFrame, roster: pl.DataFrame, tmp_path: Path, language: int
) -> None:
    instrument = made.mappings.instruments[made.instrument]
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as workbook:
        for name, frame in (("household", source), ("member", roster)):
            record = instrument.records[name]
            labels = labelled(frame.select(pl.all().cast(pl.String)), record, instrument.choices, language)
            assert labels.columns != frame.columns
            labels.write_excel(workbook, worksheet=record.table)
    again = run(tmp_path / "home", FIELDS, {FILE: content.getvalue()})
    assert again.numbers["n_accepted"] == 241
    exact = pl.exclude("household_weight")  # written here with nine digits
    assert again.households.select(exact).equals(made.households.select(exact))
    assert again.persons.equals(made.persons)


def test_no_device_id_or_remark_is_kept(made: Run, source: pl.DataFrame, roster: pl.DataFrame) -> None:
    ids = {value for name in ("uuid", "deviceid", "person_id") for value in source[name]} | set(roster["person_id"])
    assert not cells(made) & ids
    remarks = [name for name in source.columns if name.startswith("other_")] + ["final_text"]
    texts = {text for name in remarks for text in source[name].drop_nulls() if len(text) > 12}
    assert len(texts) > 1_000
    assert found_again(made, texts | set(source["uuid"])) == set()
