"""The same answers, handed in as other files: the gate accepts the same rows and finds the same faults."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest, parse_manifest
from lnob_pipeline.submissions.readers import read_file
from lnob_pipeline.submissions.readers.odk_json import SYSTEM
from lnob_pipeline.validation.gate import Validated, validate

INBOX = Path(__file__).parents[2] / "data" / "submissions"


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load_mappings(Settings.load().mappings)


def manifest_of(submission: str) -> Manifest:
    folder = INBOX / submission[:3] / submission
    return parse_manifest((folder / "submission.yaml").read_bytes(), "submission.yaml")


def judged(manifest: Manifest, content: bytes, mappings: Mappings, **file: object) -> Validated:
    """The gate on a hand-in whose first file is another one."""
    told = {"path": "data", "role": "data", "date_order": manifest.files[0].date_order} | file
    files = [DataFile.model_validate(told)]
    changed = manifest.model_copy(update={"files": files})
    return validate(changed, "0" * 64, [(files[0], content)], mappings, Settings.load(), great_expectations=False)


def accepted(validated: Validated) -> pl.DataFrame:
    """What was accepted, in the order of the file."""
    assert validated.responses is not None, validated.outcome["reasons"][0]
    return validated.responses


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    content = (INBOX / "ind/ind-2019-thirteen-groups/responses.csv").read_text("utf-8-sig")
    return [line.split(";") for line in content.splitlines()]


def workbook(rows: list[list[str]]) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("responses")
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell:
                    sheet.write_string(number, column, cell)
    return stream.getvalue()


def commas(rows: list[list[str]]) -> str:
    return "".join(",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows)


def parquet(rows: list[list[str]]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(rows[1:], schema=rows[0], orient="row").write_parquet(stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def as_handed_in(mappings: Mappings) -> Validated:
    manifest = manifest_of("ind-2019-thirteen-groups")
    content = (INBOX / "ind/ind-2019-thirteen-groups/responses.csv").read_bytes()
    return judged(manifest, content, mappings, path="responses.csv", format="csv", delimiter=";")


@pytest.mark.parametrize("kind", ["utf-16", "titles", "google_forms", "mwater", "parquet"])
def test_one_table_in_other_files(
    kind: str, rows: list[list[str]], as_handed_in: Validated, mappings: Mappings
) -> None:
    manifest = manifest_of("ind-2019-thirteen-groups")
    content, file = {
        "utf-16": (commas(rows).encode("utf-16"), {"format": "csv", "path": "responses.csv"}),
        "titles": (
            workbook([["A survey"], [], *rows]),
            {"format": "xlsx", "path": "responses.xlsx", "title_rows": 2, "sheet": "responses"},
        ),
        "google_forms": (commas(rows).encode(), {"format": "google_forms_csv", "path": "responses.csv"}),
        "mwater": (workbook(rows), {"format": "mwater", "path": "responses.xlsx"}),
        "parquet": (parquet(rows), {"format": "parquet", "path": "responses.parquet"}),
    }[kind]
    validated = judged(manifest, content, mappings, **file)
    assert validated.state == as_handed_in.state
    numbers = ["row_number", "record_key"]  # rows without an id are known by their number, and a title moves that
    after, before = (accepted(each).drop(numbers, strict=False) for each in (validated, as_handed_in))
    assert after.equals(before)
    if kind == "utf-16":
        assert validated.results["message"].fill_null("").str.contains("utf-16-le").any()


def nested(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the CSV export as the OData service has it: groups as objects, the tool's own columns apart."""
    own = {header: key for key, header in SYSTEM.items()}
    made: dict[str, Any] = {}
    for header, cell in row.items():
        if header in ("KEY", "PARENT_KEY"):
            continue
        if header in own:
            made.setdefault("__system", {})[own[header]] = cell
            continue
        *groups, last = header.split("-")
        place = made
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = cell
    return made | {"__id": row["KEY"]}


def test_odk_central_as_odata_and_as_zip(mappings: Mappings) -> None:
    manifest = manifest_of("npl-2020-two-municipalities")
    content = (INBOX / "npl/npl-2020-two-municipalities/two_municipalities.zip").read_bytes()
    file = {"path": "two_municipalities.zip", "format": "odk_zip"}
    main, *repeats = read_file(content, DataFile.model_validate(file | {"role": "data"})).values()
    submissions = {row["KEY"]: nested(row) for row in main.frame.to_dicts()}
    for repeat in repeats:
        name = repeat.name.removeprefix(f"{main.name}-")
        for submission in submissions.values():
            submission[f"{name}@odata.navigationLink"] = f"Submissions/{name}"
            submission[name] = []
        for row in repeat.frame.to_dicts():
            submissions[row["PARENT_KEY"]][name].append(nested(row))
    context = f"https://central.example/v1/projects/1/forms/{main.name}.svc/$metadata#Submissions"
    service = json.dumps({"value": list(submissions.values()), "@odata.context": context}, ensure_ascii=False).encode()
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert repeats and len(packed.namelist()) == 1 + len(repeats)
    before, after = (
        judged(manifest, content, mappings, **file),
        judged(manifest, service, mappings, path="pulled.json", format="odk_json"),
    )
    assert after.state == before.state
    order = ["record", "record_key"]
    assert accepted(after).sort(order).equals(accepted(before).sort(order))
