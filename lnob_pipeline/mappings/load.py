"""Read indicator_mappings/ into one object.

Here belong reading, and errors that say file and line. Rules across files are in lint.py. Loading is pure: the same
folder gives the same object, and nothing is cached between calls with another folder.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lnob_pipeline.mappings.models import (
    ApplicabilityFile,
    Breakdown,
    BreakdownFile,
    Category,
    Country,
    CountryFile,
    DerivedVariable,
    Group,
    GroupFile,
    Indicator,
    Instrument,
    Model,
    RetiredFile,
    Variable,
    VariableFile,
)

FileModel = TypeVar("FileModel", bound=Model)


class MappingError(ValueError):
    """A mapping file cannot be used; `problems` are sentences that name file and line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, eq=False)
class Mappings:
    """All mappings. `hashes` holds the sha256 of each file by its path below the folder."""

    folder: Path
    variables: dict[str, Variable]
    derived: dict[str, DerivedVariable]
    groups: dict[str, Group]
    countries: dict[str, Country]
    breakdowns: dict[str, Breakdown]
    indicators: dict[str, Indicator]
    instruments: dict[str, Instrument]
    retired: dict[str, str]
    hashes: dict[str, str]
    applicability: ApplicabilityFile = field(default_factory=ApplicabilityFile)

    def codes(self, variable: str) -> dict[str, str]:
        """Code -> label of a coded variable; empty for other types."""
        found = self.variables.get(variable) or self.derived[variable]
        if isinstance(found, Variable) and found.codes_from == "groups":
            return {code: group.label for code, group in self.groups.items()} | {"none": "None of these groups"}
        return found.codes

    def categories(self, breakdown: str) -> dict[str, Category]:
        """Code -> category of a breakdown; those of the marginalised groups are made from groups.yaml."""
        found = self.breakdowns[breakdown]
        if found.categories_from is None:
            return found.categories
        return {
            code: Category(
                label=group.label,
                when=f"selected(marginalised_groups, '{code}')",
                official=[group.official.code] if group.official else [],
            )
            for code, group in self.groups.items()
        }

    def version(self, *prefixes: str) -> str:
        """A hash over the files whose path starts with one of `prefixes` (all files when none is given)."""
        chosen = sorted(
            f"{path} {digest}" for path, digest in self.hashes.items() if not prefixes or path.startswith(prefixes)
        )
        return hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:16]

    def instrument_version(self, instrument: str) -> str:
        """What stage 2 and 3 depend on: the instrument, the question bank, groups and countries."""
        return self.version(f"instruments/{instrument}.yaml", "variables/", "groups.yaml", "countries.yaml")


@functools.lru_cache(maxsize=4)
def _load(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Mappings:
    hashes: dict[str, str] = {}
    problems: list[str] = []

    def read(path: Path, model: type[FileModel]) -> FileModel | None:
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        hashes[name] = hashlib.sha256(content).hexdigest()
        try:
            return model.model_validate(yaml.load(content, Loader=yaml.CSafeLoader))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problems.append(f"{name}:{mark.line + 1 if mark else 1}: not YAML: {getattr(error, 'problem', error)}")
        except ValidationError as error:
            lines = content.decode(errors="replace")
            problems.extend(f"{name}:{line_of(lines, item['loc'])}: {_message(item)}" for item in error.errors())
        return None

    variables: dict[str, Variable] = {}
    derived: dict[str, DerivedVariable] = {}
    for path in sorted((folder / "variables").glob("*.yaml")):
        if bank := read(path, VariableFile):
            for name in (variables | derived).keys() & (bank.variables | bank.derived).keys():
                problems.append(f"{path.relative_to(folder).as_posix()}: the variable {name} is declared twice")
            variables |= bank.variables
            derived |= bank.derived
    groups = read(folder / "groups.yaml", GroupFile)
    countries = read(folder / "countries.yaml", CountryFile)
    breakdowns = read(folder / "breakdowns.yaml", BreakdownFile)
    retired = read(folder / "retired.yaml", RetiredFile)
    applicability = read(folder / "applicability.yaml", ApplicabilityFile)
    indicators = [read(path, Indicator) for path in sorted((folder / "indicators").glob("*/*.yaml"))]
    instruments = [read(path, Instrument) for path in sorted((folder / "instruments").glob("*.yaml"))]
    if problems or not (groups and countries and breakdowns and retired and applicability):
        raise MappingError(problems)
    return Mappings(
        folder=folder,
        variables=variables,
        derived=derived,
        groups=groups.groups,
        countries=countries.countries,
        breakdowns=breakdowns.breakdowns,
        indicators={item.indicator: item for item in indicators if item},
        instruments={item.instrument: item for item in instruments if item},
        retired=retired.retired,
        hashes=hashes,
        applicability=applicability,
    )


def load_mappings(folder: Path) -> Mappings:
    """Read every mapping file below `folder`. Raises MappingError with file and line of every problem."""
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        raise MappingError([f"{folder} holds no mapping files; set LNOB_MAPPINGS to the folder indicator_mappings"])
    stamp = tuple((path.as_posix(), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return _load(folder, stamp)


def line_of(text: str, location: tuple[Any, ...]) -> int:
    """The line where a path of keys stands in a YAML text (the deepest key that is found), from 1."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _message(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
