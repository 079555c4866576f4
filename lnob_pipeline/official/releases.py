"""Which official figures are in use: the newest release that may be, the last good one, or the bundled figures.

Here: the choice among snapshot folders, the hold on a release that holds much less than the one in use, and the
decision of a person about it. Not here: filling and reading a folder (`snapshot`, `bulk`), what differs between two
releases value by value (`revisions`).

Releases are judged in the order of their names, editions of one in theirs. The first is in use; each later one is
compared with the one in use by then, over the series and areas that both were asked for, and takes its place unless it
is held. A decision lies beside the folder that it accepts (`2022.Q2.G.02.accepted.json`) and names its sha256, so that
it holds for nothing else.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from lnob_pipeline.official.client import SdgApiClient
from lnob_pipeline.official.codes import Codes
from lnob_pipeline.official.http import HttpSettings, OfficialSourceError
from lnob_pipeline.official.sdmx_client import SdmxClient
from lnob_pipeline.official.snapshot import (
    OBSERVATIONS,
    SNAPSHOTS,
    Route,
    Snapshot,
    SnapshotError,
    SnapshotInfo,
    bundled_snapshot,
    expected_series,
    fetch_snapshot,
    folders,
    in_library_codes,
    library_codes,
    read_manifest,
    read_snapshot,
)
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import write_bytes
from lnob_pipeline.tables import OFFICIAL_RELEASES

log = logging.getLogger(__name__)

State = Literal["in_use", "superseded", "held"]
SOURCES: Final = ("bundled", "api", "sdmx", "last_good")
"""What `settings.official_source` takes."""


@dataclass(frozen=True)
class Release:
    """A snapshot folder and its standing. `decision` holds by, on and because, and is empty where nobody decided."""

    folder: Path
    manifest: Mapping[str, Any]
    sha256: str
    state: State
    held_because: str = ""
    decision: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Choice:
    """The snapshot in use, the one that was in use before it (None for none), and `tables.OFFICIAL_RELEASES`."""

    snapshot: Snapshot
    previous: Snapshot | None
    releases: pl.DataFrame

    def in_library_codes(self, settings: Settings) -> Choice:
        """The same with the project's codes for the series of both snapshots."""
        expected = expected_series(settings.official)
        before = in_library_codes(self.previous, expected) if self.previous else None
        return replace(self, snapshot=in_library_codes(self.snapshot, expected), previous=before)


def choose_snapshot(
    settings: Settings,
    areas: Iterable[str],
    fetched: str,
    *,
    series: Iterable[str] = (),
    http: HttpSettings | None = None,
) -> Snapshot:
    """The snapshot of `choose`."""
    return choose(settings, areas, fetched, series=series, http=http).snapshot


def choose(
    settings: Settings,
    areas: Iterable[str],
    fetched: str,
    *,
    series: Iterable[str] = (),
    http: HttpSettings | None = None,
    ask: bool = True,
) -> Choice:
    """The official figures that `settings.official_source` asks for, as far as they can be had.

    `api`, `sdmx`: the service if it answers completely, else the last good snapshot, else the bundled figures.
    `last_good`, or `ask` false: the same without asking. `bundled`: the bundled figures, whatever lies in the lake.

    `areas` are M49 codes of the partnership, `fetched` the day of the run as ISO text (never read from a clock),
    `series` the codes to fetch, every series of the release when empty. A release that is there in full is not fetched
    again, and one that is held is not used. The `info` of the snapshot says which figures they are and why. Raises
    SnapshotError only if even the bundled ones are damaged.
    """
    if settings.official_source not in SOURCES:
        raise ValueError(f"official_source is {settings.official_source!r}; it takes {', '.join(SOURCES)}")
    if settings.official_areas not in ("partnership", "all"):
        raise ValueError(f"official_areas is {settings.official_areas!r}; it takes partnership or all")
    reason = f"official_source is {settings.official_source} in the settings"
    if settings.official_source == "bundled":
        return _bundled(settings, reason)
    areas, newest = list(areas), None
    if ask and settings.official_source != "last_good":
        try:
            newest = fetch(settings, areas, fetched, series=series, http=http)
            reason = "the service answers and this is its current release"
        except OfficialSourceError as error:
            log.warning("official figures: %s", error)
            reason = f"the service gave no complete answer: {error}"
    damaged: set[Path] = set()
    while True:
        listed = standing(settings, areas, without=damaged)
        used = next((item for item in listed if item.state == "in_use"), None)
        if used is None:
            return _bundled(settings, reason)
        current = used.folder == newest
        held = [item for item in listed if item.state == "held"]
        waits = "".join(f"; {item.folder.name} is held: {item.held_because}" for item in held)
        try:
            snapshot = read_snapshot(used.folder, route=None if current else "last_good", reason=reason + waits)
        except SnapshotError as error:
            log.warning("official figures: %s", error)
            reason += f"; {error}"
            damaged.add(used.folder)
            continue
        return Choice(snapshot, _before(listed, used), table(listed, snapshot.info)).in_library_codes(settings)


def fetch(
    settings: Settings,
    areas: Iterable[str],
    fetched: str,
    *,
    series: Iterable[str] = (),
    http: HttpSettings | None = None,
) -> Path:
    """The folder of the current release of the service, fetched unless it is there in full; held or not."""
    route: Route = "sdmx" if settings.official_source == "sdmx" else "api"
    expected = expected_series(settings.official)
    with _service(settings, route, http) as source:
        wanted = set(series) or set(expected["series"]) | source.series_codes()
        names = library_codes(source.series_codes(), expected)
        of_release = {code: ours for code, ours in names.items() if ours in wanted}
        return fetch_snapshot(
            source,
            settings.lake / SNAPSHOTS,
            series=(wanted - set(of_release.values())) | set(of_release),
            areas=None if settings.official_areas == "all" else areas,
            fetched=fetched,
            route=route,
        )


def _service(settings: Settings, route: Route, http: HttpSettings | None) -> SdgApiClient | SdmxClient:
    if route == "sdmx":
        return SdmxClient(settings.official_sdmx, Codes.load(settings.mappings), http)
    return SdgApiClient(settings.official_api, http)


def _bundled(settings: Settings, reason: str) -> Choice:
    snapshot = bundled_snapshot(settings.official, reason=reason)
    return Choice(snapshot, None, table([], snapshot.info))


def _before(listed: list[Release], used: Release) -> Snapshot | None:
    """The release of the same line that was in use before the one in use, if it can still be read."""
    sdmx = used.manifest["route"] == "sdmx"
    for item in reversed(listed[: listed.index(used)]):
        if item.state == "superseded" and (item.manifest["route"] == "sdmx") == sdmx:
            try:
                return read_snapshot(item.folder)
            except SnapshotError as error:
                log.warning("official figures: %s", error)
    return None


# --- holds and decisions --------------------------------------------------------------------------------------


def standing(settings: Settings, areas: Collection[str], *, without: Collection[Path] = ()) -> list[Release]:
    """Every release that is there, the oldest first, with its state; `areas` are the M49 codes of the partnership.

    Folders that are no complete snapshots, or are named in `without`, are passed over. Releases of the SDMX service
    have names and editions of their own: they follow each other, and those of the API and its downloads do. The line
    that is not asked for by `settings.official_source` is superseded as a whole; `last_good` takes the line that was
    fetched last.
    """
    lines: dict[bool, list[Release]] = {False: [], True: []}
    for folder in reversed(folders(settings.lake / SNAPSHOTS)):
        if folder in without:
            continue
        try:
            manifest, digest = read_manifest(folder)
            item = Release(folder, manifest, digest, "in_use", decision=_decision(folder, digest))
            line = lines[manifest["route"] == "sdmx"]
            used = next((number for number, other in enumerate(line) if other.state == "in_use"), None)
            because = fall(line[used], item, areas, settings.official_fall_limit) if used is not None else ""
        except (SnapshotError, pl.exceptions.PolarsError, OSError) as error:
            log.warning("official figures: %s", error)
            continue
        if because and item.decision is None:
            line.append(replace(item, state="held", held_because=because))
            continue
        if used is not None:
            line[used] = replace(line[used], state="superseded")
        line.append(replace(item, held_because=because))
    asked = {"api": False, "sdmx": True}.get(settings.official_source)
    if asked is None or not lines[asked]:
        asked = max(lines, key=lambda sdmx: max((str(item.manifest["fetched"]) for item in lines[sdmx]), default=""))
    other = [replace(item, state="superseded") if item.state == "in_use" else item for item in lines[not asked]]
    return [*other, *lines[asked]]


def fall(before: Release, now: Release, areas: Collection[str], limit: float) -> str:
    """Why a release holds so much less than the one before that a person should look; empty if it does not.

    Compared over the series and areas that both were asked for: rows, series with rows, areas with rows, pairs of
    series and area with rows (coverage), and the rows of each area of the partnership. `limit` is a share.
    """
    series = set(before.manifest["series"])
    asked = set(before.manifest["areas"])
    if not now.manifest.get("whole"):
        series &= {*now.manifest["series"], *now.manifest["not_in_release"]}
        asked &= set(now.manifest["areas"])
    counts = [_counts(_coverage(item.folder, series, asked), areas) for item in (before, now)]
    fell = [
        f"{what}: {counts[1][what]:,} instead of {count:,} (-{1 - counts[1][what] / count:.0%})"
        for what, count in counts[0].items()
        if count and counts[1][what] < (1 - limit) * count
    ]
    if not fell:
        return ""
    return f"less than in {before.manifest['release']} by more than {limit:.0%}: " + "; ".join(fell)


def _counts(coverage: pl.DataFrame, areas: Collection[str]) -> dict[str, int]:
    rows = dict(coverage.group_by("m49").agg(pl.col("rows").sum()).iter_rows())
    return {
        "rows": sum(rows.values()),
        "series with rows": coverage["series"].n_unique(),
        "areas with rows": len(rows),
        "pairs of series and area with rows": coverage.height,
    } | {f"rows of area {area}": rows.get(area, 0) for area in sorted(code.zfill(3) for code in areas)}


def _coverage(folder: Path, series: Collection[str], areas: Collection[str]) -> pl.DataFrame:
    """Rows of each series and area (series, m49, rows) of a snapshot, of the given ones."""
    return (
        pl.scan_parquet(folder / OBSERVATIONS)
        .group_by("series", pl.col("area").str.strip_chars().str.zfill(3).alias("m49"))
        .agg(pl.len().alias("rows"))
        .filter(pl.col("series").is_in(list(series)), pl.col("m49").is_in(list(areas)))
        .collect()
    )


def accept(settings: Settings, areas: Collection[str], name: str, by: str, because: str, day: datetime.date) -> Path:
    """Let a held release be used, `name` being its release or its folder; return where the decision lies.

    Raises ValueError where nothing of that name is held, or nobody or no reason is named.
    """
    if not (by.strip() and because.strip()):
        raise ValueError("a decision names who decided and why: --by NAME --because TEXT")
    held = [item for item in standing(settings, areas) if item.state == "held"]
    found = [item for item in held if item.folder.name == name]
    found = found or [item for item in held if item.manifest["release"] == name]
    if not found:
        known = ", ".join(item.folder.name for item in held) or "none"
        raise ValueError(f"no release {name} is held; held are: {known}. `lnob official list` shows all")
    item = found[-1]
    path = _decision_path(item.folder)
    said = {"sha256": item.sha256, "by": by.strip(), "on": day.isoformat(), "because": because.strip()}
    write_bytes(path, (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _decision_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.accepted.json")


def _decision(folder: Path, digest: str) -> Mapping[str, str] | None:
    path = _decision_path(folder)
    if not path.is_file():
        return None
    try:
        said: dict[str, str] = json.loads(path.read_bytes())
        if said["sha256"] == digest and said["by"] and said["because"] and datetime.date.fromisoformat(said["on"]):
            return said
    except (ValueError, KeyError, TypeError):
        pass
    log.warning("official figures: %s is no decision about %s and does not count", path, folder)
    return None


def table(listed: list[Release], info: SnapshotInfo) -> pl.DataFrame:
    """`tables.OFFICIAL_RELEASES`: every release that is there, and the bundled figures while they are in use."""
    rows: list[dict[str, Any]] = [
        {
            "release": item.manifest["release"],
            "route": item.manifest["route"],
            "fetched": item.manifest["fetched"],
            "source": item.manifest["base_url"],
            "rows": item.manifest["rows"],
            "series": len(item.manifest["series"]),
            "sha256": item.sha256,
            "state": item.state,
            "held_because": item.held_because or None,
            "decided_by": item.decision["by"] if item.decision else None,
            "decided_on": datetime.date.fromisoformat(item.decision["on"]) if item.decision else None,
            "decision": item.decision["because"] if item.decision else None,
        }
        for item in listed
    ]
    if info.route == "bundled":
        rows = [row | {"state": "superseded" if row["state"] == "in_use" else row["state"]} for row in rows]
        rows.append(
            {
                "release": info.release,
                "route": info.route,
                "fetched": info.date,
                "source": info.source,
                "rows": info.rows,
                "series": info.series,
                "sha256": info.sha256,
                "state": "in_use",
            }
        )
    return pl.DataFrame(rows, schema=OFFICIAL_RELEASES.schema)
