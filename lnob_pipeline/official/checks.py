"""Checks of stage 5: what must hold of the official tables whatever the source, and what a person has to look at."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, OFFICIAL_RELEASES, OFFICIAL_REVISIONS, SDG_CATALOGUE

CHECKS = [
    dg.AssetCheckSpec(
        "one_row_an_observation",
        asset=OFFICIAL_OBSERVATIONS.name,
        description="Series, area, year, stratum and nature name one row; where the source contradicts itself, both "
        "rows are kept and this warns",
    ),
    dg.AssetCheckSpec(
        "only_loaded_series",
        asset=OFFICIAL_OBSERVATIONS.name,
        blocking=True,
        description="Every observation is of a series that the catalogue calls loaded",
    ),
    dg.AssetCheckSpec(
        "release_in_use",
        asset=OFFICIAL_OBSERVATIONS.name,
        blocking=True,
        description="Every observation is of the one release that is in use",
    ),
    dg.AssetCheckSpec(
        "no_release_is_held",
        asset=OFFICIAL_RELEASES.name,
        description="No release waits for a person because it holds much less than the one in use, which stays",
    ),
    dg.AssetCheckSpec(
        "revisions_of_the_release_in_use",
        asset=OFFICIAL_REVISIONS.name,
        blocking=True,
        description="Every revision is one of the release in use, and stands once",
    ),
]


def check_results(lake: Path) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the checks on the tables as written."""
    observations = pl.scan_parquet(storage.table_path(lake, OFFICIAL_OBSERVATIONS))
    catalogue = storage.read_table(lake, SDG_CATALOGUE)
    releases = storage.read_table(lake, OFFICIAL_RELEASES)
    revisions = storage.read_table(lake, OFFICIAL_REVISIONS)

    several = (
        observations.group_by(OFFICIAL_OBSERVATIONS.key)
        .len()
        .filter(pl.col("len") > 1)
        .select(pl.len())
        .collect()
        .item()
    )
    yield dg.AssetCheckResult(
        check_name="one_row_an_observation",
        asset_key=OFFICIAL_OBSERVATIONS.name,
        passed=several == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"observations with several values": several},
    )
    loaded = set(catalogue.filter("loaded")["series"])
    found = set(observations.select(pl.col("series").unique()).collect()["series"])
    yield dg.AssetCheckResult(
        check_name="only_loaded_series",
        asset_key=OFFICIAL_OBSERVATIONS.name,
        passed=found <= loaded,
        metadata={"not loaded": ", ".join(sorted(found - loaded)[:20])},
    )
    used = releases.filter(pl.col("state") == "in_use")["release"].to_list()
    told = set(observations.select(pl.col("release").unique()).collect()["release"]) | set(catalogue["release"])
    yield dg.AssetCheckResult(
        check_name="release_in_use",
        asset_key=OFFICIAL_OBSERVATIONS.name,
        passed=len(used) == 1 and told <= set(used),
        metadata={"in use": ", ".join(used), "in the tables": ", ".join(sorted(told))},
    )
    held = releases.filter(pl.col("state") == "held")
    yield dg.AssetCheckResult(
        check_name="no_release_is_held",
        asset_key=OFFICIAL_RELEASES.name,
        passed=held.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"held": " | ".join(f"{name}: {why}" for name, why in held.select("release", "held_because").rows())},
    )
    twice = revisions.height - revisions.select(OFFICIAL_REVISIONS.key).n_unique() if revisions.height else 0
    yield dg.AssetCheckResult(
        check_name="revisions_of_the_release_in_use",
        asset_key=OFFICIAL_REVISIONS.name,
        passed=twice == 0 and set(revisions["release"]) <= set(used),
        metadata={"revisions": revisions.height, "twice": twice},
    )
