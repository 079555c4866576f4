"""The Dagster instance: its history lies in a folder of its own, shared by the UI and the command line."""

import os
from pathlib import Path

import dagster as dg

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import private_folder, write_bytes

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CONFIGURATION = CHECKOUT / "dagster.yaml"
WORKSPACE = CHECKOUT / "workspace.yaml"


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME: `.dagster` of the project folder with our dagster.yaml, unless the environment names it.

    A folder that the environment names belongs to its operator: nothing in it is written.
    """
    if "DAGSTER_HOME" in os.environ:
        return Path(os.environ["DAGSTER_HOME"])
    if not CONFIGURATION.exists():
        raise ValueError(f"{CONFIGURATION.name} is not beside the package: run from a checkout, or set DAGSTER_HOME")
    home = private_folder(settings.home.resolve() / ".dagster")
    target = home / CONFIGURATION.name
    if not target.exists() or target.read_bytes() != CONFIGURATION.read_bytes():
        write_bytes(target, CONFIGURATION.read_bytes())
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that keeps runs and events. The caller closes it (it is a context manager)."""
    dagster_home(settings)
    return dg.DagsterInstance.get()
