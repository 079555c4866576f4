"""One workbook for people in Excel or LibreOffice: a read-me, a codebook, a sheet a table (`lnob.xlsx`).

Here: how tables look as sheets. Not here: the words that all forms share (about), the codes (code_lists).

XlsxWriter makes the workbook with the heads of its sheets; the rows are put into the finished file in slices, made by
Polars as the text that the format asks for (ECMA-376, part 1, section 18.3.1.73), ten times as fast as cell by cell and
with one slice in memory. Every text is an inline string: no spreadsheet runs it or takes it for a link.
"""

from __future__ import annotations

import datetime
import math
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from lnob_pipeline import storage
from lnob_pipeline.publication import about
from lnob_pipeline.publication.code_lists import code_lists
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.tables import RELEASE_TABLES, CodeLists, Column, Table

WORKBOOK: Final = "lnob.xlsx"
MOST_ROWS: Final = 100_000
"""Rows of a sheet. Excel takes 1,048,576 and is slow long before; the CSV file has all rows."""
MOST_LETTERS: Final = 32_767
"""Letters of a cell in Excel."""
SLICE: Final = 10_000
_EPOCH: Final = datetime.date(1899, 12, 30)
_NOT_XML: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
_WIDEST: Final = 48


def write(folder: Path, content: ReleaseContent) -> None:
    """The workbook of a release."""
    lists = code_lists(content.mappings)
    with storage.written_whole(folder / WORKBOOK) as path, tempfile.TemporaryDirectory(dir=folder) as beside:
        heads = Path(beside) / "heads.xlsx"
        _write_heads(heads, content, lists)
        with zipfile.ZipFile(heads) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            sheets = {f"xl/worksheets/sheet{place}.xml": table for place, table in enumerate(RELEASE_TABLES, start=3)}
            for entry in source.infolist():
                info = zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                with source.open(entry) as head, target.open(info, "w") as sheet:
                    if table := sheets.get(entry.filename):
                        _fill(sheet, head.read().decode(), content, table)
                    else:
                        shutil.copyfileobj(head, sheet)


def _write_heads(path: Path, content: ReleaseContent, lists: CodeLists) -> None:
    """The workbook with the read-me, the codebook, and the first row of every other sheet."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(path, options) as book:
        released = datetime.datetime.fromisoformat(content.facts["released_at"]).replace(tzinfo=None)
        book.set_properties({"title": about.title(content.facts), "author": about.PUBLISHER, "created": released})
        styles = {
            "title": book.add_format({"bold": True, "font_size": 16}),
            "head": book.add_format({"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "valign": "top"}),
            "strong": book.add_format({"bold": True, "valign": "top"}),
            "text": book.add_format({"text_wrap": True, "valign": "top"}),
            "warning": book.add_format({"bold": True, "font_color": "#9C0006", "text_wrap": True, "valign": "top"}),
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        _read_me(book.add_worksheet("Read me"), content, styles)
        _codebook(book.add_worksheet("Codebook"), lists, styles)
        for table in RELEASE_TABLES:
            first = content.scan(table.name).head(SLICE).collect()
            _head(book.add_worksheet(table.name), first, content.rows(table.name), table, styles)


def _read_me(sheet: Any, content: ReleaseContent, styles: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 42)
    sheet.set_column(1, 1, 100)
    sheet.set_row(0, 26)
    sheet.hide_gridlines(2)
    _to_print(sheet)
    rows: list[tuple[str, str, str]] = [("", about.SUBJECT, "text")]
    if content.facts.get("synthetic"):
        rows.append(("Please note", about.SYNTHETIC, "warning"))
    rows += [("How to read" if not place else "", text, "text") for place, text in enumerate(about.HOW_TO_READ)]
    rows += [("What is hidden" if not place else "", text, "text") for place, text in enumerate(about.HIDDEN)]
    rows += [(item.part, f"{item.terms}. {item.path or ''}".strip(), "text") for item in about.terms(content.settings)]
    rows.append(("Cite as", about.citation(content.facts), "text"))
    rows.append(("Codes", "What each code means stands in the sheet codes and, by column, in the Codebook.", "text"))
    rows += [(table.name, _sentence(table, content.rows(table.name)), "text") for table in RELEASE_TABLES]
    sheet.write_string(0, 0, about.title(content.facts), styles["title"])
    names = {table.name for table in RELEASE_TABLES}
    for place, (name, text, style) in enumerate(rows, start=2):
        if name in names:
            sheet.write_url(place, 0, f"internal:'{name}'!A1", styles["strong"], name)
        elif name:
            sheet.write_string(place, 0, name, styles["strong"])
        sheet.write_string(place, 1, text, styles[style])
        sheet.set_row(place, _height(len(text) / 110))


def _sentence(table: Table, rows: int) -> str:
    return f"{table.description}. {rows:,} rows.{_elsewhere(table, rows)}"


def _elsewhere(table: Table, rows: int) -> str:
    """Where the rows are that the sheet does not hold."""
    if rows <= MOST_ROWS:
        return ""
    return f" This sheet holds rows 1 to {MOST_ROWS:,}; all {rows:,} are in {table.name}.csv and .parquet."


def _codebook(sheet: Any, lists: CodeLists, styles: dict[str, Any]) -> None:
    heads = (("table", 22), ("column", 30), ("kind", 9), ("unit", 18), ("description", 70), ("codes", 90))
    for place, (name, width) in enumerate(heads):
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, name, styles["head"])
    sheet.freeze_panes(1, 2)
    _to_print(sheet)
    rows = [(table, column) for table in RELEASE_TABLES for column in table.columns]
    sheet.autofilter(0, 0, len(rows), len(heads) - 1)
    for place, (table, column) in enumerate(rows, start=1):
        codes = "; ".join(f"{code} = {label}" for code, label in lists.get(column.codes or "", {}).items())
        values = (table.name, column.name, column.kind, column.unit or "", column.description, codes)
        sheet.set_row(place, _height(len(column.description) / 70, len(codes) / 90))
        for cell, value in enumerate(values):
            sheet.write_string(place, cell, value, styles["text"])


def _head(sheet: Any, first: pl.DataFrame, rows: int, table: Table, styles: dict[str, Any]) -> None:
    """Names of the columns, frozen, with filters; widths by the first rows; dates have their style by the column."""
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, _width(first, column), styles["date"] if column.kind == "date" else None)
        sheet.write_string(0, place, column.name, styles["head"])
    sheet.autofilter(0, 0, min(max(rows, 1), MOST_ROWS), len(table.columns) - 1)
    if note := _elsewhere(table, rows).strip():
        place = len(table.columns) + 1
        sheet.set_column(place, place, 60)
        sheet.write_string(0, place, note, styles["warning"])


def _height(*lines: float) -> float:
    """Points of a row that shows so many lines of wrapped text, at most eight: not every program finds out itself."""
    return 15.0 * min(8, max(math.ceil(1.1 * line) for line in (1 / 1.1, *lines)))


def _to_print(sheet: Any) -> None:
    """On paper a page is as wide as the sheet, A4 across, the head on each page."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _width(first: pl.DataFrame, column: Column) -> int:
    longest = first[column.name].cast(pl.String).str.len_chars().max()
    longest = longest if isinstance(longest, int) and column.kind == "text" else 10
    return min(max(longest, len(column.name) + 3), _WIDEST)


def _fill(sheet: IO[bytes], head: str, content: ReleaseContent, table: Table) -> None:
    """Copy the head of a sheet and put the rows below it."""
    styles = {int(first) - 1: style for first, style in re.findall(r'<col min="(\d+)"[^>]*? style="(\d+)"', head)}
    before, after = head.split("</sheetData>")
    count = min(content.rows(table.name), MOST_ROWS)
    last = f"{xl_col_to_name(len(table.columns) - 1)}{count + 1}"
    before = re.sub(r'<dimension ref="A1:([A-Z]+)1"/>', lambda found: _dimension(found[1], last), before, count=1)
    sheet.write(before.encode())
    for place, part in enumerate(content.parts(table.name, SLICE, MOST_ROWS)):
        sheet.write(_rows(part.with_row_index("_row", offset=place * SLICE + 2), table.columns, styles))
    sheet.write(b"</sheetData>" + after.encode())


def _dimension(widest: str, last: str) -> str:
    """The range of the sheet; a note beside the table can stand further right than its last column."""
    return f'<dimension ref="A1:{widest}{re.sub("[A-Z]+", "", last)}"/>'


def _rows(part: pl.DataFrame, columns: Sequence[Column], styles: dict[int, str]) -> bytes:
    """Rows of a table, and in `_row` their numbers, as the text of a sheet; empty cells are left out."""
    number = pl.col("_row").cast(pl.String)
    cells = [
        _cell(column, pl.lit(xl_col_to_name(place)) + number, styles.get(place)) for place, column in enumerate(columns)
    ]
    row = pl.concat_str(pl.lit('<row r="') + number + '">', *cells, pl.lit("</row>"))
    return "".join(part.select(row.alias("row"))["row"].to_list()).encode()


def _cell(column: Column, place: pl.Expr, style: str | None) -> pl.Expr:
    value = pl.col(column.name)
    opened = pl.lit('<c r="') + place + (f'" s="{style}"' if style else '"')
    if column.kind == "text":
        filled = opened + ' t="inlineStr"><is><t xml:space="preserve">' + _escaped(value) + "</t></is></c>"
        return pl.when(value.is_null() | (value == "")).then(pl.lit("")).otherwise(filled)
    if column.kind == "boolean":
        filled = opened + ' t="b"><v>' + value.cast(pl.Int8).cast(pl.String) + "</v></c>"
    elif column.kind == "date":
        filled = opened + "><v>" + (value - pl.lit(_EPOCH)).dt.total_days().cast(pl.String) + "</v></c>"
    else:
        filled = opened + "><v>" + value.cast(pl.String) + "</v></c>"
    return filled.fill_null("")


def _escaped(text: pl.Expr) -> pl.Expr:
    """Text as the format writes it: at most as long as a cell, no letter that XML has not, no escape by chance."""
    return (
        text.str.slice(0, MOST_LETTERS)
        .str.replace_all(_NOT_XML, "\ufffd")
        .str.replace_all(r"_(x[0-9A-Fa-f]{4}_)", "_x005F_${1}")
        .str.replace_all("&", "&amp;", literal=True)
        .str.replace_all("<", "&lt;", literal=True)
        .str.replace_all(">", "&gt;", literal=True)
        .str.replace_all("\r", "_x000D_", literal=True)
    )
