"""Coded passages of a REFI-QDA project (.qdpx, .qde): one row for each passage and code, as Taguette has them.

The table `highlights` has the columns id (of the passage), document and tag; a passage with two codes stands on two
rows with one id. A tag is the path of the code with backslashes. The texts themselves, names of users, notes, cases and
variables are not read: they name people. The title of a document is read because the list of participants names it; the
gate puts a number in its place. Source: QDA-XML 1.0, Project.xsd (REFI, 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.archive import unpack
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable, table_from_columns

NAMESPACE = "{urn:QDA-XML:project:1.0}"
SOURCES = ("TextSource", "PictureSource", "PDFSource", "AudioSource", "VideoSource")
SELECTIONS = (
    "PlainTextSelection",
    "PictureSelection",
    "PDFSelection",
    "AudioSelection",
    "VideoSelection",
    "TranscriptSelection",
)
"""Passages of a source; each holds its codings. A coding outside of them is of the whole source."""
INNER = ("TextDescription", "Representation", "Transcript")
"""Texts that stand for a picture, a page or a sound, with passages of their own."""
COLUMNS = ("id", "document", "tag")
MAXIMUM_DEPTH = 50
AGAIN = "export the project again as REFI-QDA (.qdpx)"


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The table `highlights`. Raises ReaderError."""
    project = _project(content, file.path)
    codes = dict(_codes(project, file.path))
    rows: list[tuple[str, str, str]] = []
    for source in project.iterfind(f"{NAMESPACE}Sources/*"):
        if source.tag.removeprefix(NAMESPACE) in SOURCES:
            document = source.get("name") or _identifier(source, file.path)
            rows += ((passage, document, codes[code]) for passage, code in _codings(source, None, codes, file.path, 0))
    if not rows:
        raise ReaderError(
            file.path, "no passage of a text is coded in this project", "code the texts first, then export the project"
        )
    columns = [[header, *cells] for header, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)]
    return {"highlights": table_from_columns(columns, "highlights", file.path)}


def _project(content: bytes, file: str) -> Element:
    """The project file, without entities and definitions of any kind."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if content.startswith(b"PK"):
        parts = list(unpack(content, file, suffixes=(".qde",)).values())
        if len(parts) != 1:
            raise ReaderError(file, "the zip does not hold one project file (project.qde)", AGAIN)
        content = parts[0]
    try:
        project: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise ReaderError(file, "the project file is damaged, or holds what no program writes", AGAIN) from None
    if project.tag != f"{NAMESPACE}Project":
        raise ReaderError(file, "this is not a project of REFI-QDA 1.0", AGAIN)
    return project


def _codes(project: Element, file: str) -> Iterator[tuple[str, str]]:
    """The path of every code by its id, parent and child divided by a backslash."""
    waiting = [("", code, 0) for code in project.iterfind(f"{NAMESPACE}CodeBook/{NAMESPACE}Codes/{NAMESPACE}Code")]
    while waiting:
        above, code, depth = waiting.pop()
        name = (code.get("name") or "").strip()
        if not name or depth > MAXIMUM_DEPTH:
            raise ReaderError(file, "a code of the project has no name, or stands too deep", AGAIN)
        path = f"{above}\\{name}" if above else name
        yield _identifier(code, file), path
        waiting += ((path, child, depth + 1) for child in code.iterfind(f"{NAMESPACE}Code"))


def _codings(
    part: Element, passage: str | None, codes: dict[str, str], file: str, depth: int
) -> Iterator[tuple[str, str]]:
    """Passage and code of every coding in a source, or in a text that stands for it."""
    if depth > MAXIMUM_DEPTH:
        raise ReaderError(file, "the texts of the project are nested too deep", AGAIN)
    for child in part:
        name = child.tag.removeprefix(NAMESPACE)
        if name == "Coding":
            reference = child.find(f"{NAMESPACE}CodeRef")
            code = (reference.get("targetGUID") or "").lower() if reference is not None else ""
            if code not in codes:
                raise ReaderError(file, "a passage has a code that is not in the code book", AGAIN)
            yield passage or _identifier(child, file), code
        elif name in SELECTIONS:
            yield from _codings(child, _identifier(child, file), codes, file, depth + 1)
        elif name in INNER:
            yield from _codings(child, None, codes, file, depth + 1)


def _identifier(element: Element, file: str) -> str:
    """The id of a code, a source, a passage or a coding; letters of either size are the same id."""
    identifier = (element.get("guid") or "").lower()
    if not identifier:
        raise ReaderError(file, "a code, a text or a passage of the project has no id (guid)", AGAIN)
    return identifier
