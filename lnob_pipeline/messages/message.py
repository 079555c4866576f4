"""A message: a constant English template and what fills it, kept apart so that it can be said in any language.

Here belongs the pair and how it is kept in a table (JSON). Which languages there are is in catalogue.py; the sentences
stand where they are used (validation/rules.py, the readers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """A template with {names}, and what fills them: numbers, names of columns, or messages. str() is the English."""

    template: str
    details: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format_map(dict(self.details))


def to_json(details: Mapping[str, object]) -> str:
    """Details as one line of JSON; a message within them stays a message, all else becomes a number or text."""
    return json.dumps(details, default=_plain, sort_keys=True, ensure_ascii=False)


def from_json(text: str | None) -> dict[str, object]:
    """The details that to_json wrote."""
    details: dict[str, object] = json.loads(text or "{}", object_hook=_message)
    return details


def _plain(value: object) -> Any:
    return {"message": value.template, "details": value.details} if isinstance(value, Message) else str(value)


def _message(value: dict[str, Any]) -> Any:
    return Message(value["message"], value["details"]) if value.keys() == {"message", "details"} else value
