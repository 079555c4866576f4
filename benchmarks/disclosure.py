"""How long disclosure control and its audit take against the number of cells; prints seconds, never fails.

Cells are counted from made-up people (the surveys of the tests), and as the bundled hand-ins give them where a lake is
named. Run with `python -m benchmarks.disclosure [lake]`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.publication.disclosure import disclose
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_ESTIMATES, CITIZEN_EVIDENCE, COMPARISON
from lnob_pipeline_tests.publication.release_factory import HOME, citizen_estimates

SIZES = (100, 1_000, 3_000, 7_000)


def made_up(size: int, mappings: Mappings) -> pl.DataFrame:
    """About `size` cells: whole series of whole hand-ins, as many as are needed."""
    key = ["submission_id", "series"]
    frames = [
        citizen_estimates(mappings, seed).with_columns(pl.format("{}-{}", "submission_id", pl.lit(seed)))
        for seed in range(1 + size // 2_500)
    ]
    frame = pl.concat(frames)
    counted = frame.group_by(key, maintain_order=True).len().with_columns(upto=pl.col("len").cum_sum())
    return frame.join(counted.filter(pl.col("upto") - pl.col("len") < size).select(key), on=key, how="semi")


def main() -> None:
    """Print one line a size."""
    settings = Settings.load(home=HOME)
    mappings = load_mappings(settings.mappings)
    frames = {f"made up, {size:,}": made_up(size, mappings) for size in SIZES}
    for lake in sys.argv[1:]:
        frames["of the lake"] = pl.read_parquet(Path(lake) / "citizen_estimates" / "*.parquet")
    table = Table("cells", "number", "hidden", "seconds", "of CPU", "ms of CPU a cell")
    for name, frame in frames.items():
        start, worked = time.perf_counter(), time.process_time()
        found = disclose(
            frame.select(list(CITIZEN_ESTIMATES.schema)),
            COMPARISON.empty(),
            CITIZEN_EVIDENCE.empty(),
            mappings,
            settings,
        )
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
        hidden = int(found.disclosure_audit["n_hidden"].sum())
        figures = f"{frame.height:,}", f"{hidden:,}", f"{seconds:.2f}", f"{worked:.2f}"
        table.add_row(name, *figures, f"{1000 * worked / frame.height:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
