"""Receive a hand-in: read its manifest, seal its files as bytes, write the ledger. Nothing opens the files further.

Here belong finding hand-ins in the inbox, the checks that need the folder (names, links, sizes), sealing, and writing
the ledger. Reading the ledger is in ledger.py. The rules:

- The version of a hand-in is a hash of its content, so the same content is received once. Other content is a new
  version: a new row `received`, and the row before becomes `superseded`. No row is ever removed.
- A manifest that cannot be used is a row `unreadable` with its reasons. It supersedes nothing: a slip in a correction
  does not take the version before it out of the tables.
- A manifest that says `withdrawn: true` is a row `withdrawn`. It needs no files and no other valid field. An empty or
  absent folder is not a withdrawal. The ledger then lets go of the manifests of the versions before; the raw files go
  by retention.py.
- Files that retention deleted are not sealed again as long as the same content lies there.
- Files are sealed first and the ledger is written last: a run that is cut off in between has received nothing, and the
  next run completes it.

The inbox counts as sealed: it holds the partner's originals, identifiers included, and needs the same protection (mode
0700, retention) as the sealed folder. Here it is read and nothing in it is changed.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import polars as pl

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import (
    private_folder,
    read_table,
    sha256_bytes,
    sha256_file,
    written_whole,
)
from lnob_pipeline.submissions.ledger import closed_on, keep, ledger_lock, mend, standing, without_paths
from lnob_pipeline.submissions.manifest import (
    MANIFEST_NAMES,
    MAXIMUM_MANIFEST_BYTES,
    SUBMISSION_PATTERN,
    DataFile,
    Manifest,
    ManifestError,
    parse_manifest,
)
from lnob_pipeline.submissions.states import SUPERSEDES
from lnob_pipeline.tables import SEALED_FILES, SUBMISSIONS

CHUNK = 1 << 20
NOT_LISTED = {".ds_store", "thumbs.db", "desktop.ini", "connection.yaml"}
"""Files that operating systems leave in folders; they are not part of a hand-in."""


@dataclass(frozen=True)
class Received:
    """What became of one folder. `changed`: the ledger was written. `problems` are sentences for the partner.

    state: received, withdrawn or unreadable; superseded never, as this is the newest version. A received hand-in has a
    problem too where its folder holds files that the manifest does not list. Where nothing could be entered (the name
    of the folder is no identifier, it holds no manifest, a file is still being copied) the state is that of the ledger,
    or else unreadable, with changed False; the submission_id is empty where the name is no identifier.
    """

    submission_id: str
    version: str
    state: str
    changed: bool
    problems: list[str]


@dataclass(frozen=True)
class _Content:
    """A folder as it was found: what the ledger will say, and the files by their place in the manifest."""

    version: str
    state: str
    manifest: Manifest | None
    files: list[tuple[DataFile, str, int]]
    problems: list[str]


class _Unusable(Exception):  # noqa: N818 - a finding about a file, not a fault of the program
    """A file of the hand-in cannot be taken; the text says why without naming it."""


def scan(settings: Settings) -> list[Path]:
    """The folders of the inbox that hold a hand-in, <iso3>/<submission>/ with a manifest, in sorted order."""
    return [folder for folder in _folders(settings) if _is_placed(folder)]


def misplaced(settings: Settings) -> list[str]:
    """One sentence for each country folder with hand-ins that scan() leaves out, as their names are no identifiers.

    The names are not repeated: they were not made by us and could name a person.
    """
    strays = [folder.parent.name for folder in _folders(settings) if not _is_placed(folder)]
    return [
        f"inbox folder {country if re.fullmatch('[a-z]{3}', country) else '(not a country)'}: {strays.count(country)} "
        "with a manifest but not named <iso3>-<year>-<slug> after the country's folder; rename to receive"
        for country in sorted(set(strays))
    ]


def _folders(settings: Settings) -> Iterator[Path]:
    for folder in sorted(settings.inbox.glob("*/*/")):
        if any(os.path.lexists(folder / name) for name in MANIFEST_NAMES):
            yield folder


def _is_placed(folder: Path) -> bool:
    return bool(re.fullmatch(SUBMISSION_PATTERN, folder.name)) and folder.parent.name == folder.name[:3]


def file_stamps(folder: Path) -> list[str]:
    """For each file below a folder a hash of its name, size and times of change, sorted; no file is read.

    Equal stamps mean that nothing needs to be read again. The time of the last change of the entry (ctime) is part of
    it, since a copy can keep the time of the content.
    """
    return sorted(_stamps(str(folder), ""))


def inbox_fingerprint(folder: Path) -> str:
    """One hash over the stamps of a folder: where it differs, content_version() tells whether the content does too."""
    return sha256_bytes("\n".join(file_stamps(folder)).encode())


def content_version(settings: Settings, folder: Path, digests: MutableMapping[str, str] | None = None) -> str:
    """The version that receive() would give to a folder now; writes nothing.

    digests: stamp -> sha256 of files that were read before, empty for those that were not. What has one is not read
    again; what is read is added.
    """
    return _look(settings, _absolute(folder), digests).version


def _stamps(folder: str, above: str) -> list[str]:
    stamps: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # taken away since it was listed: so is its stamp
                if entry.is_dir(follow_symlinks=False):
                    stamps += _stamps(entry.path, f"{above}{entry.name}/")
                else:
                    stamps.append(_stamp(above + entry.name, entry.stat(follow_symlinks=False)))
    return stamps


def _stamp(path: str, status: os.stat_result) -> str:
    times = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return sha256_bytes(os.fsencode(path) + b"\0" + times.encode())[:20]


def public_name(path: str, role: str, identifies: Callable[[str], bool]) -> str:
    """The name of a file for feedback and errors: its own, or its role where the name could identify a person.

    `identifies` is the scanner for identifiers (validation.privacy.looks_identifying); it sees the name as written and
    with its joints opened, since people write calls_0700-000-123.xlsx. A scanner by patterns does not know a bare name.
    """
    name = PurePosixPath(path).name
    stem, ending = PurePosixPath(path).stem, PurePosixPath(path).suffix.lower()
    known = ending if re.fullmatch(r"\.[a-z]{1,5}\d?", ending) else ""
    if any(identifies(text) for text in (path, name, stem, re.sub(r"[\W_]+", " ", stem))):
        return f"{role} file" + (f" ({known})" if known else "")
    return name


def receive(
    settings: Settings,
    folder: Path,
    received_at: str,
    clean: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> Received:
    """Take in one folder of the inbox; see the rules above. `received_at`: ISO 8601, UTC.

    `clean` takes out of the manifest what looks like an identifier, before the ledger keeps it; the scanner belongs to
    validation, so the caller hands it in. The version is that of the manifest as handed in.

    Never raises for what a partner did. Raises OSError where our own disk cannot be written, or where it has damaged
    both files of a table of the ledger.
    """
    folder = _absolute(folder)
    if not re.fullmatch(SUBMISSION_PATTERN, folder.name):
        problem = "the name of the folder is not an identifier: country, year, short name, as ken-2019-household-survey"
        return Received("", "", "unreadable", False, [problem])
    submission = folder.name
    if not any(os.path.lexists(folder / name) for name in MANIFEST_NAMES):
        return _without_manifest(settings, submission)
    with ledger_lock(settings):
        mend(settings, submission)
    content = _look(settings, folder)
    if content.manifest is not None:
        content = replace(content, manifest=clean(content.manifest))
    closed = closed_on(settings, submission, content.version) is not None
    files = content.files if content.state == "received" and not closed else []
    try:
        _seal_all(settings, folder, files)
        with ledger_lock(settings):
            changed = _enter(settings, submission, content, received_at)
            # Another submission with the same bytes may have been withdrawn since they were sealed.
            wanted = content.files if changed else files
            _seal_all(settings, folder, [item for item in wanted if not (settings.sealed / item[1]).exists()])
    except _Unusable as error:  # it changed since it was hashed: still being copied; the next run finds it at rest
        return Received(submission, content.version, "unreadable", False, [str(error)])
    return Received(submission, content.version, content.state, changed, content.problems)


def _absolute(folder: Path) -> Path:
    """The folder by its full name, links unresolved: `lnob check .` needs the name too."""
    return Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow a link


def _without_manifest(settings: Settings, submission: str) -> Received:
    known = standing(read_table(settings.lake, SUBMISSIONS, submission)).select("version", "state").rows()
    if not known:
        return Received(submission, "", "unreadable", False, ["there is no manifest; start from `lnob new`"])
    problem = "the folder holds no manifest any more; to withdraw a submission, hand in a manifest with withdrawn: true"
    version, state = known[-1]
    return Received(submission, version, state, False, [problem])


def _look(settings: Settings, folder: Path, digests: MutableMapping[str, str] | None = None) -> _Content:
    """Read the manifest and hash the files."""
    written = b""
    try:
        name, written = _manifest(folder)
        manifest = parse_manifest(written, name)
        if manifest.submission != folder.name:
            raise ManifestError(name, ["submission: is not the name of the folder; make the two agree"])
        files = [] if manifest.withdrawn else _hashed(settings, folder, name, manifest, digests)
    except ManifestError as error:
        if error.withdraws == folder.name:
            return _Content(_version(written, []), "withdrawn", None, [], [])
        return _unreadable(written, [f"{error.file}: {problem}" for problem in error.problems])
    if manifest.withdrawn:
        return _Content(_version(written, []), "withdrawn", manifest, [], [])
    return _Content(_version(written, files), "received", manifest, files, _not_listed(folder, manifest))


def _manifest(folder: Path) -> tuple[str, bytes]:
    """Name and bytes of the manifest. Raises ManifestError."""
    names = [name for name in MANIFEST_NAMES if os.path.lexists(folder / name)]
    if len(names) != 1:
        raise ManifestError(" and ".join(MANIFEST_NAMES), ["the folder holds both; keep one manifest"])
    if folder.is_symlink():
        raise ManifestError(names[0], ["its folder is a link; put the folder itself into the inbox"])
    try:
        with _opened(folder, names[0], MAXIMUM_MANIFEST_BYTES) as stream:
            return names[0], stream.read()
    except _Unusable as error:
        raise ManifestError(names[0], [str(error)]) from None


def _hashed(
    settings: Settings, folder: Path, name: str, manifest: Manifest, known: MutableMapping[str, str] | None
) -> list[tuple[DataFile, str, int]]:
    """Each file with its sha256 and its size in bytes. Raises ManifestError with every file that cannot be taken."""
    digests: MutableMapping[str, str] = {} if known is None else known
    files: list[tuple[DataFile, str, int]] = []
    problems: list[str] = []
    for number, file in enumerate(manifest.files, start=1):
        try:
            with _opened(folder, file.path, settings.maximum_file_bytes) as stream:
                status = os.fstat(stream.fileno())
                stamp = _stamp(file.path, status)
                if not digests.get(stamp):
                    digests[stamp] = hashlib.file_digest(stream, "sha256").hexdigest()
                files.append((file, digests[stamp], status.st_size))
        except _Unusable as error:
            problems.append(f"file {number} of the manifest ({file.role}) {error}")
    if problems:
        raise ManifestError(name, problems)
    return files


def _unreadable(written: bytes, problems: list[str]) -> _Content:
    """The same manifest with the same problems is the same version, and never that of a usable hand-in."""
    version = sha256_bytes("\n".join(["unreadable", sha256_bytes(written), *problems]).encode())
    return _Content(version, "unreadable", None, [], problems)


def _version(written: bytes, files: list[tuple[DataFile, str, int]]) -> str:
    """The sha256 of a text: the sha256 of the manifest, then a sorted line with sha256 and path for each file."""
    lines = sorted(f"{digest} {file.path}" for file, digest, _ in files)
    return sha256_bytes("\n".join([sha256_bytes(written), *lines]).encode())


def _not_listed(folder: Path, manifest: Manifest) -> list[str]:
    listed = {unicodedata.normalize("NFC", file.path) for file in manifest.files} | set(MANIFEST_NAMES)
    left = [
        path
        for path in _below(folder)
        if unicodedata.normalize("NFC", path.relative_to(folder).as_posix()) not in listed
        and path.name.lower() not in NOT_LISTED
        and not path.name.startswith("~$")
    ]
    return [f"files in the folder that the manifest does not list: {len(left)}; they were not taken in"] if left else []


def _below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links are listed and not followed."""
    return sorted(
        Path(parent, name)
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(name for name in folders if Path(parent, name).is_symlink())]
    )


@contextmanager
def _opened(folder: Path, path: str, maximum: int) -> Iterator[io.BufferedReader]:
    """Open a regular file below the folder, following no link. Raises _Unusable."""
    place = folder
    try:
        for part in PurePosixPath(path).parts:
            place = _named(place, part)
            if place.is_symlink():
                raise _Unusable("is a link; put the file itself into the folder")
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _Unusable("is not in the folder; add it, or correct its name in the manifest") from None
    except (OSError, ValueError):
        raise _Unusable("cannot be opened; look at its name and at who may read it") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Unusable("is not a file")
        if status.st_size > maximum:
            raise _Unusable(f"is larger than the limit of {maximum:,} bytes; split it, or ask the secretariat")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            yield stream
    finally:
        os.close(descriptor)


def _named(folder: Path, name: str) -> Path:
    """The entry of that name, also where a system composes its letters in another way (Unicode NFC, NFD)."""
    if os.path.lexists(folder / name):
        return folder / name
    wanted = unicodedata.normalize("NFC", name)
    return next(
        (entry for entry in folder.iterdir() if unicodedata.normalize("NFC", entry.name) == wanted), folder / name
    )


def _seal_all(settings: Settings, folder: Path, files: list[tuple[DataFile, str, int]]) -> None:
    for file, digest, _ in files:
        _seal(settings, folder, file, digest)


def _seal(settings: Settings, folder: Path, file: DataFile, digest: str) -> None:
    """Keep the bytes of a file as <sealed>/<sha256>, mode 0600, once. Raises _Unusable if they are no longer those."""
    target = private_folder(settings.sealed) / digest
    if target.exists() and sha256_file(target) == digest:
        return
    with _opened(folder, file.path, settings.maximum_file_bytes) as source, written_whole(target) as temporary:
        found = hashlib.sha256()
        with temporary.open("wb") as copy:
            while chunk := source.read(CHUNK):
                found.update(chunk)
                copy.write(chunk)
        if found.hexdigest() != digest:
            raise _Unusable(f"a file ({file.role}) changed while it was read; run again when it is copied in full")
        temporary.chmod(0o600)


def _enter(settings: Settings, submission: str, content: _Content, received_at: str) -> bool:
    """Write the tables of a submission; return whether there was anything to write. The ledger is written last."""
    ledger = read_table(settings.lake, SUBMISSIONS, submission)
    replaced = pl.col("state").is_in(list(SUPERSEDES[content.state]))
    if ledger.filter(replaced)["version"].to_list() == [content.version]:
        return False
    note = pl.lit(f"superseded by version {content.version[:12]} ({content.state}) of {received_at}")
    earlier = ledger.filter(  # the same version at the same time is one row, whatever came between
        (pl.col("received_at") != received_at) | (pl.col("version") != content.version)
    ).with_columns(
        state=pl.when(replaced).then(pl.lit("superseded")).otherwise("state"),
        reason=pl.when(replaced)
        .then(pl.concat_str(note, pl.col("reason").replace("", None), separator=" | ", ignore_nulls=True))
        .otherwise("reason"),
    )
    rows = pl.concat([earlier, _ledger_row(submission, content, received_at)])
    if content.state == "withdrawn":
        rows = rows.with_columns(manifest=pl.lit(None, dtype=pl.String))
    _enter_files(settings, submission, content, rows["version"].to_list())
    keep(settings, rows, SUBMISSIONS, submission)
    return True


def _ledger_row(submission: str, content: _Content, received_at: str) -> pl.DataFrame:
    manifest = content.manifest
    reason = "withdrawn by the manifest" if content.state == "withdrawn" else " | ".join(content.problems)
    row = {
        "submission_id": submission,
        "version": content.version,
        "iso3": submission[:3].upper(),
        "data_type": manifest.data_type if manifest else None,
        "instrument": manifest.instrument if manifest else None,
        "state": content.state,
        "reason": "" if content.state == "received" else reason,
        "received_at": received_at,
        "manifest": without_paths(manifest).model_dump_json() if manifest else None,
    }
    return pl.DataFrame([row], schema=SUBMISSIONS.schema)


def _enter_files(settings: Settings, submission: str, content: _Content, versions: list[str]) -> None:
    """Add the rows of this version to sealed_files; rows of versions the ledger does not know fall away."""
    rows = [
        {
            "submission_id": submission,
            "version": content.version,
            "path": file.path,
            "role": file.role,
            "format": file.format,
            "sha256": digest,
            "bytes": size,
        }
        for file, digest, size in content.files
    ]
    earlier = read_table(settings.lake, SEALED_FILES, submission).filter(
        pl.col("version").is_in(versions) & (pl.col("version") != content.version)
    )
    table = pl.concat([earlier, pl.DataFrame(rows, schema=SEALED_FILES.schema)])
    keep(settings, table, SEALED_FILES, submission)
