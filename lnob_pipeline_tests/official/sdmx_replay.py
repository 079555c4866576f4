"""A replay of the UN's SDMX service: a real HTTP server on loopback, and official figures written as SDMX-ML 2.1.

It behaves as the live service is recorded to behave:

* `/ws/rest/...` answers with a redirect to `/legacy/ws/rest/...`;
* the structure of the dataflow is at `dataflow/IAEG-SDGs/DF_SDG_GLH/latest`, another dataflow answers 404;
* data of a version of the dataflow that is gone answers 404, and so does a query without a row (`NoRecordsFound`);
* every dimension is written, `_T` where there is no breakdown; areas are M49 without leading zeros;
* the answer is structure-specific unless generic SDMX-ML is asked for.

A test can put a fault between an answer and its reader (`misbehave`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, quoteattr

import polars as pl

from lnob_pipeline.official.codes import Codes, series_code_of
from lnob_pipeline.official.pages import DIMENSION, TEXT_COLUMNS

DIMENSIONS = (
    "FREQ",
    "REPORTING_TYPE",
    "SERIES",
    "REF_AREA",
    "SEX",
    "AGE",
    "URBANISATION",
    "INCOME_WEALTH_QUANTILE",
    "EDUCATION_LEV",
    "OCCUPATION",
    "CUST_BREAKDOWN",
    "COMPOSITE_BREAKDOWN",
    "DISABILITY_STATUS",
    "ACTIVITY",
    "PRODUCT",
)
OF_THE_SERIES = ("UNIT_MEASURE", "COMMENT_TS", "DATA_LAST_UPDATE")
OF_THE_OBSERVATION = (
    "OBS_STATUS",
    "UNIT_MULT",
    "BASE_PER",
    "NATURE",
    "TIME_DETAIL",
    "COMMENT_OBS",
    "UPPER_BOUND",
    "LOWER_BOUND",
    "SOURCE_DETAIL",
)
MES = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
STR = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure"
COM = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"
GEN = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/generic"
SPE = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/data/structurespecific"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
DSD = "urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure=IAEG-SDGs:SDG"
FOUND_NOTHING = (
    f'<?xml version="1.0" encoding="utf-8"?><mes:Error xmlns:mes="{MES}" xmlns:com="{COM}">'
    '<mes:ErrorMessage code="100"><com:Text>NoRecordsFound</com:Text></mes:ErrorMessage></mes:Error>'
).encode()


@dataclass(frozen=True)
class SdmxData:
    """What is served: observations with a text column for each component of the dataflow, and names of codes.

    `titles`: series -> title and indicators. `version`: of the dataflow.
    """

    observations: pl.DataFrame
    titles: Mapping[str, tuple[str, list[str]]]
    areas: Mapping[str, str]
    version: str = "1.26"

    @classmethod
    def of_api_rows(cls, rows: pl.DataFrame, links: pl.DataFrame, areas: Mapping[str, str], codes: Codes) -> SdmxData:
        """The rows of a snapshot (API names and codes) as SDMX. Raises ValueError for a code without a twin."""
        titles: dict[str, tuple[str, list[str]]] = {}
        pairs = links.drop_nulls("series").with_columns(series_code_of("series")).sort("series", "indicator")
        for code, title, indicator in pairs.select("series", "title", "indicator").rows():
            titles.setdefault(code, (title, []))[1].append(indicator)
        return cls(as_sdmx(rows, codes), titles, areas)


def without_twin(rows: pl.DataFrame, codes: Codes) -> dict[str, set[str]]:
    """Column of API rows -> its codes that have no twin in SDMX."""
    twins = codes.table.group_by("dimension").agg("code").rows_by_key("dimension", unique=True)
    columns = {column: column.removeprefix(DIMENSION) for column in rows.columns if column.startswith(DIMENSION)}
    found = {
        column: set(rows[column].drop_nulls().unique()) - set(*twins.get(name, ([],)))
        for column, name in (columns | {"units": "units", "nature": "nature"}).items()
    }
    return {column: missing for column, missing in found.items() if missing}


def as_sdmx(rows: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    """Rows in the names and codes of the API as rows of SDMX, each dimension written."""
    if missing := without_twin(rows.cast(pl.String), codes):
        raise ValueError(f"codes without a twin: {missing}")
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in TEXT_COLUMNS if name not in rows.columns]
    rows = rows.cast(pl.String).with_columns(absent)
    first = codes.table.unique(["dimension", "code"], keep="first", maintain_order=True)
    concepts: dict[str, list[pl.Expr]] = {}
    for (name, concept), pairs in first.group_by("dimension", "sdmx_dimension"):
        column = DIMENSION + str(name)
        if column in rows.columns:
            twins = dict(pairs.filter(pl.col("sdmx_code") != "_T").select("code", "sdmx_code").rows())
            concepts.setdefault(str(concept), []).append(pl.col(column).replace_strict(twins, default=None))
    units = first.filter(pl.col("dimension") == "units").select(
        units="code", UNIT_MEASURE="sdmx_code", UNIT_MULT="unit_multiplier"
    )
    natures = dict(first.filter(pl.col("dimension") == "nature").select("code", "sdmx_code").rows())
    several = [pl.sum_horizontal(e.is_not_null() for e in found).max() for found in concepts.values()]
    if max(rows.select(pl.max_horizontal(several)).row(0)) > 1:
        raise ValueError("a row is broken down by two dimensions that SDMX writes into one")
    fixed = {"FREQ": "A", "REPORTING_TYPE": "G", "OBS_STATUS": "A"}
    empty = ("COMMENT_TS", "DATA_LAST_UPDATE", "BASE_PER", "TIME_DETAIL")
    return rows.join(units, on="units", how="left", maintain_order="left").select(
        pl.lit("A").alias("FREQ"),
        pl.coalesce(*concepts.get("REPORTING_TYPE", []), pl.lit("G")).alias("REPORTING_TYPE"),
        series_code_of("series").alias("SERIES"),
        pl.col("area").str.strip_chars_start("0").alias("REF_AREA"),
        *(
            pl.coalesce(*concepts.get(name, []), pl.lit("_T")).alias(name)
            for name in DIMENSIONS
            if name not in (*fixed, "SERIES", "REF_AREA")
        ),
        pl.col("year").str.extract(r"^(\d+)").alias("TIME_PERIOD"),
        pl.col("value_text").alias("OBS_VALUE"),
        pl.lit("A").alias("OBS_STATUS"),
        "UNIT_MEASURE",
        "UNIT_MULT",
        pl.col("nature").replace(natures).alias("NATURE"),
        pl.col("footnotes").alias("COMMENT_OBS"),
        pl.col("upper_bound").alias("UPPER_BOUND"),
        pl.col("lower_bound").alias("LOWER_BOUND"),
        pl.col("source").alias("SOURCE_DETAIL"),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in empty),
    )


# --- SDMX-ML -----------------------------------------------------------------------------------------------


def _header(kind: str, data: SdmxData) -> str:
    namespace = f' namespace="{DSD}({data.version}):ObsLevelDim:TIME_PERIOD"' if kind == "specific" else ""
    structure = (
        f'<mes:Structure structureID="SDG"{namespace} dimensionAtObservation="TIME_PERIOD"><com:Structure>'
        f'<Ref agencyID="IAEG-SDGs" id="SDG" version="{data.version}"/></com:Structure></mes:Structure>'
    )
    return (
        "<mes:Header><mes:ID>REPLAY</mes:ID><mes:Test>false</mes:Test><mes:Prepared>2026-10-06T00:00:00</mes:Prepared>"
        f'<mes:Sender id="UNSD"/><mes:Receiver id="not_supplied"/>{structure if kind else ""}</mes:Header>'
    )


def _keys(observations: pl.DataFrame) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    """Series and their observations, values that are null left out."""
    of_series = [name for name in (*DIMENSIONS, *OF_THE_SERIES) if name in observations.columns]
    for key, group in observations.group_by(of_series, maintain_order=True):
        series = {name: str(value) for name, value in zip(of_series, key, strict=True) if value is not None}
        rows = group.drop(of_series).to_dicts()
        yield series, [{name: value for name, value in row.items() if value is not None} for row in rows]


def structure_specific(observations: pl.DataFrame, data: SdmxData) -> bytes:
    def written(values: Mapping[str, str]) -> str:
        return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())

    own = f"{DSD}({data.version}):ObsLevelDim:TIME_PERIOD"
    parts = [
        f'<?xml version="1.0" encoding="utf-8"?><mes:StructureSpecificData xmlns:mes="{MES}" xmlns:com="{COM}" '
        f'xmlns:ss="{SPE}" xmlns:ns1="{own}" xmlns:xsi="{XSI}">{_header("specific", data)}'
        '<mes:DataSet ss:structureRef="SDG" xsi:type="ns1:DataSetType" ss:dataScope="DataStructure" action="Replace">'
    ]
    for series, rows in _keys(observations):
        parts.append(f"<Series{written(series)}>")
        parts += [f"<Obs{written(row)}/>" for row in rows]
        parts.append("</Series>")
    parts.append("</mes:DataSet></mes:StructureSpecificData>")
    return "".join(parts).encode()


def generic(observations: pl.DataFrame, data: SdmxData) -> bytes:
    def written(values: Mapping[str, str]) -> str:
        return "".join(f'<gen:Value id="{name}" value={quoteattr(value)}/>' for name, value in values.items())

    parts = [
        f'<?xml version="1.0" encoding="utf-8"?><mes:GenericData xmlns:mes="{MES}" xmlns:com="{COM}" '
        f'xmlns:gen="{GEN}">{_header("generic", data)}<mes:DataSet structureRef="SDG" action="Replace">'
    ]
    for series, rows in _keys(observations):
        key = {name: value for name, value in series.items() if name in DIMENSIONS}
        attributes = {name: value for name, value in series.items() if name not in DIMENSIONS}
        parts.append(f"<gen:Series><gen:SeriesKey>{written(key)}</gen:SeriesKey>")
        parts.append(f"<gen:Attributes>{written(attributes)}</gen:Attributes>" if attributes else "")
        for row in rows:
            time, value = row.pop("TIME_PERIOD"), row.pop("OBS_VALUE", None)
            parts.append(f'<gen:Obs><gen:ObsDimension value="{time}"/>')
            parts.append("" if value is None else f"<gen:ObsValue value={quoteattr(value)}/>")
            parts.append(f"<gen:Attributes>{written(row)}</gen:Attributes></gen:Obs>")
        parts.append("</gen:Series>")
    parts.append("</mes:DataSet></mes:GenericData>")
    return "".join(parts).encode()


def structure(data: SdmxData) -> bytes:
    """The dataflow with its definition and the lists of series and areas."""

    def name(text: str) -> str:
        return f'<com:Name xml:lang="en">{escape(text)}</com:Name>'

    def note(kind: str, text: str) -> str:
        return (
            f"<com:Annotation><com:AnnotationTitle>{kind}</com:AnnotationTitle>"
            f"<com:AnnotationType>{kind}</com:AnnotationType>"
            f'<com:AnnotationText xml:lang="en">{escape(text)}</com:AnnotationText></com:Annotation>'
        )

    def series(code: str, title: str, indicators: list[str]) -> str:
        notes = "".join(note("Indicator", indicator) for indicator in indicators)
        notes += note("IndicatorTitle", f"Indicator {indicators[0]}")
        named = name(f"{title} [{', '.join(indicators)}]")
        return f'<str:Code id="{code}"><com:Annotations>{notes}</com:Annotations>{named}</str:Code>'

    def listed(code: str, title: str, items: str) -> str:
        return f'<str:Codelist id="{code}" agencyID="IAEG-SDGs" version="1.0">{name(title)}{items}</str:Codelist>'

    def concept(code: str) -> str:
        return (
            f'<str:ConceptIdentity><Ref id="{code}" maintainableParentID="SDG_CONCEPTS" '
            'maintainableParentVersion="1.0" agencyID="IAEG-SDGs" package="conceptscheme" class="Concept"/>'
            "</str:ConceptIdentity>"
        )

    def dimension(position: int, code: str) -> str:
        codelist = "CL_AREA" if code == "REF_AREA" else f"CL_{code}"
        return (
            f'<str:Dimension id="{code}" position="{position}">{concept(code)}<str:LocalRepresentation>'
            f'<str:Enumeration><Ref id="{codelist}" version="1.0" agencyID="IAEG-SDGs" package="codelist" '
            'class="Codelist"/></str:Enumeration></str:LocalRepresentation></str:Dimension>'
        )

    codes = "".join(series(code, *about) for code, about in sorted(data.titles.items()))
    retired = f'<str:Code id="SG_POV_DOM"><com:Annotations>{note("RetiredSeries", "Retired in the revision of 2020")}'
    retired += f"</com:Annotations>{name('Resources for poverty reduction')}</str:Code>"
    areas = "".join(f'<str:Code id="{code}">{name(text)}</str:Code>' for code, text in data.areas.items())
    # Backwards: the order of a key is that of the positions, not that of the file.
    dimensions = "".join(dimension(number, code) for number, code in reversed(list(enumerate(DIMENSIONS, 1))))
    return (
        f'<?xml version="1.0" encoding="utf-8"?><mes:Structure xmlns:mes="{MES}" xmlns:str="{STR}" xmlns:com="{COM}">'
        f"{_header('', data)}<mes:Structures><str:Dataflows>"
        f'<str:Dataflow id="DF_SDG_GLH" agencyID="IAEG-SDGs" version="{data.version}">'
        f"{name('SDG Harmonized Global Dataflow')}<str:Structure>"
        f'<Ref id="SDG" version="{data.version}" agencyID="IAEG-SDGs" package="datastructure" class="DataStructure"/>'
        "</str:Structure></str:Dataflow></str:Dataflows><str:Codelists>"
        f"{listed('CL_AREA', 'Areas', areas)}{listed('CL_SERIES', 'Series', codes + retired)}</str:Codelists>"
        f'<str:DataStructures><str:DataStructure id="SDG" agencyID="IAEG-SDGs" version="{data.version}">'
        f'{name("SDG DSD")}<str:DataStructureComponents><str:DimensionList id="DimensionDescriptor">{dimensions}'
        f'<str:TimeDimension id="TIME_PERIOD" position="16">{concept("TIME_PERIOD")}<str:LocalRepresentation>'
        '<str:TextFormat textType="ObservationalTimePeriod"/></str:LocalRepresentation></str:TimeDimension>'
        '</str:DimensionList><str:MeasureList id="MeasureDescriptor"><str:PrimaryMeasure id="OBS_VALUE">'
        f"{concept('OBS_VALUE')}</str:PrimaryMeasure></str:MeasureList></str:DataStructureComponents>"
        "</str:DataStructure></str:DataStructures></mes:Structures></mes:Structure>"
    ).encode()


# --- the server --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What goes out: `announced` bytes are announced where that is not the length of the body; `reset` sends none."""

    status: int
    body: bytes
    headers: Mapping[str, str] | None = None
    announced: int | None = None
    reset: bool = False


Fault = Callable[[Answer], Answer]


class SdmxReplay:
    """The server as a context manager; `url` is the address for the client."""

    def __init__(self, data: SdmxData, *, only_generic: bool = False) -> None:
        self.data = data
        self.only_generic = only_generic
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self._faults: list[tuple[str, Fault, list[int]]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"replay": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}/ws/rest"

    def __enter__(self) -> SdmxReplay:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)

    def misbehave(self, fault: Fault, *, path: str = "/data/", times: int | None = 1) -> None:
        """Put a fault on answers whose path holds `path`; `times` None is for ever."""
        self._faults.append((path, fault, [times if times is not None else 1 << 30]))

    def asked(self, path: str) -> list[str]:
        """The paths of the requests that hold `path`, redirected ones once."""
        with self._lock:
            return [asked for asked, _, _ in self.requests if path in asked and "/legacy/" in asked]

    def answer(self, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append((path, query, headers))
        if path.startswith("/ws/rest/"):
            return Answer(302, b"", {"Location": f"/legacy{path}" + ("?" + "&".join(_flat(query)) if query else "")})
        answer = self._legacy(path.removeprefix("/legacy/ws/rest/").strip("/"), headers)
        with self._lock:
            for part, fault, left in self._faults:
                if part in path and left[0] > 0:
                    left[0] -= 1
                    return fault(answer)
        return answer

    def _legacy(self, path: str, headers: dict[str, str]) -> Answer:
        if path in ("dataflow/IAEG-SDGs/DF_SDG_GLH/latest", f"dataflow/IAEG-SDGs/DF_SDG_GLH/{self.data.version}"):
            return Answer(200, structure(self.data))
        found = re.fullmatch(r"data/([^/]+)/([^/]+)/ALL", path)
        if not found or found[1] not in (
            "IAEG-SDGs,DF_SDG_GLH",
            "IAEG-SDGs,DF_SDG_GLH,",
            f"IAEG-SDGs,DF_SDG_GLH,{self.data.version}",
        ):
            return Answer(404, b"")
        key = found[2].split(".")
        if len(key) != len(DIMENSIONS):
            return Answer(422, b"Not enough key values")
        rows = self.data.observations
        for name, codes in zip(DIMENSIONS, key, strict=True):
            if codes:
                rows = rows.filter(pl.col(name).is_in(codes.split("+")))
        if rows.is_empty():
            return Answer(404, FOUND_NOTHING)
        is_generic = self.only_generic or "genericdata" in headers.get("accept", "")
        return Answer(200, (generic if is_generic else structure_specific)(rows, self.data))


def _flat(query: dict[str, list[str]]) -> list[str]:
    return [f"{name}={value}" for name, values in query.items() for value in values]


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was sent away, is no news."""


class _Handler(BaseHTTPRequestHandler):
    replay: SdmxReplay
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *args: Any) -> None:
        """The replay keeps its own log."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.replay.answer(unquote(address.path), parse_qs(address.query), headers)
        if answer.reset:
            self.close_connection = True
            return
        self.send_response(answer.status)
        announced = len(answer.body) if answer.announced is None else answer.announced
        for name, value in {"Content-Length": str(announced), **(answer.headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or answer.announced is not None


# --- faults ------------------------------------------------------------------------------------------------


def status(number: int, **headers: str) -> Fault:
    return lambda answer: Answer(number, b"", {name.replace("_", "-"): value for name, value in headers.items()})


def body(change: Callable[[bytes], bytes]) -> Fault:
    return lambda answer: replace(answer, body=change(answer.body))


def half_sent(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2], announced=len(answer.body))


def reset(answer: Answer) -> Answer:
    return replace(answer, reset=True)
