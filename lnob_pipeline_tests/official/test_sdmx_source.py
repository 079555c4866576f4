"""The SDMX twin against a real server: the same observations as by the API, and a clear error where it is not whole."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline import storage, tables
from lnob_pipeline.official.catalogue import TOTAL, TOTALS, build_observations
from lnob_pipeline.official.checks import check_results
from lnob_pipeline.official.client import SdgApiClient
from lnob_pipeline.official.codes import FILE, Codes, series_code, series_code_of
from lnob_pipeline.official.http import HttpSettings, OfficialSourceError
from lnob_pipeline.official.pages import DIMENSION, TEXT_COLUMNS, no_rows
from lnob_pipeline.official.releases import choose_snapshot
from lnob_pipeline.official.sdmx_client import OBSERVATION_STATUS, SdmxClient
from lnob_pipeline.official.snapshot import Snapshot, SnapshotInfo, bundled_snapshot
from lnob_pipeline.official.sources import OfficialSource, SourcePart, UnknownCodeError
from lnob_pipeline.pipeline import run_official
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.official import sdmx_replay as replay
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49
from lnob_pipeline_tests.official.replay_data import AREA_NAMES, ReplayData
from lnob_pipeline_tests.official.replay_server import ReplayServer
from lnob_pipeline_tests.official.sdmx_replay import Answer, Fault, SdmxData, SdmxReplay

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
RELEASE_OF_2020 = SHARED / "official" / "unsd_sdg_2020-10_7countries.csv"
CODE_LISTS = SHARED / "sdmx" / "global_SDG_DSD_1.4_codelists"
CONSTRAINTS = SHARED / "sdmx" / "sdmx_global_content_constraints.csv"

SERIES = "SL_TLF_NEET"  # by sex, 90 rows for the seven countries
AREAS = list(ISO3_BY_M49)
# What a figure is, whichever way it came.
KEY = ["series", "m49", "year", "dimension_key", "nature", "units"]
FIGURE = [*KEY, "value_text", "value", "lower", "upper", "value_flag"]
DOUBLE = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"  # what OBS_VALUE of the dataflow can hold


@pytest.fixture(scope="module")
def codes() -> Codes:
    return Codes.load(ROOT / "indicator_mappings")


@pytest.fixture(scope="module")
def bundled(codes: Codes) -> SdmxData:
    snapshot = bundled_snapshot(ROOT / "data" / "official")
    return SdmxData.of_api_rows(snapshot.observations, snapshot.links, AREA_NAMES, codes)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SdmxReplay]]:
    """Start replays; they stop with the test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ExitStack() as running:
        yield lambda *what, **how: running.enter_context(SdmxReplay(*what, **how))


@pytest.fixture
def server(serve: Callable[..., SdmxReplay], bundled: SdmxData) -> SdmxReplay:
    return serve(bundled)


@pytest.fixture
def client(server: SdmxReplay, codes: Codes, impatient: HttpSettings) -> Iterator[SdmxClient]:
    with SdmxClient(server.url, codes, impatient) as client:
        yield client


def one(client: SdmxClient, series: str = SERIES, areas: list[str] | None = None) -> SourcePart:
    (part,) = client.observations([series], AREAS if areas is None else areas)
    return part


def observations(rows: pl.DataFrame) -> pl.DataFrame:
    """The table made of rows as text, of either source."""
    info = SnapshotInfo("2020-10", "2020-10-01", "sdmx", "a test", "a replay", "", 0, rows.height)
    with_code = rows.with_columns(series_code_of("series"))
    links = pl.DataFrame(schema=dict.fromkeys(("indicator", "goal", "target", "series", "title"), pl.String))
    snapshot = Snapshot(info, links, with_code.lazy(), frozenset(with_code["series"]))
    return build_observations(snapshot, ISO3_BY_M49).select(FIGURE).sort(KEY)


def by_sdmx(server: SdmxReplay, codes: Codes, http: HttpSettings, series: list[str]) -> pl.DataFrame:
    with SdmxClient(server.url, codes, http) as client:
        parts = [part.rows for part in client.observations(series, AREAS)]
    return observations(pl.concat([no_rows(), *parts], how="diagonal"))


def by_api(data: ReplayData, http: HttpSettings, series: list[str]) -> pl.DataFrame:
    with ReplayServer(data) as server, SdgApiClient(server.url, http) as client:
        parts = [part.rows for part in client.observations(series, AREAS)]
    return observations(pl.concat([no_rows(), *parts], how="diagonal"))


# --- the same figures by both ways ---------------------------------------------------------------------------


def read_alike(codes: Codes) -> dict[str, set[str]]:
    """Dimension -> codes of the API that are read back as themselves, or as a total where they are one."""
    table = codes.table.with_columns(total=pl.col("sdmx_code") == "_T")
    first = table.unique(["dimension", "sdmx_dimension", "sdmx_code", "unit_multiplier"], keep="first")
    first = first.unique(["sdmx_dimension", "sdmx_code", "unit_multiplier", "series"], keep="first")
    alike = {
        name: set(found)
        for name, found in table.join(first, on=table.columns, how="semi", nulls_equal=True)
        .filter(~pl.col("total"))
        .group_by("dimension")
        .agg("code")
        .rows()
    }
    for name in table["dimension"].unique():
        alike.setdefault(name, set()).update({TOTAL, *TOTALS.get(name, ())})
    for name, code in table.filter(pl.col("total") & pl.col("series").is_not_null()).select("dimension", "code").rows():
        alike[name].add(code)
    alike["nature"].add("NOTSPEC")  # NA in the table, by either way
    return alike


def told_apart(rows: pl.DataFrame, codes: Codes) -> set[str]:
    """The series with a code that has no twin, or that SDMX gives back in another spelling."""
    alike = read_alike(codes)
    apart: set[str] = set()
    for column in [*(name for name in rows.columns if name.startswith(DIMENSION)), "units"]:
        known = alike.get(column.removeprefix(DIMENSION), set())
        apart |= set(rows.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(known))["series"])
    return apart


def both_ways(
    data: ReplayData, serve: Callable[..., SdmxReplay], codes: Codes, http: HttpSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The figures of the series that read alike, by the API and by SDMX."""
    rows = data.observations.cast(pl.String)
    plain = pl.col("value_text").str.contains(DOUBLE)
    chosen = rows.filter(plain & ~pl.col("series").is_in(list(told_apart(rows, codes))))
    series = sorted(set(chosen["series"]))
    patient = replace(http, page_size=10_000, read_timeout=60)
    sdmx = by_sdmx(serve(SdmxData.of_api_rows(chosen, data.links, data.names, codes)), codes, patient, series)
    return by_api(replace(data, observations=chosen), patient, series), sdmx


def test_the_bundled_figures_are_the_same_by_both_ways(
    serve: Callable[..., SdmxReplay], codes: Codes, bundled_data: ReplayData, impatient: HttpSettings
) -> None:
    api, sdmx = both_ways(bundled_data, serve, codes, impatient)
    assert sdmx.equals(api)
    assert (sdmx["series"].n_unique(), sdmx.height) == (26, 6_686)
    # The unit of 2020 for "per cent of women aged 20 to 24" is read as the percentage that it is.
    assert told_apart(bundled_data.observations, codes) == {"SP_DYN_MRBF15", "SP_DYN_MRBF18"}


@pytest.fixture(scope="module")
def release_of_2020(tmp_path_factory: pytest.TempPathFactory) -> ReplayData:
    if not RELEASE_OF_2020.is_file():
        pytest.skip("the release of October 2020 is not beside this checkout")
    path = tmp_path_factory.mktemp("release") / "release.parquet"
    pl.read_csv(RELEASE_OF_2020, infer_schema=False).write_parquet(path)
    return ReplayData.from_download(path, "2020-10")


@pytest.mark.thorough
def test_the_release_of_2020_is_the_same_by_both_ways(
    serve: Callable[..., SdmxReplay], codes: Codes, release_of_2020: ReplayData, impatient: HttpSettings
) -> None:
    api, sdmx = both_ways(release_of_2020, serve, codes, impatient)
    assert sdmx.equals(api)
    rows = release_of_2020.observations.cast(pl.String)
    apart = told_apart(rows, codes)
    assert (rows["series"].n_unique(), rows.height) == (391, 38_666)
    assert (sdmx["series"].n_unique(), sdmx.height) == (384, 38_315)
    # Of the rows that SDMX does not give back: series with a code apart, and texts that OBS_VALUE cannot hold.
    assert rows.filter(pl.col("series").is_in(list(apart))).height == 270
    text = rows.filter(~pl.col("value_text").str.contains(DOUBLE) & ~pl.col("series").is_in(list(apart)))
    assert dict(text["value_text"].value_counts().rows()) == {"N": 37, "NV": 3, "<5": 41}
    assert apart == {
        "EN_REF_WASCOL",  # by city
        "SL_EMP_AEARN",  # two totals, one of each classification of occupations
        "SH_STA_OVRWGT",  # a unit of its own
        "SH_STA_STUNT",
        "SH_STA_WASTE",
        "SP_DYN_MRBF15",
        "SP_DYN_MRBF18",
    }


def test_the_twins_of_2020_agree_with_the_content_constraints(codes: Codes, release_of_2020: ReplayData) -> None:
    """What UNSD says each series may carry in SDMX, against what its API carried, through the pairs of codes."""
    rows = release_of_2020.observations.cast(pl.String)
    found = replay.as_sdmx(rows.filter(~pl.col("series").is_in(list(told_apart(rows, codes)))), codes)
    allowed = pl.read_csv(CONSTRAINTS, infer_schema=False)
    concepts = [name for name in allowed.columns if name in found.columns and name != "SERIES"]
    carried = found.select("SERIES", *concepts).unpivot(index="SERIES", variable_name="concept", value_name="code")
    stated = allowed.unpivot(on=concepts, index="SERIES", variable_name="concept", value_name="allowed")
    compared = carried.unique().join(stated.filter(pl.col("allowed") != "ALL"), on=("SERIES", "concept"))
    differs = compared.filter(~pl.col("allowed").str.split(";").list.contains(pl.col("code")))
    assert (compared["SERIES"].n_unique(), compared.height) == (354, 3_528)
    # Series that changed between the two: in their unit, or in a breakdown that the API took for granted.
    assert set(differs.select("SERIES", "concept", "code", "allowed").rows()) == {
        ("EN_ATM_CO2MVA", "ACTIVITY", "_T", "ISIC4_C"),
        ("NV_IND_MANF", "ACTIVITY", "_T", "ISIC4_C"),
        ("NV_IND_MANFPC", "ACTIVITY", "_T", "ISIC4_C"),
        ("SL_TLF_MANF", "ACTIVITY", "_T", "ISIC4_C"),
        ("EN_HAZ_PCAP", "UNIT_MEASURE", "KG", "T"),
        ("FB_ATM_TOTL", "UNIT_MEASURE", "NUMBER", "PER_100000_POP"),
        ("FB_CBK_BRCH", "UNIT_MEASURE", "NUMBER", "PER_100000_POP"),
        ("SE_AGP_CPRA", "UNIT_MEASURE", "RO", "PT"),
        ("SE_ALP_CPLR", "UNIT_MEASURE", "RO", "PT"),
        ("SE_AWP_CPRA", "UNIT_MEASURE", "RO", "PT"),
        ("SG_PLN_MSTKSDG", "UNIT_MEASURE", "BOOL", "NUMBER"),
        ("SH_DTH_NCOM", "UNIT_MEASURE", "PT", "PROB"),
        ("SL_CPA_YEMP", "UNIT_MEASURE", "SCORE", "NUMBER"),
        ("ER_FFS_PRTSST", "UNIT_MULT", "9", "6"),
        ("EN_LND_SLUM", "URBANISATION", "_T", "U"),
    }


# --- as the source of stage 5 --------------------------------------------------------------------------------


def test_the_setting_sdmx_makes_a_snapshot_of_the_service(
    server: SdmxReplay, settings: Settings, impatient: HttpSettings
) -> None:
    asking = replace(settings, mappings=ROOT / "indicator_mappings", official_source="sdmx", official_sdmx=server.url)
    patient = replace(impatient, read_timeout=30)
    snapshot = choose_snapshot(asking, AREAS, "2026-10-06", http=patient)
    assert (snapshot.info.release, snapshot.info.route, snapshot.info.rows) == ("SDMX-1.26", "sdmx", 6_741)
    assert snapshot.info.source == server.url
    served = snapshot.links.filter(pl.col("series") == "VC_VOV_GDSD")
    assert set(served["indicator"]) == {"10.3.1", "16.b.1"}
    bundled = build_observations(bundled_snapshot(settings.official), ISO3_BY_M49)
    found = build_observations(snapshot, ISO3_BY_M49)
    same = ["series", "m49", "iso3", "year", "dimension_key", "nature", "value_text", "value"]
    assert found.select(same).sort(same).equals(bundled.select(same).sort(same))

    asked = len(server.asked("/data/"))
    again = choose_snapshot(asking, AREAS, "2026-10-07", http=patient)
    assert (again.info.sha256, again.info.date) == (snapshot.info.sha256, "2026-10-06")
    assert len(server.asked("/data/")) == asked, "a release that is there is not fetched again"

    server.misbehave(replay.status(500), path="", times=None)
    last = choose_snapshot(asking, AREAS, "2026-10-08", http=impatient)
    assert (last.info.route, last.info.date) == ("last_good", "2026-10-06")
    assert "status 500" in last.info.reason


def test_stage_5_with_the_setting_sdmx_ends_with_its_tables_and_says_so(server: SdmxReplay, settings: Settings) -> None:
    """Through `run_official`, as a nightly run does: the four tables, the route, and the last good one afterwards."""
    asking = replace(settings, mappings=ROOT / "indicator_mappings", official_source="sdmx", official_sdmx=server.url)
    step = run_official(asking, "2026-10-06T03:00:00Z")
    observed, catalogue, releases, revisions = (
        storage.read_table(asking.lake, table)
        for table in (
            tables.OFFICIAL_OBSERVATIONS,
            tables.SDG_CATALOGUE,
            tables.OFFICIAL_RELEASES,
            tables.OFFICIAL_REVISIONS,
        )
    )
    bundled = build_observations(bundled_snapshot(settings.official), ISO3_BY_M49)
    same = [name for name in FIGURE if name != "units"]  # the unit of child marriage is told apart, see above
    assert observed.select(same).sort(same).equals(bundled.select(same).sort(same))
    assert set(observed["release"]) == set(catalogue["release"]) == {"SDMX-1.26"}
    used = ("SDMX-1.26", "sdmx", "2026-10-06", server.url, observed.height, "in_use")
    assert releases.select("release", "route", "fetched", "source", "rows", "state").rows() == [used]
    assert revisions.is_empty()
    assert step.changed and step.numbers["observations"] == observed.height
    assert all(result.passed for result in check_results(asking.lake))

    run_official(replace(asking, official_source="last_good"), "2026-10-07T03:00:00Z")
    again = storage.read_table(asking.lake, tables.OFFICIAL_RELEASES)
    assert again.select("release", "route", "fetched", "state").rows() == [(*used[:3], "in_use")]


def test_a_service_that_fails_half_way_leaves_the_bundled_figures(
    server: SdmxReplay, settings: Settings, impatient: HttpSettings
) -> None:
    server.misbehave(FAULTS["cut short"][0], path=SERIES, times=None)
    asking = replace(settings, mappings=ROOT / "indicator_mappings", official_source="sdmx", official_sdmx=server.url)
    snapshot = choose_snapshot(asking, AREAS, "2026-10-06", http=impatient)
    assert snapshot.info.route == "bundled"
    assert f"data of {SERIES}: broken XML" in snapshot.info.reason


# --- pairs of codes ------------------------------------------------------------------------------------------

LISTS = {
    "URBANISATION": "CL_URBANISATION",
    "INCOME_WEALTH_QUANTILE": "CL_QUANTILE",
    "COMPOSITE_BREAKDOWN": "CL_COMP_BREAKDOWN",
    "DISABILITY_STATUS": "CL_DISABILITY",
}


def test_every_code_of_sdmx_is_in_the_code_list_of_its_dimension(codes: Codes) -> None:
    if not CODE_LISTS.is_dir():
        pytest.skip("the code lists of the global SDG structure are not beside this checkout")
    for (concept,), pairs in codes.table.group_by("sdmx_dimension"):
        path = CODE_LISTS / f"{LISTS.get(str(concept), f'CL_{concept}')}.csv"
        known = set(pl.read_csv(path, infer_schema=False)["code"])
        assert set(pairs["sdmx_code"]) <= known, concept
    multipliers = set(pl.read_csv(CODE_LISTS / "CL_UNIT_MULT.csv", infer_schema=False)["code"])
    assert set(codes.table["unit_multiplier"].drop_nulls()) <= multipliers


def test_a_code_of_the_api_has_one_twin(codes: Codes) -> None:
    table = codes.table
    assert table.select("dimension", "code").is_unique().all()
    assert table["source"].null_count() == 0
    assert table.group_by("dimension").agg(pl.col("sdmx_dimension").n_unique())["sdmx_dimension"].max() == 1


def test_the_twins_that_matter_most(codes: Codes) -> None:
    pairs = {(name, code): twin for name, code, twin in codes.table.select("dimension", "code", "sdmx_code").rows()}
    # PWD is WITHOUT a disability, in both services.
    assert pairs["disability_status", "PWD"] == "PWD"
    assert pairs["disability_status", "PD"] == "PD"
    assert pairs["sex", "FEMALE"] == "F"
    assert pairs["age", "15-24"] == "Y15T24"
    assert pairs["age", "<5Y"] == "Y0T4"
    assert pairs["location", "RURAL"] == "R"


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"codes\.csv is missing"):
        Codes.load(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text("api,sdmx\nFEMALE,F\n", "utf-8")
    with pytest.raises(ValueError, match=r"codes\.csv has the columns api, sdmx; they are dimension"):
        Codes.load(tmp_path)


@pytest.mark.parametrize("text", ["IT_USE_ii99", "IT_USE_II99", " it_use_ii99\r"])
def test_a_series_has_one_spelling(text: str) -> None:
    assert series_code(text) == "IT_USE_II99"
    assert pl.DataFrame({"series": [text]}).select(series_code_of("series")).item() == "IT_USE_II99"


SOME = Codes.load(ROOT / "indicator_mappings")
BREAKDOWNS = {
    str(name): sorted(found)
    for (name,), found in (
        (key, group["code"].to_list())
        for key, group in SOME.table.filter(
            (pl.col("sdmx_code") != "_T") & ~pl.col("dimension").is_in(["units", "nature", "reporting_type"])
        ).group_by("dimension")
    )
}
COMPOSITE = set(SOME.table.filter(pl.col("sdmx_dimension") == "COMPOSITE_BREAKDOWN")["dimension"])
PLAIN = sorted(BREAKDOWNS.keys() - COMPOSITE)


@given(
    st.lists(
        st.tuples(
            st.fixed_dictionaries({name: st.sampled_from([None, *BREAKDOWNS[name]]) for name in PLAIN}),
            st.one_of(
                st.none(), *(st.tuples(st.just(name), st.sampled_from(BREAKDOWNS[name])) for name in sorted(COMPOSITE))
            ),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_breakdown_is_read_back_as_it_was(made: list[tuple[dict[str, str | None], tuple[str, str] | None]]) -> None:
    """Codes that are no totals come back in their dimension, whatever stands beside them; totals never come alone."""
    wanted = [{**plain, **dict([one] if one else [])} for plain, one in made]
    names = sorted({name for row in wanted for name in row})
    text = dict.fromkeys(TEXT_COLUMNS, pl.String)
    rows = pl.DataFrame(
        [
            dict.fromkeys(text)
            | {"series": "A_B_C", "area": "50", "year": str(1900 + number), "value_text": "1"}
            | {"nature": "C", "units": "PERCENT"}
            | {DIMENSION + name: row.get(name) for name in names}
            for number, row in enumerate(wanted)
        ],
        schema=text | {DIMENSION + name: pl.String for name in names},
    )
    concepts = [name for name in replay.DIMENSIONS if name not in ("SERIES", "REF_AREA")]
    found, without_twin = SOME.dimensions("A_B_C", replay.as_sdmx(rows, SOME), concepts)
    assert not without_twin
    carried = found.drop(DIMENSION + "reporting_type", strict=False).to_dicts()
    for row, back in zip(wanted, carried or [{}] * len(wanted), strict=True):
        totals = {name: {TOTAL, *TOTALS.get(name, ())} for name in BREAKDOWNS}
        broken_down = {
            column.removeprefix(DIMENSION): code
            for column, code in back.items()
            if code is not None and code not in totals[column.removeprefix(DIMENSION)]
        }
        assert broken_down == {name: code for name, code in row.items() if code is not None}
    for column in found.columns:
        if column != DIMENSION + "reporting_type":
            assert set(found[column].drop_nulls()) - {TOTAL, *TOTALS.get(column.removeprefix(DIMENSION), ())}


# --- what is asked, and what a good answer is ----------------------------------------------------------------


def test_it_is_a_source(client: SdmxClient) -> None:
    source: OfficialSource = client
    assert source.release() == "SDMX-1.26"
    assert source.updated() == ""
    assert "IT_MOB_OWN" in source.series_codes()
    assert source.base_url.endswith("/ws/rest")


def test_the_version_is_left_out_and_areas_have_no_leading_zeros(client: SdmxClient, server: SdmxReplay) -> None:
    one(client, areas=["050", "404"])
    (path,) = server.asked("/data/")
    assert path == f"/legacy/ws/rest/data/IAEG-SDGs,DF_SDG_GLH,/..{SERIES}.50+404.........../ALL/"
    (query,) = (query for path, query, _ in server.requests if "/legacy/ws/rest/data/" in path)
    assert query == {"detail": ["full"], "dimensionAtObservation": ["TIME_PERIOD"]}
    agents = {headers["user-agent"].split("/")[0] for _, _, headers in server.requests}
    assert agents == {"lnob-pipeline"}


def test_all_areas_are_an_empty_place_in_the_key(client: SdmxClient, server: SdmxReplay) -> None:
    (part,) = client.observations([SERIES])
    assert part.total == 90
    assert f"..{SERIES}............/" in server.asked("/data/")[0]
    with pytest.raises(ValueError, match="at least one area"):
        list(client.observations([SERIES], []))


def test_a_part_is_whole_and_in_the_shape_of_the_api(client: SdmxClient) -> None:
    part = one(client)
    assert (part.series, part.total, part.rows.height, len(part.bodies)) == (SERIES, 90, 90, 1)
    assert part.suffix == ".xml"
    assert part.bodies[0].startswith(b"<?xml")
    assert tuple(part.rows.columns[: len(TEXT_COLUMNS)]) == TEXT_COLUMNS
    assert set(part.rows.schema.dtypes()) == {pl.String}
    assert set(part.rows["area"]) == set(AREAS)
    assert set(part.rows[f"{DIMENSION}sex"]) == {"BOTHSEX", "FEMALE", "MALE"}
    assert set(part.rows[f"{DIMENSION}age"]) == {"15-24"}
    # The series is not broken down by these, so no total stands for them.
    assert f"{DIMENSION}location" not in part.rows.columns
    assert f"{DIMENSION}disability_status" not in part.rows.columns


def test_one_request_for_each_series(client: SdmxClient, server: SdmxReplay) -> None:
    wanted = ["SP_DYN_MRBF18", "FB_BNK_ACCSS", "SG_REG_BRTH", SERIES]
    assert {part.series for part in client.observations(wanted, AREAS)} == set(wanted)
    assert len(server.asked("/data/")) == 4
    assert len(server.asked("/dataflow/")) == 1


def test_generic_data_is_read_as_well(serve: Callable[..., SdmxReplay], bundled: SdmxData, codes: Codes) -> None:
    with (
        SdmxClient(serve(bundled).url, codes) as specific,
        SdmxClient(serve(bundled, only_generic=True).url, codes) as g,
    ):
        assert b"<Series " in one(specific).bodies[0]
        generic = one(g)
        assert b"<gen:SeriesKey>" in generic.bodies[0]
        assert generic.rows.equals(one(specific).rows)


def test_no_row_is_no_error(client: SdmxClient) -> None:
    part = one(client, "VC_VOV_GDSD", ["404"])
    assert (part.total, part.bodies, part.rows.columns) == (0, (), list(TEXT_COLUMNS))


def test_an_unknown_series_is_said_before_anything_is_asked(client: SdmxClient, server: SdmxReplay) -> None:
    with pytest.raises(UnknownCodeError, match=r"series SG_REG_BRTHS not in SDMX-1\.26.*a renamed series"):
        list(client.observations([SERIES, "SG_REG_BRTHS"], AREAS))
    assert not server.asked("/data/")


def test_an_unknown_area_is_said_before_anything_is_asked(client: SdmxClient, server: SdmxReplay) -> None:
    with pytest.raises(UnknownCodeError, match=r"area 999 not in SDMX-1\.26.*countries\.yaml"):
        list(client.observations([SERIES], ["404", "999"]))
    assert not server.asked("/data/")


def test_the_spelling_of_the_api_is_understood(
    serve: Callable[..., SdmxReplay], bundled: SdmxData, codes: Codes
) -> None:
    renamed = bundled.observations.with_columns(pl.col("SERIES").replace(SERIES, "IT_USE_II99"))
    data = replace(bundled, observations=renamed, titles={**bundled.titles, "IT_USE_II99": ("Internet", ["17.8.1"])})
    with SdmxClient(serve(data).url, codes) as client:
        part = one(client, "IT_USE_ii99")
        assert part.series == "IT_USE_II99"
        assert set(part.rows["series"]) == {"IT_USE_II99"}


def test_the_lists_come_in_the_shape_of_the_api(client: SdmxClient, bundled: SdmxData) -> None:
    lists = client.lists()
    assert lists["SDMX-Structure.xml"] == replay.structure(bundled)
    series = {item["code"]: item for item in json.loads(lists["Series-List.json"])}
    assert series["VC_VOV_GDSD"] == {
        "goal": ["10", "16"],
        "target": ["10.3", "16.b"],
        "indicator": ["10.3.1", "16.b.1"],
        "release": "SDMX-1.26",
        "code": "VC_VOV_GDSD",
        "description": bundled.titles["VC_VOV_GDSD"][0],
    }
    assert "SG_POV_DOM" not in series, "a retired series serves no indicator"
    assert "SG_POV_DOM" in client.series_codes()
    indicators = {item["code"]: item for item in json.loads(lists["Indicator-List.json"])}
    assert indicators["8.6.1"] == {
        "goal": "8",
        "target": "8.6",
        "code": "8.6.1",
        "description": "Indicator 8.6.1",
        "series": [SERIES],
    }
    areas = {item["geoAreaCode"]: item["geoAreaName"] for item in json.loads(lists["GeoArea-List.json"])}
    assert areas == AREA_NAMES


def test_the_structure_of_the_real_registry_is_read(codes: Codes, serve: Callable[..., SdmxReplay]) -> None:
    """The global SDG structure as its registry gives it, with the dataflow that the service adds to it."""
    path = SHARED / "sdmx" / "global_SDG_DSD_v1.4_2021-06-24.xml"
    if not path.is_file():
        pytest.skip("the global SDG structure is not beside this checkout")
    flow = (
        '<str:Dataflows><str:Dataflow id="DF_SDG_GLH" agencyID="IAEG-SDGs" version="1.4"><str:Structure>'
        '<Ref id="SDG" version="1.4"/></str:Structure></str:Dataflow></str:Dataflows>'
    )
    body = path.read_bytes().replace(b"<mes:Structures>", b"<mes:Structures>" + flow.encode())
    server = serve(SdmxData(pl.DataFrame(), {}, {}))
    server.misbehave(lambda _: Answer(200, body), path="dataflow", times=None)
    with SdmxClient(server.url, codes) as client:
        found = client.structure()
        listed = json.loads(client.lists()["Series-List.json"])
    assert (found.version, found.dimensions) == ("1.4", replay.DIMENSIONS)
    assert (len(found.series), len(found.areas), len(listed)) == (623, 619, 612)
    assert found.series["VC_VOV_GDSD"].indicators == ("10.3.1", "16.b.1")
    assert found.series["SI_POV_DAY1"].title == "Proportion of population below international poverty line"


# --- attributes ----------------------------------------------------------------------------------------------


def served(serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData, **changed: str | None) -> SdmxClient:
    """A client of a replay that holds the first observation of a series, changed."""
    row = bundled.observations.filter(pl.col("SERIES") == SERIES).head(1)
    row = row.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in changed.items())
    return SdmxClient(serve(replace(bundled, observations=row)).url, codes)


def test_attributes_of_an_observation(serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData) -> None:
    said = {
        "OBS_VALUE": "1.20E-05",
        "LOWER_BOUND": "0.5",
        "UPPER_BOUND": "2.5",
        "SOURCE_DETAIL": 'LFS "2016" <नेपाल> & Co\u200d',
        "COMMENT_OBS": "Break in the series",
        "COMMENT_TS": "Whole series revised",
        "BASE_PER": "2015",
        "TIME_DETAIL": "2015-2016",
        "OBS_STATUS": "B",
        "NATURE": "_X",
    }
    with served(serve, codes, bundled, **said) as client:
        row = one(client).rows.row(0, named=True)
    assert row["value_text"] == "1.20E-05", "as it was sent"
    assert (row["lower_bound"], row["upper_bound"]) == ("0.5", "2.5")
    assert row["source"] == said["SOURCE_DETAIL"]
    assert row["footnotes"] == "Break in the series\nWhole series revised"
    assert (row["base_period"], row["time_detail"]) == ("2015", "2015-2016")
    assert (row[OBSERVATION_STATUS], row["nature"]) == ("B", "NA")


@pytest.mark.parametrize(
    ("unit", "multiplier", "read"),
    [
        ("PT", "0", "PERCENT"),
        ("NUMBER", "3", "NUM_TH"),
        ("NUMBER", "6", "NUM_M"),
        ("USD", "6", "CU_USD_M"),
        ("USD", None, "CU_USD"),
        ("KG_C_KM2_PER_DAY", "0", "KG_C_KM2_PER_DAY"),
        ("TCO2E", "6", "TCO2E*10^6"),
    ],
)
def test_the_unit_holds_the_multiplier(
    serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData, unit: str, multiplier: str | None, read: str
) -> None:
    with served(serve, codes, bundled, UNIT_MEASURE=unit, UNIT_MULT=multiplier) as client:
        assert one(client).rows["units"].item() == read
        told = {} if read in set(codes.table["code"]) else {f"UNIT_MEASURE={read}": 1}
        assert dict(client.without_twin) == told


@pytest.mark.parametrize("value", [None, "NaN"])
def test_a_value_that_is_missing_is_kept_as_missing(
    serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData, value: str | None
) -> None:
    with served(serve, codes, bundled, OBS_VALUE=value, OBS_STATUS="M") as client:
        rows = one(client).rows
    assert (rows["value_text"].item(), rows[OBSERVATION_STATUS].item()) == (value, "M")
    assert observations(rows)["value_flag"].item() == "not_provided"


def test_a_code_without_a_twin_is_kept_and_counted(
    serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData, caplog: pytest.LogCaptureFixture
) -> None:
    strange = {"COMPOSITE_BREAKDOWN": "HZT_FLOOD", "AGE": "Y30", "CUST_BREAKDOWN": "C07", "FREQ": "A3"}
    with served(serve, codes, bundled, **strange) as client, caplog.at_level(logging.WARNING):
        rows = one(client).rows
        assert dict(client.without_twin) == {f"{name}={code}": 1 for name, code in strange.items()}
    row = rows.row(0, named=True)
    assert row[f"{DIMENSION}composite_breakdown"] == "HZT_FLOOD"
    assert row[f"{DIMENSION}age"] == "Y30", "in the dimension that it belongs to"
    assert (row[f"{DIMENSION}cust_breakdown"], row[f"{DIMENSION}freq"]) == ("C07", "A3")
    assert "COMPOSITE_BREAKDOWN=HZT_FLOOD (1)" in caplog.text


@pytest.mark.parametrize(("series", "read"), [("EN_MAT_FTPRPC", "ALP"), ("SL_TLF_NEET", None)])
def test_all_products_are_a_code_of_the_series_that_have_products(codes: Codes, series: str, read: str | None) -> None:
    """In the API they are a code beside the others, not the absence of one, and may stand alone."""
    rows = pl.DataFrame({"PRODUCT": ["_T"]})
    found, _ = codes.dimensions(series, rows, ["PRODUCT"])
    assert found.to_dicts() == ([{f"{DIMENSION}type_of_product": read}] if read else [])


def test_pd_is_with_and_pwd_is_without_a_disability(
    serve: Callable[..., SdmxReplay], codes: Codes, bundled: SdmxData
) -> None:
    for code in ("PD", "PWD"):
        with served(serve, codes, bundled, DISABILITY_STATUS=code) as client:
            assert one(client).rows[f"{DIMENSION}disability_status"].item() == code


# --- answers that are not whole ------------------------------------------------------------------------------


def without_a_key(body: bytes) -> bytes:
    return body.replace(b' SEX="F"', b"", 1)


def twice(body: bytes) -> bytes:
    first = body[body.index(b"<Obs ") : body.index(b"/>", body.index(b"<Obs ")) + 2]
    return body.replace(first, first * 2, 1)


FOOTER = b'<ftr:Footer xmlns:ftr="urn:footer"><ftr:Message code="510"><c>Response size exceeds limit</c></ftr:Message>'
FAULTS: dict[str, tuple[Fault, str]] = {
    "status 500": (replay.status(500), "status 500"),
    "status 503": (replay.status(503), "status 503"),
    "status 429": (replay.status(429, Retry_After="0"), "status 429"),
    "web page": (replay.body(lambda _: b"<!DOCTYPE html><title>Service</title>"), "a web page instead of SDMX"),
    "empty": (replay.body(lambda _: b""), "an empty body"),
    "cut short": (replay.body(lambda body: body[: len(body) // 2]), "broken XML after"),
    "cut after a row": (replay.body(lambda body: body[: body.rindex(b"<Obs ")]), "broken XML after"),
    "connection lost": (replay.half_sent, "no complete answer"),
    "reset": (replay.reset, "no complete answer"),
    "error message": (replay.body(lambda _: replay.FOUND_NOTHING), "a message Error instead of data"),
    "limit": (
        replay.body(lambda body: body.replace(b"</mes:DataSet>", b"</mes:DataSet>" + FOOTER + b"</ftr:Footer>")),
        "the service says of its answer: Response size exceeds limit",
    ),
    "another series": (
        replay.body(lambda body: body.replace(b'SERIES="SL_TLF_NEET"', b'SERIES="SI_POV_DAY1"', 1)),
        "rows of another series: SI_POV_DAY1",
    ),
    "another area": (
        replay.body(lambda body: body.replace(b'REF_AREA="404"', b'REF_AREA="800"', 1)),
        "rows of areas that were not asked for: 800",
    ),
    "a row twice": (replay.body(twice), "1 rows repeat the key of another"),
    "no code of a dimension": (replay.body(without_a_key), "rows without SEX, which the structure says"),
    "groups": (
        replay.body(lambda body: body.replace(b"<Series ", b'<Group UNIT_MEASURE="PT"/><Series ', 1)),
        "the message holds groups",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_fault_costs_one_more_request(client: SdmxClient, server: SdmxReplay, name: str) -> None:
    server.misbehave(FAULTS[name][0])
    assert one(client).total == 90
    assert len(server.asked("/data/")) == 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_lasting_fault_is_a_clear_error(client: SdmxClient, server: SdmxReplay, name: str) -> None:
    server.misbehave(FAULTS[name][0], times=None)
    with pytest.raises(OfficialSourceError, match=rf"data of {SERIES}: .*{FAULTS[name][1]}.*Gave up after 3 attempts"):
        one(client)
    assert len(server.asked("/data/")) == 3


@pytest.mark.parametrize("name", ["status 500", "web page", "empty", "cut short", "connection lost", "reset"])
def test_a_passing_fault_of_the_structure(client: SdmxClient, server: SdmxReplay, name: str) -> None:
    server.misbehave(FAULTS[name][0], path="/dataflow/")
    assert client.release() == "SDMX-1.26"


def test_the_series_before_a_fault_are_given(client: SdmxClient, server: SdmxReplay) -> None:
    server.misbehave(replay.status(500), path="FB_BNK_ACCSS", times=None)
    taken: list[str] = []
    with pytest.raises(OfficialSourceError, match="data of FB_BNK_ACCSS: status 500"):
        for part in client.observations([SERIES, "FB_BNK_ACCSS"], AREAS):
            taken.append(part.series)
    assert taken == [SERIES]


def test_a_wrong_address_is_no_answer_without_rows(server: SdmxReplay, codes: Codes, impatient: HttpSettings) -> None:
    """404 on data says that there is no row; a service without the dataflow says 404 as well."""
    with (
        SdmxClient(server.url.replace("/ws/rest", "/elsewhere"), codes, impatient) as client,
        pytest.raises(
            OfficialSourceError, match=r"has no dataflow IAEG-SDGs:DF_SDG_GLH \(status 404\).*Check the address"
        ),
    ):
        one(client)


def test_a_key_that_the_service_refuses_is_said(client: SdmxClient, server: SdmxReplay) -> None:
    server.misbehave(replay.status(422), times=None)
    with pytest.raises(OfficialSourceError, match="answers with status 422"):
        one(client)
    assert len(server.asked("/data/")) == 1, "asking again would not mend it"


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda body: body.replace(b"DF_SDG_GLH", b"DF_OTHER"), "holds no dataflow DF_SDG_GLH"),
        (lambda body: body.replace(b'<str:Dimension id="SERIES"', b'<str:Dimension id="OTHER"'), "dimension SERIES"),
        (lambda body: body.replace(b'id="CL_SERIES" agencyID', b'id="CL_X" agencyID'), "without its lists"),
    ],
)
def test_a_structure_that_lacks_something_is_said(
    client: SdmxClient, server: SdmxReplay, cut: Callable[[bytes], bytes], reason: str
) -> None:
    server.misbehave(replay.body(cut), path="/dataflow/", times=None)
    with pytest.raises(OfficialSourceError, match=reason):
        client.release()


def test_a_new_version_is_seen(client: SdmxClient, server: SdmxReplay) -> None:
    assert client.release() == "SDMX-1.26"
    server.data = replace(server.data, version="1.27")
    assert client.release() == "SDMX-1.26"
    assert client.release(fresh=True) == "SDMX-1.27"


# --- XML that is an attack -----------------------------------------------------------------------------------

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9))
    + b"]><StructureSpecificData>&j;</StructureSpecificData>"
)
FILE_READER = (
    b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    b"<StructureSpecificData><Series SERIES='&f;'/></StructureSpecificData>"
)


@pytest.mark.parametrize("body", [BOMB, FILE_READER], ids=["bomb", "file"])
@pytest.mark.parametrize("path", ["/data/", "/dataflow/"])
def test_entities_are_never_read(client: SdmxClient, server: SdmxReplay, body: bytes, path: str) -> None:
    server.misbehave(lambda _: Answer(200, body), path=path, times=None)
    began = time.monotonic()
    with pytest.raises(OfficialSourceError, match="document type or entities, which are not read"):
        one(client)
    assert time.monotonic() - began < 2
    assert len(server.asked(path)) == 1, "an attack is not asked for again"


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read(server: SdmxReplay, codes: Codes, packed: bool) -> None:
    large = b"<a>" + b" " * 3_000_000 + b"</a>"
    headers = {"Content-Encoding": "gzip"} if packed else None
    server.misbehave(lambda _: Answer(200, gzip.compress(large) if packed else large, headers), times=None)
    with (
        SdmxClient(server.url, codes, HttpSettings(largest_answer=2_000_000)) as client,
        pytest.raises(OfficialSourceError, match=r"sends more than 2,000,000 bytes\. Ask for fewer areas"),
    ):
        one(client)
