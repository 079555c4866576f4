"""Evidence by hand: scores are group judgements, excerpts count once, reviews stay facts; nothing becomes a share."""

import datetime
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.harmonisation.evidence import evidence
from lnob_pipeline.mappings.models import Column, Instrument, Record, Review, Scale, Statement
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.warehouse import connect

REVIEW = Review(by="test", date=datetime.date(2026, 1, 1), source="this test")
STATEMENTS = {
    "Water near the clinic": Statement(indicator="1.4.1", code="water_near", label="Water is near"),
    "Staff respect": Statement(indicator="16.6.2", code="staff_respect", label="Staff show respect"),
}


def form(data_type: str, records: dict[str, Record], **more: Any) -> Instrument:
    return Instrument.model_validate(
        {
            "instrument": "test-form",
            "title": "Test",
            "version": "1",
            "data_type": data_type,
            "languages": ["en"],
            "records": records,
            "statements": STATEMENTS,
            "reviewed": REVIEW,
            **more,
        }
    )


def manifest(data_type: str, areas: list[str], *, place: bool = True) -> Manifest:
    engagement = dict.fromkeys(["need", "design", "collection", "processing", "analysis", "dissemination", "use"], 4)
    return Manifest.model_validate(
        {
            "submission": "mwi-2020-x",
            "country": "MWI",
            "title": "Synthetic test",
            "organisation": "Test organisation",
            "synthetic": True,
            "data_type": data_type,
            "instrument": "test-form",
            "language": "en",
            "collection": {"start": "2020-03-01", "end": "2020-03-31"},
            "geography": {"level": "admin1", "admin1": areas, "description": "test"},
            "population": "users of two clinics",
            "sampling": {"method": "not_applicable"},
            "sample_size": {"planned": 4, "achieved": 4},
            "engagement": engagement,
            "consent": {"obtained": "per_group"},
            "ethics": {"body": "Test board", "approval_number": "1", "approval_date": "2020-01-01"},
            "agreement": {"identifier": "DSA-1", "retention_until": "2029-12-31"},
            "disclosure": {"organisation": True, "place": place},
            "partner": {"publish": True, "date": "2020-01-23", "represented_by": "Test council"},
            "files": [{"path": "a.xlsx", "role": "data", "format": "score_card"}],
        }
    )


def found(instrument: Instrument, said: Manifest, rows: list[dict[str, str]]) -> pl.DataFrame:
    numbered = [{"submission_id": "mwi-2020-x", "row_number": i, "record_key": str(i), "parent_key": None} | row
                for i, row in enumerate(rows, start=2)]  # fmt: skip
    frame = pl.DataFrame(numbered, infer_schema_length=None)
    with connect(threads=1) as connection:
        return evidence(connection, said, instrument, frame)


SCORES = form(
    "score_card",
    {
        "score": Record(
            table="scores",
            unit="score",
            columns={
                "statement": Column(role="statement"),
                "group": Column(role="group", codes={"Women": "F", "Disabled": "persons_with_disabilities"}),
                "score": Column(role="score"),
                "participants": Column(role="participants"),
            },
        ),
        "provider": Record(
            table="provider_scores",
            unit="score",
            columns={"statement": Column(role="statement"), "score": Column(role="score")},
        ),
    },
    scale=Scale(minimum=1, maximum=5, better="high"),
)


def score(group: str, value: str, participants: str, statement: str = "Staff respect") -> dict[str, str]:
    return {"record": "score", "statement": statement, "group": group, "score": value, "participants": participants}


def test_scores_are_means_of_groups_on_their_own_scale() -> None:
    rows = [
        score("Women", "2", "10"),
        score("Women", "3", "8"),
        score("Disabled", "1", "5"),
        score("Women", "no answer", "8"),
        {"record": "provider", "statement": "Staff respect", "score": "5"},
        score("Women", "4", "9", "A line nobody mapped"),
    ]
    table = found(SCORES, manifest("score_card", ["MW-C"]), rows)
    shown = table.select("evidence_type", "marginalised_group", "score", "n_groups", "n_participants", "area").rows()
    assert shown == [
        ("provider_score", None, 5.0, 1, None, "MW-C"),
        ("score_card", "F", 2.5, 2, 18, "MW-C"),
        ("score_card", "persons_with_disabilities", 1.0, 1, 5, "MW-C"),
    ]
    assert set(table["comparability"]) == {"D"}
    assert table.select("scale_minimum", "scale_maximum", "better").unique().rows() == [(1.0, 5.0, "high")]


@pytest.mark.parametrize(("areas", "place", "area"), [(["MW-C", "MW-N"], True, None), (["MW-C"], False, None)])
def test_the_area_is_named_only_when_it_is_one_and_may_be(areas: list[str], place: bool, area: str | None) -> None:
    table = found(SCORES, manifest("score_card", areas, place=place), [score("Women", "2", "10")])
    assert table["area"].to_list() == [area]


def test_an_excerpt_with_two_tags_counts_once_for_each_and_documents_are_counted() -> None:
    tags = {
        "highlight": Record(
            table="highlights",
            unit="excerpt",
            key="id",
            columns={
                "id": Column(exclude="technical"),
                "document": Column(role="document"),
                "tag": Column(role="statement"),
            },
        ),
        "participant": Record(
            table="participants",
            unit="participant",
            columns={
                "name": Column(role="document"),
                "kind": Column(role="kind", codes={"FGD": "focus_group", "KII": "interview"}),
                "who": Column(role="group", codes={"Refugees": "refugees"}),
                "n": Column(role="participants"),
                "where": Column(role="admin1"),
            },
        ),
    }
    people = [
        ("fgd1", "FGD", "Refugees", "8", "MW-C"),
        ("fgd2", "FGD", "Refugees", "6", "MW-N"),
        ("kii1", "KII", "", "1", "MW-N"),
    ]
    rows = [{"record": "participant", "name": a, "kind": b, "who": c, "n": d, "where": e} for a, b, c, d, e in people]
    coded = [
        ("1", "fgd1", "Water near the clinic"),
        ("1", "fgd1", "Staff respect"),
        ("2", "fgd1", "Staff respect"),
        ("3", "fgd2", "Staff respect"),
        ("4", "kii1", "Staff respect"),
        ("4", "kii1", "A tag nobody mapped"),
    ]
    rows += [{"record": "highlight", "record_key": a, "document": b, "tag": c} for a, b, c in coded]
    table = found(form("focus_group", tags), manifest("focus_group", ["MW-C", "MW-N"]), rows)
    columns = ["statement", "evidence_type", "marginalised_group", "n_groups", "n_participants", "n_mentions"]
    assert table.select(columns).rows() == [
        ("water_near", "focus_group", "refugees", 1, 8, 1),
        ("staff_respect", "focus_group", "refugees", 2, 14, 3),
        ("staff_respect", "interview", None, 1, 1, 1),
    ]
    assert table["score"].null_count() == 3
    assert table["area"].to_list() == ["MW-C", None, "MW-N"]  # two areas behind a row: none is named
    silent = found(form("focus_group", tags), manifest("focus_group", ["MW-C", "MW-N"], place=False), rows)
    assert silent["area"].null_count() == 3


def test_a_review_keeps_its_answer_and_its_source() -> None:
    record = Record(
        table="review",
        unit="answer",
        columns={
            "question": Column(role="statement"),
            "answer": Column(role="answer", codes={"Yes": "yes", "Partly": "partly"}),
            "law": Column(role="source"),
        },
    )
    rows = [
        {"record": "answer", "question": "Water near the clinic", "answer": "Partly", "law": "Synthetic Act, section 3"}
    ]
    table = found(form("policy_review", {"answer": record}), manifest("policy_review", ["MW-C"]), rows)
    assert table.select("finding", "comparability", "source", "indicator").rows() == [
        ("partly", "E", "Synthetic Act, section 3", "1.4.1")
    ]
