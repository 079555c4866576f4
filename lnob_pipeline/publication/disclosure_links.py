"""Which published numbers hang together: strata that add up, series that contain each other, earlier releases.

Here: what follows from the definitions and from what was published before. Not here: what is hidden because of it
(disclosure), and what an outsider could reckon (disclosure_audit).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Measure
from lnob_pipeline.publication.disclosure_rules import SMALL_COUNT, small
from lnob_pipeline.tables import STRATUM_DIMENSIONS

GROUP = "marginalised_group"
SUM = "_sum"
SAME_NUMBER = 1e-6
"""Two published estimates that differ by less are the same number."""
BEFORE = {
    "submission_id": pl.String,
    "series": pl.String,
    "stratum": pl.String,
    "n": pl.Int32,
    "estimate": pl.Float64,
}
"""Columns of what earlier releases show of a number."""


class Pairs(NamedTuple):
    """Pairs of series of one survey, by their definitions.

    nested: (narrow, wide), whoever is in the numerator of the first is in that of the second, of the same people.
    within: (series, wide), whoever is in the denominator of the first is in the numerator of the second.
    """

    nested: frozenset[tuple[str, str]]
    within: frozenset[tuple[str, str]]


def sums(cells: pl.DataFrame) -> pl.DataFrame:
    """One row a term of a sum: _sum, _dimension, _parent and _child (cells), _overlapping (a group and everyone else).

    A parent is the stratum with one dimension fewer. Cells without cases are known zeros and no terms; a sum whose
    parent is not among the cells has nothing to subtract from.
    """
    terms = cells.filter(pl.col("n").fill_null(0) > 0)
    names = ["submission_id", "series", *STRATUM_DIMENSIONS]
    parents = terms.select(pl.col("_cell").alias("_parent"), *names)
    found = []
    for dimension in STRATUM_DIMENSIONS:
        overlapping = dimension == GROUP
        group = pl.col(dimension) if overlapping else pl.lit("")
        children = terms.filter(pl.col(dimension) != "_T").select(
            pl.col("_cell").alias("_child"),
            *[pl.lit("_T").alias(name) if name == dimension else name for name in names],
            group.alias("_group"),
        )
        found.append(
            children.join(parents, on=names).select(
                pl.struct(pl.lit(dimension), "_parent", "_group").rank("dense").alias("_part"),
                pl.lit(dimension).alias("_dimension"),
                "_parent",
                "_child",
                pl.lit(overlapping).alias("_overlapping"),
            )
        )
    together = pl.concat(found).with_columns(pl.struct("_dimension", "_part").rank("dense").alias(SUM))
    return together.sort(SUM, "_child")


def series_pairs(mappings: Mappings) -> Pairs:
    """The pairs of series that the texts of their definitions show to contain each other.

    A condition is read as clauses joined by AND, each a choice joined by OR (IN is one); what is written otherwise is
    one clause that equals itself alone. So containment that rests on arithmetic or on derived variables is not seen.
    """
    known = {
        code: (measure.unit, measure.weight, _clauses(measure.shares[0].universe), _numerator(measure))
        for indicator in mappings.indicators.values()
        for code, item in indicator.computed.items()
        if (measure := item.measure) and measure.statistic in ("proportion", "composite")
    }
    nested, within = set(), set()
    for first, second in permutations(known, 2):
        unit, weight, universe, numerator = known[first]
        other_unit, other_weight, other_universe, other_numerator = known[second]
        if (unit, weight) != (other_unit, other_weight):
            continue
        if universe == other_universe and _implies(numerator, other_numerator):
            nested.add((first, second))
        if _implies(universe, other_universe | other_numerator) and not _implies(other_universe, universe):
            within.add((first, second))
    return Pairs(frozenset(nested), frozenset(within))


def same_people(mappings: Mappings) -> dict[str, tuple[str, str]]:
    """Group -> the breakdown and category with the same official code: a form may derive one from the other."""
    places = {
        (breakdown.official_dimension, official): (name, code)
        for name, breakdown in mappings.breakdowns.items()
        if name != GROUP and breakdown.official_dimension
        for code, category in mappings.categories(name).items()
        for official in category.official
    }
    return {
        code: places[key]
        for code, group in mappings.groups.items()
        if group.official and (key := (group.official.dimension, group.official.code)) in places
    }


def published_before(published: Path) -> pl.DataFrame:
    """What every release that is still kept shows, once each; in the form BEFORE.

    All of them, not the last alone: a number hidden because an earlier release shows its neighbour has to stay hidden.
    """
    found = [pl.DataFrame(schema=BEFORE)]
    for path in sorted((published / "releases").glob("[0-9]*/citizen_estimates.parquet")):
        try:
            rows = pl.read_parquet(path, columns=list(BEFORE))
        except (OSError, PolarsError):  # damaged: whoever reads it learns nothing from it either
            continue
        found.append(rows.filter(pl.col("estimate").is_not_null()).select(pl.col(n).cast(k) for n, k in BEFORE.items()))
    return pl.concat(found).unique().sort(list(BEFORE))


def beside_earlier(cells: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Add known (the very number is public already) and differs (a public one of almost the same people).

    The people by whom two numbers differ are a cell that nobody published: 1 to 4 of them are shown by the two; of
    more, a share shows how many have what was asked, as an outsider reckons it from n and the shares, and that number
    obeys the count rule as well. (Of a weighted share it is a guess, which hides a little more.)
    """
    key = ["submission_id", "series", "stratum"]
    n, n_before = pl.col("n"), pl.col("n_before")
    apart = (n - n_before).abs()
    numerator = (pl.col("estimate") / 100 * n).round()
    have = (numerator - (pl.col("estimate_before") / 100 * n_before).round()) * (n - n_before).sign()
    tells_of_each = pl.col("sensitive") & ((have == 0) | (have == apart))
    share = pl.col("largest_share").is_null() & have.is_between(0, apart)
    same = (apart == 0) & ((pl.col("estimate") - pl.col("estimate_before")).abs() < SAME_NUMBER)
    shows = (apart > 0) & ((apart <= SMALL_COUNT) | (share & (small(have, apart) | tells_of_each)))
    beside = (
        cells.join(before.rename({"n": "n_before", "estimate": "estimate_before"}), on=key)
        .group_by("_cell")
        .agg(known=same.any(), differs=shows.any())
    )
    return cells.join(beside, on="_cell", how="left", maintain_order="left").with_columns(
        pl.col("known", "differs").fill_null(value=False)
    )


Clauses = frozenset[frozenset[str]]


def _numerator(measure: Measure) -> Clauses:
    return frozenset().union(*(_clauses(share.numerator) for share in measure.shares))


def _implies(narrow: Clauses, wide: Clauses) -> bool:
    """Whether each clause of `wide` follows from one of `narrow`."""
    return all(any(clause <= other for clause in narrow) for other in wide)


def _clauses(condition: str) -> Clauses:
    if condition.strip().upper() == "TRUE":
        return frozenset()
    if re.search(r"\bBETWEEN\b|\bCASE\b", condition):
        return frozenset({frozenset({condition})})
    found = set()
    parts = _split(condition, "AND")
    if len(parts) > 1 and any(len(_split(part, "OR")) > 1 for part in parts):  # OR binds less than AND
        return frozenset({frozenset({condition})})
    for part in parts:
        choices = _split(_unwrapped(part), "OR")
        if any(len(_split(choice, "AND")) > 1 for choice in choices):
            found.add(frozenset({part}))
            continue
        found.add(frozenset(atom for choice in choices for atom in _atoms(_unwrapped(choice))))
    return frozenset(found)


def _split(text: str, word: str) -> list[str]:
    """Split at a word that stands outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for match in re.finditer(rf"[()']|\b{word}\b", text):
        sign = match.group()
        if sign == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif depth == 0:
            parts.append(text[start : match.start()].strip())
            start = match.end()
    return [*parts, text[start:].strip()]


def _unwrapped(text: str) -> str:
    inner = text[1:-1]
    balanced = text.startswith("(") and text.endswith(")") and "(" not in inner and ")" not in inner
    return inner.strip() if balanced else text


def _atoms(text: str) -> list[str]:
    """The comparisons that a membership test stands for; another condition as it is."""
    match = re.fullmatch(r"(\w+)\s+IN\s*\(([^()]*)\)", text)
    if not match:
        return [" ".join(text.split())]
    return [f"{match[1]} = {value.strip()}" for value in match[2].split(",")]


def denominators(cells: pl.DataFrame) -> Mapping[str, int]:
    """Series -> number of its denominator, for the cells of one hand-in.

    Series whose n agree wherever both have a stratum count the same people: the n that one hides the other shows.
    """
    found: list[dict[str, int]] = []
    place: dict[str, int] = {}
    for name, rows in sorted(cells.group_by("series"), key=lambda item: str(item[0])):
        n = dict(rows.select("stratum", "n").iter_rows())
        for number, known in enumerate(found):
            common = known.keys() & n.keys()
            if common and all(known[stratum] == n[stratum] for stratum in common):
                known.update(n)
                place[str(name[0])] = number
                break
        else:
            place[str(name[0])] = len(found)
            found.append(n)
    return place
