"""Pictures of the real interface for the README: `make screenshots` writes docs/images/.

Here: the demo in a folder of its own, `lnob ui` on it, and one picture a view, taken when the words of the view are
drawn. Not here: what the views should be like (the tests).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from lnob_pipeline_tests.browser.dagster_ui import serving, wait_for
from lnob_pipeline_tests.browser.devtools import Browser, started
from lnob_pipeline_tests.homes import project_folder

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = (1280, 800)
LARGEST = 150_000
"""Bytes of one picture."""
VIEWS = {
    "lineage": ("assets/data_gaps?view=lineage", ("citizen_estimates", "sdg_catalogue", "published_release")),
    "data_gaps": ("assets/data_gaps?view=events", ("stands_on_official_release", "UN Global SDG Database")),
    "checks": ("assets/published_release?view=checks", ("Passed",)),
}
"""Name of the picture -> address below the interface, and words that stand there when it is drawn."""
PAGES = {"report": "en/KEN.html", "report_nepali": "ne/NPL.html"}
"""Name of the picture -> page of the report."""


def take(browser: Browser, name: str, words: tuple[str, ...], folder: Path) -> Path:
    """Wait for the words, let the drawing settle, and write the picture."""
    wanted = json.dumps(words)
    drawn = f"(text => {wanted}.every(word => text.includes(word)))(document.body?.innerText ?? '')"
    wait_for(name, lambda: browser.evaluate(drawn))
    time.sleep(3)  # the layout of the graph ends in an animation
    path = folder / f"{name}.png"
    browser.screenshot(path)
    if path.stat().st_size > LARGEST:
        raise SystemExit(
            f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}: make the window smaller"
        )
    return path


def main(folder: Path = FOLDER) -> None:
    """Take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lnob-screenshots-") as temporary:
        home = Path(temporary) / "home"
        home.mkdir()
        project_folder(home)
        with serving(home, patience=500.0) as interface, started(Path(temporary)) as browser:
            browser.look(SIZE)
            for name, (address, words) in VIEWS.items():
                browser.call("Page.navigate", url=f"{interface.address}/{address}")
                print(take(browser, name, words, folder))
            for name, page in PAGES.items():
                browser.open((home / "data" / "published" / "latest" / "report" / page).resolve())
                print(take(browser, name, (), folder))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
