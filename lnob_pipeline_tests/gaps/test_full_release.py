"""The counts of the complete release of October 2020 as of 2020, against SQL on the file as the UN gave it.

The SQL knows nothing of the pipeline: it reads the raw Parquet file, the headlines of the mapping files and the renamed
series, and counts years. It needs ../shared and skips without it.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from lnob_pipeline import storage, tables, warehouse
from lnob_pipeline.cli import app
from lnob_pipeline.cli_gaps import summary_tables
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.pipeline import run_gaps, run_official
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.homes import project_folder

TOTALS = {
    "sex": "BOTHSEX", "age": "ALLAGE", "location": "ALLAREA", "quantile": "NOTSPEC", "migratory_status": "NOTSPEC",
    "grounds_of_discrimination": "ALL", "policy_domains": "ALLDOMAINS", "activity": "TOTAL",
    "substance_use_disorders": "TOTAL",
}  # fmt: skip
ATTRIBUTES = {"nature", "units", "value", "value_num", "observation_status"}
RENAMED = {
    "AG_PRD_FIESMSI": "AG_PRD_FIESMS", "AG_PRD_FIESSI": "AG_PRD_FIESS", "SH_STA_STUNT": "SH_STA_STNT",
    "SH_STA_WASTE": "SH_STA_WAST", "SH_STA_OVRWGT": "SN_STA_OVWGT", "EG_ELC_ACCS": "EG_ACS_ELEC",
}  # fmt: skip
"""Series of October 2020 -> the code that they bear since."""
COUNTED = [
    f"{name}{ending}"
    for name in ("n_one_year", "n_two_years", "n_two_years_and_baseline")
    for ending in ("", "_country_data", "_country")
]


@pytest.fixture(scope="module")
def gaps(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """DATA_GAPS and SDG_CATALOGUE of the complete release."""
    with pytest.MonkeyPatch.context() as patch:
        home = project_folder(tmp_path_factory.mktemp("home"), [])
        (home / "data" / "submissions").mkdir()
        patch.setenv("LNOB_HOME", str(home))
        patch.setenv("LNOB_OFFICIAL_SOURCE", "last_good")
        patch.setenv("LNOB_AS_OF_YEAR", "2020")
        file = str(shared / "official" / "unsd_sdg_2020-10.parquet")
        taken = CliRunner().invoke(app, ["official", "take", file, "--release", "2020-10", "--fetched", "2020-10-30"])
        assert taken.exit_code == 0, taken.exception
        settings = Settings.load()
        run_official(settings, "2026-11-23T00:00:00Z")
        run_gaps(settings)
        yield (
            storage.read_table(settings.lake, tables.DATA_GAPS),
            storage.read_table(settings.lake, tables.SDG_CATALOGUE),
        )


def headlines(mappings: Mappings) -> dict[str, str]:
    """Series -> the slice of its headline, sorted, without totals; the library goes before the framework."""
    with (mappings.folder / "framework" / "series.csv").open(encoding="utf-8") as file:
        found = {row["series"]: row["headline"] for row in csv.DictReader(file)}
    for indicator in mappings.indicators.values():
        for series in indicator.series:
            pairs = sorted(series.headline.items())
            kept = [f"{name}={code}" for name, code in pairs if code not in ("_T", TOTALS.get(name))]
            found[series.code] = ";".join(kept)
    return found


def meant(headline: str, key: str) -> bool:
    """Whether a row's slice is one that the headline stands for; `*` is any code, alone any row."""
    whole = headline.startswith("*")
    wanted = dict(part.split("=", 1) for part in headline.removeprefix("*").split(";") if part)
    codes = dict(part.split("=", 1) for part in key.split(";") if part)
    named = all(codes.get(name) == code or code == "*" for name, code in wanted.items())
    return named and (whole or set(codes) <= set(wanted))


@pytest.mark.thorough
@pytest.mark.parametrize(("iso3", "m49"), [("KEN", 404), ("NPL", 524)])
def test_headline_counts_agree_with_sql_on_the_raw_file(
    gaps: tuple[pl.DataFrame, pl.DataFrame], mappings: Mappings, shared: Path, iso3: str, m49: int
) -> None:
    table, catalogue = gaps
    file = str(shared / "official" / "unsd_sdg_2020-10.parquet")
    with warehouse.connect() as connection:
        names = [row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [file]).fetchall()]
        dimensions = sorted(set(names[names.index("units") :]) - ATTRIBUTES)
        parts = ", ".join(
            f"CASE WHEN trim({name}) NOT IN ('', '_T', '{TOTALS.get(name, '')}') THEN '{name}=' || trim({name}) END"
            for name in dimensions
        )
        connection.execute(
            f"CREATE TABLE raw AS SELECT upper(trim(series)) AS series, concat_ws(';', {parts}) AS key, nature,"
            " timePeriodStart::DOUBLE::INTEGER AS year, trim(value) AS value FROM read_parquet(?)"
            " WHERE geoAreaCode::INTEGER = ? AND timePeriodStart::DOUBLE <= 2020",
            [file, m49],
        )
        for before, now in RENAMED.items():
            connection.execute("UPDATE raw SET series = ? WHERE series = ?", [now, before])
        wanted = headlines(mappings)
        pairs = connection.execute("SELECT DISTINCT series, key FROM raw").fetchall()
        kept = [pair for pair in pairs if meant(wanted.get(pair[0], ""), pair[1])]
        connection.register("kept", pl.DataFrame(kept, schema=["series", "key"], orient="row"))
        links = catalogue.filter("in_release", "loaded").select("indicator", "series").drop_nulls().unique()
        connection.register("links", links)
        natures = {"": "true", "_country_data": "nature = 'C'", "_country": "nature IN ('C', 'CA')"}
        years = ", ".join(
            f"count(DISTINCT year) FILTER (year {side} 2015 AND {nature}) AS {name}{ending}"
            for ending, nature in natures.items()
            for side, name in ((">=", "since"), ("<", "before"))
        )
        conditions = {"n_one_year": "since{0} >= 1", "n_two_years": "since{0} >= 2"}
        conditions["n_two_years_and_baseline"] = "since{0} >= 2 AND before{0} >= 2"
        counts = ", ".join(
            f"count(*) FILTER ({condition.format(ending)})"
            for condition in conditions.values()
            for ending in ("", "_country_data", "_country")
        )
        by_hand = connection.execute(
            f"WITH counted AS (SELECT series, {years} FROM raw JOIN kept USING (series, key)"
            r" WHERE coalesce(nature, '') <> 'N' AND regexp_matches(value, '^[<>]?=? ?[-+]?[0-9][0-9.,eE+-]*$')"
            f" GROUP BY series) SELECT {counts} FROM counted JOIN links USING (series)"
        ).fetchone()
    shown = summary_tables(table)["Headlines, one a series"].filter(pl.col("iso3") == iso3).select(COUNTED).row(0)
    assert shown == by_hand
    assert shown[0] > 200


def test_every_country_has_every_indicator_and_definitions_are_ordered(
    gaps: tuple[pl.DataFrame, pl.DataFrame], mappings: Mappings
) -> None:
    table, _ = gaps
    assert table["as_of_year"].unique().to_list() == [2020]
    assert set(table["iso3"]) == set(mappings.countries)
    counts = summary_tables(table)["Indicators"]
    countries, whole = counts.filter(pl.col("iso3") != "all"), counts.filter(pl.col("iso3") == "all")
    assert countries.select(COUNTED).sum().equals(whole.select(COUNTED))
    for row in countries.iter_rows(named=True):
        assert row["n_expected"] >= 247
        assert row["n_one_year"] > row["n_two_years"] > row["n_two_years_and_baseline"] > 0
        assert row["n_two_years"] > row["n_two_years_country"] >= row["n_two_years_country_data"] > 0
