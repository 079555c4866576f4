"""Sensors: a hand-in that is new or has changed starts its own run of stages 1 to 4.

Concept: https://docs.dagster.io (sensors, dynamic partitions, run keys).
"""

import dagster as dg

from lnob_pipeline.automation.jobs import submission_job
from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.submissions.receive import inbox_fingerprint, scan


@dg.sensor(
    job=submission_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks into the inbox; names, sizes and times of the files decide whether a hand-in is looked at again",
)
def inbox_sensor(context: dg.SensorEvaluationContext, settings: PipelineSettings) -> dg.SensorResult:
    """One run request a hand-in whose fingerprint is new; keys are added as they appear."""
    loaded = settings.load()
    known = set(context.instance.get_dynamic_partitions("submissions"))
    fingerprints = {folder.name: inbox_fingerprint(folder) for folder in scan(loaded)}
    new = sorted(set(fingerprints) - known)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(partition_key=key, run_key=f"{key}:{fingerprint}")
            for key, fingerprint in fingerprints.items()
        ],
        dynamic_partitions_requests=[SUBMISSIONS.build_add_request(new)] if new else [],
    )


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.groups("gaps", "publication"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Refreshes gap table and release after each change; start it where waiting for the night is too long",
)
