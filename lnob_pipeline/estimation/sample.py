"""A sample: rows with their design and their breakdowns as small tables of codes.

Here: the codes of clusters, design strata and breakdown levels, refusing a design that contradicts itself, and reading
the rows with these codes. Not here: columns and values (`source`), sums (`cells`) and variances (`variance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lnob_pipeline.estimation.design import Design, Estimand, EstimationInputError
from lnob_pipeline.estimation.source import BAD, FIRST_ROWS, Fault, Part, Rows, Source

Codes = NDArray[np.int64]

BATCH = 1 << 15
"""Rows are read so many at a time."""


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


class Sample(Rows):
    """Rows with the codes of a design and of breakdowns.

    It makes in `session` the tables `units` (one row a final cluster: its keys and its code `unit`) and `level_<i>`
    (value, code) for each breakdown column. `levels`: the values of each breakdown column in the order of their codes;
    `units`; `stages`: those of the design that add to the variance.
    """

    def __init__(
        self,
        session: duckdb.DuckDBPyConnection,
        source: Source,
        design: Design | None,
        estimands: Sequence[Estimand],
        by_columns: Sequence[str],
    ) -> None:
        super().__init__(session, source, design, estimands, by_columns)
        self.by_columns = tuple(by_columns)
        self._find_units()
        tables = [self._level_table(index) for index in range(len(self.by_columns))]
        self.levels = [levels.drop_nulls() for levels in tables]
        self._radix = [len(levels) for levels in tables]
        self.units, self.stages = self._code_units()

    # The design

    def _check_design(self, design: Design) -> None:
        """Refuse strata, clusters and population sizes that contradict each other; `seen` has a row a final unit."""
        table = {column: "seen" if alias in self._unit_keys else "source" for column, alias in self.alias.items()}
        for column in (*design.clusters, *design.strata):
            missing = Fault(column, f"({self.value(column)}) IS NULL", "is part of the design but is empty")
            if self._any(f"FROM {table[column]} WHERE {missing.sql}"):
                raise self.error(missing)
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
                raise self.error(Fault(design.clusters[0], f"{c1[0]} IN (SELECT {c1[0]} {shared})", wrong))
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
                    raise self.error(Fault(column, f"{key} IN (SELECT {key} {grouped} HAVING {having})", wrong))

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

    @property
    def _unit_keys(self) -> list[str]:
        return list(dict.fromkeys(key for keys in self._keys() for key in keys))

    def _find_units(self) -> None:
        """Table `units`, and which breakdown columns are constant within a cluster, so that they are columns of it."""
        s1, c1, s2, c2 = self._keys()
        keys = self._unit_keys
        constant = self._constant(
            range(len(self.by_columns)), f"(SELECT *, {self._values()} FROM source LIMIT {FIRST_ROWS})"
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
            f"FROM (SELECT *, {self._values()} FROM source)" + (f" GROUP BY {', '.join(wanted)}" if wanted else "")
        ).fetchall()
        if self.design is not None:
            self._check_design(self.design)
        self._constants = self._constant(constant, "seen")
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
        self.session.execute("DROP TABLE seen").fetchall()

    def _values(self) -> str:
        return ", ".join(["1 AS one", *(f"{self.value(column)} AS v{i}" for i, column in enumerate(self.by_columns))])

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
        names = ["n_rows", "w", "g1", "u1", *(["g2", "u2"] if deep else [])]
        codes = "".join(f", coalesce(l{i}.code, -1) AS b{i}" for i in self._constants)
        joins = "".join(f" LEFT JOIN level_{i} l{i} ON v{i} = l{i}.value" for i in self._constants)
        frame = self.session.sql(f"SELECT {', '.join(names)}{codes} FROM units{joins} ORDER BY unit").pl()
        # A sum of weights in floating point is rounded, but not to half of what it is.
        most_weight = 2 * float(np.nanmax(frame["w"].to_numpy(), initial=0))
        column = {name: frame[name].cast(pl.Int64).to_numpy() for name in frame.columns if name != "w"}
        most_rows = int(column["n_rows"].max(initial=1))
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
        inner = [f"{self.weight} AS w", *self._unit_keys]
        inner += [f"{self.value(column)} AS v{self.by_columns.index(column)}" for column in self.varying]
        values = [f"{name}{i}" for i, part in enumerate(parts) for name in ("y", "x")[: 1 if part.x is None else 2]]
        inner += [f"{part.y} AS y{i}" for i, part in enumerate(parts)]
        inner += [f"{part.x} AS x{i}" for i, part in enumerate(parts) if part.x is not None]
        unit, joins = "0", ""
        if self.design is not None:
            on = " AND ".join(f"s.{key} = u.{key}" for key in self._unit_keys) or "TRUE"
            joins = f" JOIN (SELECT {', '.join([*self._unit_keys, 'unit'])} FROM units) u ON {on}"
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
            bad = next((f for part, f in self.bad_shares.items() if _is_bad(of_part.get(part, []))), None)
            if bad is not None:
                break
            yield numbers, w, of_part
        del reader  # the connection takes no other query while rows are left
        if bad is not None:
            raise self.error(bad)

    def _code(self, breakdown: Sequence[str]) -> str:
        code = "0::BIGINT"
        for column in breakdown:
            index = self.by_columns.index(column)
            code = f"({code} * {self._radix[index]} + b{index})"
        return code


def _is_bad(arrays: Sequence[NDArray[Any]]) -> bool:
    return len(arrays) > 0 and bool(arrays[0].max(initial=0) == BAD)
