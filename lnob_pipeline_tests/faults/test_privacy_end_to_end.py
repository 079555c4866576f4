"""The privacy wall from the inbox to the release: identifiers planted in every format come out nowhere.

Every hand-in goes through Dagster with an instance of its own, in a process of its own, so that all that is printed,
logged and recorded is there to be searched. A name without any pattern inside a text that is an answer by definition
(a cluster, a legal source) cannot be known; none is planted there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.submissions.readers import MODULES
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.faults import hand_ins, planted_files
from lnob_pipeline_tests.faults.hand_ins import DEVANAGARI, NAME, SIGNATURE, Planter

RUN = """
import sys
from lnob_pipeline.automation.instance import open_instance
from lnob_pipeline.automation.partitions import add_keys
from lnob_pipeline.definitions import defs
from lnob_pipeline.pipeline import inbox_keys
from lnob_pipeline.settings import Settings

with open_instance(Settings.load()) as instance:
    add_keys(instance, inbox_keys(Settings.load()))
    job = defs.resolve_job_def("submission_job")
    for key in sys.argv[1:]:
        job.execute_in_process(partition_key=key, instance=instance, raise_on_error=False)
    result = defs.resolve_job_def("whole_job").execute_in_process(instance=instance, raise_on_error=False)
    print("whole job:", result.success)
"""
AS_FORMATS = sorted(planted_files.TABLES.keys() - {"kobo_xlsx", "spss", "csv", "odk_zip", "stata"})
"""Formats that the table of one sample is written in, since no sample has them."""
ACCEPTED = {
    "ken-2019-household-survey",  # kobo_xlsx
    "bgd-2019-named-groups",  # spss
    "ind-2019-thirteen-groups",  # csv
    "npl-2020-two-municipalities",  # odk_zip
    "vnm-2020-ha-giang",  # stata
    "mwi-2020-health-score-card",  # score_card
    "nga-2020-discussions",  # taguette_csv
    "nga-2020-policy-review",  # policy_review
    "nga-2020-discussions-as-project",  # refi_qda
} | {f"ind-2019-thirteen-groups-as-{name.replace('_', '-')}" for name in AS_FORMATS}
REJECTED = {
    "ken-2019-no-consent": "a sheet that bears a name",
    "ind-2020-partly-bad": "no header: the first row is a person",
    "ken-2019-header-twice": "two columns that bear the same name",
    "ken-2019-other-consent": "identifiers in the manifest",
    "ken-2019-no-instrument": "an instrument that is a name",
}
_DIGITS = rb"[ \-().,_/]{0,3}".join(digit.encode() for digit in SIGNATURE)
_OTHER = SIGNATURE.translate(DEVANAGARI)
SPELLINGS = re.compile(
    b"|".join([_DIGITS, NAME.encode(), _OTHER.encode(), re.escape(_OTHER.encode("unicode_escape"))]), re.IGNORECASE
)
"""The planted signatures: with signs between the digits, in small or capital letters, in Devanagari, in JSON."""


@dataclass(frozen=True)
class Run:
    """A finished run: its home, what it printed, and how many identifiers were given out for each hand-in."""

    home: Path
    printed: bytes
    planted: dict[str, int]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, root: Path, mappings: Mappings) -> Run:
    home = hand_ins.make_home(tmp_path_factory.mktemp("home"), root)
    planters: dict[str, Planter] = {}

    def survey(key: str, keep: int | None = None, names: tuple[str, ...] = ()) -> None:
        planters[key] = hand_ins.survey(root, home, mappings, key, key[:3].upper(), keep=keep, names=names)

    survey("ken-2019-household-survey", 120, (f"Quvzabe {SIGNATURE} phone 0{SIGNATURE}11.xlsx",))
    survey("bgd-2019-named-groups", 160, (f"0{SIGNATURE}_12 Quvzabi.sav",))
    survey("ind-2019-thirteen-groups", 160, (f"{NAME}@example.org.csv",))
    survey("npl-2020-two-municipalities", 100, ("Quvzaba Otenga/two_municipalities.zip",))
    survey("vnm-2020-ha-giang", 120, (f"Quvzaba 0{SIGNATURE}13/households.dta", "Quvzabi/persons.dta"))
    planters["mwi-2020-health-score-card"] = hand_ins.score_card(root, home)
    planters["nga-2020-discussions"] = hand_ins.discussions(root, home)
    planters["nga-2020-policy-review"] = hand_ins.policy_review(root, home)
    planters["nga-2020-discussions-as-project"] = hand_ins.coded_project(root, home)
    groups = "ind-2019-thirteen-groups"
    for format_ in AS_FORMATS:
        keep = 130 if format_ == "parquet" else 70  # one of its rows gets more of them in the returned workbook
        planter = hand_ins.survey(root, home, mappings, groups, "IND", keep=keep, as_format=format_)
        planters[f"{groups}-as-{format_.replace('_', '-')}"] = planter
    inbox = home / "data" / "submissions" / "ind"
    hand_ins.add_form(inbox / f"{groups}-as-ods", planters[f"{groups}-as-ods"])
    hand_ins.return_workbook(home, inbox / f"{groups}-as-parquet", planters[f"{groups}-as-parquet"])
    _identifiers_in_the_manifest(home / "data" / "submissions" / "ken" / "ken-2019-household-survey")
    _rejected(root, home)
    environment = os.environ | {
        "LNOB_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "PYTHONPATH": str(root),
        "POLARS_MAX_THREADS": "1",
    }
    (home / "dagster").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", RUN, "nga-2020-policy-review", "ken-2019-no-consent"],
        cwd=home, env=environment, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert b"whole job: True" in printed, printed[-3000:].decode(errors="replace")
    return Run(home, printed, {key: next(planter.count) for key, planter in planters.items()})


def _identifiers_in_the_manifest(folder: Path) -> None:
    path = folder / "submission.yaml"
    text = path.read_text("utf-8")
    for field in ("title", "organisation", "population"):
        text, n = re.subn(rf"(?m)^{field}: .*$", f"{field}: Quvzabe's office, call 0{SIGNATURE}21", text)
        assert n == 1
    for field in ("represented_by", "identifier", "approval_number", "description", "respondent_selection", "frame"):
        text = re.sub(rf"(?m)\b{field}: [^,}}\n]*", f"{field}: {NAME}@example.org 0{SIGNATURE}22", text)
    path.write_text(text, "utf-8")


def _rejected(root: Path, home: Path) -> None:
    planter = Planter("KEN")
    folder = hand_ins.copy_sample(root, home, "ken-2019-no-consent")
    cells, merged = hand_ins.workbook(folder / "export.xlsx")
    extra = {planter.name(): [[planter.name(), planter.phone()], ["x", planter.phone()]]}
    content = hand_ins.workbook_bytes(cells | extra, merged | {name: [] for name in extra})
    (folder / "export.xlsx").write_bytes(content)

    folder = hand_ins.copy_sample(root, home, "ind-2020-partly-bad")
    lines = (folder / "responses.csv").read_text("utf-8-sig").splitlines()
    cells_of_first = [planter.any(kind) for kind in ("small_name", "name", "home", "email", "small_name", "two_small")]
    first = ",".join([*cells_of_first, *lines[1].split(",")[len(cells_of_first) :]])
    (folder / "responses.csv").write_text("\n".join([first, *lines[2:]]), "utf-8")

    folder = hand_ins.copy_sample(root, home, "ken-2019-no-consent", "ken-2019-header-twice")
    cells, merged = hand_ins.workbook(folder / "export.xlsx")
    name = planter.name()
    next(iter(cells.values()))[0][-2:] = [name, name]
    (folder / "export.xlsx").write_bytes(hand_ins.workbook_bytes(cells, merged))

    hand_ins.copy_sample(
        root, home, "ken-2019-no-consent", "ken-2019-other-consent",
        consent=f'consent: {{obtained: per_row, column: "{planter.phone()}", affirmative: ["{NAME}@example.org"]}}',
    )  # fmt: skip
    hand_ins.copy_sample(
        root, home, "ken-2019-no-consent", "ken-2019-no-instrument", instrument=f"instrument: {planter.name()}"
    )


def texts_of(frame: pl.DataFrame) -> bytes:
    """Column names and text cells of a table."""
    return frame.write_csv().encode()


def parts(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file as bytes that can be searched: also unpacked, also as text where the format is not text."""
    yield path.name, path.read_bytes()
    if path.suffix == ".parquet":
        yield f"{path.name} (cells)", texts_of(pl.read_parquet(path))
    elif path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as archive:
            yield from ((f"{path.name}: {name}", archive.read(name)) for name in archive.namelist())
    elif path.suffix == ".duckdb":
        with connect(path, read_only=True) as connection:
            for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall():
                yield f"{path.name}: {name}", texts_of(connection.sql(f'SELECT * FROM "{name}"').pl())


def hits(content: bytes) -> list[str]:
    """What a planted identifier looks like where it was found."""
    around = (content[max(0, m.start() - 60) : m.end() + 40] for m in SPELLINGS.finditer(content))
    return [text.decode("utf-8", errors="replace") for text in around]


def later_files(home: Path) -> list[Path]:
    """All that was written after receiving; the ledger has a test of its own, the sealed files keep what they hold."""
    lake = home / "data" / "lake"
    kept_apart = (lake / "sealed", lake / "sealed_files", lake / "submissions")
    folders = (lake, home / "data" / "published", home / "dagster")
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if not any(path.is_relative_to(folder) for folder in kept_apart)]


def test_the_search_finds_what_was_planted(run: Run) -> None:
    sealed = list((run.home / "data" / "lake" / "sealed").iterdir())
    assert len(sealed) >= len(ACCEPTED)
    texts = b"".join(path.read_bytes() for path in sealed if path.read_bytes()[:2] != b"PK")
    assert len(hits(texts)) > 500
    workbooks = [path for path in sealed if path.read_bytes()[:2] == b"PK"]
    assert (
        sum(len(hits(zipfile.ZipFile(path).read(n))) for path in workbooks for n in zipfile.ZipFile(path).namelist())
        > 500
    )
    assert sum(run.planted.values()) > 2000
    one_of_each = (
        "call 0731-946-299",
        "7319 46299",
        "QUVZABO",
        "quvzabo",
        "\\u096d\\u0969\\u0967\\u096f\\u096a\\u096c\\u0968",
    )
    assert all(hits(text.encode()) for text in one_of_each)


def test_every_format_is_among_the_hand_ins(run: Run) -> None:
    manifests = (run.home / "data" / "submissions").rglob("submission.yaml")
    formats = {form for path in manifests for form in re.findall(r"format: (\w+)", path.read_text("utf-8"))}
    assert formats == set(MODULES)


def test_every_format_got_through_to_the_release(run: Run) -> None:
    latest = run.home / "data" / "published" / "latest"
    states = dict(pl.read_parquet(latest / "sources.parquet").select("submission_id", "state").iter_rows())
    assert {key for key, state in states.items() if state == "accepted_with_flags"} == ACCEPTED
    assert {key for key, state in states.items() if state == "rejected"} == set(REJECTED)
    estimates = pl.read_parquet(latest / "citizen_estimates.parquet")["submission_id"].unique().to_list()
    evidence = pl.read_parquet(latest / "citizen_evidence.parquet")["submission_id"].unique().to_list()
    assert {*estimates, *evidence} == ACCEPTED


def test_no_identifier_is_in_a_file(run: Run) -> None:
    files = later_files(run.home)
    assert {".parquet", ".xlsx", ".duckdb", ".csv", ".html", ".json", ".db"} <= {path.suffix for path in files}
    found = {
        f"{path.parent.name}/{name}": where[:3]
        for path in files
        for name, content in parts(path)
        if (where := hits(content))
    }
    assert found == {}


def test_the_ledger_keeps_no_identifier_that_has_a_pattern(run: Run) -> None:
    """Phones, identity numbers, addresses: blanked before it is written. A bare name in a manifest has no pattern."""
    ledger = sorted((run.home / "data" / "lake" / "submissions").glob("*.parquet"))
    assert len(ledger) >= len(ACCEPTED) + len(REJECTED)
    patterned = re.compile(_DIGITS + b"|@example")
    written = [content for path in ledger for _, content in parts(path)]
    assert not [content for content in written if patterned.search(content)]
    assert any(b"(not shown)" in content for content in written)


def test_no_identifier_is_in_the_name_of_a_file(run: Run) -> None:
    assert hits("\n".join(str(path.relative_to(run.home)) for path in later_files(run.home)).encode()) == []


def test_no_identifier_is_printed_or_logged(run: Run) -> None:
    assert b"ken-2019-no-consent" in run.printed  # its problems were logged
    assert hits(run.printed) == []


@pytest.mark.parametrize("key", sorted(REJECTED))
def test_a_rejected_hand_in_says_why_without_telling(run: Run, key: str) -> None:
    path = run.home / "data" / "lake" / "validation_outcomes" / f"{key}.parquet"
    reasons = pl.read_parquet(path)["reasons"].item()
    assert reasons, REJECTED[key]
    assert hits(reasons.encode()) == []
    assert not (run.home / "data" / "lake" / "responses" / f"{key}.parquet").exists()


def test_of_refused_rows_only_the_numbers_are_kept(run: Run) -> None:
    for key in ("ken-2019-household-survey", "bgd-2019-named-groups", "ind-2019-thirteen-groups"):
        listed = pl.read_parquet(run.home / "data" / "lake" / "quarantine" / f"{key}.parquet")
        refused = listed.filter(pl.col("effect") == "refused")
        assert refused.height >= 4
        assert refused["written"].null_count() == refused["column"].null_count() == refused.height
        responses = pl.read_parquet(run.home / "data" / "lake" / "responses" / f"{key}.parquet")
        kept = responses.filter(pl.col("record") == "household")["row_number"]
        assert not set(kept) & set(refused["row_number"])
