"""One table as a file of each format, with identifiers in all places of the file that are no cells of the table.

`hide` gives an identifier each time it is called. The places: properties, comments, hidden sheets and names of a
workbook, labels and notes of a statistical file, metadata of Parquet, names of parts and comments of a zip, keys and
lists of JSON, users and devices that a survey tool adds. The formats of score cards, reviews, discussions, forms and
returned workbooks are planted in hand_ins.py.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import xlsxwriter

Hide = Callable[[], str]
Cells = dict[str, list[str | None]]


def delimited(cells: Cells, delimiter: str, **options: Any) -> bytes:
    """Cells as delimited text."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, **options)
    writer.writerow(cells)
    writer.writerows(["" if cell is None else cell for cell in row] for row in zip(*cells.values(), strict=True))
    return stream.getvalue().encode()


def workbook(cells: Cells, sheet: str, hide: Hide) -> bytes:
    """A workbook with properties, a comment, a name of a range, a header and footer, and a hidden sheet."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_urls": False}) as book:
        book.set_properties(
            {name: hide() for name in ("author", "title", "comments", "keywords", "manager", "company")}
        )
        book.set_custom_property("collected by", hide())
        page = book.add_worksheet(sheet)
        for place, (header, column) in enumerate(cells.items()):
            page.write_column(0, place, [header, *column])
        page.write_comment(2, 0, hide(), {"author": hide()})
        page.set_header(f"&C{hide()}".replace("@", " at "))
        page.data_validation(1, 0, 1, 0, {"validate": "any", "input_title": "who", "input_message": hide()})
        hidden = book.add_worksheet("participants")
        hidden.write_row(0, 0, ["_index", "_parent_index", "_parent_table_name", hide()])
        hidden.write_row(1, 0, ["1", "1", sheet, hide()])
        hidden.hide()
        book.define_name("contact", f'="{hide()}"')
    return stream.getvalue()


def xlsx(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    return ".xlsx", workbook(cells, sheet, hide)


def kobo_xlsx(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    n = len(next(iter(cells.values())))
    system: Cells = {
        "_submitted_by": [hide() for _ in range(n)],
        "_notes": [hide() for _ in range(n)],
        "_index": [str(row) for row in range(1, n + 1)],
    }
    return ".xlsx", workbook(cells | system, sheet, hide)


def comma_separated(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    return ".csv", delimited(cells, ",")


def kobo_csv(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    n = len(next(iter(cells.values())))
    system: Cells = {
        "_submitted_by": [hide() for _ in range(n)],
        "_index": [str(row) for row in range(1, n + 1)],
    }
    return ".csv", delimited(cells | system, ";", quoting=csv.QUOTE_ALL)


def google_forms_csv(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    n = len(next(iter(cells.values())))
    own: Cells = {"Timestamp": ["2019/05/04 10:00:00"] * n, "Username": [hide() for _ in range(n)]}
    return ".csv", delimited(own | cells, ",")


def surveycto_csv(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    return ".csv", delimited(_surveycto(cells, hide), ",")


def surveycto_json(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    return ".json", json.dumps(_rows(_surveycto(cells, hide)), ensure_ascii=False).encode()


def _surveycto(cells: Cells, hide: Hide) -> Cells:
    n = len(next(iter(cells.values())))
    names = ("deviceid", "simid", "devicephonenum", "username", "caseid")
    system: Cells = {name: [hide() for _ in range(n)] for name in names}
    system["KEY"] = [f"uuid:{row:032x}" for row in range(n)]
    return cells | system


def kobo_json(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    rows = _rows(cells)
    for row in rows:
        row["_attachments"] = [{"filename": f"{hide()}.jpg", "download_url": f"https://example.org/{hide()}"}]
        row["_geolocation"] = [-0.7319462, 34.7319462]
        row["_submitted_by"] = hide()
        row["_notes"] = [{"note": hide()}]
        row["_validation_status"] = {"by_whom": hide(), "uid": "validation_status_approved", "label": hide()}
    return ".json", json.dumps(rows, ensure_ascii=False).encode()


def odk_json(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    submissions = []
    for number, row in enumerate(_rows(cells)):
        system = {"submitterName": hide(), "deviceId": hide(), "reviewState": "approved", "edits": 0}
        place = {"type": "Point", "coordinates": [34.7319462, -0.7319462, 1131], "properties": {"accuracy": 4}}
        submissions.append({"__id": f"uuid:{number:032x}", "__system": system, "spot": place} | row)
    context = f"https://example.org/v1/projects/1/forms/{sheet}.svc/$metadata#Submissions"
    return ".json", json.dumps({"@odata.context": context, "value": submissions}, ensure_ascii=False).encode()


def odk_zip(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    n = len(next(iter(cells.values())))
    system: Cells = {
        "SubmitterName": [hide() for _ in range(n)],
        "DeviceID": [hide() for _ in range(n)],
        "KEY": [f"uuid:{row:032x}" for row in range(n)],
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.comment = hide().encode()
        archive.writestr(f"{sheet}.csv", delimited(cells | system, ","))
        archive.writestr(f"media/{_as_name(hide())}.jpg", hide())
        archive.writestr(f"{_as_name(hide())}.csv", delimited({"KEY": ["1"], hide(): [hide()]}, ","))
    return ".zip", stream.getvalue()


def mwater(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    n = len(next(iter(cells.values())))
    system: Cells = {"Enumerator": [hide() for _ in range(n)], "Photo": [f"https://api.mwater.co/{hide()}"] * n}
    return ".xlsx", workbook(cells | system, sheet, hide)


def parquet(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    columns = [pa.array(column, pa.string()) for column in cells.values()]
    fields = [pa.field(name, pa.string(), metadata={"asked by": hide()}) for name in cells]
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields, metadata={"author": hide()})), stream)
    return ".parquet", stream.getvalue()


def spss(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    notes = {
        "file_label": hide()[:60],
        "note": hide(),
        "column_labels": {name: hide() for name in cells},
        "variable_value_labels": {next(iter(cells)): {"x": hide(), hide(): "y"}},
    }
    return ".sav", _statistical(pyreadstat.write_sav, cells, ".sav", notes)


def stata(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    notes = {"file_label": hide()[:60], "column_labels": {name: hide()[:75] for name in cells}}
    return ".dta", _statistical(pyreadstat.write_dta, cells, ".dta", notes)


def _statistical(write: Callable[..., Any], cells: Cells, suffix: str, notes: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)).fill_null(""), str(path), **notes)
        return path.read_bytes()


def ods(cells: Cells, sheet: str, hide: Hide) -> tuple[str, bytes]:
    """An OpenDocument workbook by hand: creator, a note on a cell, a hidden table."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    names = {"office": f"{space}:office:1.0", "table": f"{space}:table:1.0", "text": f"{space}:text:1.0"}
    names |= {"style": f"{space}:style:1.0", "meta": f"{space}:meta:1.0", "dc": "http://purl.org/dc/elements/1.1/"}
    root = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())

    def cell(text: str | None, note: str = "") -> str:
        if text is None:
            return "<table:table-cell/>"
        words = f"{note}<text:p>{escape(text)}</text:p>"
        return f'<table:table-cell office:value-type="string">{words}</table:table-cell>'

    def rows(table: Cells, note: str = "") -> str:
        head = "".join(cell(header, note if place == 0 else "") for place, header in enumerate(table))
        body = ("".join(map(cell, row)) for row in zip(*table.values(), strict=True))
        return "".join(f"<table:table-row>{row}</table:table-row>" for row in (head, *body))

    creator = f"<dc:creator>{escape(hide())}</dc:creator>"
    note = f"<office:annotation>{creator}<text:p>{escape(hide())}</text:p></office:annotation>"
    hidden = (
        '<style:style style:name="off" style:family="table">'
        '<style:table-properties table:display="false"/></style:style>'
    )
    tables = (
        f'<table:table table:name="{sheet}">{rows(cells, note)}</table:table>'
        f'<table:table table:name="participants" table:style-name="off">{rows({hide(): [hide()]})}</table:table>'
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {root} office:version="1.3">'
        f"<office:automatic-styles>{hidden}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
    meta = f"<office:document-meta {root}><office:meta>{creator}</office:meta></office:document-meta>"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("meta.xml", meta)
        archive.writestr("META-INF/manifest.xml", "<manifest:manifest/>")
    return ".ods", stream.getvalue()


def _as_name(text: str) -> str:
    """A text as the name of a part of a zip."""
    return re.sub(r"[^\w+@. -]", "_", text)


def _rows(cells: Cells) -> list[dict[str, Any]]:
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


TABLES: dict[str, Callable[[Cells, str, Hide], tuple[str, bytes]]] = {
    "csv": comma_separated,
    "google_forms_csv": google_forms_csv,
    "kobo_csv": kobo_csv,
    "kobo_json": kobo_json,
    "kobo_xlsx": kobo_xlsx,
    "mwater": mwater,
    "odk_json": odk_json,
    "odk_zip": odk_zip,
    "ods": ods,
    "parquet": parquet,
    "spss": spss,
    "stata": stata,
    "surveycto_csv": surveycto_csv,
    "surveycto_json": surveycto_json,
    "xlsx": xlsx,
}
"""Format -> cells, name of the table and hider to suffix and bytes of the file."""
NAMES_WITHOUT_BLANKS = ("spss", "stata")
"""Formats whose headers are letters, digits and underscores."""
SYSTEM = {"kobo_xlsx": "_index", "kobo_csv": "_index", "odk_json": "KEY", "odk_zip": "KEY"}
OTHERS = ("feedback_xlsx", "policy_review", "refi_qda", "score_card", "taguette_csv", "xlsform")
"""Formats that are no table of a survey: see hand_ins.py."""
