"""Rules for the global framework (indicator_mappings/framework/) and for what applies where.

Here: keys that stand once, words of the fixed lists, breakdowns that exist, headlines that can be read, series that
applicability.yaml knows as well. Reading the files is in framework.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from lnob_pipeline.mappings.findings import Finding, listed
from lnob_pipeline.mappings.framework import ABOUT, ANY, AREA_GROUPS, FOLDER, KEYS, KINDS
from lnob_pipeline.mappings.load import Mappings

SLICE = re.compile(r"[a-z][a-z0-9_]*=[^;]+(;[a-z][a-z0-9_]*=[^;]+)*")
ADMITS = re.compile(r"[a-z][a-z0-9_]*=[^;]*(;[a-z][a-z0-9_]*=[^;]*)*")
INDICATOR = re.compile(r"\d{1,2}\.[0-9a-z]{1,2}\.\d{1,2}")


def framework_findings(mappings: Mappings) -> Iterator[Finding]:
    """Everything that is wrong with the files of the framework; the sentence names the row by its key."""
    framework = mappings.framework
    for name, frame in (
        ("indicators", framework.indicators),
        ("series", framework.series),
        ("areas", framework.areas),
    ):
        file, key = f"{FOLDER}/{name}.csv", KEYS[name]
        for again in frame.filter(pl.col(key).is_duplicated())[key].unique().sort():
            yield file, (), f"{key} {again} stands in several lines; keep one"
    yield from _indicators(mappings)
    yield from _series(mappings)
    yield from _areas(mappings)
    yield from _applicability(mappings)


def _indicators(mappings: Mappings) -> Iterator[Finding]:
    file = f"{FOLDER}/indicators.csv"
    for row in mappings.framework.indicators.iter_rows(named=True):
        code = row["indicator"]
        if not INDICATOR.fullmatch(code) or not code.startswith(f"{row['target']}.") or not row["source"]:
            yield file, (), f"{code}: an indicator has a code of the framework, its target and a source"
        if row["about"] not in ABOUT:
            yield file, (), f"{code}: about is {row['about']!r}; it takes {listed(ABOUT)}"
        for name in filter(None, row["breakdowns"].split(";")):
            if name not in mappings.breakdowns:
                yield file, (), f"{code}: {name} is no breakdown of breakdowns.yaml; write it into not_carried"
        yield from ((file, (), sentence) for sentence in _outside(row, mappings))
    if not mappings.framework.indicators.is_empty():
        known = set(mappings.framework.indicators["indicator"])
        for code in mappings.indicators:
            if code.rstrip("abcdefghijklmnopqrstuvwxyz") not in known and code not in known:
                yield mappings.files[f"indicator:{code}"], ("indicator",), f"{code} is not in {file}"


def _outside(row: dict[str, str], mappings: Mappings) -> Iterator[str]:
    for item in filter(None, row["outside_universe"].split(";")):
        name, _, category = item.partition("=")
        if name not in mappings.breakdowns or (category and category not in mappings.categories(name)):
            yield f"{row['indicator']}: outside_universe names {item}, which is no breakdown or category"
        elif not category and name in row["breakdowns"].split(";"):
            yield f"{row['indicator']}: {name} is demanded and outside the universe; one of the two is wrong"


def _series(mappings: Mappings) -> Iterator[Finding]:
    file = f"{FOLDER}/series.csv"
    frame = mappings.framework.series
    known = set(frame["series"])
    own = {item.code for indicator in mappings.indicators.values() for item in indicator.series}
    for row in frame.iter_rows(named=True):
        code, headline = row["series"], row["headline"]
        if headline not in ("", ANY) and not SLICE.fullmatch(headline):
            yield file, (), f"{code}: the headline {headline!r} is no slice (name=code;name=code, * for any code)"
        elif headline != ";".join(sorted(headline.split(";"))):
            yield file, (), f"{code}: the headline names its dimensions in another order than by name"
        if row["admits"] and not ADMITS.fullmatch(row["admits"]):
            yield file, (), f"{code}: admits {row['admits']!r} cannot be read (name=code,code;name=)"
        if not row["headline_source"]:
            yield file, (), f"{code}: headline_source does not say where the headline came from"
        if row["expected_period_years"] is not None and not row["period_source"]:
            yield file, (), f"{code}: period_source does not say where the period came from"
        if row["renamed_to"] and row["renamed_to"] not in known:
            yield file, (), f"{code}: renamed_to {row['renamed_to']} has no line of its own"
    for code in sorted(own - known) if known else ():
        yield file, (), f"{code} of the indicator files has no line here"


def _areas(mappings: Mappings) -> Iterator[Finding]:
    file = f"{FOLDER}/areas.csv"
    for m49, _, kind, groups in mappings.framework.areas.iter_rows():
        if not re.fullmatch(r"\d{3,5}", m49) or kind not in KINDS:
            yield file, (), f"{m49}: an area has an M49 code of three digits and one of the kinds {listed(KINDS)}"
        if strange := set(filter(None, groups.split(";"))) - set(AREA_GROUPS):
            yield file, (), f"{m49}: {listed(strange)} is none of the groups {listed(AREA_GROUPS)}"
    if not mappings.framework.areas.is_empty():
        countries = set(mappings.framework.areas.filter(pl.col("kind") == "country")["m49"])
        for iso3, country in mappings.countries.items():
            if country.m49 not in countries:
                yield "countries.yaml", ("countries", iso3), f"{country.m49} is no country of {file}"


def _applicability(mappings: Mappings) -> Iterator[Finding]:
    """A reviewed rule names what there is."""
    indicators = mappings.framework.indicators
    known = {*indicators["indicator"], *indicators["target"], *indicators["goal"], *mappings.framework.series["series"]}
    for place, rule in enumerate(mappings.applicability.not_applicable):
        where = ("not_applicable", place)
        for item in rule.indicators:
            if known and item not in known:
                yield "applicability.yaml", (*where, "indicators"), f"{item} is no goal, target, indicator or series"
        for iso3 in rule.countries:
            if iso3 not in mappings.countries:
                yield "applicability.yaml", (*where, "countries"), f"{iso3} is no country of countries.yaml"
        for condition in rule.areas:
            if condition.removeprefix("not ") not in AREA_GROUPS:
                yield "applicability.yaml", (*where, "areas"), f"{condition} is none of {listed(AREA_GROUPS)}"
