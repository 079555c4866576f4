"""From text as people type it to text that computes: digits, grouped numbers, dates. Expressions only.

Here belong conversions that are certain. What can be read in two ways is not converted: it comes back without a value
and with the reason. What an answer was before a program changed it is in misread.py. Sources: Unicode UAX 15 (NFC);
Unicode 15, chapter 23.2 (joiners); Indian grouping of numbers (2,2,3); ISO 8601; the Bikram Sambat year begins in the
middle of April of the Gregorian year 57 before its number.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from typing import Literal

import polars as pl

DateOrder = Literal["ymd", "dmy", "mdy"]

DIGITS = {chr(sign): str(unicodedata.decimal(chr(sign))) for sign in range(0x80, 0x20000) if chr(sign).isdecimal()}
"""The decimal digits of every script beside 0 to 9, as Unicode has them."""
DASHES = dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
"""Hyphens, the en dash and the minus sign, which stand for a hyphen. The em dash does not: it divides sentences."""
MARKS = {"\u066b": ".", "\u066c": ","}
"""The decimal point and the comma of Arabic numbers, which cannot be mistaken for each other."""
PERCENT = r"[%\u066a\uff05]"

INVISIBLE = r"[\u00ad\u200b\u200e\u200f\u2060\ufeff]+"
"""Marks without a shape and without a meaning in any word: soft hyphen, zero width space, marks of direction."""
JOINED = (
    r"\p{Arabic}\p{Bengali}\p{Devanagari}\p{Gujarati}\p{Gurmukhi}\p{Kannada}\p{Malayalam}\p{Oriya}\p{Tamil}\p{Telugu}"
)
"""The scripts in which a joiner or non-joiner between two letters changes the word."""
JOINER_BEFORE = rf"[\u200c\u200d]+($|[^{JOINED}\u200c\u200d])"
JOINER_AFTER = rf"(^|[^{JOINED}\u200c\u200d])[\u200c\u200d]+"
BLANKS = r"[\u00a0\u2000-\u200a\u202f\u205f\u3000]"
"""Blanks that look like a blank and are not the one of the keyboard."""

PLAIN = r"^-?[0-9]+(\.[0-9]+)?$"
INDIAN = r"^-?[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}(\.[0-9]+)?$"
THOUSANDS = r"^-?[0-9]{1,3}(,[0-9]{3}){2,}(\.[0-9]+)?$|^-?[1-9][0-9]{0,2},[0-9]{3}\.[0-9]+$"
ONE_COMMA = r"^-?[1-9][0-9]{0,2},[0-9]{3}$"
DECIMAL_COMMA = r"^-?[0-9]+,([0-9]{1,2}|[0-9]{4,})$|^-?0,[0-9]+$|^-?[0-9]{4,},[0-9]+$"
POINTS = r"^-?[0-9]{1,3}(\.[0-9]{3}){2,}(,[0-9]+)?$"

BRACKETED = rf"^[(\[]-?[0-9][0-9.,]*{PERCENT}?[)\]]{PERCENT}?$"
PERCENTAGE = rf"^-?[0-9][0-9.,]*{PERCENT}$"
DOUBTS = ("ambiguous_number", "bracketed_number", "percent_sign")
"""Reasons (keys of rules.REASONS) for which a cell that looks like a number has no value."""
TWO_DIGIT_YEAR = r"^[0-9]{1,2}([-/.])[0-9]{1,2}[-/.][0-9]{2}([T ].*)?$"

DATES = {
    "year_first": r"^([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})([T ].*)?$",
    "year_last": r"^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})([T ].*)?$",
    "name_first": r"^([A-Za-z]{3,9})\.? ([0-9]{1,2}),? ([0-9]{4})([T ,].*)?$",
    "name_second": r"^([0-9]{1,2})[-/. ]([A-Za-z]{3,9})[-/., ]+([0-9]{4})([T ,].*)?$",
}
"""Shapes of a date: its three parts, and a time of day."""
BIKRAM_SAMBAT_YEARS = (2070, 2099)
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTH_NAMES = {name: f"{number:02d}" for number, full in enumerate(MONTHS, start=1) for name in (full, full[:3])} | {
    "sept": "09"
}
"""English names of the months, in full and short -> number."""


def tidy(text: pl.Expr) -> pl.Expr:
    """The text in NFC, without blanks at its ends and without invisible marks; an empty text is null.

    Joiners stay where a script needs them, between two of its letters. Blanks of other widths become plain ones.
    """
    return each_text(text, _tidy)


def _tidy(cells: pl.Series) -> pl.Series:
    visible = cells.str.replace_all(INVISIBLE, "").str.replace_all(JOINER_BEFORE, "$1")
    visible = visible.str.replace_all(JOINER_AFTER, "$1").str.replace_all(BLANKS, " ")
    return visible.str.normalize("NFC").str.strip_chars().replace("", None)


def each_text(text: pl.Expr, convert: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    """Convert each different text once: the answers of a survey are few, and its rows are many."""

    def converted(cells: pl.Series) -> pl.Series:
        cells = cells.cast(pl.String).alias("cell")
        different = cells.unique()
        if 2 * len(different) > len(cells):
            return convert(cells)
        table = pl.DataFrame({"cell": different, "converted": convert(different)})
        return cells.to_frame().join(table, on="cell", how="left", nulls_equal=True, maintain_order="left")["converted"]

    return text.map_batches(converted, return_dtype=pl.String)


def ascii_digits(text: pl.Expr) -> pl.Expr:
    """The text with the digits of other scripts as 0 to 9, and dashes and the minus sign as a hyphen."""
    return text.str.replace_many(_SIGNS)


_SIGNS = DIGITS | DASHES | MARKS


@functools.cache
def tidy_text(text: str) -> str:
    """`tidy` for one text of a mapping file; empty for nothing."""
    return _tidy(pl.Series([text], dtype=pl.String)).item() or ""


def number_text(text: pl.Expr) -> pl.Expr:
    """A number as plain ASCII text ("1,20,000" -> "120000", "१२.५०" -> "12.50"), null where it is not certainly one.

    The value is exact: digits are moved, never computed. One group of three after a comma ("1,234") is 1234 only where
    another cell of the column groups digits by commas and none has a decimal comma; otherwise it stays ambiguous.
    """
    return each_text(text, lambda cells: _numbers(cells)["number"])


def doubtful_number(text: pl.Expr) -> pl.Expr:
    """Why a cell that looks like a number has no value (one of DOUBTS); null where it has one or looks like none.

    "1,234" can be grouped or decimal, and the column does not tell which. "(29.5)" is a percentage of few cases in
    survey tables and a negative number in accounts. "45 %" may stand for 45 or for 0.45.
    """
    close = pl.col("cell").str.replace_all(" ", "", literal=True)
    doubt = (
        pl.when(pl.col("number").is_not_null())
        .then(None)
        .when(pl.col("cell").str.contains(ONE_COMMA))
        .then(pl.lit(DOUBTS[0]))
        .when(close.str.contains(BRACKETED))
        .then(pl.lit(DOUBTS[1]))
        .when(close.str.contains(PERCENTAGE))
        .then(pl.lit(DOUBTS[2]))
    )
    return each_text(text, lambda cells: _numbers(cells).select(doubt).to_series())


def _ascii(cells: pl.Series) -> pl.DataFrame:
    """The column cell: tidy text with ASCII digits."""
    return pl.DataFrame({"cell": _tidy(cells)}).select(ascii_digits(pl.col("cell")))


def _numbers(cells: pl.Series) -> pl.DataFrame:
    """The columns cell (tidy, with ASCII digits and without a plus) and number (number_text)."""
    cell = pl.col("cell")
    frame = (
        _ascii(cells)
        .select(cell.str.strip_prefix("+"))
        .with_columns(
            plain=cell.str.contains(PLAIN),
            grouped=cell.str.contains(INDIAN) | cell.str.contains(THOUSANDS),
            one_comma=cell.str.contains(ONE_COMMA),
            points=cell.str.contains(POINTS),
            comma=cell.str.contains(DECIMAL_COMMA),
        )
    )
    commas_group = pl.col("grouped").any() & ~(pl.col("comma") | pl.col("points")).any()
    number = (
        pl.when("plain")
        .then(cell)
        .when(pl.col("grouped") | (pl.col("one_comma") & commas_group))
        .then(cell.str.replace_all(",", "", literal=True))
        .when("points")
        .then(cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when("comma")
        .then(cell.str.replace(",", ".", literal=True))
    )
    return frame.select(cell, number.str.replace(r"^(-?)0+([0-9])", "${1}${2}").alias("number"))


def date_text(text: pl.Expr, order: DateOrder) -> pl.Expr:
    """A date as year-month-day text without judging the year, null where it is not certainly a date.

    Year first, or day and month in the declared order with a year of four digits; or the month by its English name
    ("Oct 10, 2015 6:26:24 PM", "10-Oct-2015"). Where the declared order is year first and the cell is not, day and
    month are told apart only if one of them is above 12. A time of day is cut off.
    """
    return each_text(text, functools.partial(_dates, order=order))


def _dates(cells: pl.Series, order: DateOrder) -> pl.Series:
    frame = _ascii(cells)
    forms = {form: frame.select(pl.col("cell").str.extract_groups(DATES[form])).to_series() for form in DATES}
    parts = pl.DataFrame({f"{form}{part}": found.struct.field(part) for form, found in forms.items() for part in "123"})
    first, second = pl.col("year_last1").cast(pl.Int32), pl.col("year_last2").cast(pl.Int32)
    first_is_day = pl.lit(order == "dmy")
    if order == "ymd":
        first_is_day = pl.when((first > 12) | (first == second)).then(True).when(second > 12).then(False)
    month_name = pl.coalesce("name_first1", "name_second2").str.to_lowercase()
    parts = parts.with_columns(
        first_is_day.alias("first_is_day"),
        month_name.replace_strict(MONTH_NAMES, default=None, return_dtype=pl.String).alias("named"),
    ).with_columns(
        pl.when("first_is_day").then("year_last1").otherwise("year_last2").alias("day_of_last"),
        pl.when("first_is_day").then("year_last2").otherwise("year_last1").alias("month_of_last"),
        pl.when(pl.col("named").is_not_null()).then(pl.coalesce("name_first3", "name_second3")).alias("year_named"),
    )
    undecided = pl.col("year_last1").is_not_null() & pl.col("first_is_day").is_null()
    parts = parts.select(
        pl.when(~undecided).then(pl.coalesce("year_first1", "year_last3", "year_named")).alias("year"),
        pl.coalesce("year_first2", "month_of_last", "named").str.zfill(2).alias("month"),
        pl.coalesce("year_first3", "day_of_last", "name_first2", "name_second1").str.zfill(2).alias("day"),
    )
    possible = pl.col("month").cast(pl.Int32).is_between(1, 12) & pl.col("day").cast(pl.Int32).is_between(1, 32)
    return parts.select(pl.when(possible).then(pl.concat_str("year", "month", "day", separator="-"))).to_series()


def has_two_digit_year(text: pl.Expr) -> pl.Expr:
    """Whether a cell is a date whose year has two digits, or none of its parts is certainly the year ("27.5.19")."""
    return ascii_digits(tidy(text)).str.contains(TWO_DIGIT_YEAR)


def is_bikram_sambat(date: pl.Expr) -> pl.Expr:
    """Whether a year-month-day text has a year that only the Bikram Sambat calendar has reached (2070 to 2099)."""
    return date.str.slice(0, 4).cast(pl.Int32, strict=False).is_between(*BIKRAM_SAMBAT_YEARS)


def about_gregorian(date: pl.Expr) -> pl.Expr:
    """The Gregorian month in which a Bikram Sambat day most likely falls, "2020-02".

    The months of the calendar begin about the middle of a Gregorian month and their lengths change from year to year;
    so this proposes a month to the partner and converts nothing.
    """
    year, month, day = (date.str.slice(*part).cast(pl.Int32, strict=False) for part in ((0, 4), (5, 2), (8, 2)))
    count = month + 3 + (day >= 17).cast(pl.Int32)
    return pl.format("{}-{}", year - 57 + (count > 12), ((count - 1) % 12 + 1).cast(pl.String).str.zfill(2))
