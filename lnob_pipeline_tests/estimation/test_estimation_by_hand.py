"""Variances worked by hand, and against the formula written out row by row in plain Python."""

import math
import random
from collections import defaultdict
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.estimation import Combination, Design, Mean, Proportion, Ratio, Total, cube, estimate


def _one(frame: pl.DataFrame, design: Design, estimand: Any, **options: Any) -> dict[str, Any]:
    return estimate(frame, design, [estimand], **options).row(0, named=True)


# Two strata of two clusters, weights 1. Cluster sums of y: 2, 1 | 0, 1; cluster sizes: 2, 2 | 2, 2; p = 4/8.
SMALL = pl.DataFrame(
    {
        "h": ["a"] * 4 + ["b"] * 4,
        "c": [1, 1, 2, 2, 1, 1, 2, 2],
        "w": [1.0] * 8,
        "y": [1, 1, 1, 0, 0, 0, 0, 1],
        "x": [1.0, 2, 1, 2, 1, 2, 1, 2],
        "N": [4.0] * 8,
        "one": [1] * 8,
        "two": [1, 1, 1, 1, 0, 0, 0, 0],
    }
)


def test_proportion_by_hand() -> None:
    """z = (y - 1/2)/8: cluster scores 1/8, 0 | -1/8, 0; V = 2(1/64 - 1/128) + the same = 1/32."""
    row = _one(SMALL, Design(["c"], ["h"], "w"), Proportion("y"))
    assert row["est"] == 0.5
    assert row["se"] == pytest.approx(math.sqrt(1 / 32), rel=1e-14)
    assert (row["n"], row["n_numerator"], row["n_psu"], row["n_strata"], row["df"]) == (8, 4, 4, 2, 2)
    assert row["status"] == "ok"
    t = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))  # the quantile of 2 degrees of freedom in closed form
    assert row["ci_t_high"] == pytest.approx(0.5 + t * math.sqrt(1 / 32), rel=1e-14)


def test_total_and_finite_population_by_hand() -> None:
    """Cluster totals 2, 1 | 0, 1: V = 2(5 - 9/2) + 2(1 - 1/2) = 2; with 2 of 4 clusters sampled, half of it."""
    assert _one(SMALL, Design(["c"], ["h"], "w"), Total("y"))["se"] == pytest.approx(math.sqrt(2))
    finite = Design(["c"], ["h"], "w", population_sizes=["N"])
    assert _one(SMALL, finite, Total("y"))["se"] == pytest.approx(1.0)


def test_census_of_clusters_has_no_sampling_error() -> None:
    row = _one(SMALL.with_columns(N=2.0), Design(["c"], ["h"], "w", population_sizes=["N"]), Proportion("y"))
    assert (row["est"], row["se"], row["status"]) == (0.5, 0.0, "ok")


def test_ratio_by_hand() -> None:
    """R = 4/12. Residual sums by cluster: 2-1, 1-1 | 0-1, 1-1, so V = (2(1 - 1/2) + 2(1 - 1/2)) / 144 = 2/144."""
    row = _one(SMALL, Design(["c"], ["h"], "w"), Ratio("y", "x"))
    assert row["est"] == pytest.approx(1 / 3, rel=1e-15)
    assert row["se"] == pytest.approx(math.sqrt(2) / 12, rel=1e-14)


def test_combination_by_hand() -> None:
    """Mean of p1 = 3/6 (y1 missing in cluster b2) and p2 = 4/8.

    Scores of a cluster: [ (sum y1 - n1/2)/6 + (sum y2 - n2/2)/8 ] / 2, that is
    a1: (1/6 + 1/8)/2, a2: (0 + 0)/2, b1: (-1/6 - 1/8)/2 + y2 as below, b2: (0 + y2)/2.
    y2 sums: a1 2, a2 1, b1 0, b2 1, of n2 = 2 each.
    """
    frame = SMALL.with_columns(
        y1=pl.Series([1, 1, 1, 0, 0, 0, None, None]), y2=pl.col("y"), group=pl.Series(["u"] * 6 + ["v"] * 2)
    )
    row = _one(frame, Design(["c"], ["h"], "w"), Combination([Proportion("y1"), Proportion("y2")], name="both"))
    a1, a2, b1, b2 = (1 / 6 + 1 / 8) / 2, 0.0, (-1 / 6 - 1 / 8) / 2, 0.0
    variance = 2 * (a1**2 + a2**2 - (a1 + a2) ** 2 / 2) + 2 * (b1**2 + b2**2 - (b1 + b2) ** 2 / 2)
    assert row["estimand"] == "both"
    assert row["est"] == pytest.approx((3 / 6 + 4 / 8) / 2)
    assert row["se"] == pytest.approx(math.sqrt(variance), rel=1e-13)
    assert (row["n"], row["n_psu"], row["n_numerator"]) == (8, 4, None)
    # The joint variance is not that of independent parts.
    parts = estimate(frame, Design(["c"], ["h"], "w"), [Proportion("y1"), Proportion("y2")])["se"]
    assert row["se"] > 1.2 * math.sqrt((parts**2).sum()) / 2
    by_group = estimate(
        frame, Design(["c"], ["h"], "w"), [Combination([Proportion("y1"), Proportion("y2")])], [("group",)]
    )
    assert by_group["status"].to_list()[1] == "not_estimable"  # in group v, nobody has y1
    assert by_group["est"].to_list()[1] is None


def test_combination_of_one_is_that_one() -> None:
    frame, _ = _random_survey(3)
    design = Design(["psu"], ["stratum"], "w")
    single, combined = estimate(
        frame, design, [Proportion("y"), Combination([Proportion("y")])], [("sex",)]
    ).partition_by("estimand")
    assert combined["se"].to_list() == pytest.approx(single["se"].to_list(), rel=1e-12)
    assert combined["n_psu"].to_list() == single["n_psu"].to_list()


# The formula written out ------------------------------------------------------------------------------------------


def _random_survey(seed: int) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    draw = random.Random(seed)
    rows = []
    for stratum in range(6):
        clusters = 1 if stratum in (4, 5) else draw.randint(2, 5)
        for psu in range(clusters):
            households = draw.randint(1, 4)
            for ssu in range(households):
                for _ in range(draw.randint(1, 4)):
                    rows.append(
                        {
                            "stratum": f"s{stratum}",
                            "psu": psu,
                            "ssu": ssu,
                            "w": draw.choice([0.0, 1.5, 20.25, 333.1]) if draw.random() < 0.2 else draw.uniform(1, 90),
                            "sex": draw.choice(["F", "M", None]),
                            "y": None if draw.random() < 0.1 else int(draw.random() < 0.4),
                            "x": None if draw.random() < 0.05 else draw.uniform(0.1, 50),
                            "N1": float(clusters + stratum) if stratum != 4 else 1.0,
                            "N2": float(households + psu),
                        }
                    )
    return pl.DataFrame(rows), rows


def _plain_stage(members: list[dict[str, Any]], keys: list[tuple[str, str, str]], design: Design, full: Any) -> float:
    """Variance of sums of z over `members` (rows of the domain, with z) at the first of the stages in `keys`."""
    stratum_key, unit_key, size_key = keys[0]
    strata: dict[Any, dict[Any, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in members:
        strata[row.get(stratum_key)][row[unit_key]].append(row)
    sampled: dict[Any, set[Any]] = defaultdict(set)
    for row in full:
        sampled[row.get(stratum_key)].add(row[unit_key])
    fraction = {
        h: len(sampled[h]) / r[0][size_key] if size_key else 0.0
        for h, u in strata.items()
        for r in [next(iter(u.values()))]
    }
    everything = sum(row["z"] for row in members)
    centre = everything / sum(len(sampled[h]) for h in strata)
    total, lonely_strata = 0.0, 0
    for h, units in strata.items():
        n, f = len(sampled[h]), fraction[h]
        z = [sum(row["z"] for row in rows) for rows in units.values()] + [0.0] * (n - len(units))
        lonely = n == 1 or (design.adjust_domain_lonely and len(units) == 1)
        if f > 1 - 1e-7:
            pass
        elif lonely and design.lonely_psu == "adjust":
            total += (1 - f) * n / max(n - 1, 1) * sum((value - centre) ** 2 for value in z)
        elif lonely and design.lonely_psu == "average":
            lonely_strata += 1
        elif n > 1:
            mean = sum(z) / n
            total += (1 - f) * n / (n - 1) * sum((value - mean) ** 2 for value in z)
    if lonely_strata:
        total *= len(strata) / (len(strata) - lonely_strata)
    if len(keys) > 1:
        for h, units in strata.items():
            for unit, rows in units.items():
                inside = [row for row in full if row.get(stratum_key) == h and row[unit_key] == unit]
                total += fraction[h] * _plain_stage(rows, keys[1:], design, inside)
    return total


def _plain_se(rows: list[dict[str, Any]], design: Design, kind: str, sex: str | None) -> tuple[float, float]:
    domain = [r for r in rows if r["y"] is not None and (sex is None or r["sex"] == sex)]
    if kind == "ratio":
        domain = [r for r in domain if r["x"] is not None]
    y = math.fsum(r["w"] * r["y"] for r in domain)
    x = math.fsum(r["w"] * (r["x"] if kind == "ratio" else 1) for r in domain)
    for r in domain:
        r["z"] = (
            r["w"] * r["y"] if kind == "total" else r["w"] * (r["y"] - y / x * (r["x"] if kind == "ratio" else 1)) / x
        )
    sizes = (*design.population_sizes, "", "")
    keys = [("stratum" if design.strata else "no", "psu", sizes[0])]
    if len(design.population_sizes) == 2:
        keys.append(("no", "ssu", sizes[1]))
    return (y if kind == "total" else y / x), math.sqrt(_plain_stage(domain, keys, design, rows))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("domain_lonely", [False, True])
@pytest.mark.parametrize(
    ("sizes", "lonely"),
    [
        (sizes, lonely)
        for sizes in ([], ["N1"], ["N1", "N2"])
        for lonely in ("certainty", "remove", "adjust", "average")
        if not (len(sizes) == 2 and lonely == "average")  # households alone in their cluster: see the test below
    ],
)
def test_against_the_formula_written_out(seed: int, lonely: Any, domain_lonely: bool, sizes: list[str]) -> None:
    frame, rows = _random_survey(seed)
    clusters = ["psu", "ssu"] if len(sizes) == 2 else ["psu"]
    design = Design(clusters, ["stratum"], "w", sizes, True, lonely, domain_lonely)
    answer = estimate(frame, design, [Mean("y"), Ratio("y", "x"), Total("y")], [(), ("sex",)])
    for row in answer.iter_rows(named=True):
        est, se = _plain_se(rows, design, row["estimand"], row["sex"])
        assert row["est"] == pytest.approx(est, rel=1e-13)
        assert row["se"] == pytest.approx(se, rel=1e-10), (row["estimand"], row["sex"])


def test_two_stage_average_without_households_to_average_gives_no_standard_error() -> None:
    frame, _ = _random_survey(1)
    design = Design(["psu", "ssu"], ["stratum"], "w", ["N1", "N2"], True, "average")
    row = _one(frame, design, Total("y"))
    assert (row["se"], row["status"]) == (None, "lonely_psu")


def test_rows_as_their_own_clusters() -> None:
    """Without clusters and strata, weights 1: the variance of a mean is s^2 / n and the design effect is known."""
    y = [1.0, 2, 4, 8, 16]
    frame = pl.DataFrame({"y": y, "w": [1.0] * 5, "N": [10.0] * 5})
    row = _one(frame, Design([], [], "w"), Mean("y"))
    mean = sum(y) / 5
    s_squared = sum((value - mean) ** 2 for value in y) / 4
    assert row["se"] == pytest.approx(math.sqrt(s_squared / 5), rel=1e-14)
    assert (row["n_psu"], row["n_strata"], row["df"]) == (5, 1, 4)
    assert row["deff"] is None  # sum of weights = n: no population left for a simple random sample
    doubled = _one(frame.with_columns(w=2.0), Design([], [], "w", ["N"]), Mean("y"))
    assert doubled["se"] == pytest.approx(math.sqrt(s_squared / 5 / 2), rel=1e-14)
    assert doubled["deff"] == pytest.approx(1.0, rel=1e-13)


def test_lonely_modes_differ_as_they_should() -> None:
    frame = pl.DataFrame({"h": ["a", "a", "b"], "c": [1, 2, 1], "w": [1.0, 1, 2], "y": [1.0, 3, 5]})

    def se(mode: Any) -> Any:
        return _one(frame, Design(["c"], ["h"], "w", lonely_psu=mode), Total("y"))["se"]

    # Stratum a: 2((1 + 9) - 16/2) = 4. Stratum b: total 10; mean of the three clusters 14/3.
    assert se("certainty") == se("remove") == pytest.approx(2.0)
    assert se("adjust") == pytest.approx(math.sqrt(4 + (10 - 14 / 3) ** 2))
    assert se("average") == pytest.approx(math.sqrt(4 * 2 / 1))
    row = _one(frame, Design(["c"], ["h"], "w", lonely_psu="fail"), Total("y"))
    assert (row["est"], row["se"], row["ci_t_low"], row["status"]) == (14.0, None, None, "lonely_psu")


def test_cube_and_order() -> None:
    assert cube(["a", "b", "c"], 1) == [(), ("a",), ("b",), ("c",)]
    assert len(cube(["a", "b", "c"])) == 8
    frame, _ = _random_survey(0)
    answer = estimate(
        frame, Design(["psu"], ["stratum"], "w"), [Mean("y")], "cube", columns=["sex", "stratum"], depth=1
    )
    assert answer["stratum_depth"].to_list() == [0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert answer["sex"].to_list()[:3] == [None, "F", "M"]


def test_not_a_probability_sample_has_counts_and_shares_only() -> None:
    frame, rows = _random_survey(2)
    answer = estimate(frame, None, [Proportion("y")], [(), ("sex",)], intervals=("t", "nchs"))
    known = [row["y"] for row in rows if row["y"] is not None]
    assert answer["est"][0] == pytest.approx(sum(known) / len(known))
    assert (answer["n"][0], answer["n_numerator"][0]) == (len(known), sum(known))
    assert set(answer["status"]) == {"not_probability"}
    for column in ("se", "cv", "deff", "deft", "df", "n_psu", "sum_w", "ci_t_low", "ci_nchs_high"):
        assert answer[column].null_count() == answer.height, column
