"""How a sample was drawn, and what is to be estimated from it: the vocabulary of the engine.

Here: `Design`, the estimands (`Mean`, `Proportion`, `Ratio`, `Total`, `Combination`), `cube`, and the error for input
that cannot be estimated from. Not here: any computation. Terms are those of Lumley, *Complex Surveys* (2010), and of
the R package survey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal, get_args

LonelyPsu = Literal["certainty", "remove", "adjust", "average", "fail"]
"""What a stratum with one sampled cluster, and less than a census, adds to the variance.

- `certainty`, `remove`: nothing (understates the variance);
- `adjust`: its squared distance from the mean of all sampled clusters (the pipeline's default);
- `average`: the mean contribution of the other strata;
- `fail`: no standard error; the row has status `lonely_psu`.
"""


class EstimationInputError(ValueError):
    """The data or the call cannot be estimated from. Says which column, which rows (first row = 1), and the remedy."""


@dataclass(frozen=True)
class Design:
    """How a probability sample was drawn. Each list has one column name a stage; at most two stages.

    `clusters`: sampled units, first stage first; empty means that each row is its own cluster.
    `strata`: strata within which the units were drawn; empty means not stratified.
    `weights`: column of weights (zero is allowed: the row counts in the design, not in the estimate).
    `population_sizes`: number of units in the population of each stratum, one column a stage, for the finite
    population correction. Empty means drawn with replacement: then only the first stage matters (ultimate clusters).
    `nested`: cluster identifiers repeat from stratum to stratum (cluster 1 of A is not cluster 1 of B).
    `lonely_psu`: see `LonelyPsu`. `adjust_domain_lonely`: with `adjust` and `average`, treat a stratum with a
    single cluster *in the domain* as lonely as well.
    """

    clusters: Sequence[str] = ()
    strata: Sequence[str] = ()
    weights: str = "weight"
    population_sizes: Sequence[str] = ()
    nested: bool = True
    lonely_psu: LonelyPsu = "adjust"
    adjust_domain_lonely: bool = False

    def __post_init__(self) -> None:
        for field in ("clusters", "strata", "population_sizes"):
            value = getattr(self, field)
            if isinstance(value, str):
                raise EstimationInputError(f"Design.{field} is a list of column names: write [{value!r}].")
            object.__setattr__(self, field, tuple(value))
        stages = max(1, len(self.clusters))
        if stages > 2:
            raise EstimationInputError(f"Design.clusters names {stages} stages; at most two are supported.")
        if len(self.strata) > stages:
            raise EstimationInputError(
                f"Design.strata names {len(self.strata)} columns for {stages} stage(s): at most one a stage. "
                "Make one column of strata that are crossed."
            )
        if len(self.population_sizes) not in (0, stages):
            raise EstimationInputError(
                f"Design.population_sizes names {len(self.population_sizes)} columns for {stages} stage(s): "
                "give one a stage, or none."
            )
        if self.lonely_psu not in get_args(LonelyPsu):
            raise EstimationInputError(
                f"Design.lonely_psu is {self.lonely_psu!r}; it must be one of {', '.join(get_args(LonelyPsu))}."
            )


@dataclass(frozen=True)
class Mean:
    """Weighted mean of a numeric column: sum(w y) / sum(w), over rows where y is known. Unit: that of y."""

    y: str
    name: str | None = None
    kind: ClassVar[str] = "mean"


@dataclass(frozen=True)
class Proportion:
    """Weighted share of rows with y = level among rows where y is known; a share of 1, not per cent.

    Without `level`, y must hold only 0 and 1 (or false and true) and the share of 1 is estimated.
    """

    y: str
    level: str | int | float | bool | None = None
    name: str | None = None
    kind: ClassVar[str] = "proportion"


@dataclass(frozen=True)
class Ratio:
    """sum(w y) / sum(w x), over rows where both are known. Unit: y per x."""

    y: str
    x: str
    name: str | None = None
    kind: ClassVar[str] = "ratio"


@dataclass(frozen=True)
class Total:
    """Estimated population total sum(w y), over rows where y is known. Unit: that of y."""

    y: str
    name: str | None = None
    kind: ClassVar[str] = "total"


@dataclass(frozen=True)
class Combination:
    """Plain mean of several proportions, each over the rows where its own y is known, linearised jointly.

    The way SDG 16.6.2 averages the attributes of a public service. The rows of the stratum are those where any of
    the y is known.
    """

    parts: Sequence[Proportion]
    name: str | None = None
    kind: ClassVar[str] = "combination"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or not all(isinstance(part, Proportion) for part in self.parts):
            raise EstimationInputError("Combination takes a list of at least one Proportion.")


Estimand = Mean | Proportion | Ratio | Total | Combination


def cube(columns: Sequence[str], depth: int | None = None) -> list[tuple[str, ...]]:
    """All breakdowns of `columns` that cross at most `depth` of them (all, if not given), the total first."""
    deepest = len(columns) if depth is None else min(depth, len(columns))
    return [crossing for size in range(deepest + 1) for crossing in combinations(columns, size)]
