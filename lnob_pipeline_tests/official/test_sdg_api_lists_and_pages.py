"""Lists, questions wider than a series, the shape of pages, and filters on our side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lnob_pipeline.official.client import AREAS_PER_REQUEST, SdgApiClient
from lnob_pipeline.official.filters import select_rows
from lnob_pipeline.official.http import HttpSettings, OfficialSourceError
from lnob_pipeline.official.lists import Level, indicators_of
from lnob_pipeline.official.pages import TEXT_COLUMNS, PageShapeError, page_rows, read_page
from lnob_pipeline.official.sources import UnknownCodeError
from lnob_pipeline.official.values import parse_values
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49, ROOT
from lnob_pipeline_tests.official.replay_data import Repeats
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer
from lnob_pipeline_tests.thorough import tries

AREAS = list(ISO3_BY_M49)
RECORDED = ROOT.parent / "shared" / "data" / "official" / "recorded_api_2022-07"
SHARED_SERIES = "VC_VOV_GDSD"  # of indicators 10.3.1 and 16.b.1: 24 rows, listed 48 times

# --- lists -----------------------------------------------------------------------------------------------------


def test_lists_within_a_goal_target_indicator_and_area(client: SdgApiClient) -> None:
    assert {item["code"] for item in client.children("Goal", "16").items} >= {"16.6", "16.9", "16.b"}
    assert {item["code"] for item in client.children("Target", "16.9").items} == {"16.9.1"}
    assert {item["code"] for item in client.children("Indicator", "16.b.1").items} == {SHARED_SERIES}
    assert {item["geoAreaCode"] for item in client.areas_of("Series", "SG_REG_BRTH").items} <= {
        str(int(code)) for code in AREAS
    }
    for level, code in (("Goal", "16"), ("Target", "16.9"), ("Indicator", "16.9.1")):
        assert client.areas_of(level, code).items, "the areas with a figure"  # type: ignore[arg-type]
    assert "Sex" in {item["id"] for item in client.dimensions("16", "Goal").items}
    natures = {code["code"] for item in client.attributes("SG_REG_BRTH").items for code in item["codes"]}
    assert {"C", "CA", "E", "G", "M", "N", "NA", "PERCENT"} <= natures
    assert client.dimensions("NO_SUCH").items == []
    tree = client.area_tree().items
    assert [item["geoAreaCode"] for item in tree] == [1, 1], "the world stands there twice"
    of_kenya = client.series_of_area("404").items
    assert {goal["code"] for goal in of_kenya} >= {"8", "16"}
    assert client.updated() == "2020-10-15T00:00:00"


def test_a_host_that_does_not_say_when_it_was_updated(client: SdgApiClient, server: ReplayServer) -> None:
    server.misbehave(Kind.STATUS, status=404, path="Series/LastUpdated")
    assert client.updated() == ""


def test_the_recorded_lists_of_the_service_are_read_as_they_came(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings
) -> None:
    if not RECORDED.exists():
        pytest.skip("needs ../shared/data/official/recorded_api_2022-07, which is kept beside the repository")
    paths = ("Goal/List", "Target/List", "Indicator/List", "Series/List", "GeoArea/List", "GeoArea/Tree")
    bodies = {path: (RECORDED / f"{path.replace('/', '_')}.json").read_bytes() for path in paths}
    with SdgApiClient(serve(replace(bundled_data, recorded=bodies)).url, impatient) as client:
        assert client.release() == "2022.Q2.G.02"
        assert client.lists() == {path.replace("/", "-") + ".json": body for path, body in bodies.items()}
        assert len(client.series_codes()) == 609
        bridge = indicators_of(client.series().items, client.release())
        assert sum(len(indicators) > 1 for indicators in bridge.values()) == 38
        assert sum(map(len, bridge.values())) == 666
        assert len(client.indicators().items) == 248
        assert [item["geoAreaCode"] for item in client.area_tree().items].count(1) == 3


# --- questions wider than a series ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "code", "series"),
    [
        ("Indicator", "16.b.1", {SHARED_SERIES}),
        ("Target", "8.6", {"SL_TLF_NEET"}),
        ("Goal", "16", {SHARED_SERIES, "SG_REG_BRTH"}),
    ],
)
def test_an_indicator_target_or_goal_gives_the_rows_of_its_series(
    client: SdgApiClient, level: Level, code: str, series: set[str]
) -> None:
    answer = client.data(level, code, AREAS)
    assert set(answer.rows["series"]) == series
    parts = list(client.observations(series, AREAS))
    assert answer.total == sum(part.total for part in parts)
    together = pl.concat([part.rows for part in parts], how="diagonal").select(answer.rows.columns)
    assert_frame_equal(answer.rows, together, check_row_order=False)


@pytest.mark.parametrize("repeats", get_args(Repeats))
@pytest.mark.parametrize("page_size", [5, 20, 24, 48, 1000])
def test_rows_of_a_series_of_two_indicators_are_kept_once_however_they_are_repeated(
    serve: Callable[..., ReplayServer], impatient: HttpSettings, repeats: Repeats, page_size: int
) -> None:
    server = serve(repeats=repeats)
    with SdgApiClient(server.url, replace(impatient, page_size=page_size)) as client:
        answer = client.data("Series", SHARED_SERIES, AREAS)
    assert (answer.total, answer.rows.height) == (48, 24)
    indicators = {tuple(row["indicator"]) for body in answer.bodies for row in json.loads(body)["data"]}
    if repeats == "one_indicator_each":
        assert indicators == {("10.3.1",), ("16.b.1",)}
    else:
        assert indicators == {("10.3.1", "16.b.1")}


@pytest.mark.parametrize("repeats", get_args(Repeats))
@pytest.mark.parametrize("kind", [Kind.REPEATED_PAGE, Kind.SHIFTED_PAGE])
def test_a_page_in_the_place_of_another_is_seen_among_repeated_rows(
    serve: Callable[..., ReplayServer], impatient: HttpSettings, repeats: Repeats, kind: Kind
) -> None:
    server = serve(repeats=repeats)
    server.misbehave(kind, page=2, times=None)
    with (
        SdgApiClient(server.url, replace(impatient, page_size=16)) as client,
        pytest.raises(OfficialSourceError, match=f"{SHARED_SERIES} repeats rows unevenly"),
    ):
        client.data("Series", SHARED_SERIES, AREAS)


def test_codes_are_checked_before_they_are_asked(client: SdgApiClient, server: ReplayServer) -> None:
    with pytest.raises(UnknownCodeError, match=r"indicator 99\.9\.9 is not in release 2020-10"):
        client.data("Indicator", "99.9.9", AREAS)
    with pytest.raises(UnknownCodeError, match=r"SL_TLF_NEET is a series, not indicator; ask for it as a series"):
        client.data("Indicator", "SL_TLF_NEET", AREAS)
    with pytest.raises(UnknownCodeError, match=r"goal 18 is not in release"):
        client.data("Goal", "18", AREAS)
    with pytest.raises(UnknownCodeError, match=r"the service has no area 900, 999\. Check the M49 codes"):
        list(client.observations(["SL_TLF_NEET"], ["404", "999", "900"]))
    with pytest.raises(ValueError, match="no area is named"):
        list(client.observations(["SL_TLF_NEET"], []))
    assert [path for path, _, _ in server.requests if path.endswith("/Data")] == []


def test_an_indicator_without_a_series_is_known_and_empty(client: SdgApiClient) -> None:
    answer = client.data("Indicator", "16.7.2", AREAS)
    assert (answer.total, answer.rows.height) == (0, 0)


def test_many_areas_are_asked_in_groups_and_every_area_by_naming_none(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings
) -> None:
    codes = [str(code) for code in range(100, 100 + 2 * AREAS_PER_REQUEST + 50)]
    row = bundled_data.observations.filter(pl.col("series") == "SG_REG_BRTH").head(1)
    rows = pl.concat([row.with_columns(pl.lit(code).alias("area")) for code in codes])
    server = serve(replace(bundled_data, observations=rows, names={code: f"Area {code}" for code in codes}))
    with SdgApiClient(server.url, replace(impatient, page_size=30)) as client:
        named = client.data("Series", "SG_REG_BRTH", codes)
        groups = {tuple(query["areaCode"]) for query in server.asked("Series/Data")}
        assert sorted(map(len, groups)) == [50, AREAS_PER_REQUEST, AREAS_PER_REQUEST]
        every = client.data("Series", "SG_REG_BRTH")
        assert "areaCode" not in server.asked("Series/Data")[-1]
    assert named.total == every.total == len(codes)
    assert_frame_equal(named.rows, every.rows, check_row_order=False)


# --- pages ---------------------------------------------------------------------------------------------------

ROW: dict[str, Any] = {
    "goal": ["3"],
    "indicator": ["3.8.2"],
    "series": "SH_X",
    "geoAreaCode": "4",
    "timePeriodStart": 2007.0,
    "value": "24,644",
    "time_detail": "2007-2008",
    "upperBound": "25,000",
    "lowerBound": "24000",
    "basePeriod": "2005",
    "source": "Survey\u2011of\u2011households",
    "footnotes": ["first ", "", "second"],
    "attributes": {"Nature": "CA", "Units": "NUM_TH"},
    "dimensions": {"Reporting Type": "G", "Sex": "FEMALE", "Level/Status": "X"},
    "aFieldOfTomorrow": {"any": 1},
}


def page(*rows: dict[str, Any], **stated: Any) -> bytes:
    return json.dumps(
        {"totalElements": len(rows), "totalPages": 1, "pageNumber": 1, "data": list(rows)} | stated
    ).encode()


def test_every_field_of_a_row_is_kept() -> None:
    (row,) = page_rows(page(ROW)).to_dicts()
    assert row == {
        "series": "SH_X",
        "area": "004",
        "year": "2007",
        "value_text": "24,644",
        "lower_bound": "24000",
        "upper_bound": "25,000",
        "source": "Survey\u2011of\u2011households",
        "base_period": "2005",
        "time_detail": "2007-2008",
        "nature": "CA",
        "units": "NUM_TH",
        "footnotes": "first\nsecond",
        "dimension.level_status": "X",
        "dimension.reporting_type": "G",
        "dimension.sex": "FEMALE",
    }
    (parsed,) = parse_values(page_rows(page(ROW))).to_dicts()
    assert (parsed["value"], parsed["lower"], parsed["upper"], parsed["value_flag"]) == (
        24644.0,
        24644.0,
        24644.0,
        "number",
    )


def test_rows_may_lack_fields_and_hold_numbers() -> None:
    bare = {"series": "SH_X", "geoAreaCode": 50, "timePeriodStart": 2010.5, "value": 7, "attributes": None}
    rows = page_rows(page(ROW, bare))
    assert rows["area"].to_list() == ["004", "050"]
    assert rows["year"].to_list() == ["2007", "2010.5"]
    assert rows["value_text"].to_list() == ["24,644", "7"]
    assert rows["units"].to_list() == ["NUM_TH", None]
    assert rows["dimension.sex"].to_list() == ["FEMALE", None]
    assert page_rows(page()).columns == list(TEXT_COLUMNS)
    assert read_page(b'{"data": []}').total is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": [1]}',
        page(ROW)[:-1],
        b'{"data": [{"value": {}}]}',
        b"\xff",
    ],
)
def test_anything_else_is_no_page(body: bytes) -> None:
    with pytest.raises(PageShapeError, match="JSON"):
        read_page(body)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@settings(max_examples=tries(60))
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "value": st.none() | texts,
                "source": st.none() | texts,
                "series": st.just("S"),
                "timePeriodStart": st.integers(1960, 2040).map(float),
            },
            optional={"dimensions": st.dictionaries(st.sampled_from(["Sex", "Age", "Reporting Type"]), texts)},
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_text_of_a_page_is_changed(rows: list[dict[str, Any]]) -> None:
    read = page_rows(page(*rows))
    assert read["value_text"].to_list() == [row["value"] for row in rows]
    assert read["source"].to_list() == [row["source"] for row in rows]
    assert read["year"].to_list() == [str(int(row["timePeriodStart"])) for row in rows]
    carried = {name for row in rows for name in row.get("dimensions", {})}
    for name in carried:
        column = "dimension." + name.lower().replace(" ", "_")
        assert read[column].to_list() == [row.get("dimensions", {}).get(name) for row in rows]
    assert read.width == len(TEXT_COLUMNS) + len(carried)


# --- filters on our side ---------------------------------------------------------------------------------------


def test_a_dimension_that_rows_do_not_carry_is_their_total(client: SdgApiClient, server: ReplayServer) -> None:
    rows = client.data("Series", "EG_EGY_CLEAN", AREAS).rows
    assert "dimension.sex" not in rows.columns
    assert select_rows(rows, dimensions={"Sex": ["BOTHSEX"], "Location": ["ALLAREA"]}).height == rows.height
    assert select_rows(rows, dimensions={"Sex": ["FEMALE"]}).height == 0
    assert all("dimensions" not in query for query in server.asked("Series/Data"))


def test_years_and_dimensions_are_picked_on_our_side(client: SdgApiClient) -> None:
    rows = client.data("Series", "SL_TLF_NEET", AREAS).rows
    women = select_rows(rows, first_year=2010, last_year=2015, dimensions={"Sex": ["FEMALE"]})
    assert set(women["dimension.sex"]) == {"FEMALE"}
    assert {int(year) for year in women["year"]} <= set(range(2010, 2016))
    expected = rows.filter((pl.col("dimension.sex") == "FEMALE") & pl.col("year").cast(pl.Int32).is_between(2010, 2015))
    assert_frame_equal(women, expected)
    assert 0 < women.height < rows.height
    assert_frame_equal(select_rows(rows.lazy(), first_year=2010).collect(), select_rows(rows, first_year=2010))
    assert select_rows(rows).height == rows.height
