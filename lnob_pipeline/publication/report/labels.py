"""Labels for the codes of the tables, from indicator_mappings/, and the order in which they are shown.

Here: which label, and which figure is the better one. Not here: plain words for codes (words.py), translation
(speech.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl
from markupsafe import Markup, escape

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.report import words
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.tables import STRATUM_DIMENSIONS

LOW_IS_GOOD: Final = frozenset(
    {
        "1.1.1", "1.2.1", "1.2.2", "2.1.2", "2.2.1", "2.2.2", "3.7.2", "3.8.2", "5.2.1", "5.2.2",
        "5.3.1", "5.3.2", "8.3.1", "8.5.2", "8.6.1", "8.7.1", "10.2.1", "10.3.1", "11.1.1", "11.7.2",
        "16.1.3", "16.2.1", "16.2.3", "16.5.1",
    }
)  # fmt: skip
"""Indicators of which less is better: who is behind has the higher figure. Of the others more is, but for NEITHER."""
OTHER_WAY: Final = frozenset({"SH_SAN_DEFECT", "LNOB_DISCIPLINE_NONVIOLENT"})
"""Series that run against their indicator: open defecation, and discipline without violence."""
NEITHER: Final = frozenset({"5.4.1", "5.5.1"})
"""Neither more nor less is better as such, so nobody is ahead or behind: hours of unpaid work, which somebody has to
do, and women among members of parliaments, of whom the best is half."""
NO_DIRECTION: Final = frozenset(
    {
        "SP_GNP_WNOWNS",
        "LNOB_SAN_IN_SITU", "LNOB_SAN_REMOVED", "LNOB_SAN_SEWER",
        "LNOB_DISPUTE_LAWYER", "LNOB_DISPUTE_CUSTOMARY", "LNOB_DISPUTE_COURT", "LNOB_DISPUTE_POLICE",
        "LNOB_DISPUTE_OFFICE", "LNOB_DISPUTE_COMPLAINT",
    }
)  # fmt: skip
"""Series of which the same holds though not of their indicator: women among owners of land, of whom the best is half,
and ways of one thing, where more of one is less of another (where excreta go, to whom people turn in a dispute)."""


class Labels:
    """Labels of codes, from the mappings."""

    def __init__(self, mappings: Mappings) -> None:
        self.countries = {iso3: country.name for iso3, country in mappings.countries.items()}
        self.areas = {code: name for country in mappings.countries.values() for code, name in country.admin1.items()}
        self.groups = {code: group.label for code, group in mappings.groups.items()}
        self.categories = {
            name: {code: category.label for code, category in mappings.categories(name).items()}
            for name in STRATUM_DIMENSIONS
            if name in mappings.breakdowns
        }
        self.indicators = {code: shortened(mappings.indicators[code].title) for code in in_order(mappings.indicators)}
        self.statements = {
            (instrument.instrument, statement.indicator, statement.code): statement.label
            for instrument in mappings.instruments.values()
            for statement in instrument.statements.values()
        }
        framework = mappings.framework.indicators
        self.framework = dict(framework.select("indicator", "title").iter_rows())
        self.series = {
            code: shortened(title)
            for indicator in mappings.indicators.values()
            for code, title in [
                *((series.code, series.title) for series in indicator.series),
                *((component.code, component.title) for component in indicator.components),
            ]
        }

    def indicator(self, code: str) -> str:
        """The title of an indicator of the project or of the framework; its code where neither holds it."""
        return self.indicators.get(code) or shortened(self.framework.get(code, code))

    def title(self, series: str) -> str:
        """The title of a series; its code where no indicator file holds it."""
        return self.series.get(series, series)

    def area(self, speech: Speech, level: str | None, area: str | None) -> Markup:
        """The area a hand-in speaks for, as in a sentence."""
        if level == "national":
            return speech.say("the whole country")
        if not area:
            return speech.say("a place that is not named")
        names = speech.listed(self.areas.get(code, code) for code in area.split(","))
        if level == "admin1":
            return names
        if level == "admin2":
            return speech.say("districts or municipalities in {areas}", areas=names)
        return speech.say("communities in {areas}", areas=names)

    def short(self, speech: Speech, indicator: str) -> Markup:
        """A short name of an indicator; the official title, in English, where there is none."""
        if indicator in words.INDICATOR:
            return speech.say(words.INDICATOR[indicator])
        return speech.foreign(self.indicator(indicator))

    def name(self, speech: Speech, figure: Mapping[str, Any]) -> Markup:
        """What a figure counts, in few words: its indicator, or its series where that runs against the indicator."""
        if figure["series"] in OTHER_WAY:
            return speech.foreign(self.title(figure["series"]))
        return self.short(speech, figure["indicator"])

    def statement(self, speech: Speech, instrument: str | None, indicator: str, code: str | None) -> Markup:
        """What a row of evidence speaks of, in the words of its instrument, which are English; a dash for nothing."""
        if code is None:
            return Markup("–")
        return speech.foreign(self.statements.get((instrument or "", indicator, code)) or code.replace("_", " "))

    def group_names(self, speech: Speech, codes: Iterable[str]) -> Markup:
        """Groups, as in a sentence."""
        return speech.listed(speech.word(self.groups, code) for code in codes)

    def indicator_names(self, speech: Speech, codes: Iterable[str]) -> Markup:
        """Indicators with their codes, as in a sentence."""
        return speech.listed(Markup("{} ({})").format(code, self.short(speech, code)) for code in codes)

    def who(self, speech: Speech, stratum: Mapping[str, Any]) -> Markup:
        """A stratum in words, e.g. 'Female, With disability'; 'All' for the headline. stratum: its dimensions."""
        said = [
            speech.word(self.categories.get(name, {}), stratum[name])
            for name in STRATUM_DIMENSIONS
            if stratum[name] != "_T"
        ]
        return Markup(", ").join(said) if said else speech.say("All")

    def whom(self, speech: Speech, strata: Iterable[Mapping[str, Any]], most: int = 8) -> Markup:
        """Strata, as in a sentence; one of several breakdowns in quotation marks."""
        said = [self.who(speech, stratum) for stratum in strata]
        return speech.listed([Markup("“{}”").format(who) if ", " in who else who for who in said], most)

    def speaker(self, speech: Speech, group: str | None, areas: str | None) -> Markup:
        """Who speaks in a score card or discussion, and where; a dash for nobody in particular."""
        said = []
        if group is not None:
            known = {**self.categories["sex"], **self.groups}
            said.append(speech.say("All") if group == "all" else speech.word(known, group))
        said += [escape(self.areas.get(code, code)) for code in (areas or "").split(",") if code]
        return Markup(", ").join(said) or Markup("–")

    def indicator_order(self) -> pl.Expr:
        """Expression: the place of the indicator in the framework's order."""
        return pl.col("indicator").replace_strict(
            list(self.indicators), list(range(len(self.indicators))), default=999, return_dtype=pl.Int32
        )

    def stratum_order(self) -> pl.Expr:
        """Expression: headline first, then by dimension and in the order of the mappings."""
        ranks = [
            pl.when(pl.col(name) != "_T").then(
                1000 * (place + 1)
                + pl.col(name).replace_strict(
                    list(self.categories.get(name, {})),
                    list(range(len(self.categories.get(name, {})))),
                    default=999,
                    return_dtype=pl.Int32,
                )
            )
            for place, name in enumerate(STRATUM_DIMENSIONS)
        ]
        return pl.sum_horizontal(pl.col("stratum") != "_T", *(rank.fill_null(0) for rank in ranks))


def sign(indicator: str, series: str) -> int:
    """1 where more is better, -1 where less is better, 0 where neither is."""
    if indicator in NEITHER or series in NO_DIRECTION:
        return 0
    return -1 if (indicator in LOW_IS_GOOD) != (series in OTHER_WAY) else 1


def shortened(title: str) -> str:
    """A UN title without its first words, which are the same for nearly all."""
    rest = re.sub(r"^Proportion of ", "", title)
    return rest[:1].upper() + rest[1:]


def in_order(indicators: Iterable[str]) -> list[str]:
    """Indicators in the order of the framework: 5.b.1 after 5.3.1, 10.3.1 after 8.10.2."""
    return sorted(
        indicators,
        key=lambda code: [
            (int(part), "") if part.isdigit() else (999, part) for part in re.findall(r"\d+|[a-z]+", code)
        ],
    )
