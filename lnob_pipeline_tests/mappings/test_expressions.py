"""The expression language: what is allowed runs and means what it says, what is not never runs."""

import functools
import json
import math
import operator
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.expressions import Expression, ExpressionError, parse, prepare, quoted
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.thorough import tries

OWN_FUNCTIONS = {"+", "-", "*", "/", "nullif", "list_contains", "string_split"}
OWN_PARTS = {"COLUMN_REF", "CONSTANT", "COMPARISON", "BETWEEN", "CONJUNCTION", "OPERATOR", "CASE", "FUNCTION"}

REFUSED = [
    "read_csv('x')",
    "1) FROM read_csv('x') --",
    "(SELECT 1)",
    "1 IN (SELECT 2)",
    "EXISTS (SELECT 1)",
    "a = ANY (SELECT 1)",
    "a; DROP TABLE x",
    "getenv('HOME')",
    "a::INTEGER",
    "TRY_CAST(a AS INTEGER)",
    "t.a = 1",
    "a LIKE '%'",
    "$1 = a",
    "? = a",
    "a COLLATE NOCASE",
    "x -> 1",
    "lambda x : x",
    "[1, 2]",
    "{'a': 1}",
    "a[1]",
    "(a, b)",
    "count(*) OVER ()",
    "sum(a)",
    "COLUMNS(*)",
    "*",
    "coalesce(a, b)",
    "nullif(a, 0)",
    "list_contains(string_split(a, ' '), 'x')",
    "selected(a, b)",
    "selected(a, 5)",
    "selected(read_text('x'), 'y')",
    "main.selected(a, 'b')",
    "selected(a, 'b') FILTER (WHERE a = 'c')",
    "selected(DISTINCT a, 'b')",
    "selected(a, 'b' ORDER BY a)",
    "selected(x := a, 'b')",
    '"+"(a, b)',
    "a // b",
    "a % b",
    "a ** 2",
    "a || b",
    "a + 'x'",
    "a + (b = 'x')",
    "a IS DISTINCT FROM 'x'",
    "a = 'x' UNION SELECT 1",
    "a FROM t",
    "a ORDER BY 1",
    "a, b",
    "a AS b",
    "DATE '2020-01-01' < a",
    "INTERVAL 1 DAY",
    "x'41'",
    "1e400 > a",
    "1e5 > a",
    "1_000 > a",
    "12345678901234567890 > a",
    "0.1234567890123456 > a",
    "a = 'x' /*",
    "",
    "--",
    "PRAGMA version",
    "\ud800",
    "NOT " * 200 + "a = 1",
    "(" * 100_000,
    "a = 'x' OR " * 10_000 + "a = 'y'",
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text)[:40])
def test_what_is_not_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert str(error.value)
    with pytest.raises(ExpressionError):
        parse(text)


def test_what_runs_is_written_anew_and_means_the_same() -> None:
    expression = parse(
        "CASE WHEN age < 5 THEN 'child' WHEN sex IN ('female', 'other') AND NOT selected(g, 'a') THEN 'b' END"
    )
    assert expression.variables == {"age", "sex", "g"}
    assert expression.comparisons == {("sex", "female"), ("sex", "other")}
    assert expression.selections == {("g", "a")}
    assert expression.results == {"child", "b"}
    assert expression.numbers == {"age"}
    assert expression.kind == "text"
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


def test_names_can_be_given_another_meaning_and_constants_cannot() -> None:
    expression = parse("""age >= entry AND place = '"entry"' AND "entry" < 99""")
    sql = expression.sql_with({"entry": "6.0e0"})
    with connect() as connection:
        relation = """(SELECT 6 AS age, '"entry"' AS place)"""
        assert connection.execute(f"SELECT {sql} FROM {relation}").fetchall() == [(True,)]
    assert expression.sql_with({"entry": "NULL"}).count("NULL") == 2


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a", "name"),
        ("a = 'x'", "condition"),
        ("NOT a = 'x'", "condition"),
        ("selected(a, 'x')", "condition"),
        ("TRUE", "condition"),
        ("a + 1", "number"),
        ("-a", "number"),
        ("5", "number"),
        ("'x'", "text"),
        ("CASE WHEN a = 'x' THEN 1 END", "number"),
        ("CASE WHEN a = 'x' THEN 'y' ELSE b END", "text"),
        ("CASE WHEN a = 'x' THEN b ELSE c END", "name"),
        ("NULL", "null"),
    ],
)
def test_an_expression_knows_what_it_gives(text: str, kind: str) -> None:
    assert parse(text).kind == kind


def test_many_texts_are_read_in_one_call_and_each_keeps_its_own_error() -> None:
    prepare(["zz = 'first'", "read_csv('zz')", "\ud800 zz", "zz = 'last'"])
    assert parse("zz = 'first'").comparisons == {("zz", "first")}
    assert parse("zz = 'last'").comparisons == {("zz", "last")}
    with pytest.raises(ExpressionError, match="read_csv"):
        parse("read_csv('zz')")
    with pytest.raises(ExpressionError):
        parse("\ud800 zz")


@pytest.mark.parametrize("text", ["a / 0", "a / (a - a)", "a / b"])
def test_division_by_zero_is_unknown(text: str) -> None:
    with connect() as connection:
        assert connection.execute(f"SELECT {parse(text).sql} FROM (SELECT 5.0 AS a, 0.0 AS b)").fetchall() == [(None,)]


# A reference: the same expressions as trees, evaluated in Python with three-valued logic.

Tree = tuple[Any, ...]
Row = dict[str, Any]


def numbers() -> st.SearchStrategy[Tree]:
    leaves = st.one_of(
        st.integers(0, 50).map(lambda value: ("constant", value)),
        st.sampled_from(["m", "n"]).map(lambda name: ("name", name)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["+", "-", "*", "/"]), inner, inner),
            st.tuples(st.just("minus"), inner),
        ),
        max_leaves=6,
    )


def conditions() -> st.SearchStrategy[Tree]:
    codes = st.sampled_from(["x", "y", "it's"])
    leaves = st.one_of(
        st.tuples(st.sampled_from(["=", "<>"]), st.sampled_from(["a", "b"]).map(lambda name: ("name", name)), codes),
        st.tuples(st.sampled_from(["<", "<=", ">", ">="]), numbers(), numbers()),
        st.tuples(st.just("in"), st.sampled_from(["a", "b"]), st.lists(codes, min_size=1, max_size=3)),
        st.tuples(st.just("selected"), codes),
        st.tuples(st.just("between"), numbers(), numbers(), numbers()),
        st.tuples(st.just("is null"), st.sampled_from(["a", "m"])),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["and", "or"]), inner, inner), st.tuples(st.just("not"), inner)
        ),
        max_leaves=6,
    )


def written(tree: Tree) -> str:
    match tree:
        case ("constant", value):
            text = str(value)
        case ("name", name):
            text = str(name)
        case ("minus", inner):
            text = f"(-{written(inner)})"
        case ("in", name, codes):
            text = f"{name} IN ({', '.join(quote(code) for code in codes)})"
        case ("selected", code):
            text = f"selected(g, {quote(code)})"
        case ("between", one, low, high):
            text = f"({written(one)} BETWEEN {written(low)} AND {written(high)})"
        case ("is null", name):
            text = f"{name} IS NULL"
        case ("not", inner):
            text = f"(NOT {written(inner)})"
        case (("and" | "or") as word, left, right):
            text = f"({written(left)} {word.upper()} {written(right)})"
        case (sign, left, right):
            text = f"({written(left)} {sign} {written(right) if isinstance(right, tuple) else quote(right)})"
    return text


def quote(code: str) -> str:
    return "'" + code.replace("'", "''") + "'"


ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def meaning(tree: Tree, row: Row) -> Any:
    """None is unknown."""
    found: Any = None
    match tree:
        case ("constant", value):
            found = float(value)
        case ("name", name):
            found = row[name]
        case ("minus", inner):
            value = meaning(inner, row)
            found = None if value is None else -value
        case ("in", name, codes):
            found = None if row[name] is None else row[name] in codes
        case ("selected", code):
            found = None if row["g"] is None else code in row["g"].split(" ")
        case ("between", one, low, high):
            found = meaning(("and", (">=", one, low), ("<=", one, high)), row)
        case ("is null", name):
            found = row[name] is None
        case ("not", inner):
            value = meaning(inner, row)
            found = None if value is None else not value
        case (("and" | "or") as word, left, right):
            values = [meaning(left, row), meaning(right, row)]
            decisive = word == "or"
            found = decisive if decisive in values else None if None in values else not decisive
        case ("/", left, right):
            one, other = meaning(left, row), meaning(right, row)
            found = None if None in (one, other) or other == 0 else one / other
        case (sign, left, right):
            one, other = meaning(left, row), meaning(right, row) if isinstance(right, tuple) else right
            found = None if None in (one, other) else ORDER[sign](one, other)
    return found


ROWS = st.fixed_dictionaries(
    {
        "a": st.sampled_from(["x", "y", "it's", None]),
        "b": st.sampled_from(["x", "y", None]),
        "g": st.sampled_from(["x", "x y", "y", "none", None]),
        "m": st.sampled_from([0.0, 1.0, 30.0, None]),
        "n": st.sampled_from([0.0, 7.0, None]),
    }
)


@given(tree=conditions(), row=ROWS)
@settings(max_examples=tries(80))
def test_conditions_mean_in_sql_what_they_say(tree: Tree, row: Row) -> None:
    assert run(parse(written(tree)), row) == meaning(tree, row)


@given(tree=numbers(), row=ROWS)
@settings(max_examples=tries(80))
def test_sums_mean_in_sql_what_they_say(tree: Tree, row: Row) -> None:
    found, expected = run(parse(written(tree)), row), meaning(tree, row)
    assert found == expected or math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def run(expression: Expression, row: Row) -> Any:
    kinds = {"a": "VARCHAR", "b": "VARCHAR", "g": "VARCHAR", "m": "DOUBLE", "n": "DOUBLE"}
    columns = ", ".join(f"?::{kind} AS {name}" for name, kind in kinds.items())
    query = f"SELECT {expression.sql} FROM (SELECT {columns})"
    return duck().execute(query, [row[name] for name in kinds]).fetchall()[0][0]


# Attacks: fragments of SQL in any order, and every function that DuckDB has.


@functools.cache
def duck() -> duckdb.DuckDBPyConnection:
    return connect(threads=1)


with connect(threads=1) as _connection:
    FUNCTIONS = sorted(
        {name for (name,) in _connection.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()}
    )

FRAGMENTS = ["a", "b", "'x'", "5", "0.5", "1e9", "99999999999999999999", '"a""b"', "ä", "é́", "\u202e", "''", "$$x$$"]
FRAGMENTS += ["(", ")", "[", "]", "{", "}", ",", ";", ".", ":", "::", ":=", "->", "=>", "--", "/*", "*/", "\n", "\x00"]
FRAGMENTS += [
    "=",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "^",
    "**",
    "||",
    "~",
    "@",
    "!",
    "?",
    "$1",
    "#1",
]
FRAGMENTS += [
    "IN",
    "NOT IN",
    "AND",
    "OR",
    "NOT",
    "IS",
    "NULL",
    "TRUE",
    "BETWEEN",
    "LIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
]
FRAGMENTS += [
    "END",
    "SELECT",
    "FROM",
    "WHERE",
    "UNION",
    "WITH",
    "AS",
    "EXISTS",
    "ANY",
    "ALL",
    "OVER ()",
    "FILTER",
    "CAST",
]
FRAGMENTS += [
    "COLLATE",
    "INTERVAL",
    "DATE",
    "PRAGMA",
    "ATTACH",
    "COPY",
    "INSTALL",
    "LOAD",
    "SET",
    "CALL",
    "VALUES",
    "TABLE",
]
FRAGMENTS += [
    "read_csv('x')",
    "read_text('/etc/hostname')",
    "getenv('HOME')",
    "glob('*')",
    "selected(a, 'x')",
    "selected",
]
FRAGMENTS += [
    "(SELECT 1)",
    "a IN (SELECT 1)",
    "x -> x + 1",
    "lambda x : x",
    "row_number() OVER ()",
    "a::INTEGER",
    "COLUMNS(*)",
]

VALID = [
    "a = 'x' AND b IN ('y', 'z')",
    "CASE WHEN a = 'x' THEN 'p' WHEN m < 5 THEN 'q' ELSE b END",
    "(m + 1) * 2 / n - 3",
    "NOT selected(g, 'x') OR m BETWEEN 1 AND 2",
    "a IS NOT NULL",
]


def checked(text: str) -> None:
    """Refused with an ExpressionError, or rewritten to nothing but the parts and functions of the language."""
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert str(error)
        return
    connection = duck()
    tree = serialised(expression.sql, connection)
    select = tree["statements"][0]["node"]["select_list"]
    assert len(tree["statements"]) == len(select) == 1
    assert tree["statements"][0]["node"]["from_table"]["type"] == "EMPTY"
    nodes = list(every_node(select[0]))
    assert {node["class"] for node in nodes} <= OWN_PARTS
    assert {node["function_name"] for node in nodes if node["class"] == "FUNCTION"} <= OWN_FUNCTIONS
    columns = {name for node in nodes if node["class"] == "COLUMN_REF" for name in node["column_names"]}
    assert columns == expression.variables
    # The parser reads our text in one way: printed from its tree and read again, it is the same tree.
    (again,) = connection.execute(
        "SELECT json_deserialize_sql(json_serialize_sql(?))", [f"SELECT {expression.sql}"]
    ).fetchall()[0]
    assert plain(serialised(again.removeprefix("SELECT "), connection)) == plain(tree)
    # It reaches no table: it runs over a row of its own names, or is refused for its types.
    listing = ", ".join(
        f"NULL::{'DOUBLE' if name in expression.numbers else 'VARCHAR'} AS {quoted(name)}" for name in sorted(columns)
    )
    try:
        connection.execute(f"SELECT {expression.sql} FROM (SELECT {listing or 1})").fetchall()
    except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException):
        return


def serialised(sql: str, connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(
        connection.execute("SELECT json_serialize_sql(?)", [f"SELECT {sql}"]).fetchall()[0][0]
    )
    assert not tree["error"], tree
    return tree


def every_node(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [node for inner in part for node in every_node(inner)]
    if not isinstance(part, dict):
        return []
    own = [part] if "class" in part else []
    return own + [node for inner in part.values() for node in every_node(inner)]


def plain(tree: Any) -> Any:
    """Without the places in the text."""
    if isinstance(tree, list):
        return [plain(inner) for inner in tree]
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items() if not key.startswith("query_location")}
    return tree


@given(text=st.text(max_size=60))
@settings(max_examples=tries(200))
def test_any_text_is_refused_or_harmless(text: str) -> None:
    checked(text)


@given(parts=st.lists(st.sampled_from(FRAGMENTS), max_size=14))
@settings(max_examples=tries(200))
@example(parts=["a", "=", "'x'", "--", "\n", ")", "FROM", "read_csv('x')"])
def test_shuffled_fragments_of_sql_are_refused_or_harmless(parts: list[str]) -> None:
    checked(" ".join(parts))


@given(text=st.sampled_from(VALID), fragment=st.sampled_from(FRAGMENTS), place=st.floats(0, 1), cut=st.integers(0, 6))
@settings(max_examples=tries(200))
def test_a_fragment_slipped_into_a_good_expression_is_refused_or_harmless(
    text: str, fragment: str, place: float, cut: int
) -> None:
    start = round(place * len(text))
    checked(f"{text[:start]} {fragment} {text[start + cut :]}")


@given(tree=conditions())
def test_what_is_rewritten_stays_what_it_is(tree: Tree) -> None:
    checked(written(tree))


@pytest.mark.thorough
def test_no_function_of_duckdb_can_be_called() -> None:
    assert len(FUNCTIONS) > 300
    for name in FUNCTIONS:
        for arguments in ("", "a", "a, 'x'", "'x', 'y', 5"):
            text = f"{quoted(name)}({arguments})"
            with pytest.raises(ExpressionError):
                parse(text)
        checked(f"a = 'x' OR {quoted(name)}(a, 'x') = b")


@given(
    depth=st.integers(1, 3000),
    shape=st.sampled_from(["({})", "NOT {}", "-{}", "({} + 1)", "CASE WHEN b = 'x' THEN {} END"]),
)
@settings(max_examples=tries(60))
def test_any_depth_is_refused_or_harmless(depth: int, shape: str) -> None:
    before, after = shape.split("{}")
    checked(before * depth + "a" + after * depth)
