"""The programs that people open a release with find the same numbers, letters, days and gaps as stand in its tables."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pandas as pd  # noqa: TID251 - a client like the others
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.code_lists import code_lists
from lnob_pipeline.publication.statistical_packages import SHORT_NAMES, SPSS_LABEL, STATA_LABEL
from lnob_pipeline.publication.views import views
from lnob_pipeline.tables import RELEASE_TABLES

Frames = dict[str, pl.DataFrame]
BY_NAME = {table.name: table for table in RELEASE_TABLES}
TABLES = ("sources", "citizen_estimates", "comparison", "data_gaps", "decisions", "official_observations", "codes")
"""What every client reads: all kinds of columns, missing values, other scripts."""


def same(found: pl.DataFrame, expected: pl.DataFrame, *, empty_is_null: bool) -> None:
    """Every row and column; text that came as such is cast to the kinds of the table.

    empty_is_null: for clients that know no difference between no text and an empty one.
    """
    assert found.columns == expected.columns
    typed = found.select(_cast(pl.col(name), found.schema[name], kind) for name, kind in expected.schema.items())
    if empty_is_null:
        typed, expected = (frame.with_columns(pl.col(pl.String).fill_null("")) for frame in (typed, expected))
    assert_frame_equal(typed, expected, rel_tol=1e-13, abs_tol=0)


def _cast(value: pl.Expr, have: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    if have == wanted:
        return value
    if wanted == pl.Boolean:
        return (
            value.cast(pl.String)
            .str.to_lowercase()
            .replace_strict(
                {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False},
                return_dtype=pl.Boolean,
            )
        )
    if wanted == pl.Int32:
        return value.cast(pl.Float64).cast(pl.Int32)
    if wanted == pl.Date and have == pl.String:
        return pl.coalesce(value.str.to_date("%Y-%m-%d", strict=False), value.str.to_date("%m/%d/%Y", strict=False))
    return value.cast(wanted)


def read_text(path: Path) -> pl.DataFrame:
    """A CSV file that a client wrote, all text."""
    return pl.read_csv(path, infer_schema=False)


def run(arguments: Iterable[str | Path], folder: Path) -> str:
    """Run a client with a home of its own; what it printed. A client that ends badly fails the test."""
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(each) for each in arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def client(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def r_with(package: str, folder: Path) -> str:
    found = client("Rscript")
    if run([found, "-e", f"cat(requireNamespace('{package}', quietly = TRUE))"], folder).strip() != "TRUE":
        pytest.skip(f"the R package {package} is not installed")
    return found


# Python and SQL


def test_polars(release: Path, frames: Frames) -> None:
    for name, frame in frames.items():
        assert pl.read_parquet(release / f"{name}.parquet").equals(frame)
        text = frame.schema
        back = pl.read_csv(release / f"{name}.csv", schema=text)
        numbers = [column for column, kind in text.items() if kind != pl.String]
        assert back.select(numbers).equals(frame.select(numbers))


def test_pyarrow_reads_flat_plain_columns_with_their_meaning(release: Path, frames: Frames, mappings: Mappings) -> None:
    plain = {pa.string(), pa.int32(), pa.float64(), pa.bool_(), pa.date32()}
    lists = code_lists(mappings)
    for table in RELEASE_TABLES:
        path = release / f"{table.name}.parquet"
        read = pq.read_table(path, page_checksum_verification=True)
        assert pl.DataFrame(read).equals(frames[table.name])
        assert read.schema.names == [column.name for column in table.columns]
        assert set(read.schema.types) <= plain
        assert read.schema.metadata[b"description"].decode() == table.description
        for column in table.columns:
            said = {key.decode(): value.decode() for key, value in read.schema.field(column.name).metadata.items()}
            assert said["description"] == column.description
            assert said.get("unit") == column.unit
            assert json.loads(said.get("codes", "null")) == (lists[column.codes] if column.codes else None)
        described = pq.read_metadata(path)
        for group in range(described.num_row_groups):
            chunks = [described.row_group(group).column(place) for place in range(described.num_columns)]
            assert {chunk.compression for chunk in chunks} <= {"ZSTD", "UNCOMPRESSED"}
            assert described.num_columns == len(table.columns)


def test_pandas(release: Path, frames: Frames) -> None:
    for name in TABLES:
        same(pl.from_pandas(pd.read_parquet(release / f"{name}.parquet")), frames[name], empty_is_null=False)
        stata = pd.read_stata(release / "stata" / f"{name}.dta", convert_categoricals=False)
        same(pl.from_pandas(stata), _short(frames[name]), empty_is_null=True)


def test_duckdb_reads_parquet(release: Path, frames: Frames) -> None:
    with duckdb.connect() as connection:  # noqa: TID251 - a reader's own connection, not the project's
        for name, frame in frames.items():
            read = connection.read_parquet(str(release / f"{name}.parquet")).pl()
            assert_frame_equal(read, frame)


def test_duckdb_opens_the_database(release: Path, frames: Frames, mappings: Mappings) -> None:
    with duckdb.connect(str(release / "lnob.duckdb"), read_only=True) as connection:  # noqa: TID251 - as above
        for name, frame in frames.items():
            assert_frame_equal(connection.table(name).pl(), frame)
        comments = dict(connection.sql("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
        assert comments == {view.name: view.description for view in views(mappings)}
        beside = connection.table("citizen_beside_official").pl()
        behind = connection.table("furthest_behind").pl()
        gaps = connection.table("gaps_with_citizen_data").pl()
        hidden = connection.table("hidden_figures").pl()
    both = frames["comparison"].filter(
        pl.col("official_value").is_not_null() & pl.col("citizen_estimate").is_not_null()
    )
    assert beside.height == both.height > 0
    assert beside["difference"].sum() == pytest.approx((both["citizen_estimate"] - both["official_value"]).sum())
    shown = frames["citizen_estimates"].filter(pl.col("estimate").is_not_null())
    whole = shown.filter(pl.col("stratum") == "_T").select("submission_id", "series")
    assert behind.height == shown.filter(pl.col("stratum") != "_T").join(whole, on=whole.columns).height > 0
    owned = behind.filter(pl.col("indicator") == "5.b.1")  # more is better: behind is lower
    assert owned.select((pl.col("headline") - pl.col("estimate") - pl.col("behind")).abs().max()).item() < 1e-9
    married = behind.filter(pl.col("indicator") == "5.3.1")  # less is better: behind is higher
    assert married.select((pl.col("estimate") - pl.col("headline") - pl.col("behind")).abs().max()).item() < 1e-9
    first = behind.filter(pl.col("place") == 1).group_by("submission_id", "series").agg(pl.col("behind").first())
    most = behind.group_by("submission_id", "series").agg(pl.col("behind").max())
    assert_frame_equal(first, most, check_row_order=False)
    assert gaps["status"].is_in(["reported", "not_loaded", "not_applicable"]).sum() == 0
    assert gaps.height > 0
    assert (
        gaps.select(pl.col("country", "status_label", "citizen_effect_label").null_count()).sum_horizontal().item() == 0
    )
    assert hidden["cells"].sum() == frames["citizen_estimates"]["estimate"].null_count()


# Statistical packages

_HAVEN = """
suppressMessages(library(haven))
arguments <- commandArgs(TRUE)
release <- arguments[1]
for (name in arguments[-1]) for (form in c("dta", "sav")) {
  path <- if (form == "dta") file.path(release, "stata", name) else file.path(release, "spss", name)
  d <- if (form == "dta") read_dta(paste0(path, ".dta")) else read_sav(paste0(path, ".sav"))
  meaning <- do.call(rbind, lapply(names(d), function(n) {
    codes <- attr(d[[n]], "labels")
    data.frame(column = n, label = attr(d[[n]], "label"), code = c(NA, as.character(unname(codes))),
               meaning = c(NA, names(codes)))
  }))
  write.csv(meaning, paste0(name, ".", form, ".labels.csv"), row.names = FALSE, na = "")
  d <- as.data.frame(zap_labels(zap_formats(d)))
  for (n in names(d)) if (inherits(d[[n]], "Date")) d[[n]] <- format(d[[n]])
  for (n in names(d)) if (is.numeric(d[[n]])) d[[n]] <- ifelse(is.na(d[[n]]), NA, sprintf("%.17g", d[[n]]))
  write.csv(d, paste0(name, ".", form, ".csv"), row.names = FALSE, na = "")
}
"""


def test_r_haven_reads_stata_and_spss_with_labels(
    release: Path, frames: Frames, mappings: Mappings, tmp_path: Path
) -> None:
    rscript = r_with("haven", tmp_path)
    (tmp_path / "read.R").write_text(_HAVEN, "utf-8")
    run([rscript, "read.R", release, *TABLES], tmp_path)
    lists = code_lists(mappings)
    for name in TABLES:
        for form, longest in (("dta", STATA_LABEL), ("sav", SPSS_LABEL)):
            same(read_text(tmp_path / f"{name}.{form}.csv"), _short(frames[name]), empty_is_null=True)
            said = read_text(tmp_path / f"{name}.{form}.labels.csv")
            for column in BY_NAME[name].columns:
                rows = said.filter(pl.col("column") == SHORT_NAMES.get(column.name, column.name))
                label = rows["label"][0]
                assert label == column.description or (
                    label.endswith("…") and column.description.startswith(label[:-1]) and len(label) <= longest
                )
                codes = dict(rows.filter(pl.col("code").is_not_null()).select("code", "meaning").rows())
                if column.kind == "boolean":
                    assert codes == {"0": "no", "1": "yes"}
                elif form == "sav" and column.codes and not column.joined:
                    assert codes == lists[column.codes]
                else:
                    assert codes == {}


@pytest.mark.parametrize(
    ("package", "reader"), [("arrow", "arrow::read_parquet"), ("nanoparquet", "nanoparquet::read_parquet")]
)
def test_r_reads_parquet(release: Path, frames: Frames, tmp_path: Path, package: str, reader: str) -> None:
    rscript = r_with(package, tmp_path)
    (tmp_path / "read.R").write_text(
        f"""
        arguments <- commandArgs(TRUE)
        for (name in arguments[-1]) {{
          d <- as.data.frame({reader}(file.path(arguments[1], paste0(name, ".parquet"))))
          for (n in names(d)) if (is.numeric(d[[n]])) d[[n]] <- ifelse(is.na(d[[n]]), NA, sprintf("%.17g", d[[n]]))
          write.csv(d, paste0(name, ".csv"), row.names = FALSE, na = "")
        }}
        """,
        "utf-8",
    )
    run([rscript, "read.R", release, *TABLES], tmp_path)
    for name in TABLES:
        same(read_text(tmp_path / f"{name}.csv"), frames[name], empty_is_null=True)


def test_pspp_reads_spss_files(release: Path, frames: Frames, tmp_path: Path) -> None:
    pspp = client("pspp")
    lines = []
    for name in TABLES:
        lines += [
            f"GET FILE='{release / 'spss' / name}.sav'.",
            f"SAVE TRANSLATE /OUTFILE='{name}.csv' /TYPE=CSV /FIELDNAMES /CELLS=VALUES /REPLACE.",
        ]
    lines += [f"GET FILE='{release / 'spss' / 'data_gaps.sav'}'.", "FREQUENCIES status."]
    (tmp_path / "read.sps").write_text("\n".join(lines) + "\n", "utf-8")
    printed = run([pspp, "-o", "-", "-O", "format=csv", "read.sps"], tmp_path)
    for name in TABLES:
        same(read_text(tmp_path / f"{name}.csv").with_columns(_no_spaces()), _short(frames[name]), empty_is_null=True)
    counted = frames["data_gaps"]["status"].value_counts()
    for status, count in counted.rows():
        label = {"reported": "Official value since the base year", "never_reported": "Never an official value"}
        if status in label:
            assert f"{label[status]},{count}," in printed.replace('"', "")


def _no_spaces() -> pl.Expr:
    """PSPP writes a missing number as a blank."""
    value = pl.col(pl.String)
    return pl.when(value.str.strip_chars() == "").then(None).otherwise(value).name.keep()


# Spreadsheets


def test_libreoffice_reads_the_workbook(release: Path, frames: Frames, tmp_path: Path) -> None:
    office = client("soffice")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    # comma, double quote, UTF-8, from line 1, text not quoted, numbers in full (not as shown), every sheet in a file
    form = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"
    run([office, profile, "--headless", "--convert-to", form, "--outdir", ".", release / "lnob.xlsx"], tmp_path)
    for name in TABLES:
        same(read_text(tmp_path / f"lnob-{name}.csv"), frames[name], empty_is_null=True)
    book = read_text(tmp_path / "lnob-Codebook.csv")
    assert book.select("table", "column").rows() == [
        (table.name, column.name) for table in RELEASE_TABLES for column in table.columns
    ]
    about = (tmp_path / "lnob-Read me.csv").read_text("utf-8")
    assert "do not exist" in about
    assert "A missing number is not zero" in about


# Catalogues


def test_frictionless_finds_the_package_valid(release: Path) -> None:
    frictionless = pytest.importorskip("frictionless", reason="frictionless is not installed")
    report = frictionless.Package(str(release / "datapackage.json")).validate()
    assert report.valid, report.flatten(["name", "type", "message"])[:5]
    names = {task.name for task in report.tasks}
    assert {f"{table.name}" for table in RELEASE_TABLES} <= names
    assert {f"{table.name}.parquet" for table in RELEASE_TABLES} <= names


def test_frictionless_finds_damage(release: Path, tmp_path: Path) -> None:
    frictionless = pytest.importorskip("frictionless", reason="frictionless is not installed")
    copy = tmp_path / "release"
    shutil.copytree(release, copy, ignore=shutil.ignore_patterns("report", "sdmx", "open_sdg", "*.duckdb"))
    damaged = (copy / "data_gaps.csv").read_text("utf-8")
    (copy / "data_gaps.csv").write_text(damaged.replace(",never_reported,", ",never_recorded,", 1), "utf-8")
    report = frictionless.Package(str(copy / "datapackage.json")).validate()
    found = {
        (task.name, error.type, getattr(error, "field_name", None), getattr(error, "cell", None))
        for task in report.tasks
        for error in task.errors
    }
    assert found == {
        ("data_gaps", "hash-count", None, None),
        ("data_gaps", "constraint-error", "status", "never_recorded"),
    }


def test_mlcroissant_reads_the_records(release: Path, frames: Frames) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    dataset = mlcroissant.Dataset(str(release / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert {records.id for records in dataset.metadata.record_sets} == set(frames)
    for name in ("sources", "decisions", "citizen_estimates"):
        rows = [
            {key.partition("/")[2]: _plain(value) for key, value in record.items()} for record in dataset.records(name)
        ]
        found = pl.DataFrame(rows, schema=frames[name].schema, strict=False)
        same(found, frames[name], empty_is_null=True)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.date() if isinstance(value, pd.Timestamp) else value


def _short(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename(SHORT_NAMES, strict=False)
