"""The SDMX route of Open SDG: the rows of a country in the structure of its statistics office.

Here: official observations and the citizen estimates of open_sdg_rows under the codes of a national structure, for
countries whose own structure is known (Nepal reads its site from SDMX). Not here: codes of citizen estimates
(sdmx_codes), messages (sdmx_message), the project's own dataflows and what an office has accepted (sdmx).

A site drops what lies beside the key and shows `_T` as a blank. So what keeps a citizen estimate from being taken for
an official figure has to be in the key: CUST_BREAKDOWN, which the structure leaves to the producer, has a custom code
(C01, C02 ...) for every hand-in and group, with its words in CUST_BREAKDOWN_LB. The codes hold for one message. An
official row has `_T` there; all `_T` is the headline. A series about a part of the people has the code of that part, as
the global structure does (births registered: AGE Y0T4), and so no row that is `_T` throughout.

A row that the structure has no code for is left out: a later series, an own age band, an area that is none of its own.

Source: code lists of CBS-SDGs:SDG(1.4), the structure of Nepal's statistics office, August 2022.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import polars as pl

from lnob_pipeline.official.codes import Codes
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.open_sdg_rows import cells_of, observations_of, shown, source_names
from lnob_pipeline.publication.sdmx import national_rows, national_structure
from lnob_pipeline.publication.sdmx_codes import DIMENSIONS, NATIONAL_AREAS, TOTAL
from lnob_pipeline.publication.sdmx_message import NATIONAL_ELSEWHERE, Structure, in_form

_MOST_CUSTOM_CODES: Final = 99
NATIONAL_SERIES: Final = "framework/national_series.csv"
"""Under the folder of the mappings: the series of national structures (CL_SERIES), a row a series."""
COUNTRIES: Final = ("NPL",)
"""Countries whose site reads SDMX in a structure that is known here, code by code."""


def structure_of(content: ReleaseContent, iso3: str) -> Structure | None:
    """The structure of the country's office; None where the site of the country does not read it, or it is unknown."""
    found = national_structure(content.mappings, iso3)
    return found if iso3 in COUNTRIES and found != NATIONAL_ELSEWHERE else None


def rows_of(content: ReleaseContent, iso3: str) -> pl.DataFrame:
    """Official and citizen rows of a country in the form of its structure: key, OBS_VALUE, attributes."""
    structure = national_structure(content.mappings, iso3)
    parts = [_official(content, iso3), *_citizen(content, iso3)]
    known = pl.read_csv(content.mappings.folder / NATIONAL_SERIES, infer_schema=False)
    listed = known.filter(pl.col("structure") == structure.reference)["series"]
    return in_form(pl.concat(parts, how="diagonal").filter(pl.col("SERIES").is_in(listed.implode())), structure)


def area_code(content: ReleaseContent, iso3: str) -> str:
    """The country in the code list of its structure: NP."""
    areas = pl.read_csv(content.mappings.folder / NATIONAL_AREAS, infer_schema=False)
    return str(areas.filter((pl.col("iso3") == iso3) & pl.col("area").is_null())["sdmx_code"].item())


def _official(content: ReleaseContent, iso3: str) -> pl.DataFrame:
    observations = observations_of(content).filter(pl.col("iso3") == iso3)
    pairs = Codes.load(content.mappings.folder).table
    units = pairs.filter(pl.col("dimension") == "units")
    natures = dict(pairs.filter(pl.col("dimension") == "nature").select("code", "sdmx_code").iter_rows())
    keyed = _key(cells_of(observations), pairs)
    unknown = keyed.filter(pl.col("dimension").is_null())["row"]
    columns = keyed["dimension"].drop_nulls().unique().sort().to_list()
    wide = keyed.filter(pl.col("dimension").is_not_null()).pivot(
        on="dimension", on_columns=columns, index="row", values="code", aggregate_function="first"
    )
    constant = {"FREQ": "A", "REPORTING_TYPE": "G", "OBS_STATUS": "A", "REF_AREA": area_code(content, iso3)}
    return (
        observations.filter(~pl.col("row").is_in(unknown.implode()))
        .join(wide, on="row", how="left", maintain_order="left")
        .join(units.select(units="code", UNIT_MEASURE="sdmx_code", UNIT_MULT="unit_multiplier"), on="units", how="left")
        .select(
            *((pl.col(name) if name in columns else pl.lit(None, pl.String)).fill_null(TOTAL).alias(name)
              for name in DIMENSIONS if name not in (*constant, "SERIES")),
            *(pl.lit(code).alias(name) for name, code in constant.items()),
            pl.coalesce("UNIT_MEASURE", "units").alias("UNIT_MEASURE"),
            pl.col("UNIT_MULT").fill_null("0"),
            SERIES="series",
            TIME_PERIOD=pl.col("year").cast(pl.String),
            OBS_VALUE="value",
            NATURE=pl.col("nature").replace(natures),
            LOWER_BOUND="lower_bound",
            UPPER_BOUND="upper_bound",
            SOURCE_DETAIL="source",
        )
    )  # fmt: skip


def _key(cells: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """row, dimension and code of SDMX for every code that is no total; nulls where it has no twin."""
    named = pairs.filter(pl.col("sdmx_dimension").is_in(DIMENSIONS)).with_columns(
        pl.col("series").str.split(";").alias("series")
    )
    twins = named.explode("series").select("series", "dimension", "code", own="sdmx_dimension", twin="sdmx_code")
    general = twins.filter(pl.col("series").is_null()).drop("series").unique(["dimension", "code"], keep="first")
    joined = cells.join(twins, on=["series", "dimension", "code"], how="left").join(
        general, on=["dimension", "code"], how="left", suffix="_general"
    )
    return joined.select("row", dimension=pl.coalesce("own", "own_general"), code=pl.coalesce("twin", "twin_general"))


def _citizen(content: ReleaseContent, iso3: str) -> list[pl.DataFrame]:
    """The rows of every hand-in, each with the custom codes of its own groups; those beyond the last code are left."""
    chosen = content.tables["citizen_estimates"].filter((pl.col("iso3") == iso3) & shown(content.mappings))
    narrowed = dataclasses.replace(content, tables={**content.tables, "citizen_estimates": chosen})
    names = dict(source_names(content).iter_rows())
    parts, used = [], 0
    for submission in chosen["submission_id"].unique().sort():
        rows = national_rows(narrowed, submission)
        group = pl.col("CUST_BREAKDOWN_LB") if "CUST_BREAKDOWN_LB" in rows.columns else pl.lit(None, pl.String)
        words = pl.concat_str(pl.lit(names.get(submission, submission)), group, separator=": ", ignore_nulls=True)
        labelled = rows.with_columns(words.alias("CUST_BREAKDOWN_LB"))
        texts = labelled["CUST_BREAKDOWN_LB"].unique().sort().to_list()
        codes = {text: f"C{used + place:02d}" for place, text in enumerate(texts, 1)}
        used += len(texts)
        if used > _MOST_CUSTOM_CODES:
            break
        parts.append(labelled.with_columns(pl.col("CUST_BREAKDOWN_LB").replace(codes).alias("CUST_BREAKDOWN")))
    return parts
