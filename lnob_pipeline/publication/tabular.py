"""The tables of a release as files of rows: CSV, one DuckDB file, and the notes that lie beside them.

Here: plain forms that hold the tables as they are. Not here: Parquet (storage), forms with a meaning of their own
(SDMX, Open SDG, SPSS, Stata, workbook), the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline import storage, warehouse
from lnob_pipeline.publication import about
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.views import views
from lnob_pipeline.tables import RELEASE_TABLES, Table

DATABASE = "lnob.duckdb"
_FORMULA = r"^[=+\-@\t\r]"
_NEGATIVE_NUMBER = r"^-[0-9][0-9.,]*([eE][+-]?[0-9]+)?$"


def write_csv(folder: Path, content: ReleaseContent) -> None:
    """One CSV file a table: UTF-8, comma, newline; null is an empty field, an empty text is ""."""
    for table in RELEASE_TABLES:
        with storage.written_whole(folder / f"{table.name}.csv") as path, path.open("wb") as stream:
            for place, part in enumerate(content.parts(table.name, storage.ROW_GROUP_SIZE)):
                harmless(part).collect().write_csv(stream, include_header=place == 0)


def write_duckdb(folder: Path, content: ReleaseContent) -> None:
    """All tables and the views in one DuckDB file, from the Parquet files that lie in `folder`."""
    files = [(table, folder / f"{table.name}.parquet") for table in RELEASE_TABLES]
    warehouse.build_database(folder / DATABASE, files, views(content.mappings))


def write_documentation(folder: Path, content: ReleaseContent) -> None:
    """README.txt and manifest.json."""
    storage.write_bytes(folder / "README.txt", _readme(content.facts, RELEASE_TABLES).encode())
    text = json.dumps(content.facts, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    storage.write_bytes(folder / "manifest.json", text.encode())


def harmless(frame: pl.DataFrame) -> pl.LazyFrame:
    """A table whose texts a spreadsheet reads as data, for CSV.

    A text that a spreadsheet would run as a formula (= + - @ tab or carriage return in front) gets an apostrophe in
    front; negative numbers stay as they are. Source: OWASP, CSV injection.
    """
    text = pl.col(pl.String)
    runs = text.str.contains(_FORMULA) & ~text.str.contains(_NEGATIVE_NUMBER)
    return frame.lazy().with_columns(pl.when(runs).then("'" + text).otherwise(text).name.keep())


def _readme(facts: Mapping[str, Any], tables: tuple[Table, ...]) -> str:
    width = max(len(name) for name, _ in about.FILES)
    lines = [
        about.title(facts),
        "",
        *([about.SYNTHETIC, ""] * bool(facts.get("synthetic"))),
        *(f"{name:<{width}}  {purpose}" for name, purpose in about.FILES),
        "",
        "Tables",
        *(f"  {table.name:<22} {re.sub(' +', ' ', table.description)}" for table in tables),
        "",
        *about.HOW_TO_READ,
        "",
        f"Cite as: {about.citation(facts)}",
        "",
    ]
    return "\n".join(lines)
