"""Publication profiles, each at its thresholds."""

from typing import Any

import polars as pl
import pytest

from lnob_pipeline.estimation import Design, Proportion, estimate
from lnob_pipeline.estimation.reliability import CLASSES, PROFILES, reliability


def _row(**values: Any) -> pl.DataFrame:
    row: dict[str, Any] = {"n": 500, "n_numerator": 100, "df": 40, "est": 0.2, "se": 0.02, "cv": 0.1, "status": "ok"}
    row |= {"ci_nchs_low": 0.16, "ci_nchs_high": 0.24}
    return pl.DataFrame(
        [row | values], schema_overrides={"est": pl.Float64, "se": pl.Float64, "cv": pl.Float64, "df": pl.Int64}
    )


@pytest.mark.parametrize(
    ("profile", "values", "expected"),
    [
        ("dhs", {}, "reliable"),
        ("dhs", {"n": 24}, "too_few_cases"),
        ("dhs", {"n": 25}, "use_with_caution"),
        ("dhs", {"n": 49}, "use_with_caution"),
        ("dhs", {"n": 50}, "reliable"),
        ("dhs", {"df": 7}, "few_degrees_of_freedom"),
        ("dhs", {"df": 8}, "reliable"),
        ("dhs", {"n": 24, "df": 2}, "too_few_cases"),
        ("dhs", {"se": None, "status": "not_estimable", "df": 0}, "not_estimable"),
        ("dhs", {"se": None, "status": "not_probability", "df": None}, "not_probability"),
        ("dhs", {"n": 10, "se": None, "status": "not_probability", "df": None}, "too_few_cases"),
        ("dhs", {"n": 0, "est": None, "se": None, "status": "no_rows"}, "not_estimable"),
        ("cv", {"cv": 0.1659}, "reliable"),
        ("cv", {"cv": 0.166}, "use_with_caution"),
        ("cv", {"cv": 0.333}, "use_with_caution"),
        ("cv", {"cv": 0.334}, "unreliable"),
        ("cv", {"n": 9}, "too_few_cases"),
        ("cv", {"est": 0.0, "cv": None}, "not_estimable"),
        ("nchs_2017", {}, "reliable"),
        ("nchs_2017", {"n": 29}, "too_few_cases"),
        ("nchs_2017", {"se": 0.0731}, "too_few_cases"),  # 0.16 / 0.0731^2 = 29.9 effective cases
        ("nchs_2017", {"se": 0.0730}, "reliable"),  # 30.02
        ("nchs_2017", {"ci_nchs_low": 0.05, "ci_nchs_high": 0.35}, "unreliable"),
        ("nchs_2017", {"est": 0.1, "ci_nchs_low": 0.05, "ci_nchs_high": 0.19}, "unreliable"),  # 140 % of the estimate
        ("nchs_2017", {"est": 0.02, "ci_nchs_low": 0.0, "ci_nchs_high": 0.04}, "reliable"),  # narrow enough
        ("nchs_2017", {"df": 5}, "few_degrees_of_freedom"),
        ("nchs_2017", {"n_numerator": None}, "not_estimable"),
        (
            "nchs_2017",
            {"est": 0.0, "se": 0.0, "status": "degenerate", "ci_nchs_low": 0.0, "ci_nchs_high": 0.01},
            "use_with_caution",
        ),
    ],
)
def test_profile(profile: Any, values: dict[str, Any], expected: str) -> None:
    assert reliability(_row(**values), profile)["reliability"].to_list() == [expected]
    assert expected in CLASSES


def test_profile_must_exist_and_have_its_columns() -> None:
    with pytest.raises(ValueError, match=r"no reliability profile 'who'.*dhs, nchs_2017, cv"):
        reliability(_row(), "who")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ci_nchs_high, ci_nchs_low"):
        reliability(_row().drop("ci_nchs_low", "ci_nchs_high"), "nchs_2017")


def test_on_an_answer_of_the_engine() -> None:
    frame = pl.DataFrame(
        {"c": [i % 30 for i in range(300)], "y": [int(i % 7 < 3) for i in range(300)], "w": [1.5] * 300}
    )
    frame = frame.with_columns(g=pl.when(pl.col("c") < 3).then(pl.lit("few")).otherwise(pl.lit("many")))
    answer = estimate(frame, Design(["c"], [], "w"), [Proportion("y")], [("g",)], intervals=("nchs",))
    assert reliability(answer)["reliability"].to_list() == ["few_degrees_of_freedom", "reliable"]
    for profile in PROFILES:
        judged = reliability(answer, profile)  # type: ignore[arg-type]
        assert judged.columns == [*answer.columns, "reliability"]
        assert set(judged["reliability"]) <= set(CLASSES)
