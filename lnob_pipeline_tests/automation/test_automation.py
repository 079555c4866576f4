"""Sensor, schedule and bulk job: what starts a run, what does not, and what the event log holds afterwards."""

import datetime
import hashlib
import io
import os
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from lnob_pipeline.automation import jobs
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.automation.schedules import nightly_schedule
from lnob_pipeline.automation.sensors import inbox_sensor
from lnob_pipeline.pipeline import Step
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger, receive, reviews
from lnob_pipeline_tests.homes import project_folder

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

KEYS = ["ken-2019-no-consent", "nga-2020-policy-review"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose inbox holds two small hand-ins, one of which is rejected."""
    return project_folder(tmp_path, KEYS)


def tick(home: Path, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"settings": PipelineSettings(home=str(home))}
    )
    result = inbox_sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def run_bulk(home: Path, instance: dg.DagsterInstance) -> list[Step]:
    steps: list[Step] = []
    jobs.listeners.append(steps.append)
    try:
        done = jobs.whole_job.execute_in_process(
            instance=instance, resources={"settings": PipelineSettings(home=str(home))}
        )
    finally:
        jobs.listeners.remove(steps.append)
    assert done.success
    return steps


def test_the_sensor_asks_once_for_what_is_new_and_again_for_what_changed(home: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(home, instance)
        assert [request.partition_key for request in first.run_requests or []] == KEYS
        (added,) = first.dynamic_partitions_requests or []
        assert list(added.partition_keys) == KEYS
        assert not tick(home, instance, first.cursor).run_requests
        manifest = home / "data/submissions/nga/nga-2020-policy-review/submission.yaml"
        manifest.write_text(manifest.read_text("utf-8") + "# corrected\n", "utf-8")
        changed = tick(home, instance, first.cursor)
        assert [request.partition_key for request in changed.run_requests or []] == ["nga-2020-policy-review"]


def test_the_sensor_leaves_alone_what_the_bulk_job_has_validated(home: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_bulk(home, instance)
        result = tick(home, instance)
        assert not result.run_requests
        assert len(result.cursor or "") == 64  # a token, however many hand-ins there are


def test_the_sensor_reads_files_that_changed_and_no_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def digest(stream: io.BufferedReader, name: str) -> "hashlib._Hash":
        read.append(Path(f"/proc/self/fd/{stream.fileno()}").readlink().name)
        return file_digest(stream, name)

    file_digest = hashlib.file_digest
    monkeypatch.setattr(receive.hashlib, "file_digest", digest)
    folder = home / "data/submissions/nga/nga-2020-policy-review"
    (folder / "more.csv").write_text("a\n1\n")
    manifest = folder / "submission.yaml"
    line = "files:\n  - {path: more.csv, role: codebook, format: csv}\n"
    manifest.write_text(manifest.read_text("utf-8").replace("files:\n", line), "utf-8")
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(home, instance)
        assert {"more.csv", "policy_review.xlsx"} <= set(read)
        read.clear()
        again = tick(home, instance, first.cursor)
        assert read == [] and again.cursor == first.cursor and not again.run_requests
        (folder / "more.csv").write_text("a\n2\n")  # of the same size
        times = (folder / "more.csv").stat().st_atime_ns, 1
        os.utime(folder / "more.csv", ns=times)
        changed = tick(home, instance, first.cursor)
        assert read == ["more.csv"]
        assert [request.partition_key for request in changed.run_requests or []] == ["nga-2020-policy-review"]
        read.clear()
        lost = tick(home, instance, "another cursor")  # all are looked at anew, none is read
        assert read == [] and len(lost.run_requests or []) == 2


def test_the_sensor_starts_a_run_for_a_reviewers_decision(home: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_bulk(home, instance)
        first = tick(home, instance)
        key = KEYS[1]
        settings = Settings.load(home=home)
        (live,) = ledger.live(settings, key)
        day = datetime.date(2026, 11, 23)
        reviews.record(settings, key, live.version, "ethics", "accept", "secretariat", day, "seen", lambda text: False)
        decided = tick(home, instance, first.cursor)
        assert [request.partition_key for request in decided.run_requests or []] == [key]
        assert not tick(home, instance, decided.cursor).run_requests
        run_bulk(home, instance)  # takes the decision in
        assert not tick(home, instance).run_requests


def test_the_state_of_all_submissions_is_an_asset_of_its_own_run(home: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_bulk(home, instance)
        event = instance.get_latest_materialization_event(dg.AssetKey("submission_status"))
        assert event is not None and event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        counts = {name: metadata[name].value for name in ("accepted", "rejected", "submissions", "past_retention")}
        assert counts == {"accepted": 1.0, "rejected": 1.0, "submissions": 2.0, "past_retention": 0.0}
        lake = Settings.load(home=home).lake
        assert pl.read_parquet(lake / "submission_status.parquet")["submission_id"].to_list() == KEYS
        done = dg.materialize(
            [asset for asset in _assets() if dg.AssetKey("submission_status") in asset.keys],
            instance=instance,
            resources={"settings": PipelineSettings(home=str(home))},
        )
        assert done.success


def test_the_bulk_job_records_each_partition_and_its_checks(home: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        steps = run_bulk(home, instance)
        assert {step.key for step in steps if step.problems} == {"ken-2019-no-consent"}
        assert instance.get_materialized_partitions(dg.AssetKey("responses")) == {"nga-2020-policy-review"}
        assert instance.get_materialized_partitions(dg.AssetKey("quarantine")) == set(KEYS)
        assert instance.get_latest_materialization_event(dg.AssetKey("published_release")) is not None
        consent = dg.AssetCheckKey(dg.AssetKey("responses"), "consent")
        records = instance.event_log_storage.get_asset_check_execution_history(consent, limit=10)
        found = {record.partition: record.status.value for record in records}
        assert found == {"ken-2019-no-consent": "FAILED", "nga-2020-policy-review": "SUCCEEDED"}
        again = run_bulk(home, instance)
        assert not any(step.changed for step in again)


def test_a_rejected_hand_in_turns_red_alone_and_withholds_its_responses(home: Path) -> None:
    resources = {"settings": PipelineSettings(home=str(home))}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("submissions", KEYS)
        outcomes = {
            key: dg.Definitions(assets=_assets(), jobs=[jobs.submission_job], resources=resources)
            .resolve_job_def("submission_job")
            .execute_in_process(partition_key=key, instance=instance, raise_on_error=False)
            .success
            for key in KEYS
        }
        assert outcomes == {"ken-2019-no-consent": False, "nga-2020-policy-review": True}
        written = instance.get_materialized_partitions(dg.AssetKey("validation_outcomes"))
        assert written == set(KEYS)  # also of the rejected one
    lake = Settings.load(home=home).lake
    assert not (lake / "responses" / "ken-2019-no-consent.parquet").exists()
    assert (lake / "feedback" / "ken-2019-no-consent.xlsx").exists()


def _assets() -> list[dg.AssetsDefinition]:
    from lnob_pipeline.definitions import defs

    return [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]


def test_the_night_publishes() -> None:
    assert nightly_schedule.cron_schedule == "0 2 * * *"
    assert nightly_schedule.job_name == "nightly_job"
    assert nightly_schedule.default_status == dg.DefaultScheduleStatus.RUNNING
