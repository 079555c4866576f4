"""`verify` finds what sums alone cannot: a release whose sums hold and whose parts say different things."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from lnob_pipeline import storage, warehouse
from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication import release
from lnob_pipeline.publication.release_manifest import ReleaseManifest
from lnob_pipeline.publication.verify import SUMS, verify, verify_sums
from lnob_pipeline.settings import Settings
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, disclosed

FORMS = {*FEW, "stata_spss", "catalogue"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, mappings: Mappings) -> Path:
    """A release in every form that is read back."""
    settings = Settings.load(home=tmp_path_factory.mktemp("home"), mappings=HOME / "indicator_mappings")
    frames = disclosed(mappings)
    small = {name: frame.filter(iso3="BGD") if "iso3" in frame.columns else frame for name, frame in frames.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "OUTPUTS", tuple(output for output in release.OUTPUTS if output[0] in FORMS))
        assert len(release.OUTPUTS) == len(FORMS)
        return release.publish(small, settings, RELEASED_AT, PROVENANCE).path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def sum_up(folder: Path) -> None:
    """Make SHA256SUMS true again, as somebody would who changed a release with care."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{storage.sha256_file(folder / name)}  {name}\n" for name in names if name != SUMS]
    (folder / SUMS).write_text("".join(lines))


def manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def with_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = manifest(folder)
        change(content)
        (folder / "manifest.json").write_text(json.dumps(content))

    return damage


def with_parquet(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Change a table and its sum in the manifest."""

    def damage(folder: Path) -> None:
        path = folder / "sources.parquet"
        pq.write_table(change(pq.read_table(path)), path)
        digest = storage.sha256_file(path)
        with_manifest(lambda content: content["tables"]["sources"].update(sha256=digest))(folder)

    return damage


def without_a_table(folder: Path) -> None:
    with warehouse.connect(folder / "lnob.duckdb") as connection:
        connection.execute("DELETE FROM coverage; DELETE FROM data_gaps WHERE stratum <> '_T'")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a table is missing": (lambda folder: (folder / "coverage.parquet").unlink(), "table coverage is missing"),
    "a table too many": (
        lambda folder: shutil.copy(folder / "coverage.parquet", folder / "responses.parquet"),
        "responses.parquet is no table of manifest.json",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
    "a manifest without a fact": (
        with_manifest(lambda content: content.pop("official_release")),
        "manifest.json: official_release: Field required",
    ),
    "another name": (
        with_manifest(lambda content: content.update(release="2020-01-01_00000000")),
        "the folder bears another name than manifest.json says: 2020-01-01_00000000",
    ),
    "other submissions": (
        with_manifest(lambda content: content["submissions"].clear()),
        "the submissions of manifest.json are not those of sources",
    ),
    "synthetic people that are called real": (
        with_manifest(lambda content: content.update(synthetic=False)),
        "sources says otherwise than manifest.json whether people are synthetic",
    ),
    "another official release": (
        with_manifest(lambda content: content.update(official_release="2021-10")),
        "data_gaps rests on another official release than manifest.json says: 2020-10",
    ),
    "another sum": (
        with_manifest(lambda content: content["tables"]["coverage"].update(sha256="0" * 64)),
        "coverage.parquet has another sum than manifest.json says",
    ),
    "no Parquet file": (
        lambda folder: (folder / "coverage.parquet").write_bytes(b"PAR1"),
        "coverage.parquet cannot be read",
    ),
    "a row twice": (
        with_parquet(lambda table: pa.concat_tables([table, table])),
        "sources.parquet has 1 keys that more than one row bears (submission_id)",
    ),
    "a row less": (with_parquet(lambda table: table.slice(1)), "sources.parquet has 0 rows, manifest.json says 1"),
    "another type": (
        with_parquet(lambda table: table.set_column(8, "year", table["year"].cast(pa.int64()))),
        "sources.parquet has other columns or types than manifest.json says",
    ),
    "no descriptions": (
        with_parquet(lambda table: pa.table(table.columns, names=table.column_names)),
        "sources.parquet: column iso3 has no description",
    ),
    "a CSV with a row more": (
        lambda folder: (folder / "sources.csv").write_text(
            (folder / "sources.csv").read_text() + "x" + "," * 16 + "\n"
        ),
        "sources.csv has 2 rows, manifest.json says 1",
    ),
    "a CSV with another header": (
        lambda folder: (folder / "sources.csv").write_text((folder / "sources.csv").read_text().replace("iso3", "iso")),
        "sources.csv has other columns than manifest.json says",
    ),
    "a CSV that is not there": (lambda folder: (folder / "sources.csv").unlink(), "sources.csv cannot be read"),
    "a database with fewer rows": (without_a_table, "lnob.duckdb: data_gaps has"),
    "no database": (lambda folder: (folder / "lnob.duckdb").unlink(), "lnob.duckdb is missing"),
    "a broken database": (
        lambda folder: (folder / "lnob.duckdb").write_bytes(b"no database"),
        "lnob.duckdb cannot be read",
    ),
    "a Stata file of another table": (
        lambda folder: shutil.copy(folder / "stata/data_gaps.dta", folder / "stata/sources.dta"),
        "stata/sources.dta has",
    ),
    "no SPSS file": (lambda folder: (folder / "spss/sources.sav").unlink(), "spss/sources.sav cannot be read"),
    "a data package that names what is not there": (
        lambda folder: (folder / "datapackage.json").write_text(
            (folder / "datapackage.json").read_text().replace("sources.csv", "source.csv")
        ),
        "datapackage.json names source.csv, which is not there",
    ),
}


def test_a_whole_release_has_no_problem_in_any_form(whole: Path) -> None:
    assert verify(whole) == []
    assert {path.suffix for path in (whole / "stata").iterdir()} == {".dta"}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_the_sums_cannot_see_is_found(copy: Path, what: str) -> None:
    damage, sentence = DAMAGES[what]
    damage(copy)
    assert verify(copy) == verify_sums(copy) != []
    sum_up(copy)
    assert verify_sums(copy) == []
    problems = verify(copy)
    assert any(problem.startswith(f"{copy.name}: {sentence}") for problem in problems), problems


def test_a_form_that_the_manifest_does_not_name_may_be_absent(copy: Path) -> None:
    for folder in ("stata", "spss"):
        shutil.rmtree(copy / folder)
    without = [name for name in manifest(copy)["outputs"] if name not in ("stata_spss", "catalogue")]
    with_manifest(lambda content: content.update(outputs=without))(copy)
    sum_up(copy)
    assert verify(copy) == []


def test_the_manifest_is_as_its_json_schema_says(whole: Path) -> None:
    schema = ReleaseManifest.model_json_schema()
    Draft202012Validator.check_schema(schema)
    content = manifest(whole)
    assert list(Draft202012Validator(schema).iter_errors(content)) == []
    assert list(Draft202012Validator(schema).iter_errors(content | {"hash": "short"}))
    described = [name for name, field in schema["properties"].items() if field.get("description")]
    assert set(schema["properties"]) - set(described) <= {"mapping_versions", "tables"}
    assert content["tables"].keys() == {path.stem for path in whole.glob("*.parquet")}
    rows = pl.read_csv(whole / "sources.csv").height
    assert content["tables"]["sources"]["rows"] == rows
