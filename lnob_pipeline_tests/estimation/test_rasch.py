"""The Rasch model against its definition written out, against R, against known severities, and what it refuses."""

import itertools

import numpy as np
import polars as pl
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.estimation.rasch import FEWEST_CASES, Scale, fit
from lnob_pipeline_tests.thorough import tries

# Severities of the eight items of the Food Insecurity Experience Scale on the global scale, 2014-2016 (RM.weights 2.0).
GLOBAL = (-1.2230564, -0.8471210, -1.1056616, 0.3509848, -0.3117999, 0.5065051, 0.7546138, 1.8755353)
NAMES = [f"item_{number}" for number in range(8)]
MODERATE = GLOBAL[4]

# Six patterns of three items and how many gave each: small enough for R's exact conditional logistic regression.
THREE = {"100": 60, "010": 30, "001": 10, "110": 50, "101": 20, "011": 10, "000": 40, "111": 30}


def frame(patterns: dict[str, int], weight: float = 1.0) -> pl.DataFrame:
    rows = list(itertools.chain.from_iterable([list(pattern)] * count for pattern, count in patterns.items()))
    names = [f"item_{number}" for number in range(len(rows[0]))]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(weight_=pl.lit(weight))


def simulated(seed: int, n: int, severity: np.ndarray, mean: float = -0.5, spread: float = 1.5) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    place = random.normal(mean, spread, n)
    affirmed = random.random((n, severity.size)) < scipy.special.expit(place[:, None] - severity)
    columns = {f"item_{i}": affirmed[:, i].astype(int).astype(str) for i in range(severity.size)}
    return pl.DataFrame(columns | {"weight_": random.uniform(0.5, 3.0, n), "place": place})


def eight(rows: pl.DataFrame, threshold: float = MODERATE) -> Scale:
    return fit(rows, dict(zip(NAMES, GLOBAL, strict=True)), threshold)


def conditional(severity: np.ndarray) -> dict[tuple[int, ...], float]:
    """P(pattern | raw score) by its definition, over all patterns."""
    patterns = list(itertools.product((0, 1), repeat=severity.size))
    size = {pattern: float(np.exp(-np.dot(pattern, severity))) for pattern in patterns}
    whole = {score: sum(v for p, v in size.items() if sum(p) == score) for score in range(severity.size + 1)}
    return {pattern: size[pattern] / whole[sum(pattern)] for pattern in patterns}


def test_three_items_as_conditional_logistic_regression_of_r_has_them() -> None:
    # survival 3.5.3 in R: clogit(answer ~ item + strata(person), method = "exact"), turned to a mean of zero.
    found = fit(frame(THREE), {"item_0": -1.0, "item_1": 0.0, "item_2": 1.0}, 0.0)
    assert found.cases == 180
    assert found.severity == pytest.approx([-0.7953299227704, -0.0879943200126, 0.8833242427830], abs=1e-9)


def test_severities_maximise_the_weighted_likelihood_written_out() -> None:
    rows = simulated(3, 400, np.array(GLOBAL))
    found = eight(rows)
    answers = rows.select(pl.col(NAMES).cast(pl.Int8)).to_numpy()
    weights = rows["weight_"].to_numpy()

    def minus_log_likelihood(free: np.ndarray) -> float:
        chance = conditional(np.append(free, -free.sum()))
        return -sum(w * np.log(chance[tuple(a)]) for a, w in zip(answers.tolist(), weights, strict=True))

    other = scipy.optimize.minimize(minus_log_likelihood, np.array(GLOBAL[:7]), method="BFGS", tol=1e-6)
    assert found.severity[:7] == pytest.approx(other.x, abs=2e-4)
    assert minus_log_likelihood(found.severity[:7]) <= other.fun + 1e-9


def test_infit_by_its_definition_over_persons() -> None:
    rows = simulated(5, 300, np.array(GLOBAL))
    found = eight(rows)
    chance = conditional(found.severity)
    answers = rows.select(pl.col(NAMES).cast(pl.Int8)).to_numpy()
    above, below = np.zeros(8), np.zeros(8)
    for answer, weight in zip(answers, rows["weight_"], strict=True):
        score = int(answer.sum())
        if 0 < score < 8:
            expected = np.array([sum(v for p, v in chance.items() if sum(p) == score and p[i]) for i in range(8)])
            above += weight * (answer - expected) ** 2
            below += weight * expected * (1 - expected)
    assert found.infit == pytest.approx(above / below, abs=1e-9)


def test_raw_scores_stand_where_they_are_expected() -> None:
    found = eight(simulated(3, 400, np.array(GLOBAL)))
    chance = scipy.special.expit(found.raw_severity[:, None] - found.severity)
    assert chance.sum(axis=1) == pytest.approx([0.5, 1, 2, 3, 4, 5, 6, 7, 7.5], abs=1e-9)
    assert found.raw_error[:8] == pytest.approx(1 / np.sqrt((chance * (1 - chance)).sum(axis=1))[:8])
    assert found.raw_error[8] == found.raw_error[0]
    # The same threshold, once on the global scale and once on the survey's.
    place = found.shift + found.scale * found.raw_severity
    above = 1 - scipy.stats.norm.cdf((MODERATE - place) / (found.scale * found.raw_error))
    assert found.probability[1:] == pytest.approx(above[1:], abs=1e-12)
    assert found.probability[0] == 0.0
    assert (np.diff(found.probability) > 0).all()


def test_known_severities_are_found_whatever_the_metric_of_the_survey() -> None:
    # The survey's own scale is stretched and moved; the global one is found again.
    found = eight(simulated(11, 20_000, 1.4 * np.array(GLOBAL) + 0.3))
    assert found.problem is None
    assert found.common.all()
    assert found.shift + found.scale * found.severity == pytest.approx(GLOBAL, abs=0.06)
    assert found.infit == pytest.approx(np.ones(8), abs=0.05)


def test_the_share_above_the_threshold_is_near_the_true_one() -> None:
    rows = simulated(17, 20_000, np.array(GLOBAL), mean=-0.3, spread=1.6)
    found = eight(rows)
    raw = rows.select(pl.sum_horizontal(pl.col(NAMES).cast(pl.Int8))).to_series().to_numpy()
    weights = rows["weight_"].to_numpy()
    share = np.average(found.probability[raw], weights=weights)
    true = np.average(rows["place"].to_numpy() > MODERATE, weights=weights)
    assert share == pytest.approx(true, abs=0.02)


def test_an_item_that_means_something_else_is_not_common() -> None:
    severity = np.array(GLOBAL)
    severity[3] += 1.5
    found = eight(simulated(23, 20_000, severity))
    assert found.problem is None
    assert found.common.tolist() == [True, True, True, False, True, True, True, True]
    # The others carry the scale.
    assert (found.shift + found.scale * found.severity)[found.common] == pytest.approx(severity[found.common], abs=0.08)


def test_too_few_cases_are_refused() -> None:
    rows = simulated(1, 60, np.array(GLOBAL))
    found = eight(rows)
    assert found.cases < FEWEST_CASES
    assert found.problem is not None
    assert found.problem.startswith(f"{found.cases} complete answers")
    assert found.probability.size == 0


def test_incomplete_answers_and_rows_without_weight_do_not_speak() -> None:
    rows = simulated(3, 400, np.array(GLOBAL)).drop("place")
    holes = rows.with_columns(item_0=pl.lit(None, dtype=pl.String))
    no_weight = rows.with_columns(weight_=pl.lit(0.0))
    found = eight(pl.concat([rows, holes, no_weight]))
    assert found.cases == eight(rows).cases
    assert found.severity == pytest.approx(eight(rows).severity)


def test_an_item_that_does_not_measure_the_same_is_refused() -> None:
    rows = simulated(9, 2_000, np.array(GLOBAL))
    random = np.random.default_rng(4)
    noise = pl.Series("item_2", random.integers(0, 2, rows.height).astype(str))
    found = eight(rows.with_columns(noise))
    assert found.problem is not None
    assert "infit outside 0.7 to 1.3" in found.problem
    assert "item_2" in found.problem


def test_an_item_that_nobody_denies_is_refused() -> None:
    rows = simulated(9, 500, np.array(GLOBAL)).with_columns(item_6=pl.lit("0"))
    problem = eight(rows).problem
    assert problem is not None
    assert "everybody answers item_6 alike" in problem


def test_a_survey_of_another_scale_is_refused() -> None:
    reverse = eight(simulated(31, 20_000, -np.array(GLOBAL), mean=0.5))
    assert reverse.problem is not None
    assert reverse.problem.startswith("no common scale")


@settings(max_examples=tries(30))
@given(
    st.lists(st.floats(-2.5, 2.5), min_size=4, max_size=7),
    st.integers(0, 10_000),
    st.floats(0.2, 5.0),
)
def test_weights_count_relatively_and_order_does_not_matter(severity: list[float], seed: int, factor: float) -> None:
    rows = simulated(seed, 500, np.array(severity)).drop("place")
    names = [name for name in rows.columns if name != "weight_"]
    items = dict(zip(names, np.linspace(-1.5, 1.5, len(names)), strict=True))
    found = fit(rows, items, 0.0)
    again = fit(rows.reverse().with_columns(pl.col("weight_") * factor), items, 0.0)
    assert again.cases == found.cases
    assert again.severity == pytest.approx(found.severity, abs=1e-8)
    if found.severity.size:
        assert found.severity.mean() == pytest.approx(0, abs=1e-12)
        score = rows.filter(pl.sum_horizontal(pl.col(names).cast(pl.Int8)).is_between(1, len(names) - 1))
        shares = [np.average(score[name].cast(pl.Int8), weights=score["weight_"]) for name in names]
        # Who is affirmed more often is less severe.
        assert (np.argsort(-found.severity, kind="stable") == np.argsort(shares, kind="stable")).all()
