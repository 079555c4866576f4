"""Empty data files that fit, one for each kind of data: what a producer without a survey tool starts from.

Here belong the columns of the templates and what they mean. The manifest's own template is in workbook.py, forms for
phones are made in forms/. No template asks for a name, a telephone number or coordinates. The sheet names and headers
are those that the readers of the formats expect.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping
from typing import Any

import xlsxwriter

CREATED = datetime.datetime(2000, 1, 1)
"""A constant, so that the same template has the same bytes."""
GROUPS = ("Women", "Men", "Youth", "Persons with disabilities")

HOUSEHOLDS = {
    "id": "Number of the household on the paper form; no name",
    "consent": "Did the person agree to take part? yes or no",
    "share_data": "May the answers be shared without the name? yes or no; empty counts as no",
    "recontact": "May the person be asked again? yes or no; empty counts as no",
    "quote": "May words be quoted without the name? yes or no; empty counts as no",
    "interview_date": "Day of the interview, written as 2019-05-27",
    "admin1": "First-level area, ISO 3166-2 code, as KE-17",
    "location": "urban or rural, as the list of areas says",
    "stratum": "Only for a probability sample: its stratum",
    "cluster": "Only for a probability sample: number of the enumeration area",
    "weight": "Only for a probability sample: weight of the household",
    "household_size": "People who usually live here, children included",
    "question_1": "Put the name of your question here, and add a column for each further question",
}
PERSONS = {
    "household_id": "Number of the household, as on the sheet households",
    "member": "Running number of the person in the household; no name",
    "sex": "female, male, another answer, or no answer, as the person says",
    "age": "Age in completed years; no date of birth",
    "respondent": "yes for the one person who answered the questions about himself or herself",
}
PARTICIPANTS = {
    "document": "Number of the discussion or interview, as FGD-01; no name of a person or place",
    "kind": "focus_group or interview",
    "group": "Group that took part, as your codebook names it",
    "participants": "How many people took part; 4 or more in a discussion",
    "admin1": "First-level area, ISO 3166-2 code",
    "date": "Day of the meeting, written as 2019-05-27",
}
HIGHLIGHTS = {
    "id": "Number of the passage; a passage with two codes has two rows with the same number",
    "document": "Number of the discussion or interview, as on the sheet participants",
    "tag": "Code of your codebook, with its path",
    "content": "The passage, without names; it is kept nowhere outside your own file",
}
POLICY = {
    "no": "Number of the question",
    "indicator": "SDG indicator it belongs to, as 16.9.1",
    "question": "The question on a law or policy",
    "answer": "Yes, No, Partly or Not found",
    "legal_source": "Act and section, or document and page",
    "year": "Year of the law or document",
    "comment": "Remarks; not published",
}
SCORE_CARD: dict[str, dict[str, str]] = {
    "scale": {"minimum": "Lowest score, as 1", "maximum": "Highest score, as 5", "better": "high or low"},
    "groups": {
        "community": "Community, spelt as on the sheet scores",
        "group": "Group, spelt as on the sheet scores",
        "participants": "How many people took part",
        "admin1": "First-level area, ISO 3166-2 code",
        "meeting_date": "Day of the meeting, written as 2019-05-27",
    },
    "provider_scores": {
        "facility": "Kind of facility, as Health centre",
        "no": "Number of the statement",
        "statement": "The statement",
        "score": "The provider's own score",
        "comment": "Remarks; not published",
    },
    "interface_meeting": {
        "community": "Community",
        "meeting_date": "Day on which community and provider met",
        "people_present": "How many came",
        "provider_present": "yes or no",
    },
    "action_plan": {
        "community": "Community",
        "statement": "Number of the statement",
        "action": "What was agreed",
        "responsible": "An office, not a person",
        "due_date": "By when",
    },
}
TALK = {"highlights": HIGHLIGHTS, "participants": PARTICIPANTS}
TABLES: dict[str, dict[str, dict[str, str]]] = {
    "household_survey": {"households": HOUSEHOLDS, "persons": PERSONS},
    "score_card": SCORE_CARD,
    "focus_group": TALK,
    "interview": TALK,
    "policy_review": {"answers": POLICY},
}
"""Kind of data -> sheet -> column -> what belongs in it."""


def template(kind: str) -> bytes:
    """An empty workbook for a kind of data (TABLES), with the sheet `read me`. Raises ValueError for another kind."""
    if kind not in TABLES:
        raise ValueError(f"the kind of data is one of {', '.join(TABLES)}")
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(stream, options) as book:
        book.set_properties({"created": CREATED, "author": "", "title": f"Template: {kind}"})
        header = book.add_format({"bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF", "text_wrap": True})
        text = book.add_format({"num_format": "@"})
        for name, columns in TABLES[kind].items():
            if kind == "score_card" and name == "provider_scores":
                _scores(book, header)
            sheet = book.add_worksheet(name)
            sheet.set_column(0, len(columns) - 1, 20, text)  # as text: a spreadsheet makes 5-9 a day in September
            sheet.freeze_panes(1, 0)
            for place, column in enumerate(columns):
                sheet.write_string(0, place, column, header)
        _read_me(book, TABLES[kind], header)
    return stream.getvalue()


def _scores(book: Any, header: Any) -> None:
    """The sheet of scores: statements by groups, the name of a group merged over its score and comment."""
    sheet = book.add_worksheet("scores")
    sheet.set_column(0, 1, 14)
    sheet.set_column(2, 2, 50)
    sheet.freeze_panes(2, 3)
    for place, column in enumerate(("Community", "No.", "Statement")):
        sheet.write_string(0, place, column, header)
        sheet.write_blank(1, place, None, header)
    for number, group in enumerate(GROUPS):
        first = 3 + 2 * number
        sheet.merge_range(0, first, 0, first + 1, group, header)
        sheet.write_string(1, first, "Score", header)
        sheet.write_string(1, first + 1, "Comment", header)


def _read_me(book: Any, tables: Mapping[str, Mapping[str, str]], header: Any) -> None:
    sheet = book.add_worksheet("read me")
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 1, 22)
    sheet.set_column(2, 2, 90)
    for place, title in enumerate(("sheet", "column", "what belongs in it")):
        sheet.write_string(0, place, title, header)
    lines = [(name, column, what) for name, columns in tables.items() for column, what in columns.items()]
    if "scale" in tables:
        what = "One row a statement and community. Rename the groups in the first row as you need; leave it merged."
        lines.insert(len(tables["scale"]) + len(tables["groups"]), ("scores", "", what))
    for row, line in enumerate(lines, start=1):
        for place, cell in enumerate(line):
            sheet.write_string(row, place, cell, wrapped)
