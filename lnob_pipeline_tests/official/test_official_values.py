"""Every spelling of an official value, read as a number, an interval or a reason for silence."""

from __future__ import annotations

import math
import string

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.official.values import VALUE_FLAGS, parse_values


def read(text: str | None, units: str | None = "PERCENT") -> tuple[float | None, float | None, float | None, str]:
    frame = pl.DataFrame({"value_text": [text], "units": [units]}, schema={"value_text": pl.String, "units": pl.String})
    row = parse_values(frame).row(0, named=True)
    assert row["value_text"] == text, "the text is always kept"
    return row["value"], row["lower"], row["upper"], row["value_flag"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("44", (44.0, 44.0, 44.0, "number")),
        ("-15.1", (-15.1, -15.1, -15.1, "number")),
        ("24,644", (24644.0, 24644.0, 24644.0, "number")),
        ("1,234,567.5", (1234567.5, 1234567.5, 1234567.5, "number")),
        ("   26", (26.0, 26.0, 26.0, "number")),
        ("\u00a026\r\n", (26.0, 26.0, 26.0, "number")),
        ("1.2E-05", (1.2e-05, 1.2e-05, 1.2e-05, "number")),
        ("0", (0.0, 0.0, 0.0, "number")),
        ("<2.5", (None, 0.0, 2.5, "below")),
        ("< 0.1", (None, 0.0, 0.1, "below")),
        ("<=5", (None, 0.0, 5.0, "below")),
        ("<-5", (None, None, -5.0, "below")),
        (">95", (None, 95.0, 100.0, "above")),
        ("> 95", (None, 95.0, 100.0, "above")),
        (">=80", (None, 80.0, 100.0, "above")),
        (">1,000", (None, 1000.0, None, "above")),
        ("N", (None, None, None, "not_applicable")),
        ("NV", (None, None, None, "withheld")),
        ("NA", (None, None, None, "not_provided")),
        ("NaN", (None, None, None, "not_provided")),
        (". . .", (None, None, None, "not_provided")),
        ("...", (None, None, None, "not_provided")),
        ("", (None, None, None, "not_provided")),
        ("  ", (None, None, None, "not_provided")),
        (None, (None, None, None, "not_provided")),
        ("24,64", (None, None, None, "unreadable")),
        ("1,23,456", (None, None, None, "unreadable")),
        ("1 2", (None, None, None, "unreadable")),
        ("5 %", (None, None, None, "unreadable")),
        ("44.5a", (None, None, None, "unreadable")),
        ("1e999", (None, None, None, "unreadable")),
        ("inf", (None, None, None, "unreadable")),
        ("n", (None, None, None, "unreadable")),
        ("<", (None, None, None, "unreadable")),
        ("2.5<", (None, None, None, "unreadable")),
    ],
)
def test_each_known_spelling(text: str | None, expected: tuple[float | None, float | None, float | None, str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("units", ["NUMBER", "PER_100000_POP", None])
def test_above_is_open_where_the_unit_has_no_ceiling(units: str | None) -> None:
    assert read(">95", units) == (None, 95.0, None, "above")


def test_a_carriage_return_in_the_unit_does_not_hide_it() -> None:
    assert read(">95", "PERCENT\r\n") == (None, 95.0, 100.0, "above")


@pytest.mark.parametrize("units", ["NUM_TH", "NUM_M", "CU_USD_M", "CON_USD_M", "CU_USD_B"])
def test_a_figure_in_thousands_or_millions_stays_in_its_unit(units: str) -> None:
    assert read("24,644.5", units) == (24644.5, 24644.5, 24644.5, "number")


def test_thousands_are_not_cut_at_the_comma() -> None:
    # A reader that takes the first run of digits publishes 24 for 24,644.
    value, *_ = read("24,644", "NUMBER")
    assert value == 24644.0


def test_lazy_and_eager_agree_and_the_other_columns_stay() -> None:
    frame = pl.DataFrame({"series": ["A", "B"], "value_text": ["<5", "7"], "units": ["PERCENT", "PERCENT"]})
    eager = parse_values(frame)
    assert parse_values(frame.lazy()).collect().equals(eager)
    assert eager.columns == ["series", "value_text", "units", "value", "lower", "upper", "value_flag"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_number_comes_back(number: float) -> None:
    assert read(repr(number), "NUMBER") == (number, number, number, "number")


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "{}", "  {}", "{:,}.0", "+{}"]))
def test_thousands_commas_padding_and_sign_do_not_change_a_number(number: int, form: str) -> None:
    if form == "+{}" and number < 0:
        number = -number
    assert read(form.format(number), "NUMBER")[0] == float(number)


@given(st.floats(0, 100), st.sampled_from(["<", "<=", "< ", ">", ">=", ">  "]))
def test_an_interval_holds_its_bound_and_has_no_value(bound: float, sign: str) -> None:
    value, lower, upper, flag = read(f"{sign}{bound!r}")
    assert value is None
    assert flag == ("below" if sign.startswith("<") else "above")
    if flag == "below":
        assert upper == bound
        assert lower == (0.0 if bound > 0 else None)
    else:
        assert (lower, upper) == (bound, 100.0)


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from(["PERCENT", "NUMBER", None]))
def test_any_text_gets_one_flag_and_a_consistent_answer(text: str, units: str | None) -> None:
    value, lower, upper, flag = read(text, units)
    assert flag in VALUE_FLAGS
    assert (value is not None) == (flag == "number")
    if flag not in ("number", "below", "above"):
        assert (lower, upper) == (None, None)
    assert all(math.isfinite(end) for end in (value, lower, upper) if end is not None)


@given(st.text(string.digits + ",.<>=N AVa-+eE", min_size=1, max_size=10))
def test_a_number_is_read_only_where_python_reads_the_same(text: str) -> None:
    value, _, _, flag = read(text, "NUMBER")
    if flag == "number":
        assert value == float(text.replace(",", ""))
