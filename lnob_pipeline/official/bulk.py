"""The UN's own bulk download of a release, taken in as a snapshot.

Here: files of the form of `Series/DataCSV` (CSV, or Parquet made of it), of any size: columns Goal, Target, Indicator,
SeriesCode, SeriesDescription, GeoAreaCode, GeoAreaName, TimePeriod, Value ..., then the dimensions and attributes,
their names in square brackets or not. Not here: what a value means (`values`), the folder itself (`snapshot`).

Source: the column names of the download of the UN SDG API and of its copies (October 2020, July 2022).
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from lnob_pipeline.official.pages import DIMENSION, TEXT_COLUMNS, dimension_name
from lnob_pipeline.official.snapshot import (
    OBSERVATIONS,
    ROWS,
    SnapshotError,
    finish,
    folders,
    new_folder,
    read_manifest,
    release_of,
    write_list,
)
from lnob_pipeline.storage import sha256_file, write_stream
from lnob_pipeline.warehouse import connect

ATTRIBUTE: Final = "attribute."  # prefix of columns that are no dimensions and that `ROWS` does not name

_MEMORY: Final = "250MB"  # of DuckDB while it sorts; the rest of the sort goes to disk
_BATCH: Final = 20_000  # rows handed over at a time

# Names as the downloads write them, lower case and without brackets -> the columns of `ROWS`, and of the lists.
_NAMES: Final = {
    "goal": "goal",
    "target": "target",
    "indicator": "indicator",
    "seriescode": "series",
    "series": "series",
    "seriesdescription": "title",
    "geoareacode": "area",
    "geoareaname": "area_name",
    "timeperiod": "year",
    "timeperiodstart": "year",
    "value": "value_text",
    "lowerbound": "lower_bound",
    "upperbound": "upper_bound",
    "baseperiod": "base_period",
    "time_detail": "time_detail",
    "timedetail": "time_detail",
    "source": "source",
    "footnote": "footnotes",
    "footnotes": "footnotes",
    "nature": "nature",
    "units": "units",
    "timecoverage": f"{ATTRIBUTE}time_coverage",
    "geoinfourl": f"{ATTRIBUTE}geo_info_url",
    "valuetype": f"{ATTRIBUTE}value_type",
    "observation_status": f"{ATTRIBUTE}observation_status",
    "unitmultiplier": f"{ATTRIBUTE}unit_multiplier",
    "unit_multiplier": f"{ATTRIBUTE}unit_multiplier",
}
_LISTS: Final = ("goal", "target", "indicator", "title", "area_name")  # of the framework, not of a row
_IGNORED: Final = ("seriescount", "value_num")  # a count of the service, a number that a copy added
_NEEDED: Final = ("goal", "target", "indicator", "series", "title", "area", "year", "value_text", "nature", "units")


def take(file: Path, root: Path, release: str, fetched: str) -> Path:
    """Make a snapshot of a bulk download and return its folder; the same file of a release is taken once.

    `fetched` is the day of the download as ISO text. The file is read as a stream: memory does not grow with it. Raises
    SnapshotError where the file lacks a column or a row cannot be read, and leaves nothing behind.
    """
    datetime.date.fromisoformat(fetched)
    digest = sha256_file(file)
    for folder in folders(root):
        if release_of(folder) == release and read_manifest(folder)[0].get("file_sha256") == digest:
            return folder
    with (
        new_folder(root, release) as staging,
        tempfile.TemporaryDirectory(prefix=".spill.", dir=root) as spill,
        connect(memory=_MEMORY, spill=Path(spill)) as connection,
    ):
        connection.execute("SET enable_progress_bar = false")
        try:
            table, names = _table_of(connection, file)
            chosen = [
                f'CAST("{table.columns[place]}" AS VARCHAR) AS "{column}"'
                for place, column in _columns(names, file).items()
            ]
            text = table.project(", ".join(chosen))
            links = text.project("series, title, indicator, goal, target").distinct().pl()
            name = "area_name" if "area_name" in text.columns else "NULL::VARCHAR AS area_name"
            areas = text.project(f"area, {name}").distinct().pl()
            kept = [f'"{name}"' for name in text.columns if name not in _LISTS]
            absent = [f'NULL::VARCHAR AS "{name}"' for name in TEXT_COLUMNS if name not in text.columns]
            ordered = text.project(", ".join([*kept, *absent])).order("series")
            batches = ordered.to_arrow_reader(_BATCH)
            frames = (pl.DataFrame(pl.from_arrow(batch)) for batch in batches)
            checksum = write_stream(frames, ROWS, staging / OBSERVATIONS)
        except (duckdb.Error, ValueError, OSError) as error:
            raise SnapshotError(f"{file} cannot be taken as a bulk download of the UN: {error}") from error
        written = pl.scan_parquet(staging / OBSERVATIONS)
        found = written.select(pl.len(), pl.col("area").unique().sort().implode()).collect()
        if not found["len"].item():
            raise SnapshotError(f"{file} holds no rows")
        parts: list[dict[str, Any]] = [{"path": OBSERVATIONS, "sha256": checksum}]
        lists = _lists(links, areas, release, file)
        parts += [write_list(staging, name, body) for name, body in lists.items()]
        about = {
            "route": "file",
            "base_url": f"bulk download {file.name} (United Nations Statistics Division)",
            "file_sha256": digest,
            "whole": True,  # nothing was left out of the question: what is not there, the release does not have
            "every_area": True,
            "areas": sorted({str(area).strip().zfill(3) for area in found["area"].item()}),
            "series": links["series"].unique().sort().to_list(),
            "not_in_release": [],
        }
        return finish(staging, root, release, fetched, about, int(found["len"].item()), parts)


def _table_of(connection: duckdb.DuckDBPyConnection, file: Path) -> tuple[duckdb.DuckDBPyRelation, list[str]]:
    """The file as a relation, not read yet, and its column names as they stand in it.

    CSV: UTF-8, commas, quotes doubled; every cell is text, and a row with fewer or more cells an error. Nothing is
    guessed from the first rows: guessing has been seen to skip rows in silence.
    """
    if not file.is_file():
        raise SnapshotError(f"{file} is not there")
    if file.suffix == ".parquet":
        table = connection.read_parquet(str(file))
        return table, table.columns
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        names = next(csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline="")), [])
    columns = {f"c{number}": "VARCHAR" for number in range(len(names))}
    table = connection.read_csv(
        str(file),
        header=True,
        sep=",",
        quotechar='"',
        escapechar='"',
        auto_detect=False,
        columns=columns,
        strict_mode=True,
    )
    return table, names


def _columns(names: list[str], file: Path) -> dict[int, str]:
    """Place of a column in the file -> column of the snapshot. Raises SnapshotError for a missing or a doubled one."""
    found: dict[int, str] = {}
    for place, name in enumerate(names):
        plain = dimension_name(name)
        if plain in _IGNORED:
            continue
        column = _NAMES.get(plain, DIMENSION + plain)
        if column in found.values():
            raise SnapshotError(f"{file}: two columns are {column}, {name!r} is the second. Remove one of them.")
        found[place] = column
    if missing := [name for name in _NEEDED if name not in found.values()]:
        raise SnapshotError(
            f"{file} is no bulk download of the UN: it lacks {', '.join(missing)}; it has {', '.join(names[:12])} ..."
        )
    return found


def _lists(links: pl.DataFrame, areas: pl.DataFrame, release: str, file: Path) -> dict[str, bytes]:
    """What the file says of its series, indicators and areas, in the shape of the lists of the API.

    A cell may name several goals, targets and indicators, in the same order (`1, 13, 11`).
    """
    columns = ("goal", "target", "indicator")
    split = links.with_columns(pl.col(columns).str.extract_all(r"[0-9A-Za-z.]+"))
    odd = split.filter((pl.col("goal").list.len() != pl.col("indicator").list.len()) | pl.col("indicator").is_null())
    odd = pl.concat([odd, split.filter(pl.col("target").list.len() != pl.col("indicator").list.len())])
    if odd.height:
        raise SnapshotError(f"{file}: goals, targets and indicators of series {odd['series'][0]} differ in number")
    pairs = split.explode(columns).drop_nulls("indicator").group_by("series", *columns).agg(pl.col("title").min())
    pairs = pairs.sort("series", "indicator", "target")
    series = (
        pairs.group_by("series", maintain_order=True)
        .agg(*columns, pl.col("title").first().alias("description"))
        .with_columns(pl.lit(release).alias("release"))
        .rename({"series": "code"})
    )
    indicators = (
        pairs.group_by("goal", "target", pl.col("indicator").alias("code"))
        .agg(pl.col("series").sort())
        .sort("code", "target")
        .with_columns(pl.lit(None, dtype=pl.String).alias("description"))
    )
    named = areas.group_by(pl.col("area").alias("geoAreaCode")).agg(pl.col("area_name").min().alias("geoAreaName"))
    frames = {"Series-List": series, "Indicator-List": indicators, "GeoArea-List": named.sort("geoAreaCode")}
    return {f"{name}.json": json.dumps(frame.to_dicts(), indent=0).encode() for name, frame in frames.items()}
