"""Loading and linting the whole library is a matter of about a second, so that people run it after every change."""

import time
from pathlib import Path

from lnob_pipeline.mappings import expressions, load
from lnob_pipeline.mappings.lint import lint

MOST_SECONDS = 3.0
"""Of processor time; under 1 where nothing else runs. The margin is for slow and busy machines."""


def test_loading_and_lint_stay_quick(root: Path) -> None:
    seconds = []
    for _ in range(2):
        expressions._REMEMBERED.clear()
        load._load.cache_clear()
        start = time.process_time()
        assert lint(load.load_mappings(root / "indicator_mappings")) == []
        seconds.append(time.process_time() - start)
    assert min(seconds) < MOST_SECONDS
