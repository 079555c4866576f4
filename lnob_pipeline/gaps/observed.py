"""What the official figures say of each cell: years, natures, silence. Only of cells that have rows.

Here: from observations to one row for each area and set of slices. Not here: what it means (typology.py). Whole numbers
stand for areas, slices and sets of slices on the way: an area is its place in the mapping of areas, a set of slices is
what several cells may share (youth as an age and as a group, one series under two indicators).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline.gaps.expected import COUNTRY_OWNED, MODELLED, UNKNOWN_NATURES, places_of
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings

BELOW_THE_COUNTRY: Final = ("cities",)
"""Dimensions of the official structure whose codes are areas inside a country."""

NATURES: Final = ("C", "CA", "E", "G", "M", "NA")
USABLE: Final = ("number", "below", "above")

COUNTS: Final = (
    "n_years_since_base",
    "n_years_before_base",
    "n_years_country",
    "n_years_country_before_base",
    "n_years_country_data",
    "n_years_country_data_before_base",
)


@dataclass(frozen=True)
class Observed:
    """Observations as whole numbers.

    rows: area, pair, year, nature (a bit for each of `natures`; 0 where not usable), not_applicable, withheld,
    imprecise. pairs: pair, series, dimension_key: every slice that occurs. below: area, series that have figures of a
    part of the country. natures: the names of the bits.
    """

    rows: pl.DataFrame
    pairs: pl.DataFrame
    below: pl.DataFrame
    natures: tuple[str, ...]


def observed(
    official_observations: pl.DataFrame, areas: Mapping[str, str], mappings: Mappings, settings: Settings
) -> Observed:
    """The observations of `areas` up to the as-of year. What lies after it is not known."""
    places = pl.DataFrame(
        {"m49": list(areas.values()), "area": range(len(areas))}, schema={"m49": pl.String, "area": pl.UInt32}
    )
    nature = pl.col("nature").fill_null("")
    known = official_observations.lazy().filter(pl.col("year") <= settings.as_of_year)
    pairs = (
        known.select("series", "dimension_key")
        .unique()
        .sort("series", "dimension_key")
        .collect()
        .with_row_index("pair")
    )
    names = official_observations["nature"].unique().to_list()
    spelled = {name: "NA" if (name or "") in UNKNOWN_NATURES else name for name in names}
    others = sorted({str(name) for name in spelled.values()} - {*NATURES, "N"})
    natures = (*NATURES, *others)
    bits = {name: 1 << natures.index(plain) for name, plain in spelled.items() if name is not None and plain in natures}
    usable = pl.col("value_flag").is_in(USABLE) & (nature != "N")
    coded = (
        known.select(
            "series",
            "dimension_key",
            "m49",
            pl.col("year").cast(pl.Int32),
            pl.when(usable)
            .then(nature.replace_strict(bits, default=1 << natures.index("NA"), return_dtype=pl.UInt32))
            .otherwise(0)
            .alias("nature"),
            ((pl.col("value_flag") == "not_applicable") | (nature == "N")).alias("not_applicable"),
            (pl.col("value_flag") == "withheld").alias("withheld"),
            (
                (pl.col("value_flag") != "number") | pl.any_horizontal(pl.col("lower_bound", "upper_bound").is_null())
            ).alias("imprecise"),
        )
        .join(places.lazy(), on="m49")
        .join(pairs.lazy(), on=["series", "dimension_key"])
        .select("area", "pair", "year", "nature", "not_applicable", "withheld", "imprecise")
        .collect()
    )
    return Observed(coded, pairs, _below(known, coded, pairs, areas, usable), natures)


def _below(
    known: pl.LazyFrame, coded: pl.DataFrame, pairs: pl.DataFrame, areas: Mapping[str, str], usable: pl.Expr
) -> pl.DataFrame:
    """area, series with a usable figure of an area inside the country: an area code of its own, or a city."""
    countries = pl.LazyFrame(
        {"iso3": list(areas), "country": list(areas.values()), "area": range(len(areas))},
        schema={"iso3": pl.String, "country": pl.String, "area": pl.UInt32},
    )
    inside = (
        known.filter(pl.col("iso3").is_not_null() & usable)
        .join(countries, on="iso3")
        .filter(pl.col("m49") != pl.col("country"))
        .select("area", "series")
        .unique()
        .collect()
    )
    named = pairs.filter(pl.col("dimension_key").str.contains(rf"(?:^|;)(?:{'|'.join(BELOW_THE_COUNTRY)})="))
    cities = coded.filter(pl.col("nature") > 0).join(named, on="pair").select("area", "series")
    return pl.concat([inside, cities]).unique()


def sets_of_slices(template: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The template with the column `set`, and each set once: set, series, slices."""
    # The number tells no slice at all from the whole, which is the empty text.
    key = pl.format("{} {}", pl.col("slices").list.len(), pl.col("slices").list.sort().list.join(" "))
    keyed = template.with_columns(key.alias("key"))
    sets = keyed.select("series", "key", "slices").unique(["series", "key"], maintain_order=True).with_row_index("set")
    joined = keyed.join(sets.select("set", "series", "key"), on=["series", "key"], how="left", maintain_order="left")
    return joined.drop("key"), sets.select("set", "series", "slices")


def years_of_sets(seen: Observed, sets: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """area, set and what its rows say, for each that has rows.

    n_rows, all_not_applicable, any_withheld, latest_year, COUNTS, years_spanned (first to last year since the base
    year), natures (bits of the years since the base year), all_modelled (them), any_nature_unknown (of all years),
    latest_imprecise (of the latest year).
    """
    members = places_of(sets, seen.pairs.select("series", "dimension_key")).join(
        seen.pairs, on=["series", "dimension_key"]
    )
    usable = pl.col("nature") > 0
    yearly = (
        seen.rows.lazy()
        .join(members.lazy().select("pair", "set"), on="pair")
        .group_by("area", "set", "year")
        .agg(
            pl.len().cast(pl.Int32).alias("n_rows"),
            pl.col("nature").bitwise_or(),
            pl.col("not_applicable").all(),
            pl.col("withheld").any(),
            (usable & pl.col("imprecise")).any().alias("imprecise"),
        )
    )
    year, bits = pl.col("year"), pl.col("nature")
    since = usable & (year >= settings.base_year)
    before = usable & (year < settings.base_year)
    owned = (bits & _bits(seen, *COUNTRY_OWNED)) > 0
    data = (bits & _bits(seen, "C")) > 0
    counts = dict(zip(COUNTS, (since, before, since & owned, before & owned, since & data, before & data), strict=True))
    latest = pl.when(usable).then(year * 2 + pl.col("imprecise").cast(pl.Int32)).max()
    bits_since = pl.when(since).then(bits).otherwise(0).bitwise_or()
    return (
        yearly.group_by("area", "set")
        .agg(
            pl.col("n_rows").sum(),
            pl.col("not_applicable").all().alias("all_not_applicable"),
            pl.col("withheld").any().alias("any_withheld"),
            latest.alias("latest"),
            *(condition.sum().cast(pl.Int32).alias(name) for name, condition in counts.items()),
            pl.when(since).then(year).max().alias("last_since"),
            pl.when(since).then(year).min().alias("first_since"),
            bits_since.alias("natures"),
            bits.bitwise_or().alias("ever"),
        )
        .select(
            "area",
            "set",
            "n_rows",
            "all_not_applicable",
            "any_withheld",
            (pl.col("latest") // 2).alias("latest_year"),
            *COUNTS,
            (pl.col("last_since") - pl.col("first_since") + 1).alias("years_spanned"),
            "natures",
            ((pl.col("natures") & ~_bits(seen, *MODELLED)) == 0).alias("all_modelled"),
            ((pl.col("ever") & _bits(seen, "NA")) > 0).alias("any_nature_unknown"),
            (pl.col("latest") % 2 == 1).alias("latest_imprecise"),
        )
        .collect()
    )


def _bits(seen: Observed, *names: str) -> pl.Expr:
    return pl.lit(sum(1 << seen.natures.index(name) for name in names), dtype=pl.UInt32)


def nature_names(seen: Observed) -> dict[int, str]:
    """Bits -> natures joined by ',', sorted by name, for every combination that occurs in one year or another."""
    names: dict[int, str] = {}
    for bits in range(1 << len(seen.natures)):
        names[bits] = ",".join(sorted(name for place, name in enumerate(seen.natures) if bits >> place & 1))
    return names
