"""An instrument and a question bank made from the exports of one form, as an analyst would type them off.

Here belongs what the tests of exports share. The XLSX exports with XML and with label headers have the same columns in
the same order: the second gives the labels of the questions and of the answers that the first gives the codes of.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

from python_calamine import load_workbook

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument, Variable
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.columns import is_system
from lnob_pipeline_tests.validation.conftest import MANIFEST

PLACES = ("_latitude", "_longitude", "_altitude", "_precision")
SYSTEM = ("start", "end")

Sheet = list[list[str]]
Form = tuple[Instrument, dict[str, Variable]]


def sheets(content: bytes) -> dict[str, Sheet]:
    """The sheets of a workbook as rows of text."""

    def text(cell: Any) -> str:
        return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)

    with load_workbook(io.BytesIO(content)) as book:
        found = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    return {name: [[text(cell) for cell in row] for row in rows] for name, rows in found.items() if rows}


def form_of(name: str, xml: dict[str, Sheet], labels: dict[str, Sheet], several: dict[str, dict[str, str]]) -> Form:
    """The instrument of a form, and the variables that it answers.

    several: question with several answers -> code -> label, where the exports do not show all options.
    """
    instrument: dict[str, Any] = {
        "instrument": name.replace("_", "-"),
        "title": name,
        "version": "1",
        "data_type": "interview",
        "languages": ["en"],
        "choices": {},
        "records": {},
        "reviewed": {"by": "tests", "date": "2026-01-01", "source": "the exports"},
    }
    variables: dict[str, Variable] = {}
    by_table = dict(zip(xml, labels, strict=True))
    full = {rows[1][rows[0].index("_parent_table_name")] for rows in xml.values() if "_parent_table_name" in rows[0]}
    tables = {title[:28]: title for title in full}
    for place, (title, rows) in enumerate(xml.items()):
        record = "main" if place == 0 else title
        parent = None
        if "_parent_table_name" in rows[0]:
            above = rows[1][rows[0].index("_parent_table_name")]
            parent = above if above in xml else "main"
        columns = _columns(name, rows, labels[by_table[title]], several, instrument["choices"], variables)
        columns["_index"] = {"exclude": "technical"}
        if parent:
            columns["_parent_index"] = {"exclude": "technical"}
        instrument["records"][record] = {
            "table": tables.get(title[:28], title),
            "unit": "person" if parent else "answer",
            "key": "_index",
            **({"parent": parent, "parent_key": "_parent_index"} if parent else {}),
            "columns": columns,
        }
    return Instrument.model_validate(instrument), variables


def _columns(
    form: str,
    rows: Sheet,
    labelled: Sheet,
    several: dict[str, dict[str, str]],
    choices: dict[str, Any],
    variables: dict[str, Variable],
) -> dict[str, Any]:
    header, labels = rows[0], labelled[0]
    columns: dict[str, Any] = {}
    for place, (question, label) in enumerate(zip(header, labels, strict=True)):
        name = f"{form}_{len(variables)}".lower()
        alias = {"aliases": [label]} if label != question else {}
        if is_system(question) or question in SYSTEM:
            columns[question] = {"exclude": "technical"}
        elif question.endswith(PLACES) or any(f"_{question}{end}" in header for end in PLACES):
            columns[question] = {"exclude": "identifier"} | alias
        elif "/" in question and question.split("/")[0] in several:
            if question.split("/")[1] not in several[question.split("/")[0]]:
                columns[question] = {"variable": name} | alias
                variables[name] = _variable("number", {})
        elif question in several:
            columns[question] = {
                "variable": name,
                "select": "multiple",
                "choices": question,
                "codes": {code: f"c{number}" for number, code in enumerate(several[question])},
            } | alias
            choices[question] = {code: [text] for code, text in several[question].items() if text != code}
            choices[question] |= {code: [] for code, text in several[question].items() if text == code}
            variables[name] = _variable("codes", {f"c{n}": code for n, code in enumerate(several[question])})
        else:
            pairs = {(row[place], other[place]) for row, other in zip(rows[1:], labelled[1:], strict=True)}
            pairs = {pair for pair in pairs if pair[0]}
            if any(code != text for code, text in pairs):
                codes = sorted({code for code, _ in pairs})
                choices[question] = {code: sorted({t for c, t in pairs if c == code} - {code}) for code in codes}
                columns[question] = {
                    "variable": name,
                    "choices": question,
                    "codes": {code: f"c{number}" for number, code in enumerate(codes)},
                } | alias
                variables[name] = _variable("code", {f"c{number}": code for number, code in enumerate(codes)})
            else:
                columns[question] = {"variable": name} | alias
                variables[name] = _variable("text", {})
    return columns


def _variable(kind: str, codes: dict[str, str]) -> Variable:
    more = {"measure": "units"} if kind == "number" else {}
    said = {"label": "test", "unit": "household", "type": kind, "codes": codes, "source": "test"} | more
    return Variable.model_validate(said)


def mappings_of(mappings: Mappings, form: Form) -> Mappings:
    """The mappings with one form and its variables."""
    instrument, variables = form
    return dataclasses.replace(
        mappings, instruments={instrument.instrument: instrument}, variables=mappings.variables | variables
    )


def manifest_of(form: Form, path: str, kind: str) -> Manifest:
    """A manifest for one export of a form, consented by groups."""
    fields = MANIFEST | {
        "submission": "ken-2019-export",
        "data_type": "interview",
        "instrument": form[0].instrument,
        "consent": {"obtained": "per_group"},
        "sampling": {"method": "not_applicable"},
        "files": [{"path": path, "role": "data", "format": kind} | ({"delimiter": ";"} if kind == "csv" else {})],
    }
    return Manifest.model_validate(fields)


def suffix_of(export: str) -> str:
    """The format of an export by the end of its name."""
    return {".csv": "csv", ".json": "kobo_json", ".xlsx": "kobo_xlsx"}[Path(export).suffix]
