"""Skips as XForms read them: a condition of the mapping language as XPath.

Here: the translation alone. A condition holds in a form where it is KNOWN to hold, as a universe does: no question is
asked because an earlier one stayed without an answer. XPath has no unknown, so that every comparison that an empty, a
don't-know or a refused answer would meet is guarded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lnob_pipeline.mappings.expressions import COMPARISONS, ExpressionError, parse
from lnob_pipeline.mappings.models import Variable

NO_ANSWER = {"dont_know": "-88", "refused": "-99"}
"""Kind of missing answer -> how it is typed where the answer is a number; for codes the kind itself is the code."""

OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
MIRRORED = {"=": "=", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

Find = Callable[[str], tuple[Variable, str]]
"""Name -> the question and the reference to it in the form (`${age}`). Raises KeyError for what is not in the form."""


def relevant(text: str, find: Find) -> str:
    """The XPath that is true where the condition is known to hold. Raises ExpressionError, and what `find` raises."""
    return _holds(parse(text).tree, find, wanted=True)


def takes_no_answer(question: Variable) -> bool:
    """Whether don't know and refused can be typed: codes always, a number where the sentinels are no answers."""
    return question.type in ("code", "codes") or (
        question.type == "number" and question.minimum is not None and question.minimum >= 0
    )


def _holds(node: dict[str, Any], find: Find, *, wanted: bool) -> str:
    """XPath: the node is known to be `wanted`."""
    kind = node["type"]
    if kind in ("CONJUNCTION_AND", "CONJUNCTION_OR"):
        word = " and " if (kind == "CONJUNCTION_AND") == wanted else " or "
        return "(" + word.join(_holds(child, find, wanted=wanted) for child in node["children"]) + ")"
    if kind == "OPERATOR_NOT":
        return _holds(node["children"][0], find, wanted=not wanted)
    if kind in ("COMPARE_IN", "COMPARE_NOT_IN"):
        inside = (kind == "COMPARE_IN") == wanted
        first, *others = node["children"]
        parts = [_compare(first, "=" if inside else "!=", other, find) for other in others]
        return "(" + (" or " if inside else " and ").join(parts) + ")"
    if kind == "COMPARE_BETWEEN":
        low, high = (">=", "<=") if wanted else ("<", ">")
        parts = [_compare(node["input"], low, node["lower"], find), _compare(node["input"], high, node["upper"], find)]
        return "(" + (" and " if wanted else " or ").join(parts) + ")"
    if kind in COMPARISONS:
        sign = COMPARISONS[kind].replace("<>", "!=")
        return _compare(node["left"], sign if wanted else OPPOSITE[sign], node["right"], find)
    return _leaf(node, find, wanted=wanted)


def _leaf(node: dict[str, Any], find: Find, *, wanted: bool) -> str:
    """XPath of what holds no other condition: selected(), TRUE, FALSE."""
    if node["class"] == "FUNCTION" and node["function_name"] == "selected":
        name, code = (item["expression"] for item in node["arguments"])
        question, reference = find(name["column_names"][0])
        chosen = f"selected({reference}, {_constant(code)})"
        return chosen if wanted else f"({_known(question, reference)} and not({chosen}))"
    if node["class"] == "CONSTANT" and node["literal"]["kind"] == "BOOLEAN":
        return "true()" if (node["literal"]["text"] == "true") == wanted else "false()"
    raise ExpressionError(
        f"{node['type'].lower()} cannot be a skip of a form; use comparisons, AND, OR, NOT and selected()"
    )


def _compare(left: dict[str, Any], sign: str, right: dict[str, Any], find: Find) -> str:
    if left["class"] == "CONSTANT":
        left, sign, right = right, MIRRORED[sign], left
    if left["class"] != "COLUMN_REF" or right["class"] != "CONSTANT":
        raise ExpressionError("a skip of a form compares an answer with a code or a number")
    question, reference = find(left["column_names"][0])
    compared = f"{reference} {sign} {_constant(right)}"
    if sign == "=":  # an empty cell or a sentinel equals no code and no answer
        return compared
    return f"({_known(question, reference)} and {compared})"


def _known(question: Variable, reference: str) -> str:
    """XPath: there is an answer, and it is neither don't know nor refused."""
    if question.type == "number":  # an empty cell is no number, and no number is at least anything
        return f"{reference} >= {question.minimum:g}" if takes_no_answer(question) else f"{reference} != ''"
    parts = [f"{reference} != ''"]
    for kind in NO_ANSWER:
        parts.append(
            f"not(selected({reference}, '{kind}'))" if question.type == "codes" else f"{reference} != '{kind}'"
        )
    return " and ".join(parts)


def _constant(node: dict[str, Any]) -> str:
    value = node["literal"]
    if value["kind"] == "STRING":
        return f"'{value['text']}'"
    if value["kind"] in ("INTEGER", "DECIMAL", "FLOAT", "NUMERIC"):
        return f"{float(value['text']):g}"
    raise ExpressionError("a skip of a form compares with a code or a number")
