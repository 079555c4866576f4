"""The whole pipeline on the bundled inbox: with and without Dagster the same bytes, and those that were recorded.

Accept wanted changes with: LNOB_ACCEPT=1 python -m pytest lnob_pipeline_tests/golden
"""

import os
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from lnob_pipeline import storage
from lnob_pipeline.automation.partitions import add_keys
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.definitions import defs
from lnob_pipeline.pipeline import Step, inbox_keys, run_all
from lnob_pipeline.settings import Settings

RECORDED = Path(__file__).with_name("SHA256SUMS")
NOW = "2026-11-23T00:00:00Z"
REJECTED = {"ken-2019-no-consent"}


def sums(settings: Settings) -> str:
    """sha256 and name of every published Parquet file."""
    latest = settings.published / "latest"
    return "".join(f"{storage.sha256_file(path)}  {path.name}\n" for path in sorted(latest.glob("*.parquet")))


@pytest.fixture(scope="module")
def plain(homes: tuple[Path, Path]) -> tuple[Settings, list[Step]]:
    settings = Settings.load(home=homes[0])
    return settings, run_all(settings, NOW)


def test_the_run_gives_the_recorded_bytes(plain: tuple[Settings, list[Step]]) -> None:
    found = sums(plain[0])
    if os.environ.get("LNOB_ACCEPT"):
        RECORDED.write_text(found, "utf-8")
    assert found == RECORDED.read_text("utf-8"), (
        "the published tables changed; if wanted, accept them (see the docstring)"
    )


def test_a_second_run_has_nothing_to_do(plain: tuple[Settings, list[Step]]) -> None:
    settings, _ = plain
    before = sums(settings)
    assert [step.stage for step in run_all(settings, "2027-01-01T00:00:00Z") if step.changed] == []
    assert sums(settings) == before


@pytest.mark.usefixtures("few_outputs")  # the other forms are made of the same tables
def test_dagster_gives_the_same_bytes(plain: tuple[Settings, list[Step]], homes: tuple[Path, Path]) -> None:
    settings = Settings.load(home=homes[1])
    resources = {"settings": PipelineSettings(home=str(homes[1]))}
    whole = dg.Definitions(assets=defs.assets, jobs=defs.jobs, resources=resources, executor=dg.in_process_executor)
    with dg.DagsterInstance.ephemeral() as instance:
        keys = inbox_keys(settings)
        add_keys(instance, keys)
        failed = set()
        for key in keys:
            job = whole.resolve_job_def("submission_job")
            result = job.execute_in_process(partition_key=key, instance=instance, raise_on_error=False)
            if not result.success:
                failed.add(key)
        assert failed == REJECTED  # a rejected hand-in turns red alone
        assert whole.resolve_job_def("nightly_job").execute_in_process(instance=instance).success
        materialised = instance.get_materialized_partitions(dg.AssetKey("responses"))
        assert materialised == set(keys) - REJECTED
    assert sums(settings) == sums(plain[0])


def test_every_hand_in_ends_as_it_should(plain: tuple[Settings, list[Step]]) -> None:
    sources = pl.read_parquet(plain[0].published / "latest" / "sources.parquet")
    states = dict(sources.select("submission_id", "state").iter_rows())
    assert {key for key, state in states.items() if state == "rejected"} == REJECTED
    assert states["ind-2020-partly-bad"] == "accepted_with_flags"
    assert len(states) == 10
    assert sources["synthetic"].all()
