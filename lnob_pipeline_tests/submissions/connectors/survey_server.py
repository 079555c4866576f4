"""KoboToolbox and ODK Central on 127.0.0.1: a real HTTP server that speaks as much of their interfaces as is asked.

It holds submissions that a test may change at any time, checks the token, pages as the services do, filters as they do,
and misbehaves on demand (`Fault`). It keeps what it was asked. Shapes: kobotoolbox/kpi (kpi/views/v2/data.py,
kpi/paginators.py, kpi/serializers/v2/data.py), getodk/central-backend (lib/formats/odata.js, lib/util/odata.js,
lib/data/odata-filter.js, lib/resources/comments.js).
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

Json = dict[str, Any]

TOKEN = "k0b0-5ecret-t0ken"
EMAIL, PASSWORD, SESSION = "desk@example.org", "pa55-word", "s3ssion-t0ken"
ASSET, PROJECT, FORM = "aBcD1234efGH5678ijKL90", 7, "two municipalities"
STATUS = "validation_status_"


@dataclass
class Fault:
    """One misbehaviour: for requests whose method and path hold `where`, from the `skip`-th on; `times` None for ever.

    kind: status, html, truncated, reset, slow, drip, redirect, wrong_count, repeated_page, empty_page, foreign,
    no_json, huge, twice.
    """

    kind: str
    where: str = "data/"
    skip: int = 0
    times: int | None = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 1.0


class SurveyServer:
    """The server as a context manager; `url` is the address of both services.

    kobo: submissions with `_id`. odk: submissions with `__id` and `__system`, repeats inside. limit: the longest page
    that it gives, whatever is asked. before: called with the number of a request before it is answered.
    """

    def __init__(self, kobo: list[Json] | None = None, odk: list[Json] | None = None, *, limit: int = 1_000) -> None:
        self.kobo, self.odk, self.limit = kobo or [], odk or [], limit
        self.form: bytes | None = None
        self.form_name = FORM
        self.comments: dict[str, list[Json]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.agents: set[str] = set()
        self.authorizations: list[str] = []
        self.may_validate = True
        self.skiptokens = True
        self.filtered_out: set[str] = set()
        self.sessions: set[str] = set()
        self.before: Callable[[int], None] = lambda _: None
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self.stopping = threading.Event()
        self._http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"survey": self}))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> SurveyServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)

    def misbehave(self, kind: str, **how: Any) -> None:
        self._faults.append(Fault(kind, **how))

    def behave(self) -> None:
        self._faults.clear()

    def paths(self, method: str = "GET") -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]

    def queries(self, end: str) -> list[dict[str, str]]:
        return [query for _, path, query in self.asked if path.endswith(end)]

    @contextmanager
    def begin(self, method: str, path: str, query: dict[str, str]) -> Iterator[Fault | None]:
        with self._lock:
            self.asked.append((method, path, query))
            self.before(len(self.asked))
            found = None
            for fault in self._faults:
                if fault.where not in f"{method} {path}" or fault.times == 0:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                found = fault
                break
            yield found

    # --- KoboToolbox -----------------------------------------------------------------------------------

    def kobo_page(self, query: dict[str, str], fault: Fault | None) -> Json:
        rows = sorted(self.kobo, key=lambda row: row["_id"] * json.loads(query.get("sort", '{"_id":1}')).get("_id", 1))
        for name, wanted in json.loads(query.get("query", "{}")).items():
            assert name == "_id" and list(wanted) == ["$in"]
            rows = [row for row in rows if row["_id"] in wanted["$in"]]
        start, limit = int(query.get("start", 0)), min(int(query.get("limit", 100)), self.limit)
        page, more = rows[start : start + limit], start + limit < len(rows)
        if "fields" in query:
            page = [{name: row[name] for name in json.loads(query["fields"]) if name in row} for row in page]
        count = len(rows)
        page, count = self._spoiled(page, count, rows[:limit], fault)
        link = f"{self.url}/api/v2/assets/{ASSET}/data/?{urlencode(query | {'start': start + limit})}"
        return {"count": count, "next": link if more else None, "previous": None, "results": page}

    def kobo_statuses(self, body: Any) -> Json:
        payload = body["payload"]
        uid, wanted = payload["validation_status.uid"], {int(key) for key in payload["submission_ids"]}
        assert uid.startswith(STATUS)
        for row in self.kobo:
            if row["_id"] in wanted:
                row["_validation_status"] = {"uid": uid, "label": uid.removeprefix(STATUS), "by_whom": "desk"}
        return {"detail": f"{len(wanted)} submissions have been updated"}

    # --- ODK Central -----------------------------------------------------------------------------------

    def odata_page(self, query: dict[str, str], fault: Fault | None) -> Json:
        rows = sorted(self.odk, key=lambda row: row["__system"]["submissionDate"], reverse=True)
        if filter_ := query.get("$filter"):
            pattern = r"__system/submissionDate ge (\S+) or __system/updatedAt ge (\S+)"
            since = re.fullmatch(pattern, filter_)
            assert since, f"a filter that Central does not take: {filter_}"
            rows = [
                row
                for row in rows
                if row["__id"] not in self.filtered_out
                and (row["__system"]["submissionDate"] >= since[1] or (row["__system"]["updatedAt"] or "") >= since[2])
            ]
        start = int(query.get("$skip", 0))
        if token := query.get("$skiptoken"):
            last = json.loads(base64.b64decode(unquote(token)[2:]))["instanceId"]
            start = next((n for n, row in enumerate(rows, start=1) if row["__id"] == last), len(rows))
        limit = min(int(query.get("$top", self.limit)), self.limit)
        page, more = rows[start : start + limit], start + limit < len(rows)
        if query.get("$select") == "__id,__system":
            page = [{name: row[name] for name in ("__id", "__system")} for row in page]
        elif query.get("$expand") != "*":
            page = [{name: value for name, value in row.items() if not isinstance(value, list)} for row in page]
        last = page[-1]["__id"] if page else ""
        page, count = self._spoiled(page, len(rows), rows[:limit], fault)
        answer: Json = {"value": page, "@odata.context": "https://central.invalid/v1/$metadata#Submissions"}
        if query.get("$count") == "true":
            answer["@odata.count"] = count
        if more:
            kept = {name: value for name, value in query.items() if name not in ("$skip", "$skiptoken")}
            code = base64.b64encode(json.dumps({"instanceId": last}).encode()).decode()
            place = {"$skiptoken": f"01{code}"} if self.skiptokens else {"$skip": str(start + limit)}
            # The name that its operator wrote, which is not the one it is reached by.
            answer["@odata.nextLink"] = f"https://central.invalid/v1/forms.svc/Submissions?{urlencode(kept | place)}"
        return answer

    def odk_submission(self, key: str) -> Json:
        return next(row for row in self.odk if row["__id"] == key)

    @staticmethod
    def _spoiled(page: list[Json], count: int, first: list[Json], fault: Fault | None) -> tuple[list[Json], int]:
        kind = fault.kind if fault else ""
        if kind == "wrong_count":
            return page, count + 1
        if kind == "repeated_page":
            return first, count
        if kind == "empty_page":
            return [], count
        return page, count


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    survey: SurveyServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.survey.agents.add(self.headers.get("User-Agent", ""))
        self.survey.authorizations.append(self.headers.get("Authorization", ""))
        with self.survey.begin(method, unquote(parts.path), query) as fault:
            try:
                status, answer = self._routed(method, unquote(parts.path), query, body, fault)
            except StopIteration:
                status, answer = 404, {"message": "Could not find the resource you were looking for."}
        self._send(status, answer, fault)

    def _routed(self, method: str, path: str, query: dict[str, str], body: Any, fault: Fault | None) -> tuple[int, Any]:
        survey, base = self.survey, f"/v1/projects/{PROJECT}/forms/{self.survey.form_name}"
        token = self.headers.get("Authorization", "")
        if path == "/v1/sessions":
            if body != {"email": EMAIL, "password": PASSWORD}:
                return 401, {"message": "Could not authenticate with the provided credentials."}
            survey.sessions.add(SESSION)
            return 200, {"token": SESSION, "expiresAt": "2030-01-01T00:00:00.000Z"}
        if token != (f"Token {TOKEN}" if path.startswith("/api/v2/") else f"Bearer {SESSION}"):
            return 401, {"detail": "Invalid token."}
        if not survey.may_validate and method in ("POST", "PATCH"):
            return 403, {"detail": "You may not do this."}
        asset = f"/api/v2/assets/{ASSET}"
        answer: Any
        if path in (f"{asset}.xls", f"{base}.xlsx", f"{base}.xls"):
            answer = survey.form
        elif (method, path) == ("GET", f"{asset}/data/"):
            answer = survey.kobo_page(query, fault)
        elif (method, path) == ("GET", f"{base}.svc/Submissions"):
            answer = survey.odata_page(query, fault)
        elif path == "/v1/sessions/current":
            survey.sessions.discard(SESSION)
            answer = {"success": True}
        else:
            return self._written(method, path, body)
        return (200, answer) if answer is not None else (404, {"detail": "Not found."})

    def _written(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        survey, base = self.survey, f"/v1/projects/{PROJECT}/forms/{self.survey.form_name}/submissions/"
        if (method, path) == ("PATCH", f"/api/v2/assets/{ASSET}/data/validation_statuses/"):
            return 200, survey.kobo_statuses(body)
        if not path.startswith(base):
            return 404, {"detail": "Not found."}
        key, _, part = path.removeprefix(base).partition("/")
        row = survey.odk_submission(key)
        if part == "comments" and method == "POST":
            survey.comments.setdefault(key, []).append({"body": body["body"], "actorId": 1})
        if part == "comments":
            return 200, survey.comments.get(key, [])
        if method == "PATCH":
            row["__system"] |= {"reviewState": body["reviewState"], "updatedAt": "2029-01-01T00:00:00.000Z"}
        return 200, {"instanceId": key}

    def _send(self, status: int, answer: Any, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        content = answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
        headers = dict(fault.headers) if fault else {}
        if kind == "status" and fault:
            status, content = fault.status, b'{"detail": "secret answer of Amina"}'
        elif kind == "html":
            content = b"<!DOCTYPE html><title>Log in</title>secret answer of Amina"
        elif kind == "no_json":
            content = content[: len(content) // 2]
        elif kind == "foreign":
            content = b'["secret answer of Amina"]'
        elif kind == "twice":
            content = b'{"count": 1, "next": null, "results": [{"_id": 1, "_uuid": "a", "q": "1", "q": "2"}]}'
        elif kind == "huge":
            content = b'{"results": "' + b"x" * 3_000_000 + b'"}'
        elif kind == "redirect" and fault:
            status = 302
        elif kind == "slow" and fault:
            self.survey.stopping.wait(fault.seconds)
        elif kind == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if kind == "truncated":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif kind == "drip" and fault:
                end = time.monotonic() + fault.seconds
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if time.monotonic() > end or self.survey.stopping.wait(0.1):
                        break
            else:
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
