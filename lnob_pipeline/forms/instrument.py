"""The instrument of a form that was built: how the export of its answers is read, as a YAML file of the library.

Here: one line for every column of an export of KoboToolbox with XML values and headers. The names and the codes of the
form are those of the question bank, so that nothing is left to translate. The lint refuses the file until somebody has
read it and signed it (`reviewed`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from lnob_pipeline.forms.questions import BY_FORM, Form, Row
from lnob_pipeline.forms.xlsform import version
from lnob_pipeline.forms.xpath import NO_ANSWER
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument

Column = dict[str, Any]

IDENTIFIERS = ("_submitted_by",)
TECHNICAL = ("__version__", "_id", "_uuid", "_validation_status", "_status", "_tags")
"""Columns that KoboToolbox adds to the export; those of a repeat carry the prefix _submission_."""


@dataclass(frozen=True)
class Signature:
    """Who read the mapping against the form, and on which day."""

    by: str
    day: datetime.date


def text(
    form: Form,
    name: str,
    title: str,
    languages: Sequence[str],
    mappings: Mappings,
    *,
    special_protocol: str | None = None,
    signature: Signature | None = None,
) -> str:
    """The YAML file. Raises ValueError for a name that no instrument can have."""
    fields = _fields(form, name, title, languages, mappings, special_protocol)
    signed = {"by": signature.by if signature else None, "date": signature.day if signature else None}
    source = f"{name}.xlsx, version {fields['version']}, question by question"
    if signature:
        Instrument.model_validate(fields | {"reviewed": signed | {"source": source}})
    head = [
        f"# The questionnaire {name}, built from the question bank. Names and codes are those of the variables.",
        "# Change the question bank and build again, or change the form and this file together.",
    ]
    if form.added:
        head.append(f"# The producer adds to the export what no form can ask: {', '.join(form.added)}.")
    body = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=118, default_flow_style=None)
    unsigned = "" if signature else "# To be signed: the lint refuses the file until it says who read it and when.\n"
    last = yaml.safe_dump({"reviewed": signed | {"source": source}}, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(head) + "\n" + body + unsigned + last


def _fields(
    form: Form, name: str, title: str, languages: Sequence[str], mappings: Mappings, special_protocol: str | None
) -> dict[str, Any]:
    begin, end = (
        next(place for place, row in enumerate(form.rows) if row.type == kind)
        for kind in ("begin_repeat", "end_repeat")
    )
    added = {unit: [n for n in form.added if (mappings.variables[n].unit == "household") == (unit == "household")]
             for unit in ("household", "person")}  # fmt: skip
    household = _columns([*form.rows[:begin], *form.rows[end:]], form, mappings)
    person = _columns(form.rows[begin:end], form, mappings)
    for columns, unit in ((household, "household"), (person, "person")):
        columns |= {variable: _answer(variable, list(mappings.codes(variable)), mappings) for variable in added[unit]}
    fields: dict[str, Any] = {
        "instrument": name,
        "title": title,
        "version": version(form),
        "data_type": "household_survey",
        "languages": list(languages),
        "special_protocol": special_protocol if form.sensitive else None,
        "consent": {"record": "household", "column": "consent", "affirmative": ["yes"]},
        "records": {
            "household": {
                "table": title, "unit": "household", "key": "_index", "identity": "_uuid",
                "columns": household | _system("") | {"_index": {"exclude": "technical"}},
            },
            "person": {
                "table": "roster", "unit": "person", "key": "_index", "parent": "household",
                "parent_key": "_parent_index",
                "columns": person
                | {name: {"exclude": "technical"} for name in ("_index", "_parent_table_name", "_parent_index")}
                | _system("_submission_"),
            },
        },
    }  # fmt: skip
    return {key: value for key, value in fields.items() if value is not None}


def _system(prefix: str) -> dict[str, Column]:
    """What KoboToolbox adds to a sheet. Each column has a dictionary of its own, so that YAML writes no anchors."""
    columns: dict[str, Column] = {f"{prefix}{name}": {"exclude": "technical"} for name in TECHNICAL}
    columns[f"{prefix}_submission_time"] = {"exclude": "paradata"}
    columns[f"{prefix}_notes"] = {"exclude": "free_text"}
    return columns | {f"{prefix}{name}": {"exclude": "identifier"} for name in IDENTIFIERS}


def _columns(rows: Iterable[Row], form: Form, mappings: Mappings) -> dict[str, Column]:
    """Columns of the export for rows of the survey sheet, in their order."""
    columns: dict[str, Column] = {}
    for row in rows:
        if row.type.startswith(("begin", "end")) or row.type == "note":
            continue
        if row.name == "today":
            columns["today"] = {"variable": "interview_date"}
        elif row.name in form.asked or row.name in BY_FORM:
            codes = list(row.codes) or (["yes", "no"] if row.name == "is_respondent" else [])
            columns[row.name] = _answer(row.name, codes, mappings, form)
            if row.type == "select_multiple":
                columns |= {f"{row.name}/{code}": {"exclude": "option_column"} for code in row.codes}
        elif row.name == "consent":
            columns[row.name] = {"exclude": "consent"}
        elif row.name.startswith("privacy_"):
            reason = "where it is no, the sensitive questions below it are left out"
            columns[row.name] = {"exclude": "not_used", "reason": reason}
        else:
            columns[row.name] = {"exclude": "technical"}
    return columns


def _answer(name: str, codes: Sequence[str], mappings: Mappings, form: Form | None = None) -> Column:
    """A column that answers a variable with its own codes."""
    variable = mappings.variables[name]
    column: Column = {"variable": name}
    own = [code for code in codes if code not in NO_ANSWER]
    if variable.type == "codes":
        column["select"] = "multiple"
    if variable.type == "code" and set(mappings.codes(name)) == {"yes", "no"}:
        column |= {"positive": ["yes"], "negative": ["no"]}
    elif variable.type in ("code", "codes"):
        column["codes"] = {code: code for code in own}
    if form is not None and form.asked.get(name):
        numbers = variable.type == "number"
        column["missing"] = {kind: [sentinel if numbers else kind] for kind, sentinel in NO_ANSWER.items()}
    if form is not None and variable.unit == "person" and name in form.asked and name not in form.in_person:
        column["reported_by"] = "proxy"
    return column
