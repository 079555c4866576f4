"""The nightly job against the API: on a bad day it ends with the right tables, a hold or the last good ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline import tables
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.definitions import defs
from lnob_pipeline.official import releases
from lnob_pipeline.official.client import HttpSettings, SdgApiClient
from lnob_pipeline.official.snapshot import expected_series, library_codes
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import sha256_file
from lnob_pipeline_tests.homes import project_folder
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49, ROOT
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer, Weather

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

DOWNLOAD = ROOT.parent / "shared" / "data" / "official" / "unsd_sdg_2020-10.parquet"
PATIENT = HttpSettings(connections=8, page_size=500, attempts=8, backoff=0.001, longest_pause=0.05, read_timeout=20)


@pytest.fixture(scope="module")
def full_catalogue(bundled_data: ReplayData) -> ReplayData:
    """The complete release of October 2020 with the rows of seven countries; the bundled figures where it is not."""
    if not DOWNLOAD.exists():
        return bundled_data
    return ReplayData.from_download(DOWNLOAD, "2020-10", areas=[str(int(code)) for code in ISO3_BY_M49])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that asks the API, with pauses of milliseconds and without a hand-in."""
    monkeypatch.setenv("LNOB_OFFICIAL_SOURCE", "api")
    monkeypatch.setattr(
        releases, "_service", lambda settings, route, http: SdgApiClient(settings.official_api, PATIENT)
    )
    folder = project_folder(tmp_path, [])
    (folder / "data" / "submissions").mkdir()
    return folder


def night(home: Path, server: ReplayServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Run the nightly job once; it must succeed."""
    monkeypatch.setenv("LNOB_OFFICIAL_API", server.url)
    resources = {"settings": PipelineSettings(home=str(home))}
    whole = dg.Definitions(assets=defs.assets, jobs=defs.jobs, resources=resources, executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance:
        assert whole.resolve_job_def("nightly_job").execute_in_process(instance=instance).success
    return Settings.load(home=home)


def read(settings: Settings, table: tables.Table) -> pl.DataFrame:
    return pl.read_parquet(settings.lake / f"{table.name}.parquet")


def figures(data: ReplayData) -> pl.DataFrame:
    """What the table must hold of the seven countries: each figure once, under the project's code of its series."""
    codes = library_codes(data.links["series"].drop_nulls(), expected_series(ROOT / "data" / "official"))
    columns = {"series": "series", "m49": "area", "year": "year", "value_text": "value_text", "units": "units"}
    rows = data.observations.select(**{ours: pl.col(name).cast(pl.String) for ours, name in columns.items()})
    return rows.with_columns(pl.col("m49").str.zfill(3), pl.col("series").replace(codes)).filter(
        pl.col("m49").is_in(list(ISO3_BY_M49))
    )


def held(settings: Settings) -> pl.DataFrame:
    return read(settings, tables.OFFICIAL_RELEASES).select("release", "state").sort("release")


@pytest.mark.thorough
def test_a_full_catalogue_on_a_bad_day(
    serve: Callable[..., ReplayServer], full_catalogue: ReplayData, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(full_catalogue, weather=Weather(share=0.25))
    settings = night(home, server, monkeypatch)
    assert len(server.met) >= 10, f"it was to be a bad day: {server.met}"
    assert server.peak <= 8
    found = read(settings, tables.OFFICIAL_OBSERVATIONS)
    expected = figures(full_catalogue)
    ours = found.select(pl.col(name).cast(pl.String) for name in expected.columns)
    assert_frame_equal(ours, expected, check_row_order=False)
    assert sorted(found["iso3"].cast(pl.String).unique()) == sorted(ISO3_BY_M49.values())
    catalogue = read(settings, tables.SDG_CATALOGUE)
    loaded = set(catalogue.filter("loaded")["series"])
    assert loaded >= set(expected["series"])
    assert len(loaded) == len(server.service.items), "every series of the catalogue, also those without a row here"
    assert set(catalogue["release"]) == {"2020-10"}
    gaps = read(settings, tables.DATA_GAPS)
    assert gaps["iso3"].n_unique() == len(ISO3_BY_M49)
    assert held(settings).rows() == [("2020-10", "in_use")]


def test_a_service_that_fails_for_good_gives_the_bundled_figures_and_no_part_of_a_release(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    server.misbehave(Kind.LOST_ROW, times=None, path="Series/Data", page=1)
    settings = night(home, server, monkeypatch)
    releases_used = read(settings, tables.OFFICIAL_RELEASES)
    assert releases_used["route"].to_list() == ["bundled"]
    assert read(settings, tables.OFFICIAL_OBSERVATIONS).height == figures(bundled_data).height
    assert not list((settings.lake / "official_snapshots").glob("[!.]*")), "half a release is none"


def test_a_release_that_shrank_is_held_and_an_outage_changes_nothing(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = serve()
    settings = night(home, good, monkeypatch)
    path = settings.lake / f"{tables.OFFICIAL_OBSERVATIONS.name}.parquet"
    before = sha256_file(path)
    half = bundled_data.observations.filter(pl.col("year").cast(pl.Float64) < 2012)
    assert half.height < 0.7 * bundled_data.observations.height
    shrunk = serve(replace(bundled_data, release="2021.Q1.G.01", observations=half), weather=Weather(share=0.2))
    night(home, shrunk, monkeypatch)
    assert held(settings).rows() == [("2020-10", "in_use"), ("2021.Q1.G.01", "held")]
    assert sha256_file(path) == before
    shrunk.misbehave(Kind.STATUS, times=None, path="")
    night(home, shrunk, monkeypatch)
    assert held(settings).rows() == [("2020-10", "in_use"), ("2021.Q1.G.01", "held")]
    assert sha256_file(path) == before
