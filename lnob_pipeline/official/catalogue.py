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
from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from lnob_pipeline.official.http import HttpSettings
from lnob_pipeline.official.pages import DIMENSION
from lnob_pipeline.official.releases import choose_snapshot
from lnob_pipeline.official.snapshot import Snapshot, SnapshotInfo, expected_series, series_between, series_ranges
from lnob_pipeline.official.values import parse_values
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, SDG_CATALOGUE

log = logging.getLogger(__name__)

# The dimensions with a column of their own; any other stands in `other_dimensions`.
DIMENSIONS: Final = ("sex", "age", "location", "quantile", "disability_status", "education_level")

# Codes that mean "all of this dimension". `_T` is the total of every dimension in SDMX; the database's own codes
# differ by dimension. NOTSPEC is a total of the dimensions in which the release of October 2020 uses it alone, never
# beside another code of the same series, and whose twin in SDMX is `_T`; elsewhere, unspecified is a category of its
# own. The reporting type G (global) marks how a
# figure reached the database and is no stratum; N and R are kept.
TOTAL: Final = "_T"
TOTALS: Final[dict[str, tuple[str, ...]]] = {
    "sex": ("BOTHSEX", "NOTSPEC"),
    "age": ("ALLAGE", "NOTSPEC"),
    "location": ("ALLAREA", "NOTSPEC"),
    "level_status": ("NOTSPEC",),
    "quantile": ("NOTSPEC",),
    "migratory_status": ("NOTSPEC",),
    "grounds_of_discrimination": ("ALL",),
    "policy_domains": ("ALLDOMAINS",),
    "activity": ("TOTAL",),
    "substance_use_disorders": ("TOTAL",),
    "reporting_type": ("G",),
}


_CODES: Final = ("series", "m49", "dimension_key", "nature")  # sorted by; as Enum they sort faster than as text

# The download format of a release writes NOTSPEC where the API says NA, "data nature not available".
_NATURE_UNKNOWN: Final = "NA"


def load_official(
    settings: Settings, iso3_by_m49: Mapping[str, str], fetched: str, *, http: HttpSettings | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, SnapshotInfo]:
    """`sdg_catalogue`, `official_observations` and which official figures they are made of (`choose_snapshot`)."""
    snapshot = choose_snapshot(settings, iso3_by_m49, fetched, http=http)
    catalogue = build_catalogue(snapshot, expected_series(settings.official))
    every_area = settings.official_areas == "all"
    return catalogue, build_observations(snapshot, iso3_by_m49, every_area=every_area), snapshot.info


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
        snapshot.rows.select("series", "units")
        .unique()
        .select(pl.col("series").replace(snapshot.codes), _code("units").alias("unit"))
        .drop_nulls()
        .unique()
        .group_by("series")
        .agg(pl.col("unit").sort().str.join(";"))
        .collect()
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


def build_observations(snapshot: Snapshot, iso3_by_m49: Mapping[str, str], *, every_area: bool = False) -> pl.DataFrame:
    """All of `observation_parts` as one frame in the form of the table, sorted by its key."""
    parts = observation_parts(snapshot, iso3_by_m49, every_area=every_area)
    text = [part.cast({pl.Enum: pl.String}) for part in parts]
    return in_form(pl.concat([OFFICIAL_OBSERVATIONS.empty(), *text]), OFFICIAL_OBSERVATIONS)


def observation_parts(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str], *, every_area: bool = False
) -> Iterator[pl.DataFrame]:
    """`official_observations` of the given countries, or of every area, some series at a time.

    The parts hold whole series, ascending; columns of codes are Enum. `iso3` is null for an area that is none of the
    given countries.

    Codes stay as published, but for a nature that is absent or NOTSPEC: it is NA, not available.
    `other_dimensions` lists the dimensions without a column of their own as `name=code;name=code`, sorted by
    name. `dimension_key` lists every dimension that is not a total in the same way; the empty text is the whole.
    A dimension that a row does not carry counts as its total. `lower_bound` and `upper_bound` are those the
    source publishes; `lower` and `upper` come from the value text. Rows that an indicator repeats are taken once.
    Rows without a year are left out and logged. If the source gives one key several values all are kept and
    logged (`contradictions`).
    """
    areas = _areas(snapshot.rows, iso3_by_m49)
    rows = snapshot.rows
    if not every_area:
        areas = areas.filter(pl.col("iso3").is_not_null())
        rows = rows.filter(pl.col("area").is_in(areas["area"].to_list()))
    codes = snapshot.codes
    counts = rows.group_by(pl.col("series").replace(codes)).len().collect()
    undated = several = 0
    for first, last in series_ranges(counts):
        part = rows.filter(series_between(first, last, codes)).collect().with_columns(pl.col("series").replace(codes))
        shaped = _shape(part, areas, snapshot.info.release)
        dated = shaped.filter(pl.col("year").is_not_null())
        undated += shaped.height - dated.height
        if dated.select(OFFICIAL_OBSERVATIONS.key).is_duplicated().any():
            dated = dated.unique()
            several += contradictions(dated).height
        yield dated
    if undated:
        log.warning("official figures: %d rows without a year are left out", undated)
    if several:
        log.warning("official figures: %d observations have more than one value", several)


def _areas(rows: pl.LazyFrame, iso3_by_m49: Mapping[str, str]) -> pl.DataFrame:
    """Every area code as the rows write it: area, m49 (three digits), iso3 (null for no country of ours)."""
    iso3 = {code.zfill(3): country for code, country in iso3_by_m49.items()}
    return (
        rows.select("area")
        .unique()
        .collect()
        .with_columns(_code("area").str.zfill(3).alias("m49"))
        .with_columns(pl.col("m49").replace_strict(iso3, default=None, return_dtype=pl.String).alias("iso3"))
    )


def _shape(part: pl.DataFrame, areas: pl.DataFrame, release: str) -> pl.DataFrame:
    """Rows of a snapshot in the columns of the table. Combinations of dimensions and odd values are read once each."""
    every = [name for name in part.columns if name.startswith(DIMENSION)]
    carried = [name for name in every if part[name].null_count() < part.height]
    dimensions = [name.removeprefix(DIMENSION) for name in carried]
    others = {name: pl.col(name) for name in dimensions if name not in DIMENSIONS}
    # A release need not carry all six.
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in DIMENSIONS if name not in dimensions]
    keys = [
        _empty_as_null(_pairs(others)).alias("other_dimensions"),
        _pairs({name: _unless_total(name) for name in dimensions}).alias("dimension_key"),
    ]
    shaped = part.drop(set(every) - set(carried)).join(areas, on="area", how="left", maintain_order="left")
    if carried:
        codes = [_code(DIMENSION + name).alias(name) for name in dimensions]
        strata = part.select(carried).unique().with_columns(*codes, *absent).with_columns(keys).drop(others)
        shaped = shaped.join(strata, on=carried, how="left", nulls_equal=True, maintain_order="left")
    else:
        shaped = shaped.with_columns(*absent, *keys)
    read = _with_values(
        shaped.with_columns(
            pl.lit(release).alias("release"),
            _code("year").cast(pl.Float64, strict=False).cast(pl.Int32, strict=False).alias("year"),
            _code("nature").replace("NOTSPEC", None).fill_null(_NATURE_UNKNOWN),
            _code("units"),
            _code("lower_bound").cast(pl.Float64, strict=False),
            _code("upper_bound").cast(pl.Float64, strict=False),
            _code("source"),
            _code("footnotes"),
        )
    )
    kinds = OFFICIAL_OBSERVATIONS.schema | {name: pl.Enum(read[name].unique().sort()) for name in _CODES}
    return read.select(pl.col(name).cast(kind) for name, kind in kinds.items())


def _with_values(rows: pl.DataFrame) -> pl.DataFrame:
    """`parse_values`, of which a text that is a plain number needs nothing but the cast."""
    number = pl.col("value_text").cast(pl.Float64, strict=False)
    plain = rows.with_columns(pl.when(number.is_finite()).then(number).alias("number"))
    columns = ("value_text", "units")
    odd = parse_values(plain.filter(pl.col("number").is_null()).select(columns).unique())
    return plain.join(odd, on=columns, how="left", nulls_equal=True, maintain_order="left").with_columns(
        *(pl.coalesce("number", name).alias(name) for name in ("value", "lower", "upper")),
        pl.col("value_flag").fill_null("number"),
    )


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
