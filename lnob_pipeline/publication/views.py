"""The views of lnob.duckdb: what most people ask the tables first, as SQL over them.

Here: questions and their SQL. Not here: how the database is written (warehouse), what the tables mean (tables.py).
"""

from __future__ import annotations

from lnob_pipeline.gaps.closing import GAP_STATUSES
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.report.labels import sign
from lnob_pipeline.warehouse import View, literal


def views(mappings: Mappings) -> tuple[View, ...]:
    """The views of a release."""
    gaps = ", ".join(literal(status) for status in GAP_STATUSES)
    measured = {
        code: sign(indicator.indicator, code)
        for indicator in mappings.indicators.values()
        for code in (
            *(series.code for series in indicator.series),
            *(component.code for component in indicator.components),
        )
    }
    less = ", ".join(literal(series) for series in sorted(measured) if measured[series] < 0) or "NULL"
    neither = ", ".join(literal(series) for series in sorted(measured) if measured[series] == 0) or "NULL"
    return (
        View(
            "gaps_with_citizen_data",
            "Cells without a usable official value since the base year on which citizen data says something, in words",
            "data_gaps",
            {
                "country": "Name of the country",
                "title": "Title of the series",
                "status_label": "What the status means",
                "citizen_effect_label": "What the effect means",
            },
            f"""
            SELECT gap.iso3, country.label AS country, gap.indicator, gap.series, catalogue.title, gap.stratum,
                   gap.status, status.label AS status_label, gap.latest_year,
                   gap.citizen_effect, effect.label AS citizen_effect_label, gap.citizen_submissions
            FROM data_gaps AS gap
            LEFT JOIN sdg_catalogue AS catalogue USING (indicator, series)
            LEFT JOIN codes AS country ON {_meaning("country", "iso3")}
            LEFT JOIN codes AS status ON {_meaning("status", "status")}
            LEFT JOIN codes AS effect ON {_meaning("effect", "citizen_effect")}
            WHERE gap.status IN ({gaps}) AND gap.citizen_effect <> 'nothing_yet'
            """,
        ),
        View(
            "citizen_beside_official",
            "Citizen estimates that are shown and have an official value of the same series and stratum, with what "
            "differs; only relation same_line may be compared, and only for its area",
            "comparison",
            {"difference": "Citizen estimate less official value (unit of the series)"},
            """
            SELECT iso3, indicator, series, stratum, unit, relation, comparability, differences,
                   official_year, official_value, official_nature, official_lower, official_upper,
                   submission_id, citizen_year, citizen_estimate, citizen_ci_low, citizen_ci_high, citizen_n,
                   citizen_area_level, citizen_area, citizen_population, citizen_reliability,
                   citizen_estimate - official_value AS difference
            FROM comparison
            WHERE official_value IS NOT NULL AND citizen_estimate IS NOT NULL
            """,
        ),
        View(
            "furthest_behind",
            "Groups of a survey against all its respondents: how far each is behind, in the unit of the series, the "
            "furthest first (place 1 within submission and series). Behind is lower, or higher where less is better; "
            "null where neither is better. Of figures that are shown only; chance is not ruled out: see the intervals",
            "citizen_estimates",
            {
                "headline": "Estimate of all respondents of the hand-in (unit of the series)",
                "headline_ci_low": "Lower end of its 95 % interval (unit of the series)",
                "headline_ci_high": "Upper end of its 95 % interval (unit of the series)",
                "behind": "How far the group is behind the headline; below zero where it is ahead (unit of the series)",
                "place": "Place of the group, 1 for the furthest behind; equal places for equal distances",
            },
            f"""
            SELECT part.submission_id, part.iso3, part.indicator, part.series, part.unit, part.stratum,
                   part.estimate, part.ci_low, part.ci_high, part.n, part.reliability, part.comparability,
                   whole.estimate AS headline, whole.ci_low AS headline_ci_low, whole.ci_high AS headline_ci_high,
                   CASE WHEN part.series IN ({neither}) THEN NULL
                        WHEN part.series IN ({less}) THEN part.estimate - whole.estimate
                        ELSE whole.estimate - part.estimate END AS behind,
                   rank() OVER (PARTITION BY part.submission_id, part.series ORDER BY behind DESC NULLS LAST) AS place
            FROM citizen_estimates AS part
            JOIN citizen_estimates AS whole USING (submission_id, series)
            WHERE whole.stratum = '_T' AND part.stratum <> '_T'
              AND part.estimate IS NOT NULL AND whole.estimate IS NOT NULL
            """,
        ),
        View(
            "hidden_figures",
            "How many estimates of each hand-in are not shown, by the reason that stands in their status",
            "citizen_estimates",
            {"reason": "What the status means", "cells": "Estimates that are not shown"},
            f"""
            SELECT hidden.submission_id, hidden.iso3, hidden.status, any_value(reason.label) AS reason,
                   count(*) AS cells
            FROM citizen_estimates AS hidden
            LEFT JOIN codes AS reason ON {_meaning("reason", "status", "citizen_estimates", "hidden")}
            WHERE hidden.estimate IS NULL
            GROUP BY ALL
            """,
        ),
    )


def _meaning(name: str, column: str, table: str = "data_gaps", row: str = "gap") -> str:
    """The condition under which the row `name` of codes is that of a column."""
    return (
        f"{name}.table_name = {literal(table)} AND {name}.column_name = {literal(column)} "
        f"AND {name}.code = {row}.{column}"
    )
