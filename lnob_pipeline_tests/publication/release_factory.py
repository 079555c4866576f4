"""Frames as stages 4 to 6 hand them over, counted from made-up people, so that strata add up as real ones do."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.code_lists import codes_table
from lnob_pipeline.publication.disclosure import disclose
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import (
    CITIZEN_ESTIMATES,
    CITIZEN_EVIDENCE,
    COMPARISON,
    DATA_GAPS,
    OFFICIAL_OBSERVATIONS,
    RELEASE_TABLES,
    SDG_CATALOGUE,
    SOURCES,
    STRATUM_DIMENSIONS,
    Table,
)

HOME = Path(__file__).resolve().parents[2]

ASKED = ("1.4.1", "5.3.1", "5.b.1", "6.2.1b", "7.1.2", "8.6.1", "8.10.2", "10.3.1", "16.6.2", "16.7.2", "16.9.1")
"""What the surveys ask about: no questionnaire asks about every indicator of the library."""

NOT_LOADED = ("7.1.1", "10.3.1")
"""Indicators whose series the release has and the snapshot has not: one without and one with citizen figures."""

SURVEYS = (
    # submission, country, method, level, areas, people
    ("ken-2019-household-survey", "KEN", "probability", "admin1", "KE-17,KE-43", 900),
    ("vnm-2020-province", "VNM", "probability", "admin1", "VN-03", 500),
    ("npl-2020-whole-country", "NPL", "probability", "national", None, 1400),
    ("ind-2019-thirteen-groups", "IND", "purposive", "community", "IN-BR,IN-JH", 1100),
    ("bgd-2019-named-groups", "BGD", "purposive", "community", None, 420),
)


def fill(table: Table, rows: list[dict]) -> pl.DataFrame:
    """Rows with any of the columns of a table -> a frame with all of them."""
    full = [{name: row.get(name) for name in table.schema} for row in rows]
    return pl.DataFrame(full, schema=table.schema)


def strata(dimensions: dict[str, list[str]], crossings: tuple[tuple[str, str], ...] = (("sex", "disability"),)):
    yield {}
    for name, codes in dimensions.items():
        yield from ({name: code} for code in codes)
    for first, second in crossings:
        if first in dimensions and second in dimensions:
            yield from ({first: a, second: b} for a, b in itertools.product(dimensions[first], dimensions[second]))


def stratum_columns(chosen: dict[str, str]) -> dict[str, str]:
    cells = {name: chosen.get(name, "_T") for name in STRATUM_DIMENSIONS}
    key = ";".join(f"{name}={code}" for name, code in cells.items() if code != "_T")
    return {"stratum": key or "_T", **cells}


def citizen_estimates(
    mappings: Mappings, seed: int = 7, people: int | None = None, only: tuple[str, ...] = ()
) -> pl.DataFrame:
    """CITIZEN_ESTIMATES for all series (or `only` some) and all surveys, before disclosure control."""
    random = np.random.default_rng(seed)
    groups = list(mappings.groups)
    rows: list[dict] = []
    for submission, iso3, method, level, area, size in SURVEYS:
        n = people or size
        probability = method == "probability"
        named = groups[:13]
        data = {
            "sex": random.choice(["F", "M"], n, p=[0.54, 0.46]),
            "age": random.choice(["15-24", "25-59", "60+"], n, p=[0.3, 0.58, 0.12]),
            "location": random.choice(["U", "R"], n, p=[0.3, 0.7]),
            "disability": random.choice(["yes", "no"], n, p=[0.07, 0.93]),
            "wealth": random.choice(["Q1", "Q2", "Q3", "Q4", "Q5"], n),
        }
        member = {
            group: random.random(n) < share for group, share in zip(named, np.linspace(0.02, 0.2, 13), strict=True)
        }
        for indicator in mappings.indicators.values():
            if indicator.indicator not in ASKED:
                continue
            for series in indicator.series:
                if series.measure is None or series.unit != "PERCENT":
                    continue
                if only and series.code not in only:
                    continue
                level_of = random.uniform(0.08, 0.9)
                yes = random.random(n) < np.clip(level_of - 0.12 * (data["disability"] == "yes"), 0.02, 1)
                dimensions = {name: sorted(set(values)) for name, values in data.items()} if probability else {}
                cells = [*strata(dimensions)] if probability else []
                cells += [{"marginalised_group": group} for group in named]
                for chosen in cells:
                    inside = np.ones(n, bool)
                    for name, code in chosen.items():
                        inside &= member[code] if name == "marginalised_group" else data[name] == code
                    count, positive = int(inside.sum()), int((inside & yes).sum())
                    p = positive / count if count else None
                    error = 1.4 * (p * (1 - p) / count) ** 0.5 if count > 1 and probability and p is not None else None
                    group = chosen.get("marginalised_group")
                    rows.append(
                        {
                            "submission_id": submission,
                            "iso3": iso3,
                            "indicator": indicator.indicator,
                            "series": series.code,
                            **stratum_columns(chosen),
                            "unit": series.unit,
                            "definition_version": indicator.definition_version,
                            "year": int(submission[4:8]),
                            "area_level": level,
                            "area": area,
                            "population": "persons of the area" if probability else "respondents of the group",
                            "estimate": None if p is None else 100 * p,
                            "standard_error": None if error is None else 100 * error,
                            "ci_low": None if error is None else max(0.0, 100 * (p - 2 * error)),
                            "ci_high": None if error is None else min(100.0, 100 * (p + 2 * error)),
                            "n": count,
                            "n_clusters": min(60, count) if probability else None,
                            "degrees_of_freedom": min(56, count) if probability else None,
                            "design_effect": 1.96 if error else None,
                            "reliability": "reliable"
                            if count >= 50
                            else "use_with_caution"
                            if count >= 25
                            else "too_few_cases",
                            "comparability": "A" if probability else "B",
                            "comparability_reason": "same definition",
                            "sampling_method": method,
                            "status": "estimated" if count else "no_rows",
                            "questions": "a,b",
                            "instrument": f"{iso3.lower()}-form",
                            "mapping_version": "0" * 16,
                            "n_numerator": None if len(series.measure.shares) > 1 else positive,
                            "sensitive": bool(group and mappings.groups[group].sensitive),
                        }
                    )
    return fill(CITIZEN_ESTIMATES, rows)


def comparison(estimates: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """COMPARISON: an official value for most headlines and sexes, beside every estimate."""
    official = [
        {
            "iso3": iso3,
            "indicator": indicator.indicator,
            "series": series.code,
            **stratum_columns(chosen),
            "unit": series.unit,
            "official_release": "2020-10",
            "official_year": 2012 + place % 6,
            "official_value_text": f"{40 + 5 * place + step}.{place}0000",
            "official_value": 40 + 5 * place + step + place / 10,
            "official_nature": ["C", "E", "M", "CA"][place % 4],
        }
        for place, iso3 in enumerate(mappings.countries)
        for indicator in mappings.indicators.values()
        for series in indicator.series
        if series.measure is not None and series.unit == "PERCENT"
        if indicator.goal != "16" or indicator.indicator == "16.9.1"
        for step, chosen in enumerate([{}, {"sex": "F"}, {"sex": "M"}])
    ]
    key = ["iso3", "indicator", "series", "stratum"]
    citizen = estimates.select(
        *key,
        *STRATUM_DIMENSIONS,
        "unit",
        "submission_id",
        "questions",
        "instrument",
        "definition_version",
        "mapping_version",
        "comparability",
        citizen_year="year",
        citizen_estimate="estimate",
        citizen_standard_error="standard_error",
        citizen_ci_low="ci_low",
        citizen_ci_high="ci_high",
        citizen_n="n",
        citizen_population="population",
        citizen_area_level="area_level",
        citizen_area="area",
        citizen_reliability="reliability",
        citizen_status="status",
    )
    left = fill(COMPARISON, official).select(
        *key, *STRATUM_DIMENSIONS, "unit", *[name for name in COMPARISON.schema if name.startswith("official_")]
    )
    joined = left.join(citizen.drop(*STRATUM_DIMENSIONS, "unit"), on=key, how="left")
    alone = citizen.join(left, on=key, how="anti")
    frame = pl.concat([joined, alone], how="diagonal").with_columns(
        relation=pl.when(pl.col("submission_id").is_null())
        .then(pl.lit("official_only"))
        .when(pl.col("official_value").is_null())
        .then(pl.lit("citizen_only"))
        .when(pl.col("citizen_area_level") == "national")
        .then(pl.lit("same_line"))
        .otherwise(pl.lit("beside")),
        differences=pl.when(pl.col("citizen_area_level") != "national").then(pl.lit("area | year")),
        flags=pl.when((pl.col("citizen_estimate") - pl.col("official_value")).abs() > 20)
        .then(pl.lit("discrepancy"))
        .otherwise(pl.lit("")),
    )
    return pl.concat(
        [COMPARISON.empty(), frame.select(pl.col(name).cast(COMPARISON.schema[name]) for name in frame.columns)],
        how="diagonal",
    )


def citizen_evidence() -> pl.DataFrame:
    score_card = [
        {
            "submission_id": "mwi-2020-health-score-card",
            "iso3": "MWI",
            "indicator": indicator,
            "evidence_type": kind,
            "statement": statement,
            "marginalised_group": group,
            "area": "MW-S",
            "score": 1.5 + 0.4 * place,
            "scale_minimum": 1.0,
            "scale_maximum": 5.0,
            "better": "high",
            "n_groups": 6,
            "n_participants": None if kind == "provider_score" else 14 * (place + 1),
            "year": 2020,
            "comparability": "D",
        }
        for indicator, statement in (("16.6.2", "staff_treat_everyone_equally"), ("1.4.1", "water_at_the_facility"))
        for place, (kind, group) in enumerate(
            (("score_card", "youth"), ("score_card", "persons_with_disabilities"), ("provider_score", None))
        )
    ]
    discussions = [
        {
            "submission_id": "nga-2020-discussions",
            "iso3": "NGA",
            "indicator": indicator,
            "evidence_type": kind,
            "statement": statement,
            "marginalised_group": group,
            "area": "NG-KD",
            "finding": "barrier",
            "n_groups": groups,
            "n_participants": people,
            "n_mentions": 2 * groups,
            "year": 2020,
            "comparability": "D",
        }
        for indicator, kind, statement, group, groups, people in (
            ("16.9.1", "focus_group", "barrier_cost", "internally_displaced", 5, 41),
            ("16.9.1", "interview", "barrier_distance", None, 2, 2),
            ("8.10.2", "focus_group", "barrier_identity_document", "youth", 3, 24),
        )
    ]
    policy = [
        {
            "submission_id": "nga-2020-policy-review",
            "iso3": "NGA",
            "indicator": "16.9.1",
            "evidence_type": "policy_review",
            "statement": "registration_is_free",
            "finding": "partly",
            "n_groups": 1,
            "year": 2020,
            "comparability": "E",
            "source": "Synthetic Act A, section 3",
        }
    ]
    return fill(CITIZEN_EVIDENCE, score_card + discussions + policy)


def data_gaps(mappings: Mappings) -> pl.DataFrame:
    statuses = ("reported", "none_since_2015", "never_reported", "not_provided", "reported")
    rows = [
        {
            "iso3": iso3,
            "indicator": indicator.indicator,
            "series": series.code,
            **stratum_columns(chosen),
            "expected_because": "headline" if not chosen else "lnob",
            "status": "no_series"
            if indicator.indicator in ("16.6.2", "16.7.2")
            else "not_loaded"
            if indicator.indicator in NOT_LOADED
            else statuses[(row + place) % 5],
            "headline_status": "reported",
            "flags": "group_has_no_code,dimension_missing" if chosen else ("no_trend,stale" if row % 2 else ""),
            "natures": "C",
            "scope": "national",
            "citizen_effect": ("informs", "nothing_yet", "could_close")[(row + place) % 3],
            "citizen_submissions": "",
            "official_release": "2020-10",
            "as_of_year": 2020,
            "definition_version": indicator.definition_version,
        }
        for place, iso3 in enumerate(mappings.countries)
        for row, (indicator, series) in enumerate(
            (indicator, series) for indicator in mappings.indicators.values() for series in indicator.series
        )
        for chosen in [{}, *({"marginalised_group": group} for group in mappings.groups)]
    ]
    return fill(DATA_GAPS, rows)


def sources() -> pl.DataFrame:
    surveys = [
        {
            "submission_id": submission,
            "iso3": iso3,
            "organisation": None if iso3 == "BGD" else f"Synthetic partner in {iso3}",
            "data_type": "household_survey",
            "state": "accepted",
            "sampling_method": method,
            "area_level": level,
            "area": area,
            "year": int(submission[4:8]),
            "n_planned": people,
            "n_accepted": people,
            "n_quarantined": 3,
            "n_refused": 12,
            "citizen_data": True,
            "synthetic": True,
            "instrument": f"{iso3.lower()}-form",
            "version": "f" * 64,
        }
        for submission, iso3, method, level, area, people in SURVEYS
    ]
    return fill(SOURCES, surveys)


def official(mappings: Mappings) -> tuple[pl.DataFrame, pl.DataFrame]:
    catalogue = [
        {
            "release": "2020-10",
            "indicator": indicator.indicator,
            "goal": indicator.goal,
            "target": ".".join(indicator.indicator.split(".")[:2]),
            "series": series.code,
            "title": series.title,
            "unit": series.unit,
            "in_release": True,
            "loaded": True,
        }
        for indicator in mappings.indicators.values()
        for series in indicator.series
    ]
    observations = [
        {
            "release": "2020-10",
            "series": "SG_REG_BRTH",
            "iso3": "KEN",
            "m49": "404",
            "year": 2014,
            "value_text": "66.9",
            "value": 66.9,
            "lower": 66.9,
            "upper": 66.9,
            "value_flag": "number",
            "nature": "C",
            "units": "PERCENT",
            "age": "<5Y",
            "dimension_key": "age=<5Y",
        }
    ]
    return fill(SDG_CATALOGUE, catalogue), fill(OFFICIAL_OBSERVATIONS, observations)


def undisclosed(mappings: Mappings, seed: int = 7, people: int | None = None) -> dict[str, pl.DataFrame]:
    """All frames of a release, with the estimates, the comparison and the evidence before disclosure control."""
    estimates = citizen_estimates(mappings, seed, people)
    catalogue, observations = official(mappings)
    return {table.name: table.empty() for table in RELEASE_TABLES} | {
        "sources": sources(),
        "citizen_estimates": estimates,
        "citizen_evidence": citizen_evidence(),
        "sdg_catalogue": catalogue,
        "official_observations": observations,
        "comparison": comparison(estimates, mappings),
        "data_gaps": data_gaps(mappings),
        "codes": codes_table(mappings),
    }


def disclosed(mappings: Mappings, seed: int = 7) -> dict[str, pl.DataFrame]:
    """All frames of a release after disclosure control."""
    frames = undisclosed(mappings, seed)
    safe = disclose(
        frames["citizen_estimates"],
        frames["comparison"],
        frames["citizen_evidence"],
        mappings,
        Settings.load(home=HOME),
    )
    return frames | safe._asdict()


PROVENANCE = {
    "official_release": "2020-10",
    "official_source": "bundled",
    "mapping_version": "0123456789abcdef",
    "code_version": "0.1.0",
}
RELEASED_AT = "2026-11-22T14:39:00Z"
