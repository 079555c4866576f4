"""What must hold of the gap table and the comparison whatever the figures are."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lnob_pipeline import tables
from lnob_pipeline.gaps.comparison import compare
from lnob_pipeline.gaps.coverage import coverage
from lnob_pipeline.gaps.expected import CELL, expected_cells
from lnob_pipeline.gaps.typology import STATUSES, gap_parts, gaps, partnership
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.gaps.plain_rules import plain_gaps
from lnob_pipeline_tests.thorough import tries

Row = dict[str, Any]
Make = Callable[..., pl.DataFrame]

COUNTRIES = ("KEN", "NPL")
INDICATORS = ("5.b.1", "8.10.2", "16.9.1")
SLICES = {
    "IT_MOB_OWN": ["", "sex=FEMALE", "sex=MALE", "location=URBAN", "disability_status=PD;sex=FEMALE"],
    "FB_BNK_ACCSS": ["", "age=15+", "age=15+;sex=FEMALE", "age=15+;quantile=Q1"],
    "SG_REG_BRTH": ["age=<5Y", "age=<5Y;location=RURAL", "sex=MALE"],
    # Of the framework alone: a headline that is a slice, one of any sex, one of any policy instrument.
    "SH_DYN_MORT": ["age=<5Y", "age=<5Y;sex=FEMALE", "age=<5Y;sex=MALE", ""],
    "VC_IHR_PSRC": ["sex=FEMALE", "sex=MALE", "cities=NAIROBI;sex=MALE"],
    "SG_SCP_POLINS": ["", "policy_instruments=POLICY_MACRO", "policy_instruments=POLICY_MACRO;sex=FEMALE"],
}
OF_THE_FRAMEWORK = {"SH_DYN_MORT": "3.2.1", "VC_IHR_PSRC": "16.1.1", "SG_SCP_POLINS": "12.1.1"}
NOT_LOADED = ("2.1.1", "SN_ITK_DEFC")
STRATA = {
    "_T": {},
    "sex=F": {"sex": "F"},
    "marginalised_group=ethnic_minorities": {"marginalised_group": "ethnic_minorities"},
}
INDICATOR_OF = {"IT_MOB_OWN": "5.b.1", "FB_BNK_ACCSS": "8.10.2", "SG_REG_BRTH": "16.9.1"}
OFFICIAL_SIDE = ("status", "headline_status", "latest_year", "n_years_since_base", "n_years_before_base", "natures")

official_rows = st.sampled_from(sorted(SLICES)).flatmap(
    lambda series: st.fixed_dictionaries(
        {
            "series": st.just(series),
            "iso3": st.sampled_from(COUNTRIES),
            "year": st.integers(2005, 2022),
            "value_text": st.sampled_from(["12", "12.5", "97", "<2.5", ">95", "N", "NV", "NA", ". . .", "what"]),
            "nature": st.sampled_from(["C", "CA", "E", "M", "G", "N", "NA"]),
            "dimension_key": st.sampled_from(SLICES[series]),
        }
    )
)
citizen_rows = st.tuples(
    st.fixed_dictionaries(
        {
            "series": st.sampled_from(sorted(INDICATOR_OF)),
            "iso3": st.sampled_from(COUNTRIES),
            "stratum": st.sampled_from(sorted(STRATA)),
            "area_level": st.sampled_from(["national", "admin1", "admin2", "community"]),
            "comparability": st.sampled_from(["A", "A", "B", "C"]),
            "sampling_method": st.sampled_from(["probability", "probability", "purposive"]),
            "reliability": st.sampled_from(["reliable", "reliable", "use_with_caution", "too_few_cases"]),
            "year": st.integers(2016, 2020),
            # Citizen values end in .25, official ones never do.
            "estimate": st.integers(0, 99).map(lambda whole: whole + 0.25),
        }
    )
).map(lambda row: row[0] | STRATA[str(row[0]["stratum"])] | {"indicator": INDICATOR_OF[str(row[0]["series"])]})
many_official = st.lists(official_rows, max_size=25, unique_by=lambda row: tuple(map(str, row.values())))
many_citizen = st.lists(citizen_rows, max_size=8).map(
    lambda rows: [row | {"submission_id": f"sub-{number}"} for number, row in enumerate(rows)]
)
quick = settings(max_examples=tries(8), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def small(mappings: Mappings) -> Mappings:
    """Two countries and three indicators, so that hundreds of tables can be made."""
    return dataclasses.replace(
        mappings,
        countries={iso3: mappings.countries[iso3] for iso3 in COUNTRIES},
        indicators={name: mappings.indicators[name] for name in INDICATORS},
    )


@pytest.fixture(scope="session")
def few(catalogue: Make) -> Make:
    """The series of the three indicators, three of the framework alone, and one that is not loaded."""
    own = catalogue().filter(pl.col("indicator").is_in(INDICATORS))
    more = [
        {"release": "2020-10", "indicator": code, "series": series, "in_release": True, "loaded": code != NOT_LOADED[0]}
        for code, series in [*((code, series) for series, code in OF_THE_FRAMEWORK.items()), NOT_LOADED]
    ]
    whole = pl.concat([own, pl.DataFrame(more, schema_overrides=tables.SDG_CATALOGUE.schema)], how="diagonal")
    return lambda: whole


@pytest.fixture(scope="session")
def plain(observations: Make, few: Make, small: Mappings, as_of_2020: Settings) -> Callable[..., dict[Any, Row]]:
    """The table of some rows by the plain rules."""

    def make(*rows: Row, revisions: pl.DataFrame | None = None) -> dict[Any, Row]:
        return plain_gaps(observations(*rows), few(), small, as_of_2020, partnership(small), revisions)

    return make


revised_rows = st.lists(
    official_rows.map(lambda row: {name: row[name] for name in ("series", "iso3", "year", "dimension_key")}), max_size=4
)


@quick
@given(rows=many_official, changed=revised_rows, withdrawn=revised_rows)
def test_the_table_is_that_of_the_plain_rules(
    observations: Make,
    few: Make,
    plain: Callable[..., dict[Any, Row]],
    small: Mappings,
    as_of_2020: Settings,
    rows: list[Row],
    changed: list[Row],
    withdrawn: list[Row],
) -> None:
    moved = [row | {"change": "changed"} for row in changed] + [row | {"change": "withdrawn"} for row in withdrawn]
    codes = partnership(small)
    whole = [dict.fromkeys(tables.OFFICIAL_REVISIONS.schema) | row | {"m49": codes[row["iso3"]]} for row in moved]
    revisions = pl.DataFrame(whole, schema=tables.OFFICIAL_REVISIONS.schema)
    nothing = (tables.CITIZEN_ESTIMATES.empty(), tables.CITIZEN_EVIDENCE.empty(), tables.DECISIONS.empty())
    table = gaps(observations(*rows), few(), *nothing, small, as_of_2020, revisions)
    expected = plain(*rows, revisions=revisions)
    assert set(table.select(CELL).iter_rows()) == set(expected)
    for row in table.to_dicts():
        judged = expected[tuple(row[name] for name in CELL)]
        recent = [item for item in judged["usable"] if item["year"] in judged["since"]]
        assert row["status"] == judged["status"], row
        assert row["headline_status"] == judged["headline_status"], row
        assert set(filter(None, row["flags"].split(","))) == judged["flags"], row
        assert row["scope"] == judged["scope"], row
        assert row["n_years_since_base"] == len(judged["since"])
        assert row["n_years_before_base"] == len(judged["before"])
        assert row["latest_year"] == max((item["year"] for item in judged["usable"]), default=None)
        assert row["natures"] == ",".join(sorted({item["nature"] for item in recent}))
        owned = [("n_years_country", recent, "since"), ("n_years_country_before_base", judged["usable"], "before")]
        for name, usable, when in owned:
            years = {item["year"] for item in usable if item["nature"] in ("C", "CA")} & judged[when]
            assert row[name] == len(years)


MISSING_DATA = {"no_trend", "no_baseline", "stale", "obsolete", "subnational_missing", "withdrawn", "group_has_no_code"}


@quick
@given(rows=many_official, more=official_rows)
def test_an_observation_adds_no_missing_data_flag_to_another_cell(
    judge: Make, small: Mappings, few: Make, rows: list[Row], more: Row
) -> None:
    """A flag that says something is not there, on a cell that the observation is not of."""
    before, after = (
        {tuple(row[name] for name in CELL): row for row in judge(*which, mappings=small, catalogue=few()).to_dicts()}
        for which in (rows, [*rows, more])
    )
    every = MISSING_DATA | {"dimension_missing", "crossing_missing"}
    years = ("n_years_since_base", "n_years_before_base", "latest_year", "natures")
    for key, row in after.items():
        if before[key]["status"] == row["status"] and all(before[key][name] == row[name] for name in years):
            new = set(row["flags"].split(",")) - set(before[key]["flags"].split(","))
            assert not new & every, (key, new)


@quick
@given(rows=many_official)
def test_parts_of_the_table_are_the_table(
    observations: Make, few: Make, small: Mappings, as_of_2020: Settings, rows: list[Row]
) -> None:
    nothing = (tables.CITIZEN_ESTIMATES.empty(), tables.CITIZEN_EVIDENCE.empty(), tables.DECISIONS.empty())
    given_rows = (observations(*rows), few(), *nothing, small, as_of_2020)
    both = gaps(*given_rows)
    # The scope asks all countries; everything else is the country's own.
    alone = [gaps(*given_rows, areas={iso3: m49}) for iso3, m49 in partnership(small).items()]
    assert pl.concat(alone).sort(CELL).drop("scope").equals(both.sort(CELL).drop("scope"))
    parts = [part.cast({pl.Enum: pl.String}) for part in gap_parts(*given_rows)]
    assert pl.concat(parts).sort(CELL).equals(both.sort(CELL))


@quick
@given(rows=many_official)
def test_statuses_partition_the_expected_cells(judge: Make, small: Mappings, few: Make, rows: list[Row]) -> None:
    table = judge(*rows, mappings=small, catalogue=few())
    cells = expected_cells(small, few()).select(CELL).collect()
    counts = table.group_by("status").len()
    assert counts["len"].sum() == table.height == cells.height
    assert table.select(CELL).sort(CELL).equals(cells.sort(CELL))
    assert table.select(CELL).is_unique().all()
    assert table["status"].is_in(STATUSES).all()
    assert (
        table.select("status", "headline_status", "flags", "citizen_effect").null_count().sum_horizontal().item() == 0
    )


@quick
@given(rows=many_official, more=official_rows)
def test_an_observation_speaks_of_its_own_series_and_country(
    judge: Make, small: Mappings, few: Make, rows: list[Row], more: Row
) -> None:
    elsewhere = (pl.col("series") != more["series"]) | (pl.col("iso3") != more["iso3"])
    before, after = (
        judge(*which, mappings=small, catalogue=few()).filter(elsewhere).drop("scope")
        for which in (rows, [*rows, more])
    )
    assert before.equals(after)


@quick
@given(rows=many_official, more=official_rows)
def test_a_usable_observation_never_silences_a_cell(
    judge: Make, small: Mappings, few: Make, rows: list[Row], more: Row
) -> None:
    usable = more | {"value_text": "12", "nature": "C", "year": min(more["year"], 2020)}
    before, after = (judge(*which, mappings=small, catalogue=few()) for which in (rows, [*rows, usable]))
    reported = before.filter(pl.col("status") == "reported").select(CELL)
    still = after.filter(pl.col("status") == "reported").select(CELL)
    assert reported.join(still, on=CELL, how="anti").height == 0


@quick
@given(rows=many_official, seed=st.integers(0, 1000))
def test_order_of_the_rows_does_not_matter(judge: Make, small: Mappings, few: Make, rows: list[Row], seed: int) -> None:
    shuffled = pl.Series(range(len(rows))).shuffle(seed=seed).to_list()
    assert judge(*rows, mappings=small, catalogue=few()).equals(
        judge(*(rows[place] for place in shuffled), mappings=small, catalogue=few())
    )


@quick
@given(rows=many_official, citizen=many_citizen)
def test_coverage_adds_up_over_countries(
    judge: Make, estimates: Make, small: Mappings, few: Make, rows: list[Row], citizen: list[Row]
) -> None:
    table = judge(*rows, mappings=small, catalogue=few(), estimates=estimates(*citizen))
    counts = coverage(table)
    whole = pl.concat([coverage(table.filter(pl.col("iso3") == iso3)) for iso3 in COUNTRIES])
    assert counts.sort(counts.columns).equals(whole.sort(whole.columns))
    summed = counts.filter(pl.col("category") == "_all")
    assert summed["n_expected"].sum() == table.height
    assert summed["n_reported"].sum() == table.filter(pl.col("status") == "reported").height
    parts = ["n_reported", "n_closes", "n_could_close", "n_informs", "n_illustrates", "n_not_shown", "n_nothing_yet"]
    assert (counts.select(pl.sum_horizontal(parts)).to_series() == counts["n_judged"]).all()


@quick
@given(rows=many_official, citizen=many_citizen)
def test_only_a_national_class_a_sample_stands_on_one_line(
    judge: Make,
    observations: Make,
    estimates: Make,
    few: Make,
    small: Mappings,
    as_of_2020: Settings,
    rows: list[Row],
    citizen: list[Row],
) -> None:
    local = [row if row["area_level"] != "national" else row | {"area_level": "admin1"} for row in citizen]
    side_by_side = compare(observations(*rows), few(), estimates(*local), small, as_of_2020)
    assert "same_line" not in side_by_side["relation"].to_list()
    assert set(side_by_side["flags"]) <= {""}
    table = judge(*rows, mappings=small, catalogue=few(), estimates=estimates(*local))
    assert set(table["citizen_effect"]) <= {"informs", "nothing_yet"}
    # And whatever the area: one line means class A of the country.
    whole = compare(observations(*rows), few(), estimates(*citizen), small, as_of_2020)
    same_line = whole.filter(pl.col("relation") == "same_line")
    assert set(same_line["comparability"]) <= {"A"}
    assert set(same_line["citizen_area_level"]) <= {"national"}


@quick
@given(rows=many_official, citizen=many_citizen)
def test_the_official_side_does_not_know_of_citizen_data(
    judge: Make,
    observations: Make,
    estimates: Make,
    few: Make,
    small: Mappings,
    as_of_2020: Settings,
    rows: list[Row],
    citizen: list[Row],
) -> None:
    alone, with_citizen = (
        judge(*rows, mappings=small, catalogue=few(), estimates=estimates(*which)) for which in ([], citizen)
    )
    assert alone.select(*CELL, *OFFICIAL_SIDE, "scope").equals(with_citizen.select(*CELL, *OFFICIAL_SIDE, "scope"))
    side_by_side = compare(observations(*rows), few(), estimates(*citizen), small, as_of_2020)
    official = [name for name in side_by_side.columns if name.startswith("official_")]
    assert not (side_by_side["official_value"].drop_nulls() % 1 == 0.25).any()
    without = compare(observations(*rows), few(), estimates(), small, as_of_2020)
    merged = side_by_side.select(*CELL, *official).filter(pl.col("official_year").is_not_null()).unique()
    assert merged.sort(CELL).equals(without.select(*CELL, *official).sort(CELL))
    # Every estimate stands there once, with its own value.
    given_values = estimates(*citizen).select("submission_id", "estimate").sort("submission_id").rows()
    shown = side_by_side.filter(pl.col("submission_id").is_not_null())
    assert shown.select("submission_id", "citizen_estimate").sort("submission_id").rows() == given_values
