"""The states of a version of a hand-in, and which may follow which: data that receive.py and ledger.py obey.

Here belongs the state machine alone. Stage 1 writes received, unreadable, withdrawn and superseded; stage 2 decides on
what was received. A version is never removed: what comes after it supersedes it, and that is the end of it. The same
content handed in again later is a new row that starts anew.

    received ── stage 2 ──> accepted, accepted_with_flags, waiting_for_review, rejected
                            (each can become each other: rules, mappings or a reviewer's decision have changed)
    received and decided ── newer usable hand-in, or withdrawal ──> superseded
    withdrawn ── handed in again ──> superseded
    unreadable ── any newer hand-in ──> superseded (an unreadable one leaves everything else as it is)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACCEPTED: Final = ("accepted", "accepted_with_flags")
DECISIONS: Final = (*ACCEPTED, "waiting_for_review", "rejected")
"""What stage 2 says of a version."""

ENTRY: Final = frozenset({"received", "unreadable", "withdrawn"})
"""What a version starts as."""

_DECIDED: Final = frozenset({*DECISIONS, "superseded"})
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "received": _DECIDED,
    "accepted": _DECIDED - {"accepted"},
    "accepted_with_flags": _DECIDED - {"accepted_with_flags"},
    "waiting_for_review": _DECIDED - {"waiting_for_review"},
    "rejected": _DECIDED - {"rejected"},
    "unreadable": frozenset({"superseded"}),
    "withdrawn": frozenset({"superseded"}),
    "superseded": frozenset(),
}
"""State of a version -> the states that may follow."""

SUPERSEDES: Final[Mapping[str, frozenset[str]]] = {
    "received": frozenset({"received", "unreadable", "withdrawn"}),
    "withdrawn": frozenset({"received", "unreadable", "withdrawn"}),
    "unreadable": frozenset({"unreadable"}),
}
"""State of a newer hand-in -> the states of stage 1 that end with it."""
