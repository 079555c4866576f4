"""A small library of mappings that a test writes itself, and known answers without a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lnob_pipeline.mappings.lint import lint, write_inventory
from lnob_pipeline.mappings.load import MappingError, Mappings, load_mappings

BARE = {
    "groups.yaml": "groups: {}",
    "countries.yaml": """
parameters:
  school_age: {label: Entry age of primary school, unit: years, source: a test}
countries:
  KEN: {m49: "404", name: Kenya, languages: [sw, en], calendar: gregorian, phone: "254", admin1: {},
        parameters: {school_age: 6}}
  NPL: {m49: "524", name: Nepal, languages: [ne, en], calendar: gregorian, phone: "977", admin1: {}}
""",
    "breakdowns.yaml": "breakdowns: {}",
    "retired.yaml": "retired: {}",
    "applicability.yaml": "{}",
}


def findings(folder: Path) -> list[str]:
    """What lint, or loading before it, has to say."""
    try:
        return lint(load_mappings(folder))
    except MappingError as error:
        return error.problems


@pytest.fixture
def library(tmp_path: Path) -> Callable[[dict[str, str]], Mappings]:
    """A function: files below indicator_mappings -> the mappings, beside bare files for what is not given."""

    def make(files: dict[str, str]) -> Mappings:
        folder = tmp_path / "indicator_mappings"
        for name, text in (BARE | files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        mappings = load_mappings(folder)
        write_inventory(mappings)
        return mappings

    return make
