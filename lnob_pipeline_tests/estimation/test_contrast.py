"""Contrasts between strata: by hand, against the linearisation written out row by row, against R, and at the edges."""

import importlib
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lnob_pipeline import warehouse
from lnob_pipeline.estimation import (
    EACH,
    EVERY_OTHER,
    Combination,
    Design,
    EstimationInputError,
    Mean,
    Proportion,
    Ratio,
    Total,
    contrast,
    estimate,
)
from lnob_pipeline_tests.thorough import tries

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

F_M: Any = [({"sex": "F"}, {"sex": "M"})]
DESIGN = Design(["c"], ["h"], "w")
# Two design strata of two clusters, weights 1; in each cluster one woman (first) and one man.
SMALL = pl.DataFrame(
    {
        "h": ["a"] * 4 + ["b"] * 4,
        "c": [1, 1, 2, 2, 1, 1, 2, 2],
        "w": [1.0] * 8,
        "N": [4.0] * 8,
        "sex": ["F", "M"] * 4,
        "y": [1, 0, 1, 1, 0, 0, 1, 0],
        "x": [1.0, 2, 3, 1, 1, 2, 1, 4],
    }
)


def _one(frame: pl.DataFrame, estimand: Any, between: Any = F_M, design: Design | None = DESIGN, **options: Any) -> Any:
    """The rows of the three kinds of one pair."""
    return contrast(frame, design, [estimand], between, **options).to_dicts()


# By hand ----------------------------------------------------------------------------------------------------------


def test_shares_by_hand() -> None:
    """F: p = 3/4, M: p = 1/4; scores (y - p)/4, by cluster a1 a2 | b1 b2.

    z_F = 1/16, 1/16 | -3/16, 1/16; z_M = -1/16, 3/16 | -1/16, -1/16. In a stratum of two clusters the variance of a
    sum is (z_1 - z_2)^2, the covariance (z_1 - z_2)(z'_1 - z'_2).
    V(F) = 0 + (4/16)^2 = 1/16, V(M) = (4/16)^2 + 0 = 1/16, Cov = 0 * (-4/16) + (-4/16) * 0 = 0.
    """
    difference, ratio, log_ratio = _one(SMALL, Proportion("y"))
    assert [row["contrast"] for row in (difference, ratio, log_ratio)] == ["difference", "ratio", "log_ratio"]
    assert (difference["est_stratum"], difference["est_reference"], difference["est"]) == (0.75, 0.25, 0.5)
    assert (difference["n"], difference["n_reference"], difference["df"]) == (4, 4, 2)
    assert difference["covariance"] == pytest.approx(0, abs=1e-17)
    assert difference["se"] == pytest.approx(math.sqrt(1 / 8), rel=1e-14)
    # Ratio 3: relative variances (1/16)/(9/16) + (1/16)/(1/16) = 10/9.
    assert (ratio["est"], log_ratio["est"]) == (3.0, pytest.approx(math.log(3), rel=1e-15))
    assert log_ratio["se"] == pytest.approx(math.sqrt(10 / 9), rel=1e-14)
    assert ratio["se"] == pytest.approx(3 * math.sqrt(10 / 9), rel=1e-14)
    # The quantile and the distribution of t with 2 degrees of freedom in closed form.
    quantile = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))
    assert difference["ci_low"] == pytest.approx(0.5 - quantile * math.sqrt(1 / 8), rel=1e-13)
    assert difference["ci_high"] == pytest.approx(0.5 + quantile * math.sqrt(1 / 8), rel=1e-13)
    assert ratio["ci_high"] == pytest.approx(math.exp(math.log(3) + quantile * math.sqrt(10 / 9)), rel=1e-13)
    t = 0.5 / math.sqrt(1 / 8)
    assert difference["p_value"] == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-13)
    assert ratio["p_value"] == log_ratio["p_value"]
    narrower = _one(SMALL, Proportion("y"), confidence=0.5)[0]
    assert narrower["ci_high"] == pytest.approx(0.5 + math.sqrt(1 / 8) * 0.5 * math.sqrt(2 / (4 * 0.75 * 0.25)))


def test_totals_and_finite_populations_by_hand() -> None:
    """Cluster totals of F: 1, 1 | 0, 1 and of M: 0, 1 | 0, 0, so differences 1, 0 | 0, 1: V = 1 + 1 = 2.

    V(F) = 1, V(M) = 1, Cov = (1 - 1)(0 - 1) + (0 - 1)(0 - 0) = 0. With 2 of 4 clusters sampled, half of it.
    """
    assert _one(SMALL, Total("y"))[0]["se"] == pytest.approx(math.sqrt(2), rel=1e-14)
    assert _one(SMALL, Total("y"), design=Design(["c"], ["h"], "w", ["N"]))[0]["se"] == pytest.approx(1, rel=1e-14)


def test_a_stratum_against_the_total_by_hand() -> None:
    """The total has p = 1/2 and scores (sum y - 1)/8 by cluster: 0, 1/8 | -1/8, 0. F as above.

    V(F) = 1/16, V(total) = 2/64, Cov = (0)(-1/8) + (-4/16)(-1/8) = 1/32, so V(F - total) = 1/16 + 1/32 - 2/32 = 1/32.
    """
    row = _one(SMALL, Proportion("y"), [({"sex": "F"}, {})])[0]
    assert (row["sex"], row["sex_reference"], row["n"], row["n_reference"]) == ("F", None, 4, 8)
    assert row["covariance"] == pytest.approx(1 / 32, rel=1e-13)
    assert row["se"] == pytest.approx(math.sqrt(1 / 32), rel=1e-13)


def test_ratio_by_hand() -> None:
    """F: R = 3/6, M: R = 1/9; scores (y - R x)/X by cluster: F (1/2, -1/2 | -1/2, 1/2)/6, M (-2, 8 | -2, -4)/81.

    Differences of the two clusters of a design stratum: F 1/6, -1/6; M -10/81, 2/81.
    """
    row = _one(SMALL, Ratio("y", "x"))[0]
    assert (row["est_stratum"], row["est_reference"]) == (0.5, pytest.approx(1 / 9))
    assert row["covariance"] == pytest.approx(1 / 6 * -10 / 81 + -1 / 6 * 2 / 81, rel=1e-13)
    assert row["se"] == pytest.approx(math.sqrt((1 / 6 + 10 / 81) ** 2 + (1 / 6 + 2 / 81) ** 2), rel=1e-13)


# The linearisation written out ------------------------------------------------------------------------------------


@dataclass
class _Rows:
    """A sample as arrays, NaN for a missing number."""

    frame: pl.DataFrame
    design: Design
    known: dict[tuple[str, ...], NDArray[np.int64]] = field(default_factory=dict)

    def number(self, column: str) -> Array:
        return self.frame[column].cast(pl.Float64).fill_null(math.nan).to_numpy()

    def stratum(self, levels: dict[str, str]) -> Flags:
        inside = np.ones(self.frame.height, dtype=bool)
        for column, level in levels.items():
            inside &= (self.frame[column] == level).fill_null(False).to_numpy()
        return inside

    def estimate(self, estimand: Any, levels: dict[str, str]) -> tuple[float, Array, Flags]:
        """The estimate, the score of each row, and the rows of the domain."""
        if isinstance(estimand, Combination):
            ests, scores, domains = zip(*(self.estimate(part, levels) for part in estimand.parts), strict=True)
            return sum(ests) / len(ests), np.sum(scores, axis=0) / len(ests), np.logical_or.reduce(domains)
        y = self.number(estimand.y)
        x = self.number(estimand.x) if isinstance(estimand, Ratio) else np.ones(y.size)
        w = self.number(self.design.weights)
        domain = self.stratum(levels) & ~np.isnan(y) & ~np.isnan(x)
        wy, wx = (np.where(domain, w * values, 0.0) for values in (y, x))
        if isinstance(estimand, Total):
            return wy.sum(), wy, domain
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = wy.sum() / wx.sum()
            return ratio, (wy - ratio * wx) / wx.sum(), domain

    def keys(self, columns: Sequence[str]) -> NDArray[np.int64]:
        if tuple(columns) not in self.known:
            rows = self.frame.select(columns).rows() if columns else [()] * self.frame.height
            codes = {row: code for code, row in enumerate(dict.fromkeys(rows))}
            self.known[tuple(columns)] = np.array([codes[row] for row in rows], dtype=np.int64)
        return self.known[tuple(columns)]

    def degrees_of_freedom(self, domain: Flags) -> int:
        rows = domain & (self.number(self.design.weights) > 0)
        strata, clusters = self.keys(self.design.strata[:1]), self.clusters(1)
        return np.unique(clusters[rows]).size - np.unique(strata[rows]).size

    def clusters(self, stage: int) -> NDArray[np.int64]:
        if not self.design.clusters:
            return np.arange(self.frame.height)
        return self.keys([*self.design.strata[:1], *self.design.clusters[:stage]])

    def variance(self, z: Array, domain: Flags) -> float:
        return self._stage(z, domain, 1, np.arange(z.size))

    def _stage(self, z: Array, domain: Flags, stage: int, rows: NDArray[np.int64]) -> float:
        design = self.design
        keys, clusters = self.keys(design.strata[stage - 1 : stage]), self.clusters(stage)
        strata = [rows[keys[rows] == h] for h in np.unique(keys[rows])]
        strata = [inside for inside in strata if domain[inside].any()]
        sampled = [np.unique(clusters[inside]) for inside in strata]
        if not strata:
            return 0.0
        centre = sum(z[inside].sum() for inside in strata) / sum(units.size for units in sampled)
        found, lonely_strata, deeper = 0.0, 0, 0.0
        for inside, units in zip(strata, sampled, strict=True):
            n = units.size
            fraction = n / self.number(design.population_sizes[stage - 1])[inside[0]] if design.population_sizes else 0
            total = np.array([z[inside[clusters[inside] == unit]].sum() for unit in units])
            present = [domain[inside[clusters[inside] == unit]].any() for unit in units]
            lonely = n == 1 or (design.adjust_domain_lonely and sum(present) == 1)
            if fraction > 1 - 1e-7:
                pass
            elif lonely and design.lonely_psu == "fail":
                found = (
                    math.nan if n == 1 else found + (1 - fraction) * n / (n - 1) * ((total - total.mean()) ** 2).sum()
                )
            elif lonely and design.lonely_psu == "adjust":
                found += (1 - fraction) * n / max(n - 1, 1) * ((total - centre) ** 2).sum()
            elif lonely and design.lonely_psu == "average":
                lonely_strata += 1
            elif n > 1:
                found += (1 - fraction) * n / (n - 1) * ((total - total.mean()) ** 2).sum()
            if stage < len(design.population_sizes):
                for unit in units[present]:
                    deeper += fraction * self._stage(z, domain, stage + 1, inside[clusters[inside] == unit])
        if lonely_strata:
            found = found * len(strata) / (len(strata) - lonely_strata) if len(strata) > lonely_strata else math.nan
        return found + deeper

    def contrast(self, estimand: Any, a: dict[str, str], b: dict[str, str]) -> dict[str, float]:
        """Every number of a contrast; NaN where undefined."""
        est_a, z_a, in_a = self.estimate(estimand, a)
        est_b, z_b, in_b = self.estimate(estimand, b)
        domain = in_a | in_b
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.float64(est_a) / est_b
            scores = {"difference": z_a - z_b, "ratio": z_a / est_b - est_a * z_b / est_b**2}
            scores |= {"log_ratio": z_a / est_a - z_b / est_b}
            answer = {kind: self.variance(z, domain) for kind, z in scores.items()}
        answer |= {"V(a)": self.variance(z_a, domain), "V(b)": self.variance(z_b, domain), "a": est_a, "b": est_b}
        answer["df"], answer["a / b"] = self.degrees_of_freedom(domain), ratio
        answer["df a"], answer["df b"] = self.degrees_of_freedom(in_a), self.degrees_of_freedom(in_b)
        return answer


PAIRS: Any = [
    ({"sex": "F"}, {"sex": "M"}),
    ({"sex": "M"}, {}),
    ({}, {"region": "N"}),
    ({"sex": "F", "region": "N"}, {"sex": "M", "region": "S"}),
    ({"sex": "F", "region": "S"}, {"region": "S"}),
    ({"sex": "F"}, {"region": "N"}),
]
ESTIMANDS: Any = [
    Mean("x"),
    Proportion("y"),
    Ratio("y", "x"),
    Total("x"),
    Combination([Proportion("y"), Proportion("y2")]),
]


KEYS: Any = [
    (["c"], ["h"], []),
    (["c"], ["h"], ["N1"]),
    (["c", "s"], ["h"], ["N1", "N2"]),
    (["c", "s"], ["h"], []),
    ([], ["h"], []),
    ([], [], []),
]


@st.composite
def _samples(draw: Callable[..., Any]) -> tuple[pl.DataFrame, Design]:
    """Up to 60 rows in three design strata of one to four clusters, with what is missing, weightless and alone."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    clusters = {h: draw(st.integers(1, 4)) for h in "abc"}
    missing, weightless = draw(st.sampled_from([0.0, 0.1, 0.5])), draw(st.sampled_from([0.0, 0.1, 0.5]))
    shares = draw(st.sampled_from([0.1, 0.5, 1.0]))

    def row(h: str, c: int) -> dict[str, Any]:
        values = {
            "sex": chance.choice("FM"),
            "region": chance.choice("NS"),
            "y": int(chance.random() < shares),
            "y2": int(chance.random() < 0.5),
            "x": chance.choice([0.5, 1.25, 3.0, 7.75]),
        }
        values = {name: None if chance.random() < missing else value for name, value in values.items()}
        weight = 0.0 if chance.random() < weightless else chance.choice([1.0, 2.5, 10.1, 333.3])
        return values | {"h": h, "c": c, "s": chance.randint(0, 2), "w": weight}

    rows = [
        row(h, chance.randrange(clusters[h]))
        for h in chance.choices("abc", k=draw(st.sampled_from([2, 8, 20, 40, 60])))
    ]
    # All levels that the pairs name are there, in rows that count for nothing but the design.
    rows += [row("a", 0) | {"sex": sex, "region": region, "w": 0.0} for sex, region in ("FN", "MS")] + [row("b", 0)]
    census = {h: draw(st.integers(0, 2)) for h in "abc"}
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col("y", "y2").cast(pl.Int8))
    frame = frame.with_columns(
        pl.col("x").cast(pl.Float64),
        N1=pl.col("c").n_unique().over("h") + pl.col("h").replace_strict(census, return_dtype=pl.Int64),
        N2=pl.col("s").n_unique().over("h", "c") + pl.col("c"),
    )
    lonely, in_domain = draw(st.sampled_from(["certainty", "remove", "adjust", "average", "fail"])), draw(st.booleans())
    keys, strata, sizes = draw(st.sampled_from(KEYS))
    return frame, Design(keys, strata, "w", sizes, True, lonely, in_domain)


@settings(max_examples=tries(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(_samples())
def test_against_the_linearisation_written_out(sample: tuple[pl.DataFrame, Design]) -> None:
    frame, design = sample
    rows = _Rows(frame, design)
    answer = contrast(frame, design, ESTIMANDS, PAIRS)
    assert answer.height == len(ESTIMANDS) * 3 * len(PAIRS)
    expected = [[rows.contrast(estimand, *pair) for pair in PAIRS] for estimand in ESTIMANDS]
    truths = [truth for of_estimand in expected for _ in range(3) for truth in of_estimand]
    for row, truth in zip(answer.iter_rows(named=True), truths, strict=True):
        _check(row, truth)


def _check(row: dict[str, Any], truth: dict[str, float]) -> None:
    kind, status = row["contrast"], row["status"]
    estimable = np.isfinite(truth["a"]) and np.isfinite(truth["b"]) and min(truth["df a"], truth["df b"]) > 0
    if kind != "difference":
        estimable &= truth["b"] != 0 and (kind == "ratio" or truth["a / b"] > 0)
    if status in ("ok", "degenerate"):
        assert estimable
        assert row["df"] == truth["df"]
        est = {"difference": truth["a"] - truth["b"], "ratio": truth["a / b"]}.get(kind)
        est = math.log(truth["a / b"]) if est is None else est
        size = abs(truth["a"]) + abs(truth["b"]) if kind == "difference" else 1 + abs(truth["a / b"])
        assert row["est"] == pytest.approx(est, rel=1e-12, abs=1e-13 * size)
        assert row["se"] ** 2 == pytest.approx(truth[kind], rel=1e-9, abs=1e-20 * size**2)
        covariance = (truth["V(a)"] + truth["V(b)"] - truth["difference"]) / 2
        assert row["covariance"] == pytest.approx(
            covariance, rel=1e-9, abs=1e-12 * (truth["V(a)"] + truth["V(b)"]) + 1e-18
        )
        if kind == "difference":
            quantile = scipy.special.stdtrit(truth["df"], 0.975)
            assert row["ci_high"] == pytest.approx(est + quantile * row["se"], rel=1e-9, abs=1e-9 * size)
            assert row["ci_low"] == pytest.approx(est - quantile * row["se"], rel=1e-9, abs=1e-9 * size)
    elif status == "lonely_psu":
        assert row["se"] is None
    else:
        assert not estimable
        assert status in ("no_rows", "not_estimable")
    if status not in ("ok", "degenerate"):
        assert (row["ci_low"], row["ci_high"], row["p_value"]) == (None, None, None)


# R ----------------------------------------------------------------------------------------------------------------

REFERENCE = Path(__file__).parent / "reference"  # its README has the fields, and how R made them
CASES = json.loads((REFERENCE / "reference.json").read_text())["contrasts"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_against_r(case: dict[str, Any]) -> None:
    plan = case["design"]
    numbers = [plan["weights"], case["y"], *plan["fpc"], *([case["x"]] if "x" in case else [])]
    frame = pl.read_csv(REFERENCE / "survey.csv", infer_schema=False, null_values=[""])
    design = Design(
        plan["ids"],
        plan["strata"],
        plan["weights"],
        plan["fpc"],
        plan["nest"],
        case["lonely_psu"],
        case["adjust_domain_lonely"],
    )
    estimands: Any = {"mean": Mean, "prop": Proportion, "total": Total}
    estimand = Ratio(case["y"], case["x"]) if "x" in case else estimands[case["estimator"]](case["y"])
    pairs = [(row["stratum"], row["reference"]) for row in case["rows"]]
    answer = contrast(frame.with_columns(pl.col(numbers).cast(pl.Float64)), design, [estimand], pairs)
    for kind in ("difference", "ratio", "log_ratio"):
        for mine, row in zip(answer.filter(contrast=kind).iter_rows(named=True), case["rows"], strict=True):
            assert [mine[name] for name in ("n", "n_reference", "df")] == [row["n"], row["n_reference"], row["df"]]
            assert mine["est_stratum"] == pytest.approx(row["est_stratum"], rel=1e-12)
            assert mine["est_reference"] == pytest.approx(row["est_reference"], rel=1e-12)
            assert mine["est"] == pytest.approx(row[kind]["est"], rel=1e-12)
            assert mine["se"] == pytest.approx(row[kind]["se"], rel=1e-9)
            size = row["se_stratum"] * row["se_reference"]
            assert mine["covariance"] == pytest.approx(row["covariance"], rel=1e-9, abs=1e-12 * size)


# Identities -------------------------------------------------------------------------------------------------------


def _survey(seed: int = 0, strata: int = 6) -> pl.DataFrame:
    """Clusters that have women and men, districts of two design strata each."""
    draw = random.Random(seed)
    rows = []
    for stratum in range(strata):
        for cluster in range(draw.randint(2, 5)):
            lean = draw.uniform(0.1, 0.6)
            for _ in range(draw.randint(4, 12)):
                sex = draw.choice(["F", "M"])
                rows.append(
                    {
                        "h": f"h{stratum}",
                        "c": cluster,
                        "w": draw.uniform(1, 90),
                        "sex": sex,
                        "district": "ABC"[stratum // 2],
                        "y": int(draw.random() < lean + 0.2 * (sex == "F")),
                        "y2": int(draw.random() < lean),
                        "x": draw.uniform(0.5, 20),
                    }
                )
    return pl.DataFrame(rows)


ALL: Any = [
    Proportion("y"),
    Mean("x"),
    Ratio("y", "x"),
    Total("x"),
    Combination([Proportion("y"), Proportion("y2")], name="both"),
]


def test_strata_that_are_design_strata_are_independent() -> None:
    frame = _survey()
    answer = contrast(frame, DESIGN, ALL, [({"district": EACH}, {"district": EVERY_OTHER})], kinds=("difference",))
    assert answer["covariance"].to_list() == [0.0] * answer.height
    root = (answer["se_stratum"] ** 2 + answer["se_reference"] ** 2).sqrt()
    assert answer["se"].to_list() == pytest.approx(root.to_list(), rel=1e-12)


def test_strata_that_share_clusters_are_not() -> None:
    answer = contrast(_survey(), DESIGN, ALL, F_M, kinds=("difference",))
    for row in answer.iter_rows(named=True):
        independent = row["se_stratum"] ** 2 + row["se_reference"] ** 2
        assert abs(row["covariance"]) > 0.01 * independent
        assert row["se"] ** 2 == pytest.approx(independent - 2 * row["covariance"], rel=1e-12)


def test_both_directions_say_the_same() -> None:
    pairs: Any = [({"sex": "F"}, {"sex": "M"}), ({"district": "A"}, {}), ({"sex": "F", "district": "B"}, {"sex": "M"})]
    there = contrast(_survey(), DESIGN, ALL, pairs)
    back = contrast(_survey(), DESIGN, ALL, [(b, a) for a, b in pairs])
    assert there["covariance"].to_list() == back["covariance"].to_list()
    for kind in ("difference", "log_ratio"):
        one, other = (frame.filter(contrast=kind) for frame in (there, back))
        assert one["est"].to_list() == pytest.approx((-other["est"]).to_list(), rel=1e-12)
        assert one["se"].to_list() == pytest.approx(other["se"].to_list(), rel=1e-12)
        assert one["ci_low"].to_list() == pytest.approx((-other["ci_high"]).to_list(), rel=1e-12)
        assert one["p_value"].to_list() == pytest.approx(other["p_value"].to_list(), rel=1e-9)
    one, other = (frame.filter(contrast="ratio") for frame in (there, back))
    assert one["ci_low"].to_list() == pytest.approx((1 / other["ci_high"]).to_list(), rel=1e-12)


def test_a_difference_of_means_is_the_slope_of_a_regression_on_the_stratum() -> None:
    """Weighted least squares of y on (1, is F), with the sandwich variance of the design (Binder 1983)."""
    frame = _survey(3)
    rows = _Rows(frame, DESIGN)
    w, y = rows.number("w"), rows.number("y")
    design_matrix = np.column_stack([np.ones(y.size), rows.stratum({"sex": "F"})])
    bread = np.linalg.inv(design_matrix.T @ (w[:, None] * design_matrix))
    slopes = bread @ design_matrix.T @ (w * y)
    influence = ((w * (y - design_matrix @ slopes))[:, None] * design_matrix @ bread)[:, 1]
    row = _one(frame, Mean("y"))[0]
    assert row["est"] == pytest.approx(slopes[1], rel=1e-12)
    assert row["se"] == pytest.approx(math.sqrt(rows.variance(influence, np.ones(y.size, dtype=bool))), rel=1e-11)


def test_a_stratum_and_its_complement_against_the_total_share_one_test() -> None:
    """T = F + M exactly for totals: (F - T) = -M, whose standard error is that of M."""
    row = _one(_survey(), Total("x"), [({"sex": "F"}, {})])[0]
    men = _one(_survey(), Total("x"))[0]
    assert row["est"] == pytest.approx(-men["est_reference"], rel=1e-12)
    assert row["se"] == pytest.approx(men["se_reference"], rel=1e-11)


@pytest.mark.parametrize("estimand", ALL)
def test_the_sides_are_those_of_estimate(estimand: Any) -> None:
    frame = _survey()
    answer = contrast(frame, DESIGN, [estimand], [({"district": EACH, "sex": EACH}, {"sex": EACH})])
    assert answer.height == 3 * 6
    alone = estimate(frame, DESIGN, [estimand], [("sex",), ("district", "sex")])
    sides = answer.join(alone, on=["district", "sex"], nulls_equal=True, suffix="_alone", maintain_order="left")
    assert sides["est_stratum"].equals(sides["est_alone"]), "the very bytes"
    assert sides["se_stratum"].equals(sides["se_alone"])
    assert sides["n"].equals(sides["n_alone"])
    assert answer["sex"].equals(answer["sex_reference"].alias("sex"))
    women = alone.filter(sex="F", stratum_depth=1)
    assert set(answer.filter(sex="F")["se_reference"]) == set(women["se"])


# What is asked ----------------------------------------------------------------------------------------------------


def _asked(*between: Any) -> list[tuple[Any, ...]]:
    frame = _survey().with_columns(
        sex=pl.when(district="C").then(pl.lit("F")).otherwise("sex"), year=pl.lit(2020) + pl.col("c") % 2
    )
    answer = contrast(frame, DESIGN, [Mean("y")], between, kinds=("difference",))
    columns = answer.columns[4 : answer.columns.index("n")]
    names = [column.removesuffix("_reference") for column in columns]
    half = len(columns) // 2
    return [
        tuple(
            {n: v for n, v in zip(names[:half], values, strict=True) if v is not None}
            for values in (r[:half], r[half:])
        )
        for r in answer.select(columns).iter_rows()
    ]


def test_each_against_the_total_another_and_every_other() -> None:
    a, b, c = ({"district": name} for name in "ABC")
    assert _asked(({"district": EACH}, {})) == [(a, {}), (b, {}), (c, {})]
    assert _asked(({"district": EACH}, b)) == [(a, b), (c, b)]
    assert _asked((b, {"district": EVERY_OTHER})) == [(b, a), (b, c)]
    assert _asked((b, {"district": EACH})) == [(b, a), (b, c)]
    assert _asked(({"district": EACH}, {"district": EVERY_OTHER})) == [(a, b), (a, c), (b, a), (b, c), (c, a), (c, b)]
    assert _asked(({}, {"district": EACH})) == [({}, a), ({}, b), ({}, c)]


def test_each_is_the_same_level_on_both_sides_and_only_what_the_sample_has() -> None:
    """There are no men in district C: it drops out of what stands for many, and stays where it is written out."""
    each: Any = ({"sex": "F", "district": EACH}, {"sex": "M", "district": EACH})
    pairs = [({"sex": "F", "district": name}, {"sex": "M", "district": name}) for name in "ABC"]
    assert _asked(each) == pairs[:2]
    assert _asked(*reversed(pairs)) == pairs[::-1]
    elsewhere: Any = ({"sex": "M", "district": EACH}, {"sex": "F", "district": EVERY_OTHER})
    assert [(m["district"], f["district"]) for m, f in _asked(elsewhere)] == [
        ("A", "B"),
        ("A", "C"),
        ("B", "A"),
        ("B", "C"),
    ]
    assert _asked(each, pairs[2], pairs[0]) == [*pairs[:2], pairs[2]]


def test_levels_are_matched_by_value_whatever_their_type() -> None:
    assert _asked(({"year": 2020}, {"year": 2021})) == [({"year": 2020}, {"year": 2021})]
    frame = SMALL.with_columns(
        flag=pl.col("sex") == "F", kind=pl.col("sex").cast(pl.Enum(["M", "F"])), size=pl.col("c") / 2
    )
    expected = _one(SMALL, Mean("y"))[0]["se"]
    assert _one(frame, Mean("y"), [({"flag": True}, {"flag": False})])[0]["se"] == expected
    assert _one(frame, Mean("y"), [({"kind": "F"}, {"kind": "M"})])[0]["se"] == expected
    assert _one(frame, Mean("y"), [({"size": 0.5}, {"size": 1})])[0]["n"] == 4


def test_columns_and_their_types() -> None:
    answer = contrast(SMALL, DESIGN, [Proportion("y", level=1)], [({"sex": "F", "h": "a"}, {"sex": "M"})])
    kinds = {
        pl.String: ["estimand", "y", "x", "level", "sex", "h", "sex_reference", "h_reference", "contrast", "status"],
        pl.Int64: ["n", "n_reference", "df"],
        pl.Float64: [
            *("est_stratum", "se_stratum", "est_reference", "se_reference", "covariance"),
            *("est", "se", "ci_low", "ci_high", "p_value"),
        ],
    }
    assert dict(answer.schema) == {column: kind for kind, columns in kinds.items() for column in columns}
    assert answer.columns[4:] == [
        *("sex", "h", "sex_reference", "h_reference", "n", "n_reference"),
        *("est_stratum", "se_stratum", "est_reference", "se_reference", "covariance"),
        *("contrast", "est", "se", "df", "ci_low", "ci_high", "p_value", "status"),
    ]
    none = contrast(SMALL.with_columns(sex=pl.lit(None, pl.String)), DESIGN, [Mean("y")], [({"sex": EACH}, {})])
    assert (none.height, none.schema) == (0, answer.drop("h", "h_reference").schema)


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ([({"sex": "female"}, {})], r"'sex' never has the level 'female'\. Is it 'F' or 'M'\?"),
        ([({"h": "A"}, {})], r"'h' never has the level 'A'\. Is it 'a'\?"),
        ([({"c": "1"}, {})], r"'c' never has the level '1'\. Is it 1\?"),
        ([({"sexe": "F"}, {})], r"no column 'sexe'\. Is it 'sex'"),
        ([({"sex": "F"}, {"sex": "F"})], r"\{'sex': 'F'\} is contrasted with itself"),
        ([({}, {})], "contrasted with itself"),
        ([({"sex": None}, {})], r"level of 'sex' is None.*Leave the column out"),
        ([({"sex": EVERY_OTHER}, {})], "EVERY_OTHER stands in the reference"),
        ([({}, {"sex": EVERY_OTHER})], "EVERY_OTHER stands in the reference"),
        (({"sex": "F"}, {"sex": "M"}), r"no pair of dictionaries.*Write \["),
        ([("sex", "F", "M")], "no pair of dictionaries"),
        ([], "must be a list of pairs"),
        ("sex", "must be a list of pairs"),
        ([({"se": 1.0}, {})], "called like a column of the answer"),
        ([({"covariance": 1.0}, {})], "two columns 'covariance'"),
        ([({"sex": "F"}, {"sex_reference": "M"})], "two columns 'sex'"),
    ],
)
def test_bad_pairs(between: Any, message: str) -> None:
    with pytest.raises(EstimationInputError, match=message):
        contrast(SMALL.with_columns(se=pl.lit(1.0)), DESIGN, [Mean("y")], between)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ()}, "name some of difference, ratio, log_ratio"),
        ({"kinds": ("odds",)}, "name some of"),
        ({"kinds": ("ratio", "ratio")}, "each once"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"estimands": []}, "No estimand"),
    ],
)
def test_bad_call(options: dict[str, Any], message: str) -> None:
    estimands = options.pop("estimands", [Mean("y")])
    with pytest.raises(EstimationInputError, match=message):
        contrast(SMALL, DESIGN, estimands, F_M, **options)


def test_too_many_pairs_are_refused() -> None:
    frame = pl.DataFrame({"w": [1.0] * 400, "y": [1] * 400, "g": range(400)})
    with pytest.raises(EstimationInputError, match="more than 100,000 pairs"):
        contrast(frame, Design([], [], "w"), [Mean("y")], [({"g": EACH}, {"g": EVERY_OTHER})])


# At the edges -----------------------------------------------------------------------------------------------------


def test_a_side_inside_one_cluster_is_not_estimable() -> None:
    """Its scores are zero by construction: the standard error would be that of the other side alone."""
    frame = SMALL.with_columns(region=pl.Series(["n", "n"] + ["s"] * 6))
    for row in _one(frame, Proportion("y"), [({"region": "n"}, {"region": "s"}), ({"region": "s"}, {"region": "n"})]):
        assert row["status"] == "not_estimable"
        assert row["est"] is not None
        assert [row[name] for name in ("se", "covariance", "ci_low", "ci_high", "p_value")] == [None] * 5


def test_shares_of_0_and_1() -> None:
    frame = SMALL.with_columns(none=pl.lit(0), every=pl.lit(1), women=(pl.col("sex") == "F").cast(pl.Int8))
    # Both sides without spread: a difference of 0 or 1 with a standard error of exactly 0.
    for y, est in (("none", 0), ("every", 0), ("women", 1)):
        row = _one(frame, Proportion(y))[0]
        assert (row["est"], row["se"], row["covariance"], row["p_value"]) == (est, 0, 0, None)
        assert (row["ci_low"], row["ci_high"], row["status"]) == (est, est, "degenerate")
    # One side without spread: the number stands, with a warning.
    one = frame.with_columns(y=pl.when(sex="M").then(pl.lit(0)).otherwise("y"))
    difference, ratio, log_ratio = _one(one, Proportion("y"))
    assert (difference["est"], difference["se"], difference["status"]) == (0.75, 0.25, "degenerate")
    assert [(row["est"], row["se"], row["status"]) for row in (ratio, log_ratio)] == [(None, None, "not_estimable")] * 2
    # The other way round the ratio is 0, and its logarithm is not.
    _, ratio, log_ratio = _one(one, Proportion("y"), [({"sex": "M"}, {"sex": "F"})])
    assert (ratio["est"], ratio["se"], ratio["status"]) == (0, 0, "degenerate")
    assert (ratio["ci_low"], ratio["p_value"]) == (None, None)
    assert (log_ratio["est"], log_ratio["status"]) == (None, "not_estimable")
    # 1 and 1: the ratio is 1 with nothing around it.
    _, ratio, log_ratio = _one(frame, Proportion("every"))
    assert (ratio["est"], ratio["se"], ratio["ci_low"], ratio["ci_high"]) == (1, 0, 1, 1)
    assert (log_ratio["est"], log_ratio["se"], log_ratio["p_value"]) == (0, 0, None)


def test_ratios_of_numbers_below_zero() -> None:
    frame = SMALL.with_columns(less=-pl.col("x"), mixed=pl.when(sex="F").then("x").otherwise(-pl.col("x")))
    plain, below, mixed = (_one(frame, Mean(y)) for y in ("x", "less", "mixed"))
    for kind in (1, 2):
        for column in ("est", "se", "ci_low", "ci_high", "p_value"):
            assert below[kind][column] == pytest.approx(plain[kind][column], rel=1e-13), column
    assert (mixed[1]["est"], mixed[1]["status"], mixed[1]["ci_low"]) == (-plain[1]["est"], "ok", None)
    assert mixed[1]["se"] == pytest.approx(plain[1]["se"], rel=1e-13)
    assert (mixed[2]["est"], mixed[2]["se"], mixed[2]["status"]) == (None, None, "not_estimable")


def test_differences_that_cancel_are_exactly_zero() -> None:
    """In every cluster a third of the women and a third of the men say yes, or two strata hold the same rows."""
    weight = [0.1 + (i // 3 * 37 % 101) / 7 for i in range(600)]
    frame = pl.DataFrame({"c": [i // 12 for i in range(600)], "w": weight, "y": [int(i % 3 == 0) for i in range(600)]})
    frame = frame.with_columns(
        sex=pl.when(pl.int_range(600) % 12 < 6).then(pl.lit("F")).otherwise(pl.lit("M")),
        h=pl.col("c") // 2,
        copy=pl.lit("all"),
        big=1e6 + pl.col("y"),
        varied=pl.col("w") * pl.col("c"),
    )
    frame = frame.with_columns(same=pl.col("sex"))
    for y in ("y", "big"):
        row = _one(frame, Mean(y))[0]
        assert row["est"] == pytest.approx(0, abs=1e-9)
        assert (row["se"], row["status"], row["p_value"]) == (0, "ok", None)
    for pair in (({"copy": "all"}, {}), ({"sex": "F"}, {"same": "F"}), ({"sex": "F", "same": "F"}, {"sex": "F"})):
        for row in _one(frame, Mean("varied"), [pair]):
            assert row["se_stratum"] > 0
            assert (row["est"], row["se"]) == (1 if row["contrast"] == "ratio" else 0, 0)
            assert row["covariance"] == pytest.approx(row["se_stratum"] ** 2, rel=1e-10)


def test_a_small_difference_of_large_numbers_keeps_its_digits() -> None:
    plain, shifted = (_one(_survey().with_columns(x=pl.col("x") + add), Mean("x"))[0] for add in (0.0, 1e7))
    assert shifted["est"] == pytest.approx(plain["est"], rel=1e-7)
    assert shifted["se"] == pytest.approx(plain["se"], rel=1e-7)


def test_missing_levels_and_values_leave_the_stratum_but_not_the_design() -> None:
    frame = pl.concat(
        [
            SMALL.with_columns(y=pl.col("y").cast(pl.Float64)),
            SMALL.head(2).with_columns(c=pl.lit(3, pl.Int64), sex=pl.lit(None, pl.String), y=1.0),
            SMALL.head(2).with_columns(c=pl.lit(4, pl.Int64), y=math.nan),
        ]
    )
    row = _one(frame, Total("y"))[0]
    assert (row["n"], row["n_reference"], row["df"]) == (4, 4, 2)
    # Stratum a has four clusters now, two of them without a row: differences 1, 0, 0, 0. Stratum b as before: 0, 1.
    assert row["se"] == pytest.approx(math.sqrt(4 / 3 * (1 - 1 / 4) + 1), rel=1e-14)


def test_zero_weights_count_in_the_design_only() -> None:
    frame = pl.concat([SMALL, SMALL.with_columns(c=pl.col("c") + 2, w=0.0)])
    row = _one(frame, Total("y"))[0]
    assert (row["n"], row["df"]) == (4, 2)
    assert row["se"] == pytest.approx(math.sqrt(4 / 3 * (1 - 1 / 4) * 2), rel=1e-14)


def test_lonely_clusters() -> None:
    """Stratum b has one cluster. Totals by cluster, F and M: a 1, 0 and 1, 1; b 0, 0 (lonely); 5 women more in b."""
    frame = SMALL.filter((pl.col("h") == "a") | (pl.col("c") == 2)).with_columns(y=pl.Series([1, 0, 1, 1, 6, 2]))

    def se(mode: Any) -> Any:
        row = _one(frame, Total("y"), design=Design(["c"], ["h"], "w", lonely_psu=mode))[0]
        return row["se"], row["status"]

    # Differences of F and M by cluster: 1, 0 | 4. Stratum a gives (1 - 0)^2; the mean of the three clusters is 5/3.
    assert se("certainty") == se("remove") == (pytest.approx(1), "ok")
    assert se("adjust") == (pytest.approx(math.sqrt(1 + (4 - 5 / 3) ** 2)), "ok")
    assert se("average") == (pytest.approx(math.sqrt(2)), "ok")
    assert se("fail") == (None, "lonely_psu")
    # Of two design strata compared, one has no variance of its own: what the other lends it is not enough.
    row = _one(frame, Total("y"), [({"h": "a"}, {"h": "b"})], Design(["c"], ["h"], "w", lonely_psu="average"))[0]
    assert (row["se"], row["status"]) == (None, "lonely_psu")


def test_no_rows() -> None:
    frame = SMALL.with_columns(
        y=pl.when(sex="F", h="a").then(None).otherwise("y"),
        other=pl.when(sex="F").then(pl.lit("u")).otherwise(pl.lit("v")),
    )
    pairs: Any = [({"sex": "F", "h": "a"}, {"sex": "M"}), ({"sex": "M"}, {"sex": "F", "other": "v"})]
    answer = contrast(frame, DESIGN, [Mean("y")], pairs)
    assert set(answer["status"]) == {"no_rows"}
    assert answer["n"].to_list() == [0, 4] * 3
    assert answer["n_reference"].to_list() == [4, 0] * 3
    assert answer["other_reference"].to_list() == [None, "v"] * 3
    assert answer.select("est", "se", "covariance", "ci_low", "ci_high", "p_value").null_count().row(0) == (6,) * 6


def test_not_a_probability_sample_has_differences_only() -> None:
    rows = _one(SMALL.with_columns(w=pl.col("x")), Proportion("y"), design=None)
    assert [row["status"] for row in rows] == ["not_probability"] * 3
    assert [row["est"] for row in rows] == [0.5, None, None]
    assert (rows[0]["est_stratum"], rows[0]["n"]) == (0.75, 4)
    unknown = ("se_stratum", "se_reference", "covariance", "se", "df", "ci_low", "ci_high", "p_value")
    assert [row[name] for row in rows for name in unknown] == [None] * 24


# Same input, same bytes -------------------------------------------------------------------------------------------


def _bytes(frame: pl.DataFrame) -> bytes:
    return frame.write_ipc(None, compat_level=pl.CompatLevel.oldest()).getvalue()


@pytest.mark.thorough
@pytest.mark.parametrize("design", [Design(["c"], ["h"], "w"), Design([], ["h"], "w")])
def test_same_bytes_on_any_number_of_threads_and_in_any_order_of_rows(tmp_path: Path, design: Design) -> None:
    number = pl.int_range(200_000, eager=True)
    mixed = (number * 2654435761) % 1_000_003
    frame = pl.DataFrame(
        {"c": mixed % 701, "w": 0.1 + (mixed % 9973) / 7, "y": (mixed % 13 < 4).cast(pl.Int8), "x": (mixed % 101) / 9.7}
    ).with_columns(h=pl.col("c") % 40, g=(mixed % 7).cast(pl.String))
    path = tmp_path / "survey.parquet"
    frame.write_parquet(path, row_group_size=50_000)
    pairs: Any = [({"g": EACH}, {}), ({"g": "1"}, {"g": "2"})]

    def answer(source: Any, threads: int) -> bytes:
        with warehouse.connect(threads=threads) as connection:
            return _bytes(contrast(source, design, [Proportion("y"), Ratio("y", "x")], pairs, connection=connection))

    first = answer(path, 1)
    assert answer(path, 2) == first
    assert answer(path, 4) == first
    assert answer(frame.sample(fraction=1.0, shuffle=True, seed=7), 2) == first


def test_portions_of_the_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: Any = [({"district": EACH, "sex": EACH}, {}), ({"h": EACH}, {"h": EVERY_OTHER})]
    whole = contrast(_survey(), DESIGN, ALL, pairs)
    module = importlib.import_module("lnob_pipeline.estimation.contrast")  # the package has the function of that name
    for cells in (1, 10, 50):
        monkeypatch.setattr(module, "CELLS_AT_ONCE", cells)
        assert _bytes(contrast(_survey(), DESIGN, ALL, pairs)) == _bytes(whole)


def test_a_connection_of_the_caller_is_left_as_it_was() -> None:
    connection = warehouse.connect()
    connection.sql("CREATE TABLE source AS SELECT 1 AS kept")
    answer = contrast(SMALL, DESIGN, [Mean("y")], F_M, connection=connection)
    assert answer.equals(contrast(SMALL.lazy(), DESIGN, [Mean("y")], F_M))
    assert connection.sql("SHOW TABLES").fetchall() == [("source",)]
