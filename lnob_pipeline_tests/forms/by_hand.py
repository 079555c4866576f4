"""Indicators computed a second time, in plain Python with three truth values, person after person.

This is written from the description of the language (unknown stays unknown; what the answers decide, holds; what they
leave open follows the rule of its kind), and shares nothing with the SQL of the pipeline but the parser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, Measure, Share

Value = str | float | bool | None


@dataclass(eq=False, repr=False)
class Row:
    """A household or a person: variable -> answer (None: unknown); `kinds`: number -> kind of its missing answer."""

    mappings: Mappings
    parameters: dict[str, float | None]
    answers: dict[str, Value]
    kinds: dict[str, str]
    household: Row | None = None
    members: list[Row] = field(default_factory=list)
    made: dict[str, Value] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """The answer, a missing code as it stands; derived variables are computed."""
        if name in self.parameters:
            return self.parameters[name]
        number = name.removesuffix("_missing")
        if number != name and number in self.mappings.variables:
            of_household = self.household and self.mappings.variables[number].unit == "household"
            return (self.household.kinds if of_household and self.household else self.kinds).get(number)
        if name in self.mappings.variables:
            of_household = self.household and self.mappings.variables[name].unit == "household"
            return (self.household.answers if of_household and self.household else self.answers).get(name)
        derived = self.mappings.derived[name]
        if self.household and derived.unit == "household":
            return self.household.value(name)
        if name not in self.made:
            if derived.members:
                held = [member.holds(derived.expression) for member in self.members]
                wanted = derived.members == "any"
                word, other = ("yes", "no") if wanted else ("no", "yes")
                if any(each is wanted for each in held):
                    self.made[name] = word
                else:
                    self.made[name] = other if held and None not in held else None
            else:
                self.made[name] = self.evaluate(parse(derived.expression).tree, plain=True)
        return self.made[name]

    def holds(self, text: str) -> Value:
        """A condition or a number in which a missing code is unknown."""
        return self.evaluate(parse(text).tree, plain=False)

    def evaluate(self, node: dict[str, Any], *, plain: bool) -> Value:
        def go(child: dict[str, Any]) -> Value:
            return self.evaluate(child, plain=plain)

        kind = node["type"]
        found: Value = None
        match node["class"]:
            case "COLUMN_REF":
                said = self.value(node["column_names"][0])
                found = said if plain or said not in MISSING_KINDS else None
            case "CONSTANT":
                found = _constant(node["literal"])
            case "CONJUNCTION":
                parts, decisive = [go(child) for child in node["children"]], kind == "CONJUNCTION_OR"
                found = None if None in parts else not decisive
                found = decisive if any(part is decisive for part in parts) else found
            case "COMPARISON":
                found = _compare(kind, go(node["left"]), go(node["right"]))
            case "BETWEEN":
                low = _compare("COMPARE_GREATERTHANOREQUALTO", go(node["input"]), go(node["lower"]))
                high = _compare("COMPARE_LESSTHANOREQUALTO", go(node["input"]), go(node["upper"]))
                found = False if False in (low, high) else None if None in (low, high) else True
            case "CASE":
                chosen = (check["then_expr"] for check in node["case_checks"] if go(check["when_expr"]) is True)
                found = go(next(chosen, node["else_expr"]))
            case "OPERATOR":
                found = self.operator(kind, [go(child) for child in node["children"]])
            case "FUNCTION":
                found = _function(node["function_name"], [go(item["expression"]) for item in node["arguments"]])
            case strange:
                raise AssertionError(strange)
        return found

    @staticmethod
    def operator(kind: str, values: list[Value]) -> Value:
        first, others = values[0], values[1:]
        if kind == "OPERATOR_NOT":
            return None if first is None else not first
        if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
            return (first is None) == (kind == "OPERATOR_IS_NULL")
        inside = [_compare("COMPARE_EQUAL", first, other) for other in others]
        found = True if True in inside else None if None in inside else False
        return found if kind == "COMPARE_IN" else None if found is None else not found


def _constant(literal: dict[str, Any]) -> Value:
    match literal["kind"]:
        case "STRING":
            return str(literal["text"])
        case "BOOLEAN":
            return bool(literal["text"] == "true")
        case "NULL_LITERAL":
            return None
    return float(literal["text"])


def _compare(kind: str, left: Any, right: Any) -> Value:
    if left is None or right is None:
        return None
    return bool(
        {
            "COMPARE_EQUAL": lambda: left == right,
            "COMPARE_NOTEQUAL": lambda: left != right,
            "COMPARE_LESSTHAN": lambda: left < right,
            "COMPARE_LESSTHANOREQUALTO": lambda: left <= right,
            "COMPARE_GREATERTHAN": lambda: left > right,
            "COMPARE_GREATERTHANOREQUALTO": lambda: left >= right,
        }[kind]()
    )


def _function(name: str, values: list[Any]) -> Value:
    if None in values:
        return None
    if name == "selected":
        return values[1] in values[0].split(" ")
    if len(values) == 1:
        return float(-values[0] if name == "-" else values[0])
    left, right = values
    if name == "/":
        return None if right == 0 else float(left / right)
    return float({"+": left + right, "-": left - right, "*": left * right}[name])


def counted(row: Row, share: Share, *, respondent: bool) -> bool | None:
    """In the numerator (True), in the denominator alone (False), left out (None)."""
    if row.holds(share.universe) is not True or (respondent and row.answers.get("is_respondent") != "yes"):
        return None
    answer = row.holds(share.numerator)
    if answer is not None:
        return bool(answer)
    kinds = []
    for name in parse(share.numerator).variables - set(row.parameters):
        value = row.value(name)
        if value is None:
            value = row.value(f"{name}_missing") if name in row.mappings.variables else None
            if value is None:
                return None
        if value in MISSING_KINDS:
            kinds.append(value)
    rules = {share.missing.get(kind) for kind in kinds}  # type: ignore[call-overload]
    return False if "not_in_numerator" in rules and "exclude" not in rules else None


def weight(row: Row, measure: Measure) -> float:
    """How much a row counts."""
    household = row.household or row
    times = {"household_size": "household_size", "respondent": "eligible_adults"}.get(measure.weight)
    amounts = [household.answers[name] for name in ("household_weight", times) if name]
    return math.prod(amount for amount in amounts if isinstance(amount, float))


@dataclass(frozen=True)
class Figure:
    """What a measure gives: rows in the denominator, rows in the numerator, and the share, between 0 and 1."""

    n: int
    n_numerator: int | None
    share: float | None


def figure(rows: list[Row], measure: Measure, iso3: str) -> Figure:
    """The figure of a measure over its rows; the share of a scale by the Rasch model is not computed here."""
    respondent = measure.unit == "respondent"
    if measure.rasch:
        asked = [r for r in rows if r.holds(measure.rasch.universe) is True]
        whole = [r for r in asked if all(r.value(item) in ("yes", "no") for item in measure.rasch.items)]
        return Figure(len(whole), None, None)
    if measure.score:
        return _score(rows, measure, iso3)
    columns = [[counted(row, share, respondent=respondent) for row in rows] for share in measure.shares]
    if measure.statistic == "composite":
        together = zip(*columns, strict=True)
        columns = [[None if None in each else all(each) for each in together]]
    shares = [_weighted(rows, column, measure) for column in columns]
    known = [any(answer is not None for answer in each) for each in zip(*columns, strict=True)]
    inside = [any(answer is True for answer in each) for each in zip(*columns, strict=True)]
    share = None if None in shares else sum(each for each in shares if each is not None) / len(shares)
    return Figure(sum(known), sum(inside) if len(columns) == 1 else None, share)


def _weighted(rows: list[Row], column: list[bool | None], measure: Measure) -> float | None:
    whole = sum(weight(row, measure) for row, answer in zip(rows, column, strict=True) if answer is not None)
    inside = sum(weight(row, measure) for row, answer in zip(rows, column, strict=True) if answer)
    return inside / whole if whole else None


def _score(rows: list[Row], measure: Measure, iso3: str) -> Figure:
    score = measure.score
    assert score is not None
    national = score.national[iso3]
    scores: list[float | None] = []
    for row in rows:
        deprived = {item: row.holds(score.items[item].deprived) for item in national.weights}
        known = row.holds(score.universe) is True and None not in deprived.values()
        scores.append(sum(national.weights[item] for item, each in deprived.items() if each) if known else None)
    poor: list[bool | None] = [None if each is None else each >= national.cutoff - 1e-9 for each in scores]
    if score.give == "headcount":
        return Figure(
            sum(each is not None for each in poor), sum(each is True for each in poor), _weighted(rows, poor, measure)
        )
    kept = [(row, each) for row, each, is_poor in zip(rows, scores, poor, strict=True) if is_poor and each is not None]
    whole = sum(weight(row, measure) for row, _ in kept)
    assert score.give == "intensity"
    mean = sum(weight(row, measure) * each for row, each in kept) / whole if whole else None
    return Figure(len(kept), len(kept), mean)
