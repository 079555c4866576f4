"""Stage 4's plan: which indicators and strata a survey supports, with which weight, and in which class.

Here: indicator files -> columns of zeros and ones -> calls of the engine -> the table citizen_estimates. Not here: the
arithmetic (engine.py), fitness to publish (reliability.py), disclosure (publication). Rules:

- a probability sample is weighted: household weight, x household size where the indicator counts persons, x eligible
  adults for the selected respondent; design-based standard errors with lonely clusters adjusted;
- any other sample gives one row a marginalised group, a share of respondents without standard error or interval, and no
  total across groups, because groups were sought out and may overlap;
- class A: exact definition, probability sample, few rows in quarantine; B: exact definition, another sample; C: adapted
  definition, proxy answers, or wealth quintiles within a sub-national sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import polars as pl

from lnob_pipeline.estimation.design import Combination, Design, Proportion, Ratio
from lnob_pipeline.estimation.engine import estimate
from lnob_pipeline.estimation.reliability import reliability
from lnob_pipeline.mappings.expressions import literal, parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator, Instrument, Measure, Series, Share
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
DECIMALS = 9
WIDE, NARROW, RELATIVELY_WIDE = 0.30, 0.05, 1.30
DESIGN_COLUMNS = ("stratum", "cluster", "population_clusters")


@dataclass(frozen=True)
class _Target:
    """One series of one indicator, to be estimated over one frame."""

    indicator: Indicator
    series: Series
    strata: tuple[Stratum, ...]


def estimate_submission(
    connection: duckdb.DuckDBPyConnection,
    manifest: Manifest,
    households: pl.DataFrame,
    persons: pl.DataFrame,
    quarantine_share: float,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """The table CITIZEN_ESTIMATES of one survey: percent and percentage points; empty where nothing is supported.

    households, persons: the harmonised tables of the submission. quarantine_share: rows in quarantine over rows with
    consent, between 0 and 1.
    """
    instrument = mappings.instruments[manifest.instrument]
    probability = manifest.sampling.method == "probability"
    connection.register("households", households)
    connection.register("persons", persons)
    roster = any(record.unit == "person" for record in instrument.records.values())
    groups = _groups_present(connection, mappings, of_households=roster)
    frames: dict[tuple[str, str], list[_Target]] = defaultdict(list)
    for indicator in mappings.indicators.values():
        if "household_survey" not in indicator.served_by:
            continue
        strata = [item for item in expected_strata(indicator, mappings) if _wanted(item, probability, groups)]
        for series in indicator.series:
            if not _answered(series.measure, instrument, mappings):
                continue
            for frame, weight, chosen in _frames(series.measure, strata, roster, mappings):
                frames[frame, weight].append(_Target(indicator, series, tuple(chosen)))
    results = [
        _estimates(connection, frame, weight, targets, manifest.sampling, groups, mappings)
        for (frame, weight), targets in frames.items()
    ]
    connection.unregister("households")
    connection.unregister("persons")
    if not results:
        return CITIZEN_ESTIMATES.empty()
    found = pl.concat(results).filter(pl.col("n") > 0)
    judged = _judged(found, manifest, instrument, quarantine_share, mappings, settings)
    return judged.select(list(CITIZEN_ESTIMATES.schema)).sort(list(CITIZEN_ESTIMATES.key))


def questions(share: Share, mappings: Mappings, *, optional: bool = True) -> set[str]:
    """The questions behind a share: derived variables are followed down to what was asked."""
    return _asked(parse(share.universe).variables | parse(share.numerator).variables, mappings, optional=optional)


def _asked(names: Iterable[str], mappings: Mappings, *, optional: bool = True) -> set[str]:
    asked: set[str] = set()
    for name in names:
        derived = mappings.derived.get(name)
        if derived is None:
            asked.add(name if name in mappings.variables else name.removesuffix("_missing"))
            continue
        inner = parse(derived.expression).variables - (set() if optional else set(derived.optional))
        asked |= _asked(inner, mappings, optional=optional)
    return asked


def _mapped(instrument: Instrument) -> dict[str, str]:
    """Variable -> who answers it (self, proxy, head) for every variable the instrument maps."""
    return {
        column.variable: column.reported_by
        for record in instrument.records.values()
        for column in record.columns.values()
        if column.variable
    }


def _answered(measure: Measure, instrument: Instrument, mappings: Mappings) -> bool:
    """Whether the form asks every question that the measure needs: half a definition would bias the share."""
    needed = set().union(*(questions(share, mappings, optional=False) for share in measure.shares))
    return needed <= set(_mapped(instrument))


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


def _wanted(stratum: Stratum, probability: bool, groups: list[str]) -> bool:
    """Groups that occur; without a probability sample nothing but groups."""
    if stratum.dimensions == (GROUP,):
        return stratum.cells[0][1] in groups
    return probability


def _frames(
    measure: Measure, strata: Sequence[Stratum], roster: bool, mappings: Mappings
) -> list[tuple[str, str, list[Stratum]]]:
    """(frame, weight, strata) of a measure: household measures by sex, age, disability count the roster's persons."""
    if measure.unit != "household":
        return [("persons", measure.weight, list(strata))]
    personal = [s for s in strata if any(mappings.breakdowns[name].unit != "household" for name in s.dimensions)]
    frames = [("households", measure.weight, [s for s in strata if s not in personal])]
    if roster and measure.weight == "household_size":
        frames.append(("persons", "person", personal))
    return [item for item in frames if item[2]]


def _zero_one(share: Share, unit: str) -> str:
    """SQL: '1' in the numerator, '0' in the denominator only, NULL outside (universe, missing answers, not asked)."""
    numerator, universe = parse(share.numerator), parse(share.universe)
    out = [kind for kind, rule in share.missing.items() if rule == "exclude"]
    stays = [kind for kind, rule in share.missing.items() if rule == "not_in_numerator"]
    variables = sorted(numerator.variables)
    whens = [f"WHEN NOT coalesce({universe.sql}, FALSE) THEN NULL"]
    if unit == "respondent":
        whens.insert(0, "WHEN is_respondent IS DISTINCT FROM 'yes' THEN NULL")
    whens += [f"WHEN {quoted(name)} IS NULL THEN NULL" for name in variables]
    whens += [f"WHEN {quoted(name)} IN ({', '.join(map(literal, out))}) THEN NULL" for name in variables if out]
    whens += [f"WHEN {quoted(name)} IN ({', '.join(map(literal, stays))}) THEN '0'" for name in variables if stays]
    return f"CASE {' '.join(whens)} WHEN {numerator.sql} THEN '1' ELSE '0' END"


def _estimates(
    connection: duckdb.DuckDBPyConnection,
    frame: str,
    weight: str,
    targets: list[_Target],
    sampling: Sampling,
    groups: list[str],
    mappings: Mappings,
) -> pl.DataFrame:
    """One call of the engine for all series of a frame and a weight: series, stratum, dimensions and the numbers."""
    dimensions = [name for name in mappings.breakdowns if name != GROUP]
    usable = [name for name in dimensions if frame == "persons" or mappings.breakdowns[name].unit == "household"]
    columns = [
        *(f"CASE WHEN {name} <> '' THEN {name} END AS {name}_" for name in DESIGN_COLUMNS[:2]),
        "population_clusters",
    ]
    columns += [f"{WEIGHTS[weight]} AS weight_", "household_size", "household_key"]
    for name in usable:
        whens = " ".join(
            f"WHEN {parse(category.when).sql} THEN {literal(code)}"
            for code, category in mappings.categories(name).items()
        )
        columns.append(f"CASE {whens} END AS by_{name}")
    for group in groups:
        columns.append(
            f"CASE WHEN {parse(mappings.categories(GROUP)[group].when).sql} THEN {literal(group)} END AS group_{group}"
        )
    estimands: list[Proportion | Combination | Ratio] = []
    for target in targets:
        shares = []
        for number, share in enumerate(target.series.measure.shares):
            name = f"y_{target.series.code}_{number}"
            columns.append(f"{_zero_one(share, target.series.measure.unit)} AS {name}")
            shares.append(name)
        parts = [Proportion(name, "1") for name in shares]
        if len(parts) == 1:
            estimands.append(Proportion(shares[0], "1", name=target.series.code))
        else:
            estimands.append(Combination(parts, name=target.series.code))
    joined = "households" if frame == "households" else "persons JOIN households USING (submission_id, household_key)"
    order = "household_key" if frame == "households" else "household_key, person_key"
    rows = connection.sql(f"SELECT {', '.join(columns)} FROM {joined} ORDER BY {order}").pl()
    probability = sampling.method == "probability"
    if probability:
        # A person who is not the respondent has no answer, and one of a household whose size or number of adults is
        # not known has no weight here; weight zero keeps the cluster in the design.
        rows = rows.with_columns(pl.col("weight_").fill_null(0.0))
    breakdowns = _breakdowns(targets, groups)
    design = _design(rows, sampling) if probability else None
    in_persons = not probability and weight == "household_size" and rows["household_size"].null_count() < rows.height
    if in_persons:
        rows, ratios = _with_members(rows, targets)
        estimands += ratios
    found = estimate(rows, design, estimands, breakdowns, intervals=("logit",), connection=connection)
    found = found.with_columns(counts=pl.lit("units"))
    if in_persons:
        found = _shares_of_members(found, _by(breakdowns))
    of_households = [target for target in targets if target.series.measure.unit == "household"]
    if frame == "persons" and of_households:
        found = _counted_in_households(found, rows, of_households, breakdowns)
    return _with_strata(found, targets, groups, mappings)


def _by(breakdowns: list[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(name for breakdown in breakdowns for name in breakdown))


def _with_members(rows: pl.DataFrame, targets: list[_Target]) -> tuple[pl.DataFrame, list[Ratio]]:
    """Columns and ratios that count the members of the interviewed households where nothing weights them."""
    columns, ratios = [], []
    for target in targets:
        code = target.series.code
        answer = pl.col(f"y_{code}_0")
        members = pl.when(answer.is_not_null()).then(pl.col("household_size"))
        columns += [
            members.alias(f"members_{code}"),
            pl.when(answer == "1").then(members).when(answer == "0").then(0.0).alias(f"served_{code}"),
        ]
        ratios.append(Ratio(f"served_{code}", f"members_{code}", name=f"{code} members"))
    return rows.with_columns(columns), ratios


def _shares_of_members(found: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Put the share of members in the place of the share of households; n stays the number of households."""
    members = found.filter(pl.col("estimand").str.ends_with(" members")).select(
        *by, pl.col("estimand").str.strip_suffix(" members"), pl.col("est").alias("of_members")
    )
    households = found.filter(~pl.col("estimand").str.ends_with(" members"))
    joined = households.join(members, on=[*by, "estimand"], how="left", nulls_equal=True)
    return joined.with_columns(est=pl.col("of_members"), counts=pl.lit("members")).drop("of_members")


def _counted_in_households(
    found: pl.DataFrame, rows: pl.DataFrame, targets: list[_Target], breakdowns: list[tuple[str, ...]]
) -> pl.DataFrame:
    """N and n_numerator as households: the members of one household share one answer, and do not make it safer."""
    counts = []
    for breakdown in breakdowns:
        inside = rows.filter(pl.col("weight_") > 0).drop_nulls(list(breakdown))
        for target in targets:
            answer = pl.col(f"y_{target.series.code}_0")
            counted = [
                pl.col("household_key").filter(answer.is_not_null()).n_unique().cast(pl.Int64).alias("n_households"),
                pl.col("household_key").filter(answer == "1").n_unique().cast(pl.Int64).alias("n_served"),
            ]
            grouped = inside.group_by(breakdown).agg(counted) if breakdown else inside.select(counted)
            counts.append(grouped.with_columns(estimand=pl.lit(target.series.code)))
    keys = [*_by(breakdowns), "estimand"]
    joined = found.join(pl.concat(counts, how="diagonal"), on=keys, how="left", nulls_equal=True)
    return joined.with_columns(
        n=pl.coalesce("n_households", "n"), n_numerator=pl.coalesce("n_served", "n_numerator")
    ).drop("n_households", "n_served")


def _breakdowns(targets: list[_Target], groups: list[str]) -> list[tuple[str, ...]]:
    wanted: dict[tuple[str, ...], None] = {}
    for target in targets:
        for stratum in target.strata:
            if stratum.dimensions == (GROUP,):
                wanted[(f"group_{stratum.cells[0][1]}",)] = None
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


def _with_strata(found: pl.DataFrame, targets: list[_Target], groups: list[str], mappings: Mappings) -> pl.DataFrame:
    """Engine rows -> series, stratum and its dimensions, keeping the strata that were asked for."""
    flags = [f"group_{group}" for group in groups if f"group_{group}" in found.columns]
    cells = {
        name: pl.col(f"by_{name}") if f"by_{name}" in found.columns else pl.lit(None, dtype=pl.String)
        for name in mappings.breakdowns
        if name != GROUP
    }
    cells[GROUP] = pl.coalesce(flags) if flags else pl.lit(None, dtype=pl.String)
    asked = pl.DataFrame(
        [(target.series.code, target.indicator.indicator, str(item)) for target in targets for item in target.strata],
        schema=["series", "indicator", "stratum"],
        orient="row",
    )
    named = found.with_columns(
        **{name: expression.fill_null(TOTAL) for name, expression in cells.items()}, series=pl.col("estimand")
    ).with_columns(stratum=stratum_text())
    return named.join(asked, on=["series", "stratum"], how="inner").select(
        "indicator",
        "series",
        "stratum",
        *STRATUM_DIMENSIONS,
        pl.col("n", "n_numerator").cast(pl.Int32),
        pl.col("n_psu", "df").cast(pl.Int32),
        *(pl.col(name).cast(pl.Float64) for name in ("est", "se", "ci_logit_low", "ci_logit_high", "deff")),
        "status",
        "counts",
    )


def stratum_text() -> pl.Expr:
    """The stratum as text from its dimension columns: name=code joined by ';', `_T` for the headline."""
    parts = [
        pl.when(pl.col(name) != TOTAL).then(pl.concat_str(pl.lit(f"{name}="), pl.col(name)))
        for name in STRATUM_DIMENSIONS
    ]
    text = pl.concat_str(parts, separator=";", ignore_nulls=True)
    return pl.when(text == "").then(pl.lit(TOTAL)).otherwise(text)


def _judged(
    found: pl.DataFrame,
    manifest: Manifest,
    instrument: Instrument,
    quarantine_share: float,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """Add reliability, comparability, who the number speaks of, and lineage."""
    probability = manifest.sampling.method == "probability"
    area = ",".join(manifest.geography.admin1) if manifest.disclosure.place else None
    found = _with_caution(reliability(found.with_columns(cv=pl.col("se") / pl.col("est")), profile="dhs"))
    lineage = _lineage(instrument, mappings)
    joined = found.join(lineage, on="series", how="left")
    few_rows = quarantine_share > settings.quarantine_share_limit
    national = manifest.geography.level == "national"
    sample = {
        "probability": "probability sample",
        "census": "every member of the group was asked, not a sample of the area",
        "open_call": "open call, respondents chose themselves",
    }.get(manifest.sampling.method, f"{manifest.sampling.method} sample of named groups")
    wealth = (pl.col("wealth") != TOTAL) & (not national)
    reason = (
        pl.when(pl.col("adapted").is_not_null())
        .then(pl.concat_str(pl.lit("adapted definition: "), pl.col("adapted")))
        .when(wealth)
        .then(pl.lit("wealth quintiles within a sample that is not national"))
        .when(pl.lit(not probability))
        .then(pl.lit(f"same definition, {sample}"))
        .when(pl.lit(few_rows))
        .then(pl.lit(f"same definition, but {quarantine_share:.0%} of the rows are in quarantine"))
        .otherwise(pl.lit(f"same definition, {sample}, representative of the stated area"))
    )
    letter = (
        pl.when(pl.col("adapted").is_not_null() | wealth)
        .then(pl.lit("C"))
        .when(pl.lit(probability and not few_rows))
        .then(pl.lit("A"))
        .otherwise(pl.lit("B"))
    )
    unit = pl.col("unit")
    people = unit.replace_strict({"household": "persons", "person": "persons", "respondent": "adults"})
    interviewed = (
        pl.when(unit != "household")
        .then(unit.replace_strict({"household": "", "person": "persons", "respondent": "adults"}))
        .when(pl.col("counts") == "members")
        .then(pl.lit("members of interviewed households"))
        .otherwise(pl.lit("interviewed households, not their members,"))
    )
    population = (
        pl.concat_str(people, pl.lit(f" ({manifest.population})"))
        if probability
        else pl.concat_str(interviewed, pl.lit(" of the group, a share of respondents"))
    )
    percent = {"estimate": "est", "standard_error": "se", "ci_low": "ci_logit_low", "ci_high": "ci_logit_high"}
    # Rounded far beyond what is shown, so that the last bits of another processor do not change a release.
    return joined.with_columns(
        *(pl.col(source).mul(100).round(DECIMALS).alias(name) for name, source in percent.items()),
        submission_id=pl.lit(manifest.submission),
        iso3=pl.lit(manifest.country),
        year=pl.lit(manifest.year, dtype=pl.Int32),
        area_level=pl.lit(manifest.geography.level),
        area=pl.lit(area, dtype=pl.String),
        population=population,
        n_clusters=pl.col("n_psu"),
        degrees_of_freedom=pl.col("df"),
        design_effect=pl.col("deff").round(DECIMALS),
        comparability=letter,
        comparability_reason=reason,
        sampling_method=pl.lit(manifest.sampling.method),
        status=pl.col("status").replace({"ok": "estimated", "not_probability": "estimated", "degenerate": "estimated"}),
        instrument=pl.lit(instrument.instrument),
        sensitive=pl.col("sensitive_indicator")
        | pl.col(GROUP).is_in([code for code, group in mappings.groups.items() if group.sensitive]),
    )


def _with_caution(found: pl.DataFrame) -> pl.DataFrame:
    """A reliable row whose interval is wide is used with caution: enough cases do not make an estimate precise.

    Wide: 30 points, or more than 5 points and 130 % of the estimate (NCHS data presentation standards for proportions,
    2017, there for intervals by Korn and Graubard).
    """
    width = pl.col("ci_logit_high") - pl.col("ci_logit_low")
    wide = (width >= WIDE) | ((width > NARROW) & (width > RELATIVELY_WIDE * pl.col("est")))
    imprecise = (pl.col("reliability") == "reliable") & wide.fill_null(value=False)
    return found.with_columns(
        reliability=pl.when(imprecise).then(pl.lit("use_with_caution")).otherwise(pl.col("reliability"))
    )


def _lineage(instrument: Instrument, mappings: Mappings) -> pl.DataFrame:
    """Series -> definition, questions, why adapted, mapping version."""
    reported_by = _mapped(instrument)
    rows = []
    for indicator in mappings.indicators.values():
        for series in indicator.series:
            asked = sorted(set().union(*(questions(share, mappings) for share in series.measure.shares)))
            answers = _asked(
                {name for share in series.measure.shares for name in parse(share.numerator).variables}, mappings
            )
            proxies = sorted(name for name in answers if reported_by.get(name, "self") != "self")
            because = series.adapted_because
            if because is None and series.measure.self_report and proxies:
                because = f"answered by somebody else: {', '.join(proxies)}"
            version = mappings.version(
                f"indicators/{indicator.goal}/{indicator.indicator}.yaml",
                f"instruments/{instrument.instrument}.yaml",
                "variables/",
                "groups.yaml",
                "breakdowns.yaml",
            )
            rows.append(
                (
                    series.code,
                    indicator.definition_version,
                    ",".join(name for name in asked if name in reported_by),
                    because,
                    version,
                    series.measure.unit,
                    indicator.sensitive,
                )
            )
    names = ["series", "definition_version", "questions", "adapted", "mapping_version", "unit", "sensitive_indicator"]
    kinds = {name: pl.Boolean if name == "sensitive_indicator" else pl.String for name in names}
    return pl.DataFrame(rows, schema=kinds, orient="row")
