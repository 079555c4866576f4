"""The privacy wall: what of a hand-in may be shown, in a message, in a name, in what is kept.

Here belongs the rule for showing a value; how an identifier is recognised is in identifier_names.py and
identifier_patterns.py, taking out is in identifiers.py. Patterns cannot recognise a name: names are kept out because
only columns that an instrument maps are kept, unknown answers and headers are shown only if they are numbers or dates
or differ by a slip from what the questionnaire has, and groups and interviews get a running number instead of their
title.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile, Manifest
from lnob_pipeline.submissions.receive import public_name
from lnob_pipeline.validation.identifier_names import FORM_TYPES, kind_by_form, kind_by_name
from lnob_pipeline.validation.identifier_patterns import (
    identifier_kind,
    identifier_kinds,
    looks_identifying,
    verhoeff_holds,
)
from lnob_pipeline.validation.normalise import ascii_digits

__all__ = [
    "FORM_TYPES",
    "NOT_SHOWN",
    "code_shaped",
    "identifier_kind",
    "identifier_kinds",
    "is_near",
    "kind_by_form",
    "kind_by_name",
    "looks_identifying",
    "public_column",
    "public_file",
    "public_manifest",
    "public_words",
    "showable",
    "verhoeff_holds",
]

MAXIMUM_SHOWN = 60
"""Letters of a header, or of a word of the manifest, that a message repeats."""
NOT_SHOWN = "(not shown)"
DATE = r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}$"
NUMBER = r"^[a-z]{0,3}[+-]?[0-9][0-9.,]{0,7}%?$"
"""A number of up to eight signs, or a numbered code as q12."""
CODE = r"^[a-z0-9_/+<>-]{1,40}$"
"""A code as forms have them: small letters without blanks. A first name in small letters has this shape too."""
LIKENESS = 0.7
COMPARED = 1_000
"""Different unknown answers that are compared with the known ones; beyond, none is shown."""


def public_manifest(manifest: Manifest) -> tuple[Manifest, list[str]]:
    """The manifest without the texts that hold what looks like an identifier, and the names of their fields.

    Some texts of a manifest are published: whom the data speak of, who handed them in, the number of the agreement. A
    manifest that was cleaned once names the same fields again.
    """
    names: list[str] = []

    def cleaned(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(item, f"{name}.{key}" if name else key) for key, item in value.items()}
        if isinstance(value, list):
            return [cleaned(item, name) for item in value]
        if isinstance(value, str) and name != "submission" and (value == NOT_SHOWN or looks_identifying(value)):
            names.append(name)
            return NOT_SHOWN
        return value

    texts = cleaned(manifest.model_dump(exclude={"files"}), "")
    return Manifest.model_validate(texts | {"files": manifest.files}), list(dict.fromkeys(names))


def is_near(text: str, known: Collection[str]) -> bool:
    """Whether a text differs by no more than a slip of the pen from one of the known ones (Ratcliff and Obershelp)."""
    return bool(difflib.get_close_matches(text.casefold(), [name.casefold() for name in known], 1, LIKENESS))


def showable(cells: pl.Series, known: Collection[str] = ()) -> pl.Series:
    """Whether a cell that is wrong may be shown: a number, a date, or a code almost as one of the `known` ones.

    Other words, also single ones in small letters, and long numbers are not shown, because they could be a name or an
    identity number typed into the wrong column.
    """
    coded = code_shaped(cells)
    words = cells.filter(coded).unique().to_list() if known else []
    near = [word for word in words if is_near(word, known)] if len(words) <= COMPARED else []
    text = _ascii(cells)
    return coded & (text.str.contains(NUMBER) | text.str.contains(DATE) | cells.is_in(near)).fill_null(False)


def code_shaped(cells: pl.Series) -> pl.Series:
    """Whether a cell has the shape of a code, a number or a date, and not that of an identifier."""
    text = _ascii(cells)
    digits = text.str.count_matches("[0-9]")
    date = text.str.contains(DATE)
    shape = date | text.str.contains(NUMBER) | text.str.contains(CODE)
    return (shape & ((digits <= 6) | date) & identifier_kind(cells).is_null()).fill_null(False)


def _ascii(cells: pl.Series) -> pl.Series:
    return pl.Series("cell", cells).to_frame().select(ascii_digits(pl.col("cell"))).to_series()


def public_file(file: DataFile) -> str:
    """The name of a file as it may be shown: its role and kind where the name could be that of a person."""
    name = public_name(file.path, file.role, looks_identifying)
    return name if name == name.lower() and name.isascii() else public_name(name, file.role, lambda _: True)


def public_column(header: str, place: int, known: Collection[str]) -> str:
    """A header that no instrument declares, as it may be shown: its place unless it is almost one of the known ones.

    Where the first row of a file is no header, it is the first person.
    """
    last = re.split(r"[/:.]", header)[-1]
    shown = is_near(last, [re.split(r"[/:.]", name)[-1] for name in known]) and not looks_identifying(header)
    return header if shown and len(header) <= MAXIMUM_SHOWN else f"column {place}"


def public_words(words: Collection[str]) -> str:
    """Words of the manifest as a message may repeat them."""
    return ", ".join(NOT_SHOWN if looks_identifying(word) or len(word) > MAXIMUM_SHOWN else word for word in words)
