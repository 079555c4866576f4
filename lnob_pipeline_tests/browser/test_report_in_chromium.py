"""The report in a real browser: drawn, readable at phone and desktop width, light and dark, without an error."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication.release import publish
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html of a release that was published for this test."""
    settings = Settings.load(home=tmp_path_factory.mktemp("home"), mappings=HOME / "indicator_mappings")
    release = publish(disclosed(load_mappings(settings.mappings)), settings, RELEASED_AT, PROVENANCE)
    return release.path / "index.html"


def chromium(folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def pixels(path: Path) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of pixels of a PNG of 8-bit RGB or RGBA, unfiltered (PNG specification, section 9)."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    assert depth == 8
    size = {2: 3, 6: 4}[colour]
    data, place = b"", 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        if content[place + 4 : place + 8] == b"IDAT":
            data += content[place + 8 : place + 8 + length]
        place += 12 + length
    raw, rows = zlib.decompress(data), []
    before = bytearray(width * size)
    for number in range(height):
        start = number * (width * size + 1)
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + width * size])
        for index in range(len(row)):
            left = row[index - size] if index >= size else 0
            up, corner = before[index], before[index - size] if index >= size else 0
            if kind == 1:
                row[index] = (row[index] + left) & 255
            elif kind == 2:
                row[index] = (row[index] + up) & 255
            elif kind == 3:
                row[index] = (row[index] + (left + up) // 2) & 255
            elif kind == 4:
                estimate = left + up - corner
                nearest = min((left, up, corner), key=lambda value: abs(estimate - value))
                row[index] = (row[index] + nearest) & 255
        rows.append(bytes(row[channel] for index in range(0, len(row), size) for channel in range(index, index + 3)))
        before = row
    return width, height, rows


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (500, 900)], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_drawn(page: Path, tmp_path: Path, width: int, height: int, dark: bool) -> None:
    picture = tmp_path / "page.png"
    scheme = ["--force-dark-mode"] if dark else []
    chromium(tmp_path, page, f"--screenshot={picture}", f"--window-size={width},{height}", *scheme)
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
    result = chromium(tmp_path, page, "--dump-dom", "--enable-logging=stderr", "--v=0")
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
