"""A table written as a stream has the bytes of the same table written whole."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline import storage
from lnob_pipeline.tables import Column, Table
from lnob_pipeline_tests.thorough import tries

TABLE = Table(
    "trial",
    "official",
    "A table of a trial",
    "public",
    ("series", "year"),
    (Column("series", "text", "Series"), Column("year", "integer", "Year"), Column("value", "number", "Value")),
    open=True,
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "a", "é"]), st.integers(1, 3), st.one_of(st.none(), st.floats(0, 1)), st.text("xy\n")
    ),
    min_size=1,
    max_size=30,
)


def frame(of: list[tuple[object, ...]]) -> pl.DataFrame:
    schema = {"series": pl.String, "year": pl.Int64, "value": pl.Float64, "said": pl.String}
    return pl.DataFrame(of, schema=schema, orient="row")


def cut(whole: pl.DataFrame, places: list[int]) -> list[pl.DataFrame]:
    ends = [0, *sorted(min(place, whole.height) for place in places), whole.height]
    return [whole.slice(start, end - start) for start, end in pairwise(ends)]


@settings(deadline=None, max_examples=tries(30))
@given(rows, st.lists(st.integers(0, 30), max_size=4), st.integers(1, 7), st.randoms(use_true_random=False))
def test_a_stream_gives_the_bytes_of_the_whole(
    of: list[tuple[object, ...]], places: list[int], group: int, chance: random.Random
) -> None:
    whole = frame(of)
    shuffled = whole.sample(fraction=1, shuffle=True, seed=chance.randrange(99)).sort("series", maintain_order=True)
    parts = cut(shuffled, places)
    if chance.random() < 0.5:
        parts = [part.cast({"series": pl.Enum(part["series"].unique().sort())}) for part in parts]
    before, storage.ROW_GROUP_SIZE = storage.ROW_GROUP_SIZE, group
    try:
        with TemporaryDirectory() as folder:
            expected = storage.write_table(whole, TABLE, Path(folder) / "whole.parquet")
            assert storage.write_stream(parts, TABLE, Path(folder) / "parts.parquet") == expected
            assert pl.read_parquet(Path(folder) / "parts.parquet").height == len(of)
    finally:
        storage.ROW_GROUP_SIZE = before


def test_no_row_at_all_is_the_empty_table(tmp_path: Path) -> None:
    storage.write_stream([], TABLE, tmp_path / "none.parquet")
    assert pl.read_parquet(tmp_path / "none.parquet").schema == TABLE.schema


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([[("B", 1, 1.0, "")], [("A", 1, 1.0, "")]], "series A comes after B"),
        ([[("A", 1, 1.0, "")], [("C", 1, 1.0, ""), ("B", 1, 1.0, "")], [("B", 2, 1.0, "")]], "series B comes after C"),
        ([[("A", 1, 1.0, ""), (None, 1, 1.0, "")]], "a row has no series"),
    ],
)
def test_rows_out_of_order_are_refused_and_nothing_is_written(
    tmp_path: Path, parts: list[list[tuple[object, ...]]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        storage.write_stream([frame(part) for part in parts], TABLE, tmp_path / "parts.parquet")
    assert list(tmp_path.iterdir()) == []
