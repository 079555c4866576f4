"""A hand-in of a real survey file, made on the fly in a temporary home, and the stages run over it.

Here: what the tests of this folder share. The data stay beside the repository. What a manifest must say and the
documentation of a survey does not (the number of the ethics approval, the agreement) is said to be undocumented; it is
not made up.
"""

from __future__ import annotations

import datetime
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from lnob_pipeline import storage, tables
from lnob_pipeline.estimation.plan import estimate_submission
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Record
from lnob_pipeline.pipeline import (
    Step,
    promoted_submission,
    run_estimation,
    run_harmonisation,
    run_submissions,
    run_validation,
)
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import reviews
from lnob_pipeline.submissions.manifest import parse_manifest
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.homes import project_folder

NOW = "2026-11-23T00:00:00Z"
UNDOCUMENTED = "not in the published documentation"
ASKED_ONLY = dict.fromkeys(("need", "design", "collection", "processing", "analysis", "dissemination", "use"), 0)
"""People were asked and took no other part: by the Copenhagen Framework these are no citizen data."""
PER_ROW = {"obtained": "per_row", "column": "consent"}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A hand-in after stages 1 to 4: its settings and what each stage said."""

    key: str
    settings: Settings
    steps: dict[str, Step]

    @property
    def mappings(self) -> Mappings:
        """The mappings of the home."""
        return load_mappings(self.settings.mappings)

    @property
    def instrument(self) -> str:
        """The name of its instrument."""
        promoted = promoted_submission(self.settings, self.key)
        assert promoted is not None
        return promoted.manifest.instrument

    @property
    def numbers(self) -> dict[str, float]:
        """Rows in the file, accepted, in quarantine, refused."""
        return dict(self.steps["validation"].numbers)

    def table(self, table: tables.Table) -> pl.DataFrame:
        """A table of this hand-in."""
        return storage.read_table(self.settings.lake, table, self.key)

    @property
    def households(self) -> pl.DataFrame:
        """The harmonised households."""
        return self.table(tables.harmonised_households(self.mappings))

    @property
    def persons(self) -> pl.DataFrame:
        """The harmonised persons."""
        return self.table(tables.harmonised_persons(self.mappings))

    def supported(self) -> pl.DataFrame:
        """What the questions and the sample support, were these citizen data: stage 4 without its first question."""
        promoted = promoted_submission(self.settings, self.key)
        assert promoted is not None
        with connect(threads=1) as connection:
            return estimate_submission(
                connection, promoted.manifest, self.households, self.persons, promoted.quarantine_share,
                self.mappings, self.settings,
            )  # fmt: skip


def manifest(**fields: Any) -> Manifest:
    """The fields of a manifest that are the same for all surveys of this folder, and those that are not."""
    common: Manifest = {
        "data_type": "household_survey",
        "language": "en",
        "engagement": ASKED_ONLY,
        "agreement": {"identifier": UNDOCUMENTED, "retention_until": "2029-12-31"},
        "disclosure": {"organisation": True, "place": True},
        "partner": {"publish": False, "represented_by": "the producer of the published file"},
    }
    return common | fields


def ethics(day: str) -> Manifest:
    """Of the approval nothing is published; the first day of the collection stands for its date."""
    return {"body": UNDOCUMENTED, "approval_number": UNDOCUMENTED, "approval_date": day}


def run(
    home: Path, fields: Manifest, files: dict[str, bytes], mappings: Path | None = None, accepts: tuple[str, ...] = ()
) -> Run:
    """Put a hand-in into the inbox of a new home and run stages 1 to 4; `accepts`: rules that a reviewer decided on."""
    home.mkdir(parents=True, exist_ok=True)
    project_folder(home, [])
    if mappings is not None:
        (home / "indicator_mappings").unlink()
        (home / "indicator_mappings").symlink_to(mappings)
    key = fields["submission"]
    folder = home / "data" / "submissions" / key[:3] / key
    folder.mkdir(parents=True)
    content = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)
    parse_manifest(content.encode(), "submission.yaml")
    (folder / "submission.yaml").write_text(content, "utf-8")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    settings = Settings.load(home=home, official=Path(home / "data" / "official"), as_of_year=2020)
    steps = {"submissions": run_submissions(settings, key, now=NOW)}
    version, day = steps["submissions"].texts["version"], datetime.date.fromisoformat(NOW[:10])
    for rule in accepts:
        reviews.record(settings, key, version, rule, "accept", "ethics_reviewer", day, "read", lambda text: False)
    for stage, function in (
        ("validation", run_validation),
        ("harmonisation", run_harmonisation),
        ("estimation", run_estimation),
    ):
        steps[stage] = function(settings, key)
    return Run(key, settings, steps)


def unknown_columns(made: Run) -> list[str]:
    """Columns of the file that the instrument neither maps nor leaves out."""
    results = made.table(tables.VALIDATION_RESULTS).filter(pl.col("expectation") == "columns_known")
    assert results.height == len(made.mappings.instruments[made.instrument].records)
    return results.filter(pl.col("n_failed") > 0)["message"].to_list()


def labelled(
    frame: pl.DataFrame, record: Record, choices: dict[str, dict[str, list[str]]], language: int
) -> pl.DataFrame:
    """A table as an export of labels has it: headers and answers of the mapped questions in a language of the form."""
    for name, column in record.columns.items():
        labels = choices.get(column.choices or "", {})
        frame = frame.with_columns(pl.col(name).replace({code: texts[language] for code, texts in labels.items()}))
    return frame.rename(
        {name: column.aliases[language] for name, column in record.columns.items() if len(column.aliases) > 1}
    )


def cells(made: Run) -> set[str]:
    """Every cell of every table that the stages kept, as text."""
    found: set[str] = set()
    for path in made.settings.lake.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        for name in frame.columns:
            found |= set(frame[name].cast(pl.String, strict=False).drop_nulls().unique().to_list())
    return found


def found_again(made: Run, values: set[str]) -> set[str]:
    """Those of some personal values that stand anywhere in what the stages kept, the sealed raw files apart."""
    texts = [" ".join(cells(made)).encode()]
    for path in made.settings.lake.rglob("*"):
        if not path.is_file() or made.settings.sealed in path.parents:
            continue
        content = path.read_bytes()
        texts.append(content)
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                texts += [archive.read(name) for name in archive.namelist()]
    whole = b"\0".join(texts).decode("utf-8", "replace")
    return {value for value in values if value in whole}
