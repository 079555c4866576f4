"""The pages made from the mappings: fresh, complete, true to the expressions, with links that lead somewhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnob_pipeline.mappings import measures
from lnob_pipeline.mappings.derive import question_of
from lnob_pipeline.mappings.expressions import parse
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.markdown import anchors, plain, targets
from lnob_pipeline.mappings.models import MISSING_KINDS, Component, Series
from lnob_pipeline.mappings.pages import broken_links, page_findings, pages, write_pages
from lnob_pipeline.mappings.words import Words, label_of

SMALL = {
    "README.md": "# The guide\n",
    "variables/water.yaml": """
topic: water
title: Drinking water
variables:
  source:
    label: Main source | of water
    unit: household
    type: code
    codes: {piped: Piped water, well: "Well, any", pond: Pond}
    question: {en: "Which source?", sw: "Chanzo kipi?"}
    source: a test
  minutes: {label: Minutes to the source, unit: household, type: number, measure: minutes, minimum: 0, source: a test}
  age: {label: Age in years, unit: person, type: number, measure: years, source: a test}
derived:
  service:
    label: Water service
    unit: household
    type: code
    codes: {basic: Half an hour or less, limited: More than that}
    expression: |
      CASE WHEN source IN ('dont_know', 'refused', 'not_asked', 'unmapped') THEN source
        WHEN minutes <= 30 THEN 'basic' WHEN minutes > 30 THEN 'limited' ELSE minutes_missing END
    source: a test
  pupil:
    label: A child of school age
    unit: household
    type: code
    codes: {"yes": At least one, "no": None of them}
    members: any
    expression: age >= school_age
    source: a test
""",
    "indicators/1/1.4.1.yaml": """
indicator: 1.4.1
title: Proportion of population with water
definition: {version: "2020-10", sheet: "1-4-1, last updated 2021-03", read: 2026-11-23}
official_definition_versions: ["2020-10"]
availability: A
# Trap: thirty minutes exactly are basic.
series:
  - code: SP_WATER
    title: Proportion of population using water
    unit: PERCENT
    headline: {location: ALLAREA}
    match: adapted
    adapted_because: one way, not both
    measure:
      unit: household
      weight: household_size
      statistic: proportion
      shares:
        - universe: "pupil = 'yes'"
          numerator: service = 'basic' AND NOT (source = 'pond' OR minutes > 90)
          missing: {dont_know: not_in_numerator, refused: exclude, not_asked: exclude, unmapped: exclude}
reference_period: at the time of the interview
breakdowns: {required: [], lnob: []}
served_by: {household_survey: A, score_card: D}
source: a test
""",
    "indicators/10/10.2.1.yaml": """
indicator: 10.2.1
title: Proportion of people below half the median
definition: {version: "2020-10", sheet: "10-2-1"}
official_definition_versions: ["2021-03"]
availability: D
series: [{code: SI_POV_50MI, title: Below half the median, unit: PERCENT, not_computed_because: needs incomes}]
reference_period: a year
breakdowns: {required: [], lnob: []}
served_by: {policy_review: E}
source: a test
""",
}


@pytest.fixture
def small(library: Callable[[dict[str, str]], Mappings]) -> Mappings:
    return library(SMALL)


@pytest.fixture(scope="module")
def real() -> Mappings:
    return load_mappings(Path(__file__).resolve().parents[2] / "indicator_mappings")


@pytest.fixture(scope="module")
def made(real: Mappings) -> dict[str, str]:
    return pages(real)


def test_the_pages_of_the_repository_are_fresh_and_every_link_leads(real: Mappings) -> None:
    assert page_findings(real, real.folder.parent / "docs") == []


def test_every_indicator_and_variable_has_a_page_and_stands_in_the_index(real: Mappings, made: dict[str, str]) -> None:
    for folder, names in (("indicators", [*real.indicators]), ("variables", [*real.variables, *real.derived])):
        for name in names:
            assert f"{folder}/{name}.md" in made
            assert f"]({name}.md)" in made[f"{folder}/README.md"]


def test_an_indicator_page_holds_every_expression_as_written_and_every_question(
    real: Mappings, made: dict[str, str]
) -> None:
    for number, indicator in real.indicators.items():
        page = " ".join(made[f"indicators/{number}.md"].split())
        items: list[Series | Component] = [*indicator.series, *indicator.components]
        for item in items:
            assert item.code in page and plain(item.title) in page
            if item.measure is None:
                continue
            for _, _, text in measures.expressions(item.measure):
                assert text.strip() in ("TRUE", "1") or " ".join(text.split()) in page, (number, item.code, text)
            for name in measures.questions(item.measure, real):
                assert f"| [`{name}`](../variables/{name}.md) |" in page


def test_words_leave_out_no_name_and_no_code(real: Mappings) -> None:
    words = Words(real, "")
    texts = [derived.expression for derived in real.derived.values()]
    for indicator in real.indicators.values():
        for item in indicator.computed.values():
            texts += [text for _, _, text in measures.expressions(item.measure)] if item.measure else []
    for text in set(texts):
        said, expression = words.say(text), parse(text)
        for name in expression.variables - set(real.parameters):
            assert f"]({question_of(name, real)}.md)" in said, text
        for name in expression.variables & set(real.parameters):
            assert plain(real.parameters[name].label) in said, text
        for name, code in expression.comparisons | expression.selections:
            if code not in MISSING_KINDS:
                assert f"*{plain(real.codes(name)[code])}*" in said, (text, code)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("source = 'well'", "SOURCE is *Well, any*"),
        ("source <> 'well'", "SOURCE is not *Well, any*"),
        ("source IN ('piped', 'pond')", "SOURCE is *Piped water* or *Pond*"),
        ("source NOT IN ('piped', 'pond')", "SOURCE is none of *Piped water* or *Pond*"),
        ("source IN ('refused', 'well')", "SOURCE is *refused* or *Well, any*"),
        ("source IN ('unmapped', 'dont_know', 'refused', 'not_asked')", "SOURCE is a missing answer"),
        ("selected(source, 'pond')", "SOURCE includes *Pond*"),
        ("minutes < 5", "MINUTES is below 5"),
        ("5 < minutes", "MINUTES is above 5"),
        ("30 >= minutes", "MINUTES is at most 30"),
        ("minutes BETWEEN 1 AND 30", "MINUTES is 1 to 30, both included"),
        ("minutes IS NULL", "MINUTES is not known"),
        ("NOT (minutes > 5 OR source = 'pond')", "**not** (MINUTES is above 5 **or** SOURCE is *Pond*)"),
        (
            "minutes > 5 AND (source = 'pond' OR source = 'well')",
            "MINUTES is above 5 **and** (SOURCE is *Pond* **or** SOURCE is *Well, any*)",
        ),
        ("minutes - (1 - 2) > 2", "(MINUTES − (1 − 2)) is above 2"),
        ("minutes + 1 + school_age", "MINUTES + 1 + Entry age of primary school of the country"),
        ("(minutes + 1) * 2 / 3", "((MINUTES + 1) × 2) ÷ 3"),
        ("'pond' IN (source, service)", "at least one of SOURCE or SERVICE is *Pond*"),
        ("minutes_missing = 'refused'", "the kind of missing answer of MINUTES is *refused*"),
        (
            "CASE WHEN source = 'pond' THEN 'basic' WHEN minutes > 5 THEN source END",
            "(*basic* where SOURCE is *Pond*; the answer of SOURCE where MINUTES is above 5; otherwise unknown)",
        ),
    ],
)
def test_an_expression_in_words(expression: str, said: str, small: Mappings) -> None:
    words = Words(small, "")
    for name in ("source", "minutes", "service"):
        said = said.replace(name.upper(), f"[{label_of(name, small)}]({name}.md)")
    assert words.say(expression) == said


def test_a_page_says_what_a_partner_has_to_know(small: Mappings) -> None:
    made = pages(small)
    page = made["indicators/1.4.1.md"]
    assert "Trap: thirty minutes exactly are basic." in page
    assert "`SP_WATER`: adapted, class C: one way, not both" in page
    assert "don't know: the row stays in the denominator, not counted" in page
    assert "refused, not asked or unknown code: the row leaves the denominator" in page
    assert "location `ALLAREA`; else totals" in page
    assert "**No estimate** in Nepal: no value of school_age in countries.yaml" in page
    assert "household weight × household size" in page
    assert "No questionnaire in the library asks for it yet." in page
    other = made["indicators/10.2.1.md"]
    assert "of another version than the official series" in other and "not computed: needs incomes" in other
    assert "not read on the sheet itself" in other
    variable = made["variables/source.md"]
    assert "| Swahili | Chanzo kipi? |" in variable and "`SP_WATER`" in variable
    assert "1. the answer of [Main source" in made["variables/service.md"]
    assert "*At least one* where the following holds for a member" in made["variables/pupil.md"]


def test_every_row_of_a_table_has_the_cells_of_its_header(made: dict[str, str], small: Mappings) -> None:
    for path, text in {**made, **pages(small)}.items():
        width = 0
        for line in text.splitlines():
            if not line.startswith("|"):
                width = 0
                continue
            cells = len(re.findall(r"(?<!\\)\|", line))
            width = width or cells
            assert cells == width, (path, line)


def test_what_is_stale_gone_or_foreign_is_said_and_mended(small: Mappings, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    assert len(write_pages(small, docs)) == len(pages(small))
    assert page_findings(small, docs) == []
    assert write_pages(small, docs) == []
    page = docs / "indicators" / "1.4.1.md"
    page.write_text(page.read_text("utf-8").replace("is *Half an hour or less*", "is *anything*"), "utf-8")
    (docs / "variables" / "source.md").unlink()
    gone = docs / "variables" / "gone.md"
    gone.write_text((docs / "variables" / "age.md").read_text("utf-8"), "utf-8")
    own = docs / "variables" / "own.md"
    own.write_text("# Written by hand\n", "utf-8")
    assert page_findings(small, docs) == [
        "docs/indicators/1.4.1.md: is stale; run `lnob docs`",
        "docs/variables/source.md: is stale; run `lnob docs`",
        "docs/variables/gone.md: what it describes has gone; run `lnob docs`",
        "docs/variables/own.md: is not made from the mappings; this folder is, so move it elsewhere",
    ]
    assert set(write_pages(small, docs)) == {"indicators/1.4.1.md", "variables/source.md", "variables/gone.md"}
    assert not gone.exists() and own.exists()


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("a file", "utf-8")
    made = {
        "README.md": "# A title\n[here](#a-title) [there](a/b.md#part-one) [file](note.md) `[code](gone.md)`\n",
        "a/b.md": "# B\n\n## Part one\n[up](../README.md) [no](../gone.md) [no](#part-two) [no](../README.md#other)\n",
    }
    found = broken_links(made, tmp_path)
    assert [line.split("link ")[1].split()[0] for line in found] == ["#part-two", "../README.md#other", "../gone.md"]
    assert anchors("# A (small) `b_c`: title\n") == {"a-small-b_c-title"}
    assert targets("\\[no\\](x) [yes](y)") == ["y"]


def test_the_command_writes_and_checks(small: Mappings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lnob_pipeline.cli import app

    monkeypatch.setenv("LNOB_HOME", str(small.folder.parent))
    monkeypatch.delenv("LNOB_MAPPINGS", raising=False)
    first = CliRunner().invoke(app, ["docs", "--check"])
    assert first.exit_code == 3 and "docs/README.md: is stale" in first.output
    assert not (tmp_path / "docs").exists()
    assert CliRunner().invoke(app, ["docs"]).exit_code == 0
    assert CliRunner().invoke(app, ["docs", "--check"]).exit_code == 0


def test_the_pages_do_not_depend_on_the_order_of_sets(made: dict[str, str]) -> None:
    root = Path(__file__).resolve().parents[2]
    program = (
        "import json, sys; from pathlib import Path; from lnob_pipeline.mappings.load import load_mappings; "
        "from lnob_pipeline.mappings.pages import pages; "
        "print(json.dumps(pages(load_mappings(Path(sys.argv[1])))))"
    )
    # Another seed than that of this process, unless it was set to it: sets of text come in another order.
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program, str(root / "indicator_mappings")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert list(json.loads(done.stdout).items()) == list(made.items())
