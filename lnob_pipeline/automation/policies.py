"""Policies: when an asset asks for its own run, beside the nightly schedule.

Across the border from one-key-a-submission to the whole (estimation -> gaps) neither eager() nor
all_deps_blocking_checks_passed() is used: one rejected or missing key would hold everything.
Concept: https://docs.dagster.io (declarative automation).
"""

import dagster as dg

WHEN_ANYTHING_NEW = (
    dg.AutomationCondition.any_deps_updated().since_last_handled() & ~dg.AutomationCondition.any_deps_in_progress()
)
"""Once after any submission or the official figures have changed, and not while one is still being worked on."""
