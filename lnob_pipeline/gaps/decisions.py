"""Who decided what about a submission or a table of the release.

Here: the manifests' consent to publication and the register `decisions.csv` of the inbox, made into the table
DECISIONS, and the rule which submissions a statistics office has accepted. Not here: acting on a decision (typology.py,
publication).

The register is kept by hand, a line a decision: subject, decided_by, decision, date (YYYY-MM-DD), reference. It is
published, so a reference names an agreement, a minute or a letter, never a person.

Source: joint ownership of citizen data, as in the Copenhagen Framework on Citizen Data.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Collection, Iterable
from typing import Final

import polars as pl

from lnob_pipeline.storage import in_form
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import DECISIONS, RELEASE_TABLES
from lnob_pipeline.validation.privacy import looks_identifying

REGISTER: Final = "decisions.csv"
COLUMNS: Final = ("subject", "decided_by", "decision", "date", "reference")
DECIDED_BY: Final = ("partner", "community", "statistics_office", "secretariat")
DECISION: Final = ("publish", "accept", "object", "used_officially")


class DecisionError(ValueError):
    """The register cannot be used; `problems` are sentences that name the line and how to mend it."""

    def __init__(self, file: str, problems: list[str]) -> None:
        self.file, self.problems = file, problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


def decisions(manifests: Iterable[Manifest], register: bytes | None, subjects: Collection[str] = ()) -> pl.DataFrame:
    """The table DECISIONS: consent to publication from the manifests, and the register of the inbox.

    register: the bytes of `decisions.csv`, None where there is none. subjects: further submissions that a line may be
    about (superseded or withdrawn ones). A consent has two rows, of the partner (reference: the data-sharing agreement)
    and of the community (who represents it). Raises DecisionError with every problem of the register.
    """
    manifests = list(manifests)
    consents = [
        (item.submission, by, "publish", item.partner.date, reference)
        for item in manifests
        if item.partner.publish
        for by, reference in (("partner", item.agreement.identifier), ("community", _representation(item)))
    ]
    known = {item.submission for item in manifests} | set(subjects) | {table.name for table in RELEASE_TABLES}
    written = _read(register, known) if register is not None else []
    frame = pl.DataFrame(consents + written, schema=DECISIONS.schema, orient="row")
    return in_form(frame.unique(DECISIONS.key, keep="last", maintain_order=True), DECISIONS)


def _representation(manifest: Manifest) -> str:
    """Who spoke for the community, as far as it may be named in public."""
    said = manifest.partner.represented_by
    named = manifest.disclosure.place and not looks_identifying(said)
    return said if named else "representation recorded in the manifest"


def accepted_submissions(decisions: pl.DataFrame) -> pl.LazyFrame:
    """`submission_id` of what a statistics office accepts or uses officially: its latest decision holds.

    An objection of the same day goes before an acceptance.
    """
    return (
        decisions.lazy()
        .filter(
            (pl.col("decided_by") == "statistics_office")
            & pl.col("decision").is_in(["accept", "used_officially", "object"])
        )
        .filter(pl.col("date") == pl.col("date").max().over("subject"))
        .group_by("subject")
        .agg((pl.col("decision") != "object").all().alias("accepted"))
        .filter("accepted")
        .select(pl.col("subject").alias("submission_id"))
    )


def withheld_submissions(decisions: pl.DataFrame) -> set[str]:
    """Submissions that must not be published: the latest word of partner or community is an objection."""
    own = decisions.filter(pl.col("decided_by").is_in(["partner", "community"]))
    latest = own.filter(pl.col("date") == pl.col("date").max().over("subject", "decided_by"))
    return set(latest.filter(pl.col("decision") == "object")["subject"])


def _read(content: bytes, known: Collection[str]) -> list[tuple[str, str, str, datetime.date, str]]:
    """The lines of the register. Values that could name a person are not repeated in a message."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecisionError(REGISTER, [f"byte {error.start + 1} is not UTF-8; save the file as CSV UTF-8"]) from None
    lines = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip().lower() for name in next(lines, [])]
    if tuple(header) != COLUMNS:
        raise DecisionError(REGISTER, [f"line 1: the columns are {','.join(COLUMNS)}, separated by commas"])
    problems: list[str] = []
    found: dict[tuple[str, str, str, datetime.date], tuple[int, str]] = {}
    for cells in lines:
        line = lines.line_num
        values = [cell.strip() for cell in cells]
        if not any(values):
            continue
        if len(values) != len(COLUMNS):
            problems.append(f"line {line}: has {len(values)} fields instead of {len(COLUMNS)}; quote text with commas")
            continue
        subject, decided_by, decision, day, reference = values
        date = _date(day)
        wrong = [
            (subject not in known, "subject: neither a submission of the inbox nor a table of the release"),
            (decided_by not in DECIDED_BY, f"decided_by: one of {', '.join(DECIDED_BY)}"),
            (decision not in DECISION, f"decision: one of {', '.join(DECISION)}"),
            (date is None, "date: a day as YYYY-MM-DD, for instance 2020-11-30"),
            (not reference, "reference: name the agreement, minute or letter"),
            (
                looks_identifying(reference),
                "reference: looks like a phone number, an address or an identity number; "
                "the register is published, name a document instead",
            ),
        ]
        problems += [f"line {line}: {sentence}" for holds, sentence in wrong if holds]
        if date is None:
            continue
        key = (subject, decided_by, decision, date)
        if key in found:
            problems.append(f"line {line}: repeats line {found[key][0]}; keep one of them")
        found.setdefault(key, (line, reference))
    if problems:
        raise DecisionError(REGISTER, problems)
    return [(*key, reference) for key, (_, reference) in found.items()]


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if len(text) == len("2020-11-30") else None
    except ValueError:
        return None
