"""Pages of observations of the UN SDG API as rows of text, before any meaning is read into them.

Here: the shape of a page, and which field of it becomes which column. Not here: asking for pages (`client`), what a
value means (`values`), which rows a table keeps (`catalogue`).

Source: the OpenAPI description of the service and recorded answers. A page is decoded into a known shape (msgspec):
that costs less than decoding it into dictionaries, and a page of another shape is said at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import msgspec
import polars as pl

DIMENSION: Final = "dimension."
"""Prefix of the columns that hold the dimensions of a row."""

Scalar = str | int | float | None  # text in all recorded answers but for the year; a number would do no harm


class _Row(
    msgspec.Struct,
    gc=False,
    rename={
        "area": "geoAreaCode",
        "year": "timePeriodStart",
        "value_text": "value",
        "lower_bound": "lowerBound",
        "upper_bound": "upperBound",
        "base_period": "basePeriod",
    },
):
    """One row as the service writes it; fields that are not named here say nothing about the figure."""

    series: Scalar = None
    area: Scalar = None
    year: Scalar = None
    value_text: Scalar = None
    lower_bound: Scalar = None
    upper_bound: Scalar = None
    source: Scalar = None
    base_period: Scalar = None
    time_detail: Scalar = None
    footnotes: list[str | None] | None = None
    attributes: dict[str, str | None] | None = None
    dimensions: dict[str, str | None] | None = None


class _Page(msgspec.Struct, rename="camel"):
    data: list[_Row]
    total_elements: int | None = None
    total_pages: int | None = None
    page_number: int | None = None


_SCALARS: Final = _Row.__struct_fields__[:-3]
_ATTRIBUTES: Final = {"nature": "Nature", "units": "Units"}
TEXT_COLUMNS: Final = (*_SCALARS, *_ATTRIBUTES, "footnotes")
"""The columns of a row before its dimensions, all of them text."""

_decoder: Final = msgspec.json.Decoder(_Page)
_fields: Final = attrgetter(*_Row.__struct_fields__)


class PageShapeError(ValueError):
    """Bytes that are not a page of observations; the message says why, without their content."""


@dataclass(frozen=True)
class Page:
    """One page: its rows as text, and what it states of itself (None where it does not).

    `rows` has the columns `TEXT_COLUMNS`, then one `dimension.<name>` for each dimension that a row carries: not those
    that the page declares, as no row need carry them.
    """

    rows: pl.DataFrame
    total: int | None
    page_count: int | None
    number: int | None


def no_rows() -> pl.DataFrame:
    """A frame with the text columns and no row."""
    return pl.DataFrame(schema=dict.fromkeys(TEXT_COLUMNS, pl.String))


def dimension_name(name: str) -> str:
    """The API's name of a dimension as a column name: `Level/Status` -> `level_status`."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def read_page(body: bytes) -> Page:
    """Read one page. Raises PageShapeError for anything else."""
    try:
        page = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise PageShapeError(f"JSON, but not a page of observations ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise PageShapeError(f"broken JSON after {len(body)} bytes") from None
    return Page(_frame(page.data), page.total_elements, page.total_pages, page.page_number)


def page_rows(body: bytes) -> pl.DataFrame:
    """The rows of one page as text (`Page.rows`)."""
    return read_page(body).rows


def _frame(data: list[_Row]) -> pl.DataFrame:
    """Rows as text: M49 with three digits, whole years without a point, footnotes in one text, a line each."""
    if not data:
        return no_rows()
    *scalars, footnotes, attributes, dimensions = zip(*map(_fields, data), strict=True)
    columns = [pl.Series(name, values, strict=False) for name, values in zip(_SCALARS, scalars, strict=True)]
    columns += [_values(column, name, attributes) for column, name in _ATTRIBUTES.items()]
    columns.append(pl.Series("footnotes", list(map(_lines, footnotes)), dtype=pl.String))
    named: dict[str, str] = {}
    for row in set(map(frozenset, filter(None, dimensions))):
        named.update((name, DIMENSION + dimension_name(name)) for name in row)
    columns += [_values(column, name, dimensions) for name, column in sorted(named.items(), key=lambda pair: pair[1])]
    return (
        pl.DataFrame(columns)
        .with_columns(pl.col(_SCALARS).cast(pl.String))
        .with_columns(pl.col("area").str.zfill(3), pl.col("year").str.strip_suffix(".0"))
    )


def _lines(notes: list[str | None] | None) -> str | None:
    """Footnotes as one text, a line each; None where none of them says anything."""
    return "\n".join(line for note in notes or () if note and (line := note.strip())) or None


def _values(column: str, name: str, fields: tuple[dict[str, str | None] | None, ...]) -> pl.Series:
    return pl.Series(column, [row.get(name) if row else None for row in fields], dtype=pl.String)
