"""The guide for producers as a page to print: one HTML file without anything from elsewhere.

Here belongs the page. The text is docs/producers_guide.md; its texts that people are asked (between the marks
<!-- messages: CONTEXT --> and <!-- end -->) are said in another language where its catalogue is reviewed or official.
"""

from __future__ import annotations

import html
import re

from markdown_it import MarkdownIt

from lnob_pipeline.messages.catalogue import PROTECTED, Catalogue
from lnob_pipeline.messages.extract import MARKED

STYLE = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.45 "Noto Sans", "Noto Sans Bengali", "Noto Sans Devanagari", sans-serif; max-width: 178mm;
  margin: 0 auto; color: #1a1a1a; }
h1 { font-size: 20pt; } h2 { font-size: 14pt; margin-top: 8mm; border-bottom: 1px solid #1f4e79; }
h3 { font-size: 12pt; } h2, h3 { break-after: avoid; } h2:nth-of-type(4) { break-before: page; }
table { border-collapse: collapse; width: 100%; margin: 3mm 0 5mm; break-inside: avoid; }
th, td { border: 1px solid #bfbfbf; padding: 1.2mm 2mm; text-align: left; vertical-align: top; }
th { background: #e8eef4; } code { font-size: 9.5pt; overflow-wrap: anywhere; }
.asked { border: 1.5px solid #1f4e79; padding: 2mm 5mm; break-inside: avoid; font-size: 11.5pt; }
"""


def printable(text: str, speak: Catalogue) -> str:
    """The page. A text that people are asked stands in English unless its translation was reviewed."""
    title = next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), "Guide")
    parts, last = [], 0
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    for marked in MARKED.finditer(text):
        parts.append(renderer.render(text[last : marked.start()]))
        asked = renderer.render(_said(marked[2], marked[1], speak))
        parts.append(f'<div class="asked" lang="{_language(marked[1], speak)}">\n{asked}</div>\n')
        last = marked.end()
    body = "".join([*parts, renderer.render(text[last:])])
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}</body></html>\n'


def _language(context: str, speak: Catalogue) -> str:
    return "en" if context in PROTECTED and speak.status == "draft" else speak.language


def _said(text: str, context: str, speak: Catalogue) -> str:
    """The paragraphs in the language of the catalogue."""
    lines = [speak.text(line.strip(), context) for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
