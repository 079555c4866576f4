"""How likely it is that a person or a household of a survey could be found in its records: the risk of disclosure.

Here: k-anonymity and individual risk on the quasi-identifiers that the question bank declares, for persons and for
households (known by their own quasi-identifiers and those of their members together), what drives the risk, and the
verdict whether records may leave. Not here: what becomes of published numbers (publication/disclosure.py). No records
are published; the verdict is kept, and `microdata_may_leave` is the only gate for whoever adds an export.

f is the number of records with the same quasi-identifiers (k of k-anonymity); a missing answer is a value of its own.
In a probability sample the risk of a record is the mean of 1/F, with F, the number in the population, negative binomial
given f and the sum of the weights (Benedetti and Franconi 1998; Franconi and Polettini 2004; formulas as in the R
package sdcMicro). It is 1/f where weights do not stand for hidden others: in any other sample, and for everyone who
belongs to a marginalised group, or may belong to one of those that the manifest names because nobody asked, since such
a group may be small, named, and covered as a whole. A household is found
through its composition or through one of its members, 1 - prod(1 - risk of the member); the larger of the two counts.
Sources: Hundepool et al., Statistical Disclosure Control (2012), chapter 3; Templ, Kowarik and Meindl (2015), Journal
of Statistical Software 67(4); HDX guidance on disclosure risk (global risk below 3 %); k of 3 and of 5 are proposals of
this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import DISCLOSURE_RISK

AGE_BAND = 5
"""Years: a neighbour knows an age about so well."""
OPEN, CLOSED = "open", "closed"
LEVELS = ("person", "household")
LARGEST_EXACT = 3
"""Up to this f the risk has its closed form; above it stands the approximation of sdcMicro."""

Line = tuple[str, str, float, float | None, str | None, str | None]
"""level, measure, value, threshold, verdict, drivers."""


@dataclass(frozen=True)
class Records:
    """A survey as it is looked at: codes of the quasi-identifiers, 0 for a missing answer.

    homes: household_key, weight (null: the risk is 1/f), a column for each name of `of_household`; people: the same of
    the person's household, and a column for each name of `of_person`.
    """

    homes: pl.DataFrame
    people: pl.DataFrame
    of_household: tuple[str, ...]
    of_person: tuple[str, ...]


def disclosure_risk(
    manifest: Manifest,
    version: str,
    households: pl.DataFrame,
    persons: pl.DataFrame,
    mappings: Mappings,
    settings: Settings,
) -> pl.DataFrame:
    """The table DISCLOSURE_RISK of one survey. households, persons: its harmonised tables; empty ones give no row."""
    lines: list[tuple[str | float | None, ...]] = []
    if households.height and persons.height:
        records = _records(manifest, households, persons, mappings)
        lines = [(manifest.submission, version, *line) for line in _measured(records, settings)]
    return pl.DataFrame(lines, schema=DISCLOSURE_RISK.schema, orient="row")


def microdata_may_leave(risk: pl.DataFrame, submission_id: str, version: str) -> bool:
    """Whether records of this version may be exported: measured at both levels, and every verdict is open.

    The only gate for an export of records. `risk`: rows of the table DISCLOSURE_RISK.
    """
    here = risk.filter((pl.col("submission_id") == submission_id) & (pl.col("version") == version))
    verdicts = here.filter(pl.col("verdict").is_not_null())
    return set(verdicts["level"]) == set(LEVELS) and set(verdicts["verdict"]) == {OPEN}


def individual_risk(f: pl.Expr, population: pl.Expr) -> pl.Expr:
    """The mean of 1/F for a record: f in the sample, `population` the sum of the weights of these f records.

    With p = f / population and F negative binomial given f. Null or not above f, the population is the sample: 1/f.
    """
    p = f / population
    q = 1 - p
    odds = p / q
    one = -odds * p.log()
    two = odds - odds * one
    three = odds / 2 - odds * two
    many = p / (f - q)
    spread = pl.when(f == 1).then(one).when(f == 2).then(two).when(f == LARGEST_EXACT).then(three).otherwise(many)
    return pl.when(p < 1 - 1e-6).then(spread).otherwise(1 / f).clip(0.0, 1.0)


def _records(manifest: Manifest, households: pl.DataFrame, persons: pl.DataFrame, mappings: Mappings) -> Records:
    of_household = _quasi_identifiers(households, ("household",), mappings)
    of_person = _quasi_identifiers(persons, ("person", "respondent"), mappings)
    of_person = tuple(name for name in of_person if name not in of_household)
    weighted = manifest.sampling.method == "probability" and households["household_weight"].null_count() == 0
    groups = pl.col("marginalised_groups").cast(pl.String)
    unknown = groups.is_null() | (groups == "not_asked")
    # Where the sample is of named groups, who was not asked about it may belong to one.
    in_a_group = (unknown & pl.lit(bool(manifest.groups))) | (~unknown & (groups != "none"))
    weight = pl.when(~in_a_group).then(pl.col("household_weight").cast(pl.Float64)) if weighted else pl.lit(None)
    homes = households.select(
        "household_key", weight.cast(pl.Float64).alias("weight"), *(_code(name, mappings) for name in of_household)
    )
    people = persons.select("household_key", *(_code(name, mappings) for name in of_person)).join(
        homes, on="household_key", how="inner"
    )
    return Records(homes, people, of_household, of_person)


def _quasi_identifiers(frame: pl.DataFrame, units: tuple[str, ...], mappings: Mappings) -> tuple[str, ...]:
    """What the question bank declares and the form carries."""
    declared = mappings.variables | mappings.derived
    return tuple(
        name
        for name, variable in declared.items()
        if variable.quasi_identifier and variable.unit in units and frame[name].null_count() < frame.height
    )


def _code(name: str, mappings: Mappings) -> pl.Expr:
    """The answer as a number from 1; ages in bands."""
    value = pl.col(name)
    if (mappings.variables | mappings.derived)[name].measure == "years":
        value = (value / AGE_BAND).floor()
    elif (mappings.variables | mappings.derived)[name].type != "number":
        value = value.cast(pl.String)
    return value.rank("dense").cast(pl.UInt32).fill_null(0).alias(name)


def _measured(records: Records, settings: Settings) -> Iterator[Line]:
    """The lines of the table without submission and version."""
    people = _risks(records.people, [*records.of_household, *records.of_person])
    through_members = people.group_by("household_key").agg((1 - (1 - pl.col("risk")).product()).alias("members_risk"))
    homes = _risks(*_composed(records)).join(through_members, on="household_key", how="left")
    homes = homes.with_columns(pl.max_horizontal("risk", "members_risk").alias("risk"))
    for level, frame in (("person", people), ("household", homes)):
        below = _share_below(frame, settings.risk_k_public)
        drivers = _drivers(records, level, below, settings.risk_k_public)
        smallest = float(frame.select(pl.col("f").min()).item())
        overall = float(frame.select(pl.col("risk").mean()).item())
        enough = OPEN if smallest >= settings.risk_k_public else CLOSED
        low = OPEN if overall <= settings.risk_global_limit else CLOSED
        yield level, "records", float(frame.height), None, None, None
        yield level, "smallest_k", smallest, float(settings.risk_k_public), enough, drivers
        yield level, "share_below_internal_k", _share_below(frame, settings.risk_k_internal), None, None, None
        yield level, "share_below_public_k", below, None, None, drivers
        yield level, "global_risk", overall, settings.risk_global_limit, low, drivers
        yield level, "highest_risk", float(frame.select(pl.col("risk").max()).item()), None, None, None


def _risks(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with f (records of the same quasi-identifiers) and the individual risk."""
    if not names:
        frame, names = frame.with_columns(pl.lit(0).alias("nothing")), ["nothing"]
    frame = frame.with_columns(pl.struct(names).hash().alias("cell"))
    # Who belongs to a group stands for himself alone among those that he cannot be told from.
    population = pl.when(pl.col("weight").is_not_null()).then(pl.col("weight").fill_null(1.0).sum().over("cell"))
    f = pl.len().over("cell").cast(pl.Float64)
    return frame.with_columns(f.alias("f")).with_columns(individual_risk(pl.col("f"), population).alias("risk"))


def _composed(records: Records, without: str | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Households with their composition, and the names of all that they are known by.

    The composition is the set of members, each by his or her quasi-identifiers: their number and the sums of both
    halves of a hash of each.
    """
    names = [name for name in records.of_person if name != without]
    who = pl.struct(names).hash() if names else pl.lit(0, dtype=pl.UInt64)
    members = records.people.group_by("household_key").agg(
        pl.len().alias("members"), (who // 2**32).sum().alias("high"), (who % 2**32).sum().alias("low")
    )
    homes = records.homes.join(members, on="household_key", how="left")
    return homes, [*(name for name in records.of_household if name != without), "members", "high", "low"]


def _share_below(frame: pl.DataFrame, k: int) -> float:
    return float(frame.select((pl.col("f") < k).mean()).item())


def _drivers(records: Records, level: str, below: float, k: int) -> str:
    """By how many percentage points the share of records below k falls without each variable, largest first."""
    falls: dict[str, float] = {}
    if below == 0:
        return ""
    for name in (*records.of_household, *records.of_person):
        if level == "person":
            frame = _risks(records.people, [n for n in (*records.of_household, *records.of_person) if n != name])
        else:
            frame = _risks(*_composed(records, name))
        falls[name] = 100 * (below - _share_below(frame, k))
    ordered = sorted(falls, key=lambda name: (-falls[name], name))
    return ", ".join(f"{name} {falls[name]:.1f}" for name in ordered if falls[name] >= 0.05)
