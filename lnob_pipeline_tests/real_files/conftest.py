"""What the tests of real survey files share: the folder of the files beside the repository."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def citizen(shared: Path) -> Path:
    """The folder of real citizen surveys; the test skips where it is absent."""
    folder = shared / "citizen"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data/citizen with the real survey files is not beside the repository")
    return folder
