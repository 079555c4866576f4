"""Viet Nam 2020: a probability sample of one province, two Stata files (households and their members).

Three strata (districts of the highland, of the lowland, town), clusters drawn in proportion to households with the size
of the frame known, fifteen households a cluster, one adult of fifteen years and over a household.
"""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from data.make_samples import SEED, answers, files
from data.make_samples.people import (
    DOMAINS,
    blank,
    chance,
    choose,
    draw_roster,
    functioning,
    logistic,
    names,
    phones,
    quintiles,
    select_adult,
)

FOLDER = "vnm/vnm-2020-ha-giang"
FRAME = np.array([980, 640, 210])
SAMPLE = np.array([15, 12, 8])
GROUPS = {
    "1": "Ethnic minority",
    "2": "Person with disability",
    "3": "Household headed by a woman",
    "4": "Landless or marginal farmer",
    "5": "Migrant workers",
    "0": "None",
}
WATER = {
    "piped_dwelling": 11,
    "piped_yard": 12,
    "public_tap": 14,
    "borehole": 21,
    "protected_well": 31,
    "unprotected_well": 32,
    "protected_spring": 41,
    "unprotected_spring": 42,
    "rainwater": 51,
    "surface_water": 81,
    "dont_know": 98,
}
TOILETS = {
    "flush_septic": 12,
    "flush_pit": 13,
    "flush_open_drain": 14,
    "ventilated_pit": 21,
    "pit_with_slab": 22,
    "pit_without_slab": 23,
    "composting": 31,
    "bucket": 41,
    "hanging": 51,
    "no_facility": 95,
}
FUELS = {"electricity": 1, "lpg": 2, "biogas": 4, "charcoal": 7, "wood": 8, "crop_residue": 9}
MISSING = {"dont_know": 8, "refused": 9}
YES_NO = {"yes": 1, "no": 2} | MISSING
SCALES = {
    name: place
    for scale in (answers.AGREEMENT, answers.SATISFACTION, answers.EXTENT)
    for place, name in enumerate(scale, 1)
} | MISSING
PERSON = {
    "mobile_device": "m1_device",
    "mobile_sim_active": "m2_sim",
    "account_institution": "f1_account",
    "mobile_money_12_months": "f2_wallet",
    "health_used_12_months": "y1_used",
    "health_access": "y2_access",
    "health_affordability": "y3_cost",
    "health_facilities": "y4_facility",
    "health_equal_treatment": "y5_equal",
    "health_staff_attitude": "y6_staff",
    "health_satisfaction": "y7_overall",
    "have_say": "v1_say",
    "have_influence": "v2_influence",
}
GIVEN = ("An", "Bình", "Chi", "Dũng", "Giàng", "Hoa", "Lan", "Mai", "Minh", "Sùng", "Vàng")


def make() -> dict[str, bytes]:  # noqa: PLR0915 (one statement a column)
    """Both Stata files."""
    rng = np.random.default_rng((SEED, 5))
    stratum_of = np.repeat([1, 2, 3], SAMPLE)
    clusters = len(stratum_of)
    # Drawn in proportion to the 98 households a cluster has on average; growth is what the listing found since then.
    growth = rng.normal(1.03, 0.14, clusters)
    weight_of = FRAME[stratum_of - 1] * 98.0 / SAMPLE[stratum_of - 1] * growth / 15
    met = 15 - rng.binomial(15, 0.03, clusters)
    cluster = np.repeat(np.arange(clusters), met)
    n = len(cluster)
    stratum = stratum_of[cluster]
    urban = stratum == 3
    effect = rng.normal(0, 1, clusters)[cluster]
    minority = chance(rng, np.array([0.96, 0.8, 0.42])[stratum - 1])
    wealth = np.array([-0.6, 0.0, 0.9])[stratum - 1] - 0.4 * minority + 0.35 * effect + rng.normal(0, 0.7, n)
    roster = draw_roster(rng, n, np.where(urban, 1.4, 2.1), np.full(n, 0.16))
    selected = select_adult(rng, roster, n)
    persons = len(roster.age)
    difficulty, disabled = functioning(rng, roster.age)
    consent = ~chance(rng, 0.01, n)
    answered = np.bincount(cluster, weights=consent, minlength=clusters)[cluster]
    weight = weight_of[cluster] * 15 / answered
    house = answers.household(
        rng,
        wealth,
        urban,
        0.8 * effect,
        {
            "piped_dwelling": 0.16,
            "piped_yard": 0.2,
            "protected_spring": 0.34,
            "protected_well": 0.14,
            "borehole": 0.1,
            "rainwater": 0.06,
        },
        {"pit_with_slab": 0.4, "flush_septic": 0.34, "composting": 0.12, "ventilated_pit": 0.08, "flush_pit": 0.06},
        {"lpg": 0.78, "electricity": 0.16, "biogas": 0.06},
        {"wood": 0.94, "crop_residue": 0.04, "charcoal": 0.02},
        {"improved_water": 1.7, "toilet": 1.9, "improved_toilet": 0.7, "clean": -1.2},
    )
    female, age, limited = roster.female[selected], roster.age[selected], disabled[selected]
    grounds = dict.fromkeys(
        ("sex", "age", "disability_health", "ethnicity", "socio_economic", "location", "religion", "marital_family"),
        np.full(n, -4.7),
    )
    grounds |= {
        "ethnicity": np.where(minority, -2.3, -4.8),
        "disability_health": np.where(limited, -0.6, -4.5),
        "socio_economic": -3.0 - 0.4 * wealth,
    }
    person = answers.respondent(
        rng, wealth, female, age, limited, grounds, {"device": 1.3, "account": -0.9, "mobile_money": -3.0}
    )  # type: ignore[arg-type]
    codes = {
        "sex": 1,
        "age": 2,
        "disability_health": 3,
        "ethnicity": 4,
        "socio_economic": 6,
        "location": 7,
        "religion": 8,
        "marital_family": 9,
        "none": 0,
        "dont_know": 98,
        "refused": 99,
    }
    head = roster.position == 1
    has_disabled = np.bincount(roster.household, weights=disabled & (roster.age >= 5), minlength=n) > 0
    flags = {
        "1": minority,
        "2": has_disabled & chance(rng, 0.85, n),
        "3": roster.female[head],
        "4": ~urban & chance(rng, 0.2, n),
        "5": chance(rng, 0.05, n),
    }
    groups = [
        " ".join(code for code, hit in zip(flags, row, strict=True) if hit) or "0"
        for row in zip(*flags.values(), strict=True)
    ]
    days = [datetime.date(2020, 6, 8) + datetime.timedelta(days=int(c)) for c in cluster]
    score = wealth + rng.normal(0, 0.4, n)
    fifth = np.zeros(n, dtype=np.int64)
    fifth[consent] = quintiles(score[consent], (weight * roster.size(n))[consent])
    number = [f"HG{c + 1:02d}{i:02d}" for c, i in zip(cluster, _within(cluster), strict=True)]
    main: dict[str, list[object]] = {
        "hhid": list(number),
        "psu": [int(c) + 101 for c in cluster],
        "stratum": [int(s) for s in stratum],
        "n_psu": [int(v) for v in FRAME[stratum - 1]],
        "province": ["VN-03"] * n,
        "urban": [1 if v else 2 for v in urban],
        "int_date": list(days),
        "consent": [1 if v else 2 for v in consent],
        "interviewer": [f"Ví Dụ {c % 9 + 1}" for c in cluster],
    }
    kept: dict[str, list[object]] = {
        "hhweight": [round(float(v), 5) for v in weight],
        "head_name": list(names(rng, GIVEN, "Ví Dụ", n)),
        "phone": list(phones(rng, "+849000000", 2, n)),
        "lat": [round(float(v), 6) for v in 22.8 + rng.uniform(-0.2, 0.2, n)],
        "lon": [round(float(v), 6) for v in 104.98 + rng.uniform(-0.2, 0.2, n)],
        "hhsize": [int(v) for v in roster.size(n)],
        "n_adults": [int(v) for v in roster.adults(n)],
        "groups": list(groups),
        "quintile": [int(v) for v in fifth],
    }
    for column, variable, table in (
        ("w1_source", "drinking_water_source", WATER),
        ("w3_place", "drinking_water_place", {"own_dwelling": 1, "own_yard": 2, "elsewhere": 3}),
        ("s1_toilet", "sanitation_facility", TOILETS),
        ("s3_shared", "sanitation_shared", YES_NO),
        (
            "h1_place",
            "handwashing_place",
            {"fixed_observed": 1, "mobile_observed": 2, "no_place": 3, "no_permission": 4},
        ),
        ("h2_water", "handwashing_water", YES_NO),
        ("h3_soap", "handwashing_soap", {"soap": 1, "ash_mud_sand": 2, "none": 3}),
        ("e1_fuel", "cooking_fuel", FUELS),
    ):
        kept[column] = answers.recode(house[variable], table)
    kept["w4_minutes"] = [{"dont_know": 998, "refused": 999}.get(v, v) for v in house["drinking_water_minutes"]]
    met_adult = chance(rng, 0.97, n)
    for variable, column in PERSON.items():
        kept[column] = answers.recode(
            blank(person[variable], met_adult),
            YES_NO if variable in ("health_used_12_months", *list(PERSON)[:4]) else SCALES,
        )
    felt = blank(person["discrimination_grounds_12_months"], met_adult)
    kept["v3_grounds"] = [
        None if text is None else " ".join(str(codes[word]) for word in text.split()) for text in felt
    ]
    main |= {name: [v if c else None for v, c in zip(values, consent, strict=True)] for name, values in kept.items()}
    households_frame = pl.DataFrame({name: _series(values) for name, values in main.items()})

    registered = chance(rng, logistic(2.6 + 0.3 * roster.age + 0.5 * wealth[roster.household]))
    status = np.where(registered, choose(rng, ["1", "2", "3"], [0.62, 0.28, 0.1], persons), "4").astype(object)
    first = np.maximum(np.floor(rng.normal(21.0 - 1.6 * minority[roster.household], 2.8)), 12).astype(np.int64)
    woman = roster.female & (roster.age >= 15)
    ever = woman & (first <= roster.age) & ~chance(rng, 0.05, persons)
    grown = roster.age >= 15
    works = chance(
        rng, logistic(0.3 + 0.14 * (np.minimum(roster.age, 35) - 15) - 0.06 * np.maximum(roster.age - 58, 0))
    )
    studies = chance(rng, logistic(2.2 - 0.75 * (roster.age - 15)))
    picked = np.zeros(persons, dtype=bool)
    picked[selected] = met_adult
    member: dict[str, list[object]] = {
        "pid": [f"{number[h]}-{p}" for h, p in zip(roster.household, roster.position, strict=True)],
        "hhid": [number[h] for h in roster.household],
        "name": list(names(rng, GIVEN, "Ví Dụ", persons)),
        "sex": [2 if v else 1 for v in roster.female],
        "age": [int(v) for v in roster.age],
    }
    for place, domain in enumerate(DOMAINS, 1):
        member[f"wg{place}"] = list(blank(difficulty[domain].astype(object), roster.age >= 5))
    code = {"yes": 1, "no": 2}
    member["birth_reg"] = [None if v is None else int(v) for v in blank(status, roster.age < 5)]
    for column, answer, asked in (
        ("ever_union", ever, woman),
        ("worked", works, grown),
        ("absent", chance(rng, 0.03, persons), grown & ~works),
        ("studying", studies, grown),
    ):
        member[column] = answers.recode(blank(np.where(answer, "yes", "no").astype(object), asked), code)
    member["age_union"] = list(blank(first.astype(object), ever))
    member["selected"] = [1 if v else 2 for v in picked]
    keep = consent[roster.household]
    persons_frame = pl.DataFrame(
        {name: _series([v for v, k in zip(values, keep, strict=True) if k]) for name, values in member.items()}
    )
    return {
        f"{FOLDER}/households.dta": files.stata(
            households_frame,
            variable_value_labels=_labels(households_frame),
            column_labels={
                "w4_minutes": "Minutes to go, queue, get water and come back",
                "n_psu": "Clusters in the stratum of the frame",
                "f2_wallet": "Used mobile money in the last 12 months",
            },
        ),
        f"{FOLDER}/persons.dta": files.stata(persons_frame, variable_value_labels=_labels(persons_frame)),
    }


def _within(cluster: np.ndarray) -> list[int]:
    """Number of each household within its cluster, from 1."""
    start = np.searchsorted(cluster, cluster)
    return [int(v) for v in np.arange(len(cluster)) - start + 1]


def _series(values: list[object]) -> pl.Series:
    sample = next(value for value in values if value is not None)
    kind = pl.Date if isinstance(sample, datetime.date) else pl.String if isinstance(sample, str) else pl.Float64
    return pl.Series(values, dtype=kind, strict=False)


def _labels(frame: pl.DataFrame) -> dict[str, dict[int, str]]:
    yes_no = {1: "Có (yes)", 2: "Không (no)", 8: "Không biết (don't know)", 9: "Từ chối (refused)"}
    agree = {1: "Strongly agree", 2: "Agree", 3: "Disagree", 4: "Strongly disagree", 8: "Don't know", 9: "Refused"}
    extent = {
        1: "Not at all",
        2: "Very little",
        3: "Some",
        4: "A lot",
        5: "A great deal",
        8: "Don't know",
        9: "Refused",
    }
    labels: dict[str, dict[int, str]] = {
        "stratum": {1: "Highland", 2: "Lowland", 3: "Town"},
        "urban": {1: "Urban", 2: "Rural"},
        "consent": {1: "Đồng ý (agrees)", 2: "Không đồng ý (does not agree)"},
        "w1_source": _titles(WATER),
        "w3_place": {1: "In own dwelling", 2: "In own yard", 3: "Elsewhere"},
        "s1_toilet": _titles(TOILETS),
        "e1_fuel": _titles(FUELS),
        "h1_place": {1: "Fixed, seen", 2: "Mobile, seen", 3: "No place", 4: "No permission"},
        "h3_soap": {1: "Soap", 2: "Ash, mud, sand", 3: "None"},
        "quintile": {k: f"Q{k}" for k in range(1, 6)},
        "y7_overall": {
            1: "Very satisfied",
            2: "Satisfied",
            3: "Dissatisfied",
            4: "Very dissatisfied",
            8: "Don't know",
            9: "Refused",
        },
        "sex": {1: "Nam (male)", 2: "Nữ (female)"},
        "birth_reg": {
            1: "Certificate, seen",
            2: "Certificate, not seen",
            3: "Registered, no certificate",
            4: "Not registered",
            8: "Don't know",
        },
    }
    labels |= dict.fromkeys(
        (
            "s3_shared",
            "h2_water",
            "m1_device",
            "m2_sim",
            "f1_account",
            "f2_wallet",
            "y1_used",
            "ever_union",
            "worked",
            "absent",
            "studying",
            "selected",
        ),
        yes_no,
    )
    labels |= dict.fromkeys(("y2_access", "y3_cost", "y4_facility", "y5_equal", "y6_staff"), agree)
    labels |= dict.fromkeys(("v1_say", "v2_influence"), extent)
    labels |= {
        f"wg{place}": {1: "No difficulty", 2: "Some difficulty", 3: "A lot of difficulty", 4: "Cannot do at all"}
        for place in range(1, 7)
    }
    return {column: table for column, table in labels.items() if column in frame.columns}


def _titles(codes: dict[str, int]) -> dict[int, str]:
    return {code: name.replace("_", " ").capitalize() for name, code in codes.items()}
