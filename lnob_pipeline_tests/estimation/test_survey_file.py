"""The files of `lnob estimate`: what they may say, and that no cell is guessed at, lost or repeated in a message."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.estimation import Combination, Design, EstimationInputError, Mean, Proportion, Ratio, Total, estimate
from lnob_pipeline.estimation.survey_file import (
    DesignFile,
    breakdowns,
    check_output,
    estimate_file,
    for_reading,
    read_design_file,
    write_answer,
)
from lnob_pipeline_tests.thorough import tries

DESIGN = "design:\n  clusters: [village]\n  strata: [district]\n  weights: weight\n"
FRAME = pl.DataFrame(
    {
        "district": ["a"] * 6 + ["b"] * 6,
        "village": ["01", "01", "1", "1", "2", "2"] * 2,
        "weight": ["1.5", "2", " 2.25 ", "+1", "1e0", ".5"] * 2,
        "water": ["yes", "no", "yes", "no", "no", "NA", "yes", "yes", "no", "", "no", "yes"],
        "rooms": ["2", "3", "", "4.", "1", "NA", "2", "5", "1", "2", "3", "4"],
        "members": ["4", "5", "3", "2", "6", "1", "7", "2", "3", "4", "5", "1"],
        "sex": ["F", "M", "F", "M", "F", "M", "F", "M", "NA", "M", "F", "M"],
    }
)


def _request(tmp_path: Path, text: str) -> DesignFile:
    path = tmp_path / "design.yaml"
    path.write_text(text, "utf-8")
    return read_design_file(path)


def _csv(tmp_path: Path, name: str = "survey.csv", separator: str = ",", **change: Any) -> Path:
    FRAME.with_columns(**change).write_csv(tmp_path / name, separator=separator)
    return tmp_path / name


# The design file


def test_everything_a_design_file_can_say(tmp_path: Path) -> None:
    request = _request(
        tmp_path,
        """
design:
  clusters: [psu, ssu]
  strata: [h]
  weights: w
  population_sizes: [N1, N2]
  nested: no
  lonely_psu: average
  adjust_domain_lonely: true
estimands:
  - {mean: age}
  - {proportion: water, level: yes, name: safe water}
  - {proportion: literate}
  - {ratio: {y: rooms, x: members}}
  - {total: income}
  - combination:
      - {proportion: school, level: 1}
      - {proportion: clinic, level: no}
    name: services
intervals: [wilson, nchs]
confidence: 0.9
reliability: nchs_2017
csv:
  delimiter: tab
  missing: ['', '.', NA]
""",
    )
    assert request.design == Design(["psu", "ssu"], ["h"], "w", ["N1", "N2"], False, "average", True)
    assert [item.estimand() for item in request.estimands] == [
        Mean("age"),
        Proportion("water", "yes", "safe water"),
        Proportion("literate"),
        Ratio("rooms", "members"),
        Total("income"),
        Combination([Proportion("school", "1"), Proportion("clinic", "no")], "services"),
    ]
    assert (request.intervals, request.confidence, request.reliability) == (("wilson", "nchs"), 0.9, "nchs_2017")
    assert (request.csv.delimiter, request.csv.missing) == ("tab", ("", ".", "NA"))


@pytest.mark.parametrize("word", ["none", "null", "~"])
def test_no_probability_sample(tmp_path: Path, word: str) -> None:
    assert _request(tmp_path, f"design: {word}\nestimands: [{{mean: age}}]\n").design is None


@pytest.mark.parametrize("level", ["yes", "no", "on", "NO", "true", "1", "01", "1.0", "~", "2020-01-01"])
def test_a_level_is_the_text_that_was_written(tmp_path: Path, level: str) -> None:
    request = _request(tmp_path, DESIGN + f"estimands:\n  - {{proportion: y, level: {level}}}\n")
    assert request.estimands[0].estimand() == Proportion("y", level)


MEAN = "estimands:\n  - {mean: age}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "design:\n  cluster: [a]\n" + MEAN,
            r"^design\.yaml:2: design\.cluster: there is no such key\. Is it 'clusters'",
        ),
        (DESIGN + "estimands:\n  - {maen: age}\n", r"yaml:6: estimands\.0\.maen: .*Is it 'mean'"),
        (DESIGN + MEAN + "interval: [t]\n", r"yaml:7: interval: .*'intervals'"),
        (DESIGN + MEAN + "csv:\n  missin: [x]\n", r"yaml:8: csv\.missin: .*'missing'"),
        (DESIGN + MEAN + "contrast: 1\nby: x\n", r"yaml:7: contrast: .*\ndesign\.yaml:8: by: "),
        ("estimands: [{mean: a}]\n", r"design: is missing"),
        ("design:\nestimands: [{mean: a}]\n", r"yaml:1: design: is empty; .*or write none"),
        (DESIGN, r"estimands: is missing"),
        (DESIGN + "estimands: []\n", r"yaml:5: estimands: .*at least 1"),
        (DESIGN + "estimands:\n  mean: age\n", r"yaml:5: estimands: write a list"),
        (DESIGN + "estimands: [age]\n", r"estimands\.0: write key: value pairs"),
        (DESIGN + "estimands: [{name: x}]\n", r"estimands\.0: names no estimand; one item is one of mean, "),
        (DESIGN + "estimands: [{mean: a, total: b}]\n", r"estimands\.0: names mean and total"),
        (DESIGN + "estimands: [{mean: a, level: b}]\n", r"a mean has no level"),
        (DESIGN + "estimands: [{mean: }]\n", r"estimands\.0\.mean: .*at least 1 character"),
        (DESIGN + "estimands: [{ratio: {y: a}}]\n", r"estimands\.0\.ratio\.x: is missing"),
        (DESIGN + "estimands: [{combination: [{mean: a}]}]\n", r"combination\.0\.proportion: is missing"),
        (DESIGN + MEAN + "intervals: [bayes]\n", r"yaml:7: intervals\.0: .*'t', 'normal', 'logit'"),
        (DESIGN + MEAN + "confidence: 95\n", r"confidence: .*less than 1"),
        (DESIGN + MEAN + "reliability: nchs_2017\n", r"needs the interval nchs: add it to intervals"),
        (DESIGN + MEAN + "reliability: who\n", r"reliability: .*'dhs', 'nchs_2017', 'cv' or 'none'"),
        (DESIGN + MEAN + "csv: {delimiter: '|'}\n", r"csv\.delimiter: .*',', ';' or 'tab'"),
        (DESIGN + "  lonely_psu: ignore\n" + MEAN, r"yaml:5: design\.lonely_psu: .*'certainty', 'remove', 'adjust'"),
        (DESIGN + "  nested: perhaps\n" + MEAN, r"design\.nested: .*boolean"),
        ("design:\n  clusters: psu\n" + MEAN, r"design\.clusters: write a list, for example \[psu\]"),
        ("design:\n  clusters: [a, b, c]\n" + MEAN, r"yaml:1: design: .*at most two"),
        ("design: simple random sample\n" + MEAN, r"yaml:1: design: write key: value pairs"),
        (
            DESIGN + MEAN + "confidence: 0.9\nconfidence: 0.95\n",
            r"^design\.yaml:8: not YAML: the key confidence is there",
        ),
        ("design: [\n", r"^design\.yaml:\d: not YAML: "),
        ("", r"^design\.yaml:1: the file: write key: value pairs"),
    ],
)
def test_a_wrong_design_file_is_refused_with_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EstimationInputError, match=message):
        _request(tmp_path, text)


# Breakdowns


def test_breakdowns_from_the_command_line() -> None:
    assert breakdowns([]) == [()]
    assert breakdowns(["sex", " sex , region"]) == [(), ("sex",), ("sex", "region")]
    assert breakdowns([], "a,b,c", 2) == [(), ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")]
    assert len(breakdowns([], "a,b,c")) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["sex"], "a,b"), "--by or --cube, not both"),
        ((["sex"], None, 2), "give --cube as well"),
        ((["sex,"],), r"--by 'sex,': a column has no name"),
        (([""],), "a column has no name"),
        (([], "a,ci_t_low"), "--cube: 'ci_t_low' is called like a column of the answer"),
        ((["reliability"],), "'reliability' is called like"),
    ],
)
def test_breakdowns_that_make_no_sense(arguments: Any, message: str) -> None:
    with pytest.raises(EstimationInputError, match=message):
        breakdowns(*arguments)


# The data file

ESTIMANDS = """estimands:
  - {proportion: water, level: yes}
  - {mean: rooms}
  - {ratio: {y: rooms, x: members}}
"""
BY: list[tuple[str, ...]] = [(), ("sex",), ("district", "sex")]


def _expected(**options: Any) -> pl.DataFrame:
    missing = pl.col("water", "rooms", "sex").replace(["NA", ""], None)
    typed = FRAME.with_columns(missing).with_columns(
        pl.Series("weight", [1.5, 2, 2.25, 1, 1, 0.5] * 2), pl.col("rooms", "members").cast(pl.Float64)
    )
    estimands: list[Any] = [Proportion("water", "yes"), Mean("rooms"), Ratio("rooms", "members")]
    return estimate(typed, Design(["village"], ["district"], "weight"), estimands, BY, **options)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_gives_what_the_engine_gives_on_typed_columns(tmp_path: Path, separator: str) -> None:
    path = _csv(tmp_path, separator=separator)
    answer, notes = estimate_file(path, _request(tmp_path, DESIGN + ESTIMANDS), BY)
    assert answer.equals(_expected()) and notes == []
    assert answer["n_psu"][0] == 6  # village 01 is not village 1: nothing was read as a number that is an identifier


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    request = _request(tmp_path, DESIGN + ESTIMANDS)
    missing = pl.col("water", "rooms", "sex").replace(["NA", ""], None)
    weight = pl.Series("weight", [1.5, 2, 2.25, 1, 1, 0.5] * 2)
    typed = FRAME.with_columns(missing, weight).with_columns(pl.col("rooms", "members").cast(pl.Float64))
    typed.with_columns(pl.col("water").cast(pl.Categorical)).write_parquet(tmp_path / "survey.parquet")
    assert estimate_file(tmp_path / "survey.parquet", request, BY)[0].equals(_expected())


def test_a_byte_order_mark_quotes_line_breaks_and_names_that_differ_in_case(tmp_path: Path) -> None:
    text = '\ufeffw;W;"a, ""b""";g\r\n1;9;1;"x\ny;z"\r\n2;9;0;"x\ny;z"\r\n"1";9;1;é\r\n'
    (tmp_path / "s.csv").write_bytes(text.encode())
    request = _request(tmp_path, "design: {weights: w}\nestimands: [{proportion: 'a, \"b\"'}]\ncsv: {delimiter: ;}\n")
    answer, _ = estimate_file(tmp_path / "s.csv", request, [("g",)])
    assert answer["g"].to_list() == ["x\ny;z", "é"]
    assert answer["est"].to_list() == pytest.approx([1 / 3, 1.0])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_name_is_never_a_pattern(tmp_path: Path, suffix: str) -> None:
    request = _request(tmp_path, "design: {weights: w}\nestimands: [{mean: y}]\n")
    for name, y in (("survey1", 1.0), ("survey[1]*", 7.0)):
        frame, path = pl.DataFrame({"w": [1.0, 1.0], "y": [y, y]}), tmp_path / f"{name}.{suffix}"
        frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    assert estimate_file(path, request)[0]["est"].to_list() == [7.0]


NUMBERS = st.floats(1e-50, 1e100) | st.floats(-1e100, -1e-50) | st.integers(-(10**30), 10**30)


@settings(max_examples=tries(40))
@given(values=st.lists(NUMBERS, min_size=1, max_size=30))
def test_a_number_is_read_as_it_was_written(values: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    text = "y,g\n" + "".join(f"{value!r},{place}\n" for place, value in enumerate(values))
    (folder / "s.csv").write_text(text, "utf-8")
    answer, _ = estimate_file(folder / "s.csv", _request(folder, "design: none\nestimands: [{mean: y}]\n"), [("g",)])
    found = dict(answer.select("g", "est").iter_rows())
    read = [found[str(place)] for place in range(len(values))]
    # The engine adds in fixed point: a number is exact to 2^-100 of the largest.
    assert read == pytest.approx(values, rel=1e-14, abs=max(map(abs, values)) * 2**-100)


SECRET = "Wanjiku"


@pytest.mark.parametrize(
    ("column", "cell", "shown"),
    [
        ("rooms", SECRET, "rows 1, 8"),
        ("rooms", "1,5", "rows 1, 8"),
        ("rooms", "1 000", "rows 1, 8"),
        ("rooms", "nan", "rows 1, 8"),
        ("rooms", "inf", "rows 1, 8"),
        ("rooms", "0x1F", "rows 1, 8"),
        ("rooms", "1_0", "rows 1, 8"),
        ("members", "yes", "rows 1, 8"),
        ("weight", "-", "rows 1, 8"),
    ],
)
def test_a_cell_that_is_no_number_is_named_but_not_repeated(tmp_path: Path, column: str, cell: str, shown: str) -> None:
    change: dict[str, Any] = {column: pl.Series([cell if row in (0, 7) else v for row, v in enumerate(FRAME[column])])}
    path = _csv(tmp_path, **change)
    with pytest.raises(EstimationInputError) as caught:
        estimate_file(path, _request(tmp_path, DESIGN + ESTIMANDS))
    message = str(caught.value)
    assert message.startswith(f"survey.csv: column '{column}' has cells that are no number: {shown} (first row below")
    assert "csv: {missing:" in message and SECRET not in message


def test_what_is_missing_is_stated(tmp_path: Path) -> None:
    path = _csv(tmp_path, rooms=pl.col("rooms").replace("NA", "-99"))
    text = DESIGN + "estimands: [{mean: rooms}]\n"
    counted, _ = estimate_file(path, _request(tmp_path, text + "csv: {missing: ['']}\n"))
    missing, _ = estimate_file(path, _request(tmp_path, text + "csv: {missing: ['', -99]}\n"))
    assert (counted["n"][0], missing["n"][0]) == (11, 10)
    assert counted["est"][0] < 0 < missing["est"][0]
    with pytest.raises(EstimationInputError, match=r"'rooms' has cells that are no number: row 3 "):
        estimate_file(path, _request(tmp_path, text + "csv: {missing: []}\n"))
    levels, _ = estimate_file(path, _request(tmp_path, text + "csv: {missing: ['']}\n"), [("sex",)])
    assert levels["sex"].to_list() == ["F", "M", "NA"]  # where NA is not said to be missing, it is a level


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"w,y\n1,2\n1\n", r"s\.csv, line 3: 1 cells where the header has 2"),
        (b"w,y\n1,2\n1,2,3\n", r"s\.csv, line 3: 3 cells where the header has 2"),
        (b'w,y\n1,"Wanjiku\n1,2\n', r"s\.csv, line 2: this is not CSV"),
        ("w,y\n1,Wanjikú\n".encode("latin-1"), r"s\.csv, line 2: a letter is not UTF-8"),
        ("w,ý\n1,2\n".encode("latin-1"), r"the header is no CSV in UTF-8"),
        ("w,y\n1,2\n".encode("utf-16"), r"the header is no CSV in UTF-8"),
        (b"w,y,w\n1,2,3\n", r"s\.csv has the column 'w' twice"),
        (b"", r"s\.csv has no header"),
        (b"w;y,z\n1;2,3\n", r"more than one of comma, semicolon and tab.*csv: \{delimiter: ';'\}"),
        (b"w\n1\n", r"estimands\.0: s\.csv has no column 'y'\."),
        (b"w,y \n1,2\n", r"estimands\.0: s\.csv has no column 'y'\. Is it 'y '\?"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_without_what_it_holds(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s.csv").write_bytes(content)
    request = _request(tmp_path, "design: {weights: w}\nestimands: [{mean: y}]\n")
    with pytest.raises(EstimationInputError, match=message) as caught:
        estimate_file(tmp_path / "s.csv", request)
    assert "Wanjik" not in str(caught.value)


def test_a_column_that_is_not_there_is_named_with_the_key_that_asks_for_it(tmp_path: Path) -> None:
    path = _csv(tmp_path)
    for text, by, message in (
        (DESIGN.replace("weight\n", "wieght\n") + ESTIMANDS, [()], r"^design\.weights: .* 'wieght'\. Is it 'weight'\?"),
        (DESIGN.replace("[village]", "[villages]") + ESTIMANDS, [()], r"^design\.clusters: .* Is it 'village'\?"),
        (DESIGN + ESTIMANDS, [("Sex",)], r"^--by: survey\.csv has no column 'Sex'\. Is it 'sex'\?"),
        (DESIGN + "estimands: [{mean: rooms}, {total: member}]\n", [()], r"^estimands\.1: .* Is it 'members'\?"),
    ):
        with pytest.raises(EstimationInputError, match=message):
            estimate_file(path, _request(tmp_path, text), by)


@pytest.mark.parametrize("level", ["Yes", "YES", "' yes'"])
def test_a_level_in_other_letters_is_refused(tmp_path: Path, level: str) -> None:
    combination = f"estimands: [{{combination: [{{proportion: water, level: {level}}}]}}]\n"
    for text in (ESTIMANDS.replace("level: yes", f"level: {level}"), combination):
        with pytest.raises(EstimationInputError, match=r"survey\.csv: no row of column 'water' has the level"):
            estimate_file(_csv(tmp_path), _request(tmp_path, DESIGN + text))


def test_a_whole_number_with_decimals_is_not_taken_for_another_level(tmp_path: Path) -> None:
    path = _csv(tmp_path, water=pl.col("water").replace({"yes": "1.0", "no": "0.0"}))
    with pytest.raises(EstimationInputError, match=r"has the level '1', but some have it .*1\.0 for 1"):
        estimate_file(path, _request(tmp_path, DESIGN + ESTIMANDS.replace("yes", "1")))


def test_a_level_that_nobody_has_is_said(tmp_path: Path) -> None:
    answer, notes = estimate_file(
        _csv(tmp_path), _request(tmp_path, DESIGN + ESTIMANDS.replace("level: yes", "level: well"))
    )
    assert notes == ["no row of water has the level well: its share is 0"]
    assert (answer["est"][0], answer["status"][0]) == (0.0, "degenerate")


def test_errors_of_the_engine_come_through(tmp_path: Path) -> None:
    path = _csv(tmp_path, weight=pl.Series(["-1", *FRAME["weight"][1:]]))
    with pytest.raises(EstimationInputError, match=r"'weight' has negative weights: row 1 "):
        estimate_file(path, _request(tmp_path, DESIGN + ESTIMANDS))


def test_other_files_are_refused(tmp_path: Path) -> None:
    request = _request(tmp_path, "design: {weights: w}\nestimands: [{mean: y}]\n")
    (tmp_path / "s.xlsx").write_bytes(b"PK")
    with pytest.raises(EstimationInputError, match=r"s\.xlsx must be a \.parquet or \.csv file"):
        estimate_file(tmp_path / "s.xlsx", request)
    (tmp_path / "s.parquet").write_bytes(b"w,y\n1,2\n")
    with pytest.raises(EstimationInputError, match=r"s\.parquet is no Parquet file, or it is damaged"):
        estimate_file(tmp_path / "s.parquet", request)
    rows = 100_000
    frame = pl.DataFrame({"w": [1.0] * rows, "y": [math.sin(row) for row in range(rows)]})
    frame.write_parquet(tmp_path / "s.parquet")
    content = bytearray((tmp_path / "s.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = b"\x07" * 5000
    (tmp_path / "s.parquet").write_bytes(content)
    with pytest.raises(EstimationInputError, match=r"s\.parquet is damaged: part of it cannot be read"):
        estimate_file(tmp_path / "s.parquet", request)


def test_reliability_intervals_and_confidence_are_those_of_the_design_file(tmp_path: Path) -> None:
    text = DESIGN + ESTIMANDS + "intervals: [nchs, t, t]\nconfidence: 0.5\nreliability: nchs_2017\n"
    answer, _ = estimate_file(_csv(tmp_path), _request(tmp_path, text), BY)
    assert answer.drop("reliability").equals(_expected(intervals=("nchs", "t"), confidence=0.5))
    assert set(answer["reliability"]) == {"too_few_cases"}


# The answer


@pytest.fixture
def answer(tmp_path: Path) -> pl.DataFrame:
    return estimate_file(_csv(tmp_path), _request(tmp_path, DESIGN + ESTIMANDS + "reliability: dhs\n"), BY)[0]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json", ".CSV"])
def test_an_answer_is_written_whole_and_for_its_owner(answer: pl.DataFrame, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"estimates{suffix}"
    write_answer(answer, path)
    readers: dict[str, Any] = {
        ".parquet": pl.read_parquet,
        ".json": lambda file: pl.read_json(file, schema=answer.schema),
        ".csv": lambda file: pl.read_csv(file, schema=answer.schema),
    }
    assert readers[suffix.lower()](path).equals(answer)
    assert (list(path.parent.iterdir()), path.stat().st_mode & 0o777) == ([path], 0o600)
    first = path.read_bytes()
    write_answer(answer, path)
    assert path.read_bytes() == first


def test_a_write_that_fails_leaves_the_file_as_it_was(answer: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "estimates.csv"
    path.write_text("before", "utf-8")
    with pytest.raises(pl.exceptions.ComputeError):
        write_answer(answer.with_columns(nested=pl.lit([1])), path)
    assert path.read_text("utf-8") == "before"
    assert not list(tmp_path.glob(".*unfinished"))


def test_an_output_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EstimationInputError, match=r"--out o\.xlsx: the name must end in \.parquet, \.csv, \.json"):
        check_output(tmp_path / "o.xlsx", [])
    (tmp_path / "link.csv").symlink_to(tmp_path / "survey.csv")
    with pytest.raises(EstimationInputError, match="is an input of this command"):
        check_output(tmp_path / "link.csv", [tmp_path / "survey.csv"])


def test_for_reading(answer: pl.DataFrame) -> None:
    shown = for_reading(answer)
    assert shown.columns == (
        ["estimand", "sex", "district", "n", "df", "est", "se", "deff", "ci_t", "ci_logit", "status", "reliability"]
    )
    assert shown["estimand"].unique(maintain_order=True).to_list() == (
        ["proportion water=yes", "mean rooms", "ratio rooms / members"]
    )
    first, row = shown.row(0, named=True), answer.row(0, named=True)
    assert first["est"] == float(f"{row['est']:.4g}")
    low, high = (float(f"{row[name]:.4g}") for name in ("ci_t_low", "ci_t_high"))
    assert first["ci_t"] == f"{low} to {high}"
