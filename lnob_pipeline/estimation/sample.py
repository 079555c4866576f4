"""The rows of a sample, checked, with its design and its breakdowns as small tables of codes.

Here: opening a source in DuckDB, refusing bad input, the codes of clusters, design strata and breakdown levels, and
reading the rows with these codes. Not here: sums (`cells`) and variances (`variance`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

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
Codes = NDArray[np.int64]

ROWS_NAMED = 5
"""An error names this many rows, and counts the others."""
FIRST_ROWS = 20_000
"""The first rows show which breakdown columns vary within a cluster, and which levels are rare. If later rows are
different, time is lost, but nothing else."""
BATCH = 1 << 15
"""Rows are read so many at a time."""
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
class Stage:
    """One stage of the design: arrays over its groups (design strata; at stage 2, strata within a cluster).

    `size`: units sampled, n_h; `sampled`: the share of the population they are, f_h; `parent`: the cluster in which
    the group lies (0 at stage 1); `parent_factor`: n_h / N_h of the stratum of that cluster (1 at stage 1).
    """

    number: int
    size: NDArray[np.float64]
    sampled: NDArray[np.float64]
    parent: Codes
    parent_factor: NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """The final units of the design: arrays with one entry a unit, in the order of `block`, cluster and unit.

    `clusters` and `groups` say for each stage in which cluster a unit lies, and from which group that was drawn.
    `block` numbers the combinations of design stratum and levels of the columns in `levels`: those breakdown columns
    that are constant within a cluster (level codes; -1 is none). No unit has more rows than `most_rows`, nor a larger
    sum of weights than `most_weight`.
    """

    size: int
    clusters: list[Codes]
    groups: list[Codes]
    block: Codes
    levels: Mapping[str, Codes]
    most_rows: int
    most_weight: float


@dataclass(frozen=True)
class Fault:
    """A kind of bad row: the column, SQL that is true on it, and what to tell the reader."""

    column: str
    sql: str
    wrong: str


def parts_of(estimand: Estimand) -> tuple[Single, ...]:
    """The ratios that an estimand is made of."""
    return tuple(estimand.parts) if isinstance(estimand, Combination) else (estimand,)


class Sample:
    """A source opened and checked.

    It makes in `session` the view `source` and the tables `units` (one row a final cluster: its keys and its code
    `unit`) and `level_<i>` (value, code) for each breakdown column.
    """

    def __init__(
        self,
        session: duckdb.DuckDBPyConnection,
        source: Source,
        design: Design | None,
        estimands: Sequence[Estimand],
        by_columns: Sequence[str],
    ) -> None:
        self.session, self.design, self.by_columns = session, design, tuple(by_columns)
        singles = dict.fromkeys(single for estimand in estimands for single in parts_of(estimand))
        design_columns = (
            () if design is None else (*design.clusters, *design.strata, design.weights, *design.population_sizes)
        )
        value_columns = [c for s in singles for c in ((s.y, s.x) if isinstance(s, Ratio) else (s.y,))]
        needed = list(dict.fromkeys((*design_columns, *value_columns, *self.by_columns)))
        self.alias = {column: f"c{index}" for index, column in enumerate(needed)}
        _open(session, source, self.alias)
        described = dict(session.sql("SELECT column_name, column_type FROM (DESCRIBE source)").fetchall())
        self.type = {column: str(described[alias]) for column, alias in self.alias.items()}

        self.weight = "CAST(1 AS DOUBLE)" if design is None else self._number(design.weights, "a weight")
        faults = self._number_faults()
        self._bad_shares: dict[Part, Fault] = {}
        self.parts = {single: self._part(single, faults) for single in singles}
        self._scan(faults)
        self.mostly = self._mostly()
        self._find_units()
        tables = [self._level_table(index) for index in range(len(self.by_columns))]
        self.levels = [levels.drop_nulls() for levels in tables]
        self._radix = [len(levels) for levels in tables]
        self.units, self.stages = self._code_units()

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
            self._bad_shares[part] = Fault(single.y, f"({part.y}) = {BAD}", wrong)
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
                raise self._error(fault)
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

    def _error(self, fault: Fault) -> EstimationInputError:
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

    def _check_design(self, design: Design) -> None:
        """Refuse strata, clusters and population sizes that contradict each other; `seen` has a row a final unit."""
        keys = list(dict.fromkeys(name for names in self._keys() for name in names))
        table = {column: "seen" if self.alias[column] in keys else "source" for column in self.alias}
        for column in (*design.clusters, *design.strata):
            missing = Fault(column, f"({self.value(column)}) IS NULL", "is part of the design but is empty")
            if self._any(f"FROM {table[column]} WHERE {missing.sql}"):
                raise self._error(missing)
        for column in design.strata:
            levels = f"SELECT count(DISTINCT {self.alias[column]}) FROM {table[column]}"
            if self.session.sql(levels).fetchall() == [(1,)]:
                raise EstimationInputError(
                    f"Column {column!r} has the same value in all rows (1 to {self.rows}), so it does not stratify. "
                    "Leave it out of Design.strata."
                )
        s1, c1, s2, c2 = self._keys()
        if not design.nested and s1 and c1:
            shared = f"FROM seen GROUP BY {c1[0]} HAVING count(DISTINCT {s1[0]}) > 1"
            if self._any(shared):
                wrong = f"has clusters that lie in more than one stratum of {design.strata[0]!r} (use nested=True if "
                wrong += "cluster identifiers start again in each stratum)"
                raise self._error(Fault(design.clusters[0], f"{c1[0]} IN (SELECT {c1[0]} {shared})", wrong))
        stages = zip(design.population_sizes, ((*s1,), (*s1, *c1, *s2)), (c1, c2), strict=False)
        for number, (column, within, unit) in enumerate(stages, 1):
            sampled = f"count(DISTINCT {unit[0]})" if unit else "sum(n_rows)"
            key = f"({', '.join(within)})" if len(within) > 1 else (within[0] if within else "1")
            grouped = "FROM seen" + (f" GROUP BY {', '.join(within)}" if within else "")
            for having, wrong in (
                (f"min(low{number}) <> max(size{number})", "has different population sizes within one stratum"),
                (f"max(size{number}) < {sampled}", "has population sizes below the number of units sampled"),
            ):
                if self._any(f"{grouped} HAVING {having}"):
                    raise self._error(Fault(column, f"{key} IN (SELECT {key} {grouped} HAVING {having})", wrong))

    def _any(self, tail: str) -> bool:
        return bool(self.session.sql(f"SELECT 1 {tail} LIMIT 1").fetchall())

    # Codes

    def _keys(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Columns of stratum 1, cluster 1, stratum 2, cluster 2; stage 2 only where it adds to the variance."""
        if self.design is None:
            return [], [], [], []
        deep = len(self.design.clusters) == 2 and len(self.design.population_sizes) == 2
        strata, clusters = [[self.alias[c] for c in names] for names in (self.design.strata, self.design.clusters)]
        return strata[:1], clusters[:1], strata[1:] if deep else [], clusters[1:] if deep else []

    def _find_units(self) -> None:
        """Table `seen`: the final units, their rows, and the breakdown columns that are constant in a cluster."""
        s1, c1, s2, c2 = self._keys()
        keys = list(dict.fromkeys((*s1, *c1, *s2, *c2)))
        constant = self._constant(
            range(len(self.by_columns)), f"(SELECT {self._values(keys)} FROM source LIMIT {FIRST_ROWS})"
        )
        sizes = "".join(
            f", min({size}) AS low{number}, max({size}) AS size{number}"
            for number, column in enumerate(self.design.population_sizes if self.design else (), 1)
            for size in [f"CAST({self.alias[column]} AS DOUBLE)"]
        )
        wanted = [*keys, *(f"v{i}" for i in constant)]
        sums = ["count(*) AS n_rows", f"sum({self.weight}) AS w"]
        self.session.execute(
            f"CREATE TEMP TABLE seen AS SELECT {', '.join([*wanted, *sums])}{sizes} "
            f"FROM (SELECT *, {self._values(keys)} FROM source)" + (f" GROUP BY {', '.join(wanted)}" if wanted else "")
        ).fetchall()
        if self.design is not None:
            self._check_design(self.design)
        self.unit_keys, self._constants = keys, self._constant(constant, "seen")
        ranks = {"g1": s1, "u1": [*s1, *c1]} | ({"g2": [*s1, *c1, *s2], "u2": [*s1, *c1, *s2, *c2]} if c2 else {})
        coded = "".join(
            f", dense_rank() OVER (ORDER BY {', '.join(by)}) - 1 AS {name}" if by else f", 0 AS {name}"
            for name, by in ranks.items()
        )
        order = ", ".join([*s1, *(f"v{i}" for i in self._constants), *c1, *s2, *c2])
        one = "".join(f", any_value(v{i}) AS v{i}" for i in self._constants)
        one += "".join(f", max(size{n}) AS size{n}" for n in range(1, 1 + sizes.count(" AS size")))
        self.session.execute(
            f"CREATE TEMP TABLE units AS SELECT *, row_number() OVER ({f'ORDER BY {order}' if order else ''}) - 1 "
            f"AS unit{coded} FROM (SELECT {', '.join([*keys, 'CAST(sum(n_rows) AS BIGINT) AS n_rows', 'sum(w) AS w'])}"
            f"{one} FROM seen" + (f" GROUP BY {', '.join(keys)})" if keys else ")")
        ).fetchall()

    def _values(self, keys: Sequence[str]) -> str:
        values = [f"{self.value(column)} AS v{i}" for i, column in enumerate(self.by_columns)]
        return ", ".join([*keys, *values]) or "1 AS nothing"

    def _constant(self, indices: Sequence[int], table: str) -> list[int]:
        """Those breakdown columns that have one value, or none at all, in each first-stage cluster of `table`."""
        if not indices:
            return []
        s1, c1, _, _ = self._keys()
        kept = ", ".join(
            f"coalesce(min(v{i}) = max(v{i}) AND count(v{i}) = count(*), count(v{i}) = 0) AS k{i}" for i in indices
        )
        within = f" GROUP BY {', '.join((*s1, *c1))}" if s1 or c1 else ""
        found = self.session.sql(
            f"SELECT {', '.join(f'bool_and(k{i})' for i in indices)} FROM (SELECT {kept} FROM {table}{within})"
        ).fetchall()[0]
        return [i for i, constant in zip(indices, found, strict=True) if constant]

    @property
    def varying(self) -> tuple[str, ...]:
        """The breakdown columns that vary within a cluster."""
        return tuple(column for i, column in enumerate(self.by_columns) if i not in self._constants)

    def _level_table(self, index: int) -> pl.Series:
        """Table `level_<index>`; returns the values in the order of their codes, null (if there is one) last."""
        constant = index in self._constants
        values = f"v{index} AS value FROM units" if constant else f"{self.value(self.by_columns[index])} FROM source"
        self.session.execute(
            f"CREATE TEMP TABLE level_{index} AS "
            "SELECT value, row_number() OVER (ORDER BY value NULLS LAST) - 1 AS code "
            f"FROM (SELECT DISTINCT {values}) t(value)"
        ).fetchall()
        return self.session.sql(f"SELECT value FROM level_{index} ORDER BY code").pl()["value"]

    def radix(self, column: str) -> int:
        """The number of levels of a breakdown column, and one more if it has missing values."""
        return self._radix[self.by_columns.index(column)]

    def _code_units(self) -> tuple[Units, list[Stage]]:
        deep = bool(self._keys()[3])
        names = ["n_rows", "g1", "u1", *(["g2", "u2"] if deep else [])]
        codes = "".join(f", coalesce(l{i}.code, -1) AS b{i}" for i in self._constants)
        joins = "".join(f" LEFT JOIN level_{i} l{i} ON v{i} = l{i}.value" for i in self._constants)
        frame = self.session.sql(f"SELECT {', '.join(names)}{codes} FROM units{joins} ORDER BY unit").pl()
        column = {name: frame[name].cast(pl.Int64).to_numpy() for name in frame.columns}
        most_rows = int(column["n_rows"].max(initial=1))
        # Two bits to spare for the rounding of a sum in floating point, whatever its order.
        most_weight = 2 * float(self.session.sql("SELECT coalesce(max(w), 0) FROM units").fetchall()[0][0])
        if self.rows_are_units:
            column = {name: np.repeat(values, column["n_rows"]) for name, values in column.items()}
            column["u1"], most_rows, most_weight = np.arange(self.rows), 1, self.ranges[None, "w"].largest
        levels = {self.by_columns[i]: column[f"b{i}"] for i in self._constants}
        changes = np.zeros(column["g1"].size, dtype=bool)
        for values in (column["g1"], *levels.values()):
            changes[1:] |= values[1:] != values[:-1]
        units = Units(
            column["g1"].size,
            [column[name] for name in names if name.startswith("u")],
            [column[name] for name in names if name.startswith("g")],
            np.cumsum(changes),
            levels,
            most_rows,
            most_weight,
        )
        return units, [] if self.design is None else self._stages(self.design, deep)

    @property
    def rows_are_units(self) -> bool:
        """Whether each row is its own cluster."""
        return self.design is not None and not self.design.clusters

    def _stages(self, design: Design, deep: bool) -> list[Stage]:
        size = "max(size1)" if design.population_sizes else "CAST('inf' AS DOUBLE)"
        n = "CAST(sum(n_rows) AS BIGINT)" if self.rows_are_units else "count(DISTINCT u1)"
        first = f"SELECT g1, {n} AS n, {size} AS size FROM units GROUP BY g1"
        stages = [self._stage(1, f"SELECT n, n / size AS sampled, 0 AS parent, 1 AS factor FROM ({first}) ORDER BY g1")]
        if deep:
            second = "SELECT g2, any_value(u1) AS parent, any_value(g1) AS g1, count(*) AS n, max(size2) AS size "
            second += "FROM units GROUP BY g2"
            stages.append(
                self._stage(
                    2,
                    f"SELECT s.n, s.n / s.size AS sampled, s.parent, f.n / f.size AS factor "
                    f"FROM ({second}) s JOIN ({first}) f ON s.g1 = f.g1 ORDER BY s.g2",
                )
            )
        return stages

    def _stage(self, number: int, query: str) -> Stage:
        columns: list[Any] = [c.to_numpy() for c in self.session.sql(query).pl().get_columns()]
        size, sampled, parent, factor = columns
        return Stage(number, size.astype(float), sampled.astype(float), parent.astype(np.int64), factor.astype(float))

    # Rows

    def batches(
        self, parts: Sequence[Part], breakdowns: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[Codes], NDArray[np.float64], dict[Part, list[NDArray[Any]]]]]:
        """All rows, a batch at a time: their cells, their weights and their y (and x) of each part.

        A cell is a unit in a stratum of one of `breakdowns`, columns of `varying`: there is one number for each
        breakdown, code x units + unit, with the mixed-radix `code` of the levels, no value being the last level.
        """
        inner = [f"{self.weight} AS w", *self.unit_keys]
        inner += [f"{self.value(column)} AS v{self.by_columns.index(column)}" for column in self.varying]
        values = [f"{name}{i}" for i, part in enumerate(parts) for name in ("y", "x")[: 1 if part.x is None else 2]]
        inner += [f"{part.y} AS y{i}" for i, part in enumerate(parts)]
        inner += [f"{part.x} AS x{i}" for i, part in enumerate(parts) if part.x is not None]
        unit, joins = "0", ""
        if self.design is not None:
            on = " AND ".join(f"s.{key} = u.{key}" for key in self.unit_keys) or "TRUE"
            joins = f" JOIN (SELECT {', '.join([*self.unit_keys, 'unit'])} FROM units) u ON {on}"
            unit = "u.unit"
            if self.rows_are_units:  # in an order that does not depend on the order of the rows
                content = ", ".join(["w", *values, *(f"v{self.by_columns.index(column)}" for column in self.varying)])
                unit = f"row_number() OVER (ORDER BY u.unit, hash({content})) - 1"
        indices = [self.by_columns.index(column) for column in self.varying]
        joins += "".join(f" LEFT JOIN level_{i} l{i} ON s.v{i} = l{i}.value" for i in indices)
        codes = "".join(f", coalesce(l{i}.code, {len(self.levels[i])}) AS b{i}" for i in indices)
        cells = [
            f"{self._code(breakdown)} * {self.units.size} + unit AS k{n}" for n, breakdown in enumerate(breakdowns)
        ]
        query = (
            f"SELECT {', '.join([*cells, 'w', *values])} "
            f"FROM (SELECT {unit} AS unit, {', '.join(['w', *values])}{codes} "
            f"FROM (SELECT {', '.join(inner)} FROM source) s{joins})"
        )
        bad = None
        reader = self.session.sql(query).to_arrow_reader(BATCH)
        for batch in reader:
            # (to_numpy of the columns would load pandas.)
            arrays: Iterator[NDArray[Any]] = iter([np.from_dlpack(column) for column in batch.columns])
            numbers, w = [next(arrays) for _ in breakdowns], next(arrays)
            of_part: dict[Part, list[NDArray[Any]]] = {part: [] for part in parts}
            for name, array in zip(values, arrays, strict=True):
                of_part[parts[int(name[1:])]].append(array)
            bad = next((f for part, f in self._bad_shares.items() if _is_bad(of_part.get(part, []))), None)
            if bad is not None:
                break
            yield numbers, w, of_part
        del reader  # the connection takes no other query while rows are left
        if bad is not None:
            raise self._error(bad)

    def _code(self, breakdown: Sequence[str]) -> str:
        code = "0::BIGINT"
        for column in breakdown:
            index = self.by_columns.index(column)
            code = f"({code} * {self._radix[index]} + b{index})"
        return code


def _is_bad(arrays: Sequence[NDArray[Any]]) -> bool:
    return len(arrays) > 0 and bool(arrays[0].max(initial=0) == BAD)


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
                f"CREATE TEMP VIEW source AS SELECT {chosen} FROM read_parquet({_literal(str(path))})"
            ).fetchall()
            return
        source = pl.scan_parquet(path)
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
