"""Schedules: the nightly run that publishes. Concept: https://docs.dagster.io (schedules)."""

import dagster as dg

from lnob_pipeline.automation.jobs import nightly_job

nightly_schedule = dg.ScheduleDefinition(
    name="nightly_schedule",
    job=nightly_job,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Official figures, gap table and release, every night at two o'clock UTC",
)
