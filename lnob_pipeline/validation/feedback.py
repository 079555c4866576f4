"""The feedback workbook: what came in, what to mend, and the partner's rows with their faults marked.

Here belongs the layout; every sentence is in rules.py. The workbook is made from what the gate lets through: columns
that identify and free texts are not in it, refused rows appear as numbers only, and of a cell that is wrong the text is
shown only where it cannot identify a person. Text is written as text: nothing a partner typed becomes a formula or a
link. The same input gives the same bytes.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from typing import Any

import polars as pl
import xlsxwriter

from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.validation.rules import EFFECTS, NEXT, RULES, SEVERITIES, STATES, WORKBOOK

MAXIMUM_KINDS = 15
MAXIMUM_ROWS = 2_000
"""Rows shown in the third sheet; beyond, the partner mends kinds, not rows."""
NUMBERS_LISTED = 12
CREATED = datetime.datetime(2000, 1, 1)
"""A constant, so that the same input gives the same bytes."""
SEVERITY_ORDER = {"blocking": 0, "warning": 1, "information": 2}
COLOURS = {"blocking": "#F4B6AE", "warning": "#FBE3A6", "information": "#D9E8F5"}
ANCHORS = {"row": "#F4B6AE", "cell": "#FBE3A6", "note": "#D9E8F5"}
SUMMARY_WIDTHS = (52, 100)
LINE_HEIGHT = 15.5


def feedback_workbook(validated: Validated) -> bytes:
    """The .xlsx for one submission: sheets Summary, To mend, Your rows."""
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(stream, options)
    book.set_properties({"created": CREATED, "author": "", "title": validated.manifest.submission})
    formats = _formats(book)
    _summary(book.add_worksheet(WORKBOOK["summary"]), validated, formats)
    _to_mend(book.add_worksheet(WORKBOOK["to_mend"]), validated, formats)
    _rows(book.add_worksheet(WORKBOOK["rows"]), validated, formats)
    for sheet in book.worksheets():
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
    book.close()
    return stream.getvalue()


def kinds_to_mend(findings: pl.DataFrame) -> pl.DataFrame:
    """Findings grouped by kind, worst first, with n, rows and written beside what they have in common.

    A kind is one reason in one column. rows holds the first row numbers in order, written the first texts that may be
    shown. Worst first: what blocks, then what takes out most rows, then most cells.
    """
    effects = {"submission": 0, "row": 1, "cell": 2, "note": 3}
    return (
        findings.filter(pl.col("effect") != "refused")
        .sort("row_number", nulls_last=True)
        .group_by("severity", "rule_id", "file", "sheet", "column", "reason", "mend", "effect", maintain_order=True)
        .agg(
            pl.len().alias("n"),
            pl.col("row_number").drop_nulls().unique(maintain_order=True).alias("rows"),
            pl.col("written").drop_nulls().unique(maintain_order=True).head(3).alias("written"),
        )
        .sort(
            pl.col("severity").replace_strict(SEVERITY_ORDER),
            pl.col("effect").replace_strict(effects),
            -pl.col("n").cast(pl.Int64),
            "rule_id",
            "column",
            "reason",
            nulls_last=True,
        )
    )


def _formats(book: Any) -> dict[str, Any]:
    wrapped = {"text_wrap": True, "valign": "top"}
    formats = {
        "title": book.add_format({"bold": True, "font_size": 16}),
        "big": book.add_format({"bold": True, "font_size": 13} | wrapped),
        "label": book.add_format({"bold": True, "valign": "top"}),
        "text": book.add_format(wrapped),
        "header": book.add_format({"bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF"} | wrapped),
        "number": book.add_format({"valign": "top"}),
    }
    formats |= {name: book.add_format({"bg_color": colour} | wrapped) for name, colour in (COLOURS | ANCHORS).items()}
    return formats


def _fit(sheet: Any, row: int, texts: Sequence[str | None], widths: Sequence[int]) -> None:
    """Make a row as high as its longest wrapped text: not every office suite does so by itself."""
    lines = max(-(-len(text or "") // (width - 2)) for text, width in zip(texts, widths, strict=False))
    if lines > 1:
        sheet.set_row(row, LINE_HEIGHT * lines)


def _summary(sheet: Any, validated: Validated, formats: dict[str, Any]) -> None:
    outcome = validated.outcome.row(0, named=True)
    for place, width in enumerate(SUMMARY_WIDTHS):
        sheet.set_column(place, place, width)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, validated.manifest.submission, formats["title"])
    counted = {"accepted": outcome["n_accepted"], "rows": outcome["n_rows"]}
    lines = [
        (WORKBOOK["state"], STATES[outcome["state"]], "big"),
        ("", WORKBOOK["rows_in"].format_map(counted), "big"),
    ]
    if outcome["n_quarantined"] and validated.accepted:
        lines.append(("", WORKBOOK["quarantined"].format(n=outcome["n_quarantined"]), "text"))
    if outcome["n_refused"]:
        lines.append(("", WORKBOOK["refused"].format(n=outcome["n_refused"]), "text"))
    lines.append((WORKBOOK["next"], NEXT[outcome["state"]], "text"))
    for reason in (outcome["reasons"] or "").split(" | ")[:MAXIMUM_KINDS]:
        if reason:
            lines.append((WORKBOOK["reasons"], reason, "text"))
    place = 2
    last = None
    for label, text, style in lines:
        _fit(sheet, place, (label, text), SUMMARY_WIDTHS)
        sheet.write_string(place, 0, "" if label == last else label, formats["label"])
        sheet.write_string(place, 1, text, formats[style])
        last, place = label or last, place + 1
    taken = validated.results.filter(pl.col("expectation") == "taken_out").select("column", "message")
    for number, (column, message) in enumerate(taken.iter_rows()):
        _fit(sheet, place, (WORKBOOK["identifiers"] if number == 0 else "", message), SUMMARY_WIDTHS)
        sheet.write_string(place, 0, WORKBOOK["identifiers"] if number == 0 else "", formats["text"])
        sheet.write_string(place, 1, f"{column}: {message}", formats["text"])
        place += 1
    place += 1
    sheet.write_string(place, 0, WORKBOOK["rules"], formats["label"])
    for rule_id, rule in RULES.items():
        place += 1
        results = validated.results.filter(pl.col("rule_id") == rule_id)
        _fit(sheet, place, (rule.title,), SUMMARY_WIDTHS)
        sheet.write_string(place, 0, rule.title, formats["text"])
        sheet.write_string(place, 1, WORKBOOK[rule_outcome(results)], formats["text"])


def rule_outcome(results: pl.DataFrame) -> str:
    """The outcome of one rule over all its results: failed if one failed, passed if one passed, else not_applicable."""
    outcomes = set(results["outcome"].to_list())
    return next((outcome for outcome in ("failed", "passed") if outcome in outcomes), "not_applicable")


def _to_mend(sheet: Any, validated: Validated, formats: dict[str, Any]) -> None:
    headers = WORKBOOK["mend_columns"].split("|")
    widths = (20, 30, 34, 11, 22, 42, 40, 44, 30)
    for place, (header, width) in enumerate(zip(headers, widths, strict=True)):
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, header, formats["header"])
    sheet.freeze_panes(1, 0)
    kinds = kinds_to_mend(validated.findings)
    for place, kind in enumerate(kinds.head(MAXIMUM_KINDS).iter_rows(named=True), start=1):
        rule = RULES[kind["rule_id"]]
        texts = (
            f"{SEVERITIES[kind['severity']]}: {EFFECTS[kind['effect']]}",
            rule.title,
            _where(kind),
            None,
            ", ".join(kind["written"]) or (WORKBOOK["not_shown"] if kind["rows"] else ""),
            kind["reason"],
            rule.why,
            kind["mend"],
            rule.example,
        )
        _fit(sheet, place, texts, widths)
        for column, text in enumerate(texts):
            if text is None:
                sheet.write_number(place, column, kind["n"], formats["number"])
            else:
                sheet.write_string(place, column, text, formats[kind["severity"] if column == 0 else "text"])
    if kinds.is_empty():
        sheet.write_string(1, 0, WORKBOOK["nothing"], formats["text"])
    elif kinds.height > MAXIMUM_KINDS:
        more = WORKBOOK["more_kinds"].format(n=kinds.height - MAXIMUM_KINDS)
        sheet.write_string(MAXIMUM_KINDS + 1, 0, more, formats["label"])


def _where(kind: dict[str, Any]) -> str:
    """File, sheet, column and rows of a kind, as the partner knows them."""
    parts = [WORKBOOK[f"where_{part}"].format(name=kind[part]) for part in ("file", "sheet", "column") if kind[part]]
    numbers = [str(number) for number in kind["rows"]]
    if numbers:
        shown = ", ".join(numbers[:NUMBERS_LISTED])
        if len(numbers) > NUMBERS_LISTED:
            shown = WORKBOOK["and_more"].format(shown=shown, n=len(numbers) - NUMBERS_LISTED)
        parts.append(WORKBOOK["where_rows"].format(numbers=shown))
    return ", ".join(parts) or WORKBOOK["whole_submission"]


def _rows(sheet: Any, validated: Validated, formats: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 8)
    sheet.set_column(2, 2, 60)
    sheet.write_string(0, 0, WORKBOOK["header_note"], formats["label"])
    place = 1
    refused = validated.findings.filter(pl.col("effect") == "refused").sort("record", "row_number")
    for (record,), rows in refused.group_by("record", maintain_order=True):
        numbers = ", ".join(str(number) for number in rows["row_number"])
        sheet.write_string(place, 0, str(_name(validated, str(record))), formats["text"])
        sheet.write_string(place, 2, WORKBOOK["refused_rows"].format(numbers=numbers), formats["text"])
        place += 1
    left = MAXIMUM_ROWS
    for record, frame in validated.rows.items():
        if left <= 0:
            break
        place = _record_rows(sheet, place + 1, record, frame.sort("row_number").head(left), validated, formats)
        left -= frame.height
    if left < 0:
        sheet.write_string(place + 1, 0, WORKBOOK["more_rows"].format(n=-left), formats["label"])


def _record_rows(
    sheet: Any, place: int, record: str, frame: pl.DataFrame, validated: Validated, formats: dict[str, Any]
) -> int:
    """Write the rows of one record under their header; return the next free line."""
    filled = [name for name in frame.columns if frame[name].null_count() < frame.height]
    wrong = validated.findings.filter((pl.col("record") == record) & pl.col("effect").is_in(list(ANCHORS)))
    marked = set(wrong["column"].drop_nulls())
    columns = [c for c in frame.columns if c not in ("label", "row_number") and (c in filled or c in marked)]
    columns.sort(key=lambda column: column not in marked)  # what is to be mended stands first
    for column, header in enumerate([*WORKBOOK["rows_columns"].split("|"), *columns]):
        sheet.write_string(place, column, header, formats["header"])
    faults: dict[str, list[dict[str, Any]]] = {}
    for fault in wrong.iter_rows(named=True):
        faults.setdefault(fault["label"], []).append(fault)
    name = _name(validated, record)
    for row in frame.iter_rows(named=True):
        place += 1
        here = faults.get(row["label"], [])
        sheet.write_string(place, 0, name, formats["text"])
        sheet.write_number(place, 1, row["row_number"], formats["number"])
        whole = any(fault["effect"] == "row" for fault in here)
        todo = "; ".join(
            dict.fromkeys(f"{fault['column'] or WORKBOOK['whole_row']}: {fault['mend']}" for fault in here)
        )
        sheet.write_string(place, 2, todo, formats["row" if whole else "text"])
        by_column = {fault["column"]: fault for fault in here}
        for column, header in enumerate(columns, start=3):
            wrong_here = by_column.get(header)
            value = row[header] or ""
            if wrong_here is not None:
                sheet.write_string(place, column, value or WORKBOOK["not_shown"], formats[wrong_here["effect"]])
                sheet.write_comment(place, column, f"{wrong_here['reason']}. {wrong_here['mend']}", {"author": ""})
            elif value:
                sheet.write_string(place, column, value, formats["text"])
    return place + 1


def _name(validated: Validated, record: str) -> str:
    """The sheet, or else the file, of a record."""
    file, sheet = validated.places[record]
    return sheet or file
