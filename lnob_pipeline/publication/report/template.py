"""A page from its template: one frame and one style for all, no script, no address outside the release.

Here: how a page is made. Not here: what it says (page.py, country.py, gap_matrix.py, community.py), how it is said
(speech.py). Every template extends frame.html.jinja and has these names at hand:

    say("Text with {name}", name=...)        a text of the catalogue, safe HTML
    plain("Text")                            the same for an attribute
    count("{n} value", "{n} values", n)      a text that depends on a count
    word(words, code), number(x, digits), listed(parts), foreign(text)
    at(percentage)                           its place on an axis from 0 to 100
    speech, languages, page_name (of this file), root (relative address of the release), facts (of manifest.json)
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lnob_pipeline.publication.report.speech import Speech, languages

_FOLDER = Path(__file__).parent
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(
    template: str,
    speech: Speech,
    page_name: str,
    facts: Mapping[str, Any],
    root: str = "../../",
    style_sheet: str = "style.css",
    **content: Any,
) -> str:
    """The page of a template of this folder; the style is put in, with its hash for the content policy.

    page_name: the file, the same in every language. facts: those of manifest.json. root: from the page to the release.
    """
    style, digest = _style(style_sheet)
    page = _ENVIRONMENT.get_template(template).render(
        say=speech.say,
        plain=speech.plain,
        count=speech.count,
        word=speech.word,
        number=speech.number,
        listed=speech.listed,
        foreign=speech.foreign,
        at=_at,
        speech=speech,
        languages=languages(),
        page_name=page_name,
        facts={"code_version": None, "mapping_version": None, **facts},
        root=root,
        style=style,
        style_hash=digest,
        **content,
    )
    return re.sub(r"\n\s*\n+", "\n", page)


@functools.cache
def _style(name: str) -> tuple[Markup, str]:
    style = (_FOLDER / name).read_text("utf-8").strip()
    return Markup(style), base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _at(percentage: float) -> str:
    return f"{min(max(percentage, 0.0), 100.0):.1f}%"
