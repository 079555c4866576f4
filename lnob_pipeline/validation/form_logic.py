"""The rules of the form, replayed on the answers: skip logic, constraints and required questions of an XLSForm.

Here belong reading the rules from the survey sheet, finding the column of each question, and what is told. What an
expression means is in form_expressions.py; what lies outside its language is counted and named as not replayed, never
guessed. The form is read leniently, since forms in real use often fail the strict compilers. Every rule flags and none
takes an answer out: the form may be a later version than the one that was used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import polars as pl

from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import Limits, ReaderError, SourceTable, read_file
from lnob_pipeline.validation.answers import UNMAPPED
from lnob_pipeline.validation.columns import BETWEEN
from lnob_pipeline.validation.conduct import tool_columns
from lnob_pipeline.validation.consent import Consenting
from lnob_pipeline.validation.findings import KEY, PARENT, Findings, Rows
from lnob_pipeline.validation.form_expressions import Kind, NotReplayedError, Setting, Value, condition, days
from lnob_pipeline.validation.normalise import tidy_text
from lnob_pipeline.validation.privacy import kind_by_name
from lnob_pipeline.validation.structure import Source, parents_first

RULE = "form_logic"
KINDS: dict[str, Kind] = {
    "integer": "number", "decimal": "number", "range": "number", "date": "date", "today": "date", "datetime": "date",
    "start": "date", "end": "date", "select_one": "text", "select_multiple": "text", "calculate": "text",
    "acknowledge": "text",
}  # fmt: skip
"""Type of a question -> what its answer is here. Texts, places and files are not looked at: they may identify."""
NOT_ASKED = ("calculate", "start", "end", "today")
"""Types that the form fills in by itself: they are never skipped and never required."""
MOST_BREAK, ENOUGH = 0.5, 10
"""Where more than half of at least ten answers break a rule, the form is probably another version."""
MOST_NAMED = 8
Demand = Literal["answered_though_skipped", "breaks_constraint", "required_without_answer"]


@dataclass(frozen=True)
class Question:
    """A question: its type, the code list of a select, and its rules. relevant: its own and those of its groups."""

    name: str
    kind: str
    choices: frozenset[str] | None
    relevant: tuple[str, ...]
    constraint: str | None
    required: str | None


@dataclass(frozen=True)
class Form:
    """The questions of a form by name; names that stand twice are left out."""

    questions: dict[str, Question]

    def columns_of(self, record: Record) -> dict[str, str]:
        """Question -> the column of the instrument that holds it; questions that may identify are left out."""
        found: dict[str, str] = {}
        for column, said in record.columns.items():
            if said.exclude in ("identifier", "free_text", "option_column", "note"):
                continue
            for name in (column, *said.aliases):
                end = BETWEEN.split(tidy_text(name))[-1]
                question = self.questions.get(tidy_text(name)) or self.questions.get(end)
                identifies = said.exclude is not None and kind_by_name(column) is not None
                if question is not None and question.kind in KINDS and not identifies:
                    found.setdefault(question.name, column)
        return found

    def headers_beside(self, source: Source) -> list[str]:
        """Headers of the questions that the instrument leaves out, and that other questions may depend on."""
        columns = self.columns_of(source.record).values()
        excluded = [column for column in columns if source.record.columns[column].exclude is not None]
        return [source.headers.of[column][0] for column in excluded if column in source.headers.of]


def read_form(files: list[tuple[DataFile, bytes]], settings: Settings) -> Form | None:
    """The form of the hand-in; None where there is none that can be read (reading.py says why)."""
    for file, content in files:
        if file.role == "form" and file.format == "xlsform":
            try:
                return form_of(read_file(content, file, Limits.of(settings)))
            except ReaderError:
                return None
    return None


def form_of(sheets: dict[str, SourceTable]) -> Form:
    """The questions of an XLSForm, in lenient reading."""
    rows = _texts(sheets["survey"], ("type", "name", "relevant", "relevance", "constraint", "required"))
    lists: dict[str, set[str]] = {}
    if "choices" in sheets:
        for choice in _texts(sheets["choices"], ("list_name", "list name", "name")):
            lists.setdefault(choice["list_name"] or choice["list name"], set()).add(choice["name"])
    groups: list[str] = []
    questions: list[Question] = []
    for row in rows:
        words = row["type"].replace("_group", " group").replace("_repeat", " repeat").split()
        if not words:
            continue
        relevant = row["relevant"] or row["relevance"]
        if words[0].lower() == "begin":
            groups.append(relevant)
        elif words[0].lower() == "end" and len(words) > 1:
            groups = groups[:-1]
        elif row["name"]:
            kind = words[0].lower()
            choices = lists.get(words[1]) if kind.startswith("select") and len(words) > 1 else None
            conditions = tuple(each for each in (*groups, relevant) if each)
            listed = frozenset(choices) if choices else None
            questions.append(
                Question(row["name"], kind, listed, conditions, row["constraint"] or None, row["required"] or None)
            )
    times = Counter(question.name for question in questions)
    return Form({question.name: question for question in questions if times[question.name] == 1})


def _texts(table: SourceTable, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a sheet of the form as texts; a column that is not there is empty."""
    headers = {tidy_text(header).lower(): header for header in reversed(table.frame.columns)}
    there = {name: headers[name] for name in wanted if name in headers}
    rows = table.frame.select(pl.col(header).alias(name) for name, header in there.items()).to_dicts()
    return [{name: (row.get(name) or "").strip() for name in wanted} for row in rows]


def replay(form: Form, instrument: Instrument, sources: dict[str, Source], agreed: Consenting, found: Findings) -> None:
    """Replay every rule of the form on the rows that consented, record by record."""
    frames: dict[str, pl.DataFrame] = {}
    questions: dict[str, dict[str, str]] = {}
    for name in parents_first(instrument):
        if name not in agreed.rows:
            continue
        part = agreed.rows[name]
        questions[name] = form.columns_of(part.record)
        own = _answers(form, part, questions[name], sources[name], agreed.beside[name])
        above = frames.get(part.record.parent or "")
        frames[name] = own if above is None else _with_parent(part, own, agreed.rows[str(part.record.parent)], above)
        _replay_record(form, part, questions[name], frames[name], found)


def _answers(form: Form, part: Rows, columns: dict[str, str], source: Source, beside: pl.DataFrame) -> pl.DataFrame:
    """The answers under the names of the questions, and for each, as `name?`, whether it is there but not usable."""
    made: list[pl.Series] = []
    for name, column in columns.items():
        header = next(iter(source.headers.of.get(column, ())), None)
        if column in part.kept:
            cells = part.kept[column]
        elif header is not None and header in beside.columns:
            cells = beside[header]
        else:
            continue
        said = part.record.columns[column]
        question = form.questions[name]
        if question.kind == "select_multiple" and said.joined_by != " ":
            cells = cells.str.replace_all(said.joined_by, " ", literal=True)
        unusable = cells.str.contains(UNMAPPED, literal=True).fill_null(False)
        if question.choices is not None:
            codes = sorted(question.choices)
            if question.kind == "select_multiple":
                strange = cells.str.split(" ").list.eval(~pl.element().is_in(codes)).list.any()
            else:
                strange = ~cells.is_in(codes)
            unusable |= strange.fill_null(False) & cells.is_not_null()
        made += [cells.alias(name), unusable.alias(f"{name}?")]
    today = part.columns_of("interview_date") or [
        *([start] if (start := tool_columns(beside.columns).get("start")) else [])
    ]
    if today:
        day = part.kept[today[0]] if today[0] in part.kept else beside[today[0]]
        made.append(day.alias("(today)"))
    return pl.DataFrame(made) if made else pl.DataFrame({"(none)": part.frame[KEY]})


def _with_parent(part: Rows, own: pl.DataFrame, parent: Rows, above: pl.DataFrame) -> pl.DataFrame:
    """The answers of a record with those of the row each belongs to, for names that the record has not itself."""
    rest = above.select(name for name in above.columns if name not in own.columns)
    keyed = rest.with_columns(parent.frame[KEY].alias(KEY)).unique(KEY, keep="first", maintain_order=True)
    return own.with_columns(part.frame[PARENT]).join(
        keyed, left_on=PARENT, right_on=KEY, how="left", maintain_order="left"
    )


def _values(form: Form, frame: pl.DataFrame) -> dict[str, Value]:
    """Question -> its answer as a part of an expression."""
    values: dict[str, Value] = {}
    for name in frame.columns:
        if name not in form.questions:
            continue
        cell = Value("text", pl.when(~pl.col(f"{name}?").fill_null(False)).then(pl.col(name)))
        kind = KINDS[form.questions[name].kind]
        if kind == "number":
            cell = Value("number", cell.expression.cast(pl.Float64, strict=False))
        elif kind == "date":
            cell = Value("date", days(cell))
        values[name] = cell
    return values


def _replay_record(form: Form, part: Rows, columns: dict[str, str], frame: pl.DataFrame, found: Findings) -> None:
    values = _values(form, frame)
    today = Value("date", days(Value("text", pl.col("(today)")))) if "(today)" in frame.columns else None
    left: dict[str, str] = {}
    checked: Counter[Demand] = Counter()
    failed: Counter[Demand] = Counter()
    for name, column in columns.items():
        if name not in values:
            continue
        question = form.questions[name]
        used = {name}
        try:
            relevant = pl.lit(True)
            for text in question.relevant:
                relevant &= condition(text, Setting(values, None, today, used))
        except NotReplayedError as why:
            left[name] = str(why)
            continue
        demands = _demands(question, Setting(values, values[name], today, used), relevant, left)
        usable = pl.all_horizontal(~pl.col(f"{each}?").fill_null(False) for each in sorted(used & set(frame.columns)))
        for reason, (asked, broken) in demands.items():
            masks = frame.select((asked & usable).alias("asked"), (asked & broken & usable).alias("broken"))
            n, n_broken = int(masks["asked"].sum()), int(masks["broken"].sum())
            checked[reason] += n
            failed[reason] += n_broken
            _tell(part, column, reason, masks["broken"], n, n_broken, found)
    for reason, n_checked in checked.items():
        found.result(RULE, n_checked, failed[reason], expectation=reason, record=part.name)
    if left:
        named = "; ".join(f"{columns[name]}: {why}" for name, why in sorted(left.items())[:MOST_NAMED])
        found.result(
            RULE, len(columns), len(left), expectation="not_replayed", record=part.name, severity="information",
            outcome="passed", message=f"rules of {len(left)} questions were not replayed ({named})",
        )  # fmt: skip


def _demands(
    question: Question, setting: Setting, relevant: pl.Expr, left: dict[str, str]
) -> dict[Demand, tuple[pl.Expr, pl.Expr]]:
    """What the form demands of a question: reason -> (rows where it demands it, rows that do not follow)."""
    this = setting.questions[question.name]
    answered = this.expression.is_not_null()
    demands: dict[Demand, tuple[pl.Expr, pl.Expr]] = {}
    if question.relevant and question.kind not in NOT_ASKED:
        demands["answered_though_skipped"] = (~relevant, answered)
    if question.constraint and question.kind not in NOT_ASKED:
        try:
            demands["breaks_constraint"] = (relevant & answered, ~condition(question.constraint, setting))
        except NotReplayedError as why:
            left[question.name] = str(why)
    required = (question.required or "").lower()
    if question.kind not in NOT_ASKED and required not in ("", "no", "false", "false()", "0"):
        try:
            always = required in ("yes", "true", "true()", "1")
            needed = pl.lit(True) if always else condition(question.required or "", setting)
            demands["required_without_answer"] = (relevant & needed, ~answered)
        except NotReplayedError as why:
            left[question.name] = str(why)
    return demands


def _tell(part: Rows, column: str, reason: Demand, broken: pl.Series, n: int, n_broken: int, found: Findings) -> None:
    """List the rows that break a rule, or say once that the form is another one."""
    if n_broken > MOST_BREAK * n and n >= ENOUGH:
        found.finding(
            RULE, "other_form", file=part.file, sheet=part.sheet, column=column, record=part.name, n=n_broken, checked=n
        )
        return
    found.add(part, broken, RULE, "note", reason, column=column, written=part.shown.get(column))
