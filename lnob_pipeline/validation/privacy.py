"""The privacy wall: what says who a person is, by form type, by column name and by the pattern of the value.

Here belong recognising and the rule for showing a value; taking out is in gate.py. Patterns cannot recognise a name:
names are kept out because only columns that an instrument maps are kept, unknown answers and headers are shown only if
they are numbers or dates or differ by a slip from what the questionnaire has, and groups and interviews get a running
number instead of their title.
Sources: XLSForm question types; national numbering plans (ITU-T E.164); Aadhaar: D5279 check digit of Verhoeff, 1969;
Kenya Revenue Authority PIN, India PAN and EPIC, Nepal citizenship number, Viet Nam personal identification number,
Bangladesh and Nigeria national identity numbers, in the shapes in which people write them.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection
from typing import Any

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.receive import public_name
from lnob_pipeline.validation.normalise import DIGITS, ascii_digits, tidy_text

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

MAXIMUM_SHOWN = 60
"""Letters of a header, or of a word of the manifest, that a message repeats."""

_LATIN = {
    "phone": "phone|telephone|tel|mobile_number|mobile_no|cell_no|whatsapp|msisdn|phonenumber|devicephonenum|simu"
    "|namba_ya_simu|dien_thoai|sdt|nambala_ya_foni|lambar_waya",
    "email": "email|e_mail|mail_address|barua_pepe|thu_dien_tu",
    "national_id": "national_id|nid|id_number|id_no|passport|aadhaar|aadhar|pan_no|voter_id|epic_no|huduma|kra_pin"
    "|nin|bvn|cccd|cmnd|kitambulisho|nagarikta",
    "coordinates": "gps|geopoint|latitude|longitude|lat|lon|lng|geolocation|coordinates|altitude",
    "address": "address|street|house_no|house_number|plot_no|anwani|dia_chi|thikana|pata",
    "birth_date": "date_of_birth|dob|birthdate|birth_date|birthday|ngay_sinh|tarehe_ya_kuzaliwa",
    "media": "photo|picture|image|signature|audio|video|recording|selfie|picha|sahihi|anh",
    "device": "deviceid|device_id|subscriberid|simid|simserial|imei|imsi|devicephonenum|instancename",
    "user": "username|user_name|submitted_by|submittername|submitterid|submitter|enumerator|interviewer|surveyor"
    "|enumerator_name|mhojaji",
    "name": "name|names|first_name|last_name|surname|firstname|lastname|fullname|full_name|respondent_name|hh_head_name"
    "|jina|majina|ho_ten|hoten|ten|nam|naam|dzina|suna",
}
"""Words of column names in Latin script (English, Swahili, Vietnamese, Chichewa, Hausa; Hindi and Bengali as typed)."""
_OTHER_SCRIPTS = {
    "phone": "फोन|फ़ोन|मोबाइल नंबर|मोबाइल नम्बर|दूरभाष|सम्पर्क नम्बर|ফোন নম্বর|মোবাইল নম্বর|số điện thoại",
    "email": "ई-मेल|ईमेल|इमेल|ইমেইল|ই-মেইল",
    "national_id": "आधार|पहचान संख्या|नागरिकता नम्बर|नागरिकता नं|राष्ट्रिय परिचयपत्र|জাতীয় পরিচয়পত্র|এনআইডি|căn cước|số cmnd",
    "address": "पता|ठेगाना|ঠিকানা|địa chỉ",
    "birth_date": "जन्म तिथि|जन्मतिथि|जन्म मिति|জন্ম তারিখ|ngày sinh",
    "name": "का नाम|आपका नाम|नाम|নাম|họ tên|họ và tên|tên của",
}
"""The same in Devanagari (Hindi, Nepali), Bengali and Vietnamese script."""
_LATIN_NAMES = {kind: re.compile(rf"(?:^|[^a-z])(?:{words})(?:$|[^a-z])") for kind, words in _LATIN.items()}
_SCRIPT_NAMES = {
    kind: re.compile("|".join(rf"(?:^|\W){re.escape(tidy_text(word))}" for word in words.split("|")))
    for kind, words in _OTHER_SCRIPTS.items()
}

_NO_DIGIT_BEFORE, _NO_DIGIT_AFTER = r"(?:^|[^0-9])", r"(?:[^0-9]|$)"
_ABROAD = "880|91|254|265|977|234|84"
"""Country calling codes of the seven countries."""


def _whole(*numbers: str) -> str:
    """A pattern for one of several digit sequences that no further digit touches."""
    return f"{_NO_DIGIT_BEFORE}(?:{'|'.join(numbers)}){_NO_DIGIT_AFTER}"


EMAIL = r"[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+\.[\w.]{2,}"
COORDINATES = r"-?[0-9]{1,3}\.[0-9]{4,}[°NSns]?\s*[,; ]\s*-?[0-9]{1,3}\.[0-9]{4,}|^-?[0-9]{1,3}\.[0-9]{5,}$"
PHONE_ABROAD = rf"(?:\+|{_NO_DIGIT_BEFORE}00)(?:{_ABROAD})[0-9]{{8,11}}{_NO_DIGIT_AFTER}"
LETTERED_ID = r"(?:^|[^A-Za-z0-9])(?:[AP][0-9]{9}[A-Z]|[A-Z]{5}[0-9]{4}[A-Z]|[A-Z]{3}[0-9]{7})(?:[^A-Za-z0-9]|$)"
CITIZENSHIP = r"(?:^|[^0-9-])[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{5}(?:[^0-9]|$)"
PHONE_BARE = _whole(
    r"0[17][0-9]{8}",  # Kenya
    r"01[3-9][0-9]{8}",  # Bangladesh
    r"0?[6-9][0-9]{9}",  # India
    r"9[678][0-9]{8}",  # Nepal
    r"0[189][0-9]{8}",  # Malawi
    r"0[789][01][0-9]{8}",  # Nigeria
    r"0[35789][0-9]{8}",  # Viet Nam
    r"(?:880|254|265|977|234)[0-9]{8,10}",
    r"91[6-9][0-9]{9}",
    r"84[35789][0-9]{8}",
)
NUMBER_ID = _whole(
    r"[0-9]{13}", r"[0-9]{17}", r"[1-9][0-9]{10}", r"0[0-9]{2}[0-3][0-9]{8}", r"[2-9][0-9]{9}"
)  # Bangladesh (13, 17 or 10 digits), Nigeria (11), Viet Nam (12)
TWELVE_DIGITS = rf"{_NO_DIGIT_BEFORE}([2-9][0-9]{{11}}){_NO_DIGIT_AFTER}"

_ASCII = str.maketrans("".join(DIGITS), "".join(DIGITS.values()))
_CANDIDATE = r"@|\(at\)|\[at\]|[0-9]\D{0,3}(?:[0-9]\D{0,3}){5,}[0-9]|[0-9]\.[0-9]{4}|[A-Z]{5}[0-9]{4}[A-Z]"
"""Cells without an at sign, seven digits, a long fraction or the shape of a PAN match no pattern and stop here."""

_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff_holds(digits: pl.Expr) -> pl.Expr:
    """Whether the last digit of a text of digits is its Verhoeff check digit (multiplication in the dihedral group)."""
    table = {f"{row}{column}": _DIHEDRAL[row][column] for row in range(10) for column in range(10)}
    check = pl.lit("0")
    for place in range(12):
        digit = digits.str.slice(-1 - place, 1)
        turned = digit.replace({str(d): _PERMUTATION[place % 8][d] for d in range(10)})
        check = pl.concat_str([check, turned]).replace(table)
    return check == "0"


def identifier_kinds(cells: pl.Series) -> pl.DataFrame:
    """For each cell the kind of identifier its text looks like, or null: columns certain and likely.

    certain: the shape belongs to one thing (an address with @, +254..., a check digit that holds). likely: a run of
    digits as long as a phone or identity number, which an area code may be as well.
    """
    text = ascii_digits(pl.col("cell"))
    compact = text.str.replace_all(r"([0-9])[\s().\-–]+(?:\b|$)", "$1")
    frame = pl.DataFrame({"cell": cells.cast(pl.String)})
    found = (
        frame.unique()
        .filter(text.str.contains(_CANDIDATE))
        .with_columns(text.alias("text"), compact.alias("compact"))
        .with_columns(pl.col("compact").str.extract(TWELVE_DIGITS, 1).alias("twelve"))
    )
    if found.is_empty():
        nothing = pl.lit(None, dtype=pl.String)
        return frame.with_columns(nothing.alias("certain"), nothing.alias("likely")).drop("cell")
    long = found["twelve"].null_count() < found.height
    candidates = (
        found.lazy()
        .with_columns(
            pl.when(pl.col("text").str.contains(EMAIL))
            .then(pl.lit("email"))
            .when(pl.col("text").str.contains(COORDINATES))
            .then(pl.lit("coordinates"))
            .when(pl.col("compact").str.contains(PHONE_ABROAD))
            .then(pl.lit("phone"))
            .when(
                pl.col("text").str.contains(LETTERED_ID)
                | pl.col("text").str.contains(CITIZENSHIP)
                | (verhoeff_holds(pl.col("twelve")) if long else pl.lit(False))
            )
            .then(pl.lit("national_id"))
            .alias("certain"),
            pl.when(pl.col("compact").str.contains(PHONE_BARE))
            .then(pl.lit("phone"))
            .when(pl.col("compact").str.contains(NUMBER_ID))
            .then(pl.lit("national_id"))
            .alias("likely"),
        )
        .select("cell", "certain", "likely")
        .collect()
    )
    return frame.join(candidates, on="cell", how="left", maintain_order="left").select("certain", "likely")


def identifier_kind(cells: pl.Series) -> pl.Series:
    """The kind of identifier each cell looks like, certain or likely; null for none."""
    return identifier_kinds(cells).select(pl.coalesce("certain", "likely").alias("kind")).to_series()


@functools.lru_cache(maxsize=1024)
def looks_identifying(text: str) -> bool:
    """Whether one text (a file, sheet or column name) holds what looks like an identifier."""
    if re.search(_CANDIDATE, text.translate(_ASCII)) is None:
        return False
    return identifier_kind(pl.Series([text]))[0] is not None


def public_manifest(manifest: Manifest) -> tuple[Manifest, list[str]]:
    """The manifest without the texts that hold what looks like an identifier, and the names of their fields.

    Some texts of a manifest are published: whom the data speak of, who handed them in, the number of the agreement. A
    manifest that was cleaned once names the same fields again.
    """
    names: list[str] = []

    def cleaned(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(item, f"{name}.{key}" if name else key) for key, item in value.items()}
        if isinstance(value, list):
            return [cleaned(item, name) for item in value]
        if isinstance(value, str) and name != "submission" and (value == NOT_SHOWN or looks_identifying(value)):
            names.append(name)
            return NOT_SHOWN
        return value

    texts = cleaned(manifest.model_dump(exclude={"files"}), "")
    return Manifest.model_validate(texts | {"files": manifest.files}), list(dict.fromkeys(names))


def kind_by_name(column: str) -> str | None:
    """The kind of identifier a column name speaks of, by words in the languages of the project; null for none."""
    header = tidy_text(column).casefold()
    last = re.split(r"[/:.]", header.rstrip("/:."))[-1] or header
    for kind, pattern in _LATIN_NAMES.items():
        if pattern.search(last):
            return kind
    return next((kind for kind, pattern in _SCRIPT_NAMES.items() if pattern.search(header)), None)


def kind_by_form(column: str, types: dict[str, str]) -> str | None:
    """The kind by the type of the question in the form; also for the four part columns of a point."""
    last = re.split(r"[/:.]", column.strip().rstrip("/:."))[-1]
    part = re.sub(r"^_(.+)_(?:latitude|longitude|altitude|precision)$", r"\1", last)
    dashed = next((name for name in types if column.endswith(f"-{name}")), last)
    for name in (last, part, dashed):
        if (found := FORM_TYPES.get(types.get(name, ""))) is not None:
            return found
    return None


NOT_SHOWN = "(not shown)"
DATE = r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}$"
NUMBER = r"^[a-z]{0,3}[+-]?[0-9][0-9.,]{0,7}%?$"
"""A number of up to eight signs, or a numbered code as q12."""
CODE = r"^[a-z0-9_/+<>-]{1,40}$"
"""A code as forms have them: small letters without blanks. A first name in small letters has this shape too."""
LIKENESS = 0.7
COMPARED = 1_000
"""Different unknown answers that are compared with the known ones; beyond, none is shown."""


def is_near(text: str, known: Collection[str]) -> bool:
    """Whether a text differs by no more than a slip of the pen from one of the known ones (Ratcliff and Obershelp)."""
    return bool(difflib.get_close_matches(text.casefold(), [name.casefold() for name in known], 1, LIKENESS))


def showable(cells: pl.Series, known: Collection[str] = ()) -> pl.Series:
    """Whether a cell that is wrong may be shown: a number, a date, or a code almost as one of the `known` ones.

    Other words, also single ones in small letters, and long numbers are not shown, because they could be a name or an
    identity number typed into the wrong column.
    """
    coded = code_shaped(cells)
    words = cells.filter(coded).unique().to_list() if known else []
    near = [word for word in words if is_near(word, known)] if len(words) <= COMPARED else []
    text = _ascii(cells)
    return coded & (text.str.contains(NUMBER) | text.str.contains(DATE) | cells.is_in(near)).fill_null(False)


def code_shaped(cells: pl.Series) -> pl.Series:
    """Whether a cell has the shape of a code, a number or a date, and not that of an identifier."""
    text = _ascii(cells)
    digits = text.str.count_matches("[0-9]")
    date = text.str.contains(DATE)
    shape = date | text.str.contains(NUMBER) | text.str.contains(CODE)
    return (shape & ((digits <= 6) | date) & identifier_kind(cells).is_null()).fill_null(False)


def _ascii(cells: pl.Series) -> pl.Series:
    return pl.Series("cell", cells).to_frame().select(ascii_digits(pl.col("cell"))).to_series()


def public_file(file: DataFile) -> str:
    """The name of a file as it may be shown: its role and kind where the name could be that of a person."""
    name = public_name(file.path, file.role, looks_identifying)
    return name if name == name.lower() and name.isascii() else public_name(name, file.role, lambda _: True)


def public_column(header: str, place: int, known: Collection[str]) -> str:
    """A header that no instrument declares, as it may be shown: its place unless it is almost one of the known ones.

    Where the first row of a file is no header, it is the first person.
    """
    last = re.split(r"[/:.]", header)[-1]
    shown = is_near(last, [re.split(r"[/:.]", name)[-1] for name in known]) and not looks_identifying(header)
    return header if shown and len(header) <= MAXIMUM_SHOWN else f"column {place}"


def public_words(words: Collection[str]) -> str:
    """Words of the manifest as a message may repeat them."""
    return ", ".join(NOT_SHOWN if looks_identifying(word) or len(word) > MAXIMUM_SHOWN else word for word in words)
