"""A release on its way: the parts of it that arrived whole, kept so that a fetch that was killed can go on.

Here: one folder, `<root>/.<release>.part`, with the parts, and the list of those that are whole. Not here: asking
(`client`), what becomes of the parts (`snapshot`).

    .2022.Q2.G.02.part/
      staging.json                               what is being fetched (`question`)
      parts/SG_REG_BRTH.json                     sha256 and rows of each file of the part; written last
      observations/SG_REG_BRTH/page-0001.json.gz the bodies as received
      rows/SG_REG_BRTH.arrow                     the rows as text

A part is whole when its list is there and each file agrees with it. Files are written beside their place and renamed,
the list after all others: whenever the process ends, a part is whole or is asked for again. Parts of different
questions are never mixed: a folder that was begun for another one is emptied first. One process at a time works on
a folder (flock(2)); the lock dies with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline.official.http import OfficialSourceError
from lnob_pipeline.official.pages import no_rows
from lnob_pipeline.official.sources import SourcePart
from lnob_pipeline.storage import sha256_bytes, sha256_file, write_bytes

_QUESTION: Final = "staging.json"
_LOCK: Final = ".lock"


class Staging:
    """The folder of one release that is being fetched; a context manager, which keeps the folder when it ends.

    `question` names everything that two fetches must share to be one: release, day of its last update, address,
    areas. JSON values only. Raises OfficialSourceError while another process works on the folder.
    """

    def __init__(self, root: Path, release: str, question: Mapping[str, Any]) -> None:
        self.folder = root / f".{release}.part"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise OfficialSourceError(
                f"{self.folder}: another process is fetching this release. Wait until it ends."
            ) from None
        body = (json.dumps(question, indent=1, sort_keys=True) + "\n").encode()
        path = self.folder / _QUESTION
        if not path.is_file() or path.read_bytes() != body:
            self._empty()
            write_bytes(path, body)
        self._parts = self._whole()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; what it holds stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Give the fetch up: remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- parts -----------------------------------------------------------------------------------------

    @property
    def series(self) -> frozenset[str]:
        """The series whose parts are whole."""
        return frozenset(self._parts)

    @property
    def files(self) -> list[dict[str, Any]]:
        """Path in the folder, series and sha256 of every body, sorted by path."""
        return sorted((file for part in self._parts.values() for file in part["files"]), key=lambda file: file["path"])

    @property
    def total(self) -> int:
        """The rows that the source states for all parts together, repeats included."""
        return sum(part["total"] for part in self._parts.values())

    def add(self, part: SourcePart) -> None:
        """Keep one part: its bodies and rows first, then the list that makes it whole."""
        files = []
        for number, body in enumerate(part.bodies, 1):
            path = f"observations/{part.series}/page-{number:04}{part.suffix}.gz"
            packed = gzip.compress(body, compresslevel=6, mtime=0)  # without the time: same answer, same file
            files.append({"path": path, "series": part.series, "sha256": self._put(path, packed)})
        rows = io.BytesIO()
        part.rows.write_ipc(rows)
        record = {
            "series": part.series,
            "total": part.total,
            "rows": part.rows.height,
            "rows_sha256": self._put(f"rows/{part.series}.arrow", rows.getvalue()),
            "files": files,
        }
        self._put(f"parts/{part.series}.json", (json.dumps(record, indent=1) + "\n").encode())
        self._parts[part.series] = record

    def keep(self, series: Collection[str]) -> None:
        """Drop the parts of any other series than these: an earlier fetch may have been wanted wider."""
        for code in [code for code in self._parts if code not in series]:
            (self.folder / "parts" / f"{code}.json").unlink()
            self._rows_path(code).unlink()
            for file in self._parts.pop(code)["files"]:
                (self.folder / file["path"]).unlink()

    def rows(self) -> pl.LazyFrame:
        """The rows of all parts, series after series in the order of their codes, as one lazy frame of text."""
        paths = [self._rows_path(series) for series in sorted(self._parts)]
        return pl.concat([no_rows().lazy(), *(pl.scan_ipc(path) for path in paths)], how="diagonal")

    def assembled(self) -> Path:
        """A new folder inside, with the bodies of all parts at their paths; the parts stay until `remove`."""
        folder = self.folder / "assembled"
        shutil.rmtree(folder, ignore_errors=True)
        for file in self.files:
            path = folder / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(self.folder / file["path"])
        os.sync()  # once for all, as each file by itself takes longer than asking for it
        return folder

    def _rows_path(self, series: str) -> Path:
        return self.folder / "rows" / f"{series}.arrow"

    def _put(self, path: str, content: bytes) -> str:
        """Write a file whole, for this process or the next; not flushed to disk, as checksums tell what was lost."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}")
        beside.write_bytes(content)
        beside.replace(target)
        return sha256_bytes(content)

    def _whole(self) -> dict[str, dict[str, Any]]:
        """The records of the parts that are whole; anything else is as good as absent and will be written over."""
        found = {}
        for path in sorted((self.folder / "parts").glob("[!.]*.json")):
            try:
                record = json.loads(path.read_bytes())
                if self._agrees(record):
                    found[record["series"]] = record
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    def _agrees(self, record: Mapping[str, Any]) -> bool:
        bodies = all(sha256_file(self.folder / file["path"]) == file["sha256"] for file in record["files"])
        return bodies and sha256_file(self._rows_path(record["series"])) == record["rows_sha256"]

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()


def clear_others(root: Path, release: str, base_url: str) -> None:
    """Remove what fetches of other releases from the same address left: the service gives its newest release alone.

    A folder that another process works on stays.
    """
    for path in root.glob(f".*.part/{_QUESTION}"):
        with contextlib.suppress(OSError, ValueError, KeyError, OfficialSourceError):
            question = json.loads(path.read_bytes())
            if question["base_url"] == base_url and question["release"] != release:
                with Staging(root, question["release"], question) as staging:
                    staging.remove()
