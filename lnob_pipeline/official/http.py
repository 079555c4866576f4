"""Patient and polite requests to an official source: retries, pauses, time and size limits, connections.

Here: everything that is the same whichever service is asked. Not here: what a service calls its parts, and the proof
that an answer is complete (`client`, `sdmx_client`). No other module of the stage uses Requests.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from itertools import islice
from typing import Final, TypeVar

import requests

MAXIMUM_CONNECTIONS: Final = 8
_RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK: Final = 1 << 20

Query = Sequence[tuple[str, str | int]]
Answer = TypeVar("Answer")


class OfficialSourceError(Exception):
    """The official source did not give a complete answer. Says what was asked, what came, and what to do."""


class StatusError(OfficialSourceError):
    """An answer with a status that asking again will not mend; `status` is its number."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class TransientError(Exception):
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
    largest_answer: int = 1 << 28  # bytes of one body, unpacked
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


class HttpService:
    """One service at `base_url` (without a slash at its end), asked with GET for bodies of the type `accept`.

    `sleep` and `chance` exist so that waiting can be observed. May be used from several threads; at most
    `settings.connections` requests are under way at once.
    """

    def __init__(
        self,
        base_url: str,
        settings: HttpSettings,
        accept: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.base_url = base_url
        self.settings = settings
        self._accept = accept
        self._sleep = sleep
        self._chance = chance or random.Random()
        self._local = threading.local()  # a requests.Session is not safe to share between threads
        self._sessions: list[requests.Session] = []
        self._gate = threading.BoundedSemaphore(settings.connections)

    def close(self) -> None:
        """Close the connections that are kept open."""
        for session in self._sessions:
            session.close()

    def get(self, path: str, query: Query = (), *, accept: str | None = None) -> bytes:
        """The body of one answer with status 200, asked for once: wrap the call in `persist`.

        `accept` is the type to ask for, if not the one of the service.
        Raises TransientError for what may be better next time, StatusError for any other status and
        OfficialSourceError for what cannot be asked or is larger than `settings.largest_answer`.
        """
        address = f"{self.base_url}/{path}"
        timeout = (self.settings.connect_timeout, self.settings.read_timeout)
        headers = {"Accept": accept or self._accept}
        try:
            with (
                self._gate,
                self._session().get(
                    address, params=list(query), headers=headers, timeout=timeout, stream=True
                ) as response,
            ):
                body = self._read(response, address)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise TransientError(f"no complete answer ({type(error).__name__})") from error
        except requests.RequestException as error:
            raise OfficialSourceError(f"{address} cannot be asked: {error}") from error
        if response.status_code in _RETRIED_STATUS:
            wait = _retry_after(response.headers.get("Retry-After"))
            raise TransientError(f"status {response.status_code}", wait)
        if response.status_code != requests.codes.ok:
            raise StatusError(
                f"{address} answers with status {response.status_code}. "
                "Check the address of the service in the settings and the codes in the indicator files.",
                response.status_code,
            )
        return body

    def persist(self, read: Callable[[], Answer], what: str) -> Answer:
        """Call `read` until it succeeds; after `settings.attempts` failures say what came instead."""
        last = self.settings.attempts - 1
        for attempt in range(self.settings.attempts):
            try:
                return read()
            except TransientError as fault:
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

    def as_they_arrive(self, read: Callable[[str], Answer], codes: Iterable[str]) -> Generator[Answer, None, None]:
        """What `read` gives for each code, whichever comes first; few at a time, so that little waits to be taken.

        Where `read` fails, what is under way is given first, then the first error is raised.
        """
        waiting = iter(codes)
        failed: OfficialSourceError | None = None
        with ThreadPoolExecutor(self.settings.connections, thread_name_prefix="official") as pool:
            under_way = {pool.submit(read, code) for code in islice(waiting, self.settings.connections)}
            try:
                while under_way:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        if failed is None:
                            under_way |= {pool.submit(read, code) for code in islice(waiting, 1)}
                        try:
                            answer = future.result()
                        except OfficialSourceError as error:
                            failed = failed or error
                            continue
                        yield answer
            finally:
                pool.shutdown(cancel_futures=True)
        if failed is not None:
            raise failed

    def _read(self, response: requests.Response, address: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self.settings.largest_answer:
                raise OfficialSourceError(
                    f"{address} sends more than {self.settings.largest_answer:,} bytes. "
                    "Ask for fewer areas at a time, or raise largest_answer."
                )
        return b"".join(parts)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = self.settings.user_agent
            self._sessions.append(session)
        return session


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
