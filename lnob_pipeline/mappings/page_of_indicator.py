"""The page of an indicator: what is counted among whom, from which questions, how far it compares, who can serve it.

Written for a statistician and a partner from the mapping file alone. Not here: expressions in words (words.py), which
pages there are (pages.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.derive import behind
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.markdown import code, facts, link, listed, plain, table, written
from lnob_pipeline.mappings.models import (
    Breakdown,
    Category,
    Component,
    Indicator,
    Instrument,
    Measure,
    Quantity,
    Series,
    Share,
)
from lnob_pipeline.mappings.words import MISSING, Words, label_of

LIBRARY = "../../indicator_mappings/"
MOST_CODES = 12
GOALS = {
    "1": "No poverty",
    "2": "Zero hunger",
    "3": "Good health and well-being",
    "4": "Quality education",
    "5": "Gender equality",
    "6": "Clean water and sanitation",
    "7": "Affordable and clean energy",
    "8": "Decent work and economic growth",
    "9": "Industry, innovation and infrastructure",
    "10": "Reduced inequalities",
    "11": "Sustainable cities and communities",
    "12": "Responsible consumption and production",
    "13": "Climate action",
    "14": "Life below water",
    "15": "Life on land",
    "16": "Peace, justice and strong institutions",
    "17": "Partnerships for the goals",
}
"""Short titles of the goals, United Nations."""
AVAILABILITY = {
    "A": "a household survey with the questions below can compute it",
    "B": "a household survey can compute it with a demanding module or design",
    "C": "a household survey gives components or a proxy, not the whole indicator",
    "D": "no household survey computes it; partners can give evidence",
}
DATA_TYPES = {
    "household_survey": "Household survey",
    "score_card": "Community score card",
    "focus_group": "Focus group discussion",
    "interview": "Interview",
    "policy_review": "Policy review",
}
CLASSES = {
    "A": "an estimate; B where the sample is no probability sample of its area, C for what does not compare",
    "C": "an estimate under another definition",
    "D": "evidence that illustrates, never a share of the population",
    "E": "evidence that supports, never a share of the population",
}
COUNTS = {
    "household": "households: each household counts once (household weight)",
    "household_size": "members of households: each household counts household weight × household size",
    "person": "persons: each member of the household counts (household weight)",
    "respondent": "adults: the selected respondent counts household weight × eligible adults",
}
EVERYBODY = {"household": "every household", "person": "every member", "respondent": "every selected respondent"}
UNITS = {"PERCENT": "percent", "PER_1000_POP": "per 1,000", "NUMBER": "number", "INDEX": "index"}
GIVES = {
    "headcount": "the share of the poor",
    "intensity": "the mean score of the poor",
    "adjusted_headcount": "the share of the poor times their mean score",
}
MISSING_RULES = {
    "exclude": "the row leaves the denominator",
    "not_in_numerator": "the row stays in the denominator, not counted",
}


def order(number: str) -> list[tuple[int, str]]:
    """Sorts numbers of indicators: 1.4.1, 1.4.2, 1.a.1, 10.3.1; digits by value, letters after them."""
    parts = re.findall(r"\d+|[a-z]+", number)
    return [(int(part), "") if part.isdigit() else (1000, part) for part in parts]


def page_of_indicator(indicator: Indicator, mappings: Mappings) -> str:
    """The Markdown of docs/indicators/<indicator>.md."""
    words = Words(mappings, "../variables/")
    lines = [
        f"# {indicator.indicator} {plain(indicator.title)}",
        "",
        f"Goal {indicator.goal}, {GOALS[indicator.goal]}. Target {indicator.indicator.rpartition('.')[0]}.",
        "",
        *_facts(indicator, mappings),
        *_notes(indicator, mappings),
        *_series(indicator),
    ]
    if indicator.computed:
        lines += ["## How it is computed", ""]
        for item in indicator.computed.values():
            lines += _computed(item, indicator, words)
    lines += [
        *_differences(indicator, mappings),
        *_questions(indicator, mappings),
        *_breakdowns(indicator, mappings),
        *_official_place(indicator, mappings),
        *_served_by(indicator, mappings),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _facts(indicator: Indicator, mappings: Mappings) -> list[str]:
    definition = indicator.definition
    said = [f"version {definition.version}, sheet {plain(definition.sheet)}"]
    said += [f"in force from {definition.valid_from}"] if definition.valid_from else []
    said += [f"until {definition.valid_to}"] if definition.valid_to else []
    said += [f"read on {definition.read}"] if definition.read else ["not read on the sheet itself"]
    file = mappings.files[f"indicator:{indicator.indicator}"]
    files = [link("mapping", f"{LIBRARY}{file}")]
    examples = file.replace("indicators/", "examples/", 1)
    files += [link("known answers", f"{LIBRARY}{examples}")] if (mappings.folder / examples).exists() else []
    rows = [
        ("Availability", f"**{indicator.availability}**: {AVAILABILITY[indicator.availability]}"),
        ("Reference period", plain(indicator.reference_period)),
        ("Definition", ", ".join(said)),
        ("Official series follow", f"version {listed(indicator.official_definition_versions)}"),
        (
            "Sensitive",
            "yes: asked and kept only under a special protocol (violence, mutilation, reproduction)"
            if indicator.sensitive
            else "no",
        ),
        ("Source", plain(indicator.source)),
        ("Files", ", ".join(files)),
    ]
    return facts(rows)


def _notes(indicator: Indicator, mappings: Mappings) -> list[str]:
    """The comments of the mapping file that stand at the margin: what its authors tell the reader."""
    text = (mappings.folder / mappings.files[f"indicator:{indicator.indicator}"]).read_text(encoding="utf-8")
    blocks = re.findall(r"^(?:#.*\n)+", text, re.MULTILINE)
    notes = [" ".join(line.lstrip("# ") for line in block.splitlines()) for block in blocks]
    return ["## Notes of the authors", "", *(line for note in notes for line in (plain(note), ""))] if notes else []


def _series(indicator: Indicator) -> list[str]:
    rows = []
    items: list[Series | Component] = [*indicator.series, *indicator.components]
    for item in items:
        here = link(_match(item), f"#{item.code.lower()}") if item.measure else _match(item)
        headline = _headline(item) if isinstance(item, Series) else "none, not an official series"
        rows.append((code(item.code), plain(item.title), UNITS.get(item.unit, item.unit.lower()), headline, here))
    return ["## Series", "", *table(("Code", "Title", "Unit", "Official headline", "Computed here"), rows)]


def _match(item: Series | Component) -> str:
    if isinstance(item, Component):
        return "component"
    return item.match or "not computed"


def _headline(item: Series) -> str:
    slices = [f"{dimension} {code(value)}" for dimension, value in item.headline.items()]
    return f"{', '.join(slices)}; else totals" if slices else "all dimensions at their total"


def _computed(item: Series | Component, indicator: Indicator, words: Words) -> Iterator[str]:
    measure = item.measure
    assert measure is not None
    yield from (f"### {item.code}", "", f"{plain(item.title)}.", "")
    yield f"- **Counts** {COUNTS[measure.weight]}"
    yield from _statistic(measure, words, _told_before(item, indicator))
    if measure.self_report:
        yield "- **Who answers**: the person; an answer by somebody else makes the estimate class C"
    without = _without(measure, words.mappings)
    if without:
        yield f"- **No estimate** in {without}"
    yield ""


def _told_before(item: Series | Component, indicator: Indicator) -> str | None:
    """An earlier series with the same items, so that a long list stands once."""
    told = item.measure
    assert told is not None
    for name, earlier in indicator.computed.items():
        if name == item.code:
            break
        one = earlier.measure
        if one and one.score and told.score and one.score.model_copy(update={"give": told.score.give}) == told.score:
            return name
        if one and one.rasch and told.rasch and one.rasch.items == told.rasch.items:
            return name
    return None


def _statistic(measure: Measure, words: Words, before: str | None) -> Iterator[str]:
    """What is computed, as items of a list; `before`: the series whose items are the same."""
    match measure.statistic:
        case "proportion":
            yield "- **Statistic**: proportion"
            yield from _share(measure.shares[0], measure, words)
        case "mean_of_shares":
            yield f"- **Statistic**: mean of {len(measure.shares)} proportions, each with its own denominator"
            yield from _shares(measure, words)
        case "composite":
            yield "- **Statistic**: proportion for whom all of the following hold; an unknown one leaves the row out"
            yield from _condition("Universe", measure.shares[0].universe, measure, words)
            for number, share in enumerate(measure.shares, start=1):
                yield from _condition(f"Condition {number}", share.numerator, measure, words)
            rules = {_missing(share): None for share in measure.shares}
            yield f"- **Missing answers** that leave a condition open: {'; or: '.join(rules)}"
        case "mean":
            assert measure.mean is not None
            yield "- **Statistic**: mean; a missing answer leaves the row out"
            yield from _quantity("", measure.mean, measure, words)
        case "ratio":
            assert measure.ratio is not None
            per = f", per {measure.ratio.per:,}" if measure.ratio.per != 1 else ""
            yield f"- **Statistic**: ratio of two sums{per}; a missing answer leaves the row out"
            yield from _quantity(" of the numerator", measure.ratio.numerator, measure, words)
            yield from _quantity(" of the denominator", measure.ratio.denominator, measure, words)
        case "score":
            yield from _score(measure, words, before)
        case "rasch":
            yield from _rasch(measure, words, before)


def _share(share: Share, measure: Measure, words: Words) -> Iterator[str]:
    yield from _condition("Universe", share.universe, measure, words)
    yield from _condition("Numerator", share.numerator, measure, words)
    yield f"- **Missing answers** that leave the numerator open: {_missing(share)}"


def _shares(measure: Measure, words: Words) -> Iterator[str]:
    """Several proportions; a universe and missing rules that they have in common stand once."""
    first = measure.shares[0]
    common = all((share.universe, share.missing) == (first.universe, first.missing) for share in measure.shares)
    if common:
        yield from _condition("Universe of each", first.universe, measure, words)
    for number, share in enumerate(measure.shares, start=1):
        if common:
            yield from _condition(f"Numerator {number}", share.numerator, measure, words)
        else:
            yield f"- **Proportion {number}**"
            yield from (f"  {line}" if line else "" for line in _share(share, measure, words))
    if common:
        yield f"- **Missing answers** that leave a numerator open: {_missing(first)}"


def _condition(name: str, expression: str, measure: Measure, words: Words) -> Iterator[str]:
    """An expression in words, and as it is written."""
    if expression.strip().upper() == "TRUE":
        yield f"- **{name}**: {EVERYBODY[measure.unit]}"
    else:
        yield from _both(f"- **{name}**: ", expression, words, "  ")


def _both(start: str, expression: str, words: Words, indent: str) -> Iterator[str]:
    """An item of a list: the words, then what is written; a bare number needs no second saying."""
    if expression.strip().isdigit():
        yield f"{start}{expression.strip()}"
        return
    lines = written(expression, indent)
    one_line = len(lines) == 1
    yield f"{start}{words.say(expression)}" + ("\\" if one_line else "")
    yield from lines if one_line else [*lines, ""]


def _missing(share: Share) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, rule in share.missing.items():
        kinds.setdefault(rule, []).append(MISSING[kind])
    said = [f"{listed(names)}: {MISSING_RULES[rule]}" for rule, names in kinds.items()]
    return MISSING_RULES[next(iter(kinds))] if len(kinds) == 1 else "; ".join(said)


def _quantity(of: str, quantity: Quantity, measure: Measure, words: Words) -> Iterator[str]:
    yield from _condition(f"Universe{of}", quantity.universe, measure, words)
    yield from _condition(f"Value{of}", quantity.value, measure, words)


def _score(measure: Measure, words: Words, before: str | None) -> Iterator[str]:
    score = measure.score
    assert score is not None
    yield f"- **Statistic**: {GIVES[score.give]}, by a count of weighted deprivations (Alkire and Foster 2011)"
    yield from _condition("Universe", score.universe, measure, words)
    if before:
        yield f"- **Deprived**, weights and cut-off: as in {link(code(before), f'#{before.lower()}')}"
        return
    yield "- **Deprived**; a row with an unknown item is left out"
    for name, item in score.items.items():
        yield from _both(f"  - {code(name)} {plain(item.label)}: ", item.deprived, words, "    ")
    for iso3, national in score.national.items():
        weights = ", ".join(f"{name} {weight:.10g}" for name, weight in national.weights.items())
        country = words.mappings.countries[iso3].name
        yield f"- **{country}**: poor from {national.cutoff:.10g}; weights {weights} ({plain(national.source)})"


def _rasch(measure: Measure, words: Words, before: str | None) -> Iterator[str]:
    rasch = measure.rasch
    assert rasch is not None
    yield f"- **Statistic**: probability to lie above severity {rasch.threshold:.10g} of a Rasch scale"
    yield from _condition("Universe", rasch.universe, measure, words)
    if before:
        yield f"- **Items** and severities: as in {link(code(before), f'#{before.lower()}')}"
        return
    yield "- **Items**, yes or no, with their severity on the global scale; a row with an unknown item is left out"
    for name, severity in rasch.items.items():
        yield f"  - {words.name(name)}: {severity:.10g}"


def _without(measure: Measure, mappings: Mappings) -> str:
    """Countries without an estimate, and why."""
    reasons: dict[str, list[str]] = {}
    for iso3, country in mappings.countries.items():
        if reason := measures.lacking(measure, mappings, iso3):
            reasons.setdefault(reason.removeprefix(f"{iso3} has "), []).append(country.name)
    return "; ".join(f"{listed(countries, 'and')}: {plain(reason)}" for reason, countries in reasons.items())


def _differences(indicator: Indicator, mappings: Mappings) -> list[str]:
    """What does not compare with the official series, and why."""
    lines = []
    if indicator.definition.version not in indicator.official_definition_versions:
        lines.append("- The definition coded here is of another version than the official series: no common line.")
    said = []
    for item in indicator.series:
        if item.adapted_because:
            said.append((item.code, f"{_match(item)}, class C: {plain(item.adapted_because)}"))
        if item.not_computed_because:
            said.append((item.code, f"not computed: {plain(item.not_computed_because)}"))
    said += [(item.code, f"component, class C: {plain(item.because)}") for item in indicator.components]
    lines += _of_series(said)
    for dimension, reason in indicator.breakdowns.not_carried.items():
        lines.append(f"- No breakdown by {dimension.replace('_', ' ')}: {plain(reason)}")
    for rule in mappings.applicability.not_applicable:
        if any(f"{indicator.indicator}.".startswith(f"{prefix}.") for prefix in rule.indicators):
            names = listed([mappings.countries[iso3].name for iso3 in rule.countries], "and")
            lines.append(f"- Does not apply to {names}: {plain(rule.because)}")
    return ["## What does not compare, and why", "", *lines, ""] if lines else []


def _of_series(said: Iterable[tuple[str, str]]) -> list[str]:
    """Code of a series and what is said of it, as items of a list; what holds for several is said once."""
    found: dict[str, list[str]] = {}
    for series, sentence in said:
        found.setdefault(sentence, []).append(code(series))
    return [f"- {', '.join(codes)}: {sentence}" for sentence, codes in found.items()]


def _questions(indicator: Indicator, mappings: Mappings) -> list[str]:
    """The questions behind everything that is computed, and the variables derived on the way."""
    used: dict[str, list[str]] = {}
    needed: set[str] = set()
    names: set[str] = set()
    for item in indicator.computed.values():
        assert item.measure is not None
        for name in measures.questions(item.measure, mappings):
            used.setdefault(name, []).append(item.code)
        needed |= measures.questions(item.measure, mappings, optional=False)
        names |= behind(measures.variables(item.measure), mappings)
    if not used:
        return []
    rows = []
    for name in sorted(used):
        variable = mappings.variables[name]
        asked = plain(variable.question.get("en", variable.label))
        codes = mappings.codes(name)
        if len(codes) > MOST_CODES:
            answers = link(f"{len(codes)} codes", f"../variables/{name}.md#codes")
        else:
            answers = "; ".join(_answer(key, label) for key, label in codes.items()) or plain(
                variable.measure or variable.type
            )
        of = "all" if len(used[name]) == len(indicator.computed) else ", ".join(map(code, used[name]))
        note = [] if name in needed else ["optional"]
        note += ["sensitive"] if variable.sensitive else []
        rows.append((link(code(name), f"../variables/{name}.md"), asked, answers, variable.unit, of, ", ".join(note)))
    lines = ["## Questions", "", *table(("Variable", "Question", "Answers", "Asked of", "For", "Note"), rows)]
    derived = [
        f"- {link(code(name), f'../variables/{name}.md')}: {label_of(name, mappings)}"
        for name in sorted(names & set(mappings.derived))
    ]
    return [*lines, "Derived from them:", "", *derived, ""] if derived else lines


def _answer(key: str, label: str) -> str:
    return code(key) if key.replace("_", " ") == label.lower() else f"{code(key)} {plain(label)}"


def _breakdowns(indicator: Indicator, mappings: Mappings) -> list[str]:
    wanted = indicator.breakdowns
    rows = []
    for names, why in (
        (wanted.required, "title or metadata of the indicator"),
        (wanted.lnob, "pledge to leave no one behind"),
    ):
        for name in names:
            breakdown = mappings.breakdowns[name]
            outside = wanted.outside_universe.get(name, [])
            rows.append((plain(breakdown.label), why, _categories(name, breakdown, outside, mappings)))
    lines = table(("By", "Asked for by", "Categories (code of the official data)"), rows)
    if wanted.crossings:
        crossed = [
            "; ".join(" × ".join(mappings.breakdowns[name].label for name in cross) for cross in wanted.crossings)
        ]
        lines += [f"Together: {plain(crossed[0])}.", ""]
    return ["## Breakdowns", "", *lines] if lines else []


def _categories(name: str, breakdown: Breakdown, outside: list[str], mappings: Mappings) -> str:
    categories = {key: found for key, found in mappings.categories(name).items() if key not in outside}
    if breakdown.categories_from:
        coded = {key: found for key, found in categories.items() if found.official}
        said = [
            f"{len(categories)} groups; {len(categories) - len(coded)} have no official code",
            *map(_category, coded.values()),
        ]
    else:
        said = [_category(found) for found in categories.values()]
    if outside:
        labels = [plain(mappings.categories(name)[key].label) for key in outside]
        said.append(f"outside the universe or cut by it: {', '.join(labels)}")
    return "; ".join(said)


def _category(category: Category) -> str:
    codes = ", ".join(map(code, category.official)) or "no official code"
    return f"{plain(category.label)} ({codes})"


def _official_place(indicator: Indicator, mappings: Mappings) -> list[str]:
    """What the official series have a place for, as far as that is known to be restricted."""
    sentences = []
    for item in indicator.series:
        scope = mappings.applicability.series.get(item.code)
        if scope is None:
            continue
        totals = [dimension for dimension, codes in scope.admits.items() if not codes]
        said = [f"{dimension} {listed(list(map(code, codes)))}" for dimension, codes in scope.admits.items() if codes]
        said += [f"{listed(totals, 'and')} as the total alone"] if totals else []
        period = scope.expected_period_years
        place = [f"restricted to {'; '.join(said)}"] if said else []
        often = [f"a figure is expected every {'year' if period == 1 else f'{period} years'}"] if period else []
        if place or often:
            sentences.append((item.code, f"{'; '.join([*place, *often])} ({plain(scope.source)})"))
    lines = _of_series(sentences)
    return ["## What the official series can show", "", *lines, ""] if lines else []


def _served_by(indicator: Indicator, mappings: Mappings) -> list[str]:
    rows = [(DATA_TYPES[kind], f"**{letter}**: {CLASSES[letter]}") for kind, letter in indicator.served_by.items()]
    lines = ["## Who can serve it", "", *table(("Data", "Class"), rows)]
    forms = [
        row for name in sorted(mappings.instruments) if (row := _form(mappings.instruments[name], indicator, mappings))
    ]
    if not forms:
        return [*lines, "No questionnaire in the library asks for it yet.", ""]
    return [*lines, *table(("Questionnaire in the library", "Gives", "Asked otherwise"), forms)]


def _form(instrument: Instrument, indicator: Indicator, mappings: Mappings) -> tuple[str, str, str] | None:
    """What a questionnaire gives to the indicator; nothing where a question is missing."""
    shown = link(plain(instrument.title), f"{LIBRARY}instruments/{instrument.instrument}.yaml")
    shown = f"{shown} ({code(instrument.instrument)})"
    statements = [item.label for item in instrument.statements.values() if item.indicator == indicator.indicator]
    if statements:
        return shown, f"{DATA_TYPES[instrument.data_type].lower()}: {plain('; '.join(statements))}", ""
    columns = {
        column.variable: column
        for record in instrument.records.values()
        for column in record.columns.values()
        if column.variable
    }
    given: Mapping[str, Measure] = {
        key: item.measure
        for key, item in indicator.computed.items()
        if item.measure and measures.questions(item.measure, mappings, optional=False) <= columns.keys()
    }
    if not given:
        return None
    asked = set().union(*(measures.questions(measure, mappings) for measure in given.values())) & columns.keys()
    otherwise = [f"{code(name)}: {plain(said)}" for name in sorted(asked) if (said := columns[name].adapted_because)]
    return shown, ", ".join(map(code, given)), "; ".join(otherwise)
