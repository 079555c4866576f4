"""The tables of a release for Stata (`stata/<table>.dta`) and SPSS or PSPP (`spss/<table>.sav`).

Here: what these two formats can hold of a table, and where they hold less. Not here: codes and what they mean
(code_lists), columns and their descriptions (tables.py).

- Codes stay the text that they are in every other form, so that tables merge and syntax reads as the codebook does.
  SPSS shows the label of a coded text; Stata labels numbers only: its labels are the table `codes` (merge on code).
- Neither format knows a missing text: null and the empty text are both empty. Numbers and dates are missing as usual.
- Truth is 0 and 1 with labels. Dates are dates. A text of 2,045 bytes or more is a strL in Stata; SPSS holds 32,767.
- The time in the header of a file is that of the release, so that the same release gives the same bytes.

Sources: Stata, `help dta_118` and `help limits`; PSPP developers' guide, "System File Format".
"""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyreadstat

from lnob_pipeline import storage
from lnob_pipeline.publication.code_lists import code_lists
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.tables import RELEASE_TABLES, CodeLists, Table

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""A variable name that both packages take: at most 32 characters, and none of their own words."""
RESERVED: Final = frozenset(
    {"all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with"}
    | {"byte", "double", "float", "if", "in", "int", "long", "using", "str", "strl"}
)
SHORT_NAMES: Final = {"n_two_years_and_baseline_country_data": "n_two_years_base_country_data"}
"""Column with a name too long for Stata -> its name in both packages; the codebook says so too."""
STATA_VERSION: Final = 14
"""Format 118: Stata 14 or later, every edition; 119, the default of the writer, is not read by Stata/SE."""
STATA_LABEL: Final = 80
"""Characters of a label of a variable or a file."""
SPSS_LABEL: Final = 255
SPSS_VALUE_LABEL: Final = 120
SPSS_FILE_LABEL: Final = 64
SPSS_TEXT: Final = 32_767
"""Bytes."""
_TRUTH: Final = {0: "no", 1: "yes"}
_SPSS_FORMATS: Final = {"integer": "F11.0", "number": "F16.4", "boolean": "F1.0"}
_SPSS_TIME: Final = 92
"""Where creation date and time (9 and 8 bytes) stand in the header of a system file."""
_STATA_TIME: Final = re.compile(rb"<timestamp>\x11.{17}</timestamp>", re.DOTALL)


def write(folder: Path, content: ReleaseContent) -> None:
    """Both files of every table."""
    lists = code_lists(content.mappings)
    released = datetime.datetime.fromisoformat(content.facts["released_at"])
    for table in RELEASE_TABLES:
        frame = content.tables[table.name]
        write_stata(folder / "stata" / f"{table.name}.dta", frame, table, released)
        write_spss(folder / "spss" / f"{table.name}.sav", frame, table, lists, released)


def write_stata(path: Path, frame: pl.DataFrame, table: Table, released: datetime.datetime) -> None:
    """One table as a .dta file. Raises ValueError for a name that no variable may have."""
    frame, table = _named(frame, table)
    with storage.written_whole(path) as temporary:
        pyreadstat.write_dta(
            _without_null_text(frame),
            temporary,
            file_label=_shortened(table.description, STATA_LABEL, 4 * STATA_LABEL),
            column_labels={
                column.name: _shortened(column.description, STATA_LABEL, 4 * STATA_LABEL) for column in table.columns
            },
            version=STATA_VERSION,
            variable_value_labels=_truths(table),
            variable_format={column.name: "%tdCCYY-NN-DD" for column in table.columns if column.kind == "date"},
        )
        with temporary.open("r+b") as stream:
            found = _STATA_TIME.search(stream.read(4096))
            if found is None:
                raise ValueError(f"{path.name}: the header of the file has no time where Stata's format has one")
            stream.seek(found.start())
            stamp = f"{released:%d} {_month(released)} {released:%Y %H:%M}".encode()
            stream.write(b"<timestamp>\x11" + stamp + b"</timestamp>")


def write_spss(path: Path, frame: pl.DataFrame, table: Table, lists: CodeLists, released: datetime.datetime) -> None:
    """One table as a .sav file with the labels of its codes. Raises ValueError for a name that no variable may have."""
    frame, table = _named(frame, table)
    labels: dict[str, dict[Any, str]] = {
        column.name: {code: _shortened(label, SPSS_VALUE_LABEL) for code, label in lists[column.codes].items()}
        for column in table.columns
        if column.codes and not column.joined
    }
    with storage.written_whole(path) as temporary:
        pyreadstat.write_sav(
            _fitting(_without_null_text(frame), SPSS_TEXT),
            temporary,
            file_label=_shortened(table.description, SPSS_FILE_LABEL),
            column_labels={column.name: _shortened(column.description, SPSS_LABEL) for column in table.columns},
            row_compress=True,
            variable_value_labels=labels | _truths(table),
            variable_measure={
                column.name: "scale" if column.kind in ("integer", "number", "date") else "nominal"
                for column in table.columns
            },
            variable_format={
                column.name: _SPSS_FORMATS[column.kind] for column in table.columns if column.kind in _SPSS_FORMATS
            },
        )
        with temporary.open("r+b") as stream:
            stream.seek(_SPSS_TIME)
            stream.write(f"{released:%d} {_month(released)} {released:%y}{released:%H:%M:%S}".encode())


def _named(frame: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, Table]:
    """The frame and the table under names that both packages take."""
    columns = tuple(replace(column, name=SHORT_NAMES.get(column.name, column.name)) for column in table.columns)
    if bad := [column.name for column in columns if not NAME.fullmatch(column.name) or column.name in RESERVED]:
        raise ValueError(
            f"table {table.name}: no variable of Stata and SPSS can have the name {', '.join(bad)}; "
            "give it a short one in SHORT_NAMES"
        )
    return frame.rename(SHORT_NAMES, strict=False), replace(table, columns=columns)


def _truths(table: Table) -> dict[str, dict[Any, str]]:
    return {column.name: dict(_TRUTH) for column in table.columns if column.kind == "boolean"}


def _without_null_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Text without null, and without the letter of number 0, at which both formats would end it.

    Columns that have neither are left as they are: a copy of a large table is memory.
    """
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    ended = frame.lazy().select(pl.col(texts).str.contains("\0", literal=True).any()).collect().row(0)
    return frame.with_columns(
        *(pl.col(name).fill_null("") for name in texts if frame[name].null_count()),
    ).with_columns(
        pl.col(name).str.replace_all("\0", "\ufffd", literal=True)
        for name, has in zip(texts, ended, strict=True)
        if has
    )


def _fitting(frame: pl.DataFrame, most: int) -> pl.DataFrame:
    """The frame with texts of more bytes than `most` cut; a text that was cut ends with an ellipsis."""
    too_long = frame.select((pl.col(pl.String).str.len_bytes() > most).any())
    long = [column.name for column in too_long.iter_columns() if column.item()]
    return frame.with_columns(
        pl.col(name).map_elements(lambda text: _shortened(text, most), return_dtype=pl.String) for name in long
    )


def _shortened(text: str, most: int, most_bytes: int | None = None) -> str:
    """The text, or an ellipsis after as much of it as `most` characters and `most_bytes` (else `most`) bytes hold."""
    limit = most if most_bytes is None else most_bytes
    if len(text) <= most and len(text.encode()) <= limit:
        return text
    return text[: most - 1].encode()[: limit - 3].decode("utf-8", "ignore").rstrip() + "…"


def _month(moment: datetime.datetime) -> str:
    """English, whatever the machine speaks: strftime would follow its locale."""
    return ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][moment.month - 1]
