"""ODK Central submissions as its OData service gives them: `<form>.svc/Submissions?$expand=*`, one JSON file.

The tables have the names and headers of the CSV export (odk_zip.py), so that one instrument reads both: the main table
is named as the form, a repeat `<form>-<repeat>`; groups are joined to field names with "-"; KEY and PARENT_KEY tie the
rows of a repeat to their parent; what stands in `__system` has the names of the export (SubmissionDate, SubmitterName,
ReviewState, Edits); a point is four columns. A row has the number that it has in the CSV export, whose header is row 1.

Without `$expand=*` a repeat is only a link; such a file is refused, and so is one page of several. Source: ODK Central,
OData endpoints (docs.getodk.org/central-api-odata-endpoints), and the tests of getodk/central-backend.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.json_rows import AGAIN, GrowingTable, checked_submissions, json_cell, parse_json
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, file_stem

CONTEXT = re.compile(r"/forms/([^/]+?)\.svc/\$metadata#(.+)$")
LINK = "@odata.navigationLink"
SYSTEM = {
    "submissionDate": "SubmissionDate",
    "updatedAt": "UpdatedAt",
    "submitterId": "SubmitterID",
    "submitterName": "SubmitterName",
    "attachmentsPresent": "AttachmentsPresent",
    "attachmentsExpected": "AttachmentsExpected",
    "status": "Status",
    "reviewState": "ReviewState",
    "deviceId": "DeviceID",
    "edits": "Edits",
    "formVersion": "FormVersion",
}
"""What ODK Central says of a submission, under the names of its CSV export."""
POINT = ("Longitude", "Latitude", "Altitude")
SHAPES = ("Point", "LineString", "Polygon")
EXPANDED = "download it again with $expand=* at the end of the address, or export as CSV (zip)"


class _Form:
    """The tables of a form while they are filled."""

    def __init__(self, name: str, file: str) -> None:
        self.name, self.file = name, file
        self.tables: dict[str, GrowingTable] = {"": GrowingTable(name)}
        self.links: set[str] = set()

    def add(self, answers: dict[str, Any], path: str, parent: str | None) -> None:
        """Add the row of a submission or of one turn of a repeat, and those of the repeats in it."""
        key = answers.get("__id")
        if not isinstance(key, str) or not key:
            raise ReaderError(self.file, "a submission or a row of a repeat has no id (__id)", AGAIN)
        row: dict[str, str | None] = {}
        repeats: list[tuple[str, list[dict[str, Any]]]] = []
        self._fill(answers, "", path, row, repeats)
        row |= {"KEY": key} | ({"PARENT_KEY": parent} if parent is not None else {})
        self.tables[path].add(row)
        for name, turns in repeats:
            if name not in self.tables:
                short = f"{self.name}-{name.rsplit('/', 1)[-1]}"
                taken = short in {table.name for table in self.tables.values()}
                self.tables[name] = GrowingTable(f"{self.name}-{name.replace('/', '-')}" if taken else short)
            for turn in turns:
                self.add(turn, name, key)

    def _fill(
        self,
        answers: dict[str, Any],
        group: str,
        path: str,
        row: dict[str, str | None],
        repeats: list[tuple[str, list[dict[str, Any]]]],
    ) -> None:
        for key, value in answers.items():
            if key == "__id" or key.startswith("@odata") or (key.startswith("__") and key.endswith("-id")):
                continue
            header = f"{group}-{key}" if group else key
            place = f"{path}/{header.replace('-', '/')}" if path else header.replace("-", "/")
            if key == "__system":
                self._fill_system(value, row)
            elif key.endswith(LINK):
                self.links.add(place.removesuffix(LINK))
            elif isinstance(value, dict) and value.get("type") in SHAPES and "coordinates" in value:
                row |= _place(header, value)
            elif isinstance(value, dict):
                self._fill(value, header, path, row, repeats)
            elif isinstance(value, list):
                if not all(isinstance(turn, dict) for turn in value):
                    raise ReaderError(self.file, "an answer is a list, not a text", AGAIN)
                repeats.append((place, value))
            else:
                row[header] = json_cell(value)

    def _fill_system(self, value: Any, row: dict[str, str | None]) -> None:
        if not isinstance(value, dict):
            return
        if value.get("deletedAt"):
            raise ReaderError(
                self.file, "a submission was deleted in ODK Central", "download again without deleted submissions"
            )
        row |= {header: json_cell(value.get(key)) for key, header in SYSTEM.items() if key in value}


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table of the form and one for each repeat. Raises ReaderError."""
    whole, notes = parse_json(content, file)
    name = file_stem(file.path)
    if isinstance(whole, dict):
        context = CONTEXT.search(str(whole.get("@odata.context", "")))
        if context and context[2] != "Submissions":
            raise ReaderError(file.path, "this is the table of a repeat alone", "download the table Submissions")
        name = unquote(context[1]) if context else name
        whole = _complete(whole, file.path)
    form = _Form(name, file.path)
    for submission in checked_submissions(whole, file.path):
        form.add(submission, "", None)
    if unexpanded := form.links - form.tables.keys():
        raise ReaderError(
            file.path, "the repeats of the form are links only, not answers ({n})", EXPANDED, n=len(unexpanded)
        )
    made = [replace(table.table(file.path), notes=notes) for table in form.tables.values() if table.height]
    return {table.name: table for table in made}


def _complete(whole: dict[str, Any], file: str) -> Any:
    """The submissions of an answer of the service that holds them all."""
    held, count = whole.get("value"), whole.get("@odata.count")
    if not isinstance(held, list):
        raise ReaderError(file, "the file is not a list of submissions", AGAIN)
    if whole.get("@odata.nextLink") or (isinstance(count, int) and count != len(held)):
        raise ReaderError(
            file,
            "this is one page with {held} submissions, and there are more",
            "download it again without $top and $skip, or export as CSV (zip)",
            held=len(held),
        )
    return held


def _place(header: str, shape: dict[str, Any]) -> dict[str, str | None]:
    """A place as the CSV export has it: a point in four columns, a line or an area as text."""
    coordinates, properties = shape["coordinates"], shape.get("properties")
    if shape["type"] != "Point" or not isinstance(coordinates, list):
        return {header: str(coordinates) if coordinates else None}
    cells = {f"{header}-{part}": json_cell(number) for part, number in zip(POINT, coordinates, strict=False)}
    accuracy = properties.get("accuracy") if isinstance(properties, dict) else None
    return cells | {f"{header}-Accuracy": json_cell(accuracy)}
