"""Kenya 2019: a household survey of two counties, and a small hand-in that must not get through.

The household survey is a two-stage stratified cluster sample: strata are county x place of residence, clusters are
drawn in proportion to their households, fifteen households a cluster. Weights are the inverse of both chances, adjusted
for households that did not answer. The second hand-in has no consent question, and telephone numbers and coordinates.
"""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from data.make_samples import SEED, files, kobo
from data.make_samples.kenya_form import ASSETS, SERVICES, choices, questions
from data.make_samples.people import (
    DOMAINS,
    Booleans,
    Floats,
    Generator,
    Integers,
    Roster,
    Texts,
    blank,
    chance,
    choose,
    draw_roster,
    functioning,
    heaped,
    joined,
    likert,
    logistic,
    names,
    phones,
    quintiles,
    select_adult,
    some_missing,
)

SURVEY = "ken/ken-2019-household-survey"
NO_CONSENT = "ken/ken-2019-no-consent"
TITLE = "Household survey KE 2019"
VERSION = "vH9kQ2mTz7"
START = datetime.date(2019, 8, 26)
DAYS = 33

STRATA = ("kisumu_urban", "kisumu_rural", "turkana_urban", "turkana_rural")
FRAME_CLUSTERS = np.array([1180, 1645, 310, 1490])
SAMPLE_CLUSTERS = np.array([16, 18, 10, 16])
HOUSEHOLDS_A_CLUSTER = 15

GIVEN = ("Achieng", "Akinyi", "Atieno", "Ekai", "Ekiru", "Lokol", "Nakiru", "Ochieng", "Odhiambo", "Otieno", "Wanjiru")
MARGINALISED = (
    "disability",
    "women_headed",
    "refugee",
    "displaced",
    "pastoralist",
    "fishing",
    "informal_settlement",
    "single_women",
    "none",
)
GROUNDS = (
    "sex",
    "age",
    "disability",
    "ethnicity",
    "migration",
    "money",
    "place",
    "religion",
    "marital",
    "orientation",
    "political",
    "other",
    "none",
    "dk",
    "ref",
)
PIPED = ("11", "12")


def make() -> dict[str, bytes]:
    """Both hand-ins of Kenya."""
    return household_survey() | without_consent()


def household_survey() -> dict[str, bytes]:
    """XLSForm and export of the survey of Kisumu and Turkana."""
    rng = np.random.default_rng((SEED, 1))
    sample = _sample(rng)
    n = len(sample["stratum"])
    urban, turkana = np.isin(sample["stratum"], [0, 2]), sample["stratum"] >= 2
    consent = ~chance(rng, 0.016, n)
    wealth = (
        np.array([0.9, -0.1, 0.2, -1.1])[sample["stratum"]]
        + rng.normal(0, 0.45, sample["clusters"])[sample["cluster"]]
        + rng.normal(0, 0.7, n)
    )
    roster = draw_roster(rng, n, np.where(urban, 2.0, 2.7) + 0.6 * turkana, np.where(turkana, 0.42, 0.33))
    selected = select_adult(rng, roster, n)
    interviewed = np.zeros(len(roster.age), dtype=bool)
    interviewed[selected] = chance(rng, 0.965, n)
    persons, disabled = _persons(rng, roster, interviewed, wealth, turkana)
    weight = np.where(consent, sample["weight"] * 15 / _per_cluster(sample["cluster"], consent), np.nan)

    columns: dict[str, list[object]] = {}
    days = [START + datetime.timedelta(days=int(c) * DAYS // sample["clusters"]) for c in sample["cluster"]]
    clock = kobo.times(rng, days, (38, 95))
    team = rng.integers(1, 13, sample["clusters"])[sample["cluster"]]
    columns |= {"start": clock["start"], "end": clock["end"], "today": [day.isoformat() for day in days]}
    columns |= {
        "deviceid": [f"collect:Mfano{t:02d}aQ7x" for t in team],
        "username": [f"mfano_enumerator_{t:02d}" for t in team],
    }
    columns |= {"enumerator_name": [f"Mhoji Mfano {t:02d}" for t in team]}
    columns |= {
        "county": list(np.where(turkana, "KE-43", "KE-17")),
        "residence": list(np.where(urban, "urban", "rural")),
    }
    columns |= {
        "cluster_id": [f"{STRATA[s]}_{c:02d}" for s, c in zip(sample["stratum"], sample["cluster"] + 1, strict=True)]
    }
    columns |= {"consent": list(np.where(consent, "yes", "no"))}
    answers: dict[str, list[object]] = {
        "respondent_name": list(names(rng, GIVEN, "Mfano", n)),
        "respondent_phone": list(phones(rng, "+254700000", 3, n)),
        "household_size": [int(size) for size in roster.size(n)],
        "eligible_adults": [int(count) for count in roster.adults(n)],
        "selected_index": [int(place) for place in roster.position[selected]],
    }
    groups = _groups(rng, sample["stratum"], roster, disabled)
    answers |= kobo.select_multiple("groups", groups, MARGINALISED)
    answers |= _water_sanitation_energy(rng, sample["cluster"], sample["clusters"], urban, turkana, wealth)
    assets = _assets(rng, urban, turkana, wealth)
    answers |= kobo.select_multiple("assets", joined(assets, none="none"), ASSETS)
    answers |= {"respondent_available": list(np.where(interviewed[selected], "yes", "no"))}
    answers |= _respondent(rng, roster, selected, interviewed[selected], disabled, wealth, urban, turkana)
    remarks = choose(
        rng,
        [
            "",
            "Respondent asked to be called on +254700000123",
            "Ask for Mama Mfano at the blue gate",
            "Long queue at the borehole",
        ],
        [0.93, 0.02, 0.02, 0.03],
        n,
    )
    answers |= {"remarks": [text or None for text in remarks]}
    answers |= kobo.geopoint(
        "gps",
        list(np.where(turkana, 3.1, -0.1) + rng.uniform(-0.05, 0.05, n)),
        list(np.where(turkana, 35.6, 34.75) + rng.uniform(-0.05, 0.05, n)),
    )
    columns |= {
        name: [v if c else None for v, c in zip(values, consent, strict=True)] for name, values in answers.items()
    }
    columns |= kobo.system_columns(rng, n, clock["_submission_time"], columns["username"], VERSION)  # type: ignore[arg-type]
    score = sum(
        value * asset.astype(float)
        for value, asset in zip((0.5, 1.5, 0.4, 1.2, 0.7, 1.6, 1.0, 0.1), assets.values(), strict=True)
    )
    fifth = np.zeros(n, dtype=np.int64)
    size = roster.size(n)
    fifth[consent] = quintiles((score + 0.3 * wealth)[consent], (weight * size)[consent])  # type: ignore[operator]
    columns |= {"wealth_quintile": [int(q) if c else None for q, c in zip(fifth, consent, strict=True)]}
    columns |= {"stratum": [STRATA[s] for s in sample["stratum"]]}
    columns |= {"hh_weight": [round(float(w), 4) if c else None for w, c in zip(weight, consent, strict=True)]}

    kept = consent[roster.household]
    parent = [int(household) for household in roster.household[kept]]
    members: dict[str, list[object]] = {name: list(values[kept]) for name, values in persons.items()}
    members |= kobo.repeat_columns(columns, TITLE, parent)
    sheets = {TITLE: pl.DataFrame(columns, strict=False), "roster": pl.DataFrame(members, strict=False)}
    return {
        f"{SURVEY}/export.xlsx": files.tables_workbook(sheets),
        f"{SURVEY}/form.xlsx": kobo.form(
            TITLE, "household_survey_ke_2019", VERSION, "Kiswahili (sw)", questions(), choices()
        ),
    }


def _sample(rng: Generator) -> dict[str, Integers | Floats | int]:
    """Clusters and the households that were met: stratum, cluster (from 0), weight before adjustment."""
    stratum_of = np.repeat(np.arange(4), SAMPLE_CLUSTERS)
    clusters = len(stratum_of)
    old = np.clip(rng.gamma(12, 8, clusters), 45, 240).round()  # households in the frame, the measure of size
    listed = np.clip(old * rng.normal(1.05, 0.15, clusters), 40, 300).round()  # households found when listing
    mean_size = np.array([104.0, 96.0, 98.0, 88.0])[stratum_of]
    cluster_chance = SAMPLE_CLUSTERS[stratum_of] * old / (FRAME_CLUSTERS[stratum_of] * mean_size)
    weight = 1 / cluster_chance * listed / HOUSEHOLDS_A_CLUSTER
    met = HOUSEHOLDS_A_CLUSTER - rng.binomial(HOUSEHOLDS_A_CLUSTER, np.array([0.045, 0.02, 0.03, 0.025])[stratum_of])
    cluster = np.repeat(np.arange(clusters), met)
    return {"stratum": stratum_of[cluster], "cluster": cluster, "weight": weight[cluster], "clusters": clusters}


def _per_cluster(cluster: Integers, consent: Booleans) -> Integers:
    """Households of the cluster that answered, for each household."""
    return np.bincount(cluster, weights=consent, minlength=cluster.max() + 1)[cluster]


def _groups(rng: Generator, stratum: Integers, roster: Roster, disabled: Booleans) -> Texts:
    n = len(stratum)
    urban, turkana = np.isin(stratum, [0, 2]), stratum >= 2
    head = roster.position == 1
    has_disabled = np.bincount(roster.household, weights=disabled & (roster.age >= 5), minlength=n) > 0
    flags = {
        "disability": has_disabled & chance(rng, 0.8, n),
        "women_headed": roster.female[head] & chance(rng, 0.9, n),
        "refugee": turkana & chance(rng, np.where(urban, 0.12, 0.03)),
        "displaced": chance(rng, 0.015, n),
        "pastoralist": turkana & chance(rng, np.where(urban, 0.18, 0.72)),
        "fishing": chance(rng, np.where(turkana, 0.06, np.where(urban, 0.05, 0.14))),
        "informal_settlement": urban & chance(rng, np.where(turkana, 0.15, 0.38)),
        "single_women": roster.female[head] & chance(rng, 0.3, n),
    }
    return joined(flags, none="none")


def _assets(rng: Generator, urban: Booleans, turkana: Booleans, wealth: Floats) -> dict[str, Booleans]:
    odds = {
        "radio": 0.3 + 0.9 * wealth,
        "television": -1.1 + 1.3 * wealth + 0.6 * urban,
        "bicycle": -0.9 + 0.2 * wealth - 0.5 * turkana,
        "motorcycle": -2.4 + 0.8 * wealth,
        "solar_lamp": -0.4 + 0.3 * wealth - 0.7 * urban,
        "grid_power": -1.2 + 1.5 * wealth + 1.4 * urban - 0.4 * turkana,
        "iron_roof": 1.2 + 1.2 * wealth - 1.8 * turkana,
        "goats": -0.6 - 0.3 * wealth + 1.4 * turkana - 1.2 * urban,
    }
    return {name: chance(rng, logistic(value)) for name, value in odds.items()}


def _water_sanitation_energy(
    rng: Generator, cluster: Integers, clusters: int, urban: Booleans, turkana: Booleans, wealth: Floats
) -> dict[str, list[object]]:
    n = len(cluster)
    water_effect = rng.normal(0, 0.95, clusters)[cluster]  # intraclass correlation about 0.2 on the logit scale
    improved = chance(rng, logistic(0.7 + 1.1 * urban - 0.9 * turkana + 0.45 * wealth + water_effect))
    piped = chance(rng, logistic(-1.6 + 1.4 * urban + 0.7 * wealth + 0.5 * water_effect))
    source = np.where(
        improved,
        np.where(
            piped,
            choose(rng, ["11", "12", "13", "14"], [0.14, 0.4, 0.16, 0.3], n),
            choose(
                rng,
                ["21", "31", "41", "51", "61", "71", "72", "91"],
                [0.45, 0.14, 0.1, 0.06, 0.03, 0.05, 0.15, 0.02],
                n,
            ),
        ),
        choose(rng, ["32", "42", "81", "96"], [0.34, 0.16, 0.48, 0.02], n),
    )
    source = some_missing(rng, source, {"98": 0.004})
    at_home = np.isin(source, ["11", "12"])
    place = np.where(np.isin(source, ["51", "91"]), "1", choose(rng, ["2", "3"], [0.1, 0.9], n))
    place = blank(np.where(at_home, None, place), source != "98")
    away = place == "3"
    minutes = heaped(
        np.exp(rng.normal(2.75 + 0.45 * ~urban + 0.55 * turkana + 0.25 * rng.normal(0, 1, clusters)[cluster], 0.65)), 5
    )
    minutes_text = blank(np.minimum(minutes, 300).astype(object), away)
    minutes_text[chance(rng, 0.02, n) & away] = 998

    toilet_effect = rng.normal(0, 0.8, clusters)[cluster]
    any_toilet = chance(
        rng, logistic(2.6 + 0.8 * urban - np.where(urban, 1.9, 3.2) * turkana + 0.6 * wealth + toilet_effect)
    )
    improved_toilet = chance(rng, logistic(0.1 + 0.9 * urban + 0.8 * wealth + 0.5 * toilet_effect))
    toilet = np.where(
        ~any_toilet,
        "95",
        np.where(
            improved_toilet,
            np.where(
                urban,
                choose(rng, ["11", "12", "13", "18", "21", "22", "31"], [0.16, 0.13, 0.07, 0.01, 0.2, 0.42, 0.01], n),
                choose(rng, ["12", "13", "21", "22", "31"], [0.02, 0.02, 0.22, 0.72, 0.02], n),
            ),
            choose(rng, ["14", "23", "41", "51", "96"], [0.04, 0.92, 0.01, 0.02, 0.01], n),
        ),
    )
    shared = np.where(chance(rng, logistic(-0.9 + 1.1 * urban - 0.4 * wealth)), "yes", "no").astype(object)
    shared = blank(some_missing(rng, shared, {"dk": 0.005}), toilet != "95")
    hygiene = rng.normal(0, 0.6, clusters)[cluster] + 0.7 * wealth
    station = choose(rng, ["1", "2", "3", "4"], [0.22, 0.36, 0.39, 0.03], n)
    station = np.where((station == "3") & chance(rng, logistic(hygiene - 0.8)), "2", station)
    seen = np.isin(station, ["1", "2"])
    wash_water = np.where(chance(rng, logistic(0.9 + hygiene)), "yes", "no")
    soap = np.where(chance(rng, logistic(0.1 + hygiene)), "1", choose(rng, ["2", "3"], [0.12, 0.88], n))
    clean = chance(rng, logistic(-2.9 + 1.5 * urban + 1.5 * wealth - 0.8 * turkana))
    fuel = np.where(
        clean,
        choose(rng, ["lpg", "electricity", "biogas", "ethanol"], [0.86, 0.08, 0.04, 0.02], n),
        np.where(
            urban,
            choose(rng, ["charcoal", "kerosene", "wood", "none"], [0.62, 0.16, 0.2, 0.02], n),
            choose(rng, ["wood", "charcoal", "residue", "kerosene", "dung"], [0.83, 0.12, 0.02, 0.02, 0.01], n),
        ),
    )
    return {
        "water_source": list(source),
        "water_place": list(place),
        "water_minutes": list(minutes_text),
        "toilet": list(toilet),
        "toilet_shared": list(shared),
        "wash_place": list(station),
        "wash_water": list(blank(wash_water.astype(object), seen)),
        "wash_soap": list(blank(soap, seen)),
        "cooking_fuel": list(fuel),
    }


def _persons(
    rng: Generator, roster: Roster, respondent: Booleans, wealth: Floats, turkana: Booleans
) -> tuple[dict[str, Texts], Booleans]:
    n = len(roster.age)
    age, female, household = roster.age, roster.female, roster.household
    rich, north = wealth[household], turkana[household]
    answers, disabled = functioning(rng, age)
    persons: dict[str, Texts] = {
        "member_name": np.array(names(rng, GIVEN, "Mfano", n), dtype=object),
        "relation": roster.relation,
        "sex": np.where(female, "female", "male").astype(object),
        "age": age.astype(object),
    }
    persons["age"][chance(rng, 0.003, n) & (age > 40)] = 998
    known = age >= 5
    for domain in DOMAINS:
        persons[f"wg_{domain}"] = blank(
            some_missing(rng, answers[domain].astype(str).astype(object), {"8": 0.002, "9": 0.001}), known
        )
    home = rng.normal(0, 0.9, len(wealth))[household]
    registered = chance(rng, logistic(0.9 + 0.5 * rich - 1.0 * north + 0.35 * np.minimum(age, 4) - 0.3 + home))
    status = np.where(registered, choose(rng, ["1", "2", "3"], [0.42, 0.2, 0.38], n), "4")
    persons["birth_registered"] = blank(some_missing(rng, status.astype(object), {"8": 0.015}), age < 5)
    woman = female & (age >= 15)
    first = np.floor(rng.normal(20.2 + 0.7 * rich - 0.5 * north, 3.3))
    ever = woman & (np.maximum(first, 10) <= age) & ~chance(rng, 0.04, n)
    persons["ever_union"] = blank(np.where(ever, "yes", "no").astype(object), woman)
    persons["age_first_union"] = blank(np.maximum(first, 10).astype(np.int64).astype(object), ever)
    persons["age_first_union"][ever & chance(rng, 0.02, n)] = 98
    working_age = age >= 15
    worked = chance(
        rng,
        logistic(
            -0.9 + 0.11 * (np.minimum(age, 40) - 15) - 0.04 * np.maximum(age - 60, 0) - 0.3 * female - 0.8 * disabled
        ),
    )
    persons["worked"] = blank(
        some_missing(rng, np.where(worked, "yes", "no").astype(object), {"dk": 0.006}), working_age
    )
    persons["absent"] = blank(np.where(chance(rng, 0.04, n), "yes", "no").astype(object), working_age & ~worked)
    studying = chance(rng, logistic(3.0 - 0.62 * (age - 15) + 0.4 * rich - 0.5 * north - 0.5 * disabled))
    persons["studying"] = blank(np.where(studying, "yes", "no").astype(object), working_age)
    persons["is_respondent"] = np.where(respondent, "yes", "no").astype(object)
    return persons, disabled


def _respondent(
    rng: Generator,
    roster: Roster,
    selected: Integers,
    interviewed: Booleans,
    disabled: Booleans,
    wealth: Floats,
    urban: Booleans,
    turkana: Booleans,
) -> dict[str, list[object]]:
    n = len(selected)
    age, female, disability = roster.age[selected], roster.female[selected], disabled[selected]
    young_or_old = np.where(age < 18, -1.8, 0.0) - 0.02 * np.maximum(age - 55, 0)
    columns: dict[str, list[object]] = {}

    def yes(odds: Floats, missing: dict[str, float]) -> Texts:
        return some_missing(rng, np.where(chance(rng, logistic(odds)), "yes", "no").astype(object), missing)

    device = yes(1.5 + 0.8 * wealth - 0.5 * female - 0.7 * disability - 0.6 * turkana + young_or_old, {"ref": 0.004})
    sim = np.where(device == "yes", yes(2.9 + 0 * wealth, {"dk": 0.003}), yes(-1.8 + 0 * wealth, {}))
    columns["mobile_device"], columns["mobile_sim"] = list(device), list(sim)
    columns["account"] = list(
        yes(-0.7 + 0.9 * wealth - 0.4 * female - 0.8 * disability + young_or_old, {"ref": 0.01, "dk": 0.004})
    )
    money = np.where(sim == "yes", 1.6, -0.9) + 0.5 * wealth - 0.7 * disability + young_or_old
    columns["mobile_money"] = list(yes(money, {"ref": 0.008}))
    for service, attributes in SERVICES.items():
        use = {"hlt": 0.9 + 0.4 * female, "pri": 0.1 + 0 * age, "sec": -0.9 + 0 * age, "doc": -1.0 + 0.3 * urban}[
            service
        ]
        used = yes(use - 0.02 * np.maximum(age - 50, 0), {"dk": 0.004})
        columns[f"{service}_used"] = list(used)
        mood = rng.normal(0, 1.0, n) - 0.7 * disability - 0.2 * turkana
        for attribute in (*attributes, "overall"):
            ease = {"cost": -0.1, "facility": -0.2, "access": 0.5, "time": -0.3, "process": 0.0}.get(attribute, 0.4)
            answer = some_missing(rng, likert(rng, mood + ease, "1234"), {"8": 0.02, "9": 0.008})
            columns[f"{service}_{attribute}"] = list(blank(answer, used == "yes"))
    base = -3.9 + 0 * age
    grounds = {
        "sex": base + 0.9 * female,
        "age": base - 0.4 + 1.2 * (age > 60),
        "disability": base - 0.6 + 2.9 * disability,
        "ethnicity": base + 0.7 + 0.4 * turkana,
        "migration": base - 1.2 + 0.8 * turkana,
        "money": base + 1.0 - 0.5 * wealth,
        "place": base + 0.5 * urban,
        "religion": base - 1.1,
        "marital": base - 0.9 + 0.8 * female,
        "orientation": base - 2.6,
        "political": base + 0.1,
        "other": base - 2.2,
    }
    felt = joined({name: chance(rng, logistic(odds)) for name, odds in grounds.items()}, none="none")
    felt = some_missing(rng, felt, {"dk": 0.006, "ref": 0.012})
    felt = blank(felt, interviewed)
    voice = rng.normal(0, 0.9, n) - 0.4 * female - 0.4 * disability
    for name, shift in (("have_say", -0.2), ("have_influence", -0.5)):
        place = np.digitize(voice + shift + rng.logistic(size=n), [-1.6, -0.1, 1.2, 2.5])
        columns[name] = list(some_missing(rng, (place + 1).astype(str).astype(object), {"8": 0.03, "9": 0.01}))
    columns = {name: list(blank(np.array(values, dtype=object), interviewed)) for name, values in columns.items()}
    place_of = list(columns).index("have_say")
    first, last = list(columns.items())[:place_of], list(columns.items())[place_of:]
    return dict(first) | kobo.select_multiple("discrimination", felt, GROUNDS) | dict(last)


def without_consent() -> dict[str, bytes]:
    """A water-point survey of sixty households: nobody was asked for consent, and everybody can be found."""
    rng = np.random.default_rng((SEED, 9))
    n = 60
    days = [datetime.date(2019, 11, 4) + datetime.timedelta(days=int(d)) for d in np.sort(rng.integers(0, 5, n))]
    clock = kobo.times(rng, days, (8, 20))
    columns: dict[str, list[object]] = {"start": clock["start"], "end": clock["end"]}
    columns |= {"visit_date": [day.isoformat() for day in days], "county": ["KE-30"] * n}
    columns |= {"head_name": list(names(rng, GIVEN, "Mfano", n)), "head_phone": list(phones(rng, "+254700000", 3, n))}
    columns |= {"contact_2": list(phones(rng, "0700000", 3, n)), "people": [int(k) for k in 1 + rng.poisson(3.4, n)]}
    columns |= {"water_source": list(choose(rng, ["14", "21", "61", "81"], [0.4, 0.2, 0.35, 0.05], n))}
    columns |= {"water_minutes": [int(m) for m in heaped(np.exp(rng.normal(2.7, 0.6, n)), 5)]}
    columns |= {
        "remarks": [
            f"call {phone} before the visit" if i % 6 == 0 else None
            for i, phone in enumerate(phones(rng, "+254700000", 3, n))
        ]
    }
    columns |= kobo.geopoint(
        "location", list(-1.31 + rng.uniform(-0.01, 0.01, n)), list(36.79 + rng.uniform(-0.01, 0.01, n))
    )
    columns |= kobo.system_columns(rng, n, clock["_submission_time"], ["mfano_water_team"] * n, "v3WaterPoint")
    return {
        f"{NO_CONSENT}/export.xlsx": files.tables_workbook({"Water points 2019": pl.DataFrame(columns, strict=False)})
    }
