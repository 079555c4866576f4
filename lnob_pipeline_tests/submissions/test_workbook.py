"""The two forms of the manifest: templates, and the way back."""

from __future__ import annotations

import copy
import datetime
import io
import shutil
import string
import subprocess
import zipfile

import pytest
import xlsxwriter
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import Manifest, ManifestError, form_fields, parse_manifest
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets
from lnob_pipeline.submissions.workbook import manifest_fields, new_submission, template_workbook, template_yaml
from lnob_pipeline_tests.thorough import tries

CHOICES = {"groups": {"dalit": "Dalits", "pastoralists": "Pastoralists"}, "instrument": {"ken_test": "Test"}}
REQUIRED = {field.path for field in form_fields() if field.required}


def from_yaml(content: bytes) -> Manifest:
    return parse_manifest(content, "submission.yaml")


def from_workbook(content: bytes) -> Manifest:
    return parse_manifest(content, "submission.xlsx")


def rows(content: bytes) -> dict[str, list[list[str | None]]]:
    return {name: [sheet.row(i) for i in range(sheet.height)] for name, sheet in read_sheets(content, "x").items()}


def written(sheets: dict[str, list[list[object]]]) -> bytes:
    """A workbook as a person makes it: cells of any kind."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"default_date_format": "dd/mm/yyyy"}) as book:
        for name, lines in sheets.items():
            sheet = book.add_worksheet(name)
            for number, line in enumerate(lines):
                for column, cell in enumerate(line):
                    sheet.write(number, column, cell)
    return stream.getvalue()


def as_sheets(answers: dict) -> dict[str, list[list[object]]]:
    """The least workbook: one sheet of answers, one of files; cells of the kinds that Excel makes of typing."""
    lines: list[list[object]] = [["Field", "Answer"]]
    for field in form_fields():
        value = answers
        for name in field.path.split("."):
            value = value.get(name) if value is not None else None
        if value is not None:
            lines.append([field.path, ";".join(value) if isinstance(value, list) else value])
    names = ["path", "role", "format", "delimiter", "date_order"]
    files = [[file.get(name) for name in names] for file in answers["files"]]
    return {"all": lines, "Files": [names, *files]}


def test_both_forms_filled_are_the_same_manifest(answers):
    expected = Manifest.model_validate(answers)
    assert from_yaml(template_yaml(answers, CHOICES)) == expected
    assert from_workbook(template_workbook(answers, CHOICES)) == expected


LETTERS = st.characters(categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters=";\ufffe\uffff", codec="utf-8")
WORDS = st.text(LETTERS, min_size=1, max_size=30).map(str.strip).filter(lambda text: text and text[0] != "#")
DATES = st.dates(datetime.date(1990, 1, 1), datetime.date(2090, 12, 31))
LEVELS = st.integers(0, 5)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any manifest that is valid."""
    start, end = sorted([draw(DATES), draw(DATES)])
    national = draw(st.booleans())
    kind = draw(st.sampled_from(["household_survey", "score_card", "focus_group", "interview", "policy_review"]))
    method = draw(st.sampled_from(["purposive", "quota", "census", "open_call"]))
    sampling: dict = {"method": method, "strata": draw(st.none() | WORDS)}
    if kind == "household_survey" and draw(st.booleans()):
        sampling = {
            "method": "probability",
            "frame": draw(WORDS),
            "stages": draw(st.integers(1, 3)),
            "cluster": draw(WORDS),
            "weight": draw(WORDS),
            "finite_population": draw(st.none() | WORDS),
        }
    per_row = draw(st.booleans())
    minors = draw(st.booleans())
    stems = draw(
        st.lists(st.text(string.ascii_letters + "0123456789 _é-", min_size=1, max_size=20), min_size=1, max_size=4)
    )
    files = [
        {
            "path": f"{number}{stem.strip()}.csv",
            "role": "data" if number == 0 else draw(st.sampled_from(["data", "form", "participants", "codebook"])),
            "format": draw(st.sampled_from(["csv", "spss", "kobo_xlsx"])),
            "delimiter": draw(st.sampled_from([None, ",", ";", "|", "tab"])),
            "date_order": draw(st.sampled_from(["ymd", "dmy", "mdy"])),
        }
        for number, stem in enumerate(stems)
    ]
    return Manifest.model_validate(
        {
            "submission": f"ken-2019-{draw(st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20))}",
            "country": "KEN",
            "title": draw(WORDS),
            "organisation": draw(WORDS),
            "synthetic": draw(st.booleans()),
            "data_type": kind,
            "instrument": draw(WORDS),
            "language": draw(st.sampled_from(["sw", "no", "ne", "en"])),
            "collection": {"start": start, "end": end},
            "geography": {
                "level": "national" if national else "admin1",
                "admin1": [] if national else draw(st.lists(st.sampled_from(["KE-1", "KE-17", "MW-S"]), min_size=1)),
                "description": draw(WORDS),
            },
            "population": draw(WORDS),
            "groups": draw(st.lists(WORDS, max_size=3)),
            "sampling": sampling,
            "sample_size": {"planned": draw(st.integers(1, 10**6)), "achieved": draw(st.integers(0, 10**6))},
            "engagement": {
                name: draw(LEVELS)
                for name in ("need", "design", "collection", "processing", "analysis", "dissemination", "use")
            },
            "consent": {
                "column": draw(WORDS) if per_row else None,
                "affirmative": draw(st.lists(WORDS, min_size=1, max_size=3)) if per_row else [],
                "scopes": draw(st.lists(st.sampled_from(["share_data", "photo", "quote"]), max_size=2)),
                "obtained": "per_row" if per_row else draw(st.sampled_from(["per_group", "not_applicable"])),
            },
            "ethics": {
                "body": draw(WORDS),
                "approval_number": draw(WORDS),
                "approval_date": draw(DATES),
                "minors_interviewed": minors,
                "guardian_consent": minors or draw(st.booleans()),
                "special_protocol": draw(st.booleans()),
            },
            "agreement": {"identifier": draw(WORDS), "retention_until": draw(DATES)},
            "disclosure": {"organisation": draw(st.booleans()), "place": draw(st.booleans())},
            "partner": {"publish": draw(st.booleans()), "date": draw(DATES), "represented_by": draw(WORDS)},
            "files": files,
            "withdrawn": draw(st.booleans()),
        }
    )


@examples(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(manifest=manifests())
def test_any_manifest_survives_both_forms_and_the_ledgers_json(manifest):
    answers = manifest.model_dump()
    assert from_yaml(template_yaml(answers)) == manifest
    assert from_workbook(template_workbook(answers)) == manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "~",
        "yes",
        "0123",
        "2019-03-04",
        "a: b",
        "- a",
        "# a",
        "=1+1",
        "@x",
        "'",
        '"',
        "[x",
        "a\nb",
        "x ,",
        "हिन्दी",
        "👪",
    ],
)
def test_awkward_text_survives_both_forms(answers, text):
    answers["title"] = answers["sampling"]["frame"] = text
    assert from_yaml(template_yaml(answers)).title == text
    assert from_workbook(template_workbook(answers)).sampling.frame == text


@pytest.mark.parametrize("form", ["yaml", "xlsx"])
def test_a_fresh_template_asks_for_every_required_field_and_nothing_else(tmp_path, form):
    path = new_submission(tmp_path, "KEN", "2020-water", "household_survey", form, choices=CHOICES)
    assert path == tmp_path / "ken-2020-water" / f"submission.{form}"
    with pytest.raises(ManifestError) as error:
        parse_manifest(path.read_bytes(), path.name)
    fields = {problem.split(": ")[0].split(", ")[-1] for problem in error.value.problems}
    asked = {field for field in fields if not field.startswith("files")}
    assert asked == REQUIRED - {"submission", "country", "data_type"}
    assert fields > asked  # the files too
    assert all("is missing" in problem for problem in error.value.problems)


def test_the_template_fits_the_kind_of_data(tmp_path):
    path = new_submission(tmp_path, "nga", "2020-review", "policy_review", "yaml")
    fields = yaml.safe_load(path.read_bytes())
    assert (fields["country"], fields["data_type"]) == ("NGA", "policy_review")
    assert (fields["sampling"]["method"], fields["consent"]["obtained"]) == ("not_applicable", "not_applicable")


def test_a_manifest_is_never_overwritten(tmp_path):
    path = new_submission(tmp_path, "KEN", "2020-water", "household_survey", "xlsx")
    before = path.read_bytes()
    for form in ("yaml", "xlsx"):
        with pytest.raises(FileExistsError, match="has a manifest already"):
            new_submission(tmp_path, "KEN", "2020-water", "household_survey", form)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["submission.xlsx"]


@pytest.mark.parametrize(
    "country, slug", [("KEN", "water"), ("KE", "2020-x"), ("KEN", "2020-Water"), ("KEN", "2020-../x")]
)
def test_a_name_that_is_no_identifier_is_refused(tmp_path, country, slug):
    with pytest.raises(ValueError, match="for KEN and 2020-water-survey it is ken-2020-water-survey"):
        new_submission(tmp_path, country, slug, "household_survey", "yaml")
    with pytest.raises(ValueError, match="household_survey, score_card"):
        new_submission(tmp_path, "KEN", "2020-x", "survey", "yaml")
    assert list(tmp_path.iterdir()) == []


def test_the_yaml_template_explains_each_field_above_it(answers):
    text = template_yaml(answers, CHOICES).decode()
    flat = " ".join(line.strip(" #") for line in text.splitlines())
    for field in (*form_fields(), *form_fields("DataFile")):
        assert field.description in flat
    assert "Takes: dalit / pastoralists" in flat
    assert max(map(len, text.splitlines())) <= 120


def test_the_workbook_is_the_same_bytes_each_time(answers):
    assert template_workbook(answers, CHOICES) == template_workbook(copy.deepcopy(answers), CHOICES)


def test_the_required_sheet_comes_first_and_lists_every_choice():
    content = template_workbook({}, CHOICES)
    sheets = rows(content)
    assert list(sheets) == ["Required", "More", "Files", "Codes"]
    header, *_ = [line for line in sheets["Required"] if line[0] == "question"]
    assert header == ["question", "answer", "example", "field"]
    assert {line[3] for line in sheets["Required"][3:] if line[3]} == REQUIRED
    codes = {}
    for column in range(0, len(sheets["Codes"][0]), 2):
        codes[sheets["Codes"][0][column]] = [line[column] for line in sheets["Codes"][1:] if line[column]]
    assert codes["groups"] == ["dalit", "pastoralists"]
    assert codes["disclosure.place"] == ["yes", "no"]
    assert codes["files.delimiter"] == [",", ";", "|", "tab"]
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        required = parts.read("xl/worksheets/sheet1.xml").decode()
    listed = [field for field in form_fields() if field.required and (field.choices or field.kind == "boolean")]
    assert required.count('type="list"') == len(listed) + 1  # and the instrument, from the choices given
    assert required.count('type="date"') == 4


def test_dates_numbers_and_spaces_as_people_type_them(answers):
    sheets = as_sheets(answers)
    for line in sheets["all"]:
        line[0] = f"  {line[0]} "
        if isinstance(line[1], str):
            line[1] = f"\u00a0{line[1]}  ".replace(";", " ;\n ")
    sheets["all"].insert(1, ["", "   "])
    sheets["Files"].insert(2, ["", " ", None])
    assert from_workbook(written(sheets)) == Manifest.model_validate(answers)
    kinds = {type(line[1]) for line in sheets["all"]}
    assert {str, int, bool, datetime.date} <= kinds


def test_sheets_columns_and_rows_may_be_moved_and_added(answers):
    sheets = as_sheets(answers)
    moved = [["Our notes"], [], *[[None, line[1], "a note", line[0]] for line in reversed(sheets["all"][1:])]]
    moved.insert(2, ["x", "ANSWER ", "note", "field"])
    content = written({"Notes": [["field", "something"]], "Fichiers": sheets["Files"], "Réponses": moved})
    assert from_workbook(content) == Manifest.model_validate(answers)


def problem(content: bytes) -> str:
    with pytest.raises(ManifestError) as error:
        from_workbook(content)
    (sentence,) = error.value.problems
    return sentence


def test_problems_name_sheet_and_row(answers):
    sheets = as_sheets(answers)
    row = next(number for number, line in enumerate(sheets["all"], start=1) if line[0] == "collection.start")
    sheets["all"][row - 1][1] = "4 March"
    assert problem(written(sheets)) == f"sheet all, row {row}, collection.start: is a date; write it as 2019-03-31"

    sheets = as_sheets(answers)
    sheets["Files"].insert(1, [])
    sheets["Files"][3][1] = "forms"
    assert problem(written(sheets)).startswith("sheet Files, row 4, files.2.role: takes one of")

    sheets = as_sheets(answers)
    sheets["all"].append(["title", "Again"])
    assert problem(written(sheets)) == (
        f"sheet all, row {len(sheets['all'])}: the field stands for the second time; keep one of the rows"
    )

    sheets = as_sheets(answers)
    sheets["all"].append(["Jane Doe", "0700000123"])
    found = problem(written(sheets))
    assert found.startswith(f"sheet all, row {len(sheets['all'])}: ")
    assert "Jane" not in found
    assert "0700" not in found

    sheets = as_sheets(answers)
    sheets["all"][3][1] = "#REF!"
    assert problem(written(sheets)) == "sheet all, row 4: the formula gives an error; write the answer itself"


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "not an .xlsx workbook"),
        (b"<html>log in</html>", "web page"),
        (b"PK\x03\x04 cut off", "cut off or damaged"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"old", "locked with a password"),
        (written({"Sheet1": [["name", "phone"], ["Jane Doe", "0700000123"]]}), "no sheet has the columns"),
    ],
)
def test_what_is_no_manifest_is_one_sentence(content, sentence):
    assert sentence in problem(content)


def test_a_cell_in_the_last_corner_does_not_fill_the_memory(answers):
    content = template_workbook(answers)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(changed, "w") as copied:
        for part in parts.namelist():
            text = parts.read(part)
            if part == "xl/worksheets/sheet1.xml":
                corner = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
                text = text.replace(b"</sheetData>", corner)
            copied.writestr(part, text)
    assert "something was typed far away from the table" in problem(changed.getvalue())


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("filled", [True, False])
def test_a_spreadsheet_program_opens_saves_and_keeps_it(answers, tmp_path, filled):
    source = tmp_path / "submission.xlsx"
    source.write_bytes(template_workbook(answers if filled else {}, CHOICES))
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx"]
    subprocess.run(
        [*command, "--outdir", str(tmp_path / "saved"), str(source)], check=True, capture_output=True, timeout=120
    )
    saved = (tmp_path / "saved" / "submission.xlsx").read_bytes()
    with zipfile.ZipFile(io.BytesIO(saved)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count('type="list"') > 0
    assert "Codes!$" in sheet.replace("$Codes.", "Codes!")
    if filled:
        assert from_workbook(saved) == Manifest.model_validate(answers)
    else:
        assert manifest_fields(saved, "submission.xlsx").get("submission") is None
