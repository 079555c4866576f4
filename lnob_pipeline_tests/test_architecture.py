"""The rules of where things live, read from the imports of every module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnob_pipeline.pipeline import STAGES

PACKAGE = Path(__file__).resolve().parent.parent / "lnob_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
BELOW_ALL_STAGES = {"tables", "mappings", "messages", "storage", "warehouse", "settings"}
WITH_DAGSTER = {"assets.py", "checks.py", "definitions.py"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_belongs_in_it(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text and len(text) > 40


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_house(path: Path) -> None:
    place, names = name_of(path), set(imports(path))
    roots = {name.split(".")[0] for name in names}
    if not (path.name in WITH_DAGSTER or place.startswith("automation/")):
        assert "dagster" not in roots
    if place != "validation/expectations.py":
        assert not roots & {"pandas", "great_expectations"}
    if place not in ("official/http.py", "submissions/connectors/service.py"):
        assert "requests" not in roots
    if place != "warehouse.py":
        assert "duckdb.connect" not in {
            ast.unparse(n) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)
        }
    stage = place.split("/")[0]
    if stage in STAGES and path.name not in WITH_DAGSTER:
        allowed = {*STAGES[: STAGES.index(stage) + 1], *BELOW_ALL_STAGES}
        used = {name.split(".")[1] for name in names if name.startswith("lnob_pipeline.")} - {"__version__"}
        assert used <= allowed, f"{place} reaches up to {sorted(used - allowed)}"


def test_nothing_is_called_utils() -> None:
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "common")]


def test_loading_the_graph_loads_neither_great_expectations_nor_pandas() -> None:
    heavy = "('great_expectations', 'pandas')"
    code = f"import lnob_pipeline.definitions, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
