"""The UN SDG API over HTTP: lists of the framework, and observations with paging proven complete.

Here: requests, retries, and the proof that what arrived is all there is. Not here: what a value means
(`values`), where it is kept (`snapshot`), which release is used (`snapshot`). No other module uses Requests.

Sources: the OpenAPI description of the service (v1, also served by the V5 host under the same paths) and the
recorded behaviour of the live service. What that behaviour demands of a client:

* Paging is not trustworthy: `totalPages` may be missing, a page may come empty or twice, totals may drift
  while one reads. Every page is checked against the first one, and the sum against `totalElements`. What
  cannot be proven complete is an error, never a shorter series.
* An unknown series answers 200 with no rows, so an empty answer is checked against the list of series.
* Filters on years and dimensions are not trusted and never sent: the metadata lists dimension codes that rows
  do not carry. Only areas are filtered by the service; everything else happens on our side.
* Errors also come as HTML or empty bodies with status 200, and above about ten connections as resets.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib import metadata
from typing import Any, Final, TypeVar

import requests

MAXIMUM_CONNECTIONS: Final = 8
_RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Json = dict[str, Any]
Answer = TypeVar("Answer")


class OfficialSourceError(Exception):
    """The official source did not give a complete answer. Says what was asked, what came, and what to do."""


class UnknownSeriesError(OfficialSourceError):
    """A series code that the release does not have."""


class _TransientError(Exception):
    """An answer that may be better next time. `wait` is what the service asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class HttpSettings:
    """How politely and how patiently to ask. Times in seconds."""

    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    attempts: int = 6
    backoff: float = 1.0  # first pause; doubles with each attempt
    longest_pause: float = 60.0  # also the longest Retry-After that is waited for
    connections: int = 4
    page_size: int = 1000
    contact: str = ""  # an address for the operator of the service, put into the user agent

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= MAXIMUM_CONNECTIONS:
            raise ValueError(f"connections is {self.connections}: use 1 to {MAXIMUM_CONNECTIONS}, more are reset")
        if self.attempts < 1 or self.page_size < 1:
            raise ValueError("attempts and page_size must be at least 1")

    @property
    def user_agent(self) -> str:
        """Who asks, in which version, and what for."""
        try:
            version = metadata.version("lnob-pipeline")
        except metadata.PackageNotFoundError:
            version = "0"
        purpose = f"statistics on data gaps; {self.contact}" if self.contact else "statistics on data gaps"
        return f"lnob-pipeline/{version} ({purpose})"


@dataclass(frozen=True)
class ListAnswer:
    """One list of the framework: the body as received, and its items."""

    path: str
    body: bytes
    items: list[Json]


@dataclass(frozen=True)
class Page:
    """One page of observations: its number from 1, the body as received, and how many rows it holds."""

    number: int
    body: bytes
    rows: int


@dataclass(frozen=True)
class SeriesAnswer:
    """All observations of one series for the areas asked for; `total` is the sum of the pages, proven."""

    series: str
    total: int
    pages: tuple[Page, ...]


class SdgApiClient:
    """A client of one host of the UN SDG API.

    `base_url` is a host with or without `/v1/sdg`, for instance `https://unstats.un.org/SDGAPI` or
    `https://unstats.un.org/sdgs/UNSDGAPIV5`. `sleep` and `chance` exist so that waiting can be observed.
    May be used from several threads; at most `settings.connections` requests are under way at once.
    Every method raises OfficialSourceError when no complete answer can be had.
    """

    def __init__(
        self,
        base_url: str,
        settings: HttpSettings | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or HttpSettings()
        self.base_url = base_url.rstrip("/").removesuffix("/v1/sdg")
        self._sleep = sleep
        self._chance = chance or random.Random()
        self._local = threading.local()  # a requests.Session is not safe to share between threads
        self._sessions: list[requests.Session] = []
        self._gate = threading.BoundedSemaphore(self.settings.connections)

    def __enter__(self) -> SdgApiClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        for session in self._sessions:
            session.close()

    # --- the framework ---------------------------------------------------------------------------------

    def goals(self) -> ListAnswer:
        """The goals: code, title, description."""
        return self._list("Goal/List")

    def targets(self) -> ListAnswer:
        """The targets: goal, code, title."""
        return self._list("Target/List")

    def indicators(self) -> ListAnswer:
        """The indicators: goal, target, code, description, tier, and their series."""
        return self._list("Indicator/List")

    def series(self) -> ListAnswer:
        """The series of the current release; one item names all indicators that the series serves."""
        return self._series_list

    def areas(self) -> ListAnswer:
        """Countries and regions; `geoAreaCode` is M49 as text without leading zeros."""
        return self._list("GeoArea/List")

    def dimensions(self, series: str) -> ListAnswer:
        """Dimension codes declared for a series. Rows need not carry them."""
        return self._list(f"Series/{series}/Dimensions", may_be_empty=True)

    def release(self, *, fresh: bool = False) -> str:
        """The name of the current release, for instance `2022.Q2.G.02`; `fresh` asks the service again."""
        return current_release(self._list("Series/List") if fresh else self._series_list)

    @cached_property
    def _series_list(self) -> ListAnswer:
        return self._list("Series/List")

    # --- observations ----------------------------------------------------------------------------------

    def series_data(self, series: str, areas: Iterable[str]) -> SeriesAnswer:
        """All observations of one series for areas given as M49 codes (`050` or `50`), every year.

        Raises UnknownSeriesError for a code outside the release. A known series without a row for these areas
        is an answer with `total` 0.
        """
        wanted = [int(area) for area in areas]
        if not wanted:
            raise ValueError("series_data needs at least one area")
        answer = self._persist(lambda: self._read_pages(series, wanted), f"Series/Data?seriesCode={series}")
        if answer.total == 0 and series not in {item.get("code") for item in self._series_list.items}:
            raise UnknownSeriesError(
                f"{self.base_url}: series {series} is not in release {self.release()}; the answer was empty. "
                "Check the code in the indicator file: a renamed series has a new code."
            )
        return answer

    def many_series(self, series: Iterable[str], areas: Iterable[str]) -> Iterator[SeriesAnswer]:
        """The answers for several series, in the order given, over `settings.connections` connections."""
        wanted = list(areas)
        pool = ThreadPoolExecutor(self.settings.connections, thread_name_prefix="sdg-api")
        try:
            yield from pool.map(lambda code: self.series_data(code, wanted), list(series))
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_pages(self, series: str, areas: list[int]) -> SeriesAnswer:
        """One pass over the pages; _TransientError for whatever does not add up, then the pass is made again."""
        pages: list[Page] = []
        seen: set[str] = set()
        total = received = 0
        page_count: int | None = None
        while not pages or received < total:
            number = len(pages) + 1
            query: list[tuple[str, str | int]] = [("seriesCode", series)]
            query += [("areaCode", area) for area in areas]
            query += [("page", number), ("pageSize", self.settings.page_size)]
            body, answer = self._get("Series/Data", query)
            stated, data = _page_of(answer, series, number)
            if not pages:
                total, page_count = stated, answer.get("totalPages")
            if stated != total:
                raise _TransientError(f"totalElements changed from {total} to {stated} at page {number}")
            if not data and received < total:
                raise _TransientError(f"page {number} is empty after {received} of {total} rows")
            _refuse_repeats(data, seen, number)
            received += len(data)
            pages.append(Page(number, body, len(data)))
        if received != total:
            raise _TransientError(f"{received} rows in {len(pages)} pages, but totalElements is {total}")
        if page_count is not None and max(page_count, 1) != len(pages):
            raise _TransientError(f"totalPages is {page_count}, but {total} rows came in {len(pages)} pages")
        return SeriesAnswer(series, total, tuple(pages))

    # --- asking ----------------------------------------------------------------------------------------

    def _list(self, path: str, *, may_be_empty: bool = False) -> ListAnswer:
        def read() -> ListAnswer:
            body, items = self._get(path, [])
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise _TransientError("the answer is JSON, but not a list")
            if not items and not may_be_empty:
                raise _TransientError("the list is empty")
            return ListAnswer(path, body, items)

        return self._persist(read, path)

    def _get(self, path: str, query: list[tuple[str, str | int]]) -> tuple[bytes, Any]:
        """The body as received and its JSON; asks again while the transport or the body is at fault."""
        return self._persist(lambda: self._get_once(path, query), path)

    def _get_once(self, path: str, query: list[tuple[str, str | int]]) -> tuple[bytes, Any]:
        address = f"{self.base_url}/v1/sdg/{path}"
        timeout = (self.settings.connect_timeout, self.settings.read_timeout)
        try:
            with self._gate:
                response = self._session().get(address, params=query, timeout=timeout)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise _TransientError(f"no complete answer ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise OfficialSourceError(f"{address} cannot be asked: {error}") from error
        if response.status_code in _RETRIED_STATUS:
            wait = _retry_after(response.headers.get("Retry-After"))
            raise _TransientError(f"status {response.status_code}", wait)
        if response.status_code != requests.codes.ok:
            raise OfficialSourceError(
                f"{address} answers with status {response.status_code}. "
                "Check the address of the service in the settings and the codes in the indicator files."
            )
        return response.content, _decode(response.content)

    def _persist(self, read: Callable[[], Answer], what: str) -> Answer:
        """Call `read` until it succeeds; after `settings.attempts` failures say what came instead."""
        last = self.settings.attempts - 1
        for attempt in range(self.settings.attempts):
            try:
                return read()
            except _TransientError as fault:
                patience = self.settings.longest_pause
                if fault.wait is not None and fault.wait > patience:
                    raise OfficialSourceError(
                        f"{self.base_url}: {what}: {fault}, and asks to come back in {fault.wait:.0f} s; "
                        f"longest_pause is {patience:.0f} s. Run again later."
                    ) from fault
                if attempt == last:
                    raise OfficialSourceError(
                        f"{self.base_url}: {what}: {fault}. Gave up after {attempt + 1} attempts; "
                        "nothing of it was kept. Run again later; the last good snapshot stays in use."
                    ) from fault
                # Half fixed, half by chance, so that several clients do not come back in step.
                pause = min(patience, self.settings.backoff * 2**attempt) * self._chance.uniform(0.5, 1.0)
                self._sleep(max(pause, fault.wait or 0.0))
        raise AssertionError("attempts is at least 1")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update({"User-Agent": self.settings.user_agent, "Accept": "application/json"})
            self._sessions.append(session)
        return session


def current_release(series: ListAnswer) -> str:
    """The newest release named in a list of series. Archived entries name older ones and carry no goal."""
    releases = {str(item["release"]) for item in series.items if item.get("release") and item.get("goal")}
    if not releases:
        raise OfficialSourceError(f"{series.path} names no release, so its figures cannot be dated")
    return max(releases)


def _page_of(answer: Any, series: str, number: int) -> tuple[int, list[Json]]:
    """`totalElements` and the rows of an answer, if it is page `number` of this series and nothing else."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise _TransientError(f"page {number} is JSON, but not a page of observations")
    stated, data = answer.get("totalElements"), answer["data"]
    if not isinstance(stated, int):
        raise _TransientError(f"page {number} states no totalElements")
    if answer.get("pageNumber", number) != number:
        raise _TransientError(f"asked for page {number}, got page {answer['pageNumber']}")
    if any(row.get("series") != series for row in data):
        raise _TransientError(f"page {number} holds rows of another series")
    return stated, data


def _refuse_repeats(data: list[Json], seen: set[str], number: int) -> None:
    """Refuse a page that shares rows with earlier ones; remember its rows in `seen`.

    A series of several indicators may list one row once for each of them, so there only a page without a
    single new row is refused.
    """
    rows = {json.dumps(row, sort_keys=True): len(row.get("indicator") or ()) > 1 for row in data}
    repeated = rows.keys() & seen
    if repeated and (len(repeated) == len(rows) or not all(rows[row] for row in repeated)):
        raise _TransientError(f"page {number} repeats {len(repeated)} rows of earlier pages")
    seen.update(rows)


def _decode(body: bytes) -> Any:
    if not body.strip():
        raise _TransientError("an empty body with status 200")
    if body.lstrip()[:1] == b"<":
        raise _TransientError("a web page instead of JSON, with status 200")
    try:
        return json.loads(body)
    except ValueError:
        raise _TransientError(f"broken JSON after {len(body)} bytes") from None


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
