"""What the form and the names of columns say about identifiers: types of questions, words in eight languages.

Here belong words and types only; what the cells look like is in identifier_patterns.py. A word counts where it stands
by itself in the last part of a header (a_phone, PhoneNumber, group/phone). A name of a thing (of the village, of the
form, of a crop) is no name of a person; it is kept nowhere either unless an instrument maps it.
Sources: question types of XLSForm; system columns of KoboToolbox, ODK Central and SurveyCTO; question wordings of
citizen surveys in English, Bengali, Hindi, Nepali, Swahili, Vietnamese, Chichewa and Hausa, in the languages' own
script and as they are typed in Latin letters.
"""

from __future__ import annotations

import re

from lnob_pipeline.validation.normalise import tidy_text

FORM_TYPES = {
    "geopoint": "coordinates",
    "geotrace": "coordinates",
    "geoshape": "coordinates",
    "start-geopoint": "coordinates",
    "image": "media",
    "audio": "media",
    "video": "media",
    "file": "media",
    "background-audio": "media",
    "barcode": "national_id",
    "phonenumber": "phone",
    "deviceid": "device",
    "subscriberid": "device",
    "simserial": "device",
    "username": "user",
    "email": "email",
    "audit": "device",
}
"""Question types of XLSForm whose answers identify, whatever the question is called."""

_LATIN = {
    "phone": "phone|phones|phone_?(?:number|no|num|nbr)|telephone|telephones|tel|tel_no|telefon"
    "|mobile_?(?:number|no|num)"
    "|mobile|mobail|cell|cell_?(?:number|no|phone)|cellphone|contact|contact_?(?:number|no|num)|whatsapp|msisdn|devicephonenum"
    "|simu|namba_ya_simu|nambari_ya_simu|rununu|dien_thoai|so_dien_thoai|sdt|di_dong"
    "|foni|lamya|telefoni|nambala_ya_foni|waya|lambar_wayar?|lambar_tarho"
    "|phone_nombor|mobile_nombor|mobail_nombor|dur_?bhash|sampark_(?:number|nambar)|mobail_nambar",
    "email": "email|e_?mail|mail_address|barua_pepe|thu_dien_tu|imelo|imel",
    "national_id": "national_id|nid|nid_?(?:number|no)|id_number|id_no|idno|id_card|identity_(?:card|number)|passport"
    "|passport_?(?:number|no)|aadhaar|aadhar|adhar|pan_(?:no|number|card)|voter_?(?:id|card|no)|epic_no|ration_card"
    "|huduma|kra_pin|nin|bvn|tin_?(?:no|number)|driving_licen[cs]e|licen[cs]e_(?:no|number)|social_security_(?:no|number)"
    "|birth_certificate_(?:no|number)|refugee_id|alien_id|unhcr_id|progres_id"
    "|kitambulisho|namba_ya_kitambulisho|pasipoti|cccd|cmnd|can_cuoc|chung_minh_nhan_dan|chung_minh_thu|ho_chieu"
    "|ma_so_thue|bhxh|chiphaso|chitupa|nambala_ya_chiphaso|katin_zabe|lambar_shaida|katin_shaida"
    "|jatiyo_porichoypotro|porichoypotro|janmo_nibondhon|pehchan_(?:patra|sankhya)|pahchan_patra"
    "|nagarikta|nagrikta|nagarikata|rastriya_parichaya_?patra|parichaya_patra",
    "coordinates": "gps|gps_(?:point|location|coordinates)|geopoint|geo_?point|latitude|longitude|lat|lon|lng|long_lat"
    "|lat_long|geolocation|geo_location|coordinates|coordinate|altitude|plus_code|what3words|mahali_gps|toa_do",
    "address": "address|home_address|residential_address|street_(?:name|address|no)|house_?(?:no|num|number)"
    "|plot_?(?:no|number)"
    "|door_no|postal_(?:code|address)|po_box|landmark|anwani|namba_ya_nyumba|dia_chi|so_nha|adilesi|keyala|adireshi"
    "|adireshin|thikana|makaan_number|makan_number|thegana|ghar_number",
    "birth_date": "date_of_birth|birth_?date|dob|d_o_b|birthdate|birthday|tarehe_ya_kuzaliwa|ngay_sinh"
    "|ngay_thang_nam_sinh|tsiku_lobadwa|ranar_haihuwa|janm_?(?:tithi|tarikh)|janam_?(?:tithi|tarikh)|janma_?(?:miti|din)"
    "|jonmo_?(?:tarikh|din)",
    "media": "photo|photos|photograph|picture|pictures|image|images|signature|audio|video|recording|selfie|thumb_?print"
    "|finger_?print|biometric|picha|sahihi|saini|sauti|hinh_anh|chu_ky|ghi_am|chithunzi"
    "|siginecha|hoto|sa_hannu|tasveer|tasvir|hastakshar|chobi|shakkhor|tasbir|hastakchhar",
    "device": "deviceid|device_id|subscriberid|subscriber_id|simid|sim_?(?:id|serial|number|no)|simserial|imei|imsi"
    "|mac_address|ip_address|instancename|instance_name",
    "user": "username|user_name|submitted_by|submitter|submitter_?(?:name|id)|enumerator"
    "|enum_?(?:name|id|code|num|no)|enumerator_?(?:name|id|code|num|no)"
    "|interviewer|interviewer_?(?:name|id|code|no)|surveyor|surveyor_?(?:name|id)|collector|data_collector|supervisor"
    "|supervisor_name|facilitator|facilitator_name|note_?taker|translator|interpreter|field_(?:officer|worker)|fieldworker"
    "|mhojaji|mdadisi|mkusanyaji|jina_la_mhojaji|dieu_tra_vien|nguoi_phong_van|can_bo_phong_van|wofunsa|mai_tambaya"
    "|mai_tattara|gononakari|tothyo_songrohokari|totho_songrohokari|sakshatkar_grohonkari|ganak|ganana_kari|prashnakarta"
    "|sarvekshak|sakshatkarkarta|surveyar",
    "name": "name|names|first_?names?|last_?names?|middle_?names?|sur_?names?|family_?names?|given_?names?|full_?names?"
    "|nick_?names?|maiden_name|other_names?|initials|respondent_?name|hh_?head_?name|head_name|member_name|child_name"
    "|mother_name|father_name|husband_name|wife_name|spouse_name|guardian_name|beneficiary_name|participant_name"
    "|name_of_(?:respondent|head|member|child|mother|father|participant|beneficiary)"
    "|jina|majina|jina_kamili|jina_la_(?:kwanza|mwisho|mhojiwa|mkuu_wa_kaya)|ho_ten|ho_va_ten|hoten|ten_chu_ho"
    "|dzina|mayina|dzina_la|suna|sunan|sunaye|naam|aapka_naam|pura_naam|apnar_nam|purno_nam|upanam|bangsha",
}
"""Words of column names in Latin letters; _ stands for whatever is between two words."""
_ALONE = dict.fromkeys(("ten", "nam", "nama", "thar"), "name") | {"pata": "address", "anh": "media", "ip": "device"}
"""Words that mean something else beside other words: they count only where they are the whole header."""
_OTHER_SCRIPTS = {
    "phone": "फोन|फ़ोन|मोबाइल|मोबाईल|दूरभाष|सम्पर्क नम्बर|सम्पर्क नं|संपर्क नंबर|टेलिफोन|व्हाट्सएप"
    "|ফোন|মোবাইল|মুঠোফোন|যোগাযোগের নম্বর|টেলিফোন|số điện thoại|điện thoại|số đt|sđt|số di động",
    "email": "ई-मेल|ईमेल|इमेल|ইমেইল|ই-মেইল|ই-মেল|thư điện tử",
    "national_id": "आधार|पहचान संख्या|पहचान पत्र|मतदाता पहचान|राशन कार्ड|पैन नंबर|पासपोर्ट|राहदानी|नागरिकता नम्बर"
    "|नागरिकता नं|नागरिकता प्रमाणपत्र|राष्ट्रिय परिचयपत्र|परिचयपत्र|जन्म दर्ता नम्बर|জাতীয় পরিচয়পত্র|পরিচয়পত্র|এনআইডি"
    "|ভোটার আইডি|পাসপোর্ট|জন্ম নিবন্ধন নম্বর|căn cước|số cmnd|số cccd|chứng minh nhân dân|chứng minh thư|hộ chiếu"
    "|mã số thuế|bảo hiểm xã hội số",
    "coordinates": "जीपीएस|अक्षांश|देशांतर|देशान्तर|জিপিএস|অক্ষাংশ|দ্রাঘিমাংশ|tọa độ|toạ độ|vĩ độ|kinh độ",
    "address": "पता|मकान नंबर|मकान संख्या|ठेगाना|घर नम्बर|ঠিকানা|বাড়ি নম্বর|বাড়ির নম্বর|হোল্ডিং নম্বর|địa chỉ|số nhà",
    "birth_date": "जन्म तिथि|जन्मतिथि|जन्म की तारीख|जन्म मिति|जन्ममिति|জন্ম তারিখ|জন্মতারিখ|ngày sinh|ngày tháng năm sinh",
    "media": "तस्वीर|फोटो|फ़ोटो|हस्ताक्षर|अंगूठे का निशान|तस्बिर|औंठाछाप|ছবি|স্বাক্ষর|সাক্ষর|আঙুলের ছাপ|টিপসই|hình ảnh|ảnh chụp"
    "|chữ ký|ghi âm",
    "user": "साक्षात्कारकर्ता|सर्वेक्षक|गणक|प्रगणक|অন্তর্ভুক্তকারী|গণনাকারী|তথ্য সংগ্রহকারী|সাক্ষাৎকার গ্রহণকারী|điều tra viên"
    "|người phỏng vấn|cán bộ phỏng vấn",
    "name": "का नाम|आपका नाम|नाम|पूरा नाम|उपनाम|को नाम|थर|নাম|পুরো নাম|ডাকনাম|họ tên|họ và tên|tên của|tên đầy đủ|tên chủ hộ",
}
"""The same in Devanagari (Hindi, Nepali), Bengali and Vietnamese script: beginnings of words, whole words for names."""
_THINGS = (
    "restaurant|shop|business|village|hamlet|settlement|camp|site|location|town|city|district|sub_?district|county|sub_?county|ward|zone|region"
    "|province|state|division|upazila|union|block|panchayat|municipality|vdc|lga|taluk|tehsil|commune|area|cluster|ea"
    "|country|community|school|clinic|facility|health_facility|hospital|market|water_?point|road|river|project|form|file"
    "|sheet|table|document|item|product|crop|species|variable|indicator|question|column|field|group|category|bank|brand"
    "|service|provider|organi[sz]ation|institution|agency|partner|ngo|programme|program|scheme|office|department|company"
    "|law|policy|kijiji|kata|wilaya|mtaa|shule|kituo|kaunti|thon|xa|huyen|tinh|truong|mudzi|boma|sukulu|kauye|unguwa"
    "|jiha|makaranta|gaon|gao|gram|zila|jilla|jela|palika|gaupalika|nagarpalika|tola|vidyalaya|bidyalaya"
)
"""Things that have names: where one of them stands beside the word name, no person is named."""
_SCRIPT_THINGS = (
    "गाँव|गांव|जिला|जिल्ला|वार्ड|वडा|गाउँ|टोल|पालिका|विद्यालय|स्कूल|संस्था|গ্রাম|জেলা|উপজেলা|ইউনিয়ন|ওয়ার্ড|বিদ্যালয়"
    "|thôn|xã|huyện|tỉnh|trường"
)

_LATIN_NAMES = {kind: re.compile(rf"(?:^|_)(?:{words})[0-9]*(?:$|_)") for kind, words in _LATIN.items()}
_LETTER = r"[\w\u0900-\u097f\u0980-\u09ff]"
"""Letters and vowel signs of the scripts; Python does not count the signs as letters."""
_SCRIPT_NAMES = {
    kind: re.compile(
        rf"(?<!{_LETTER})(?:{'|'.join(re.escape(tidy_text(word)) for word in words.split('|'))})"
        + (rf"(?!{_LETTER})" if kind == "name" else "")
    )
    for kind, words in _OTHER_SCRIPTS.items()
}
_OF_THINGS = re.compile(rf"(?:^|_)(?:{_THINGS})s?(?:$|_)")
_OF_SCRIPT_THINGS = re.compile("|".join(map(re.escape, map(tidy_text, _SCRIPT_THINGS.split("|")))))
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def last_part(header: str) -> str:
    """A header without the groups of the form before it."""
    return re.split(r"[/:.]", header.rstrip("/:."))[-1] or header


def kind_by_name(column: str) -> str | None:
    """The kind of identifier a column name speaks of, by words in the languages of the project; null for none."""
    header = tidy_text(column)
    last = last_part(header)
    words = _BETWEEN_WORDS.sub("_", _CAMEL.sub("_", last).casefold()).strip("_")
    run = _BETWEEN_WORDS.sub("_", last.casefold()).strip("_")
    if (alone := _ALONE.get(run)) is not None:
        return alone
    for kind, pattern in _LATIN_NAMES.items():
        if pattern.search(words) or pattern.search(run):
            return None if kind == "name" and _OF_THINGS.search(words) else kind
    folded = header.casefold()
    found = next((kind for kind, pattern in _SCRIPT_NAMES.items() if pattern.search(folded)), None)
    return None if found == "name" and _OF_SCRIPT_THINGS.search(folded) else found


def kind_by_form(column: str, types: dict[str, str]) -> str | None:
    """The kind by the type of the question in the form; also for the four part columns of a point."""
    last = last_part(column.strip())
    part = re.sub(r"^_(.+)_(?:latitude|longitude|altitude|precision)$", r"\1", last)
    dashed = next((name for name in types if column.endswith(f"-{name}")), last)
    odk = re.sub(r"-(?:Latitude|Longitude|Altitude|Accuracy)$", "", last)
    for name in (last, part, dashed, odk, odk.rsplit("-", 1)[-1]):
        if (found := FORM_TYPES.get(types.get(name, ""))) is not None:
            return found
    return None
