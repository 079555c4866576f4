"""Rules for instruments: what a form could get silently wrong about the variables it answers.

Here: codes, polarity, missing answers, choice lists, other headers, consent, statements, protocol. Whether a hand-in
agrees with its instrument is checked by validation.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

from lnob_pipeline.mappings.findings import Finding, Path, listed
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument, Record, Variable

YES_WORDS = {"yes", "y", "true", "1"}
NO_WORDS = {"no", "n", "false", "0", "2"}
"""How forms write yes and no. The other way round is a slip, or a question asked in the negative, and must be said."""

NOT_GROUPS = {"F", "M", "all"}


def instrument_findings(mappings: Mappings) -> Iterator[Finding]:
    """All rules of this module, over all instruments."""
    for name, instrument in mappings.instruments.items():
        file = mappings.files[f"instrument:{name}"]
        if file != f"instruments/{name}.yaml":
            yield file, ("instrument",), f"instrument {name} belongs into instruments/{name}.yaml"
        yield from _whole(instrument, file, mappings)
        for record_name, record in instrument.records.items():
            where = ("records", record_name)
            yield from _record(record, file, where)
            for source, column in record.columns.items():
                place = (*where, "columns", source)
                yield from ((file, place, sentence) for sentence in _column(column, instrument, mappings))


def _whole(instrument: Instrument, file: str, mappings: Mappings) -> Iterator[Finding]:
    consent = instrument.consent
    if consent and consent.column not in instrument.records[consent.record].columns:
        yield file, ("consent", "column"), f"{consent.column} is not a column of the record"
    if instrument.data_type == "household_survey" and consent is None:
        yield file, (), "a survey names its consent question (consent)"
    for statement, item in instrument.statements.items():
        if item.indicator not in mappings.indicators:
            yield file, ("statements", statement), f"{item.indicator} is no indicator of the library"
    columns = [column for record in instrument.records.values() for column in record.columns.values()]
    sensitive = {
        column.variable
        for column in columns
        if column.variable in mappings.variables and mappings.variables[column.variable].sensitive
    }
    if sensitive and not instrument.special_protocol:
        names = listed({str(name) for name in sensitive})
        yield file, (), f"{names} is sensitive: name the guideline it is asked under (special_protocol), or exclude it"
    if instrument.special_protocol and not sensitive:
        yield file, ("special_protocol",), "no sensitive variable is mapped, so that no special protocol is needed"
    for name in sorted(instrument.choices.keys() - {column.choices for column in columns}):
        yield file, ("choices", name), f"no column uses the list {name}; remove it or say choices: {name}"
    for name, choices in instrument.choices.items():
        labels = Counter(itertools.chain.from_iterable({*texts, code} for code, texts in choices.items()))
        if twice := [label for label, count in labels.items() if count > 1]:
            sentence = f"{listed(twice)} stands for two codes of the list; a cell that holds it could mean either"
            yield file, ("choices", name), sentence


def _record(record: Record, file: str, where: Path) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    headers: dict[str, str] = dict.fromkeys(record.columns, "a column")
    for source, column in record.columns.items():
        place = (*where, "columns", source)
        if column.variable is not None:
            if column.variable in seen:
                yield file, place, f"{column.variable} is answered by {seen[column.variable]} already"
            seen[column.variable] = source
        for alias in column.aliases:
            if alias in headers:
                other = headers[alias] if alias != source else "the name of this column"
                yield file, (*place, "aliases"), f"the alias {alias!r} is {other} already; each header means one thing"
            headers.setdefault(alias, f"an alias of {source}")
    for key in ("key", "identity", "parent_key"):
        source_key = getattr(record, key)
        if source_key is not None and source_key not in record.columns:
            yield file, (*where, key), f"{source_key} is not listed among the columns"


def _column(column: Column, instrument: Instrument, mappings: Mappings) -> Iterator[str]:
    """What is wrong with one column."""
    sources = [*column.codes, *column.positive, *column.negative]
    sources += itertools.chain.from_iterable(column.missing.values())
    if twice := sorted({code for code in sources if sources.count(code) > 1}):
        yield f"source code {', '.join(twice)} means two things"
    if column.choices is not None:
        yield from _choices(column, set(sources), instrument)
    if column.role == "group" and (strange := set(column.codes.values()) - {*mappings.groups, *NOT_GROUPS}):
        yield f"{listed(strange)} is no group of groups.yaml"
    if column.adapted_because and column.variable is None:
        yield "adapted_because is for a column that answers a variable"
    if column.variable is None:
        if column.exclude is not None and (sources or column.choices):
            yield "the column is left out; its codes say nothing"
        return
    variable = mappings.variables.get(column.variable)
    if variable is None:
        known = column.variable in mappings.derived
        yield f"{column.variable} is {'derived and cannot be asked' if known else 'no variable of the question bank'}"
        return
    yield from _variable_column(column, column.variable, variable, instrument, mappings)


def _choices(column: Column, sources: set[str], instrument: Instrument) -> Iterator[str]:
    choices = instrument.choices.get(str(column.choices))
    if choices is None:
        yield f"{column.choices} is no list under choices; it has {listed(instrument.choices)}"
        return
    if column.exclude is not None:
        return
    if absent := choices.keys() - sources:
        yield f"{listed(absent)} of the list {column.choices} is neither mapped nor declared missing"
    if strange := sources - choices.keys():
        yield f"{listed(strange)} is not in the list {column.choices}"


def _variable_column(
    column: Column, name: str, variable: Variable, instrument: Instrument, mappings: Mappings
) -> Iterator[str]:
    """What is wrong with a column that answers a variable."""
    yes_no = variable.type == "code" and set(mappings.codes(name)) == {"yes", "no"}
    if variable.type in ("code", "codes"):
        yield from _codes(column, name, yes_no=yes_no, mappings=mappings)
    elif variable.type == "number":
        yield from _number(column, name, variable)
    elif name == "admin1" and column.codes:
        areas = {code for country in mappings.countries.values() for code in country.admin1}
        if strange := set(column.codes.values()) - areas:
            yield f"{listed(strange)} is no first-level area of countries.yaml"
    misfits = {
        f"{name} is not a yes/no question: use codes, not positive and negative": bool(
            (column.positive or column.negative) and not yes_no
        ),
        f"{', '.join(column.positive)} means yes here: swap positive and negative, or say why (reason) where the "
        "question is asked in the negative": yes_no and not column.reason and _turned(column, instrument),
        f"{name} takes one answer; select multiple does not fit": column.select == "multiple"
        and variable.type != "codes",
        f"{name} takes several answers; say select: multiple and the separator of the file": column.select == "one"
        and variable.type == "codes",
        f"{name} is no number; multiply does not fit": column.multiply != 1 and variable.type != "number",
        f"{name} is a {variable.type} and has no missing codes": bool(column.missing)
        and variable.type in ("text", "date"),
    }
    yield from (sentence for sentence, wrong in misfits.items() if wrong)


def _turned(column: Column, instrument: Instrument) -> bool:
    """Whether a word for no is said to mean yes, or the other way round, by code or by the labels of the choices."""
    labels = instrument.choices.get(str(column.choices), {})

    def words(codes: list[str]) -> set[str]:
        return {word.strip().lower() for code in codes for word in (code, *labels.get(code, []))}

    positive, negative = words(column.positive), words(column.negative)
    return bool(positive & NO_WORDS and negative & YES_WORDS)


def _codes(column: Column, name: str, *, yes_no: bool, mappings: Mappings) -> Iterator[str]:
    codes = mappings.codes(name)
    if strange := set(column.codes.values()) - set(codes):
        yield f"{name} has no code {listed(strange)}; it has {', '.join(codes)}"
    if yes_no and not (column.positive and column.negative):
        yield f"{name} is a yes/no question: say which source codes are positive and negative"
    if yes_no and column.codes:
        yield f"{name} is a yes/no question: use positive and negative, not codes"
    if not yes_no and not column.codes:
        yield f"{name} needs codes: source code -> variable code"


def _number(column: Column, name: str, variable: Variable) -> Iterator[str]:
    if column.codes:
        yield f"{name} is a number and has no codes; list under missing what is no number"
    low = -math.inf if variable.minimum is None else variable.minimum
    high = math.inf if variable.maximum is None else variable.maximum
    for kind, sentinels in column.missing.items():
        for sentinel in sentinels:
            try:
                value = float(sentinel) * column.multiply
            except ValueError:
                continue
            if low <= value <= high:
                limits = f"{'-∞' if low == -math.inf else f'{low:g}'} to {'∞' if high == math.inf else f'{high:g}'}"
                yield (
                    f"{sentinel} is said to mean {kind}, and could be an answer: {name} runs from {limits}; "
                    "narrow the limits of the variable, or let the form write a word"
                )
