"""The command `lnob` as a test calls it: in this process, with an environment of its own.

A process of its own for each call would spend most of its time on importing; test_command_line.py starts a real one.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lnob_pipeline.cli import main


def lnob(
    *arguments: str, folder: Path | None = None, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `lnob` does with arguments in a folder (default: where we are), with no setting but those given."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in os.environ:
            if name.startswith(("LNOB_", "DAGSTER_")) or name == "COLUMNS":
                patch.delenv(name)
        for name, value in (settings or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["lnob", *arguments])
        if folder is not None:
            patch.chdir(folder)
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
