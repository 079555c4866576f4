"""What a statistician asks of answers beyond their codes: copies, sentinels, heaping, coverage, sizes of groups.

Here belong checks of whole columns and records, after contracts.py has read the cells. How the interviews went is in
conduct.py, and what the form itself demanded in form_logic.py. Sources: United Nations, Demographic Yearbook (Whipple's
index); WHO/UNICEF Joint Monitoring Programme (metadata of 6.1.1, share of the population covered); DHS Program and MICS
(fewer than 25 unweighted cases).
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.answers import UNMAPPED, known_texts
from lnob_pipeline.validation.conduct import substantive
from lnob_pipeline.validation.findings import KEY, PARENT, Findings, Rows

SENTINELS = (
    *(
        -number
        for number in (7, 8, 9, 66, 77, 88, 96, 97, 98, 99, 777, 888, 996, 997, 998, 999, 8888, 9998, 9999, 99999)
    ),
    *(77, 88, 96, 97, 98, 99, 777, 888, 996, 997, 998, 999, 7777, 8888, 9996, 9997, 9998, 9999, 99999),
)
"""Numbers that forms use for don't know, refused and not asked (REACH -999, EPFL 999 and 9999, DHS 97 to 99)."""
TRUE_SOMETIMES, OFTEN = 100, 3
"""A sentinel below this number, within the bounds of its question, can be true (a woman of 88 years): it is taken for
a code only where so many rows have it."""
APART = 2.0
"""A sentinel lies apart if it is more than so many times as large as the largest other number of its column."""
CHANCE = 0.01
"""Copies are told if fewer than so many pairs would agree in everything by chance, were the answers independent."""
ENOUGH_ANSWERS = 5
"""A row with fewer answers has too little in it to be called a copy."""
WHIPPLE_AGES, WHIPPLE_ENOUGH = (23, 62), 100
WHIPPLE_APPROXIMATE, WHIPPLE_ROUGH = 125.0, 175.0
"""Whipple's index: above 125 the ages are rough, above 175 very rough (United Nations)."""
FEWEST_CASES = 25
"""Fewer unweighted cases than this are not shown (DHS Program, MICS)."""
COVERED_SHARE = 0.2
"""Below a fifth a source is not taken for the whole (Joint Monitoring Programme, there of the population)."""
Where = dict[str, Any]
GROUPING = ("marginalised_groups", "sex", "location")


def check_copies(part: Rows, rows: dict[str, Rows], found: Findings) -> None:
    """Rows with the same answers to every question, those of the members included: both are shown, none is left out."""
    if part.record.parent is not None or part.record.unit not in ("household", "person"):
        return
    columns = [part.kept[header].alias(f"{number}") for number, header in enumerate(substantive(part))]
    columns += [
        _members(part, other).alias(f"of {name}") for name, other in rows.items() if other.record.parent == part.name
    ]
    if not columns or part.frame.height < 2:
        return
    frame = pl.DataFrame(columns)
    answered = frame.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    if _pairs_by_chance(frame) >= CHANCE:
        return
    copies = frame.is_duplicated() & (answered >= ENOUGH_ANSWERS)
    n = found.add(part, copies, "identity", "note", "same_answers", details={"questions": len(substantive(part))})
    found.result("identity", frame.height, n, expectation="answers_differ", record=part.name)


def _members(part: Rows, other: Rows) -> pl.Series:
    """For each row the answers of the rows that belong to it, as one text."""
    cells = [other.kept[header].fill_null("").alias(header) for header in substantive(other)]
    if not cells:
        return pl.repeat(None, part.frame.height, dtype=pl.String, eager=True)
    text = pl.DataFrame(cells).select(pl.concat_str(pl.all(), separator="\x1f")).to_series()
    joined = (
        pl.DataFrame([other.frame[PARENT], text.alias("text")])
        .group_by(PARENT)
        .agg(pl.col("text").sort().str.join("\x1e"))
    )
    return part.frame.select(KEY).join(joined, left_on=KEY, right_on=PARENT, how="left", maintain_order="left")["text"]


def _pairs_by_chance(frame: pl.DataFrame) -> float:
    """How many pairs of rows would agree in every column by chance, were the columns independent."""
    n = frame.height
    shares = [
        float((counts * counts).sum()) / n**2
        for counts in (frame[column].value_counts()["count"].cast(pl.Float64) for column in frame.columns)
    ]
    return math.exp(sum(map(math.log, shares))) * n * (n - 1) / 2


def check_sentinels(part: Rows, mappings: Mappings, found: Findings) -> None:
    """Codes for missing answers among the numbers, that the mapping does not declare: the answer is out.

    A small one that can be true and is seldom stays, and the partner is asked about it.
    """
    for header, numbers in part.numbers.items():
        column = part.record.columns[header]
        if column.variable is None:
            continue
        frame = pl.DataFrame({"n": numbers, "kept": part.kept[header]})
        sentinel = pl.col("n").is_in([float(number) for number in SENTINELS]).fill_null(False)
        largest = frame.filter(~sentinel).select(pl.col("n").max()).item()
        apart = (pl.col("n") < 0) | (pl.col("n") > APART * (largest or 0.0))
        if largest is None:
            apart = pl.col("n") < 0
        mask = (
            frame.select(sentinel & apart.fill_null(False) & (pl.col("kept") != UNMAPPED)).to_series().fill_null(False)
        )
        said = mappings.variables[column.variable]
        small = pl.col("n").is_between(0, TRUE_SOMETIMES, closed="none") & (pl.len().over("n") < OFTEN)
        value = pl.col("n") * column.multiply
        possible = (value >= (said.minimum or 0)) & (value <= (math.inf if said.maximum is None else said.maximum))
        doubtful = mask & frame.select(small & possible).to_series().fill_null(False)
        mask = mask & ~doubtful
        shown: Where = {"column": header, "written": part.shown[header]}
        found.add(part, doubtful, "ranges", "note", "possible_sentinel", severity="information", **shown)
        n = found.add(part, mask, "ranges", "cell", "undeclared_sentinel", **shown)
        if n:
            part.kept[header] = frame.select(pl.when(mask).then(pl.lit(UNMAPPED)).otherwise("kept")).to_series()
        checked = len(numbers) - numbers.null_count()
        found.result("ranges", checked, n, expectation="no_sentinels", record=part.name, column=header)


def whipple(ages: pl.Series) -> tuple[float, int]:
    """Whipple's index of ages 23 to 62 and their number: 100 without heaping, 500 if all ages end in 0 or 5."""
    inside = ages.drop_nulls().cast(pl.Int64)
    inside = inside.filter(inside.is_between(*WHIPPLE_AGES))
    return (500.0 * int((inside % 5 == 0).sum()) / len(inside), len(inside)) if len(inside) else (0.0, 0)


def check_heaping(part: Rows, found: Findings) -> None:
    """Ages that end in 0 or 5 too often, where there are enough to say so."""
    for header in part.columns_of("age"):
        if header not in part.numbers:
            continue
        index, n = whipple(part.numbers[header])
        where: Where = {"record": part.name, "column": header, "expectation": "ages_not_heaped"}
        if n < WHIPPLE_ENOUGH:
            found.result(
                "conduct", n, 0, severity="information", message=f"{n} ages between 23 and 62, too few for an index",
                outcome="not_applicable", **where,
            )  # fmt: skip
            continue
        # Three standard errors of a share of one in five, so that a small sample is not blamed for chance.
        chance = 100 + 3 * 500 * math.sqrt(0.2 * 0.8 / n)
        if index >= WHIPPLE_APPROXIMATE and index > chance:
            found.whole(
                "conduct", "ages_heaped", severity="warning" if index >= WHIPPLE_ROUGH else "information",
                n_checked=n, n_failed=n if index >= WHIPPLE_ROUGH else 0, index=f"{index:.0f}", file=part.file,
                sheet=part.sheet, **where,
            )  # fmt: skip
        else:
            found.result("conduct", n, 0, message=f"Whipple's index {index:.0f} over {n} ages", **where)


def check_percentages(part: Rows, instrument: Instrument, mappings: Mappings, found: Findings) -> None:
    """Shares (0.45) among percentages (45) in one column whose limit is 100."""
    for header, numbers in part.numbers.items():
        column = part.record.columns[header]
        if column.variable is not None:
            limit = mappings.variables[column.variable].maximum
        else:
            limit = instrument.scale.maximum if column.role == "score" and instrument.scale else None
        if limit != 100:
            continue
        small = numbers.is_between(0, 1, closed="none").fill_null(False)
        mixed = small if bool(((numbers > 1) & (numbers <= limit)).any()) else small & False
        n = found.add(
            part, mixed, "ranges", "note", "share_among_percentages", column=header, written=part.shown[header]
        )
        found.result("ranges", len(numbers), n, expectation="one_unit", record=part.name, column=header)


def check_coverage(part: Rows, out: pl.Series, manifest: Manifest, mappings: Mappings, found: Findings) -> None:
    """What the manifest claims to cover, against the areas of the accepted rows."""
    country = mappings.countries.get(manifest.country)
    for header in part.columns_of("admin1"):
        column = part.record.columns[header]
        areas = part.kept[header].filter(~out)
        seen = set((areas.replace(column.codes) if column.codes else areas).drop_nulls().unique().to_list())
        where: Where = {"record": part.name, "column": header}
        absent = [area for area in manifest.geography.admin1 if area not in seen]
        if absent:
            found.whole(
                "place", "area_without_rows", expectation="claimed_areas_present", areas=", ".join(absent),
                n_checked=len(manifest.geography.admin1), n_failed=len(absent), **where,
            )  # fmt: skip
        elif manifest.geography.admin1:
            found.result("place", len(seen), 0, expectation="claimed_areas_present", **where)
        total = country.admin1_count if country else None
        if manifest.geography.level == "national" and country is not None and total is not None:
            n = len(seen & set(country.admin1))
            few = n < COVERED_SHARE * total
            found.whole(
                "place", "national_claim", severity="warning" if few else "information", n_checked=total,
                n_failed=total - n if few else 0, expectation="national_claim", n=n, total=total, **where,
            )  # fmt: skip


def cases_by_group(part: Rows, header: str, out: pl.Series) -> pl.DataFrame:
    """Accepted rows of each code of a column that the mapping knows: code, count; a row may be in several groups."""
    column = part.record.columns[header]
    cells = part.kept[header].filter(~out).drop_nulls()
    codes = cells.str.split(column.joined_by).explode() if column.select == "multiple" else cells
    known = set(column.codes) or {*column.positive, *column.negative}
    return codes.filter(codes.is_in(sorted(known))).alias("code").value_counts(sort=True)


def check_group_sizes(part: Rows, out: pl.Series, found: Findings) -> None:
    """Groups with fewer accepted rows than a number may be shown for."""
    for header, column in part.record.columns.items():
        if column.variable not in GROUPING or header not in part.kept:
            continue
        counts = cases_by_group(part, header, out)
        small = counts.filter(pl.col("count") < FEWEST_CASES)
        where: Where = {"record": part.name, "column": header, "expectation": "cases_by_group"}
        if small.height:
            found.whole(
                "completeness", "few_cases", severity="information", n_checked=counts.height, n_failed=0,
                n=small.height, least=FEWEST_CASES, **where,
            )  # fmt: skip
        elif counts.height:
            found.result("completeness", counts.height, 0, message="every group has enough cases", **where)


def unknown_answers(part: Rows, header: str, mappings: Mappings) -> pl.Series:
    """Which answers of a column have no meaning in the question bank; a blank is none of them."""
    column, cells = part.record.columns[header], part.kept[header]
    coded = column.variable is not None and mappings.variables[column.variable].type in ("code", "codes")
    if not coded:
        return (cells == UNMAPPED).fill_null(False)
    known = sorted(set(known_texts(column, part.choices).values()))
    if column.select == "multiple":
        return cells.str.split(column.joined_by).list.eval(~pl.element().is_in(known)).list.any().fill_null(False)
    return (~cells.is_in(known)).fill_null(False)


def check_unknown_answers(part: Rows, out: pl.Series, mappings: Mappings, limit: float, found: Findings) -> None:
    """Questions with so many unknown answers that the next stage makes no number of them (harmonisation/compile.py)."""
    for header, column in part.record.columns.items():
        if column.variable is None or mappings.variables[column.variable].type not in ("code", "codes"):
            continue
        if header not in part.kept:
            continue
        cells = part.kept[header].filter(~out).drop_nulls()
        n = int(unknown_answers(part, header, mappings).filter(~out).sum())
        if n > limit * len(cells):
            found.whole(
                "codes", "question_stopped", file=part.file, sheet=part.sheet, record=part.name, column=header,
                n_checked=len(cells), n_failed=n, n=n, answered=len(cells), limit=f"{100 * limit:g}",
            )  # fmt: skip


def note_missing(part: Rows, out: pl.Series, found: Findings) -> None:
    """How many accepted rows have no answer, for each question."""
    n = int((~out).sum())
    for header in substantive(part):
        cells = part.kept[header].filter(~out)
        missing = int(cells.null_count())
        found.result(
            "completeness", n, missing, expectation="share_without_answer", record=part.name, column=header,
            severity="information", outcome="passed", message=f"{missing} of {n} rows without an answer",
        )  # fmt: skip
