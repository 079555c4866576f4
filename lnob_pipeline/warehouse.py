"""The one door to DuckDB.

Here: opening a connection, and the DuckDB file of a release. Not here: queries (they live with the stage that asks
them) and the writing of other data files (`storage`). Everything else in the project is handed a connection.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from lnob_pipeline.storage import written_whole
from lnob_pipeline.tables import Table


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


def build_database(path: Path, tables: Sequence[tuple[Table, Path]]) -> None:
    """Write a DuckDB file with the given tables, each from its Parquet file, with comments on tables and columns.

    The file is built beside its place and swapped in, so that a reader holds the old or the new one. Raises ValueError
    for a table that is not public: this file leaves the house.
    """
    if closed := [table.name for table, _ in tables if table.visibility != "public"]:
        raise ValueError(f"{path.name} is for the public; these tables are not: {', '.join(closed)}")
    with written_whole(path) as temporary:
        temporary.unlink()  # DuckDB refuses to open an empty file
        with connect(temporary) as connection:
            for table, parquet in tables:
                connection.read_parquet(str(parquet)).create(table.name)
                connection.execute(f"COMMENT ON TABLE {table.name} IS {_literal(table.description)}")
                for column in table.columns:
                    comment = f"{column.description} ({column.unit})" if column.unit else column.description
                    connection.execute(f'COMMENT ON COLUMN {table.name}."{column.name}" IS {_literal(comment)}')


def _literal(text: str) -> str:
    """A text as an SQL literal; COMMENT takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
