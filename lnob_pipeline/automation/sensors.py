"""Sensors: a hand-in that is new or has changed, or a new decision on it, starts its own run of stages 1 to 4.

Concept: https://docs.dagster.io (sensors, dynamic partitions, run keys).
"""

import dagster as dg

from lnob_pipeline.automation.jobs import STATUS, submission_job
from lnob_pipeline.automation.partitions import SUBMISSIONS
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import sha256_bytes
from lnob_pipeline.submissions import ledger, reviews
from lnob_pipeline.submissions.watch import look, remember
from lnob_pipeline.validation.privacy import looks_identifying


@dg.sensor(
    job=submission_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks into the inbox; a hand-in whose files look changed is read, and runs if its content did change",
)
def inbox_sensor(context: dg.SensorEvaluationContext, settings: PipelineSettings) -> dg.SensorResult:
    """One run request for each hand-in that is not validated as it lies there; keys are added as they appear.

    The cursor is a token for what was dealt with, so that an unchanged file is not read again.
    """
    loaded = settings.load()
    looked = look(loaded, context.cursor)
    requests = [
        dg.RunRequest(partition_key=name, run_key=f"{name}:{looked.fingerprint(name)}")
        for name in looked.changed
        if not _is_validated(loaded, name, looked.version(loaded, name))
    ]
    asked = {request.partition_key for request in requests}
    if looked.register_changed:
        requests += [
            dg.RunRequest(partition_key=name, run_key=f"{name}:review:{sha256_bytes(said.encode())}")
            for name, said in reviews.changed(loaded, looks_identifying).items()
            if name not in asked and ledger.live(loaded, name)
        ]
    new = sorted(set(looked.folders) - set(context.instance.get_dynamic_partitions("submissions")))
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[SUBMISSIONS.build_add_request(new)] if new else [],
        cursor=remember(loaded, looked),
    )


def _is_validated(settings: Settings, name: str, version: str) -> bool:
    """Whether that content of a hand-in is in the ledger and was decided on."""
    return any(
        item.version == version and ledger.outcome(settings, item).height for item in ledger.live(settings, name)
    )


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.groups("gaps", "publication") | STATUS,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Refreshes status, gaps, release after each change; start it where waiting for the night is too long",
)
