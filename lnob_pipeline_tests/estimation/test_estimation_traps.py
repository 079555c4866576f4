"""Nine ways in which such an engine goes wrong without anyone noticing."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline import warehouse
from lnob_pipeline.estimation import Design, EstimationInputError, Mean, Proportion, Ratio, Total, estimate

KINDS: Any = ("t", "normal", "logit", "wilson", "arcsine", "korn_graubard", "nchs")
FRAME = pl.DataFrame(
    {
        "h": ["a", "a", "a", "a", "b", "b", "b", "b"],
        "c": [1, 1, 2, 2, 1, 1, 2, 2],
        "w": [1.1, 2.3, 3.7, 1.9, 2.2, 1.3, 0.7, 5.1],
        "y": [1, 0, 1, 0, 0, 1, 1, 0],
        "region": ["n", "n", "s", "s", "s", "s", "s", "s"],
    }
)
DESIGN = Design(["c"], ["h"], "w")


def _rows(frame: pl.DataFrame, *estimands: Any, by: Any = ((),), design: Design = DESIGN) -> list[dict[str, Any]]:
    return estimate(frame, design, estimands, by, intervals=KINDS).to_dicts()


def test_1_domain_inside_one_cluster_is_not_estimable() -> None:
    north = _rows(FRAME, Proportion("y"), by=[("region",)])[0]
    assert (north["region"], north["df"], north["status"]) == ("n", 0, "not_estimable")
    assert north["est"] == pytest.approx(1.1 / 3.4)
    assert [north[name] for name in north if name in ("se", "cv", "deff") or name.startswith("ci_")] == [None] * 17


def test_2_an_undefined_variance_is_not_zero() -> None:
    lonely = FRAME.filter(pl.col("c") == 1)
    for mode in ("average", "fail"):
        row = _rows(lonely, Mean("y"), design=Design(["c"], ["h"], "w", lonely_psu=mode))[0]
        assert (row["se"], row["status"]) == (None, "lonely_psu")


def test_3_column_names_that_differ_only_in_case(tmp_path: Path) -> None:
    frame = FRAME.with_columns(Y=1 - pl.col("y"), W=pl.lit(1.0), a0=pl.lit(9), domain=pl.lit(3), unit=pl.lit("u"))
    upper = _rows(frame, Proportion("Y"))[0]["est"]
    assert upper == pytest.approx(1 - _rows(frame, Proportion("y"))[0]["est"])
    frame.write_parquet(tmp_path / "survey.parquet")
    from_file = estimate(tmp_path / "survey.parquet", Design(["c"], ["h"], "W"), [Proportion("Y"), Proportion("y")])
    assert from_file["est"].to_list() == [0.5, 0.5]
    assert _rows(frame, Mean("a0"), by=[("domain", "unit")])[0]["est"] == pytest.approx(9)
    with pytest.raises(EstimationInputError, match=r"no column 'Region'.*'region'"):
        _rows(frame, Proportion("y"), by=[("Region",)])


def test_4_yes_and_no_turned_into_true_and_false() -> None:
    frame = FRAME.with_columns(text=pl.when(pl.col("y") == 1).then(pl.lit("Yes")).otherwise(pl.lit("No")))
    frame = frame.with_columns(guessed=pl.col("text") == "Yes")
    as_text = _rows(frame, Proportion("text", level="Yes"))[0]
    assert as_text["est"] == _rows(frame, Proportion("guessed"))[0]["est"]
    assert (as_text["level"], as_text["n_numerator"]) == ("Yes", 4)
    with pytest.raises(EstimationInputError, match=r"true/false.*'Yes'.*read it as text"):
        _rows(frame, Proportion("guessed", level="Yes"))


def test_4_a_csv_file_is_not_guessed_at(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "survey.csv")
    with pytest.raises(EstimationInputError, match=r"survey\.csv is not a Parquet file"):
        estimate(tmp_path / "survey.csv", DESIGN, [Mean("y")])


def test_5_a_missing_level_is_neither_a_stratum_nor_the_total() -> None:
    frame = FRAME.with_columns(sex=pl.Series(["F", "M", None, "F", "M", None, "F", "M"]))
    rows = _rows(frame, Proportion("y"), by=[(), ("sex",), ("sex", "region")])
    assert [(r["sex"], r["region"], r["stratum_depth"], r["n"]) for r in rows] == [
        (None, None, 0, 8),
        ("F", None, 1, 3),
        ("M", None, 1, 3),
        ("F", "n", 2, 1),
        ("F", "s", 2, 2),
        ("M", "n", 2, 1),
        ("M", "s", 2, 2),
    ]
    assert rows[1]["n_psu"] == 3  # the design still has all clusters


def test_6_nan_is_missing() -> None:
    nan = float("nan")
    frame = FRAME.with_columns(
        y=pl.Series([1.0, nan, 1, 0, 0, 1, 1, 0]),
        x=pl.Series([1.0, 1, nan, 1, 1, 1, 1, 1]),
        g=pl.Series([nan] + [2.5] * 7),
    )
    mean, ratio = _rows(frame, Mean("y"), Ratio("y", "x"))
    assert (mean["n"], ratio["n"]) == (7, 6)
    assert mean["est"] == pytest.approx((1.1 + 3.7 + 1.3 + 0.7) / (18.3 - 2.3))
    assert [row["g"] for row in _rows(frame, Mean("y"), by=[("g",)])] == [2.5]
    with pytest.raises(EstimationInputError, match=r"'w' has missing weights.*row 1 "):
        _rows(frame.with_columns(w=pl.Series([nan] + [1.0] * 7)), Mean("y"))


def test_7_both_ends_are_treated_alike() -> None:
    frame = pl.DataFrame(
        {"c": [*range(12)] * 3, "w": [1.0 + (i % 5) / 3 for i in range(36)], "none": [0] * 36, "all": [1] * 36}
    )
    none, every = _rows(frame, Proportion("none"), Proportion("all"), design=Design(["c"], [], "w"))
    for row, est in ((none, 0), (every, 1)):
        assert (row["est"], row["se"], row["status"], row["n_numerator"]) == (est, 0, "degenerate", 36 * est)
        assert [row["ci_t_low"], row["ci_t_high"]] == [est, est]
        assert [row[f"ci_{kind}_low"] for kind in ("logit", "wilson", "arcsine", "korn_graubard")] == [None] * 4
    # The limit of Clopper and Pearson for 0 of 36 is 1 - 0.025^(1/36).
    assert (none["ci_nchs_low"], every["ci_nchs_high"]) == (0, 1)
    assert none["ci_nchs_high"] == pytest.approx(1 - 0.025 ** (1 / 36), rel=1e-12)
    assert every["ci_nchs_low"] == pytest.approx(1 - none["ci_nchs_high"], rel=1e-12)


def _large() -> pl.DataFrame:
    rows = pl.int_range(400_000, eager=True)  # more than three row groups of DuckDB
    mixed = (rows * 2654435761) % 1_000_003
    return pl.DataFrame(
        {
            "c": mixed % 701,
            "w": 0.1 + (mixed % 9973) / 7,
            "y": (mixed % 13 < 4).cast(pl.Int8),
            "x": (mixed % 101) / 9.7,
            "g": (mixed % 17).cast(pl.String),
        }
    ).with_columns(h=pl.col("c") % 40)


def test_8_same_bytes_on_any_number_of_threads_and_in_any_order_of_rows(tmp_path: Path) -> None:
    frame, path = _large(), tmp_path / "survey.parquet"
    frame.write_parquet(path, row_group_size=50_000)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=7)
    design = Design(["c"], ["h"], "w")
    estimands: list[Any] = [Proportion("y"), Mean("x"), Ratio("y", "x"), Total("x")]

    def bytes_of(source: Any, threads: int) -> bytes:
        with warehouse.connect(threads=threads) as connection:
            answer = estimate(source, design, estimands, [(), ("g",)], intervals=KINDS, connection=connection)
        return answer.write_ipc(None, compat_level=pl.CompatLevel.oldest()).getvalue()

    first = bytes_of(path, 1)
    assert bytes_of(path, 2) == first
    assert bytes_of(path, 4) == first
    assert bytes_of(shuffled, 2) == first


def test_9_a_connection_of_the_caller_is_left_as_it_was() -> None:
    connection = warehouse.connect()
    connection.sql("CREATE TABLE source AS SELECT 1 AS kept")
    pending = connection.sql("SELECT * FROM range(5)")
    answer = estimate(FRAME, DESIGN, [Mean("y")], connection=connection)
    assert answer.equals(estimate(FRAME, DESIGN, [Mean("y")]))
    assert estimate(FRAME, DESIGN, [Mean("y")], connection=connection).equals(answer)
    assert pending.fetchall() == [(i,) for i in range(5)]
    assert connection.sql("SELECT kept FROM source").fetchall() == [(1,)]
    assert connection.sql("SHOW TABLES").fetchall() == [("source",)]
    relation = connection.sql("SELECT 'a' AS h, i AS c, 1.0 AS w, i % 2 AS y FROM range(6) t(i)")
    assert estimate(relation, Design(["c"], [], "w"), [Mean("y")], connection=connection)["est"].to_list() == [0.5]


def test_cancellation_does_not_show_as_precision() -> None:
    """A third of every cluster says yes: all scores are 0, where moments alone give 1e-8 of the estimate."""
    weight = [0.1 + (i // 3 * 37 % 101) / 7 for i in range(300)]
    frame = pl.DataFrame({"c": [i // 6 for i in range(300)], "w": weight, "y": [int(i % 3 == 0) for i in range(300)]})
    frame = frame.with_columns(big=1e6 + pl.col("y"), constant=pl.lit(1e6 + 0.1), h=pl.col("c") // 2)
    rows = _rows(frame, Proportion("y"), Mean("big"), Mean("constant"), Total("y"), design=DESIGN)
    assert rows[0]["est"] == pytest.approx(1 / 3)
    assert [row["se"] for row in rows[:3]] == [0, 0, 0]
    assert [row["status"] for row in rows[:3]] == ["ok", "ok", "degenerate"]
    assert rows[3]["cv"] > 0.01
