"""The five public forms, the hand-made answers to them, and how proposals are measured against these.

Answers were made by reading each question of the form beside the question bank. `answers`: question -> variable, for
every question that truly asks it; `arguable`: question -> variable, where two careful readers could differ (it counts
neither for nor against); every other question has none. `tuned` says whether words and weights were chosen with the
form in sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from lnob_pipeline.drafting.match import Match
from lnob_pipeline.drafting.questions import Question, form_questions, read_questions
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import SourceTable, read_file

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "citizen"
FORMS = {
    "reach_humind": "reach_humind_data/REACH_2024_MSNA-kobo-tool_draft_v11.xlsx",
    "owd_dowa": "owd_dowa_malawi/inst/extdata/dowalatrinesurvey.csv",
    "wb_bangladesh": "wb_bangladesh_dta/data/hh_98.dta",
    "impact_cleaningtools": "impact_cleaningtools/cleaningtools_survey.csv",
    "owd_nchalo": "owd_nchalo_malawi/inst/extdata/nchalohhwatersurvey.csv",
}


class Answers(BaseModel):
    """One file of answers."""

    model_config = ConfigDict(extra="forbid")
    form: str
    tuned: bool
    answers: dict[str, str]
    arguable: dict[str, str] = {}


@dataclass(frozen=True)
class Measured:
    """Proposals of one form (or of several together) against the answers."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)


def answers_of(form: str) -> Answers:
    path = Path(__file__).parent / "answers" / f"{form}.yaml"
    return Answers.model_validate(yaml.safe_load(path.read_text("utf-8")))


def questions_of(form: str) -> list[Question]:
    path = FOLDER / FORMS[form]
    if form != "impact_cleaningtools":
        return read_questions(path)
    survey, choices = (_csv(path.with_name(f"cleaningtools_{sheet}.csv")) for sheet in ("survey", "choices"))
    return form_questions(survey, choices)


def _csv(path: Path) -> SourceTable:
    return next(iter(read_file(path.read_bytes(), DataFile(path=path.name, role="data", format="csv")).values()))


def measure(proposals: dict[int, Match], questions: list[Question], answers: Answers) -> Measured:
    proposed = {questions[place].name: match.variable for place, match in proposals.items()}
    right = sum(answers.answers.get(name) == variable for name, variable in proposed.items())
    arguable = sum(answers.arguable.get(name) == variable for name, variable in proposed.items())
    return Measured(right, len(proposed) - right - arguable, len(answers.answers) - right)
