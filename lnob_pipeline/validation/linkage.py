"""Linkage ids: the same interview or person in two hand-ins is seen, and nobody can be looked up by a number.

Here belong the key, the keyed hash, and the rows of two hand-ins that are the same. An id is hashed only where it is
one of a kind by its making (a UUID of the survey tool, a telephone or identity number that serves as id); the number 17
of a list is somebody else in every hand-in. A plain hash would not do: all telephone numbers of a country are hashed in
minutes. The key is a file outside of the repository and of every release; without it the ids say nothing, and a new key
makes them all new. Source: RFC 2104 (HMAC) with SHA-256, its first 128 bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from lnob_pipeline.storage import UNFINISHED, private_folder
from lnob_pipeline.tables import LINKAGE
from lnob_pipeline.validation.consent import Consenting
from lnob_pipeline.validation.findings import ROW
from lnob_pipeline.validation.identifier_patterns import UUID, identifier_kind
from lnob_pipeline.validation.normalise import ascii_digits
from lnob_pipeline.warehouse import connect

KEY_BYTES = 32
BLOCK = 64
"""Bytes of a block of SHA-256."""
ID_LETTERS = 32
"""Hexadecimal letters that are kept, 128 bits."""
NO_LINKS: dict[str, pl.DataType] = {"submission_id": pl.String(), "also_in": pl.String(), "record": pl.String()} | {
    "n": pl.Int64()
}


def linkage_key(path: Path) -> bytes:
    """The key in a file that only its owner can read, made on the first call. Raises ValueError if it is short."""
    while not path.exists():
        private_folder(path.parent)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)  # mode 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # another process was first: its key counts
            path.hardlink_to(temporary)
    for unfinished in path.parent.glob(f".{path.name}.*{UNFINISHED}"):
        unfinished.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ValueError(f"the linkage key has {len(key)} bytes; it needs {KEY_BYTES} random ones (LNOB_LINKAGE_KEY)")
    return key


def linkage_ids(ids: pl.Series, key: bytes, scope: str) -> pl.Series:
    """The keyed hash of each id that is one of a kind, null for others. scope: ids of two scopes never agree."""
    text = ascii_digits(pl.col("id").str.to_lowercase().str.strip_chars())
    frame = pl.DataFrame({"id": ids.cast(pl.String)})
    made = text.str.contains(UUID)
    shaped = frame.select(pl.when(made).then(text).otherwise(text.str.replace_all(r"[^\pL0-9@]", ""))).to_series()
    worth = frame.select(made.fill_null(False)).to_series()
    if not worth.all():
        worth |= identifier_kind(frame["id"]).is_not_null()
    table = pl.DataFrame({"place": range(len(ids)), "message": shaped}).filter(worth)
    block = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    query = "SELECT place, sha256($2 || unhex(sha256($1 || encode($3 || chr(31) || message)))) AS hashed FROM messages"
    with connect(threads=1) as connection:
        connection.register("messages", table)
        hashed = connection.sql(query, params=[inner, outer, scope]).pl()
    hashed = hashed.with_columns(pl.col("hashed").str.head(ID_LETTERS), pl.col("place").cast(pl.Int64))
    every = pl.DataFrame({"place": range(len(ids))}).join(hashed, on="place", how="left", maintain_order="left")
    return every["hashed"]


def linkage(submission_id: str, agreed: Consenting, out: Mapping[str, pl.Series], key: bytes) -> pl.DataFrame:
    """The table LINKAGE of one hand-in: the accepted rows of each record that has an identity."""
    frames = [LINKAGE.empty()]
    for name, part in agreed.rows.items():
        beside, identity = agreed.beside[name], part.record.identity
        if identity is None or identity not in beside.columns:
            continue
        frames.append(
            pl.DataFrame({"row_number": part.frame[ROW], "out": out[name]})
            .with_columns(
                pl.lit(submission_id).alias("submission_id"),
                pl.lit(name).alias("record"),
                linkage_ids(beside[identity], key, submission_id[:3]).alias("linkage_id"),
            )
            .filter(~pl.col("out") & pl.col("linkage_id").is_not_null())
            .select(pl.col(column).cast(kind) for column, kind in LINKAGE.schema.items())
        )
    return pl.concat(frames)


def handed_in_twice(links: pl.DataFrame) -> pl.DataFrame:
    """Rows that two hand-ins have in common: submission_id, also_in, record, n. links: rows of the table LINKAGE."""
    once = links.select("submission_id", "record", "linkage_id").unique()
    both = once.join(once, on=["record", "linkage_id"], suffix="_other").filter(
        pl.col("submission_id") != pl.col("submission_id_other")
    )
    counted = both.group_by("submission_id", pl.col("submission_id_other").alias("also_in"), "record").len("n")
    return counted.select(pl.col(name).cast(kind) for name, kind in NO_LINKS.items()).sort(
        "submission_id", "also_in", "record"
    )
