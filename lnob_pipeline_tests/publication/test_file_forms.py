"""Stata, SPSS, the workbook, the catalogues and the code lists: limits of the formats, and the same bytes each time."""

from __future__ import annotations

import datetime
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import polars as pl
import pyreadstat
import pytest
import python_calamine

from lnob_pipeline import storage
from lnob_pipeline.estimation.reliability import CLASSES
from lnob_pipeline.gaps.closing import GAP_STATUSES
from lnob_pipeline.gaps.decisions import DECIDED_BY, DECISION
from lnob_pipeline.gaps.effects import EFFECTS
from lnob_pipeline.gaps.flags import FLAGS
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.official.values import VALUE_FLAGS
from lnob_pipeline.publication import about, catalogue, statistical_packages, tabular, workbook
from lnob_pipeline.publication.code_lists import OPEN, code_lists, codes_table
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import states
from lnob_pipeline.tables import DECISIONS, RELEASE_TABLES, SOURCES, Column, Table
from lnob_pipeline_tests.publication.release_factory import HOME, fill

RELEASED = datetime.datetime(2026, 11, 22, 14, 39)
WORD = Table("words", "publication", "Words", "public", ("word",), (Column("word", "text", "A word"),))


@pytest.fixture(scope="module")
def content(tables: dict[str, pl.DataFrame], mappings: Mappings) -> ReleaseContent:
    facts = {"release": "2026-11-22_0a1b2c3d", "released_at": "2026-11-22T14:39:00Z", "synthetic": True}
    few = {table.name: storage.in_form(tables[table.name].head(30), table) for table in RELEASE_TABLES}
    return ReleaseContent(few, mappings, Settings.load(home=HOME), facts | {"official_release": "2020-10"})


# Codes


def test_every_list_is_there_and_every_code_that_the_project_writes_is_in_it(mappings: Mappings) -> None:
    lists = code_lists(mappings)
    assert {column.codes for table in RELEASE_TABLES for column in table.columns if column.codes} == set(lists)
    assert set(lists) >= OPEN
    for name, written in {
        "gap_statuses": {*GAP_STATUSES, "reported", "not_applicable", "not_loaded"},
        "gap_flags": set(FLAGS),
        "citizen_effects": {*EFFECTS, "not_shown"},
        "reliability": set(CLASSES),
        "value_flags": set(VALUE_FLAGS),
        "decision_makers": set(DECIDED_BY),
        "decisions": set(DECISION),
        "submission_states": set(states.TRANSITIONS),
        "marginalised_group": {*mappings.groups, "_T"},
        "countries": set(mappings.countries),
    }.items():
        assert set(lists[name]) == written, name
    assert all(label.strip() == label and label for codes in lists.values() for label in codes.values())


def test_codes_hold_what_the_other_tables_say(tables: dict[str, pl.DataFrame], mappings: Mappings) -> None:
    codes = codes_table(mappings)
    for table in RELEASE_TABLES:
        for column in (column for column in table.columns if column.codes and column.codes not in OPEN):
            values = tables[table.name][column.name].drop_nulls()
            if column.joined:
                values = values.str.split(",").explode()
            known = codes.filter(table_name=table.name, column_name=column.name)["code"]
            assert set(values.unique()) - {""} <= set(known), (table.name, column.name)


# Stata and SPSS


def test_every_variable_has_a_name_that_both_packages_take(mappings: Mappings, tmp_path: Path) -> None:
    for table in RELEASE_TABLES:
        statistical_packages.write_stata(tmp_path / "t.dta", table.empty(), table, RELEASED)
        statistical_packages.write_spss(tmp_path / "t.sav", table.empty(), table, code_lists(mappings), RELEASED)
        names = pyreadstat.read_dta(str(tmp_path / "t.dta"), metadataonly=True)[1].column_names
        assert names == pyreadstat.read_sav(str(tmp_path / "t.sav"), metadataonly=True)[1].column_names
        assert names == [statistical_packages.SHORT_NAMES.get(column.name, column.name) for column in table.columns]


@pytest.mark.parametrize("name", ["with", "2nd", "a" * 33, "one two", "größe"])
def test_a_name_that_they_do_not_take_is_refused(tmp_path: Path, name: str) -> None:
    table = Table("t", "publication", "", "public", (name,), (Column(name, "text", ""),))
    with pytest.raises(ValueError, match="give it a short one in SHORT_NAMES"):
        statistical_packages.write_stata(tmp_path / "t.dta", table.empty(), table, RELEASED)


@hypothesis.given(st.lists(st.text(st.characters(codec="utf-8")) | st.none(), min_size=1, max_size=20))
def test_any_text_comes_back_from_both(tmp_path_factory: pytest.TempPathFactory, words: list[str | None]) -> None:
    folder = tmp_path_factory.mktemp("text")
    frame = pl.DataFrame({"word": words}, schema=WORD.schema)
    statistical_packages.write_stata(folder / "w.dta", frame, WORD, RELEASED)
    statistical_packages.write_spss(folder / "w.sav", frame, WORD, {}, RELEASED)
    given = [(word or "").replace("\0", "\ufffd") for word in words]
    assert pyreadstat.read_dta(str(folder / "w.dta"))[0]["word"].to_list() == given
    # SPSS fills its texts with blanks, so blanks at the end of one can not be told from them
    assert pyreadstat.read_sav(str(folder / "w.sav"))[0]["word"].to_list() == [word.rstrip(" ") for word in given]


@pytest.mark.parametrize("length", [254, 255, 256, 2044, 2045, 2046, 32_766])
def test_long_texts_of_indic_letters_come_back_whole(tmp_path: Path, length: int) -> None:
    words = ["नेपाल" * (length // 15) + "x" * (length % 15), "short", None]
    frame = pl.DataFrame({"word": words}, schema=WORD.schema)
    statistical_packages.write_stata(tmp_path / "w.dta", frame, WORD, RELEASED)
    statistical_packages.write_spss(tmp_path / "w.sav", frame, WORD, {}, RELEASED)
    for back in (pyreadstat.read_dta(str(tmp_path / "w.dta")), pyreadstat.read_sav(str(tmp_path / "w.sav"))):
        assert back[0]["word"].to_list() == [words[0], "short", ""]


def test_what_spss_can_not_hold_is_cut_between_letters_and_seen_to_be(tmp_path: Path) -> None:
    frame = pl.DataFrame({"word": ["न" * 20_000]}, schema=WORD.schema)
    statistical_packages.write_spss(tmp_path / "w.sav", frame, WORD, {}, RELEASED)
    statistical_packages.write_stata(tmp_path / "w.dta", frame, WORD, RELEASED)
    [cut] = pyreadstat.read_sav(str(tmp_path / "w.sav"))[0]["word"].to_list()
    assert cut.endswith("…")
    assert set(cut[:-1]) == {"न"}
    assert 32_760 <= len(cut.encode()) <= 32_767
    assert pyreadstat.read_dta(str(tmp_path / "w.dta"))[0]["word"].to_list() == ["न" * 20_000]


def test_the_time_in_a_header_is_that_of_the_release(content: ReleaseContent, tmp_path: Path) -> None:
    statistical_packages.write(tmp_path, content)
    stata = pyreadstat.read_dta(str(tmp_path / "stata" / "sources.dta"), metadataonly=True)[1]
    spss = pyreadstat.read_sav(str(tmp_path / "spss" / "sources.sav"), metadataonly=True)[1]
    assert stata.creation_time == RELEASED
    assert spss.creation_time == RELEASED
    assert (tmp_path / "stata" / "sources.dta").read_bytes()[:200].count(b"22 Nov 2026 14:39") == 1


# The workbook


def _sheet(path: Path, name: str) -> list[list[Any]]:
    with python_calamine.CalamineWorkbook.from_path(str(path)) as book:
        return list(book.get_sheet_by_name(name).to_python(skip_empty_area=False))


def test_the_workbook_holds_numbers_days_and_truth_as_such(content: ReleaseContent, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"subject": "a", "decided_by": "partner", "decision": "publish", "date": datetime.date(1899, 12, 31)},
        {"subject": "b", "decided_by": "partner", "decision": "publish", "date": datetime.date(2024, 2, 29)},
        {"subject": "c", "decided_by": "partner", "decision": "publish", "reference": "=1+1"},
    ]
    tables = {**content.tables, "decisions": fill(DECISIONS, rows)}
    workbook.write(tmp_path, ReleaseContent(tables, content.mappings, content.settings, content.facts))
    found = _sheet(tmp_path / "lnob.xlsx", "decisions")
    assert found[0] == [column.name for column in DECISIONS.columns]
    assert [row[3] for row in found[2:]] == [datetime.date(2024, 2, 29), ""]
    assert found[3][4] == "=1+1"
    source = _sheet(tmp_path / "lnob.xlsx", "sources")
    place = list(SOURCES.schema).index("synthetic")
    assert {row[place] for row in source[1:]} == {True}
    with zipfile.ZipFile(tmp_path / "lnob.xlsx") as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
    assert not any("<f>" in sheet for sheet in sheets)
    assert sum("<pane " in sheet for sheet in sheets) == len(RELEASE_TABLES) + 1
    assert sum("<autoFilter " in sheet for sheet in sheets) == len(RELEASE_TABLES) + 1
    assert sum("<hyperlink " in sheet for sheet in sheets) == 1  # the read-me, to the other sheets


@hypothesis.given(
    st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=20),
)
def test_any_text_is_a_well_formed_cell_with_the_same_letters(words: list[str]) -> None:
    from xml.etree import ElementTree

    frame = pl.DataFrame({"word": words}, schema=WORD.schema).with_row_index("_row", offset=2)
    part = workbook._rows(frame, WORD.columns, {})
    sheet = ElementTree.fromstring(b"<s>" + part + b"</s>")
    read = {cell.get("r"): "".join(cell.itertext()) for cell in sheet.iter("c")}
    for place, word in enumerate(words, start=2):
        plain = "".join(letter if workbook_letter(letter) else "\ufffd" for letter in word)
        assert decoded(read.get(f"A{place}", "")) == plain


def workbook_letter(letter: str) -> bool:
    return letter in "\t\n\r" or (letter >= " " and letter not in "\ufffe\uffff")


def decoded(text: str) -> str:
    """As Excel reads it: _xHHHH_ is the letter of that number."""
    import re

    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


def test_a_sheet_that_has_not_all_rows_says_where_they_are(
    content: ReleaseContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 12)
    monkeypatch.setattr(workbook, "SLICE", 5)
    workbook.write(tmp_path, content)
    gaps = _sheet(tmp_path / "lnob.xlsx", "data_gaps")
    assert len(gaps) == 13
    assert [row[3] for row in gaps[1:]] == content.tables["data_gaps"]["stratum"].head(12).to_list()
    note = "This sheet holds rows 1 to 12; all 30 are in data_gaps.csv and .parquet."
    assert gaps[0][-1] == note
    assert any(note in str(row[1]) for row in _sheet(tmp_path / "lnob.xlsx", "Read me"))
    assert len(_sheet(tmp_path / "lnob.xlsx", "sources")[0]) == len(SOURCES.columns)


def test_the_read_me_says_what_is_made_up_and_what_is_hidden(content: ReleaseContent, tmp_path: Path) -> None:
    workbook.write(tmp_path, content)
    said = [row[1] for row in _sheet(tmp_path / "lnob.xlsx", "Read me")]
    assert about.SYNTHETIC in said
    assert set(about.HIDDEN) <= set(said)
    real = ReleaseContent(content.tables, content.mappings, content.settings, {**content.facts, "synthetic": False})
    workbook.write(tmp_path, real)
    assert about.SYNTHETIC not in [row[1] for row in _sheet(tmp_path / "lnob.xlsx", "Read me")]


# Catalogues


@pytest.fixture(scope="module")
def described(content: ReleaseContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("described")
    for table in RELEASE_TABLES:
        storage.write_table(content.tables[table.name], table, folder / f"{table.name}.parquet")
    tabular.write_csv(folder, content)
    catalogue.write(folder, content)
    return folder


def test_the_codebook_says_everything_that_stands_in_the_tables(described: Path, mappings: Mappings) -> None:
    book = (described / "CODEBOOK.md").read_text("utf-8")
    for table in RELEASE_TABLES:
        section = book.split(f"### {table.name}\n")[1].split("\n#")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [
            column.name for column in table.columns
        ]
    for name, codes in code_lists(mappings).items():
        section = book.split(f"### codes: {name}\n")[1].split("\n#")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(codes)
        assert f"](#codes-{name})" in book
    assert all(text in book for text in (*about.HIDDEN, *about.HOW_TO_READ, about.SYNTHETIC))


def test_keys_and_references_are_stated_only_where_they_hold(described: Path, content: ReleaseContent) -> None:
    package = json.loads((described / "datapackage.json").read_text("utf-8"))
    schemas = {item["name"]: item["schema"] for item in package["resources"] if item["type"] == "table"}
    assert schemas["sources"]["primaryKey"] == ["submission_id"]
    assert "primaryKey" not in schemas["comparison"]  # no submission where there is an official value alone
    targets = set(content.tables["sources"]["submission_id"])
    for name in ("citizen_estimates", "citizen_evidence"):
        holds = set(content.tables[name]["submission_id"]) <= targets
        assert ("foreignKeys" in schemas[name]) == holds
    assert "foreignKeys" in schemas["citizen_estimates"]
    assert "foreignKeys" not in schemas["citizen_evidence"]  # the made-up evidence is of a hand-in that is no source


def test_nothing_is_claimed_about_a_licence_that_nobody_declared(content: ReleaseContent) -> None:
    none = about.terms(Settings.load(home=HOME))
    assert [item.name for item in none] == [None, None, "MIT"]
    assert "No licence was declared" in none[0].terms
    declared = about.terms(Settings.load(home=HOME, data_licence="CC-BY-4.0"))
    assert declared[0].name == "CC-BY-4.0"


@pytest.mark.parametrize("write", [statistical_packages.write, workbook.write])
def test_the_same_content_gives_the_same_bytes(
    content: ReleaseContent, tmp_path: Path, write: Callable[[Path, ReleaseContent], None]
) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        write(tmp_path / place, content)
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert names
    assert [n for n in names if (tmp_path / "a" / n).read_bytes() != (tmp_path / "b" / n).read_bytes()] == []
