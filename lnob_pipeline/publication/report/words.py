"""The plain words of the report for the codes of the tables, in English, in one place so that translation can follow.

Labels of countries, groups, categories, indicators and series are not here: they come from indicator_mappings/.
"""

from __future__ import annotations

from collections.abc import Mapping

GAP_STATUS: Mapping[str, str] = {
    "reported": "Official value since the base year",
    "none_since_2015": "Official value, but none since the base year",
    "never_reported": "Never an official value",
    "not_provided": "Listed in the official data, without a value",
    "withheld": "Value withheld",
    "no_series": "The official release has no such series",
    "not_loaded": "Series not in this snapshot (says nothing about the country)",
    "not_applicable": "Does not apply to the country",
}

GAP_FLAG: Mapping[str, str] = {
    "no_trend": "Only one year: no trend",
    "no_baseline": "No earlier years to compare with",
    "stale": "Latest value is old",
    "obsolete": "Latest value is very old",
    "sparse": "Years too far apart",
    "not_country_owned": "Hardly any value comes from the country itself",
    "modelled_only": "Every value is modelled or estimated",
    "nature_unknown": "Not said where the value comes from",
    "dimension_missing": "A breakdown is missing altogether",
    "category_missing": "A category of a breakdown is missing",
    "crossing_missing": "Two breakdowns are never combined",
    "subnational_missing": "Nothing below the country",
    "group_has_no_code": "The official code list has no place for the group",
    "precision_unknown": "No word on precision",
    "withdrawn": "Withdrawn since the last official release",
    "revised": "Revised since the last official release",
}

COMPARISON_FLAG: Mapping[str, str] = {
    "discrepancy": "The two differ by more than chance explains.",
    "differs_from_model": "The citizen figure differs from a modelled official value by more than chance explains.",
}

DIFFERENCE: Mapping[str, str] = {
    "nature": "origin of the official value",
}

NATURE: Mapping[str, str] = {
    "C": "from the country",
    "CA": "from the country, adjusted",
    "E": "estimated",
    "M": "modelled",
    "G": "global monitoring",
    "N": "not relevant",
    "NA": "origin not said",
}

COMPARABILITY: Mapping[str, str] = {
    "A": "same definition, and the sample stands for the area it names",
    "B": "same definition, for a named group or a sample that stands for its respondents only",
    "C": "adapted definition",
    "D": "score card, discussion or interview: what people said, never a share of the population",
    "E": "policy or administrative fact",
}

SAMPLING: Mapping[str, str] = {
    "probability": "probability sample",
    "purposive": "purposive sample: named groups were sought out",
    "quota": "quota sample",
    "census": "census of a group",
    "open_call": "open call",
    "not_applicable": "no sample of people",
}

ESTIMATE_STATUS: Mapping[str, str] = {
    "suppressed_small_sample": "Fewer than 25 people or households answered",
    "suppressed_small_count": "So few have, or lack, what was asked that a person could be recognised",
    "suppressed_to_protect": "Could be used to work out another hidden number",
    "not_estimable": "The sample is built so that no interval can be worked out for it",
    "no_rows": "No one of this group answered",
    "too_few_cases": "Fewer than 25 people or households answered",
}

DATA_TYPE: Mapping[str, str] = {
    "household_survey": "household survey",
    "score_card": "community score card",
    "provider_score": "service provider's own score",
    "focus_group": "focus groups",
    "interview": "interviews",
    "policy_review": "policy review",
}

STATE: Mapping[str, str] = {
    "accepted": "accepted",
    "accepted_with_flags": "accepted, with remarks",
    "waiting_for_review": "waiting for review",
    "rejected": "rejected",
    "withdrawn": "withdrawn",
}

CITIZEN_EFFECT: Mapping[str, str] = {
    "could_close": "Citizen data could close it (for the statistics office to decide)",
    "closes": "Citizen data closes it, accepted by the statistics office",
    "informs": "Citizen data informs on it",
    "illustrates": "Citizen data illustrates it",
    "not_shown": "Citizen data exist; the numbers are hidden to protect people",
    "nothing_yet": "No citizen data yet",
}

AVAILABILITY: Mapping[str, tuple[str, str]] = {
    "B": (
        "both",
        "an official value since the base year and a citizen figure, which may speak of a part of the country only",
    ),
    "O": ("official only", "an official value since the base year"),
    "C": ("citizen only", "no official value since the base year; a citizen figure, perhaps of a part of the country"),
    "?": (
        "official series not in this snapshot",
        "these official figures do not hold it, whatever the official database has; no citizen figure",
    ),
    "C?": (
        "citizen figure, official series not in this snapshot",
        "a citizen figure; whether there is an official value can not be told from this snapshot",
    ),
    "–": ("none", "neither"),
}


def in_words(words: Mapping[str, str], code: str | None) -> str:
    """The words for a code; the code itself with blanks where there are none yet; a dash for none."""
    if code is None:
        return "–"
    return words.get(code, code.replace("_", " "))


def listed(parts: list[str], most: int | None = None) -> str:
    """Join words as in a sentence: a, b and c; beyond `most` the rest is counted."""
    if most is not None and len(parts) > most:
        parts = [*parts[:most], f"{len(parts) - most} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
