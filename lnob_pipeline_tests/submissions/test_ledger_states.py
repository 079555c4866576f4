"""The state machine of a submission: from every state every event, and long stories made by chance, against a model."""

from __future__ import annotations

import copy
import datetime
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lnob_pipeline.pipeline import run_submissions
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import private_folder
from lnob_pipeline.submissions import ledger, retention, reviews
from lnob_pipeline.submissions.states import ACCEPTED, DECISIONS, ENTRY, SUPERSEDES, TRANSITIONS
from lnob_pipeline.tables import VALIDATION_OUTCOMES
from lnob_pipeline_tests.submissions.conftest import ANSWERS
from lnob_pipeline_tests.thorough import tries

ID = "ken-2019-test"
AFTER = datetime.date(2030, 1, 1)
"""The day after the last one on which the raw files of the hand-in may be kept."""
STAGE_1 = {"submissions", "sealed_files", "retention"}


class Partner:
    """One submission: what its partner, stage 2, a reviewer and the secretariat can do to it."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.load(home=home)
        self.folder = self.settings.inbox / "ken" / ID
        self.moment = 0

    def _receive(self, manifest: str) -> bool:
        self.moment += 1
        (self.folder / "codes").mkdir(parents=True, exist_ok=True)
        (self.folder / "answers.csv").write_bytes(b"consent;water\nyes;piped\n")
        (self.folder / "codes" / "list.csv").write_bytes(b"code,label\n")
        (self.folder / "submission.yaml").write_text(manifest)
        return run_submissions(self.settings, ID, now=self.now()).changed

    def now(self) -> str:
        return f"2026-01-01T{self.moment // 60:02}:{self.moment % 60:02}:00Z"

    def hand_in(self, title: str) -> bool:
        """A usable hand-in; whether the ledger was written."""
        return self._receive(yaml.safe_dump(copy.deepcopy(ANSWERS) | {"title": title}))

    def unreadable(self, slip: str = "title: x") -> bool:
        return self._receive(slip)

    def withdraw(self) -> bool:
        return self._receive(f"submission: {ID}\nwithdrawn: yes\n")

    def judge(self, state: str) -> None:
        """What stage 2 records of the live version, and the table it writes."""
        for item in ledger.live(self.settings, ID):
            row = dict.fromkeys(VALIDATION_OUTCOMES.schema) | {"submission_id": ID, "version": item.version}
            frame = pl.DataFrame([row | {"state": state, "reasons": ""}], schema=VALIDATION_OUTCOMES.schema)
            if state in ACCEPTED:
                (private_folder(self.settings.lake / "responses") / f"{ID}.parquet").write_text(item.version)
            ledger.record_outcome(self.settings, frame)

    def retain(self) -> None:
        """`lnob retention --yes` after the date."""
        self.moment += 1
        without_manifest = self.folder.is_dir() and not (self.folder / "submission.yaml").exists()
        problems = retention.let_go(self.settings, retention.due(self.settings, AFTER), AFTER, self.now())
        assert len(problems) <= without_manifest, problems

    def empty_the_folder(self) -> None:
        for path in (self.folder / "submission.yaml", self.folder / "answers.csv"):
            path.unlink(missing_ok=True)
        run_submissions(self.settings, ID, now=self.now())

    def states(self) -> list[str]:
        return ledger.versions(self.settings, ID)["state"].to_list()

    def sealed(self) -> list[str]:
        folder = self.settings.sealed
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []


EVENTS: dict[str, Callable[[Partner], object]] = {
    "other content": lambda partner: partner.hand_in("other"),
    "the same content": lambda partner: partner.hand_in("first"),
    "unreadable": lambda partner: partner.unreadable("title: other"),
    "withdrawal": Partner.withdraw,
    "retention": Partner.retain,
    "empty folder": Partner.empty_the_folder,
    **{f"judged {state}": functools.partial(Partner.judge, state=state) for state in DECISIONS},
}


def brought_to(partner: Partner, state: str) -> None:
    """Bring the first version of a submission into a state."""
    if state == "unreadable":
        partner.unreadable()
    elif state == "withdrawn":
        partner.withdraw()
    else:
        partner.hand_in("first")
        if state in DECISIONS:
            partner.judge(state)
        elif state == "superseded":
            partner.hand_in("second")
    assert partner.states()[0] == state


@pytest.mark.parametrize("before", sorted(TRANSITIONS))
def test_from_each_state_the_events_lead_to_the_states_of_the_table_and_no_others(tmp_path: Path, before: str) -> None:
    reached = set()
    for number, act in enumerate(EVENTS.values()):
        partner = Partner(tmp_path / str(number))
        brought_to(partner, before)
        known = ledger.versions(partner.settings, ID).select("received_at", "version").rows()
        act(partner)
        rows = ledger.versions(partner.settings, ID)
        assert rows.select("received_at", "version").rows()[: len(known)] == known  # history is never rewritten
        reached.add(rows["state"][0])
    assert reached - {before} == TRANSITIONS[before]


def test_the_tables_of_the_machine_agree() -> None:
    states = set(TRANSITIONS)
    assert states == {*DECISIONS, *ENTRY, "superseded"}
    assert {state for after in TRANSITIONS.values() for state in after} <= states
    assert set(SUPERSEDES) == ENTRY
    for replaced in SUPERSEDES.values():
        assert all("superseded" in TRANSITIONS[state] for state in replaced)


def test_stage_2_can_write_decisions_only(tmp_path: Path) -> None:
    partner = Partner(tmp_path)
    partner.hand_in("first")
    for state in ("received", "superseded", "withdrawn", "unreadable", "closed"):
        with pytest.raises(ledger.LedgerError, match="no decision of stage 2"):
            partner.judge(state)
    assert partner.states() == ["received"]


class Story(RuleBasedStateMachine):
    """Anything in any order. The model: the last content, the live version, its decision, the version in the tables."""

    @initialize()
    def start(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.partner = Partner(Path(self.home.name))
        self.last: str | None = None  # what lies in the ledger as the newest
        self.live: str | None = None
        self.entry: str | None = None  # received, or withdrawn
        self.decisions: dict[str, str] = {}
        self.in_tables: str | None = None
        self.rows = 0
        self.before: list[tuple[str, str]] = []
        self.titles: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.home.cleanup()

    def _entered(self, content: str, changed: bool) -> bool:
        assert changed == (content != self.last)  # the same content twice is one hand-in
        self.rows += changed
        self.last = content
        return changed

    @rule(title=st.sampled_from("abc"))
    def hand_in(self, title: str) -> None:
        self._entered(title, self.partner.hand_in(title))
        self.live, self.entry = title, "received"
        version = ledger.live(self.partner.settings, ID)[0].version
        assert self.titles.setdefault(title, version) == version  # the same content is the same version, always

    @rule(slip=st.sampled_from(["title: x", "title: y"]))
    def unreadable(self, slip: str) -> None:
        self._entered(slip, self.partner.unreadable(slip))

    @rule()
    def withdraw(self) -> None:
        if self._entered("withdrawn", self.partner.withdraw()):
            self.live, self.entry, self.in_tables, self.decisions = None, "withdrawn", None, {}

    @precondition(lambda self: self.live is not None)
    @rule(state=st.sampled_from(DECISIONS))
    def judge(self, state: str) -> None:
        """First validation, and again after a change of mappings: any decision can follow any other."""
        self.partner.judge(state)
        self._decided(state)

    def _decided(self, state: str) -> None:
        assert self.live is not None
        if state in ACCEPTED:
            self.decisions = {title: old for title, old in self.decisions.items() if old not in ACCEPTED}
            self.in_tables = self.live
        elif self.in_tables == self.live:
            self.in_tables = None
        self.decisions[self.live] = state

    @precondition(lambda self: self.live is not None and self.decisions.get(self.live) == "waiting_for_review")
    @rule(decision=st.sampled_from(["accept", "reject"]))
    def review(self, decision: str) -> None:
        assert self.live is not None
        settings, version = self.partner.settings, self.titles[self.live]
        reviews.record(
            settings, ID, version, "a_rule", decision, "secretariat", AFTER, "read the protocol", lambda text: False
        )
        assert reviews.decided(settings, ID, version)["a_rule"] == decision
        state = "accepted_with_flags" if decision == "accept" else "rejected"
        self.partner.judge(state)
        self._decided(state)

    @rule()
    def retain(self) -> None:
        self.partner.retain()
        if self.live is not None or self.entry == "withdrawn":
            assert self.partner.sealed() == []
        # What came after a withdrawal and could not be read has no date: it waits for its partner.
        if self.live is not None or self.last == "withdrawn":
            assert not (self.partner.folder / "submission.yaml").exists()

    @rule()
    def empty_the_folder(self) -> None:
        self.partner.empty_the_folder()

    @invariant()
    def the_ledger_is_in_order(self) -> None:
        if not hasattr(self, "partner"):
            return
        settings = self.partner.settings
        rows = ledger.versions(settings, ID)
        now = list(rows.select("version", "state").iter_rows())
        assert len(now) == self.rows
        for (version, old), (same, new) in zip(self.before, now, strict=False):
            assert version == same and (new == old or new in TRANSITIONS[old])
        for _, new in now[len(self.before) :]:
            assert new in ENTRY or new in DECISIONS  # a content that was judged before is known at once
        self.before = now

        assert [state for _, state in now].count("unreadable") <= 1
        standing = [state for _, state in now if state not in ("superseded", "unreadable")]
        expected = self.decisions.get(self.live, "received") if self.live else self.entry
        assert standing == ([expected] if expected else [])

        kept = rows.filter("in_tables")["version"].unique().to_list()
        assert kept == ([self.titles[self.in_tables]] if self.in_tables else [])
        assert [item.version for item in ledger.promoted(settings, ID)] == kept
        assert ledger.status_table(settings).height == min(self.rows, 1)
        if kept:  # what lies in the lake is what the ledger says lies there
            assert (settings.lake / "responses" / f"{ID}.parquet").read_text() == kept[0]

        if self.live is None and self.entry == "withdrawn":
            assert self.partner.sealed() == []
            left = {path.parent.name for path in settings.lake.rglob(f"*{ID}*")}
            assert left <= STAGE_1 and ledger.history(settings, ID)["manifest"].null_count() == self.rows


Story.TestCase.settings = examples(
    max_examples=tries(12), stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStory = Story.TestCase
