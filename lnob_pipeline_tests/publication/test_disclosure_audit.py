"""The attack by linear programming: well-known leaks, what mends them, an enumeration that knows nothing of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication import disclosure
from lnob_pipeline.publication.disclosure import (
    HIDES_WITH_ESTIMATE,
    Disclosed,
    DisclosureError,
    disclose,
)
from lnob_pipeline.publication.disclosure_audit import CELLS, Attack, Finding
from lnob_pipeline.publication.disclosure_links import BEFORE, Pairs, published_before, series_pairs
from lnob_pipeline.publication.release import ReleaseError, publish
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_ESTIMATES, CITIZEN_EVIDENCE, COMPARISON, DISCLOSURE_AUDIT, STRATUM_DIMENSIONS
from lnob_pipeline_tests.publication.release_factory import (
    HOME,
    PROVENANCE,
    RELEASED_AT,
    citizen_estimates,
    fill,
    stratum_columns,
)
from lnob_pipeline_tests.publication.test_disclosure import estimate
from lnob_pipeline_tests.thorough import tries

SETTINGS = Settings.load(home=HOME)
NO_PAIRS = Pairs(frozenset(), frozenset())
Chosen = dict[str, str]


def cells(rows: Sequence[tuple[Chosen, int, int, str | None]], series: str = "S") -> pl.DataFrame:
    """Cells to attack: stratum, numerator, n, and the reason that hides it."""
    return pl.DataFrame(
        [
            {
                "_cell": place,
                "submission_id": "ken-2019-test",
                "series": series,
                **stratum_columns(chosen),
                "n": n,
                "numerator": float(numerator),
                "sensitive": False,
                "reason": reason,
                "shown": reason is None,
                "known": False,
                "differs": False,
            }
            for place, (chosen, numerator, n, reason) in enumerate(rows)
        ],
        schema=CELLS | dict.fromkeys(STRATUM_DIMENSIONS, pl.String),
    )


def attack(frame: pl.DataFrame) -> Finding:
    return Attack(frame, NO_PAIRS, {}).on(frame)


def run(rows: list[dict], mappings: Mappings, before: pl.DataFrame | None = None) -> Disclosed:
    frame = fill(CITIZEN_ESTIMATES, rows)
    return disclose(frame, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS, before)


def statuses(rows: list[dict], mappings: Mappings, before: pl.DataFrame | None = None) -> dict[tuple[str, str], str]:
    found = run(rows, mappings, before).citizen_estimates
    return {
        (series, stratum): status for series, stratum, status in found.select("series", "stratum", "status").iter_rows()
    }


def four_by_four(numerators: list[list[int]], hidden: set[tuple[int, int]], reason: str) -> pl.DataFrame:
    """A table of wealth by age with its margins; 60 cases a cell."""
    wealth, ages = ["Q1", "Q2", "Q3", "Q4"], ["0-4", "5-14", "15-24", "25-59"]
    rows: list[tuple[Chosen, int, int, str | None]] = [({}, sum(map(sum, numerators)), 960, None)]
    rows += [({"wealth": name}, sum(numerators[i]), 240, None) for i, name in enumerate(wealth)]
    rows += [({"age": name}, sum(line[j] for line in numerators), 240, None) for j, name in enumerate(ages)]
    rows += [
        (
            {"wealth": wealth[i], "age": ages[j]},
            numerators[i][j],
            60,
            ("suppressed_small_count" if numerators[i][j] <= 4 else reason) if (i, j) in hidden else None,
        )
        for i, j in itertools.product(range(4), range(4))
    ]
    return cells(rows)


def test_two_blanks_in_every_row_and_column_can_give_a_cell_exactly() -> None:
    """Rows 0 and 1 hide five cells, columns 0 and 1 the first four of them: their difference is the fifth, (1, 2)."""
    numbers = [[20, 30, 25, 40], [30, 25, 3, 30], [40, 30, 20, 25], [20, 40, 30, 25]]
    hidden = {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)}
    for line in range(4):
        assert sum(place[0] == line for place in hidden) >= 2
        assert sum(place[1] == line for place in hidden) >= 2
    found = attack(four_by_four(numbers, hidden, "suppressed_to_protect"))
    exact = found.cells.filter(pl.col("width") == 0)["_cell"].to_list()
    assert exact == [9 + 4 * 1 + 2]
    assert found.narrow
    assert found.narrow[0].cells  # and knows what to hide
    safe = attack(four_by_four(numbers, hidden | {(0, 2)}, "suppressed_to_protect"))
    assert safe.cells["passed"].all()
    assert not safe.narrow


def test_the_smallest_number_that_protects_is_hidden_until_the_attack_fails(mappings: Mappings) -> None:
    """The table of the test above with its blanks made by smallness alone, and repaired."""
    wealth, ages = ["Q1", "Q2", "Q3", "Q4"], ["0-4", "5-14", "15-24", "25-59"]
    numbers = [[3, 2, 25, 40], [30, 25, 3, 30], [2, 30, 20, 25], [20, 40, 30, 2]]
    rows = [estimate({}, sum(map(sum, numbers)), 960)]
    rows += [estimate({"wealth": name}, sum(numbers[i]), 240) for i, name in enumerate(wealth)]
    rows += [estimate({"age": name}, sum(line[j] for line in numbers), 240) for j, name in enumerate(ages)]
    rows += [
        estimate({"wealth": wealth[i], "age": ages[j]}, numbers[i][j], 60)
        for i, j in itertools.product(range(4), range(4))
    ]
    found = run(rows, mappings)
    assert found.disclosure_audit["passed"].all()
    assert found.citizen_estimates.schema.keys() >= {"status"}
    hidden = found.citizen_estimates.filter(pl.col("estimate").is_null())
    assert 9 <= hidden.height < 17


def test_a_hidden_total_is_not_recovered_from_its_parts() -> None:
    """300 = 160 + 140, both shown: the total is their sum."""
    rows: list[tuple[Chosen, int, int, str | None]] = [
        ({}, 3, 300, "suppressed_small_count"),
        ({"sex": "F"}, 3, 160, None),
        ({"sex": "M"}, 0, 140, None),
    ]
    found = attack(cells(rows))
    assert found.cells["width"].to_list() == [0.0]
    assert len(found.narrow[0].cells) == 1


def test_a_share_and_its_complement_hide_together(mappings: Mappings) -> None:
    """1 - p is no other number: 58 of 60 is hidden as 2 of 60 is, and both sides keep three values."""
    rows: list[tuple[Chosen, int, int, str | None]] = [({}, 58, 60, "suppressed_small_count")]
    assert not attack(cells(rows)).narrow
    for numerator in (2, 58):
        assert statuses([estimate({}, numerator, 60)], mappings) == {("SG_REG_BRTH", "_T"): "suppressed_small_count"}


def test_two_crossings_that_share_a_margin_are_one_system() -> None:
    """Women with a disability hide in sex x disability, and the same women in sex x location: the margin ties both.

    Each table alone has two blanks in its row; the women are known, so what is hidden of them is the same sum twice.
    """
    rows: list[tuple[Chosen, int, int, str | None]] = [
        ({}, 120, 300, None),
        ({"sex": "F"}, 63, 160, "suppressed_to_protect"),
        ({"sex": "M"}, 57, 140, "suppressed_to_protect"),
        ({"sex": "F", "disability": "yes"}, 3, 30, "suppressed_small_count"),
        ({"sex": "F", "disability": "no"}, 60, 130, None),
        ({"sex": "F", "location": "U"}, 33, 80, None),
        ({"sex": "F", "location": "R"}, 30, 80, None),
    ]
    found = attack(cells(rows))
    exact = set(found.cells.filter(pl.col("width") == 0)["_cell"])
    assert exact == {1, 2, 3}
    rows[5] = ({"sex": "F", "location": "U"}, 33, 80, "suppressed_to_protect")
    assert not attack(cells(rows)).narrow


def test_households_overlap_and_are_no_sum() -> None:
    """Of 300 households 280 have a woman and 270 a man: nobody gets those with a man by subtraction."""
    rows = [({}, 100, 300, None), ({"sex": "F"}, 95, 280, None), ({"sex": "M"}, 3, 270, "suppressed_small_count")]
    assert attack(cells([rows[0], rows[1], ({"sex": "M"}, 90, 270, "suppressed_to_protect")])).cells["passed"].all()
    found = attack(cells([rows[0], ({"sex": "F"}, 99, 280, None), rows[2]]))
    assert found.cells["passed"].all()  # 1 at least, 4 by the rule
    people = [({}, 100, 300, None), ({"sex": "F"}, 97, 160, None), ({"sex": "M"}, 3, 140, "suppressed_small_count")]
    assert not attack(cells(people)).cells["passed"].all()


def test_everyone_outside_a_group_is_a_hidden_set_too() -> None:
    rows = [({}, 150, 300, None), ({"marginalised_group": "pastoralists"}, 148, 290, None)]
    assert {item.cells for item in attack(cells(rows)).narrow} == {(1,)}
    rows[1] = ({"marginalised_group": "pastoralists"}, 140, 270, None)
    assert not attack(cells(rows)).narrow


def nested_rows(narrow: int, wide: int) -> list[dict]:
    """Physical violence by a partner, and physical or sexual violence by one, of the same 100 women."""
    return [
        estimate({}, narrow, 100, indicator="5.2.1", series="VC_VAW_PHYV"),
        estimate({}, wide, 100, indicator="5.2.1", series="VC_VAW_MARR"),
    ]


def test_who_is_in_the_wide_series_and_not_in_the_narrow_one_is_no_small_set(mappings: Mappings) -> None:
    pairs = series_pairs(mappings)
    assert ("VC_VAW_PHYV", "VC_VAW_MARR") in pairs.nested
    assert ("VC_VAW_MARR", "VC_VAW_PHYV") not in pairs.nested
    assert ("VC_PRR_PHYV", "VC_VOV_PHYL") in pairs.within
    assert ("LNOB_H2O_PREMISES_SUFFICIENT_ECOLI_FREE", "LNOB_H2O_PREMISES") in pairs.nested
    assert set(statuses(nested_rows(30, 40), mappings).values()) == {"estimated"}
    assert sorted(statuses(nested_rows(38, 40), mappings).values()) == ["estimated", "suppressed_to_protect"]


def test_a_denominator_that_is_another_numerator_does_not_give_it(mappings: Mappings) -> None:
    """98 of 100 were attacked (hidden: 2 were not); the 98 are the denominator of those who reported it."""
    rows = [
        estimate({}, 98, 100, indicator="16.1.3", series="VC_VOV_PHYL"),
        estimate({}, 40, 98, indicator="16.3.1", series="VC_PRR_PHYV"),
    ]
    found = statuses(rows, mappings)
    assert found["VC_VOV_PHYL", "_T"] == "suppressed_small_count"
    assert found["VC_PRR_PHYV", "_T"] == "suppressed_to_protect"


def before(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows).select(pl.col(name).cast(kind) for name, kind in BEFORE.items())


def test_two_releases_that_differ_by_two_people_are_not_both_shown(mappings: Mappings) -> None:
    old = [estimate({}, 30, 60), estimate({"sex": "F"}, 15, 30)]
    assert set(statuses(old, mappings, before(old)).values()) == {"estimated"}
    corrected = [estimate({}, 32, 62), estimate({"sex": "F"}, 20, 35)]
    found = statuses(corrected, mappings, before(old))
    assert found["SG_REG_BRTH", "_T"] == "suppressed_to_protect"
    assert found["SG_REG_BRTH", "sex=F"] == "estimated"  # five more: no small number
    assert set(statuses(corrected, mappings).values()) == {"estimated"}


def test_the_people_by_whom_two_releases_differ_obey_the_count_rule(mappings: Mappings) -> None:
    """Of ten more two or eight have what was asked, too few to show; of a sensitive group all or none of six tell."""
    groups = {"marginalised_group": "sex_workers"}
    old = [estimate({}, 30, 60), estimate({"sex": "F"}, 15, 30), estimate(groups, 20, 40)]
    for grown, stays in ((2, False), (8, False), (5, True)):
        now = [estimate({}, 30 + grown, 70), *old[1:]]
        assert (statuses(now, mappings, before(old))["SG_REG_BRTH", "_T"] == "estimated") is stays, grown
    for grown, stays in ((0, False), (6, False)):
        now = [*old[:2], estimate(groups, 20 + grown, 46)]
        found = statuses(now, mappings, before(old))["SG_REG_BRTH", "marginalised_group=sex_workers"]
        assert (found == "estimated") is stays, grown


def test_what_an_earlier_release_shows_is_known_and_the_rest_hides_around_it(mappings: Mappings) -> None:
    rows = [
        estimate({}, 100, 200),
        estimate({"age": "60+"}, 3, 40),
        estimate({"age": "15-24"}, 15, 50),
        estimate({"age": "25-59"}, 82, 110),
    ]
    alone = statuses(rows, mappings)
    assert alone["SG_REG_BRTH", "age=15-24"] == "suppressed_to_protect"
    known = statuses(rows, mappings, before([rows[2]]))
    assert known["SG_REG_BRTH", "age=60+"] == "suppressed_small_count"
    assert known["SG_REG_BRTH", "age=25-59"] == "suppressed_to_protect"  # the 15-24 protect nothing any more


def test_nothing_is_published_where_earlier_releases_give_a_number_away(mappings: Mappings) -> None:
    rows = [estimate({}, 100, 200), estimate({"sex": "F"}, 97, 120), estimate({"sex": "M"}, 3, 80)]
    with pytest.raises(DisclosureError, match=r"ken-2019-test, SG_REG_BRTH: .*Withdraw the hand-in"):
        run(rows, mappings, before(rows[:2]))


def test_the_audit_stops_what_the_repair_does_not_mend(mappings: Mappings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block does not rest on the repair: without it, and without the sums, the same numbers are refused."""
    rows = [estimate({}, 100, 200), estimate({"sex": "F"}, 97, 120), estimate({"sex": "M"}, 3, 80)]
    monkeypatch.setattr(disclosure, "_safe", lambda frame, _attack: frame)
    assert run(rows, mappings).disclosure_audit["passed"].all()
    monkeypatch.setattr(disclosure, "_to_protect", lambda _frame: pl.Series([], dtype=pl.UInt32))
    with pytest.raises(DisclosureError):
        run(rows, mappings)


def test_reasons_that_give_a_number_away_withhold_the_series(mappings: Mappings) -> None:
    """Four fifths with 1 each make 4, all hidden as 1 to 4: told so, everybody knows each. One reason for all."""
    rows = [estimate({}, 4, 400), *(estimate({"wealth": f"Q{i}"}, 1, 100) for i in range(1, 5))]
    assert set(statuses(rows, mappings).values()) == {"suppressed_to_protect"}


def test_one_unit_that_carries_a_mean_hides_it(mappings: Mappings) -> None:
    rows = [
        estimate({}, 40, 100, indicator="5.4.1", series="SL_DOM_TSPD", largest_share=0.05, two_largest_share=0.1),
        estimate(
            {"sex": "F"}, 20, 50, indicator="5.4.1", series="SL_DOM_TSPD", largest_share=0.6, two_largest_share=0.7
        ),
        estimate(
            {"sex": "M"}, 20, 50, indicator="5.4.1", series="SL_DOM_TSPD", largest_share=0.1, two_largest_share=0.2
        ),
    ]
    assert statuses(rows, mappings) == {
        ("SL_DOM_TSPD", "_T"): "estimated",
        ("SL_DOM_TSPD", "sex=F"): "suppressed_dominance",
        ("SL_DOM_TSPD", "sex=M"): "suppressed_to_protect",
    }
    p_percent = rows[0] | {"largest_share": 0.49, "two_largest_share": 0.96}
    assert statuses([p_percent], mappings) == {("SL_DOM_TSPD", "_T"): "suppressed_dominance"}


def test_a_sensitive_group_is_placed_no_finer_than_the_first_level(mappings: Mappings) -> None:
    sensitive = [code for code, group in mappings.groups.items() if group.sensitive]
    rows = [
        estimate({"marginalised_group": group}, 30, 60, area_level=level, area=area, sensitive=True)
        for group, (level, area) in zip(
            sensitive,
            itertools.cycle([("community", "Nyalenda B"), ("admin2", "KE-17,Kisumu East"), ("admin1", "KE-17")]),
            strict=False,
        )
    ]
    found = run(rows, mappings).citizen_estimates
    assert found.height == len(sensitive)
    assert set(found["area"].drop_nulls()) == {"KE-17"}


def test_the_public_table_tells_what_was_attacked_and_no_number(mappings: Mappings) -> None:
    rows = [estimate({}, 100, 200), estimate({"sex": "F"}, 97, 120), estimate({"sex": "M"}, 3, 80)]
    found = run(rows, mappings).disclosure_audit
    assert found.schema == DISCLOSURE_AUDIT.schema
    assert (
        found.select("reason", "n_hidden", "n_attacked", "passed").rows()
        == [
            ("suppressed_small_count", 2, 2, True),
        ]
        or found["n_hidden"].sum() == 2
    )
    assert found["n_hidden"].sum() == found["n_attacked"].sum() == 2


def test_a_release_whose_audit_did_not_pass_is_refused(
    tables: dict[str, pl.DataFrame], settings: Settings, few_outputs: None
) -> None:
    failed = tables["disclosure_audit"].with_columns(passed=pl.lit(value=False))
    with pytest.raises(ReleaseError, match="the disclosure audit did not pass"):
        publish(tables | {"disclosure_audit": failed}, settings, RELEASED_AT, PROVENANCE)
    assert not (settings.published / "latest").exists()


def test_every_kept_release_is_known_and_a_damaged_one_teaches_nothing(
    tables: dict[str, pl.DataFrame], settings: Settings, few_outputs: None
) -> None:
    publish(tables, settings, RELEASED_AT, PROVENANCE)
    shown = tables["citizen_estimates"].filter(pl.col("estimate").is_not_null())
    assert published_before(settings.published).height == shown.height
    folder = settings.published / "releases" / "2026-01-01_00000000"
    folder.mkdir()
    (folder / "citizen_estimates.parquet").write_bytes(b"no parquet")
    assert published_before(settings.published).height == shown.height
    assert published_before(Path("/nonexistent")).is_empty()


def test_publishing_again_hides_the_same(mappings: Mappings, tables: dict[str, pl.DataFrame]) -> None:
    """The release of yesterday is known today: the same numbers must come out, or no run would be the last."""
    given = citizen_estimates(mappings)
    shown = tables["citizen_estimates"].filter(pl.col("estimate").is_not_null())
    known = shown.select(pl.col(name).cast(kind) for name, kind in BEFORE.items())
    again = disclose(given, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, SETTINGS, known)
    assert again.citizen_estimates.equals(tables["citizen_estimates"], null_equal=True)
    assert again.disclosure_audit.equals(tables["disclosure_audit"], null_equal=True)


def test_what_is_hidden_is_said_and_hides_everything(tables: dict[str, pl.DataFrame]) -> None:
    estimates, beside = tables["citizen_estimates"], tables["comparison"]
    hidden = pl.col("status").str.starts_with("suppressed_")
    assert estimates.filter(hidden).height > 100
    assert estimates.filter(hidden).select(pl.col(HIDES_WITH_ESTIMATE).count()).row(0) == (0,) * 8
    assert estimates.filter(pl.col("estimate").is_null() & (pl.col("status") == "estimated")).is_empty()
    numbers = [f"citizen_{name}" for name in ("estimate", "standard_error", "ci_low", "ci_high", "n")]
    in_comparison = beside.filter(pl.col("citizen_status").str.starts_with("suppressed_"))
    assert in_comparison.select(pl.col(numbers).count()).row(0) == (0,) * 5
    assert tables["disclosure_audit"]["passed"].all()
    assert tables["disclosure_audit"]["n_hidden"].sum() == estimates.filter(hidden).height


def consistent(rows: list[dict], found: dict[str, str]) -> dict[str, np.ndarray]:
    """Every assignment of numerators to the strata of a table of sex x location that fits what is published.

    Written anew: the four inner cells run through all they can be, the margins follow, and a table stays if every
    shown margin and cell is as shown and every hidden one obeys the status it carries. n is known from another series.
    """
    n = {row["stratum"]: row["n"] for row in rows}
    shown = {row["stratum"]: row["n_numerator"] for row in rows if found[row["stratum"]] == "estimated"}
    inner = [f"sex={sex};location={place}" for sex in "FM" for place in "UR"]
    ranges = [[shown[name]] if name in shown else range(n[name] + 1) for name in inner]
    a, b, c, d = (axis.ravel() for axis in np.meshgrid(*ranges))
    table = dict(zip(inner, (a, b, c, d), strict=True))
    table |= {"sex=F": a + b, "sex=M": c + d, "location=U": a + c, "location=R": b + d, "_T": a + b + c + d}
    fits = np.ones(a.size, bool)
    for name, count in table.items():
        left = n[name] - count
        if name in shown:
            fits &= count == shown[name]
        elif found[name] == "suppressed_small_count":
            fits &= ((count >= 1) & (count <= 4)) | ((left >= 1) & (left <= 4))
    return {name: np.unique(count[fits]) for name, count in table.items()}


@hypothesis_settings(max_examples=tries(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(st.integers(0, 6), st.integers(0, 27)), min_size=4, max_size=4))
def test_no_hidden_number_is_unique_among_all_tables_that_fit(mappings: Mappings, numerators: list[int]) -> None:
    size = 27
    table = dict(zip(itertools.product("FM", "UR"), numerators, strict=True))
    rows = [estimate({"sex": s, "location": u}, count, size) for (s, u), count in table.items()]
    rows += [estimate({"sex": s}, sum(table[s, u] for u in "UR"), 2 * size) for s in "FM"]
    rows += [estimate({"location": u}, sum(table[s, u] for s in "FM"), 2 * size) for u in "UR"]
    rows.append(estimate({}, sum(numerators), 4 * size))
    # A second series of the same people shows every n.
    beside = [
        row | {"series": "SN_OTHER", "n_numerator": n, "estimate": 100 * n / row["n"]}
        for row in rows
        if (n := 10 * row["n"] // size)
    ]
    assert {status for (series, _), status in statuses(beside, mappings).items()} == {"estimated"}
    both = statuses(rows + beside, mappings)
    found = {stratum: status for (series, stratum), status in both.items() if series == "SG_REG_BRTH"}
    possible = consistent(rows, found)
    assert all(values.size for values in possible.values())
    for row in rows:
        name, count = row["stratum"], row["n_numerator"]
        if found[name] != "estimated" and (1 <= count <= 4 or 1 <= row["n"] - count <= 4):
            assert possible[name].size >= 3, name
