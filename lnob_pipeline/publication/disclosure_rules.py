"""What may not be shown by itself: thresholds, reasons and primary rules of disclosure control.

Here: the rules that look at one number alone. Not here: what else has to be hidden so that nothing gives it away
(disclosure), which numbers hang together (disclosure_links), the attack on what is shown (disclosure_audit).

- Fewer than 25 unweighted cases (a rule of reliability: DHS, UNICEF).
- 1 to 4 in the numerator or in the complement of it (the threshold rule of statistics offices); about a sensitive
  indicator or group also none or all, which says something of each person.
- Of means and ratios of amounts: one unit carries half of the numerator, or whoever carries the second largest part
  could reckon the largest one to within 10 % (the p % rule; with weights and without, whichever is worse).

Sources: Hundepool et al., Statistical Disclosure Control (2012), sections 4.2 and 5.2; DHS Guide to Statistics.
"""

from __future__ import annotations

import polars as pl

FEWEST_CASES = 25
CAUTION_BELOW = 50
SMALL_COUNT = 4
FEWEST_PARTICIPANTS = 4
LARGEST_SHARE = 0.5
DOMINANCE_PERCENT = 10

SMALL_SAMPLE = "suppressed_small_sample"
SMALL_NUMBER = "suppressed_small_count"
DOMINANCE = "suppressed_dominance"
TO_PROTECT = "suppressed_to_protect"
FEW_PARTICIPANTS = "suppressed_few_participants"

REASONS = (SMALL_SAMPLE, SMALL_NUMBER, DOMINANCE, TO_PROTECT)
"""Why an estimate is hidden: the first three by itself, the last because of another."""


def small(count: pl.Expr, of: pl.Expr) -> pl.Expr:
    """Whether a count or what is left of `of` is 1 to 4."""
    left = of - count
    return count.is_between(1, SMALL_COUNT) | left.is_between(1, SMALL_COUNT)


def dominated() -> pl.Expr:
    """Whether one unit dominates the numerator, by largest_share and two_largest_share (of 1, null for no amount)."""
    largest, two = pl.col("largest_share"), pl.col("two_largest_share")
    return ((largest >= LARGEST_SHARE) | ((1 - two) < DOMINANCE_PERCENT / 100 * largest)).fill_null(value=False)


def primary() -> pl.Expr:
    """The reason that hides a number by itself, null for none; of n, numerator, sensitive, estimate, largest shares."""
    n, numerator = pl.col("n").fill_null(0), pl.col("numerator")
    tells_of_each = pl.col("sensitive") & ((numerator == 0) | (numerator == n))
    return (
        pl.when(pl.col("estimate").is_null())
        .then(None)
        .when(n < FEWEST_CASES)
        .then(pl.lit(SMALL_SAMPLE))
        .when(small(numerator, n) | tells_of_each)
        .then(pl.lit(SMALL_NUMBER))
        .when(dominated())
        .then(pl.lit(DOMINANCE))
    )
