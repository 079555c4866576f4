"""The expressions of a form (XPath as XLSForm uses it) as Polars expressions: a small, closed language.

Here belong reading one expression and what each operator and function means. Nothing that comes with a hand-in is ever
run: a text is cut into words, each word is one of those listed here, and anything else ends in NotReplayedError, with
the reason. Which question stands in which column is in form_logic.py. Source: ODK XForms specification, chapter XPath.

An unanswered question is null here and the empty text there: equal to '', unequal to everything else, and no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from lnob_pipeline.validation.normalise import ascii_digits

Kind = Literal["text", "number", "date", "truth"]
MOST_LETTERS, MOST_WORDS, MOST_NESTED, MOST_PATTERN = 2_000, 400, 40, 300
"""Limits of one expression, and of the letters of a pattern in it."""
WORD = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\$\{\s*(?P<question>[^}\s]+)\s*\}"
    r"|(?P<sign><=|>=|!=|[=<>+*(),-])|(?P<name>[A-Za-z][\w-]*)|(?P<this>\.(?![.\w])))"
)


class NotReplayedError(ValueError):
    """An expression, or a part of it, that this language does not have. Says which in words."""


@dataclass(frozen=True)
class Value:
    """A part of an expression. date: days since 1970-01-01, as a number. literal: the text, where it was written so."""

    kind: Kind
    expression: pl.Expr
    literal: str | None = None


@dataclass(frozen=True)
class Setting:
    """What an expression may speak of: questions by name, the question itself, and the day of the interview."""

    questions: Mapping[str, Value]
    this: Value | None = None
    today: Value | None = None
    used: set[str] = field(default_factory=set)
    """Filled while reading: the questions that were named."""


def condition(text: str, setting: Setting) -> pl.Expr:
    """The expression as a condition that is true or false for every row, never null. Raises NotReplayedError."""
    reader = _Reader(_words(text), setting)
    value = reader.either(0)
    if reader.place < len(reader.words):
        raise NotReplayedError("something follows the end of the expression")
    return truth(value)


def truth(value: Value) -> pl.Expr:
    """Whether a value counts as true."""
    if value.kind == "truth":
        return value.expression
    if value.kind == "text":
        return value.expression.fill_null("") != ""
    return (value.expression != 0).fill_null(False)


def number(value: Value) -> pl.Expr:
    """A value as a number; null where it is none."""
    if value.kind == "text":
        return ascii_digits(value.expression).str.strip_chars().cast(pl.Float64, strict=False)
    return value.expression.cast(pl.Float64)


def text_of(value: Value) -> pl.Expr:
    """A value as text; the empty text for no answer."""
    if value.kind == "text":
        return value.expression.fill_null("")
    if value.kind == "date":
        return pl.from_epoch(value.expression.cast(pl.Int64), "d").dt.to_string("%Y-%m-%d").fill_null("")
    if value.kind == "truth":
        return pl.when(value.expression).then(pl.lit("true")).otherwise(pl.lit("false"))
    whole = value.expression == value.expression.floor()
    short = value.expression.cast(pl.Int64, strict=False).cast(pl.String)
    return pl.when(whole).then(short).otherwise(value.expression.cast(pl.String)).fill_null("")


def days(value: Value) -> pl.Expr:
    """A value as days since 1970-01-01; a text is read year first."""
    if value.kind != "text":
        return value.expression.cast(pl.Float64)
    day = ascii_digits(value.expression).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return day.cast(pl.Int32).cast(pl.Float64)


def _words(text: str) -> list[tuple[str, str]]:
    """The words of an expression as (kind, text)."""
    if len(text) > MOST_LETTERS:
        raise NotReplayedError("the expression is too long")
    words, place = [], 0
    text = text.strip()
    while place < len(text):
        found = WORD.match(text, place)
        if found is None or found.lastgroup is None:
            raise NotReplayedError("a sign that is not known here")
        words.append((found.lastgroup, found.group(found.lastgroup)))
        place = found.end()
    if len(words) > MOST_WORDS:
        raise NotReplayedError("the expression has too many parts")
    return words


class _Reader:
    """Reads the words from left to right; each method is a level of binding, the loosest first."""

    def __init__(self, words: list[tuple[str, str]], setting: Setting) -> None:
        self.words, self.setting, self.place = words, setting, 0

    def peek(self) -> tuple[str, str]:
        return self.words[self.place] if self.place < len(self.words) else ("end", "")

    def take(self, *allowed: tuple[str, str]) -> str | None:
        """The next word if it is one of those allowed."""
        if self.peek() in allowed:
            self.place += 1
            return self.words[self.place - 1][1]
        return None

    def either(self, depth: int) -> Value:
        if depth > MOST_NESTED:
            raise NotReplayedError("the expression is nested too deep")
        value = self.both(depth)
        while self.take(("name", "or")):
            value = Value("truth", truth(value) | truth(self.both(depth)))
        return value

    def both(self, depth: int) -> Value:
        value = self.equal(depth)
        while self.take(("name", "and")):
            value = Value("truth", truth(value) & truth(self.equal(depth)))
        return value

    def equal(self, depth: int) -> Value:
        value = self.ordered(depth)
        while sign := self.take(("sign", "="), ("sign", "!=")):
            same = _equal(value, self.ordered(depth))
            value = Value("truth", same if sign == "=" else ~same)
        return value

    def ordered(self, depth: int) -> Value:
        value = self.sum(depth)
        while sign := self.take(*(("sign", each) for each in ORDERS)):
            other = self.sum(depth)
            read = days if "date" in (value.kind, other.kind) else number
            value = Value("truth", ORDERS[sign](read(value), read(other)).fill_null(False))
        return value

    def sum(self, depth: int) -> Value:
        value = self.product(depth)
        while sign := self.take(("sign", "+"), ("sign", "-")):
            other = self.product(depth)
            kind: Kind = "date" if (value.kind == "date") != (other.kind == "date") else "number"
            left, right = number(value), number(other)
            value = Value(kind, left + right if sign == "+" else left - right)
        return value

    def product(self, depth: int) -> Value:
        value = self.signed(depth)
        while sign := self.take(("sign", "*"), ("name", "div"), ("name", "mod")):
            left, right = number(value), number(self.signed(depth))
            value = Value("number", {"*": left * right, "div": left / right, "mod": left % right}[sign])
        return value

    def signed(self, depth: int) -> Value:
        if self.take(("sign", "-")):
            if depth > MOST_NESTED:
                raise NotReplayedError("the expression is nested too deep")
            return Value("number", -number(self.signed(depth + 1)))
        return self.part(depth)

    def part(self, depth: int) -> Value:
        kind, text = self.peek()
        self.place += 1
        if kind == "number":
            return Value("number", pl.lit(float(text)))
        if kind in ("single", "double"):
            return Value("text", pl.lit(text), text)
        if kind == "question":
            self.setting.used.add(text)
            if text not in self.setting.questions:
                raise NotReplayedError("a question that is not in the data")
            return self.setting.questions[text]
        if kind == "this" and self.setting.this is not None:
            return self.setting.this
        if (kind, text) == ("sign", "("):
            value = self.either(depth + 1)
            self.expect(")")
            return value
        if kind == "name" and self.take(("sign", "(")):
            return self.call(text, depth)
        raise NotReplayedError("a part that is not known here")

    def expect(self, sign: str) -> None:
        if self.take(("sign", sign)) is None:
            raise NotReplayedError("the expression does not end as it should")

    def call(self, name: str, depth: int) -> Value:
        arguments: list[Value] = []
        if not self.take(("sign", ")")):
            arguments.append(self.either(depth + 1))
            while self.take(("sign", ",")):
                arguments.append(self.either(depth + 1))
            self.expect(")")
        if name in ("today", "now") and not arguments and self.setting.today is not None:
            return self.setting.today
        if (name, len(arguments)) not in FUNCTIONS:
            known = {each for each, _ in FUNCTIONS} | OUTSIDE
            raise NotReplayedError(f"the function {name}" if name in known else "a function that is not known here")
        return FUNCTIONS[name, len(arguments)](*arguments)


ORDERS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _equal(a: Value, b: Value) -> pl.Expr:
    """Whether two values are equal; nothing is equal to no number, and no answer is equal to ''."""
    for one, other in ((a, b), (b, a)):
        if other.literal == "":
            return ~truth(one) if one.kind == "text" else one.expression.is_null()
    if "truth" in (a.kind, b.kind):
        return truth(a) == truth(b)
    if "date" in (a.kind, b.kind):
        return (days(a) == days(b)).fill_null(False)
    if "number" in (a.kind, b.kind):
        return (number(a) == number(b)).fill_null(False)
    return text_of(a) == text_of(b)


def _selected(several: Value, code: Value) -> Value:
    padded = pl.concat_str([pl.lit(" "), text_of(several), pl.lit(" ")])
    return Value("truth", padded.str.contains(pl.concat_str([pl.lit(" "), text_of(code), pl.lit(" ")]), literal=True))


def _regex(value: Value, pattern: Value) -> Value:
    """Whether the whole text matches. The engine needs time in proportion to the text, whatever the pattern."""
    if pattern.literal is None or len(pattern.literal) > MOST_PATTERN:
        raise NotReplayedError("a pattern that is not written out, or is too long")
    whole = f"^(?:{pattern.literal})$"
    try:
        pl.Series([""]).str.contains(whole)
    except pl.exceptions.PolarsError:
        raise NotReplayedError("a pattern that is not known here") from None
    return Value("truth", text_of(value).str.contains(whole))


def _coalesce(a: Value, b: Value) -> Value:
    if a.kind == b.kind != "text":
        return Value(a.kind, pl.coalesce(a.expression, b.expression))
    return Value("text", pl.when(text_of(a) != "").then(text_of(a)).otherwise(text_of(b)))


def _if(test: Value, then: Value, otherwise: Value) -> Value:
    if then.kind == otherwise.kind:
        return Value(then.kind, pl.when(truth(test)).then(then.expression).otherwise(otherwise.expression))
    return Value("text", pl.when(truth(test)).then(text_of(then)).otherwise(text_of(otherwise)))


def _number(expression: Callable[[pl.Expr], pl.Expr]) -> Callable[[Value], Value]:
    return lambda value: Value("number", expression(number(value)))


FUNCTIONS: dict[tuple[str, int], Callable[..., Value]] = {
    ("true", 0): lambda: Value("truth", pl.lit(True)),
    ("false", 0): lambda: Value("truth", pl.lit(False)),
    ("not", 1): lambda a: Value("truth", ~truth(a)),
    ("boolean", 1): lambda a: Value("truth", truth(a)),
    ("selected", 2): _selected,
    ("count-selected", 1): lambda a: Value("number", text_of(a).str.count_matches(r"\S+").cast(pl.Float64)),
    ("coalesce", 2): _coalesce,
    ("if", 3): _if,
    ("regex", 2): _regex,
    ("string", 1): lambda a: Value("text", text_of(a)),
    ("string-length", 1): lambda a: Value("number", text_of(a).str.len_chars().cast(pl.Float64)),
    ("concat", 2): lambda a, b: Value("text", pl.concat_str([text_of(a), text_of(b)])),
    ("contains", 2): lambda a, b: Value("truth", text_of(a).str.contains(text_of(b), literal=True)),
    ("starts-with", 2): lambda a, b: Value("truth", text_of(a).str.starts_with(text_of(b))),
    ("ends-with", 2): lambda a, b: Value("truth", text_of(a).str.ends_with(text_of(b))),
    ("number", 1): _number(lambda n: n),
    ("int", 1): _number(lambda n: pl.when(n < 0).then(n.ceil()).otherwise(n.floor())),
    ("round", 1): _number(lambda n: (n + 0.5).floor()),
    ("abs", 1): _number(lambda n: n.abs()),
    ("pow", 2): lambda a, b: Value("number", number(a) ** number(b)),
    ("min", 2): lambda a, b: Value("number", pl.min_horizontal(number(a), number(b))),
    ("max", 2): lambda a, b: Value("number", pl.max_horizontal(number(a), number(b))),
    ("date", 1): lambda a: Value("date", days(a)),
    ("date-time", 1): lambda a: Value("date", days(a)),
    ("decimal-date-time", 1): lambda a: Value("number", days(a)),
}
"""Name and number of parts -> meaning."""
OUTSIDE = {
    "count", "count-non-empty", "format-date", "format-date-time", "indexed-repeat", "instance", "normalize-space",
    "once", "position", "pulldata", "random", "search", "selected-at", "substr", "substring-after", "substring-before",
    "sum", "translate", "uuid", "version",
}  # fmt: skip
"""Functions of forms that are not replayed, and whose names a message may repeat."""
