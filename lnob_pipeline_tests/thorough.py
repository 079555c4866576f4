"""How long the random tests run: short in `make test`, long in `make thorough`.

Here: the factor and nothing else. What is marked `thorough` (conftest.py) runs in `make thorough` alone.
"""

import os

FACTOR = int(os.environ.get("LNOB_THOROUGH", "0"))
"""0 in `make test`; in `make thorough` how many times as many random examples are tried."""


def tries(number: int) -> int:
    """The number of random examples of a test: `number` in `make test`."""
    return number * max(FACTOR, 1)
