"""The report page: right numbers in plain words, for everyone, without a network."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser

import polars as pl
import pytest

from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.report.page import LARGEST_PAGE, render
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES
from lnob_pipeline_tests.publication.release_factory import PROVENANCE, RELEASED_AT

FACTS = PROVENANCE | {"release": "2026-11-22_1a2b3c4d", "released_at": RELEASED_AT}
Tables = dict[str, pl.DataFrame]


class Outline(HTMLParser):
    """What a page holds: its elements with their attributes, its tables and its text."""

    MAY_STAY_OPEN = frozenset({"td", "th", "tr"})
    VOID = frozenset({"meta", "link", "rect", "line", "circle", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif self.tables:
            self.tables[-1].append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag and self.open[-1] in self.MAY_STAY_OPEN:
            self.open.pop()
        if tag in self.VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.load()


@pytest.fixture(scope="module")
def page(tables: Tables, mappings: Mappings, settings: Settings) -> str:
    return render(tables, mappings, settings, FACTS)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def part(page: str, start: str, end: str) -> str:
    return page[page.index(start) : page.index(end)]


def test_the_page_is_well_formed(outline: Outline) -> None:
    assert outline.faults == []
    assert outline.open == []
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == len(outline.all("main")) == len(outline.all("title")) == 1


def test_nothing_outside_no_script_and_a_policy_that_says_so(page: str, outline: Outline) -> None:
    assert not re.search(r"https?:|//[a-z]", page)
    names = {name for name, _ in outline.elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "video", "audio", "base"}
    attributes = {key for _, found in outline.elements for key in found}
    assert not {key for key in attributes if key == "style" or key.startswith("on")}
    policy = next(found["content"] for found in outline.all("meta") if "http-equiv" in found)
    style = part(page, "<style>", "</style>").removeprefix("<style>")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy


def test_every_table_has_a_caption_and_every_header_a_scope(outline: Outline) -> None:
    assert len(outline.tables) > 50
    assert all(table[0] == "caption" and "thead" in table and "tbody" in table for table in outline.tables)
    assert {found.get("scope") for found in outline.all("th")} == {"row", "col"}


def test_ids_are_unique_and_references_lead_somewhere(outline: Outline) -> None:
    ids = Counter(found["id"] for _, found in outline.elements if "id" in found)
    assert max(ids.values()) == 1
    assert {found["aria-labelledby"] for _, found in outline.elements if "aria-labelledby" in found} <= ids.keys()
    links = [found["href"] or "" for found in outline.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= ids.keys()
    files = {f"{table.name}.{kind}" for table in RELEASE_TABLES for kind in ("csv", "parquet")}
    files |= {"lnob.duckdb", "gaps.html", "manifest.json", "SHA256SUMS", "README.txt"}
    assert {link for link in links if not link.startswith("#")} == files


def test_headings_go_down_one_level_at_a_time(outline: Outline) -> None:
    levels = [int(name[1]) for name, _ in outline.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_regions_that_scroll_can_be_reached_by_keyboard(outline: Outline) -> None:
    regions = [found for found in outline.all("div") if "wide" in (found.get("class") or "")]
    assert regions
    assert all(found.get("tabindex") == "0" and found.get("role") == "region" for found in regions)


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) <= LARGEST_PAGE


def test_the_same_tables_give_the_same_page(tables: Tables, page: str, mappings: Mappings, settings: Settings) -> None:
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=5) for name, frame in tables.items()}
    assert render(shuffled, mappings, settings, FACTS) == page


def test_the_matrix_agrees_with_the_tables(tables: Tables, page: str, mappings: Mappings) -> None:
    body = part(page, '<table class="matrix">', "</table>")
    rows = re.findall(r'<tr><th scope="row">(\S+) .*?</tr>', body)
    assert set(rows) == set(mappings.indicators)
    assert rows.index("5.b.1") < rows.index("8.6.1") < rows.index("10.3.1") < rows.index("16.6.2")
    letters = Counter(re.findall(r"<td[^>]*>([BO–]|C?\?|C)", body))
    assert sum(letters.values()) == len(mappings.indicators) * len(mappings.countries)
    reported = tables["data_gaps"].filter((pl.col("stratum") == "_T") & (pl.col("status") == "reported"))
    official = set(reported.select("iso3", "indicator").iter_rows())
    figures = tables["citizen_estimates"].filter(pl.col("estimate").is_not_null())
    citizen = set(figures.select("iso3", "indicator").iter_rows())
    assert letters["B"] == len(official & citizen)
    assert letters["O"] == len(official - citizen)
    gaps = tables["data_gaps"].filter(stratum="_T", status="not_loaded")
    unknown = set(gaps.select("iso3", "indicator").iter_rows()) - official
    assert letters["C?"] == len(citizen & unknown) > 0
    assert letters["?"] == len(unknown - citizen) > 0
    assert letters["C"] == len(citizen - official - unknown)
    finding = part(page, 'id="available"', '<table class="matrix">')
    assert f"{letters['B']} have an official and a citizen figure" in finding
    assert f"{letters['–']} neither" in finding
    assert f"For {len(unknown)} the official series is not in this snapshot" in finding
    row = part(body[body.index('<th scope="row">7.1.1 ') :], "7.1.1", "</tr>")
    assert row.count("<td>?") == len(mappings.countries)
    assert "none" not in row
    assert 'class="O">O*<span class="vh"> official only, other evidence' in body


def test_a_figure_shows_the_numbers_of_the_table(tables: Tables, page: str) -> None:
    key = {"submission_id": "ken-2019-household-survey", "series": "SG_REG_BRTH", "stratum": "_T"}
    row = tables["comparison"].filter(**key).row(0, named=True)
    interval = f"{row['citizen_ci_low']:.1f}–{row['citizen_ci_high']:.1f}"
    body = part(page, 'id="c-KEN"', 'id="c-MWI"')
    figure = part(body[body.index("16.9.1 ·") :], "16.9.1", "</table>")
    assert f"Citizen data: {row['citizen_estimate']:.1f} % (95 % interval {interval})" in figure
    assert f"official, whole country: {row['official_value']:.1f} %, {row['official_year']}" in figure
    assert "They differ in area and year" in figure
    assert f'cx="{row["citizen_estimate"]:.1f}%" cy="19"' in figure, "beside: under the official value"
    assert f"<small>{interval}; n {row['citizen_n']}</small>" in figure


def test_only_the_same_area_and_definition_stand_on_one_line(page: str) -> None:
    on_one_line = part(page, 'id="c-NPL"', 'id="c-NGA"')
    assert "Both speak of the same area" in on_one_line
    assert re.search(r'class="o" x="[\d.]+%" y="9" [^>]*/><line [^>]*y1="13"', on_one_line)
    beside = part(page, 'id="c-KEN"', 'id="c-MWI"')
    assert "Both speak of the same area" not in beside
    assert not re.search(r'class="o" [^>]*y="9" [^>]*/><line', beside)


def test_respondents_get_no_interval_and_no_total(page: str) -> None:
    india = part(page, 'id="c-IND"', 'id="c-KEN"')
    assert "Among those who answered" in india
    assert 'class="h"' in india
    assert 'class="i"' not in india
    assert "interval" not in india
    assert "Citizen data:" not in india
    assert '<th scope="row">All<' not in india
    assert '<th scope="row">Whole country<' in india


def test_small_samples_are_shown_in_whole_percent_and_marked(tables: Tables, page: str) -> None:
    caution = tables["citizen_estimates"].filter(
        (pl.col("iso3") == "BGD") & (pl.col("reliability") == "use_with_caution") & pl.col("estimate").is_not_null()
    )
    assert caution.height
    bangladesh = part(page, 'id="c-BGD"', 'id="c-IND"')
    for n in caution["n"].unique():
        found = re.findall(rf"<td>([\d.]+) <small>n \({n}\)</small>", bangladesh)
        assert all("." not in value for value in found)
    assert re.search(r"<small>n \(\d\d\)</small>", bangladesh)


def test_few_respondents_are_marked_whatever_the_sampling(
    tables: Tables, mappings: Mappings, settings: Settings
) -> None:
    """A purposive sample has no reliability of its own; its small shares are marked by their n all the same."""
    as_estimated = pl.when(pl.col("citizen_estimate").is_not_null()).then(pl.lit("not_probability"))
    given = tables | {"comparison": tables["comparison"].with_columns(citizen_reliability=as_estimated)}
    cases = re.findall(r"\bn (\(?)(\d+)\)?", part(render(given, mappings, settings, FACTS), 'id="c-BGD"', 'id="gaps"'))
    assert {bracket == "(" for bracket, n in cases if int(n) < 50} == {True}
    assert {bracket == "(" for bracket, n in cases if int(n) >= 50} == {False}


def test_gaps_are_counted_as_in_the_table_coverage(tables: Tables, mappings: Mappings, settings: Settings) -> None:
    """Breakdowns of a missing headline are one gap with it; only groups without any code are called impossible."""
    key = pl.struct("iso3", "series")
    headlines = tables["data_gaps"].filter(pl.col("stratum") == "_T").select("iso3", "series", headline="status")
    able = pl.col("marginalised_group") == "youth"
    gaps = (
        tables["data_gaps"]
        .join(headlines, on=["iso3", "series"])
        .with_columns(
            headline_status="headline",
            status=pl.when(pl.col("stratum") == "_T").then("status").otherwise(pl.lit("never_reported")),
            flags=pl.when(able & (pl.col("series") == "SG_REG_BRTH")).then(pl.lit("")).otherwise("flags"),
        )
        .drop("headline")
    )
    counted = coverage(gaps).filter(pl.col("category") == "_all")
    judged, reported = (sum(counted[name].to_list()) for name in ("n_judged", "n_reported"))
    assert judged < gaps.height
    reporting = gaps.filter(pl.col("status") == "reported").select(key).n_unique()
    without = (
        reporting * len(mappings.groups)
        - gaps.filter(able & (pl.col("series") == "SG_REG_BRTH") & (pl.col("headline_status") == "reported")).height
    )
    section = part(render(tables | {"data_gaps": gaps}, mappings, settings, FACTS), 'id="gaps"', 'id="evidence"')
    assert f"Of {judged:,} official values" in section
    assert f"{judged - reported:,} do not exist" in section
    assert f"For {without:,} of these" in section
    named = section[section.index("in any series: ") :].partition("</p>")[0]
    assert "Dalits" in named
    assert mappings.groups["youth"].label not in named


def test_what_is_hidden_is_counted_with_its_reason(tables: Tables, page: str) -> None:
    hidden = tables["citizen_estimates"].filter(pl.col("estimate").is_null())
    body = part(page, 'id="hidden"', 'id="evidence"')
    counts = [int(count) for count in re.findall(r'<td class="n">(\d+)', body)]
    assert sum(counts) == hidden.height
    assert "Fewer than 25 people or households answered" in body
    assert "Could be used to work out another hidden number" in body


def test_evidence_is_never_a_percentage(page: str) -> None:
    evidence = part(page, 'id="evidence"', 'id="sources"')
    assert "1.9 on a scale from 1 to 5 (high is good)" in evidence
    assert "not shown: fewer than four people" in evidence
    assert "5 groups or interviews, 41 people, 10 mentions" in evidence
    assert "%" not in evidence


def test_synthetic_people_are_announced_loudly(
    tables: Tables, page: str, mappings: Mappings, settings: Settings
) -> None:
    assert '<p class="notice" role="note">Synthetic sample data. All hand-ins' in page
    real = tables | {"sources": tables["sources"].with_columns(synthetic=pl.lit(False))}
    assert 'class="notice"' not in render(real, mappings, settings, FACTS)


def test_what_partners_write_is_text(tables: Tables, mappings: Mappings, settings: Settings) -> None:
    bad = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    given = tables | {"sources": tables["sources"].with_columns(organisation=pl.lit(bad))}
    outline = Outline(render(given, mappings, settings, FACTS))
    assert not outline.all("script")
    assert not outline.all("img")
    assert any(bad in text for text in ["".join(outline.words)])


def test_organisations_that_may_not_be_named_are_not(page: str) -> None:
    assert "not named, as the partner wishes" in part(page, 'id="sources"', "</body>")


def test_a_rejected_hand_in_tells_nothing_but_its_country(
    tables: Tables, mappings: Mappings, settings: Settings
) -> None:
    unknown = ("organisation", "sampling_method", "area_level", "area", "year", "n_accepted")
    rejected = (
        tables["sources"]
        .head(1)
        .with_columns(
            pl.lit("ken-2019-rejected").alias("submission_id"),
            pl.lit("KEN").alias("iso3"),
            pl.lit("rejected").alias("state"),
            *(pl.lit(None, dtype=tables["sources"].schema[name]).alias(name) for name in unknown),
        )
    )
    page = render(tables | {"sources": pl.concat([tables["sources"], rejected])}, mappings, settings, FACTS)
    row = part(page[page.index(">ken-2019-rejected<") :], ">ken-2019-rejected<", "</tr>")
    assert "<td>not named<" in row
    assert "<td>Kenya<" in row
    assert "None" not in row


def test_an_empty_release_has_a_page(mappings: Mappings, settings: Settings) -> None:
    page = render({table.name: table.empty() for table in RELEASE_TABLES}, mappings, settings, FACTS)
    outline = Outline(page)
    assert outline.faults == []
    assert "No citizen figure of this release may be shown" in page
    assert "holds no score cards" in page


def test_a_page_of_very_many_figures_stays_within_its_size(
    tables: Tables, mappings: Mappings, settings: Settings
) -> None:
    """Beyond the size rows are left out, and the page says how many are in the file."""
    page = render(tables, mappings, settings, FACTS)
    left_out = sum(int(count) for count in re.findall(r"(\d+) more in comparison\.csv", page))
    shown = len(re.findall(r"<circle class=\"[ch]\" cx=\"[\d.]+%\" cy=\"1[39]\"", page))
    listed = sum(text.count(" · ") + 1 for text in re.findall(r"Groups, percent: (.*?)\.</p>", page))
    assert left_out + shown + listed == tables["comparison"]["citizen_estimate"].count()


def test_an_indicator_with_a_series_that_was_not_loaded_is_not_without_any(
    tables: Tables, mappings: Mappings, settings: Settings
) -> None:
    first = mappings.indicators["16.6.2"].series[0].code
    lost = pl.when((pl.col("series") == first) & (pl.col("status") == "no_series"))
    gaps = tables["data_gaps"].with_columns(status=lost.then(pl.lit("not_loaded")).otherwise("status"))
    said = [
        part(
            render(tables | {"data_gaps": table}, mappings, settings, FACTS), "no series at all", 'id="evidence"'
        ).partition("</p>")[0]
        for table in (tables["data_gaps"], gaps)
    ]
    assert ["16.6.2" in text for text in said] == [True, False]
    assert "16.7.2" in said[1]
