"""One immutable, checksummed folder for each official release, and the figures bundled with the project.

Here: fetching a whole release into a folder, checking it when it is read, and choosing which one to use. Not
here: HTTP (`client`), the meaning of values and the tables (`values`, `catalogue`).

A snapshot folder lies under `<lake>/official_snapshots/` and is named after the release:

    2022.Q2.G.02/
      manifest.json              release, day of fetching, address, areas, series, and sha256 of every part
      lists/Series-List.json.gz  the lists of the framework, as received
      observations/SG_REG_BRTH/page-0001.json.gz

It is filled beside its place and renamed into it when complete, so a folder with that name is a whole one. It
is never changed afterwards. When more series or areas are wanted of the same release, or a folder was
damaged, the release is fetched anew as a further edition (`2022.Q2.G.02+2`): rows of two moments are never
mixed.

Bodies are kept as received, so that a better reader can read an old release again.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from lnob_pipeline.official.client import HttpSettings, OfficialSourceError, SdgApiClient, current_release
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import sha256_bytes, sha256_file, write_bytes

log = logging.getLogger(__name__)

Route = Literal["api", "last_good", "bundled"]

DIMENSION: Final = "dimension."  # prefix of the dimension columns of `Snapshot.observations`
SNAPSHOTS: Final = "official_snapshots"  # folder in the lake
BUNDLED_FILES: Final = ("observations.csv", "series.csv")

# Columns of `Snapshot.observations` before the dimensions, and where a page of the API holds them.
_FIELDS: Final = {
    "series": "series",
    "area": "geoAreaCode",
    "year": "timePeriodStart",
    "value_text": "value",
    "lower_bound": "lowerBound",
    "upper_bound": "upperBound",
    "source": "source",
}
_TEXT_COLUMNS: Final = (*_FIELDS, "nature", "units", "footnotes")
_LINK_COLUMNS: Final = ("indicator", "goal", "target", "series", "title")


class SnapshotError(OfficialSourceError):
    """A snapshot that is missing, incomplete or damaged."""


@dataclass(frozen=True)
class SnapshotInfo:
    """Which official figures are in use, since when, and why these. Stands wherever the figures stand."""

    release: str
    date: str  # the day of fetching; for bundled figures the month of the release
    route: Route
    reason: str
    source: str  # the address that was asked, or the bundle
    sha256: str  # of the manifest, and through it of every part
    series: int
    rows: int

    @property
    def label(self) -> str:
        """The figures in a few words, for pages and logs."""
        how = {"api": "fetched", "last_good": "last good snapshot, fetched", "bundled": "bundled, of"}
        return f"UN Global SDG Database, release {self.release} ({how[self.route]} {self.date})"


@dataclass(frozen=True)
class Snapshot:
    """An official release as text, before any meaning is read into it.

    `links` has one row for each indicator and series of the release: indicator, goal, target, series (null
    for an indicator without one), title. `observations` has the text columns series, area (M49, padded or
    not), year, value_text, nature, units, lower_bound, upper_bound, source, footnotes, then one column
    `dimension.<name>` for each dimension that any row carries. `loaded` are the series that were asked for
    and answered in full, those without a row for our areas included.
    """

    info: SnapshotInfo
    links: pl.DataFrame
    observations: pl.DataFrame
    loaded: frozenset[str]


def choose_snapshot(
    settings: Settings,
    areas: Iterable[str],
    fetched: str,
    *,
    series: Iterable[str] = (),
    http: HttpSettings | None = None,
) -> Snapshot:
    """The official figures that `settings.official_source` asks for, as far as they can be had.

    `api`: the API if it answers completely, else the last good snapshot, else the bundled figures. `last_good`: the
    same without asking the API. `bundled`: the bundled figures, whatever lies in the lake.

    `areas` are M49 codes, `fetched` the day of the run as ISO text (never read from a clock), `series` the codes
    to fetch, those of `expected_series` when empty. A release that is there in full is not fetched again. The
    `info` of the answer says which figures they are and why. Raises SnapshotError only if even the bundled ones
    are damaged.
    """
    root = settings.lake / SNAPSHOTS
    reason = f"official_source is {settings.official_source} in the settings"
    if settings.official_source not in ("api", "last_good", "bundled"):
        raise ValueError(f"official_source is {settings.official_source!r}; it takes api, last_good or bundled")
    if settings.official_source == "api":
        try:
            with SdgApiClient(settings.official_api, http) as client:
                wanted = list(series) or expected_series(settings.official)["series"].to_list()
                folder = fetch_snapshot(client, root, series=wanted, areas=areas, fetched=fetched)
            return read_snapshot(folder, route="api", reason="the API answers and this is its current release")
        except OfficialSourceError as error:
            log.warning("official figures: %s", error)
            reason = f"the API gave no complete answer: {error}"
    for folder in _folders(root) if settings.official_source != "bundled" else []:
        try:
            return read_snapshot(folder, route="last_good", reason=reason)
        except SnapshotError as error:
            log.warning("official figures: %s", error)
            reason += f"; {error}"
    return bundled_snapshot(settings.official, reason=reason)


# --- fetching ----------------------------------------------------------------------------------------------


def fetch_snapshot(
    client: SdgApiClient, root: Path, *, series: Iterable[str], areas: Iterable[str], fetched: str
) -> Path:
    """Fetch the current release for these series and areas (M49) and return its folder.

    Returns the folder that is already there if it is sound and covers both. Series that the release does not
    have are noted in the manifest as `not_in_release`. Either the whole folder appears or none: raises
    OfficialSourceError and leaves nothing behind, also when a new release comes out while this one is read.
    """
    wanted, areas = sorted(set(series)), sorted({area.zfill(3) for area in areas})
    lists = [client.goals(), client.targets(), client.indicators(), client.series(), client.areas()]
    release = current_release(client.series())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", release):
        raise OfficialSourceError(f"{client.base_url}: {release!r} cannot be the name of a release")
    known = {item.get("code") for item in client.series().items}
    present = [code for code in wanted if code in known]
    for folder in _folders(root):
        if _release_of(folder) == release and _covers(folder, present, areas):
            return folder

    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{release}.", suffix=".part", dir=root))
    try:
        parts: list[dict[str, Any]] = []
        for answer in lists:
            parts.append(_write_part(staging, f"lists/{answer.path.replace('/', '-')}.json.gz", answer.body))
        rows = 0
        for data in client.many_series(present, areas):
            for page in data.pages:
                path = f"observations/{data.series}/page-{page.number:04}.json.gz"
                part = _write_part(staging, path, page.body)
                parts.append(part | {"series": data.series, "rows": page.rows})
            rows += data.total
        now = client.release(fresh=True)
        if now != release:
            raise OfficialSourceError(
                f"{client.base_url}: release {now} came out while {release} was being read. "
                "Nothing was kept; run again to fetch the new one."
            )
        manifest = {
            "release": release,
            "fetched": fetched,
            "base_url": client.base_url,
            "areas": areas,
            "series": present,
            "not_in_release": sorted(set(wanted) - set(present)),
            "rows": rows,
            "parts": sorted(parts, key=lambda part: str(part["path"])),
        }
        write_bytes(staging / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
        staging.chmod(0o755)
        return _move_into_place(staging, root, release)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _write_part(folder: Path, path: str, body: bytes) -> dict[str, Any]:
    packed = gzip.compress(body, mtime=0)  # without the time, so that the same answer gives the same file
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


def read_snapshot(folder: Path, *, route: Route = "last_good", reason: str = "") -> Snapshot:
    """Read a snapshot folder, each part checked against the manifest. Raises SnapshotError if one differs."""
    manifest, digest = _manifest(folder)
    lists: dict[str, bytes] = {}
    pages: list[pl.DataFrame] = []
    for part in manifest["parts"]:
        body = _checked_part(folder, part)
        try:
            if part["path"].startswith("lists/"):
                lists[part["path"]] = body
            elif part["rows"]:
                pages.append(_page_rows(body))
        except pl.exceptions.PolarsError as error:
            raise SnapshotError(f"{folder / part['path']} has a shape that is not known: {error}") from error
    observations = pl.concat([_no_rows(), *pages], how="diagonal")
    if observations.height != manifest["rows"]:
        raise SnapshotError(f"{folder}: {observations.height} rows, but its manifest says {manifest['rows']}")
    dimensions = sorted(set(observations.columns) - set(_TEXT_COLUMNS))
    return Snapshot(
        info=SnapshotInfo(
            release=manifest["release"],
            date=manifest["fetched"],
            route=route,
            reason=reason,
            source=manifest["base_url"],
            sha256=digest,
            series=len(manifest["series"]),
            rows=manifest["rows"],
        ),
        links=_links(lists, manifest["release"]),
        observations=observations.select(*_TEXT_COLUMNS, *dimensions),
        loaded=frozenset(manifest["series"]),
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
        [_no_rows(), figures.drop("release").rename(text | {name: DIMENSION + name for name in dimensions})],
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
        observations=observations.select(*_TEXT_COLUMNS, *(DIMENSION + name for name in sorted(dimensions))),
        loaded=loaded,
    )


def expected_series(bundled_folder: Path) -> pl.DataFrame:
    """The series that the project expects of its indicators, whether or not a release has them.

    All columns of `series.csv` as text. Its indicators name the parts that the database keeps as one (6.2.1a
    and 6.2.1b), and its series include some that came into being after the bundled release.
    """
    return pl.read_csv(bundled_folder / "series.csv", infer_schema=False)


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


def _folders(root: Path) -> list[Path]:
    """Complete snapshot folders, the newest release and edition first. Staging folders begin with a dot."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (_release_of(path), _edition_of(path)), reverse=True)


def _release_of(folder: Path) -> str:
    return folder.name.partition("+")[0]


def _edition_of(folder: Path) -> int:
    edition = folder.name.partition("+")[2]
    return int(edition) if edition.isdigit() else 1


def _covers(folder: Path, series: list[str], areas: list[str]) -> bool:
    """Whether a folder is sound and holds all these series and areas."""
    try:
        manifest, _ = _manifest(folder)
        for part in manifest["parts"]:
            _checked_part(folder, part)
    except SnapshotError as error:
        log.warning("official figures: %s", error)
        return False
    return set(series) <= set(manifest["series"]) and set(areas) <= set(manifest["areas"])


def _manifest(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "manifest.json"
    try:
        body = path.read_bytes()
        manifest: dict[str, Any] = json.loads(body)
        missing = {"release", "fetched", "base_url", "areas", "series", "rows", "parts"} - manifest.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise SnapshotError(f"{path} cannot be read ({type(error).__name__}): not a complete snapshot") from None
    if missing:
        raise SnapshotError(f"{path} lacks {', '.join(sorted(missing))}: not a complete snapshot")
    return manifest, sha256_bytes(body)


def _checked_part(folder: Path, part: Mapping[str, Any]) -> bytes:
    path = folder / part["path"]
    try:
        packed = path.read_bytes()
    except OSError:
        raise SnapshotError(f"{path} is missing, though the manifest names it. Fetch the release again.") from None
    if sha256_bytes(packed) != part["sha256"]:
        raise SnapshotError(f"{path} differs from its checksum in the manifest. Fetch the release again.")
    return gzip.decompress(packed)


# --- the shapes of the API as frames -----------------------------------------------------------------------


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(_TEXT_COLUMNS, pl.String))


def dimension_name(name: str) -> str:
    """The API's name of a dimension as a column name: `Level/Status` -> `level_status`."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _page_rows(body: bytes) -> pl.DataFrame:
    """The rows of one page as text columns. Dimensions are those of the rows, not those the page declares."""
    page = pl.read_json(body, infer_schema_length=None).select(pl.col("data").explode()).unnest("data")
    columns: list[pl.Expr] = [
        (pl.col(name) if name in page.columns else pl.lit(None)).cast(pl.String).alias(column)
        for column, name in _FIELDS.items()
    ]
    attributes = _struct_fields(page, "attributes")
    for column, name in {"nature": "Nature", "units": "Units"}.items():
        columns.append(attributes.get(name, pl.lit(None)).cast(pl.String).alias(column))
    columns.append(_footnotes(page).alias("footnotes"))
    for name, expression in _struct_fields(page, "dimensions").items():
        columns.append(expression.cast(pl.String).alias(DIMENSION + dimension_name(name)))
    return page.select(columns)


def _struct_fields(frame: pl.DataFrame, column: str) -> dict[str, pl.Expr]:
    kind = frame.schema.get(column)
    if not isinstance(kind, pl.Struct):
        return {}
    return {entry.name: pl.col(column).struct.field(entry.name) for entry in kind.fields}


def _footnotes(page: pl.DataFrame) -> pl.Expr:
    """All footnotes of a row as one text, a line each; null where there are none."""
    if not isinstance(page.schema.get("footnotes"), pl.List):
        return pl.lit(None, dtype=pl.String)
    lines = (
        pl.col("footnotes")
        .cast(pl.List(pl.String))
        .list.eval(pl.element().str.strip_chars().replace("", None).drop_nulls())
    )
    return pl.when(lines.list.len() > 0).then(lines.list.join("\n"))


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
