"""Each check of conduct.py and quality.py with data that trip it and data that do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lnob_pipeline.harmonisation.compile import harmonise
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.validation.conduct import agreement, minutes_between, tool_columns, tool_state
from lnob_pipeline.validation.findings import KEY, LABEL, ROW, Findings, Rows
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.validation.quality import check_percentages, whipple
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.thorough import tries
from lnob_pipeline_tests.validation.conftest import INSTRUMENT, good_households, good_persons, merged

Judge = Callable[..., Validated]
Row = dict[str, str]
PARADATA = {"exclude": "paradata"}
TOOL = {
    f"records.household.columns.{name}": PARADATA for name in ("start", "end", "enumerator_id", "_validation_status")
}
CODES = {"1": "strongly_agree", "2": "agree", "3": "disagree", "4": "strongly_disagree"}
SERVICES = [
    "health_access", "health_affordability", "health_facilities", "health_equal_treatment", "health_staff_attitude",
    "primary_school_access", "primary_school_affordability", "primary_school_facilities",
    "primary_school_equal_treatment", "primary_school_staff_attitude", "secondary_school_access",
    "secondary_school_affordability",
]  # fmt: skip


def failed(result: Validated, expectation: str) -> list[dict[str, Any]]:
    return result.results.filter((pl.col("expectation") == expectation) & (pl.col("outcome") == "failed")).to_dicts()


def rows_of(result: Validated, reason: str) -> list[int]:
    return sorted(result.findings.filter(pl.col("reason_id") == reason)["row_number"].to_list())


def column(rows: list[Row], name: str, cells: Callable[[int], str]) -> list[Row]:
    return [row | {name: cells(number)} for number, row in enumerate(rows)]


def balanced(result: Validated) -> bool:
    line = result.balance
    return bool((line["n_rows"] == line["n_accepted"] + line["n_quarantined"] + line["n_refused"]).all())


# length of the interviews


def timed(minutes: Callable[[int], int]) -> list[Row]:
    rows = column(good_households(), "start", lambda n: "2019-05-10T09:00:00.000+03:00")
    rows = column(rows, "end", lambda n: f"2019-05-10T{9 + minutes(n) // 60:02d}:{minutes(n) % 60:02d}:00.000+03:00")
    return [row | {"enumerator_id": "", "_validation_status": ""} for row in rows]


def test_interviews_below_a_third_of_the_median_are_listed(judge: Judge) -> None:
    result = judge(timed(lambda n: {4: 9, 7: 11}.get(n, 30)), instrument=TOOL)  # a third of 30 is 10
    assert rows_of(result, "short_interview") == [6]
    assert result.state == "accepted_with_flags" and balanced(result)
    assert failed(result, "duration")[0]["n_failed"] == 1
    assert judge(timed(lambda n: 11 + n % 20), instrument=TOOL).state == "accepted"


def test_an_interview_that_ends_before_it_starts_is_listed_as_that(judge: Judge) -> None:
    rows = timed(lambda n: 30)
    rows[3]["end"] = "2019-05-10T08:30:00.000+03:00"
    result = judge(rows, instrument=TOOL)
    assert rows_of(result, "ends_before_start") == [5] and rows_of(result, "short_interview") == []


def test_few_interviews_give_no_median(judge: Judge) -> None:
    rows = timed(lambda n: 1 if n == 0 else 30)[:9]
    people = [person for person in good_persons() if person["household_id"] <= "h008"]
    assert rows_of(judge(rows, people, instrument=TOOL), "short_interview") == []


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("2019-05-10T09:00:00.000+03:00", "2019-05-10T09:45:30.000+03:00", 45.5),
        ("2019-05-10 09:00:00", "2019-05-10 10:00:00", 60.0),
        ("2019-05-10T09:00:00Z", "2019-05-10T09:10:00Z", 10.0),
        ("2019-05-10T09:00:00+0300", "2019-05-10T09:10:00+05:45", -155.0),
        ("Oct 10, 2015 6:26:24 PM", "Oct 10, 2015 6:36:24 PM", 10.0),
        ("yesterday", "2019-05-10 10:00:00", None),
    ],
)
def test_times_of_all_survey_tools_are_read(start: str, end: str, minutes: float | None) -> None:
    assert minutes_between(pl.Series([start]), pl.Series([end])).to_list() == [minutes]


# answers too alike


def answered(alike: bool) -> tuple[list[Row], dict[str, Any]]:
    """Two enumerators of twenty interviews; the second copies one interview but for a few answers, if `alike`."""
    chance = random.Random(7)
    rows = [row | {"start": "", "end": "", "_validation_status": ""} for row in good_households()]
    same = {variable: chance.choice("1234") for variable in SERVICES}
    for number, row in enumerate(rows):
        invented = alike and number >= 20
        row["enumerator_id"] = "Invented Interviewer B" if number >= 20 else "Invented Interviewer A"
        if invented:
            row |= {"water": "11", "minutes": "20", "groups": "pwd"}
        for variable in SERVICES:
            row[variable] = same[variable] if invented and chance.random() < 0.99 else chance.choice("1234")
    columns = {f"records.household.columns.{name}": {"variable": name, "codes": CODES} for name in SERVICES}
    return rows, TOOL | columns


def test_interviews_of_one_enumerator_that_are_too_alike_wait_for_a_person(judge: Judge) -> None:
    rows, form = answered(alike=True)
    result = judge(rows, instrument=form)
    assert result.state == "waiting_for_review" and result.responses is None and balanced(result)
    assert rows_of(result, "answers_alike") == list(range(22, 42))
    (line,) = failed(result, "answers_of_one_enumerator")
    assert (line["severity"], line["n_failed"]) == ("review", 20) and "1 of 2 enumerators" in line["message"]
    texts = [frame.write_csv() for frame in (result.findings, result.results, result.outcome, *result.rows.values())]
    assert "Invented Interviewer" not in "".join(texts)
    accepted = judge(rows, instrument=form, reviews={"conduct": "accept"})
    assert accepted.state == "accepted_with_flags" and accepted.responses is not None
    assert "Invented Interviewer" not in accepted.responses.write_csv()
    assert judge(rows, instrument=form, reviews={"conduct": "reject"}).state == "rejected"


def test_enumerators_with_answers_of_their_own_are_not_suspected(judge: Judge) -> None:
    rows, form = answered(alike=False)
    result = judge(rows, instrument=form)
    assert result.state == "accepted" and not failed(result, "answers_of_one_enumerator")
    (line,) = result.results.filter(pl.col("expectation") == "answers_of_one_enumerator").to_dicts()
    assert line["n_checked"] == 40


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", None])), max_size=30))
def test_agreement_counts_pairs(cells: list[tuple[str, str | None]]) -> None:
    groups, answers = (
        pl.Series([g for g, _ in cells], dtype=pl.String),
        pl.Series([a for _, a in cells], dtype=pl.String),
    )
    found = dict(agreement(groups, answers).iter_rows())
    for group in "ab":
        mine = [answer for each, answer in cells if each == group and answer is not None]
        pairs = [(a, b) for i, a in enumerate(mine) for b in mine[i + 1 :]]
        if pairs:
            assert found[group] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
        else:
            assert group not in found


def test_columns_of_the_survey_tools_are_found_by_name() -> None:
    kobo = ["start", "end", "grp/enumerator_name", "username", "_validation_status", "_id"]
    assert tool_columns(kobo) == {
        "start": "start", "end": "end", "enumerator": "grp/enumerator_name", "review": "_validation_status"
    }  # fmt: skip
    assert tool_columns(["SubmissionDate", "SubmitterID", "ReviewState"]) == {
        "enumerator": "SubmitterID", "review": "ReviewState"
    }  # fmt: skip
    assert tool_columns(["starttime", "endtime", "review_status"]) == {
        "start": "starttime", "end": "endtime", "review": "review_status"
    }  # fmt: skip
    assert tool_columns(["weekend", "age", "start of the work"]) == {}


# review in the survey tool

STATES = {
    "validation_status_approved": "approved",
    "validation_status_not_approved": "rejected",
    "Not Approved": "rejected",
    "On Hold": "doubtful",
    "validation_status_on_hold": "doubtful",
    "hasIssues": "doubtful",
    "rejected": "rejected",
    "approved": "approved",
    "": None,
    "received": None,
}


def test_the_states_of_the_survey_tools_are_understood() -> None:
    read = pl.DataFrame({"c": list(STATES)}).select(tool_state(pl.col("c"))).to_series().to_list()
    assert read == list(STATES.values())


def reviewed() -> list[Row]:
    rows = timed(lambda n: 30)
    states = {0: "validation_status_not_approved", 1: "validation_status_on_hold", 2: "", 3: "received"}
    return column(rows, "_validation_status", lambda n: states.get(n, "validation_status_approved"))


def test_rows_rejected_in_the_survey_tool_are_out_and_doubtful_ones_are_flagged(judge: Judge) -> None:
    result = judge(reviewed(), instrument=TOOL)
    assert rows_of(result, "rejected_in_tool") == [2] and rows_of(result, "doubtful_in_tool") == [3]
    assert result.balance["n_quarantined"].to_list() == [1, 2] and balanced(result)
    strict = judge(reviewed(), instrument=TOOL, manifest={"tool_review": "approved_only"})
    assert rows_of(strict, "not_approved_in_tool") == [2, 3, 4, 5] and balanced(strict)
    ignored = judge(reviewed(), instrument=TOOL, manifest={"tool_review": "ignore"})
    assert ignored.state == "accepted"


# copies


def test_two_rows_with_the_same_answers_are_both_shown(judge: Judge) -> None:
    rows, people = good_households(), good_persons()
    content = ("water", "minutes", "groups", "size", "residence")
    rows[20] |= {name: rows[2][name] for name in content}
    for member in (0, 1):
        people[40 + member] |= {name: people[4 + member][name] for name in ("sex", "age", "account")}
    form: dict[str, Any] = {}
    for name in SERVICES[:4]:
        form[f"records.household.columns.{name}"] = {"variable": name, "codes": CODES}
        rows = [row | {name: str(1 + (number * 7 + len(name)) % 4)} for number, row in enumerate(rows)]
        rows[20][name] = rows[2][name]
    result = judge(rows, people, instrument=form)
    assert rows_of(result, "same_answers") == [4, 22]
    assert result.state == "accepted_with_flags" and result.balance["n_quarantined"].sum() == 0
    people[41]["age"] = "44"  # another member, another household
    assert judge(rows, people, instrument=form).state == "accepted"


def test_rows_that_agree_by_chance_are_no_copies(judge: Judge) -> None:
    rows = [row | {"minutes": "5", "groups": "none", "water": "11", "size": "2"} for row in good_households()]
    people = [person | {"age": "30", "account": ""} for person in good_persons()]
    assert rows_of(judge(rows, people), "same_answers") == []


# sentinels, heaping, percentages


def test_undeclared_codes_for_missing_among_numbers_are_out(judge: Judge) -> None:
    rows = good_households()
    rows[0]["minutes"], rows[1]["minutes"], rows[2]["minutes"] = "99", "999", "-99"
    rows[3]["minutes"] = rows[4]["minutes"] = "99"
    result = judge(rows)  # 999 is declared, -99 is below the range and listed as impossible
    assert rows_of(result, "undeclared_sentinel") == [2, 5, 6] and result.responses is not None
    kept = result.responses.filter(pl.col("record") == "household").sort("row_number")["minutes"]
    assert kept[0] == "unmapped" and kept[1] == "999" and balanced(result)
    near = [row | {"minutes": str(60 + number)} for number, row in enumerate(good_households())]
    assert "99" in [row["minutes"] for row in near]  # a number like its neighbours is no code
    assert judge(near).state == "accepted"


def test_one_old_person_among_the_young_is_no_code(judge: Judge) -> None:
    people = [person | {"age": str(min(int(person["age"]), 40))} for person in good_persons()]
    people[7]["age"] = "88"
    result = judge(persons=people)
    assert result.state == "accepted" and result.responses is not None
    assert rows_of(result, "possible_sentinel") == [9] and rows_of(result, "undeclared_sentinel") == []
    kept = result.responses.filter(pl.col("record") == "person").sort("row_number")["age"]
    assert kept[7] == "88"


def test_a_question_that_later_stages_stop_is_told_to_the_partner(judge: Judge, mappings: Mappings) -> None:
    """What is told is what the harmonisation does: unknown codes above the limit make no number."""
    for wrong in (2, 3):  # of 40, at a limit of one in twenty
        rows = good_households()
        for number in range(wrong):
            rows[number]["water"] = str(22 + number)
        result = judge(rows)
        told = result.findings.filter(pl.col("reason_id") == "question_stopped")["column"].to_list()
        assert result.responses is not None
        with connect(threads=1) as connection:
            instrument = Instrument.model_validate(INSTRUMENT)
            made = harmonise(connection, instrument, result.responses.lazy(), mappings, 0.05)
        stopped = [name for name, (_, _, stops) in made.unmapped.items() if stops]
        assert (told, stopped) == (([], []) if wrong == 2 else (["water"], ["drinking_water_source"]))


@pytest.mark.parametrize(
    ("ages", "index"),
    [(list(range(23, 63)), 100.0), ([25, 30, 35, 40] * 10, 500.0), ([24, 31] * 20, 0.0), ([3, 80], 0.0)],
)
def test_whipples_index_by_hand(ages: list[int], index: float) -> None:
    assert whipple(pl.Series([float(age) for age in ages]))[0] == index


def people_of_ages(ages: list[int]) -> tuple[list[Row], list[Row]]:
    rows = [row | {"id": f"h{n:03d}", "cluster": f"c{n // 25}", "stratum": "kisumu" if n < 100 else "turkana"}
            | {"area": "kisumu" if n < 100 else "turkana", "date": "2019-05-10", "minutes": str(n % 90), "size": "1"}
            for n, row in enumerate(good_households(200))]  # fmt: skip
    people = [person | {"household_id": f"h{n:03d}", "age": str(ages[n % len(ages)])}
              for n, person in enumerate(good_persons(200)[::2])]  # fmt: skip
    return rows, people


SIZE = {"sample_size": {"planned": 200, "achieved": 200}}


def test_heaped_ages_are_told_with_their_index(judge: Judge) -> None:
    result = judge(*people_of_ages([25, 30, 40, 50, 60]), manifest=SIZE)
    (line,) = failed(result, "ages_not_heaped")
    assert "index 500" in line["message"] and line["severity"] == "warning"
    assert judge(*people_of_ages(list(range(23, 63))), manifest=SIZE).state == "accepted"
    few = judge().results.filter(pl.col("expectation") == "ages_not_heaped").row(0, named=True)
    assert few["outcome"] == "not_applicable"  # 40 people give no index


def scores(cells: list[str], maximum: float) -> Findings:
    """What is found of a column of scores on a scale from 0."""
    said = {"table": "scores", "unit": "score", "columns": {"score": {"role": "score"}}}
    form = merged(INSTRUMENT, {"records": {"scores": said}, "data_type": "score_card", "consent": None})
    form["scale"] = {"minimum": 0, "maximum": maximum, "better": "high"}
    instrument = Instrument.model_validate(form)
    numbers = [str(number) for number in range(2, 2 + len(cells))]
    frame = pl.DataFrame(
        {ROW: range(2, 2 + len(cells)), LABEL: numbers, KEY: numbers}, schema_overrides={ROW: pl.Int32}
    )
    part = Rows("scores", instrument.records["scores"], "card.xlsx", None, "ymd", frame)
    part.numbers["score"] = pl.Series(cells).cast(pl.Float64)
    part.kept["score"] = part.shown["score"] = pl.Series(cells)
    found = Findings()
    check_percentages(part, instrument, load_mappings(Settings.load().mappings), found)
    return found


def test_shares_among_percentages_are_listed() -> None:
    assert scores(["45", "0.45", "60", "1", "0"], 100).table()["row_number"].to_list() == [3]
    assert scores(["0.45", "0.6", "1"], 100).table().is_empty()  # all of them shares: one unit
    assert scores(["45", "60"], 100).table().is_empty()
    assert scores(["4", "0.5"], 5).table().is_empty() and not scores(["4", "0.5"], 5).results


# coverage and sizes


def test_a_claimed_area_without_rows_is_told(judge: Judge) -> None:
    result = judge(manifest={"geography.admin1": ["KE-17", "KE-43", "KE-30"]})
    (line,) = failed(result, "claimed_areas_present")
    assert "KE-30" in line["message"] and "KE-17" not in line["message"]
    assert result.state == "accepted_with_flags" and not failed(judge(), "claimed_areas_present")


def test_a_national_label_on_few_areas_is_told_and_says_what_is_not_known(judge: Judge) -> None:
    national = {"geography": {"level": "national", "admin1": [], "description": "the country"}}
    result = judge(manifest=national)
    (line,) = failed(result, "national_claim")
    assert "2 of 47" in line["message"] and "not known" in line["message"]
    nepal = {"submission": "npl-2019-test", "country": "NPL"} | national
    codes = {f"code{n}": f"NP-P{n}" for n in range(1, 8)}
    rows = column(good_households(), "area", lambda n: f"code{1 + n % 7}")
    wide = judge(rows, manifest=nepal, instrument={"records.household.columns.area.codes": codes})
    assert not failed(wide, "national_claim") and wide.state == "accepted"
    (line,) = wide.results.filter(pl.col("expectation") == "national_claim").to_dicts()
    assert "7 of 7" in line["message"]


def test_groups_with_few_cases_are_said_and_flag_nothing(judge: Judge) -> None:
    result = judge()
    lines = result.results.filter(pl.col("expectation") == "cases_by_group").to_dicts()
    by_column = {line["column"]: line["message"] for line in lines}
    assert (
        "2 groups in groups have fewer than 25 rows" in by_column["groups"]
    )  # 14 without a group, 13 Dalit, 26 others
    assert "every group has enough" in by_column["sex"] and result.state == "accepted"


def test_missing_answers_are_counted_for_each_question(judge: Judge) -> None:
    rows = good_households()
    for row in rows[:7]:
        row["water"] = ""
    result = judge(rows)
    line = result.results.filter((pl.col("expectation") == "share_without_answer") & (pl.col("column") == "water"))
    assert line.select("n_checked", "n_failed", "outcome", "severity").row(0) == (40, 7, "passed", "information")


@settings(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_row_is_accounted_for_whatever_the_tool_and_the_people_say(judge: Judge, data: st.DataObject) -> None:
    pick = st.sampled_from
    rows = timed(lambda n: 30)[:12]
    for row in rows:
        row["_validation_status"] = data.draw(pick(list(STATES)))
        row["consent"] = data.draw(pick(["1", "1", "2"]))
        row["may_share"] = data.draw(pick(["1", "1", "2", ""]))
        row["minutes"] = data.draw(pick(["5", "999", "99", "-99", "x"]))
    people = [person for person in good_persons() if person["household_id"] in {row["id"] for row in rows}]
    said = {"consent.share_data_column": "may_share", "sample_size": {"planned": 12, "achieved": 12}}
    result = judge(
        rows, people, manifest=said, instrument=TOOL | {"records.household.columns.may_share": {"exclude": "consent"}},
    )  # fmt: skip
    assert balanced(result)
    if result.responses is not None:
        assert result.responses.height == result.balance["n_accepted"].sum()
