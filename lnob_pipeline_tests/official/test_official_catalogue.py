"""The two tables of stage 5, from the bundled figures and over HTTP: the same data gives the same tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline.official.catalogue import (
    TOTALS,
    build_catalogue,
    build_observations,
    contradictions,
    load_official,
)
from lnob_pipeline.official.client import HttpSettings
from lnob_pipeline.official.releases import choose_snapshot
from lnob_pipeline.official.snapshot import Snapshot, bundled_snapshot, expected_series
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, SDG_CATALOGUE
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer

DAY = "2020-11-02"
ROOT = Path(__file__).resolve().parents[2]
RELEASE_OF_2020 = ROOT.parent / "shared" / "data" / "official" / "unsd_sdg_2020-10.parquet"


@pytest.fixture(scope="module")
def snapshot(bundled_folder: Path) -> Snapshot:
    return bundled_snapshot(bundled_folder)


@pytest.fixture(scope="module")
def catalogue(snapshot: Snapshot, bundled_folder: Path) -> pl.DataFrame:
    return build_catalogue(snapshot, expected_series(bundled_folder))


@pytest.fixture(scope="module")
def observations(snapshot: Snapshot, iso3_by_m49: Mapping[str, str]) -> pl.DataFrame:
    return build_observations(snapshot, iso3_by_m49)


def with_rows(snapshot: Snapshot, rows: list[dict[str, str | None]]) -> Snapshot:
    """The snapshot with rows of our own making."""
    frame = pl.DataFrame(rows, schema_overrides={name: pl.String for row in rows for name in row})
    return replace(snapshot, rows=pl.concat([snapshot.observations.clear(), frame], how="diagonal").lazy())


def row(**fields: str | None) -> dict[str, str | None]:
    whole = {
        "series": "IT_MOB_OWN",
        "area": "404",
        "year": "2019",
        "value_text": "47",
        "nature": "C",
        "units": "PERCENT",
    }
    return whole | fields


# --- the bundled tables --------------------------------------------------------------------------------------


def test_the_tables_have_the_declared_form(catalogue: pl.DataFrame, observations: pl.DataFrame) -> None:
    assert dict(catalogue.schema) == SDG_CATALOGUE.schema
    assert dict(observations.schema) == OFFICIAL_OBSERVATIONS.schema
    assert catalogue.select(SDG_CATALOGUE.key).is_unique().all()
    assert observations.select(OFFICIAL_OBSERVATIONS.key).is_unique().all()
    assert observations.select(OFFICIAL_OBSERVATIONS.key).null_count().sum_horizontal().item() == 0


def test_the_bundled_figures_by_number(observations: pl.DataFrame) -> None:
    assert observations.height == 6741
    assert observations["series"].n_unique() == 28
    assert sorted(observations["iso3"].unique()) == ["BGD", "IND", "KEN", "MWI", "NGA", "NPL", "VNM"]
    flags = dict(observations["value_flag"].value_counts().rows())
    assert flags == {"number": 6700, "below": 41}
    below = observations.filter(pl.col("value_flag") == "below")
    assert set(below["value_text"]) == {"<5"}
    assert below.select("value", "lower", "upper").unique().rows() == [(None, 0.0, 5.0)]


def test_birth_registration_has_no_row_for_all_ages(observations: pl.DataFrame) -> None:
    rows = observations.filter((pl.col("series") == "SG_REG_BRTH") & (pl.col("iso3") == "KEN"))
    assert rows.select("m49", "year", "value_text", "value", "age", "dimension_key", "nature").rows() == [
        ("404", 2014, "66.9", 66.9, "<5Y", "age=<5Y", "C")
    ]


def test_unspecified_quantile_is_the_total_and_stays_visible(observations: pl.DataFrame) -> None:
    rows = observations.filter(
        (pl.col("series") == "FB_BNK_ACCSS") & (pl.col("iso3") == "VNM") & (pl.col("sex") == "BOTHSEX")
    )
    assert rows["quantile"].unique().to_list() == ["NOTSPEC"]
    assert rows["dimension_key"].unique().to_list() == ["age=15+"]


def test_a_nature_that_was_not_stated_is_not_available(observations: pl.DataFrame) -> None:
    natures = dict(observations["nature"].value_counts().rows())
    assert natures == {"E": 5816, "C": 689, "G": 100, "NA": 69, "CA": 67}


def test_the_catalogue_bridges_series_and_indicators(catalogue: pl.DataFrame, bundled_folder: Path) -> None:
    def indicators(series: str) -> list[str]:
        return catalogue.filter(pl.col("series") == series)["indicator"].to_list()

    assert catalogue.height == expected_series(bundled_folder).height
    assert indicators("VC_VOV_GDSD") == ["10.3.1", "16.b.1"]
    assert indicators("SH_SAN_SAFE") == indicators("SH_SAN_DEFECT") == ["6.2.1a"]
    assert indicators("SH_SAN_HNDWSH") == ["6.2.1b"]
    absent = catalogue.filter(~pl.col("in_release"))
    present = catalogue.filter("in_release")
    silent = set(absent["indicator"]) - set(present["indicator"])
    assert silent == {"1.4.2", "5.2.2", "9.1.1", "11.2.1", "11.7.2", "16.3.3", "16.6.2", "16.7.2"}
    assert not absent["loaded"].any()
    assert present.filter("loaded")["series"].n_unique() == 28
    apart = present.filter(~pl.col("loaded"))
    assert apart["series"].n_unique() == 70, "in the release, but not bundled"
    assert catalogue.filter("loaded")["unit"].null_count() == 0
    assert catalogue.filter(~pl.col("loaded"))["unit"].null_count() == absent.height + apart.height


def test_the_bundled_catalogue_says_what_its_figures_say(bundled_folder: Path, catalogue: pl.DataFrame) -> None:
    stated = expected_series(bundled_folder).with_columns(
        (pl.col("in_release") == "true").alias("in_release"),
        (pl.col("loaded") == "true").alias("loaded"),
        # Of a series that is not bundled there are no rows to read a unit from.
        pl.when(pl.col("loaded") == "true").then("unit").alias("unit"),
    )
    assert_frame_equal(
        stated.select(catalogue.columns).sort(SDG_CATALOGUE.key),
        catalogue.sort(SDG_CATALOGUE.key),
        check_row_order=True,
    )


# --- over HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [False, True])
def test_the_api_and_the_bundle_give_the_same_tables(
    *,
    settings: Settings,
    serve: Callable[..., ReplayServer],
    impatient: HttpSettings,
    iso3_by_m49: Mapping[str, str],
    catalogue: pl.DataFrame,
    observations: pl.DataFrame,
    faults: bool,
) -> None:
    server = serve()
    if faults:
        for kind in set(Kind) - {Kind.SLOW, Kind.NEW_RELEASE, Kind.REVISION, Kind.LOST_ROW}:
            server.misbehave(kind)
            server.misbehave(kind, page=3)
            server.misbehave(Kind.STATUS, path="List", status=502)
    online = replace(settings, official_source="api", official_api=server.url)
    http = replace(impatient, page_size=200, attempts=50)
    over_http, rows, info = load_official(online, iso3_by_m49, DAY, http=http)
    assert info.route == "api", info.reason
    # The bundle leaves out the rows of some series; the service is asked for those of all that it has.
    assert_frame_equal(over_http, catalogue.with_columns(loaded="in_release"))
    # The bundle lacks the reporting type; footnotes and sources are empty in both.
    assert set(rows["other_dimensions"].str.contains("reporting_type=G")) == {True}
    without = rows.with_columns(pl.col("other_dimensions").str.replace(r";?reporting_type=G$", "").replace("", None))
    assert_frame_equal(without, observations)


def test_the_full_release_of_another_framework(
    serve: Callable[..., ReplayServer],
    bundled_data: ReplayData,
    settings: Settings,
    impatient: HttpSettings,
    iso3_by_m49: Mapping[str, str],
) -> None:
    """A release with an indicator we did not ask about, one without series, and a series that we lost."""
    extra = pl.DataFrame(
        {
            "indicator": ["1.1.2", "2.4.1"],
            "goal": ["1", "2"],
            "target": ["1.1", "2.4"],
            "series": ["SI_NEW", None],
            "title": ["A new series", "Area under agriculture"],
        }
    )
    links = pl.concat([bundled_data.links.filter(pl.col("series").ne_missing("EN_LND_SLUM")), extra])
    server = serve(replace(bundled_data, links=links))
    online = replace(settings, official_source="api", official_api=server.url)
    table, rows, _ = load_official(online, iso3_by_m49, DAY, http=replace(impatient, page_size=1000))

    def state(indicator: str) -> list[tuple[object, ...]]:
        return table.filter(pl.col("indicator") == indicator).select("series", "in_release", "loaded").rows()

    assert state("1.1.2") == [("SI_NEW", True, True)], "every series of the release is asked for"
    assert state("2.4.1") == [(None, False, False)], "an indicator without any series"
    assert ("EN_LND_SLUM", False, False) in state("11.1.1"), "a series that the release lost"
    assert len(state("16.6.2")) == 8
    assert "EN_LND_SLUM" not in set(rows["series"])


def test_a_loaded_series_without_a_row_is_loaded(
    settings: Settings, server: ReplayServer, impatient: HttpSettings, iso3_by_m49: Mapping[str, str]
) -> None:
    # Silence of a country, which is a gap, must be told from a series that was never asked for.
    online = replace(settings, official_source="api", official_api=server.url)
    kenya = {"404": "KEN"}
    snapshot = choose_snapshot(online, kenya, DAY, series=["VC_VOV_GDSD"], http=impatient)
    table = build_catalogue(snapshot, expected_series(settings.official))
    assert build_observations(snapshot, kenya).is_empty()
    assert dict(build_observations(snapshot, kenya).schema) == OFFICIAL_OBSERVATIONS.schema
    loaded = table.filter("loaded").select("indicator", "series").rows()
    assert loaded == [("10.3.1", "VC_VOV_GDSD"), ("16.b.1", "VC_VOV_GDSD")]


# --- rows as releases have been known to write them --------------------------------------------------------------


def test_codes_are_cleaned_areas_padded_and_strangers_left_out(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str]
) -> None:
    rows = [
        row(area="50", year="2019.0", **{"dimension.age": "Y30T70\r\n", "dimension.sex": "BOTHSEX"}),
        row(area="404", lower_bound="45.1", upper_bound=" 49 ", footnotes="  "),
        row(area="1"),
    ]
    table = build_observations(with_rows(snapshot, rows), iso3_by_m49)
    assert table.select("m49", "iso3", "year", "age", "dimension_key").rows() == [
        ("050", "BGD", 2019, "Y30T70", "age=Y30T70"),
        ("404", "KEN", 2019, None, ""),
    ]
    assert table.select("lower_bound", "upper_bound", "footnotes").row(1) == (45.1, 49.0, None)


@pytest.mark.parametrize(
    ("codes", "key", "others"),
    [
        ({}, "", None),
        ({"sex": "BOTHSEX", "age": "ALLAGE", "location": "ALLAREA", "quantile": "_T"}, "", None),
        ({"quantile": "NOTSPEC"}, "", None),
        ({"migratory_status": "NOTSPEC"}, "", "migratory_status=NOTSPEC"),
        ({"sex": "NOTSPEC", "age": "NOTSPEC", "location": "NOTSPEC"}, "", None),
        ({"level_status": "NOTSPEC"}, "", "level_status=NOTSPEC"),
        (
            {"name_of_non_communicable_disease": "NOTSPEC"},  # four diseases together, a code of its own in SDMX
            "name_of_non_communicable_disease=NOTSPEC",
            "name_of_non_communicable_disease=NOTSPEC",
        ),
        ({"reporting_type": "G"}, "", "reporting_type=G"),
        ({"reporting_type": "N"}, "reporting_type=N", "reporting_type=N"),
        ({"sex": "FEMALE", "disability_status": "PD"}, "disability_status=PD;sex=FEMALE", None),
        (
            {"grounds_of_discrimination": "ALL", "type_of_household": "_T", "sex": "MALE"},
            "sex=MALE",
            "grounds_of_discrimination=ALL;type_of_household=_T",
        ),
        ({"activity": "TOTAL", "age": "_T"}, "", "activity=TOTAL"),
    ],
)
def test_the_key_of_a_stratum_leaves_totals_out(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str], codes: dict[str, str], key: str, others: str | None
) -> None:
    one = row(**{f"dimension.{name}": code for name, code in codes.items()})
    table = build_observations(with_rows(snapshot, [one]), iso3_by_m49)
    assert table.select("dimension_key", "other_dimensions").row(0) == (key, others)
    for name, code in codes.items():
        if name in table.columns:
            assert table[name][0] == code, "the code as published stays visible"


def test_unspecified_is_a_total_where_the_release_of_2020_uses_it_alone_and_sdmx_says_total() -> None:
    if not RELEASE_OF_2020.is_file():
        pytest.skip("the release of October 2020 is not beside this checkout")
    codes = pl.read_csv(ROOT / "indicator_mappings" / "framework" / "codes.csv", infer_schema=False)
    twins = codes.filter(pl.col("code") == "NOTSPEC", pl.col("sdmx_code") == "_T")["dimension"].to_list()
    assert {name for name, totals in TOTALS.items() if "NOTSPEC" in totals} == set(twins)
    several = (
        pl.scan_parquet(RELEASE_OF_2020)
        .group_by("series")
        .agg((pl.col(twins) == "NOTSPEC").any() & (pl.col(twins).fill_null("_T").n_unique() > 1))
        .select(pl.col(twins).any())
        .collect()
    )
    assert several.row(0) == (False,) * len(twins)


def test_rows_repeated_for_each_indicator_are_taken_once(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert build_observations(with_rows(snapshot, [row(), row()]), iso3_by_m49).height == 1
    assert caplog.text == ""


def test_two_values_for_one_observation_are_both_kept_and_said(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        table = build_observations(with_rows(snapshot, [row(), row(value_text="48")]), iso3_by_m49)
    assert table["value"].to_list() == [47.0, 48.0]
    assert "1 observations have more than one value" in caplog.text
    assert contradictions(table).height == 1


def test_a_row_without_a_year_is_left_out_and_said(
    snapshot: Snapshot, iso3_by_m49: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        table = build_observations(with_rows(snapshot, [row(), row(year=None), row(year="NaN")]), iso3_by_m49)
    assert table.height == 1
    assert "2 rows without a year are left out" in caplog.text


def test_the_order_of_rows_does_not_matter(snapshot: Snapshot, iso3_by_m49: Mapping[str, str]) -> None:
    shuffled = replace(snapshot, rows=snapshot.observations.sample(fraction=1.0, shuffle=True, seed=7).lazy())
    assert_frame_equal(build_observations(shuffled, iso3_by_m49), build_observations(snapshot, iso3_by_m49))
