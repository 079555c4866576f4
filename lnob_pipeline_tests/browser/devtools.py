"""One headless Chromium that is spoken to by the Chrome DevTools Protocol over a pipe: no port, no driver, no package.

Here: opening pages and asking what they are like (console, requests, axe, keyboard, measures, pictures). Not here: what
they should be like (the tests). Protocol: chromedevtools.github.io/devtools-protocol; messages end with a zero byte,
the browser reads descriptor 3 and writes descriptor 4 (--remote-debugging-pipe).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lnob_pipeline_tests.browser.chromium import CHROMIUM, QUIET

PATIENCE = 60.0  # seconds for one answer, on a machine that others use too
PHONE = (360, 740)
DESKTOP = (1280, 900)
TAB = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}

Answer = dict[str, Any]


class BrowserError(RuntimeError):
    """The browser refused a command or did not answer in time."""


class Browser:
    """A browser with one tab, whose profile lies in `folder`. Use `started`, which ends it too."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM
        orders, self._orders = _pipe()
        self._answers, answers = _pipe()
        self._buffer = b""
        self._number = 0
        self._events: list[Answer] = []
        self._session: str | None = None
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank"]
        quiet = os.open(os.devnull, os.O_WRONLY)
        given = [(orders, 3), (answers, 4), (quiet, 1), (quiet, 2)]
        actions = [(os.POSIX_SPAWN_DUP2, own, its) for own, its in given]
        self.process = os.posix_spawn(CHROMIUM, command, dict(os.environ), file_actions=actions, setpgroup=0)
        for descriptor in (orders, answers, quiet):
            os.close(descriptor)
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.call(f"{domain}.enable")

    def end(self) -> None:
        """End the browser and the processes it started."""
        with contextlib.suppress(BrowserError, OSError):
            self._session = None
            self.call("Browser.close")
        for descriptor in (self._orders, self._answers):
            os.close(descriptor)
        deadline = time.monotonic() + 10
        while os.waitpid(self.process, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.killpg(self.process, signal.SIGKILL)
            time.sleep(0.05)

    def call(self, method: str, **parameters: Any) -> Answer:
        """Send one command and return its answer; events that come before it are kept."""
        self._number += 1
        message: Answer = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        remaining = memoryview(json.dumps(message).encode() + b"\0")
        while remaining:
            remaining = remaining[os.write(self._orders, remaining) :]
        while (answer := self._next()).get("id") != self._number:
            self._events.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def _next(self) -> Answer:
        while b"\0" not in self._buffer:
            if not select.select([self._answers], [], [], PATIENCE)[0]:
                raise BrowserError(f"no answer within {PATIENCE:.0f} seconds")
            received = os.read(self._answers, 1 << 20)
            if not received:
                raise BrowserError("the browser has ended")
            self._buffer += received
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._events.append(self._next())

    # What the tests ask -----------------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded; `console` and `requests` speak of this page from now on."""
        self._events.clear()
        problem = self.call("Page.navigate", url=path.as_uri()).get("errorText")
        if problem:
            raise BrowserError(f"{path.name}: {problem}")
        self._wait_for("Page.loadEventFired")

    @property
    def console(self) -> list[str]:
        """What the page, or the browser about the page, wrote to the console or threw."""
        said = []
        for event in self._events:
            found = event.get("params", {})
            if event.get("method") == "Log.entryAdded":
                said.append(str(found["entry"]["text"]))
            elif event.get("method") == "Runtime.consoleAPICalled":
                said.append(" ".join(str(part.get("value")) for part in found["args"]))
            elif event.get("method") == "Runtime.exceptionThrown":
                said.append(str(found["exceptionDetails"]["text"]))
        return said

    @property
    def requests(self) -> list[str]:
        """The address of everything that was fetched, the page first."""
        sent = (event["params"] for event in self._events if event.get("method") == "Network.requestWillBeSent")
        return [str(one["request"]["url"]) for one in sent]

    def look(
        self, size: tuple[int, int] = DESKTOP, *, dark: bool = False, printed: bool = False, script: bool = True
    ) -> None:
        """Width and height of the window, the scheme, screen or paper; from now on."""
        width, height = size
        phone = size == PHONE
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call(
            "Emulation.setEmulatedMedia",
            media="print" if printed else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, a promise awaited. The content policy of the page does not bind it."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if problem := answer.get("exceptionDetails"):
            raise BrowserError(str(problem.get("exception", {}).get("description", problem["text"])))
        return answer["result"].get("value")

    def axe(self, **options: Any) -> list[Answer]:
        """The violations that axe-core finds in the page as it looks now: rule, impact, and where."""
        self.call("Runtime.evaluate", expression=axe_source())
        options = {"resultTypes": ["violations"], "preload": False, **options}
        found = self.evaluate(
            f"axe.run(document, {json.dumps(options)}).then(found => found.violations.map(one => ({{"
            "rule: one.id, impact: one.impact, help: one.help, count: one.nodes.length,"
            "where: one.nodes.slice(0, 3).map(node => node.target.join(' ') + ' ' + node.html.slice(0, 160) + ' '"
            "+ (node.any[0] || node.all[0] || node.none[0] || {message: ''}).message)})))"
        )
        return list(found)

    def press_tab(self) -> None:
        """Press and release the tabulator key."""
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", **TAB)
        self.call("Input.dispatchKeyEvent", type="keyUp", **TAB)

    def measures(self) -> dict[str, float]:
        """Chromium's own measures of the page: Nodes, LayoutDuration (seconds), TaskDuration ..."""
        return {one["name"]: one["value"] for one in self.call("Performance.getMetrics")["metrics"]}

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page however long."""
        content = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(content["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it would be printed on A4."""
        self.call("Emulation.setEmulatedMedia", media="")
        content = self.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(content["data"]))


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser that ends with the block."""
    browser = Browser(folder)
    try:
        yield browser
    finally:
        browser.end()


@cache
def axe_source() -> str:
    """The script of axe-core, from the package axe-core-python."""
    return files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are beyond those that the browser expects, so that none is overwritten on the way."""
    low = os.pipe()
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in low]
    for descriptor in low:
        os.close(descriptor)
    return high[0], high[1]
