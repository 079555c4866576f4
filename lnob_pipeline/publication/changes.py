"""What differs between two releases: rows added, changed and withdrawn, by table and country.

Here: the comparison of two folders, and CHANGES.md. Not here: what changed between two official releases (the table
official_revisions), which releases there are (history), how the terminal shows it (cli_release).

Rows are told apart by the key of their table and joined in DuckDB, under a limit of memory: first narrow, key and a
hash of the rest, then only the rows that differ. A table whose file is the same in both is not read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq

from lnob_pipeline import storage, warehouse
from lnob_pipeline.publication import release_manifest
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.verify import verify_sums
from lnob_pipeline.tables import RELEASE_TABLES

NAME = "CHANGES.md"
MEMORY = "200MB"
BEHIND = ("official_release", "official_snapshot", "mapping_version", "code_version", "package_version")
"""Facts of manifest.json that explain why figures change."""
COUNTS = {
    "table": pl.String(),
    "iso3": pl.String(),
    "added": pl.Int64(),
    "changed": pl.Int64(),
    "withdrawn": pl.Int64(),
}
COLUMNS = {"table": pl.String(), "iso3": pl.String(), "column": pl.String(), "rows": pl.Int64()}


@dataclass(frozen=True)
class Changes:
    """What differs between the releases `before` and `now` (names).

    counts: rows by table and iso3 (empty for a table or a row without country), only where there are any. columns: in
    how many of the changed rows each column differs. structure: tables and columns that are there in one of the two
    alone, as sentences. submissions: added, changed (another version), withdrawn -> those submissions. behind: fact of
    the manifest -> what it was and what it is.
    """

    before: str
    now: str
    counts: pl.DataFrame
    columns: pl.DataFrame
    structure: tuple[str, ...]
    submissions: dict[str, list[str]]
    behind: dict[str, tuple[Any, Any]]

    def as_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "before": self.before,
            "now": self.now,
            "behind": {name: list(pair) for name, pair in self.behind.items()},
            "submissions": self.submissions,
            "structure": list(self.structure),
            "tables": self.counts.to_dicts(),
            "columns": self.columns.to_dicts(),
        }


def changes(before: Path, now: Path) -> Changes:
    """Compare two releases, given as their folders. Raises OSError where one cannot be read."""
    counts, columns, structure = [pl.DataFrame(schema=COUNTS)], [pl.DataFrame(schema=COLUMNS)], []
    there, here = _tables(before), _tables(now)
    with _database() as connection:
        for name in [*here, *(name for name in there if name not in here)]:
            files = _files(before, now, name)
            if name not in there or name not in here:
                structure.append(f"table {name} is {'new' if name in here else 'gone'}")
                counts.append(_all_rows(connection, files, name, new=name in here))
                continue
            structure += _columns_that_differ(files, name)
            if storage.sha256_file(files[0]) == storage.sha256_file(files[1]):
                continue
            key, rest = _compared(connection, files, here[name])
            if not key:
                structure.append(f"table {name}: a column of its key is in one release alone; rows are not compared")
                continue
            _find_differing(connection, files, key, rest)
            counts.append(_counts(connection, name))
            columns.append(_columns(connection, files, name, key, rest))
    facts, held = [_facts(folder) for folder in (before, now)], [_held(folder) for folder in (before, now)]
    common = held[0].keys() & held[1].keys()
    behind = {name: (facts[0].get(name), facts[1].get(name)) for name in BEHIND}
    return Changes(
        before=facts[0]["release"],
        now=facts[1]["release"],
        counts=pl.concat(counts),
        columns=pl.concat(columns),
        structure=tuple(structure),
        submissions={
            "added": sorted(held[1].keys() - common),
            "changed": sorted(name for name in common if held[0][name] != held[1][name]),
            "withdrawn": sorted(held[0].keys() - common),
        },
        behind={name: pair for name, pair in behind.items() if pair[0] != pair[1]},
    )


def examples(before: Path, now: Path, table: str, rows: int) -> pl.DataFrame:
    """The first `rows` rows of one table that differ, in the order of its key: what, the key, column, before, now.

    A changed row is a line for each column that differs, one that was added or withdrawn is one line. Raises ValueError
    for a table that one of the two releases lacks.
    """
    here = _tables(now)
    if table not in here or table not in _tables(before):
        raise ValueError(f"{table} is not a table of both releases; those of {now.name}: {', '.join(here)}")
    files = _files(before, now, table)
    with _database() as connection:
        key, rest = _compared(connection, files, here[table])
        if not key:
            return pl.DataFrame()
        _find_differing(connection, files, key, rest)
        first = f"SELECT key FROM differing ORDER BY key LIMIT {rows:d}"
        connection.execute(f"DELETE FROM differing WHERE key NOT IN ({first})")
        lines = ["SELECT what, key, '' AS name, '' AS before, '' AS now FROM differing WHERE what <> 'changed'"]
        if rest:
            values = ", ".join(
                f"{{'name': {_literal(name)}, 'b': b.r.{_name(name)}::VARCHAR, 'n': n.r.{_name(name)}::VARCHAR}}"
                for name in rest
            )
            lines.append(
                f"SELECT 'changed', key, v.name, coalesce(v.b, ''), coalesce(v.n, '') "
                f"FROM (SELECT d.key AS key, unnest([{values}]) AS v FROM {_pairs(files, key)}) "
                f"WHERE v.b IS DISTINCT FROM v.n"
            )
        together = " UNION ALL ".join(lines)
        columns = ", ".join(f"key.{_name(name)}" for name in key)
        query = f'SELECT what, {columns}, name AS "column", before, now FROM ({together}) ORDER BY key, name'
        return connection.sql(query).pl()


def write(folder: Path, content: ReleaseContent) -> None:
    """CHANGES.md: what differs from the release that is shown till now. Reads the files that lie in `folder`.

    A release before whose sums do not hold stops no new one: the file says so.
    """
    if content.previous is None:
        text = f"# What changed\n\n{content.facts['release']} is the first release: nothing to compare it with.\n"
    elif verify_sums(content.previous):
        text = f"# What changed\n\nThe release before, {content.previous.name}, cannot be read: nothing is compared.\n"
    else:
        text = markdown(changes(content.previous, folder))
    storage.write_bytes(folder / NAME, text.encode())


def markdown(found: Changes) -> str:
    """The text of CHANGES.md."""
    lines = ["# What changed", "", f"From release {found.before} to release {found.now}.", ""]
    if found.behind:
        lines += ["## What stands behind the figures", ""]
        lines += [f"- {name}: {before} before, {now} now" for name, (before, now) in found.behind.items()] + [""]
    if any(found.submissions.values()):
        lines += ["## Submissions", ""]
        lines += [f"- {what}: {', '.join(names)}" for what, names in found.submissions.items() if names] + [""]
    if found.structure:
        lines += ["## Tables and columns", "", *(f"- {sentence}" for sentence in found.structure), ""]
    lines += ["## Values", ""]
    if found.counts.is_empty():
        return "\n".join([*lines, "No row of any table differs.", ""])
    lines += [
        "Rows by table and country; behind the table's rows that changed, the columns that differ, and in how many.",
        "A row without a country counts under (none).",
        "",
        *_lines(by_column(found)),
        "",
    ]
    return "\n".join(lines)


def by_column(found: Changes) -> pl.DataFrame:
    """The counts for people: beside them the columns that differ, most often first, as text."""
    ranked = found.columns.sort("rows", "column", descending=[True, False]).group_by(
        "table", "iso3", maintain_order=True
    )
    texts = ranked.agg(pl.format("{} ({})", "column", "rows").str.join(", ").alias("columns that changed"))
    return (
        found.counts.join(texts, on=["table", "iso3"], how="left", maintain_order="left")
        .with_columns(pl.col("columns that changed").fill_null(""), pl.col("iso3").replace("", "(none)"))
        .rename({"iso3": "country"})
    )


def _lines(rows: pl.DataFrame) -> list[str]:
    """A frame as a Markdown table."""
    marks = ["---:" if kind.is_numeric() else "---" for kind in rows.dtypes]
    cells = [rows.columns, marks, *([str(cell) for cell in row] for row in rows.rows())]
    return ["| " + " | ".join(row) + " |" for row in cells]


# --- the two releases -------------------------------------------------------------------------------------------


def _facts(folder: Path) -> dict[str, Any]:
    """manifest.json as it is; an older release says less."""
    found: dict[str, Any] = json.loads((folder / release_manifest.NAME).read_bytes())
    return found


def _tables(folder: Path) -> dict[str, tuple[str, ...]]:
    """The tables of a release and their keys, in the order of RELEASE_TABLES, then those of other versions."""
    declared = {table.name: table.key for table in RELEASE_TABLES}
    said = _facts(folder)["tables"]
    names = [*(name for name in declared if name in said), *(name for name in sorted(said) if name not in declared)]
    return {name: tuple(said[name].get("key", declared.get(name, ()))) for name in names}


def _held(folder: Path) -> dict[str, str]:
    return release_manifest.held(pl.scan_parquet(folder / "sources.parquet"))


def _files(before: Path, now: Path, table: str) -> tuple[Path, Path]:
    return before / f"{table}.parquet", now / f"{table}.parquet"


def _columns_that_differ(files: tuple[Path, Path], table: str) -> Iterator[str]:
    there, here = (pq.read_schema(file) for file in files)
    yield from (f"column {table}.{name} is new" for name in here.names if name not in there.names)
    yield from (f"column {table}.{name} is gone" for name in there.names if name not in here.names)
    for name in here.names:
        if name in there.names and there.field(name).type != here.field(name).type:
            yield f"column {table}.{name} was {there.field(name).type} and is {here.field(name).type}"


# --- the comparison ---------------------------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        tempfile.TemporaryDirectory(prefix="lnob-changes-") as spill,
        warehouse.connect(memory=MEMORY, spill=Path(spill)) as connection,
    ):
        yield connection


def _compared(
    connection: duckdb.DuckDBPyConnection, files: tuple[Path, Path], key: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The columns that tell rows apart and those that are compared; no key where one release lacks a column of it.

    Where two rows have the same key, whole rows are told apart: one that changed is one withdrawn and one added.
    """
    there, here = (pq.read_schema(file) for file in files)
    common = [name for name in here.names if name in there.names and there.field(name).type == here.field(name).type]
    if not set(key) <= set(common):
        return [], []
    for file in files:
        twice = f"SELECT 1 FROM {_file(file)} GROUP BY {_struct(key)} HAVING count(*) > 1 LIMIT 1"
        if connection.execute(twice).fetchall():
            return common, []
    return list(key), [name for name in common if name not in key]


def _find_differing(
    connection: duckdb.DuckDBPyConnection, files: tuple[Path, Path], key: Sequence[str], rest: Sequence[str]
) -> None:
    """Make the table `differing`: what (added, changed, withdrawn), key (a struct: its nulls are equal), country."""
    content = ", ".join(["0", *map(_name, rest)])
    country = "coalesce(iso3, '')" if "iso3" in (*key, *rest) else "''"
    before, now = (
        f"(SELECT {_struct(key)} AS key, hash({content}) AS content, {country} AS country FROM {_file(file)})"
        for file in files
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE differing AS SELECT "
        f"CASE WHEN b.content IS NULL THEN 'added' WHEN n.content IS NULL THEN 'withdrawn' ELSE 'changed' END AS what, "
        f"coalesce(n.key, b.key) AS key, coalesce(n.country, b.country) AS country "
        f"FROM {before} b FULL JOIN {now} n ON b.key = n.key WHERE b.content IS DISTINCT FROM n.content"
    )


def _counts(connection: duckdb.DuckDBPyConnection, table: str) -> pl.DataFrame:
    counted = ", ".join(f"count(*) FILTER (what = '{what}')" for what in ("added", "changed", "withdrawn"))
    query = f"SELECT {_literal(table)}, country, {counted} FROM differing GROUP BY country ORDER BY country"
    return pl.DataFrame(connection.execute(query).fetchall(), schema=COUNTS, orient="row")


def _all_rows(
    connection: duckdb.DuckDBPyConnection, files: tuple[Path, Path], table: str, *, new: bool
) -> pl.DataFrame:
    """The counts of a table that only one of the two releases holds."""
    file = files[new]
    country = "coalesce(iso3, '')" if "iso3" in pq.read_schema(file).names else "''"
    counted = "count(*), 0, 0" if new else "0, 0, count(*)"
    query = f"SELECT {_literal(table)}, {country}, {counted} FROM {_file(file)} GROUP BY 2 ORDER BY 2"
    return pl.DataFrame(connection.execute(query).fetchall(), schema=COUNTS, orient="row")


def _columns(
    connection: duckdb.DuckDBPyConnection, files: tuple[Path, Path], table: str, key: Sequence[str], rest: Sequence[str]
) -> pl.DataFrame:
    """In how many of the changed rows each column differs, by country."""
    counted = ", ".join(f"count(*) FILTER (b.r.{_name(name)} IS DISTINCT FROM n.r.{_name(name)})" for name in rest)
    if not rest:
        return pl.DataFrame(schema=COLUMNS)
    query = f"SELECT d.country, {counted} FROM {_pairs(files, key)} GROUP BY d.country ORDER BY d.country"
    found = [
        (table, country, name, rows)
        for country, *numbers in connection.execute(query).fetchall()
        for name, rows in zip(rest, numbers, strict=True)
        if rows
    ]
    return pl.DataFrame(found, schema=COLUMNS, orient="row")


def _pairs(files: tuple[Path, Path], key: Sequence[str]) -> str:
    """SQL: `differing` d with the rows before (b.r) and now (n.r) of all that changed."""
    before, now = (f"(SELECT {_struct(key)} AS key, r FROM {_file(file)} r)" for file in files)
    changed = "(SELECT * FROM differing WHERE what = 'changed')"
    return f"{changed} d JOIN {before} b ON d.key = b.key JOIN {now} n ON d.key = n.key"


def _struct(key: Sequence[str]) -> str:
    return "struct_pack(" + ", ".join(f"{_name(name)} := {_name(name)}" for name in key) + ")"


def _file(path: Path) -> str:
    return f"read_parquet({_literal(str(path))})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
