"""Parquet, REFI-QDA and XLSForm: files written by the libraries of the field, or as their schema says."""

from __future__ import annotations

import datetime
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file, read_here, refi_qda
from lnob_pipeline.submissions.readers.xlsform import question_labels, question_types
from lnob_pipeline_tests.thorough import tries

PARQUET = DataFile(path="answers.parquet", role="data", format="parquet")
QDA = DataFile(path="project.qdpx", role="data", format="refi_qda")
FORM = DataFile(path="form.xlsx", role="form", format="xlsform")


def parquet(columns: dict[str, pa.Array]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


class TestParquet:
    def test_any_type_is_what_a_person_would_type(self) -> None:
        moment = datetime.datetime(2020, 3, 4, 5, 6, 7)
        content = parquet(
            {
                "whole": pa.array([1, None], pa.int16()),
                "number": pa.array([12.0, 0.43]),
                "nan": pa.array([float("nan"), 1e-7]),
                "text": pa.array(["007", ""]),
                "yes": pa.array([True, False]),
                "day": pa.array([datetime.date(2020, 3, 4), None]),
                "moment": pa.array([moment, datetime.datetime(2020, 3, 4)], pa.timestamp("us")),
                "zoned": pa.array([moment, None], pa.timestamp("ms", "UTC")),
                "amount": pa.array([Decimal("1.50"), None]),
                "option": pa.array(["NA", "b"]).dictionary_encode(),
                "nothing": pa.nulls(2),
                "time": pa.array([datetime.time(5, 6, 7), None]),
            }
        )
        table = read_file(content, PARQUET)["answers"]
        first, second = table.frame.rows(named=True)
        assert first == {
            "whole": "1", "number": "12", "nan": None, "text": "007", "yes": "TRUE", "day": "2020-03-04",
            "moment": "2020-03-04T05:06:07", "zoned": "2020-03-04T05:06:07+00:00", "amount": "1.50", "option": "NA",
            "nothing": None, "time": "05:06:07",
        }  # fmt: skip
        assert second == dict.fromkeys(first) | {
            "number": "0.43", "nan": "1e-7", "yes": "FALSE", "moment": "2020-03-04", "option": "b",
        }  # fmt: skip
        assert table.row_numbers.to_list() == [1, 2]

    @pytest.mark.parametrize("cell", [["a", "b"], {"a": 1}, b"raw"])
    def test_nested_columns_are_refused(self, cell: object) -> None:
        with pytest.raises(ReaderError, match="column 2 holds lists, parts or raw bytes") as error:
            read_file(parquet({"Mary": pa.array(["x"]), "parts": pa.array([cell])}), PARQUET)
        assert "column of its own" in error.value.mend and "Mary" not in str(error.value)

    def test_damage(self) -> None:
        content = parquet({"a": pa.array(["x"])})
        with pytest.raises(ReaderError, match="not a Parquet file"):
            read_file(content[:-3], PARQUET)
        with pytest.raises(ReaderError, match="damaged"):
            read_file(content[:10] + b"\xff" * 20 + content[30:], PARQUET)

    @given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), min_size=1, max_size=5))
    @settings(max_examples=tries(40), deadline=None)
    def test_any_text_comes_back(self, texts: list[str]) -> None:
        assert read_here(parquet({"h": pa.array(texts)}), PARQUET)["answers"].frame["h"].to_list() == texts


PROJECT = """<?xml version="1.0" encoding="utf-8"?>
<Project name="P" origin="test" xmlns="urn:QDA-XML:project:1.0">
  <Users><User guid="00000000-0000-0000-0000-0000000000AA" name="Mary Secret"/></Users>
  <CodeBook><Codes>
    <Code guid="A1" name="sdg" isCodable="true">
      <Code guid="a2" name="16.9.1" isCodable="true"><Code guid="A3" name="cost" isCodable="true"/></Code>
    </Code>
    <Code guid="B1" name="water" isCodable="true"/>
  </Codes></CodeBook>
  <Cases><Case guid="C1" name="Mary Secret"><CodeRef targetGUID="A1"/></Case></Cases>
  <Sources>
    <TextSource guid="S1" name="FGD-01">
      <PlainTextContent>Mary Secret said that it costs too much</PlainTextContent>
      <PlainTextSelection guid="P1" name="Mary Secret" startPosition="0" endPosition="10">
        <Coding guid="K1" creatingUser="AA"><CodeRef targetGUID="A3"/></Coding>
        <Coding guid="K2"><CodeRef targetGUID="B1"/></Coding>
      </PlainTextSelection>
      <Coding guid="K3"><CodeRef targetGUID="A1"/></Coding>
    </TextSource>
    <PDFSource guid="S2" name="KII-02">
      <PDFSelection guid="P2" page="1" firstX="0" firstY="0" secondX="1" secondY="1">
        <Coding guid="K4"><CodeRef targetGUID="B1"/></Coding>
      </PDFSelection>
    </PDFSource>
    <AudioSource guid="S3">
      <Transcript guid="T1"><TranscriptSelection guid="P3"><Coding guid="K5"><CodeRef targetGUID="b1"/></Coding>
      </TranscriptSelection></Transcript>
    </AudioSource>
  </Sources>
</Project>"""


def qdpx(project: str, **parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("project.qde", project)
        for name, content in parts.items():
            made.writestr(f"sources/{name}.docx", content)
    return stream.getvalue()


class TestRefiQda:
    def test_passages_and_codes_without_names_and_texts(self) -> None:
        table = read_file(qdpx(PROJECT, S1=b"PK\x03\x04 Mary Secret"), QDA)["highlights"]
        assert table.frame.columns == ["id", "document", "tag"]
        assert sorted(table.frame.rows()) == [
            ("k3", "FGD-01", "sdg"),
            ("p1", "FGD-01", "sdg\\16.9.1\\cost"),
            ("p1", "FGD-01", "water"),
            ("p2", "KII-02", "water"),
            ("p3", "s3", "water"),
        ]
        assert "Mary" not in str(table.frame.rows())
        assert read_file(PROJECT.encode(), QDA)["highlights"].frame.equals(table.frame)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ('targetGUID="B1"', 'targetGUID="Z9"', "not in the code book"),
            (' guid="P1"', "", "has no id"),
            ('name="water" ', "", "has no name"),
            ("urn:QDA-XML:project:1.0", "urn:other", "not a project"),
            ("</Project>", "", "damaged"),
            ("<Project", '<!DOCTYPE p [<!ENTITY a "aaaa">]><Project', "damaged"),
        ],
    )
    def test_what_is_no_project(self, old: str, new: str, words: str) -> None:
        with pytest.raises(ReaderError, match=words) as error:
            read_file(qdpx(PROJECT.replace(old, new)), QDA)
        assert "Mary" not in str(error.value)

    def test_real_projects_without_coded_passages(self, shared: Path) -> None:
        for name in ("blank-atlas-project", "target-atlas-project"):
            content = (shared / f"citizen/qda/{name}.qdpx").read_bytes()
            with pytest.raises(ReaderError, match="no passage of a text is coded"):
                read_file(content, QDA)

    def test_the_names_relied_on_are_those_of_the_schema(self, shared: Path) -> None:
        schema = ElementTree.parse(shared / "citizen/qda/Project-mrt2019.xsd").getroot()
        xsd = "{http://www.w3.org/2001/XMLSchema}"
        assert schema.get("targetNamespace") == refi_qda.NAMESPACE.strip("{}")
        holds = {
            kind.get("name"): {part.get("name") for part in kind.iter(f"{xsd}element")}
            for kind in schema.iter(f"{xsd}complexType")
        }
        requires = {
            kind.get("name"): {
                part.get("name") for part in kind.iter(f"{xsd}attribute") if part.get("use") == "required"
            }
            for kind in schema.iter(f"{xsd}complexType")
        }
        assert set(refi_qda.SOURCES) == holds["SourcesType"]
        for name in refi_qda.SELECTIONS:
            assert "Coding" in holds[f"{name}Type"] and "guid" in requires[f"{name}Type"]
        parents = {*refi_qda.SOURCES, *refi_qda.SELECTIONS, "Transcript"}
        inner = {part for name in parents for part in holds[f"{name}Type"]} & {
            "TextDescription",
            "Representation",
            "Transcript",
        }
        assert inner == set(refi_qda.INNER)
        assert {"guid", "name"} <= requires["CodeType"] and "Code" in holds["CodeType"]
        assert "CodeRef" in holds["CodingType"] and "targetGUID" in requires["CodeRefType"]


def workbook(sheets: dict[str, list[list[str]]]) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return stream.getvalue()


class TestXlsForm:
    SURVEY: ClassVar = [
        [" Type", "NAME", "label :: Bangla (bn)", "Relevance", "constraint message", "bind::required", "", "type"],
        ["text", "q1", "নাম", "${a} = 1", "No", "yes", "a note of ours", "x"],
        ["select_one yn", "q2", "", "", "", "", "", ""],
    ]
    CHOICES: ClassVar = [["list name", "name", "label"], ["yn", "1", "Yes"]]

    def check(self, tables: dict[str, SourceTable], first: int) -> None:
        survey = tables["survey"].frame
        assert survey.columns == ["type", "name", "label::Bangla (bn)", "relevant", "constraint_message", "required"]
        assert survey.row(0) == ("text", "q1", "নাম", "${a} = 1", "No", "yes")
        assert tables["survey"].row_numbers.to_list() == [first, first + 1] and tables["survey"].sheet == "survey"
        assert question_types(tables["survey"]) == {"q1": "text", "q2": "select_one"}
        assert question_labels(tables["survey"]) == {"q1": {"label::Bangla (bn)": "নাম"}}

    def test_a_workbook_with_loose_headers(self) -> None:
        tables = read_file(workbook({"Survey ": self.SURVEY, "choices": self.CHOICES, "notes": [["a", "a"]]}), FORM)
        self.check(tables, 2)
        assert list(tables) == ["survey", "choices"]
        assert tables["choices"].frame.rows(named=True) == [{"list_name": "yn", "name": "1", "label": "Yes"}]

    @pytest.mark.parametrize("delimiter", [",", ";"])
    def test_sheets_as_csv(self, delimiter: str) -> None:
        def csv(rows: list[list[str]]) -> str:
            return "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows)

        self.check(read_file(csv(self.SURVEY).encode(), FORM), 2)
        assert list(read_file(csv(self.CHOICES).encode(), FORM)) == ["choices"]
        together = [["survey", *[""] * 8], *[["", *row] for row in self.SURVEY]]
        together += [["choices", *[""] * 8], *[["", *row, *[""] * 5] for row in self.CHOICES]]
        tables = read_file(csv(together).encode(), FORM)
        self.check(tables, 3)
        assert tables["choices"].row_numbers.to_list() == [7]

    def test_real_sheets_as_csv(self, shared: Path) -> None:
        folder = shared / "citizen/impact_cleaningtools"
        survey = read_file((folder / "cleaningtools_survey.csv").read_bytes(), FORM)["survey"]
        assert question_types(survey)["audit"] == "audit" and "relevant" in survey.frame.columns
        assert read_file((folder / "cleaningtools_choices.csv").read_bytes(), FORM)["choices"].frame.height == 969

    def test_no_form(self) -> None:
        with pytest.raises(ReaderError, match="sheet survey is not there"):
            read_file(workbook({"data": [["a"], ["b"]]}), FORM)
        with pytest.raises(ReaderError, match="column type, name is not there"):
            read_file(workbook({"survey": [["a"], ["b"]]}), FORM)
