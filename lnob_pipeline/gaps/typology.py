"""One status and its flags for every area x indicator x series x stratum that is expected.

Here: the typology, put together. Not here: which cells are expected (expected.py), what the figures of a cell are
(observed.py), what a series lacks as a whole (lacks.py), the rules of the flags and the scope (flags.py), what citizen
data does (effects.py), how figures compare (comparison.py), counting (coverage.py).

Status, first that holds: not_applicable, no_series, not_loaded, reported, none_since_2015, withheld, not_provided,
never_reported. `2015` in the name stands for `Settings.base_year`. A stratum is judged over its own rows; where it has
none it shares `not_applicable`, `no_series` and `not_loaded` with its series.

The work follows the size of the figures, not of the table: only cells that have rows are judged one by one, all others
follow from their series and area. Sources: UNSD data portal (years with data since 2015), World Bank Statistical
Performance Indicators (natures), IAEG-SDGs minimum disaggregation set, UNSD rules on the natures of data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lnob_pipeline.gaps.closing import GAP_STATUSES, with_closing
from lnob_pipeline.gaps.comparison import compare, official_release
from lnob_pipeline.gaps.effects import EFFECTS, effects
from lnob_pipeline.gaps.expected import CELL, cell_template, expected_cells, places_of, spoken_of
from lnob_pipeline.gaps.flags import FLAGS, flag_bits, flag_names, scope_of_cell, scope_of_indicators
from lnob_pipeline.gaps.lacks import lacks
from lnob_pipeline.gaps.observed import COUNTS, Observed, nature_names, observed, sets_of_slices, years_of_sets
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.strata import TOTAL
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import DATA_GAPS, OFFICIAL_REVISIONS, STRATUM_DIMENSIONS

__all__ = ["EFFECTS", "FLAGS", "STATUSES", "gap_parts", "gaps", "partnership"]

STATUSES: Final = (
    "not_applicable",
    "no_series",
    "not_loaded",
    "reported",
    "none_since_2015",
    "withheld",
    "not_provided",
    "never_reported",
)
AREAS_AT_A_TIME: Final = 25
"""How many areas one part of the table holds: about a quarter of a million cells."""

_STATUS: Final = pl.Enum(STATUSES)
_EFFECT: Final = pl.Enum(EFFECTS)
_SCOPE: Final = pl.Enum(["national", "systemic"])


def partnership(mappings: Mappings) -> dict[str, str]:
    """The countries of the partnership: iso3 -> M49."""
    return {iso3: country.m49 for iso3, country in mappings.countries.items()}


def gaps(
    official_observations: pl.DataFrame,
    sdg_catalogue: pl.DataFrame,
    citizen_estimates: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    decisions: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    official_revisions: pl.DataFrame | None = None,
    areas: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """The table DATA_GAPS: one row for each expected cell. Raises ValueError where there is no catalogue.

    official_revisions: the table of that name, for the flags withdrawn and revised. areas: iso3, or M49 where there is
    none -> M49; the countries of the partnership if left out.
    """
    parts = gap_parts(
        official_observations,
        sdg_catalogue,
        citizen_estimates,
        citizen_evidence,
        decisions,
        mappings,
        settings,
        official_revisions,
        areas,
    )
    return in_form(pl.concat([DATA_GAPS.empty(), *(part.cast({pl.Enum: pl.String}) for part in parts)]), DATA_GAPS)


def gap_parts(
    official_observations: pl.DataFrame,
    sdg_catalogue: pl.DataFrame,
    citizen_estimates: pl.DataFrame,
    citizen_evidence: pl.DataFrame,
    decisions: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    official_revisions: pl.DataFrame | None = None,
    areas: Mapping[str, str] | None = None,
) -> Iterator[pl.DataFrame]:
    """The rows of `gaps` in parts of some areas, in ascending order of iso3; columns of codes are Enum.

    The whole table of the world is some three million rows: it need not stand in memory to be written or counted.
    """
    release = official_release(sdg_catalogue)
    wanted = dict(sorted((partnership(mappings) if areas is None else areas).items()))
    known = _official_side(official_observations, sdg_catalogue, official_revisions, wanted, mappings, settings)
    # Only rows beside an estimate can differ from one.
    beside = pl.col("series").is_in(citizen_estimates["series"].unique().to_list())
    compared = compare(official_observations.filter(beside), sdg_catalogue, citizen_estimates, mappings, settings)
    ours = {iso3: m49 for iso3, m49 in wanted.items() if iso3 in mappings.countries}
    cells = expected_cells(mappings, sdg_catalogue, ours)
    citizen = (
        effects(citizen_estimates, citizen_evidence, decisions, cells, mappings, settings)
        .join(_differences_found(compared), on=CELL, how="full", coalesce=True)
        .collect()
    )
    names = list(wanted)
    for start in range(0, len(names), AREAS_AT_A_TIME):
        part = names[start : start + AREAS_AT_A_TIME]
        yield _finished(known, part, citizen, mappings, settings, release)


# --- what the official figures say -------------------------------------------------------------------------


@dataclass(frozen=True)
class _OfficialSide:
    """Everything that is known before the cells are laid out.

    `area` is a place in `areas`, `line` an indicator with one of its series.

    template: the cells of every area, with line, set and codes as Enum. lines: area, line and what holds of the series:
    headline_status, lacks_*, has_areas. years: area, set and what its rows say, changes among releases included. scope:
    indicator, indicator_scope.
    """

    areas: tuple[str, ...]
    template: pl.DataFrame
    lines: pl.DataFrame
    years: pl.DataFrame
    scope: pl.DataFrame


def _official_side(
    official_observations: pl.DataFrame,
    sdg_catalogue: pl.DataFrame,
    official_revisions: pl.DataFrame | None,
    wanted: Mapping[str, str],
    mappings: Mappings,
    settings: Settings,
) -> _OfficialSide:
    areas = {**wanted, **_rest_of_the_world(official_observations, wanted, mappings)}
    line = (pl.struct("indicator", "series").rank("dense") - 1).alias("line")
    template, sets = sets_of_slices(cell_template(mappings, sdg_catalogue).with_columns(line))
    seen = observed(official_observations, areas, mappings, settings)
    years = _with_changes(years_of_sets(seen, sets, settings), sets, official_revisions, areas, settings)
    named = years.with_columns(
        pl.col("natures").replace_strict(nature_names(seen), return_dtype=pl.String),
    )
    headlines = template.filter(pl.col("stratum") == TOTAL)
    states = set(mappings.framework.areas.filter(pl.col("kind") == "country")["m49"])
    countries = [area for area, (name, m49) in enumerate(areas.items()) if name in mappings.countries or m49 in states]
    grid = (
        pl.DataFrame({"area": range(len(areas))}, schema={"area": pl.UInt32})
        .join(headlines, how="cross")
        .join(_ruled_out(seen, template, areas, mappings), on=["area", "line"], how="left")
        .join(named, on=["area", "set"], how="left")
        .pipe(_filled)
        .with_columns(_status().alias("status"))
    )
    lines = (
        grid.select("area", "line", "series", "ruled_out", pl.col("status").alias("headline_status"))
        .join(lacks(seen, years, template, mappings, settings), on=["area", "line"], how="left")
        .join(
            seen.below.with_columns(pl.lit(True).alias("has_areas")),
            on=["area", "series"],
            how="left",
        )
        .drop("series")
    )
    scope = scope_of_indicators(grid.filter(pl.col("area").is_in(countries)))
    return _OfficialSide(tuple(wanted), _coded(template), lines, named, scope)


def _coded(template: pl.DataFrame) -> pl.DataFrame:
    """The template with its codes as Enum: they repeat in every area."""
    text = ("indicator", "series", "stratum", *STRATUM_DIMENSIONS, "expected_because", "breakdown")
    kinds = {name: pl.Enum(template[name].unique().sort()) for name in text}
    versions = pl.Enum(template["definition_version"].drop_nulls().unique().sort())
    return template.with_columns(
        *(pl.col(name).cast(kind) for name, kind in kinds.items()),
        pl.col("definition_version").cast(versions),
    )


def _rest_of_the_world(
    official_observations: pl.DataFrame, wanted: Mapping[str, str], mappings: Mappings
) -> dict[str, str]:
    """Further countries that are loaded: they say what countries can report, though no cells are wanted of them."""
    countries = set(mappings.framework.areas.filter(pl.col("kind") == "country")["m49"])
    loaded = set(official_observations["m49"].unique())
    own = set(partnership(mappings).values())
    if not (loaded & countries) - own:
        return {}
    return {m49: m49 for m49 in sorted((loaded & countries) - set(wanted.values()))}


def _with_changes(
    years: pl.DataFrame,
    sets: pl.DataFrame,
    official_revisions: pl.DataFrame | None,
    areas: Mapping[str, str],
    settings: Settings,
) -> pl.DataFrame:
    """`years` with withdrawn and revised; a set of slices whose every row was withdrawn has a row of its own."""
    table = OFFICIAL_REVISIONS.empty() if official_revisions is None else official_revisions
    places = pl.DataFrame(
        {"m49": list(areas.values()), "area": range(len(areas))}, schema={"m49": pl.String, "area": pl.UInt32}
    )
    changes = table.filter(
        pl.col("change").is_in(["withdrawn", "changed"]) & (pl.col("year") <= settings.as_of_year)
    ).join(places, on="m49")
    found = places_of(sets, changes.select("series", "dimension_key").unique())
    of_sets = (
        changes.join(found, on=["series", "dimension_key"])
        .group_by("area", "set")
        .agg(
            (pl.col("change") == "withdrawn").any().alias("withdrawn"),
            (pl.col("change") == "changed").any().alias("revised"),
        )
    )
    return years.join(of_sets, on=["area", "set"], how="full", coalesce=True)


def _ruled_out(seen: Observed, template: pl.DataFrame, areas: Mapping[str, str], mappings: Mappings) -> pl.DataFrame:
    """area, line, ruled_out: the reviewed rules. A rule about kinds of areas gives way where the area has figures."""
    lines = template.select("line", "indicator", "series").unique("line")
    groups = dict(mappings.framework.areas.select("m49", "groups").iter_rows())
    hard: set[tuple[int, int]] = set()
    soft: set[tuple[int, int]] = set()
    for rule in mappings.applicability.not_applicable:
        about = [
            line
            for line, indicator, series in lines.iter_rows()
            if any(indicator == item or indicator.startswith(f"{item}.") or series == item for item in rule.indicators)
        ]
        for area, (name, m49) in enumerate(areas.items()):
            own = groups.get(m49)
            if name in rule.countries:
                hard.update((area, line) for line in about)
            elif rule.areas and own is not None and all(_holds(condition, own) for condition in rule.areas):
                soft.update((area, line) for line in about)
    keys: dict[str, pl.DataType] = {"area": pl.UInt32(), "line": template.schema["line"]}
    with_figures = (
        seen.rows.filter(pl.col("nature") > 0)
        .select("area", "pair")
        .unique()
        .join(seen.pairs.select("pair", "series"), on="pair")
        .join(lines, on="series")
        .select("area", "line")
    )
    named = pl.DataFrame(sorted(hard), schema=keys, orient="row")
    by_kind = pl.DataFrame(sorted(soft), schema=keys, orient="row").join(with_figures, on=["area", "line"], how="anti")
    return pl.concat([named, by_kind]).unique().with_columns(pl.lit(True).alias("ruled_out"))


def _holds(condition: str, groups: str) -> bool:
    negated, name = condition.startswith("not "), condition.removeprefix("not ")
    return (name in groups.split(";")) != negated


def _filled(cells: pl.DataFrame) -> pl.DataFrame:
    return cells.with_columns(
        pl.col("n_rows", *COUNTS).fill_null(0),
        pl.col("ruled_out", "in_release", "loaded").fill_null(value=False),
    )


def _status() -> pl.Expr:
    has_rows = pl.col("n_rows") > 0
    status = (
        pl.when(pl.col("ruled_out") | pl.col("all_not_applicable").fill_null(value=False))
        .then(pl.lit("not_applicable"))
        .when(~pl.col("in_release"))
        .then(pl.lit("no_series"))
        .when(~pl.col("loaded"))
        .then(pl.lit("not_loaded"))
        .when(pl.col("n_years_since_base") > 0)
        .then(pl.lit("reported"))
        .when(pl.col("n_years_before_base") > 0)
        .then(pl.lit("none_since_2015"))
        .when(pl.col("any_withheld").fill_null(value=False))
        .then(pl.lit("withheld"))
        .when(has_rows)
        .then(pl.lit("not_provided"))
        .otherwise(pl.lit("never_reported"))
    )
    return status.cast(_STATUS)


# --- the table ---------------------------------------------------------------------------------------------


def _finished(
    known: _OfficialSide,
    names: list[str],
    citizen: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
    release: str,
) -> pl.DataFrame:
    """The rows of some areas, in the columns of DATA_GAPS."""
    places = {name: place for place, name in enumerate(known.areas)}
    own = pl.LazyFrame(
        {"iso3": names, "area": [places[name] for name in names]}, schema={"iso3": pl.String, "area": pl.UInt32}
    )
    areas = [places[name] for name in names]
    shared = (pl.col("headline_status") == "not_applicable") & (pl.col("n_rows") == 0)
    cells = (
        spoken_of(own.join(known.template.lazy(), how="cross"), mappings)
        .join(known.years.lazy().filter(pl.col("area").is_in(areas)), on=["area", "set"], how="left")
        .join(known.lines.lazy().filter(pl.col("area").is_in(areas)), on=["area", "line"], how="left")
        .join(
            known.scope.lazy().with_columns(pl.col("indicator").cast(known.template.schema["indicator"])),
            on="indicator",
            how="left",
        )
        .with_columns(pl.col("iso3").cast(pl.Enum(names)))
        .collect()
        .pipe(_filled)
        .with_columns(_status().alias("status"))
        .with_columns(pl.when(shared).then(pl.lit("not_applicable", dtype=_STATUS)).otherwise("status").alias("status"))
        .with_columns(_no_code().alias("no_code"))
    )
    said = _said(cells, citizen, mappings)
    flagged = cells.join(said, on=CELL, how="left", maintain_order="left").with_columns(
        flag_bits(settings).alias("bits")
    )
    names_of_bits = flag_names(flagged["bits"].unique().sort())
    return flagged.select(
        *CELL,
        *STRATUM_DIMENSIONS,
        "expected_because",
        "status",
        "headline_status",
        pl.col("bits").replace_strict(names_of_bits, return_dtype=pl.Enum(list(names_of_bits.values()))).alias("flags"),
        "latest_year",
        "n_years_since_base",
        "n_years_before_base",
        pl.col("natures").fill_null(""),
        scope_of_cell().cast(_SCOPE).alias("scope"),
        pl.col("citizen_effect").fill_null(EFFECTS[0]),
        pl.col("citizen_submissions").fill_null(""),
        pl.lit(release, dtype=pl.Enum([release])).alias("official_release"),
        pl.lit(settings.as_of_year, dtype=pl.Int32).alias("as_of_year"),
        "definition_version",
        *COUNTS[2:],
        pl.col("closing_questions", "closing_group").fill_null(""),
    ).select(list(DATA_GAPS.schema))


def _no_code() -> pl.Expr:
    """A stratum that the code list or the content constraints have no place for, and that no row contradicts."""
    return ~pl.col("has_code") & (pl.col("n_rows") == 0) & (pl.col("status") != "not_applicable")


def _said(cells: pl.DataFrame, citizen: pl.DataFrame, mappings: Mappings) -> pl.DataFrame:
    """CELL and what is known of citizen data and of the question bank, for the cells about which something is."""
    text = {name: pl.String() for name in (*CELL, "status")}
    kinds = {name: cells.schema[name] for name in CELL}
    known = (
        cells.lazy()
        .filter(
            pl.col("iso3").cast(pl.String).is_in(list(mappings.countries))
            & pl.col("indicator").cast(pl.String).is_in(list(mappings.indicators))
            & pl.col("status").is_in(GAP_STATUSES)
        )
        .select(pl.col(name).cast(kind) for name, kind in text.items())
    )
    closing = with_closing(known, mappings).drop("status").filter(pl.col("closing_group") != "")
    return (
        closing.join(citizen.lazy(), on=CELL, how="full", coalesce=True)
        .with_columns(pl.col(name).cast(kind, strict=False) for name, kind in kinds.items())
        .drop_nulls(CELL)
        .with_columns(pl.col("citizen_effect").cast(_EFFECT))
        .collect()
    )


def _differences_found(compared: pl.DataFrame) -> pl.LazyFrame:
    return (
        compared.lazy()
        .filter(pl.col("flags") != "")
        .group_by(CELL)
        .agg(
            (pl.col("flags") == "discrepancy").any().alias("discrepancy"),
            (pl.col("flags") == "differs_from_model").any().alias("differs_from_model"),
        )
    )
