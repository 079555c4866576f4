"""A form filled in at random: rows read from the workbook, its skips and limits followed, its export as Kobo has it.

Nothing here knows the question bank or the mapping: the answers come from the XLSForm alone, as an interviewer's would.
"""

from __future__ import annotations

import functools
import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np
import polars as pl

from data.make_samples import files, kobo

MISSING = ("dont_know", "refused")
SENTINELS = ("-88", "-99")
Row = dict[str, str]
Answers = dict[str, str]


class Text:
    """A value as XPath 1.0 compares it: as numbers where one side is a number or the sign is an order, else as text."""

    def __init__(self, value: str | float) -> None:
        self.value = value

    @property
    def number(self) -> float:
        try:
            return float(self.value)
        except ValueError:
            return float("nan")

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Text)
        if isinstance(self.value, float) or isinstance(other.value, float):
            return self.number == other.number
        return self.value == other.value

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # compared only, and equality is not transitive here

    def __ge__(self, other: Text) -> bool:
        return self.number >= other.number

    def __le__(self, other: Text) -> bool:
        return self.number <= other.number

    def __gt__(self, other: Text) -> bool:
        return self.number > other.number

    def __lt__(self, other: Text) -> bool:
        return self.number < other.number

    def __neg__(self) -> Text:
        return Text(-self.number)

    def __mod__(self, other: Text) -> Text:
        return Text(self.number % other.number)

    def __mul__(self, other: Text) -> Text:
        return Text(self.number * other.number)

    def __add__(self, other: Text) -> Text:
        return Text(self.number + other.number)


TOKENS = re.compile(
    r"(?P<repeat>(?:sum|min|indexed-repeat)\(\$\{(\w+)\}(?:, \$\{\w+\})?)|(?P<name>\$\{(\w+)\})|(?P<text>'[^']*')"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<place>position\(\.\.\))|(?P<dot>\.)|(?P<word>[a-z-]+)|(?P<sign>!=|>=|<=|=)"
)
WORDS = {
    "=": "==",
    "mod": "%",
    "if": "if_",
    "count-selected": "count_selected",
    "int": "whole",
    "true": "true_",
    "false": "false_",
}


def to_python(xpath: str) -> str:
    """XPath of an XLSForm as a Python expression over the functions of `Interview.evaluate`."""

    def one(found: re.Match[str]) -> str:
        text = found.group()
        written = WORDS.get(text, text)
        if found["repeat"]:
            written = f"{text.split('(')[0].replace('-', '_')}({found[2]!r}"
        elif found["name"]:
            written = f"value({found[4]!r})"
        elif found["text"]:
            written = f"Text({text})"
        elif found["number"]:
            written = f"Text({float(text)!r})"
        elif found["place"] or found["dot"]:
            written = "position()" if found["place"] else "value('.')"
        return written

    return TOKENS.sub(one, xpath)


@functools.cache
def compiled(xpath: str) -> CodeType:
    """An expression of the form, ready to be evaluated for many households."""
    return compile(to_python(xpath), "form", "eval")


@dataclass(repr=False)
class Interview:
    """One household: the answers of the main sheet and of each member."""

    draw: random.Random
    main: Answers = field(default_factory=dict)
    members: list[Answers] = field(default_factory=list)

    def evaluate(self, xpath: str, member: int | None = None, own: str = "") -> Any:
        """The value of an expression, seen from the main sheet or from a member (from 0)."""
        here = self.main if member is None else self.members[member]

        def value(name: str) -> Text:
            return Text(own if name == "." else here.get(name, self.main.get(name, "")))

        names: dict[str, Callable[..., Any] | type] = {
            "Text": Text,
            "value": value,
            "selected": lambda chosen, code: code.value in str(chosen.value).split(),
            "count_selected": lambda chosen: Text(float(len(str(chosen.value).split()))),
            "if_": lambda condition, yes, no: yes if condition else no,
            "once": lambda inner: inner,
            "random": lambda: Text(self.draw.random()),
            "whole": lambda inner: Text(float(int(inner.number))),
            "position": lambda: Text(float((member or 0) + 1)),
            "sum": lambda name: Text(float(sum(Text(each.get(name, "")).number for each in self.members))),
            "min": lambda name: Text(min(Text(each.get(name, "")).number for each in self.members)),
            "indexed_repeat": lambda name, place: Text(self.members[int(place.number) - 1].get(name, "")),
            "true_": lambda: True,
            "false_": lambda: False,
        }
        return eval(compiled(xpath), {"__builtins__": {}}, names)  # the form was made by the code under test


def written(value: Any) -> str:
    """A calculated value as an export writes it."""
    if isinstance(value, Text):
        return f"{value.value:g}" if isinstance(value.value, float) and value.value < 1e5 else _plain(value.value)
    return str(value)


def _plain(value: str | float) -> str:
    return str(int(value)) if isinstance(value, float) else value


@dataclass
class Sheet:
    """The survey sheet as a tree is not needed: skips of groups are kept in a list while their rows are walked."""

    survey: list[Row]
    choices: dict[str, list[str]]
    title: str
    version: str

    @classmethod
    def read(cls, content: bytes) -> Sheet:
        """The XLSForm of a workbook."""
        found = pl.read_excel(io.BytesIO(content), sheet_id=0, infer_schema_length=0)
        rows = {name: [{k: v or "" for k, v in row.items()} for row in found[name].to_dicts()] for name in found}
        choices: dict[str, list[str]] = {}
        for row in rows["choices"]:
            choices.setdefault(row["list_name"], []).append(row["name"])
        settings = rows["settings"][0]
        return cls(rows["survey"], choices, settings["form_title"], settings["version"])

    def fill(self, draw: random.Random) -> Interview:
        """One interview."""
        interview = Interview(draw)
        begin = next(n for n, row in enumerate(self.survey) if row["type"] == "begin_repeat")
        end = next(n for n, row in enumerate(self.survey) if row["type"] == "end_repeat")
        hidden = self.walk(self.survey[:begin], interview, None, 0)
        size = interview.main.get("household_size", "")
        for number in range(int(size) if not hidden else 0):
            interview.members.append({})
            self.walk(self.survey[begin + 1 : end], interview, number, 0)
        self.walk(self.survey[end + 1 :], interview, None, hidden)
        for number, member in enumerate(interview.members):  # what waits for the end of the roster
            for row in self.survey[begin:end]:
                if row["type"] == "calculate" and "least_draw" in row["calculation"]:
                    member[row["name"]] = written(interview.evaluate(row["calculation"], number))
        return interview

    def walk(self, rows: list[Row], interview: Interview, member: int | None, hidden: int) -> int:
        """Answer the rows in order; returns how many groups stay closed at the end."""
        target = interview.main if member is None else interview.members[member]
        for row in rows:
            kind = row["type"].split()[0]
            shown = not row["relevant"] or bool(interview.evaluate(row["relevant"], member))
            if kind == "begin_group":
                hidden += 1 if hidden or not shown else 0
            elif kind == "end_group":
                hidden -= 1 if hidden else 0
            elif hidden or not shown or kind == "note":
                continue
            elif kind == "calculate":
                if "least_draw" not in row["calculation"] or member is None:
                    target[row["name"]] = written(interview.evaluate(row["calculation"], member))
            else:
                answer = self.answer(kind, row, interview.draw)
                if answer and row["constraint"]:
                    assert interview.evaluate(row["constraint"], member, answer), (row["name"], answer)
                target[row["name"]] = answer
        return hidden

    def answer(self, kind: str, row: Row, draw: random.Random) -> str:
        """An answer at random: now and then don't know, refused or nothing at all where the form allows it."""
        if row["required"] != "yes" and draw.random() < 0.03:
            return ""
        if kind.startswith("select"):
            return self.choice(kind, row, draw)
        if kind not in ("integer", "decimal"):
            return {"today": f"2019-03-{draw.randint(4, 28):02}", "text": "A"}[kind]
        low, high = (int(re.findall(rf"\. {sign} (-?\d+)", row["constraint"])[0]) for sign in (">=", "<="))
        if SENTINELS[0] in row["constraint"] and draw.random() < 0.04:
            return draw.choice(SENTINELS)
        small = [6] if row["name"] == "household_size" else [low + 5, low + 30, low + 75]
        return str(draw.randint(low, min(high, draw.choice(small))))

    def choice(self, kind: str, row: Row, draw: random.Random) -> str:
        """One code or several; none stands alone."""
        codes = self.choices[row["type"].split()[1]]
        own = [code for code in codes if code not in MISSING]
        if len(own) < len(codes) and draw.random() < 0.04:
            return draw.choice(MISSING)
        if kind == "select_one":
            likely = row["name"] == "consent" or row["name"].startswith("privacy")
            return "yes" if likely and draw.random() < 0.9 else draw.choice(own)
        if "none" in own and draw.random() < 0.3:
            return "none"
        some = [code for code in own if code != "none"]
        chosen = draw.sample(some, min(len(some), draw.randint(1, 3)))
        return " ".join(code for code in some if code in chosen)


def export(
    sheet: Sheet, interviews: list[Interview], main_extra: dict[str, list[str]], member_extra: dict[str, list[str]]
) -> bytes:
    """The workbook of the export; `..._extra` are the columns that the producer adds to the sheets."""
    begin = next(n for n, row in enumerate(sheet.survey) if row["type"] == "begin_repeat")
    end = next(n for n, row in enumerate(sheet.survey) if row["type"] == "end_repeat")
    n = len(interviews)
    rng = np.random.default_rng(7)
    main = _columns(sheet, [*sheet.survey[:begin], *sheet.survey[end:]], [each.main for each in interviews])
    times = ["2019-03-30T10:00:00"] * n
    main |= kobo.system_columns(rng, n, times, ["interviewer"] * n, sheet.version) | main_extra
    people = [(place, member) for place, each in enumerate(interviews) for member in each.members]
    roster = _columns(sheet, sheet.survey[begin:end], [member for _, member in people])
    roster |= kobo.repeat_columns(main, sheet.title, [place for place, _ in people]) | member_extra
    frames = {}
    for name, table in ((sheet.title, main), ("roster", roster)):
        texts = {key: [None if cell in ("", None) else str(cell) for cell in cells] for key, cells in table.items()}
        frames[name] = pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String))
    return files.tables_workbook(frames)


def _columns(sheet: Sheet, rows: list[Row], answers: list[Answers]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for row in rows:
        kind = row["type"].split()[0]
        if kind.startswith(("begin", "end")) or kind == "note":
            continue
        cells = [each.get(row["name"]) for each in answers]
        if kind == "select_multiple":
            joined = np.array([cell or None for cell in cells], dtype=object)
            columns |= kobo.select_multiple(row["name"], joined, sheet.choices[row["type"].split()[1]])
        else:
            columns[row["name"]] = cells
    return columns
