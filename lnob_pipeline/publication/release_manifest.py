"""What manifest.json of a release says: its fields, what they mean, how they are filled, and how they are read.

Here: the facts about a release as a whole. Not here: facts about columns (tables), the sums of all files (SHA256SUMS),
the manifest of a hand-in (submissions/manifest.py). The fields are a pydantic model, so that
`ReleaseManifest.model_json_schema()` is the JSON Schema of the file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.content import WrittenTables
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import RELEASE_TABLES, Kind

NAME = "manifest.json"
HASH = "^[0-9a-f]{64}$"


class ColumnFacts(BaseModel):
    """One column of a table."""

    name: str
    kind: Kind


class TableFacts(BaseModel):
    """One table of the release."""

    rows: int = Field(ge=0, description="Rows; the same in every form of the table")
    sha256: str = Field(pattern=HASH, description="Of its Parquet file")
    key: list[str] = Field(description="Columns that together are one of a kind in each row")
    columns: list[ColumnFacts] = Field(description="The columns in order")

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]


class MappingVersions(BaseModel):
    """Versions of the mapping files that made the figures: starts of a sha256 over the files."""

    indicators: dict[str, str] = Field(description="SDG indicator to the version of its file")
    instruments: dict[str, str] = Field(
        description="Instrument to the version of its file together with what it rests on (question bank, groups ...)"
    )


class ReleaseManifest(BaseModel):
    """manifest.json of a release: where every figure in it comes from."""

    model_config = ConfigDict(extra="allow")

    release: str = Field(description="Name of the release and of its folder: <date>_<start of hash>")
    released_at: str = Field(description="When it was made, ISO 8601, UTC; the only time in a release")
    hash: str = Field(pattern=HASH, description="sha256 over the Parquet files, code version and mapping version")
    previous: str | None = Field(None, description="The release that was shown before; null for the first")
    synthetic: bool = Field(description="People behind some or all figures do not exist")
    submissions: dict[str, str] = Field(
        description="Submissions whose figures or evidence the release holds, each with the sha256 of its content"
    )
    official_release: str | None = Field(description="Official release in use; null for none")
    official_snapshot: str | None = Field(None, description="The official figures in words: release, how and when")
    mapping_version: str = Field(description="Version of all mapping files together")
    mapping_versions: MappingVersions
    code_version: str = Field(description="Hash of the code that made the release")
    package_version: str | None = Field(None, description="Version of the package")
    settings: dict[str, Any] = Field(description="Every setting that is no folder, by name")
    outputs: list[str] = Field(description="What was written beside Parquet")
    tables: dict[str, TableFacts]


def held(sources: pl.DataFrame | pl.LazyFrame) -> dict[str, str]:
    """Submission -> version of those that the release shows something of: only they have an instrument in `sources`."""
    rows = sources.lazy().filter(pl.col("instrument").is_not_null()).select("submission_id", "version").collect()
    return dict(rows.sort("submission_id").iter_rows())


def facts(
    tables: WrittenTables,
    sums: Mapping[str, str],
    mappings: Mappings,
    settings: Settings,
    outputs: Sequence[str],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of manifest.json. tables: as they were written; sums: sha256 of each Parquet file by its name.

    provenance: the other fields of ReleaseManifest. Folders of this machine are left out.
    """
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        "mapping_version": mappings.version(),
        **provenance,
        "synthetic": bool(tables["sources"]["synthetic"].any()),
        "submissions": held(tables["sources"]),
        "mapping_versions": {
            "indicators": {name: mappings.version(mappings.files[f"indicator:{name}"]) for name in mappings.indicators},
            "instruments": {name: mappings.instrument_version(name) for name in mappings.instruments},
        },
        "settings": {name: value for name, value in values.items() if not isinstance(value, Path)},
        "outputs": list(outputs),
        "tables": {
            table.name: {
                "rows": tables.scan(table.name).select(pl.len()).collect().item(),
                "sha256": sums[f"{table.name}.parquet"],
                "key": list(table.key),
                "columns": [{"name": column.name, "kind": column.kind} for column in table.columns],
            }
            for table in RELEASE_TABLES
        },
    }


def read(folder: Path) -> ReleaseManifest:
    """The manifest of a release. Raises OSError, or ValueError where it is not as described here."""
    return ReleaseManifest.model_validate_json((folder / NAME).read_bytes())
