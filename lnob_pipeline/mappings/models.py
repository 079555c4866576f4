"""The mapping languages as typed models: what a file under indicator_mappings/ may say.

Here belong the shapes and the rules that one file can be checked against alone. Reading the files is in load.py, rules
across files are in lint.py, the expression language is in expressions.py. The words follow DDI (variable, instrument,
universe) and SDMX (series, dimension, code).
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MISSING_KINDS = ("dont_know", "refused", "not_asked", "unmapped")
"""Codes that every coded variable may take beside its own; for a number they stand in `<variable>_missing`."""

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
VariableUnit = Literal["household", "person", "respondent"]
UnitCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
"""A unit in the words of the official data: PERCENT, HOURS, PER_1000_POP."""
MissingKind = Literal["dont_know", "refused", "not_asked", "unmapped"]
MissingRule = Literal["exclude", "not_in_numerator"]


class Model(BaseModel):
    """A strict, frozen model: an unknown key in a file is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(Model):
    """One harmonised question. `type` code: one code; codes: several; number; text; date.

    `question` is what to ask, by language (BCP 47), for forms that are built from the bank and for matching forms that
    were not; `asked_if` is the condition under which it is asked at all. A sensitive variable is kept only where a
    special protocol was in force. A quasi-identifier is what others can see or know of a person: several together can
    tell who it is.
    """

    label: str
    unit: VariableUnit
    type: Literal["code", "codes", "number", "text", "date"]
    codes: dict[str, str] = {}
    codes_from: Literal["groups"] | None = None
    measure: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    question: dict[str, str] = {}
    code_labels: dict[str, dict[str, str]] = {}
    asked_if: str | None = None
    sensitive: bool = False
    quasi_identifier: bool = False
    source: str

    @model_validator(mode="after")
    def _type_and_codes_agree(self) -> Variable:
        if (self.type in ("code", "codes")) != bool(self.codes or self.codes_from):
            raise ValueError("a variable of type code or codes lists its codes, and no other does")
        if self.type == "number" and self.measure is None:
            raise ValueError("a number says its measure (minutes, persons, years ...)")
        if reserved := set(self.codes) & set(MISSING_KINDS):
            raise ValueError(f"{sorted(reserved)} are kept for missing answers")
        return self


class DerivedVariable(Model):
    """A variable computed from others by an expression: a code or a number.

    A form that lacks one of the questions cannot give the variable, except for those named `optional`: without them the
    expression still classifies everybody. Derived variables may rest on each other, never in a circle.

    `members` makes a variable of the household from its persons: the expression is then a condition over variables of
    persons, and the codes are yes and no. `any`: yes where it holds for a member, no where it is known not to hold for
    every member, else unknown; `all`: the other way round; a household without a roster has no such variable.
    """

    label: str
    unit: VariableUnit
    type: Literal["code", "number"]
    codes: dict[str, str] = {}
    measure: str | None = None
    expression: str
    members: Literal["any", "all"] | None = None
    optional: list[str] = []
    quasi_identifier: bool = False
    source: str

    @model_validator(mode="after")
    def _type_and_codes_agree(self) -> DerivedVariable:
        if (self.type == "code") != bool(self.codes):
            raise ValueError("a derived variable of type code lists its codes, a number does not")
        if self.type == "number" and self.measure is None:
            raise ValueError("a number says its measure (minutes, persons, years ...)")
        if self.members and (self.unit != "household" or set(self.codes) != {"yes", "no"}):
            raise ValueError("members makes a yes/no variable of the household from its persons")
        return self


class VariableFile(Model):
    """One file of the question bank, one topic."""

    topic: Identifier
    title: str
    variables: dict[Identifier, Variable]
    derived: dict[Identifier, DerivedVariable] = {}


class OfficialCode(Model):
    """Where the official code list has a place for a group."""

    dimension: str
    code: str


class Group(Model):
    """A marginalised group. A sensitive group is never shown below the first administrative level.

    `unit` is who belongs to it; `countries` is where the group is spoken of (everywhere if empty).
    """

    label: str
    unit: Literal["household", "person"]
    countries: list[str] = []
    official: OfficialCode | None
    sensitive: bool


class GroupFile(Model):
    """The groups of the partnership."""

    groups: dict[Identifier, Group]


class Parameter(Model):
    """A number that differs between countries (entry age of primary school), usable in expressions by its name."""

    label: str
    unit: str
    source: str


class Country(Model):
    """A country of the partnership; `parameters` holds a number for each parameter that is known for it.

    `admin1` are the first-level areas that hand-ins have named so far, `admin1_count` is how many the country has.
    """

    m49: Annotated[str, Field(pattern=r"^\d{3}$")]
    name: str
    languages: list[str]
    calendar: Literal["gregorian", "bikram_sambat"]
    phone: str
    admin1: dict[str, str]
    admin1_count: Annotated[int, Field(ge=1)] | None = None
    parameters: dict[Identifier, float] = {}


class CountryFile(Model):
    """The countries of the partnership by ISO 3166-1 alpha-3 code, and the parameters that expressions may name."""

    parameters: dict[Identifier, Parameter] = {}
    countries: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Country]


class Category(Model):
    """One category of a breakdown; `official` holds the UN SDG API codes that mean the same."""

    label: str
    when: str
    official: list[str] = []
    sdmx: str | None = None


class Breakdown(Model):
    """A dimension of the strata."""

    label: str
    unit: VariableUnit
    official_dimension: str | None
    sdmx_dimension: str | None
    categories: dict[str, Category] = {}
    categories_from: Literal["groups"] | None = None


class BreakdownFile(Model):
    """All breakdowns, in the order of the columns of the tables."""

    breakdowns: dict[Identifier, Breakdown]


class Share(Model):
    """A proportion: `numerator` among the rows where `universe` is known to hold.

    A missing answer is unknown in both. `missing` says for each kind of missing answer of the numerator's variables
    whether a row that it leaves undecided leaves the denominator or stays in it as not in the numerator.
    """

    universe: str
    numerator: str
    missing: dict[MissingKind, MissingRule]


class Quantity(Model):
    """A number (`value`, an expression) over the rows where `universe` holds; a missing answer leaves the row out."""

    universe: str
    value: str


class DeprivationItem(Model):
    """One item of a count-based score: who is deprived in it."""

    label: str
    deprived: str


class NationalCutoff(Model):
    """The weights of the items and the cut-off by which a country counts, as it published them."""

    weights: dict[Identifier, Annotated[float, Field(gt=0)]]
    cutoff: Annotated[float, Field(gt=0, le=1)]
    source: str

    @model_validator(mode="after")
    def _weights_add_up(self) -> NationalCutoff:
        if abs(sum(self.weights.values()) - 1) > 1e-6:
            raise ValueError(f"the weights add up to {sum(self.weights.values()):.6f}, not to 1")
        return self


class Score(Model):
    """A count of weighted deprivations (Alkire and Foster 2011): poor is who reaches the national cut-off.

    `give` headcount: the share of the poor; intensity: the mean score of the poor; adjusted_headcount: their product.
    A country without national weights has no such estimate. A row with an unknown item is left out.
    """

    universe: str
    items: dict[Identifier, DeprivationItem]
    national: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], NationalCutoff]
    give: Literal["headcount", "intensity", "adjusted_headcount"]

    @model_validator(mode="after")
    def _items_exist(self) -> Score:
        for iso3, national in self.national.items():
            if strange := set(national.weights) - set(self.items):
                raise ValueError(f"{iso3} weighs {', '.join(sorted(strange))}, which is no item")
        return self


class RaschScale(Model):
    """Probability to lie above a threshold of a global scale, by the Rasch model (FAO, FIES).

    `items`: yes/no variable -> severity of the item on the global scale (mean 0, standard deviation 1 over the items);
    `threshold`: severity on the same scale.
    """

    universe: str
    items: Annotated[dict[Identifier, float], Field(min_length=3)]
    threshold: float


STATISTICS = {
    "proportion": "shares",
    "mean_of_shares": "shares",
    "composite": "shares",
    "mean": "mean",
    "ratio": "ratio",
    "score": "score",
    "rasch": "rasch",
}
"""Statistic -> the part of the measure that describes it."""


class RatioOf(Model):
    """Sum of one quantity over the sum of another, times `per` (births per 1,000 women)."""

    numerator: Quantity
    denominator: Quantity
    per: Literal[1, 100, 1000] = 1


class Measure(Model):
    """How a series is computed from variables.

    unit: household (each household counts household_weight x weight_by), person (household weight) or respondent
    (household weight x eligible adults). statistic: proportion (one share), mean_of_shares (several, each with its own
    denominator), composite (several conditions that must all hold; a row with one unknown is left out), mean, ratio,
    score (count-based), rasch (a scale by the Rasch model). `counts` says whom the series counts where its title does
    not (households or persons); with the title it guards the weight.
    """

    unit: VariableUnit
    weight: Literal["household", "household_size", "person", "respondent"]
    statistic: Literal["proportion", "mean_of_shares", "composite", "mean", "ratio", "score", "rasch"]
    shares: list[Share] = []
    mean: Quantity | None = None
    ratio: RatioOf | None = None
    score: Score | None = None
    rasch: RaschScale | None = None
    counts: Literal["households", "persons"] | None = None
    self_report: bool = False

    @model_validator(mode="after")
    def _weight_fits_unit(self) -> Measure:
        allowed = {"household": {"household", "household_size"}, "person": {"person"}, "respondent": {"respondent"}}
        if self.weight not in allowed[self.unit]:
            raise ValueError(f"a measure of unit {self.unit} cannot be weighted by {self.weight}")
        return self

    @model_validator(mode="after")
    def _statistic_is_described(self) -> Measure:
        given = {name for name in set(STATISTICS.values()) if getattr(self, name)}
        if given != {STATISTICS[self.statistic]}:
            raise ValueError(f"a {self.statistic} is described by {STATISTICS[self.statistic]} and nothing else")
        if self.statistic == "proportion" and len(self.shares) != 1:
            raise ValueError("a proportion has one share; several make a mean_of_shares or a composite")
        if self.statistic in ("mean_of_shares", "composite") and len(self.shares) < 2:
            raise ValueError(f"a {self.statistic} has several shares; one makes a proportion")
        if self.statistic == "composite" and len({share.universe for share in self.shares}) > 1:
            raise ValueError("the shares of a composite have one universe")
        return self


class Series(Model):
    """An official series of the indicator: the slice that stands for the whole, and the measure that matches it.

    Without a measure nothing is computed for it: citizen data can give evidence, or a component beside it.
    """

    code: Annotated[str, Field(pattern=r"^[A-Z0-9_]+$")]
    title: str
    unit: UnitCode
    headline: dict[str, str] = {}
    match: Literal["exact", "adapted", "proxy"] | None = None
    adapted_because: str | None = None
    not_computed_because: str | None = None
    measure: Measure | None = None

    @model_validator(mode="after")
    def _adapted_says_why(self) -> Series:
        if (self.match in ("adapted", "proxy")) != bool(self.adapted_because):
            raise ValueError("a measure that is adapted or a proxy says why (adapted_because), an exact one does not")
        if (self.measure is None) != bool(self.not_computed_because) or (self.measure is None) != (self.match is None):
            raise ValueError("a series has a measure and its match, or says why it is not computed")
        return self


class Component(Model):
    """A part or a proxy of the indicator, published under its own code and never as the official series.

    `because` says what it lacks to be the series.
    """

    code: Annotated[str, Field(pattern=r"^LNOB_[A-Z0-9_]+$")]
    title: str
    unit: UnitCode
    because: str
    measure: Measure


class Breakdowns(Model):
    """`required` by the title or the metadata of the indicator, `lnob` by the pledge; `crossings` required together.

    `outside_universe` names the categories that the universe rules out (no men in 5.3.1), so that nobody misses them.
    `not_carried` names what the metadata ask for and the project has no breakdown for (type of tenure), and why.
    """

    required: list[str]
    lnob: list[str]
    crossings: list[list[str]] = []
    outside_universe: dict[str, list[str]] = {}
    not_carried: dict[str, str] = {}


class Definition(Model):
    """The definition that was coded: its version, the days between which it is in force, and the sheet it stands in.

    `version` is compared with the versions that the official series follows: where they differ nothing stands on one
    line. `valid_from` and `valid_to` are as far as they are known.
    """

    version: Annotated[str, Field(pattern=r"^\d{4}(-\d{2})?$")]
    valid_from: datetime.date | None = None
    valid_to: datetime.date | None = None
    sheet: str
    read: datetime.date | None = None


class Indicator(Model):
    """One SDG indicator: what it means, how citizen data can compute it, who may serve it.

    `availability` is how a partner's survey can serve it: A with the questions of the bank, B with a demanding module
    or design, C a component or proxy only, D evidence only.
    """

    indicator: Annotated[str, Field(pattern=r"^\d{1,2}\.[0-9a-z]{1,2}\.\d{1,2}[a-z]?$")]
    title: str
    definition: Definition
    official_definition_versions: list[str]
    availability: Literal["A", "B", "C", "D"]
    series: Annotated[list[Series], Field(min_length=1)]
    components: list[Component] = []
    reference_period: str
    breakdowns: Breakdowns
    sensitive: bool = False
    served_by: dict[
        Literal["household_survey", "score_card", "focus_group", "interview", "policy_review"],
        Literal["A", "C", "D", "E"],
    ]
    source: str

    @property
    def goal(self) -> str:
        """The goal, as text."""
        return self.indicator.split(".")[0]

    @property
    def definition_version(self) -> str:
        """The version of the definition that was coded."""
        return self.definition.version

    @property
    def computed(self) -> dict[str, Series | Component]:
        """Code -> what is computed from variables: series with a measure, then components."""
        items: list[Series | Component] = [*self.series, *self.components]
        return {item.code: item for item in items if item.measure is not None}


class Column(Model):
    """How one source column answers a variable, or why it is left out.

    `codes` maps what is in the file to the codes of the variable. `positive` names the source codes that mean yes where
    the variable is a yes/no one: polarity is said, never assumed. `missing` lists the source codes for each missing
    kind. `multiply` turns the source's measure into the variable's. `select` multiple: codes joined by `separator`.
    `aliases` are other headers of the same question: renamed in another form version, its label in any language.
    `choices` names a list of the instrument: a cell that holds a label of the list is read as its code.
    `reason` says why a column is not used, or why yes and no stand the other way round. `adapted_because` says how the
    question differs from the variable (one way, not a round trip): what rests on it compares in class C.
    `role` is for evidence (score cards, discussions, interviews, reviews): what part of a statement the column holds.
    """

    variable: str | None = None
    role: (
        Literal["statement", "group", "score", "answer", "document", "participants", "kind", "admin1", "source"] | None
    ) = None
    exclude: (
        Literal["identifier", "free_text", "technical", "option_column", "note", "consent", "not_used", "paradata"]
        | None
    ) = None
    reason: str | None = None
    aliases: list[str] = []
    choices: str | None = None
    codes: dict[str, str] = {}
    positive: list[str] = []
    negative: list[str] = []
    missing: dict[Literal["dont_know", "refused", "not_asked"], list[str]] = {}
    multiply: float = 1.0
    select: Literal["one", "multiple"] = "one"
    separator: str = " "
    reported_by: Literal["self", "proxy", "head"] = "self"
    adapted_because: str | None = None

    @property
    def joined_by(self) -> str:
        """What stands between several answers of one cell in the table `responses`.

        It is the separator of the file, unless a code holds that itself: then the first of these that no code holds.
        """
        codes = [
            *self.codes,
            *self.positive,
            *self.negative,
            *(code for kind in self.missing.values() for code in kind),
        ]
        free = (mark for mark in (self.separator, " ", ",", ";", "|") if not any(mark in code for code in codes))
        return next(free, "\x1f")

    @model_validator(mode="after")
    def _mapped_or_excluded(self) -> Column:
        if [self.variable, self.role, self.exclude].count(None) != 2:
            raise ValueError("a column has one of: variable (a question), role (a part of evidence), exclude (why not)")
        if self.exclude == "not_used" and not self.reason:
            raise ValueError("a column that is not used says why (reason)")
        return self


class Record(Model):
    """One table of the source: a sheet, a repeat, a file in a zip. `key` identifies its rows inside the file."""

    table: str
    unit: Literal["household", "person", "score", "participant", "excerpt", "answer", "group", "action"]
    key: str | None = None
    identity: str | None = None
    parent: str | None = None
    parent_key: str | None = None
    columns: dict[str, Column]


class Consent(Model):
    """The consent question: rows without an affirmative code are counted and their answers kept nowhere."""

    record: str
    column: str
    affirmative: list[str]


class Statement(Model):
    """One thing that was scored, coded or asked, and the indicator that it speaks to.

    A statement is evidence of class D or E: it never becomes a share of a population.
    """

    indicator: str
    code: Identifier
    label: str


class Scale(Model):
    """The scale of a score card."""

    minimum: float
    maximum: float
    better: Literal["high", "low"]


class Review(Model):
    """Who read the mapping, when, against what."""

    by: str
    date: datetime.date
    source: str


class Instrument(Model):
    """One questionnaire: how it says the variables.

    `versions` are the form versions that it covers (all, if empty); `choices` are its lists: code -> labels in any
    language. `special_protocol` names the guideline under which the form asks sensitive questions.
    """

    instrument: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    version: str
    data_type: Literal["household_survey", "score_card", "focus_group", "interview", "policy_review"]
    languages: list[str]
    versions: list[str] = []
    choices: dict[str, dict[str, list[str]]] = {}
    calendar_columns: dict[str, Literal["bikram_sambat_possible"]] = {}
    special_protocol: str | None = None
    consent: Consent | None = None
    records: dict[Identifier, Record]
    statements: dict[str, Statement] = {}
    scale: Scale | None = None
    reviewed: Review

    @model_validator(mode="after")
    def _parents_exist(self) -> Instrument:
        for name, record in self.records.items():
            if record.parent is not None and record.parent not in self.records:
                raise ValueError(f"record {name}: parent {record.parent} is not a record of this instrument")
        if self.consent and self.consent.record not in self.records:
            raise ValueError(f"consent.record {self.consent.record} is not a record of this instrument")
        return self


class NotApplicable(Model):
    """Indicators, targets, goals (`14`, `14.7`, `14.7.1`) or series that do not apply to some countries, and why.

    `countries` are named one by one. `areas` are conditions on the groups of framework/areas.csv that have to hold
    together (`landlocked`, `not donor`): such a rule speaks of kinds of countries, and one that has figures of the
    series all the same is taken at its word.
    """

    indicators: Annotated[list[str], Field(min_length=1)]
    countries: list[str] = []
    areas: list[Annotated[str, Field(pattern=r"^(not )?[a-z_]+$")]] = []
    because: str
    reviewed: Review

    @model_validator(mode="after")
    def _says_where(self) -> NotApplicable:
        if bool(self.countries) == bool(self.areas):
            raise ValueError("a rule names countries, or the areas it is about, and not both")
        return self


class SeriesScope(Model):
    """What an official series has a place for.

    `admits` lists, for the dimensions that the content constraints restrict, the API codes beside the total; a
    dimension that is not named admits every code. `expected_period_years` is the usual distance between two figures.
    """

    admits: dict[str, list[str]] = {}
    expected_period_years: Annotated[int, Field(ge=1)] | None = None
    source: str


class ApplicabilityFile(Model):
    """Where an official series can say something at all."""

    not_applicable: list[NotApplicable] = []
    series: dict[str, SeriesScope] = {}


class RetiredFile(Model):
    """Ids that were in use once: nothing disappears silently."""

    retired: dict[str, str]


class LawDemands(Model):
    """What a law asks of those who handle these data, in words, as far as it is known."""

    guardians: str
    localisation: str
    retention: str
    registration: str


class Law(Model):
    """The law on personal data of a country.

    `in_force` is the day on which the duties that concern the pipeline began; null where that day is not known or lies
    ahead. `guardian_consent_below_age` is in completed years. `uncertain` says what was not found or is disputed.
    `confirmed_by_lawyer` is true on a lawyer's word only.
    """

    law: str
    reference: str
    in_force: datetime.date | None
    status: Literal["in_force", "in_part", "not_yet_in_force", "uncertain"]
    guardian_consent_below_age: Annotated[int, Field(ge=1, le=25)] | None
    demands: LawDemands
    uncertain: list[str] = []
    source: str
    checked: datetime.date
    confirmed_by_lawyer: bool

    @model_validator(mode="after")
    def _what_is_not_known_is_said(self) -> Law:
        if self.guardian_consent_below_age is None and not self.uncertain:
            raise ValueError("a law without the age of guardians says why (uncertain)")
        if (self.in_force is None) != (self.status in ("not_yet_in_force", "uncertain")):
            raise ValueError("a law that is in force, or in part, says since when, and no other does")
        return self


class LawFile(Model):
    """The laws on personal data by ISO 3166-1 alpha-3 code."""

    laws: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], Law]


FitnessCheck = Literal[
    "citizen_engagement", "indicators_served", "consent", "ethics", "identifiers_absent", "agreement", "methodology",
    "self_identification", "disaggregation", "missing_answers", "precision", "accuracy", "coherence", "coverage_claim",
    "comparability", "timeliness", "metadata", "accessibility", "qualitative_rigour", "score_card_validity",
]  # fmt: skip
"""Checks that the program knows (validation/fitness.py)."""


class Criterion(Model):
    """A question of the scorecard on the fitness of a hand-in for official use.

    `principle` is the principle of the United Nations National Quality Assurance Framework. kind gate: a condition that
    is met or not; score: a value with its measure; human: only a person can answer. `check` names the check of the
    program that looks at it; what a person answers has none. `applies_to` lists data types (all, if empty).
    """

    question: str
    principle: Annotated[int, Field(ge=1, le=19)]
    dimension: str
    kind: Literal["gate", "score", "human"]
    check: FitnessCheck | None = None
    applies_to: list[Literal["household_survey", "score_card", "focus_group", "interview", "policy_review"]] = []
    source: str

    @model_validator(mode="after")
    def _a_person_or_a_check(self) -> Criterion:
        if (self.kind == "human") != (self.check is None):
            raise ValueError("a gate or a score names its check, and what a person answers has none")
        return self


class FitnessFile(Model):
    """The criteria of the scorecard, in its order."""

    criteria: Annotated[dict[Identifier, Criterion], Field(min_length=1)]
