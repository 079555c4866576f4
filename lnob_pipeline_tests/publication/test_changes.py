"""What differs between two releases is found as by a plain comparison of dictionaries, and told in the release."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline import storage
from lnob_pipeline.publication import changes as module
from lnob_pipeline.publication.changes import by_column, changes, examples, markdown
from lnob_pipeline.publication.release import publish
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import DECISIONS, RELEASE_TABLES, SOURCES, Table
from lnob_pipeline_tests.publication.release_factory import PROVENANCE, RELEASED_AT, fill

Tables = dict[str, pl.DataFrame]
CELL = ("iso3", "goal", "breakdown", "category")


def release(folder: Path, tables: Tables, **facts: object) -> Path:
    """A folder with the Parquet files of some tables and as much of a manifest as a comparison reads."""
    declared = {table.name: table for table in RELEASE_TABLES}
    tables = {"sources": SOURCES.empty()} | tables
    for name, frame in tables.items():
        storage.write_table(frame, declared[name], folder / f"{name}.parquet")
    about = {name: {"key": list(declared[name].key)} for name in tables}
    (folder / "manifest.json").write_text(json.dumps({"release": folder.name, "tables": about} | facts))
    return folder


def table(name: str) -> Table:
    return next(item for item in RELEASE_TABLES if item.name == name)


def coverage(rows: dict[tuple[str | None, str], tuple[int | None, int]]) -> pl.DataFrame:
    lines = [
        {"iso3": iso3, "goal": goal, "breakdown": "sex", "category": "F", "n_expected": expected, "n_judged": judged}
        for (iso3, goal), (expected, judged) in rows.items()
    ]
    return fill(table("coverage"), lines)


Rows = st.dictionaries(
    st.tuples(st.sampled_from(["KEN", "NPL", None]), st.sampled_from(["1", "2", "3", "'4"])),
    st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.integers(0, 2)),
)


@given(before=Rows, now=Rows)
def test_counts_are_those_of_a_plain_comparison(
    before: dict[tuple[str | None, str], tuple[int | None, int]],
    now: dict[tuple[str | None, str], tuple[int | None, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    found = changes(
        release(folder / "a", {"coverage": coverage(before)}), release(folder / "b", {"coverage": coverage(now)})
    )
    expected: dict[str, list[int]] = {}
    columns: dict[tuple[str, str], int] = {}
    for key in before.keys() | now.keys():
        if before.get(key) == now.get(key):
            continue
        country = key[0] or ""
        kind = 0 if key not in before else 2 if key not in now else 1
        expected.setdefault(country, [0, 0, 0])[kind] += 1
        if kind == 1:
            for name, was, is_now in zip(("n_expected", "n_judged"), before[key], now[key], strict=True):
                if was != is_now:
                    columns[country, name] = columns.get((country, name), 0) + 1
    assert {row[1]: list(row[2:]) for row in found.counts.rows()} == expected
    assert {(row[1], row[2]): row[3] for row in found.columns.rows()} == columns
    assert found.structure == ()
    told = examples(folder / "a", folder / "b", "coverage", 100)
    assert told.filter(pl.col("what") != "changed").height == sum(a + w for a, _, w in expected.values())
    assert told.filter(pl.col("what") == "changed").height == sum(columns.values())


def test_tables_and_columns_that_one_release_lacks_are_told(tmp_path: Path) -> None:
    rows = coverage({("KEN", "1"): (1, 1)})
    before = release(tmp_path / "a", {"coverage": rows})
    old = pq.read_table(before / "coverage.parquet").drop_columns(["n_judged"])
    old = old.set_column(old.column_names.index("n_closes"), "n_closes", pa.array(["none"]))
    pq.write_table(old.append_column("n_old", pa.array([1])), before / "coverage.parquet")
    decided = fill(DECISIONS, [{"subject": "a", "decided_by": "partner", "decision": "publish"}] * 1)
    now = release(tmp_path / "b", {"coverage": rows, "decisions": decided})
    found = changes(before, now)
    assert found.structure == (
        "column coverage.n_judged is new",
        "column coverage.n_old is gone",
        "column coverage.n_closes was string and is int32",
        "table decisions is new",
    )
    assert found.counts.rows() == [("decisions", "", 1, 0, 0)]
    back = changes(now, before)
    assert "table decisions is gone" in back.structure
    assert ("decisions", "", 0, 0, 1) in back.counts.rows()


def test_a_key_that_one_release_lacks_is_told_and_rows_of_the_same_key_are_told_apart(tmp_path: Path) -> None:
    before = release(tmp_path / "a", {"coverage": coverage({("KEN", "1"): (1, 1)})})
    now = release(tmp_path / "b", {"coverage": coverage({("KEN", "1"): (2, 1)})})
    twice = pl.concat([coverage({("KEN", "1"): (1, 1)}), coverage({("KEN", "1"): (5, 1)})])
    storage.write_table(twice, table("coverage"), now / "coverage.parquet")
    assert changes(before, now).counts.rows() == [("coverage", "KEN", 1, 0, 0)]
    pq.write_table(pq.read_table(before / "coverage.parquet").drop_columns(["goal"]), before / "coverage.parquet")
    found = changes(before, now)
    assert "table coverage: a column of its key is in one release alone; rows are not compared" in found.structure
    assert found.counts.is_empty()


@pytest.mark.usefixtures("few_outputs")
def test_changes_of_a_release_are_written_into_it(small: Tables, settings: Settings) -> None:
    first = publish(small, settings, RELEASED_AT, PROVENANCE)
    assert "is the first release" in (first.path / "CHANGES.md").read_text()
    gaps = small["data_gaps"].with_columns(
        latest_year=pl.when(pl.col("stratum") == "_T").then(pl.lit(2019, pl.Int32)).otherwise("latest_year")
    )
    moved = small["sources"].with_columns(version=pl.lit("e" * 64))
    provenance = PROVENANCE | {"code_version": "0.2.0"}
    second = publish(small | {"data_gaps": gaps, "sources": moved}, settings, RELEASED_AT, provenance)
    text = (second.path / "CHANGES.md").read_text()
    headlines = small["data_gaps"].filter(pl.col("stratum") == "_T").height
    assert f"From release {first.path.name} to release {second.path.name}." in text
    assert f"| data_gaps | BGD | 0 | {headlines} | 0 | latest_year ({headlines}) |" in text
    assert "- changed: bgd-2019-named-groups" in text
    assert "- code_version: 0.1.0 before, 0.2.0 now" in text
    assert "citizen_estimates" not in text
    found = changes(first.path, second.path)
    assert text == markdown(found)
    assert by_column(found).columns == ["table", "country", "added", "changed", "withdrawn", "columns that changed"]
    told = examples(first.path, second.path, "data_gaps", 3)
    assert told.select("what", "iso3", "stratum", "column", "before", "now").unique().rows() == [
        ("changed", "BGD", "_T", "latest_year", "", "2019")
    ]
    assert told.height == 3
    with pytest.raises(ValueError, match="no_such is not a table of both releases"):
        examples(first.path, second.path, "no_such", 3)
    assert json.loads(json.dumps(found.as_json()))["submissions"]["changed"] == ["bgd-2019-named-groups"]


@pytest.mark.usefixtures("few_outputs")
def test_a_damaged_release_before_stops_no_new_one(small: Tables, settings: Settings) -> None:
    first = publish(small, settings, RELEASED_AT, PROVENANCE)
    (first.path / "data_gaps.parquet").write_bytes(b"PAR1")
    fewer = small | {"data_gaps": small["data_gaps"].head(10)}
    second = publish(fewer, settings, RELEASED_AT, PROVENANCE)
    assert f"{first.path.name}, cannot be read" in (second.path / module.NAME).read_text()
