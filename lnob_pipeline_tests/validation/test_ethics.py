"""Nobody is harmed: scopes of consent, guardians, privacy, engagement, law, and what waits for a person."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.findings import Findings
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.validation.law import check_law
from lnob_pipeline_tests.validation.conftest import MANIFEST, good_households, good_persons, merged

Judge = Callable[..., Validated]
Row = dict[str, str]
PROTOCOL = {
    f"ethics.{part}": True
    for part in ("special_protocol", "one_per_hh", "privacy_obtained", "referral_list", "interviewer_trained")
}
SENSITIVE = {
    "variable": "partner_slapped",
    "codes": {"zx-year": "last_12_months", "zx-before": "before", "zx-never": "never"},
}
CONSENT_COLUMN = {"exclude": "consent"}


def balanced(result: Validated) -> bool:
    line = result.balance
    return bool((line["n_rows"] == line["n_accepted"] + line["n_quarantined"] + line["n_refused"]).all())


def everything(result: Validated) -> str:
    frames = [result.quarantine, result.results, result.outcome, result.findings, result.fitness, *result.rows.values()]
    frames += [result.responses] if result.responses is not None else []
    return "\n".join(frame.write_csv() for frame in frames)


def refused(result: Validated) -> list[tuple[str, int, str]]:
    found = result.findings.filter(pl.col("effect") == "refused")
    return sorted(found.select("record", "row_number", "reason_id").rows())


def with_answers(rows: list[Row], column: str, answers: dict[int, str], otherwise: str = "1") -> list[Row]:
    return [row | {column: answers.get(number, otherwise)} for number, row in enumerate(rows)]


# scopes


def test_a_row_that_may_not_be_shared_is_read_no_further(judge: Judge) -> None:
    rows = with_answers(good_households(), "may_share", {2: "2", 5: "", 7: "1"})
    rows[2] |= {"water": "zx-marker", "minutes": "zx-marker"}
    said = {"consent.share_data_column": "may_share"}
    form = {"records.household.columns.may_share": CONSENT_COLUMN}
    result = judge(rows, manifest=said, instrument=form)
    assert refused(result) == [("household", 4, "sharing_refused"), ("household", 7, "sharing_refused")]
    assert result.balance.filter(pl.col("record") == "household").row(0)[1:] == (40, 38, 0, 2)
    assert result.balance.filter(pl.col("record") == "person").row(0)[1:] == (80, 76, 0, 4)  # with their members
    assert balanced(result) and "zx-marker" not in everything(result)
    everybody = judge(with_answers(good_households(), "may_share", {}), manifest=said, instrument=form)
    assert refused(everybody) == [] and everybody.state == "accepted"


def test_a_column_of_sharing_that_is_not_there_rejects(judge: Judge) -> None:
    result = judge(manifest={"consent.share_data_column": "may_share"})
    assert result.state == "rejected" and result.responses is None and balanced(result)
    assert "no_scope_question" in result.findings["reason_id"].to_list()


@pytest.mark.parametrize("method", ["purposive", "probability"])
def test_a_refused_place_is_kept_no_finer_than_the_first_level_area(judge: Judge, method: str) -> None:
    rows = with_answers(good_households(), "keep_place", {3: "2", 4: ""})
    said: dict[str, Any] = {"consent.location_column": "keep_place"}
    if method == "purposive":
        said["sampling"] = {"method": "purposive"}
    result = judge(rows, manifest=said, instrument={"records.household.columns.keep_place": CONSENT_COLUMN})
    assert result.responses is not None and result.state == "accepted"
    kept = result.responses.filter(pl.col("record") == "household").sort("row_number")
    assert kept["area"].null_count() == 0
    if method == "purposive":
        assert [number for number, cell in enumerate(kept["cluster"]) if cell is None] == [3, 4]
        assert [number for number, cell in enumerate(kept["stratum"]) if cell is None] == [3, 4]
    else:  # who belongs together stays known, where they live does not
        assert kept["cluster"].str.contains(r"^cluster-\d{3}$").all() and kept["cluster"].n_unique() == 8
        assert kept["cluster"].rle().struct.field("len").to_list() == [5] * 8
    line = result.results.filter((pl.col("expectation") == "scope_location") & (pl.col("record") == "household"))
    assert line["message"][0].startswith("2 of 40")
    without = judge(good_households(), manifest={"sampling": {"method": "purposive"}})
    assert without.responses is not None
    assert without.responses.filter(pl.col("record") == "household")["cluster"].null_count() == 0


def test_other_scopes_are_counted_and_keep_no_row_out(judge: Judge) -> None:
    rows = with_answers(good_households(), "may_quote", {1: "2"})
    said = {"consent.quote_column": "may_quote", "consent.photo_column": "not_there"}
    result = judge(rows, manifest=said, instrument={"records.household.columns.may_quote": CONSENT_COLUMN})
    assert result.state == "accepted_with_flags"  # for the column that is not there
    messages = result.results.filter(pl.col("record") == "household").select("expectation", "message").rows()
    assert ("scope_quote", "1 of 40 rows without consent for quote; it was not kept") in messages
    assert ("scope_photo", "40 of 40 rows without consent for photo; it was not kept") in messages
    assert "may_quote" not in (result.responses.columns if result.responses is not None else [])


def test_answers_that_mean_yes_may_differ_from_those_of_the_consent_question(judge: Judge) -> None:
    rows = with_answers(good_households(), "may_share", {0: "nein"}, "ja")
    said = {"consent.share_data_column": "may_share", "consent.further_affirmative": ["ja"]}
    result = judge(rows, manifest=said, instrument={"records.household.columns.may_share": CONSENT_COLUMN})
    assert refused(result) == [("household", 2, "sharing_refused")]


# minors


def minors(guardians: dict[int, str], ages: dict[int, str]) -> list[Row]:
    people = with_answers(good_persons(), "guardian", guardians, "")
    return [person | ({"age": ages[number]} if number in ages else {}) for number, person in enumerate(people)]


MINORS = {"ethics.minors_interviewed": True, "ethics.guardian_consent": True}
GUARDIANS = MINORS | {"ethics.guardian_consent_column": "guardian"}
GUARDIAN_FORM = {"records.person.columns.guardian": CONSENT_COLUMN}


def test_minors_without_a_guardians_yes_are_refused_with_their_household(judge: Judge) -> None:
    # Persons 10, 12 and 14 are respondents of 16 years; person 11 is a member of 10 years who did not answer.
    people = minors({10: "1", 12: "2"}, {10: "16", 12: "16", 14: "16", 11: "10"})
    result = judge(persons=people, manifest=GUARDIANS, instrument=GUARDIAN_FORM)
    assert refused(result) == [
        ("household", 8, "no_guardian_consent"),
        ("household", 9, "no_guardian_consent"),
        ("person", 14, "no_guardian_consent"),
        ("person", 16, "no_guardian_consent"),
    ]
    assert result.state == "accepted" and balanced(result)
    assert result.balance["n_refused"].to_list() == [2, 4]
    line = result.quarantine.filter(pl.col("effect") == "refused")
    assert set(line["rule_id"]) == {"ethics"} and line["written"].null_count() == line.height


def test_an_unknown_age_is_no_minor_and_adults_need_no_guardian(judge: Judge) -> None:
    people = minors({}, {10: "998", 12: "18"})
    assert refused(judge(persons=people, manifest=GUARDIANS, instrument=GUARDIAN_FORM)) == []


def test_young_children_who_answered_wait_for_a_person(judge: Judge) -> None:
    people = minors({10: "1"}, {10: "12"})
    result = judge(persons=people, manifest=GUARDIANS, instrument=GUARDIAN_FORM)
    assert result.state == "waiting_for_review" and result.responses is None and balanced(result)
    assert result.outcome["n_accepted"][0] == 0 and "12" not in result.outcome["reasons"][0]
    older = judge(persons=minors({10: "1"}, {10: "15"}), manifest=GUARDIANS, instrument=GUARDIAN_FORM)
    assert older.state == "accepted"
    limit = Settings.load(review_respondents_below_age=10)
    assert judge(persons=people, manifest=GUARDIANS, instrument=GUARDIAN_FORM, settings=limit).state == "accepted"


@pytest.mark.parametrize(
    ("manifest", "state", "card"),
    [
        ({}, "waiting_for_review", "waiting_for_person"),
        (MINORS, "accepted", "waiting_for_person"),  # on the word of the manifest
        (GUARDIANS, "accepted", "met"),  # row by row
    ],
)
def test_minors_wait_for_a_person_unless_each_row_says_that_a_guardian_agreed(
    judge: Judge, manifest: dict[str, Any], state: str, card: str
) -> None:
    people = minors({10: "1"}, {10: "16"})
    result = judge(persons=people, manifest=manifest, instrument=GUARDIAN_FORM)
    answer = result.fitness.filter(pl.col("criterion") == "ethics_clearance").row(0, named=True)
    assert (result.state, answer["status"]) == (state, card)
    decision = {"ethics": "accept", "ethics_clearance": "accept"}
    decided = judge(persons=people, manifest=manifest, instrument=GUARDIAN_FORM, reviews=decision)
    assert decided.accepted
    assert decided.fitness.filter(pl.col("criterion") == "ethics_clearance")["status"].item() == "met"


# privacy of sensitive questions


def slapped(answers: dict[int, str], private: dict[int, str]) -> list[Row]:
    people = with_answers(good_persons(), "slapped", answers, "")
    return with_answers(people, "private", private, "")


PRIVATE = PROTOCOL | {"ethics.privacy_column": "private"}
PRIVATE_FORM = {"records.person.columns.slapped": SENSITIVE, "records.person.columns.private": CONSENT_COLUMN}
ACCEPTED = {"special_protocol": "accept"}


def test_sensitive_answers_that_were_not_private_are_read_no_further(
    judge: Judge, mappings: Mappings, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = slapped({0: "zx-year", 2: "zx-never", 4: "zx-before"}, {0: "1", 2: "2"})
    result = judge(persons=people, manifest=PRIVATE, instrument=PRIVATE_FORM, reviews=ACCEPTED)
    assert refused(result) == [("person", 4, "no_privacy"), ("person", 6, "no_privacy")]
    assert balanced(result) and result.responses is not None
    assert result.responses["slapped"].drop_nulls().to_list() == ["zx-year"]
    assert "zx-never" not in result.responses.write_csv() and "zx-before" not in result.quarantine.write_csv()
    # Their households list two members and show one: nobody is told that the list is wrong.
    sizes = result.results.filter(pl.col("expectation") == "roster_size")
    assert sizes["outcome"].to_list() == ["passed"]


def test_answers_under_a_claimed_protocol_wait_for_a_person(judge: Judge) -> None:
    people = slapped({0: "zx-year"}, {0: "1"})
    waiting = judge(persons=people, manifest=PRIVATE, instrument=PRIVATE_FORM)
    assert waiting.state == "waiting_for_review" and waiting.responses is None
    assert "zx-year" not in waiting.quarantine.write_csv() + waiting.results.write_csv()
    accepted = judge(persons=people, manifest=PRIVATE, instrument=PRIVATE_FORM, reviews=ACCEPTED)
    assert accepted.state == "accepted_with_flags" and accepted.responses is not None
    rejected = judge(persons=people, manifest=PRIVATE, instrument=PRIVATE_FORM, reviews={"special_protocol": "reject"})
    assert rejected.state == "rejected" and rejected.responses is None
    other = judge(persons=people, manifest=PRIVATE, instrument=PRIVATE_FORM, reviews={"conduct": "accept"})
    assert other.state == "waiting_for_review"
    for result in (waiting, accepted, rejected, other):
        assert balanced(result)


def test_a_decision_moves_nothing_but_what_waits(judge: Judge) -> None:
    assert judge(reviews={"consent": "reject", "special_protocol": "accept"}).state == "accepted"
    without = judge(manifest={"consent.column": "not_there"}, reviews={"consent": "accept"})
    assert without.state == "rejected" and without.responses is None


# engagement


@pytest.mark.parametrize(("design", "collection", "citizen"), [(4, 0, True), (0, 4, True), (3, 3, False)])
def test_data_without_engagement_are_labelled_and_kept_apart(
    judge: Judge, design: int, collection: int, citizen: bool
) -> None:
    result = judge(manifest={"engagement.design": design, "engagement.collection": collection})
    assert result.state == "accepted" and result.outcome["citizen_data"][0] is citizen
    (line,) = result.fitness.filter(pl.col("criterion") == "citizen_engagement").to_dicts()
    assert line["status"] == ("met" if citizen else "not_met")


# law


def test_the_register_names_a_law_for_each_country_and_hides_no_doubt() -> None:
    mappings = load_mappings(Settings.load().mappings)
    assert set(mappings.laws) == set(mappings.countries)
    for law in mappings.laws.values():
        assert law.source and law.checked >= datetime.date(2026, 1, 1)
        assert not law.confirmed_by_lawyer  # nobody has confirmed an entry yet
        assert law.guardian_consent_below_age or law.uncertain


def test_the_gate_says_which_law_applies_and_since_when(judge: Judge, mappings: Mappings) -> None:
    (line,) = judge().results.filter(pl.col("rule_id") == "applicable_law").to_dicts()
    assert line["outcome"] == "passed" and line["severity"] == "information"
    assert "Data Protection Act, 2019" in line["message"] and "after the collection" in line["message"]
    later = judge(
        [row | {"date": "2021-05-10"} for row in good_households()],
        manifest={"collection": {"start": "2021-05-01", "end": "2021-06-30"}},
    )
    (line,) = later.results.filter(pl.col("rule_id") == "applicable_law").to_dicts()
    assert "after the collection" not in line["message"]


@pytest.mark.parametrize(("confirmed", "age"), [(False, 18), (True, 16)])
def test_a_lower_age_of_guardians_is_taken_on_a_lawyers_word_only(
    mappings: Mappings, confirmed: bool, age: int
) -> None:
    law = mappings.laws["VNM"].model_copy(update={"confirmed_by_lawyer": confirmed})
    said = Manifest.model_validate(merged(MANIFEST, {"submission": "vnm-2019-test", "country": "VNM"}))
    found = Findings()
    assert law.guardian_consent_below_age == 16
    assert check_law(said, dataclasses.replace(mappings, laws={"VNM": law}), found) == age
    nothing = Findings()
    assert check_law(said, dataclasses.replace(mappings, laws={}), nothing) == 18
    assert nothing.results[0].outcome == "failed" and nothing.results[0].severity == "information"


def test_a_younger_respondent_is_listed_by_the_age_of_the_law(judge: Judge, mappings: Mappings) -> None:
    people = minors({}, {10: "17"})
    result = judge(persons=people)
    (line,) = result.findings.filter(pl.col("reason_id") == "young_respondent").to_dicts()
    assert line["row_number"] == 12 and "below 18" in line["reason"]
