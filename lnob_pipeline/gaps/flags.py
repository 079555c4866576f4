"""The flags of a cell and the scope of its gap.

Here: from what is known of a cell to its flags, and whether one country can mend a gap alone. Not here: the statuses
(typology.py), what is known (observed.py, lacks.py).

Flags of a cell that has figures (reported, none_since_2015): no_trend, no_baseline, stale, obsolete, sparse,
not_country_owned, modelled_only, nature_unknown, precision_unknown, revised, discrepancy, differs_from_model. An
obsolete cell is stale as well. On the headline also what the series as a whole lacks: dimension_missing,
category_missing, crossing_missing, subnational_missing; which category it is can be seen in the rows of the strata.
Two flags stand whatever the status: `group_has_no_code`, on the stratum itself, because such a stratum can have no
figures, and `withdrawn`, because a withdrawal can be what silenced the cell.

Source: the rules of the project's gap typology; what two official releases differ in is the table official_revisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings

FLAGS: Final = (
    "no_trend",
    "no_baseline",
    "stale",
    "obsolete",
    "sparse",
    "not_country_owned",
    "modelled_only",
    "nature_unknown",
    "dimension_missing",
    "category_missing",
    "crossing_missing",
    "subnational_missing",
    "group_has_no_code",
    "precision_unknown",
    "withdrawn",
    "revised",
    "discrepancy",
    "differs_from_model",
)
NATIONAL_SHARE: Final = 0.5
"""Share of countries with two years from which on a missing figure is the country's own gap."""


def flag_bits(settings: Settings) -> pl.Expr:
    """The flags that hold, as bits in the order of FLAGS."""
    years, before, owned = pl.col("n_years_since_base"), pl.col("n_years_before_base"), pl.col("n_years_country")
    age = settings.as_of_year - pl.col("latest_year")
    has_figures = pl.col("status").is_in(["reported", "none_since_2015"])
    headline = pl.col("stratum") == TOTAL
    conditions = {
        "no_trend": years == 1,
        "no_baseline": (years >= 2) & (before < 2),
        "stale": age > settings.stale_after_years,
        "obsolete": age > settings.obsolete_after_years,
        "sparse": pl.col("years_spanned") > years * pl.col("expected_period_years"),
        "not_country_owned": (years > 0) & (owned < pl.min_horizontal(years, pl.lit(2))),
        "modelled_only": (years > 0) & pl.col("all_modelled"),
        "nature_unknown": pl.col("any_nature_unknown"),
        "dimension_missing": headline & pl.col("lacks_dimension"),
        "category_missing": headline & pl.col("lacks_category"),
        "crossing_missing": headline & pl.col("lacks_crossing"),
        "subnational_missing": headline & pl.col("has_areas").is_null(),
        "precision_unknown": pl.col("latest_imprecise"),
        "revised": pl.col("revised"),
        "discrepancy": pl.col("discrepancy"),
        "differs_from_model": pl.col("differs_from_model"),
    }
    held = {name: has_figures & condition for name, condition in conditions.items()}
    held["group_has_no_code"] = pl.col("no_code")
    held["withdrawn"] = pl.col("withdrawn")
    bits = (held[name].fill_null(value=False).cast(pl.UInt32) * (1 << place) for place, name in enumerate(FLAGS))
    return pl.sum_horizontal(bits)


def flag_names(bits: Iterable[int]) -> dict[int, str]:
    """Each of `bits` -> its flags joined by ','; empty for none."""
    return {each: ",".join(name for place, name in enumerate(FLAGS) if each >> place & 1) for each in bits}


def scope_of_indicators(headlines: pl.DataFrame) -> pl.DataFrame:
    """indicator, indicator_scope: national where half of the countries that can be judged have two years.

    `headlines`: a row for each country and series: area, indicator, status, n_years_since_base.
    """
    return (
        headlines.filter(~pl.col("status").is_in(["not_applicable", "not_loaded"]))
        .group_by("indicator", "area")
        .agg((pl.col("n_years_since_base") >= 2).any().alias("two_years"))
        .group_by("indicator")
        .agg(pl.col("two_years").mean().alias("share"))
        .select(
            "indicator",
            pl.when(pl.col("share") >= NATIONAL_SHARE)
            .then(pl.lit("national"))
            .otherwise(pl.lit("systemic"))
            .alias("indicator_scope"),
        )
    )


def scope_of_cell() -> pl.Expr:
    """Systemic where one country cannot mend it alone; null where nothing can be said of the country."""
    return (
        pl.when(pl.col("status").is_in(["not_applicable", "not_loaded"]))
        .then(None)
        .when((pl.col("status") == "no_series") | pl.col("no_code"))
        .then(pl.lit("systemic"))
        .otherwise(pl.col("indicator_scope"))
    )
