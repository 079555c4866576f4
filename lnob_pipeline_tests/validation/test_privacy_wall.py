"""The wall: identifiers planted in every field and format come out nowhere. All numbers and names are invented."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable
from typing import Any

import phonenumbers
import polars as pl
import pytest
import stdnum.in_.aadhaar
import stdnum.in_.epic
import stdnum.luhn
import stdnum.verhoeff
import stdnum.vn.mst
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.submissions.readers import MODULES
from lnob_pipeline.submissions.readers.table import table_from_columns
from lnob_pipeline.tables import RESPONSES
from lnob_pipeline.validation import identifier_patterns, privacy
from lnob_pipeline.validation.feedback import feedback_json, feedback_text, make_feedback
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import GateError, Validated
from lnob_pipeline.validation.identifiers import take_out
from lnob_pipeline_tests.faults import planted_files
from lnob_pipeline_tests.thorough import tries
from lnob_pipeline_tests.validation.conftest import INSTRUMENT, MANIFEST

Judge = Callable[..., Validated]
PLANTED = {
    "Kenya, abroad": "+254 722 000 111",
    "Kenya, at home": "0722000222",
    "Kenya, trunk zero abroad": "+254 (0) 733 000 234",
    "Kenya, zero lost": "722000333",
    "Kenya, as a number": "722000444.0",
    "Bangladesh": "+880 1712-000333",
    "Bangladesh, at home": "01712000335",
    "India": "98765 00444",
    "Nepal": "+977-9841000555",
    "Nepal, at home": "9841000556",
    "Malawi": "+265 999 000 666",
    "Malawi, at home": "0999000667",
    "Malawi, a new prefix": "265873000668",
    "Nigeria": "08030000777",
    "Viet Nam": "0912000888",
    "two zeros": "00254722000999",
    "Devanagari": "९८७६५००९९९",
    "Bengali": "০১৭১২০০০৩৩৬",
    "Aadhaar": "2341 2341 2346",
    "PAN": "ABCPX1234F",
    "EPIC": "WKH1186253",
    "KRA PIN": "A012345678Z",
    "Nepal citizenship": "12-01-75-01234",
    "Viet Nam citizen": "001099012345",
    "Viet Nam tax code": "0314409058-002",
    "Bangladesh NID": "1990123456789",
    "Nigeria NIN": "12345098761",
    "passport": "B7654321",
    "e-mail": "invented.person@example.org",
    "e-mail in words": "invented(at)example.org",
    "coordinates": "-0.0917016 34.7679568 1131.0 4.0",
    "coordinates with letters": "0.09170°S, 34.76795°E",
    "degrees, minutes, seconds": "23°42'28.1\"N 90°24'33.0\"E",
    "plus code": "6GCRP9QW+8Q",
    "three words": "///invented.person.there",
    "map": "https://maps.app.goo.gl/abcDEF123",
    "picture": "1579512345678.jpg",
    "link to a picture": "https://kc.example.org/attachment/original?media_file=invented",
    "IMEI": "490154203237518",
    "SIM": "89254021234567890123",
    "IMSI": "639021234567890",
    "device": "collect:Abcdefgh12345678",
}
NAMES = ("Invented Wanjiku Otieno", "आविष्कृत देवी", "কাল্পনিক বেগম", "Nguyễn Thị Tưởng Tượng")


@pytest.mark.parametrize("text", ["9.841234567E9", "2.54722000111E11", "2,54722000111e+11", "7.12345678E8"])
def test_a_telephone_number_in_powers_of_ten_is_one(text: str) -> None:
    assert privacy.identifier_kind(pl.Series([text]))[0] == "phone"


@pytest.mark.parametrize("kind", PLANTED)
def test_each_shape_is_recognised(kind: str) -> None:
    assert privacy.identifier_kind(pl.Series([PLANTED[kind]]))[0] is not None
    if kind not in ("Kenya, zero lost", "Kenya, as a number", "Nepal, at home"):  # numbers only where they are alone
        text = f"call {PLANTED[kind]} please"
        assert privacy.identifier_kind(pl.Series([text]))[0] is not None
        assert not privacy.showable(pl.Series([text]))[0]
    assert not privacy.showable(pl.Series([PLANTED[kind]]))[0]


@pytest.mark.parametrize(
    "text",
    [
        "1207",
        "35",
        "2019-05-27",
        "2019-05-27T10:00:00",
        "2019-05-27T10:00:00.000+05:45",
        "2019-05-27 10:00:00",
        "27/05/2019 10:00:00 PM",
        "Oct 10, 2015 6:26:24 PM",
        "2020011201",
        "20200112093015",
        "kisumu_rural",
        "piped_yard",
        "1,20,000",
        "-3",
        "KE-17",
        "1.35",
        "0.9876",
        "12345.67",
        "1.5E3",
        "1.23456789E-3",
        "6.02214076E23",
        "1 2 3 5 8 9 10 11 12 98",
        "uuid:316ed984-0044-4a78-816e-4a5781d16e11",
        "316ed98400444a78816e4a5781d16e11",
        "5f3e2c8a9b1d4e6f7a8b9c0d",
        "uuid:12345678-1234-4123-8123-123456789012/members[1]",
        "DR Congo",
        "Bà Rịa - Vũng Tàu",
        "Borehole, piped into yard/plot",
    ],
)
def test_answers_are_not_taken_for_identifiers(text: str) -> None:
    assert privacy.identifier_kind(pl.Series([text]))[0] is None


def kinds_of(column: str, texts: list[str]) -> list[str | None]:
    """Kinds of a list of texts, certain or likely, all at once."""
    return identifier_patterns.identifier_kinds(pl.Series(texts))[column].to_list()


def many(pattern: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.from_regex(pattern, fullmatch=True, alphabet="ABCXYZ-0123456789"), min_size=20, max_size=60)


FEW = settings(deadline=None, max_examples=tries(10))


@FEW
@given(many(r"[2-9][0-9]{11}"))
def test_aadhaar_as_the_standard_library_of_numbers_has_it(texts: list[str]) -> None:
    checked = [f"{text[:11]}{stdnum.verhoeff.calc_check_digit(text[:11])}" for text in texts]
    # The library refuses numbers that read the same from both ends; here they count as well.
    column = [text for text in (*texts, *checked) if text != text[::-1]]
    certain = [kind == "national_id" for kind in kinds_of("certain", column)]
    assert certain == [stdnum.in_.aadhaar.is_valid(text) for text in column]


@FEW
@given(many(r"[A-Z]{3}[0-9]{7}"))
def test_epic_as_the_standard_library_of_numbers_has_it(texts: list[str]) -> None:
    checked = [f"{text[:9]}{stdnum.luhn.calc_check_digit(text[3:9])}" for text in texts]
    for column in (texts, checked):
        certain = [kind == "national_id" for kind in kinds_of("certain", column)]
        assert certain == [stdnum.in_.epic.is_valid(text) for text in column]


@FEW
@given(many(r"[0-9]{10}-[0-9]{2}[1-9]"))
def test_tax_code_as_the_standard_library_of_numbers_has_it(texts: list[str]) -> None:
    frame = pl.DataFrame({"code": [text[:10] for text in texts]})
    holds = frame.select(identifier_patterns.tax_code_holds("code")).to_series()
    assert holds.to_list() == [stdnum.vn.mst.is_valid(text) for text in texts]


@FEW
@given(many(r"[0-9]{15}"))
def test_luhn_as_the_standard_library_of_numbers_has_it(texts: list[str]) -> None:
    frame = pl.DataFrame({"number": texts})
    holds = frame.select(identifier_patterns.luhn_holds("number", 15)).to_series()
    assert holds.to_list() == [stdnum.luhn.is_valid(text) for text in texts]


KINDS_OF_LINE = (
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
)


@pytest.mark.parametrize("region", identifier_patterns.REGIONS.values())
@FEW
@given(data=st.data())
def test_phones_as_the_numbering_plans_have_them(region: str, data: st.DataObject) -> None:
    """Any number that the library takes for one of the country is recognised, at home, abroad and with two zeros."""
    known = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    assert known is not None and known.mobile is not None and known.mobile.national_number_pattern is not None
    texts = data.draw(many(known.mobile.national_number_pattern))
    numbers = [phonenumbers.parse(f"+{known.country_code}{text}") for text in texts]
    assert all(phonenumbers.number_type(number) in KINDS_OF_LINE for number in numbers)
    for form in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164):
        written = [phonenumbers.format_number(number, form) for number in numbers]
        assert set(kinds_of("certain", written)) == {"phone"}
    assert set(kinds_of("certain", [f"00{known.country_code}{text}" for text in texts])) == {"phone"}
    assert set(kinds_of("likely", [f"0{text}" for text in texts])) == {"phone"}


@FEW
@given(st.lists(st.integers(10**8, 10**11), min_size=50, max_size=100))
def test_a_number_that_no_plan_has_is_no_phone(numbers: list[int]) -> None:
    texts = [f"0{number}" for number in numbers]
    for text, kind in zip(texts, kinds_of("likely", texts), strict=True):
        valid = any(
            phonenumbers.number_type(phonenumbers.parse(text, region)) in KINDS_OF_LINE
            for region in identifier_patterns.REGIONS.values()
        )
        assert (kind == "phone") == valid, text


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("respondent_name", "name"),
        ("respondentName", "name"),
        ("group/first_name", "name"),
        ("household-respondent_name", "name"),
        ("What is the name of the respondent?", "name"),
        ("phone", "phone"),
        ("PhoneNumber2", "phone"),
        ("contact_no", "phone"),
        ("_submitted_by", "user"),
        ("SubmitterName", "user"),
        ("enumerator_id", "user"),
        ("deviceid", "device"),
        ("devicephonenum", "phone"),
        ("_gps_latitude", "coordinates"),
        ("visit-gps-Longitude", "coordinates"),
        ("e_mail", "email"),
        ("date_of_birth", "birth_date"),
        ("signature", "media"),
        ("Namba ya simu", "phone"),
        ("namba_ya_simu", "phone"),
        ("Jina la mhojiwa", "name"),
        ("jina", "name"),
        ("tarehe ya kuzaliwa", "birth_date"),
        ("mhojaji", "user"),
        ("आपका नाम", "name"),
        ("मोबाइल नंबर", "phone"),
        ("आधार संख्या", "national_id"),
        ("मतदाता पहचान पत्र", "national_id"),
        ("ठेगाना", "address"),
        ("नागरिकता नम्बर", "national_id"),
        ("सम्पर्क नम्बर", "phone"),
        ("ফোন নম্বর", "phone"),
        ("উত্তরদাতার নাম", "name"),
        ("জাতীয় পরিচয়পত্র নম্বর", "national_id"),
        ("ঠিকানা", "address"),
        ("Họ và tên", "name"),
        ("Số điện thoại", "phone"),
        ("so_dien_thoai", "phone"),
        ("Căn cước công dân", "national_id"),
        ("điều tra viên", "user"),
        ("dzina la woyankha", "name"),
        ("nambala ya foni", "phone"),
        ("tsiku lobadwa", "birth_date"),
        ("suna", "name"),
        ("lambar waya", "phone"),
        ("adireshi", "address"),
        ("aapka_naam", "name"),
        ("mobail_nambar", "phone"),
    ],
)
def test_columns_are_recognised_by_name(header: str, kind: str) -> None:
    assert privacy.kind_by_name(header) == kind


@pytest.mark.parametrize(
    "header",
    [
        "household_size",
        "water_source",
        "weight",
        "interview_date",
        "सिंचाई",
        "नामांकन",
        "tenure",
        "_index",
        "village_name",
        "Name of the water point",
        "jina_la_kijiji",
        "গ্রামের নাম",
        "tên thôn",
        "AttachmentsPresent",
        "street_children",
        "under_ten",
        "Việt Nam",
        "form_name",
        "telling",
    ],
)
def test_other_columns_are_not(header: str) -> None:
    assert privacy.kind_by_name(header) is None


def test_form_types_tell_whatever_the_name() -> None:
    types = {"place": "geopoint", "evidence": "image", "age": "integer"}
    for header in (
        "place",
        "house/place",
        "_place_latitude",
        "_place_precision",
        "house-place",
        "house-place-Latitude",
    ):
        assert privacy.kind_by_form(header, types) == "coordinates"
    assert privacy.kind_by_form("evidence", types) == "media"
    assert privacy.kind_by_form("age", types) is None


FORM = Instrument.model_validate(INSTRUMENT)
SAID = Manifest.model_validate(MANIFEST)


def taken_from(columns: dict[str, list[str | None]], types: dict[str, str] | None = None) -> dict[str, tuple[str, int]]:
    """Header -> kind and rows, of what is taken out of a table; what is left has no cell of them."""
    table = table_from_columns([[header, *cells] for header, cells in columns.items()], "households", "f.csv")
    left, taken = take_out(table, types or {}, FORM, SAID)
    for column in taken:
        kept = left.frame[column.header].drop_nulls().to_list()
        assert not set(kept) & set(columns[column.header]), column.header
    untouched = [header for header in columns if header not in {column.header for column in taken}]
    assert left.frame.select(untouched).equals(table.frame.select(untouched))
    assert left.frame.columns == table.frame.columns and left.row_numbers.equals(table.row_numbers)
    return {column.header: (column.kind, column.n) for column in taken}


def test_what_identifies_loses_its_cells_and_the_rest_keeps_them() -> None:
    found = taken_from(
        {
            "id": ["0722000111", "0722000112", "0722000113"],  # an id of the instrument stays in memory
            "phone": ["+254722000111", None, "none"],
            "head_name": ["a", "b", None],
            "spare": ["0722000111", "0722000112", "0722000113"],
            "photo": ["x", "y", "z"],
            "size": ["4", "5", "6"],
            "colour": ["red", "blue", "red"],
            "somewhere": ["1 2", "3 4", None],
        },
        {"somewhere": "geopoint"},
    )
    assert found == {
        "phone": ("phone", 2),
        "head_name": ("name", 2),
        "spare": ("phone", 3),
        "photo": ("media", 3),
        "somewhere": ("coordinates", 2),
    }


def test_a_declared_identifier_in_a_repeat_is_known_under_its_group() -> None:
    table = table_from_columns([["roster/name", "x", "y"], ["roster / phone", "+254722000111", None]], "t", "f.json")
    _, taken = take_out(table, {}, FORM, SAID)
    assert [column.declared for column in taken] == ["name", "phone"]


def test_interviewers_become_numbers() -> None:
    table = table_from_columns([["id", "1", "2", "3", "4"], ["enumerator", "Anna", "Bob", "Anna ", None]], "t", "f.csv")
    left, _ = take_out(table, {}, FORM, SAID)
    assert left.frame["enumerator"].to_list() == ["user-1", "user-2", "user-1", None]


def test_weights_are_no_places_and_places_are() -> None:
    weights: dict[str, list[str | None]] = {"w1": ["1.0234567", "0.9876543"], "w2": ["1.2345678", "0.8765432"]}
    assert taken_from(weights) == {}
    places: dict[str, list[str | None]] = {"p": ["-0.0917016", "0.4567891"], "q": ["34.7679568", "35.1234567"]}
    assert taken_from(places) == {"p": ("coordinates", 2), "q": ("coordinates", 2)}
    assert set(taken_from(weights | places)) >= set(places)


def test_a_column_of_ids_that_a_program_made_is_no_identifier() -> None:
    ids = [f"uuid:1234567{digit}-1234-4123-8123-12345678901{digit}" for digit in range(9)]
    assert taken_from({"row_id": [*ids]}) == {}


def test_a_table_that_no_record_names_is_told_by_its_place(judge: Judge) -> None:
    rows = "what,spare\n" + "\n".join(f"x,07220001{n:02d}" for n in range(9))
    files = [*MANIFEST["files"], {"path": "other.csv", "role": "data", "format": "csv"}]
    validated = judge(manifest={"files": files}, contents={"other.csv": rows.encode()})
    found = validated.findings.filter((pl.col("rule_id") == "identifiers") & (pl.col("sheet") == "#3"))
    assert found["column"].to_list() == ["column 2"]


def texts_of(validated: Validated) -> str:
    """Everything that leaves the stage, as one text: tables, the workbook part by part, the message, the JSON."""
    frames = [validated.quarantine, validated.results, validated.outcome, validated.findings, validated.fitness]
    frames += [frame for copy in validated.copies.values() for frame in (copy.frame, copy.original)]
    if validated.responses is not None:
        frames.append(validated.responses)
    feedback = make_feedback(validated)
    text = "\n".join(frame.write_csv() for frame in frames) + feedback_text(feedback) + feedback_json(feedback).decode()
    with zipfile.ZipFile(io.BytesIO(feedback_workbook(validated))) as book:
        text += "\n".join(book.read(name).decode("utf-8", errors="replace") for name in book.namelist())
    return text


def traces(planted: str) -> list[str]:
    """The ways in which a planted text could show: as written, without signs, in other digits, without its zeros."""
    digits = re.sub(r"\D", "", planted.translate(str.maketrans("०१२३४५६७८९০১২৩৪৫৬৭৮৯", "0123456789" * 2)))
    runs = [digits, digits.lstrip("0")] if len(digits) >= 9 and "." not in planted else []
    return [planted, *runs, *(part for part in planted.split() if len(part) >= 7)]


def test_every_format_has_a_planted_file() -> None:
    assert {*planted_files.TABLES, *planted_files.OTHERS} == set(MODULES)


@pytest.mark.parametrize("format_", planted_files.TABLES)
@pytest.mark.parametrize("rejected", [False, True], ids=["accepted", "rejected"])
def test_identifiers_in_every_place_of_every_format_come_out_nowhere(
    format_: str, rejected: bool, judge: Judge, households: list[dict[str, str]]
) -> None:
    everything = [*PLANTED.values(), *NAMES]
    columns = [name for name in households[0] if name != "consent"]
    # Every identifier in a row of its own, in one column after the other, and once more; the first rows stay right.
    rows = [dict(row) for row in households]
    for turn, column in enumerate(columns):
        for i, planted in enumerate(everything):
            if format_ != "csv" and (i + turn) % 5:
                continue  # one of five columns; of a plain file in every column
            rows.append(households[i % len(households)] | {"id": f"{column}-{i}", column: planted})
    if rejected:
        for row in rows:
            row["consent"] = "2"
    cells: dict[str, list[str | None]] = {name: [row[name] for row in rows] for name in rows[0]}
    if format_ not in planted_files.NAMES_WITHOUT_BLANKS:  # headers that no instrument declares, one of them a name
        cells |= {"0722000222 Invented Wanjiku Otieno": ["x"] * len(rows), "spare": cells["phone"]}
    else:
        cells |= {"v_0722000222_Wanjiku": ["x"] * len(rows), "spare": cells["phone"]}
    hidden = itertools.cycle(everything)
    suffix, content = planted_files.TABLES[format_](cells, "households", lambda: next(hidden))
    path = f"households{suffix}"
    changes: dict[str, Any] = {"records.person": None, "records.household.key": None}
    if format_ in planted_files.SYSTEM:
        changes[f"records.household.columns.{planted_files.SYSTEM[format_]}"] = {"exclude": "technical"}
    validated = judge(
        manifest={
            "files": [{"path": path, "role": "data", "format": format_}],
            "sampling": {"method": "purposive"},
        },
        instrument=changes,
        contents={path: content},
        settings=Settings.load(rejection_share_limit=1.0),
    )
    assert (validated.responses is None) is rejected, validated.outcome["reasons"][0]
    if validated.responses is not None:
        assert validated.responses.height >= 40
        assert validated.results.filter(pl.col("message").str.contains("taken out"))["column"].n_unique() > 5
    text = texts_of(validated)
    found = {planted: trace for planted in everything for trace in traces(planted) if trace in text}
    assert found == {}


def test_free_text_and_what_is_not_mapped_are_in_no_table(judge: Judge, households: list[dict[str, str]]) -> None:
    """Columns of responses beside the declared ones are those that the instrument maps, and no others."""
    for row in households:
        row["thoughts"] = "quite long words"
    validated = judge(households)
    assert validated.responses is not None
    own = set(validated.responses.columns) - RESPONSES.schema.keys()
    mapped = {name for record in FORM.records.values() for name, said in record.columns.items() if said.exclude is None}
    assert own == mapped
    text = texts_of(validated)
    assert "nobody may keep" not in text and "quite long words" not in text


def test_names_of_files_and_broken_files_do_not_tell(judge: Judge) -> None:
    path = "0722000222.csv"
    validated = judge(
        manifest={"files": [{"path": path, "role": "data", "format": "csv"}]},
        contents={path: b'id,consent,"Invented Wanjiku Otieno\n0722000333'},
    )
    assert validated.state == "rejected"
    text = texts_of(validated)
    assert "0722000222" not in text and "Wanjiku" not in text and "0722000333" not in text


def test_what_the_form_calls_a_place_is_taken_out_even_where_it_is_mapped(judge: Judge) -> None:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet("survey")
        for number, row in enumerate((("type", "name"), ("geopoint", "cluster"), ("text", "remarks"))):
            sheet.write_row(number, 0, row)
    validated = judge(
        manifest={
            "files": [
                {"path": "households.csv", "role": "data", "format": "csv"},
                {"path": "persons.csv", "role": "data", "format": "csv"},
                {"path": "form.xlsx", "role": "form", "format": "xlsform"},
            ]
        },
        contents={"form.xlsx": stream.getvalue()},
    )
    assert validated.state == "rejected"
    failing = validated.results.filter((pl.col("rule_id") == "structure") & (pl.col("outcome") == "failed"))
    assert failing["column"].to_list() == ["cluster"]


def test_a_librarys_exception_is_raised_again_without_the_cell(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object) -> None:
        raise pl.exceptions.ComputeError("could not parse 'Invented Wanjiku Otieno'")

    monkeypatch.setattr("lnob_pipeline.validation.contracts.number_text", burst)
    with pytest.raises(GateError) as caught:
        judge()
    assert "Wanjiku" not in str(caught.value) and "ComputeError in contracts.py" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
