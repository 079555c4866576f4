"""The one door to DuckDB.

Here: opening a connection, and the DuckDB file of a release. Not here: queries (they live with the stage that asks
them) and the writing of other data files (`storage`). Everything else in the project is handed a connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lnob_pipeline.storage import written_whole
from lnob_pipeline.tables import Table

BUILD_MEMORY = "300MB"
"""What DuckDB holds while it builds a file; more goes to the file itself."""


def connect(
    database: Path | None = None,
    *,
    read_only: bool = False,
    threads: int | None = None,
    memory: str | None = None,
    spill: Path | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open `database`, or an in-memory database when none is named.

    `threads` limits the worker threads, `memory` ("512MB") what DuckDB holds; what is more goes to the folder `spill`.
    """
    wanted = {"threads": threads, "memory_limit": memory, "temp_directory": None if spill is None else str(spill)}
    config: dict[str, str | bool | int | float | list[str]] = {k: v for k, v in wanted.items() if v is not None}
    return duckdb.connect(":memory:" if database is None else str(database), read_only=read_only, config=config)


@dataclass(frozen=True)
class View:
    """A named query over the tables of a database, with one sentence on what it holds.

    columns: what columns hold that the table `of` has not; the others hold what they hold there.
    """

    name: str
    description: str
    of: str
    columns: Mapping[str, str]
    query: str


def build_database(path: Path, tables: Sequence[tuple[Table, Path]], views: Sequence[View] = ()) -> None:
    """Write a DuckDB file: tables, each from its Parquet file, and views over them, all with comments.

    The file is built beside its place and swapped in, so that a reader holds the old or the new one. Raises ValueError
    for a table that is not public: this file leaves the house.
    """
    if closed := [table.name for table, _ in tables if table.visibility != "public"]:
        raise ValueError(f"{path.name} is for the public; these tables are not: {', '.join(closed)}")
    with written_whole(path) as temporary:
        temporary.unlink()  # DuckDB refuses to open an empty file
        with connect(temporary, memory=BUILD_MEMORY) as connection:
            for table, parquet in tables:
                connection.read_parquet(str(parquet)).create(table.name)
                connection.execute(f"COMMENT ON TABLE {table.name} IS {literal(table.description)}")
                _describe(connection, table.name, _descriptions(table))
            for view in views:
                connection.execute(f"CREATE VIEW {view.name} AS {view.query}")
                connection.execute(f"COMMENT ON VIEW {view.name} IS {literal(view.description)}")
                source = next(table for table, _ in tables if table.name == view.of)
                described = {**_descriptions(source), **view.columns}
                names = connection.table(view.name).columns
                _describe(connection, view.name, {name: described[name] for name in names})


def _descriptions(table: Table) -> dict[str, str]:
    """Column -> what it holds, with its unit."""
    return {
        column.name: f"{column.description} ({column.unit})" if column.unit else column.description
        for column in table.columns
    }


def _describe(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str]) -> None:
    for column, description in columns.items():
        connection.execute(f'COMMENT ON COLUMN {name}."{column}" IS {literal(description)}')


def literal(text: str) -> str:
    """A text as an SQL literal; COMMENT takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
