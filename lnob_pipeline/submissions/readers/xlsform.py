"""XLSForm questionnaires: the sheets survey, choices and settings, read leniently.

Source: xlsform.org. Forms in real use often fail the strict compilers, so nothing is compiled; what matters here are
the types of the questions, because types such as geopoint or image are identifiers whatever their name.
"""

from __future__ import annotations

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import read_sheets, require_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

SHEETS = ("survey", "choices", "settings")


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The tables survey, choices and settings, as far as they are there (survey is). Raises ReaderError."""
    sheets = {name.strip().lower(): sheet for name, sheet in read_sheets(content, file.path).items()}
    require_sheets(sheets, ["survey"], file.path)
    tables = {name: sheet_table(sheets[name], file.path) for name in SHEETS if name in sheets and sheets[name].columns}
    for column in ("type", "name"):
        if column not in tables["survey"].frame.columns:
            raise ReaderError(
                file.path, f"the column {column} is not there", "send the XLSForm itself", sheet="survey", row=1
            )
    return tables


def question_types(survey: SourceTable) -> dict[str, str]:
    """The type of each question by name, without list names: {"gps": "geopoint", "consent": "select_one"}.

    Groups and repeats are left out. A name that stands twice keeps the type it has first.
    """
    types: dict[str, str] = {}
    for kind, name in survey.frame.select("type", "name").drop_nulls().iter_rows():
        words = kind.strip().lower().split()
        if words and words[0] not in ("begin", "end", "begin_group", "end_group", "begin_repeat", "end_repeat"):
            types.setdefault(name.strip(), words[0])
    return types


def question_labels(survey: SourceTable) -> dict[str, dict[str, str]]:
    """The text of each question by name and label column: {"consent": {"label::English (en)": "..."}}."""
    columns = [column for column in survey.frame.columns if column.lower().startswith("label")]
    labels: dict[str, dict[str, str]] = {}
    for name, *texts in survey.frame.select("name", *columns).iter_rows():
        found = {column: text for column, text in zip(columns, texts, strict=True) if text}
        if name and found:
            labels.setdefault(name.strip(), found)
    return labels
