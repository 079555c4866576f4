"""Stage 4, estimation: numbers with a standard error from a sample, and whether they are fit to be published.

Here: the public names of the engine. Not here: anything about indicators, files or Dagster.
"""

from lnob_pipeline.estimation.contrast import EACH, EVERY_OTHER, contrast
from lnob_pipeline.estimation.design import (
    Combination,
    Design,
    Estimand,
    EstimationInputError,
    LonelyPsu,
    Mean,
    Proportion,
    Ratio,
    Total,
    cube,
)
from lnob_pipeline.estimation.engine import estimate

__all__ = [
    "EACH",
    "EVERY_OTHER",
    "Combination",
    "Design",
    "Estimand",
    "EstimationInputError",
    "LonelyPsu",
    "Mean",
    "Proportion",
    "Ratio",
    "Total",
    "contrast",
    "cube",
    "estimate",
]
