"""The cells that must be there: area x indicator x series x stratum, each with its official slices.

Here: turning the mappings and the catalogue into frames (one row a cell, never a row of data) and joining observations
to them. Not here: what makes a cell a gap (typology.py), which strata an indicator expects (mappings/strata.py).
Expected cells come from the framework and the pledge, never from what was observed: the catalogue says which series
serve an indicator, not which have figures.

A slice of a series is written as `official_observations.dimension_key` writes it: the dimensions that are not totals,
by name. The headline's slice is declared in the indicator file, or in framework/series.csv; a stratum replaces the
dimensions it names. Where two official codes mean the same category the stratum has two slices. A slice may hold `*`
(mappings/framework.py): it then stands for every slice that it matches.

Source: SDMX content constraints and code lists of the global SDG data structure, as noted in the mappings.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping

import polars as pl

from lnob_pipeline.mappings.framework import (
    ANY,
    FrameworkIndicator,
    FrameworkSeries,
    headline_of,
    indicators_of,
    series_of,
)
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator
from lnob_pipeline.mappings.strata import TOTAL, Stratum, expected_strata
from lnob_pipeline.official.catalogue import TOTALS
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import STRATUM_DIMENSIONS

CELL = ("iso3", "indicator", "series", "stratum")
"""The key of a cell."""

NO_SERIES = ""
"""Stands for the series of an indicator that has none."""

COMPONENT_PREFIX = "LNOB_"
"""What the code of a component starts with, and no official series does (mappings/models.py)."""

COUNTRY_OWNED = ("C", "CA")
MODELLED = ("E", "M")
UNKNOWN_NATURES = ("", "NA", "_X", "NOTSPEC")
"""Spellings of a nature that is not known; all are shown as NA."""

NATURE_ORDER = ("C", "CA", "E", "G", "M")
"""Which of several figures of one year stands beside a citizen estimate: the country's own first."""

_TEXT = ("indicator", "series", "unit", "stratum", *STRATUM_DIMENSIONS, "expected_because", "breakdown")


def slice_key(codes: Mapping[str, str] | None) -> str:
    """`age=15+;sex=FEMALE`: the codes that are not totals, by name; the empty text is the whole, `*` any row."""
    if codes is None:
        return ANY
    chosen = sorted((name, code) for name, code in codes.items() if code not in (TOTAL, *TOTALS.get(name, ())))
    return ";".join(f"{name}={code}" for name, code in chosen)


def with_codes(headline: Mapping[str, str] | None, codes: Mapping[str, str]) -> str:
    """The slice of a stratum: the headline's, its dimensions replaced; `*;sex=FEMALE` is any row with that code."""
    if headline is None:
        return f"{ANY};{slice_key(codes)}"
    return slice_key({**headline, **codes})


@functools.lru_cache(maxsize=65536)
def matches(wanted: str, found: str) -> bool:
    """Whether the slice `found` of a row is one that `wanted` stands for."""
    any_row, _, rest = wanted.partition(";") if wanted.startswith(ANY) else ("", "", wanted)
    pattern, codes = headline_of(rest) or {}, headline_of(found) or {}
    named = all(code == ANY or codes.get(name) == code for name, code in pattern.items())
    return named and (bool(any_row) or codes.keys() <= pattern.keys())


def official_codes(stratum: Stratum, mappings: Mappings) -> list[dict[str, str]]:
    """The official codes that mean the stratum, dimension -> code; empty where the code list has no place for it."""
    choices: list[list[tuple[str, str]]] = []
    for name, category in stratum.cells:
        breakdown = mappings.breakdowns[name]
        if breakdown.categories_from == "groups":
            place = mappings.groups[category].official
            choices.append([(place.dimension, place.code)] if place else [])
        elif breakdown.official_dimension is None:
            choices.append([])
        else:
            codes = mappings.categories(name)[category].official
            choices.append([(breakdown.official_dimension, code) for code in codes])
    return [dict(pairs) for pairs in itertools.product(*choices)]


@functools.lru_cache(maxsize=8)
def known_indicators(mappings: Mappings) -> dict[str, Indicator | FrameworkIndicator]:
    """Every indicator: those of the library, and those of the framework that the library has no file for.

    The library's parts (6.2.1a) take the place of the whole for what is expected without a series.
    """
    framework = indicators_of(mappings.framework)
    return {**framework, **mappings.indicators}


@functools.lru_cache(maxsize=8)
def known_series(mappings: Mappings) -> dict[str, FrameworkSeries]:
    """Series -> headline, codes admitted and usual period: of the library first, then of the framework."""
    known = series_of(mappings.framework)
    for indicator in mappings.indicators.values():
        for item in indicator.series:
            known[item.code] = FrameworkSeries(item.code, item.unit, dict(item.headline), {}, None)
    for code, scope in mappings.applicability.series.items():
        if code in known:
            plain = known[code]
            known[code] = FrameworkSeries(code, plain.unit, plain.headline, scope.admits, scope.expected_period_years)
    return known


def series_known(series: str, mappings: Mappings) -> FrameworkSeries:
    """One series; one that nobody named yet (it came with a later release) is judged on its whole, unconstrained."""
    return known_series(mappings).get(series) or FrameworkSeries(series, "", {}, {}, None)


def expected_series(mappings: Mappings, sdg_catalogue: pl.DataFrame | None = None) -> list[tuple[str, str, bool, bool]]:
    """(indicator, series, in_release, loaded): those the catalogue links and those the library names.

    A series of the library that the release has under its former code alone (framework/series.csv, renamed_to) is
    expected under that one. An indicator without any series has one entry with NO_SERIES. Where the catalogue does not
    know an indicator at all it has no series if the release is there in full, and else it is not loaded. Without a
    catalogue: the series of the library, as if they were loaded.
    """
    own = {(code, item.code): (False, False) for code, each in mappings.indicators.items() for item in each.series}
    if sdg_catalogue is None:
        return [(code, series, True, True) for code, series in own]
    links = sdg_catalogue.group_by("indicator", "series").agg(pl.col("in_release", "loaded").any())
    found = {(code, series): (there, held) for code, series, there, held in links.iter_rows() if series is not None}
    former = dict(mappings.framework.series.filter(pl.col("renamed_to") != "").select("renamed_to", "series").rows())
    superseded = {
        (code, series)
        for code, series in own
        if series in former and not found.get((code, series), (False, False))[0] and (code, former[series]) in found
    }
    series = {pair: flags for pair, flags in {**own, **found}.items() if pair not in superseded}
    served = {code for code, _ in series}
    mentioned = set(sdg_catalogue["indicator"])
    in_full = bool(sdg_catalogue.filter("in_release")["loaded"].all())
    parts = {code[:-1] for code in mappings.indicators if not code[-1].isdigit()}
    for code in [*indicators_of(mappings.framework), *sorted(mentioned)]:
        if code not in served and code not in parts:
            not_loaded = code not in mentioned and not in_full
            series.setdefault((code, NO_SERIES), (not_loaded, False))
    return sorted((code, item, there, held) for (code, item), (there, held) in series.items())


def cell_template(mappings: Mappings, sdg_catalogue: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row for each indicator, series and expected stratum, sorted by them, for every area.

    A stratum whose slice is the headline's own (youth in 8.6.1) is not a cell of its own: it would count twice. An
    indicator without a series has its headline alone.

    Columns: indicator, series, stratum, the stratum's dimensions, unit (of the series), expected_because,
    definition_version and official_definition_versions (null for an indicator that the library does not hold), slices
    (list of `dimension_key`, `*` allowed), has_code (the code list and the content constraints have a place for it),
    breakdown (`headline`, or the dimensions joined by ' x '), expected_period_years, in_release, loaded. Components
    are no official series and are not expected.
    """
    return _template(mappings, tuple(expected_series(mappings, sdg_catalogue)))


@functools.lru_cache(maxsize=8)
def _template(mappings: Mappings, wanted: tuple[tuple[str, str, bool, bool], ...]) -> pl.DataFrame:
    indicators = known_indicators(mappings)
    unknown = FrameworkIndicator("", (), "other", ())
    strata: dict[str, list[tuple[Stratum, list[dict[str, str]]]]] = {}
    codes: dict[Stratum, list[dict[str, str]]] = {}
    rows = []
    for code, item, there, held in wanted:
        indicator = indicators.get(code, unknown)
        if code not in strata:
            strata[code] = [
                (each, codes.setdefault(each, official_codes(each, mappings)))
                for each in expected_strata(indicator, mappings)
            ]
        known = series_known(item, mappings)
        headline = slice_key(known.headline)
        versions = isinstance(indicator, Indicator) and (
            indicator.definition_version,
            indicator.official_definition_versions,
        )
        for stratum, choices in strata[code]:
            slices = [with_codes(known.headline, choice) for choice in choices] if stratum.cells else [headline]
            if stratum.cells and (item == NO_SERIES or headline in slices):
                continue
            admitted = any(
                all(own in known.admits.get(name, [own]) for name, own in choice.items()) for choice in choices
            )
            rows.append(
                (
                    code,
                    item,
                    known.unit,
                    str(stratum),
                    *({**dict.fromkeys(STRATUM_DIMENSIONS, TOTAL), **dict(stratum.cells)}.values()),
                    stratum.because,
                    " x ".join(stratum.dimensions) or "headline",
                    *(versions or (None, None)),
                    slices,
                    admitted,
                    known.expected_period_years,
                    there,
                    held,
                )
            )
    kinds: dict[str, pl.DataType] = {
        **dict.fromkeys(_TEXT, pl.String()),
        "definition_version": pl.String(),
        "official_definition_versions": pl.List(pl.String),
        "slices": pl.List(pl.String),
        "has_code": pl.Boolean(),
        "expected_period_years": pl.Int32(),
        "in_release": pl.Boolean(),
        "loaded": pl.Boolean(),
    }
    return pl.DataFrame(rows, schema=kinds, orient="row").sort("indicator", "series", "stratum")


def spoken_of(cells: pl.LazyFrame, mappings: Mappings) -> pl.LazyFrame:
    """The cells without those of a group in a country where nobody speaks of it (groups.yaml, countries)."""
    limited = {code: group.countries for code, group in mappings.groups.items() if group.countries}
    elsewhere = [
        (pl.col("marginalised_group").cast(pl.String) == code) & ~pl.col("iso3").is_in(countries)
        for code, countries in limited.items()
    ]
    return cells.filter(~pl.any_horizontal(elsewhere)) if elsewhere else cells


def expected_cells(
    mappings: Mappings, sdg_catalogue: pl.DataFrame | None = None, areas: Mapping[str, str] | None = None
) -> pl.LazyFrame:
    """`cell_template` for each of `areas` (iso3, or M49 where there is none -> M49), with the column iso3.

    Without a catalogue the series of the library; without areas the countries of the partnership.
    """
    names = list(mappings.countries if areas is None else areas)
    everywhere = pl.LazyFrame({"iso3": names}, schema={"iso3": pl.String})
    return spoken_of(everywhere.join(cell_template(mappings, sdg_catalogue).lazy(), how="cross"), mappings)


def known_observations(official_observations: pl.DataFrame, settings: Settings) -> pl.LazyFrame:
    """The observations up to the as-of year, with `nature` cleaned (unknown is NA) and `usable`.

    Usable: the value is a number or an interval, and its nature is not N. What lies after the as-of year is not known.
    """
    nature = pl.col("nature").fill_null("")
    return (
        official_observations.lazy()
        .filter(pl.col("year") <= settings.as_of_year)
        .with_columns(pl.when(nature.is_in(UNKNOWN_NATURES)).then(pl.lit("NA")).otherwise(nature).alias("nature"))
        .with_columns(
            (pl.col("value_flag").is_in(["number", "below", "above"]) & (pl.col("nature") != "N")).alias("usable")
        )
    )


def places_of(slices: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Which slices of rows (`found`: series, dimension_key) stand for which wanted ones (series, slices, any other).

    The columns of `slices` but that list, then `slice_number` (its place in the list) and dimension_key.
    """
    keys = [name for name in slices.columns if name != "slices"]
    wanted = (
        slices.with_columns(pl.int_ranges(pl.col("slices").list.len()).alias("slice_number"))
        .explode("slices", "slice_number", empty_as_null=False)
        .rename({"slices": "wanted"})
    )
    patterns = wanted.filter(pl.col("wanted").str.contains(ANY, literal=True)).select("series", "wanted").unique()
    pairs = [
        (series, pattern, key)
        for series, pattern, key in patterns.join(found, on="series").iter_rows()
        if matches(pattern, key)
    ]
    meant = pl.DataFrame(pairs, schema=["series", "wanted", "dimension_key"], orient="row").cast(pl.String)
    plain = wanted.join(patterns, on=["series", "wanted"], how="anti").join(
        found, left_on=["series", "wanted"], right_on=["series", "dimension_key"]
    )
    return pl.concat(
        [
            plain.select(*keys, "slice_number", pl.col("wanted").alias("dimension_key")),
            wanted.join(meant, on=["series", "wanted"]).select(*keys, "slice_number", "dimension_key"),
        ]
    )


def by_cell(observations: pl.LazyFrame, cells: pl.LazyFrame) -> pl.LazyFrame:
    """The observations that belong to each cell: CELL, `slice_number` (order of the slices) and the observation.

    Rows are found by area code where `cells` has `m49`, and by iso3 otherwise.
    """
    found = observations.select("series", "dimension_key").unique().collect()
    each = cells.select("indicator", "series", "stratum", "slices").unique(["indicator", "series", "stratum"]).collect()
    places = places_of(each, found).lazy()
    return (
        cells.select(CELL)
        .join(places, on=["indicator", "series", "stratum"])
        .join(observations, on=["iso3", "series", "dimension_key"], how="inner")
    )
