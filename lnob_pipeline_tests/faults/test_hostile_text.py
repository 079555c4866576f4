"""Faults 25 to 27: formulas, HTML and SQL that partners type, through the whole run: data everywhere, nowhere commands.

Planted in the manifest, in every column of a survey, in the statements and remarks of a score card and in the titles,
tags and quotes of discussions; then every file that the run leaves is looked at. That numbers below zero stay as they
are is proved in publication/test_release.py.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import polars as pl
import pytest

from lnob_pipeline.pipeline import run_all
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.faults import hand_ins

SURVEY, CARD, TALKS = "ind-2020-partly-bad", "mwi-2020-health-score-card", "nga-2020-discussions"
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    '=HYPERLINK("https://planted.example.org","click")',
)
MARKUP = (
    "<script>planted()</script>",
    '"><img src=x onerror=planted()>',
    "<a href='javascript:planted()'>planted</a>",
    "{{ 7*7 }}{% planted %}",
)
SQL = "Volunteers'); DROP TABLE citizen_estimates; --"
NUMBER = re.compile(r"-[0-9][0-9.,]*(?:e[+-]?[0-9]+)?")


def quoted(text: str) -> str:
    """A text as YAML has it in double quotes."""
    return json.dumps(text)


def spoil_survey(folder: Path) -> None:
    """One hostile text in every column, each in a row of its own; ids and consent stay."""
    path = folder / "responses.csv"
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    kept = {rows[0].index("सहमति"), 0}
    hostile = [*FORMULAS, *MARKUP, SQL]
    for place in range(len(rows[0])):
        if place not in kept:
            for number, text in enumerate(hostile):
                rows[2 + (place * 3 + number * 7) % (len(rows) - 2)][place] = text
    rows[0] += ["=1+1", "<script>planted()</script>"]  # columns that no instrument knows
    for row in rows[1:]:
        row += ["=1+1", "<marquee>planted</marquee>"]
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    path.write_text(stream.getvalue(), "utf-8")


def spoil_card(folder: Path) -> None:
    path = folder / "score_card.xlsx"
    cells, merged = hand_ins.workbook(path)
    for number, text in enumerate([*FORMULAS, *MARKUP, SQL]):
        row = cells["scores"][6 + number]
        row[2], row[4] = text, text
        cells["scores"][30 + number][3] = text
        cells["scores"][50 + number][1] = text
    path.write_bytes(hand_ins.workbook_bytes(cells, merged))


def spoil_talks(folder: Path) -> None:
    for number in (0, 1):
        file, tables = hand_ins.tables_of(folder, number)
        ((name, table),) = tables.items()
        for column, cells in table.items():
            if column in ("id", "document"):
                continue
            for place, text in enumerate([*FORMULAS, *MARKUP, SQL]):
                cells[(place * 2 + len(column)) % len(cells)] = text
        (folder / file.path).write_bytes(hand_ins.written(file, tables, main=name))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Settings:
    home = hand_ins.make_home(tmp_path_factory.mktemp("home"), root)
    for key, organisation, spoil in (
        (SURVEY, FORMULAS[0], spoil_survey),
        (CARD, SQL, spoil_card),
        (TALKS, MARKUP[1], spoil_talks),
    ):
        spoil(
            hand_ins.copy_sample(
                root,
                home,
                key,
                organisation=f"organisation: {quoted(organisation)}",
                title=f"title: {quoted(MARKUP[0])}",
                population=f"population: {quoted(FORMULAS[1])}",
            )
        )
    settings = hand_ins.settings_of(home)
    steps = run_all(settings, hand_ins.NOW)
    assert [step for step in steps if step.texts.get("state") == "failed"] == []
    return settings


def outputs(settings: Settings, ending: str) -> Iterator[tuple[Path, bytes]]:
    """The files of an ending that the run left: the release and what partners get. Sealed bytes are no output."""
    for folder in (settings.published, settings.lake):
        for path in sorted(folder.rglob(f"*{ending}")):
            if path.is_file() and not path.is_relative_to(settings.sealed):
                yield path, path.read_bytes()


def test_the_hand_ins_got_through(run: Settings) -> None:
    sources = pl.read_parquet(run.published / "latest" / "sources.parquet")
    states = dict(sources.select("submission_id", "state").iter_rows())
    assert states[SURVEY] == "accepted_with_flags", states
    organisations = {name for name in sources["organisation"].to_list() if name}
    assert {FORMULAS[0], SQL} <= organisations, (states, organisations)


def test_fault_25_no_workbook_acts(run: Settings) -> None:
    seen = 0
    for path, content in outputs(run, ".xlsx"):
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            for name in parts.namelist():
                part = parts.read(name)
                assert "vba" not in name.lower() and "externalLink" not in name, (path.name, name)
                if name.endswith((".xml", ".rels")):
                    # a link to another sheet of the same workbook leads nowhere else
                    within = re.sub(rb'<hyperlink ref="[A-Z0-9:]+" location="[^"]*" display="[^"]*"/>', b"", part)
                    found = re.search(rb"<f[ >]|<hyperlink\b|ddeLink|relationships/hyperlink", within)
                    assert not found, (path.name, name, found)
        seen += 1
    assert seen >= 3, "no feedback was looked at"


def test_fault_25_no_cell_of_a_csv_is_a_formula(run: Settings) -> None:
    seen = 0
    for path, content in outputs(run, ".csv"):
        for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), (path.name, cell)
                if cell.startswith("-"):
                    assert NUMBER.fullmatch(cell), (path.name, cell)
        seen += 1
    assert seen


@dataclass
class Page(HTMLParser):
    """Elements and words of a page."""

    elements: list[tuple[str, list[tuple[str, str | None]]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_fault_26_no_page_holds_markup_of_a_partner(run: Settings) -> None:
    pages = list(outputs(run, ".html"))
    words = ""
    for path, content in pages:
        page = Page()
        page.feed(content.decode())
        for tag, attributes in page.elements:
            assert tag not in ("script", "img", "iframe", "object", "embed", "marquee"), (path.name, tag)
            for name, value in attributes:
                assert not name.startswith("on"), (path.name, tag, name)
                assert not (value or "").lower().strip().startswith("javascript:"), (path.name, tag, value)
        words += "".join(page.words)
        assert b"default-src 'none'" in content, path.name
    assert pages and FORMULAS[0] in words, "the planted organisation is on the page, as text"


def test_fault_26_machine_formats_stay_whole(run: Settings) -> None:
    seen = [json.loads(content) for _, content in outputs(run, ".json")]
    assert seen


def test_fault_27_sql_is_text_in_the_published_database(run: Settings) -> None:
    latest = run.published / "latest"
    (path,) = latest.glob("*.duckdb")
    with duckdb.connect(str(path), read_only=True) as database:  # noqa: TID251 - the file as a reader opens it
        tables = {row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert {"citizen_estimates", "sources"} <= tables
        for name in tables:
            if (parquet := latest / f"{name}.parquet").exists():
                held = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()
                assert held is not None and held[0] == pl.read_parquet(parquet).height, name
        named = {row[0] for row in database.execute("SELECT organisation FROM sources").fetchall()}
    assert named == set(pl.read_parquet(latest / "sources.parquet")["organisation"].to_list())
    assert SQL in named, "what was planted is stored as it was written"
