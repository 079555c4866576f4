"""What the outputs of a release are made from: one value that every writer of stage 7 is handed.

Here: the contents, before they have a form. Not here: any form (tabular, statistical_packages, workbook, sdmx,
open_sdg, report, catalogue), what may be shown (disclosure), the folder and its swap (release).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES

HELD: Final = 100_000
"""Rows of a written table that is kept in memory once it was read; a longer one is read each time anew."""


class WrittenTables(Mapping[str, pl.DataFrame]):
    """The tables of a release as they lie in its Parquet files, by name, read when they are asked for.

    A gap table can have millions of rows, and most of what is written needs some of its columns or of its rows alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = cache(lambda name: self.scan(name).collect())

    def __getitem__(self, name: str) -> pl.DataFrame:
        if name not in tuple(self):
            raise KeyError(name)
        rows = self.scan(name).select(pl.len()).collect().item()
        return self._held(name) if rows <= HELD else self.scan(name).collect()

    def __iter__(self) -> Iterator[str]:
        return (table.name for table in RELEASE_TABLES)

    def __len__(self) -> int:
        return len(RELEASE_TABLES)

    def scan(self, name: str) -> pl.LazyFrame:
        """A table of which nothing is read yet."""
        return pl.scan_parquet(self._folder / f"{name}.parquet", glob=False)


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

    def scan(self, name: str) -> pl.LazyFrame:
        """A table to take columns or rows from: for those that can have millions of rows."""
        return self.tables.scan(name) if isinstance(self.tables, WrittenTables) else self.tables[name].lazy()

    def parts(self, name: str, rows: int, most: int | None = None) -> Iterator[pl.DataFrame]:
        """A table, or its first `most` rows, in parts of so many `rows`; one empty part for none."""
        count = min(self.rows(name), most or self.rows(name))
        for start in range(0, max(count, 1), rows):
            yield self.scan(name).slice(start, min(rows, count - start)).collect()

    def rows(self, name: str) -> int:
        """How many rows a table has."""
        return int(self.scan(name).select(pl.len()).collect().item())


Writer = Callable[[Path, ReleaseContent], None]
"""Writes its files below the folder of the release, through `storage`; the same content gives the same bytes."""
