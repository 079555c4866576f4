"""`lnob ui` as an analyst meets it: it opens on the finished run, shows every asset, and materialises one."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lnob_pipeline_tests.browser.chromium import NEEDS_CHROMIUM, chromium, pixels
from lnob_pipeline_tests.homes import project_folder

pytestmark = NEEDS_CHROMIUM
PATIENCE = 150.0
ASSETS = {
    "submissions", "sealed_files", "responses", "quarantine", "validation_results", "validation_outcomes",
    "harmonised_households", "harmonised_persons", "citizen_evidence", "citizen_estimates", "sdg_catalogue",
    "official_observations", "comparison", "data_gaps", "coverage", "decisions", "published_release",
    "submission_status", "fitness", "disclosure_risk", "linkage", "official_releases", "official_revisions",
}  # fmt: skip
START = """
mutation($repository: String!, $location: String!, $job: String!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {repositoryName: $repository, repositoryLocationName: $location, pipelineName: $job},
    runConfigData: {}, mode: "default", executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""


class Interface:
    """A running `lnob ui`."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return dict(found["data"])

    def location(self) -> dict[str, str] | None:
        nodes = self.ask("{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}")
        found = nodes["repositoriesOrError"].get("nodes") or []
        return {"repository": found[0]["name"], "location": found[0]["location"]["name"]} if found else None


def wait_for(what: str, ready: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if found := ready():
                return found
        except OSError:
            pass
        time.sleep(1)
    raise AssertionError(f"{what}: not within {PATIENCE:.0f} seconds")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_folder(tmp_path_factory.mktemp("home"), ["ken-2019-no-consent", "nga-2020-policy-review"])


@pytest.fixture(scope="module")
def interface(home: Path) -> Iterator[Interface]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LNOB_", "DAGSTER_"))}
    environment["LNOB_HOME"] = str(home)
    lnob = [sys.executable, "-c", "from lnob_pipeline.cli import main; main()"]
    subprocess.run([*lnob, "run"], env=environment, capture_output=True, timeout=180, check=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*lnob, "ui", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A group of its own, so that the web server, the daemon and the code server end with it.
    with subprocess.Popen(command, env=environment, start_new_session=True, **quiet) as process:
        try:
            found = Interface(port)
            wait_for("the Dagster UI", found.location)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def test_every_asset_is_there_and_the_finished_run_too(interface: Interface) -> None:
    nodes = interface.ask("{assetNodes{assetKey{path} staleStatus}}")["assetNodes"]
    assert {node["assetKey"]["path"][-1] for node in nodes} == ASSETS
    synced = {node["assetKey"]["path"][-1] for node in nodes if node["staleStatus"] == "FRESH"}
    assert synced >= {"official_observations", "data_gaps", "published_release"}
    runs = interface.ask("{runsOrError{... on Runs{results{jobName status}}}}")["runsOrError"]["results"]
    assert {"jobName": "whole_job", "status": "SUCCESS"} in runs
    assert not [run for run in runs if run["jobName"] == "submission_job"]  # validated hand-ins are left alone


def test_the_lineage_and_the_checks_are_drawn(interface: Interface, tmp_path: Path) -> None:
    for name, words in {
        "asset-groups": ["submissions", "validation", "harmonisation", "estimation", "official", "gaps", "publication"],
        "assets/responses?view=checks": ["consent", "identifiers", "expectations"],
        "runs": ["whole_job"],
    }.items():
        address = f"{interface.address}/{name}"
        result = chromium(tmp_path, address, "--dump-dom", "--virtual-time-budget=30000", "--window-size=1600,1000")
        text = re.sub(r"<[^>]+>", " ", result.stdout)
        assert not [word for word in words if word not in text], name
        picture = tmp_path / "ui.png"
        chromium(tmp_path, address, f"--screenshot={picture}", "--virtual-time-budget=30000", "--window-size=800,600")
        _, _, rows = pixels(picture)
        colours = {row[place : place + 3] for row in rows[::4] for place in range(0, len(row), 12)}
        assert len(colours) > 20, name


@pytest.mark.parametrize(
    ("job", "partition", "ends"),
    [
        ("submission_job", "nga-2020-policy-review", "SUCCESS"),
        ("submission_job", "ken-2019-no-consent", "FAILURE"),  # a rejected hand-in turns red
        ("nightly_job", None, "SUCCESS"),
    ],
)
def test_every_asset_can_be_materialised_from_the_interface(
    interface: Interface, job: str, partition: str | None, ends: str
) -> None:
    where = interface.location()
    assert where is not None
    tags = [{"key": "dagster/partition", "value": partition}] if partition else []
    started = interface.ask(START, job=job, tags=tags, **where)["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess"
    run = started["run"]["runId"]
    query = "query($run: ID!){runOrError(runId: $run){... on Run{status}}}"

    def ended() -> str | None:
        status = interface.ask(query, run=run)["runOrError"]["status"]
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    assert wait_for("the run", ended) == ends
