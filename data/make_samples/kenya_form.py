"""The questionnaire of the Kenyan household survey in English and Kiswahili, as an XLSForm has it."""

from __future__ import annotations

from data.make_samples.kobo import Question

ASSETS = ("radio", "television", "bicycle", "motorcycle", "solar_lamp", "grid_power", "iron_roof", "goats", "none")
SERVICES = {
    "hlt": ("access", "cost", "facility", "equal", "staff"),
    "pri": ("access", "cost", "facility", "equal", "teaching"),
    "sec": ("access", "cost", "facility", "equal", "teaching"),
    "doc": ("access", "cost", "process", "equal", "time"),
}


def questions() -> list[Question]:
    """The survey sheet."""
    listed: list[Question] = [
        ("start", "start", "", "", ""),
        ("end", "end", "", "", ""),
        ("today", "today", "", "", ""),
        ("deviceid", "deviceid", "", "", ""),
        ("username", "username", "", "", ""),
        ("text", "enumerator_name", "Name of the interviewer", "Jina la mhoji", ""),
        ("select_one county", "county", "County", "Kaunti", ""),
        ("select_one residence", "residence", "Place of residence", "Makazi", ""),
        ("text", "cluster_id", "Number of the cluster", "Nambari ya eneo", ""),
        (
            "select_one yes_no",
            "consent",
            "Do you agree to take part, and that the answers are used without your name?",
            "Je, unakubali kushiriki, na majibu yatumike bila jina lako?",
            "",
        ),
        ("begin_group", "interview", "Interview", "Mahojiano", "${consent} = 'yes'"),
        ("text", "respondent_name", "Your name", "Jina lako", ""),
        (
            "text",
            "respondent_phone",
            "A telephone number, if we may call again",
            "Nambari ya simu, kama tunaweza kupiga tena",
            "",
        ),
        ("begin_repeat", "roster", "Members of the household", "Wanakaya", ""),
        ("text", "member_name", "Name", "Jina", ""),
        ("select_one relation", "relation", "Relation to the head of the household", "Uhusiano na mkuu wa kaya", ""),
        ("select_one sex", "sex", "Sex", "Jinsia", ""),
        ("integer", "age", "Age in completed years (998: not known)", "Umri kwa miaka kamili (998: haijulikani)", ""),
    ]
    domains = {
        "seeing": ("Difficulty seeing, even if wearing glasses", "Ugumu wa kuona, hata ukivaa miwani"),
        "hearing": ("Difficulty hearing, even if using a hearing aid", "Ugumu wa kusikia, hata ukitumia kifaa"),
        "walking": ("Difficulty walking or climbing steps", "Ugumu wa kutembea au kupanda ngazi"),
        "remembering": ("Difficulty remembering or concentrating", "Ugumu wa kukumbuka au kumakinika"),
        "self_care": (
            "Difficulty with self-care such as washing all over or dressing",
            "Ugumu wa kujitunza kama kuoga au kuvaa",
        ),
        "communicating": (
            "Difficulty communicating in one's usual language",
            "Ugumu wa kuwasiliana kwa lugha ya kawaida",
        ),
    }
    listed += [("select_one difficulty", f"wg_{name}", *texts, "${age} >= 5") for name, texts in domains.items()]
    listed += [
        (
            "select_one registration",
            "birth_registered",
            "Is the birth registered? May I see the certificate?",
            "Je, kuzaliwa kumesajiliwa? Naweza kuona cheti?",
            "${age} < 5",
        ),
        (
            "select_one yes_no",
            "ever_union",
            "Have you ever been married or lived with a partner? (ask the woman herself)",
            "Umewahi kuolewa au kuishi na mwenzi?",
            "${sex} = 'female' and ${age} >= 15",
        ),
        (
            "integer",
            "age_first_union",
            "Age when that first happened (98: not known)",
            "Umri ilipotokea mara ya kwanza (98: haijulikani)",
            "${ever_union} = 'yes'",
        ),
        (
            "select_one yes_no_dk",
            "worked",
            "Worked at least one hour in the last seven days",
            "Alifanya kazi angalau saa moja siku saba zilizopita",
            "${age} >= 15",
        ),
        (
            "select_one yes_no",
            "absent",
            "Has work but was away from it",
            "Ana kazi lakini hakuwepo",
            "${worked} != 'yes'",
        ),
        (
            "select_one yes_no",
            "studying",
            "Attends school, college or training now",
            "Anasoma au anapata mafunzo sasa",
            "${age} >= 15",
        ),
        ("calculate", "is_respondent", "", "", ""),
        ("end_repeat", "", "", "", ""),
        ("calculate", "household_size", "", "", ""),
        ("calculate", "eligible_adults", "", "", ""),
        ("calculate", "selected_index", "", "", ""),
        (
            "select_multiple groups",
            "groups",
            "Does your household see itself as belonging to any of these?",
            "Je, kaya yako inajiona kuwa katika kundi lolote kati ya haya?",
            "",
        ),
        ("select_one water", "water_source", "Main source of drinking water", "Chanzo kikuu cha maji ya kunywa", ""),
        (
            "select_one place",
            "water_place",
            "Where is it collected?",
            "Yanatekwa wapi?",
            "${water_source} != '11' and ${water_source} != '12'",
        ),
        (
            "integer",
            "water_minutes",
            "Minutes to go, queue, get water and come back (998: not known)",
            "Dakika za kwenda, kupanga foleni, kuteka na kurudi (998: haijulikani)",
            "${water_place} = '3'",
        ),
        ("select_one toilet", "toilet", "Kind of toilet usually used", "Aina ya choo kinachotumika", ""),
        (
            "select_one yes_no_dk",
            "toilet_shared",
            "Shared with other households",
            "Kinatumiwa na kaya nyingine",
            "${toilet} != '95'",
        ),
        (
            "select_one wash_place",
            "wash_place",
            "Observe: place for washing hands",
            "Angalia: mahali pa kunawa mikono",
            "",
        ),
        (
            "select_one yes_no",
            "wash_water",
            "Observe: water is there",
            "Angalia: kuna maji",
            "${wash_place} = '1' or ${wash_place} = '2'",
        ),
        (
            "select_one soap",
            "wash_soap",
            "Observe: soap is there",
            "Angalia: kuna sabuni",
            "${wash_place} = '1' or ${wash_place} = '2'",
        ),
        ("select_one fuel", "cooking_fuel", "Main fuel for cooking", "Nishati kuu ya kupikia", ""),
        ("select_multiple assets", "assets", "What does the household own?", "Kaya inamiliki nini?", ""),
        (
            "select_one yes_no",
            "respondent_available",
            "The selected adult is interviewed",
            "Mtu mzima aliyechaguliwa anahojiwa",
            "",
        ),
        ("begin_group", "adult", "Selected adult", "Mtu mzima aliyechaguliwa", "${respondent_available} = 'yes'"),
        (
            "select_one yes_no_dk_ref",
            "mobile_device",
            "Do you have a mobile phone for your own use?",
            "Una simu ya mkononi ya kutumia mwenyewe?",
            "",
        ),
        (
            "select_one yes_no_dk_ref",
            "mobile_sim",
            "Do you have a SIM card used in the last three months?",
            "Una laini iliyotumika miezi mitatu iliyopita?",
            "",
        ),
        (
            "select_one yes_no_dk_ref",
            "account",
            "Do you have an account at a bank or another institution?",
            "Una akaunti ya benki au taasisi nyingine?",
            "",
        ),
        (
            "select_one yes_no_dk_ref",
            "mobile_money",
            "Did you use mobile money in the last twelve months?",
            "Ulitumia pesa kwa simu miezi 12 iliyopita?",
            "",
        ),
    ]
    services = {
        "hlt": ("health care", "huduma za afya"),
        "pri": ("primary school", "shule ya msingi"),
        "sec": ("secondary school", "shule ya sekondari"),
        "doc": ("identity documents and registration", "vitambulisho na usajili"),
    }
    attributes = {
        "access": ("it was easy to reach", "ilikuwa rahisi kufika"),
        "cost": ("the cost was affordable", "gharama ilikuwa nafuu"),
        "facility": ("the facilities were in good condition", "majengo yalikuwa katika hali nzuri"),
        "equal": ("all people are treated equally", "watu wote wanatendewa sawa"),
        "staff": ("staff treated people with respect", "wahudumu waliheshimu watu"),
        "teaching": ("the teaching was of good quality", "mafundisho yalikuwa ya ubora mzuri"),
        "process": ("the process was easy to understand", "utaratibu ulieleweka"),
        "time": ("the time it took was reasonable", "muda ulikuwa wa kufaa"),
    }
    for service, (english, swahili) in services.items():
        used = f"${{{service}_used}} = 'yes'"
        listed.append(
            (
                "select_one yes_no_dk",
                f"{service}_used",
                f"Used public {english} in the last twelve months",
                f"Ulitumia {swahili} za umma miezi 12 iliyopita",
                "",
            )
        )
        for attribute in SERVICES[service]:
            texts = attributes[attribute]
            listed.append(
                (
                    "select_one agree",
                    f"{service}_{attribute}",
                    f"Last time, {english}: {texts[0]}",
                    f"Mara ya mwisho, {swahili}: {texts[1]}",
                    used,
                )
            )
        listed.append(
            (
                "select_one satisfied",
                f"{service}_overall",
                f"Overall satisfaction, {english}",
                f"Kuridhika kwa jumla, {swahili}",
                used,
            )
        )
    listed += [
        (
            "select_multiple grounds",
            "discrimination",
            "In the last twelve months, on which grounds did you feel discriminated against or harassed?",
            "Miezi 12 iliyopita, ulibaguliwa au kunyanyaswa kwa misingi gani?",
            "",
        ),
        (
            "select_one extent",
            "have_say",
            "How much does the system let people like you have a say in what the government does?",
            "Mfumo unawaruhusu watu kama wewe kuwa na sauti kiasi gani?",
            "",
        ),
        (
            "select_one extent",
            "have_influence",
            "How much does the system let people like you have an influence on politics?",
            "Mfumo unawaruhusu watu kama wewe kuathiri siasa kiasi gani?",
            "",
        ),
        ("end_group", "", "", "", ""),
        ("text", "remarks", "Remarks of the interviewer", "Maoni ya mhoji", ""),
        ("geopoint", "gps", "Place of the interview", "Mahali pa mahojiano", ""),
        ("end_group", "", "", "", ""),
    ]
    return listed


def choices() -> dict[str, list[tuple[str, str, str]]]:
    """The choices sheet: code, English label, Kiswahili label."""
    yes_no = [("yes", "Yes", "Ndiyo"), ("no", "No", "Hapana")]
    unknown, refused = ("dk", "Does not know", "Hajui"), ("ref", "Refuses", "Anakataa")
    eight, nine = ("8", "Does not know", "Hajui"), ("9", "Refuses", "Anakataa")
    return {
        "yes_no": yes_no,
        "yes_no_dk": [*yes_no, unknown],
        "yes_no_dk_ref": [*yes_no, unknown, refused],
        "county": [("KE-17", "Kisumu", "Kisumu"), ("KE-43", "Turkana", "Turkana")],
        "residence": [("urban", "Urban", "Mjini"), ("rural", "Rural", "Vijijini")],
        "relation": [
            ("head", "Head", "Mkuu"),
            ("spouse", "Spouse", "Mwenzi"),
            ("child", "Child", "Mtoto"),
            ("parent", "Parent", "Mzazi"),
            ("other_relative", "Other relative", "Jamaa mwingine"),
        ],
        "sex": [("female", "Female", "Mwanamke"), ("male", "Male", "Mwanaume")],
        "difficulty": [
            ("1", "No difficulty", "Hakuna ugumu"),
            ("2", "Some difficulty", "Ugumu kiasi"),
            ("3", "A lot of difficulty", "Ugumu mkubwa"),
            ("4", "Cannot do at all", "Hawezi kabisa"),
            eight,
            nine,
        ],
        "registration": [
            ("1", "Certificate, seen", "Cheti kimeonekana"),
            ("2", "Certificate, not seen", "Cheti hakijaonekana"),
            ("3", "Registered, no certificate", "Amesajiliwa, hana cheti"),
            ("4", "Not registered", "Hajasajiliwa"),
            eight,
        ],
        "groups": [
            ("disability", "Persons with disabilities", "Watu wenye ulemavu"),
            ("women_headed", "Household headed by a woman", "Kaya inayoongozwa na mwanamke"),
            ("refugee", "Refugees", "Wakimbizi"),
            ("displaced", "Displaced within the country", "Waliohamishwa ndani ya nchi"),
            ("pastoralist", "Pastoralists", "Wafugaji"),
            ("fishing", "Fishing community", "Jamii ya wavuvi"),
            ("informal_settlement", "Informal settlement", "Makazi yasiyo rasmi"),
            ("single_women", "Single, widowed or abandoned women", "Wanawake wasio na wenzi"),
            ("none", "None of these", "Hakuna"),
        ],
        "water": [
            ("11", "Piped into dwelling", "Bomba ndani ya nyumba"),
            ("12", "Piped to yard or plot", "Bomba uani"),
            ("13", "Piped to neighbour", "Bomba kwa jirani"),
            ("14", "Public tap", "Bomba la umma"),
            ("21", "Borehole", "Kisima cha bomba"),
            ("31", "Protected well", "Kisima kilichokingwa"),
            ("32", "Unprotected well", "Kisima kisichokingwa"),
            ("41", "Protected spring", "Chemchemi iliyokingwa"),
            ("42", "Unprotected spring", "Chemchemi isiyokingwa"),
            ("51", "Rainwater", "Maji ya mvua"),
            ("61", "Tanker truck", "Lori la maji"),
            ("71", "Cart with small tank", "Mkokoteni wa maji"),
            ("72", "Water kiosk", "Kioski cha maji"),
            ("81", "Surface water", "Mto, ziwa, bwawa"),
            ("91", "Bottled water", "Maji ya chupa"),
            ("96", "Other", "Nyingine"),
            ("98", "Does not know", "Hajui"),
        ],
        "place": [
            ("1", "In own dwelling", "Ndani ya nyumba"),
            ("2", "In own yard or plot", "Uani"),
            ("3", "Elsewhere", "Mahali pengine"),
        ],
        "toilet": [
            ("11", "Flush to piped sewer", "Bomba la maji taka"),
            ("12", "Flush to septic tank", "Tangi la maji taka"),
            ("13", "Flush to pit latrine", "Shimo"),
            ("14", "Flush to open drain", "Mtaro wazi"),
            ("18", "Flush, do not know where", "Haijulikani"),
            ("21", "Ventilated improved pit", "Choo cha shimo chenye bomba"),
            ("22", "Pit with slab", "Shimo lenye sakafu"),
            ("23", "Pit without slab, open pit", "Shimo bila sakafu"),
            ("31", "Composting toilet", "Choo cha mboji"),
            ("41", "Bucket", "Ndoo"),
            ("51", "Hanging toilet", "Choo kinachoning'inia"),
            ("95", "No facility, bush, field", "Hakuna, msituni"),
            ("96", "Other", "Nyingine"),
        ],
        "wash_place": [
            ("1", "Fixed facility seen", "Sinki au bomba"),
            ("2", "Mobile object seen", "Ndoo au jagi"),
            ("3", "No place", "Hakuna"),
            ("4", "No permission to see", "Hakuna ruhusa"),
        ],
        "soap": [
            ("1", "Soap or detergent", "Sabuni"),
            ("2", "Ash, mud, sand", "Majivu, udongo"),
            ("3", "None", "Hakuna"),
        ],
        "fuel": [
            ("electricity", "Electricity", "Umeme"),
            ("lpg", "LPG", "Gesi"),
            ("biogas", "Biogas", "Biogesi"),
            ("ethanol", "Ethanol", "Ethanoli"),
            ("kerosene", "Kerosene", "Mafuta ya taa"),
            ("charcoal", "Charcoal", "Makaa"),
            ("wood", "Wood", "Kuni"),
            ("residue", "Crop residue, grass", "Mabaki ya mazao"),
            ("dung", "Animal dung", "Kinyesi cha wanyama"),
            ("none", "No cooking", "Hawapiki"),
        ],
        "assets": [(name, name.replace("_", " ").capitalize(), "") for name in ASSETS],
        "agree": [
            ("1", "Strongly agree", "Nakubali sana"),
            ("2", "Agree", "Nakubali"),
            ("3", "Disagree", "Sikubali"),
            ("4", "Strongly disagree", "Sikubali kabisa"),
            eight,
            nine,
        ],
        "satisfied": [
            ("1", "Very satisfied", "Nimeridhika sana"),
            ("2", "Satisfied", "Nimeridhika"),
            ("3", "Dissatisfied", "Sijaridhika"),
            ("4", "Very dissatisfied", "Sijaridhika kabisa"),
            eight,
            nine,
        ],
        "grounds": [
            ("sex", "Sex", "Jinsia"),
            ("age", "Age", "Umri"),
            ("disability", "Disability or health", "Ulemavu au afya"),
            ("ethnicity", "Ethnicity, colour, language", "Kabila, rangi, lugha"),
            ("migration", "Migration status", "Uhamiaji"),
            ("money", "Social or economic status", "Hali ya kiuchumi"),
            ("place", "Place of residence", "Mahali pa kuishi"),
            ("religion", "Religion", "Dini"),
            ("marital", "Marital or family status", "Hali ya ndoa"),
            ("orientation", "Sexual orientation or gender identity", "Mwelekeo wa kijinsia"),
            ("political", "Political opinion", "Maoni ya kisiasa"),
            ("other", "Another ground", "Nyingine"),
            ("none", "None", "Hakuna"),
            unknown,
            refused,
        ],
        "extent": [
            ("1", "Not at all", "Hapana kabisa"),
            ("2", "Very little", "Kidogo sana"),
            ("3", "Some", "Kiasi"),
            ("4", "A lot", "Sana"),
            ("5", "A great deal", "Sana sana"),
            eight,
            nine,
        ],
    }
