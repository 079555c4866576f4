"""What an Open SDG site says of an indicator beside its figures: configuration, metadata, and how to take the folder.

Here: the documents (YAML and one read-me) as text. Not here: which figures are rows (open_sdg_rows), files and folders
(open_sdg).

Metadata fields are the concepts of the SDG Metadata Structure Definition (SDG_GOAL, STAT_CONC_DEF, DATA_SOURCE ...), as
the Open SDG starter repository names them; configuration fields are those of the Open SDG documentation. A site shows
metadata as Markdown with HTML: what partners wrote is escaped. `reporting_status` counts as `data_gaps` does: complete
where a series of the indicator has an official headline since the base year; citizen data never makes an indicator
complete.

Sources: Open SDG, indicator configuration, metadata format, data configuration; SDG metadata concepts of IAEG-SDGs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import yaml

from lnob_pipeline.mappings.framework import indicators_of
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.markdown import plain
from lnob_pipeline.mappings.strata import expected_breakdowns
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.open_sdg_rows import (
    ATTRIBUTES,
    NOT_DISAGGREGATIONS,
    PLACE,
    SERIES,
    SOURCE,
    UNITS,
    VALUE,
    Rows,
    area_names,
    column_of,
    files_of,
    shown,
    source_names,
)

_ATTRIBUTE_LABELS: Final = {
    "LOWER_BOUND": "Lower bound",
    "UPPER_BOUND": "Upper bound",
    "OBS_STATUS": "Status of the figure (A accepted by the statistics office, G experimental, U low reliability)",
    "NATURE": "Origin of the official figure (C country, CA country adjusted, E estimated, G global, M modelled)",
}
_SAMPLES: Final = {
    "probability": "probability sample",
    "census": "census of the group or place",
    "purposive": "people chosen on purpose: shares of respondents",
    "quota": "quota sample: shares of respondents",
    "open_call": "whoever answered an open call: shares of respondents",
}
_EVIDENCE: Final = {
    "score_card": "score cards of community groups",
    "provider_score": "scores that providers gave themselves",
    "focus_group": "group discussions",
    "interview": "interviews",
    "policy_review": "a review of laws and policies",
}
_HOW_TO_READ: Final = (
    "Official figures are those of the United Nations Global SDG Database; they have no Source and no Area. Figures of "
    "citizen surveys stand beside them under their Source, fill no official figure and are part of no official total. "
    "They are experimental statistics that no statistics office has reviewed, unless their status says so."
)


@dataclass(frozen=True)
class Documents:
    """Everything that is said of every file, looked up by (iso3, indicator of the framework)."""

    status: Mapping[tuple[str, str], str]
    codes: Mapping[str, list[str]]
    surveys: Mapping[tuple[str, str], list[dict[str, Any]]]
    evidence: Mapping[tuple[str, str], list[dict[str, Any]]]
    starts: Mapping[str, list[dict[str, str]]]
    titles: Mapping[str, str]
    sources: Mapping[str, str]
    expected: Mapping[str, list[str]]
    content: ReleaseContent

    def source(self, submission: str) -> str:
        """Who gathered a hand-in, as the column Source says it, for a page in Markdown."""
        return plain(self.sources.get(submission, submission))

    @property
    def places(self) -> set[tuple[str, str]]:
        """Where citizens said something, or the indicator does not apply."""
        ruled_out = {place for place, status in self.status.items() if status == "notapplicable"}
        return {*self.surveys, *self.evidence, *ruled_out}


def documents(content: ReleaseContent, rows: Rows) -> Documents:
    """Gather what the documents say, once for all countries."""
    mappings = content.mappings
    codes: dict[str, list[str]] = {}
    parts = pl.DataFrame({"code": list(mappings.indicators)}).with_columns(files_of("code", mappings).alias("whole"))
    for code, whole in parts.iter_rows():
        codes.setdefault(whole, []).append(code)
    starts: dict[str, list[dict[str, str]]] = {}
    for row in rows.starts.iter_rows(named=True):
        starts.setdefault(row["indicator"], []).append({"field": row["field"], "value": row["value"]})
    named = mappings.framework.indicators.select("indicator", "title")
    return Documents(
        status=_status(content),
        codes=codes,
        surveys=_by_place(_surveys(content)),
        evidence=_by_place(_evidence(content)),
        starts=starts,
        titles={item.indicator: item.title for item in mappings.indicators.values()} | dict(named.iter_rows()),
        sources=dict(source_names(content).iter_rows()),
        expected=_expected(codes, mappings),
        content=content,
    )


def _expected(codes: Mapping[str, list[str]], mappings: Mappings) -> dict[str, list[str]]:
    """Indicator of the framework -> the columns that the indicator itself asks for."""
    found = {}
    for indicator, whole in indicators_of(mappings.framework).items():
        files = [expected_breakdowns(mappings.indicators[code], mappings) for code in codes.get(indicator, [])]
        asked = files or [expected_breakdowns(whole, mappings)]
        names = (name for item in asked for name in item.required)
        found[indicator] = list(dict.fromkeys(column_of(name, mappings) for name in names))
    return found


def _by_place(frame: pl.DataFrame) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault((row["iso3"], row["indicator"]), []).append(row)
    return found


def _status(content: ReleaseContent) -> dict[tuple[str, str], str]:
    status = pl.col("status")
    judged = (
        content.scan("data_gaps")
        .filter(pl.col("stratum") == "_T")
        .with_columns(files_of("indicator", content.mappings).alias("indicator"))
        .group_by(PLACE)
        .agg(
            pl.when((status == "not_applicable").all())
            .then(pl.lit("notapplicable"))
            .when((status == "reported").any())
            .then(pl.lit("complete"))
            .otherwise(pl.lit("notstarted"))
            .first()
        )
        .collect()
    )
    return {(iso3, indicator): str(found) for iso3, indicator, found in judged.iter_rows()}


def _surveys(content: ReleaseContent) -> pl.DataFrame:
    """One row a place and hand-in: how many of its estimates are rows of the files, how many are elsewhere, and why."""
    mappings = content.mappings
    estimates = content.tables["citizen_estimates"]
    said = pl.col("status") == "estimated"
    return (
        estimates.with_columns(files_of("indicator", mappings).alias("indicator"), shown(mappings).alias("shown"))
        .join(area_names(estimates, mappings), on=["area_level", "area"], how="left", nulls_equal=True)
        .group_by(*PLACE, "submission_id")
        .agg(
            pl.col("sampling_method").first(),
            pl.col("year").first(),
            pl.col("Area").first(),
            pl.col("instrument").first(),
            pl.col("n").max(),
            pl.col("shown").sum(),
            (said & ~pl.col("shown")).sum().alias("elsewhere"),
            (~said).sum().alias("hidden"),
            pl.col("comparability").filter(said).drop_nulls().unique().sort().alias("classes"),
            pl.col("comparability_reason").drop_nulls().unique().sort().alias("reasons"),
            pl.col("population").filter(pl.col("shown")).drop_nulls().unique().sort().alias("populations"),
            pl.col("definition_version").drop_nulls().unique().sort().alias("definitions"),
        )
        .sort(*PLACE, "submission_id")
    )


def _evidence(content: ReleaseContent) -> pl.DataFrame:
    return (
        content.tables["citizen_evidence"]
        .with_columns(files_of("indicator", content.mappings).alias("indicator"))
        .group_by(*PLACE, "submission_id", "evidence_type")
        .agg(pl.col("year").first(), pl.len().alias("statements"))
        .sort(*PLACE, "submission_id", "evidence_type")
    )


def configuration(documents: Documents, iso3: str, indicator: str, rows: pl.DataFrame | None) -> str:
    """indicator-config/<id>.yml. rows: the file of data; None where there is none."""
    status = documents.status.get((iso3, indicator), "notstarted")
    title = documents.titles.get(indicator, indicator)
    found = _bare(indicator, title, status) | {
        "national_geographical_coverage": documents.content.mappings.countries[iso3].name,
        "expected_disaggregations": documents.expected.get(indicator, []),
    }
    if rows is None:
        return _yaml(found)
    units = rows[UNITS].unique().sort().to_list()
    found |= {
        "data_non_statistical": False,
        "data_show_map": "GeoCode" in rows.columns,
        "graph_type": "line" if rows["Year"].n_unique() > 1 else "bar",
        "computation_units": units[0] if len(units) == 1 else "",
    }
    if "Percentage" in units:
        found["precision"] = [{"unit": "Percentage", "decimals": 1}]
    present = [
        start
        for start in documents.starts.get(indicator, [])
        if start["field"] in rows.columns and rows[start["field"]].eq(start["value"]).any()
    ]
    if present:
        found["data_start_values"] = present
    if SOURCE in rows.columns:
        found |= {
            "data_notice_class": "warning",
            "data_notice_heading": "Official figures and citizen surveys",
            "data_notice_text": _HOW_TO_READ,
            "tags": ["Citizen data"],
        }
    return _yaml(found)


def not_started(indicator: str, title: str) -> str:
    """indicator-config/<id>.yml of an indicator that no country is said to report."""
    return _yaml(_bare(indicator, title, "notstarted"))


def _bare(indicator: str, title: str, status: str) -> dict[str, Any]:
    return {
        "indicator_number": indicator,
        "indicator_name": title,
        "graph_title": title,
        "graph_type": "line",
        "reporting_status": status,
        "data_non_statistical": True,
        "data_show_map": False,
    }


def metadata(documents: Documents, iso3: str, indicator: str, rows: pl.DataFrame | None) -> str:
    """meta/<id>.yml. rows: the file of data; None where there is none."""
    goal, number, *_ = indicator.split(".")
    surveys = documents.surveys.get((iso3, indicator), [])
    facts = documents.content.facts
    official = 0 if rows is None else rows[SOURCE].null_count() if SOURCE in rows.columns else rows.height
    series = [] if rows is None else rows[SERIES].unique().sort().to_list()
    units = [] if rows is None else rows[UNITS].unique().sort().to_list()
    release = facts.get("official_release", "in use")
    said = {
        "SDG_GOAL": goal,
        "SDG_TARGET": f"{goal}.{number}",
        "SDG_INDICATOR": f"{indicator} {documents.titles.get(indicator, '')}".strip(),
        "SDG_SERIES_DESCR": _lines(series),
        "META_LAST_UPDATE": str(facts.get("released_at", ""))[:10],
        "STAT_CONC_DEF": _lines(_definitions(documents, indicator)),
        "UNIT_MEASURE": ", ".join(units),
        "SOURCE_TYPE": _source_type(official, surveys),
        "COLL_METHOD": _lines(_gathered(documents, surveys)),
        "DATA_SOURCE": _lines(
            [
                *(
                    [f"Official figures ({official}): United Nations Global SDG Database, release {release}."]
                    if official
                    else ["The United Nations Global SDG Database has no figure of the country in this release."]
                ),
                *(f"{documents.source(survey['submission_id'])}, {survey['year']}." for survey in surveys),
            ]
        ),
        "COMPILING_ORG": "Leave No One Behind Partnership, release " + str(facts.get("release", "")),
        "REC_USE_LIM": _lines(_limits(documents, surveys, documents.evidence.get((iso3, indicator), []))),
        "COMPARABILITY": _lines(_comparability(documents, surveys)),
        "COVERAGE": _lines(
            f"{documents.source(survey['submission_id'])}: {plain(population)}."
            for survey in surveys
            for population in survey["populations"]
        ),
    }
    return _yaml({key: value for key, value in said.items() if value})


def _source_type(official: int, surveys: Sequence[Mapping[str, Any]]) -> str:
    parts = ["official statistics as published by the United Nations"] * bool(official)
    parts += ["surveys designed or gathered with the communities they are about (citizen data)"] * bool(surveys)
    joined = "; ".join(parts)
    return joined[:1].upper() + joined[1:]


def _definitions(documents: Documents, indicator: str) -> Iterable[str]:
    mappings = documents.content.mappings
    for code in documents.codes.get(indicator, []):
        item = mappings.indicators[code]
        sheet = (
            f"Definition of {code}: version {item.definition_version}, metadata sheet {plain(item.definition.sheet)}."
        )
        yield f"{sheet} Reference period: {plain(item.reference_period)}."
        for series in item.series:
            if series.adapted_because:
                yield f"{plain(series.title)}: computed {series.match}, because {plain(series.adapted_because)}."


def _gathered(documents: Documents, surveys: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for survey in surveys:
        where = survey["Area"] or "the whole country"
        chosen = _SAMPLES.get(survey["sampling_method"], str(survey["sampling_method"]).replace("_", " "))
        yield (
            f"{documents.source(survey['submission_id'])}: {chosen}; {plain(where)}; {survey['year']}; "
            f"up to {survey['n'] or 0} units in a figure; questionnaire {survey['instrument']}."
        )


def _comparability(documents: Documents, surveys: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for survey in surveys:
        classes = " and ".join(survey["classes"]) or "none published"
        versions = " and ".join(survey["definitions"])
        reasons = "; ".join(plain(reason) for reason in survey["reasons"])
        name = documents.source(survey["submission_id"])
        yield f"{name}: class {classes} (definition {versions}): {reasons or 'no reason given'}."
    if surveys:
        yield (
            "Class A: same definition, probability sample or census. B: same definition, another sample. C: a part or "
            "a proxy. Quantiles of a citizen survey are those of its own sample."
        )


def _limits(
    documents: Documents, surveys: Iterable[Mapping[str, Any]], evidence: Iterable[Mapping[str, Any]]
) -> Iterable[str]:
    yield _HOW_TO_READ
    for survey in surveys:
        name = documents.source(survey["submission_id"])
        if survey["elsewhere"]:
            yield (
                f"{name}: figures of the release that are not in these data: {survey['elsewhere']}, since they are "
                "shares of respondents, of class B or C, or wait for a statistician; see citizen_estimates."
            )
        if survey["hidden"]:
            yield f"{name}: figures that are not shown, to protect people or for want of cases: {survey['hidden']}."
    for item in evidence:
        name = documents.source(item["submission_id"])
        kind = _EVIDENCE.get(item["evidence_type"], item["evidence_type"].replace("_", " "))
        yield f"{name}, {item['year']}: {kind}, no statistics; see citizen_evidence."


def _lines(parts: Iterable[str]) -> str:
    """One part as it is, several as a Markdown list."""
    found = [re.sub(r"\s+", " ", part).strip() for part in parts]
    return found[0] if len(found) == 1 else "\n".join(f"- {part}" for part in found)


def snippet(iso3: str, sdmx: tuple[str, str] | None) -> str:
    """config_data.snippet.yml: how the version with bounds is read. sdmx: its file, and the country's code."""
    options = {
        "non_disaggregation_columns": [
            *NOT_DISAGGREGATIONS,
            "Observation status",
            "Unit multiplier",
            "Unit measure",
            "UNIT_MEASURE",
            "SERIES",
            *ATTRIBUTES,
        ],
        "observation_attributes": list(ATTRIBUTES),
        "series_column": SERIES,
        "unit_column": UNITS,
    }
    inputs = [
        {"class": "InputCsvData", "path_pattern": "data_with_bounds/indicator_*.csv"},
        {"class": "InputYamlMeta", "path_pattern": "indicator-config/*.yml", "git": False},
        {"class": "InputYamlMeta", "path_pattern": "meta/*.yml", "git": False},
    ]
    fields = [{"field": name, "label": _ATTRIBUTE_LABELS[name]} for name in ATTRIBUTES]
    head = (
        f"# {iso3}: for config_data.yml of the data repository, when data_with_bounds/ is taken instead of data/.\n"
        "# Every attribute stands in both lists: one that is missing in either becomes a disaggregation, and no row\n"
        "# is left for the headline.\n"
    )
    site = "\n# For _data/site_config.yml of the site repository:\n"
    shown_as = _yaml({"observation_attributes": fields})
    commented = "".join(f"# {line}\n" for line in shown_as.splitlines())
    return head + _yaml({"inputs": inputs, "indicator_options": options}) + site + commented + _sdmx(sdmx)


def _sdmx(route: tuple[str, str] | None) -> str:
    if route is None:
        return ""
    source, area = route
    attributes = ["LOWER_BOUND", "UPPER_BOUND", "OBS_STATUS", "NATURE", "COMMENT_OBS", "SOURCE_DETAIL"]
    attributes += ["CUST_BREAKDOWN_LB", "UNIT_MULT"]
    entry = {
        "class": "InputSdmxMl_StructureSpecific",
        "source": source,
        "dsd": "the structure file of the statistics office",
        "import_codes": True,
        "import_observation_attributes": True,
        "import_series_attributes": True,
        "drop_singleton_dimensions": False,
        "drop_dimensions": ["FREQ", "REPORTING_TYPE"],
        "dimension_map": {f"REF_AREA|{area}": ""},
    }
    options = {
        "non_disaggregation_columns": [*NOT_DISAGGREGATIONS, "SERIES", "UNIT_MEASURE", *attributes],
        "observation_attributes": attributes,
        "series_column": "SERIES",
        "unit_column": "UNIT_MEASURE",
    }
    head = (
        "\n# The SDMX route, instead of the input of class InputCsvData and of the options above. CUST_BREAKDOWN has\n"
        "# a code for each citizen survey and group (its words: CUST_BREAKDOWN_LB). Do not drop it: without it a\n"
        "# citizen figure would stand where an official one does.\n"
    )
    lines = _yaml({"inputs": [entry], "indicator_options": options}).splitlines()
    return head + "".join(f"# {line}\n" for line in lines)


class _Dumper(yaml.CSafeDumper):
    """YAML for people: a list of several lines stands as it reads."""


def _written_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _written_text)


def _yaml(content: Mapping[str, Any]) -> str:
    return str(yaml.dump(dict(content), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000))


READ_ME: Final = f"""\
# Open SDG

One folder a country. A data repository of Open SDG takes it as it is:

1. `data/indicator_<goal>-<target>-<indicator>.csv` into `data/`
2. `meta/*.yml` into `meta/`
3. `indicator-config/*.yml` into `indicator-config/`; a file that is there already is yours: compare before replacing it

A new site takes `not_started/indicator-config/` first (every indicator of the framework) and the country's folder over
it. A country's folder holds only indicators that there is something to say of.

The columns are Year, Units, Series, Source, Area, the disaggregations, GeoCode (ISO 3166-2), {VALUE}. A blank is the
total. {_HOW_TO_READ}

Rows are official figures of the country, and citizen estimates of class A from a probability sample or a census that
are reliable. Everything else of the release is named in the metadata of the indicator (REC_USE_LIM) and stands in
`citizen_estimates` and `citizen_evidence`. An official figure that is no plain number (<2.5) is no row.

`data_with_bounds/` has the same rows, those to be read with caution too, and {", ".join(ATTRIBUTES)}. It
needs `config_data.snippet.yml`: an attribute that the configuration does not name becomes a disaggregation, and the
headline is empty.

`sdmx/`, where there is one, is SDMX-ML 2.1 for a site that reads the structure of its statistics office; the snippet
says how.
"""
