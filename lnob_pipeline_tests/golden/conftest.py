"""A home of its own for whole runs: links to the bundled inbox, mappings and figures; outputs below tmp_path."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Path, Path]:
    made = []
    for name in ("plain", "dagster"):
        home = tmp_path_factory.mktemp(name)
        (home / "data").mkdir()
        (home / "indicator_mappings").symlink_to(root / "indicator_mappings")
        (home / "data" / "official").symlink_to(root / "data" / "official")
        (home / "data" / "submissions").symlink_to(root / "data" / "submissions")
        made.append(home)
    return made[0], made[1]
