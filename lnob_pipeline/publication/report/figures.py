"""Section 2 of the report: official and citizen values side by side, one figure for each series of a hand-in.

A figure is a table with a plot in each row, so that labels are text of the page, in any script, and a screen reader
finds every number. Numbers are taken as published and only rounded here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import polars as pl

from lnob_pipeline.publication.disclosure import CAUTION_BELOW
from lnob_pipeline.publication.report import words
from lnob_pipeline.publication.report.labels import Labels
from lnob_pipeline.publication.report.words import in_words, listed
from lnob_pipeline.tables import STRATUM_DIMENSIONS

PLOTTED = ("sex", "location", "disability", "marginalised_group")
"""Dimensions with rows of their own; age, wealth and crossings are in the files."""

PERCENT = "PERCENT"
NO_VALUE = "no official value beside it"
NOT_LOADED = "the official series is not in this snapshot"
WHOLE_PERCENT_BELOW = 100
MIDDLE, UNDER = 13, 19  # of the 26 pixels of a row

Row = dict[str, Any]


def hand_ins(
    comparison: pl.DataFrame,
    estimates: pl.DataFrame,
    labels: Labels,
    most_rows: int,
    not_loaded: Container[object] = frozenset(),
) -> dict[str, list[Row]]:
    """Country -> its hand-ins, each with one figure for each series that has a citizen number to show.

    comparison, estimates: the released tables. A figure has at most `most_rows` rows and says how many more there are.
    not_loaded: official series that the release has and the snapshot has not; of these no absence is told.
    Only what is in percent has a place on the axis; the rest is in the files.
    """
    comparison = comparison.filter(pl.col("unit") == PERCENT)
    rows = _rows(comparison, estimates, labels)
    whole_country = {
        (row["iso3"], row["series"]): row
        for row in _official(comparison.filter((pl.col("stratum") == "_T") & pl.col("official_value").is_not_null()))
        .unique(["iso3", "series"], keep="first", maintain_order=True)
        .to_dicts()
    }
    found: dict[str, list[Row]] = {}
    number = 0
    for (iso3, submission), hand_in in rows.partition_by(
        "iso3", "submission_id", maintain_order=True, as_dict=True
    ).items():
        figures = []
        for (indicator, series), part in hand_in.partition_by(
            "indicator", "series", maintain_order=True, as_dict=True
        ).items():
            number += 1
            figures.append(
                {
                    "id": f"f{number}",
                    "indicator": indicator,
                    "title": labels.title(str(series)),
                    **_figure(
                        part,
                        whole_country.get((iso3, series)),
                        most_rows,
                        NOT_LOADED if series in not_loaded else NO_VALUE,
                    ),
                }
            )
        first = hand_in.row(0, named=True)
        found.setdefault(str(iso3), []).append(
            {
                "submission_id": submission,
                "description": f"{in_words(words.SAMPLING, first['sampling_method']).capitalize()}; "
                f"{labels.area(first['citizen_area_level'], first['citizen_area'])}, {first['citizen_year']}.",
                "figures": figures,
            }
        )
    return found


def finding(found: Mapping[str, list[Row]]) -> str:
    """One sentence on all figures."""
    figures = [figure for part in found.values() for hand_in in part for figure in hand_in["figures"]]
    if not figures:
        return "No citizen figure of this release may be shown."
    counts = {
        kind: sum(figure["kind"] == kind for figure in figures) for kind in ("same_line", "beside", "respondents")
    }
    return (
        f"{len(figures)} series of citizen data from {len(found)} countries: {counts['same_line']} on one line with an "
        f"official value, {counts['beside']} beside one or alone, and {counts['respondents']} with shares of "
        f"respondents, which stand for no one else."
    )


def official_only(comparison: pl.DataFrame, labels: Labels) -> dict[str, list[Row]]:
    """Country -> the headline official values of series without a citizen number to show."""
    comparison = comparison.filter(pl.col("unit") == PERCENT)
    citizen = comparison.filter(pl.col("citizen_estimate").is_not_null()).select("iso3", "series").unique()
    rows = (
        _official(comparison.filter((pl.col("stratum") == "_T") & pl.col("official_value_text").is_not_null()))
        .join(citizen, on=["iso3", "series"], how="anti")
        .unique(["iso3", "series", "indicator"], keep="first", maintain_order=True)
        .with_columns(title=pl.col("series").replace(labels.series), place=labels.indicator_order())
        .sort("place", "indicator", "series")
    )
    shown = ("indicator", "title", "official", "official_year", "origin")
    return {
        str(iso3): part.select(shown).to_dicts() for (iso3,), part in rows.partition_by("iso3", as_dict=True).items()
    }


def _percent(value: str, n: str | None = None) -> pl.Expr:
    """Expression: a percentage as text; whole below 100 answers, else one decimal."""
    fine = pl.col(value).round(1).cast(pl.String)
    if n is None:
        return fine
    whole = pl.col(value).round(0).cast(pl.Int64).cast(pl.String)
    return pl.when(pl.col(n) < WHOLE_PERCENT_BELOW).then(whole).otherwise(fine)


def _place(value: str) -> pl.Expr:
    """Expression: the place of a percentage on the axis, 0 to 100, one decimal."""
    return pl.col(value).clip(0, 100).round(1)


def _official(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        official=pl.coalesce(_percent("official_value"), "official_value_text", pl.lit("–")),
        official_x=_place("official_value"),
        origin=pl.col("official_nature").replace(dict(words.NATURE)).fill_null("–"),
    )


def _rows(comparison: pl.DataFrame, estimates: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """The comparison's rows with a citizen number, in order, with all that a row of a figure shows."""
    sampling = estimates.select("submission_id", "series", "stratum", "sampling_method")
    one_way = pl.sum_horizontal(pl.col(name) != "_T" for name in STRATUM_DIMENSIONS) <= 1
    apart = pl.any_horizontal(pl.col(name) != "_T" for name in STRATUM_DIMENSIONS if name not in PLOTTED)
    in_group = pl.col("marginalised_group") != "_T"
    interval = pl.when(pl.col("citizen_ci_low").is_not_null()).then(
        pl.concat_str(_percent("citizen_ci_low", "citizen_n"), pl.lit("–"), _percent("citizen_ci_high", "citizen_n"))
    )
    # Whatever the sampling: a share of few respondents is no firmer than an estimate from few.
    cases = pl.when(pl.col("citizen_n") < CAUTION_BELOW).then(pl.lit("n ({})")).otherwise(pl.lit("n {}"))
    same_line = pl.col("relation") == "same_line"
    return _official(
        comparison.filter(pl.col("citizen_estimate").is_not_null())
        .join(sampling, on=["submission_id", "series", "stratum"], how="left", maintain_order="left")
        .with_columns(plotted=one_way & ~apart, order=labels.stratum_order(), place=labels.indicator_order())
        # Groups stand in order of their figure, other categories in their own order.
        .sort(
            "iso3",
            "submission_id",
            "place",
            "indicator",
            "series",
            pl.col("order").floordiv(1000),
            pl.when(in_group).then("citizen_estimate").otherwise("order"),
            "stratum",
        )
    ).with_columns(
        who=labels.stratum(),
        group=in_group,
        same_line=same_line,
        y=pl.when(same_line | pl.col("official_value").is_null()).then(MIDDLE).otherwise(UNDER),
        x=_place("citizen_estimate"),
        low=_place("citizen_ci_low"),
        high=_place("citizen_ci_high"),
        official_note=pl.concat_str(
            "official_year", pl.col("official_nature").replace(dict(words.NATURE)), separator=", ", ignore_nulls=True
        ),
        citizen=_percent("citizen_estimate", "citizen_n"),
        interval=interval,
        cases=cases.str.replace("{}", pl.col("citizen_n").cast(pl.String), literal=True),
    )


def _figure(part: pl.DataFrame, official: Row | None, most_rows: int, nothing: str) -> Row:
    """Rows, sentence and remarks of one figure; `official` is the value of the whole country, if there is one.

    nothing: the words where there is none.
    """
    respondents = part["low"].null_count() == part.height
    # Groups are the rows of a purposive sample; those of a probability sample are listed under the table.
    rows = part.filter(pl.col("plotted") & (pl.lit(respondents) | ~pl.col("group")))
    groups = part.filter(pl.col("plotted") & pl.col("group")) if not respondents else part.clear()
    first = part.row(0, named=True)
    headline = first["stratum"] == "_T"
    beyond = part.height - min(rows.height, most_rows) - min(groups.height, most_rows)
    kind = "respondents" if respondents else "same_line" if first["same_line"] else "beside"
    return {
        "kind": kind,
        "comparability": first["comparability"],
        "finding": _sentence(part, first, official, kind, nothing),
        "whole_country": None if headline else official,
        "has_official": rows["official_value"].null_count() < rows.height or (official is not None and not headline),
        "rows": rows.head(most_rows).to_dicts(),
        "groups": [
            f"{row['who']} {row['citizen']} ({row['interval']}; {row['cases']})"
            if row["interval"]
            else f"{row['who']} {row['citizen']} ({row['cases']})"
            for row in groups.head(most_rows).to_dicts()
        ],
        "beyond": beyond,
    }


def _sentence(part: pl.DataFrame, first: Row, official: Row | None, kind: str, nothing: str) -> str:
    """What the citizen data says, and what stands beside it."""
    beside = f"official, whole country: {official['official']} %, {official['official_year']}" if official else ""
    if first["stratum"] == "_T":
        interval = f" (95 % interval {first['interval']})" if first["interval"] else ""
        text = f"Citizen data: {first['citizen']} %{interval}; {beside or nothing}."
    else:
        ordered = part.sort("citizen_estimate", "stratum")
        low, high = ordered.row(0, named=True), ordered.row(-1, named=True)
        text = f"Among those who answered: {low['who']} {low['citizen']} %"
        text += f" to {high['who']} {high['citizen']} %" if ordered.height > 1 else ""
        text += f"; {beside or nothing}."
    if kind == "same_line":
        remarks = [in_words(words.COMPARISON_FLAG, flag) for flag in (first["flags"] or "").split(",") if flag]
        return " ".join([text, "Both speak of the same area and the same definition.", *remarks])
    if official and first["differences"]:
        kinds = [difference.partition(":")[0] for difference in first["differences"].split(" | ")]
        text += f" They differ in {listed([in_words(words.DIFFERENCE, kind) for kind in kinds])}."
    return text
