"""The client against a real server: complete answers, and a clear error for each way of not giving one."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline.official.client import Answer, SdgApiClient
from lnob_pipeline.official.http import MAXIMUM_CONNECTIONS, HttpSettings, OfficialSourceError
from lnob_pipeline.official.lists import ListAnswer, current_release, current_series, indicators_of, without_archived
from lnob_pipeline.official.sources import SourcePart, UnknownCodeError
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer

SERIES = "SL_TLF_NEET"  # 90 rows for the seven countries: five pages of 20
ROWS = 90
AREAS = list(ISO3_BY_M49)


def rows_of(answer: Answer | SourcePart) -> list[dict[str, Any]]:
    """The rows as they came, in the service's own shape."""
    return [row for body in answer.bodies for row in json.loads(body)["data"]]


def read(client: SdgApiClient, series: str = SERIES, areas: list[str] = AREAS) -> Answer:
    return client.data("Series", series, areas)


# --- what a good answer is -----------------------------------------------------------------------------------


def test_a_series_is_read_page_by_page_and_complete(client: SdgApiClient, bundled_data: ReplayData) -> None:
    answer = read(client)
    assert (answer.total, answer.rows.height, len(answer.bodies)) == (ROWS, ROWS, 5)
    assert [len(json.loads(body)["data"]) for body in answer.bodies] == [20, 20, 20, 20, 10]
    served = bundled_data.observations.filter(pl.col("series") == SERIES)
    columns = ["series", "area", "year", "value_text", "nature", "units", "dimension.sex"]
    ours = answer.rows.select(columns)
    assert_frame_equal(ours, served.select(columns).with_columns(pl.col("area").str.zfill(3)), check_row_order=False)


def test_only_areas_pages_and_the_series_are_sent_and_areas_without_leading_zeros(
    client: SdgApiClient, server: ReplayServer
) -> None:
    read(client, areas=["050", "404"])
    for query in server.asked("Series/Data"):
        assert query.keys() == {"seriesCode", "areaCode", "page", "pageSize"}, "filters on years are not trusted"
        assert query["areaCode"] == ["50", "404"]


@pytest.mark.parametrize("prefix", ["/SDGAPI", "/sdgapi", "/sdgs/UNSDGAPIV5", "/sdgapi/v1/sdg/"])
def test_both_hosts_and_both_spellings(
    serve: Callable[..., ReplayServer], impatient: HttpSettings, prefix: str
) -> None:
    server = serve(prefix=prefix)
    with SdgApiClient(server.url, impatient) as client:
        assert client.release() == "2020-10"
        assert read(client).total == ROWS


def test_the_lists_of_the_framework(client: SdgApiClient, server: ReplayServer) -> None:
    assert {item["code"] for item in client.goals().items} >= {"1", "16"}
    assert {item["code"] for item in client.targets().items} >= {"16.9", "8.10"}
    indicators = {item["code"]: item for item in client.indicators().items}
    assert indicators["16.7.2"]["series"] == [], "an indicator without a series is listed all the same"
    assert {item["code"] for item in indicators["6.2.1"]["series"]} == {
        "SH_SAN_DEFECT",
        "SH_SAN_HNDWSH",
        "SH_SAN_SAFE",
    }
    (item,) = (item for item in client.series().items if item["code"] == "VC_VOV_GDSD")
    assert sorted(item["indicator"]) == ["10.3.1", "16.b.1"]
    assert {item["geoAreaCode"] for item in client.areas().items} >= {"50", "404"}
    declared = {item["id"]: {code["code"] for code in item["codes"]} for item in client.dimensions(SERIES).items}
    assert declared["Age"] == {"ALLAGE", "15-24"}
    client.series()
    assert len(server.asked("Series/List")) == 1, "the list of series is asked for once"
    agents = {agent for _, _, agent in server.requests}
    assert len(agents) == 1
    assert re.match(r"lnob-pipeline/\S+ \(.+\)$", agents.pop())


def test_declared_dimensions_are_not_those_of_the_rows(client: SdgApiClient) -> None:
    # Sex is declared for the clean fuel series, no row carries it: a filter on BOTHSEX would find nothing.
    assert "Sex" in {item["id"] for item in client.dimensions("EG_EGY_CLEAN").items}
    rows = rows_of(read(client, "EG_EGY_CLEAN"))
    assert {tuple(row["dimensions"]) for row in rows} == {("Reporting Type",)}


def test_a_series_of_two_indicators_lists_its_rows_twice_and_is_accepted(client: SdgApiClient) -> None:
    answer = read(client, "VC_VOV_GDSD")
    assert answer.total == 48
    assert len({json.dumps(row, sort_keys=True) for row in rows_of(answer)}) == 24


def test_a_known_series_without_rows_for_the_area_is_an_empty_answer(client: SdgApiClient) -> None:
    answer = read(client, "VC_VOV_GDSD", ["404"])
    assert (answer.total, len(answer.bodies)) == (0, 1)


def test_an_unknown_series_is_said(client: SdgApiClient) -> None:
    with pytest.raises(UnknownCodeError, match=r"series SG_REG_BRTHS is not in release 2020-10\. Is it SG_REG_BRTH\?"):
        read(client, "SG_REG_BRTHS")


def test_every_series_comes_once(client: SdgApiClient) -> None:
    wanted = ["SP_DYN_MRBF18", "FB_BNK_ACCSS", "SG_REG_BRTH", SERIES, SERIES]
    parts = [part.series for part in client.observations(wanted, AREAS)]
    assert sorted(parts) == sorted(set(wanted))


def test_what_comes_first_is_given_first(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.SLOW, page=5, seconds=0.5)  # the last page of the first series
    with SdgApiClient(server.url, replace(impatient, connections=2)) as client:
        parts = [part.series for part in client.observations([SERIES, "SG_REG_BRTH"], AREAS)]
    assert parts == ["SG_REG_BRTH", SERIES]


def test_what_arrived_whole_is_given_before_the_error(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.STATUS, page=2, times=None)
    server.misbehave(Kind.SLOW, page=1, times=None, seconds=0.05)
    found: list[str] = []
    with (
        SdgApiClient(server.url, replace(impatient, connections=2)) as client,
        pytest.raises(OfficialSourceError, match="status 503"),
    ):
        for part in client.observations([SERIES, "SG_REG_BRTH", "FB_BNK_ACCSS"], AREAS):
            found.append(part.series)
    assert found == ["SG_REG_BRTH"]


def test_little_is_read_ahead_of_who_takes_the_parts(server: ReplayServer, impatient: HttpSettings) -> None:
    wanted = [item["code"] for item in server.service.series()]
    with SdgApiClient(server.url, replace(impatient, connections=2, page_size=500)) as client:
        parts = client.observations(wanted, AREAS)
        next(parts)
        time.sleep(0.3)
        assert len({query["seriesCode"][0] for query in server.asked("Series/Data")}) <= 1 + 2 * 2
        parts.close()


def test_no_more_connections_than_allowed(serve: Callable[..., ReplayServer], impatient: HttpSettings) -> None:
    server = serve()
    server.misbehave(Kind.SLOW, times=None, seconds=0.02)
    wanted = [item["code"] for item in server.service.series()]
    with SdgApiClient(server.url, replace(impatient, connections=8, page_size=500)) as client:
        assert sum(answer.total for answer in client.observations(wanted, AREAS)) == 6741 + 24
    assert 2 <= server.peak <= 8


def test_callers_in_many_threads_share_the_same_connections(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.SLOW, times=None, seconds=0.02)
    with (
        SdgApiClient(server.url, replace(impatient, connections=2, page_size=500)) as client,
        ThreadPoolExecutor(9) as pool,
    ):
        totals = list(pool.map(lambda _: read(client).total, range(18)))
    assert totals == [ROWS] * 18
    assert server.peak == 2


@pytest.mark.parametrize("connections", [0, MAXIMUM_CONNECTIONS + 1])
def test_more_connections_than_the_service_bears_cannot_be_set(connections: int) -> None:
    with pytest.raises(ValueError, match="use 1 to 8"):
        HttpSettings(connections=connections)


def test_archived_releases_do_not_count_as_the_current_one(client: SdgApiClient) -> None:
    every = client.series(archived=True)
    assert current_release(every) == "2020-10"
    assert current_series(every.items, "2020-10") == client.series().items
    assert {item["release"] for item in every.items} == {"2020-10", "2019.Q1.G.01"}
    assert indicators_of(every.items, "2020-10")["VC_VOV_GDSD"] == ("10.3.1", "16.b.1")
    with pytest.raises(OfficialSourceError, match="names no release"):
        current_release(ListAnswer("Series/List", b"", [item for item in every.items if item["goal"] is None]))


def test_a_tree_holds_archived_releases_that_are_taken_out(client: SdgApiClient) -> None:
    def series(goals: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return [
            (item["code"], item["release"])
            for goal in goals
            for target in goal["targets"]
            for indicator in target["indicators"]
            for item in indicator["series"]
        ]

    tree = client.goals(children=True).items
    assert ("SG_REG_BRTH", "2019.Q1.G.01") in series(tree)
    kept = series(without_archived(tree, client.release()))
    assert {release for _, release in kept} == {"2020-10"}
    assert sorted(kept) == sorted(
        (item["code"], "2020-10") for item in client.series().items for _ in item["indicator"]
    )


# --- faults that pass: asked again, and the answer is whole ---------------------------------------------------

TRANSPORT = [
    (Kind.STATUS, {"status": 500}, "status 500"),
    (Kind.STATUS, {"status": 502}, "status 502"),
    (Kind.STATUS, {"status": 503}, "status 503"),
    (Kind.STATUS, {"status": 429}, "status 429"),
    (Kind.HTML, {}, "a web page instead of JSON"),
    (Kind.EMPTY_BODY, {}, "an empty body"),
    (Kind.TRUNCATED, {}, "page 3: broken JSON"),
    (Kind.SHORT_BODY, {}, "no complete answer"),
    (Kind.BROKEN_CHUNKS, {}, "no complete answer"),
    (Kind.NOT_GZIP, {}, "no complete answer"),
    (Kind.OTHER_JSON, {}, "page 3: JSON, but not a page of observations"),
    (Kind.RESET, {}, "no complete answer"),
]
PAGING = [
    (Kind.NO_TOTAL, "page 2 states no totalElements"),
    (Kind.REPEATED_PAGE, "page 2 repeats 20 rows"),
    (Kind.EMPTY_PAGE, "page 2 is empty after 20 of 90 rows"),
    (Kind.DRIFTING_TOTAL, "totalElements changed from 90 to 91 at page 2"),
    (Kind.WRONG_PAGE_NUMBER, "asked for page 2, got page 3"),
    (Kind.SHIFTED_PAGE, "page 2 repeats 1 rows"),
    (Kind.LOST_ROW, "page 6 is empty after 89 of 90 rows"),
]


@pytest.mark.parametrize(("kind", "how", "reason"), TRANSPORT)
def test_a_passing_transport_fault_costs_one_more_request(
    client: SdgApiClient, server: ReplayServer, kind: Kind, how: dict[str, int], reason: str
) -> None:
    server.misbehave(kind, page=3, **how)
    answer = read(client)
    assert len(rows_of(answer)) == answer.total == ROWS
    pages = [query["page"][0] for query in server.asked("Series/Data")]
    assert pages == ["1", "2", "3", "3", "4", "5"], "only the page at fault is asked for again"


@pytest.mark.parametrize(("kind", "how", "reason"), TRANSPORT)
def test_a_lasting_transport_fault_is_a_clear_error(
    client: SdgApiClient, server: ReplayServer, kind: Kind, how: dict[str, int], reason: str
) -> None:
    server.misbehave(kind, page=3, times=None, **how)
    with pytest.raises(OfficialSourceError, match=rf"Series/Data: {reason}.*Gave up after 3 attempts"):
        read(client)
    assert len(server.asked("Series/Data")) == 2 + 3


@pytest.mark.parametrize(("kind", "reason"), PAGING)
def test_pages_that_do_not_add_up_are_read_anew(
    client: SdgApiClient, server: ReplayServer, kind: Kind, reason: str
) -> None:
    server.misbehave(kind, page=2)
    answer = read(client)
    rows = rows_of(answer)
    assert len(rows) == answer.total == ROWS
    assert len({json.dumps(row, sort_keys=True) for row in rows}) == ROWS


@pytest.mark.parametrize(("kind", "reason"), PAGING)
def test_pages_that_never_add_up_are_a_clear_error(
    client: SdgApiClient, server: ReplayServer, kind: Kind, reason: str
) -> None:
    server.misbehave(kind, page=2, times=None)
    with pytest.raises(OfficialSourceError, match=rf"seriesCode={SERIES}: {reason}.*Gave up after 3 attempts"):
        read(client)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.LOW_TOTAL, "90 rows in 5 pages, but totalElements is 89"),
        (Kind.WRONG_TOTAL_PAGES, "totalPages is 6, but 90 rows came in 5 pages"),
        (Kind.FEW_TOTAL_PAGES, "totalPages is 4, but 90 rows came in 5 pages"),
        (Kind.FOREIGN_ROW, "page 1 holds rows of another series"),
    ],
)
def test_an_answer_that_contradicts_itself_is_a_clear_error(
    client: SdgApiClient, server: ReplayServer, kind: Kind, reason: str
) -> None:
    server.misbehave(kind, times=None)
    with pytest.raises(OfficialSourceError, match=rf"seriesCode={SERIES}: {reason}"):
        read(client)


def test_a_first_page_repeated_for_a_series_of_two_indicators_is_refused(
    client: SdgApiClient, server: ReplayServer
) -> None:
    server.misbehave(Kind.REPEATED_PAGE, page=2, times=None)
    with pytest.raises(OfficialSourceError, match="VC_VOV_GDSD repeats rows unevenly, 2 to 4 times"):
        read(client, "VC_VOV_GDSD")


def test_total_pages_may_be_missing(client: SdgApiClient, server: ReplayServer) -> None:
    server.misbehave(Kind.NO_TOTAL_PAGES, times=None)
    assert len(rows_of(read(client))) == ROWS


def test_a_service_that_gives_smaller_pages_than_asked(
    serve: Callable[..., ReplayServer], impatient: HttpSettings
) -> None:
    server = serve(page_limit=7)
    with SdgApiClient(server.url, replace(impatient, page_size=1000)) as client:
        answer = read(client)
    assert (answer.total, len(answer.bodies), len(rows_of(answer))) == (ROWS, 13, ROWS)


def test_a_late_answer_is_given_up_and_asked_again(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.SLOW, page=1, seconds=3)
    with SdgApiClient(server.url, replace(impatient, read_timeout=0.3)) as client:
        assert read(client).total == ROWS
    assert len(server.asked("Series/Data")) == 6


def test_a_service_that_is_not_there(impatient: HttpSettings) -> None:
    with (
        SdgApiClient("http://127.0.0.1:9/SDGAPI", impatient) as client,
        pytest.raises(OfficialSourceError, match=r"127\.0\.0\.1:9.*ConnectionError.*Run again later"),
    ):
        client.release()


def test_a_fault_of_the_address_is_not_asked_again(server: ReplayServer, client: SdgApiClient) -> None:
    server.misbehave(Kind.STATUS, status=404, times=None, path="Goal/List")
    with pytest.raises(OfficialSourceError, match=r"Goal/List answers with status 404\. Check the address"):
        client.goals()
    assert len(server.asked("Goal/List")) == 1


@pytest.mark.parametrize("kind", [Kind.HTML, Kind.EMPTY_BODY, Kind.TRUNCATED, Kind.RESET])
def test_lists_are_as_patient_as_observations(client: SdgApiClient, server: ReplayServer, kind: Kind) -> None:
    server.misbehave(kind, path="Indicator/List")
    assert len(client.indicators().items) > 20


def test_an_empty_framework_is_not_taken_for_an_answer(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings
) -> None:
    server = serve(replace(bundled_data, links=bundled_data.links.clear()))
    with (
        SdgApiClient(server.url, impatient) as client,
        pytest.raises(OfficialSourceError, match="Series/List: the list is empty"),
    ):
        client.series()


# --- waiting -------------------------------------------------------------------------------------------------


def test_pauses_double_and_are_spread_by_chance(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.STATUS, times=None, path="Goal/List")
    patient = replace(impatient, attempts=6, backoff=1.0, longest_pause=6.0)
    runs = []
    for seed in (1, 2):
        pauses: list[float] = []
        with (
            SdgApiClient(server.url, patient, sleep=pauses.append, chance=random.Random(seed)) as client,
            pytest.raises(OfficialSourceError, match="after 6 attempts"),
        ):
            client.goals()
        for pause, top in zip(pauses, [1, 2, 4, 6, 6], strict=True):
            assert top / 2 <= pause <= top
        runs.append(pauses)
    assert runs[0] != runs[1]


def test_retry_after_in_seconds_is_waited_for(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.STATUS, status=429, retry_after="2", path="Goal/List")
    pauses: list[float] = []
    with SdgApiClient(server.url, impatient, sleep=pauses.append) as client:
        client.goals()
    assert pauses == [2.0]


def test_retry_after_as_a_date_is_waited_for(server: ReplayServer, impatient: HttpSettings) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.misbehave(Kind.STATUS, status=503, retry_after=moment, path="Goal/List")
    pauses: list[float] = []
    with SdgApiClient(server.url, replace(impatient, longest_pause=60), sleep=pauses.append) as client:
        client.goals()
    assert 25 < pauses[0] <= 30


def test_a_service_that_asks_for_hours_is_left_alone(server: ReplayServer, impatient: HttpSettings) -> None:
    server.misbehave(Kind.STATUS, status=429, retry_after="7200", times=None, path="Goal/List")
    with (
        SdgApiClient(server.url, impatient) as client,
        pytest.raises(OfficialSourceError, match=r"asks to come back in 7200 s; longest_pause is 2 s"),
    ):
        client.goals()
    assert len(server.asked("Goal/List")) == 1


# --- the replay server itself behaves as recorded --------------------------------------------------------------


def test_the_replay_server_has_the_quirks_of_the_service(server: ReplayServer) -> None:
    import requests

    def ask(path: str, **query: object) -> requests.Response:
        return requests.get(f"{server.url}/v1/sdg/{path}", params=query, timeout=5)  # type: ignore[arg-type]

    unknown = ask("Indicator/Data", indicator="99.9.9")
    assert (unknown.status_code, unknown.json()["totalElements"]) == (200, 0)
    assert ask("Indicator/Data", indicator=SERIES).status_code == 500
    assert ask("Goal/Nothing").status_code == 404
    page = ask("Indicator/Data", indicator="8.6.1", areaCode=404, pageSize=3).json()
    assert list(page) == ["size", "totalElements", "totalPages", "pageNumber", "attributes", "dimensions", "data"]
    row = page["data"][0]
    assert (row["geoAreaCode"], row["geoAreaName"], row["series"]) == ("404", "Kenya", SERIES)
    assert isinstance(row["timePeriodStart"], float)
    assert isinstance(row["value"], str)
    assert row["indicator"] == ["8.6.1"]
    # A declared code that no row carries finds nothing.
    condition = json.dumps([{"name": "Location", "values": ["ALLAREA"]}])
    assert ask("Series/Data", seriesCode="EG_EGY_CLEAN", dimensions=condition).json()["totalElements"] == 0
    assert ask("Target/Data", target="8.6").json()["totalElements"] == ROWS
    assert ask("Goal/Data", goal="16").json()["totalElements"] == 7 + 48
