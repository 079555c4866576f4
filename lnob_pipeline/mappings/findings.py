"""What the rules of the lint share: a finding and its place, and what can be wrong with an expression by itself.

Here: names, codes, types and units of the names in an expression. What an expression must be where it stands (a
numerator, a category of a breakdown) is said by the module of that file's rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from lnob_pipeline.mappings.derive import question_of, variable
from lnob_pipeline.mappings.expressions import Expression, ExpressionError, parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import MISSING_KINDS, VariableUnit

Path = tuple[str | int, ...]
Finding = tuple[str, Path, str]
"""File below the mapping folder, path of keys, what is wrong and how to mend it."""

Gives = Literal["condition", "number", "code", "anything"]


def listed(names: Collection[str]) -> str:
    """Names in order, with commas."""
    return ", ".join(sorted(names))


def checked(
    text: str,
    file: str,
    where: Path,
    mappings: Mappings,
    *,
    units: Collection[VariableUnit],
    gives: Gives,
    about: str,
    missing_codes: bool = False,
) -> Iterator[Finding | Expression]:
    """The parsed expression and whatever is wrong with it by itself.

    units: whose variables it may name. gives: what it must give. about: who that is, in words. missing_codes: whether
    it may name dont_know and its like, as derived variables do.
    """
    try:
        expression = parse(text)
    except ExpressionError as error:
        yield file, where, f"the expression {error}"
        return
    sentences = [*_names(expression, mappings, units, about), *_types(expression, mappings)]
    sentences += _selections(expression, mappings)
    sentences += _codes(expression, mappings, missing_codes=missing_codes)
    if sentence := _kind(expression, mappings, gives):
        sentences.append(sentence)
    yield from ((file, where, sentence) for sentence in sentences)
    yield expression


def _names(expression: Expression, mappings: Mappings, units: Collection[VariableUnit], about: str) -> Iterator[str]:
    for name in sorted(expression.variables):
        if name in mappings.parameters:
            continue
        found = variable(question_of(name, mappings), mappings)
        if found is None:
            yield f"{name} is no variable of the question bank and no parameter of countries.yaml"
        elif found.unit not in units:
            hint = "; make a variable of the household with members" if units == ("household",) else ""
            yield f"{name} is a variable of the {found.unit}, and this is about {about}{hint}"


def _is_number(name: str, mappings: Mappings) -> bool:
    found = variable(name, mappings)
    return name in mappings.parameters or (found is not None and found.type == "number")


def _types(expression: Expression, mappings: Mappings) -> Iterator[str]:
    known = {name for name in expression.variables if question_of(name, mappings) != name or variable(name, mappings)}
    for name in sorted(expression.numbers & known):
        if not _is_number(name, mappings):
            yield f"{name} is no number; compare it with its codes, in quotes"
    for name, code in sorted(expression.comparisons | expression.selections):
        if _is_number(name, mappings):
            yield f"{name} is a number; compare it with a number, not with '{code}'"
    for one, other in sorted(expression.together):
        if one < other and {one, other} <= known and _is_number(one, mappings) != _is_number(other, mappings):
            yield f"{one} and {other} cannot be compared: one is a number, the other is not"


def _selections(expression: Expression, mappings: Mappings) -> Iterator[str]:
    """One code is compared, several are searched: the other way round an answer is never met."""
    several = {name for name, found in mappings.variables.items() if found.type == "codes"}
    for name, code in sorted(expression.comparisons):
        if name in several and code not in MISSING_KINDS:
            yield f"{name} takes several codes: write selected({name}, '{code}')"
    for name, code in sorted(expression.selections):
        if name not in several and variable(name, mappings) is not None:
            yield f"{name} takes one code: write {name} = '{code}'"


def _codes(expression: Expression, mappings: Mappings, *, missing_codes: bool) -> Iterator[str]:
    for name, code in sorted(expression.comparisons | expression.selections):
        coded = variable(name, mappings)
        codes = mappings.codes(name) if coded is not None else {}
        if question_of(name, mappings) != name and code not in MISSING_KINDS:
            yield f"{name} has no code '{code}'; it has {', '.join(MISSING_KINDS)}"
        elif codes and code not in {*codes, *MISSING_KINDS}:
            yield f"{name} has no code '{code}'; it has {', '.join(codes)}"
        elif code in MISSING_KINDS and not missing_codes:
            yield f"'{code}' counts as unknown here and is never met; say in `missing` what such an answer does"


def _kind(expression: Expression, mappings: Mappings, gives: Gives) -> str | None:
    if gives == "anything" or expression.kind == "null":
        return None
    kind: str = expression.kind
    if kind == "name":
        (name,) = expression.variables
        kind = "number" if _is_number(name, mappings) else "code"
    kind = "code" if kind == "text" else kind
    if kind == gives:
        return None
    wanted = {"condition": "a condition, true or false", "number": "a number", "code": "one of the codes"}[gives]
    return f"the expression gives a {kind}; here it must give {wanted}"
