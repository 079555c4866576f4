"""The codes of the SDMX output: which code of which dimension a row of the release stands under, and its name.

Here: dimensions and attributes of the global SDG structure, and the columns of a frame as codes. Not here: what a
message says of a row beside its key (sdmx), the form of a message (sdmx_message).

The global structure IAEG-SDGs:SDG(1.4) has 15 coded dimensions and the time, in a fixed order. What it has a code for
stands under that code: SEX, AGE, URBANISATION, INCOME_WEALTH_QUANTILE, DISABILITY_STATUS; `_T` is no breakdown. A
series whose headline is a slice (births registered: children under five) has the code of the slice where others have
`_T`. CUST_BREAKDOWN is the dimension that the structure leaves to the producer, and the content constraints of the
series say nothing of it. It holds, joined by `@` in this order:

    the source of the row                  ken-2019-household-survey, or of a gap its indicator 1-4-1
    the marginalised group                 dalit: also where the group has an official code, since to belong to a group
                                           as its members say it is not to be measured as such
    a breakdown that the series cannot have in its own dimension, because the content constraints admit no such code,
    or because its headline is that slice already: AGE-Y15T24

So a key never depends on what else a release holds: nothing has to be renamed when a second survey of the same area and
year arrives, and two surveys never meet in one key.

REF_AREA says whom a number may stand for, and no more:

    404               the country, UN M49 as the global list writes it: a probability sample or a census of the country
    KE-17@KE-43       first-level areas, ISO 3166-2: a probability sample or a census of them
    KE-17@KE-43@PART  people or places inside them: every other sample, and every sample of smaller areas
    KEN_LOCAL         people or places of a country that are not named, or do not stand for it

Sources: SDG data structure definition IAEG-SDGs:SDG(1.4) and its code lists, June 2021; content constraints, July 2021;
SDMX 2.1 (IDType: letters, digits, _ @ $ -).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline.gaps.expected import COMPONENT_PREFIX, known_indicators, known_series
from lnob_pipeline.mappings.framework import admits_of
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.official.codes import Codes
from lnob_pipeline.tables import STRATUM_DIMENSIONS

DIMENSIONS: Final = (
    "FREQ", "REPORTING_TYPE", "SERIES", "REF_AREA", "SEX", "AGE", "URBANISATION", "INCOME_WEALTH_QUANTILE",
    "EDUCATION_LEV", "OCCUPATION", "CUST_BREAKDOWN", "COMPOSITE_BREAKDOWN", "DISABILITY_STATUS", "ACTIVITY", "PRODUCT",
)  # fmt: skip
"""The coded dimensions of the global structure, in its order; TIME_PERIOD is the sixteenth."""
TIME: Final = "TIME_PERIOD"
VALUE: Final = "OBS_VALUE"
KEY: Final = (*DIMENSIONS, TIME)
TOTAL: Final = "_T"
NO_SERIES: Final = "_Z"
"""SERIES of a gap whose indicator has no series in the official release."""
LOCAL: Final = "LOCAL"
PART: Final = "PART"
NATIONAL_AREAS: Final = "framework/national_areas.csv"
"""Under the folder of the mappings: the area codes of national structures, where they are not UN M49."""

_JOIN: Final = "@"
_BREAKDOWNS: Final = tuple(name for name in STRATUM_DIMENSIONS if name != "marginalised_group")
_STANDS_FOR_ITS_AREA: Final = ("probability", "census")


@dataclass(frozen=True, eq=False)
class CodeBook:
    """What the mappings say of codes, turned the way the output needs it.

    breakdowns: dimension of a stratum -> (SDMX dimension, its codes by category); groups: group -> (SDMX dimension,
    code) of those with an official code; labels: (SDMX dimension, code) -> words; own: those of them that no official
    list has; units: unit -> (UNIT_MEASURE, UNIT_MULT); limits: a row a series, with columns `<dimension>` (code of the
    headline; null is the total) and `<dimension>.admits` (codes that its content constraints admit; null for any).
    """

    breakdowns: Mapping[str, tuple[str, Mapping[str, str]]]
    groups: Mapping[str, tuple[str, str]]
    labels: Mapping[tuple[str, str], str]
    own: frozenset[tuple[str, str]]
    units: Mapping[str, tuple[str, str]]
    limits: pl.DataFrame


@functools.lru_cache(maxsize=8)
def code_book(mappings: Mappings) -> CodeBook:
    """The codes of a set of mappings."""
    table = Codes.load(mappings.folder).table
    twins = _twins(table)
    labels: dict[tuple[str, str], str] = {
        (dimension, code): f"{name.replace('_', ' ')}: {api}" for (name, api, _), (dimension, code) in twins.items()
    }
    breakdowns: dict[str, tuple[str, dict[str, str]]] = {}
    own: set[tuple[str, str]] = set()
    for name in _BREAKDOWNS:
        dimension = mappings.breakdowns[name].sdmx_dimension or ""
        codes: dict[str, str] = {}
        for category, item in mappings.categories(name).items():
            codes[category] = item.sdmx or _own_code(dimension, category)
            labels[dimension, codes[category]] = item.label
            if item.sdmx is None:
                own.add((dimension, codes[category]))
        breakdowns[name] = (dimension, codes)
    groups = {
        group: twins[item.official.dimension, item.official.code, ""]
        for group, item in mappings.groups.items()
        if item.official and (item.official.dimension, item.official.code, "") in twins
    }
    units = table.filter(pl.col("sdmx_dimension") == "UNIT_MEASURE").select("code", "sdmx_code", "unit_multiplier")
    return CodeBook(
        breakdowns,
        groups,
        labels,
        frozenset(own),
        {code: (measure, multiplier or "0") for code, measure, multiplier in units.iter_rows()},
        _limits(mappings, twins),
    )


def _own_code(dimension: str, category: str) -> str:
    """A code by the pattern of the official ones for a category that they lack: Y25T59 for 25-59 of AGE."""
    low, _, high = category.partition("-")
    if dimension == "AGE" and low.isdigit() and high.isdigit():
        return f"Y{low}T{high}"
    return "".join(letter if letter.isalnum() else "_" for letter in category).upper()


def _twins(table: pl.DataFrame) -> dict[tuple[str, str, str], tuple[str, str]]:
    """(dimension and code of the API, series or empty) -> (dimension, code) of SDMX; the first pair of a code holds."""
    twins: dict[tuple[str, str, str], tuple[str, str]] = {}
    columns = ("dimension", "code", "sdmx_dimension", "sdmx_code", "series")
    for name, code, dimension, twin, series in table.select(columns).iter_rows():
        if dimension in DIMENSIONS:
            for only in (series or "").split(";"):
                twins.setdefault((name, code, only), (dimension, twin))
    return twins


def _limits(mappings: Mappings, twins: Mapping[tuple[str, str, str], tuple[str, str]]) -> pl.DataFrame:
    """Headline and admitted codes of every series that the mappings know, in SDMX codes."""
    breakdowns = (mappings.breakdowns[name] for name in _BREAKDOWNS)
    dimensions = {item.official_dimension: item.sdmx_dimension for item in breakdowns}
    listed = dict(mappings.framework.series.select("series", "admits").iter_rows())
    rows = []
    for code, series in known_series(mappings).items():
        row: dict[str, object] = {"series": code}

        def twin(name: str, api: str, code: str = code) -> tuple[str, str] | None:
            return twins.get((name, api, code)) or twins.get((name, api, ""))

        for name, api in (series.headline or {}).items():
            if found := twin(name, api):
                row[found[0]] = found[1] if found[1] != TOTAL else None
        for name, codes in (series.admits or admits_of(listed.get(code, ""))).items():
            if name in dimensions:
                row[f"{dimensions[name]}.admits"] = [found[1] for api in codes if (found := twin(name, api))]
        rows.append(row)
    schema: dict[str, pl.DataType] = {"series": pl.String()}
    schema |= {name: pl.String() for name in DIMENSIONS[4:]}
    schema |= {f"{name}.admits": pl.List(pl.String()) for name in DIMENSIONS[4:]}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def with_key(frame: pl.DataFrame, book: CodeBook, source: pl.Expr) -> pl.DataFrame:
    """The frame with a column for each breakdown dimension of the key.

    frame: columns `series` and those of a stratum. source: where the row comes from, the first part of CUST_BREAKDOWN.
    """
    joined = frame.join(book.limits, on="series", how="left", maintain_order="left")
    codes: dict[str, list[pl.Expr]] = {name: [] for name in DIMENSIONS[4:]}
    group = pl.col("marginalised_group")
    parts = [source, pl.when(group != TOTAL).then(group)]
    stratum = {dimension: pl.col(name) != TOTAL for name, (dimension, _) in book.breakdowns.items()}
    for name, (dimension, categories) in book.breakdowns.items():
        code = pl.col(name).replace_strict(categories, default=None, return_dtype=pl.String)
        fits = _fits(dimension, code)
        codes[dimension].append(pl.when(fits).then(code))
        parts.append(pl.when(code.is_not_null() & ~fits).then(pl.format(f"{dimension}-{{}}", code)))
    for dimension in dict.fromkeys(dimension for dimension, _ in book.groups.values()):
        official = {name: code for name, (owner, code) in book.groups.items() if owner == dimension}
        code = group.replace_strict(official, default=None, return_dtype=pl.String)
        free = ~stratum.get(dimension, pl.lit(value=False))
        codes[dimension].append(pl.when(_fits(dimension, code) & free).then(code))
    return joined.with_columns(
        pl.coalesce(*found, pl.col(dimension), pl.lit(TOTAL)).alias(dimension) if dimension != "CUST_BREAKDOWN"
        else pl.concat_str(parts, separator=_JOIN, ignore_nulls=True).alias(dimension)
        for dimension, found in codes.items()
    ).drop(f"{name}.admits" for name in DIMENSIONS[4:])  # fmt: skip


def _fits(dimension: str, code: pl.Expr) -> pl.Expr:
    """Whether the series of a row can have this code in the dimension and does not have it in its headline already."""
    admits = pl.col(f"{dimension}.admits")
    admitted = admits.is_null() | admits.list.contains(code)
    return (code.is_not_null() & admitted & pl.col(dimension).ne_missing(code)).fill_null(value=False)


def reference_area(mappings: Mappings) -> pl.Expr:
    """REF_AREA from iso3, area_level, area and sampling_method."""
    whole = pl.col("sampling_method").is_in(_STANDS_FOR_ITS_AREA).fill_null(value=False)
    areas = pl.col("area").str.split(",").list.eval(pl.element().str.strip_chars()).list.join(_JOIN)
    return (
        pl.when(whole & (pl.col("area_level") == "national"))
        .then(country_code(mappings))
        .when(pl.col("area").is_null() | (pl.col("area") == "") | (pl.col("area_level") == "national"))
        .then(pl.format("{}_" + LOCAL, "iso3"))
        .when(whole & (pl.col("area_level") == "admin1"))
        .then(areas)
        .otherwise(pl.format(f"{{}}{_JOIN}{PART}", areas))
    )


def country_code(mappings: Mappings) -> pl.Expr:
    """UN M49 of iso3 as the global list of areas writes it: without zeros in front."""
    codes = {iso3: str(int(country.m49)) for iso3, country in mappings.countries.items()}
    return pl.col("iso3").replace_strict(codes, default=None, return_dtype=pl.String)


def unit_codes(book: CodeBook) -> tuple[pl.Expr, pl.Expr]:
    """UNIT_MEASURE and UNIT_MULT of the column unit; a unit that the list lacks stands as it is."""
    measures = {unit: measure for unit, (measure, _) in book.units.items()}
    multipliers = {unit: multiplier for unit, (_, multiplier) in book.units.items()}
    return (
        pl.col("unit").replace(measures),
        pl.col("unit").replace_strict(multipliers, default="0", return_dtype=pl.String),
    )


def area_name(code: str, mappings: Mappings) -> str:
    """Words for a code of REF_AREA."""
    country = next((c for c in mappings.countries.values() if str(int(c.m49)) == code), None)
    if country:
        return country.name
    if code.endswith(f"_{LOCAL}") and code.removesuffix(f"_{LOCAL}") in mappings.countries:
        name = mappings.countries[code.removesuffix(f"_{LOCAL}")].name
        return f"People or places in {name} that are not named here, or do not stand for the country"
    names = {area: name for country in mappings.countries.values() for area, name in country.admin1.items()}
    places = ", ".join(names.get(part, part) for part in code.split(_JOIN) if part != PART)
    return f"People or places in {places}, not all of it" if code.endswith(f"{_JOIN}{PART}") else places


def custom_name(code: str, mappings: Mappings, book: CodeBook) -> str:
    """Words for a code of CUST_BREAKDOWN."""
    source, *parts = code.split(_JOIN)
    indicator = source.replace("-", ".")
    is_gap = indicator in known_indicators(mappings)
    names = [f"Expected for indicator {indicator}" if is_gap else f"People covered by {source}"]
    for part in parts:
        if part in mappings.groups:
            names.append(mappings.groups[part].label)
        else:
            dimension, _, own = part.partition("-")
            names.append(book.labels.get((dimension, own), part))
    return "; ".join(names)


@functools.lru_cache(maxsize=8)
def series_names(mappings: Mappings) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Series -> (title, indicators): official series and the project's own components (LNOB_*)."""
    titles = dict(mappings.framework.series.select("series", "title").iter_rows())
    indicators: dict[str, list[str]] = {}
    for code, indicator in mappings.indicators.items():
        own = {item.code: item.title for item in indicator.series} | {c.code: c.title for c in indicator.components}
        titles |= own
        for series in own:
            indicators.setdefault(series, []).append(code)
    return {code: (title or code, tuple(indicators.get(code, ()))) for code, title in titles.items()}


def is_own_series(code: str) -> bool:
    """Whether a series is no official one."""
    return code == NO_SERIES or code.startswith(COMPONENT_PREFIX)
