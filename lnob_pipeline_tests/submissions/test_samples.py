"""The bundled inbox: it is what its generator makes, says that it is synthetic, and fits its instruments both ways."""

import csv
import datetime
import functools
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument
from lnob_pipeline.submissions.manifest import Manifest, parse_manifest
from lnob_pipeline.submissions.readers import SourceTable, read_file

ROOT = Path(__file__).resolve().parents[2]
INBOX = ROOT / "data" / "submissions"
FOLDERS = sorted(path.parent for path in INBOX.glob("*/*/submission.yaml"))
WITHOUT_CONSENT, PARTLY_BAD = "ken-2019-no-consent", "ind-2020-partly-bad"
SUBMISSIONS = {
    "bgd-2019-named-groups",
    "ind-2019-thirteen-groups",
    "ind-2020-partly-bad",
    "ken-2019-household-survey",
    "ken-2019-no-consent",
    "mwi-2020-health-score-card",
    "nga-2020-discussions",
    "nga-2020-policy-review",
    "npl-2020-two-municipalities",
    "vnm-2020-ha-giang",
}


def manifest_of(folder: Path) -> Manifest:
    return parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")


@functools.cache
def tables_of(folder: Path) -> dict[str, SourceTable]:
    tables: dict[str, SourceTable] = {}
    for file in manifest_of(folder).files:
        if file.role in ("data", "participants"):
            tables |= read_file((folder / file.path).read_bytes(), file)
    return tables


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="session")
def faults() -> list[dict[str, str]]:
    text = (ROOT / "data" / "make_samples" / "planted_faults.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_ten_are_there():
    assert {folder.name for folder in FOLDERS} == SUBMISSIONS


def test_regeneration_gives_the_committed_bytes(tmp_path: Path):
    target = tmp_path / "submissions"
    (tmp_path / "make_samples").mkdir()
    subprocess.run(
        [sys.executable, "-m", "data.make_samples", "--to", target], cwd=ROOT, check=True, capture_output=True
    )
    made = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    kept = {
        p.relative_to(ROOT / "data").as_posix(): p.read_bytes()
        for p in [*INBOX.glob("*/*/*"), ROOT / "data/make_samples/planted_faults.csv"]
        if p.name != "submission.yaml"
    }
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name] != kept[name]] == []


def test_manifest_is_complete_and_honest(folder: Path, mappings: Mappings):
    manifest = manifest_of(folder)
    assert manifest.submission == folder.name and folder.parent.name == manifest.country.lower()
    assert manifest.synthetic and "synthetic" in manifest.title
    assert manifest.partner.publish
    assert manifest.ethics.approval_date < manifest.collection.start
    assert manifest.agreement.retention_until > datetime.date(2028, 1, 1)
    assert manifest.engagement.is_citizen_data
    assert manifest.year in (2019, 2020)
    assert set(manifest.groups) <= set(mappings.groups)
    assert set(manifest.geography.admin1) <= set(mappings.countries[manifest.country].admin1)
    assert mappings.instruments[manifest.instrument].data_type == manifest.data_type
    assert {file.path for file in manifest.files} == {p.name for p in folder.iterdir()} - {"submission.yaml"}
    for path in folder.iterdir():
        assert path.stat().st_size < 1_500_000, f"{path.name} is too large to live in the repository"


def test_instrument_covers_every_column_both_ways(folder: Path, mappings: Mappings):
    instrument = mappings.instruments[manifest_of(folder).instrument]
    tables = tables_of(folder)
    assert set(tables) == {record.table for record in instrument.records.values()}
    for record in instrument.records.values():
        present, listed = set(tables[record.table].frame.columns), set(record.columns)
        absent = {"consent"} if folder.name == WITHOUT_CONSENT else set()
        assert present - listed == set()
        assert listed - present == absent


def test_manifest_and_instrument_name_the_same_design_and_consent(folder: Path, mappings: Mappings):
    manifest = manifest_of(folder)
    instrument = mappings.instruments[manifest.instrument]
    by_variable = {c.variable: name for r in instrument.records.values() for name, c in r.columns.items() if c.variable}
    sampling = manifest.sampling
    assert sampling.strata == by_variable.get("stratum")
    assert sampling.cluster == by_variable.get("cluster")
    assert sampling.weight == by_variable.get("household_weight")
    assert sampling.finite_population == by_variable.get("population_clusters")
    if instrument.consent:
        assert (instrument.consent.column, instrument.consent.affirmative) == (
            manifest.consent.column,
            manifest.consent.affirmative,
        )


def unknown_codes(table: SourceTable, columns: dict[str, Column], mappings: Mappings) -> set[tuple[int, str, str]]:
    """(row, column, code) of each answer that is neither mapped nor declared missing."""
    found = set()
    for name, column in columns.items():
        coded = column.variable and (mappings.codes(column.variable) or column.codes)
        if not coded and not (column.role and column.codes):
            continue
        known = {
            *column.codes,
            *column.positive,
            *column.negative,
            *(c for kind in column.missing.values() for c in kind),
        }
        for row, answer in zip(table.row_numbers, table.frame[name], strict=True):
            if answer is not None:
                codes = answer.split(column.separator) if column.select == "multiple" else [answer]
                found |= {(row, name, code) for code in codes if code not in known}
    return found


def test_every_code_is_mapped_or_planted(folder: Path, mappings: Mappings, faults: list[dict[str, str]]):
    instrument = mappings.instruments[manifest_of(folder).instrument]
    tables = tables_of(folder)
    unknown = set()
    for record in instrument.records.values():
        columns = {name: c for name, c in record.columns.items() if name in tables[record.table].frame.columns}
        unknown |= unknown_codes(tables[record.table], columns, mappings)
    planted = {(int(f["row"]), f["column"], f["written"]) for f in faults if f["fault"] == "unknown_code"}
    assert len(planted) == 8
    assert unknown == (planted if folder.name == PARTLY_BAD else set())


def consenting(tables: dict[str, SourceTable], instrument: Instrument) -> pl.DataFrame:
    frame = tables[instrument.records["household"].table].frame
    assert instrument.consent is not None
    return frame.filter(pl.col(instrument.consent.column).is_in(instrument.consent.affirmative))


SURVEYS = [folder for folder in FOLDERS if manifest_of(folder).data_type == "household_survey"]


@pytest.mark.parametrize("survey", SURVEYS, ids=lambda survey: survey.name)
def test_achieved_sample_is_that_of_the_data(survey: Path, mappings: Mappings):
    manifest = manifest_of(survey)
    tables = tables_of(survey)
    if survey.name == WITHOUT_CONSENT:
        assert next(iter(tables.values())).frame.height == manifest.sample_size.achieved
    else:
        answered = consenting(tables, mappings.instruments[manifest.instrument])
        assert answered.height == manifest.sample_size.achieved <= manifest.sample_size.planned


ROSTERS = ["ken-2019-household-survey", "npl-2020-two-municipalities", "vnm-2020-ha-giang"]


@pytest.mark.parametrize("survey", ROSTERS)
def test_members_belong_to_their_household(survey: str, mappings: Mappings):
    folder = INBOX / survey[:3] / survey
    instrument = mappings.instruments[manifest_of(folder).instrument]
    tables = tables_of(folder)
    household, person = instrument.records["household"], instrument.records["person"]
    names = {c.variable: n for r in (household, person) for n, c in r.columns.items() if c.variable}
    households, persons = consenting(tables, instrument), tables[person.table].frame
    assert households[household.key].is_unique().all() and persons[person.key].is_unique().all()
    assert set(persons[person.parent_key]) == set(households[household.key])
    digits = str.maketrans("०१२३४५६७८९", "0123456789")
    size = {
        k: int(v.translate(digits)) for k, v in households.select(household.key, names["household_size"]).iter_rows()
    }
    counted = dict(persons.group_by(person.parent_key).len().iter_rows())
    assert size == counted
    chosen = persons.filter(pl.col(names["is_respondent"]).is_in(person.columns[names["is_respondent"]].positive))
    assert chosen[person.parent_key].is_unique().all()
    assert chosen.height > 0.9 * households.height


@pytest.mark.parametrize("survey", ["ken-2019-household-survey", "vnm-2020-ha-giang"])
def test_design_of_the_probability_samples(survey: str, mappings: Mappings):
    folder = INBOX / survey[:3] / survey
    sampling = manifest_of(folder).sampling
    frame = consenting(tables_of(folder), mappings.instruments[manifest_of(folder).instrument])
    weights = frame[sampling.weight].cast(pl.Float64)
    assert weights.is_between(50, 2000).all() and weights.std() / weights.mean() > 0.1
    assert frame.group_by(sampling.cluster).agg(pl.col(sampling.strata).n_unique())[sampling.strata].max() == 1
    clusters = frame.group_by(sampling.strata).agg(pl.col(sampling.cluster).n_unique())[sampling.cluster]
    assert clusters.min() >= 8
    if sampling.finite_population:
        frames = frame.group_by(sampling.strata).agg(
            pl.col(sampling.finite_population).unique().len().alias("values"),
            pl.col(sampling.finite_population).first().cast(pl.Int64).alias("frame"),
            pl.col(sampling.cluster).n_unique().alias("drawn"),
        )
        assert frames["values"].max() == 1 and (frames["frame"] > frames["drawn"]).all()


def test_kenya_is_plausible(mappings: Mappings):
    tables = tables_of(INBOX / "ken" / "ken-2019-household-survey")
    households, persons = (table.frame for table in tables.values())
    households = households.filter(pl.col("consent") == "yes").with_columns(pl.col("hh_weight").cast(pl.Float64))
    persons = persons.join(households, left_on="_parent_index", right_on="_index").with_columns(
        pl.col("age").cast(pl.Int64)
    )

    def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
        return frame.select(
            100 * (condition.fill_null(False) * pl.col("hh_weight")).sum() / pl.col("hh_weight").sum()
        ).item()

    grown = persons.filter(pl.col("age").is_between(5, 110))
    limited = pl.any_horizontal(pl.col(r"^wg_.*$").is_in(["3", "4"]))
    assert 5 <= share(grown, limited) <= 8
    assert share(grown.filter(pl.col("age") >= 60), limited) > 3 * share(grown.filter(pl.col("age") < 40), limited)
    assert 50 <= share(persons.filter(pl.col("age") < 5), pl.col("birth_registered").is_in(["1", "2", "3"])) <= 75
    asked = persons.filter(pl.col("is_respondent") == "yes")
    account = (pl.col("account") == "yes") | (pl.col("mobile_money") == "yes")
    assert 55 <= share(asked, account) <= 78
    assert share(asked.filter(limited), account) < share(asked.filter(~limited), account) - 5
    improved = ~pl.col("water_source").is_in(["32", "42", "81", "96", "98"])
    urban = pl.col("residence") == "urban"
    assert share(households.filter(urban), improved) > share(households.filter(~urban), improved) + 10
    assert 0.1 < intraclass_correlation(households, improved) < 0.45


def intraclass_correlation(frame: pl.DataFrame, condition: pl.Expr) -> float:
    """One-way analysis of variance within strata, clusters of nearly equal size."""
    values = frame.select(condition.cast(pl.Float64).alias("y"), "cluster_id", "stratum")
    values = values.with_columns(pl.col("y") - pl.col("y").mean().over("stratum"))
    cells = values.group_by("cluster_id").agg(
        pl.col("y").mean().alias("mean"), pl.col("y").var().alias("within"), pl.len()
    )
    size = cells["len"].mean()
    between = cells["mean"].var() * size
    within = float(np.average(cells["within"], weights=cells["len"] - 1))
    return (between - within) / (between + (size - 1) * within)


def test_planted_faults_stand_where_the_list_says(faults: list[dict[str, str]]):
    table = tables_of(INBOX / "ind" / PARTLY_BAD)["responses"]
    rows = dict(zip(table.row_numbers, table.frame.iter_rows(named=True), strict=True))
    assert {fault["submission"] for fault in faults} == {PARTLY_BAD}
    kinds = {fault["fault"] for fault in faults}
    assert kinds == {
        "duplicate_identity",
        "unknown_code",
        "impossible_number",
        "not_a_number",
        "not_a_date",
        "outside_collection",
        "consent_refused",
        "refused_with_answers",
    }
    for fault in faults:
        assert rows[int(fault["row"])][fault["column"]] == fault["written"]
    refused = {int(f["row"]) for f in faults if f["fault"] == "consent_refused"}
    assert {row for row, cells in rows.items() if cells["सहमति"] == "नहीं"} == refused and len(refused) == 6
    for row in refused:  # answers are there although consent is not: they must end nowhere
        assert sum(value is not None for value in rows[row].values()) > 25


def test_inbox_holds_what_its_formats_promise():
    india = (INBOX / "ind/ind-2019-thirteen-groups/responses.csv").read_bytes()
    assert india.startswith(b"\xef\xbb\xbf") and india.count(b";") > 40_000
    table = tables_of(INBOX / "ind/ind-2019-thirteen-groups")["responses"].frame
    assert table["परिवार की वार्षिक आय (रुपये)"].str.contains(r"^\d{1,2},\d{2},\d{3}$").any()
    assert {"999", "-999"} <= set(table["पानी लाने में समय, कतार सहित (मिनट)"])
    nepal = tables_of(INBOX / "npl/npl-2020-two-municipalities")["two_municipalities"].frame
    dates = nepal["visit-visit_date"]
    assert 3 <= dates.str.starts_with("2076-").sum() <= 15 and dates.str.contains("[०-९]").any()
    bangladesh = tables_of(INBOX / "bgd/bgd-2019-named-groups")["responses"]
    assert bangladesh.missing_codes["fin1"] == ["97 to 99"] and bangladesh.missing_codes["w4"] == ["997", "998"]
    assert bangladesh.value_labels["sex"]["2"] == "Female"
    excerpts = tables_of(INBOX / "nga/nga-2020-discussions")["highlights"].frame
    assert excerpts["id"].n_unique() < excerpts.height
    kenya = tables_of(INBOX / "ken/ken-2019-household-survey")
    assert list(kenya) == ["Household survey KE 2019", "roster"]
    assert kenya["roster"].frame["_parent_table_name"].unique().to_list() == ["Household survey KE 2019"]
    both = kenya["Household survey KE 2019"].frame.filter(pl.col("groups") == "women_headed single_women")
    assert both.height > 0
    assert both.select("groups/women_headed", "groups/single_women", "groups/refugee").unique().rows() == [
        ("1", "1", "0")
    ]


def test_nobody_can_be_reached():
    """Telephone numbers lie in one block a country, and names carry the word for example."""
    blocks = {
        "bgd": "+8801700000",
        "ind": "+91 90000 00",
        "ken": "+254700000",
        "npl": "+9779800000",
        "vnm": "+849000000",
    }
    columns = {"bgd": "mobile", "ind": "मोबाइल नंबर", "npl": "visit-phone", "vnm": "phone"}
    for folder in SURVEYS:
        country = folder.parent.name
        column = columns.get(country) or ("head_phone" if folder.name == WITHOUT_CONSENT else "respondent_phone")
        numbers = next(iter(tables_of(folder).values())).frame[column].drop_nulls()
        assert numbers.len() and numbers.str.starts_with(blocks[country]).all()
