"""What a replay of the UN SDG API serves: a release, and the service's lists and pages made of it.

Any release will do: the bundled figures, a snapshot folder, or a complete download of the database (1.1 million rows).
Pages are made column by column when they are asked for, so that a complete release takes no more memory than its codes
and values.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import polars as pl

from lnob_pipeline.official.pages import DIMENSION, TEXT_COLUMNS
from lnob_pipeline.official.snapshot import Snapshot, bundled_snapshot, expected_series

AREA_NAMES = {
    "50": "Bangladesh",
    "356": "India",
    "404": "Kenya",
    "454": "Malawi",
    "524": "Nepal",
    "566": "Nigeria",
    "704": "Viet Nam",
}
API_NAMES = {
    "age": "Age",
    "sex": "Sex",
    "location": "Location",
    "quantile": "Quantile",
    "disability_status": "Disability status",
    "education_level": "Education level",
    "grounds_of_discrimination": "Grounds of discrimination",
    "reporting_type": "Reporting Type",
}
# Declared for every series, carried by few rows.
DECLARED_TOTALS = {"Age": "ALLAGE", "Location": "ALLAREA", "Sex": "BOTHSEX"}
ARCHIVED = "2019.Q1.G.01"
LEVELS = ("Goal", "Target", "Indicator", "Series")
REPORTING_TYPE = DIMENSION + "reporting_type"

Repeats = Literal["in_turn", "listing_by_listing", "one_indicator_each"]
"""How rows of a series of several indicators are repeated: each row at once, the whole listing again, or each row once
for each indicator and naming that one alone."""


@dataclass(frozen=True)
class ReplayData:
    """What is served: `links` and `observations` as in `Snapshot`, but with the database's own indicator codes.

    `recorded` are lists served as they stand: path -> body.
    """

    release: str
    links: pl.DataFrame
    observations: pl.DataFrame
    names: Mapping[str, str] = field(default_factory=lambda: AREA_NAMES)
    recorded: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> ReplayData:
        """Any snapshot, with the countries of the partnership by name."""
        whole = pl.col("indicator").str.replace(r"(\.\d+)[a-z]$", "$1")  # the database has 6.2.1, not its parts
        rows = snapshot.observations
        areas = rows["area"].str.strip_chars_start("0").unique().sort()
        names = AREA_NAMES | {code: AREA_NAMES.get(code, f"Area {code}") for code in areas}
        return cls(snapshot.info.release, snapshot.links.with_columns(whole), rows, names)

    @classmethod
    def bundled(cls, folder: Path) -> ReplayData:
        """The bundled figures, with the indicators for which the release has no series."""
        data = cls.from_snapshot(bundled_snapshot(folder))
        silent = (
            expected_series(folder)
            .filter(~(pl.col("in_release") == "true").any().over("indicator"))
            .unique("indicator", keep="first", maintain_order=True)
            .with_columns(pl.lit(None, dtype=pl.String).alias("series"))
        )
        return cls(data.release, pl.concat([data.links, silent.select(data.links.columns)]), data.observations)

    @classmethod
    def from_download(cls, path: Path, release: str, *, areas: Iterable[str] | None = None) -> ReplayData:
        """A complete download of the database as Parquet (dimension columns after `units`).

        With `areas`, every series and area is listed, but only these areas have rows.
        """
        table = pl.scan_parquet(path)
        linked = table.select("indicator", "goal", "target", "series", title="seriesDescription").unique("series")
        pairs = linked.collect().with_columns(pl.col("indicator", "goal", "target").str.split(", "))
        names = dict(table.select("geoAreaCode", "geoAreaName").unique("geoAreaCode").collect().rows())
        if areas:
            table = table.filter(pl.col("geoAreaCode").is_in(list(areas)))
        # The status of an observation is an attribute, not a dimension.
        dimensions = table.drop("observation_status").collect_schema().names()
        dimensions = dimensions[dimensions.index("units") + 1 : dimensions.index("value_num")]
        codes = {
            "series": "series",
            "area": "geoAreaCode",
            "year": "timePeriodStart",
            "nature": "nature",
            "units": "units",
        }
        codes |= {DIMENSION + name: name for name in dimensions}
        observations = table.select(
            **{name: pl.col(column).cast(pl.Categorical) for name, column in codes.items()}, value_text=pl.col("value")
        ).collect()
        return cls(release, pairs.explode("indicator", "goal", "target"), observations, names)


class Service:
    """The answers of the service for one release, as bodies."""

    def __init__(self, data: ReplayData, *, repeats: Repeats = "in_turn") -> None:
        self.data = data
        self.release = data.release
        self.repeats = repeats
        self.items = self._series_items()
        texts = [name for name in data.observations.columns if name != "value_text"]
        self._rows = data.observations.with_columns(pl.col(texts).cast(pl.String).cast(pl.Categorical)).sort(
            pl.col("series").cast(pl.String), maintain_order=True
        )
        if "area" in texts:
            self._rows = self._rows.with_columns(
                pl.col("area").cast(pl.String).str.strip_chars_start("0").cast(pl.Categorical)
            )
        counts = self._rows.group_by("series", maintain_order=True).len()
        starts = counts["len"].cum_sum() - counts["len"]
        self._parts = {
            str(code): (start, count)
            for code, start, count in zip(counts["series"], starts, counts["len"], strict=True)
        }
        self.row_numbers = lru_cache(32)(self._row_numbers)
        self.declared = lru_cache(64)(self._declared)

    # --- lists -----------------------------------------------------------------------------------------

    def listed(self, path: str, query: Mapping[str, list[str]]) -> Any:
        """The JSON of a list, or None for a path that is none."""
        children = query.get("includechildren") == ["true"]
        lists: dict[str, Callable[[], Any]] = {
            "Goal/List": lambda: self.goals(children=children),
            "Target/List": lambda: self.targets(children=children),
            "Indicator/List": lambda: self.indicators(children=children),
            "Series/List": lambda: self.series(archived=query.get("allreleases") == ["true"]),
            "GeoArea/List": lambda: self._area_items(self.data.names),
            "GeoArea/Tree": self.area_tree,
        }
        if path in lists:
            return lists[path]()
        if found := re.fullmatch(r"GeoArea/(\d+)/List", path):
            return self._tree_of(found[1])
        found = re.fullmatch(r"(Goal|Target|Indicator|Series)/([^/]+)/(\w+)(?:/List)?", path)
        return self._of(found[1], found[2], found[3]) if found else None

    def goals(self, *, children: bool = False) -> list[dict[str, Any]]:
        return [
            {"code": code, "title": f"Goal {code}", "description": f"Goal {code}", "uri": f"/v1/sdg/Goal/{code}"}
            | ({"targets": [item for item in self.targets(children=True) if item["goal"] == code]} if children else {})
            for code in sorted(set(self.data.links["goal"]), key=int)
        ]

    def targets(self, *, children: bool = False) -> list[dict[str, Any]]:
        pairs = self.data.links.select("goal", "target").unique().sort("goal", "target").rows()
        indicators = self.indicators(children=True) if children else []
        return [
            {
                "goal": goal,
                "code": code,
                "title": f"Target {code}",
                "description": f"Target {code}",
                "uri": f"/v1/sdg/Target/{code}",
                "indicators": [item for item in indicators if item["target"] == code] if children else None,
            }
            for goal, code in pairs
        ]

    def indicators(self, *, children: bool = False) -> list[dict[str, Any]]:
        """With children, each series is followed by its archived releases."""
        grouped = self.data.links.group_by("goal", "target", "indicator").agg("series").sort("indicator").rows()
        return [
            {
                "goal": goal,
                "target": target,
                "code": code,
                "description": f"Indicator {code}",
                "tier": "1",
                "uri": f"/v1/sdg/Indicator/{code}",
                "series": [
                    entry
                    for name in sorted({name for name in series if name})
                    for entry in ([self.items[name], _archived(self.items[name])] if children else [self.items[name]])
                ],
            }
            for goal, target, code, series in grouped
        ]

    def series(self, *, archived: bool = False) -> list[dict[str, Any]]:
        current = [item | {"release": self.release} for item in self.items.values()]
        return [*current, *map(_archived, current)] if archived else current

    def _series_items(self) -> dict[str, dict[str, Any]]:
        linked = self.data.links.drop_nulls("series").sort("series", "indicator")
        grouped = linked.group_by("series", maintain_order=True).agg("goal", "target", "indicator", "title").rows()
        return {
            code: {
                "goal": goals,
                "target": targets,
                "indicator": indicators,
                "release": self.release,
                "code": code,
                "description": titles[0],
                "uri": f"/v1/sdg/Series/{code}",
            }
            for code, goals, targets, indicators, titles in grouped
        }

    def area_tree(self) -> list[dict[str, Any]]:
        """The world stands there twice, with all countries, as in the recorded tree."""
        countries = [
            {"geoAreaCode": int(code), "geoAreaName": name, "type": "Country", "children": None}
            for code, name in self.data.names.items()
        ]
        views = ("SDG regions", "MDG regions")
        return [
            {"geoAreaCode": 1, "geoAreaName": f"World (total) by {view}", "type": "Region", "children": countries}
            for view in views
        ]

    def _area_items(self, codes: Iterable[str]) -> list[dict[str, str]]:
        return [{"geoAreaCode": code, "geoAreaName": self.data.names.get(code, code)} for code in codes]

    def _tree_of(self, area: str) -> list[dict[str, Any]]:
        """Goal > target > indicator > series, of the series with rows for an area."""
        there = set(self._rows.filter(pl.col("area") == area)["series"].unique().cast(pl.String))

        def kept(items: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
            if not names:
                return [item for item in items if item["code"] in there and item["goal"]]
            pruned = [item | {names[0]: kept(item[names[0]], names[1:])} for item in items]
            return [item for item in pruned if item[names[0]]]

        return kept(self.goals(children=True), ["targets", "indicators", "series"])

    def _of(self, level: str, code: str, what: str) -> Any:
        below = dict(itertools.pairwise(LEVELS))
        if what == below.get(level):
            lists = {"Target": self.targets, "Indicator": self.indicators}
            if what == "Series":
                return [item for item in self.items.values() if code in item["indicator"]]
            return [item for item in lists[what]() if item[level.lower()] == code]
        if level == "Series" and what == "List":
            return [self.items[code]] if code in self.items else []
        series = self.codes(level, code)
        if what == "GeoAreas":
            areas = self._rows.filter(pl.col("series").cast(pl.String).is_in(series))["area"].unique()
            return self._area_items(sorted(areas.cast(pl.String), key=int))
        if what in ("Dimensions", "Attributes") and level in ("Goal", "Series"):
            return self.declared(tuple(series))[what.lower()] if series else []
        return None

    # --- observations ----------------------------------------------------------------------------------

    def codes(self, level: str, code: str) -> list[str]:
        """The series of a goal, target, indicator, or the series itself."""
        if level == "Series":
            return [code] if code in self.items else []
        return [name for name, item in self.items.items() if code in item[level.lower()]]

    def _declared(self, series: tuple[str, ...]) -> dict[str, Any]:
        """The codes of a page: natures and units, dimensions of the rows, and totals that the rows do not carry."""
        rows = self._rows[self.row_numbers(series, ())]
        natures = sorted({*_codes(rows, "nature"), "C", "CA", "E", "G", "M", "N", "NA"})
        attributes = [
            {"id": "Nature", "codes": [_code(code, "_X" if code == "NA" else code) for code in natures]},
            {"id": "Units", "codes": [_code(code) for code in sorted(_codes(rows, "units"))]},
        ]
        declared = {name: {total} for name, total in DECLARED_TOTALS.items()} | {"Reporting Type": {"G", "N", "R"}}
        for column in rows.columns:
            if column.startswith(DIMENSION) and (codes := _codes(rows, column)):
                declared.setdefault(api_name(column), set()).update(codes)
        dimensions = [
            {"id": name, "codes": [_code(code) for code in sorted(codes)]} for name, codes in declared.items()
        ]
        return {"attributes": attributes, "dimensions": dimensions}

    def _row_numbers(self, series: tuple[str, ...], areas: tuple[str, ...]) -> pl.Series:
        """Numbers of the rows of these series and areas, in the order of listing, repeats included."""
        found = [pl.Series([], dtype=pl.UInt32)]
        for code in series:
            start, count = self._parts.get(code, (0, 0))
            numbers = pl.int_range(start, start + count, dtype=pl.UInt32, eager=True)
            if areas:
                numbers = numbers.filter(self._rows["area"].slice(start, count).cast(pl.String).is_in(areas))
            times = len(self.items[code]["indicator"])
            if times > 1:
                numbers = _repeated(numbers, times, self.repeats)
            found.append(numbers)
        return pl.concat(found)

    def selected(self, series: list[str], query: Mapping[str, list[str]]) -> pl.Series:
        """The numbers of the rows that a query asks for: areas, years, and dimensions as rows carry them."""
        numbers = self.row_numbers(tuple(series), tuple(query.get("areaCode", [])))
        conditions = []
        if years := [float(year) for year in query.get("timePeriod", [])]:
            conditions.append(pl.col("year").cast(pl.String).cast(pl.Float64).is_in(years))
        for condition in json.loads(query.get("dimensions", ["[]"])[0]):
            column = next((name for name in self._rows.columns if api_name(name) == condition["name"]), None)
            value = pl.col(column).cast(pl.String) if column else pl.lit(None, dtype=pl.String)
            value = value.fill_null("G") if condition["name"] == "Reporting Type" else value
            conditions.append(value.is_in(condition["values"]).fill_null(False))
        if conditions:
            numbers = numbers.filter(self._rows[numbers].select(pl.all_horizontal(conditions)).to_series())
        return numbers

    def row_texts(self, numbers: pl.Series, before: pl.Series) -> list[str]:
        """The JSON of rows; `before` are the numbers listed earlier, which tell which repeat of a row this is."""
        rows = self._rows[numbers].with_columns(pl.exclude("value_text").cast(pl.String))
        absent = [pl.lit(None, dtype=pl.String).alias(name) for name in TEXT_COLUMNS if name not in rows.columns]
        rows = rows.with_columns(*absent, pl.lit(0, dtype=pl.UInt32).alias("copy"))
        if self.repeats == "one_indicator_each" and rows.height:
            listed = pl.concat([before, numbers]).alias("row").to_frame().with_row_index("place")
            copies = listed.select(pl.col("place").rank("ordinal").over("row") - 1).to_series().cast(pl.UInt32)
            rows = rows.with_columns(copies.tail(rows.height).alias("copy"))
        texts = rows.select(
            pl.concat_str(
                self._beginnings(rows),
                _inner(pl.struct(_scalars(self.data.names)).struct.json_encode()),
                pl.lit(',"dimensions":{'),
                _dimensions(rows),
                pl.lit("}}"),
            )
        )
        return texts.to_series().to_list()

    def _beginnings(self, rows: pl.DataFrame) -> pl.Expr:
        """What all rows of a series have in common, without the closing brace."""
        texts = {}
        for series, copy in rows.select("series", "copy").unique().rows():
            item = self.items[series]
            own = slice(None) if self.repeats != "one_indicator_each" else slice(copy, copy + 1)
            head = {name: item[name][own] for name in ("goal", "target", "indicator")}
            head |= {"series": series, "seriesDescription": item["description"]}
            head |= {"seriesCount": str(self._parts[series][1])}
            texts[f"{series} {copy}"] = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1] + ","
        key = pl.concat_str("series", pl.lit(" "), pl.col("copy").cast(pl.String))
        return key.replace_strict(texts, default=None, return_dtype=pl.String)


def _scalars(names: Mapping[str, str]) -> list[pl.Expr]:
    """The fields of a row between those of its series and its dimensions, in the order of the service."""
    nothing = pl.lit(None, dtype=pl.String)
    plain = pl.col("value_text").str.contains(r"^-?[\d.]+$").fill_null(False)
    return [
        pl.col("area").alias("geoAreaCode"),
        pl.col("area").replace(dict(names)).alias("geoAreaName"),
        pl.col("year").cast(pl.Float64).alias("timePeriodStart"),
        pl.col("value_text").alias("value"),
        pl.when(plain).then(pl.lit("Float")).otherwise(pl.lit("String")).alias("valueType"),
        pl.col("time_detail"),
        nothing.alias("timeCoverage"),
        pl.col("upper_bound").alias("upperBound"),
        pl.col("lower_bound").alias("lowerBound"),
        pl.col("base_period").alias("basePeriod"),
        pl.col("source"),
        nothing.alias("geoInfoUrl"),
        pl.col("footnotes").fill_null("").str.split("\n"),
        pl.struct(pl.col("nature").alias("Nature"), pl.col("units").alias("Units")).alias("attributes"),
    ]


def _dimensions(rows: pl.DataFrame) -> pl.Expr:
    """`"Sex":"FEMALE","Age":"15+"` of those that a row carries; every row has a reporting type."""
    codes = {REPORTING_TYPE: pl.lit("G")} | {name: pl.col(name) for name in rows.columns if name.startswith(DIMENSION)}
    if REPORTING_TYPE in rows.columns:
        codes[REPORTING_TYPE] = pl.col(REPORTING_TYPE).fill_null("G")
    pairs = [
        pl.when(code.is_not_null()).then(_inner(pl.struct(code.alias(api_name(name))).struct.json_encode()))
        for name, code in codes.items()
    ]
    return pl.concat_str(pairs, separator=",", ignore_nulls=True)


def _repeated(numbers: pl.Series, times: int, repeats: Repeats) -> pl.Series:
    if repeats == "listing_by_listing":
        return pl.concat([numbers] * times)
    return numbers.to_frame("row").select(pl.col("row").repeat_by(times).explode()).to_series()


def _inner(text: pl.Expr) -> pl.Expr:
    """The JSON of an object without its braces."""
    return text.str.head(-1).str.tail(-1)


def _codes(rows: pl.DataFrame, column: str) -> set[str]:
    return set(rows[column].unique().drop_nulls().cast(pl.String))


def _archived(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"goal": None, "target": None, "indicator": None, "release": ARCHIVED}


def api_name(column: str) -> str:
    """The service's name of a dimension column."""
    name = column.removeprefix(DIMENSION)
    return API_NAMES.get(name, name)


def _code(code: str, sdmx: str | None = None) -> dict[str, str]:
    return {"code": code, "description": code, "sdmx": sdmx or code}
