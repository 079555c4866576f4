"""Which columns every column is made from, and how, in a few words: declared once.

Here: what depends on what. Not here: what a column means (tables.py), what becomes of it (the stages). The Dagster UI
draws this, and a release holds it as the table `column_lineage`.

A source of a column is a column (or something that is no table: ORIGINS) from which its value is computed or that
decides which value it is. Columns by which rows are only found, the key of the source table, are named where the value
itself rests on them. `*` stands for variables that differ from row to row: those that `questions` names. Two groups are
kept apart: what the stages make (STAGES_MAKE) and what publication changes of it for the release (RELEASE_CHANGES); a
column of the release that is in neither of RELEASE_CHANGES is published as its stage made it. That the declarations
are true is tested by changing one source after the other (test_column_lineage.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline import tables
from lnob_pipeline.tables import STRATUM_DIMENSIONS, Table

ORIGINS: Final = {
    "hand_in": "the files of a hand-in, and when they came",
    "official_figures": "the UN SDG database as fetched or bundled",
    "mappings": "indicator_mappings: the file or folder",
    "settings": "lnob_pipeline/settings.py: the setting",
    "register": "a list that people keep in the inbox",
    "project": "the declarations of this project",
    "release": "the releases that were published before",
}
"""Where columns begin that no table is behind."""
VARIABLES: Final = "*"


@dataclass(frozen=True)
class Made:
    """Columns of one table, the sources of each of them (table or origin, column or place), and how they are made."""

    columns: tuple[str, ...]
    how: str
    sources: tuple[tuple[str, str], ...]


def _made(columns: str, how: str, **sources: str) -> Made:
    """`columns` and the values of `sources` are names with blanks between; names of sources: tables and ORIGINS."""
    pairs = tuple((source, name) for source, names in sources.items() for name in dict.fromkeys(names.split()))
    return Made(tuple(columns.split()), how, pairs)


def _copied(source: str, columns: str, how: str = "as it stands there") -> tuple[Made, ...]:
    """Each column from the one of the same name."""
    return tuple(Made((name,), how, ((source, name),)) for name in columns.split())


_STRATUM = " ".join(("stratum", *STRATUM_DIMENSIONS))
_NAMES = "submission_id version"
_NUMBERS = "estimate standard_error ci_low ci_high n n_numerator n_clusters degrees_of_freedom design_effect status"
_NUMBERS += " largest_share two_largest_share"
_OUTCOME = "n_rows n_accepted n_quarantined n_refused"
_BREAKDOWNS = "breakdowns.yaml groups.yaml"
_LIBRARY = "indicators framework"
_USABLE = "year nature value_flag"
"""Columns that say whether there is a usable official value."""
_CHOSEN = f"{_USABLE} value_text"
"""Columns that choose the official value beside a citizen one: the latest, of one year by nature, then by text."""
_ASKED = f"{VARIABLES} marginalised_groups household_weight household_size eligible_adults stratum cluster"
_ASKED += " population_clusters"
_SAMPLE = "sampling_method comparability area_level"
_BOUNDS = "value lower upper lower_bound upper_bound units"
_PAIR = f"estimate standard_error ci_low ci_high reliability status unit definition_version year {_SAMPLE}"
_SPEAKS = f"estimate reliability status series definition_version year {_SAMPLE} submission_id"
_VERDICT = "decided_by decision date subject"
_SERIES = "in_release loaded series"

_VALIDATION = (tables.QUARANTINE, tables.VALIDATION_RESULTS, tables.FITNESS, tables.LINKAGE)
_RISK = "risk_k_internal risk_k_public risk_global_limit"


def _of_files(table: Table, carried: str) -> tuple[Made, ...]:
    """A table of stage 2: names from the ledger, all else read from the files of the hand-in."""
    rest = " ".join(name for name in table.schema if name not in carried.split())
    return (
        *_copied("submissions", carried),
        _made(
            rest, "read and judged by the rules of stage 2", sealed_files="sha256 role format", mappings="instruments"
        ),
    )


STAGES_MAKE: Final[Mapping[str, tuple[Made, ...]]] = {
    "submissions": (
        _made(
            "submission_id iso3 data_type instrument state manifest", "read from submission.yaml", hand_in="manifest"
        ),
        _made("version", "sha256 over manifest and files", hand_in="manifest files"),
        _made("reason", "why the manifest cannot be used", hand_in="manifest"),
        _made("received_at", "clock of the run that saw the version first", hand_in="arrival"),
    ),
    "sealed_files": (
        _made("submission_id path role format", "read from submission.yaml", hand_in="manifest"),
        _made("version sha256 bytes", "counted over the bytes", hand_in="files"),
    ),
    "responses": _of_files(tables.RESPONSES, "submission_id"),
    **{
        table.name: _of_files(table, " ".join(name for name in _NAMES.split() if name in table.schema))
        for table in _VALIDATION
    },
    "validation_outcomes": (
        *_copied("submissions", _NAMES),
        _made(
            f"state reasons quarantine_share {_OUTCOME}",
            "counted over the rows that passed, did not pass, or had no consent; the gate decides",
            sealed_files="sha256 role format",
            mappings="instruments",
            settings="quarantine_share_limit rejection_share_limit",
            register="reviews.csv",
        ),
        _made("citizen_data", "level of engagement that the manifest states", submissions="manifest"),
        _made("mapping_version", "hash of instrument and question bank", mappings="instruments variables"),
    ),
    "reviews": (_made(" ".join(tables.REVIEWS.schema), "as people wrote it", register="reviews.csv"),),
    "retention": (
        *_copied("sealed_files", "submission_id version sha256"),
        _made(
            "action because retention_until as_of recorded_at",
            "what `lnob retention` did",
            submissions="manifest state",
        ),
    ),
    "submission_status": (
        *_copied("submissions", "submission_id iso3 data_type received_at version", "of the newest hand-in"),
        _made("state", "decision of stage 2, or what stage 1 said", submissions="state", validation_outcomes="state"),
        _made("in_tables", "newest accepted version", submissions="version state", validation_outcomes="version state"),
        *_copied("validation_outcomes", _OUTCOME, "of the newest hand-in"),
    ),
    "disclosure_risk": (
        *_copied("submissions", _NAMES),
        _made(
            "level measure value threshold verdict drivers",
            "counted over combinations of identifying variables; VARIABLES: those of the bank that could identify",
            harmonised_households=VARIABLES,
            harmonised_persons=VARIABLES,
            settings=_RISK,
        ),
    ),
    "citizen_evidence": (
        _made("submission_id iso3", "from the manifest", submissions="submission_id manifest"),
        _made(
            "indicator statement",
            "code of the instrument for what was asked",
            responses=VARIABLES,
            mappings="instruments",
        ),
        _made("evidence_type", "kind of record, or what the record says", responses=VARIABLES, mappings="instruments"),
        _made(
            "marginalised_group finding source score n_groups n_participants n_mentions",
            "counted, or averaged, over records of one statement and group",
            responses=VARIABLES,
            mappings="instruments",
        ),
        _made("area", "where one area is behind the row and may be named", responses=VARIABLES, submissions="manifest"),
        _made(
            "scale_minimum scale_maximum better",
            "scale of the instrument, beside a score",
            responses=VARIABLES,
            mappings="instruments",
        ),
        _made("year", "middle day of collection", submissions="manifest"),
        _made("comparability", "E for a policy review, else D", responses=VARIABLES, mappings="instruments"),
    ),
    "citizen_estimates": (
        _made(
            "submission_id iso3 year area_level area sampling_method",
            "from the manifest",
            submissions="submission_id manifest",
        ),
        _made(
            "indicator series unit definition_version",
            "of the indicator files that the form supports",
            mappings=_LIBRARY,
        ),
        _made(
            _STRATUM,
            "strata that the indicator expects and that occur",
            mappings=_BREAKDOWNS,
            harmonised_households=VARIABLES,
            harmonised_persons=VARIABLES,
        ),
        _made(
            "population",
            "whom the measure counts, and the population of the manifest",
            mappings="indicators",
            submissions="manifest",
            harmonised_households="household_size",
        ),
        _made(
            _NUMBERS,
            "design-based estimate over the variables that `questions` names; breakdowns choose the rows",
            harmonised_households=_ASKED,
            harmonised_persons=VARIABLES,
            submissions="manifest",
            mappings=f"indicators countries.yaml {_BREAKDOWNS}",
        ),
        _made(
            "reliability",
            "rule of cases, degrees of freedom and width of the interval over the same variables",
            harmonised_households=_ASKED,
            harmonised_persons=VARIABLES,
            submissions="manifest",
            mappings=f"indicators countries.yaml {_BREAKDOWNS}",
        ),
        _made(
            "comparability comparability_reason",
            "definition, question as asked, sample, share in quarantine",
            submissions="manifest",
            validation_outcomes="quarantine_share",
            mappings="indicators instruments",
            settings="quarantine_share_limit",
            harmonised_households=VARIABLES,
            harmonised_persons=VARIABLES,
        ),
        _made("questions", "variables of the measure that the form asks", mappings="indicators instruments variables"),
        _made("instrument", "named in the manifest", submissions="manifest"),
        _made(
            "mapping_version",
            "hash of the files",
            mappings=f"indicators instruments variables countries.yaml {_BREAKDOWNS}",
        ),
        _made(
            "sensitive",
            "the indicator, a question or the group is sensitive",
            mappings="indicators variables groups.yaml",
        ),
    ),
    "sdg_catalogue": (
        _made("release in_release loaded", "what the release lists and the snapshot holds", official_figures="series"),
        _made(
            "indicator goal target series title",
            "the release's list, and the series that the project asks about",
            official_figures="series indicators",
        ),
        _made("unit", "units of the rows of the series", official_figures="observations"),
    ),
    "official_observations": (
        _made("release", "release in use", official_figures="release"),
        _made(
            "iso3", "country of the partnership by its M49", official_figures="observations", mappings="countries.yaml"
        ),
        _made(
            "m49 year value_text nature units lower_bound upper_bound source footnotes",
            "as published",
            official_figures="observations",
        ),
        _made("value lower upper value_flag", "read from the text of the value", official_figures="observations"),
        _made(
            "series sex age location quantile disability_status education_level other_dimensions dimension_key",
            "codes as published",
            official_figures="observations",
        ),
    ),
    "official_releases": (
        _made("release route fetched source rows series sha256", "as taken in", official_figures="release"),
        _made(
            "state held_because",
            "compared with the release before",
            official_figures="release",
            settings="official_fall_limit official_source",
        ),
        _made(
            "decided_by decided_on decision",
            "a person's word on a held release (lnob official accept)",
            register="official",
        ),
    ),
    "official_revisions": (
        _made("release previous_release", "release in use and the one before", official_figures="release"),
        _made(
            "change value_text_before value_text_now relative_change note",
            "the observations of the release in use against those of the one before",
            official_observations="value_text value lower upper value_flag nature series m49 year dimension_key",
            sdg_catalogue="series title unit indicator in_release loaded",
            official_figures="observations",
            settings="official_revision_tolerance",
        ),
        _made(
            "series m49 iso3 year dimension_key nature",
            "of the observation that changed",
            official_observations="series m49 iso3 year dimension_key nature",
            official_figures="observations",
        ),
    ),
    "comparison": (
        _made(
            "iso3 indicator series",
            "cells that are expected and estimates that are there",
            citizen_estimates="iso3 indicator series",
            sdg_catalogue="indicator series in_release loaded",
            mappings=f"countries.yaml {_LIBRARY}",
        ),
        *(
            _made(name, "of the estimate or of the expected cell", citizen_estimates=name, mappings=_BREAKDOWNS)
            for name in _STRATUM.split()
        ),
        _made("unit", "of the estimate, else of the series", citizen_estimates="unit", mappings=_LIBRARY),
        _made(
            "relation",
            "whether there is an official value, an estimate, and whether it is of class A and the country",
            citizen_estimates=f"submission_id estimate status {_SAMPLE}",
            official_observations=_USABLE,
        ),
        _made("official_release", "release of the catalogue", sdg_catalogue="release"),
        _made("official_snapshot", "the release in use in words", official_releases="release route fetched state"),
        _made("official_year", "latest with a usable value", official_observations=_CHOSEN),
        _made("official_value_text", "latest usable value", official_observations=_CHOSEN),
        _made("official_nature", "of the latest usable value", official_observations=_CHOSEN),
        _made(
            "official_value",
            "the latest usable value in the unit of the row",
            official_observations=f"value units {_CHOSEN}",
            citizen_estimates="unit",
            mappings=_LIBRARY,
        ),
        _made(
            "official_lower official_upper",
            "published bounds that enclose the value, or ends of a censored value",
            official_observations=f"{_BOUNDS} {_CHOSEN}",
            citizen_estimates="unit",
            mappings=_LIBRARY,
        ),
        _made("official_unit", "of the latest usable value", official_observations=f"units {_CHOSEN}"),
        _made("official_source", "of the latest usable value", official_observations=f"source {_CHOSEN}"),
        *_copied(
            "citizen_estimates",
            "submission_id comparability comparability_reason sampling_method questions instrument mapping_version",
        ),
        *(
            _made(f"citizen_{name}", "as estimated", citizen_estimates=name)
            for name in (
                "year",
                "estimate",
                "standard_error",
                "ci_low",
                "ci_high",
                "n",
                "population",
                "area_level",
                "area",
                "reliability",
                "status",
            )
        ),
        _made(
            "definition_version",
            "that was computed, else that of the indicator file",
            citizen_estimates="definition_version",
            mappings="indicators",
        ),
        _made(
            "differences",
            "each thing that differs, in words",
            citizen_estimates="definition_version comparability_reason area population year unit indicator series "
            f"submission_id {_SAMPLE}",
            official_observations=f"{_BOUNDS} {_CHOSEN}",
            mappings=_LIBRARY,
        ),
        _made(
            "flags",
            "whether figures on one line lie further apart than their errors",
            citizen_estimates=_PAIR,
            official_observations=f"{_BOUNDS} {_CHOSEN}",
            mappings=_LIBRARY,
            settings="discrepancy_points comparison_window_years",
        ),
        _made(
            "mapping_lines",
            "line of the instrument for each question",
            citizen_estimates="questions instrument",
            mappings="instruments",
        ),
        _made(
            "question_wordings",
            "hash of wording and codes of each question",
            citizen_estimates="questions instrument",
            mappings="variables",
        ),
        _made("gap_status", "of the cell", data_gaps="status"),
        _made("gap_flags", "of the cell, but those of a pair", data_gaps="flags"),
        _made("closing_questions", "of the cell", data_gaps="closing_questions"),
    ),
    "data_gaps": (
        _made("iso3", "the countries of the partnership", mappings="countries.yaml"),
        _made(
            "indicator series",
            "the framework, the library and what the release has",
            sdg_catalogue="indicator series in_release loaded",
            mappings=_LIBRARY,
        ),
        _made(
            f"{_STRATUM} expected_because",
            "strata that the framework and the pledge ask for",
            mappings=f"{_LIBRARY} {_BREAKDOWNS}",
        ),
        _made(
            "status headline_status",
            "first status that holds of the rows of the stratum",
            official_observations=_USABLE,
            sdg_catalogue=_SERIES,
            mappings=f"{_LIBRARY} applicability.yaml",
            settings="as_of_year base_year",
        ),
        _made(
            "flags",
            "each rule on years, natures, breakdowns and precision; how an estimate on one line differs",
            official_observations=f"{_USABLE} {_BOUNDS} value_text iso3",
            sdg_catalogue=_SERIES,
            official_revisions="change year",
            citizen_estimates=_PAIR,
            mappings=f"{_LIBRARY} {_BREAKDOWNS} applicability.yaml",
            settings="as_of_year base_year stale_after_years obsolete_after_years discrepancy_points "
            "comparison_window_years",
        ),
        _made("latest_year", "latest with a usable value", official_observations=_USABLE, settings="as_of_year"),
        _made(
            "n_years_since_base n_years_before_base",
            "years with a usable value",
            official_observations=_USABLE,
            settings="as_of_year base_year",
        ),
        _made(
            "natures n_years_country n_years_country_before_base n_years_country_data n_years_country_data_before_base",
            "natures of the years with a usable value",
            official_observations=_USABLE,
            settings="as_of_year base_year",
        ),
        _made(
            "scope",
            "share of the countries with two years",
            official_observations=_USABLE,
            sdg_catalogue=_SERIES,
            mappings=f"{_LIBRARY} applicability.yaml",
            settings="as_of_year base_year",
        ),
        _made(
            "citizen_effect citizen_submissions",
            "strongest thing that an estimate or evidence does for the cell",
            citizen_estimates=_SPEAKS,
            citizen_evidence="submission_id comparability marginalised_group indicator",
            decisions=_VERDICT,
            mappings="indicators",
            settings="as_of_year comparison_window_years",
        ),
        _made("official_release", "release of the catalogue", sdg_catalogue="release"),
        _made("as_of_year", "the setting", settings="as_of_year"),
        _made("definition_version", "of the indicator file", mappings="indicators"),
        _made(
            "closing_questions closing_group",
            "questions of the measures, where the cell is a gap",
            official_observations=_USABLE,
            sdg_catalogue=_SERIES,
            mappings=f"indicators variables countries.yaml applicability.yaml {_BREAKDOWNS}",
            settings="as_of_year base_year",
        ),
    ),
    "coverage": (
        *_copied("data_gaps", "iso3"),
        _made("goal", "first part of the indicator", data_gaps="indicator"),
        _made("breakdown category", "dimensions and code of the stratum", data_gaps="stratum"),
        _made("n_expected", "rows counted", data_gaps="stratum"),
        _made("n_applicable n_not_loaded", "rows counted", data_gaps="status"),
        _made("n_with_headline n_judged", "rows counted", data_gaps="stratum status headline_status"),
        _made("n_reported", "rows counted", data_gaps="status"),
        *(
            _made(
                f"n_one_year{suffix} n_two_years{suffix}",
                "reported rows counted by their years",
                data_gaps=f"status {since}",
            )
            for suffix, since in (
                ("", "n_years_since_base"),
                ("_country_data", "n_years_country_data"),
                ("_country", "n_years_country"),
            )
        ),
        *(
            _made(
                f"n_two_years_and_baseline{suffix}",
                "reported rows counted by their years",
                data_gaps=f"status {since} {before}",
            )
            for suffix, since, before in (
                ("", "n_years_since_base", "n_years_before_base"),
                ("_country_data", "n_years_country_data", "n_years_country_data_before_base"),
                ("_country", "n_years_country", "n_years_country_before_base"),
            )
        ),
        _made(
            "n_closes n_could_close n_informs n_illustrates n_not_shown n_nothing_yet n_with_headline_citizen",
            "gaps counted by what citizen data does",
            data_gaps="stratum status headline_status citizen_effect",
        ),
    ),
    "decisions": (
        _made(
            "subject decided_by decision date reference",
            "consents of the manifests, and the register",
            submissions="manifest",
            register="decisions.csv",
        ),
    ),
}
"""Table of the lake -> how its columns are made. Those of the harmonised tables follow from the mapping files."""

_HIDDEN = "estimate n n_numerator largest_share two_largest_share sensitive indicator submission_id series status"
_HIDDEN += " marginalised_group"
_HIDES = "estimate standard_error ci_low ci_high n n_clusters degrees_of_freedom design_effect"

RELEASE_CHANGES: Final[Mapping[str, tuple[Made, ...]]] = {
    "sources": (
        *_copied("submissions", "submission_id iso3 data_type", "of the newest hand-in"),
        _made("state", "decision of stage 2, or what stage 1 said", submissions="state", validation_outcomes="state"),
        _made(
            "organisation sampling_method area_level area year n_planned instrument synthetic",
            "from the manifest, as far as it may be named",
            submissions="manifest state",
            validation_outcomes="state",
            decisions=_VERDICT,
        ),
        *_copied("validation_outcomes", "n_accepted n_quarantined n_refused", "of the newest hand-in"),
        _made("citizen_data", "of the accepted version", validation_outcomes="citizen_data state", decisions=_VERDICT),
        _made(
            "version",
            "accepted, else newest",
            submissions="version",
            validation_outcomes="version state",
            decisions=_VERDICT,
        ),
    ),
    "citizen_estimates": (
        *(
            _made(
                name,
                "as estimated, unless hidden to protect people",
                citizen_estimates=f"{name} {_HIDDEN}",
                mappings="indicators groups.yaml",
            )
            for name in _HIDES.split()
        ),
        _made(
            "status reliability",
            "says that and why a number is hidden",
            citizen_estimates=f"reliability {_HIDDEN}",
            mappings="indicators groups.yaml",
        ),
        _made("area", "first-level areas alone", citizen_estimates="area", mappings="countries.yaml"),
        _made(
            "population",
            "without the place where none may be named",
            citizen_estimates="population area area_level",
            mappings="countries.yaml",
        ),
    ),
    "citizen_evidence": (
        _made(
            "finding",
            "hidden where fewer than four took part",
            citizen_evidence="finding evidence_type n_participants n_groups",
        ),
        *(
            _made(
                name,
                "hidden where fewer than four took part",
                citizen_evidence=f"{name} evidence_type n_participants n_groups",
            )
            for name in ("score", "n_groups", "n_participants", "n_mentions")
        ),
        _made("area", "first-level areas alone", citizen_evidence="area", mappings="countries.yaml"),
    ),
    "comparison": (
        *(
            _made(f"citizen_{name}", "as published in citizen_estimates", citizen_estimates=f"{name} {_HIDDEN}")
            for name in ("estimate", "standard_error", "ci_low", "ci_high", "n", "reliability", "status")
        ),
        _made("citizen_area", "first-level areas alone", citizen_estimates="area"),
        _made(
            "citizen_population",
            "without the place where none may be named",
            citizen_estimates="population area area_level",
        ),
        _made("flags", "none where the estimate is hidden", comparison="flags", citizen_estimates=_HIDDEN),
        _made(
            "differences",
            "without the place where none may be named",
            comparison="differences citizen_area_level",
            citizen_estimates="area",
        ),
    ),
    "data_gaps": (
        _made(
            "citizen_effect",
            "not_shown where every estimate behind it is hidden",
            data_gaps="citizen_effect",
            citizen_estimates=_HIDDEN,
        ),
        _made(
            "flags",
            "without those of a pair where the estimate is hidden",
            data_gaps="flags",
            citizen_estimates=_HIDDEN,
        ),
    ),
    "coverage": (
        _made(
            "n_closes n_could_close n_informs n_illustrates n_not_shown n_nothing_yet n_with_headline_citizen",
            "counted anew over the published gaps",
            data_gaps="stratum status headline_status citizen_effect",
            citizen_estimates=_HIDDEN,
        ),
    ),
    "disclosure_audit": (
        _made(
            "submission_id series reason n_hidden n_attacked n_public_before narrowest passed",
            "what was hidden, and the linear programmes that attack what is shown",
            citizen_estimates=_HIDDEN,
            mappings="indicators groups.yaml",
            release="citizen_estimates",
        ),
    ),
    "withdrawals": (
        _made(
            "submission_id iso3",
            "of a withdrawn hand-in that was published",
            release="sources",
            submissions="submission_id iso3 state",
        ),
        _made("withdrawn_on", "day of its arrival", submissions="received_at state"),
        _made("first_release last_release versions", "releases that held it", release="manifest.json"),
    ),
    "codes": (
        _made(
            "table_name column_name position",
            "coded columns of the release and the order of their lists",
            project="tables.py code_lists.py",
        ),
        _made(
            "code label",
            "lists of the mappings and of the project",
            project="code_lists.py",
            mappings="countries.yaml breakdowns.yaml groups.yaml",
        ),
    ),
    "column_lineage": (
        _made(
            "stage table_name column_name source_table source_column how",
            "this declaration",
            project="column_lineage.py",
        ),
    ),
}
"""Table of the release -> what publication makes, or makes of what a stage made."""


def made_in_stage(table: str) -> Iterator[tuple[str, str, str, str]]:
    """(column, source, column of the source, how) of a table of the lake."""
    return _pairs(STAGES_MAKE.get(table, ()))


def made_for_release(table: str) -> Iterator[tuple[str, str, str, str]]:
    """(column, source, column of the source, how) of what publication does to a table of the release.

    A column that it leaves alone comes from the one of the same name.
    """
    made = RELEASE_CHANGES.get(table, ())
    changed = {name for item in made for name in item.columns}
    yield from _pairs(made)
    if table in STAGES_MAKE:
        yield from (
            (name, table, name, "as its stage made it") for name in _released(table).schema if name not in changed
        )


def column_lineage() -> pl.DataFrame:
    """The table COLUMN_LINEAGE: the public tables, as their stages make them and as publication changes them."""
    rows = []
    for table in tables.RELEASE_TABLES:
        made = next((item.stage for item in tables.FIXED_TABLES if item.name == table.name), "")
        kept = set(table.schema)
        rows += [(made, table.name, *pair) for pair in made_in_stage(table.name) if pair[0] in kept]
        rows += [("publication", table.name, *pair) for pair in _pairs(RELEASE_CHANGES.get(table.name, ()))]
    return pl.DataFrame(rows, schema=tables.COLUMN_LINEAGE.schema, orient="row").sort(tables.COLUMN_LINEAGE.key)


def undeclared(declared: Mapping[str, Collection[Made]], of: Collection[Table]) -> list[str]:
    """`table.column` of every column that is declared nowhere."""
    return [
        f"{table.name}.{name}"
        for table in of
        for name in table.schema
        if not any(name in item.columns for item in declared.get(table.name, ()))
    ]


def _released(name: str) -> Table:
    return next(table for table in tables.RELEASE_TABLES if table.name == name)


def _pairs(made: Collection[Made]) -> Iterator[tuple[str, str, str, str]]:
    for item in made:
        for name in item.columns:
            yield from ((name, source, column, item.how) for source, column in item.sources)
