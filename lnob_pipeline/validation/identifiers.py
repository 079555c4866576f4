"""Columns that say who a person is: taken out of each table before anything is judged, and counted.

Here belongs which columns go, what stands in their place, and what the partner hears of it; and the sensitive columns
that no protocol covers. How an identifier is recognised is in identifier_names.py and identifier_patterns.py; cells of
mapped columns are looked at one by one in contracts.py.

What the instrument maps, its ids and the question of consent stay, whatever they look like: they become answers, row
numbers and linkage ids. Of all other columns those that identify lose their cells and keep their place, so that what is
said of the table stays right. Who interviewed whom stays known by a running number in the place of the interviewer or
the device.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.submissions.readers import SourceTable
from lnob_pipeline.validation.cleaning import FileTable
from lnob_pipeline.validation.columns import flat, is_system
from lnob_pipeline.validation.findings import Findings
from lnob_pipeline.validation.identifier_names import kind_by_form, kind_by_name
from lnob_pipeline.validation.identifier_patterns import LONE_COORDINATE, candidates
from lnob_pipeline.validation.normalise import tidy
from lnob_pipeline.validation.privacy import public_column, public_file
from lnob_pipeline.validation.protocol import without_sensitive
from lnob_pipeline.validation.rules import KINDS
from lnob_pipeline.validation.structure import Source

IDENTIFIER_SHARE, IDENTIFIER_ROWS = 0.01, 3
"""A column is identifying if so many of its rows look like identifiers (either is enough)."""
NUMBERS = {
    "phone": r"\d\D*\d\D*\d\D*\d\D*\d",
    "national_id": r"\d\D*\d\D*\d\D*\d\D*\d",
    "coordinates": r"\d",
    "email": r"@|\(at\)|\[at\]",
}
"""What some cell of a column holds, digits of any script, if it is what its name says and no question about it."""
ACTORS = ("user", "device")
"""Kinds whose cells get a running number: which rows belong together is needed, who it was is not."""
BOXES = {
    "BGD": ((20, 27), (88, 93)),
    "IND": ((6, 36), (68, 98)),
    "KEN": ((-5, 6), (33, 42)),
    "MWI": ((-18, -9), (32, 36)),
    "NPL": ((26, 31), (80, 89)),
    "NGA": ((4, 14), (2, 15)),
    "VNM": ((8, 24), (102, 110)),
}
"""Latitudes and longitudes of the countries in degrees, rounded outward: a weight has as many decimals as a place."""
ON_LAND_SHARE = 0.9
SAMPLE, NEARLY_ALL = 5_000, 0.9


@dataclass(frozen=True)
class TakenColumn:
    """A column whose cells were taken out: its header (private), its place from 1, the kind, the rows that showed it.

    declared: its name in the instrument, which leaves it out; null if the instrument does not know it.
    """

    header: str
    place: int
    kind: str
    n: int
    declared: str | None


def take_out(
    table: SourceTable, form_types: dict[str, str], instrument: Instrument | None, manifest: Manifest
) -> tuple[SourceTable, tuple[TakenColumn, ...]]:
    """The table without the cells of its identifying columns, and what was taken out.

    form_types: question -> type in the form. What the instrument maps or names as an id stays, and what the manifest
    names as a question of consent. The country tells a latitude from a weight.
    """
    used, several = _used(instrument)
    used |= _questions_of_consent(manifest)
    declared = _declared(instrument)
    taken: list[TakenColumn] = []
    places: dict[str, tuple[int, int]] = {}
    for place, header in enumerate(table.frame.columns, start=1):
        cells = table.frame[header]
        filled = len(cells) - cells.null_count()
        parts = _parts(header)
        if filled == 0 or parts[-1] in used or any(part in several for part in parts):
            continue
        ends = ("/".join(parts[start:]) for start in range(len(parts)))  # an export has groups before the name
        name, identifies = next((declared[end] for end in ends if end in declared), (None, False))
        named = kind_by_name(header)
        if named in NUMBERS and not cells.str.contains(NUMBERS[named]).any():
            named = None  # consent_phone: yes; access_to_phone: smartphone
        kind = kind_by_form(header, form_types) or named or ("declared" if identifies else None)
        n = filled
        if kind is None and name is not None:
            continue  # known, and kept nowhere
        if kind is None:
            kind, n = _kind_by_values(cells, filled)
            if kind == "coordinates" and cells.str.contains(LONE_COORDINATE).sum() >= n:
                places[header] = (place, n)
                continue
        if kind is not None:
            taken.append(TakenColumn(header, place, kind, n, name))
    for header in _pair(table.frame.select(list(places)), manifest.country):
        place, n = places[header]
        taken.append(TakenColumn(header, place, "coordinates", n, None))
    taken.sort(key=lambda column: column.place)
    left = table.frame.with_columns(_instead(column) for column in taken)
    return replace(table, frame=left), tuple(taken)


def _instead(column: TakenColumn) -> pl.Expr:
    """What stands in the place of the cells: nothing, or the number of the interviewer or the device."""
    if column.kind in ACTORS:
        who = tidy(pl.col(column.header))
        number = pl.when(who.is_not_null()).then(who.rank("dense")).cast(pl.String)
        return pl.concat_str(pl.lit(f"{column.kind}-"), number).alias(column.header)
    return pl.lit(None, dtype=pl.String).alias(column.header)


def _parts(name: str) -> list[str]:
    """A header or a name of the instrument as the parts of its path."""
    return flat(name).split("/")


def _used(instrument: Instrument | None) -> tuple[set[str], set[str]]:
    """Last parts of the names of what is used, and of the questions whose answers are spread over option columns."""
    used: set[str] = set()
    several: set[str] = set()
    for record in instrument.records.values() if instrument else ():
        ids = {record.key, record.identity, record.parent_key}
        for name, column in record.columns.items():
            if column.exclude not in (None, "consent", "option_column") and name not in ids:
                continue
            ends = {_parts(each)[-1] for each in (name, *column.aliases)}
            used |= ends
            if column.select == "multiple":
                several |= ends
        used |= {_parts(name)[-1] for name in ids if name}
    return used, several


def _questions_of_consent(manifest: Manifest) -> set[str]:
    """Last parts of the columns that the manifest names for consent, guardians and privacy."""
    said = manifest.consent.model_dump() | manifest.ethics.model_dump()
    return {_parts(text)[-1] for name, text in said.items() if name.endswith("column") and text}


def _declared(instrument: Instrument | None) -> dict[str, tuple[str, bool]]:
    """Path of each column that the instrument leaves out, by all its names -> its name, and whether it identifies."""
    return {
        "/".join(_parts(each)): (name, column.exclude == "identifier")
        for record in (instrument.records.values() if instrument else ())
        for name, column in record.columns.items()
        if column.exclude is not None
        for each in (name, *column.aliases)
    }


def _kind_by_values(cells: pl.Series, filled: int) -> tuple[str | None, int]:
    """The kind of identifier that the cells of a column look like, and how many rows do.

    If nearly all of some thousands do, all count: every cell of the column is taken out.
    """
    different = cells.drop_nulls().unique()
    if len(different) > 2 * SAMPLE:
        first = candidates(different.gather_every(len(different) // SAMPLE))
        if len(first) >= NEARLY_ALL * SAMPLE:
            return str(first.select(pl.coalesce("certain", "likely").mode().sort().first()).item()), filled
    found = candidates(different)
    if found.is_empty():
        return None, 0
    kinds = cells.replace_strict(
        found["cell"], found.select(pl.coalesce("certain", "likely")).to_series(), default=None, return_dtype=pl.String
    ).drop_nulls()
    if len(kinds) >= IDENTIFIER_ROWS or len(kinds) / filled >= IDENTIFIER_SHARE:
        return str(kinds.mode().sort()[0]), len(kinds)
    return None, 0


def _pair(columns: pl.DataFrame, country: str) -> Collection[str]:
    """Of columns of long fractions the latitudes and longitudes: at least one of each, inside the country."""
    if columns.width == 0 or country not in BOXES:
        return columns.columns
    number = pl.all().str.replace(",", ".").str.strip_chars("°").cast(pl.Float64, strict=False)
    axes = []
    for low, high in BOXES[country]:
        inside = columns.select(number.is_between(low, high).mean()).row(0)
        axes.append({name for name, share in zip(columns.columns, inside, strict=True) if share >= ON_LAND_SHARE})
    both = axes[0] | axes[1]
    return both if axes[0] and axes[1] and len(both) > 1 else ()


def report_taken_out(
    tables: list[FileTable], taken: list[tuple[TakenColumn, ...]], sources: dict[str, Source], found: Findings
) -> None:
    """Say what was taken out, by column: declared is information, what the instrument does not know is a flag."""
    used = {id(source.table): (name, source) for name, source in sources.items()}
    for number, ((file, table), columns) in enumerate(zip(tables, taken, strict=True), start=1):
        name, source = used.get(id(table), (None, None))
        for column in columns:
            if column.declared or is_system(column.header):
                found.result(
                    "identifiers", column.n, 0, expectation="taken_out", record=name,
                    column=column.declared or column.header, severity="information",
                    message=f"{KINDS[column.kind]}: {column.n} cells taken out",
                )  # fmt: skip
                continue
            known = source.record.columns if source else ()
            found.whole(
                "identifiers", "identifier_column", file=public_file(file), record=name,
                sheet=None if source else f"#{number}", n_checked=table.frame.height, n_failed=column.n,
                column=public_column(column.header, column.place, known), expectation="no_identifier_columns",
                kind=KINDS[column.kind], n=column.n,
            )  # fmt: skip
    n = sum(table.frame.width for _, table in tables)
    found.result("identifiers", n, 0, expectation="columns_looked_at", message=f"{n} columns looked at")


def without_unprotected(manifest: Manifest, name: str, source: Source, mappings: Mappings, found: Findings) -> Source:
    """The source without the sensitive columns that its protocol does not cover."""
    answers = {column: source.answers.frame[column] for column in source.answers.frame.columns}
    file = public_file(source.file)
    return replace(source, record=without_sensitive(manifest, name, source.record, answers, file, mappings, found))
