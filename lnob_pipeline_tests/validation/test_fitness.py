"""The scorecard: criteria are data, gates and scores and people are kept apart, and no number without evidence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from lnob_pipeline import storage
from lnob_pipeline.cli import app
from lnob_pipeline.mappings.lint import lint
from lnob_pipeline.mappings.load import MappingError, Mappings, load_mappings
from lnob_pipeline.mappings.models import FitnessCheck
from lnob_pipeline.pipeline import clean_manifest, run_validation
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import parse_manifest
from lnob_pipeline.submissions.receive import receive
from lnob_pipeline.tables import FITNESS
from lnob_pipeline.validation.fitness import CHECKS
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.validation.conftest import good_households, good_persons
from lnob_pipeline_tests.validation.test_bundled_samples import judged

Judge = Callable[..., Validated]


def card(result: Validated) -> dict[str, dict[str, Any]]:
    return {line["criterion"]: line for line in result.fitness.to_dicts()}


def test_every_check_of_the_program_is_known_to_the_language_and_used_by_a_criterion(mappings: Mappings) -> None:
    assert set(CHECKS) == set(get_args(FitnessCheck))
    assert {criterion.check for criterion in mappings.fitness.values()} - {None} == set(CHECKS)
    kinds = {criterion.kind for criterion in mappings.fitness.values()}
    assert kinds == {"gate", "score", "human"}


def test_gates_scores_and_people_are_kept_apart(judge: Judge) -> None:
    table = judge().fitness
    assert table.schema == FITNESS.schema and table.select(FITNESS.key).is_unique().all()
    answers = {kind: set(table.filter(pl.col("kind") == kind)["status"]) for kind in ("gate", "score", "human")}
    assert answers["gate"] <= {"met", "not_met", "no_evidence", "waiting_for_person"}
    assert answers["score"] <= {"scored", "no_evidence"}
    assert answers["human"] == {"waiting_for_person"}
    scored = table.filter(pl.col("status") == "scored")
    assert scored["score"].null_count() == 0 and scored["measure"].null_count() == 0
    assert table.filter(pl.col("status") != "scored")["score"].null_count() == table.height - scored.height
    assert table.filter(pl.col("measure") == "share")["score"].is_between(0, 1).all()


def test_without_rows_there_is_no_number_for_the_data(judge: Judge) -> None:
    found = card(judge(manifest={"consent.column": "not_there"}))
    about_data = ("precision", "accuracy", "coherence", "disaggregation", "missing_answers", "coverage_claim")
    assert {found[name]["status"] for name in about_data} == {"no_evidence"}
    assert all(found[name]["score"] is None for name in about_data)
    assert found["consent"]["status"] == "not_met" and card(judge())["consent"]["status"] == "met"


def test_scores_by_hand(judge: Judge) -> None:
    rows, people = good_households(), good_persons()
    rows[0]["date"], rows[1]["date"] = "2018-01-01", "2018-01-02"  # outside the collection
    rows[2]["minutes"] = "-5"  # impossible
    for person in people[:12]:
        person["sex"] = ""  # 12 of 76 accepted members
    found = card(judge(rows, people))
    assert found["accuracy"]["score"] == pytest.approx(38 / 40)
    assert found["coherence"]["score"] == pytest.approx(39 / 40)
    assert found["missing_answers"]["score"] == pytest.approx(3 / 4)  # groups, place and age, without sex
    assert found["disaggregation"]["score"] == pytest.approx(3 / 6)  # age, location, group
    assert found["timeliness"]["score"] == 1.0 and found["timeliness"]["measure"] == "years"
    assert found["comparability"]["score"] == 1.0
    assert card(judge())["missing_answers"]["score"] == 1.0


def test_precision_counts_groups_of_25_and_more(judge: Judge) -> None:
    # 20 urban, 20 rural, 26 with a disability, 13 Dalit, 14 of no group, 40 women and 40 men
    assert card(judge())["precision"]["score"] == pytest.approx(3 / 7)


def test_no_score_is_earned_by_silence(judge: Judge) -> None:
    evidence = card(judge())["accuracy"]["evidence"]
    assert "under identity, dates, place;" in evidence and "nothing to look at for conduct, form_logic" in evidence
    claimed = card(judge(manifest={"groups": ["persons_with_disabilities", "dalit", "refugees"]}))["precision"]
    assert claimed["score"] == pytest.approx(3 / 8)  # nobody of the refugees was asked
    rows = good_households()
    for row in rows[:20]:
        row["residence"] = "7"  # unknown codes are no answers
    assert card(judge(rows))["missing_answers"]["score"] == pytest.approx(3 / 4)


def test_the_gates_of_documents(judge: Judge) -> None:
    found = card(judge())
    assert found["methodology_documented"]["status"] == "not_met"
    assert "instrument" in found["methodology_documented"]["evidence"] and found["accessibility"]["score"] is None
    assert found["metadata"]["status"] == found["confidentiality_process"]["status"] == "met"
    extra = [row | {"water_2": "y"} for row in good_households()]
    assert card(judge(extra))["metadata"]["status"] == "not_met"
    past = card(judge(manifest={"agreement.retention_until": "2019-01-01"}))
    assert past["confidentiality_process"]["status"] == "not_met"
    late = card(judge(manifest={"ethics.approval_date": "2019-05-20"}))
    assert late["ethics_clearance"]["status"] == "not_met" and found["ethics_clearance"]["status"] == "met"
    claimed = card(judge(manifest={"geography.admin1": ["KE-17", "KE-43", "KE-30"]}))
    assert claimed["coverage_claim"]["status"] == "not_met" and found["coverage_claim"]["status"] == "met"


def test_a_person_answers_what_only_a_person_can(judge: Judge) -> None:
    found = card(judge(reviews={"impartiality": "accept", "feedback_to_community": "reject"}))
    assert found["impartiality"]["status"] == "met" and found["feedback_to_community"]["status"] == "not_met"
    assert found["citizen_engagement_confirmed"]["status"] == "waiting_for_person"


def test_criteria_apply_to_their_kind_of_data() -> None:
    cards = {name: card(judged(name)) for name in ("mwi-2020-health-score-card", "nga-2020-discussions")}
    score_card, talks = cards.values()
    assert score_card["score_card_validity"]["score"] == 1.0 and "qualitative_rigour" not in score_card
    assert talks["qualitative_rigour"]["status"] == "scored" and "precision" not in talks
    assert talks["double_coding"]["status"] == "waiting_for_person"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "indicator_mappings"
    shutil.copytree(Settings.load().mappings, folder)
    return folder


def test_the_secretariat_may_replace_the_criteria(copied: Path) -> None:
    name, question = "methodology_documented", "Was it done well?"
    own = {"question": question, "principle": 10, "dimension": "method", "kind": "gate", "check": "methodology"}
    (copied / "fitness.yaml").write_text(
        yaml.safe_dump({"criteria": {name: own | {"source": "test"}}}), encoding="utf-8"
    )
    mappings = load_mappings(copied)
    folder = Settings.load().inbox / "nga" / "nga-2020-policy-review"
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    files = [(file, (folder / file.path).read_bytes()) for file in manifest.files]
    result = validate(manifest, "0" * 64, files, mappings, Settings.load(), great_expectations=False)
    assert result.fitness.select("criterion", "question", "status").rows() == [(name, question, "not_met")]
    ours: dict[str, Any] = {
        "who_paid": {"question": "Who paid?", "principle": 5, "dimension": "independence", "kind": "human"},
        "lag": {"question": "How late?", "principle": 16, "dimension": "time", "kind": "score", "check": "timeliness"},
        "agreed": {"question": "Agreed?", "principle": 7, "dimension": "consent", "kind": "gate", "check": "consent"},
        "cells": {
            "question": "Enough?",
            "principle": 15,
            "dimension": "accuracy",
            "kind": "score",
            "check": "precision",
        },
    }
    other = {key: said | {"source": "a working group"} for key, said in ours.items()}
    (copied / "fitness.yaml").write_text(yaml.safe_dump({"criteria": other}, sort_keys=False), encoding="utf-8")
    another = validate(
        manifest, "0" * 64, files, load_mappings(copied), Settings.load(), great_expectations=False,
        reviews={"who_paid": "reject"},
    ).fitness  # fmt: skip
    assert another["criterion"].to_list() == list(ours)
    assert another["status"].to_list() == ["not_met", "scored", "met", "no_evidence"]
    before = load_mappings(Settings.load().mappings)
    assert before.instrument_version(manifest.instrument) != mappings.instrument_version(manifest.instrument)


def test_a_check_that_the_program_does_not_know_is_an_error_with_its_line(copied: Path) -> None:
    path = copied / "fitness.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("check: timeliness", "check: timelyness"), encoding="utf-8")
    line = text[: text.index("check: timeliness")].count("\n") + 1
    with pytest.raises(MappingError) as error:
        load_mappings(copied)
    assert [problem.split(": ")[0] for problem in error.value.problems] == [f"fitness.yaml:{line}"]


def test_a_human_criterion_has_no_check_and_a_country_without_law_is_told(copied: Path) -> None:
    path = copied / "laws.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  KEN:\n", "  XXX:\n"), encoding="utf-8")
    found = [line for line in lint(load_mappings(copied)) if line.startswith("laws.yaml")]
    assert len(found) == 2 and "KEN" in found[0] + found[1] and "XXX" in found[0] + found[1]
    path = copied / "fitness.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("kind: human", "kind: human\n    check: consent", 1), encoding="utf-8")
    with pytest.raises(MappingError):
        load_mappings(copied)


def test_the_scorecard_is_written_with_the_stage_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_LAKE", str(tmp_path / "lake"))
    settings, key = Settings.load(), "nga-2020-policy-review"
    receive(settings, settings.inbox / "nga" / key, "2020-12-01T00:00:00Z", clean_manifest)
    step = run_validation(settings, key)
    written = storage.read_table(settings.lake, FITNESS, key)
    assert step.output("fitness") is not None and written.height == len(card(judged(key)))
    shown = CliRunner().invoke(app, ["status", key, "--fitness"])
    assert shown.exit_code == 0 and "impartiality" in shown.output and "waiting_for_person" in shown.output
    absent = CliRunner().invoke(app, ["status", "ken-2019-nobody", "--fitness"])
    assert absent.exit_code != 0 and isinstance(absent.exception, ValueError)
