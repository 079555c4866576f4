"""Readers: text as a person would type it with its place of origin, and faults said in words that help."""

import ast
import datetime
import io
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

import polars as pl
import pyreadstat
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.submissions import readers
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import Limits, ReaderError, SourceTable, read_file, read_here
from lnob_pipeline.submissions.readers.table import Note
from lnob_pipeline.submissions.readers.xlsform import question_labels, question_types


def csv_file(path: str = "answers.csv", **more: str) -> DataFile:
    return DataFile(path=path, role="data", format="csv", **more)


def read_csv(content: bytes, **more: str) -> SourceTable:
    return read_file(content, csv_file(**more))["answers"]


def xlsx(
    sheets: dict[str, list[list[object]]], merged: list[tuple[str, int, int, int, int, str]] | None = None
) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_numbers": False}) as book:
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for r, row in enumerate(rows):
                for c, cell in enumerate(row):
                    if isinstance(cell, datetime.datetime):
                        sheet.write_datetime(r, c, cell, moment)
                    elif isinstance(cell, datetime.date):
                        sheet.write_datetime(r, c, cell, date)
                    elif cell is not None:
                        sheet.write(r, c, cell)
            for target, top, left, bottom, right, text in merged or []:
                if target == name:
                    sheet.merge_range(top, left, bottom, right, text)
    return stream.getvalue()


KOBO = DataFile(path="export.xlsx", role="data", format="kobo_xlsx")


def with_part(
    content: bytes, name: str, change: bytes | None = None, replace: tuple[bytes, bytes] | None = None
) -> bytes:
    """The zip with one part changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            data = old.read(part)
            if part == name:
                data = change if change is not None else data.replace(*replace)  # type: ignore[misc]
            new.writestr(part, data)
    return stream.getvalue()


class TestWorkbooks:
    def test_cells_are_what_a_person_would_type(self):
        rows = [
            ["_index", "age", "weight", "day", "moment", "yes", "code", "phone"],
            [
                1,
                34,
                0.432900432900433,
                datetime.date(2019, 3, 4),
                datetime.datetime(2019, 3, 4, 5, 6),
                True,
                "NA",
                254700000123,
            ],
            [2, 1e-7, " x ", None, None, False, "007", None],
        ]
        table = read_file(xlsx({"Main": rows}), KOBO)["Main"]
        assert table.frame.dtypes == [pl.String] * 8
        assert table.frame.rows() == [
            ("1", "34", "0.432900432900433", "2019-03-04", "2019-03-04T05:06:00", "TRUE", "NA", "254700000123"),
            ("2", "1e-07", " x ", None, None, "FALSE", "007", None),
        ]

    def test_rows_keep_the_numbers_of_the_sheet(self):
        rows = [["_index", "q"], [1, "a"], [None, None], [2, "b"]]
        table = read_file(xlsx({"Main": rows}), KOBO)["Main"]
        assert table.row_numbers.to_list() == [2, 4] and table.sheet == "Main" and table.file == "export.xlsx"

    def test_header_faults_are_said(self):
        with pytest.raises(ReaderError, match=r"same column name stands more than once \(columns 2, 3\)") as error:
            read_file(xlsx({"Main": [["_index", "q", "q"], [1, "a", "b"]]}), KOBO)
        assert (error.value.sheet, error.value.row) == ("Main", 1)
        with pytest.raises(ReaderError, match="columns with answers have no name: 1 of 3"):
            read_file(xlsx({"Main": [["_index", None, "q"], [1, "secret", "b"]]}), KOBO)

    def test_not_an_export(self):
        with pytest.raises(ReaderError, match="_index is not there"):
            read_file(xlsx({"Main": [["q"], ["a"]]}), KOBO)
        with pytest.raises(ReaderError, match="_parent_index is not there") as error:
            read_file(xlsx({"Main": [["_index"], [1]], "notes": [["a"], ["b"]]}), KOBO)
        assert error.value.sheet == "notes"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "empty"),
            (b"<!DOCTYPE html><html>log in</html>", "web page"),
            (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "password"),
            (b"PK\x03\x04 cut off", "cut off or damaged"),
            (b"name;age\n", "not an .xlsx"),
        ],
    )
    def test_what_is_not_a_workbook(self, content: bytes, words: str):
        with pytest.raises(ReaderError, match=words):
            read_file(content, KOBO)

    def test_truncated_workbook(self):
        content = xlsx({"Main": [["_index"], [1]]})
        with pytest.raises(ReaderError, match=r"send the new file|export it again"):
            read_file(content[: len(content) // 2], KOBO)

    @pytest.mark.parametrize(
        "cell",
        [
            b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
            b'<row r="1048576"><c s="1" r="XFD1048576"><v>1</v></c></row>',
            b"<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>",
            b'<row r="1048576">' + b"<c><v>1</v></c>" * 60 + b"</row>",
            b'<row r="1048576"><c s=">" r="XFD1048576"><v>1</v></c></row>',
            b'<row s=">" r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        ],
    )
    def test_a_cell_in_the_last_corner_does_no_harm(self, cell: bytes):
        """The engine would ask for hundreds of gigabytes and end its process; so this runs in a process of its own."""
        content = xlsx({"Main": [["_index", "q"], [1, "a"]]})
        bomb = with_part(content, "xl/worksheets/sheet1.xml", replace=(b"</sheetData>", cell + b"</sheetData>"))
        code = (
            "import sys\nfrom lnob_pipeline.submissions.manifest import DataFile\n"
            "from lnob_pipeline.submissions.readers import ReaderError, read_file\n"
            "try:\n    read_file(sys.stdin.buffer.read(), DataFile(path='a.xlsx', role='data', format='kobo_xlsx'))\n"
            "except ReaderError as error:\n    print(error)\n"
        )
        run = subprocess.run([sys.executable, "-c", code], input=bomb, capture_output=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr.decode()[-300:]
        hidden = b'<row s=">"' in cell  # an address that no program writes so: the limit of the reading process holds
        assert (b"more memory" if hidden else b"far away from the table") in run.stdout

    def test_formatted_empty_cells_do_no_harm(self):
        content = xlsx({"Main": [["_index", "q"], [1, "a"]]})
        cell = b'<row r="1048576" s="1"><c r="XFD1048576" s="1"/></row></sheetData>'
        padded = with_part(content, "xl/worksheets/sheet1.xml", replace=(b"</sheetData>", cell))
        assert read_file(padded, KOBO)["Main"].frame.height == 1

    def test_definitions_are_refused(self):
        content = xlsx({"Main": [["_index"], [1]]})
        head = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>'
        with pytest.raises(ReaderError, match="no spreadsheet program writes"):
            read_file(with_part(content, "xl/workbook.xml", change=head + b"<x/>"), KOBO)

    def test_real_exports(self, shared: Path):
        folder = shared / "citizen" / "kobo_formpack" / "exports"
        read = {path.name: read_file(path.read_bytes(), KOBO) for path in sorted(folder.glob("*.xml.xlsx"))}
        assert len(read) == 11
        nested = read["nested_grouped_repeatable.xml.xlsx"]
        assert list(nested)[1:] == ["group_tree", "group_nest", "group_egg"]
        assert nested["group_nest"].frame["_parent_index"].to_list()[:2] == ["1", "1"]
        diet = read["dietary_needs.xml.xlsx"]["Dietary needs"].frame
        assert diet.row(1, named=True)["dietary_accommodations/vegan"] == "1"
        geo = next(iter(read["all_geo_types.xml.xlsx"].values())).frame
        assert geo["_id"].to_list() == ["14221036", "14221037"]

    def test_workbook_with_a_wrong_dimension_is_read_whole(self, shared: Path):
        content = (shared / "citizen/reach_humind_data/dummy_raw_data.xlsx").read_bytes()
        from lnob_pipeline.submissions.readers.spreadsheet import read_sheets

        sheets = read_sheets(content, "dummy.xlsx")
        assert sheets["main"].height == 242 and sheets["roster"].height == 966
        assert sheets["main"].columns[-1][1] == "0.432900432900433"

    def test_real_form_that_compilers_refuse(self, shared: Path):
        content = (shared / "citizen/reach_humind_data/REACH_2024_MSNA-kobo-tool_draft_v11.xlsx").read_bytes()
        tables = read_file(content, DataFile(path="form.xlsx", role="form", format="xlsform"))
        types = question_types(tables["survey"])
        assert types["audit"] == "audit" and types["deviceid"] == "deviceid"
        assert len(types) > 200 and "select_multiple" in types.values()


def test_form_of_the_bundled_survey(root: Path):
    content = (root / "data/submissions/ken/ken-2019-household-survey/form.xlsx").read_bytes()
    tables = read_file(content, DataFile(path="form.xlsx", role="form", format="xlsform"))
    types = question_types(tables["survey"])
    assert types["gps"] == "geopoint" and types["groups"] == "select_multiple" and types["age"] == "integer"
    assert "roster" not in types
    assert question_labels(tables["survey"])["consent"]["label::Kiswahili (sw)"].startswith("Je,")


class TestStatisticalFiles:
    def test_spss_codes_stay_and_labels_stand_aside(self, tmp_path: Path):
        frame = pl.DataFrame({"q": [1.0, 98.0, None], "w": [1.5, 2.0, 3.25], "t": ["é", "", "x"]})
        path = tmp_path / "x.sav"
        pyreadstat.write_sav(
            frame,
            str(path),
            column_labels={"q": "Question"},
            variable_value_labels={"q": {1: "Yes", 98: "Don't know"}},
            missing_ranges={"q": [{"lo": 97, "hi": 99}], "w": [3.25]},
        )
        table = read_file(path.read_bytes(), DataFile(path="in/x.sav", role="data", format="spss"))["x"]
        assert table.frame.rows() == [("1", "1.5", "é"), ("98", "2", None), (None, "3.25", "x")]
        assert table.labels["q"] == "Question" and table.value_labels == {"q": {"1": "Yes", "98": "Don't know"}}
        assert table.missing_codes == {"q": ["97 to 99"], "w": ["3.25"]}
        assert table.row_numbers.to_list() == [1, 2, 3]

    def test_stata_dates_and_lettered_missing_values(self, tmp_path: Path):
        path = tmp_path / "x.dta"
        frame = pl.DataFrame({"day": [datetime.date(2020, 6, 8), None], "q": [1, 2]})
        pyreadstat.write_dta(frame, str(path), variable_value_labels={"q": {1: "Có"}}, version=14)
        file = DataFile(path="x.dta", role="data", format="stata")
        table = read_file(path.read_bytes(), file)["x"]
        assert table.frame.rows() == [("2020-06-08", "1"), (None, "2")]
        assert table.value_labels == {"q": {"1": "Có"}}
        # .a of a double, as Stata writes it, put in place of the number 2
        content = bytearray(path.read_bytes())
        data = content.index(b"<data>") + len(b"<data>")
        width = (content.index(b"</data>") - data) // 2
        place = bytes(content[data : data + 2 * width]).rindex(struct.pack("<d", 2.0))
        content[data + place : data + place + 8] = bytes.fromhex("000000000001e07f")
        assert read_file(bytes(content), file)["x"].frame["q"].to_list() == ["1", "a"]

    @pytest.mark.parametrize("kind", ["spss", "stata"])
    def test_damaged_files_leave_nothing_behind(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        start = b"$FL2" if kind == "spss" else b"<stata_dta>"
        file = DataFile(path="x", role="data", format=kind)
        with pytest.raises(ReaderError, match="does not open"):
            read_file(start + b"Mary +254700000123 " * 50, file)
        with pytest.raises(ReaderError, match="this is not"):
            read_file(b"some text", file)
        assert list(tmp_path.iterdir()) == []

    def test_the_answers_touch_no_disk_or_a_private_folder_that_goes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
    ):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        real, seen = pyreadstat.read_sav, []

        def spy(path: str, **more: object) -> object:
            folders = [stat.S_IMODE(folder.stat().st_mode) for folder in tmp_path.iterdir()]
            seen.append((path.startswith("/proc/self/fd/"), folders))
            return real(path, **more)

        monkeypatch.setattr(pyreadstat, "read_sav", spy)
        content = (root / "data/submissions/bgd/bgd-2019-named-groups/responses.sav").read_bytes()
        assert read_here(content, DataFile(path="responses.sav", role="data", format="spss"))
        assert seen == [(True, []) if sys.platform == "linux" else (False, [0o700])]
        assert list(tmp_path.iterdir()) == []

    def test_real_stata_file(self, shared: Path):
        paths = sorted((shared / "citizen/wb_bangladesh_dta").rglob("*.dta"))
        for path in paths:
            table = next(
                iter(read_file(path.read_bytes(), DataFile(path=path.name, role="data", format="stata")).values())
            )
            assert table.frame.height > 100 and set(table.frame.dtypes) == {pl.String}


class TestDelimited:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "|", "tab"])
    def test_encodings_and_delimiters_are_found(self, encoding: str, delimiter: str):
        text = "नाम,आयु\nगीता,३४\nआशा,1\n".replace(",", "\t" if delimiter == "tab" else delimiter)
        for declared in ({}, {"delimiter": delimiter}):
            table = read_csv(text.encode(encoding), **declared)
            assert table.frame.columns == ["नाम", "आयु"] and table.frame.rows() == [("गीता", "३४"), ("आशा", "1")]

    def test_cells_stay_as_written(self):
        content = b'id,income,note\r\n007,"1,20,000"," NA "\r\n008,,"two\nlines"\r\n\r\n009,=1+1,x\r\n'
        table = read_csv(content)
        assert table.frame.rows() == [("007", "1,20,000", " NA "), ("008", None, "two\nlines"), ("009", "=1+1", "x")]
        assert table.row_numbers.to_list() == [2, 3, 5]

    def test_ambiguous_delimiter_is_asked_for(self):
        with pytest.raises(ReaderError, match="could be divided by , / ;"):
            read_csv(b"a,b;c\n1,2;3\n")
        assert read_csv(b"a,b;c\n1,2;3\n", delimiter=";").frame.columns == ["a,b", "c"]
        with pytest.raises(ReaderError, match="not divided by"):
            read_csv(b"a\n1\n")

    def test_ragged_rows_and_open_quotes_name_the_row(self):
        with pytest.raises(ReaderError, match="3 cells and the header has 2") as error:
            read_csv(b"a,b\n1,2\n1,2,3\n", delimiter=",")
        assert error.value.row == 3
        with pytest.raises(ReaderError, match="quotation mark") as error:
            read_csv(b'a,b\n1,2\n1,"2\n3,4\n', delimiter=",")
        assert error.value.row == 3 and "3,4" not in str(error.value)

    def test_another_program_s_file(self):
        with pytest.raises(ReaderError, match="workbook or another program"):
            read_csv(xlsx({"a": [["b"]]}))

    @given(
        st.lists(
            st.tuples(*[st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)] * 3),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_text_comes_back(self, rows: list[tuple[str, str, str]]):
        frame = pl.DataFrame([("h1", "h2", "h3"), *rows], schema=["a", "b", "c"], orient="row")
        content = frame.write_csv(include_header=False, quote_style="always").encode()
        expected = [tuple(cell or None for cell in row) for row in rows if any(row)]
        assert read_csv(content, delimiter=",").frame.rows() == expected


class TestZips:
    FILE = DataFile(path="form.zip", role="data", format="odk_zip")

    def zipped(self, parts: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in parts.items():
                made.writestr(name, content)
        return stream.getvalue()

    def test_tables_of_form_and_repeats(self):
        content = self.zipped(
            {"f.csv": b"a,KEY\n1,k\n", "f-m.csv": b"b,PARENT_KEY,KEY\n2,k,k/m[1]\n", "media/a.jpg": b"x"}
        )
        tables = read_file(content, self.FILE)
        assert list(tables) == ["f", "f-m"]
        assert tables["f-m"].frame.rows() == [("2", "k", "k/m[1]")] and tables["f-m"].sheet == "f-m.csv"

    @pytest.mark.parametrize("name", ["../f.csv", "/etc/f.csv", "a/../../f.csv", "..\\f.csv", "C:\\f.csv"])
    def test_names_that_lead_outside(self, name: str):
        with pytest.raises(ReaderError, match="leads outside"):
            read_file(self.zipped({name: b"a,KEY\n"}), self.FILE)

    def test_links(self):
        link = zipfile.ZipInfo("f.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as made:
            made.writestr(link, "/etc/passwd")
        with pytest.raises(ReaderError, match="link"):
            read_file(stream.getvalue(), self.FILE)

    def test_bomb_by_ratio(self):
        with pytest.raises(ReaderError, match="zip bomb"):
            read_file(self.zipped({"f.csv": b"a,KEY\n" + b"0" * 20_000_000}), self.FILE)

    def test_bomb_that_lies_about_its_size(self):
        content = bytearray(self.zipped({"f.csv": b"a,KEY\n" + b"0" * 20_000_000}))
        for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            place = content.index(mark) + offset
            content[place : place + 4] = struct.pack("<I", 10)
        with pytest.raises(ReaderError, match=r"zip bomb|not as long"):
            read_file(bytes(content), self.FILE)

    def test_total_size(self):
        parts = {f"f{i}.csv": b"a,KEY\n" + bytes(range(48, 58)) * 40 for i in range(4)}
        with pytest.raises(ReaderError, match="unpacks to far more"):
            read_file(self.zipped(parts), self.FILE, Limits(archive_bytes=1000))

    def test_password_damage_and_emptiness(self):
        content = bytearray(self.zipped({"f.csv": b"a,KEY\n1,k\n"}))
        locked = bytearray(content)
        locked[locked.index(b"PK\x01\x02") + 8] |= 1
        with pytest.raises(ReaderError, match="password"):
            read_file(bytes(locked), self.FILE)
        content[content.index(b"f.csv") + 6] ^= 0xFF
        with pytest.raises(ReaderError, match=r"damaged|not as long"):
            read_file(bytes(content), self.FILE)
        with pytest.raises(ReaderError, match="holds no CSV"):
            read_file(self.zipped({"readme.txt": b""}), self.FILE)
        with pytest.raises(ReaderError, match="KEY is not there"):
            read_file(self.zipped({"f.csv": b"a,b\n1,2\n"}), self.FILE)


class TestScoreCards:
    FILE = DataFile(path="card.xlsx", role="data", format="score_card")
    SCALE: ClassVar = [["minimum", "maximum", "better"], [1, 5, "high"]]
    GROUPS: ClassVar = [["community", "group", "participants"], ["A", "Women", 9], ["A", "Men", 7]]
    HEAD: ClassVar = [["Community", "No.", "Statement"], [None, None, None, "Score", "Comment", "Score", "Comment"]]
    WOMEN, MEN = ("scores", 0, 3, 0, 4, "Women"), ("scores", 0, 5, 0, 6, "Men")

    def card(self, rows: list[list[object]], merged: list[tuple[str, int, int, int, int, str]]) -> bytes:
        return xlsx({"scale": self.SCALE, "groups": self.GROUPS, "scores": rows}, merged)

    def test_scores_are_unpivoted(self):
        rows = [*self.HEAD, [None, "H1", "Near", 3, "far", 4], [None, "H2", "Cheap", None, None, 2]]
        tables = read_file(self.card(rows, [self.WOMEN, self.MEN, ("scores", 2, 0, 3, 0, "A")]), self.FILE)
        assert tables["scores"].frame.drop("statement_text").rows() == [
            ("A / Women", "A", "H1", "Women", "9", "3", "far"),
            ("A / Men", "A", "H1", "Men", "7", "4", None),
            ("A / Women", "A", "H2", "Women", "9", None, None),
            ("A / Men", "A", "H2", "Men", "7", "2", None),
        ]
        assert tables["scores"].row_numbers.to_list() == [3, 3, 4, 4]
        assert tables["groups"].frame["meeting"].to_list() == ["A / Women", "A / Men"]

    def test_nothing_is_guessed(self):
        rows = [*self.HEAD, ["A", "H1", "Near", 3, None, 4]]
        rows[0] = [*rows[0], "Women", None, "Men"]
        with pytest.raises(ReaderError, match="not merged over the two columns") as error:
            read_file(self.card(rows, []), self.FILE)
        assert (error.value.sheet, error.value.row) == ("scores", 1)
        rows = [*self.HEAD, ["A", "H1", "Near", 3], [None, "H2", "Cheap", 3]]
        with pytest.raises(ReaderError, match="community is not written") as error:
            read_file(self.card(rows, [self.WOMEN, self.MEN]), self.FILE)
        assert error.value.row == 4
        rows = [*self.HEAD, ["B", "H1", "Near", 3]]
        with pytest.raises(ReaderError, match="no line in the sheet groups") as error:
            read_file(self.card(rows, [self.WOMEN, self.MEN]), self.FILE)
        assert (error.value.sheet, error.value.row) == ("scores", 3)
        with pytest.raises(ReaderError, match="scale is not declared"):
            read_file(xlsx({"scale": [["a"], ["b"]], "groups": self.GROUPS, "scores": rows}), self.FILE)
        with pytest.raises(ReaderError, match="sheet scale, groups is not there"):
            read_file(xlsx({"scores": rows}), self.FILE)


def test_taguette_highlights_and_other_csv():
    file = DataFile(path="h.csv", role="data", format="taguette_csv")
    content = (
        b'id,document,tag,content\r\n1,FGD-01,sdg\\16.9.1\\cost,"We, too"\r\n1,FGD-01,sdg\\1.4.1\\queue,"We, too"\r\n'
    )
    table = read_file(content, file)["highlights"]
    assert table.frame.rows()[0] == ("1", "FGD-01", "sdg\\16.9.1\\cost", "We, too")
    with pytest.raises(ReaderError, match="the column tag is not there"):
        read_file(b"id,document,content\r\n1,a,b\r\n", file)


def test_policy_review_reads_only_its_sheet():
    file = DataFile(path="r.xlsx", role="data", format="policy_review")
    tables = read_file(xlsx({"answers": [["no", "answer"], ["Q1", "Yes"]], "about": [["a", "a"]]}), file)
    assert list(tables) == ["answers"] and tables["answers"].frame.rows() == [("Q1", "Yes")]


def test_errors_never_repeat_a_cell():
    """A message may be shown to anybody: it holds column names and numbers, no answers."""
    secret = "Mary-254700000123"
    bad = [
        (f"a,b\n{secret},1\n{secret},1,1\n".encode(), csv_file(delimiter=",")),
        (f'a,b\n{secret},"1\n'.encode(), csv_file(delimiter=",")),
        (xlsx({"Main": [["_index", None], [1, secret]]}), KOBO),
        (b"$FL2" + secret.encode() * 9, DataFile(path="x.sav", role="data", format="spss")),
    ]
    for content, file in bad:
        with pytest.raises(ReaderError) as error:
            read_file(content, file)
        assert secret not in str(error.value)
        assert error.value.__context__ is None or error.value.__suppress_context__


def test_an_error_is_a_template_and_its_details():
    error = ReaderError("a.csv", "row has {cells} cells", "look at {where}", row=3, cells=4, where="the quotes")
    assert (error.problem, error.mend) == ("row has 4 cells", "look at the quotes")
    assert (error.problem_template, error.mend_template) == ("row has {cells} cells", "look at {where}")
    assert error.details == {"cells": 4, "where": "the quotes"} and str(error).startswith("a.csv, row 3: row has 4")
    assert Note("read as {encoding}", {"encoding": "utf-16-le"}).text == "read as utf-16-le"


@pytest.mark.parametrize("path", sorted(Path(readers.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_messages_can_be_translated(path: Path):
    """What a reader says is constant text: a piece of a sentence that is put together has no translation."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else None
        if isinstance(call, ast.Call) and name in ("ReaderError", "Note"):
            texts = call.args[1:3] if name == "ReaderError" else call.args[:1]
            made = [node for text in texts for node in ast.walk(text) if isinstance(node, (ast.JoinedStr, ast.BinOp))]
            assert not made, f"{path.name}, line {call.lineno}"
