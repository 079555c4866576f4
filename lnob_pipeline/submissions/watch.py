"""What of the inbox was looked at before: so that a look at thousands of hand-ins reads only what changed.

Here belongs the memory of the inbox sensor, one file in the lake. What starts a run is in automation/sensors.py. The
memory holds, for each hand-in, the stamp of every file (receive.file_stamps) and the sha256 of those that were read,
but no name of a file. It may be lost at any time: then every file is read once more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import private_folder, sha256_bytes, write_bytes
from lnob_pipeline.submissions.receive import content_version, file_stamps, scan
from lnob_pipeline.submissions.reviews import REGISTER

Memory = dict[str, dict[str, str]]
"""Hand-in (or the register of reviews) -> stamp of a file -> its sha256; empty where it was not read."""


@dataclass(frozen=True)
class Look:
    """A look at the inbox.

    folders: name -> folder; changed: names of those that are not as they were seen last; known: the token before.
    """

    folders: dict[str, Path]
    changed: list[str]
    register_changed: bool
    memory: Memory
    known: str

    def version(self, settings: Settings, name: str) -> str:
        """The version that a hand-in would get now; only files that changed are read."""
        return content_version(settings, self.folders[name], self.memory[name])

    def fingerprint(self, name: str) -> str:
        """A hash of the stamps of a hand-in."""
        return _fingerprint(self.memory[name])


def look(settings: Settings, token: str | None) -> Look:
    """Look at the inbox. token: what remember() gave last; with any other one everything counts as changed."""
    before, known = _recall(settings)
    seen = before if token == known else {}
    folders = {folder.name: folder for folder in scan(settings)}
    memory: Memory = {}
    for name, folder in folders.items():
        digests = before.get(name, {})
        memory[name] = {stamp: digests.get(stamp, "") for stamp in file_stamps(folder)}
    memory[REGISTER] = _register(settings)
    changed = [name for name in folders if memory[name].keys() != seen.get(name, {}).keys() or name not in seen]
    return Look(folders, changed, memory[REGISTER] != seen.get(REGISTER, {}), memory, known)


def remember(settings: Settings, looked: Look) -> str:
    """Keep what was seen; returns a short token for look()."""
    content = json.dumps(looked.memory, sort_keys=True, separators=(",", ":")).encode()
    token = sha256_bytes(content)
    if token != looked.known:
        private_folder(_path(settings).parent)
        write_bytes(_path(settings), content)
    return token


def _register(settings: Settings) -> dict[str, str]:
    try:
        status = (settings.inbox / REGISTER).stat()
    except OSError:
        return {}
    return {f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}": ""}


def _fingerprint(stamps: dict[str, str]) -> str:
    return sha256_bytes("\n".join(sorted(stamps)).encode())


def _path(settings: Settings) -> Path:
    return settings.lake / "stamps" / "inbox.json"


def _recall(settings: Settings) -> tuple[Memory, str]:
    """The memory and its token; empty where there is none that can be read."""
    try:
        content = _path(settings).read_bytes()
        memory = json.loads(content)
    except (OSError, ValueError):
        return {}, ""
    return memory, sha256_bytes(content)
