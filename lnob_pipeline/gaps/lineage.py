"""Where a citizen number comes from: the lines of the instrument that map its questions, and their wording.

Here: places and ids as data, read from the mapping files. Not here: the numbers (comparison.py) and the story in words
(explain.py).
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

import polars as pl

from lnob_pipeline.mappings.load import Mappings, line_of

SEPARATOR = ","


def with_lineage(rows: pl.LazyFrame, mappings: Mappings) -> pl.LazyFrame:
    """Add `mapping_lines` and `question_wordings` beside `questions`, in its order; null where there are no questions.

    rows: has `instrument` and `questions` (names joined by ','), both null on rows without a citizen number.
    """
    pairs = rows.select("instrument", "questions").drop_nulls().unique().collect()
    found = [
        {
            "instrument": instrument,
            "questions": questions,
            "mapping_lines": SEPARATOR.join(
                mapping_line(instrument, name, mappings) or "" for name in questions.split(SEPARATOR) if name
            ),
            "question_wordings": SEPARATOR.join(
                wording_id(name, mappings) for name in questions.split(SEPARATOR) if name
            ),
        }
        for instrument, questions in pairs.iter_rows()
    ]
    names = ("instrument", "questions", "mapping_lines", "question_wordings")
    return rows.join(
        pl.LazyFrame(found, schema=dict.fromkeys(names, pl.String)), on=["instrument", "questions"], how="left"
    )


def mapping_line(instrument: str, question: str, mappings: Mappings) -> str | None:
    """`instruments/<file>:<line>` of the column that answers a question; None where the form does not ask it."""
    file = mappings.files.get(f"instrument:{instrument}")
    if file is None:
        return None
    for name, record in mappings.instruments[instrument].records.items():
        for column, item in record.columns.items():
            if item.variable == question:
                text = _text(mappings.folder / file, mappings.hashes[file])
                return f"{file}:{line_of(text, ('records', name, 'columns', column))}"
    return None


def question_line(question: str, mappings: Mappings) -> str | None:
    """`variables/<file>:<line>` of a question in the bank; None where the bank does not hold it."""
    file = mappings.files.get(f"variable:{question}")
    if file is None:
        return None
    return f"{file}:{line_of(_text(mappings.folder / file, mappings.hashes[file]), ('variables', question))}"


def wording_id(question: str, mappings: Mappings) -> str:
    """`<variable>@<8 letters>`: the start of a sha256 over the wording in every language and the codes.

    Another wording or another code is another id; the name alone where the bank does not hold the question.
    """
    found = mappings.variables.get(question)
    if found is None:
        return question
    wording = {"question": found.question, "codes": found.codes, "code_labels": found.code_labels}
    content = json.dumps(wording, sort_keys=True, ensure_ascii=False).encode()
    return f"{question}@{hashlib.sha256(content).hexdigest()[:8]}"


@functools.lru_cache(maxsize=64)
def _text(path: Path, sha256: str) -> str:
    """The text of a mapping file; the hash is part of the key, so that a changed file is read anew."""
    del sha256
    return path.read_text("utf-8")
