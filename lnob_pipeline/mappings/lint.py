"""Rules across mapping files: what a statistician could get silently wrong, said with file and line.

One file's own shape is checked while loading (models.py, load.py); the rules for each kind of file stand in
bank_rules.py, indicator_rules.py, instrument_rules.py and examples.py. Here: running them all, ids that vanished, and
the files that are written from the mappings (JSON Schemas, inventory).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.bank_rules import (
    breakdown_findings,
    country_findings,
    derived_findings,
    notes,
    question_findings,
)
from lnob_pipeline.mappings.examples import ExampleFile, example_findings
from lnob_pipeline.mappings.expressions import prepare
from lnob_pipeline.mappings.findings import Finding
from lnob_pipeline.mappings.framework_rules import framework_findings
from lnob_pipeline.mappings.indicator_rules import indicator_findings
from lnob_pipeline.mappings.instrument_rules import instrument_findings
from lnob_pipeline.mappings.load import Mappings, line_of, uncollected
from lnob_pipeline.mappings.models import (
    ApplicabilityFile,
    BreakdownFile,
    CountryFile,
    FitnessFile,
    GroupFile,
    Indicator,
    Instrument,
    LawFile,
    Model,
    VariableFile,
)
from lnob_pipeline.warehouse import connect

__all__ = ["inventory", "lint", "notes", "schema_files", "stale_schemas", "write_inventory", "write_schemas"]

SCHEMAS: dict[str, type[Model]] = {
    "variables": VariableFile,
    "indicator": Indicator,
    "instrument": Instrument,
    "examples": ExampleFile,
    "groups": GroupFile,
    "countries": CountryFile,
    "breakdowns": BreakdownFile,
    "applicability": ApplicabilityFile,
    "laws": LawFile,
    "fitness": FitnessFile,
}


def lint(mappings: Mappings) -> list[str]:
    """All findings as `file:line: sentence`, in order of file and line; empty when all is well."""
    lines: list[tuple[str, int, str]] = []
    with uncollected():
        every = list(_findings(mappings))
    for found in every:
        if isinstance(found, str):
            file, line, sentence = found.split(":", 2)
            lines.append((file, int(line), sentence.strip()))
            continue
        file, where, sentence = found
        path = mappings.folder / file
        text = path.read_text(encoding="utf-8") if path.exists() and path.suffix == ".yaml" else ""
        lines.append((file, line_of(text, where) if text else 1, sentence))
    return [f"{file}:{line}: {sentence}" for file, line, sentence in sorted(set(lines))]


def _findings(mappings: Mappings) -> Iterator[Finding | str]:
    """What every rule finds; a finished line where a file of examples cannot be read."""
    _read_expressions(mappings)
    yield from question_findings(mappings)
    yield from breakdown_findings(mappings)
    yield from country_findings(mappings)
    yield from instrument_findings(mappings)
    yield from framework_findings(mappings)
    with connect(threads=1) as connection, connect(threads=1) as beside, ThreadPoolExecutor(2) as pool:
        for each in (connection, beside):
            # A few hundred rows: reading the queries takes longer than running them.
            each.execute("PRAGMA disable_optimizer")
        # DuckDB reads the long queries of the examples and of the derived variables while the other rules run.
        examples = pool.submit(lambda: list(example_findings(mappings, beside)))
        derived = pool.submit(lambda: list(derived_findings(mappings, connection)))
        yield from _laws(mappings)
        yield from _retired(mappings)
        yield from derived.result()
        yield from indicator_findings(mappings, connection)
        yield from examples.result()


def _read_expressions(mappings: Mappings) -> None:
    """Read every expression of the library in one go."""
    texts = [derived.expression for derived in mappings.derived.values()]
    texts += [question.asked_if for question in mappings.variables.values() if question.asked_if]
    texts += [category.when for name in mappings.breakdowns for category in mappings.categories(name).values()]
    for indicator in mappings.indicators.values():
        for item in indicator.computed.values():
            if item.measure is not None:
                texts += [text for _, _, text in measures.expressions(item.measure)]
    prepare(texts)


@functools.lru_cache(maxsize=1)
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


def _laws(mappings: Mappings) -> Iterator[Finding]:
    """Each country of the partnership has its entry in the register of laws, and no other country has one."""
    if mappings.laws:
        for country in mappings.countries.keys() - mappings.laws.keys():
            yield "laws.yaml", ("laws",), f"{country} has no entry; write what is known, and what is uncertain"
        for country in mappings.laws.keys() - mappings.countries.keys():
            yield "laws.yaml", ("laws", country), f"{country} is no country of countries.yaml"


def _retired(mappings: Mappings) -> Iterator[Finding]:
    """An id that inventory.json knows and no file holds any more must stand in retired.yaml, and never return."""
    current = inventory(mappings)
    known_file = mappings.folder / "schema" / "inventory.json"
    known = set(json.loads(known_file.read_text(encoding="utf-8"))) if known_file.exists() else set()
    for identifier in sorted(known - current - set(mappings.retired)):
        yield "retired.yaml", (), f"{identifier} has gone; retire it here with the reason and the day"
    for identifier in sorted(set(mappings.retired) - known):
        yield "retired.yaml", ("retired", identifier), f"{identifier} was never in use; mend the id"
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
        *(f"series:{item.code}" for indicator in mappings.indicators.values() for item in indicator.components),
        *(f"instrument:{name}" for name in mappings.instruments),
        *(f"group:{code}" for code in mappings.groups),
    }


def write_inventory(mappings: Mappings) -> None:
    """Add new ids to the inventory; ids that have gone stay in it."""
    from lnob_pipeline.storage import write_bytes

    path = mappings.folder / "schema" / "inventory.json"
    known = set(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()
    write_bytes(path, (json.dumps(sorted(known | inventory(mappings)), indent=1) + "\n").encode())


def stale_schemas(folder: Path) -> list[str]:
    """The JSON Schemas of the folder of mappings that are not what the models say, a line each as `lint` gives them.

    Apart from `lint`: they change with the code of the models, never with what a statistician writes.
    """
    return [
        f"schema/{name}:1: is not what the models say; run `lnob lint --write`"
        for name, text in schema_files().items()
        if not (path := folder / "schema" / name).exists() or path.read_text(encoding="utf-8") != text
    ]
