"""The lists of the UN SDG API: their shapes, and what a list says of the release.

Here: reading what was received. Not here: asking for it (`client`), the tables made of it (`catalogue`).

`Series/List` is the bridge between series and indicators: its `goal`, `target` and `indicator` are parallel, one entry
for each indicator that the series serves. Archived releases of a series (with `includechildren` or `allreleases`)
stand beside the current one with another `release` and without goal, target and indicator; they never count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from lnob_pipeline.official.http import OfficialSourceError

Json = dict[str, Any]
Level = Literal["Goal", "Target", "Indicator", "Series"]

CHILDREN: Final[Mapping[Level, str]] = {"Goal": "Target", "Target": "Indicator", "Indicator": "Series"}
"""The level below each, as the paths of the API name it."""


@dataclass(frozen=True)
class ListAnswer:
    """One list: the path that was asked, the body as received, and its items."""

    path: str
    body: bytes
    items: list[Json]


def current_release(series: ListAnswer) -> str:
    """The newest release named in a list of series. Archived entries name older ones and carry no goal."""
    releases = {str(item["release"]) for item in series.items if item.get("release") and item.get("goal")}
    if not releases:
        raise OfficialSourceError(f"{series.path} names no release, so its figures cannot be dated")
    return max(releases)


def current_series(items: list[Json], release: str) -> list[Json]:
    """The series of one release, without those that another release had."""
    return [item for item in items if item.get("goal") and item.get("release") == release]


def without_archived(items: list[Json], release: str) -> list[Json]:
    """A tree of goals, targets, indicators and series (`includechildren`) with the series of one release alone."""
    return [
        {
            name: current_series(value, release)
            if name == "series"
            else without_archived(value, release)
            if name in ("targets", "indicators")
            else value
            for name, value in item.items()
            if value is not None or name not in ("targets", "indicators", "series")
        }
        for item in items
    ]


def indicators_of(items: list[Json], release: str) -> dict[str, tuple[str, ...]]:
    """The indicators that each series of a release serves, from a list of series."""
    return {str(item["code"]): tuple(item["indicator"] or ()) for item in current_series(items, release)}
