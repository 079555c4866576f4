"""Measures as SQL over one row: what a household or a person contributes to a series.

The one place where universe, numerator and missing rule become columns: estimation hands them to the engine, the lint
holds them against known answers. Not here: weights, strata, and any sum over rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal

from lnob_pipeline.mappings.derive import asked, condition, known, parameters_behind, question_of, variable
from lnob_pipeline.mappings.expressions import ExpressionError, literal, number, parse, quoted
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Measure, NationalCutoff, Quantity, Score, Share

ROUNDING = 1e-9
"""A score that is below the cut-off by less than this reaches it: sums of weights such as 1/6 are not exact."""

Role = Literal["universe", "counted"]
Parameters = Mapping[str, float | None]


def expressions(measure: Measure) -> Iterator[tuple[tuple[str | int, ...], Role, str]]:
    """Every expression of a measure with its path in the file and its role."""
    for position, share in enumerate(measure.shares):
        yield ("shares", position, "universe"), "universe", share.universe
        yield ("shares", position, "numerator"), "counted", share.numerator
    quantities: dict[tuple[str | int, ...], Quantity] = {}
    if measure.mean:
        quantities["mean",] = measure.mean
    if measure.ratio:
        quantities["ratio", "numerator"] = measure.ratio.numerator
        quantities["ratio", "denominator"] = measure.ratio.denominator
    for path, quantity in quantities.items():
        yield (*path, "universe"), "universe", quantity.universe
        yield (*path, "value"), "counted", quantity.value
    if measure.score:
        yield ("score", "universe"), "universe", measure.score.universe
        for name, item in measure.score.items.items():
            yield ("score", "items", name, "deprived"), "counted", item.deprived
    if measure.rasch:
        yield ("rasch", "universe"), "universe", measure.rasch.universe


def variables(measure: Measure, *roles: Role) -> set[str]:
    """The names that a measure's expressions hold, as written; of some roles only, where roles are given."""
    chosen = roles or ("universe", "counted")
    found = set().union(*(parse(text).variables for _, role, text in expressions(measure) if role in chosen))
    if measure.rasch and "counted" in chosen:
        found |= set(measure.rasch.items)
    return found


def readable(measure: Measure) -> bool:
    """Whether every expression of a measure is of the language."""
    try:
        variables(measure)
    except ExpressionError:
        return False
    return True


def computable(measure: Measure, derived: Collection[str], mappings: Mappings) -> bool:
    """Whether every name of a measure is known; `derived`: the derived variables that are sound (derive.sound)."""
    if not readable(measure):
        return False
    names = {question_of(name, mappings) for name in variables(measure)}
    return names <= {*mappings.variables, *derived, *mappings.parameters}


def questions(measure: Measure, mappings: Mappings, *, optional: bool = True) -> set[str]:
    """The questions behind a measure; without the `optional` ones, those that a form must ask."""
    return asked(variables(measure), mappings, optional=optional)


def answers(measure: Measure, mappings: Mappings) -> set[str]:
    """The questions behind what a measure counts, not behind its universe."""
    return asked(variables(measure, "counted"), mappings)


def lacking(measure: Measure, mappings: Mappings, iso3: str | None) -> str | None:
    """Why a country has no such estimate; None where it can have one."""
    parameters = mappings.parameters_of(iso3)
    absent = sorted(name for name in parameters_behind(variables(measure), mappings) if parameters[name] is None)
    if absent:
        return f"{iso3 or 'no country'} has no value of {', '.join(absent)} in countries.yaml"
    if measure.score and iso3 not in measure.score.national:
        return f"{iso3 or 'no country'} has no national weights and cut-off in the indicator file"
    return None


def columns(measure: Measure, mappings: Mappings, iso3: str | None) -> dict[str, str]:
    """Suffix -> SQL of the columns that describe one row. Raises ValueError where lacking() names a reason.

    A yes/no column is '1' (in the numerator), '0' (in the denominator only) or NULL (left out); others are DOUBLE.
    proportion, composite and the headcount of a score: `0`; mean_of_shares: `0`, `1`, ...; mean, intensity and adjusted
    headcount: `value`; ratio: `numerator` and `denominator`, NULL together; rasch: a yes/no column an item.
    The rows are households, or persons beside the columns of their household.
    """
    if reason := lacking(measure, mappings, iso3):
        raise ValueError(reason)
    parameters = mappings.parameters_of(iso3)
    makers: dict[str, Callable[[], dict[str, str]]] = {
        "proportion": lambda: {"0": _zero_one(measure.shares[0], measure, mappings, parameters)},
        "mean_of_shares": lambda: {
            str(position): _zero_one(share, measure, mappings, parameters)
            for position, share in enumerate(measure.shares)
        },
        "composite": lambda: {"0": _composite(measure, mappings, parameters)},
        "mean": lambda: _mean(measure, mappings, parameters),
        "ratio": lambda: _ratio(measure, mappings, parameters),
        "score": lambda: _score(measure, mappings, parameters, iso3),
        "rasch": lambda: _rasch(measure, mappings, parameters),
    }
    return makers[measure.statistic]()


def _inside(universe: str, measure: Measure, mappings: Mappings, parameters: Parameters) -> str:
    """SQL: TRUE where the row is known to be in the universe (and is the respondent), else FALSE."""
    inside = f"coalesce({condition(universe, mappings, parameters)}, FALSE)"
    return f"({inside} AND is_respondent IS NOT DISTINCT FROM 'yes')" if measure.unit == "respondent" else inside


def _zero_one(share: Share, measure: Measure, mappings: Mappings, parameters: Parameters) -> str:
    """SQL: '1', '0' or NULL. What the answers decide, holds; what they leave open follows the rule of its kind."""
    inside = _inside(share.universe, measure, mappings, parameters)
    numerator = condition(share.numerator, mappings, parameters)
    undecided = _undecided(share, mappings, parameters)
    return f"CASE WHEN {inside} THEN CASE {numerator} WHEN TRUE THEN '1' WHEN FALSE THEN '0'{undecided} END END"


def _undecided(share: Share, mappings: Mappings, parameters: Parameters) -> str:
    """SQL after the decided cases: '0' where all that is missing stays in the denominator, else NULL."""
    stays = [kind for kind, rule in share.missing.items() if rule == "not_in_numerator"]
    leaves = [kind for kind, rule in share.missing.items() if rule == "exclude"]
    if not stays:
        return ""
    absent = [_absence(name, mappings) for name in sorted(parse(share.numerator).variables - set(parameters))]
    whens = [f"WHEN {unexplained} THEN NULL" for unexplained, _ in absent]
    for kinds, result in ((leaves, "NULL"), (stays, "'0'")):
        listed = ", ".join(map(literal, kinds))
        whens += [f"WHEN {kind} IN ({listed}) THEN {result}" for _, kind in absent if kind and kinds]
    return f" ELSE CASE {' '.join(whens)} END"


def _absence(name: str, mappings: Mappings) -> tuple[str, str | None]:
    """SQL for an answer that is absent without a kind, and the column of the kind where a variable has one."""
    found = variable(name, mappings)
    if found is not None and found.type in ("code", "codes"):
        return f"{quoted(name)} IS NULL", quoted(name)
    if name in mappings.variables and mappings.variables[name].type == "number":
        kind = quoted(f"{name}_missing")
        return f"{quoted(name)} IS NULL AND {kind} IS NULL", kind
    return f"{quoted(name)} IS NULL", None


def _composite(measure: Measure, mappings: Mappings, parameters: Parameters) -> str:
    """SQL: complete cases; '1' where every condition holds."""
    together = " || ".join(_zero_one(share, measure, mappings, parameters) for share in measure.shares)
    return f"CASE contains({together}, '0') WHEN TRUE THEN '0' WHEN FALSE THEN '1' END"


def _quantity(quantity: Quantity, mappings: Mappings, parameters: Parameters) -> str:
    return f"CAST({condition(quantity.value, mappings, parameters)} AS DOUBLE)"


def _mean(measure: Measure, mappings: Mappings, parameters: Parameters) -> dict[str, str]:
    assert measure.mean is not None
    inside = _inside(measure.mean.universe, measure, mappings, parameters)
    return {"value": f"CASE WHEN {inside} THEN {_quantity(measure.mean, mappings, parameters)} END"}


def _ratio(measure: Measure, mappings: Mappings, parameters: Parameters) -> dict[str, str]:
    """A row outside one of the two universes adds nothing to that sum; one that leaves a sum open adds to neither."""
    assert measure.ratio is not None
    parts = {"numerator": measure.ratio.numerator, "denominator": measure.ratio.denominator}
    insides = {key: _inside(part.universe, measure, mappings, parameters) for key, part in parts.items()}
    amounts = {
        key: f"CASE WHEN {insides[key]} THEN {_quantity(part, mappings, parameters)} ELSE 0e0 END"
        for key, part in parts.items()
    }
    counts = f"({insides['numerator']} OR {insides['denominator']})"
    counts += "".join(f" AND ({amount}) IS NOT NULL" for amount in amounts.values())
    return {key: f"CASE WHEN {counts} THEN {amount} END" for key, amount in amounts.items()}


def _score(measure: Measure, mappings: Mappings, parameters: Parameters, iso3: str | None) -> dict[str, str]:
    assert measure.score is not None and iso3 is not None
    national = measure.score.national[iso3]
    inside = _inside(measure.score.universe, measure, mappings, parameters)
    score = f"CASE WHEN {inside} THEN {_weighted(measure.score, national, mappings, parameters)} END"
    cutoff = number(national.cutoff - ROUNDING)
    if measure.score.give == "headcount":
        return {"0": f"CASE WHEN {score} >= {cutoff} THEN '1' WHEN {score} < {cutoff} THEN '0' END"}
    others = f" WHEN {score} < {cutoff} THEN 0e0" if measure.score.give == "adjusted_headcount" else ""
    return {"value": f"CASE WHEN {score} >= {cutoff} THEN {score}{others} END"}


def _weighted(score: Score, national: NationalCutoff, mappings: Mappings, parameters: Parameters) -> str:
    """SQL: the sum of the weights of the items in which the row is deprived; NULL where one is unknown."""
    items = [
        f"{number(weight)} * CAST({condition(score.items[name].deprived, mappings, parameters)} AS DOUBLE)"
        for name, weight in national.weights.items()
    ]
    return f"({' + '.join(items)})"


def _rasch(measure: Measure, mappings: Mappings, parameters: Parameters) -> dict[str, str]:
    assert measure.rasch is not None
    inside = _inside(measure.rasch.universe, measure, mappings, parameters)
    answered = known(measure.rasch.items, mappings, parameters)
    return {
        name: f"CASE WHEN {inside} THEN CASE {answer} WHEN 'yes' THEN '1' WHEN 'no' THEN '0' END END"
        for name, answer in answered.items()
    }
