"""A release is whole or not there, the same for the same tables, and holds what is public and nothing else."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from lnob_pipeline import storage, warehouse
from lnob_pipeline.mappings.load import load_mappings
from lnob_pipeline.publication import release as module
from lnob_pipeline.publication import tabular
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.release import Release, ReleaseError, publish, verify
from lnob_pipeline.publication.tabular import harmless
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_ESTIMATES, FIXED_TABLES, PUBLISHED_ESTIMATES, RELEASE_TABLES, RESPONSES
from lnob_pipeline_tests.homes import FEW
from lnob_pipeline_tests.publication.release_factory import HOME, PROVENANCE, RELEASED_AT, fill, undisclosed
from lnob_pipeline_tests.thorough import FACTOR

Tables = dict[str, pl.DataFrame]


def changed(tables: Tables, year: int) -> Tables:
    """The same tables with another planned size: another release."""
    return tables | {"sources": tables["sources"].with_columns(n_planned=pl.lit(year, pl.Int32))}


def shown(settings: Settings) -> Path | None:
    latest = settings.published / "latest"
    return latest.resolve() if latest.is_symlink() else None


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def leftovers(settings: Settings) -> list[str]:
    found = [*settings.published.glob("releases/.*"), *settings.published.glob(".latest*")]
    return sorted(path.name for path in found)


def test_a_release_is_complete_and_its_sums_hold(small: Tables, settings: Settings) -> None:
    release = publish(small, settings, RELEASED_AT, PROVENANCE)
    assert release.changed
    assert release.path.name == f"2026-11-22_{release.hash[:8]}"
    expected = {f"{table.name}.{kind}" for table in RELEASE_TABLES for kind in ("parquet", "csv")}
    expected |= {"lnob.duckdb", "index.html", "README.txt", "CHANGES.md", "manifest.json", "SHA256SUMS"}
    assert expected <= {path.name for path in release.path.iterdir()}
    assert verify(release.path) == []
    tool = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=release.path, check=False)
    assert tool.returncode == 0
    latest = settings.published / "latest"
    assert latest.readlink() == Path("releases") / release.path.name
    assert stat.S_IMODE(release.path.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(release.path)} == {0o644}
    assert leftovers(settings) == []


@pytest.mark.usefixtures("few_outputs")
def test_parquet_holds_the_tables_with_their_descriptions(small: Tables, settings: Settings) -> None:
    release = publish(small, settings, RELEASED_AT, PROVENANCE)
    for table in RELEASE_TABLES:
        path = release.path / f"{table.name}.parquet"
        assert pl.read_parquet(path).equals(storage.in_form(small[table.name], table))
        fields = pq.read_schema(path)
        assert all(fields.field(column.name).metadata[b"description"] for column in table.columns)


@pytest.mark.usefixtures("few_outputs")
def test_csv_reads_back_as_the_table(small: Tables, settings: Settings) -> None:
    release = publish(small, settings, RELEASED_AT, PROVENANCE)
    for table in RELEASE_TABLES:
        back = pl.read_csv(release.path / f"{table.name}.csv", schema=table.schema)
        given = storage.in_form(small[table.name], table)
        assert back.height == given.height
        numbers = [name for name, kind in table.schema.items() if kind.is_numeric()]
        assert back.select(numbers).equals(given.select(numbers))


@pytest.mark.usefixtures("few_outputs")
def test_the_database_holds_the_public_tables_with_comments_and_no_other(small: Tables, settings: Settings) -> None:
    release = publish(small, settings, RELEASED_AT, PROVENANCE)
    with warehouse.connect(release.path / "lnob.duckdb", read_only=True) as connection:
        tables = connection.sql("SELECT table_name, comment, estimated_size FROM duckdb_tables() ORDER BY 1").pl()
        columns = connection.sql(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).pl()
        rows = connection.sql("SELECT count(*) FROM citizen_estimates").fetchall()
    closed = {table.name for table in FIXED_TABLES if table.visibility != "public"} - {"citizen_estimates"}
    assert set(tables["table_name"]) == {table.name for table in RELEASE_TABLES}
    assert not closed & set(tables["table_name"])
    assert tables["comment"].null_count() == 0
    assert columns["comment"].null_count() == 0
    of_tables = columns.filter(pl.col("table_name").is_in(tables["table_name"].implode()))
    assert of_tables.height == sum(len(table.columns) for table in RELEASE_TABLES)
    assert "n_numerator" not in set(columns["column_name"])
    assert rows == [(small["citizen_estimates"].height,)]


def test_no_closed_table_enters_a_database(tmp_path: Path) -> None:
    path = tmp_path / "closed" / "responses.parquet"
    storage.write_table(RESPONSES.empty(), RESPONSES, path)
    with pytest.raises(ValueError, match="not: responses"):
        warehouse.build_database(tmp_path / "lnob.duckdb", [(RESPONSES, path)])
    assert not (tmp_path / "lnob.duckdb").exists()


@pytest.mark.usefixtures("few_outputs")
def test_the_same_tables_are_the_same_release_on_any_day(small: Tables, settings: Settings) -> None:
    first = publish(small, settings, RELEASED_AT, PROVENANCE)
    before = {path: path.stat().st_mtime_ns for path in files(first.path)}
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in small.items()}
    again = publish(shuffled, settings, "2027-01-01T00:00:00Z", PROVENANCE)
    assert again == Release(first.path, first.hash, changed=False)
    assert {path: path.stat().st_mtime_ns for path in files(first.path)} == before
    assert len(list((settings.published / "releases").iterdir())) == 1


def test_two_places_give_the_same_bytes(small: Tables, settings: Settings, tmp_path: Path) -> None:
    other = dataclasses.replace(settings, published=tmp_path / "other")
    first, second = (publish(small, where, RELEASED_AT, PROVENANCE).path for where in (settings, other))
    names = {path.relative_to(first).as_posix() for path in files(first)}
    names -= {"lnob.duckdb", "SHA256SUMS"}  # DuckDB files are not byte-stable
    assert {name for name in names if (first / name).read_bytes() != (second / name).read_bytes()} == set()


@pytest.mark.usefixtures("few_outputs")
def test_other_tables_are_a_new_release_and_the_old_one_stays(small: Tables, settings: Settings) -> None:
    first = publish(small, settings, RELEASED_AT, PROVENANCE)
    second = publish(changed(small, 7), settings, RELEASED_AT, PROVENANCE)
    assert second.changed
    assert second.hash != first.hash
    assert shown(settings) == second.path
    assert verify(first.path) == []
    back = publish(small, settings, RELEASED_AT, PROVENANCE)
    assert back == Release(first.path, first.hash, changed=True)
    assert shown(settings) == first.path


@pytest.mark.usefixtures("few_outputs")
def test_a_damaged_release_is_written_again(small: Tables, settings: Settings) -> None:
    first = publish(small, settings, RELEASED_AT, PROVENANCE)
    path = first.path / "data_gaps.csv"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert verify(first.path) == [f"{first.path.name}: data_gaps.csv is not what was published"]
    again = publish(small, settings, RELEASED_AT, PROVENANCE)
    assert verify(again.path) == []
    publish(small, settings, RELEASED_AT, PROVENANCE)
    assert leftovers(settings) == []


@pytest.mark.usefixtures("few_outputs")
def test_verify_names_what_is_missing_or_too_much(small: Tables, settings: Settings) -> None:
    folder = publish(small, settings, RELEASED_AT, PROVENANCE).path
    (folder / "coverage.csv").unlink()
    (folder / "names.csv").write_text("x")
    assert verify(folder) == [
        f"{folder.name}: coverage.csv is missing",
        f"{folder.name}: names.csv is not listed in SHA256SUMS",
    ]


def test_the_manifest_says_where_it_comes_from_and_names_no_folder(small: Tables, settings: Settings) -> None:
    folder = publish(small, settings, RELEASED_AT, PROVENANCE).path
    facts = json.loads((folder / "manifest.json").read_text())
    assert facts["release"] == folder.name
    assert facts["submissions"] == {"bgd-2019-named-groups": "f" * 64}
    assert facts["hash"].startswith(folder.name[-8:]) and facts["previous"] is None
    assert facts["mapping_version"] == PROVENANCE["mapping_version"]
    library = load_mappings(settings.mappings)
    assert facts["mapping_versions"]["indicators"].keys() == library.indicators.keys()
    assert facts["mapping_versions"]["instruments"].keys() == library.instruments.keys()
    assert len(set(facts["mapping_versions"]["indicators"].values())) == len(library.indicators)
    assert facts["synthetic"] is True
    assert facts["settings"]["as_of_year"] == settings.as_of_year
    assert facts["tables"]["data_gaps"]["rows"] == small["data_gaps"].height
    for path in files(folder):
        assert str(settings.published.parent).encode() not in path.read_bytes(), path.name


@pytest.mark.usefixtures("few_outputs")
def test_a_folder_of_the_machine_in_the_provenance_is_refused(small: Tables, settings: Settings) -> None:
    with pytest.raises(ReleaseError, match="name a folder of this machine"):
        publish(small, settings, RELEASED_AT, PROVENANCE | {"inbox": str(settings.inbox)})
    assert shown(settings) is None
    assert leftovers(settings) == []


def test_what_is_not_disclosed_is_refused(small: Tables, settings: Settings, mappings: object) -> None:
    raw = undisclosed(mappings)["citizen_estimates"]  # type: ignore[arg-type]
    for given, message in (
        (small | {"citizen_estimates": raw}, "columns that are not public: .*n_numerator, sensitive"),
        (small | {"citizen_estimates": raw.select(list(PUBLISHED_ESTIMATES.schema))}, "fewer than 25 cases"),
        (small | {"comparison": undisclosed(mappings)["comparison"]}, "fewer than 25 cases"),  # type: ignore[arg-type]
        (small | {"responses": RESPONSES.empty()}, r"not public: \['responses'\]"),
        ({name: frame for name, frame in small.items() if name != "coverage"}, r"absent: \['coverage'\]"),
    ):
        with pytest.raises(ReleaseError, match=message):
            publish(given, settings, RELEASED_AT, PROVENANCE)
    assert not settings.published.exists()
    assert fill(CITIZEN_ESTIMATES, []).is_empty()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+254 700", "'+254 700"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-1.5", "-1.5"),
        ("-2,400", "-2,400"),
        ("-3e-05", "-3e-05"),
        ("a=b", "a=b"),
        ("", ""),
        ("नेपाल", "नेपाल"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_harmless(given: str, written: str) -> None:
    frame = pl.DataFrame({"text": [given, None], "number": [-1.5, None]})
    content = harmless(frame).collect().write_csv().encode()
    back = pl.read_csv(content, schema={"text": pl.String, "number": pl.Float64})
    assert back["text"].to_list() == [written, None]
    assert back["number"].to_list() == [-1.5, None]


RUN = """
import os, pickle, signal, sys
from pathlib import Path
from lnob_pipeline import storage
from lnob_pipeline.publication import release

step = left = int(sys.argv[3])

def dying(function):
    def wrapper(*arguments, **keywords):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)
    return wrapper

release.OUTPUTS = tuple(output for output in release.OUTPUTS if output[0] in sys.argv[2].split(","))
tables, settings, provenance, released_at = pickle.load(open(sys.argv[1], "rb"))
storage.flush = dying(storage.flush)
for name in ("rename", "replace", "symlink_to", "chmod", "unlink"):
    setattr(Path, name, dying(getattr(Path, name)))
release.publish(tables, settings, released_at, provenance)
print(step - left, flush=True)
"""


def start(tmp_path: Path, tables: Tables, settings: Settings, step: int = 10**9) -> subprocess.Popen[str]:
    """Publish in another process, which kills itself before change number `step` of the disk; else it says how many."""
    given = tmp_path / "given.pickle"
    given.write_bytes(pickle.dumps((tables, settings, PROVENANCE, RELEASED_AT)))
    arguments = [sys.executable, "-c", RUN, str(given), ",".join(FEW), str(step)]
    environment = os.environ | {"POLARS_MAX_THREADS": "1"}
    return subprocess.Popen(arguments, cwd=HOME, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.repeated
@pytest.mark.usefixtures("few_outputs")
def test_sigkill_at_any_step_leaves_the_old_release_or_the_new_one(
    small: Tables, settings: Settings, tmp_path: Path
) -> None:
    """Some places while files are written, and each of the last changes: sums, rename, swap of `latest`."""
    old = publish(small, settings, RELEASED_AT, PROVENANCE)
    new = changed(small, 99)
    elsewhere = dataclasses.replace(settings, published=tmp_path / "elsewhere")
    publish(small, elsewhere, RELEASED_AT, PROVENANCE)
    output, _ = start(tmp_path, new, elsewhere).communicate(timeout=60)
    last = int(output)
    assert last > 100
    visible = []
    before = range(0, last - 8, last // (20 if FACTOR else 3))
    for step in [*before, *range(last - 8, last)]:
        process = start(tmp_path, new, settings, step)
        process.communicate(timeout=60)
        if not process.returncode:
            break  # the run before died after the swap: nothing was left to do
        assert process.returncode == -signal.SIGKILL
        folders = sorted((settings.published / "releases").glob("2*"))
        assert [problem for folder in folders for problem in verify(folder)] == []
        visible.append(shown(settings))
    assert len(visible) > len(before) + 3
    assert visible[0] == old.path
    assert len(set(visible)) <= 2
    assert visible == sorted(visible, key=lambda path: path != old.path)  # once new, new for good
    again = publish(new, settings, RELEASED_AT, PROVENANCE)
    assert visible[-1] in (old.path, again.path)
    assert leftovers(settings) == []


@pytest.mark.usefixtures("few_outputs")
def test_leftovers_of_a_run_that_died_are_removed(small: Tables, settings: Settings, tmp_path: Path) -> None:
    process = start(tmp_path, small, settings, 20)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert shown(settings) is None
    assert len(leftovers(settings)) == 1
    release = publish(small, settings, RELEASED_AT, PROVENANCE)
    assert shown(settings) == release.path
    assert leftovers(settings) == []


def test_two_runs_at_once_both_end_well(small: Tables, settings: Settings, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    processes = [start(folder, changed(small, year), settings) for year, folder in enumerate(folders)]
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert int(output) > 100
    releases = list((settings.published / "releases").iterdir())
    assert len(releases) == 2
    assert [problem for folder in releases for problem in verify(folder)] == []
    assert shown(settings) in releases


@pytest.mark.usefixtures("few_outputs")
def test_a_second_run_waits_and_then_says_why(small: Tables, settings: Settings) -> None:
    settings.published.mkdir(parents=True)
    with (settings.published / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = time.monotonic()
        with pytest.raises(ReleaseError, match="another run is publishing"):
            publish(small, settings, RELEASED_AT, PROVENANCE, patience=0.3)
        assert time.monotonic() - started >= 0.3
    assert publish(small, settings, RELEASED_AT, PROVENANCE).changed


@pytest.mark.usefixtures("few_outputs")
def test_a_full_disk_leaves_what_was_published(
    small: Tables, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = publish(small, settings, RELEASED_AT, PROVENANCE)

    def full(path: Path, content: bytes) -> str:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(storage, "write_bytes", full)
    with pytest.raises(ReleaseError, match=r"No space left on device.*untouched"):
        publish(changed(small, 3), settings, RELEASED_AT, PROVENANCE)
    assert shown(settings) == old.path
    assert verify(old.path) == []
    assert leftovers(settings) == []


@pytest.mark.usefixtures("few_outputs")
def test_what_does_not_read_back_is_not_shown(
    small: Tables, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that changes a file behind its writer: bytes, rows that were streamed, the database."""
    whole = storage.flush
    for name in ("README.txt", "coverage.csv", "data_gaps.parquet"):

        def rotten(path: Path, name: str = name) -> None:
            whole(path)
            texts = [(path / text).exists() for text in ("README.txt", "manifest.json")]
            if texts == [True, False] and (written := path / name).exists():
                written.write_bytes(written.read_bytes() + b" ")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "flush", rotten)
            with pytest.raises(ReleaseError, match=rf"does not read back .* {re.escape(name)}"):
                publish(small, settings, RELEASED_AT, PROVENANCE)
        assert shown(settings) is None
        assert leftovers(settings) == []


@pytest.mark.usefixtures("few_outputs")
def test_what_was_not_written_through_storage_is_not_shown(
    small: Tables, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def past_storage(folder: Path, content: ReleaseContent) -> None:
        (folder / "more").mkdir()
        (folder / "more" / "notes.txt").write_text(content.facts["release"])

    monkeypatch.setattr(module, "OUTPUTS", (*module.OUTPUTS, ("notes", past_storage)))
    with pytest.raises(ReleaseError, match=r"more/notes\.txt: not written through storage"):
        publish(small, settings, RELEASED_AT, PROVENANCE)
    assert shown(settings) is None


@pytest.mark.usefixtures("few_outputs")
def test_a_form_that_lost_rows_is_not_shown(small: Tables, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of a writer that writes too little agree with its files; its rows do not agree with the others."""

    def short(folder: Path, content: ReleaseContent) -> None:
        fewer = {name: frame.head(frame.height - 1) for name, frame in content.tables.items() if name == "sources"}
        tabular.write_csv(folder, dataclasses.replace(content, tables={**content.tables, **fewer}))

    outputs = tuple((name, short if name == "csv" else write) for name, write in module.OUTPUTS)
    monkeypatch.setattr(module, "OUTPUTS", outputs)
    with pytest.raises(ReleaseError, match=r"sources\.csv has 0 rows, manifest\.json says 1"):
        publish(small, settings, RELEASED_AT, PROVENANCE)
    assert shown(settings) is None
