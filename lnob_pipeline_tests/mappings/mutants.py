"""Small mistakes in expressions and measures, made by rule: what a slip of the hand does to a mapping.

Used by test_slips.py: the known answers of an indicator should come out differently for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lnob_pipeline.mappings.models import MISSING_KINDS, Measure

CODE = r"'(?:[^']|'')*'"
CODES = re.compile(rf"\bIN \(({CODE}(?:, ?\s*{CODE})+)\)")
NUMBER = re.compile(r"(?<![\w'.])\d+(?![\w'.])")
ORDER = re.compile(r"<=|>=|(?<![<>=])<(?![=>])|(?<![<>=])>(?![=])")


def outside_quotes(text: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    quotes = [(found.start(), found.end()) for found in re.finditer(CODE, text)]
    for found in pattern.finditer(text):
        if not any(start <= found.start() < end for start, end in quotes):
            yield found


def replaced(text: str, found: re.Match[str], by: str) -> str:
    return text[: found.start()] + by + text[found.end() :]


def slips(text: str) -> Iterator[tuple[str, str]]:
    """(Kind of slip, the text with it): thresholds, strictness, codes left out."""
    for found in outside_quotes(text, NUMBER):
        for step in (-1, 1):
            if int(found[0]) + step >= 0:
                yield "threshold", replaced(text, found, str(int(found[0]) + step))
    for found in outside_quotes(text, ORDER):
        other = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[found[0]]
        yield "strictness", replaced(text, found, other)
    for found in CODES.finditer(text):
        codes = re.findall(CODE, found[1])
        for code in codes:
            rest = ", ".join(other for other in codes if other != code)
            kind = "missing code left out" if code.strip("'") in MISSING_KINDS else "code left out"
            yield kind, text[: found.start(1)] + rest + text[found.end(1) :]


def of_measure(measure: Measure) -> Iterator[tuple[str, Measure]]:
    """(Kind of slip, a measure with it)."""
    plain = measure.model_dump()
    for path, value in leaves(plain):
        key = path[-1]
        if key == "universe":
            if value != "TRUE":
                yield "universe", changed(measure, path, "TRUE")
            yield from ((kind, changed(measure, path, text)) for kind, text in slips(value))
        elif key in ("numerator", "deprived"):
            yield "polarity", changed(measure, path, f"NOT ({value})")
            yield from ((kind, changed(measure, path, text)) for kind, text in slips(value))
        elif key == "value":
            yield "value", changed(measure, path, f"({value}) + 1")
        elif path[-2:-1] == ("missing",) and key in ("dont_know", "refused"):
            other = {"exclude": "not_in_numerator", "not_in_numerator": "exclude"}[value]
            yield f"missing rule of {key}", changed(measure, path, other)


def leaves(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(part, dict):
        for key, inner in part.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(part, list):
        for place, inner in enumerate(part):
            yield from leaves(inner, (*path, place))
    elif isinstance(part, str):
        yield path, part


def changed(measure: Measure, path: tuple[Any, ...], value: str) -> Measure:
    plain = measure.model_dump()
    part: Any = plain
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    if measure.statistic == "composite" and path[-1] == "universe":
        for share in plain["shares"]:
            share["universe"] = value
    return Measure.model_validate(plain)
