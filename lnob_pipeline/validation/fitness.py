"""The scorecard on the fitness of a hand-in for official use: one row a criterion, and what it rests on.

Here belong the checks that criteria of indicator_mappings/fitness.yaml may name. A gate is met or not; a score is a
value with its measure; what a person must answer waits for a recorded decision. Where there is nothing to look at the
answer is no_evidence, and there is no number. No sum is made of the criteria, and no national framework is spoken for.
Source of the principles: United Nations National Quality Assurance Framework.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from lnob_pipeline.mappings import derive, measures
from lnob_pipeline.mappings.expressions import parse, prepare
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Criterion, FitnessCheck, Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import FITNESS
from lnob_pipeline.validation.answers import UNMAPPED
from lnob_pipeline.validation.contracts import BREAKDOWN_VARIABLES, MISSING_LIMIT
from lnob_pipeline.validation.findings import LABEL, Findings, Rows
from lnob_pipeline.validation.law import ON_WORD
from lnob_pipeline.validation.quality import FEWEST_CASES, GROUPING, cases_by_group, unknown_answers

ACCURACY = ("identity", "dates", "place", "conduct", "form_logic")
COHERENCE = ("household", "ranges", "types", "codes")
"""Rules whose findings on a row speak against its accuracy, and against its coherence."""
WHO_SOMEBODY_IS = ("marginalised_groups", "sex", "age")
"""Variables on which people speak for themselves."""
DECIDED = {"accept": "met", "reject": "not_met"}


@dataclass(frozen=True)
class Evidence:
    """What a check may look at. rows and out are empty where no row was read."""

    manifest: Manifest
    instrument: Instrument | None
    mappings: Mappings
    settings: Settings
    found: Findings
    rows: Mapping[str, Rows]
    out: Mapping[str, pl.Series]
    main: str | None

    def results(self, rule_id: str, *expectations: str) -> Sequence[tuple[str, int, int]]:
        """Outcome, looked at and failed of each result of a rule (of some expectations)."""
        return [
            (result.outcome, result.n_checked, result.n_failed)
            for result in self.found.results
            if result.rule_id == rule_id and (not expectations or result.expectation in expectations)
        ]

    def mapped(self) -> dict[str, list[tuple[str, str]]]:
        """Variable -> the records and columns that answer it."""
        found: dict[str, list[tuple[str, str]]] = {}
        for record, said in (self.instrument.records if self.instrument else {}).items():
            for header, column in said.columns.items():
                if column.variable is not None:
                    found.setdefault(column.variable, []).append((record, header))
        return found

    def missing_share(self, record: str, header: str) -> float | None:
        """Share of the accepted rows without a usable answer; None where there is no row."""
        part = self.rows.get(record)
        if part is None or header not in part.kept:
            return None
        cells = part.kept[header].filter(~self.out[record])
        codes = [code for kind in part.record.columns[header].missing.values() for code in kind]
        unknown = unknown_answers(part, header, self.mappings).filter(~self.out[record])
        missing = int((cells.is_null() | cells.is_in([UNMAPPED, *codes]) | unknown).sum())
        return missing / len(cells) if len(cells) else None


@dataclass(frozen=True)
class Answer:
    """The answer to one criterion. evidence: what it rests on, in words and counts, without any value of the data."""

    status: str
    evidence: str
    score: float | None = None
    measure: str | None = None


NO_EVIDENCE = Answer("no_evidence", "nothing in the hand-in speaks of it")
WAITING = Answer("waiting_for_person", "only a person can answer; nobody has yet")


def scorecard(seen: Evidence, version: str, reviews: Mapping[str, str]) -> pl.DataFrame:
    """The table FITNESS of one hand-in: every criterion that applies to its kind of data, in the order of the file.

    reviews: criterion (or rule) -> accept or reject, what a person decided.
    """
    lines = [
        {
            "submission_id": seen.manifest.submission,
            "version": version,
            "position": position,
            "criterion": name,
            "question": criterion.question,
            "dimension": criterion.dimension,
            "principle": criterion.principle,
            "kind": criterion.kind,
            "source": criterion.source,
            **vars(_answer(name, criterion, seen, reviews)),
        }
        for position, (name, criterion) in enumerate(seen.mappings.fitness.items(), start=1)
        if not criterion.applies_to or seen.manifest.data_type in criterion.applies_to
    ]
    return pl.DataFrame(lines, schema_overrides=FITNESS.schema, schema=None if lines else FITNESS.schema).select(
        list(FITNESS.schema)
    )


def _answer(name: str, criterion: Criterion, seen: Evidence, reviews: Mapping[str, str]) -> Answer:
    answer = CHECKS[criterion.check](seen) if criterion.check else WAITING
    if answer.status == WAITING.status and name in reviews:
        return Answer(DECIDED[reviews[name]], "a person decided; see the register of reviews")
    return answer


def _gate(holds: bool, evidence: str) -> Answer:
    return Answer("met" if holds else "not_met", evidence)


def _share(of: int, n: int, evidence: str, measure: str = "share") -> Answer:
    return Answer("scored", f"{of} of {n} {evidence}", of / n, measure) if n else NO_EVIDENCE


def _by_rules(seen: Evidence, *rules: str) -> Answer:
    """A gate that no blocking failure of the rules may stand against."""
    outcomes = [outcome for rule in rules for outcome, _, _ in seen.results(rule)]
    if not outcomes:
        return NO_EVIDENCE
    waiting = [result for result in seen.found.results if result.rule_id in rules and result.outcome == "failed"]
    if any(result.severity == "review" for result in waiting):
        return Answer("waiting_for_person", "a person has to decide on what was found")
    return _gate(not seen.found.blocked(*rules), f"checks made under {', '.join(rules)}: {len(outcomes)}")


def _ethics(seen: Evidence) -> Answer:
    """The rules of ethics; where minors answered on the word of the manifest, a person confirms it."""
    answer = _by_rules(seen, "ethics", "special_protocol")
    minors = sum(n for _, n, _ in seen.results("ethics", ON_WORD))
    if answer.status != "met" or not minors:
        return answer
    return Answer(WAITING.status, f"{minors} minors answered; that guardians agreed is said in the manifest only")


def _consent(seen: Evidence) -> Answer:
    answer, obtained = _by_rules(seen, "consent"), seen.manifest.consent.obtained
    if answer.status != "met" or obtained == "per_row":
        return answer
    return Answer(answer.status, f"the manifest says {obtained}; no row says it")


def _engagement(seen: Evidence) -> Answer:
    levels = seen.manifest.engagement
    return _gate(levels.is_citizen_data, f"the manifest says design {levels.design}, collection {levels.collection}")


def _indicators(seen: Evidence) -> Answer:
    if seen.instrument is None:
        return NO_EVIDENCE
    said = {statement.indicator for statement in seen.instrument.statements.values()}
    questions = set(seen.mapped())
    said |= {name for name, needs in _needs(seen.mappings).items() if any(each <= questions for each in needs)}
    return Answer("scored", f"{len(said)} indicators have all of their questions", float(len(said)), "indicators")


@functools.lru_cache(maxsize=2)
def _needs(mappings: Mappings) -> dict[str, list[set[str]]]:
    """Indicator -> for each of its series and components the questions that it needs. All expressions in one go."""
    computed = {
        name: [item.measure for item in indicator.computed.values() if item.measure]
        for name, indicator in mappings.indicators.items()
    }
    texts = [text for each in computed.values() for measure in each for _, _, text in measures.expressions(measure)]
    prepare([*texts, *(derived.expression for derived in mappings.derived.values())])
    return {
        name: [measures.questions(measure, mappings, optional=False) for measure in each]
        for name, each in computed.items()
    }


def _identifiers(seen: Evidence) -> Answer:
    if not seen.rows:
        return NO_EVIDENCE
    n = sum(failed for outcome, _, failed in seen.results("identifiers") if outcome == "failed")
    return _gate(True, f"identifying columns and cells are taken out before anything is kept; {n} were not declared")


def _agreement(seen: Evidence) -> Answer:
    agreement, end = seen.manifest.agreement, seen.manifest.collection.end
    return _gate(agreement.retention_until >= end, f"raw files may be kept until {agreement.retention_until}")


def _methodology(seen: Evidence) -> Answer:
    sampling = seen.manifest.sampling
    asked = {
        "the instrument (a file of the role form)": any(file.role == "form" for file in seen.manifest.files),
        "how people were chosen": sampling.method != "not_applicable" or seen.manifest.data_type != "household_survey",
        "the frame of the sample": sampling.method != "probability" or sampling.frame is not None,
        "how the respondent was chosen": sampling.method != "probability" or sampling.respondent_selection is not None,
    }
    absent = [what for what, there in asked.items() if not there]
    return _gate(not absent, f"absent: {', '.join(absent)}" if absent else "population, selection, dates, sizes, form")


def _self_identification(seen: Evidence) -> Answer:
    columns = [
        seen.instrument.records[record].columns[header]
        for variable in WHO_SOMEBODY_IS
        for record, header in seen.mapped().get(variable, ())
        if seen.instrument is not None
    ]
    free = [column for column in columns if column.reported_by == "self" and column.missing.get("refused")]
    return _share(len(free), len(columns), "questions on who a person is are answered by the person, who may refuse")


def _disaggregation(seen: Evidence) -> Answer:
    if not seen.rows:
        return NO_EVIDENCE
    mapped = seen.mapped()
    good = 0
    for name in seen.mappings.breakdowns:
        conditions = [category.when for category in seen.mappings.categories(name).values()]
        names = {each for text in conditions for each in parse(text).variables}
        questions = derive.asked(names, seen.mappings, optional=False)
        shares = [seen.missing_share(*place) for question in questions for place in mapped.get(question, ())[:1]]
        complete = len(shares) == len(questions) > 0
        good += complete and all(share is not None and share < MISSING_LIMIT for share in shares)
    return _share(good, len(seen.mappings.breakdowns), "breakdowns can be made with less than one in ten missing")


def _missing(seen: Evidence) -> Answer:
    places = [place for variable in BREAKDOWN_VARIABLES for place in seen.mapped().get(variable, ())]
    shares = [share for place in places if (share := seen.missing_share(*place)) is not None]
    return _share(sum(share < MISSING_LIMIT for share in shares), len(shares), "questions miss less than one in ten")


def _precision(seen: Evidence) -> Answer:
    counts = [
        n
        for record, part in seen.rows.items()
        for header, column in part.record.columns.items()
        if column.variable in GROUPING and header in part.kept
        for n in cases_by_group(part, header, seen.out[record])["count"]
    ]
    counts += [0] * len(_claimed_without_rows(seen))
    enough = sum(n >= FEWEST_CASES for n in counts)
    drawn = seen.manifest.sampling.method == "probability"
    kind = "a probability sample" if drawn else "no probability sample, so no interval"
    return _share(enough, len(counts), f"groups have {FEWEST_CASES} rows or more ({kind})")


def _claimed_without_rows(seen: Evidence) -> set[str]:
    """Groups that the manifest names and no accepted row belongs to, where the form asks for the group."""
    there: set[str] = set()
    asked = False
    for record, part in seen.rows.items():
        for header in part.columns_of("marginalised_groups"):
            if header in part.kept:
                codes = part.record.columns[header].codes
                there |= {codes.get(code, code) for code in cases_by_group(part, header, seen.out[record])["code"]}
                asked = True
    return set(seen.manifest.groups) - there if asked else set()


def _rows_without(seen: Evidence, rules: tuple[str, ...]) -> Answer:
    part = seen.rows.get(seen.main or "")
    looked_at = [rule for rule in rules if any(n and said != "not_applicable" for said, n, _ in seen.results(rule))]
    if part is None or part.frame.is_empty() or not looked_at:
        return NO_EVIDENCE
    listed = seen.found.table().filter(
        pl.col("rule_id").is_in(rules) & (pl.col("record") == part.name) & pl.col("label").is_not_null()
        & (pl.col("severity") != "information")
    )  # fmt: skip
    good = part.frame.filter(~pl.col(LABEL).is_in(listed["label"].unique().implode())).height
    silent = [rule for rule in rules if rule not in looked_at]
    tail = f"; nothing to look at for {', '.join(silent)}" if silent else ""
    return _share(good, part.frame.height, f"rows have nothing listed under {', '.join(looked_at)}{tail}")


def _coverage(seen: Evidence) -> Answer:
    expectations = ("within_area", "claimed_areas_present", "national_claim")
    results = seen.results("place", *expectations)
    failed = [result for result in results if result[0] == "failed"]
    if not results:
        return NO_EVIDENCE
    return _gate(not failed, f"{len(failed)} of {len(results)} checks of area failed")


def _comparability(seen: Evidence) -> Answer:
    columns = [
        column
        for record in (seen.instrument.records.values() if seen.instrument else ())
        for column in record.columns.values()
        if column.variable is not None
    ]
    exact = sum(column.adapted_because is None for column in columns)
    return _share(exact, len(columns), "mapped questions ask what the standard question asks")


def _timeliness(seen: Evidence) -> Answer:
    years = seen.settings.as_of_year - seen.manifest.year
    evidence = f"collected until {seen.manifest.collection.end}, reported as of {seen.settings.as_of_year}"
    return Answer("scored", evidence, float(years), "years")


def _metadata(seen: Evidence) -> Answer:
    results = seen.results("structure", "columns_known")
    if not results:
        return NO_EVIDENCE
    unknown = sum(failed for _, _, failed in results)
    return _gate(unknown == 0, f"{unknown} columns of the files are not in the instrument; terms of use are agreed")


def _accessibility(seen: Evidence) -> Answer:
    forms = sum(file.role == "form" for file in seen.manifest.files)
    return Answer("scored", f"{forms} files of the instrument", 1.0, "share") if forms else NO_EVIDENCE


def _roles(seen: Evidence, wanted: tuple[str, ...]) -> int:
    """How many of the parts of a statement the records hold, with an answer in an accepted row."""
    there = {
        str(column.role)
        for record, part in seen.rows.items()
        for header, column in part.record.columns.items()
        if column.role is not None and header in part.kept and part.kept[header].filter(~seen.out[record]).count()
    }
    return len(there & set(wanted))


def _qualitative(seen: Evidence) -> Answer:
    wanted = ("participants", "group", "kind", "admin1", "document")
    return _share(_roles(seen, wanted), len(wanted), f"of {', '.join(wanted)} are noted") if seen.rows else NO_EVIDENCE


def _score_card(seen: Evidence) -> Answer:
    if not seen.rows or seen.instrument is None:
        return NO_EVIDENCE
    names = " ".join(name for name, part in seen.rows.items() if part.frame.height)
    asked = {
        "scale with direction": seen.instrument.scale is not None,
        "people in each group": _roles(seen, ("participants",)) == 1,
        "the providers' own scores": "provider" in names,
        "the meeting of both": "meeting" in names,
        "the actions agreed": "action" in names,
    }
    absent = [what for what, there in asked.items() if not there]
    tail = f"parts are there; absent: {', '.join(absent)}" if absent else "parts are there"
    return _share(len(asked) - len(absent), len(asked), tail)


CHECKS: dict[FitnessCheck, Callable[[Evidence], Answer]] = {
    "citizen_engagement": _engagement,
    "indicators_served": _indicators,
    "consent": _consent,
    "ethics": _ethics,
    "identifiers_absent": _identifiers,
    "agreement": _agreement,
    "methodology": _methodology,
    "self_identification": _self_identification,
    "disaggregation": _disaggregation,
    "missing_answers": _missing,
    "precision": _precision,
    "accuracy": lambda seen: _rows_without(seen, ACCURACY),
    "coherence": lambda seen: _rows_without(seen, COHERENCE),
    "coverage_claim": _coverage,
    "comparability": _comparability,
    "timeliness": _timeliness,
    "metadata": _metadata,
    "accessibility": _accessibility,
    "qualitative_rigour": _qualitative,
    "score_card_validity": _score_card,
}
"""Name of a check, as a criterion may give it -> the check."""
