"""Resources: what assets, jobs and sensors are given. The pipeline's settings are the only one."""

import datetime

import dagster as dg

from lnob_pipeline.settings import Settings


class PipelineSettings(dg.ConfigurableResource):
    """The settings of lnob_pipeline.settings: from the environment, or below `home` where a test names it."""

    home: str | None = None

    def load(self) -> Settings:
        """The settings, read anew for each run."""
        return Settings.load(home=self.home) if self.home else Settings.load()


def now() -> str:
    """The time of the run, ISO 8601, UTC, to the second: passed into the stages, which never read a clock."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
