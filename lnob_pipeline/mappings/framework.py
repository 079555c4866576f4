"""The global indicator framework: all its indicators, every series known, and the areas of the database.

Here: reading indicator_mappings/framework/. Not here: the indicators that citizen data can serve (indicators/*.yaml,
which win over the row of the same indicator here), which cells are expected (strata.py, gaps/expected.py).

indicators.csv  indicator, goal, target, title, by_clause (what the title asks after "by"), breakdowns (those of
                breakdowns.yaml that the clause demands, joined by ';'), not_carried (what it demands and no breakdown
                carries), about (people: persons are counted; households; other: land, money, laws, institutions),
                outside_universe (breakdowns, or categories as `age=0-4`, that the universe rules out), source
series.csv      series, title, unit (API code; several joined by ';'), headline (the slice that stands for the whole),
                admits (`sex=FEMALE;age=`: codes beside the total that the content constraints admit in a dimension; one
                that is not named admits all), expected_period_years, renamed_to (the code that took its place), and
                where each came from: headline_source, constraints_source, period_source
areas.csv       m49, name, kind (country: member state or observer of the United Nations; territory; region; other),
                groups (landlocked, least_developed, small_island, donor: member of the OECD DAC)

A headline is a `dimension_key` of official_observations; empty is the whole. `name=*` stands for any code of a
dimension, the total included, and `*` alone for any row: series of parts without a whole (policy instruments,
committees, skills).

Sources: UNSD, lists of the SDG API, release 2022.Q2.G.02 (indicators, tree of areas), SDG database of October 2020;
content constraints of the global SDG structure, July 2021; SDMX structure IAEG-SDGs:SDG(1.4).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

FOLDER: Final = "framework"
ANY: Final = "*"
"""Any code of a dimension; as a whole headline, any row."""

ABOUT: Final = ("people", "households", "other")
KINDS: Final = ("country", "territory", "region", "other")
AREA_GROUPS: Final = ("landlocked", "least_developed", "small_island", "donor")
COLUMNS: Final = {
    "indicators": (
        "indicator", "goal", "target", "title", "by_clause", "breakdowns", "not_carried", "about", "outside_universe",
        "source",
    ),
    "series": (
        "series", "title", "unit", "headline", "admits", "expected_period_years", "renamed_to", "headline_source",
        "constraints_source", "period_source",
    ),
    "areas": ("m49", "name", "kind", "groups"),
}  # fmt: skip
KEYS: Final = {"indicators": "indicator", "series": "series", "areas": "m49"}


@dataclass(frozen=True, eq=False)
class Framework:
    """The three files as frames of text; an empty cell is the empty text (expected_period_years: Int32 or null)."""

    indicators: pl.DataFrame
    series: pl.DataFrame
    areas: pl.DataFrame


@dataclass(frozen=True)
class FrameworkIndicator:
    """One indicator of the framework, as far as the expected cells need it."""

    indicator: str
    breakdowns: tuple[str, ...]
    about: str
    outside_universe: tuple[str, ...]


@dataclass(frozen=True)
class FrameworkSeries:
    """One series: its headline (dimension -> code, `*` for any; None: any row), what it admits, its usual period."""

    series: str
    unit: str
    headline: dict[str, str] | None
    admits: dict[str, list[str]]
    expected_period_years: int | None


def load_framework(folder: Path) -> Framework:
    """Read `<folder>/framework/*.csv`; empty frames where there is no such folder.

    Raises ValueError for wrong columns.
    """
    frames = {name: _read(folder / FOLDER / f"{name}.csv", COLUMNS[name]) for name in COLUMNS}
    period = pl.col("expected_period_years").replace("", None).cast(pl.Int32)
    return Framework(frames["indicators"], frames["series"].with_columns(period), frames["areas"])


def _read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    if not path.exists():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    frame = pl.read_csv(path, infer_schema=False).fill_null("")
    if tuple(frame.columns) != columns:
        raise ValueError(f"{path}: the columns are {', '.join(frame.columns)}; they have to be {', '.join(columns)}")
    return frame


def indicators_of(framework: Framework) -> dict[str, FrameworkIndicator]:
    """Indicator -> what the expected cells need of it, in the order of the file."""
    chosen = framework.indicators.select("indicator", "breakdowns", "about", "outside_universe")
    return {
        code: FrameworkIndicator(code, _items(breakdowns), about, _items(outside))
        for code, breakdowns, about, outside in chosen.iter_rows()
    }


def series_of(framework: Framework) -> dict[str, FrameworkSeries]:
    """Series -> what the expected cells need of it, in the order of the file."""
    chosen = framework.series.select("series", "unit", "headline", "admits", "expected_period_years")
    return {
        code: FrameworkSeries(code, unit, headline_of(headline), admits_of(admits), period)
        for code, unit, headline, admits, period in chosen.iter_rows()
    }


@functools.lru_cache(maxsize=4096)
def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, code) for name, _, code in (pair.partition("=") for pair in text.split(";")) if name)


def headline_of(text: str) -> dict[str, str] | None:
    """`age=15+;type_of_skill=*` as a dictionary; None for `*`, any row."""
    return None if text == ANY else dict(_pairs(text))


def admits_of(text: str) -> dict[str, list[str]]:
    """`sex=FEMALE;age=` as {sex: [FEMALE], age: []}."""
    return {name: [code for code in codes.split(",") if code] for name, codes in _pairs(text)}


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for item in text.split(";") if item)
