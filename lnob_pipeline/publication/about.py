"""What a release says of itself wherever it does: title, sources and terms, how to read it, what is hidden, its files.

Here: the words that README.txt, the workbook, CODEBOOK.md and the two catalogues share, so that they say the same. Not
here: tables and columns (tables.py), codes (code_lists), the form of any file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lnob_pipeline.publication.disclosure_rules import FEWEST_CASES, FEWEST_PARTICIPANTS, SMALL_COUNT
from lnob_pipeline.settings import Settings

PUBLISHER: Final = "Leave No One Behind Partnership"
KEYWORDS: Final = ("citizen data", "SDG", "leave no one behind", "data gaps", "survey statistics")
SUBJECT: Final = (
    "What surveys, score cards and discussions of marginalised communities say on SDG indicators, set beside the "
    "official figures of the United Nations, and a status for every figure that the pledge to leave no one behind asks "
    "for: reported, out of date, or never there."
)
SYNTHETIC: Final = (
    "The people behind some or all of these figures do not exist: the column synthetic of the table sources says which "
    "hand-ins were made up."
)
HOW_TO_READ: Final = (
    "A missing number is not zero. The status in the same row says why it is missing: hidden to protect people, or not "
    "there.",
    "A citizen figure never fills the place of an official one. `comparability` says how far the two may be read "
    "together; only class A stands on one line, and only for the area that the survey stands for.",
    "Every estimate speaks of the people and the area named in its row (population, area_level, area), never of a "
    "whole country unless area_level is national.",
    "A gap is judged against the official figures that were loaded. `not_loaded` says nothing about a country.",
)
HIDDEN: Final = (
    f"Estimates that rest on fewer than {FEWEST_CASES} unweighted cases are not shown.",
    f"Estimates are not shown where only 1 to {SMALL_COUNT} people have, or lack, what was asked.",
    "A mean or ratio is not shown where one or two answers make up most of it.",
    "For sensitive groups 0 % and 100 % are not shown, and no area below the first level is named.",
    "What could be used to work out another hidden number is hidden as well, also from one release to the next.",
    f"What fewer than {FEWEST_PARTICIPANTS} participants said is not shown.",
    "Standard error, interval and number of cases hide with the estimate. The row stays and says why in its status.",
)
UNITED_NATIONS: Final = "United Nations Statistics Division, UN Global SDG Database"


@dataclass(frozen=True)
class Terms:
    """Whose part of a release something is, and under which terms; `path` is an address, `name` an SPDX identifier."""

    part: str
    terms: str
    name: str | None = None
    path: str | None = None


def title(facts: Mapping[str, Any]) -> str:
    """The title of a release."""
    return f"{PUBLISHER}: citizen data beside official SDG figures, release {facts['release']}"


def citation(facts: Mapping[str, Any]) -> str:
    """How a release is cited."""
    return (
        f"{PUBLISHER}, Citizen data beside official SDG figures, release {facts['release']}. Official figures: "
        f"{UNITED_NATIONS}, release {facts.get('official_release') or 'none'}."
    )


def terms(settings: Settings) -> list[Terms]:
    """The terms of each part of a release. Nothing is claimed for figures that are somebody else's."""
    licence = settings.data_licence
    citizen = (
        Terms("Citizen figures", f"Licence: {licence}", licence)
        if licence
        else Terms("Citizen figures", "No licence was declared: ask the partnership before you pass them on")
    )
    return [
        citizen,
        Terms(
            "Official figures",
            "© United Nations; may be copied and passed on if the source is named",
            path="https://www.un.org/en/about-us/terms-of-use",
        ),
        Terms("Form of the files and their documentation", "MIT licence", "MIT", "https://opensource.org/license/mit"),
    ]


FILES: Final = (
    ("index.html", "the way in: a report in several languages; open it in a browser, no network needed"),
    ("lnob.xlsx", "all tables in one workbook for Excel or LibreOffice, with a read-me and a codebook"),
    ("lnob.duckdb", "all tables in one DuckDB file, views on them, a comment on every column"),
    ("<table>.parquet", "one table; descriptions, units and codes are in the Arrow field metadata"),
    ("<table>.csv", "the same as text, UTF-8; an apostrophe stands before text that a spreadsheet would run"),
    ("stata/<table>.dta", "the same for Stata 14 or later; labels of codes: stata/codes.dta"),
    ("spss/<table>.sav", "the same for SPSS and PSPP, with labels of variables and codes"),
    ("sdmx/", "estimates and gaps as SDMX-CSV and SDMX-ML"),
    ("open_sdg/", "a folder that an Open SDG site takes as it is"),
    ("CODEBOOK.md", "every table, column, unit and code, and how figures are hidden"),
    ("datapackage.json", "the same for machines: Data Package, version 2"),
    ("croissant.json", "the same for catalogues of data sets: Croissant"),
    ("CHANGES.md", "what differs from the release before, by table and country"),
    ("manifest.json", "where the figures come from: submissions, official release, versions, settings"),
    ("SHA256SUMS", "check with: sha256sum -c SHA256SUMS"),
)
"""What lies in a release, and what for."""
