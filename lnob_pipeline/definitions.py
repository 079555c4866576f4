"""The whole graph on one page: assets by stage, jobs, sensors, schedule, resources.

Importing this loads neither Great Expectations nor pandas: what needs them imports them when it runs.
"""

import dagster as dg

from lnob_pipeline.automation.jobs import nightly_job, submission_job, whole_job
from lnob_pipeline.automation.resources import PipelineSettings
from lnob_pipeline.automation.schedules import nightly_schedule
from lnob_pipeline.automation.sensors import automation_sensor, inbox_sensor
from lnob_pipeline.estimation.assets import estimation_stage
from lnob_pipeline.gaps.assets import gaps_stage
from lnob_pipeline.harmonisation.assets import harmonisation_stage
from lnob_pipeline.official.assets import official_stage
from lnob_pipeline.publication.assets import publication_stage
from lnob_pipeline.submissions.assets import status, submissions_stage
from lnob_pipeline.validation.assets import validation_stage

defs = dg.Definitions(
    assets=[
        submissions_stage,
        validation_stage,
        status,
        harmonisation_stage,
        estimation_stage,
        official_stage,
        gaps_stage,
        publication_stage,
    ],
    jobs=[submission_job, nightly_job, whole_job],
    sensors=[inbox_sensor, automation_sensor],
    schedules=[nightly_schedule],
    resources={"settings": PipelineSettings()},
    executor=dg.in_process_executor,
)
