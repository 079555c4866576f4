"""`lnob review`: what waits for a person, hand-ins and questions of the scorecard, and the recorded decision.

Here: arguments, what the terminal says, exit codes. The register is in submissions/reviews.py, what follows from a
decision in validation/.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from lnob_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def review(
    submission: Annotated[str | None, typer.Argument(help="Submission to decide on; all that wait if none")] = None,
    rule: Annotated[str | None, typer.Option(help="Rule to decide on, as the list shows it")] = None,
    accept: Annotated[
        bool | None, typer.Option("--accept/--reject", help="Accept: it goes on, with a flag. Reject: it does not")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Role: secretariat, ethics_reviewer, statistics_office or community")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in a few words; name no person")] = None,
    date: Annotated[str | None, typer.Option(help="Day of the decision, YYYY-MM-DD; today if left out")] = None,
) -> None:
    """Show what waits for a person, or record a decision on it (in reviews.csv of the inbox)."""
    from lnob_pipeline.cli import NOT_ACCEPTED, out
    from lnob_pipeline.submissions import reviews
    from lnob_pipeline.validation.privacy import looks_identifying

    settings = Settings.load()
    if not settings.inbox.is_dir():
        raise ValueError(f"the inbox {settings.inbox} is not a folder; set LNOB_INBOX")
    if rule is accept is by is reason is date is None:
        _show(settings, submission)
        if problems := reviews.problems(settings, looks_identifying):
            for problem in problems:
                out.print(f"not counted: {problem}", markup=False, highlight=False)
            raise typer.Exit(NOT_ACCEPTED)
        return
    if submission is None or rule is None or accept is None or by is None or reason is None:
        raise ValueError("a decision needs SUBMISSION, --rule, --accept or --reject, --by and --reason")
    version = _version(settings, submission, rule)
    today = datetime.datetime.now(datetime.UTC).date()
    if (day := datetime.date.fromisoformat(date) if date else today) > today:
        raise ValueError(f"{day} lies ahead; a decision bears the day on which it was made")
    decision = "accept" if accept else "reject"
    reviews.record(settings, submission, version, rule, decision, by, day, reason, looks_identifying)
    out.print(f"recorded: {submission}, {rule}, {decision}. It takes effect with `lnob run {submission}`.")


def _waiting(settings: Settings, submission: str) -> pl.DataFrame:
    """The failed checks that wait for a person: rule_id, message."""
    from lnob_pipeline import storage, tables

    results = storage.read_table(settings.lake, tables.VALIDATION_RESULTS, submission)
    return results.filter((pl.col("outcome") == "failed") & (pl.col("severity") == "review"))


def _on_the_card(settings: Settings, submission: str) -> pl.DataFrame:
    """What waits for a person in the scorecard: criterion, question."""
    from lnob_pipeline import storage, tables

    card = storage.read_table(settings.lake, tables.FITNESS, submission)
    return card.filter(pl.col("status") == "waiting_for_person").sort("position").select("criterion", "question")


def _version(settings: Settings, submission: str, rule: str) -> str:
    """The version to decide on. Raises ValueError where nothing can be decided."""
    from lnob_pipeline.submissions import ledger, reviews

    live = next(iter(ledger.live(settings, submission)), None)
    if live is None or ledger.outcome(settings, live).is_empty():
        raise ValueError(f"{submission} has no version that was judged; `lnob status` shows the submissions")
    if (day := ledger.closed_on(settings, submission, live.version)) is not None:
        raise ValueError(f"the raw files of {submission} were deleted as of {day}; only a new hand-in can be judged")
    known = {
        *_waiting(settings, submission)["rule_id"],
        *_on_the_card(settings, submission)["criterion"],
        *reviews.decided(settings, submission, live.version),
    }
    if rule not in known:
        raise ValueError(f"{rule} does not wait for a person in {submission}; known: {', '.join(sorted(known)) or '-'}")
    return live.version


def _show(settings: Settings, submission: str | None) -> None:
    from lnob_pipeline.cli import out, show
    from lnob_pipeline.submissions.ledger import status_table

    states = status_table(settings, submission)
    if submission is not None and states.is_empty():
        raise ValueError(f"{submission} is not in the ledger; `lnob status` lists what is")
    rows = list(_lines(settings, states.filter(pl.col("state") == "waiting_for_review")))
    questions = list(_questions(settings, states))
    if not rows:
        out.print("Nothing waits for a person.")
    else:
        columns = ["submission", "version", "rule", "why", "since"]
        show(pl.DataFrame(rows, schema=columns, orient="row"), "Waiting for a person")
    if questions:
        columns = ["submission", "version", "criterion", "question"]
        title = "Open questions of the scorecard; they hold nothing up"
        show(pl.DataFrame(questions, schema=columns, orient="row"), title)
    if rows or questions:
        out.print("Decide: lnob review SUBMISSION --rule RULE --accept (or --reject) --by ROLE --reason TEXT")


def _questions(settings: Settings, states: pl.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    from lnob_pipeline.submissions import reviews

    judged = states.filter(pl.col("state").is_in(["accepted", "accepted_with_flags", "waiting_for_review"]))
    for submission, version in judged.select("submission_id", "version").iter_rows():
        decided = reviews.decided(settings, submission, version)
        for criterion, question in _on_the_card(settings, submission).iter_rows():
            said = f"decided ({decided[criterion]}), not run yet: {question}" if criterion in decided else question
            yield submission, version[: reviews.SHORT], criterion, said


def _lines(settings: Settings, states: pl.DataFrame) -> Iterator[tuple[str, str, str, str, str]]:
    from lnob_pipeline.submissions import reviews

    for submission, version, since in states.select("submission_id", "version", "received_at").iter_rows():
        decided = reviews.decided(settings, submission, version)
        for rule, message in _waiting(settings, submission).select("rule_id", "message").iter_rows():
            why = f"decided ({decided[rule]}), not run yet: {message}" if rule in decided else message
            yield submission, version[: reviews.SHORT], rule, why, since[:10]
