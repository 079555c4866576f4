"""What a producer starts from: templates that the readers take, the guide on paper, the commands that make them."""

from __future__ import annotations

import io
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from lnob_pipeline.cli import app
from lnob_pipeline.guide import printable
from lnob_pipeline.messages.catalogue import ENGLISH, STATUSES, Catalogue
from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import read_file
from lnob_pipeline.submissions.templates import GROUPS, TABLES, template
from lnob_pipeline.validation.privacy import kind_by_name

FORMATS = {"score_card": "score_card", "policy_review": "policy_review"}


def read(kind: str, content: bytes) -> dict[str, list[str]]:
    file = DataFile.model_validate({"path": "t.xlsx", "role": "data", "format": FORMATS.get(kind, "xlsx")})
    return {name: table.frame.columns for name, table in read_file(content, file).items()}


@pytest.mark.parametrize("kind", TABLES)
def test_a_template_with_a_row_in_it_is_read(kind: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(template(kind)))
    for name, columns in TABLES[kind].items():
        for place, column in enumerate(columns, start=1):
            assert book[name].cell(1, place).value == column
            book[name].cell(2, place).value = "high" if column == "better" else "1"
    if kind == "score_card":
        for place, score in enumerate(["1", "S1", "The office is open", 4, None, 5], start=1):
            book["scores"].cell(3, place).value = score
        for row, group in enumerate(GROUPS, start=2):
            for place, cell in enumerate(["1", group, 8, "MW-C", "2020-02-10"], start=1):
                book["groups"].cell(row, place).value = cell
    stream = io.BytesIO()
    book.save(stream)
    tables = read(kind, stream.getvalue())
    for name, columns in TABLES[kind].items():
        assert set(columns) <= set(tables[name])
    if kind == "score_card":
        assert "score" in tables["scores"]


@pytest.mark.parametrize("kind", TABLES)
def test_no_template_asks_who_a_person_is(kind: str) -> None:
    assert not [column for columns in TABLES[kind].values() for column in columns if kind_by_name(column)]
    assert template(kind) == template(kind)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="household_survey, score_card, focus_group, interview, policy_review"):
        template("census")


def test_the_commands_write_and_never_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "card.xlsx"
    assert CliRunner().invoke(app, ["template", "score_card", "--out", str(out)]).exit_code == 0
    made = out.read_bytes()
    again = CliRunner().invoke(app, ["template", "score_card", "--out", str(out)])
    assert isinstance(again.exception, FileExistsError) and out.read_bytes() == made
    page = tmp_path / "guide.html"
    assert CliRunner().invoke(app, ["guide", "--out", str(page)]).exit_code == 0
    assert "Do you agree to take part?" in page.read_text("utf-8")


def test_the_guide_is_one_file_of_its_own(root: Path) -> None:
    text = (root / "docs" / "producers_guide.md").read_text("utf-8")
    page = printable(text, ENGLISH)
    assert page.count('class="asked"') == 2 and "size: A4" in page
    assert "src=" not in page and "http" not in page and "<script" not in page
    for part in ("How to hand in", "Asking safely", "How to read the feedback", "Practise", "<table>"):
        assert part in page


def test_a_draft_is_not_printed_for_consent(root: Path) -> None:
    text = (root / "docs" / "producers_guide.md").read_text("utf-8")
    said: dict[tuple[str | None, str], str] = {("consent", "Do you agree to take part?"): "Unakubali kushiriki?"}
    draft, reviewed = (printable(text, Catalogue("sw", STATUSES[status], said)) for status in ("draft", "reviewed"))
    assert "Unakubali" not in draft and "Do you agree to take part?" in draft
    assert "Unakubali" in reviewed and "Do you agree to take part?" not in reviewed
    assert 'class="asked" lang="sw"' in reviewed and 'class="asked" lang="en"' in draft
