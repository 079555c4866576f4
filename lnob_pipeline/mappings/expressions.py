"""The expression language of the mappings: conditions, sums and CASE over names, parsed, allow-listed, written anew.

DuckDB's own parser reads the text (json_serialize_sql); what runs is never the text itself but SQL made here from the
parts that are allowed: names, constants, comparisons, AND / OR / NOT, IN, BETWEEN, IS NULL, CASE, + - * / and
selected(variable, 'code'). Everything else is an error: other functions, subqueries, tables, placeholders, casts.
What a name means (variable, parameter) and whether it exists is not known here: derive.py and the lint see to that.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import duckdb

from lnob_pipeline.warehouse import connect

COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
ARITHMETIC = ("+", "-", "*", "/")
LONGEST_TEXT = 20_000
DEEPEST_NESTING = 100
MOST_REMEMBERED = 20_000

Kind = Literal["condition", "number", "text", "name", "null"]


class ExpressionError(ValueError):
    """The expression is not of the language; the message says what is allowed instead."""


@dataclass(frozen=True)
class Expression:
    """A checked expression and what it says of the names in it.

    sql: safe to run, every name a quoted column. variables: every name. comparisons: (name, code) pairs; selections:
    those of selected(). results: the codes that CASE can give. numbers: names that are calculated with or set beside a
    number. together: pairs of names that are set beside each other. kind: what the whole gives; `name` where only the
    type of the name tells.
    """

    text: str
    sql: str
    variables: frozenset[str]
    comparisons: frozenset[tuple[str, str]]
    selections: frozenset[tuple[str, str]]
    results: frozenset[str]
    numbers: frozenset[str]
    together: frozenset[tuple[str, str]]
    kind: Kind
    tree: dict[str, Any] = field(repr=False, compare=False)

    def sql_with(self, meanings: Mapping[str, str]) -> str:
        """The SQL with other SQL in the place of some names: parameters, codes that count as unknown."""
        return _Writer(meanings).write(self.tree)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"


def number(value: float) -> str:
    """A number as an SQL constant of type DOUBLE, which never overflows as whole numbers and decimals do."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def parse(text: str) -> Expression:
    """Check an expression. Raises ExpressionError."""
    if text not in _REMEMBERED:
        prepare([text])
    found = _REMEMBERED[text]
    if isinstance(found, Expression):
        return found
    raise ExpressionError(found)


def prepare(texts: Iterable[str]) -> None:
    """Read many expressions in one call of the parser, so that parse() finds them; errors wait for parse()."""
    if len(_REMEMBERED) > MOST_REMEMBERED:
        _REMEMBERED.clear()
    fresh = [text for text in dict.fromkeys(texts) if text not in _REMEMBERED]
    if not fresh:
        return
    for text, serialised in zip(fresh, _serialised(fresh), strict=True):
        try:
            _REMEMBERED[text] = _checked(text, serialised)
        except ExpressionError as error:
            _REMEMBERED[text] = str(error)
        except RecursionError:
            _REMEMBERED[text] = "is nested too deeply; make a derived variable of its parts"


_REMEMBERED: dict[str, Expression | str] = {}


@functools.lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    return connect(threads=1)


def _serialised(texts: list[str]) -> list[str]:
    """The parse tree of each text as JSON; a text that the parser cannot even take gives its complaint in that form."""
    usable = ["" if len(text) > LONGEST_TEXT else f"SELECT (\n{text}\n)" for text in texts]
    try:
        rows = _parser().execute("SELECT json_serialize_sql(text) FROM unnest(?) AS t(text)", [usable]).fetchall()
        return [row[0] for row in rows]
    except duckdb.Error as error:
        if len(texts) == 1:
            return [json.dumps({"error": True, "error_message": str(error).splitlines()[0]})]
        return [serialised for text in texts for serialised in _serialised([text])]


def _checked(text: str, serialised: str) -> Expression:
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(
            f"has {len(text)} characters, more than {LONGEST_TEXT}; make derived variables of its parts"
        )
    tree = json.loads(serialised)
    if tree.get("error"):
        raise ExpressionError(f"cannot be read as an expression: {tree.get('error_message', 'syntax error')}")
    statements = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    plain = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not node["cte_map"]["map"]
        and not any(node[part] for part in ("modifiers", "where_clause", "group_expressions", "having", "qualify"))
    )
    if not plain:
        raise ExpressionError("is more than one expression; only conditions, sums and CASE over names are allowed")
    whole = node["select_list"][0]
    writer = _Writer({})
    sql = writer.write(whole)
    return Expression(
        text,
        sql,
        frozenset(writer.names),
        frozenset(writer.comparisons),
        frozenset(writer.selections),
        frozenset(writer.results),
        frozenset(writer.numbers),
        frozenset(writer.together),
        _kind(whole),
        whole,
    )


def _kind(node: dict[str, Any]) -> Kind:
    """What a node that was allowed gives."""
    match node["class"]:
        case "COLUMN_REF":
            return "name"
        case "CONSTANT":
            kinds: dict[str, Kind] = {"STRING": "text", "BOOLEAN": "condition", "NULL_LITERAL": "null"}
            return kinds.get(node["literal"]["kind"], "number")
        case "CASE":
            results = [*(check["then_expr"] for check in node["case_checks"]), node["else_expr"]]
            found = {_kind(result) for result in results} - {"null"}
            return found.pop() if len(found) == 1 else next((k for k in ("text", "number") if k in found), "null")
        case "FUNCTION":
            return "number" if node["function_name"] in ARITHMETIC else "condition"
    return "condition"


class _Writer:
    """Turns the allowed parts of the parse tree into SQL and notes what it meets; `meanings`: name -> SQL for it."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self.meanings = meanings
        self.names: set[str] = set()
        self.comparisons: set[tuple[str, str]] = set()
        self.selections: set[tuple[str, str]] = set()
        self.results: set[str] = set()
        self.numbers: set[str] = set()
        self.together: set[tuple[str, str]] = set()
        self.depth = 0

    def write(self, node: dict[str, Any]) -> str:
        writer = getattr(self, f"_{node['class'].lower()}", None)
        if writer is None:
            raise ExpressionError(f"holds a {node['class'].lower().replace('_', ' ')}, which is not of the language")
        self.depth += 1
        if self.depth > DEEPEST_NESTING:
            raise ExpressionError("is nested too deeply; make a derived variable of its parts")
        sql = str(writer(node))
        self.depth -= 1
        return sql

    def _column_ref(self, node: dict[str, Any]) -> str:
        names = node["column_names"]
        if len(names) != 1:
            raise ExpressionError(f"names {'.'.join(names)}; name a variable alone, without a table")
        if not names[0].isprintable():
            raise ExpressionError("names a variable with a character that cannot be seen")
        self.names.add(names[0])
        return self.meanings.get(names[0]) or quoted(names[0])

    def _constant(self, node: dict[str, Any]) -> str:
        value = node["literal"]
        if value["kind"] == "STRING":
            if not value["text"].isprintable():
                raise ExpressionError("holds a code with a character that cannot be seen")
            return literal(value["text"])
        if value["kind"] in ("INTEGER", "DECIMAL", "FLOAT", "NUMERIC"):
            if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?(e0)?", value["text"], re.ASCII):
                raise ExpressionError(f"holds the number {value['text']}; write up to 15 digits and a point")
            return str(value["text"]).removesuffix("e0") + "e0"
        if value["kind"] == "NULL_LITERAL":
            return "NULL"
        if value["kind"] == "BOOLEAN" and value["text"] in ("true", "false"):
            return str(value["text"]).upper()
        raise ExpressionError(f"holds a constant of kind {value['kind'].lower()}, which is not of the language")

    def _comparison(self, node: dict[str, Any]) -> str:
        if node["type"] not in COMPARISONS:
            raise ExpressionError(f"compares by {_said(node)}, which is not of the language")
        self._beside(node["left"], [node["right"]])
        return f"({self.write(node['left'])} {COMPARISONS[node['type']]} {self.write(node['right'])})"

    def _between(self, node: dict[str, Any]) -> str:
        if node["type"] != "COMPARE_BETWEEN":
            raise ExpressionError(f"compares by {_said(node)}, which is not of the language")
        self._beside(node["input"], [node["lower"], node["upper"]])
        low, high = self.write(node["lower"]), self.write(node["upper"])
        return f"({self.write(node['input'])} BETWEEN {low} AND {high})"

    def _conjunction(self, node: dict[str, Any]) -> str:
        word = {"CONJUNCTION_AND": " AND ", "CONJUNCTION_OR": " OR "}.get(node["type"])
        if word is None:
            raise ExpressionError(f"holds {_said(node)}, which is not of the language")
        return "(" + word.join(self.write(child) for child in node["children"]) + ")"

    def _operator(self, node: dict[str, Any]) -> str:
        children = node["children"]
        match node["type"]:
            case "OPERATOR_NOT":
                return f"(NOT {self.write(children[0])})"
            case "OPERATOR_IS_NULL":
                return f"({self.write(children[0])} IS NULL)"
            case "OPERATOR_IS_NOT_NULL":
                return f"({self.write(children[0])} IS NOT NULL)"
            case "COMPARE_IN" | "COMPARE_NOT_IN":
                self._beside(children[0], children[1:])
                word = "IN" if node["type"] == "COMPARE_IN" else "NOT IN"
                return f"({self.write(children[0])} {word} ({', '.join(self.write(child) for child in children[1:])}))"
        raise ExpressionError(f"holds the operator {_said(node)}, which is not of the language")

    def _case(self, node: dict[str, Any]) -> str:
        parts = []
        for check in node["case_checks"]:
            parts.append(f"WHEN {self.write(check['when_expr'])} THEN {self._result(check['then_expr'])}")
        return f"CASE {' '.join(parts)} ELSE {self._result(node['else_expr'])} END"

    def _function(self, node: dict[str, Any]) -> str:
        name = node["function_name"]
        arguments = [item["expression"] for item in node["arguments"]]
        modified = any(node.get(part) for part in ("schema", "catalog", "filter", "distinct", "export_state"))
        modified = modified or bool(node["order_bys"]["orders"]) or any(item["name"] for item in node["arguments"])
        if name in ARITHMETIC and node["is_operator"] and not modified:
            return self._arithmetic(name, arguments)
        columns = [item for item in arguments[:1] if item["class"] == "COLUMN_REF"]
        codes = [item for item in arguments[1:] if item["class"] == "CONSTANT" and item["literal"]["kind"] == "STRING"]
        if name != "selected" or modified or len(columns) != 1 or len(codes) != 1 or len(arguments) != 2:
            raise ExpressionError(f"calls the function {name}; the only one allowed is selected(variable, 'code')")
        self.selections.add((columns[0]["column_names"][-1], codes[0]["literal"]["text"]))
        return f"list_contains(string_split({self.write(columns[0])}, ' '), {self.write(codes[0])})"

    def _arithmetic(self, sign: str, arguments: list[dict[str, Any]]) -> str:
        for item in arguments:
            if _kind(item) not in ("number", "name", "null"):
                raise ExpressionError(f"calculates ({sign}) with something that is no number")
            if item["class"] == "COLUMN_REF":
                self.numbers.add(item["column_names"][-1])
        written = [self.write(item) for item in arguments]
        if len(written) == 1:
            return f"({sign} {written[0]})"
        if sign == "/":
            written[1] = f"nullif({written[1]}, 0e0)"
        return f"({written[0]} {sign} {written[1]})"

    def _result(self, node: dict[str, Any]) -> str:
        if node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING":
            self.results.add(node["literal"]["text"])
        return self.write(node)

    def _beside(self, left: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """Note what a comparison says of the names in it."""
        for right in others:
            self._note(left, right)
            self._note(right, left)

    def _note(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        if one["class"] != "COLUMN_REF":
            return
        name = one["column_names"][-1]
        if other["class"] == "CONSTANT" and other["literal"]["kind"] == "STRING":
            self.comparisons.add((name, other["literal"]["text"]))
        elif other["class"] == "COLUMN_REF":
            self.together.add((name, other["column_names"][-1]))
        elif _kind(other) == "number":
            self.numbers.add(name)


def _said(node: dict[str, Any]) -> str:
    """A part of the parse tree in words."""
    return str(node["type"]).lower().removeprefix("operator_").removeprefix("compare_").replace("_", " ")
