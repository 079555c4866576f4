"""The bulk download of the UN as a snapshot: every form of the file gives the same figures, or is refused whole."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lnob_pipeline import storage
from lnob_pipeline.official.bulk import take
from lnob_pipeline.official.catalogue import build_catalogue, build_observations, observation_parts
from lnob_pipeline.official.http import OfficialSourceError
from lnob_pipeline.official.snapshot import (
    SnapshotError,
    expected_series,
    folders,
    in_library_codes,
    read_manifest,
    read_snapshot,
)
from lnob_pipeline.tables import OFFICIAL_OBSERVATIONS
from lnob_pipeline_tests.official.conftest import ROOT

DAY = "2020-10-28"
HEADER = (
    "Goal,Target,Indicator,SeriesCode,SeriesDescription,GeoAreaCode,GeoAreaName,TimePeriod,Value,Time_Detail,TimeCoverage,"
    "UpperBound,LowerBound,BasePeriod,Source,GeoInfoUrl,FootNote,[Age],[Nature],[Observation Status],[Reporting Type],"
    "[Sex],[Units]"
)
# One series of one indicator, one of two listed once for each, and every quirk that a cell may have.
ROWS = [
    ["1", "1.4", "1.4.1", "SP_ACS_BSRVH2O", "Water, basic (%)", "404", "Kenya", "2017", "58.9", "2017", "", "61.2",
     "56.0", "", "JMP, 2019", "", "first\nsecond", "ALLAGE", "E", "A", "G", "BOTHSEX", "PERCENT"],
    ["10", "10.3", "10.3.1", "VC_VOV_GDSD", "Discriminated (%)", "50", "Bangladesh", "2019", "24,644", "2019", "", "",
     "", "", 'BBS "Survey"', "", "", "15+", "C", "", "G", "FEMALE", "PERCENT"],
    ["16", "16.b", "16.b.1", "VC_VOV_GDSD", "Discriminated (%)", "50", "Bangladesh", "2019", "24,644", "2019", "", "",
     "", "", 'BBS "Survey"', "", "", "15+", "C", "", "G", "FEMALE", "PERCENT"],
    ["5", "5.3", "5.3.2", "SH_STA_FGMS", "Mutilation (%)", "566", "Nigeria", "2018", "<2.5", "2018", "", "", "", "", "",
     "", "", "Y30T70\r", "NOTSPEC", "", "G", "FEMALE", "PERCENT"],
]  # fmt: skip


def shared(path: str) -> Path:
    found = ROOT.parent / "shared" / "data" / "official" / path
    if not found.exists():
        pytest.skip(f"needs ../shared/data/official/{path}, which is kept beside the repository")
    return found


def write(path: Path, header: str = HEADER, rows: list[list[str]] = ROWS) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    body = text.getvalue().encode()
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


@pytest.fixture
def download(tmp_path: Path) -> Path:
    return write(tmp_path / "download.csv")


def test_a_download_becomes_a_snapshot(download: Path, tmp_path: Path) -> None:
    folder = take(download, tmp_path / "lake", "2020.Q1.G.01", DAY)
    manifest, _ = read_manifest(folder)
    assert {name: manifest[name] for name in ("release", "route", "fetched", "areas", "series", "rows")} == {
        "release": "2020.Q1.G.01",
        "route": "file",
        "fetched": DAY,
        "areas": ["050", "404", "566"],
        "series": ["SH_STA_FGMS", "SP_ACS_BSRVH2O", "VC_VOV_GDSD"],
        "rows": 4,
    }
    assert manifest["file_sha256"] == storage.sha256_file(download)
    snapshot = read_snapshot(folder)
    assert snapshot.info.label == f"UN Global SDG Database, release 2020.Q1.G.01 (bulk download, fetched {DAY})"
    assert set(snapshot.links.select("series", "indicator", "target", "goal").rows()) == {
        ("VC_VOV_GDSD", "10.3.1", "10.3", "10"),
        ("VC_VOV_GDSD", "16.b.1", "16.b", "16"),
        ("SP_ACS_BSRVH2O", "1.4.1", "1.4", "1"),
        ("SH_STA_FGMS", "5.3.2", "5.3", "5"),
    }
    kept = snapshot.observations.filter(pl.col("series") == "SP_ACS_BSRVH2O").row(0, named=True)
    assert kept["footnotes"] == "first\nsecond"
    assert (kept["lower_bound"], kept["upper_bound"], kept["source"]) == ("56.0", "61.2", "JMP, 2019")
    assert kept["attribute.observation_status"] == "A"
    assert kept["dimension.reporting_type"] == "G"
    assert folders(tmp_path / "lake") == [folder]
    assert [path.name for path in (tmp_path / "lake").iterdir()] == [folder.name], "nothing else is left behind"


def test_the_table_made_of_a_download(download: Path, tmp_path: Path, iso3_by_m49: Mapping[str, str]) -> None:
    table = build_observations(read_snapshot(take(download, tmp_path / "lake", "2020-01", DAY)), iso3_by_m49)
    rows = table.select("series", "iso3", "year", "value", "lower", "upper", "nature", "dimension_key").rows()
    assert rows == [
        ("SH_STA_FGMS", "NGA", 2018, None, 0.0, 2.5, "NA", "age=Y30T70;sex=FEMALE"),
        ("SP_ACS_BSRVH2O", "KEN", 2017, 58.9, 58.9, 58.9, "E", ""),
        ("VC_VOV_GDSD", "BGD", 2019, 24644.0, 24644.0, 24644.0, "C", "age=15+;sex=FEMALE"),
    ], "thousands, a censored value, a stray carriage return; a row listed for two indicators is taken once"


def bare(header: str) -> str:
    return header.replace("[", "").replace("]", "")


def as_parquet(path: Path) -> Path:
    pl.read_csv(path, infer_schema=False).write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: write(path / "bare.csv", bare(HEADER)),
        lambda path: write(path / "blanks.csv", HEADER.replace("[Sex]", " [Sex] ").replace("Value", " Value")),
        lambda path: write(path / "packed.csv.gz"),
        lambda path: as_parquet(write(path / "columns.csv")),
        lambda path: write(path / "shuffled.csv", rows=ROWS[::-1]),
        lambda path: Path(shutil.copy(write(path / "mark.csv", "\ufeff" + HEADER), path / "marked.csv")),
    ],
    ids=["bare names", "blanks in names", "gzip", "parquet", "another order", "byte order mark"],
)
def test_every_form_of_the_file_gives_the_same_rows(
    make: Callable[[Path], Path], download: Path, tmp_path: Path
) -> None:
    expected = take(download, tmp_path / "a", "2020-01", DAY)
    found = take(make(tmp_path), tmp_path / "b", "2020-01", DAY)
    name = "observations.parquet"
    assert storage.sha256_file(found / name) == storage.sha256_file(expected / name)
    assert_frame_equal(read_snapshot(found).links, read_snapshot(expected).links)


def test_the_same_file_is_taken_once_and_another_is_an_edition(download: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    first = take(download, root, "2020-01", DAY)
    assert take(download, root, "2020-01", DAY) == first
    assert take(write(tmp_path / "less.csv", rows=ROWS[:2]), root, "2020-01", DAY) == root / "2020-01+2"
    assert take(download, root, "2020-02", DAY) == root / "2020-02"


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (HEADER.replace("Value", "Number"), ROWS, "lacks value_text"),
        (HEADER.replace("[Sex]", "[Age]"), ROWS, "two columns are dimension.age"),
        (HEADER, [*ROWS, ROWS[0][:9]], "cannot be taken"),
        (HEADER, [*ROWS, [*ROWS[0][:3], "", *ROWS[0][4:]]], "a row has no series"),
        (HEADER, [["1", "1.4, 1.5", "1.4.1", *ROWS[0][3:]]], "differ in number"),
    ],
    ids=["column missing", "column twice", "cut off", "no series", "lists that differ"],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, header: str, rows: list[list[str]], said: str) -> None:
    with pytest.raises(SnapshotError, match=said):
        take(write(tmp_path / "bad.csv", header, rows), tmp_path / "lake", "2020-01", DAY)
    assert list((tmp_path / "lake").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", ".hidden", "2020+2", ""])
def test_a_release_name_cannot_lead_out_of_the_folder(download: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(OfficialSourceError, match="cannot be the name of a release"):
        take(download, tmp_path / "lake", name, DAY)


def test_a_day_that_is_none_is_refused(download: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="28-10-2020"):
        take(download, tmp_path / "lake", "2020-01", "28-10-2020")


# --- the complete release ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take(shared("unsd_sdg_2020-10.parquet"), tmp_path_factory.mktemp("lake"), "2020-10", DAY)


@pytest.mark.thorough
def test_the_complete_release_goes_in(complete: Path, tmp_path: Path, iso3_by_m49: Mapping[str, str]) -> None:
    snapshot = read_snapshot(complete)
    assert (snapshot.info.rows, snapshot.info.series, len(read_manifest(complete)[0]["areas"])) == (1_128_726, 472, 337)
    assert snapshot.links["series"].n_unique() == 472
    path = tmp_path / "observations.parquet"
    parts = observation_parts(snapshot, iso3_by_m49, every_area=True)
    storage.write_stream(parts, OFFICIAL_OBSERVATIONS, path)
    table = pl.scan_parquet(path)
    assert table.select(pl.len()).collect().item() == 1_128_726
    assert table.select(pl.struct(OFFICIAL_OBSERVATIONS.key).n_unique()).collect().item() == 1_128_726
    flags = dict(table.group_by("value_flag").len().collect().iter_rows())
    assert flags == {"number": 1_122_378, "not_applicable": 2_858, "below": 1_977, "above": 1_457, "withheld": 56}
    assert table.filter(pl.col("iso3").is_not_null()).select(pl.len()).collect().item() == 38_666
    # The seven countries out of the whole are the seven countries loaded alone.
    alone = build_observations(snapshot, iso3_by_m49)
    assert_frame_equal(alone, table.filter(pl.col("iso3").is_not_null()).collect())
    # What the release's own reader made of a plain number is what ours makes of its text.
    source = pl.scan_parquet(shared("unsd_sdg_2020-10.parquet")).select(
        "series", m49=pl.col("geoAreaCode").str.zfill(3), value_text="value", theirs="value_num"
    )
    numbers = table.filter(pl.col("value_flag") == "number").select("value_text", "value").unique().collect()
    joined = source.select("value_text", "theirs").unique().collect().join(numbers, on="value_text")
    assert joined.filter(pl.col("theirs") != pl.col("value")).is_empty()


def test_the_csv_of_the_seven_countries_is_the_release_for_them(
    complete: Path, tmp_path: Path, iso3_by_m49: Mapping[str, str]
) -> None:
    some = read_snapshot(take(shared("unsd_sdg_2020-10_7countries.csv"), tmp_path, "2020-10", DAY))
    assert_frame_equal(build_observations(some, iso3_by_m49), build_observations(read_snapshot(complete), iso3_by_m49))


def test_series_get_the_codes_of_the_project(
    complete: Path, bundled_folder: Path, iso3_by_m49: Mapping[str, str]
) -> None:
    expected = expected_series(bundled_folder)
    snapshot = in_library_codes(read_snapshot(complete), expected)
    assert snapshot.codes["SH_STA_STUNT"] == "SH_STA_STNT"
    assert snapshot.codes["IT_USE_ii99"] == "IT_USE_II99"
    assert len(snapshot.codes) == 13
    catalogue = build_catalogue(snapshot, expected)
    row = catalogue.filter(pl.col("series") == "SH_STA_STNT").row(0, named=True)
    assert (row["indicator"], row["in_release"], row["loaded"]) == ("2.2.1", True, True)
    table = build_observations(snapshot, iso3_by_m49)
    assert table.height == 38_666
    assert table["series"].is_sorted()
    assert table.filter(pl.col("series") == "SH_STA_STNT").height > 0
    assert set(table["series"]) <= set(catalogue.filter("loaded")["series"])
