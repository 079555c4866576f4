"""The rows of a sample, checked, with its design and its breakdowns as small tables of codes.

Here: opening a source in DuckDB, refusing bad input, the codes of clusters, design strata and breakdown levels. Not
here: sums (`cells`) and variances (`variance`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
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

ROWS_NAMED = 5
"""An error names this many rows, and counts the others."""
_FLOATS = ("FLOAT", "DOUBLE")
_ALWAYS_NULL = '"NULL"'
_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("DECIMAL", *_FLOATS, _ALWAYS_NULL),
)


@dataclass(frozen=True)
class Part:
    """One ratio Y / X, in SQL over the table of rows: y, x (None where it is 1), and which rows count."""

    y: str
    x: str | None
    valid: str
    is_share: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage of the design: arrays over its groups (design strata; at stage 2, strata within a cluster).

    `size`: units sampled, n_h; `sampled`: the share of the population they are, f_h; `parent`: the cluster in which
    the group lies (0 at stage 1); `parent_factor`: n_h / N_h of the stratum of that cluster (1 at stage 1).
    """

    number: int
    size: NDArray[np.float64]
    sampled: NDArray[np.float64]
    parent: NDArray[np.int64]
    parent_factor: NDArray[np.float64]


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

    It makes in `session` the view `source` and the tables `units` (one row a final cluster: its keys, codes u1, u2 of
    the units and g1, g2 of the groups they were drawn from) and `level_<i>` (value, code) for each breakdown column.
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
        faults = self._design_faults()
        self.parts = {single: self._part(single, faults) for single in singles}
        self.exponent: dict[str, int] = {}
        self._scan(faults)
        self.levels = [self._level_table(index) for index in range(len(self.by_columns))]
        self.stages: list[Stage] = []
        if design is not None:
            self._check_strata(design)
            self.stages = self._unit_table(design)

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
            return self._share(single, faults)
        columns = (single.y, single.x) if isinstance(single, Ratio) else (single.y,)
        numbers = [self._number(column, "y or x") for column in columns]
        for column, number in zip(columns, numbers, strict=True):
            faults.append(Fault(column, f"isinf({number})", "has infinite values"))
        valid = " AND ".join(f"({number}) IS NOT NULL" for number in numbers)
        return Part(numbers[0], numbers[1] if len(numbers) > 1 else None, valid)

    def _share(self, single: Proportion, faults: list[Fault]) -> Part:
        value, base, level = self.value(single.y), self._base_type(single.y), single.level
        if level is None:
            y = self._number(single.y, "y of a Proportion without level")
            faults.append(Fault(single.y, f"{y} NOT IN (0, 1)", "has values other than 0 and 1 (or name a level)"))
        elif base == "BOOLEAN":
            if str(level).lower() not in ("true", "false", "1", "0"):
                raise EstimationInputError(
                    f"Column {single.y!r} is true/false, so it never has the level {level!r}. If it was read from a "
                    "file of Yes and No, read it as text."
                )
            y = f"CAST({value} = {str(level).lower() in ('true', '1')} AS DOUBLE)"
        elif base in _NUMBERS:
            try:
                number = float(level)
            except ValueError:
                raise EstimationInputError(
                    f"Column {single.y!r} is {self.type[single.y]}, so it never has the level {level!r}."
                ) from None
            y = f"CAST(CAST({value} AS DOUBLE) = CAST('{number!r}' AS DOUBLE) AS DOUBLE)"
        else:
            y = f"CAST(CAST({value} AS VARCHAR) = {_literal(str(level))} AS DOUBLE)"
        return Part(y, None, f"({value}) IS NOT NULL", is_share=True)

    # Bad input

    def _design_faults(self) -> list[Fault]:
        if self.design is None:
            return []
        design, weight = self.design, self.weight
        faults = [
            Fault(design.weights, f"{weight} IS NULL", "has missing weights (0 keeps a row out of the estimates)"),
            Fault(design.weights, f"{weight} < 0", "has negative weights"),
            Fault(design.weights, f"isinf({weight})", "has infinite weights"),
        ]
        for column in (*design.clusters, *design.strata):
            faults.append(Fault(column, f"({self.value(column)}) IS NULL", "is part of the design but is empty"))
        for column in design.population_sizes:
            size = self._number(column, "a population size")
            bad = f"{size} IS NULL OR {size} <= 0 OR isinf({size})"
            faults.append(Fault(column, bad, "has population sizes that are missing, not above 0 or infinite"))
        return faults

    def _scan(self, faults: Sequence[Fault]) -> None:
        """One scan: bad rows, the largest term of every sum (for its fixed-point scale), and y without gaps."""
        terms = dict.fromkeys(term for part in self.parts.values() for term in terms_of(part).values())
        valid = dict.fromkeys(part.valid for part in self.parts.values())
        found = self.session.sql(
            "SELECT count(*) AS n, coalesce(bool_or(w = 0), false) AS zero"
            + "".join(f", count(*) FILTER (WHERE {fault.sql}) AS f{i}" for i, fault in enumerate(faults))
            + "".join(f", count(*) FILTER (WHERE {sql}) AS v{i}" for i, sql in enumerate(valid))
            + "".join(f", max(abs({term})) AS t{i}" for i, term in enumerate(terms))
            + f" FROM (SELECT *, {self.weight} AS w FROM source)"
        ).fetchall()[0]
        self.rows, self.has_zero_weights = int(found[0]), bool(found[1])
        counts = found[2:]
        bad, known, largest_terms = counts[: len(faults)], counts[len(faults) :][: len(valid)], counts[-len(terms) :]
        for fault, count in zip(faults, bad, strict=True):
            if count:
                raise self._error(fault)
        for term, largest in zip(terms, largest_terms, strict=True):
            bound = self.rows * (largest or 0.0)
            if not math.isfinite(bound):
                raise EstimationInputError("Values times weights are too large to be added. Use larger units.")
            self.exponent[term] = math.frexp(bound)[1]
        complete = {sql for sql, count in zip(valid, known, strict=True) if count == self.rows}
        for single, part in self.parts.items():
            if part.valid in complete:
                self.parts[single] = Part(part.y, part.x, "TRUE", part.is_share)

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

    def _check_strata(self, design: Design) -> None:
        for column in design.strata:
            if self._count(f"SELECT DISTINCT {self.alias[column]} FROM source") == 1:
                raise EstimationInputError(
                    f"Column {column!r} has the same value in all rows (1 to {self.rows}), so it does not stratify. "
                    "Leave it out of Design.strata."
                )
        s1, c1, s2, c2 = self._keys(design)
        if not design.nested and s1 and c1:
            shared = f"SELECT {c1[0]} FROM source GROUP BY {c1[0]} HAVING count(DISTINCT {s1[0]}) > 1"
            if self._count(shared):
                wrong = f"has clusters that lie in more than one stratum of {design.strata[0]!r} (use nested=True if "
                wrong += "cluster identifiers start again in each stratum)"
                raise self._error(Fault(design.clusters[0], f"{c1[0]} IN ({shared})", wrong))
        for column, within, unit in zip(design.population_sizes, ((*s1,), (*s1, *c1, *s2)), (c1, c2), strict=False):
            size, sampled = self.alias[column], f"count(DISTINCT {unit[0]})" if unit else "count(*)"
            key = f"({', '.join(within)})" if len(within) > 1 else (within[0] if within else "1")
            grouped = f"SELECT {key} FROM source" + (f" GROUP BY {', '.join(within)}" if within else "")
            for having, wrong in (
                (f"min({size}) <> max({size})", "has different population sizes within one stratum"),
                (f"max({size}) < {sampled}", "has population sizes below the number of units sampled"),
            ):
                if self._count(f"{grouped} HAVING {having}"):
                    raise self._error(Fault(column, f"{key} IN ({grouped} HAVING {having})", wrong))

    def _count(self, query: str) -> int:
        return int(self.session.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0])

    # Codes

    def _level_table(self, index: int) -> pl.Series:
        """Table `level_<index>`; returns the values in the order of their codes."""
        value = self.value(self.by_columns[index])
        self.session.execute(
            f"CREATE TEMP TABLE level_{index} AS SELECT value, row_number() OVER (ORDER BY value) - 1 AS code "
            f"FROM (SELECT DISTINCT {value} AS value FROM source) WHERE value IS NOT NULL"
        ).fetchall()
        return self.session.sql(f"SELECT value FROM level_{index} ORDER BY code").pl()["value"]

    def _keys(self, design: Design) -> tuple[list[str], list[str], list[str], list[str]]:
        """Columns of stratum 1, cluster 1, stratum 2, cluster 2; stage 2 only where it adds to the variance."""
        deep = len(design.clusters) == 2 and len(design.population_sizes) == 2
        strata, clusters = [[self.alias[c] for c in names] for names in (design.strata, design.clusters)]
        return strata[:1], clusters[:1], strata[1:] if deep else [], clusters[1:] if deep else []

    def _unit_table(self, design: Design) -> list[Stage]:
        s1, c1, s2, c2 = self._keys(design)
        keys = list(dict.fromkeys((*s1, *c1, *s2, *c2)))
        ranks = {"g1": s1, "u1": [*s1, *c1]} | ({"g2": [*s1, *c1, *s2], "u2": [*s1, *c1, *s2, *c2]} if c2 else {})
        coded = ", ".join(
            f"dense_rank() OVER (ORDER BY {', '.join(by)}) - 1 AS {name}" if by else f"0 AS {name}"
            for name, by in ranks.items()
        )
        sizes = "".join(
            f", CAST(max({self.alias[column]}) AS DOUBLE) AS size{number}"
            for number, column in enumerate(design.population_sizes, 1)
        )
        self.session.execute(
            f"CREATE TEMP TABLE units AS SELECT *, {coded} "
            f"FROM (SELECT {', '.join([*keys, 'count(*) AS n_rows'])}{sizes} FROM source"
            + (f" GROUP BY {', '.join(keys)})" if keys else ")")
        ).fetchall()
        self.unit_keys = keys
        infinite = "CAST('inf' AS DOUBLE)"
        n1 = "count(DISTINCT u1)" if c1 else "CAST(sum(n_rows) AS BIGINT)"
        first = f"SELECT g1, {n1} AS n, {'max(size1)' if sizes else infinite} AS size FROM units GROUP BY g1"
        stages = [self._stage(1, f"SELECT n, n / size AS sampled, 0 AS parent, 1 AS factor FROM ({first}) ORDER BY g1")]
        if c2:
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


def terms_of(part: Part) -> dict[str, str]:
    """The weighted terms whose sums describe a part: w, y, x and their second moments within rows."""
    terms = {"w": "w", "y": f"w * ({part.y})"}
    terms["yy"] = terms["y"] if part.is_share else f"w * ({part.y}) * ({part.y})"
    terms["x"], terms["xx"], terms["yx"] = terms["w"], terms["w"], terms["y"]
    if part.x is not None:
        terms |= {"x": f"w * ({part.x})", "xx": f"w * ({part.x}) * ({part.x})", "yx": f"w * ({part.y}) * ({part.x})"}
    return terms


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
