"""The report of a release: index.html at its root, and report/<language>/ with an overview and a page a country.

Here: which pages there are. Not here: what they show (page.py, country.py, gap_matrix.py, community.py). Numbers are
taken as published and worked out once; each language only says them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from lnob_pipeline import storage
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import community, country, gap_matrix, page, words
from lnob_pipeline.publication.report.labels import Labels
from lnob_pipeline.publication.report.speech import ENGLISH, Speech, languages
from lnob_pipeline.publication.report.template import rendered


def write(folder: Path, content: ReleaseContent) -> None:
    """Write the pages of every language, and the first page, which names the files that are there already."""
    speeches = [Speech(language) for language in languages()]
    for language, name, text in pages(content, speeches):
        place = folder / "report" / language / name
        place.parent.mkdir(parents=True, exist_ok=True)
        storage.write_bytes(place, text.encode())
    community.write(folder, content)
    storage.write_bytes(folder / "index.html", first_page(folder, content, speeches).encode())


def pages(content: ReleaseContent, speeches: Sequence[Speech]) -> Iterator[tuple[str, str, str]]:
    """Language, file name and text of every page of the report."""
    labels = Labels(content.mappings)
    overview, countries = page.numbers(content, labels), country.numbers(content, labels)
    framework = gap_matrix.numbers(content, labels)
    sheets = community.pages(content)
    for speech in speeches:
        yield speech.language, "index.html", page.render(overview, content, labels, speech)
        for iso3, numbers in countries.items():
            links = [_link(sheet, content, speech) for sheet in sheets if sheet.iso3 == iso3]
            yield speech.language, f"{iso3}.html", country.render(numbers, content, labels, speech, links)
        yield speech.language, "gaps.html", gap_matrix.render(framework, content, labels, speech)


def _link(sheet: community.Sheet, content: ReleaseContent, speech: Speech) -> Markup:
    """A link to a sheet in the language of the page, or in English where the sheet is not written in it."""
    here = speech.language in community.languages_of(sheet.iso3, content.mappings)
    address = sheet.name if here else f"../{ENGLISH}/{sheet.name}"
    label = community.group_label(sheet.group, content.mappings, speech)
    return Markup('<a href="{}"{}>{}</a>').format(address, "" if here else Markup(' hreflang="en"'), label)


def first_page(folder: Path, content: ReleaseContent, speeches: Sequence[Speech]) -> str:
    """The page at the root of a release: the languages, and what lies where. Files written later are not named."""
    here = [(place, text) for place, text in words.PLACE.items() if place == "SHA256SUMS" or (folder / place).exists()]
    return rendered(
        "release.html.jinja", Speech(), "index.html", content.facts, root="", speeches=speeches, places=here
    )
