"""How long the stages take on the bundled inbox, against floors measured in the same run; prints ratios, never fails.

Floors: opening the same files with the bare libraries (calamine, pyreadstat, zip and CSV), and writing the same tables
with Polars alone. Run with `make bench`.
"""

import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from lnob_pipeline.pipeline import STAGES, Step, run_all
from lnob_pipeline.settings import Settings

NOW = "2026-01-01T00:00:00Z"


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read_bare(settings: Settings) -> None:
    """Open every data file of the inbox with the library that its reader uses, and nothing else."""
    import pyreadstat
    from python_calamine import CalamineWorkbook

    for path in sorted(settings.inbox.glob("*/*/*")):
        match path.suffix:
            case ".xlsx":
                book = CalamineWorkbook.from_path(str(path))
                for name in book.sheet_names:
                    book.get_sheet_by_name(name).to_python()
            case ".sav":
                pyreadstat.read_sav(str(path), output_format="dict")
            case ".dta":
                pyreadstat.read_dta(str(path), output_format="dict")
            case ".csv":
                path.read_bytes().decode("utf-8-sig").splitlines()


def write_bare(settings: Settings, folder: Path) -> None:
    """Write the published tables again with Polars alone."""
    for path in sorted((settings.published / "latest").glob("*.parquet")):
        pl.read_parquet(path).write_parquet(folder / path.name, compression="zstd")


def main() -> None:
    """Run the pipeline three times from nothing and once unchanged; print seconds and ratios."""
    console = Console(width=100)
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(3):
            base = Path(temporary) / str(number)
            settings = Settings.load(lake=base / "lake", sealed=base / "lake" / "sealed", published=base / "published")
            clock = time.perf_counter()
            stage: dict[str, float] = defaultdict(float)

            def note(step: Step, stage: dict[str, float] = stage) -> None:
                nonlocal clock
                now = time.perf_counter()
                stage[step.stage] += now - clock
                clock = now

            run_all(settings, NOW, done=note)
            for name in STAGES:
                seconds[name].append(stage[name])
        again = timed(lambda: run_all(settings, NOW))
        floor_read = min(timed(lambda: read_bare(settings)) for _ in range(3))
        floor_write = min(timed(lambda: write_bare(settings, base)) for _ in range(3))
    table = Table(title="Ten hand-ins, from the inbox to the release")
    for column in ("stage", "first run (s)", "later runs (s)", "ratio to its floor"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    floors = {"submissions": floor_read, "validation": floor_read, "publication": floor_write}
    for name in STAGES:
        later = min(seconds[name][1:])
        ratio = f"{later / floors[name]:.1f} x" if name in floors else ""
        table.add_row(name, f"{seconds[name][0]:.2f}", f"{later:.2f}", ratio)
    console.print(table)
    whole = sum(min(seconds[name][1:]) for name in STAGES)
    console.print(f"whole run {whole:.2f} s; unchanged run {again:.2f} s, {again / whole:.2f} of it")
    console.print(f"floors: bare reading {floor_read:.2f} s, bare writing {floor_write:.2f} s")
    console.print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    console.print("The first run pays once for importing Great Expectations.")


if __name__ == "__main__":
    main()
