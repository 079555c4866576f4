"""Labels for the codes of the tables, from indicator_mappings/, and the order in which they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.report.words import listed
from lnob_pipeline.tables import STRATUM_DIMENSIONS


class Labels:
    """Labels of codes, from the mappings."""

    def __init__(self, mappings: Mappings) -> None:
        self.countries = {iso3: country.name for iso3, country in mappings.countries.items()}
        self.areas = {code: name for country in mappings.countries.values() for code, name in country.admin1.items()}
        self.groups = {code: group.label for code, group in mappings.groups.items()}
        self.categories = {
            name: {code: category.label for code, category in mappings.categories(name).items()}
            for name in STRATUM_DIMENSIONS
            if name in mappings.breakdowns
        }
        self.indicators = {code: shortened(mappings.indicators[code].title) for code in in_order(mappings.indicators)}
        framework = mappings.framework.indicators
        self.framework = dict(framework.select("indicator", "title").iter_rows())
        self.series = {
            code: shortened(title)
            for indicator in mappings.indicators.values()
            for code, title in [
                *((series.code, series.title) for series in indicator.series),
                *((component.code, component.title) for component in indicator.components),
            ]
        }

    def indicator(self, code: str) -> str:
        """The title of an indicator of the project or of the framework; its code where neither holds it."""
        return self.indicators.get(code) or shortened(self.framework.get(code, code))

    def title(self, series: str) -> str:
        """The title of a series; its code where no indicator file holds it."""
        return self.series.get(series, series)

    def area(self, level: str | None, area: str | None) -> str:
        """The area a hand-in speaks for, as in a sentence."""
        if level == "national":
            return "the whole country"
        if not area:
            return "a place that is not named"
        names = listed([self.areas.get(code, code) for code in area.split(",")])
        return {"admin1": names, "admin2": f"districts or municipalities in {names}"}.get(
            level or "", f"communities in {names}"
        )

    def indicator_order(self) -> pl.Expr:
        """Expression: the place of the indicator in the framework's order."""
        return pl.col("indicator").replace_strict(
            list(self.indicators), list(range(len(self.indicators))), default=999, return_dtype=pl.Int32
        )

    def stratum(self) -> pl.Expr:
        """Expression: the stratum in words, e.g. 'Female, With disability'; 'All' for the headline."""
        parts = [
            pl.when(pl.col(name) != "_T").then(pl.col(name).replace(self.categories.get(name, {})))
            for name in STRATUM_DIMENSIONS
        ]
        joined = pl.concat_str(parts, separator=", ", ignore_nulls=True)
        return pl.when(joined == "").then(pl.lit("All")).otherwise(joined)

    def stratum_order(self) -> pl.Expr:
        """Expression: headline first, then by dimension and in the order of the mappings."""
        ranks = [
            pl.when(pl.col(name) != "_T").then(
                1000 * (place + 1)
                + pl.col(name).replace_strict(
                    list(self.categories.get(name, {})),
                    list(range(len(self.categories.get(name, {})))),
                    default=999,
                    return_dtype=pl.Int32,
                )
            )
            for place, name in enumerate(STRATUM_DIMENSIONS)
        ]
        return pl.sum_horizontal(pl.col("stratum") != "_T", *(rank.fill_null(0) for rank in ranks))


def shortened(title: str) -> str:
    """A UN title without its first words, which are the same for nearly all."""
    rest = re.sub(r"^Proportion of ", "", title)
    return rest[:1].upper() + rest[1:]


def in_order(indicators: Iterable[str]) -> list[str]:
    """Indicators in the order of the framework: 5.b.1 after 5.3.1, 10.3.1 after 8.10.2."""
    return sorted(
        indicators,
        key=lambda code: [
            (int(part), "") if part.isdigit() else (999, part) for part in re.findall(r"\d+|[a-z]+", code)
        ],
    )
