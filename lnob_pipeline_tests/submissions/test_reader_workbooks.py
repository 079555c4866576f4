"""Plain workbooks, .xlsx and .ods: layout as the manifest says, numbers of rows as the partner sees them, no bombs."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from html import escape

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file, read_here
from lnob_pipeline_tests.thorough import tries

XLSX = DataFile(path="book.xlsx", role="data", format="xlsx")
ODS = DataFile(path="book.ods", role="data", format="ods")
MERGED = [("Survey of two wards", None, None), ("id", "Toilet", None, "Notes"), (None, "kind", "shared", None)]


def xlsx(rows: Sequence[Sequence[object]], merged: list[tuple[int, int, int, int]] = [], **sheets: str) -> bytes:  # noqa: B006 - never changed
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        for top, left, bottom, right in merged:
            sheet.merge_range(top, left, bottom, right, "")
        for r, row in enumerate(rows):
            for c, cell in enumerate(row):
                if cell is not None:
                    sheet.write(r, c, cell)
        for name, text in sheets.items():
            book.add_worksheet(name).write(0, 0, text)
            book.get_worksheet_by_name(name).hide()
    return stream.getvalue()


CONTENT = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
)


def ods(*tables: str, content: str = CONTENT, manifest: str = "") -> bytes:
    """A workbook as LibreOffice packs it: the kind first and not packed, the sheets in content.xml."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        made.writestr("content.xml", content.replace("{tables}", "".join(tables)))
        made.writestr("META-INF/manifest.xml", f"<manifest:manifest>{manifest}</manifest:manifest>")
    return stream.getvalue()


def cell(text: str | None, kind: str = "string", value: str = "", more: str = "") -> str:
    if text is None:
        return f"<table:table-cell{more}/>"
    paragraphs = "".join(f"<text:p>{_spaced(line)}</text:p>" for line in text.split("\n"))
    return f'<table:table-cell office:value-type="{kind}"{value}{more}>{paragraphs}</table:table-cell>'


def _spaced(line: str) -> str:
    """Spaces as LibreOffice writes them: all but single ones between words as elements."""
    return escape(line).replace(" ", "<text:s/>").replace("\t", "<text:tab/>")


def table(rows: list[list[str]], name: str = "Data", tail: bool = True) -> str:
    empty = '<table:table-row table:number-rows-repeated="1048570">' + cell(
        None, more=' table:number-columns-repeated="16384"'
    )
    body = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    return f'<table:table table:name="{name}">{body}{empty + "</table:table-row>" if tail else ""}</table:table>'


def read_ods(content: bytes, **more: object) -> SourceTable:
    return next(iter(read_file(content, ODS.model_copy(update=more)).values()))


class TestLayout:
    def test_titles_and_a_merged_header(self) -> None:
        rows = [*MERGED, (1, "pit", "yes", "-"), (None,), (2, "none", None, "a")]
        content = xlsx(rows, merged=[(0, 0, 0, 3), (1, 1, 1, 2), (1, 0, 2, 0)])
        read = read_file(content, XLSX.model_copy(update={"title_rows": 1, "header_rows": 2}))["Data"]
        assert read.frame.columns == ["id", "Toilet / kind", "Toilet / shared", "Notes"]
        assert read.frame.rows() == [("1", "pit", "yes", "-"), ("2", "none", None, "a")]
        assert read.row_numbers.to_list() == [4, 6] and read.sheet == "Data"

    def test_what_is_not_merged_is_not_carried_where_the_sheet_merges(self) -> None:
        rows = [("Toilet", None, None, None), ("kind", "shared", "age", "sex"), ("pit", "yes", 30, "f")]
        file = XLSX.model_copy(update={"header_rows": 2})
        merged = read_file(xlsx(rows, merged=[(0, 0, 0, 1)]), file)["Data"]
        assert merged.frame.columns == ["Toilet / kind", "Toilet / shared", "age", "sex"]
        plain = read_file(xlsx(rows), file)["Data"]
        assert plain.frame.columns == ["Toilet / kind", "Toilet / shared", "Toilet / age", "Toilet / sex"]

    def test_a_title_that_is_not_declared_is_asked_for(self) -> None:
        with pytest.raises(ReaderError) as error:
            read_file(xlsx([("Survey",), ("id", "water"), (1, "well")]), XLSX)
        assert "files.title_rows" in error.value.mend and (error.value.sheet, error.value.row) == ("Data", 1)

    def test_repeated_names_ask_for_the_row_above(self) -> None:
        with pytest.raises(ReaderError) as error:
            read_file(xlsx([("Men", "Women"), ("n", "n"), (1, 2)]), XLSX.model_copy(update={"title_rows": 1}))
        assert "files.header_rows" in error.value.mend
        read = read_file(xlsx([("Men", "Women"), ("n", "n"), (1, 2)]), XLSX.model_copy(update={"header_rows": 2}))
        assert read["Data"].frame.rows(named=True) == [{"Men / n": "1", "Women / n": "2"}]

    def test_hidden_sheets_are_read_only_by_name(self) -> None:
        content = xlsx([("id",), (1,)], Names="Mary")
        visible = read_file(content, XLSX)
        assert list(visible) == ["Data"] and "(1)" in visible["Data"].notes[0].text
        assert list(read_file(content, XLSX.model_copy(update={"sheet": "Names"}))) == ["Names"]
        with pytest.raises(ReaderError, match="is not there") as error:
            read_file(content, XLSX.model_copy(update={"sheet": "Other"}))
        assert "Names" not in str(error.value)


class TestOds:
    def test_cells_are_what_a_person_would_type(self) -> None:
        header = [cell(name) for name in ("n", "id", "day", "share", "yes", "time", "note")]
        values = [
            cell("12,00", "float", ' office:value="12"'),
            cell("007"),
            cell("04.03.2020", "date", ' office:date-value="2020-03-04"'),
            cell("45%", "percentage", ' office:value="0.45"'),
            cell("TRUE", "boolean", ' office:boolean-value="true"'),
            cell("01:02", "time", ' office:time-value="PT01H02M03S"'),
            cell("two\nlines  here"),
        ]
        read = read_ods(ods(table([header, values])))
        assert read.frame.rows() == [("12", "007", "2020-03-04", "0.45", "TRUE", "01:02:03", "two\nlines  here")]
        assert read.row_numbers.to_list() == [2] and read.sheet == "Data"

    def test_repeats_are_written_out_and_rows_keep_their_numbers(self) -> None:
        rows = [
            [cell("a"), cell("b"), cell("c")],
            [cell("x", more=' table:number-columns-repeated="2"'), cell("y")],
        ]
        again = f'<table:table-row table:number-rows-repeated="2">{cell("z")}</table:table-row>'
        empty = f'<table:table-row table:number-rows-repeated="3">{cell(None)}</table:table-row>'
        made = table(rows).replace(
            '</table:table-row><table:table-row table:number-rows-repeated="1048570',
            f'</table:table-row>{empty}{again}<table:table-row table:number-rows-repeated="1048570',
        )
        read = read_ods(ods(made))
        assert read.frame.rows() == [("x", "x", "y"), ("z", None, None), ("z", None, None)]
        assert read.row_numbers.to_list() == [2, 6, 7]

    def test_titles_and_header_rows(self) -> None:
        rows = [
            [cell("Survey")],
            [cell("Toilet", more=' table:number-columns-spanned="2"'), "<table:covered-table-cell/>", cell("id")],
            [cell("kind"), cell("shared"), cell(None)],
            [cell("pit"), cell("yes"), cell("1")],
        ]
        read = read_ods(ods(table(rows)), title_rows=1, header_rows=2)
        assert read.frame.columns == ["Toilet / kind", "Toilet / shared", "id"] and read.row_numbers.to_list() == [4]

    @pytest.mark.parametrize(
        "bomb",
        [
            '<table:table-row table:number-rows-repeated="1048576"><table:table-cell office:value-type="string" '
            'table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>',
            '<table:table-row table:number-rows-repeated="1048575"><table:table-cell/></table:table-row>'
            '<table:table-row><table:table-cell table:number-columns-repeated="16383"/>'
            '<table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>',
            '<table:table-row><table:table-cell office:value-type="string" table:style-name=">" '
            "table:number-columns-repeated='1000000'><text:p>x</text:p></table:table-cell></table:table-row>" * 100,
        ],
    )
    def test_far_cells_never_reach_the_engine(self, bomb: str) -> None:
        with pytest.raises(ReaderError, match="far away from the table"):
            read_ods(ods(f'<table:table\ntable:name="Data">{bomb}</table:table>'))

    @pytest.mark.parametrize(
        "content",
        [
            '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>' + CONTENT.split("?>", 1)[1],
            CONTENT.replace("UTF-8", "UTF-7"),
            CONTENT.replace(
                "{tables}",
                '<table:table table:name="a"><table:table-row table:number-rows-repeated="&#57;9"/></table:table>',
            ),
            CONTENT.replace(
                "{tables}",
                '<table:table table:name="a"><table:table-row table:number-rows-repeated="2000000000"/></table:table>',
            ),
        ],
    )
    def test_what_no_program_writes_is_refused(self, content: str) -> None:
        with pytest.raises(ReaderError, match="no spreadsheet program writes"):
            read_ods(ods(content=content))

    def test_other_files(self) -> None:
        with pytest.raises(ReaderError, match=r"not an \.ods workbook"):
            read_ods(xlsx([("a",), ("b",)]))
        with pytest.raises(ReaderError, match=r"not an \.ods workbook"):
            read_ods(b"a,b\n1,2\n")
        with pytest.raises(ReaderError, match="password"):
            read_ods(ods(table([[cell("a")]]), manifest="<manifest:encryption-data/>"))
        with pytest.raises(ReaderError, match="all sheets are empty"):
            read_ods(ods(table([])))

    @given(
        st.lists(
            st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12),
            min_size=1,
            max_size=5,
        )
    )
    @settings(max_examples=tries(40), deadline=None)
    def test_any_text_comes_back(self, texts: list[str]) -> None:
        content = ods(table([[cell("h")], *[[cell(text)] for text in texts]]))
        assert read_here(content, ODS)["Data"].frame["h"].to_list() == texts


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12), min_size=1, max_size=5
    )
)
@settings(max_examples=tries(40), deadline=None)
def test_any_text_of_an_xlsx_comes_back(texts: list[str]) -> None:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        for row, text in enumerate(["h", *texts]):
            sheet.write_string(row, 0, text)
    assert read_here(stream.getvalue(), XLSX)["Data"].frame["h"].to_list() == texts


def test_columns_of_text_and_of_other_kinds_read_alike() -> None:
    day = datetime.date(2020, 3, 4)
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet, dates = book.add_worksheet("Data"), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["text", "number", "mixed"])
        sheet.write_row(1, 0, ["a", 1.5, "x"])
        sheet.write_row(2, 0, ["b", 3])
        sheet.write_datetime(2, 2, datetime.datetime.combine(day, datetime.time()), dates)
    read = read_file(stream.getvalue(), XLSX)["Data"]
    assert read.frame.rows() == [("a", "1.5", "x"), ("b", "3", "2020-03-04")]


def _cell(address: str) -> str:
    return f'<c r="{address}" t="inlineStr"><is><t>{address}</t></is></c>'


@pytest.mark.parametrize(
    "body",
    [
        f'<row r="1">{_cell("A1")}</row><row r="1">{_cell("A1")}</row>',
        f'<row r="2">{_cell("A2")}</row><row r="1">{_cell("A1")}</row>',
        f'<row>{_cell("A1")}</row><row r="1">{_cell("A1")}</row>',
        f'<row r="1">{_cell("A1")}</row><row r="2">{_cell("A2")}{_cell("A2")}{_cell("B2")}</row>',
        f'<row r="1">{_cell("A1")}</row><row r="2">{_cell("A3")}</row><row r="3">{_cell("A3")}</row>',
    ],
    ids=["row twice", "row falls", "row without a number", "cell twice", "cell of the next row"],
)
def test_rows_and_cells_that_the_engine_would_drop_are_refused(body: str) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx([["id"]]))) as source, zipfile.ZipFile(stream, "w") as made:
        for name in source.namelist():
            part = source.read(name)
            if name.endswith("sheet1.xml"):
                start, end = part.index(b"<row"), part.index(b"</sheetData>")
                part = part[:start] + body.encode() + part[end:]
            made.writestr(name, part)
    with pytest.raises(ReaderError, match="do not follow each other"):
        read_here(stream.getvalue(), XLSX)
