"""What differs between two releases, by hand on small ones and at the size of the UN database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lnob_pipeline import storage
from lnob_pipeline.official.bulk import take
from lnob_pipeline.official.catalogue import _with_values, build_catalogue, observation_parts
from lnob_pipeline.official.releases import choose
from lnob_pipeline.official.revisions import Side, revision_parts, revisions, revisions_of
from lnob_pipeline.official.snapshot import SNAPSHOTS, expected_series
from lnob_pipeline.official.values import parse_values
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, OFFICIAL_REVISIONS, SDG_CATALOGUE
from lnob_pipeline_tests.official.test_official_bulk import shared
from lnob_pipeline_tests.thorough import tries

Row = dict[str, object]
RULES = Settings.load()


def row(value: str, year: int = 2015, series: str = "SERIES_A", **more: object) -> Row:
    return {
        "series": series, "m49": "404", "iso3": "KEN", "year": year, "dimension_key": "", "nature": "C",
        "units": "PERCENT", "value_text": value, **more,
    }  # fmt: skip


def side(release: str, rows: list[Row], **more: object) -> Side:
    """A release with these rows; `catalogue` gives other titles and units of series, or more series."""
    said = dict(more.pop("catalogue", {}))  # type: ignore[call-overload]
    table = OFFICIAL_OBSERVATIONS.empty()
    if rows:
        schema = dict.fromkeys(rows[0], pl.String) | {"year": pl.Int32}
        table = pl.concat(
            [table.drop("value", "lower", "upper", "value_flag"), pl.DataFrame(rows, schema)], how="diagonal"
        )
        table = parse_values(table).select(list(OFFICIAL_OBSERVATIONS.schema))
    series = dict.fromkeys([str(item["series"]) for item in rows]) | said
    catalogue = pl.DataFrame(
        [
            {"release": release, "indicator": "1.4.1", "series": code, "title": f"Title of {code}", "unit": "PERCENT",
             "in_release": True, "loaded": True} | (facts or {})
            for code, facts in series.items()
        ],
        {name: kind for name, kind in SDG_CATALOGUE.schema.items() if name not in ("goal", "target")},
    )  # fmt: skip
    return Side(release, table.lazy(), catalogue, **more)  # type: ignore[arg-type]


def changes(before: list[Row], now: list[Row], *columns: str, **more: Mapping[str, object]) -> list[tuple[object, ...]]:
    sides = [side(name, rows, catalogue=more.get(name, {})) for name, rows in (("R1", before), ("R2", now))]
    found = revisions(sides[0], sides[1], RULES)
    assert dict(found.schema) == OFFICIAL_REVISIONS.schema
    assert set(found["release"]) <= {"R2"}
    assert set(found["previous_release"]) <= {"R1"}
    return found.select("change", *columns).rows()


# --- values ----------------------------------------------------------------------------------------------------


def test_values_added_changed_and_withdrawn() -> None:
    before = [row("10", 2015), row("20", 2016), row("30", 2017)]
    now = [row("10", 2015), row("25", 2016), row("40", 2018)]
    found = changes(before, now, "year", "value_text_before", "value_text_now", "relative_change")
    assert found == [
        ("changed", 2016, "20", "25", 0.25),
        ("withdrawn", 2017, "30", None, None),
        ("added", 2018, None, "40", None),
    ]


@pytest.mark.parametrize(
    ("before", "now", "revised"),
    [
        ("66.93", "66.93", False),
        ("66.93", "66.9300000001", False),
        ("66.93", "67.0", False),  # 0.1 %
        ("66.93", "67.5", True),  # 0.9 %
        ("0", "0.0", False),
        ("0", "0.1", True),
        ("1000", "1,000", False),
        ("<2.5", "< 2.5", False),
        ("<2.5", "<5", True),
        ("<2.5", "2.5", True),
        ("N", "NaN", True),
        ("NA", "NaN", False),
        ("odd", "odder", True),
    ],
)
def test_what_counts_as_a_change(before: str, now: str, revised: bool) -> None:
    # Other values of the same precision, so that the series was not rounded as a whole.
    rest = [row(f"{50 + number}.12", 1990 + number) for number in range(20)]
    assert changes([row(before), *rest], [row(now), *rest]) == ([("changed",)] if revised else [])


def test_a_series_that_was_rounded_as_a_whole_was_not_revised() -> None:
    before = [row(f"{number / 70:.4f}", 1990 + number) for number in range(1, 20)]
    rounded = [row(f"{number / 70:.1f}", 1990 + number) for number in range(1, 20)]
    assert changes(before, rounded) == []
    assert changes(rounded, before) == []
    moved = [*rounded[:-1], row("0.4", 2009)]  # 0.2714 rounds to 0.3
    assert changes(before, moved, "year", "value_text_now") == [("changed", 2009, "0.4")]


def test_the_tolerance_is_a_setting() -> None:
    from dataclasses import replace

    sides = side("R1", [row("100.0")]), side("R2", [row("103.0")])
    assert revisions(*sides, RULES)["change"].to_list() == ["changed"]
    assert revisions(*sides, replace(RULES, official_revision_tolerance=0.05)).is_empty()


def test_a_nature_that_moved_is_one_change() -> None:
    before, now = [row("10", nature="E"), row("9", 2016)], [row("10", nature="C"), row("9", 2016)]
    found = changes(before, now, "nature", "value_text_before", "value_text_now", "relative_change", "note")
    assert found == [("changed", "C", "10", "10", 0.0, "nature E before")]


def test_two_natures_of_one_cell_are_kept_apart() -> None:
    before = [row("10", nature="C"), row("11", nature="E")]
    now = [row("10", nature="C"), row("11", nature="M"), row("12", nature="G")]
    assert changes(before, now, "nature") == [("withdrawn", "E"), ("added", "G"), ("added", "M")]


def test_strata_and_areas_are_told_apart() -> None:
    before = [row("10"), row("11", dimension_key="sex=FEMALE"), row("12", m49="001", iso3=None)]
    now = [row("10"), row("15", dimension_key="sex=FEMALE"), row("18", m49="001", iso3=None)]
    found = changes(before, now, "m49", "iso3", "dimension_key")
    assert found == [("changed", "001", None, ""), ("changed", "404", "KEN", "sex=FEMALE")]


def test_a_contradiction_that_stays_is_no_revision() -> None:
    both = [row("10"), row("12")]
    assert changes(both, both[::-1]) == []
    assert changes(both, [row("10")], "value_text_before") == [("withdrawn", "12")]


def test_what_was_not_asked_for_is_not_missing() -> None:
    asked = {"404"}
    before = side("R1", [row("10"), row("11", m49="050", iso3="BGD"), row("5", series="SERIES_B")])
    now = side("R2", [row("10")], areas=asked, catalogue={"SERIES_B": {"loaded": False}})
    assert revisions(before, now, RULES).is_empty()
    assert revisions(now, before, RULES).is_empty()


# --- series ----------------------------------------------------------------------------------------------------

LONG = [(str(10 + 3 * number), 2000 + number) for number in range(15)]


def of(series: str, values: list[tuple[str, int]] = LONG, **more: object) -> list[Row]:
    return [row(value, year, series, **more) for value, year in values]


def test_series_added_and_withdrawn_with_their_values() -> None:
    found = changes(
        of("OLD", [("1", 2001)]), of("NEW", [("2", 2001)]), "series", "m49", "value_text_before", "value_text_now"
    )
    assert found == [
        ("added", "NEW", "404", None, "2"),
        ("series_added", "NEW", None, None, "Title of NEW"),
        ("withdrawn", "OLD", "404", "1", None),
        ("series_withdrawn", "OLD", None, "Title of OLD", None),
    ]


def test_a_new_code_with_the_values_of_one_that_vanished_is_a_rename() -> None:
    now = [row("99", 2000, "NEW"), *of("NEW", LONG[1:]), row("70", 2020, "NEW")]
    title: Row = {"title": "Title of OLD"}
    found = changes(of("OLD"), now, "series", "year", "value_text_before", "value_text_now", R2={"NEW": title})
    assert found == [
        ("changed", "NEW", 2000, "10", "99"),
        ("added", "NEW", 2020, None, "70"),
        ("series_renamed", "NEW", None, "OLD", "NEW"),
    ]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (of("NEW", [(str(700 - 7 * number), 2000 + number) for number in range(15)]), "other values"),
        (of("NEW", LONG[:5]), "too few of them"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_what_does_not_agree_is_no_rename(now: list[Row], told: str) -> None:
    kinds = {change for (change,) in changes(of("OLD"), now)}
    assert {"series_added", "series_withdrawn"} <= kinds, told
    assert "series_renamed" not in kinds


def test_series_of_another_indicator_and_title_are_not_paired() -> None:
    kinds = {change for (change,) in changes(of("OLD"), of("NEW"), R2={"NEW": {"indicator": "9.9.9"}})}
    assert "series_renamed" not in kinds
    same = {"indicator": "9.9.9", "title": "Title of OLD"}
    assert changes(of("OLD"), of("NEW"), R2={"NEW": same}) == [("series_renamed",)]


def test_series_of_zeros_and_ones_are_not_paired_by_chance() -> None:
    flags = [(str(number % 2), 2000 + number) for number in range(15)]
    kinds = {change for (change,) in changes(of("OLD", flags), of("NEW", flags))}
    assert "series_renamed" not in kinds


def test_a_code_that_the_project_spells_otherwise_is_a_rename_when_the_release_takes_it_over() -> None:
    before = side("R1", of("SH_STA_STNT"), codes={"SH_STA_STUNT": "SH_STA_STNT"})
    found = revisions(before, side("R2", of("SH_STA_STNT")), RULES)
    assert found.select("change", "series", "value_text_before", "value_text_now").rows() == [
        ("series_renamed", "SH_STA_STNT", "SH_STA_STUNT", "SH_STA_STNT")
    ]


@pytest.mark.parametrize(
    ("now", "catalogue", "before_now", "note"),
    [
        (of("A"), {"title": "Another meaning"}, ("Title of A", "Another meaning"), "title changed"),
        (of("A"), {"title": "title  of a"}, None, None),
        (of("A"), {"unit": "PER_1000"}, ("PERCENT", "PER_1000"), "unit changed"),
        (of("A", dimension_key="age=15+"), {}, ("", "age=15+"), "headline changed"),
        (
            of("A", [(f"{2 * int(value)}", year) for value, year in LONG]),
            {},
            (None, None),
            "15 of 15 common values changed",
        ),
    ],
    ids=["title", "spelling of the title", "unit", "headline", "most values"],
)
def test_a_series_redefined(
    now: list[Row], catalogue: Row, before_now: tuple[object, object] | None, note: str | None
) -> None:
    found = revisions(side("R1", of("A")), side("R2", now, catalogue={"A": catalogue}), RULES)
    series = found.filter(pl.col("change").str.starts_with("series")).select(
        "change", "value_text_before", "value_text_now", "note"
    )
    assert series.rows() == ([] if before_now is None else [("series_redefined", *before_now, note)])


def test_a_country_or_a_category_less_redefines_nothing() -> None:
    """Without a whole the strata with the fewest dimensions are parts: one of them fewer is a withdrawal alone."""
    here = of("A", dimension_key="cities=NAIROBI")
    there = of("A", dimension_key="cities=KATHMANDU", m49="524", iso3="NPL")
    assert set(changes([*here, *there], here, "m49")) == {("withdrawn", "524")}
    assert set(changes(here, [*here, *there], "m49")) == {("added", "524")}


def test_a_few_changed_values_redefine_nothing() -> None:
    now = of("A", [("99", 2000), *LONG[1:]])
    assert changes(of("A"), now) == [("changed",)]


@examples(deadline=None, max_examples=tries(25))
@given(
    st.dictionaries(st.tuples(st.integers(2000, 2004), st.sampled_from("CE")), st.sampled_from(["1", "2", "<5", "N"])),
    st.dictionaries(st.tuples(st.integers(2000, 2004), st.sampled_from("CE")), st.sampled_from(["1", "2", "<5", "N"])),
)
def test_the_changes_turn_one_release_into_the_other(
    before: dict[tuple[int, str], str], now: dict[tuple[int, str], str]
) -> None:
    """Taking the changed and withdrawn values back, and the added ones away, gives the release before."""
    sides = [
        side(
            name,
            [row(value, year, nature=nature) for (year, nature), value in of.items()],
            catalogue={"SERIES_A": None},
        )
        for name, of in (("R1", before), ("R2", now))
    ]
    found = revisions(sides[0], sides[1], RULES).filter(~pl.col("change").str.starts_with("series"))
    assert found.select(OFFICIAL_REVISIONS.key).is_unique().all()
    rebuilt = dict(now)
    for change, year, nature, value, note in found.select(
        "change", "year", "nature", "value_text_before", "note"
    ).rows():
        if change == "added" or note:
            del rebuilt[year, nature]
        if change != "added":
            rebuilt[year, note.split()[1] if note else nature] = value
    assert rebuilt == before


TEXTS = st.one_of(st.text("0123456789.,eE+-<>= \r\u00a0NaVinfty_x", max_size=8), st.floats().map(repr))


# --- the reading of plain numbers without the expressions ---------------------------------------------------------


@examples(deadline=None, max_examples=tries(80))
@given(
    st.lists(
        st.one_of(st.text("0123456789.,eE+-<>= \r\u00a0NaVinfty_x", max_size=8), st.floats().map(repr)), max_size=20
    )
)
def test_a_plain_number_is_read_as_any_value_is(texts: list[str]) -> None:
    rows = pl.DataFrame(
        {"value_text": texts, "units": ["PERCENT"] * len(texts)}, {"value_text": pl.String, "units": pl.String}
    )
    columns = ["value_text", "value", "lower", "upper", "value_flag"]
    assert _with_values(rows).select(columns).rows() == parse_values(rows).select(columns).rows()


# --- the complete release ----------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_the_complete_release_against_a_copy_with_known_changes(
    tmp_path: Path, bundled_folder: Path, iso3_by_m49: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pl.read_parquet(shared("unsd_sdg_2020-10.parquet")).with_row_index("place")
    number = pl.col("value").cast(pl.Float64, strict=False)
    kept_apart = ["SH_HIV_INCD", "EN_WBE_NDQTGRW"]
    changed = (pl.col("place") % 1000 == 0) & number.is_not_null() & (number != 0) & ~pl.col("series").is_in(kept_apart)
    gone = (pl.col("place") % 1000 == 500) & ~pl.col("series").is_in(kept_apart)
    n_changed, n_gone = rows.filter(changed).height, rows.filter(gone).height
    n_nature = rows.filter(pl.col("series") == "SH_HIV_INCD", pl.col("nature") == "E").height
    n_series = rows.filter(pl.col("series") == "EN_WBE_NDQTGRW").height
    names = {"EN_MAT_DOMCMPT": "EN_MAT_NEWCODE", "SH_STA_STUNT": "SH_STA_STNT"}
    copy = (
        rows.with_columns(pl.when(changed).then((number * 1.03).cast(pl.String)).otherwise("value").alias("value"))
        .filter(~gone, pl.col("series") != "EN_WBE_NDQTGRW")
        .with_columns(
            pl.col("series").replace(names),
            pl.when(pl.col("series") == "SH_DYN_MORT").then(pl.lit("PER_100")).otherwise("units").alias("units"),
            pl.when(pl.col("series") == "SI_POV_DAY1").then(pl.lit("Another line")).otherwise("seriesDescription")
            .alias("seriesDescription"),
            pl.when((pl.col("series") == "SH_HIV_INCD") & (pl.col("nature") == "E")).then(pl.lit("M"))
            .otherwise("nature").alias("nature"),
        )
        .drop("place")
    )  # fmt: skip
    copy.write_parquet(tmp_path / "later.parquet")
    settings = Settings.load(
        lake=tmp_path / "lake", official=bundled_folder, official_source="last_good", official_areas="all"
    )
    for file, release in ((shared("unsd_sdg_2020-10.parquet"), "2020-10"), (tmp_path / "later.parquet", "2020-12")):
        take(file, settings.lake / SNAPSHOTS, release, "2020-10-28")
    choice = choose(settings, iso3_by_m49, "2020-12-24")
    assert choice.snapshot.info.release == "2020-12"
    start = time.perf_counter()
    path = tmp_path / "observations.parquet"
    storage.write_stream(observation_parts(choice.snapshot, iso3_by_m49, every_area=True), OFFICIAL_OBSERVATIONS, path)
    loaded = time.perf_counter()
    catalogue = build_catalogue(choice.snapshot, expected_series(bundled_folder))
    parts = revisions_of(choice, catalogue, path, settings, iso3_by_m49)
    storage.write_stream(parts, OFFICIAL_REVISIONS, tmp_path / "revisions.parquet")
    with capsys.disabled():
        print(f" loading {loaded - start:.1f} s, revisions {time.perf_counter() - loaded:.1f} s ", end="")
    found = pl.read_parquet(tmp_path / "revisions.parquet")
    assert found.select(OFFICIAL_REVISIONS.key).is_unique().all()
    assert dict(found["change"].value_counts().rows()) == {
        "changed": n_changed + n_nature,
        "withdrawn": n_gone + n_series,
        "series_withdrawn": 1,
        "series_renamed": 2,
        "series_redefined": 2,
    }
    assert (found.filter(pl.col("note") == "nature E before")["series"] == "SH_HIV_INCD").all()
    plain = found.filter((pl.col("change") == "changed") & pl.col("note").is_null())
    assert plain["relative_change"].abs().is_between(0.0299, 0.0301).all()
    series = found.filter(pl.col("m49").is_null()).select("change", "series", "value_text_before", "value_text_now")
    assert set(series.rows()) >= {
        ("series_renamed", "EN_MAT_NEWCODE", "EN_MAT_DOMCMPT", "EN_MAT_NEWCODE"),
        ("series_renamed", "SH_STA_STNT", "SH_STA_STUNT", "SH_STA_STNT"),
        ("series_redefined", "SH_DYN_MORT", "PER_1000_LIVE_BIRTHS", "PER_100"),
    }


def test_the_parts_are_in_order_and_whole(bundled_folder: Path) -> None:
    before = side("R1", [*of("A"), *of("B"), *of("C")])
    now = side("R2", [*of("A", LONG[:3]), *of("B"), *of("Z", LONG[:2])])
    (part,) = revision_parts(before, now, RULES)
    whole = revisions(before, now, RULES)
    assert part.height == whole.height
    assert whole["series"].is_sorted()
