"""What a partner is told: as data, as a short text, in its language, and over several hand-ins."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.messages import catalogue as catalogues
from lnob_pipeline.messages.catalogue import Catalogue
from lnob_pipeline.messages.message import Message, from_json
from lnob_pipeline.settings import Settings
from lnob_pipeline.validation.feedback import (
    MAXIMUM_TEXT,
    Feedback,
    feedback_json,
    feedback_text,
    kinds_to_mend,
    make_feedback,
    where,
)
from lnob_pipeline.validation.findings import Findings
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.validation.progress import MOST_PLACES, Progress, faults_of, progress, remembered
from lnob_pipeline.validation.rules import REASONS, RULES, UNITS

SCHEMA = Path(__file__).parents[2] / "docs" / "feedback.schema.json"
Judge = Callable[..., Validated]
Rows = list[dict[str, str]]


@pytest.fixture
def faulty(judge: Judge, households: Rows, persons: Rows) -> Validated:
    households[0]["water"] = "77"
    households[1]["water"] = "Invented Name"
    households[2]["consent"] = "2"
    households[3]["date"] = "2018-01-01"
    households[4]["minutes"] = "+254 711 222 333"
    persons[0]["age"] = "214"
    return judge(households, persons)


def test_the_numbers_are_those_of_the_outcome(faulty: Validated) -> None:
    rows = make_feedback(faulty).rows
    assert (rows.in_file, rows.accepted, rows.left_out, rows.refused) == (40, 38, 1, 1)
    assert rows.in_file == rows.accepted + rows.left_out + rows.refused


def test_the_short_text_fits_a_message_and_names_the_worst(faulty: Validated) -> None:
    text = feedback_text(make_feedback(faulty))
    assert len(text) <= MAXIMUM_TEXT and "38 of 40 rows are in" in text
    assert "1. the interview date is outside the collection" in text and "row 5" in text
    assert not [secret for secret in ("Invented", "711", "h003", "remark") if secret in text]


@given(st.text(max_size=4_000), st.integers(0, 9), st.integers(0, 12), st.booleans())
def test_the_short_text_is_never_too_long(what: str, kinds: int, rows: int, draft: bool) -> None:
    kind = {
        "rule_id": "codes", "reason_id": "unknown_code", "severity": "warning", "effect": "cell", "file": "f",
        "sheet": None, "column": what[:50], "n": rows, "rows": list(range(rows)), "written": [], "title": "t",
        "what": what, "why": "y", "mend": what, "example": "e", "english": "e",
    }  # fmt: skip
    feedback = Feedback.model_validate({
        "submission": "ken-2019-test", "version": "0", "language": "sw" if draft else "en",
        "translation": "draft" if draft else "official", "state": "rejected", "result": "r", "next": what,
        "rows": {"in_file": 1, "accepted": 0, "left_out": 1, "refused": 0}, "since_last": None,
        "kinds": [kind] * kinds, "taken_out": [], "rules": {},
    })  # fmt: skip
    assert len(feedback_text(feedback)) <= MAXIMUM_TEXT


def test_no_english_is_left_where_there_is_a_translation(judge: Judge, households: Rows, persons: Rows) -> None:
    """The place of an unnamed column, and the unit of a limit."""
    rows = [row | {"Anna": "x"} for row in households]
    persons[0]["age"] = "214"
    feedback = make_feedback(judge(rows, persons), "ne")
    kinds = {kind.reason_id: kind for kind in feedback.kinds}
    speak = catalogues.catalogue("ne")
    place = len(rows[0])
    said = where(kinds["unknown_column"], speak)
    assert f"स्तम्भ नम्बर {place} (स्प्रेडसिटमा P)" in said and place == 16 and "column" not in said
    assert "Anna" not in said and "(वर्ष)" in kinds["out_of_range"].what
    assert "column 16" in {kind.column for kind in feedback.kinds}  # for machines it stays as it is


def test_every_unit_of_the_question_bank_can_be_translated() -> None:
    variables = load_mappings(Settings.load().mappings).variables.values()
    assert {item.measure for item in variables if item.type == "number" and item.measure} <= set(UNITS.values())


def test_letters_of_another_alphabet_in_a_header_are_told(judge: Judge, households: Rows) -> None:
    rows = [{"w\u0430ter" if name == "water" else name: cell for name, cell in row.items()} for row in households]
    told = judge(rows).findings.filter(pl.col("reason_id") == "look_alike_header")
    assert told.height == 1 and "looks like water" in told["reason"][0]


def test_the_json_follows_its_published_schema(faulty: Validated) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert schema == {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Feedback.model_json_schema(), (
        "write docs/feedback.schema.json anew: `lnob messages --write`"
    )
    said = json.loads(feedback_json(make_feedback(faulty)))
    jsonschema.validate(said, schema)
    assert said["format_version"] == 1 and set(said["rules"]) == set(RULES)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said | {"state": "perfect"}, schema)


def test_kinds_lose_nothing(faulty: Validated) -> None:
    listed = faulty.findings.filter(pl.col("effect") != "refused")
    assert kinds_to_mend(faulty.findings)["n"].sum() == listed.height


def test_a_proposal_for_each_row_makes_one_kind(judge: Judge, households: Rows) -> None:
    for number, row in enumerate(households[:3]):
        row["date"] = f"2076-01-1{number}"
    kinds = [kind for kind in make_feedback(judge(households)).kinds if kind.reason_id == "bikram_sambat"]
    assert [kind.n for kind in kinds] == [3] and "Gregorian calendar" in kinds[0].what and "2019" in kinds[0].what


SWAHILI: dict[tuple[str | None, str], str] = {
    (None, REASONS["unknown_code"][0]): "si jibu la swali hili; majibu ni {codes}",
    (None, REASONS["identifier_in_answer"][0]): "seli ina kinachoonekana kuwa {kind}",
    (None, REASONS["unreadable_file"][0]): "{problem}",
    ("kind", "a phone number"): "nambari ya simu",
    (None, "the file is empty (0 bytes)"): "faili ni tupu",
    ("consent", "Do you agree to take part?"): "rasimu",
}


@pytest.fixture
def swahili(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Feedback in a Swahili of a few words, of a status."""

    def put(status: str) -> None:
        spoken = Catalogue("sw", catalogues.STATUSES[status], SWAHILI)
        monkeypatch.setattr("lnob_pipeline.validation.feedback.catalogue", lambda language: spoken)

    return put


def test_reasons_and_what_fills_them_are_said_in_the_language(
    faulty: Validated, swahili: Callable[[str], None]
) -> None:
    swahili("draft")
    feedback = make_feedback(faulty, "sw")
    said = {kind.reason_id: kind for kind in feedback.kinds}
    assert said["unknown_code"].what == "si jibu la swali hili; majibu ni 11, 21, 81, 98"
    assert said["unknown_code"].english.startswith("not an answer of this question; answers are 11, 21, 81, 98. put")
    assert said["identifier_in_answer"].what == "seli ina kinachoonekana kuwa nambari ya simu"
    assert (feedback.language, feedback.translation) == ("sw", "draft")
    assert faulty.findings.filter(pl.col("reason_id") == "unknown_code")["reason"][0].startswith("not an answer")


def test_a_message_of_a_reader_is_said_in_the_language(judge: Judge, swahili: Callable[[str], None]) -> None:
    swahili("reviewed")
    feedback = make_feedback(judge(contents={"persons.csv": b""}), "sw")
    assert "faili ni tupu" in [kind.what for kind in feedback.kinds]


def test_a_language_without_a_catalogue_is_answered_in_english(faulty: Validated) -> None:
    feedback = make_feedback(faulty, "fr")
    assert (feedback.language, feedback.translation) == ("en", "official")


@pytest.mark.parametrize(("status", "said"), [("draft", "Do you agree to take part?"), ("reviewed", "rasimu")])
def test_consent_is_never_asked_in_a_draft(status: str, said: str) -> None:
    assert Catalogue("sw", catalogues.STATUSES[status], SWAHILI).text("Do you agree to take part?", "consent") == said
    assert catalogues.PROTECTED == ("consent", "washington_group")


def test_findings_keep_what_a_translation_needs(faulty: Validated) -> None:
    found = faulty.findings.filter(pl.col("effect") != "refused")
    assert found["reason_id"].null_count() == 0 and set(found["reason_id"]) <= set(REASONS)
    for reason_id, reason, details in found.select("reason_id", "reason", "details").iter_rows():
        assert Catalogue().say(REASONS[reason_id][0], from_json(details)) == reason


def test_details_may_be_messages() -> None:
    found = Findings()
    problem = Message("a part of the zip has a name that leads outside its folder")
    found.whole("readable", "unreadable_file", file="f", problem=problem, mend=Message("say {what}", {"what": 3}))
    assert found.table()["reason"][0] == problem.template and found.table()["mend"][0] == "say 3"
    assert json.loads(found.table()["details"][0])["mend"] == {"message": "say {what}", "details": {"what": 3}}


def faults(*places: tuple[str, str | None, str | None, str], rows: int = 40) -> dict[str, Any]:
    lines = [
        {"record": record, "label": label, "column": column, "reason_id": reason}
        for record, label, column, reason in places
    ]
    schema = dict.fromkeys(("record", "label", "column", "reason_id"), pl.String)
    frame = pl.DataFrame(lines, schema=schema).with_columns(severity=pl.lit("warning"), effect=pl.lit("cell"))
    return faults_of(frame, {"household": rows})


A, B, C = (("household", label, "age", "out_of_range") for label in "234")


def test_mended_left_and_new_faults_are_told_apart_by_row() -> None:
    assert progress(faults(A, B), faults(B, C)) == Progress(before=2, mended=1, new=1)
    assert progress(faults(A, B), faults()) == Progress(2, 2, 0)
    assert progress(faults(), faults(A)) == Progress(0, 0, 1)


def test_where_rows_moved_faults_are_counted_by_kind() -> None:
    assert progress(faults(A, B), faults(B, C, rows=39)) == Progress(2, 0, 0)
    assert progress(faults(A, B), faults(C, rows=39)) == Progress(2, 1, 0)


PLACES = st.lists(st.tuples(st.sampled_from("234"), st.sampled_from("ab")))


@given(PLACES, PLACES, st.sampled_from([39, 40]))
def test_faults_are_neither_lost_nor_made_up(before: list[tuple[str, str]], now: list[tuple[str, str]], n: int) -> None:
    first = faults(*(("household", label, column, "r") for label, column in before))
    second = faults(*(("household", label, column, "r") for label, column in now), rows=n)
    told = progress(first, second)
    assert told.before == len(before) and told.before - told.mended + told.new == len(now)


def test_many_faults_are_kept_as_counts() -> None:
    many = faults(*(("household", str(n), "age", "r") for n in range(MOST_PLACES + 1)))
    assert many["faults"] is None and progress(many, faults(A)).before == MOST_PLACES + 1


def test_the_same_version_again_is_no_progress() -> None:
    kept, told = remembered(None, "v1", faults(A, B))
    assert told is None
    kept, told = remembered(kept, "v1", faults(A, B))
    assert told is None
    kept, told = remembered(kept, "v2", faults(B))
    assert told == Progress(2, 1, 0)
    assert remembered(kept, "v2", faults(B)) == (kept, told)


def test_progress_is_told(faulty: Validated) -> None:
    feedback = make_feedback(faulty, since_last=Progress(24, 12, 3))
    assert "12 of 24 faults of your last hand-in are mended, 3 are new" in feedback_text(feedback)
    assert dataclasses.asdict(Progress(24, 12, 3)) == feedback.model_dump()["since_last"]
