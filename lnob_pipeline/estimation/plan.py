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

from lnob_pipeline.estimation.design import Combination, Design, Proportion
from lnob_pipeline.estimation.engine import estimate
from lnob_pipeline.estimation.reliability import reliability
from lnob_pipeline.mappings.expressions import literal, parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator, Instrument, Measure, Series, Share
from lnob_pipeline.mappings.strata import TOTAL, Stratum, expected_strata
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import CITIZEN_ESTIMATES, STRATUM_DIMENSIONS

GROUP = "marginalised_group"
WEIGHTS = {
    "household": "household_weight",
    "household_size": "household_weight * household_size",
    "person": "household_weight",
    "respondent": "household_weight * eligible_adults",
}
DECIMALS = 9
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
    groups = _groups_present(connection, mappings)
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
        _estimates(connection, frame, weight, targets, probability, groups, mappings)
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


def _groups_present(connection: duckdb.DuckDBPyConnection, mappings: Mappings) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT unnest(string_split(marginalised_groups, ' ')) FROM households"
    ).fetchall()
    return [code for code in mappings.groups if (code,) in set(rows)]


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
    probability: bool,
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
    columns.append(f"{WEIGHTS[weight]} AS weight_")
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
    estimands: list[Proportion | Combination] = []
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
    if weight == "respondent" and probability:
        # A person who is not the respondent has no answer; weight zero keeps the cluster in the design.
        rows = rows.with_columns(pl.col("weight_").fill_null(0.0))
    breakdowns = _breakdowns(targets, groups)
    design = _design(rows) if probability else None
    found = estimate(rows, design, estimands, breakdowns, intervals=("logit", "t"), connection=connection)
    return _with_strata(found, targets, groups, mappings)


def _breakdowns(targets: list[_Target], groups: list[str]) -> list[tuple[str, ...]]:
    wanted: dict[tuple[str, ...], None] = {}
    for target in targets:
        for stratum in target.strata:
            if stratum.dimensions == (GROUP,):
                wanted[(f"group_{stratum.cells[0][1]}",)] = None
            else:
                wanted[tuple(f"by_{name}" for name in stratum.dimensions)] = None
    return list(wanted)


def _design(rows: pl.DataFrame) -> Design:
    """The design as far as the form carries it: strata (where there are several), first-stage clusters, population."""
    strata = rows["stratum_"].drop_nulls().n_unique() > 1
    clusters = rows["cluster_"].null_count() < rows.height
    population = clusters and rows["population_clusters"].null_count() == 0
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
        *(pl.col(name).cast(pl.Float64) for name in ("est", "se", "ci_logit_low", "ci_logit_high", "ci_t_low", "deff")),
        "status",
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
    found = reliability(found, profile="dhs")
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
    who = pl.col("unit").replace_strict({"household": "households", "person": "persons", "respondent": "respondents"})
    persons = pl.when(pl.col("unit") == "household").then(pl.lit("persons")).otherwise(who)
    population = (
        pl.concat_str(persons, pl.lit(f" ({manifest.population})"))
        if probability
        else pl.concat_str(pl.lit("interviewed "), who, pl.lit(" of the group, a share of respondents"))
    )
    # Both ends 0 % and 100 % have no logit interval; the t interval is a point there and is not shown either.
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
