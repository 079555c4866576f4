"""The workbook as an office suite prints it: no text is cut off, and every script has its letters."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from lnob_pipeline.validation.feedback import make_feedback
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import Validated

TOOLS = ("soffice", "pdftotext", "pdffonts")
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)} (LibreOffice and poppler)"
)
FONTS = {"bn": "Bengali", "ne": "Devanagari"}


@pytest.fixture(scope="module")
def faulty(judge: Callable[..., Validated]) -> Validated:
    from lnob_pipeline_tests.validation.conftest import good_households

    households = good_households()
    households[0]["water"] = "77"
    households[2]["consent"] = "2"
    households[3]["date"] = "2018-01-01"
    households[5]["minutes"] = "5000"
    households[8]["id"] = "h007"
    return judge(households)


def printed(content: bytes, folder: Path) -> Path:
    """The workbook as a PDF."""
    source = folder / "feedback.xlsx"
    source.write_bytes(content)
    profile = f"-env:UserInstallation=file://{folder / 'profile'}"
    command = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return source.with_suffix(".pdf")


def words(pdf: Path) -> set[str]:
    text = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\w{3,}", text))


def written(content: bytes, *sheets: int) -> set[str]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = [cell for place in sheets for row in book.worksheets[place].iter_rows(values_only=True) for cell in row]
    return {word for cell in cells if isinstance(cell, str) for word in re.findall(r"\w{3,}", cell)}


def test_no_word_is_cut_off(faulty: Validated, tmp_path: Path) -> None:
    content = feedback_workbook(faulty, make_feedback(faulty, "sw"))  # a draft: it has the most columns
    lost = written(content, 0, 1) - words(printed(content, tmp_path))
    assert not lost


def test_rows_that_are_too_low_would_be_noticed(
    faulty: Validated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnob_pipeline.validation.feedback_workbook.LATIN_LINE", 4.0)
    content = feedback_workbook(faulty, make_feedback(faulty, "en"))
    assert written(content, 0, 1) - words(printed(content, tmp_path))


@pytest.mark.parametrize("language", FONTS)
def test_every_script_has_its_letters(faulty: Validated, tmp_path: Path, language: str) -> None:
    pdf = printed(feedback_workbook(faulty, make_feedback(faulty, language)), tmp_path)
    fonts = subprocess.run(["pdffonts", str(pdf)], check=True, capture_output=True, text=True).stdout
    assert FONTS[language] in fonts
