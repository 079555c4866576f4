"""Sensors: a hand-in that is new or has changed starts its own run of stages 1 to 4.

Concept: https://docs.dagster.io (sensors, dynamic partitions, run keys).
"""

import json
from pathlib import Path

import dagster as dg

from lnob_pipeline.automation.jobs import submission_job
from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger
from lnob_pipeline.submissions.receive import content_version, inbox_fingerprint, scan


@dg.sensor(
    job=submission_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks into the inbox; a hand-in whose files look changed is read, and runs if its content did change",
)
def inbox_sensor(context: dg.SensorEvaluationContext, settings: PipelineSettings) -> dg.SensorResult:
    """One run request for each hand-in that is not validated as it lies there; keys are added as they appear.

    The cursor holds the fingerprints that were dealt with, so that an unchanged file is not read again.
    """
    loaded = settings.load()
    seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    found = {folder.name: inbox_fingerprint(folder) for folder in scan(loaded)}
    changed = [folder for folder in scan(loaded) if seen.get(folder.name) != found[folder.name]]
    requests = [
        dg.RunRequest(partition_key=folder.name, run_key=f"{folder.name}:{found[folder.name]}")
        for folder in changed
        if not _is_validated(loaded, folder)
    ]
    new = sorted(set(found) - set(context.instance.get_dynamic_partitions("submissions")))
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[SUBMISSIONS.build_add_request(new)] if new else [],
        cursor=json.dumps(found, sort_keys=True),
    )


def _is_validated(settings: Settings, folder: Path) -> bool:
    """Whether the content of a folder is in the ledger and was decided on."""
    version = content_version(settings, folder)
    return any(
        item.version == version and ledger.outcome(settings, item).height for item in ledger.live(settings, folder.name)
    )


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.groups("gaps", "publication"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Refreshes gap table and release after each change; start it where waiting for the night is too long",
)
