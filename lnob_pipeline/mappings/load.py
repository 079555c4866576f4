"""Read indicator_mappings/ into one object.

Here belong reading, and errors that say file and line. Rules across files are in lint.py. Loading is pure: the same
folder gives the same object, and nothing is cached between calls with another folder.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lnob_pipeline.mappings.framework import FOLDER as FRAMEWORK
from lnob_pipeline.mappings.framework import Framework, load_framework
from lnob_pipeline.mappings.models import (
    ApplicabilityFile,
    Breakdown,
    BreakdownFile,
    Category,
    Country,
    CountryFile,
    Criterion,
    DerivedVariable,
    FitnessFile,
    Group,
    GroupFile,
    Indicator,
    Instrument,
    Law,
    LawFile,
    Model,
    Parameter,
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
    """All mappings. `hashes`: path below the folder -> sha256; `files`: id (`variable:age`) -> that path."""

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
    parameters: dict[str, Parameter] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    laws: dict[str, Law] = field(default_factory=dict)
    fitness: dict[str, Criterion] = field(default_factory=dict)

    @functools.cached_property
    def framework(self) -> Framework:
        """All indicators of the global framework, every series known and the areas of the database; read when asked."""
        return load_framework(self.folder)

    def codes(self, variable: str) -> dict[str, str]:
        """Code -> label of a coded variable; empty for other types."""
        found = self.variables.get(variable) or self.derived[variable]
        if isinstance(found, Variable) and found.codes_from == "groups":
            return {code: group.label for code, group in self.groups.items()} | {"none": "None of these groups"}
        return found.codes

    def parameters_of(self, iso3: str | None) -> dict[str, float | None]:
        """Parameter -> its number in a country; None where the country (or no country) has none."""
        known = self.countries[iso3].parameters if iso3 else {}
        return {name: known.get(name) for name in self.parameters}

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
        """What stage 2 and 3 depend on: the instrument, the question bank, groups, countries, laws and criteria."""
        common = ("variables/", "groups.yaml", "countries.yaml", "laws.yaml", "fitness.yaml")
        return self.version(f"instruments/{instrument}.yaml", *common)


class _Loader(yaml.CSafeLoader):
    """YAML as it is meant: a key that stands twice in one place is an error, not the silent loss of the first."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._seen: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if id(node) not in self._seen:
            self._seen.add(id(node))
            keys: set[str] = set()
            for key, _ in node.value:
                if key.value in keys and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value} stands here twice, and only the last would count",
                        problem_mark=key.start_mark,
                    )
                if isinstance(key.value, str):
                    keys.add(key.value)
        super().flatten_mapping(node)


def read_file(folder: Path, name: str, model: type[FileModel]) -> tuple[FileModel | None, str, list[str]]:
    """One file below `folder`: the model, the sha256 of the bytes, and the problems as `file:line: sentence`."""
    content = (folder / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    try:
        return model.model_validate(yaml.load(content, Loader=_Loader)), digest, []
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        return None, digest, [f"{name}:{mark.line + 1 if mark else 1}: not YAML as it is meant: {problem}"]
    except ValidationError as error:
        text = content.decode(errors="replace")
        return None, digest, [f"{name}:{line_of(text, item['loc'])}: {_message(item)}" for item in error.errors()]


class _Reading:
    """One pass over the folder: hashes, where each id stands, and every problem met on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.problems: list[str] = []

    def one(self, path: Path, model: type[FileModel]) -> FileModel | None:
        name = path.relative_to(self.folder).as_posix()
        found, self.hashes[name], problems = read_file(self.folder, name, model)
        self.problems += problems
        return found

    def many(self, pattern: str, model: type[FileModel]) -> Iterator[tuple[str, FileModel]]:
        for path in sorted(self.folder.glob(pattern)):
            if (found := self.one(path, model)) is not None:
                yield path.relative_to(self.folder).as_posix(), found

    def place(self, identifier: str, name: str) -> None:
        first = self.files.setdefault(identifier, name)
        if first != name:
            self.problems.append(
                f"{name}:1: {identifier.replace(':', ' ')} stands in {first} already; keep one of the two"
            )


@functools.lru_cache(maxsize=4)
def _load(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Mappings:
    reading = _Reading(folder)
    variables: dict[str, Variable] = {}
    derived: dict[str, DerivedVariable] = {}
    for name, bank in reading.many("variables/*.yaml", VariableFile):
        for variable in [*bank.variables, *bank.derived]:
            reading.place(f"variable:{variable}", name)
        for variable in bank.variables.keys() & bank.derived.keys():
            reading.problems.append(f"{name}:1: {variable} is both a question and derived; rename one")
        variables |= bank.variables
        derived |= bank.derived
    groups = reading.one(folder / "groups.yaml", GroupFile)
    countries = reading.one(folder / "countries.yaml", CountryFile)
    breakdowns = reading.one(folder / "breakdowns.yaml", BreakdownFile)
    retired = reading.one(folder / "retired.yaml", RetiredFile)
    applicability = reading.one(folder / "applicability.yaml", ApplicabilityFile)
    laws = reading.one(folder / "laws.yaml", LawFile) if (folder / "laws.yaml").exists() else LawFile(laws={})
    fitness = reading.one(folder / "fitness.yaml", FitnessFile) if (folder / "fitness.yaml").exists() else None
    indicators = {}
    for name, indicator in reading.many("indicators/*/*.yaml", Indicator):
        reading.place(f"indicator:{indicator.indicator}", name)
        indicators[indicator.indicator] = indicator
    instruments = {}
    for name, instrument in reading.many("instruments/*.yaml", Instrument):
        reading.place(f"instrument:{instrument.instrument}", name)
        instruments[instrument.instrument] = instrument
    for path in sorted((folder / FRAMEWORK).glob("*.csv")):
        reading.hashes[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    if reading.problems or not (groups and countries and breakdowns and retired and applicability):
        raise MappingError(reading.problems)
    return Mappings(
        folder=folder,
        variables=variables,
        derived=derived,
        groups=groups.groups,
        countries=countries.countries,
        breakdowns=breakdowns.breakdowns,
        indicators=indicators,
        instruments=instruments,
        retired=retired.retired,
        hashes=reading.hashes,
        applicability=applicability,
        parameters=countries.parameters,
        files=reading.files,
        laws=laws.laws if laws else {},
        fitness=fitness.criteria if fitness else {},
    )


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles: a library is many small objects that all stay, and searching them takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_mappings(folder: Path) -> Mappings:
    """Read every mapping file below `folder`. Raises MappingError with file and line of every problem."""
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        raise MappingError([f"{folder} holds no mapping files; set LNOB_MAPPINGS to the folder indicator_mappings"])
    files += sorted((folder / FRAMEWORK).glob("*.csv"))
    stamp = tuple((path.as_posix(), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    with uncollected():
        return _load(folder, stamp)


@functools.lru_cache(maxsize=64)
def _composed(text: str) -> yaml.Node | None:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
    return node


def line_of(text: str, location: tuple[Any, ...]) -> int:
    """The line where a path of keys stands in a YAML text (the deepest key that is found), from 1."""
    node = _composed(text)
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
    if problem["type"] == "string_type":
        value = str(problem["input"])
        return f'{where}: YAML reads {value} as no text; put it in quotes ("yes", "11", "2020-10")'
    if problem["type"] == "extra_forbidden":
        return f"{where}: the language has no such word here; look for a slip in writing, or see the README"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
