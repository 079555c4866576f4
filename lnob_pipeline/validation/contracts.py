"""The contract of each column and record: what the instrument and the question bank allow, checked in Polars.

Here belong checks of rows that consented, after identifiers went out; each gives findings and the text that is kept.
Consent, structure and the decision are in gate.py. What happens to a fault, by rule:

- an unknown code: the row stays, the cell is listed, and its text stays (UNMAPPED where it could identify somebody), so
  that harmonisation sees an answer it cannot map and not an absent one;
- a number that is none or is impossible: the row stays, the cell is listed and becomes UNMAPPED;
- a date that is none or of the Bikram Sambat calendar: the row stays, the cell is listed and becomes null;
- duplicates, interviews outside the dates or the area, rows without design, members without household: the row is out;
- names of strata and clusters that are no codes, and titles of discussions: a running number takes their place;
- in score cards, discussions and reviews a row is one statement: a fault in it puts the row out.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument
from lnob_pipeline.messages.message import Message
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.answers import UNMAPPED, known_texts, spelled
from lnob_pipeline.validation.findings import KEY, PARENT, Findings, Rows, nothing
from lnob_pipeline.validation.misread import REASONS_OF, misread
from lnob_pipeline.validation.normalise import (
    DOUBTS,
    about_gregorian,
    date_text,
    doubtful_number,
    has_two_digit_year,
    is_bikram_sambat,
    number_text,
    tidy,
)
from lnob_pipeline.validation.privacy import code_shaped, identifier_kinds, showable
from lnob_pipeline.validation.rules import KINDS

DESIGN = {"strata": "stratum", "cluster": "cluster", "weight": "household_weight"}
"""Part of the manifest's sampling -> variable of the question bank."""
KINDS_OF_TALK = {"focus_group": "focus_group", "interview": "interview"}
PLACES = ("stratum", "cluster")
BREAKDOWN_VARIABLES = ("sex", "age", "location", "marginalised_groups")
MISSING_LIMIT = 0.1
TOO_LARGE = 1e6
"""No weight, number of clusters or of participants has seven digits; telephone and identity numbers have."""
DOMINANT_STRATUM = 0.8
"""A cluster's rows in other strata are slips if this share is in one stratum; else the numbers are used twice."""


def check_columns(rows: Rows, instrument: Instrument, mappings: Mappings, iso3: str, found: Findings) -> None:
    """Check every mapped column of a record; fill `kept`, `shown` and `numbers`."""
    country = mappings.countries.get(iso3)
    areas = {code: code for code in country.admin1} if country else {}
    other_calendar = country is not None and country.calendar == "bikram_sambat"
    for header, column in rows.record.columns.items():
        if column.variable is not None:
            variable = mappings.variables[column.variable]
            if variable.type == "number":
                _check_number(rows, header, column, (variable.minimum, variable.maximum, variable.measure), found)
            elif variable.type == "date":
                _check_date(rows, header, column, other_calendar or header in instrument.calendar_columns, found)
            elif variable.type in ("code", "codes") or column.codes:
                _check_codes(rows, header, column, known_texts(column, rows.choices), "cell", found)
            elif column.variable == "admin1":
                _check_codes(rows, header, column, known_texts(column, rows.choices, areas), "cell", found)
            else:
                _check_text(rows, header, column.variable, found)
        elif column.role is not None:
            vocabularies = {"group": dict.fromkeys(mappings.groups, ""), "admin1": areas, "kind": KINDS_OF_TALK}
            _check_role(rows, header, column, instrument, vocabularies.get(column.role), found)
    _check_reading(rows, mappings, found)


def _check_reading(rows: Rows, mappings: Mappings, found: Findings) -> None:
    """What the shape of the export did to the answers: columns without any, no tick, and cells that say two things."""
    for header, cells in rows.kept.items():
        if len(cells) and cells.null_count() == len(cells):
            found.whole(
                "completeness", "empty_column", file=rows.file, sheet=rows.sheet, record=rows.name, column=header,
                severity="information", n_checked=len(cells), n_failed=0,
            )  # fmt: skip
    for header, mask in rows.not_ticked.items():
        n = int(mask.sum())
        found.result(
            "codes", len(mask), n, expectation="an_option_is_ticked", record=rows.name, column=header,
            severity="information", outcome="passed", message=f"{n} rows without a tick in any option: no answer",
        )  # fmt: skip
    for reason, masks in rows.faults.items():
        for header, mask in masks.items():
            _check_two_things(rows, header, mask, reason, mappings, found)


def _check_two_things(
    rows: Rows, header: str, mask: pl.Series, reason: str, mappings: Mappings, found: Findings
) -> None:
    """A cell that says two things: it was left empty, and is an answer that cannot be used."""
    column = rows.record.columns[header]
    n = found.add(rows, mask, "codes", "row" if column.role else "cell", reason, column=header)
    found.result("codes", len(mask), n, expectation=f"no_{reason}", record=rows.name, column=header)
    coded = column.variable is None or mappings.variables[column.variable].type in ("code", "codes", "number")
    unusable = pl.repeat(UNMAPPED if coded else None, len(mask), dtype=pl.String, eager=True)
    rows.kept[header] = _choose(mask, unusable, rows.kept[header])


def _check_role(
    rows: Rows,
    header: str,
    column: Column,
    instrument: Instrument,
    vocabulary: dict[str, str] | None,
    found: Findings,
) -> None:
    if column.role == "statement":
        _check_codes(
            rows,
            header,
            column,
            known_texts(column, rows.choices, dict.fromkeys(instrument.statements, "")),
            "row",
            found,
        )
    elif column.role == "score":
        scale = instrument.scale
        bounds = (scale.minimum, scale.maximum, "points of the scale") if scale else (None, None, None)
        _check_number(rows, header, column, bounds, found, effect="row")
    elif column.role == "participants":
        _check_number(rows, header, column, (1.0, None, "persons"), found, effect="row")
    elif column.codes or column.positive or column.negative:
        _check_codes(rows, header, column, known_texts(column, rows.choices), "row", found)
    elif vocabulary is not None:  # no codes are mapped: the file uses the codes of the project
        _check_codes(rows, header, column, known_texts(column, rows.choices, vocabulary), "row", found)
    else:
        _check_text(rows, header, column.role, found)


def _shown(cells: pl.Series, faulty: pl.Series, known: Collection[str] = ()) -> pl.Series:
    """What may be shown of a column: all that is right, and of the rest what cannot identify a person."""
    if not faulty.any():
        return cells
    doubtful = cells.filter(faulty).unique()
    allowed = doubtful.filter(showable(doubtful, known))
    return (
        pl.DataFrame({"cell": cells, "faulty": faulty})
        .select(pl.when(~pl.col("faulty") | pl.col("cell").is_in(allowed.to_list())).then("cell"))
        .to_series()
    )


def _list_identifiers(
    rows: Rows, header: str, cells: pl.Series, faulty: pl.Series, effect: str, found: Findings
) -> tuple[pl.Series, dict[str, int]]:
    """List faulty cells that look like an identifier, without their text; return where, and how many of each kind."""
    none = pl.repeat(False, len(cells), dtype=pl.Boolean, eager=True)
    if not faulty.any():
        return none, {}
    doubtful = cells.filter(faulty).unique()
    kinds = identifier_kinds(doubtful).select(pl.coalesce("certain", "likely").alias("kind")).to_series()
    table = pl.DataFrame({"cell": doubtful, "kind": kinds}).drop_nulls()
    if table.is_empty():
        return none, {}
    kind = cells.replace_strict(table["cell"], table["kind"], default=None, return_dtype=pl.String)
    kind = pl.DataFrame({"kind": kind, "faulty": faulty}).select(pl.when("faulty").then("kind")).to_series()
    return kind.is_not_null(), _add_identifiers(rows, header, kind, effect, found)


def _add_identifiers(rows: Rows, header: str, kind: pl.Series, effect: str, found: Findings) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in kind.drop_nulls().unique().sort().to_list():
        counts[name] = found.add(
            rows, kind == name, "identifiers", effect, "identifier_in_answer", column=header,
            details={"kind": KINDS[name]},
        )  # fmt: skip
    n = sum(counts.values())
    kinds = ", ".join(KINDS[name] for name in counts)
    found.result(
        "identifiers", rows.frame.height, n, expectation="no_identifier_in_answers", record=rows.name, column=header,
        message=f"{kinds} in {n} cells, taken out",
    )  # fmt: skip
    return counts


def _check_codes(rows: Rows, header: str, column: Column, known: dict[str, str], effect: str, found: Findings) -> None:
    if column.select == "multiple":
        kept, unknown, cells = _several_codes(rows.frame[header], column, known)
        whole = (
            unknown & identifier_kinds(rows.frame[header]).select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        )
        if whole.any():  # a phone number with blanks in it is not several codes
            cells = _choose(whole, rows.frame[header], cells)
            kept = _choose(whole, pl.repeat(UNMAPPED, len(whole), dtype=pl.String, eager=True), kept)
    else:
        frame = rows.frame.select(pl.col(header).alias("cell")).with_columns(
            spelled(pl.col("cell"), known).alias("kept")
        )
        cells, kept = frame["cell"], frame["kept"]
        unknown = cells.is_not_null() & kept.is_null()
    if effect == "row" and column.role == "statement":
        unknown |= cells.is_null()
    shown = _shown(cells, unknown, known)
    identifying, _ = _list_identifiers(rows, header, cells, unknown & cells.is_not_null(), effect, found)
    answers = list(dict.fromkeys(known.values()))
    codes = ", ".join(answers[:12]) + (" ..." if len(answers) > 12 else "")
    listed = unknown & ~identifying
    guesses = misread(cells.filter(listed), known)
    for reason in REASONS_OF:
        of_reason = guesses.filter(pl.col("reason") == reason)
        if of_reason.is_empty():
            continue
        proposal = cells.replace_strict(of_reason["cell"], of_reason["proposal"], default=None, return_dtype=pl.String)
        mask = listed & proposal.is_not_null()
        found.add(rows, mask, "codes", effect, reason, column=header, written=shown, proposal=proposal)
        listed &= ~mask
    found.add(
        rows, listed, "codes", effect, "unknown_code", column=header, written=shown,
        details={"codes": codes},
    )  # fmt: skip
    found.result(
        "codes", len(cells) - int(cells.null_count()), int(unknown.sum()), expectation="values_in_code_list",
        record=rows.name, column=header,
    )  # fmt: skip
    rows.shown[header] = _choose(unknown, shown, kept)
    fallback = _choose(shown.is_not_null(), shown, pl.repeat(UNMAPPED, len(cells), dtype=pl.String, eager=True))
    if column.select == "multiple":
        fallback = kept  # the codes that are right stay, each other one is UNMAPPED already
    rows.kept[header] = _choose(unknown & cells.is_not_null(), fallback, kept)


def _choose(condition: pl.Series, then: pl.Series, otherwise: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"c": condition, "t": then, "o": otherwise})
    return frame.select(pl.when("c").then("t").otherwise("o")).to_series()


def _several_codes(cells: pl.Series, column: Column, known: dict[str, str]) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Cells of a select-multiple question: text kept, whether a code is unknown, and the unknown codes where so.

    Unknown codes are judged one by one: what may be shown stays, what may not becomes UNMAPPED.
    """
    frame = pl.DataFrame({"cell": cells}).with_row_index("i")
    parts = (
        frame.drop_nulls("cell")
        .select("i", pl.col("cell").str.split(column.joined_by).alias("code"))
        .explode("code", empty_as_null=True)
        .with_columns(tidy(pl.col("code")))
        .drop_nulls("code")
        .with_columns(spelled(pl.col("code"), known).alias("kept"))
    )
    allowed = parts.filter(pl.col("kept").is_null())["code"].unique()
    allowed = allowed.filter(showable(allowed, known))
    joined = (
        parts.with_columns(
            pl.coalesce("kept", pl.when(pl.col("code").is_in(allowed.to_list())).then("code"), pl.lit(UNMAPPED)).alias(
                "text"
            ),
            pl.col("kept").is_null().alias("unknown"),
        )
        .group_by("i", maintain_order=True)
        .agg(
            pl.col("text").str.join(column.joined_by),
            pl.col("unknown").any(),
            pl.col("code").filter(pl.col("unknown")).str.join(column.joined_by).alias("codes"),
        )
    )
    whole = frame.join(joined, on="i", how="left", maintain_order="left")
    unknown = whole["unknown"].fill_null(False)
    return whole["text"], unknown, _choose(unknown, whole["codes"], whole["cell"])


def _check_number(
    rows: Rows,
    header: str,
    column: Column,
    bounds: tuple[float | None, float | None, str | None],
    found: Findings,
    effect: str = "cell",
) -> None:
    minimum, maximum, measure = bounds
    known = known_texts(column, rows.choices)
    cell = pl.col("cell")
    frame = (
        rows.frame.select(pl.col(header).alias("cell"))
        .with_columns(spelled(cell, known).alias("spelled"))
        .with_columns(
            pl.when(pl.col("spelled").is_null()).then(number_text(cell)).alias("number"),
            pl.when(pl.col("spelled").is_null()).then(doubtful_number(cell)).alias("doubt"),
        )
        .with_columns(pl.col("number").cast(pl.Float64).alias("value"))
        # A sentinel may be written 999.0 or ९९९ as well as 999.
        .with_columns(
            pl.coalesce("spelled", spelled(pl.col("number").str.replace(r"\.0+$", ""), known)).alias("spelled")
        )
    )
    in_measure = pl.col("value") * column.multiply
    possible = pl.lit(True)
    if minimum is not None:
        possible &= in_measure >= minimum
    if maximum is not None:
        possible &= in_measure <= maximum
    is_number = pl.col("value").is_not_null()
    plain = pl.col("spelled").is_null() & cell.is_not_null()
    frame = frame.with_columns(
        (plain & ~is_number & pl.col("doubt").is_null()).alias("unreadable"),
        pl.when(plain).then("doubt").alias("doubt"),
        (plain & is_number & ~possible).fill_null(False).alias("impossible"),
    )
    # A phone number is a possible weight, and a latitude a possible age, as far as numbers go.
    frame = frame.with_columns(
        pl.col("impossible")
        | (plain & (pl.col("value").abs() >= TOO_LARGE)).fill_null(False)
        | (pl.lit(column.variable not in (None, DESIGN["weight"])) & plain & _is_coordinate(frame["cell"]))
    )
    no_number = pl.col("unreadable") | pl.col("doubt").is_not_null()
    frame = frame.with_columns((no_number | pl.col("impossible")).alias("faulty"), no_number.alias("no_number"))
    cells, faulty = frame["cell"], frame["faulty"]
    shown = _shown(cells, faulty)
    identifying, _ = _list_identifiers(rows, header, cells, faulty, effect, found)
    show: dict[str, Any] = {"column": header, "written": shown}
    found.add(rows, frame["unreadable"] & ~identifying, "types", effect, "not_a_number", **show)
    for doubt in DOUBTS:
        found.add(rows, (frame["doubt"] == doubt) & ~identifying, "types", effect, doubt, **show)
    _check_shares(rows, header, frame, found)
    limits = _limits(minimum, maximum, column.multiply, measure)
    found.add(
        rows, frame["impossible"] & ~identifying, "ranges", effect, "out_of_range", **show, details={"bounds": limits}
    )
    answered = len(cells) - int(cells.null_count())
    where: dict[str, Any] = {"record": rows.name, "column": header}
    found.result(
        "types",
        answered,
        int(frame["no_number"].sum()),
        expectation="values_are_numbers",
        **where,
    )
    if minimum is not None or maximum is not None:
        found.result("ranges", answered, int(frame["impossible"].sum()), expectation="values_in_range", **where)
    kept = frame.select(
        pl.when("faulty").then(pl.lit(UNMAPPED)).otherwise(pl.coalesce("spelled", "number"))
    ).to_series()
    rows.kept[header] = kept
    rows.shown[header] = _choose(faulty, shown, kept)
    rows.numbers[header] = frame.select(pl.when(pl.col("spelled").is_null()).then("value")).to_series()


def _check_shares(rows: Rows, header: str, frame: pl.DataFrame, found: Findings) -> None:
    """A column that writes some answers with a percent sign and others as parts of one ("45 %" beside 0.45)."""
    signs = int((frame["doubt"] == DOUBTS[2]).sum())
    value = frame["value"].filter(~frame["faulty"])
    parts = int(((value > 0) & (value < 1)).sum()) if signs else 0
    if parts:
        found.whole(
            "types", "mixed_shares", file=rows.file, sheet=rows.sheet, record=rows.name, column=header,
            expectation="one_unit", n_checked=signs + len(value), n_failed=signs + parts, signs=signs, parts=parts,
        )  # fmt: skip


def _is_coordinate(cells: pl.Series) -> pl.Series:
    return (identifier_kinds(cells)["certain"] == "coordinates").fill_null(False)


def _limits(minimum: float | None, maximum: float | None, multiply: float, measure: str | None) -> Message:
    """What a number of the column lies between, in the unit of the column where it is that of the question bank."""
    low, high = (None if bound is None else f"{bound / multiply:g}" for bound in (minimum, maximum))
    details = {"low": low, "high": high, "unit": measure}
    unit = measure is not None and multiply == 1
    if low is None:
        return Message("it is at most {high} ({unit})" if unit else "it is at most {high}", details)
    if high is None:
        return Message("it is at least {low} ({unit})" if unit else "it is at least {low}", details)
    return Message("it lies between {low} and {high} ({unit})" if unit else "it lies between {low} and {high}", details)


def _check_date(rows: Rows, header: str, column: Column, bikram_sambat: bool, found: Findings) -> None:
    frame = (
        rows.frame.select(pl.col(header).alias("cell"))
        .with_columns(
            spelled(pl.col("cell"), known_texts(column, rows.choices)).alias("spelled"),
            date_text(pl.col("cell"), rows.date_order).alias("date"),
            has_two_digit_year(pl.col("cell")).fill_null(False).alias("short_year"),
        )
        .with_columns(
            is_bikram_sambat(pl.col("date")).fill_null(False).alias("other_calendar"),
            about_gregorian(pl.col("date")).alias("proposal"),
        )
        .with_columns((pl.col("other_calendar") & bikram_sambat).alias("other_calendar"))
        .with_columns(
            pl.when(~pl.col("other_calendar")).then(pl.col("date").str.to_date("%Y-%m-%d", strict=False)).alias("day")
        )
    )
    cells = frame["cell"]
    wrong = cells.is_not_null() & frame["spelled"].is_null() & frame["day"].is_null()
    shown = _shown(cells, wrong)
    identifying, _ = _list_identifiers(rows, header, cells, wrong & ~frame["other_calendar"], "cell", found)
    unreadable = wrong & ~frame["other_calendar"] & ~identifying
    for reason, mask in (("two_digit_year", frame["short_year"]), ("not_a_date", ~frame["short_year"])):
        found.add(rows, unreadable & mask, "types", "cell", reason, column=header, written=shown)
    found.add(
        rows, wrong & frame["other_calendar"], "dates", "cell", "bikram_sambat", column=header, written=shown,
        proposal=frame["proposal"],
    )  # fmt: skip
    answered = len(cells) - int(cells.null_count())
    where: dict[str, Any] = {"record": rows.name, "column": header}
    found.result(
        "types", answered, int((wrong & ~frame["other_calendar"]).sum()), expectation="values_are_dates", **where
    )
    if bikram_sambat:
        found.result("dates", answered, int(frame["other_calendar"].sum()), expectation="gregorian_calendar", **where)
    rows.kept[header] = frame.select(pl.coalesce("spelled", pl.col("day").dt.to_string("%Y-%m-%d"))).to_series()
    rows.shown[header] = _choose(wrong, shown, rows.kept[header])


def _check_text(rows: Rows, header: str, what: str | None, found: Findings) -> None:
    """Text is kept as it is unless it looks like an identifier.

    Strata and clusters: the code of an area may be as long as a phone number, so a run of digits counts only if it is
    rare; and what has not the shape of a code could be a name, so a running number takes its place. Who belongs
    together stays known, and nothing else is needed.
    """
    cells = rows.frame[header]
    kinds = identifier_kinds(cells).with_columns(pl.len().over(cells.alias("cell")).alias("n"))
    likely = pl.when(pl.col("n") < 3).then("likely") if what in PLACES else pl.col("likely")
    kind = kinds.select(pl.coalesce("certain", likely).alias("kind")).to_series()
    kept = cells
    if kind.null_count() < len(kind):
        _add_identifiers(rows, header, kind, "cell", found)
        kept = _choose(kind.is_not_null(), nothing(len(cells)), cells)
    if what in PLACES:
        names = kept.drop_nulls().unique().sort()
        names = names.filter(~code_shaped(names))
        numbers = [f"{what}-{number:03d}" for number in range(1, len(names) + 1)]
        kept = kept.replace(names.to_list(), numbers)
    rows.kept[header] = rows.shown[header] = kept


def check_identity(rows: Rows, raw: pl.DataFrame, has_children: bool, found: Findings) -> None:
    """The same id twice: all rows that carry it are out. `raw` holds the id columns as text, row for row."""
    checked = dict.fromkeys(name for name in (rows.record.identity, rows.record.key) if name in raw.columns)
    for header in checked:
        if rows.record.unit == "excerpt" and header == rows.record.key:
            continue  # one excerpt has a row for each of its tags
        ids = raw[header]
        twice = ids.is_duplicated() & ids.is_not_null()
        found.add(rows, twice, "identity", "row", "duplicate", column=header)
        empty = ids.is_null() & (has_children and header == rows.record.key)
        found.add(rows, empty, "identity", "row", "no_key", column=header)
        found.result(
            "identity",
            len(ids),
            int((twice | empty).sum()),
            expectation="ids_are_unique",
            record=rows.name,
            column=header,
        )


def check_dates(rows: Rows, manifest: Manifest, found: Findings) -> None:
    """Interviews outside the collection: the row is out."""
    for header in rows.columns_of("interview_date"):
        day = rows.kept[header].str.to_date("%Y-%m-%d", strict=False)
        outside = ~day.is_between(manifest.collection.start, manifest.collection.end)
        n = found.add(
            rows, outside, "dates", "row", "outside_dates", column=header, written=rows.kept[header],
            details={"start": manifest.collection.start, "end": manifest.collection.end},
        )  # fmt: skip
        answered = len(day) - int(day.null_count())
        found.result("dates", answered, n, expectation="within_collection", record=rows.name, column=header)


def first_interview(rows: Rows) -> datetime.date | None:
    """The earliest interview date of a record."""
    days = [rows.kept[h].str.to_date("%Y-%m-%d", strict=False).min() for h in rows.columns_of("interview_date")]
    return min((day for day in days if isinstance(day, datetime.date)), default=None)


def check_place(rows: Rows, manifest: Manifest, found: Findings) -> None:
    """Rows from an area that the submission does not speak for are out."""
    claimed = manifest.geography.admin1
    for header in rows.columns_of("admin1"):
        if not claimed:
            continue
        column = rows.record.columns[header]
        areas = rows.kept[header]
        if column.codes:
            areas = areas.replace(column.codes)
        answered = areas.is_not_null() & ~areas.is_in([UNMAPPED, *(c for m in column.missing.values() for c in m)])
        if column.codes:
            answered &= areas.is_in(list(column.codes.values()))
        outside = answered & ~areas.is_in(claimed)
        n = found.add(
            rows, outside, "place", "row", "outside_area", column=header, details={"areas": ", ".join(claimed)}
        )
        found.result("place", int(answered.sum()), n, expectation="within_area", record=rows.name, column=header)


def check_design(rows: Rows, manifest: Manifest, found: Findings) -> None:
    """Stratum, cluster and weight of each row of a probability sample."""
    parts = {part: rows.columns_of(variable) for part, variable in DESIGN.items()}
    for part, headers in parts.items():
        if getattr(manifest.sampling, part) is None:
            continue
        for header in headers:
            if part == "weight":
                faulty = ~(rows.numbers[header] > 0).fill_null(False)
                reason = "no_weight"
            else:
                faulty, reason = rows.kept[header].is_null(), "no_design_value"
            if len(faulty) and faulty.all():
                found.whole(
                    "design", "no_design_rows", file=rows.file, sheet=rows.sheet, column=header, record=rows.name,
                    n_checked=len(faulty), n_failed=len(faulty), part=part,
                )  # fmt: skip
                continue
            n = found.add(
                rows, faulty, "design", "row", reason, column=header, written=rows.shown[header], details={"part": part}
            )
            found.result(
                "design",
                len(faulty),
                n,
                expectation=f"{part}_present",
                record=rows.name,
                column=header,
                severity="warning",
            )
    if manifest.sampling.strata and manifest.sampling.cluster and parts["strata"] and parts["cluster"]:
        _check_nesting(rows, parts["strata"][0], parts["cluster"][0], found)


def _check_nesting(rows: Rows, strata: str, cluster: str, found: Findings) -> None:
    frame = pl.DataFrame({"stratum": rows.kept[strata], "cluster": rows.kept[cluster]}).with_columns(
        pl.len().over("cluster", "stratum").alias("here"),
        pl.col("stratum").count().over("cluster").alias("n"),
    )
    frame = frame.with_columns((pl.col("here") / pl.col("n") >= DOMINANT_STRATUM).alias("dominant")).with_columns(
        pl.col("dominant").any().over("cluster").alias("clear")
    )
    whole = pl.col("stratum").is_not_null() & pl.col("cluster").is_not_null()
    split = frame.filter(whole & ~pl.col("clear"))["cluster"].n_unique()
    if split:
        found.whole(
            "design", "clusters_across_strata", file=rows.file, sheet=rows.sheet, column=cluster, record=rows.name,
            expectation="cluster_in_one_stratum", n_checked=frame["cluster"].n_unique(), n_failed=split, n=split,
        )  # fmt: skip
        return
    slips = frame.select((whole & ~pl.col("dominant")).alias("m")).to_series()
    n = found.add(rows, slips, "design", "row", "cluster_in_other_stratum", column=cluster, written=rows.kept[cluster])
    found.result(
        "design",
        frame.height,
        n,
        expectation="cluster_in_one_stratum",
        record=rows.name,
        column=cluster,
        severity="warning",
    )


def check_parents(rows: Rows, parents: Rows, found: Findings) -> None:
    """Rows whose parent is not in the file are out."""
    orphans = rows.frame.select(~pl.col(PARENT).is_in(parents.frame[KEY].implode())).to_series().fill_null(True)
    n = found.add(
        rows, orphans, "household", "row", "orphan", column=rows.record.parent_key,
        details={"parent": parents.name},
    )  # fmt: skip
    found.result("household", len(orphans), n, expectation="parent_present", record=rows.name)


def check_household(households: Rows, persons: Rows, without_all: pl.Series, found: Findings) -> None:
    """The roster against the household size, and one respondent a household.

    without_all: keys of households with refused members; their roster is rightly shorter.
    """
    members = persons.frame.group_by(PARENT).len("members")
    for header in households.columns_of("household_size"):
        size = households.numbers[header]
        frame = households.frame.select(KEY).with_columns(size.alias("size"))
        frame = frame.join(members, left_on=KEY, right_on=PARENT, how="left", maintain_order="left")
        differs = (frame["size"] != frame["members"].fill_null(0)).fill_null(False)
        differs &= ~frame[KEY].is_in(without_all.implode()).fill_null(False)
        n = found.add(
            households, differs, "household", "note", "roster_size", column=header, written=households.shown[header]
        )
        checked = len(size) - int(size.null_count())
        found.result("household", checked, n, expectation="roster_size", record=households.name, column=header)
    for header in persons.columns_of("is_respondent"):
        yes = is_yes(persons, header)
        several = (
            persons.frame.select(pl.col(PARENT), yes.alias("yes"))
            .select(pl.col("yes") & (pl.col("yes").sum().over(PARENT) > 1))
            .to_series()
        )
        n = found.add(persons, several, "household", "cell", "several_respondents", column=header)
        found.result("household", int(yes.sum()), n, expectation="one_respondent", record=persons.name, column=header)
        persons.kept[header] = _choose(several, nothing(len(yes)), persons.kept[header])


def is_yes(rows: Rows, header: str) -> pl.Series:
    """Whether a cell means yes, by the polarity the instrument declares."""
    column = rows.record.columns[header]
    yes = [*column.positive, *(source for source, code in column.codes.items() if code == "yes")]
    return rows.kept[header].is_in(yes).fill_null(False)


def check_minors(rows: Rows, roster: bool, manifest: Manifest, age: int, settings: Settings, found: Findings) -> None:
    """Respondents below an age where the manifest says that no minors were interviewed; young children wait.

    age: below it a guardian consents (law.py).
    """
    ages, marks = rows.columns_of("age"), rows.columns_of("is_respondent")
    if not ages or (roster and not marks):
        return
    respondents = is_yes(rows, marks[0]) if marks else pl.repeat(True, rows.frame.height, eager=True)
    years = rows.numbers[ages[0]]
    codes = [code for kind in rows.record.columns[ages[0]].missing.values() for code in kind]
    known = respondents & ~rows.kept[ages[0]].is_in([*codes, UNMAPPED]).fill_null(True)
    young = known & (years < age).fill_null(False)
    where: dict[str, Any] = {"record": rows.name, "column": ages[0]}
    n = 0
    if not manifest.ethics.minors_interviewed:
        n = found.add(rows, young, "ethics", "note", "young_respondent", column=ages[0], details={"age": age})
    found.result("ethics", int(respondents.sum()), n, expectation="minors", severity="warning", **where)
    children = int((known & (years < settings.review_respondents_below_age).fill_null(False)).sum())
    if children:
        found.whole(
            "ethics", "young_children", file=rows.file, sheet=rows.sheet, severity="review", n_failed=children,
            n_checked=int(respondents.sum()), n=children, age=settings.review_respondents_below_age, **where,
        )  # fmt: skip


def check_missing_answers(rows: Rows, out: pl.Series, found: Findings) -> None:
    """Breakdown variables without an answer in more than one of ten accepted rows."""
    for header, column in rows.record.columns.items():
        if column.variable not in BREAKDOWN_VARIABLES:
            continue
        missing_codes = [code for codes in column.missing.values() for code in codes]
        cells = rows.kept[header].filter(~out)
        missing = int((cells.is_null() | cells.is_in([UNMAPPED, *missing_codes])).sum())
        where: dict[str, Any] = {"record": rows.name, "column": header, "expectation": "breakdown_answered"}
        if len(cells) and missing / len(cells) > MISSING_LIMIT:
            found.whole(
                "completeness", "missing_answers", file=rows.file, sheet=rows.sheet, n_checked=len(cells),
                n_failed=missing, missing=missing, n=len(cells), **where,
            )  # fmt: skip
        else:
            found.result("completeness", len(cells), 0, message=f"{missing} of {len(cells)} without answer", **where)
