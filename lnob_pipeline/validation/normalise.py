"""From text as people type it to text that computes: digits, grouped numbers, dates. Expressions only.

Here belong conversions that are certain. What can be read in two ways is not converted: it comes back without a value
and with the reason. Sources: Unicode UAX 15 (NFC); Indian grouping of numbers (2,2,3); ISO 8601; the Bikram Sambat year
begins in the middle of April of the Gregorian year 57 before its number.
"""

from __future__ import annotations

import functools
from typing import Literal

import polars as pl

DateOrder = Literal["ymd", "dmy", "mdy"]

SCRIPTS = {"Devanagari": 0x0966, "Bengali": 0x09E6, "Arabic": 0x0660, "Persian": 0x06F0, "full width": 0xFF10}
"""First digit of each script whose digits occur in hand-ins."""
DIGITS = {chr(zero + digit): str(digit) for zero in SCRIPTS.values() for digit in range(10)}
INVISIBLE_ENDS = "\ufeff\u200b\u200c\u200d\u2060"
"""Marks without a shape. They are taken off the ends of a text only: inside a word of an Indic script they matter."""

PLAIN = r"^-?[0-9]+(\.[0-9]+)?$"
INDIAN = r"^-?[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}(\.[0-9]+)?$"
THOUSANDS = r"^-?[0-9]{1,3}(,[0-9]{3}){2,}(\.[0-9]+)?$|^-?[1-9][0-9]{0,2},[0-9]{3}\.[0-9]+$"
ONE_COMMA = r"^-?[1-9][0-9]{0,2},[0-9]{3}$"
DECIMAL_COMMA = r"^-?[0-9]+,([0-9]{1,2}|[0-9]{4,})$|^-?0,[0-9]+$|^-?[0-9]{4,},[0-9]+$"
POINTS = r"^-?[0-9]{1,3}(\.[0-9]{3}){2,}(,[0-9]+)?$"

BIKRAM_SAMBAT_YEARS = (2070, 2085)


def tidy(text: pl.Expr) -> pl.Expr:
    """The text in NFC, without blanks and invisible marks at its ends; an empty text is null."""
    trimmed = text.str.normalize("NFC").str.strip_chars().str.strip_chars(INVISIBLE_ENDS).str.strip_chars()
    return pl.when(trimmed != "").then(trimmed)


def ascii_digits(text: pl.Expr) -> pl.Expr:
    """The text with the digits of other scripts as 0 to 9 and the minus sign as a hyphen."""
    return text.str.replace_many([*DIGITS, "\u2212"], [*DIGITS.values(), "-"])


@functools.cache
def tidy_text(text: str) -> str:
    """`tidy` for one text of a mapping file; empty for nothing."""
    return pl.select(tidy(pl.lit(text))).item() or ""


def number_text(text: pl.Expr) -> pl.Expr:
    """A number as plain ASCII text ("1,20,000" -> "120000", "१२.५०" -> "12.50"), null where it is not certainly one.

    The value is exact: digits are moved, never computed. One group of three after a comma ("1,234") is 1234 only where
    another cell of the column groups digits by commas and none has a decimal comma; otherwise it stays ambiguous.
    """
    cell = ascii_digits(tidy(text)).str.strip_prefix("+")
    grouped = cell.str.contains(INDIAN) | cell.str.contains(THOUSANDS)
    decimal = cell.str.contains(DECIMAL_COMMA) | cell.str.contains(POINTS)
    commas_group = grouped.any() & ~decimal.any()
    without_commas = cell.str.replace_all(",", "", literal=True)
    plain = (
        pl.when(cell.str.contains(PLAIN))
        .then(cell)
        .when(grouped | (cell.str.contains(ONE_COMMA) & commas_group))
        .then(without_commas)
        .when(decimal)
        .then(
            pl.when(cell.str.contains(POINTS))
            .then(cell.str.replace_all(".", "", literal=True))
            .otherwise(cell)
            .str.replace(",", ".", literal=True)
        )
    )
    return plain.str.replace(r"^(-?)0+([0-9])", "${1}${2}")


def ambiguous_number(text: pl.Expr) -> pl.Expr:
    """Whether a cell could be a grouped or a decimal number ("1,234") and the column does not tell which."""
    cell = ascii_digits(tidy(text)).str.strip_prefix("+")
    return cell.str.contains(ONE_COMMA) & number_text(text).is_null()


def date_text(text: pl.Expr, order: DateOrder) -> pl.Expr:
    """A date as year-month-day text without judging the year, null where it is not certainly a date.

    Year first, or day and month in the declared order with a year of four digits. Where the declared order is year
    first and the cell is not, day and month are told apart only if one of them is above 12. A time of day is cut off.
    """
    cell = ascii_digits(tidy(text))
    year_first = cell.str.extract_groups(r"^([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})([T ].*)?$")
    year_last = cell.str.extract_groups(r"^([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})([T ].*)?$")
    first, second = year_last.struct.field("1"), year_last.struct.field("2")
    if order == "ymd":
        above = first.cast(pl.Int32) > 12
        first_is_day: pl.Expr = (
            pl.when(above | (first == second)).then(True).when(second.cast(pl.Int32) > 12).then(False)
        )
    else:
        first_is_day = pl.lit(order == "dmy")
    day_of_last = pl.when(first_is_day).then(first).when(first_is_day.not_()).then(second)
    month_of_last = pl.when(first_is_day).then(second).when(first_is_day.not_()).then(first)
    year = pl.coalesce(year_first.struct.field("1"), year_last.struct.field("3"))
    month = pl.coalesce(year_first.struct.field("2"), month_of_last).str.zfill(2)
    day = pl.coalesce(year_first.struct.field("3"), day_of_last).str.zfill(2)
    possible = month.cast(pl.Int32).is_between(1, 12) & day.cast(pl.Int32).is_between(1, 32)
    return pl.when(possible).then(pl.concat_str([year, month, day], separator="-"))


def is_bikram_sambat(date: pl.Expr) -> pl.Expr:
    """Whether a year-month-day text has a year that only the Bikram Sambat calendar has reached (2070 to 2085)."""
    return date.str.slice(0, 4).cast(pl.Int32, strict=False).is_between(*BIKRAM_SAMBAT_YEARS)


def about_gregorian(date: pl.Expr) -> pl.Expr:
    """The Gregorian month in which a Bikram Sambat day most likely falls, "2020-02".

    The months of the calendar begin about the middle of a Gregorian month and their lengths change from year to year;
    so this proposes a month to the partner and converts nothing.
    """
    year, month, day = (date.str.slice(*part).cast(pl.Int32, strict=False) for part in ((0, 4), (5, 2), (8, 2)))
    count = month + 3 + (day >= 17).cast(pl.Int32)
    return pl.format("{}-{}", year - 57 + (count > 12), ((count - 1) % 12 + 1).cast(pl.String).str.zfill(2))
