"""Answers of households and respondents in the codes of the question bank, before a form gives them its own codes.

Missing answers stand as dont_know and refused, skipped questions as None. `recode` gives those of a form.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data.make_samples.people import (
    Booleans,
    Floats,
    Generator,
    Integers,
    Texts,
    blank,
    chance,
    choose,
    heaped,
    joined,
    likert,
    logistic,
    some_missing,
)

Mix = Mapping[str, float]
AGREEMENT = ("strongly_agree", "agree", "disagree", "strongly_disagree")
SATISFACTION = ("very_satisfied", "satisfied", "dissatisfied", "very_dissatisfied")
EXTENT = ("not_at_all", "very_little", "some", "a_lot", "a_great_deal")
HEALTH = ("access", "affordability", "facilities", "equal_treatment", "staff_attitude")
UNIMPROVED: Mix = {"unprotected_well": 0.35, "unprotected_spring": 0.2, "surface_water": 0.45}
UNIMPROVED_TOILETS: Mix = {"pit_without_slab": 0.72, "hanging": 0.18, "flush_open_drain": 0.06, "bucket": 0.04}


def recode(values: Texts, codes: Mapping[str, object]) -> list[object]:
    """Answers in the codes of a form; several chosen codes are not for this function. A code left out is an error."""
    return [None if value is None else codes[value] for value in values]


def household(
    rng: Generator,
    wealth: Floats,
    urban: Booleans,
    cluster: Floats,
    water: Mix,
    toilets: Mix,
    clean: Mix,
    solid: Mix,
    level: Mapping[str, float],
) -> dict[str, Texts]:
    """Water, sanitation, hygiene, energy. `level`: log odds of improved_water, toilet, improved_toilet, clean."""
    n = len(wealth)
    improved = chance(rng, logistic(level["improved_water"] + 0.5 * wealth + cluster))
    source = np.where(improved, _mix(rng, water, n), _mix(rng, UNIMPROVED, n))
    source = some_missing(rng, source, {"dont_know": 0.004})
    piped = np.isin(source, ["piped_dwelling", "piped_yard"])
    home = chance(rng, logistic(-0.8 + 0.6 * wealth + 0.5 * (source == "borehole")))
    place = np.where(home, choose(rng, ["own_dwelling", "own_yard"], [0.3, 0.7], n), "elsewhere").astype(object)
    place = blank(place, ~piped & (source != "dont_know"))
    away = place == "elsewhere"
    minutes = heaped(np.exp(rng.normal(2.7 - 0.25 * urban - 0.15 * wealth, 0.6)), 5).astype(object)
    minutes = blank(some_missing(rng, minutes, {"dont_know": 0.02, "refused": 0.003}), away)
    has = chance(rng, logistic(level["toilet"] + 0.7 * wealth + 0.5 * cluster))
    good = chance(rng, logistic(level["improved_toilet"] + 0.7 * wealth))
    toilet = np.where(has, np.where(good, _mix(rng, toilets, n), _mix(rng, UNIMPROVED_TOILETS, n)), "no_facility")
    shared = np.where(chance(rng, logistic(-0.8 + 0.5 * urban - 0.4 * wealth)), "yes", "no").astype(object)
    shared = blank(some_missing(rng, shared, {"dont_know": 0.006}), toilet != "no_facility")
    wash = _mix(rng, {"fixed_observed": 0.45, "mobile_observed": 0.27, "no_place": 0.24, "no_permission": 0.04}, n)
    seen = np.isin(wash, ["fixed_observed", "mobile_observed"])
    wet = np.where(chance(rng, logistic(1.4 + 0.5 * wealth)), "yes", "no").astype(object)
    soap = np.where(
        chance(rng, logistic(0.6 + 0.8 * wealth)), "soap", choose(rng, ["ash_mud_sand", "none"], [0.25, 0.75], n)
    )
    is_clean = chance(rng, logistic(level["clean"] + 1.3 * wealth + 0.9 * urban))
    return {
        "drinking_water_source": source,
        "drinking_water_place": place,
        "drinking_water_minutes": minutes,
        "sanitation_facility": toilet,
        "sanitation_shared": shared,
        "handwashing_place": wash,
        "handwashing_water": blank(wet, seen),
        "handwashing_soap": blank(soap, seen),
        "cooking_fuel": np.where(is_clean, _mix(rng, clean, n), _mix(rng, solid, n)),
    }


def respondent(
    rng: Generator,
    wealth: Floats,
    female: Booleans,
    age: Integers,
    disabled: Booleans,
    grounds: Mapping[str, Floats | float],
    level: Mapping[str, float],
) -> dict[str, Texts]:
    """Phone, account, health care, voice, discrimination. `level`: log odds of device, account, mobile_money.

    `grounds` holds the log odds of each ground of discrimination; the answer joins the codes with one space.
    """
    n = len(wealth)
    shift = -0.6 * disabled - 0.02 * np.maximum(age - 55, 0) - 1.0 * (age < 18)

    def yes_no(odds: Floats, **missing: float) -> Texts:
        return some_missing(rng, np.where(chance(rng, logistic(odds)), "yes", "no").astype(object), missing)

    device = yes_no(level["device"] + 0.7 * wealth - 0.6 * female + shift, refused=0.004)
    active = np.where(
        device == "yes", yes_no(2.7 + 0 * wealth, dont_know=0.004), yes_no(np.full(n, -2.0), dont_know=0.002)
    )
    answers: dict[str, Texts] = {
        "mobile_device": device,
        "mobile_sim_active": active,
        "account_institution": yes_no(
            level["account"] + 0.6 * wealth - 0.3 * female + shift, dont_know=0.005, refused=0.012
        ),
        "mobile_money_12_months": yes_no(
            level["mobile_money"] + 0.4 * wealth - 0.4 * female + shift + 0.8 * (active == "yes"), refused=0.01
        ),
        "health_used_12_months": yes_no(0.8 + 0.4 * female + 0.015 * (age - 40), dont_know=0.004),
    }
    used = answers["health_used_12_months"] == "yes"
    mood = rng.normal(0, 1, n) - 0.6 * disabled
    for attribute, ease in zip(HEALTH, (0.4, -0.1, -0.2, 0.1, 0.4), strict=True):
        given = some_missing(rng, likert(rng, mood + ease, AGREEMENT), {"dont_know": 0.02, "refused": 0.006})
        answers[f"health_{attribute}"] = blank(given, used)
    overall = some_missing(rng, likert(rng, mood + 0.2, SATISFACTION), {"dont_know": 0.015, "refused": 0.006})
    answers["health_satisfaction"] = blank(overall, used)
    voice = rng.normal(0, 0.9, n) - 0.4 * female
    for name, ease in (("have_say", -0.4), ("have_influence", -0.7)):
        place = np.digitize(voice + ease + rng.logistic(size=n), [-1.6, -0.1, 1.2, 2.5])
        given = np.array(EXTENT, dtype=object)[place]
        answers[name] = some_missing(rng, given, {"dont_know": 0.03, "refused": 0.01})
    flags = {
        name: chance(rng, logistic(np.broadcast_to(np.asarray(odds, dtype=float), n))) for name, odds in grounds.items()
    }
    felt = joined(flags, none="none")
    answers["discrimination_grounds_12_months"] = some_missing(rng, felt, {"dont_know": 0.006, "refused": 0.012})
    return answers


def _mix(rng: Generator, mix: Mix, n: int) -> Texts:
    return choose(rng, list(mix), list(mix.values()), n)
