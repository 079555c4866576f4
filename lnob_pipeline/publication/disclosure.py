"""Disclosure control: which numbers about people may be shown, and what hides with a hidden one.

Here: the rules for estimates, for the comparison that repeats them, and for evidence from groups. Not here: reliability
as such (estimation), what may be named (the manifest; stages 3 and 4 leave a place out that may not be named).

Primary rules. An estimate is hidden when it rests on fewer than 25 unweighted cases (a rule of reliability: DHS,
UNICEF), or when its numerator or the complement of it counts 1 to 4 cases (common practice of statistics offices);
about a sensitive indicator or group, also when everyone or no one is in the numerator: that says something of each
person.

Secondary rule. Strata add up: for one hand-in and series, a stratum is the sum of its categories in one more dimension
(all = women + men; women = women with + women without a disability), so whoever knows all terms but one knows the last.
In every such sum none or at least two terms are hidden, and the hidden categories taken together, which a subtraction
does give, obey the count rule themselves. Marginalised groups overlap and do not add up: each is a sum with everyone
else, who are not shown but can be reckoned, so the count rule holds for them too. Hiding goes on until nothing changes.

What this does not protect against: systems of several sums solved together (a table of 4 x 4 with two blanks in each
row and column can still give a cell; each sum is looked at alone), two series of one hand-in where one contains the
other, two releases compared, two hand-ins about the same people, knowledge from outside. People whose answer to a
breakdown question is missing are not treated as a category. Sources: Hundepool et al., Statistical Disclosure Control
(2012), chapter 4; DHS Guide to Statistics (25 and 50 cases).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from lnob_pipeline.gaps.comparison import without_flags_of_the_pair
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_EVIDENCE, COMPARISON, PUBLISHED_ESTIMATES, STRATUM_DIMENSIONS

FEWEST_CASES = 25
CAUTION_BELOW = 50
SMALL_COUNT = 4
FEWEST_PARTICIPANTS = 4

SMALL_SAMPLE = "suppressed_small_sample"
SMALL_NUMBER = "suppressed_small_count"
TO_PROTECT = "suppressed_to_protect"
FEW_PARTICIPANTS = "suppressed_few_participants"

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

_SUM = "_sum"
_KEY = ["submission_id", "series", "stratum"]


class Disclosed(NamedTuple):
    """Frames in the form of the tables PUBLISHED_ESTIMATES, COMPARISON and CITIZEN_EVIDENCE, safe to publish."""

    citizen_estimates: pl.DataFrame
    comparison: pl.DataFrame
    citizen_evidence: pl.DataFrame


def disclose(
    citizen_estimates: pl.DataFrame,
    comparison: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
) -> Disclosed:
    """Hide what may not be shown, and say so in the status.

    `citizen_estimates` has the form of CITIZEN_ESTIMATES (with n_numerator and sensitive), the others that of their
    tables. The numbers of the comparison are taken from the disclosed estimates, so that the two cannot differ. Raises
    ValueError when the comparison holds a citizen figure that no estimate stands behind.
    """
    del settings  # the rules are promises to the people who answered, not an operator's choice
    estimates = _estimates(citizen_estimates, mappings)
    return Disclosed(estimates, _comparison(comparison, estimates), _evidence(citizen_evidence, mappings))


def visible_effects(data_gaps: pl.DataFrame, estimates: pl.DataFrame) -> pl.DataFrame:
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
        data_gaps.join(shown, on=cell, how="left", maintain_order="left")
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


def _small(count: pl.Expr, of: pl.Expr) -> pl.Expr:
    """Whether a count or what is left of `of` is 1 to 4."""
    left = of - count
    return count.is_between(1, SMALL_COUNT) | left.is_between(1, SMALL_COUNT)


def _sensitive(mappings: Mappings) -> pl.Expr:
    groups = [code for code, group in mappings.groups.items() if group.sensitive]
    return pl.col("marginalised_group").is_in(groups).fill_null(False)


def _named_area(mappings: Mappings) -> pl.Expr:
    """The area where every part of it is a first-level area, else null: nothing finer is named."""
    known = [code for country in mappings.countries.values() for code in country.admin1]
    parts = pl.col("area").str.split(",")
    return pl.when(parts.list.eval(pl.element().is_in(known)).list.all()).then("area").alias("area")


def _estimates(estimates: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    n, numerator = pl.col("n"), pl.col("_numerator")
    indicators = [code for code, indicator in mappings.indicators.items() if indicator.sensitive]
    sensitive = pl.col("sensitive").fill_null(False) | pl.col("indicator").is_in(indicators) | _sensitive(mappings)
    cells = (
        estimates.sort(_KEY)
        .with_row_index("_cell")
        .with_columns(
            # A mean of several shares has no single numerator: the count that the estimate implies stands for it.
            pl.col("n_numerator")
            .cast(pl.Float64)
            .fill_null((pl.col("estimate") / 100 * n).round())
            .alias("_numerator"),
        )
        .with_columns(
            pl.when(pl.col("estimate").is_null())
            .then(None)
            .when(n.fill_null(0) < FEWEST_CASES)
            .then(pl.lit(SMALL_SAMPLE))
            .when(_small(numerator, n) | (sensitive & ((numerator == 0) | (numerator == n))))
            .then(pl.lit(SMALL_NUMBER))
            .alias("_hidden")
        )
    )
    protected = _to_protect(cells)
    hidden = (
        pl.when(pl.col("_hidden").is_null() & pl.col("_cell").is_in(protected.implode()))
        .then(pl.lit(TO_PROTECT))
        .otherwise("_hidden")
    )
    return (
        cells.with_columns(hidden.alias("_hidden"))
        .with_columns(
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


def _sums(cells: pl.DataFrame) -> pl.DataFrame:
    """One row a term of a sum: _sum, _parent and _child (cells), _overlapping (a group and everyone else).

    A parent is the stratum with one dimension fewer. Cells without cases are known zeros and no terms; a sum whose
    parent is not among the cells has nothing to subtract from.
    """
    terms = cells.filter(pl.col("n").fill_null(0) > 0)
    names = ["submission_id", "series", *STRATUM_DIMENSIONS]
    parents = terms.select(pl.col("_cell").alias("_parent"), *names)
    sums = []
    for dimension in STRATUM_DIMENSIONS:
        overlapping = dimension == "marginalised_group"
        group = pl.col(dimension) if overlapping else pl.lit("")
        children = terms.filter(pl.col(dimension) != "_T").select(
            pl.col("_cell").alias("_child"),
            *[pl.lit("_T").alias(name) if name == dimension else name for name in names],
            group.alias("_group"),
        )
        sums.append(
            children.join(parents, on=names).select(
                pl.struct(pl.lit(dimension), "_parent", "_group").rank("dense").alias("_part"),
                pl.lit(dimension).alias("_dimension"),
                "_parent",
                "_child",
                pl.lit(overlapping).alias("_overlapping"),
            )
        )
    return pl.concat(sums).with_columns(pl.struct("_dimension", "_part").rank("dense").alias(_SUM))


def _to_protect(cells: pl.DataFrame) -> pl.Series:
    """The cells to hide because a subtraction would give a hidden one; smallest first, to a fixed point."""
    figures = cells.select("_cell", "n", "_numerator", "stratum", shown=_shown())
    sums = _sums(cells)
    parent = figures.rename({name: f"_parent{name}" for name in figures.columns if name != "_cell"})
    hidden = pl.Series("_cell", [], dtype=pl.UInt32)
    while True:
        gone = hidden.implode()
        terms = (
            sums.join(figures, left_on="_child", right_on="_cell")
            .join(parent, left_on="_parent", right_on="_cell")
            .with_columns(
                pl.col("shown") & ~pl.col("_child").is_in(gone),
                pl.col("_parentshown") & ~pl.col("_parent").is_in(gone),
            )
        )
        seen = pl.col("shown")
        totals = terms.group_by(_SUM).agg(
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
                for name in ("n", "_numerator")
            ),
        )
        overlapping, parent_seen, missing = pl.col("_overlapping"), pl.col("_parentshown"), pl.col("_hidden_children")
        gives_a_category = ~overlapping & parent_seen & (missing == 1)
        gives_the_parent = ~overlapping & ~parent_seen & (missing == 0) & pl.col("_complete")
        gives_a_small_count = (
            parent_seen & (overlapping | (missing > 0)) & _small(pl.col("_left_numerator"), pl.col("_leftn"))
        )
        unsafe = totals.filter(gives_a_category | gives_the_parent | gives_a_small_count)
        if unsafe.is_empty():
            return hidden
        children = (
            terms.join(unsafe.select(_SUM), on=_SUM)
            .filter("shown")
            .sort("n", "stratum")
            .group_by(_SUM, maintain_order=True)
            .agg(pl.first("_child").alias("_cell"))
        )
        without = unsafe.join(children, on=_SUM, how="anti").filter("_parentshown").select(_SUM, _cell="_parent")
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
