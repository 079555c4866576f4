"""`lnob estimate` as a statistician meets it, and the page about it: every block of the page is run."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from lnob_pipeline.estimation import Design, LonelyPsu, Mean, estimate
from lnob_pipeline.estimation.intervals import KINDS
from lnob_pipeline.estimation.reliability import CLASSES, PROFILES
from lnob_pipeline.estimation.survey_file import CsvForm, DesignFile
from lnob_pipeline_tests import command

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "estimation.md").read_text("utf-8")
Done = subprocess.CompletedProcess[str]


def block(language: str) -> str:
    """The only block of code of a language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def lnob(folder: Path, *arguments: str) -> Done:
    return command.lnob(*arguments, folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the survey and the design file of the page."""
    shutil.copy(DOCS / "estimation_example.csv", tmp_path)
    (tmp_path / "design.yaml").write_text(block("yaml"), "utf-8")
    return tmp_path


EXAMPLE = ("estimate", "estimation_example.csv", "--design", "design.yaml")


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


# The page


def test_the_worked_example_prints_what_the_page_shows(folder: Path) -> None:
    program, *arguments = block("sh").split()
    assert program == "lnob"
    done = lnob(folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == lines(block("text"))
    (line,) = done.stderr.splitlines()
    assert "not disclosure controlled" in line


def answer_of(folder: Path) -> pl.DataFrame:
    assert lnob(folder, *EXAMPLE, "--by", "sex", "--out", "estimates.json").returncode == 0
    return pl.read_json(folder / "estimates.json")


def test_python_gives_what_the_command_gives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(block("python"), "docs/estimation.md", "exec"), names)
    by_command = answer_of(folder).filter(pl.col("sex").is_null() | pl.col("sex").is_in(["F", "M"]))
    for estimand, chosen in (("safe_water", pl.col("y") == "safe_water"), ("rooms", pl.col("y") == "rooms")):
        mine, page = (frame.filter(chosen).select("est", "se", "df", "n") for frame in (by_command, names["answer"]))
        assert mine.equals(page), estimand
    difference = names["gap"].filter(pl.col("contrast") == "difference", pl.col("y") == "safe_water")
    women, men = by_command.filter(pl.col("y") == "safe_water")["est"][1:]
    assert difference["est"].item() == pytest.approx(women - men, rel=1e-12)


def has_r_survey() -> bool:
    program = shutil.which("Rscript")
    if program is None:
        return False
    return subprocess.run([program, "-e", "library(survey)"], capture_output=True, check=False).returncode == 0


def test_r_gives_the_same(folder: Path) -> None:
    if not has_r_survey():
        pytest.skip("Rscript with the package survey is not installed")
    done = subprocess.run(
        ["Rscript", "-"], input=block("r"), capture_output=True, text=True, timeout=120, check=True, cwd=folder
    )
    share, rooms = [[float(n) for n in line.split()] for line in done.stdout.splitlines() if "." in line]
    women = answer_of(folder).filter(pl.col("sex") == "F")
    row = women.filter(pl.col("y") == "safe_water").row(0, named=True)
    assert share == pytest.approx([row["est"], row["se"], row["df"]], rel=1e-12)
    row = women.filter(pl.col("y") == "rooms").row(0, named=True)
    assert rooms == pytest.approx([row["est"], row["se"]], rel=1e-12)


def test_the_page_explains_every_word() -> None:
    frame = pl.DataFrame({"w": [1.0, 1.0], "y": [0, 1]})
    columns = {*estimate(frame, Design([], [], "w"), [Mean("y")], intervals=()).columns}
    states = {"ok", "degenerate", "not_estimable", "lonely_psu", "no_rows", "not_probability"}
    words = columns | states | {*KINDS} | {*get_args(LonelyPsu)} | {*CLASSES} | {*PROFILES}
    in_formulas = {"se", "cv", "deff"}
    of_the_row = {"estimand", "y", "x", "level", "stratum_depth", "est", "status"}
    assert not [word for word in words - in_formulas - of_the_row if f"`{word}`" not in PAGE]
    assert not [word for word in in_formulas if not re.search(rf"^{word} +=", PAGE, re.MULTILINE)]


def test_the_page_lists_every_key_of_the_design_file() -> None:
    keys = {*DesignFile.model_fields} - {"csv"} | {f"csv.{name}" for name in CsvForm.model_fields}
    keys |= {f"design.{name}" for name in Design.__dataclass_fields__}
    assert not [key for key in sorted(keys) if f"\n| `{key}` |" not in PAGE]


# The command


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_out_holds_every_column_and_digit(folder: Path, suffix: str) -> None:
    done = lnob(folder, *EXAMPLE, "--by", "sex", "--by", "district,sex", "--out", f"out/estimates.{suffix}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"33 estimates: out/estimates.{suffix}\n"
    assert [path.name for path in (folder / "out").iterdir()] == [f"estimates.{suffix}"]
    path = folder / "out" / f"estimates.{suffix}"
    readers: dict[str, Any] = {"parquet": pl.read_parquet, "csv": pl.read_csv, "json": pl.read_json}
    rows = readers[suffix](path)
    assert {"n_psu", "sum_w", "deff", "ci_logit_high", "status", "reliability", "stratum_depth"} <= {*rows.columns}
    women = rows.filter(pl.col("sex") == "F", pl.col("district").is_null(), pl.col("y") == "safe_water")
    assert women["se"].item() == pytest.approx(0.0723536167064421, rel=1e-13)
    if suffix == "json":
        assert json.loads(path.read_bytes())[0]["district"] is None


def test_cube_and_depth(folder: Path) -> None:
    done = lnob(folder, *EXAMPLE, "--cube", "sex,district,safe_water", "--depth", "2", "--out", "o.parquet")
    assert done.returncode == 0, done.stderr
    rows = pl.read_parquet(folder / "o.parquet").filter(pl.col("y") == "members")
    assert rows.group_by("stratum_depth").len().sort("stratum_depth")["len"].to_list() == [1, 2 + 4 + 2, 8 + 4 + 8]


def test_a_long_answer_is_cut_in_the_terminal_and_says_so(folder: Path) -> None:
    done = lnob(folder, *EXAMPLE, "--by", "sex", "--by", "village", "--by", "district,sex,safe_water")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "41 more rows: write them all with --out"


def test_no_probability_sample(folder: Path) -> None:
    text = re.sub(r"design:\n(  .*\n)+", "design: none\n", block("yaml"))
    (folder / "design.yaml").write_text(text, "utf-8")
    answer = answer_of(folder)
    assert set(answer["status"]) == {"not_probability"} and answer["se"].null_count() == answer.height


def test_a_level_that_looks_like_markup_is_shown_as_it_is(folder: Path) -> None:
    path = folder / "estimation_example.csv"
    path.write_text(path.read_text("utf-8").replace(",F,", ",[/],").replace(",M,", ",[red]M,"), "utf-8")
    done = lnob(folder, *EXAMPLE, "--by", "sex")
    assert done.returncode == 0, done.stderr
    assert "│ [/] " in done.stdout and "│ [red]M " in done.stdout


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (("", ""), ("--by", "Sex"), "error: --by: estimation_example.csv has no column 'Sex'. Is it 'sex'?"),
        (("", ""), ("--by", "sex", "--cube", "sex"), "error: Give --by or --cube, not both."),
        (
            ("", ""),
            ("--depth", "2"),
            "error: --depth says how many columns of --cube are crossed; give --cube as well.",
        ),
        (("", ""), ("--out", "o.xlsx"), "error: --out o.xlsx: the name must end in .parquet, .csv, .json."),
        (
            ("", ""),
            ("--out", "estimation_example.csv"),
            "error: --out estimation_example.csv is an input of this command",
        ),
        (
            ("clusters:", "cluster:"),
            (),
            "error: design.yaml:2: design.cluster: there is no such key. Is it 'clusters'?",
        ),
        (
            ("level: yes", "level: Yes"),
            (),
            "error: estimation_example.csv: no row of column 'safe_water' has the level",
        ),
        (
            ("mean: members", "mean: sex"),
            (),
            "error: estimation_example.csv: column 'sex' has cells that are no number: ",
        ),
        (("weights: weight", "weights: rooms"), (), "error: Column 'rooms' has missing weights"),
        (
            ("strata: [district]", "strata: [village, district]"),
            (),
            "error: design.yaml:1: design: Design.strata names 2",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    folder: Path, change: tuple[str, str], arguments: tuple[str, ...], message: str
) -> None:
    (folder / "design.yaml").write_text(block("yaml").replace(*change), "utf-8")
    before = sorted(folder.iterdir())
    done = lnob(folder, *EXAMPLE, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(message)
    assert sorted(folder.iterdir()) == before


def test_the_survey_itself_is_never_in_a_message_or_on_the_terminal(folder: Path) -> None:
    path = folder / "estimation_example.csv"
    rows = pl.read_csv(io.BytesIO(path.read_bytes()), infer_schema=False)
    rows = rows.with_columns(name=pl.lit("Wanjiku Kamau"), members=pl.lit("Wanjiku Kamau"))
    rows.write_csv(path)
    done = lnob(folder, *EXAMPLE)
    assert done.returncode == 2 and "column 'members' has cells that are no number" in done.stderr
    assert "Wanjiku" not in done.stdout + done.stderr
