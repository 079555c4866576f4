"""Bangladesh household survey, round of 1998/99: 1,129 households in Stata, weighted, 32 thanas.

The file has no consent question. As published it is refused; `made` adds the column that its producer would have
to add, so that the rest can be tested. It gives no estimate, for want of poverty lines, dates and a roster.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from lnob_pipeline import tables
from lnob_pipeline_tests.real_files.hand_in import PER_ROW, Manifest, Run, cells, ethics, manifest, run, unknown_columns

FILE = "hh_98.dta"
FIELDS: Manifest = manifest(
    submission="bgd-1998-household-survey",
    country="BGD",
    title="Bangladesh household survey 1998/99, teaching file",
    organisation="Bangladesh Institute of Development Studies and World Bank",
    instrument="wb-bangladesh-1998-v1",
    collection={"start": "1998-01-01", "end": "1999-12-31"},
    geography={"level": "national", "description": "Rural households of 32 thanas in Bangladesh"},
    population="Rural households of Bangladesh, 1998/99",
    sampling={
        "method": "probability",
        "frame": "Thanas with and without credit programmes, villages in them, households of the villages",
        "stages": 3,
        "cluster": "thanaid",
        "weight": "weight",
    },
    sample_size={"planned": 1129, "achieved": 1129},
    consent=PER_ROW | {"affirmative": ["1"]},
    ethics=ethics("1998-01-01"),
    files=[{"path": FILE, "role": "data", "format": "stata"}],
)


@pytest.fixture(scope="module")
def shared_file(citizen: Path) -> Path:
    return citizen / "wb_bangladesh_dta" / "data" / FILE


@pytest.fixture(scope="module")
def source(shared_file: Path) -> pl.DataFrame:
    frame: pl.DataFrame = pyreadstat.read_dta(str(shared_file), output_format="polars")[0]
    return frame


@pytest.fixture(scope="module")
def made(source: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("wb")
    pyreadstat.write_dta(source.with_columns(consent=pl.lit(1)), str(home / FILE), version=13)
    return run(home / "home", FIELDS, {FILE: (home / FILE).read_bytes()})


def test_as_published_it_is_refused_because_nobody_can_know_who_agreed(shared_file: Path, tmp_path: Path) -> None:
    refused = run(tmp_path / "home", FIELDS, {FILE: shared_file.read_bytes()})
    step = refused.steps["validation"]
    assert step.texts["state"] == "rejected"
    assert "the consent question (consent) is not a column of the data" in step.texts["reasons"]
    assert refused.numbers == {"n_rows": 1129, "n_accepted": 0, "n_quarantined": 1129, "n_refused": 0}
    assert not (refused.settings.lake / tables.RESPONSES.name).exists()


def test_every_household_is_accepted(made: Run) -> None:
    assert made.numbers == {"n_rows": 1129, "n_accepted": 1129, "n_quarantined": 0, "n_refused": 0}, made.steps
    assert made.table(tables.QUARANTINE).is_empty()


def test_every_column_is_mapped_or_left_out_with_a_reason(made: Run) -> None:
    assert unknown_columns(made) == []


def test_numbers_and_design_are_those_of_the_file(made: Run, source: pl.DataFrame) -> None:
    households = made.households
    assert households["cluster"].n_unique() == source["thanaid"].n_unique() == 32
    assert households["household_size"].sum() == source["famsize"].sum()
    assert households["household_weight"].sum() == pytest.approx(source["weight"].sum(), rel=1e-6)
    assert (households["welfare_aggregate"] * 12).sum() == pytest.approx(source["exptot"].sum(), rel=1e-6)


def test_women_head_households_and_nothing_is_claimed_of_the_others(made: Run, source: pl.DataFrame) -> None:
    counts = dict(made.households["marginalised_groups"].value_counts().iter_rows())
    women = source.filter(pl.col("sexhead") == 0).height
    assert counts == {"women_headed_households": women, "not_asked": 1129 - women}
    assert women == 104


def test_without_a_poverty_line_there_is_no_poverty(made: Run) -> None:
    estimated = made.table(tables.CITIZEN_ESTIMATES)
    assert estimated.is_empty()
    assert made.supported().is_empty()
    lines = made.households.select("national_poverty_line", "consumption_per_person_day_ppp")
    assert lines.null_count().row(0) == (1129, 1129)


def test_no_household_number_is_kept(made: Run, source: pl.DataFrame) -> None:
    numbers = {str(int(number)) for number in source["nh"] if number >= 10_000}
    assert len(numbers) == 1129
    assert not cells(made) & numbers
    assert {"nh", "hhland", "agehead", "villid"}.isdisjoint(made.table(tables.RESPONSES).columns)
