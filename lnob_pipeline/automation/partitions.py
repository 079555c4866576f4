"""Partitions: stages 1 to 4 have one key a submission, so that a bad hand-in turns red alone.

The keys are dynamic: the inbox sensor and the command line add them; they can be rebuilt from the inbox at any time.
Concept: https://docs.dagster.io (dynamic partitions).
"""

import dagster as dg

SUBMISSIONS = dg.DynamicPartitionsDefinition(name="submissions")


def add_keys(instance: dg.DagsterInstance, keys: list[str]) -> list[str]:
    """Add the keys that are not there yet; return those."""
    known = set(instance.get_dynamic_partitions("submissions"))
    new = [key for key in keys if key not in known]
    if new:
        instance.add_dynamic_partitions("submissions", new)
    return new
