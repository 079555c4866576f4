"""What a release holds, for catalogues and for people: `datapackage.json`, `croissant.json`, `CODEBOOK.md`.

Here: descriptions of files that other writers have written; this writer comes after them. Not here: the words that all
forms share (about), descriptions of columns (tables.py), codes (code_lists).

`datapackage.json` is a Data Package of version 2: a table resource for each CSV file, whose schema a validator can hold
the file to, and a file resource for the same table in its other forms. Keys and references are stated where they hold
in this release. `croissant.json` follows MLCommons Croissant 1.0 and reads the Parquet files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from lnob_pipeline import storage
from lnob_pipeline.mappings.markdown import code, facts, plain
from lnob_pipeline.mappings.markdown import table as markdown_table
from lnob_pipeline.publication import about
from lnob_pipeline.publication.code_lists import OPEN, code_lists
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.statistical_packages import SHORT_NAMES
from lnob_pipeline.publication.views import views
from lnob_pipeline.tables import RELEASE_TABLES, CodeLists, Column, Kind, Table

_PROFILES: Final = "https://datapackage.org/profiles/2.0"
_TYPES: Final[Mapping[Kind, tuple[str, str]]] = {
    "text": ("string", "sc:Text"),
    "integer": ("integer", "sc:Integer"),
    "number": ("number", "sc:Float"),
    "boolean": ("boolean", "sc:Boolean"),
    "date": ("date", "sc:Date"),
}
"""Kind -> type of Table Schema, type of Croissant."""
_FORMS: Final = {
    "{}.parquet": ("parquet", "application/vnd.apache.parquet"),
    "stata/{}.dta": ("dta", "application/x-stata-dta"),
    "spss/{}.sav": ("sav", "application/x-spss-sav"),
}
_REFERENCES: Final = (
    ("citizen_estimates", "submission_id", "sources"),
    ("citizen_evidence", "submission_id", "sources"),
    ("comparison", "submission_id", "sources"),
    ("official_observations", "series", "sdg_catalogue"),
)
"""Table, column, and the table that has a row for each of its values in a column of the same name."""


def write(folder: Path, content: ReleaseContent) -> None:
    """The two catalogues and the codebook; the files that they describe lie in `folder`."""
    lists = code_lists(content.mappings)
    for name, catalogue in (
        ("datapackage.json", _data_package(folder, content, lists)),
        ("croissant.json", _croissant(folder, content)),
    ):
        storage.write_bytes(folder / name, (json.dumps(catalogue, indent=2, ensure_ascii=False) + "\n").encode())
    storage.write_bytes(folder / "CODEBOOK.md", ("\n".join(_codebook(content, lists)) + "\n").encode())


def _data_package(folder: Path, content: ReleaseContent, lists: CodeLists) -> dict[str, Any]:
    resources = []
    for table in RELEASE_TABLES:
        described = {"title": table.name, "description": table.description}
        resources.append(
            {"name": table.name, "type": "table", **_file(folder, f"{table.name}.csv"), "format": "csv"}
            | {"mediatype": "text/csv", "encoding": "utf-8", **described, "schema": _schema(table, content, lists)}
        )
        resources += [
            {"name": f"{table.name}.{form}", "type": "file", **_file(folder, path.format(table.name)), "format": form}
            | {"mediatype": media, **described}
            for path, (form, media) in _FORMS.items()
            if (folder / path.format(table.name)).exists()
        ]
    return {
        "$schema": f"{_PROFILES}/datapackage.json",
        "name": f"lnob-{content.facts['release']}",
        "title": about.title(content.facts),
        "description": " ".join(_description(content)),
        "version": content.facts["release"],
        "created": content.facts["released_at"],
        "keywords": list(about.KEYWORDS),
        "contributors": [{"title": about.PUBLISHER, "roles": ["publisher"]}],
        "sources": _sources(content),
        "licenses": [
            {name: value for name, value in (("name", item.name), ("path", item.path)) if value}
            | {"title": f"{item.part}: {item.terms}"}
            for item in about.terms(content.settings)
            if item.name or item.path
        ],
        "resources": resources,
    }


def _file(folder: Path, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "bytes": (folder / path).stat().st_size,
        "hash": f"sha256:{storage.sha256_file(folder / path)}",
    }


def _description(content: ReleaseContent) -> list[str]:
    return [about.SUBJECT, *([about.SYNTHETIC] if content.facts.get("synthetic") else []), *about.HOW_TO_READ]


def _sources(content: ReleaseContent) -> list[dict[str, str]]:
    """The official release and every partner that may be named."""
    official = {
        "title": f"{about.UNITED_NATIONS}, release {content.facts.get('official_release') or 'none'}",
        "path": "https://unstats.un.org/sdgs/dataportal",
    }
    named = content.tables["sources"].filter(pl.col("organisation").is_not_null())
    partners = named.select("organisation", "submission_id").sort("submission_id").rows()
    return [official, *({"title": f"{partner}: {submission}"} for partner, submission in partners)]


def _schema(table: Table, content: ReleaseContent, lists: CodeLists) -> dict[str, Any]:
    rows = content.scan(table.name)
    schema: dict[str, Any] = {
        "$schema": f"{_PROFILES}/tableschema.json",
        "fields": [_field(column, lists) for column in table.columns],
        "missingValues": [""],
    }
    if table.key:  # no key is there twice: `verify` lets no such release out
        missing = rows.select(pl.any_horizontal(_is_missing(name, table) for name in table.key).any()).collect().item()
        schema |= {"uniqueKeys": [list(table.key)]} if missing else {"primaryKey": list(table.key)}
    references = [
        {"fields": [column], "reference": {"resource": target, "fields": [column]}}
        for source, column, target in _REFERENCES
        if source == table.name and _holds(rows.select(pl.col(column).unique()), content.tables[target][column])
    ]
    return schema | ({"foreignKeys": references} if references else {})


def _field(column: Column, lists: CodeLists) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": column.name,
        "type": _TYPES[column.kind][0],
        "description": column.description,
        **({"unit": column.unit} if column.unit else {}),
    }
    if column.codes:
        field["categories"] = [{"value": value, "label": label} for value, label in lists[column.codes].items()]
        if not column.joined and column.codes not in OPEN:
            field["constraints"] = {"enum": list(lists[column.codes])}
        elif column.joined:
            field["categoriesJoinedBy"] = ","
    return field


def _is_missing(name: str, table: Table) -> pl.Expr:
    """Null, or the empty text, which a reader of CSV takes for null."""
    value = pl.col(name)
    return (
        (value.is_null() | (value == "")).fill_null(value=True) if table.schema[name] == pl.String else value.is_null()
    )


def _holds(values: pl.LazyFrame, keys: pl.Series) -> bool:
    return bool(values.collect().to_series().drop_nulls().is_in(keys.drop_nulls().implode()).all())


_CROISSANT_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def _croissant(folder: Path, content: ReleaseContent) -> dict[str, Any]:
    terms = about.terms(content.settings)
    return {
        "@context": _CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"lnob-{content.facts['release']}",
        "description": " ".join(_description(content)),
        "version": content.facts["released_at"][:10].replace("-", "."),
        "datePublished": content.facts["released_at"],
        "license": [item.path or item.name or item.terms for item in terms],
        "citeAs": about.citation(content.facts),
        "creator": {"@type": "sc:Organization", "name": about.PUBLISHER},
        "keywords": list(about.KEYWORDS),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{table.name}.parquet",
                "name": f"{table.name}.parquet",
                "description": table.description,
                "contentUrl": f"{table.name}.parquet",
                "encodingFormat": "application/x-parquet",
                "sha256": storage.sha256_file(folder / f"{table.name}.parquet"),
            }
            for table in RELEASE_TABLES
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": table.name,
                "name": table.name,
                "description": table.description,
                "key": [{"@id": f"{table.name}/{name}"} for name in table.key],
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{table.name}/{column.name}",
                        "name": column.name,
                        "description": _with_unit(column),
                        "dataType": _TYPES[column.kind][1],
                        "source": {
                            "fileObject": {"@id": f"{table.name}.parquet"},
                            "extract": {"column": column.name},
                        },
                    }
                    for column in table.columns
                ],
            }
            for table in RELEASE_TABLES
        ],
    }


def _with_unit(column: Column) -> str:
    return f"{column.description} (unit: {column.unit})" if column.unit else column.description


def _codebook(content: ReleaseContent, lists: CodeLists) -> Iterable[str]:
    """The lines of CODEBOOK.md: a statistician reads it alone, without the project at hand."""
    yield from (f"# Codebook of release {content.facts['release']}", "", about.SUBJECT, "")
    if content.facts.get("synthetic"):
        yield from (f"**{about.SYNTHETIC}**", "")
    yield from ("## How to read the tables", "", *(f"- {text}" for text in about.HOW_TO_READ), "")
    yield from ("## How figures are hidden", "", *(f"- {text}" for text in about.HIDDEN), "")
    yield from _forms_of_values()
    yield from ("## Terms", "", *facts((item.part, _terms(item)) for item in about.terms(content.settings)))
    yield from (f"Cite as: {about.citation(content.facts)}", "", "## Tables", "")
    described = [(f"[{table.name}](#{table.name})", plain(table.description)) for table in RELEASE_TABLES]
    rows = [f"{content.rows(table.name):,}" for table in RELEASE_TABLES]
    yield from markdown_table(
        ("table", "what", "rows"), [(name, said, count) for (name, said), count in zip(described, rows, strict=True)]
    )
    for table in RELEASE_TABLES:
        yield from _table(table)
    yield from ("## Views of lnob.duckdb", "")
    yield from markdown_table(
        ("view", "what"), [(code(view.name), plain(view.description)) for view in views(content.mappings)]
    )
    yield from ("## Code lists", "", "A list marked open can meet a code of somebody else's that is not in it.", "")
    used = {column.codes for table in RELEASE_TABLES for column in table.columns}
    for name in (name for name in lists if name in used):
        yield from (f"### codes: {name}", "")
        places = [f"`{t.name}.{column.name}`" for t in RELEASE_TABLES for column in t.columns if column.codes == name]
        yield from (f"{'Open. ' if name in OPEN else ''}In {', '.join(places)}.", "")
        yield from markdown_table(
            ("code", "meaning"), [(code(key), plain(label)) for key, label in lists[name].items()]
        )


def _terms(item: about.Terms) -> str:
    return f"{item.terms}" + (f" (<{item.path}>)" if item.path else "")


def _forms_of_values() -> Iterable[str]:
    yield from (
        "## How values are written",
        "",
        *facts(
            [
                ("text", "UTF-8, letters as the source wrote them"),
                ("integer", "32 bit"),
                ("number", "double precision, in the unit of its column; `unit of the series` is the column unit"),
                ("boolean", "true or false; 1 or 0 in Stata and SPSS"),
                ("date", "a day, ISO 8601 in CSV"),
                ("null", "an empty field in CSV; `.` in Stata, system-missing in SPSS, an empty cell in the workbook"),
                ("empty text", 'not the same as null in Parquet, DuckDB and CSV (`""`); elsewhere both are empty'),
                ("apostrophe", "stands in CSV before a text that a spreadsheet would run as a formula (`= + - @`)"),
            ]
        ),
        "Codes are the same text in every form. SPSS shows their labels; Stata can label numbers only, so its labels "
        "are the table `codes`. Names that are too long for Stata are shorter in .dta and .sav: "
        + ", ".join(f"`{name}` is `{short}`" for name, short in SHORT_NAMES.items())
        + ". SPSS holds at most 32,767 bytes of a text, the workbook 32,767 letters of a cell and 100,000 rows of a "
        "table.",
        "",
    )


def _table(table: Table) -> Iterable[str]:
    yield from (f"### {table.name}", "", f"{plain(table.description)}.", "")
    yield from (f"One row for each: {', '.join(code(name) for name in table.key)}.", "")
    yield from markdown_table(
        ("column", "kind", "unit", "description", "codes"),
        [
            (code(column.name), column.kind, column.unit or "", plain(column.description), _codes_of(column))
            for column in table.columns
        ],
    )


def _codes_of(column: Column) -> str:
    if column.codes is None:
        return ""
    return f"[{column.codes}](#codes-{column.codes})" + (", several joined by a comma" if column.joined else "")
