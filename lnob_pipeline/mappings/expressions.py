"""The expression language of the mappings: conditions and CASE over variables, parsed, allow-listed, written anew.

DuckDB's own parser reads the text (json_serialize_sql); what runs is never the text itself but SQL made here from the
parts that are allowed: variables, constants, comparisons, AND / OR / NOT, IN, BETWEEN, IS NULL, CASE and
selected(variable, 'code'). Everything else is an error: other functions, subqueries, tables, parameters, casts.
Meaning of the variables is not checked here (lint.py does that).
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

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


class ExpressionError(ValueError):
    """The expression is not of the language; the message says what is allowed instead."""


@dataclass(frozen=True)
class Expression:
    """A checked expression: SQL that is safe to run, the variables it reads, the (variable, code) pairs it compares."""

    text: str
    sql: str
    variables: frozenset[str]
    comparisons: frozenset[tuple[str, str]]
    results: frozenset[str]


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"


@functools.lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    return connect(threads=1)


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Check an expression. Raises ExpressionError."""
    (serialised,) = _parser().execute("SELECT json_serialize_sql(?)", [f"SELECT (\n{text}\n)"]).fetchall()[0]
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
        raise ExpressionError("is more than one expression; only conditions and CASE over variables are allowed")
    writer = _Writer()
    sql = writer.write(node["select_list"][0])
    return Expression(text, sql, frozenset(writer.variables), frozenset(writer.comparisons), frozenset(writer.results))


class _Writer:
    """Turns the allowed parts of the parse tree into SQL and notes what it meets."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.comparisons: set[tuple[str, str]] = set()
        self.results: set[str] = set()

    def write(self, node: dict[str, Any]) -> str:
        kind = node["class"]
        writer = getattr(self, f"_{kind.lower()}", None)
        if writer is None:
            raise ExpressionError(f"{kind.lower().replace('_', ' ')} is not allowed here")
        return str(writer(node))

    def _column_ref(self, node: dict[str, Any]) -> str:
        names = node["column_names"]
        if len(names) != 1:
            raise ExpressionError(f"{'.'.join(names)}: name a variable alone, without a table")
        self.variables.add(names[0])
        return quoted(names[0])

    def _constant(self, node: dict[str, Any]) -> str:
        value = node["literal"]
        if value["kind"] == "STRING":
            return literal(value["text"])
        if value["kind"] in ("INTEGER", "DECIMAL", "FLOAT", "NUMERIC"):
            if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", value["text"]):
                raise ExpressionError(f"the number {value['text']} is not a plain one; write digits and a point")
            return str(value["text"])
        if value["kind"] == "NULL_LITERAL":
            return "NULL"
        if value["kind"] == "BOOLEAN" and value["text"] in ("true", "false"):
            return str(value["text"]).upper()
        raise ExpressionError(f"a constant of kind {value['kind'].lower()} is not allowed")

    def _comparison(self, node: dict[str, Any]) -> str:
        if node["type"] not in COMPARISONS:
            raise ExpressionError(f"the comparison {node['type']} is not allowed")
        self._note(node["left"], [node["right"]])
        self._note(node["right"], [node["left"]])
        return f"({self.write(node['left'])} {COMPARISONS[node['type']]} {self.write(node['right'])})"

    def _between(self, node: dict[str, Any]) -> str:
        if node["type"] != "COMPARE_BETWEEN":
            raise ExpressionError(f"the comparison {node['type']} is not allowed")
        low, high = self.write(node["lower"]), self.write(node["upper"])
        return f"({self.write(node['input'])} BETWEEN {low} AND {high})"

    def _conjunction(self, node: dict[str, Any]) -> str:
        word = {"CONJUNCTION_AND": " AND ", "CONJUNCTION_OR": " OR "}[node["type"]]
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
                self._note(children[0], children[1:])
                for child in children[1:]:
                    self._note(child, children[:1])
                word = "IN" if node["type"] == "COMPARE_IN" else "NOT IN"
                return f"({self.write(children[0])} {word} ({', '.join(self.write(child) for child in children[1:])}))"
        raise ExpressionError(f"the operator {node['type']} is not allowed")

    def _case(self, node: dict[str, Any]) -> str:
        parts = []
        for check in node["case_checks"]:
            parts.append(f"WHEN {self.write(check['when_expr'])} THEN {self._result(check['then_expr'])}")
        return f"CASE {' '.join(parts)} ELSE {self._result(node['else_expr'])} END"

    def _function(self, node: dict[str, Any]) -> str:
        name = node["function_name"]
        arguments = [item.get("expression", item) for item in node.get("arguments", node.get("children", []))]
        columns = [item for item in arguments[:1] if item.get("class") == "COLUMN_REF"]
        codes = [item for item in arguments[1:] if item.get("class") == "CONSTANT"]
        modified = node.get("schema") or node.get("filter") or node.get("distinct")
        if name != "selected" or modified or len(columns) != 1 or len(codes) != 1 or len(arguments) != 2:
            raise ExpressionError(f"the function {name} is not allowed; only selected(variable, 'code') is")
        self._note(columns[0], codes)
        return f"list_contains(string_split({self.write(columns[0])}, ' '), {self.write(codes[0])})"

    def _result(self, node: dict[str, Any]) -> str:
        if node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING":
            self.results.add(node["literal"]["text"])
        return self.write(node)

    def _note(self, left: dict[str, Any], right: list[dict[str, Any]]) -> None:
        if left["class"] == "COLUMN_REF":
            for item in right:
                if item["class"] == "CONSTANT" and item["literal"]["kind"] == "STRING":
                    self.comparisons.add((left["column_names"][-1], item["literal"]["text"]))
