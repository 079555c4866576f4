"""Whether a release is what was published: its sums, and that every form of every table says the same.

Here: reading a release back, as one sentence for each problem. Not here: what may be in it (disclosure), other
programs that read it (tests), which releases there are (history).

The sums come first; where one does not hold, the rest is not looked at. The forms of a table are measured against
manifest.json, which says its rows, key and columns: so a release of an earlier version is judged by what it declared
itself. A form that the manifest does not name in `outputs` may be absent.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError
from pydantic import ValidationError

from lnob_pipeline import storage, warehouse
from lnob_pipeline.publication import release_manifest
from lnob_pipeline.publication.release_manifest import ReleaseManifest, TableFacts
from lnob_pipeline.tables import ARROW, Kind

SUMS = "SHA256SUMS"
MEMORY = "200MB"
DUCKDB: dict[Kind, str] = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
}


def verify(folder: Path) -> list[str]:
    """Check a release. Returns one sentence for each problem, none when all is well."""
    return verify_sums(folder) or [f"{folder.name}: {problem}" for problem in _contents(folder)]


def verify_sums(folder: Path) -> list[str]:
    """Check the files of a release against its SHA256SUMS alone, as `sha256sum -c` does, and that no other is there."""
    if not (folder / SUMS).is_file():
        return [f"{folder.name}: {SUMS} is missing"]
    expected = {}
    for line in (folder / SUMS).read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {SUMS}
    return [
        *(f"{folder.name}: {name} is missing" for name in sorted(expected.keys() - present)),
        *(f"{folder.name}: {name} is not listed in {SUMS}" for name in sorted(present - expected.keys())),
        *(
            f"{folder.name}: {name} is not what was published"
            for name in sorted(expected.keys() & present)
            if storage.sha256_file(folder / name) != expected[name]
        ),
    ]


def _contents(folder: Path) -> Iterator[str]:
    try:
        manifest = release_manifest.read(folder)
    except ValidationError as error:
        for item in error.errors():
            yield f"{release_manifest.NAME}: {'.'.join(map(str, item['loc'])) or 'all of it'}: {item['msg']}"
        return
    except OSError as error:
        yield f"{release_manifest.NAME} cannot be read: {_reason(error)}"
        return
    yield from _facts(folder, manifest)
    for path in sorted(folder.glob("*.parquet")):
        if path.stem not in manifest.tables:
            yield f"{path.name} is no table of {release_manifest.NAME}"
    with warehouse.connect(memory=MEMORY) as connection:
        for name, table in manifest.tables.items():
            yield from _parquet(connection, folder / f"{name}.parquet", table)
    for output, check in OTHER_FORMS.items():
        if output in manifest.outputs:
            yield from check(folder, manifest)


def _facts(folder: Path, manifest: ReleaseManifest) -> Iterator[str]:
    """What the manifest says and the tables say too."""
    if manifest.release != folder.name and not folder.name.startswith("."):
        yield f"the folder bears another name than {release_manifest.NAME} says: {manifest.release}"
    try:
        sources = pl.read_parquet(folder / "sources.parquet")
        if release_manifest.held(sources) != manifest.submissions:
            yield f"the submissions of {release_manifest.NAME} are not those of sources"
        if bool(sources["synthetic"].any()) != manifest.synthetic:
            yield f"sources says otherwise than {release_manifest.NAME} whether people are synthetic"
        releases = pl.read_parquet(folder / "data_gaps.parquet", columns=["official_release"])["official_release"]
        if others := sorted(set(releases.drop_nulls().unique()) - {manifest.official_release}):
            yield f"data_gaps rests on another official release than {release_manifest.NAME} says: {', '.join(others)}"
    except (OSError, PolarsError) as error:
        yield f"sources or data_gaps cannot be read: {_reason(error)}"


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path, table: TableFacts) -> Iterator[str]:
    if not path.is_file():
        yield f"table {path.stem} is missing: there is no {path.name}"
        return
    if storage.sha256_file(path) != table.sha256:
        yield f"{path.name} has another sum than {release_manifest.NAME} says"
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        yield f"{path.name} cannot be read: {_reason(error)}"
        return
    declared = pa.schema([(column.name, ARROW[column.kind]) for column in table.columns])
    if not schema.remove_metadata().equals(declared):
        yield f"{path.name} has other columns or types than {release_manifest.NAME} says"
    elif twice := _twice(connection, path, table.key):
        yield f"{path.name} has {twice} keys that more than one row bears ({', '.join(table.key)})"
    for field in schema:
        if not (field.metadata or {}).get(b"description"):
            yield f"{path.name}: column {field.name} has no description"
    yield from _rows(path.name, rows, table)


def _twice(connection: duckdb.DuckDBPyConnection, path: Path, key: list[str]) -> int:
    """How many keys stand in more than one row of a Parquet file."""
    names = ", ".join(f'"{name}"' for name in key)
    grouped = f"SELECT 1 FROM read_parquet($path) GROUP BY {names} HAVING count(*) > 1"
    ((count,),) = connection.execute(f"SELECT count(*) FROM ({grouped})", {"path": str(path)}).fetchall()
    return int(count)


def _csv(folder: Path, manifest: ReleaseManifest) -> Iterator[str]:
    for name, table in manifest.tables.items():
        path = folder / f"{name}.csv"
        try:
            scan = pl.scan_csv(path, infer_schema=False)
            if scan.collect_schema().names() != table.names:
                yield f"{path.name} has other columns than {release_manifest.NAME} says"
            yield from _rows(path.name, scan.select(pl.len()).collect().item(), table)
        except (OSError, PolarsError) as error:
            yield f"{path.name} cannot be read: {_reason(error)}"


def _database(folder: Path, manifest: ReleaseManifest) -> Iterator[str]:
    path = folder / "lnob.duckdb"
    if not path.is_file():
        yield f"{path.name} is missing"
        return
    try:
        with warehouse.connect(path, read_only=True, memory=MEMORY) as connection:
            for name, table in manifest.tables.items():
                listed = connection.execute(f'DESCRIBE "{name}"').fetchall()
                if [row[:2] for row in listed] != [(column.name, DUCKDB[column.kind]) for column in table.columns]:
                    yield f"{path.name}: {name} has other columns or types than {release_manifest.NAME} says"
                ((counted,),) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()
                yield from _rows(f"{path.name}: {name}", counted, table)
    except duckdb.Error as error:
        yield f"{path.name} cannot be read: {_reason(error)}"


def _statistical(folder: Path, manifest: ReleaseManifest) -> Iterator[str]:
    """The files of Stata and SPSS: rows, and how many columns; they may shorten names."""
    import pyreadstat

    forms = (("stata", ".dta", pyreadstat.read_dta), ("spss", ".sav", pyreadstat.read_sav))
    for (place, ending, read), (name, table) in itertools.product(forms, manifest.tables.items()):
        path = folder / place / f"{name}{ending}"
        said = path.relative_to(folder).as_posix()
        try:
            _, about = read(str(path), metadataonly=True)
        except (OSError, pyreadstat.PyreadstatError, pyreadstat.ReadstatError) as error:
            yield f"{said} cannot be read: {_reason(error)}"
            continue
        if len(about.column_names) != len(table.columns):
            yield f"{said} has {len(about.column_names)} columns, {release_manifest.NAME} says {len(table.columns)}"
        yield from _rows(said, about.number_rows, table)


def _datapackage(folder: Path, manifest: ReleaseManifest) -> Iterator[str]:
    """datapackage.json: every resource is there, and every table is one."""
    try:
        package = json.loads((folder / "datapackage.json").read_bytes())
        paths = [resource["path"] for resource in package["resources"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"datapackage.json cannot be read as one: {_reason(error)}"
        return
    flat = [path for item in paths for path in (item if isinstance(item, list) else [item])]
    yield from (f"datapackage.json names {path}, which is not there" for path in flat if not (folder / path).is_file())
    stems = {Path(path).stem for path in flat}
    yield from (f"datapackage.json does not name table {name}" for name in manifest.tables if name not in stems)


def _rows(name: str, rows: int | None, table: TableFacts) -> Iterator[str]:
    if rows != table.rows:
        yield f"{name} has {rows} rows, {release_manifest.NAME} says {table.rows}"


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


OTHER_FORMS: dict[str, Callable[[Path, ReleaseManifest], Iterator[str]]] = {
    "csv": _csv,
    "duckdb": _database,
    "stata_spss": _statistical,
    "catalogue": _datapackage,
}
"""Name of an output in the manifest -> the check of its files."""
