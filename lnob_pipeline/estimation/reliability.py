"""Is an estimate precise enough to be published? Named profiles of published rules, as data.

Here: the profiles and `reliability`. Not here: disclosure control (whether people could be recognised), which belongs
to publication.

Sources: DHS Program, tables of final reports (fewer than 25 unweighted cases not shown, 25 to 49 in parentheses);
National Center for Health Statistics, *Data Presentation Standards for Proportions*, Vital and Health Statistics
2(175), 2017; coefficient-of-variation classes as used by Statistics Canada.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

FEW_DEGREES_OF_FREEDOM = 8
"""With fewer, the standard error is itself too uncertain to be trusted (NCHS 2017)."""


@dataclass(frozen=True)
class Profile:
    """Thresholds of a publication rule. A row is judged by the first rule that it breaks, in the order below."""

    source: str
    hidden_below_n: int
    """Fewer unweighted cases than this: `too_few_cases`."""
    caution_below_n: int = 0
    """Fewer cases than this: `use_with_caution`."""
    caution_from_cv: float | None = None
    """A coefficient of variation of at least this: `use_with_caution` ..."""
    unreliable_above_cv: float | None = None
    """... and above this: `unreliable`."""
    hidden_below_n_effective: float | None = None
    """Proportions: fewer effective cases p (1 - p) / se^2 (at most n): `too_few_cases`."""
    reliable_to_width: float | None = None
    """Proportions, nchs interval: not wider than this is precise enough, whatever the relative width."""
    unreliable_from_width: float | None = None
    unreliable_above_relative_width: float | None = None
    """Width of the interval over the estimate."""


PROFILES: dict[str, Profile] = {
    "dhs": Profile("DHS Program, final reports", hidden_below_n=25, caution_below_n=50),
    "nchs_2017": Profile(
        "NCHS, Vital and Health Statistics 2(175), 2017",
        hidden_below_n=30,
        hidden_below_n_effective=30,
        reliable_to_width=0.05,
        unreliable_from_width=0.30,
        unreliable_above_relative_width=1.30,
    ),
    "cv": Profile(
        "Coefficient of variation classes, Statistics Canada",
        hidden_below_n=10,
        caution_from_cv=0.166,
        unreliable_above_cv=0.333,
    ),
}
ProfileName = Literal["dhs", "nchs_2017", "cv"]

CLASSES = (
    "not_estimable",
    "too_few_cases",
    "not_probability",
    "unreliable",
    "few_degrees_of_freedom",
    "use_with_caution",
    "reliable",
)
"""What `reliability` can say. `few_degrees_of_freedom`: fewer than 8, to be reviewed by a statistician.

`not_probability`: enough cases, but no probability sample, so precision cannot be judged. `not_estimable`: no estimate,
no standard error, or none of the kind that the profile is about.
"""


def reliability(frame: pl.DataFrame, profile: ProfileName = "dhs") -> pl.DataFrame:
    """`frame` (of `estimate`) with a column `reliability`, one of `CLASSES`.

    `nchs_2017` is for proportions and needs the columns of `intervals=("nchs",)`. A share of 0 or 1 is
    `use_with_caution` under it (review), and under `cv` a 0 is not classified (`not_estimable`).
    """
    if profile not in PROFILES:
        raise ValueError(f"There is no reliability profile {profile!r}. Choose from {', '.join(PROFILES)}.")
    rule = PROFILES[profile]
    n, status = pl.col("n"), pl.col("status")
    without_variance = pl.col("est").is_null() | pl.col("se").is_null() | status.is_in(["not_estimable", "lonely_psu"])
    few_cases, unreliable, caution = n < rule.hidden_below_n, pl.lit(False), n < rule.caution_below_n
    if rule.unreliable_above_cv is not None and rule.caution_from_cv is not None:
        without_variance = without_variance | pl.col("cv").is_null()
        unreliable = pl.col("cv") > rule.unreliable_above_cv
        caution = caution | (pl.col("cv") >= rule.caution_from_cv)
    if rule.hidden_below_n_effective is not None:
        missing = {"ci_nchs_low", "ci_nchs_high"} - set(frame.columns)
        if missing:
            raise ValueError(
                f"Profile {profile!r} needs {', '.join(sorted(missing))}: estimate with intervals=('nchs',)."
            )
        share = pl.col("est")
        without_variance = without_variance | pl.col("n_numerator").is_null()
        n_effective = pl.when(pl.col("se") > 0).then(share * (1 - share) / pl.col("se") ** 2).otherwise(n)
        few_cases = few_cases | (pl.min_horizontal(n_effective, n) < rule.hidden_below_n_effective)
        width = pl.col("ci_nchs_high") - pl.col("ci_nchs_low")
        unreliable = (width >= rule.unreliable_from_width) | (
            (width > rule.reliable_to_width) & (width / share > rule.unreliable_above_relative_width)
        )
        caution = caution | (status == "degenerate")
    few_df = pl.col("df") < FEW_DEGREES_OF_FREEDOM
    return frame.with_columns(
        pl.when(status == "no_rows")
        .then(pl.lit("not_estimable"))
        .when(n < rule.hidden_below_n)
        .then(pl.lit("too_few_cases"))
        .when(status == "not_probability")
        .then(pl.lit("not_probability"))
        .when(without_variance)
        .then(pl.lit("not_estimable"))
        .when(few_cases)
        .then(pl.lit("too_few_cases"))
        .when(unreliable)
        .then(pl.lit("unreliable"))
        .when(few_df)
        .then(pl.lit("few_degrees_of_freedom"))
        .when(caution)
        .then(pl.lit("use_with_caution"))
        .otherwise(pl.lit("reliable"))
        .alias("reliability")
    )
