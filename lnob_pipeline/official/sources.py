"""What every source of official figures gives, whether it is a service or a file: the interface of stage 5.

Here: the interface, and the error of a code that is not known. Not here: any source (`client` the UN SDG API,
`sdmx_client` its SDMX twin), nor what is done with what they give (`staging` keeps it, `snapshot` makes a release
of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from lnob_pipeline.official.http import OfficialSourceError


class UnknownCodeError(OfficialSourceError):
    """A code that the release does not have: of a series, an indicator, an area ..."""


@dataclass(frozen=True)
class SourcePart:
    """All observations of one series for the areas asked for, proven complete.

    `bodies` are the answers as received, in the order of asking. `rows` are the same rows as text: the columns
    `pages.TEXT_COLUMNS`, then one `dimension.<name>` for each dimension that a row carries; a row that the source lists
    several times stands there once. `total` is the number of rows that the source states, repeats included.
    `suffix` says what the bodies are, as the end of a file name.
    """

    series: str
    bodies: tuple[bytes, ...]
    rows: pl.DataFrame
    total: int
    suffix: str = ".json"


class OfficialSource(Protocol):
    """A source of one release of official figures. Every method raises OfficialSourceError when it cannot be whole."""

    @property
    def base_url(self) -> str:
        """Where the figures come from: the address of a service, or the name of a file."""

    def release(self, *, fresh: bool = False) -> str:
        """The name of the release that the source gives; `fresh` asks again, as a service may publish meanwhile."""

    def updated(self) -> str:
        """When the figures last changed, as the source says it; empty where it does not."""

    def lists(self) -> dict[str, bytes]:
        """The lists of the release (goals, indicators, series, areas ...): file name -> body as received."""

    def series_codes(self) -> frozenset[str]:
        """The codes of all series of the release."""

    def observations(self, series: Iterable[str], areas: Iterable[str] | None = None) -> Iterator[SourcePart]:
        """One part for each series, as they arrive whole; `areas` are M49 codes, every area where there are none.

        Raises UnknownCodeError for a code outside the release. A series without a row for these areas is a part
        without rows.
        """
