"""The table of decisions: consents of the manifests, the register by line, and its errors."""

import datetime
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.decisions import DecisionError, accepted_submissions, decisions, withheld_submissions
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import DECISIONS

HEADER = "subject,decided_by,decision,date,reference\n"


def manifest(publish: bool = True, slug: str = "survey") -> Manifest:
    fields: dict[str, Any] = {
        "submission": f"ken-2019-{slug}",
        "country": "KEN",
        "title": "Survey",
        "organisation": "Partner",
        "synthetic": True,
        "data_type": "focus_group",
        "instrument": "discussions",
        "language": "en",
        "collection": {"start": "2019-05-01", "end": "2019-06-30"},
        "geography": {"level": "admin1", "admin1": ["KE-17"], "description": "Kisumu"},
        "population": "adults",
        "sampling": {"method": "not_applicable"},
        "sample_size": {"planned": 10, "achieved": 10},
        "engagement": dict.fromkeys(
            ("need", "design", "collection", "processing", "analysis", "dissemination", "use"), 4
        ),
        "consent": {"obtained": "per_group"},
        "ethics": {"body": "Committee", "approval_number": "1", "approval_date": "2019-03-01"},
        "agreement": {"identifier": "DSA-KE-7", "retention_until": "2029-12-31"},
        "disclosure": {"organisation": True, "place": True},
        "partner": {"publish": publish, "date": "2020-01-23", "represented_by": "Assembly"},
        "files": [{"path": "coded.csv", "role": "data", "format": "taguette_csv"}],
    }
    return Manifest.model_validate(fields)


def test_consent_comes_from_the_manifest() -> None:
    table = decisions([manifest(), manifest(publish=False, slug="silent")], None)
    day = datetime.date(2020, 1, 23)
    assert table.rows() == [
        ("ken-2019-survey", "community", "publish", day, "Assembly"),
        ("ken-2019-survey", "partner", "publish", day, "DSA-KE-7"),
    ]


def test_register_is_read() -> None:
    text = (
        "\ufeff"
        + HEADER
        + 'ken-2019-survey,statistics_office,accept,2020-11-02,"Minute 14, item 3"\r\n'
        + "\n"
        + "data_gaps , secretariat,publish,2020-11-30,Minute 15\n"
        + "ken-2018-older,community,object,2020-11-03,Letter of the assembly\n"
    )
    table = decisions([manifest()], text.encode(), subjects=["ken-2018-older"])
    assert table.height == 5
    assert (
        "ken-2019-survey",
        "statistics_office",
        "accept",
        datetime.date(2020, 11, 2),
        "Minute 14, item 3",
    ) in table.rows()
    assert accepted_submissions(table).collect()["submission_id"].to_list() == ["ken-2019-survey"]


def test_no_register_and_no_manifest_is_an_empty_table() -> None:
    assert decisions([], None).height == 0
    assert decisions([], HEADER.encode()).height == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ken-2019-other,community,object,2020-11-02,Letter", "line 3: subject: neither a submission"),
        ("ken-2019-survey,ministry,accept,2020-11-02,Letter", "line 3: decided_by: one of partner, community"),
        ("ken-2019-survey,statistics_office,yes,2020-11-02,Letter", "line 3: decision: one of publish, accept"),
        ("ken-2019-survey,statistics_office,accept,02.11.2020,Letter", "line 3: date: a day as YYYY-MM-DD"),
        ("ken-2019-survey,statistics_office,accept,2020-11-31,Letter", "line 3: date: a day as YYYY-MM-DD"),
        ("ken-2019-survey,statistics_office,accept,2020-11-02,", "line 3: reference: name the agreement"),
        ("ken-2019-survey,statistics_office,accept,2020-11-02", "line 3: has 4 fields instead of 5"),
        ("data_gaps,secretariat,publish,2020-11-01,Minute 2", "line 3: repeats line 2; keep one of them"),
    ],
)
def test_errors_name_the_line(line: str, message: str) -> None:
    text = HEADER + "data_gaps,secretariat,publish,2020-11-01,Minute 1\n" + line + "\n"
    with pytest.raises(DecisionError) as caught:
        decisions([manifest()], text.encode())
    assert [problem for problem in caught.value.problems if message in problem]
    assert str(caught.value).startswith("decisions.csv: line 3")


def test_every_problem_is_told_at_once() -> None:
    text = HEADER + "x,ministry,maybe,soon,\n" + "y,partner,publish,2020-11-02,Letter\n"
    with pytest.raises(DecisionError) as caught:
        decisions([manifest()], text.encode())
    assert len(caught.value.problems) == 6


def test_a_phone_number_is_no_reference_and_is_not_repeated() -> None:
    text = HEADER + "ken-2019-survey,community,accept,2020-11-02,call +254 700 000 123\n"
    with pytest.raises(DecisionError, match="name a document instead") as caught:
        decisions([manifest()], text.encode())
    assert "700" not in str(caught.value)


def test_header_and_encoding() -> None:
    with pytest.raises(DecisionError, match="line 1: the columns are subject,decided_by"):
        decisions([], b"subject;decided_by;decision;date;reference\n")
    with pytest.raises(DecisionError, match="byte 45 is not UTF-8"):
        decisions([], HEADER.encode() + b"a\xff")


def test_an_objection_of_partner_or_community_withholds_until_they_publish_again() -> None:
    def withheld(*lines: tuple[str, str, str]) -> set[str]:
        rows = [("ken-2019-x", by, decision, datetime.date.fromisoformat(day), "note") for by, decision, day in lines]
        return withheld_submissions(pl.DataFrame(rows, schema=DECISIONS.schema, orient="row"))

    assert withheld(("partner", "publish", "2020-01-01")) == set()
    assert withheld(("partner", "publish", "2020-01-01"), ("community", "object", "2020-02-01")) == {"ken-2019-x"}
    assert withheld(("partner", "object", "2020-02-01"), ("partner", "publish", "2020-03-01")) == set()
    accepted = ("statistics_office", "accept", "2020-03-01")
    assert withheld(("partner", "object", "2020-02-01"), accepted) == {"ken-2019-x"}
    assert withheld(("statistics_office", "object", "2020-02-01")) == set()
