"""What became of the faults of the last hand-in: how many are mended, how many are new.

Here belongs comparing the faults of two versions of a submission, and what is kept for it: places and reasons, no
answers. A fault is a reason in a place (record, row, column). Where a record has as many rows as before, its rows are
taken to be the same ones; otherwise rows may have moved, and faults are counted by reason and column.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

MOST_PLACES = 50_000
"""Faults that are kept by row; of more, only the counts."""
VERSIONS = 2


@dataclass(frozen=True)
class Progress:
    """Faults of the last hand-in (before), how many of them are mended, and how many faults are new."""

    before: int
    mended: int
    new: int


def faults_of(findings: pl.DataFrame, rows: dict[str, int]) -> dict[str, Any]:
    """The faults of a version, as they are kept. rows: rows of each record in the files."""
    listed = findings.filter((pl.col("severity") != "information") & (pl.col("effect") != "refused"))
    places = listed.select("record", "label", "column", "reason_id").sort(pl.all())
    counts = places.group_by("record", "column", "reason_id", maintain_order=True).len()
    return {
        "rows": rows,
        "faults": [list(row) for row in places.rows()] if places.height <= MOST_PLACES else None,
        "counts": [list(row) for row in counts.rows()],
    }


def progress(before: dict[str, Any], now: dict[str, Any]) -> Progress:
    """Compare the faults of two versions."""
    n_before = sum(line[-1] for line in before["counts"])
    places = [_places(before, now), _places(now, before)]
    return Progress(n_before, (places[0] - places[1]).total(), (places[1] - places[0]).total())


def _places(of: dict[str, Any], other: dict[str, Any]) -> Counter[tuple[Any, ...]]:
    """Each fault by its row where the rows of the record are the same in both versions, else by kind."""
    exact = of["faults"] is not None and other["faults"] is not None
    same = {record for record, n in of["rows"].items() if other["rows"].get(record) == n} if exact else set()
    places: Counter[tuple[Any, ...]] = Counter()
    if exact:
        places.update(tuple(fault) for fault in of["faults"] if fault[0] in same)
    places.update({(line[0], None, *line[1:-1]): line[-1] for line in of["counts"] if line[0] not in same})
    return places


def remembered(content: bytes | None, version: str, now: dict[str, Any]) -> tuple[bytes, Progress | None]:
    """What is kept after this version, and its progress over the version before it. content: what was kept so far."""
    kept = [item for item in json.loads(content)["versions"] if item["version"] != version] if content else []
    kept = [*kept, {"version": version, **now}][-VERSIONS:]
    told = progress(kept[-2], now) if len(kept) > 1 else None
    return json.dumps({"versions": kept}, ensure_ascii=False, sort_keys=True).encode(), told
