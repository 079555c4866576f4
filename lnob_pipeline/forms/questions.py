"""The questionnaire as rows of an XLSForm: what some indicators need, in the order in which it is asked.

Here: choice and order of questions, skips, limits, choice lists, languages. Not here: files (xlsform.py), the mapping
back (instrument.py). The form asks for no name, no telephone number and no coordinates: members have a number.
 One adult is drawn by the form itself and answers the questions of the respondent.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lnob_pipeline.forms.xpath import NO_ANSWER, relevant, takes_no_answer
from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Variable

LANGUAGES = {
    "en": "English", "bn": "Bangla", "ha": "Hausa", "hi": "Hindi", "ne": "Nepali", "ny": "Chichewa",
    "sw": "Swahili", "vi": "Vietnamese",
}  # fmt: skip

PLACE = ("admin1", "location", "stratum", "cluster")
"""What the interviewer fills in from the sample; prompts are in PROMPTS."""
HOUSEHOLD = ("household_size", "marginalised_groups")
MEMBER = (
    "sex", "age", "difficulty_seeing", "difficulty_hearing", "difficulty_walking", "difficulty_remembering",
    "difficulty_self_care", "difficulty_communicating",
)  # fmt: skip
"""The questions behind the breakdowns, asked of every member whatever the indicators."""
BY_FORM = ("interview_date", "eligible_adults", "is_respondent")
"""What the form finds out by itself."""
BY_PRODUCER = ("household_weight", "wealth_quintile")
"""What the producer adds to the export, whatever the indicators; more is added by what has no question."""
ALWAYS_ANSWERED = {"household_size", *PLACE}

PROMPTS = {
    "consent": "Do you agree to take part? Taking part is free. You may skip any question and stop at any time. The "
    "answers are used without your name.",
    "admin1": "Interviewer: first administrative area of the household",
    "location": "Interviewer: is the place urban or rural, as the sampling frame says?",
    "stratum": "Interviewer: stratum of the sample",
    "cluster": "Interviewer: number of the cluster (enumeration area)",
    "interview": "Interview",
    "roster": "Member of the household, by number and without a name",
    "respondent": "Questions to the adult whom the form has drawn",
    "respondent_called": "Go on with member number ${respondent_number} of the list, and nobody in his or her place.",
    "privacy_roster": "Interviewer: can nobody else hear you now? If somebody can, the next questions are left out.",
    "privacy_respondent": "Interviewer: are you alone with this person? If not, some questions are left out.",
    "yes": "Yes",
    "no": "No",
    "dont_know": "Don't know",
    "refused": "Does not want to answer",
    "ask_in_person": "Ask this person herself or himself.",
    "number_missing": "-88: don't know; -99: does not want to answer",
}
NOBODY = 999_999_999
"""The draw of a member who cannot be the respondent."""
MOST_MEMBERS = 100

Labels = dict[str, str]


@dataclass(frozen=True)
class Row:
    """A row of the survey sheet; `labels` and `hints` by language, `codes` where it is a question with choices."""

    type: str
    name: str
    labels: Labels = field(default_factory=dict)
    hints: Labels = field(default_factory=dict)
    relevant: str = ""
    constraint: str = ""
    calculation: str = ""
    repeat_count: str = ""
    required: bool = False
    codes: dict[str, Labels] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A questionnaire.

    asked: variable -> whether don't know and refused can be answered. added: variables that no form can ask, which
    the producer adds to the export. in_person: variables that are asked of the person herself. untranslated: language
    -> the texts that stand in English. groups_left_out: sensitive groups of persons, which are not asked in front of
    the household.
    """

    rows: list[Row]
    asked: dict[str, bool]
    added: list[str]
    in_person: set[str]
    sensitive: set[str]
    untranslated: dict[str, list[str]]
    groups_left_out: list[str]


def sensitive_questions(indicators: Iterable[str], mappings: Mappings) -> set[str]:
    """The sensitive questions among those that indicators need."""
    return {name for name in _needed(indicators, mappings) if mappings.variables[name].sensitive}


def _needed(indicators: Iterable[str], mappings: Mappings) -> set[str]:
    """Questions behind the measures of indicators, and those that their skips rest on."""
    found: set[str] = set()
    for code in indicators:
        if code not in mappings.indicators:
            raise ValueError(f"{code} is no indicator of the library; it has {', '.join(mappings.indicators)}")
        computed = mappings.indicators[code].computed.values()
        if not computed:
            raise ValueError(f"nothing is computed for {code} from the answers of a survey; leave it out")
        found |= set().union(*(measures.questions(item.measure, mappings) for item in computed if item.measure))
    waiting = [*found, *MEMBER]
    while waiting:
        skip = mappings.variables[waiting.pop()].asked_if
        fresh = parse(skip).variables - found if skip else frozenset()
        found |= fresh
        waiting += fresh
    return found


def _ordered(names: Iterable[str], mappings: Mappings) -> list[str]:
    """In the order of the question bank, but a question after those that its skip rests on."""
    place = {name: number for number, name in enumerate(mappings.variables)}
    waiting, done = sorted(names, key=place.__getitem__), list[str]()
    while waiting:
        for name in waiting:
            skip = mappings.variables[name].asked_if
            if not skip or not parse(skip).variables & set(waiting):
                break
        else:
            raise ValueError(
                f"the skips of {', '.join(waiting)} rest on each other; mend asked_if in the question bank"
            )
        waiting.remove(name)
        done.append(name)
    return done


def build(
    indicators: Sequence[str], languages: Sequence[str], mappings: Mappings, iso3: str | None, adult_age: int = 15
) -> Form:
    """The questionnaire for indicators. Raises ValueError for what the library does not know."""
    if strange := set(languages) - set(LANGUAGES):
        raise ValueError(f"{', '.join(sorted(strange))} is no language of the library: {', '.join(LANGUAGES)}")
    if iso3 is not None and iso3 not in mappings.countries:
        raise ValueError(f"{iso3} is no country of the library: {', '.join(mappings.countries)}")
    return _Builder(languages, mappings, iso3).form(indicators, adult_age)


class _Builder:
    """What every part of a form needs: languages, mappings, country; and what it notes on the way."""

    def __init__(self, languages: Sequence[str], mappings: Mappings, iso3: str | None) -> None:
        self.languages, self.mappings, self.iso3 = languages, mappings, iso3
        self.asked: dict[str, bool] = {}
        self.untranslated: dict[str, list[str]] = {language: [] for language in languages if language != "en"}
        self.in_person: set[str] = set()

    def form(self, indicators: Sequence[str], adult_age: int) -> Form:
        mappings = self.mappings
        needed = _needed(indicators, mappings)
        sensitive = {name for name in needed if mappings.variables[name].sensitive}
        fixed = {*PLACE, *HOUSEHOLD, *MEMBER, *BY_FORM, *BY_PRODUCER}
        added = [*BY_PRODUCER, *_ordered({n for n in needed - fixed if not mappings.variables[n].question}, mappings)]
        rest = _ordered(needed - fixed - set(added), mappings)
        units = {unit: [n for n in rest if mappings.variables[n].unit == unit] for unit in ("household", "person")}
        respondent = [name for name in rest if mappings.variables[name].unit == "respondent"]
        for code in indicators:
            for item in mappings.indicators[code].computed.values():
                if item.measure and item.measure.self_report:
                    self.in_person |= measures.answers(item.measure, mappings) & set(units["person"])

        rows = [
            Row("today", "today"),
            self.yes_no("consent"),
            self.row("begin_group", "interview", relevant="${consent} = 'yes'"),
            *self.questions([*PLACE, *HOUSEHOLD, *units["household"]], sensitive, ""),
        ]
        if sensitive & set(units["person"]):
            rows.append(self.yes_no("privacy_roster"))
        rows.append(self.row("begin_repeat", "roster", repeat_count="${household_size}"))
        rows += self.questions([*MEMBER, *units["person"]], sensitive, "privacy_roster")
        rows += self.draw(adult_age)
        if respondent:
            rows += self.respondent(respondent, sensitive)
        rows.append(Row("end_group", "interview"))
        left_out = [code for code in self.groups() if self.delicate(code)]
        return Form(rows, self.asked, added, self.in_person, sensitive, self.untranslated, left_out)

    @staticmethod
    def draw(adult_age: int) -> list[Row]:
        """End of the roster, and the draw: each adult gets a number at random once, and the least is interviewed.

        The number ends with the place in the roster, so that no two are equal and the place can be read from it.
        """
        drawn = f"once(int(random() * 1000000) * {MOST_MEMBERS} + position(..))"
        return [
            Row("calculate", "draw", calculation=drawn),
            Row("calculate", "adult", calculation=f"if(${{age}} >= {adult_age}, 1, 0)"),
            Row("calculate", "adult_draw", calculation=f"if(${{adult}} = 1, ${{draw}}, {NOBODY})"),
            Row("calculate", "is_respondent", calculation="if(${adult} = 1 and ${draw} = ${least_draw}, 'yes', 'no')"),
            Row("end_repeat", "roster"),
            Row("calculate", "eligible_adults", calculation="if(sum(${adult}) > 0, sum(${adult}), '')"),
            Row("calculate", "least_draw", calculation="min(${adult_draw})"),
            Row("calculate", "respondent_number", calculation=f"${{least_draw}} mod {MOST_MEMBERS}"),
        ]

    def respondent(self, names: list[str], sensitive: set[str]) -> list[Row]:
        """The questions of the adult who was drawn; what was said of him or her in the roster is fetched for skips."""
        rows = [
            self.row("begin_group", "respondent", relevant="${eligible_adults} > 0"),
            self.row("note", "respondent_called"),
        ]
        skips = [parse(text).variables for name in names if (text := self.mappings.variables[name].asked_if)]
        for name in _ordered(set().union(*skips), self.mappings):
            if self.mappings.variables[name].unit == "person":
                fetched = f"indexed-repeat(${{{name}}}, ${{roster}}, ${{respondent_number}})"
                rows.append(Row("calculate", f"respondent_{name}", calculation=fetched))
        if sensitive & set(names):
            rows.append(self.yes_no("privacy_respondent"))
        return [*rows, *self.questions(names, sensitive, "privacy_respondent"), Row("end_group", "respondent")]

    def questions(self, names: Iterable[str], sensitive: set[str], privacy: str) -> list[Row]:
        return [self.question(name, privacy if name in sensitive else "") for name in names]

    def question(self, name: str, privacy: str) -> Row:
        """A question of the bank."""
        question = self.mappings.variables[name]
        offered = name not in ALWAYS_ANSWERED and takes_no_answer(question)
        self.asked[name] = offered
        codes = {code: self.code_labels(name, code, text) for code, text in self.codes(name).items()}
        if codes and offered:
            codes |= self.words(*NO_ANSWER)
        conditions = [f"${{{privacy}}} = 'yes'"] if privacy else []
        if question.asked_if:
            conditions.append(relevant(question.asked_if, functools.partial(self.find, question)))
        kinds = {"code": "select_one", "codes": "select_multiple", "text": "text", "number": "integer"}
        kind = "decimal" if question.type == "number" and "hours" in str(question.measure) else kinds[question.type]
        return Row(
            "select_one" if codes and kind == "text" else kind,
            name,
            self.translated(name, question.question) if question.question else self.prompt(name),
            self.prompt(hint) if (hint := self.hint(name, question, offered=offered)) else {},
            " and ".join(conditions),
            _constraint(question, codes, offered=offered),
            required=name in ALWAYS_ANSWERED,
            codes=codes,
        )

    def hint(self, name: str, question: Variable, *, offered: bool) -> str:
        if question.type == "number" and offered:
            return "number_missing"
        return "ask_in_person" if name in self.in_person else ""

    def find(self, asking: Variable, name: str) -> tuple[Variable, str]:
        """A question that a skip names, and how the asking question refers to it."""
        found = self.mappings.variables[name]
        fetched = asking.unit == "respondent" and found.unit == "person"
        return found, f"${{respondent_{name}}}" if fetched else f"${{{name}}}"

    def codes(self, name: str) -> dict[str, str]:
        """Code -> label: of the variable, of the areas and the groups of the country."""
        if name == "admin1":
            countries = [self.mappings.countries[self.iso3]] if self.iso3 else self.mappings.countries.values()
            return {code: label for country in countries for code, label in country.admin1.items()}
        codes = self.mappings.codes(name)
        if self.mappings.variables[name].codes_from == "groups":
            groups = self.groups()
            return {
                code: text
                for code, text in codes.items()
                if code == "none" or (code in groups and not self.delicate(code))
            }
        return codes

    def groups(self) -> list[str]:
        """The groups that are spoken of in the country."""
        groups = self.mappings.groups.items()
        return [
            code for code, group in groups if not (self.iso3 and group.countries and self.iso3 not in group.countries)
        ]

    def delicate(self, code: str) -> bool:
        """A group of persons that nobody should have to name in front of the household."""
        group = self.mappings.groups[code]
        return group.sensitive and group.unit == "person"

    def row(self, kind: str, name: str, *, relevant: str = "", repeat_count: str = "") -> Row:
        """A row of the form's own."""
        return Row(kind, name, self.prompt(name), relevant=relevant, repeat_count=repeat_count)

    def yes_no(self, name: str) -> Row:
        """A question of the form's own."""
        return Row("select_one", name, self.prompt(name), required=True, codes=self.words("yes", "no"))

    def words(self, *codes: str) -> dict[str, Labels]:
        return {code: self.prompt(code) for code in codes}

    def prompt(self, name: str) -> Labels:
        """A text of the form itself."""
        return self.translated(f"form text {name}", {"en": PROMPTS[name]})

    def code_labels(self, name: str, code: str, text: str) -> Labels:
        if name == "admin1":  # names of places are not translated
            return dict.fromkeys(self.languages, text)
        labels = self.mappings.variables[name].code_labels
        known = {language: texts[code] for language, texts in labels.items() if code in texts}
        return self.translated(f"{name}: {code}", {"en": text} | known)

    def translated(self, what: str, texts: Labels) -> Labels:
        """The text in every language of the form; English where there is none, which is noted."""
        for language in self.untranslated:
            if language not in texts and what not in self.untranslated[language]:
                self.untranslated[language].append(what)
        return {language: texts.get(language, texts["en"]) for language in self.languages}


def _constraint(question: Variable, codes: dict[str, Labels], *, offered: bool) -> str:
    """Limits of a number; in a question with several answers, none and the missing answers stand alone."""
    if question.type == "codes":
        alone = [code for code in ("none", *NO_ANSWER) if code in codes]
        return " and ".join(f"not(selected(., '{code}') and count-selected(.) > 1)" for code in alone)
    if question.type != "number":
        return ""
    limits = ((".", ">=", question.minimum), (".", "<=", question.maximum))
    inside = " and ".join(f"{dot} {sign} {limit:g}" for dot, sign, limit in limits if limit is not None)
    outside = [f". = {sentinel}" for sentinel in NO_ANSWER.values()] if offered else []
    return " or ".join([f"({inside})", *outside] if inside else [])
