"""Official and citizen figures side by side: relations, differences, and when a difference is flagged."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.comparison import compare
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings

Row = dict[str, Any]
Make = Callable[..., pl.DataFrame]
Cell = Callable[..., Row]


@pytest.fixture
def beside(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> Callable[..., Row]:
    """The comparison of one official row with one estimate, for the headline of Kenya's 5.b.1."""

    def make(official: Row | None, citizen: Row | None, settings: Settings = as_of_2020) -> Row:
        table = compare(
            observations(*([official] if official is not None else [])),
            catalogue(),
            estimates(*([citizen] if citizen is not None else [])),
            mappings,
            settings,
        )
        return cell(table)

    return make


def test_relations(beside: Callable[..., Row]) -> None:
    assert beside({}, {})["relation"] == "same_line"
    assert beside({}, None)["relation"] == "official_only"
    assert beside(None, {})["relation"] == "citizen_only"
    for change in (
        {"area_level": "admin1", "area": "KE-17"},
        {"comparability": "B"},
        {"comparability": "C"},
        {"sampling_method": "quota"},
        {"status": "not_estimable", "estimate": None},
    ):
        assert beside({}, change)["relation"] == "beside"


def test_neither_side_fills_the_other(beside: Callable[..., Row]) -> None:
    citizen_only = beside(None, {})
    assert [citizen_only[name] for name in citizen_only if name.startswith("official_")] == [
        "2020-10",
        None,
        None,
        None,
        None,
    ]
    official_only = beside({}, None)
    assert all(official_only[name] is None for name in official_only if name.startswith("citizen_"))
    assert official_only["submission_id"] is None


def test_the_latest_usable_value_of_the_country_itself(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> None:
    official = observations(
        {"year": 2016, "value_text": "41"},
        {"year": 2018, "value_text": "42", "nature": "E"},
        {"year": 2018, "value_text": "43", "nature": "CA"},
        {"year": 2019, "value_text": "NA"},
        {"year": 2019, "value_text": "44", "nature": "N"},
        {"year": 2025, "value_text": "45"},
    )
    found = cell(compare(official, catalogue(), estimates(), mappings, as_of_2020))
    assert (found["official_year"], found["official_value"], found["official_nature"]) == (2018, 43.0, "CA")


def test_estimates_of_two_submissions_stand_in_two_rows(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings
) -> None:
    table = compare(observations({}), catalogue(), estimates({}, {"submission_id": "ken-2020-b"}), mappings, as_of_2020)
    assert table.select("submission_id", "official_value").rows() == [
        ("ken-2019-survey", 50.0),
        ("ken-2020-b", 50.0),
    ]


def test_strata_meet_their_official_codes(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> None:
    official = observations(
        {"value_text": "51", "dimension_key": "sex=FEMALE"},
        {"value_text": "52", "dimension_key": "disability_status=PD"},
        {"value_text": "53", "dimension_key": "disability_status=PWD"},
        {"value_text": "54", "dimension_key": "disability_status=PD;sex=FEMALE"},
        {"value_text": "55", "dimension_key": "location=URBAN;sex=FEMALE"},
    )
    names = ("sex=F", "disability=yes", "disability=no", "sex=F;disability=yes", "marginalised_group=ethnic_minorities")
    citizen = estimates(*({"stratum": name, **dict(part.split("=") for part in name.split(";"))} for name in names))
    table = compare(official, catalogue(), citizen, mappings, as_of_2020)
    found = {name: cell(table, stratum=name)["official_value"] for name in names}
    # SDMX: PD is with, PWD is without disability.
    assert found == dict(zip(names, [51.0, 52.0, 53.0, 54.0, None], strict=True))
    # The same figure stands for the group of persons with disabilities, where there is no citizen estimate.
    group = cell(table, stratum="marginalised_group=persons_with_disabilities")
    assert (group["relation"], group["official_value"]) == ("official_only", 52.0)
    assert cell(table, stratum="marginalised_group=ethnic_minorities")["relation"] == "citizen_only"


def test_differences_are_named(beside: Callable[..., Row]) -> None:
    assert beside({"year": 2019}, {})["differences"] == ""
    found = beside(
        {"year": 2016, "nature": "E", "value_text": "<2.5"},
        {
            "definition_version": "2023-03",
            "comparability": "B",
            "sampling_method": "purposive",
            "area_level": "community",
            "area": "KE-17",
            "population": "interviewed respondents of the group; a share of respondents",
        },
    )["differences"].split(" | ")
    assert found == [
        "definition: version 2023-03 against 2020-10",
        "area: KE-17 (community) against the country",
        "population: interviewed respondents of the group; a share of respondents",
        "year: 2019 against 2016, 3 apart",
        "sampling: purposive, no interval",
        "nature: estimated by the agency (E)",
        "precision: the official value is censored (<2.5)",
    ]
    adapted = beside(
        {"year": 2019}, {"comparability": "C", "comparability_reason": "adapted definition: the household"}
    )
    assert adapted["differences"] == "definition: adapted definition: the household"
    unnamed = beside({"year": 2019}, {"area_level": "admin1"})
    assert unnamed["differences"] == "area: a part of it (admin1) against the country"


# The estimate is 60 with a standard error of 2 and an interval of 56 to 64; collected in 2019.
@pytest.mark.parametrize(
    ("official", "flag"),
    [
        # No bounds: outside the interval, and further away than 5 points.
        ({"value_text": "54.9"}, {"discrepancy"}),
        ({"value_text": "55.5"}, set()),  # outside 56 to 64, but 4.5 points away
        ({"value_text": "65.1"}, {"discrepancy"}),
        ({"value_text": "57"}, set()),
        # Published bounds of +-3.92 are a standard error of 2: 1.96 x sqrt(4 + 4) = 5.54.
        ({"value_text": "54.4", "lower_bound": 50.48, "upper_bound": 58.32}, {"discrepancy"}),  # 5.6 away
        ({"value_text": "54.5", "lower_bound": 50.58, "upper_bound": 58.42}, set()),  # 5.5 away
        # The wider half counts: 7.84 is a standard error of 4: 1.96 x sqrt(4 + 16) = 8.77.
        ({"value_text": "52", "lower_bound": 44.16, "upper_bound": 55.0}, set()),  # 8 away
        ({"value_text": "51", "lower_bound": 43.16, "upper_bound": 54.0}, {"discrepancy"}),  # 9 away
        # Estimated and modelled figures differ as models do.
        ({"value_text": "40", "nature": "E"}, {"differs_from_model"}),
        ({"value_text": "40", "nature": "M"}, {"differs_from_model"}),
        ({"value_text": "40", "nature": "G"}, {"discrepancy"}),
        # Within two years.
        ({"value_text": "40", "year": 2017}, {"discrepancy"}),
        ({"value_text": "40", "year": 2016}, set()),
        # A censored value is an interval: >95 begins 35 points away, >50 holds 60.
        ({"value_text": ">95"}, {"discrepancy"}),
        ({"value_text": ">50"}, set()),
        ({"value_text": "<2.5"}, {"discrepancy"}),
    ],
)
def test_when_a_difference_is_flagged(beside: Callable[..., Row], official: Row, flag: set[str]) -> None:
    found = beside(official, {})
    assert found["relation"] == "same_line"
    assert found["flags"] == flag


@pytest.mark.parametrize(
    "change",
    [
        {"area_level": "admin1", "area": "KE-17,KE-43"},
        {"comparability": "B"},
        {"comparability": "C"},
        {"definition_version": "2023-03"},
        {"reliability": "too_few_cases"},
    ],
)
def test_a_figure_that_is_not_the_same_thing_is_never_wrong(beside: Callable[..., Row], change: Row) -> None:
    assert beside({"value_text": "1"}, {})["flags"] == {"discrepancy"}
    assert beside({"value_text": "1"}, change)["flags"] == set()


def test_thresholds_are_settings(beside: Callable[..., Row], as_of_2020: Settings) -> None:
    official = {"value_text": "54", "year": 2016}
    wide = dataclasses.replace(as_of_2020, comparison_window_years=3)
    assert beside(official, {})["flags"] == set()
    assert beside(official, {}, wide)["flags"] == {"discrepancy"}
    assert beside(official, {}, dataclasses.replace(wide, discrepancy_points=7.0))["flags"] == set()
