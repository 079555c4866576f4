"""An attack on the numbers of a release by linear programming: how close an outsider could come to a hidden one.

Here: the system of everything that is shown, the interval of every hidden number in it, and what is too narrow. Not
here: what is hidden by itself (disclosure_rules), which numbers hang together (disclosure_links), what is done when an
interval is too narrow (disclosure).

The attacker knows more than is published, so that nothing rests on what he may find out: of every shown number n and
the numerator as counts (a weighted estimate gives the numerator only about); of a sum also how many did not answer the
breakdown question; n of a hidden stratum where another series of the hand-in with the same denominator shows it, and n
of the whole sample; the rules, their thresholds and which side of a hidden share is small; every release still kept.
What he then cannot exclude is found by the smallest and the largest whole number of cases (a, in the numerator, and b,
the others) that fit: mixed-integer programs, solved apart for every set of hidden numbers that hang together (HiGHS).

    sum of the categories = total - no answer            persons in households: each part <= total <= sum of the parts
    group <= total, group + everyone else = total        narrow series <= wide series; denominator <= wide numerator
    1 <= a + b <= 24, or a or b in 1..4, or neither, by the status that the release itself gives

Too narrow, after Hundepool et al. (2012), section 5.2, and Fischetti and Salazar (2000), who ask that the interval of a
primary cell holds a protection interval: a cell hidden for a count needs three possible values (width 2) of its
numerator and of the others, or as many as its n allows: with two an outsider is right every other time. A total of
amounts needs 10 % on both sides of the truth, as the p % rule hides it. A number hidden for another one's sake, and n
of a small sample, must not be exact (what follows from n of the whole sample alone stands in `sources` anyhow).
The same holds for the small sets that nobody publishes: everyone outside a group, all hidden categories together, who
is in the wide series and not in the narrow one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy  # its submodules are loaded at first use
from numpy.typing import NDArray

from lnob_pipeline.publication.disclosure_links import GROUP, SUM, Pairs, denominators, sums
from lnob_pipeline.publication.disclosure_rules import (
    DOMINANCE,
    DOMINANCE_PERCENT,
    FEWEST_CASES,
    REASONS,
    SMALL_COUNT,
    SMALL_NUMBER,
    SMALL_SAMPLE,
    TO_PROTECT,
)
from lnob_pipeline.tables import DISCLOSURE_AUDIT

Numbers = NDArray[np.float64]
Terms = tuple[tuple[int, float], ...]

PROTECTION = 2
"""Width of the interval of a count that a rule hides: three possible values."""
WIDTHS = ((0.0, "none"), (0.25, "under a quarter"), (0.5, "a quarter"), (0.75, "half"), (2.0, "three quarters or more"))
"""Classes of the width of an interval relative to its upper end: below the number, the name."""
IN, OUT, AMOUNT = 0, 1, 2
"""The unknowns of a cell: cases in the numerator, the other cases, and the total of the amounts."""
INTEGER, CONTINUOUS, INTEGER_OR_ZERO = 1, 0, 3
NO_ANSWER = 0.1
"""Up to this part of a total, who is in no category gave no answer, and their number is taken as known; more are a
category that is not shown."""
TOLERANCE = 1e-6
CATEGORIES, NOT_ALL, HOUSEHOLDS = "categories", "not all", "households"
"""How a total and its parts hang together: all categories of it, not all of them, households with such a person."""

CELLS = {
    "_cell": pl.UInt32,
    "submission_id": pl.String,
    "series": pl.String,
    "stratum": pl.String,
    "n": pl.Int64,
    "numerator": pl.Float64,
    "amount": pl.Float64,
    "sensitive": pl.Boolean,
    "reason": pl.String,
    "shown": pl.Boolean,
    "known": pl.Boolean,
    "differs": pl.Boolean,
}
"""Columns of the cells that are attacked, beside the dimensions. numerator: cases; amount: the total of the amounts of
a mean or ratio, null for shares; reason: of REASONS where hidden; shown: this release shows it; known: an earlier one
does; differs: an earlier one shows almost the same people."""


class Narrow(NamedTuple):
    """A hidden number that could be reckoned too closely, and the shown cells to hide for it, if any is left."""

    submission_id: str
    series: str
    reason: str
    cells: tuple[int, ...]


class Finding(NamedTuple):
    """What the attack on a set of cells gave: one row a hidden cell (_cell, width, passed), and what is too narrow."""

    cells: pl.DataFrame
    narrow: tuple[Narrow, ...]


@dataclass
class _System:
    """Rows lower <= sum(coefficient x unknown) <= upper over the unknowns of a hand-in; what is known is a constant."""

    truth: Numbers
    known: NDArray[np.bool_]
    lower: Numbers
    upper: Numbers
    kind: NDArray[np.int64]
    rows: list[tuple[Terms, float, float]] = field(default_factory=list)
    near: dict[int, set[int]] = field(default_factory=dict)
    """Unknown -> the known ones that stand in a row with it."""

    def equal(self, terms: Terms) -> None:
        """The sum is what it is: what it lacks to zero is known."""
        value = sum(factor * self.truth[place] for place, factor in terms)
        self._add(terms, value, value)

    def not_negative(self, terms: Terms) -> None:
        """The sum is at least zero, if it is."""
        if sum(factor * self.truth[place] for place, factor in terms) >= 0:
            self._add(terms, 0.0, np.inf)

    def between(self, terms: Terms, lower: float, upper: float) -> None:
        """The sum lies between two numbers."""
        self._add(terms, lower, upper)

    def _add(self, terms: Terms, lower: float, upper: float) -> None:
        if any(np.isnan(self.truth[place]) for place, _ in terms):
            return
        unknown = tuple((place, factor) for place, factor in terms if not self.known[place])
        if not unknown:
            return
        constant = sum(factor * self.truth[place] for place, factor in terms if self.known[place])
        known = {place for place, _ in terms if self.known[place]}
        for place, _ in unknown:
            self.near.setdefault(place, set()).update(known)
        self.rows.append((unknown, lower - constant, upper - constant))

    def components(self) -> tuple[NDArray[np.int64], list[list[int]]]:
        """The number of the component of each unknown, and the rows of each component."""
        size, height = self.truth.size, len(self.rows)
        where = [(size + number, place) for number, (terms, _, _) in enumerate(self.rows) for place, _ in terms]
        pairs = np.array(where, dtype=np.int64).reshape(-1, 2)
        graph = scipy.sparse.csr_array(
            (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size + height, size + height)
        )
        count, label = scipy.sparse.csgraph.connected_components(graph, directed=False)
        rows: list[list[int]] = [[] for _ in range(count)]
        for number in range(height):
            rows[label[size + number]].append(number)
        return label, rows


class Attack:
    """The attack on cells of the form CELLS. It remembers what it solved: hiding one more cell changes little."""

    def __init__(self, cells: pl.DataFrame, pairs: Pairs, same: dict[str, tuple[str, str]]) -> None:
        """Take the cells (of which `on` may show others), the pairs of series, and the groups that are a category."""
        self._pairs, self._same = pairs, same
        found = sums(cells)
        terms = found.group_by(SUM, maintain_order=True).agg(pl.first("_dimension", "_parent"), "_child")
        by_parent = dict(cells.select("_cell", "submission_id").iter_rows())
        self._sums: dict[str, list[tuple[str, int, list[int]]]] = {}
        for _, dimension, parent, children in terms.iter_rows():
            self._sums.setdefault(by_parent[parent], []).append((dimension, parent, children))
        self._denominators = {
            str(key[0]): denominators(rows) for key, rows in cells.group_by("submission_id", maintain_order=True)
        }
        self._solved: dict[Any, tuple[float, float]] = {}
        self._found: dict[str, tuple[pl.DataFrame, bool, Finding]] = {}
        self.passed: set[Terms] = set()
        """What was wide enough: hiding more makes it wider, so the repair does not ask again. The last audit does."""

    def on(self, cells: pl.DataFrame, *, thorough: bool = True) -> Finding:
        """Attack every hand-in of the cells; one whose cells are as before is not attacked again.

        Without `thorough`, only what did not pass in an earlier call; the cells must hide at least what they hid then.
        """
        findings = []
        for key, rows in cells.sort("_cell").group_by("submission_id", maintain_order=True):
            name = str(key[0])
            before = self._found.get(name)
            if before is None or before[1] != thorough or not before[0].equals(rows, null_equal=True):
                self._found[name] = (rows, thorough, self._hand_in(rows, name, thorough=thorough))
            findings.append(self._found[name][2])
        schema = {"_cell": pl.UInt32, "width": pl.Float64, "passed": pl.Boolean}
        frames = [pl.DataFrame(schema=schema), *(finding.cells for finding in findings)]
        return Finding(pl.concat(frames), tuple(item for finding in findings for item in finding.narrow))

    def _hand_in(self, rows: pl.DataFrame, name: str, *, thorough: bool) -> Finding:
        found = self._sums.get(name, [])
        hand_in = _HandIn(rows, found, self._denominators[name], self._pairs, self._same, self)
        return hand_in.attack(set() if thorough else self.passed)

    def interval(self, system: _System, component: Sequence[int], terms: Terms) -> tuple[float, float]:
        """The smallest and largest value of the sum of terms that fits the rows of its component."""
        constant = sum(factor * system.truth[place] for place, factor in terms if system.known[place])
        target = {place: factor for place, factor in terms if not system.known[place]}
        if not target:
            return constant, constant
        rows = [system.rows[number] for number in component]
        places = sorted({place for unknown, _, _ in rows for place, _ in unknown} | target.keys())
        order = {place: number for number, place in enumerate(places)}
        key = (
            tuple((tuple((order[place], factor) for place, factor in unknown), *ends) for unknown, *ends in rows),
            tuple((system.lower[place], system.upper[place], system.kind[place]) for place in places),
            tuple((order[place], factor) for place, factor in target.items()),
        )
        if key not in self._solved:
            self._solved[key] = _solve(*key) if rows else _alone(*key[1:])
        low, high = self._solved[key]
        return constant + low, constant + high


def _alone(unknowns: Sequence[tuple[float, float, int]], target: Terms) -> tuple[float, float]:
    """The interval of unknowns that nothing binds."""
    lowest = [0.0 if kind == INTEGER_OR_ZERO else lower for lower, _, kind in unknowns]
    ends = [(factor * lowest[place], factor * unknowns[place][1]) for place, factor in target]
    return sum(min(pair) for pair in ends), sum(max(pair) for pair in ends)


def _solve(rows: Sequence[Any], unknowns: Sequence[tuple[float, float, int]], target: Terms) -> tuple[float, float]:
    cost = np.zeros(len(unknowns))
    for place, factor in target:
        cost[place] = factor
    lower, upper, kind = (np.array(values) for values in zip(*unknowns, strict=True))
    constraints = []
    if rows:
        entries = [(number, place, factor) for number, (terms, *_) in enumerate(rows) for place, factor in terms]
        row, column, factors = (np.array(values) for values in zip(*entries, strict=True))
        matrix = scipy.sparse.csr_array((factors, (row, column)), shape=(len(rows), len(unknowns)))
        least, most = [low for _, low, _ in rows], [high for *_, high in rows]
        constraints = [scipy.optimize.LinearConstraint(matrix, least, most)]
    bounds = scipy.optimize.Bounds(lower, upper)
    relaxed = scipy.optimize.Bounds(np.where(kind == INTEGER_OR_ZERO, 0.0, lower), upper)
    ends = []
    for sign in (1.0, -1.0):
        # Most of these systems have whole corners; where the simple program finds one, the other finds none better.
        found = scipy.optimize.milp(sign * cost, bounds=relaxed, constraints=constraints)
        if found.x is None or not _whole(found.x, lower, kind):
            options = {"mip_rel_gap": 0.0}
            found = scipy.optimize.milp(
                sign * cost, integrality=kind, bounds=bounds, constraints=constraints, options=options
            )
        if found.x is None:
            raise ValueError(f"the published numbers contradict their rules ({found.message}): a status is wrong")
        ends.append(float(sign * found.fun))
    return round(ends[0], 6), round(ends[1], 6)


def _whole(values: Numbers, lower: Numbers, kind: Numbers) -> bool:
    """Whether a solution has what the simple program does not ask for: whole numbers, none between 0 and lower."""
    counts = values[kind != CONTINUOUS]
    whole = np.abs(counts - np.round(counts)) < TOLERANCE
    beyond = (kind != INTEGER_OR_ZERO) | (values < TOLERANCE) | (values > lower - TOLERANCE)
    return bool(whole.all() and beyond.all())


class _Connected:
    """A system in its components."""

    def __init__(self, system: _System, solver: Attack) -> None:
        self._system, self._solver = system, solver
        self._label, self._rows = system.components()
        self._around: dict[int, set[int]] = {}
        for place, beside in system.near.items():
            self._around.setdefault(self._label[place], set()).update(beside)

    def interval(self, terms: Terms) -> tuple[float, float]:
        """The smallest and largest value that an outsider cannot exclude."""
        labels = {self._label[place] for place, _ in terms if not self._system.known[place]}
        rows = sorted(row for label in labels for row in self._rows[label])
        return self._solver.interval(self._system, rows, terms)

    def near(self, terms: Terms) -> set[int]:
        """What is known and stands in a row with one of the terms."""
        return {other for place, _ in terms for other in self._system.near.get(place, ())}

    def far(self, terms: Terms) -> set[int]:
        """What is known and stands in a component with one of the terms."""
        return {other for place, _ in terms for other in self._around.get(self._label[place], ())}


class _HandIn:
    """The cells of one hand-in, ready to be attacked: lists by position, places of unknowns 3 x position + kind."""

    def __init__(
        self,
        rows: pl.DataFrame,
        found: list[tuple[str, int, list[int]]],
        denominator: Any,
        pairs: Pairs,
        same: dict[str, tuple[str, str]],
        attack: Attack,
    ) -> None:
        self.name = rows["submission_id"][0]
        self.solver, self.pairs, self.same = attack, pairs, same
        self.cell, self.series = rows["_cell"].to_list(), rows["series"].to_list()
        self.stratum, self.reason = rows["stratum"].to_list(), rows["reason"].to_list()
        self.sensitive, self.shown = rows["sensitive"].to_list(), rows["shown"].to_list()
        self.differs, self.n = rows["differs"].to_list(), rows["n"].to_list()
        self.public = [shown or known for shown, known in zip(self.shown, rows["known"].to_list(), strict=True)]
        told = set(zip(self.series, self.reason, strict=True)) | {
            (series, SMALL_SAMPLE) for series, shown in zip(self.series, self.shown, strict=True) if shown
        }
        self.withheld = set(self.series) - {series for series, reason in told if reason not in (None, TO_PROTECT)}
        self.position = {cell: position for position, cell in enumerate(self.cell)}
        self.by_name = {
            (series, stratum): position
            for position, (series, stratum) in enumerate(zip(self.series, self.stratum, strict=True))
        }
        self.sums = [
            (dimension, self.position[parent], [self.position[child] for child in children])
            for dimension, parent, children in found
        ]
        self.people = [
            (denominator[series], stratum) for series, stratum in zip(self.series, self.stratum, strict=True)
        ]
        self.most = float(max([2 * FEWEST_CASES, *self.n]))
        numerator = rows["numerator"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        n = rows["n"].cast(pl.Float64).to_numpy()
        truth = np.column_stack([numerator, n - numerator, rows["amount"].fill_null(np.nan).to_numpy()]).ravel()
        dominated = {series for series, reason in zip(self.series, self.reason, strict=True) if reason == DOMINANCE}
        self.kinds = [(IN, OUT, AMOUNT) if series in dominated else (IN, OUT) for series in self.series]
        self.truth = truth
        self.findings: dict[int, tuple[float, bool]] = {}
        self.narrow: list[Narrow] = []

    def attack(self, passed: set[Terms]) -> Finding:
        """Attack the denominators first, then the numerators given what is known of the denominators.

        passed: what need not be asked again, by cell; grows.
        """
        self._numerators(self._denominators(), passed)
        frame = pl.DataFrame(
            [(self.cell[position], *found) for position, found in self.findings.items()],
            schema={"_cell": pl.UInt32, "width": pl.Float64, "passed": pl.Boolean},
            orient="row",
        )
        return Finding(frame, tuple(self.narrow))

    def _denominators(self) -> dict[tuple[int, str], tuple[float, float]]:
        """The interval of n of every stratum of every denominator."""
        place: dict[tuple[int, str], int] = {}
        members: list[list[int]] = []
        for position, key in enumerate(self.people):
            if key not in place:
                place[key] = len(members)
                members.append([])
            members[place[key]].append(position)
        n = np.array([self.n[group[0]] for group in members], dtype=np.float64)
        reasons = [{self.reason[p] for p in group if self.series[p] not in self.withheld} for group in members]
        few = np.array([SMALL_SAMPLE in found for found in reasons])
        enough = np.array([bool(found & {SMALL_NUMBER, DOMINANCE, TO_PROTECT}) for found in reasons]) & ~few
        known = np.array([any(self.public[position] for position in group) for group in members])
        whole = n >= max(n.max(initial=0.0), FEWEST_CASES)  # `sources` says how many were accepted
        known |= np.array([self.stratum[group[0]] == "_T" for group in members]) & whole
        system = _System(
            truth=n,
            known=known,
            lower=np.where(few, 1.0, np.where(enough, float(FEWEST_CASES), 0.0)),
            upper=np.where(few, FEWEST_CASES - 1.0, self.most),
            kind=np.full(n.size, INTEGER),
        )
        seen = set()
        for dimension, parent, children in self.sums:
            places = (place[self.people[parent]], *(place[self.people[child]] for child in children))
            if (dimension, places) not in seen:
                seen.add((dimension, places))
                _sum(system, dimension, places[0], places[1:], self._made_of(parent, children))
        label, rows = system.components()
        found = {}
        for key, number in place.items():
            interval = self.solver.interval(system, rows[label[number]], ((number, 1.0),))
            found[key] = interval
            small = [p for p in members[number] if self.reason[p] == SMALL_SAMPLE and not self.public[p]]
            if known[number] or not small:
                continue
            near = [other for other in system.near.get(number, ()) if self.stratum[members[other][0]] != "_T"]
            passed = interval[0] < interval[1] or not near
            for position in small:
                self._note(position, interval, passed)
            if not passed:
                cheapest = min(near, key=lambda other: (n[other], self.stratum[members[other][0]]))
                self._too_narrow(small[0], [p for p in members[cheapest] if self.shown[p]])
        return found

    def _made_of(self, parent: int, children: list[int]) -> str:
        """How a total hangs together with its parts; households overlap, with a woman and with a man in them."""
        left = self.n[parent] - sum(self.n[child] for child in children)
        if left < 0:
            return HOUSEHOLDS
        return CATEGORIES if left <= NO_ANSWER * self.n[parent] else NOT_ALL

    def _numerators(self, people: dict[tuple[int, str], tuple[float, float]], passed: set[Terms]) -> None:
        system = _Connected(self._system(people), self.solver)
        for position, reason in enumerate(self.reason):
            if reason is None or self.public[position]:
                continue
            n = people[self.people[position]]
            for kind in self._protected(reason, n):
                terms: Terms = ((3 * position + kind, 1.0),)
                if (asked := self._of_release(terms)) in passed:
                    continue
                found = system.interval(terms)
                wide = self._wide_enough(position, reason, n, found)
                self._note(position, found, wide)
                if wide:
                    passed.add(asked)
                else:
                    self._too_narrow(position, self._protector(system, terms))
        for terms, owner, choices in self._small_sets():
            if (asked := self._of_release(terms)) in passed:
                continue
            low, high = system.interval(terms)
            if high - low >= PROTECTION - TOLERANCE:
                passed.add(asked)
            else:
                self._too_narrow(owner, self._protector(system, terms, choices))

    def _protector(self, system: _Connected, terms: Terms, preferred: Sequence[int] = ()) -> list[int]:
        """The shown cell to hide: one in a sum with these unknowns, else in the same system, else a headline."""
        near, far = ({place // 3 for place in places} for places in (system.near(terms), system.far(terms)))
        found = (hide for choices in (preferred, near, far) if (hide := self._cheapest(choices)))
        return next(found, []) or self._cheapest(near | far, headline=True)

    def _of_release(self, terms: Terms) -> Terms:
        """The terms by cells of the whole release, not by position in the hand-in."""
        return tuple((3 * self.cell[place // 3] + place % 3, factor) for place, factor in terms)

    def _protected(self, reason: str, n: tuple[float, float]) -> tuple[int, ...]:
        """The unknowns of a hidden cell that must not be reckoned; with n known the others are as safe as the first."""
        if reason == DOMINANCE:
            return (AMOUNT,)
        return (IN, OUT) if n[0] < n[1] else (IN,)

    def _wide_enough(self, position: int, reason: str, n: tuple[float, float], found: tuple[float, float]) -> bool:
        low, high = found
        if reason == DOMINANCE:
            truth = self.truth[3 * position + AMOUNT]
            margin = DOMINANCE_PERCENT / 100 * truth - TOLERANCE
            return bool(low <= truth - margin and high >= truth + margin)
        exact = reason == TO_PROTECT and not self.differs[position]
        return high - low >= min(1 if exact else PROTECTION, n[1]) - TOLERANCE

    def _note(self, position: int, interval: tuple[float, float], passed: bool) -> None:
        width = 1.0 if np.isinf(interval[1]) else (interval[1] - interval[0]) / max(interval[1], 1.0)
        before = self.findings.get(position, (np.inf, True))
        self.findings[position] = (min(before[0], float(width)), before[1] and passed)

    def _cheapest(self, positions: Iterable[int], *, headline: bool = False) -> list[int]:
        """The shown cell of the fewest cases; a headline only if asked."""
        shown = [p for p in set(positions) if self.shown[p] and (headline or self.stratum[p] != "_T")]
        return sorted(shown, key=lambda p: (self.stratum[p] == "_T", self.n[p], self.cell[p]))[:1]

    def _too_narrow(self, position: int, hide: Sequence[int]) -> None:
        cells = tuple(self.cell[p] for p in hide)
        reason = self.reason[position] or TO_PROTECT
        self.narrow.append(Narrow(self.name, self.series[position], reason, cells))

    def _system(self, people: dict[tuple[int, str], tuple[float, float]]) -> _System:
        """Everything that an outsider knows of numerators, the others, and amounts."""
        size = self.truth.size
        known = np.repeat(np.array(self.public), 3)
        lower, upper = np.zeros(size), np.full(size, self.most)
        kind = np.full(size, INTEGER)
        upper[AMOUNT::3], kind[AMOUNT::3] = np.inf, CONTINUOUS
        system = _System(self.truth, known, lower, upper, kind)
        for position, reason in enumerate(self.reason):
            if self.public[position]:
                continue
            at, least = 3 * position, 0 if self.sensitive[position] else 1
            if self.series[position] in self.withheld:
                pass
            elif reason == SMALL_NUMBER:
                side = IN if self.truth[at] <= self.truth[at + 1] else OUT
                lower[at + side], upper[at + side] = least, SMALL_COUNT
            elif reason in (TO_PROTECT, DOMINANCE) and min(self.truth[at : at + 2]) not in range(1, SMALL_COUNT + 1):
                for side in (IN, OUT):
                    lower[at + side] = SMALL_COUNT + 1
                    kind[at + side] = INTEGER if self.sensitive[position] else INTEGER_OR_ZERO
            system.between(((at, 1.0), (at + 1, 1.0)), *people[self.people[position]])
        for dimension, parent, children in self.sums:
            for side in self.kinds[parent]:
                places = [3 * child + side for child in children]
                _sum(system, dimension, 3 * parent + side, places, self._made_of(parent, children))
        self._link_series(system)
        self._link_groups(system)
        return system

    def _strata_of(self, first: str, second: str) -> list[tuple[int, int]]:
        return [
            (position, other)
            for position, series in enumerate(self.series)
            if series == first and (other := self.by_name.get((second, self.stratum[position]))) is not None
        ]

    def _nested(self) -> Iterable[tuple[int, int]]:
        """Pairs of cells (narrow, wide) of the same people in the same stratum."""
        present = set(self.series)
        for narrow, wide in sorted(self.pairs.nested):
            if {narrow, wide} <= present:
                for first, second in self._strata_of(narrow, wide):
                    if self.n[first] == self.n[second] and self.truth[3 * first] <= self.truth[3 * second]:
                        yield first, second

    def _link_series(self, system: _System) -> None:
        for first, second in self._nested():
            system.not_negative(((3 * second, 1.0), (3 * first, -1.0)))
            system.not_negative(((3 * first + OUT, 1.0), (3 * second + OUT, -1.0)))
        present = set(self.series)
        for series, wide in sorted(self.pairs.within):
            if not {series, wide} <= present:
                continue
            common = self._strata_of(series, wide)
            exact = all(self.n[first] == self.truth[3 * second] for first, second in common)
            for first, second in common:
                terms = ((3 * second, 1.0), (3 * first, -1.0), (3 * first + OUT, -1.0))
                (system.equal if exact else system.not_negative)(terms)

    def _link_groups(self, system: _System) -> None:
        """A group that is a category of a breakdown by its official code, and has the same n, is the same people."""
        for group, (dimension, code) in self.same.items():
            for position, stratum in enumerate(self.stratum):
                other = self.by_name.get((self.series[position], f"{dimension}={code}"))
                if stratum != f"{GROUP}={group}" or other is None or self.n[position] != self.n[other]:
                    continue
                for side in (IN, OUT):
                    if self.truth[3 * position + side] == self.truth[3 * other + side]:
                        system.equal(((3 * position + side, 1.0), (3 * other + side, -1.0)))

    def _small_sets(self) -> Iterable[tuple[Terms, int, tuple[int, ...]]]:
        """Sums of cells that count 1 to 4: the terms, a cell that owns the set, the cells best hidden for it."""
        for dimension, parent, children in self.sums:
            hidden = [child for child in children if not self.public[child]]
            for side in (IN, OUT):
                terms: Terms = ()
                if dimension == GROUP:
                    terms = ((3 * parent + side, 1.0), *((3 * child + side, -1.0) for child in children))
                elif len(hidden) > 1:
                    terms = tuple((3 * child + side, 1.0) for child in hidden)
                if terms and self._is_small(terms):
                    yield terms, children[0], tuple(children)
        for first, second in self._nested():
            terms = ((3 * second, 1.0), (3 * first, -1.0))
            if self._is_small(terms):
                yield terms, first, (first,)

    def _is_small(self, terms: Terms) -> bool:
        return bool(1 <= sum(factor * self.truth[place] for place, factor in terms) <= SMALL_COUNT)


def _sum(system: _System, dimension: str, parent: int, children: Sequence[int], made_of: str) -> None:
    """The rows of a parent and its parts; a group is a part by itself."""
    all_together: Terms = ((parent, 1.0), *((child, -1.0) for child in children))
    if dimension == GROUP or made_of == NOT_ALL:
        system.not_negative(all_together)
        return
    if made_of == CATEGORIES:
        system.equal(all_together)
        return
    for child in children:
        system.not_negative(((parent, 1.0), (child, -1.0)))
    system.not_negative(tuple((place, -factor) for place, factor in all_together))


def summary(cells: pl.DataFrame, finding: Finding) -> pl.DataFrame:
    """The table DISCLOSURE_AUDIT: by hand-in, series and reason what was attacked; no hidden value, no interval."""
    width = pl.col("width")
    classes: Any = pl.when(width.is_null()).then(None)
    for below, name in WIDTHS:
        classes = classes.when(width <= below if below == 0 else width < below).then(pl.lit(name))
    failed = {(item.submission_id, item.series) for item in finding.narrow}
    names = {"submission_id": pl.String, "series": pl.String}
    unsafe = pl.DataFrame(sorted(failed), schema=names, orient="row").with_columns(unsafe=pl.lit(value=True))
    return (
        cells.filter(~pl.col("shown") & pl.col("reason").is_in(REASONS))
        .join(finding.cells, on="_cell", how="left")
        .group_by("submission_id", "series", "reason")
        .agg(
            n_hidden=pl.len(),
            n_attacked=width.count(),
            n_public_before=pl.col("known").sum(),
            width=width.min(),
            passed=pl.col("passed").all(),
        )
        .join(
            unsafe.cast({"submission_id": pl.String, "series": pl.String}), on=["submission_id", "series"], how="left"
        )
        .with_columns(narrowest=classes, passed=pl.col("passed") & pl.col("unsafe").is_null())
        .select(pl.col(name).cast(kind) for name, kind in DISCLOSURE_AUDIT.schema.items())
        .sort(DISCLOSURE_AUDIT.key)
    )
