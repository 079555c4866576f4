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
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.tables import RELEASE_TABLES, Table

DATABASE = "lnob.duckdb"
_FORMULA = r"^[=+\-@\t\r]"
_NEGATIVE_NUMBER = r"^-[0-9][0-9.,]*([eE][+-]?[0-9]+)?$"


def write_csv(folder: Path, content: ReleaseContent) -> None:
    """One CSV file a table."""
    for table in RELEASE_TABLES:
        storage.write_bytes(folder / f"{table.name}.csv", csv_bytes(content.tables[table.name]))


def write_duckdb(folder: Path, content: ReleaseContent) -> None:
    """All tables in one DuckDB file, from the Parquet files that lie in `folder`."""
    del content
    warehouse.build_database(folder / DATABASE, [(table, folder / f"{table.name}.parquet") for table in RELEASE_TABLES])


def write_documentation(folder: Path, content: ReleaseContent) -> None:
    """README.txt and manifest.json."""
    storage.write_bytes(folder / "README.txt", _readme(content.facts, RELEASE_TABLES).encode())
    text = json.dumps(content.facts, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    storage.write_bytes(folder / "manifest.json", text.encode())


def csv_bytes(frame: pl.DataFrame) -> bytes:
    """A table as CSV (UTF-8, comma, newline) that a spreadsheet reads as data.

    A text that a spreadsheet would run as a formula (= + - @ tab or carriage return in front) gets an apostrophe in
    front; negative numbers stay as they are. Null is an empty field, an empty text is "". Source: OWASP, CSV injection.
    """
    text = pl.col(pl.String)
    runs = text.str.contains(_FORMULA) & ~text.str.contains(_NEGATIVE_NUMBER)
    return frame.with_columns(pl.when(runs).then("'" + text).otherwise(text).name.keep()).write_csv().encode()


def _readme(facts: Mapping[str, Any], tables: tuple[Table, ...]) -> str:
    synthetic = facts.get("synthetic")
    lines = [
        f"Release {facts['release']} of the Leave No One Behind Partnership's citizen data",
        "",
        *(
            ["The people behind some or all of these figures do not exist: see sources.csv, column synthetic.", ""]
            * bool(synthetic)
        ),
        "index.html         the report; open it in a browser, no network needed",
        "gaps.html          every SDG indicator x country: which have an official figure, and of which year",
        "lnob.duckdb        all tables in one DuckDB file; every column has a comment",
        "<table>.parquet    one table; descriptions and units are in the Arrow field metadata",
        "<table>.csv        the same as text, UTF-8; an apostrophe stands before text that a spreadsheet would run",
        "manifest.json      where the figures come from: submissions, official release, versions, settings",
        "SHA256SUMS         check with: sha256sum -c SHA256SUMS",
        "",
        "Tables",
        *(f"  {table.name:<22} {re.sub(' +', ' ', table.description)}" for table in tables),
        "",
        "A null estimate is not zero: its status says why it is not shown.",
        "",
    ]
    return "\n".join(lines)
