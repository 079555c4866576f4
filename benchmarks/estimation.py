"""How fast and how small the estimation engine is, against other ways to the same numbers; prints ratios, never fails.

A synthetic survey (500 strata, 20,000 clusters, 12 binary outcomes with missing values, 6 breakdown columns, 67 strata
of one-way breakdowns with the total) is estimated by each contestant in a process of its own, in turn. Every result is
compared with that of the engine first: a contestant with other numbers is named as wrong and gets no time. Time is
measured inside the process, after imports (also those that the engine puts off until it needs them, as `scipy.special`,
and the reading of the data for svy and R); peak memory is that of the whole process.

Here: the survey, the contestants, the table and the bars. Not here: tests. Run with `make bench`, or with
`python -m benchmarks.estimation --help`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from lnob_pipeline import warehouse
from lnob_pipeline.estimation import Design, Proportion, cube, estimate

OUTCOMES = tuple(f"y{number}" for number in range(12))
WITHIN = {"sex": 2, "age_group": 6, "education": 5}
"""Breakdown columns that vary within a cluster, with their number of levels."""
DIMENSIONS = ("region", "residence", "remoteness", *WITHIN)
BREAKDOWNS: dict[str, list[tuple[str, ...]]] = {
    "one-way": cube(DIMENSIONS, 1),
    "cube": cube(DIMENSIONS),
    "small": cube(DIMENSIONS, 2),
}
SMALL_ROWS = 400
LARGE_ROWS = 50_000_000
"""From here on only the engine and the floor run, with `LARGE_LIMIT` of memory for DuckDB."""
LARGE_LIMIT = "4GB"
CHUNK = 500_000
TOLERANCE = 1e-9
REPEATS = 30
"""The small survey is estimated this many times in one process, after one warm-up."""


# The survey


@dataclass(frozen=True)
class Shape:
    """Sizes of a survey."""

    strata: int = 500
    clusters: int = 20_000
    regions: int = 49


def make_survey(path: str, rows: int) -> None:
    """Write the survey as Parquet, chunk by chunk; the same rows for the same number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shape = Shape() if rows > SMALL_ROWS else Shape(strata=8, clusters=40, regions=8)
    random = np.random.default_rng(20_000)
    stratum_of = np.arange(shape.clusters) % shape.strata
    constant = {
        "region": (stratum_of * shape.regions // shape.strata, shape.regions),
        "residence": (random.integers(0, 2, shape.clusters), 2),
        "remoteness": ((random.random(shape.clusters) < 0.3).astype(np.int64), 2),
    }
    stratum_weight = random.lognormal(4, 0.6, shape.strata)
    effect = random.normal(0, 0.6, (len(OUTCOMES), shape.clusters)).astype(np.float32)
    cumulated = np.cumsum(random.lognormal(0, 0.4, shape.clusters))
    writer = None
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        cluster = np.searchsorted(cumulated, random.random(size) * cumulated[-1])
        if start == 0:  # no cluster is empty, and none stands together
            cluster[: shape.clusters] = np.arange(shape.clusters)
            random.shuffle(cluster)
        codes = {name: (code[cluster], levels) for name, (code, levels) in constant.items()}
        codes |= {name: (random.integers(0, levels, size), levels) for name, levels in WITHIN.items()}
        columns: dict[str, Any] = {
            "stratum": stratum_of[cluster].astype(np.int32),
            "psu": cluster.astype(np.int32),
            "weight": stratum_weight[stratum_of[cluster]] * random.lognormal(0, 0.4, size),
        }
        for name in DIMENSIONS:
            code, levels = codes[name]
            labels = [f"{name} {level:02d}" for level in range(levels)]
            columns[name] = pa.DictionaryArray.from_arrays(code.astype(np.int8), labels)
        women = codes["sex"][0] == 0
        for number, name in enumerate(OUTCOMES):
            logit = -2 + number / 3 + effect[number, cluster] + 0.2 * women
            value = random.random(size, dtype=np.float32) < 1 / (1 + np.exp(-logit))
            missing = random.random(size, dtype=np.float32) < number / 50
            columns[name] = pa.array(value.astype(np.int8), mask=missing)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=125_000)
    if writer is not None:
        writer.close()


def make_binary_columns(source: str, folder: str) -> None:
    """Write each column for R as a file of binary numbers (levels as codes), beside a file of its levels."""
    place = Path(folder)
    place.mkdir()
    frame = pl.scan_parquet(source)
    for name in frame.collect_schema().names():
        column = frame.select(name).collect()[name]
        if name in DIMENSIONS:
            levels = column.unique().cast(pl.String).sort()
            (place / f"{name}.levels").write_text("\n".join(levels) + "\n")
            column = column.cast(pl.Enum(levels)).to_physical().cast(pl.Int32) + 1
        column = column if name == "weight" else column.cast(pl.Int32).fill_null(-(2**31))  # how R stores NA
        column.to_numpy().tofile(place / f"{name}.bin")


# The contestants: each takes a connection, the Parquet file and the breakdowns, and returns what `_long` can read


def _table(source: str) -> str:
    return "read_parquet('" + source.replace("'", "''") + "')"


def run_engine(
    connection: duckdb.DuckDBPyConnection, source: str, breakdowns: Sequence[tuple[str, ...]]
) -> pl.DataFrame:
    """The engine of this package, with its default intervals (t and logit)."""
    design = Design(["psu"], ["stratum"], "weight")
    return estimate(source, design, [Proportion(y) for y in OUTCOMES], breakdowns, connection=connection)


def run_grouping_sets(
    connection: duckdb.DuckDBPyConnection, source: str, breakdowns: Sequence[tuple[str, ...]]
) -> pl.DataFrame:
    """The textbook formula in one plain SQL query: GROUPING SETS over the rows, then moments of the clusters."""
    used = [name for name in DIMENSIONS if any(name in breakdown for breakdown in breakdowns)]
    dims = ", ".join(used)
    sets = ", ".join(f"({', '.join(('stratum', 'psu', *breakdown))})" for breakdown in breakdowns)

    def each(*templates: str) -> str:
        return ", ".join(template.format(y=y) for y in OUTCOMES for template in templates)

    cells = each("sum(weight * {y}) AS {y}_y", "sum(weight) FILTER ({y} IS NOT NULL) AS {y}_x")
    moments = each(
        "sum({y}_y) AS {y}_y",
        "sum({y}_x) AS {y}_x",
        "n / (n - 1) * (sum({y}_y * {y}_y) - sum({y}_y) ** 2 / n) AS {y}_yy",
        "n / (n - 1) * (sum({y}_y * {y}_x) - sum({y}_y) * sum({y}_x) / n) AS {y}_yx",
        "n / (n - 1) * (sum({y}_x * {y}_x) - sum({y}_x) ** 2 / n) AS {y}_xx",
    )
    sums = each(*(f"sum({{y}}_{moment}) AS {{y}}_{moment}" for moment in ("y", "x", "yy", "yx", "xx")))
    estimates = each("{y}_y / {y}_x AS {y}_p")
    variance = "({y}_yy - 2 * {y}_p * {y}_yx + {y}_p ** 2 * {y}_xx)"
    terms = "({y}_yy + 2 * {y}_p * abs({y}_yx) + {y}_p ** 2 * {y}_xx)"
    # What is left of a variance of zero are the rounding errors of its terms.
    errors = each(
        "{y}_p AS {y}_est",
        f"CASE WHEN {variance} > 1e-13 * {terms} THEN sqrt({variance}) / {{y}}_x ELSE 0 END AS {{y}}_se",
    )
    return connection.sql(
        f"WITH sizes AS (SELECT stratum, count(DISTINCT psu)::DOUBLE AS n FROM {_table(source)} GROUP BY ALL), "
        f"cells AS (SELECT stratum, psu, {dims}, grouping({dims}) AS g, {cells} FROM {_table(source)} "
        f"GROUP BY GROUPING SETS ({sets})), "
        f"moments AS (SELECT {dims}, g, stratum, {moments} FROM cells JOIN sizes USING (stratum) "
        f"GROUP BY {dims}, g, stratum, n), "
        f"sums AS (SELECT {dims}, g, {sums} FROM moments GROUP BY {dims}, g), "
        f"estimates AS (SELECT *, {estimates} FROM sums) SELECT {dims}, {errors} FROM estimates"
    ).pl()


def run_bare_grouping_sets(
    connection: duckdb.DuckDBPyConnection, source: str, breakdowns: Sequence[tuple[str, ...]]
) -> None:
    """One plain GROUPING SETS query with the estimates alone, no variance."""
    sets = ", ".join(f"({', '.join(breakdown)})" for breakdown in breakdowns)
    means = ", ".join(f"sum(weight * {y}) / sum(weight) FILTER ({y} IS NOT NULL)" for y in OUTCOMES)
    connection.sql(
        f"SELECT {', '.join(DIMENSIONS)}, {means} FROM {_table(source)} GROUP BY GROUPING SETS ({sets})"
    ).pl()


def run_floor(connection: duckdb.DuckDBPyConnection, source: str, _: Sequence[tuple[str, ...]]) -> None:
    """The least that any of them has to do: one scan that adds up the outcomes of each cluster."""
    sums = ", ".join(f"sum(weight * {y})" for y in OUTCOMES)
    connection.sql(f"SELECT stratum, psu, {sums} FROM {_table(source)} GROUP BY stratum, psu").pl()


def run_polars(_: duckdb.DuckDBPyConnection, source: str, breakdowns: Sequence[tuple[str, ...]]) -> pl.DataFrame:
    """The textbook formula in Polars: one group_by over the rows for each breakdown, then scores of the clusters."""
    rows = pl.scan_parquet(source).with_columns(total=pl.lit(0))
    psus = rows.select("stratum", "psu").unique().group_by("stratum").agg(n=pl.len().cast(pl.Float64)).collect()
    every = range(len(OUTCOMES))
    weight = pl.col("weight")
    weighted = [(weight * pl.col(y)).sum().alias(f"y_{k}") for k, y in enumerate(OUTCOMES)]
    weighted += [weight.filter(pl.col(y).is_not_null()).sum().alias(f"x_{k}") for k, y in enumerate(OUTCOMES)]
    answers = []
    for breakdown in breakdowns:
        keys = ["total", *breakdown]
        cells = rows.group_by("stratum", "psu", *keys).agg(weighted).collect().lazy()
        sums = cells.group_by(keys).agg(pl.col("^[xy]_.*$").sum())
        known = sums.select(*keys, *((pl.col(f"y_{k}") / pl.col(f"x_{k}")).alias(f"est_{k}") for k in every), "^x_.*$")
        score = [
            ((pl.col(f"y_{k}") - pl.col(f"est_{k}") * pl.col(f"x_{k}")) / pl.col(f"x_{k}_right")).alias(f"z_{k}")
            for k in every
        ]
        spread = [
            (
                (pl.col(f"z_{k}").pow(2).sum() - pl.col(f"z_{k}").sum().pow(2) / pl.col("n").first())
                * (pl.col("n") / (pl.col("n") - 1)).first()
            ).alias(f"v_{k}")
            for k in every
        ]
        variances = (
            cells.join(known, on=keys)
            .join(psus.lazy(), on="stratum")
            .with_columns(score)
            .group_by(*keys, "stratum")
            .agg(spread)
            .group_by(keys)
            .agg(pl.col("^v_.*$").sum())
        )
        wide = known.join(variances, on=keys).select(
            *breakdown,
            *(pl.col(f"est_{k}").alias(f"{y}_est") for k, y in enumerate(OUTCOMES)),
            *(pl.col(f"v_{k}").clip(0).sqrt().alias(f"{y}_se") for k, y in enumerate(OUTCOMES)),
        )
        answers.append(wide.collect())
    return pl.concat(answers, how="diagonal")


def run_svy(sample: Any, breakdowns: Sequence[tuple[str, ...]]) -> pl.DataFrame:
    """The Python package svy: `mean` of all outcomes, one call a breakdown."""
    answers = []
    for breakdown in breakdowns:
        for y, answer in zip(
            OUTCOMES, sample.estimation.mean(list(OUTCOMES), by=list(breakdown) or None, drop_nulls=True), strict=True
        ):
            frame = answer.to_polars()
            answers.append(frame.select(pl.lit(y).alias("y"), *breakdown, "est", "se"))
    return pl.concat(answers, how="diagonal")


R_SCRIPT = r"""
suppressPackageStartupMessages(library(survey))
a <- commandArgs(TRUE); folder <- a[1]; out <- a[2]; rows <- as.integer(a[3])
outcomes <- strsplit(a[4], ",")[[1]]; dimensions <- strsplit(a[5], ",")[[1]]
read <- function(name, what = "integer") readBin(file.path(folder, paste0(name, ".bin")), what, rows)
level_names <- function(name) readLines(file.path(folder, paste0(name, ".levels")))
data <- data.frame(stratum = read("stratum"), psu = read("psu"), weight = read("weight", "double"))
for (name in outcomes) data[[name]] <- read(name)
for (name in dimensions) data[[name]] <- structure(read(name), levels = level_names(name), class = "factor")
found <- list()
row_of <- function(y, domain, est, se) cbind(y, domain, sprintf("%.17g", est), sprintf("%.17g", se))
if (a[6] == "r-svymean") add <- function(domain, design) for (y in outcomes) {
  m <- svymean(reformulate(y), design, na.rm = TRUE)
  found[[length(found) + 1]] <<- row_of(y, domain, coef(m), SE(m))
}
# Otherwise all outcomes of a domain in one svytotal of their scores, as fast as one svymean of outcomes without gaps.
if (a[6] == "r") add <- function(domain, design) {
  y <- as.matrix(design$variables[outcomes])
  w <- weights(design)
  known <- !is.na(y); y[!known] <- 0
  x <- colSums(w * known)
  est <- colSums(w * y) / x
  scores <- sweep(y - sweep(known, 2, est, "*"), 2, x, "/")
  se <- SE(svytotal(scores, design))
  found[[length(found) + 1]] <<- row_of(outcomes, domain, est, se)
}
clock <- proc.time()
design <- svydesign(~psu, strata = ~stratum, weights = ~weight, data = data)  # clusters have numbers of their own
add("", design)
for (name in dimensions) for (level in levels(data[[name]]))
  add(paste0(name, "=", level), design[which(data[[name]] == level), ])
spent <- proc.time() - clock
write.table(do.call(rbind, found), out, sep = "\t", row.names = FALSE, quote = FALSE,
            col.names = c("y", "domain", "est", "se"))
peak <- as.numeric(gsub("[^0-9]", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE)))
cpu <- spent[["user.self"]] + spent[["sys.self"]]
cat(sprintf('{"seconds": [%f], "cpu": [%f], "peak": %f}', spent[["elapsed"]], cpu, peak * 1024))
"""


def run_r(contestant: str, source: str, rows: int, out: str) -> dict[str, Any]:
    """The R package survey, one-way breakdowns: reading is not counted, svydesign is."""
    folder = Path(out).parent / f"columns_{rows}"
    if not folder.exists():
        call("make_binary_columns", source=source, folder=str(folder))
    script = folder / "contestant.R"
    script.write_text(R_SCRIPT)
    done = subprocess.run(
        ["Rscript", str(script), str(folder), out, str(rows), ",".join(OUTCOMES), ",".join(DIMENSIONS), contestant],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": " ".join(done.stderr.split())}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


DUCKDB_OR_POLARS: dict[str, Callable[..., pl.DataFrame | None]] = {
    "engine": run_engine,
    "floor": run_floor,
    "polars": run_polars,
    "grouping-sets": run_grouping_sets,
    "bare-sets": run_bare_grouping_sets,
}
CONTESTANTS = {
    "engine": "this engine",
    "floor": "floor: bare scan, clusters only",
    "polars": "Polars, a group_by per set",
    "grouping-sets": "DuckDB, plain GROUPING SETS",
    "bare-sets": "DuckDB, GROUPING SETS, no variance",
    "svy": "svy",
    "r": "R survey, all outcomes at once",
    "r-svymean": "R survey, a svymean per outcome",
}
ON_REQUEST = ("r-svymean",)
"""Ten times slower than `r`: takes part only when it is named."""
ONCE = ("svy", "r", "r-svymean")
TAKES_PART = {
    "one-way": ("engine", "floor", "polars", "grouping-sets", "svy", "r", "r-svymean"),
    "cube": ("engine", "floor", "grouping-sets"),
    "small": ("engine", "bare-sets", "grouping-sets"),
}


# Processes of their own


def run(contestant: str, task: str, source: str, out: str, limit: str | None = None) -> dict[str, Any]:
    """Run one contestant in this process; its numbers go to `out`, its times and peak are returned."""
    breakdowns = BREAKDOWNS[task]
    work: Callable[[], pl.DataFrame | None]
    if contestant == "svy":
        import svy

        sample = svy.Sample(pl.read_parquet(source), svy.Design(stratum="stratum", psu="psu", wgt="weight"))

        def work() -> pl.DataFrame | None:
            return run_svy(sample, breakdowns)
    else:
        if contestant == "engine":
            importlib.import_module("scipy.special")
        connection = warehouse.connect()
        connection.execute("SET temp_directory = ?", [str(Path(out).parent)])
        if limit is not None:
            connection.execute("SET memory_limit = ?", [limit])

        def work() -> pl.DataFrame | None:
            return DUCKDB_OR_POLARS[contestant](connection, source, breakdowns)

    seconds, cpu = [], []
    answer = work() if task == "small" else None
    for _ in range(REPEATS if task == "small" else 1):
        wall, processor = time.perf_counter(), time.process_time()
        answer = work()
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if answer is not None:
        _long(answer).write_parquet(out)
    return {"seconds": seconds, "cpu": cpu, "peak": peak}


def _long(answer: pl.DataFrame) -> pl.DataFrame:
    """One row an outcome and domain: y, domain (as "sex=F&region=N"), est, se."""
    dims = [name for name in DIMENSIONS if name in answer.columns]
    named = [pl.lit(f"{name}=") + pl.col(name).cast(pl.String) for name in dims]
    answer = answer.with_columns(domain=pl.concat_str(named, separator="&", ignore_nulls=True))
    if "est" in answer.columns:
        return answer.filter(pl.col("est").is_not_null()).select("y", "domain", "est", "se")
    numbers = [
        answer.select(pl.lit(y).alias("y"), "domain", pl.col(f"{y}_est").alias("est"), pl.col(f"{y}_se").alias("se"))
        for y in OUTCOMES
    ]
    return pl.concat(numbers).filter(pl.col("est").is_finite())


def disagreement(mine: str, other: str) -> tuple[float, float]:
    """The largest relative differences of est and se; infinite where a domain is missing on one side.

    A standard error below one per cent of its estimate is compared at the scale of that per cent, as the textbook
    formula cancels there; without degrees of freedom (null) it counts as zero.
    """
    first = pl.read_parquet(mine)
    second = pl.read_parquet(other) if Path(other).suffix == ".parquet" else _tsv(other)
    both = first.join(second, on=["y", "domain"], how="full", suffix="_other")
    if both["est"].null_count() or both["est_other"].null_count() or first.is_empty():
        return math.inf, math.inf
    est, se = ((pl.col(name).fill_null(0), pl.col(f"{name}_other").fill_null(0)) for name in ("est", "se"))

    def largest(pair: tuple[pl.Expr, pl.Expr], scale: pl.Expr) -> pl.Expr:
        gap = (pair[0] - pair[1]).abs()
        return pl.when(gap == 0).then(0.0).otherwise(gap / scale).max()

    scale = pl.max_horizontal(se[0].abs(), est[0].abs() / 100)
    found = both.select(largest(est, est[0].abs()).alias("est"), largest(se, scale).alias("se")).row(0)
    return float(found[0]), float(found[1])


def _tsv(path: str) -> pl.DataFrame:
    frame = pl.read_csv(path, separator="\t", infer_schema=False)
    return frame.with_columns(pl.col("domain").fill_null(""), pl.col("est", "se").cast(pl.Float64))


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (make_survey, make_binary_columns, run, disagreement)
}


def call(name: str, **arguments: Any) -> Any:
    """Call one of `CALLS` in a fresh process (this one stays small: a child inherits the peak of its parent)."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.estimation", "call", name, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


# The contest


@dataclass
class Entry:
    """What one contestant did in one contest."""

    contestant: str
    seconds: list[float]
    cpu: list[float]
    peak: float = 0.0
    remark: str = ""

    @property
    def best(self) -> float:
        """The shortest wall time, in seconds."""
        return min(self.seconds, default=math.nan)


Results = dict[tuple[str, int], dict[str, Entry]]


def _contest(
    task: str, rows: int, contestants: Sequence[str], rounds: int, surveys: Path, work: Path
) -> dict[str, Entry]:
    """Let the contestants run in turn, round after round; surveys may be those of an earlier run, results never are."""
    source = surveys / f"survey_{rows}.parquet"
    if not source.exists():
        unfinished = source.with_suffix(f".{os.getpid()}")
        made = call("make_survey", path=str(unfinished), rows=rows)
        if made is not None:
            raise RuntimeError(f"The survey could not be made: {made['error']}")
        unfinished.rename(source)
    entries = {name: Entry(name, [], []) for name in contestants}
    mine = work / "engine.parquet"
    mine.unlink(missing_ok=True)
    for number in range(rounds):
        for name, entry in entries.items():
            once = name in ONCE or (task == "cube" and name == "grouping-sets")
            if (number and once) or entry.remark.startswith(("wrong", "failed")):
                continue
            out = mine if name == "engine" else work / f"{name}.{'tsv' if name.startswith('r') else 'parquet'}"
            if name.startswith("r"):
                done = run_r(name, str(source), rows, str(out))
            else:
                limit = LARGE_LIMIT if rows >= LARGE_ROWS else None
                done = call("run", contestant=name, task=task, source=str(source), out=str(out), limit=limit)
            if "error" in done:
                entry.remark = f"failed: {done['error']}"
                continue
            if name not in ("engine", "floor", "bare-sets"):
                entry.remark = _compare(mine, out)
                if entry.remark.startswith("wrong"):
                    continue
            entry.seconds += done["seconds"]
            entry.cpu += done["cpu"]
            entry.peak = max(entry.peak, done["peak"])
    return entries


def _compare(mine: Path, other: Path) -> str:
    if not mine.exists():
        return "not compared: the engine did not run"
    found = call("disagreement", mine=str(mine), other=str(other))
    if isinstance(found, dict):
        return f"failed: {found['error']}"
    est, se = found
    agrees = est <= TOLERANCE and se <= TOLERANCE
    return f"{'agrees' if agrees else 'wrong'}: est {est:.0e}, se {se:.0e}"


def _show(console: Console, title: str, rows: int, entries: dict[str, Entry]) -> None:
    table = Table(title=title)
    for column in ("contestant", "best s", "median s", "CPU s", "s / M rows", "x engine", "x floor", "peak GB", ""):
        table.add_column(column, justify="left" if column in ("contestant", "") else "right")
    engine, floor = (entries[name].best if name in entries else math.nan for name in ("engine", "floor"))
    for name, entry in entries.items():
        best = entry.best
        numbers = (
            [best, statistics.median(entry.seconds), statistics.median(entry.cpu), best / rows * 1e6]
            if entry.seconds
            else [math.nan] * 4
        )
        cells = [f"{number:.3g}" for number in (*numbers, best / engine, best / floor, entry.peak / 1e9)]
        cells = ["" if cell == "nan" or not entry.seconds else cell for cell in cells]
        table.add_row(CONTESTANTS[name], *cells, entry.remark)
    console.print(table)


def _bars(results: Results) -> list[tuple[str, str, float, bool]]:
    """Each bar whose contest was held: what is measured, the bar, the number, whether it is met."""

    def seconds(task: str, rows: int, name: str) -> float:
        entry = results.get((task, rows), {}).get(name)
        return entry.best if entry else math.nan

    def peak(task: str, rows: int) -> float:
        entry = results.get((task, rows), {}).get("engine")
        return entry.peak / 1e9 if entry and entry.seconds else math.nan

    def times(task: str, rows: int, other: str) -> float:
        return seconds(task, rows, other) / seconds(task, rows, "engine")

    million = 1_000_000
    found = [
        ("1M one-way: times faster than svy", ">=", 25, times("one-way", million, "svy")),
        ("1M one-way: times faster than R", ">=", 20, times("one-way", million, "r")),
        ("1M one-way: peak GB", "<=", 0.35, peak("one-way", million)),
        ("1M one-way: times the floor", "<=", 12, 1 / times("one-way", million, "floor")),
        ("5M one-way: times faster than svy", ">=", 50, times("one-way", 5 * million, "svy")),
        ("5M one-way: times faster than R", ">=", 30, times("one-way", 5 * million, "r")),
        ("5M one-way: peak GB", "<=", 0.35, peak("one-way", 5 * million)),
        ("5M one-way: times the floor (aim: 4)", "<=", 8, 1 / times("one-way", 5 * million, "floor")),
        ("5M cube: times faster than plain GROUPING SETS", ">=", 7, times("cube", 5 * million, "grouping-sets")),
        ("5M cube: peak GB", "<=", 2, peak("cube", 5 * million)),
        (
            f"50M one-way, DuckDB within {LARGE_LIMIT}: cost of a row, over that at 5M",
            "<=",
            1,
            seconds("one-way", LARGE_ROWS, "engine") / 10 / seconds("one-way", 5 * million, "engine"),
        ),
        ("400 rows: times GROUPING SETS without variances", "<=", 8, 1 / times("small", SMALL_ROWS, "bare-sets")),
    ]
    return [
        (what, f"{sign} {bar:g}", number, number <= bar if sign == "<=" else number >= bar)
        for what, sign, bar, number in found
        if not math.isnan(number)
    ]


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Rows of the survey (one-way).")] = None,
    tasks: Annotated[str, typer.Option(help="Comma-separated: one-way, cube, small.")] = "one-way,cube,small",
    contestants: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = ",".join(
        name for name in CONTESTANTS if name not in ON_REQUEST
    ),
    rounds: Annotated[int, typer.Option(help="Rounds; svy, R and the plain cube run once.")] = 3,
    folder: Annotated[Path | None, typer.Option(help="Keep the surveys here; else they are deleted.")] = None,
    cube_rows: Annotated[int, typer.Option(help="Rows of the survey (cube).")] = 5_000_000,
) -> None:
    """Time the estimation engine against other ways to the same numbers; print each bar with what was measured."""
    console = Console(width=160)
    wanted = contestants.split(",")
    if unknown := {*wanted} - {*CONTESTANTS} | {*tasks.split(",")} - {*BREAKDOWNS}:
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}")
    for package, there in (("svy", importlib.util.find_spec("svy") is not None), ("R survey", _has_r())):
        if not there:
            console.print(f"{package} is not installed here and takes no part.")
            wanted = [name for name in wanted if not CONTESTANTS[name].startswith(package)]
    contests = [
        (task, size)
        for task in tasks.split(",")
        for size in {
            "one-way": rows or [50_000, 1_000_000, 5_000_000, LARGE_ROWS],
            "cube": [cube_rows],
            "small": [SMALL_ROWS],
        }[task]
    ]
    results: Results = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder below goes, whoever ends this
    with tempfile.TemporaryDirectory(prefix="estimation-") as temporary:
        surveys = Path(temporary) if folder is None else folder.resolve()
        surveys.mkdir(parents=True, exist_ok=True)
        for task, size in contests:
            part = [name for name in TAKES_PART[task] if name in wanted]
            part = [name for name in part if size < LARGE_ROWS or name in ("engine", "floor")]
            entries = results[task, size] = _contest(task, size, part, rounds, surveys, Path(temporary))
            title = f"{task}: {size:,} rows, {len(OUTCOMES)} outcomes, {len(BREAKDOWNS[task])} sets"
            _show(console, title, size, entries)
    table = Table("what", "bar", "measured", "", title="Bars")
    for what, bar, number, met in _bars(results):
        table.add_row(what, bar, f"{number:.3g}", "pass" if met else "FAIL")
    console.print(table)


def _has_r() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(survey)"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["call"]:  # in a process of its own (`call`)
        print(json.dumps(CALLS[sys.argv[2]](**json.loads(sys.argv[3]))))
    else:
        typer.run(main)
