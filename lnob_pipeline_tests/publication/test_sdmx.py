"""SDMX: what the messages may and may not say, and that pysdmx and sdmx1 read what was written."""

from __future__ import annotations

import csv
import datetime
import functools
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication import sdmx
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.sdmx_codes import DIMENSIONS, KEY, code_book, unit_codes, with_key
from lnob_pipeline.publication.sdmx_message import (
    CITIZEN,
    GAPS,
    SdmxError,
    Structure,
    check,
    compare,
    in_form,
    write_csv,
    write_message,
)
from lnob_pipeline.publication.sdmx_structure import LISTS, named
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import PUBLISHED_ESTIMATES, SOURCES
from lnob_pipeline_tests.publication.release_factory import RELEASED_AT, fill, stratum_columns

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "sdmx"
GLOBAL = SHARED / "global_SDG_DSD_v1.4_2021-06-24.xml"
CONSTRAINTS = SHARED / "sdmx_global_content_constraints.csv"
NEPAL = SHARED / "nepal_CBS_DSD.xml"
FACTS = {"release": "2026-11-22_1a2b3c4d", "released_at": RELEASED_AT}


@pytest.fixture(scope="module")
def content(tables: dict[str, pl.DataFrame], mappings: Mappings) -> ReleaseContent:
    return ReleaseContent(tables, mappings, Settings.load(home=Path.cwd()), FACTS)


@pytest.fixture(scope="module")
def folder(content: ReleaseContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder sdmx/ of a release."""
    home = tmp_path_factory.mktemp("release")
    sdmx.write(home, content)
    return home / "sdmx"


def estimate(**columns: Any) -> dict[str, Any]:
    """A national class A estimate of Nepal, and what is said of it otherwise."""
    chosen = columns.pop("chosen", {})
    return {
        "submission_id": "npl-2020-a", "iso3": "NPL", "indicator": "16.9.1", "series": "SG_REG_BRTH",
        **stratum_columns(chosen), "year": 2020, "area_level": "national", "area": None, "population": "persons",
        "unit": "PERCENT", "estimate": 50.0, "ci_low": 40.0, "ci_high": 60.0, "n": 400, "reliability": "reliable",
        "comparability": "A", "comparability_reason": "same definition", "sampling_method": "probability",
        "status": "estimated",
    } | columns  # fmt: skip


def made(content: ReleaseContent, *rows: dict[str, Any], decisions: pl.DataFrame | None = None) -> ReleaseContent:
    """The release with these estimates alone."""
    submissions = dict.fromkeys((row["submission_id"], row["iso3"]) for row in rows)
    sources = [
        {"submission_id": name, "iso3": iso3, "organisation": "Partner", "synthetic": True}
        for name, iso3 in submissions
    ]
    changed = {"citizen_estimates": fill(PUBLISHED_ESTIMATES, list(rows)), "sources": fill(SOURCES, sources)}
    if decisions is not None:
        changed["decisions"] = decisions
    return replace(content, tables={**content.tables, **changed})


def decided(*lines: tuple[str, str, str, int]) -> pl.DataFrame:
    """Decisions: subject, decided_by, decision, day of November 2026."""
    return pl.DataFrame(
        [(subject, by, what, datetime.date(2026, 11, day), "letter 1") for subject, by, what, day in lines],
        schema=["subject", "decided_by", "decision", "date", "reference"],
        orient="row",
    )


def pysdmx_frame(path: Path, structure: Path | None = None) -> pl.DataFrame:
    """What pysdmx reads under validation, as text; empty text is null."""
    from pysdmx.io import get_datasets

    (found,) = get_datasets(path, structure, validate=True)
    table = {
        str(name): [None if lacks else str(cell) for cell, lacks in zip(cells, cells.isna(), strict=True)]
        for name, cells in found.data.items()
    }
    text = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String))
    return text.with_columns(pl.all().replace("", None))


def as_read(found: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Text in the columns, types and order of the rows; a column that no cell of has anything may be absent."""
    extra = set(found.columns) - set(rows.columns)
    assert not extra
    lacking = [pl.lit(None, pl.String).alias(name) for name in rows.columns if name not in found.columns]
    return found.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in rows.schema.items()).sort(KEY)


# --- what the rows say ---------------------------------------------------------------------------------------


def test_every_estimate_is_one_row_with_its_numbers(content: ReleaseContent) -> None:
    estimates = content.tables["citizen_estimates"]
    for iso3 in content.mappings.countries:
        rows = sdmx.dataset_rows(content, iso3)
        of_country = estimates.filter(pl.col("iso3") == iso3)
        assert rows.height == of_country.height
        check(rows, CITIZEN) if rows.height else None
        assert rows["OBS_VALUE"].sum() == pytest.approx(of_country["estimate"].sum())
        assert rows["OBS_VALUE"].null_count() == of_country["estimate"].null_count()
    assert estimates.height > 1000


def test_no_row_says_that_it_is_official(content: ReleaseContent) -> None:
    for iso3 in content.mappings.countries:
        for rows in (sdmx.dataset_rows(content, iso3), sdmx.gap_rows(content, iso3)):
            assert not set(rows["REPORTING_TYPE"]) & {"N"}
            assert not set(rows["OBS_STATUS"]) & {"A"}
            assert "NATURE" not in rows.columns or set(rows["NATURE"]) <= {"_X"}


@pytest.mark.parametrize(
    ("columns", "area"),
    [
        ({}, "524"),
        ({"sampling_method": "census"}, "524"),
        ({"sampling_method": "purposive"}, "NPL_LOCAL"),
        ({"sampling_method": None}, "NPL_LOCAL"),
        ({"area_level": "admin1", "area": "NP-P2"}, "NP-P2"),
        ({"area_level": "admin1", "area": "NP-P2,NP-P4"}, "NP-P2@NP-P4"),
        ({"area_level": "admin1", "area": "NP-P2", "sampling_method": "quota"}, "NP-P2@PART"),
        ({"area_level": "admin2", "area": "NP-P2"}, "NP-P2@PART"),
        ({"area_level": "community", "area": None}, "NPL_LOCAL"),
        ({"area_level": "admin1", "area": None}, "NPL_LOCAL"),
    ],
)
def test_area_is_no_wider_than_the_sample(content: ReleaseContent, columns: dict[str, Any], area: str) -> None:
    rows = sdmx.dataset_rows(made(content, estimate(**columns)), "NPL")
    assert rows["REF_AREA"].to_list() == [area]
    assert named("REF_AREA", {area}, content)[area][0]


def test_country_code_has_no_zero_in_front(content: ReleaseContent) -> None:
    row = estimate(iso3="BGD", submission_id="bgd-2020-a")
    assert sdmx.dataset_rows(made(content, row), "BGD")["REF_AREA"].to_list() == ["50"]


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({}, "G"),
        ({"reliability": "not_probability"}, "G"),
        ({"reliability": "use_with_caution"}, "U"),
        ({"reliability": "few_degrees_of_freedom"}, "U"),
        ({"status": "suppressed_small_count", "estimate": None, "ci_low": None, "ci_high": None}, "Q"),
        ({"status": "no_rows", "estimate": None, "ci_low": None, "ci_high": None}, "O"),
    ],
)
def test_observation_status(content: ReleaseContent, columns: dict[str, Any], status: str) -> None:
    rows = sdmx.dataset_rows(made(content, estimate(**columns)), "NPL")
    check(rows, CITIZEN)
    assert rows["OBS_STATUS"].to_list() == [status]


def test_surveys_of_one_area_and_year_have_keys_of_their_own_that_do_not_change(content: ReleaseContent) -> None:
    first, second = estimate(), estimate(submission_id="npl-2020-b", estimate=55.0)
    alone = sdmx.dataset_rows(made(content, first), "NPL")
    both = sdmx.dataset_rows(made(content, first, second), "NPL")
    check(both, CITIZEN)
    assert set(alone.select(KEY).rows()) < set(both.select(KEY).rows())


def test_what_a_series_has_no_place_for_is_a_custom_breakdown(content: ReleaseContent) -> None:
    strata: list[dict[str, str]] = [{}, {"age": "0-4"}, {"sex": "F"}, {"disability": "yes"}]
    strata += [{"marginalised_group": "persons_with_disabilities"}, {"marginalised_group": "dalit"}]
    births = [estimate(chosen=chosen) for chosen in strata]
    water = [estimate(chosen=chosen, series="SP_ACS_BSRVH2O", indicator="1.4.1") for chosen in ({"sex": "F"}, {})]
    rows = sdmx.dataset_rows(made(content, *births, *water), "NPL")
    check(rows, CITIZEN)
    cells = rows.select("SERIES", "SEX", "AGE", "DISABILITY_STATUS", "CUST_BREAKDOWN").rows()
    assert set(cells) == {
        ("SG_REG_BRTH", "_T", "Y0T4", "_T", "npl-2020-a"),
        ("SG_REG_BRTH", "_T", "Y0T4", "_T", "npl-2020-a@AGE-Y0T4"),
        ("SG_REG_BRTH", "F", "Y0T4", "_T", "npl-2020-a"),
        ("SG_REG_BRTH", "_T", "Y0T4", "PD", "npl-2020-a"),
        ("SG_REG_BRTH", "_T", "Y0T4", "PD", "npl-2020-a@persons_with_disabilities"),
        ("SG_REG_BRTH", "_T", "Y0T4", "_T", "npl-2020-a@dalit"),
        ("SP_ACS_BSRVH2O", "_T", "_T", "_T", "npl-2020-a@SEX-F"),
        ("SP_ACS_BSRVH2O", "_T", "_T", "_T", "npl-2020-a"),
    }


def test_producer_is_named_only_where_it_may_be(content: ReleaseContent) -> None:
    allowed = sdmx.dataset_rows(content, "KEN")
    assert set(allowed["SOURCE_DETAIL"]) == {"Synthetic partner in KEN"}
    assert "SOURCE_DETAIL" not in sdmx.dataset_rows(content, "BGD").columns
    assert allowed["COMMENT_OBS"].str.contains("do not exist").all()


def test_hidden_numbers_are_not_told_beside_the_value(content: ReleaseContent) -> None:
    rows = pl.concat([sdmx.dataset_rows(content, iso3) for iso3 in ("KEN", "NPL", "VNM")], how="diagonal")
    hidden = rows.filter(pl.col("OBS_STATUS") == "Q")
    assert hidden.height > 10
    assert hidden["LOWER_BOUND"].null_count() == hidden["UPPER_BOUND"].null_count() == hidden.height
    assert not hidden["COMMENT_OBS"].str.contains(r"\bn = ").any()


def test_a_gap_has_a_number_of_years_or_says_why_not(content: ReleaseContent) -> None:
    gaps = content.tables["data_gaps"].with_columns(
        n_years_since_base=pl.when(pl.col("status") == "reported").then(3).otherwise(0)
    )
    changed = replace(content, tables={**content.tables, "data_gaps": gaps})
    rows = sdmx.gap_rows(changed, "KEN")
    check(rows, GAPS)
    assert rows.height == gaps.filter(pl.col("iso3") == "KEN").height
    said = dict(rows.select("GAP_STATUS", "OBS_STATUS").unique().rows())
    assert said == {
        "reported": "G", "none_since_2015": "O", "never_reported": "O", "no_series": "O", "not_loaded": "L",
        "not_provided": "L",
    }  # fmt: skip
    assert rows.filter(pl.col("OBS_STATUS") == "G")["OBS_VALUE"].unique().to_list() == [3.0]


# --- rules that no reader checks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SEX": pl.lit(None, pl.String)}, "no code in a dimension"),
        ({"UNIT_MEASURE": pl.lit(None, pl.String)}, "mandatory"),
        ({"AGE": pl.lit("15 to 24")}, "no identifier"),
        ({"TIME_PERIOD": pl.lit("2022-23")}, "no year"),
        ({"OBS_VALUE": pl.lit(float("nan"))}, "finite"),
        ({"OBS_STATUS": pl.lit("Q")}, "beside a value"),
        ({"OBS_VALUE": pl.lit(None, pl.Float64)}, "says why"),
        ({"LOWER_BOUND": pl.col("OBS_VALUE") + 1}, "does not contain"),
        ({"UPPER_BOUND": pl.col("OBS_VALUE") - 1}, "does not contain"),
        ({"CUST_BREAKDOWN": pl.lit("_T"), "SEX": pl.lit("_T")}, "more than once"),
    ],
)
def test_rules(content: ReleaseContent, change: dict[str, pl.Expr], words: str) -> None:
    rows = sdmx.dataset_rows(made(content, estimate(), estimate(chosen={"marginalised_group": "dalit"})), "NPL")
    check(rows, CITIZEN)
    with pytest.raises(SdmxError, match=words):
        check(rows.with_columns(**change), CITIZEN)


def test_a_mandatory_column_may_not_be_absent(content: ReleaseContent) -> None:
    with pytest.raises(SdmxError, match="UNIT_MULT"):
        check(sdmx.dataset_rows(content, "KEN").drop("UNIT_MULT"), CITIZEN)


def test_an_unknown_code_stops_the_release(content: ReleaseContent, tmp_path: Path) -> None:
    with pytest.raises(SdmxError, match="UNIT_MEASURE: FURLONG"):
        sdmx.write(tmp_path, made(content, estimate(unit="FURLONG")))


def test_every_unit_of_the_library_has_a_code(mappings: Mappings) -> None:
    library = mappings.indicators.values()
    units = {item.unit for indicator in library for item in indicator.series}
    units |= {item.unit for indicator in library for item in indicator.components}
    assert units <= code_book(mappings).units.keys()
    measure, multiplier = unit_codes(code_book(mappings))
    frame = pl.DataFrame({"unit": sorted(units)}).select(measure=measure, multiplier=multiplier)
    assert not frame.null_count().transpose().to_series().sum()


def test_a_damaged_message_is_noticed(content: ReleaseContent, tmp_path: Path) -> None:
    rows = sdmx.dataset_rows(content, "VNM")
    path = tmp_path / "VNM.xml"
    write_message(path, rows, CITIZEN, FACTS)
    compare(path, rows)
    text = path.read_text("utf-8")
    for before, after in (('OBS_VALUE="', 'OBS_VALUE="1'), ("<Obs ", '<Obs ODD="1" '), ("mes:Test>", "mes:Tost>")):
        (tmp_path / "damaged.xml").write_text(text.replace(before, after), "utf-8")
        with pytest.raises(SdmxError):
            compare(tmp_path / "damaged.xml", rows)
    with pytest.raises(SdmxError, match="rows where"):
        compare(path, pl.concat([rows, rows.tail(1)]))


# --- files and their readers ---------------------------------------------------------------------------------


def test_pysdmx_reads_every_file_with_the_structure_beside_it(folder: Path, content: ReleaseContent) -> None:
    flows = (("citizen", sdmx.dataset_rows), ("gaps", sdmx.gap_rows))
    seen = 0
    for name, rows_of in flows:
        for iso3 in content.mappings.countries:
            rows = rows_of(content, iso3)
            files = sorted((folder / name).glob(f"{iso3}.*"))
            assert len(files) == (2 if rows.height else 0)
            for path in files:
                seen += 1
                assert as_read(pysdmx_frame(path, folder / "structure.xml"), rows).equals(rows), path.name
    assert seen >= 20


def test_pysdmx_reads_the_structure(folder: Path) -> None:
    from pysdmx.io import read_sdmx
    from pysdmx.model import Codelist, DataStructureDefinition

    structures = read_sdmx(folder / "structure.xml", validate=True).structures or ()
    definitions = [item for item in structures if isinstance(item, DataStructureDefinition)]
    lists = {item.id: {code.id for code in item.codes} for item in structures if isinstance(item, Codelist)}
    assert {item.id for item in definitions} == {"SDG_CITIZEN", "SDG_GAPS"}
    for definition in definitions:
        assert [item.id for item in definition.components.dimensions] == [*KEY]
        mandatory = {item.id for item in definition.components.attributes if item.required}
        assert mandatory == {"OBS_STATUS", "UNIT_MULT", "UNIT_MEASURE"}
    for path in sorted(folder.glob("*/*.csv")):
        rows = pl.read_csv(path, infer_schema=False)
        for name, (identifier, _) in LISTS.items():
            if name in rows.columns:
                assert set(rows[name].drop_nulls()) <= lists[identifier], (path, name)


def test_sdmx1_reads_messages_and_csv(folder: Path, content: ReleaseContent) -> None:
    for name, structure, rows_of in (("citizen", CITIZEN, sdmx.dataset_rows), ("gaps", GAPS, sdmx.gap_rows)):
        rows = rows_of(content, "KEN")
        for path in (folder / name / "KEN.xml", folder / name / "KEN.csv"):
            assert as_read(sdmx1_frame(path, rows, structure, folder / "structure.xml"), rows).equals(rows), path.name


@functools.cache
def _definitions(path: Path) -> Any:
    import sdmx as sdmx1

    message: Any = sdmx1.read_sdmx(path)
    return message.structure


def sdmx1_frame(path: Path, rows: pl.DataFrame, structure: Structure, definitions: Path) -> pl.DataFrame:
    """What sdmx1 reads, as text."""
    import sdmx as sdmx1

    message: Any = sdmx1.read_sdmx(path, structure=_definitions(definitions)[structure.identifier])
    found = [_cells(observation, rows.columns) for dataset in message.data for observation in dataset.obs]
    return pl.DataFrame(found, schema=dict.fromkeys(rows.columns, pl.String))


def _cells(observation: Any, columns: list[str]) -> dict[str, str | None]:
    """Dimensions, value and attributes of an observation of sdmx1."""
    cells = {name: str(item.value) for name, item in observation.key.values.items()}
    cells |= {name: str(item.value) for name, item in observation.attrib.items()}
    value = observation.value
    cells["OBS_VALUE"] = "" if value is None or str(value) == "nan" else str(value)
    return {name: cells.get(name) or None for name in columns}


def test_the_same_content_gives_the_same_bytes(folder: Path, content: ReleaseContent, tmp_path: Path) -> None:
    sdmx.write(tmp_path, content)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.*"))
    assert files == sorted(path.relative_to(tmp_path / "sdmx") for path in (tmp_path / "sdmx").rglob("*.*"))
    assert all((folder / name).read_bytes() == (tmp_path / "sdmx" / name).read_bytes() for name in files)


def test_a_long_file_is_a_csv_alone(content: ReleaseContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdmx, "ROWS_OF_XML", 400)
    sdmx.write(tmp_path, content)
    assert (tmp_path / "sdmx/citizen/BGD.xml").is_file()
    assert sorted(path.name for path in (tmp_path / "sdmx/gaps").glob("KEN.*")) == ["KEN.csv"]


TEXT = strategies.text(
    strategies.one_of(
        strategies.sampled_from("\"'&<>\n\r\t,;\u200c\u200d\u00a0\u2028\ufeff=\\नेপ্রাहिन्दी`"),
        strategies.characters(codec="utf-8"),
    ),
    max_size=40,
)
NUMBER = strategies.one_of(strategies.none(), strategies.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=40, deadline=None)
@given(texts=strategies.lists(strategies.tuples(TEXT, TEXT, NUMBER), min_size=1, max_size=8))
def test_text_and_numbers_are_the_same_for_every_reader(
    texts: list[tuple[str, str, float | None]], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("text")
    rows = in_form(message_rows(texts), CITIZEN)
    check(rows, CITIZEN)
    write_message(place / "a.xml", rows, CITIZEN, FACTS)  # compares with its own reading
    write_csv(place / "a.csv", rows, CITIZEN)
    for name in ("a.xml", "a.csv"):
        assert as_read(pysdmx_frame(place / name), rows).equals(rows)
        # sdmx1 cuts a CSV into lines before it looks at quotes, and so loses the ends of lines inside cells.
        if name == "a.xml" or "\n" not in "".join(str(cell) for row in rows.iter_rows() for cell in row):
            assert as_read(sdmx1_frame(place / name, rows, CITIZEN, folder / "structure.xml"), rows).equals(rows)
    with (place / "a.csv").open(encoding="utf-8", newline="") as stream:
        lines = [{k: v or None for k, v in line.items()} for line in csv.DictReader(stream)]
    frame = pl.DataFrame(lines, schema=dict.fromkeys(lines[0], pl.String)).drop("STRUCTURE", "STRUCTURE_ID", "ACTION")
    assert as_read(frame, rows).equals(rows)


def message_rows(texts: list[tuple[str, str, float | None]]) -> pl.DataFrame:
    key = dict.fromkeys(DIMENSIONS, "_T")
    return pl.DataFrame(
        [
            {
                **key, "SERIES": f"S{place // 3}", "TIME_PERIOD": str(2000 + place), "OBS_VALUE": value,
                "OBS_STATUS": "O" if value is None else "G", "UNIT_MULT": "0", "UNIT_MEASURE": "PT",
                "COMMENT_OBS": comment, "SOURCE_DETAIL": producer,
            }
            for place, (comment, producer, value) in enumerate(texts)
        ],
        schema_overrides={"OBS_VALUE": pl.Float64},
    )  # fmt: skip


@pytest.mark.parametrize("text", ["न\u200dेपाल", "বাং\u200cলা \u200d", "\"x\" 'y' & <z>", "a\nb", "a\u00a0b", "=1+1"])
def test_text_that_other_writers_change(text: str, tmp_path: Path) -> None:
    rows = in_form(message_rows([(text, text, 1.5)]), CITIZEN)
    assert rows["COMMENT_OBS"].to_list() == [text]
    write_message(tmp_path / "a.xml", rows, CITIZEN, FACTS)
    write_csv(tmp_path / "a.csv", rows, CITIZEN)
    for name in ("a.xml", "a.csv"):
        assert pysdmx_frame(tmp_path / name)["COMMENT_OBS"].to_list() == [text]


def test_an_attribute_cannot_be_smuggled_in(tmp_path: Path) -> None:
    rows = in_form(message_rows([('x" OBS_VALUE="99', "p", 1.0)]), CITIZEN)
    write_message(tmp_path / "a.xml", rows, CITIZEN, FACTS)
    assert pysdmx_frame(tmp_path / "a.xml")["OBS_VALUE"].to_list() == ["1.0"]


# --- the hand-over -------------------------------------------------------------------------------------------


def test_a_hand_over_holds_accepted_national_class_a_alone(content: ReleaseContent, tmp_path: Path) -> None:
    component = next(c.code for item in content.mappings.indicators.values() for c in item.components)
    rows = [
        estimate(),
        estimate(chosen={"sex": "F"}),
        estimate(chosen={"marginalised_group": "dalit"}),
        estimate(chosen={"age": "25-59"}, series="IT_MOB_OWN"),  # no code in the official list
        estimate(series="SP_ACS_BSRVH2O", comparability="B"),
        estimate(series="IT_MOB_OWN", estimate=None, ci_low=None, ci_high=None, status="suppressed_small_count"),
        estimate(series=component),
        estimate(submission_id="npl-2020-local", area_level="admin1", area="NP-P2"),
        estimate(submission_id="npl-2020-quota", sampling_method="quota"),
        estimate(submission_id="npl-2020-open"),
        estimate(submission_id="npl-2020-objected"),
        estimate(submission_id="ken-2020-used", iso3="KEN"),
        estimate(submission_id="bgd-2020-used", iso3="BGD"),
    ]
    decisions = decided(
        ("npl-2020-a", "statistics_office", "accept", 1),
        ("npl-2020-local", "statistics_office", "accept", 1),
        ("npl-2020-quota", "statistics_office", "accept", 1),
        ("npl-2020-open", "partner", "publish", 1),
        ("npl-2020-objected", "statistics_office", "accept", 1),
        ("npl-2020-objected", "statistics_office", "object", 2),
        ("ken-2020-used", "statistics_office", "used_officially", 3),
        ("bgd-2020-used", "statistics_office", "accept", 3),
    )
    release = made(content, *rows, decisions=decisions)
    folder = tmp_path / "sdmx" / "hand_over"
    sdmx.write(tmp_path, release)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == [
        "BGD/bgd-2020-used.csv", "BGD/bgd-2020-used.xml", "KEN/ken-2020-used.csv", "KEN/ken-2020-used.xml",
        "NPL/npl-2020-a.csv", "NPL/npl-2020-a.xml",
    ]  # fmt: skip
    nepal = pysdmx_frame(folder / "NPL" / "npl-2020-a.xml")
    assert nepal.select("REPORTING_TYPE", "REF_AREA", "OBS_STATUS", "NATURE").unique().rows() == [("N", "NP", "A", "C")]
    dalit = f"C{list(content.mappings.groups).index('dalit') + 1:02d}"
    assert set(nepal.select("SERIES", "SEX", "AGE", "CUST_BREAKDOWN").rows()) == {
        ("SG_REG_BRTH", "_T", "Y0T4", "_T"), ("SG_REG_BRTH", "F", "Y0T4", "_T"), ("SG_REG_BRTH", "_T", "Y0T4", dalit),
    }  # fmt: skip
    assert nepal.filter(pl.col("CUST_BREAKDOWN") == dalit)["CUST_BREAKDOWN_LB"].to_list() == ["Dalits"]
    assert b"CBS-SDGs:SDG(1.4)" in (folder / "NPL" / "npl-2020-a.xml").read_bytes()
    assert set(pysdmx_frame(folder / "KEN" / "ken-2020-used.csv")["REF_AREA"]) == {"KE"}
    assert set(pysdmx_frame(folder / "BGD" / "bgd-2020-used.csv")["REF_AREA"]) == {"50"}
    others = list((tmp_path / "sdmx").glob("citizen/*.csv"))
    assert others
    assert not any("N" in pysdmx_frame(path)["REPORTING_TYPE"].to_list() for path in others)


def test_nothing_accepted_is_no_hand_over(folder: Path) -> None:
    assert not (folder / "hand_over").exists()


@pytest.mark.skipif(not NEPAL.exists(), reason="the structure of Nepal is not here")
def test_national_rows_are_codes_of_the_national_structure(content: ReleaseContent, tmp_path: Path) -> None:
    rows = sdmx.national_rows(content, "npl-2020-whole-country", accepted=True)
    structure = sdmx.national_structure(content.mappings, "NPL")
    assert structure == Structure.parse("CBS-SDGs:SDG(1.4)")
    assert rows.height > 100
    check(rows, structure)
    absent = codes_not_in(rows, NEPAL)
    absent.pop("SERIES", None)  # series that came after 2022
    assert absent == {}
    write_message(tmp_path / "a.xml", rows, structure, FACTS)
    assert as_read(pysdmx_frame(tmp_path / "a.xml", NEPAL), rows).equals(rows)


def test_national_areas_are_first_level_areas_of_the_mappings(mappings: Mappings) -> None:
    table = pl.read_csv(mappings.folder / "framework" / "national_areas.csv", infer_schema=False)
    for iso3, area in table.select("iso3", "area").iter_rows():
        assert area is None or area in mappings.countries[iso3].admin1


# --- the global structure ------------------------------------------------------------------------------------


def codes_not_in(rows: pl.DataFrame, structure: Path, own: Mapping[str, set[str]] | None = None) -> dict[str, set[str]]:
    """Codes that the lists of a structure message do not have, by component."""
    import sdmx as sdmx1

    message: Any = sdmx1.read_sdmx(structure)
    (definition,) = message.structure.values()
    absent: dict[str, set[str]] = {}
    for component in (*definition.dimensions, *definition.attributes):
        shape = component.local_representation
        if component.id in rows.columns and shape is not None and shape.enumerated is not None:
            missing = set(rows[component.id].drop_nulls()) - set(shape.enumerated.items)
            if missing - (own or {}).get(component.id, set()):
                absent[component.id] = missing
    return absent


@pytest.mark.skipif(not GLOBAL.exists(), reason="the global structure is not here")
def test_dimensions_and_attributes_are_those_of_the_global_structure() -> None:
    import sdmx as sdmx1

    message: Any = sdmx1.read_sdmx(GLOBAL)
    (definition,) = message.structure.values()
    assert [item.id for item in definition.dimensions] == [*KEY]
    assert [item.id for item in definition.attributes] == [item.name for item in CITIZEN.attributes]
    levels = {item.id: type(item.related_to).__name__ for item in definition.attributes}
    assert levels == {
        item.name: "DimensionRelationship" if item.level == "series" else "PrimaryMeasureRelationship"
        for item in CITIZEN.attributes
    }


@pytest.mark.skipif(not GLOBAL.exists(), reason="the global structure is not here")
def test_a_pinned_structure_that_lacks_a_code_stops_the_release(content: ReleaseContent, tmp_path: Path) -> None:
    row = estimate(series="SG_REG_BRTH")
    release = made(content, row)
    pinned = replace(release, tables={**release.tables, "data_gaps": release.tables["data_gaps"].clear()})
    good = replace(pinned, settings=replace(pinned.settings, sdmx_structure=GLOBAL))
    sdmx.write(tmp_path / "good", good)
    lacking = tmp_path / "newer.xml"
    lacking.write_bytes(GLOBAL.read_bytes().replace(b"SG_REG_BRTH", b"SG_REG_OTHER"))
    with pytest.raises(SdmxError, match="SERIES: SG_REG_BRTH"):
        sdmx.write(tmp_path / "bad", replace(pinned, settings=replace(pinned.settings, sdmx_structure=lacking)))
    with pytest.raises(SdmxError, match=r"gone\.xml is no file"):
        absent = tmp_path / "gone.xml"
        sdmx.write(tmp_path / "bad", replace(pinned, settings=replace(pinned.settings, sdmx_structure=absent)))


@pytest.mark.skipif(not CONSTRAINTS.exists(), reason="the content constraints are not here")
def test_content_constraints_remove_no_row(content: ReleaseContent) -> None:
    """Every series of the constraints in every stratum that there is: no code that they do not admit."""
    constraints = pl.read_csv(CONSTRAINTS, infer_schema=False).filter(pl.col("SEX").is_not_null())
    book = code_book(content.mappings)
    strata = content.tables["data_gaps"].select(stratum_columns({}).keys()).unique("stratum")
    crossings: list[dict[str, str]] = [{name: code} for name, (_, codes) in book.breakdowns.items() for code in codes]
    crossings += [{"sex": "F", "age": "15-24"}, {"sex": "M", "disability": "yes"}, {"sex": "F", "wealth": "Q1"}]
    strata = pl.concat([strata, pl.DataFrame([stratum_columns(chosen) for chosen in crossings])]).unique("stratum")
    library = {item.code for indicator in content.mappings.indicators.values() for item in indicator.series}
    computed = constraints.filter(pl.col("SERIES").is_in(library))
    assert computed.height > 50
    frame = computed.select(series="SERIES").join(strata, how="cross")
    keyed = (
        with_key(frame, book, pl.lit("x")).rename({"series": "SERIES"}).join(computed, on="SERIES", suffix=".allowed")
    )
    problems = []
    for name in ("SEX", "AGE", "URBANISATION", "EDUCATION_LEV", "DISABILITY_STATUS", "OCCUPATION",
                 "INCOME_WEALTH_QUANTILE", "PRODUCT", "COMPOSITE_BREAKDOWN"):  # fmt: skip
        allowed = pl.col(f"{name}.allowed")
        wrong = keyed.filter((allowed != "ALL") & ~allowed.str.split(";").list.contains(pl.col(name)))
        problems += wrong.select("SERIES", pl.lit(name), name, allowed.str.slice(0, 60)).unique().rows()
    # The library says that the whole country is the headline of these two, the constraints that the towns are.
    problems = [problem for problem in problems if problem[0] not in ("EN_LND_SLUM", "EN_LND_SLUMN")]
    assert problems == []


@pytest.mark.skipif(not CONSTRAINTS.exists(), reason="the content constraints are not here")
def test_units_are_those_of_the_content_constraints(content: ReleaseContent) -> None:
    allowed = dict(pl.read_csv(CONSTRAINTS, infer_schema=False).select("SERIES", "UNIT_MEASURE").iter_rows())
    rows = pl.concat([sdmx.dataset_rows(content, iso3) for iso3 in content.mappings.countries], how="diagonal")
    official = rows.filter(pl.col("SERIES").is_in(list(allowed)))
    assert official.height > 500
    expected = official["SERIES"].replace_strict(allowed)
    assert official.filter(official["UNIT_MEASURE"] != expected).is_empty()


@pytest.mark.skipif(not GLOBAL.exists(), reason="the global structure is not here")
def test_codes_that_are_not_marked_own_are_global_codes(content: ReleaseContent) -> None:
    rows = pl.concat([sdmx.dataset_rows(content, iso3) for iso3 in content.mappings.countries], how="diagonal")
    own = {
        name: {code for code, (_, is_own, _) in named(name, set(rows[name].drop_nulls()), content).items() if is_own}
        for name in LISTS
        if name in rows.columns
    }
    absent = codes_not_in(rows, GLOBAL, own)
    absent.pop("SERIES", None)  # series that came after 2021 are in the library, and not in this structure
    assert absent == {}
    assert own["AGE"] == {"Y25T59"}
    assert not own["SEX"] | own["UNIT_MEASURE"] | own["OBS_STATUS"]


def test_long_files_are_written_in_batches(content: ReleaseContent, tmp_path: Path) -> None:
    rows = sdmx.gap_rows(content, "KEN")
    many = pl.concat([rows.with_columns(TIME_PERIOD=pl.lit(str(1990 + place))) for place in range(8)]).sort(KEY)
    assert many.height > 25_000  # more than a batch
    write_message(tmp_path / "a.xml", many, GAPS, FACTS)
    text = (tmp_path / "a.xml").read_text("utf-8")
    assert text.count("<Series ") == text.count("</Series>") == rows.height
    assert text.count("<Obs ") == many.height
    assert io.StringIO(text).readline().startswith("<?xml")
