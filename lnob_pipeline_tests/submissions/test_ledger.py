"""Reading the ledger: what is live, what stays in the tables, sealed bytes, states as a join."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import read_table, table_path, write_table
from lnob_pipeline.submissions.ledger import (
    LedgerError,
    history,
    live,
    outcome,
    promoted,
    record_outcome,
    sealed_files,
    status_table,
)
from lnob_pipeline.submissions.manifest import parse_manifest
from lnob_pipeline.submissions.receive import receive
from lnob_pipeline.tables import SUBMISSIONS, VALIDATION_OUTCOMES
from lnob_pipeline_tests.thorough import tries

ID = "ken-2019-test"
FIRST, SECOND, THIRD = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def decision(version: str, state: str, submission: str = ID, reasons: str = "") -> pl.DataFrame:
    row = dict.fromkeys(VALIDATION_OUTCOMES.schema) | {
        "submission_id": submission,
        "version": version,
        "state": state,
        "reasons": reasons,
        "n_rows": 412,
        "n_accepted": 388,
        "n_quarantined": 20,
        "n_refused": 4,
    }
    return pl.DataFrame([row], schema=VALIDATION_OUTCOMES.schema)


def the_state(settings: Settings) -> dict[str, object]:
    (row,) = status_table(settings).rows(named=True)
    return row


def test_live_gives_the_manifest_as_it_was_handed_in(settings, hand_in, another):
    receive(settings, another.folder, FIRST)
    receive(settings, hand_in.folder, SECOND)
    found = live(settings)
    assert [item.submission_id for item in found] == [ID, "ken-2020-other"]
    for item, folder in zip(found, (hand_in.folder, another.folder), strict=True):
        assert item.manifest == parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")


def test_files_keep_the_order_of_the_manifest(settings, hand_in):
    hand_in.answers["files"].reverse()
    receive(settings, hand_in.write(), FIRST)
    files = sealed_files(settings, ID)
    assert [(file.path, file.role, file.delimiter) for file, _ in files] == [
        ("codes/list.csv", "codebook", None),
        ("answers.csv", "data", ";"),
    ]
    assert [content for _, content in files] == [b"code,label\n1,piped\n", b"consent;water\nyes;piped\n"]


@pytest.mark.parametrize("place", [0, 5, -1])
def test_one_flipped_bit_is_an_error_that_names_no_file(settings, hand_in, place):
    hand_in.answers["files"][0]["path"] = "jane_doe.csv"
    hand_in.file("jane_doe.csv", b"consent;water\nyes;well\n")
    receive(settings, hand_in.write(), FIRST)
    digest = pl.read_parquet(settings.lake / "sealed_files" / f"{ID}.parquet").filter(role="data")["sha256"].item()
    content = bytearray((settings.sealed / digest).read_bytes())
    content[place] ^= 1
    (settings.sealed / digest).write_bytes(bytes(content))
    with pytest.raises(
        LedgerError, match=r"ken-2019-test: a sealed file \(data\) is no longer what was handed in"
    ) as error:
        sealed_files(settings, ID)
    assert "jane_doe" not in str(error.value)
    (settings.sealed / digest).unlink()
    with pytest.raises(LedgerError, match="cannot be read"):
        sealed_files(settings, ID)
    receive(settings, hand_in.folder, SECOND)  # what the error advises
    assert sealed_files(settings, ID)[0][1] == b"consent;water\nyes;well\n"


def test_nothing_to_read_of_what_is_unknown_or_withdrawn(settings, hand_in):
    with pytest.raises(LedgerError, match="never received"):
        sealed_files(settings, ID)
    first = receive(settings, hand_in.folder, FIRST)
    hand_in.answers["withdrawn"] = True
    receive(settings, hand_in.write(), SECOND)
    with pytest.raises(LedgerError, match="withdrawn"):
        sealed_files(settings, ID)
    with pytest.raises(LedgerError, match="withdrawn"):
        sealed_files(settings, ID, first.version)
    assert history(settings)["version"].to_list()[0] == first.version  # that it was there is history


def test_an_empty_lake_has_no_submissions(settings):
    assert live(settings) == promoted(settings) == []
    assert history(settings).is_empty()
    assert status_table(settings).is_empty()


def test_a_manifest_that_no_longer_fits_is_a_clear_error(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    rows = read_table(settings.lake, SUBMISSIONS, ID).with_columns(manifest=pl.lit('{"submission": "Jane Doe"}'))
    write_table(rows, SUBMISSIONS, table_path(settings.lake, SUBMISSIONS, ID))
    with pytest.raises(LedgerError, match="receive the submission again") as error:
        live(settings)
    assert "Jane" not in str(error.value)


def test_a_rejected_correction_leaves_the_accepted_version_in_the_tables(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    assert promoted(settings) == []
    record_outcome(settings, decision(first.version, "accepted_with_flags", reasons="few rows"))
    assert promoted(settings) == live(settings)

    hand_in.answers["sampling"]["weight"] = "weight_2"
    second = receive(settings, hand_in.write(), SECOND)
    assert [item.version for item in promoted(settings)] == [first.version]  # not decided yet
    record_outcome(settings, decision(second.version, "rejected", reasons="no consent question"))

    assert [item.version for item in live(settings)] == [second.version]
    (kept,) = promoted(settings)
    assert (kept.version, kept.manifest.sampling.weight) == (first.version, "w")
    assert outcome(settings, kept)["state"].to_list() == ["accepted_with_flags"]
    row = the_state(settings)
    assert (row["state"], row["version"], row["in_tables"]) == ("rejected", second.version, first.version)
    assert row["reason"] == f"no consent question | version {first.version[:12]} stays in the tables"

    hand_in.answers["sampling"]["weight"] = "weight_3"
    third = receive(settings, hand_in.write(), THIRD)
    record_outcome(settings, decision(third.version, "accepted"))
    assert [item.version for item in promoted(settings)] == [third.version]
    assert the_state(settings)["state"] == "accepted"
    assert history(settings)["state"].to_list() == ["superseded", "superseded", "received"]


def test_of_accepted_versions_the_last_is_the_one_in_the_tables(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    record_outcome(settings, decision(first.version, "accepted"))
    hand_in.answers["title"] = "Corrected"
    second = receive(settings, hand_in.write(), SECOND)
    record_outcome(settings, decision(second.version, "accepted"))
    hand_in.answers["title"] = "A test collection"
    assert receive(settings, hand_in.write(), THIRD).version == first.version
    # The answers in the lake are still those of the second version, until the first is validated again.
    assert [item.version for item in promoted(settings, ID)] == [second.version]
    assert the_state(settings)["state"] == "received"
    record_outcome(settings, decision(first.version, "accepted"))
    assert [item.version for item in promoted(settings, ID)] == [first.version]
    record_outcome(settings, decision(first.version, "rejected"))  # by rules that have changed since
    assert promoted(settings) == []


def test_one_submission_can_be_asked_for(settings, hand_in, another):
    for folder in (hand_in.folder, another.folder):
        record_outcome(settings, decision(receive(settings, folder, FIRST).version, "accepted", folder.name))
    for asked in (live, promoted):
        assert asked(settings, ID) == [item for item in asked(settings) if item.submission_id == ID]
        assert asked(settings, "ken-2019-unknown") == []
    assert history(settings, ID)["submission_id"].to_list() == [ID]


def test_an_accepted_version_that_is_withdrawn_leaves_every_list(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    record_outcome(settings, decision(first.version, "accepted"))
    hand_in.answers["withdrawn"] = True
    receive(settings, hand_in.write(), SECOND)
    assert live(settings) == promoted(settings) == []
    row = the_state(settings)
    assert (row["state"], row["in_tables"], row["reason"]) == ("withdrawn", None, "withdrawn by the manifest")


def test_an_unreadable_correction_is_shown_and_changes_nothing_else(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    record_outcome(settings, decision(first.version, "accepted"))
    (hand_in.folder / "submission.yaml").write_text("title: x")
    receive(settings, hand_in.folder, SECOND)
    assert [item.version for item in promoted(settings)] == [first.version]
    row = the_state(settings)
    assert (row["state"], row["data_type"], row["in_tables"]) == ("unreadable", "household_survey", first.version)
    assert "country: is missing" in str(row["reason"])
    assert str(row["reason"]).endswith("stays in the tables")


def test_status_has_one_row_a_submission_and_the_counts_of_its_version(settings, hand_in, another):
    first = receive(settings, hand_in.folder, FIRST)
    receive(settings, another.folder, SECOND)
    record_outcome(settings, decision(first.version, "accepted"))
    table = status_table(settings)
    assert table.select("submission_id", "state", "n_rows", "n_accepted", "n_refused").rows() == [
        (ID, "accepted", 412, 388, 4),
        ("ken-2020-other", "received", None, None, None),
    ]
    assert table["in_tables"].to_list() == [first.version, None]


def test_a_decision_on_another_version_is_not_that_of_the_newest(settings, hand_in):
    receive(settings, hand_in.folder, FIRST)
    record_outcome(settings, decision("0" * 64, "accepted"))
    assert the_state(settings)["state"] == "received"
    assert promoted(settings) == []


def test_the_same_decision_again_gives_the_same_bytes(settings, hand_in):
    first = receive(settings, hand_in.folder, FIRST)
    digest = record_outcome(settings, decision(first.version, "rejected"))
    assert record_outcome(settings, decision(first.version, "rejected")) == digest
    record_outcome(settings, decision(first.version, "accepted"))
    assert read_table(settings.lake, VALIDATION_OUTCOMES, ID)["state"].to_list() == ["accepted"]


STEPS = st.lists(st.sampled_from(["one", "two", "withdraw", "unreadable", "empty"]), min_size=1, max_size=7)


@examples(max_examples=tries(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_hand_ins_keeps_the_ledger_in_order(tmp_path_factory, answers, steps):
    """Against a model of three sentences: the last usable hand-in counts, a withdrawal ends it, nothing is lost."""
    import yaml

    settings = Settings.load(home=tmp_path_factory.mktemp("lake"))
    folder: Path = settings.inbox / "ken" / ID
    (folder / "codes").mkdir(parents=True)
    (folder / "answers.csv").write_bytes(b"a")
    (folder / "codes" / "list.csv").write_bytes(b"b")
    manifest = folder / "submission.yaml"
    counts, last, written = None, None, 0
    for number, step in enumerate(steps):
        if step == "empty":
            manifest.unlink(missing_ok=True)
        elif step == "unreadable":
            manifest.write_text("title: x")
        else:
            manifest.write_text(yaml.safe_dump(answers | {"title": step, "withdrawn": step == "withdraw"}))
        received = receive(settings, folder, f"2026-01-{number + 1:02}T00:00:00Z")
        assert received.changed == (step not in ("empty", last))
        if step != "empty":
            written += received.changed
            last = step
        if step in ("one", "two", "withdraw"):
            counts = None if step == "withdraw" else step
        assert [item.manifest.title for item in live(settings)] == ([counts] if counts else [])
    rows = history(settings)
    assert rows.height == written
    assert rows.filter(pl.col("state").is_in(["received", "withdrawn"])).height <= 1
    assert rows.filter(pl.col("state") == "unreadable").height <= 1
    assert status_table(settings).height == min(written, 1)
