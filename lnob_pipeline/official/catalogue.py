"""The two tables of the stage, as pure functions of a snapshot.

`sdg_catalogue`: which series an indicator has, whether the release has it and whether it was loaded. It is
the bridge between series and indicators (a series may serve several).
`official_observations`: one row for each series, area, year, stratum and nature, with the text of the value
beside what was read from it.

Not here: which slice of a series stands for the whole (indicator files), and gaps.

Source: the observation, series and indicator shapes of the UN SDG API; the SDMX concepts behind them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import polars as pl

from lnob_pipeline.official.client import HttpSettings
from lnob_pipeline.official.snapshot import (
    DIMENSION,
    Snapshot,
    SnapshotInfo,
    choose_snapshot,
    expected_series,
)
from lnob_pipeline.official.values import parse_values
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, SDG_CATALOGUE

log = logging.getLogger(__name__)

# The dimensions with a column of their own; any other stands in `other_dimensions`.
DIMENSIONS: Final = ("sex", "age", "location", "quantile", "disability_status", "education_level")

# Codes that mean "all of this dimension". `_T` is the total of every dimension in SDMX; the database's own codes
# differ by dimension. NOTSPEC is a total where the release of October 2020 uses it alone, never beside another code
# of the same series; elsewhere, unspecified is a category of its own. The reporting type G (global) marks how a
# figure reached the database and is no stratum; N and R are kept.
TOTAL: Final = "_T"
TOTALS: Final[dict[str, tuple[str, ...]]] = {
    "sex": ("BOTHSEX",),
    "age": ("ALLAGE",),
    "location": ("ALLAREA",),
    "quantile": ("NOTSPEC",),
    "migratory_status": ("NOTSPEC",),
    "grounds_of_discrimination": ("ALL",),
    "policy_domains": ("ALLDOMAINS",),
    "activity": ("TOTAL",),
    "substance_use_disorders": ("TOTAL",),
    "reporting_type": ("G",),
}


# The download format of a release writes NOTSPEC where the API says NA, "data nature not available".
_NATURE_UNKNOWN: Final = "NA"


def load_official(
    settings: Settings, iso3_by_m49: Mapping[str, str], fetched: str, *, http: HttpSettings | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, SnapshotInfo]:
    """`sdg_catalogue`, `official_observations` and which official figures they are made of (`choose_snapshot`)."""
    snapshot = choose_snapshot(settings, iso3_by_m49, fetched, http=http)
    catalogue = build_catalogue(snapshot, expected_series(settings.official))
    return catalogue, build_observations(snapshot, iso3_by_m49), snapshot.info


def build_catalogue(snapshot: Snapshot, expected: pl.DataFrame) -> pl.DataFrame:
    """One row for each indicator and series (`tables.SDG_CATALOGUE`), sorted by indicator and series.

    `expected` names the series that the project asks about (indicator, goal, target, series, title). A series
    that the release lacks stands there with `in_release` false; an indicator without any series has one row
    with `series` null. Where `expected` names a part of an indicator (6.2.1a), the part takes the place of
    the whole (6.2.1). `unit` is the unit of the loaded rows, several joined by `;`, null where there are
    none.
    """
    parts = expected.select(
        "series",
        pl.col("indicator").str.extract(r"^(.+\.\d+)[a-z]$").alias("whole"),
        pl.col("indicator").alias("part"),
    ).filter(pl.col("whole").is_not_null())
    columns = ("indicator", "goal", "target", "series", "title")
    links = (
        snapshot.links.join(parts, left_on=("series", "indicator"), right_on=("series", "whole"), how="left")
        .with_columns(pl.coalesce("part", "indicator").alias("indicator"))
        .select(*columns, pl.lit(True).alias("in_release"))
    )
    missing = expected.join(links, on=("indicator", "series"), how="anti").select(
        *columns, pl.lit(False).alias("in_release")
    )
    silent = links.filter(pl.col("series").is_null()).join(missing, on="indicator", how="anti")
    units = (
        snapshot.observations.select("series", _code("units").alias("unit"))
        .drop_nulls()
        .unique()
        .group_by("series")
        .agg(pl.col("unit").sort().str.join(";"))
    )
    return (
        pl.concat(
            [
                links.filter(pl.col("series").is_not_null()),
                missing,
                silent.with_columns(pl.lit(False).alias("in_release")),
            ]
        )
        .join(units, on="series", how="left")
        .with_columns(
            pl.lit(snapshot.info.release).alias("release"),
            pl.col("series").is_in(list(snapshot.loaded)).fill_null(False).alias("loaded"),
        )
        .select(pl.col(name).cast(kind) for name, kind in SDG_CATALOGUE.schema.items())
        .sort("indicator", "series", nulls_last=True)
    )


def build_observations(snapshot: Snapshot, iso3_by_m49: Mapping[str, str]) -> pl.DataFrame:
    """The observations of the given countries (`tables.OFFICIAL_OBSERVATIONS`), sorted by the key of the table.

    Codes stay as published, but for a nature that is absent or NOTSPEC: it is NA, not available.
    `other_dimensions` lists the dimensions without a column of their own as `name=code;name=code`, sorted by
    name. `dimension_key` lists every dimension that is not a total in the same way; the empty text is the whole.
    A dimension that a row does not carry counts as its total. `lower_bound` and `upper_bound` are those the
    source publishes; `lower` and `upper` come from the value text. Rows that an indicator repeats are taken once.
    Rows without a year are left out and logged. If the source gives one key several values all are kept and
    logged (`contradictions`).
    """
    raw = snapshot.observations.lazy()
    columns = snapshot.observations.columns
    dimensions = [name.removeprefix(DIMENSION) for name in columns if name.startswith(DIMENSION)]
    # A release need not carry all six.
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in DIMENSIONS if name not in dimensions]
    others = [name for name in dimensions if name not in DIMENSIONS]
    countries = pl.LazyFrame(
        {"m49": [code.zfill(3) for code in iso3_by_m49], "iso3": list(iso3_by_m49.values())},
        schema={"m49": pl.String, "iso3": pl.String},
    )
    shaped = (
        raw.with_columns(_code("area").str.zfill(3).alias("m49"))
        .join(countries, on="m49", how="inner")
        .with_columns(
            pl.lit(snapshot.info.release).alias("release"),
            _code("year").cast(pl.Float64, strict=False).cast(pl.Int32, strict=False).alias("year"),
            _code("nature").replace("NOTSPEC", None).fill_null(_NATURE_UNKNOWN),
            _code("units"),
            _code("lower_bound").cast(pl.Float64, strict=False),
            _code("upper_bound").cast(pl.Float64, strict=False),
            _code("source"),
            _code("footnotes"),
            *(_code(DIMENSION + name).alias(name) for name in dimensions),
            *absent,
        )
        .with_columns(
            _empty_as_null(_pairs({name: pl.col(name) for name in others})).alias("other_dimensions"),
            _pairs({name: _unless_total(name) for name in dimensions}).alias("dimension_key"),
        )
        .pipe(parse_values)
        .select(pl.col(name).cast(kind) for name, kind in OFFICIAL_OBSERVATIONS.schema.items())
        .collect()
    )
    if undated := shaped["year"].null_count():
        log.warning("official figures: %d rows without a year are left out", undated)
    dated = shaped.filter(pl.col("year").is_not_null()).unique()
    if several := contradictions(dated).height:
        log.warning("official figures: %d observations have more than one value", several)
    return dated.sort(*OFFICIAL_OBSERVATIONS.key, *dated.columns, nulls_last=True)


def contradictions(observations: pl.DataFrame) -> pl.DataFrame:
    """The keys (the key of the table) that several rows claim, with the number of them as `len`.

    The release of October 2020 has none in 1,128,726 rows. A source that gives several is shown as it is:
    which of two published figures holds is not ours to choose.
    """
    return (
        observations.group_by(OFFICIAL_OBSERVATIONS.key).len().filter(pl.col("len") > 1).sort(OFFICIAL_OBSERVATIONS.key)
    )


def _code(column: str) -> pl.Expr:
    """A code or a text without the blanks and carriage returns that some releases carry; null when empty."""
    return _empty_as_null(pl.col(column).str.strip_chars())


def _empty_as_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)


def _unless_total(name: str) -> pl.Expr:
    return pl.when(~pl.col(name).is_in([TOTAL, *TOTALS.get(name, ())])).then(pl.col(name))


def _pairs(codes: Mapping[str, pl.Expr]) -> pl.Expr:
    """`name=code;name=code` in the order of the names, without those that are null."""
    if not codes:
        return pl.lit("")
    return pl.concat_str(
        [pl.concat_str(pl.lit(f"{name}="), codes[name]) for name in sorted(codes)],
        separator=";",
        ignore_nulls=True,
    )
