"""Nepal 2020: a quota sample in two municipalities, exported from ODK Central with a repeat for the members.

Some interviewers typed Devanagari digits, and some the year of the Bikram Sambat calendar.
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
    identifiers,
    joined,
    logistic,
    names,
    phones,
    select_adult,
)

FOLDER = "npl/npl-2020-two-municipalities"
FORM = "two_municipalities"
GROUPS = {
    "dalit": 0.3,
    "madhesi": 0.34,
    "disability": 0.12,
    "lgbtiq": 0.05,
    "women_headed": 0.22,
    "single_women": 0.14,
    "landless": 0.24,
    "none": 0.0,
}
GROUNDS = (
    "sex",
    "age",
    "disability_health",
    "ethnicity",
    "migration",
    "socio_economic",
    "location",
    "religion",
    "marital_family",
    "sexual_orientation_gender",
    "political_opinion",
    "caste",
    "other",
    "none",
)
FUELS = {
    "lpg": "lpg",
    "electricity": "elec",
    "biogas": "biogas",
    "wood": "wood",
    "dung": "dung",
    "crop_residue": "straw",
}
WATER = {
    "piped_dwelling": "piped_in",
    "piped_yard": "piped_yard",
    "piped_neighbour": "piped_nb",
    "public_tap": "tap",
    "borehole": "tubewell",
    "protected_well": "well_p",
    "unprotected_well": "well_u",
    "protected_spring": "spring_p",
    "unprotected_spring": "spring_u",
    "surface_water": "surface",
    "dont_know": "dk",
}
TOILETS = {
    "flush_septic": "flush_septic",
    "flush_pit": "flush_pit",
    "flush_open_drain": "flush_drain",
    "ventilated_pit": "vip",
    "pit_with_slab": "slab",
    "pit_without_slab": "open_pit",
    "bucket": "bucket",
    "hanging": "hanging",
    "no_facility": "none",
}
MISSING = {"dont_know": "dk", "refused": "ref"}
YES_NO = {"yes": "yes", "no": "no"} | MISSING
SCALES = {
    name: str(place)
    for scale in (answers.AGREEMENT, answers.SATISFACTION, answers.EXTENT)
    for place, name in enumerate(scale, 1)
} | MISSING
PERSON = {
    "mobile_device": "phone-device",
    "mobile_sim_active": "phone-sim",
    "account_institution": "money-account",
    "mobile_money_12_months": "money-wallet",
    "health_used_12_months": "health-used",
    "health_access": "health-access",
    "health_affordability": "health-cost",
    "health_facilities": "health-facility",
    "health_equal_treatment": "health-equal",
    "health_staff_attitude": "health-staff",
    "health_satisfaction": "health-overall",
    "have_say": "voice-say",
    "have_influence": "voice-influence",
}
GIVEN = ("Asmita", "Bishnu", "Chandra", "Gita", "Hari", "Kamala", "Maya", "Ram", "Sunita", "Tek")
DIGITS = str.maketrans("0123456789", "०१२३४५६७८९")


def make() -> dict[str, bytes]:  # noqa: PLR0915 (one statement a column)
    """The zip of ODK Central."""
    rng = np.random.default_rng((SEED, 4))
    n = 420
    hills = np.arange(n) < 210
    urban = chance(rng, np.where(hills, 0.3, 0.55))
    wealth = rng.normal(0, 0.8, n) + 0.4 * urban
    roster = draw_roster(rng, n, np.full(n, 1.7), np.full(n, 0.3))
    selected = select_adult(rng, roster, n)
    persons = len(roster.age)
    difficulty, disabled = functioning(rng, roster.age)
    house = answers.household(
        rng,
        wealth,
        urban,
        rng.normal(0, 0.4, n),
        {
            "public_tap": 0.34,
            "piped_yard": 0.26,
            "piped_dwelling": 0.08,
            "borehole": 0.24,
            "protected_spring": 0.05,
            "protected_well": 0.03,
        },
        {"flush_septic": 0.4, "flush_pit": 0.36, "pit_with_slab": 0.18, "ventilated_pit": 0.06},
        {"lpg": 0.84, "biogas": 0.11, "electricity": 0.05},
        {"wood": 0.8, "dung": 0.12, "crop_residue": 0.08},
        {"improved_water": 2.0, "toilet": 2.2, "improved_toilet": 1.3, "clean": -0.9},
    )
    head = roster.position == 1
    has_disabled = np.bincount(roster.household, weights=disabled & (roster.age >= 5), minlength=n) > 0
    groups = {code: chance(rng, share, n) for code, share in GROUPS.items() if code != "none"}
    groups["madhesi"] &= ~hills
    groups["disability"] = has_disabled
    groups["women_headed"] = roster.female[head] & chance(rng, 0.9, n)
    groups["single_women"] &= roster.female[head]
    female, age = roster.female[selected], roster.age[selected]
    grounds = dict.fromkeys((name for name in GROUNDS if name not in ("none", "other")), np.full(n, -4.3))
    grounds |= {
        "caste": np.where(groups["dalit"], 0.2, -3.6),
        "ethnicity": np.where(groups["madhesi"], -0.7, -4.0),
        "sex": -2.6 + 0.9 * female,
    }
    person = answers.respondent(
        rng, wealth, female, age, disabled[selected], grounds, {"device": 1.1, "account": -0.1, "mobile_money": -2.0}
    )  # type: ignore[arg-type]

    uuids = [f"uuid:{value}" for value in identifiers(rng, n)]
    consent = ~chance(rng, 0.012, n)
    days = [datetime.date(2020, 1, 20) + datetime.timedelta(days=int(day)) for day in np.sort(rng.integers(0, 38, n))]
    written = [day.isoformat() for day in days]
    for row in np.flatnonzero(chance(rng, 0.022, n) & consent):
        written[row] = bikram_sambat(days[row])
    devanagari = chance(rng, 0.03, n)
    for row in np.flatnonzero(devanagari & chance(rng, 0.5, n)):
        written[row] = written[row].translate(DIGITS)
    team = rng.integers(1, 9, n)
    size = [str(value) for value in roster.size(n)]
    size = [text.translate(DIGITS) if odd else text for text, odd in zip(size, devanagari, strict=True)]
    begin = {
        "SubmissionDate": [
            f"{day}T11:05:{second:02d}.000Z" for day, second in zip(days, rng.integers(0, 60, n), strict=True)
        ]
    }
    main: dict[str, list[object]] = dict(begin)
    main |= {
        "start": [f"{day}T14:10:00.000+05:45" for day in days],
        "end": [f"{day}T15:02:00.000+05:45" for day in days],
    }
    main |= {
        "visit-visit_date": list(written),
        "visit-municipality": ["1" if value else "2" for value in hills],
        "visit-residence": ["urban" if value else "rural" for value in urban],
        "visit-consent": ["agree" if value else "refuse" for value in consent],
    }
    kept: dict[str, list[object]] = {
        "visit-respondent_name": list(names(rng, GIVEN, "Udaharan", n)),
        "visit-phone": list(phones(rng, "+9779800000", 3, n)),
    }
    base = np.where(hills, 28.2, 26.7)
    kept |= {
        "visit-gps-Latitude": [f"{v:.7f}" for v in base + rng.uniform(-0.05, 0.05, n)],
        "visit-gps-Longitude": [f"{v:.7f}" for v in np.where(hills, 83.9, 85.9) + rng.uniform(-0.05, 0.05, n)],
        "visit-gps-Altitude": ["0"] * n,
        "visit-gps-Accuracy": ["4.7"] * n,
    }
    chosen = joined(groups, none="none")
    kept["household-groups"] = list(chosen)
    for code in GROUPS:
        kept[f"household-groups/{code}"] = [int(code in text.split()) for text in chosen]
    kept["household-size"] = list(size)
    kept["household-eligible_adults"] = [str(value) for value in roster.adults(n)]
    kept["water-source"] = answers.recode(house["drinking_water_source"], WATER)
    kept["water-place"] = answers.recode(
        house["drinking_water_place"], {"own_dwelling": "dwelling", "own_yard": "yard", "elsewhere": "elsewhere"}
    )
    minutes = [{"dont_know": "998", "refused": "999"}.get(v, v) for v in house["drinking_water_minutes"]]
    kept["water-minutes"] = [
        str(v).translate(DIGITS) if odd and v is not None else v for v, odd in zip(minutes, devanagari, strict=True)
    ]
    kept["toilet-kind"] = answers.recode(house["sanitation_facility"], TOILETS)
    kept["toilet-shared"] = answers.recode(house["sanitation_shared"], YES_NO)
    kept["wash-place"] = answers.recode(
        house["handwashing_place"],
        {"fixed_observed": "fixed", "mobile_observed": "mobile", "no_place": "none", "no_permission": "not_allowed"},
    )
    kept["wash-water"] = answers.recode(house["handwashing_water"], YES_NO)
    kept["wash-soap"] = answers.recode(
        house["handwashing_soap"], {"soap": "soap", "ash_mud_sand": "ash", "none": "none"}
    )
    kept["energy-fuel"] = answers.recode(house["cooking_fuel"], FUELS)
    for variable, column in PERSON.items():
        kept[column] = answers.recode(person[variable], YES_NO if set(person[variable]) <= {None, *YES_NO} else SCALES)
    felt = [
        " ".join((MISSING | {name: name for name in GROUNDS})[word] for word in text.split())
        for text in person["discrimination_grounds_12_months"]
    ]
    kept["voice-discrimination"] = list(felt)
    for code in (*GROUNDS, "dk", "ref"):
        kept[f"voice-discrimination/{code}"] = [int(code in text.split()) for text in felt]
    kept["remarks"] = [None if rng.random() < 0.96 else "Asked to phone +9779800000456 first" for _ in range(n)]
    main |= {name: [v if c else None for v, c in zip(values, consent, strict=True)] for name, values in kept.items()}
    main |= {
        "meta-instanceID": list(uuids),
        "KEY": list(uuids),
        "SubmitterID": [str(100 + t) for t in team],
        "SubmitterName": [f"Udaharan Enumerator {t}" for t in team],
    }
    main |= {
        "AttachmentsPresent": [0] * n,
        "AttachmentsExpected": [0] * n,
        "Status": [None] * n,
        "ReviewState": list(choose(rng, ["approved", ""], [0.8, 0.2], n)),
        "DeviceID": [f"collect:Udaharan{t}" for t in team],
        "Edits": [int(v) for v in rng.binomial(1, 0.04, n)],
        "FormVersion": ["2020011201"] * n,
    }

    registered = chance(rng, logistic(0.7 + 0.3 * roster.age + rng.normal(0, 0.6, n)[roster.household]))
    status = np.where(registered, choose(rng, ["1", "2", "3"], [0.5, 0.3, 0.2], persons), "4").astype(object)
    first = np.maximum(np.floor(rng.normal(18.9, 3.1, persons)), 11).astype(np.int64)
    woman = roster.female & (roster.age >= 15)
    ever = woman & (first <= roster.age) & ~chance(rng, 0.04, persons)
    work_age = roster.age >= 15
    works = chance(rng, logistic(-0.7 + 0.1 * (np.minimum(roster.age, 40) - 15) - 0.3 * roster.female))
    studies = chance(rng, logistic(2.6 - 0.6 * (roster.age - 15)))
    ages = [str(value) for value in roster.age]
    ages = [text.translate(DIGITS) if devanagari[h] else text for text, h in zip(ages, roster.household, strict=True)]
    member: dict[str, list[object]] = {
        "name": list(names(rng, GIVEN, "Udaharan", persons)),
        "sex": ["f" if value else "m" for value in roster.female],
        "age": list(ages),
    }
    for domain in DOMAINS:
        member[f"wg-{domain}"] = list(blank(difficulty[domain].astype(str).astype(object), roster.age >= 5))
    member |= {
        "birth_registered": list(blank(status, roster.age < 5)),
        "ever_union": list(blank(np.where(ever, "yes", "no").astype(object), woman)),
        "age_first_union": list(blank(first.astype(object), ever)),
    }
    member |= {
        "worked": list(blank(np.where(works, "yes", "no").astype(object), work_age)),
        "absent": list(blank(np.where(chance(rng, 0.03, persons), "yes", "no").astype(object), work_age & ~works)),
        "studying": list(blank(np.where(studies, "yes", "no").astype(object), work_age)),
    }
    chosen_person = np.zeros(persons, dtype=bool)
    chosen_person[selected] = True
    member |= {
        "selected": ["1" if value else "0" for value in chosen_person],
        "PARENT_KEY": [uuids[h] for h in roster.household],
        "KEY": [f"{uuids[h]}/members[{p}]" for h, p in zip(roster.household, roster.position, strict=True)],
    }
    keep = consent[roster.household]
    members = {name: [v for v, k in zip(values, keep, strict=True) if k] for name, values in member.items()}
    parts = {
        f"{FORM}.csv": files.delimited(pl.DataFrame(main, strict=False), end="\n"),
        f"{FORM}-members.csv": files.delimited(pl.DataFrame(members, strict=False), end="\n"),
    }
    return {f"{FOLDER}/{FORM}.zip": files.zipped(parts)}


def bikram_sambat(day: datetime.date) -> str:
    """A day of January to March 2020 in the Bikram Sambat calendar, year 2076.

    Magh began on 15 January and Falgun on 13 February 2020.
    """
    month, first = (
        (10, datetime.date(2020, 1, 15)) if day < datetime.date(2020, 2, 13) else (11, datetime.date(2020, 2, 13))
    )
    return f"2076-{month:02d}-{(day - first).days + 1:02d}"
