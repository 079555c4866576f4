"""A draft that decides nothing, and a trial that counts what a mapping makes of a hand-in."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lnob_pipeline.cli import NOT_ACCEPTED, app
from lnob_pipeline.drafting.draft import TO_DECIDE, draft
from lnob_pipeline.drafting.match import CUTOFF, Matcher, read_synonyms
from lnob_pipeline.drafting.questions import Question, read_questions
from lnob_pipeline.drafting.trial import Trial, read_instrument, trial
from lnob_pipeline.mappings.lint import lint
from lnob_pipeline.mappings.load import MappingError, Mappings, load_mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import parse_manifest
from lnob_pipeline.validation.answers import UNMAPPED

ROOT = Path(__file__).parents[2]
HAND_IN = ROOT / "data" / "submissions" / "ken" / "ken-2019-household-survey"
INSTRUMENT = "ken-household-2019-v1"


@pytest.fixture(scope="module")
def matcher(mappings: Mappings) -> Matcher:
    return Matcher(mappings, read_synonyms(mappings.folder))


@pytest.fixture(scope="module")
def text(matcher: Matcher) -> str:
    """The draft from the form of the bundled survey."""
    return draft(read_questions(HAND_IN / "form.xlsx"), matcher, CUTOFF, Path("form.xlsx"))


@pytest.fixture
def folder(mappings: Mappings, tmp_path: Path) -> Path:
    """A copy of the mappings, for a draft to be put in."""
    return shutil.copytree(mappings.folder, tmp_path / "mappings")


def test_a_draft_cannot_be_loaded_and_each_open_decision_has_its_line(text: str, folder: Path) -> None:
    (folder / "instruments" / "form.yaml").write_text(text, "utf-8")
    with pytest.raises(MappingError) as error:
        load_mappings(folder)
    lines = text.splitlines()
    undecided = [number for number, line in enumerate(lines, start=1) if re.match(r"^ +\S+: \{\} ", line)]
    said = [int(problem.split(":")[1]) for problem in error.value.problems]
    assert undecided
    assert set(undecided) <= set(said)
    for key in ("version", "languages", "reviewed"):
        assert any(lines[number - 1].startswith(f"{key}:") for number in said), key
    assert any("affirmative" in problem for problem in error.value.problems)
    assert all(TO_DECIDE in lines[number - 1] for number in said)


def test_what_is_filled_in_without_polarity_and_codes_is_still_refused(text: str, folder: Path) -> None:
    filled = re.sub(r": \{\}  # TO DECIDE.*", ': {exclude: not_used, reason: "no variable"}', text)
    filled = filled.replace("\nversion:", '\nversion: "1"').replace("\nlanguages:", "\nlanguages: [en]")
    filled = filled.replace("affirmative: }", 'affirmative: ["1"]}')
    filled = filled.replace("\nreviewed:", "\nreviewed: {by: a, date: 2026-11-23, source: b}")
    (folder / "instruments" / "form.yaml").write_text(filled, "utf-8")
    findings = [finding for finding in lint(load_mappings(folder)) if finding.startswith("instruments/form.yaml")]
    assert any("which source codes are positive and negative" in finding for finding in findings)
    assert any("parent_key" in finding or TO_DECIDE in finding for finding in findings)


def test_identifiers_are_proposed_to_be_left_out_and_never_mapped(text: str, mappings: Mappings) -> None:
    read = yaml.safe_load(text)
    columns = {name: column for record in read["records"].values() for name, column in record["columns"].items()}
    identifying = {
        name
        for record in mappings.instruments[INSTRUMENT].records.values()
        for name, column in record.columns.items()
        if column.exclude == "identifier"
    }
    assert identifying & columns.keys()
    for name in identifying & columns.keys():
        assert "variable" not in columns[name], name


def test_names_and_labels_of_any_kind_make_a_draft_that_is_yaml(matcher: Matcher) -> None:
    names = ["a: b", "no", "123", '"quoted"', "# c", "{}", "बच्चे", "with 'mark'", "a\nb"]
    label = ("line one\nline two: {x} # y \x07",)
    questions = [Question(name, "one", label, {"yes": ("Ja: #",), "no": ("Nein\n",), "1": ()}) for name in names]
    question = ("Do you share this toilet facility with others who are not members of your household?",)
    questions.append(Question("off", "one", question, {"yes": ("Yes",), "no": ("No",), "99": ("Don't know",)}))
    read = yaml.safe_load(draft(questions, matcher, CUTOFF, Path("my form (1).xlsx")))
    columns = read["records"]["household"]["columns"]
    assert list(columns) == [*names, "off"]
    assert columns["off"]["variable"] == "sanitation_shared"
    assert columns["off"]["missing"] == {"dont_know": ["99"]}
    assert columns["off"]["positive"] == columns["off"]["negative"] == []


def test_the_answers_of_people_are_not_in_the_draft_of_a_data_file(matcher: Matcher, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "\n".join(f"Wanjiku{n},{'tap' if n % 2 else 'well'},07123456{n:02},my story {n}" for n in range(20))
    path.write_text(f"respondent_name,drinking_water_source,contact,story\n{rows}\nX,Kamau there,0,y\n", "utf-8")
    text = draft(read_questions(path), matcher, CUTOFF, path)
    assert "variable: drinking_water_source" in text
    assert "tap: " in text
    assert not re.search("Wanjiku|Kamau|07123456|story [0-9]", text)


def tried(instrument: Instrument, mappings: Mappings, settings: Settings) -> Trial:
    manifest = parse_manifest((HAND_IN / "submission.yaml").read_bytes(), "submission.yaml")
    files = [(file, (HAND_IN / file.path).read_bytes()) for file in manifest.files]
    return trial(instrument, manifest, files, mappings, settings)


def without_code(instrument: Instrument, column: str, code: str) -> Instrument:
    said = instrument.model_dump()
    del said["records"]["household"]["columns"][column]["codes"][code]
    return Instrument.model_validate(said)


def test_a_trial_counts_every_answer_and_finds_the_code_that_is_not_mapped(
    mappings: Mappings, settings: Settings
) -> None:
    instrument = mappings.instruments[INSTRUMENT]
    whole = tried(instrument, mappings, settings)
    assert whole.unmapped == 0
    water = whole.answers.filter(pl.col("column") == "water_source")
    columns = instrument.records["household"].columns
    one = [name for name, column in columns.items() if column.select == "one"]  # several answers add up to more
    households = set(
        whole.answers.filter((pl.col("record") == "household") & pl.col("column").is_in(one))
        .group_by("column")
        .agg(pl.col("answers").sum())["answers"]
    )
    assert households == {water["answers"].sum()}
    n = water.filter(pl.col("in the file") == "21")["answers"].item()
    assert n > 0
    broken = tried(without_code(instrument, "water_source", "21"), mappings, settings)
    assert broken.unmapped == n
    line = broken.answers.filter(pl.col("becomes") == UNMAPPED).row(0, named=True)
    assert (line["column"], line["in the file"], line["answers"]) == ("water_source", "21", n)
    assert not settings.lake.exists()


def test_a_trial_shows_polarity_units_and_nothing_of_what_is_left_out(mappings: Mappings, settings: Settings) -> None:
    said = mappings.instruments[INSTRUMENT].model_dump()
    said["records"]["household"]["columns"]["water_minutes"]["multiply"] = 60.0
    shared = said["records"]["household"]["columns"]["toilet_shared"]
    shared["positive"], shared["negative"], shared["reason"] = shared["negative"], shared["positive"], "as a test"
    found = tried(Instrument.model_validate(said), mappings, settings)
    toilet = found.answers.filter(pl.col("column") == "toilet_shared")
    assert set(toilet.select("in the file", "becomes").rows()) >= {("no", "yes"), ("yes", "no"), ("dk", "dont_know")}
    minutes = found.answers.filter((pl.col("column") == "water_minutes") & pl.col("remark").str.starts_with("x 60"))
    before, after = (minutes[name].item() for name in ("in the file", "becomes"))
    low, high = (float(end) for end in before.split(" to "))
    assert after == f"{low * 60:g} to {high * 60:g}"
    assert "outside 0 to 900" in minutes["remark"].item()
    assert not minutes["remark"].item().startswith("x 60; 0 outside")
    left = {name for r in said["records"].values() for name, column in r["columns"].items() if column["exclude"]}
    assert left
    assert not left & set(found.answers["column"])


def test_an_answer_that_could_be_a_name_is_counted_and_not_shown(mappings: Mappings, settings: Settings) -> None:
    instrument = mappings.instruments[INSTRUMENT]
    manifest = parse_manifest((HAND_IN / "submission.yaml").read_bytes(), "submission.yaml")
    files = [(file, (HAND_IN / file.path).read_bytes()) for file in manifest.files]
    said = instrument.model_dump()
    said["records"]["household"]["columns"]["toilet_shared"] |= {"positive": ["zzz"], "negative": ["xxx"]}
    found = trial(Instrument.model_validate(said), manifest, files, mappings, settings)
    lines = found.answers.filter((pl.col("column") == "toilet_shared") & (pl.col("becomes") == UNMAPPED))
    assert lines["in the file"].to_list() == ["(not shown)"]
    assert found.unmapped == lines["answers"].sum() > 0


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mappings: Mappings) -> None:
    monkeypatch.setenv("LNOB_LAKE", str(tmp_path / "lake"))
    runner = CliRunner()
    out = tmp_path / "form.yaml"
    assert runner.invoke(app, ["map", "suggest", str(HAND_IN / "form.xlsx"), "--out", str(out)]).exit_code == 0
    assert "variable: " in out.read_text("utf-8")
    again = runner.invoke(app, ["map", "suggest", str(HAND_IN / "form.xlsx"), "--out", str(out)])
    assert isinstance(again.exception, ValueError)
    assert runner.invoke(app, ["map", "test", INSTRUMENT, HAND_IN.name]).exit_code == 0
    said = without_code(mappings.instruments[INSTRUMENT], "water_source", "21").model_dump(
        mode="json", exclude_none=True
    )
    broken = tmp_path / f"{INSTRUMENT}.yaml"
    broken.write_text(yaml.safe_dump(said), "utf-8")
    result = runner.invoke(app, ["map", "test", str(broken), str(HAND_IN)])
    assert result.exit_code == NOT_ACCEPTED
    assert "answers are not mapped" in result.output
    assert runner.invoke(app, ["map", "test", INSTRUMENT, "ken-2019-no-consent"]).exit_code == NOT_ACCEPTED
    assert not (tmp_path / "lake").exists()


def test_an_instrument_is_named_or_a_file(mappings: Mappings, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither an instrument"):
        read_instrument("nowhere", mappings)
    path = tmp_path / "bad.yaml"
    path.write_text("instrument: Bad Name\n", "utf-8")
    with pytest.raises(MappingError, match=r"bad\.yaml:1"):
        read_instrument(str(path), mappings)
