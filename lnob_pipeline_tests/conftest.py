"""What tests share: the mappings, a private copy of the settings, the folder of real data beside the repository."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.publication import release
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.thorough import FACTOR, tries

# A property is tested however slow the machine is; the number of examples stays.
hypothesis.settings.register_profile(
    "lnob", max_examples=tries(25), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("lnob")

ROOT = Path(__file__).resolve().parent.parent
LONG = ("test_privacy_end_to_end", "test_kill", "test_golden", "test_dagster_ui", "faults/", "cli/", "publication/")
"""Files of few and long tests: begun first, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what belongs to this run, and begin with the long files; the others stay in their order.

    In `make test` that is all but what is marked thorough; in `make thorough` that, and the random tests once more.
    """
    chosen = [item for item in items if (_is_thorough(item) if FACTOR else item.get_closest_marker("thorough") is None)]
    config.hook.pytest_deselected(items=list(set(items) - set(chosen)))
    items[:] = sorted(
        chosen, key=lambda item: next((place for place, name in enumerate(LONG) if name in item.nodeid), len(LONG))
    )


def _is_thorough(item: pytest.Item) -> bool:
    if any(item.get_closest_marker(name) for name in ("thorough", "repeated")):
        return True
    return hypothesis.is_hypothesis_test(getattr(item, "obj", None))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    """The mappings of the repository."""
    return load_mappings(ROOT / "indicator_mappings")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose outputs lie in a folder of the test; inbox, mappings and official figures are the bundled ones."""
    return Settings.load(
        lake=tmp_path / "lake", sealed=tmp_path / "lake" / "sealed", published=tmp_path / "published", as_of_year=2020
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; the test skips where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data with real test data is not beside the repository")
    return folder


def _few(patch: pytest.MonkeyPatch) -> None:
    few = tuple(output for output in release.OUTPUTS if output[0] in FEW)
    assert len(few) == len(FEW)
    patch.setattr(release, "OUTPUTS", few)


@pytest.fixture
def few_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases of Parquet, CSV, DuckDB and the texts about them, for tests that write many: the others take long."""
    _few(monkeypatch)


@pytest.fixture(scope="module")
def few_outputs_of_module() -> Iterator[None]:
    """The same for all tests of a module and what they share."""
    with pytest.MonkeyPatch.context() as patch:
        _few(patch)
        yield
