"""What people decided where a machine cannot: the register `reviews.csv` of the inbox, read and added to.

Here belong the form of the register, which decision holds for a version, and the table REVIEWS that keeps what was
read. Which rules wait for a person is validation's business, and so is what follows from a decision.

The register is kept by hand or by `lnob review`, a line a decision: submission, version (the first 12 letters or more),
rule_id, decision (accept, reject), decided_by (a role), date (YYYY-MM-DD), reason. A line with a problem does not count
until it is mended. Of several decisions on the same rule of the same version the latest day holds, and on one day the
lower line. A register that cannot be read at all changes nothing: what was read last stays in force. The scanner for
identifiers belongs to validation, so the caller hands it in.
"""

from __future__ import annotations

import csv
import datetime
import fcntl
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import (
    DamagedTableError,
    in_form,
    partitions,
    read_table,
    table_path,
    write_bytes,
    write_table,
)
from lnob_pipeline.submissions.manifest import SUBMISSION_PATTERN
from lnob_pipeline.tables import REVIEWS

REGISTER: Final = "reviews.csv"
COLUMNS: Final = ("submission", "version", "rule_id", "decision", "decided_by", "date", "reason")
DECISION: Final = ("accept", "reject")
DECIDED_BY: Final = ("secretariat", "ethics_reviewer", "statistics_office", "community")
SHORT: Final = 12
"""Letters of the version in a line: enough to tell versions apart."""
LONGEST_REASON: Final = 500


class ReviewError(ValueError):
    """The register or a new line of it cannot be used; the text says what to mend."""


@dataclass(frozen=True)
class _Line:
    number: int
    cells: tuple[str, ...]

    @property
    def submission(self) -> str:
        return self.cells[0] if self.cells else ""


def decided(
    settings: Settings, submission_id: str, version: str, identifies: Callable[[str], bool] = lambda text: False
) -> dict[str, str]:
    """rule_id -> accept or reject, as it holds for one version of a submission."""
    rows = _in_force(settings, submission_id, identifies)
    latest = rows.filter(pl.lit(version).str.starts_with(pl.col("version"))).sort("date", "line")
    return dict(latest.select("rule_id", "decision").iter_rows())  # of the same rule the last one stays


def keep(settings: Settings, submission_id: str, identifies: Callable[[str], bool]) -> bool:
    """Write the decisions on a submission, as the register holds them, to the table REVIEWS; whether it changed."""
    rows = _in_force(settings, submission_id, identifies)
    if _is_kept(settings, submission_id, rows):
        return False
    write_table(rows, REVIEWS, table_path(settings.lake, REVIEWS, submission_id))
    return True


def _is_kept(settings: Settings, submission_id: str, rows: pl.DataFrame) -> bool:
    try:
        return rows.equals(read_table(settings.lake, REVIEWS, submission_id))
    except DamagedTableError:
        return False  # the register stands: it is written again


def changed(settings: Settings, identifies: Callable[[str], bool]) -> dict[str, str]:
    """Submissions of which the register says something else than the table REVIEWS, each with what it says, as JSON."""
    try:
        named = {line.submission for line in _lines(_content(settings))}
    except ReviewError:
        return {}
    named = {name for name in named if re.fullmatch(SUBMISSION_PATTERN, name)}
    kept = set(partitions(settings.lake, REVIEWS))
    found = {name: _in_force(settings, name, identifies) for name in sorted(named | kept)}
    return {name: rows.write_json() for name, rows in found.items() if not _is_kept(settings, name, rows)}


def problems(settings: Settings, identifies: Callable[[str], bool]) -> list[str]:
    """One sentence for each thing to mend in the register, with its line; what was written is not repeated."""
    try:
        lines = _lines(_content(settings))
    except ReviewError as error:
        return [str(error)]
    return [sentence for line in lines for sentence in _problems(line, identifies)]


def record(
    settings: Settings,
    submission_id: str,
    version: str,
    rule_id: str,
    decision: str,
    decided_by: str,
    date: datetime.date,
    reason: str,
    identifies: Callable[[str], bool],
) -> None:
    """Add one decision to the end of the register, whole or not at all.

    Raises ReviewError; the register is then as it was.
    """
    cells = (submission_id, version[:SHORT], rule_id, decision, decided_by, date.isoformat(), " ".join(reason.split()))
    if faults := _problems(_Line(0, cells), identifies):
        raise ReviewError("; ".join(fault.split(": ", 1)[1] for fault in faults))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    with _only_writer(settings):
        before = _content(settings)
        _lines(before)  # a register that cannot be read is mended first
        if not before.strip():
            before = (",".join(COLUMNS) + "\n").encode()
        elif not before.endswith(b"\n"):
            before += b"\n"
        write_bytes(settings.inbox / REGISTER, before + text.getvalue().encode())


@contextmanager
def _only_writer(settings: Settings) -> Iterator[None]:
    """One command adds a line at a time (flock(2) on the inbox)."""
    descriptor = os.open(settings.inbox, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _in_force(settings: Settings, submission_id: str, identifies: Callable[[str], bool]) -> pl.DataFrame:
    """The decisions on a submission (table REVIEWS): from the register, or as read last where it cannot be read."""
    try:
        lines = _lines(_content(settings))
    except ReviewError:
        return read_table(settings.lake, REVIEWS, submission_id)
    usable = [line for line in lines if line.submission == submission_id and not _problems(line, identifies)]
    rows = [
        (cells[0], line.number, *cells[1:5], datetime.date.fromisoformat(cells[5]), cells[6])
        for line, cells in ((line, line.cells) for line in usable)
    ]
    return in_form(pl.DataFrame(rows, schema=REVIEWS.schema, orient="row"), REVIEWS)


def _content(settings: Settings) -> bytes:
    try:
        return (settings.inbox / REGISTER).read_bytes()
    except FileNotFoundError:
        return b""
    except OSError:
        raise ReviewError(f"{REGISTER} cannot be opened; look at who may read it") from None


def _lines(content: bytes) -> list[_Line]:
    """The lines that hold something. Raises ReviewError where the register as a whole cannot be read."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReviewError(f"{REGISTER}: byte {error.start + 1} is not UTF-8; save the file as CSV UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header and tuple(header) != COLUMNS:
            raise ReviewError(f"{REGISTER}, line 1: the columns are {','.join(COLUMNS)}, separated by commas")
        lines = [_Line(reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader]
    except csv.Error:
        message = f"{REGISTER}, line {reader.line_num}: a quotation mark is not closed, or stands inside a cell"
        raise ReviewError(f"{message}; write it twice, or take it out") from None
    return [line for line in lines if any(line.cells)]


def _problems(line: _Line, identifies: Callable[[str], bool]) -> list[str]:
    where = f"{REGISTER}, line {line.number}"
    if len(line.cells) != len(COLUMNS):
        return [f"{where}: has {len(line.cells)} fields instead of {len(COLUMNS)}; quote text with commas"]
    submission, version, rule_id, decision, decided_by, day, reason = line.cells
    wrong = [
        (not re.fullmatch(SUBMISSION_PATTERN, submission), "submission: the identifier of the hand-in"),
        (
            not re.fullmatch(f"[0-9a-f]{{{SHORT},64}}", version),
            f"version: its first {SHORT} letters or more, as `lnob review` shows them",
        ),
        (not re.fullmatch(r"[a-z][a-z0-9_]*", rule_id), "rule_id: as `lnob review` shows it"),
        (decision not in DECISION, f"decision: one of {', '.join(DECISION)}"),
        (decided_by not in DECIDED_BY, f"decided_by: a role, one of {', '.join(DECIDED_BY)}"),
        (not _is_day(day), "date: a day as YYYY-MM-DD, for instance 2020-11-30"),
        (not reason, "reason: say in a few words why"),
        (len(reason) > LONGEST_REASON, f"reason: {LONGEST_REASON} letters at most"),
        (reason[:1] in tuple("=+-@"), "reason: starts with a sign that a spreadsheet takes for a formula"),
        (identifies(reason), "reason: looks like a phone number, an address or an identity number; leave it out"),
    ]
    return [f"{where}: {sentence}" for holds, sentence in wrong if holds]


def _is_day(text: str) -> bool:
    try:
        return len(text) == len("2020-11-30") and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False
