"""Faults 16 to 29: files that are broken, hostile, too large or written by other programs, each through the gate.

The numbers are those of the project's list of faults. Proved elsewhere, and not repeated here:

| fault | what | where |
|---|---|---|
| 16 | one partner's file is broken, the others are published | test_isolation.py, whole run |
| 17 | truncated, empty, a web page, locked | test_isolation.py, whole run |
| 21 | a cell in the last corner, however it is written | submissions/test_readers.py, test_hostile_child.py |
| 24 | a file above the limit of bytes is not even opened | submissions/test_receive.py |
| 25, 26 | formulas and HTML | test_hostile_text.py, whole run |
| 28 | paths that lead outside, links, pipes | submissions/test_receive.py |
| 40 | identifiers | test_privacy_end_to_end.py, whole run |
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.pipeline import run_submissions, run_validation
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, read_file
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.limits import LIMITS, Limits
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline_tests.faults import gate, hand_ins
from lnob_pipeline_tests.faults.gate import (
    balanced,
    csv_bytes,
    good_households,
    good_persons,
    judged,
    refused,
    said,
    with_parts,
    workbook,
    zipped,
)

ENTITY = b'<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 20) for level in range(12))
    + b"]>"
)
ODS_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>%s<office:document-content '
    b'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    b'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    b'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    b'<table:table table:name="households"><table:table-row%s><table:table-cell%s office:value-type="string">'
    b"<text:p>%s</text:p></table:table-cell></table:table-row></table:table>"
    b"</office:spreadsheet></office:body></office:document-content>"
)


def after_head(head: bytes) -> Callable[[bytes], bytes]:
    """A document type put behind the first line of an XML part."""
    return lambda part: part.replace(b"?>", b"?>" + head, 1)


def ods(head: bytes = b"", row: bytes = b"", cell: bytes = b"", text: bytes = b"id") -> bytes:
    return gate.ods(ODS_HEAD % (head, row, cell, text))


def test_the_workbook_that_is_made_hostile_is_a_good_one() -> None:
    file = DataFile(path="data.ods", role="data", format="ods")
    assert read_file(ods(row=b' table:number-rows-repeated="3"'), file)["households"].frame.rows() == [("id",), ("id",)]


def hostile_xml(head: bytes, entity: bytes) -> list[tuple[str, str, bytes]]:
    """The same definition in every format that holds XML, where the reader meets it."""
    shared = {"xl/sharedStrings.xml": lambda part: after_head(head)(part).replace(b"<t>", b"<t>" + entity, 1)}
    return [
        ("data.xlsx", "xlsx", with_parts(workbook(), {"xl/workbook.xml": after_head(head)})),
        ("data.xlsx", "kobo_xlsx", with_parts(workbook(), shared)),
        ("data.ods", "ods", ods(head, text=entity)),
        ("data.qdpx", "refi_qda", zipped({"project.qde": b'<?xml version="1.0"?>' + head + b"<Project/>"})),
        ("data.qde", "refi_qda", b'<?xml version="1.0"?>' + head + b'<Project name="' + entity + b'"/>'),
    ]


@pytest.mark.parametrize("number", range(5))
def test_fault_18_external_entities_are_refused(mappings: Mappings, number: int) -> None:
    validated = judged(mappings, file=hostile_xml(ENTITY, b"&secret;")[number])
    assert refused(validated, "no spreadsheet program writes" if number < 3 else "no program writes")
    name = Path("/etc/hostname").read_text().strip()
    assert name not in validated.findings.write_csv() + validated.results.write_csv()


@pytest.mark.parametrize("number", range(5))
def test_fault_19_billion_laughs_are_refused_within_the_limit_of_memory(mappings: Mappings, number: int) -> None:
    file = hostile_xml(LAUGHS, b"&m;")[number]
    validated = judged(mappings, file=file, settings=Settings.load(reader_memory_bytes=500_000_000))
    assert refused(validated) and "memory" not in validated.outcome["reasons"][0]


CSV_ZEROS = b"a,KEY\n" + b"0" * 20_000_000
NINE_PARTS = {f"f{number}.csv": b"a,KEY\n" + bytes(range(48, 58)) * 100_000 for number in range(9)}
BOMBS: dict[str, tuple[bytes, str]] = {
    "ratio": (zipped({"f.csv": CSV_ZEROS}), "zip bomb"),
    "total": (zipped(NINE_PARTS), "zip bomb"),
    "nested": (zipped({"inner.zip": zipped({"f.csv": CSV_ZEROS})}), "holds another zip"),
    "nested beside a table": (zipped({"f.csv": b"KEY,a\n1,2\n", "g.zip": CSV_ZEROS}), "holds another zip"),
    "nested under a plain name": (zipped({"f.csv": zipped({"f.csv": CSV_ZEROS})}), "holds another zip"),
    "parts": (zipped({f"f{number}.txt": b"" for number in range(5_001)}), "5001 parts, at most 5000"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_fault_20_zip_bombs_are_refused(mappings: Mappings, name: str) -> None:
    content, words = BOMBS[name]
    settings = Settings.load(maximum_archive_bytes=5_000_000, reader_memory_bytes=200_000_000)
    assert refused(judged(mappings, file=("form.zip", "odk_zip", content), settings=settings), words)


def test_fault_20_what_a_zip_says_is_enough_to_refuse_it_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a part was opened")

    bomb = zipped({"f.csv": CSV_ZEROS})
    monkeypatch.setattr(zipfile.ZipFile, "open", opened)
    with pytest.raises(ReaderError, match="zip bomb"):
        unpack(bomb, "f.zip", suffixes=(".csv",))


def test_fault_20_an_archive_beside_the_tables_is_never_opened(mappings: Mappings) -> None:
    parts = {"households.csv": csv_bytes(good_households()), "media/f.zip": zipped({"f.csv": CSV_ZEROS})}
    assert unpack(zipped(parts), "f.zip", suffixes=(".csv",)).keys() == {"households.csv"}


def overlapping() -> bytes:
    """Two entries of the list that share one packed part (D. Fifield, 2019)."""
    content = bytearray(zipped({"a.csv": CSV_ZEROS[:1000], "b.csv": CSV_ZEROS[:1000]}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)  # both begin at 0
    return bytes(content)


def quoting() -> bytes:
    """An entry whose packed bytes hold the header of the next one, so that both unpack nearly the same bytes."""
    data = CSV_ZEROS[:2000]
    packed = zlib.compressobj(wbits=-15)
    kernel = packed.compress(data) + packed.flush()
    second = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(data), len(kernel), len(data), 5, 0)
    second += b"b.csv" + kernel
    quoted = b"\x00" + struct.pack("<HH", len(second) - len(kernel), 0xFFFF ^ (len(second) - len(kernel)))
    whole = quoted + second[: len(second) - len(kernel)] + kernel
    plain = second[: len(second) - len(kernel)] + data
    first = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(plain), len(whole), len(plain), 5, 0)
    first += b"a.csv"
    body = first + whole
    listed = b""
    for name, crc, packed_size, size, offset in (
        (b"a.csv", zlib.crc32(plain), len(whole), len(plain), 0),
        (b"b.csv", zlib.crc32(data), len(kernel), len(data), len(first) + len(quoted)),
    ):
        listed += struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02", 20, 20, 0, 8, 0, 0, crc, packed_size, size, len(name), 0, 0, 0, 0, 0, offset,
        ) + name  # fmt: skip
    return body + listed + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2, 2, len(listed), len(body), 0)


def test_the_quoting_archive_is_what_it_claims() -> None:
    with zipfile.ZipFile(io.BytesIO(quoting())) as archive:
        assert archive.read("b.csv") == CSV_ZEROS[:2000] and archive.read("a.csv").endswith(CSV_ZEROS[:2000])


def linked() -> bytes:
    link = zipfile.ZipInfo("f.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr(link, "/etc/passwd")
    return stream.getvalue()


def twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("f.csv", b"a,KEY\n1,k\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("f.csv", b"a,KEY\n2,k\n")
    return stream.getvalue()


def relabelled(old: bytes, new: bytes) -> bytes:
    """A name of the same length put into both headers of a part, as zipfile would not write it."""
    return zipped({old.decode(): b"a,KEY\n1,k\n"}).replace(old, new)


def with_size(size: int) -> bytes:
    """A part whose size on both labels is another than its own."""
    content = bytearray(zipped({"f.csv": b"a,KEY\n1,k\n"}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", size)
    return bytes(content)


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "up": (lambda: zipped({"../f.csv": b"a,KEY\n"}), "leads outside"),
    "up later": (lambda: zipped({"a/../../f.csv": b"a,KEY\n"}), "leads outside"),
    "absolute": (lambda: zipped({"/tmp/f.csv": b"a,KEY\n"}), "leads outside"),
    "drive": (lambda: zipped({"C:/f.csv": b"a,KEY\n"}), "leads outside"),
    "share": (lambda: relabelled(b"xxserver/f.csv", rb"\\server\f.csv"), "leads outside"),
    "backslash up": (lambda: relabelled(b"..x..xf.csv", rb"..\..\f.csv"), "leads outside"),
    "backslash": (lambda: relabelled(b"folderxf.csv", rb"folder\f.csv"), "backslash in its name"),
    "nul": (lambda: relabelled(b"f.csvx.jpg", b"f.csv\0.jpg"), "leads outside"),
    "control": (lambda: relabelled(b"fx.csv", b"f\n.csv"), "leads outside"),
    "link": (linked, "is a link"),
    "twice": (twice, "the same name"),
    "overlapping": (overlapping, "lie over each other"),
    "quoting": (quoting, "lie over each other"),
    "longer than it says": (lambda: with_size(5), "not as long"),
    "shorter than it says": (lambda: with_size(500), "not as long"),
    "unusual packing": (lambda: zipped({"f.csv": b"a,KEY\n1,k\n"}, zipfile.ZIP_BZIP2), "unusual way"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_fault_23_archives_are_refused_by_what_they_say(
    mappings: Mappings, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, words = ARCHIVES[name]
    assert refused(judged(mappings, file=("form.zip", "odk_zip", make())), words)
    assert list(tmp_path.iterdir()) == [] and not Path("/tmp/f.csv").exists()


def test_shadow_files_of_macos_are_left_out() -> None:
    parts = {"f.csv": b"a,KEY\n1,k\n", "__MACOSX/._f.csv": b"\0\5\26\7"}
    assert list(unpack(zipped(parts), "f.zip", suffixes=(".csv",))) == ["f.csv"]


def test_the_limits_of_archives_are_those_in_force() -> None:
    before = LIMITS.set(Limits(archive_parts=1))
    try:
        with pytest.raises(ReaderError, match="2 parts, at most 1"):
            unpack(zipped({"a.csv": b"", "b.csv": b""}), "f.zip", suffixes=(".csv",))
    finally:
        LIMITS.reset(before)


CORNER = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
FORMATTED = b"".join(b'<row r="%d" s="1"><c r="A%d" s="1"/></row>' % (n, n) for n in range(100, 200_000))


def test_fault_21_a_cell_in_the_last_corner_is_a_message(mappings: Mappings) -> None:
    far = with_parts(workbook(), {"xl/worksheets/sheet1.xml": lambda part: part.replace(b"</sheetData>", CORNER)})
    assert refused(judged(mappings, file=("data.xlsx", "xlsx", far)), "far away from the table", "delete the rows")


@pytest.mark.parametrize(
    ("row", "cell"),
    [(b' table:number-rows-repeated="1048576"', b' table:number-columns-repeated="16384"'),
     (b"", b' table:number-columns-repeated="2000000000"')],
)  # fmt: skip
def test_fault_21_repeated_cells_of_an_ods_are_a_message(mappings: Mappings, row: bytes, cell: bytes) -> None:
    words = "far away from the table" if row else "no spreadsheet program writes"
    assert refused(judged(mappings, file=("data.ods", "ods", ods(row=row, cell=cell))), words)


def test_fault_21_a_hundred_thousand_formatted_rows_are_no_rows(mappings: Mappings) -> None:
    ending = FORMATTED + b"</sheetData>"
    padded = with_parts(workbook(), {"xl/worksheets/sheet1.xml": lambda part: part.replace(b"</sheetData>", ending)})
    validated = judged(mappings, file=("data.xlsx", "xlsx", padded))
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert validated.balance.filter(pl.col("record") == "household")["n_rows"].to_list() == [40]


def test_fault_22_macros_links_and_pictures_are_not_read_and_not_kept(mappings: Mappings, tmp_path: Path) -> None:
    marker = b"MARKER-of-a-macro"
    extra = {
        "xl/vbaProject.bin": marker * 50,
        "xl/externalLinks/externalLink1.xml": b"<externalLink>" + marker + b"</externalLink>",
        "xl/media/image1.png": b"\x89PNG" + marker,
        "xl/embeddings/inner.xlsx": workbook(),
        "xl/comments1.xml": b"<comments>" + marker + b"</comments>",
    }
    file = ("data.xlsm", "xlsx", with_parts(workbook(), extra))
    validated = judged(mappings, file=file)
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    kept = [validated.responses, validated.findings, validated.results, validated.quarantine, *validated.rows.values()]
    assert [frame for frame in kept if frame is not None and marker.decode() in frame.write_csv()] == []


LIMITED: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "rows": ({"maximum_rows": 39}, ("40 rows and at most 39", "divide the hand-in")),
    "columns": ({"maximum_columns": 14}, ("15 columns, at most 14",)),
    "cells": ({"maximum_cells": 599}, ("600 cells, at most 599", "divide the hand-in")),
    "letters of a cell": ({"maximum_cell_letters": 20}, ("row 2: the cell in column", "more than 20 letters")),
    "memory": ({"reader_memory_bytes": 1_000_000}, ("more memory than one file may take (1 MB)", "save it under")),
}


@pytest.mark.parametrize("name", LIMITED)
def test_fault_24_every_limit_is_a_setting_with_a_plain_message(mappings: Mappings, name: str) -> None:
    settings, words = LIMITED[name]
    content = csv_bytes(good_households())
    if name == "memory":
        content = csv_bytes([row | {"remarks": 'a "quoted" remark ' * 500} for row in good_households()]) * 30
    validated = judged(mappings, contents={"households.csv": content}, settings=Settings.load(**settings))
    assert refused(validated, *words)


def test_fault_24_the_limits_can_be_set_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNOB_READER_MEMORY_BYTES", "7")
    monkeypatch.setenv("LNOB_READER_SECONDS", "9")
    monkeypatch.setenv("LNOB_MAXIMUM_CELLS", "11")
    limits = Limits.of(Settings.load())
    assert (limits.memory_bytes, limits.seconds, limits.cells) == (7, 9, 11)


NAMES = ["отчёт-😀.csv", "कागज.csv", "a" * 200 + ".csv", "quote'; drop table x.csv", "%2e%2e%2fetc.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_fault_28_names_of_files_are_data(root: Path, tmp_path: Path, name: str) -> None:
    """Any name that a file system takes goes in; what is kept of it is a name of our own."""
    home = hand_ins.make_home(tmp_path, root)
    key = "nga-2020-discussions"
    folder = hand_ins.copy_sample(root, home, key)
    manifest = folder / "submission.yaml"
    old = hand_ins.tables_of(folder)[0].path
    (folder / old).rename(folder / name)
    text = manifest.read_text("utf-8")
    quoted = "'" + name.replace("'", "''") + "'"
    manifest.write_text(text.replace(f"path: {old}", f"path: {quoted}"), "utf-8")
    settings = hand_ins.settings_of(home)
    run_submissions(settings, key, now=hand_ins.NOW)
    run_validation(settings, key)
    row = ledger.status_table(settings).row(0, named=True)
    assert row["state"] in ("accepted", "accepted_with_flags"), row["reason"]
    assert [path for path in settings.lake.rglob("*") if name in path.name] == []


@pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd", "a\0.csv", "a\nb.csv", "", "C:\\a.csv", ".."])
def test_fault_28_names_that_lead_outside_are_no_names(mappings: Mappings, name: str) -> None:
    with pytest.raises(ValueError, match=r"outside the folder|at least 1"):
        judged(mappings, manifest={"files": [{"path": name, "role": "data", "format": "csv"}]})


def places(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Households with letters of several languages in a column that no instrument keeps."""
    words = ["Hà Giang, chỗ ở", "Córdoba – déjà vu", "naïve café", "façade"]
    return [row | {"remarks": words[number % 4]} for number, row in enumerate(rows)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_fault_29_unicode_in_any_form_is_read_and_stated(mappings: Mappings, encoding: str) -> None:
    content = csv_bytes(places(good_households())).decode().encode(encoding)
    validated = judged(mappings, contents={"households.csv": content})
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    notes = said(validated, "reader_note")
    stated = not encoding.startswith("utf-8")
    assert notes.height == int(stated)
    if stated:
        assert f"read as {encoding[:6]}" in notes["reason"][0]


def test_fault_29_an_older_encoding_is_read_and_stated(mappings: Mappings) -> None:
    rows = [row | {"remarks": "Le café est fermé, là-bas"} for row in good_households()]
    content = csv_bytes(rows).decode().encode("cp1252")
    validated = judged(mappings, contents={"households.csv": content})
    assert validated.state == "accepted", validated.outcome["reasons"][0]
    assert "read as windows-1252" in said(validated, "reader_note")["reason"][0]
    files = [
        {"path": "households.csv", "role": "data", "format": "csv", "encoding": "windows-1252"},
        {"path": "persons.csv", "role": "data", "format": "csv"},
    ]
    declared = judged(mappings, contents={"households.csv": content}, manifest={"files": files})
    assert declared.state == "accepted" and said(declared, "reader_note").is_empty()


def test_fault_29_mixed_encodings_are_refused_with_their_row(mappings: Mappings) -> None:
    lines = csv_bytes(places(good_households())).splitlines(keepends=True)
    lines[21] = lines[21][:20] + b"\xe9\xff" + lines[21][20:]
    validated = judged(mappings, contents={"households.csv": b"".join(lines)})
    assert refused(validated, "row 22", "not a letter in utf-8", "save it again as CSV UTF-8")
    assert "\ufffd" not in validated.findings.write_csv()


def test_fault_29_replacement_letters_never_appear(mappings: Mappings) -> None:
    for damage in (b"\x81", b"\xff\xfe", b"\xc3\x28"):
        content = csv_bytes(good_households()).replace(b"long remark", b"long " + damage + b" remark", 3)
        validated = judged(mappings, contents={"households.csv": content})
        told = validated.findings.write_csv() + ("" if validated.responses is None else validated.responses.write_csv())
        assert "\ufffd" not in told


def test_the_balance_is_a_real_one(mappings: Mappings) -> None:
    validated: Validated = judged(mappings, households=good_households(12), persons=good_persons(12))
    lost = validated.balance.with_columns(pl.col("n_accepted") - 1)
    object.__setattr__(validated, "balance", lost)
    assert not balanced(validated)
