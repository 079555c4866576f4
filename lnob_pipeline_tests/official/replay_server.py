"""A replay of the UN SDG API: a real HTTP server on loopback that serves a release in the API's exact shapes.

It serves any release: the bundled figures, a snapshot folder, or a complete download of the database. It behaves
as the live service is recorded to behave:

* an unknown series or indicator answers 200 with `totalElements` 0, a series code sent as indicator 500;
* M49 codes are text without leading zeros, all scalars but `timePeriodStart` are text;
* the page declares dimension codes that no row carries, and a filter on them finds nothing;
* a series of several indicators lists each row once for each of them;
* `allreleases` adds archived entries without goal, target and indicator;
* the path is found whatever the spelling of the host prefix (`/SDGAPI`, `/sdgapi`, `/sdgs/UNSDGAPIV5`).

On demand it misbehaves (`Fault`). It logs what it was asked and how many requests it had at once.
"""

from __future__ import annotations

import enum
import json
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl

from lnob_pipeline.official.snapshot import DIMENSION, Snapshot, bundled_snapshot, expected_series

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
CONNECTION_LIMIT = 10


class Kind(enum.Enum):
    """The ways to misbehave."""

    STATUS = "an error status"
    HTML = "a web page with status 200"
    EMPTY_BODY = "nothing with status 200"
    TRUNCATED = "half of the JSON"
    SHORT_BODY = "fewer bytes than announced"
    RESET = "a connection reset"
    SLOW = "an answer that is late"
    NO_TOTAL_PAGES = "totalPages left out"
    REPEATED_PAGE = "the first page again"
    EMPTY_PAGE = "a page without rows"
    DRIFTING_TOTAL = "totalElements one higher"
    LOW_TOTAL = "totalElements one lower"
    WRONG_TOTAL_PAGES = "totalPages one higher"
    FOREIGN_ROW = "a row of another series"
    WRONG_PAGE_NUMBER = "the number of another page"
    LOST_ROW = "a page without its last row"
    SHIFTED_PAGE = "a page that begins with the last row of the page before"
    NEW_RELEASE = "a new release from now on"


NO_JSON: Mapping[Kind | None, bytes] = {
    Kind.HTML: b"<!DOCTYPE html><title>Service</title><p>Please wait",
    Kind.EMPTY_BODY: b"",
}


@dataclass
class Fault:
    """One misbehaviour: for requests whose path holds `path` and that ask for `page`; `times` None is for ever."""

    kind: Kind
    times: int | None = 1
    path: str = "Series/Data"
    page: int | None = None
    status: int = 503
    retry_after: str | None = None
    seconds: float = 1.0


@dataclass(frozen=True)
class ReplayData:
    """What is served: `links` and `observations` as in `Snapshot`, but with the database's own indicator codes."""

    release: str
    links: pl.DataFrame
    observations: pl.DataFrame
    names: Mapping[str, str] = field(default_factory=lambda: AREA_NAMES)

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> ReplayData:
        whole = pl.col("indicator").str.replace(r"(\.\d+)[a-z]$", "$1")  # the database has 6.2.1, not its parts
        return cls(snapshot.info.release, snapshot.links.with_columns(whole), snapshot.observations)

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
    def from_download(cls, path: Path, release: str, *, areas: list[str] | None = None) -> ReplayData:
        """A complete download of the database as Parquet (dimension columns after `units`)."""
        table = pl.scan_parquet(path)
        if areas:
            table = table.filter(pl.col("geoAreaCode").is_in(areas))
        rows = table.collect()
        # The status of an observation is an attribute, not a dimension.
        dimensions = rows.drop("observation_status").columns
        dimensions = dimensions[dimensions.index("units") + 1 : dimensions.index("value_num")]
        links = rows.select("indicator", "goal", "target", "series", title="seriesDescription").unique("series")
        pairs = links.with_columns(pl.col("indicator", "goal", "target").str.split(", "))
        observations = rows.select(
            "series",
            area="geoAreaCode",
            year="timePeriodStart",
            value_text="value",
            lower_bound=pl.lit(None, dtype=pl.String),
            upper_bound=pl.lit(None, dtype=pl.String),
            source=pl.lit(None, dtype=pl.String),
            nature="nature",
            units="units",
            footnotes=pl.lit(None, dtype=pl.String),
            **{DIMENSION + name: pl.col(name) for name in dimensions},
        )
        names = dict(rows.select("geoAreaCode", "geoAreaName").unique("geoAreaCode").rows())
        return cls(release, pairs.explode("indicator", "goal", "target"), observations, names)


class _ResetError(Exception):
    """Close the connection with a reset."""


class ReplayServer:
    """The server as a context manager; `url` is a base address for the client."""

    def __init__(self, data: ReplayData, *, page_limit: int = 10_000, prefix: str = "/SDGAPI") -> None:
        self.data = data
        self.release = data.release
        self.page_limit = page_limit
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self.peak = 0
        self._in_flight = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._rows: dict[tuple[tuple[str, ...], tuple[str, ...]], list[dict[str, Any]]] = {}
        self._declared: dict[tuple[str, ...], dict[str, Any]] = {}
        self.stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"replay": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}{prefix}"

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)

    def misbehave(self, kind: Kind, **how: Any) -> Fault:
        fault = Fault(kind, **how)
        with self._lock:
            self._faults.append(fault)
        return fault

    def asked(self, path: str) -> list[dict[str, list[str]]]:
        """The queries of all requests for a path."""
        with self._lock:
            return [query for asked, query, _ in self.requests if asked == path]

    # --- what a request meets --------------------------------------------------------------------------

    def begin(self, path: str, query: dict[str, list[str]], agent: str) -> Fault | None:
        with self._lock:
            self.requests.append((path, query, agent))
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            if self._in_flight > CONNECTION_LIMIT:
                return Fault(Kind.RESET)
            for fault in self._faults:
                page = int(query.get("page", ["1"])[0])
                if fault.times == 0 or fault.path not in path or fault.page not in (None, page):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def end(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def answer(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> Any:
        """The JSON of an answer, or None for a path that the API does not have."""
        series = re.fullmatch(r"Series/([^/]+)/(Dimensions|Attributes)", path)
        if series:
            known = series[1] in set(self.data.links["series"].drop_nulls())
            declared = self.dimensions if series[2] == "Dimensions" else self.attributes
            return declared([series[1]]) if known else []
        lists = {
            "Goal/List": self.goals,
            "Target/List": self.targets,
            "Indicator/List": self.indicators,
            "GeoArea/List": self.areas,
        }
        if path in lists:
            return lists[path]()
        if path == "Series/List":
            return self.series(archived=query.get("allreleases") == ["true"])
        column = {"Goal/Data": "goal", "Target/Data": "target", "Indicator/Data": "indicator", "Series/Data": "series"}
        if path in column:
            name = column[path]
            wanted = query.get("seriesCode" if name == "series" else name, [])
            codes = self.data.links.filter(pl.col(name).is_in(wanted))["series"].drop_nulls().unique().sort()
            return self.page(codes.to_list(), query, fault)
        return None

    # --- lists -----------------------------------------------------------------------------------------

    def goals(self) -> list[dict[str, Any]]:
        goals = sorted(set(self.data.links["goal"]), key=int)
        return [
            {"code": code, "title": f"Goal {code}", "description": f"Goal {code}", "uri": f"/v1/sdg/Goal/{code}"}
            for code in goals
        ]

    def targets(self) -> list[dict[str, Any]]:
        pairs = self.data.links.select("goal", "target").unique().sort("goal", "target").rows()
        return [
            {
                "goal": goal,
                "code": code,
                "title": f"Target {code}",
                "description": f"Target {code}",
                "uri": f"/v1/sdg/Target/{code}",
                "indicators": None,
            }
            for goal, code in pairs
        ]

    def indicators(self) -> list[dict[str, Any]]:
        items = {item["code"]: item for item in self.series()}
        grouped = self.data.links.group_by("goal", "target", "indicator").agg("series").sort("indicator").rows()
        return [
            {
                "goal": goal,
                "target": target,
                "code": code,
                "description": f"Indicator {code}",
                "tier": "1",
                "uri": f"/v1/sdg/Indicator/{code}",
                "series": [items[name] for name in sorted({name for name in series if name})],
            }
            for goal, target, code, series in grouped
        ]

    def series(self, *, archived: bool = False) -> list[dict[str, Any]]:
        linked = self.data.links.drop_nulls("series").sort("series", "indicator")
        grouped = linked.group_by("series", maintain_order=True).agg("goal", "target", "indicator", "title").rows()
        current = [
            {
                "goal": goals,
                "target": targets,
                "indicator": indicators,
                "release": self.release,
                "code": code,
                "description": titles[0],
                "uri": f"/v1/sdg/Series/{code}",
            }
            for code, goals, targets, indicators, titles in grouped
        ]
        old = [item | {"goal": None, "target": None, "indicator": None, "release": "2019.Q1.G.01"} for item in current]
        return [*current, *old] if archived else current

    def areas(self) -> list[dict[str, str]]:
        return [{"geoAreaCode": code, "geoAreaName": name} for code, name in self.data.names.items()]

    def attributes(self, series: list[str]) -> list[dict[str, Any]]:
        rows = self.data.observations.filter(pl.col("series").is_in(series))
        natures = sorted({*rows["nature"].drop_nulls(), "C", "CA", "E", "G", "M", "N", "NA"})
        return [
            {"id": "Nature", "codes": [_code(code, "_X" if code == "NA" else code) for code in natures]},
            {"id": "Units", "codes": [_code(code) for code in sorted(set(rows["units"].drop_nulls()))]},
        ]

    def dimensions(self, series: list[str]) -> list[dict[str, Any]]:
        """The declared dimensions: those of the rows, and totals that the rows do not carry."""
        rows = self.data.observations.filter(pl.col("series").is_in(series))
        declared = {name: {total} for name, total in DECLARED_TOTALS.items()} | {"Reporting Type": {"G", "N", "R"}}
        for column in rows.columns:
            if column.startswith(DIMENSION):
                codes = set(rows[column].drop_nulls())
                if codes:
                    declared.setdefault(_api_name(column), set()).update(codes)
        return [{"id": name, "codes": [_code(code) for code in sorted(codes)]} for name, codes in declared.items()]

    # --- observations ----------------------------------------------------------------------------------

    def page(self, series: list[str], query: dict[str, list[str]], fault: Fault | None) -> dict[str, Any]:
        number = int(query.get("page", ["1"])[0])
        size = min(int(query.get("pageSize", ["1000"])[0]), self.page_limit)
        rows = self.rows(tuple(series), tuple(query.get("areaCode", [])))
        for condition in json.loads(query.get("dimensions", ["[]"])[0]):
            rows = [row for row in rows if row["dimensions"].get(condition["name"]) in condition["values"]]
        kind = fault.kind if fault else None
        start = 0 if kind is Kind.REPEATED_PAGE else (number - 1) * size
        if kind is Kind.SHIFTED_PAGE:
            start -= 1
        data = [] if kind is Kind.EMPTY_PAGE else rows[start : start + size]
        if kind is Kind.FOREIGN_ROW:
            data = [*data[:-1], data[-1] | {"series": "SI_POV_DAY1"}]
        answer = {
            "size": size,
            "totalElements": len(rows) + (kind is Kind.DRIFTING_TOTAL) - (kind is Kind.LOW_TOTAL),
            "totalPages": -(-len(rows) // size) + (kind is Kind.WRONG_TOTAL_PAGES),
            "pageNumber": number + (kind is Kind.WRONG_PAGE_NUMBER),
            **self.declared(tuple(series)),
            "data": data[:-1] if kind is Kind.LOST_ROW else data,
        }
        if kind is Kind.NO_TOTAL_PAGES:
            del answer["totalPages"]
        return answer

    def declared(self, series: tuple[str, ...]) -> dict[str, Any]:
        if series not in self._declared:
            self._declared[series] = {
                "attributes": self.attributes(list(series)),
                "dimensions": self.dimensions(list(series)),
            }
        return self._declared[series]

    def rows(self, series: tuple[str, ...], areas: tuple[str, ...]) -> list[dict[str, Any]]:
        with self._lock:
            if (series, areas) not in self._rows:
                self._rows[series, areas] = self._make_rows(series, areas)
            return self._rows[series, areas]

    def _make_rows(self, series: tuple[str, ...], areas: tuple[str, ...]) -> list[dict[str, Any]]:
        frame = self.data.observations.filter(pl.col("series").is_in(list(series)))
        if areas:
            frame = frame.filter(pl.col("area").str.strip_chars_start("0").is_in(list(areas)))
        items = {item["code"]: item for item in self.series()}
        rows: list[dict[str, Any]] = []
        for raw in frame.to_dicts():
            item = items[raw["series"]]
            row = self._row(raw, item, str(frame.height))
            rows += [row] * len(item["indicator"])
        return rows

    def _row(self, raw: dict[str, Any], item: dict[str, Any], count: str) -> dict[str, Any]:
        area = raw["area"].lstrip("0")
        dimensions = {
            _api_name(column): code for column, code in raw.items() if column.startswith(DIMENSION) and code is not None
        }
        return {
            "goal": item["goal"],
            "target": item["target"],
            "indicator": item["indicator"],
            "series": raw["series"],
            "seriesDescription": item["description"],
            "seriesCount": count,
            "geoAreaCode": area,
            "geoAreaName": self.data.names.get(area, area),
            "timePeriodStart": float(raw["year"]),
            "value": raw["value_text"],
            "valueType": "Float" if re.fullmatch(r"-?[\d.]+", raw["value_text"] or "") else "String",
            "time_detail": None,
            "timeCoverage": None,
            "upperBound": raw["upper_bound"],
            "lowerBound": raw["lower_bound"],
            "basePeriod": None,
            "source": raw["source"],
            "geoInfoUrl": None,
            "footnotes": (raw["footnotes"] or "").split("\n"),
            "attributes": {"Nature": raw["nature"], "Units": raw["units"]},
            "dimensions": {"Reporting Type": "G"} | dimensions,
        }


def _api_name(column: str) -> str:
    name = column.removeprefix(DIMENSION)
    return API_NAMES.get(name, name)


def _code(code: str, sdmx: str | None = None) -> dict[str, str]:
    return {"code": code, "description": code, "sdmx": sdmx or code}


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was sent away, is no news."""

    def shutdown_request(self, request: Any) -> None:
        if request.fileno() != -1 and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _RESET_ON_CLOSE:
            self.close_request(request)  # without the polite end, so that the peer sees a reset
        else:
            super().shutdown_request(request)


_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Handler(BaseHTTPRequestHandler):
    replay: ReplayServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # a body that takes two packets would wait 40 ms for the second
    timeout = 30

    def log_message(self, *args: Any) -> None:
        """The replay server keeps its own log."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        found = re.search(r"/v1/sdg/(.+)$", address.path, re.IGNORECASE)
        path = found[1] if found else ""
        query = parse_qs(address.query)
        fault = self.replay.begin(path, query, self.headers.get("User-Agent", ""))
        try:
            self._respond(path, query, fault)
        finally:
            self.replay.end()

    def _respond(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        # The service fails when a series code is sent where an indicator code is expected.
        if path == "Indicator/Data" and "_" in query.get("indicator", [""])[0]:
            fault, kind = Fault(Kind.STATUS, status=500), Kind.STATUS
        if fault and kind is Kind.STATUS:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return self._send(fault.status, b'{"message":"An error has occurred."}', headers=headers)
        if kind in NO_JSON:
            return self._send(200, NO_JSON[kind], "text/html")
        if kind is Kind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raise _ResetError
        if fault and kind is Kind.SLOW:
            self.replay.stopping.wait(fault.seconds)
        if kind is Kind.NEW_RELEASE:
            self.replay.release = "9999.Q9.G.99"
        answer = self.replay.answer(path, query, fault)
        if answer is None:
            return self._send(404, b"")
        body = json.dumps(answer, ensure_ascii=False).encode()
        if kind is Kind.TRUNCATED:
            body = body[: len(body) // 2]
        if kind is Kind.SHORT_BODY:
            self.close_connection = True
            return self._send(200, body[: len(body) // 2], announced=len(body))
        return self._send(200, body)

    def _send(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json; charset=utf-8",
        *,
        headers: Mapping[str, str] | None = None,
        announced: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
