"""`lnob gaps` and `lnob explain` on a whole run: what is told of a cell, what stays hidden, errors that help."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from lnob_pipeline.cli import app
from lnob_pipeline.cli_gaps import show_story
from lnob_pipeline.gaps import explain as stories
from lnob_pipeline.gaps.flags import FLAGS
from lnob_pipeline.gaps.typology import STATUSES
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.pipeline import run_all
from lnob_pipeline.publication import disclosure_rules as disclosure
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.homes import project_folder

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

SUBMISSIONS = ["ken-2019-household-survey", "mwi-2020-health-score-card"]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = project_folder(tmp_path_factory.mktemp("home"), SUBMISSIONS)
        patch.setenv("LNOB_HOME", str(folder))
        run_all(Settings.load(home=folder), "2026-11-23T00:00:00Z")
        yield folder


def lnob(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(*arguments: str) -> list[Row]:
    done = lnob("explain", *arguments, "--json")
    assert done.exit_code == 0, done.exception
    found: list[Row] = json.loads(done.stdout)
    return found


def released(home: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(home / "data" / "published" / "latest" / f"{table}.parquet")


def test_one_cell_told_in_full(home: Path, mappings: Mappings, root: Path) -> None:
    (story,) = told("KEN", "5.b.1")
    assert story["cell"]["status"] == "reported" and story["cell"]["as_of_year"] == 2020
    assert "2020-10" in story["cell"]["official_snapshot"]
    # Official values of the headline year by year, as the release of October 2020 has them.
    assert [(row["year"], row["value_text"], row["release"]) for row in story["official"]] == [
        (2015, "44.8235", "2020-10"),
        (2016, "44.8", "2020-10"),
    ]
    gap = released(home, "data_gaps").filter(
        (pl.col("iso3") == "KEN") & (pl.col("series") == "IT_MOB_OWN") & (pl.col("stratum") == "_T")
    )
    assert [row["flag"] for row in story["flags"]] == gap["flags"].item().split(",")
    (citizen,) = story["citizen"]
    shown = released(home, "citizen_estimates").filter(
        (pl.col("series") == "IT_MOB_OWN") & (pl.col("stratum") == "_T") & (pl.col("iso3") == "KEN")
    )
    assert citizen["citizen_estimate"] == shown["estimate"].item() and citizen["citizen_n"] == shown["n"].item()
    assert (citizen["submission_id"], citizen["relation"], citizen["flags"]) == (SUBMISSIONS[0], "beside", "")
    assert citizen["differences"].startswith("area: KE-17,KE-43 (admin1) against the country")
    assert citizen["differs_by"] == pytest.approx(citizen["citizen_estimate"] - 44.8)
    # The wording is that of the bank, the line is the line of the instrument.
    asked = {row["variable"]: row for row in citizen["asked"]}
    assert asked["mobile_device"]["wording"] == mappings.variables["mobile_device"].question["en"]
    file, number = asked["mobile_device"]["mapping_line"].split(":")
    line = (root / "indicator_mappings" / file).read_text("utf-8").splitlines()[int(number) - 1]
    assert line.strip().startswith("mobile_device:")  # the column of this form bears the same name
    assert {row["decided_by"] for row in citizen["decisions"]} == {"partner", "community"}
    assert story["closing"]["why_not"] == "there is an official value: nothing has to be closed"


def test_official_figures_are_named_with_their_day_where_there_is_none_of_the_cell_as_well(home: Path) -> None:
    folder = home / "data" / "published" / "latest"
    label = json.loads((folder / "manifest.json").read_text("utf-8"))["official_snapshot"]
    assert "2020-10" in label
    silent = released(home, "comparison").filter((pl.col("iso3") == "NPL") & (pl.col("indicator") == "14.7.1"))
    assert silent.is_empty()
    assert [story["cell"]["official_snapshot"] for story in told("NPL", "14.7.1")] == [label]
    for arguments in (["--country", "NPL", "--indicator", "14.7.1"], ["--summary", "--indicator", "14.7.1"]):
        assert label in " ".join(lnob("gaps", *arguments).stdout.split())


def test_a_series_that_the_release_lacks_is_not_said_to_be_the_only_one(home: Path) -> None:
    sentences = {story["cell"]["series"]: story["status"] for story in told("KEN", "3.8.2")}
    assert len(sentences) > 1, "the release has other series of the indicator"
    assert sentences["SH_OOP_XPD_EARNNET40"].startswith("The official release does not have this series, though it has")
    for story in told("KEN", "16.3.3"):
        assert story["status"].startswith("The official release has no series for the indicator")
    (unknown,) = told("KEN", "17.18.1")
    assert unknown["cell"]["status"] == "not_loaded", "the bundled figures are not the whole release"
    assert "database has the series" not in unknown["status"]


def test_a_gap_says_what_would_close_it_and_for_whom(home: Path) -> None:
    (story,) = told("kenya", "8.10.2", "--sex", "female", "--disability", "yes")
    assert story["cell"]["stratum"] == "sex=F;disability=yes"
    assert (story["cell"]["status"], story["cell"]["headline_status"]) == ("never_reported", "reported")
    assert story["closing"]["for"] == "Female, With disability"
    names = [row["variable"] for row in story["closing"]["questions"]]
    assert names[:2] == ["sex", "age"] and "difficulty_hearing" in names and "account_institution" in names


def test_an_indicator_without_a_file_in_the_library_says_so(home: Path, mappings: Mappings) -> None:
    assert "12.3.1" not in mappings.indicators
    found = told("KEN", "12.3.1")
    assert found
    for story in found:
        assert "no file for the indicator" in story["closing"]["why_not"] or story["cell"]["status"] == "not_loaded"
        assert story["closing"]["questions"] == [] and story["citizen"] == []
        assert "food loss" in story["cell"]["title"].lower()


def test_questions_in_another_language(home: Path, mappings: Mappings) -> None:
    (story,) = told("KEN", "8.10.2", "--sex", "F", "--language", "sw")
    wordings = {row["variable"]: row["wording"] for row in story["closing"]["questions"]}
    wordings |= {row["variable"]: row["wording"] for citizen in story["citizen"] for row in citizen["asked"]}
    assert wordings["account_institution"] == mappings.variables["account_institution"].question["sw"]


def test_a_hidden_number_is_nowhere_and_its_reason_is_told(home: Path) -> None:
    published = released(home, "citizen_estimates")
    before = pl.read_parquet(home / "data" / "lake" / "citizen_estimates" / f"{SUBMISSIONS[0]}.parquet")
    hidden = published.filter(pl.col("status").str.starts_with("suppressed")).join(
        before.filter(pl.col("estimate").is_not_null()), on=["submission_id", "series", "stratum"], suffix="_true"
    )
    assert hidden.height > 20
    for row in hidden.sort("series", "stratum").gather_every(max(hidden.height // 12, 1)).iter_rows(named=True):
        parts = [part.split("=") for part in row["stratum"].split(";")]
        options = [text for name, code in parts for text in (f"--{name.replace('_', '-')}", code)]
        arguments = ["KEN", row["indicator"], *options]
        if not row["series"].startswith("LNOB_"):
            arguments += ["--series", row["series"]]
        found = [item for story in told(*arguments) for item in story["citizen"] if item["series"] == row["series"]]
        assert found
        for item in found:
            numbers = ("citizen_estimate", "citizen_standard_error", "citizen_ci_low", "citizen_ci_high", "citizen_n")
            assert [item[name] for name in (*numbers, "differs_by")] == [None] * 6
            assert item["flags"] == "" and item["hidden_because"] == stories.HIDDEN[row["status"]]
        text = lnob("explain", *arguments).stdout
        assert stories.HIDDEN[row["status"]] in " ".join(text.split())
        assert f"{row['estimate_true']:,.1f} PERCENT" not in text


def test_no_published_table_keeps_a_flag_of_a_hidden_number(home: Path) -> None:
    shown = released(home, "comparison").filter(pl.col("citizen_estimate").is_not_null())
    key = ["iso3", "indicator", "series", "stratum"]
    pair = pl.col("flags").str.contains("discrepancy|differs_from_model")
    assert released(home, "data_gaps").filter(pair).join(shown, on=key, how="anti").is_empty()
    assert not released(home, "comparison")["gap_flags"].drop_nulls().str.contains("discrepancy|differs").any()


def test_a_story_fits_a_hundred_columns_and_loses_nothing(home: Path, mappings: Mappings) -> None:
    settings = Settings.load(home=home)
    folder = home / "data" / "published" / "latest"
    for country, indicator, categories in (
        ("KEN", "5.b.1", {}),
        ("KEN", "1.4.1", {"disability": "yes"}),
        ("MWI", "1.4.1", {}),
        ("KEN", "8.10.2", {"marginalised_group": "refugees"}),
    ):
        for story in stories.explain(folder, mappings, settings, country, indicator, categories):
            stream = io.StringIO()
            show_story(story, Console(file=stream, width=100, highlight=False))
            text = stream.getvalue()
            assert max(map(len, text.splitlines())) <= 100
            assert "…" not in text and "None" not in text
            flat = " ".join(text.split())
            for row in story.flags:
                assert row["flag"] in flat and row["sentence"] in flat
            for heading in ("What is official", "What citizens say", "What would close it", "What is hidden, and why"):
                assert heading in text


def test_evidence_is_told_and_never_as_a_share(home: Path) -> None:
    (story, *_) = told("MWI", "1.4.1")
    assert {row["submission_id"] for row in story["evidence"]} == {SUBMISSIONS[1]}
    text = lnob("explain", "MWI", "1.4.1").stdout
    assert "on a scale from 1 to 5" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Kenia", "8.10.2"], ["Kenia", "did you mean KEN (Kenya)"]),
        (["KEN", "8.10"], ["8.10", "8.10.2"]),
        (["KEN", "sg_reg_brth"], ["SG_REG_BRTH is a series of 16.9.1"]),
        (["KEN", "8.10.2", "--sex", "femal"], ["category of sex", "F (Female)"]),
        (["KEN", "8.10.2", "--group", "refugee"], ["category of marginalised_group", "refugees"]),
        (["KEN", "8.10.2", "--series", "FB_BNK"], ["series", "FB_BNK_ACCSS"]),
        (["KEN", "8.10.2", "--sex", "F", "--location", "R"], ["sex=F;location=R is not expected", "location=R"]),
    ],
)
def test_errors_name_what_is_near(home: Path, arguments: list[str], words: list[str]) -> None:
    done = lnob("explain", *arguments)
    assert isinstance(done.exception, ValueError)
    for word in words:
        assert word in str(done.exception)


def test_every_code_has_a_sentence(mappings: Mappings) -> None:
    assert set(stories.STATUS) == set(STATUSES)
    assert set(stories.FLAG) == set(FLAGS)
    hidden = {disclosure.SMALL_SAMPLE, disclosure.SMALL_NUMBER, disclosure.TO_PROTECT, disclosure.FEW_PARTICIPANTS}
    assert hidden <= set(stories.HIDDEN)
    assert stories.people("sex=F;disability=yes", mappings).startswith("Sex: Female; Disability")


def test_rows_are_filtered_by_country_indicator_status_and_flag(home: Path) -> None:
    gaps = released(home, "data_gaps")
    found = lnob("gaps", "--country", "KEN", "--status", "none_since_2015", "--flag", "stale").stdout
    wanted = gaps.filter(
        (pl.col("iso3") == "KEN")
        & (pl.col("stratum") == "_T")
        & (pl.col("status") == "none_since_2015")
        & pl.col("flags").str.split(",").list.contains("stale")
    )
    assert wanted.height and found.count("KEN") == wanted.height
    assert isinstance(lnob("gaps", "--status", "never").exception, ValueError)
    assert "never_reported" in str(lnob("gaps", "--status", "never").exception)
    assert isinstance(lnob("gaps", "--by", "goal").exception, ValueError)
    assert isinstance(lnob("gaps", "--summary", "--flag", "stale").exception, ValueError)


def test_the_summary_prints_the_counts_of_the_table_coverage(home: Path) -> None:
    text = lnob("gaps", "--summary").stdout
    assert "Judged as of 2020" in text and "release 2020-10" in text and "…" not in text
    coverage = released(home, "coverage").filter((pl.col("category") == "_all") & (pl.col("breakdown") == "headline"))
    names = [
        f"{name}{ending}"
        for name in ("n_one_year", "n_two_years", "n_two_years_and_baseline")
        for ending in ("", "_country_data", "_country")
    ]
    kenya = coverage.filter(pl.col("iso3") == "KEN").select(pl.col("n_judged", *names).sum()).row(0)
    section = text[text.index("Headlines, one a series: how many") :]
    line = next(line for line in section.splitlines() if line.split()[:1] == ["KEN"])
    assert [int(cell.replace(",", "")) for cell in line.split()[1:]] == list(kenya)
    for by in ("goal", "group"):
        counted = lnob("gaps", "--summary", "--by", by, "--country", "KEN")
        assert counted.exit_code == 0 and "…" not in counted.stdout


def test_without_a_release_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_HOME", str(project_folder(tmp_path, [])))
    for command in (["gaps", "--summary"], ["explain", "KEN", "8.10.2"]):
        done = lnob(*command)
        assert isinstance(done.exception, ValueError) and "lnob run" in str(done.exception)
