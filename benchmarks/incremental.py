"""What one more hand-in costs when there are a thousand already, against what it cost when there were ten.

Makes two homes with copies of one small bundled survey under other identifiers (a household survey, so that every
stage has work): one with ten hand-ins, one with a thousand. Then one more is added to each in turn and timed, a tick of
the inbox sensor and stages 1 to 4, so that whatever else the machine does burdens both alike. The thousand are received
one by one (stage 1); what stages 2 to 4 keep of them are copies of the tables of the first, under their own
identifiers, as only the number and size of what lies there matters. Prints ratios, never fails. Run with `make bench`,
or `python -m benchmarks.incremental 1000`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
from rich.console import Console
from rich.table import Table

from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.automation.sensors import inbox_sensor
from lnob_pipeline.pipeline import run_estimation, run_harmonisation, run_submissions, run_validation
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.ledger import history

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = "ind-2020-partly-bad"
ROWS = 60
NOW = "2026-01-01T00:00:00Z"
FEW, TIMED = 10, 10
"""Hand-ins in the small home, and how many are timed in each: their median counts."""
PARTS = ("sensor tick", "submissions", "validation", "harmonisation", "estimation")


def main() -> None:
    """Fill both homes, add to them in turn, print."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        inboxes = []
        for number in (FEW, many):
            instance = stack.enter_context(dg.DagsterInstance.ephemeral())
            inboxes.append(Inbox(make_home(Path(temporary) / str(number)), instance))
            start = time.perf_counter()
            inboxes[-1].fill(number)
            console.print(f"home of {number:,} hand-ins made in {time.perf_counter() - start:.0f} s")
        lines = [(inboxes[0].add(), inboxes[1].add()) for _ in range(TIMED)]
        idle = [inbox.tick() for inbox in inboxes]
    report(console, [few for few, _ in lines], [line for _, line in lines], many)
    console.print(f"tick without a change: {1000 * idle[0]:.1f} ms and {1000 * idle[1]:.1f} ms")


def make_home(folder: Path) -> Path:
    """A home with the project's mappings and an empty inbox."""
    (folder / "data" / "submissions").mkdir(parents=True)
    (folder / "indicator_mappings").symlink_to(ROOT / "indicator_mappings")
    return folder


class Inbox:
    """An inbox that grows, with its sensor."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.settings = Settings.load(home=home)
        self.cursor: str | None = None
        self.made = 0
        sample = ROOT / "data" / "submissions" / SAMPLE[:3] / SAMPLE
        self.manifest = (sample / "submission.yaml").read_text("utf-8")
        rows = list(csv.reader(io.StringIO((sample / "responses.csv").read_text("utf-8-sig"), newline="")))
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows[: ROWS + 1])
        self.answers = text.getvalue()
        self.others = [path for path in sample.iterdir() if path.name not in ("submission.yaml", "responses.csv")]

    def put(self) -> str:
        """Put one more hand-in into the inbox, as a partner does; its name."""
        self.made += 1
        number = self.made
        name = f"{SAMPLE}-{number:04d}"
        folder = self.settings.inbox / SAMPLE[:3] / name
        folder.mkdir(parents=True)
        for path in self.others:
            shutil.copy(path, folder)
        (folder / "responses.csv").write_text(self.answers, "utf-8")
        (folder / "submission.yaml").write_text(
            re.sub(rf"submission: {SAMPLE}\b", f"submission: {name}", self.manifest)
        )
        return name

    def fill(self, number: int) -> None:
        """Take in that many hand-ins; the first in full, which pays for the imports too."""
        first = self.put()
        run(self.settings, first)
        names = [self.put() for _ in range(number - 1)]
        for name in names:
            run_submissions(self.settings, name, now=NOW)
        self.copy(first, names)
        self.tick()

    def copy(self, first: str, names: list[str]) -> None:
        """Give each of the names what stages 2 to 4 made of the first."""
        lake = self.settings.lake
        versions = dict(history(self.settings).select("submission_id", "version").iter_rows())
        for path in sorted(lake.glob(f"*/{first}.*")):
            if path.parent.name in ("submissions", "sealed_files"):
                continue
            frame = pl.read_parquet(path) if path.suffix == ".parquet" else None
            for name in names:
                target = path.with_name(path.name.replace(first, name))
                if frame is None:
                    shutil.copy(path, target)
                    continue
                own = {"submission_id": name, "version": versions[name]}
                there = [pl.lit(value).alias(column) for column, value in own.items() if column in frame.columns]
                frame.with_columns(there).write_parquet(target)
        for path in sorted((lake / "stamps").glob(f"*.{first}.json")):
            for name in names:
                if path.stem.split(".")[0] != "submissions":
                    shutil.copy(path, path.with_name(path.name.replace(first, name)))

    def add(self) -> dict[str, float]:
        """Add one hand-in: seconds of the tick that finds it and of each stage."""
        name = self.put()
        tick = self.tick(name)
        return {"sensor tick": tick} | run(self.settings, name)

    def tick(self, expected: str | None = None) -> float:
        """Seconds of one tick; it asks for a run of what is expected."""
        resources = {"settings": PipelineSettings(home=str(self.home))}
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources)
        start = time.perf_counter()
        result = inbox_sensor(context)
        seconds = time.perf_counter() - start
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        asked = [request.partition_key for request in result.run_requests or []]
        assert asked == ([expected] if expected else []), asked
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions("submissions", list(request.partition_keys))
        return seconds


def run(settings: Settings, name: str) -> dict[str, float]:
    """Seconds of stages 1 to 4 for one hand-in."""

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return {
        "submissions": seconds(lambda: run_submissions(settings, name, now=NOW)),
        "validation": seconds(lambda: run_validation(settings, name)),
        "harmonisation": seconds(lambda: run_harmonisation(settings, name)),
        "estimation": seconds(lambda: run_estimation(settings, name)),
    }


def report(console: Console, few: list[dict[str, float]], many: list[dict[str, float]], whole: int) -> None:
    """Medians of both places and their ratios."""
    table = Table(title=f"One more hand-in of {ROWS} rows beside {FEW} and beside {whole:,} (medians of {TIMED})")
    for column in ("part", f"beside {FEW} (ms)", f"beside {whole:,} (ms)", "ratio"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in (*PARTS, "all"):
        pair = [
            statistics.median(sum(line.values()) if part == "all" else line[part] for line in lines)
            for lines in (few, many)
        ]
        table.add_row(part, *(f"{1000 * value:.1f}" for value in pair), f"{pair[1] / pair[0]:.2f} x")
    console.print(table)


if __name__ == "__main__":
    main()
