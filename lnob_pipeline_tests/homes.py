"""Project folders for tests: links to the mappings and figures of the repository, outputs of their own, few forms."""

import shutil
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FEW = ("csv", "duckdb", "documentation", "changes")
"""Outputs of publication.release that are written fast; see the fixtures few_outputs and few_outputs_of_module."""


def project_folder(folder: Path, submissions: Sequence[str] | None = None) -> Path:
    """Fill a folder for Settings.load(home=...): copies of the named bundled hand-ins, or a link to the whole inbox."""
    (folder / "data").mkdir()
    for name in ("indicator_mappings", "data/official"):
        (folder / name).symlink_to(ROOT / name)
    inbox = folder / "data" / "submissions"
    if submissions is None:
        inbox.symlink_to(ROOT / "data" / "submissions")
    for key in submissions or ():
        shutil.copytree(ROOT / "data" / "submissions" / key[:3] / key, inbox / key[:3] / key)
    return folder
