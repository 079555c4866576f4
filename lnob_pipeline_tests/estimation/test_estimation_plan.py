"""Stage 4's plan by hand: weights, universes, missing rules, classes, and what a purposive sample may not say."""

from typing import Any

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Record
from lnob_pipeline_tests.estimation.surveys import form, household, row, run

FUEL = [
    household(1, 2.0, 4, "lpg"),
    household(1, 2.0, 2, "wood"),
    household(2, 1.0, 5, "wood"),
    household(2, 1.0, 3, "electricity"),
    household(3, 3.0, 1, "wood"),
    household(3, 3.0, 2, "no_cooking"),  # leaves the denominator
    household(4, 1.0, 6, "lpg"),
    household(4, 1.0, 2, "dont_know"),  # leaves the denominator
]


def test_households_count_their_members_and_the_variance_is_that_of_clusters(mappings: Mappings) -> None:
    # Weights x size in the denominator: 8, 4, 5, 3, 3, 6 = 29; clean: 8 + 3 + 6 = 17.
    share = 17 / 29
    # Scores of the clusters: sum of w (y - p) / 29.
    scores = {
        1: (8 * (1 - share) - 4 * share) / 29,
        2: (3 * (1 - share) - 5 * share) / 29,
        3: -3 * share / 29,
        4: 6 * (1 - share) / 29,
    }
    # Two clusters a stratum: n / (n - 1) x sum of squares about the mean = (a - b)^2.
    variance = (scores[1] - scores[2]) ** 2 + (scores[3] - scores[4]) ** 2
    found = row(run(mappings, FUEL), "EG_EGY_CLEAN")
    assert found["estimate"] == pytest.approx(100 * share, abs=1e-9)
    assert found["standard_error"] == pytest.approx(100 * variance**0.5, abs=1e-9)
    assert (found["n"], found["n_numerator"], found["n_clusters"], found["degrees_of_freedom"]) == (6, 3, 4, 2)
    assert found["ci_low"] < found["estimate"] < found["ci_high"]
    assert (found["comparability"], found["area_level"], found["area"]) == ("A", "admin1", "KE-17")
    assert found["population"] == "persons (members of private households of Kisumu)"


def child(status: str, age: float = 3.0) -> dict[str, Any]:
    return {"age": age, "sex": "female", "birth_registration": status}


def test_birth_registration_keeps_dont_know_in_the_denominator_and_refused_out(mappings: Mappings) -> None:
    statuses = ["certificate_seen", "registered_no_certificate", "not_registered", "dont_know", "refused"]
    rows = [household(1 + i % 4, 1.0, 1, "wood", members=[child(status)]) for i, status in enumerate(statuses)]
    rows.append(household(1, 1.0, 1, "wood", members=[child("certificate_seen", age=5.0)]))  # five: not in the universe
    found = row(run(mappings, rows), "SG_REG_BRTH")
    assert found["estimate"] == pytest.approx(100 * 2 / 4)
    assert (found["n"], found["n_numerator"]) == (4, 2)


def adult(money: str, account: str = "no", age: float = 30.0, **more: Any) -> dict[str, Any]:
    chosen = {"age": age, "sex": "male", "is_respondent": "yes", "account_institution": account}
    return chosen | {"mobile_money_12_months": money} | more


def test_the_selected_adult_stands_for_the_eligible_ones(mappings: Mappings) -> None:
    other = {"age": 50.0, "sex": "female", "is_respondent": "no"}
    rows = [
        household(1, 2.0, 3, "wood", members=[adult("yes"), other]) | {"eligible_adults": 3.0},
        household(2, 2.0, 1, "wood", members=[adult("no")]),
        household(3, 1.0, 1, "wood", members=[adult("no")]),
        household(4, 1.0, 1, "wood", members=[adult("refused", account="yes")]),
        household(4, 1.0, 1, "wood", members=[adult("yes", age=14.0)]),  # below 15: not in the universe
    ]
    found = row(run(mappings, rows), "FB_BNK_ACCSS")
    # Weights: 2 x 3, 2, 1, 1; with an account: the first and the last.
    assert found["estimate"] == pytest.approx(100 * 7 / 10)
    assert found["n"] == 4


def test_a_mean_of_shares_gives_each_share_its_own_denominator(mappings: Mappings) -> None:
    answers = [("some", "a_lot"), ("not_at_all", "dont_know"), ("a_lot", "very_little"), ("refused", "some")]
    rows = [
        household(1 + i, 1.0, 1, "wood", members=[adult("no", have_say=say, have_influence=influence)])
        for i, (say, influence) in enumerate(answers)
    ]
    found = run(mappings, rows)
    assert row(found, "IU_DMK_INCL")["estimate"] == pytest.approx(100 * 2 / 3)
    assert row(found, "IU_DMK_RESP")["estimate"] == pytest.approx(100 * 2 / 3)
    assert row(found, "IU_DMK_ICRS")["estimate"] == pytest.approx(100 * (2 / 3 + 2 / 3) / 2)


def test_half_a_definition_is_not_computed(mappings: Mappings) -> None:
    rows = [household(1 + i, 1.0, 1, "wood", members=[adult("not_asked", account="yes")]) for i in range(4)]
    found = run(mappings, rows, instrument=form(leave_out=("mobile_money_12_months",)))
    assert "FB_BNK_ACCSS" not in found["series"].to_list()
    assert "EG_EGY_CLEAN" in found["series"].to_list()


GROUPS = [
    household(1, 1.0, 4, "lpg", marginalised_groups="dalit"),
    household(2, 1.0, 2, "wood", marginalised_groups="dalit fishing_communities"),
    household(3, 1.0, 2, "wood", marginalised_groups="fishing_communities single_women"),
    household(4, 1.0, 2, "wood", marginalised_groups="none"),
]


@pytest.mark.parametrize("method", ["purposive", "quota", "open_call", "census"])
def test_other_samples_give_one_row_a_group_and_no_precision(mappings: Mappings, method: str) -> None:
    found = run(mappings, GROUPS, method=method).filter(pl.col("series") == "EG_EGY_CLEAN")
    assert found["stratum"].to_list() == ["marginalised_group=dalit", "marginalised_group=fishing_communities"]
    # Members of the interviewed households: 4 of 6 Dalits. A single woman is a person; these forms ask the household.
    assert found["estimate"].to_list() == [pytest.approx(100 * 4 / 6), 0.0]
    assert found["n"].to_list() == [2, 2]
    for column in ("standard_error", "ci_low", "ci_high", "n_clusters", "degrees_of_freedom", "design_effect"):
        assert found[column].null_count() == found.height, column
    assert set(found["comparability"]) == {"B"}
    assert all("share of respondents" in text for text in found["population"])


def test_class_a_is_lost_by_quarantine_proxies_and_local_wealth(mappings: Mappings) -> None:
    wealth = [item | {"wealth_quintile": "q1"} for item in FUEL]
    assert row(run(mappings, FUEL, quarantine_share=0.06), "EG_EGY_CLEAN")["comparability"] == "B"
    assert row(run(mappings, wealth), "EG_EGY_CLEAN", "wealth=Q1")["comparability"] == "C"
    assert row(run(mappings, wealth, level="national"), "EG_EGY_CLEAN", "wealth=Q1")["comparability"] == "A"
    rows = [household(1 + i, 1.0, 1, "wood", members=[adult("yes")]) for i in range(4)]
    by_proxy = row(run(mappings, rows, instrument=form(proxy=("account_institution",))), "FB_BNK_ACCSS")
    assert by_proxy["comparability"] == "C"
    assert "account_institution" in by_proxy["comparability_reason"]


def test_every_row_says_where_it_comes_from(mappings: Mappings) -> None:
    found = row(run(mappings, FUEL), "EG_EGY_CLEAN")
    assert found["questions"] == "cooking_fuel"
    assert found["definition_version"] == mappings.indicators["7.1.2"].definition_version
    assert found["year"] == 2019
    assert len(found["mapping_version"]) == 16


def test_household_measures_by_sex_count_the_persons_of_the_roster(mappings: Mappings) -> None:
    women = [{"sex": "female", "age": 30.0}, {"sex": "female", "age": 40.0}]
    rows = [
        household(1, 1.0, 3, "lpg", members=[*women, {"sex": "male", "age": 50.0}]),
        household(2, 1.0, 1, "wood", members=women[:1]),
        household(3, 1.0, 1, "wood", members=[{"sex": "male", "age": 20.0}]),
        household(4, 2.0, 1, "lpg", members=[{"sex": "male", "age": 20.0}]),
    ]
    found = run(mappings, rows)
    assert row(found, "EG_EGY_CLEAN", "sex=F")["estimate"] == pytest.approx(100 * 2 / 3)
    assert row(found, "EG_EGY_CLEAN", "sex=M")["estimate"] == pytest.approx(100 * 3 / 4)
    assert row(found, "EG_EGY_CLEAN")["estimate"] == pytest.approx(100 * 5 / 7)


def test_a_form_that_asks_the_respondent_knows_whose_group_it_is(mappings: Mappings) -> None:
    whole = form()
    asked = whole.records["household"].columns | whole.records["person"].columns
    alone = Record(table="main", unit="household", columns=asked)
    no_roster = whole.model_copy(update={"records": {"household": alone}})
    found = run(mappings, GROUPS, method="purposive", instrument=no_roster)
    assert "marginalised_group=single_women" in found["stratum"].to_list()


def test_households_without_a_size_are_counted_as_households_and_say_so(mappings: Mappings) -> None:
    rows = [{key: value for key, value in item.items() if key != "household_size"} for item in GROUPS]
    found = row(run(mappings, rows, method="purposive"), "EG_EGY_CLEAN", "marginalised_group=dalit")
    assert found["estimate"] == 50.0
    assert "not their members" in found["population"]


def test_household_measures_by_sex_rest_on_households_not_on_their_members(mappings: Mappings) -> None:
    women = [{"sex": "female", "age": 30.0}] * 10
    rows = [household(1 + i, 1.0, 10, "lpg" if i else "wood", members=women) for i in range(4)]
    found = row(run(mappings, rows), "EG_EGY_CLEAN", "sex=F")
    assert found["estimate"] == pytest.approx(75.0)
    assert (found["n"], found["n_numerator"]) == (4, 3)


@pytest.mark.parametrize(("stages", "corrected"), [(1, True), (2, False)])
def test_the_finite_population_is_used_for_one_stage_only(mappings: Mappings, stages: int, corrected: bool) -> None:
    from lnob_pipeline.estimation.plan import _design
    from lnob_pipeline.submissions.manifest import Sampling

    rows = pl.DataFrame({"stratum_": ["a", "b"], "cluster_": ["1", "2"], "population_clusters": [10.0, 20.0]})
    said = Sampling(method="probability", frame="census", stages=stages, weight="w", cluster="c")
    assert bool(_design(rows, said).population_sizes) is corrected


def test_a_wide_interval_is_used_with_caution_however_many_cases(mappings: Mappings) -> None:
    # Two clusters of thirty households that answer alike, in each of two strata: many cases, hardly any precision.
    rows = [household(1 + i // 30, 1.0, 1, "lpg" if i // 30 in (0, 3) else "wood") for i in range(120)]
    rows += [household(1 + i % 4, 1.0, 1, "wood") for i in range(40)]
    many = [item | {"cluster": f"{item['cluster']}-{place % 5}"} for place, item in enumerate(rows)]
    found = row(run(mappings, many), "EG_EGY_CLEAN")
    assert found["n"] == 160
    assert found["degrees_of_freedom"] >= 8
    assert found["ci_high"] - found["ci_low"] > 30
    assert found["reliability"] == "use_with_caution"


@pytest.mark.parametrize("method", ["probability", "purposive"])
def test_the_largest_parts_of_a_mean_are_those_of_its_amounts(mappings: Mappings, method: str) -> None:
    """Against a computation that adds one row after the other, with the weights and without them."""
    hours = [("female", 9.0, 1.0), ("male", 0.0, 5.0), ("female", 2.0, 8.0), ("male", 12.0, 0.5), ("female", 1.0, 3.0)]
    rows = [
        household(1 + place % 4, weight, 1, "wood", members=[adult("no", sex=sex, unpaid_domestic_hours=number)])
        for place, (sex, number, weight) in enumerate(hours)
    ]
    for line in rows:
        line["marginalised_groups"] = "pastoralists"
    asked = form(of_household=("unpaid_domestic_hours",))
    found = run(mappings, rows, method=method, instrument=asked)
    strata = {"_T": ("female", "male"), "sex=F": ("female",), "sex=M": ("male",)}
    if method != "probability":
        strata = {"marginalised_group=pastoralists": ("female", "male")}
    for stratum, sexes in strata.items():
        inside = [(number, weight) for sex, number, weight in hours if sex in sexes]
        plain = sorted((number for number, _ in inside), reverse=True)
        weighted = sorted((number * weight for number, weight in inside), reverse=True)
        seen = [plain, weighted] if method == "probability" else [plain]
        stated = row(found, "SL_DOM_TSPDDC", stratum)
        assert stated["largest_share"] == pytest.approx(max(part[0] / sum(part) for part in seen))
        assert stated["two_largest_share"] == pytest.approx(max(sum(part[:2]) / sum(part) for part in seen))
    assert row(found, "EG_EGY_CLEAN", next(iter(strata)))["largest_share"] is None
