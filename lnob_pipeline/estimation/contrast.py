"""How much two strata differ: the difference and the ratio of their estimates, with the covariance of the two.

Here: `contrast`, and the two words that stand for many strata, `EACH` and `EVERY_OTHER`. Not here: the estimates of
the strata themselves (`engine`), their sums (`cells`), the formula of the variance (`variance`).

Method. The *domain* of a contrast of stratum a with reference b is the rows in either. With z_a and z_b the scores of
a cluster in the two (`engine` defines them; zero where the cluster has no row of the stratum), the score of

- the difference a - b is z_a - z_b,
- the ratio a / b is z_a / b - a z_b / b^2,
- the log-ratio ln(a / b) is z_a / a - z_b / b,

and the variance of each is that of `engine` with this score in place of z: both stages, finite populations and lonely
clusters alike. As scores are subtracted within a cluster, strata that share clusters or rows (a stratum in its total)
have their covariance counted, Var(a - b) = Var(a) + Var(b) - 2 Cov(a, b); it is never taken to be zero.
Sources: Binder (1983); Lumley, *Complex Surveys* (2010), section 2.4; R package survey (`svycontrast` of
`svyby(covmat = TRUE)` on the design restricted to the rows in a or b), with which the results agree.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Literal, get_args

import duckdb
import numpy as np
import polars as pl
import scipy  # its submodule special is loaded at first use
from numpy.typing import NDArray

from lnob_pipeline import warehouse
from lnob_pipeline.estimation.cells import Cells, PartColumns
from lnob_pipeline.estimation.design import Design, Estimand, EstimationInputError, Total
from lnob_pipeline.estimation.engine import NO_SPREAD, TEXTS, _answer, _check_call
from lnob_pipeline.estimation.intervals import Estimates, interval
from lnob_pipeline.estimation.sample import Sample, Stage
from lnob_pipeline.estimation.source import Source, parts_of
from lnob_pipeline.estimation.variance import GroupScores, stage_variance

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

ContrastKind = Literal["difference", "ratio", "log_ratio"]
KINDS: tuple[ContrastKind, ...] = get_args(ContrastKind)


class Levels(Enum):
    """Words for many levels of a column; see `contrast`."""

    EACH = "each"
    EVERY_OTHER = "every other"


EACH = Levels.EACH
"""Each level of the column in turn; the same level on both sides where both name it."""
EVERY_OTHER = Levels.EVERY_OTHER
"""In the reference: in turn each level of the column other than that of the stratum."""

Stratum = Mapping[str, object]
"""A stratum as columns and levels, {"sex": "F", "region": "N"}; {} is the total."""
Add = Callable[[Codes, Array, int], Array]
"""`_sum` or `_sum_in_any_order`."""
LevelCodes = Mapping[str, Mapping[object, int]]
"""The codes of the levels of each breakdown column."""

PAIRS = 100_000
"""One call contrasts at most so many pairs."""
CELLS_AT_ONCE = 2_000_000
"""Pairs are joined in portions of about so many cells, to bound memory; the numbers do not depend on it."""
BITS = 26
"""Whole numbers of so many bits add up exactly in floats, up to 2^26 of them."""
ROUNDING = 1e-15
"""A covariance below this share of the variances that it is made of is the rounding error of zero."""

REFERENCE = "_reference"
NUMBERS = ("est_stratum", "se_stratum", "est_reference", "se_reference", "covariance")
OF_THE_CONTRAST = ("contrast", "est", "se", "df", "ci_low", "ci_high", "p_value", "status")


def contrast(
    source: Source,
    design: Design | None,
    estimands: Sequence[Estimand],
    between: Sequence[tuple[Stratum, Stratum]],
    *,
    kinds: Sequence[ContrastKind] = KINDS,
    confidence: float = 0.95,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> pl.DataFrame:
    """Contrast pairs of strata in every estimand: one row an estimand, kind and pair, in that order.

    `between`: pairs (stratum, reference), each a dictionary of columns and levels, {} being the total:

    - women against men: `({"sex": "F"}, {"sex": "M"})`;
    - each district against the total, against one, against every other: `({"district": EACH}, {})`,
      `({"district": EACH}, {"district": "Turkana"})`, `({"district": EACH}, {"district": EVERY_OTHER})`;
    - women against men in each district: `({"sex": "F", "district": EACH}, {"sex": "M", "district": EACH})`.

    `EACH` and `EVERY_OTHER` give the pairs of strata that the sample has, without a stratum against itself. A pair
    written out has its rows even where the sample has none. `kinds` chooses among difference, ratio and log_ratio. The
    other arguments, the treatment of missing values and the promise of same bytes are those of `estimate`; all pairs
    come from one pass over the data.

    Columns of the answer:
    - `estimand`, `y`, `x`, `level` as in `estimate`; each column of `between` twice, `<column>` for the stratum and
      `<column>_reference`, null where that side is not broken down by it; `n` and `n_reference`, rows with a weight
      above zero;
    - `est_stratum`, `se_stratum`, `est_reference`, `se_reference`, as `estimate` has them; `covariance` of the two
      estimates, in the square of their unit;
    - `contrast`, the kind; its `est` (in the unit of the estimates for a difference, without unit otherwise) and `se`;
    - `df`, as `degf` of R for the design restricted to the rows in either stratum: clusters with a row of weight above
      zero in the stratum or the reference, minus design strata with one;
    - `ci_low`, `ci_high`: est -/+ t(df) se for a difference and a log-ratio; for a ratio the exponential of the bounds
      of its log-ratio, so null unless the ratio is above zero;
    - `p_value`: two-sided t test, with df, that the two are equal (difference = 0; log-ratio = 0, which serves the
      ratio too). Null where se is 0. It is not corrected for the number of pairs;
    - `status`, the first that holds: `no_rows`, one side has none; `not_probability`, there is no design: then there
      is the est of a difference and nothing else; `not_estimable`, one side is not estimable (its denominator is 0 or
      its df <= 0), a ratio has a reference of 0, or a log-ratio is not of two numbers of one sign: no interval;
      `lonely_psu`, lonely clusters forbid the variance of a side or of the contrast; `degenerate`, a side is constant
      (a share of 0 or 1) and adds nothing to se, which is too small, or 0 if both are; `ok`.

    Lonely clusters are judged in the domain of the contrast, as df is. So se^2 of a difference is se_stratum^2 +
    se_reference^2 - 2 covariance, except where a lonely design stratum counts differently in the domain of one side
    than in that of both (`average`; totals with `adjust`; `adjust_domain_lonely`).

    Raises EstimationInputError for input that cannot be estimated from, for a column or level that the data do not
    have (naming the nearest) and for a stratum contrasted with itself.
    """
    _check_between(between, kinds)
    strata = [side for pair in between for side in pair]
    by_columns = list(dict.fromkeys(column for side in strata for column in side))
    breakdowns = list(dict.fromkeys([(), *(tuple(c for c in by_columns if c in side) for side in strata)]))
    _check_call(estimands, breakdowns, (), confidence)
    _check_names(by_columns)
    session = warehouse.connect() if connection is None else connection.cursor()
    try:
        sample = Sample(session, source, design, estimands, by_columns)
        cells = Cells(sample, breakdowns)
        pairs = _Pairs.of(cells, between)
        answer = _answer(sample, cells, estimands, (), 1 - confidence)
        height = answer.height // len(estimands)
        estimates = [answer.slice(index * height, height) for index in range(len(estimands))]
        pairs = pairs.of_sample(estimates[0])
        sides = [_Sides(pairs, frame) for frame in estimates]
        if design is not None:
            _add_variances(sides, estimands, pairs, design)
    finally:
        session.close()
    return pl.concat([_frame(side, kind, design is not None, 1 - confidence) for side in sides for kind in kinds])


def _check_between(between: Sequence[tuple[Stratum, Stratum]], kinds: Sequence[ContrastKind]) -> None:
    example = '[({"sex": "F"}, {"sex": "M"})]'
    if isinstance(between, str | Mapping) or not between:
        raise EstimationInputError(f"between must be a list of pairs (stratum, reference), such as {example}.")
    for pair in between:
        if isinstance(pair, str | Mapping) or len(pair) != 2 or not all(isinstance(side, Mapping) for side in pair):
            raise EstimationInputError(
                f"between holds {pair!r}, which is no pair of dictionaries of columns and levels. Write {example}."
            )
        stratum, reference = pair
        for column, level in (*stratum.items(), *reference.items()):
            if level is None:
                raise EstimationInputError(
                    f"The level of {column!r} is None, but rows without a value lie in no stratum. Leave the column "
                    "out for the total."
                )
        others = {column for column, level in reference.items() if level is EVERY_OTHER}
        if any(level is EVERY_OTHER for level in stratum.values()) or not others <= set(stratum):
            raise EstimationInputError(
                "EVERY_OTHER stands in the reference, for a column that the stratum names too, such as "
                '({"district": EACH}, {"district": EVERY_OTHER}).'
            )
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS):
        raise EstimationInputError(f"kinds is {kinds!r}; name some of {', '.join(KINDS)}, each once.")


def _check_names(by_columns: Sequence[str]) -> None:
    names = [*by_columns, *(column + REFERENCE for column in by_columns)]
    names += [*TEXTS, "n", "n" + REFERENCE, *NUMBERS, *OF_THE_CONTRAST]
    for column in by_columns:
        if names.count(column) > 1 or names.count(column + REFERENCE) > 1:
            raise EstimationInputError(
                f"The answer would have two columns {column!r} or {column + REFERENCE!r}. Rename {column!r}."
            )


# Which strata -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Pairs of strata as numbers of domains; `written` where the caller wrote the pair out."""

    cells: Cells
    stratum: Codes
    reference: Codes
    written: Flags

    @classmethod
    def of(cls, cells: Cells, between: Sequence[tuple[Stratum, Stratum]]) -> _Pairs:
        levels = zip(cells.sample.by_columns, cells.sample.levels, strict=True)
        codes = {column: {level: code for code, level in enumerate(values.to_list())} for column, values in levels}
        written: dict[tuple[int, int], bool] = {}
        for stratum, reference in between:
            one = not any(isinstance(level, Levels) for level in (*stratum.values(), *reference.values()))
            for left, right in _expand(stratum, reference, codes):
                pair = (_domain(cells, left, codes), _domain(cells, right, codes))
                if pair[0] != pair[1]:
                    written[pair] = written.get(pair, False) or one
                elif one:
                    raise EstimationInputError(f"The stratum {dict(stratum)!r} is contrasted with itself.")
                if len(written) > PAIRS:
                    raise EstimationInputError(f"There are more than {PAIRS:,} pairs of strata. Name fewer levels.")
        both = np.array(list(written), dtype=np.int64).reshape(-1, 2)
        return cls(cells, both[:, 0], both[:, 1], np.array(list(written.values()), dtype=bool))

    def side(self, domains: Codes, estimates: pl.DataFrame) -> pl.DataFrame:
        """The rows of `estimates` (of one estimand) for `domains`; null where the sample has no row of a domain."""
        keys = [*self.cells.sample.by_columns, "stratum_depth"]
        strata = self.cells.strata(domains)
        return strata.join(estimates, on=keys, how="left", nulls_equal=True, maintain_order="left", validate="m:1")

    def of_sample(self, estimates: pl.DataFrame) -> _Pairs:
        """Without the pairs that were not written out and of which the sample lacks a side."""
        there = [self.side(domains, estimates)["n_rows"].is_not_null() for domains in (self.stratum, self.reference)]
        keep = self.written | (there[0] & there[1]).to_numpy()
        return _Pairs(self.cells, self.stratum[keep], self.reference[keep], self.written[keep])


def _expand(stratum: Stratum, reference: Stratum, codes: LevelCodes) -> Iterator[tuple[Stratum, Stratum]]:
    """The pairs of strata for which a pair with `EACH` and `EVERY_OTHER` stands."""

    def fill(side: Stratum, word: Levels, chosen: Stratum) -> Stratum:
        return {column: chosen[column] if level is word else level for column, level in side.items()}

    each = list(dict.fromkeys(c for side in (stratum, reference) for c, level in side.items() if level is EACH))
    other = [column for column, level in reference.items() if level is EVERY_OTHER]
    for levels in product(*(codes[column] for column in each)):
        chosen = dict(zip(each, levels, strict=True))
        left = fill(stratum, EACH, chosen)
        for others in product(*([level for level in codes[column] if level != left[column]] for column in other)):
            right = fill(fill(reference, EACH, chosen), EVERY_OTHER, dict(zip(other, others, strict=True)))
            yield left, right


def _domain(cells: Cells, stratum: Stratum, codes: LevelCodes) -> int:
    """The number of a stratum among the domains: the offset of its breakdown and the mixed-radix code of its levels."""
    index = [set(breakdown) for breakdown in cells.breakdowns].index(set(stratum))
    number = 0
    for column in cells.breakdowns[index]:
        number = number * max(1, len(codes[column])) + _code(column, stratum[column], codes[column])
    return cells.offset[index] + number


def _code(column: str, level: object, codes: Mapping[object, int]) -> int:
    if level in codes:
        return codes[level]
    words = {str(known).lower(): known for known in codes}
    near = difflib.get_close_matches(str(level).lower(), list(words), n=3) or list(words)[:5]
    hint = f"Is it {' or '.join(repr(words[word]) for word in near)}?" if near else "All its rows are without a value."
    raise EstimationInputError(f"The column {column!r} never has the level {level!r}. {hint}")


# Variances --------------------------------------------------------------------------------------------------------


class _Sides:
    """The two sides a and b of every pair in one estimand, and of their contrasts what the data say.

    `variance` is that of "a - b", "a + b" and "a / b"; NaN where unknown. Arrays over the pairs.
    """

    def __init__(self, pairs: _Pairs, estimates: pl.DataFrame) -> None:
        self.texts, self.by_columns = estimates.head(1).select(TEXTS), pairs.cells.sample.by_columns
        self.stratum, self.reference = (pairs.side(domains, estimates) for domains in (pairs.stratum, pairs.reference))
        self.a, self.b = (_numbers(side, "est") for side in (self.stratum, self.reference))
        self.df = np.full(self.a.size, np.nan)
        self.variance = {name: np.full(self.a.size, np.nan) for name in ("a - b", "a + b", "a / b")}


def _numbers(frame: pl.DataFrame, column: str) -> Array:
    return frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _add_variances(sides: Sequence[_Sides], estimands: Sequence[Estimand], pairs: _Pairs, design: Design) -> None:
    """Add up the variances of each stage, a portion of the pairs at a time, and count the degrees of freedom."""
    cells = pairs.cells
    parts = [[cells.sample.parts[single] for single in parts_of(estimand)] for estimand in estimands]
    part_columns = [[cells.add_part(part) for part in several] for several in parts]
    counts = [cells.add_domain(several) for several in parts]
    names = [name for several in part_columns for part in several for name in (part.y, part.x)]
    names += [name for count in counts for name in (count.n, count.n_rows)]
    wanted = np.union1d(pairs.stratum, pairs.reference)
    left, right = (np.searchsorted(wanted, domains) for domains in (pairs.stratum, pairs.reference))
    for side in sides:
        for variance in side.variance.values():
            variance.fill(0.0)
    for stage in cells.sample.stages:
        frame = cells.fetch(stage.number, names, wanted)
        sums = {name: frame[name].to_numpy() for name in names}
        domain: Codes = np.searchsorted(wanted, frame["domain"].to_numpy())
        add = _sum if design.clusters else _sum_in_any_order
        scores = [_scores(sums, domain, *of, add) for of in zip(estimands, part_columns, strict=True)]
        bounds = np.searchsorted(domain, np.arange(wanted.size + 1))
        size = np.diff(bounds)[left] + np.diff(bounds)[right]
        for portion in np.split(np.arange(size.size), np.flatnonzero(np.diff(np.cumsum(size) // CELLS_AT_ONCE)) + 1):
            if not portion.size:
                continue
            joint = _Joint(frame, stage, bounds, left[portion], right[portion], add)
            for side, z, count in zip(sides, scores, counts, strict=True):
                a, b = (values[portion][joint.pair_of_cluster] for values in (side.a, side.b))
                of_a, of_b = joint.by_cluster(z)
                with np.errstate(invalid="ignore", divide="ignore"):
                    contrasts = {"a - b": of_a - of_b, "a + b": of_a + of_b, "a / b": of_a / b - a * of_b / b**2}
                units = joint.units(sums[count.n_rows])
                for name, score in contrasts.items():
                    side.variance[name][portion] += joint.variance(score, units, design)
                if stage.number == 1:
                    side.df[portion] = joint.degrees_of_freedom(sums[count.n])


def _sum(index: Codes, values: Array, size: int) -> Array:
    """The sum of `values` for each of `size` numbers of `index`, added in the order in which they stand."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)


def _sum_in_any_order(index: Codes, values: Array, size: int) -> Array:
    """The same for values in the order of the rows, on which no number may depend.

    Each value is split into two whole numbers of `BITS` bits, which floats add without rounding.
    """
    largest = np.zeros(size)
    with np.errstate(invalid="ignore"):
        np.maximum.at(largest, index, np.abs(values))
    scale = np.ldexp(1.0, BITS - np.maximum(np.frexp(largest)[1], -900))
    scaled = values * scale[index]
    high = np.rint(scaled)
    low = np.rint(np.ldexp(scaled - high, BITS))
    return (_sum(index, high, size) + np.ldexp(_sum(index, low, size), -BITS)) / scale


def _scores(
    sums: Mapping[str, Array], domain: Codes, estimand: Estimand, parts: Sequence[PartColumns], add: Add
) -> Array:
    """The score z of each cell in the estimate of its domain."""
    if isinstance(estimand, Total):
        return sums[parts[0].y]
    z, size = np.zeros(domain.size), int(domain.max(initial=-1)) + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        for part in parts:
            y, x = (add(domain, sums[name], size) for name in (part.y, part.x))
            z += (sums[part.y] - (y / x)[domain] * sums[part.x]) / (len(parts) * x[domain])
    return z


class _Joint:
    """The cells of one stage, those of stratum and reference brought together by cluster, for a portion of the pairs.

    `bounds` are the places where the cells of a domain begin; `left` and `right` the domains of each pair.
    """

    def __init__(self, cells: pl.DataFrame, stage: Stage, bounds: Codes, left: Codes, right: Codes, add: Add) -> None:
        self.stage, self.add, self.pairs = stage, add, left.size
        # One entry a pair x side x cell, the strata before the references: the place of the cell, and its pair.
        domain = np.concatenate([left, right])
        size = np.diff(bounds)[domain]
        self.cell: Codes = np.arange(size.sum()) + np.repeat(bounds[domain] - np.cumsum(size) + size, size)
        self.of_left = int(size[: left.size].sum())
        pair = np.repeat(np.arange(domain.size) % self.pairs, size)
        # One entry a pair x cluster with a cell of either; then one a pair x group.
        unit, group = (cells[name].to_numpy()[self.cell] for name in ("unit", "grp"))
        units, groups = int(unit.max(initial=0)) + 1, stage.size.size
        clusters, self.cluster = np.unique(pair * units + unit, return_inverse=True)
        self.pair_of_cluster: Codes = clusters // units
        group_of_cluster = np.zeros(clusters.size, dtype=np.int64)
        group_of_cluster[self.cluster] = group
        rows, self.row = np.unique(self.pair_of_cluster * groups + group_of_cluster, return_inverse=True)
        self.pair, self.group = np.divmod(rows, groups)
        self.n = stage.size[self.group]
        self.without_cell = self.n - np.bincount(self.row, minlength=rows.size)

    def by_cluster(self, z: Array) -> tuple[Array, Array]:
        """The scores `z` of the cells as one entry a pair x cluster, in the stratum and in the reference."""
        left, right = slice(None, self.of_left), slice(self.of_left, None)
        size = self.pair_of_cluster.size
        return _sum(self.cluster[left], z[self.cell[left]], size), _sum(self.cluster[right], z[self.cell[right]], size)

    def units(self, count: Array) -> Array:
        """The clusters of each pair x group in which `count`, of the cells, is above zero."""
        in_stratum, in_reference = self.by_cluster(count)
        return _sum(self.row, (in_stratum + in_reference > 0).astype(float), self.pair.size)

    def degrees_of_freedom(self, count: Array) -> Array:
        """Clusters minus design strata of each pair, those in which `count` is above zero."""
        units = self.units(count)
        return _sum(self.pair, units - (units > 0), self.pairs)

    def variance(self, score: Array, units: Array, design: Design) -> Array:
        """The variance of each pair from the score of each pair x cluster; `units` as the method of that name."""
        total, squares = (self.add(self.row, values, self.pair.size) for values in (score, score**2))
        mean = total / self.n
        spread = self.add(self.row, (score - mean[self.row]) ** 2, self.pair.size) + self.without_cell * mean**2
        scores = GroupScores(self.pair, self.group, total, squares, spread, units)
        return stage_variance(scores, self.stage, design, self.pairs)


# The answer -------------------------------------------------------------------------------------------------------


def _frame(side: _Sides, kind: ContrastKind, probability: bool, alpha: float) -> pl.DataFrame:
    """The rows of one estimand and kind."""
    a, b = side.a, side.b
    se_a, se_b = (_numbers(frame, "se") for frame in (side.stratum, side.reference))
    statuses = [frame["status"].fill_null("no_rows").to_numpy() for frame in (side.stratum, side.reference)]
    no_rows, not_estimable, degenerate = (
        (statuses[0] == status) | (statuses[1] == status) for status in ("no_rows", "not_estimable", "degenerate")
    )
    difference, added, divided = (side.variance[name] for name in ("a - b", "a + b", "a / b"))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(b != 0, a / b, np.nan)
        log = np.log(np.where(ratio > 0, ratio, np.nan))
        # The rounding error of zero must not look like precision.
        covariance = (added - difference) / 4
        covariance[degenerate | (np.abs(covariance) <= ROUNDING * (added + difference))] = 0.0
        se_difference, se_ratio = np.sqrt(np.maximum(difference, 0)), np.sqrt(np.maximum(divided, 0))
        se_difference[se_difference <= NO_SPREAD * (np.abs(a) + np.abs(b))] = 0.0
        se_ratio[se_ratio <= NO_SPREAD * np.abs(ratio)] = 0.0
        se_log = se_ratio / np.where(ratio > 0, ratio, np.nan)
    unknown = np.isnan(a) | np.isnan(b) | np.isnan(se_a) | np.isnan(se_b)
    for values in (covariance, se_difference, se_ratio, se_log):
        values[unknown] = np.nan
    est, se = {"difference": (a - b, se_difference), "ratio": (ratio, se_ratio), "log_ratio": (log, se_log)}[kind]
    if not probability and kind != "difference":
        est = np.full(est.size, np.nan)

    status = np.select(
        [no_rows, np.full(est.size, not probability), not_estimable | np.isnan(est), np.isnan(se), degenerate],
        ["no_rows", "not_probability", "not_estimable", "lonely_psu", "degenerate"],
        "ok",
    )

    # A ratio has the interval and the test of its logarithm.
    tested, se_tested = (est, se) if kind == "difference" else (log, se_log)
    se_tested = np.where(np.isin(status, ("ok", "degenerate")), se_tested, np.nan)
    low, high = interval("t", Estimates(tested, se_tested, side.df, side.df, side.df, alpha))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if kind == "ratio":
            low, high = np.exp(low), np.exp(high)
        t = np.where(se_tested > 0, np.abs(tested) / se_tested, np.nan)
        p_value = 2 * scipy.special.stdtr(np.where(side.df > 0, side.df, np.nan), -t)

    return side.texts.join(
        pl.concat(
            [
                side.stratum.select(side.by_columns),
                side.reference.select(pl.col(side.by_columns).name.suffix(REFERENCE)),
                pl.DataFrame(
                    {
                        "n": side.stratum["n"].fill_null(0),
                        "n_reference": side.reference["n"].fill_null(0),
                        "est_stratum": a,
                        "se_stratum": se_a,
                        "est_reference": b,
                        "se_reference": se_b,
                        "covariance": covariance,
                        "contrast": pl.Series([kind] * est.size, dtype=pl.String),
                        "est": est,
                        "se": se,
                        "df": pl.Series(side.df).fill_nan(None).cast(pl.Int64),
                        "ci_low": low,
                        "ci_high": high,
                        "p_value": p_value,
                        "status": pl.Series(status.astype(str), dtype=pl.String),
                    }
                ).with_columns(pl.selectors.float().fill_nan(None)),
            ],
            how="horizontal",
        ),
        how="cross",
        maintain_order="left_right",
    )
