"""What is summed in a cell: whole numbers, so that a sum is exact.

Here: the sums and counts that a list of estimands needs, how a batch of rows is turned into whole numbers, and how sums
of these are turned back. Not here: where they are added up (`cells`), and what is done with the sums (`engine`).

Weighted terms are fixed-point numbers, in units that the largest sum fixes. So no sum depends on the order of rows or
on the number of threads: same input, same bytes. A term that needs more bits than one whole number has room for is cut
into several *limbs*, the first of which holds its leading bits. Only rows that add something are added: the rows where
y is known are all rows without those where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lnob_pipeline.estimation.sample import Codes, Sample
from lnob_pipeline.estimation.source import UNKNOWN, Part

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[Any]
Parts = tuple[Part, ...]

WEIGHT_BITS, NUMBER_BITS, MOST_BITS = 40, 53, 120
"""The smallest weight is held to at least 40 bits and the smallest term of numbers to all its 53, unless the largest
sum of a unit then takes more than 120."""
LIMB = 62
"""Bits of a limb in use: one is for the sign, one is spare."""


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


@dataclass(frozen=True)
class Selection:
    """Rows: all, those where no part is known, those of a share with or without the level; if so, of weight above 0."""

    which: Literal["all", "unknown", "level", "other"] = "all"
    parts: Parts = ()
    with_weight: bool = False


@dataclass(frozen=True)
class Column:
    """What one column of cells adds up over a selection of rows: a limb of a term, or (without term) the number 1."""

    rows: Selection
    part: Part | None = None
    term: str | None = None
    limb: int = 0


@dataclass(frozen=True)
class _Field:
    """A sum or count: columns (of a sum, its limbs, of which the first is in units of 2^exponent) less others."""

    columns: tuple[int, ...]
    less: tuple[tuple[int, ...], ...] = ()
    exponent: int = 0


Addition = tuple[Codes | None, list[tuple[int, Whole]]]
"""Rows (None for all), and the columns to which they add something, with what each row adds."""


class Fields:
    """The sums and counts of a list of parts, each held once however many estimands share it."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.columns: dict[Column, int] = {}
        self.types: list[Any] = []
        self._by_rows: dict[Selection, list[tuple[int, Column]]] = {}
        self._limb_bits = LIMB - sample.units.most_rows.bit_length()
        self._fields: dict[str, _Field] = {}
        self.rows = self._count((), with_weight=False)

    @property
    def parts(self) -> list[Part]:
        """Every part of which something is summed."""
        return list(
            dict.fromkeys(part for column in self.columns for part in (*column.rows.parts, column.part) if part)
        )

    # What is wanted

    def add_part(self, part: Part) -> PartColumns:
        """Want the sums of one part."""
        name = {term: self._sum(part, term) for term in part.terms}
        name["w"] = self._weight((part,))
        name.setdefault("yy", name["y"])
        for term, other in (("x", "w"), ("xx", "w"), ("yx", "y")):
            name.setdefault(term, name[other])
        numerator = None
        if part.is_share:
            with_weight = self.sample.has_zero_weights
            numerator = self._share(part, with_weight, lambda rows: self._places([Column(rows)]))
        return PartColumns(**name, n_numerator=numerator)

    def add_domain(self, parts: Sequence[Part]) -> DomainColumns:
        """Want the counts and the weight of the rows where any of `parts` is known."""
        known = tuple(dict.fromkeys(parts))
        counts = [self._count(known, with_weight) for with_weight in (False, self.sample.has_zero_weights)]
        return DomainColumns(n_rows=counts[0], n=counts[1], w=self._weight(known))

    def _field(self, field: _Field) -> str:
        known = {other: name for name, other in self._fields.items()}
        name = known.get(field, f"f{len(self._fields)}")
        self._fields[name] = field
        return name

    def _places(self, columns: Sequence[Column]) -> tuple[int, ...]:
        of_counts = np.min_scalar_type(self.sample.units.most_rows)
        for column in columns:
            if column not in self.columns:
                place = self.columns[column] = len(self.columns)
                self.types.append(of_counts if column.term is None else np.dtype(np.int64))
                self._by_rows.setdefault(column.rows, []).append((place, column))
        return tuple(self.columns[column] for column in columns)

    def _count(self, parts: Parts, with_weight: bool) -> str:
        """The number of rows where any of `parts` is known; without parts, of all rows."""
        rows = [Selection(with_weight=with_weight), *([Selection("unknown", parts, with_weight)] if parts else [])]
        every, *unknown = (self._places([Column(selection)]) for selection in rows)
        return self._field(_Field(every, tuple(unknown)))

    def _weight(self, parts: Parts) -> str:
        """The weight of the rows where any of `parts` is known."""
        every, unknown = (self._weights(rows) for rows in (Selection(), Selection("unknown", parts)))
        return self._field(_Field(every, (unknown,), self._layout(None, "w")[0]))

    def _weights(self, rows: Selection) -> tuple[int, ...]:
        return self._places([Column(rows, None, "w", limb) for limb in range(self._layout(None, "w")[1])])

    def _sum(self, part: Part, term: str) -> str:
        exponent, limbs = self._layout(None if part.is_share else part, "w" if part.is_share else term)
        if part.is_share:  # y is 1 with the level and else 0
            return self._share(part, False, self._weights, exponent)
        columns = self._places([Column(Selection(), part, term, limb) for limb in range(limbs)])
        return self._field(_Field(columns, (), exponent))

    def _share(
        self, part: Part, with_weight: bool, places: Callable[[Selection], tuple[int, ...]], exponent: int = 0
    ) -> str:
        """A sum or count over the rows with the level; of the known rows without it, where those are fewer."""
        if part not in self.sample.mostly:
            return self._field(_Field(places(Selection("level", (part,), with_weight)), (), exponent))
        less = (places(Selection(which, (part,), with_weight)) for which in ("unknown", "other"))
        return self._field(_Field(places(Selection(with_weight=with_weight)), tuple(less), exponent))

    def _layout(self, part: Part | None, term: str) -> tuple[int, int]:
        """The exponent and the number of limbs of a term."""
        units, size = self.sample.units, self.sample.ranges[part, term]
        largest_sum = units.most_weight if part is None else units.most_rows * size.largest
        highest = math.frexp(largest_sum)[1]
        of_smallest = WEIGHT_BITS if part is None else NUMBER_BITS
        bits = min(highest - math.frexp(size.smallest)[1] + of_smallest, MOST_BITS)
        return highest - LIMB, 1 + max(0, math.ceil((bits - LIMB) / self._limb_bits))

    # Rows to whole numbers

    def of_rows(self, w: Array, values: Mapping[Part, Sequence[NDArray[Any]]]) -> Iterator[Addition]:
        """What a batch of rows adds, with weights `w` and with y (and x) of each part."""
        known = {part: _known(part, arrays) for part, arrays in values.items()}
        terms: dict[tuple[Part | None, str], list[Whole]] = {}
        for rows, columns in self._by_rows.items():
            selected = self._selected(rows, w, values, known)
            if selected is not None and not selected.size:
                continue
            added: list[tuple[int, Whole]] = []
            for place, column in columns:
                if column.term is None:
                    added.append((place, np.ones(w.size if selected is None else selected.size, self.types[place])))
                    continue
                of = (column.part, column.term)
                if of not in terms:
                    terms[of] = self._cut(_term(*of, w, values, known), *self._layout(*of))
                limb = terms[of][column.limb]
                added.append((place, limb if selected is None else limb[selected]))
            yield selected, added

    def _selected(
        self, rows: Selection, w: Array, values: Mapping[Part, Sequence[NDArray[Any]]], known: Mapping[Part, Flags]
    ) -> Codes | None:
        if rows.which in ("level", "other"):
            flags = values[rows.parts[0]][0] == (1 if rows.which == "level" else 0)
        elif rows.which == "unknown":
            flags = ~np.logical_or.reduce([known[part] for part in rows.parts])
        elif not rows.with_weight:
            return None
        else:
            flags = np.ones(w.size, dtype=bool)
        return np.flatnonzero(flags & (w != 0) if rows.with_weight else flags)

    def _cut(self, terms: Array, exponent: int, limbs: int) -> list[Whole]:
        """The limbs of `terms`, of which the first is in units of 2^exponent."""
        cut = []
        rest = _times_power(terms, -exponent)
        for _ in range(limbs):
            whole = np.rint(rest)
            cut.append(whole.astype(np.int64))
            rest = _times_power(rest - whole, self._limb_bits)
        return cut

    # Whole numbers to numbers

    def number(self, name: str, columns: Sequence[Whole]) -> Array:
        """The sum or count `name` from the columns of cells."""
        field = self._fields[name]
        total: Array | None = None
        for limb in reversed(range(len(field.columns))):
            whole = columns[field.columns[limb]]
            for less in field.less:
                whole = whole - columns[less[limb]]
            value = _times_power(whole.astype(float), field.exponent - self._limb_bits * limb)
            total = value if total is None else total + value
        assert total is not None
        return total


def _times_power(values: Array, exponent: int) -> Array:
    """`values` x 2^exponent (`ldexp` is slow)."""
    if exponent == 0:
        return values
    return values * math.ldexp(1.0, exponent) if abs(exponent) < 1000 else np.ldexp(values, exponent)


def _known(part: Part, arrays: Sequence[NDArray[Any]]) -> Flags:
    if part.is_share:
        known: Flags = arrays[0] < UNKNOWN
        return known
    return np.logical_and.reduce([~np.isnan(array) for array in arrays])


def _term(
    part: Part | None, term: str, w: Array, values: Mapping[Part, Sequence[NDArray[Any]]], known: Mapping[Part, Flags]
) -> Array:
    """The weight, or the weight times y, x or a product of these (0 where unknown), of each row."""
    if part is None:
        return w
    factors = dict(zip("yx", values[part], strict=False))
    product = w
    for letter in term:
        product = product * factors[letter]
    return np.where(known[part], product, 0.0)
