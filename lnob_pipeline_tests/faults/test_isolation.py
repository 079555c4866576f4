"""One bad hand-in never stops another: broken files beside good ones, and the run goes on to the release."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from lnob_pipeline.pipeline import Step, run_all
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions import ledger
from lnob_pipeline_tests.faults import hand_ins
from lnob_pipeline_tests.faults.hand_ins import NOW

pytestmark = pytest.mark.usefixtures("few_outputs_of_module")

GOOD = ("mwi-2020-health-score-card", "nga-2020-policy-review", "ind-2020-partly-bad")
CARD, REVIEW, SPSS = "mwi-2020-health-score-card", "nga-2020-policy-review", "bgd-2019-named-groups"


def _rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def _last_corner(_: bytes) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet("scores")
        sheet.write(0, 0, "Community")
        sheet.write(1_048_575, 16_383, "x")
    return stream.getvalue()


def _bomb(content: bytes) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/picture.png", b"\0" * 50_000_000)
    return stream.getvalue()


def _noise(_: bytes) -> bytes:
    return b"$FL2@(#) SPSS DATA FILE" + random.Random(8).randbytes(20_000)


def _link(folder: Path) -> None:
    path = folder / "score_card.xlsx"
    target = folder.parent / "elsewhere.xlsx"
    path.rename(target)
    path.symlink_to(target)


LOCKED = bytes.fromhex("d0cf11e0a1b11ae1") + b"EncryptedPackage" * 100
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
MANIFEST = "submission.yaml"
CARD_FILE, REVIEW_FILE = "score_card.xlsx", "policy_review.xlsx"


def _card(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return _rewrite(CARD_FILE, change)


def _said(old: str, new: str) -> Callable[[Path], None]:
    return _rewrite(MANIFEST, lambda content: content.replace(old.encode(), new.encode()))


BAD: dict[str, tuple[str, Callable[[Path], None], str, tuple[str, ...]]] = {
    "truncated": (CARD, _card(lambda c: c[: len(c) // 2]), "rejected", (CARD_FILE, "export it again")),
    "empty": (CARD, _card(lambda _: b""), "rejected", (CARD_FILE, "0 bytes", "send the file again")),
    "page": (CARD, _card(lambda _: PAGE), "rejected", (CARD_FILE, "web page", "export again")),
    "locked": (CARD, _card(lambda _: LOCKED), "rejected", (CARD_FILE, "without a password")),
    "bomb": (CARD, _card(_bomb), "rejected", (CARD_FILE, "zip bomb", "export it again")),
    "corner": (CARD, _card(_last_corner), "rejected", (CARD_FILE, "column 16384", "delete the rows")),
    "other-file": (
        REVIEW,
        _said("format: policy_review", "format: csv"),
        "rejected",
        (REVIEW_FILE, "not a text file", "export it as CSV"),
    ),
    "other-form": (REVIEW, _rewrite(REVIEW_FILE, _last_corner), "rejected", (REVIEW_FILE, "delete the rows")),
    "noise": (SPSS, _rewrite("responses.sav", _noise), "rejected", ("responses.sav", "save it again")),
    "unknown-form": (
        REVIEW,
        _said("review-2020-v1", "review-2021-v9"),
        "rejected",
        ("nga-policy-review-2021-v9", "is not known here", "check the name"),
    ),
    "other-kind": (
        REVIEW,
        _said("data_type: policy_review", "data_type: interview"),
        "rejected",
        ("the manifest says interview", "correct data_type"),
    ),
    "broken-manifest": (CARD, _said("files:", "files: ["), "unreadable", (MANIFEST, "line", "is not YAML")),
    "not-text": (CARD, _rewrite(MANIFEST, lambda c: b"\xff\x00" + c), "unreadable", (MANIFEST, "save it in that")),
    "growing": (CARD, _said("title:", "a: &a [x]\nb: [*a, *a]\ntitle:"), "unreadable", (MANIFEST, "write it out")),
    "link": (CARD, _link, "unreadable", (MANIFEST, "file 1", "is a link; put the file itself")),
    "absent": (CARD, lambda f: (f / CARD_FILE).unlink(), "unreadable", ("file 1", "not in the folder; add it")),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Settings, list[Step]]:
    home = hand_ins.make_home(tmp_path_factory.mktemp("home"), root)
    for key in GOOD:
        hand_ins.copy_sample(root, home, key)
    for name, (sample, spoil, _, _) in BAD.items():
        spoil(hand_ins.copy_sample(root, home, sample, f"{sample[:3]}-2018-{name}"))
    settings = hand_ins.settings_of(home)
    return settings, run_all(settings, NOW)


def key_of(name: str) -> str:
    return f"{BAD[name][0][:3]}-2018-{name}"


def test_the_run_ends_and_no_step_failed(run: tuple[Settings, list[Step]]) -> None:
    _, steps = run
    assert [step.stage for step in steps[-3:]] == ["official", "gaps", "publication"]
    assert [step for step in steps if step.texts.get("state") == "failed"] == []


def test_good_hand_ins_are_published_as_if_alone(run: tuple[Settings, list[Step]], tmp_path: Path, root: Path) -> None:
    settings, _ = run
    alone = hand_ins.settings_of(hand_ins.make_home(tmp_path, root))
    for key in GOOD:
        hand_ins.copy_sample(root, tmp_path, key)
    run_all(alone, NOW)
    for name in ("citizen_estimates", "citizen_evidence", "comparison", "data_gaps", "coverage", "decisions"):
        here, there = (place.published / "latest" / f"{name}.parquet" for place in (settings, alone))
        assert here.read_bytes() == there.read_bytes(), name
    sources = pl.read_parquet(settings.published / "latest" / "sources.parquet")
    states = dict(sources.select("submission_id", "state").iter_rows())
    assert {states[key] for key in GOOD} == {"accepted", "accepted_with_flags"}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_hand_in_says_what_to_mend(run: tuple[Settings, list[Step]], name: str) -> None:
    settings, _ = run
    _, _, state, words = BAD[name]
    row = ledger.status_table(settings).filter(pl.col("submission_id") == key_of(name)).row(0, named=True)
    assert row["state"] == state
    assert [word for word in words if word not in row["reason"]] == [], row["reason"]


@pytest.mark.parametrize("name", BAD)
def test_nothing_of_a_bad_hand_in_is_promoted(run: tuple[Settings, list[Step]], name: str) -> None:
    settings, _ = run
    key = key_of(name)
    promoted = ("responses", "harmonised_households", "harmonised_persons", "citizen_evidence", "citizen_estimates")
    assert [table for table in promoted if (settings.lake / table / f"{key}.parquet").exists()] == []
    for path in (settings.published / "latest").glob("*.parquet"):
        frame = pl.read_parquet(path)
        if path.stem != "sources" and "submission_id" in frame.columns:
            assert key not in frame["submission_id"].to_list(), path.name
