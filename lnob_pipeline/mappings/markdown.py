"""Plain Markdown as code hosts show it: escaping, tables, lists, links, and the anchors of headings.

Here: text that holds for every generated page. What the pages say is in page_of_indicator.py and page_of_variable.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

INLINE_CODE = 110
"""Longer expressions stand in a block of their own."""


def plain(text: str) -> str:
    """Text of a mapping file that must not be taken for Markdown or HTML."""
    return re.sub(r"([\\`*|\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """A word or an expression as it is written, also inside a table."""
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`"


def written(expression: str, indent: str) -> list[str]:
    """An expression as it is written, below a list item: one line of code, or a block."""
    if len(" ".join(expression.split())) <= INLINE_CODE:
        return [f"{indent}{code(expression)}"]
    lines = expression.strip("\n").splitlines()
    return ["", f"{indent}```sql", *(f"{indent}{line.rstrip()}" for line in lines), f"{indent}```"]


def link(text: str, target: str) -> str:
    """A relative link."""
    return f"[{text}]({target})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table and the empty line after it; nothing where there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *lines, ""] if lines else []


def facts(rows: Iterable[tuple[str, str]]) -> list[str]:
    """What something is, name by name, and the empty line after it."""
    return [*(f"- **{name}**: {said}" for name, said in rows), ""]


def listed(items: Sequence[str], last: str = "or") -> str:
    """a, b or c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def anchors(page: str) -> set[str]:
    """The anchors of the headings of a page, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def targets(page: str) -> list[str]:
    """The targets of the links of a page; what stands in code is none."""
    text = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<!\\)\]\(([^)\s]+)\)", text)
