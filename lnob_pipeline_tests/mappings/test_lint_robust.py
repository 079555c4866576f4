"""Whatever stands in the files, lint answers with sentences: it never breaks, and every sentence has file and line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lnob_pipeline.mappings.lint import stale_schemas, write_schemas
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline_tests.mappings.conftest import findings
from lnob_pipeline_tests.mappings.test_derive import BANK
from lnob_pipeline_tests.mappings.test_guide import blocks
from lnob_pipeline_tests.thorough import tries

KEEP = "{dont_know: exclude, refused: exclude, not_asked: exclude, unmapped: exclude}"
EVERY_STATISTIC = f"""
indicator: 99.1.1
title: Everything that a measure can be
definition: {{version: "2020-10", sheet: "99-1-1", valid_from: 2019-01-01, read: 2026-11-23}}
official_definition_versions: ["2020-10"]
availability: A
sensitive: true
series:
  - code: T_SHARES
    title: Mean of shares of persons
    unit: PERCENT
    match: adapted
    adapted_because: a test
    measure:
      unit: respondent
      weight: respondent
      statistic: mean_of_shares
      shares:
        - {{universe: "age >= school_age", numerator: "opinion = 'bad'", missing: {KEEP}}}
        - {{universe: "TRUE", numerator: "discontent_in_poverty = 'yes'", missing: {KEEP}}}
  - {{code: T_NONE, title: Nothing, unit: NUMBER, not_computed_because: a test}}
  - code: T_MEAN
    title: Mean
    unit: YEARS
    match: exact
    measure:
      unit: person
      weight: person
      statistic: mean
      counts: persons
      mean: {{universe: "at_school = 'no'", value: "age / 2"}}
  - code: T_RATIO
    title: Births per woman
    unit: PER_1000_POP
    match: exact
    measure:
      unit: person
      weight: person
      statistic: ratio
      ratio:
        numerator: {{universe: "TRUE", value: age}}
        denominator: {{universe: "age > 3", value: "1"}}
        per: 1000
  - code: T_SCORE
    title: Poor population
    unit: PERCENT
    match: exact
    measure:
      unit: household
      weight: household_size
      statistic: score
      score:
        universe: "TRUE"
        items:
          crowded: {{label: Crowded, deprived: "persons_per_room > 3"}}
          water: {{label: No pipe, deprived: "piped = 'no'"}}
        national: {{KEN: {{weights: {{crowded: 0.5, water: 0.5}}, cutoff: 0.5, source: a test}}}}
        give: headcount
components:
  - code: LNOB_T_SCALE
    title: Population above the threshold
    unit: PERCENT
    because: a test
    measure:
      unit: household
      weight: household_size
      statistic: rasch
      rasch: {{universe: "TRUE", items: {{piped: 0, deprived: 1, child_out_of_school: -1}}, threshold: 0}}
reference_period: now
breakdowns: {{required: [sex], lnob: [age], crossings: [[sex, age]], not_carried: {{income: not asked}}}}
served_by: {{household_survey: A, interview: D}}
source: a test
"""
EXAMPLES = """
indicator: 99.1.1
country: KEN
given: {age: 30}
rows:
  - because: everything is known
    given: {size: 8, rooms: 2, piped: "no", opinion: bad, at_school: "no"}
    members: [{age: 6, at_school: "no"}]
    expect: {T_SHARES: [in, in], T_MEAN: 15, T_RATIO: [30, 1], T_SCORE: in, LNOB_T_SCALE: 2}
"""
BREAKDOWNS = """
breakdowns:
  sex:
    label: Sex
    unit: person
    official_dimension: sex
    sdmx_dimension: SEX
    categories: {F: {label: Female, when: "sex = 'female'"}, M: {label: Male, when: "sex = 'male'"}}
  age:
    label: Age
    unit: person
    official_dimension: null
    sdmx_dimension: null
    categories: {0-4: {label: Under five, when: "age < 5"}, 5+: {label: Older, when: "age >= 5"}}
"""

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e300,
    "",
    "yes",
    "age",
    "KEN",
    "D",
    [],
    {},
    ["age", "age"],
    {"x": "y"},
    "age < 5",
    "age < 'five'",
    "sex + 1 > 2",
    "CASE WHEN",
    "read_csv('x') = 1",
    "selected(sex, 'female')",
    "discontent_in_poverty",
    "1 / 0 > 0",
    "9999999 * 9999999 * age > 0",
    "\x00",
    "\u202e",
    ["dont_know"],
    "not_in_numerator",
]


def paths(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


@pytest.fixture
def folder(root: Path, library: Callable[[dict[str, str]], Mappings], tmp_path: Path) -> Path:
    guide = (root / "indicator_mappings" / "README.md").read_text("utf-8")
    library(
        blocks(guide)
        | {
            "variables/test.yaml": BANK,
            "breakdowns.yaml": BREAKDOWNS,
            "indicators/99/99.1.1.yaml": EVERY_STATISTIC,
            "examples/99/99.1.1.yaml": EXAMPLES,
        }
    )
    return tmp_path / "indicator_mappings"


def test_the_library_of_this_test_runs_whole(folder: Path) -> None:
    found = findings(folder)
    assert not [line for line in found if "cannot" in line or "expected" in line], found
    assert any("show at least 4" in line for line in found), "the known answers were not looked at"


@given(data=st.data())
@settings(max_examples=tries(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lint_answers_whatever_the_files_say(folder: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(folder.rglob("*.yaml"))))
    before = file.read_bytes()
    content = yaml.safe_load(before)
    chosen = data.draw(st.sampled_from(list(paths(content)) or [()]))
    if not chosen:
        return
    part = content
    for key in chosen[:-1]:
        part = part[key]
    if data.draw(st.booleans()):
        part[chosen[-1]] = data.draw(st.sampled_from(ODD))
    else:
        del part[chosen[-1]]
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
    try:
        for line in findings(folder):
            assert re.match(r"[\w/.-]+\.(yaml|json):\d+: .", line), line
    finally:
        file.write_bytes(before)


def test_a_schema_that_the_models_no_longer_make_is_told_and_written_anew(root: Path, tmp_path: Path) -> None:
    assert stale_schemas(root / "indicator_mappings") == []
    write_schemas(tmp_path / "schema")
    assert stale_schemas(tmp_path) == []
    (tmp_path / "schema" / "groups.json").write_text("{}\n", "utf-8")
    (tmp_path / "schema" / "laws.json").unlink()
    assert [line.split(":")[0] for line in stale_schemas(tmp_path)] == ["schema/groups.json", "schema/laws.json"]
