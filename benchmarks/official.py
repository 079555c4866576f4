"""How long the official side takes at the size of the UN database; prints ratios measured in one run, never fails.

Each measurement is made in a process of its own, so that its peak memory is its own. Needs the complete release of
October 2020 beside the repository (../shared/data/official). Run with `python -m benchmarks.official [section ...]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

RELEASE = Path(__file__).resolve().parents[2] / "shared" / "data" / "official" / "unsd_sdg_2020-10.parquet"
PARSED_ROWS = 100_000
COUNTRIES = {"050": "BGD", "356": "IND", "404": "KEN", "454": "MWI", "524": "NPL", "566": "NGA", "704": "VNM"}


def measured(work: Callable[..., object], *arguments: Any, times: int = 3) -> tuple[float, float]:
    """Best wall seconds of some calls in a new process, and the peak memory of that process in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, peak = pool.apply(_timed, (work, arguments, times))
    return seconds, peak


def _timed(work: Callable[..., object], arguments: tuple[Any, ...], times: int) -> tuple[float, float]:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work(*arguments)
        best = min(best, time.perf_counter() - start)
    # Not ru_maxrss, which begins with that of the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return best, int(peak.split()[1]) / 1024


# --- reading pages of the API ----------------------------------------------------------------------------------


def pages_of(rows_a_page: int) -> list[bytes]:
    """Pages of the API with at least PARSED_ROWS rows together, all full, of series of every shape."""
    import polars as pl

    from lnob_pipeline_tests.official.replay_server import ReplayData, ReplayServer

    server = ReplayServer(ReplayData.from_download(RELEASE, "2020-10"))
    counts = server.data.observations["series"].cast(pl.String).value_counts(sort=True)
    found: list[bytes] = []
    for number in (1, 2, 3):  # one page of each series, then a second one
        for code, count in counts.rows():
            if len(found) * rows_a_page < PARSED_ROWS and count >= number * rows_a_page:
                query = {"page": [str(number)], "pageSize": [str(rows_a_page)]}
                found.append(server.page([code], query))
    return found


def read_rows(pages: list[bytes]) -> Any:
    """Pages to rows of text."""
    import polars as pl

    from lnob_pipeline.official.pages import page_rows

    return pl.concat([page_rows(page) for page in pages], how="diagonal")


def read_observations(pages: list[bytes]) -> None:
    """Pages to the rows of `official_observations` of all areas, sorted, with number, interval and flag."""
    from lnob_pipeline.official.catalogue import observation_parts
    from lnob_pipeline.official.snapshot import Snapshot, SnapshotInfo

    rows = read_rows(pages)
    series = frozenset(rows["series"].unique())
    info = SnapshotInfo("2020-10", "2020-10-28", "api", "", "", "", len(series), rows.height)
    links = rows.select("series").unique()
    for _ in observation_parts(Snapshot(info, links, rows.lazy(), series), COUNTRIES, every_area=True):
        pass


def decode(pages: list[bytes]) -> None:
    """Pages to dictionaries, with the fastest decoder that is here (msgspec)."""
    import msgspec

    for page in pages:
        msgspec.json.decode(page)


def parse(console: Console) -> None:
    """Pages of the API to rows of text and to observations, against decoding the same JSON."""
    for rows_a_page in (1_000, 10_000):
        pages = pages_of(rows_a_page)
        base, _ = measured(decode, pages, times=5)
        console.print(
            f"{len(pages) * rows_a_page:,} rows in pages of {rows_a_page:,} ({sum(map(len, pages)) / 1e6:.0f} MB): "
            f"JSON decoded in {base:.2f} s"
        )
        for what, work in (("to rows of text", read_rows), ("to observations", read_observations)):
            seconds, peak = measured(work, pages, times=5)
            console.print(f"{what}: {seconds:.2f} s, {seconds / base:.2f} x decoding the JSON, peak {peak:.0f} MB")


# --- loading a release ----------------------------------------------------------------------------------------


def take_release(root: Path, release: str, file: Path) -> Path:
    """The bulk download as a snapshot."""
    from lnob_pipeline.official.bulk import take

    return take(file, root, release, "2020-10-28")


def take_anew(scratch: Path) -> None:
    """The same into an empty folder each time."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        take_release(Path(folder), "2020-10", RELEASE)


def load_release(folder: Path, path: Path, every_area: bool) -> None:
    """From the snapshot folder (checksums included) to `official_observations` on disk."""
    from lnob_pipeline import storage, tables
    from lnob_pipeline.official.catalogue import observation_parts
    from lnob_pipeline.official.snapshot import read_snapshot

    parts = observation_parts(read_snapshot(folder), COUNTRIES, every_area=every_area)
    storage.write_stream(parts, tables.OFFICIAL_OBSERVATIONS, path)


def copy_bare(source: Path, path: Path) -> None:
    """DuckDB alone: every column of a Parquet file to a new one."""
    from lnob_pipeline.warehouse import connect

    with connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        query = f"COPY (SELECT * FROM read_parquet('{source}')) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
        connection.execute(query)


def compare_releases(folders: list[Path], scratch: Path) -> None:
    """From two snapshot folders to `official_revisions` on disk, all areas."""
    import polars as pl

    from lnob_pipeline import storage, tables
    from lnob_pipeline.official.catalogue import build_catalogue
    from lnob_pipeline.official.revisions import Side, revision_parts
    from lnob_pipeline.official.snapshot import expected_series, read_snapshot
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    sides = []
    for folder in folders:
        path = scratch / f"{folder.name}.observations.parquet"
        load_release(folder, path, every_area=True)
        snapshot = read_snapshot(folder)
        catalogue = build_catalogue(snapshot, expected_series(settings.official))
        sides.append(Side(snapshot.info.release, pl.scan_parquet(path), catalogue))
    storage.write_stream(
        revision_parts(sides[0], sides[1], settings), tables.OFFICIAL_REVISIONS, scratch / "revisions.parquet"
    )


def mutated(path: Path) -> None:
    """The release with one value in a hundred changed by 3 % and one row in a hundred left out."""
    import polars as pl

    number = pl.col("value").cast(pl.Float64, strict=False)
    changed = (pl.col("row") % 100 == 0) & number.is_not_null()
    value = pl.when(changed).then((number * 1.03).cast(pl.String)).otherwise("value")
    rows = pl.scan_parquet(RELEASE).with_row_index("row").filter(pl.col("row") % 100 != 50)
    rows.with_columns(value.alias("value")).drop("row").sink_parquet(path)


def load(console: Console) -> None:
    """Loading the complete release against a bare DuckDB copy of the same file, and what it changed."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        folder = take_release(scratch, "2020-10", RELEASE)
        mutated(scratch / "mutated.parquet")
        later = take_release(scratch, "2020-12", scratch / "mutated.parquet")
        bare, bare_peak = measured(copy_bare, RELEASE, scratch / "bare.parquet")
        full, full_peak = measured(load_release, folder, scratch / "all.parquet", True)
        seven, seven_peak = measured(load_release, folder, scratch / "seven.parquet", False)
        taken, taken_peak = measured(take_anew, scratch, times=1)
        revised, revised_peak = measured(compare_releases, [folder, later], scratch, times=1)
    console.print(
        f"bare copy of the release (DuckDB, COPY (SELECT * FROM read_parquet) TO, zstd, 39 columns): "
        f"{bare:.2f} s, peak {bare_peak:.0f} MB"
    )
    for what, seconds, peak in (
        ("snapshot to official_observations, all areas (checksums, parsing, sorting, writing)", full, full_peak),
        ("the same, seven countries", seven, seven_peak),
        ("bulk download to snapshot", taken, taken_peak),
        ("two snapshots to official_revisions, all areas (loading both included)", revised, revised_peak),
    ):
        console.print(f"{what}: {seconds:.2f} s, {seconds / bare:.1f} x the bare copy, peak {peak:.0f} MB")


# --- the gap table ------------------------------------------------------------------------------------------------


def gaps(console: Console) -> None:
    """The complete gap table of all indicators against one bare group-by of DuckDB, by the number of areas.

    The group-by: over the same rows of official_observations as Parquet, by series, area and dimension_key, the number
    of distinct years and the last year. The table: every part of `gap_parts`, from the same Parquet, catalogue and
    observations read included.
    """
    import polars as pl

    from lnob_pipeline.gaps.typology import partnership
    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.official.catalogue import build_catalogue, build_observations
    from lnob_pipeline.official.snapshot import expected_series, read_snapshot
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    mappings = load_mappings(settings.mappings)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        snapshot = read_snapshot(take_release(scratch, "2020-10", RELEASE))
        build_catalogue(snapshot, expected_series(settings.official)).write_parquet(scratch / "catalogue.parquet")
        every = build_observations(snapshot, COUNTRIES, every_area=True)
        ours = partnership(mappings)
        names = {m49: iso3 for iso3, m49 in ours.items()}
        others = [m49 for m49 in every["m49"].unique().sort() if m49 not in names]
        for number in (7, 50, 150, len(others) + len(ours)):
            areas = ours | {m49: m49 for m49 in others[: number - len(ours)]}
            path = scratch / f"observations-{number}.parquet"
            every.filter(pl.col("m49").is_in(list(areas.values()))).write_parquet(path)
            bare, _ = measured(group_bare, path)
            seconds, peak = measured(all_gaps, path, scratch / "catalogue.parquet", areas)
            console.print(
                f"gaps: {number:3} areas, group-by {bare:.2f} s, gap table {seconds:.2f} s ({seconds / bare:.1f} x), "
                f"peak {peak:.0f} MB"
            )


def group_bare(path: Path) -> None:
    """One group-by of DuckDB over a Parquet file."""
    from lnob_pipeline.warehouse import connect

    with connect() as connection:
        connection.execute(
            "CREATE TABLE found AS "
            "SELECT series, m49, dimension_key, count(DISTINCT year) AS years, max(year) AS latest "
            f"FROM read_parquet('{path}') GROUP BY ALL"
        )


def all_gaps(path: Path, catalogue: Path, areas: dict[str, str]) -> None:
    """Every part of the gap table, from the files."""
    import polars as pl

    from lnob_pipeline import tables
    from lnob_pipeline.gaps.typology import gap_parts
    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.settings import Settings

    settings = Settings.load()
    nothing = (tables.CITIZEN_ESTIMATES.empty(), tables.CITIZEN_EVIDENCE.empty(), tables.DECISIONS.empty())
    rows = sum(
        part.height
        for part in gap_parts(
            pl.read_parquet(path),
            pl.read_parquet(catalogue),
            *nothing,
            load_mappings(settings.mappings),
            settings,
            areas=areas,
        )
    )
    assert rows > 9_000 * len(areas)


SECTIONS: dict[str, Callable[[Console], None]] = {"parse": parse, "load": load, "gaps": gaps}


def main() -> None:
    """Run the sections that are named, all of them if none is."""
    console = Console(width=120)
    if not RELEASE.exists():
        console.print(f"{RELEASE} is not there: the complete release is kept beside the repository. Nothing measured.")
        return
    for name in sys.argv[1:] or list(SECTIONS):
        console.rule(name)
        SECTIONS[name](console)


if __name__ == "__main__":
    main()
