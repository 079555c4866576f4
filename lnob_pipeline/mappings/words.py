"""Expressions of the mappings in words: labels in the place of names and codes, for readers of the pages.

Here: from the parse tree of a checked expression (expressions.py) to Markdown. What it says must be what the SQL does;
nothing is left out or rounded. Not here: which expressions a page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lnob_pipeline.mappings.derive import question_of
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.markdown import link, listed, plain
from lnob_pipeline.mappings.models import MISSING_KINDS, Variable

MISSING = {"dont_know": "don't know", "refused": "refused", "not_asked": "not asked", "unmapped": "unknown code"}
COMPARED = {
    "COMPARE_EQUAL": "is",
    "COMPARE_NOTEQUAL": "is not",
    "COMPARE_LESSTHAN": "is below",
    "COMPARE_LESSTHANOREQUALTO": "is at most",
    "COMPARE_GREATERTHAN": "is above",
    "COMPARE_GREATERTHANOREQUALTO": "is at least",
}
TURNED = {
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}
SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷"}


def label_of(name: str, mappings: Mappings) -> str:
    """The label of a variable."""
    found: Any = mappings.variables.get(name) or mappings.derived[name]
    return plain(found.label)


class Words:
    """Says expressions in words; `folder` is the way from the page to the pages of variables (`../variables/`)."""

    def __init__(self, mappings: Mappings, folder: str) -> None:
        self.mappings = mappings
        self.folder = folder

    def say(self, expression: str) -> str:
        """One line of Markdown."""
        return self._say(parse(expression).tree)

    def rules(self, expression: str, codes: Mapping[str, str]) -> list[str]:
        """A CASE as one line for each rule, in their order, with the labels of its results; else one line."""
        tree = parse(expression).tree
        if tree["class"] != "CASE":
            return [self._say(tree)]
        return self._rules(tree, codes)

    def name(self, name: str) -> str:
        """A name of an expression as the label of what it means, linked to its page."""
        if (parameter := self.mappings.parameters.get(name)) is not None:
            return f"{plain(parameter.label)} of the country"
        question = question_of(name, self.mappings)
        linked = link(label_of(question, self.mappings), f"{self.folder}{question}.md")
        return linked if question == name else f"the kind of missing answer of {linked}"

    def _say(self, node: dict[str, Any]) -> str:
        speak: Callable[[dict[str, Any]], str] = getattr(self, f"_{node['class'].lower()}")
        return speak(node)

    def _inside(self, node: dict[str, Any]) -> str:
        """In brackets where it holds several conditions or a sum."""
        several = node["class"] == "CONJUNCTION" or (node["class"] == "FUNCTION" and node["function_name"] in SIGNS)
        return f"({self._say(node)})" if several else self._say(node)

    def _column_ref(self, node: dict[str, Any]) -> str:
        return self.name(node["column_names"][0])

    def _constant(self, node: dict[str, Any]) -> str:
        value = node["literal"]
        if value["kind"] == "NULL_LITERAL":
            return "unknown"
        return f"*{plain(value['text'])}*" if value["kind"] == "STRING" else str(value["text"])

    def _comparison(self, node: dict[str, Any]) -> str:
        left, right, kind = node["left"], node["right"], node["type"]
        if left["class"] == "CONSTANT" and right["class"] != "CONSTANT":
            left, right, kind = right, left, TURNED.get(kind, kind)
        return f"{self._inside(left)} {COMPARED[kind]} {self._answer(left, right)}"

    def _between(self, node: dict[str, Any]) -> str:
        return (
            f"{self._inside(node['input'])} is {self._say(node['lower'])} to {self._say(node['upper'])}, both included"
        )

    def _conjunction(self, node: dict[str, Any]) -> str:
        word = "and" if node["type"] == "CONJUNCTION_AND" else "or"
        return f" **{word}** ".join(self._inside(child) for child in node["children"])

    def _operator(self, node: dict[str, Any]) -> str:
        first = node["children"][0]
        match node["type"]:
            case "OPERATOR_NOT":
                within = first["type"] in ("COMPARE_IN", "COMPARE_NOT_IN")
                turned = first["type"] == "COMPARE_IN"
                return self._within(first, negated=turned) if within else f"**not** ({self._say(first)})"
            case "OPERATOR_IS_NULL":
                return f"{self._inside(first)} is not known"
            case "OPERATOR_IS_NOT_NULL":
                return f"{self._inside(first)} is known"
        return self._within(node, negated=node["type"] == "COMPARE_NOT_IN")

    def _within(self, node: dict[str, Any], *, negated: bool) -> str:
        """IN and NOT IN."""
        first, *others = node["children"]
        if first["class"] == "CONSTANT" and all(other["class"] == "COLUMN_REF" for other in others):
            named = listed([self._say(other) for other in others])
            return f"{'none' if negated else 'at least one'} of {named} is {self._answer(others[0], first)}"
        if {other.get("literal", {}).get("text") for other in others} == set(MISSING_KINDS):
            return f"{self._say(first)} is {'not ' if negated else ''}a missing answer"
        answers = listed([self._answer(first, other) for other in others])
        several = "none of " if len(others) > 1 else "not "
        return f"{self._say(first)} is {several if negated else ''}{answers}"

    def _case(self, node: dict[str, Any]) -> str:
        return self._nested(node, {})

    def _nested(self, node: dict[str, Any], codes: Mapping[str, str]) -> str:
        return f"({'; '.join(self._rules(node, codes))})"

    def _rules(self, node: dict[str, Any], codes: Mapping[str, str]) -> list[str]:
        rules = [
            f"{self._result(rule['then_expr'], codes)} where {self._say(rule['when_expr'])}"
            for rule in node["case_checks"]
        ]
        return [*rules, f"otherwise {self._result(node['else_expr'], codes)}"]

    def _function(self, node: dict[str, Any]) -> str:
        arguments = [item["expression"] for item in node["arguments"]]
        name = node["function_name"]
        if name == "selected":
            return f"{self._say(arguments[0])} includes {self._answer(*arguments)}"
        if name == "+":  # a sum of sums needs no brackets
            return " + ".join(
                self._say(item) if item.get("function_name") == "+" else self._inside(item) for item in arguments
            )
        spoken = [self._inside(item) for item in arguments]
        return f" {SIGNS[name]} ".join(spoken) if len(spoken) > 1 else f"{SIGNS[name]}{spoken[0]}"

    def _answer(self, of: dict[str, Any], node: dict[str, Any]) -> str:
        """What a name is compared with; a code by its label."""
        if node["class"] != "CONSTANT" or node["literal"]["kind"] != "STRING":
            return self._inside(node)
        written = str(node["literal"]["text"])
        if written in MISSING:
            return f"*{MISSING[written]}*"
        codes = self._codes(of["column_names"][0]) if of["class"] == "COLUMN_REF" else {}
        return f"*{plain(codes.get(written, written))}*"

    def _codes(self, name: str) -> dict[str, str]:
        known = name in self.mappings.variables or name in self.mappings.derived
        return self.mappings.codes(name) if known else {}

    def _result(self, node: dict[str, Any], codes: Mapping[str, str]) -> str:
        """What a rule of CASE gives."""
        if node["class"] == "COLUMN_REF":
            name = node["column_names"][0]
            found = self.mappings.variables.get(name)
            number = isinstance(found, Variable) and found.type == "number"
            return self.name(name) if number or name.endswith("_missing") else f"the answer of {self.name(name)}"
        if node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING":
            written = node["literal"]["text"]
            return f"*{MISSING.get(written) or plain(codes.get(written, written))}*"
        return self._nested(node, codes) if node["class"] == "CASE" else self._inside(node)
