"""A fetch that is killed goes on where it was, and ends with the same bytes as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.official.client import SdgApiClient
from lnob_pipeline.official.http import HttpSettings, OfficialSourceError
from lnob_pipeline.official.pages import no_rows
from lnob_pipeline.official.snapshot import fetch_snapshot, read_snapshot
from lnob_pipeline.official.sources import SourcePart
from lnob_pipeline.official.staging import Staging
from lnob_pipeline.storage import sha256_file
from lnob_pipeline_tests.official.conftest import ISO3_BY_M49, ROOT
from lnob_pipeline_tests.official.replay_server import Kind, ReplayServer

AREAS = list(ISO3_BY_M49)
DAY = "2020-11-02"
QUESTION = {"release": "2020-10", "areas": ["404"]}
CHILD = """
import sys
from pathlib import Path
from lnob_pipeline.official.client import SdgApiClient
from lnob_pipeline.official.http import HttpSettings
from lnob_pipeline.official.snapshot import fetch_snapshot
url, root, day, *areas = sys.argv[1:]
with SdgApiClient(url, HttpSettings(connections=2, page_size=20)) as client:
    fetch_snapshot(client, Path(root), series=client.series_codes(), areas=areas, fetched=day)
"""


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def series_asked(server: ReplayServer) -> list[str]:
    return [query["seriesCode"][0] for query in server.asked("Series/Data")]


def part(series: str, *values: str) -> SourcePart:
    rows = pl.concat([no_rows(), pl.DataFrame({"series": series, "value_text": list(values)})], how="diagonal")
    return SourcePart(series, tuple(value.encode() for value in values), rows, len(values))


def test_a_fetch_killed_in_its_midst_asks_for_nothing_twice_and_ends_the_same(
    serve: Callable[..., ReplayServer], impatient: HttpSettings, tmp_path: Path
) -> None:
    server = serve()
    slow = server.misbehave(Kind.SLOW, times=None, seconds=0.02)
    root = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, server.url, str(root), DAY, *AREAS]
    with subprocess.Popen(command, env=environment) as child:
        deadline = time.monotonic() + 60
        while len(list(root.glob(".2020-10.part/parts/[!.]*.json"))) < 5:
            assert child.poll() is None and time.monotonic() < deadline, "it is to be killed in the midst of its work"
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not (root / "2020-10").exists(), "half a release is none"
    whole = {path.stem for path in root.glob(".2020-10.part/parts/[!.]*.json")}
    asked_before = len(series_asked(server))
    slow.times = 0
    with SdgApiClient(server.url, replace(impatient, page_size=20)) as client:
        wanted = client.series_codes()
        resumed = fetch_snapshot(client, root, series=wanted, areas=AREAS, fetched=DAY)
        asked_again = set(series_asked(server)[asked_before:])
        assert len(whole) >= 5
        assert asked_again == wanted - whole
        unbroken = fetch_snapshot(client, tmp_path / "unbroken", series=wanted, areas=AREAS, fetched=DAY)
    assert files_of(resumed) == files_of(unbroken)
    assert [path.name for path in root.iterdir()] == ["2020-10"], "nothing is left of the first try"
    assert read_snapshot(resumed).info == read_snapshot(unbroken).info


def test_after_a_failure_only_what_is_missing_is_asked_for(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    fault = server.misbehave(Kind.STATUS, times=None, page=2)  # SL_TLF_NEET has several pages, SG_REG_BRTH one
    both = ["SG_REG_BRTH", "SL_TLF_NEET"]
    with pytest.raises(OfficialSourceError, match="status 503"):
        fetch_snapshot(client, tmp_path, series=both, areas=AREAS, fetched=DAY)
    fault.times = 0
    asked = len(series_asked(server))
    folder = fetch_snapshot(client, tmp_path, series=both, areas=AREAS, fetched=DAY)
    assert set(series_asked(server)[asked:]) == {"SL_TLF_NEET"}
    assert read_snapshot(folder).info.rows == 7 + 90


def test_figures_revised_meanwhile_are_not_mixed_with_those_before(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    server.misbehave(Kind.REVISION, page=2)
    with pytest.raises(OfficialSourceError, match="its figures were revised while 2020-10 was being read"):
        fetch_snapshot(client, tmp_path, series=["SG_REG_BRTH", "SL_TLF_NEET"], areas=AREAS, fetched=DAY)
    assert list(tmp_path.iterdir()) == []


def test_parts_are_listed_once_they_are_whole_and_read_back(tmp_path: Path) -> None:
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        staging.add(part("B", "1", "2"))
        staging.add(part("A", "3"))
        staging.add(part("C"))
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        assert staging.series == {"A", "B", "C"}
        assert staging.total == 3
        rows = staging.rows().collect()
        assert rows.select("series", "value_text").rows() == [("A", "3"), ("B", "1"), ("B", "2")]
        found = files_of(staging.assembled())
        assert {file["path"]: file["sha256"] for file in staging.files} == found
        staging.keep(["B"])
        assert staging.series == {"B"}
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        assert staging.series == {"B"}
        staging.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "parts/A.json").unlink(),
        lambda folder: (folder / "parts/A.json").write_text("{"),
        lambda folder: (folder / "parts/A.json").write_text("[]"),
        lambda folder: (folder / "observations/A/page-0001.json.gz").write_bytes(b""),
        lambda folder: (folder / "observations/A/page-0001.json.gz").unlink(),
        lambda folder: (folder / "rows/A.arrow").write_bytes(b"x"),
        lambda folder: (folder / "rows/A.arrow").unlink(),
    ],
)
def test_a_part_that_is_not_whole_is_as_good_as_absent(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        staging.add(part("A", "3"))
        staging.add(part("B", "4"))
    damage(staging.folder)
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        assert staging.series == {"B"}
        staging.add(part("A", "5"))
        assert staging.rows().collect()["value_text"].to_list() == ["5", "4"]


def test_parts_of_another_question_are_dropped(tmp_path: Path) -> None:
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        staging.add(part("A", "3"))
    with Staging(tmp_path, "2020-10", QUESTION | {"areas": ["404", "454"]}) as staging:
        assert staging.series == frozenset()
    assert not list(tmp_path.rglob("*.gz"))


def test_two_processes_do_not_work_on_one_release(tmp_path: Path) -> None:
    with (
        Staging(tmp_path, "2020-10", QUESTION),
        pytest.raises(OfficialSourceError, match="another process is fetching this release"),
    ):
        Staging(tmp_path, "2020-10", QUESTION)
    with Staging(tmp_path, "2020-10", QUESTION) as staging:
        assert json.loads((staging.folder / "staging.json").read_bytes()) == QUESTION


def test_what_was_begun_of_an_older_release_is_cleared_when_a_later_one_is_there(
    client: SdgApiClient, server: ReplayServer, tmp_path: Path
) -> None:
    old = {"release": "2020.Q1.G.01", "base_url": server.url}
    for question in (old, old | {"release": "2020.Q2.G.01"}, old | {"release": "SDMX-1.9", "base_url": "elsewhere"}):
        with Staging(tmp_path, question["release"], question) as staging:
            staging.add(part("A", "3"))
    (tmp_path / ".2020-09.abcd.part").mkdir()  # a download that is being taken in
    with Staging(tmp_path, "2020.Q2.G.01", old | {"release": "2020.Q2.G.01"}):  # another process is at work on it
        fetch_snapshot(client, tmp_path, series=["SG_REG_BRTH"], areas=AREAS, fetched=DAY)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"2020-10", ".2020.Q2.G.01.part", ".SDMX-1.9.part", ".2020-09.abcd.part"}
