"""The expression language: what is allowed runs as written, what is not never runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.expressions import ExpressionError, parse
from lnob_pipeline.warehouse import connect

REFUSED = [
    "read_csv('x')",
    "1) FROM read_csv('x') --",
    "(SELECT 1)",
    "1 IN (SELECT 2)",
    "a; DROP TABLE x",
    "getenv('HOME')",
    "a::INTEGER",
    "t.a = 1",
    "a LIKE '%'",
    "$1 = a",
    "a COLLATE NOCASE",
    "x -> 1",
    "[1, 2]",
    "count(*) OVER ()",
    "selected(a, b)",
    "selected(read_text('x'), 'y')",
    "main.selected(a, 'b')",
    "selected(a, 'b') FILTER (WHERE a = 'c')",
    "a = 'x' UNION SELECT 1",
    "1e400 > a",
    "a = 'x' /*",
    "",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_what_runs_is_written_anew_and_means_the_same() -> None:
    expression = parse(
        "CASE WHEN age < 5 THEN 'child' WHEN sex IN ('female', 'other') AND NOT selected(g, 'a') THEN 'b' END"
    )
    assert expression.variables == {"age", "sex", "g"}
    assert expression.comparisons == {("sex", "female"), ("sex", "other"), ("g", "a")}
    assert expression.results == {"child", "b"}
    with connect() as connection:
        rows = connection.execute(
            f"SELECT {expression.sql} FROM"
            " (VALUES (4, 'male', 'a'), (20, 'female', 'c'), (20, 'female', 'a b')) AS t(age, sex, g)"
        ).fetchall()
    assert rows == [("child",), ("b",), (None,)]


def test_quotes_and_comments_in_constants_stay_constants() -> None:
    expression = parse("a = 'it''s -- not /* a comment'")
    with connect() as connection:
        assert connection.execute(
            f"SELECT {expression.sql} FROM (SELECT ? AS a)", ["it's -- not /* a comment"]
        ).fetchall() == [(True,)]


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError:
        return
    with connect() as connection:
        columns = (
            ", ".join(f'NULL AS "{name.replace(chr(34), chr(34) * 2)}"' for name in sorted(expression.variables)) or "1"
        )
        connection.execute(f"SELECT {expression.sql} FROM (SELECT {columns})").fetchall()


FRAGMENTS = [
    "a",
    "b",
    "'x'",
    "5",
    "(",
    ")",
    "=",
    "<>",
    "IN",
    "AND",
    "OR",
    "NOT",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "SELECT",
]
FRAGMENTS += ["FROM", "read_csv", ",", ";", "--", "selected", "NULL", "IS", "BETWEEN", "UNION", "::", "ATTACH", "COPY"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
def test_shuffled_fragments_of_sql_reach_no_table_and_no_function(parts: list[str]) -> None:
    try:
        sql = parse(" ".join(parts)).sql.lower()
    except ExpressionError:
        return
    assert "read_csv" not in sql.replace('"read_csv"', "")
    assert "select" not in sql.replace('"select', "").replace("selected", "")
