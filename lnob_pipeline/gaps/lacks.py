"""What an official series as a whole lacks in an area: dimensions, categories, crossings.

Here: judging the series, not the cell. Required dimensions are those of the indicator's clause, of the minimum
disaggregation set and of the pledge, as far as the official structure has them. Groups without a dimension of their own
are judged one by one (`group_has_no_code`), not here.

Source: IAEG-SDGs minimum disaggregation set; the rules of the project's gap typology.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from lnob_pipeline.gaps.expected import known_indicators, matches, series_known, slice_key
from lnob_pipeline.gaps.observed import Observed
from lnob_pipeline.mappings.framework import headline_of
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import TOTAL, expected_breakdowns
from lnob_pipeline.settings import Settings

UNSPECIFIED: Final = ("NOTSPEC", "_U", "_X", "_N")
"""Codes that say a category is not known; no category of their own."""


def lacks(
    seen: Observed, years: pl.DataFrame, template: pl.DataFrame, mappings: Mappings, settings: Settings
) -> pl.DataFrame:
    """line, area, lacks_dimension, lacks_category, lacks_crossing for each line that has rows in the area.

    A line is an indicator with one of its series (column `line` of the template). A category is looked for where its
    dimension is there; one without a code is no fault of the country's.
    """
    lines = template.select("line", "indicator", "series").unique("line")
    required, crossings = _demands(lines, mappings)
    present = _present(seen, required, settings)
    met = _met(seen, crossings)
    with_rows = years.join(template.select("set", "line"), on="set").select("area", "line").unique()
    coded = template.filter("has_code").join(
        required.select("line", "breakdown").unique(), on=["line", "breakdown"], how="semi"
    )
    wanted = coded.group_by("line", "breakdown").len("n_wanted")
    reported = (
        years.filter(pl.col("n_years_since_base") > 0)
        .join(coded.select("set", "line", "breakdown"), on="set")
        .group_by("area", "line", "breakdown")
        .len("n_reported")
    )
    incomplete = (
        present.join(wanted, on=["line", "breakdown"])
        .join(reported, on=["area", "line", "breakdown"], how="left")
        .filter(pl.col("n_reported").fill_null(0) < pl.col("n_wanted"))
        .select("area", "line", pl.lit(True).alias("lacks_category"))
        .unique()
    )
    return (
        with_rows.join(required.group_by("line").len("n_required"), on="line", how="left")
        .join(present.group_by("area", "line").len("n_present"), on=["area", "line"], how="left")
        .join(crossings.select("line", "crossing").unique().group_by("line").len("n_crossings"), on="line", how="left")
        .join(met.group_by("area", "line").len("n_met"), on=["area", "line"], how="left")
        .join(incomplete, on=["area", "line"], how="left")
        .with_columns(pl.col("n_required", "n_present", "n_crossings", "n_met").fill_null(0))
        .select(
            "area",
            "line",
            (pl.col("n_present") < pl.col("n_required")).alias("lacks_dimension"),
            pl.col("lacks_category").fill_null(value=False),
            (pl.col("n_met") < pl.col("n_crossings")).alias("lacks_crossing"),
        )
    )


def _demands(lines: pl.DataFrame, mappings: Mappings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What each line has to show.

    First: line, breakdown, series, dimension, rest (the headline's slice without the dimension), headline_code (the
    code that the headline has in it). Second: line, crossing, series, dimensions (a name that the official structure
    does not know stands for itself, and is never met).
    """
    indicators = known_indicators(mappings)
    required, crossings = [], []
    for line, code, item in lines.select("line", "indicator", "series").iter_rows():
        indicator = indicators.get(code)
        if indicator is None or not item:
            continue
        expected, headline = expected_breakdowns(indicator, mappings), series_known(item, mappings).headline
        for name in expected.breakdowns:
            dimension = mappings.breakdowns[name].official_dimension
            if dimension is None:
                continue
            rest = None if headline is None else {key: own for key, own in headline.items() if key != dimension}
            own_code = TOTAL if headline is None else headline.get(dimension, TOTAL)
            required.append((line, name, item, dimension, slice_key(rest), own_code))
        for names in expected.crossings:
            dimensions = [mappings.breakdowns[name].official_dimension or name for name in names]
            crossings.append((line, " x ".join(names), item, dimensions))
    text = dict.fromkeys(("series", "dimension", "rest", "headline_code"), pl.String())
    return (
        pl.DataFrame(
            required, schema={"line": lines.schema["line"], "breakdown": pl.String(), **text}, orient="row"
        ).unique(),
        pl.DataFrame(
            crossings,
            schema={
                "line": lines.schema["line"],
                "crossing": pl.String(),
                "series": pl.String(),
                "dimensions": pl.List(pl.String),
            },
            orient="row",
        ),
    )


def _present(seen: Observed, required: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """area, line, breakdown, where one year and nature show two categories, all else as in the headline."""
    slices = [(pair, series, headline_of(key) or {}) for pair, series, key in seen.pairs.iter_rows()]
    of_series: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for pair, series, codes in slices:
        of_series.setdefault(series, []).append((pair, codes))
    demands = required.select("series", "dimension", "rest", "headline_code").unique().with_row_index("demand")
    answers = [
        (demand, pair, codes[dimension])
        for demand, series, dimension, rest, own in demands.iter_rows()
        for pair, codes in of_series.get(series, [])
        if dimension in codes
        and codes[dimension] not in (own, *UNSPECIFIED)
        and matches(rest, slice_key({key: code for key, code in codes.items() if key != dimension}))
    ]
    found = pl.DataFrame(
        answers, schema={"demand": pl.UInt32, "pair": seen.pairs.schema["pair"], "code": pl.String}, orient="row"
    )
    there = (
        seen.rows.lazy()
        .filter((pl.col("nature") > 0) & (pl.col("year") >= settings.base_year))
        .join(found.lazy(), on="pair")
        .group_by("area", "demand", "year", "nature")
        .agg(pl.col("code").n_unique())
        .filter(pl.col("code") >= 2)
        .select("area", "demand")
        .unique()
        .collect()
    )
    keys = ["series", "dimension", "rest", "headline_code"]
    return there.join(demands, on="demand").join(required, on=keys).select("area", "line", "breakdown").unique()


def _met(seen: Observed, crossings: pl.DataFrame) -> pl.DataFrame:
    """area, line, crossing, where one usable row of any year names a category of every dimension of it."""
    named = seen.pairs.with_columns(
        pl.col("dimension_key").str.extract_all(r"[^;=]+=[^;]").list.eval(pl.element().str.head(-2)).alias("named")
    )
    meeting = (
        named.join(crossings, on="series")
        .filter(pl.col("dimensions").list.set_difference("named").list.len() == 0)
        .select("pair", "line", "crossing")
    )
    return (
        seen.rows.filter(pl.col("nature") > 0)
        .select("area", "pair")
        .unique()
        .join(meeting, on="pair")
        .select("area", "line", "crossing")
        .unique()
    )
