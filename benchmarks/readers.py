"""Rows a second and peak memory of each reader, as ratios to the bare library that opens such files.

A table of 12 columns (codes, whole numbers, decimals, dates as text, free text with Bengali and commas) is written in
each format with the library's own writer; csv_crlf is the same text with the line ends of Windows and every text in
quotation marks. Measured, each in a process of its own: the reader as the pipeline calls it, in its child process but
for plain text, after a first file of ten rows (starts); the same reader without a child; and the bare library (calamine
for workbooks, pyreadstat for SPSS and Stata, Polars for text and Parquet, the standard library for JSON). What holds or
fails is the reader as the pipeline calls it. A reader gives text; so that the same work is compared, the columns of a
Parquet file, which have types, become text on both sides, and Polars reads a CSV as text. Calamine and pyreadstat stop
at objects and numbers. Peak memory is that of the process and its child together; the bytes of the file are in memory
on both sides. The ways take turns, and the best of each counts. Prints ratios, never fails.
Run with `make bench`, or `python -m benchmarks.readers --rows 10000 --rows 1000000`.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile

FORMATS = {
    "csv": "csv",
    "csv_crlf": "csv",
    "xlsx": "xlsx",
    "ods": "ods",
    "spss": "sav",
    "stata": "dta",
    "parquet": "parquet",
    "kobo_json": "json",
}
"""Format of the manifest -> extension."""
LARGEST = {"ods": 100_000}
"""An .ods of a million rows is beyond what an office suite opens."""
WITHOUT_BAR = ("kobo_json",)
"""The standard library's parser makes no table, so that there is nothing to hold a reader against."""
BAR_CELLS, BAR_TIME, BAR_MEMORY = 1_000_000, 1.5, 2.0


def table(rows: int) -> pl.DataFrame:
    """The table, the same for the same number of rows."""
    number = pl.int_range(rows)
    mixed = number.hash(seed=7)
    codes = pl.Series("code", ["piped", "borehole", "surface", "dug_well", "bottled"])
    words = pl.Series("word", ["ঢাকা, উত্তর", "near the school", 'called "old market"', "gần chợ", "none"])
    columns: dict[str, Any] = {
        "id": number + 1,
        **{f"code_{place}": codes.gather((mixed // 7**place) % 5) for place in range(5)},
        "age": (mixed % 90).cast(pl.Int64),
        "minutes": (mixed // 11 % 240).cast(pl.Int64),
        "weight": ((mixed // 13 % 10_000).cast(pl.Float64) / 1000 + 0.1).round(4),
        "day": pl.lit("2019-05-") + (mixed % 28 + 1).cast(pl.String).str.zfill(2),
        "remark": words.gather(mixed // 17 % 5),
        "asked": codes.gather(mixed // 19 % 5),
    }
    return pl.select(**columns)


def write(frame: pl.DataFrame, name: str, path: Path) -> None:
    """Write the table in a format, with a library that is not the reader."""
    match name:
        case "csv":
            frame.write_csv(path)
        case "csv_crlf":
            frame.write_csv(path, line_terminator="\r\n", quote_style="non_numeric")
        case "parquet":
            frame.write_parquet(path)
        case "xlsx":
            _write_xlsx(frame, path)
        case "ods":
            _write_ods(frame, path)
        case "kobo_json":
            path.write_text(json.dumps(frame.to_dicts(), ensure_ascii=False), "utf-8")
        case _:
            import pyreadstat

            writer = pyreadstat.write_sav if name == "spss" else pyreadstat.write_dta
            writer(frame.to_pandas(), str(path))


def _write_xlsx(frame: pl.DataFrame, path: Path) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False})
    sheet = book.add_worksheet("survey")
    sheet.write_row(0, 0, frame.columns)
    for place, row in enumerate(frame.iter_rows(), start=1):
        sheet.write_row(place, 0, row)
    book.close()


def _write_ods(frame: pl.DataFrame, path: Path) -> None:
    import zipfile
    from xml.sax.saxutils import escape

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'
        kind = f'office:value-type="float" office:value="{value}"'
        return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"

    kind, names = "application/vnd.oasis.opendocument.spreadsheet", "urn:oasis:names:tc:opendocument:xmlns"
    parts = f'<m:file-entry m:full-path="/" m:media-type="{kind}"/>'
    parts += '<m:file-entry m:full-path="content.xml" m:media-type="text/xml"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{names}:manifest:1.0">{parts}</m:manifest>')
        rows = [tuple(frame.columns), *frame.iter_rows()]
        body = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
        archive.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{names}:office:1.0" xmlns:table="{names}:table:1.0" '
            f'xmlns:text="{names}:text:1.0" office:version="1.2"><office:body><office:spreadsheet>'
            f'<table:table table:name="survey">{body}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )


def bare(name: str, path: Path, content: bytes) -> Any:
    """Open the file with the library and nothing else."""
    match name:
        case "csv" | "csv_crlf":
            return pl.read_csv(content, infer_schema=False)
        case "parquet":
            return pl.read_parquet(content).cast(pl.String)
        case "kobo_json":
            return json.loads(content)
        case "xlsx" | "ods":
            from python_calamine import load_workbook

            with load_workbook(io.BytesIO(content)) as book:
                return book.get_sheet_by_index(0).to_python(skip_empty_area=False)
        case _:
            import pyreadstat

            reader = pyreadstat.read_sav if name == "spss" else pyreadstat.read_dta
            return reader(str(path))


def measure(way: str, name: str, path: Path) -> dict[str, float]:
    """Run one way to read the file here: seconds (first call, wall, processors), peak memory (bytes), rows."""
    from lnob_pipeline.submissions.readers import child, read_file, read_here

    content = path.read_bytes()
    file = DataFile.model_validate({"path": path.name, "role": "data", "format": name.removesuffix("_crlf")})
    small = path.with_name("small" + path.suffix)
    ways: dict[str, Callable[[Path, bytes], Any]] = {
        "bare": lambda where, text: bare(name, where, text),
        "reader": lambda _, text: read_here(text, file),
        "pipeline": lambda _, text: read_file(text, file),
    }
    start = time.perf_counter()
    ways[way](small, small.read_bytes())  # imports, and the start of a child, are not counted below
    first = time.perf_counter() - start
    start, worked = time.perf_counter(), time.process_time()
    made = ways[way](path, content)
    wall, processor = time.perf_counter() - start, time.process_time() - worked
    rows = 0 if way == "bare" else next(iter(made.values())).frame.height
    child._end_with_the_parent()
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
    return {"first": first, "wall": wall, "processor": processor, "peak": peak, "rows": rows}


def main() -> None:
    """Measure every format at every size; print the table."""
    from rich.console import Console
    from rich.table import Table

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, action="append", help="sizes; 10,000 and 1,000,000 if not given")
    arguments.add_argument("--format", choices=list(FORMATS), action="append", help="formats; all if not given")
    arguments.add_argument("--repeat", type=int, default=2, help="how often each is timed; the best counts")
    arguments.add_argument("--only", nargs=3, metavar=("WAY", "FORMAT", "FILE"), help="measure one in this process")
    chosen = arguments.parse_args()
    if chosen.only:
        way, name, path = chosen.only
        print(json.dumps(measure(way, name, Path(path))))
        return
    shown = Table(title="Readers against the bare library")
    heads = (
        "format",
        "rows",
        "bare s",
        "starts, s",
        "pipeline s",
        "x time",
        "k rows/s",
        "x memory",
        "without child s",
        "x time",
        "",
    )
    for head in heads:
        shown.add_column(head, justify="right")
    for rows in chosen.rows or [10_000, 1_000_000]:
        frame = table(rows)
        for name in chosen.format or FORMATS:
            frame_here = frame.head(LARGEST.get(name, rows))
            with tempfile.TemporaryDirectory() as folder:
                shown.add_row(*_line(frame_here, name, Path(folder), chosen.repeat))
    Console(width=140).print(shown)


def _line(frame: pl.DataFrame, name: str, folder: Path, repeat: int) -> tuple[str, ...]:
    path = folder / f"survey.{FORMATS[name]}"
    write(frame, name, path)
    write(frame.head(10), name, path.with_name("small" + path.suffix))
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeat):
        for way in ("bare", "reader", "pipeline"):
            command = [sys.executable, "-m", "benchmarks.readers", "--only", way, name, str(path)]
            done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            if way not in best or done["wall"] < best[way]["wall"]:
                best[way] = done
    plain, ours, here = best["bare"], best["pipeline"], best["reader"]
    assert ours["rows"] == here["rows"] == frame.height, f"{name}: rows are lost"
    seconds, memory = ours["wall"] / plain["wall"], ours["peak"] / plain["peak"]
    large = frame.height * frame.width > BAR_CELLS
    holds = memory <= BAR_MEMORY and (seconds <= BAR_TIME or not large)
    return (
        name,
        f"{frame.height:,}",
        f"{plain['wall']:.3g}",
        f"{ours['first']:.2g}",
        f"{ours['wall']:.3g}",
        f"{seconds:.2f}",
        f"{frame.height / ours['wall'] / 1000:,.0f}",
        f"{memory:.2f}",
        f"{here['wall']:.3g}",
        f"{here['wall'] / plain['wall']:.2f}",
        "no bar" if name in WITHOUT_BAR else "pass" if holds else "FAIL",
    )


if __name__ == "__main__":
    main()
