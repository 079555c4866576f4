"""One small case for each status, flag, scope and effect; the rule stands beside it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.typology import EFFECTS, FLAGS, STATUSES
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import ApplicabilityFile, NotApplicable
from lnob_pipeline.settings import Settings

Judge = Callable[..., pl.DataFrame]
Cell = Callable[..., dict[str, Any]]


def row(year: int, value: str = "50", nature: str = "C", key: str = "", **other: Any) -> dict[str, Any]:
    return {"year": year, "value_text": value, "nature": nature, "dimension_key": key, **other}


# --- statuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([row(2015)], "reported"),
        ([row(2014)], "none_since_2015"),
        ([row(2014), row(2019, "NA")], "none_since_2015"),
        ([row(2018, "<2.5")], "reported"),
        ([row(2018, ">95")], "reported"),
        ([row(2018, "NV")], "withheld"),
        ([row(2017, "NA"), row(2018, "NV")], "withheld"),
        ([row(2018, "NA")], "not_provided"),
        ([row(2018, ". . .")], "not_provided"),
        ([row(2018, "N"), row(2017, "NA")], "not_provided"),
        ([row(2018, "N")], "not_applicable"),
        ([row(2018, "12", "N"), row(2017, "N", "E")], "not_applicable"),
        ([row(2018, "N"), row(2017, "12")], "reported"),
        ([row(2021)], "never_reported"),  # after the as-of year
        ([row(2018, iso3="NPL")], "never_reported"),
        ([], "never_reported"),
        ([row(2018, key="sex=FEMALE")], "never_reported"),
    ],
)
def test_status_of_the_headline(judge: Judge, cell: Cell, rows: list[dict[str, Any]], status: str) -> None:
    found = cell(judge(*rows))
    assert found["status"] == found["headline_status"] == status


def test_no_series_and_not_loaded_are_not_silence(judge: Judge, cell: Cell, catalogue: Judge) -> None:
    table = judge(catalogue=catalogue(not_in_release=("IU_DMK_ICRS",), not_loaded=("IT_MOB_OWN",)))
    assert cell(table, series="IU_DMK_ICRS")["status"] == "no_series"
    assert cell(table)["status"] == "not_loaded"
    assert cell(table)["scope"] is None
    assert cell(table, stratum="sex=F")["status"] == "not_loaded"
    assert cell(table, series="IU_DMK_INCL")["status"] == "never_reported"


def test_an_empty_catalogue_is_an_error(judge: Judge, catalogue: Judge) -> None:
    with pytest.raises(ValueError, match="catalogue is empty"):
        judge(row(2018), catalogue=catalogue().clear())


def test_reviewed_rule_takes_a_country_out(judge: Judge, cell: Cell, mappings: Mappings) -> None:
    rule = {
        "indicators": ["5.b"],
        "countries": ["NPL"],
        "because": "for the test",
        "reviewed": {"by": "a statistician", "date": "2020-11-30", "source": "test"},
    }
    changed = dataclasses.replace(
        mappings, applicability=ApplicabilityFile(not_applicable=[NotApplicable.model_validate(rule)])
    )
    table = judge(mappings=changed)
    for stratum in ("_T", "sex=F"):
        assert cell(table, "NPL", stratum=stratum)["status"] == "not_applicable"
        assert cell(table, "NPL", stratum=stratum)["scope"] is None
    assert cell(table, "KEN")["status"] == "never_reported"
    # 5.b is a target, no prefix of 5.3.1 or of another goal.
    assert table.filter(pl.col("status") == "not_applicable")["indicator"].unique().to_list() == ["5.b.1"]


def test_strata_of_a_series_that_does_not_apply(judge: Judge, cell: Cell) -> None:
    table = judge(row(2018, "N"), row(2018, "40", key="sex=FEMALE"))
    assert cell(table, stratum="sex=M")["status"] == "not_applicable"
    assert cell(table, stratum="sex=F")["status"] == "reported"  # a published figure is taken at its word


def test_a_stratum_has_its_own_status(judge: Judge, cell: Cell) -> None:
    table = judge(row(2018), row(2012, key="sex=FEMALE"))
    female = cell(table, stratum="sex=F")
    assert (female["status"], female["headline_status"]) == ("none_since_2015", "reported")
    assert cell(table, stratum="sex=M")["status"] == "never_reported"


def test_headline_slices_are_declared(judge: Judge, cell: Cell) -> None:
    """8.10.2 is age 15+; a row without an age is another slice of it, and an all-totals row is not the headline."""
    series = "FB_BNK_ACCSS"
    assert cell(judge(row(2018, series=series)), series=series)["status"] == "never_reported"
    table = judge(row(2018, series=series, key="age=15+"), row(2018, series=series, key="age=15+;sex=MALE"))
    assert cell(table, series=series)["status"] == "reported"
    assert cell(table, series=series, stratum="sex=M")["status"] == "reported"
    assert cell(table, series=series, stratum="sex=F")["status"] == "never_reported"


def test_two_official_codes_of_one_category_make_one_cell(judge: Judge, cell: Cell) -> None:
    series = "EG_EGY_CLEAN"
    table = judge(row(2017, series=series, key="age=<5Y"), row(2018, series=series, key="age=0-4"))
    assert cell(table, series=series, stratum="age=0-4")["n_years_since_base"] == 2


# --- flags -------------------------------------------------------------------------------------------------


def flags(judge: Judge, cell: Cell, *rows: dict[str, Any], stratum: str = "_T", **given: Any) -> set[str]:
    return cell(judge(*rows, **given), stratum=stratum)["flags"]


@pytest.mark.parametrize(
    ("flag", "with_it", "without_it"),
    [
        ("no_trend", [row(2018), row(2018, nature="E")], [row(2017), row(2018)]),
        ("no_baseline", [row(2014), row(2016), row(2017)], [row(2013), row(2014), row(2016), row(2017)]),
        ("no_baseline", [row(2016), row(2017)], [row(2016)]),
        ("stale", [row(2014)], [row(2015)]),
        ("obsolete", [row(2009)], [row(2010)]),
        ("sparse", [row(2015), row(2017)], [row(2016), row(2017)]),
        ("not_country_owned", [row(2016, nature="E"), row(2017)], [row(2016, nature="CA"), row(2017)]),
        ("not_country_owned", [row(2017, nature="G")], [row(2017)]),
        ("not_country_owned", [row(2016, nature="M"), row(2016), row(2017, nature="E")], [row(2016), row(2017)]),
        (
            "modelled_only",
            [row(2014), row(2016, nature="E"), row(2017, nature="M")],
            [row(2016, nature="E"), row(2017)],
        ),
        ("nature_unknown", [row(2017, nature="NA")], [row(2017, nature="G")]),
        ("nature_unknown", [row(2017, nature="NOTSPEC")], [row(2017)]),
        (
            "precision_unknown",
            [row(2016, lower_bound=40.0, upper_bound=60.0), row(2017)],
            [row(2016), row(2017, lower_bound=40.0, upper_bound=60.0)],
        ),
        (
            "precision_unknown",
            [row(2017, "<2.5", lower_bound=0.0, upper_bound=2.5)],
            [row(2017, "2.5", lower_bound=0.0, upper_bound=5.0)],
        ),
    ],
)
def test_flag_of_years_and_natures(
    judge: Judge, cell: Cell, flag: str, with_it: list[dict[str, Any]], without_it: list[dict[str, Any]]
) -> None:
    assert flag in flags(judge, cell, *with_it)
    assert flag not in flags(judge, cell, *without_it)


def test_stale_follows_the_settings(judge: Judge, cell: Cell, as_of_2020: Settings) -> None:
    later = dataclasses.replace(as_of_2020, as_of_year=2024)
    assert "stale" not in flags(judge, cell, row(2018))
    assert "stale" in flags(judge, cell, row(2018), settings=later)


def test_not_sparse_where_no_period_is_known(judge: Judge, cell: Cell) -> None:
    rows = [row(year, series="VC_VOV_GDSD") for year in (2015, 2020)]
    assert "sparse" not in cell(judge(*rows), series="VC_VOV_GDSD")["flags"]


# Sex, age, location, wealth and disability are the dimensions that 5.b.1 has to be broken down by.
WHOLE = [
    row(2018, key=f"{name}={code}")
    for name, codes in {
        "sex": ["FEMALE", "MALE"],
        "age": ["15-24", "60+"],
        "location": ["URBAN", "RURAL"],
        "quantile": ["Q1", "Q2", "Q3", "Q4", "Q5"],
        "disability_status": ["PD", "PWD"],
    }.items()
    for code in codes
]


def test_dimension_missing(judge: Judge, cell: Cell) -> None:
    assert "dimension_missing" not in flags(judge, cell, row(2018), *WHOLE)
    one_sex = [item for item in WHOLE if item["dimension_key"] != "sex=MALE"]
    assert "dimension_missing" in flags(judge, cell, row(2018), *one_sex)
    # The two sexes in two years, or with two natures, cannot be compared.
    for male in (row(2017, key="sex=MALE"), row(2018, nature="E", key="sex=MALE")):
        assert "dimension_missing" in flags(judge, cell, row(2018), *one_sex, male)
    # The categories have to be of the whole, not of a part of it.
    rural = [item for item in WHOLE if not item["dimension_key"].startswith("sex")]
    rural += [row(2018, key=f"location=RURAL;sex={sex}") for sex in ("FEMALE", "MALE")]
    assert "dimension_missing" in flags(judge, cell, row(2018), *rural)


def test_dimension_seen_before_the_base_year_is_missing(judge: Judge, cell: Cell) -> None:
    old = [item | {"year": 2012} for item in WHOLE]
    assert "dimension_missing" in flags(judge, cell, row(2018), *old)


def test_category_missing(judge: Judge, cell: Cell) -> None:
    assert "category_missing" not in flags(judge, cell, row(2018), *WHOLE)
    # 25 to 59 years have no official code: no country can report them.
    middle = cell(judge(row(2018), *WHOLE), stratum="age=25-59")
    assert "group_has_no_code" in middle["flags"]
    four_fifths = [item for item in WHOLE if item["dimension_key"] != "quantile=Q5"]
    found = flags(judge, cell, row(2018), *four_fifths)
    assert "category_missing" in found
    assert "dimension_missing" not in found  # it is there, one of its categories is not
    assert "category_missing" not in flags(judge, cell, row(2018))  # nothing is there: dimension_missing says so


def test_headline_code_is_no_category_of_its_dimension(judge: Judge, cell: Cell) -> None:
    """In 8.10.2 age 15+ is the whole: with one band beside it, age has one category, not two."""
    series = "FB_BNK_ACCSS"
    rows = [row(2018, series=series, key="age=15+"), row(2018, series=series, key="age=15-24")]
    other = [item | {"series": series, "dimension_key": f"age=15+;{item['dimension_key']}"} for item in WHOLE]
    other = [item for item in other if "age=15+;age=" not in item["dimension_key"]]
    assert "dimension_missing" in cell(judge(*rows, *other), series=series)["flags"]
    rows.append(row(2018, series=series, key="age=25+"))
    assert "dimension_missing" not in cell(judge(*rows, *other), series=series)["flags"]


def test_crossing_missing(judge: Judge, cell: Cell) -> None:
    assert "crossing_missing" in flags(judge, cell, row(2018), *WHOLE)
    met = row(2016, key="disability_status=PD;sex=FEMALE")
    assert "crossing_missing" not in flags(judge, cell, row(2018), met)
    # 16.9.1 asks for no crossing.
    assert (
        "crossing_missing"
        not in cell(judge(row(2018, series="SG_REG_BRTH", key="age=<5Y")), series="SG_REG_BRTH")["flags"]
    )


def test_subnational_missing(judge: Judge, cell: Cell) -> None:
    assert "subnational_missing" in flags(judge, cell, row(2018))
    assert "subnational_missing" not in flags(judge, cell, row(2018), row(2018, key="cities=NAIROBI"))
    assert "subnational_missing" not in flags(judge, cell, row(2018), row(2018, key="sex=MALE", m49="999"))


def test_group_has_no_code(judge: Judge, cell: Cell) -> None:
    assert flags(judge, cell, stratum="marginalised_group=ethnic_minorities") == {"group_has_no_code"}
    assert flags(judge, cell, stratum="marginalised_group=persons_with_disabilities") == set()
    water = "SP_ACS_BSRVH2O"
    assert cell(judge(), series=water, stratum="sex=F")["flags"] == {"group_has_no_code"}
    assert cell(judge(), series=water, stratum="location=U")["flags"] == set()
    # A figure that is there refutes the content constraints.
    there = cell(judge(row(2018, series=water, key="sex=FEMALE")), series=water, stratum="sex=F")
    assert (there["status"], "group_has_no_code" in there["flags"]) == ("reported", False)


def test_flags_stand_only_where_there_are_figures(judge: Judge) -> None:
    table = judge(row(2018, "NV"), row(2017, "NA", iso3="NPL"), row(2012, iso3="VNM"))
    silent = table.filter(~pl.col("status").is_in(["reported", "none_since_2015"]))
    assert set(silent["flags"]) == {"", "group_has_no_code"}


def test_youth_is_the_whole_of_8_6_1(judge: Judge) -> None:
    strata = judge().filter(pl.col("series") == "SL_TLF_NEET")["stratum"].unique().to_list()
    assert "marginalised_group=youth" not in strata
    assert "marginalised_group=ethnic_minorities" in strata


# --- scope -------------------------------------------------------------------------------------------------


def test_scope_asks_for_two_years_in_half_of_the_countries(judge: Judge, cell: Cell, mappings: Mappings) -> None:
    countries = list(mappings.countries)
    three = [row(year, iso3=iso3) for iso3 in countries[:3] for year in (2016, 2018)]
    four = [*three, *(row(year, iso3=countries[3]) for year in (2016, 2018))]
    assert cell(judge(*three))["scope"] == "systemic"  # 3 of 7
    assert cell(judge(*four), "VNM")["scope"] == "national"  # 4 of 7
    # A country to which the series does not apply leaves the denominator: 3 of 6.
    away = row(2018, "N", iso3=countries[6])
    assert cell(judge(*three, away))["scope"] == "national"
    # What no official code can show is systemic even then.
    assert cell(judge(*four), stratum="marginalised_group=ethnic_minorities")["scope"] == "systemic"


# --- what citizen data does --------------------------------------------------------------------------------


def test_could_close_and_closes(judge: Judge, cell: Cell, estimates: Judge, accepted: Judge) -> None:
    found = cell(judge(estimates=estimates({})))
    assert (found["citizen_effect"], found["citizen_submissions"]) == ("could_close", "ken-2019-survey")
    assert found["status"] == "never_reported"  # the official cell stays as silent as it is
    for decision in ("accept", "used_officially"):
        table = judge(estimates=estimates({}), decisions=accepted("statistics_office", decision))
        assert cell(table)["citizen_effect"] == "closes"
    # Nobody else can close it.
    for who, what in (("partner", "publish"), ("secretariat", "accept"), ("statistics_office", "publish")):
        assert cell(judge(estimates=estimates({}), decisions=accepted(who, what)))["citizen_effect"] == "could_close"


def test_the_latest_decision_of_the_statistics_office_holds(
    judge: Judge, cell: Cell, estimates: Judge, accepted: Judge
) -> None:
    def effect(*decisions: pl.DataFrame) -> str:
        return cell(judge(estimates=estimates({}), decisions=pl.concat(decisions)))["citizen_effect"]

    accept, objection = accepted("statistics_office", "accept", 2), accepted("statistics_office", "object", 3)
    assert effect(accept, objection) == "could_close"
    assert effect(accepted("statistics_office", "object", 1), accept) == "closes"
    assert effect(accept, accepted("statistics_office", "object", 2)) == "could_close"


@pytest.mark.parametrize(
    "change",
    [
        {"area_level": "admin1", "area": "KE-17,KE-43"},
        {"comparability": "B"},
        {"comparability": "C", "comparability_reason": "adapted definition: the phone of the household"},
        {"sampling_method": "census"},
        {"definition_version": "2023-03"},
        {"reliability": "use_with_caution"},
        {"year": 2017},
        {"year": 2021},
    ],
)
def test_informs_where_one_condition_fails(
    judge: Judge, cell: Cell, estimates: Judge, accepted: Judge, change: dict[str, Any]
) -> None:
    accept = accepted("statistics_office", "accept")
    assert cell(judge(estimates=estimates(change), decisions=accept))["citizen_effect"] == "informs"


@pytest.mark.parametrize(
    "change",
    [
        {"reliability": "too_few_cases"},
        {"estimate": None},
        {"status": "not_estimable"},
        {"iso3": "NPL"},
        {"stratum": "sex=F", "sex": "F"},
    ],
)
def test_says_nothing(judge: Judge, cell: Cell, estimates: Judge, change: dict[str, Any]) -> None:
    found = cell(judge(estimates=estimates(change)))
    assert (found["citizen_effect"], found["citizen_submissions"]) == ("nothing_yet", "")


def test_evidence_illustrates_headline_and_group(judge: Judge, cell: Cell, evidence: Judge) -> None:
    table = judge(
        evidence=evidence(
            {"marginalised_group": "ethnic_minorities"},
            {"submission_id": "ken-2020-review", "evidence_type": "policy_review", "comparability": "E"},
        )
    )
    headline, group = cell(table), cell(table, stratum="marginalised_group=ethnic_minorities")
    assert (headline["citizen_effect"], headline["citizen_submissions"]) == (
        "illustrates",
        "ken-2020-discussions,ken-2020-review",
    )
    assert (group["citizen_effect"], group["citizen_submissions"]) == ("illustrates", "ken-2020-discussions")
    assert cell(table, stratum="marginalised_group=youth")["citizen_effect"] == "nothing_yet"
    assert cell(table, stratum="sex=F")["citizen_effect"] == "nothing_yet"
    assert table.filter(pl.col("citizen_effect") != "nothing_yet").height == 2


def test_women_of_a_score_card_illustrate_the_stratum_of_women(judge: Judge, cell: Cell, evidence: Judge) -> None:
    table = judge(evidence=evidence({"marginalised_group": "F"}, {"marginalised_group": "all", "indicator": "16.9.1"}))
    assert cell(table, stratum="sex=F")["citizen_effect"] == "illustrates"
    assert cell(table, series="SG_REG_BRTH")["citizen_effect"] == "illustrates"
    # The headlines of the two series and the women of one.
    assert table.filter(pl.col("citizen_effect") != "nothing_yet").height == 3


def test_the_strongest_effect_names_its_own_submissions(
    judge: Judge, cell: Cell, estimates: Judge, evidence: Judge
) -> None:
    found = cell(
        judge(
            estimates=estimates(
                {}, {"submission_id": "ken-2020-second"}, {"submission_id": "ken-b", "comparability": "B"}
            ),
            evidence=evidence({}),
        )
    )
    assert (found["citizen_effect"], found["citizen_submissions"]) == ("could_close", "ken-2019-survey,ken-2020-second")


def test_discrepancy_stands_on_the_cell(judge: Judge, cell: Cell, estimates: Judge) -> None:
    assert "discrepancy" in flags(judge, cell, row(2018, "40"), estimates=estimates({}))
    assert "differs_from_model" in flags(judge, cell, row(2018, "40", "E"), estimates=estimates({}))
    assert not {"discrepancy", "differs_from_model"} & flags(judge, cell, row(2018, "60"), estimates=estimates({}))


# --- the mapping file --------------------------------------------------------------------------------------


def test_applicability_names_what_exists(mappings: Mappings) -> None:
    library = {series.code for indicator in mappings.indicators.values() for series in indicator.series}
    assert set(mappings.applicability.series) <= library
    dimensions = {item.official_dimension for item in mappings.breakdowns.values()}
    for scope in mappings.applicability.series.values():
        assert set(scope.admits) <= dimensions
    for rule in mappings.applicability.not_applicable:
        assert set(rule.countries) <= set(mappings.countries)


def test_the_headline_is_admitted(mappings: Mappings) -> None:
    for indicator in mappings.indicators.values():
        for series in indicator.series:
            scope = mappings.applicability.series.get(series.code)
            for name, codes in (scope.admits if scope else {}).items():
                # An empty list admits the total only.
                assert series.headline.get(name, "_T") in (*codes, "_T", "BOTHSEX", "NOTSPEC")


def test_vocabulary_is_complete(judge: Judge, catalogue: Judge, estimates: Judge) -> None:
    table = judge(row(2018), catalogue=catalogue(not_loaded=("SL_TLF_NEET",)), estimates=estimates({}))
    assert set(table["status"]) <= set(STATUSES)
    assert set(",".join(table["flags"]).split(",")) - {""} <= set(FLAGS)
    assert set(table["citizen_effect"]) <= set(EFFECTS)
