"""The report of a release: what each page shows. Numbers are taken as published."""

from pathlib import Path

from lnob_pipeline import storage
from lnob_pipeline.publication.content import ReleaseContent
from lnob_pipeline.publication.report import gap_matrix, page


def write(folder: Path, content: ReleaseContent) -> None:
    """The pages."""
    parts = (content.tables, content.mappings, content.settings, content.facts)
    storage.write_bytes(folder / "index.html", page.render(*parts).encode())
    storage.write_bytes(folder / "gaps.html", gap_matrix.render(*parts).encode())
