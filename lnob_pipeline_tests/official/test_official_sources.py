"""The bundled figures and the reading of releases against complete official data kept beside the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline.official.catalogue import build_catalogue, build_observations, contradictions
from lnob_pipeline.official.client import HttpSettings, SdgApiClient
from lnob_pipeline.official.snapshot import _links, bundled_snapshot, expected_series, fetch_snapshot, read_snapshot
from lnob_pipeline_tests.official.conftest import ROOT
from lnob_pipeline_tests.official.replay_server import ReplayData, ReplayServer

SHARED = ROOT.parent / "shared"


def beside(path: str) -> Path:
    if not (SHARED / path).exists():
        pytest.skip(f"needs ../shared/{path}, which is kept beside the repository")
    return SHARED / path


def test_the_bundled_figures_are_those_of_the_release(bundled_folder: Path) -> None:
    release = pl.read_csv(beside("data/official/unsd_sdg_2020-10_7countries.csv"), infer_schema=False)
    bundled = bundled_snapshot(bundled_folder)
    ours = bundled.observations.select(
        "series", pl.col("area").str.strip_chars_start("0"), "year", "value_text", "nature", "units", "^dimension.*$"
    ).rename(lambda name: name.removeprefix("dimension."))
    theirs = release.filter(pl.col("series").is_in(list(bundled.loaded)))
    assert theirs.height == 6741
    kept = theirs.rename({"geoAreaCode": "area", "timePeriodStart": "year", "value": "value_text"}).select(ours.columns)
    assert_frame_equal(ours, kept, check_row_order=False)
    # Of these series, no dimension was left out that says something.
    others = release.columns[release.columns.index("units") + 1 : -1]
    codes = {name: set(theirs[name].drop_nulls()) for name in others if name not in ours.columns}
    assert {name: found for name, found in codes.items() if found} == {"migratory_status": {"NOTSPEC"}}


def test_the_bundled_catalogue_names_every_series_of_its_indicators(bundled_folder: Path) -> None:
    release = pl.scan_parquet(beside("data/official/unsd_sdg_2020-10.parquet"))
    links = (
        release.select("series", pl.col("indicator").str.split(", "), title="seriesDescription")
        .unique()
        .explode("indicator")
        .collect()
    )
    ours = expected_series(bundled_folder).with_columns(pl.col("indicator").str.replace(r"(\.\d+)[a-z]$", "$1"))
    asked = ["1.4.1", "6.2.1", "7.1.2", "16.9.1", "5.3.1", "5.b.1", "8.6.1", "8.10.2", "10.3.1", "16.b.1"]
    # A series that has another code today names that of the release in its title.
    present = ours.filter(pl.col("in_release") == "true").with_columns(
        pl.col("title").str.extract(r" \((\w+) in this release\)$").alias("code_then")
    )
    renamed = present.filter(pl.col("code_then").is_not_null())
    assert renamed.height == 13
    assert not (renamed["loaded"] == "true").any()
    assert not set(renamed["series"]) & set(links["series"])
    assert renamed.join(
        links, left_on=["code_then", "indicator"], right_on=["series", "indicator"], how="anti"
    ).is_empty()
    same = present.filter(pl.col("code_then").is_null())
    assert same.join(links, on=["series", "indicator", "title"], how="anti").is_empty()
    missed = links.filter(pl.col("indicator").is_in(asked)).join(present, on=["series", "indicator"], how="anti")
    assert missed.is_empty()
    absent = ours.filter(pl.col("in_release") == "false")
    assert not set(absent["series"]) & set(links["series"])


def test_the_recorded_lists_of_the_service(bundled_folder: Path) -> None:
    folder = beside("data/official/recorded_api_2022-07")
    lists = {
        f"lists/{name}-List.json.gz": (folder / f"{name}_List.json").read_bytes() for name in ("Series", "Indicator")
    }
    links = _links(lists, "2022.Q2.G.02")
    assert links["indicator"].n_unique() == 248
    assert links["series"].drop_nulls().n_unique() == 609
    assert links.drop_nulls("series").height == 666
    silent = links.filter(pl.col("series").is_null())["indicator"].to_list()
    without = "1.b.1 2.4.1 5.2.2 11.3.1 11.3.2 11.7.2 15.7.1 15.c.1 16.3.3 16.4.1 16.6.2 16.7.2 17.18.1"
    assert sorted(silent) == sorted(without.split())
    several = links.drop_nulls("series").group_by("series").len().filter(pl.col("len") > 1)
    assert several.height == 38
    known = expected_series(bundled_folder).filter(pl.col("in_release") == "true")
    # By July 2022 VC_SNS_WALN had given way to VC_SNS_WALN_DRK; the other the service writes with small letters.
    assert set(known.join(links, on="series", how="anti")["series"]) == {"VC_SNS_WALN", "IT_USE_II99"}


@pytest.mark.thorough
def test_the_complete_release_for_seven_countries_over_http(
    *,
    serve: Callable[..., ReplayServer],
    bundled_folder: Path,
    iso3_by_m49: Mapping[str, str],
    tmp_path: Path,
) -> None:
    path = beside("data/official/unsd_sdg_2020-10.parquet")
    data = ReplayData.from_download(path, "2020-10", areas=[str(int(code)) for code in iso3_by_m49])
    server = serve(data)
    every = [item["code"] for item in server.service.series()]
    with SdgApiClient(server.url, HttpSettings(connections=8, page_size=1000, attempts=3)) as client:
        folder = fetch_snapshot(client, tmp_path, series=every, areas=iso3_by_m49, fetched="2020-11-02")
    snapshot = read_snapshot(folder)
    observations = build_observations(snapshot, iso3_by_m49)
    assert observations.height == 38_666
    assert contradictions(observations).is_empty()
    counts = dict(observations["iso3"].value_counts().rows())
    assert counts == {"BGD": 5840, "IND": 5106, "KEN": 5415, "MWI": 5115, "NPL": 5427, "NGA": 6191, "VNM": 5572}
    # What the release's own reader made of a value is what ours makes of its text.
    read_before = pl.read_parquet(path, columns=["series", "geoAreaCode", "timePeriodStart", "value", "value_num"])
    plain = read_before.filter(pl.col("value").str.contains(r"^-?[0-9.]+$"))
    numbers = dict(plain.select("value", "value_num").unique("value").rows())
    ours = observations.filter(pl.col("value_flag") == "number")
    assert ours["value"].to_list() == [numbers[text] for text in ours["value_text"]]
    texts = set(observations.filter(pl.col("value_flag") == "unreadable")["value_text"])
    assert texts == set()
    catalogue = build_catalogue(snapshot, expected_series(bundled_folder))
    assert catalogue.filter("in_release")["series"].n_unique() == len(every)
