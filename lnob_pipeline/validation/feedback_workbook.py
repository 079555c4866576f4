"""The feedback as a workbook: what is in, what to mend by kind, and the partner's rows, ready to be handed in again.

Here belongs the layout; what is said comes from feedback.py. Text is written as text: nothing a partner typed becomes a
formula or a link. Each sheet of rows has a hidden twin with the answers as collected, by which the reader
(submissions/readers/feedback_xlsx.py) knows what was changed. The same input gives the same bytes.
"""

from __future__ import annotations

import datetime
import io
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import polars as pl
import xlsxwriter

from lnob_pipeline.messages.catalogue import Catalogue, catalogue
from lnob_pipeline.messages.message import from_json
from lnob_pipeline.submissions.readers.feedback_xlsx import FORMAT, HIDDEN, TABLE
from lnob_pipeline.validation.copies import Copy
from lnob_pipeline.validation.feedback import (
    MAXIMUM_KINDS,
    Feedback,
    Kind,
    column_in_words,
    make_feedback,
    rows_in,
    where,
)
from lnob_pipeline.validation.outcome import Validated
from lnob_pipeline.validation.privacy import NOT_SHOWN
from lnob_pipeline.validation.rules import EFFECTS, REASONS, RULES, SEVERITIES, WORKBOOK

_Line = tuple[str, str, str]
"""A line of the summary: label, text, style."""
CREATED = datetime.datetime(2000, 1, 1)
"""A constant, so that the same input gives the same bytes."""
MAXIMUM_NOTES = 2_000
NUMBERS_OF_REFUSED = 200
COLOURS = {"blocking": "#F4B6AE", "review": "#F7CFA0", "warning": "#FBE3A6", "information": "#D9E8F5"}
ANCHORS = {"row": "#F4B6AE", "cell": "#FBE3A6", "note": "#D9E8F5"}
"""Colour of a cell by what its fault does, worst first."""
SUMMARY_WIDTHS = (46, 104)
MEND_WIDTHS = {
    "mend_severity": 18, "mend_title": 24, "mend_where": 26, "mend_n": 8, "mend_written": 14, "mend_what": 36,
    "mend_why": 34, "mend_how": 38, "mend_example": 22, "mend_english": 40,
}  # fmt: skip
ROW_WIDTHS = (11, 14, 54)
CELL_WIDTH = 15
LINE_HEIGHT = {"bn": 19.5, "hi": 18.5, "ne": 18.5}
"""Points a line takes in scripts whose letters stand taller than Latin ones."""
LATIN_LINE = 15.5


def feedback_workbook(validated: Validated, feedback: Feedback | None = None) -> bytes:
    """The .xlsx of one submission: Summary, To mend, a sheet of rows for each record, and the hidden twins of these.

    Without `feedback` it is made here, in the language of the manifest.
    """
    feedback = feedback or make_feedback(validated)
    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(stream, options)
    book.set_properties({"created": CREATED, "author": "", "title": feedback.submission})
    page = _Page(book, feedback, catalogue(feedback.language))
    page.summary(validated)
    page.to_mend()
    page.rows(validated)
    book.close()
    return stream.getvalue()


class _Page:
    """One workbook while it is written."""

    def __init__(self, book: Any, feedback: Feedback, speak: Catalogue) -> None:
        self.book, self.feedback, self.speak = book, feedback, speak
        self.faults = [kind for kind in feedback.kinds if kind.severity != "information"]
        self.line = LINE_HEIGHT.get(speak.language, LATIN_LINE)
        wrapped = {"text_wrap": True, "valign": "top", "align": "left"}
        lined = {"bottom": 1, "bottom_color": "#BFBFBF"}
        self.formats = {
            "title": book.add_format({"bold": True, "font_size": 16}),
            "big": book.add_format({"bold": True, "font_size": 13} | wrapped),
            "label": book.add_format({"bold": True} | wrapped),
            "text": book.add_format(wrapped),
            "faint": book.add_format({"italic": True, "font_color": "#595959"} | wrapped),
            "header": book.add_format({"bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF"} | wrapped),
            "plain": book.add_format({"valign": "top"}),
            "lined": book.add_format(wrapped | lined),
        }
        for name, colour in (COLOURS | ANCHORS).items():
            self.formats[name] = book.add_format({"bg_color": colour} | wrapped | lined)

    def word(self, name: str, **details: object) -> str:
        """A text of WORKBOOK in the language of the feedback."""
        return self.speak.say(WORKBOOK[name], details)

    def sheet(self, title: str) -> Any:
        """A sheet under a name that workbooks allow and that is not taken."""
        name = re.sub(r"[\[\]:*?/\\']", " ", title)[:31].strip() or "sheet"
        taken = {sheet.get_name().casefold() for sheet in self.book.worksheets()}
        number = 2
        while name.casefold() in taken:
            name, number = f"{name[:27]} {number}", number + 1
        sheet = self.book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        return sheet

    def write(self, sheet: Any, row: int, texts: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> None:
        """Texts side by side, in a row as high as the longest of them: not every office suite does so by itself."""
        lines = 1
        for place, (text, width, style) in enumerate(zip(texts, widths, styles, strict=False)):
            sheet.write_string(row, place, text, self.formats[style])
            larger = 1.25 if style == "big" else 1.0
            lines = max(lines, _lines(text, width / larger))
        if lines > 1 or self.line > LATIN_LINE:
            sheet.set_row(row, min(self.line * lines, 409))

    def summary(self, validated: Validated) -> None:
        """What is in, what is next, what was taken out, and the outcome of every rule."""
        sheet = self.sheet(self.word("summary"))
        for place, width in enumerate(SUMMARY_WIDTHS):
            sheet.set_column(place, place, width)
        sheet.hide_gridlines(2)
        sheet.write_string(0, 0, self.feedback.submission, self.formats["title"])
        lines = [*self._result(validated), *self._mending(), *self._kept_away(validated)]
        last = None
        for row, (label, text, style) in enumerate(lines, start=2):
            self.write(sheet, row, ("" if label == last else label, text), SUMMARY_WIDTHS, ("label", style))
            last = label or last
        below = len(lines) + 3
        sheet.write_string(below, 0, self.word("rules"), self.formats["label"])
        for row, (rule_id, outcome) in enumerate(self.feedback.rules.items(), start=below + 1):
            texts = (self.speak.say(RULES[rule_id].title), self.word(outcome))
            self.write(sheet, row, texts, SUMMARY_WIDTHS, ("text", "text"))

    def _result(self, validated: Validated) -> list[_Line]:
        """The state, the rows, what became of earlier faults."""
        feedback, lines = self.feedback, []
        if feedback.translation == "draft":
            said = dict.fromkeys([self.word("draft"), WORKBOOK["draft"]])
            lines.append(("", " / ".join(said), "faint"))
        lines += [(self.word("state"), feedback.result, "big"), ("", rows_in(feedback, self.speak), "big")]
        if feedback.since_last:
            lines.append(("", self.word("progress", **feedback.since_last.model_dump()), "big"))
        if feedback.rows.left_out and validated.accepted:
            lines.append(("", self.word("quarantined", n=feedback.rows.left_out), "text"))
        if feedback.rows.refused:
            lines.append(("", self.word("refused", n=feedback.rows.refused), "text"))
        return lines

    def _mending(self) -> list[_Line]:
        """What happens next, the worst reasons, how to hand in again, and what is no fault."""
        feedback = self.feedback
        lines = [(self.word("next"), feedback.next, "text")]
        worst = [kind for kind in self.faults if kind.severity == self.faults[0].severity]
        reasons = [
            f"{column_in_words(kind.column, self.speak)}: {kind.what}" if kind.column else kind.what for kind in worst
        ]
        lines += [(self.word("reasons"), text, "text") for text in list(dict.fromkeys(reasons))[:MAXIMUM_KINDS]]
        if any(kind.rows for kind in self.faults):
            lines += [(self.word("again"), self.word(name), "text") for name in ("again_rows", "again_files")]
        known = [kind for kind in feedback.kinds if kind.severity == "information"][:MAXIMUM_KINDS]
        label = self.speak.say(SEVERITIES["information"])
        return [*lines, *((label, f"{where(kind, self.speak)}: {kind.what}", "text") for kind in known)]

    def _kept_away(self, validated: Validated) -> list[_Line]:
        """What was taken out or not read."""
        lines = [
            (self.word("identifiers"), self.word("taken_out", column=item.column, kind=item.kind, n=item.n), "text")
            for item in self.feedback.taken_out
        ]
        lines += [(self.word("not_read"), text, "text") for text in self._refused(validated)]
        return [*lines, ("", self.word("header_note"), "faint")] if validated.copies else lines

    def _refused(self, validated: Validated) -> list[str]:
        """Refused rows, by record and rule: the title of the rule and the numbers."""
        refused = validated.findings.filter(pl.col("effect") == "refused").sort("record", "row_number")
        texts = []
        for (record, rule_id), rows in refused.group_by("record", "rule_id", maintain_order=True):
            shown = ", ".join(str(number) for number in rows["row_number"].head(NUMBERS_OF_REFUSED))
            if (more := rows.height - NUMBERS_OF_REFUSED) > 0:
                shown = self.word("and_more", shown=shown, n=more)
            file, table = validated.places[str(record)]
            title = self.speak.say(RULES[str(rule_id)].title)
            texts.append(f"{table or file}: {self.word('where_rows', numbers=shown)} ({title})")
        return texts

    def to_mend(self) -> None:
        """The kinds, worst first."""
        sheet, english = self.sheet(self.word("to_mend")), self.feedback.translation == "draft"
        widths = {name: width for name, width in MEND_WIDTHS.items() if english or name != "mend_english"}
        for place, width in enumerate(widths.values()):
            sheet.set_column(place, place, width)
        self.write(sheet, 0, [self.word(name) for name in widths], list(widths.values()), ["header"] * len(widths))
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        for row, kind in enumerate(self.faults[:MAXIMUM_KINDS], start=1):
            texts = self._texts(kind, english)
            styles = [kind.severity, *["lined"] * (len(texts) - 1)]
            self.write(sheet, row, texts, list(widths.values()), styles)
            sheet.write_number(row, list(widths).index("mend_n"), kind.n, self.formats["lined"])
        if not self.faults:
            sheet.write_string(1, 0, self.word("nothing"), self.formats["plain"])
        elif (more := len(self.faults) - MAXIMUM_KINDS) > 0:
            sheet.write_string(MAXIMUM_KINDS + 1, 0, self.word("more_kinds", n=more), self.formats["plain"])

    def _texts(self, kind: Kind, english: bool) -> list[str]:
        said = f"{self.speak.say(SEVERITIES[kind.severity])}: {self.speak.say(EFFECTS[kind.effect])}"
        written = ", ".join(kind.written) or (self.word("not_shown") if kind.rows else "")
        texts = [said, kind.title, where(kind, self.speak), "", written, kind.what, kind.why, kind.mend, kind.example]
        return [*texts, kind.english] if english else texts

    def rows(self, validated: Validated) -> None:
        """A sheet of rows for each record, and the hidden sheets."""
        copies = [copy for copy in validated.copies.values() if copy.frame.height or copy.left_out]
        written = [(copy, self._copy(copy, validated)) for copy in copies]
        hidden = self.book.add_worksheet(HIDDEN)
        hidden.very_hidden()
        words = {"format": FORMAT, "submission": self.feedback.submission, "version": self.feedback.version}
        words |= {name: self.word(name) for name in ("not_shown", "row", "leave_out_column", "leave_out", "todo")}
        for row, pair in enumerate(words.items()):
            hidden.write_row(row, 0, pair)
        hidden.write_row(len(words), 0, TABLE)
        for number, (copy, name) in enumerate(written, start=1):
            twin = self.book.add_worksheet(f"{HIDDEN}_{number}")
            twin.very_hidden()
            hidden.write_row(len(words) + number, 0, (name, twin.get_name(), copy.record, copy.digest))
            headers = copy.frame.columns[1:]
            for place, header in enumerate(["row", *headers]):
                twin.write_string(0, place, header)
            for row, cells in enumerate(self._cells(copy.original, copy.left_out), start=1):
                for place, cell in enumerate(cells):
                    if cell is not None:
                        twin.write_string(row, place, cell)

    def _cells(self, frame: pl.DataFrame, left_out: list[str]) -> list[tuple[str | None, ...]]:
        """The rows of a copy, and those that an earlier workbook left out, whose answers are not shown."""
        not_shown = self.word("not_shown")
        shown = frame.with_columns(pl.exclude("label").replace(NOT_SHOWN, not_shown)).rows()
        return [*shown, *((label, *[not_shown] * (frame.width - 1)) for label in left_out)]

    def _copy(self, copy: Copy, validated: Validated) -> str:
        """Write the rows of one record; return the name of the sheet."""
        several = len(validated.copies) > 1
        sheet = self.sheet(f"{self.word('rows')} {copy.table}" if several else self.word("rows"))
        headers = copy.frame.columns[1:]
        for place, header in enumerate([self.word("row"), self.word("leave_out_column"), self.word("todo"), *headers]):
            sheet.set_column(place, place, ROW_WIDTHS[place] if place < len(ROW_WIDTHS) else CELL_WIDTH)
            sheet.write_string(0, place, header, self.formats["header"])
        titles = [self.word("row"), self.word("leave_out_column")]
        longest = max(
            *(_lines(title, width) for title, width in zip(titles, ROW_WIDTHS, strict=False)),
            *(_lines(header, CELL_WIDTH) for header in headers),
            1,
        )
        sheet.set_row(0, min(self.line * longest, 409))
        faults = self._faults(copy, validated.findings)
        leave_out = self.word("leave_out")
        cells = self._cells(copy.frame, copy.left_out)
        kept = len(cells) - len(copy.left_out)
        notes = 0
        for row, (label, *answers) in enumerate(cells, start=1):
            here = faults.get(str(label), [])
            todo = "\n".join(dict.fromkeys(f"{fault['name']}: {fault['what']}. {fault['mend']}" for fault in here))
            whole = next((name for name in ANCHORS for fault in here if fault["effect"] == name), "text")
            self.write(
                sheet, row, (label or "", leave_out if row > kept else "", todo), ROW_WIDTHS, (whole, "text", "text")
            )
            if str(label).isdecimal():
                sheet.write_number(row, 0, int(str(label)), self.formats[whole])
            by_column = {fault["column"]: fault for fault in reversed(here)}
            for place, (header, answer) in enumerate(zip(headers, answers, strict=True), start=len(ROW_WIDTHS)):
                fault = by_column.get(copy.columns[header])
                if fault is not None:
                    sheet.write_string(row, place, answer or "", self.formats[fault["effect"]])
                    if notes < MAXIMUM_NOTES:
                        sheet.write_comment(row, place, f"{fault['what']}. {fault['mend']}", {"author": ""})
                        notes += 1
                elif answer is not None:
                    sheet.write_string(row, place, answer, self.formats["plain"])
        if cells:
            choice = {"validate": "list", "source": [leave_out]}
            sheet.data_validation(1, 1, len(cells), 1, choice)
            sheet.autofilter(0, 0, len(cells), len(headers) + len(ROW_WIDTHS) - 1)
        if copy.n_more:
            sheet.write_string(len(cells) + 2, 2, self.word("more_rows", n=copy.n_more), self.formats["faint"])
        sheet.freeze_panes(1, len(ROW_WIDTHS))
        sheet.repeat_rows(0)
        return str(sheet.get_name())

    def _faults(self, copy: Copy, findings: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
        """The faults of each row of a copy, worst first, in the language of the feedback."""
        here = findings.filter(
            (pl.col("record") == copy.record)
            & pl.col("effect").is_in(list(ANCHORS))
            & pl.col("label").is_in(copy.frame["label"].implode())
        ).sort(pl.col("effect").replace_strict({name: place for place, name in enumerate(ANCHORS)}))
        faults: dict[str, list[dict[str, Any]]] = {}
        said: dict[tuple[str, str], tuple[str, str]] = {}
        for label, column, effect, reason_id, details in here.select(
            "label", "column", "effect", "reason_id", "details"
        ).iter_rows():
            if (reason_id, details) not in said:
                what, mend = (self.speak.say(text, from_json(details)) for text in REASONS[reason_id])
                said[reason_id, details] = what, mend
            what, mend = said[reason_id, details]
            fault = {"column": column, "effect": effect, "what": what, "mend": mend}
            faults.setdefault(label, []).append(fault | {"name": column or self.word("whole_row")})
        return faults


def _lines(text: str, width: float) -> int:
    """Lines that a text takes in a column; marks that stand on other letters take no room."""
    lines = 0
    for part in text.split("\n"):
        letters = sum(unicodedata.category(letter) not in ("Mn", "Cf") for letter in part)
        lines += max(1, -(-letters // max(1, int(width) - 2)))
    return lines
