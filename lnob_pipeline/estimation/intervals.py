"""Confidence intervals of an estimate from its standard error and its degrees of freedom.

Here: the seven kinds of interval, on NumPy arrays. Not here: variances (`engine`), and whether a number may be
published (`reliability`). In each formula p is the estimate, se its standard error, df its degrees of freedom,
t = t(1 - alpha/2; df) and expected sample size n_e = p (1 - p) / se^2.

Sources: R package survey 4.5 (`confint`, `svyciprop`), with which these agree to 1e-9 and which truncates none of
them; Korn and Graubard (1998); National Center for Health Statistics, *Data Presentation Standards for
Proportions*, Vital and Health Statistics 2(175), 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy  # its submodule special is loaded at first use
from numpy.typing import NDArray

Kind = Literal["t", "normal", "logit", "wilson", "arcsine", "korn_graubard", "nchs"]
Array = NDArray[np.float64]
Bounds = tuple[Array, Array]


@dataclass(frozen=True)
class Estimates:
    """What an interval is made from: arrays of one length, NaN where unknown.

    `n` counts rows with a weight above zero, `n_rows` all rows. `alpha` is 1 - confidence.
    """

    est: Array
    se: Array
    df: Array
    n: Array
    n_rows: Array
    alpha: float

    def t(self) -> Array:
        """The quantile t at 1 - alpha/2."""
        return _t_quantile(self.df, self.alpha)


def _t_quantile(df: Array, alpha: float) -> Array:
    """t(1 - alpha/2; df), NaN where df <= 0; each distinct df is computed once."""
    distinct, position = np.unique(df, return_inverse=True)
    known = distinct > 0
    quantile = np.full(distinct.shape, np.nan)
    quantile[known] = -scipy.special.stdtrit(distinct[known], alpha / 2)
    return quantile[position]


def _t(e: Estimates) -> Bounds:
    """The symmetric p -/+ t se."""
    half = e.t() * e.se
    return e.est - half, e.est + half


def _normal(e: Estimates) -> Bounds:
    """The symmetric p -/+ z se. Needs no degrees of freedom; too narrow when they are few."""
    half = -scipy.special.ndtri(e.alpha / 2) * e.se
    return e.est - half, e.est + half


def _logit(e: Estimates) -> Bounds:
    """expit(logit p -/+ t se / (p (1 - p)))."""
    centre, half = scipy.special.logit(e.est), e.t() * e.se / (e.est * (1 - e.est))
    return scipy.special.expit(centre - half), scipy.special.expit(centre + half)


def _wilson(e: Estimates) -> Bounds:
    """Wilson's score interval with n_e in place of n and t in place of z."""
    n_effective = e.est * (1 - e.est) / e.se**2
    t_squared = e.t() ** 2
    centre = (e.est + t_squared / (2 * n_effective)) / (1 + t_squared / n_effective)
    half = np.sqrt(t_squared * e.est * (1 - e.est) / n_effective + t_squared**2 / (4 * n_effective**2))
    half /= 1 + t_squared / n_effective
    return centre - half, centre + half


def _arcsine(e: Estimates) -> Bounds:
    """sin^2(asin(sqrt p) -/+ t se / (2 sqrt(p (1 - p)))), as survey has it.

    The angle is not kept within 0 to 90 degrees, so with one or two degrees of freedom the bounds can fold back and
    even change places. Do not publish it there; `logit` and `nchs` behave.
    """
    centre = np.arcsin(np.sqrt(e.est))
    half = e.t() * e.se / (2 * np.sqrt(e.est * (1 - e.est)))
    return np.sin(centre - half) ** 2, np.sin(centre + half) ** 2


def _beta(e: Estimates, n_star: Array) -> Bounds:
    """Clopper-Pearson with n* rows: Beta(a/2; n* p, n* (1-p) + 1) and Beta(1 - a/2; n* p + 1, n* (1-p))."""
    low, high = np.full(e.est.shape, np.nan), np.full(e.est.shape, np.nan)
    known = np.isfinite(n_star) & (n_star > 0)
    successes, failures = n_star * e.est, n_star * (1 - e.est)
    inside = known & (successes > 0)
    low[known] = 0.0
    low[inside] = scipy.special.betaincinv(successes[inside], failures[inside] + 1, e.alpha / 2)
    inside = known & (failures > 0)
    high[known] = 1.0
    high[inside] = scipy.special.betaincinv(successes[inside] + 1, failures[inside], 1 - e.alpha / 2)
    return low, high


def _n_star(e: Estimates, n: Array) -> Array:
    """n_e (t(n - 1) / t(df))^2."""
    return e.est * (1 - e.est) / e.se**2 * (_t_quantile(n - 1, e.alpha) / e.t()) ** 2


def _korn_graubard(e: Estimates) -> Bounds:
    """Korn and Graubard as survey's method "beta": n counts rows of weight zero too, and n* is not truncated."""
    return _beta(e, _n_star(e, e.n_rows))


def _nchs(e: Estimates) -> Bounds:
    """Korn and Graubard as NCHS publishes it: n* is at most n, and is n where p is 0 or 1 (or se is 0)."""
    n_star = np.fmin(_n_star(e, e.n), e.n)
    without_spread = (e.se == 0) & (e.df > 0)
    return _beta(e, np.where(np.isnan(e.t()), np.nan, np.where(without_spread, e.n, n_star)))


_KINDS: dict[Kind, Callable[[Estimates], Bounds]] = {
    "t": _t,
    "normal": _normal,
    "logit": _logit,
    "wilson": _wilson,
    "arcsine": _arcsine,
    "korn_graubard": _korn_graubard,
    "nchs": _nchs,
}
KINDS: tuple[Kind, ...] = tuple(_KINDS)
FOR_ANY_ESTIMAND = frozenset({"t", "normal"})
"""The other kinds are for a share between 0 and 1."""
FOR_ONE_PROPORTION = frozenset({"korn_graubard", "nchs"})
"""These count cases, so a mean of several shares has none."""


def interval(kind: Kind, estimates: Estimates) -> Bounds:
    """Lower and upper bounds; NaN where the interval is not defined (no se, no degrees of freedom, p at 0 or 1)."""
    with np.errstate(all="ignore"):
        bounds: Any = _KINDS[kind](estimates)
        undefined = np.isnan(estimates.se) | np.isnan(bounds[0]) | np.isnan(bounds[1]) | (estimates.df <= 0)
    return np.where(undefined, np.nan, bounds[0]), np.where(undefined, np.nan, bounds[1])
