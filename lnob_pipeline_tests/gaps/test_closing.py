"""Which questions would close a gap and for whom, by hand, and where none would."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.closing import why_not, with_closing
from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.load import Mappings

Row = dict[str, Any]
SHORT_SET = [f"difficulty_{name}" for name in (
    "seeing", "hearing", "walking", "remembering", "self_care", "communicating",
)]  # fmt: skip


@pytest.fixture
def closing(mappings: Mappings) -> Callable[..., Row]:
    def make(series: str, stratum: str, indicator: str = "8.10.2", **more: str) -> Row:
        row = {"iso3": "KEN", "indicator": indicator, "series": series, "stratum": stratum, "status": "never_reported"}
        (found,) = with_closing(pl.LazyFrame([row | more]), mappings).collect().to_dicts()
        return {name: found[name] for name in ("closing_questions", "closing_group")}

    return make


def test_questions_of_the_measure_and_of_the_breakdown_in_the_order_of_the_bank(closing: Callable[..., Row]) -> None:
    account = ["age", "account_institution", "mobile_money_12_months"]
    assert closing("FB_BNK_ACCSS", "_T") == {
        "closing_questions": ",".join(account),
        "closing_group": "everybody",
    }
    both = closing("FB_BNK_ACCSS", "sex=F;disability=yes")
    assert both["closing_questions"].split(",") == ["sex", "age", *SHORT_SET, *account[1:]]
    assert both["closing_group"] == "Female, With disability"
    group = closing("FB_BNK_ACCSS", "marginalised_group=ethnic_minorities")
    assert group == {
        "closing_questions": "marginalised_groups,age,account_institution,mobile_money_12_months",
        "closing_group": "Ethnic minorities",
    }


@pytest.mark.parametrize("status", ["reported", "not_applicable", "not_loaded"])
def test_what_is_no_gap_has_nothing_to_close(closing: Callable[..., Row], status: str) -> None:
    assert set(closing("FB_BNK_ACCSS", "_T", status=status).values()) == {""}


def test_nothing_is_named_where_the_library_has_no_file(closing: Callable[..., Row], mappings: Mappings) -> None:
    assert set(closing("AG_FLS_IDX", "_T", indicator="12.3.1").values()) == {""}
    assert "no file for the indicator" in str(why_not(None, None, "KEN", mappings))


def test_a_series_closes_where_it_is_computed_exactly_and_else_says_why_not(mappings: Mappings) -> None:
    seen = set()
    cells = [
        {"iso3": iso3, "indicator": code, "series": series.code, "stratum": "_T", "status": "no_series"}
        for code, indicator in mappings.indicators.items()
        for series in indicator.series
        for iso3 in mappings.countries
    ]
    table = with_closing(pl.LazyFrame(cells), mappings).collect()
    assert table.height == len(cells)
    for row in table.iter_rows(named=True):
        indicator = mappings.indicators[row["indicator"]]
        series = next(item for item in indicator.series if item.code == row["series"])
        reason = why_not(indicator, series, row["iso3"], mappings)
        assert bool(row["closing_questions"]) == (reason is None), row
        if reason is None:
            assert series.match == "exact" and series.measure is not None
            asked = measures.questions(series.measure, mappings, optional=False)
            assert set(row["closing_questions"].split(",")) == asked
        else:
            seen.add(reason.split(":")[0].split("(")[0].strip())
    assert "the library does not compute the series from answers" in seen
    assert "the questions of the bank give it by another definition" in seen
    assert any("but" in reason for reason in seen), "no country lacks a parameter or national weights any more"
