"""The rows of the Open SDG files: official observations and the citizen estimates that may stand beside them.

Here: which figures become rows, in which column each code stands, and what a blank means. Not here: files and folders
(open_sdg), configuration and metadata (open_sdg_documents).

A site shows the row whose disaggregations are all blank as the headline of the country. So

- an official observation of the whole country has no Source and no Area; it is the headline where it is the slice that
  stands for the whole of its series (births registered: the age is blank, since the series is about children under
  five), and nothing but an official observation ever is;
- a citizen estimate always has a Source, and an Area unless its sample is one of the whole country. It is a
  disaggregation, fills no official cell, and takes part in no official total. GeoCode (ISO 3166-2) stands only where
  the sample speaks for one whole first-level area that may be named;
- only class A estimates of probability samples and censuses are rows. Shares of respondents (purposive, quota, open
  call), classes B and C, score cards and discussions are no figures of a population: the metadata of the indicator says
  that they exist and where they are.

A slice that stands for the whole is blank only where that is true: it is the only code of sex, age, place or quantile
that the series has, or an age range that holds all others of the series. A completion rate of primary school beside
that of secondary school has no whole; its rows keep their label, and the site opens on the slice
(`data_start_values`).

Source: Open SDG, data format of indicator files (columns, blanks, white space).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline.gaps.decisions import accepted_submissions
from lnob_pipeline.gaps.expected import NATURE_ORDER
from lnob_pipeline.mappings.framework import ANY
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.official.codes import Codes
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.tables import STRATUM_DIMENSIONS

YEAR: Final = "Year"
UNITS: Final = "Units"
SERIES: Final = "Series"
SOURCE: Final = "Source"
AREA: Final = "Area"
GEO_CODE: Final = "GeoCode"
VALUE: Final = "Value"
NOT_DISAGGREGATIONS: Final = (YEAR, UNITS, SERIES, GEO_CODE, VALUE)
"""Columns that a site by its defaults does not take for a disaggregation."""
ATTRIBUTES: Final = ("LOWER_BOUND", "UPPER_BOUND", "OBS_STATUS", "NATURE")
"""Attributes of an observation, SDMX concepts: columns of the version with bounds alone."""
PLACE: Final = ("iso3", "indicator")
"""Which file a row belongs to: country, and indicator of the framework."""

SAMPLES: Final = ("probability", "census")
STATUS_OF_RELIABILITY: Final = {"reliable": "G", "use_with_caution": "U"}
"""OBS_STATUS (SDMX CL_OBS_STATUS 2.1): G experimental, by another way of collection; U low reliability. A (normal) only
where the statistics office has accepted the hand-in. What needs a statistician's review first is no row."""
ACCEPTED: Final = "A"

_COLUMNS: Final = {
    "sex": "Sex",
    "age": "Age",
    "location": "Location",
    "disability": "Disability status",
    "wealth": "Income or wealth quantile",
    "education_level": "Education level",
    "marginalised_group": "Marginalised group",
}
_LABELS: Final = {
    "education_level": {
        "PREPRI": "Pre-primary",
        "PRIMAR": "Primary",
        "LOWSEC": "Lower secondary",
        "UPPSEC": "Upper secondary",
        "SECOND": "Secondary",
        "GRAD23": "Grades 2 and 3",
    },
    "quantile": {"B40": "Bottom 40 per cent", "B50": "Bottom 50 per cent"},
    "grounds_of_discrimination": {
        "AGE": "Age",
        "DISHEA": "Disability or health status",
        "ETHCOLLAN": "Ethnicity, colour or language",
        "OTHER": "Other ground",
        "RELIGION": "Religion",
        "SEX": "Sex",
        "SEXO": "Sexual orientation or gender identity",
    },
}
"""Names of official codes, as far as the bundled release has them and no breakdown of the project holds them. A code
without a name is shown as it is."""
_UNITS: Final = {
    "PT": "Percentage",
    "NUMBER": "Number",
    "RO": "Ratio",
    "IX": "Index",
    "PER_1000_POP": "Per 1,000 population",
    "PER_10000_POP": "Per 10,000 population",
    "PER_100000_POP": "Per 100,000 population",
    "PER_1000_LIVE_BIRTHS": "Per 1,000 live births",
    "PER_100000_LIVE_BIRTHS": "Per 100,000 live births",
    "PH": "Hours",
}
_MULTIPLIERS: Final = {"3": "thousands", "6": "millions", "9": "billions"}
_WHOLE_IF_ALONE: Final = ("sex", "age", "location", "quantile")
_READ_AS_BLANK: Final = frozenset(
    {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan"}
    | {"none", "null", "-nan"}
)
"""Words, in small letters, that the reader of a site takes for an empty cell; a label must not be one of them."""


@dataclass(frozen=True)
class Rows:
    """official and citizen: PLACE, Year, Units, Series, one column a disaggregation, ATTRIBUTES, GeoCode, Value.

    citizen also has submission_id. starts: series (its name in the column Series), field, value: what a site shows
    first where the headline of a series is one slice of several.
    """

    official: pl.DataFrame
    citizen: pl.DataFrame
    starts: pl.DataFrame

    @functools.cached_property
    def together(self) -> pl.DataFrame:
        """Both, official rows first, with the same columns in the order of the files."""
        frame = pl.concat([self.official, self.citizen.drop("submission_id")], how="diagonal")
        return frame.select(*PLACE, *in_order(frame.columns))


def in_order(columns: Collection[str]) -> list[str]:
    """The columns of a file in the order of the contract: Year first, GeoCode and Value last."""
    first = [
        YEAR,
        UNITS,
        SERIES,
        SOURCE,
        AREA,
        *(name for key, name in _COLUMNS.items() if key != "marginalised_group"),
    ]
    last = [_COLUMNS["marginalised_group"], *ATTRIBUTES, GEO_CODE, VALUE]
    known = {*first, *last, *PLACE}
    middle = sorted(name for name in columns if name not in known)
    return [name for name in (*first, *middle, *last) if name in columns]


def column_of(dimension: str, mappings: Mappings) -> str:
    """The heading of a dimension of the project or of the official data."""
    known = {
        breakdown.official_dimension: name
        for name, breakdown in mappings.breakdowns.items()
        if breakdown.official_dimension
    }
    name = known.get(dimension, dimension)
    return _COLUMNS.get(name, name.replace("_", " ").capitalize())


def files_of(indicator: str, mappings: Mappings) -> pl.Expr:
    """Expression: the framework's indicator of a column; a part (6.2.1a) stands with its whole (6.2.1)."""
    framework = mappings.framework.indicators["indicator"].to_list()
    whole = pl.col(indicator).str.replace("[a-z]$", "")
    return pl.when(pl.col(indicator).is_in(framework)).then(pl.col(indicator)).otherwise(whole)


def rows(content: ReleaseContent) -> Rows:
    """The rows of all countries."""
    mappings = content.mappings
    catalogue = content.tables["sdg_catalogue"]
    observations = observations_of(content)
    cells = cells_of(observations)
    slices = _slices(cells, mappings)
    series = _series_names(catalogue, mappings)
    official = _official(observations, cells, slices, series, mappings)
    labelled = slices.filter(pl.col("headline") & pl.col("label").is_not_null())
    starts = (
        labelled.join(series, on="series")
        .select("indicator", pl.col(SERIES).alias("series"), pl.col("column").alias("field"), value="label")
        .unique()
        .sort(pl.all())
    )
    return Rows(official, _citizen(content, labelled, series), starts)


def observations_of(content: ReleaseContent) -> pl.DataFrame:
    """Plain numbers of whole countries; of several natures of one cell the first in the order of the project."""
    areas = {iso3: country.m49 for iso3, country in content.mappings.countries.items()}
    rank = pl.col("nature").replace_strict(
        list(NATURE_ORDER), list(range(len(NATURE_ORDER))), default=len(NATURE_ORDER), return_dtype=pl.Int32
    )
    return (
        content.tables["official_observations"]
        .filter(
            (pl.col("value_flag") == "number")
            & pl.col("value").is_not_null()
            & pl.col("m49").is_in(list(areas.values()))
            & (pl.col("m49") == pl.col("iso3").replace_strict(areas, default=None, return_dtype=pl.String))
        )
        .sort("series", "iso3", "year", "dimension_key", "units", rank, nulls_last=True, maintain_order=True)
        .unique(["series", "iso3", "year", "dimension_key", "units"], keep="first", maintain_order=True)
        .with_row_index("row")
    )


def cells_of(observations: pl.DataFrame) -> pl.DataFrame:
    """row, series, dimension, code: one row for each code of an observation that is no total."""
    return (
        observations.filter(pl.col("dimension_key") != "")
        .select("row", "series", pl.col("dimension_key").str.split(";").alias("cell"))
        .explode("cell")
        .with_columns(pl.col("cell").str.split_exact("=", 1).struct.rename_fields(["dimension", "code"]).alias("pair"))
        .unnest("pair")
        .drop("cell")
    )


def _slices(cells: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """series, dimension, code, column, label (null for a slice that is the whole), headline: every code once."""
    found: dict[str, dict[str, set[str]]] = {}
    for series, dimension, code in cells.select("series", "dimension", "code").unique().iter_rows():
        found.setdefault(series, {}).setdefault(dimension, set()).add(code)
    headlines = _headlines(mappings)
    rows = []
    for series in sorted(found.keys() | headlines.keys()):
        codes, headline = found.get(series, {}), headlines.get(series, {})
        for dimension in sorted(codes.keys() | headline.keys()):
            chosen = headline.get(dimension)
            for code in sorted(codes.get(dimension, set()) | ({chosen} if chosen else set())):
                whole = code == chosen and _is_whole(dimension, code, codes.get(dimension, set()))
                label = None if whole else label_of(dimension, code, mappings)
                rows.append((series, dimension, code, column_of(dimension, mappings), label, code == chosen))
    schema = dict.fromkeys(("series", "dimension", "code", "column", "label"), pl.String) | {"headline": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _headlines(mappings: Mappings) -> dict[str, dict[str, str]]:
    """Series -> the codes of the slice that stands for the whole; no totals, and no `*`."""
    totals = set(
        Codes.load(mappings.folder).table.filter(pl.col("sdmx_code") == "_T").select("dimension", "code").iter_rows()
    )
    framework = {
        series: dict(pair.split("=", 1) for pair in headline.split(";") if "=" in pair)
        for series, headline in mappings.framework.series.select("series", "headline").iter_rows()
    }
    library = {
        series.code: series.headline for indicator in mappings.indicators.values() for series in indicator.series
    }
    return {
        series: {
            dimension: code
            for dimension, code in headline.items()
            if code not in (ANY, "_T") and (dimension, code) not in totals
        }
        for series, headline in (framework | {code: line for code, line in library.items() if line}).items()
    }


def _is_whole(dimension: str, code: str, codes: Collection[str]) -> bool:
    """Whether the slice of the headline is all that the series is about."""
    others = [other for other in codes if other != code]
    if dimension not in _WHOLE_IF_ALONE:
        return False
    if not others or dimension != "age":
        return not others
    outer, inner = _ages(code), [_ages(other) for other in others]
    return outer is not None and all(item and outer[0] <= item[0] and item[1] <= outer[1] for item in inner)


def _ages(code: str) -> tuple[float, float] | None:
    """An age code of the API in completed years, both ends included; None for one of another kind."""
    if match := re.fullmatch(r"(\d+)-(\d+)", code):
        return float(match[1]), float(match[2])
    if match := re.fullmatch(r"(\d+)\+", code):
        return float(match[1]), float("inf")
    if match := re.fullmatch(r"<(=?)(\d+)Y", code):
        return 0.0, float(match[2]) - (0 if match[1] else 1)
    return None


def label_of(dimension: str, code: str, mappings: Mappings) -> str:
    """The name of an official code: that of the category it means, else of its kind, else the code itself."""
    for name, breakdown in mappings.breakdowns.items():
        if breakdown.official_dimension == dimension:
            for category in mappings.categories(name).values():
                if code in category.official:
                    return category.label
    if dimension == "age" and (ages := _ages(code)):
        if code.startswith("<"):
            return f"Under {ages[1] + 1:.0f} years"
        return f"{ages[0]:.0f} years and over" if ages[1] == float("inf") else f"{ages[0]:.0f} to {ages[1]:.0f} years"
    return readable(_LABELS.get(dimension, {}).get(code, code))


def readable(label: str) -> str:
    """A label that no reader takes for an empty cell."""
    return f"{label} (code)" if label.strip().lower() in _READ_AS_BLANK else label


def unit_names(mappings: Mappings) -> dict[str, str]:
    """Unit code of the API -> its name; codes with one twin in SDMX are one unit (PER_MARW_20T24Y is a percentage)."""
    table = Codes.load(mappings.folder).table.filter(pl.col("dimension") == "units")
    names = {}
    for code, twin, multiplier in table.select("code", "sdmx_code", "unit_multiplier").iter_rows():
        name = _UNITS.get(twin, twin.replace("_", " "))
        names[code] = f"{name} ({_MULTIPLIERS[multiplier]})" if multiplier in _MULTIPLIERS else name
    return names


def _series_names(catalogue: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """Columns indicator (of the framework), series, Series: its title, with its code where two series share a title."""
    titles = {series.code: series.title for indicator in mappings.indicators.values() for series in indicator.series}
    library = pl.DataFrame(
        [(item.indicator, series.code) for item in mappings.indicators.values() for series in item.series],
        schema={"indicator": pl.String, "series": pl.String},
        orient="row",
    )
    listed = catalogue.filter(pl.col("series").is_not_null()).select("indicator", "series", "title")
    title = pl.coalesce(
        pl.col("series").replace_strict(titles, default=None, return_dtype=pl.String), pl.col("title"), pl.col("series")
    )
    named = (
        pl.concat([listed, library], how="diagonal")
        .with_columns(files_of("indicator", mappings).alias("indicator"), clean(title).alias(SERIES))
        .unique(["indicator", "series"], keep="first", maintain_order=True)
    )
    several = pl.len().over("indicator", SERIES) > 1
    return named.select(
        "indicator",
        "series",
        pl.when(several).then(pl.format("{} ({})", SERIES, "series")).otherwise(pl.col(SERIES)).alias(SERIES),
    )


def clean(text: pl.Expr) -> pl.Expr:
    """Text without white space at its ends, with one space for any inside; null where nothing is left."""
    found = text.str.replace_all(r"\s+", " ").str.strip_chars(" \ufeff")
    return pl.when(found != "").then(found)


def _unit(column: str, mappings: Mappings) -> pl.Expr:
    names = unit_names(mappings)
    return pl.col(column).replace_strict(names, default=pl.col(column), return_dtype=pl.String).alias(UNITS)


def _official(
    observations: pl.DataFrame, cells: pl.DataFrame, slices: pl.DataFrame, series: pl.DataFrame, mappings: Mappings
) -> pl.DataFrame:
    labelled = cells.join(slices, on=["series", "dimension", "code"]).filter(pl.col("label").is_not_null())
    columns = labelled["column"].unique().sort().to_list()
    wide = labelled.pivot(on="column", on_columns=columns, index="row", values="label", aggregate_function="first")
    frame = (
        observations.join(wide, on="row", how="left", maintain_order="left")
        .join(series, on="series", maintain_order="left")
        .select(
            *PLACE,
            pl.col("year").alias(YEAR),
            _unit("units", mappings),
            SERIES,
            pl.lit(None, pl.String).alias(SOURCE),
            pl.lit(None, pl.String).alias(AREA),
            *(clean(pl.col(name)).alias(name) for name in columns),
            pl.col("lower_bound").alias("LOWER_BOUND"),
            pl.col("upper_bound").alias("UPPER_BOUND"),
            pl.lit(None, pl.String).alias("OBS_STATUS"),
            pl.col("nature").alias("NATURE"),
            pl.lit(None, pl.String).alias(GEO_CODE),
            pl.col("value").alias(VALUE),
        )
    )
    # Two codes of one meaning (<5Y and 0-4) may become one cell.
    key = [name for name in frame.columns if name not in (*ATTRIBUTES, VALUE)]
    return frame.unique(key, keep="first", maintain_order=True)


def shown(mappings: Mappings) -> pl.Expr:
    """Expression over citizen_estimates: the row is one of the files (the plain ones hold reliable rows alone)."""
    official = [series.code for indicator in mappings.indicators.values() for series in indicator.series]
    return (
        (pl.col("status") == "estimated")
        & pl.col("estimate").is_not_null()
        & (pl.col("comparability") == "A")
        & pl.col("sampling_method").is_in(SAMPLES)
        & pl.col("reliability").is_in(list(STATUS_OF_RELIABILITY))
        & pl.col("series").is_in(official)
    ).fill_null(value=False)


def source_names(content: ReleaseContent) -> pl.DataFrame:
    """submission_id, Source: who gathered it as far as it may be named; invented people are said to be invented."""
    named = clean(pl.col("organisation"))
    several = pl.len().over("iso3", named.fill_null("")) > 1
    kind = (
        pl.when(pl.col("data_type") == "household_survey").then(pl.lit("Citizen survey")).otherwise(pl.lit("Citizens"))
    )
    label = (
        pl.when(named.is_null())
        .then(pl.format("{}, {}", kind, "submission_id"))
        .when(several)
        .then(pl.format("{}, {} ({})", kind, named, "submission_id"))
        .otherwise(pl.format("{}, {}", kind, named))
    )
    said = pl.when(pl.col("synthetic").fill_null(value=False)).then(pl.format("{}, invented people", label))
    return content.tables["sources"].select("submission_id", said.otherwise(label).alias(SOURCE))


def area_names(estimates: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """area_level, area, Area, GeoCode: one row for each place that the estimates speak for."""
    known = {code: name for country in mappings.countries.values() for code, name in country.admin1.items()}
    rows = []
    for level, area in estimates.select("area_level", "area").unique().iter_rows():
        codes = area.split(",") if area else []
        names = " and ".join(known.get(code, code) for code in codes)
        inside = f"Parts of {names}" if names else "A place that is not named"
        name = None if level == "national" else names if level == "admin1" and names else inside
        rows.append((level, area, name, area if level == "admin1" and len(codes) == 1 else None))
    schema = dict.fromkeys(("area_level", "area", AREA, GEO_CODE), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _citizen(content: ReleaseContent, labelled: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    mappings = content.mappings
    estimates = content.tables["citizen_estimates"].filter(shown(mappings))
    accepted = accepted_submissions(content.tables["decisions"]).collect()["submission_id"]
    columns = labelled["column"].unique().sort().to_list()
    fixed = labelled.pivot(on="column", on_columns=columns, index="series", values="label", aggregate_function="first")
    strata = {
        _COLUMNS[name]: _category(name, {code: item.label for code, item in mappings.categories(name).items()})
        for name in STRATUM_DIMENSIONS
    }
    return (
        estimates.with_columns(files_of("indicator", mappings).alias("indicator"))
        .join(source_names(content), on="submission_id", how="left", maintain_order="left")
        .join(area_names(estimates, mappings), on=["area_level", "area"], how="left", nulls_equal=True)
        .join(series, on=["indicator", "series"], maintain_order="left")
        .join(fixed, on="series", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce(label, pl.col(name) if name in columns else None).alias(name) for name, label in strata.items()
        )
        .select(
            *PLACE,
            "submission_id",
            pl.col("year").alias(YEAR),
            _unit("unit", mappings),
            SERIES,
            pl.coalesce(SOURCE, pl.format("Citizen survey, {}", "submission_id")).alias(SOURCE),
            clean(pl.col(AREA)).alias(AREA),
            *(clean(pl.col(name)).alias(name) for name in dict.fromkeys([*strata, *columns])),
            pl.col("ci_low").alias("LOWER_BOUND"),
            pl.col("ci_high").alias("UPPER_BOUND"),
            pl.when(pl.col("submission_id").is_in(accepted.implode()))
            .then(pl.lit(ACCEPTED))
            .otherwise(pl.col("reliability").replace_strict(STATUS_OF_RELIABILITY))
            .alias("OBS_STATUS"),
            pl.lit(None, pl.String).alias("NATURE"),
            GEO_CODE,
            pl.col("estimate").alias(VALUE),
        )
    )


def _category(name: str, labels: Mapping[str, str]) -> pl.Expr:
    return pl.when(pl.col(name) != "_T").then(pl.col(name).replace(dict(labels)))
