"""Disclosure control: which numbers about people may be shown, and what hides with a hidden one.

Here: hiding, for estimates, for the comparison that repeats them, and for evidence from groups. Not here: what may not
be shown by itself (disclosure_rules), which numbers hang together (disclosure_links), the attack that tells when enough
is hidden (disclosure_audit), reliability as such (estimation), what may be named (the manifest; stages 3 and 4 leave a
place out that may not be named; what is said of a sensitive group names no area below the first level).

A number is hidden by its own rule, or to protect another, cheapest first (fewest cases). First for each sum by itself:
of a stratum and its categories none or at least two terms are hidden, and the hidden ones together obey the count rule;
marginalised groups overlap, and each is a sum with everyone else. Then for all sums together, series that contain each
other and earlier releases: as long as the attack comes too close to a number, one more is hidden. A number that differs
by a few cases, or by cases that break the count rule, from one that a kept release shows is hidden too: the difference
is these people. Where nothing is left
to hide, nothing is published (DisclosureError).

What this does not protect against: two hand-ins about the same people, a release that is no longer kept, knowledge
from outside, being one of few hidden people oneself. People without an answer to a breakdown question are no category
that is protected, and n of two series that differ by such answers are attacked apart.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from lnob_pipeline.gaps.comparison import without_flags_of_the_pair
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.disclosure_audit import CELLS, Attack, summary
from lnob_pipeline.publication.disclosure_links import (
    BEFORE,
    SUM,
    beside_earlier,
    same_people,
    series_pairs,
    sums,
)
from lnob_pipeline.publication.disclosure_rules import (
    CAUTION_BELOW,
    FEW_PARTICIPANTS,
    FEWEST_CASES,
    FEWEST_PARTICIPANTS,
    REASONS,
    SMALL_SAMPLE,
    TO_PROTECT,
    primary,
    small,
)
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_EVIDENCE, COMPARISON, PUBLISHED_ESTIMATES, STRATUM_DIMENSIONS

__all__ = ["FEWEST_CASES", "HIDES_WITH_ESTIMATE", "Disclosed", "DisclosureError", "disclose", "visible_effects"]

HIDES_WITH_ESTIMATE = (
    "estimate",
    "standard_error",
    "ci_low",
    "ci_high",
    "n",
    "n_clusters",
    "degrees_of_freedom",
    "design_effect",
)
"""Columns of an estimate that are null where the estimate is: any of them narrows down what is hidden."""

FROM_ESTIMATES = {
    "citizen_estimate": "estimate",
    "citizen_standard_error": "standard_error",
    "citizen_ci_low": "ci_low",
    "citizen_ci_high": "ci_high",
    "citizen_n": "n",
    "citizen_reliability": "reliability",
    "citizen_status": "status",
    "citizen_area": "area",
    "citizen_population": "population",
}
"""Column of the comparison -> column of the estimates that it repeats."""

_KEY = ["submission_id", "series", "stratum"]


class DisclosureError(RuntimeError):
    """A hidden number could be reckoned and nothing is left to hide; the message says whose, and what to do."""


class Disclosed(NamedTuple):
    """Frames in the form of PUBLISHED_ESTIMATES, COMPARISON, CITIZEN_EVIDENCE and DISCLOSURE_AUDIT, safe to publish."""

    citizen_estimates: pl.DataFrame
    comparison: pl.DataFrame
    citizen_evidence: pl.DataFrame
    disclosure_audit: pl.DataFrame


def disclose(
    citizen_estimates: pl.DataFrame,
    comparison: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    before: pl.DataFrame | None = None,
) -> Disclosed:
    """Hide what may not be shown, and say so in the status.

    `citizen_estimates` has the form of CITIZEN_ESTIMATES (with n_numerator and sensitive), the others that of their
    tables. before: what earlier releases show (disclosure_links.published_before); None for nothing. The numbers of the
    comparison are taken from the disclosed estimates, so that the two cannot differ. Raises ValueError when the
    comparison holds a citizen figure that no estimate stands behind, and DisclosureError.
    """
    del settings  # the rules are promises to the people who answered, not an operator's choice
    estimates, audit = _estimates(
        citizen_estimates, mappings, pl.DataFrame(schema=BEFORE) if before is None else before
    )
    return Disclosed(estimates, _comparison(comparison, estimates), _evidence(citizen_evidence, mappings), audit)


def visible_effects(data_gaps: pl.LazyFrame, estimates: pl.DataFrame) -> pl.LazyFrame:
    """DATA_GAPS as it may be published: an effect that rests on hidden numbers alone is `not_shown`.

    A flag that tells how far a hidden number lies from the official one goes with it. `estimates` are the disclosed
    ones.
    """
    cell = ["iso3", "series", "stratum"]
    shown = (
        estimates.filter(pl.col("estimate").is_not_null()).select(cell).unique().with_columns(shown=pl.lit(value=True))
    )
    rests_on_estimates = pl.col("citizen_effect").is_in(["informs", "could_close", "closes"])
    return (
        data_gaps.join(shown.lazy(), on=cell, how="left", maintain_order="left")
        .with_columns(
            citizen_effect=pl.when(rests_on_estimates & pl.col("shown").is_null())
            .then(pl.lit("not_shown"))
            .otherwise(pl.col("citizen_effect")),
            flags=pl.when(pl.col("shown").is_null())
            .then(without_flags_of_the_pair(pl.col("flags")))
            .otherwise(pl.col("flags")),
        )
        .drop("shown")
    )


def _sensitive(mappings: Mappings) -> pl.Expr:
    groups = [code for code, group in mappings.groups.items() if group.sensitive]
    return pl.col("marginalised_group").is_in(groups).fill_null(False)


def _named_area(mappings: Mappings) -> pl.Expr:
    """The area where every part of it is a first-level area, else null: nothing finer is named."""
    known = [code for country in mappings.countries.values() for code in country.admin1]
    parts = pl.col("area").str.split(",")
    return pl.when(parts.list.eval(pl.element().is_in(known)).list.all()).then("area").alias("area")


def _estimates(estimates: pl.DataFrame, mappings: Mappings, before: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The estimates as they are published, and the table DISCLOSURE_AUDIT."""
    n = pl.col("n")
    indicators = [code for code, indicator in mappings.indicators.items() if indicator.sensitive]
    sensitive = pl.col("sensitive").fill_null(False) | pl.col("indicator").is_in(indicators) | _sensitive(mappings)
    cells = (
        estimates.sort(_KEY)
        .with_row_index("_cell")
        .with_columns(
            # A mean of several shares has no single numerator: the count that the estimate implies stands for it.
            numerator=pl.col("n_numerator").cast(pl.Float64).fill_null((pl.col("estimate") / 100 * n).round()),
            amount=pl.when(pl.col("largest_share").is_not_null()).then(pl.col("estimate") * n),
            sensitive=sensitive,
        )
    )
    cells = beside_earlier(cells, before).with_columns(primary().alias("_hidden"))
    differs = pl.col("differs") & pl.col("_hidden").is_null() & pl.col("estimate").is_not_null()
    cells = cells.with_columns(pl.when(differs).then(pl.lit(TO_PROTECT)).otherwise("_hidden").alias("_hidden"))
    attack = Attack(_attacked(cells), series_pairs(mappings), same_people(mappings))
    cells = _safe(_hide(cells, _to_protect(cells)), attack)
    published = (
        cells.with_columns(
            pl.coalesce("_hidden", "status").alias("status"),
            pl.when(pl.col("_hidden") == SMALL_SAMPLE)
            .then(pl.lit("too_few_cases"))
            .when(pl.col("_hidden").is_null() & (n < CAUTION_BELOW) & (pl.col("reliability") == "reliable"))
            .then(pl.lit("use_with_caution"))
            .when(pl.col("_hidden").is_null())
            .then("reliability")
            .alias("reliability"),
            _named_area(mappings),
        )
        .with_columns(
            # What the partner writes of the population, in brackets, may name the place that may not be named.
            pl.when(pl.col("area").is_null() & (pl.col("area_level") != "national"))
            .then(pl.col("population").str.replace(r"(?s)\s*\(.*\)$", ""))
            .otherwise("population")
            .alias("population")
        )
        .with_columns(
            pl.when(pl.col("_hidden").is_null() & pl.col("estimate").is_not_null()).then(name).alias(name)
            for name in reversed(HIDES_WITH_ESTIMATE)
        )
        .select(pl.col(name).cast(kind) for name, kind in PUBLISHED_ESTIMATES.schema.items())
    )
    return published, _audited(cells, published, attack)


def _hide(cells: pl.DataFrame, protected: pl.Series) -> pl.DataFrame:
    chosen = pl.col("_hidden").is_null() & pl.col("_cell").is_in(protected.implode())
    return cells.with_columns(pl.when(chosen).then(pl.lit(TO_PROTECT)).otherwise("_hidden").alias("_hidden"))


def _safe(cells: pl.DataFrame, attack: Attack) -> pl.DataFrame:
    """Hide more, cheapest first, until no attack comes too close to a hidden number.

    Where nothing stands beside it that could be hidden, the reasons give it away (four counts of 1 to 4 make 4): then
    the series of the hand-in is withheld as a whole, all its numbers for the same reason.
    """
    withheld: set[tuple[str, str]] = set()
    while True:
        narrow = attack.on(_attacked(cells), thorough=False).narrow or attack.on(_attacked(cells)).narrow
        hide = sorted({cell for item in narrow for cell in item.cells})
        stuck = {(item.submission_id, item.series) for item in narrow if not item.cells} - withheld
        if not hide and not stuck:
            return cells
        cells = _hide(cells, pl.Series(hide, dtype=pl.UInt32))
        if stuck:
            withheld |= stuck
            whole = pl.DataFrame(sorted(stuck), schema=["submission_id", "series"], orient="row")
            inside = cells.join(whole, on=["submission_id", "series"], how="semi")["_cell"].implode()
            reason = pl.when(pl.col("estimate").is_not_null() & pl.col("_cell").is_in(inside)).then(pl.lit(TO_PROTECT))
            cells = cells.with_columns(reason.otherwise("_hidden").alias("_hidden"))


def _audited(cells: pl.DataFrame, published: pl.DataFrame, attack: Attack) -> pl.DataFrame:
    """The table DISCLOSURE_AUDIT of the estimates as they are published: what they show and say, not what was meant.

    Raises DisclosureError where an attack comes too close.
    """
    says = published.select(
        reason=pl.when(pl.col("status").is_in(REASONS)).then("status"),
        shown=pl.any_horizontal(pl.col(HIDES_WITH_ESTIMATE).is_not_null()),
    )
    attacked = _attacked(cells).with_columns(says["reason"], says["shown"])
    finding = attack.on(attacked)
    for item in finding.narrow:
        raise DisclosureError(
            f"{item.submission_id}, {item.series}: a number that has to be hidden can be reckoned from what this and "
            f"earlier releases show, and nothing of this release is left to hide. Nothing was published and the last "
            f"release stays. Withdraw the hand-in, or take the earlier releases that show its neighbours out of the "
            f"folder of releases, then run again"
        )
    return summary(attacked, finding)


def _attacked(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells in the form that is attacked."""
    columns = cells.with_columns(reason="_hidden", shown=_shown())
    return columns.select(*(pl.col(name).cast(kind) for name, kind in CELLS.items()), *STRATUM_DIMENSIONS)


def _to_protect(cells: pl.DataFrame) -> pl.Series:
    """The cells to hide because a subtraction would give a hidden one; smallest first, to a fixed point."""
    figures = cells.select("_cell", "n", "numerator", "stratum", shown=_shown())
    together = sums(cells)
    parent = figures.rename({name: f"_parent{name}" for name in figures.columns if name != "_cell"})
    hidden = pl.Series("_cell", [], dtype=pl.UInt32)
    while True:
        gone = hidden.implode()
        terms = (
            together.join(figures, left_on="_child", right_on="_cell")
            .join(parent, left_on="_parent", right_on="_cell")
            .with_columns(
                pl.col("shown") & ~pl.col("_child").is_in(gone),
                pl.col("_parentshown") & ~pl.col("_parent").is_in(gone),
            )
        )
        seen = pl.col("shown")
        totals = terms.group_by(SUM).agg(
            pl.first("_parent", "_overlapping", "_parentshown"),
            (~seen).sum().alias("_hidden_children"),
            (pl.col("n").sum() >= pl.first("_parentn")).alias("_complete"),
            # What is left of the parent when all that is shown is taken off. Where the parent counts households and
            # the children count persons, what is left are the hidden children.
            *(
                pl.when(pl.col("n").sum() > pl.first("_parentn"))
                .then((pl.col(name) * ~seen).sum())
                .otherwise(pl.first(f"_parent{name}") - (pl.col(name) * seen).sum())
                .alias(f"_left{name}")
                for name in ("n", "numerator")
            ),
        )
        overlapping, parent_seen, missing = pl.col("_overlapping"), pl.col("_parentshown"), pl.col("_hidden_children")
        gives_a_category = ~overlapping & parent_seen & (missing == 1)
        gives_the_parent = ~overlapping & ~parent_seen & (missing == 0) & pl.col("_complete")
        gives_a_small_count = (
            parent_seen & (overlapping | (missing > 0)) & small(pl.col("_leftnumerator"), pl.col("_leftn"))
        )
        unsafe = totals.filter(gives_a_category | gives_the_parent | gives_a_small_count)
        if unsafe.is_empty():
            return hidden
        children = (
            terms.join(unsafe.select(SUM), on=SUM)
            .filter("shown")
            .sort("n", "stratum")
            .group_by(SUM, maintain_order=True)
            .agg(pl.first("_child").alias("_cell"))
        )
        without = unsafe.join(children, on=SUM, how="anti").filter("_parentshown").select(SUM, _cell="_parent")
        hidden = pl.concat([hidden, children["_cell"], without["_cell"]]).unique().sort()


def _shown() -> pl.Expr:
    return pl.col("_hidden").is_null() & pl.col("estimate").is_not_null()


def _comparison(comparison: pl.DataFrame, estimates: pl.DataFrame) -> pl.DataFrame:
    figures = estimates.select(*_KEY, **FROM_ESTIMATES)
    rest = comparison.drop(FROM_ESTIMATES.keys())
    orphans = comparison.filter(pl.col("submission_id").is_not_null()).join(estimates, on=_KEY, how="anti")
    if orphans.height:
        first = orphans.row(0, named=True)
        raise ValueError(
            f"the comparison holds {orphans.height} citizen figure(s) without an estimate behind them, the first for "
            f"{first['submission_id']}, {first['series']}, {first['stratum']}: run the stages estimation and gaps again"
        )
    joined = rest.join(figures, on=_KEY, how="left", validate="m:1")
    return joined.with_columns(
        # A flag tells how far a hidden number lies from the official one.
        pl.when(pl.col("submission_id").is_null() | pl.col("citizen_estimate").is_not_null())
        .then("flags")
        .otherwise(pl.lit(""))
        .alias("flags"),
        # The differences repeat the population as the estimates first had it.
        pl.when(pl.col("citizen_area").is_null() & (pl.col("citizen_area_level") != "national"))
        .then(pl.col("differences").str.replace_all(r"(population: [^|(]*?)\s*\([^|]*\)", "${1}"))
        .otherwise("differences")
        .alias("differences"),
    ).select(pl.col(name).cast(kind) for name, kind in COMPARISON.schema.items())


def _evidence(evidence: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """Hide what fewer than four people said; where their number was not kept, each group counts as one person."""
    from_people = pl.col("evidence_type").is_in(["score_card", "focus_group", "interview"])
    people = pl.coalesce("n_participants", pl.when(from_people).then(pl.col("n_groups").fill_null(0)))
    few = (pl.col("evidence_type") != "policy_review") & (people < FEWEST_PARTICIPANTS)
    hidden = few.fill_null(False)
    return evidence.with_columns(
        pl.when(hidden).then(pl.lit(FEW_PARTICIPANTS)).otherwise("finding").alias("finding"),
        *(pl.when(~hidden).then(name).alias(name) for name in ("score", "n_groups", "n_participants", "n_mentions")),
        _named_area(mappings),
    ).select(pl.col(name).cast(kind) for name, kind in CITIZEN_EVIDENCE.schema.items())
