"""A language: its catalogue, what its translations are worth, and how a message of the feedback is said in it.

Here belongs reading a catalogue and saying a message. Which messages there are is in extract.py; how the report speaks
is in publication/report/speech.py. A draft translation is
used for feedback, which says so; it is never used for the texts of consent and for the questions of the Washington
Group, where a word changes what people agree to and who counts as disabled: there the English stands until a person has
reviewed the translation.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from lnob_pipeline.messages.message import Message

FOLDER = Path(__file__).parent
LANGUAGES = {
    "bn": "বাংলা",
    "ha": "Hausa",
    "hi": "हिन्दी",
    "ne": "नेपाली",
    "ny": "Chichewa",
    "sw": "Kiswahili",
    "vi": "Tiếng Việt",
}
"""The languages of the feedback beside English, each with its own name."""
Status = Literal["official", "reviewed", "draft"]
STATUSES: dict[str, Status] = {"official": "official", "reviewed": "reviewed", "draft": "draft"}
PROTECTED = ("consent", "washington_group")
"""Contexts of messages that are not said in a draft translation."""
KIND = "kind"
"""Context of the kinds of identifiers, and name of the detail that holds one."""
UNIT = "unit"
"""The same for units of measurement."""
STATUS = re.compile(r"^Status: (\w+)$", re.MULTILINE)


@dataclass
class Domain:
    """Catalogues that belong together. purpose: what their heads say they are for.

    fixed: languages with their own names; None: every catalogue that lies in the folder is one, so that a language is
    added by adding its file.
    """

    folder: Path
    template: str
    purpose: str
    fixed: Mapping[str, str] | None = None

    @property
    def languages(self) -> Mapping[str, str]:
        """Code -> the language's own name, sorted by code."""
        if self.fixed is not None:
            return self.fixed
        codes = sorted(path.stem for path in self.folder.glob("*.po"))
        return {code: Locale.parse(code).get_display_name() or code for code in codes}


FEEDBACK = Domain(FOLDER, "messages.pot", "the feedback to partners", LANGUAGES)
REPORT = Domain(FOLDER.parent / "publication" / "report" / "messages", "report.pot", "the report of a release")


class CatalogueError(ValueError):
    """A catalogue cannot be used; says which file and how to mend it."""


@dataclass(frozen=True)
class Catalogue:
    """One language. texts: (context or None, English) -> translation; what is absent is said in English."""

    language: str = "en"
    status: Status = "official"
    texts: Mapping[tuple[str | None, str], str] = field(default_factory=dict)

    def text(self, template: str, context: str | None = None) -> str:
        """The template in this language, unfilled."""
        if context in PROTECTED and self.status == "draft":
            return template
        return self.texts.get((context, template), template)

    def say(self, template: str, details: Mapping[str, object] | None = None) -> str:
        """The template in this language, filled. Messages within the details are said in this language too."""
        filled = {name: self._detail(name, value) for name, value in (details or {}).items()}
        return self.text(template).format_map(filled)

    def _detail(self, name: str, value: object) -> object:
        if isinstance(value, Message):
            return self.say(value.template, value.details)
        return self.text(value, name) if name in (KIND, UNIT) and isinstance(value, str) else value


ENGLISH = Catalogue()


def path_of(language: str, domain: Domain = FEEDBACK) -> Path:
    """The file of a language."""
    return domain.folder / f"{language}.po"


@functools.cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of the feedback in a language (ISO 639-1); English where there is none. Raises CatalogueError."""
    if language not in LANGUAGES or not path_of(language).exists():
        return ENGLISH
    read = read_catalogue(language)
    texts = {
        (entry.context, str(entry.id)): str(entry.string)
        for entry in read
        if entry.id and entry.string and not entry.fuzzy
    }
    return Catalogue(language, status_of(read, language), texts)


def read_catalogue(language: str, domain: Domain = FEEDBACK) -> Catalog:
    """The file of a language as Babel reads it, without its translations checked. Raises CatalogueError."""
    path = path_of(language, domain)
    try:
        with path.open("rb") as stream:
            return read_po(stream, locale=language, abort_invalid=True)
    except (OSError, ValueError, PoFileError) as error:
        raise CatalogueError(f"{path.name} does not open ({type(error).__name__}); look at it in a PO editor") from None


def status_of(read: Catalog, language: str) -> Status:
    """What the head of a catalogue says of its translations. Raises CatalogueError."""
    found = STATUS.search(re.sub(r"^# ?", "", read.header_comment or "", flags=re.MULTILINE))
    if found is None or found[1] not in STATUSES:
        says = f"its head says `# Status: ` and one of {', '.join(STATUSES)}"
        raise CatalogueError(f"{language}.po does not say what its translations are worth: {says}")
    return STATUSES[found[1]]
