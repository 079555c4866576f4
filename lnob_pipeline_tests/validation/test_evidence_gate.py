"""Score cards, discussions and policy reviews pass the same gate; a row is one statement."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

SCORES: dict[str, Any] = {
    "instrument": "test-scores-v1",
    "title": "Test",
    "version": "1",
    "data_type": "score_card",
    "languages": ["en"],
    "scale": {"minimum": 1, "maximum": 5, "better": "high"},
    "statements": {"H1": {"indicator": "16.6.2", "code": "health_access", "label": "Easy to reach"}},
    "records": {
        "scores": {
            "table": "scores",
            "unit": "score",
            "columns": {
                "meeting": {"role": "document"},
                "statement": {"role": "statement"},
                "group": {"role": "group", "codes": {"Women": "F", "Men": "M"}},
                "score": {"role": "score"},
                "comment": {"exclude": "free_text"},
            },
        },
        "groups": {
            "table": "groups",
            "unit": "group",
            "key": "meeting",
            "columns": {
                "meeting": {"role": "document"},
                "agreed": {"exclude": "consent"},
                "participants": {"role": "participants"},
                "admin1": {"role": "admin1"},
            },
        },
    },
    "reviewed": {"by": "secretariat data team", "date": "2020-01-01", "source": "test"},
}
MANIFEST: dict[str, Any] = {
    "submission": "ken-2019-scores",
    "country": "KEN",
    "title": "Test (synthetic)",
    "organisation": "Invented organisation",
    "synthetic": True,
    "data_type": "score_card",
    "instrument": "test-scores-v1",
    "language": "en",
    "collection": {"start": "2019-05-01", "end": "2019-06-30"},
    "geography": {"level": "admin1", "admin1": ["KE-17"], "description": "one county"},
    "population": "users of health centres",
    "sampling": {"method": "not_applicable"},
    "sample_size": {"planned": 3, "achieved": 3},
    "engagement": {
        "need": 5,
        "design": 5,
        "collection": 5,
        "processing": 2,
        "analysis": 2,
        "dissemination": 3,
        "use": 3,
    },
    "consent": {"obtained": "per_group"},
    "ethics": {"body": "Invented committee", "approval_number": "1", "approval_date": "2019-03-01"},
    "agreement": {"identifier": "A-1", "retention_until": "2029-01-01"},
    "disclosure": {"organisation": True, "place": True},
    "partner": {"publish": True, "date": "2020-01-23", "represented_by": "meeting"},
    "files": [
        {"path": "scores.csv", "role": "data", "format": "csv", "delimiter": ","},
        {"path": "groups.csv", "role": "participants", "format": "csv", "delimiter": ","},
    ],
}
MEETINGS = ("Meeting with Chief Invented Otieno", "Women of the market", "Fishers")


@pytest.fixture
def card(judge):
    def run(scores=None, groups=None, **changes):
        scores = scores or [
            (meeting, "H1", group, "3", "a remark") for meeting in MEETINGS for group in ("Women", "Men")
        ]
        groups = groups or [(meeting, "yes", "9", "KE-17") for meeting in MEETINGS]
        contents = {
            "scores.csv": pl.DataFrame(
                scores, schema=["meeting", "statement", "group", "score", "comment"], orient="row"
            ).write_csv(),
            "groups.csv": pl.DataFrame(
                groups, schema=["meeting", "agreed", "participants", "admin1"], orient="row"
            ).write_csv(),
        }
        return judge(
            base_manifest=MANIFEST,
            base_instrument=SCORES,
            contents={name: text.encode() for name, text in contents.items()},
            **changes,
        )

    return run


def test_a_right_card_is_accepted_and_titles_of_meetings_stay_out(card):
    validated = card()
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert validated.responses.height == 9
    text = validated.responses.write_csv()
    assert "Otieno" not in text and "a remark" not in text
    joined = validated.responses.group_by("meeting").agg(pl.col("record").unique().sort())
    assert joined.height == 3 and joined["record"].to_list() == [["groups", "scores"]] * 3


def test_scores_outside_the_scale_unknown_statements_and_groups_are_out(card):
    scores = [(MEETINGS[0], "H1", "Women", str(score), "") for score in (1, 2, 3, 4, 5, 5, 5, 5)]
    scores += [(MEETINGS[0], "H1", "Women", "6", ""), (MEETINGS[0], "H9", "Women", "3", "")]
    scores += [(MEETINGS[0], "H1", "Strangers", "3", ""), (MEETINGS[0], "H1", "Men", "smile", "")]
    validated = card(scores)
    out = validated.quarantine.filter(pl.col("effect") == "row").sort("row_number")
    assert out.select("row_number", "rule_id").rows() == [(10, "ranges"), (11, "codes"), (12, "codes"), (13, "types")]
    assert validated.balance.row(0) == ("scores", 12, 8, 4, 0)


def test_a_group_has_at_least_one_participant_and_a_place_of_the_country(card):
    groups = [(MEETINGS[0], "yes", "0", "KE-17"), (MEETINGS[1], "yes", "7", "XX-1"), (MEETINGS[2], "yes", "8", "KE-17")]
    validated = card(groups=groups)
    assert validated.balance.row(1) == ("groups", 3, 1, 2, 0)


def test_a_card_says_how_consent_was_obtained(card):
    assert card(manifest={"consent": {"obtained": "not_applicable"}}).state == "rejected"


def test_a_group_that_refused_takes_its_statements_with_it(card):
    groups = [(MEETINGS[0], "no", "9", "KE-17"), *((m, "yes", "9", "KE-17") for m in MEETINGS[1:])]
    validated = card(
        groups=groups,
        manifest={"consent": {"obtained": "per_row", "column": "agreed", "affirmative": ["yes"]}},
        instrument={"consent": {"record": "groups", "column": "agreed", "affirmative": ["yes"]}},
    )
    assert validated.balance.rows() == [("scores", 6, 4, 0, 2), ("groups", 3, 2, 0, 1)]
    assert validated.responses.height == 6


def test_several_scores_of_one_row_are_judged_one_by_one(card, monkeypatch):
    import dataclasses

    from lnob_pipeline.validation import reading

    def unpivoted(content, file, *limits):
        tables = real(content, file, *limits)
        name = next(iter(tables))
        if name == "scores":  # as a reader of a card gives them: all groups of one line bear its number
            table = tables[name]
            tables[name] = dataclasses.replace(table, row_numbers=table.row_numbers * 0 + 5)
        return tables

    real = reading.read_file
    monkeypatch.setattr(reading, "read_file", unpivoted)
    scores = [(MEETINGS[0], "H1", group, score, "") for group, score in (("Women", "3"), ("Men", "7"), ("Women", "4"))]
    validated = card(scores)
    kept = validated.responses.filter(pl.col("record") == "scores")
    assert kept.select("record_key", "row_number", "score").rows() == [("scores-5-1", 5, "3"), ("scores-5-3", 5, "4")]
    assert validated.quarantine["row_number"].to_list() == [5]
