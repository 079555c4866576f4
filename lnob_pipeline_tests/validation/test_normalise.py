"""Numbers and dates: what is certain is converted exactly, what is not stays without a value."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.validation import normalise

DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")
BENGALI = str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")


def numbers(*cells):
    return (
        pl.DataFrame({"x": cells}, schema={"x": pl.String})
        .select(normalise.number_text(pl.col("x")))
        .to_series()
        .to_list()
    )


def dates(order, *cells):
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    return frame.select(normalise.date_text(pl.col("x"), order)).to_series().to_list()


def lakh(n: int) -> str:
    digits = str(n)
    head, tail = digits[:-3], digits[-3:]
    groups = []
    while len(head) > 2:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*([head] if head else []), *groups, tail])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1,20,000", "120000"),
        ("12,34,56,789.50", "123456789.50"),
        ("1,234,567", "1234567"),
        ("1,234.5", "1234.5"),
        ("12,5", "12.5"),
        ("0,125", "0.125"),
        ("1.234.567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("१२", "12"),
        ("\u221207", "-7"),
        ("+5", "5"),
        ("\u00a0 8 \ufeff", "8"),
        ("000", "0"),
        ("1.50", "1.50"),
    ],
)
def test_certain_numbers(written, read):
    assert numbers(written) == [read]


@pytest.mark.parametrize(
    "written",
    ["1,234", "12,34", "1e3", "inf", "NaN", "(29.5)", "45%", "ten", "1 234", "5-9", "1,23,45", "--1", "1.", "=1"],
)
def test_uncertain_numbers_have_no_value(written):
    expected = ["12.34"] if written == "12,34" else [None]
    assert numbers(written) == expected


def test_one_group_of_three_is_settled_by_the_column():
    assert numbers("1,234", "1,20,000") == ["1234", "120000"]
    assert numbers("1,234", "1,20,000", "12,5") == [None, "120000", "12.5"]
    assert numbers("1,234", "77") == [None, "77"]


@settings(deadline=None)
@given(st.integers(100_000, 10**12))
def test_indian_grouping_is_read_exactly(n):
    assert numbers(lakh(n)) == [str(n)]
    assert numbers(lakh(n).translate(DEVANAGARI)) == [str(n)]


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=3, allow_nan=False))
def test_plain_numbers_keep_their_value_in_every_script(number):
    text = format(number, "f")
    for written in (text, text.translate(DEVANAGARI), text.translate(BENGALI), f"  {text}\u200b"):
        (read,) = numbers(written)
        assert read is not None and float(read) == float(text)
        assert numbers(read) == [read]


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_gives_a_number_that_python_reads_too_or_nothing(text):
    (read,) = numbers(text)
    if read is not None:
        float(read)
        assert numbers(read) == [read]


@settings(deadline=None)
@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2060, 12, 31)))
def test_dates_in_the_declared_order(day):
    year_month_day = day.isoformat()
    assert dates("ymd", year_month_day, f"{year_month_day}T10:20:30.000+03:00") == [year_month_day] * 2
    assert dates("dmy", day.strftime("%d/%m/%Y"), day.strftime("%d.%m.%Y").translate(BENGALI)) == [year_month_day] * 2
    assert dates("mdy", day.strftime("%m-%d-%Y")) == [year_month_day]
    (undeclared,) = dates("ymd", day.strftime("%d/%m/%Y"))
    assert undeclared == (year_month_day if day.day > 12 or day.day == day.month else None)


def test_what_is_no_date():
    assert dates("dmy", "27.5.19", "2019-13-01", "May 2019", "43612", "", None, "5/27/2019") == [None] * 7


def test_bikram_sambat_years_and_the_month_they_fall_in():
    frame = pl.DataFrame({"d": ["2076-02-13", "2076-11-05", "2076-12-25", "2019-05-01", "2069-12-30"]})
    other, month = (
        frame.select(normalise.is_bikram_sambat(pl.col("d"))).to_series().to_list(),
        frame.select(normalise.about_gregorian(pl.col("d"))).to_series().to_list(),
    )
    assert other == [True, True, True, False, False]
    # 13 Jestha 2076 was 27 May 2019, 5 Falgun 17 February 2020, 25 Chaitra 7 April 2020
    assert month[:3] == ["2019-05", "2020-02", "2020-04"]


def test_joiners_inside_a_word_stay_and_letters_are_composed():
    frame = pl.DataFrame({"x": ["क्\u200dष", "\u200bक्ष\ufeff", "Ha\u0300 Giang", "   "]})
    assert frame.select(normalise.tidy(pl.col("x"))).to_series().to_list() == ["क्\u200dष", "क्ष", "H\u00e0 Giang", None]
