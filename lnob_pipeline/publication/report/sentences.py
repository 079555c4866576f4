"""The sentences of the report that depend on numbers: one finding above each chart and table.

Here: which sentence holds. Each is whole, so that it can be translated; several are put one after the other. Not here:
numbers (figures.py, page.py, country.py), words for codes (words.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from lnob_pipeline.publication.report import words
from lnob_pipeline.publication.report.labels import Labels
from lnob_pipeline.publication.report.speech import Speech

WHOLE_PERCENT_BELOW = 100

Row = Mapping[str, Any]


def percent(speech: Speech, value: float, n: int | None = None) -> str:
    """A percentage as text: whole below 100 answers, else with one decimal."""
    return speech.number(value, 0 if n is not None and n < WHOLE_PERCENT_BELOW else 1)


def joined(sentences: Iterable[Markup]) -> Markup:
    """Sentences one after the other."""
    return Markup(" ").join(sentence for sentence in sentences if sentence)


def synthetic(speech: Speech, sources: Row) -> Markup:
    """That people are made up, and how many hand-ins; empty where none is. sources: `synthetic` and `total`."""
    if not sources["synthetic"]:
        return Markup("")
    return joined(
        [
            speech.say("Synthetic sample data."),
            speech.say("All hand-ins behind this page are made up.")
            if sources["synthetic"] == sources["total"]
            else speech.say(
                "{made_up} of the {total} hand-ins behind this page are made up.",
                made_up=speech.number(sources["synthetic"]),
                total=speech.number(sources["total"]),
            ),
            speech.say(
                "The people in them do not exist, and their figures say nothing about any country. The official "
                "figures are real."
            ),
        ]
    )


def of_matrix(speech: Speech, labels: Labels, matrix: Row) -> Markup:
    """Pairs of country and indicator with figures. matrix: counts of letters, countries where citizen data is alone."""
    counts = matrix["counts"]
    number = {letter: speech.number(counts.get(letter, 0)) for letter in words.AVAILABILITY}
    unknown = counts.get("?", 0) + counts.get("C?", 0)
    said = [
        speech.say(
            "Of {pairs} pairs of country and indicator, {both} have an official and a citizen figure, {official} an "
            "official figure only, {citizen} a citizen figure only and {neither} neither.",
            pairs=speech.number(sum(counts.values())),
            both=number["B"],
            official=number["O"],
            citizen=number["C"],
            neither=number["–"],
        )
    ]
    if unknown:
        said.append(
            speech.say(
                "For {unknown} pairs the official series is not in this snapshot, so nothing is said about official "
                "figures; {citizen} of these have a citizen figure.",
                unknown=speech.number(unknown),
                citizen=number["C?"],
            )
        )
    if matrix["alone"]:
        said.append(
            speech.say(
                "Citizen data stands alone most often in {countries}.",
                countries=speech.listed(speech.country(iso3, labels.countries[iso3]) for iso3 in matrix["alone"]),
            )
        )
    return joined(said)


def of_breakdowns(speech: Speech, rows: Row) -> Markup:
    """Which breakdowns have figures. rows: `total` pairs, those `official` somewhere, those of citizens `alone`."""
    return speech.say(
        "Of {total} pairs of indicator and breakdown, {official} have an official figure in some country; for "
        "{alone} only citizens have counted.",
        total=speech.number(rows["total"]),
        official=speech.number(rows["official"]),
        alone=speech.number(rows["alone"]),
    )


def of_ages(speech: Speech, labels: Labels, ages: Row) -> Markup:
    """How old official values are, over countries. ages: median age, and where most were `old`er than `limit` years."""
    if ages["median"] is None:
        return speech.say("No official value is in this snapshot.")
    said = [
        speech.count(
            "Half of the latest official values are {n} year old or older.",
            "Half of the latest official values are {n} years old or older.",
            ages["median"],
        )
    ]
    if ages["silent"]:
        said.append(
            speech.say(
                "Most indicators without any official value are in {countries}.",
                countries=speech.listed(speech.country(iso3, labels.countries[iso3]) for iso3 in ages["silent"]),
            )
        )
    return joined(said)


def of_country_ages(speech: Speech, labels: Labels, rows: list[dict[str, Any]], never: list[str], limit: int) -> Markup:
    """How old the official values of a country are. rows: indicators with their `age`, the oldest first."""
    said = []
    if rows:
        old = sum(row["age"] > limit for row in rows)
        said.append(
            speech.count(
                "{n} of {total} official values is more than {limit} years old.",
                "{n} of {total} official values are more than {limit} years old.",
                old,
                total=speech.number(len(rows)),
                limit=speech.number(limit),
            )
        )
        said.append(
            speech.count(
                "The oldest, on {indicator}, was {n} year old when this was judged.",
                "The oldest, on {indicator}, was {n} years old when this was judged.",
                rows[0]["age"],
                indicator=speech.listed(
                    [quoted(labels.short(speech, row["indicator"])) for row in rows if row["age"] == rows[0]["age"]],
                    most=3,
                ),
            )
        )
    else:
        said.append(speech.say("No official value is in this snapshot."))
    if never:
        said.append(
            speech.count(
                "{n} indicator never had an official value.",
                "{n} indicators never had an official value.",
                len(never),
            )
        )
    return joined(said)


def quoted(name: Markup) -> Markup:
    """A name inside a sentence."""
    return Markup("<i>{}</i>").format(name)


def of_gaps(speech: Speech, gaps: Row) -> Markup:
    """What official figures lack. gaps: `judged`, `missing`, and `no_code` of these."""
    return joined(
        [
            speech.say(
                "Of {judged} official values that this project looks for, headlines and breakdowns, {missing} do not "
                "exist for the years since the base year.",
                judged=speech.number(gaps["judged"]),
                missing=speech.number(gaps["missing"]),
            ),
            speech.say(
                "For {missing} of these the official code list has no place: no country can mend that alone.",
                missing=speech.number(gaps["no_code"]),
            ),
            speech.say("Breakdowns of a missing headline are counted with it, as one."),
        ]
    )


def of_hidden(speech: Speech, hidden: int, shown: int) -> Markup:
    """How many citizen figures are shown and how many are hidden."""
    return speech.say(
        "{hidden} of {total} citizen figures are not shown, to protect people or because too few answered.",
        hidden=speech.number(hidden),
        total=speech.number(hidden + shown),
    )


def of_evidence(speech: Speech, evidence: Row) -> Markup:
    """What people said, as counts. evidence: `findings`, `indicators`, `hand_ins`, `hidden`."""
    if not evidence["findings"]:
        return speech.say("There are no score cards, discussions, interviews or policy reviews.")
    return joined(
        [
            speech.say(
                "Findings: {findings}; indicators they speak of: {indicators}; hand-ins they come from: {hand_ins}.",
                **{name: speech.number(evidence[name]) for name in ("findings", "indicators", "hand_ins")},
            ),
            speech.say(
                "Not shown because fewer than four people stand behind them: {hidden}.",
                hidden=speech.number(evidence["hidden"]),
            )
            if evidence["hidden"]
            else Markup(""),
        ]
    )


def of_figures(speech: Speech, kinds: Mapping[str, int]) -> Markup:
    """How many series there are of each kind of figure."""
    total = sum(kinds.values())
    if not total:
        return speech.say("No citizen figure may be shown.")
    return speech.count(
        "{n} series of citizen data: {same_line} on one line with an official value, {beside} beside one or alone, and "
        "{respondents} with shares of respondents, which stand for no one else.",
        "{n} series of citizen data: {same_line} on one line with an official value, {beside} beside one or alone, and "
        "{respondents} with shares of respondents, which stand for no one else.",
        total,
        **{kind: speech.number(kinds.get(kind, 0)) for kind in ("same_line", "beside", "respondents")},
    )


def is_behind(figure: Row) -> bool:
    """Whether a citizen figure is behind the official one by more than its own interval."""
    return bool(figure["outside"] and figure["behind"] and figure["behind"] > 0)


def of_ranking(speech: Speech, labels: Labels, ranked: list[dict[str, Any]]) -> Markup:
    """Which indicator is furthest behind.

    ranked: figures of class A beside an official value, the furthest behind first, those without a distance last.
    """
    ranked = [figure for figure in ranked if figure["behind"] is not None]
    behind = [figure for figure in ranked if is_behind(figure)]
    if not ranked:
        return speech.say("No citizen figure of class A has an official value to stand beside.")
    if not behind:
        return speech.say("No citizen figure of class A is behind the official value by more than its interval.")
    first = behind[0]
    return joined(
        [
            speech.say(
                "Furthest behind: {indicator}, {citizen} % in the citizen data and {official} % officially.",
                indicator=quoted(labels.name(speech, first)),
                citizen=percent(speech, first["headline"]["citizen_estimate"], first["headline"]["citizen_n"]),
                official=percent(speech, first["official"]["official_value"]),
            ),
            speech.count(
                "Of {total} that can be compared, {n} is behind by more than its interval.",
                "Of {total} that can be compared, {n} are behind by more than their interval.",
                len(behind),
                total=speech.number(len(ranked)),
            ),
            speech.say("Where area or year differ, the distance is not a trend and no error of either."),
        ]
    )


def of_figure(speech: Speech, labels: Labels, figure: Row) -> Markup:
    """What the citizen data of one series says, and what stands beside it."""
    official, headline = figure["official"], figure["headline"]
    lowest, highest = figure["lowest"], figure["highest"]
    said = []
    if headline and headline["citizen_ci_low"] is not None:
        n = headline["citizen_n"]
        said.append(
            speech.say(
                "Citizen data: {value} % (95 % interval {low}–{high}).",
                value=percent(speech, headline["citizen_estimate"], n),
                low=percent(speech, headline["citizen_ci_low"], n),
                high=percent(speech, headline["citizen_ci_high"], n),
            )
        )
    elif headline:
        value = percent(speech, headline["citizen_estimate"], headline["citizen_n"])
        said.append(speech.say("Citizen data: {value} %.", value=value))
    if lowest and highest:
        details = {
            "lowest": labels.who(speech, lowest),
            "low": percent(speech, lowest["citizen_estimate"], lowest["citizen_n"]),
            "highest": labels.who(speech, highest),
            "high": percent(speech, highest["citizen_estimate"], highest["citizen_n"]),
        }
        if figure["kind"] == "respondents" and lowest is not highest:
            said.append(
                speech.say("Among those who answered: from {low} % ({lowest}) to {high} % ({highest}).", **details)
            )
        elif figure["kind"] == "respondents":
            said.append(speech.say("Among those who answered: {low} % ({lowest}).", **details))
        else:
            said.append(speech.say("Lowest: {lowest}, {low} %; highest: {highest}, {high} %.", **details))
    said.append(beside(speech, figure))
    if figure["kind"] == "same_line":
        said.append(speech.say("Both speak of the same area and the same definition."))
        said += [speech.word(words.COMPARISON_FLAG, flag) for flag in figure["flags"]]
    elif official and figure["differences"]:
        kinds = [speech.word(words.DIFFERENCE, kind) for kind in figure["differences"]]
        said.append(speech.say("They differ in {differences}.", differences=speech.listed(kinds)))
    return joined(said)


def beside(speech: Speech, figure: Row) -> Markup:
    """The official value of the whole country, or that there is none or nothing is known."""
    if official := figure["official"]:
        return speech.say(
            "Official, whole country: {value} %, {year}.",
            value=percent(speech, official["official_value"]),
            year=official["official_year"],
        )
    if figure["not_loaded"]:
        return speech.say("The official series is not in this snapshot.")
    return speech.say("No official value stands beside it.")


def of_headlines(speech: Speech, judged: int, reported: int, silent: int, helped: int) -> Markup:
    """Cells of the whole framework that can be judged."""
    if not judged:
        return speech.say("No official series was loaded: nothing is said.")
    said = [
        speech.say(
            "Of {judged} pairs of country and indicator that can be judged, {reported} have an official value since "
            "the base year and {silent} never had one.",
            judged=speech.number(judged),
            reported=speech.number(reported),
            silent=speech.number(silent),
        )
    ]
    if helped:
        said.append(
            speech.count(
                "For {n} of the missing ones there is citizen data.",
                "For {n} of the missing ones there is citizen data.",
                helped,
            )
        )
    return joined(said)


def behind(speech: Speech, row: Row) -> Markup:
    """What stands behind a row of evidence: groups, people, mentions, or the source of a policy review."""
    parts = []
    if row["n_groups"] is not None and row["evidence_type"] != "policy_review":
        parts.append(speech.count("{n} group or interview", "{n} groups or interviews", row["n_groups"]))
    if row["n_participants"] is not None:
        parts.append(speech.count("{n} person", "{n} people", row["n_participants"]))
    if row["n_mentions"] is not None:
        parts.append(speech.count("{n} mention", "{n} mentions", row["n_mentions"]))
    if row["source"]:
        parts.append(speech.foreign(row["source"]))
    return Markup(", ").join(parts) or Markup("–")


def extent(speech: Speech, figure: Row) -> str:
    """The lowest and the highest of the groups, both as exact as the smaller of the two allows."""
    ends = (figure["lowest"], figure["highest"])
    n = min(end["citizen_n"] for end in ends)
    return "–".join(percent(speech, end["citizen_estimate"], n) for end in ends)
