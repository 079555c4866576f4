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

Steps: (1) the rows are read once and added up, as whole numbers, to *cells*: the sums of each cluster in each domain;
(2) the cells of a domain are added up to its Y and X, and so to R; (3) the scores of the cells, z = Y_cell - R X_cell
over X, are squared about the mean of their design stratum. As a breakdown by columns that are constant within a cluster
changes nothing but R, Y_cell and X_cell are put in a form once (`Moments`) that any R makes into sums of squares. No
difference of large moments is taken, so nothing cancels; and as cells are exact and come in a fixed order, the same
input gives the same bytes, on any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lnob_pipeline import warehouse
from lnob_pipeline.estimation.cells import Cells, Division, Layer
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
from lnob_pipeline.estimation.fields import DomainColumns, PartColumns
from lnob_pipeline.estimation.intervals import (
    FOR_ANY_ESTIMAND,
    FOR_ONE_PROPORTION,
    KINDS,
    Estimates,
    Kind,
    interval,
)
from lnob_pipeline.estimation.sample import Sample, Stage
from lnob_pipeline.estimation.source import Source, parts_of
from lnob_pipeline.estimation.table import Moments
from lnob_pipeline.estimation.variance import GroupScores, stage_variance

Array = NDArray[np.float64]

PORTION, ENOUGH, MOST = 12, 3 << 24, 3 << 28
"""Estimands are taken in portions, the rows being read once for each. A portion ends before its cells take 48 MiB if it
has 12 estimands by then, and else before they take 768 MiB (or with one estimand)."""
MANY, AT_ONCE = 1 << 20, 2
"""From so many cells on, the numbers of two estimands are made at once, on two threads."""
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
    The same input gives the same bytes, on any number of threads and in any order of the rows.

    Columns of the answer:
    - `estimand` (its name, else its kind), `y`, `x`, `level` (text); the breakdown columns, null where the row
      is not broken down by them (of their own type, dictionaries as text); `stratum_depth`, by how many it is;
    - `n`, rows with a weight above zero; `n_rows`, all rows; `n_numerator`, rows of `n` that have the level
      (of a Proportion; else null); `n_psu` and `n_strata`, clusters and design strata with a row of `n`;
    - `df`, degrees of freedom, n_psu - n_strata (Korn and Graubard 1999; `degf` of R for the rows of the domain);
      `sum_w`, sum of weights, in units of the population;
    - `est`, R or Y of the module's notes, in the unit of the estimand; `se` = sqrt(V) in the same unit (Binder 1983;
      `svymean`, `svyratio` and `svytotal` of R); `cv` = se / |est|, a share of 1, not per cent;
    - `deff`, without unit, the variance over that of a simple random sample of n from a population of sum_w without
      replacement, V / [s^2 (sum_w - n) / (sum_w n)] with s^2 = n / (n - 1) sum(w (y - R x)^2) / sum_w, times
      (sum_w / X)^2 for a Ratio and sum_w^2 for a Total (Kish 1965; `deff=TRUE` of R); null where n = 1, s^2 = 0 or
      sum_w <= n. `deft` = sqrt(deff), the same for standard errors;
    - `ci_<kind>_low` and `ci_<kind>_high`, in the unit of est: formulas and sources are in `intervals`;
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
    if len(set(intervals)) < len(intervals):
        raise EstimationInputError(f"The intervals {tuple(intervals)!r} name one of them twice.")
    for kind in intervals:
        if kind not in KINDS:
            raise EstimationInputError(f"There is no interval {kind!r}. Choose from {', '.join(KINDS)}.")
    if not 0 < confidence < 1:
        raise EstimationInputError(f"confidence is {confidence}. It must lie between 0 and 1, for example 0.95.")


@dataclass(frozen=True)
class _Plan:
    """Where the sums of one estimand are in the cells."""

    estimand: Estimand
    parts: list[PartColumns]
    domain: DomainColumns

    @classmethod
    def of(cls, estimand: Estimand, cells: Cells) -> _Plan:
        """Want the sums of `estimand` in `cells`."""
        parts = [cells.sample.parts[single] for single in parts_of(estimand)]
        return cls(estimand, [cells.add_part(part) for part in parts], cells.add_domain(parts))


def _answer(
    sample: Sample, cells: Cells, estimands: Sequence[Estimand], intervals: Sequence[Kind], alpha: float
) -> pl.DataFrame:
    """The rows of all estimands; their sums are in `cells` afterwards if they are one portion."""
    portions = _portions(sample, cells.breakdowns, estimands)
    frames = []
    for portion in portions:
        here = cells if len(portions) == 1 else Cells(sample, cells.breakdowns)
        frames += _frames(here, [_Plan.of(estimand, here) for estimand in portion], intervals, alpha)
    unknown_as_null = pl.col(*NUMBERS, *(f"ci_{kind}_{end}" for kind in intervals for end in ("low", "high")))
    return pl.concat(frames).with_columns(unknown_as_null.fill_nan(None))


def _portions(
    sample: Sample, breakdowns: Sequence[Sequence[str]], estimands: Sequence[Estimand]
) -> list[list[Estimand]]:
    portions: list[list[Estimand]] = []
    trial: Cells | None = None
    for estimand in estimands:
        most = MOST
        if trial is not None:
            most = ENOUGH if trial.memory <= ENOUGH and len(portions[-1]) >= PORTION else MOST
            _Plan.of(estimand, trial)
        if trial is None or trial.memory > most:
            trial = Cells(sample, breakdowns)
            _Plan.of(estimand, trial)
            portions.append([])
        portions[-1].append(estimand)
    return portions


def _frames(cells: Cells, plans: Sequence[_Plan], intervals: Sequence[Kind], alpha: float) -> list[pl.DataFrame]:
    design, strata = cells.sample.design, cells.strata(cells.domains)

    def frame(plan: _Plan) -> pl.DataFrame:
        result = _Result(plan, cells, design is not None)
        if design is not None:
            result.add_variance(cells, design)
        return result.frame(strata, intervals, alpha)

    if sum(table.number.size for table, _ in cells.by_table) < MANY:
        return [frame(plan) for plan in plans]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(frame, plans))


class _Result:
    """The numbers of one estimand: arrays over the domains, NaN where unknown."""

    def __init__(self, plan: _Plan, cells: Cells, probability: bool) -> None:
        self.plan, self.probability = plan, probability
        self.moments: dict[tuple[str, ...], list[Moments]] = {}
        if probability and len(plan.parts) == 1:
            shared = (table for table, divisions in cells.by_table if len(divisions) > 1)
            self.moments = {table.by: table.moments(plan.parts[0].y, plan.parts[0].x) for table in shared}
        self.n_psu, self.n_strata = cells.clusters_and_strata(plan.domain.n)
        self.n, self.n_rows, self.sum_w = (
            cells.total(name) for name in (plan.domain.n, plan.domain.n_rows, plan.domain.w)
        )
        self.df = self.n_psu - self.n_strata
        self.y = [cells.total(part.y) for part in plan.parts]
        self.x = [cells.total(part.x) for part in plan.parts]
        size = self.n.size
        with np.errstate(invalid="ignore", divide="ignore"):
            self.ratio = [y / x for y, x in zip(self.y, self.x, strict=True)]
            if isinstance(plan.estimand, Total):
                self.est = np.where(self.n > 0, self.y[0], np.nan)
                self.ratio = [np.zeros(size)]
            else:
                self.est = np.where(self.n > 0, sum(self.ratio) / len(self.ratio), np.nan)
        self.est[~np.isfinite(self.est)] = np.nan
        self.n_numerator: Array | None = None
        self.constant = np.zeros(size, dtype=bool)
        self.element_variance = np.full(size, np.nan)
        if len(plan.parts) == 1:
            self._describe_rows(plan.parts[0], cells)
        self.variance = np.full(size, np.nan)

    def _describe_rows(self, part: PartColumns, cells: Cells) -> None:
        """s^2 of the residuals of the rows, y - R x (y - mean for a total), and whether all residuals are zero."""
        yy, yx, xx = (cells.total(name) for name in (part.yy, part.yx, part.xx))
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = self.y[0] / self.x[0]
            squares = yy - 2 * centre * yx + centre**2 * xx
            no_spread = squares <= 1e-13 * yy
            if part.n_numerator is not None:
                self.n_numerator = cells.total(part.n_numerator)
                no_spread = (self.n_numerator == 0) | (self.n_numerator == self.n)
            self.element_variance = np.where(no_spread, 0.0, self.n / (self.n - 1) * squares / self.sum_w)
        self.constant = no_spread & ((yy == 0) if isinstance(self.plan.estimand, Total) else True)

    def add_variance(self, cells: Cells, design: Design) -> None:
        """Make `variance` from the scores of the cells."""
        for table, divisions in cells.by_table:
            shared = self.moments.get(table.by)
            sums = [] if shared else [(table.value(part.y), table.value(part.x)) for part in self.plan.parts]
            for division in divisions:
                ratio = self.ratio[0][division.place]
                moments = shared
                if moments is None:  # of the scores themselves
                    z, ratio = self._scores(sums, division), np.zeros(ratio.size)
                    moments = [Moments.of(runs, z) for runs in table.runs]
                self.variance[division.place] = sum(
                    self._stage_variance(of_layer, ratio, layer, stage, design, division.place)
                    for of_layer, layer, stage in zip(moments, division.layers, cells.sample.stages, strict=True)
                )

    def _scores(self, sums: Sequence[tuple[Array, Array]], division: Division) -> Array:
        """The score of each cell in the domain in which it lies, times the X of the first part and their number."""
        z: Array = np.zeros(division.table.number.size)
        here, of_cells = division.place, division.layers[0].of_cells
        for index, (sum_y, sum_x) in enumerate(sums):
            residual = sum_y - of_cells(_finite(self.ratio[index][here])) * sum_x
            if index:
                with np.errstate(invalid="ignore", divide="ignore"):
                    residual *= of_cells(_finite(self.x[0][here] / self.x[index][here]))
            z += residual
        return z

    def _stage_variance(
        self, moments: Moments, ratio: Array, layer: Layer, stage: Stage, design: Design, here: slice
    ) -> Array:
        """The variance that a stage adds, of each domain of a breakdown, from the moments and the R of its scores."""
        is_total = isinstance(self.plan.estimand, Total)
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.ones(self.n[here].size) if is_total else 1 / (self.x[0][here] * len(self.plan.parts))
        # Scores that are zero by construction need no arithmetic: constant y, or all rows in one cluster.
        zero = self.constant[here]
        if stage.number == 1 and not is_total:
            zero = zero | (self.n_psu[here] == 1)
        scale = np.where(zero, 0.0, _finite(scale))[layer.pair_domain]
        n, length = stage.size[layer.pair_group], layer.runs.length
        of_run, within = moments.scores(layer.of_runs(_finite(ratio)))
        total = layer.by_pair(of_run)
        mean = total / n
        between = length * (of_run / length - np.append(mean, 0.0)[layer.pair]) ** 2
        spread = layer.by_pair(within + between) + (n - layer.members) * mean**2
        total, spread = total * scale, spread * scale**2
        units = layer.present(self.plan.domain.n_rows)
        scores = GroupScores(layer.pair_domain, layer.pair_group, total, spread + total**2 / n, spread, units)
        return stage_variance(scores, stage, design, zero.size)

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
                pl.DataFrame(
                    {name: pl.repeat(text, size, dtype=pl.String, eager=True) for name, text in texts.items()}
                ),
                strata,
                pl.DataFrame({name: _integers(values, size) for name, values in (counts | of_design).items()}),
                pl.DataFrame(numbers),
                pl.DataFrame({"status": pl.Series(status.astype(str), dtype=pl.String)}),
            ],
            how="horizontal",
        )


def _finite(values: Array) -> Array:
    """`values` with 0 where they are not known."""
    return np.where(np.isfinite(values), values, 0.0)


def _integers(values: Array | None, size: int) -> pl.Series:
    return pl.repeat(None, size, dtype=pl.Int64, eager=True) if values is None else pl.Series(values.astype(np.int64))
