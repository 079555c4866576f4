"""The engine against 611 estimates made with the R package survey 4.5."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.estimation import Design, Mean, Proportion, Ratio, Total, estimate

TRUTH = Path(__file__).parents[3] / "shared" / "data" / "survey_truth"
EXPECTED = TRUTH / "expected_estimates.json"
INTERVALS: dict[str, Any] = {
    "ci_t": "t",
    "ci_normal": "normal",
    "ci_xlogit": "logit",
    "ci_wilson": "wilson",
    "ci_asin": "arcsine",
    "ci_beta": "korn_graubard",
    "ci_kg_nchs": "nchs",
}
CASES = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.exists() else []


@cache
def _text(name: str) -> pl.DataFrame:
    return pl.read_csv(TRUTH / name, infer_schema=False, null_values=["NA", ""])


def _estimand(case: dict[str, Any]) -> Mean | Proportion | Ratio | Total:
    match case["estimator"]:
        case "prop":
            return Proportion(case["y"])
        case "mean":
            return Mean(case["y"])
        case "ratio":
            return Ratio(case["y"], case["x"])
        case _:
            return Total(case["y"])


def _absent(value: Any) -> bool:
    return value in (None, "NaN", "Inf")


@pytest.mark.skipif(not CASES, reason="the folder ../shared with the reference estimates is not beside the repository")
def test_all_reference_rows_are_there() -> None:
    assert sum(len(case["rows"]) for case in CASES) == 611


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_reference_case(case: dict[str, Any]) -> None:
    design = case["design"]
    numbers = [design["weights"], case["y"], *design.get("fpc", []), *([case["x"]] if "x" in case else [])]
    answer = estimate(
        _text(case["dataset"]).with_columns(pl.col(*numbers).cast(pl.Float64)),
        Design(
            design["ids"],
            design["strata"],
            design["weights"],
            design.get("fpc", []),
            design["nest"],
            case["lonely_psu"],
            case["adjust_domain_lonely"],
        ),
        [_estimand(case)],
        [tuple(case["by"])],
        intervals=tuple(INTERVALS.values()),
    )
    found = {tuple(row[column] for column in case["by"]): row for row in answer.iter_rows(named=True)}
    assert len(found) == len(case["rows"])
    for row in case["rows"]:
        _check_row(found[tuple(row.get("by", {})[column] for column in case["by"])], row)


def _check_row(mine: dict[str, Any], row: dict[str, Any]) -> None:
    for count in ("n", "n_rows", "n_psu", "n_strata", "df"):
        assert mine[count] == row[count], count
    if "n_num" in row:
        assert mine["n_numerator"] == row["n_num"]
    assert mine["sum_w"] == pytest.approx(row["sum_w"], rel=1e-12, abs=0)
    assert mine["est"] == pytest.approx(row["est"], rel=1e-12, abs=0)
    zero = row["se"] <= 1e-9 * abs(row["est"])  # R gives the rounding error of zero, such as 4e-17
    if zero and row["df"] <= 0:
        assert (mine["se"], mine["status"]) == (None, "not_estimable")
    elif zero:
        assert mine["se"] == 0
    else:
        assert mine["se"] == pytest.approx(row["se"], rel=1e-9, abs=0)
        for name in ("cv", "deff", "deft"):
            if name in row:
                assert (mine[name] is None) if _absent(row[name]) else mine[name] == pytest.approx(row[name], rel=1e-9)
    for name, kind in INTERVALS.items():
        if name not in row:
            continue
        for bound, end in zip(row[name], ("low", "high"), strict=True):
            value = mine[f"ci_{kind}_{end}"]
            if row["df"] <= 0 or _absent(bound) or (zero and kind not in ("t", "normal", "nchs")):
                assert value is None, kind  # where R divides 0 by its rounding error, or has no degrees of freedom
            else:
                assert value == pytest.approx(bound, rel=1e-9, abs=1e-9), kind
