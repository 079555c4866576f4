"""One status and its flags for every country x indicator x series x stratum that is expected.

Here: the typology. Not here: which cells are expected (expected.py), how figures compare (comparison.py), counting
(coverage.py).

Status, first that holds: not_applicable, no_series, not_loaded, reported, none_since_2015, withheld, not_provided,
never_reported. `2015` in the name stands for `Settings.base_year`. A stratum is judged over its own rows; where it has
none it shares `not_applicable`, `no_series` and `not_loaded` with its series.

Flags of a cell that has figures (reported, none_since_2015): no_trend, no_baseline, stale, obsolete, sparse,
not_country_owned, modelled_only, nature_unknown, precision_unknown, discrepancy, differs_from_model. An obsolete cell
is stale as well. On the headline also what the series as a whole lacks: dimension_missing, category_missing,
crossing_missing, subnational_missing; which category it is can be seen in the rows of the strata. `group_has_no_code`
stands on the stratum itself whatever its status, because such a stratum can have no figures. Groups have no dimension
of their own in the official structure: they are judged one by one by `group_has_no_code`, not by dimension_missing.

Not judged: withdrawn and revised, which need two official releases.

Sources: UNSD data portal (years with data since 2015), World Bank Statistical Performance Indicators (natures),
IAEG-SDGs minimum disaggregation set, UNSD rules on the natures of data.
"""

from __future__ import annotations

import itertools
from typing import Final

import polars as pl

from lnob_pipeline.gaps.comparison import citizen_side, comparable, compare, official_release, same_definition
from lnob_pipeline.gaps.decisions import accepted_submissions
from lnob_pipeline.gaps.expected import (
    CELL,
    COUNTRY_OWNED,
    MODELLED,
    by_cell,
    expected_cells,
    known_observations,
    slice_key,
)
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import DATA_GAPS

SERIES_CELL: Final = ("iso3", "indicator", "series")

STATUSES: Final = (
    "not_applicable",
    "no_series",
    "not_loaded",
    "reported",
    "none_since_2015",
    "withheld",
    "not_provided",
    "never_reported",
)
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
    "discrepancy",
    "differs_from_model",
)
EFFECTS: Final = ("nothing_yet", "illustrates", "informs", "could_close", "closes")
"""What citizen data does to a gap, from the weakest to the strongest."""

BELOW_THE_COUNTRY: Final = ("cities",)
"""Dimensions of the official structure whose codes are areas inside a country."""


def gaps(
    official_observations: pl.DataFrame,
    sdg_catalogue: pl.DataFrame,
    citizen_estimates: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    decisions: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """The table DATA_GAPS: one row for each expected cell. Raises ValueError where there is no catalogue."""
    release = official_release(sdg_catalogue)
    cells = expected_cells(mappings)
    observations = known_observations(official_observations, settings)
    compared = compare(official_observations, sdg_catalogue, citizen_estimates, mappings, settings)

    judged = (
        cells.join(_years(by_cell(observations, cells), settings), on=CELL, how="left")
        .join(_not_applicable(mappings), on=["iso3", "indicator"], how="left")
        .join(_in_snapshot(sdg_catalogue), on=["indicator", "series"], how="left")
        .with_columns(
            pl.col("n_rows", "n_years_since_base", "n_years_before_base", "n_years_country").fill_null(0),
            pl.col("ruled_out", "in_release", "loaded").fill_null(False),
        )
        .with_columns(_status().alias("status"))
        .pipe(_with_headline)
        .with_columns(_has_no_code().alias("no_code"))
        .collect()
        .lazy()
    )
    finished = (
        judged.join(_series_lacks(observations, judged, mappings, settings), on=SERIES_CELL, how="left")
        .join(_differences_found(compared), on=CELL, how="left")
        .join(_scope(judged), on="indicator", how="left")
        .join(_effects(citizen_estimates, citizen_evidence, decisions, cells, mappings, settings), on=CELL, how="left")
        .with_columns(
            _flags(settings).alias("flags"),
            _scope_of_cell().alias("scope"),
            pl.col("natures", "citizen_submissions").fill_null(""),
            pl.col("citizen_effect").fill_null(EFFECTS[0]),
            pl.lit(release).alias("official_release"),
            pl.lit(settings.as_of_year).alias("as_of_year"),
        )
    )
    return in_form(finished.collect(), DATA_GAPS)


# --- what the official figures say of a cell ---------------------------------------------------------------


def _years(rows: pl.LazyFrame, settings: Settings) -> pl.LazyFrame:
    """The years and natures of each cell that has rows."""
    usable = pl.col("usable")
    since = usable & (pl.col("year") >= settings.base_year)
    before = usable & (pl.col("year") < settings.base_year)
    imprecise = (pl.col("value_flag") != "number") | pl.any_horizontal(pl.col("lower_bound", "upper_bound").is_null())
    latest = pl.col("year") == pl.col("year").filter(usable).max().over(CELL)
    return (
        rows.with_columns((usable & latest & imprecise).alias("latest_imprecise"))
        .group_by(CELL)
        .agg(
            pl.len().cast(pl.Int32).alias("n_rows"),
            ((pl.col("value_flag") == "not_applicable") | (pl.col("nature") == "N")).all().alias("all_not_applicable"),
            (pl.col("value_flag") == "withheld").any().alias("any_withheld"),
            pl.col("year").filter(usable).max().alias("latest_year"),
            pl.col("year").filter(since).n_unique().cast(pl.Int32).alias("n_years_since_base"),
            pl.col("year").filter(before).n_unique().cast(pl.Int32).alias("n_years_before_base"),
            pl.col("year")
            .filter(since & pl.col("nature").is_in(COUNTRY_OWNED))
            .n_unique()
            .cast(pl.Int32)
            .alias("n_years_country"),
            (pl.col("year").filter(since).max() - pl.col("year").filter(since).min() + 1).alias("years_spanned"),
            pl.col("nature").filter(since).unique().sort().str.join(",").alias("natures"),
            pl.col("nature").filter(since).is_in(MODELLED).all().alias("all_modelled"),
            (usable & (pl.col("nature") == "NA")).any().alias("any_nature_unknown"),
            pl.col("latest_imprecise").any(),
        )
    )


def _not_applicable(mappings: Mappings) -> pl.LazyFrame:
    """The reviewed rules: (iso3, indicator) that do not apply."""
    pairs = {
        (iso3, indicator)
        for rule in mappings.applicability.not_applicable
        for prefix, iso3, indicator in itertools.product(rule.indicators, rule.countries, mappings.indicators)
        if indicator == prefix or indicator.startswith(f"{prefix}.")
    }
    frame = pl.LazyFrame(sorted(pairs), schema={"iso3": pl.String, "indicator": pl.String}, orient="row")
    return frame.with_columns(pl.lit(True).alias("ruled_out"))


def _in_snapshot(sdg_catalogue: pl.DataFrame) -> pl.LazyFrame:
    return sdg_catalogue.lazy().group_by("indicator", "series").agg(pl.col("in_release", "loaded").any())


def _status() -> pl.Expr:
    has_rows = pl.col("n_rows") > 0
    return (
        pl.when(pl.col("ruled_out") | pl.col("all_not_applicable").fill_null(False))
        .then(pl.lit("not_applicable"))
        .when(~pl.col("in_release"))
        .then(pl.lit("no_series"))
        .when(~pl.col("loaded"))
        .then(pl.lit("not_loaded"))
        .when(pl.col("n_years_since_base") > 0)
        .then(pl.lit("reported"))
        .when(pl.col("n_years_before_base") > 0)
        .then(pl.lit("none_since_2015"))
        .when(pl.col("any_withheld").fill_null(False))
        .then(pl.lit("withheld"))
        .when(has_rows)
        .then(pl.lit("not_provided"))
        .otherwise(pl.lit("never_reported"))
    )


def _with_headline(cells: pl.LazyFrame) -> pl.LazyFrame:
    """Add `headline_status`; a stratum without rows of a series that does not apply does not apply either."""
    headline = cells.filter(pl.col("stratum") == TOTAL).select(*SERIES_CELL, pl.col("status").alias("headline_status"))
    shared = (pl.col("headline_status") == "not_applicable") & (pl.col("n_rows") == 0)
    return cells.join(headline, on=SERIES_CELL, how="left").with_columns(
        pl.when(shared).then(pl.lit("not_applicable")).otherwise(pl.col("status")).alias("status")
    )


# --- what a series as a whole lacks ------------------------------------------------------------------------


def _series_lacks(
    observations: pl.LazyFrame, judged: pl.LazyFrame, mappings: Mappings, settings: Settings
) -> pl.LazyFrame:
    """SERIES_CELL and what the series lacks in the country: lacks_dimension, _category, _crossing, _areas."""
    usable = observations.filter("usable")
    required = _required_dimensions(mappings)
    present = _dimensions_present(usable.filter(pl.col("year") >= settings.base_year), required)
    crossings = _crossings(mappings)
    below = usable.join(
        pl.LazyFrame(
            {"iso3": list(mappings.countries), "country": [item.m49 for item in mappings.countries.values()]},
            schema={"iso3": pl.String, "country": pl.String},
        ),
        on="iso3",
    ).filter(
        (pl.col("m49") != pl.col("country"))
        | pl.col("dimension_key").str.contains(rf"(?:^|;)(?:{'|'.join(BELOW_THE_COUNTRY)})=")
    )
    return (
        judged.select(SERIES_CELL)
        .unique()
        .join(required.group_by("indicator", "series").len("n_required"), on=["indicator", "series"], how="left")
        .join(present.group_by(SERIES_CELL).len("n_present"), on=SERIES_CELL, how="left")
        .join(
            # A category without a code is no fault of the country's: group_has_no_code says so on the stratum.
            judged.filter("has_code")
            .join(present, on=[*SERIES_CELL, "breakdown"], how="semi")
            .group_by(SERIES_CELL)
            .agg((pl.col("status") != "reported").any().alias("lacks_category")),
            on=SERIES_CELL,
            how="left",
        )
        .join(crossings.group_by("indicator", "series").len("n_crossings"), on=["indicator", "series"], how="left")
        .join(_crossings_met(usable, crossings).group_by(SERIES_CELL).len("n_met"), on=SERIES_CELL, how="left")
        .join(
            below.select("iso3", "series", pl.lit(True).alias("has_areas")).unique(), on=["iso3", "series"], how="left"
        )
        .with_columns(pl.col("n_required", "n_present", "n_crossings", "n_met").fill_null(0))
        .select(
            *SERIES_CELL,
            (pl.col("n_present") < pl.col("n_required")).alias("lacks_dimension"),
            pl.col("lacks_category").fill_null(False),
            (pl.col("n_met") < pl.col("n_crossings")).alias("lacks_crossing"),
            pl.col("has_areas").is_null().alias("lacks_areas"),
        )
    )


def _required_dimensions(mappings: Mappings) -> pl.LazyFrame:
    """What a series has to be broken down by: indicator, series, breakdown, dimension, rest and headline_code.

    `rest` is the headline's slice without the dimension, `headline_code` the code that the headline has in it.
    """
    rows = [
        {
            "indicator": indicator.indicator,
            "series": series.code,
            "breakdown": name,
            "dimension": dimension,
            "rest": slice_key({key: code for key, code in series.headline.items() if key != dimension}),
            "headline_code": series.headline.get(dimension, TOTAL),
        }
        for indicator in mappings.indicators.values()
        for series in indicator.series
        for name in dict.fromkeys(indicator.breakdowns.required + indicator.breakdowns.lnob)
        if (dimension := mappings.breakdowns[name].official_dimension) is not None
    ]
    names = ("indicator", "series", "breakdown", "dimension", "rest", "headline_code")
    return pl.LazyFrame(rows, schema=dict.fromkeys(names, pl.String))


def _dimensions_present(usable: pl.LazyFrame, required: pl.LazyFrame) -> pl.LazyFrame:
    """SERIES_CELL and breakdown, where one year and nature show two categories, all else as in the headline."""
    parts = usable.join(required.select("series", "dimension").unique(), on="series").with_columns(
        pl.col("dimension_key").str.split(";").alias("pairs"),
        pl.format("{}=", "dimension").alias("prefix"),
    )
    # A row for each pair of the slice; the pair of the dimension is its code, the others make the rest.
    split = (
        parts.with_row_index("row")
        .explode("pairs")
        .with_columns(pl.col("pairs").str.starts_with(pl.col("prefix")).alias("own"))
        .group_by("row")
        .agg(
            pl.col("iso3", "series", "year", "nature", "dimension").first(),
            pl.col("pairs").filter("own").str.strip_prefix(pl.col("prefix").first()).first().alias("code"),
            pl.col("pairs").filter(~pl.col("own")).sort().str.join(";").alias("rest"),
        )
    )
    return (
        split.filter(pl.col("code").is_not_null())
        .join(required, on=["series", "dimension", "rest"])
        .filter(pl.col("code") != pl.col("headline_code"))
        .group_by(*SERIES_CELL, "breakdown", "year", "nature")
        .agg(pl.col("code").n_unique())
        .filter(pl.col("code") >= 2)
        .select(*SERIES_CELL, "breakdown")
        .unique()
    )


def _crossings(mappings: Mappings) -> pl.LazyFrame:
    """indicator, series, crossing (name), dimensions (list; null in it where the official structure has none)."""
    rows = [
        {
            "indicator": indicator.indicator,
            "series": series.code,
            "crossing": " x ".join(names),
            "dimensions": [mappings.breakdowns[name].official_dimension or name for name in names],
        }
        for indicator in mappings.indicators.values()
        for series in indicator.series
        for names in indicator.breakdowns.crossings
    ]
    text = dict.fromkeys(("indicator", "series", "crossing"), pl.String())
    return pl.LazyFrame(rows, schema={**text, "dimensions": pl.List(pl.String)})


def _crossings_met(usable: pl.LazyFrame, crossings: pl.LazyFrame) -> pl.LazyFrame:
    """SERIES_CELL and crossing, where one usable row of any year names a category of every dimension of it."""
    named = pl.col("dimension_key").str.extract_all(r"[^;=]+=").list.eval(pl.element().str.strip_suffix("="))
    return (
        usable.select("iso3", "series", named.alias("named"))
        .unique()
        .join(crossings, on="series")
        .filter(pl.col("dimensions").list.set_difference("named").list.len() == 0)
        .select(*SERIES_CELL, "crossing")
        .unique()
    )


# --- flags and scope ---------------------------------------------------------------------------------------


def _has_no_code() -> pl.Expr:
    """A stratum that the code list or the content constraints have no place for, and that no row contradicts."""
    return ~pl.col("has_code") & (pl.col("n_rows") == 0) & (pl.col("status") != "not_applicable")


def _differences_found(compared: pl.DataFrame) -> pl.LazyFrame:
    return (
        compared.lazy()
        .filter(pl.col("flags") != "")
        .group_by(CELL)
        .agg(
            (pl.col("flags") == "discrepancy").any().alias("discrepancy"),
            (pl.col("flags") == "differs_from_model").any().alias("differs_from_model"),
        )
    )


def _flags(settings: Settings) -> pl.Expr:
    """The flags that hold, in the order of FLAGS, joined by ','."""
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
        "subnational_missing": headline & pl.col("lacks_areas"),
        "precision_unknown": pl.col("latest_imprecise"),
        "discrepancy": pl.col("discrepancy"),
        "differs_from_model": pl.col("differs_from_model"),
    }
    held = {name: has_figures & condition.fill_null(False) for name, condition in conditions.items()}
    held["group_has_no_code"] = pl.col("no_code")
    return pl.concat_str([pl.when(held[name]).then(pl.lit(name)) for name in FLAGS], separator=",", ignore_nulls=True)


def _scope(judged: pl.LazyFrame) -> pl.LazyFrame:
    """The scope of each indicator: national where half of the countries that can be judged have two years."""
    return (
        judged.filter((pl.col("stratum") == TOTAL) & ~pl.col("status").is_in(["not_applicable", "not_loaded"]))
        .group_by("indicator", "iso3")
        .agg((pl.col("n_years_since_base") >= 2).any().alias("two_years"))
        .group_by("indicator")
        .agg(pl.col("two_years").mean().alias("share"))
        .select(
            "indicator",
            pl.when(pl.col("share") >= 0.5)
            .then(pl.lit("national"))
            .otherwise(pl.lit("systemic"))
            .alias("indicator_scope"),
        )
    )


def _scope_of_cell() -> pl.Expr:
    """Systemic where one country cannot mend it alone; null where nothing can be said of the country."""
    return (
        pl.when(pl.col("status").is_in(["not_applicable", "not_loaded"]))
        .then(None)
        .when((pl.col("status") == "no_series") | pl.col("no_code"))
        .then(pl.lit("systemic"))
        .otherwise(pl.col("indicator_scope"))
    )


# --- what citizen data does --------------------------------------------------------------------------------


def _illustrated(mappings: Mappings) -> pl.LazyFrame:
    """Component -> each series that it illustrates."""
    rows = []
    for indicator in mappings.indicators.values():
        series = [item.code for item in indicator.series if item.measure is None] or [i.code for i in indicator.series]
        rows += [(component.code, code) for component in indicator.components for code in series]
    return pl.LazyFrame(rows, schema={"component": pl.String, "illustrated": pl.String}, orient="row")


def _effects(
    citizen_estimates: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    decisions: pl.DataFrame,
    cells: pl.LazyFrame,
    mappings: Mappings,
    settings: Settings,
) -> pl.LazyFrame:
    """CELL, citizen_effect (the strongest) and the submissions behind it.

    could_close: class A, probability sample of the country, definition of the official series, collected within the
    window of years before the as-of year, reliable; closes: the statistics office has accepted the submission as well.
    Every other estimate informs its own stratum; one of too few cases says nothing. A component illustrates the same
    stratum of the series of its indicator that are not computed (of all, where all are). Evidence illustrates the
    headline of its indicator and, where it names a group (women and men of a score card included), the stratum of the
    group.
    """
    versions = cells.select("indicator", "official_definition_versions").unique()
    estimates = (
        citizen_side(citizen_estimates)
        .join(_illustrated(mappings), left_on="series", right_on="component", how="left")
        .with_columns(
            pl.col("illustrated").is_not_null().alias("is_component"),
            pl.coalesce("illustrated", "series").alias("series"),
        )
        .join(versions, on="indicator", how="inner")
    )
    says_something = (
        (pl.col("citizen_status") == "estimated")
        & pl.col("citizen_estimate").is_not_null()
        & (pl.col("citizen_reliability") != "too_few_cases").fill_null(False)
    )
    first_year = settings.as_of_year - settings.comparison_window_years
    could_close = (
        comparable()
        & same_definition()
        & pl.col("citizen_year").is_between(first_year, settings.as_of_year)
        & (pl.col("citizen_reliability") == "reliable")
    )
    accepted = accepted_submissions(decisions).with_columns(pl.lit(True).alias("accepted"))
    from_estimates = (
        estimates.filter(says_something)
        .join(accepted, on="submission_id", how="left")
        .select(
            *CELL,
            "submission_id",
            pl.when("is_component")
            .then(EFFECTS.index("illustrates"))
            .when(could_close & pl.col("accepted").fill_null(False))
            .then(EFFECTS.index("closes"))
            .when(could_close)
            .then(EFFECTS.index("could_close"))
            .otherwise(EFFECTS.index("informs"))
            .cast(pl.Int32)
            .alias("strength"),
        )
    )
    evidence = citizen_evidence.lazy().filter(pl.col("comparability").is_in(["D", "E"]))
    group = pl.col("marginalised_group")
    strata = (
        pl.lit(TOTAL),
        pl.when(group.is_in(list(mappings.categories("sex")))).then(pl.format("sex={}", group)),
        pl.when(group.is_in(list(mappings.groups))).then(pl.format("marginalised_group={}", group)),
    )
    from_evidence = (
        pl.concat([evidence.select("iso3", "indicator", "submission_id", item.alias("stratum")) for item in strata])
        .drop_nulls("stratum")
        .unique()
        .join(cells.select(CELL), on=["iso3", "indicator", "stratum"])
        .select(*CELL, "submission_id", pl.lit(EFFECTS.index("illustrates"), dtype=pl.Int32).alias("strength"))
    )
    strongest = pl.col("strength") == pl.col("strength").max()
    return (
        pl.concat([from_estimates, from_evidence])
        .group_by(CELL)
        .agg(
            pl.col("strength").max(),
            pl.col("submission_id").filter(strongest).unique().sort().str.join(",").alias("citizen_submissions"),
        )
        .with_columns(
            pl.col("strength").replace_strict(dict(enumerate(EFFECTS)), return_dtype=pl.String).alias("citizen_effect")
        )
    )
