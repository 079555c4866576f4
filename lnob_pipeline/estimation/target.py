"""One series or component to be estimated: its columns in a frame of rows, and what the engine makes of them.

Here: the way from a statistic to an estimand. Not here: the SQL of a row (mappings/measures.py), which targets there
are and over which rows (plan.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from lnob_pipeline.estimation.design import Combination, Estimand, Mean, Proportion, Ratio
from lnob_pipeline.estimation.rasch import Scale
from lnob_pipeline.mappings.models import Component, Indicator, Measure, Series


@dataclass(frozen=True)
class Target:
    """One series or component of an indicator, and its columns in a frame: suffix -> SQL (mappings/measures.py)."""

    indicator: Indicator
    item: Series | Component
    measure: Measure
    columns: dict[str, str]
    scale: Scale | None = None

    @property
    def code(self) -> str:
        """The code of the series or component."""
        return self.item.code

    def name(self, suffix: str) -> str:
        """The column of a suffix in the frame."""
        return f"y_{self.code}_{suffix}"

    @property
    def names(self) -> list[str]:
        """The columns in the frame."""
        return [self.name(suffix) for suffix in self.columns]

    @property
    def quantity(self) -> bool:
        """Whether the columns are numbers, not shares (whose suffixes are their places: 0, 1 ...)."""
        return not all(suffix.isdigit() for suffix in self.columns)

    @property
    def counted(self) -> str:
        """SQL: '1' for a row in the numerator, '0' for one in the denominator only; of a number, whether it is zero."""
        if set(self.columns) == {"numerator", "denominator"}:
            inside, in_numerator = f"{self.name('denominator')} <> 0", f"{self.name('numerator')} <> 0"
            return f"CASE WHEN {in_numerator} THEN '1' WHEN {inside} THEN '0' END"
        if self.scale is not None or len(self.columns) > 1:  # an expected number has no rows of its own
            return f"CASE WHEN {' OR '.join(f'{name} IS NOT NULL' for name in self.names)} THEN '0' END"
        if self.quantity:
            return f"CASE WHEN {self.names[0]} <> 0 THEN '1' WHEN {self.names[0]} = 0 THEN '0' END"
        return self.names[0]

    @property
    def estimand(self) -> Estimand:
        """What the engine estimates."""
        if set(self.columns) == {"numerator", "denominator"}:
            return Ratio(self.name("numerator"), self.name("denominator"), name=self.code)
        if self.quantity:
            return Mean(self.names[0], name=self.code)
        if len(self.columns) == 1:
            return Proportion(self.names[0], "1", name=self.code)
        return Combination([Proportion(name, "1") for name in self.names], name=self.code)
