"""The SDMX twin of the UN SDG API: the same figures from the UN's SDMX service, as a second source of stage 5.

Here: requests for a structure and for data, SDMX-ML 2.1 read as rows, and the proof that an answer is whole. Not here:
requests and retries (`http`), pairs of codes (`codes`), what a value means (`values`).

Sources: the SDMX 2.1 standard (message formats and web service guidelines) and the recorded behaviour of the service:

* The version of the dataflow changes with almost every release and one that is gone answers 404. It is left out.
* 404 says that the query has no row. Whether the dataflow is there at all is known from its structure, asked first.
* The documented address answers with a redirect.
* A total is written for every dimension (`_T`), whether or not the series is broken down by it.

SDMX counts nothing, so completeness is shown by what the format allows: a message that is well-formed to its last tag
and says of no limit that cut it short, rows of the series and areas that were asked for and no others, every key once.
SDMX has no name of a release; the version of the dataflow stands for it.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree
from xml.parsers import expat

import polars as pl
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from lnob_pipeline.official.codes import Codes, series_code
from lnob_pipeline.official.http import HttpService, HttpSettings, OfficialSourceError, StatusError, TransientError
from lnob_pipeline.official.pages import TEXT_COLUMNS, no_rows
from lnob_pipeline.official.sources import SourcePart, UnknownCodeError

log = logging.getLogger(__name__)

AGENCY: Final = "IAEG-SDGs"
DATAFLOW: Final = "DF_SDG_GLH"
OBSERVATION_STATUS: Final = "attribute.observation_status"

_STRUCTURE: Final = "application/vnd.sdmx.structure+xml;version=2.1"
_DATA: Final = "application/vnd.sdmx.structurespecificdata+xml;version=2.1"
_MESSAGES: Final = ("StructureSpecificData", "GenericData")
_TIME: Final = "TIME_PERIOD"
_OF_THE_KEY: Final = ("SERIES", "REF_AREA")  # dimensions with a column of their own

# Columns of a row, and the attribute of SDMX that each of them holds as it is.
_FIELDS: Final = {
    "year": _TIME,
    "value_text": "OBS_VALUE",
    "lower_bound": "LOWER_BOUND",
    "upper_bound": "UPPER_BOUND",
    "source": "SOURCE_DETAIL",
    "base_period": "BASE_PER",
    "time_detail": "TIME_DETAIL",
    OBSERVATION_STATUS: "OBS_STATUS",
}
_COMMENTS: Final = ("COMMENT_OBS", "COMMENT_TS")
_CODED: Final = ("NATURE", "UNIT_MEASURE", "UNIT_MULT")


@dataclass(frozen=True)
class Structure:
    """What the dataflow is made of: its version, its dimensions in the order of a key, series and areas."""

    body: bytes
    version: str
    dimensions: tuple[str, ...]
    series: dict[str, Series]
    areas: dict[str, str]  # M49 without leading zeros -> name


@dataclass(frozen=True)
class Series:
    """One code of the list of series: its name, and the indicators that it serves, with their title."""

    title: str
    indicators: tuple[str, ...]
    indicator_title: str | None


class SdmxClient:
    """A client of the UN's SDMX service (`sources.OfficialSource`).

    `base_url` is the address above `data/` and `dataflow/`, for instance `https://data.un.org/ws/rest`. `codes` pairs
    the codes of SDMX with those of the API, in which the rows come. `sleep` and `chance` exist so that waiting can be
    observed. Every method raises OfficialSourceError when no whole answer can be had.
    """

    def __init__(
        self,
        base_url: str,
        codes: Codes,
        settings: HttpSettings | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or HttpSettings()
        self.base_url = base_url.rstrip("/")
        self.without_twin: Counter[str] = Counter()
        """Rows that carry a code of SDMX without a twin in the API: `CONCEPT=CODE` -> number of rows so far."""
        self._codes = codes
        self._units = codes.units()
        self._http = HttpService(self.base_url, self.settings, _DATA, sleep=sleep, chance=chance)
        self._structure: Structure | None = None

    def __enter__(self) -> SdmxClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    # --- the framework ---------------------------------------------------------------------------------

    def structure(self, *, fresh: bool = False) -> Structure:
        """The structure of the dataflow, asked for once unless `fresh`."""
        if self._structure is None or fresh:
            path = f"dataflow/{AGENCY}/{DATAFLOW}/latest"

            def ask() -> Structure:
                return _structure(self._http.get(path, [("references", "all")], accept=_STRUCTURE))

            try:
                self._structure = self._http.persist(ask, path)
            except StatusError as error:
                raise OfficialSourceError(
                    f"{self.base_url} has no dataflow {AGENCY}:{DATAFLOW} (status {error.status}). "
                    "Check the address of the SDMX service in the settings."
                ) from error
        return self._structure

    def release(self, *, fresh: bool = False) -> str:
        """`SDMX-` and the version of the dataflow, for instance `SDMX-1.26`; `fresh` asks the service again."""
        return f"SDMX-{self.structure(fresh=fresh).version}"

    def updated(self) -> str:
        """Empty: the service says of each series when it changed, of the dataflow it does not."""
        return ""

    def series_codes(self) -> frozenset[str]:
        """The codes of all series of the structure, retired ones included."""
        return frozenset(self.structure().series)

    def lists(self) -> dict[str, bytes]:
        """The structure as received, and what it says of series, indicators and areas in the shape of the API's lists.

        A series that serves no indicator any more is in the structure alone.
        """
        structure, release = self.structure(), self.release()
        listed = [
            {
                "goal": [indicator.split(".")[0] for indicator in about.indicators],
                "target": [indicator.rpartition(".")[0] for indicator in about.indicators],
                "indicator": list(about.indicators),
                "release": release,
                "code": code,
                "description": about.title,
            }
            for code, about in structure.series.items()
            if about.indicators
        ]
        served: dict[str, tuple[str | None, list[str]]] = {}
        for code, about in structure.series.items():
            for indicator in about.indicators:
                served.setdefault(indicator, (about.indicator_title, []))[1].append(code)
        indicators = [
            {
                "goal": indicator.split(".")[0],
                "target": indicator.rpartition(".")[0],
                "code": indicator,
                "description": title,
                "series": codes,
            }
            for indicator, (title, codes) in sorted(served.items())
        ]
        areas = [{"geoAreaCode": code, "geoAreaName": name} for code, name in structure.areas.items()]
        made = {"Series-List.json": listed, "Indicator-List.json": indicators, "GeoArea-List.json": areas}
        bodies = {name: json.dumps(items, ensure_ascii=False).encode() for name, items in made.items()}
        return {"SDMX-Structure.xml": structure.body, **bodies}

    # --- observations ----------------------------------------------------------------------------------

    def observations(self, series: Iterable[str], areas: Iterable[str] | None = None) -> Iterator[SourcePart]:
        """One part for each series, as they arrive whole; `areas` are M49 codes, all areas where there are none.

        The rows are in the names and codes of the API, with the observation status as one more column. Raises
        UnknownCodeError for a series or an area outside the structure, before anything is asked. A series without a row
        is a part without rows.
        """
        wanted = None if areas is None else tuple(str(int(area)) for area in areas)
        if wanted == ():
            raise ValueError("observations needs at least one area, or None for all of them")
        codes = dict.fromkeys(series_code(code) for code in series)
        if unknown := sorted(codes.keys() - self.series_codes()):
            raise UnknownCodeError(
                f"{self.base_url}: series {', '.join(unknown)} not in {self.release()}. "
                "Check the code in the indicator file: a renamed series has a new code."
            )
        if unknown := sorted(set(wanted or ()) - self.structure().areas.keys()):
            raise UnknownCodeError(
                f"{self.base_url}: area {', '.join(unknown)} not in {self.release()}. "
                "Check the M49 code in countries.yaml; an unknown area would look like one without figures."
            )
        for part, without_twin in self._http.as_they_arrive(lambda code: self._part(code, wanted), codes):
            self.without_twin += without_twin
            yield part
        if self.without_twin:
            told = ", ".join(f"{code} ({rows})" for code, rows in self.without_twin.most_common(20))
            log.warning("official figures: rows with codes that the API does not have, kept as they are: %s", told)

    def _part(self, series: str, areas: tuple[str, ...] | None) -> tuple[SourcePart, Counter[str]]:
        chosen = {"SERIES": series, "REF_AREA": "+".join(areas or ())}
        key = ".".join(chosen.get(name, "") for name in self.structure().dimensions)
        path = f"data/{AGENCY},{DATAFLOW},/{key}/ALL/"
        query = [("detail", "full"), ("dimensionAtObservation", _TIME)]

        def ask() -> tuple[bytes, pl.DataFrame]:
            body = self._http.get(path, query)
            return body, self._checked(_observations(body), series, areas)

        try:
            body, found = self._http.persist(ask, f"data of {series}")
        except StatusError as error:
            if error.status == 404:
                return SourcePart(series, (), no_rows(), 0, ".xml"), Counter()
            raise
        rows, without_twin = self._rows(series, found)
        return SourcePart(series, (body,), rows, rows.height, ".xml"), without_twin

    def _checked(self, found: pl.DataFrame, series: str, areas: tuple[str, ...] | None) -> pl.DataFrame:
        """The rows if they are of this series and these areas and every key comes once; else TransientError."""
        keys = [*self.structure().dimensions, _TIME]
        if found.is_empty():
            return found
        if absent := [name for name in keys if name not in found.columns or found[name].null_count()]:
            raise TransientError(f"rows without {', '.join(absent)}, which the structure says are part of their key")
        if others := set(found["SERIES"].unique()) - {series}:
            raise TransientError(f"the answer holds rows of another series: {', '.join(sorted(others))}")
        if areas and (others := set(found["REF_AREA"].unique()) - set(areas)):
            raise TransientError(f"the answer holds rows of areas that were not asked for: {', '.join(sorted(others))}")
        if repeated := found.height - found.n_unique(keys):
            raise TransientError(f"{repeated} rows repeat the key of another")
        return found

    def _rows(self, series: str, found: pl.DataFrame) -> tuple[pl.DataFrame, Counter[str]]:
        """Observations of SDMX as rows of the API: its columns, its dimensions, its codes."""
        if found.is_empty():
            return no_rows(), Counter()
        named = {*_FIELDS.values(), *_COMMENTS, *_CODED}
        absent = [pl.lit(None, dtype=pl.String).alias(name) for name in sorted(named - set(found.columns))]
        complete = found.with_columns(absent).with_columns(pl.col("UNIT_MULT").fill_null("0"))
        concepts = [name for name in self.structure().dimensions if name not in _OF_THE_KEY]
        dimensions, without_twin = self._codes.dimensions(series, complete, concepts)
        natures = self._codes.attribute("NATURE")
        multiplied = pl.format("{}*10^{}", "UNIT_MEASURE", "UNIT_MULT")
        own = pl.when(pl.col("UNIT_MULT") == "0").then("UNIT_MEASURE").otherwise(multiplied)
        coded = complete.join(
            self._units, on=("UNIT_MEASURE", "UNIT_MULT"), how="left", maintain_order="left"
        ).with_columns(own_unit=own)
        for unit, rows in coded.filter(pl.col("units").is_null()).group_by("own_unit").len().rows():
            without_twin[f"UNIT_MEASURE={unit}"] += rows
        rows = coded.select(
            pl.lit(series).alias("series"),
            pl.col("REF_AREA").str.zfill(3).alias("area"),
            *(pl.col(name).alias(column) for column, name in _FIELDS.items()),
            pl.col("NATURE").replace(natures).alias("nature"),
            pl.coalesce("units", "own_unit").alias("units"),
            _joined(_COMMENTS).alias("footnotes"),
        )
        return rows.select(*TEXT_COLUMNS, OBSERVATION_STATUS).hstack(dimensions), without_twin


def _joined(columns: Iterable[str]) -> pl.Expr:
    """The texts of several columns, a line each; null where there are none."""
    lines = pl.concat_list(pl.col(name).str.strip_chars().replace("", None) for name in columns).list.drop_nulls()
    return pl.when(lines.list.len() > 0).then(lines.list.join("\n"))


# --- SDMX-ML -----------------------------------------------------------------------------------------------


def _refuse_what_is_no_message(body: bytes) -> None:
    start = body.lstrip()[:15].lower()
    if not start:
        raise TransientError("an empty body with status 200")
    if start.startswith((b"<!doctype html", b"<html")):
        raise TransientError("a web page instead of SDMX, with status 200")


def _structure(body: bytes) -> Structure:
    """What a structure message says of the dataflow. Raises TransientError for a broken one."""
    _refuse_what_is_no_message(body)
    try:
        root = fromstring(body, forbid_dtd=True)
    except ElementTree.ParseError as error:
        raise TransientError(f"broken XML: {error}") from None
    except DefusedXmlException as error:
        raise OfficialSourceError(
            f"the structure holds a document type or entities, which are not read: {error}"
        ) from None
    flow = root.find(f".//{{*}}Dataflow[@id='{DATAFLOW}']")
    reference = flow.find("{*}Structure/Ref") if flow is not None else None
    if flow is None or reference is None:
        raise TransientError(f"the structure holds no dataflow {DATAFLOW} with a reference to its definition")
    definition = root.find(f".//{{*}}DataStructure[@id='{reference.get('id')}']")
    listed = [] if definition is None else definition.findall(".//{*}DimensionList/{*}Dimension")
    listed.sort(key=lambda dimension: int(dimension.get("position", "0")))
    enumerations = {
        dimension.get("id", ""): reference.get("id")
        for dimension in listed
        if (reference := dimension.find(".//{*}Enumeration/Ref")) is not None
    }
    if absent := [name for name in _OF_THE_KEY if name not in enumerations]:
        raise TransientError(f"the structure has no coded dimension {', '.join(absent)}")
    series, areas = (root.findall(f".//{{*}}Codelist[@id='{enumerations[name]}']/{{*}}Code") for name in _OF_THE_KEY)
    if not series or not areas:
        raise TransientError("the structure comes without its lists of series and areas")
    return Structure(
        body,
        flow.get("version", "1.0"),
        tuple(dimension.get("id", "") for dimension in listed),
        {code.get("id", ""): _series(code) for code in series},
        {code.get("id", ""): _name(code) for code in areas},
    )


def _series(code: ElementTree.Element) -> Series:
    notes = [
        (note.findtext("{*}AnnotationType"), (note.findtext("{*}AnnotationText") or "").strip())
        for note in code.findall("{*}Annotations/{*}Annotation")
    ]
    indicators = dict.fromkeys(text for kind, text in notes if kind == "Indicator" and text)
    titles = [text for kind, text in notes if kind == "IndicatorTitle" and text]
    # A name ends in the indicators of the series: `... poverty line [1.1.1]`.
    title = re.sub(r"\s*\[[0-9a-z., ]+\]\s*$", "", _name(code))
    return Series(title, tuple(indicators), titles[0] if titles else None)


def _name(code: ElementTree.Element) -> str:
    """The English name of a code, another where there is none, the code itself where there is no name at all."""
    names = code.findall("{*}Name")
    english = [name for name in names if name.get("{http://www.w3.org/XML/1998/namespace}lang", "en") == "en"]
    return next((name.text.strip() for name in [*english, *names] if name.text), code.get("id", ""))


@dataclass
class _Reader:
    """Observations of one message, of the generic or the structure-specific form, as they come by.

    A row is the attributes of its series, then its own. Names are without their namespaces.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    root: str = ""
    footer: list[str] = field(default_factory=list)
    _series: dict[str, str] = field(default_factory=dict)
    _row: dict[str, str] | None = None
    _in_footer: bool = False

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        values = self._series if self._row is None else self._row
        if not self.root:
            self.root = name
        elif name == "Series":
            self._series = _plain(attributes)
        elif name == "Obs":
            self._row = _plain(attributes)
        elif name == "Value":
            values[attributes["id"]] = attributes["value"]
        elif name == "ObsDimension":
            values[attributes.get("id", _TIME)] = attributes["value"]
        elif name == "ObsValue":
            values["OBS_VALUE"] = attributes["value"]
        elif name == "Group":
            raise TransientError("the message holds groups, which the dataflow does not have")
        elif name == "Footer":
            self._in_footer = True

    def end(self, tag: str) -> None:
        name = tag.rpartition(" ")[2]
        if name == "Obs":
            self.rows.append(self._series | (self._row or {}))
            self._row = None
        elif name == "Series":
            self._series = {}

    def text(self, data: str) -> None:
        if self._in_footer and data.strip():
            self.footer.append(data.strip())


def _plain(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes without those of a namespace, such as `xsi:type`."""
    return {name: value for name, value in attributes.items() if " " not in name}


def _observations(body: bytes) -> pl.DataFrame:
    """The observations of a data message as text, one column for each dimension and attribute that any of them has.

    Raises TransientError for a message that is broken or was cut short, OfficialSourceError for one with a document
    type: entities are how a small file becomes a large one, and SDMX has none.
    """
    _refuse_what_is_no_message(body)
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise OfficialSourceError("the answer holds a document type or entities, which are not read; it is no SDMX")

    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise TransientError(f"broken XML after {len(body)} bytes: {error}") from None
    except KeyError as error:
        raise TransientError(f"an element of the message lacks {error}") from None
    if reader.root not in _MESSAGES:
        raise TransientError(f"a message {reader.root} instead of data")
    if reader.footer:
        raise TransientError(f"the service says of its answer: {' '.join(reader.footer)[:300]}")
    names = dict.fromkeys(name for row in reader.rows for name in row)
    return pl.DataFrame(
        {name: [row.get(name) for row in reader.rows] for name in names}, schema=dict.fromkeys(names, pl.String)
    )
