"""What the outputs of a release are made from: one value that every writer of stage 7 is handed.

Here: the contents, before they have a form. Not here: any form (tabular, statistical_packages, workbook, sdmx,
open_sdg, report, catalogue), what may be shown (disclosure), the folder and its swap (release).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings


@dataclass(frozen=True)
class ReleaseContent:
    """The disclosed tables of a release and what must be known of them.

    tables: one frame for each of RELEASE_TABLES, by name, in its form (columns, types, order). facts: what
    manifest.json holds: release, released_at (ISO 8601, UTC; the only time that an output may name), submissions,
    versions. previous: the folder that `latest` shows while this release is made; None for the first.
    """

    tables: Mapping[str, pl.DataFrame]
    mappings: Mappings
    settings: Settings
    facts: Mapping[str, Any]
    previous: Path | None = None


Writer = Callable[[Path, ReleaseContent], None]
"""Writes its files below the folder of the release, through `storage`; the same content gives the same bytes."""
