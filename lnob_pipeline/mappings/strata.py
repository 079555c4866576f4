"""Strata: which cells an indicator is expected to show, and how a cell is written.

The expected cells come from the indicator file (its required breakdowns, those of the pledge, its crossings) or, for an
indicator without one, from its row of the global framework: what its clause demands and, where persons or households
are counted, what the pledge adds. They never come from what was observed. Estimation computes them and the gap table
judges them.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from lnob_pipeline.mappings.framework import FrameworkIndicator
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator

TOTAL = "_T"
CROSSED = ("sex", "disability")
"""What is required together wherever persons are counted and both are expected."""


@dataclass(frozen=True)
class Stratum:
    """A breakdown cell: dimension and category where it is not a total, in the order of breakdowns.yaml."""

    cells: tuple[tuple[str, str], ...]
    because: Literal["headline", "required", "lnob"]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that are not totals."""
        return tuple(name for name, _ in self.cells)

    def __str__(self) -> str:
        return stratum_name(dict(self.cells))


def stratum_name(cells: dict[str, str]) -> str:
    """`sex=F;disability=yes`; `_T` for the headline."""
    return ";".join(f"{name}={category}" for name, category in cells.items() if category != TOTAL) or TOTAL


@dataclass(frozen=True)
class Expected:
    """The breakdowns that an indicator is expected to show; `outside_universe` as in the indicator file."""

    required: list[str]
    lnob: list[str]
    crossings: list[list[str]]
    outside_universe: Mapping[str, Collection[str]]

    @property
    def breakdowns(self) -> list[str]:
        """Those of one dimension, required ones first."""
        return list(dict.fromkeys([*self.required, *self.lnob]))


def expected_breakdowns(indicator: Indicator | FrameworkIndicator, mappings: Mappings) -> Expected:
    """What an indicator file declares; of the framework its clause and, where people count, the pledge."""
    if isinstance(indicator, Indicator):
        declared = indicator.breakdowns
        return Expected(declared.required, declared.lnob, declared.crossings, declared.outside_universe)
    outside: dict[str, set[str]] = {}
    for item in indicator.outside_universe:
        name, _, category = item.partition("=")
        outside.setdefault(name, set()).update([category] if category else mappings.categories(name))
    pledged = [
        name
        for name, breakdown in mappings.breakdowns.items()
        if (indicator.about == "people" or (indicator.about == "households" and breakdown.unit == "household"))
        and not outside.get(name, set()) >= set(mappings.categories(name))
    ]
    crossed = indicator.about == "people" and set(CROSSED) <= set(pledged)
    return Expected(list(indicator.breakdowns), pledged, [list(CROSSED)] if crossed else [], outside)


def expected_strata(indicator: Indicator | FrameworkIndicator, mappings: Mappings) -> list[Stratum]:
    """The headline, every category of every required and LNOB breakdown, and the crossings of an indicator."""
    order = list(mappings.breakdowns)
    breakdowns = expected_breakdowns(indicator, mappings)
    wanted: list[tuple[tuple[str, ...], Literal["required", "lnob"]]] = [
        ((name,), "required") for name in breakdowns.required
    ]
    wanted += [((name,), "lnob") for name in breakdowns.lnob if name not in breakdowns.required]
    wanted += [(tuple(sorted(names, key=order.index)), "lnob") for names in breakdowns.crossings]
    strata = [Stratum((), "headline")]
    for names, because in sorted(wanted, key=lambda item: (len(item[0]), [order.index(name) for name in item[0]])):
        choices = [
            [
                (name, code)
                for code in mappings.categories(name)
                if code not in breakdowns.outside_universe.get(name, [])
            ]
            for name in names
        ]
        strata += [Stratum(cells, because) for cells in itertools.product(*choices)]
    return strata
