"""Which release is in use: a fall holds a release, a person lets it through, and nothing is fetched twice."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import storage, tables
from lnob_pipeline.official.checks import check_results
from lnob_pipeline.official.http import HttpSettings
from lnob_pipeline.official.releases import Release, accept, choose, standing
from lnob_pipeline.official.snapshot import SNAPSHOTS, folders
from lnob_pipeline.pipeline import run_official
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49, ROOT
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer

AREAS = list(ISO3_BY_M49)
DAY = datetime.date(2021, 3, 1)
NOW = "2021-03-01T00:00:00Z"
SERIES = ["SG_REG_BRTH", "SL_TLF_NEET", "FB_BNK_ACCSS"]
Start = Callable[..., ReplayServer]


@pytest.fixture
def release(
    serve: Start, bundled_data: ReplayData, settings: Settings, impatient: HttpSettings
) -> Callable[..., ReplayServer]:
    """Publish a release with the rows that a filter keeps, and fetch it as a nightly run would."""

    def publish(name: str, keep: pl.Expr | None = None, series: list[str] | None = None) -> ReplayServer:
        rows = bundled_data.observations if keep is None else bundled_data.observations.filter(keep)
        server = serve(replace(bundled_data, release=name, observations=rows))
        choose(online(settings, server), AREAS, "2021-03-01", series=series or SERIES, http=impatient)
        return server

    return publish


def online(settings: Settings, server: ReplayServer) -> Settings:
    return replace(settings, official_source="api", official_api=server.url)


def offline(settings: Settings) -> Settings:
    return replace(settings, official_source="last_good")


def states(settings: Settings) -> dict[str, str]:
    return {item.folder.name: item.state for item in standing(offline(settings), AREAS)}


def held(settings: Settings) -> Release:
    (item,) = (item for item in standing(offline(settings), AREAS) if item.state == "held")
    return item


LESS = pl.int_range(pl.len()) % 2 == 0  # every second row


def test_a_release_that_lost_many_rows_is_held_and_the_one_before_stays(
    release: Callable[..., ReplayServer], settings: Settings, impatient: HttpSettings
) -> None:
    release("2021.Q1.G.01")
    server = release("2021.Q2.G.01", LESS)
    assert states(settings) == {"2021.Q1.G.01": "in_use", "2021.Q2.G.01": "held"}
    assert "rows: " in held(settings).held_because
    assert "(-5" in held(settings).held_because
    asked = len(server.asked("Series/Data"))
    choice = choose(online(settings, server), AREAS, "2021-03-02", series=SERIES, http=impatient)
    assert choice.snapshot.info.release == "2021.Q1.G.01"
    assert "2021.Q2.G.01 is held" in choice.snapshot.info.reason
    assert len(server.asked("Series/Data")) == asked, "what is held is not asked for again"
    assert choice.releases.select("release", "state").rows() == [("2021.Q1.G.01", "in_use"), ("2021.Q2.G.01", "held")]


def test_a_person_lets_it_through(release: Callable[..., ReplayServer], settings: Settings) -> None:
    release("2021.Q1.G.01")
    release("2021.Q2.G.01", LESS)
    path = accept(offline(settings), AREAS, "2021.Q2.G.01", "A. Otieno", "UNSD withdrew half of it", DAY)
    assert path == settings.lake / SNAPSHOTS / "2021.Q2.G.01.accepted.json"
    assert states(settings) == {"2021.Q1.G.01": "superseded", "2021.Q2.G.01": "in_use"}
    choice = choose(offline(settings), AREAS, "")
    assert choice.snapshot.info.release == "2021.Q2.G.01"
    assert choice.previous is not None
    assert choice.previous.info.release == "2021.Q1.G.01"
    row = choice.releases.row(1, named=True)
    assert (row["decided_by"], row["decided_on"], row["decision"]) == ("A. Otieno", DAY, "UNSD withdrew half of it")
    assert row["held_because"].startswith("less than in 2021.Q1.G.01 by more than 30%")
    # The decision is about these bytes: of others it says nothing.
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | {"sha256": "0" * 64}))
    assert states(settings)["2021.Q2.G.01"] == "held"


@pytest.mark.parametrize(
    ("name", "by", "because", "said"),
    [
        ("2021.Q9.G.01", "A. Otieno", "looked at", "no release 2021.Q9.G.01 is held; held are: 2021.Q2.G.01"),
        ("2021.Q1.G.01", "A. Otieno", "looked at", "no release 2021.Q1.G.01 is held"),
        ("2021.Q2.G.01", " ", "looked at", "names who decided and why"),
        ("2021.Q2.G.01", "A. Otieno", "", "names who decided and why"),
    ],
)
def test_a_decision_is_about_a_held_release_and_says_who_and_why(
    release: Callable[..., ReplayServer], settings: Settings, name: str, by: str, because: str, said: str
) -> None:
    release("2021.Q1.G.01")
    release("2021.Q2.G.01", LESS)
    with pytest.raises(ValueError, match=said):
        accept(offline(settings), AREAS, name, by, because, DAY)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (pl.col("area").str.strip_chars_start("0") != "404", "rows of area 404: 0 instead of"),
        (pl.col("series") == "SL_TLF_NEET", "series with rows: 1 instead of 3"),
    ],
    ids=["one country lost", "series lost"],
)
def test_coverage_counts_as_well_as_the_total(
    release: Callable[..., ReplayServer], settings: Settings, keep: pl.Expr, said: str
) -> None:
    release("2021.Q1.G.01")
    release("2021.Q2.G.01", keep)
    assert said in held(settings).held_because


def test_a_small_fall_and_a_rise_are_in_use(release: Callable[..., ReplayServer], settings: Settings) -> None:
    release("2021.Q1.G.01", pl.int_range(pl.len()) % 10 != 0)
    release("2021.Q2.G.01", pl.int_range(pl.len()) % 5 != 0)
    release("2021.Q3.G.01")
    assert list(states(settings).values()) == ["superseded", "superseded", "in_use"]


@pytest.mark.parametrize(("percent", "state"), [(69, "held"), (70, "in_use"), (71, "in_use")])
def test_a_fall_of_more_than_thirty_percent_is_held_and_no_smaller_one(
    serve: Start, bundled_data: ReplayData, settings: Settings, impatient: HttpSettings, percent: int, state: str
) -> None:
    hundred = pl.DataFrame({"year": [str(year) for year in range(1921, 2021)]})
    one_a_country = bundled_data.observations.filter(pl.col("series") == "SP_ACS_BSRVH2O").unique("area").drop("year")
    rows = one_a_country.join(hundred, how="cross").select(bundled_data.observations.columns)
    assert rows.height == 700
    for name, last in (("2021.Q1.G.01", 2020), ("2021.Q2.G.01", 1920 + percent)):
        kept = rows.filter(pl.col("year").cast(pl.Int32) <= last)
        server = serve(replace(bundled_data, release=name, observations=kept))
        choose(online(settings, server), AREAS, "2021-03-01", series=["SP_ACS_BSRVH2O"], http=impatient)
    assert states(settings)["2021.Q2.G.01"] == state


def test_a_narrower_question_is_no_fall(release: Callable[..., ReplayServer], settings: Settings) -> None:
    release("2021.Q1.G.01")
    release("2021.Q2.G.01", series=["SG_REG_BRTH"])
    assert states(settings)["2021.Q2.G.01"] == "in_use"


def test_the_release_after_a_held_one_is_compared_with_the_one_in_use(
    release: Callable[..., ReplayServer], settings: Settings
) -> None:
    release("2021.Q1.G.01")
    release("2021.Q2.G.01", LESS)
    release("2021.Q3.G.01", LESS)
    assert list(states(settings).values()) == ["in_use", "held", "held"]
    release("2021.Q4.G.01")
    assert list(states(settings).values()) == ["superseded", "held", "held", "in_use"]


def test_releases_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ["2020-10", "2022.Q2.G.02", "2022.Q2.G.02+2", "2022.Q10.G.01", "SDMX-1.9", "SDMX-1.26"]
    for name in names:
        (tmp_path / name).mkdir()
    assert [folder.name for folder in folders(tmp_path)] == names[::-1]


def test_a_held_release_warns_and_leaves_the_tables(release: Callable[..., ReplayServer], settings: Settings) -> None:
    settings = replace(settings, mappings=ROOT / "indicator_mappings")
    release("2021.Q1.G.01")
    first = run_official(offline(settings), NOW)
    path = storage.table_path(settings.lake, tables.OFFICIAL_OBSERVATIONS)
    before = storage.sha256_file(path)
    assert all(result.passed for result in check_results(settings.lake))
    release("2021.Q2.G.01", LESS)
    second = run_official(offline(settings), NOW)
    assert (first.numbers["held_releases"], second.numbers["held_releases"]) == (0, 1)
    assert storage.sha256_file(path) == before
    results = {result.check_name: result for result in check_results(settings.lake)}
    warned = results.pop("no_release_is_held")
    assert not warned.passed
    assert warned.severity.name == "WARN"
    assert "2021.Q2.G.01" in str(warned.metadata["held"].value)
    assert all(result.passed for result in results.values())


def test_the_last_good_release_is_labelled_with_its_day(
    release: Callable[..., ReplayServer], settings: Settings, impatient: HttpSettings
) -> None:
    server = release("2021.Q1.G.01")
    server.misbehave(Kind.HTML, times=None, path="")
    settings = replace(online(settings, server), mappings=ROOT / "indicator_mappings")
    choice = choose(settings, AREAS, "2021-06-01", http=impatient)
    label = "UN Global SDG Database, release 2021.Q1.G.01 (last good snapshot, fetched 2021-03-01)"
    assert choice.snapshot.info.label == label
    assert choice.releases["fetched"].to_list() == ["2021-03-01"]
