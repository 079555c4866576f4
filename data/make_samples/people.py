"""Draws that all samples share: households and their members, functioning, answers with missing ones among them.

Every function takes the generator first. Arrays of one household or person each; probabilities between 0 and 1. The
effects are set by hand to look like surveys of low-income settings; they are estimates of nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Generator = np.random.Generator
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Texts = NDArray[np.object_]

DOMAINS = ("seeing", "hearing", "walking", "remembering", "self_care", "communicating")


def logistic(value: Floats) -> Floats:
    """Log odds to probability."""
    return 1 / (1 + np.exp(-value))


def chance(rng: Generator, probability: Floats | float, n: int | None = None) -> Booleans:
    """True with the given probability, one draw a row."""
    size = len(probability) if n is None and not isinstance(probability, float) else n
    return rng.random(size) < probability


def choose(rng: Generator, options: Sequence[str], weights: Floats | Sequence[float], n: int) -> Texts:
    """One option a row; `weights` are one list for all rows or one row of weights each."""
    table = np.broadcast_to(np.asarray(weights, dtype=float), (n, len(options)))
    edges = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)
    place = (rng.random(n)[:, None] > edges[:, :-1]).sum(axis=1)
    return np.asarray(options, dtype=object)[place]


def blank(values: Texts, keep: Booleans) -> Texts:
    """The values where `keep` holds, nothing elsewhere: a question that was skipped."""
    return np.where(keep, values, None)


def some_missing(rng: Generator, values: Texts, shares: Mapping[str, float]) -> Texts:
    """Some of the answers replaced by missing codes: {"8": 0.02} turns two in a hundred into 8."""
    out = values.copy()
    for code, share in shares.items():
        hit = chance(rng, share, len(out)) & np.array([value is not None for value in out])
        out[hit] = code
    return out


def likert(rng: Generator, favour: Floats, codes: Sequence[str]) -> Texts:
    """One of four answers, best first, around a latent favour (0 is even)."""
    latent = favour + rng.logistic(size=len(favour))
    place = np.digitize(-latent, [-1.6, 0.0, 1.6])
    return np.array(list(codes), dtype=object)[place]


def identifiers(rng: Generator, n: int) -> list[str]:
    """Random identifiers in the form of UUID version 4."""
    return [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)]


def phones(rng: Generator, prefix: str, digits: int, n: int) -> list[str]:
    """Telephone numbers of one block: the prefix and the last digits."""
    return [f"{prefix}{number:0{digits}d}" for number in rng.integers(0, 10**digits, n)]


def names(rng: Generator, given: Sequence[str], example: str, n: int) -> list[str]:
    """A given name, the word for "example", and a number: nobody's name."""
    return [
        f"{given[i]} {example} {number:04d}"
        for i, number in zip(rng.integers(0, len(given), n), range(1, n + 1), strict=True)
    ]


def heaped(values: Floats, step: int) -> Integers:
    """Rounded to multiples of `step`, as people say times."""
    return (np.maximum(np.round(values / step), 1) * step).astype(np.int64)


@dataclass(frozen=True)
class Roster:
    """Members of households, in order: household (index), position (1 is the head), sex, age, relation to the head."""

    household: Integers
    position: Integers
    female: Booleans
    age: Integers
    relation: Texts

    def size(self, households: int) -> Integers:
        """Members of each household."""
        return np.bincount(self.household, minlength=households)

    def adults(self, households: int, age: int = 15) -> Integers:
        """Members of at least `age` years of each household."""
        return np.bincount(self.household[self.age >= age], minlength=households)


def draw_roster(rng: Generator, households: int, children: Floats, female_head: Floats) -> Roster:
    """Heads, spouses, children (mean number `children`), sometimes parents and other relatives."""
    rows: list[tuple[int, int, bool, int, str]] = []
    for household in range(households):
        head_female = bool(rng.random() < female_head[household])
        head_age = int(np.clip(rng.gamma(9, 4.7), 18, 92))
        members = [(head_female, head_age, "head")]
        spouse = rng.random() < (0.25 if head_female else 0.82)
        if spouse:
            members.append(
                (not head_female, int(np.clip(head_age + rng.normal(3 if head_female else -5, 4), 17, 90)), "spouse")
            )
        mother_age = next((age for female, age, _ in members if female), head_age - 4)
        started = min(max((mother_age - 17) / 16, 0.2), 1.0)
        for _ in range(rng.poisson(children[household] * started * (1.25 if spouse else 0.9))):
            age = int(rng.integers(0, max(2, min(30, mother_age - 16))))
            members.append((bool(rng.random() < 0.49), age, "child"))
        if rng.random() < 0.08:
            members.append((bool(rng.random() < 0.65), int(np.clip(head_age + rng.normal(25, 5), 55, 97)), "parent"))
        for _ in range(rng.poisson(0.35)):
            members.append((bool(rng.random() < 0.52), int(np.clip(rng.gamma(2.2, 9), 0, 85)), "other_relative"))
        rows.extend((household, place, *member) for place, member in enumerate(members, start=1))
    household_of, position, female, age, relation = zip(*rows, strict=True)
    return Roster(
        np.array(household_of), np.array(position), np.array(female), np.array(age), np.array(relation, dtype=object)
    )


def select_adult(rng: Generator, roster: Roster, households: int, age: int = 15) -> Integers:
    """Row of the roster of one adult of each household, each with the same chance."""
    order = np.where(roster.age >= age, rng.random(len(roster.age)), 2.0)
    rank = np.lexsort((order, roster.household))
    first = np.searchsorted(roster.household[rank], np.arange(households))
    return rank[first]


def functioning(rng: Generator, age: Integers, shift: float = 0.0) -> tuple[dict[str, Integers], Booleans]:
    """Washington Group Short Set, answers 1 (no difficulty) to 4 (cannot do), and who is disabled by its cut-off.

    The chance of a disability rises with age, from about one in a hundred to one in three.
    """
    disabled = chance(rng, logistic(-4.5 + 0.048 * age + shift))
    answers = {}
    domain = rng.integers(0, len(DOMAINS), len(age))
    second = np.where(chance(rng, 0.4, len(age)), rng.integers(0, len(DOMAINS), len(age)), -1)
    ease = {
        "seeing": -3.2,
        "hearing": -3.6,
        "walking": -3.4,
        "remembering": -3.3,
        "self_care": -4.6,
        "communicating": -4.6,
    }
    for place, name in enumerate(DOMAINS):
        mild = chance(rng, logistic(ease[name] + 0.045 * age))
        severe = disabled & ((domain == place) | (second == place))
        answers[name] = np.where(severe, np.where(chance(rng, 0.25, len(age)), 4, 3), np.where(mild, 2, 1))
    return answers, disabled


def quintiles(score: Floats, weight: Floats) -> Integers:
    """Fifths of the weighted distribution, 1 the lowest."""
    order = np.argsort(score, kind="stable")
    share = np.cumsum(weight[order]) - weight[order] / 2
    fifth = np.empty(len(score), dtype=np.int64)
    fifth[order] = np.minimum((5 * share / weight.sum()).astype(np.int64), 4) + 1
    return fifth


def joined(flags: Mapping[str, Booleans], separator: str = " ", none: str | None = None) -> Texts:
    """Select-multiple answers: the codes that hold, joined; `none` where none holds."""
    codes = list(flags)
    matrix = np.column_stack([flags[code] for code in codes])
    return np.array(
        [separator.join(c for c, hit in zip(codes, row, strict=True) if hit) or none for row in matrix], dtype=object
    )
