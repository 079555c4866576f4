"""Columns that have a type (Parquet, SPSS, Stata) as the text that a person would type, the same for all formats."""

from __future__ import annotations

import polars as pl


def typed_text(name: str, kind: pl.DataType) -> pl.Expr:
    """12 and not 12.0, TRUE, 2019-03-04, and a time of day only where there is one; NaN and no text are nothing."""
    column = pl.col(name)
    if kind.is_float():
        text = _number(column)
    elif kind == pl.Boolean:
        text = pl.when(column).then(pl.lit("TRUE")).when(column.not_()).then(pl.lit("FALSE"))
    elif isinstance(kind, pl.Datetime):
        moment = column.dt.strftime("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if kind.time_zone else ""))
        day = (column.dt.truncate("1d") == column) & pl.lit(kind.time_zone is None)
        text = pl.when(day).then(column.dt.strftime("%Y-%m-%d")).otherwise(moment)
    else:
        text = column.cast(pl.String).replace("", None)
    return text.alias(name)


def _number(column: pl.Expr) -> pl.Expr:
    whole = (column.round(0) == column) & (column.abs() < 1e15)
    return (
        pl.when(column.is_nan())
        .then(None)
        .when(whole)
        .then(column.cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(column.cast(pl.String))
    )
