"""The wall: identifiers planted in every field and format come out nowhere. All numbers and names are invented."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import polars as pl
import pyreadstat
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.settings import Settings
from lnob_pipeline.validation import privacy
from lnob_pipeline.validation.feedback import feedback_workbook
from lnob_pipeline.validation.gate import GateError

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
        turn = (a + b if a < 5 else a - b) % 5
        check = turn + 5 * ((a < 5) != (b < 5))
    return check == 0


@pytest.mark.parametrize("kind", PLANTED)
def test_each_shape_is_recognised(kind):
    for text in (PLANTED[kind], f"call {PLANTED[kind]} please"):
        assert privacy.identifier_kind(pl.Series([text]))[0] is not None, text
        assert not privacy.showable(pl.Series([text]))[0]


@pytest.mark.parametrize(
    "text",
    [
        "1207",
        "35",
        "2019-05-27",
        "2019-05-27T10:00:00",
        "kisumu_rural",
        "piped_yard",
        "1,20,000",
        "-3",
        "KE-17",
        "1.35",
    ],
)
def test_answers_are_not_taken_for_identifiers(text):
    assert privacy.identifier_kind(pl.Series([text]))[0] is None


@settings(deadline=None)
@given(st.from_regex(r"[2-9][0-9]{11}", fullmatch=True))
def test_the_check_digit_is_that_of_verhoeff(digits):
    frame = pl.DataFrame({"d": [digits]}).select(privacy.verhoeff_holds(pl.col("d")))
    assert frame.item() == verhoeff(digits)


def test_the_check_digit_of_the_published_example():
    assert verhoeff("2363") and not verhoeff("2364")


@pytest.mark.parametrize(
    "header",
    [
        "respondent_name",
        "group/first_name",
        "phone",
        "Namba ya simu",
        "namba_ya_simu",
        "jina",
        "_submitted_by",
        "SubmitterName",
        "deviceid",
        "_gps_latitude",
        "आपका नाम",
        "मोबाइल नंबर",
        "ফোন নম্বর",
        "आधार संख्या",
        "Họ và tên",
        "Số điện thoại",
        "e_mail",
        "date_of_birth",
        "ठेगाना",
        "signature",
    ],
)
def test_columns_are_recognised_by_name(header):
    assert privacy.kind_by_name(header) is not None


@pytest.mark.parametrize(
    "header", ["household_size", "water_source", "weight", "interview_date", "सिंचाई", "tenure", "_index"]
)
def test_other_columns_are_not(header):
    assert privacy.kind_by_name(header) is None


def test_form_types_tell_whatever_the_name():
    types = {"place": "geopoint", "evidence": "image", "age": "integer"}
    for header in ("place", "house/place", "_place_latitude", "_place_precision", "house-place"):
        assert privacy.kind_by_form(header, types) == "coordinates"
    assert privacy.kind_by_form("evidence", types) == "media"
    assert privacy.kind_by_form("age", types) is None


def workbook(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet("households")
        for place, column in enumerate(frame.iter_columns()):
            sheet.write_column(0, place, [column.name, *column.to_list()])
    return stream.getvalue()


def written_as(format_: str, frame: pl.DataFrame, folder: Path) -> tuple[str, bytes]:
    """The table as a file of a format: name and bytes."""
    if format_ == "kobo_xlsx":
        return "export.xlsx", workbook(frame.with_row_index("_index", offset=1))
    if format_ == "csv":
        return "households.csv", frame.write_csv().encode()
    if format_ == "odk_zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("households.csv", frame.with_row_index("KEY").write_csv())
        return "export.zip", stream.getvalue()
    suffix, write = {"spss": (".sav", pyreadstat.write_sav), "stata": (".dta", pyreadstat.write_dta)}[format_]
    path = folder / f"households{suffix}"
    write(frame, path)
    return path.name, path.read_bytes()


def texts_of(validated) -> str:
    """Everything that leaves the stage, as one text, the parts of the workbook included."""
    frames = [validated.quarantine, validated.results, validated.outcome, validated.findings, *validated.rows.values()]
    if validated.responses is not None:
        frames.append(validated.responses)
    text = "\n".join(frame.write_csv() for frame in frames)
    with zipfile.ZipFile(io.BytesIO(feedback_workbook(validated))) as book:
        text += "\n".join(book.read(name).decode("utf-8", errors="replace") for name in book.namelist())
    return text


def traces(planted: str) -> list[str]:
    """The ways in which a planted text could show: as written, without signs, in other digits, without its zeros."""
    digits = re.sub(r"\D", "", planted.translate(str.maketrans("०१२३४५६७८९", "0123456789")))
    runs = [digits, digits.lstrip("0")] if len(digits) >= 9 and "." not in planted else []
    return [planted, *runs, *(part for part in planted.split() if len(part) >= 7)]


@pytest.mark.parametrize("format_", ["kobo_xlsx", "csv", "odk_zip", "spss", "stata"])
@pytest.mark.parametrize("rejected", [False, True], ids=["accepted", "rejected"])
def test_identifiers_in_every_column_of_every_format_come_out_nowhere(format_, rejected, judge, households, tmp_path):
    everything = [*PLANTED.values(), *NAMES]
    columns = [name for name in households[0] if name != "consent"]
    # Every column holds every identifier, each in a row of its own; the first ten rows stay right.
    rows = [dict(row) for row in households]
    for column in columns:
        for i, planted in enumerate(everything):
            rows.append(households[i] | {"id": f"{column}-{i}", column: planted})
    if rejected:
        for row in rows:
            row["consent"] = "2"
    frame = pl.DataFrame(rows)
    if format_ in ("csv", "kobo_xlsx", "odk_zip"):  # headers that no instrument declares, one of them a name
        frame = frame.with_columns(
            pl.lit("x").alias("0722000222 Invented Wanjiku Otieno"), frame["phone"].alias("spare")
        )
    path, content = written_as(format_, frame, tmp_path)
    changes = {"records.person": None, "records.household.key": None}
    if format_ == "kobo_xlsx":
        changes["records.household.columns._index"] = {"exclude": "technical"}
    if format_ == "odk_zip":
        changes["records.household.columns.KEY"] = {"exclude": "technical"}
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
    if not rejected:
        assert validated.responses.height >= 40
        assert validated.results.filter(pl.col("message").str.contains("taken out"))["column"].n_unique() > 5
    text = texts_of(validated)
    found = {planted: trace for planted in everything for trace in traces(planted) if trace in text}
    assert found == {}


def test_names_of_files_and_broken_files_do_not_tell(judge):
    path = "0722000222.csv"
    validated = judge(
        manifest={"files": [{"path": path, "role": "data", "format": "csv"}]},
        contents={path: b'id,consent,"Invented Wanjiku Otieno\n0722000333'},
    )
    assert validated.state == "rejected"
    text = texts_of(validated)
    assert "0722000222" not in text and "Wanjiku" not in text and "0722000333" not in text


def test_what_the_form_calls_a_place_is_taken_out_even_where_it_is_mapped(judge, tmp_path):
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


def test_a_librarys_exception_is_raised_again_without_the_cell(judge, monkeypatch):
    def burst(*_):
        raise pl.exceptions.ComputeError("could not parse 'Invented Wanjiku Otieno'")

    monkeypatch.setattr("lnob_pipeline.validation.contracts.number_text", burst)
    with pytest.raises(GateError) as caught:
        judge()
    assert "Wanjiku" not in str(caught.value) and "ComputeError in contracts.py" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
