"""The questionnaire as a workbook: the sheets survey, choices and settings of an XLSForm.

Here: columns and sheets alone. Source: xlsform.org; the forms are held against pyxform, the reference compiler, by the
tests. The same form has the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import xlsxwriter

from lnob_pipeline.forms.questions import LANGUAGES, Form, Labels
from lnob_pipeline.submissions.workbook import CREATED

Table = list[list[str]]


def version(form: Form) -> str:
    """A version that changes with the form, as long as an XLSForm may have it."""
    text = json.dumps([asdict(row) for row in form.rows], sort_keys=True, ensure_ascii=False)
    return "v" + hashlib.sha256(text.encode()).hexdigest()[:12]


def workbook(form: Form, title: str, languages: Sequence[str]) -> bytes:
    """The .xlsx file. Raises ValueError for a title that cannot be the name of a sheet of the export."""
    if len(title) > 31:
        raise ValueError(f"{title} has {len(title)} characters; an export cuts the name of its sheet at 31")
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(stream, options)
    book.set_properties({"title": title, "created": CREATED})
    default = "en" if "en" in languages else languages[0]
    settings = {
        "form_title": title,
        "form_id": title.replace("-", "_"),
        "version": version(form),
        "default_language": _language(default),
    }
    sheets = {**_sheets(form, languages), "settings": [list(settings), list(settings.values())]}
    for name, table in sheets.items():
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for place, cells in enumerate(table):
            sheet.write_row(place, 0, cells)
    book.close()
    return stream.getvalue()


def _language(code: str) -> str:
    return f"{LANGUAGES[code]} ({code})"


def _sheets(form: Form, languages: Sequence[str]) -> dict[str, Table]:
    """The survey and the choices; questions with the same choices share a list."""
    labels = [f"label::{_language(code)}" for code in languages]
    hints = [f"hint::{_language(code)}" for code in languages]
    plain = ["relevant", "constraint", "calculation", "repeat_count", "required"]
    survey: Table = [["type", "name", *labels, *hints, *plain]]
    choices: Table = [["list_name", "name", *labels]]
    lists: dict[str, str] = {}
    for row in form.rows:
        kind = row.type
        if row.codes:
            content = json.dumps(row.codes, sort_keys=True)
            if content not in lists:
                lists[content] = row.name
                choices += [[row.name, code, *_texts(texts, languages)] for code, texts in row.codes.items()]
            kind = f"{kind} {lists[content]}"
        cells = [row.relevant, row.constraint, row.calculation, row.repeat_count, "yes" if row.required else ""]
        survey.append([kind, row.name, *_texts(row.labels, languages), *_texts(row.hints, languages), *cells])
    return {"survey": survey, "choices": choices}


def _texts(texts: Labels, languages: Sequence[str]) -> list[str]:
    return [texts.get(language, "") for language in languages]
