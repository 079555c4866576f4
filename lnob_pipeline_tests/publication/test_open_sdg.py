"""The folder for Open SDG: the contract of its data files, the traps of its reader, and what must never be a headline.

sdg-build, the reader of a site, is in no package registry. `Site` below reads a file as its documentation says: pandas
with its defaults, the headline is what no disaggregation column has a cell in, and a column is the parent of another
that is never filled without it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lnob_pipeline.gaps.expected import NATURE_ORDER
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication import open_sdg
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.open_sdg_rows import ATTRIBUTES, clean, column_of, label_of, readable, rows, unit_names
from lnob_pipeline.publication.open_sdg_sdmx import rows_of
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import DECISIONS, OFFICIAL_OBSERVATIONS
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, fill

pd = pytest.importorskip("pandas")

DEFAULTS = (
    "Year", "Units", "Series", "Value", "GeoCode", "Observation status", "Unit multiplier", "Unit measure",
    "UNIT_MEASURE", "SERIES",
)  # fmt: skip
"""Columns that a site takes for no disaggregation when its configuration says nothing."""
NEPALI = "नेपाल क्\u200dषेत्र"
BENGALI = "বাংলা সংগঠন"
STRUCTURE = Path(__file__).parents[3] / "shared" / "data" / "sdmx" / "nepal_CBS_DSD.xml"


@dataclass(frozen=True)
class Site:
    """What a site makes of a data file."""

    path: Path
    not_disaggregations: tuple[str, ...] = DEFAULTS

    @property
    def frame(self) -> Any:
        return pd.read_csv(self.path)

    @property
    def disaggregations(self) -> list[str]:
        return [name for name in self.frame.columns if name not in self.not_disaggregations]

    @property
    def headline(self) -> Any:
        frame = self.frame
        return frame[frame[self.disaggregations].isnull().all(axis=1)]

    @property
    def edges(self) -> set[tuple[str, str]]:
        """(parent, child): the child is never filled without the parent; grandparents are not left out here."""
        frame = self.frame
        filled = {name: set(frame.index[frame[name].notnull()]) for name in self.disaggregations}
        pairs = itertools.permutations([name for name in filled if filled[name]], 2)
        return {(a, b) for a, b in pairs if filled[b] < filled[a]}


def observation(series: str, year: int, value: float | None, key: str = "", **more: Any) -> dict[str, Any]:
    row = {
        "release": "2020-10", "series": series, "iso3": "KEN", "m49": "404", "year": year, "value_text": str(value),
        "value": value, "value_flag": "number", "nature": "C", "units": "PERCENT", "dimension_key": key,
    }  # fmt: skip
    return row | more


OFFICIAL = [
    observation("SG_REG_BRTH", 2014, 66.9, "age=<5Y"),
    observation("SG_REG_BRTH", 2009, 60.0, "age=<5Y", nature="M"),
    observation("SG_REG_BRTH", 2009, 61.5, "age=<5Y", nature="CA"),
    observation("SG_REG_BRTH", 2010, 2.5, "age=<5Y", value_flag="below", value_text="<2.5"),
    observation("SG_REG_BRTH", 2011, None, "age=<5Y", value_flag="withheld", value_text="N"),
    observation("SG_REG_BRTH", 2014, 55.5, "age=<5Y", m49="903", iso3=None),
    observation("SG_REG_BRTH", 2014, 44.4, "age=<5Y", m49="524", iso3="NPL"),
    observation("FB_BNK_ACCSS", 2017, 81.6, "age=15+"),
    observation("FB_BNK_ACCSS", 2017, 77.7, "age=15+;sex=FEMALE", lower_bound=70.0, upper_bound=80.0),
    observation("FB_BNK_ACCSS", 2017, 70.1, "age=15-24;sex=FEMALE"),
    observation("SE_TOT_CPLR", 2014, 84.0, "education_level=PRIMAR"),
    observation("SE_TOT_CPLR", 2014, 71.0, "education_level=LOWSEC;quantile=Q1"),
    observation("SP_DYN_MRBF18", 2014, 22.9, "age=20-24;sex=FEMALE", units="PER_MARW_20T24Y"),
    observation("SH_SAN_HNDWSH", 2017, 24.6),
    observation("SH_SAN_SAFE", 2017, 30.0),
    observation("VC_VOV_GDSD", 2018, 3.3, "grounds_of_discrimination=ETHCOLLAN;sex=FEMALE"),
    observation("EG_EGY_CLEAN", 2016, 13.4),
]
SURVEY = "ken-2019-household-survey"
WHOLE_COUNTRY = "npl-2020-whole-country"


def changed(tables: Mapping[str, pl.DataFrame], **organisations: str | None) -> dict[str, pl.DataFrame]:
    """The tables with figures of Kenya and Nepal, and other names of partners (by country)."""
    names = {key.upper(): name for key, name in organisations.items()}
    name = pl.col("iso3").replace_strict(names, default=pl.col("organisation"), return_dtype=pl.String)
    return {
        **tables,
        "official_observations": fill(OFFICIAL_OBSERVATIONS, OFFICIAL),
        "sources": tables["sources"].with_columns(name.alias("organisation")),
    }


def written(folder: Path, tables: Mapping[str, pl.DataFrame], mappings: Mappings) -> Path:
    open_sdg.write(folder, of(tables, mappings))
    return folder / "open_sdg"


def of(tables: Mapping[str, pl.DataFrame], mappings: Mappings) -> ReleaseContent:
    facts = {**PROVENANCE, "release": "2026-11-22_1a2b3c4d", "released_at": RELEASED_AT}
    return ReleaseContent(tables, mappings, Settings.load(home=HOME), facts)


@pytest.fixture(scope="module")
def content(tables: dict[str, pl.DataFrame], mappings: Mappings) -> ReleaseContent:
    names = changed(tables, ken=f"  {BENGALI} \n <script>alert(1)</script>  ", npl=NEPALI, vnm="=cmd|' /C calc'!A0")
    return of(names, mappings)


@pytest.fixture(scope="module")
def folder(content: ReleaseContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("release")
    open_sdg.write(place, content)
    return place / "open_sdg"


def data_files(folder: Path) -> list[Path]:
    found = sorted([*folder.glob("*/data/*"), *folder.glob("*/data_with_bounds/*")])
    assert len(found) > 10
    return found


def cells(path: Path) -> Iterator[str]:
    frame = pl.read_csv(path, infer_schema=False)
    yield from frame.columns
    for name in frame.columns:
        yield from frame[name].drop_nulls()


# --- the contract, file by file --------------------------------------------------------------------------------


def test_every_data_file_keeps_the_contract(folder: Path) -> None:
    for path in data_files(folder):
        content = path.read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf"), path
        assert content.decode("utf-8").endswith("\n")
        assert re.fullmatch(r"indicator_\d+-[0-9a-z]+-\d+\.csv", path.name)
        names = content.split(b"\n")[0].decode().split(",")
        assert names[:3] == ["Year", "Units", "Series"]
        assert names[-1] == "Value"
        assert "GeoCode" not in names[:-2]
        assert len(set(names)) == len(names)


def test_cells_have_no_outer_space_no_word_for_a_total_and_no_formula(folder: Path) -> None:
    for path in data_files(folder):
        for cell in cells(path):
            assert cell == cell.strip(), path
            assert not re.search(r"[\n\r\t]", cell), path
            assert cell.lower() not in {"_t", "total", "all", "both", "bothsex", "allage", "allarea", "notspec"}, path
            assert not re.match(r"[=+@]", cell), path


def test_year_is_a_whole_number_and_value_a_number_in_every_row(folder: Path) -> None:
    for path in data_files(folder):
        frame = Site(path).frame
        assert pd.api.types.is_integer_dtype(frame["Year"]), path
        assert pd.api.types.is_float_dtype(frame["Value"]) or pd.api.types.is_integer_dtype(frame["Value"]), path
        assert frame["Value"].notnull().all(), path
        assert frame["Year"].between(1990, 2030).all()


def test_no_two_rows_have_the_same_cells(folder: Path) -> None:
    for path in data_files(folder):
        frame = pl.read_csv(path, infer_schema=False)
        assert not frame.drop(["Value", *(name for name in ATTRIBUTES if name in frame.columns)]).is_duplicated().any()


def test_the_reader_of_a_site_loses_no_label(folder: Path) -> None:
    """A label that pandas takes for an empty cell ("NA") would make a row a total."""
    for path in data_files(folder):
        read, plain = Site(path).frame, pl.read_csv(path, infer_schema=False)
        for name in plain.columns:
            assert int(read[name].isnull().sum()) == plain[name].null_count(), (path, name)


def test_a_column_without_a_code_is_left_out(folder: Path) -> None:
    for path in folder.glob("*/data/*"):
        frame = pl.read_csv(path, infer_schema=False)
        assert all(frame[name].null_count() < frame.height for name in frame.columns), path


# --- headline and Source ---------------------------------------------------------------------------------------


def test_the_headline_is_the_official_total_and_nothing_else(folder: Path) -> None:
    headline = Site(folder / "KEN/data/indicator_16-9-1.csv").headline
    assert list(zip(headline["Year"], headline["Value"], strict=True)) == [(2009, 61.5), (2014, 66.9)]
    bank = Site(folder / "KEN/data/indicator_8-10-2.csv").headline
    assert bank["Value"].tolist() == [81.6]
    assert Site(folder / "NPL/data/indicator_16-9-1.csv").headline["Value"].tolist() == [44.4]


def test_every_headline_value_is_an_official_value_of_the_country(folder: Path, content: ReleaseContent) -> None:
    official = content.tables["official_observations"]
    found = 0
    for path in data_files(folder):
        iso3 = path.parts[-3]
        site = Site(path, (*DEFAULTS, *ATTRIBUTES))
        mine = official.filter((pl.col("iso3") == iso3) & (pl.col("value_flag") == "number"))
        known = set(mine.select("year", "value").iter_rows())
        for year, value in zip(site.headline["Year"], site.headline["Value"], strict=True):
            assert (year, value) in known, path
            found += 1
    assert found >= 8


def test_where_only_citizens_have_figures_there_is_no_headline(folder: Path) -> None:
    alone = Site(folder / "VNM/data/indicator_16-9-1.csv")
    assert len(alone.frame)
    assert not len(alone.headline)
    assert alone.frame["Source"].notnull().all()
    config = yaml.safe_load((folder / "VNM/indicator-config/16-9-1.yml").read_text("utf-8"))
    assert config["data_non_statistical"] is False


def test_rows_without_a_source_are_the_official_rows(folder: Path, content: ReleaseContent) -> None:
    for path in sorted(folder.glob("*/data/*")):
        frame, iso3 = Site(path).frame, path.parts[-3]
        named = frame["Source"].notnull() if "Source" in frame.columns else frame["Year"].isnull()
        indicator = path.stem.removeprefix("indicator_").replace("-", ".")
        series = content.tables["sdg_catalogue"].filter(pl.col("indicator").str.starts_with(indicator))["series"]
        mine = pl.col("series").is_in(series.implode()) & (pl.col("iso3") == iso3) & (pl.col("value_flag") == "number")
        expected = content.tables["official_observations"].filter(mine).unique(["series", "year", "dimension_key"])
        assert int((~named).sum()) == expected.height, path


def test_a_local_sample_has_a_place_and_a_code_only_where_it_is_one_named_area(folder: Path) -> None:
    kenya = Site(folder / "KEN/data/indicator_16-9-1.csv").frame
    assert set(kenya["Area"].dropna()) == {"Kisumu and Turkana"}
    assert "GeoCode" not in kenya.columns
    province = Site(folder / "VNM/data/indicator_16-9-1.csv").frame
    assert set(province["Area"]) == {"Ha Giang"}
    assert set(province["GeoCode"]) == {"VN-03"}
    assert province.columns[-2] == "GeoCode"
    assert yaml.safe_load((folder / "VNM/indicator-config/16-9-1.yml").read_text("utf-8"))["data_show_map"] is True


def test_a_sample_of_the_whole_country_is_no_headline_either(folder: Path) -> None:
    nepal = Site(folder / "NPL/data/indicator_16-9-1.csv")
    citizen = nepal.frame[nepal.frame["Source"].notnull()]
    assert len(citizen)
    assert "Area" not in nepal.frame.columns
    assert not set(nepal.headline.index) & set(citizen.index)


def test_shares_of_respondents_are_no_rows(folder: Path, content: ReleaseContent) -> None:
    purposive = content.tables["citizen_estimates"].filter(pl.col("sampling_method") == "purposive")
    assert purposive["estimate"].drop_nulls().len() > 10
    assert not list(folder.glob("IND/data/*"))
    assert not list(folder.glob("BGD/data/*"))
    limits = yaml.safe_load((folder / "IND/meta/16-9-1.yml").read_text("utf-8"))["REC_USE_LIM"]
    assert "shares of respondents" in limits


def test_every_citizen_row_is_a_published_estimate_and_every_fitting_estimate_a_row(
    folder: Path, content: ReleaseContent
) -> None:
    estimates = content.tables["citizen_estimates"].filter(
        (pl.col("comparability") == "A")
        & (pl.col("sampling_method") == "probability")
        & pl.col("estimate").is_not_null()
        & ~pl.col("series").str.starts_with("LNOB_")
    )
    for part, reliability in (("data", ["reliable"]), ("data_with_bounds", ["reliable", "use_with_caution"])):
        expected = sorted(estimates.filter(pl.col("reliability").is_in(reliability))["estimate"].to_list())
        found: list[float] = []
        for path in folder.glob(f"*/{part}/*"):
            frame = Site(path).frame
            if "Source" in frame.columns:
                found += frame[frame["Source"].notnull()]["Value"].tolist()
        assert sorted(found) == pytest.approx(expected)
        assert len(found) > 100


def test_a_slice_beside_others_keeps_its_name_and_the_site_opens_on_it(folder: Path) -> None:
    completion = Site(folder / "KEN/data/indicator_4-1-2.csv")
    assert not len(completion.headline)
    assert set(completion.frame["Education level"]) == {"Primary", "Lower secondary"}
    config = yaml.safe_load((folder / "KEN/indicator-config/4-1-2.yml").read_text("utf-8"))
    assert config["data_start_values"] == [{"field": "Education level", "value": "Primary"}]


def test_an_age_that_holds_all_others_is_the_total(content: ReleaseContent) -> None:
    wider = observation("FB_BNK_ACCSS", 2017, 50.0, "age=10+")
    frame = content.tables["official_observations"]
    more = pl.concat([frame, fill(OFFICIAL_OBSERVATIONS, [wider])])
    kept = rows(replace(content, tables={**content.tables, "official_observations": more})).official
    assert "15 years and over" in kept["Age"].to_list()
    assert "15 years and over" not in rows(content).official["Age"].to_list()


def test_parts_of_an_indicator_stand_in_the_file_of_the_whole(folder: Path) -> None:
    series = Site(folder / "KEN/data/indicator_6-2-1.csv").frame["Series"].unique()
    assert len(series) == 2
    assert not list(folder.glob("*/*/*6-2-1a*"))


def test_units_that_mean_the_same_have_one_name(folder: Path, mappings: Mappings) -> None:
    assert unit_names(mappings)["PER_MARW_20T24Y"] == unit_names(mappings)["PERCENT"] == "Percentage"
    assert set(Site(folder / "KEN/data/indicator_5-3-1.csv").frame["Units"]) == {"Percentage"}


# --- attributes ------------------------------------------------------------------------------------------------


def test_plain_files_have_no_attribute_and_edges_none(folder: Path) -> None:
    for path in sorted(folder.glob("*/data/*")):
        site = Site(path)
        assert not set(ATTRIBUTES) & set(site.frame.columns)
        assert not set(ATTRIBUTES) & {name for edge in site.edges for name in edge}


def test_the_snippet_keeps_attributes_from_becoming_disaggregations(folder: Path) -> None:
    path = folder / "KEN/data_with_bounds/indicator_16-9-1.csv"
    assert set(ATTRIBUTES) <= set(Site(path).frame.columns)
    # Without the snippet the trap shuts: the headline is lost, and attributes are parents of the sexes.
    assert not len(Site(path).headline)
    assert {name for edge in Site(path).edges for name in edge} & set(ATTRIBUTES)

    snippet = yaml.safe_load((folder / "KEN/config_data.snippet.yml").read_text("utf-8"))
    options = snippet["indicator_options"]
    assert set(ATTRIBUTES) <= set(options["non_disaggregation_columns"])
    assert options["observation_attributes"] == list(ATTRIBUTES)
    assert set(DEFAULTS) <= set(options["non_disaggregation_columns"])
    guarded = Site(path, tuple(options["non_disaggregation_columns"]))
    assert guarded.headline["Value"].tolist() == [61.5, 66.9]
    assert guarded.headline["NATURE"].tolist() == ["CA", "C"]
    assert not {name for edge in guarded.edges for name in edge} & set(ATTRIBUTES)
    (source,) = [item for item in snippet["inputs"] if item["class"] == "InputCsvData"]
    assert sorted((folder / "KEN").glob(source["path_pattern"])) == sorted((folder / "KEN/data_with_bounds").iterdir())


def test_the_version_with_bounds_has_all_plain_rows_and_intervals_around_them(folder: Path) -> None:
    for plain in sorted(folder.glob("*/data/*")):
        bounded = pl.read_csv(plain.parent.parent / "data_with_bounds" / plain.name)
        less = pl.read_csv(plain)
        shared = [name for name in less.columns if name in bounded.columns]
        assert shared == less.columns
        kept = bounded.filter(pl.col("OBS_STATUS").cast(pl.String).ne_missing("U")).select(shared)
        assert kept.equals(less), plain
        if "Source" in bounded.columns:
            citizen = bounded.filter(pl.col("Source").is_not_null())
            assert set(citizen["OBS_STATUS"]) <= {"G", "U"}
            assert (citizen["LOWER_BOUND"] <= citizen["Value"]).all()
            assert (citizen["UPPER_BOUND"] >= citizen["Value"]).all()


def test_normal_status_only_after_the_statistics_office_accepted(content: ReleaseContent) -> None:
    decided = [
        {"subject": SURVEY, "decided_by": "community", "decision": "publish"},
        {"subject": WHOLE_COUNTRY, "decided_by": "statistics_office", "decision": "accept"},
    ]
    table = fill(DECISIONS, decided).with_columns(pl.lit("2020-12-01").str.to_date().alias("date"))
    citizen = rows(replace(content, tables={**content.tables, "decisions": table})).citizen
    assert set(citizen.filter(pl.col("submission_id") == WHOLE_COUNTRY)["OBS_STATUS"]) == {"A"}
    assert "A" not in set(citizen.filter(pl.col("submission_id") == SURVEY)["OBS_STATUS"])
    assert citizen["Source"].null_count() == 0


# --- words -----------------------------------------------------------------------------------------------------


def test_names_in_every_script_arrive_as_they_were_written(folder: Path) -> None:
    assert Site(folder / "NPL/data/indicator_16-9-1.csv").frame["Source"].dropna().str.contains(NEPALI).all()
    kenya = Site(folder / "KEN/data/indicator_16-9-1.csv").frame["Source"].dropna()
    assert kenya.str.startswith(f"Citizen survey, {BENGALI} ").all()
    assert kenya.str.endswith("invented people").all()
    meta = (folder / "NPL/meta/16-9-1.yml").read_text("utf-8")
    assert NEPALI in yaml.safe_load(meta)["DATA_SOURCE"]


def test_what_partners_wrote_is_no_html_in_the_metadata(folder: Path) -> None:
    for path in folder.glob("*/meta/*.yml"):
        for text in yaml.safe_load(path.read_text("utf-8")).values():
            assert "<" not in text, path


def test_a_text_that_a_spreadsheet_would_run_is_disarmed(tables: dict[str, pl.DataFrame], mappings: Mappings,
                                                         tmp_path: Path) -> None:  # fmt: skip
    catalogue = tables["sdg_catalogue"].with_columns(
        title=pl.when(pl.col("series") == "SH_SAN_DEFECT").then(pl.lit("=HYPERLINK(1)")).otherwise("title")
    )
    more = fill(OFFICIAL_OBSERVATIONS, [observation("EXTRA_SERIES", 2015, 1.0)])
    extra = pl.concat([catalogue, catalogue.head(1).with_columns(series=pl.lit("EXTRA_SERIES"), title=pl.lit("=1+1"))])
    place = written(tmp_path, {**tables, "sdg_catalogue": extra, "official_observations": more}, mappings)
    (path,) = place.glob("KEN/data/indicator_1-1-1.csv")
    assert "'=1+1" in Site(path).frame["Series"].to_list()


def test_two_hand_ins_of_one_partner_are_told_apart(content: ReleaseContent) -> None:
    sources = content.tables["sources"]
    twin = sources.filter(pl.col("submission_id") == SURVEY).with_columns(submission_id=pl.lit("ken-2019-again"))
    estimates = content.tables["citizen_estimates"]
    again = estimates.filter(pl.col("submission_id") == SURVEY).with_columns(submission_id=pl.lit("ken-2019-again"))
    tables = {
        **content.tables,
        "sources": pl.concat([sources, twin]),
        "citizen_estimates": pl.concat([estimates, again]),
    }
    found = rows(replace(content, tables=tables))
    assert found.citizen.filter(pl.col("iso3") == "KEN")["Source"].n_unique() == 2
    assert not found.together.drop("Value", *ATTRIBUTES).is_duplicated().any()


def test_rows_that_a_site_cannot_tell_apart_are_refused() -> None:
    frame = pl.DataFrame({"Year": [2019, 2019], "Sex": ["Female", "Female"], "Value": [1.0, 2.0]})
    with pytest.raises(open_sdg.OpenSdgError, match=r"KEN, 16\.9\.1: two rows have the same cells"):
        open_sdg.data_file(frame, "KEN, 16.9.1")


@given(st.text())
def test_cleaned_text_is_trimmed_and_keeps_its_letters(text: str) -> None:
    (found,) = pl.DataFrame({"a": [text]}).select(clean(pl.col("a"))).to_series()
    assert found is None or (found == found.strip(" \t\n\r\u00a0\ufeff") and found)
    visible = [letter for letter in text if not letter.isspace() and letter not in "\ufeff\x85\x1c\x1d\x1e\x1f"]
    assert [letter for letter in found or "" if letter in visible] == visible


@given(st.text(alphabet="NAnaulo/#<>-. ", min_size=1, max_size=6))
def test_no_label_reads_as_an_empty_cell(text: str) -> None:
    label = readable(text)
    read = pd.read_csv(__import__("io").StringIO(f'a,b\n"{label}",1\n'))
    assert read["a"].notnull().all()


def test_official_codes_have_names(mappings: Mappings) -> None:
    named = {
        ("age", "<5Y"): "Under five years", ("age", "15-49"): "15 to 49 years", ("age", "<18Y"): "Under 18 years",
        ("age", "25+"): "25 years and over", ("sex", "FEMALE"): "Female", ("location", "RURAL"): "Rural",
        ("quantile", "Q1"): "Poorest fifth", ("disability_status", "PD"): "With disability",
        ("education_level", "UPPSEC"): "Upper secondary", ("type_of_skill", "ARSP"): "ARSP",
    }  # fmt: skip
    assert {key: label_of(*key, mappings) for key in named} == named
    assert column_of("quantile", mappings) == column_of("wealth", mappings) == "Income or wealth quantile"


# --- configuration and metadata --------------------------------------------------------------------------------


def test_configurations_have_what_a_site_requires(folder: Path) -> None:
    for path in [*folder.glob("*/indicator-config/*.yml")]:
        config = yaml.safe_load(path.read_text("utf-8"))
        assert config["indicator_number"] == path.stem.replace("-", ".")
        assert isinstance(config["indicator_name"], str) and config["indicator_name"]
        assert config["reporting_status"] in {"notstarted", "complete", "notapplicable"}
        assert config["graph_type"] in {"line", "bar"}
        assert isinstance(config["data_non_statistical"], bool)
        assert isinstance(config["data_show_map"], bool)
        data = path.parent.parent / "data" / f"indicator_{path.stem}.csv"
        assert config["data_non_statistical"] is not data.exists(), path


def test_reporting_status_counts_as_the_gap_table_does(folder: Path, content: ReleaseContent) -> None:
    gaps = content.tables["data_gaps"].filter(pl.col("stratum") == "_T")
    reported = gaps.filter((pl.col("status") == "reported") & pl.col("indicator").str.contains("[0-9]$"))
    complete = set(reported.select("iso3", "indicator").unique().iter_rows())
    seen = 0
    for path in folder.glob("???/indicator-config/*.yml"):
        place = path.parts[-3], path.stem.replace("-", ".")
        if place[1] == "6.2.1":
            continue
        status = yaml.safe_load(path.read_text("utf-8"))["reporting_status"]
        assert (status == "complete") == (place in complete), place
        seen += status == "complete"
    assert seen > 5


def test_a_configuration_never_takes_back_what_an_office_reports(folder: Path, mappings: Mappings) -> None:
    """Only indicators that there is something to say of; the others lie apart, for a new site."""
    apart = {path.stem.replace("-", ".") for path in (folder / "not_started/indicator-config").iterdir()}
    assert apart == set(mappings.framework.indicators["indicator"])
    assert len(apart) == 248
    for country in folder.glob("???"):
        said = {path.stem for path in (country / "indicator-config").iterdir()}
        assert said == {path.stem for path in (country / "meta").iterdir()}
        assert len(said) < 100


def test_metadata_says_who_gathered_how_and_of_which_class(folder: Path) -> None:
    meta = yaml.safe_load((folder / "KEN/meta/16-9-1.yml").read_text("utf-8"))
    assert (meta["SDG_GOAL"], meta["SDG_TARGET"]) == ("16", "16.9")
    assert meta["SDG_INDICATOR"].startswith("16.9.1 ")
    assert meta["META_LAST_UPDATE"] == RELEASED_AT[:10]
    assert "probability sample" in meta["COLL_METHOD"]
    assert "Kisumu and Turkana" in meta["COLL_METHOD"]
    assert "class A" in meta["COMPARABILITY"]
    assert "version 2020-10" in meta["STAT_CONC_DEF"]
    assert "Official figures (2)" in meta["DATA_SOURCE"]
    concepts = {
        "SDG_GOAL", "SDG_TARGET", "SDG_INDICATOR", "SDG_SERIES_DESCR", "META_LAST_UPDATE", "STAT_CONC_DEF", "COVERAGE",
        "UNIT_MEASURE", "SOURCE_TYPE", "COLL_METHOD", "DATA_SOURCE", "COMPILING_ORG", "REC_USE_LIM", "COMPARABILITY",
    }  # fmt: skip
    for path in folder.glob("*/meta/*.yml"):
        assert set(yaml.safe_load(path.read_text("utf-8"))) <= concepts


def test_score_cards_and_discussions_are_metadata(folder: Path) -> None:
    limits = yaml.safe_load((folder / "MWI/meta/16-6-2.yml").read_text("utf-8"))["REC_USE_LIM"]
    assert "score cards" in limits
    assert not list(folder.glob("MWI/data/*"))


# --- SDMX ------------------------------------------------------------------------------------------------------


def test_nepal_has_its_rows_in_the_structure_of_its_office(folder: Path, content: ReleaseContent) -> None:
    assert [path.relative_to(folder).as_posix() for path in folder.glob("*/sdmx/*")] == ["NPL/sdmx/NPL.xml"]
    frame = rows_of(content, "NPL")
    assert set(frame["REF_AREA"]) == {"NP"}
    official = frame.filter(pl.col("CUST_BREAKDOWN") == "_T")
    assert official.select("SERIES", "TIME_PERIOD", "AGE", "OBS_VALUE").rows() == [
        ("SG_REG_BRTH", "2014", "Y0T4", 44.4)
    ]
    citizen = frame.filter(pl.col("CUST_BREAKDOWN") != "_T")
    assert citizen.height > 20
    assert citizen["CUST_BREAKDOWN"].str.contains("^C[0-9]{2}$").all()
    assert citizen["CUST_BREAKDOWN_LB"].str.contains(NEPALI).all()
    assert citizen.select("CUST_BREAKDOWN", "CUST_BREAKDOWN_LB").n_unique() == citizen["CUST_BREAKDOWN"].n_unique()
    assert set(citizen["REPORTING_TYPE"]) == {"G"}
    assert "A" not in set(citizen["OBS_STATUS"])
    assert "UNIT_MEASURE" in frame.columns


@pytest.mark.skipif(not STRUCTURE.exists(), reason="the structure of Nepal's office is not here")
def test_every_code_is_in_the_structure_of_nepals_office(content: ReleaseContent) -> None:
    """Also of the whole bundled release: 0 rows that a constrained output of the site would remove."""
    bundled = pl.read_csv(HOME / "data/official/observations.csv", infer_schema=False)
    text = STRUCTURE.read_text("utf-8")
    lists = {
        name: set(re.findall(r'<structure:Code id="([^"]+)"', body))
        for name, body in re.findall(r'<structure:Codelist id="([^"]+)".*?>(.*?)</structure:Codelist>', text, re.DOTALL)
    }
    named = {
        "REF_AREA": "CL_REF_AREA_CBS", "URBANISATION": "CL_URBANISATION", "EDUCATION_LEV": "CL_EDUCATION_LEV",
        "INCOME_WEALTH_QUANTILE": "CL_QUANTILE", "COMPOSITE_BREAKDOWN": "CL_COMP_BREAKDOWN",
        "DISABILITY_STATUS": "CL_DISABILITY",
    }  # fmt: skip
    frame = rows_of(content, "NPL")
    checked = 0
    for column in frame.columns:
        codes = lists.get(named.get(column, f"CL_{column}"))
        if codes:
            assert set(frame[column].drop_nulls()) <= codes, column
            checked += 1
    assert checked >= 15
    assert set(bundled.filter(pl.col("m49") == "524")["series"]) <= lists["CL_SERIES"]


# --- the whole -------------------------------------------------------------------------------------------------


def test_the_same_content_gives_the_same_bytes(content: ReleaseContent, folder: Path, tmp_path: Path) -> None:
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=3) for name, frame in content.tables.items()}
    open_sdg.write(tmp_path, replace(content, tables=shuffled))
    again = tmp_path / "open_sdg"
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [name for name in names if (folder / name).read_bytes() != (again / name).read_bytes()] == []


def test_a_country_without_citizen_data_and_one_without_anything(
    tables: dict[str, pl.DataFrame], mappings: Mappings, tmp_path: Path
) -> None:
    bare = {name: frame.clear() for name, frame in tables.items()} | {"sdg_catalogue": tables["sdg_catalogue"]}
    place = written(tmp_path, {**bare, "official_observations": fill(OFFICIAL_OBSERVATIONS, OFFICIAL)}, mappings)
    assert sorted(path.name for path in place.glob("???")) == ["KEN", "NPL"]
    only = Site(place / "KEN/data/indicator_16-9-1.csv")
    assert only.frame.columns.to_list() == ["Year", "Units", "Series", "Value"]
    assert len(only.headline) == len(only.frame) == 2
    config = yaml.safe_load((place / "KEN/indicator-config/16-9-1.yml").read_text("utf-8"))
    assert "data_notice_text" not in config

    empty = written(tmp_path / "empty", {name: frame.clear() for name, frame in tables.items()}, mappings)
    assert sorted(path.name for path in empty.iterdir()) == ["README.md", "not_started"]


def test_of_several_natures_the_first_in_the_order_of_the_project_stands(content: ReleaseContent) -> None:
    assert NATURE_ORDER.index("CA") < NATURE_ORDER.index("M")
    found = rows(content).official.filter((pl.col("iso3") == "KEN") & (pl.col("Year") == 2009))
    assert found.select("Value", "NATURE").rows() == [(61.5, "CA")]
