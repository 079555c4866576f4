"""Homes of their own for whole runs: links to the bundled inbox, mappings and figures; outputs below tmp_path."""

from pathlib import Path

import pytest

from lnob_pipeline_tests.homes import project_folder


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return project_folder(tmp_path_factory.mktemp("plain")), project_folder(tmp_path_factory.mktemp("dagster"))
