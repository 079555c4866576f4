"""The asset graph as a snapshot: a change of lineage, groups, checks, jobs or schedules shows in the diff.

Accept a wanted change with: LNOB_ACCEPT=1 python -m pytest lnob_pipeline_tests/automation/test_graph.py
"""

import json
import os
from pathlib import Path

import dagster as dg

from lnob_pipeline.definitions import defs

SNAPSHOT = Path(__file__).with_name("graph.json")


def graph() -> dict[str, object]:
    assets = {}
    for spec in defs.resolve_all_asset_specs():
        assets[spec.key.to_user_string()] = {
            "group": spec.group_name,
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "owners": list(spec.owners),
            "kinds": sorted(spec.kinds),
            "partitioned": spec.partitions_def is not None,
            "columns": [column.name for column in spec.metadata["dagster/column_schema"].columns]
            if "dagster/column_schema" in spec.metadata and spec.group_name != "harmonisation"
            else None,
        }
    checks = {}
    for asset in defs.assets or []:
        assert isinstance(asset, dg.AssetsDefinition)
        for check in asset.check_specs:
            checks[f"{check.asset_key.to_user_string()}:{check.name}"] = {"blocking": check.blocking}
    repository = defs.get_repository_def()
    return {
        "assets": assets,
        "checks": checks,
        "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        "schedules": {item.name: item.cron_schedule for item in repository.schedule_defs},
        "sensors": {item.name: item.default_status.value for item in repository.sensor_defs},
    }


def test_the_graph_is_as_recorded() -> None:
    found = json.dumps(graph(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("LNOB_ACCEPT"):
        SNAPSHOT.write_text(found, "utf-8")
    assert SNAPSHOT.read_text("utf-8") == found


def test_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_says_what_it_is() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description and spec.owners and spec.group_name and spec.kinds, spec.key
