"""What a form or a data file asks: its questions with their texts, type and choices.

Here belongs reading only. Whether a question is one of the question bank is in match.py. From a data file only such
cells are taken for choices as occur more than once in a column with few different ones; all others stay in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file
from lnob_pipeline.submissions.readers.xlsform import question_labels
from lnob_pipeline.validation.columns import is_system
from lnob_pipeline.validation.privacy import FORM_TYPES, identifier_kinds, kind_by_form, kind_by_name

Kind = Literal["one", "multiple", "number", "text", "date", "other"]
FORMATS = {
    ".csv": "csv",
    ".sav": "spss",
    ".dta": "stata",
    ".json": "kobo_json",
    ".zip": "odk_zip",
    ".ods": "ods",
    ".parquet": "parquet",
}
"""Ending of a data file -> format; a workbook is a form where it has the sheet survey."""
FORM_KINDS: dict[str, Kind] = {
    "select_one": "one",
    "select_one_from_file": "one",
    "select_multiple": "multiple",
    "select_multiple_from_file": "multiple",
    "integer": "number",
    "decimal": "number",
    "range": "number",
    "text": "text",
    "date": "date",
    "datetime": "date",
    "today": "date",
}
PARADATA = {"start", "end", "audit", "start-geopoint", "background-audio"}
DATE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?$"
MOST_CHOICES = 25
"""Different cells up to which a column of a data file is taken for a question with choices."""
SEEN = 2
"""Rows in which a cell stands at least before it is taken for a choice."""


@dataclass(frozen=True)
class Question:
    """One question. `choices`: code -> labels in any language; `identifier`: the kind, where it seems to be one.

    `repeat` is the repeat that it stands in, None for the main part. `unlisted`: how many different cells a data file
    holds that are not among the choices. `list_name`: the list of an XLSForm that has the choices.
    """

    name: str
    kind: Kind
    texts: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form_type: str = ""
    repeat: str | None = None
    identifier: str | None = None
    unlisted: int = 0
    list_name: str | None = None


def read_questions(path: Path) -> list[Question]:
    """The questions of an XLSForm or of the tables of a data file. Raises ReaderError, which says what to mend."""
    content = path.read_bytes()
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        try:
            tables = read_file(content, DataFile(path=path.name, role="form", format="xlsform"))
        except ReaderError:
            tables = read_file(content, DataFile(path=path.name, role="data", format="xlsx"))
        else:
            return form_questions(tables["survey"], tables.get("choices"))
    elif suffix in FORMATS:
        file = DataFile.model_validate({"path": path.name, "role": "data", "format": FORMATS[suffix]})
        tables = read_file(content, file)
    else:
        known = ", ".join([".xlsx", *FORMATS])
        raise ReaderError(
            path.name, "the name has an ending that says no format", "send one of {endings}", endings=known
        )
    main, *others = tables.values()
    return [*data_questions(main), *(q for table in others for q in data_questions(table, repeat=table.name))]


def form_questions(survey: SourceTable, choices: SourceTable | None) -> list[Question]:
    """The questions of an XLSForm, in its order; groups and notes are left out."""
    lists: dict[str, dict[str, tuple[str, ...]]] = {}
    if choices is not None:
        of_list = "list_name" if "list_name" in choices.frame.columns else "list name"
        columns = [column for column in choices.frame.columns if column.lower().startswith("label")]
        for name, code, *texts in choices.frame.select(of_list, "name", *columns).iter_rows():
            if name and code:
                lists.setdefault(name.strip(), {})[code.strip()] = tuple(text.strip() for text in texts if text)
    labels = question_labels(survey)
    questions = []
    repeats: list[str] = []
    for row_type, row_name in survey.frame.select("type", "name").iter_rows():
        words, name = (row_type or "").strip().split(), (row_name or "").strip()
        first = words[0].lower() if words else ""
        whole = "_".join(word.lower() for word in words[:2])
        if whole == "begin_repeat" or first == "begin_repeat":
            repeats.append(name)
        elif (whole == "end_repeat" or first == "end_repeat") and repeats:
            repeats.pop()
        elif (
            name
            and first
            and not first.startswith(("begin", "end_"))
            and whole not in ("end_group",)
            and first != "note"
        ):
            kind = FORM_KINDS.get(first, "other")
            if kind == "other" and first not in FORM_TYPES and first not in PARADATA and first != "calculate":
                kind = "text"
            list_name = words[1] if kind in ("one", "multiple") and len(words) > 1 else None
            offered = lists.get(list_name or "", {})
            asked = tuple(text.strip() for text in labels.get(name, {}).values())
            identifier = kind_by_form(name, {name: first}) or kind_by_name(name)
            repeat = repeats[-1] if repeats else None
            questions.append(Question(name, kind, asked, offered, first, repeat, identifier, 0, list_name))
    return questions


def data_questions(table: SourceTable, repeat: str | None = None) -> list[Question]:
    """The columns of a table of data as questions, with what the file itself says of them."""
    return list(_data_questions(table, repeat))


def _data_questions(table: SourceTable, repeat: str | None) -> Iterator[Question]:
    for header in table.frame.columns:
        cells = table.frame[header].drop_nulls().str.strip_chars()
        cells = cells.filter(cells != "")
        texts = (table.labels[header],) if table.labels.get(header) else ()
        number = cells.cast(pl.Float64, strict=False).null_count() == 0
        kinds = identifier_kinds(cells.unique())["certain"].drop_nulls()
        identifier = kind_by_name(header) or (kinds[0] if len(kinds) and not number else None)
        labelled: dict[str, tuple[str, ...]] = {
            code: (label,) for code, label in table.value_labels.get(header, {}).items()
        }
        system = "technical" if is_system(header) else ""
        if identifier or system or not len(cells):
            yield Question(header, "other" if system else "text", texts, labelled, system, repeat, identifier)
            continue
        counts = cells.value_counts(sort=True)
        dates = cells.str.contains(DATE).all()
        few = counts.height <= MOST_CHOICES and counts.height < len(cells)
        if dates:
            yield Question(header, "date", texts, {}, "", repeat)
        elif not labelled and number and counts.height > 2:
            yield Question(header, "number", texts, _sentinels(cells), "", repeat)
        elif labelled or few:
            often = counts.filter(pl.col("count") >= SEEN)[header].to_list()
            choices: dict[str, tuple[str, ...]] = dict(labelled) if labelled else dict.fromkeys(often, ())
            yield Question(
                header, "one", texts, choices, "", repeat, None, 0 if labelled else counts.height - len(often)
            )
        else:
            yield Question(header, "text", texts, {}, "", repeat)


def _sentinels(cells: pl.Series) -> dict[str, tuple[str, ...]]:
    """Numbers such as -999 that surveys write where there is no answer, as they stand in the cells."""
    return {
        cell: () for cell in sorted(cells.unique().to_list()) if re.fullmatch(r"-(9{2,4}|8{2,4}|7{2,4})(\.0+)?", cell)
    }
