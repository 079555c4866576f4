"""The gate on the bundled inbox, through the readers and the instruments as they are."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import parse_manifest
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import validate

SETTINGS = Settings.load()
ROOT = Path(__file__).parents[2]
INBOX = ROOT / "data" / "submissions"
STATES = {
    "ken-2019-household-survey": "accepted",
    "ken-2019-no-consent": "rejected",
    "ind-2020-partly-bad": "accepted_with_flags",
    "ind-2019-thirteen-groups": "accepted",
    "bgd-2019-named-groups": "accepted",
    "npl-2020-two-municipalities": "accepted_with_flags",
    "vnm-2020-ha-giang": "accepted",
    "mwi-2020-health-score-card": "accepted",
    "nga-2020-discussions": "accepted",
    "nga-2020-policy-review": "accepted",
}


def judged(submission: str, *, great_expectations: bool = False):
    folder = INBOX / submission[:3] / submission
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    files = [(file, (folder / file.path).read_bytes()) for file in manifest.files]
    mappings = load_mappings(SETTINGS.mappings)
    return validate(manifest, "0" * 64, files, mappings, SETTINGS, great_expectations=great_expectations)


def everything(validated) -> str:
    frames = [validated.quarantine, validated.results, validated.outcome, validated.findings, *validated.rows.values()]
    if validated.responses is not None:
        frames.append(validated.responses)
    text = "\n".join(frame.write_csv() for frame in frames)
    with zipfile.ZipFile(io.BytesIO(feedback_workbook(validated))) as book:
        return text + "\n".join(book.read(name).decode("utf-8", errors="replace") for name in book.namelist())


@pytest.mark.parametrize("submission", STATES)
def test_each_sample_ends_in_its_state_and_every_row_is_accounted_for(submission):
    validated = judged(submission)
    assert validated.state == STATES[submission], validated.outcome["reasons"][0]
    balance = validated.balance
    assert (balance["n_rows"] == balance["n_accepted"] + balance["n_quarantined"] + balance["n_refused"]).all()
    if validated.responses is not None:
        assert validated.responses.height == balance["n_accepted"].sum()
        assert validated.responses.select("record", "record_key").is_unique().all()


def test_the_planted_faults_are_found_where_they_stand():
    with (ROOT / "data" / "make_samples" / "planted_faults.csv").open(encoding="utf-8", newline="") as stream:
        planted = [row for row in csv.DictReader(stream) if row["submission"] == "ind-2020-partly-bad"]
    assert len(planted) > 15
    validated = judged("ind-2020-partly-bad")
    rules = {
        "outside_collection": "dates",
        "impossible_number": "ranges",
        "duplicate_identity": "identity",
        "unknown_code": "codes",
        "not_a_number": "types",
        "consent_refused": "consent",
    }
    found = set(validated.quarantine.select("row_number", "rule_id").rows())
    wanted = {(int(row["row"]), rules[row["fault"]]) for row in planted if row["fault"] in rules}
    assert wanted <= found
    text = everything(validated)
    markers = {row["written"] for row in planted if row["fault"] == "refused_with_answers"}
    assert markers and not any(marker in text for marker in markers)


def test_no_identifier_of_the_kenyan_export_comes_out():
    folder = INBOX / "ken" / "ken-2019-household-survey"
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    from lnob_pipeline.submissions.readers import read_file

    tables = read_file((folder / "export.xlsx").read_bytes(), manifest.files[0])
    instrument = load_mappings(SETTINGS.mappings).instruments[manifest.instrument]
    planted = set()
    for record in instrument.records.values():
        frame = tables[record.table].frame
        for header, column in record.columns.items():
            if column.exclude in ("identifier", "free_text") and header in frame.columns:
                planted |= {cell for cell in frame[header].drop_nulls().unique() if len(cell) >= 7}
    assert len(planted) > 1000
    text = everything(judged("ken-2019-household-survey"))
    assert pl.Series([text]).str.extract_many(sorted(planted)).list.unique().to_list() == [[]]


def test_the_kenyan_survey_is_judged_in_seconds():
    judged("ken-2019-household-survey")
    began = time.process_time()
    validated = judged("ken-2019-household-survey")
    assert validated.responses.height > 4000
    assert time.process_time() - began < 6  # about one second on a quiet machine; the limit is for a busy one


def test_great_expectations_agree_on_a_good_sample():
    validated = judged("vnm-2020-ha-giang", great_expectations=True)
    results = validated.results.filter(pl.col("engine") == "great_expectations")
    assert results.height > 20 and set(results["outcome"]) == {"passed"}
