"""The rules of an XLSForm, replayed: the language of expressions, and skip logic, constraints, required questions."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.form_expressions import NotReplayedError, Setting, Value, condition, days
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.real_files.test_reach_humind import FIELDS
from lnob_pipeline_tests.thorough import tries
from lnob_pipeline_tests.validation.conftest import MANIFEST, good_households, good_persons

Judge = Callable[..., Validated]
Row = dict[str, str]
ANSWERS = pl.DataFrame(
    {
        "age": ["5", "17", "18", None, "40"],
        "sex": ["f", "m", "f", "m", None],
        "water": ["11", "11 21", None, "21 81", "81"],
        "born": ["2001-03-04", None, "2019-05-09", "2019-05-10", "2019-05-11"],
        "note": ["ab1", "", None, "12", "x y"],
    }
)
QUESTIONS = {
    "age": Value("number", pl.col("age").cast(pl.Float64, strict=False)),
    "sex": Value("text", pl.col("sex")),
    "water": Value("text", pl.col("water")),
    "born": Value("date", days(Value("text", pl.col("born")))),
    "note": Value("text", pl.col("note")),
}
TODAY = Value("date", days(Value("text", pl.lit("2019-05-10"))))


def holds(text: str) -> list[bool]:
    expression = condition(text, Setting(QUESTIONS, QUESTIONS["age"], TODAY))
    return ANSWERS.with_columns(expression.alias("x"))["x"].to_list()


T, F = True, False


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${age} >= 18", [F, F, T, F, T]),
        ("${age}>=18 and ${sex}='f'", [F, F, T, F, F]),
        ("${age} < 18 or ${sex} = 'm'", [T, T, F, T, F]),
        ("not(${age} >= 18)", [T, T, F, T, F]),
        (". >= 0 and . <= 17", [T, T, F, F, F]),
        ("${age} = ''", [F, F, F, T, F]),
        ("${age} != ''", [T, T, T, F, T]),
        ("${age} != 5", [F, T, T, T, T]),
        ("'' != ${sex}", [T, T, T, T, F]),
        ("selected(${water}, '11')", [T, T, F, F, F]),
        ("selected(${water}, '1')", [F, F, F, F, F]),
        ("count-selected(${water}) > 1", [F, T, F, T, F]),
        ("coalesce(${sex}, 'none') = 'none'", [F, F, F, F, T]),
        ("coalesce(${age}, 99) > 30", [F, F, F, T, T]),
        ("if(${sex} = 'f', ${age} > 10, true())", [F, T, T, T, T]),
        ("regex(${note}, '[a-z]+[0-9]')", [T, F, F, F, F]),
        ("regex(${note}, '[a-z]')", [F, F, F, F, F]),
        ("${age} * 2 + 1 > 35", [F, F, T, F, T]),
        ("${age} - 1 = 4", [T, F, F, F, F]),
        ("${age} div 5 = 1 or ${age} mod 10 = 0", [T, F, F, F, T]),
        ("-${age} < -17", [F, F, T, F, T]),
        ("2 + 3 * 2 = 8", [T] * 5),
        ("(2 + 3) * 2 = 10", [T] * 5),
        ("${born} <= today()", [T, F, T, T, F]),
        ("${born} > date('2019-05-09')", [F, F, F, T, T]),
        ("${born} > '2019-05-09'", [F, F, F, T, T]),
        ("today() - ${born} = 1", [F, F, T, F, F]),
        ("int((today() - ${born}) div 365.25) >= 18", [T, F, F, F, F]),
        ("string-length(${note}) = 3", [T, F, F, F, T]),
        ("contains(${note}, ' ')", [F, F, F, F, T]),
        ("starts-with(${note}, 'ab')", [T, F, F, F, F]),
        ("concat(${sex}, '!') = 'f!'", [T, F, T, F, F]),
        ("string(${age}) = '17'", [F, T, F, F, F]),
        ("round(${age} div 10) = 2", [F, T, T, F, F]),
        ("min(${age}, 10) = 10", [F, T, T, T, T]),
        ("true()", [T] * 5),
        ("${note}", [T, F, F, T, T]),
    ],
)
def test_each_part_of_the_language_by_hand(text: str, wanted: list[bool]) -> None:
    assert holds(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "pulldata('x', 'y', 'z', ${age})",
        "${nobody} = 1",
        "../age > 5",
        "count(${household}) > 1",
        "${age} > ",
        "(${age} > 1",
        "${age} > 1)",
        "__import__('os').system('true')",
        "${age} > 1; drop table x",
        "‘f’ = ${sex}",
        "regex(., '(?=a)b')",
        "regex(., 'a{999}{999}{999}')",
        "regex(., concat('a', 'b'))",
        "regex(., '" + "a" * 400 + "')",
        "(" * 60 + "1" + ")" * 60,
        "-" * 300 + "1",
        "1 + " * 500 + "1",
        "1" * 3000,
        "position(..)",
        "once(today())",
        "",
    ],
)
def test_what_lies_outside_is_named_and_never_guessed(text: str) -> None:
    with pytest.raises(NotReplayedError) as error:
        condition(text, Setting(QUESTIONS, QUESTIONS["age"], TODAY))
    assert str(error.value) and "drop" not in str(error.value)


WORDS = [
    *("${age}", "${sex}", "(", ")", "and", "or", "=", "<", "-", "+", "'f'", "3", "not(", ",", ".", "div", "  "),
    *("selected(", "today()", "if(", "coalesce(", "regex("),
]


@settings(max_examples=tries(100), deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_any_row_of_words_is_a_condition_or_is_not_replayed(words: list[str]) -> None:
    try:
        found = holds(" ".join(words))
    except NotReplayedError:
        return
    assert all(value in (True, False) for value in found) and len(found) == 5


# the form of a hand-in

SURVEY = [
    ("type", "name", "relevant", "constraint", "required"),
    ("integer", "size", "", ". > 0 and . < 30", "yes"),
    ("select_one water", "water", "", "", "true()"),
    ("begin_group", "fetching", "${water} != '11'", "", ""),
    ("integer", "minutes", "", ". <= 600 or . = 999", ""),
    ("end_group", "", "", "", ""),
    ("select_multiple groups", "groups", "", "not(selected(., 'none') and count-selected(.) > 1)", ""),
    ("begin repeat", "persons", "", "", ""),
    ("select_one sex", "sex", "", "", ""),
    ("integer", "age", "", ". < 120", ""),
    ("select_one yes_no", "account", "${age} >= 15 and ${size} > 1", "", "${age} >= 15"),
    ("end repeat", "", "", "", ""),
    ("text", "remarks", "", "regex(., '[a-z ]+')", ""),
    ("text", "head_name", "", "pulldata('a', 'b')", ""),
]
CHOICES = [
    ("list_name", "name", "label"),
    *[("water", code, code) for code in ("11", "21", "81", "98")],
    *[("groups", code, code) for code in ("none", "pwd", "dalit")],
    *[("sex", code, code) for code in "12"],
    *[("yes_no", code, code) for code in "128"],
]


def workbook(survey: Sequence[tuple[str, ...]], choices: Sequence[tuple[str, ...]] = CHOICES) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        for name, rows in (("survey", survey), ("choices", choices)):
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return stream.getvalue()


FILES = {"files": [*MANIFEST["files"], {"path": "form.xlsx", "role": "form", "format": "xlsform"}]}


def following() -> tuple[list[Row], list[Row]]:
    """Rows as the form makes them: no minutes to water that is piped into the house, no account of children."""
    rows = good_households()
    for row in rows:
        row["minutes"] = "" if row["water"] == "11" else row["minutes"]
    people = [person | {"account": ("1", "2", "8")[n % 3] if int(person["age"]) >= 15 else ""}
              for n, person in enumerate(good_persons())]  # fmt: skip
    return rows, people


def replayed(judge: Judge, rows: list[Row], people: list[Row], survey: Sequence[tuple[str, ...]] = SURVEY) -> Validated:
    return judge(rows, people, manifest=FILES, contents={"form.xlsx": workbook(survey)})


def told(result: Validated) -> set[tuple[str, int, str]]:
    found = result.findings.filter(pl.col("rule_id") == "form_logic")
    return set(found.select("reason_id", "row_number", "column").rows())


def test_rows_that_follow_the_form_are_not_listed_and_every_rule_was_looked_at(judge: Judge) -> None:
    rows, people = following()
    result = replayed(judge, rows, people)
    assert told(result) == set() and result.state == "accepted"
    results = result.results.filter(pl.col("rule_id") == "form_logic").sort("record", "expectation")
    looked = {(line["record"], line["expectation"]): line["n_checked"] for line in results.to_dicts()}
    assert looked["household", "answered_though_skipped"] == 10  # a quarter has water in the house
    assert looked["household", "breaks_constraint"] == 40 + 30 + 40
    assert looked["household", "required_without_answer"] == 80
    adults = sum(int(person["age"]) >= 15 for person in people)
    assert looked["person", "answered_though_skipped"] == 80 - adults
    assert looked["person", "required_without_answer"] == adults


def test_each_kind_of_break_is_listed_with_its_row_and_takes_nothing_out(judge: Judge) -> None:
    rows, people = following()
    rows[0]["minutes"] = "7"  # water in the house, and yet minutes
    rows[1]["groups"] = "none pwd"
    rows[2]["size"] = "31"
    rows[3]["size"] = ""
    rows[5]["water"] = "21"
    rows[5]["minutes"] = "650"
    people[1] |= {"age": "10", "account": "1"}
    people[2]["account"] = ""
    result = replayed(judge, rows, people)
    assert told(result) == {
        ("answered_though_skipped", 2, "minutes"),
        ("breaks_constraint", 3, "groups"),
        ("breaks_constraint", 4, "size"),
        ("breaks_constraint", 7, "minutes"),
        ("required_without_answer", 5, "size"),
        ("answered_though_skipped", 3, "account"),
        ("required_without_answer", 4, "account"),
        ("answered_though_skipped", 8, "account"),  # of the household without a size: not above 1
    }
    assert result.state == "accepted_with_flags" and result.balance["n_quarantined"].sum() == 0


def test_answers_that_are_no_codes_are_not_told_twice(judge: Judge) -> None:
    rows, people = following()
    rows[4]["water"] = "777"  # listed as an unknown code; what hangs on it cannot be known
    rows[4]["minutes"] = "12"
    result = replayed(judge, rows, people)
    assert told(result) == set()
    assert result.findings.filter(pl.col("rule_id") == "codes")["row_number"].to_list() == [6]


def test_a_form_that_does_not_fit_is_told_once_and_not_row_by_row(judge: Judge) -> None:
    rows, people = following()
    other = [(*row[:3], ". > 1000", row[4]) if row[1] == "minutes" else row for row in SURVEY]
    result = replayed(judge, rows, people, other)
    assert told(result) == {("other_form", None, "minutes")}


def test_what_is_not_replayed_is_named_with_its_reason(judge: Judge) -> None:
    rows, people = following()
    survey = [(*row[:2], "once(${size}) > 3", *row[3:]) if row[1] == "groups" else row for row in SURVEY]
    result = replayed(judge, rows, people, survey)
    (line,) = result.results.filter(pl.col("expectation") == "not_replayed").to_dicts()
    assert line["n_failed"] == 1 and line["outcome"] == "passed" and line["severity"] == "information"
    assert "groups: the function once" in line["message"]
    unknown = [(*row[:2], "halima(1) > 3", *row[3:]) if row[1] == "groups" else row for row in SURVEY]
    other = replayed(judge, rows, people, unknown).results.filter(pl.col("expectation") == "not_replayed")
    assert "halima" not in other["message"][0] and "a function that is not known" in other["message"][0]
    assert "head_name" not in line["message"]  # texts and names are not looked at


def test_a_name_that_stands_twice_in_the_form_is_left_out(judge: Judge) -> None:
    rows, people = following()
    rows[0]["minutes"] = "7"
    assert told(replayed(judge, rows, people)) == {("answered_though_skipped", 2, "minutes")}
    twice = [*SURVEY, ("integer", "minutes", "", "", "")]
    assert told(replayed(judge, rows, people, twice)) == set()


def test_without_a_form_the_rule_does_not_apply(judge: Judge) -> None:
    (line,) = judge().results.filter(pl.col("rule_id") == "form_logic").to_dicts()
    assert line["outcome"] == "not_applicable"


def test_the_form_of_the_bundled_survey_is_replayed_in_full() -> None:
    from lnob_pipeline_tests.validation.test_bundled_samples import judged

    results = judged("ken-2019-household-survey").results.filter(pl.col("rule_id") == "form_logic")
    looked: dict[str, Any] = {line["record"]: line for line in results.to_dicts()}
    assert looked["household"]["n_checked"] > 10_000 and looked["person"]["n_checked"] > 10_000
    assert results["n_failed"].sum() == 0


REACH = Path(__file__).parents[3] / "shared" / "data" / "citizen" / "reach_humind_data"


@pytest.mark.skipif(not REACH.is_dir(), reason="the real files of the partnership are not here")
def test_a_deployed_form_is_replayed_on_its_data_and_finds_what_is_there() -> None:
    """498 rules of a form with 275 questions; two of them are looked at again here, with nothing but Polars."""
    name, form = "dummy_raw_data.xlsx", "REACH_2024_MSNA-kobo-tool_draft_v11.xlsx"
    files = [*FIELDS["files"], {"path": form, "role": "form", "format": "xlsform"}]
    manifest = Manifest.model_validate(FIELDS | {"files": files})
    contents = [(file, (REACH / file.path).read_bytes()) for file in manifest.files]
    settings = Settings.load()
    result = validate(
        manifest, "0" * 64, contents, load_mappings(settings.mappings), settings, great_expectations=False
    )
    main = pl.read_excel(REACH / name, sheet_name="main", infer_schema_length=0).with_row_index("row", offset=2)
    issue = main["snfi_fds_storing_issue"].str.split(" ")
    asked = main["snfi_fds_storing"].is_in(["yes_issues", "no_cannot"])  # a rule of a skipped question rests
    both = main.filter(issue.list.contains("pnta") & (issue.list.len() > 1) & asked)["row"].to_list()
    told_rows = told(result)
    assert both and {row for why, row, column in told_rows if (why, column) == BROKEN} == set(both)
    unknown = (pl.col("wash_drinking_water_time_yn") == "dnk").fill_null(False)
    skipped = main.filter(pl.col("wash_drinking_water_time_sl").is_not_null() & ~unknown)["row"].to_list()
    assert skipped and {row for why, row, column in told_rows if (why, column) == SKIPPED} == set(skipped)
    not_replayed = result.results.filter(pl.col("expectation") == "not_replayed")
    assert not_replayed["n_failed"].sum() <= 1


BROKEN = ("breaks_constraint", "snfi_fds_storing_issue")
SKIPPED = ("answered_though_skipped", "wash_drinking_water_time_sl")
