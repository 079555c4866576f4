"""The story of one cell: what is official, what citizens say, what is missing, what would close it, what is hidden.

Here: finding the cell that somebody asks about, gathering its rows from the tables of a release, and saying in
sentences what the codes mean. Not here: how it looks in the terminal (cli_gaps.py), judging (typology.py).

Only the public tables of a release are read: what disclosure control has hidden is not there to be told.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline.gaps.closing import questions_of_category, questions_of_series, why_not
from lnob_pipeline.gaps.comparison import snapshot_label
from lnob_pipeline.gaps.expected import CELL, COMPONENT_PREFIX, cell_template, known_observations, places_of
from lnob_pipeline.gaps.lineage import question_line
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Indicator, Series
from lnob_pipeline.mappings.strata import TOTAL, stratum_name
from lnob_pipeline.settings import Settings

Row = dict[str, Any]

STATUS: Final[Mapping[str, str]] = {
    "not_applicable": "The indicator does not apply to the country: the cell is no gap.",
    "no_series": "The official release has no series for the indicator: no country can report it.",
    "not_loaded": "These official figures do not hold it, whatever the official database has: nothing can be said.",
    "reported": "There is an official value since {base_year}.",
    "none_since_2015": "There is an official value, but none since {base_year}; the latest is of {latest_year}.",
    "withheld": "A figure exists and is withheld: the national statistical system has not validated it.",
    "not_provided": "The cell stands in the official data without a usable value.",
    "never_reported": "The official data have no row for this cell.",
}
NO_SUCH_SERIES: Final = (
    "The official release does not have this series, though it has others of the indicator: no country can report it."
)
"""Said for `no_series` where the release has another series of the indicator."""
FLAG: Final[Mapping[str, str]] = {
    "no_trend": "One year only has a value since {base_year}: no trend can be seen.",
    "no_baseline": "Fewer than two years before {base_year} have a value: there is nothing to compare with.",
    "stale": "The latest value is of {latest_year}, more than {stale_after_years} years before {as_of_year}.",
    "obsolete": "The latest value is of {latest_year}, more than {obsolete_after_years} years before {as_of_year}.",
    "sparse": "The years with a value lie further apart than the series is usually made.",
    "not_country_owned": "Of {n_years_since_base} years since {base_year} the country's own figures make "
    "{n_years_country}.",
    "modelled_only": "Every value since {base_year} is estimated or modelled by an agency.",
    "nature_unknown": "For some value it is not said where it comes from.",
    "dimension_missing": "A breakdown that is required is missing altogether.",
    "category_missing": "A breakdown is there, but one of its categories is not.",
    "crossing_missing": "Breakdowns that are required together never meet in one value.",
    "subnational_missing": "There is no value for an area below the country.",
    "group_has_no_code": "The official code list, or the series, has no place for this group: no country can mend "
    "that alone.",
    "precision_unknown": "The latest value comes without bounds, or only as below or above a limit.",
    "withdrawn": "The official release before had a value that this one has not.",
    "revised": "A value, or where it comes from, was changed since the official release before.",
    "discrepancy": "A citizen estimate of the same area and definition differs by more than chance explains; which of "
    "the two is nearer is not decided here.",
    "differs_from_model": "A citizen estimate differs from a modelled official value by more than chance explains.",
}
EFFECT: Final[Mapping[str, str]] = {
    "closes": "Citizen data closes it: the statistics office has accepted it.",
    "could_close": "Citizen data could close it: same definition, whole country, reliable. The statistics office has "
    "not accepted it yet.",
    "informs": "Citizen data informs on it, without standing for the whole country by the same definition.",
    "illustrates": "Citizen data illustrates it: what people said, never a share of the population.",
    "not_shown": "There is citizen data, but its numbers are hidden to protect people.",
    "nothing_yet": "There is no citizen data yet.",
}
SCOPE: Final[Mapping[str | None, str]] = {
    "systemic": "Systemic: most countries loaded have no two values either, or no code has a place for it. Not for one "
    "country to mend alone.",
    "national": "National: at least half of the countries loaded have two values since the base year, this one could "
    "as well.",
    None: "Nothing can be said of the country here.",
}
HIDDEN: Final[Mapping[str, str]] = {
    "suppressed_small_sample": "fewer than 25 people or households answered",
    "suppressed_small_count": "so few have, or lack, what was asked that somebody could be recognised",
    "suppressed_dominance": "one answer makes up so much of the number that it could be worked out",
    "suppressed_to_protect": "another hidden number could be worked out from it",
    "suppressed_few_participants": "fewer than four people said it",
    "too_few_cases": "fewer than 25 people or households answered",
}
NATURE: Final[Mapping[str, str]] = {
    "C": "country",
    "CA": "country, adjusted",
    "E": "estimated by the agency",
    "M": "modelled by the agency",
    "G": "global monitoring",
    "N": "not relevant",
    "NA": "not said",
}
BECAUSE: Final[Mapping[str, str]] = {
    "headline": "it is the headline of the series",
    "required": "the indicator requires this breakdown",
    "lnob": "the pledge to leave no one behind asks for it",
}


@dataclass(frozen=True)
class Story:
    """One cell told. Rows are dictionaries by the names of the tables; sentences are for reading.

    cell: the row of DATA_GAPS in words. official: a row a value, oldest first. citizen: a row an estimate, those of
    components included. closing: questions, for whom, or why none. hidden: what is not shown, and why.
    """

    cell: Row
    status: str
    flags: list[Row]
    ownership: str
    scope: str
    official: list[Row]
    revisions: list[Row]
    citizen: list[Row]
    evidence: list[Row]
    effect: str
    closing: Row
    hidden: list[str]


def explain(
    release: Path,
    mappings: Mappings,
    settings: Settings,
    country: str,
    indicator: str,
    categories: Mapping[str, str | None],
    *,
    series: str | None = None,
    language: str = "en",
) -> list[Story]:
    """The stories of a stratum of an indicator, one for each of its series (or of the one that is named).

    release: the folder of a release. country, indicator and categories (breakdown -> category, None for the total) are
    codes or labels in any case. language: BCP 47, for the wording of questions; English where it has none. Raises
    ValueError, with the nearest names, for what is not known or not expected.
    """
    gaps = _scan(release, "data_gaps")
    known = {"iso3": _values(gaps, "iso3"), "indicator": _values(gaps, "indicator")}
    names = {iso3: mappings.countries[iso3].name for iso3 in known["iso3"] if iso3 in mappings.countries}
    iso3 = pick(country, {code: names.get(code, code) for code in known["iso3"]}, "country")
    served = gaps.filter(pl.col("series").str.to_lowercase() == indicator.strip().lower())
    if of_series := _values(served.filter(pl.col("series") != ""), "indicator"):
        raise ValueError(f"{indicator.strip().upper()} is a series of {', '.join(of_series)}: name the indicator")
    code = pick(indicator, {item: _title(item, mappings) for item in known["indicator"]}, "indicator")
    stratum = _stratum(categories, mappings)
    of_indicator = gaps.filter((pl.col("iso3") == iso3) & (pl.col("indicator") == code)).collect()
    if series is not None:
        titles = {item: item for item in of_indicator["series"].drop_nulls().unique().sort()}
        of_indicator = of_indicator.filter(pl.col("series") == pick(series, titles, "series"))
    cells = of_indicator.filter(pl.col("stratum") == stratum)
    if cells.is_empty():
        expected = of_indicator["stratum"].unique().sort().to_list()
        near = difflib.get_close_matches(stratum, expected, n=5, cutoff=0.3) or expected[:5]
        raise ValueError(f"{stratum} is not expected of {code} in {iso3}; expected are for example {', '.join(near)}")
    facts = json.loads((release / "manifest.json").read_text("utf-8"))
    return [_story(release, row, facts, mappings, settings, language) for row in cells.to_dicts()]


def pick(text: str, known: Mapping[str, str], what: str) -> str:
    """The code that a text means: the code or the label, in any case. Raises ValueError with the nearest names."""
    plain = text.strip().lower()
    for code, label in known.items():
        if plain in (code.lower(), label.lower()):
            return code
    by_name = {**{label.lower(): code for code, label in known.items()}, **{code.lower(): code for code in known}}
    near = list(dict.fromkeys(by_name[name] for name in difflib.get_close_matches(plain, by_name, n=5, cutoff=0.5)))
    shown = [f"{code} ({known[code]})" if known[code] != code else code for code in near or sorted(known)[:8]]
    lead = "did you mean" if near else "there is for example"
    raise ValueError(f"{text!r} is no {what} of the release; {lead} {', '.join(shown)}?")


def _stratum(categories: Mapping[str, str | None], mappings: Mappings) -> str:
    chosen = {
        name: TOTAL
        if (text := categories.get(name)) is None or text == TOTAL
        else pick(text, {code: item.label for code, item in mappings.categories(name).items()}, f"category of {name}")
        for name in mappings.breakdowns
    }
    return stratum_name(chosen)


def _scan(release: Path, table: str) -> pl.LazyFrame:
    path = release / f"{table}.parquet"
    if not path.exists():
        raise ValueError("there is no release yet; run `lnob demo` or `lnob run` first")
    return pl.scan_parquet(path)


def _values(frame: pl.LazyFrame, column: str) -> list[str]:
    return frame.select(pl.col(column).unique().sort()).collect()[column].drop_nulls().to_list()


def _title(indicator: str, mappings: Mappings) -> str:
    if found := mappings.indicators.get(indicator):
        return found.title
    titles = mappings.framework.indicators.filter(pl.col("indicator") == indicator)["title"]
    return str(titles.item()) if titles.len() == 1 else indicator


def _story(release: Path, gap: Row, facts: Row, mappings: Mappings, settings: Settings, language: str) -> Story:
    indicator = mappings.indicators.get(gap["indicator"])
    series = next((item for item in indicator.series if item.code == gap["series"]), None) if indicator else None
    numbers = {**facts["settings"], **gap}
    citizen = _citizen(release, gap, mappings, language)
    evidence = _evidence(release, gap)
    catalogue = _scan(release, "sdg_catalogue").collect()
    of_series = catalogue.filter(pl.col("series") == gap["series"])
    template = cell_template(mappings, catalogue)
    slices = template.filter(pl.col(name) == gap[name] for name in CELL[1:]).select("series", "slices")
    others = catalogue.filter((pl.col("indicator") == gap["indicator"]) & pl.col("in_release"))
    status = NO_SUCH_SERIES if gap["status"] == "no_series" and others.height else STATUS[gap["status"]]
    flags = [name for name in gap["flags"].split(",") if name]
    country = mappings.countries.get(gap["iso3"])
    return Story(
        cell={
            "iso3": gap["iso3"],
            "country": country.name if country else gap["iso3"],
            "indicator": gap["indicator"],
            "title": _title(gap["indicator"], mappings),
            "series": gap["series"],
            "series_title": series.title if series else next(iter(of_series["title"]), None),
            "unit": series.unit if series else next(iter(of_series["unit"]), None),
            "stratum": gap["stratum"],
            "people": people(gap["stratum"], mappings),
            "expected_because": BECAUSE.get(gap["expected_because"], gap["expected_because"]),
            "status": gap["status"],
            "headline_status": gap["headline_status"],
            "as_of_year": gap["as_of_year"],
            "base_year": facts["settings"]["base_year"],
            "official_release": gap["official_release"],
            "official_snapshot": snapshot_label(_scan(release, "official_releases").collect()),
            "definition_version": gap["definition_version"],
            "release": facts["release"],
        },
        status=status.format(**numbers),
        flags=[{"flag": name, "sentence": FLAG[name].format(**numbers)} for name in flags],
        ownership=_ownership(numbers),
        scope=SCOPE[gap["scope"]],
        official=_official(release, gap, slices, settings, numbers["as_of_year"]),
        revisions=_revisions(release, gap, slices),
        citizen=citizen,
        evidence=evidence,
        effect=EFFECT[gap["citizen_effect"]],
        closing=_closing(gap, indicator, series, mappings, language),
        hidden=_hidden(citizen, evidence),
    )


def people(stratum: str, mappings: Mappings) -> str:
    """A stratum in words: `Sex: Female; Disability ...: With disability`; everybody for the headline."""
    if stratum == TOTAL:
        return "everybody whom the series counts"
    pairs = [part.split("=", 1) for part in stratum.split(";")]
    return "; ".join(
        f"{mappings.breakdowns[name].label}: {mappings.categories(name)[code].label}" for name, code in pairs
    )


def _cell(frame: pl.LazyFrame, gap: Row, series: bool = True) -> pl.LazyFrame:
    names = ("iso3", "indicator", "series", "stratum") if series else ("iso3", "indicator", "stratum")
    return frame.filter(pl.col(name).eq_missing(gap[name]) for name in names)


def _ownership(gap: Row) -> str:
    years, own, data = (gap[name] for name in ("n_years_since_base", "n_years_country", "n_years_country_data"))
    if not years:
        return f"No value since {gap['base_year']}, so nobody's."
    return (
        f"Of {years} year{'s' if years != 1 else ''} with a value since {gap['base_year']}, {own} "
        f"{'are' if own != 1 else 'is'} the country's own (C or CA), {data} of nature C alone."
    )


def _of_the_cell(frame: pl.LazyFrame, gap: Row, slices: pl.DataFrame) -> pl.DataFrame:
    """The rows of official observations or revisions that belong to a cell; `slices`: its series and slices."""
    area = pl.coalesce("iso3", "m49") == gap["iso3"]
    rows = frame.filter(area & (pl.col("series") == gap["series"])).collect()
    keys = places_of(slices, rows.select("series", "dimension_key").drop_nulls().unique())["dimension_key"]
    return rows.filter(pl.col("dimension_key").is_in(keys.unique().implode()))


def _official(release: Path, gap: Row, slices: pl.DataFrame, settings: Settings, as_of_year: int) -> list[Row]:
    """The rows of the cell up to the as-of year, the oldest first; `usable` says which of them count."""
    rows = _of_the_cell(_scan(release, "official_observations"), gap, slices)
    told = known_observations(rows, settings).filter(pl.col("year") <= as_of_year).sort("year", "nature", "value_text")
    columns = (
        "release", "year", "value_text", "value", "lower_bound", "upper_bound", "nature", "units", "source",
        "footnotes", "dimension_key", "usable",
    )  # fmt: skip
    return [
        row | {"nature_in_words": NATURE.get(row["nature"], row["nature"])}
        for row in told.select(columns).collect().to_dicts()
    ]


def _revisions(release: Path, gap: Row, slices: pl.DataFrame) -> list[Row]:
    """What changed of the cell between official releases; none where there is one release alone."""
    rows = _of_the_cell(_scan(release, "official_revisions"), gap, slices)
    columns = ("release", "previous_release", "change", "year", "nature", "value_text_before", "value_text_now", "note")
    return rows.select(columns).sort("year", "nature").to_dicts()


def _citizen(release: Path, gap: Row, mappings: Mappings, language: str) -> list[Row]:
    """The estimates of the cell as disclosed, those of components of the indicator after them."""
    component = pl.col("series").str.starts_with(COMPONENT_PREFIX)
    rows = (
        _cell(_scan(release, "comparison"), gap, series=False)
        .filter(pl.col("submission_id").is_not_null() & (component | pl.col("series").eq_missing(gap["series"])))
        .sort(component, "submission_id", "series")
        .collect()
    )
    sources = {row["submission_id"]: row for row in _scan(release, "sources").collect().to_dicts()}
    decided = _scan(release, "decisions").collect()
    found = []
    for row in rows.to_dicts():
        source = sources.get(row["submission_id"], {})
        about = decided.filter(pl.col("subject") == row["submission_id"])
        shown = row["citizen_estimate"] is not None
        both = shown and row["relation"] in ("same_line", "beside") and row["official_value"] is not None
        found.append(
            row
            | {
                "component": row["series"].startswith(COMPONENT_PREFIX),
                "organisation": source.get("organisation"),
                "synthetic": source.get("synthetic"),
                "differs_by": row["citizen_estimate"] - row["official_value"] if both else None,
                "asked": _asked(row, mappings, language),
                "decisions": about.select("decided_by", "decision", pl.col("date").cast(pl.String)).to_dicts(),
                "hidden_because": None if shown else HIDDEN.get(row["citizen_status"], row["citizen_status"]),
            }
        )
    return found


def _asked(row: Row, mappings: Mappings, language: str) -> list[Row]:
    names = (row["questions"] or "").split(",")
    lines, ids = (row["mapping_lines"] or "").split(","), (row["question_wordings"] or "").split(",")
    return [
        _question(name, mappings, language) | {"mapping_line": line or None, "wording_id": identifier}
        for name, line, identifier in zip(names, lines, ids, strict=False)
        if name
    ]


def _question(name: str, mappings: Mappings, language: str) -> Row:
    """A question of the bank: its wording, or its label where it is not asked in words (place, weight)."""
    found = mappings.variables.get(name)
    wording = (found.question.get(language) or found.question.get("en")) if found else None
    return {
        "variable": name,
        "wording": wording,
        "label": found.label if found else None,
        "bank_line": question_line(name, mappings),
    }


def _evidence(release: Path, gap: Row) -> list[Row]:
    """Evidence on the indicator; of a group where the stratum is one, of no one else's voice then."""
    rows = _scan(release, "citizen_evidence").filter(
        (pl.col("iso3") == gap["iso3"]) & (pl.col("indicator") == gap["indicator"])
    )
    if gap["stratum"] != TOTAL:
        rows = rows.filter(pl.col("marginalised_group") == gap["stratum"].partition("=")[2])
    columns = (
        "submission_id", "evidence_type", "statement", "marginalised_group", "finding", "score", "scale_minimum",
        "scale_maximum", "better", "n_groups", "n_participants", "year", "comparability",
    )  # fmt: skip
    return rows.select(columns).sort(columns[:4], nulls_last=True).collect().to_dicts()


def _closing(gap: Row, indicator: Indicator | None, series: Series | None, mappings: Mappings, language: str) -> Row:
    """Which questions would close the gap and for whom, or why none would."""
    if gap["closing_questions"]:
        questions = [_question(name, mappings, language) for name in gap["closing_questions"].split(",")]
        return {"questions": questions, "for": gap["closing_group"], "why_not": None}
    if gap["status"] == "reported":
        return {"questions": [], "for": None, "why_not": "there is an official value: nothing has to be closed"}
    if gap["status"] in ("not_applicable", "not_loaded"):
        return {"questions": [], "for": None, "why_not": "it is not known to be a gap"}
    reason = why_not(indicator, series, gap["iso3"], mappings)
    informs = []
    if series is not None and series.measure is not None:
        pairs = [part.split("=", 1) for part in gap["stratum"].split(";")] if gap["stratum"] != TOTAL else []
        wanted = {*questions_of_series(series, mappings)}.union(
            *(questions_of_category(name, code, mappings) for name, code in pairs)
        )
        informs = [_question(name, mappings, language) for name in mappings.variables if name in wanted]
    return {"questions": [], "for": None, "why_not": reason, "questions_that_inform": informs}


def _hidden(citizen: Iterable[Row], evidence: Iterable[Row]) -> list[str]:
    told = [
        f"the estimate {row['series']} of {row['submission_id']}: {row['hidden_because']}"
        for row in citizen
        if row["hidden_because"]
    ]
    told += [
        f"the place of {row['submission_id']}: it may not be named, or is finer than a first-level area"
        for row in citizen
        if row["citizen_area"] is None and row["citizen_area_level"] != "national"
    ]
    few = [row for row in evidence if row["finding"] == "suppressed_few_participants"]
    told += [f"what was said in {row['submission_id']} ({row['statement']}): {HIDDEN[row['finding']]}" for row in few]
    return list(dict.fromkeys(told))
