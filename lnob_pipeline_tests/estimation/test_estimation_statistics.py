"""Every statistic by hand: means, ratios, composites, scores, scales, components, and what is not computed."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy

from lnob_pipeline.estimation.rasch import fit
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import (
    Breakdowns,
    Component,
    Definition,
    Indicator,
    Measure,
    NationalCutoff,
    Parameter,
    Series,
    Variable,
)
from lnob_pipeline_tests.estimation.surveys import form, household, row, run

YES_NO = {"yes": "Yes", "no": "No"}
ITEMS = {"item_a": -1.4, "item_b": -0.6, "item_c": 0.0, "item_d": 0.7, "item_e": 1.3}


def variable(unit: str, **more: Any) -> Variable:
    described = {"type": "code", "codes": YES_NO} if "type" not in more else {}
    return Variable.model_validate({"label": "x", "unit": unit, "source": "this test"} | described | more)


VARIABLES = {
    "rooms": variable("household", type="number", measure="rooms"),
    "roof": variable("household"),
    "floor": variable("household"),
    "walls": variable("household"),
    "hours": variable("person", type="number", measure="hours a day"),
    "births": variable("person", type="number", measure="births"),
    "struck": variable("respondent", sensitive=True),
    **{item: variable("household") for item in ITEMS},
}


def share(numerator: str, universe: str = "TRUE", **missing: str) -> dict[str, Any]:
    rule = dict.fromkeys(("dont_know", "refused", "not_asked", "unmapped"), "exclude")
    return {"universe": universe, "numerator": numerator, "missing": rule | missing}


def quantity(value: str, universe: str = "TRUE") -> dict[str, str]:
    return {"universe": universe, "value": value}


def library(mappings: Mappings, measure: dict[str, Any], unit: str = "PERCENT", **more: Any) -> Mappings:
    """The library with one indicator, whose one series X has the measure, and the variables of these tests."""
    weights = {"household": "household_size", "person": "person", "respondent": "respondent"}
    made = Measure.model_validate({"weight": weights[measure["unit"]]} | measure)
    component = more.pop("component", None)
    series = (
        Series(code="X", title="X", unit=unit, not_computed_because="a part is missing")
        if component
        else Series(code="X", title="X", unit=unit, match="exact", measure=made)
    )
    indicator = Indicator(
        indicator="1.1.1",
        title="Test",
        definition=Definition(version="2020", sheet="this test"),
        official_definition_versions=["2020"],
        availability="A",
        series=[series],
        components=[Component(code="LNOB_X", title="X", unit=unit, because=component, measure=made)]
        if component
        else [],
        reference_period="now",
        breakdowns=Breakdowns(required=["sex", "location"], lnob=["marginalised_group"]),
        served_by={"household_survey": "A"},
        source="this test",
    )
    return dataclasses.replace(
        mappings, variables=mappings.variables | VARIABLES, indicators={"1.1.1": indicator}, **more
    )


def asked(*names: str) -> Any:
    household_names = tuple(name for name in names if VARIABLES[name].unit != "person")
    return form(of_household=household_names, of_person=tuple(name for name in names if name not in household_names))


def of_clusters(values: dict[int, list[tuple[float, float, float]]], denominator: float, ratio: float) -> float:
    """Standard error of sum(w y) / sum(w x) over clusters 1, 2 of a stratum and 3, 4 of another; rows (w, y, x)."""
    score = {c: sum(w * (y - ratio * x) for w, y, x in rows) / denominator for c, rows in values.items()}
    return float(np.hypot(score[1] - score[2], score[3] - score[4]))


HOURS = {1: [(2.0, 3.0), (2.0, 0.0)], 2: [(1.0, 4.5)], 3: [(3.0, 1.0), (3.0, 2.0)], 4: [(1.0, 6.0)]}


def people(column: str, values: dict[int, list[tuple[float, Any]]], **more: Any) -> list[dict[str, Any]]:
    """A household for each (weight, value), with one woman who gives the value."""
    woman = {"sex": "female", "age": 30.0}
    return [
        household(cluster, weight, 1, "wood", members=[woman | {column: value} | more])
        for cluster, rows in values.items()
        for weight, value in rows
    ]


def test_a_mean_with_its_error_and_t_interval(mappings: Mappings) -> None:
    measure = {"unit": "person", "statistic": "mean", "mean": quantity("hours")}
    found = row(run(library(mappings, measure, unit="HOURS"), people("hours", HOURS), instrument=asked("hours")), "X")
    total = sum(w for rows in HOURS.values() for w, _ in rows)
    mean = sum(w * y for rows in HOURS.values() for w, y in rows) / total
    error = of_clusters({c: [(w, y, 1.0) for w, y in rows] for c, rows in HOURS.items()}, total, mean)
    assert found["estimate"] == pytest.approx(mean)
    assert found["standard_error"] == pytest.approx(error)
    half = scipy.stats.t.ppf(0.975, 2) * error
    assert (found["ci_low"], found["ci_high"]) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert found["unit"] == "HOURS"
    # One of six does nothing: a count that disclosure control may have to hide.
    assert (found["n"], found["n_numerator"], found["n_clusters"]) == (6, 5, 4)


def test_percent_is_of_a_hundred_whatever_the_statistic(mappings: Mappings) -> None:
    measure = {"unit": "person", "statistic": "mean", "mean": quantity("hours / 24")}
    found = row(run(library(mappings, measure), people("hours", HOURS), instrument=asked("hours")), "X")
    whole = run(
        library(mappings, measure | {"mean": quantity("hours")}, unit="HOURS"),
        people("hours", HOURS),
        instrument=asked("hours"),
    )
    assert found["estimate"] == pytest.approx(row(whole, "X")["estimate"] / 24 * 100)
    assert found["standard_error"] == pytest.approx(row(whole, "X")["standard_error"] / 24 * 100)


def test_a_missing_number_leaves_the_row_out(mappings: Mappings) -> None:
    measure = {"unit": "person", "statistic": "mean", "mean": quantity("hours", "sex = 'female'")}
    rows = people("hours", {1: [(1.0, 2.0)], 2: [(1.0, None)], 3: [(1.0, 4.0)], 4: [(1.0, 6.0)]})
    rows.append(household(1, 5.0, 1, "wood", members=[{"sex": "male", "age": 30.0, "hours": 20.0}]))
    found = row(run(library(mappings, measure, unit="HOURS"), rows, instrument=asked("hours")), "X")
    assert found["estimate"] == pytest.approx(4.0)
    assert found["n"] == 3


BIRTHS = {1: [(2.0, 1.0), (2.0, 0.0)], 2: [(1.0, 0.0), (1.0, 2.0)], 3: [(3.0, 0.0)], 4: [(1.0, 1.0), (2.0, 0.0)]}


def test_births_per_thousand_women(mappings: Mappings) -> None:
    women = "sex = 'female' AND age >= 15 AND age < 50"
    ratio = {"numerator": quantity("births", women), "denominator": quantity("1", women), "per": 1000}
    measure = {"unit": "person", "statistic": "ratio", "ratio": ratio}
    rows = people("births", BIRTHS)
    rows.append(household(1, 9.0, 1, "wood", members=[{"sex": "female", "age": 50.0, "births": 3.0}]))
    found = row(run(library(mappings, measure, unit="PER_1000"), rows, instrument=asked("births")), "X")
    women_total = sum(w for cluster in BIRTHS.values() for w, _ in cluster)
    rate = sum(w * y for cluster in BIRTHS.values() for w, y in cluster) / women_total
    values = {c: [(w, y, 1.0) for w, y in cluster] for c, cluster in BIRTHS.items()}
    assert found["estimate"] == pytest.approx(1000 * rate)
    assert found["standard_error"] == pytest.approx(1000 * of_clusters(values, women_total, rate))
    assert (found["n"], found["n_numerator"]) == (7, 3)
    assert found["unit"] == "PER_1000"


def test_a_ratio_of_two_quantities_has_an_error_of_both(mappings: Mappings) -> None:
    parts = {1: [(2.0, 3.0, 4.0)], 2: [(1.0, 1.0, 2.0)], 3: [(3.0, 2.0, 8.0)], 4: [(1.0, 0.0, 6.0)]}
    measure = {
        "unit": "person",
        "statistic": "ratio",
        "ratio": {"numerator": quantity("births"), "denominator": quantity("hours")},
    }
    rows = [
        household(c, w, 1, "wood", members=[{"sex": "female", "age": 30.0, "births": y, "hours": x}])
        for c, cluster in parts.items()
        for w, y, x in cluster
    ]
    found = row(run(library(mappings, measure, unit="RATIO"), rows, instrument=asked("births", "hours")), "X")
    bottom = sum(w * x for cluster in parts.values() for w, _, x in cluster)
    ratio = sum(w * y for cluster in parts.values() for w, y, _ in cluster) / bottom
    assert found["estimate"] == pytest.approx(ratio)
    assert found["standard_error"] == pytest.approx(of_clusters(parts, bottom, ratio))


def dwelling(cluster: int, size: int, roof: str, floor: str, walls: str = "yes") -> dict[str, Any]:
    return household(cluster, 1.0, size, "wood", roof=roof, floor=floor, walls=walls)


DWELLINGS = [
    dwelling(1, 4, "yes", "yes"),
    dwelling(2, 2, "yes", "no"),
    dwelling(3, 3, "no", "dont_know"),  # unknown: left out, though one condition already fails
    dwelling(4, 1, "yes", "refused"),
    dwelling(4, 2, "no", "no"),
]


def test_a_composite_is_of_complete_cases_in_which_all_holds(mappings: Mappings) -> None:
    measure = {
        "unit": "household",
        "statistic": "composite",
        "shares": [share("roof = 'yes'"), share("floor = 'yes'")],
    }
    found = row(run(library(mappings, measure), DWELLINGS, instrument=asked("roof", "floor")), "X")
    assert found["estimate"] == pytest.approx(100 * 4 / 8)
    assert (found["n"], found["n_numerator"]) == (3, 1)


def score(give: str, national: dict[str, NationalCutoff] | None = None) -> dict[str, Any]:
    weights = {"roof": 0.5, "floor": 0.3, "walls": 0.2}
    cutoff = NationalCutoff(weights=weights, cutoff=0.5, source="this test")
    return {
        "unit": "household",
        "statistic": "score",
        "score": {
            "universe": "TRUE",
            "items": {name: {"label": name, "deprived": f"{name} = 'no'"} for name in weights},
            "national": {"KEN": cutoff} if national is None else national,
            "give": give,
        },
    }


POOR = [
    dwelling(1, 4, "no", "yes", "yes"),  # 0.5: reaches the cut-off
    dwelling(2, 2, "yes", "no", "no"),  # 0.3 + 0.2 reach it as well
    dwelling(3, 5, "yes", "no", "yes"),  # 0.3
    dwelling(4, 1, "no", "no", "no"),  # 1.0
    dwelling(4, 3, "yes", "yes", "yes"),
    dwelling(1, 9, "no", "dont_know", "yes"),  # an unknown item: left out
]


def test_headcount_intensity_and_their_product(mappings: Mappings) -> None:
    def figure(give: str) -> dict[str, Any]:
        return row(run(library(mappings, score(give)), POOR, instrument=asked("roof", "floor", "walls")), "X")

    headcount, intensity, adjusted = (figure(give) for give in ("headcount", "intensity", "adjusted_headcount"))
    assert headcount["estimate"] == pytest.approx(100 * 7 / 15)
    assert (headcount["n"], headcount["n_numerator"]) == (5, 3)
    # Members of poor households: 4 at 0.5, 2 at 0.5, 1 at 1.
    assert intensity["estimate"] == pytest.approx(100 * (4 * 0.5 + 2 * 0.5 + 1) / 7)
    assert intensity["n"] == 3
    assert adjusted["estimate"] == pytest.approx(headcount["estimate"] * intensity["estimate"] / 100)
    assert 0 <= adjusted["ci_low"] <= adjusted["estimate"] <= adjusted["ci_high"] <= 100


def test_a_country_without_national_weights_has_no_score(mappings: Mappings) -> None:
    found = run(library(mappings, score("headcount", {})), POOR, instrument=asked("roof", "floor", "walls"))
    assert found.is_empty()


def hungry(n: int, seed: int = 5) -> list[dict[str, Any]]:
    """Households of four clusters in two strata whose answers follow the Rasch model; sizes and weights vary."""
    random = np.random.default_rng(seed)
    severity = np.array(list(ITEMS.values()))
    affirmed = random.random((n, 5)) < scipy.special.expit(random.normal(0, 1.5, (n, 1)) - severity)
    rows = []
    for number in range(n):
        answers = {item: "yes" if affirmed[number, i] else "no" for i, item in enumerate(ITEMS)}
        size, weight = int(random.integers(1, 7)), float(random.integers(1, 4))
        rows.append(household(1 + number % 4, weight, size, "wood", location=("urban", "rural")[number % 2], **answers))
    return rows


RASCH = {"unit": "household", "statistic": "rasch", "rasch": {"universe": "TRUE", "items": ITEMS, "threshold": 0.5}}


def test_a_scale_is_the_mean_of_the_probabilities_of_its_raw_scores(mappings: Mappings) -> None:
    rows = hungry(600)
    rows[7]["item_c"] = "dont_know"  # incomplete: left out
    found = run(library(mappings, RASCH), rows, instrument=asked(*ITEMS))
    answered = [r for r in rows if r["item_c"] != "dont_know"]
    frame = pl.DataFrame([{item: "1" if r[item] == "yes" else "0" for item in ITEMS} for r in answered]).with_columns(
        weight_=pl.Series([r["household_weight"] * r["household_size"] for r in answered])
    )
    scale = fit(frame, ITEMS, 0.5)
    raw = frame.select(pl.sum_horizontal(pl.col(list(ITEMS)).cast(pl.Int8))).to_series().to_numpy()
    above, weights = scale.probability[raw], frame["weight_"].to_numpy()
    mean = float(np.average(above, weights=weights))
    cluster = np.array([int(r["cluster"][1]) for r in answered])
    values = {
        c: list(zip(weights[cluster == c], above[cluster == c], np.ones(600), strict=False)) for c in (1, 2, 3, 4)
    }
    headline = row(found, "X")
    assert headline["estimate"] == pytest.approx(100 * mean)
    assert headline["standard_error"] == pytest.approx(100 * of_clusters(values, weights.sum(), mean))
    assert headline["n"] == 599
    assert headline["n_numerator"] is None  # nobody is in or out: each has a probability
    urban = np.array([r["location"] == "urban" for r in answered])
    assert row(found, "X", "location=U")["estimate"] == pytest.approx(
        100 * np.average(above[urban], weights=weights[urban])
    )
    assert "the standard error does not hold that of the scale" in headline["comparability_reason"]
    assert headline["comparability"] == "A"


def test_a_scale_that_cannot_be_made_says_why_and_gives_no_number(mappings: Mappings) -> None:
    found = row(run(library(mappings, RASCH), hungry(60), instrument=asked(*ITEMS)), "X")
    assert found["status"].startswith("not_estimable: ")
    assert "100 are needed (Linacre 1994)" in found["status"]
    assert found["n"] == 60
    for column in ("estimate", "standard_error", "ci_low", "ci_high", "design_effect"):
        assert found[column] is None, column
    assert found["reliability"] == "not_estimable"


def test_a_component_has_its_own_code_and_is_never_of_class_a(mappings: Mappings) -> None:
    measure = {"unit": "household", "statistic": "proportion", "shares": [share("roof = 'yes'")]}
    changed = library(mappings, measure, component="the floor is not asked")
    found = run(changed, DWELLINGS, level="national", instrument=asked("roof"))
    assert set(found["series"]) == {"LNOB_X"}
    headline = row(found, "LNOB_X")
    assert (headline["comparability"], headline["comparability_reason"]) == ("C", "component: the floor is not asked")


@pytest.mark.parametrize("adapted", ["roof", "floor"])
def test_a_question_asked_otherwise_takes_class_a_from_what_rests_on_it(mappings: Mappings, adapted: str) -> None:
    # The universe counts as well: it decides who is asked.
    shares = [share("roof = 'yes'", "floor = 'yes'")]
    measure = {"unit": "household", "statistic": "proportion", "shares": shares}
    instrument = asked("roof", "floor")
    record = instrument.records["household"]
    column = record.columns[adapted].model_copy(update={"adapted_because": "asked of the main house"})
    changed = record.model_copy(update={"columns": record.columns | {adapted: column}})
    instrument = instrument.model_copy(update={"records": instrument.records | {"household": changed}})
    found = row(run(library(mappings, measure), DWELLINGS, instrument=instrument), "X")
    assert found["comparability"] == "C"
    assert found["comparability_reason"] == f"adapted question {adapted}: asked of the main house"
    assert (
        row(run(library(mappings, measure), DWELLINGS, instrument=asked("roof", "floor")), "X")["comparability"] == "A"
    )


GROUPS = {"marginalised_groups": "dalit"}


def test_other_samples_count_the_members_of_households_in_every_statistic(mappings: Mappings) -> None:
    rows = [item | GROUPS for item in POOR]
    instrument = asked("roof", "floor", "walls")
    found = run(library(mappings, score("headcount")), rows, method="purposive", instrument=instrument)
    headcount = row(found, "X", "marginalised_group=dalit")
    assert headcount["estimate"] == pytest.approx(100 * 7 / 15)
    assert headcount["standard_error"] is None
    found = run(library(mappings, score("intensity")), rows, method="purposive", instrument=instrument)
    assert row(found, "X", "marginalised_group=dalit")["estimate"] == pytest.approx(100 * 4 / 7)
    two = {
        "unit": "household",
        "statistic": "mean_of_shares",
        "shares": [share("roof = 'yes'"), share("floor = 'yes'")],
    }
    found = run(
        library(mappings, two), [d | GROUPS for d in DWELLINGS], method="quota", instrument=asked("roof", "floor")
    )
    # Members: roof 7 of 12, floor (known of 4 + 2 + 2) 4 of 8.
    assert row(found, "X", "marginalised_group=dalit")["estimate"] == pytest.approx(100 * (7 / 12 + 4 / 8) / 2)
    ratio = {"numerator": quantity("rooms"), "denominator": quantity("1")}
    rooms = {"unit": "household", "statistic": "ratio", "ratio": ratio}
    rows = [household(1, 1.0, size, "wood", rooms=count, **GROUPS) for size, count in ((4, 1.0), (2, 4.0))]
    found = run(library(mappings, rooms, unit="ROOMS"), rows, method="census", instrument=asked("rooms"))
    assert row(found, "X", "marginalised_group=dalit")["estimate"] == pytest.approx((4 * 1 + 2 * 4) / 6)


def test_a_measure_of_households_counts_each_once_and_says_so(mappings: Mappings) -> None:
    shares = [share("roof = 'yes'")]
    measure = {"unit": "household", "weight": "household", "statistic": "proportion", "shares": shares}
    found = run(library(mappings, measure), DWELLINGS, instrument=asked("roof"))
    headline = row(found, "X")
    assert headline["estimate"] == pytest.approx(100 * 3 / 5)
    assert headline["population"] == "households (members of private households of Kisumu)"
    # A household has no sex.
    assert set(found["stratum"]) == {"_T"}


def test_a_country_without_a_parameter_has_no_estimate(mappings: Mappings) -> None:
    measure = {"unit": "person", "statistic": "proportion", "shares": [share("hours > 2", "age >= entry_age")]}
    parameters = {"entry_age": Parameter(label="x", unit="years", source="this test")}
    changed = library(mappings, measure, parameters=mappings.parameters | parameters)
    rows = people("hours", HOURS)
    assert run(changed, rows, instrument=asked("hours")).is_empty()
    kenya = changed.countries["KEN"]
    known = kenya.model_copy(update={"parameters": kenya.parameters | {"entry_age": 6.0}})
    changed = dataclasses.replace(changed, countries=changed.countries | {"KEN": known})
    found = row(run(changed, rows, instrument=asked("hours")), "X")
    assert found["estimate"] == pytest.approx(100 * (2 + 1 + 1) / 12)


PROTOCOL = dict.fromkeys(
    ("special_protocol", "one_per_hh", "privacy_obtained", "referral_list", "interviewer_trained"), True
)


@pytest.mark.parametrize("absent", [None, *PROTOCOL])
def test_sensitive_answers_give_estimates_under_the_whole_protocol_alone(
    mappings: Mappings, absent: str | None
) -> None:
    # Not asked counts as not struck: without the protocol a dropped question must not become a share of zero.
    shares = [share("struck = 'yes'", not_asked="not_in_numerator")]
    measure = {"unit": "respondent", "statistic": "proportion", "shares": shares}
    answers = ["yes", "no", "no", "no"]
    rows = [
        household(
            1 + i, 1.0, 1, "wood", members=[{"sex": "female", "age": 30.0, "is_respondent": "yes", "struck": text}]
        )
        for i, text in enumerate(answers)
    ]
    ethics = {name: name != absent for name in PROTOCOL}
    found = run(library(mappings, measure), rows, instrument=asked("struck"), **ethics)
    if absent is None:
        assert row(found, "X")["estimate"] == pytest.approx(25.0)
        assert found["sensitive"].all()
    else:
        assert found.is_empty()


def test_an_imprecise_mean_is_used_with_caution(mappings: Mappings) -> None:
    random = np.random.default_rng(2)
    measure = {"unit": "person", "statistic": "mean", "mean": quantity("hours")}
    rows = []
    for number in range(200):
        wide = household(
            1 + number % 4,
            1.0,
            1,
            "wood",
            members=[{"age": 30.0, "hours": float(random.choice([0, 200], p=[0.9, 0.1]))}],
        )
        rows.append(wide | {"cluster": f"{wide['cluster']}-{number % 20}"})
    found = row(run(library(mappings, measure, unit="HOURS"), rows, instrument=asked("hours")), "X")
    assert found["standard_error"] / found["estimate"] > 0.166
    assert found["reliability"] == "use_with_caution"
