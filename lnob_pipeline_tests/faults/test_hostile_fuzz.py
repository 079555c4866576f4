"""Files that nobody would think of: valid ones of every format, mutated. Seeded, so that what fails fails again.

What is read comes back as tables or as an error that says what to mend, within the limits; nothing crashes, nothing
hangs. At the gate every row of what was read is accepted, in quarantine or refused. LNOB_FUZZ_ROUNDS=100 runs a
hundred times as long. A failure names format and seed: `mutated(format, seed)` makes the bytes again.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import random
import struct
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data.make_samples import files
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import MODULES, Limits, ReaderError, SourceTable, read_file, read_here
from lnob_pipeline.submissions.readers.child import NOT_FIT, TOO_MUCH_MEMORY, TOO_MUCH_TIME, UNFORESEEN
from lnob_pipeline_tests.faults import gate
from lnob_pipeline_tests.faults.gate import (
    csv_bytes,
    good_households,
    good_persons,
    judged,
    workbook,
    zipped,
)

ROUNDS = int(os.environ.get("LNOB_FUZZ_ROUNDS", "1"))
SEEDS = 45 * ROUNDS
"""Mutated files of each format."""
GATE_SEEDS = 40 * ROUNDS
LIMITS = Limits(memory_bytes=1_000_000_000, seconds=20)
ROOT = Path(__file__).resolve().parents[2]
HOUSEHOLDS = good_households(12)
FRAME = pl.DataFrame(HOUSEHOLDS)

EXPORT = [
    {"_id": 7, "_uuid": "u7", "agree": "yes", "home/water": "well", "size": 4, "weight": 0.5, "gps": "1.5 36.1 0 0",
     "roster": [{"roster/sex": "f", "roster/age": 40}, {"roster/sex": "m", "roster/age": 9}],
     "_geolocation": [1.5, 36]},
    {"_id": 8, "_uuid": "u8", "agree": "no", "home/water": "pipe", "_validation_status": {"uid": "approved"}},
]  # fmt: skip
ODATA = {
    "@odata.context": "https://odk.example.org/v1/projects/1/forms/home.svc/$metadata#Submissions",
    "value": [
        {"__id": "uuid:1", "__system": {"submissionDate": "2021-03-04T05:06:07Z", "submitterName": "A", "edits": 0},
         "name": "V", "count": 7, "water": {"source": "well"}, "roster": [{"__id": "r1", "sex": "f", "age": 40}]},
    ],
}  # fmt: skip
SURVEYCTO = [{"KEY": "uuid:1", "SubmissionDate": "Oct 10, 2015 6:26:24 PM", "age_1": "40", "age_2": "9"}]
PROJECT = (
    '<?xml version="1.0" encoding="utf-8"?><Project name="p" xmlns="urn:QDA-XML:project:1.0"><CodeBook><Codes>'
    '<Code guid="0000000a" name="sdg" isCodable="true"><Code guid="0000b" name="cost"/></Code>'
    '</Codes></CodeBook><Sources><TextSource guid="0000c" name="FGD-01"><PlainTextSelection guid="0000d" '
    'startPosition="0" endPosition="5"><Coding guid="0000e"><CodeRef targetGUID="0000b"/></Coding></PlainTextSelection>'
    "</TextSource></Sources></Project>"
)
CONTENT = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="t">{rows}<table:table-row table:number-rows-repeated="1000"><table:table-cell '
    'table:number-columns-repeated="1000"/></table:table-row></table:table></office:spreadsheet></office:body>'
    "</office:document-content>"
)


def bundled(path: str) -> bytes:
    return (ROOT / "data" / "submissions" / path).read_bytes()


def parquet() -> bytes:
    stream = io.BytesIO()
    frame = FRAME.with_columns(day=pl.lit(datetime.date(2020, 1, 2)), n=pl.int_range(pl.len()), x=pl.lit(1.5))
    frame.write_parquet(stream)
    return stream.getvalue()


def ods() -> bytes:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    rows = [list(HOUSEHOLDS[0]), *(list(row.values()) for row in HOUSEHOLDS)]
    lines = "".join(f"<table:table-row>{''.join(cell.format(text) for text in row)}</table:table-row>" for row in rows)
    return gate.ods(CONTENT.format(rows=lines).encode())


def feedback() -> bytes:
    from lnob_pipeline.mappings.load import load_mappings
    from lnob_pipeline.validation.feedback_workbook import feedback_workbook

    rows = good_households()
    rows[0]["water"] = "77"
    return feedback_workbook(judged(load_mappings(ROOT / "indicator_mappings"), households=rows))


@cache
def valid(kind: str) -> tuple[str, bytes]:
    """Path and bytes of a file of a format."""
    indexed = FRAME.with_columns(_index=pl.int_range(1, pl.len() + 1).cast(pl.String))
    keyed = FRAME.with_columns(KEY=pl.format("uuid:{}", pl.int_range(pl.len())))
    made: dict[str, Callable[[], tuple[str, bytes]]] = {
        "kobo_xlsx": lambda: ("a.xlsx", files.tables_workbook({"main": indexed})),
        "kobo_csv": lambda: ("a.csv", files.delimited(indexed, delimiter=";")),
        "kobo_json": lambda: ("a.json", json.dumps(EXPORT).encode()),
        "xlsx": lambda: ("a.xlsx", workbook(HOUSEHOLDS, good_persons(12))),
        "xlsform": lambda: ("a.xlsx", bundled("ken/ken-2019-household-survey/form.xlsx")),
        "feedback_xlsx": lambda: ("a.xlsx", feedback()),
        "spss": lambda: ("a.sav", files.spss(FRAME)),
        "stata": lambda: ("a.dta", files.stata(FRAME)),
        "csv": lambda: ("a.csv", csv_bytes(HOUSEHOLDS)),
        "ods": lambda: ("a.ods", ods()),
        "parquet": lambda: ("a.parquet", parquet()),
        "odk_zip": lambda: ("a.zip", zipped({"f.csv": files.delimited(keyed), "f-m.csv": files.delimited(keyed)})),
        "odk_json": lambda: ("a.json", json.dumps(ODATA).encode()),
        "surveycto_csv": lambda: ("a.csv", files.delimited(keyed)),
        "surveycto_json": lambda: ("a.json", json.dumps(SURVEYCTO).encode()),
        "google_forms_csv": lambda: ("a.csv", b'"Timestamp","How old, in years?"\n"2020/01/02","40, or so"\n' * 1),
        "mwater": lambda: ("a.csv", csv_bytes(HOUSEHOLDS)),
        "score_card": lambda: ("a.xlsx", bundled("mwi/mwi-2020-health-score-card/score_card.xlsx")),
        "taguette_csv": lambda: (
            "a.csv",
            bundled("nga/nga-2020-discussions/highlights.csv")[:4000].rsplit(b"\n", 1)[0],
        ),
        "refi_qda": lambda: ("a.qdpx", zipped({"project.qde": PROJECT.encode()})),
        "policy_review": lambda: ("a.xlsx", bundled("nga/nga-2020-policy-review/policy_review.xlsx")),
    }
    return made[kind]()


def flipped(data: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def moved(data: bytes, chance: random.Random) -> bytes:
    """A chunk doubled, taken out, or put elsewhere."""
    start = chance.randrange(len(data))
    chunk = data[start : start + chance.choice((1, 16, 300, len(data)))]
    without = data[:start] + data[start + len(chunk) :]
    place = chance.randrange(len(data))
    return chance.choice(
        (data[:place] + chunk * chance.choice((1, 50)) + data[place:], without + chunk, without or data)
    )


def stuffed(data: bytes, chance: random.Random) -> bytes:
    """What readers stumble over, put anywhere."""
    stones = (
        b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b"<", b"&a;", b"<!DOCTYPE x>", b"[" * 5_000, b"{" * 5_000,
        b"-1", b"99999999999999999999", b"\r", b"\n\n\n", b",,,,,", chance.randbytes(40), "क्‍ष".encode(),
        b"\x1b[2J", b"1e309",
    )  # fmt: skip
    place = chance.randrange(len(data))
    return data[:place] + chance.choice(stones) + data[place:]


def inflated(data: bytes, chance: random.Random) -> bytes:
    """Four bytes that may be a length, as large as they can be, or a number of the text with many digits."""
    place = chance.randrange(max(1, len(data) - 4))
    if chance.random() < 0.5:
        size = struct.pack("<i", chance.choice((-1, 2**31 - 1, 0x7FFFFFF0, 2**24)))
        return data[:place] + size + data[place + 4 :]
    digits = [at for at in range(place, min(place + 500, len(data))) if 48 <= data[at] <= 57]
    return data[: digits[0]] + b"4294967295" + data[digits[0] + 1 :] if digits else flipped(data, chance)


def shuffled_header(data: bytes, chance: random.Random) -> bytes:
    first, _, rest = data.partition(b"\n")
    names = first.split(b",")
    chance.shuffle(names)
    return b",".join(names[: chance.randrange(1, len(names) + 1)]) + b"\n" + rest


BYTES = (flipped, flipped, cut, moved, moved, stuffed, stuffed, inflated, shuffled_header)


def other_parts(data: bytes, chance: random.Random) -> bytes:
    """A zip with a part mutated, dropped, doubled, renamed or exchanged, and whole again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    place = chance.randrange(len(parts))
    name, part = parts[place]
    what = chance.randrange(6)
    if what < 3 and part:
        parts[place] = (name, chance.choice(BYTES)(part, chance))
    elif what == 3:
        del parts[place]
    elif what == 4:
        parts[place] = (chance.choice((name[::-1], name.upper(), f"../{name}", "x")), part)
    else:
        parts[place] = (name, chance.choice(parts)[1])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, part in parts:
            made.writestr(name, part)
    return stream.getvalue()


ODD: tuple[Any, ...] = (None, True, -1, 1e300, "", "x" * 100, [], {}, [[]], [1, [2, [3]]], {"a": {"b": {}}}, "\ud83d")


def other_json(data: bytes, chance: random.Random) -> bytes:
    """A value exchanged, dropped or nested, anywhere in the tree."""
    whole = json.loads(data)
    place: Any = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.7:
            place = place[key]
            continue
        what = chance.randrange(4)
        if what == 0:
            del place[key]
        elif what == 1:
            place[key] = {"a": place[key]} if chance.random() < 0.5 else [place[key]] * 3
        else:
            place[key] = chance.choice(ODD)
        break
    return json.dumps(whole, ensure_ascii=chance.random() < 0.9).encode("utf-8", "surrogatepass")


def mutated(kind: str, seed: int) -> bytes:
    """The bytes of one mutated file."""
    chance = random.Random(f"{kind} {seed}")
    data = valid(kind)[1]
    if data.startswith(b"PK") and chance.random() < 0.7:
        return other_parts(data, chance)
    if data.lstrip()[:1] in (b"[", b"{") and chance.random() < 0.6:
        return other_json(data, chance)
    for _ in range(chance.choice((1, 1, 2))):
        data = chance.choice(BYTES)(data, chance) or b"\0"
    return data


def data_file(kind: str) -> DataFile:
    role = "corrections" if kind == "feedback_xlsx" else "data"
    return DataFile.model_validate({"path": valid(kind)[0], "role": role, "format": kind})


def sound(tables: dict[str, SourceTable]) -> bool:
    """Whether tables are what every later step rests on: text, and a number for each row, in order."""
    return all(
        set(table.frame.dtypes) <= {pl.String}
        and len(table.row_numbers) == table.frame.height
        and table.row_numbers.null_count() == 0
        and (table.row_numbers >= 1).all()
        for table in tables.values()
    )


@pytest.mark.parametrize("kind", MODULES)
def test_the_file_that_is_mutated_is_a_good_one(kind: str) -> None:
    tables = read_here(valid(kind)[1], data_file(kind))
    assert tables and sound(tables) and (kind == "feedback_xlsx" or any(t.frame.height for t in tables.values()))


@pytest.mark.parametrize("kind", MODULES)
def test_a_mutated_file_is_read_or_refused(kind: str) -> None:
    print(f"{kind}: seeds 0 to {SEEDS - 1}")
    outcomes: Counter[str] = Counter()
    file = data_file(kind)
    for seed in range(SEEDS):
        content = mutated(kind, seed)
        started = time.monotonic()
        try:
            tables = read_file(content, file, LIMITS)
        except ReaderError as error:
            assert error.problem and error.mend and error.file == file.path, (kind, seed)
            foreseen = error.problem_template not in (NOT_FIT, TOO_MUCH_MEMORY, TOO_MUCH_TIME, UNFORESEEN)
            outcomes["refused" if foreseen else error.problem] += 1
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}: {type(error).__name__}") from error
        else:
            assert sound(tables), (kind, seed)
            outcomes["read"] += 1
        assert time.monotonic() - started < LIMITS.seconds, (kind, seed)
    print(dict(outcomes))
    assert outcomes.total() == SEEDS and outcomes["refused"], "nothing was refused: the mutations do nothing"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_no_row_is_lost_at_the_gate(mappings: Mappings, kind: str) -> None:
    """Two tables are mutated; whatever is read of them is accepted, in quarantine or refused, row by row."""
    print(f"{kind}: seeds 0 to {GATE_SEEDS // 2 - 1}")
    read = 0
    for seed in range(GATE_SEEDS // 2):
        chance = random.Random(f"gate {kind} {seed}")
        if kind == "csv":
            content = csv_bytes(good_households())
            for _ in range(chance.choice((1, 3))):
                content = chance.choice((flipped, moved, stuffed, inflated, shuffled_header))(content, chance)
            validated = judged(mappings, contents={"households.csv": content})
            file = DataFile(path="households.csv", role="data", format="csv", delimiter=",")
        else:
            content = other_parts(workbook(), chance)
            validated = judged(mappings, file=("data.xlsx", "xlsx", content))
            file = DataFile(path="data.xlsx", role="data", format="xlsx")
        lines = dict(validated.balance.select("record", "n_rows").iter_rows())
        try:
            tables = read_file(content, file)
        except ReaderError:
            assert validated.state == "rejected" and validated.responses is None, (kind, seed)
            continue
        read += 1
        for record, name in (("household", "households"), ("person", "persons")):
            if record in lines and name in tables:
                assert lines[record] == tables[name].frame.height, (kind, seed)
    assert read, "nothing was read: the mutations spoil everything"
