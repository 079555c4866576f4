"""Rules across mapping files: what a statistician could get silently wrong, said with file and line.

One file's own shape is checked while loading (models.py, load.py). Here: names that do not exist, codes left out,
polarity not said, universes that rule out a category, ids that vanished, measures that the variables cannot carry.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from lnob_pipeline.mappings.expressions import Expression, ExpressionError, parse
from lnob_pipeline.mappings.load import Mappings, line_of
from lnob_pipeline.mappings.models import (
    MISSING_KINDS,
    ApplicabilityFile,
    BreakdownFile,
    Column,
    CountryFile,
    GroupFile,
    Indicator,
    Instrument,
    Measure,
    Model,
    Record,
    VariableFile,
)

Finding = tuple[str, tuple[str | int, ...], str]
"""File below the mapping folder, path of keys, what is wrong and how to mend it."""

SCHEMAS: dict[str, type[Model]] = {
    "variables": VariableFile,
    "indicator": Indicator,
    "instrument": Instrument,
    "groups": GroupFile,
    "countries": CountryFile,
    "breakdowns": BreakdownFile,
    "applicability": ApplicabilityFile,
}


def lint(mappings: Mappings) -> list[str]:
    """All findings as `file:line: sentence`, in order of file and line; empty when all is well."""
    rules: list[Callable[[Mappings], Iterator[Finding]]] = [
        _derived_variables,
        _indicators,
        _instruments,
        _breakdowns,
        _retired,
        _schemas,
    ]
    texts: dict[str, str] = {}
    lines: list[tuple[str, int, str]] = []
    for rule in rules:
        for file, where, sentence in rule(mappings):
            path = mappings.folder / file
            text = texts.setdefault(file, path.read_text(encoding="utf-8") if path.exists() else "")
            lines.append((file, line_of(text, where) if text and file.endswith(".yaml") else 1, sentence))
    return [f"{file}:{line}: {sentence}" for file, line, sentence in sorted(set(lines))]


def schema_files() -> dict[str, str]:
    """The JSON Schemas made from the models, by file name, as editors and reviewers use them."""
    return {
        f"{name}.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, model in SCHEMAS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write the JSON Schemas into a folder."""
    from lnob_pipeline.storage import write_bytes

    for name, text in schema_files().items():
        write_bytes(folder / name, text.encode())


def _expression(
    text: str, file: str, where: tuple[str | int, ...], mappings: Mappings, allowed: set[str] | None = None
) -> Iterator[Finding | Expression]:
    """The parsed expression, or what is wrong with it: language, names, codes."""
    try:
        expression = parse(text)
    except ExpressionError as error:
        yield file, where, f"the expression {error}"
        return
    known = set(mappings.variables) | set(mappings.derived)
    numbers = {name for name, variable in mappings.variables.items() if variable.type == "number"}
    for name in sorted(expression.variables):
        if name in known or name.removesuffix("_missing") in numbers:
            if allowed is not None and name not in allowed:
                yield file, where, f"{name} is not a variable of the unit this is about"
        else:
            yield file, where, f"{name} is no variable of the question bank"
    for name, code in sorted(expression.comparisons):
        if name in known and mappings.codes(name) and code not in {*mappings.codes(name), *MISSING_KINDS}:
            yield file, where, f"{name} has no code '{code}'; it has {', '.join(mappings.codes(name))}"
    yield expression


def _variable_files(mappings: Mappings) -> dict[str, str]:
    """Variable -> the file that declares it (found by its text; loading made sure that there is one)."""
    found = {}
    for file in mappings.hashes:
        if file.startswith("variables/"):
            text = (mappings.folder / file).read_text(encoding="utf-8")
            for name in [*mappings.variables, *mappings.derived]:
                if f"\n  {name}:" in text:
                    found[name] = file
    return found


def _derived_variables(mappings: Mappings) -> Iterator[Finding]:
    files = _variable_files(mappings)
    for name, derived in mappings.derived.items():
        file, where = files[name], ("derived", name, "expression")
        for found in _expression(derived.expression, file, where, mappings):
            if not isinstance(found, Expression):
                yield found
                continue
            if strange := found.results - set(derived.codes) - set(MISSING_KINDS):
                yield file, where, f"{name} can become {', '.join(sorted(strange))}, which its codes do not list"
            if never := set(derived.codes) - found.results:
                yield file, ("derived", name, "codes"), f"{name} can never become {', '.join(sorted(never))}"
            if unused := set(derived.optional) - found.variables:
                yield file, ("derived", name, "optional"), f"{', '.join(sorted(unused))} is not in the expression"
            if inner := found.variables & set(mappings.derived):
                yield file, where, f"{name} rests on {', '.join(sorted(inner))}: derive it from questions alone"


def _indicators(mappings: Mappings) -> Iterator[Finding]:
    series_of: dict[str, str] = {}
    for code, indicator in mappings.indicators.items():
        file = f"indicators/{indicator.goal}/{code}.yaml"
        if file not in mappings.hashes:
            yield file, (), f"indicator {code} belongs into {file}"
            continue
        yield from _breakdowns_of(indicator, file, mappings)
        for number, series in enumerate(indicator.series):
            if series_of.setdefault(series.code, code) != code:
                yield file, ("series", number), f"series {series.code} belongs to {series_of[series.code]} already"
            yield from _measure(series.measure, file, ("series", number, "measure"), mappings)


def _breakdowns_of(indicator: Indicator, file: str, mappings: Mappings) -> Iterator[Finding]:
    said = indicator.breakdowns
    listed = {*said.required, *said.lnob, *said.outside_universe, *itertools.chain.from_iterable(said.crossings)}
    for name in sorted(listed - set(mappings.breakdowns)):
        yield file, ("breakdowns",), f"{name} is no breakdown of breakdowns.yaml"
    for name in set(said.outside_universe) & set(mappings.breakdowns):
        if strange := set(said.outside_universe[name]) - set(mappings.categories(name)):
            yield file, ("breakdowns", "outside_universe", name), f"{', '.join(sorted(strange))} is no category"


def _measure(measure: Measure, file: str, where: tuple[str | int, ...], mappings: Mappings) -> Iterator[Finding]:
    units = {"household": {"household"}, "person": {"household", "person"}}
    allowed = {
        name
        for name, variable in (mappings.variables | mappings.derived).items()
        if variable.unit in units.get(measure.unit, {"household", "person", "respondent"})
    }
    for position, share in enumerate(measure.shares):
        place = (*where, "shares", position)
        for key in ("universe", "numerator"):
            for found in _expression(getattr(share, key), file, (*place, key), mappings, allowed):
                if not isinstance(found, Expression):
                    yield found
                elif key == "numerator" and not found.variables:
                    yield file, (*place, key), "the numerator names no variable"
        if absent := set(MISSING_KINDS) - set(share.missing):
            yield file, (*place, "missing"), f"say what happens to {', '.join(sorted(absent))}"
        if share.missing.get("unmapped") == "not_in_numerator":
            yield file, (*place, "missing"), "an unmapped answer is unknown; it cannot count as not in the numerator"


def _instruments(mappings: Mappings) -> Iterator[Finding]:
    for name, instrument in mappings.instruments.items():
        file = f"instruments/{name}.yaml"
        if file not in mappings.hashes:
            yield file, (), f"instrument {name} belongs into {file}"
            continue
        consent = instrument.consent
        if consent and consent.column not in instrument.records[consent.record].columns:
            yield file, ("consent", "column"), f"{consent.column} is not a column of the record"
        if instrument.data_type == "household_survey" and consent is None:
            yield file, (), "a survey names its consent question (consent)"
        for record_name, record in instrument.records.items():
            yield from _record(record, file, ("records", record_name), mappings)
        for statement, item in instrument.statements.items():
            if item.indicator not in mappings.indicators:
                yield file, ("statements", statement), f"{item.indicator} is no indicator of the library"


def _record(record: Record, file: str, where: tuple[str | int, ...], mappings: Mappings) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for source, column in record.columns.items():
        place = (*where, "columns", source)
        if column.variable is not None:
            if column.variable in seen:
                yield file, place, f"{column.variable} is answered by {seen[column.variable]} already"
            seen[column.variable] = source
            yield from ((file, place, sentence) for sentence in _variable_column(column, column.variable, mappings))
        elif column.role == "group" and (strange := set(column.codes.values()) - {*mappings.groups, "F", "M", "all"}):
            yield file, place, f"{', '.join(sorted(strange))} is no group of groups.yaml"
    for key in ("key", "identity", "parent_key"):
        source_key = getattr(record, key)
        if source_key is not None and source_key not in record.columns:
            yield file, (*where, key), f"{source_key} is not listed among the columns"


def _variable_column(column: Column, name: str, mappings: Mappings) -> Iterator[str]:
    """What is wrong with a column that answers a variable."""
    variable = mappings.variables.get(name)
    if variable is None:
        derived = name in mappings.derived
        yield f"{name} {'is derived and cannot be asked' if derived else 'is no variable of the question bank'}"
        return
    yes_no = variable.type == "code" and set(mappings.codes(name)) == {"yes", "no"}
    if variable.type in ("code", "codes"):
        yield from _codes(column, name, yes_no=yes_no, mappings=mappings)
    if (column.positive or column.negative) and not yes_no:
        yield f"{name} is not a yes/no question: use codes, not positive and negative"
    if column.select == "multiple" and variable.type != "codes":
        yield f"{name} takes one answer; select multiple does not fit"
    sources = [*column.codes, *column.positive, *column.negative]
    sources += itertools.chain.from_iterable(column.missing.values())
    if twice := sorted({code for code in sources if sources.count(code) > 1}):
        yield f"source code {', '.join(twice)} means two things"


def _codes(column: Column, name: str, *, yes_no: bool, mappings: Mappings) -> Iterator[str]:
    codes = mappings.codes(name)
    if strange := set(column.codes.values()) - set(codes):
        yield f"{name} has no code {', '.join(sorted(strange))}; it has {', '.join(codes)}"
    if yes_no and not (column.positive and column.negative):
        yield f"{name} is a yes/no question: say which source codes are positive and negative"
    if yes_no and column.codes:
        yield f"{name} is a yes/no question: use positive and negative, not codes"
    if not yes_no and not column.codes:
        yield f"{name} needs codes: source code -> variable code"


def _breakdowns(mappings: Mappings) -> Iterator[Finding]:
    file = "breakdowns.yaml"
    for name, breakdown in mappings.breakdowns.items():
        if breakdown.categories_from is None and not breakdown.categories:
            yield file, ("breakdowns", name), f"{name} has no categories"
        for code, category in breakdown.categories.items():
            where = ("breakdowns", name, "categories", code)
            for found in _expression(category.when, file, where, mappings):
                if not isinstance(found, Expression):
                    yield found


def _retired(mappings: Mappings) -> Iterator[Finding]:
    """An id that inventory.yaml knows and no file holds any more must stand in retired.yaml, and never return."""
    current = inventory(mappings)
    known_file = mappings.folder / "schema" / "inventory.json"
    known = set(json.loads(known_file.read_text(encoding="utf-8"))) if known_file.exists() else set()
    for identifier in sorted(known - current - set(mappings.retired)):
        yield "retired.yaml", (), f"{identifier} has gone; retire it here with the reason and the day"
    for identifier in sorted(current & set(mappings.retired)):
        yield (
            "retired.yaml",
            ("retired", identifier),
            f"{identifier} is retired and in use: give the new one another id",
        )
    if fresh := current - known:
        yield "schema/inventory.json", (), f"not in the inventory: {', '.join(sorted(fresh))}; run `lnob lint --write`"


def inventory(mappings: Mappings) -> set[str]:
    """Every id that outputs may carry."""
    return {
        *(f"variable:{name}" for name in [*mappings.variables, *mappings.derived]),
        *(f"indicator:{code}" for code in mappings.indicators),
        *(f"series:{item.code}" for indicator in mappings.indicators.values() for item in indicator.series),
        *(f"instrument:{name}" for name in mappings.instruments),
        *(f"group:{code}" for code in mappings.groups),
    }


def write_inventory(mappings: Mappings) -> None:
    """Add new ids to the inventory; ids that have gone stay in it."""
    from lnob_pipeline.storage import write_bytes

    path = mappings.folder / "schema" / "inventory.json"
    known = set(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()
    write_bytes(path, (json.dumps(sorted(known | inventory(mappings)), indent=1) + "\n").encode())


def _schemas(mappings: Mappings) -> Iterator[Finding]:
    for name, text in schema_files().items():
        path = mappings.folder / "schema" / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"schema/{name}", (), "is not what the models say; run `lnob lint --write`"
