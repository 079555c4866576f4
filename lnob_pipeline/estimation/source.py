"""A source of rows, opened in DuckDB and checked: its columns as SQL, and the parts of the estimands.

Here: opening a file, frame or relation, y and x of each estimand in SQL, refusing values that cannot be estimated from.
Not here: the design and the breakdowns (`sample`).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from lnob_pipeline.estimation.design import (
    Combination,
    Design,
    Estimand,
    EstimationInputError,
    Mean,
    Proportion,
    Ratio,
    Total,
)

Source = str | Path | pl.DataFrame | pl.LazyFrame | duckdb.DuckDBPyRelation
Single = Mean | Proportion | Ratio | Total

ROWS_NAMED = 5
"""An error names this many rows, and counts the others."""
FIRST_ROWS = 20_000
"""The first rows show which breakdown columns vary within a cluster, and which levels are rare. If later rows are
different, time is lost, but nothing else."""
_FLOATS = ("FLOAT", "DOUBLE")
_ALWAYS_NULL = '"NULL"'
_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("DECIMAL", *_FLOATS, _ALWAYS_NULL),
)


@dataclass(frozen=True)
class Part:
    """One ratio Y / X, in SQL over a row.

    Of a share, `y` is 1 in rows with the level, 0 in rows without it, `UNKNOWN` or `BAD`. Else `y` and `x` (None where
    it is 1) are DOUBLE, and NaN where unknown.
    """

    y: str
    x: str | None = None
    is_share: bool = False

    @property
    def terms(self) -> tuple[str, ...]:
        """The weighted terms that are summed besides w: y, x, and second moments within rows such as yy = w y y."""
        if self.is_share:
            return ("y",)
        return ("y", "yy") if self.x is None else ("y", "yy", "x", "xx", "yx")


UNKNOWN, BAD = 2, 3


@dataclass(frozen=True)
class Range:
    """The largest and, of those above zero, the smallest size of a term."""

    largest: float
    smallest: float


@dataclass(frozen=True)
class Fault:
    """A kind of bad row: the column, SQL that is true on it, and what to tell the reader."""

    column: str
    sql: str
    wrong: str


def parts_of(estimand: Estimand) -> tuple[Single, ...]:
    """The ratios that an estimand is made of."""
    return tuple(estimand.parts) if isinstance(estimand, Combination) else (estimand,)


class Rows:
    """A source opened and checked, as the view `source` in `session`, its columns renamed as `alias` says.

    `type`: the DuckDB type of each column; `weight`: that of a row, in SQL; `parts`: the ratios that estimands are made
    of; `rows`: their number; `has_zero_weights`; `ranges` of the weight (None, "w") and of the terms of parts of
    numbers; `mostly`: the shares of which most rows have the level, going by the first (no number depends on it).
    """

    def __init__(
        self,
        session: duckdb.DuckDBPyConnection,
        source: Source,
        design: Design | None,
        estimands: Sequence[Estimand],
        by_columns: Sequence[str],
    ) -> None:
        self.session, self.design = session, design
        singles = dict.fromkeys(single for estimand in estimands for single in parts_of(estimand))
        design_columns = (
            () if design is None else (*design.clusters, *design.strata, design.weights, *design.population_sizes)
        )
        value_columns = [c for s in singles for c in ((s.y, s.x) if isinstance(s, Ratio) else (s.y,))]
        needed = list(dict.fromkeys((*design_columns, *value_columns, *by_columns)))
        self.alias = {column: f"c{index}" for index, column in enumerate(needed)}
        _open(session, source, self.alias)
        described = dict(session.sql("SELECT column_name, column_type FROM (DESCRIBE source)").fetchall())
        self.type = {column: str(described[alias]) for column, alias in self.alias.items()}

        self.weight = "CAST(1 AS DOUBLE)" if design is None else self._number(design.weights, "a weight")
        faults = self._number_faults()
        self.bad_shares: dict[Part, Fault] = {}
        self.parts = {single: self._part(single, faults) for single in singles}
        self._scan(faults)
        self.mostly = self._mostly()

    # Columns as SQL

    def _base_type(self, column: str) -> str:
        return self.type[column].split("(")[0]

    def value(self, column: str) -> str:
        """The column, with NaN as null: DuckDB counts NaN as a value."""
        alias = self.alias[column]
        return f"CASE WHEN isnan({alias}) THEN NULL ELSE {alias} END" if self._base_type(column) in _FLOATS else alias

    def _number(self, column: str, purpose: str) -> str:
        if self._base_type(column) not in (*_NUMBERS, "BOOLEAN"):
            raise EstimationInputError(
                f"Column {column!r} is {self.type[column]}, but {purpose} must be a number. Cast it first."
            )
        return f"CAST({self.value(column)} AS DOUBLE)"

    def _part(self, single: Single, faults: list[Fault]) -> Part:
        if isinstance(single, Proportion):
            return self._share(single)
        columns = (single.y, single.x) if isinstance(single, Ratio) else (single.y,)
        for column in columns:
            faults.append(Fault(column, f"isinf({self._number(column, 'y or x')})", "has infinite values"))
        numbers = [f"coalesce({self._number(column, 'y or x')}, 'nan'::DOUBLE)" for column in columns]
        return Part(numbers[0], numbers[1] if isinstance(single, Ratio) else None)

    def _share(self, single: Proportion) -> Part:
        value, base, level = self.value(single.y), self._base_type(single.y), single.level
        if level is None:
            y = self._number(single.y, "y of a Proportion without level")
            part = Part(
                f"CASE WHEN {y} = 1 THEN 1::TINYINT WHEN {y} = 0 THEN 0::TINYINT "
                f"WHEN {y} IS NULL THEN {UNKNOWN}::TINYINT ELSE {BAD}::TINYINT END",
                is_share=True,
            )
            wrong = "has values other than 0 and 1 (or name a level)"
            self.bad_shares[part] = Fault(single.y, f"({part.y}) = {BAD}", wrong)
            return part
        if base == "BOOLEAN":
            if str(level).lower() not in ("true", "false", "1", "0"):
                raise EstimationInputError(
                    f"Column {single.y!r} is true/false, so it never has the level {level!r}. If it was read from a "
                    "file of Yes and No, read it as text."
                )
            has_level = f"{value} = {str(level).lower() in ('true', '1')}"
        elif base in _NUMBERS:
            try:
                number = float(level)
            except ValueError:
                raise EstimationInputError(
                    f"Column {single.y!r} is {self.type[single.y]}, so it never has the level {level!r}."
                ) from None
            has_level = f"CAST({value} AS DOUBLE) = CAST('{number!r}' AS DOUBLE)"
        else:
            has_level = f"CAST({value} AS VARCHAR) = {_literal(str(level))}"
        return Part(f"coalesce(CAST({has_level} AS TINYINT), {UNKNOWN}::TINYINT)", is_share=True)

    # Bad input

    def _number_faults(self) -> list[Fault]:
        """What weights and population sizes must not be."""
        if self.design is None:
            return []
        design, weight = self.design, self.weight
        faults = [
            Fault(design.weights, f"{weight} IS NULL", "has missing weights (0 keeps a row out of the estimates)"),
            Fault(design.weights, f"{weight} < 0", "has negative weights"),
            Fault(design.weights, f"isinf({weight})", "has infinite weights"),
        ]
        for column in design.population_sizes:
            size = self._number(column, "a population size")
            bad = f"{size} IS NULL OR {size} <= 0 OR isinf({size})"
            faults.append(Fault(column, bad, "has population sizes that are missing, not above 0 or infinite"))
        return faults

    def _scan(self, faults: Sequence[Fault]) -> None:
        """Scan weights, y and x of numbers: bad rows, and the range of every term that is summed."""
        terms = {(None, "w"): "w"} | {
            (part, term): _weighted(part, term)
            for part in self.parts.values()
            if not part.is_share
            for term in part.terms
        }
        found = self.session.sql(
            "SELECT count(*), count(*) FILTER (WHERE w = 0)"
            + "".join(f", count(*) FILTER (WHERE {fault.sql})" for fault in faults)
            + "".join(
                f", max({size}) FILTER (WHERE NOT isnan({size})), min({size}) FILTER (WHERE {size} > 0)"
                for size in (f"abs({sql})" for sql in terms.values())
            )
            + f" FROM (SELECT *, {self.weight} AS w FROM source)"
        ).fetchall()[0]
        self.rows, self.has_zero_weights = int(found[0]), found[1] > 0
        for fault, count in zip(faults, found[2:], strict=False):
            if count:
                raise self.error(fault)
        sizes = found[2 + len(faults) :]
        self.ranges: dict[tuple[Part | None, str], Range] = {}
        for term, largest, smallest in zip(terms, sizes[::2], sizes[1::2], strict=True):
            if not math.isfinite(self.rows * (largest or 0.0)):
                raise EstimationInputError("Values times weights are too large to be added. Use larger units.")
            self.ranges[term] = Range(largest or 0.0, smallest or largest or 0.0)

    def _mostly(self) -> frozenset[Part]:
        """The shares that most rows have the level of, going by the first rows; no number depends on this."""
        shares = [part for part in self.parts.values() if part.is_share]
        if not shares:
            return frozenset()
        first = f"(SELECT * FROM source LIMIT {FIRST_ROWS})"
        counts = ", ".join(
            f"count(*) FILTER (WHERE y{i} = 1) > count(*) FILTER (WHERE y{i} = 0)" for i in range(len(shares))
        )
        values = ", ".join(f"{part.y} AS y{i}" for i, part in enumerate(shares))
        found = self.session.sql(f"SELECT {counts} FROM (SELECT {values} FROM {first})").fetchall()[0]
        return frozenset(part for part, mostly in zip(shares, found, strict=True) if mostly)

    def error(self, fault: Fault) -> EstimationInputError:
        """What to raise for a fault that was found: names its rows."""
        numbered = "SELECT *, row_number() OVER () AS row_number FROM source"
        rows = [
            row
            for (row,) in self.session.sql(
                f"SELECT row_number FROM ({numbered}) WHERE {fault.sql} ORDER BY row_number"
            ).fetchall()
        ]
        named = ", ".join(map(str, rows[:ROWS_NAMED]))
        others = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
        return EstimationInputError(
            f"Column {fault.column!r} {fault.wrong}: row{'s' if len(rows) > 1 else ''} {named}{others} (first row = 1)."
        )


def _weighted(part: Part, term: str) -> str:
    """A term of a part of numbers in SQL: weight times y, x, or their product."""
    factors = {"y": part.y, "x": part.x}
    return " * ".join(["w", *(f"({factors[letter]})" for letter in term)])


def _open(session: duckdb.DuckDBPyConnection, source: Source, alias: dict[str, str]) -> None:
    """Make the view `source` of the needed columns, renamed c0, c1, ... so that no two names can collide.

    (DuckDB does not tell `nh` from `Nh`, and a column of the caller may be called like one of ours.)
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.suffix.lower() != ".parquet":
            raise EstimationInputError(
                f"{path.name} is not a Parquet file. Read other files as text, give each column its type and pass the "
                "Polars frame: a reader that guesses types turns Yes and No into true and false."
            )
        present = list(pl.read_parquet_schema(path))
        _check_names(alias, present)
        if len({name.lower() for name in present}) == len(present):
            chosen = ", ".join(f"{_identifier(name)} AS {short}" for name, short in alias.items())
            session.execute(
                f"CREATE TEMP VIEW source AS SELECT {chosen} FROM read_parquet({_literal(_as_written(path))})"
            ).fetchall()
            return
        source = pl.scan_parquet(path, glob=False)
    frame = source if isinstance(source, pl.DataFrame | pl.LazyFrame) else source.pl()
    _check_names(alias, frame.lazy().collect_schema().names())
    columns = frame.lazy().select(pl.col(name).alias(short) for name, short in alias.items())
    session.register("source", columns.collect().to_arrow())


def _check_names(needed: dict[str, str], present: Sequence[str]) -> None:
    for name in needed:
        if name not in present:
            near = difflib.get_close_matches(name, present, n=3)
            hint = f" Is it {' or '.join(map(repr, near))}?" if near else ""
            raise EstimationInputError(f"The data have no column {name!r}.{hint}")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _as_written(path: Path) -> str:
    """The path for DuckDB, which would take `sur[1].parquet` for a pattern and read `sur1.parquet`."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))
