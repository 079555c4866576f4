"""Linkage ids: the published HMAC, one key, and what is never linked. All numbers are invented."""

from __future__ import annotations

import hashlib
import hmac
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnob_pipeline.settings import Settings
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.validation.linkage import handed_in_twice, linkage_ids, linkage_key
from lnob_pipeline_tests.thorough import tries

KEY = bytes(range(32))


def ids(*texts: str | None, key: bytes = KEY, scope: str = "ken") -> list[str | None]:
    return linkage_ids(pl.Series("id", texts, dtype=pl.String), key, scope).to_list()


@settings(deadline=None, max_examples=tries(20))
@given(st.uuids(), st.binary(min_size=32, max_size=100), st.sampled_from(["ken", "npl"]))
def test_it_is_the_hmac_of_the_standard(one: object, key: bytes, scope: str) -> None:
    expected = hmac.new(key, f"{scope}\x1f{one}".encode(), "sha256").hexdigest()[:32]
    assert ids(str(one), key=key, scope=scope) == [expected]


def test_only_what_is_one_of_a_kind_is_linked() -> None:
    made = "uuid:316ed984-0044-4a78-816e-4a5781d16e11"
    found = ids(made, "17", "h001", None, "household-12", "+254 722 000 111", "2341 2341 2346")
    assert [text is not None for text in found] == [True, False, False, False, False, True, True]


def test_the_same_id_is_the_same_however_it_is_written() -> None:
    assert len(set(ids("+254 722 000 111", "+254-722-000-111", "+254722000111"))) == 1
    assert len(set(ids("2341 2341 2346", "234123412346", "२३४१ २३४१ २३४६"))) == 1
    one = "uuid:316ED984-0044-4a78-816e-4a5781d16e11"
    assert len(set(ids(one, one.lower(), f" {one} "))) == 1


def test_other_keys_countries_and_people_give_other_ids() -> None:
    number = "+254722000111"
    assert len({*ids(number), *ids(number, key=bytes(32)), *ids(number, scope="npl"), *ids("+254722000112")}) == 4


def test_no_plain_hash_and_no_digit_of_the_number_is_left() -> None:
    (linked,) = ids("+254722000111")
    assert linked is not None and len(linked) == 32
    for text in ("+254722000111", "254722000111", "0722000111"):
        assert not hmac.compare_digest(linked, hmac.new(b"", text.encode(), "sha256").hexdigest()[:32])
        assert linked != hashlib.sha256(text.encode()).hexdigest()[:32]


def test_the_key_is_private_and_stays(tmp_path: Path) -> None:
    path = Settings.load(home=tmp_path).linkage_key
    assert path.is_relative_to(tmp_path / "data" / "lake")
    key = linkage_key(path)
    assert len(key) == 32 and linkage_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert linkage_key(tmp_path / "other" / "key") != key


def test_many_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(linkage_key, [tmp_path / "key"] * 32))
    assert len(set(keys)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_short_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hunter2")
    with pytest.raises(ValueError, match="7 bytes") as caught:
        linkage_key(tmp_path / "key")
    assert "hunter2" not in str(caught.value)


def test_accepted_rows_alone_are_linked(judge: Callable[..., Validated], households: list[dict[str, str]]) -> None:
    for number, row in enumerate(households):
        row["id"] = f"uuid:00000000-0000-4000-8000-{number:012d}"
    households[0]["consent"] = "2"
    households[2]["id"] = households[1]["id"]  # the same id twice: both rows are out
    validated = judge(households, instrument={"records.person": None}, linkage_key=KEY)
    assert validated.responses is not None
    linked = validated.linkage
    assert set(linked["row_number"]) == set(validated.responses["row_number"]) == set(range(5, 42))
    assert linked["linkage_id"].n_unique() == linked.height
    text = linked.write_csv()
    assert "uuid" not in text and "4000-8000" not in text
    assert judge(households, instrument={"records.person": None}).linkage.is_empty()


def test_rows_handed_in_twice_are_counted_both_ways() -> None:
    links = pl.DataFrame(
        {
            "submission_id": ["ken-2019-a"] * 3 + ["ken-2020-b"] * 3,
            "record": ["household"] * 6,
            "row_number": [2, 3, 4, 2, 3, 4],
            "linkage_id": ["x", "y", "z", "y", "z", "w"],
        }
    )
    assert handed_in_twice(links).rows() == [
        ("ken-2019-a", "ken-2020-b", "household", 2),
        ("ken-2020-b", "ken-2019-a", "household", 2),
    ]
    assert handed_in_twice(links.head(3)).is_empty()
