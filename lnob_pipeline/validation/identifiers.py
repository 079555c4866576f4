"""Columns that say who a person is: counted and taken out, table by table.

Here belongs the count by column, of what the instrument declares and of what it does not, and the sensitive columns
that no protocol covers. How an identifier is recognised is in privacy.py; cells of mapped columns are looked at one by
one in contracts.py.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.cleaning import FileTable
from lnob_pipeline.validation.columns import is_system
from lnob_pipeline.validation.findings import Findings
from lnob_pipeline.validation.privacy import identifier_kind, kind_by_form, kind_by_name, public_column, public_file
from lnob_pipeline.validation.protocol import without_sensitive
from lnob_pipeline.validation.rules import KINDS
from lnob_pipeline.validation.structure import Source

IDENTIFIER_SHARE, IDENTIFIER_ROWS = 0.01, 3
"""A column is identifying if so many of its rows look like identifiers (either is enough)."""


def without_unprotected(manifest: Manifest, name: str, source: Source, mappings: Mappings, found: Findings) -> Source:
    """The source without the sensitive columns that its protocol does not cover."""
    answers = {column: source.answers.frame[column] for column in source.answers.frame.columns}
    file = public_file(source.file)
    return replace(source, record=without_sensitive(manifest, name, source.record, answers, file, mappings, found))


def count_identifiers(
    tables: list[FileTable], sources: dict[str, Source], form_types: dict[str, str], found: Findings
) -> None:
    """Count what is taken out, by column. What the instrument declares is information, what it does not is a flag."""
    used = {id(source.table): (name, source) for name, source in sources.items()}
    for file, table in tables:
        name, source = used.get(id(table), (None, None))
        of = source.headers.of if source else {}
        declared = {header: column for column, headers in of.items() for header in headers}
        options = {
            header for found_options in (source.headers.options.values() if source else ()) for header in found_options
        }
        for place, header in enumerate(table.frame.columns, start=1):
            cells = table.frame[header]
            filled = len(cells) - cells.null_count()
            column = source.record.columns[declared[header]] if source and header in declared else None
            if filled == 0 or header in options or (column is not None and column.exclude is None):
                continue  # the cells of mapped columns are looked at one by one, after consent
            if column is not None:
                if column.exclude == "identifier":
                    said = kind_by_form(header, form_types) or kind_by_name(header) or "declared"
                    found.result(
                        "identifiers", filled, 0, expectation="taken_out", record=name, column=declared[header],
                        severity="information", message=f"{KINDS[said]}: {filled} cells taken out",
                    )  # fmt: skip
                continue
            kind, n = _kind_of_column(header, cells, form_types)
            if kind is not None and is_system(header):
                found.result(
                    "identifiers", filled, 0, expectation="taken_out", record=name, column=header,
                    severity="information", message=f"{KINDS[kind]}: {filled} cells taken out",
                )  # fmt: skip
            elif kind is not None:
                found.whole(
                    "identifiers", "identifier_column", file=public_file(file), record=name, n_checked=len(cells),
                    n_failed=n, column=public_column(header, place, source.record.columns if source else ()),
                    expectation="no_identifier_columns",
                    kind=KINDS[kind], n=n,
                )  # fmt: skip
    n = sum(table.frame.width for _, table in tables)
    found.result("identifiers", n, 0, expectation="columns_looked_at", message=f"{n} columns looked at")


def _kind_of_column(header: str, cells: pl.Series, form_types: dict[str, str]) -> tuple[str | None, int]:
    """The kind of identifier in a column that no instrument declares, and in how many rows."""
    filled = len(cells) - cells.null_count()
    if kind := kind_by_form(header, form_types) or kind_by_name(header):
        return kind, filled
    kinds = identifier_kind(cells).drop_nulls()
    if len(kinds) >= IDENTIFIER_ROWS or (len(kinds) and len(kinds) / filled >= IDENTIFIER_SHARE):
        return str(kinds.mode().sort()[0]), len(kinds)
    return None, 0
