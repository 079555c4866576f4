"""The Rasch model: from yes/no items to the probability of lying above a threshold of a global scale.

Here: severities of items and of raw scores, their fit, and the common scale. Not here: which items and which threshold
(indicator files), the mean of the probabilities and its standard error (engine). Method of FAO for SDG 2.1.2, with the
definitions of its R package RM.weights 2.0, in four steps:

1. severities b of the items by conditional maximum likelihood, weighted: given how many items a person affirms, which
   ones does not depend on the person. Only complete answers that affirm some items and not all (non-extreme) speak;
2. fit of each item, weighted by information: infit = sum w (x - p)^2 / sum w p (1 - p), p being the probability to
   affirm the item given the raw score. It is about 1 where the model holds;
3. common scale: b is put on the mean and standard deviation of the global severities. The item that then lies furthest
   away is no longer common where it lies `TOLERANCE` or more from its global severity; the scale is made again from the
   others, and so on, for at most `MOST_UNIQUE` items;
4. severity a of a raw score r: sum of P(affirm) = r; its error is 1 / sqrt(information). Raw scores 0 and k have none;
   they count as 0.5 and k - 0.5, with the error at 0.5. P(above) = 1 - Phi((threshold - a) / error) on the survey's
   own scale; nobody who affirms nothing is above.

The standard error of the mean of these probabilities is that of the sample alone: the errors of the severities and of
the scale are not in it, as in FAO's own figures.

Sources: Rasch (1960); Andersen (1972), conditional estimation; FAO, Methods for estimating comparable rates of food
insecurity experienced by adults throughout the world (Voices of the Hungry, Technical Report 1, 2016); Cafiero, Viviani
and Nord (2018), Measurement 116; Linacre (1994), Rasch Measurement Transactions 7:4, p. 328.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy  # its submodules are loaded at first use
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_CASES = 100
"""Complete non-extreme cases: with 100, an item's severity is stable within half a logit in 19 of 20 samples (Linacre
1994)."""
INFIT = (0.7, 1.3)
"""Items outside do not measure what the others do (FAO 2016)."""
TOLERANCE = 0.35
"""Distance from the global severity, on the global scale (RM.weights, equating.fun)."""
MOST_UNIQUE = 3
FEWEST_COMMON = 3
"""A mean and a standard deviation of fewer items would be no scale."""
EXTREME = 0.5
"""A raw score of 0 counts as so much above 0, one of k as so much below k."""
STEPS, CLOSE = 100, 1e-12


@dataclass(frozen=True)
class Scale:
    """The model of one survey; arrays by item or by raw score 0 ... k, severities on the survey's own scale (mean 0).

    global severity = shift + scale x severity. `cases`: complete non-extreme rows. `problem` says why there is nothing
    to compute with; then the arrays that could not be made are empty.
    """

    items: tuple[str, ...]
    cases: int
    severity: Array
    infit: Array
    common: Flags
    shift: float
    scale: float
    raw_severity: Array
    raw_error: Array
    probability: Array
    problem: str | None = None


def fit(rows: pl.DataFrame, items: dict[str, float], threshold: float) -> Scale:
    """Fit the model and give the probability to lie above `threshold` (global scale) for each raw score.

    rows: a column '1' / '0' / null for each item, and `weight_` (a null or zero weight leaves the row out). items: item
    -> its severity on the global scale.
    """
    names, size = tuple(items), len(items)
    affirmed, total, cases = _by_raw_score(rows, names)
    nothing = np.empty(0)
    unfitted = Scale(names, cases, nothing, nothing, nothing.astype(bool), 0.0, 1.0, nothing, nothing, nothing)
    if cases < FEWEST_CASES:
        why = f"{cases} complete answers affirm some items and not all, {FEWEST_CASES} are needed (Linacre 1994)"
        return _refused(unfitted, why)
    share = affirmed.sum(axis=0) / total.sum()
    if same := [name for name, value in zip(names, share, strict=True) if value in (0.0, 1.0)]:
        return _refused(unfitted, f"everybody answers {', '.join(same)} alike")
    severity = _item_severities(affirmed, total)
    if severity is None:
        return _refused(
            unfitted, "the severities of the items cannot be told (the answers fall into separate patterns)"
        )
    expected = _given_raw_score(severity)
    left_over = affirmed * (1 - expected) ** 2 + (total[:, None] - affirmed) * expected**2
    infit = left_over.sum(axis=0) / (total[:, None] * expected * (1 - expected)).sum(axis=0)
    common, shift, scale = _common_scale(severity, np.array(list(items.values())))
    raw_severity, raw_error = _raw_severities(severity)
    above = scipy.special.ndtr((raw_severity - (threshold - shift) / scale) / raw_error)
    above[0] = 0.0
    fitted = Scale(names, cases, severity, infit, common, shift, scale, raw_severity, raw_error, above)
    if misfits := [f"{name} {value:.2f}" for name, value in zip(names, infit, strict=True) if not _fits(value)]:
        return _refused(
            fitted, f"items do not fit the model, infit outside {INFIT[0]} to {INFIT[1]}: {', '.join(misfits)}"
        )
    unique = [name for name, shared in zip(names, common, strict=True) if not shared]
    if len(unique) > MOST_UNIQUE or size - len(unique) < FEWEST_COMMON:
        return _refused(
            fitted, f"no common scale: {', '.join(unique)} lie {TOLERANCE} or more from their global severity"
        )
    return fitted


def _refused(scale: Scale, why: str) -> Scale:
    return Scale(**{**vars(scale), "problem": why})


def _fits(infit: float) -> bool:
    return bool(INFIT[0] <= infit <= INFIT[1])


def _by_raw_score(rows: pl.DataFrame, names: Sequence[str]) -> tuple[Array, Array, int]:
    """Sums of weights by raw score 1 ... k - 1: affirming each item (k - 1 x k), and all; and the number of rows.

    These are all that the likelihood and the infit depend on. Weights are scaled to a mean of 1.
    """
    size = len(names)
    complete = (
        rows.lazy()
        .filter(pl.col("weight_") > 0)
        .select(pl.col("weight_").cast(pl.Float64), *((pl.col(name) == "1").cast(pl.Int32) for name in names))
        .drop_nulls()
        .with_columns(pl.sum_horizontal(names).alias("raw_"))
        .filter(pl.col("raw_").is_between(1, size - 1))
    )
    sums = (
        complete.group_by("raw_")
        .agg(
            pl.len().alias("n_"), pl.col("weight_").sum(), *((pl.col(name) * pl.col("weight_")).sum() for name in names)
        )
        .collect()
    )
    raw = pl.DataFrame({"raw_": np.arange(1, size, dtype=np.int32)})
    found = raw.join(sums.with_columns(pl.col("raw_").cast(pl.Int32)), on="raw_", how="left").fill_null(0).sort("raw_")
    cases = int(found["n_"].sum())
    mean = found["weight_"].sum() / cases if cases else 1.0
    return found.select(names).to_numpy() / mean, found["weight_"].to_numpy() / mean, cases


def _symmetric(easiness: Array) -> Array:
    """Elementary symmetric functions of exp(-b): entry r is the sum over all ways to affirm r of the items."""
    found = np.ones(1)
    for value in easiness:
        found = np.append(found, 0.0) + value * np.append(0.0, found)
    return found


def _given_raw_score(severity: Array) -> Array:
    """P(affirm item | raw score), raw scores 1 ... k - 1 in rows."""
    easiness = np.exp(-severity)
    whole = _symmetric(easiness)
    without = np.array([_symmetric(np.delete(easiness, item)) for item in range(severity.size)])
    return (easiness[:, None] * without[:, :-1] / whole[1:-1]).T


def _together(severity: Array) -> NDArray[np.float64]:
    """P(affirm both items | raw score): raw score x item x item; on the diagonal P(affirm the item)."""
    size, easiness = severity.size, np.exp(-severity)
    whole, single = _symmetric(easiness), _given_raw_score(severity)
    both = np.zeros((size - 1, size, size))
    for left in range(size):
        both[:, left, left] = single[:, left]
        for right in range(left):
            rest = _symmetric(np.delete(easiness, [left, right]))
            pair = easiness[left] * easiness[right] * np.append(0.0, rest) / whole[1:]
            both[:, left, right] = both[:, right, left] = pair[: size - 1]
    return both


def _item_severities(affirmed: Array, total: Array) -> Array | None:
    """Severities with mean 0 that maximise the conditional likelihood, by Newton's method; None where none do."""
    score = affirmed.sum(axis=0)
    share = score / total.sum()
    severity = -np.log(share / (1 - share))
    severity -= severity.mean()
    for _ in range(STEPS):
        expected = _given_raw_score(severity)
        gradient = total @ expected - score
        covariance = _together(severity) - expected[:, :, None] * expected[:, None, :]
        # The likelihood does not know where zero is: the direction of all ones is left out.
        step = np.linalg.pinv(np.tensordot(total, covariance, axes=1), rcond=1e-12, hermitian=True) @ gradient
        severity = severity + step / max(1.0, float(np.abs(step).max()))
        severity -= severity.mean()
        if np.abs(step).max() < CLOSE * max(1.0, float(np.abs(severity).max())):
            return severity
        if not np.isfinite(severity).all() or np.abs(severity).max() > 30:
            return None
    return None


def _common_scale(severity: Array, standard: Array) -> tuple[Flags, float, float]:
    """Which items are common with the standard, and shift and scale onto it."""
    common = np.ones(severity.size, dtype=bool)
    while True:
        scale = float(standard[common].std() / severity[common].std())
        shift = float(standard[common].mean() - scale * severity[common].mean())
        distance = np.where(common, np.abs(shift + scale * severity - standard), -1.0)
        furthest = int(distance.argmax())
        if distance[furthest] < TOLERANCE:
            return common, shift, scale
        common[furthest] = False
        if (~common).sum() > MOST_UNIQUE or common.sum() < FEWEST_COMMON:
            return common, shift, scale


def _raw_severities(severity: Array) -> tuple[Array, Array]:
    """Severity and error of the raw scores 0 ... k."""
    size = severity.size
    scores = np.array([EXTREME, *range(1, size), size - EXTREME])

    def expected(place: float) -> Array:
        return np.asarray(scipy.special.expit(place - severity), dtype=float)

    bound = float(np.abs(severity).max()) + 20
    found = [
        scipy.optimize.brentq(lambda place, score=score: expected(place).sum() - score, -bound, bound, xtol=1e-13)
        for score in scores
    ]
    error = np.array([1 / np.sqrt((expected(place) * (1 - expected(place))).sum()) for place in found])
    error[-1] = error[0]
    return np.array(found), error
