"""Codes of the UN SDG API and of its SDMX twin: which ones mean the same, and the one spelling of a series.

Here: `indicator_mappings/framework/codes.csv`, read and applied. Not here: asking either service (`client`,
`sdmx_client`), nor which code is a total (`catalogue`).

The file has one row for each pair: `dimension` and `code` as the API names them, `sdmx_dimension` and `sdmx_code`,
`unit_multiplier` for units (the API writes NUM_TH where SDMX writes NUMBER with 10^3), `series` where the pair holds
for these series alone (codes separated by `;`), `source`. Where several codes of the API have one twin, the row that
comes first is what the twin is read as; the others are older spellings (`NOTSPEC` of the release of October 2020).

Sources: the codes that the release of October 2020 carries; code lists and names of the global SDG structure (DSD 1.4,
June 2021) and its content constraints (July 2021), in which units and codes of the same series stand side by side;
for products the pairs with which an Open SDG site converted the tables of October 2020. An age that no release carried
is paired by the pattern of those that it carried: `source` says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from lnob_pipeline.official.pages import DIMENSION

FILE: Final = "framework/codes.csv"  # under the folder of the mappings
TOTAL: Final = "_T"

_COLUMNS: Final = ("dimension", "code", "sdmx_dimension", "sdmx_code", "unit_multiplier", "series", "source")
_ANNUAL: Final = "A"  # of FREQ; every other frequency is told


def series_code(text: str) -> str:
    """A series code as this project writes it: upper case, as SDMX does (the API has `IT_USE_ii99`), without blanks."""
    return text.strip().upper()


def series_code_of(column: str) -> pl.Expr:
    """`series_code` of a text column."""
    return pl.col(column).str.strip_chars().str.to_uppercase()


@dataclass(frozen=True)
class Codes:
    """The pairs of codes: `table` has the columns of the file, all of them text, empty cells null."""

    table: pl.DataFrame

    @classmethod
    def load(cls, mappings: Path) -> Codes:
        """The pairs of a folder of mappings. Raises ValueError where the file is missing or of another form."""
        path = mappings / FILE
        if not path.is_file():
            raise ValueError(f"{path} is missing, and without it codes of SDMX cannot be read. Restore it.")
        table = pl.read_csv(path, infer_schema=False)
        if tuple(table.columns) != _COLUMNS:
            raise ValueError(f"{path} has the columns {', '.join(table.columns)}; they are {', '.join(_COLUMNS)}")
        return cls(table)

    def dimensions(self, series: str, rows: pl.DataFrame, concepts: list[str]) -> tuple[pl.DataFrame, Counter[str]]:
        """The dimensions of one series in the API's names and codes, and how many rows carry a code without a twin.

        `rows` has a text column for each of `concepts`, dimensions of SDMX. The frame has a column `dimension.<name>`
        for each dimension that the series is broken down by. SDMX writes a total for every dimension there is, the API
        for those of the series: a total stands here where another code of the dimension stands in the same series.
        A code without a twin stays as it is, in the column of its dimension.
        """
        columns: list[pl.Expr] = []
        without_twin: Counter[str] = Counter()
        for concept in concepts:
            present = set(rows[concept].drop_nulls().unique())
            pairs, totals = self._pairs(series, concept)
            foreign = present - set(pairs) - {TOTAL}
            if concept == "FREQ":
                foreign.discard(_ANNUAL)
            names = dict.fromkeys(name for name, _ in pairs.values())
            home = next(iter(names)) if len(names) == 1 else concept.lower()
            read = {code: pairs[code] for code in present & set(pairs)} | {code: (home, code) for code in foreign}
            for code in sorted(foreign):
                without_twin[f"{concept}={code}"] += rows.filter(pl.col(concept) == code).height
            for name in dict.fromkeys([*(name for name, _ in read.values()), *totals]):
                codes = {code: twin for code, (owner, twin) in read.items() if owner == name}
                total, always = totals.get(name, (None, False))
                if total and TOTAL in present and (codes or always):
                    codes[TOTAL] = total
                if codes:
                    column = pl.col(concept).replace_strict(codes, default=None, return_dtype=pl.String)
                    columns.append(column.alias(DIMENSION + name))
        return rows.select(columns), without_twin

    def attribute(self, concept: str) -> dict[str, str]:
        """Code of an attribute in SDMX -> code of the API, for instance of `NATURE`."""
        chosen = self.table.filter(pl.col("sdmx_dimension") == concept).unique("sdmx_code", keep="first")
        return dict(chosen.select("sdmx_code", "code").rows())

    def units(self) -> pl.DataFrame:
        """`UNIT_MEASURE`, `UNIT_MULT` and the unit of the API, one row for each pair of the first two."""
        chosen = self.table.filter(pl.col("sdmx_dimension") == "UNIT_MEASURE")
        chosen = chosen.unique(["sdmx_code", "unit_multiplier"], keep="first", maintain_order=True)
        return chosen.select(UNIT_MEASURE="sdmx_code", UNIT_MULT="unit_multiplier", units="code")

    def _pairs(self, series: str, concept: str) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, bool]]]:
        """SDMX code -> dimension and code of the API; and dimension -> its total and whether it always stands."""
        pairs: dict[str, tuple[str, str]] = {}
        totals: dict[str, tuple[str, bool]] = {}
        chosen = self.table.filter(pl.col("sdmx_dimension") == concept)
        for name, code, twin, only in chosen.select("dimension", "code", "sdmx_code", "series").rows():
            if only is not None and series not in only.split(";"):
                continue
            if twin == TOTAL:
                totals.setdefault(name, (code, only is not None))
            else:
                pairs.setdefault(twin, (name, code))
        return pairs, totals
