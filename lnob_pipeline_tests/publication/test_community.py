"""The sheets for communities: what was asked, found and told, in plain words, and nothing that is hidden."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lnob_pipeline import storage
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import community
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import DECISIONS, RELEASE_TABLES
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed, fill

FACTS = {"release": "2026-11-22_0123abcd", "released_at": RELEASED_AT, **PROVENANCE}


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load_mappings(HOME / "indicator_mappings")


@pytest.fixture(scope="module")
def tables(mappings: Mappings) -> dict[str, pl.DataFrame]:
    found = disclosed(mappings)
    return {table.name: storage.in_form(found.get(table.name, table.empty()), table) for table in RELEASE_TABLES}


@pytest.fixture(scope="module")
def content(tables: dict[str, pl.DataFrame], mappings: Mappings) -> ReleaseContent:
    return ReleaseContent(tables, mappings, Settings.load(home=HOME), FACTS)


def sheet(content: ReleaseContent, iso3: str, group: str, language: str = "en", **changed: pl.DataFrame) -> str:
    """The text of a sheet as a reader sees it."""
    changes = ReleaseContent({**content.tables, **changed}, content.mappings, content.settings, content.facts)
    speaker = community.Speaker(Speech(language), changes)
    return visible(community.render(community.Sheet(iso3, group), speaker))


def visible(page: str) -> str:
    body = page[page.index("<body") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_there_is_a_sheet_for_every_group_that_was_spoken_of(content: ReleaseContent) -> None:
    found = {(sheet.iso3, sheet.group) for sheet in community.pages(content)}
    named = content.tables["citizen_estimates"].filter(pl.col("marginalised_group") != "_T")
    assert found >= set(named.select("iso3", "marginalised_group").unique().iter_rows())
    assert found >= {("NGA", "internally_displaced"), ("NGA", "all"), ("KEN", "F"), ("MWI", "youth")}
    assert ("IND", "F") not in found  # a purposive sample is not broken down by sex


def test_a_country_has_its_languages_and_english(content: ReleaseContent, tmp_path: Path) -> None:
    community.write(tmp_path, content)
    names = {code: {page.name for page in (tmp_path / "report" / code).iterdir()} for code in ("en", "sw", "hi")}
    assert names["en"] == {sheet.name for sheet in community.pages(content)}
    assert names["sw"] == {name for name in names["en"] if name.startswith("community-KEN-")}
    assert names["hi"] == {name for name in names["en"] if name.startswith("community-IND-")}
    assert community.languages_of("NGA", content.mappings) == ["en"]  # no page is written in Hausa


def test_the_same_release_gives_the_same_bytes(content: ReleaseContent, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        community.write(tmp_path / folder, content)
    first = {page.relative_to(tmp_path / "first"): page.read_bytes() for page in tmp_path.glob("first/**/*.html")}
    second = {page.relative_to(tmp_path / "second"): page.read_bytes() for page in tmp_path.glob("second/**/*.html")}
    assert first == second


@pytest.mark.parametrize("iso3", ["KEN", "IND", "NPL", "VNM", "BGD"])
def test_numbers_are_those_of_the_release(content: ReleaseContent, iso3: str) -> None:
    estimates = content.tables["citizen_estimates"].filter(iso3=iso3)
    official = content.tables["comparison"].filter(pl.col("official_value").is_not_null(), iso3=iso3)
    speaker = community.Speaker(Speech(), content)
    for found in (one for one in community.pages(content) if one.iso3 == iso3):
        page = community.render(found, speaker)
        own = speaker.numbers.filter(iso3=iso3, group=found.group)
        shown = re.findall(r'<p class="number">(\d+) of 100</p>', page)
        published = {f"{value:.0f}" for value in own["estimate"].drop_nulls()}
        assert set(shown) <= published
        assert len(shown) == min(6, own["estimate"].count())
        said = set(re.findall(r"Official, (?:whole country|this group): (\d+) of 100", page))
        assert said <= {f"{value:.0f}" for value in official["official_value"]}
    assert estimates.height


def test_the_chance_of_the_draw_is_told_and_respondents_are_called_so(content: ReleaseContent) -> None:
    drawn, sought = sheet(content, "KEN", "all"), sheet(content, "IND", "dalit")
    assert "drawn by lot. The numbers stand for all in the place" in drawn
    assert "The true number is probably between" in drawn and "Counted among" not in drawn
    assert "stand for those who answered, and for nobody else" in sought
    assert "Counted among the" in sought and "probably between" not in sought


def test_what_is_hidden_is_said_with_its_reason_and_not_shown(content: ReleaseContent) -> None:
    estimates = content.tables["citizen_estimates"]
    group = (pl.col("iso3") == "KEN") & (pl.col("marginalised_group") == "youth")
    numbers = ("estimate", "standard_error", "ci_low", "ci_high", "n", "degrees_of_freedom", "design_effect")
    hidden = estimates.with_columns(pl.when(~group).then(pl.col(name)).alias(name) for name in numbers).with_columns(
        status=pl.when(group).then(pl.lit("suppressed_small_sample")).otherwise("status")
    )
    count = estimates.filter(group).height
    assert count
    said = sheet(content, "KEN", "youth", citizen_estimates=hidden)
    assert "No number about this group can be shown." in said
    assert f"{count} numbers are not shown: fewer than 25 people or households answered." in said
    assert "of 100" not in said


def test_what_people_said_is_never_a_share(content: ReleaseContent) -> None:
    for one in community.pages(content):
        if one.iso3 in ("NGA", "MWI"):
            said = sheet(content, one.iso3, one.group)
            assert "These are words and scores, not counts." in said
            assert "%" not in said and "of 100" not in said
    assert "Scores go from 1 to 5; 5 is best." in sheet(content, "MWI", "youth")
    assert "named by 5 groups" in sheet(content, "NGA", "internally_displaced")
    # Two people were interviewed: what they said could be laid at their door.
    assert "1 statement is not shown: fewer than four people" in sheet(content, "NGA", "all")


def test_who_was_told_and_who_was_not(content: ReleaseContent) -> None:
    assert sheet(content, "KEN", "all").count("nothing yet") == 4
    rows = [
        ("ken-2019-household-survey", "community", "publish", datetime.date(2020, 1, 23), "Forum"),
        ("ken-2019-household-survey", "statistics_office", "object", datetime.date(2021, 2, 3), "Letter 7"),
        ("vnm-2020-province", "partner", "publish", datetime.date(2021, 2, 4), "Agreement of another country"),
    ]
    decisions = fill(DECISIONS, [dict(zip(DECISIONS.schema, row, strict=True)) for row in rows])
    said = sheet(content, "KEN", "all", decisions=decisions)
    assert "The community agreed to make this public, 23 January 2020 (Forum)" in said
    assert "The national statistics office objected, 3 February 2021 (Letter 7)" in said
    assert said.count("nothing yet") == 2 and "another country" not in said


def test_an_organisation_is_named_only_where_it_may_be(content: ReleaseContent) -> None:
    named, unnamed = sheet(content, "KEN", "all"), sheet(content, "BGD", "dalit")
    assert "Tell Synthetic partner in KEN." in named and "Tell the person" not in named
    assert "Tell the person or organisation that asked you." in unnamed and "By: not named, as it wishes" in unnamed


def test_people_in_danger_are_protected_from_the_paper(content: ReleaseContent) -> None:
    for group, found in content.mappings.groups.items():
        if community.Sheet("IND", group) in community.pages(content):
            assert ("Do not hang it up" in sheet(content, "IND", group)) == found.sensitive


def test_official_lists_that_have_no_place_for_a_group_are_named(content: ReleaseContent) -> None:
    nowhere, somewhere = sheet(content, "IND", "dalit"), sheet(content, "KEN", "F")
    assert "Official lists have no place for this group." in nowhere
    assert "Official lists have no place" not in somewhere
    assert re.search(r"For [1-9]\d* of the \d+ numbers above there is an official number for the group", somewhere)


def test_a_named_group_goes_before_the_same_by_a_short_set_of_questions(content: ReleaseContent) -> None:
    rows = community.Speaker(Speech(), content).numbers.filter(iso3="KEN", group="persons_with_disabilities")
    assert rows.height == rows["series"].n_unique()
    assert set(rows["stratum"]) == {"marginalised_group=persons_with_disabilities"}


def test_a_question_is_asked_in_the_language_of_the_sheet(content: ReleaseContent) -> None:
    """Two real questions behind a number: the one that it counts stands there, not the first by its name."""
    asked = content.tables["citizen_estimates"].with_columns(questions=pl.lit("age,mobile_device,mobile_sim_active"))
    bank = content.mappings.variables["mobile_device"].question
    assert bank["sw"] in sheet(content, "KEN", "youth", "sw", citizen_estimates=asked).replace("&#39;", "'")
    assert bank["en"] in sheet(content, "KEN", "youth", citizen_estimates=asked)


@given(value=st.floats(0, 100))
@example(value=0.5)
@example(value=99.5)
def test_nobody_is_rounded_away(value: float) -> None:
    said = str(community.of_100(value, Speech()))
    assert (said == "0 of 100") == (value == 0)
    assert (said == "100 of 100") == (value == 100)
    if found := re.fullmatch(r"(\d+) of 100", said):
        assert abs(int(found[1]) - value) <= 0.5
