"""ODK Central: the submissions of one published form, by its OData service, repeats included.

Here belong its paths, parameters and names. What was read for it (getodk/central-backend): docs/api.yaml,
lib/resources/odata.js, lib/formats/odata.js, lib/util/odata.js, lib/data/odata.js (`__id`, `__system`),
lib/data/odata-filter.js (what `$filter` takes), lib/resources/comments.js. Newest submissions come first. The link to
the next page names the server as its operator wrote it, which need not be how we reach it: only the place in the list
is taken from it, `$skiptoken` (since version 2023.4) or `$skip`.

Programs have no tokens of their own: the secret is "e-mail:password" of an account with the right to view, for a
session that is ended afterwards, or the token of a session (24 hours).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from lnob_pipeline.submissions.connectors.service import (
    Api,
    Credential,
    Inconsistent,
    Json,
    Page,
    PullError,
    State,
    encrypted,
    read_whole,
)

HAS_ISSUES = "hasIssues"
ENCRYPTED = ("notDecrypted", "missingEncryptedFormData")
"""States of a submission whose answers are not there."""


class OdkCentral:
    """The submissions of one form of a project; see service.Service."""

    format = "odk_json"

    def __init__(self, api: Api, project: int, form: str, secret: str) -> None:
        self.api, self.path = api, f"/v1/projects/{project}/forms/{quote(form, safe='')}"
        email, _, password = secret.partition(":")
        self._logged_in = bool(password)
        if password:
            session = api.ask("POST", "/v1/sessions", body={"email": email, "password": password})
            secret = session.get("token", "") if isinstance(session, dict) else ""
        api.credential = Credential(f"Bearer {secret}")

    def index(self) -> dict[str, State]:
        """The state of every submission, by its instance id."""
        rows = self._read({"$select": "__id,__system"})
        return {key: self.identify(row)[1] for key, row in rows.items()}

    def submissions(self, wanted: Mapping[str, State] | None) -> dict[str, Json]:
        """The submissions that came or changed since the oldest of these changes; all, if that is not all of them."""
        if wanted:
            since = min(state.version.split(" ")[0] for state in wanted.values())
            # Not "later than the last pull": what was still being written then would never come.
            filter_ = f"__system/submissionDate ge {since} or __system/updatedAt ge {since}"
            found = self._read({"$expand": "*", "$filter": filter_})
            if wanted.keys() <= found.keys():
                return found
        return self._read({"$expand": "*"})

    def identify(self, submission: Json) -> tuple[str, State]:
        """`__id`, and the time of the last change with the number of edits, and the state of review."""
        key, system = submission.get("__id"), submission.get("__system")
        changed = (system.get("updatedAt") or system.get("submissionDate")) if isinstance(system, dict) else None
        if not isinstance(key, str) or not isinstance(system, dict) or not isinstance(changed, str):
            raise self.api.error("a submission has no __id or no __system", "pull again; if it stays so, export a file")
        if system.get("status") in ENCRYPTED:
            raise encrypted(self.api)
        return key, State(f"{changed} {system.get('edits') or 0}", system.get("reviewState"))

    def place(self, submission: Json) -> tuple[Any, ...]:
        """The time of the submission."""
        return (submission["__system"].get("submissionDate") or "", submission["__id"])

    def file(self, submissions: Iterable[bytes]) -> bytes:
        """One page of OData with all submissions; its context names the form, and the form its tables."""
        context = json.dumps(f"{self.path}.svc/$metadata#Submissions").encode()
        return b'{"@odata.context":' + context + b',"value":[\n' + b",\n".join(submissions) + b"\n]}\n"

    def contents(self, file: Any) -> list[Json]:
        """The submissions of the page."""
        rows = file.get("value") if isinstance(file, dict) else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def form(self) -> bytes | None:
        """The XLSForm that was uploaded; None where the form was made from another file."""
        return self.api.download(f"{self.path}.xlsx") or self.api.download(f"{self.path}.xls")

    def hold(self, comments: Mapping[str, str]) -> None:
        """Comment each submission, once, and set its state to `hasIssues`."""
        for key, comment in sorted(comments.items()):
            path = f"{self.path}/submissions/{quote(key, safe='')}"
            said = self.api.ask("GET", f"{path}/comments")
            if not any(isinstance(item, dict) and item.get("body") == comment for item in said or []):
                self.api.ask("POST", f"{path}/comments", body={"body": comment})
            self.api.ask("PATCH", path, body={"reviewState": HAS_ISSUES})

    def close(self) -> None:
        """End the session that was opened, and close the connections."""
        if self._logged_in:
            with contextlib.suppress(PullError):  # servers before 2023.4 cannot: the session ends by itself
                self.api.ask("DELETE", "/v1/sessions/current")
        self.api.close()

    def _read(self, query: Mapping[str, str]) -> dict[str, Json]:
        self.api.received = 0
        return read_whole(self._pages(query), lambda row: self.identify(row)[0], self.api.settings.maximum_rows)

    def _pages(self, query: Mapping[str, str]) -> Iterator[Page]:
        place: dict[str, str] | None = {}
        while place is not None:
            asked = {**query, **place, "$count": "true", "$top": str(self.api.settings.pull_page_size)}
            answer = self.api.ask("GET", f"{self.path}.svc/Submissions", asked)
            rows, total = (answer.get("value"), answer.get("@odata.count")) if isinstance(answer, dict) else (None, 0)
            if not isinstance(rows, list) or not isinstance(total, int) or not all(isinstance(r, dict) for r in rows):
                raise Inconsistent("the answer is JSON, but not a page of submissions")
            place = _next(answer.get("@odata.nextLink"))
            yield Page(rows, total, place is not None)


def _next(link: Any) -> dict[str, str] | None:
    """The place in the list that a link to the next page names."""
    if link is None:
        return None
    asked = parse_qs(urlsplit(link).query) if isinstance(link, str) else {}
    found = {name: values[0] for name, values in asked.items() if name in ("$skiptoken", "$skip")}
    if not found:
        raise Inconsistent("the link to the next page names no place in the list")
    return found
