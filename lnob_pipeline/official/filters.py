"""Years and dimensions picked from rows on our side, as the filters of the services are not trusted.

Here: conditions on rows of text (`sources.SourcePart.rows`). Not here: which slice of a series stands for the whole
(indicator files). The metadata of the UN SDG API lists totals that no row carries, so that a filter of the service on
one of them finds nothing: here a dimension that a row does not carry is its total.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import polars as pl

from lnob_pipeline.official.catalogue import TOTAL, TOTALS
from lnob_pipeline.official.pages import DIMENSION, dimension_name

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def select_rows(
    rows: Frame,
    *,
    first_year: int | None = None,
    last_year: int | None = None,
    dimensions: Mapping[str, Collection[str]] | None = None,
) -> Frame:
    """The rows between two years, both included, whose dimensions have one of the codes given for each.

    Dimensions are named as the API does (`Reporting Type`) or as a column (`reporting_type`). Any code of a total
    (`_T`, BOTHSEX, ALLAGE ...) stands for all of them. A row without a year is in no range of years.
    """
    year = pl.col("year").str.strip_chars().cast(pl.Float64, strict=False)
    conditions = [pl.lit(True)]
    if first_year is not None:
        conditions.append(year >= first_year)
    if last_year is not None:
        conditions.append(year <= last_year)
    columns = rows.lazy().collect_schema().names()
    for name, codes in (dimensions or {}).items():
        conditions.append(_is_one_of(dimension_name(name), set(codes), columns))
    return rows.filter(pl.all_horizontal(conditions).fill_null(False))


def _is_one_of(dimension: str, codes: set[str], columns: Collection[str]) -> pl.Expr:
    """Whether a row's code of a dimension is among `codes`, all codes of the total being one."""
    totals = {TOTAL, *TOTALS.get(dimension, ())}
    column = DIMENSION + dimension
    code = pl.col(column).str.strip_chars() if column in columns else pl.lit(None, dtype=pl.String)
    return code.fill_null(TOTAL).is_in(list(codes | totals if codes & totals else codes))
