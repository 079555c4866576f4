"""How far a citizen estimate may be compared with the official series: the class and the reason, by one rule.

Here: the rule for estimates from surveys. Not here: evidence (score cards, discussions and interviews are D, reviews E
by what they are: harmonisation/evidence.py) and what may stand on one line with an official figure (gaps).

The first line that holds decides:

| what is so | class |
|---|---|
| a component or proxy under its own code, not the series | C |
| the indicator file says that the definition is adapted, or a proxy | C |
| a column of the form says that it asks something else than the variable | C |
| somebody else answered what the person has to answer | C |
| wealth quintiles within a sample that is not national | C |
| the sample is no probability sample | B |
| more rows are in quarantine than the limit | B |
| none of these | A |

A is "same definition, representative of the stated area", B "same definition, a named group or a sample that stands for
its respondents only", C "another definition".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Letter = Literal["A", "B", "C"]
Match = Literal["exact", "adapted", "proxy", "component"]

SAMPLES = {
    "probability": "probability sample",
    "census": "every member of the group was asked, not a sample of the area",
    "open_call": "open call, respondents chose themselves",
}
"""Sampling method in words; others are a sample of named groups."""


@dataclass(frozen=True)
class Facts:
    """What the class depends on.

    match: `exact`, `adapted`, `proxy` or `component`, and `because`, what differs; asked_otherwise: variable
    and what the form asked instead; answered_by_others: questions that somebody else answered though the person has to;
    local_wealth: the stratum is a wealth quintile of a sample that is not national; quarantine_share: rows in
    quarantine over rows with consent.
    """

    match: Match
    because: str | None = None
    asked_otherwise: tuple[str, ...] = ()
    answered_by_others: tuple[str, ...] = ()
    local_wealth: bool = False
    sampling_method: str = "probability"
    quarantine_share: float = 0.0


def comparability(facts: Facts, quarantine_share_limit: float) -> tuple[Letter, str]:
    """The class of an estimate and why: the first line of the table above that holds."""
    sample = SAMPLES.get(facts.sampling_method, f"{facts.sampling_method} sample of named groups")
    adapted = "adapted definition"
    lines: list[tuple[bool, Letter, str]] = [
        (facts.match == "component", "C", f"component: {facts.because}"),
        (facts.match == "adapted", "C", f"{adapted}: {facts.because}"),
        (facts.match == "proxy", "C", f"proxy: {facts.because}"),
        (bool(facts.asked_otherwise), "C", f"adapted question {'; '.join(facts.asked_otherwise)}"),
        (
            bool(facts.answered_by_others),
            "C",
            f"{adapted}: answered by somebody else: {', '.join(facts.answered_by_others)}",
        ),
        (facts.local_wealth, "C", "wealth quintiles within a sample that is not national"),
        (facts.sampling_method != "probability", "B", f"same definition, {sample}"),
        (
            facts.quarantine_share > quarantine_share_limit,
            "B",
            f"same definition, but {facts.quarantine_share:.0%} of the rows are in quarantine",
        ),
        (True, "A", f"same definition, {sample}, representative of the stated area"),
    ]
    return next((letter, reason) for holds, letter, reason in lines if holds)
