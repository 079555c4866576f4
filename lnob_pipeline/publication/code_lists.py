"""The code lists of the published tables: what each code means, in English, by the name that tables.py gives it.

Here: lists put together from where their words live, and the public table `codes`. Countries, groups and categories
come from indicator_mappings/, the words of the page from report/words.py; only what no page says is worded here. Not
here: which column holds which list (tables.py), how a form of the release shows a code (its own module).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.publication.report import words
from lnob_pipeline.tables import CODES, RELEASE_TABLES, STRATUM_DIMENSIONS, CodeLists

OPEN: Final = frozenset({"natures", "estimate_statuses", "evidence_groups"})
"""Lists that others write (the United Nations, a partner's card): a value that is not in them is no mistake."""
_WORDED_HERE: Final[CodeLists] = {
    "area_levels": {
        "national": "The whole country",
        "admin1": "First-level areas (states, provinces, counties)",
        "admin2": "Second-level areas (districts, municipalities)",
        "community": "Communities",
    },
    "value_flags": {
        "number": "A plain number",
        "below": "Below a limit (<2.5): the interval stands in lower and upper",
        "above": "Above a limit (>95): the interval stands in lower and upper",
        "not_applicable": "Does not apply to the country",
        "withheld": "A figure exists; the national statistical system has not validated it",
        "not_provided": "No figure was provided",
        "unreadable": "A text that is no number",
    },
    "official_routes": {
        "api": "UN SDG API",
        "sdmx": "SDMX service of the United Nations",
        "file": "Bulk download of the United Nations",
        "last_good": "The last complete answer of a service",
        "bundled": "Came with the project",
    },
    "official_states": {
        "in_use": "In use",
        "superseded": "A later release is in use",
        "held": "Waits for a person; the one before stays in use",
    },
    "revision_changes": {
        "added": "Value added",
        "changed": "Value changed",
        "withdrawn": "Value withdrawn",
        "series_added": "Series added",
        "series_withdrawn": "Series withdrawn",
        "series_renamed": "Series under a new code",
        "series_redefined": "Series with another title, unit or headline, or with most values changed",
    },
    "relations": {
        "same_line": "Class A for the same area: may stand on one line",
        "beside": "Side by side, not on one line",
        "official_only": "Official value only",
        "citizen_only": "Citizen value only",
    },
    "expected_because": {
        "headline": "Headline of the series",
        "required": "The indicator asks for this breakdown",
        "lnob": "The pledge to leave no one behind asks for it",
    },
    "gap_scopes": {
        "systemic": "Most countries lack it, or no code has a place for it",
        "national": "At least half of the countries have two values since the base year",
    },
    "decision_makers": {
        "partner": "The partner who gathered the data",
        "community": "The community the data is about",
        "statistics_office": "The national statistics office",
        "secretariat": "The secretariat of the partnership",
    },
    "decisions": {
        "publish": "Agreed to publication",
        "accept": "Accepted as comparable with official statistics",
        "object": "Objected to publication",
        "used_officially": "Used in official statistics",
    },
    "better": {"high": "A high score is good", "low": "A low score is good"},
}


def code_lists(mappings: Mappings) -> dict[str, dict[str, str]]:
    """Every code list by its name: code -> label, in the order in which the codes are shown."""
    categories = {
        name: {TOTAL: "Total"} | {code: item.label for code, item in mappings.categories(name).items()}
        for name in STRATUM_DIMENSIONS
    }
    lists: dict[str, Mapping[str, str]] = {
        "countries": {iso3: country.name for iso3, country in mappings.countries.items()},
        **categories,
        "evidence_groups": {code: group.label for code, group in mappings.groups.items()}
        | {"F": "Women", "M": "Men", "all": "All together"},
        "evidence_types": {code: label for code, label in words.DATA_TYPE.items() if code != "household_survey"},
        "data_types": {code: label for code, label in words.DATA_TYPE.items() if code != "provider_score"},
        "submission_states": {
            "received": "received",
            **words.STATE,
            "unreadable": "the manifest can not be used",
            "superseded": "a newer hand-in took its place",
        },
        "sampling_methods": words.SAMPLING,
        "comparability": words.COMPARABILITY,
        "estimate_statuses": {"estimated": "Estimated and shown", **words.ESTIMATE_STATUS},
        "reliability": {**words.RELIABILITY, "unreliable": "Too imprecise to be published"},
        "natures": words.NATURE,
        "gap_statuses": words.GAP_STATUS,
        "gap_flags": {**words.GAP_FLAG, **words.COMPARISON_FLAG},
        "comparison_flags": words.COMPARISON_FLAG,
        "citizen_effects": words.CITIZEN_EFFECT,
        **_WORDED_HERE,
    }
    return {name: {code: _as_label(label) for code, label in codes.items()} for name, codes in lists.items()}


def codes_table(mappings: Mappings) -> pl.DataFrame:
    """The table CODES: one row for each code of each coded column of the release."""
    lists = code_lists(mappings)
    rows = [
        (table.name, column.name, position, code, label)
        for table in RELEASE_TABLES
        for column in table.columns
        if column.codes
        for position, (code, label) in enumerate(lists[column.codes].items(), start=1)
    ]
    return pl.DataFrame(rows, schema=CODES.schema, orient="row")


def _as_label(text: str) -> str:
    """A label begins with a capital and has no full stop, wherever its words come from."""
    return text[:1].upper() + text[1:].removesuffix(".")
