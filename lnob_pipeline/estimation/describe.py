"""What is said beside a number: its unit, how fit it is, how far it compares, whom it speaks of, where it comes from.

Here: from shares and means of the engine to the columns of citizen_estimates. Not here: which numbers there are
(plan.py), the rule of comparability (comparability.py), the reliability profiles (reliability.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lnob_pipeline.estimation.comparability import Facts, Match, comparability
from lnob_pipeline.estimation.reliability import PROFILES, reliability
from lnob_pipeline.estimation.target import Target
from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Component, Instrument, Series
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest

DECIMALS = 9
WIDE, NARROW, RELATIVELY_WIDE = 0.30, 0.05, 1.30
PERCENT = "PERCENT"
NUMBERS = {"estimate": "est", "standard_error": "se", "ci_low": "ci_low_", "ci_high": "ci_high_"}


def described(
    found: pl.DataFrame,
    targets: Sequence[Target],
    manifest: Manifest,
    instrument: Instrument,
    quarantine_share: float,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """Add to the engine's rows (series, stratum, est, se, n ...) what CITIZEN_ESTIMATES says of them."""
    national = manifest.geography.level == "national"
    said = _of_targets(targets, manifest, instrument, quarantine_share, mappings, settings)
    rows = found.with_columns(((pl.col("wealth") != TOTAL) & (not national)).alias("local_wealth"))
    rows = rows.join(said, on=["series", "local_wealth"])
    rows = _with_caution(reliability(_with_interval(_refused(rows)), profile="dhs"))
    area = ",".join(manifest.geography.admin1) if manifest.disclosure.place else None
    sensitive_groups = [code for code, group in mappings.groups.items() if group.sensitive]
    # Rounded far beyond what is shown, so that the last bits of another processor do not change a release.
    return rows.with_columns(
        *((pl.col(source) * pl.col("factor")).round(DECIMALS).alias(name) for name, source in NUMBERS.items()),
        submission_id=pl.lit(manifest.submission),
        iso3=pl.lit(manifest.country),
        year=pl.lit(manifest.year, dtype=pl.Int32),
        area_level=pl.lit(manifest.geography.level),
        area=pl.lit(area, dtype=pl.String),
        population=_population(manifest),
        n_clusters=pl.col("n_psu"),
        degrees_of_freedom=pl.col("df"),
        design_effect=pl.col("deff").round(DECIMALS),
        largest_share=pl.col("largest_share").round(DECIMALS),
        two_largest_share=pl.col("two_largest_share").round(DECIMALS),
        sampling_method=pl.lit(manifest.sampling.method),
        status=pl.col("status").replace({"ok": "estimated", "not_probability": "estimated", "degenerate": "estimated"}),
        instrument=pl.lit(instrument.instrument),
        sensitive=pl.col("sensitive_answers") | pl.col("marginalised_group").is_in(sensitive_groups),
    )


def _of_targets(
    targets: Sequence[Target],
    manifest: Manifest,
    instrument: Instrument,
    quarantine_share: float,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """Series and local_wealth -> definition, unit, class and reason, questions, mapping version."""
    columns = {
        column.variable: column
        for record in instrument.records.values()
        for column in record.columns.values()
        if column.variable
    }
    rows = []
    for target in targets:
        indicator, item, measure = target.indicator, target.item, target.measure
        asked = sorted(measures.questions(measure, mappings) & set(columns))
        counted = sorted(measures.answers(measure, mappings) & set(columns))
        by_others = [name for name in counted if measure.self_report and columns[name].reported_by != "self"]
        otherwise = [f"{name}: {said}" for name in asked if (said := columns[name].adapted_because)]
        version = mappings.version(
            f"indicators/{indicator.goal}/{indicator.indicator}.yaml",
            f"instruments/{instrument.instrument}.yaml",
            "variables/",
            "groups.yaml",
            "breakdowns.yaml",
            "countries.yaml",
        )
        match, because = _match(item)
        for local_wealth in (False, True):
            letter, reason = comparability(
                Facts(
                    match=match,
                    because=because,
                    asked_otherwise=tuple(otherwise),
                    answered_by_others=tuple(by_others),
                    local_wealth=local_wealth,
                    sampling_method=manifest.sampling.method,
                    quarantine_share=quarantine_share,
                ),
                settings.quarantine_share_limit,
            )
            rows.append(
                {
                    "series": item.code,
                    "local_wealth": local_wealth,
                    "indicator": indicator.indicator,
                    "unit": item.unit,
                    "factor": _factor(target),
                    "share": not target.quantity,
                    "within_0_and_1": measure.statistic in ("score", "rasch"),
                    "speaks_of": f"{measure.unit} {measure.weight}",
                    "definition_version": indicator.definition_version,
                    "questions": ",".join(asked),
                    "mapping_version": version,
                    "comparability": letter,
                    "comparability_reason": f"{reason}; {said}" if (said := _of_scale(target)) else reason,
                    "problem": target.scale.problem if target.scale else None,
                    "sensitive_answers": indicator.sensitive or any(mappings.variables[n].sensitive for n in asked),
                }
            )
    kinds = {"problem": pl.String, "factor": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _match(item: Series | Component) -> tuple[Match, str | None]:
    """How near the definition of the series the measure is, and what differs."""
    return ("component", item.because) if isinstance(item, Component) else (item.match or "exact", item.adapted_because)


def _factor(target: Target) -> float:
    """What the engine's number is multiplied with: a ratio by its `per`, all else by 100 where the unit is percent."""
    if target.measure.ratio and target.measure.ratio.per != 1:
        return float(target.measure.ratio.per)
    return 100.0 if target.item.unit == PERCENT else 1.0


def _of_scale(target: Target) -> str | None:
    """What a reader of a scale has to know: how many cases made it, and what is not in its error."""
    scale = target.scale
    if scale is None or scale.problem is not None:
        return None
    return (
        f"Rasch scale of {scale.cases} cases, {int(scale.common.sum())} of {len(scale.items)} items common with the "
        "global scale; the standard error does not hold that of the scale"
    )


def _refused(rows: pl.DataFrame) -> pl.DataFrame:
    """Numbers of a scale that could not be made are absent, and the status says why."""
    absent = pl.col("problem").is_not_null()
    numbers = ("est", "se", "deff", "n_numerator", "ci_logit_low", "ci_logit_high", "ci_t_low", "ci_t_high")
    return rows.with_columns(
        *(pl.when(~absent).then(name).alias(name) for name in numbers),
        pl.when(absent).then(pl.format("not_estimable: {}", "problem")).otherwise("status").alias("status"),
    )


def _with_interval(rows: pl.DataFrame) -> pl.DataFrame:
    """The logit interval of shares, the t interval of means and ratios; that of a mean of shares ends at 0 and 1."""
    bounds = []
    for end in ("low", "high"):
        t = pl.col(f"ci_t_{end}")
        t = pl.when("within_0_and_1").then(t.clip(0.0, 1.0)).otherwise(t)
        bounds.append(pl.when("share").then(f"ci_logit_{end}").otherwise(t).alias(f"ci_{end}_"))
    return rows.with_columns(bounds).with_columns(cv=pl.col("se") / pl.col("est").abs())


def _with_caution(rows: pl.DataFrame) -> pl.DataFrame:
    """A reliable row that is not precise is used with caution: enough cases do not make an estimate precise.

    Shares: an interval of 30 points, or of more than 5 points and 130 % of the estimate (NCHS data presentation
    standards for proportions, 2017, there for intervals by Korn and Graubard). Means and ratios: a coefficient of
    variation from 16.6 % (Statistics Canada).
    """
    width = pl.col("ci_high_") - pl.col("ci_low_")
    wide = (width >= WIDE) | ((width > NARROW) & (width > RELATIVELY_WIDE * pl.col("est")))
    of_share = pl.col("share") | pl.col("within_0_and_1")
    imprecise = pl.when(of_share).then(wide).otherwise(pl.col("cv") >= PROFILES["cv"].caution_from_cv)
    cautious = (pl.col("reliability") == "reliable") & imprecise.fill_null(value=False)
    return rows.with_columns(
        reliability=pl.when(cautious).then(pl.lit("use_with_caution")).otherwise(pl.col("reliability"))
    )


def _population(manifest: Manifest) -> pl.Expr:
    """Whom the number speaks of: the people of the area, or those who were interviewed."""
    people = {
        "household household": "households",
        "household household_size": "persons",
        "person person": "persons",
        "respondent respondent": "adults",
    }
    speaks_of = pl.col("speaks_of").replace_strict(people)
    if manifest.sampling.method == "probability":
        return pl.concat_str(speaks_of, pl.lit(f" ({manifest.population})"))
    interviewed = (
        pl.when(pl.col("speaks_of") == "household household")
        .then(pl.lit("interviewed households"))
        .when(pl.col("speaks_of") != "household household_size")
        .then(speaks_of)
        .when(pl.col("counts") == "members")
        .then(pl.lit("members of interviewed households"))
        .otherwise(pl.lit("interviewed households, not their members,"))
    )
    return pl.concat_str(interviewed, pl.lit(" of the group, a share of respondents"))
