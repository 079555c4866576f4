"""The text of an official value, read as a number, an interval or a reason for silence.

Here: every spelling of a value that the UN SDG database is known to publish. Not here: whether a value may be
used (that also needs its nature and its year; see the gap rules), and units, which stay as published: a figure in
`NUM_M` is not multiplied, what its code stands for is in `indicator_mappings/framework/codes.csv`.

Source of the spellings: value strings of the 2019, 2020 and 2022 releases of the UN Global SDG Database, and
their footnotes ("A figure was not provided", "does not apply to the circumstances of the country",
"not validated by the national statistical system for global reporting").

The text decides alone. A reader that takes the first run of digits turns `24,644` into 24; here a text is a
number only if all of it is one.
"""

from __future__ import annotations

from typing import Final, TypeVar

import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

VALUE_FLAGS: Final = (
    "number",  # a plain figure: `value` holds it
    "below",  # censored from above, `<2.5`: `lower` and `upper` hold the interval
    "above",  # censored from below, `>=95`
    "not_applicable",  # `N`
    "withheld",  # `NV`: a figure exists, the national statistical system has not validated it
    "not_provided",  # `NA`, `NaN`, `. . .`, empty, missing
    "unreadable",  # anything else; the text is kept and shown
)

_NOT_APPLICABLE: Final = ("N",)
_WITHHELD: Final = ("NV",)
_NOT_PROVIDED: Final = ("", "NA", "NaN", "...", ". . .")

# White space as people and spreadsheets produce it, no-break spaces and the carriage return included.
_WHITE_SPACE: Final = r"[\s\u00a0\u2007\u202f\ufeff]+"
_PLAIN: Final = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_THOUSANDS: Final = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?"
_NUMBER: Final = rf"[+-]?(?:{_THOUSANDS}|{_PLAIN})"

# The units whose values cannot pass 100, so that `>95` has an upper end.
_BOUNDED_UNITS: Final = {"PERCENT": 100.0}


def parse_values(frame: Frame, *, text: str = "value_text", units: str = "units") -> Frame:
    """Add `value`, `lower`, `upper` (float64) and `value_flag` (one of `VALUE_FLAGS`) to a frame.

    `text` and `units` name text columns of the frame; both stay untouched. The new columns are in the unit of
    the row. `lower` and `upper` are the ends of what the text admits: both are the value itself for a number,
    (0, x) for `<x`, (x, 100) for `>x` where the unit is PERCENT and (x, null), open, elsewhere; `<x` with x
    below zero has no lower end. Only a number has a `value`. Every other flag leaves all three null.

    Works on eager and lazy frames, as expressions only.
    """
    trimmed = pl.col(text).cast(pl.String).fill_null("").str.replace_all(rf"^{_WHITE_SPACE}|{_WHITE_SPACE}$", "")
    # Blanks may stand around a number or after its comparison sign, but not inside it: `1 2` is not 12.
    sign = trimmed.str.slice(0, 1)
    digits = trimmed.str.extract(rf"^(?:[<>]=?(?:{_WHITE_SPACE})?)?({_NUMBER})$")
    number = digits.str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
    number = pl.when(number.is_finite()).then(number)
    ceiling = (
        pl.col(units)
        .cast(pl.String)
        .str.strip_chars()
        .replace_strict(_BOUNDED_UNITS, default=None, return_dtype=pl.Float64)
    )

    flag = (
        pl.when(number.is_not_null() & ~sign.is_in(["<", ">"]))
        .then(pl.lit("number"))
        .when(number.is_not_null() & (sign == "<"))
        .then(pl.lit("below"))
        .when(number.is_not_null() & (sign == ">"))
        .then(pl.lit("above"))
        .when(trimmed.is_in(_NOT_APPLICABLE))
        .then(pl.lit("not_applicable"))
        .when(trimmed.is_in(_WITHHELD))
        .then(pl.lit("withheld"))
        .when(trimmed.is_in(_NOT_PROVIDED))
        .then(pl.lit("not_provided"))
        .otherwise(pl.lit("unreadable"))
    )
    lower = pl.when(flag != "below").then(number).when(number > 0).then(pl.lit(0.0))
    upper = pl.when(flag != "above").then(number).when(number <= ceiling).then(ceiling)
    return frame.with_columns(
        pl.when(flag == "number").then(number).alias("value"),
        lower.alias("lower"),
        upper.alias("upper"),
        flag.alias("value_flag"),
    )
