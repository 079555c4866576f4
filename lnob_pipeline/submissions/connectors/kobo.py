"""KoboToolbox, API version 2: the submissions of one deployed form (an asset).

Here belong its paths, parameters and names. What was read for it (kobotoolbox/kpi): kpi/views/v2/data.py,
kpi/paginators.py (`start` and `limit`, `count`, `next`; a `limit` above the server's own is cut without a word),
kpi/deployment_backends/base_backend.py (`query`, `sort`, `fields` as JSON), kpi/serializers/v2/data.py (the body of
validation_statuses). An edit gives a submission a new `_uuid` and keeps `_id` and `_submission_time`, and there is no
time of change (issue 7259): so the list of all `_id` with `_uuid` and state of review is what tells what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lnob_pipeline.submissions.connectors.service import (
    Api,
    Credential,
    Inconsistent,
    Json,
    Page,
    State,
    encrypted,
    read_whole,
)

BATCH = 200
"""Ids in one request: they stand in its address, which servers cut off at about 8,000 letters."""
ON_HOLD = "validation_status_on_hold"


class Kobo:
    """The submissions of one asset; see service.Service."""

    format = "kobo_json"

    def __init__(self, api: Api, asset: str, token: str) -> None:
        self.api, self.path = api, f"/api/v2/assets/{asset}"
        api.credential = Credential(f"Token {token}")

    def index(self) -> dict[str, State]:
        """The state of every submission, by `_id`."""
        rows = self._read({"fields": _json(["_id", "_uuid", "_validation_status"])})
        return {key: self.identify(row)[1] for key, row in rows.items()}

    def submissions(self, wanted: Mapping[str, State] | None) -> dict[str, Json]:
        """The submissions with these ids, or all of them."""
        if wanted is None:
            return self._read({})
        keys = sorted(int(key) for key in wanted)
        found: dict[str, Json] = {}
        for start in range(0, len(keys), BATCH):
            found |= self._read({"query": _json({"_id": {"$in": keys[start : start + BATCH]}})})
        return found

    def identify(self, submission: Json) -> tuple[str, State]:
        """`_id`, and `_uuid` with the identifier of the state of review."""
        number, version = submission.get("_id"), submission.get("_uuid")
        status = submission.get("_validation_status") or {}
        if not isinstance(number, int) or not isinstance(version, str) or not isinstance(status, dict):
            raise self.api.error("a submission has no _id or no _uuid", "pull again; if it stays so, export a file")
        if "base64EncryptedKey" in submission:
            raise encrypted(self.api)
        return str(number), State(version, status.get("uid"))

    def place(self, submission: Json) -> tuple[Any, ...]:
        """`_id`, which grows."""
        return (submission["_id"],)

    def file(self, submissions: Iterable[bytes]) -> bytes:
        """A list."""
        return b"[\n" + b",\n".join(submissions) + b"\n]\n"

    def contents(self, file: Any) -> list[Json]:
        """The list."""
        return [row for row in file if isinstance(row, dict)] if isinstance(file, list) else []

    def form(self) -> bytes | None:
        """The XLSForm as KoboToolbox writes it."""
        return self.api.download(f"{self.path}.xls")

    def hold(self, comments: Mapping[str, str]) -> None:
        """Set the state `on hold`. KoboToolbox has no place for a comment."""
        keys = sorted(int(key) for key in comments)
        for start in range(0, len(keys), BATCH):
            payload = {"submission_ids": keys[start : start + BATCH], "validation_status.uid": ON_HOLD}
            self.api.ask("PATCH", f"{self.path}/data/validation_statuses/", body={"payload": payload})

    def close(self) -> None:
        """Close the connections; the token stays valid."""
        self.api.close()

    def _read(self, query: Mapping[str, str]) -> dict[str, Json]:
        self.api.received = 0
        return read_whole(self._pages(query), lambda row: self.identify(row)[0], self.api.settings.maximum_rows)

    def _pages(self, query: Mapping[str, str]) -> Iterator[Page]:
        """Pages by offset, sorted by `_id`: what is added while one reads comes last."""
        start, more = 0, True
        while more:
            asked = {"format": "json", "sort": _json({"_id": 1}), **query}
            asked |= {"start": str(start), "limit": str(self.api.settings.pull_page_size)}
            answer = self.api.ask("GET", f"{self.path}/data/", asked)
            rows, total = (answer.get("results"), answer.get("count")) if isinstance(answer, dict) else (None, None)
            if not isinstance(rows, list) or not isinstance(total, int) or not all(isinstance(r, dict) for r in rows):
                raise Inconsistent("the answer is JSON, but not a page of submissions")
            start, more = start + len(rows), bool(answer.get("next"))
            yield Page(rows, total, more)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
