"""A snapshot is whole or not there, never changes, and is checked when it is read."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.official.client import SdgApiClient
from lnob_pipeline.official.http import HttpSettings, OfficialSourceError
from lnob_pipeline.official.pages import dimension_name
from lnob_pipeline.official.releases import choose_snapshot
from lnob_pipeline.official.snapshot import (
    SnapshotError,
    bundled_snapshot,
    expected_series,
    fetch_snapshot,
    folders,
    read_snapshot,
)
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import sha256_file
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49
from lnob_pipeline_tests.official.replay_server import Kind, ReplayData, ReplayServer

SERIES = ["SG_REG_BRTH", "SL_TLF_NEET", "SP_PSR_SATIS_HLTH"]  # the last one is not in the release
AREAS = list(ISO3_BY_M49)
DAY = "2020-11-02"


def fetch(client: SdgApiClient, root: Path, series: list[str] | None = None, areas: list[str] | None = None) -> Path:
    return fetch_snapshot(client, root, series=series or SERIES, areas=areas or AREAS, fetched=DAY)


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def online(settings: Settings, server: ReplayServer) -> Settings:
    return replace(settings, official_source="api", official_api=server.url)


def test_a_snapshot_keeps_what_came_with_its_checksums(client: SdgApiClient, tmp_path: Path) -> None:
    folder = fetch(client, tmp_path)
    assert folder == tmp_path / "2020-10"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert {name: manifest[name] for name in ("release", "fetched", "series", "not_in_release", "rows")} == {
        "release": "2020-10",
        "fetched": DAY,
        "series": ["SG_REG_BRTH", "SL_TLF_NEET"],
        "not_in_release": ["SP_PSR_SATIS_HLTH"],
        "rows": 7 + 90,
    }
    found = files_of(folder)
    del found["manifest.json"]
    assert {part["path"]: part["sha256"] for part in manifest["parts"]} == found
    body = gzip.decompress((folder / "observations/SG_REG_BRTH/page-0001.json.gz").read_bytes())
    (part,) = client.observations(["SG_REG_BRTH"], AREAS)
    assert body == part.bodies[0], "the body as received"
    assert [path.name for path in tmp_path.iterdir()] == ["2020-10"], "nothing else is left behind"


def test_the_same_answers_give_the_same_bytes(client: SdgApiClient, tmp_path: Path) -> None:
    first, second = fetch(client, tmp_path / "a"), fetch(client, tmp_path / "b")
    assert files_of(first) == files_of(second)
    assert read_snapshot(first).info == read_snapshot(second).info


def test_a_release_that_is_there_is_not_fetched_again(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    first = fetch(client, tmp_path)
    before, asked = files_of(tmp_path), len(server.asked("Series/Data"))
    assert fetch(client, tmp_path) == first
    assert fetch(client, tmp_path, series=["SG_REG_BRTH"], areas=["404"]) == first, "it covers less, too"
    assert (files_of(tmp_path), len(server.asked("Series/Data"))) == (before, asked)


def test_a_wider_question_makes_a_further_edition_and_changes_nothing(client: SdgApiClient, tmp_path: Path) -> None:
    first = fetch(client, tmp_path)
    before = files_of(first)
    second = fetch(client, tmp_path, series=[*SERIES, "FB_BNK_ACCSS"])
    assert second == tmp_path / "2020-10+2"
    assert files_of(first) == before
    assert read_snapshot(second).info.rows == 7 + 90 + 63
    assert read_snapshot(second).info.release == "2020-10"


def test_a_damaged_snapshot_is_refused_and_fetched_anew_beside_it(client: SdgApiClient, tmp_path: Path) -> None:
    folder = fetch(client, tmp_path)
    part = folder / "observations/SG_REG_BRTH/page-0001.json.gz"
    part.write_bytes(gzip.compress(gzip.decompress(part.read_bytes()).replace(b'"value": "', b'"value": "1'), mtime=0))
    with pytest.raises(SnapshotError, match=r"page-0001\.json\.gz differs from its checksum"):
        read_snapshot(folder)
    assert fetch(client, tmp_path) == tmp_path / "2020-10+2"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "observations/SG_REG_BRTH/page-0001.json.gz").unlink(), "is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "not a complete snapshot"),
        (lambda folder: (folder / "manifest.json").write_text('{"release"'), "not a complete snapshot"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text().replace('"rows": 97', '"rows": 98')
            ),
            "97 rows, but its manifest says 98",
        ),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "not a complete snapshot"),
        (lambda folder: (folder / "manifest.json").write_text('{"release": "2020-10"}'), "lacks areas, base_url"),
    ],
)
def test_every_kind_of_damage_is_said(
    client: SdgApiClient, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    folder = fetch(client, tmp_path)
    damage(folder)
    with pytest.raises(SnapshotError, match=said):
        read_snapshot(folder)


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.HTML, Kind.TRUNCATED, Kind.RESET, Kind.DRIFTING_TOTAL])
def test_a_fetch_that_fails_leaves_no_release_and_goes_on_where_it_ended(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path, kind: Kind
) -> None:
    clean = fetch(client, tmp_path / "clean")
    fault = server.misbehave(kind, page=4, times=None)  # in the middle of the second series
    with pytest.raises(OfficialSourceError):
        fetch(client, tmp_path / "faults")
    assert folders(tmp_path / "faults") == []
    fault.times = 0
    before = len(server.asked("Series/Data"))
    assert files_of(fetch(client, tmp_path / "faults")) == files_of(clean)
    asked = {query["seriesCode"][0] for query in server.asked("Series/Data")[before:]}
    assert asked == {"SL_TLF_NEET"}, "what had arrived is not asked for again"


def test_a_release_that_changes_under_way_is_not_mixed(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    server.misbehave(Kind.NEW_RELEASE, page=2)
    with pytest.raises(OfficialSourceError, match=r"9999\.Q9\.G\.99 came out while 2020-10 was being read"):
        fetch(client, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_figures_revised_under_the_same_name_are_a_further_edition(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path, impatient: HttpSettings
) -> None:
    first = fetch(client, tmp_path)
    server.misbehave(Kind.REVISION, path="Series/LastUpdated")
    with SdgApiClient(server.url, impatient) as later:
        later.updated()
        second = fetch(later, tmp_path)
    assert (first.name, second.name) == ("2020-10", "2020-10+2")
    assert fetch(client, tmp_path) == second, "and once only"


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "2020+2"])
def test_a_release_name_cannot_lead_out_of_the_folder(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings, tmp_path: Path, name: str
) -> None:
    server = serve(replace(bundled_data, release=name))
    with (
        SdgApiClient(server.url, impatient) as client,
        pytest.raises(OfficialSourceError, match="cannot be the name of a release"),
    ):
        fetch(client, tmp_path / "lake")
    assert list(tmp_path.iterdir()) == []


def test_many_faults_at_once_end_with_the_right_snapshot(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    clean = fetch(client, tmp_path / "clean")
    for kind in Kind:
        if kind not in (
            Kind.NEW_RELEASE,
            Kind.REVISION,
            Kind.SLOW,
            Kind.LOST_ROW,
            Kind.NO_TOTAL_PAGES,
            Kind.WRONG_TOTAL_PAGES,
        ):
            server.misbehave(kind, page=2 + len(kind.name) % 3)
    with SdgApiClient(server.url, replace(client.settings, attempts=20)) as patient:
        assert files_of(fetch(patient, tmp_path / "faults")) == files_of(clean)


# --- which one is used ---------------------------------------------------------------------------------------


def test_the_bundled_figures_where_the_settings_say_so(settings: Settings) -> None:
    info = choose_snapshot(settings, AREAS, DAY).info
    assert (info.route, info.release, info.date, info.series, info.rows) == ("bundled", "2020-10", "2020-10", 28, 6741)
    assert info.reason == "official_source is bundled in the settings"
    assert info.label == "UN Global SDG Database, release 2020-10 (bundled, of 2020-10)"


def test_the_api_where_it_answers(settings: Settings, server: ReplayServer, impatient: HttpSettings) -> None:
    info = choose_snapshot(online(settings, server), AREAS, DAY, http=impatient).info
    expected = expected_series(settings.official).filter(pl.col("in_release") == "true")["series"].n_unique()
    assert (info.route, info.date, info.source) == ("api", DAY, server.url)
    assert (info.series, info.rows) == (expected, 6741)
    assert info.label == f"UN Global SDG Database, release 2020-10 (fetched {DAY})"


def test_the_last_good_snapshot_where_the_api_fails(
    settings: Settings, server: ReplayServer, impatient: HttpSettings
) -> None:
    settings = online(settings, server)
    first = choose_snapshot(settings, AREAS, DAY, http=impatient)
    server.misbehave(Kind.STATUS, times=None, path="")
    later = choose_snapshot(settings, AREAS, "2021-03-01", http=impatient)
    assert (later.info.route, later.info.date, later.info.sha256) == ("last_good", DAY, first.info.sha256)
    assert "the service gave no complete answer" in later.info.reason
    assert "status 503" in later.info.reason
    assert later.info.label == f"UN Global SDG Database, release 2020-10 (last good snapshot, fetched {DAY})"
    assert later.observations.equals(first.observations)
    # Without asking, the same; and who wants the bundled figures gets them, whatever lies in the lake.
    offline = choose_snapshot(replace(settings, official_source="last_good"), AREAS, DAY).info
    assert (offline.route, offline.sha256) == ("last_good", first.info.sha256)
    assert choose_snapshot(replace(settings, official_source="bundled"), AREAS, DAY).info.route == "bundled"


def test_the_newest_release_is_the_last_good_one_and_a_damaged_one_is_passed_over(
    settings: Settings, serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings
) -> None:
    for release in ("2020.Q3.G.01", "2021.Q1.G.01"):
        server = serve(replace(bundled_data, release=release))
        choose_snapshot(online(settings, server), AREAS, DAY, series=["SG_REG_BRTH"], http=impatient)
    offline = replace(settings, official_source="last_good")
    assert choose_snapshot(offline, AREAS, DAY).info.release == "2021.Q1.G.01"
    newest = settings.lake / "official_snapshots" / "2021.Q1.G.01"
    (newest / "observations/SG_REG_BRTH/page-0001.json.gz").write_bytes(b"")
    info = choose_snapshot(offline, AREAS, DAY).info
    assert info.release == "2020.Q3.G.01"
    assert "2021.Q1.G.01" in info.reason, "why an older release is in use is said"


def test_the_bundled_figures_where_nothing_else_can_be_had(settings: Settings, impatient: HttpSettings) -> None:
    nowhere = replace(settings, official_source="api", official_api="http://127.0.0.1:9/SDGAPI")
    info = choose_snapshot(nowhere, AREAS, DAY, http=impatient).info
    assert info.route == "bundled"
    assert "ConnectionError" in info.reason


def test_an_unknown_source_is_an_error(settings: Settings) -> None:
    with pytest.raises(ValueError, match="official_source is 'un'; it takes bundled, api, sdmx, last_good"):
        choose_snapshot(replace(settings, official_source="un"), AREAS, DAY)


# --- the bundled figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
        (lambda folder: (folder / "series.csv").unlink(), r"series\.csv is missing"),
        (
            lambda folder: (folder / "observations.csv").write_text(
                (folder / "observations.csv").read_text("utf-8").replace(",<5,", ",5,"), "utf-8"
            ),
            r"observations\.csv differs from SHA256SUMS",
        ),
    ],
)
def test_edited_bundled_figures_are_refused(
    bundled_folder: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    copy = Path(shutil.copytree(bundled_folder, tmp_path / "official"))
    damage(copy)
    with pytest.raises(SnapshotError, match=said):
        bundled_snapshot(copy)


# --- shapes that pages may take --------------------------------------------------------------------------------


def test_names_of_dimensions_become_column_names() -> None:
    assert [dimension_name(name) for name in ("Reporting Type", "Level/Status", "Type_of_household", " Sex\r\n")] == [
        "reporting_type",
        "level_status",
        "type_of_household",
        "sex",
    ]


def test_rows_may_differ_in_their_fields(
    serve: Callable[..., ReplayServer], bundled_data: ReplayData, impatient: HttpSettings, tmp_path: Path
) -> None:
    some = bundled_data.observations.filter(pl.col("series").is_in(["SG_REG_BRTH"])).with_row_index()
    odd = some.with_columns(
        lower_bound=pl.when(pl.col("index") == 5).then(pl.lit("1.5")),
        source=pl.when(pl.col("index") > 2).then(pl.lit("Demographic and Health Survey")),
        footnotes=pl.when(pl.col("index") == 6).then(pl.lit("first\nsecond")),
        **{"dimension.type_of_household": pl.when(pl.col("index") == 6).then(pl.lit("_T"))},
    ).drop("index")
    server = serve(replace(bundled_data, observations=odd))
    with SdgApiClient(server.url, replace(impatient, page_size=5)) as client:
        rows = read_snapshot(fetch(client, tmp_path, series=["SG_REG_BRTH"])).observations
    assert rows["lower_bound"].to_list() == [None] * 5 + ["1.5", None]
    assert rows["source"].null_count() == 3
    assert rows["footnotes"].to_list() == [None] * 6 + ["first\nsecond"]
    assert rows["dimension.type_of_household"].to_list() == [None] * 6 + ["_T"]
    assert rows["dimension.age"].unique().to_list() == ["<5Y"]
