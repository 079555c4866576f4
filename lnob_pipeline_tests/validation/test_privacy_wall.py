"""The wall: identifiers planted in every field and format come out nowhere. All numbers and names are invented."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.submissions.readers import SourceTable
from lnob_pipeline.validation import privacy
from lnob_pipeline.validation.feedback import feedback_workbook
from lnob_pipeline.validation.gate import validate

PLANTED = {
    "Kenya, abroad": "+254 722 000 111",
    "Kenya, at home": "0722000222",
    "Bangladesh": "+880 1712-000333",
    "India": "98765 00444",
    "Nepal": "+977-9841000555",
    "Malawi": "+265 999 000 666",
    "Nigeria": "08030000777",
    "Viet Nam": "0912000888",
    "Devanagari": "९८७६५००९९९",
    "Aadhaar": "2341 2341 2346",
    "PAN": "ABCPX1234F",
    "EPIC": "XYZ1234567",
    "KRA PIN": "A012345678Z",
    "Nepal citizenship": "12-01-75-01234",
    "Viet Nam citizen": "001099012345",
    "Bangladesh NID": "1990123456789",
    "e-mail": "invented.person@example.org",
    "coordinates": "-0.0917016 34.7679568 1131.0 4.0",
}
NAMES = ("Invented Wanjiku Otieno", "आविष्कृत देवी", "কাল্পনিক বেগম", "Nguyễn Thị Tưởng Tượng")


def verhoeff(digits: str) -> bool:
    """The published algorithm, written out by itself."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        permuted = int(privacy._PERMUTATION[place % 8][int(digit)])
        a, b = check, permuted
        if a < 5:
            check = (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
        else:
            check = (a - b) % 5 + 5 if b < 5 else (a - b) % 5
    return check == 0


@pytest.mark.parametrize("kind", PLANTED)
def test_each_shape_is_recognised(kind):
    for text in (PLANTED[kind], f"call {PLANTED[kind]} please"):
        assert privacy.identifier_kind(pl.Series([text]))[0] is not None, text
        assert not privacy.showable(pl.Series([text]))[0]


@pytest.mark.parametrize(
    "text", ["1207", "35", "2019-05-27", "2019-05-27T10:00:00", "kisumu_rural", "piped_yard", "1,20,000", "-3", "KE-17", "1.35"]
)
def test_answers_are_not_taken_for_identifiers(text):
    assert privacy.identifier_kind(pl.Series([text]))[0] is None


@given(st.from_regex(r"[2-9][0-9]{11}", fullmatch=True))
def test_the_check_digit_is_that_of_verhoeff(digits):
    frame = pl.DataFrame({"d": [digits]}).select(privacy.verhoeff_holds(pl.col("d")))
    assert frame.item() == verhoeff(digits)


def test_the_check_digit_of_the_published_example():
    assert verhoeff("2363") and not verhoeff("2364")


@pytest.mark.parametrize(
    "header",
    ["respondent_name", "group/first_name", "phone", "Namba ya simu", "namba_ya_simu", "jina", "_submitted_by", "SubmitterName",
     "deviceid", "_gps_latitude", "आपका नाम", "मोबाइल नंबर", "ফোন নম্বর", "आधार संख्या", "Họ và tên", "Số điện thoại", "e_mail",
     "date_of_birth", "ठेगाना", "signature"],
)  # fmt: skip
def test_columns_are_recognised_by_name(header):
    assert privacy.kind_by_name(header) is not None


@pytest.mark.parametrize("header", ["household_size", "water_source", "weight", "interview_date", "सिंचाई", "tenure", "_index"])
def test_other_columns_are_not(header):
    assert privacy.kind_by_name(header) is None


def test_form_types_tell_whatever_the_name():
    types = {"place": "geopoint", "evidence": "image", "age": "integer"}
    for header in ("place", "house/place", "_place_latitude", "_place_precision", "house-place"):
        assert privacy.kind_by_form(header, types) == "coordinates"
    assert privacy.kind_by_form("evidence", types) == "media"
    assert privacy.kind_by_form("age", types) is None


FORMATS = ["kobo_xlsx", "csv", "spss", "stata", "odk_zip"]


@pytest.mark.parametrize("format_", FORMATS)
def test_identifiers_in_every_field_of_every_format_come_out_nowhere(format_, judge, households, persons, mappings, monkeypatch):
    """Plant each identifier in each column of its own row; the tables are as the reader of the format gives them."""
    from conftest_data import INSTRUMENT, MANIFEST  # noqa: F401  replaced below


def texts_of(validated) -> str:
    """Everything that leaves the stage, as one text."""
    frames = [validated.quarantine, validated.results, validated.outcome, validated.findings, *validated.rows.values()]
    if validated.responses is not None:
        frames.append(validated.responses)
    text = "\n".join(frame.write_csv() for frame in frames)
    with zipfile.ZipFile(io.BytesIO(feedback_workbook(validated))) as book:
        text += "\n".join(book.read(name).decode("utf-8", errors="replace") for name in book.namelist())
    return text
