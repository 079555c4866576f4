"""The plain words of the report for the codes of the tables, in English; every text here is a message to translate.

Here: words for codes. Not here: sentences (they stand where they are said), how a text is said in a language
(speech.py), labels of groups and breakdowns and official titles (indicator_mappings/, through labels.py).
"""

from __future__ import annotations

from collections.abc import Mapping

INDICATOR: Mapping[str, str] = {
    "1.1.1": "Living below the international poverty line",
    "1.2.1": "Living below the national poverty line",
    "1.2.2": "Poverty in all its dimensions",
    "1.3.1": "Covered by social protection",
    "1.4.1": "Access to basic services",
    "1.4.2": "Secure rights to land",
    "2.1.2": "Moderate or severe food insecurity",
    "2.2.1": "Stunting of young children",
    "2.2.2": "Malnutrition of young children",
    "3.1.2": "Births attended by skilled staff",
    "3.7.1": "Family planning with modern methods",
    "3.7.2": "Births to adolescent girls",
    "3.8.1": "Coverage of essential health services",
    "3.8.2": "High spending on health out of pocket",
    "3.b.1": "Covered by all vaccines of the programme",
    "4.1.1": "Minimum skills in reading and mathematics",
    "4.1.2": "Completing school",
    "4.2.1": "Young children on track in development",
    "4.2.2": "Learning one year before primary school",
    "4.3.1": "Taking part in education and training",
    "4.4.1": "Computer skills",
    "4.a.1": "Schools with basic services",
    "5.1.1": "Laws against discrimination on the basis of sex",
    "5.2.1": "Violence by an intimate partner",
    "5.2.2": "Sexual violence by others than a partner",
    "5.3.1": "Child marriage",
    "5.3.2": "Female genital mutilation",
    "5.4.1": "Unpaid care and domestic work",
    "5.5.1": "Women in parliaments and local governments",
    "5.6.1": "Women's own decisions on health and sexual relations",
    "5.a.1": "Rights to agricultural land, by sex",
    "5.b.1": "Owning a mobile telephone",
    "6.1.1": "Safely managed drinking water",
    "6.2.1a": "Safely managed sanitation",
    "6.2.1b": "Handwashing with soap and water at home",
    "7.1.1": "Access to electricity",
    "7.1.2": "Clean fuels at home",
    "8.3.1": "Informal employment",
    "8.5.2": "Unemployment",
    "8.6.1": "Youth not in school, work or training",
    "8.7.1": "Child labour",
    "8.10.2": "Having a bank or mobile money account",
    "9.1.1": "Living near an all-season road",
    "10.2.1": "Living below half of the median income",
    "10.3.1": "Feeling discriminated against or harassed",
    "11.1.1": "Living in slums or inadequate housing",
    "11.2.1": "Convenient access to public transport",
    "11.7.2": "Physical or sexual harassment",
    "16.1.3": "Physical, psychological and sexual violence",
    "16.1.4": "Feeling safe when walking alone after dark",
    "16.2.1": "Physical punishment of children",
    "16.2.3": "Sexual violence before age 18",
    "16.3.1": "Victims who reported the violence",
    "16.3.3": "Access to dispute resolution",
    "16.5.1": "Paying bribes to officials",
    "16.6.2": "Satisfied with public services",
    "16.7.2": "Decision-making seen as inclusive",
    "16.9.1": "Births that are registered",
    "17.8.1": "Using the internet",
}
"""Indicator -> a short name for charts and lists; the official title stands in the data and in the details."""

BREAKDOWN: Mapping[str, str] = {
    "sex": "Sex",
    "age": "Age",
    "disability": "Disability",
    "location": "Town or country",
    "wealth": "Wealth",
    "marginalised_group": "Marginalised groups",
}

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
    "definition": "definition",
    "area": "area",
    "population": "population",
    "year": "year",
    "sampling": "sampling",
    "unit": "unit",
    "nature": "origin of the official value",
    "precision": "precision",
    "component": "scope: the citizen figure is one part of the indicator",
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
    "suppressed_dominance": "One answer makes up so much of the number that it could be worked out",
    "suppressed_to_protect": "Could be used to work out another hidden number",
    "not_estimable": "The sample is built so that no interval can be worked out for it",
    "no_rows": "No one of this group answered",
    "too_few_cases": "Fewer than 25 people or households answered",
}

RELIABILITY: Mapping[str, str] = {
    "reliable": "reliable",
    "use_with_caution": "use with caution: fewer than 50 cases",
    "few_degrees_of_freedom": "few places were sampled: the interval is rough",
    "too_few_cases": "too few cases",
    "not_estimable": "no interval can be worked out",
    "not_probability": "stands for its respondents only",
}

DATA_TYPE: Mapping[str, str] = {
    "household_survey": "household survey",
    "score_card": "community score card",
    "provider_score": "service provider's own score",
    "focus_group": "focus groups",
    "interview": "interviews",
    "policy_review": "policy review",
}

EVIDENCE: Mapping[str, str] = {
    "yes": "yes",
    "no": "no",
    "partly": "partly",
    "mentioned": "mentioned",
    "barrier": "barrier",
    "suppressed_few_participants": "not shown: fewer than four people",
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

CELL: Mapping[str, str] = {
    "reported": "latest year of an official value since the base year",
    "none_since_2015": "latest year of an official value, which is before the base year",
    "not_loaded": "these official figures do not hold such a series: nothing is said",
    "withheld": "a value exists and is withheld",
    "not_provided": "listed in the official data, without a value",
    "never_reported": "never an official value",
    "no_series": "the official release has no series: no country can report",
    "not_applicable": "does not apply to the country",
}
"""Status of a headline -> what its cell in the table of the whole framework means."""

TABLE: Mapping[str, str] = {
    "sources": "the hand-ins behind the release",
    "citizen_estimates": "every citizen figure, with its interval, sample and class",
    "citizen_evidence": "score cards, discussions, interviews and policy reviews",
    "sdg_catalogue": "the official series, by indicator",
    "official_observations": "the official figures",
    "official_releases": "every official release that was taken in",
    "official_revisions": "what the official release in use changed",
    "comparison": "official and citizen figures side by side",
    "data_gaps": "what official figures lack, cell by cell",
    "coverage": "how many expected official values there are",
    "decisions": "who decided what",
    "disclosure_audit": "how well hidden numbers are protected",
    "withdrawals": "hand-ins that were withdrawn",
    "codes": "what each code means",
    "column_lineage": "which column is made from which",
}

PLACE: Mapping[str, str] = {
    "lnob.xlsx": "all tables in one workbook, for people in Excel",
    "lnob.duckdb": "all tables in one database file",
    "stata/": "all tables for Stata, with labels",
    "spss/": "all tables for SPSS, with labels",
    "sdmx/": "estimates and gaps as SDMX-CSV and SDMX-ML",
    "open_sdg/": "a folder that an Open SDG site takes as it is",
    "CODEBOOK.md": "every table and column, with units and codes",
    "CHANGES.md": "what changed since the release before",
    "README.txt": "what this release is and how to cite it",
    "datapackage.json": "description for Frictionless tools",
    "croissant.json": "description for machine learning tools",
    "manifest.json": "where the release comes from: hand-ins, versions, settings",
    "SHA256SUMS": "sums to check that no file was damaged",
}
"""File or folder of a release -> what it holds, for its first page."""
