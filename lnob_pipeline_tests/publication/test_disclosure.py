"""Disclosure control: worked cases, and promises that hold for any data."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.disclosure import HIDES_WITH_ESTIMATE, disclose, visible_effects
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import (
    CITIZEN_ESTIMATES,
    CITIZEN_EVIDENCE,
    COMPARISON,
    PUBLISHED_ESTIMATES,
    STRATUM_DIMENSIONS,
)
from lnob_pipeline_tests.publication.release_factory import (
    HOME,
    citizen_estimates,
    citizen_evidence,
    comparison,
    fill,
    stratum_columns,
    undisclosed,
)
from lnob_pipeline_tests.thorough import tries

SETTINGS = Settings.load(home=HOME)


def estimate(chosen: dict[str, str], numerator: int | None, n: int, **more: object) -> dict:
    reliability = "reliable" if n >= 50 else "use_with_caution" if n >= 25 else "too_few_cases"
    return {
        "submission_id": "ken-2019-test",
        "iso3": "KEN",
        "indicator": "16.9.1",
        "series": "SG_REG_BRTH",
        **stratum_columns(chosen),
        "area_level": "admin1",
        "area": "KE-17",
        "estimate": None if numerator is None else 100 * numerator / n,
        "standard_error": 2.0,
        "ci_low": 1.0,
        "ci_high": 99.0,
        "n": n,
        "n_clusters": 20,
        "degrees_of_freedom": 18,
        "design_effect": 1.5,
        "reliability": reliability,
        "status": "estimated" if numerator is not None else "lonely_psu",
        "n_numerator": numerator,
        "sensitive": False,
        **more,
    }


def run(rows: list[dict], mappings: Mappings) -> dict[str, str]:
    """Stratum -> status."""
    frame = fill(CITIZEN_ESTIMATES, rows)
    found = disclose(frame, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS).citizen_estimates
    return dict(found.select("stratum", "status").iter_rows())


@pytest.mark.parametrize(
    ("numerator", "n", "expected"),
    [
        (12, 24, "suppressed_small_sample"),
        (12, 25, "estimated"),
        (0, 24, "suppressed_small_sample"),
        (0, 60, "estimated"),
        (60, 60, "estimated"),
        (1, 60, "suppressed_small_count"),
        (4, 60, "suppressed_small_count"),
        (5, 60, "estimated"),
        (55, 60, "estimated"),
        (56, 60, "suppressed_small_count"),
        (59, 60, "suppressed_small_count"),
    ],
)
def test_small_samples_and_small_counts_are_hidden(mappings: Mappings, numerator: int, n: int, expected: str) -> None:
    assert run([estimate({}, numerator, n)], mappings) == {"_T": expected}


@pytest.mark.parametrize("numerator", [0, 60])
def test_everyone_or_no_one_is_hidden_about_sensitive_groups_alone(mappings: Mappings, numerator: int) -> None:
    for group, expected in (("dalit", "suppressed_small_count"), ("pastoralists", "estimated")):
        row = estimate({"marginalised_group": group}, numerator, 60)
        assert run([row], mappings) == {f"marginalised_group={group}": expected}
    flagged = estimate({}, numerator, 60, sensitive=True)
    assert run([flagged], mappings) == {"_T": "suppressed_small_count"}


def test_a_mean_of_shares_is_judged_by_the_count_that_it_implies(mappings: Mappings) -> None:
    few = estimate({}, 20, 60) | {"n_numerator": None, "estimate": 5.0}  # 5 % of 60 are 3
    many = estimate({}, 20, 60) | {"n_numerator": None, "estimate": 50.0}
    assert run([few], mappings) == {"_T": "suppressed_small_count"}
    assert run([many], mappings) == {"_T": "estimated"}


def test_what_hides_with_an_estimate(mappings: Mappings) -> None:
    rows = [estimate({}, 3, 60), estimate({"sex": "F"}, None, 60), estimate({"location": "U"}, 20, 40)]
    frame = fill(CITIZEN_ESTIMATES, rows)
    found = disclose(frame, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS).citizen_estimates
    assert found.schema == PUBLISHED_ESTIMATES.schema
    hidden = found.filter(pl.col("stratum") != "location=U").select(HIDES_WITH_ESTIMATE)
    assert hidden.null_count().row(0) == (2,) * len(HIDES_WITH_ESTIMATE)
    shown = found.filter(pl.col("stratum") == "location=U")
    assert shown.select(HIDES_WITH_ESTIMATE).null_count().row(0) == (0,) * len(HIDES_WITH_ESTIMATE)
    assert dict(found.select("stratum", "reliability").iter_rows()) == {
        "_T": None,
        "sex=F": "reliable",
        "location=U": "use_with_caution",
    }


def test_a_lonely_hidden_category_takes_the_next_smallest_with_it(mappings: Mappings) -> None:
    """200 = 20 + 30 + 150: the 20 are too few; 200 - 150 - 30 would give them, so the 30 hide as well."""
    rows = [
        estimate({}, 100, 200),
        estimate({"age": "60+"}, 10, 20),
        estimate({"age": "15-24"}, 15, 30),
        estimate({"age": "25-59"}, 75, 150),
    ]
    assert run(rows, mappings) == {
        "_T": "estimated",
        "age=60+": "suppressed_small_sample",
        "age=15-24": "suppressed_to_protect",
        "age=25-59": "estimated",
    }


def test_hidden_categories_together_obey_the_count_rule(mappings: Mappings) -> None:
    """Numerators 3 and 1 hide themselves; 60 - 56 gives their sum 4 of 60, so one more hides."""
    rows = [
        estimate({}, 60, 260),
        estimate({"wealth": "Q1"}, 3, 30),
        estimate({"wealth": "Q2"}, 1, 30),
        estimate({"wealth": "Q3"}, 20, 50),
        estimate({"wealth": "Q4"}, 36, 150),
    ]
    assert run(rows, mappings) == {
        "_T": "estimated",
        "wealth=Q1": "suppressed_small_count",
        "wealth=Q2": "suppressed_small_count",
        "wealth=Q3": "suppressed_to_protect",
        "wealth=Q4": "estimated",
    }


def test_a_crossing_hides_its_row_its_column_and_the_corner(mappings: Mappings) -> None:
    """Women with a disability are 12: hiding them alone leaves 3 ways to subtract."""
    rows = [
        estimate({}, 150, 300),
        estimate({"sex": "F"}, 80, 160),
        estimate({"sex": "M"}, 70, 140),
        estimate({"disability": "yes"}, 25, 50),
        estimate({"disability": "no"}, 125, 250),
        estimate({"sex": "F", "disability": "yes"}, 6, 12),
        estimate({"sex": "M", "disability": "yes"}, 19, 38),
        estimate({"sex": "F", "disability": "no"}, 74, 148),
        estimate({"sex": "M", "disability": "no"}, 51, 102),
    ]
    found = run(rows, mappings)
    assert found["sex=F;disability=yes"] == "suppressed_small_sample"
    assert [status for stratum, status in found.items() if ";" in stratum].count("suppressed_to_protect") == 3
    assert all(status == "estimated" for stratum, status in found.items() if ";" not in stratum)


def test_the_parts_of_a_hidden_stratum_do_not_give_it_back(mappings: Mappings) -> None:
    """Without a disability 2 of 250 lack it: hidden, and so are those with one; 25 + 25 would give these back.

    One of the 25 would do for the sum, but who knows that a number hidden for another's sake is not 1 to 4 would then
    see that those without lack it 1 or 2 times.
    """
    rows = [
        estimate({}, 288, 300),
        estimate({"disability": "no"}, 248, 250),
        estimate({"disability": "yes"}, 40, 50),
        estimate({"sex": "F", "disability": "yes"}, 20, 25),
        estimate({"sex": "M", "disability": "yes"}, 20, 25),
    ]
    assert run(rows, mappings) == {
        "_T": "estimated",
        "disability=no": "suppressed_small_count",
        "disability=yes": "suppressed_to_protect",
        "sex=F;disability=yes": "suppressed_to_protect",
        "sex=M;disability=yes": "suppressed_to_protect",
    }


def test_a_total_of_households_is_the_sum_of_persons_too(mappings: Mappings) -> None:
    """300 households, 1,100 persons by age: the hidden persons count together, whatever the households are."""
    rows = [
        estimate({}, 60, 300),
        estimate({"age": "60+"}, 3, 100),
        estimate({"age": "15-24"}, 1, 300),
        estimate({"age": "25-59"}, 200, 320),
        estimate({"age": "5-14"}, 210, 380),
    ]
    found = run(rows, mappings)
    assert [stratum for stratum, status in found.items() if status == "suppressed_to_protect"] == ["age=25-59"]
    rows = [estimate({}, 3, 60), estimate({"sex": "F"}, 60, 140), estimate({"sex": "M"}, 50, 130)]
    assert run(rows, mappings) == {
        "_T": "suppressed_small_count",
        "sex=F": "estimated",
        "sex=M": "suppressed_to_protect",
    }


def test_everyone_else_is_a_group_too(mappings: Mappings) -> None:
    """All but 10 people are of the group; of these 10, 2 are in the numerator: 300 - 290 would tell."""
    rows = [estimate({}, 150, 300), estimate({"marginalised_group": "pastoralists"}, 148, 290)]
    assert run(rows, mappings)["marginalised_group=pastoralists"] == "suppressed_to_protect"
    rows = [estimate({}, 150, 300), estimate({"marginalised_group": "pastoralists"}, 140, 270)]
    assert run(rows, mappings)["marginalised_group=pastoralists"] == "estimated"


def test_groups_without_a_total_have_nothing_to_subtract_from(mappings: Mappings) -> None:
    rows = [estimate({"sex": "F"}, 10, 20), estimate({"sex": "M"}, 30, 60)]
    assert run(rows, mappings) == {"sex=F": "suppressed_small_sample", "sex=M": "estimated"}


def test_a_category_without_cases_is_known_and_protects_nothing(mappings: Mappings) -> None:
    rows = [
        estimate({}, 100, 200),
        estimate({"location": "U"}, 100, 200),
        estimate({"location": "R"}, None, 0, status="no_rows"),
    ]
    assert run(rows, mappings) == {"_T": "estimated", "location=U": "estimated", "location=R": "no_rows"}


def test_no_area_finer_than_the_first_level(mappings: Mappings) -> None:
    rows = [
        estimate({}, 30, 60, area="KE-17,KE-43"),
        estimate({"sex": "F"}, 15, 30, area="KE-17,Nyalenda B"),
        estimate({"sex": "M"}, 15, 30, area=None),
    ]
    frame = fill(CITIZEN_ESTIMATES, rows)
    found = disclose(frame, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS).citizen_estimates
    assert dict(found.select("stratum", "area").iter_rows()) == {"_T": "KE-17,KE-43", "sex=F": None, "sex=M": None}


def test_a_place_that_may_not_be_named_is_not_named_by_the_population_either(mappings: Mappings) -> None:
    written = "persons (Members of households (usual) of Nyalenda B)"
    rows = [estimate({}, 30, 60, area=None, population=written), estimate({"sex": "F"}, 15, 30, population=written)]
    frame = fill(CITIZEN_ESTIMATES, rows)
    given = comparison(frame, mappings).with_columns(
        differences=pl.lit(f"area: x | population: {written} | year: 1 (b)")
    )
    found = disclose(frame, given, CITIZEN_EVIDENCE.empty(), mappings, SETTINGS)
    assert found.citizen_estimates.sort("stratum")["population"].to_list() == ["persons", written]
    beside = found.comparison.filter(pl.col("submission_id").is_not_null()).sort("stratum")
    assert beside["citizen_population"].to_list() == ["persons", written]
    assert beside["differences"][0] == "area: x | population: persons | year: 1 (b)"
    assert written in beside["differences"][1]


def test_the_comparison_shows_what_the_estimates_show_and_no_flag_of_a_hidden_one(mappings: Mappings) -> None:
    frames = undisclosed(mappings)
    found = disclose(frames["citizen_estimates"], frames["comparison"], frames["citizen_evidence"], mappings, SETTINGS)
    joined = found.comparison.filter(pl.col("submission_id").is_not_null()).join(
        found.citizen_estimates, on=["submission_id", "series", "stratum"], validate="m:1"
    )
    assert joined.height == found.citizen_estimates.height
    for mine, theirs in (
        ("citizen_estimate", "estimate"),
        ("citizen_ci_low", "ci_low"),
        ("citizen_n", "n"),
        ("citizen_status", "status"),
    ):
        assert joined[mine].equals(joined[theirs], null_equal=True)
    hidden = found.comparison.filter(pl.col("citizen_status").str.starts_with("suppressed"))
    assert hidden.height > 100
    assert set(hidden["flags"]) == {""}
    official = [name for name in COMPARISON.schema if name.startswith("official")]
    key = ["iso3", "indicator", "series", "stratum", "submission_id"]
    assert found.comparison.sort(key).select(official).equals(frames["comparison"].sort(key).select(official))


def test_a_comparison_without_an_estimate_behind_it_is_refused(mappings: Mappings) -> None:
    frame = fill(CITIZEN_ESTIMATES, [estimate({}, 30, 60)])
    beside = comparison(frame, mappings)
    with pytest.raises(ValueError, match="without an estimate behind"):
        disclose(CITIZEN_ESTIMATES.empty(), beside, CITIZEN_EVIDENCE.empty(), mappings, SETTINGS)


def test_evidence_of_fewer_than_four_people_is_hidden_and_says_so(mappings: Mappings) -> None:
    evidence = citizen_evidence()
    found = disclose(CITIZEN_ESTIMATES.empty(), COMPARISON.empty(), evidence, mappings, SETTINGS).citizen_evidence
    assert found.schema == CITIZEN_EVIDENCE.schema
    hidden = found.filter(pl.col("finding") == "suppressed_few_participants")
    assert hidden["statement"].to_list() == ["barrier_distance"]
    assert hidden.select("score", "n_groups", "n_participants", "n_mentions").null_count().row(0) == (1, 1, 1, 1)
    rest = found.filter(pl.col("statement") != "barrier_distance")
    assert rest.equals(evidence.filter(pl.col("statement") != "barrier_distance"))


def test_groups_of_unknown_size_count_as_one_person_each(mappings: Mappings) -> None:
    row = citizen_evidence().filter(pl.col("evidence_type") == "score_card").head(1)
    row = row.with_columns(n_participants=pl.lit(None, pl.Int32))
    for groups, shown in ((3, False), (4, True)):
        given = row.with_columns(n_groups=pl.lit(groups, pl.Int32))
        found = disclose(CITIZEN_ESTIMATES.empty(), COMPARISON.empty(), given, mappings, SETTINGS).citizen_evidence
        assert (found["score"].null_count() == 0) is shown


def small(count: float, of: float) -> bool:
    return 1 <= count <= 4 or 1 <= of - count <= 4


@hypothesis_settings(max_examples=tries(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), people=st.integers(20, 400))
def test_no_published_number_breaks_a_rule_and_no_sum_gives_one_away(
    mappings: Mappings, seed: int, people: int
) -> None:
    """An attacker with all published rows, without any code of the module: primary rules, then every sum."""
    before = citizen_estimates(mappings, seed, people, ("SG_REG_BRTH", "SP_ACS_BSRVH2O"))
    found = disclose(before, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS).citizen_estimates
    truth = {(row["submission_id"], row["series"], row["stratum"]): row for row in before.to_dicts()}
    shown = {
        (row["submission_id"], row["series"], row["stratum"]): row["estimate"] is not None for row in found.to_dicts()
    }
    assert truth.keys() == shown.keys()
    cells = {}
    for key, row in truth.items():
        cells[key[0], key[1], tuple(row[name] for name in STRATUM_DIMENSIONS)] = (
            row["n"],
            row["n_numerator"],
            shown[key],
        )
        if shown[key]:
            sensitive = row["sensitive"] and row["n_numerator"] in (0, row["n"])
            assert row["n"] >= 25
            assert not small(row["n_numerator"], row["n"])
            assert not sensitive
    for (submission, series, parent), (n, numerator, visible) in cells.items():
        for place, name in enumerate(STRATUM_DIMENSIONS):
            if parent[place] != "_T":
                continue
            children = [
                cell
                for (other, code, stratum), cell in cells.items()
                if (other, code) == (submission, series)
                and stratum[place] != "_T"
                and (*stratum[:place], "_T", *stratum[place + 1 :]) == parent
                and cell[0]
            ]
            if name == "marginalised_group":
                for child_n, child_numerator, child_visible in children:
                    assert not (visible and child_visible and small(numerator - child_numerator, n - child_n))
                continue
            hidden = [cell for cell in children if not cell[2]]
            complete = sum(cell[0] for cell in children) == n
            assert not (visible and len(hidden) == 1)
            assert not (children and complete and not visible and not hidden)
            if visible and hidden:
                left = Counter(n=n, numerator=numerator)
                for child_n, child_numerator, child_visible in children:
                    left.subtract(n=child_n * child_visible, numerator=child_numerator * child_visible)
                assert not small(left["numerator"], left["n"])


def test_hiding_is_the_same_in_any_order_of_rows(mappings: Mappings) -> None:
    frame = undisclosed(mappings)["citizen_estimates"]
    first = disclose(frame, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS)
    second = disclose(
        frame.sample(fraction=1, shuffle=True, seed=3), COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS
    )
    assert first.citizen_estimates.equals(second.citizen_estimates)


def test_an_effect_that_rests_on_hidden_numbers_is_not_shown() -> None:
    cells = [("KEN", "A", "_T"), ("KEN", "A", "sex=F"), ("KEN", "B", "_T"), ("KEN", "C", "_T")]
    effects = ["informs", "could_close", "illustrates", "nothing_yet"]
    gaps = pl.DataFrame(cells, schema=["iso3", "series", "stratum"], orient="row").with_columns(
        citizen_effect=pl.Series(effects),
        flags=pl.Series(["stale,discrepancy", "discrepancy,no_trend", "", "differs_from_model"]),
    )
    estimates = pl.DataFrame(
        [("KEN", "A", "_T", None), ("KEN", "A", "_T", 40.0), ("KEN", "A", "sex=F", None)],
        schema=["iso3", "series", "stratum", "estimate"],
        orient="row",
    )
    found = visible_effects(gaps.lazy(), estimates).collect()
    assert found["citizen_effect"].to_list() == ["informs", "not_shown", "illustrates", "nothing_yet"]
    # A flag that tells how far a hidden number lies from the official one is hidden with it.
    assert found["flags"].to_list() == ["stale,discrepancy", "no_trend", "", ""]
    assert found.columns == gaps.columns
