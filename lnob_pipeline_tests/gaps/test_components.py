"""Components beside official series, and series that are not in percent."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.comparison import compare
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Component
from lnob_pipeline.settings import Settings

Row = dict[str, Any]
Make = Callable[..., pl.DataFrame]
CODE = "LNOB_PHONE_DEVICE"
CITIZEN = {"series": CODE, "comparability": "C", "comparability_reason": "component: SIM cards are not asked"}


def with_component(mappings: Mappings, computed: bool) -> Mappings:
    """The library with a component of 5.b.1, whose two series are IT_MOB_OWN and one that is never computed."""
    indicator = mappings.indicators["5.b.1"]
    (series,) = indicator.series
    measure = series.measure
    assert measure is not None
    component = Component(
        code=CODE, title="Has a device", unit="PERCENT", because="SIM cards are not asked", measure=measure
    )
    not_computed = {"measure": None, "match": None, "not_computed_because": "never"}
    other = series.model_copy(update={"code": "IT_OTHER"} | not_computed)
    own = series if computed else series.model_copy(update=not_computed)
    changed = indicator.model_copy(update={"components": [component], "series": [own, other]})
    return dataclasses.replace(mappings, indicators=mappings.indicators | {"5.b.1": changed})


def test_no_official_figure_is_joined_to_a_component(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings
) -> None:
    table = compare(
        observations({}, {"series": CODE}), catalogue(), estimates(CITIZEN), with_component(mappings, True), as_of_2020
    )
    (row,) = table.filter(pl.col("submission_id").is_not_null()).to_dicts()
    # Even if an official release came to use the code: it is not one of the expected cells.
    assert (row["series"], row["relation"], row["official_value"]) == (CODE, "citizen_only", None)
    assert row["differences"] == "component of 5.b.1, not the official series"
    (official,) = table.filter((pl.col("relation") == "official_only") & (pl.col("stratum") == "_T")).to_dicts()
    assert official["series"] == "IT_MOB_OWN"


@pytest.mark.parametrize(
    ("computed", "effects"),
    [
        (True, {"IT_MOB_OWN": "nothing_yet", "IT_OTHER": "illustrates"}),
        (False, dict.fromkeys(["IT_MOB_OWN", "IT_OTHER"], "illustrates")),
    ],
)
def test_a_component_illustrates_the_series_that_are_not_computed(
    judge: Make, estimates: Make, mappings: Mappings, computed: bool, effects: dict[str, str]
) -> None:
    gaps = judge(estimates=estimates(CITIZEN), mappings=with_component(mappings, computed))
    headlines = gaps.filter((pl.col("indicator") == "5.b.1") & (pl.col("iso3") == "KEN") & (pl.col("stratum") == "_T"))
    assert dict(headlines.select("series", "citizen_effect").iter_rows()) == effects
    assert CODE not in gaps["series"].to_list()
    behind = headlines.filter(pl.col("citizen_effect") == "illustrates")["citizen_submissions"]
    assert set(behind) == {"ken-2019-survey"}


def test_a_component_illustrates_all_series_where_all_are_computed(
    judge: Make, estimates: Make, mappings: Mappings
) -> None:
    changed = with_component(mappings, True)
    indicator = changed.indicators["5.b.1"]
    alone = indicator.model_copy(update={"series": indicator.series[:1]})
    changed = dataclasses.replace(changed, indicators={"5.b.1": alone})
    gaps = judge(estimates=estimates(CITIZEN), mappings=changed)
    own = (pl.col("iso3") == "KEN") & (pl.col("indicator") == "5.b.1") & (pl.col("stratum") == "_T")
    (effect,) = gaps.filter(own)["citizen_effect"]
    assert effect == "illustrates"
    # The estimate of the series itself is stronger, and names its own submission.
    other = {"submission_id": "ken-2019-other", "comparability": "B"}
    gaps = judge(estimates=estimates(CITIZEN, other), mappings=changed)
    (row,) = gaps.filter(own).to_dicts()
    assert (row["citizen_effect"], row["citizen_submissions"]) == ("informs", "ken-2019-other")


@pytest.mark.parametrize("change", [{"reliability": "too_few_cases"}, {"estimate": None, "status": "not_estimable: x"}])
def test_a_component_without_a_number_illustrates_nothing(
    judge: Make, estimates: Make, mappings: Mappings, change: Row
) -> None:
    gaps = judge(estimates=estimates(CITIZEN | change), mappings=with_component(mappings, False))
    assert set(gaps["citizen_effect"]) == {"nothing_yet"}


def per_thousand(mappings: Mappings) -> Mappings:
    indicator = mappings.indicators["5.b.1"]
    (series,) = indicator.series
    changed = indicator.model_copy(update={"series": [series.model_copy(update={"unit": "PER_1000"})]})
    return dataclasses.replace(mappings, indicators={"5.b.1": changed})


BIRTHS = {"unit": "PER_1000", "estimate": 150.0, "ci_low": 120.0, "ci_high": 180.0, "standard_error": 15.0}
CASES = [
    ({"value_text": "300"}, BIRTHS, set()),  # thresholds are said of percent: not judged without bounds
    ({"value_text": "300", "lower_bound": 280.0, "upper_bound": 320.0}, BIRTHS, {"discrepancy"}),
    ({"value_text": "160", "lower_bound": 140.0, "upper_bound": 180.0}, BIRTHS, set()),
    ({"value_text": ">95"}, BIRTHS, set()),  # an open end has no end at 100
]


@pytest.mark.parametrize(("official", "citizen", "flags"), CASES)
def test_other_units_are_compared_in_their_own(
    observations: Make,
    estimates: Make,
    catalogue: Make,
    mappings: Mappings,
    as_of_2020: Settings,
    cell: Callable[..., Row],
    official: Row,
    citizen: Row,
    flags: set[str],
) -> None:
    rows = observations(official | {"units": "PER_1000"})
    table = compare(rows, catalogue(), estimates(citizen), per_thousand(mappings), as_of_2020)
    found = cell(table)
    assert found["flags"] == flags
    assert found["unit"] == "PER_1000"
    only = compare(observations(official), catalogue(), estimates(), per_thousand(mappings), as_of_2020)
    assert cell(only)["unit"] == "PER_1000"  # the unit is there where no citizen figure is
