"""The gap rules written down plainly: a row of data at a time, sets and dictionaries, as slow as it is obvious.

The pipeline computes the same in columns; a property test compares the two. Nothing here is shared with it but the list
of expected cells and the declarations of the mappings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from lnob_pipeline.gaps.expected import expected_cells, known_indicators, series_known, slice_key
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import expected_breakdowns
from lnob_pipeline.settings import Settings

Row = dict[str, Any]
FIGURES = ("reported", "none_since_2015")


def plain_gaps(
    observations: pl.DataFrame,
    catalogue: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    areas: Mapping[str, str],
    revisions: pl.DataFrame | None = None,
) -> dict[tuple[str, str, str, str], Row]:
    """Cell -> status, headline_status, flags, years and scope, without what citizen data says."""
    rows = [row for row in observations.to_dicts() if row["year"] <= settings.as_of_year]
    of_series: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        row["nature"] = "NA" if row["nature"] in (None, "", "NA", "_X", "NOTSPEC") else row["nature"]
        row["usable"] = row["value_flag"] in ("number", "below", "above") and row["nature"] != "N"
        of_series[row["m49"], row["series"]].append(row)
    changes: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for change in revisions.to_dicts() if revisions is not None else []:
        if change["change"] in ("withdrawn", "changed") and change["year"] <= settings.as_of_year:
            changes[change["m49"], change["series"]].append(change)

    found: dict[tuple[str, str, str, str], Row] = {}
    for cell in expected_cells(mappings, catalogue, areas).collect().to_dicts():
        place = (areas[cell["iso3"]], cell["series"])
        own = [row for row in of_series[place] if any(stands_for(s, row["dimension_key"]) for s in cell["slices"])]
        moved = {
            each["change"]
            for each in changes[place]
            if any(stands_for(wanted, each["dimension_key"]) for wanted in cell["slices"])
        }
        usable = [row for row in own if row["usable"]]
        since = {row["year"] for row in usable if row["year"] >= settings.base_year}
        before = {row["year"] for row in usable if row["year"] < settings.base_year}
        found[cell["iso3"], cell["indicator"], cell["series"], cell["stratum"]] = {
            **cell,
            "own": own,
            "usable": usable,
            "since": since,
            "before": before,
            "moved": moved,
            "status": status(cell, own, since, before, ruled_out(cell, areas, of_series[place], mappings)),
        }
    for (iso3, indicator, series, _), judged in found.items():
        headline = found[iso3, indicator, series, "_T"]
        if headline["status"] == "not_applicable" and not judged["own"]:
            judged["status"] = "not_applicable"
        judged["headline_status"] = headline["status"]
    shares = two_year_shares(found)
    for (iso3, indicator, series, stratum), judged in found.items():
        judged["no_code"] = not judged["has_code"] and not judged["own"] and judged["status"] != "not_applicable"
        whole = of_series[areas[iso3], series]
        siblings = (
            [other for key, other in found.items() if key[:3] == (iso3, indicator, series)] if stratum == "_T" else []
        )
        judged["flags"] = flags(judged, whole, siblings, rows, areas, mappings, settings)
        judged["scope"] = scope(judged, shares.get(indicator))
    return found


def stands_for(wanted: str, found: str) -> bool:
    """Whether a row's slice is one that a declared slice means."""
    pairs = dict(pair.split("=", 1) for pair in found.split(";") if pair)
    if wanted == "*" or wanted.startswith("*;"):
        asked = dict(pair.split("=", 1) for pair in wanted[2:].split(";") if pair)
        return all(pairs.get(name) == code for name, code in asked.items())
    asked = dict(pair.split("=", 1) for pair in wanted.split(";") if pair)
    exact = all(pairs.get(name) == code for name, code in asked.items() if code != "*")
    return exact and all(name in asked for name in pairs)


def ruled_out(cell: Row, areas: Mapping[str, str], whole: list[Row], mappings: Mappings) -> bool:
    """The reviewed rules: countries by name; kinds of areas where the series has no figure."""
    groups = dict(mappings.framework.areas.select("m49", "groups").iter_rows()).get(areas[cell["iso3"]])
    for rule in mappings.applicability.not_applicable:
        about = [
            cell["indicator"] == i or cell["indicator"].startswith(f"{i}.") or cell["series"] == i
            for i in rule.indicators
        ]
        if not any(about):
            continue
        if cell["iso3"] in rule.countries:
            return True
        if rule.areas and groups is not None and not any(row["usable"] for row in whole):
            members = groups.split(";")
            if all((c[4:] not in members) if c.startswith("not ") else (c in members) for c in rule.areas):
                return True
    return False


def status(cell: Row, own: list[Row], since: set[int], before: set[int], out: bool) -> str:
    """The first that holds."""
    silent = [row["value_flag"] == "not_applicable" or row["nature"] == "N" for row in own]
    order = {
        "not_applicable": out or (bool(own) and all(silent)),
        "no_series": not cell["in_release"],
        "not_loaded": not cell["loaded"],
        "reported": bool(since),
        "none_since_2015": bool(before),
        "withheld": any(row["value_flag"] == "withheld" for row in own),
        "not_provided": bool(own),
        "never_reported": True,
    }
    return next(name for name, holds in order.items() if holds)


def two_year_shares(found: dict[tuple[str, str, str, str], Row]) -> dict[str, float]:
    """Indicator -> share of the countries that can be judged in which a series has two years."""
    countries: dict[str, dict[str, bool]] = defaultdict(dict)
    for (iso3, indicator, _, stratum), judged in found.items():
        if stratum == "_T" and judged["status"] not in ("not_applicable", "not_loaded"):
            had = countries[indicator].get(iso3, False)
            countries[indicator][iso3] = had or len(judged["since"]) >= 2
    return {indicator: sum(each.values()) / len(each) for indicator, each in countries.items()}


def scope(judged: Row, share: float | None) -> str | None:
    """Systemic where one country cannot mend it alone."""
    if judged["status"] in ("not_applicable", "not_loaded"):
        return None
    if judged["status"] == "no_series" or judged["no_code"]:
        return "systemic"
    return "national" if share is not None and share >= 0.5 else "systemic"


def flags(
    judged: Row,
    whole: list[Row],
    siblings: list[Row],
    everything: list[Row],
    areas: Mapping[str, str],
    mappings: Mappings,
    settings: Settings,
) -> set[str]:
    """The flags of one cell."""
    held = set()
    if judged["no_code"]:
        held.add("group_has_no_code")
    if "withdrawn" in judged["moved"]:
        held.add("withdrawn")
    if judged["status"] not in FIGURES:
        return held
    usable, since, before = judged["usable"], judged["since"], judged["before"]
    recent = [row for row in usable if row["year"] in since]
    owned = {row["year"] for row in recent if row["nature"] in ("C", "CA")}
    latest = max(row["year"] for row in usable)
    age = settings.as_of_year - latest
    period = judged["expected_period_years"]
    last = [row for row in usable if row["year"] == latest]
    conditions = {
        "no_trend": len(since) == 1,
        "no_baseline": len(since) >= 2 and len(before) < 2,
        "stale": age > settings.stale_after_years,
        "obsolete": age > settings.obsolete_after_years,
        "sparse": bool(since) and period is not None and (max(since) - min(since) + 1) / len(since) > period,
        "not_country_owned": bool(since) and len(owned) < min(2, len(since)),
        "modelled_only": bool(recent) and all(row["nature"] in ("E", "M") for row in recent),
        "nature_unknown": any(row["nature"] == "NA" for row in usable),
        "precision_unknown": any(
            row["value_flag"] != "number" or row["lower_bound"] is None or row["upper_bound"] is None for row in last
        ),
        "revised": "changed" in judged["moved"],
    }
    held |= {name for name, condition in conditions.items() if condition}
    if judged["stratum"] == "_T":
        held |= of_the_series(judged, whole, siblings, mappings, settings)
        inside = any(row["usable"] and "cities" in codes_of(row) for row in whole) or any(
            row["usable"]
            and row["iso3"] == judged["iso3"]
            and row["series"] == judged["series"]
            and row["m49"] != areas[judged["iso3"]]
            for row in everything
        )
        if not inside:
            held.add("subnational_missing")
    return held


def codes_of(row: Row) -> dict[str, str]:
    """The slice of a row as a dictionary."""
    return dict(pair.split("=", 1) for pair in row["dimension_key"].split(";") if pair)


def of_the_series(
    judged: Row, whole: list[Row], siblings: list[Row], mappings: Mappings, settings: Settings
) -> set[str]:
    """What the series lacks as a whole."""
    held = set()
    headline = series_known(judged["series"], mappings).headline
    expected = expected_breakdowns(known_indicators(mappings)[judged["indicator"]], mappings)
    usable = [row for row in whole if row["usable"]]
    for name in dict.fromkeys([*expected.required, *expected.lnob]):
        dimension = mappings.breakdowns[name].official_dimension
        if dimension is None:
            continue
        rest = "*" if headline is None else slice_key({key: code for key, code in headline.items() if key != dimension})
        own = "_T" if headline is None else headline.get(dimension, "_T")
        seen: dict[tuple[int, str], set[str]] = defaultdict(set)
        for row in usable:
            codes = codes_of(row)
            code = codes.pop(dimension, None)
            if code in (None, own, "NOTSPEC", "_U", "_X", "_N") or row["year"] < settings.base_year:
                continue
            if stands_for(rest, slice_key(codes)):
                seen[row["year"], row["nature"]].add(str(code))
        if not any(len(codes) >= 2 for codes in seen.values()):
            held.add("dimension_missing")
        elif any(each["has_code"] and each["status"] != "reported" for each in siblings if each["breakdown"] == name):
            held.add("category_missing")
    for names in expected.crossings:
        together = {mappings.breakdowns[name].official_dimension or name for name in names}
        if not any(together <= codes_of(row).keys() for row in usable):
            held.add("crossing_missing")
    return held
