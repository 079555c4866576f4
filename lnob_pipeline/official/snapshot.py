"""One immutable, checksummed folder for each official release, and the figures bundled with the project.

Here: filling such a folder, checking it when it is read. Not here: HTTP (`http`, `client`), the bulk download (`bulk`),
which release is in use (`releases`), the meaning of values and the tables (`values`, `catalogue`).

A snapshot folder lies under `<lake>/official_snapshots/` and is named after the release:

    2022.Q2.G.02/
      manifest.json              release, route, day of fetching, address, areas, series, and sha256 of every part
      lists/Series-List.json.gz  the lists of the framework, as received
      observations/SG_REG_BRTH/page-0001.json.gz
      observations.parquet       every row as text, made of the pages once; all later reading is of this file

It is filled beside its place and renamed into it when complete, so a folder with that name is a whole one. It
is never changed afterwards. When more series or areas are wanted of the same release, or a folder was
damaged, the release is fetched anew as a further edition (`2022.Q2.G.02+2`): rows of two moments are never
mixed.

Bodies are kept as received: they are the evidence for what the Parquet file holds.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import polars as pl

from lnob_pipeline.official.http import OfficialSourceError
from lnob_pipeline.official.pages import DIMENSION, TEXT_COLUMNS, no_rows
from lnob_pipeline.official.sources import OfficialSource
from lnob_pipeline.official.staging import Staging, clear_others
from lnob_pipeline.storage import sha256_bytes, sha256_file, write_bytes, write_stream
from lnob_pipeline.tables import Column, Table

log = logging.getLogger(__name__)

Route = Literal["api", "sdmx", "file", "last_good", "bundled"]

SNAPSHOTS: Final = "official_snapshots"  # folder in the lake
BUNDLED_FILES: Final = ("observations.csv", "series.csv")

OBSERVATIONS: Final = "observations.parquet"
_LINK_COLUMNS: Final = ("indicator", "goal", "target", "series", "title")

ROWS: Final = Table(
    "observations",
    "official",
    "Observations of a release as text, before any meaning is read into them; dimensions as dimension.<name>",
    "public",
    ("series", "area", "year", "nature", "units"),
    tuple(Column(name, "text", "As published") for name in TEXT_COLUMNS),
    open=True,
)
"""The form of `observations.parquet`. Sorted by series, so that a part of the file is a part of the series."""


class SnapshotError(OfficialSourceError):
    """A snapshot that is missing, incomplete or damaged."""


@dataclass(frozen=True)
class SnapshotInfo:
    """Which official figures are in use, since when, and why these. Stands wherever the figures stand."""

    release: str
    date: str  # the day of fetching; for bundled figures the month of the release
    route: Route
    reason: str
    source: str  # the address that was asked, the file that was taken, or the bundle
    sha256: str  # of the manifest, and through it of every part
    series: int
    rows: int

    @property
    def label(self) -> str:
        """The figures in a few words, for pages and logs."""
        how = {"last_good": "last good snapshot, fetched", "bundled": "bundled, of", "file": "bulk download, fetched"}
        return f"UN Global SDG Database, release {self.release} ({how.get(self.route, 'fetched')} {self.date})"


@dataclass(frozen=True)
class Snapshot:
    """An official release as text, before any meaning is read into it.

    `links` has one row for each indicator and series of the release: indicator, goal, target, series (null
    for an indicator without one), title. `rows` are the observations, not read yet: the text columns of `ROWS` (area
    is M49, padded or not), one column `dimension.<name>` for each dimension that any row carries, and one
    `attribute.<name>` for what else a bulk download said of a row. `loaded` are the series that were asked for
    and answered in full, those without a row for our areas included; `areas` the M49 codes that were asked for, None
    for every area. `codes` names the series whose code in `rows` is another than everywhere else (code of the release
    -> code of the project, see `in_library_codes`).
    """

    info: SnapshotInfo
    links: pl.DataFrame
    rows: pl.LazyFrame
    loaded: frozenset[str]
    areas: frozenset[str] | None = None
    codes: Mapping[str, str] = field(default_factory=dict)

    @property
    def observations(self) -> pl.DataFrame:
        """All rows at once; of a complete release rather use `rows`."""
        return self.rows.collect()


# --- fetching ----------------------------------------------------------------------------------------------


def fetch_snapshot(
    source: OfficialSource,
    root: Path,
    *,
    series: Iterable[str],
    areas: Iterable[str] | None,
    fetched: str,
    route: Route = "api",
) -> Path:
    """Fetch the current release for these series and areas (M49, None for every area) and return its folder.

    Returns the folder that is already there if it is sound and covers both. Series that the release does not
    have are noted in the manifest as `not_in_release`. Either the whole folder appears or none: raises
    OfficialSourceError where the source cannot be read whole, also when a new release comes out meanwhile. What had
    arrived by then is kept beside (`staging`), and a later fetch of the same release asks for the rest only.
    """
    wanted = set(series)
    release = source.release()
    name_of_release(release)
    present = sorted(wanted & source.series_codes())
    asked = None if areas is None else sorted({area.zfill(3) for area in areas})
    updated = source.updated()
    for folder in folders(root):
        if release_of(folder) == release and _covers(folder, present, asked, updated):
            return folder

    lists = source.lists()
    root.mkdir(parents=True, exist_ok=True)
    # A release may be revised under its name; where the source does not say when, parts of two days are not mixed.
    since = updated or fetched
    question = {"release": release, "base_url": source.base_url, "areas": asked, "unchanged_since": since}
    with Staging(root, release, question) as staging:
        staging.keep(present)
        for part in source.observations(sorted(set(present) - staging.series), asked):
            staging.add(part)
        now, changed = source.release(fresh=True), source.updated()
        if (now, changed) != (release, updated):
            staging.remove()
            what = "its figures were revised" if now == release else f"release {now} came out"
            raise OfficialSourceError(
                f"{source.base_url}: {what} while {release} was being read. Nothing was kept; run again to fetch anew."
            )
        folder = staging.assembled()
        parts = [*staging.files, *(write_list(folder, name, body) for name, body in lists.items())]
        parts.append(write_rows(staging.rows(), folder))
        rows = pl.scan_parquet(folder / OBSERVATIONS)
        found = rows.select(pl.len()).collect().item()
        seen = rows.select(pl.col("area").unique()).collect()["area"]
        about = {
            "route": route,
            "base_url": source.base_url,
            "areas": asked or sorted({str(area).zfill(3) for area in seen}),
            "every_area": areas is None,
            "series": present,
            "not_in_release": sorted(wanted - set(present)),
            "stated_rows": staging.total,
            "updated": updated,
        }
        placed = finish(folder, root, release, fetched, about, found, parts)
        staging.remove()
    clear_others(root, release, source.base_url)
    return placed


def write_rows(rows: pl.LazyFrame, folder: Path) -> dict[str, Any]:
    """Write `observations.parquet` of rows in the columns of `ROWS`, some series at a time; return its part."""
    counts = rows.group_by("series").len().sort("series").collect()
    parts = (rows.filter(series_between(first, last)).collect() for first, last in series_ranges(counts))
    return {"path": OBSERVATIONS, "sha256": write_stream(parts, ROWS, folder / OBSERVATIONS)}


# --- filling a folder --------------------------------------------------------------------------------------


@contextlib.contextmanager
def new_folder(root: Path, release: str) -> Iterator[Path]:
    """A folder to be filled, beside those of the releases; what is not finished (`finish`) in it is removed."""
    name_of_release(release)
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{release}.", suffix=".part", dir=root))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def name_of_release(release: str) -> None:
    """Raise OfficialSourceError where a name cannot be that of a release, and so of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", release):
        raise OfficialSourceError(f"{release!r} cannot be the name of a release")


def finish(
    staging: Path,
    root: Path,
    release: str,
    fetched: str,
    about: Mapping[str, Any],
    rows: int,
    parts: Iterable[Mapping[str, Any]],
) -> Path:
    """Write the manifest and move a filled folder into its place, which is returned."""
    manifest = {"release": release, "fetched": fetched, **about, "rows": rows}
    manifest["parts"] = sorted(parts, key=lambda part: str(part["path"]))
    write_bytes(staging / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    staging.chmod(0o755)
    return _move_into_place(staging, root, release)


def write_list(folder: Path, name: str, body: bytes) -> dict[str, Any]:
    """Keep a list of the framework, named after the path of the API (`Series-List.json`); return its part."""
    packed = gzip.compress(body, mtime=0)  # without the time, so that the same answer gives the same file
    path = f"lists/{name}.gz"
    return {"path": path, "sha256": write_bytes(folder / path, packed)}


def _move_into_place(staging: Path, root: Path, release: str) -> Path:
    """Rename to the first free edition. Renaming onto a filled folder fails, so none is ever replaced."""
    for edition in range(1, 1000):
        target = root / (release if edition == 1 else f"{release}+{edition}")
        if target.exists():
            continue
        try:
            staging.rename(target)
        except OSError:
            if not target.exists():
                raise
            continue
        return target
    raise SnapshotError(f"{root}: a thousand editions of release {release}; remove the damaged ones")


# --- reading -----------------------------------------------------------------------------------------------


def read_snapshot(folder: Path, *, route: Route | None = None, reason: str = "") -> Snapshot:
    """Read a snapshot folder, each part checked against the manifest. Raises SnapshotError if one differs.

    `route` is the way in which the figures come to be used now; that of the manifest unless given.
    """
    manifest, digest = read_manifest(folder)
    lists = {part["path"]: _unpacked(folder, part) for part in manifest["parts"] if part["path"].startswith("lists/")}
    check_parts(folder, manifest)
    rows = pl.scan_parquet(folder / OBSERVATIONS)
    found = rows.select(pl.len()).collect().item()
    if found != manifest["rows"]:
        raise SnapshotError(f"{folder}: {found} rows, but its manifest says {manifest['rows']}")
    return Snapshot(
        info=SnapshotInfo(
            release=manifest["release"],
            date=manifest["fetched"],
            route=route or manifest["route"],
            reason=reason,
            source=manifest["base_url"],
            sha256=digest,
            series=len(manifest["series"]),
            rows=manifest["rows"],
        ),
        links=_links(lists, manifest["release"]),
        rows=rows,
        loaded=frozenset(manifest["series"]),
        areas=None if manifest.get("every_area") else frozenset(manifest["areas"]),
    )


def bundled_snapshot(folder: Path, *, reason: str = "") -> Snapshot:
    """The figures that come with the project (`data/official/`), read through the same interface.

    Raises SnapshotError if a file differs from `SHA256SUMS`.
    """
    sums = _bundled_sums(folder)
    figures = pl.read_csv(folder / "observations.csv", infer_schema=False)
    series = expected_series(folder)
    releases = set(figures["release"]) | set(series["release"])
    if len(releases) != 1:
        raise SnapshotError(f"{folder}: the bundled figures are of several releases: {sorted(releases)}")
    text = {"m49": "area"}
    dimensions = figures.columns[figures.columns.index("units") + 1 :]
    observations = pl.concat(
        [no_rows(), figures.drop("release").rename(text | {name: DIMENSION + name for name in dimensions})],
        how="diagonal",
    )
    loaded = frozenset(series.filter(pl.col("loaded") == "true")["series"])
    return Snapshot(
        info=SnapshotInfo(
            release=releases.pop(),
            date=str(figures["release"][0]),
            route="bundled",
            reason=reason,
            source="figures bundled with the project (United Nations Statistics Division)",
            sha256=sha256_bytes(sums),
            series=len(loaded),
            rows=figures.height,
        ),
        links=series.filter(pl.col("in_release") == "true").select(_LINK_COLUMNS),
        rows=observations.select(*TEXT_COLUMNS, *(DIMENSION + name for name in sorted(dimensions))).lazy(),
        loaded=loaded,
        areas=frozenset(str(area).strip().zfill(3) for area in observations["area"].unique()),
    )


def expected_series(bundled_folder: Path) -> pl.DataFrame:
    """The series that the project expects of its indicators, whether or not a release has them.

    All columns of `series.csv` as text. Its indicators name the parts that the database keeps as one (6.2.1a
    and 6.2.1b), and its series include some that came into being after the bundled release.
    """
    return pl.read_csv(bundled_folder / "series.csv", infer_schema=False)


def library_codes(codes: Iterable[str], expected: pl.DataFrame) -> dict[str, str]:
    """Code of a release -> code of the project, for the series that the two spell differently.

    A release may write small letters (`IT_USE_ii99`), and some series had another code when the bundled release came
    out, which then stands in their title (`... (SH_STA_STUNT in this release)`). A code that the release itself has is
    left alone.
    """
    known = set(codes)
    ours = set(expected["series"])
    then = expected.select(pl.col("title").str.extract(r" \((\w+) in this release\)$"), "series").drop_nulls()
    names = {code.casefold(): code for code in ours} | dict(then.iter_rows())
    found = {code: names.get(code) or names.get(code.casefold()) for code in known - ours}
    return {code: name for code, name in sorted(found.items()) if name and name not in known}


def in_library_codes(snapshot: Snapshot, expected: pl.DataFrame) -> Snapshot:
    """The same snapshot with the project's codes for its series; `rows` stay as they are, see `Snapshot.codes`."""
    codes = library_codes(snapshot.links["series"].drop_nulls(), expected)
    links = snapshot.links.with_columns(pl.col("series").replace(codes)).sort(_LINK_COLUMNS)
    loaded = frozenset(codes.get(code, code) for code in snapshot.loaded)
    return replace(snapshot, links=links, loaded=loaded, codes=codes)


def series_ranges(counts: pl.DataFrame, rows: int = 100_000) -> Iterator[tuple[str, str]]:
    """First and last of some series, ascending, that together have about `rows` rows (series, len)."""
    part = ((pl.col("len").cum_sum() - pl.col("len")) // rows).alias("part")
    ends = (
        counts.drop_nulls("series")
        .sort("series")
        .group_by(part, maintain_order=True)
        .agg(pl.col("series").first().alias("first"), pl.col("series").last().alias("last"))
    )
    yield from ends.select("first", "last").iter_rows()


def series_between(first: str, last: str, codes: Mapping[str, str] = MappingProxyType({})) -> pl.Expr:
    """Rows of the series from `first` to `last`, where `codes` rename some of them (code in the rows -> code meant).

    Of a sorted Parquet file the other row groups are not read.
    """
    between = pl.col("series").is_between(pl.lit(first), pl.lit(last))
    if not codes:
        return between
    meant = [code for code, name in codes.items() if first <= name <= last]
    here = between & ~pl.col("series").is_in(sorted(codes))
    return here | pl.col("series").is_in(meant) if meant else here


def _bundled_sums(folder: Path) -> bytes:
    path = folder / "SHA256SUMS"
    if not path.is_file():
        raise SnapshotError(f"{path} is missing; without it the bundled figures are not checked. Restore it.")
    lines = path.read_text("utf-8").splitlines()
    stated = {name: digest for digest, name in (line.split() for line in lines)}
    for name in BUNDLED_FILES:
        if not (folder / name).is_file():
            raise SnapshotError(f"{folder / name} is missing. Restore data/official/ from the repository.")
        found = sha256_file(folder / name)
        if found != stated.get(name):
            raise SnapshotError(
                f"{folder / name} differs from SHA256SUMS: it was edited or is damaged. "
                "Restore it; official figures are never corrected by hand."
            )
    return path.read_bytes()


def folders(root: Path) -> list[Path]:
    """Complete snapshot folders, the newest release and edition first. Staging folders begin with a dot."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (_order(release_of(path)), edition_of(path)), reverse=True)


def _order(release: str) -> list[tuple[str, int]]:
    """Names of releases in order: numbers in them by size (SDMX-1.9 before SDMX-1.26), the rest as text."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", release)]


def release_of(folder: Path) -> str:
    """The release that a folder is named after."""
    return folder.name.partition("+")[0]


def edition_of(folder: Path) -> int:
    """Which edition of its release a folder holds, from 1."""
    edition = folder.name.partition("+")[2]
    return int(edition) if edition.isdigit() else 1


def _covers(folder: Path, series: list[str], areas: list[str] | None, updated: str) -> bool:
    """Whether a folder is sound, holds all these series and areas, and was not revised since (`updated`, if known)."""
    try:
        manifest, _ = read_manifest(folder)
        check_parts(folder, manifest)
    except SnapshotError as error:
        log.warning("official figures: %s", error)
        return False
    if updated and manifest.get("updated", updated) != updated:
        return False
    every_area = manifest.get("every_area", False)
    return set(series) <= set(manifest["series"]) and (every_area or set(areas or ["all"]) <= set(manifest["areas"]))


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """The manifest of a snapshot folder and its sha256; nothing else of the folder is looked at."""
    path = folder / "manifest.json"
    try:
        body = path.read_bytes()
        manifest: dict[str, Any] = json.loads(body)
        missing = {"release", "route", "fetched", "base_url", "areas", "series", "rows", "parts"} - manifest.keys()
        missing |= {OBSERVATIONS} - {part["path"] for part in manifest.get("parts", [])}
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise SnapshotError(f"{path} cannot be read ({type(error).__name__}): not a complete snapshot") from None
    if missing:
        raise SnapshotError(f"{path} lacks {', '.join(sorted(missing))}: not a complete snapshot")
    return manifest, sha256_bytes(body)


def check_parts(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise SnapshotError where a part is missing or differs from its checksum."""
    for part in manifest["parts"]:
        path = folder / part["path"]
        if not path.is_file():
            raise SnapshotError(f"{path} is missing, though the manifest names it. Fetch the release again.")
        if sha256_file(path) != part["sha256"]:
            raise SnapshotError(f"{path} differs from its checksum in the manifest. Fetch the release again.")


def _unpacked(folder: Path, part: Mapping[str, Any]) -> bytes:
    check_parts(folder, {"parts": [part]})
    return gzip.decompress((folder / part["path"]).read_bytes())


# --- the links of a release ---------------------------------------------------------------------------------


def _links(lists: Mapping[str, bytes], release: str) -> pl.DataFrame:
    """Indicator x series of a release, from the lists as received, without archived releases of a series."""
    series = pl.read_json(lists["lists/Series-List.json.gz"], infer_schema_length=None)
    linked = (
        series.filter((pl.col("release") == release) & (pl.col("indicator").list.len() > 0))
        .explode("goal", "target", "indicator")
        .rename({"code": "series", "description": "title"})
        .select(_LINK_COLUMNS)
    )
    indicators = pl.read_json(lists["lists/Indicator-List.json.gz"], infer_schema_length=None).select(
        pl.col("code").alias("indicator"),
        "goal",
        "target",
        pl.lit(None, dtype=pl.String).alias("series"),
        pl.col("description").alias("title"),
    )
    return pl.concat([linked, indicators.join(linked, on="indicator", how="anti")]).unique().sort(_LINK_COLUMNS)
