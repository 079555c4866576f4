"""Bangladesh 2019: a purposive sample of six named groups, one respondent a household, in SPSS."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from data.make_samples import SEED, answers, files
from data.make_samples.people import DOMAINS, chance, choose, functioning, names, phones

FOLDER = "bgd/bgd-2019-named-groups"
GROUPS = {
    1: ("Dalit", 112),
    2: ("Hijra and transgender", 64),
    3: ("Person with disability", 118),
    4: ("Tea garden worker", 108),
    5: ("Ethnic minority", 104),
    6: ("Fishing community", 98),
}
DIVISIONS = {
    1: "Barishal",
    2: "Chattogram",
    3: "Dhaka",
    4: "Khulna",
    5: "Rajshahi",
    6: "Rangpur",
    7: "Sylhet",
    8: "Mymensingh",
}
DISTRICTS = {
    1: "Bhola",
    2: "Rangamati",
    3: "Dhaka",
    4: "Satkhira",
    5: "Naogaon",
    6: "Dinajpur",
    7: "Moulvibazar",
    8: "Netrokona",
}
WHERE = {
    1: [0, 1, 4, 2, 2, 1, 0, 1],
    2: [0, 1, 6, 1, 1, 1, 0, 0],
    3: [1, 1, 2, 1, 1, 1, 1, 1],
    4: [0, 1, 0, 0, 0, 0, 8, 0],
    5: [0, 4, 0, 0, 2, 1, 1, 2],
    6: [5, 3, 0, 2, 0, 0, 0, 0],
}
WATER = {
    "piped_dwelling": 11,
    "piped_yard": 12,
    "piped_neighbour": 13,
    "public_tap": 14,
    "borehole": 21,
    "protected_well": 31,
    "unprotected_well": 32,
    "protected_spring": 41,
    "unprotected_spring": 42,
    "rainwater": 51,
    "surface_water": 81,
    "other": 96,
}
TOILETS = {
    "flush_sewer": 11,
    "flush_septic": 12,
    "flush_pit": 13,
    "flush_open_drain": 14,
    "ventilated_pit": 21,
    "pit_with_slab": 22,
    "pit_without_slab": 23,
    "bucket": 41,
    "hanging": 51,
    "no_facility": 95,
}
FUELS = {"electricity": 1, "lpg": 2, "natural_gas": 3, "kerosene": 5, "wood": 8, "crop_residue": 9, "dung": 10}
YES_NO = {"yes": 1, "no": 2}
LIKERT = {
    name: place
    for scale in (answers.AGREEMENT, answers.SATISFACTION, answers.EXTENT)
    for place, name in enumerate(scale, 1)
}
GROUNDS = {
    "sex": 1,
    "age": 2,
    "disability_health": 3,
    "ethnicity": 4,
    "migration": 5,
    "socio_economic": 6,
    "location": 7,
    "religion": 8,
    "marital_family": 9,
    "sexual_orientation_gender": 10,
    "political_opinion": 11,
    "caste": 12,
    "other": 13,
    "none": 14,
}
MISSING = {"dont_know": 98, "refused": 97}
GIVEN = ("Ayesha", "Bina", "Jamal", "Karim", "Lipi", "Mong", "Nazma", "Rahima", "Shila", "Sumon")


def make() -> dict[str, bytes]:
    """The .sav file."""
    rng = np.random.default_rng((SEED, 2))
    group = rng.permutation(np.repeat(list(GROUPS), [size for _, size in GROUPS.values()]))
    n = len(group)
    division = np.array([rng.choice(8, p=np.array(WHERE[g]) / sum(WHERE[g])) + 1 for g in group])
    urban = chance(rng, np.select([group == 1, group == 2, group == 3, group == 4], [0.45, 0.8, 0.35, 0.0], 0.12))
    sex = np.where(group == 2, choose(rng, ["3", "1"], [0.9, 0.1], n), np.where(chance(rng, 0.52, n), "2", "1"))
    age = np.clip(rng.gamma(7, 5.6, n), 18, 88).astype(np.int64)
    wealth = rng.normal(0, 0.8, n) + 0.4 * urban - 0.5 * np.isin(group, [1, 4])
    difficulty, disabled = functioning(rng, age, 0.4)
    severe = (group == 3) & chance(rng, 0.9, n)
    domain = rng.integers(0, 6, n)
    for place, name in enumerate(DOMAINS):
        difficulty[name] = np.where(severe & (domain == place), np.where(chance(rng, 0.35, n), 4, 3), difficulty[name])
    also = np.where((group != 3) & disabled & chance(rng, 0.8, n), 3, 0)
    groups = [",".join(str(code) for code in sorted({int(a), int(b)} - {0})) for a, b in zip(group, also, strict=True)]
    house = answers.household(
        rng,
        wealth,
        urban,
        rng.normal(0, 0.4, n),
        {
            "borehole": 0.72,
            "piped_dwelling": 0.06,
            "piped_yard": 0.1,
            "public_tap": 0.06,
            "protected_well": 0.03,
            "rainwater": 0.03,
        },
        {"pit_with_slab": 0.62, "flush_septic": 0.14, "flush_pit": 0.14, "ventilated_pit": 0.06, "flush_sewer": 0.04},
        {"lpg": 0.6, "natural_gas": 0.3, "electricity": 0.1},
        {"wood": 0.6, "crop_residue": 0.22, "dung": 0.15, "kerosene": 0.03},
        {"improved_water": 2.3, "toilet": 3.0, "improved_toilet": 0.3, "clean": -2.0},
    )
    grounds: dict[str, object] = {name: -4.3 for name in GROUNDS if name not in ("none", "other")}
    grounds |= {
        "caste": np.where(group == 1, 0.3, -4.5),
        "sexual_orientation_gender": np.where(group == 2, 1.2, -5.0),
        "disability_health": np.where(severe, 0.1, -3.6),
        "ethnicity": np.where(np.isin(group, [4, 5]), -0.6, -4.0),
        "socio_economic": np.full(n, -1.4),
    }
    person = answers.respondent(
        rng, wealth, sex == "2", age, disabled | severe, grounds, {"device": 1.0, "account": -0.7, "mobile_money": -0.9}
    )  # type: ignore[arg-type]
    consent = ~chance(rng, 0.012, n)
    days = rng.integers(0, 54, n)
    ages = age.astype(object)
    ages[chance(rng, 0.015, n)] = 998
    ages[chance(rng, 0.005, n)] = 999
    columns: dict[str, list[object]] = {
        "respid": [f"BD{number:04d}" for number in range(1, n + 1)],
        "intdate": [datetime.date(2019, 3, 3) + datetime.timedelta(days=int(day)) for day in days],
        "division": [int(value) for value in division],
        "district": [DISTRICTS[int(value)] for value in division],
        "residence": [1 if value else 2 for value in urban],
        "consent": [1 if value else 2 for value in consent],
    }
    kept: dict[str, list[object]] = {
        "respname": list(names(rng, GIVEN, "Namuna", n)),
        "mobile": list(phones(rng, "+8801700000", 3, n)),
        "nid": [f"0000{number:06d}" for number in rng.integers(0, 10**6, n)],
        "grp": groups,
        "sex": [int(value) for value in sex],
        "age": list(ages),
        "hhsize": [int(value) for value in 1 + rng.poisson(3.3, n)],
    }
    for place, name in enumerate(DOMAINS, 1):
        kept[f"wg{place}"] = [int(value) for value in np.where(chance(rng, 0.006, n), 9, difficulty[name])]
    codes = {
        "w1": ("drinking_water_source", WATER | MISSING),
        "w3": ("drinking_water_place", {"own_dwelling": 1, "own_yard": 2, "elsewhere": 3}),
        "s1": ("sanitation_facility", TOILETS),
        "s3": ("sanitation_shared", YES_NO | MISSING),
        "h1": ("handwashing_place", {"fixed_observed": 1, "mobile_observed": 2, "no_place": 3, "no_permission": 4}),
        "h2": ("handwashing_water", YES_NO),
        "h3": ("handwashing_soap", {"soap": 1, "ash_mud_sand": 2, "none": 3}),
        "fuel": ("cooking_fuel", FUELS),
    }
    for column, (variable, table) in codes.items():
        kept[column] = answers.recode(house[variable], table)
    kept["w4"] = [{"dont_know": 998, "refused": 997}.get(v, v) for v in house["drinking_water_minutes"]]
    for column, variable in PERSON.items():
        kept[column] = answers.recode(person[variable], YES_NO | LIKERT | MISSING)
    felt = person["discrimination_grounds_12_months"]
    picked = [sorted((GROUNDS | MISSING)[word] for word in text.split()) for text in felt]
    kept["disc12"] = [",".join(map(str, chosen)) for chosen in picked]
    for code in GROUNDS.values():
        kept[f"disc12_{code}"] = [int(code in chosen) for chosen in picked]
    kept["remarks"] = [
        "" if rng.random() < 0.95 else "Spoke with the neighbour, +8801700000321, first" for _ in range(n)
    ]
    columns |= {name: [v if c else None for v, c in zip(values, consent, strict=True)] for name, values in kept.items()}
    frame = pl.DataFrame({name: _series(values) for name, values in columns.items()})
    return {f"{FOLDER}/responses.sav": files.spss(frame, **_metadata())}


PERSON = {
    "mob1": "mobile_device",
    "mob2": "mobile_sim_active",
    "fin1": "account_institution",
    "fin2": "mobile_money_12_months",
    "hc1": "health_used_12_months",
    "hc2": "health_access",
    "hc3": "health_affordability",
    "hc4": "health_facilities",
    "hc5": "health_equal_treatment",
    "hc6": "health_staff_attitude",
    "hc7": "health_satisfaction",
    "say1": "have_say",
    "say2": "have_influence",
}


def _series(values: list[object]) -> pl.Series:
    sample = next(value for value in values if value is not None)
    kind = pl.Date if isinstance(sample, datetime.date) else pl.String if isinstance(sample, str) else pl.Float64
    return pl.Series(values, dtype=kind, strict=False)


def _metadata() -> dict[str, object]:
    missing = {97: "Refused", 98: "Don't know", 99: "No answer"}
    yes_no = {1: "Yes", 2: "No"} | missing
    difficulty = {
        1: "No difficulty",
        2: "Some difficulty",
        3: "A lot of difficulty",
        4: "Cannot do at all",
        7: "Refused",
        9: "Don't know",
    }
    agree = {1: "Strongly agree", 2: "Agree", 3: "Disagree", 4: "Strongly disagree"} | missing
    labels: dict[str, dict[int, str]] = {
        "division": DIVISIONS,
        "residence": {1: "Urban", 2: "Rural"},
        "consent": {1: "Agrees", 2: "Does not agree"},
        "sex": {1: "Male", 2: "Female", 3: "Hijra or other"},
        "w1": _titles(WATER) | missing,
        "w3": {1: "In own dwelling", 2: "In own yard", 3: "Elsewhere"},
        "s1": _titles(TOILETS),
        "s3": yes_no,
        "h1": {1: "Fixed, seen", 2: "Mobile, seen", 3: "No place", 4: "No permission"},
        "h2": {1: "Yes", 2: "No"},
        "h3": {1: "Soap", 2: "Ash, mud, sand", 3: "None"},
        "fuel": _titles(FUELS),
        "age": {998: "Don't know", 999: "No answer"},
        "w4": {997: "Refused", 998: "Don't know"},
    }
    labels |= {f"wg{place}": difficulty for place in range(1, 7)}
    labels |= dict.fromkeys(("mob1", "mob2", "fin1", "fin2", "hc1"), yes_no)
    labels |= dict.fromkeys(("hc2", "hc3", "hc4", "hc5", "hc6"), agree)
    labels |= {"hc7": {1: "Very satisfied", 2: "Satisfied", 3: "Dissatisfied", 4: "Very dissatisfied"} | missing}
    labels |= {
        column: {1: "Not at all", 2: "Very little", 3: "Some", 4: "A lot", 5: "A great deal"} | missing
        for column in ("say1", "say2")
    }
    ranges: dict[str, list[object]] = {column: [{"lo": 97, "hi": 99}] for column in ("w1", "s3", *PERSON)}
    ranges |= {"age": [{"lo": 997, "hi": 999}], "w4": [997, 998]} | {f"wg{place}": [7, 9] for place in range(1, 7)}
    titles = {
        "respid": "Number of the questionnaire",
        "intdate": "Date of the interview",
        "grp": "Groups the respondent counts themself to: " + ", ".join(f"{k} {v[0]}" for k, v in GROUPS.items()),
        "age": "Age in completed years",
        "w4": "Minutes to go, queue, get water and come back",
        "disc12": "Grounds of discrimination in the last 12 months",
        "fin2": "Used mobile money in the last 12 months",
        "mob2": "Has a SIM card used in the last 3 months",
        "hc1": "Used public health care in the last 12 months",
    }
    return {
        "column_labels": titles,
        "variable_value_labels": labels,
        "missing_ranges": ranges,
        "file_label": "Named groups 2019, synthetic",
    }


def _titles(codes: dict[str, int]) -> dict[int, str]:
    return {code: name.replace("_", " ").capitalize() for name, code in codes.items()}
