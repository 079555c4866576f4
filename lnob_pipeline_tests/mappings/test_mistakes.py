"""Mistakes of a person, one by one, in a copy of the library: lint must name the file and say what is wrong.

A value is changed where it stands in the file. Mistakes that stand apart are made together and seen by one lint; each
has its own test. Slips by rule, in every measure, are in test_slips.py.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lnob_pipeline_tests.mappings.conftest import findings

Step = str | int | tuple[str, str]
Change = Callable[[Any], Any]
GONE = object()

WATER = "indicators/1/1.4.1.yaml"
BIRTHS = "indicators/16/16.9.1.yaml"
UNIONS = "indicators/5/5.3.1.yaml"
PHONES = "indicators/5/5.b.1.yaml"
FUEL = "indicators/7/7.1.2.yaml"
NEET = "indicators/8/8.6.1.yaml"
KENYA = "instruments/ken-household-2019-v1.yaml"


@pytest.fixture(scope="module")
def copied(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the library for all mistakes: each is made, seen and taken back."""
    folder = tmp_path_factory.mktemp("library") / "indicator_mappings"
    return Path(shutil.copytree(root / "indicator_mappings", folder))


@pytest.fixture
def folder(copied: Path) -> Iterator[Path]:
    with taken_back(copied):
        yield copied


@contextmanager
def taken_back(copied: Path) -> Iterator[None]:
    """Whatever happens to the copy inside is undone after it."""
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    yield
    for path in copied.rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def change(folder: Path, file: str, path: tuple[Step, ...], new: Any) -> None:
    """Set a value, where a path of keys, places and (key, value) of an item in a list leads; GONE removes it."""
    content = yaml.safe_load((folder / file).read_text("utf-8"))
    part = content
    for step in path[:-1]:
        part = _at(part, step)
    last = path[-1]
    if new is GONE:
        del part[last]
    else:
        old = part.get(last) if isinstance(part, dict) else part[last]
        part[last] = new(old) if callable(new) else new
        assert part[last] != old, f"{file}: the mistake changes nothing"
    (folder / file).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def _at(part: Any, step: Step) -> Any:
    if isinstance(step, tuple):
        return next(item for item in part if item[step[0]] == step[1])
    return part[step]


def swap(old: str, new: str) -> Change:
    def swapped(text: str) -> str:
        assert old in text, f"{old!r} is not in {text!r}"
        return text.replace(old, new)

    return swapped


def measure(code: str, *path: Step) -> tuple[Step, ...]:
    return ("series", ("code", code), "measure", *path)


def share(code: str, key: str) -> tuple[Step, ...]:
    return measure(code, "shares", 0, key)


def column(name: str, key: str, record: str = "household") -> tuple[Step, ...]:
    return ("records", record, "columns", name, key)


# (mistake, file, where, what is put there, who must be named in the finding, what it must say)
Mistake = tuple[str, str, tuple[Step, ...], Any, str, str]

IN_MEASURES: list[Mistake] = [
    (
        "polarity swapped",
        PHONES,
        share("IT_MOB_OWN", "numerator"),
        "owns_mobile_phone = 'no'",
        "examples/5/5.b.1",
        "expected in",
    ),
    (
        "code left out of a numerator",
        BIRTHS,
        share("SG_REG_BRTH", "numerator"),
        swap(", 'registered_no_certificate'", ""),
        "examples/16/16.9.1",
        "expected in",
    ),
    (
        "code too many in a numerator",
        FUEL,
        share("EG_EGY_CLEAN", "numerator"),
        swap("'lpg'", "'lpg', 'charcoal'"),
        "examples/7/7.1.2",
        "charcoal",
    ),
    (
        "universe one year too wide",
        BIRTHS,
        share("SG_REG_BRTH", "universe"),
        "age <= 5",
        "examples/16/16.9.1",
        "left_out",
    ),
    ("universe of everybody", NEET, share("SL_TLF_NEET", "universe"), "TRUE", "examples/8/8.6.1", "left_out"),
    (
        "universe of the other sex",
        UNIONS,
        share("SP_DYN_MRBF18", "universe"),
        swap("female", "male"),
        "examples/5/5.3.1",
        "in",
    ),
    (
        "universe that rules out a category",
        PHONES,
        share("IT_MOB_OWN", "universe"),
        "age >= 15 AND age < 60",
        PHONES,
        "the universe has nobody of age 60+",
    ),
    (
        "universe that cuts a category",
        PHONES,
        share("IT_MOB_OWN", "universe"),
        "age >= 18",
        PHONES,
        "the universe cuts age 15-24",
    ),
    (
        "unknown answer out of the denominator",
        BIRTHS,
        share("SG_REG_BRTH", "missing"),
        lambda old: old | {"dont_know": "exclude"},
        "examples/16/16.9.1",
        "expected out",
    ),
    (
        "unknown answer kept in the denominator",
        PHONES,
        share("IT_MOB_OWN", "missing"),
        lambda old: old | {"dont_know": "not_in_numerator"},
        "examples/5/5.b.1",
        "expected left_out",
    ),
    (
        "missing rule left out",
        BIRTHS,
        share("SG_REG_BRTH", "missing"),
        lambda old: {kind: rule for kind, rule in old.items() if kind != "refused"},
        BIRTHS,
        "say what happens to refused",
    ),
    (
        "unmapped answers counted as no",
        BIRTHS,
        share("SG_REG_BRTH", "missing"),
        lambda old: old | {"unmapped": "not_in_numerator"},
        BIRTHS,
        "cannot count as not in the numerator",
    ),
    (
        "who was not asked counted as no",
        BIRTHS,
        share("SG_REG_BRTH", "missing"),
        lambda old: old | {"not_asked": "not_in_numerator"},
        BIRTHS,
        "who was not asked is unknown",
    ),
    (
        "missing rule that can never apply",
        FUEL,
        share("EG_EGY_CLEAN", "missing"),
        lambda old: old | {"dont_know": "not_in_numerator"},
        FUEL,
        "stands in the universe too",
    ),
    (
        "households counted, not members",
        WATER,
        measure("SP_ACS_BSRVH2O", "weight"),
        "household",
        WATER,
        "counts persons",
    ),
    (
        "weight of another unit",
        BIRTHS,
        measure("SG_REG_BRTH", "weight"),
        "household_size",
        BIRTHS,
        "cannot be weighted",
    ),
    (
        "counts against the title",
        WATER,
        measure("SP_ACS_BSRVH2O", "counts"),
        "households",
        WATER,
        "the title counts persons",
    ),
    (
        "title that names nobody",
        WATER,
        ("series", ("code", "SP_ACS_BSRVH2O"), "title"),
        "Use of basic drinking water services",
        WATER,
        "does not say whom it counts",
    ),
    (
        "respondents in place of the roster",
        BIRTHS,
        ("series", ("code", "SG_REG_BRTH"), "measure"),
        lambda old: old | {"unit": "respondent", "weight": "respondent"},
        BIRTHS,
        "no variable is answered by the respondent",
    ),
    (
        "roster in place of the respondent",
        PHONES,
        ("series", ("code", "IT_MOB_OWN"), "measure"),
        lambda old: old | {"unit": "person", "weight": "person"},
        PHONES,
        "owns_mobile_phone is a variable of the respondent, and this is about a person",
    ),
    (
        "persons in place of households",
        WATER,
        ("series", ("code", "SP_ACS_BSRVH2O"), "measure"),
        lambda old: old | {"unit": "person", "weight": "person"},
        WATER,
        "every variable is of the household",
    ),
    (
        "variable of another unit",
        WATER,
        share("SP_ACS_BSRVH2O", "universe"),
        "age >= 15",
        WATER,
        "age is a variable of the person",
    ),
    ("variable misspelt", BIRTHS, share("SG_REG_BRTH", "universe"), "years < 5", BIRTHS, "years is no variable"),
    ("code misspelt", FUEL, share("EG_EGY_CLEAN", "numerator"), swap("'lpg'", "'lpgas'"), FUEL, "no code 'lpgas'"),
    ("number against a code", BIRTHS, share("SG_REG_BRTH", "universe"), "age < 'five'", BIRTHS, "age is a number"),
    (
        "code against a number",
        BIRTHS,
        share("SG_REG_BRTH", "numerator"),
        "birth_registration = 1",
        BIRTHS,
        "is no number",
    ),
    (
        "several answers compared as one",
        "indicators/10/10.3.1.yaml",
        share("VC_VOV_GDSD", "numerator"),
        "discrimination_grounds_12_months <> 'none'",
        "indicators/10/10.3.1",
        "write selected(",
    ),
    (
        "one answer searched as several",
        FUEL,
        share("EG_EGY_CLEAN", "numerator"),
        "selected(cooking_fuel, 'lpg')",
        FUEL,
        "one code",
    ),
    (
        "missing code named in a numerator",
        BIRTHS,
        share("SG_REG_BRTH", "numerator"),
        "birth_registration <> 'dont_know'",
        BIRTHS,
        "counts as unknown here",
    ),
    ("numerator without a variable", BIRTHS, share("SG_REG_BRTH", "numerator"), "TRUE", BIRTHS, "names no variable"),
    ("numerator that is the universe", BIRTHS, share("SG_REG_BRTH", "numerator"), "age < 5", BIRTHS, "would be 100 %"),
    ("universe that is a number", BIRTHS, share("SG_REG_BRTH", "universe"), "age - 5", BIRTHS, "must give a condition"),
    ("function", BIRTHS, share("SG_REG_BRTH", "universe"), "getenv('HOME') = sex", BIRTHS, "calls the function getenv"),
    (
        "unit that is no percentage",
        WATER,
        ("series", ("code", "SP_ACS_BSRVH2O"), "unit"),
        "HOURS",
        WATER,
        "its unit is PERCENT",
    ),
    (
        "parameter that nobody declares",
        BIRTHS,
        share("SG_REG_BRTH", "universe"),
        "age < age_of_majority",
        BIRTHS,
        "no parameter of countries.yaml",
    ),
]

IN_INDICATORS: list[Mistake] = [
    (
        "threshold beside the items of a scale",
        "indicators/2/2.1.2.yaml",
        measure("AG_PRD_FIESMS", "rasch", "threshold"),
        -0.5,
        "indicators/2/2.1.2",
        "severity of none of the items",
    ),
    ("stale definition", WATER, ("definition", "version"), "2015-01", WATER, "read the newer sheet and code it"),
    (
        "days of the definition swapped",
        WATER,
        ("definition",),
        lambda old: old | {"valid_from": "2020-10-01", "valid_to": "2019-01-01"},
        WATER,
        "the days are swapped",
    ),
    (
        "definition that had ended",
        WATER,
        ("definition",),
        lambda old: old | {"version": "2021-03", "valid_to": "2021-06-30", "read": "2026-11-23"},
        WATER,
        "ended on 2021-06-30",
    ),
    ("sheet of another indicator", WATER, ("definition", "sheet"), "6-1-1", WATER, "the sheet of 1.4.1 is 1-4-1"),
    ("version that is none", WATER, ("definition", "version"), "last autumn", WATER, "definition.version"),
    ("no official version", WATER, ("official_definition_versions",), [], WATER, "say which versions"),
    ("evidence only, and computed", WATER, ("availability",), "D", WATER, "D is evidence alone"),
    ("served by a survey, and evidence only", PHONES, ("availability",), "D", PHONES, "a survey cannot serve it"),
    (
        "adapted without a reason",
        FUEL,
        ("series", ("code", "EG_EGY_CLEAN"), "match"),
        "adapted",
        FUEL,
        "says why (adapted_because)",
    ),
    ("score card as a share", WATER, ("served_by", "score_card"), "A", WATER, "never becomes a share"),
    (
        "computed, and served by no survey",
        WATER,
        ("served_by",),
        {"policy_review": "E"},
        WATER,
        "it would never be estimated",
    ),
    (
        "breakdown that does not exist",
        WATER,
        ("breakdowns", "required"),
        lambda old: [*old, "tenure"],
        WATER,
        "say in not_carried why",
    ),
    (
        "breakdown both carried and not",
        WATER,
        ("breakdowns", "not_carried"),
        {"sex": "not asked"},
        WATER,
        "sex is a breakdown",
    ),
    (
        "category outside the universe not named",
        PHONES,
        ("breakdowns", "outside_universe"),
        {},
        PHONES,
        "the universe has nobody of age 0-4",
    ),
    (
        "category inside the universe called outside",
        PHONES,
        ("breakdowns", "outside_universe", "age"),
        lambda old: [*old, "25-59"],
        PHONES,
        "age 25-59 is wholly in the universe",
    ),
    (
        "series of another indicator",
        FUEL,
        ("series", ("code", "EG_EGY_CLEAN"), "code"),
        "SP_ACS_BSRVH2O",
        FUEL,
        "stands in 1.4.1 already",
    ),
    ("series twice", WATER, ("series",), lambda old: [*old, old[0]], WATER, "a code has one place"),
    (
        "sensitivity taken off",
        "indicators/5/5.2.1.yaml",
        ("sensitive",),
        GONE,
        "indicators/5/5.2.1",
        "say sensitive: true",
    ),
    (
        "indicator in the place of another",
        WATER,
        ("indicator",),
        "1.4.9",
        WATER,
        "belongs into indicators/1/1.4.9.yaml",
    ),
    ("goal that does not exist", WATER, ("indicator",), "1.4", WATER, ": indicator: String should match"),
]

IN_THE_BANK: list[Mistake] = [
    (
        "thirty minutes no longer basic",
        "variables/water.yaml",
        ("derived", "drinking_water_service", "expression"),
        swap("drinking_water_minutes <= 30", "drinking_water_minutes < 30"),
        "examples/1/1.4.1",
        "expected in",
    ),
    (
        "thirty-one minutes basic",
        "variables/water.yaml",
        ("derived", "drinking_water_service", "expression"),
        swap("drinking_water_minutes <= 30", "drinking_water_minutes <= 31"),
        "examples/1/1.4.1",
        "expected out",
    ),
    (
        "ladder step misspelt",
        "variables/water.yaml",
        ("derived", "drinking_water_service", "expression"),
        swap("THEN 'limited'", "THEN 'limitted'"),
        "variables/water",
        "can become limitted",
    ),
    (
        "ladder step never reached",
        "variables/water.yaml",
        ("derived", "drinking_water_service", "codes"),
        lambda old: old | {"safely_managed": "On the premises, free of contamination"},
        "variables/water",
        "can never become safely_managed",
    ),
    (
        "refusal turned into a no",
        "variables/phone_finance.yaml",
        ("derived", "owns_mobile_phone", "expression"),
        "CASE WHEN mobile_device = 'yes' AND mobile_sim_active = 'yes' THEN 'yes' ELSE 'no' END",
        "variables/phone_finance",
        "owns_mobile_phone becomes no of",
    ),
    (
        "circle",
        "variables/phone_finance.yaml",
        ("derived", "owns_mobile_phone", "expression"),
        swap("mobile_device = 'no'", "owns_mobile_phone = 'no'"),
        "variables/phone_finance",
        "owns_mobile_phone rests on itself",
    ),
    (
        "household that looks at one person",
        "variables/water.yaml",
        ("derived", "drinking_water_service", "expression"),
        swap("drinking_water_minutes <= 30", "age <= 30"),
        "variables/water",
        "make a variable of the household with members",
    ),
    (
        "code of a question gone",
        "variables/energy.yaml",
        ("variables", "cooking_fuel", "codes", "lpg"),
        GONE,
        FUEL,
        "cooking_fuel has no code 'lpg'",
    ),
    (
        "question called something else",
        "variables/energy.yaml",
        ("variables",),
        lambda old: {("main_fuel" if name == "cooking_fuel" else name): value for name, value in old.items()},
        "retired.yaml",
        "variable:cooking_fuel has gone",
    ),
    (
        "limits that let a sentinel in",
        "variables/person.yaml",
        ("variables", "age", "maximum"),
        1000,
        KENYA,
        "998 is said to mean dont_know, and could be an answer",
    ),
    (
        "limits swapped",
        "variables/person.yaml",
        ("variables", "age", "minimum"),
        111,
        "variables/person",
        "above the maximum",
    ),
    (
        "wording in a language of no country",
        "variables/energy.yaml",
        ("variables", "cooking_fuel", "question"),
        {"pt": "Qual?"},
        "variables/energy",
        "pt is a language of no country",
    ),
    (
        "language that is no tag",
        "variables/energy.yaml",
        ("variables", "cooking_fuel", "question"),
        {"swahili": "Je?"},
        "variables/energy",
        "swahili is no language tag",
    ),
    (
        "answer without a label",
        "variables/energy.yaml",
        ("variables", "cooking_fuel"),
        lambda old: old | {"question": {"sw": "Je?"}, "code_labels": {"sw": {"lpg": "Gesi"}}},
        "variables/energy",
        "labels in sw are absent for",
    ),
    (
        "asked under a condition that does not exist",
        "variables/water.yaml",
        ("variables", "drinking_water_minutes", "asked_if"),
        "water_source = 'borehole'",
        "variables/water",
        "water_source is no variable",
    ),
    (
        "asked if itself",
        "variables/water.yaml",
        ("variables", "drinking_water_minutes", "asked_if"),
        "drinking_water_minutes > 5",
        "variables/water",
        "cannot decide whether it is asked itself",
    ),
    (
        "category of nobody",
        "breakdowns.yaml",
        ("breakdowns", "sex", "categories", "F", "when"),
        "sex = 'woman'",
        "breakdowns.yaml",
        "sex has no code 'woman'",
    ),
    (
        "parameter of a country that nobody declares",
        "countries.yaml",
        ("countries", "KEN", "parameters"),
        {"voting_age": 18},
        "countries.yaml",
        "voting_age is not declared",
    ),
    (
        "applicability of a series that does not exist",
        "applicability.yaml",
        ("series",),
        lambda old: old | {"SP_ACS_NONE": {"source": "none"}},
        "applicability.yaml",
        "SP_ACS_NONE is a series of no indicator file",
    ),
    (
        "retired and never in use",
        "retired.yaml",
        ("retired",),
        {"variable:agee": "today"},
        "retired.yaml",
        "was never in use",
    ),
    (
        "retired and in use",
        "retired.yaml",
        ("retired",),
        {"variable:age": "today"},
        "retired.yaml",
        "is retired and in use",
    ),
    (
        "sensitive question called harmless",
        "variables/violence_against_women.yaml",
        ("variables", "partner_pushed", "sensitive"),
        GONE,
        "",
        "partner_pushed is not: say sensitive: true",
    ),
]

IN_INSTRUMENTS: list[Mistake] = [
    (
        "yes and no turned round",
        KENYA,
        ("records", "household", "columns", "toilet_shared"),
        lambda old: old | {"positive": old["negative"], "negative": old["positive"]},
        KENYA,
        "no means yes here: swap positive and negative",
    ),
    (
        "polarity not said",
        KENYA,
        column("toilet_shared", "positive"),
        GONE,
        KENYA,
        "say which source codes are positive",
    ),
    (
        "yes/no mapped by codes",
        KENYA,
        column("toilet_shared", "codes"),
        {"maybe": "yes"},
        KENYA,
        "use positive and negative, not codes",
    ),
    (
        "code with two meanings",
        KENYA,
        column("water_source", "missing"),
        {"dont_know": ["96"]},
        KENYA,
        "means two things",
    ),
    (
        "code that the variable does not have",
        KENYA,
        column("water_source", "codes"),
        lambda old: old | {"21": "bore_hole"},
        KENYA,
        "has no code bore_hole",
    ),
    (
        "choice left out",
        KENYA,
        (),
        lambda old: _with_choices(old, {"11": ["Piped"], "12": ["Yard"], "97": ["Well of a neighbour"]}),
        KENYA,
        "97 of the list sources is neither mapped nor declared missing",
    ),
    (
        "code of no choice",
        KENYA,
        (),
        lambda old: _with_choices(old, {"11": ["Piped"]}),
        KENYA,
        "is not in the list sources",
    ),
    (
        "label of two choices",
        KENYA,
        (),
        lambda old: _with_choices(old, {"11": ["Piped"], "12": ["Piped"]}),
        KENYA,
        "Piped stands for two codes of the list",
    ),
    (
        "list that is not there",
        KENYA,
        column("water_source", "choices"),
        "sauces",
        KENYA,
        "sauces is no list under choices",
    ),
    (
        "alias of two questions",
        KENYA,
        ("records", "household", "columns"),
        lambda old: old | {name: old[name] | {"aliases": ["Where?"]} for name in ("water_source", "water_place")},
        KENYA,
        "each header means one thing",
    ),
    (
        "alias that is another column",
        KENYA,
        column("water_source", "aliases"),
        ["toilet"],
        KENYA,
        "the alias 'toilet' is a column already",
    ),
    (
        "sentinel inside the limits",
        KENYA,
        column("age", "missing", "person"),
        {"dont_know": ["98"]},
        KENYA,
        "98 is said to mean dont_know, and could be an answer",
    ),
    (
        "sentinel inside the limits after conversion",
        KENYA,
        ("records", "household", "columns", "water_minutes"),
        lambda old: old | {"multiply": 0.1},
        KENYA,
        "998 is said to mean dont_know, and could be an answer",
    ),
    (
        "number with codes",
        KENYA,
        column("age", "codes", "person"),
        {"old": "80"},
        KENYA,
        "is a number and has no codes",
    ),
    (
        "two columns for one question",
        KENYA,
        column("water_place", "variable"),
        "drinking_water_source",
        KENYA,
        "is answered by water_source already",
    ),
    (
        "derived variable asked",
        KENYA,
        column("cluster_id", "variable"),
        "drinking_water_service",
        KENYA,
        "is derived and cannot be asked",
    ),
    ("column mapped and excluded", KENYA, column("county", "exclude"), "technical", KENYA, "a column has one of"),
    ("column left out without a reason", KENYA, column("assets", "reason"), GONE, KENYA, "says why"),
    (
        "excluded column with codes",
        KENYA,
        column("assets", "codes"),
        {"1": "radio"},
        KENYA,
        "the column is left out; its codes say nothing",
    ),
    (
        "group that does not exist",
        KENYA,
        column("groups", "codes"),
        lambda old: old | {"refugee": "refugee"},
        KENYA,
        "has no code refugee",
    ),
    ("several answers read as one", KENYA, column("groups", "select"), "one", KENYA, "takes several answers"),
    (
        "area that does not exist",
        KENYA,
        column("county", "codes"),
        {"1": "KE-99"},
        KENYA,
        "KE-99 is no first-level area",
    ),
    (
        "consent question not there",
        KENYA,
        ("consent", "column"),
        "agrees",
        KENYA,
        "agrees is not a column of the record",
    ),
    ("key not listed", KENYA, ("records", "household", "key"), "id", KENYA, "id is not listed among the columns"),
    (
        "sensitive question without a protocol",
        KENYA,
        ("records", "household", "columns"),
        lambda old: old | {"beaten": {"variable": "partner_pushed", "positive": ["yes"], "negative": ["no"]}},
        KENYA,
        "partner_pushed is sensitive: name the guideline",
    ),
    (
        "protocol without a sensitive question",
        KENYA,
        ("special_protocol",),
        "WHO 2016",
        KENYA,
        "no special protocol is needed",
    ),
    (
        "statement about an indicator that does not exist",
        "instruments/mwi-health-score-card-2020-v1.yaml",
        ("statements", "H1", "indicator"),
        "16.6.9",
        "instruments/mwi-health",
        "16.6.9 is no indicator",
    ),
]

IN_KNOWN_ANSWERS: list[Mistake] = [
    (
        "no row for a code",
        "examples/16/16.9.1.yaml",
        ("rows",),
        lambda old: old[:3],
        "examples/16/16.9.1",
        "show at least 4",
    ),
    (
        "outcome that no row shows",
        "examples/16/16.9.1.yaml",
        ("rows",),
        lambda old: [row for row in old if row["expect"]["SG_REG_BRTH"] != "in"],
        "examples/16/16.9.1",
        "no row shows in",
    ),
    (
        "series of another indicator",
        "examples/16/16.9.1.yaml",
        ("rows", 0, "expect"),
        {"SP_ACS_BSRVH2O": "in"},
        "examples/16/16.9.1",
        "is not computed by 16.9.1",
    ),
    (
        "derived variable given",
        "examples/1/1.4.1.yaml",
        ("rows", 0, "given"),
        {"drinking_water_service": "at_least_basic"},
        "examples/1/1.4.1",
        "give the questions behind it",
    ),
    (
        "code that does not exist",
        "examples/16/16.9.1.yaml",
        ("rows", 0, "given"),
        {"birth_registration": "registered"},
        "examples/16/16.9.1",
        "has no code registered",
    ),
    (
        "answer beyond the limits",
        "examples/16/16.9.1.yaml",
        ("rows", 0, "given"),
        {"age": 150},
        "examples/16/16.9.1",
        "outside 0",
    ),
    (
        "word that is no outcome",
        "examples/16/16.9.1.yaml",
        ("rows", 0, "expect"),
        {"SG_REG_BRTH": "yes"},
        "examples/16/16.9.1",
        "rows.0.expect",
    ),
    (
        "the same reason twice",
        "examples/16/16.9.1.yaml",
        ("rows",),
        lambda old: [old[0], *old],
        "examples/16/16.9.1",
        "another row has the same reason",
    ),
    (
        "file of another indicator",
        "examples/16/16.9.1.yaml",
        ("indicator",),
        "16.9.2",
        "examples/16/16.9.1",
        "the file is of 16.9.1",
    ),
]


def _with_choices(instrument: Any, choices: dict[str, list[str]]) -> Any:
    columns = instrument["records"]["household"]["columns"]
    columns["water_source"]["choices"] = "sources"
    return instrument | {"choices": {"sources": choices}}


MISTAKES = [*IN_MEASURES, *IN_INDICATORS, *IN_THE_BANK, *IN_INSTRUMENTS, *IN_KNOWN_ANSWERS]


def test_the_library_is_clean(root: Path) -> None:
    assert findings(root / "indicator_mappings") == []


# Loading ends with these, and the rules never run.
STOPS_LOADING = {
    "weight of another unit",
    "version that is none",
    "adapted without a reason",
    "goal that does not exist",
    "column mapped and excluded",
    "column left out without a reason",
}
# These are felt in files all over the library.
ALONE = {
    "series of another indicator",
    "indicator in the place of another",
    "code of a question gone",
    "question called something else",
    "limits that let a sentinel in",
    "limits swapped",
    "sensitive question called harmless",
}


def apart(one: Mistake, other: Mistake) -> bool:
    """Two mistakes may be made together: in different parts, and the finding of one is never that of the other."""
    if {one[0], other[0]} & ALONE or (one[0] in STOPS_LOADING) != (other[0] in STOPS_LOADING):
        return False
    shorter, longer = sorted((one[2][:4], other[2][:4]), key=len)
    same_part = one[1] == other[1] and longer[: len(shorter)] == shorter
    same_place = one[4].startswith(other[4]) or other[4].startswith(one[4])
    same_words = one[5] in other[5] or other[5] in one[5]
    return not same_part and not (same_place and same_words)


def batches(mistakes: Sequence[Mistake]) -> list[list[int]]:
    """The mistakes by number, each in the first batch where it stands apart from all others."""
    every: list[list[int]] = []
    for number, mistake in enumerate(mistakes):
        for batch in every:
            if all(apart(mistake, mistakes[other]) for other in batch):
                batch.append(number)
                break
        else:
            every.append([number])
    return every


BATCHES = batches(MISTAKES)


def findings_of(copied: Path, numbers: Sequence[int]) -> list[str]:
    """What lint says when these mistakes are made, each in the same copy."""
    with taken_back(copied):
        for number in numbers:
            _, file, path, new, _, _ = MISTAKES[number]
            if path:
                change(copied, file, path, new)
            else:
                content = yaml.safe_load((copied / file).read_text("utf-8"))
                (copied / file).write_text(yaml.safe_dump(new(content), sort_keys=False, allow_unicode=True), "utf-8")
        return findings(copied)


@pytest.fixture(scope="module")
def seen() -> dict[int, list[str]]:
    """The findings of each batch that was linted already, by its first mistake."""
    return {}


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: MISTAKES[number][0].replace(" ", "-"))
def test_a_mistake_is_noticed_where_it_is(copied: Path, seen: dict[int, list[str]], number: int) -> None:
    *_, where, says = MISTAKES[number]

    def noticed(found: list[str]) -> bool:
        return any(line.startswith(where) and says in line for line in found)

    batch = next(batch for batch in BATCHES if number in batch)
    if batch[0] not in seen:
        seen[batch[0]] = findings_of(copied, batch)
    if not noticed(seen[batch[0]]):
        # Another mistake of the batch may hide it: alone it must be seen.
        found = findings_of(copied, [number])
        assert noticed(found), found


def edit(folder: Path, file: str, old: str, new: str) -> int:
    """Change the text of a file; the line where it was changed."""
    text = (folder / file).read_text("utf-8")
    assert old in text, f"{file} has changed: {old!r} is not there"
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("groups.yaml", "groups:", "groups: [", "not YAML as it is meant"),
        ("groups.yaml", "groups:", "groups:\n  dalit: {label: Dalit}", "dalit stands here twice"),
        ("groups.yaml", "sensitive: false}", "sensitive: false, note: x}", "no such word here"),
        ("groups.yaml", "sensitive: false}", "sensitive: sometimes}", "valid boolean"),
        (KENYA, 'positive: ["yes"]', "positive: [yes]", "YAML reads True as no text; put it in quotes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    folder: Path, file: str, old: str, new: str, says: str
) -> None:
    edit(folder, file, old, new)
    assert any(line.startswith(f"{file}:") and says in line for line in findings(folder)), findings(folder)


def test_the_line_of_a_finding_is_the_line_in_the_file(folder: Path) -> None:
    line = edit(folder, FUEL, "'electricity', 'lpg'", "'electricity', 'lpgas'")
    assert any(found.startswith(f"{FUEL}:{line}:") for found in findings(folder))


def test_one_thing_declared_in_two_files_is_found(folder: Path) -> None:
    (folder / "variables" / "zz.yaml").write_bytes((folder / "variables" / "energy.yaml").read_bytes())
    (folder / "indicators" / "16" / "copy.yaml").write_bytes((folder / WATER).read_bytes())
    found = findings(folder)
    assert any("variable cooking_fuel stands in variables/energy.yaml already" in line for line in found), found
    assert any("indicator 1.4.1 stands in indicators/1/1.4.1.yaml already" in line for line in found), found


def test_an_indicator_without_known_answers_is_found(folder: Path) -> None:
    (folder / "examples" / "16" / "16.9.1.yaml").unlink()
    (line,) = findings(folder)
    assert line.startswith("examples/16/16.9.1.yaml:1: is missing")


def test_known_answers_of_nothing_are_found(folder: Path) -> None:
    (folder / "examples" / "16" / "16.9.1.yaml").rename(folder / "examples" / "16" / "16.9.9.yaml")
    assert any("belongs to no indicator that computes something" in line for line in findings(folder))


def test_an_id_that_goes_is_retired_or_found(folder: Path) -> None:
    (folder / FUEL).unlink()
    edit(folder, "groups.yaml", "  homeless: {", "  homeless_people: {")
    gone = ("indicator:7.1.2", "group:homeless")
    found = findings(folder)
    for identifier in gone:
        assert any(f"{identifier} has gone" in line for line in found), identifier
    reasons = dict.fromkeys(gone, "2026-11-23, no longer asked")
    change(folder, "retired.yaml", ("retired",), lambda old: old | reasons)
    found = findings(folder)
    for identifier in gone:
        assert not any(f"{identifier} has gone" in line for line in found), identifier
