"""`lnob ui` as an analyst meets it: it opens on the finished run, shows every asset, and materialises one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnob_pipeline_tests.browser.chromium import NEEDS_CHROMIUM, chromium, pixels
from lnob_pipeline_tests.browser.dagster_ui import Interface, serving, wait_for
from lnob_pipeline_tests.browser.devtools import Browser, started
from lnob_pipeline_tests.homes import project_folder

pytestmark = NEEDS_CHROMIUM
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
LINEAGE = """
query($key: AssetKeyInput!) {
  assetOrError(assetKey: $key) { ... on Asset { assetMaterializations(limit: 1) { metadataEntries {
    label ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } }
  } } } }
}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_folder(tmp_path_factory.mktemp("home"), ["ken-2019-no-consent", "nga-2020-policy-review"])


@pytest.fixture(scope="module")
def interface(home: Path) -> Iterator[Interface]:
    with serving(home) as found:
        yield found


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


def wait_for_text(browser: Browser, *words: str) -> str:
    """The text of the page, once all the words stand in it."""

    def there() -> str | None:
        text = str(browser.evaluate("document.body?.innerText ?? ''"))
        return text if all(word in text for word in words) else None

    return str(wait_for(f"a page with {', '.join(words)}", there))


def click(browser: Browser, text: str, after: str) -> None:
    """Click the first link or button whose text is exactly this and that stands after another text of the page."""
    find = (
        "(all => all.slice(all.findIndex(one => one.childElementCount === 0 && "
        f"one.innerText?.trim() === {json.dumps(after)})).find(one => one.matches('a, button') && "
        f"one.childElementCount === 0 && one.innerText?.trim() === {json.dumps(text)}))"
        "([...document.querySelectorAll('body *')])"
    )
    wait_for(f"something to click: {text}", lambda: browser.evaluate(f"!!{find}"))
    browser.evaluate(f"{find}.click()")


@pytest.mark.parametrize(
    ("job", "partition", "ends"),
    [
        ("submission_job", "nga-2020-policy-review", "SUCCESS"),
        ("submission_job", "ken-2019-no-consent", "FAILURE"),  # a rejected hand-in turns red
        pytest.param("nightly_job", None, "SUCCESS", marks=pytest.mark.thorough),
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


def test_an_analyst_finds_what_stands_behind_the_last_gap_table(interface: Interface, tmp_path: Path) -> None:
    """From the list of assets, by what is written there alone: which hand-ins, which official release."""
    with started(tmp_path) as browser:
        browser.call("Page.navigate", url=f"{interface.address}/assets/data_gaps")
        text = wait_for_text(browser, "stands_on_submissions", "Row count")
        assert "UN Global SDG Database, release 2020-10" in text
        assert "under Events or at the foot of this page" in text
        click(browser, "[Show Markdown]", after="stands_on_submissions")
        shown = wait_for_text(browser, "in these tables")
        assert "nga-2020-policy-review" in shown and "ken-2019-no-consent" in shown
        browser.call("Page.navigate", url=f"{interface.address}/assets/published_release?view=events")
        text = wait_for_text(browser, "codebook_file", "changes_file", "page_file", "stands_on_official_release")
        assert "CODEBOOK.md" in text and "CHANGES.md" in text


def test_column_lineage_is_recorded(interface: Interface) -> None:
    asked = interface.ask(LINEAGE, key={"path": ["data_gaps"]})
    (event,) = asked["assetOrError"]["assetMaterializations"]
    found = {
        line["columnName"]: {(dep["assetKey"]["path"][-1], dep["columnName"]) for dep in line["columnDeps"]}
        for entry in event["metadataEntries"]
        for line in entry.get("lineage") or []
    }
    assert ("official_observations", "nature") in found["status"]
    assert ("citizen_estimates", "comparability") in found["citizen_effect"]
    assert {asset for deps in found.values() for asset, _ in deps} <= ASSETS
