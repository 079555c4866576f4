"""A form that is built asks what its indicators need, and its export gives their numbers without work by hand."""

from __future__ import annotations

import datetime
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pyxform.xls2xform import convert  # type: ignore[import-untyped]  # it has no types

from lnob_pipeline import tables
from lnob_pipeline.forms import instrument, questions, xlsform
from lnob_pipeline.forms.xpath import relevant
from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.lint import lint
from lnob_pipeline.mappings.load import MappingError, Mappings, load_mappings
from lnob_pipeline.mappings.models import Variable
from lnob_pipeline_tests.command import lnob
from lnob_pipeline_tests.conftest import ROOT
from lnob_pipeline_tests.forms import by_hand, filled_in
from lnob_pipeline_tests.real_files.hand_in import Run, manifest, run

LIBRARY = load_mappings(ROOT / "indicator_mappings")
TIER_A = [code for code, indicator in LIBRARY.indicators.items() if indicator.availability == "A"]
COUNTRY = "NPL"
"""The one country with national weights for 1.2.2, so that every indicator can be computed."""
NAME = "form-all-2019-v1"
HOUSEHOLDS = 120
PROTOCOL = "WHO, Putting women first (2001)"
SIGNATURE = instrument.Signature("the authors of the test", datetime.date(2026, 11, 23))
WEIGHTS = {"household_weight": (50, 400), "welfare_aggregate": (500, 9000), "national_poverty_line": (3000, 3000)}


def built(indicators: list[str], languages: tuple[str, ...] = ("en",)) -> questions.Form:
    return questions.build(indicators, languages, LIBRARY, COUNTRY)


def xml(form: questions.Form, languages: tuple[str, ...], tmp_path: Path) -> str:
    """The XForm that pyxform, the reference compiler, makes of it; it raises on every error of the form."""
    path = tmp_path / "form.xlsx"
    path.write_bytes(xlsform.workbook(form, "form", languages))
    converted = convert(path)
    assert not [text for text in converted.warnings or [] if "google" not in text.lower()], converted.warnings
    return converted.xform


@pytest.mark.parametrize("indicator", TIER_A)
def test_each_indicator_alone_makes_a_form_that_the_reference_compiler_takes(indicator: str, tmp_path: Path) -> None:
    form = built([indicator])
    assert "<h:html" in xml(form, ("en",), tmp_path)
    needed: set[str] = set()
    for item in LIBRARY.indicators[indicator].computed.values():
        assert item.measure
        needed |= measures.questions(item.measure, LIBRARY)
    assert needed <= {*form.asked, *form.added, *questions.BY_FORM}


def test_the_languages_stand_side_by_side_and_english_fills_in(tmp_path: Path) -> None:
    form = questions.build(["1.4.1"], ["sw", "en"], LIBRARY, "KEN")
    text = xml(form, ("sw", "en"), tmp_path)
    assert 'lang="Swahili (sw)"' in text and 'lang="English (en)"' in text
    row = next(row for row in form.rows if row.name == "household_size")
    assert row.labels["sw"] != row.labels["en"]
    difficulty = next(row for row in form.rows if row.name == "difficulty_seeing")
    assert difficulty.labels["sw"] == difficulty.labels["en"]
    assert "difficulty_seeing" in form.untranslated["sw"] and "household_size" not in form.untranslated["sw"]


def test_nothing_in_the_form_says_who_somebody_is() -> None:
    form = built(TIER_A)
    kinds = {row.type.split()[0] for row in form.rows}
    assert not kinds & {
        "geopoint",
        "geotrace",
        "geoshape",
        "image",
        "audio",
        "video",
        "phonenumber",
        "deviceid",
        "username",
    }
    assert {row.name for row in form.rows if row.type == "text"} == {"stratum", "cluster"}
    assert form.rows[1].name == "consent"
    groups = next(row for row in form.rows if row.name == "marginalised_groups").codes
    assert "dalit" in groups and not {"people_living_with_hiv", "sex_workers", "lgbtiq", "transgender_hijra"} & set(
        groups
    )


@pytest.mark.parametrize(
    "condition, xpath",
    [
        ("age >= 5", "(${age} >= 0 and ${age} >= 5)"),
        ("age < 5", "(${age} >= 0 and ${age} < 5)"),
        ("sex = 'female'", "${sex} = 'female'"),
        ("NOT sex = 'female'", "(${sex} != '' and ${sex} != 'dont_know' and ${sex} != 'refused' "
         "and ${sex} != 'female')"),
        ("NOT (sex = 'male' AND age < 5)", "((${sex} != '' and ${sex} != 'dont_know' and ${sex} != 'refused' "
         "and ${sex} != 'male') or (${age} >= 0 and ${age} >= 5))"),
        ("sex IN ('male', 'other')", "(${sex} = 'male' or ${sex} = 'other')"),
        ("age BETWEEN 15 AND 49", "((${age} >= 0 and ${age} >= 15) and (${age} >= 0 and ${age} <= 49))"),
        ("5 <= age", "(${age} >= 0 and ${age} >= 5)"),
    ],
)  # fmt: skip
def test_a_skip_holds_where_it_is_known_to_hold(condition: str, xpath: str) -> None:
    def find(name: str) -> tuple[Variable, str]:
        return LIBRARY.variables[name], f"${{{name}}}"

    assert relevant(condition, find) == xpath


def test_several_answers_are_guarded_too() -> None:
    def find(name: str) -> tuple[Variable, str]:
        return LIBRARY.variables[name], "${x}"

    assert relevant("NOT selected(marginalised_groups, 'none')", find) == (
        "(${x} != '' and not(selected(${x}, 'dont_know')) and not(selected(${x}, 'refused'))"
        " and not(selected(${x}, 'none')))"
    )


def build_by_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return lnob("form", "build", *arguments, folder=ROOT, settings={"LNOB_HOME": str(ROOT)})


def test_sensitive_questions_need_a_protocol(tmp_path: Path) -> None:
    done = build_by_command("--indicators", "5.2.1", "--out", str(tmp_path / "a"))
    assert done.returncode == 2
    assert "partner_punched" in done.stderr and "--special-protocol" in done.stderr
    assert not (tmp_path / "a").exists()
    done = build_by_command("--indicators", "5.2.1", "--out", str(tmp_path / "b"), "--special-protocol", PROTOCOL)
    assert done.returncode == 0, done.stderr
    fields = yaml.safe_load((tmp_path / "b" / "form-5-2-1.yaml").read_text("utf-8"))
    assert fields["special_protocol"] == PROTOCOL
    asked = [row for row in built(["5.2.1"]).rows if row.name.startswith("partner_")]
    assert asked and all("${privacy_respondent} = 'yes'" in row.relevant for row in asked)


def test_the_command_writes_form_instrument_and_manifest_and_only_a_signature_makes_lint_take_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "indicator_mappings"
    shutil.copytree(ROOT / "indicator_mappings", folder)
    arguments = (
        "--indicators",
        "16.9.1,7.1.1",
        "--languages",
        "hi,en",
        "--name",
        "form-ind-2026-v1",
        "--country",
        "IND",
    )
    unsigned = build_by_command(*arguments, "--out", str(tmp_path / "unsigned"))
    assert unsigned.returncode == 0 and "is to be signed" in unsigned.stdout, unsigned.stderr
    shutil.copy(tmp_path / "unsigned" / "form-ind-2026-v1.yaml", folder / "instruments")
    with pytest.raises(MappingError, match="form-ind-2026-v1"):
        load_mappings(folder)
    signed = build_by_command(*arguments, "--out", str(tmp_path / "signed"), "--reviewed-by", "the secretariat")
    assert signed.returncode == 0, signed.stderr
    shutil.copy(tmp_path / "signed" / "form-ind-2026-v1.yaml", folder / "instruments")
    assert [line for line in lint(load_mappings(folder)) if "inventory" not in line] == []
    fields = yaml.safe_load((tmp_path / "signed" / "submission.yaml").read_text("utf-8"))
    assert fields["instrument"] == "form-ind-2026-v1" and fields["consent"]["column"] == "consent"
    assert {path.name for path in (tmp_path / "signed").iterdir()} == {
        "submission.yaml", "form-ind-2026-v1.yaml", "form-ind-2026-v1-form.xlsx"
    }  # fmt: skip
    again = build_by_command(*arguments, "--out", str(tmp_path / "signed"))
    assert again.returncode == 2 and "is there already" in again.stderr


@dataclass(frozen=True)
class Survey:
    """The round trip: what the households answered, and what the pipeline made of the export."""

    run: Run
    rows: dict[str, list[by_hand.Row]]
    estimates: pl.DataFrame


def random_answers(
    sheet: filled_in.Sheet, form: questions.Form, draw: random.Random
) -> tuple[list[filled_in.Interview], dict[str, list[str]], dict[str, list[str]]]:
    interviews = [sheet.fill(draw) for _ in range(HOUSEHOLDS)]
    for number, interview in enumerate(interviews):
        if interview.main["consent"] == "yes":
            interview.main |= {"stratum": f"S{number % 4}", "cluster": f"S{number % 4}-{number % 40}"}
    extra: dict[str, dict[str, list[str]]] = {"household": {}, "person": {}}
    n = {"household": HOUSEHOLDS, "person": sum(len(each.members) for each in interviews)}
    for name in form.added:
        variable = LIBRARY.variables[name]
        unit = "household" if variable.unit == "household" else "person"
        low, high = WEIGHTS.get(name, (variable.minimum or 0, variable.maximum or 0))
        codes = list(LIBRARY.codes(name))
        extra[unit][name] = [draw.choice(codes) if codes else f"{draw.uniform(low, high):.2f}" for _ in range(n[unit])]
    return interviews, extra["household"], extra["person"]


def facts(answers: dict[str, str], mappings: Mappings) -> tuple[dict[str, by_hand.Value], dict[str, str]]:
    """The answers of a sheet as values: codes as they stand, numbers, and the kind where a number is missing."""
    values: dict[str, by_hand.Value] = {}
    kinds: dict[str, str] = {}
    for name, text in answers.items():
        if name not in mappings.variables:
            continue
        if mappings.variables[name].type != "number":
            values[name] = text or "not_asked"
        elif text in filled_in.SENTINELS or not text:
            kinds[name] = {"-88": "dont_know", "-99": "refused", "": "not_asked"}[text]
        else:
            values[name] = float(text)
    return values, kinds


def all_rows(
    interviews: list[filled_in.Interview],
    main: dict[str, list[str]],
    person: dict[str, list[str]],
    form: questions.Form,
) -> dict[str, list[by_hand.Row]]:
    households: list[by_hand.Row] = []
    persons: list[by_hand.Row] = []
    parameters = LIBRARY.parameters_of(COUNTRY)
    place = 0
    blank: dict[str, dict[str, str]] = {"person": {}, "other": {}}
    for name in (*form.asked, *form.added):
        blank["person" if LIBRARY.variables[name].unit == "person" else "other"][name] = ""
    for number, interview in enumerate(interviews):
        added = {name: cells[number] for name, cells in main.items()}
        values, kinds = facts(blank["other"] | interview.main | added, LIBRARY)
        household = by_hand.Row(LIBRARY, parameters, values, kinds)
        of_respondent = {name for name in {*values, *kinds} if LIBRARY.variables[name].unit == "respondent"}
        for member in interview.members:
            added = {name: cells[place] for name, cells in person.items()}
            place += 1
            own, own_kinds = facts(blank["person"] | member | added, LIBRARY)
            if own["is_respondent"] == "yes":
                own |= {name: values[name] for name in of_respondent & set(values)}
                own_kinds |= {name: kinds[name] for name in of_respondent & set(kinds)}
            household.members.append(by_hand.Row(LIBRARY, parameters, own, own_kinds, household))
        if interview.main["consent"] == "yes":
            households.append(household)
            persons += household.members
    return {"household": households, "person": persons, "respondent": persons}


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    """One form with every indicator of tier A, filled in, exported and handed in."""
    home = tmp_path_factory.mktemp("round_trip")
    form = built(TIER_A, ("en", "ne"))
    workbook = xlsform.workbook(form, NAME, ("en", "ne"))
    sheet = filled_in.Sheet.read(workbook)
    interviews, main, person = random_answers(sheet, form, random.Random(20190304))
    folder = home / "indicator_mappings"
    shutil.copytree(ROOT / "indicator_mappings", folder)
    mapping = instrument.text(
        form, NAME, NAME, ("en", "ne"), LIBRARY, special_protocol=PROTOCOL, signature=SIGNATURE
    )  # fmt: skip
    (folder / "instruments" / f"{NAME}.yaml").write_text(mapping, "utf-8")
    assert [line for line in lint(load_mappings(folder)) if "inventory" not in line] == []
    fields: dict[str, Any] = manifest(
        submission="npl-2019-round-trip",
        country=COUNTRY,
        title="Round trip",
        organisation="Authors of the test",
        synthetic=True,
        instrument=NAME,
        collection={"start": "2019-03-01", "end": "2019-03-31"},
        geography={"level": "national", "admin1": [], "description": "Nepal"},
        population="Members of private households",
        sampling={"method": "probability", "frame": "made up", "stages": 2, "strata": "stratum", "cluster": "cluster",
                  "weight": "household_weight", "respondent_selection": "drawn by the form"},
        sample_size={"planned": HOUSEHOLDS, "achieved": HOUSEHOLDS},
        engagement=dict.fromkeys(("need", "design", "collection", "processing", "analysis", "dissemination", "use"), 5),
        consent={"obtained": "per_row", "column": "consent", "affirmative": ["yes"]},
        ethics={"body": "none", "approval_number": "none", "approval_date": "2019-01-01", "minors_interviewed": True,
                "guardian_consent": True, "special_protocol": True, "one_per_hh": True, "privacy_obtained": True,
                "referral_list": True, "interviewer_trained": True},
        files=[{"path": "answers.xlsx", "role": "data", "format": "kobo_xlsx"},
               {"path": "form.xlsx", "role": "form", "format": "xlsform"}],
    )  # fmt: skip
    files = {"answers.xlsx": filled_in.export(sheet, interviews, main, person), "form.xlsx": workbook}
    made = run(home / "home", fields, files, folder, accepts=("special_protocol", "ethics"))
    yield Survey(made, all_rows(interviews, main, person, form), made.table(tables.CITIZEN_ESTIMATES))


@pytest.mark.thorough
def test_every_household_with_consent_is_taken_and_no_answer_is_strange(survey: Survey) -> None:
    agreed = len(survey.rows["household"])
    assert 0 < agreed < HOUSEHOLDS
    expected = {"n_rows": HOUSEHOLDS, "n_accepted": agreed, "n_quarantined": 0, "n_refused": HOUSEHOLDS - agreed}
    assert survey.run.numbers == expected
    assert survey.run.table(tables.QUARANTINE).height == HOUSEHOLDS - agreed  # the refusals, without their answers
    assert survey.run.steps["harmonisation"].numbers["unmapped_answers"] == 0
    assert survey.run.persons.height == len(survey.rows["person"])


@pytest.mark.parametrize("indicator", TIER_A)
def test_the_estimates_are_those_of_the_answers(indicator: str, survey: Survey) -> None:
    computed = LIBRARY.indicators[indicator].computed
    found = survey.estimates.filter(pl.col("stratum") == "_T")
    for code, item in computed.items():
        assert item.measure
        rows = found.filter(pl.col("series") == code)
        expected = by_hand.figure(survey.rows[item.measure.unit], item.measure, COUNTRY)
        assert rows.height == 1, f"{code}: {rows.height} estimates"
        row = rows.row(0, named=True)
        assert row["n"] == expected.n > 0, code
        if expected.n_numerator is not None:
            assert row["n_numerator"] == expected.n_numerator, code
        if expected.share is not None:
            assert row["estimate"] == pytest.approx(100 * expected.share, abs=1e-6), code
