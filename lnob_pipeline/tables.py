"""Every table of the project: columns, types, units, keys, descriptions, who may see it.

One declaration serves the Polars schema, the Arrow field metadata, the Dagster column schema, the DuckDB comments and
the data dictionary. Here belongs meaning; how a table is computed is in the stage packages, how it is written in
storage.py. Asset = Parquet file = DuckDB table, by the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from lnob_pipeline.mappings.load import Mappings

Kind = Literal["text", "integer", "number", "boolean", "date"]
CodeLists = Mapping[str, Mapping[str, str]]
"""Name of a code list -> code -> label."""
POLARS: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int32(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
}
ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int32(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Column:
    """A column: name, kind, one sentence, the unit where it is a number, the code list where it holds codes.

    codes: name of a list of publication/code_lists.py. joined: a value may be several of its codes joined by ','.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    codes: str | None = None
    joined: bool = False


@dataclass(frozen=True)
class Table:
    """A table. `open` tables carry text columns of the source beside the declared ones (responses).

    visibility: sealed (may hold identifiers), closed (no identifiers, not for publication), public.
    """

    name: str
    stage: str
    description: str
    visibility: Literal["sealed", "closed", "public"]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned: bool = False
    open: bool = False

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name -> Polars type, in order."""
        return {column.name: POLARS[column.kind] for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """The table without rows."""
        return pl.DataFrame(schema=self.schema)

    def arrow(self, names: Sequence[str] | None = None, code_lists: CodeLists | None = None) -> pa.Schema:
        """The Arrow schema: description, unit and codes (JSON, code -> label) of each field in its metadata.

        Codes stand there as far as `code_lists` has the list. Source columns of open tables are text.
        """
        declared = {column.name: column for column in self.columns}
        fields = []
        for name in names if names is not None else list(declared):
            column = declared.get(name) or Column(name, "text", "Column of the source file, as text")
            metadata = {"description": column.description} | ({"unit": column.unit} if column.unit else {})
            if codes := (code_lists or {}).get(column.codes or ""):
                metadata["codes"] = json.dumps(codes, ensure_ascii=False)
            fields.append(pa.field(name, ARROW[column.kind], metadata=metadata))
        return pa.schema(fields, metadata={"description": self.description, "visibility": self.visibility})


def _text(name: str, description: str, codes: str | None = None, *, joined: bool = False) -> Column:
    return Column(name, "text", description, codes=codes, joined=joined)


def _integer(name: str, description: str, unit: str | None = None) -> Column:
    return Column(name, "integer", description, unit)


def _number(name: str, description: str, unit: str | None = None) -> Column:
    return Column(name, "number", description, unit)


def _flag(name: str, description: str) -> Column:
    return Column(name, "boolean", description)


def _data_point_types() -> list[Column]:
    """The definitions of having data of UNSD's DataAvailability: data point types 1 to 3 by nature of data."""
    types = {
        "n_one_year": ("one year or more since the base year", 1),
        "n_two_years": ("two years or more since the base year", 2),
        "n_two_years_and_baseline": ("two years or more since the base year and two or more before it", 3),
    }
    natures = {
        "": ("of any nature (All)", {1: "; the same cells as n_reported"}),
        "_country_data": ("of nature C, country data (C)", {}),
        "_country": (
            "of nature C or CA, country or country adjusted (CNA)",
            {2: "; what this project calls owned by the country"},
        ),
    }
    return [
        _integer(
            f"{name}{suffix}",
            f"Cells with values of {years}, {nature}: UNSD data point type {number}{more.get(number, '')}",
            "cells",
        )
        for suffix, (nature, more) in natures.items()
        for name, (years, number) in types.items()
    ]


SUBMISSION = _text("submission_id", "Identifier of the hand-in: <iso3>-<year>-<slug>")
VERSION = _text("version", "Content hash of the hand-in: sha256 over the manifest and the files")
ISO3 = _text("iso3", "Country, ISO 3166-1 alpha-3", "countries")
INDICATOR = _text("indicator", "SDG indicator")
SERIES = _text("series", "UN series code; codes that start with LNOB_ are components, never an official series")
UNIT = _text("unit", "Unit of the numbers, that of the series: PERCENT, PER_1000 ...")
STRATUM_DIMENSIONS = ("sex", "age", "location", "disability", "wealth", "marginalised_group")
STRATUM = (
    _text("stratum", "Breakdown cell as name=code joined by ';' in the order of the dimensions; _T is the headline"),
    _text("sex", "F, M; _T is the total", "sex"),
    _text("age", "Age band in years; _T is the total of the universe", "age"),
    _text("location", "U urban, R rural; _T is the total", "location"),
    _text("disability", "yes, no by the Washington Group Short Set; _T is the total", "disability"),
    _text("wealth", "Q1 to Q5; _T is the total", "wealth"),
    _text("marginalised_group", "Code of indicator_mappings/groups.yaml; _T is the total", "marginalised_group"),
)

SUBMISSIONS = Table(
    "submissions",
    "submissions",
    "The ledger: one row for each version of each hand-in that was received",
    "closed",
    ("submission_id", "received_at", "version"),
    (
        SUBMISSION,
        VERSION,
        ISO3,
        _text("data_type", "household_survey, score_card, focus_group, interview or policy_review"),
        _text("instrument", "Instrument that maps the questionnaire"),
        _text("state", "received, superseded, withdrawn or unreadable (the manifest cannot be used)"),
        _text("reason", "Why the state is what it is; empty for received"),
        _text("received_at", "When the version was first seen, ISO 8601, UTC"),
        _text("manifest", "The manifest as JSON; null when it cannot be used"),
    ),
    partitioned=True,
)
SEALED_FILES = Table(
    "sealed_files",
    "submissions",
    "The files of each hand-in as kept in the sealed folder under their sha256",
    "sealed",
    ("submission_id", "version", "path"),
    (
        SUBMISSION,
        VERSION,
        _text("path", "File name as the partner gave it"),
        _text("role", "data, form, participants or codebook"),
        _text("format", "Format as the manifest declares it"),
        _text("sha256", "Content hash and name in the sealed folder"),
        Column("bytes", "integer", "Size of the file", "bytes"),
    ),
    partitioned=True,
)
RESPONSES = Table(
    "responses",
    "validation",
    "Accepted answers as text, one row for each record of the source, identifiers and free text taken out",
    "closed",
    ("submission_id", "record", "row_number", "record_key"),
    (
        SUBMISSION,
        _text("record", "Record of the instrument: household, person, score ..."),
        _integer("row_number", "Row in the partner's file; its header is row 1"),
        _text("record_key", "Key of the row inside the submission"),
        _text("parent_key", "Key of the parent row; null for a top record"),
    ),
    partitioned=True,
    open=True,
)
QUARANTINE = Table(
    "quarantine",
    "validation",
    "Rows and cells that were not accepted, with the rule and the reason; of refused rows only number and rule",
    "closed",
    ("submission_id", "file", "sheet", "row_number", "column", "rule_id"),
    (
        SUBMISSION,
        _text("record", "Record of the instrument"),
        _text("file", "File as the partner named it; its role where the name could identify a person"),
        _text("sheet", "Sheet or table as the partner named it"),
        _integer("row_number", "Row in the partner's file; its header is row 1"),
        _text("column", "Column header as the partner wrote it; null for a whole row"),
        _text("rule_id", "Rule of the fixed list"),
        _text("effect", "row (the row is out), cell (the answer is out, the row stays) or refused (consent)"),
        _text("written", "What the cell holds, only where it cannot identify a person"),
        _text("reason", "Why it was not accepted"),
        _text("mend", "What the partner can do"),
    ),
    partitioned=True,
)
VALIDATION_RESULTS = Table(
    "validation_results",
    "validation",
    "Result of every rule on every submission, as counts",
    "closed",
    ("submission_id", "rule_id", "engine", "record", "column", "expectation"),
    (
        SUBMISSION,
        _text("rule_id", "Rule of the fixed list"),
        _text("severity", "blocking, review (a person decides), warning or information"),
        _text("engine", "contract (Polars) or great_expectations"),
        _text("record", "Record of the instrument; null for the whole submission"),
        _text("column", "Column header as the partner wrote it; null for a whole record"),
        _text("expectation", "Name of the expectation or of the contract check"),
        _text("outcome", "passed, failed or not_applicable"),
        _integer("n_checked", "Rows or items looked at"),
        _integer("n_failed", "Rows or items that failed"),
        _text("message", "What was found, without any value"),
    ),
    partitioned=True,
)
VALIDATION_OUTCOMES = Table(
    "validation_outcomes",
    "validation",
    "Decision on each version: what was accepted, what was not, why",
    "closed",
    ("submission_id", "version"),
    (
        SUBMISSION,
        VERSION,
        _text("state", "accepted, accepted_with_flags, waiting_for_review or rejected"),
        _text("reasons", "Reasons for a rejection or for flags, joined by ' | '"),
        _integer("n_rows", "Rows of the main record in the files"),
        _integer("n_accepted", "Rows of the main record accepted"),
        _integer("n_quarantined", "Rows of the main record in quarantine"),
        _integer("n_refused", "Rows of the main record without consent; their answers are kept nowhere"),
        _number("quarantine_share", "Quarantined rows over rows with consent", "share"),
        _flag("citizen_data", "At least level 4 engagement in design or collection"),
        _text("mapping_version", "Hash of the instrument and question bank that were applied"),
    ),
    partitioned=True,
)
FITNESS = Table(
    "fitness",
    "validation",
    "Scorecard on the fitness of a hand-in for official use: one row a criterion; no number where evidence is missing",
    "closed",
    ("submission_id", "version", "position"),
    (
        SUBMISSION,
        VERSION,
        _integer("position", "Place of the criterion in the list of the secretariat"),
        _text("criterion", "Name of the criterion (indicator_mappings/fitness.yaml)"),
        _text("question", "What is asked"),
        _text("dimension", "Dimension of quality"),
        _integer("principle", "Principle of the United Nations National Quality Assurance Framework"),
        _text("kind", "gate (met or not), score (a value) or human (a person answers)"),
        _text("status", "met, not_met, scored, waiting_for_person or no_evidence"),
        _number("score", "Value of a score, in its measure; null unless scored"),
        _text("measure", "Measure of the score: share, years, indicators"),
        _text("evidence", "What the answer rests on, without any value of the data"),
        _text("source", "Where the criterion comes from"),
    ),
    partitioned=True,
)
REVIEWS = Table(
    "reviews",
    "validation",
    "Decisions of people on what a machine cannot judge, as read last from the register of the inbox (reviews.csv)",
    "closed",
    ("submission_id", "line"),
    (
        SUBMISSION,
        _integer("line", "Line of the register; of two decisions of one day the lower line holds"),
        _text("version", "First letters of the version that the decision is about, at least 12"),
        _text("rule_id", "Rule that waited for a person"),
        _text("decision", "accept or reject"),
        _text("decided_by", "secretariat, ethics_reviewer, statistics_office or community"),
        Column("date", "date", "Day of the decision"),
        _text("reason", "Why, without anything that says who a person is"),
    ),
    partitioned=True,
)
RETENTION = Table(
    "retention",
    "submissions",
    "What became of raw files whose date has passed or whose submission was withdrawn: the record that outlives them",
    "closed",
    ("submission_id", "version", "sha256", "recorded_at"),
    (
        SUBMISSION,
        VERSION,
        _text("sha256", "Content hash of the raw file"),
        _text("action", "deleted, or kept"),
        _text("because", "retention_date, withdrawn, or needed_by_another_submission (the same bytes)"),
        Column("retention_until", "date", "Last day on which raw files might be kept; null if withdrawn"),
        Column("as_of", "date", "Day as of which it was judged"),
        _text("recorded_at", "When it was done, ISO 8601, UTC"),
    ),
    partitioned=True,
)
SUBMISSION_STATUS = Table(
    "submission_status",
    "validation",
    "The state of each submission and its counts, one row each; reasons are in the ledger",
    "closed",
    ("submission_id",),
    (
        SUBMISSION,
        ISO3,
        _text("data_type", "household_survey, score_card, focus_group, interview or policy_review"),
        _text("state", "State of the newest hand-in: received, accepted, waiting_for_review, rejected, withdrawn ..."),
        _text("received_at", "When the newest hand-in was first seen, ISO 8601, UTC"),
        VERSION,
        _text("in_tables", "Version that later tables hold; null for none"),
        _integer("n_rows", "Rows of the main record in the files"),
        _integer("n_accepted", "Rows of the main record accepted"),
        _integer("n_quarantined", "Rows of the main record in quarantine"),
        _integer("n_refused", "Rows of the main record without consent"),
    ),
)
LINKAGE = Table(
    "linkage",
    "validation",
    "Keyed hashes of the ids of accepted rows, where an id is one of a kind: the same row in two hand-ins is seen",
    "closed",
    ("submission_id", "record", "row_number"),
    (
        SUBMISSION,
        _text("record", "Record of the instrument"),
        _integer("row_number", "Row in the partner's file; its header is row 1"),
        _text("linkage_id", "HMAC-SHA256 of the id, first 128 bits; the key is private and in no release"),
    ),
    partitioned=True,
)
DISCLOSURE_RISK = Table(
    "disclosure_risk",
    "harmonisation",
    "How likely people and households could be found in the records of a survey, and whether records may leave",
    "closed",
    ("submission_id", "level", "measure"),
    (
        SUBMISSION,
        VERSION,
        _text("level", "person or household (its composition)"),
        _text("measure", "records, smallest_k, share_below_internal_k (or public), global_risk, highest_risk"),
        _number("value", "What was measured; shares and risks are between 0 and 1"),
        _number("threshold", "Limit of the setting; null where the measure has none"),
        _text("verdict", "open or closed by the limit; null where the measure has none"),
        _text("drivers", "Variables without which fewer records are below the public k, with the percentage points"),
    ),
    partitioned=True,
)
CITIZEN_EVIDENCE = Table(
    "citizen_evidence",
    "harmonisation",
    "What score cards, discussions, interviews and policy reviews say of an indicator: never a population proportion",
    "public",
    ("submission_id", "indicator", "evidence_type", "statement", "marginalised_group", "area"),
    (
        SUBMISSION,
        ISO3,
        INDICATOR,
        _text("evidence_type", "score_card, provider_score, focus_group, interview or policy_review", "evidence_types"),
        _text("statement", "What was scored, coded or asked: code of the instrument"),
        _text("marginalised_group", "Group that speaks or is spoken of; null for none", "evidence_groups"),
        _text("area", "First-level area, ISO 3166-2; null where it may not be named"),
        _text("finding", "Answer or code: yes, no, partly, barrier ...; null for a score"),
        _number("score", "Mean of the groups' scores on the declared scale; null for other evidence", "scale points"),
        _number("scale_minimum", "Lowest score of the scale", "scale points"),
        _number("scale_maximum", "Highest score of the scale", "scale points"),
        _text("better", "high or low: which end of the scale is good; null for other evidence", "better"),
        _integer("n_groups", "Groups, interviews or documents behind the row"),
        _integer("n_participants", "Persons who took part in them; null where not recorded"),
        _integer("n_mentions", "Distinct excerpts coded; null for other evidence"),
        _integer("year", "Year of the middle day of collection"),
        _text("comparability", "D qualitative or score card, E policy or administrative fact", "comparability"),
        _text("source", "Legal or other source named by the reviewer; null for other evidence"),
    ),
    partitioned=True,
)
_ESTIMATE_COLUMNS = (
    SUBMISSION,
    ISO3,
    INDICATOR,
    SERIES,
    *STRATUM,
    _text("definition_version", "Version of the indicator definition that was computed"),
    _integer("year", "Year of the middle day of collection"),
    _text("area_level", "national, admin1, admin2 or community", "area_levels"),
    _text("area", "First-level areas the estimate speaks for, ISO 3166-2 joined by ','; null where not to be named"),
    _text("population", "Whom the number speaks of: persons, adults or households of the area, or respondents"),
    UNIT,
    _number("estimate", "Estimate", "unit of the series"),
    _number("standard_error", "Design-based standard error; null unless a probability sample", "unit of the series"),
    _number(
        "ci_low",
        "Lower end of the 95 % interval (logit for shares, t for means); null unless a probability sample",
        "unit of the series",
    ),
    _number(
        "ci_high",
        "Upper end of the 95 % interval (logit for shares, t for means); null unless a probability sample",
        "unit of the series",
    ),
    _integer("n", "Unweighted number of units in the denominator; households where they answer for their members"),
    _integer("n_clusters", "Primary sampling units with units of the stratum; null unless a probability sample"),
    _integer("degrees_of_freedom", "Clusters less strata in the domain; null unless a probability sample"),
    _number("design_effect", "Variance over that of a simple random sample; null unless a probability sample"),
    _text(
        "reliability",
        "reliable, use_with_caution, few_degrees_of_freedom, too_few_cases, not_estimable, not_probability (DHS rule)",
        "reliability",
    ),
    _text("comparability", "A, B or C: class of comparability with the official series", "comparability"),
    _text("comparability_reason", "Why the class is what it is"),
    _text("sampling_method", "probability, purposive, quota, census or open_call", "sampling_methods"),
    _text("status", "estimated, or why a number is absent", "estimate_statuses"),
    _text("questions", "Variables of the question bank behind the number, joined by ','"),
    _text("instrument", "Instrument that maps the questionnaire"),
    _text("mapping_version", "Hash of indicator, variables and instrument"),
)
CITIZEN_ESTIMATES = Table(
    "citizen_estimates",
    "estimation",
    "What each survey supports: indicator x stratum, with its precision and its class; before disclosure control",
    "closed",
    ("submission_id", "series", "stratum"),
    (
        *_ESTIMATE_COLUMNS,
        _integer(
            "n_numerator", "Unweighted number of units in the numerator, or whose number is not zero; for disclosure"
        ),
        _number(
            "largest_share", "Of a mean or ratio: part of the numerator that one unit carries; for disclosure", "1"
        ),
        _number("two_largest_share", "Of a mean or ratio: part that two units carry; for disclosure", "1"),
        _flag("sensitive", "The indicator or the group is sensitive"),
    ),
    partitioned=True,
)
SDG_CATALOGUE = Table(
    "sdg_catalogue",
    "official",
    "The series of the official release by indicator, and whether this snapshot holds them",
    "public",
    ("indicator", "series"),
    (
        _text("release", "Official release"),
        INDICATOR,
        _text("goal", "SDG goal"),
        _text("target", "SDG target"),
        SERIES,
        _text("title", "Title of the series"),
        _text("unit", "Unit code of the series"),
        _flag("in_release", "The official release has the series"),
        _flag("loaded", "This snapshot holds the observations of the series"),
    ),
)
OFFICIAL_OBSERVATIONS = Table(
    "official_observations",
    "official",
    "Observations of the UN Global SDG Database, value text beside the parsed number; indicators: sdg_catalogue",
    "public",
    ("series", "m49", "year", "dimension_key", "nature"),
    (
        _text("release", "Official release"),
        SERIES,
        _text("iso3", "Country, ISO 3166-1 alpha-3; null for an area outside the partnership", "countries"),
        _text("m49", "Area, UN M49, three digits"),
        _integer("year", "Year of the observation"),
        _text("value_text", "The value as published"),
        _number("value", "The value as a number; null where it is not one", "unit of the series"),
        _number("lower", "Lower end where the value is an interval (<2.5), else the value", "unit of the series"),
        _number("upper", "Upper end where the value is an interval (<2.5), else the value", "unit of the series"),
        _text(
            "value_flag", "number, below, above, not_applicable, withheld, not_provided or unreadable", "value_flags"
        ),
        _text(
            "nature", "C country, CA country adjusted, E estimated, M modelled, G global monitoring, N, NA", "natures"
        ),
        _text("units", "Unit code"),
        _text("sex", "API code; null where the row carries no sex"),
        _text("age", "API code; null where the row carries no age"),
        _text("location", "API code; null where the row carries no location"),
        _text("quantile", "API code; null where the row carries no quantile"),
        _text("disability_status", "API code; PD with, PWD without disability"),
        _text("education_level", "API code; null where the row carries none"),
        _text("other_dimensions", "Remaining dimensions as name=code joined by ';'; null for none"),
        _number("lower_bound", "Lower bound as published", "unit of the series"),
        _number("upper_bound", "Upper bound as published", "unit of the series"),
        _text("source", "Source as published; null in the bundled figures"),
        _text("footnotes", "Footnotes as published; null in the bundled figures"),
        _text("dimension_key", "Dimensions that are not totals as name=code joined by ';'; empty for the total"),
    ),
)
OFFICIAL_RELEASES = Table(
    "official_releases",
    "official",
    "Every official release that was taken in, which one is in use, and who decided about one that was held",
    "public",
    ("release", "fetched", "sha256"),
    (
        _text("release", "Official release"),
        _text(
            "route", "How it came: api, sdmx, file (a bulk download) or bundled (with the project)", "official_routes"
        ),
        _text("fetched", "Day of fetching; of bundled figures the month of the release"),
        _text("source", "Address that was asked, or name of the file"),
        _integer("rows", "Rows as received", "rows"),
        _integer("series", "Series that were asked for and answered in full", "series"),
        _text("sha256", "Of the manifest of the snapshot, which holds that of every part"),
        _text(
            "state",
            "in_use; superseded; held: it waits for a person, and the one before stays in use",
            "official_states",
        ),
        _text("held_because", "What is less than in the release before by more than the limit; null for nothing"),
        _text("decided_by", "Who let a held release be used"),
        Column("decided_on", "date", "Day of that decision"),
        _text("decision", "Why it may be used"),
    ),
)
OFFICIAL_REVISIONS = Table(
    "official_revisions",
    "official",
    "What differs between the official release in use and the one before it; empty where there is none before",
    "public",
    ("series", "m49", "year", "dimension_key", "nature", "change"),
    (
        _text("release", "Official release in use"),
        _text("previous_release", "The one before it"),
        _text(
            "change",
            "Of a value: added, changed, withdrawn. Of a series: series_added, series_withdrawn, series_renamed (its "
            "values stand under a new code), series_redefined (title, unit, headline or most values)",
            "revision_changes",
        ),
        SERIES,
        _text("m49", "Area, UN M49, three digits; null where the change is one of the series"),
        _text(
            "iso3",
            "Country, ISO 3166-1 alpha-3; null for an area outside the partnership or a change of a series",
            "countries",
        ),
        _integer("year", "Year of the observation; null where the change is one of the series"),
        _text("dimension_key", "Dimensions that are not totals, as in official_observations"),
        _text("nature", "Nature in the release in use; in the one before where the value was withdrawn", "natures"),
        _text("value_text_before", "The value as published before; of a series what it was"),
        _text("value_text_now", "The value as published now; of a series what it is"),
        _number("relative_change", "Change as a share of the value before; null where one is no number", "share"),
        _text("note", "What changed beside the value, or why the series counts as renamed or redefined"),
    ),
)
COMPARISON = Table(
    "comparison",
    "gaps",
    "Official and citizen figures of the same country, series and stratum side by side; neither fills the other",
    "public",
    ("iso3", "indicator", "series", "stratum", "submission_id"),
    (
        ISO3,
        INDICATOR,
        SERIES,
        *STRATUM,
        UNIT,
        _text("relation", "same_line (class A of the same area), beside, official_only or citizen_only", "relations"),
        _text("official_release", "Official release"),
        _integer("official_year", "Year of the latest usable official value"),
        _text("official_value_text", "Latest usable official value as published"),
        _number("official_value", "The same as a number", "unit of the series"),
        _text("official_nature", "Nature of the official value", "natures"),
        SUBMISSION,
        _integer("citizen_year", "Year of the citizen estimate"),
        _number("citizen_estimate", "Citizen estimate", "unit of the series"),
        _number("citizen_standard_error", "Design-based standard error", "unit of the series"),
        _number("citizen_ci_low", "Lower end of the 95 % interval", "unit of the series"),
        _number("citizen_ci_high", "Upper end of the 95 % interval", "unit of the series"),
        _integer("citizen_n", "Unweighted number of units in the denominator"),
        _text("citizen_population", "Whom the citizen number speaks of"),
        _text("citizen_area_level", "national, admin1, admin2 or community", "area_levels"),
        _text("citizen_area", "Areas the citizen number speaks for"),
        _text("citizen_reliability", "Reliability of the citizen estimate, as in citizen_estimates", "reliability"),
        _text("citizen_status", "estimated, suppressed, or why a number is absent", "estimate_statuses"),
        _text("comparability", "A, B or C", "comparability"),
        _text(
            "differences",
            "What differs between the two (definition, area, year ...), by ' | '; or that the row is a component",
        ),
        _text(
            "flags", "discrepancy or differs_from_model, joined by ','; empty for none", "comparison_flags", joined=True
        ),
        _text("questions", "Variables of the question bank behind the citizen number"),
        _text("instrument", "Instrument that maps the questionnaire"),
        _text("definition_version", "Version of the definition that was computed"),
        _text("mapping_version", "Hash of indicator, variables and instrument"),
        _text("official_snapshot", "The official figures in use: release, how and when they came"),
        _text("official_source", "Source of the official value as published; null where none is given"),
        _text("official_unit", "Unit code of the official value as published; its numbers are in `unit` if known how"),
        _number(
            "official_lower",
            "Published lower bound, or the lower end of a censored value; null for neither",
            "unit of the series",
        ),
        _number(
            "official_upper",
            "Published upper bound, or the upper end of a censored value; null for neither",
            "unit of the series",
        ),
        _text(
            "sampling_method",
            "probability, purposive, quota, census or open_call; null without a citizen number",
            "sampling_methods",
        ),
        _text("comparability_reason", "Why the class is what it is"),
        _text("mapping_lines", "file:line of the instrument for each of `questions`, in its order, joined by ','"),
        _text(
            "question_wordings",
            "Id of the wording of each of `questions`, in its order: variable@start of a sha256 over texts and codes",
        ),
        _text("gap_status", "Status of the cell in data_gaps; null for a component", "gap_statuses"),
        _text(
            "gap_flags",
            "Flags of the cell in data_gaps, but those of a pair, which stand in `flags`",
            "gap_flags",
            joined=True,
        ),
        _text("closing_questions", "Variables of the question bank that would close the gap, joined by ','"),
    ),
)
DATA_GAPS = Table(
    "data_gaps",
    "gaps",
    "One status and its flags for every country x indicator x series (empty where it has none) x stratum expected",
    "public",
    ("iso3", "indicator", "series", "stratum"),
    (
        ISO3,
        INDICATOR,
        SERIES,
        *STRATUM,
        _text("expected_because", "headline, required (by the indicator) or lnob (the pledge)", "expected_because"),
        _text(
            "status",
            "First that holds over the rows of the stratum itself: not_applicable, no_series, not_loaded, reported, "
            "none_since_2015, withheld, not_provided, never_reported",
            "gap_statuses",
        ),
        _text("headline_status", "Status of the headline of the same series", "gap_statuses"),
        _text("flags", "Flags that hold, joined by ','; empty for none", "gap_flags", joined=True),
        _integer("latest_year", "Latest year with a usable official value"),
        _integer("n_years_since_base", "Years with a usable official value since the base year"),
        _integer("n_years_before_base", "Years with a usable official value before the base year"),
        _text("natures", "Natures of the usable values since the base year, joined by ','", "natures", joined=True),
        _text(
            "scope",
            "systemic or national: whether half of the loaded countries have two years since the base year",
            "gap_scopes",
        ),
        _text(
            "citizen_effect",
            "could_close, closes, informs, illustrates, not_shown (hidden) or nothing_yet",
            "citizen_effects",
        ),
        _text("citizen_submissions", "Submissions behind the effect, joined by ','"),
        _text("official_release", "Official release"),
        _integer("as_of_year", "Year the gaps are judged from"),
        _text("definition_version", "Version of the indicator definition"),
        _integer("n_years_country", "Years since the base year with a usable value of nature C or CA"),
        _integer("n_years_country_before_base", "Years before the base year with a usable value of nature C or CA"),
        _integer("n_years_country_data", "Years since the base year with a usable value of nature C"),
        _integer("n_years_country_data_before_base", "Years before the base year with a usable value of nature C"),
        _text("closing_questions", "Variables of the question bank that would close the gap, joined by ','"),
        _text("closing_group", "Whom they would have to be asked for: the category of the stratum, or everybody"),
    ),
)
COVERAGE = Table(
    "coverage",
    "gaps",
    "Counts of expected cells by country, goal, breakdown and category, under each published definition of having data",
    "public",
    ("iso3", "goal", "breakdown", "category"),
    (
        ISO3,
        _text("goal", "SDG goal"),
        _text("breakdown", "headline, or the dimensions of the stratum joined by ' x '"),
        _text("category", "Category of the breakdown; _all for all of them together, of a crossing _all alone"),
        _integer("n_expected", "Expected cells", "cells"),
        _integer("n_applicable", "Expected cells less those not applicable", "cells"),
        _integer("n_not_loaded", "Applicable cells whose series this snapshot does not hold", "cells"),
        _integer(
            "n_with_headline",
            "Applicable strata without data whose headline has none: one gap with the headline",
            "cells",
        ),
        _integer("n_judged", "Applicable cells less n_not_loaded and n_with_headline", "cells"),
        _integer("n_reported", "Judged cells with a usable official value since the base year", "cells"),
        *_data_point_types(),
        _integer("n_closes", "Gaps that citizen data closes, accepted by the statistics office", "cells"),
        _integer("n_could_close", "Gaps that citizen data could close", "cells"),
        _integer("n_informs", "Gaps that citizen data informs", "cells"),
        _integer("n_illustrates", "Gaps that citizen data illustrates", "cells"),
        _integer("n_not_shown", "Gaps whose citizen numbers are all hidden to protect people", "cells"),
        _integer("n_nothing_yet", "Gaps without citizen data", "cells"),
        _integer("n_with_headline_citizen", "Of n_with_headline, cells that citizen data says something of", "cells"),
    ),
)
DECISIONS = Table(
    "decisions",
    "gaps",
    "Who decided what about a submission or a table of the release",
    "public",
    ("subject", "decided_by", "decision", "date"),
    (
        _text("subject", "Submission, or table of the release"),
        _text("decided_by", "partner, community, statistics_office or secretariat", "decision_makers"),
        _text("decision", "publish, accept, object or used_officially", "decisions"),
        Column("date", "date", "Day of the decision"),
        _text("reference", "Agreement, minute or letter"),
    ),
)
SOURCES = Table(
    "sources",
    "publication",
    "The hand-ins behind the release, as far as they may be named",
    "public",
    ("submission_id",),
    (
        SUBMISSION,
        ISO3,
        _text("organisation", "Partner; null where it may not be named"),
        _text("data_type", "household_survey, score_card, focus_group, interview or policy_review", "data_types"),
        _text("state", "accepted, accepted_with_flags, rejected, withdrawn ...", "submission_states"),
        _text("sampling_method", "How people were chosen", "sampling_methods"),
        _text("area_level", "national, admin1, admin2 or community", "area_levels"),
        _text("area", "First-level areas, ISO 3166-2; null where not to be named"),
        _integer("year", "Year of the middle day of collection"),
        _integer("n_planned", "Planned units"),
        _integer("n_accepted", "Accepted rows of the main record"),
        _integer("n_quarantined", "Rows in quarantine"),
        _integer("n_refused", "Rows without consent"),
        _flag("citizen_data", "At least level 4 engagement in design or collection"),
        _flag("synthetic", "The people of this hand-in do not exist"),
        _text("instrument", "Instrument that maps the questionnaire"),
        VERSION,
    ),
)
PUBLISHED_ESTIMATES = Table(
    "citizen_estimates",
    "publication",
    "What each survey supports, after disclosure control: hidden numbers are null and say so in status",
    "public",
    ("submission_id", "series", "stratum"),
    _ESTIMATE_COLUMNS,
)

WITHDRAWALS = Table(
    "withdrawals",
    "publication",
    "Submissions that an earlier release held and that were withdrawn since: their numbers are in no later release",
    "public",
    ("submission_id",),
    (
        SUBMISSION,
        ISO3,
        Column("withdrawn_on", "date", "Day on which the withdrawal was received"),
        _text("first_release", "First release that held the submission"),
        _text("last_release", "Last release that held it"),
        _text("versions", "Versions that were published, as first seen: start of their content hash, joined by ','"),
    ),
)

CODES = Table(
    "codes",
    "publication",
    "The code lists of the other tables: what each code of each coded column means",
    "public",
    ("table_name", "column_name", "position"),
    (
        _text("table_name", "Table of the release"),
        _text("column_name", "Column of that table which holds the code"),
        _integer("position", "Place of the code in its list, from 1"),
        _text("code", "Code as it stands in the column"),
        _text("label", "What the code means, in English"),
    ),
)

DISCLOSURE_AUDIT = Table(
    "disclosure_audit",
    "publication",
    "How well the hidden estimates withstand an attack by linear programming, without a hidden value or an interval",
    "public",
    ("submission_id", "series", "reason"),
    (
        SUBMISSION,
        SERIES,
        _text("reason", "Why the numbers are hidden: the status in citizen_estimates"),
        _integer("n_hidden", "Hidden estimates", "estimates"),
        _integer("n_attacked", "Hidden estimates that were attacked: all but those public before", "estimates"),
        _integer(
            "n_public_before", "Hidden estimates that an earlier release shows: nothing protects them", "estimates"
        ),
        _text(
            "narrowest",
            "Narrowest interval that an outsider could reach, relative to its upper end: none, under a quarter, "
            "a quarter, half, three quarters or more; null where none was attacked",
        ),
        _flag("passed", "Every interval is as wide as its rule asks, also of small sets that are not published"),
    ),
)

COLUMN_LINEAGE = Table(
    "column_lineage",
    "publication",
    "Where every column of the release comes from: a row for each column and each thing that it is made from",
    "public",
    ("stage", "table_name", "column_name", "source_table", "source_column"),
    (
        _text("stage", "Stage that makes the column; publication where it changes for the release what a stage made"),
        _text("table_name", "Table of the release"),
        _text("column_name", "Column of that table"),
        _text(
            "source_table",
            "Table that it is made from; or where it begins: hand_in, official_figures, mappings, settings, register, "
            "project, release",
        ),
        _text("source_column", "Column of the source, or file or setting; * for the variables that `questions` names"),
        _text("how", "What is done, in a few words"),
    ),
)

FIXED_TABLES = (
    SUBMISSIONS,
    SEALED_FILES,
    RESPONSES,
    QUARANTINE,
    VALIDATION_RESULTS,
    VALIDATION_OUTCOMES,
    FITNESS,
    REVIEWS,
    RETENTION,
    SUBMISSION_STATUS,
    LINKAGE,
    DISCLOSURE_RISK,
    CITIZEN_EVIDENCE,
    CITIZEN_ESTIMATES,
    SDG_CATALOGUE,
    OFFICIAL_OBSERVATIONS,
    OFFICIAL_RELEASES,
    OFFICIAL_REVISIONS,
    COMPARISON,
    DATA_GAPS,
    COVERAGE,
    DECISIONS,
)
RELEASE_TABLES = (
    SOURCES,
    PUBLISHED_ESTIMATES,
    CITIZEN_EVIDENCE,
    SDG_CATALOGUE,
    OFFICIAL_OBSERVATIONS,
    OFFICIAL_RELEASES,
    OFFICIAL_REVISIONS,
    COMPARISON,
    DATA_GAPS,
    COVERAGE,
    DECISIONS,
    DISCLOSURE_AUDIT,
    WITHDRAWALS,
    CODES,
    COLUMN_LINEAGE,
)
"""What a release holds; nothing else of the project leaves the private folders."""


HOUSEHOLD_KEYS = Table(
    "harmonised_households",
    "harmonisation",
    "Households with the variables of the question bank",
    "closed",
    ("submission_id", "household_key"),
    (SUBMISSION, _text("household_key", "Key of the household inside the submission")),
    partitioned=True,
)
PERSON_KEYS = Table(
    "harmonised_persons",
    "harmonisation",
    "Persons with the variables of the question bank; respondent variables are null for all but the respondent",
    "closed",
    ("submission_id", "household_key", "person_key"),
    (*HOUSEHOLD_KEYS.columns, _text("person_key", "Key of the person inside the submission")),
    partitioned=True,
)


def harmonised_households(mappings: Mappings) -> Table:
    """One row a household: keys and every household variable of the question bank."""
    columns = (*HOUSEHOLD_KEYS.columns, *_variable_columns(mappings, ("household",)))
    return replace(HOUSEHOLD_KEYS, columns=columns)


def harmonised_persons(mappings: Mappings) -> Table:
    """One row a person: keys and every person and respondent variable of the question bank."""
    columns = (*PERSON_KEYS.columns, *_variable_columns(mappings, ("person", "respondent")))
    return replace(PERSON_KEYS, columns=columns)


def _variable_columns(mappings: Mappings, units: tuple[str, ...]) -> list[Column]:
    columns: list[Column] = []
    for name, variable in mappings.variables.items():
        if variable.unit not in units:
            continue
        if variable.type == "number":
            columns.append(Column(name, "number", variable.label, variable.measure))
            columns.append(_text(f"{name}_missing", f"Why {name} is absent: dont_know, refused, not_asked, unmapped"))
        else:
            columns.append(Column(name, "date" if variable.type == "date" else "text", variable.label))
    for name, derived in mappings.derived.items():
        if derived.unit in units:
            columns.append(
                Column(name, "number" if derived.type == "number" else "text", derived.label, derived.measure)
            )
    return columns
