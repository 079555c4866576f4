"""Counts of cells, by hand for Kenya's goal 5, and their sums."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.mappings.load import Mappings

Make = Callable[..., pl.DataFrame]
PARTS = ("n_reported", "n_could_close", "n_informs", "n_illustrates", "n_not_shown", "n_nothing_yet")


def line(table: pl.DataFrame, breakdown: str, iso3: str = "KEN", goal: str = "5") -> dict[str, Any]:
    found = table.filter(
        (pl.col("iso3") == iso3) & (pl.col("goal") == goal) & (pl.col("breakdown") == breakdown)
    ).to_dicts()
    assert len(found) == 1
    return found[0]


@pytest.fixture
def two(mappings: Mappings) -> Mappings:
    """The library with two indicators of goal 5 alone."""
    return dataclasses.replace(mappings, indicators={code: mappings.indicators[code] for code in ("5.3.1", "5.b.1")})


def test_goal_5_of_kenya_by_hand(judge: Make, estimates: Make, evidence: Make, two: Mappings) -> None:
    # They have three series: IT_MOB_OWN (5.b.1), SP_DYN_MRBF15 and SP_DYN_MRBF18 (5.3.1, women of 20 to 24).
    # 5.b.1: headline of 2016 and 2018 (C), women of 2018 (E), no men. 5.3.1: nothing but an N for one of the series.
    rows = [
        {"year": 2016},
        {"year": 2018},
        {"year": 2018, "nature": "E", "dimension_key": "sex=FEMALE"},
        {"year": 2018, "series": "SP_DYN_MRBF15", "value_text": "N", "dimension_key": "age=20-24;sex=FEMALE"},
    ]
    table = coverage(
        judge(
            *rows,
            mappings=two,
            estimates=estimates(
                {"stratum": "sex=M", "sex": "M"},
                {
                    "stratum": "marginalised_group=ethnic_minorities",
                    "marginalised_group": "ethnic_minorities",
                    "comparability": "B",
                },
            ),
            evidence=evidence(
                {"marginalised_group": "lgbtiq"}, {"indicator": "5.3.1"}, {"indicator": "5.3.1", "iso3": "NPL"}
            ),
        )
    )
    headline = line(table, "headline")
    # Three headlines, one not applicable. 5.b.1 has two years, both the country's own. The other is a gap: a discussion
    # illustrates it.
    assert {name: headline[name] for name in headline if name.startswith("n_")} == {
        "n_expected": 3,
        "n_applicable": 2,
        "n_judged": 2,
        "n_reported": 1,
        "n_two_years": 1,
        "n_country_owned": 1,
        "n_could_close": 0,
        "n_informs": 0,
        "n_illustrates": 1,
        "n_not_shown": 0,
        "n_nothing_yet": 0,
    }
    # Women: reported with one year. Men: a gap that a national sample could close. 5.3.1 has no sex.
    sex = line(table, "sex")
    assert (sex["n_expected"], sex["n_judged"], sex["n_reported"], sex["n_two_years"]) == (2, 2, 1, 0)
    assert (sex["n_could_close"], sex["n_nothing_yet"]) == (1, 0)
    # 23 of the 26 groups are spoken of in Kenya, for each of three series; those of the series that is N do not apply
    # (23), those of the silent one count under its headline (23), those of 5.b.1 are judged: a purposive sample informs
    # one, a discussion illustrates one.
    groups = line(table, "marginalised_group")
    assert (groups["n_expected"], groups["n_applicable"], groups["n_judged"]) == (69, 46, 23)
    assert (groups["n_informs"], groups["n_illustrates"], groups["n_nothing_yet"]) == (1, 1, 21)
    assert line(table, "sex x disability")["n_expected"] == 4


def test_not_loaded_is_not_judged(judge: Make, catalogue: Make, two: Mappings) -> None:
    table = coverage(judge(mappings=two, catalogue=catalogue(not_loaded=("IT_MOB_OWN",))))
    assert (line(table, "headline")["n_applicable"], line(table, "headline")["n_judged"]) == (3, 2)


def test_one_country_owned_year_of_two_is_not_owned(judge: Make) -> None:
    table = coverage(judge({"year": 2016, "nature": "E"}, {"year": 2018}))
    assert (line(table, "headline")["n_two_years"], line(table, "headline")["n_country_owned"]) == (1, 0)


def test_a_reported_stratum_of_a_missing_headline_is_counted(judge: Make) -> None:
    table = coverage(judge({"dimension_key": "sex=FEMALE"}))
    sex = line(table, "sex")
    assert (sex["n_judged"], sex["n_reported"], sex["n_nothing_yet"]) == (1, 1, 0)


def test_parts_add_up(judge: Make, estimates: Make, evidence: Make) -> None:
    gaps = judge(
        {"year": 2018},
        {"year": 2010, "iso3": "NPL"},
        {"year": 2017, "iso3": "VNM", "value_text": "N"},
        estimates=estimates({}, {"iso3": "NPL", "comparability": "B"}),
        evidence=evidence({"iso3": "BGD"}),
    )
    table = coverage(gaps)
    assert (table["n_judged"] == table.select(pl.sum_horizontal(PARTS)).to_series()).all()
    assert (table["n_expected"] >= table["n_applicable"]).all()
    assert (table["n_applicable"] >= table["n_judged"]).all()
    assert table["n_expected"].sum() == gaps.height
    assert table["n_reported"].sum() == gaps.filter(pl.col("status") == "reported").height
