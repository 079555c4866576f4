"""Delimited text: encodings stated or asked for, two engines that agree, titles and headers of several rows."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, delimited, read_file, read_here
from lnob_pipeline.submissions.readers.delimited import _by_csv, _by_polars
from lnob_pipeline_tests.thorough import tries

FILE = DataFile(path="answers.csv", role="data", format="csv")
LETTERS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8),
    st.sampled_from(
        ["NA", "007", 'a"b', '"', "two\nlines", "two\r\nlines", "a,b;c|d", "ক্\u200dষ", "क्\u200dष", "১২৩", "=1+1", " "]
    ),
)
"""Cells as people write them: any letters, and what trips readers."""


def read(content: bytes, **more: object) -> SourceTable:
    return read_file(content, FILE.model_copy(update=more))["answers"]


def _filled(frame: pl.DataFrame) -> list[tuple[int, tuple[str | None, ...]]]:
    """The rows that hold something, with their places: blank lines at the end are no rows."""
    rows = frame.select(pl.all().fill_null("")).rows()
    return [(place, row) for place, row in enumerate(rows) if any(row)]


def windows_1258(letter: str) -> bytes:
    """A Vietnamese letter as Windows writes it: the tone after the letter, unless both are one byte."""
    if encoded := letter.encode("cp1258", "ignore"):
        return encoded
    marks = unicodedata.normalize("NFD", letter)
    tone = "".join(mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323")
    bare = unicodedata.normalize("NFC", "".join(mark for mark in marks if mark not in tone))
    return (bare + tone).encode("cp1258")


def notes(table: SourceTable) -> list[str]:
    return [note.text for note in table.notes]


class TestEncodings:
    TEXT = "নাম,আয়ু\nগীতা,৩৪\nআশা,১\n"

    @pytest.mark.parametrize(
        ("encoding", "stated"),
        [
            ("utf-8", None),
            ("utf-8-sig", None),
            ("utf-16", "utf-16-le"),
            ("utf-16-le", "utf-16-le"),
            ("utf-16-be", "utf-16-be"),
            ("utf-32", "utf-32-le"),
        ],
    )
    def test_found_and_stated(self, encoding: str, stated: str | None) -> None:
        table = read(self.TEXT.encode(encoding))
        assert table.frame.columns == ["নাম", "আয়ু"] and table.frame.rows() == [("গীতা", "৩৪"), ("আশা", "১")]
        assert [stated in text for text in notes(table)] == ([True] if stated else [])

    def test_big_endian_with_its_mark(self) -> None:
        content = b"\xfe\xff" + self.TEXT.encode("utf-16-be")
        assert read(content).frame.rows()[0] == ("গীতা", "৩৪")
        assert read(content, encoding="utf-16-be").notes == ()

    def test_windows_letters_are_found_and_stated(self) -> None:
        table = read("name,place\nÉlise,Évry\nFrançois,Besançon\nhôtel,où ça\n".encode("cp1252"))
        assert table.frame["name"].to_list() == ["Élise", "François", "hôtel"]
        assert "windows-1252" in notes(table)[0] and "files.encoding" in notes(table)[0]

    def test_mac_letters_are_found(self) -> None:
        table = read("nom,lieu\nÉlise,Évry\nFrançois,Besançon\nhôtel,où ça\n".encode("mac_roman"))
        assert table.frame["nom"][0] == "Élise" and "mac-roman" in notes(table)[0]

    def test_vietnamese_letters_are_found(self) -> None:
        text = "xã,tên\nĐiện Biên,Trần\nHà Giang,Nguyễn Thị Bưởi\nthôn bản,Tiếng Việt rất đẹp\n"
        table = read(b"".join(map(windows_1258, text)))
        assert unicodedata.normalize("NFC", table.frame["tên"][1]) == "Nguyễn Thị Bưởi"
        assert "windows-1258" in notes(table)[0]

    def test_what_reads_in_two_ways_is_asked_for(self) -> None:
        content = "id,say\n1,“we don’t know”\n".encode("cp1252")
        with pytest.raises(ReaderError, match="in more than one way") as error:
            read(content)
        assert "files.encoding" in error.value.mend and error.value.row == 2
        assert read(content, encoding="windows-1252").frame["say"].to_list() == ["“we don’t know”"]

    def test_real_file_with_one_letter_that_is_not_ascii(self, shared: Path) -> None:
        path = shared / "citizen/owd_dowa_malawi/data-raw/Dowa Household Latrine survey.csv"
        table = read(path.read_bytes())  # in mac-roman the same byte is the letter omega: 3½ m, and not 3Ω m
        assert table.frame.height == 89 and "windows-1252" in notes(table)[0]
        assert any("3½m" in (cell or "") for row in table.frame.rows() for cell in row)
        assert read(path.read_bytes(), encoding="windows-1252").frame.equals(table.frame)

    def test_damage_is_named_by_its_place(self) -> None:
        with pytest.raises(ReaderError, match="byte 20 is not a letter in utf-8") as error:
            read("a,b\nगीता,1\n".encode() + b"\xe9\xff,2\n")
        assert error.value.row == 3
        with pytest.raises(ReaderError, match="byte 5 is not a letter in utf-8"):
            read(b"a,b\n\xe9,1\n", encoding="utf-8")

    @pytest.mark.parametrize("byte", [b"\0", b"\x07", b"\x1b", b"\x7f", b"\x0b"])
    def test_control_characters_are_refused(self, byte: bytes) -> None:
        with pytest.raises(ReaderError, match="bytes that no text has") as error:
            read(b"a,b\n1,2" + byte + b"\n")
        assert error.value.row == 2

    @given(
        st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=6), st.sampled_from(["utf-8", "utf-16", "utf-32"])
    )
    @settings(max_examples=tries(60))
    def test_any_text_comes_back_in_any_encoding(self, rows: list[tuple[str, str]], encoding: str) -> None:
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows([("first", "second"), *rows])
        got = read_here(stream.getvalue().encode(encoding), FILE.model_copy(update={"delimiter": ","}))["answers"]
        assert got.frame.rows() == [tuple(cell or None for cell in row) for row in rows if any(row)]


class TestEngines:
    @given(
        st.lists(st.lists(LETTERS, min_size=3, max_size=3), min_size=1, max_size=12),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from(["\n", "\r\n"]),
        st.sampled_from([",", ";", "\t"]),
    )
    @settings(max_examples=tries(150))
    def test_written_rows_come_back(self, rows: list[list[str]], quoting: int, line_end: str, delimiter: str) -> None:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=line_end).writerows(rows)  # type: ignore[arg-type]  # a constant of the module
        content = stream.getvalue().encode()
        expected = [[cell or None for cell in row] for row in rows]
        frame = _by_csv(content, delimiter, FILE, 0).select(pl.all().replace("", None))
        assert [list(row) for row in frame.rows()] == expected
        fast = _by_polars(content, delimiter)
        if fast is not None:
            frame, longest = fast
            assert [list(row) for row in frame.select(pl.all().replace("", None)).rows()] == expected
            assert longest == max(len((cell or "").encode()) for row in expected for cell in row)

    @given(st.text(st.sampled_from('ab,"\n\r é'), max_size=40))
    @example("a,b\n1\n")
    @example("a,b,c\n1,2\n3,4,5,6\n")
    @example("a,b\n\n1,2\n")
    @example("a,b\n1\n,,")
    @example('a,b\n"1"x,2\n')
    @example('a,b\n1,"2\n')
    @example("a,b\r1,2\r")
    @example(',"""')
    @example(',""a"')
    @example('"a"a"a",')
    @example('b,""a","')
    @example('a,"",\r\n"a,"b",\r\na",b,""')
    @example('a,b\n""\r\na,b\n')
    @settings(max_examples=tries(500))
    def test_the_fast_engine_never_answers_otherwise_than_the_exact_one(self, text: str) -> None:
        fast = _by_polars(text.encode(), ",")
        if fast is not None:
            exact = _by_csv(text.encode(), ",", FILE, 0)
            assert _filled(fast[0]) == _filled(exact)

    @given(
        st.lists(st.lists(LETTERS, min_size=3, max_size=3), min_size=4, max_size=20),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from(["\n", "\r\n"]),
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 1), st.sampled_from(["", '"', '""', ",", "\n", "\r"])),
            max_size=2,
        ),
    )
    @settings(max_examples=tries(200))
    def test_damage_at_any_place_is_seen_whatever_part_it_falls_in(
        self, rows: list[list[str]], quoting: int, line_end: str, damage: list[tuple[int, int, str]]
    ) -> None:
        stream = io.StringIO(newline="")
        csv.writer(stream, quoting=quoting, lineterminator=line_end).writerows(rows)  # type: ignore[arg-type]  # a constant of the module
        text = stream.getvalue()
        for place, deleted, put in damage:
            text = text[:place] + put + text[place + deleted :]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited, "CHUNK", 64)  # so that a short text has many parts
            fast = _by_polars(text.encode(), ",")
        assert fast is not None or damage  # what is written by RFC 4180 needs no second engine
        if fast is not None:
            assert _filled(fast[0]) == _filled(_by_csv(text.encode(), ",", FILE, 0))

    @given(
        st.lists(st.lists(LETTERS, min_size=2, max_size=3), min_size=2, max_size=8),
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3),
    )
    def test_the_fast_engine_takes_nothing_that_is_no_utf8(
        self, rows: list[list[str]], damage: list[tuple[int, int]]
    ) -> None:
        stream = io.StringIO(newline="")
        csv.writer(stream).writerows(rows)
        content = bytearray(stream.getvalue().encode())
        for place, byte in damage:
            content[place % len(content)] = byte
        if _by_polars(bytes(content), ",") is not None:
            content.decode()

    def test_the_fast_engine_is_used_for_ordinary_exports(self, shared: Path) -> None:
        assert _by_polars(b"a,b\n1,2\n3,\n", ",") is not None
        for path in (shared / "citizen/kobo_formpack/exports").glob("*.xml.summary.csv"):
            assert _by_polars(path.read_bytes(), ";") is not None

    def test_short_and_long_rows_and_blank_lines(self) -> None:
        for bad, row in ((b"a,b\n1,2\n1\n", 3), (b"a,b\n1,2\n1,2,3\n", 3), (b"a,b\n1,2\n\n1\n", 4)):
            with pytest.raises(ReaderError, match="cells and the header has 2") as error:
                read(bad, delimiter=",")
            assert error.value.row == row
        assert read(b"a,b\n1,2\n\n3,4\n\n\n").row_numbers.to_list() == [2, 4]


class TestLayout:
    def test_titles_above_the_header(self) -> None:
        content = b'Survey of two wards\n"made in\nMay"\nid,water\n1,well\n\n2,tap\n'
        table = read(content, title_rows=2)
        assert table.frame.rows() == [("1", "well"), ("2", "tap")]
        assert table.row_numbers.to_list() == [4, 6]

    def test_a_title_that_is_not_declared_is_asked_for(self) -> None:
        with pytest.raises(ReaderError) as error:
            read(b"Survey,,\nid,water,food\n1,well,rice\n")
        assert "files.title_rows" in error.value.mend and error.value.row == 1
        with pytest.raises(ReaderError) as error:
            read(b"Survey of two wards\nid,water,food\n1,well,rice\n")
        assert "files.title_rows" in error.value.mend

    def test_a_header_of_two_rows_is_joined(self) -> None:
        content = b"id,Toilet,,Water,\n,kind,shared,kind,minutes\n1,pit,yes,well,30\n"
        table = read(content, header_rows=2)
        assert table.frame.columns == ["id", "Toilet / kind", "Toilet / shared", "Water / kind", "Water / minutes"]
        assert table.frame.rows() == [("1", "pit", "yes", "well", "30")] and table.row_numbers.to_list() == [3]
        with pytest.raises(ReaderError) as error:
            read(content)
        assert "files.header_rows" in error.value.mend

    def test_a_header_of_three_rows_stops_at_the_names_above(self) -> None:
        content = b"id,A,,B,\n,x,,,y\n,p,q,p,q\n1,2,3,4,5\n"
        table = read(content, header_rows=3)
        assert table.frame.columns == ["id", "A / x / p", "A / x / q", "B / p", "B / y / q"]

    def test_a_file_of_titles_alone(self) -> None:
        with pytest.raises(ReaderError, match=r"there is nothing in it|do not end"):
            read(b"Survey,x\n", title_rows=5, delimiter=",")

    def test_layout_is_for_plain_tables(self) -> None:
        with pytest.raises(ValueError, match="title_rows and header_rows are for plain tables"):
            DataFile(path="a", role="data", format="kobo_xlsx", title_rows=1)
