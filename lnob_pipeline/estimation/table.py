"""A table of cells, the exact sums of each unit (final cluster) in each stratum of some breakdown columns.

Here: adding rows up to cells, and sums of cells over neighbouring ones. Not here: what is summed (`fields`), which
tables there are and the domains to which cells belong (`cells`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from lnob_pipeline.estimation.fields import Addition, Array, Fields, Whole
from lnob_pipeline.estimation.sample import Codes, Sample

FEW = 1 << 16
"""A table that can have at most so many cells, or as many as there are rows, keeps a place for each of them."""

Places = tuple[list[Whole], Codes]
"""Columns of sums, and the place in them of each of the rows (or cells) that will be added."""


@dataclass(frozen=True)
class Runs:
    """The cells of a table in runs of one group of a stage of the design, one block and one code.

    The members of a run are clusters of the stage. Arrays with one entry a run: `start`, its first member; `length`,
    the number of its members; `first_cell`; `cells`, the number of its cells. `members` has the first cell of each
    member, and is None where each is one cell, as in any design of one stage.
    """

    members: Codes | None
    start: Codes
    length: Codes
    first_cell: Codes
    cells: Codes

    def by_member(self, cells: Array) -> Array:
        """The sums of `cells` over the members of the runs."""
        return cells if self.members is None else np.add.reduceat(cells, self.members)

    def by_run(self, members: Array) -> Array:
        """The sums of `members` over the runs."""
        return np.add.reduceat(members, self.start)


@dataclass(frozen=True)
class Moments:
    """What is left of y and x of the members of runs when z = y - R x is to be summed and squared for several R.

    Arrays with one entry a run: the sums `y` and `x`; `slope`, of the straight line of y on x through the means of the
    run; `x_spread`, sum (x - mean)^2; `rest`, the sum of the squared distances of y from the line. The last three are
    of x in `unit`s, a power of two, so that its squares are neither too large nor too small. By least squares

        sum (z - mean)^2 = rest + x_spread (R - slope)^2,

    a sum of two terms of which none is negative, so that nothing cancels.
    """

    y: Array
    x: Array
    slope: Array
    x_spread: Array
    rest: Array
    unit: float

    @classmethod
    def of(cls, runs: Runs, y: Array, x: Array | None = None) -> Moments:
        """Of the cells `y` and `x`; x is 0 if there is none."""
        y = runs.by_member(y)
        sum_y = runs.by_run(y)
        y = y - np.repeat(sum_y / runs.length, runs.length)
        if x is None:
            nothing = np.zeros(sum_y.size)
            return cls(sum_y, nothing, nothing, nothing, runs.by_run(y * y), 1.0)
        x = runs.by_member(x)
        unit = math.ldexp(1.0, math.frexp(max(x.max(initial=0.0), -x.min(initial=0.0)))[1] - 1)
        sum_x = runs.by_run(x)
        x = x - np.repeat(sum_x / runs.length, runs.length)
        x /= unit
        x_spread, product = runs.by_run(x * x), runs.by_run(x * y)
        slope = np.divide(product, x_spread, out=np.zeros(product.size), where=x_spread > 0)
        x *= np.repeat(slope, runs.length)
        y -= x
        return cls(sum_y, sum_x, slope, x_spread, runs.by_run(y * y), unit)

    def scores(self, ratio: Array) -> tuple[Array, Array]:
        """Of z = y - R x, with an R for each run: the sums, and the sums of squares about the mean of the run."""
        return self.y - ratio * self.x, self.rest + self.x_spread * (ratio * self.unit - self.slope) ** 2


class Table:
    """The cells of a list of varying breakdown columns, `by`: their numbers, ascending, and columns of sums (`fields`).

    The number of a cell is code x units + unit; `code` is the mixed-radix code of the levels of the columns, no value
    being the last level.
    """

    def __init__(self, by: tuple[str, ...], sample: Sample, fields: Fields) -> None:
        self.by, self.sample, self.fields = by, sample, fields
        self.columns: list[Whole] = []
        self.number: Codes = np.zeros(0, dtype=np.int64)
        self._portions: list[tuple[Codes, list[Whole]]] = []
        self._sums: dict[str, Array] = {}
        self._present: dict[tuple[str, int], Array] = {}
        most = most_cells(sample, by)
        self._has_places = most <= max(FEW, sample.rows)
        if self._has_places:
            self.number, self.columns = np.arange(most), self._zeros(most)

    # Making

    def _zeros(self, size: int) -> list[Whole]:
        return [np.zeros(size, dtype=kind) for kind in self.fields.types]

    def places(self, number: Codes) -> Places:
        """Where to add rows, or cells of a finer table, that belong to the cells with these numbers."""
        if self._has_places:
            return self.columns, number
        distinct, place = np.unique(number, return_inverse=True)
        columns = self._zeros(distinct.size)
        self._portions.append((distinct, columns))
        return columns, place

    def add_table(self, finer: Table) -> None:
        """Add all cells of a table by these columns and others."""
        levels, code = finer.levels, np.zeros(finer.codes.size, dtype=np.int64)
        for column in self.by:
            code = code * self.sample.radix(column) + levels[column]
        code = np.repeat(code, finer.cells)
        add(self.places(code * self.sample.units.size + finer.unit), _all_of(finer.columns))

    def finish(self) -> None:
        """Leave out cells without rows; to be called once all is added."""
        if not self._has_places:
            portions, self._portions = self._portions, []
            number = np.concatenate([self.number, *(number for number, _ in portions)])
            self.number, place = np.unique(number, return_inverse=True)
            self.columns = self._zeros(self.number.size)
            start = 0
            for number, columns in portions:
                add((self.columns, place[start : start + number.size]), _all_of(columns))
                start += number.size
        rows = self.fields.number(self.fields.rows, self.columns) > 0
        if not rows.all():
            self.number = self.number[rows]
            for index, column in enumerate(self.columns):
                self.columns[index] = column[rows]

    # Reading

    @property
    def lacks_columns(self) -> bool:
        """Whether more has been asked of `fields` since the table was made."""
        return len(self.columns) < len(self.fields.columns)

    @cached_property
    def code(self) -> Codes:
        """The code of the levels of each cell."""
        return self.number // max(1, self.sample.units.size)

    @cached_property
    def unit(self) -> Codes:
        """The unit of each cell."""
        return self.number - self.code * self.sample.units.size

    @cached_property
    def codes(self) -> Codes:
        """The codes that have cells, ascending."""
        return self.code[_changes(self.code)]

    @cached_property
    def cells(self) -> Codes:
        """The number of cells of each of `codes`."""
        return np.diff(np.flatnonzero(_changes(self.code)), append=self.code.size)

    @cached_property
    def levels(self) -> dict[str, Codes]:
        """The level of each column in each of `codes`."""
        levels, code = {}, self.codes
        for column in reversed(self.by):
            code, levels[column] = np.divmod(code, self.sample.radix(column))
        return levels

    @cached_property
    def runs(self) -> list[Runs]:
        """The runs of each stage of the design."""
        units = self.sample.units
        runs = []
        for cluster, group in zip(units.clusters, units.groups, strict=True):
            first = np.flatnonzero(_changes(self.code, cluster[self.unit]))
            unit = self.unit[first]
            start = np.flatnonzero(_changes(self.code[first], units.block[unit], group[unit]))
            runs.append(
                Runs(
                    members=None if first.size == self.number.size else first,
                    start=start,
                    length=np.diff(start, append=first.size),
                    first_cell=first[start],
                    cells=np.diff(first[start], append=self.number.size),
                )
            )
        return runs

    def value(self, name: str) -> Array:
        """The sum or count `name` of each cell."""
        return self.fields.number(name, self.columns)

    def sums(self, name: str) -> Array:
        """The sum or count `name` of each run of the first stage."""
        if name not in self._sums:
            runs = self.runs[0]
            self._sums[name] = runs.by_run(runs.by_member(self.value(name)))
        return self._sums[name]

    def present(self, name: str, stage: int) -> Array:
        """The number of members of each run of a stage (1 or 2) in which the count `name` is above zero."""
        if (name, stage) not in self._present:
            runs = self.runs[stage - 1]
            count = runs.by_member(self.value(name))
            self._present[name, stage] = runs.by_run((count > 0).astype(float))
            if stage == 1:
                self._sums[name] = runs.by_run(count)
        return self._present[name, stage]

    def moments(self, y: str, x: str) -> list[Moments]:
        """The moments of two sums in each stage of the design; `sums` has theirs afterwards."""
        of_y, of_x = self.value(y), self.value(x)
        moments = [Moments.of(runs, of_y, of_x) for runs in self.runs]
        self._sums[y], self._sums[x] = moments[0].y, moments[0].x
        return moments


def most_cells(sample: Sample, by: Sequence[str]) -> int:
    """The number of cells of a table by these columns in which none is empty."""
    return prod(sample.radix(column) for column in by) * max(1, sample.units.size)


def add(places: Places, addition: Addition) -> None:
    """Add what rows or cells add, each to its place."""
    (columns, place), (rows, added) = places, addition
    at = place if rows is None else place[rows]
    for index, values in added:
        np.add.at(columns[index], at, values)


def _all_of(columns: Sequence[Whole]) -> Addition:
    return None, list(enumerate(columns))


def _changes(*codes: Codes) -> NDArray[np.bool_]:
    """Where any of the codes is another than before."""
    changes = np.ones(codes[0].size, dtype=bool)
    changes[1:] = False
    for code in codes:
        changes[1:] |= code[1:] != code[:-1]
    return changes
