"""Counts of cells, by hand for Kenya's goal 5, and their sums."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.cli_gaps import By, summary_tables
from lnob_pipeline.gaps.coverage import ALL, coverage
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.tables import COVERAGE

Make = Callable[..., pl.DataFrame]
PARTS = ("n_reported", "n_closes", "n_could_close", "n_informs", "n_illustrates", "n_not_shown", "n_nothing_yet")
COUNTS = [name for name in COVERAGE.schema if name.startswith("n_")]


def of_two(gaps: pl.DataFrame) -> pl.DataFrame:
    """The cells of the two indicators that the counts by hand are about."""
    return gaps.filter(pl.col("indicator").is_in(["5.3.1", "5.b.1"]))


def line(
    table: pl.DataFrame, breakdown: str, iso3: str = "KEN", goal: str = "5", category: str = ALL
) -> dict[str, Any]:
    found = table.filter(
        (pl.col("iso3") == iso3)
        & (pl.col("goal") == goal)
        & (pl.col("breakdown") == breakdown)
        & (pl.col("category") == category)
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
        ).pipe(of_two)
    )
    headline = line(table, "headline")
    # Three headlines, one not applicable. 5.b.1 has two years, both of nature C, and none before 2015: data point types
    # 1 and 2 under every choice of natures, 3 under none. The other is a gap: a discussion illustrates it.
    ones = {"n_reported", "n_illustrates"} | {
        f"{name}{nature}" for name in ("n_one_year", "n_two_years") for nature in ("", "_country_data", "_country")
    }
    assert {name: headline[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0) | dict.fromkeys(ones, 1) | {
        "n_expected": 3,
        "n_applicable": 2,
        "n_judged": 2,
    }
    # Women: reported with one year. Men: a gap that a national sample could close. 5.3.1 has no sex.
    sex = line(table, "sex")
    assert (sex["n_expected"], sex["n_judged"], sex["n_reported"], sex["n_two_years"]) == (2, 2, 1, 0)
    assert (sex["n_could_close"], sex["n_nothing_yet"]) == (1, 0)
    # The figure on women is estimated by the agency: one year of any nature, none of the country's own.
    women, men = (line(table, "sex", category=code) for code in ("F", "M"))
    assert (women["n_reported"], women["n_one_year"], women["n_one_year_country"]) == (1, 1, 0)
    assert (men["n_reported"], men["n_could_close"]) == (0, 1)
    # 23 of the 26 groups are spoken of in Kenya, for each of three series; those of the series that is N do not apply
    # (23), those of the silent one count under its headline (23), those of 5.b.1 are judged: a purposive sample informs
    # one, a discussion illustrates one.
    groups = line(table, "marginalised_group")
    assert (groups["n_expected"], groups["n_applicable"], groups["n_judged"]) == (69, 46, 23)
    assert (groups["n_informs"], groups["n_illustrates"], groups["n_nothing_yet"]) == (1, 1, 21)
    assert (groups["n_with_headline"], groups["n_with_headline_citizen"]) == (23, 0)
    of_one_group = line(table, "marginalised_group", category="ethnic_minorities")
    assert [of_one_group[name] for name in ("n_expected", "n_applicable", "n_judged", "n_informs")] == [3, 2, 1, 1]
    assert line(table, "sex x disability")["n_expected"] == 4


def test_not_loaded_is_not_judged(judge: Make, catalogue: Make, two: Mappings) -> None:
    table = coverage(of_two(judge(mappings=two, catalogue=catalogue(not_loaded=("IT_MOB_OWN",)))))
    headline = line(table, "headline")
    assert (headline["n_applicable"], headline["n_not_loaded"], headline["n_judged"]) == (3, 1, 2)


# Years and natures of one series -> the data point types that hold, for All, C and CNA (C and CA).
@pytest.mark.parametrize(
    ("rows", "every", "country_data", "country"),
    [
        ([], {}, {}, {}),
        ([(2014, "C"), (2013, "C")], {}, {}, {}),  # nothing since 2015
        ([(2015, "C")], {1}, {1}, {1}),
        ([(2016, "E"), (2018, "C")], {1, 2}, {1}, {1}),
        ([(2016, "CA"), (2018, "C")], {1, 2}, {1}, {1, 2}),
        ([(2018, "C"), (2018, "CA")], {1}, {1}, {1}),  # two figures of one year
        ([(2016, "C"), (2018, "C"), (2014, "C")], {1, 2}, {1, 2}, {1, 2}),  # one year before 2015 is no baseline
        ([(2016, "C"), (2018, "C"), (2014, "CA"), (2010, "C")], {1, 2, 3}, {1, 2}, {1, 2, 3}),
        ([(2016, "C"), (2018, "C"), (2014, "M"), (2010, "E")], {1, 2, 3}, {1, 2}, {1, 2}),
        ([(2016, "G"), (2018, "NA"), (2014, "C"), (2010, "C")], {1, 2, 3}, {}, {}),
        ([(2016, "N"), (2021, "C")], {}, {}, {}),  # not relevant; after the as-of year
    ],
)
def test_definitions_of_having_data_by_hand(
    judge: Make, two: Mappings, rows: list[tuple[int, str]], every: set[int], country_data: set[int], country: set[int]
) -> None:
    table = coverage(of_two(judge(*({"year": year, "nature": nature} for year, nature in rows), mappings=two)))
    headline = line(table, "headline")
    types = ("n_one_year", "n_two_years", "n_two_years_and_baseline")
    for ending, wanted in (("", every), ("_country_data", country_data), ("_country", country)):
        held = {number for number, name in enumerate(types, start=1) if headline[f"{name}{ending}"]}
        assert held == (wanted or set()), ending
    assert headline["n_one_year"] == headline["n_reported"]


def test_what_closes_is_counted_apart_from_what_could(
    judge: Make, estimates: Make, accepted: Make, two: Mappings
) -> None:
    could = coverage(of_two(judge(mappings=two, estimates=estimates({}))))
    closed = coverage(
        of_two(judge(mappings=two, estimates=estimates({}), decisions=accepted("statistics_office", "accept")))
    )
    assert [line(could, "headline")[name] for name in ("n_closes", "n_could_close")] == [0, 1]
    assert [line(closed, "headline")[name] for name in ("n_closes", "n_could_close")] == [1, 0]


def test_a_reported_stratum_of_a_missing_headline_is_counted(judge: Make) -> None:
    table = coverage(of_two(judge({"dimension_key": "sex=FEMALE"})))
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
    places = ("n_not_loaded", "n_with_headline", "n_judged")
    assert (table["n_applicable"] == table.select(pl.sum_horizontal(places)).to_series()).all()
    assert (table["n_expected"] >= table["n_applicable"]).all()
    whole = table.filter(pl.col("category") == ALL)
    assert whole["n_expected"].sum() == gaps.height
    assert whole["n_reported"].sum() == gaps.filter(pl.col("status") == "reported").height
    # The categories of a breakdown add up to it.
    keys = ["iso3", "goal", "breakdown"]
    summed = table.filter(pl.col("category") != ALL).group_by(keys).agg(pl.col(COUNTS).sum()).sort(keys)
    assert summed.height
    assert summed.equals(whole.join(summed, on=keys, how="semi").select(*keys, *COUNTS).sort(keys))
    # A stricter definition holds for fewer cells, under every choice of natures.
    for ending in ("", "_country_data", "_country"):
        one, two, three = (
            table[f"{name}{ending}"] for name in ("n_one_year", "n_two_years", "n_two_years_and_baseline")
        )
        assert (one >= two).all() and (two >= three).all()
        assert (table["n_two_years"] >= table[f"n_two_years{ending}"]).all()
    assert (table["n_one_year_country"] >= table["n_one_year_country_data"]).all()


def test_the_summary_counts_what_coverage_counts(judge: Make, estimates: Make) -> None:
    gaps = judge({"year": 2018}, {"year": 2016}, {"year": 2010, "iso3": "NPL"}, estimates=estimates({"iso3": "NPL"}))
    assert gaps["indicator"].n_unique() > 200
    table = coverage(gaps).filter(pl.col("category") == ALL)
    shown = summary_tables(gaps)
    for title, wanted in (
        ("Headlines, one a series", table.filter(pl.col("breakdown") == "headline")),
        ("All cells, headlines and breakdowns", table),
    ):
        by_country = wanted.group_by("iso3").agg(pl.col(COUNTS).sum().cast(pl.Int64)).sort("iso3")
        found = shown[title]
        assert found.filter(pl.col("iso3") != "all").select("iso3", *COUNTS).equals(by_country)
        sums = found.filter(pl.col("iso3") == "all").select(COUNTS)
        assert sums.equals(by_country.select(pl.col(COUNTS).sum()))
    # 5.b.1 is the one indicator with figures in Kenya: two years, both the country's own.
    kenya = shown["Indicators"].filter(pl.col("iso3") == "KEN").to_dicts()[0]
    assert (kenya["n_one_year"], kenya["n_two_years_country_data"], kenya["n_two_years_and_baseline"]) == (1, 1, 0)
    choices: tuple[tuple[By, str], ...] = (("goal", "goal"), ("group", "marginalised_group"))
    for by, key in choices:
        found = next(iter(summary_tables(gaps, by).values()))
        parts = found.filter(pl.col("iso3") != "all")
        assert parts["n_expected"].sum() == found.filter(pl.col("iso3") == "all")["n_expected"].item()
        assert parts[key].n_unique() > 10
