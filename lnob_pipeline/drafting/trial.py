"""What a mapping does to a hand-in, question by question, before anything runs.

Here belongs counting: source codes -> codes of the variable, missing kinds, what is not mapped, numbers before and
after the unit. The hand-in goes through the gate's own reading and consent, in memory; rows without consent are not
counted, and nothing is written. Of columns that are left out, and of texts and dates, no answer is shown; an answer
that is not mapped is shown only where it could not identify anybody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from lnob_pipeline.mappings.load import MappingError, Mappings, read_file
from lnob_pipeline.mappings.models import Column, Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.validation.answers import UNMAPPED, known_texts, spelled
from lnob_pipeline.validation.cleaning import corrected
from lnob_pipeline.validation.consent import consenting
from lnob_pipeline.validation.findings import Findings, Rows
from lnob_pipeline.validation.identifiers import without_unprotected
from lnob_pipeline.validation.law import check_law
from lnob_pipeline.validation.normalise import number_text
from lnob_pipeline.validation.privacy import NOT_SHOWN, showable
from lnob_pipeline.validation.protocol import sensitive_columns
from lnob_pipeline.validation.reading import known_sheets, read_tables
from lnob_pipeline.validation.structure import find_records

COLUMNS = {
    "record": pl.String(),
    "column": pl.String(),
    "variable": pl.String(),
    "in the file": pl.String(),
    "becomes": pl.String(),
    "answers": pl.Int64(),
    "remark": pl.String(),
}
EMPTY = "(empty)"
LARGEST_SHOWN = 1e6
"""Numbers with seven digits could be those of a telephone or an identity card."""


@dataclass(frozen=True)
class Trial:
    """answers: one row for each source code or kind of number (COLUMNS). unmapped: answers that nothing is said about.

    problems: why no answer could be looked at, and columns that the file lacks. left_out: reason -> columns left out.
    """

    answers: pl.DataFrame
    unmapped: int
    refused: int
    problems: list[str]
    left_out: dict[str, int]


def read_instrument(text: str, mappings: Mappings) -> Instrument:
    """An instrument by its name, or from a file. Raises MappingError with lines of the file, ValueError for no such."""
    if text in mappings.instruments:
        return mappings.instruments[text]
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"{text} is neither an instrument of {mappings.folder} nor a file")
    instrument, _, problems = read_file(path.parent, path.name, Instrument)
    if instrument is None:
        raise MappingError(problems)
    return instrument


def trial(
    instrument: Instrument,
    manifest: Manifest,
    files: list[tuple[DataFile, bytes]],
    mappings: Mappings,
    settings: Settings,
) -> Trial:
    """Count what the mapping makes of the answers of a hand-in. Faults of the data are in `problems`, never raised."""
    name = instrument.instrument
    mappings = replace(mappings, instruments=mappings.instruments | {name: instrument})
    manifest = manifest.model_copy(update={"instrument": name})
    found = Findings()
    # The steps of the gate itself, so that a trial reads a file and asks for consent in no other way than it.
    tables, logs, types = read_tables(files, known_sheets(instrument), settings, found)
    sources = find_records(instrument, corrected(manifest, instrument, tables, logs, found), types, found)
    sources = {key: without_unprotected(manifest, key, source, mappings, found) for key, source in sources.items()}
    agreed = None
    if sources and not found.blocked("readable", "structure"):
        agreed = consenting(
            manifest,
            instrument,
            sources,
            found,
            guardian_age=check_law(manifest, mappings, found),
            sensitive={key: sensitive_columns(source.record, mappings) for key, source in sources.items()},
        )
    rows = {} if agreed is None or found.blocked("consent") else agreed.rows
    problems = [r.message for r in found.results if r.outcome == "failed" and r.severity != "information"]
    frames = [
        _column(part, header, column, mappings, manifest.country)
        for part in rows.values()
        for header, column in part.record.columns.items()
        if column.exclude is None and header in part.frame.columns
    ]
    answers = pl.concat([pl.DataFrame(schema=COLUMNS), *frames])
    columns = [column for record in instrument.records.values() for column in record.columns.values()]
    left_out = Counter(str(column.exclude) for column in columns if column.exclude)
    unmapped = answers.filter(pl.col("becomes") == UNMAPPED)["answers"].sum()
    n_refused = max((out.height for out in agreed.refused.values()), default=0) if agreed else 0
    return Trial(answers, int(unmapped), n_refused, list(dict.fromkeys(problems)), dict(sorted(left_out.items())))


def _column(rows: Rows, header: str, column: Column, mappings: Mappings, iso3: str) -> pl.DataFrame:
    cells = rows.frame[header]
    variable = mappings.variables.get(column.variable or "")
    country = mappings.countries.get(iso3)
    areas = {code: code for code in country.admin1} if country else {}
    coded = bool(column.codes) or (variable is not None and variable.type in ("code", "codes"))
    if variable is not None and variable.type == "number":
        lines = _number(cells, column, (variable.minimum, variable.maximum), rows)
    elif coded or column.variable == "admin1":
        lines = _codes(cells, column, rows, areas if column.variable == "admin1" and not column.codes else {})
    else:
        lines = [("(not listed)", "as it stands", len(cells) - cells.null_count(), "text or date")]
    if (n := cells.null_count()) and cells.len():
        lines.append((EMPTY, "not_asked", n, ""))
    place = (rows.name, header, column.variable or column.role)
    return pl.DataFrame([(*place, *line) for line in lines], schema=COLUMNS, orient="row")


Line = tuple[str, str, int, str]


def _codes(cells: pl.Series, column: Column, rows: Rows, areas: dict[str, str]) -> list[Line]:
    """A line for each source code that is mapped, seen or not, and one for each answer that is not mapped."""
    known = known_texts(column, rows.choices, areas)
    meaning = column.codes | areas | dict.fromkeys(column.positive, "yes") | dict.fromkeys(column.negative, "no")
    remarks = dict.fromkeys(column.positive, "positive") | dict.fromkeys(column.negative, "negative")
    for kind, codes in column.missing.items():
        meaning |= dict.fromkeys(codes, kind)
        remarks |= dict.fromkeys(codes, "missing")
    frame = pl.DataFrame({"cell": cells}).drop_nulls()
    if column.select == "multiple":
        frame = frame.select(pl.col("cell").str.split(column.joined_by).explode()).filter(pl.col("cell") != "")
    frame = frame.with_columns(code=spelled(pl.col("cell"), known))
    seen = dict(frame.drop_nulls("code")["code"].value_counts().iter_rows())
    lines = [
        (code, target, seen.get(code, 0), remarks.get(code, "") or ("" if code in seen else "never seen"))
        for code, target in meaning.items()
    ]
    strange = frame.filter(pl.col("code").is_null())["cell"]
    if strange.len():
        shown = pl.DataFrame({"cell": strange, "shown": showable(strange, known)})
        text = pl.when(pl.col("shown")).then("cell").otherwise(pl.lit(NOT_SHOWN))
        counts = shown.group_by(text.alias("cell")).len().sort("len", "cell", descending=[True, False])
        lines += [(cell, UNMAPPED, n, "to map") for cell, n in counts.iter_rows()]
    return lines


def _number(cells: pl.Series, column: Column, limits: tuple[float | None, float | None], rows: Rows) -> list[Line]:
    """Missing codes, cells that are no number, and the range before and after the unit."""
    kinds = {code: kind for kind, codes in column.missing.items() for code in codes}
    known = known_texts(column, rows.choices)
    frame = pl.DataFrame({"cell": cells}).drop_nulls()
    frame = frame.with_columns(
        code=spelled(pl.col("cell"), known), number=number_text(pl.col("cell")).cast(pl.Float64, strict=False)
    )
    seen = dict(frame.drop_nulls("code")["code"].value_counts().iter_rows())
    lines: list[Line] = [(code, str(kind), seen.get(code, 0), "missing") for code, kind in kinds.items()]
    rest = frame.filter(pl.col("code").is_null())
    if n := rest["number"].null_count():
        lines.append((NOT_SHOWN, UNMAPPED, n, "no number"))
    numbers = rest["number"].drop_nulls()
    if numbers.len():
        after = numbers * column.multiply
        low, high = limits
        outside = int(((after < low) if low is not None else pl.Series([0])).sum())
        outside += int(((after > high) if high is not None else pl.Series([0])).sum())
        allowed = (
            f"{outside} outside {'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
        )
        remark = f"x {column.multiply:g}; {allowed}" if column.multiply != 1 else allowed
        lines.append((_range(numbers), _range(after), numbers.len(), remark))
    return lines


def _range(numbers: pl.Series) -> str:
    ends = pl.DataFrame({"n": numbers}).select(low=pl.col("n").min(), high=pl.col("n").max()).row(0)
    return " to ".join(f"{end:g}" if abs(end) < LARGEST_SHOWN else NOT_SHOWN for end in ends)
