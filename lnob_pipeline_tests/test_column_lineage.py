"""The declared column lineage is whole, points at what exists, and is true.

Truth is tried by experiment: one column of one source is shuffled, scaled or emptied, everything else stays, and the
function runs again. What changes must be declared to rest on that column; and what is declared must change for one of
the experiments, unless it is named in NOT_SEEN_TO_CHANGE with the reason.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import tables
from lnob_pipeline.column_lineage import (
    ORIGINS,
    RELEASE_CHANGES,
    STAGES_MAKE,
    VARIABLES,
    column_lineage,
    made_for_release,
    made_in_stage,
    undeclared,
)
from lnob_pipeline.gaps.comparison import compare, with_gaps
from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.gaps.typology import gaps
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.official.catalogue import build_catalogue, build_observations
from lnob_pipeline.official.releases import choose
from lnob_pipeline.official.snapshot import expected_series
from lnob_pipeline.pipeline import STAGES
from lnob_pipeline.publication.disclosure import disclose
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import Table
from lnob_pipeline_tests.publication import release_factory

Frames = dict[str, pl.DataFrame]
HOME = Path(__file__).resolve().parents[1]
HARMONISED = ("harmonised_households", "harmonised_persons")
FINDS_ROWS = {
    "official_observations": {"series", "m49", "iso3", "dimension_key"},
    "sdg_catalogue": {"indicator", "series"},
    "citizen_estimates": {"submission_id", "iso3", "indicator", "series", *(item.name for item in tables.STRATUM)},
    "citizen_evidence": {"submission_id", "iso3", "indicator"},
    "official_revisions": {"series", "m49", "dimension_key"},
    "decisions": {"subject"},
    "data_gaps": {"iso3", "indicator", "series", "stratum"},
    "official_releases": set(),
    "comparison": {"iso3", "indicator", "series", "stratum", "submission_id"},
}
"""Columns by which rows of two tables are brought together: to shuffle them is to shuffle the rows."""


def known_tables() -> dict[str, Table]:
    mappings = load_mappings(HOME / "indicator_mappings")
    harmonised = (tables.harmonised_households(mappings), tables.harmonised_persons(mappings))
    return {table.name: table for table in (*tables.RELEASE_TABLES, *harmonised, *tables.FIXED_TABLES)}


def every_declaration() -> Iterator[tuple[str, str, str, str, str]]:
    """(group, table, column, source, source column)."""
    for table in STAGES_MAKE:
        yield from (("stages", table, column, source, name) for column, source, name, _ in made_in_stage(table))
    for table in RELEASE_CHANGES:
        yield from (("release", table, column, source, name) for column, source, name, _ in made_for_release(table))


def test_every_column_is_declared() -> None:
    assert undeclared(STAGES_MAKE, tables.FIXED_TABLES) == []
    of_the_release_alone = [table for table in tables.RELEASE_TABLES if table.name not in STAGES_MAKE]
    assert undeclared(RELEASE_CHANGES, of_the_release_alone) == []
    published = column_lineage()
    assert {(table.name, name) for table in tables.RELEASE_TABLES for name in table.schema} == set(
        published.select("table_name", "column_name").iter_rows()
    )


def test_every_column_and_every_source_exists() -> None:
    known, settings = known_tables(), {field.name for field in dataclasses.fields(Settings)}
    for _, table, column, source, name in every_declaration():
        assert column in known[table].schema, f"{table}.{column}"
        if source in known:
            there = name in known[source].schema or (name == VARIABLES and source in (*HARMONISED, "responses"))
            assert there, f"{table}.{column} rests on {source}.{name}"
        elif source == "mappings":
            folder = HOME / "indicator_mappings"
            assert (folder / name).exists(), f"{table}.{column} rests on {name}"
        elif source == "settings":
            assert name in settings, f"{table}.{column} rests on the setting {name}"
        else:
            assert source in ORIGINS, f"{table}.{column} rests on {source}"


def test_lineage_follows_the_stages() -> None:
    known = known_tables()
    for group, table, column, source, _ in every_declaration():
        if source in known:
            own = "publication" if group == "release" else known[table].stage
            assert STAGES.index(known[source].stage) <= STAGES.index(own), f"{table}.{column} rests on {source}"
    assert not _circles()


def _circles() -> list[str]:
    """Columns of the lake that rest on themselves."""
    rests: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for group, table, column, source, name in every_declaration():
        if group == "stages":
            rests.setdefault((table, column), set()).add((source, name))

    def reaches(start: tuple[str, str]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        waiting = [start]
        while waiting:
            for each in rests.get(waiting.pop(), set()) - found:
                found.add(each)
                waiting.append(each)
        return found

    return [f"{table}.{column}" for table, column in rests if (table, column) in reaches((table, column))]


def test_the_published_table_is_in_its_form() -> None:
    frame = column_lineage()
    assert frame.schema == tables.COLUMN_LINEAGE.schema
    assert not frame.select(tables.COLUMN_LINEAGE.key).is_duplicated().any()
    assert frame.null_count().sum_horizontal().item() == 0
    assert set(frame["stage"]) == {"harmonisation", "estimation", "official", "gaps", "publication"}


# --- experiments ----------------------------------------------------------------------------------------------------


INDICATORS = ("5.3.1", "6.1.1", "8.10.2")
"""Enough for every status and effect, and few enough for many experiments."""


@cache
def small_library() -> Mappings:
    whole = load_mappings(HOME / "indicator_mappings")
    return dataclasses.replace(whole, indicators={code: whole.indicators[code] for code in INDICATORS})


@cache
def sources() -> Frames:
    """Made-up estimates and evidence, the bundled official figures, and a decision and revisions about some of them."""
    settings = Settings.load(home=HOME)
    mappings = load_mappings(settings.mappings)
    iso3 = {country.m49: code for code, country in mappings.countries.items()}
    choice = choose(settings, iso3, "2026-11-23")
    observations = build_observations(choice.snapshot, iso3)
    some = observations.filter(pl.col("series") == "SH_H2O_SAFE").head(40)
    revisions = some.select(
        pl.lit("2020-10").alias("release"),
        pl.lit("2020-01").alias("previous_release"),
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("withdrawn")).otherwise(pl.lit("changed")).alias("change"),
        *("series", "m49", "iso3", "year", "dimension_key", "nature"),
        pl.col("value_text").alias("value_text_before"),
        pl.col("value_text").alias("value_text_now"),
        pl.lit(0.1).alias("relative_change"),
        pl.lit(None, dtype=pl.String).alias("note"),
    )
    day = datetime.date(2020, 11, 1)
    said = [("npl-2020-whole-country", "statistics_office", "accept", day, "letter"),
            ("ken-2019-household-survey", "partner", "publish", day, "agreement")]  # fmt: skip
    some_indicators = pl.col("indicator").is_in(INDICATORS)
    catalogue = build_catalogue(choice.snapshot, expected_series(settings.official))
    return {
        "official_observations": observations,
        "sdg_catalogue": catalogue.filter(some_indicators),
        "official_releases": choice.releases,
        "official_revisions": revisions.select(list(tables.OFFICIAL_REVISIONS.schema)),
        "citizen_estimates": release_factory.citizen_estimates(mappings).filter(some_indicators),
        "citizen_evidence": release_factory.citizen_evidence(),
        "decisions": pl.DataFrame(said, schema=tables.DECISIONS.schema, orient="row"),
    }


def make_gaps(frames: Frames) -> Frames:
    settings, mappings = Settings.load(home=HOME), small_library()
    names = ("official_observations", "sdg_catalogue", "citizen_estimates", "citizen_evidence", "decisions")
    return {
        "data_gaps": gaps(*(frames[name] for name in names), mappings, settings, frames["official_revisions"]),
        "comparison": compare(
            frames["official_observations"], frames["sdg_catalogue"], frames["citizen_estimates"], mappings, settings,
            official_releases=frames["official_releases"],
        ),
    }  # fmt: skip


def make_coverage(frames: Frames) -> Frames:
    said = with_gaps(make_gaps(sources())["comparison"], frames["data_gaps"])
    return {
        "coverage": coverage(frames["data_gaps"]),
        "comparison": said.select(*tables.COMPARISON.key, "gap_status", "gap_flags", "closing_questions"),
    }


def make_disclosed(frames: Frames) -> Frames:
    settings = Settings.load(home=HOME)
    few = pl.col("series") == "FB_BNK_ACCSS"
    found = disclose(
        frames["citizen_estimates"].filter(few), frames["comparison"].clear(), frames["citizen_evidence"],
        load_mappings(settings.mappings), settings,
    )  # fmt: skip
    return {"citizen_estimates": found.citizen_estimates, "citizen_evidence": found.citizen_evidence}


def variants(frame: pl.DataFrame, name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The frame with one column changed, in ways that such a column can take."""
    column, kind = pl.col(name), frame.schema[name]
    yield "shuffled", frame.with_columns(column.shuffle(seed=3))
    yield "emptied", frame.with_columns(pl.lit(None, dtype=kind).alias(name))
    if kind == pl.Boolean:
        yield "turned", frame.with_columns(~column)
    elif kind == pl.Date:
        yield "moved", frame.with_columns(column.dt.offset_by("-20d"))
    elif kind == pl.Int32:
        yield "moved", frame.with_columns((column - 6).cast(kind))
        yield "low", frame.with_columns(pl.lit(1, dtype=kind).alias(name))
    elif kind == pl.Float64:
        yield "moved", frame.with_columns(column * 3 + 20)
    else:
        for value in sorted(frame[name].drop_nulls().unique().to_list())[:3]:
            yield f"all {value}", frame.with_columns(pl.lit(value).alias(name))


def changed_columns(table: str, before: pl.DataFrame, now: pl.DataFrame) -> set[str]:
    """Columns whose value differs in a row of the same key."""
    key = [name for name in known_tables()[table].key if name in before.columns]
    joined = before.unique(key).join(now.unique(key), on=key, how="inner", suffix=" now", nulls_equal=True)
    rest = [name for name in before.columns if name not in key]
    differs = joined.select(pl.col(name).ne_missing(pl.col(f"{name} now")).any() for name in rest).row(0)
    return {name for name, differ in zip(rest, differs, strict=True) if differ}


@cache
def experiment(number: int) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """(source, column) -> every (table, column) that was seen to change."""
    make, of = EXPERIMENTS[number][0], EXPERIMENTS[number][1]
    base = dict(sources())
    if number:
        base |= make_gaps(base)
    before = make(base)
    seen: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for source in of:
        # Where a table is published anew, its key says which row is which.
        finds = FINDS_ROWS[source] | (set(known_tables()[source].key) if source in before else set())
        for name in [name for name in base[source].columns if name not in finds]:
            found = seen.setdefault((source, name), set())
            for _, frame in variants(base[source], name):
                try:
                    now = make(base | {source: frame})
                except (ValueError, TypeError, pl.exceptions.PolarsError):
                    continue  # such a table cannot be: the catalogue has a release
                for table, rows in before.items():
                    found |= {(table, column) for column in changed_columns(table, rows, now[table])}
    return seen


GAP_SOURCES = (
    "official_observations", "sdg_catalogue", "official_releases", "official_revisions", "citizen_estimates",
    "citizen_evidence", "decisions",
)  # fmt: skip
EXPERIMENTS: tuple[tuple[Callable[[Frames], Frames], tuple[str, ...], str], ...] = (
    (make_gaps, GAP_SOURCES, "stages"),
    (make_coverage, ("data_gaps",), "stages"),
    (make_disclosed, ("citizen_estimates", "citizen_evidence"), "release"),
)
MADE = ({"data_gaps", "comparison"}, {"coverage", "comparison"}, {"citizen_estimates", "citizen_evidence"})
SEEN_NOWHERE: tuple[set[tuple[str, str]], ...] = (
    {("official_observations", name) for name in ("lower", "upper", "lower_bound", "upper_bound", "source")},
    {("data_gaps", name) for name in ("n_years_country_before_base", "n_years_country_data_before_base")},
    {("citizen_estimates", name) for name in ("largest_share", "two_largest_share", "sensitive")},
)
"""Declared sources that these data do not bring to bear: read from the code alone, no experiment confirms them."""


def declared(group: str) -> set[tuple[str, str, str, str]]:
    return {(table, column, source, name) for of, table, column, source, name in every_declaration() if of == group}


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(len(EXPERIMENTS)), ids=["gaps", "coverage", "disclosure"])
def test_nothing_changes_but_what_is_declared(number: int) -> None:
    allowed = declared(EXPERIMENTS[number][2])
    found = {(*target, *source) for source, targets in experiment(number).items() for target in targets}
    assert len(found) > 30
    assert not sorted(found - allowed)


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(len(EXPERIMENTS)), ids=["gaps", "coverage", "disclosure"])
def test_every_declared_source_changes_something(number: int) -> None:
    tried = experiment(number)
    made = MADE[number]
    wanted = {item[2:] for item in declared(EXPERIMENTS[number][2]) if item[0] in made} & tried.keys()
    silent = {source for source in wanted if not tried[source]}
    assert silent == SEEN_NOWHERE[number]
