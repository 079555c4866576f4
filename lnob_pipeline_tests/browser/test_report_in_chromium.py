"""The report in a real browser: drawn, readable at phone and desktop width, light and dark, without an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication.release import publish
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.browser.chromium import NEEDS_CHROMIUM, chromium, pixels
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html of a release that was published for this test."""
    settings = Settings.load(home=tmp_path_factory.mktemp("home"), mappings=HOME / "indicator_mappings")
    release = publish(disclosed(load_mappings(settings.mappings)), settings, RELEASED_AT, PROVENANCE)
    return release.path / "index.html"


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (500, 900)], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_drawn(page: Path, tmp_path: Path, width: int, height: int, dark: bool) -> None:
    picture = tmp_path / "page.png"
    scheme = ["--force-dark-mode"] if dark else []
    chromium(tmp_path, page.as_uri(), f"--screenshot={picture}", f"--window-size={width},{height}", *scheme)
    seen_width, seen_height, rows = pixels(picture)
    assert (seen_width, seen_height) == (width, height)
    paper = rows[2][:3]
    assert (max(paper) < 60) if dark else (min(paper) > 240)
    drawn = sum(row[place : place + 3] != paper for row in rows for place in range(0, len(row), 3))
    assert 0.03 < drawn / (width * height) < 0.6
    # The loud notice has its own colour, reddish in both schemes.
    assert any(
        row[place] > row[place + 1] + 40 and row[place] > row[place + 2] + 20
        for row in rows
        for place in range(0, len(row), 3)
    )


def test_the_page_says_what_it_should_and_has_no_error(page: Path, tmp_path: Path) -> None:
    result = chromium(tmp_path, page.as_uri(), "--dump-dom", "--enable-logging=stderr", "--v=0")
    text = re.sub(r"<[^>]+>", " ", result.stdout[result.stdout.index("<body") :])
    for words in ("Synthetic sample data", "What there is", "Kisumu and Turkana", "How to cite", page.parent.name):
        assert words in text
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert console == []


def test_the_policy_is_in_force(page: Path, tmp_path: Path) -> None:
    """The same page with a script put in: the browser must refuse it, or the empty console above proves nothing."""
    attacked = tmp_path / "attacked.html"
    attacked.write_text(page.read_text().replace("</main>", "<script>document.title='hacked'</script></main>"))
    result = chromium(tmp_path, attacked, "--dump-dom", "--enable-logging=stderr", "--v=0")
    assert "<title>hacked" not in result.stdout
    assert any("CONSOLE" in line and "Content Security Policy" in line for line in result.stderr.splitlines())


def test_nothing_is_wider_than_a_phone(page: Path, tmp_path: Path) -> None:
    """A frame of 390 pixels: the page fits when nothing is drawn right of it but what scrolls in its own region."""
    frame = tmp_path / "phone.html"
    script = (
        "<script>onload=()=>{const d=document.querySelector('iframe').contentDocument.documentElement;"
        "document.title=d.scrollWidth+' '+d.clientWidth}</script>"
    )
    frame.write_text(f'<title>?</title><iframe width="390" height="800" src="{page.as_uri()}"></iframe>{script}')
    result = chromium(tmp_path, frame, "--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=5000")
    found = re.search(r"<title>(\d+) (\d+)</title>", result.stdout)
    assert found, result.stdout[:300]
    assert int(found[1]) <= int(found[2]) <= 390
