"""What both connectors stand on: requests that are patient and discreet, and pages that are proven complete.

Here belong HTTP, retries, limits, and the proof for one list of pages. What a service calls its parts is in kobo.py and
odk_central.py, what is done with the submissions in __init__.py. The rules:

- The token goes into one header, for one host, over https (plain http on this machine only). Redirects are not
  followed, .netrc is not read.
- A message names the host, the status and what to do. It never repeats a body, a query or a header.
- An answer that may be better next time is asked for again, after a pause that grows, half of it by chance (or after
  the pause that the service asks for: Retry-After, RFC 9110, 10.2.3).
- Totals drift, pages come empty or twice (kobotoolbox/kpi cuts a page to 1,000 since 2026 without a word, pull request
  6472; offsets shift when a submission is added or deleted). What does not add up raises Inconsistent.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from lnob_pipeline import __version__
from lnob_pipeline.settings import Settings

Json = dict[str, Any]
Answer = TypeVar("Answer")

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_PAUSE = 120.0
"""Seconds; also the longest Retry-After that is waited for."""
SLOWEST_ANSWER = 10
"""An answer may take so many times the time limit of a single wait, however steadily it drips."""
CHUNK = 1 << 16


class PullError(ValueError):
    """Submissions cannot be pulled, or nothing can be written back. Says what and how to mend it; holds no answer."""


class Inconsistent(Exception):  # noqa: N818 - an observation while reading, which is then made again
    """What was read does not add up; the text says how. Reading again may help."""


class _Transient(Exception):  # noqa: N818 - as above, of one request
    """An answer that may be better next time. `wait` is what the service asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class State(NamedTuple):
    """What tells two readings of one submission apart: its version (changed by an edit) and its state of review."""

    version: str
    review: str | None


class Page(NamedTuple):
    """One page: its submissions, the total that the service states, and whether it says that there are more."""

    rows: list[Json]
    total: int
    more: bool


class Service(Protocol):
    """A service that holds the submissions of one form."""

    format: str
    """The format of the manifest in which its submissions are kept."""

    def index(self) -> dict[str, State]:
        """The state of every submission, by id. Raises Inconsistent, PullError."""

    def submissions(self, wanted: Mapping[str, State] | None) -> dict[str, Json]:
        """The submissions with these states, by id, or all of them; others may be among them.

        Raises Inconsistent, PullError.
        """

    def identify(self, submission: Json) -> tuple[str, State]:
        """Id and state of a submission, as in index(). Raises PullError where they are not there."""

    def place(self, submission: Json) -> tuple[Any, ...]:
        """What submissions are sorted by: those added later come last."""

    def file(self, submissions: Iterable[bytes]) -> bytes:
        """The file of the format, from submissions as JSON."""

    def contents(self, file: Any) -> list[Json]:
        """The submissions of a file, from its JSON; none where it is another file."""

    def form(self) -> bytes | None:
        """The XLSForm; None where the service holds none."""

    def hold(self, comments: Mapping[str, str]) -> None:
        """Mark submissions as having something to mend: id -> comment for the partner. Raises PullError."""

    def close(self) -> None:
        """End the session and the connections."""


class Credential(AuthBase):
    """Sets the header Authorization, or none; given to Requests as `auth`, so that .netrc is never asked."""

    def __init__(self, header: str | None = None) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to a request."""
        if self._header is not None:
            request.headers["Authorization"] = self._header
        return request


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class Api:
    """One host, asked with one credential.

    url: the address of the service, without a slash at its end. settings: limits and patience. `sleep` and `chance`
    exist so that waiting can be observed. Every method raises PullError when no usable answer can be had.
    """

    url: str
    settings: Settings
    credential: Credential = field(default_factory=Credential)
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)
    received: int = field(default=0, init=False)
    """Bytes of the answers since it was set to 0: one reading may not be larger than a file."""

    def __post_init__(self) -> None:
        self.host = urlsplit(self.url).hostname or ""
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"lnob-pipeline/{__version__}"
        if is_loopback(self.host):
            self._session.trust_env = False  # no proxy stands between this machine and itself

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The JSON of an answer to GET, POST, PATCH or DELETE; null for an empty one to any but GET."""

        def once() -> Any:
            content = self._request(method, path, query, body) or b""
            return None if method != "GET" and not content.strip() else self._decoded(content)

        return self._persist(once)

    def download(self, path: str) -> bytes | None:
        """The bytes of an answer to GET; None where there is nothing at this path."""
        return self._persist(lambda: self._request("GET", path, None, None, may_be_absent=True))

    def error(self, problem: str, mend: str) -> PullError:
        """An error about this host."""
        return PullError(f"{self.host}: {problem}; {mend}")

    def _persist(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer; after `pull_attempts` failures say what came instead."""
        last = self.settings.pull_attempts - 1
        received = self.received
        for attempt in range(self.settings.pull_attempts):
            try:
                return ask()
            except _Transient as fault:
                self.received = received
                again = "nothing was changed; try again later, and look at url in connection.yaml"
                if fault.wait > LONGEST_PAUSE:
                    raise self.error(f"{fault}, and asks to come back in {fault.wait:.0f} seconds", again) from None
                if attempt == last:
                    raise self.error(f"{fault}, {attempt + 1} times in a row", again) from None
                pause = min(LONGEST_PAUSE, 2.0**attempt) * self.chance.uniform(0.5, 1.0)
                self.sleep(max(pause, fault.wait))
        raise self.error("nothing was asked", "set LNOB_PULL_ATTEMPTS to 1 or more")

    def _request(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, *, may_be_absent: bool = False
    ) -> bytes | None:
        """One request, and the body of its answer. No error of a library is passed on: it may hold the address."""
        try:
            with self._session.request(
                method,
                self.url + path,
                params=query,
                json=body,
                auth=self.credential,
                timeout=self.settings.pull_timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code == 404 and may_be_absent:
                    return None
                self._check_status(response)
                return self._read(response)
        except requests.exceptions.SSLError:
            raise self.error("its certificate is not valid", "ask who runs it; nothing was sent") from None
        except requests.RequestException as error:
            raise _Transient(f"no complete answer ({type(error).__name__})") from None

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in RETRIED:
            raise _Transient(f"answers with status {status}", _retry_after(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            raise self.error("it sends us to another address", "write the address it has now to url in connection.yaml")
        mends = {
            401: ("the token was refused", "make a new one and put it into the variable that `token` names"),
            403: ("the token has no right to this", "give its account the right to view (and validate) submissions"),
            404: ("there is no such form, or the token may not see it", "look at the ids in connection.yaml"),
        }
        if status in mends:
            raise self.error(*mends[status])
        if status >= 400:
            raise self.error(f"answers with status {status}", "look at url and ids in connection.yaml")

    def _read(self, response: requests.Response) -> bytes:
        """The body, unpacked, within the limits of size and time: a timeout of sockets bounds a single wait alone."""
        limit = self.settings.maximum_file_bytes
        content = bytearray()
        before = self.received
        with _ended_after(SLOWEST_ANSWER * self.settings.pull_timeout_seconds, response):
            for chunk in response.iter_content(CHUNK):
                content += chunk
                self.received = before + len(content)
                if self.received > limit:
                    raise self.error(f"the answers are larger than {limit:,} bytes", "ask the secretariat for more")
        return bytes(content)

    def _decoded(self, content: bytes) -> Any:
        if content.lstrip()[:1] == b"<":
            raise _Transient("answers with a web page (to log in, or about repairs)")
        try:
            return json.loads(content, object_pairs_hook=self._once, parse_constant=_not_a_number)
        except (ValueError, RecursionError) as error:
            if isinstance(error, PullError):
                raise
            raise _Transient("the answer is cut off, or is no JSON") from None

    def _once(self, pairs: list[tuple[str, Any]]) -> Json:
        """An object whose names each stand once: the second answer would be lost."""
        if len({name for name, _ in pairs}) < len(pairs):
            raise self.error("a submission holds a question twice", "rename one of the questions, or export a file")
        return dict(pairs)


@contextlib.contextmanager
def _ended_after(seconds: float, response: requests.Response) -> Iterator[None]:
    """End the connection after so many seconds: what is read then is cut off, which is found out by the reader."""

    def end() -> None:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # it came to its end just now
            response.raw.shutdown()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def encrypted(api: Api) -> PullError:
    """The error where a form is encrypted: the service holds no answers that we could read."""
    return api.error("submissions are encrypted", "export them with the passphrase, and hand in that file")


def _not_a_number(_: str) -> None:
    """NaN and infinity are no JSON."""
    raise ValueError


def _retry_after(header: str | None) -> float:
    """Seconds to wait from a Retry-After header: a number of seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return 0.0
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def read_whole(pages: Iterable[Page], identify: Callable[[Json], str], limit: int) -> dict[str, Json]:
    """All submissions of a list, by id; the same one on two pages counts once.

    Raises Inconsistent where the total changes, a page brings nothing new, or the sum is not the total; and PullError
    where there are more than `limit`.
    """
    found: dict[str, Json] = {}
    total: int | None = None
    for number, page in enumerate(pages, start=1):
        if total is None:
            total = page.total
        if total > limit:
            raise PullError(f"{total:,} submissions, at most {limit:,} are taken; ask the secretariat")
        if page.total != total:
            raise Inconsistent(f"the total changed from {total} to {page.total} at page {number}")
        before = len(found)
        found |= {identify(row): row for row in page.rows}
        if len(found) == total:
            return found
        if len(found) == before:
            raise Inconsistent(f"page {number} brings nothing new after {before} of {total} submissions")
        if not page.more:
            break
    if len(found) != (total or 0):
        raise Inconsistent(f"{len(found)} submissions came, and the total is {total}")
    return found
