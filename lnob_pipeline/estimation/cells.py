"""Exact sums of a sample: cells (cluster x domain) and the moments of design strata (group x domain), in DuckDB.

Here: the SQL of the two reductions. Not here: what is done with them (`variance`, `engine`). A *domain* is one stratum
of one breakdown, numbered so that breakdowns keep their order and strata the order of their levels.

Every sum is over fixed-point numbers (HUGEINT), scaled by a power of two that the largest term fixes. So a sum is
exact and depends neither on the order of rows nor on the number of threads: same input, same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lnob_pipeline.estimation.design import EstimationInputError
from lnob_pipeline.estimation.sample import Part, Sample, terms_of

BITS = 120
"""Sums stay below 2^120 in size; HUGEINT holds 2^127."""


@dataclass
class Sums:
    """The aggregates of a query, each computed once however many estimands share it; `exponent` scales it back."""

    prefix: str
    names: dict[str, str] = field(default_factory=dict)
    exponent: dict[str, int] = field(default_factory=dict)

    def add(self, sql: str, exponent: int | None = None) -> str:
        """Name the aggregate; `exponent` e says that it is a fixed-point sum in units of 2^(e - BITS)."""
        name = self.names.setdefault(sql, f"{self.prefix}{len(self.names)}")
        if exponent is not None:
            self.exponent[name] = exponent - BITS
        return name

    def select(self) -> str:
        """The aggregates as the tail of a SELECT list."""
        return "".join(f", {sql} AS {name}" for sql, name in self.names.items())


@dataclass(frozen=True)
class PartColumns:
    """Names of the sums of one part in the cells."""

    y: str
    x: str
    w: str
    yy: str
    yx: str
    xx: str
    n_numerator: str | None


@dataclass(frozen=True)
class DomainColumns:
    """Names in the cells: all rows, rows with weight, and weight, where any part of an estimand is known."""

    n_rows: str
    n: str
    w: str


class Cells:
    """The domains of a list of breakdowns and the sums wanted in them."""

    def __init__(self, sample: Sample, breakdowns: Sequence[Sequence[str]]) -> None:
        self.sample, self.breakdowns = sample, [tuple(breakdown) for breakdown in breakdowns]
        self.sums = Sums("a")
        self.offset: list[int] = []
        start = 0
        for breakdown in self.breakdowns:
            self.offset.append(start)
            strata = 1
            for column in breakdown:
                strata *= max(1, len(self._levels(column)))
            start += strata
        if start >= 2**62:
            raise EstimationInputError("The breakdowns have too many strata to be counted. Cross fewer columns.")

    def _levels(self, column: str) -> pl.Series:
        return self.sample.levels[self.sample.by_columns.index(column)]

    # What is summed: columns of the rows, of which the cells hold the sums or, without an exponent, the counts

    def _sum(self, term: str, valid: str) -> str:
        exponent = self.sample.exponent[term]
        return self.sums.add(_when(valid, f"CAST({term} * pow(2::DOUBLE, {BITS - exponent}) AS HUGEINT)"), exponent)

    def _count(self, condition: str, weighted: bool) -> str:
        if weighted and self.sample.has_zero_weights:
            condition = f"({condition}) AND w <> 0"
        return self.sums.add(f"CASE WHEN {condition} THEN 1 END")

    def add_part(self, part: Part) -> PartColumns:
        """Want the sums of one part."""
        names = {key: self._sum(term, part.valid) for key, term in terms_of(part).items()}
        numerator = self._count(f"{part.y} = 1", weighted=True) if part.is_share else None
        return PartColumns(**names, n_numerator=numerator)

    def add_domain(self, parts: Sequence[Part]) -> DomainColumns:
        """Want the counts of the rows where any of `parts` is known."""
        known = list(dict.fromkeys(part.valid for part in parts))
        valid = "TRUE" if "TRUE" in known else known[0] if len(known) == 1 else f"({') OR ('.join(known)})"
        return DomainColumns(
            n_rows=self._count(valid, weighted=False), n=self._count(valid, weighted=True), w=self._sum("w", valid)
        )

    # Cells and moments

    def make(self, stage: int) -> None:
        """Table `cells_<stage>`: domain, unit, grp and the sums. Each row is copied into every domain it lies in."""
        sample = self.sample
        source = f"SELECT *, {sample.weight} AS w, row_number() OVER () AS row_number" + "".join(
            f", {sample.value(column)} AS v{i}" for i, column in enumerate(sample.by_columns)
        )
        unit, join = "0 AS unit, 0 AS grp", ""
        if sample.design is not None:
            on = " AND ".join(f"s.{key} = u.{key}" for key in sample.unit_keys) or "TRUE"
            unit = f"u.u{stage} AS unit" if sample.design.clusters else "s.row_number AS unit"
            unit, join = f"{unit}, u.g{stage} AS grp", f" JOIN units u ON {on}"
        indices = range(len(sample.by_columns))
        join += "".join(f" LEFT JOIN level_{i} l{i} ON s.v{i} = l{i}.value" for i in indices)
        codes = "".join(f", l{i}.code AS b{i}" for i in indices)
        rows = f"SELECT s.*, {unit}{codes} FROM ({source} FROM source) s{join}"
        domains = ", ".join(self._domain(i) for i in range(len(self.breakdowns)))
        terms = f"SELECT unnest(CAST([{domains}] AS BIGINT[])) AS domain, unit, grp{self.sums.select()} FROM ({rows})"
        aggregates = "".join(
            f", {'sum' if name in self.sums.exponent else 'count'}({name}) AS {name}"
            for name in self.sums.names.values()
        )
        # A domain is null where the row has no value of a breakdown column: it then lies in no stratum of that.
        sample.session.execute(
            f"CREATE TEMP TABLE cells_{stage} AS SELECT domain, unit, grp{aggregates} FROM ({terms}) "
            "WHERE domain IS NOT NULL GROUP BY domain, unit, grp"
        ).fetchall()

    def _domain(self, index: int) -> str:
        """The number of the domain of a row in breakdown `index`: an offset and the mixed-radix code of its levels."""
        code, radix = str(self.offset[index]), 1
        for column in reversed(self.breakdowns[index]):
            code += f" + b{self.sample.by_columns.index(column)} * {radix}"
            radix *= max(1, len(self._levels(column)))
        return code

    def moments(self, stage: int, sums: Sums) -> pl.DataFrame:
        """One row a domain x group, ordered by both: `sums` over the cells (second moments by `product`)."""
        return self.sample.session.sql(
            f"SELECT domain, CAST(grp AS BIGINT) AS grp{sums.select()} FROM cells_{stage} "
            "GROUP BY domain, grp ORDER BY domain, grp"
        ).pl()

    def total(self, sums: Sums, name: str) -> str:
        """Add the sum over cells of the sum `name`."""
        if name in self.sums.exponent:
            column = sums.add(f"CAST(coalesce(sum({name}), 0) AS DOUBLE)")
            sums.exponent[column] = self.sums.exponent[name]
            return column
        return sums.add(f"CAST(sum({name}) AS BIGINT)")

    def product(self, sums: Sums, left: str, right: str) -> str:
        """Add the exact sum over cells of the product of two of their sums."""
        factors = " * ".join(f"CAST({name} AS DOUBLE)" for name in (left, right))
        column = sums.add(f"CAST(coalesce(sum(CAST({factors} * pow(2::DOUBLE, {-BITS}) AS HUGEINT)), 0) AS DOUBLE)")
        sums.exponent[column] = self.sums.exponent[left] + self.sums.exponent[right] + BITS
        return column

    def units(self, sums: Sums, name: str) -> str:
        """Add the number of cells in which the count `name` is above zero."""
        return sums.add(f"count(*) FILTER (WHERE {name} > 0)")

    def fetch(self, stage: int, names: Sequence[str], domains: NDArray[np.int64]) -> pl.DataFrame:
        """The cells of `domains` ordered by domain, group and unit, with the sums `names` scaled back to numbers."""
        session = self.sample.session
        session.register("wanted_domains", pl.DataFrame({"domain": domains}).to_arrow())
        chosen = "".join(
            f", coalesce(CAST({name} AS DOUBLE), 0) * pow(2::DOUBLE, {self.sums.exponent.get(name, 0)}) AS {name}"
            for name in dict.fromkeys(names)
        )
        return session.sql(
            f"SELECT domain, CAST(unit AS BIGINT) AS unit, CAST(grp AS BIGINT) AS grp{chosen} FROM cells_{stage} "
            "WHERE domain IN (SELECT domain FROM wanted_domains) ORDER BY domain, grp, unit"
        ).pl()

    # Domains back to levels

    def strata(self, domains: NDArray[np.int64]) -> pl.DataFrame:
        """The breakdown columns of `domains`, null where a domain is not broken down by one, and `stratum_depth`."""
        breakdown_of = np.searchsorted(np.array(self.offset), domains, side="right") - 1
        levels = {column: np.full(domains.shape, -1, dtype=np.int64) for column in self.sample.by_columns}
        for index, breakdown in enumerate(self.breakdowns):
            here = breakdown_of == index
            code = domains[here] - self.offset[index]
            for column in reversed(breakdown):
                code, levels[column][here] = np.divmod(code, max(1, len(self._levels(column))))
        depth = np.array([len(breakdown) for breakdown in self.breakdowns], dtype=np.int64)[breakdown_of]
        values = {
            column: self._levels(column).gather(pl.Series(codes).replace(-1, None).cast(pl.UInt32))
            for column, codes in levels.items()
        }
        return pl.DataFrame(values | {"stratum_depth": pl.Series(depth)})


def _when(valid: str, value: str) -> str:
    return value if valid == "TRUE" else f"CASE WHEN {valid} THEN {value} END"
