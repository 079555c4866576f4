"""The pages of the report: right numbers in plain words, for everyone, in every language, without a network."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication import report
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import community, country, sentences, words
from lnob_pipeline.publication.report.labels import LOW_IS_GOOD, NEITHER, NO_DIRECTION, OTHER_WAY, Labels, sign
from lnob_pipeline.publication.report.page import LARGEST_PAGE
from lnob_pipeline.publication.report.speech import Speech, languages
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES
from lnob_pipeline_tests.publication.release_factory import PROVENANCE, RELEASED_AT

FACTS = PROVENANCE | {"release": "2026-11-22_1a2b3c4d", "released_at": RELEASED_AT}
Tables = dict[str, pl.DataFrame]
Pages = dict[str, str]


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


def pages_of(tables: Tables, mappings: Mappings, language: str = "en") -> Pages:
    """File name -> page."""
    content = ReleaseContent(tables, mappings, Settings.load(), FACTS)
    return {name: text for _, name, text in report.pages(content, [Speech(language)])}


@pytest.fixture(scope="module")
def pages(tables: Tables, mappings: Mappings) -> Pages:
    return pages_of(tables, mappings)


@pytest.fixture(scope="module", params=["index.html", "KEN.html", "NPL.html", "BGD.html", "MWI.html", "gaps.html"])
def page(pages: Pages, request: pytest.FixtureRequest) -> str:
    return pages[request.param]


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def part(page: str, start: str, end: str) -> str:
    begin = page.index(start)
    return page[begin : page.index(end, begin)]


def test_there_is_a_page_a_country(pages: Pages, mappings: Mappings) -> None:
    assert pages.keys() == {"index.html", "gaps.html", *(f"{iso3}.html" for iso3 in mappings.countries)}


def test_a_page_is_well_formed(outline: Outline) -> None:
    assert outline.faults == []
    assert outline.open == []
    assert outline.all("html") == [{"lang": "en", "dir": "ltr"}]
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
    assert outline.tables
    assert all(table[0] == "caption" and "thead" in table and "tbody" in table for table in outline.tables)
    assert {found.get("scope") for found in outline.all("th")} == {"row", "col"}


def test_ids_are_unique_and_references_lead_somewhere(outline: Outline) -> None:
    ids = Counter(found["id"] for _, found in outline.elements if "id" in found)
    assert max(ids.values()) == 1
    named = [found["aria-labelledby"] or "" for _, found in outline.elements if "aria-labelledby" in found]
    assert {one for names in named for one in names.split()} <= ids.keys()
    links = [found["href"] or "" for found in outline.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= ids.keys()


def test_two_hand_ins_of_one_series_are_told_apart(tables: Tables, mappings: Mappings) -> None:
    """A voice that reads the regions of a page hears different names."""
    ours = tables["comparison"].filter(iso3="IND")
    again = ours.with_columns(submission_id=pl.lit("ind-2020-again"))
    page = pages_of(tables | {"comparison": pl.concat([tables["comparison"], again])}, mappings)["IND.html"]
    texts = dict(re.findall(r'<(?:caption|h3|h2|summary) id="([^"]+)">(.*?)</', page))
    regions = re.findall(r'role="region" aria-labelledby="([^"]+)"', page)
    names = [" ".join(texts[one] for one in region.split()) for region in regions]
    assert sum("again" in name for name in names) > 5
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_links_lead_to_files_of_the_release(tables: Tables, mappings: Mappings, tmp_path: Path) -> None:
    """Every page of every language: a link leads to a page that is there, or to a file that a release always holds."""
    report.write(tmp_path, ReleaseContent(tables, mappings, Settings.load(), FACTS))
    files = {tmp_path / f"{table.name}.{kind}" for table in RELEASE_TABLES for kind in ("csv", "parquet")}
    files |= {tmp_path / name for name in ("lnob.duckdb", "manifest.json", "SHA256SUMS", "README.txt")}
    written = set(tmp_path.rglob("*.html"))
    assert {path.parent.name for path in written if path.name == "KEN.html"} == set(languages())
    for path in written:
        assert path.stat().st_size <= LARGEST_PAGE
        for link in re.findall(r'href="([^"#][^"#]*)', path.read_text("utf-8")):
            if link != "data:,":
                assert (path.parent / link).resolve() in files | written, f"{path}: {link}"


def test_headings_go_down_one_level_at_a_time(outline: Outline) -> None:
    levels = [int(name[1]) for name, _ in outline.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_regions_that_scroll_can_be_reached_by_keyboard(outline: Outline) -> None:
    regions = [found for found in outline.all("div") if "wide" in (found.get("class") or "")]
    assert regions
    assert all(found.get("tabindex") == "0" and found.get("role") == "region" for found in regions)


def test_the_same_tables_give_the_same_pages(tables: Tables, pages: Pages, mappings: Mappings) -> None:
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=5) for name, frame in tables.items()}
    assert pages_of(shuffled, mappings) == pages


def test_the_matrix_agrees_with_the_tables(tables: Tables, pages: Pages, mappings: Mappings) -> None:
    page = pages["index.html"]
    body = part(page, 'id="available-caption"', "</table>")
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
    assert f"For {len(unknown)} pairs the official series is not in this snapshot" in finding
    row = part(body[body.index('<th scope="row">7.1.1 ') :], "7.1.1", "</tr>")
    assert row.count("<td>?") == len(mappings.countries)
    assert 'class="O">O*<span class="vh"> official only, other evidence' in body


def test_the_second_matrix_counts_countries_by_breakdown(tables: Tables, pages: Pages) -> None:
    body = part(pages["index.html"], 'id="breakdowns-caption"', "</table>")
    cells = re.findall(r"<td.*?</td>", part(body[body.index('<th scope="row">16.9.1 ') :], "16.9.1", "</tr>"))
    assert len(cells) == len(words.BREAKDOWN)
    shown = tables["citizen_estimates"].filter(pl.col("estimate").is_not_null(), indicator="16.9.1")
    gaps = tables["data_gaps"].filter(indicator="16.9.1", status="reported")
    for name, cell in zip(words.BREAKDOWN, cells, strict=True):
        for letter, frame in (("O", gaps), ("C", shown)):
            found = re.search(rf"{letter} (\d+)", cell)
            assert int(found[1] if found else 0) == frame.filter(pl.col(name) != "_T")["iso3"].n_unique(), (
                name,
                letter,
            )


def test_ages_are_counted_for_each_country(tables: Tables, mappings: Mappings) -> None:
    years = {"5.3.1": 2019, "8.6.1": 2014, "16.9.1": 2005}
    gaps = tables["data_gaps"].with_columns(
        latest_year=pl.col("indicator").replace_strict(years, default=None, return_dtype=pl.Int32),
        status=pl.lit("none_since_2015"),
    )
    pages = pages_of(tables | {"data_gaps": gaps}, mappings)
    row = part(part(pages["index.html"], 'id="ages-caption"', "</table>"), 'KEN.html#ages"', "</tr>")
    assert re.findall(r'<td class="n">(\d+)', row) == ["1", "1", "1", str(len(mappings.indicators) - 3), "6"]
    kenya = part(pages["KEN.html"], 'id="ages"', 'id="gaps"')
    assert re.findall(r'<td class="n">(\d+)<td class="n">(\d+)', kenya) == [
        ("15", "2005"),
        ("6", "2014"),
        ("1", "2019"),
    ]
    assert "2 of 3 official values are more than 5 years old." in kenya
    assert "was 15 years old when this was judged." in kenya
    assert f"{len(mappings.indicators) - 3} indicators never had an official value." in kenya


def test_a_figure_shows_the_numbers_of_the_table(tables: Tables, pages: Pages) -> None:
    key = {"submission_id": "ken-2019-household-survey", "series": "SG_REG_BRTH", "stratum": "_T"}
    row = tables["comparison"].filter(**key).row(0, named=True)
    interval = f"{row['citizen_ci_low']:.1f}–{row['citizen_ci_high']:.1f}"
    figure = part(pages["KEN.html"], 'id="ken-2019-household-survey-SG_REG_BRTH"', "</details>")
    assert f"Citizen data: {row['citizen_estimate']:.1f} % (95 % interval {interval})" in figure
    assert f"Official, whole country: {row['official_value']:.1f} %, {row['official_year']}" in figure
    assert "They differ in area and year" in figure
    width = row["citizen_ci_high"] - row["citizen_ci_low"]
    drawn = f'<rect class="i" x="{row["citizen_ci_low"]:.1f}%" width="{width:.1f}%"/>'
    assert re.search(rf'<svg class="apart"[^\n]*{re.escape(drawn)}', figure), "beside: under the official"
    assert f"<small>{interval}; n {row['citizen_n']}</small>" in figure


def test_the_ranking_goes_from_the_furthest_behind(tables: Tables, pages: Pages, mappings: Mappings) -> None:
    rows = tables["comparison"].filter(
        pl.col("citizen_estimate").is_not_null() & pl.col("official_value").is_not_null(),
        iso3="KEN", stratum="_T", comparability="A", unit="PERCENT",
    )  # fmt: skip
    distances = []
    for row in rows.to_dicts():
        low = (row["indicator"] in LOW_IS_GOOD) != (row["series"] in OTHER_WAY)
        distances.append((row["citizen_estimate"] - row["official_value"]) * (1 if low else -1))
    body = part(pages["KEN.html"], 'id="ranked"', "</table>")
    told = [float(value) for value in re.findall(r'<td class="n">([\d.]+)</tr>', body)]
    assert told == sorted(told, reverse=True) and told
    assert told[0] == pytest.approx(max(distances), abs=0.06)
    assert body.count("<tr>") - 1 == rows.height
    assert body.count("not behind") == sum(distance < 0 for distance in distances) - sum(
        row["citizen_ci_low"] <= row["official_value"] <= row["citizen_ci_high"] and distance < 0
        for row, distance in zip(rows.to_dicts(), distances, strict=True)
    )


def test_what_is_better_is_said_of_indicators_and_series_that_exist(mappings: Mappings) -> None:
    assert set(mappings.indicators) >= LOW_IS_GOOD | NEITHER and not LOW_IS_GOOD & NEITHER
    series = {item.code for indicator in mappings.indicators.values() for item in indicator.series}
    components = {item.code for indicator in mappings.indicators.values() for item in indicator.components}
    assert series | components >= OTHER_WAY | NO_DIRECTION
    assert sign("6.2.1a", "SH_SAN_SAFE") == sign("16.2.1", "LNOB_DISCIPLINE_NONVIOLENT") == 1
    assert sign("6.2.1a", "SH_SAN_DEFECT") == sign("16.2.1", "VC_VAW_PHYPYV") == -1
    assert sign("5.4.1", "SL_DOM_TSPD") == sign("16.3.3", "LNOB_DISPUTE_COURT") == 0
    assert words.INDICATOR.keys() == mappings.indicators.keys()


def test_without_a_direction_there_is_no_distance(tables: Tables, mappings: Mappings) -> None:
    """It stands beside its official value, after those that can be sorted, and is not counted with them."""
    key = (pl.col("iso3") == "KEN") & (pl.col("series") == "SG_REG_BRTH")
    renamed = tables["comparison"].with_columns(
        indicator=pl.when(key).then(pl.lit("16.3.3")).otherwise("indicator"),
        series=pl.when(key).then(pl.lit("LNOB_DISPUTE_COURT")).otherwise("series"),
    )
    before, after = (
        part(pages_of(tables | {"comparison": frame}, mappings)["KEN.html"], '<h2 id="figures"', "</table>")
        for frame in (tables["comparison"], renamed)
    )
    compared = [int(re.findall(r"Of (\d+) that can be compared", body)[0]) for body in (before, after)]
    assert compared[1] == compared[0] - 1
    last = after[after.rindex("<tr>") :]
    assert "16.3.3" in last and last.rstrip().endswith('<td class="n">–</tr>\n</tbody>')


def test_a_series_against_its_indicator_goes_by_its_own_name(mappings: Mappings) -> None:
    """Of open defecation nobody must read that it is safe sanitation."""
    labels, speech = Labels(mappings), Speech("en")
    figure = {
        "indicator": "6.2.1a",
        "series": "SH_SAN_DEFECT",
        "behind": 16.7,
        "outside": True,
        "headline": {"citizen_estimate": 27.0, "citizen_n": 863},
        "official": {"official_value": 10.3},
    }
    said = sentences.of_ranking(speech, labels, [figure])
    assert "open defecation</i>, 27.0 % in the citizen data and 10.3 % officially" in said
    assert "safely managed" not in said.lower()
    assert labels.name(speech, figure | {"series": "SH_SAN_SAFE"}) == "Safely managed sanitation"


def test_never_is_said_only_where_every_series_was_looked_at(tables: Tables, mappings: Mappings) -> None:
    """A series that was not loaded may hold the value that the others lack."""
    frame = tables["data_gaps"].filter(iso3="KEN", indicator="16.9.1", stratum="_T").head(1)
    silent = frame.with_columns(status=pl.lit("never_reported"), latest_year=pl.lit(None, pl.Int32))
    other = silent.with_columns(status=pl.lit("not_loaded"), series=pl.lit("SG_REG_OTHER"))
    for rows, said in ((silent, True), (pl.concat([silent, other]), False)):
        page = pages_of(tables | {"data_gaps": rows.cast(tables["data_gaps"].schema)}, mappings)["KEN.html"]
        assert ("1 indicator never had an official value." in page) == said
        assert ("Never an official value: 16.9.1" in page) == said


def test_every_oldest_value_is_named(mappings: Mappings) -> None:
    rows = [{"indicator": code, "age": 6} for code in ("16.9.1", "5.3.1")] + [{"indicator": "1.1.1", "age": 2}]
    said = sentences.of_country_ages(Speech("en"), Labels(mappings), rows, [], 5)
    assert "The oldest, on <i>Births that are registered</i> and <i>Child marriage</i>, was 6 years old" in said


def test_evidence_speaks_in_the_words_of_its_instrument(tables: Tables, mappings: Mappings) -> None:
    instrument = next(one for one in mappings.instruments.values() if one.statements)
    statement = next(iter(instrument.statements.values()))
    submission = tables["citizen_evidence"]["submission_id"][0]
    ours = pl.col("submission_id") == submission
    evidence = (
        tables["citizen_evidence"]
        .filter(ours)
        .head(1)
        .with_columns(statement=pl.lit(statement.code), indicator=pl.lit(statement.indicator))
    )
    sources = (
        tables["sources"]
        .head(1)
        .with_columns(submission_id=pl.lit(submission), instrument=pl.lit(instrument.instrument))
    )
    found = country._evidence(evidence, sources)["parts"][0]["rows"][0]
    labels, speech = Labels(mappings), Speech("en")
    assert labels.statement(speech, found["instrument"], found["indicator"], found["statement"]) == statement.label
    assert labels.statement(speech, None, found["indicator"], "long_way") == "long way"


def test_sheets_are_written_by_one_speaker_a_language(
    tables: Tables, mappings: Mappings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    speaker = community.Speaker

    def counted(speech: Speech, content: ReleaseContent) -> community.Speaker:
        made.append(speech.language)
        return speaker(speech, content)

    monkeypatch.setattr(community, "Speaker", counted)
    content = ReleaseContent(tables, mappings, Settings.load(), FACTS)
    community.write(tmp_path, content)
    written = {path.parent.name for path in tmp_path.rglob("community-*.html")}
    assert len(made) == len(set(made)) and written <= set(made)
    expected = sum(len(community.languages_of(sheet.iso3, mappings)) for sheet in community.pages(content))
    assert len(list(tmp_path.rglob("community-*.html"))) == expected


def test_a_service_alone_makes_no_sheet_and_people_go_first(tables: Tables, mappings: Mappings) -> None:
    first = tables["citizen_evidence"].filter(iso3="NGA", marginalised_group="internally_displaced").head(1)
    own = first.with_columns(evidence_type=pl.lit("score_card"), finding=pl.lit(None, pl.String), score=pl.lit(2.0))
    scale = {"scale_minimum": pl.lit(1.0), "scale_maximum": pl.lit(5.0), "better": pl.lit("high")}
    own = own.with_columns(statement=pl.lit("long_way"), **scale).cast(first.schema)
    service = own.with_columns(evidence_type=pl.lit("provider_score"), score=pl.lit(4.0, pl.Float64))
    for rows, sheets in ((service, 0), (pl.concat([service, own]), 1)):
        given = {"citizen_evidence": rows, "citizen_estimates": tables["citizen_estimates"].clear()}
        content = ReleaseContent(tables | given, mappings, Settings.load(), FACTS)
        found = community.pages(content)
        assert len(found) == sheets
    said = part(community.render(found[0], community.Speaker(Speech("en"), content)), 'class="said"', "</ul>")
    assert said.index(": 2.0") < said.index("the service about itself")


def test_only_the_same_area_and_definition_stand_on_one_line(pages: Pages) -> None:
    nepal, kenya = pages["NPL.html"], pages["KEN.html"]
    assert "Both speak of the same area" in nepal and 'class="apart"' not in nepal
    both = r'<svg%s aria-hidden="true">(?:<rect class="nat"[^>]*/>)?<rect class="o" x="[\d.]+%%"/><rect class="i"'
    assert re.search(both % "", nepal)
    assert "Both speak of the same area" not in kenya
    assert not re.search(both % "", kenya) and re.search(both % ' class="apart"', kenya)


def test_respondents_get_no_interval_and_no_total(pages: Pages) -> None:
    india = part(pages["IND.html"], '<h2 id="groups"', '<h2 id="ages"')
    assert "Among those who answered" in india
    assert 'class="h"' in india
    assert 'class="i"' not in india
    assert "interval" not in india
    assert "Citizen data:" not in india
    assert '<th scope="row">All<' not in india
    assert '<th scope="row">Whole country<' in india
    assert 'id="ranked"' not in pages["IND.html"]
    assert "they stand for no one else and have no total" in pages["IND.html"]
    apart = part(pages["IND.html"], 'id="respondents"', "</table>")
    assert 'class="h"' in apart and 'class="i"' not in apart, "no mark that looks like an interval"


def test_small_samples_are_shown_in_whole_percent_and_marked(tables: Tables, pages: Pages) -> None:
    caution = tables["citizen_estimates"].filter(
        (pl.col("iso3") == "BGD") & (pl.col("reliability") == "use_with_caution") & pl.col("estimate").is_not_null()
    )
    assert caution.height
    for n in caution["n"].unique():
        found = re.findall(rf'<td class="n">([\d.]+)<small>n \({n}\)</small>', pages["BGD.html"])
        assert found and all("." not in value for value in found)


def test_few_respondents_are_marked_whatever_the_sampling(tables: Tables, mappings: Mappings) -> None:
    """A purposive sample has no reliability of its own; its small shares are marked by their n all the same."""
    as_estimated = pl.when(pl.col("citizen_estimate").is_not_null()).then(pl.lit("not_probability"))
    given = tables | {"comparison": tables["comparison"].with_columns(citizen_reliability=as_estimated)}
    body = part(pages_of(given, mappings)["BGD.html"], '<h2 id="groups"', '<h2 id="ages"')
    cases = re.findall(r"\bn (\(?)(\d+)\)?", body)
    assert {bracket == "(" for bracket, n in cases if int(n) < 50} == {True}
    assert {bracket == "(" for bracket, n in cases if int(n) >= 50} == {False}


def test_gaps_are_counted_as_in_the_table_coverage(tables: Tables, mappings: Mappings) -> None:
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
    section = part(pages_of(tables | {"data_gaps": gaps}, mappings)["index.html"], '<h2 id="gaps"', '<h2 id="sources"')
    assert f"Of {judged:,} official values" in section
    assert f"{judged - reported:,} do not exist" in section
    assert f"For {without:,} of these" in section
    named = section[section.index("in any series: ") :].partition("</p>")[0]
    assert "Dalits" in named
    assert mappings.groups["youth"].label not in named


def test_what_is_hidden_is_counted_with_its_reason(tables: Tables, pages: Pages, mappings: Mappings) -> None:
    hidden = tables["citizen_estimates"].filter(pl.col("estimate").is_null())
    told = [
        part(page, 'id="hidden"', "</table>")
        for name, page in pages.items()
        if 'id="hidden"' in page and len(name) == 8
    ]
    assert sum(int(count) for body in told for count in re.findall(r'<td class="half n">(\d+)', body)) == hidden.height
    assert any("Fewer than 25 people or households answered" in body for body in told)
    assert any("Could be used to work out another hidden number" in body for body in told)
    assert (
        f"{hidden.height:,} of {tables['citizen_estimates'].height:,} citizen figures are not shown"
        in pages["index.html"]
    )


def test_evidence_is_never_a_percentage(pages: Pages) -> None:
    nigeria, malawi = (part(pages[f"{iso3}.html"], '<h2 id="evidence"', '<h2 id="sources"') for iso3 in ("NGA", "MWI"))
    assert "1.9 on a scale from 1 to 5 (high is good)" in malawi
    assert "not shown: fewer than four people" in nigeria
    assert "5 groups or interviews, 41 people, 10 mentions" in nigeria
    assert "%" not in nigeria + malawi


def test_synthetic_people_are_announced_loudly(tables: Tables, page: str, mappings: Mappings) -> None:
    if "<h1>Which SDG" not in page and "<h1>Malawi" not in page:  # no hand-in of Malawi is in the list
        assert '<p class="notice" role="note">Synthetic sample data. All hand-ins' in page
    real = tables | {"sources": tables["sources"].with_columns(synthetic=pl.lit(False))}
    assert not any('class="notice"' in text for text in pages_of(real, mappings).values())


def test_what_partners_write_is_text(tables: Tables, mappings: Mappings) -> None:
    bad = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    given = tables | {"sources": tables["sources"].with_columns(organisation=pl.lit(bad))}
    for name in ("index.html", "KEN.html"):
        outline = Outline(pages_of(given, mappings)[name])
        assert not outline.all("script")
        assert not outline.all("img")
        assert bad in "".join(outline.words)


def test_organisations_that_may_not_be_named_are_not(pages: Pages) -> None:
    for name in ("index.html", "BGD.html"):
        assert "not named, as the partner wishes" in part(pages[name], 'id="sources"', "</body>")


def test_a_rejected_hand_in_tells_nothing_but_its_country(tables: Tables, mappings: Mappings) -> None:
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
    pages = pages_of(tables | {"sources": pl.concat([tables["sources"], rejected])}, mappings)
    for name in ("index.html", "KEN.html"):
        row = part(pages[name], ">ken-2019-rejected<", "</tr>")
        assert ">not named<" in row
        assert ">Kenya<" in row
        assert "None" not in row


@pytest.mark.parametrize("language", ["en", "bn"])
def test_an_empty_release_has_pages(mappings: Mappings, language: str) -> None:
    pages = pages_of({table.name: table.empty() for table in RELEASE_TABLES}, mappings, language)
    for page in pages.values():
        outline = Outline(page)
        assert outline.faults == [] and outline.open == []
    if language == "en":
        assert "No citizen figure may be shown." in pages["KEN.html"]
        assert "There are no score cards" in pages["KEN.html"]


def test_every_figure_of_the_table_is_shown_or_counted(tables: Tables, pages: Pages) -> None:
    """Beyond the rows of a page figures are left out, and the page says how many are in the file."""
    shown = left_out = 0
    for name in (f"{iso3}.html" for iso3 in tables["comparison"]["iso3"].unique()):
        body = part(pages[name], '<h2 id="groups"', '<h2 id="ages"')
        left_out += sum(int(count) for count in re.findall(r"(\d+) more figures? in comparison\.csv", body))
        shown += len(re.findall(r'<circle class="[ch]"', body))
    assert left_out + shown == tables["comparison"]["citizen_estimate"].count()


def test_an_indicator_with_a_series_that_was_not_loaded_is_not_without_any(tables: Tables, mappings: Mappings) -> None:
    first = mappings.indicators["16.6.2"].series[0].code
    lost = pl.when((pl.col("series") == first) & (pl.col("status") == "no_series"))
    gaps = tables["data_gaps"].with_columns(status=lost.then(pl.lit("not_loaded")).otherwise("status"))
    said = [
        part(pages_of(tables | {"data_gaps": table}, mappings)["index.html"], "no series at all", "</p>")
        for table in (tables["data_gaps"], gaps)
    ]
    assert ["16.6.2" in text for text in said] == [True, False]
    assert "16.7.2" in said[1]


@pytest.mark.parametrize("language", [code for code in languages() if code != "en"])
def test_a_page_in_another_language_marks_what_is_english(
    tables: Tables, pages: Pages, mappings: Mappings, language: str
) -> None:
    """As many tables and cells; official titles are marked as English; a draft says that it is one."""
    for name, page in pages_of(tables, mappings, language).items():
        outline = Outline(page)
        assert outline.faults == [] and outline.all("html")[0]["lang"] == language
        assert [table.count("td") for table in outline.tables] == [
            table.count("td") for table in Outline(pages[name]).tables
        ]
        assert ('role="note"' in page) and len(page.encode()) <= LARGEST_PAGE
    figure = part(
        pages_of(tables, mappings, language)["KEN.html"], 'id="t-ken-2019-household-survey-SG_REG_BRTH"', "<t"
    )
    assert '<span lang="en">Children under 5 years of age' in figure


def test_words_of_a_list_stand_apart_in_every_language() -> None:
    for language in languages():
        listed = Speech(language).listed(["a", "b", "c", "d"])
        assert "a, b, c" in listed, language
