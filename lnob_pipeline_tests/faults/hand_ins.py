"""Hand-ins for the tests of faults: a home of their own, copies of the bundled samples, and planted identifiers.

All numbers and names are invented. Every planted digit sequence holds SIGNATURE and every planted name and address
holds NAME, so that one search over bytes finds each of them, however it is spelt.
"""

from __future__ import annotations

import functools
import io
import itertools
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

import openpyxl
import polars as pl
from python_calamine import load_workbook

from data.make_samples import files
from lnob_pipeline import pipeline
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, parse_manifest
from lnob_pipeline.submissions.readers import read_file
from lnob_pipeline.validation.privacy import verhoeff_holds
from lnob_pipeline_tests.faults import planted_files

NOW = "2026-11-23T00:00:00Z"
SIGNATURE = "7319462"
NAME = "quvz"
DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")

Table = dict[str, list[str | None]]


def make_home(folder: Path, root: Path) -> Path:
    """A home with the project's mappings and official figures and an empty inbox."""
    (folder / "data" / "submissions").mkdir(parents=True)
    (folder / "indicator_mappings").symlink_to(root / "indicator_mappings")
    (folder / "data" / "official").symlink_to(root / "data" / "official")
    return folder


def sample(root: Path, key: str) -> Path:
    """The folder of a bundled sample."""
    return root / "data" / "submissions" / key[:3] / key


def copy_sample(root: Path, home: Path, key: str, new_key: str | None = None, **changes: str) -> Path:
    """Copy a bundled sample into the inbox, under another key if wanted; `changes`: line of the manifest -> new line.

    A change names the field at the start of its line (`organisation="organisation: other"`).
    """
    target = home / "data" / "submissions" / key[:3] / (new_key or key)
    shutil.copytree(sample(root, key), target)
    text = (target / "submission.yaml").read_text("utf-8").replace(f"submission: {key}", f"submission: {target.name}")
    for field, line in changes.items():
        text, n = re.subn(rf"(?m)^{field}:.*(?:\n[ ].*)*$", line.replace("\\", r"\\"), text, count=1)
        assert n == 1, field
    (target / "submission.yaml").write_text(text, "utf-8")
    return target


def settings_of(home: Path, **more: Any) -> Settings:
    """The settings of a home."""
    return Settings.load(home=home, **more)


@functools.cache
def _aadhaar(n: int) -> str:
    """A number of twelve digits whose last is its check digit of Verhoeff."""
    candidates = pl.DataFrame({"d": [f"2{SIGNATURE}{n % 1000:03d}{check}" for check in range(10)]})
    return str(candidates.filter(verhoeff_holds("d")).item())


def _letters(n: int) -> str:
    """A number as letters, so that names are unique and hold no digit."""
    return "".join("abdeghiklm"[int(digit)] for digit in f"{n:03d}")


class Planter:
    """Gives out identifiers of a country, each once, in every spelling; remembers where each was put."""

    HOME: ClassVar = {
        "KEN": "0{}",
        "BGD": "01{}",
        "IND": "{}",
        "NPL": "9{}",
        "MWI": "08{}",
        "NGA": "080{}",
        "VNM": "0{}",
    }
    LENGTH: ClassVar = {"KEN": 10, "BGD": 11, "IND": 10, "NPL": 10, "MWI": 10, "NGA": 11, "VNM": 10}
    ABROAD: ClassVar = {"KEN": "254", "BGD": "880", "IND": "91", "NPL": "977", "MWI": "265", "NGA": "234", "VNM": "84"}

    def __init__(self, iso3: str) -> None:
        self.iso3 = iso3
        self.count = itertools.count(1)
        self.hidden = itertools.cycle(("sentence", "name", "home", "email", "abroad"))
        self.kinds = itertools.cycle(
            (
                "home", "name", "abroad", "small_name", "id", "spaced", "email", "geopoint", "bare", "two_small",
                "dashed", "latitude", "other_digits", "name_with_digit", "zero_lost", "double_zero", "sentence",
            )
        )  # fmt: skip

    def phone(self) -> str:
        """A number as dialled at home."""
        start = self.HOME[self.iso3].format(SIGNATURE)
        rest = self.LENGTH[self.iso3] - len(start)
        return start + f"{next(self.count) % 10**rest:0{rest}d}"

    def name(self) -> str:
        """Two words with capitals."""
        return f"Quvz{_letters(next(self.count))} Otenga{_letters(next(self.count))}"

    def identity(self) -> str:
        """A national identity number in the shape of the country."""
        n = next(self.count)
        if self.iso3 == "IND":
            return re.sub(r"(....)(....)(....)", r"\1 \2 \3", _aadhaar(n % 20))
        return {
            "KEN": f"A{SIGNATURE}{n % 100:02d}Z",
            "BGD": f"199{SIGNATURE}{n % 1000:03d}",
            "NPL": f"12-73-19-462{n % 100:02d}",
            "MWI": f"{SIGNATURE}{n % 10}",
            "NGA": f"{SIGNATURE}{n % 10_000:04d}",
            "VNM": f"0010{SIGNATURE}{n % 10}",
        }[self.iso3]

    def any(self, kind: str | None = None) -> str:
        """The next identifier, of the next kind in turn if none is named."""
        kind = kind or next(self.kinds)
        n, phone = next(self.count), self.phone()
        national, abroad = phone.lstrip("0"), self.ABROAD[self.iso3]
        simple = {
            "home": phone,
            "abroad": f"+{abroad}{national}",
            "small_name": f"{NAME}{_letters(n)}",
            "spaced": f"+{abroad} {national[:3]} {national[3:6]} {national[6:]}",
            "email": f"{NAME}{n}@example.org",
            "geopoint": f"-0.{SIGNATURE}{n % 10} 34.{SIGNATURE}{n % 10} 1131.0 4.0",
            "bare": f"{abroad}{national}",
            "two_small": f"{NAME}{_letters(n)} otenga",
            "dashed": f"{phone[:4]}-{phone[4:7]}-{phone[7:]}",
            "latitude": f"34.{SIGNATURE}{n % 10}",
            "other_digits": phone.translate(DEVANAGARI),
            "name_with_digit": f"{NAME}{_letters(n)}{1950 + n % 50}",
            "zero_lost": national,
            "double_zero": f"00{abroad}{national}",
            "sentence": f"call Quvz{_letters(n)} Otenga on {phone} or {NAME}{n}@example.org please",
        }
        return self.identity() if kind == "id" else self.name() if kind == "name" else simple[kind]

    def hide(self) -> str:
        """The next identifier for a place that is no cell."""
        return self.any(next(self.hidden))


def tables_of(folder: Path, number: int = 0) -> tuple[DataFile, dict[str, Table]]:
    """A data file of a hand-in as tables of text, by its own reader."""
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    file = manifest.files[number]
    read = read_file((folder / file.path).read_bytes(), file)
    return file, {name: table.frame.to_dict(as_series=False) for name, table in read.items()}


def written(file: DataFile, tables: dict[str, Table], *, main: str) -> bytes:
    """Tables as a file of its format, every cell as text."""
    frames = {name: pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)) for name, table in tables.items()}
    if file.format == "kobo_xlsx":
        return files.tables_workbook({name: frames[name] for name in sorted(frames, key=lambda name: name != main)})
    if file.format == "odk_zip":
        return files.zipped({f"{name}.csv": files.delimited(frame) for name, frame in frames.items()})
    frame = frames[main]
    if file.format in ("csv", "taguette_csv"):
        return files.delimited(frame, delimiter=file.delimiter or ",", mark=file.delimiter == ";")
    texts = frame.fill_null("")
    return files.spss(texts) if file.format == "spss" else files.stata(texts)


def plant(table: Table, columns: dict[str, Column], planter: Planter, *, last: int, skip: frozenset[str]) -> None:
    """Put identifiers into every column, each into a row of its own kind, rows from the third on up to `last`.

    Names without a pattern stay out of the columns where any text is an answer (clusters, strata, legal sources). The
    columns of a question with several answers have theirs in the same three rows: such a question may have a dozen of
    columns, and with a fault of its own in each the answers would rightly count as unusable as a whole.
    """
    row = itertools.cycle(range(3, last))
    for header, cells in table.items():
        column = columns.get(header)
        if header in skip or column is None:
            continue
        several = column.exclude == "option_column" or column.select == "multiple"
        rows = itertools.cycle(range(3, 6)) if several else row
        free = column.exclude in ("identifier", "free_text", "not_used", "note")
        text = column.variable in ("stratum", "cluster") or column.role == "source"
        for _ in range(6 if free else 3):
            kind = next(planter.kinds)
            if text and kind in ("small_name", "two_small", "name_with_digit", "latitude", "name"):
                kind = "abroad"
            if column.variable == "household_weight" and kind == "latitude":
                continue  # 34.7 may be a weight, and no place by itself
            cells[next(rows)] = planter.any(kind)


def refuse(
    table: Table, consent: str, answer: str, planter: Planter, rows: Iterator[int], skip: frozenset[str]
) -> None:
    """Make rows of refused consent, with identifiers and a text in every column."""
    for row in rows:
        for header, cells in table.items():
            if header not in skip:
                cells[row] = planter.any()
        table[consent][row] = answer


def workbook(path: Path) -> tuple[dict[str, list[list[Any]]], dict[str, list[tuple[Any, Any]]]]:
    """The cells and merged ranges of every sheet."""
    cells, merged = {}, {}
    book = load_workbook(io.BytesIO(path.read_bytes()))
    for name in book.sheet_names:
        sheet = book.get_sheet_by_name(name)
        cells[name] = sheet.to_python(skip_empty_area=False)
        merged[name] = list(sheet.merged_cell_ranges or [])
    return cells, merged


def workbook_bytes(cells: dict[str, list[list[Any]]], merged: dict[str, list[tuple[Any, Any]]]) -> bytes:
    """A workbook of cells and merged ranges."""

    def write(book: Any) -> None:
        for name, rows in cells.items():
            sheet = book.add_worksheet(name)
            for (top, left), (bottom, right) in merged[name]:
                sheet.merge_range(top, left, bottom, right, "")
            for number, row in enumerate(rows):
                for place, cell in enumerate(row):
                    if cell not in ("", None):
                        sheet.write(number, place, cell)

    return files.workbook(write)


def survey(
    root: Path,
    home: Path,
    mappings: Mappings,
    key: str,
    iso3: str,
    *,
    keep: int | None = None,
    names: tuple[str, ...] = (),
    as_format: str | None = None,
) -> Planter:
    """Copy a survey into the inbox and plant identifiers into every column of every record; see the tests.

    as_format: write its one table as a file of this format, as the hand-in <key>-as-<format>. Of the questions with
    codes each of these hand-ins gets a third, by turns: what is written there is the same for every format.
    """
    new_key = f"{key}-as-{as_format.replace('_', '-')}" if as_format else None
    folder = copy_sample(root, home, key, new_key)
    manifest = parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")
    instrument = mappings.instruments[manifest.instrument]
    assert instrument.consent is not None
    planter = Planter(iso3)
    text = (folder / "submission.yaml").read_text("utf-8")
    read = [(number, *tables_of(folder, number)) for number, f in enumerate(manifest.files) if f.role == "data"]
    everything = {name: table for _, _, tables in read for name, table in tables.items()}
    refused_keys: set[str | None] = set()
    for name, record in instrument.records.items():
        table = everything[record.table]
        keys = frozenset(k for k in (record.key, record.parent_key) if k) | {instrument.consent.column}
        links = table[record.parent_key] if record.parent_key else []
        if record.parent is not None:  # members of kept households only
            above = instrument.records[record.parent]
            chosen = set(everything[above.table][above.key or ""])
            rows = [i for i, parent in enumerate(links) if parent in chosen]
            for header in table:
                table[header] = [table[header][i] for i in rows]
        elif keep is not None:
            for header in table:
                table[header] = table[header][:keep]
        n = len(next(iter(table.values())))
        coded = [header for header, column in record.columns.items() if column.codes or column.positive]
        others = {header for i, header in enumerate(coded) if as_format and (i + len(as_format)) % 3}
        plant(table, record.columns, planter, last=n - 10, skip=keys | others)
        if name == instrument.consent.record:
            refuse(table, instrument.consent.column, "refused", planter, iter(range(n - 4, n)), keys)
            refused_keys = set(table[record.key or ""][n - 4 :])
            if record.key and record.key == record.identity:  # the same telephone number as the id of two rows
                table[record.key][0] = table[record.key][1] = planter.phone()
        elif refused_keys:
            rows = [i for i, parent in enumerate(table[record.parent_key or ""]) if parent in refused_keys]
            for header in table:
                if header not in keys:
                    for i in rows:
                        table[header][i] = planter.any()
        # columns that no instrument knows
        table[f"{planter.name().split()[0]} on {planter.phone()}"] = ["x"] * n
        table[planter.any("small_name")] = [planter.any() if i % 5 else None for i in range(n)]
        table[planter.name()] = ["1"] * n
    for (_, file, tables), new in itertools.zip_longest(read, names):
        main = next(record.table for record in instrument.records.values() if record.table in tables)
        path = folder / (new or file.path)
        if as_format:
            suffix, content = planted_files.TABLES[as_format](tables[main], main, planter.hide)
            path = folder / f"{main}{suffix}"
            text = text.replace(f"format: {file.format}", f"format: {as_format}").replace(', delimiter: ";"', "")
        elif file.format in ("spss", "stata"):
            table = tables[main]  # the formats allow no blanks in a name
            renamed = {re.sub(r"\W+", "_", header): cells for header, cells in table.items()}
            content = written(file, {main: renamed}, main=main)
        else:
            content = written(file, tables, main=main)
        (folder / file.path).unlink()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        name = path.relative_to(folder).as_posix()
        if name != file.path:
            text = text.replace(f"path: {file.path}", f'path: "{name}"')
    (folder / "submission.yaml").write_text(text, "utf-8")
    return planter


def score_card(root: Path, home: Path) -> Planter:
    """The score card with identifiers in titles, names of communities, scores, statements and remarks."""
    planter = Planter("MWI")
    path = copy_sample(root, home, "mwi-2020-health-score-card") / "score_card.xlsx"
    cells, merged = workbook(path)
    community = planter.any("sentence")
    for rows in cells.values():
        for row in rows:
            row[:] = [community if cell == "Chitsanzo A" else cell for cell in row]
    scores = cells["scores"]
    scores[0][0] = planter.any("sentence")
    for number, row in enumerate(scores[4:60]):
        row[4 + 2 * (number % 4)] = planter.any()
    for number, kind in enumerate(("home", "latitude", "name", "small_name", "zero_lost", "email", "other_digits")):
        scores[20 + number][3 + 2 * (number % 4)] = planter.any(kind)
        scores[40 + number][1] = planter.any(kind)
    for row in cells["groups"][1:]:
        row[5] = planter.any("sentence")
    for number, kind in enumerate(("home", "zero_lost", "name", "geopoint")):
        cells["groups"][6 + number][2] = planter.any(kind)
        cells["groups"][12 + number][3] = planter.any(kind)
    for number, row in enumerate(cells["provider_scores"][1:]):
        row[0] = planter.any("name" if number % 2 else "sentence")
    cells["provider_scores"][3][3] = planter.any("small_name")
    for row in cells["action_plan"][1:]:
        row[2], row[3] = planter.any("sentence"), planter.any("sentence")
    for name in ("groups", "interface_meeting"):
        cells[name][0].append(planter.any("sentence"))
        for row in cells[name][1:]:
            row.append(planter.any())
    path.write_bytes(workbook_bytes(cells, merged))
    return planter


def discussions(root: Path, home: Path) -> Planter:
    """Excerpts and participants with identifiers in titles of discussions, tags, quotes and counts."""
    planter = Planter("NGA")
    folder = copy_sample(root, home, "nga-2020-discussions")
    titles: dict[str | None, str] = {}
    for number in (0, 1):
        file, tables = tables_of(folder, number)
        ((name, table),) = tables.items()
        n = len(table["document"])
        for title in table["document"]:
            titles.setdefault(title, planter.any("sentence" if len(titles) % 2 else "name"))
        table["document"] = [titles[title] for title in table["document"]]
        if "content" in table:
            table["content"] = [planter.any("sentence") for _ in range(n)]
            for row, kind in enumerate(("home", "name", "small_name", "email", "other_digits", "id"), start=5):
                table["tag"][row] = planter.any(kind)
                table["tag"][row + 10] = f"sdg\\{planter.any(kind)}"
            table["id"][40] = planter.phone()
        else:
            table["facilitator"] = [planter.any("sentence") for _ in range(n)]
            for row, column in enumerate(("kind", "group", "participants", "admin1", "age_range"), start=2):
                table[column][row] = planter.any("small_name" if row % 2 else "home")
        table[planter.name()] = [planter.any() for _ in range(n)]
        (folder / file.path).write_bytes(written(file, tables, main=name))
    return planter


def coded_project(root: Path, home: Path) -> Planter:
    """The discussions as a REFI-QDA project with identifiers in users, texts, notes, cases and names of parts."""
    planter = Planter("NGA")
    folder = copy_sample(root, home, "nga-2020-discussions", "nga-2020-discussions-as-project")
    _, tables = tables_of(folder)
    (table,) = tables.values()
    rows = list(zip(table["document"], table["tag"], strict=True))
    codes = {tag: str(uuid.UUID(int=number)) for number, tag in enumerate(dict.fromkeys(tag for _, tag in rows), 1)}
    odd = str(uuid.UUID(int=10_000))
    listed = "".join(
        f'<Code guid="{guid}" name="{escape(str(tag))}" isCodable="true"><Description>{escape(planter.any("sentence"))}'
        "</Description></Code>"
        for tag, guid in [*codes.items(), (planter.any("name"), odd)]
    )
    sources = ""
    for number, document in enumerate(dict.fromkeys(document for document, _ in rows)):
        passages = "".join(
            f'<PlainTextSelection guid="{uuid.UUID(int=10**6 * (number + 1) + place)}" name="{planter.any("home")}" '
            f'startPosition="0" endPosition="9"><Description>{escape(planter.any("sentence"))}</Description>'
            f'<Coding guid="{uuid.UUID(int=10**9 * (number + 1) + place)}" creatingUser="{uuid.UUID(int=7)}">'
            f'<CodeRef targetGUID="{odd if place == 2 else codes[tag]}"/></Coding></PlainTextSelection>'
            for place, (of, tag) in enumerate(rows)
            if of == document
        )
        text = escape(planter.any("sentence"))
        sources += (
            f'<TextSource guid="{uuid.UUID(int=500 + number)}" name="{document}" creatingUser="{uuid.UUID(int=7)}">'
            f"<PlainTextContent>{text}</PlainTextContent>{passages}</TextSource>"
        )
    project = (
        '<?xml version="1.0" encoding="utf-8"?><Project xmlns="urn:QDA-XML:project:1.0" '
        f'name="{planter.any("name")}" origin="test"><Users><User guid="{uuid.UUID(int=7)}" '
        f'name="{planter.any("name")}" id="{planter.any("email")}"/></Users>'
        f"<CodeBook><Codes>{listed}</Codes></CodeBook>"
        f'<Cases><Case guid="{uuid.UUID(int=8)}" name="{planter.any("name")}"/></Cases>'
        f"<Sources>{sources}</Sources><Notes><Note guid='{uuid.UUID(int=9)}' name='{planter.any('home')}'>"
        f"<PlainTextContent>{escape(planter.any('sentence'))}</PlainTextContent></Note></Notes></Project>"
    )
    content = files.zipped({"project.qde": project.encode(), f"Sources/{planter.name()}.txt": planter.phone().encode()})
    (folder / "project.qdpx").write_bytes(content)
    (folder / "highlights.csv").unlink()
    manifest = folder / "submission.yaml"
    text = manifest.read_text("utf-8").replace("path: highlights.csv", "path: project.qdpx")
    manifest.write_text(text.replace("format: taguette_csv", "format: refi_qda"), "utf-8")
    return planter


def add_form(folder: Path, planter: Planter) -> None:
    """Put an XLSForm beside the data, with identifiers in labels, hints, constraints, choices and settings."""
    hide = functools.partial(planter.any, "sentence")
    survey = pl.DataFrame(
        {
            "type": ["text", "geopoint", "select_one yes_no", "note", planter.any("name")],
            "name": ["answer_a", "answer_b", "answer_c", planter.any("small_name"), planter.phone()],
            "label": [hide() for _ in range(5)],
            "hint": [hide() for _ in range(5)],
            "constraint": [f". != '{planter.phone()}'", None, None, None, None],
            "relevant": [None, None, f"${{answer_a}} = '{planter.any('email')}'", None, None],
            planter.name(): [hide() for _ in range(5)],
        }
    )
    choices = pl.DataFrame({"list_name": ["yes_no"] * 2, "name": ["yes", planter.phone()], "label": [hide(), hide()]})
    words = pl.DataFrame({"form_title": [planter.name()], "form_id": [planter.phone()]})
    content = files.tables_workbook({"survey": survey, "choices": choices, "settings": words, planter.name(): survey})
    (folder / "form.xlsx").write_bytes(content)
    manifest = folder / "submission.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "  - {path: form.xlsx, role: form, format: xlsform}\n", "utf-8")


def return_workbook(home: Path, folder: Path, planter: Planter) -> None:
    """Judge a hand-in, type identifiers into its feedback workbook, and put that beside the data."""
    settings = settings_of(home)
    key = folder.name
    pipeline.run_submissions(settings, key, now=NOW)
    pipeline.run_validation(settings, key)
    book = openpyxl.load_workbook(pipeline.feedback_path(settings, key))
    page = max((sheet for sheet in book if sheet.sheet_state == "visible"), key=lambda sheet: sheet.max_column)
    kinds = itertools.cycle(("home", "name", "email", "sentence", "other_digits", "small_name", "id"))
    (row,) = page.iter_rows(min_row=page.max_row // 2, max_row=page.max_row // 2, min_col=4)
    answered = [cell for cell in row if cell.value is not None]
    assert len(answered) > 20
    for cell in answered:
        cell.value = planter.any(next(kinds))
    book.properties.creator = planter.any("name")
    book.save(folder / "feedback.xlsx")
    manifest = folder / "submission.yaml"
    line = "  - {path: feedback.xlsx, role: corrections, format: feedback_xlsx}\n"
    manifest.write_text(manifest.read_text("utf-8") + line, "utf-8")


def policy_review(root: Path, home: Path) -> Planter:
    """The review with identifiers in answers, sources and remarks."""
    planter = Planter("NGA")
    path = copy_sample(root, home, "nga-2020-policy-review") / "policy_review.xlsx"
    cells, merged = workbook(path)
    rows = cells["answers"]
    for number, kind in enumerate(("home", "name", "small_name", "email", "id", "geopoint", "two_small")):
        rows[2 + number][3] = planter.any(kind)
    for number, kind in enumerate(("home", "abroad", "email", "id", "geopoint")):
        rows[12 + number][4] = planter.any(kind)
    rows[20][0] = planter.any("name")
    rows[21][0] = planter.phone()
    for row in rows[1:]:
        row[6], row[7] = planter.any("sentence"), planter.any("sentence")
        row.append(planter.any())
    rows[0].append(planter.name())
    path.write_bytes(workbook_bytes(cells, merged))
    return planter
