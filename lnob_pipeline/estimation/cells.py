"""The domains of a sample and their cells: the sums of each unit (final cluster) in each domain.

Here: numbering domains, making the tables of cells in one pass over the rows, and sums of cells over domains. Not here:
what is summed (`fields`), a single table (`table`) and what is done with the sums (`variance`, `engine`). A *domain* is
one stratum of one breakdown, numbered so that breakdowns keep their order and strata the order of their levels.

Breakdown columns that are constant within a cluster (region, say) do not split it, so only the *varying* columns of a
breakdown make cells, and breakdowns that differ in constant columns alone share a table. Rows are added up only for the
tables whose columns are no subset of those of another; every other table is made from the smallest that has all of its
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
import polars as pl

from lnob_pipeline.estimation.design import EstimationInputError
from lnob_pipeline.estimation.fields import Array, DomainColumns, Fields, PartColumns
from lnob_pipeline.estimation.sample import Codes, Sample
from lnob_pipeline.estimation.source import Part
from lnob_pipeline.estimation.table import Runs, Table, add, most_cells

Names = TypeVar("Names", PartColumns, DomainColumns)


@dataclass(frozen=True)
class Layer:
    """The runs of one stage in the domains of one breakdown.

    Arrays with one entry a run: its `domain` (an index of those of the breakdown; their number where the run lies in
    none) and its `pair` (likewise). Arrays with one entry a pair of domain and group of the stage that has rows:
    `pair_domain`, `pair_group`, and `members`, the clusters of the group that have rows in the domain.
    """

    table: Table
    stage: int
    domain: Codes
    pair: Codes
    pair_domain: Codes
    pair_group: Codes

    @property
    def runs(self) -> Runs:
        """The runs of the stage."""
        return self.table.runs[self.stage - 1]

    def by_pair(self, runs: Array) -> Array:
        """The sums over the runs of each pair."""
        return _by(self.pair, runs, self.pair_group.size)

    @cached_property
    def members(self) -> Array:
        """The number of clusters of each pair that have rows."""
        return self.by_pair(self.runs.length.astype(float))

    def present(self, name: str) -> Array:
        """The number of clusters of each pair in which the count `name` is above zero."""
        return self.by_pair(self.table.present(name, self.stage))

    def of_runs(self, domains: Array) -> Array:
        """The value of its domain for each run (0 outside of the domains)."""
        return np.append(domains, 0.0)[self.domain]

    def of_cells(self, domains: Array) -> Array:
        """The value of its domain for each cell (0 outside of the domains)."""
        return np.repeat(self.of_runs(domains), self.runs.cells)


@dataclass(frozen=True)
class Division:
    """One breakdown: its domains, ascending, their place among those of all breakdowns, and a layer for each stage."""

    domains: Codes
    place: slice
    layers: list[Layer]

    @property
    def table(self) -> Table:
        """The cells."""
        return self.layers[0].table

    def total(self, name: str) -> Array:
        """The sum or count `name` in each domain."""
        return _by(self.layers[0].domain, self.table.sums(name), self.domains.size)

    def clusters_and_strata(self, name: str) -> tuple[Array, Array]:
        """First-stage clusters, and design strata, of each domain in which the count `name` is above zero."""
        layer = self.layers[0]
        present, size = layer.present(name), self.domains.size
        return _by(layer.pair_domain, present, size), _by(layer.pair_domain, (present > 0).astype(float), size)


def _by(index: Codes, values: Array, size: int) -> Array:
    return np.asarray(np.bincount(index, weights=values, minlength=size + 1)[:size], dtype=np.float64)


class Cells:
    """The domains of a list of breakdowns and the sums wanted in them."""

    def __init__(self, sample: Sample, breakdowns: Sequence[Sequence[str]]) -> None:
        self.sample, self.breakdowns = sample, [tuple(breakdown) for breakdown in breakdowns]
        self.fields = Fields(sample)
        self._divisions: list[Division] = []
        self._totals: dict[str, Array] = {}
        self.offset: list[int] = []
        start = 0
        for breakdown in self.breakdowns:
            self.offset.append(start)
            start += prod(max(1, self._levels(column)) for column in breakdown)
        if max(start, *(most_cells(sample, breakdown) for breakdown in self.breakdowns)) >= 2**62:
            raise EstimationInputError("The breakdowns have too many strata to be counted. Cross fewer columns.")

    def _levels(self, column: str) -> int:
        return len(self.sample.levels[self.sample.by_columns.index(column)])

    def add_part(self, part: Part) -> PartColumns:
        """Want the sums of one part."""
        return self._wanting(self.fields.add_part(part))

    def add_domain(self, parts: Sequence[Part]) -> DomainColumns:
        """Want the counts of the rows where any of `parts` is known."""
        return self._wanting(self.fields.add_domain(parts))

    def _wanting(self, names: Names) -> Names:
        """`names`, as before; cells that lack a column will be made again."""
        if self._divisions and self._divisions[0].table.lacks_columns:
            self._divisions, self._totals = [], {}
        return names

    # Making

    @property
    def memory(self) -> int:
        """About how many bytes the cells take while rows are added up."""
        most = (most_cells(self.sample, columns) for columns in self._from_rows())
        return sum(min(cells, self.sample.rows) for cells in most) * sum(kind.itemsize for kind in self.fields.types)

    @property
    def divisions(self) -> list[Division]:
        """The cells of each breakdown. They are made when they are first asked for."""
        if not self._divisions:
            tables = self._tables()
            start = 0
            for index, breakdown in enumerate(self.breakdowns):
                self._divisions.append(self._divide(index, start, tables[self._varying(breakdown)]))
                start = self._divisions[-1].place.stop
        return self._divisions

    def _varying(self, breakdown: Sequence[str]) -> tuple[str, ...]:
        """The varying columns of a breakdown, in one order for all."""
        return tuple(column for column in self.sample.varying if column in breakdown)

    def _wanted(self) -> list[tuple[str, ...]]:
        """The columns of the tables, those with most cells first."""
        wanted = dict.fromkeys(self._varying(breakdown) for breakdown in self.breakdowns)
        return sorted(wanted, key=lambda columns: -len(columns))

    def _from_rows(self) -> list[tuple[str, ...]]:
        wanted = self._wanted()
        return [columns for columns in wanted if not any(set(columns) < set(other) for other in wanted)]

    def _tables(self) -> dict[tuple[str, ...], Table]:
        tables = {columns: Table(columns, self.sample, self.fields) for columns in self._from_rows()}
        for numbers, w, values in self.sample.batches(self.fields.parts, list(tables)):
            places = [table.places(number) for table, number in zip(tables.values(), numbers, strict=True)]
            for addition in self.fields.of_rows(w, values):
                for place in places:
                    add(place, addition)
        for table in tables.values():
            table.finish()
        for columns in self._wanted():
            if columns not in tables:
                finer = [table for other, table in tables.items() if set(columns) < set(other)]
                tables[columns] = Table(columns, self.sample, self.fields)
                tables[columns].add_table(min(finer, key=lambda table: table.number.size))
                tables[columns].finish()
        return tables

    def _divide(self, index: int, start: int, table: Table) -> Division:
        layers: list[Layer] = []
        domains: Codes = np.array([self.offset[index]])  # the total has a row even if the sample has none
        for stage, (runs, group_of) in enumerate(zip(table.runs, self.sample.units.groups, strict=True), 1):
            number = self._domains(index, table, runs)
            if stage == 1 and self.breakdowns[index]:
                domains = np.unique(number[number >= 0])
            domain = np.where(number < 0, domains.size, np.searchsorted(domains, number))
            groups = int(group_of.max(initial=0)) + 1
            pairs, pair = np.unique(domain * groups + group_of[table.unit[runs.first_cell]], return_inverse=True)
            inside = int(np.searchsorted(pairs, domains.size * groups))
            pair_domain, pair_group = np.divmod(pairs[:inside], groups)
            layers.append(Layer(table, stage, domain, np.minimum(pair, inside), pair_domain, pair_group))
        return Division(domains, slice(start, start + domains.size), layers)

    def _domains(self, index: int, table: Table, runs: Runs) -> Codes:
        """The number of the domain of each run in breakdown `index`; -1 where it has no value of a column."""
        unit = table.unit[runs.first_cell]
        code = np.searchsorted(table.codes, table.code[runs.first_cell])
        number, outside = np.zeros(unit.size, dtype=np.int64), np.zeros(unit.size, dtype=bool)
        for column in self.breakdowns[index]:
            known = self._levels(column)
            level = table.levels[column][code] if column in table.by else self.sample.units.levels[column][unit]
            outside |= (level < 0) | (level >= known)
            number = number * max(1, known) + level
        return np.where(outside, -1, number + self.offset[index])

    # Sums

    @property
    def by_table(self) -> list[tuple[Table, list[Division]]]:
        """The tables, each with the divisions that have it."""
        tables: dict[tuple[str, ...], tuple[Table, list[Division]]] = {}
        for division in self.divisions:
            tables.setdefault(division.table.by, (division.table, []))[1].append(division)
        return list(tables.values())

    @property
    def domains(self) -> Codes:
        """The domains that have rows (the total even without), ascending."""
        return np.concatenate([division.domains for division in self.divisions])

    def total(self, name: str) -> Array:
        """The sum or count `name` in each of `domains`."""
        if name not in self._totals:
            self._totals[name] = np.concatenate([division.total(name) for division in self.divisions])
        return self._totals[name]

    def clusters_and_strata(self, name: str) -> tuple[Array, Array]:
        """Clusters and design strata of each of `domains` in which the count `name` is above zero."""
        both = [division.clusters_and_strata(name) for division in self.divisions]
        return np.concatenate([clusters for clusters, _ in both]), np.concatenate([strata for _, strata in both])

    def fetch(self, stage: int, names: Sequence[str], domains: Codes) -> pl.DataFrame:
        """The clusters of `stage` that have rows in each of `domains`, with the sums and counts `names`.

        One row a domain x cluster, ordered by domain, group (`grp`) and cluster (`unit`).
        """
        frames = []
        for division in self.divisions:
            table, layer = division.table, division.layers[stage - 1]
            runs = layer.runs
            number = np.append(division.domains, -1)[layer.domain]
            inside = np.repeat(np.isin(number, domains), runs.length)
            unit = table.unit if runs.members is None else table.unit[runs.members]
            units = self.sample.units
            columns = {
                "domain": np.repeat(number, runs.length),
                "unit": units.clusters[stage - 1][unit],
                "grp": units.groups[stage - 1][unit],
            } | {name: runs.by_member(table.value(name)) for name in names}
            frames.append(pl.DataFrame({name: values[inside] for name, values in columns.items()}))
        return pl.concat(frames).sort("domain", "grp", "unit")

    # Domains back to levels

    def strata(self, domains: Codes) -> pl.DataFrame:
        """The breakdown columns of `domains`, null where a domain is not broken down by one, and `stratum_depth`."""
        breakdown_of = np.searchsorted(np.array(self.offset), domains, side="right") - 1
        levels = {column: np.full(domains.shape, -1, dtype=np.int64) for column in self.sample.by_columns}
        for index, breakdown in enumerate(self.breakdowns):
            here = breakdown_of == index
            code = domains[here] - self.offset[index]
            for column in reversed(breakdown):
                code, levels[column][here] = np.divmod(code, max(1, self._levels(column)))
        depth = np.array([len(breakdown) for breakdown in self.breakdowns], dtype=np.int64)[breakdown_of]
        values = {
            column: series.gather(pl.Series(levels[column]).replace(-1, None).cast(pl.UInt32))
            for column, series in zip(self.sample.by_columns, self.sample.levels, strict=True)
        }
        return pl.DataFrame(values | {"stratum_depth": pl.Series(depth)})
