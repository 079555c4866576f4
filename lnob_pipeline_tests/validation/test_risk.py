"""The risk of disclosure: by hand, against the series behind it, what opens the gate. All people are invented."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import DISCLOSURE_RISK, harmonised_households, harmonised_persons
from lnob_pipeline.validation.risk import disclosure_risk, individual_risk, microdata_may_leave
from lnob_pipeline_tests.validation.conftest import MANIFEST, merged


def mean_of_one_over_population(f: int, p: float) -> float:
    """The sum over the negative binomial, term by term: P(F = h) = C(h - 1, f - 1) p^f (1 - p)^(h - f)."""
    total, probability, h = 0.0, p**f, f
    while h < 10 * f or probability / h > 1e-15:
        total += probability / h
        probability *= h / (h - f + 1) * (1 - p)
        h += 1
    return total


def risk_of(f: float, population: float | None) -> float:
    frame = pl.DataFrame({"f": [f], "F": [population]}, schema={"f": pl.Float64, "F": pl.Float64})
    return float(frame.select(individual_risk(pl.col("f"), pl.col("F"))).item())


@pytest.mark.parametrize("f", [1, 2, 3])
@given(p=st.floats(0.01, 0.95))
def test_the_closed_forms_are_the_series(f: int, p: float) -> None:
    assert risk_of(f, f / p) == pytest.approx(mean_of_one_over_population(f, p), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("f", [4, 6, 10, 25])
@pytest.mark.parametrize("p", [0.02, 0.2, 0.5, 0.9])
def test_the_approximation_is_near_the_series(f: int, p: float) -> None:
    assert risk_of(f, f / p) == pytest.approx(mean_of_one_over_population(f, p), rel=0.06)


@pytest.mark.parametrize(
    ("f", "population", "published"),
    [(2, 110.0, 0.017), (2, 84.5, 0.022), (1, 17.0, 0.177), (1, 541.0, 0.012), (1, 8.0, 0.297), (1, 5.0, 0.402)],
)
def test_the_example_of_the_literature(f: int, population: float, published: float) -> None:
    """The eight records of `francdat` in the R package sdcMicro, an example of Capobianchi, Polettini and Lucarelli."""
    assert risk_of(f, population) == pytest.approx(published, abs=5e-4)


@given(st.integers(1, 50), st.floats(1.0, 1e5), st.floats(1.01, 10.0))
def test_more_people_like_this_are_less_risk(f: int, weight: float, more: float) -> None:
    assert 0 < risk_of(f, f * weight * more) <= risk_of(f, f * weight) + 1e-9 <= 1 / f + 1e-6


def test_without_a_population_the_sample_is_the_population() -> None:
    assert risk_of(4, None) == risk_of(4, 4.0) == risk_of(4, 3.0) == 0.25


def survey(
    mappings: Mappings, homes: list[dict[str, Any]], people: list[dict[str, Any]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Harmonised tables with the given columns; all others are absent answers."""
    frames = []
    for table, rows in ((harmonised_households(mappings), homes), (harmonised_persons(mappings), people)):
        said = [{"submission_id": "ken-2019-test"} | row for row in rows]
        frames.append(pl.DataFrame(said, schema_overrides={k: v for k, v in table.schema.items() if k in said[0]}))
        absent = (pl.lit(None, dtype=kind).alias(name) for name, kind in table.schema.items() if name not in said[0])
        frames[-1] = frames[-1].with_columns(absent).select(list(table.schema))
    return frames[0], frames[1]


def measured(
    mappings: Mappings, homes: list[dict[str, Any]], people: list[dict[str, Any]], **changes: Any
) -> dict[tuple[str, str], dict[str, Any]]:
    manifest = Manifest.model_validate(merged(MANIFEST, {"sampling": {"method": "purposive"}} | changes))
    table = disclosure_risk(manifest, "v1", *survey(mappings, homes, people), mappings, Settings.load())
    assert dict(table.schema) == DISCLOSURE_RISK.schema
    return {(row["level"], row["measure"]): row for row in table.iter_rows(named=True)}


def person(household: int, number: int, sex: str, age: float) -> dict[str, Any]:
    return {"household_key": f"h{household}", "person_key": f"h{household}-{number}", "sex": sex, "age": age}


def test_by_hand(mappings: Mappings) -> None:
    """Six households of one area: five of a woman of 30 to 34 alone, one of a man of 60 with a girl of 3."""
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(6)]
    people = [person(i, 0, "female", 30.0 + i % 5) for i in range(5)]
    people += [person(5, 0, "male", 60.0), person(5, 1, "female", 3.0)]
    found = measured(mappings, homes, people)
    value = {key: row["value"] for key, row in found.items()}
    assert value["person", "records"] == 7 and value["household", "records"] == 6
    assert value["person", "smallest_k"] == value["household", "smallest_k"] == 1
    assert value["person", "share_below_internal_k"] == value["person", "share_below_public_k"] == 2 / 7
    assert value["household", "share_below_public_k"] == 1 / 6
    # Five are one in five each, two are sure; a household is found as surely as its most exposed member.
    assert value["person", "global_risk"] == pytest.approx((5 * 0.2 + 2) / 7)
    assert value["household", "global_risk"] == pytest.approx((5 * 0.2 + 1) / 6)
    assert value["person", "highest_risk"] == 1
    assert found["person", "smallest_k"]["verdict"] == found["person", "global_risk"]["verdict"] == "closed"
    # Without age the girl is one of six women and girls, the man stays alone; without sex both stay alone.
    assert found["person", "smallest_k"]["drivers"] == f"age {100 / 7:.1f}"


def test_a_missing_answer_is_a_value_of_its_own(mappings: Mappings) -> None:
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(6)]
    people = [person(i, 0, "female", 31.0) for i in range(6)]
    people[5]["age"] = None
    assert measured(mappings, homes, people)["person", "smallest_k"]["value"] == 1


def test_two_answers_of_members_make_a_household_known(mappings: Mappings) -> None:
    """Each person is one of many alike, the couple of two women is one of a kind."""
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(11)]
    people = [person(i, k, sex, 40.0) for i in range(10) for k, sex in enumerate(("female", "male"))]
    people += [person(10, 0, "female", 40.0), person(10, 1, "female", 40.0)]
    found = measured(mappings, homes, people)
    assert found["person", "smallest_k"]["value"] == 10
    assert found["person", "smallest_k"]["verdict"] == "open"
    assert found["household", "smallest_k"]["value"] == 1
    assert found["household", "smallest_k"]["verdict"] == "closed"
    assert found["household", "smallest_k"]["drivers"].startswith("sex ")


def test_the_order_of_the_members_is_no_difference(mappings: Mappings) -> None:
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(6)]
    couple = [("female", 20.0), ("male", 50.0)]
    people = [person(i, k, *who) for i in range(6) for k, who in enumerate(couple if i % 2 else reversed(couple))]
    assert measured(mappings, homes, people)["household", "smallest_k"]["value"] == 6


PROBABILITY = {"sampling": MANIFEST["sampling"]}


def test_weights_count_for_the_general_population_alone(mappings: Mappings) -> None:
    """The same answers and weights: hidden among others, or of a named group that is covered as a whole."""
    homes = [
        {"household_key": f"h{i}", "household_weight": 200.0, "admin1": "KE-17", "marginalised_groups": "none"}
        for i in range(4)
    ]
    people = [person(i, 0, "female", 20.0 + 10 * i) for i in range(4)]
    hidden = measured(mappings, homes, people, **PROBABILITY)["person", "global_risk"]["value"]
    assert hidden == pytest.approx(mean_of_one_over_population(1, 1 / 200))
    assert measured(mappings, homes, people)["person", "global_risk"]["value"] == 1
    for home in homes[:2]:
        home["marginalised_groups"] = "persons_with_disabilities"
    mixed = measured(mappings, homes, people, **PROBABILITY)["person", "global_risk"]["value"]
    assert mixed == pytest.approx((2 * 1 + 2 * hidden) / 4)


def test_who_was_not_asked_about_a_named_group_hides_nowhere(mappings: Mappings) -> None:
    """The sample is of a named group and the form does not ask for it: weights stand for no other people."""
    homes = [{"household_key": f"h{i}", "household_weight": 200.0, "admin1": "KE-17"} for i in range(4)]
    people = [person(i, 0, "female", 20.0 + 10 * i) for i in range(4)]
    named = measured(mappings, homes, people, groups=["dalit"], **PROBABILITY)
    assert named["person", "global_risk"]["value"] == named["household", "global_risk"]["value"] == 1
    assert measured(mappings, homes, people, **PROBABILITY)["person", "global_risk"]["value"] < 0.05


def test_a_weight_that_is_absent_hides_nobody(mappings: Mappings) -> None:
    homes = [{"household_key": f"h{i}", "household_weight": 200.0 if i else None, "admin1": "KE-17"} for i in range(4)]
    people = [person(i, 0, "female", 20.0 + 10 * i) for i in range(4)]
    assert measured(mappings, homes, people, **PROBABILITY)["person", "global_risk"]["value"] == 1


def large(mappings: Mappings) -> pl.DataFrame:
    """A survey whose records are all alike."""
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(60)]
    people = [person(i, 0, "female", 31.0) for i in range(60)]
    manifest = Manifest.model_validate(merged(MANIFEST, {"sampling": {"method": "purposive"}}))
    return disclosure_risk(manifest, "v1", *survey(mappings, homes, people), mappings, Settings.load())


def test_the_gate_opens_for_what_was_measured_and_is_safe(mappings: Mappings) -> None:
    risk = large(mappings)
    assert set(risk["verdict"].drop_nulls()) == {"open"}
    assert microdata_may_leave(risk, "ken-2019-test", "v1")


def test_the_gate_stays_closed_for_all_else(mappings: Mappings) -> None:
    risk = large(mappings)
    assert not microdata_may_leave(DISCLOSURE_RISK.empty(), "ken-2019-test", "v1")
    assert not microdata_may_leave(risk, "ken-2019-test", "v2")
    assert not microdata_may_leave(risk, "ken-2019-other", "v1")
    assert not microdata_may_leave(risk.filter(pl.col("level") == "person"), "ken-2019-test", "v1")
    for place in range(risk.height):
        if risk["verdict"][place] is None:
            continue
        here = pl.int_range(pl.len()) == place
        closed = risk.with_columns(pl.when(here).then(pl.lit("closed")).otherwise("verdict").alias("verdict"))
        assert not microdata_may_leave(closed, "ken-2019-test", "v1")


def test_the_limits_are_settings(mappings: Mappings) -> None:
    homes = [{"household_key": f"h{i}", "admin1": "KE-17"} for i in range(4)]
    people = [person(i, 0, "female", 31.0) for i in range(4)]
    manifest = Manifest.model_validate(merged(MANIFEST, {"sampling": {"method": "purposive"}}))
    tables = survey(mappings, homes, people)
    strict = disclosure_risk(manifest, "v1", *tables, mappings, Settings.load())
    loose = disclosure_risk(manifest, "v1", *tables, mappings, Settings.load(risk_k_public=4, risk_global_limit=0.25))
    assert not microdata_may_leave(strict, "ken-2019-test", "v1")
    assert microdata_may_leave(loose, "ken-2019-test", "v1")


def test_nothing_measured_where_there_are_no_records(mappings: Mappings) -> None:
    households, persons = harmonised_households(mappings).empty(), harmonised_persons(mappings).empty()
    manifest = Manifest.model_validate(MANIFEST)
    assert disclosure_risk(manifest, "v1", households, persons, mappings, Settings.load()).is_empty()


def test_the_question_bank_declares_what_others_can_see(mappings: Mappings) -> None:
    declared = {name for name, said in (mappings.variables | mappings.derived).items() if said.quasi_identifier}
    assert {"sex", "age", "admin1", "marginalised_groups", "household_size", "disability"} <= declared
    assert not declared & {"household_weight", "drinking_water_source", "cluster"}
    assert math.isclose(Settings.load().risk_global_limit, 0.03)
