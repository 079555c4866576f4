"""Frames, settings and a release for the tests of stage 7."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.publication.release_factory import HOME, disclosed


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return load_mappings(HOME / "indicator_mappings")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(home=tmp_path, mappings=HOME / "indicator_mappings")


@pytest.fixture(scope="session")
def tables(mappings: Mappings) -> dict[str, pl.DataFrame]:
    """All tables of a release, disclosed; tests do not change them."""
    return disclosed(mappings)


@pytest.fixture
def small(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """A release of few rows, for tests that write it many times."""
    return {
        name: frame.filter(pl.col("iso3") == "BGD") if "iso3" in frame.columns else frame
        for name, frame in tables.items()
    }
