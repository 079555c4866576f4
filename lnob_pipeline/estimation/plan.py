"""Stage 4's plan: which series and components a survey supports, over which strata, with which weight.

Here: indicator files -> columns of a frame of households or persons -> calls of the engine -> the table
citizen_estimates. Not here: what one row contributes (mappings/measures.py), the arithmetic (engine.py), the Rasch
model (rasch.py), what is said beside a number (describe.py), disclosure (publication). Rules:

- every number comes from the engine: shares are proportions, a mean of shares a combination, means and ratios means and
  ratios of the same frame, a scale the mean of the probabilities of its raw scores;
- a probability sample is weighted: household weight, x household size where the indicator counts persons, x eligible
  adults for the selected respondent; design-based standard errors with lonely clusters adjusted;
- any other sample gives one row a marginalised group, a share of respondents without standard error or interval, and no
  total across groups, because groups were sought out and may overlap;
- a form that lacks a question, a country that lacks a parameter or national weights, and sensitive answers without a
  special protocol give no estimate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from lnob_pipeline.estimation.describe import described
from lnob_pipeline.estimation.design import Design, Estimand, Proportion, Ratio
from lnob_pipeline.estimation.engine import estimate
from lnob_pipeline.estimation.rasch import Scale, fit
from lnob_pipeline.estimation.target import Target
from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.derive import condition
from lnob_pipeline.mappings.expressions import literal, number
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument, Measure
from lnob_pipeline.mappings.strata import TOTAL, Stratum, expected_strata
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest, Sampling
from lnob_pipeline.tables import CITIZEN_ESTIMATES, STRATUM_DIMENSIONS

GROUP = "marginalised_group"
WEIGHTS = {
    "household": "household_weight",
    "household_size": "household_weight * household_size",
    "person": "household_weight",
    "respondent": "household_weight * eligible_adults",
}
DESIGN_COLUMNS = ("stratum", "cluster", "population_clusters")
SOURCES = {
    "households": "households",
    "persons": "persons JOIN households USING (submission_id, household_key)",
}


@dataclass(frozen=True)
class _Frame:
    """One call of the engine: households or persons under one weight, and what is estimated over which strata."""

    rows: str
    weight: str
    targets: tuple[tuple[Target, tuple[Stratum, ...]], ...]


def estimate_submission(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    households: pl.DataFrame,
    persons: pl.DataFrame,
    quarantine_share: float,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """The table CITIZEN_ESTIMATES of one survey, in the unit of each series; empty where nothing is supported.

    households, persons: the harmonised tables of the submission. quarantine_share: rows in quarantine over rows with
    consent, between 0 and 1.
    """
    instrument = mappings.instruments[manifest.instrument]
    probability = manifest.sampling.method == "probability"
    connection.register("households", households)
    connection.register("persons", persons)
    roster = any(record.unit == "person" for record in instrument.records.values())
    groups = _groups_present(connection, mappings, of_households=roster)
    targets = _targets(connection, manifest, instrument, mappings)
    results = [
        _estimates(connection, frame, manifest, groups, mappings)
        for frame in _frames(targets, probability, groups, roster, mappings)
    ]
    connection.unregister("households")
    connection.unregister("persons")
    if not results:
        return CITIZEN_ESTIMATES.empty()
    found = pl.concat(results).filter(pl.col("n") > 0)
    whole = described(found, targets, manifest, instrument, quarantine_share, mappings, settings)
    return whole.select(list(CITIZEN_ESTIMATES.schema)).sort(list(CITIZEN_ESTIMATES.key))


def _targets(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, instrument: Instrument, mappings: Mappings
) -> list[Target]:
    """What the form, the country and the protocol of the hand-in allow to be computed."""
    asked = {column.variable for record in instrument.records.values() for column in record.columns.values()}
    if not manifest.ethics.sensitive_answers_allowed:
        asked -= {name for name, variable in mappings.variables.items() if variable.sensitive}
    found = []
    for indicator in mappings.indicators.values():
        if "household_survey" not in indicator.served_by:
            continue
        for item in indicator.computed.values():
            measure = item.measure
            assert measure is not None
            needed = measures.questions(measure, mappings, optional=False)
            if not needed <= asked or measures.lacking(measure, mappings, manifest.country):
                continue  # half a definition would bias the number
            columns = measures.columns(measure, mappings, manifest.country)
            scale = None
            if measure.rasch:
                scale = _scale(connection, measure, columns, probability=manifest.sampling.method == "probability")
                columns = {"value": _probability(columns, scale)}
            found.append(Target(indicator, item, measure, columns, scale))
    return found


def _scale(
    connection: duckdb.DuckDBPyConnection, measure: Measure, items: dict[str, str], *, probability: bool
) -> Scale:
    """The Rasch model of the whole survey, weighted as the series is where the sample has weights."""
    assert measure.rasch is not None
    source = SOURCES["households" if measure.unit == "household" else "persons"]
    weight = WEIGHTS[measure.weight] if probability else "1e0"
    columns = ", ".join(f"{sql} AS {name}" for name, sql in items.items())
    rows = connection.sql(f"SELECT {columns}, {weight} AS weight_ FROM {source}").pl()
    return fit(rows, measure.rasch.items, measure.rasch.threshold)


def _probability(items: dict[str, str], scale: Scale) -> str:
    """SQL: the probability of a row to lie above the threshold, by its raw score; NULL where an item is unknown.

    Zero where there is no scale: then the rows are counted and nothing else is said (describe.py).
    """
    raw = " + ".join(f"CAST({sql} AS INTEGER)" for sql in items.values())
    values = scale.probability if scale.problem is None else [0.0] * (len(items) + 1)
    whens = " ".join(f"WHEN {score} THEN {number(float(value))}" for score, value in enumerate(values))
    return f"CASE {raw} {whens} END"


def _groups_present(connection: duckdb.DuckDBPyConnection, mappings: Mappings, *, of_households: bool) -> list[str]:
    """The groups that occur. A form with a roster asks the household, and cannot say who of its members is meant."""
    rows = connection.execute(
        "SELECT DISTINCT unnest(string_split(marginalised_groups, ' ')) FROM households"
    ).fetchall()
    occurring = {code for (code,) in rows}
    return [
        code
        for code, group in mappings.groups.items()
        if code in occurring and (group.unit == "household" or not of_households)
    ]


def _frames(
    targets: Sequence[Target], probability: bool, groups: list[str], roster: bool, mappings: Mappings
) -> list[_Frame]:
    """The frames: household measures by sex, age and disability count the persons of the roster."""
    found: dict[tuple[str, str], list[tuple[Target, tuple[Stratum, ...]]]] = defaultdict(list)
    for target in targets:
        wanted = expected_strata(target.indicator, mappings)
        strata = tuple(stratum for stratum in wanted if _wanted(stratum, probability, groups))
        if target.measure.unit != "household":
            found["persons", target.measure.weight] += [(target, strata)] if strata else []
            continue
        personal = tuple(s for s in strata if any(mappings.breakdowns[d].unit != "household" for d in s.dimensions))
        if of_households := tuple(stratum for stratum in strata if stratum not in personal):
            found["households", target.measure.weight].append((target, of_households))
        if personal and roster and target.measure.weight == "household_size":
            found["persons", "person"].append((target, personal))
    return [_Frame(rows, weight, tuple(chosen)) for (rows, weight), chosen in found.items() if chosen]


def _wanted(stratum: Stratum, probability: bool, groups: list[str]) -> bool:
    """Groups that occur; without a probability sample nothing but groups."""
    if stratum.dimensions == (GROUP,):
        return stratum.cells[0][1] in groups
    return probability


def _estimates(
    connection: duckdb.DuckDBPyConnection, frame: _Frame, manifest: Manifest, groups: list[str], mappings: Mappings
) -> pl.DataFrame:
    """One call of the engine for a frame: series, stratum, dimensions and the numbers."""
    targets = [target for target, _ in frame.targets]
    rows = _rows(connection, frame, targets, groups, manifest.country, mappings)
    probability = manifest.sampling.method == "probability"
    if probability:
        # A person who is not the respondent has no answer, and one of a household whose size or number of adults is
        # not known has no weight here; weight zero keeps the cluster in the design.
        rows = rows.with_columns(pl.col("weight_").fill_null(0.0))
    breakdowns = _breakdowns(frame, groups)
    design = _design(rows, manifest.sampling) if probability else None
    estimands: list[Estimand] = [target.estimand for target in targets]
    counted = [target for target in targets if target.quantity and target.scale is None]
    estimands += [Proportion(f"n_{target.code}", "1", name=f"{target.code} rows") for target in counted]
    of_size = frame.weight == "household_size" and rows["household_size"].null_count() < rows.height
    in_persons = not probability and of_size
    if in_persons:
        rows = rows.with_columns(column for target in targets for column in _members(target))
        estimands += [ratio for target in targets for ratio in _ratios_of_members(target)]
    found = estimate(rows, design, estimands, breakdowns, intervals=("logit", "t"), connection=connection)
    by = [name for name in found.columns if name.startswith(("by_", "group_"))]
    found = _with_counts(found.with_columns(counts=pl.lit("units")), by)
    if in_persons:
        found = _shares_of_members(found, by)
    found = _with_largest_shares(found, rows, targets, breakdowns, by, in_persons=in_persons)
    if frame.rows == "persons" and any(target.measure.unit == "household" for target in targets):
        found = _counted_in_households(found, rows, targets, breakdowns, by)
    return _with_strata(found, frame, groups, mappings)


def _rows(
    connection: duckdb.DuckDBPyConnection,
    frame: _Frame,
    targets: Sequence[Target],
    groups: list[str],
    iso3: str,
    mappings: Mappings,
) -> pl.DataFrame:
    """The frame: design, weight_, by_<breakdown>, group_<group>, y_<code>_<suffix> and n_<code>."""
    parameters = mappings.parameters_of(iso3)
    columns = [
        *(f"CASE WHEN {name} <> '' THEN {name} END AS {name}_" for name in DESIGN_COLUMNS[:2]),
        "population_clusters",
        f"{WEIGHTS[frame.weight]} AS weight_",
        "household_size",
        "household_key",
    ]
    for name, breakdown in mappings.breakdowns.items():
        if name != GROUP and (frame.rows == "persons" or breakdown.unit == "household"):
            whens = " ".join(
                f"WHEN {condition(category.when, mappings, parameters)} THEN {literal(code)}"
                for code, category in mappings.categories(name).items()
            )
            columns.append(f"CASE {whens} END AS by_{name}")
    for group in groups:
        when = condition(mappings.categories(GROUP)[group].when, mappings, parameters)
        columns.append(f"CASE WHEN {when} THEN {literal(group)} END AS group_{group}")
    columns += [f"{sql} AS {target.name(suffix)}" for target in targets for suffix, sql in target.columns.items()]
    order = "household_key" if frame.rows == "households" else "household_key, person_key"
    counted = ", ".join(f"{target.counted} AS n_{target.code}" for target in targets)
    query = f"SELECT {', '.join(columns)} FROM {SOURCES[frame.rows]} ORDER BY {order}"
    return connection.sql(f"SELECT *, {counted} FROM ({query})").pl()


def _breakdowns(frame: _Frame, groups: list[str]) -> list[tuple[str, ...]]:
    wanted: dict[tuple[str, ...], None] = {}
    for _, strata in frame.targets:
        for stratum in strata:
            if stratum.dimensions == (GROUP,):
                wanted[f"group_{stratum.cells[0][1]}",] = None
            else:
                wanted[tuple(f"by_{name}" for name in stratum.dimensions)] = None
    return list(wanted)


def _design(rows: pl.DataFrame, sampling: Sampling) -> Design:
    """The design as far as the form carries it: strata (where there are several), first-stage clusters, population.

    The finite population is used for samples of one stage only: with several, leaving out what the later stages add
    would make the standard error too small.
    """
    strata = rows["stratum_"].drop_nulls().n_unique() > 1
    clusters = rows["cluster_"].null_count() < rows.height
    population = sampling.stages == 1 and clusters and rows["population_clusters"].null_count() == 0
    return Design(
        clusters=["cluster_"] if clusters else [],
        strata=["stratum_"] if strata else [],
        weights="weight_",
        population_sizes=["population_clusters"] if population else [],
        lonely_psu="adjust",
    )


def _with_counts(found: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Put the counts of a number's rows (those that are not zero, and all) in the place of the engine's."""
    is_count = pl.col("estimand").str.ends_with(" rows")
    counts = found.filter(is_count).select(
        *by,
        pl.col("estimand").str.strip_suffix(" rows"),
        pl.col("n").alias("n_counted"),
        pl.col("n_numerator").alias("n_not_zero"),
    )
    joined = found.filter(~is_count).join(counts, on=[*by, "estimand"], how="left", nulls_equal=True)
    return joined.with_columns(
        n=pl.coalesce("n_counted", "n"), n_numerator=pl.coalesce("n_numerator", "n_not_zero")
    ).drop("n_counted", "n_not_zero")


def _members(target: Target) -> list[pl.Expr]:
    """Columns that count the members of the interviewed households where nothing weights them."""
    size = pl.col("household_size")
    found = []
    for name in target.names:
        answer = pl.col(name)
        value = answer if target.quantity else pl.when(answer == "1").then(1.0).when(answer == "0").then(0.0)
        found += [(value * size).alias(f"{name} of"), pl.when(answer.is_not_null()).then(size).alias(f"{name} members")]
    return found


def _ratios_of_members(target: Target) -> list[Ratio]:
    name = f"{target.code} members"
    if isinstance(target.estimand, Ratio):
        numerator, denominator = (f"{column} of" for column in target.names)
        return [Ratio(numerator, denominator, name=name)]
    return [Ratio(f"{column} of", f"{column} members", name=name) for column in target.names]


def _shares_of_members(found: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Put the figure of members in the place of that of households; n stays the number of households."""
    is_of_members = pl.col("estimand").str.ends_with(" members")
    members = (
        found.filter(is_of_members)
        .group_by(*by, pl.col("estimand").str.strip_suffix(" members"), maintain_order=True)
        .agg(pl.col("est").mean().alias("of_members"))
    )
    joined = found.filter(~is_of_members).join(members, on=[*by, "estimand"], how="left", nulls_equal=True)
    return joined.with_columns(est=pl.col("of_members"), counts=pl.lit("members")).drop("of_members")


def _with_largest_shares(
    found: pl.DataFrame,
    rows: pl.DataFrame,
    targets: Sequence[Target],
    breakdowns: list[tuple[str, ...]],
    by: list[str],
    *,
    in_persons: bool,
) -> pl.DataFrame:
    """Add what one unit, and two, carry of the numerator of a mean or ratio: parts of 1, null for shares and scales.

    A unit is a household where its members share one answer. With the weights and without them, whichever is more.
    """
    schema = {"estimand": pl.String, "largest_share": pl.Float64, "two_largest_share": pl.Float64}
    parts = [pl.DataFrame(schema=schema)]
    weight = pl.col("weight_").cast(pl.Float64)
    if in_persons:
        weight = weight * pl.col("household_size")
    for target in targets:
        if not target.quantity or target.scale is not None:
            continue
        name = target.name("numerator" if "numerator" in target.columns else "value")
        unit = ["household_key"] if target.measure.unit == "household" else []
        amounts = rows.filter((weight > 0) & pl.col(name).is_not_null()).with_columns(
            plain=pl.col(name).abs(), weighted=pl.col(name).abs() * weight
        )
        for breakdown in breakdowns:
            inside = amounts.drop_nulls(list(breakdown))
            units = inside.group_by(*breakdown, *unit).agg(pl.col("plain", "weighted").sum()) if unit else inside
            shares = [
                pl.max_horizontal(pl.col(kind).top_k(most).sum() / pl.col(kind).sum() for kind in ("plain", "weighted"))
                .fill_nan(None)
                .alias(column)
                for most, column in ((1, "largest_share"), (2, "two_largest_share"))
            ]
            grouped = units.group_by(breakdown).agg(shares) if breakdown else units.select(shares)
            parts.append(grouped.with_columns(estimand=pl.lit(target.code)))
    shares_of = pl.concat(parts, how="diagonal")
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in by if name not in shares_of.columns]
    return found.join(shares_of.with_columns(missing), on=[*by, "estimand"], how="left", nulls_equal=True)


def _counted_in_households(
    found: pl.DataFrame,
    rows: pl.DataFrame,
    targets: Sequence[Target],
    breakdowns: list[tuple[str, ...]],
    by: list[str],
) -> pl.DataFrame:
    """N and n_numerator as households: the members of one household share one answer, and do not make it safer."""
    counts = []
    for breakdown in breakdowns:
        inside = rows.filter(pl.col("weight_") > 0).drop_nulls(list(breakdown))
        for target in targets:
            if target.measure.unit != "household":
                continue
            answer, household = pl.col(f"n_{target.code}"), pl.col("household_key")
            counted = [
                household.filter(answer.is_not_null()).n_unique().cast(pl.Int64).alias("n_households"),
                household.filter(answer == "1").n_unique().cast(pl.Int64).alias("n_served"),
            ]
            grouped = inside.group_by(breakdown).agg(counted) if breakdown else inside.select(counted)
            counts.append(grouped.with_columns(estimand=pl.lit(target.code)))
    keys = [*by, "estimand"]
    joined = found.join(pl.concat(counts, how="diagonal"), on=keys, how="left", nulls_equal=True)
    return joined.with_columns(
        n=pl.coalesce("n_households", "n"),
        n_numerator=pl.when(pl.col("n_numerator").is_not_null()).then(pl.coalesce("n_served", "n_numerator")),
    ).drop("n_households", "n_served")


def _with_strata(found: pl.DataFrame, frame: _Frame, groups: list[str], mappings: Mappings) -> pl.DataFrame:
    """Engine rows -> series, stratum and its dimensions, keeping the strata that were asked for."""
    flags = [f"group_{group}" for group in groups if f"group_{group}" in found.columns]
    cells = {
        name: pl.col(f"by_{name}") if f"by_{name}" in found.columns else pl.lit(None, dtype=pl.String)
        for name in mappings.breakdowns
        if name != GROUP
    }
    cells[GROUP] = pl.coalesce(flags) if flags else pl.lit(None, dtype=pl.String)
    asked = pl.DataFrame(
        [(target.code, str(stratum)) for target, strata in frame.targets for stratum in strata],
        schema={"series": pl.String, "stratum": pl.String},
        orient="row",
    )
    named = found.with_columns(
        **{name: expression.fill_null(TOTAL) for name, expression in cells.items()}, series=pl.col("estimand")
    ).with_columns(stratum=stratum_text())
    numbers = ("est", "se", "ci_logit_low", "ci_logit_high", "ci_t_low", "ci_t_high", "deff")
    return named.join(asked, on=["series", "stratum"], how="inner").select(
        "series",
        "stratum",
        *STRATUM_DIMENSIONS,
        pl.col("n", "n_numerator", "n_psu", "df").cast(pl.Int32),
        *(pl.col(name).cast(pl.Float64) for name in numbers),
        "status",
        "counts",
        "largest_share",
        "two_largest_share",
    )


def stratum_text() -> pl.Expr:
    """The stratum as text from its dimension columns: name=code joined by ';', `_T` for the headline."""
    parts = [
        pl.when(pl.col(name) != TOTAL).then(pl.concat_str(pl.lit(f"{name}="), pl.col(name)))
        for name in STRATUM_DIMENSIONS
    ]
    text = pl.concat_str(parts, separator=";", ignore_nulls=True)
    return pl.when(text == "").then(pl.lit(TOTAL)).otherwise(text)
