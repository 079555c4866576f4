"""India: a purposive sample of thirteen groups (2019), and a smaller hand-in of the same form with faults (2020).

Column names and many answers are Hindi; the large file has a byte order mark and semicolons, incomes with lakh commas,
and 999 and -999 for answers that are missing. Every planted fault is written to planted_faults.csv beside this module.
"""

from __future__ import annotations

import datetime
from unicodedata import normalize

import numpy as np
import polars as pl

from data.make_samples import SEED, answers, files
from data.make_samples.people import DOMAINS, Generator, chance, choose, functioning, names, phones

FOLDER = "ind/ind-2019-thirteen-groups"
BAD_FOLDER = "ind/ind-2020-partly-bad"
MARKER = "TATANKA-7Q2-REFUSED"
"""Stands in the remarks of the rows without consent: it must be found in no output."""

GROUPS = {
    "dalit": "दलित",
    "indigenous_peoples": "आदिवासी",
    "religious_minorities": "धार्मिक अल्पसंख्यक",
    "denotified_tribes": "विमुक्त और घुमंतू जनजाति",
    "persons_with_disabilities": "विकलांग व्यक्ति",
    "transgender_hijra": "ट्रांसजेंडर और हिजड़ा",
    "sex_workers": "यौनकर्मी",
    "people_living_with_hiv": "एचआईवी के साथ जी रहे लोग",
    "migrant_workers": "प्रवासी मज़दूर",
    "homeless": "बेघर",
    "sanitation_workers": "सफ़ाई कर्मचारी",
    "bonded_labourers": "बंधुआ मज़दूर",
    "single_women": "एकल महिला",
}
STATES = {
    "IN-BR": ("बिहार", "गया"),
    "IN-JH": ("झारखंड", "राँची"),
    "IN-OR": ("ओडिशा", "कोरापुट"),
    "IN-RJ": ("राजस्थान", "उदयपुर"),
    "IN-TN": ("तमिलनाडु", "चेन्नई"),
}
YES_NO = {"yes": "हाँ", "no": "नहीं", "dont_know": "पता नहीं", "refused": "उत्तर नहीं दिया"}
DIFFICULTY = {1: "कोई कठिनाई नहीं", 2: "थोड़ी कठिनाई", 3: "बहुत कठिनाई", 4: "बिल्कुल नहीं कर सकते"}
FUELS = {
    "lpg": "एलपीजी",
    "electricity": "बिजली",
    "biogas": "गोबर गैस",
    "wood": "लकड़ी",
    "dung": "उपले",
    "crop_residue": "फ़सल के अवशेष",
    "coal": "कोयला",
}
GROUNDS = {
    "sex": "लिंग",
    "age": "आयु",
    "disability_health": "विकलांगता या स्वास्थ्य",
    "ethnicity": "जातीयता या भाषा",
    "migration": "प्रवास",
    "socio_economic": "आर्थिक स्थिति",
    "location": "रहने की जगह",
    "religion": "धर्म",
    "marital_family": "वैवाहिक स्थिति",
    "sexual_orientation_gender": "यौन रुझान या लैंगिक पहचान",
    "political_opinion": "राजनीतिक विचार",
    "caste": "जाति",
    "none": "कोई नहीं",
}
WATER = {
    "piped_dwelling": "11",
    "piped_yard": "12",
    "piped_neighbour": "13",
    "public_tap": "14",
    "borehole": "21",
    "protected_well": "31",
    "unprotected_well": "32",
    "unprotected_spring": "42",
    "tanker_truck": "61",
    "surface_water": "81",
    "dont_know": "98",
}
TOILETS = {
    "flush_sewer": "11",
    "flush_septic": "12",
    "flush_pit": "13",
    "flush_open_drain": "14",
    "ventilated_pit": "21",
    "pit_with_slab": "22",
    "pit_without_slab": "23",
    "bucket": "41",
    "hanging": "51",
    "no_facility": "95",
}
SCALES = {
    name: str(place)
    for scale in (answers.AGREEMENT, answers.SATISFACTION, answers.EXTENT)
    for place, name in enumerate(scale, 1)
} | {"dont_know": "98", "refused": "99"}
HEALTH = {
    "health_used_12_months": "पिछले 12 महीनों में सरकारी स्वास्थ्य सेवा का उपयोग",
    "health_access": "स्वास्थ्य सेवा तक पहुँचना आसान था",
    "health_affordability": "स्वास्थ्य सेवा का ख़र्च उठा सकते थे",
    "health_facilities": "स्वास्थ्य केंद्र अच्छी स्थिति में था",
    "health_equal_treatment": "सबके साथ समान व्यवहार होता है",
    "health_staff_attitude": "कर्मचारियों ने सम्मान से व्यवहार किया",
    "health_satisfaction": "स्वास्थ्य सेवा से कुल संतुष्टि",
}
PHONE = {
    "mobile_device": "अपना मोबाइल फ़ोन है",
    "mobile_sim_active": "पिछले 3 महीनों में उपयोग किया सिम है",
    "account_institution": "बैंक या अन्य संस्था में खाता है",
    "mobile_money_12_months": "पिछले 12 महीनों में मोबाइल मनी का उपयोग",
}
VOICE = {"have_say": "सरकार के कामों में अपनी बात रखने का अवसर", "have_influence": "राजनीति पर प्रभाव"}
FUNCTIONING = (
    "देखने में कठिनाई",
    "सुनने में कठिनाई",
    "चलने या सीढ़ी चढ़ने में कठिनाई",
    "याद रखने या ध्यान देने में कठिनाई",
    "स्वयं की देखभाल में कठिनाई",
    "संवाद करने में कठिनाई",
)
NUMBER, DATE, CONSENT, AGE, SEX = "प्रश्नावली संख्या", "साक्षात्कार की तिथि", "सहमति", "आयु (पूर्ण वर्ष)", "लिंग"
SOURCE, FUEL, REMARKS = "पीने के पानी का मुख्य स्रोत", "खाना पकाने का मुख्य ईंधन", "टिप्पणी"
GIVEN = ("अनीता", "आशा", "इमरान", "कमला", "गीता", "मोहन", "रमेश", "शबनम", "सरिता", "सुरेश")


def make() -> dict[str, bytes]:
    """Both files, and the list of planted faults (its path leads out of the inbox, to the folder of this module)."""
    good = survey(np.random.default_rng((SEED, 3)), 85, "IN", datetime.date(2019, 1, 14), 62, 0.012)
    bad, faults = plant(np.random.default_rng((SEED, 10)))
    return {
        f"{FOLDER}/responses.csv": files.delimited(good, delimiter=";", mark=True),
        f"{BAD_FOLDER}/responses.csv": files.delimited(bad),
        "../make_samples/planted_faults.csv": files.delimited(faults, end="\n"),
    }


def survey(rng: Generator, each: int, prefix: str, start: datetime.date, days: int, refusal: float) -> pl.DataFrame:
    """`each` respondents of each group. Rows without consent hold only what was known before the question."""
    group = rng.permutation(np.repeat(list(GROUPS), each))
    n = len(group)
    state = choose(rng, list(STATES), [0.26, 0.2, 0.2, 0.18, 0.16], n)
    urban = chance(
        rng,
        np.where(np.isin(group, ["homeless", "sanitation_workers", "sex_workers", "transgender_hijra"]), 0.85, 0.28),
    )
    sex = np.where(chance(rng, np.where(np.isin(group, ["single_women", "sex_workers"]), 1.0, 0.5)), "महिला", "पुरुष")
    sex = np.where((group == "transgender_hijra") & chance(rng, 0.9, n), "अन्य", sex)
    age = np.clip(rng.gamma(7.5, 5.3, n), 18, 90).astype(np.int64)
    wealth = (
        rng.normal(0, 0.8, n)
        + 0.4 * urban
        - 0.7 * np.isin(group, ["homeless", "bonded_labourers", "denotified_tribes"])
    )
    difficulty, disabled = functioning(rng, age, 0.2)
    severe = (group == "persons_with_disabilities") & chance(rng, 0.92, n)
    domain = rng.integers(0, 6, n)
    for place, name in enumerate(DOMAINS):
        difficulty[name] = np.where(severe & (domain == place), np.where(chance(rng, 0.3, n), 4, 3), difficulty[name])
    second = np.where(disabled & chance(rng, 0.8, n), "persons_with_disabilities", "")
    second = np.where((sex == "महिला") & chance(rng, 0.06, n), "single_women", second)
    second = np.where(np.isin(group, ["sanitation_workers", "bonded_labourers"]) & chance(rng, 0.6, n), "dalit", second)
    house = answers.household(
        rng,
        wealth,
        urban,
        rng.normal(0, 0.4, n),
        {
            "borehole": 0.42,
            "piped_dwelling": 0.12,
            "piped_yard": 0.14,
            "public_tap": 0.2,
            "protected_well": 0.06,
            "tanker_truck": 0.06,
        },
        {"pit_with_slab": 0.3, "flush_septic": 0.34, "flush_pit": 0.22, "flush_sewer": 0.12, "ventilated_pit": 0.02},
        {"lpg": 0.95, "electricity": 0.03, "biogas": 0.02},
        {"wood": 0.66, "dung": 0.2, "crop_residue": 0.1, "coal": 0.04},
        {"improved_water": 2.4, "toilet": 0.7, "improved_toilet": 1.6, "clean": -0.4},
    )
    grounds = dict.fromkeys((name for name in GROUNDS if name != "none"), np.full(n, -4.2))
    grounds["caste"] = np.where(np.isin(group, ["dalit", "sanitation_workers", "denotified_tribes"]), 0.4, -2.8)
    grounds["religion"] = np.where(group == "religious_minorities", -0.2, -3.6)
    grounds["disability_health"] = np.where(severe | (group == "people_living_with_hiv"), 0.0, -3.7)
    grounds["sexual_orientation_gender"] = np.where(group == "transgender_hijra", 1.1, -5.0)
    grounds["socio_economic"] = np.full(n, -1.3)
    person = answers.respondent(
        rng,
        wealth,
        sex == "महिला",
        age,
        disabled | severe,
        grounds,
        {"device": 0.9, "account": 1.2, "mobile_money": -2.2},
    )  # type: ignore[arg-type]
    minutes = [{"dont_know": "999", "refused": "-999", None: None}.get(v, v) for v in house["drinking_water_minutes"]]
    income = [lakh(int(value)) for value in np.round(np.exp(rng.normal(11.2 + 0.4 * wealth, 0.55)), -3)]
    ages = [str(value) for value in age]
    for row in np.flatnonzero(chance(rng, 0.012, n)):
        ages[row] = "999"
    dates = [start + datetime.timedelta(days=int(day)) for day in np.sort(rng.integers(0, days, n))]
    places = {"own_dwelling": "घर के अंदर", "own_yard": "आँगन में", "elsewhere": "कहीं और"}
    columns: dict[str, list[object]] = {
        NUMBER: [f"{prefix}-{number:04d}" for number in range(1, n + 1)],
        DATE: [f"{date:%d/%m/%Y}" for date in dates],
        "राज्य": [STATES[code][0] for code in state],
        "ज़िला": [STATES[code][1] for code in state],
        "क्षेत्र": ["शहरी" if value else "ग्रामीण" for value in urban],
        CONSENT: ["नहीं" if value else "हाँ" for value in chance(rng, refusal, n)],
    }
    kept: dict[str, list[object]] = {
        "उत्तरदाता का नाम": list(names(rng, GIVEN, "उदाहरण", n)),
        "मोबाइल नंबर": list(phones(rng, "+91 90000 00", 3, n)),
        "आधार संख्या": [f"0000 0000 {number:04d}" for number in rng.integers(0, 10_000, n)],
        "समुदाय या समूह": [
            ", ".join(GROUPS[code] for code in dict.fromkeys((a, b)) if code)
            for a, b in zip(group, second, strict=True)
        ],
        SEX: list(sex),
        AGE: list(ages),
        "परिवार के सदस्यों की संख्या": [str(value) for value in 1 + rng.poisson(3.7, n)],
        "परिवार की वार्षिक आय (रुपये)": list(income),
    }
    for header, name in zip(FUNCTIONING, DOMAINS, strict=True):
        kept[header] = ["पता नहीं" if rng.random() < 0.004 else DIFFICULTY[int(value)] for value in difficulty[name]]
    kept[SOURCE] = answers.recode(house["drinking_water_source"], WATER)
    kept["पानी कहाँ से लाते हैं"] = answers.recode(house["drinking_water_place"], places)
    kept["पानी लाने में समय, कतार सहित (मिनट)"] = list(minutes)
    kept["शौचालय का प्रकार"] = answers.recode(house["sanitation_facility"], TOILETS)
    kept["क्या शौचालय साझा है"] = answers.recode(house["sanitation_shared"], YES_NO)
    kept["हाथ धोने की जगह"] = answers.recode(
        house["handwashing_place"],
        {"fixed_observed": "1", "mobile_observed": "2", "no_place": "3", "no_permission": "4"},
    )
    kept["वहाँ पानी है"] = answers.recode(house["handwashing_water"], YES_NO)
    kept["वहाँ साबुन है"] = answers.recode(house["handwashing_soap"], {"soap": "1", "ash_mud_sand": "2", "none": "3"})
    kept[FUEL] = answers.recode(house["cooking_fuel"], FUELS)
    for variable, header in (PHONE | HEALTH | VOICE).items():
        kept[header] = answers.recode(
            person[variable], YES_NO if variable in PHONE or variable == "health_used_12_months" else SCALES
        )
    felt = person["discrimination_grounds_12_months"]
    kept["पिछले 12 महीनों में भेदभाव के आधार"] = [
        ", ".join((GROUNDS | YES_NO)[word] for word in text.split()) for text in felt
    ]
    kept[REMARKS] = [None if rng.random() < 0.96 else "फिर से फ़ोन करें: +91 90000 00123" for _ in range(n)]
    agreed = [value == "हाँ" for value in columns[CONSENT]]
    columns |= {name: [v if c else None for v, c in zip(values, agreed, strict=True)] for name, values in kept.items()}
    clean = {
        normalize("NFC", name): [normalize("NFC", v) if isinstance(v, str) else v for v in values]
        for name, values in columns.items()
    }
    return pl.DataFrame(clean, strict=False).with_columns(pl.all().cast(pl.String))


def lakh(value: int) -> str:
    """Digits grouped as in India: 120000 is 1,20,000."""
    digits = str(value)
    head, tail = digits[:-3], digits[-3:]
    pairs = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return ",".join([*pairs, tail])


def plant(rng: Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Three hundred rows with faults, and the list of the faults: row in the file, column, fault, what stands there."""
    frame = survey(rng, 24, "INB", datetime.date(2020, 1, 6), 40, 0.0).head(300)
    cells = {name: frame[name].to_list() for name in frame.columns}
    planted: list[dict[str, object]] = []
    free = iter(rng.permutation(300).tolist())

    def put(row: int, column: str, fault: str, written: str) -> None:
        column = normalize("NFC", column)
        cells[column][row] = normalize("NFC", written)
        planted.append({"row": row + 2, "column": column, "fault": fault, "written": cells[column][row]})

    for _ in range(3):  # the same number, two different persons
        first, again = next(free), next(free)
        put(first, NUMBER, "duplicate_identity", cells[NUMBER][first])
        put(again, NUMBER, "duplicate_identity", cells[NUMBER][first])
    for column, written, times in ((SOURCE, "77", 4), (SEX, "पु.", 2), (FUEL, "स्टोव", 2)):
        for _ in range(times):
            put(next(free), column, "unknown_code", written)
    for written in ("214", "-3", "150"):
        put(next(free), AGE, "impossible_number", written)
    put(next(free), AGE, "not_a_number", "पैंतीस")
    put(next(free), DATE, "not_a_date", "31/02/2020")
    for written in ("12/01/2018", "05/03/2021", "20/12/2019", "01/09/2020"):
        put(next(free), DATE, "outside_collection", written)
    for _ in range(6):  # refused, and yet the interviewer wrote the answers down
        row = next(free)
        put(row, REMARKS, "refused_with_answers", MARKER)
        put(row, CONSENT, "consent_refused", "नहीं")
    faults = (
        pl.DataFrame(planted).sort("row", "column").select(pl.lit("ind-2020-partly-bad").alias("submission"), pl.all())
    )
    return pl.DataFrame(cells), faults
