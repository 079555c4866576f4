"""The manifest: its rules, its messages, hostile YAML, the JSON Schema."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from lnob_pipeline.submissions.manifest import (
    Manifest,
    ManifestError,
    form_fields,
    parse_manifest,
    schema,
    schema_text,
)

ROOT = Path(__file__).resolve().parents[2]


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ManifestError) as error:
        parse_manifest(text if isinstance(text, bytes) else text.encode(), "submission.yaml")
    assert error.value.__cause__ is None  # nothing of the partner's text hangs on the error
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return error.value.problems


def read(answers: dict[str, object]) -> Manifest:
    return parse_manifest(yaml.safe_dump(answers, allow_unicode=True).encode(), "submission.yaml")


def test_a_usable_manifest_is_read(answers):
    manifest = read(answers)
    assert manifest == Manifest.model_validate(answers)
    assert manifest.collection.start == datetime.date(2019, 3, 4)
    assert manifest.year == 2019
    assert manifest.engagement.is_citizen_data


def test_text_stays_text_and_blank_is_no_answer(answers):
    text = yaml.safe_dump(answers).replace("affirmative:\n  - 'yes'\n  - '1'", "affirmative: [yes, no, 1, 01]")
    text = text.replace("approval_number: '0123'", "approval_number: 0123").replace("strata: stratum", "strata:")
    text = text.replace("title: A test collection", "title: 2019-03-04")
    manifest = parse_manifest(text.encode(), "submission.yaml")
    assert manifest.consent.affirmative == ["yes", "no", "1", "01"]  # YAML alone makes True, False and 1 of them
    assert manifest.ethics.approval_number == "0123"  # and 83 of this
    assert manifest.sampling.strata is None
    assert manifest.title == "2019-03-04"


@pytest.mark.parametrize("answer, means", [("yes", True), ("No", False), ("TRUE", True), ("false", False), ("", False)])
def test_yes_and_no(answers, answer, means):
    text = yaml.safe_dump(answers).replace("synthetic: true", f"synthetic: {answer}")
    assert parse_manifest(text.encode(), "submission.yaml").synthetic is means


@pytest.mark.parametrize(
    "path, value, sentence",
    [
        ("country", "KE", "country: has another form, for example KEN"),
        ("country", "UGA", "the identifier (submission) starts with the country"),
        ("submission", "Jane Doe", "submission: has another form, for example ken-2019-household-survey"),
        ("data_type", "survey", "data_type: takes one of 'household_survey', 'score_card'"),
        ("language", None, "language: is missing; fill it in"),
        ("synthetic", "perhaps", "synthetic: is answered with yes or no"),
        ("collection.start", "4/3/2019", "collection.start: is a date; write it as 2019-03-31"),
        ("collection.end", "2019-01-01", "collection: the collection ends before it starts"),
        ("geography.admin1", [], "geography: name the first-level areas in admin1"),
        ("geography.admin1", ["Kisumu"], "geography.admin1.1: has another form, for example KE-17"),
        ("groups", "pastoralists", "groups: is a list; write it as [one, two]"),
        ("sampling.frame", None, "sampling: a probability sample says its frame"),
        ("sampling.cluster", None, "sampling: a sample of several stages names the column of its clusters"),
        ("sampling.method", "purposive", "sampling: only a probability sample has weights"),
        ("sampling.clutser", "x", "sampling: holds a field that the manifest does not know; did you mean cluster?"),
        ("engagement.use", 6, "engagement.use: must be less than or equal to 5"),
        ("sample_size.planned", "many", "sample_size.planned: is a whole number"),
        ("consent.column", None, "consent: consent per row names the question (column) and its affirmative codes"),
        ("ethics.minors_interviewed", True, "minors were interviewed without guardian consent"),
        ("files", [], "files: "),
        ("files", [{"path": "a.csv", "role": "form", "format": "csv"}], "no file has the role data"),
        ("files", [{"path": "a.csv", "role": "data", "format": "csv"}] * 2, "the same file is listed twice"),
        ("ethics", "approved", "ethics: is a part with fields of its own; indent them below it"),
    ],
)
def test_each_fault_is_a_sentence_with_its_field(answers, path, value, sentence):
    *above, name = path.split(".")
    part = answers[above[0]] if above else answers
    part[name] = value
    text = yaml.safe_dump(answers).replace("&id001", "").replace("*id001", '{"path": a.csv, role: data, format: csv}')
    found = problems(text)
    assert len(found) == 1
    assert sentence in found[0]


def test_the_same_path_written_in_two_ways_is_the_same_file(answers):
    answers["files"][1] |= {"path": ".\\answers.csv"}
    with pytest.raises(ManifestError, match="the same file is listed twice"):
        read(answers)


def test_a_problem_names_its_line(answers):
    text = yaml.safe_dump(answers, sort_keys=False).replace("planned: 900", "planned: nine")
    line = next(number for number, line in enumerate(text.splitlines(), start=1) if "nine" in line)
    assert problems(text) == [f"line {line}, sample_size.planned: is a whole number"]


@pytest.mark.thorough
def test_every_problem_is_told_at_once_and_their_number_is_bounded(answers):
    answers["language"], answers["engagement"]["need"], answers["partner"]["publish"] = "x", 9, "maybe"
    assert len(problems(yaml.safe_dump(answers))) == 3
    answers["groups"] = [[]] * 100_000
    found = problems(yaml.safe_dump(answers, default_flow_style=True).replace("&id001", "").replace("*id001", "[1]"))
    assert len(found) == 61
    assert found[-1].startswith("and ")


@pytest.mark.parametrize(
    "text, sentence",
    [
        (b"", "holds no fields"),
        (b"- a\n- b", "holds no fields"),
        (b"title: a\ncountry: [", "line 3 is not YAML"),
        (b"title: a\n\ttab: b", "line 2 is not YAML"),
        (b"title: a\ncountry: KEN\ntitle: b", "line 3 holds a field for the second time"),
        (b"sampling:\n  method: quota\n  method: census", "line 3 holds a field for the second time"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "line 2 refers to another line"),
        (b"[" * 100_000, "nested too deep"),
        (b"a: " * 30, "is not YAML"),
        (b"!!python/object/apply:os.system ['true']", "line 1 is not YAML"),
        (b"collection: !!timestamp 2019-99-99", "is not YAML"),
        (b"title: caf\xe9", "not text in UTF-8"),
        ("title: a".encode("utf-16"), "not text in UTF-8"),
        ("title: a".encode("utf-16-le"), "is not YAML"),
        (b"title: \x00", "is not YAML"),
        (b"? [a]\n: b", "is not YAML"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_hostile_or_broken_yaml_is_one_sentence(text, sentence):
    (found,) = problems(text)
    assert sentence in found


@pytest.mark.parametrize("key", ["null", "1", "''", "true", "wanjiru"])
def test_odd_field_names_are_told_and_not_repeated(answers, key):
    (found,) = problems(yaml.safe_dump(answers) + f"{key}: x\n")
    assert "holds a field that the manifest does not know" in found
    assert "wanjiru" not in found


def test_a_withdrawal_is_seen_in_a_manifest_that_is_otherwise_unusable():
    for text, withdraws in [
        ("submission: ken-2019-test\nwithdrawn: yes", "ken-2019-test"),
        ("submission: ken-2019-test\nwithdrawn: no", None),
        ("submission: ken-2019-test", None),
    ]:
        with pytest.raises(ManifestError) as error:
            parse_manifest(text.encode(), "submission.yaml")
        assert error.value.withdraws == withdraws


def test_every_field_explains_itself_and_its_example_is_valid(answers):
    """The examples are what a partner copies: each is put into the manifest and has to be taken."""
    for field in (*form_fields(), *form_fields("DataFile", "files.")):
        assert len(field.description) > 10
        first, *rest = field.path.split(".")
        value = [item.strip() for item in field.example.split(";")] if field.kind == "list" else field.example
        part = json.loads(json.dumps(answers, default=str))
        if first == "files":
            part["files"][0][rest[0]] = value
        elif rest:
            part.setdefault(first, {})[rest[0]] = value
        else:
            part[first] = value
        if field.path == "sampling.method":
            part["sampling"] = {"method": value}
        if field.path == "files.role":
            assert value == "data"
        read(part)


def test_the_committed_schema_is_current():
    path = ROOT / "indicator_mappings" / "schema" / "submission.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        f"write lnob_pipeline.submissions.manifest.schema_text() to {path.relative_to(ROOT)}"
    )


def test_the_schema_takes_what_the_model_takes_and_refuses_slips(answers):
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())
    fields = json.loads(Manifest.model_validate(answers).model_dump_json())
    validator.validate(fields)
    for change in [{"titel": "x"}, {"country": "KE"}, {"files": []}, {"sample_size": {"planned": 0, "achieved": 1}}]:
        assert list(validator.iter_errors(fields | change))
    assert list(validator.iter_errors({name: value for name, value in fields.items() if name != "ethics"}))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "data" / "submissions").glob("*/*/submission.*")), ids=lambda path: path.parent.name
)
def test_the_bundled_manifests_are_usable_and_say_synthetic(path):
    manifest = parse_manifest(path.read_bytes(), path.name)
    assert manifest.submission == path.parent.name
    assert manifest.synthetic
