"""Input that cannot be estimated from is refused with the column, the rows and the remedy."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline import warehouse
from lnob_pipeline.estimation import Combination, Design, EstimationInputError, Mean, Proportion, Ratio, Total, estimate

FRAME = pl.DataFrame(
    {
        "h": ["a", "a", "b", "b"],
        "c": [1, 2, 1, 2],
        "w": [1.0, 2.0, 3.0, 4.0],
        "y": [0.0, 1.0, 1.0, 0.0],
        "text": ["p", "q", "p", "q"],
        "N": [5.0, 5.0, 6.0, 6.0],
    }
)
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("change", "design", "estimand", "message"),
    [
        ({"w": [1.0, -2, 3, -4]}, Design(["c"], ["h"], "w"), Mean("y"), r"'w' has negative weights: rows 2, 4 "),
        ({"w": [1.0, None, 3, 4]}, Design(["c"], ["h"], "w"), Mean("y"), r"'w' has missing weights .*: row 2 "),
        ({"w": [1.0, 2, 3, INFINITE]}, Design(["c"], ["h"], "w"), Mean("y"), r"'w' has infinite weights: row 4 "),
        ({"w": ["1"] * 4}, Design(["c"], ["h"], "w"), Mean("y"), r"'w' is VARCHAR, but a weight must be a number"),
        ({"y": [0.0, 1, INFINITE, 0]}, Design(["c"], ["h"], "w"), Mean("y"), r"'y' has infinite values: row 3 "),
        (
            {"c": [1, None, 1, 2]},
            Design(["c"], ["h"], "w"),
            Mean("y"),
            r"'c' is part of the design but is empty: row 2 ",
        ),
        ({"h": ["a", "a", None, "b"]}, Design(["c"], ["h"], "w"), Mean("y"), r"'h' is part of the design .*: row 3 "),
        (
            {},
            Design(["c"], ["h"], "w", nested=False),
            Mean("y"),
            r"'c' has clusters .* of 'h' \(use nested=True.*rows 1, 2, 3, 4 ",
        ),
        (
            {"h": ["a"] * 4},
            Design(["c"], ["h"], "w"),
            Mean("y"),
            r"'h' has the same value in all rows \(1 to 4\).*Leave it out",
        ),
        (
            {"N": [5.0, 4, 6, 6]},
            Design(["c"], ["h"], "w", ["N"]),
            Mean("y"),
            r"'N' has different population sizes .*rows 1, 2 ",
        ),
        (
            {"N": [5.0, 5, 1, 1]},
            Design(["c"], ["h"], "w", ["N"]),
            Mean("y"),
            r"'N' has population sizes below .*rows 3, 4 ",
        ),
        (
            {"N": [5.0, 5, 0, 6]},
            Design(["c"], ["h"], "w", ["N"]),
            Mean("y"),
            r"'N' has population sizes .*not above 0.*row 3 ",
        ),
        (
            {"y": [0.0, 1, 2, 0]},
            Design(["c"], ["h"], "w"),
            Proportion("y"),
            r"'y' has values other than 0 and 1.*row 3 ",
        ),
        (
            {},
            Design(["c"], ["h"], "w"),
            Proportion("y", level="yes"),
            r"'y' is DOUBLE, so it never has the level 'yes'",
        ),
        ({}, Design(["c"], ["h"], "w"), Mean("text"), r"'text' is VARCHAR, but y or x must be a number"),
        ({}, Design(["c"], ["h"], "weight"), Mean("y"), r"no column 'weight'"),
        ({}, Design(["cl"], ["h"], "w"), Mean("y"), r"no column 'cl'"),
        ({}, Design(["c"], ["h"], "w"), Ratio("y", "q"), r"no column 'q'"),
    ],
)
def test_bad_data(change: dict[str, Any], design: Design, estimand: Any, message: str) -> None:
    frame = FRAME.with_columns(pl.Series(name, values) for name, values in change.items())
    with pytest.raises(EstimationInputError, match=message):
        estimate(frame, design, [estimand])


def test_many_bad_rows_are_counted() -> None:
    frame = pl.DataFrame({"w": [-1.0] * 30, "y": [1] * 30})
    with pytest.raises(EstimationInputError, match=r"rows 1, 2, 3, 4, 5 and 25 more \(first row = 1\)\.$"):
        estimate(frame, Design([], [], "w"), [Mean("y")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": [("h", "h")]}, "repeats a column"),
        ({"by": [("h", "c"), ("c", "h")]}, "repeats a column or another breakdown"),
        ({"by": []}, "No breakdown"),
        ({"by": "h"}, "must be a list of breakdowns"),
        ({"by": ["h", "c"]}, "must be a list of breakdowns"),
        ({"by": "cube"}, "with columns="),
        ({"by": [("y",)]}, "called like a column of the answer"),
        ({"intervals": ("bayes",)}, "no interval 'bayes'"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"estimands": []}, "No estimand"),
    ],
)
def test_bad_call(options: dict[str, Any], message: str) -> None:
    estimands = options.pop("estimands", [Mean("y")])
    with pytest.raises(EstimationInputError, match=message):
        estimate(FRAME, Design(["c"], ["h"], "w"), estimands, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": "psu"}, r"write \['psu'\]"),
        ({"clusters": ["a", "b", "c"]}, "at most two"),
        ({"strata": ["a", "b"], "clusters": ["c"]}, "at most one a stage"),
        ({"clusters": ["a", "b"], "population_sizes": ["N"]}, "give one a stage"),
        ({"lonely_psu": "ignore"}, "must be one of certainty"),
    ],
)
def test_bad_design(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(EstimationInputError, match=message):
        Design(weights="w", **arguments)


def test_combination_takes_proportions() -> None:
    with pytest.raises(EstimationInputError, match="at least one Proportion"):
        Combination([])


def test_zero_weights_and_absent_y_are_no_error() -> None:
    frame = FRAME.with_columns(
        w=pl.Series([0.0, 0.0, 3.0, 4.0]), never=pl.lit(None), unknown=pl.lit(None, dtype=pl.Float64)
    )
    rows = estimate(
        frame, Design(["c"], ["h"], "w"), [Mean("y"), Mean("never"), Total("unknown")], [(), ("h",)]
    ).to_dicts()
    assert [(row["n"], row["n_rows"], row["status"]) for row in rows] == [
        (2, 4, "ok"),
        (0, 2, "no_rows"),
        (2, 2, "ok"),
        *[(0, 0, "no_rows")] * 6,
    ]
    assert [row["est"] for row in rows[3:]] == [None] * 6


def test_a_bad_value_far_down_is_named_and_the_connection_still_works() -> None:
    """Shares are checked while the rows are read, in batches."""
    frame = pl.DataFrame({"w": 1.0, "y": [0, 1] * 150_000}).with_row_index("row")
    bad = frame.with_columns(y=pl.when(pl.col("row") == 250_000).then(2).otherwise("y"))
    with warehouse.connect() as connection:
        with pytest.raises(EstimationInputError, match=r"'y' has values other than 0 and 1.*: row 250001 \(first"):
            estimate(bad, Design([], [], "w"), [Proportion("y")], connection=connection)
        answer = estimate(frame, Design([], [], "w"), [Proportion("y")], connection=connection)
        assert answer["est"].to_list() == [0.5]


def test_a_second_stage_column_is_checked_where_only_the_first_stage_counts() -> None:
    frame = FRAME.with_columns(s=pl.Series([1, None, 1, 2]), t=pl.lit("all"))
    with pytest.raises(EstimationInputError, match=r"'s' is part of the design but is empty: row 2 "):
        estimate(frame, Design(["c", "s"], ["h"], "w"), [Mean("y")])
    with pytest.raises(EstimationInputError, match=r"'t' has the same value in all rows"):
        estimate(frame, Design(["c", "text"], ["h", "t"], "w"), [Mean("y")])


def test_no_rows_at_all() -> None:
    answer = estimate(FRAME.clear(), Design(["c"], ["h"], "w"), [Proportion("y"), Total("y")], [(), ("h",)])
    assert answer["status"].to_list() == ["no_rows", "no_rows"]
    assert answer["est"].to_list() == [None, None]


def test_odd_characters_in_identifiers_columns_and_paths(tmp_path: Path) -> None:
    frame = FRAME.with_columns(
        pl.Series("h", ["a'; DROP", "a'; DROP", 'b"%', 'b"%']),
        pl.Series("c", ["", "\\", "é\n", "NULL"]),
        pl.Series('it\'s "y"', [0, 1, 1, 0]),
        pl.Series("Lé/x", ["é'", "ü", "é'", "ü"]),
    )
    path = tmp_path / 'it\'s a "survey".parquet'
    frame.write_parquet(path)
    estimands: list[Any] = [Mean('it\'s "y"'), Proportion("Lé/x", level="é'")]
    for source in (frame, path):
        answer = estimate(source, Design(["c"], ["h"], "w"), estimands, [("Lé/x",)])
        assert answer["Lé/x"].to_list() == ["é'", "ü"] * 2
        assert answer["est"].to_list()[2:] == [1.0, 0.0]


def test_types_of_breakdown_columns_are_kept() -> None:
    frame = FRAME.with_columns(
        flag=pl.Series([True, False, True, False]),
        kind=pl.Series(["z", "a", "z", "a"], dtype=pl.Enum(["z", "a"])),
        year=pl.Series([2020, 2021, 2020, 2021], dtype=pl.Int16),
    )
    answer = estimate(frame.lazy(), Design(["c"], ["h"], "w"), [Mean("y")], [("flag",), ("kind",), ("year",)])
    assert answer["flag"].to_list() == [False, True, None, None, None, None]
    assert answer["kind"].to_list()[2:4] == ["a", "z"]
    assert answer["year"].to_list()[4:] == [2020, 2021]
    assert answer.schema["year"] == pl.Int16


def test_a_path_is_never_a_pattern(tmp_path: Path) -> None:
    FRAME.with_columns(y=pl.lit(1)).write_parquet(tmp_path / "survey1.parquet")
    FRAME.with_columns(y=pl.lit(0)).write_parquet(tmp_path / "survey[1].parquet")
    design = Design([], [], "w")
    assert estimate(tmp_path / "survey[1].parquet", design, [Mean("y")])["est"].to_list() == [0]
    assert estimate(tmp_path / "survey1.parquet", design, [Mean("y")])["est"].to_list() == [1]


def test_an_interval_named_twice_is_refused() -> None:
    with pytest.raises(EstimationInputError, match="twice"):
        estimate(FRAME, Design([], [], "w"), [Mean("y")], intervals=("t", "t"))
