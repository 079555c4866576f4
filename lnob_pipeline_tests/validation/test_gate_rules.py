"""Each rule with a case that passes and a case that fails, and what is kept of the row and the cell."""

from __future__ import annotations

import copy

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import QUARANTINE, RESPONSES, VALIDATION_OUTCOMES, VALIDATION_RESULTS
from lnob_pipeline.validation.rules import RULES
from lnob_pipeline_tests.thorough import tries


def outcomes(validated, rule_id):
    return validated.results.filter(pl.col("rule_id") == rule_id)


def failed(validated, rule_id, expectation=None):
    rows = outcomes(validated, rule_id).filter(pl.col("outcome") == "failed")
    if expectation:
        rows = rows.filter(pl.col("expectation") == expectation)
    return rows.height > 0


def listed(validated, rule_id):
    return validated.quarantine.filter(pl.col("rule_id") == rule_id).sort("row_number")


def cell(validated, record, row, column):
    found = validated.responses.filter((pl.col("record") == record) & (pl.col("row_number") == row))
    assert found.height == 1
    return found[column][0]


def counts(validated, record="household"):
    return validated.balance.filter(pl.col("record") == record).drop("record").row(0)


def test_a_hand_in_that_is_right_is_accepted(judge):
    validated = judge()
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert counts(validated) == (40, 40, 0, 0)
    assert counts(validated, "person") == (80, 80, 0, 0)
    assert validated.quarantine.is_empty()
    assert validated.responses.height == 120
    assert not {"head_name", "phone", "remarks", "name", "id", "consent"} & set(validated.responses.columns)
    first = validated.responses.filter(pl.col("record") == "person").row(0, named=True)
    assert (first["record_key"], first["parent_key"], first["age"], first["sex"]) == (
        "person-2",
        "household-2",
        "20",
        "1",
    )
    failing = validated.results.filter(pl.col("outcome") == "failed")
    assert failing.is_empty()


def test_every_rule_is_answered_in_every_run_and_frames_have_their_form(judge):
    runs = [judge(), judge(manifest={"instrument": "nobody-knows-it"}), judge(contents={"households.csv": b"\x00"})]
    for validated in runs:
        assert set(validated.results["rule_id"]) == set(RULES)
        assert list(validated.quarantine.columns) == list(QUARANTINE.schema)
        assert list(validated.results.columns) == list(VALIDATION_RESULTS.schema)
        assert dict(validated.results.schema) == VALIDATION_RESULTS.schema
        assert dict(validated.outcome.schema) == VALIDATION_OUTCOMES.schema
        assert dict(validated.quarantine.schema) == QUARANTINE.schema
    assert outcomes(runs[1], "codes")["outcome"].to_list() == ["not_applicable"]
    assert runs[0].responses.select(list(RESPONSES.schema)).schema == RESPONSES.schema


def test_the_number_of_rules_stays_what_a_person_can_read():
    assert 12 <= len(RULES) <= 22
    for rule in RULES.values():
        assert rule.title and rule.why.endswith(".") and rule.mend.endswith(".") and rule.example


# readable, structure


def test_a_file_that_does_not_open_rejects(judge):
    validated = judge(contents={"persons.csv": b"PK\x03\x04 no text"})
    assert validated.state == "rejected" and validated.responses is None
    assert failed(validated, "readable") and not failed(judge(), "readable")
    assert "persons.csv" in validated.findings.filter(pl.col("rule_id") == "readable")["file"].to_list()


def test_too_many_rows_are_refused(judge):
    validated = judge(settings=Settings.load(maximum_rows=39))
    assert validated.state == "rejected" and failed(validated, "readable", "too_many_rows")


def test_a_readers_own_exception_passes_on_its_kind_only(judge, monkeypatch):
    def burst(content, file, limits):
        raise RuntimeError("cell 'Invented Person 7' is bad")

    monkeypatch.setattr("lnob_pipeline.validation.reading.read_file", burst)
    validated = judge()
    assert validated.state == "rejected"
    assert "Invented Person" not in str(validated.findings.to_dicts()) + str(validated.results.to_dicts())
    assert "RuntimeError" in validated.outcome["reasons"][0]


def test_an_absent_column_rejects_and_an_unknown_one_is_left_out(judge, households):
    for row in households:
        del row["water"]
    validated = judge(households)
    assert validated.state == "rejected"
    assert outcomes(validated, "structure").filter(pl.col("outcome") == "failed")["column"].to_list() == ["water"]
    extra = [row | {"water": "11", "Told by Invented Person": "x", "water_2": "y"} for row in households]
    validated = judge(extra)
    assert validated.state == "accepted_with_flags"
    shown = validated.findings.filter(pl.col("rule_id") == "structure")["column"].to_list()
    assert shown == ["column 16", "water_2"]
    assert not {"new_question", "Told by Invented Person"} & set(validated.responses.columns)


def test_an_absent_or_empty_table_rejects(judge, households):
    assert judge(manifest={"files": [{"path": "households.csv", "role": "data", "format": "csv"}]}).state == "rejected"
    empty = judge(contents={"households.csv": (",".join(households[0]) + "\n").encode()})
    assert empty.state == "rejected" and failed(empty, "structure", "empty_table")


# consent


def test_refused_rows_leave_nothing_but_their_number(judge, households, persons):
    households[3] |= {"consent": "2", "water": "marker_xyzzy", "remarks": "marker_xyzzy", "minutes": "marker_xyzzy"}
    households[7] |= {"consent": ""}
    for person in persons:
        if person["household_id"] in ("h003", "h007"):
            person["account"] = "marker_xyzzy"
    validated = judge(households, persons)
    assert counts(validated) == (40, 38, 0, 2)
    assert counts(validated, "person") == (80, 76, 0, 4)
    refused = validated.quarantine.filter(pl.col("effect") == "refused")
    assert refused.select("record", "row_number").rows() == [("household", 5), ("household", 9)]
    assert refused["written"].null_count() == refused.height and refused["column"].null_count() == refused.height
    for frame in (
        validated.responses,
        validated.quarantine,
        validated.results,
        validated.findings,
        *validated.rows.values(),
    ):
        assert "marker_xyzzy" not in frame.write_csv()
    assert not set(refused["row_number"]) & set(
        validated.responses.filter(pl.col("record") == "household")["row_number"].to_list()
    )


@pytest.mark.parametrize(
    "manifest",
    [
        {"consent.column": "agreed"},
        {"consent": {"obtained": "not_applicable"}},
        {"consent": {"obtained": "per_group"}},
        {"consent.affirmative": ["yes"]},
    ],
)
def test_without_consent_no_cell_is_read(judge, households, manifest):
    households[2]["water"] = "no_such_code"
    validated = judge(households, manifest=manifest)
    assert validated.state == "rejected" and failed(validated, "consent")
    assert validated.quarantine.filter(pl.col("effect") != "refused").is_empty()
    assert validated.rows == {}
    assert "no_such_code" not in validated.findings.write_csv()


# ethics and engagement


def test_ethics_approval_precedes_the_interviews(judge, households, persons):
    assert failed(judge(manifest={"ethics.approval_date": "2019-05-02"}), "ethics")
    assert judge(manifest={"ethics.approval_date": "2019-05-02"}).state == "rejected"
    persons[0]["age"] = "15"
    young = judge(persons=persons)
    assert failed(young, "ethics", "minors")
    assert young.state == "waiting_for_review" and failed(young, "ethics", "no_guardian_declared")
    assert judge(persons=persons, reviews={"ethics": "accept"}).state == "accepted_with_flags"
    allowed = judge(persons=persons, manifest={"ethics.minors_interviewed": True, "ethics.guardian_consent": True})
    assert not failed(allowed, "ethics")


def test_engagement_is_information(judge):
    validated = judge(manifest={"engagement.design": 2, "engagement.collection": 3})
    assert validated.state == "accepted" and not validated.outcome["citizen_data"][0]
    assert failed(validated, "citizen_engagement") and not failed(judge(), "citizen_engagement")


# identity, dates, place


def test_all_rows_with_the_same_id_are_out_with_their_members(judge, households):
    households[5]["id"] = "h004"
    validated = judge(households)
    assert listed(validated, "identity").filter(pl.col("record") == "household")["row_number"].to_list() == [6, 7]
    assert counts(validated) == (40, 38, 2, 0)
    # the members of h004 wait with it, those of h005 have lost their household
    assert counts(validated, "person") == (80, 76, 4, 0)
    assert validated.outcome["quarantine_share"][0] == pytest.approx(2 / 40)


def test_interviews_outside_the_collection_are_out(judge, households):
    households[0]["date"] = "2019-07-01"
    households[1]["date"] = "30/06/2019"
    validated = judge(households)
    dates = listed(validated, "dates").filter(pl.col("record") == "household")
    assert dates["row_number"].to_list() == [2]
    assert cell(validated, "household", 3, "date") == "2019-06-30"


def test_bikram_sambat_years_are_proposed_and_never_taken(judge, households):
    households[0]["date"] = "२०७६-०२-१३"
    validated = judge(households)
    found = listed(validated, "dates").row(0, named=True)
    assert (found["effect"], found["row_number"], found["written"]) == ("cell", 2, "२०७६-०२-१३")
    assert "2019-05" in found["reason"]
    assert cell(validated, "household", 2, "date") is None


def test_rows_from_elsewhere_are_out(judge, households):
    households[0]["area"] = "nairobi"
    validated = judge(households)
    assert listed(validated, "place").filter(pl.col("record") == "household")["row_number"].to_list() == [2]
    assert not failed(judge(), "place")


# codes, types, ranges


def test_an_unknown_code_stays_and_is_listed(judge, households):
    households[0]["water"] = "77"
    households[1]["groups"] = "pwd pwds"
    validated = judge(households)
    codes = listed(validated, "codes")
    assert codes.select("row_number", "column", "effect", "written").rows() == [
        (2, "water", "cell", "77"),
        (3, "groups", "cell", "pwds"),
    ]
    assert cell(validated, "household", 2, "water") == "77"
    assert cell(validated, "household", 3, "groups") == "pwd pwds"
    assert counts(validated) == (40, 40, 0, 0) and validated.state == "accepted_with_flags"


def test_an_unknown_code_that_could_name_somebody_is_not_kept(judge, households):
    households[0]["water"] = "Invented Person"
    households[1]["water"] = "0722000111"
    households[2]["groups"] = "pwd Wanjiku"
    validated = judge(households)
    text = validated.quarantine.write_csv() + validated.responses.write_csv() + validated.findings.write_csv()
    assert not any(part in text for part in ("Invented Person", "0722000111", "Wanjiku"))
    assert cell(validated, "household", 2, "water") == "unmapped"
    assert cell(validated, "household", 3, "water") == "unmapped"
    assert cell(validated, "household", 4, "groups") == "pwd unmapped"
    assert listed(validated, "identifiers")["row_number"].to_list() == [3]


def test_digits_of_other_scripts_are_the_same_answer(judge, households, persons):
    households[0] |= {"water": "२१", "minutes": "১২"}
    persons[0]["age"] = " ४५ "
    validated = judge(households, persons)
    assert validated.state == "accepted"
    assert cell(validated, "household", 2, "water") == "21"
    assert cell(validated, "household", 2, "minutes") == "12"
    assert cell(validated, "person", 2, "age") == "45"


def test_numbers_that_are_none_and_impossible_ones(judge, households, persons):
    households[0]["minutes"] = "about ten"
    households[1]["minutes"] = "1,234"
    persons[0]["age"] = "214"
    persons[2]["age"] = "-3"
    persons[4]["age"] = "998"
    validated = judge(households, persons)
    assert listed(validated, "types").select("row_number", "written").rows() == [(2, None), (3, "1,234")]
    assert listed(validated, "ranges").select("row_number", "written").rows() == [(2, "214"), (4, "-3")]
    assert "0 and 110" in listed(validated, "ranges")["reason"][0]
    assert cell(validated, "household", 2, "minutes") == "unmapped"
    assert cell(validated, "person", 2, "age") == "unmapped"
    assert cell(validated, "person", 6, "age") == "998"


# design, household


def test_rows_without_design_are_out(judge, households):
    households[0]["weight"] = ""
    households[1]["weight"] = "0"
    households[2]["cluster"] = ""
    households[39]["stratum"] = "kisumu"
    validated = judge(households)
    out = listed(validated, "design").filter(pl.col("record") == "household")["row_number"].to_list()
    assert out == [2, 3, 4, 41]
    assert validated.state == "accepted_with_flags"
    assert not failed(judge(households, manifest={"sampling": {"method": "purposive"}}), "design")


def test_cluster_numbers_used_twice_and_absent_weights_reject(judge, households):
    for i, row in enumerate(households):
        row["cluster"] = f"c{(i // 5) % 4}"
    validated = judge(households)
    assert validated.state == "rejected" and failed(validated, "design", "cluster_in_one_stratum")
    for row in households:
        row["weight"] = ""
    assert failed(judge(households), "design", "no_design_rows")
    assert failed(judge(manifest={"sampling.weight": "size"}), "design", "columns_as_declared")


def test_households_and_members_fit(judge, households, persons):
    households[0]["size"] = "5"
    persons[3]["respondent"] = "1"
    persons.append(persons[0] | {"household_id": "h999"})
    validated = judge(households, persons)
    assert failed(validated, "household", "roster_size")
    assert failed(validated, "household", "one_respondent")
    assert failed(validated, "household", "parent_present")
    assert cell(validated, "person", 4, "respondent") is None and cell(validated, "person", 5, "respondent") is None
    assert counts(validated, "person") == (81, 80, 1, 0)
    assert not failed(judge(), "household")


# completeness, share


def test_completeness(judge, households):
    assert failed(judge(manifest={"sample_size.achieved": 39}), "completeness", "achieved_differs")
    assert failed(judge(manifest={"sample_size.planned": 60}), "completeness", "far_below_plan")
    for row in households[:5]:
        row["residence"] = ""
    assert failed(judge(households), "completeness", "breakdown_answered")
    assert not failed(judge(), "completeness")


def test_many_rows_in_quarantine_flag_and_then_reject(judge, households):
    for row in households[:3]:
        row["date"] = "2018-01-01"
    flagged = judge(households)
    assert flagged.state == "accepted_with_flags" and failed(flagged, "quarantine_share")
    assert flagged.outcome["quarantine_share"][0] == pytest.approx(3 / 40)
    for row in households[:21]:
        row["date"] = "2018-01-01"
    rejected = judge(households)
    assert rejected.state == "rejected" and rejected.responses is None
    assert listed(rejected, "dates").filter(pl.col("record") == "household").height == 21
    for row in households:
        row["date"] = "2018-01-01"
    assert failed(judge(households), "quarantine_share", "nothing_accepted")


def test_the_design_mismatch_and_the_wrong_type_are_named(judge):
    assert failed(judge(manifest={"data_type": "interview", "sampling": {"method": "purposive"}}), "structure")


# the balance of rows

ODD = st.sampled_from(
    ["", "1", "2", "h001", "77", "1,234", "x y", "-5", "२०७६-०२-१३", "2019-05-03", "999", "\u200b", "=1+1"]
)


@settings(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 39),
            st.sampled_from(
                ["id", "consent", "date", "area", "weight", "cluster", "water", "minutes", "groups", "size"]
            ),
            st.sampled_from(["household_id", "sex", "age", "respondent", "account"]),
            ODD,
        ),
        max_size=40,
    )
)
def test_rows_in_are_rows_accepted_quarantined_or_refused(judge, households, persons, changes):
    households, persons = copy.deepcopy(households), copy.deepcopy(persons)
    for top, row, column, member_column, text in changes:
        if top:
            households[row][column] = text
        else:
            persons[row][member_column] = text
    validated = judge(households, persons)
    balance = validated.balance
    assert (balance["n_rows"] == balance["n_accepted"] + balance["n_quarantined"] + balance["n_refused"]).all()
    assert balance["n_rows"].to_list() == [40, 80]
    outcome = validated.outcome.row(0, named=True)
    assert outcome["n_rows"] == outcome["n_accepted"] + outcome["n_quarantined"] + outcome["n_refused"]
    if validated.responses is not None:
        kept = dict(validated.responses.group_by("record").len().iter_rows())
        assert {r: kept.get(r, 0) for r in balance["record"]} == dict(
            balance.select("record", "n_accepted").iter_rows()
        )
        assert validated.responses.select("record", "row_number").is_unique().all()
        assert validated.responses.select("record", "record_key").is_unique().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"country": "XXX", "submission": "xxx-2019-survey"},
        {"geography.level": "admin1", "geography.admin1": ["KE-99"]},
        {"groups": ["dalits"]},
    ],
    ids=["country", "area", "group"],
)
def test_a_country_area_or_group_that_nobody_knows_rejects(judge, changes: dict[str, object]) -> None:
    validated = judge(manifest=changes)
    assert validated.state == "rejected"
    assert failed(validated, "structure")
    assert "manifest" in validated.outcome["reasons"][0]
