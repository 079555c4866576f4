"""How the report speaks: sentences from the catalogue of a language, numbers, lists and country names from CLDR.

Here: one language and its forms. Not here: what is said (sentences stand where they are used, words for codes in
words.py), and how catalogues are made (messages/extract.py). Digits are European in every language, so that a figure
reads as in the files; separators are those of the language.
"""

from __future__ import annotations

import functools
import gettext
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Literal

from babel import Locale
from babel.core import get_global
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.numbers import format_decimal
from markupsafe import Markup, escape

from lnob_pipeline.messages.catalogue import REPORT, Status, path_of, read_catalogue, status_of

ENGLISH = "en"


class Speech:
    """One language. What it gives is safe HTML (Markup): a text without a translation is marked as English."""

    def __init__(self, language: str = ENGLISH) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self.direction: Literal["ltr", "rtl"] = "rtl" if self.locale.character_order == "right-to-left" else "ltr"
        self.name = str(self.locale.get_display_name() or language)
        path = path_of(language, REPORT)
        stamp = path.stat().st_mtime_ns if path.exists() else None
        self.status, self._translations = _translations(language, path, stamp)
        self._said = functools.cache(self._look_up)
        self._whole = functools.cache(lambda text: self._said(text).replace("{{", "{").replace("}}", "}"))

    def say(self, text: str, **details: object) -> Markup:
        """A text of the catalogue, its {names} filled; details that are no Markup are escaped."""
        return self._said(text).format(**details) if details else self._whole(text)

    def plain(self, text: str, **details: object) -> str:
        """The same without any mark-up, for attributes."""
        return self._translations.gettext(text).format(**details)

    def count(self, one: str, many: str, n: int, **details: object) -> Markup:
        """A text that depends on a count, which it holds as {n}."""
        found = self._translations.ngettext(one, many, n)
        return self._marked(found, foreign=found in (one, many)).format(n=self.number(n), **details)

    def word(self, words: Mapping[str, str], code: str | None) -> Markup:
        """The word for a code; the code itself with blanks where there is none yet; a dash for no code."""
        if code is None:
            return Markup("–")
        return self.say(words[code]) if code in words else self.foreign(code.replace("_", " "))

    def foreign(self, text: str, language: str = ENGLISH) -> Markup:
        """A text that is in another language in every report: an official title, the name of a statement."""
        return self._marked(text, foreign=True, language=language)

    def number(self, value: float, digits: int = 0) -> str:
        """A number with its separators; `digits` decimals, always all of them."""
        return _number(self.language, value, digits)

    def listed(self, parts: Iterable[str], most: int | None = None) -> Markup:
        """Words joined as in a sentence; beyond `most` the rest is counted."""
        items = [escape(part) for part in parts]
        if most is not None and len(items) > most:
            items = [*items[:most], self.count("{n} more", "{n} more", len(items) - most)]
        found = format_list(items, locale=self.locale)
        if len(items) > 2:  # CLDR has no blank behind the first comma in Nepali
            found = found.replace(f"{items[0]},{items[1]}", f"{items[0]}, {items[1]}", 1)
        return Markup(found)

    def country(self, iso3: str, name: str) -> Markup:
        """The name of a country: in English that of the mappings, elsewhere that of CLDR."""
        code = next(iter(get_global("territory_aliases").get(iso3, ())), None)
        found = self.locale.territories.get(code) if code and self.language != ENGLISH else None
        return escape(found) if found else self.foreign(name)

    def _look_up(self, text: str) -> Markup:
        found = self._translations.gettext(text)
        return self._marked(found, foreign=found == text)

    def _marked(self, text: str, *, foreign: bool, language: str = ENGLISH) -> Markup:
        safe = escape(text)
        return Markup(f'<span lang="{language}">{safe}</span>') if foreign and language != self.language else safe


@functools.lru_cache(maxsize=200_000)
def _number(language: str, value: float, digits: int) -> str:
    return str(format_decimal(value, "#,##0" + "." * bool(digits) + "0" * digits, locale=language))


@functools.cache
def _translations(language: str, path: Path, stamp: int | None) -> tuple[Status, gettext.NullTranslations]:
    """What a catalogue is worth and its texts; `stamp` is the time of the file, None where there is no file."""
    if stamp is None:
        return "official", gettext.NullTranslations()
    read, compiled = read_catalogue(language, REPORT), BytesIO()
    write_mo(compiled, read)
    return status_of(read, language), gettext.GNUTranslations(BytesIO(compiled.getvalue()))


def languages() -> dict[str, str]:
    """Code -> own name of every language that the report is written in, English first."""
    return {ENGLISH: "English", **REPORT.languages}
