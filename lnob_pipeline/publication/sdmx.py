"""The estimates and the gaps as SDMX: for statistics offices and for every tool that reads the format.

Here: which rows there are, what is said beside the value, and which files. Not here: codes of the key (sdmx_codes), the
form of messages (sdmx_message), Open SDG, what may be shown at all (disclosure; the tables come disclosed).

    sdmx/structure.xml                    SDMX-ML 2.1: code lists, concepts, both definitions, both dataflows
    sdmx/citizen/<iso3>.csv, .xml         LNOB:DF_CITIZEN(1.0): citizen_estimates
    sdmx/gaps/<iso3>.csv, .xml            LNOB:DF_GAPS(1.0): data_gaps; the .xml where it has at most ROWS_OF_XML rows
    sdmx/hand_over/<iso3>/<submission>.*  what a statistics office accepted, in its own structure

Both definitions have the 16 dimensions and 16 attributes of the global structure IAEG-SDGs:SDG(1.4); the code lists are
the project's own (agency LNOB), each with the codes that the release uses: official ones under their official
identifiers, and beside them those that no official list has. So the data can be read with structure.xml alone.

What the data must not say:

* That it is official. The dataflow is the project's own; REPORTING_TYPE is G (the partnership reports across countries)
  and never N; OBS_STATUS is never A but G (experimental: collected by an alternative method), U (low reliability), Q
  (suppressed) or O (no number); NATURE, a list that knows only official data, is _X (not available).
* That a local sample is the country. REF_AREA and CUST_BREAKDOWN: see sdmx_codes.
* That two surveys are one. Every row of DF_CITIZEN names its submission in CUST_BREAKDOWN, the headline too, so that
  two submissions of the same area and year have two keys, and the key of neither changes when the other is handed in.
  (A data provider beside the key would not do: a database that loads both messages keeps the one it loads last.)

A gap is a cell, not a measurement: OBS_VALUE is the number of years since the base year with a usable official value,
where there is one (UNIT_MEASURE NUMBER); else the value is missing and OBS_STATUS says how: O nobody has it, L it
exists and is not in this snapshot or was not provided, Q withheld, M not applicable. TIME_PERIOD is the year that the
gaps are judged from. Own attributes say the rest: GAP_STATUS, CITIZEN_EFFECT, EXPECTED_BECAUSE, LATEST_YEAR, GAP_FLAGS.

A hand-over file alone says national. It holds the class A estimates of a submission that the statistics office accepts
or uses officially (decisions), of a probability sample or census of the whole country, in the structure and with the
area codes of the office (framework/national_areas.csv; elsewhere the global structure): REPORTING_TYPE N, OBS_STATUS A,
NATURE C, CUST_BREAKDOWN _T, or for a group a custom code C01, C02 ... with its words in CUST_BREAKDOWN_LB. What the
structure has no code for (an own age band, a component) stays out.

Sources: SDMX 2.1; SDMX-CSV 2.0; CL_OBS_STATUS 2.1, CL_NATURE 1.0, CL_REPORTING_TYPE 1.0 of the global structure 1.4.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from lnob_pipeline.gaps.decisions import accepted_submissions
from lnob_pipeline.gaps.expected import COMPONENT_PREFIX
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.sdmx_codes import (
    NATIONAL_AREAS,
    NO_SERIES,
    TOTAL,
    code_book,
    country_code,
    reference_area,
    unit_codes,
    with_key,
)
from lnob_pipeline.publication.sdmx_message import (
    CITIZEN,
    GAPS,
    KEY,
    NATIONAL_ELSEWHERE,
    VALUE,
    Structure,
    check,
    in_form,
    write_csv,
    write_message,
)
from lnob_pipeline.publication.sdmx_structure import check_against, codes_in_use, write_structure
from lnob_pipeline.publication.tabular import harmless

__all__ = ["dataset_rows", "gap_rows", "national_rows", "national_structure", "write", "write_csv", "write_message"]

FOLDER: Final = "sdmx"
STRUCTURE: Final = "structure.xml"
ROWS_OF_XML: Final = 50_000
"""A file with more rows has the CSV alone: most readers of SDMX-ML hold a tree of all of it."""

_UNRELIABLE: Final = ("use_with_caution", "few_degrees_of_freedom", "too_few_cases", "not_estimable")
_SUPPRESSED: Final = "suppressed"
_GAP_STATUS: Final = {
    "none_since_2015": "O", "never_reported": "O", "no_series": "O", "not_loaded": "L",
    "not_provided": "L", "withheld": "Q", "not_applicable": "M",
}  # fmt: skip
"""Status of a cell without a value -> OBS_STATUS; any other is O."""
_COUNTED: Final = "G"
PART: Final = 20_000
"""Rows of the gap table whose codes are looked up at once."""
_FEWEST_DIGITS: Final = 2


def dataset_rows(content: ReleaseContent, iso3: str) -> pl.DataFrame:
    """The rows of DF_CITIZEN of a country: dimensions, TIME_PERIOD, OBS_VALUE and attributes, one row an estimate."""
    estimates = content.tables["citizen_estimates"].filter(pl.col("iso3") == iso3)
    return in_form(_citizen(estimates, content), CITIZEN)


def gap_rows(content: ReleaseContent, iso3: str) -> pl.DataFrame:
    """The rows of DF_GAPS of a country, one row a cell of data_gaps; made part by part, as there can be very many."""
    gaps = content.scan("data_gaps").filter(pl.col("iso3") == iso3).collect()
    carried = [*KEY, VALUE, *(item.name for item in GAPS.attributes)]
    slices = gaps.iter_slices(PART) if gaps.height else [gaps]
    parts = (_gap_rows(part, content) for part in slices)
    return in_form(pl.concat(part.select(name for name in carried if name in part.columns) for part in parts), GAPS)


def _gap_rows(gaps: pl.DataFrame, content: ReleaseContent) -> pl.DataFrame:
    years = pl.when(pl.col("status") == "reported").then("n_years_since_base")
    status = pl.col("status").replace_strict(_GAP_STATUS, default="O", return_dtype=pl.String)
    keyed = with_key(gaps, code_book(content.mappings), pl.col("indicator").str.replace_all(".", "-", literal=True))
    return keyed.with_columns(
        SERIES=pl.when(pl.col("series") == "").then(pl.lit(NO_SERIES)).otherwise("series"),
        REF_AREA=country_code(content.mappings),
        TIME_PERIOD=pl.col("as_of_year").cast(pl.String),
        OBS_VALUE=years,
        OBS_STATUS=pl.when(years.is_null()).then(status).otherwise(pl.lit(_COUNTED)),
        UNIT_MEASURE=pl.lit("NUMBER"),
        GAP_STATUS="status",
        CITIZEN_EFFECT="citizen_effect",
        EXPECTED_BECAUSE="expected_because",
        LATEST_YEAR="latest_year",
        GAP_FLAGS="flags",
        **_CONSTANT,
    )


_CONSTANT: Final = {"FREQ": pl.lit("A"), "REPORTING_TYPE": pl.lit("G"), "UNIT_MULT": pl.lit("0")}


def _citizen(estimates: pl.DataFrame, content: ReleaseContent) -> pl.DataFrame:
    """Key, value and attributes as columns beside those of the table."""
    book = code_book(content.mappings)
    sources = content.tables["sources"].select("submission_id", "organisation", "synthetic")
    measure, multiplier = unit_codes(book)
    low = pl.col("reliability").is_in(_UNRELIABLE).fill_null(value=False)
    hidden = pl.col("status").str.starts_with(_SUPPRESSED).fill_null(value=False)
    keyed = with_key(estimates, book, pl.col("submission_id"))
    return keyed.join(sources, on="submission_id", how="left", maintain_order="left").with_columns(
        **(_CONSTANT | {"UNIT_MULT": multiplier}),
        SERIES="series",
        REF_AREA=reference_area(content.mappings),
        TIME_PERIOD=pl.col("year").cast(pl.String),
        OBS_VALUE="estimate",
        OBS_STATUS=pl.when(pl.col("estimate").is_null())
        .then(pl.when(hidden).then(pl.lit("Q")).otherwise(pl.lit("O")))
        .otherwise(pl.when(low).then(pl.lit("U")).otherwise(pl.lit("G"))),
        UNIT_MEASURE=measure,
        NATURE=pl.lit("_X"),
        COMMENT_OBS=_comment(),
        LOWER_BOUND="ci_low",
        UPPER_BOUND="ci_high",
        SOURCE_DETAIL="organisation",
    )


def _comment() -> pl.Expr:
    """What a reader must know, sentence by sentence: invented people, class, whom it speaks of, sample, reliability."""
    sentences = (
        pl.when(pl.col("synthetic")).then(pl.lit("Synthetic: the people behind this number do not exist.")),
        pl.format("Class {} of comparability with the official series.", "comparability"),
        pl.format("Why: {}.", pl.col("comparability_reason").str.strip_suffix(".")),
        pl.format("Speaks of: {}.", pl.col("population").str.strip_suffix(".")),
        pl.format("Sample: {} ({}).", "sampling_method", pl.col("area_level")),
        pl.format("n = {}.", "n"),
        pl.format("Reliability: {}.", "reliability"),
        pl.when(pl.col("status") != "estimated").then(pl.format("Status: {}.", "status")),
    )
    return pl.concat_str(sentences, separator=" ", ignore_nulls=True)


# --- national structures -----------------------------------------------------------------------------------


def national_structure(mappings: Mappings, iso3: str) -> Structure:
    """The structure of the statistics office of a country, where it is known, else the global one."""
    found = _national_areas(mappings).filter(pl.col("iso3") == iso3)["structure"]
    return Structure.parse(found[0]) if found.len() else NATIONAL_ELSEWHERE


def national_rows(content: ReleaseContent, submission: str, *, accepted: bool = False) -> pl.DataFrame:
    """The rows of one submission in the structure of its statistics office; without those it has no code for.

    Area codes are the office's own; a group has a custom code (C01: the first of groups.yaml) and its words in
    CUST_BREAKDOWN_LB; the submission is no part of the key, hence one message a submission. accepted: as the national
    figures of the office: class A, of the whole country, REPORTING_TYPE N, OBS_STATUS A; the caller knows of the
    decision.
    """
    mappings = content.mappings
    estimates = content.tables["citizen_estimates"].filter(pl.col("submission_id") == submission)
    rows = _citizen(estimates, content)
    places = list(mappings.groups)
    digits = max(_FEWEST_DIGITS, len(str(len(places))))
    custom = {group: f"C{place:0{digits}d}" for place, group in enumerate(places, 1)} | {TOTAL: TOTAL}
    words = {group: item.label for group, item in mappings.groups.items()}
    own = code_book(mappings).own
    areas = _national_areas(mappings).filter(pl.col("iso3").is_in(rows["iso3"].unique().implode()))
    codes = {area or country: code for area, country, code in areas.select("area", "country", "sdmx_code").iter_rows()}
    whole = pl.col("REF_AREA") == country_code(mappings)
    group = pl.col("marginalised_group")
    chosen = rows.filter(
        ~pl.col("SERIES").str.starts_with(COMPONENT_PREFIX)
        & pl.all_horizontal(pl.lit(value=True), *(pl.col(dimension) != code for dimension, code in sorted(own)))
        & (pl.col("CUST_BREAKDOWN").str.count_matches("@", literal=True) == (group != TOTAL).cast(pl.UInt32))
    ).with_columns(
        CUST_BREAKDOWN=group.replace_strict(custom), CUST_BREAKDOWN_LB=group.replace_strict(words, default=None)
    )
    chosen = chosen.filter(whole | pl.col("REF_AREA").is_in(list(codes)))
    if accepted:
        chosen = chosen.filter(
            whole & (pl.col("comparability") == "A") & pl.col("estimate").is_not_null()
        ).with_columns(REPORTING_TYPE=pl.lit("N"), OBS_STATUS=pl.lit("A"), NATURE=pl.lit("C"))
    iso3 = submission[:3].upper() if rows.is_empty() else rows["iso3"][0]
    return in_form(chosen.with_columns(pl.col("REF_AREA").replace(codes)), national_structure(mappings, iso3))


def _national_areas(mappings: Mappings) -> pl.DataFrame:
    """national_areas.csv, and `country`: the UN M49 code of the country as the global list writes it."""
    table = pl.read_csv(mappings.folder / NATIONAL_AREAS, infer_schema=False)
    return table.with_columns(country=country_code(mappings))


# --- the files ---------------------------------------------------------------------------------------------


def write(folder: Path, content: ReleaseContent) -> None:
    """Write sdmx/. Raises SdmxError where a row breaks a rule or a file does not read back."""
    root = folder / FOLDER
    used: dict[str, set[str]] = {}
    flows: tuple[tuple[str, Structure, Rows], ...] = (("citizen", CITIZEN, dataset_rows), ("gaps", GAPS, gap_rows))
    for name, structure, rows_of in flows:
        for iso3 in content.mappings.countries:
            rows = rows_of(content, iso3)
            codes_in_use(rows, used)
            _write_both(root / name / iso3, rows, structure, content)
    pinned = content.settings.sdmx_structure
    if pinned != Path():
        check_against(pinned, used, content)
    if used:
        write_structure(root / STRUCTURE, (CITIZEN, GAPS), used, content)
    _write_hand_over(root / "hand_over", content)


Rows = Callable[[ReleaseContent, str], pl.DataFrame]


def _write_both(stem: Path, rows: pl.DataFrame, structure: Structure, content: ReleaseContent) -> None:
    """The CSV, and the XML where it is not too long; nothing for no rows.

    Both say the same: a text that a spreadsheet would run as a formula gets an apostrophe in front in either.
    """
    if rows.is_empty():
        return
    rows = harmless(rows).collect()
    check(rows, structure)
    write_csv(stem.with_name(f"{stem.name}.csv"), rows, structure)
    if rows.height <= ROWS_OF_XML:
        write_message(stem.with_name(f"{stem.name}.xml"), rows, structure, content.facts)


def _write_hand_over(folder: Path, content: ReleaseContent) -> None:
    """A message for every submission that a statistics office accepted and that has national figures."""
    accepted = accepted_submissions(content.tables["decisions"])
    for submission, iso3 in (
        content.tables["sources"].lazy().join(accepted, on="submission_id").select("submission_id", "iso3")
        .sort("submission_id").collect().iter_rows()
    ):  # fmt: skip
        rows = national_rows(content, submission, accepted=True)
        _write_both(folder / iso3 / submission, rows, national_structure(content.mappings, iso3), content)
