"""The variance of one stage of a design from the sums of scores in its groups.

Here: the formula of a stratified sample of clusters, the finite population correction and the treatment of lonely
clusters, on NumPy arrays. Not here: where the sums come from (`cells`). The rules are those of the R package survey
4.5 (`svyrecvar` and `onestrat`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnob_pipeline.estimation.design import Design
from lnob_pipeline.estimation.sample import Stage

CENSUS = 1e-7
"""A group of which all but this share was sampled adds nothing."""


@dataclass(frozen=True)
class GroupScores:
    """Sums of the scores z over the clusters of a group in a domain: arrays with one entry a domain x group.

    `total` = sum z; `squares` = sum z^2; `spread` = sum over all n_h clusters of (z - mean)^2, clusters without a
    row of the domain counting with z = 0; `units` = clusters with a row of the domain.
    """

    domain: NDArray[np.int64]
    group: NDArray[np.int64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    spread: NDArray[np.float64]
    units: NDArray[np.float64]


def stage_variance(scores: GroupScores, stage: Stage, design: Design, domains: int) -> NDArray[np.float64]:
    """Variance of each of `domains` domains; NaN where lonely clusters forbid one."""
    n, not_sampled = stage.size[scores.group], 1 - stage.sampled[scores.group]
    present, counted = scores.units > 0, not_sampled > CENSUS
    scale = np.where(counted, not_sampled * n / np.maximum(n - 1, 1), 0.0)
    contribution = np.where(n > 1, scale * scores.spread, 0.0)

    lonely = (n == 1) & counted & present
    lonely_in_domain = (n > 1) & counted & (scores.units == 1) & design.adjust_domain_lonely

    # A parent is what is averaged over: the domain at stage 1, the first-stage cluster in the domain at stage 2.
    if stage.number == 1:
        keys, parent, parents = np.arange(domains), scores.domain, 1
    else:
        parents = int(stage.parent.max(initial=0)) + 1
        keys, parent = np.unique(scores.domain * parents + stage.parent[scores.group], return_inverse=True)
    factor = np.ones(keys.shape)

    def by_parent(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(parent, weights=values, minlength=keys.size), dtype=np.float64)

    if lonely.any() or lonely_in_domain.any():
        with np.errstate(invalid="ignore", divide="ignore"):
            if design.lonely_psu == "adjust":
                centre = (by_parent(np.where(present, scores.total, 0.0)) / by_parent(np.where(present, n, 0.0)))[
                    parent
                ]
                off_centre = scores.squares - 2 * centre * scores.total + n * centre**2
                contribution = np.where(lonely, scale * (scores.total - centre) ** 2, contribution)
                contribution = np.where(lonely_in_domain, scale * off_centre, contribution)
            elif design.lonely_psu == "average":
                lonely = lonely | lonely_in_domain
                contribution = np.where(lonely, 0.0, contribution)
                groups, alone = by_parent(present), by_parent(lonely)
                factor = np.where(alone == 0, 1.0, np.where(alone == groups, np.nan, groups / (groups - alone)))
            elif design.lonely_psu == "fail":
                factor = np.where(by_parent(lonely) > 0, np.nan, 1.0)

    parent_factor = np.zeros(keys.shape)
    parent_factor[parent] = stage.parent_factor[scores.group]
    variance = by_parent(contribution) * factor * parent_factor
    return np.asarray(np.bincount(keys // parents, weights=variance, minlength=domains), dtype=np.float64)
