"""Headless Chromium for the browser tests: one way to call it, and the pixels of a screenshot."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

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
NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
]


def chromium(folder: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Open an address in a browser whose profile lies in `folder`."""
    assert CHROMIUM
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, address]
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
