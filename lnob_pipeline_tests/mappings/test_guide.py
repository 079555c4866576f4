"""The guide of the language: its example is a whole library, its expressions parse, and it leaves no field out."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from lnob_pipeline.mappings import examples, models
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.lint import lint
from lnob_pipeline.mappings.load import Mappings


@pytest.fixture
def guide(root: Path) -> str:
    return (root / "indicator_mappings" / "README.md").read_text("utf-8")


def blocks(guide: str) -> dict[str, str]:
    return dict(re.findall(r"^```yaml (\S+)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL))


def test_the_example_of_the_guide_is_a_clean_library(
    guide: str, library: Callable[[dict[str, str]], Mappings], tmp_path: Path
) -> None:
    found = blocks(guide)
    assert len(found) == 4 and guide.count("```yaml") == 4
    assert lint(library(found)) == []
    path = tmp_path / "indicator_mappings" / "variables" / "water.yaml"
    path.write_text(path.read_text("utf-8").replace("<= 30", "< 30"), "utf-8")
    (finding,) = lint(library({}))
    assert "examples/1/1.4.1.yaml:5: thirty minutes exactly are basic: expected in" in finding


def test_the_expressions_of_the_guide_are_of_the_language(guide: str) -> None:
    section = guide.partition("## Expressions")[2].partition("\n## ")[0]
    written = re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)
    assert len(written) >= 10
    for text in written:
        assert parse(text).sql


def test_the_guide_names_every_field_of_the_language(guide: str) -> None:
    said = set(
        re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", guide)) + " " + " ".join(blocks(guide).values()))
    )
    kinds = [
        kind
        for module in (models, examples)
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, BaseModel)
    ]
    fields = {field for kind in kinds for field in kind.model_fields}
    assert len(fields) > 80
    assert fields - said == set()
