"""The moments of cells against exact fractions, and the same bytes when estimands are taken two at a time.

Here: the arithmetic of `Moments`. Not here: estimates (`test_estimation_truth`, `test_estimation_by_hand`).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.estimation import Combination, Design, Proportion, Ratio, Total, cube, engine, estimate
from lnob_pipeline.estimation.table import Moments, Runs

MEMBERS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=12)


@given(members=MEMBERS, power=st.sampled_from([-500, 0, 500]), ratio=st.floats(0, 4))
def test_the_spread_of_scores_is_that_of_exact_fractions(
    members: list[tuple[int, int]], power: int, ratio: float
) -> None:
    y, x = (np.array(column, dtype=float) for column in zip(*members, strict=True))
    start, length = np.array([0]), np.array([y.size])
    moments = Moments.of(Runs(None, start, length, start, length), y, x * 2.0**power)
    total, spread = (float(found[0]) for found in moments.scores(np.array([ratio * 2.0**-power])))
    z = [Fraction(a) - Fraction(ratio) * Fraction(b) for a, b in zip(y, x, strict=True)]
    mean = sum(z, Fraction(0)) / len(z)
    size = float(sum(abs(Fraction(a)) + Fraction(ratio) * Fraction(b) for a, b in zip(y, x, strict=True)))
    exact = float(sum((score - mean) ** 2 for score in z))
    assert total == pytest.approx(float(sum(z)), rel=0, abs=1e-13 * size)
    assert spread >= 0
    # As if each score were rounded once: never worse than squaring rounded scores.
    assert spread == pytest.approx(exact, rel=1e-11, abs=1e-13 * size * exact**0.5 + (1e-14 * size) ** 2)


def test_estimands_taken_two_at_a_time_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    size = 4_000
    cluster = random.integers(0, 200, size)
    rows = pl.DataFrame(
        {
            "stratum": cluster % 10,
            "cluster": cluster,
            "household": random.integers(0, 4, size),
            "w": random.lognormal(0, 1, size),
            "all": (cluster % 10 >= 0) * 100,
            "every": (cluster >= 0) * 9,
            "region": cluster % 5,
            "sex": random.integers(0, 2, size),
            "y": random.integers(0, 2, size),
            "v": random.random(size),
        }
    )
    design = Design(["cluster", "household"], ["stratum"], "w", ["all", "every"])
    both = Combination([Proportion("y"), Proportion("sex")])
    estimands = [Proportion("y"), Ratio("v", "y"), Total("v"), both, Proportion("sex")]
    answers = []
    for many in (1 << 62, 0):
        monkeypatch.setattr(engine, "MANY", many)
        answers.append(estimate(rows, design, estimands, cube(["region", "sex"])))
    assert answers[0].write_ipc(None).getvalue() == answers[1].write_ipc(None).getvalue()
