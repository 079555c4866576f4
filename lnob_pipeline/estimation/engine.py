"""Design-based estimates and their linearised (Taylor) variances, for every breakdown in one pass over the data.

Here: `estimate`, which puts the steps together. Not here: the vocabulary (`design`), the checked rows (`sample`),
the sums (`cells`), the formula of the variance (`variance`), intervals (`intervals`), fitness to publish
(`reliability`).

Method. Row weights are w; a *domain* is one stratum of one breakdown (sex = F). An estimate is a ratio R = Y / X with
Y = sum(w y) and X = sum(w x) over the domain (x = 1 for means and proportions; a total is Y itself). The score of a row
is z = w (y - R x) / X, zero outside the domain. With z_hc its sum in cluster c of design stratum h, n_h the clusters
sampled in h *in the whole sample* and f_h = n_h / N_h (0 when drawn with replacement),

    V = sum_h (1 - f_h) n_h / (n_h - 1) [ sum_c z_hc^2 - (sum_c z_hc)^2 / n_h ],     se = sqrt(V),
    df = clusters with a row of the domain - design strata with one (rows with weight above zero).

With finite populations a two-stage design adds sum_c (n_h / N_h) V_c, with V_c the same formula within cluster c.
Sources: Binder (1983); Särndal, Swensson and Wretman (1992); R package survey 4.5, with which the results agree.

Steps: (1) one scan makes *cells*, the sums of each cluster in each domain; (2) these are reduced to the moments of each
design stratum in each domain (Y, X, YY, YX, XX); (3) moments become variances, as sum z^2 =
(YY - 2 R YX + R^2 XX) / X^2. Where that difference cancels, and for every `Combination`, the scores of the cells are
made one by one instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lnob_pipeline import warehouse
from lnob_pipeline.estimation.cells import Cells, DomainColumns, PartColumns, Sums
from lnob_pipeline.estimation.design import (
    Combination,
    Design,
    Estimand,
    EstimationInputError,
    Proportion,
    Ratio,
    Total,
    cube,
)
from lnob_pipeline.estimation.intervals import (
    FOR_ANY_ESTIMAND,
    FOR_ONE_PROPORTION,
    KINDS,
    Estimates,
    Kind,
    interval,
)
from lnob_pipeline.estimation.sample import Sample, Source, Stage, parts_of
from lnob_pipeline.estimation.variance import CENSUS, GroupScores, stage_variance

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

CANCELLATION = 1e-5
"""A variance below this share of the terms whose difference it is has lost digits: made again from the cells."""
NO_SPREAD = 1e-12
"""A standard error below this share of the estimate is the rounding error of zero."""

TEXTS = ("estimand", "y", "x", "level")
COUNTS = ("n", "n_rows", "n_numerator", "n_psu", "n_strata", "df")
NUMBERS = ("sum_w", "est", "se", "cv", "deff", "deft")


def estimate(
    source: Source,
    design: Design | None,
    estimands: Sequence[Estimand],
    by: Sequence[Sequence[str]] | Literal["cube"] = ((),),
    *,
    columns: Sequence[str] = (),
    depth: int | None = None,
    intervals: Sequence[Kind] = ("t", "logit"),
    confidence: float = 0.95,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> pl.DataFrame:
    """Estimate every estimand in every stratum of every breakdown: one row each, in a fixed order.

    `source`: a Parquet file, a Polars frame or lazy frame, or a DuckDB relation.
    `design`: how the sample was drawn. None says that it is no probability sample: then there are unweighted
    estimates and counts only, with status `not_probability`; no standard error, no interval.
    `by`: breakdowns as lists of columns; () is the total. "cube" crosses all of `columns`, at most `depth` at once.
    `connection`: a DuckDB connection to work in (through a cursor, leaving nothing behind); its own one if not given.

    Rows where y, x or a breakdown column is missing (null or NaN) leave the domain but stay in the design.
    The same input gives the same bytes, on any number of threads.

    Columns of the answer:
    - `estimand` (its name, else its kind), `y`, `x`, `level` (text); the breakdown columns, null where the row
      is not broken down by them (of their own type, dictionaries as text); `stratum_depth`, by how many it is;
    - `n`, rows with a weight above zero; `n_rows`, all rows; `n_numerator`, rows of `n` that have the level
      (of a Proportion; else null); `n_psu` and `n_strata`, clusters and design strata with a row of `n`; `df`;
      `sum_w`, sum of weights;
    - `est`; `se`; `cv` = se / |est|; `deff`, the variance over that of a simple random sample of n from a population
      of sum_w without replacement, V / [s^2 (sum_w - n) / (sum_w n)]; `deft` = sqrt(deff);
      `ci_<kind>_low` and `ci_<kind>_high`;
    - `status`: `ok`; `degenerate`, every score is zero (a share of 0 or 1), se is 0 and only the intervals t, normal
      and nchs exist; `not_estimable`, the denominator is 0 or df <= 0: no interval (and no se where the scores are
      zero by construction, as in a domain inside one cluster); `lonely_psu`, lonely clusters forbid a variance;
      `no_rows`; `not_probability`.

    Raises EstimationInputError for input that cannot be estimated from: names the column and the rows.
    """
    breakdowns = _breakdowns(by, columns, depth)
    _check_call(estimands, breakdowns, intervals, confidence)
    by_columns = list(dict.fromkeys(column for breakdown in breakdowns for column in breakdown))
    session = warehouse.connect() if connection is None else connection.cursor()
    try:
        sample = Sample(session, source, design, estimands, by_columns)
        return _answer(sample, Cells(sample, breakdowns), estimands, intervals, 1 - confidence)
    finally:
        session.close()


def _breakdowns(
    by: Sequence[Sequence[str]] | Literal["cube"], columns: Sequence[str], depth: int | None
) -> list[tuple[str, ...]]:
    if by == "cube" and columns:
        return cube(columns, depth)
    if isinstance(by, str) or any(isinstance(breakdown, str) for breakdown in by):
        raise EstimationInputError(
            f"by is {by!r}; it must be a list of breakdowns, each a tuple of columns, such as [(), ('sex',)], "
            "or 'cube' with columns=[...]."
        )
    return [tuple(breakdown) for breakdown in by]


def _check_call(
    estimands: Sequence[Estimand], breakdowns: list[tuple[str, ...]], intervals: Sequence[Kind], confidence: float
) -> None:
    if not estimands:
        raise EstimationInputError("No estimand was given. Name at least one, for example Proportion('y').")
    if not breakdowns:
        raise EstimationInputError("No breakdown was given. Use by=[()] for the total alone.")
    seen: set[frozenset[str]] = set()
    for breakdown in breakdowns:
        if frozenset(breakdown) in seen or len(set(breakdown)) < len(breakdown):
            raise EstimationInputError(f"The breakdown {breakdown!r} repeats a column or another breakdown.")
        seen.add(frozenset(breakdown))
        for column in {*breakdown} & {*TEXTS, "stratum_depth", *COUNTS, *NUMBERS, "status"}:
            raise EstimationInputError(
                f"The breakdown column {column!r} is called like a column of the answer. Rename it."
            )
    for kind in intervals:
        if kind not in KINDS:
            raise EstimationInputError(f"There is no interval {kind!r}. Choose from {', '.join(KINDS)}.")
    if not 0 < confidence < 1:
        raise EstimationInputError(f"confidence is {confidence}. It must lie between 0 and 1, for example 0.95.")


@dataclass(frozen=True)
class _Plan:
    """Where the sums of one estimand are: in the cells, and in the moments of each stage."""

    estimand: Estimand
    parts: list[PartColumns]
    domain: DomainColumns


class _Moments:
    """The moments of one stage as arrays, one entry a domain x group."""

    def __init__(self, cells: Cells, stage: int, plans: Sequence[_Plan]) -> None:
        sums = Sums("m")
        for plan in plans:
            for column in (plan.domain.n_rows, plan.domain.n):
                cells.total(sums, column)
                cells.units(sums, column)
            for part in plan.parts:
                for column in (part.y, part.x, part.w, part.yy, part.yx, part.xx, plan.domain.w):
                    cells.total(sums, column)
                if part.n_numerator is not None:
                    cells.total(sums, part.n_numerator)
                if not isinstance(plan.estimand, Combination):
                    for left, right in ((part.y, part.y), (part.y, part.x), (part.x, part.x)):
                        cells.product(sums, left, right)
        self.cells, self.sums, self.frame = cells, sums, cells.moments(stage, sums)
        self.domain_code: Codes = self.frame["domain"].to_numpy()
        self.group: Codes = self.frame["grp"].to_numpy()

    def _array(self, column: str) -> Array:
        values: Array = self.frame[column].to_numpy().astype(float)
        return np.ldexp(values, self.sums.exponent[column]) if column in self.sums.exponent else values

    def total(self, name: str) -> Array:
        return self._array(self.cells.total(self.sums, name))

    def product(self, left: str, right: str) -> Array:
        return self._array(self.cells.product(self.sums, left, right))

    def units(self, name: str) -> Array:
        return self._array(self.cells.units(self.sums, name))


def _answer(
    sample: Sample, cells: Cells, estimands: Sequence[Estimand], intervals: Sequence[Kind], alpha: float
) -> pl.DataFrame:
    plans = []
    for estimand in estimands:
        parts = [sample.parts[single] for single in parts_of(estimand)]
        plans.append(_Plan(estimand, [cells.add_part(part) for part in parts], cells.add_domain(parts)))
    stages = [stage.number for stage in sample.stages] or [1]
    for stage in stages:
        cells.make(stage)
    moments = [_Moments(cells, stage, plans) for stage in stages]

    domains: Codes = np.unique(moments[0].domain_code)
    if () in cells.breakdowns:  # the total has a row even if the sample has none
        domains = np.union1d(domains, [cells.offset[cells.breakdowns.index(())]])
    results = [_Result(plan, moments[0], domains, sample.design is not None) for plan in plans]
    if sample.design is not None:
        _add_variances(results, moments, sample, cells, domains)
    strata = cells.strata(domains)
    answer = pl.concat([result.frame(strata, intervals, alpha) for result in results])
    unknown_as_null = pl.col(*NUMBERS, *(f"ci_{kind}_{end}" for kind in intervals for end in ("low", "high")))
    return answer.with_columns(unknown_as_null.fill_nan(None))


class _Result:
    """The numbers of one estimand: arrays over the domains, NaN where unknown."""

    def __init__(self, plan: _Plan, moments: _Moments, domains: Codes, probability: bool) -> None:
        self.plan, self.probability = plan, probability
        self.index: Codes = np.searchsorted(domains, moments.domain_code)
        self.domains = domains

        def over_domain(values: Array) -> Array:
            return np.bincount(self.index, weights=values, minlength=domains.size).astype(np.float64)

        self.n = over_domain(moments.total(plan.domain.n))
        self.n_rows = over_domain(moments.total(plan.domain.n_rows))
        self.sum_w = over_domain(moments.total(plan.domain.w))
        with_weight = moments.units(plan.domain.n)
        self.n_psu = over_domain(with_weight)
        self.n_strata = over_domain((with_weight > 0).astype(float))
        self.df = self.n_psu - self.n_strata
        self.y = [over_domain(moments.total(part.y)) for part in plan.parts]
        self.x = [over_domain(moments.total(part.x)) for part in plan.parts]
        with np.errstate(invalid="ignore", divide="ignore"):
            self.ratio = [y / x for y, x in zip(self.y, self.x, strict=True)]
            if isinstance(plan.estimand, Total):
                self.est = np.where(self.n > 0, self.y[0], np.nan)
                self.ratio, self.denominator = [np.zeros(domains.size)], [np.ones(domains.size)]
            else:
                self.est = np.where(self.n > 0, sum(self.ratio) / len(self.ratio), np.nan)
                self.denominator = [x * len(self.x) for x in self.x]
        self.est[~np.isfinite(self.est)] = np.nan
        self.n_numerator: Array | None = None
        self.constant = np.zeros(domains.size, dtype=bool)
        self.element_variance = np.full(domains.size, np.nan)
        if len(plan.parts) == 1:
            self._describe_rows(plan.parts[0], over_domain, moments)
        self.variance = np.full(domains.size, np.nan)

    def _describe_rows(self, part: PartColumns, over_domain: Any, moments: _Moments) -> None:
        """s^2 of the residuals of the rows, y - R x (y - mean for a total), and whether all residuals are zero."""
        yy, yx, xx = (over_domain(moments.total(name)) for name in (part.yy, part.yx, part.xx))
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = self.y[0] / self.x[0]
            squares = yy - 2 * centre * yx + centre**2 * xx
            no_spread = squares <= 1e-13 * yy
            if part.n_numerator is not None:
                self.n_numerator = over_domain(moments.total(part.n_numerator))
                no_spread = (self.n_numerator == 0) | (self.n_numerator == self.n)
            self.element_variance = np.where(no_spread, 0.0, self.n / (self.n - 1) * squares / self.sum_w)
        self.constant = no_spread & ((yy == 0) if isinstance(self.plan.estimand, Total) else True)

    def no_scores(self, moments: _Moments) -> GroupScores:
        """Scores of zero, to be replaced."""
        zero = np.zeros(moments.group.size)
        domain: Codes = np.searchsorted(self.domains, moments.domain_code)
        return GroupScores(domain, moments.group, zero, zero, zero, moments.units(self.plan.domain.n_rows))

    def moment_scores(self, moments: _Moments, stage: Stage, design: Design) -> tuple[GroupScores, Flags]:
        """Scores of the groups from their moments, and the domains where the digits of these have cancelled."""
        part, empty = self.plan.parts[0], self.no_scores(moments)
        at, group = empty.domain, empty.group
        ratio, denominator = self.ratio[0][at], self.denominator[0][at]
        yy, yx, xx = (moments.product(*names) for names in ((part.y, part.y), (part.y, part.x), (part.x, part.x)))
        with np.errstate(invalid="ignore", divide="ignore"):
            total = (moments.total(part.y) - ratio * moments.total(part.x)) / denominator
            squares = (yy - 2 * ratio * yx + ratio**2 * xx) / denominator**2
            terms = (yy + 2 * np.abs(ratio * yx) + ratio**2 * xx) / denominator**2
            spread = np.maximum(squares - total**2 / stage.size[group], 0)
        # Scores that are zero by construction need no arithmetic: constant y, or all rows in one cluster.
        zero = self.constant & ~np.isnan(self.est)
        if stage.number == 1 and not isinstance(self.plan.estimand, Total):
            zero |= self.n_psu == 1
        total, squares, spread = (np.where(zero[at], 0.0, values) for values in (total, squares, spread))
        scores = dataclasses.replace(empty, total=total, squares=squares, spread=spread)
        counted = np.where(stage.sampled[group] < 1 - CENSUS, 1 - stage.sampled[group], 0.0)
        size = np.bincount(at, weights=terms * counted, minlength=self.domains.size)
        variance = stage_variance(scores, stage, design, self.domains.size)
        return scores, ~zero & (variance < CANCELLATION * size)

    def frame(self, strata: pl.DataFrame, intervals: Sequence[Kind], alpha: float) -> pl.DataFrame:
        estimand, known = self.plan.estimand, ~np.isnan(self.est)
        with np.errstate(invalid="ignore", divide="ignore"):
            se = np.where(known, np.sqrt(self.variance), np.nan)
            # The rounding error of zero must not look like precision.
            zero = known & (self.constant | (se <= NO_SPREAD * np.abs(self.est)))
            se[zero & ~np.isnan(se)] = 0.0
            se[zero & (self.df <= 0)] = np.nan
            cv = np.where(self.est != 0, se / np.abs(self.est), np.nan)
            simple = self.element_variance * (self.sum_w - self.n) / (self.sum_w * self.n)
            if isinstance(estimand, Total):
                simple = simple * self.sum_w**2
            elif isinstance(estimand, Ratio):
                simple = simple * (self.sum_w / self.x[0]) ** 2
            deff = np.where((simple > 0) & (self.n > 1), se**2 / simple, np.nan)
        if self.probability:
            status = np.select(
                [self.n == 0, ~known, np.isnan(self.variance), self.df <= 0, self.constant & (se == 0)],
                ["no_rows", "not_estimable", "lonely_psu", "not_estimable", "degenerate"],
                "ok",
            )
        else:
            status = np.where(self.n == 0, "no_rows", "not_probability")
        size = self.n.size
        level = estimand.level if isinstance(estimand, Proportion) else None
        texts = {
            "estimand": estimand.name or estimand.kind,
            "y": None if isinstance(estimand, Combination) else estimand.y,
            "x": estimand.x if isinstance(estimand, Ratio) else None,
            "level": None if level is None else str(level),
        }
        counts: dict[str, Array | None] = {"n": self.n, "n_rows": self.n_rows, "n_numerator": self.n_numerator}
        of_design: dict[str, Array | None] = {"n_psu": self.n_psu, "n_strata": self.n_strata, "df": self.df}
        numbers = {"sum_w": self.sum_w, "est": self.est, "se": se, "cv": cv, "deff": deff, "deft": np.sqrt(deff)}
        if not self.probability:
            of_design, numbers["sum_w"] = dict.fromkeys(of_design), np.full(size, np.nan)
        basis = Estimates(self.est, se, self.df, self.n, self.n_rows, alpha)
        is_share = isinstance(estimand, Proportion | Combination)
        for kind in intervals:
            low = high = np.full(size, np.nan)
            fits = kind in FOR_ANY_ESTIMAND or (is_share and kind not in FOR_ONE_PROPORTION)
            if fits or isinstance(estimand, Proportion):
                low, high = interval(kind, basis)
            numbers |= {f"ci_{kind}_low": low, f"ci_{kind}_high": high}
        return pl.concat(
            [
                pl.DataFrame({name: pl.Series([text] * size, dtype=pl.String) for name, text in texts.items()}),
                strata,
                pl.DataFrame({name: _integers(values, size) for name, values in (counts | of_design).items()}),
                pl.DataFrame(numbers),
                pl.DataFrame({"status": pl.Series(status.astype(str), dtype=pl.String)}),
            ],
            how="horizontal",
        )


def _integers(values: Array | None, size: int) -> pl.Series:
    return pl.Series([None] * size, dtype=pl.Int64) if values is None else pl.Series(values.astype(np.int64))


def _add_variances(
    results: Sequence[_Result], moments: Sequence[_Moments], sample: Sample, cells: Cells, domains: Codes
) -> None:
    """Add up the variance of each stage: from moments, and from cells where those have cancelled."""
    assert sample.design is not None
    for result in results:
        result.variance = np.zeros(domains.size)
    for stage, moment in zip(sample.stages, moments, strict=True):
        todo: list[tuple[_Result, GroupScores, Flags]] = []
        for result in results:
            if isinstance(result.plan.estimand, Combination):
                scores, again = result.no_scores(moment), np.ones(domains.size, dtype=bool)
            else:
                scores, again = result.moment_scores(moment, stage, sample.design)
            todo.append((result, scores, again))
        wanted = np.logical_or.reduce([again for _, _, again in todo])
        found = _CellScores(cells, stage, moment, domains[wanted], results) if wanted.any() else None
        for result, scores, again in todo:
            exact = scores if found is None or not again.any() else found.replace(result, scores, again)
            result.variance = result.variance + stage_variance(exact, stage, sample.design, domains.size)


class _CellScores:
    """The cells of the domains `wanted`, to make their scores one by one."""

    def __init__(self, cells: Cells, stage: Stage, moment: _Moments, wanted: Codes, results: Sequence[_Result]) -> None:
        names = [name for result in results for part in result.plan.parts for name in (part.y, part.x)]
        frame = cells.fetch(stage.number, names, wanted)
        self.sums = {name: frame[name].to_numpy() for name in set(names)}
        domains = results[0].domains
        self.domain: Codes = np.searchsorted(domains, frame["domain"].to_numpy())
        groups = stage.size.size + 1
        of_moment = np.searchsorted(domains, moment.domain_code) * groups + moment.group
        self.row = np.searchsorted(of_moment, self.domain * groups + frame["grp"].to_numpy())
        self.n = stage.size[moment.group]

    def replace(self, result: _Result, scores: GroupScores, again: Flags) -> GroupScores:
        """`scores` with the groups of the domains `again` summed over the scores of their cells."""
        z = np.zeros(self.row.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            for part, ratio, denominator in zip(result.plan.parts, result.ratio, result.denominator, strict=True):
                residual = self.sums[part.y] - ratio[self.domain] * self.sums[part.x]
                z += residual / denominator[self.domain]

        def by_group(values: Array | None) -> Array:
            return np.bincount(self.row, weights=values, minlength=self.n.size).astype(np.float64)

        total, squares = by_group(z), by_group(z**2)
        mean = total / self.n
        spread = by_group((z - mean[self.row]) ** 2) + (self.n - by_group(None)) * mean**2
        use = again[scores.domain]
        return dataclasses.replace(
            scores,
            total=np.where(use, total, scores.total),
            squares=np.where(use, squares, scores.squares),
            spread=np.where(use, spread, scores.spread),
        )
