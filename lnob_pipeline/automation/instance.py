"""The Dagster instance: its history lies in a folder of its own, shared by the UI and the command line."""

import os
from pathlib import Path

import dagster as dg

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import private_folder, write_bytes

CONFIGURATION = Path(__file__).resolve().parent.parent.parent / "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME (absolute), with dagster.yaml in it: the environment's, else `.dagster` beside the data folder."""
    chosen = os.environ.get("DAGSTER_HOME")
    home = private_folder(Path(chosen).resolve() if chosen else settings.lake.parent.parent.resolve() / ".dagster")
    target = home / "dagster.yaml"
    if CONFIGURATION.exists() and (not target.exists() or target.read_bytes() != CONFIGURATION.read_bytes()):
        write_bytes(target, CONFIGURATION.read_bytes())
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that keeps runs and events. The caller closes it (it is a context manager)."""
    dagster_home(settings)
    return dg.DagsterInstance.get()
