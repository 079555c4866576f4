"""What differs between two official releases: values and series added, changed, withdrawn, renamed, redefined.

Here: the comparison, as a function of the observations and catalogues of both (`tables.OFFICIAL_REVISIONS`). Not here:
which releases are compared and whether one is held (`releases`), the flags that a gap gets from a revision (gaps/).

A value counts as changed where its two numbers differ by more than the tolerance, a share of the larger one. The rest
is no revision: floating point numbers of two exports differ in their last digits, and agencies publish with more
or fewer digits from release to release. So where a whole series comes with fewer decimals in one of the two, a value
that is the other one rounded is no revision either, however large its share (0.04 and 0.0). Other texts (`<2.5`, `N`)
count as changed where they mean something else. A value that only its nature moved (E, then C) is one change, not a
withdrawal and an addition.

A new code is a series renamed where it serves an indicator of one that vanished, or bears its title, and its values
agree with those. What was renamed is compared under its new code. A series is redefined where its title, its units or
its headline (the strata with the fewest dimensions: none of them stays) change, or most of its values at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import polars as pl

from lnob_pipeline.official.catalogue import build_catalogue, observation_parts
from lnob_pipeline.official.releases import Choice
from lnob_pipeline.official.snapshot import expected_series, series_between, series_ranges
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form, write_stream
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS, OFFICIAL_REVISIONS

RENAMED_SHARE: Final = 0.5  # of the values of a vanished series, found again under the new code
RENAMED_AGREEMENT: Final = 0.9  # of the values found again, those that agree
RENAMED_DISTINCT: Final = 3  # distinct numbers that agree, as series of 0 and 1 agree by chance
REDEFINED_SHARE: Final = 0.5  # of the values common to both releases, changed
REDEFINED_VALUES: Final = 5  # so many common values, at least

_CELL: Final = ("series", "m49", "year", "dimension_key")
_READ: Final = ("value_text", "value", "lower", "upper", "value_flag")
_COLUMNS: Final = (*_CELL, "nature", "iso3", *_READ)


class Side(NamedTuple):
    """One of two releases: its name, observations and catalogue (the two tables of the stage).

    `areas` are the M49 codes that were asked for, None for all; `codes` name the series that the release spells
    otherwise (code of the release -> code of the project).
    """

    release: str
    observations: pl.LazyFrame
    catalogue: pl.DataFrame
    areas: Collection[str] | None = None
    codes: Mapping[str, str] = {}


def revisions(before: Side, now: Side, settings: Settings) -> pl.DataFrame:
    """All of `revision_parts` as one frame in the form of the table."""
    return in_form(pl.concat([OFFICIAL_REVISIONS.empty(), *revision_parts(before, now, settings)]), OFFICIAL_REVISIONS)


def revision_parts(before: Side, now: Side, settings: Settings) -> Iterator[pl.DataFrame]:
    """`tables.OFFICIAL_REVISIONS`, some series at a time, ascending.

    Only what both releases were asked for is compared: a series or an area that was not loaded then is no addition
    now. `settings.official_revision_tolerance` is the tolerance, a share.
    """
    tolerance = settings.official_revision_tolerance
    asked = [set(side.areas) for side in (before, now) if side.areas is not None]
    rows_before, rows_now = (_rows(side.observations, asked) for side in (before, now))
    facts = _facts(before, now, rows_before, rows_now, tolerance)
    renamed = {old: ours for old, ours in facts.select("old_code", "series").drop_nulls().iter_rows() if old != ours}
    for first, last in series_ranges(facts.select("series", "len")):
        part = facts.filter(pl.col("series").is_between(pl.lit(first), pl.lit(last)))
        codes = part["series"].to_list()
        there, here = (
            rows.filter(series_between(first, last, names))
            .with_columns(pl.col("series").replace(names))
            .filter(pl.col("series").is_in(codes))
            .collect()
            for rows, names in ((rows_before, renamed), (rows_now, {}))
        )
        values, counts = _values(there, here, tolerance)
        found = pl.concat([values, _of_series(part.join(counts, on="series", how="left"))], how="diagonal")
        yield found.with_columns(
            pl.lit(now.release).alias("release"), pl.lit(before.release).alias("previous_release")
        ).select(pl.col(name).cast(kind) for name, kind in OFFICIAL_REVISIONS.schema.items())


def revisions_of(
    choice: Choice, catalogue: pl.DataFrame, observations: Path, settings: Settings, iso3_by_m49: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    """`revision_parts` of the release in use, whose tables are given, and the one before it; none without one."""
    previous = choice.previous
    if previous is None:
        return
    every_area = settings.official_areas == "all"
    with TemporaryDirectory(prefix=".official_before.", dir=settings.lake) as scratch:
        path = Path(scratch) / "observations.parquet"
        write_stream(observation_parts(previous, iso3_by_m49, every_area=every_area), OFFICIAL_OBSERVATIONS, path)
        there = build_catalogue(previous, expected_series(settings.official))
        current = choice.snapshot
        before = Side(previous.info.release, pl.scan_parquet(path), there, previous.areas, previous.codes)
        now = Side(current.info.release, pl.scan_parquet(observations), catalogue, current.areas, current.codes)
        yield from revision_parts(before, now, settings)


def _rows(rows: pl.LazyFrame, asked: list[set[str]]) -> pl.LazyFrame:
    """The columns that are compared, of the areas that both releases were asked for."""
    if asked:
        rows = rows.filter(pl.col("m49").is_in(sorted(set.intersection(*asked))))
    return rows.select(_COLUMNS)


# --- values ---------------------------------------------------------------------------------------------------


def _values(before: pl.DataFrame, now: pl.DataFrame, tolerance: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values added, changed and withdrawn; and for each series how many are common and how many changed."""
    key = [*_CELL, "nature"]
    both = [rows.sort(*key, "value_text") if rows.select(key).is_duplicated().any() else rows for rows in (before, now)]
    # Two values of one key are told apart by their place, so that a contradiction is compared with itself.
    both = [rows.with_columns(pl.int_range(pl.len()).over(key).alias("copy")) for rows in both]
    joined = both[1].join(both[0], on=[*key, "copy"], how="full", coalesce=True, suffix="_before")
    added = joined.filter(pl.col("value_flag_before").is_null())
    withdrawn = joined.filter(pl.col("value_flag").is_null())
    one = pl.len().over(_CELL) == 1
    natures = (
        added.filter(one)
        .drop(f"{name}_before" for name in (*_READ, "iso3"))
        .join(
            withdrawn.filter(one).select(*_CELL, *(f"{name}_before" for name in _READ), nature_before="nature"),
            on=_CELL,
        )
        .with_columns(pl.format("nature {} before", "nature_before").alias("note"))
    )
    common = joined.filter(pl.col("value_flag").is_not_null() & pl.col("value_flag_before").is_not_null())
    compared = pl.concat([common, natures], how="diagonal")
    changed = compared.filter(_differs(tolerance))
    coarser = _precision(before, now, changed)
    changed = changed.join(coarser, on="series", how="left").filter(~_rounded())
    counts = (
        compared.group_by("series")
        .agg(pl.len().alias("n_common"))
        .join(changed.group_by("series").agg(pl.len().alias("n_changed")), on="series", how="left")
    )
    kept = natures.select(*_CELL)
    revised = pl.concat([changed, natures.join(changed, on=[*_CELL, "nature"], how="anti")], how="diagonal")
    parts = {
        "changed": revised,
        "added": added.join(kept, on=_CELL, how="anti"),
        "withdrawn": withdrawn.join(kept, on=_CELL, how="anti"),
    }
    share = (pl.col("value") - pl.col("value_before")) / pl.col("value_before").abs()
    columns = (*_CELL, "nature", "value_text", "value_text_before", "note", "change", "iso3", "relative_change")
    found = [
        rows.with_columns(
            pl.lit(change).alias("change"),
            pl.coalesce("iso3", "iso3_before").alias("iso3"),
            pl.when(share.is_finite()).then(share).alias("relative_change"),
            *([] if "note" in rows.columns else [pl.lit(None, dtype=pl.String).alias("note")]),
        ).select(columns)
        for change, rows in parts.items()
    ]
    return pl.concat(found).rename({"value_text": "value_text_now"}), counts


def _differs(tolerance: float) -> pl.Expr:
    """Whether two readings of a value differ by more than the tolerance, or mean something else."""
    gap = (pl.col("value") - pl.col("value_before")).abs()
    larger = pl.max_horizontal(pl.col("value").abs(), pl.col("value_before").abs())
    text = (
        (pl.col("value_flag") != pl.col("value_flag_before"))
        | pl.col("lower").ne_missing(pl.col("lower_before"))
        | pl.col("upper").ne_missing(pl.col("upper_before"))
        | ((pl.col("value_flag") == "unreadable") & pl.col("value_text").ne_missing(pl.col("value_text_before")))
    )
    numbers = pl.col("value").is_not_null() & pl.col("value_before").is_not_null()
    return pl.when(numbers).then(gap > tolerance * larger).otherwise(text)


def _precision(before: pl.DataFrame, now: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """For series with changes whose decimals differ between the releases: the coarser number of decimals.

    The decimals of a series are those that nine of ten of its values keep to: a few values do not make its precision.
    """
    codes = changed["series"].unique().to_list()
    decimals = pl.col("value_text").str.extract(r"\.([0-9]+)\s*$").str.len_chars().fill_null(0)
    usual = [
        rows.filter(pl.col("series").is_in(codes), pl.col("value_flag") == "number")
        .group_by("series")
        .agg(decimals.quantile(0.9, "nearest").alias("decimals"))
        for rows in (before, now)
    ]
    return (
        usual[0]
        .join(usual[1], on="series", suffix="_now")
        .filter(pl.col("decimals") != pl.col("decimals_now"))
        .select("series", pl.min_horizontal("decimals", "decimals_now").alias("coarser"))
    )


def _rounded() -> pl.Expr:
    """Whether one number is the other with `coarser` decimals; null decimals: the series was not rounded."""
    gap = (pl.col("value") - pl.col("value_before")).abs()
    half = 0.5 * pl.lit(10.0).pow(-pl.col("coarser"))
    return (gap <= half * (1 + 1e-9)).fill_null(value=False)


# --- series ---------------------------------------------------------------------------------------------------


def _facts(
    before: Side, now: Side, rows_before: pl.LazyFrame, rows_now: pl.LazyFrame, tolerance: float
) -> pl.DataFrame:
    """One row for each series that is compared, under the code that it has now: what both releases say of it.

    `fate` is kept, withdrawn or added, `old_code` another code that it had before, `len` the rows of both.
    """
    there, here = (set(side.catalogue.filter("in_release")["series"].drop_nulls()) for side in (before, now))
    asked = [set(side.catalogue.filter("loaded")["series"]) for side in (before, now)]
    vanished, new = asked[0] - here, asked[1] - there
    renamed = _renamed(
        rows_before.filter(pl.col("series").is_in(sorted(vanished))).collect(),
        rows_now.filter(pl.col("series").is_in(sorted(new))).collect(),
        before.catalogue,
        now.catalogue,
        tolerance,
    )
    spelt = [{ours: code for code, ours in side.codes.items()} for side in (before, now)]
    old_codes = {ours: old for old, ours in renamed.items()}
    for code in asked[0] & asked[1]:
        if (then := spelt[0].get(code, code)) != spelt[1].get(code, code):
            old_codes[code] = then
    sides = []
    for side, rows, name in ((before, rows_before, "_before"), (now, rows_now, "_now")):
        places = pl.col("dimension_key").str.count_matches("=", literal=True)
        strata = rows.group_by("series", "dimension_key").len().collect()
        heads = (
            strata.filter((places == places.min().over("series")) & pl.col("dimension_key").is_not_null())
            .group_by("series")
            .agg(pl.col("dimension_key").sort().str.join(" | ").alias("headline"))
        )
        facts = (
            side.catalogue.filter("loaded")
            .group_by("series")
            .agg(pl.col("title").min(), pl.col("unit").min())
            .join(heads, on="series", how="left")
            .join(strata.group_by("series").agg(pl.col("len").sum()), on="series", how="left")
        )
        sides.append(facts.rename({c: c + name for c in ("title", "unit", "headline", "len")}))
    sides[0] = sides[0].with_columns(pl.col("series").replace(renamed))
    kept = dict.fromkeys(asked[0] & asked[1] | set(old_codes), "kept")
    fates = dict.fromkeys(vanished - set(renamed), "withdrawn") | dict.fromkeys(new, "added") | kept
    return (
        sides[1]
        .join(sides[0], on="series", how="full", coalesce=True)
        .with_columns(
            pl.col("series").replace_strict(fates, default=None, return_dtype=pl.String).alias("fate"),
            pl.col("series").replace_strict(old_codes, default=None, return_dtype=pl.String).alias("old_code"),
            (pl.col("len_before").fill_null(0) + pl.col("len_now").fill_null(0)).alias("len"),
        )
        .filter(pl.col("fate").is_not_null())
        .sort("series")
    )


def _of_series(facts: pl.DataFrame) -> pl.DataFrame:
    """The rows of series that were added, withdrawn, renamed and redefined; `facts` with the counts of `_values`."""
    plain = {
        name: pl.col(name).str.replace(r" \(\w+ in this release\)$", "").str.to_lowercase().str.replace_all(r"\s+", " ")
        for name in ("title_before", "title_now")
    }
    kept = pl.col("fate") == "kept"
    strata = [pl.col(f"headline_{side}").str.split(" | ") for side in ("before", "now")]
    other = {
        "title": plain["title_before"] != plain["title_now"],
        "unit": pl.col("unit_before") != pl.col("unit_now"),
        "headline": strata[0].list.set_intersection(strata[1]).list.len() == 0,
    }
    most = (pl.col("n_common") >= REDEFINED_VALUES) & (pl.col("n_changed") > REDEFINED_SHARE * pl.col("n_common"))
    notes = [
        *(pl.when(differs).then(pl.lit(f"{name} changed")) for name, differs in other.items()),
        pl.when(most).then(pl.format("{} of {} common values changed", "n_changed", "n_common")),
    ]
    first = {
        side: pl.coalesce(pl.when(differs).then(f"{name}_{side}") for name, differs in other.items())
        for side in ("before", "now")
    }
    changes = [
        facts.filter(pl.col("fate") == fate).select(
            "series", pl.lit(f"series_{fate}").alias("change"), pl.col(f"title_{side}").alias(f"value_text_{side}")
        )
        for fate, side in (("withdrawn", "before"), ("added", "now"))
    ]
    changes.append(
        facts.filter(pl.col("old_code").is_not_null()).select(
            "series",
            pl.lit("series_renamed").alias("change"),
            pl.col("old_code").alias("value_text_before"),
            pl.col("series").alias("value_text_now"),
            pl.lit("its values are those of the code before").alias("note"),
        )
    )
    changes.append(
        facts.with_columns(pl.concat_str(notes, separator="; ", ignore_nulls=True).alias("note"))
        .filter(kept & (pl.col("note") != ""))
        .select(
            "series",
            pl.lit("series_redefined").alias("change"),
            first["before"].alias("value_text_before"),
            first["now"].alias("value_text_now"),
            "note",
        )
    )
    columns = {name: kind for name, kind in OFFICIAL_REVISIONS.schema.items() if not name.endswith("release")}
    return pl.concat([pl.DataFrame(schema=columns), *changes], how="diagonal")


def _renamed(
    before: pl.DataFrame,
    now: pl.DataFrame,
    catalogue_before: pl.DataFrame,
    catalogue_now: pl.DataFrame,
    tolerance: float,
) -> dict[str, str]:
    """Code that vanished -> new code under which its values stand; `before` and `now` hold the rows of such series."""
    links = [catalogue.select("series", "indicator", "title") for catalogue in (catalogue_before, catalogue_now)]
    pairs = pl.concat(
        links[0].join(links[1], on=name, suffix="_now").select("series", "series_now", pl.lit(weight).alias("same"))
        for name, weight in (("indicator", 0), ("title", 1))
    )
    pairs = pairs.group_by("series", "series_now").agg(pl.col("same").max())
    cell = [name for name in _CELL if name != "series"]
    matched = (
        before.join(pairs, on="series")
        .join(now, left_on=["series_now", *cell], right_on=["series", *cell], suffix="_of_now")
        .rename({name: f"{name}_before" for name in _READ})
        .rename({f"{name}_of_now": name for name in _READ})
    )
    sizes = before.group_by("series").agg(pl.len().alias("rows"))
    found = (
        matched.group_by("series", "series_now", "same")
        .agg(
            pl.len().alias("matched"),
            (~_differs(tolerance)).sum().alias("agreed"),
            pl.col("value").filter(~_differs(tolerance)).n_unique().alias("distinct"),
        )
        .join(sizes, on="series")
        .filter(
            pl.col("matched") >= RENAMED_SHARE * pl.col("rows"),
            pl.col("agreed") >= RENAMED_AGREEMENT * pl.col("matched"),
            (pl.col("distinct") >= RENAMED_DISTINCT) | (pl.col("same") == 1),
        )
        .sort("agreed", "same", "series", "series_now", descending=[True, True, False, False])
    )
    names: dict[str, str] = {}
    for old, ours in found.select("series", "series_now").iter_rows():
        if old not in names and ours not in names.values():
            names[old] = ours
    return names
