"""Which header of a file is which column of the instrument, whatever the export calls it.

Here belong names only: by the name of the question, by another name it has or had (`aliases`: earlier versions of the
form, labels in any language), by its path through the groups of the form, and the option columns of questions with
several answers. What the cells hold is in answers.py. A header that could be two columns, and a column that could be
two headers of which the instrument names none, stay apart: nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lnob_pipeline.mappings.models import Record
from lnob_pipeline.validation.normalise import tidy_text

BETWEEN = re.compile(r"\s*[/.:-]+\s*")
"""What exports put between the parts of a path: KoboToolbox / . or :, ODK Central -; by hand with blanks around it."""
VERSION = re.compile(r"^_{1,2}version\d*_{1,2}$|^FormVersion$|^formdef_version$|^meta/versionID$")
"""Headers of the version of the form: KoboToolbox, ODK Central, SurveyCTO."""
SYSTEM = re.compile(
    r"^_(id|uuid|index|parent_index|parent_table_name|submission_.*|submitted_by|validation_status|status|notes|tags"
    r"|geolocation|xform_id_string|bamboo_dataset_id)$|^meta/(instanceID|rootUuid|versionID|formUID|deprecatedID)$"
    r"|^formhub/uuid$"
)
"""Columns that KoboToolbox adds to every export and whose set changed over the years; no question bears such a name."""
SHEET_NAME = 31
"""Letters in the name of a sheet; KoboToolbox cuts longer ones and ends them with three dots."""


@dataclass(frozen=True)
class Headers:
    """What was found in one table.

    of: column of the instrument -> its headers, in the order of the file (several where a question was renamed).
    options: column with several answers -> header of one option -> its code, or None for an option that is not known.
    by_path: columns that were recognised by the end of their path alone. unclear: columns for which that was not
    certain, with the number of headers or columns that it could be. elsewhere: header that ends in the name of a mapped
    column which the file has under another header -> that column (moved to another group, or another question).
    """

    of: dict[str, tuple[str, ...]]
    options: dict[str, dict[str, str | None]]
    by_path: list[str]
    unclear: dict[str, int]
    elsewhere: dict[str, str]


def is_system(header: str) -> bool:
    """Whether a column is one that the survey tool adds by itself."""
    return bool(SYSTEM.match(header) or VERSION.match(header))


def same_table(wanted: str, name: str) -> bool:
    """Whether a table of a file is the one that the instrument names, also where the name of a sheet was cut."""
    wanted, name = tidy_text(wanted), tidy_text(name)
    sheet = re.sub(r"[\[\]*?:/\\]", "_", wanted)
    cut = sheet if len(sheet) <= SHEET_NAME else f"{sheet[: SHEET_NAME - 3]}..."
    return name.casefold() in (wanted.casefold(), cut.casefold())


def find_headers(
    record: Record, headers: Sequence[str], options: Mapping[str, Mapping[str, str]], rows_of_options: set[str]
) -> Headers:
    """Find the headers of a record's columns.

    options: column with several answers -> text of an option (code, or label in any language) -> code.
    rows_of_options: headers whose cells are all ticks (1, 0, TRUE, FALSE): what may be an option nobody mapped.
    """
    names = {column: [column, *said.aliases] for column, said in record.columns.items()}
    owner = _exact(names, headers)
    by_option = _options(names, headers, owner, options, rows_of_options, record)
    taken = {header for found in by_option.values() for header in found}
    free = [header for header in headers if not (header in owner or header in taken or is_system(header))]
    by_path, unclear, elsewhere = _by_path(names, headers, free, owner)
    owner |= by_path
    of: dict[str, tuple[str, ...]] = {}
    for header in headers:
        if (column := owner.get(header)) is not None:
            of[column] = (*of.get(column, ()), header)
    moved = {header: column for header, column in elsewhere.items() if record.columns[column].exclude is None}
    return Headers(of, by_option, sorted(set(by_path.values())), unclear, moved)


def flat(name: str) -> str:
    """A name in tidy form, as a path with one kind of mark between its parts."""
    return BETWEEN.sub("/", tidy_text(name)).strip("/")


def _exact(names: dict[str, list[str]], headers: Sequence[str]) -> dict[str, str]:
    """Header -> column where it is one of the column's names, or such a name with other marks in its path."""
    exact = {tidy_text(name): column for column, known in reversed(names.items()) for name in known}
    paths: dict[str, set[str]] = {}
    for name, column in exact.items():
        paths.setdefault(flat(name), set()).add(column)
    owner: dict[str, str] = {}
    for header in headers:
        text = tidy_text(header)
        if text in exact:
            owner[header] = exact[text]
        elif len(columns := paths.get(flat(text), set())) == 1:
            owner[header] = next(iter(columns))
    return owner


def _options(
    names: dict[str, list[str]],
    headers: Sequence[str],
    owner: dict[str, str],
    options: Mapping[str, Mapping[str, str]],
    rows_of_options: set[str],
    record: Record,
) -> dict[str, dict[str, str | None]]:
    """Column with several answers -> header of one of its options -> code. Mapped columns are no options."""
    questions = {flat(name): column for column in options for name in names[column]}
    known: dict[str, tuple[str, str | None]] = {}
    for question, column in questions.items():
        for text, code in options[column].items():
            path = f"{question}/{flat(text)}"
            same = path not in known or known[path] == (column, code)
            known[path] = (column, code if same else None)
    found: dict[str, dict[str, str | None]] = {}
    for header in headers:
        if header in owner and record.columns[owner[header]].exclude != "option_column":
            continue
        path = flat(header)
        option = next((known[end] for end in _ends(path) if end in known), None)
        if option is None and header in rows_of_options:
            groups = path.split("/")[:-1]
            above = (end for last in range(len(groups), 0, -1) for end in _ends("/".join(groups[:last])))
            option = next(((questions[end], None) for end in above if end in questions), None)
        if option is not None:
            found.setdefault(option[0], {})[header] = option[1]
    return found


def names_of(record: Record, headers: Sequence[str], found: Headers) -> dict[str, str]:
    """Every name, in tidy form, that a person may use for a header -> the header, where it is one header.

    The header itself, the same path with other marks, the instrument's column and its other names.
    """
    names: dict[str, str] = {}
    for column, of in found.of.items():
        if len(of) == 1:
            names |= {tidy_text(name): of[0] for name in (column, *record.columns[column].aliases)}
    paths = Counter(flat(header) for header in headers)
    for header in headers:
        text = tidy_text(header)
        if paths[flat(text)] == 1:
            names |= {BETWEEN.sub(mark, text): header for mark in "/.:-"}
    return names | {tidy_text(header): header for header in headers}


def _by_path(
    names: dict[str, list[str]], headers: Sequence[str], free: Sequence[str], owner: dict[str, str]
) -> tuple[dict[str, str], dict[str, int], dict[str, str]]:
    """What the ends of paths say: header -> column; column -> how many it could be; header -> column found elsewhere.

    The header may have groups before the name (`group/question`), or the instrument may (an export without groups). A
    name counts if it is the end of one header only and that header is the end of no other column.
    """
    columns: dict[str, set[str]] = {}
    for column, known in names.items():
        for name in known:
            columns.setdefault(flat(name), set()).add(column)
    written = {flat(header) for header in headers}
    ends = _headers_by_end(columns.keys(), headers, written)
    claimed: dict[str, set[str]] = {}
    for name, those in ends.items():
        for header in those:
            claimed.setdefault(header, set()).update(columns[name])
    found: dict[str, str] = {}
    possible: dict[str, int] = {}
    for name, those in ends.items():
        for column in columns[name]:
            own = [header for header in those if header in free or owner.get(header) == column]
            if name in written or not own:
                continue
            if len(own) == 1 and own[0] in free and len(claimed[own[0]]) == 1:
                found[own[0]] = column
            else:
                possible[column] = max(len(own), *(len(claimed[header]) for header in own))
    known_columns = {*owner.values(), *found.values()}
    unclear = {column: n for column, n in possible.items() if column not in known_columns}
    left = {header: name for name, those in ends.items() for header in those if header in free and header not in found}
    elsewhere = {header: min(columns[name]) for header, name in left.items() if columns[name] <= known_columns}
    return found, unclear, elsewhere


def _headers_by_end(names: Collection[str], headers: Sequence[str], written: set[str]) -> dict[str, list[str]]:
    """Name -> headers that end in it, or that it ends in. What stands under a question is an option, and no group."""
    longer: dict[str, set[str]] = {}
    for name in names:
        for end in _ends(name)[1:]:
            longer.setdefault(end, set()).add(name)
    whole = {*written, *names}
    questions = {end for name in whole for end in _ends(name)}
    ends: dict[str, list[str]] = {}
    for header in headers:
        path = flat(header)
        for end in _ends(path)[1:]:
            above = path[: -len(end) - 1]
            if end in names and above not in questions and not any(name in whole for name in _ends(above)):
                ends.setdefault(end, []).append(header)
        for name in longer.get(path, ()):
            ends.setdefault(name, []).append(header)
    return ends


def _ends(path: str) -> list[str]:
    """A path, and what remains of it without its first part, its first two parts, and so on."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
