"""A replay of the UN SDG API: a real HTTP server on loopback that serves a release in the API's exact shapes.

It serves any release (`replay_data`). It behaves as the live service is recorded to behave:

* an unknown series or indicator answers 200 with `totalElements` 0, a series code sent as indicator 500;
* M49 codes are text without leading zeros, all scalars but `timePeriodStart` are text;
* the page declares dimension codes that no row carries, and a filter on them finds nothing;
* a series of several indicators lists each row once for each of them;
* `allreleases` and `includechildren` add archived entries without goal, target and indicator;
* the path is found whatever the spelling of the host prefix (`/SDGAPI`, `/sdgapi`, `/sdgs/UNSDGAPIV5`);
* above ten connections it resets them.

An address with a query of more than 2,048 characters is not found; of the live service that is not recorded, but it is
the usual limit of servers of its kind. On demand it misbehaves (`Fault`), once, for ever, or now and then
(`Weather`). It logs what it was asked and how many requests it had at once.
"""

from __future__ import annotations

import enum
import json
import re
import socket
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lnob_pipeline_tests.official.replay_data import AREA_NAMES, Repeats, ReplayData, Service

__all__ = ["AREA_NAMES", "Fault", "Kind", "ReplayData", "ReplayServer", "Weather"]

CONNECTION_LIMIT = 10
QUERY_LIMIT = 2048  # characters


class Kind(enum.Enum):
    """The ways to misbehave."""

    STATUS = "an error status"
    HTML = "a web page with status 200"
    EMPTY_BODY = "nothing with status 200"
    TRUNCATED = "half of the JSON"
    SHORT_BODY = "fewer bytes than announced"
    BROKEN_CHUNKS = "a chunked answer that breaks off"
    NOT_GZIP = "bytes said to be packed that are not"
    OTHER_JSON = "JSON of another shape"
    RESET = "a connection reset"
    SLOW = "an answer that is late"
    NO_TOTAL_PAGES = "totalPages left out"
    REPEATED_PAGE = "the first page again"
    EMPTY_PAGE = "a page without rows"
    DRIFTING_TOTAL = "totalElements one higher"
    LOW_TOTAL = "totalElements one lower"
    WRONG_TOTAL_PAGES = "totalPages one higher"
    FEW_TOTAL_PAGES = "totalPages one lower, too few for totalElements"
    NO_TOTAL = "totalElements left out"
    FOREIGN_ROW = "a row of another series"
    WRONG_PAGE_NUMBER = "the number of another page"
    LOST_ROW = "a page without its last row"
    SHIFTED_PAGE = "a page that begins with the last row of the page before"
    NEW_RELEASE = "a new release from now on"
    REVISION = "revised figures under the same name from now on"


INSTEAD: Mapping[Kind | None, bytes] = {
    Kind.HTML: b"<!DOCTYPE html><title>Service</title><p>Please wait",
    Kind.EMPTY_BODY: b"",
    Kind.OTHER_JSON: b'{"message": "Request is being processed", "data": {}}',
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


TRANSIENT = (
    Kind.STATUS,
    Kind.HTML,
    Kind.EMPTY_BODY,
    Kind.TRUNCATED,
    Kind.SHORT_BODY,
    Kind.BROKEN_CHUNKS,
    Kind.RESET,
    Kind.REPEATED_PAGE,
    Kind.EMPTY_PAGE,
    Kind.DRIFTING_TOTAL,
    Kind.LOW_TOTAL,
    Kind.WRONG_TOTAL_PAGES,
    Kind.FOREIGN_ROW,
    Kind.WRONG_PAGE_NUMBER,
    Kind.LOST_ROW,
    Kind.NO_TOTAL,
)
"""What may befall any single answer of a service on a bad day."""


@dataclass(frozen=True)
class Weather:
    """A bad day: a share of the questions meets one of these faults when asked for the first time.

    Which ones depends on the question and `seed` alone, not on the order in which they come.
    """

    share: float
    seed: int = 1
    kinds: Sequence[Kind] = TRANSIENT

    def fault(self, question: str, times: int) -> Fault | None:
        chance = zlib.crc32(f"{self.seed} {question}".encode())
        if times > 1 or (chance % 10_000) / 10_000 >= self.share:
            return None
        return Fault(self.kinds[chance // 10_000 % len(self.kinds)])


class _ResetError(Exception):
    """Close the connection with a reset."""


class ReplayServer:
    """The server as a context manager; `url` is a base address for the client."""

    def __init__(
        self,
        data: ReplayData,
        *,
        page_limit: int = 10_000,
        prefix: str = "/SDGAPI",
        repeats: Repeats = "in_turn",
        weather: Weather | None = None,
    ) -> None:
        self.data = data
        self.service = Service(data, repeats=repeats)
        self.updated = "2020-10-15T00:00:00"
        self.page_limit = page_limit
        self.weather = weather
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self.peak = 0
        self.met: Counter[Kind] = Counter()
        self._in_flight = 0
        self._faults: list[Fault] = []
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"replay": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._http.errors = []
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
        if self._http.errors:
            raise AssertionError("the replay server itself failed") from self._http.errors[0]

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
            fault = self._fault(path, query)
            if fault:
                self.met[fault.kind] += 1
            return fault

    def _fault(self, path: str, query: dict[str, list[str]]) -> Fault | None:
        if self._in_flight > CONNECTION_LIMIT:
            return Fault(Kind.RESET)
        page = int(query.get("page", ["1"])[0])
        for fault in self._faults:
            if fault.times == 0 or fault.path not in path or fault.page not in (None, page):
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        if self.weather:
            question = f"{path}?{query}"
            self._times[question] += 1
            return self.weather.fault(question, self._times[question])
        return None

    def end(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def answer(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> bytes | None:
        """The body of an answer, or None for a path that the API does not have."""
        if path == "Series/LastUpdated":
            return json.dumps(self.updated).encode()
        if path in self.data.recorded:
            return self.data.recorded[path]
        level, _, what = path.partition("/")
        if what == "Data" and level in _PARAMETERS:
            wanted = query.get(_PARAMETERS[level], [""])[0]
            return self.page(self.service.codes(level, wanted), query, fault.kind if fault else None)
        found = self.service.listed(path, query)
        return None if found is None else json.dumps(found, ensure_ascii=False).encode()

    def page(self, series: list[str], query: Mapping[str, list[str]], kind: Kind | None = None) -> bytes:
        """One page of the observations of some series."""
        number = int(query.get("page", ["1"])[0])
        size = min(int(query.get("pageSize", ["1000"])[0]), self.page_limit)
        numbers = self.service.selected(series, query)
        start = 0 if kind is Kind.REPEATED_PAGE else max((number - 1) * size - (kind is Kind.SHIFTED_PAGE), 0)
        rows = self.service.row_texts(numbers.slice(start, size), numbers.head(start))
        if kind is Kind.EMPTY_PAGE:
            rows = []
        if kind is Kind.LOST_ROW:
            rows = rows[:-1]
        if kind is Kind.FOREIGN_ROW and rows:
            rows[-1] = re.sub(r'"series":"[^"]*"', '"series":"SI_POV_DAY1"', rows[-1])
        head = {
            "size": size,
            "totalElements": len(numbers) + (kind is Kind.DRIFTING_TOTAL) - (kind is Kind.LOW_TOTAL),
            "totalPages": -(-len(numbers) // size) + (kind is Kind.WRONG_TOTAL_PAGES) - (kind is Kind.FEW_TOTAL_PAGES),
            "pageNumber": number + (kind is Kind.WRONG_PAGE_NUMBER),
            **self.service.declared(tuple(series)),
        }
        if kind is Kind.NO_TOTAL_PAGES:
            del head["totalPages"]
        if kind is Kind.NO_TOTAL:
            del head["totalElements"]
        return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "data":[{",".join(rows)}]}}'.encode()


_PARAMETERS = {"Goal": "goal", "Target": "target", "Indicator": "indicator", "Series": "seriesCode"}


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    errors: list[BaseException]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was sent away, is no news; a fault of the replay itself is."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError | _ResetError):
            self.errors.append(error)

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
        self._under_way = True
        try:
            if len(address.query) > QUERY_LIMIT:
                self._send(404, b"")
            else:
                self._respond(path, query, fault)
        finally:
            self._end()

    def _end(self) -> None:
        if self._under_way:
            self._under_way = False
            self.replay.end()

    def _respond(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        # The service fails when a series code is sent where an indicator code is expected.
        if path == "Indicator/Data" and "_" in query.get("indicator", [""])[0]:
            fault, kind = Fault(Kind.STATUS, status=500), Kind.STATUS
        if fault and kind is Kind.STATUS:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return self._send(fault.status, b'{"message":"An error has occurred."}', headers=headers)
        if kind is Kind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            raise _ResetError
        if fault and kind is Kind.SLOW:
            self.replay.stopping.wait(fault.seconds)
        if kind is Kind.NEW_RELEASE:
            self.replay.service.release = "9999.Q9.G.99"
        if kind is Kind.REVISION:
            self.replay.updated = "2020-12-31T00:00:00"
        packed = {"Content-Encoding": "gzip"} if kind is Kind.NOT_GZIP else {}
        body = INSTEAD[kind] if kind in INSTEAD else self.replay.answer(path, query, fault)
        if body is None:
            return self._send(404, b"")
        if kind is Kind.TRUNCATED:
            body = body[: len(body) // 2]
        if kind is Kind.SHORT_BODY:
            self.close_connection = True
            return self._send(200, body[: len(body) // 2], announced=len(body))
        if kind is Kind.BROKEN_CHUNKS:
            self.close_connection = True
            half = body[: len(body) // 2]
            return self._send(200, b"%x\r\n%b\r\n" % (len(half), half), headers={"Transfer-Encoding": "chunked"})
        return self._send(200, body, headers=packed)

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
        if "Transfer-Encoding" not in (headers or {}):
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self._end()  # once the body is sent, the client may ask again before this thread goes on
        self.wfile.write(body)
