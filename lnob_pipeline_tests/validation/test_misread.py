"""What an answer was before a program or a keyboard changed it: proposed where it is known, else left alone."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.validation.misread import FIRST_DAY, MAXIMUM, misread

BANDS = {code: code for code in ("0-4", "5-9", "10-14", "15-19", "1-12", "20 to 24")}


def proposals(cells: list[str | None], known: dict[str, str]) -> dict[str, tuple[str, str]]:
    found = misread(pl.Series(cells, dtype=pl.String), known)
    return {cell: (reason, proposal) for cell, reason, proposal in found.iter_rows()}


@pytest.mark.parametrize(
    ("cell", "band"),
    [
        ("05-Sep", "5-9"),
        ("9-May", "5-9"),
        ("May-09", "5-9"),
        ("Oct-14", "10-14"),
        ("14-Oct-2024", "10-14"),
        ("2024-10-14", "10-14"),
        ("2024-10-14T00:00:00", "10-14"),
        ("14/10/2024", "10-14"),
        ("2009-05-01", "5-9"),
        ("१४-Oct", "10-14"),
        ("Jan-12", "1-12"),
    ],
)
def test_dates_that_were_bands(cell: str, band: str) -> None:
    assert proposals([cell], BANDS) == {cell: ("date_for_code", band)}


@pytest.mark.parametrize("cell", ["2024-09-06", "31-Dec", "5-Zoo", "99999", "45000", "2024-13-45", "", "9-5"])
def test_other_dates_and_numbers_are_left_alone(cell: str) -> None:
    assert proposals([cell], BANDS) == {}


@given(st.sampled_from([(5, 9), (10, 14)]), st.integers(2001, 2048), st.booleans())
def test_serial_numbers_of_either_order(band: tuple[int, int], year: int, day_first: bool) -> None:
    """What a spreadsheet program stores for the day that it made of a band, in either order of day and month."""
    low, high = band
    day_first = day_first or high > 12
    day, month = (low, high) if day_first and high <= 12 else (high, low)
    serial = str((datetime.date(year, month, day) - FIRST_DAY).days)
    assert proposals([serial], BANDS) == {serial: ("date_for_code", f"{low}-{high}")}


def test_where_no_answer_is_a_band_a_date_is_only_unknown() -> None:
    assert proposals(["05-Sep", "45540"], {"11": "11", "borehole": "borehole"}) == {}


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("\u041a\u0415-17", "KE-17"),
        ("\u039a\u0395-17", "KE-17"),
        ("\uff2b\uff25-17", "KE-17"),
        ("b\u043er\u0435hol\u0435", "borehole"),
    ],
    ids=["Cyrillic", "Greek", "full width", "small letters"],
)
def test_letters_of_another_script(cell: str, code: str) -> None:
    known = {"KE-17": "KE-17", "borehole": "borehole"}
    assert proposals([cell, "ke-17", "Кения", None], known) == {cell: ("look_alike_letters", code)}


@given(st.lists(st.text(max_size=10), max_size=20))
def test_any_text_is_a_proposal_of_a_known_code_or_nothing(cells: list[str]) -> None:
    known = BANDS | {"KE-17": "KE-17", "ok": "ok"}
    found = misread(pl.Series(cells, dtype=pl.String), known)
    assert set(found["cell"]) <= set(cells)
    for proposal in found["proposal"]:
        assert set(proposal.split(" / ")) <= set(known.values())


def test_a_column_of_something_else_is_not_searched() -> None:
    assert proposals([f"{number}-Sep" for number in range(MAXIMUM + 1)], BANDS) == {}
