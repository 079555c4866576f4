"""How long stage 3 takes for a large survey, against DuckDB copying the same file in the same run; prints the ratio.

The survey is synthetic: a form that asks every variable of the library, one household for four persons, every answer
drawn by a hash of row and question (all codes, don't know, refused, not asked, one unknown code). Measured: from the
Parquet file of responses to the written files of households and persons. The floor: DuckDB reads the same file and
writes it again (zstd), on as many threads. Run with `python -m benchmarks.harmonisation --rows 1000000`.
"""

import argparse
import datetime
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl

from lnob_pipeline import storage, tables
from lnob_pipeline.harmonisation.compile import Harmonised, harmonise
from lnob_pipeline.mappings.expressions import literal, quoted
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Column, Instrument, Record, Review
from lnob_pipeline.settings import Settings
from lnob_pipeline.warehouse import connect

PERSONS_A_HOUSEHOLD = 4
DONT_KNOW, REFUSED, UNKNOWN = "98", "99", "x"
NUMBER_MISSING = "-9"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds of one call, and its processor seconds over all threads, which a busy machine does not change."""
    start, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - worked


def form(mappings: Mappings) -> Instrument:
    """A form that asks everything: households and respondents in one record, persons in another."""

    def column(name: str) -> Column:
        variable = mappings.variables[name]
        if variable.type == "number":
            return Column(variable=name, missing={"dont_know": [NUMBER_MISSING]})
        if variable.type not in ("code", "codes"):
            return Column(variable=name)
        codes = list(mappings.codes(name))
        missing = {"dont_know": [DONT_KNOW], "refused": [REFUSED]}
        if variable.type == "code" and set(codes) == {"yes", "no"}:
            return Column(variable=name, positive=["1"], negative=["2"], missing=missing)
        numbered = {str(number): code for number, code in enumerate(codes, start=1)}
        several = "multiple" if variable.type == "codes" else "one"
        return Column(variable=name, codes=numbered, missing=missing, select=several)

    of_person = [name for name, variable in mappings.variables.items() if variable.unit == "person"]
    others = [name for name in mappings.variables if name not in of_person]
    records = {
        "household": Record(table="main", unit="household", columns={f"main/{n}": column(n) for n in others}),
        "person": Record(
            table="members", unit="person", parent="household", columns={f"members/{n}": column(n) for n in of_person}
        ),
    }
    return Instrument(
        instrument="benchmark",
        title="Everything",
        version="1",
        data_type="household_survey",
        languages=["en"],
        records=records,
        reviewed=Review(by="benchmark", date=datetime.date(2026, 11, 23), source="made from the question bank"),
    )


def _cell(column: Column, number: int, mappings: Mappings) -> str:
    """SQL of a synthetic answer of row i."""
    assert column.variable is not None
    variable = mappings.variables[column.variable]
    chance, other = f"(hash(i * 1000003 + {number}) % 1000)", f"hash(i * 7919 + {number})"
    if column.variable == "is_respondent":
        return f"CASE WHEN i % {PERSONS_A_HOUSEHOLD} = 0 THEN '1' ELSE '2' END"
    if variable.type == "number":
        most = int(variable.maximum or 60)
        return (
            f"CASE WHEN {chance} < 950 THEN CAST({other} % {most} AS VARCHAR) WHEN {chance} < 980 "
            f"THEN '{NUMBER_MISSING}' END"
        )
    if variable.type == "date":
        return f"CAST(DATE '2019-05-01' + CAST({other} % 60 AS INTEGER) AS VARCHAR)"
    if variable.type == "text":
        return "'place ' || CAST(i % 500 AS VARCHAR)"
    codes = [*column.codes, *column.positive, *column.negative]
    listed = ", ".join(map(literal, codes))
    one = f"list_value({listed})[CAST(1 + {other} % {len(codes)} AS BIGINT)]"
    if variable.type == "codes":
        two = f"list_value({listed})[CAST(1 + hash(i * 104729 + {number}) % {len(codes)} AS BIGINT)]"
        one = f"CASE WHEN {chance} < 600 THEN {one} ELSE {one} || ' ' || {two} END"
    return (
        f"CASE WHEN {chance} < 940 THEN {one} WHEN {chance} < 970 THEN '{DONT_KNOW}' WHEN {chance} < 975 "
        f"THEN '{REFUSED}' WHEN {chance} < 980 THEN '{UNKNOWN}' END"
    )


def write_responses(instrument: Instrument, mappings: Mappings, persons: int, path: Path) -> None:
    """Write the table RESPONSES of the synthetic survey."""
    parts = []
    records = {"household": persons // PERSONS_A_HOUSEHOLD, "person": persons}
    for name, rows in records.items():
        cells = []
        for other, record in instrument.records.items():
            for number, (source, column) in enumerate(record.columns.items()):
                cell = _cell(column, number, mappings) if other == name else "NULL::VARCHAR"
                cells.append(f"{cell} AS {quoted(source)}")
        parent = f"'household-' || (i // {PERSONS_A_HOUSEHOLD})" if name == "person" else "NULL"
        keys = (
            f"'ken-2019-benchmark' AS submission_id, '{name}' AS record, CAST(i + 2 AS INTEGER) AS row_number, "
            f"'{name}-' || i AS record_key, {parent} AS parent_key"
        )
        parts.append(f"SELECT {keys}, {', '.join(cells)} FROM range({rows}) AS rows(i)")
    with connect() as connection:
        _copy(connection, " UNION ALL ".join(parts), path)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")


def copy_bare(source: Path, target: Path, threads: int) -> None:
    """Read and write the file with DuckDB and nothing else."""
    with connect(threads=threads) as connection:
        _copy(connection, f"FROM read_parquet({literal(str(source))})", target)


def run_stage(source: Path, folder: Path, instrument: Instrument, mappings: Mappings, threads: int) -> Harmonised:
    """From the file of responses to the files of households and persons."""
    with connect(threads=threads) as connection:
        found = harmonise(connection, instrument, pl.scan_parquet(source), mappings, unmapped_share_limit=0.05)
    storage.write_table(found.households, tables.harmonised_households(mappings), folder / "households.parquet")
    storage.write_table(found.persons, tables.harmonised_persons(mappings), folder / "persons.parquet")
    return found


def main() -> None:
    """Measure; print seconds, the ratio and the peak of memory."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="persons; a quarter as many households")
    arguments.add_argument("--threads", type=int, default=1, help="threads of DuckDB")
    arguments.add_argument("--repeat", type=int, default=2, help="how often each is timed; the best counts")
    chosen = arguments.parse_args()
    mappings = load_mappings(Settings.load().mappings)
    instrument = form(mappings)
    asked = {name: len(record.columns) for name, record in instrument.records.items()}
    print(
        f"{len(mappings.indicators)} indicators, {len(mappings.variables)} variables, {len(mappings.derived)} derived;"
    )
    print(f"columns asked: {asked}; {chosen.rows:,} persons, {chosen.rows // PERSONS_A_HOUSEHOLD:,} households")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "responses.parquet"
        write_responses(instrument, mappings, chosen.rows, source)
        floors, stages = [], []
        for _ in range(chosen.repeat):
            floors.append(timed(lambda: copy_bare(source, folder / "copy.parquet", chosen.threads)))
            stages.append(timed(lambda: run_stage(source, folder, instrument, mappings, chosen.threads)))
    for name, values in (("DuckDB copies the file", floors), ("stage 3 with its files", stages)):
        print(f"{name}: {', '.join(f'{wall:.1f} s ({worked:.1f} s of processors)' for wall, worked in values)}")
    wall, worked = (min(each[i] for each in stages) / min(each[i] for each in floors) for i in (0, 1))
    print(f"ratio {wall:.2f} by the clock, {worked:.2f} by processor time")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
