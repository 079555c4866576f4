"""Strata: which cells an indicator is expected to show, and how a cell is written.

The expected cells come from the indicator file (its required breakdowns, those of the pledge, its crossings), never
from what was observed. Estimation computes them and the gap table judges them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator

TOTAL = "_T"


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


def expected_strata(indicator: Indicator, mappings: Mappings) -> list[Stratum]:
    """The headline, every category of every required and LNOB breakdown, and the crossings of an indicator."""
    order = list(mappings.breakdowns)
    breakdowns = indicator.breakdowns
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
