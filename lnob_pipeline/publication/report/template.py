"""A page from its template: one style for all, no script, no address outside the page.

Here: how a page is made. Not here: what it says (page.py, gap_matrix.py).
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_FOLDER = Path(__file__).parent
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: Path, **content: Any) -> str:
    """The page of a template of this folder; the style is put in, with its hash for the content policy."""
    style = (_FOLDER / "style.css").read_text("utf-8").strip()
    page = _ENVIRONMENT.get_template(template.name).render(
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        **content,
    )
    return re.sub(r"\n\s*\n+", "\n", page)
