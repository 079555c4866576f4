"""Open SDG: a folder per country that a national Open SDG site can take as it is.

    open_sdg/README.md
    open_sdg/not_started/indicator-config/1-1-1.yml         every indicator of the framework, for a new site
    open_sdg/<iso3>/data/indicator_1-4-1.csv                one file an indicator, by the contract of the site
    open_sdg/<iso3>/data_with_bounds/indicator_1-4-1.csv    the same with intervals and status
    open_sdg/<iso3>/indicator-config/1-4-1.yml, meta/1-4-1.yml
    open_sdg/<iso3>/config_data.snippet.yml                 what data_with_bounds and sdmx need
    open_sdg/NPL/sdmx/NPL.xml                               the same rows in the structure of the statistics office

Here: the files and the contract of a data file. Not here: which figures are rows and what a blank means
(open_sdg_rows), what is said of them (open_sdg_documents), their codes in SDMX (open_sdg_sdmx).

A national site already has its official figures and wants those of citizens beside them without mistaking the one for
the other. So an all-blank row is an official observation and nothing else; a citizen estimate stands under its Source
and its Area, and is a row at all only where it is the estimate of a population. The reasons are in open_sdg_rows.

A country's folder has configurations of those indicators alone that it says something of: a configuration `notstarted`
laid over that of a site would take back what the office reports. Those of all indicators lie apart.

The contract of a data file: UTF-8 without a byte order mark, comma; Year (a whole number) first, GeoCode last but one,
Value (a number, never blank) last; no outer white space, no two rows with the same cells, no word for a total. A column
without a code is left out. In data/ there is no attribute: the reader of a site would take it for a disaggregation, and
then no row is a headline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.open_sdg_documents import (
    READ_ME,
    configuration,
    documents,
    metadata,
    not_started,
    snippet,
)
from lnob_pipeline.publication.open_sdg_rows import (
    ATTRIBUTES,
    PLACE,
    SERIES,
    SOURCE,
    UNITS,
    VALUE,
    YEAR,
    in_order,
    rows,
)
from lnob_pipeline.publication.open_sdg_sdmx import area_code, rows_of, structure_of
from lnob_pipeline.publication.sdmx_message import check, write_message
from lnob_pipeline.publication.tabular import harmless

FOLDER: Final = "open_sdg"
_ALWAYS: Final = (YEAR, UNITS, SERIES, VALUE)


class OpenSdgError(ValueError):
    """A data file would break the contract of Open SDG. Says which file, and how to mend."""


def write(folder: Path, content: ReleaseContent) -> None:
    """Write `open_sdg/` below the folder of the release; a country without anything to say has no folder."""
    found = rows(content)
    said = documents(content, found)
    cautious = pl.col("OBS_STATUS") == "U"
    together = harmless(found.together).collect()
    bounded = _by_place(together)
    plain = _by_place(together.filter(cautious.fill_null(value=False).not_()).drop(ATTRIBUTES))
    files: dict[str, bytes] = {"README.md": READ_ME.encode()}
    for indicator, title in content.mappings.framework.indicators.select("indicator", "title").iter_rows():
        files[f"not_started/indicator-config/{_name(indicator)}.yml"] = not_started(indicator, title).encode()
    places = sorted(bounded.keys() | said.places)
    for iso3, indicator in places:
        name, place = _name(indicator), (iso3, indicator)
        data = plain.get(place)
        if data is not None:
            files[f"{iso3}/data/indicator_{name}.csv"] = data_file(data, f"{iso3}, {indicator}")
        if place in bounded:
            files[f"{iso3}/data_with_bounds/indicator_{name}.csv"] = data_file(bounded[place], f"{iso3}, {indicator}")
        files[f"{iso3}/indicator-config/{name}.yml"] = configuration(said, iso3, indicator, data).encode()
        files[f"{iso3}/meta/{name}.yml"] = metadata(said, iso3, indicator, data).encode()
    for iso3 in sorted({iso3 for iso3, _ in places}):
        route = _write_sdmx(folder / FOLDER / iso3, content, iso3)
        files[f"{iso3}/config_data.snippet.yml"] = snippet(iso3, route).encode()
    _fill(folder / FOLDER, files)


def _write_sdmx(folder: Path, content: ReleaseContent, iso3: str) -> tuple[str, str] | None:
    """Write `sdmx/<iso3>.xml`; its name and the country's code of area, None where there is none.

    Raises SdmxError where a row breaks a rule of SDMX or the file does not read back.
    """
    structure = structure_of(content, iso3)
    found = None if structure is None else rows_of(content, iso3)
    if structure is None or found is None or found.is_empty():
        return None
    check(found, structure)
    name = f"sdmx/{iso3}.xml"
    write_message(folder / name, found, structure, content.facts)
    return name, area_code(content, iso3)


def data_file(frame: pl.DataFrame, place: str) -> bytes:
    """One data file as bytes. frame: its rows; place: what an error calls it. Raises OpenSdgError."""
    cells = [name for name in frame.columns if name not in (*ATTRIBUTES, VALUE)]
    if frame.select(cells).is_duplicated().any():
        raise OpenSdgError(
            f"Open SDG data of {place}: two rows have the same cells, and a site would show either of them; give the "
            "two surveys, series or codes different names"
        )
    return frame.write_csv().encode()


def _by_place(frame: pl.DataFrame) -> dict[tuple[str, str], pl.DataFrame]:
    """The rows of each file in the order of the file, without columns that are empty there."""
    order = [SERIES, SOURCE, *(name for name in in_order(frame.columns) if name not in (SERIES, SOURCE, VALUE, YEAR))]
    order = [name for name in order if name not in ATTRIBUTES]
    parts = frame.sort(*PLACE, *order, YEAR, nulls_last=False).partition_by(PLACE, as_dict=True, include_key=False)
    return {(str(iso3), str(indicator)): _carried(part) for (iso3, indicator), part in parts.items()}


def _carried(part: pl.DataFrame) -> pl.DataFrame:
    kept = (*_ALWAYS, *ATTRIBUTES)
    return part.select(name for name in part.columns if name in kept or part[name].null_count() < part.height)


def _name(indicator: str) -> str:
    return indicator.replace(".", "-")


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    """Write many small files into a release that nobody sees yet.

    The release flushes and renames the whole folder at its end: to do so for each file takes 6 ms a file and saves
    nothing.
    """
    for name, content in files.items():
        storage.write_unseen(folder / name, content)
