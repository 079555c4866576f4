"""A release with difficult rows for the programs that people open it with."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline import storage
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.release import publish
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import DECISIONS, RELEASE_TABLES
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed, fill

TEXTS = (
    "নমুনা জোট, ঢাকা",
    'क्\u200dष नमूना "संस्था"; काठमाडौं',
    "=SUM(A1:A9) and 'quotes'",
    "two\nlines, a comma",
    "Tiếng Việt <b>&amp;</b> https://example.org",
    "@handle -5",
)
"""Bengali, Nepali with a joiner, a formula, a line break, mark-up and an address, what a spreadsheet would run."""


@pytest.fixture(scope="session")
def frames(mappings: Mappings) -> dict[str, pl.DataFrame]:
    """What the release holds, in the form of its tables."""
    tables = disclosed(mappings)
    tables["data_gaps"] = tables["data_gaps"].filter(pl.col("iso3").is_in(["BGD", "NPL"]))
    names = [TEXTS[place % len(TEXTS)] for place in range(tables["sources"].height)]
    flags = [None, True, False]
    tables["sources"] = tables["sources"].with_columns(
        organisation=pl.Series(names),
        citizen_data=pl.Series([flags[place % 3] for place in range(len(names))]),
        n_planned=pl.when(pl.int_range(pl.len()) % 2 == 0).then("n_planned"),
    )
    tables["decisions"] = fill(
        DECISIONS,
        [
            {
                "subject": f"npl-2020-whole-country-{place}",
                "decided_by": "community",
                "decision": "publish",
                "date": datetime.date(2019, 12, 31) + datetime.timedelta(days=place) if place else None,
                "reference": text,
            }
            for place, text in enumerate(TEXTS)
        ],
    )
    return {table.name: storage.in_form(tables[table.name], table) for table in RELEASE_TABLES}


@pytest.fixture(scope="session")
def release(frames: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the published release; tests do not change it."""
    settings = Settings.load(home=tmp_path_factory.mktemp("clients"), mappings=HOME / "indicator_mappings")
    return publish(frames, settings, RELEASED_AT, PROVENANCE).path
