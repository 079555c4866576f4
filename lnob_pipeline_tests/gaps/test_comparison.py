"""Official and citizen figures side by side: relations, differences, and when a difference is flagged."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lnob_pipeline.gaps.comparison import compare, snapshot_label, with_gaps
from lnob_pipeline.gaps.lineage import wording_id
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import OFFICIAL_RELEASES

Row = dict[str, Any]
Make = Callable[..., pl.DataFrame]
Cell = Callable[..., Row]


@pytest.fixture
def beside(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> Callable[..., Row]:
    """The comparison of one official row with one estimate, for the headline of Kenya's 5.b.1."""

    def make(official: Row | None, citizen: Row | None, settings: Settings = as_of_2020) -> Row:
        table = compare(
            observations(*([official] if official is not None else [])),
            catalogue(),
            estimates(*([citizen] if citizen is not None else [])),
            mappings,
            settings,
        )
        return cell(table)

    return make


def test_relations(beside: Callable[..., Row]) -> None:
    assert beside({}, {})["relation"] == "same_line"
    assert beside({}, None)["relation"] == "official_only"
    assert beside(None, {})["relation"] == "citizen_only"
    for change in (
        {"area_level": "admin1", "area": "KE-17"},
        {"comparability": "B"},
        {"comparability": "C"},
        {"sampling_method": "quota"},
        {"status": "not_estimable", "estimate": None},
    ):
        assert beside({}, change)["relation"] == "beside"


def test_neither_side_fills_the_other(beside: Callable[..., Row]) -> None:
    citizen_only = beside(None, {})
    official = {name: value for name, value in citizen_only.items() if name.startswith("official_")}
    assert official == dict.fromkeys(official) | {"official_release": "2020-10"}
    official_only = beside({}, None)
    assert all(official_only[name] is None for name in official_only if name.startswith("citizen_"))
    lineage = ("submission_id", "sampling_method", "comparability_reason", "mapping_lines", "question_wordings")
    assert all(official_only[name] is None for name in lineage)


def test_the_latest_usable_value_of_the_country_itself(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> None:
    official = observations(
        {"year": 2016, "value_text": "41"},
        {"year": 2018, "value_text": "42", "nature": "E"},
        {"year": 2018, "value_text": "43", "nature": "CA"},
        {"year": 2019, "value_text": "NA"},
        {"year": 2019, "value_text": "44", "nature": "N"},
        {"year": 2025, "value_text": "45"},
    )
    found = cell(compare(official, catalogue(), estimates(), mappings, as_of_2020))
    assert (found["official_year"], found["official_value"], found["official_nature"]) == (2018, 43.0, "CA")


def test_estimates_of_two_submissions_stand_in_two_rows(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings
) -> None:
    table = compare(observations({}), catalogue(), estimates({}, {"submission_id": "ken-2020-b"}), mappings, as_of_2020)
    assert table.select("submission_id", "official_value").rows() == [
        ("ken-2019-survey", 50.0),
        ("ken-2020-b", 50.0),
    ]


def test_strata_meet_their_official_codes(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings, cell: Cell
) -> None:
    official = observations(
        {"value_text": "51", "dimension_key": "sex=FEMALE"},
        {"value_text": "52", "dimension_key": "disability_status=PD"},
        {"value_text": "53", "dimension_key": "disability_status=PWD"},
        {"value_text": "54", "dimension_key": "disability_status=PD;sex=FEMALE"},
        {"value_text": "55", "dimension_key": "location=URBAN;sex=FEMALE"},
    )
    names = ("sex=F", "disability=yes", "disability=no", "sex=F;disability=yes", "marginalised_group=ethnic_minorities")
    citizen = estimates(*({"stratum": name, **dict(part.split("=") for part in name.split(";"))} for name in names))
    table = compare(official, catalogue(), citizen, mappings, as_of_2020)
    found = {name: cell(table, stratum=name)["official_value"] for name in names}
    # SDMX: PD is with, PWD is without disability.
    assert found == dict(zip(names, [51.0, 52.0, 53.0, 54.0, None], strict=True))
    # The same figure stands for the group of persons with disabilities, where there is no citizen estimate.
    group = cell(table, stratum="marginalised_group=persons_with_disabilities")
    assert (group["relation"], group["official_value"]) == ("official_only", 52.0)
    assert cell(table, stratum="marginalised_group=ethnic_minorities")["relation"] == "citizen_only"


def test_differences_are_named(beside: Callable[..., Row]) -> None:
    assert beside({"year": 2019}, {})["differences"] == ""
    found = beside(
        {"year": 2016, "nature": "E", "value_text": "<2.5"},
        {
            "definition_version": "2023-03",
            "comparability": "B",
            "sampling_method": "purposive",
            "area_level": "community",
            "area": "KE-17",
            "population": "interviewed respondents of the group; a share of respondents",
        },
    )["differences"].split(" | ")
    assert found == [
        "definition: version 2023-03 against 2020-10",
        "area: KE-17 (community) against the country",
        "population: interviewed respondents of the group; a share of respondents",
        "year: 2019 against 2016, 3 apart",
        "sampling: purposive, no interval",
        "nature: estimated by the agency (E)",
        "precision: the official value is censored (<2.5)",
    ]
    adapted = beside(
        {"year": 2019}, {"comparability": "C", "comparability_reason": "adapted definition: the household"}
    )
    assert adapted["differences"] == "definition: adapted definition: the household"
    unnamed = beside({"year": 2019}, {"area_level": "admin1"})
    assert unnamed["differences"] == "area: a part of it (admin1) against the country"


# The estimate is 60 with a standard error of 2 and an interval of 56 to 64; collected in 2019.
@pytest.mark.parametrize(
    ("official", "flag"),
    [
        # No bounds: outside the interval, and further away than 5 points.
        ({"value_text": "54.9"}, {"discrepancy"}),
        ({"value_text": "55.5"}, set()),  # outside 56 to 64, but 4.5 points away
        ({"value_text": "65.1"}, {"discrepancy"}),
        ({"value_text": "57"}, set()),
        # Published bounds of +-3.92 are a standard error of 2: 1.96 x sqrt(4 + 4) = 5.54.
        ({"value_text": "54.4", "lower_bound": 50.48, "upper_bound": 58.32}, {"discrepancy"}),  # 5.6 away
        ({"value_text": "54.5", "lower_bound": 50.58, "upper_bound": 58.42}, set()),  # 5.5 away
        # The wider half counts: 7.84 is a standard error of 4: 1.96 x sqrt(4 + 16) = 8.77.
        ({"value_text": "52", "lower_bound": 44.16, "upper_bound": 55.0}, set()),  # 8 away
        ({"value_text": "51", "lower_bound": 43.16, "upper_bound": 54.0}, {"discrepancy"}),  # 9 away
        # Estimated and modelled figures differ as models do.
        ({"value_text": "40", "nature": "E"}, {"differs_from_model"}),
        ({"value_text": "40", "nature": "M"}, {"differs_from_model"}),
        ({"value_text": "40", "nature": "G"}, {"discrepancy"}),
        # Within two years.
        ({"value_text": "40", "year": 2017}, {"discrepancy"}),
        ({"value_text": "40", "year": 2016}, set()),
        # A censored value is an interval: >95 begins 35 points away, >50 holds 60.
        ({"value_text": ">95"}, {"discrepancy"}),
        ({"value_text": ">50"}, set()),
        ({"value_text": "<2.5"}, {"discrepancy"}),
        # 57 to 100 overlaps 56 to 64; 66 to 100 lies outside by 6 points; 64.5 to 100 by 4.5 points only.
        ({"value_text": ">57"}, set()),
        ({"value_text": ">66"}, {"discrepancy"}),
        ({"value_text": ">=64.5"}, set()),
        ({"value_text": "> 95", "nature": "M"}, {"differs_from_model"}),
        # One bound alone is no interval: the rule without bounds holds.
        ({"value_text": "55.5", "lower_bound": 55.0}, set()),
        ({"value_text": "54.9", "upper_bound": 75.0}, {"discrepancy"}),
        # Published as a share: 0.549 is 54.9 per cent; its bounds as shares too, or as percentages.
        ({"value_text": "0.549", "units": "PROPORTION"}, {"discrepancy"}),
        ({"value_text": "0.555", "units": "SHARE"}, set()),
        (
            {"value_text": "0.544", "units": "SHARE", "lower_bound": 0.5048, "upper_bound": 0.5832},
            {"discrepancy"},
        ),  # 5.6 away, as above
        ({"value_text": "0.545", "units": "SHARE", "lower_bound": 50.58, "upper_bound": 58.42}, set()),  # 5.5 away
        # A percentage with bounds as shares: +-3.92 points again.
        ({"value_text": "54.4", "lower_bound": 0.5048, "upper_bound": 0.5832}, {"discrepancy"}),
        ({"value_text": "54.5", "lower_bound": 0.5058, "upper_bound": 0.5842}, set()),
        # Bounds that do not enclose the value say nothing: the rule without bounds holds.
        ({"value_text": "54.9", "lower_bound": 70.0, "upper_bound": 80.0}, {"discrepancy"}),
        ({"value_text": "55.5", "lower_bound": 70.0, "upper_bound": 80.0}, set()),
        # In another unit nothing is judged.
        ({"value_text": "1", "units": "PER_1000_POP"}, set()),
        ({"value_text": "1", "units": "PER_1000_POP", "lower_bound": 0.5, "upper_bound": 1.5}, set()),
    ],
)
def test_when_a_difference_is_flagged(beside: Callable[..., Row], official: Row, flag: set[str]) -> None:
    found = beside(official, {})
    assert found["relation"] == "same_line"
    assert found["flags"] == flag


@pytest.mark.parametrize(
    "change",
    [
        {"area_level": "admin1", "area": "KE-17,KE-43"},
        {"comparability": "B"},
        {"comparability": "C"},
        {"definition_version": "2023-03"},
        {"reliability": "too_few_cases"},
    ],
)
def test_a_figure_that_is_not_the_same_thing_is_never_wrong(beside: Callable[..., Row], change: Row) -> None:
    assert beside({"value_text": "1"}, {})["flags"] == {"discrepancy"}
    assert beside({"value_text": "1"}, change)["flags"] == set()


def test_thresholds_are_settings(beside: Callable[..., Row], as_of_2020: Settings) -> None:
    official = {"value_text": "54", "year": 2016}
    wide = dataclasses.replace(as_of_2020, comparison_window_years=3)
    assert beside(official, {})["flags"] == set()
    assert beside(official, {}, wide)["flags"] == {"discrepancy"}
    assert beside(official, {}, dataclasses.replace(wide, discrepancy_points=7.0))["flags"] == set()


def test_the_interval_beside_a_citizen_interval_is_in_its_unit(beside: Callable[..., Row]) -> None:
    share = beside({"value_text": "0.544", "units": "SHARE", "lower_bound": 0.5048, "upper_bound": 0.5832}, {})
    shown = [round(share[name], 6) for name in ("official_value", "official_lower", "official_upper")]
    assert shown == [54.4, 50.48, 58.32]
    assert (share["official_value_text"], share["official_unit"], share["unit"]) == ("0.544", "SHARE", "PERCENT")
    censored = beside({"value_text": ">95"}, {})
    assert [censored[name] for name in ("official_value", "official_lower", "official_upper")] == [None, 95.0, 100.0]
    odd = beside({"value_text": "54.9", "lower_bound": 70.0, "upper_bound": 80.0}, {})
    assert (odd["official_lower"], odd["official_upper"]) == (None, None)
    assert "precision: the published bounds do not enclose the official value" in odd["differences"].split(" | ")
    other = beside({"value_text": "1", "units": "PER_1000_POP"}, {})
    assert "unit: PERCENT against PER_1000_POP" in other["differences"].split(" | ")
    assert beside({"year": 2019, "units": None}, {})["differences"] == ""


def test_lineage_names_source_sample_line_and_wording(
    beside: Callable[..., Row], mappings: Mappings, root: Path
) -> None:
    found = beside(
        {"source": "ITU questionnaire"},
        {"instrument": "ken-household-2019-v1", "questions": "mobile_device,age"},
    )
    assert found["official_source"] == "ITU questionnaire"
    assert (found["sampling_method"], found["comparability_reason"]) == (
        "probability",
        "same definition, probability sample, representative of the stated area",
    )
    # Each place is the line of the column that answers the question, in the order of the questions.
    for place, question in zip(found["mapping_lines"].split(","), ["mobile_device", "age"], strict=True):
        file, number = place.split(":")
        line = (root / "indicator_mappings" / file).read_text("utf-8").splitlines()[int(number) - 1]
        column = next(
            name
            for record in mappings.instruments["ken-household-2019-v1"].records.values()
            for name, item in record.columns.items()
            if item.variable == question
        )
        assert line.strip().startswith(f"{column}:")
    ids = found["question_wordings"].split(",")
    assert [item.split("@")[0] for item in ids] == ["mobile_device", "age"]
    # Another wording is another id, another label is not.
    asked = mappings.variables["age"]
    for change, same in (({"label": "Years"}, True), ({"question": {"en": "Years of age?"}}, False)):
        changed = dataclasses.replace(mappings, variables=mappings.variables | {"age": asked.model_copy(update=change)})
        assert (wording_id("age", changed) == ids[1]) is same


def test_an_instrument_that_is_not_in_the_library_has_no_lines(beside: Callable[..., Row]) -> None:
    found = beside({}, {"instrument": "another", "questions": "age"})
    assert (found["mapping_lines"], found["question_wordings"].split("@")[0]) == ("", "age")


def test_the_figures_in_use_are_named(
    observations: Make, estimates: Make, catalogue: Make, mappings: Mappings, as_of_2020: Settings
) -> None:
    rows = [
        ("2020-10", "bundled", "2020-10", "superseded"),
        ("2022.Q2.G.02", "api", "2022-07-11", "in_use"),
        ("2026.Q2.G.02", "file", "2026-07-07", "held"),
    ]
    given = pl.DataFrame(rows, schema=["release", "route", "fetched", "state"], orient="row")
    releases = pl.concat([OFFICIAL_RELEASES.empty(), given], how="diagonal")
    table = compare(observations({}), catalogue(), estimates(), mappings, as_of_2020, official_releases=releases)
    label = "UN Global SDG Database, release 2022.Q2.G.02 (fetched 2022-07-11)"
    assert table["official_snapshot"].unique().to_list() == [label]
    assert snapshot_label(None) is snapshot_label(releases.clear()) is None


def test_the_comparison_carries_what_the_gap_table_says(
    judge: Make,
    observations: Make,
    estimates: Make,
    catalogue: Make,
    mappings: Mappings,
    as_of_2020: Settings,
    cell: Cell,
) -> None:
    rows = ({"year": 2018, "value_text": "40"}, {"year": 2009, "dimension_key": "sex=FEMALE"})
    citizen = estimates({}, {"stratum": "sex=F", "sex": "F"})
    gaps = judge(*rows, estimates=citizen)
    told = with_gaps(compare(observations(*rows), catalogue(), citizen, mappings, as_of_2020), gaps)
    headline, women = cell(told), cell(told, stratum="sex=F")
    assert (headline["gap_status"], headline["closing_questions"]) == ("reported", "")
    assert women["gap_status"] == "none_since_2015"
    assert women["closing_questions"] == "sex,age,mobile_device,mobile_sim_active"
    # What is about the pair stands in `flags` of its row, where disclosure control hides it.
    assert headline["flags"] == {"discrepancy"} and "discrepancy" in cell(gaps)["flags"]
    assert set(headline["gap_flags"].split(",")) == cell(gaps)["flags"] - {"discrepancy"}
    assert told.height == compare(observations(*rows), catalogue(), citizen, mappings, as_of_2020).height
