"""Rows of the gap table worked out by hand from the bundled figures: October 2020 release, as-of year 2020, base 2015.

T is the as-of year, Y+ the years with a usable value since 2015, Y- those before.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline import tables
from lnob_pipeline.gaps.comparison import compare
from lnob_pipeline.gaps.typology import gaps
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.official.bulk import take
from lnob_pipeline.official.catalogue import build_catalogue, build_observations, load_official
from lnob_pipeline.official.snapshot import expected_series, read_snapshot
from lnob_pipeline.settings import Settings

Official = tuple[pl.DataFrame, pl.DataFrame]


@pytest.fixture
def official(settings: Settings, mappings: Mappings) -> Official:
    iso3_by_m49 = {country.m49: iso3 for iso3, country in mappings.countries.items()}
    catalogue, observations, info = load_official(settings, iso3_by_m49, "2020-12-01")
    assert (info.release, info.route) == ("2020-10", "bundled")
    return catalogue, observations


@pytest.fixture
def table(official: Official, mappings: Mappings, settings: Settings) -> pl.DataFrame:
    catalogue, observations = official
    nothing = (tables.CITIZEN_ESTIMATES.empty(), tables.CITIZEN_EVIDENCE.empty(), tables.DECISIONS.empty())
    return gaps(observations, catalogue, *nothing, mappings, settings)


def test_kenya_birth_registration(table: pl.DataFrame, cell: Callable[..., dict[str, Any]]) -> None:
    # One figure: 2014, 66.9, nature C, age <5Y. Y+ is empty, Y- = {2014}: none since 2015.
    # T - 2014 = 6 > 5: stale; 6 is not > 10. Y+ is empty, so neither no_trend (one year in Y+) nor not_country_owned
    # (needs Y+). Sex, location and wealth are required and Y+ shows no category of them: dimension_missing. No bounds
    # are published: precision_unknown. No crossing is asked for below five years.
    headline = cell(table, "KEN", "SG_REG_BRTH")
    assert headline["status"] == headline["headline_status"] == "none_since_2015"
    assert headline["flags"] == {"stale", "dimension_missing", "subnational_missing", "precision_unknown"}
    assert (headline["latest_year"], headline["n_years_since_base"], headline["n_years_before_base"]) == (2014, 0, 1)
    assert headline["natures"] == ""
    # Each of the seven countries has one figure only: nobody has two years in Y+, 0 of 7 < 1/2.
    assert headline["scope"] == "systemic"
    # No row carries a sex or a location, and the series would have a place for them.
    for stratum in ("sex=F", "sex=M", "location=U", "location=R", "wealth=Q1"):
        found = cell(table, "KEN", "SG_REG_BRTH", stratum)
        assert (found["status"], found["headline_status"]) == ("never_reported", "none_since_2015")
        assert found["flags"] == set()
        assert found["expected_because"] == "required"
    # The Washington Group Short Set starts at five years, so nobody misses disability here.
    strata = table.filter((pl.col("iso3") == "KEN") & (pl.col("series") == "SG_REG_BRTH"))["stratum"]
    assert not strata.str.contains("disability=").any()
    # Dalits have no code anywhere; the series takes no age beside the first years, so young people have none here.
    for group in ("ethnic_minorities", "youth"):
        assert cell(table, "KEN", "SG_REG_BRTH", f"marginalised_group={group}")["flags"] == {"group_has_no_code"}
    assert cell(table, "KEN", "SG_REG_BRTH", "marginalised_group=persons_with_disabilities")["flags"] == set()


@pytest.mark.parametrize("series", ["SP_ACS_BSRVH2O", "SP_ACS_BSRVSAN"])
def test_nepal_basic_services(table: pl.DataFrame, cell: Callable[..., dict[str, Any]], series: str) -> None:
    # 2000 to 2017 each year, nature E, ALLAREA, RURAL and URBAN: Y+ = {2015, 2016, 2017}, Y- has the 15 years before.
    # Reported; T - 2017 = 3: not stale. (2017 - 2015 + 1) / 3 = 1, not above the expected 1 year: not sparse.
    # None of the three years is C or CA: 0 < min(2, 3): not_country_owned; all are E: modelled_only.
    # RURAL and URBAN stand in 2017 with nature E: location is there, and complete. Sex, age, disability and wealth are
    # not: dimension_missing, and sex x disability never meet: crossing_missing.
    headline = cell(table, "NPL", series)
    assert headline["status"] == "reported"
    assert headline["flags"] == {
        "not_country_owned",
        "modelled_only",
        "dimension_missing",
        "crossing_missing",
        "subnational_missing",
        "precision_unknown",
    }
    assert (headline["latest_year"], headline["n_years_since_base"], headline["n_years_before_base"]) == (2017, 3, 15)
    # All seven countries have the three years: 7 of 7.
    assert (headline["natures"], headline["scope"]) == ("E", "national")
    for stratum in ("location=U", "location=R"):
        found = cell(table, "NPL", series, stratum)
        assert (found["status"], found["scope"]) == ("reported", "national")
        assert found["flags"] == {"not_country_owned", "modelled_only", "precision_unknown"}
        assert (found["n_years_since_base"], found["n_years_before_base"]) == (3, 15)
    # The content constraints admit the total of sex and of disability only: systemic, Nepal cannot mend it alone.
    for stratum in ("sex=F", "sex=M", "disability=yes", "sex=F;disability=yes", "wealth=Q1", "age=60+"):
        found = cell(table, "NPL", series, stratum)
        assert (found["status"], found["headline_status"]) == ("never_reported", "reported")
        assert (found["flags"], found["scope"]) == ({"group_has_no_code"}, "systemic")


def test_viet_nam_accounts(table: pl.DataFrame, cell: Callable[..., dict[str, Any]]) -> None:
    # 2011, 2014 and 2017, nature G, age 15+, quantile NOTSPEC, each BOTHSEX, FEMALE and MALE: Y+ = {2017}, Y- = {2011,
    # 2014}. One year in Y+: no_trend; no_baseline would need two. T - 2017 = 3: not stale. (2017 - 2017 + 1) / 1 = 1,
    # not above the expected 3 years. No year is C or CA: 0 < min(2, 1) = 1: not_country_owned; G is neither E nor M.
    # Sex is there and complete in 2017; age, location, wealth and disability are not: dimension_missing.
    headline = cell(table, "VNM", "FB_BNK_ACCSS")
    assert headline["status"] == "reported"
    assert headline["flags"] == {
        "no_trend",
        "not_country_owned",
        "dimension_missing",
        "crossing_missing",
        "subnational_missing",
        "precision_unknown",
    }
    assert (headline["latest_year"], headline["n_years_since_base"], headline["n_years_before_base"]) == (2017, 1, 2)
    # Every country has 2017 alone since 2015: 0 of 7.
    assert (headline["natures"], headline["scope"]) == ("G", "systemic")
    for stratum in ("sex=F", "sex=M"):
        found = cell(table, "VNM", "FB_BNK_ACCSS", stratum)
        assert (found["status"], found["flags"]) == ("reported", {"no_trend", "not_country_owned", "precision_unknown"})
    for stratum in ("location=U", "location=R", "disability=yes", "sex=F;disability=yes"):
        found = cell(table, "VNM", "FB_BNK_ACCSS", stratum)
        assert (found["status"], found["flags"]) == ("never_reported", set())
    # The series admits age 15+ only.
    assert cell(table, "VNM", "FB_BNK_ACCSS", "age=60+")["flags"] == {"group_has_no_code"}


def test_discrimination_where_only_women_are_reported(table: pl.DataFrame, cell: Callable[..., dict[str, Any]]) -> None:
    # Bangladesh has 2018, nature C, FEMALE with disability _T, PD and PWD, by ground: no total of both sexes. The
    # headline is silent, three strata are not. SDMX PD is with and PWD is without disability.
    # The series serves 10.3.1 and 16.b.1; both are cells of their own.
    assert table.filter(pl.col("series") == "VC_VOV_GDSD")["indicator"].unique().sort().to_list() == [
        "10.3.1",
        "16.b.1",
    ]
    table = table.filter(pl.col("indicator") == "10.3.1")
    assert cell(table, "BGD", "VC_VOV_GDSD")["status"] == "never_reported"
    for stratum in ("sex=F", "sex=F;disability=yes", "sex=F;disability=no"):
        found = cell(table, "BGD", "VC_VOV_GDSD", stratum)
        assert (found["status"], found["headline_status"]) == ("reported", "never_reported")
    assert cell(table, "BGD", "VC_VOV_GDSD", "sex=M")["status"] == "never_reported"


def test_indicators_without_a_series(table: pl.DataFrame) -> None:
    found = table.filter(pl.col("indicator").is_in(["16.6.2", "16.7.2"]))
    assert set(found["status"]) == {"no_series"}
    assert set(found["scope"]) == {"systemic"}


def test_official_values_of_the_disabled_are_not_swapped(
    official: Official, mappings: Mappings, settings: Settings, cell: Callable[..., dict[str, Any]]
) -> None:
    catalogue, observations = official
    side_by_side = compare(observations, catalogue, tables.CITIZEN_ESTIMATES.empty(), mappings, settings)
    raw = observations.filter(
        (pl.col("series") == "VC_VOV_GDSD")
        & (pl.col("sex") == "FEMALE")
        & (pl.col("disability_status") == "PD")
        & (pl.col("other_dimensions") == "grounds_of_discrimination=ALL")
    )
    assert raw.height == 1
    side_by_side = side_by_side.filter(pl.col("indicator") == "10.3.1")
    assert cell(side_by_side, "BGD", "VC_VOV_GDSD", "sex=F;disability=yes")["official_value"] == raw["value"].item()


def test_latest_official_values(
    official: Official, mappings: Mappings, settings: Settings, cell: Callable[..., dict[str, Any]]
) -> None:
    catalogue, observations = official
    side_by_side = compare(observations, catalogue, tables.CITIZEN_ESTIMATES.empty(), mappings, settings)
    assert set(side_by_side["relation"]) == {"official_only"}
    expected = {
        ("KEN", "SG_REG_BRTH", "_T"): (2014, "66.9", 66.9),
        ("NPL", "SP_ACS_BSRVH2O", "location=U"): (2017, "89.14601", 89.14601),
        ("NPL", "SP_ACS_BSRVSAN", "location=R"): (2017, "60.80631", 60.80631),
        ("VNM", "FB_BNK_ACCSS", "_T"): (2017, "30.8", 30.8),
        ("VNM", "FB_BNK_ACCSS", "sex=F"): (2017, "30.42", 30.42),
    }
    for (iso3, series, stratum), figures in expected.items():
        found = cell(side_by_side, iso3, series, stratum)
        assert (found["official_year"], found["official_value_text"], found["official_value"]) == figures


# --- all 248 indicators, the complete release of October 2020 ----------------------------------------------

RELEASE = Path(__file__).parents[3] / "shared" / "data" / "official" / "unsd_sdg_2020-10.parquet"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory, mappings: Mappings) -> Official:
    """Catalogue and observations of the seven countries, every series of the release."""
    if not RELEASE.exists():
        pytest.skip("needs ../shared/data/official, which is kept beside the repository")
    folder = tmp_path_factory.mktemp("release")
    codes = {country.m49: iso3 for iso3, country in mappings.countries.items()}
    rows = pl.scan_parquet(RELEASE)
    # One row of every series is kept wherever it is, so that the catalogue stays that of the release.
    kept = rows.filter(
        pl.col("geoAreaCode").str.zfill(3).is_in(list(codes)) | pl.int_range(pl.len()).over("series").eq(0)
    )
    kept.collect().write_parquet(folder / "part.parquet")
    snapshot = read_snapshot(take(folder / "part.parquet", folder, "2020-10", "2020-11-02"))
    bundled = Path(__file__).parents[2] / "data" / "official"
    return build_catalogue(snapshot, expected_series(bundled)), build_observations(snapshot, codes)


@pytest.fixture(scope="module")
def whole_table(complete: Official, mappings: Mappings) -> pl.DataFrame:
    return judged(complete, mappings)


def judged(complete: Official, mappings: Mappings, revisions: pl.DataFrame | None = None) -> pl.DataFrame:
    catalogue, observations = complete
    nothing = (tables.CITIZEN_ESTIMATES.empty(), tables.CITIZEN_EVIDENCE.empty(), tables.DECISIONS.empty())
    return gaps(observations, catalogue, *nothing, mappings, Settings.load(home=Path("unused")), revisions)


def test_every_indicator_of_the_framework_has_its_cells(whole_table: pl.DataFrame, mappings: Mappings) -> None:
    found = set(whole_table["indicator"])
    assert mappings.framework.indicators.height == 248
    # 6.2.1 stands there as its two parts.
    assert found == set(mappings.framework.indicators["indicator"]) - {"6.2.1"} | {"6.2.1a", "6.2.1b"}
    assert "not_loaded" not in set(whole_table["status"])
    assert whole_table.select("iso3", "indicator", "series", "stratum").is_unique().all()


BY_HAND = [
    # iso3, series, stratum, status, latest year, years since 2015, years before, flags that hold, flags that do not.
    # 2017 alone, value NV: a figure exists and is held back.
    ("IND", "ER_MTN_GRNCVI", "_T", "withheld", None, 0, 0, set(), {"no_trend"}),
    # 2010 and 2016, both of nature N.
    ("BGD", "ER_IAS_LEGIS", "_T", "not_applicable", None, 0, 0, set(), {"no_trend"}),
    # 2006 alone: 2020 - 2006 = 14 > 10. Nobody's since 2015, so neither no_trend nor not_country_owned.
    (
        "KEN",
        "IC_GEN_MGTL",
        "_T",
        "none_since_2015",
        2006,
        0,
        1,
        {"stale", "obsolete"},
        {"no_trend", "not_country_owned"},
    ),
    # 2017 alone, nature C.
    ("KEN", "EG_TBA_H2CO", "_T", "reported", 2017, 1, 0, {"no_trend"}, {"no_baseline", "stale", "not_country_owned"}),
    # 2015 to 2018, all E, nothing before.
    (
        "KEN",
        "SH_ACS_MCV2",
        "_T",
        "reported",
        2018,
        4,
        0,
        {"no_baseline", "not_country_owned", "modelled_only"},
        {"sparse"},
    ),
    # 2000 to 2017, nature not available throughout.
    ("KEN", "SH_STA_MMR", "_T", "reported", 2017, 3, 15, {"nature_unknown", "not_country_owned"}, {"modelled_only"}),
    # Under five is the headline; three rows a year, E: 2000 to 2019. Women and men stand there: no group to look for.
    ("MWI", "SH_DYN_MORT", "_T", "reported", 2019, 5, 15, {"modelled_only", "dimension_missing"}, {"category_missing"}),
    ("MWI", "SH_DYN_MORT", "sex=F", "reported", 2019, 5, 15, {"modelled_only"}, {"dimension_missing"}),
    # Victims of homicide by sex, without a total of both: either row speaks for the whole. 2014 to 2018, C.
    ("KEN", "VC_IHR_PSRC", "_T", "reported", 2018, 4, 1, {"no_baseline", "crossing_missing"}, {"not_country_owned"}),
    ("KEN", "VC_IHR_PSRC", "sex=F", "reported", 2018, 4, 1, {"no_baseline"}, set()),
    # One kind of policy instrument in 2019, no total: any of them speaks for the whole. Nepal has none.
    ("KEN", "SG_SCP_POLINS", "_T", "reported", 2019, 1, 0, {"no_trend"}, {"not_country_owned"}),
    ("NPL", "SG_SCP_POLINS", "_T", "never_reported", None, 0, 0, set(), {"no_trend"}),
    # Dhaka in 2012: a city is an area below the country.
    ("BGD", "EN_REF_WASCOL", "_T", "none_since_2015", 2012, 0, 1, {"stale"}, {"subnational_missing", "obsolete"}),
    # New infections: 15 to 24 years are there, four other age groups with a code are not; sex is complete.
    ("NPL", "SH_HIV_INCD", "_T", "reported", 2018, 4, 15, {"category_missing", "dimension_missing"}, {"sparse"}),
    # A series of the survey of schools is due every year and has four of six.
    ("NPL", "SE_PRE_PARTN", "sex=F", "reported", None, 4, None, {"sparse"}, set()),
    # No code list has a place for Dalits.
    ("NPL", "SH_HIV_INCD", "marginalised_group=dalit", "never_reported", None, 0, 0, {"group_has_no_code"}, {"stale"}),
]


@pytest.mark.parametrize(
    ("iso3", "series", "stratum", "status", "latest", "since", "before", "held", "not_held"), BY_HAND
)
def test_cells_of_october_2020(
    whole_table: pl.DataFrame,
    cell: Callable[..., dict[str, Any]],
    iso3: str,
    series: str,
    stratum: str,
    status: str,
    latest: int | None,
    since: int,
    before: int | None,
    held: set[str],
    not_held: set[str],
) -> None:
    found = cell(whole_table, iso3, series, stratum)
    assert found["status"] == status
    assert found["n_years_since_base"] == since
    if before is not None:
        assert (found["latest_year"], found["n_years_before_base"]) == (latest, before)
    assert held <= found["flags"]
    assert not not_held & found["flags"]


def test_an_indicator_that_the_release_has_no_series_for(whole_table: pl.DataFrame) -> None:
    found = whole_table.filter(pl.col("indicator") == "11.3.1")
    assert set(found["iso3"]) == {"BGD", "IND", "KEN", "MWI", "NGA", "NPL", "VNM"}
    assert found.select("series", "stratum", "status", "scope", "flags").unique().rows() == [
        ("", "_T", "no_series", "systemic", "")
    ]


def test_a_country_without_a_coast(whole_table: pl.DataFrame) -> None:
    coast = whole_table.filter(pl.col("indicator").is_in(["14.2.1", "14.5.1", "14.7.1"]) & (pl.col("stratum") == "_T"))
    away = coast.filter(pl.col("iso3").is_in(["MWI", "NPL"]))
    assert set(away["status"]) == {"not_applicable"}
    assert "not_applicable" not in set(coast.filter(pl.col("iso3") == "KEN")["status"])
    # Rules on small-scale fisheries concern lakes as well, and Nepal reports them.
    fisheries = whole_table.filter((pl.col("iso3") == "NPL") & (pl.col("indicator") == "14.b.1"))
    assert set(fisheries["status"]) == {"reported"}


def test_withdrawn_and_revised_stand_on_the_cells_of_their_slice(
    complete: Official, mappings: Mappings, cell: Callable[..., dict[str, Any]]
) -> None:
    # As if the release before had had a figure of Nepal's policy instruments that is gone now, and Kenya's women of the
    # homicide series had had another one in 2018.
    rows = [
        {"change": "withdrawn", "series": "SG_SCP_POLINS", "m49": "524", "year": 2018, "dimension_key": ""},
        {"change": "changed", "series": "VC_IHR_PSRC", "m49": "404", "year": 2018, "dimension_key": "sex=FEMALE"},
        {"change": "withdrawn", "series": "SH_DYN_MORT", "m49": "404", "year": 2021, "dimension_key": "age=<5Y"},
    ]
    whole = [dict.fromkeys(tables.OFFICIAL_REVISIONS.schema) | row for row in rows]
    table = judged(complete, mappings, pl.DataFrame(whole, schema=tables.OFFICIAL_REVISIONS.schema))
    # Being withdrawn is what silenced it.
    assert cell(table, "NPL", "SG_SCP_POLINS")["flags"] == {"withdrawn"}
    assert cell(table, "NPL", "SG_SCP_POLINS")["status"] == "never_reported"
    assert "revised" in cell(table, "KEN", "VC_IHR_PSRC", "sex=F")["flags"]
    assert "revised" in cell(table, "KEN", "VC_IHR_PSRC")["flags"]  # its row is one of the whole, too
    assert "revised" not in cell(table, "KEN", "VC_IHR_PSRC", "sex=M")["flags"]
    assert "withdrawn" not in cell(table, "KEN", "SH_DYN_MORT")["flags"]  # after the as-of year
