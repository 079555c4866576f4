"""The cells that must be there: country x indicator x series x stratum, each with its official slice.

Here: turning the mappings into frames (one row a cell, never a row of data) and joining observations to them. Not here:
what makes a cell a gap (typology.py), which strata an indicator expects (mappings/strata.py). Expected cells come from
the framework and the pledge, never from what was observed.

A slice of a series is written as `official_observations.dimension_key` writes it: the dimensions that are not totals,
by name. The headline's slice is declared in the indicator file; a stratum replaces the dimensions it names. Where two
official codes mean the same category the stratum has two slices.

Source: SDMX content constraints and code lists of the global SDG data structure, as noted in the mappings.
"""

from __future__ import annotations

import itertools

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Series
from lnob_pipeline.mappings.strata import TOTAL, Stratum, expected_strata
from lnob_pipeline.official.catalogue import TOTALS
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import STRATUM_DIMENSIONS

CELL = ("iso3", "indicator", "series", "stratum")
"""The key of a cell."""

COMPONENT_PREFIX = "LNOB_"
"""What the code of a component starts with, and no official series does (mappings/models.py)."""

COUNTRY_OWNED = ("C", "CA")
MODELLED = ("E", "M")
UNKNOWN_NATURES = ("", "NA", "_X", "NOTSPEC")
"""Spellings of a nature that is not known; all are shown as NA."""

NATURE_ORDER = ("C", "CA", "E", "G", "M")
"""Which of several figures of one year stands beside a citizen estimate: the country's own first."""


def slice_key(codes: dict[str, str]) -> str:
    """`age=15+;sex=FEMALE`: the codes that are not totals, by name; the empty text is the whole."""
    chosen = sorted((name, code) for name, code in codes.items() if code not in (TOTAL, *TOTALS.get(name, ())))
    return ";".join(f"{name}={code}" for name, code in chosen)


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


def expected_cells(mappings: Mappings) -> pl.LazyFrame:
    """One row for each country, indicator, series and expected stratum.

    A stratum whose slice is the headline's own (youth in 8.6.1) is not a cell of its own: it would count twice.

    Columns: CELL, the stratum's dimensions, unit (of the series), expected_because, definition_version,
    official_definition_versions (list), slices (list of `dimension_key`), has_code (the code list and the content
    constraints have a place for it), breakdown (`headline`, or the dimensions joined by ' x '), expected_period_years.
    Components are no official series and are not expected.
    """
    cells = [
        {
            "indicator": indicator.indicator,
            "series": series.code,
            "unit": series.unit,
            "stratum": str(stratum),
            **dict.fromkeys(STRATUM_DIMENSIONS, TOTAL),
            **dict(stratum.cells),
            "expected_because": stratum.because,
            "breakdown": " x ".join(stratum.dimensions) or "headline",
            "definition_version": indicator.definition_version,
            "official_definition_versions": indicator.official_definition_versions,
            **_official_place(series, stratum, mappings),
        }
        for indicator in mappings.indicators.values()
        for series in indicator.series
        for stratum in expected_strata(indicator, mappings)
        if not stratum.cells or slice_key(series.headline) not in _slices(series, stratum, mappings)
    ]
    kinds: dict[str, pl.DataType] = {
        **dict.fromkeys(
            ("indicator", "series", "unit", "stratum", *STRATUM_DIMENSIONS, "expected_because", "breakdown"),
            pl.String(),
        ),
        "definition_version": pl.String(),
        "official_definition_versions": pl.List(pl.String),
        "slices": pl.List(pl.String),
        "has_code": pl.Boolean(),
        "expected_period_years": pl.Int32(),
    }
    countries = pl.LazyFrame({"iso3": list(mappings.countries)}, schema={"iso3": pl.String})
    elsewhere = [
        {"iso3": iso3, "marginalised_group": code}
        for code, group in mappings.groups.items()
        for iso3 in mappings.countries
        if group.countries and iso3 not in group.countries
    ]
    places = pl.LazyFrame(elsewhere, schema={"iso3": pl.String, "marginalised_group": pl.String})
    everywhere = countries.join(pl.LazyFrame(cells, schema=kinds), how="cross")
    return everywhere.join(places, on=["iso3", "marginalised_group"], how="anti")


def _official_place(series: Series, stratum: Stratum, mappings: Mappings) -> dict[str, object]:
    codes = official_codes(stratum, mappings)
    scope = mappings.applicability.series.get(series.code)
    admits = scope.admits if scope else {}
    admitted = any(all(code in admits.get(name, [code]) for name, code in choice.items()) for choice in codes)
    return {
        "slices": [slice_key({**series.headline, **choice}) for choice in codes],
        "has_code": admitted,
        "expected_period_years": scope.expected_period_years if scope else None,
    }


def _slices(series: Series, stratum: Stratum, mappings: Mappings) -> list[str]:
    return [slice_key({**series.headline, **choice}) for choice in official_codes(stratum, mappings)]


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


def by_cell(observations: pl.LazyFrame, cells: pl.LazyFrame) -> pl.LazyFrame:
    """The observations that belong to each cell: CELL, `slice_number` (order of the slices) and the observation."""
    places = (
        cells.select("iso3", "indicator", "series", "stratum", "slices")
        .explode("slices", empty_as_null=False)
        .rename({"slices": "dimension_key"})
        .with_columns(pl.int_range(pl.len()).over(CELL).alias("slice_number"))
    )
    return places.join(observations, on=["iso3", "series", "dimension_key"], how="inner")
