"""How long writing a release of a million gap rows takes, part by part; prints ratios measured in one run, never fails.

The release is made in a process of its own, so that its peak memory is its own. The gap rows are those of the release
factory of the tests, crossed by more dimensions; the other tables are small. The Parquet part is measured
against bare writes of the same rows with the same compression. Run with
`python -m benchmarks.release [rows [output ...]]`; all outputs if none is named.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROWS = 1_000_000
CROSSED = {"sex": ["_T", "F", "M"], "location": ["_T", "R", "U"], "wealth": ["_T", "Q1", "Q2", "Q3", "Q4", "Q5"]}
"""Dimensions by which the rows of the factory are crossed."""
MOST_TIMES_BARE, MOST_MEGABYTES = 3.0, 1_000.0


def peak() -> float:
    """The peak memory of this process so far, in MB; not ru_maxrss, which begins with that of its parent."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def reset_peak() -> None:
    """Let the peak begin anew with what is held now (Linux: proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def make_rows(rows: int, path: Path) -> None:
    """Write DATA_GAPS of so many rows as the lake holds it; all keys are one of a kind."""
    import polars as pl

    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.storage import write_table
    from lnob_pipeline.tables import DATA_GAPS, STRATUM_DIMENSIONS
    from lnob_pipeline_tests.publication.release_factory import HOME, data_gaps

    few = data_gaps(load_mappings(HOME / "indicator_mappings")).drop("stratum")
    for name, codes in CROSSED.items():
        few = few.drop(name).join(pl.DataFrame({name: codes}), how="cross")
    parts = [pl.when(pl.col(name) != "_T").then(pl.format(f"{name}={{}}", name)) for name in STRATUM_DIMENSIONS]
    joined = pl.concat_str(parts, separator=";", ignore_nulls=True)
    numbered = few.head(rows).with_columns(
        stratum=pl.when(joined == "").then(pl.lit("_T")).otherwise(joined),
        latest_year=(2010 + pl.int_range(pl.len()) % 12).cast(pl.Int32),
    )
    if numbered.height < rows:
        raise ValueError(f"there are {numbered.height} plausible rows, not {rows}; cross more dimensions")
    write_table(numbered, DATA_GAPS, path)


def bare(rows: Any, folder: Path) -> dict[str, float]:
    """Seconds of writing the rows, sorted already, with PyArrow and with Polars alone; best of three."""
    import pyarrow.parquet as pq

    from lnob_pipeline.storage import ROW_GROUP_SIZE, in_form
    from lnob_pipeline.tables import DATA_GAPS

    shaped = in_form(rows, DATA_GAPS)
    path = folder / "bare.parquet"
    writes: dict[str, Callable[[], object]] = {
        "PyArrow": lambda: pq.write_table(shaped.to_arrow(), path, compression="zstd", row_group_size=ROW_GROUP_SIZE),
        "Polars": lambda: shaped.write_parquet(path, compression="zstd", row_group_size=ROW_GROUP_SIZE),
    }
    found = {}
    for name, write in writes.items():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            write()
            times.append(time.perf_counter() - start)
        found[name] = min(times)
    return found


@contextmanager
def parts() -> Iterator[list[tuple[str, float, float]]]:
    """Name, seconds and peak memory of each part of the releases that are published meanwhile."""
    from lnob_pipeline import storage
    from lnob_pipeline.publication import release

    found: list[tuple[str, float, float]] = []

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            reset_peak()
            start = time.perf_counter()
            try:
                return work(*arguments, **keywords)
            finally:
                found.append((name, time.perf_counter() - start, peak()))

        return call

    before = release.OUTPUTS, storage.write_table, storage.write_lazily
    checks = release.verify, release._write_sums
    release.OUTPUTS = tuple((name, timed(name, write)) for name, write in before[0])
    storage.write_table = timed("Parquet", before[1])
    storage.write_lazily = timed("Parquet", before[2])
    release.verify = timed("verify", checks[0])
    release._write_sums = timed("sums", checks[1])
    try:
        yield found
    finally:
        release.OUTPUTS, storage.write_table, storage.write_lazily = before
        release.verify, release._write_sums = checks


def measure(rows: Path, folder: Path, outputs: list[str]) -> dict[str, Any]:
    """Publish the rows twice, the second time with other values, so that there are changes to be found."""
    import polars as pl

    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.publication import release
    from lnob_pipeline.settings import Settings
    from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed

    if outputs:
        release.OUTPUTS = tuple(output for output in release.OUTPUTS if output[0] in outputs)
    mappings = load_mappings(HOME / "indicator_mappings")
    settings = Settings.load(home=folder, mappings=HOME / "indicator_mappings")
    tables = disclosed(mappings) | {"data_gaps": pl.scan_parquet(rows)}
    reset_peak()
    held = peak()
    results: dict[str, Any] = {"held": held}
    for turn, year in (("first", 2012), ("second", 2013)):
        other = pl.when(pl.col("latest_year") == year).then(pl.lit(2022, pl.Int32)).otherwise("latest_year")
        tables["data_gaps"] = tables["data_gaps"].with_columns(latest_year=other)
        with parts() as found:
            start = time.perf_counter()
            made = release.publish(tables, settings, RELEASED_AT, PROVENANCE)
            results[turn] = {"parts": found, "seconds": time.perf_counter() - start}
    results["megabytes"] = sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file()) / 1e6
    results["bare"] = bare(pl.read_parquet(made.path / "data_gaps.parquet"), folder)
    return results


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    console = Console(width=110)
    with (
        tempfile.TemporaryDirectory(prefix="lnob-release-") as folder,
        multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool,
    ):
        path = Path(folder) / "lake" / "data_gaps.parquet"
        pool.apply(make_rows, (rows, path))
        results = pool.apply(measure, (path, Path(folder), sys.argv[2:]))
    table = Table(title=f"A release of {rows:,} gap rows: the second of two, which differ in a twelfth of them")
    for name in ("part", "seconds", "peak MB"):
        table.add_column(name, justify="left" if name == "part" else "right")
    second = results["second"]
    names = list(dict.fromkeys(name for name, _, _ in second["parts"]))
    seconds = {name: sum(took for part, took, _ in second["parts"] if part == name) for name in names}
    highest = {name: max(memory for part, _, memory in second["parts"] if part == name) for name in names}
    for name in names:
        table.add_row(name, f"{seconds[name]:.2f}", f"{highest[name]:,.0f}")
    table.add_row("all", f"{second['seconds']:.2f}", f"{max(highest.values()):,.0f}")
    console.print(table)
    console.print(
        f"held before (mappings, libraries): {results['held']:,.0f} MB; {results['megabytes']:,.0f} MB on disk"
    )
    for name, took in results["bare"].items():
        ratio = seconds["Parquet"] / took
        console.print(
            f"Parquet, read from the lake, ordered, written: {ratio:.2f} x a bare write by {name} ({took:.2f} s; "
            f"bar {MOST_TIMES_BARE:g} x)"
        )
    console.print(f"memory: {max(highest.values()):,.0f} MB (bar {MOST_MEGABYTES:,.0f} MB)")


if __name__ == "__main__":
    main()
