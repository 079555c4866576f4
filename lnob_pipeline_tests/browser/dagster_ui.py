"""A running `lnob ui` on the history of a project folder, and how to ask it.

Here: starting and ending it, its GraphQL interface. Not here: what it should show (test_dagster_ui.py), pictures of it
(screenshots.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 150.0


class Interface:
    """A running `lnob ui`."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return dict(found["data"])

    def location(self) -> dict[str, str] | None:
        nodes = self.ask("{repositoriesOrError{... on RepositoryConnection{nodes{name location{name}}}}}")
        found = nodes["repositoriesOrError"].get("nodes") or []
        return {"repository": found[0]["name"], "location": found[0]["location"]["name"]} if found else None


def wait_for(what: str, ready: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if found := ready():
                return found
        except OSError:
            pass
        time.sleep(1)
    raise AssertionError(f"{what}: not within {PATIENCE:.0f} seconds")


@contextlib.contextmanager
def serving(home: Path, *, run: str = "run", patience: float = 180.0) -> Iterator[Interface]:
    """`lnob run` (or `run="demo"`) in `home`, then `lnob ui` until the block ends."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LNOB_", "DAGSTER_"))}
    environment["LNOB_HOME"] = str(home)
    lnob = [sys.executable, "-c", "from lnob_pipeline.cli import main; main()"]
    subprocess.run([*lnob, run], env=environment, capture_output=True, timeout=patience, check=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*lnob, "ui", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A group of its own, so that the web server, the daemon and the code server end with it.
    with subprocess.Popen(command, env=environment, start_new_session=True, **quiet) as process:
        try:
            found = Interface(port)
            wait_for("the Dagster UI", found.location)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
