"""One printable sheet for each group of a country: what was asked, what was found, who was told, how to object.

Here: what a sheet shows, chosen from the released tables. Not here: its sentences (community_words.py), its form
(community.html.jinja, community.css), numbers (they are taken as published; this module only rounds them). A group is
one of groups.yaml, women and girls, men and boys, or everybody who took part. Shares are told as so many of 100; what
people said in score cards, discussions and reviews is never told as a share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from babel.dates import format_date
from markupsafe import Markup

from lnob_pipeline import storage
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.disclosure import CAUTION_BELOW, FEW_PARTICIPANTS
from lnob_pipeline.publication.report import community_words
from lnob_pipeline.publication.report.labels import Labels
from lnob_pipeline.publication.report.speech import ENGLISH, Speech, languages
from lnob_pipeline.publication.report.template import rendered
from lnob_pipeline.tables import STRATUM_DIMENSIONS

EVERYBODY: Final = "all"
MOST_NUMBERS: Final = 6
"""Numbers on a sheet, shared between the collections behind it: two pages of A4."""
MOST_SAID: Final = 9
BY_PROVIDER: Final = pl.col("evidence_type") == "provider_score"
NOT_ASKED_ABOUT: Final = ("age", "sex")
"""Variables that say whom a number counts, not what was asked."""

Row = dict[str, Any]


@dataclass(frozen=True, order=True)
class Sheet:
    """A sheet: its country, its group (code of groups.yaml, F, M or all), its file below report/<language>/."""

    iso3: str
    group: str

    @property
    def name(self) -> str:
        """File name; the same in every language."""
        return f"community-{self.iso3}-{self.group}.html"


def pages(content: ReleaseContent) -> list[Sheet]:
    """The sheets of a release: one for each group of a country that a survey or a discussion speaks of.

    What a service says about itself alone is nothing that a group told.
    """
    spoken = pl.concat(
        [
            _numbers(content.tables["citizen_estimates"]).select("iso3", "group"),
            _evidence(content.tables["citizen_evidence"]).filter(~BY_PROVIDER).select("iso3", "group"),
        ]
    )
    order = [EVERYBODY, "F", "M", *content.mappings.groups]
    return sorted(
        (Sheet(iso3, group) for iso3, group in spoken.unique().iter_rows()),
        key=lambda sheet: (sheet.iso3, order.index(sheet.group) if sheet.group in order else len(order), sheet.group),
    )


def languages_of(iso3: str, mappings: Mappings) -> list[str]:
    """The languages of the sheets of a country: English, and those of its own in which the report is written."""
    own = mappings.countries[iso3].languages if iso3 in mappings.countries else []
    return [ENGLISH, *(language for language in own if language != ENGLISH and language in languages())]


def write(folder: Path, content: ReleaseContent) -> None:
    """Write every sheet below `folder`/report/<language>/."""
    sheets = [(sheet, languages_of(sheet.iso3, content.mappings)) for sheet in pages(content)]
    for language in languages():
        speaker = Speaker(Speech(language), content)
        for sheet, own in sheets:
            if language in own:
                storage.write_bytes(folder / "report" / language / sheet.name, render(sheet, speaker).encode())


def group_label(group: str, mappings: Mappings, speech: Speech) -> Markup:
    """The group of a sheet in words."""
    found = mappings.groups.get(group)
    return speech.say(found.label) if found else speech.word(community_words.GROUP, group)


def render(sheet: Sheet, speaker: Speaker) -> str:
    """The page of a sheet in the language of a speaker."""
    content, mappings = speaker.content, speaker.content.mappings
    numbers = speaker.numbers.filter(iso3=sheet.iso3, group=sheet.group)
    evidence = speaker.evidence.filter(iso3=sheet.iso3, group=sheet.group)
    submissions = sorted({*numbers["submission_id"], *evidence["submission_id"]})
    sources = content.tables["sources"].filter(pl.col("submission_id").is_in(submissions))
    known = {row["submission_id"]: row for row in sources.to_dicts()}
    # Two stand side by side: an even number for each collection.
    most = max(2, MOST_NUMBERS // max(1, _shown(numbers)["submission_id"].n_unique()) // 2 * 2)
    parts = [
        _part(
            known.get(submission, {}),
            numbers.filter(submission_id=submission),
            evidence.filter(submission_id=submission),
            most,
            speaker,
        )
        for submission in submissions
    ]
    shown = [number for part in parts for number in part["numbers"]]
    group = mappings.groups.get(sheet.group)
    return rendered(
        "community.html.jinja",
        speaker.speech,
        sheet.name,
        content.facts,
        style_sheet="community.css",
        sheet=sheet,
        group=group_label(sheet.group, mappings, speaker.speech),
        country=speaker.country(sheet.iso3),
        own_languages={code: languages()[code] for code in languages_of(sheet.iso3, mappings)},
        synthetic=sources["synthetic"].any(),
        sensitive=bool(group and group.sensitive),
        parts=parts,
        n_shown=len(shown),
        n_official_of_group=sum(number["of_group"] for number in shown),
        has_code=group is None or group.official is not None,
        decisions=_decisions(content.tables["decisions"], submissions, speaker),
        organisations=sorted(sources["organisation"].drop_nulls().unique()),
        all_named=all(known.get(submission, {}).get("organisation") for submission in submissions),
    )


def _numbers(estimates: pl.DataFrame) -> pl.DataFrame:
    """Estimates of one group and of no other breakdown, with the group; the named group goes before the same by sex."""
    broken_down = [pl.col(name) != "_T" for name in STRATUM_DIMENSIONS]
    return (
        estimates.filter(pl.sum_horizontal(broken_down) <= 1)
        .with_columns(
            group=pl.when(pl.col("marginalised_group") != "_T")
            .then("marginalised_group")
            .when(pl.col("sex") != "_T")
            .then("sex")
            .when(pl.col("disability") == "yes")
            .then(pl.lit("persons_with_disabilities"))
            .when(pl.col("stratum") == "_T")
            .then(pl.lit(EVERYBODY))
        )
        .filter(pl.col("group").is_not_null())
        .sort("submission_id", "series", "group", pl.col("marginalised_group") == "_T")
        .unique(["submission_id", "series", "group"], keep="first", maintain_order=True)
    )


def _evidence(evidence: pl.DataFrame) -> pl.DataFrame:
    """Evidence with its group; what names none is for everybody."""
    return evidence.with_columns(group=pl.col("marginalised_group").fill_null(EVERYBODY))


def _part(source: Row, numbers: pl.DataFrame, evidence: pl.DataFrame, most: int, speaker: Speaker) -> Row:
    """What one collection found out about a group."""
    first = (numbers if numbers.height else evidence).row(0, named=True)
    kind = "household_survey" if numbers.height else first["evidence_type"]
    unknown = dict.fromkeys(("area", "area_level", "organisation", "sampling_method", "instrument"))
    source = {**unknown, "data_type": kind, "year": first["year"], **source}
    shown = _shown(numbers)
    chosen = _one_of_each(shown, speaker.labels).head(most).sort("place", "indicator", "series")
    hidden = numbers.filter(pl.col("estimate").is_null())["status"].value_counts().sort("count", "status")[::-1]
    visible = evidence.filter(pl.col("finding").ne_missing(FEW_PARTICIPANTS)).with_columns(
        place=speaker.labels.indicator_order()
    )
    # What people said goes before what a service said about itself; then most groups behind it first. Score cards have
    # as many behind each and keep the order of the indicators.
    order: list[str | pl.Expr] = [
        BY_PROVIDER,
        "evidence_type",
        pl.col("n_mentions").neg(),
        "place",
        "indicator",
        "statement",
        "area",
    ]
    said = [speaker.statement(row, source["instrument"]) for row in visible.sort(*order, nulls_last=True).to_dicts()]
    scales = {statement["scale"] for statement in said if statement["scale"]}
    return {
        "asked": speaker.asked(source),
        "sampling": speaker.sampling(source) if numbers.height else None,
        "numbers": [speaker.number(row) for row in chosen.to_dicts()],
        "nothing": numbers.height > 0 and shown.is_empty(),
        "more": numbers.filter(pl.col("estimate").is_not_null()).height - chosen.height,
        "hidden": sum(hidden["count"]),
        "reasons": [
            (speaker.speech.word(community_words.HIDDEN, status), count) for status, count in hidden.iter_rows()
        ],
        "said": said[:MOST_SAID],
        "scale": scales.pop() if len(scales) == 1 else None,
        "said_more": max(0, len(said) - MOST_SAID),
        "said_hidden": evidence.height - visible.height,
    }


def _shown(numbers: pl.DataFrame) -> pl.DataFrame:
    """The numbers that a sheet may hold: those that are not hidden, of the shares."""
    return numbers.filter(pl.col("estimate").is_not_null() & (pl.col("unit") == "PERCENT"))


def _one_of_each(numbers: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """The first series of every indicator, then the second ones: a sheet speaks of many things before much of one."""
    return (
        numbers.with_columns(place=labels.indicator_order())
        .sort("place", "indicator", "series")
        .with_columns(turn=pl.int_range(pl.len()).over("indicator"))
        .sort("turn", "place", "indicator", "series")
    )


def _decisions(decisions: pl.DataFrame, submissions: list[str], speaker: Speaker) -> list[Row]:
    """For each body what is on record of the collections, the newest last; nothing is said of what is not."""
    own = decisions.filter(pl.col("subject").is_in(submissions)).sort("date", "decision", "reference")
    return [
        {
            "who": speaker.speech.word(community_words.DECIDED_BY, body),
            "what": [
                {
                    "words": speaker.speech.word(community_words.DECISION, row["decision"]),
                    "date": speaker.date(row["date"]),
                    "reference": row["reference"],
                }
                for row in own.filter(decided_by=body).to_dicts()
            ],
        }
        for body in community_words.DECIDED_BY
    ]


class Speaker:
    """The values of a release in the words of a language."""

    def __init__(self, speech: Speech, content: ReleaseContent) -> None:
        self.speech, self.content = speech, content
        self.labels = Labels(content.mappings)
        self.numbers = _numbers(content.tables["citizen_estimates"])
        self.evidence = _evidence(content.tables["citizen_evidence"])
        official = content.tables["comparison"].filter(pl.col("official_value").is_not_null())
        self._official: Mapping[tuple[str, str, str], Row] = {
            (row["iso3"], row["series"], row["stratum"]): row
            for row in official.select("iso3", "series", "stratum", "official_value", "official_year").to_dicts()
        }
        catalogue = content.tables["sdg_catalogue"]
        self._not_loaded = set(catalogue.filter(pl.col("in_release") & ~pl.col("loaded"))["series"])
        self._numerators = {
            series.code: " ".join(share.numerator or "" for share in series.measure.shares)
            for indicator in content.mappings.indicators.values()
            for series in indicator.series
            if series.measure
        }
        self._places = {name: place for place, name in enumerate(content.mappings.variables)}

    def country(self, iso3: str) -> Markup:
        """The name of a country."""
        return self.speech.country(iso3, self.labels.countries.get(iso3, iso3))

    def date(self, day: Any) -> str:
        """A day, written out."""
        british = self.speech.language == ENGLISH
        return str(format_date(day, "long", locale="en_GB" if british else self.speech.locale))

    def asked(self, source: Row) -> Markup:
        """How, when, where and by whom people were asked."""
        areas = [self.labels.areas.get(code, code) for code in (source["area"] or "").split(",") if code]
        if areas:
            place: Markup = self.speech.listed(areas)
        elif source["area_level"] == "national":
            place = self.speech.say("the whole country")
        else:
            place = self.speech.say("not named, to protect people")
        return self.speech.say(
            "{what}, {year}. Place: {place}. By: {organisation}.",
            what=self.speech.word(community_words.KIND, source["data_type"]),
            year=source["year"],
            place=place,
            organisation=source["organisation"] or self.speech.say("not named, as it wishes"),
        )

    def sampling(self, source: Row) -> Markup:
        """Whom the numbers stand for."""
        if source["sampling_method"] == "probability":
            return self.speech.say(
                "Homes were drawn by lot. The numbers stand for all in the place, not only for those who answered."
            )
        return self.speech.say(
            "People were sought out, not drawn by lot. The numbers stand for those who answered, and for nobody else."
        )

    def number(self, row: Row) -> Row:
        """A number, what it counts, and what stands beside it."""
        series = row["series"]
        country = self._official.get((row["iso3"], series, "_T"))
        same = self._official.get((row["iso3"], series, row["stratum"])) if row["stratum"] != "_T" else None
        if series in community_words.SERIES:
            words = self.speech.say(community_words.SERIES[series])
        else:
            words = self.speech.foreign(self.labels.title(series))
        return {
            "value": of_100(row["estimate"], self.speech),
            "x": round(row["estimate"], 1),
            "official_x": round(country["official_value"], 1) if country else None,
            "of_group": same is not None,
            "label": words,
            "question": self.question(row),
            "n": row["n"],
            "low": None if row["ci_low"] is None else _whole(row["ci_low"]),
            "high": None if row["ci_high"] is None else _whole(row["ci_high"]),
            "few": row["n"] < CAUTION_BELOW,
            "same": same and of_100(same["official_value"], self.speech),
            "same_year": same and same["official_year"],
            "official": country and of_100(country["official_value"], self.speech),
            "official_year": country and country["official_year"],
            "not_loaded": series in self._not_loaded,
        }

    def question(self, row: Row) -> str | None:
        """The first question behind a number, as people hear it; None where the bank has no wording in this language.

        What the number counts goes before what only says who is asked; then the order of the bank.
        """
        counted, bank = self._numerators.get(row["series"], ""), self._places
        asked = [name for name in (row["questions"] or "").split(",") if name in bank and name not in NOT_ASKED_ABOUT]
        asked.sort(key=lambda name: (name not in counted, bank[name]))
        wordings = [self.content.mappings.variables[name].question.get(self.speech.language) for name in asked]
        return next((wording for wording in wordings if wording), None)

    def statement(self, row: Row, instrument: str | None) -> Row:
        """What was scored, named or found; never a share."""
        scored = row["score"] is not None
        review = row["evidence_type"] == "policy_review"
        low, high = (_whole(row[name]) if scored else "" for name in ("scale_minimum", "scale_maximum"))
        return {
            "text": self.labels.statement(self.speech, instrument, row["indicator"], row["statement"]),
            "by_provider": row["evidence_type"] == "provider_score",
            "score": self.speech.number(row["score"], 1) if scored else None,
            "scale": (low, high, low if row["better"] == "low" else high) if scored else None,
            "answer": self.speech.word(community_words.ANSWER, row["finding"]) if review else None,
            "interviews": row["n_groups"] if row["evidence_type"] == "interview" else None,
            "groups": row["n_groups"],
        }


def of_100(value: float, speech: Speech) -> Markup:
    """A share as so many of 100; nobody is rounded away."""
    if 0 < value <= 0.5:
        return speech.say("less than 1 of 100")
    if 99.5 <= value < 100:
        return speech.say("more than 99 of 100")
    return speech.say("{number} of 100", number=_whole(value))


def _whole(value: float) -> str:
    return f"{value:.0f}"
