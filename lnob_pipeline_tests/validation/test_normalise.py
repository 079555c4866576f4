"""Numbers and dates: what is certain is converted exactly, what is not stays without a value."""

from __future__ import annotations

import datetime
import decimal
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.validation import normalise

DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")
BENGALI = str.maketrans("0123456789", "০১২৩৪৫৬৭৮৯")


def numbers(*cells: str | None) -> list[str | None]:
    return (
        pl.DataFrame({"x": cells}, schema={"x": pl.String})
        .select(normalise.number_text(pl.col("x")))
        .to_series()
        .to_list()
    )


def dates(order: normalise.DateOrder, *cells: str | None) -> list[str | None]:
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    return frame.select(normalise.date_text(pl.col("x"), order)).to_series().to_list()


def lakh(n: int) -> str:
    digits = str(n)
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
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
def test_certain_numbers(written: str, read: str) -> None:
    assert numbers(written) == [read]


@pytest.mark.parametrize(
    "written",
    ["1,234", "12,34", "1e3", "inf", "NaN", "(29.5)", "45%", "ten", "1 234", "5-9", "1,23,45", "--1", "1.", "=1"],
)
def test_uncertain_numbers_have_no_value(written: str) -> None:
    expected = ["12.34"] if written == "12,34" else [None]
    assert numbers(written) == expected


def test_one_group_of_three_is_settled_by_the_column() -> None:
    assert numbers("1,234", "1,20,000") == ["1234", "120000"]
    assert numbers("1,234", "1,20,000", "12,5") == [None, "120000", "12.5"]
    assert numbers("1,234", "77") == [None, "77"]


@settings(deadline=None)
@given(st.integers(100_000, 10**12))
def test_indian_grouping_is_read_exactly(n: int) -> None:
    assert numbers(lakh(n)) == [str(n)]
    assert numbers(lakh(n).translate(DEVANAGARI)) == [str(n)]


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=3, allow_nan=False))
def test_plain_numbers_keep_their_value_in_every_script(number: decimal.Decimal) -> None:
    text = format(number, "f")
    for written in (text, text.translate(DEVANAGARI), text.translate(BENGALI), f"  {text}\u200b"):
        (read,) = numbers(written)
        assert read is not None and float(read) == float(text)
        assert numbers(read) == [read]


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_gives_a_number_that_python_reads_too_or_nothing(text: str) -> None:
    (read,) = numbers(text)
    if read is not None:
        float(read)
        assert numbers(read) == [read]


@settings(deadline=None)
@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2060, 12, 31)))
def test_dates_in_the_declared_order(day: datetime.date) -> None:
    year_month_day = day.isoformat()
    assert dates("ymd", year_month_day, f"{year_month_day}T10:20:30.000+03:00") == [year_month_day] * 2
    assert dates("dmy", day.strftime("%d/%m/%Y"), day.strftime("%d.%m.%Y").translate(BENGALI)) == [year_month_day] * 2
    assert dates("mdy", day.strftime("%m-%d-%Y")) == [year_month_day]
    (undeclared,) = dates("ymd", day.strftime("%d/%m/%Y"))
    assert undeclared == (year_month_day if day.day > 12 or day.day == day.month else None)


def test_what_is_no_date() -> None:
    assert dates("dmy", "27.5.19", "2019-13-01", "May 2019", "43612", "", None, "5/27/2019") == [None] * 7


def test_bikram_sambat_years_and_the_month_they_fall_in() -> None:
    frame = pl.DataFrame({"d": ["2076-02-13", "2076-11-05", "2076-12-25", "2019-05-01", "2069-12-30", "2100-01-01"]})
    other, month = (
        frame.select(normalise.is_bikram_sambat(pl.col("d"))).to_series().to_list(),
        frame.select(normalise.about_gregorian(pl.col("d"))).to_series().to_list(),
    )
    assert other == [True, True, True, False, False, False]
    # 13 Jestha 2076 was 27 May 2019, 5 Falgun 17 February 2020, 25 Chaitra 7 April 2020
    assert month[:3] == ["2019-05", "2020-02", "2020-04"]


def tidied(*cells: str | None) -> list[str | None]:
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    return frame.select(normalise.tidy(pl.col("x"))).to_series().to_list()


def doubts(*cells: str | None) -> list[str | None]:
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    return frame.select(normalise.doubtful_number(pl.col("x"))).to_series().to_list()


def test_digits_of_every_script() -> None:
    assert len(normalise.DIGITS) >= 600 and set(normalise.DIGITS.values()) == set("0123456789")
    zeros = [sign for sign, digit in normalise.DIGITS.items() if digit == "0"]
    for zero in zeros:
        written = "".join(chr(ord(zero) + digit) for digit in (1, 0, 9))
        assert numbers(written) == ["109"], unicodedata.name(zero)


def test_arabic_numbers_have_marks_of_their_own() -> None:
    assert numbers("١٢٫٥", "١٬٢٣٤٬٥٦٧") == ["12.5", "1234567"]


def test_dashes_are_a_minus_and_the_em_dash_is_not() -> None:
    assert numbers("\u20135", "\u22125", "\uff0d5", "\u20145") == ["-5", "-5", "-5", None]


def test_why_a_number_has_no_value() -> None:
    written = ["1,234", "(29.5)", "( 29.5 )", "[30]", "(29.5)%", "45%", "45 %", "४५٪", "12.5", "ten", "5-9", None]
    bracketed, percent = "bracketed_number", "percent_sign"
    expected = ["ambiguous_number", *[bracketed] * 4, *[percent] * 3, None, None, None, None]
    assert doubts(*written) == expected
    assert doubts("1,234", "1,20,000") == [None, None]
    assert numbers(*written[:8]) == [None] * 8


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("क्\u200dष", "क्\u200dष"),
        ("ক\u09cd\u200cষ", "ক\u09cd\u200cষ"),
        ("نامه\u200cای", "نامه\u200cای"),
        ("bore\u200dhole", "borehole"),
        ("bore\u200chole", "borehole"),
        ("क\u200d1", "क1"),
        ("1\u200dक", "1क"),
        ("\u200dक\u200d", "क"),
        ("a\u200b\u2060\u00ad\ufeffb", "ab"),
        ("\u200eKE-17\u200f", "KE-17"),
        ("piped\u00a0water\u2003here", "piped water here"),
        ("e\u200b\u0301", "\u00e9"),
    ],
)
def test_marks_without_a_shape_go_where_no_word_needs_them(written: str, kept: str) -> None:
    assert tidied(written) == [kept]


@given(st.lists(st.text(max_size=8) | st.none(), max_size=6))
def test_what_repeats_is_converted_as_what_stands_once(cells: list[str | None]) -> None:
    many = cells * 5
    assert tidied(*many) == tidied(*cells) * 5
    assert dates("ymd", *many) == dates("ymd", *cells) * 5
    assert numbers(*many) == numbers(*cells) * 5
    assert all(cell is None or cell == tidied(cell)[0] for cell in tidied(*cells))


def test_months_by_name() -> None:
    written = [
        "Oct 10, 2015 6:26:24 PM",
        "October 3 2015",
        "10-Oct-2015",
        "3 September 2015",
        "10-Oct-15",
        "Zoo 3, 2015",
    ]
    expected = ["2015-10-10", "2015-10-03", "2015-10-10", "2015-09-03", None, None]
    assert dates("ymd", *written) == dates("dmy", *written) == expected


def test_years_of_two_digits() -> None:
    frame = pl.DataFrame({"d": ["27.5.19", "76-02-13", "२७/५/१९", "2019-05-27", "27.5.2019", "5-9"]})
    found = frame.select(normalise.has_two_digit_year(pl.col("d"))).to_series().to_list()
    assert found == [True, True, True, False, False, False]


def test_joiners_inside_a_word_stay_and_letters_are_composed() -> None:
    frame = pl.DataFrame({"x": ["क्\u200dष", "\u200bक्ष\ufeff", "Ha\u0300 Giang", "   "]})
    assert frame.select(normalise.tidy(pl.col("x"))).to_series().to_list() == ["क्\u200dष", "क्ष", "H\u00e0 Giang", None]
