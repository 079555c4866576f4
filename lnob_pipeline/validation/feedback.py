"""Feedback to a partner: what came in, what to mend by kind, and how; as data, and as a short text for messaging.

Here belongs what is said, in the partner's language, and its form for machines (JSON). The workbook is drawn in
feedback_workbook.py, every sentence is in rules.py, its translations are in messages/. Feedback is made from what the
gate lets through: refused rows appear as numbers only, and of a cell that is wrong the text is shown only where it
cannot identify a person. The same input gives the same bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from xlsxwriter.utility import xl_col_to_name

from lnob_pipeline.messages.catalogue import ENGLISH, KIND, Catalogue, catalogue
from lnob_pipeline.messages.message import from_json
from lnob_pipeline.validation.outcome import Validated
from lnob_pipeline.validation.progress import Progress
from lnob_pipeline.validation.rules import KINDS, NEXT, REASONS, RULES, STATES, WORKBOOK

MAXIMUM_KINDS = 15
MAXIMUM_TEXT = 900
"""Letters of the short text."""
SHORT_KINDS = 3
NUMBERS_LISTED = 12
SEVERITY_ORDER = {"blocking": 0, "review": 1, "warning": 2, "information": 3}
EFFECT_ORDER = {"row": 0, "cell": 1, "submission": 2, "note": 3}
FOLLOWING = ("parent_out", "question_stopped", "quarantine_high", "nothing_accepted")
"""Reasons that go away when others are mended; they stand after them."""
BY_PLACE = re.compile(r"column ([1-9][0-9]{0,4})")
"""A column of which only the place is told."""
PROPOSALS = r'"proposal": "[^"]*"'


RuleOutcome = Literal["passed", "failed", "not_applicable"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rows(_Part):
    """Rows of the main table; in_file = accepted + left_out + refused."""

    in_file: int = Field(description="Rows in the file")
    accepted: int = Field(description="Rows that are in")
    left_out: int = Field(description="Rows left out because of a fault, or because the hand-in is not accepted")
    refused: int = Field(description="Rows that were not read for want of consent")


class Mended(_Part):
    """What became of the faults of the hand-in before."""

    before: int = Field(description="Faults of the hand-in before")
    mended: int = Field(description="How many of them are mended")
    new: int = Field(description="Faults that were not there before")


class Kind(_Part):
    """One kind of fault: one reason in one column."""

    rule_id: str = Field(description="Rule that is broken; the rules are a fixed list")
    reason_id: str = Field(description="Reason; stays the same in every language")
    severity: Literal["blocking", "review", "warning", "information"] = Field(
        description="blocking: the hand-in is not accepted; review: a person decides; warning: accepted with a flag"
    )
    effect: Literal["submission", "row", "cell", "note"] = Field(
        description="What it does: concerns the hand-in; leaves the row out; leaves the answer out; nothing"
    )
    file: str | None = Field(description="File, or its role where the name could identify a person")
    sheet: str | None = Field(description="Sheet or table")
    column: str | None = Field(description="Column")
    n: int = Field(description="How often")
    rows: list[int] = Field(description="Row numbers in the file, the header is row 1; at most 1,000")
    written: list[str] = Field(description="What is written there, up to three texts that cannot identify a person")
    title: str = Field(description="The rule, in the language of the feedback")
    what: str = Field(description="What is wrong")
    why: str = Field(description="Why it matters")
    mend: str = Field(description="How to mend it")
    example: str = Field(description="How it looks when it is right")
    english: str = Field(description="What is wrong and how to mend it, in English")


class TakenOut(_Part):
    """Cells that were taken out because they say who a person is."""

    column: str = Field(description="Column")
    kind: str = Field(description="What the column holds, in the language of the feedback")
    n: int = Field(description="Cells")


class Feedback(_Part):
    """Feedback on one version of one submission. Version 1 of this document; fields are added, never renamed."""

    format: Literal["lnob-feedback"] = "lnob-feedback"
    format_version: Literal[1] = 1
    submission: str = Field(description="Identifier of the submission")
    version: str = Field(description="Hash of what was handed in")
    language: str = Field(description="Language of the sentences, ISO 639-1")
    translation: Literal["official", "reviewed", "draft"] = Field(
        description="What the translation is worth; of a draft the English text counts"
    )
    state: Literal["accepted", "accepted_with_flags", "waiting_for_review", "rejected"]
    result: str = Field(description="The state in words")
    next: str = Field(description="What happens next, and what to do")
    rows: Rows
    since_last: Mended | None = Field(description="What became of the faults of the hand-in before; null for the first")
    kinds: list[Kind] = Field(description="What to mend, worst first, all kinds")
    taken_out: list[TakenOut]
    rules: dict[str, RuleOutcome] = Field(description="Outcome of every rule")


def make_feedback(validated: Validated, language: str | None = None, since_last: Progress | None = None) -> Feedback:
    """The feedback in a language (ISO 639-1; the manifest's if none is named; English where there is no catalogue)."""
    speak = catalogue(language or validated.manifest.language)
    outcome = validated.outcome.row(0, named=True)
    return Feedback(
        submission=validated.manifest.submission,
        version=outcome["version"],
        language=speak.language,
        translation=speak.status,
        state=outcome["state"],
        result=speak.say(STATES[outcome["state"]]),
        next=speak.say(NEXT[outcome["state"]]),
        rows=Rows(
            in_file=outcome["n_rows"],
            accepted=outcome["n_accepted"],
            left_out=outcome["n_quarantined"],
            refused=outcome["n_refused"],
        ),
        since_last=Mended(**vars(since_last)) if since_last else None,
        kinds=[_kind(kind, speak) for kind in kinds_to_mend(validated.findings).iter_rows(named=True)],
        taken_out=_taken_out(validated.results, speak),
        rules={rule_id: rule_outcome(validated.results.filter(pl.col("rule_id") == rule_id)) for rule_id in RULES},
    )


def feedback_json(feedback: Feedback) -> bytes:
    """The feedback for machines; its schema is docs/feedback.schema.json."""
    return (feedback.model_dump_json(indent=1) + "\n").encode()


def schema_text() -> str:
    """What docs/feedback.schema.json holds: the JSON Schema (2020-12) of the feedback for machines."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Feedback.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def feedback_text(feedback: Feedback) -> str:
    """The feedback as plain text for a message: at most MAXIMUM_TEXT letters, the three worst kinds, what to do."""
    speak = catalogue(feedback.language)
    head = [f"{feedback.submission}: {feedback.result}", rows_in(feedback, speak)]
    if feedback.since_last:
        head.append(speak.say(WORKBOOK["progress"], feedback.since_last.model_dump()))
    faults = [kind for kind in feedback.kinds if kind.severity != "information"]
    urgent, tail = faults[:SHORT_KINDS], [speak.say(WORKBOOK["short_full"])] if faults else []
    if feedback.translation == "draft":
        tail += dict.fromkeys([speak.say(WORKBOOK["draft"]), WORKBOOK["draft"]])
    for template, places, following in (
        ("short_kind", 5, [feedback.next]), ("short_kind", 2, []), ("short_brief", 2, []), ("short_brief", 0, []),
    ):  # fmt: skip
        lines = [
            speak.say(WORKBOOK[template], {
                "number": number, "what": kind.what, "where": where(kind, speak, places), "mend": kind.mend,
            })
            for number, kind in enumerate(urgent, start=1)
        ]  # fmt: skip
        text = "\n".join([*head, *lines, *following, *tail])
        if len(text) <= MAXIMUM_TEXT:
            return text + "\n" if len(text) < MAXIMUM_TEXT else text
    end = "\n".join(["…", *tail])
    return "\n".join([*head, *lines])[: MAXIMUM_TEXT - len(end)] + end


def rows_in(feedback: Feedback, speak: Catalogue) -> str:
    """How many rows are in, as a sentence."""
    return speak.say(WORKBOOK["rows_in"], {"accepted": feedback.rows.accepted, "rows": feedback.rows.in_file})


def where(kind: Kind, speak: Catalogue, numbers: int = NUMBERS_LISTED) -> str:
    """File, sheet, column and the first row numbers of a kind, as the partner knows them."""
    named = {"file": kind.file, "sheet": kind.sheet}
    parts = [speak.say(WORKBOOK[f"where_{part}"], {"name": name}) for part, name in named.items() if name]
    parts += [column_in_words(kind.column, speak)] if kind.column else []
    if kind.rows and numbers:
        shown = ", ".join(map(str, kind.rows[:numbers]))
        if (more := len(kind.rows) - numbers) > 0:
            shown = speak.say(WORKBOOK["and_more"], {"shown": shown, "n": more})
        parts.append(speak.say(WORKBOOK["where_rows"], {"numbers": shown}))
    return ", ".join(parts) or speak.say(WORKBOOK["whole_submission"])


def column_in_words(column: str, speak: Catalogue) -> str:
    """A column by its name, or by its place where the name may not be shown (privacy.public_column)."""
    if (place := BY_PLACE.fullmatch(column)) is None:
        return speak.say(WORKBOOK["where_column"], {"name": column})
    number = int(place[1])
    return speak.say(WORKBOOK["where_place"], {"n": number, "letters": xl_col_to_name(number - 1)})


def kinds_to_mend(findings: pl.DataFrame) -> pl.DataFrame:
    """Findings grouped by kind, worst first, with n, rows and written beside what they have in common.

    A kind is one reason in one column. rows holds the first row numbers in order, written the first texts that may be
    shown. Worst first: what blocks, then what a person decides, then what takes out most rows, then most cells. A
    proposal that differs from row to row makes no kinds of its own; the first one stands for the others.
    """
    common = pl.col("details").str.replace(PROPOSALS, "").alias("common")
    return (
        findings.filter(pl.col("effect") != "refused")
        .sort("row_number", nulls_last=True)
        .group_by(
            "severity", "rule_id", "file", "sheet", "column", "reason_id", "effect", common, maintain_order=True
        )
        .agg(
            pl.col("details", "reason", "mend").first(),
            pl.len().alias("n"),
            pl.col("row_number").drop_nulls().unique(maintain_order=True).head(1_000).alias("rows"),
            pl.col("written").drop_nulls().unique(maintain_order=True).head(3).alias("written"),
        )
        .sort(
            pl.col("severity").replace_strict(SEVERITY_ORDER),
            pl.col("reason_id").is_in(FOLLOWING),
            pl.col("effect").replace_strict(EFFECT_ORDER),
            -pl.col("n").cast(pl.Int64),
            "rule_id",
            "column",
            "reason",
            nulls_last=True,
        )
        .drop("common")
    )  # fmt: skip


def rule_outcome(results: pl.DataFrame) -> RuleOutcome:
    """The outcome of one rule over all its results: failed if one failed, passed if one passed, else not_applicable."""
    outcomes = set(results["outcome"].to_list())
    return "failed" if "failed" in outcomes else "passed" if "passed" in outcomes else "not_applicable"


def _kind(kind: dict[str, Any], speak: Catalogue) -> Kind:
    rule = RULES[kind["rule_id"]]
    details = from_json(kind["details"])
    what, mend = (speak.say(text, details) for text in REASONS[kind["reason_id"]])
    english = ". ".join(ENGLISH.say(text, details) for text in REASONS[kind["reason_id"]])
    named = ("rule_id", "reason_id", "severity", "effect", "file", "sheet", "column", "n", "rows", "written")
    return Kind(
        **{name: kind[name] for name in named},
        title=speak.say(rule.title),
        what=what,
        why=speak.say(rule.why),
        mend=mend,
        example=speak.say(rule.example),
        english=english,
    )


def _taken_out(results: pl.DataFrame, speak: Catalogue) -> list[TakenOut]:
    """Columns whose cells were taken out; the message of such a result begins with the kind in English."""
    taken = results.filter(pl.col("expectation") == "taken_out").select("column", "message", "n_checked")
    kinds = set(KINDS.values())
    found = []
    for column, message, n in taken.iter_rows():
        kind = message.split(":")[0]
        found.append(TakenOut(column=column, kind=speak.text(kind, KIND) if kind in kinds else "", n=n))
    return found
