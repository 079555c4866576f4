"""Pull the submissions of a form from KoboToolbox or ODK Central into a folder of the inbox, and mark them there.

Here belong the connection (connection.yaml beside the manifest), the proof that a pull is complete, and the file that
it leaves for the sensor: the ordinary way takes it from there. HTTP is in service.py, each service in its module. What
is in quarantine is the caller's to say. The rules:

- The list of all submissions (id, version, state of review) is read before and after the submissions, and all three
  must agree; else all is read again, and after some attempts nothing is replaced. So no submission is lost where others
  come or go meanwhile, which shifts pages.
- What the file has in the same version and state is not asked for again. What the service no longer lists leaves the
  file. A service that lists nothing any more is an error: more likely a right was lost than all submissions.
- The file is written whole or not at all, for its owner alone (mode 0600). Where nothing changed, it is left alone.
- What was withdrawn, and what is past the last day of its agreement, is not pulled again.
- The token is in the environment, under a name that the connection says; it is sent to hosts that the operator named
  (`pull_hosts`): a connection.yaml that someone else wrote cannot send it elsewhere.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from lnob_pipeline.settings import Settings
from lnob_pipeline.storage import written_whole
from lnob_pipeline.submissions.connectors.kobo import Kobo
from lnob_pipeline.submissions.connectors.odk_central import OdkCentral
from lnob_pipeline.submissions.connectors.service import (
    Api,
    Inconsistent,
    Json,
    PullError,
    Service,
    State,
    is_loopback,
)
from lnob_pipeline.submissions.manifest import (
    MANIFEST_NAMES,
    MAXIMUM_MANIFEST_BYTES,
    DataFile,
    Manifest,
    Part,
    parse_manifest,
)
from lnob_pipeline.submissions.readers import ReaderError, read_file

__all__ = ["Connection", "PullError", "Pulled", "hold", "pull", "read_connection"]

CONNECTION = "connection.yaml"
MAXIMUM_CONNECTION_BYTES = 10_000
MAXIMUM_FORM_BYTES = 20_000_000

Answer = TypeVar("Answer")


class Connection(Part):
    """Where the submissions of a folder come from; connection.yaml. No secret stands in it."""

    service: Literal["kobo", "odk_central"]
    url: str
    """The address of the server, as https://eu.kobotoolbox.org."""
    token: Annotated[str, Field(pattern=r"^LNOB_TOKEN_[A-Z0-9_]{1,60}$")]
    """The environment variable with the token (Kobo), or with e-mail:password or a session's token (ODK Central)."""
    asset: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,40}$")] | None = None
    """Kobo: the id of the form, as in the address of its page."""
    project: Annotated[int, Field(ge=1)] | None = None
    """ODK Central: the number of the project."""
    form: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """ODK Central: the id of the form."""
    pull_form: bool = False
    """Keep the questionnaire up to date as well; the manifest lists it with role form and format xlsform."""
    write_back: bool = False
    """Allow to mark submissions in quarantine at the service; done with --write-back alone."""

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise ValueError("starts with https://")
        if not host or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("is the address of the server alone: no user, no ? and no #")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _names_the_form(self) -> Connection:
        named = {name for name in ("asset", "project", "form") if getattr(self, name) is not None}
        if named != ({"asset"} if self.service == "kobo" else {"project", "form"}):
            raise ValueError("kobo takes asset; odk_central takes project and form")
        return self


@dataclass(frozen=True)
class Pulled:
    """What a pull found. `changed`: a file was written. Counts are of submissions, against the file before.

    notes: what the operator should know, in sentences without any answer.
    """

    submission_id: str
    changed: bool
    total: int
    new: int
    edited: int
    reviewed: int
    deleted: int
    notes: tuple[str, ...] = ()


def read_connection(folder: Path) -> Connection:
    """The connection of a folder of the inbox. Raises PullError, which names fields and repeats nothing."""
    content = _read(folder / CONNECTION, MAXIMUM_CONNECTION_BYTES)
    if content is None:
        raise PullError(f"there is no {CONNECTION}; docs/connectors.md says what it holds")
    try:
        return Connection.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise PullError(f"{CONNECTION}{where}: is not YAML; look at its spaces, colons and quotes") from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in found
            if item["type"] != "extra_forbidden"
        ]
        if len(problems) < len(found):
            problems.append("it has fields that it does not take (a token stands in the environment, never here)")
        raise PullError(f"{CONNECTION}: {'; '.join(problems)}") from None


def pull(
    settings: Settings, folder: Path, *, full: bool = False, sleep: Callable[[float], None] = time.sleep
) -> Pulled:
    """Bring the data file of a folder up to date; `full` reads every submission again. Raises PullError."""
    connection, manifest = read_connection(folder), _manifest(folder)
    if manifest.withdrawn or manifest.agreement.retention_until < datetime.date.today():
        raise PullError("it was withdrawn, or the agreement's last day for raw data has passed; nothing is pulled")
    service = _open(settings, connection, sleep)
    try:
        target = folder / _listed(manifest, "data", service.format)
        before = _read(target, settings.maximum_file_bytes)
        known = _known(service, before)
        listed, found = _read_proven(settings, service, {} if full else known, sleep)
        if known and not found:
            raise PullError(
                f"the service lists no submission any more, and the file holds {len(known)}: look whether the account "
                "may still view them; to withdraw the data, hand in a manifest with withdrawn: true"
            )
        content = _file(service, found) if found else before
        if content is not None and len(content) > settings.maximum_file_bytes:
            raise PullError(f"together they are larger than {settings.maximum_file_bytes:,} bytes; ask the secretariat")
        notes = [] if found else ["the service lists no submission yet"]
        changed = connection.pull_form and _pull_form(folder, manifest, service, notes)
        if content is not None and content != before:
            _keep(target, content)
            changed = True
    finally:
        service.close()
    old = {key: service.identify(submission)[1] for key, submission in known.items()}
    both = listed.keys() & old.keys()
    return Pulled(
        manifest.submission,
        changed,
        total=len(listed),
        new=len(listed.keys() - old.keys()),
        edited=sum(listed[key].version != old[key].version for key in both),
        reviewed=sum(listed[key].review != old[key].review for key in both),
        deleted=len(old.keys() - listed.keys()),
        notes=tuple(notes),
    )


def hold(
    settings: Settings,
    folder: Path,
    content: bytes,
    comments: Mapping[str, str],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Mark submissions as having something to mend, and return how many. Raises PullError.

    content: the data file that was judged; comments: id in it -> comment. Only those are marked that the service has in
    the version that was judged, and that nobody has reviewed: what a person said stands. So a second run marks nothing.
    """
    connection = read_connection(folder)
    if not connection.write_back:
        raise PullError(f"{CONNECTION} does not allow it; write_back: true does")
    service = _open(settings, connection, sleep)
    try:
        judged = {key: service.identify(submission)[1] for key, submission in _known(service, content).items()}
        listed = _consistent(settings, service.index, sleep)
        due = {
            key: comment
            for key, comment in comments.items()
            if key in listed
            and key in judged
            and listed[key].version == judged[key].version
            and not _reviewed(listed[key])
        }
        if due:
            service.hold(due)
            after = _consistent(settings, service.index, sleep)
            if left := sum(not _reviewed(after[key]) for key in due if key in after):
                raise PullError(f"{left} of {len(due)} submissions were not marked; look at the rights of the account")
        return len(due)
    finally:
        service.close()


def _reviewed(state: State) -> bool:
    """Whether a person or this pipeline said something of a submission; `edited` is set by ODK Central itself."""
    return state.review not in (None, "edited")


def _open(settings: Settings, connection: Connection, sleep: Callable[[float], None]) -> Service:
    """The service of a connection, with its token."""
    host = urlsplit(connection.url).hostname
    if host not in {name.strip().lower() for name in settings.pull_hosts.split(",")}:
        raise PullError(f"{CONNECTION}: url is no server that tokens may be sent to; name its host in LNOB_PULL_HOSTS")
    secret = os.environ.get(connection.token, "").strip()
    if not re.fullmatch(r"[!-~]+" if connection.service == "kobo" else r"[^\x00-\x1f]+", secret):
        raise PullError(f"the environment variable {connection.token} holds no token; put it there, without spaces")
    api = Api(connection.url, settings, sleep=sleep)
    try:
        if connection.asset is not None:
            return Kobo(api, connection.asset, secret)
        return OdkCentral(api, connection.project or 0, connection.form or "", secret)
    except PullError:
        api.close()
        raise


def _manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises PullError, ManifestError."""
    for name in MANIFEST_NAMES:
        if (content := _read(folder / name, MAXIMUM_MANIFEST_BYTES)) is not None:
            return parse_manifest(content, name)
    raise PullError("the folder holds no manifest; start from `lnob new`")


def _listed(manifest: Manifest, role: str, kind: str) -> str:
    """The name of the one file of this role and format in the manifest."""
    names = [file.path for file in manifest.files if (file.role, file.format) == (role, kind)]
    if len(names) != 1 or PurePosixPath(names[0]).name != names[0]:
        raise PullError(f"the manifest lists one file with role {role} and format {kind}, in no other folder; add it")
    return names[0]


def _read(path: Path, limit: int) -> bytes | None:
    """The bytes of a file, following no link; None where there is none. Raises PullError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        raise PullError("a file of the folder is a link or cannot be opened; put the file itself there") from None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise PullError(f"a file of the folder is no plain file of at most {limit:,} bytes; take it away")
        return stream.read()


def _keep(target: Path, content: bytes) -> None:
    """Write a file whole, for its owner alone from its first byte on."""
    with written_whole(target) as temporary:
        temporary.chmod(0o600)
        temporary.write_bytes(content)


def _known(service: Service, content: bytes | None) -> dict[str, Json]:
    """The submissions of a file that a pull left, by id; none where it is another file, which is then replaced."""
    try:
        return {
            service.identify(submission)[0]: submission for submission in service.contents(json.loads(content or b""))
        }
    except (ValueError, RecursionError):
        return {}


def _file(service: Service, found: Mapping[str, Json]) -> bytes:
    """The file of submissions, one a line, those added later last: the same ones give the same bytes."""
    ordered = sorted(found.values(), key=service.place)
    try:
        return service.file(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() for row in ordered)
    except UnicodeEncodeError:
        raise PullError("a submission holds letters that are no text; mend it at the service") from None


def _read_proven(
    settings: Settings, service: Service, known: Mapping[str, Json], sleep: Callable[[float], None]
) -> tuple[dict[str, State], dict[str, Json]]:
    """The state of every submission, and the submissions; see the rules above."""
    states = {key: service.identify(submission)[1] for key, submission in known.items()}

    def read() -> tuple[dict[str, State], dict[str, Json]]:
        listed = service.index()
        if listed == states:
            return listed, dict(known)
        wanted = {key: state for key, state in listed.items() if states.get(key) != state}
        fetched = service.submissions(wanted if known else None) if wanted else {}
        found = {key: row for key, row in {**known, **fetched}.items() if key in listed}
        if {key: service.identify(row)[1] for key, row in found.items()} != listed or service.index() != listed:
            raise Inconsistent("submissions came, went or changed meanwhile")
        return listed, found

    return _consistent(settings, read, sleep)


def _consistent(settings: Settings, read: Callable[[], Answer], sleep: Callable[[float], None]) -> Answer:
    """Read until what is read adds up. Raises PullError after `pull_attempts` readings."""
    reason = "nothing was asked"
    for attempt in range(settings.pull_attempts):
        if attempt:
            sleep(min(60.0, 2.0**attempt))
        try:
            return read()
        except Inconsistent as error:
            reason = str(error)
    raise PullError(
        f"{settings.pull_attempts} readings did not add up (the last one: {reason}); nothing was changed, try again "
        "when nobody submits or reviews"
    )


def _pull_form(folder: Path, manifest: Manifest, service: Service, notes: list[str]) -> bool:
    """Keep the questionnaire as the service has it; return whether it changed, in its sheets and not in its bytes."""
    name = _listed(manifest, "form", "xlsform")
    file = DataFile(path=name, role="form", format="xlsform")
    content = service.form()
    if content is None:
        notes.append("the service has no questionnaire as a workbook; the one in the folder stays")
        return False
    try:
        tables = _sheets(content, file)
    except ReaderError:
        notes.append("the questionnaire of the service is no workbook (.xlsx); the one in the folder stays")
        return False
    with contextlib.suppress(ReaderError):
        before = _read(folder / name, MAXIMUM_FORM_BYTES)
        if before is not None and _sheets(before, file) == tables:
            return False
    _keep(folder / name, content)
    return True


def _sheets(content: bytes, file: DataFile) -> dict[str, list[Any]]:
    """The sheets of a questionnaire: headers and rows. Raises ReaderError."""
    return {name: [table.frame.columns, *table.frame.rows()] for name, table in read_file(content, file).items()}
