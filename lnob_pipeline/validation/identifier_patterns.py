"""What identifiers look like in a cell: phones, identity numbers, addresses of the net, places, files, devices.

Here belong patterns of values, over whole columns at once: one cheap pattern first, the rest on the different cells
that it leaves. What a column is called is in identifier_names.py. A name has no pattern (only a form of address
before it), and neither has a number of eight or nine digits: those are known by the name of their column or not at all.
Sources: numbering plans as Google's libphonenumber has them (read from the package phonenumbers; ITU-T E.164); check
digits of Verhoeff (Aadhaar, 1969) and Luhn (EPIC of India, IMEI; ISO/IEC 7812-1), weights of the tax code of Viet Nam
(all as python-stdnum has them); PAN of India and PIN of the Kenya Revenue Authority (python-stdnum); identity numbers
of Bangladesh, Nepal, Nigeria and Viet Nam in the shapes in which people write them; Open Location Code (plus codes);
3GPP TS 23.003 (IMSI) and ITU-T E.212 (its country codes).
"""

from __future__ import annotations

import functools

import polars as pl
from phonenumbers import PhoneMetadata

from lnob_pipeline.validation.normalise import DIGITS, ascii_digits

REGIONS = {"BGD": "BD", "IND": "IN", "KEN": "KE", "MWI": "MW", "NPL": "NP", "NGA": "NG", "VNM": "VN"}
"""The countries as libphonenumber names them."""

_NO_DIGIT_BEFORE, _NO_DIGIT_AFTER = r"(?:^|[^0-9])", r"(?:[^0-9]|$)"
_NO_SIGN_BEFORE, _NO_SIGN_AFTER = r"(?:^|[^A-Za-z0-9])", r"(?:[^A-Za-z0-9]|$)"


def _whole(*numbers: str) -> str:
    """A pattern for one of several digit sequences that no further digit touches."""
    return f"{_NO_DIGIT_BEFORE}(?:{'|'.join(numbers)}){_NO_DIGIT_AFTER}"


def _plan(region: str) -> tuple[int, str]:
    """The calling code of a country and its national numbers (fixed lines and mobiles), as a pattern."""
    known = PhoneMetadata.metadata_for_region(region, None)
    assert known is not None and known.country_code is not None
    patterns = [kind.national_number_pattern for kind in (known.fixed_line, known.mobile) if kind is not None]
    # [0-9] and not \\d, which means the digits of all scripts and makes the patterns slow.
    plan = "|".join(f"(?:{pattern})" for pattern in patterns if pattern).replace(r"\d", "[0-9]")
    return known.country_code, plan


_PLANS = [_plan(region) for region in REGIONS.values()]
THREE_DIGITS = 100
_CODES = "|".join(str(code) for code, _ in _PLANS)
PHONE_ABROAD = rf"(?:\+|{_NO_DIGIT_BEFORE}00)(?:{_CODES})0?[0-9]{{7,11}}{_NO_DIGIT_AFTER}"
"""With the calling code of one of the countries: whatever follows it is taken for a number, also a mistyped one."""
PHONE_BARE = _whole(
    *(rf"(?:{code}0?|0)(?:{plan})" for code, plan in _PLANS),
    *(f"{code}[0-9]{{8,10}}" for code, _ in _PLANS if code >= THREE_DIGITS),
)
"""The calling code without a sign before it (one of three digits says enough), or the zero of a call at home."""
PHONE_CUT = rf"^(?:{'|'.join(plan for _, plan in _PLANS)})$"
"""Nothing before the national number: a spreadsheet took its zero."""
SHORTEST_CUT = 9
LONG_RUN = r"[0-9]{9}"
"""A number without the sign of a call abroad has as many digits; shorter ones are everywhere."""

EMAIL = r"[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+\.[\w.]{2,}"
LONE_COORDINATE = r"^[+-]?[0-9]{1,3}[.,][0-9]{5,}°?$"
_DEGREES = r"[+-]?[0-9]{1,3}[.,][0-9]{4,}°?\s*[NSEWnsew]?"
_PLUS = "[23456789CFGHJMPQRVWX]"
COORDINATES = "|".join(
    (
        rf"{_DEGREES}\s*[,; ]\s*{_DEGREES}",
        LONE_COORDINATE,
        r"[0-9]{1,3}\s*[°º]\s*[0-9]{1,2}(?:[.,][0-9]+)?\s*['′’](?:\s*[0-9]{1,2}(?:[.,][0-9]+)?\s*(?:[\"″”]|''))?\s*[NSEWnsew]?",
        rf"{_NO_SIGN_BEFORE}(?:{_PLUS}{{8}}|{_PLUS}{{6}}|{_PLUS}{{4}})\+{_PLUS}{{2,3}}{_NO_SIGN_AFTER}",
        r"///\pL+\.\pL+\.\pL+",
        r"(?i)maps\.app\.goo\.gl/|goo\.gl/maps/|google\.[a-z.]+/maps|openstreetmap\.org/\?mlat",
    )
)
MEDIA = (
    r"(?i)[^\s/\\]\.(?:jpe?g|png|heic|gif|webp|bmp|tiff?|mp4|3gpp?|mov|m4a|mp3|amr|aac|ogg|opus|wav)(?:$|[?#\s,;\"')])"
    r"|https?://\S*(?:attachment|/media/original|/images?/|photo|picture|signature|drive\.google|mwater\.co)"
)
CARD = (
    rf"(?i){_NO_SIGN_BEFORE}(?:[AP][0-9]{{9}}[A-Z]|[A-Z]{{3}}[ABCFGHJKLPT][A-Z][0-9]{{4}}[A-Z]){_NO_SIGN_AFTER}"
    r"|(?:^|[^0-9-])[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{5}(?:[^0-9]|$)"
)
"""PIN of Kenya, PAN of India, certificate of citizenship of Nepal."""
PASSPORT = rf"{_NO_SIGN_BEFORE}(?:[A-Z][0-9]{{7,8}}|[A-Z]{{2}}[0-9]{{7}}){_NO_SIGN_AFTER}"
EPIC = rf"{_NO_SIGN_BEFORE}[A-Z]{{3}}([0-9]{{7}}){_NO_SIGN_AFTER}"
TWELVE_DIGITS = rf"{_NO_DIGIT_BEFORE}([2-9][0-9]{{11}}){_NO_DIGIT_AFTER}"
FIFTEEN_DIGITS = rf"{_NO_DIGIT_BEFORE}([0-9]{{15}}){_NO_DIGIT_AFTER}"
TAX_CODE = rf"{_NO_DIGIT_BEFORE}([0-9]{{10}}){_NO_DIGIT_AFTER}"
TAX_CODE_OF_BRANCH = rf"{_NO_DIGIT_BEFORE}([0-9]{{10}})-[0-9]{{3}}{_NO_DIGIT_AFTER}"
DEVICE = (
    rf"{_whole('(?:639|470|404|405|406|429|650|621|452)[0-9]{12}', '89[0-9]{17,18}')}"
    r"|(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|collect:[A-Za-z0-9]{8,}"
)
"""IMSI of the countries, number of a SIM card, address of a network card, id that ODK Collect gives a device."""
NUMBER_ID = _whole(r"[0-9]{13}", r"[0-9]{17}", r"[1-9][0-9]{10}", r"0[0-9]{2}[0-3][0-9]{8}", r"[2-9][0-9]{9}")
"""Bangladesh (13, 17 or 10 digits), Nigeria (11), Viet Nam (12)."""
DAY_RUN = _whole(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{2}){0,4}")
"""A day and a time without signs, as versions of forms have it: no identity number."""
_TITLES = "Mr|Mrs|Ms|Miss|Dr|Shri|Smt|Kumari|Md|Mst|Alhaji|Alhaja|Hajiya|Bwana|Mzee"
_SCRIPT_TITLES = "श्री|श्रीमती|सुश्री|जनाब|জনাব|জনাবা|মোঃ|মো\\.|মোছাঃ|মোসাঃ|Ông"
TITLE = rf"^(?:(?:{_TITLES})\.?|{_SCRIPT_TITLES})\s+[\p{{Lu}}\p{{Lo}}]\pL+"
"""A form of address and a word."""

UUID = r"(?i)\b(?:[0-9a-f]{8}(?:-[0-9a-f]{2,8}){2,4}-[0-9a-f]{8,14}|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{40})\b"
"""An id that a program made: it says nothing of a person, and its digits are no number."""
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?\s?(?:[AaPp]\.?[Mm]\.?)?\s?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
_DAY = r"(?:(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2}))"
TIME = rf"^{_DAY}(?:[T ,]+{_CLOCK})?$|^{_CLOCK}$"
GROUPED = r"[0-9][\s().\-–]+[0-9]"
IN_POWERS = r"^([0-9])[.,]([0-9]{6,})[eE]\+?([0-9]{1,2})$"
"""A long whole number as a spreadsheet may store it, 9.801234567E9: all of its digits are there."""
FRACTION = r"^[+-]?[0-9]+[.,][0-9]+(?:[eE][+-]?[0-9]+)?$"

LONGEST_WRITTEN_OUT = 19
_OTHER_DIGITS = f"[{''.join(DIGITS)}\u2212]"
_CANDIDATE = (
    r"@|\(at\)|\[at\]|[0-9]\D{0,3}(?:[0-9]\D{0,3}){5,}[0-9]|[0-9][.,][0-9]{4}|[A-Za-z]{5}[0-9]{4}[A-Za-z]|[°º]|///"
    rf"|{_PLUS}{{4}}\+{_PLUS}{{2}}|\.[A-Za-z][A-Za-z0-9]{{2,3}}(?:$|[?#\s,;\"')])|https?://|goo\.gl|collect:"
    r"|[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:"
    rf"|^(?:{_TITLES}|{_SCRIPT_TITLES})\b"
)
"""Cells without an at sign, seven digits, a long fraction or another mark of a pattern match none and stop here."""


def _table(*rows: str) -> pl.Expr:
    """Rows of ten digits, to be looked up by ten times the row and the column."""
    return pl.lit(pl.Series([int(digit) for row in rows for digit in row], dtype=pl.Int32))


_DIHEDRAL = _table(
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = _table(
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_TAX_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)


@functools.cache
def verhoeff_holds(column: str) -> pl.Expr:
    """Whether the last digit of a text of twelve digits is its Verhoeff check digit (dihedral group of order ten)."""
    check: pl.Expr = pl.lit(0)
    for place in range(12):
        turned = _PERMUTATION.gather(_digit(pl.col(column), -1 - place) + place % 8 * 10)
        check = _DIHEDRAL.gather(check * 10 + turned)
    return check == 0


@functools.cache
def luhn_holds(column: str, length: int) -> pl.Expr:
    """Whether the last digit of a text of `length` digits is its Luhn check digit."""
    total: pl.Expr = pl.lit(0)
    digits = pl.col(column)
    for place in range(length):
        digit = _digit(digits, length - 1 - place)
        total = total + (digit if place % 2 == 0 else digit * 2 - pl.when(digit > 4).then(9).otherwise(0))
    return total % 10 == 0


@functools.cache
def tax_code_holds(column: str) -> pl.Expr:
    """Whether the last of ten digits is the check digit of the tax code of Viet Nam."""
    total: pl.Expr = pl.lit(0)
    digits = pl.col(column)
    for place, weight in enumerate(_TAX_WEIGHTS):
        total = total + _digit(digits, place) * weight
    return (10 - total % 11 == _digit(digits, 9)) & (digits.str.slice(2, 7) != "0000000")


def _digit(digits: pl.Expr, place: int) -> pl.Expr:
    return digits.str.slice(place, 1).cast(pl.Int32, strict=False)


def identifier_kinds(cells: pl.Series) -> pl.DataFrame:
    """For each cell the kind of identifier its text looks like, or null: columns certain and likely.

    certain: the shape belongs to one thing (an address with @, +254..., a check digit that holds). likely: a run of
    digits as long as a phone or identity number, which an area code may be as well.
    """
    frame = pl.DataFrame({"cell": cells.cast(pl.String)})
    found = candidates(frame["cell"].unique())
    return frame.join(found, on="cell", how="left", maintain_order="left").select("certain", "likely")


def candidates(different: pl.Series) -> pl.DataFrame:
    """Of different cells those that look like an identifier: cell, certain, likely (one of them at least)."""
    text = pl.col("text")
    other_digits = bool(different.str.contains(_OTHER_DIGITS).any())
    left = (
        pl.DataFrame({"cell": different})
        .with_columns((ascii_digits(pl.col("cell")) if other_digits else pl.col("cell")).alias("text"))
        .filter(text.str.contains(_CANDIDATE) & ~text.str.contains(TIME))
    )
    made = left.select(text.str.contains(UUID)).to_series()
    if made.any():
        apart = left.filter(made).with_columns(text.str.replace_all(UUID, "-"))
        left = pl.concat([left.filter(~made), apart.filter(text.str.contains(_CANDIDATE))])
    left = left.with_columns(text.str.strip_chars().str.replace(r"^([+-]?[0-9]+)[.,]0+$", "$1"))
    left = left.with_columns(_written_out(text))
    nothing = pl.lit(None, dtype=pl.String)
    if left.is_empty():
        return left.select("cell", nothing.alias("certain"), nothing.alias("likely"))
    left = _with_digits(left)
    numbers = pl.col("digits")
    left = left.with_columns(
        numbers.str.extract(TWELVE_DIGITS, 1).alias("twelve"),
        numbers.str.extract(FIFTEEN_DIGITS, 1).alias("fifteen"),
        numbers.str.extract(TAX_CODE, 1).alias("ten"),
        text.str.extract(TAX_CODE_OF_BRANCH, 1).alias("branch"),
        text.str.extract(EPIC, 1).alias("epic"),
    )

    def checked(column: str, holds: pl.Expr) -> pl.Expr:
        """The check digit, reckoned only where some cell has such a number."""
        return holds.fill_null(False) if left[column].null_count() < left.height else pl.lit(False)

    aadhaar = checked("twelve", verhoeff_holds("twelve"))
    imei = checked("fifteen", luhn_holds("fifteen", 15))
    epic = checked("epic", luhn_holds("epic", 7))
    branch = checked("branch", tax_code_holds("branch"))
    tax_code = checked("ten", tax_code_holds("ten"))
    long = numbers.str.contains(LONG_RUN)
    cut = (numbers.str.len_chars() >= SHORTEST_CUT) & numbers.str.contains(PHONE_CUT)
    day = numbers.str.contains(DAY_RUN)
    kinds = left.lazy().select(
        "cell",
        pl.when(text.str.contains(EMAIL))
        .then(pl.lit("email"))
        .when(text.str.contains(COORDINATES))
        .then(pl.lit("coordinates"))
        .when(numbers.str.contains(PHONE_ABROAD))
        .then(pl.lit("phone"))
        .when(text.str.contains(MEDIA))
        .then(pl.lit("media"))
        .when(text.str.contains(CARD) | aadhaar | epic | branch)
        .then(pl.lit("national_id"))
        .when(numbers.str.contains(DEVICE) | text.str.contains(DEVICE) | imei)
        .then(pl.lit("device"))
        .alias("certain"),
        pl.when((long & numbers.str.contains(PHONE_BARE)) | (cut & ~day))
        .then(pl.lit("phone"))
        .when((numbers.str.contains(NUMBER_ID) & ~day) | tax_code | text.str.contains(f"{PASSPORT}|{EPIC}"))
        .then(pl.lit("national_id"))
        .when(text.str.contains(TITLE))
        .then(pl.lit("name"))
        .alias("likely"),
    )
    return kinds.filter(pl.any_horizontal(pl.col("certain", "likely").is_not_null())).collect()


def _written_out(text: pl.Expr) -> pl.Expr:
    """A whole number in powers of ten with all of its digits; anything else as it is."""
    parts = text.str.extract_groups(IN_POWERS)
    decimals, power = parts.struct.field("2"), parts.struct.field("3").cast(pl.Int32)
    whole = (power >= decimals.str.len_chars()) & (power <= LONGEST_WRITTEN_OUT)
    padded = decimals.str.pad_end(LONGEST_WRITTEN_OUT, "0").str.head(power)
    return pl.when(whole.fill_null(False)).then(parts.struct.field("1") + padded).otherwise(text).alias("text")


def _with_digits(frame: pl.DataFrame) -> pl.DataFrame:
    """The texts with a column `digits`: the same without what stands between the groups of a number; order is lost.

    1 2 3 10 11 are answers and not a number with blanks in it, and 0.123456789 is no number of anybody.
    """
    text = pl.col("text")
    grouped = text.str.contains(GROUPED) & text.str.contains("[0-9]{3}")
    fraction = text.str.contains(FRACTION)
    kinds = frame.with_columns(pl.when(fraction).then(0).when(grouped).then(1).otherwise(2).alias("kind"))
    whole = pl.when(pl.col("kind") == 0).then(pl.lit("")).otherwise(text)
    apart = kinds.filter(pl.col("kind") == 1)
    joined = apart.with_columns(text.str.replace_all(r"([0-9])[\s().\-–]+(?:\b|$)", "$1").alias("digits"))
    return pl.concat([kinds.filter(pl.col("kind") != 1).with_columns(whole.alias("digits")), joined]).drop("kind")


def identifier_kind(cells: pl.Series) -> pl.Series:
    """The kind of identifier each cell looks like, certain or likely; null for none."""
    return identifier_kinds(cells).select(pl.coalesce("certain", "likely").alias("kind")).to_series()


@functools.lru_cache(maxsize=1024)
def looks_identifying(text: str) -> bool:
    """Whether one text (a file, sheet or column name) holds what looks like an identifier."""
    return identifier_kind(pl.Series([text]))[0] is not None
