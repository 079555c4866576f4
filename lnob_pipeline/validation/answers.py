"""From the cells of an export to the answers of the instrument, the same whatever the export looks like.

Here belong: labels back to codes, one question in several columns (renamed or moved between versions of the form), and
several answers in one cell or spread over option columns. Which header is which column is in columns.py; whether an
answer is right is in contracts.py. What can be read in two ways is not read: the cell is empty and the row is marked.

Option columns: 1 and TRUE are ticks, 0 and FALSE are none. Nothing ticked is no answer, as in an export that joins the
answers, where a question without a tick and a question that was not asked are both blank.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from lnob_pipeline.mappings.models import Column, Instrument, Record
from lnob_pipeline.validation.columns import Headers
from lnob_pipeline.validation.normalise import DIGITS, ascii_digits, each_text, number_text, tidy, tidy_text

UNMAPPED = "unmapped"
"""Stands in a kept cell whose text was taken out: an answer was there, and it cannot be used."""
TICKED, NOT_TICKED = ("1", "1.0", "true"), ("0", "0.0", "false")

NUMBER = re.compile(r"[\d.,+-]+")
MAXIMUM_READINGS = 16
"""Ways to cut a cell that are followed up; two at the end are one too many already."""

Choices = Mapping[str, Mapping[str, list[str]]]
"""The lists of an instrument: name -> code -> labels."""


@dataclass(frozen=True)
class Answers:
    """The cells of a record under the names of the instrument, tidied.

    faults: reason (a key of rules.REASONS) -> column -> rows whose cell says two things; their cell is null.
    not_ticked: column with several answers -> rows where all options were left without a tick.
    """

    frame: pl.DataFrame
    faults: dict[str, dict[str, pl.Series]] = field(default_factory=dict)
    not_ticked: dict[str, pl.Series] = field(default_factory=dict)


def known_texts(column: Column, choices: Choices | None = None, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Each answer that a column knows, in tidy form -> as the instrument spells its code.

    A label of the column's list is read as its code; a label of two codes is none.
    """
    declared = [*column.codes, *column.positive, *column.negative, *(extra or {})]
    declared += [code for codes in column.missing.values() for code in codes]
    known = {tidy_text(code): code for code in declared if tidy_text(code)}
    labels: dict[str, set[str]] = {}
    for code, texts in (choices or {}).get(str(column.choices), {}).items():
        if (spelled := known.get(tidy_text(code))) is not None:
            for text in texts:
                labels.setdefault(tidy_text(text), set()).add(spelled)
    read = {label: next(iter(codes)) for label, codes in labels.items() if label and len(codes) == 1}
    return known | {label: code for label, code in read.items() if label not in known}


def spelled(cell: pl.Expr, known: dict[str, str]) -> pl.Expr:
    """The instrument's spelling of a tidy cell, digits of any script; null where it is none of its answers."""
    if not known:
        return pl.lit(None, dtype=pl.String)
    names, spellings = list(known), list(known.values())
    text = pl.col("cell")
    spelling = pl.coalesce(
        text.replace_strict(names, spellings, default=None, return_dtype=pl.String),
        ascii_digits(text).replace_strict(names, spellings, default=None, return_dtype=pl.String),
    )
    return each_text(cell, lambda cells: cells.to_frame("cell").select(spelling).to_series())


def rows_of_ticks(frame: pl.DataFrame) -> set[str]:
    """Headers whose cells are ticks and nothing else, with one tick at least."""
    flags = []
    for header in frame.columns:
        cell = pl.col(header).str.strip_chars().str.to_lowercase()
        only = cell.is_in([*TICKED, *NOT_TICKED]).all() & cell.is_in(TICKED).any()
        flags.append(only.fill_null(False).alias(header))
    return {header for header, only in frame.select(flags).row(0, named=True).items() if only} if flags else set()


def options_of(record: Record, instrument: Instrument) -> dict[str, dict[str, str]]:
    """Columns with several answers -> the texts that an option may have in a header -> code."""
    return {
        name: known_texts(column, instrument.choices)
        for name, column in record.columns.items()
        if column.exclude is None and column.select == "multiple"
    }


def read_answers(
    record: Record,
    instrument: Instrument,
    table: pl.DataFrame,
    headers: Headers,
    labels: Mapping[str, Mapping[str, str]] | None = None,
) -> Answers:
    """The columns that are used (mapped, ids, consent) from a table whose headers were found.

    labels: header -> code of the file -> what the file itself says that it means (SPSS, Stata).
    """
    ids = (record.key, record.identity, record.parent_key)
    used = [
        name for name, column in record.columns.items() if column.exclude in (None, "consent") or name in ids
    ]  # in the order of the instrument
    read: list[pl.Series] = []
    faults: dict[str, dict[str, pl.Series]] = {}
    not_ticked: dict[str, pl.Series] = {}
    for name in used:
        column = record.columns[name]
        of, options = headers.of.get(name, ()), headers.options.get(name, {})
        if not of and not options:
            continue
        cells = [table.select(tidy(pl.col(header))).to_series() for header in of]
        known = known_texts(column, instrument.choices)
        if column.select == "multiple" and column.exclude is None:
            answer = _several(cells, options, table, column, known)
        else:
            meant = [
                _by_labels(series, (labels or {}).get(header), known) for series, header in zip(cells, of, strict=True)
            ]
            answer = _one([series for series, _ in meant], known)
            other = functools.reduce(pl.Series.__or__, [differs for _, differs in meant])
            answer = _Answer(_empty(answer.cells, other), answer.faults | {"other_label": other})
        read.append(answer.cells.alias(name))
        for reason, mask in answer.faults.items():
            if mask.any():
                faults.setdefault(reason, {})[name] = mask
        if answer.not_ticked is not None and answer.not_ticked.any():
            not_ticked[name] = answer.not_ticked
    return Answers(pl.DataFrame(read), faults, not_ticked)


@dataclass(frozen=True)
class _Answer:
    """One column: its cells, rows with a fault by reason, and rows of options without a tick."""

    cells: pl.Series
    faults: dict[str, pl.Series]
    not_ticked: pl.Series | None = None


def _by_labels(
    cells: pl.Series, labels: Mapping[str, str] | None, known: dict[str, str]
) -> tuple[pl.Series, pl.Series]:
    """Cells with the codes that the file alone knows read by their labels; and where code and label say two things.

    A label that is a number says nothing: it could be meant as another code.
    """
    texts = {tidy_text(code): tidy_text(label) for code, label in (labels or {}).items()}
    said = {code: known[label] for code, label in texts.items() if label in known and not NUMBER.fullmatch(label)}
    new = {code: meaning for code, meaning in said.items() if code not in known}
    other = [code for code, meaning in said.items() if known.get(code, meaning) != meaning]
    return cells.replace(new) if new else cells, cells.is_in(other).fill_null(False)


def _one(cells: list[pl.Series], known: dict[str, str]) -> _Answer:
    """A question with one answer; where it has several columns, the one that is filled."""
    if len(cells) == 1:
        return _Answer(cells[0], {})
    frame = pl.DataFrame([series.alias(str(place)) for place, series in enumerate(cells)])
    same = [pl.coalesce(spelled(pl.col(name), known), _number(name), pl.col(name)) for name in frame.columns]
    return _merged(frame, same)


def _number(name: str) -> pl.Expr:
    """A number in one spelling: 5 and 5.0 are the same answer."""
    return number_text(pl.col(name)).cast(pl.Float64, strict=False).cast(pl.String)


def _merged(frame: pl.DataFrame, same: list[pl.Expr]) -> _Answer:
    """The first filled column of each row, unless another says something else (`same`: cells as they are compared)."""
    compared = frame.select(expression.alias(str(place)) for place, expression in enumerate(same))
    differ = compared.select(pl.concat_list(pl.all()).list.drop_nulls().list.n_unique() > 1).to_series()
    first = frame.select(pl.coalesce(pl.all())).to_series()
    return _Answer(_empty(first, differ), {"conflicting_columns": differ})


def _empty(cells: pl.Series, mask: pl.Series) -> pl.Series:
    return pl.DataFrame({"cell": cells, "mask": mask}).select(pl.when(~pl.col("mask")).then("cell")).to_series()


def _several(
    cells: list[pl.Series],
    options: dict[str, str | None],
    table: pl.DataFrame,
    column: Column,
    known: dict[str, str],
) -> _Answer:
    """A question with several answers: joined in one cell, spread over option columns, or both."""
    nothing = pl.repeat(False, table.height, dtype=pl.Boolean, eager=True)
    joined = _Answer(pl.repeat(None, table.height, dtype=pl.String, eager=True), {})
    unclear = nothing
    if cells:
        parts = [_joined(series, column, known) for series in cells]
        for _, doubtful in parts:
            unclear |= doubtful
        frame = pl.DataFrame([text.alias(str(place)) for place, (text, _) in enumerate(parts)])
        joined = _merged(frame, [pl.col(name) for name in frame.columns])
    differ = joined.faults.get("conflicting_columns", nothing)
    if not options:
        reasons = {"conflicting_columns": differ, "ambiguous_answers": unclear}
        return _Answer(_empty(joined.cells, unclear), reasons)
    ticks, filled, odd = _ticked(options, table, column, known)
    covered = [code for code in options.values() if code is not None]
    mark = column.joined_by
    both = pl.DataFrame({"joined": joined.cells, "ticks": ticks, "filled": filled, "unclear": unclear})
    said = pl.col("joined").str.split(mark)
    strange = said.list.set_difference(pl.lit(sorted(set(known.values())), dtype=pl.List(pl.String)))
    of_these = said.list.set_intersection(pl.lit(covered, dtype=pl.List(pl.String))).list.sort()
    other = of_these != pl.col("ticks").fill_null("").str.split(mark).list.filter(pl.element() != "").list.sort()
    compared = pl.col("joined").is_not_null() & pl.col("filled") & ~pl.col("unclear")
    other = (compared & (strange.list.len() == 0) & other).fill_null(False)
    whole = both.select(
        pl.when(pl.col("unclear") | pl.col("joined").is_null()).then("ticks").otherwise("joined").alias("cell"),
        other.alias("other"),
        (pl.col("unclear") & ~pl.col("filled")).alias("unclear"),
        (pl.col("filled") & pl.col("ticks").is_null() & pl.col("joined").is_null()).alias("none"),
    )
    faults = {"conflicting_columns": differ | whole["other"], "ambiguous_answers": whole["unclear"], "no_tick": odd}
    wrong = functools.reduce(pl.Series.__or__, faults.values())
    return _Answer(_empty(whole["cell"], wrong), faults, whole["none"] & ~wrong)


def _ticked(
    options: dict[str, str | None], table: pl.DataFrame, column: Column, known: dict[str, str]
) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Option columns: the codes that are ticked (null: none), whether a cell is filled, whether one is no tick."""
    order = {code: place for place, code in enumerate(dict.fromkeys(known.values()))}
    by_code: dict[str | None, list[pl.Expr]] = {}
    filled, odd = [], []
    for header in sorted(options, key=lambda header: order.get(options[header] or "", len(order))):
        different = table[header].drop_nulls().unique()
        ticks, others = _ticks(different, options[header], known)
        by_code.setdefault(options[header], []).append(pl.col(header).is_in(ticks).fill_null(False))
        filled.append(pl.col(header).is_not_null() & ~pl.col(header).is_in(_blank(different)).fill_null(False))
        odd.append(pl.col(header).is_in(others).fill_null(False))
    chosen = [
        pl.when(pl.any_horizontal(ticked)).then(pl.lit(UNMAPPED if code is None else code))
        for code, ticked in by_code.items()
    ]
    codes = pl.concat_str(chosen, separator=column.joined_by, ignore_nulls=True)
    found = table.select(
        pl.when(codes != "").then(codes).alias("ticked"),
        pl.any_horizontal(filled).alias("filled"),
        pl.any_horizontal(odd).alias("odd"),
    )
    return found["ticked"], found["filled"], found["odd"]


def _blank(different: pl.Series) -> list[str]:
    return different.filter(
        pl.DataFrame({"cell": different}).select(tidy(pl.col("cell")).is_null()).to_series()
    ).to_list()


def _ticks(different: pl.Series, code: str | None, known: dict[str, str]) -> tuple[list[str], list[str]]:
    """The different cells of an option column that are ticks, and those that are neither a tick nor none.

    The option itself (its code or a label of it) in the cell is a tick, too.
    """
    cell = tidy(pl.col("cell"))
    lower = ascii_digits(cell).str.to_lowercase()
    itself = (spelled(cell, known) == pl.lit(code, dtype=pl.String)).fill_null(False)
    frame = pl.DataFrame({"cell": different}).with_columns(
        none=lower.is_in(NOT_TICKED).fill_null(False), tick=lower.is_in(TICKED).fill_null(False) | itself
    )
    ticks = frame.filter(pl.col("tick") & ~pl.col("none"))
    others = frame.filter(cell.is_not_null() & ~pl.col("tick") & ~pl.col("none"))
    return ticks["cell"].to_list(), others["cell"].to_list()


def _joined(cells: pl.Series, column: Column, known: dict[str, str]) -> tuple[pl.Series, pl.Series]:
    """Cells with several answers -> codes in the order of the instrument, joined; and where that is not certain.

    Each different cell is read once. Text that is no known answer stays as it is.
    """
    different = cells.drop_nulls().unique().to_list()
    options = _options(tuple(known.items()), column.separator)
    order = {code: place for place, code in enumerate(dict.fromkeys(known.values()))}
    mark = column.joined_by
    texts: list[str | None] = []
    doubtful: list[bool] = []
    for cell in different:
        codes = _codes_of(cell, column.separator, options)
        doubtful.append(codes is None)
        if codes is not None and all(known_code for _, known_code in codes):
            chosen = dict.fromkeys(code for code, _ in codes)
            texts.append(mark.join(sorted(chosen, key=lambda code: order[code])))
        else:
            texts.append(cell if codes is None else mark.join(text for text, _ in codes))
    if not different:
        return cells, pl.repeat(False, len(cells), dtype=pl.Boolean, eager=True)
    frame = pl.DataFrame({"cell": cells}).select(
        pl.col("cell").replace_strict(different, texts, default=None, return_dtype=pl.String).alias("text"),
        pl.col("cell").replace_strict(different, doubtful, default=False, return_dtype=pl.Boolean).alias("doubtful"),
    )
    return frame["text"], frame["doubtful"].fill_null(False)


_Words = tuple[str, ...]
_ASCII = str.maketrans(DIGITS)


@functools.lru_cache(maxsize=256)
def _options(known: tuple[tuple[str, str], ...], separator: str) -> dict[_Words, str]:
    """The known answers, cut at the separator as a cell is: an answer may hold the separator itself."""
    return {_words(text, separator): code for text, code in reversed(known)}


def _words(text: str, separator: str) -> _Words:
    mark = separator.strip()
    parts = text.split(mark) if mark else text.split()
    return tuple(word for part in parts if (word := part.strip().translate(_ASCII)))


def _codes_of(cell: str, separator: str, options: dict[_Words, str]) -> list[tuple[str, bool]] | None:
    """The answers of a cell: (code, True), or (text, False) for what is no known answer; None if it reads in two ways.

    A cell that consists of known answers has as many readings as there are ways to cut it; any other one is cut at the
    longest known answers from its start.
    """
    words = _words(cell, separator)
    longest = max(map(len, options), default=1)
    if longest == 1:
        return [(options[(word,)], True) if (word,) in options else (word, False) for word in words]
    readings: list[list[frozenset[str]]] = [[] for _ in words] + [[frozenset()]]
    for start in range(len(words) - 1, -1, -1):
        for length in range(min(longest, len(words) - start), 0, -1):
            if (code := options.get(words[start : start + length])) is not None:
                for rest in readings[start + length]:
                    if (whole := rest | {code}) not in readings[start]:
                        readings[start].append(whole)
        readings[start] = readings[start][:MAXIMUM_READINGS]
    if len(readings[0]) > 1:
        return None
    if readings[0]:
        return [(code, True) for code in sorted(readings[0][0])]
    return _longest(words, longest, options)


def _longest(words: _Words, longest: int, options: Mapping[_Words, str]) -> list[tuple[str, bool]]:
    """Cut at the longest known answers; what stands between them stays text."""
    found: list[tuple[str, bool]] = []
    place = 0
    while place < len(words):
        lengths = range(min(longest, len(words) - place), 0, -1)
        length = next((length for length in lengths if words[place : place + length] in options), 0)
        found.append((options[words[place : place + length]], True) if length else (words[place], False))
        place += length or 1
    return found
