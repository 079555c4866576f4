"""The gate on a small hand-in of any bytes, and ways to spoil files. All people are invented."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import xlsxwriter

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.validation.conftest import (
    INSTRUMENT,
    MANIFEST,
    csv_bytes,
    good_households,
    good_persons,
    merged,
)

Rows = list[dict[str, str]]


def judged(
    mappings: Mappings,
    *,
    households: Rows | None = None,
    persons: Rows | None = None,
    file: tuple[str, str, bytes] | None = None,
    contents: Mapping[str, bytes] | None = None,
    manifest: dict[str, Any] | None = None,
    instrument: dict[str, Any] | None = None,
    settings: Settings | None = None,
) -> Validated:
    """Judge two CSV tables, or one file (path, format, bytes) that holds both, without Great Expectations.

    contents: other bytes for households.csv or persons.csv; manifest and instrument: changes by path.
    """
    data = {
        "households.csv": csv_bytes(good_households() if households is None else households),
        "persons.csv": csv_bytes(good_persons() if persons is None else persons),
    } | dict(contents or {})
    changes = dict(manifest or {})
    if file is not None:
        path, kind, content = file
        data = {path: content}
        changes.setdefault("files", [{"path": path, "role": "data", "format": kind}])
    said = Manifest.model_validate(merged(MANIFEST, changes))
    form = Instrument.model_validate(merged(INSTRUMENT, instrument or {}))
    known = dataclasses.replace(mappings, instruments={form.instrument: form})
    files = [(each, data[each.path]) for each in said.files]
    validated = validate(said, "0" * 64, files, known, settings or Settings.load(), great_expectations=False)
    assert balanced(validated), validated.balance
    return validated


def balanced(validated: Validated) -> bool:
    """Whether every row that came in is accepted, in quarantine or refused, and those accepted are in the responses."""
    lines = validated.balance
    adds_up = (lines["n_rows"] == lines["n_accepted"] + lines["n_quarantined"] + lines["n_refused"]).all()
    if validated.responses is None:
        return bool(adds_up)
    kept = dict(validated.responses.group_by("record").len().iter_rows())
    return bool(adds_up) and all(kept.get(name, 0) == n for name, n in lines.select("record", "n_accepted").iter_rows())


def said(validated: Validated, reason: str | None = None, rule: str | None = None) -> pl.DataFrame:
    """What the partner is told, all of it or for one reason or rule."""
    found = validated.findings
    if reason is not None:
        found = found.filter(pl.col("reason_id") == reason)
    return found if rule is None else found.filter(pl.col("rule_id") == rule)


def refused(validated: Validated, *words: str) -> bool:
    """Whether the hand-in is rejected as unreadable, and each of the words is in what the partner is told."""
    told = " ".join(said(validated, rule="readable").select(pl.concat_str("reason", "mend", separator=" ")).to_series())
    assert [word for word in words if word not in told] == [], told
    return validated.state == "rejected" and validated.responses is None and bool(told)


def cell(validated: Validated, record: str, row: int, column: str) -> str | None:
    """What is kept of an answer."""
    assert validated.responses is not None, validated.outcome["reasons"][0]
    found = validated.responses.filter((pl.col("record") == record) & (pl.col("row_number") == row))
    assert found.height == 1
    answer: str | None = found[column][0]
    return answer


def workbook(
    households: Rows | None = None,
    persons: Rows | None = None,
    also: Callable[[xlsxwriter.Workbook], None] | None = None,
) -> bytes:
    """The two tables as sheets of a workbook, every cell text."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        for name, rows in (("households", households or good_households()), ("persons", persons or good_persons())):
            sheet = book.add_worksheet(name)
            for place, header in enumerate(rows[0]):
                sheet.write_string(0, place, header)
                for number, row in enumerate(rows, start=1):
                    sheet.write_string(number, place, row[header])
        if also is not None:
            also(book)
    return stream.getvalue()


def with_parts(content: bytes, changes: Mapping[str, Callable[[bytes], bytes] | bytes]) -> bytes:
    """A zip with parts changed (by a function) or put in their place or added (bytes)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in dict.fromkeys([*old.namelist(), *changes]):
            change = changes.get(name)
            if isinstance(change, bytes):
                new.writestr(name, change)
            else:
                new.writestr(name, change(old.read(name)) if change else old.read(name))
    return stream.getvalue()


def ods(content: bytes) -> bytes:
    """A workbook of LibreOffice with this content.xml."""
    kind = b"application/vnd.oasis.opendocument.spreadsheet"
    entry = b'<manifest:file-entry manifest:full-path="/" manifest:media-type="' + kind + b'"/>'
    listed = b'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">' + entry
    parts = {"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": listed + b"</manifest:manifest>"}
    return zipped(parts)


def zipped(parts: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return stream.getvalue()
