"""The page of the whole framework: a cell of its own for each status, the best of several series, within its size."""

from __future__ import annotations

import re

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import words
from lnob_pipeline.publication.report.gap_matrix import EXAMPLE_YEARS, STATUSES, numbers, render
from lnob_pipeline.publication.report.labels import Labels
from lnob_pipeline.publication.report.page import LARGEST_PAGE
from lnob_pipeline.publication.report.speech import Speech
from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import in_form
from lnob_pipeline.tables import DATA_GAPS, SDG_CATALOGUE
from lnob_pipeline_tests.publication.test_report_page import FACTS, Outline

Cell = tuple[str, str, str, str, int | None, str]
CATALOGUE = pl.DataFrame({"indicator": ["1.1.1"], "series": ["SI_POV_DAY1"], "release": ["2020-10"]})


def page_of(cells: list[Cell], mappings: Mappings) -> str:
    """The page for headlines: iso3, indicator, series, status, latest year, citizen effect."""
    names = ["iso3", "indicator", "series", "status", "latest_year", "citizen_effect"]
    gaps = pl.DataFrame(cells, schema=names, orient="row").with_columns(stratum=pl.lit("_T"))
    missing = [pl.lit(None, kind).alias(name) for name, kind in DATA_GAPS.schema.items() if name not in gaps.columns]
    catalogue = CATALOGUE.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in SDG_CATALOGUE.schema.items() if name not in CATALOGUE.columns
    )
    tables = {
        "data_gaps": in_form(gaps.with_columns(missing), DATA_GAPS),
        "sdg_catalogue": in_form(catalogue, SDG_CATALOGUE),
    }
    content, labels = ReleaseContent(tables, mappings, Settings.load(), FACTS), Labels(mappings)
    return render(numbers(content, labels), content, labels, Speech())


def row_of(page: str, indicator: str) -> list[str]:
    """The cells of an indicator, by the names of the countries."""
    row = next(part for part in page.split("<tr>") if f">{indicator} <small>" in part)
    return [text.strip() for text in re.findall(r"<td[^>]*>([^<]*)", row)]


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_a_cell_of_its_own(status: str, mappings: Mappings) -> None:
    page = page_of([("BGD", "14.4.1", "ER_H2O_FWTL", status, 2013, "nothing_yet")], mappings)
    _, text = STATUSES[status]
    assert row_of(page, "14.4.1") == [text or "2013", *[""] * 6]
    assert f"{text or EXAMPLE_YEARS[status]}</span>{words.CELL[status]}" in page


def test_the_best_of_several_series_stands_for_the_indicator(mappings: Mappings) -> None:
    page = page_of(
        [
            ("BGD", "1.1.1", "SI_POV_DAY1", "never_reported", None, "nothing_yet"),
            ("BGD", "1.1.1", "SI_POV_EMP1", "reported", 2019, "informs"),
            ("IND", "1.1.1", "SI_POV_DAY1", "never_reported", None, "nothing_yet"),
            ("IND", "1.1.1", "SI_POV_EMP1", "not_loaded", None, "nothing_yet"),
        ],
        mappings,
    )
    assert row_of(page, "1.1.1") == ["2019+", "?", "", "", "", "", ""]
    assert "Of 1 pairs of country and indicator that can be judged, 1 have an official value" in page


def test_the_whole_framework_keeps_within_the_size_of_a_page(mappings: Mappings) -> None:
    indicators = mappings.framework.indicators["indicator"].to_list()
    assert len(indicators) == 248
    cells: list[Cell] = [
        (iso3, code, "X", "reported", 2019, "informs") for code in indicators for iso3 in mappings.countries
    ]
    page = page_of(cells, mappings)
    assert len(page.encode()) < LARGEST_PAGE
    outline = Outline(page)
    assert outline.faults == [] and outline.all("script") == []
    assert len(outline.tables) == 17 and sum(table.count("td") for table in outline.tables) == 248 * 7
    assert all(row_of(page, code) == ["2019+"] * 7 for code in ("1.1.1", "17.19.2"))
    assert not re.search(
        r"(?:src|href)=\"(?!#|index\.html|[A-Z]{3}\.html|\.\./[a-z]+/gaps\.html|\.\./\.\./|data:)", page
    )
