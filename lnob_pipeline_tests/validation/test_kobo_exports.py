"""Real exports of KoboToolbox (formpack's own): whatever the export, the answers are the same, or the loss is said.

LOSSES lists every export that does not give the table `responses` of the XLSX export with XML headers, and the sentence
that says why. Skipped where the shared folder with the files is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.settings import Settings
from lnob_pipeline.validation.gate import Validated, validate
from lnob_pipeline_tests.validation.export_forms import Form, form_of, manifest_of, mappings_of, sheets, suffix_of

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "citizen" / "kobo_formpack" / "exports"
pytestmark = pytest.mark.skipif(not EXPORTS.is_dir(), reason="the shared folder with real exports is not here")

FORMS = (
    "all_geo_types",
    "auto_report_extended_fields",
    "dietary_needs",
    "grouped_repeatable",
    "grouped_translated",
    "hxl_grouped_repeatable",
    "literacy_test",
    "nested_grouped_repeatable",
    "or_other",
    "restaurant_profile",
    "site_inspection",
)
CSV = tuple(f"{headers}.{mode}.csv" for headers in ("xml", "labels") for mode in ("both", "details", "summary"))
OTHERS = ("labels.xlsx", "api_v2_results.json", *CSV)
"""Every export of a form beside the one that the others are compared with."""

NO_REPEATS = "a CSV of KoboToolbox leaves repeat groups out"
TWICE = "the same column name stands more than once"
RAGGED = "cells and the header has"
LOSSES: dict[tuple[str, str], str] = {
    **{(form, csv): NO_REPEATS for form in FORMS if form.endswith("grouped_repeatable") for csv in CSV},
    # Two questions with one label (site_inspection), two options with one label (literacy_test).
    **{("site_inspection", export): TWICE for export in ("labels.xlsx", *CSV[3:])},
    **{("literacy_test", export): TWICE for export in ("labels.xlsx", "labels.both.csv", "labels.details.csv")},
    # The API joins four answers of this kind of question in one text.
    ("literacy_test", "api_v2_results.json"): "of the questionnaire is not in the file",
    # Rows with a cell beyond the last header.
    ("restaurant_profile", "xml.details.csv"): RAGGED,
    ("restaurant_profile", "labels.details.csv"): RAGGED,
}
ONLY_IN_JSON = {
    "site_inspection": [
        "was_there_damage_to_the_site",
        "ping",
        "rssi",
        "is_the_gate_secure",
        "is_plant_life_encroaching",
        "was_there_damage_to_the_site_dupe",
    ]
}
"""Questions that stand in groups: these submissions lack the groups in their keys, and the tables lost the answers."""


def several_of(xml: dict[str, list[list[str]]], labels: dict[str, list[list[str]]]) -> dict[str, dict[str, str]]:
    """Questions with several answers -> code -> label, by the option columns of the export."""
    found: dict[str, dict[str, str]] = {}
    for rows, labelled in zip(xml.values(), labels.values(), strict=True):
        for place, (header, label) in enumerate(zip(rows[0], labelled[0], strict=True)):
            question, _, option = header.partition("/")
            if option and question in rows[0] and {row[place] for row in rows[1:]} <= {"", "0", "1"}:
                found.setdefault(question, {})[option] = label.rsplit("/", 1)[1]
    return found


@pytest.fixture(scope="module")
def judged(mappings: Mappings) -> Callable[..., Validated]:
    """judged(form, export, what the review in the survey tool decides) -> Validated; each is judged once."""
    forms: dict[str, Form] = {}
    results: dict[tuple[str, ...], Validated] = {}

    def run(name: str, export: str, tool_review: str = "leave_out_rejected") -> Validated:
        if name not in forms:
            xml, labels = (sheets((EXPORTS / f"{name}.{kind}.xlsx").read_bytes()) for kind in ("xml", "labels"))
            forms[name] = form_of(name, xml, labels, several_of(xml, labels))
        if (name, export, tool_review) not in results:
            path = EXPORTS / f"{name}.{export}"
            manifest = manifest_of(forms[name], f"{name}{path.suffix}", suffix_of(export))
            manifest = manifest.model_copy(update={"tool_review": tool_review})
            files = [(manifest.files[0], path.read_bytes())]
            known = mappings_of(mappings, forms[name])
            results[name, export, tool_review] = validate(
                manifest, "0" * 64, files, known, Settings.load(), great_expectations=False
            )
        return results[name, export, tool_review]

    return run


def table(validated: Validated) -> pl.DataFrame:
    """The table `responses` in one order."""
    assert validated.responses is not None, validated.outcome["reasons"][0]
    return validated.responses.select(sorted(validated.responses.columns)).sort("record", "row_number")


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_read_with_its_answers(judged: Callable[..., Validated], name: str) -> None:
    """The export that the others are compared with is whole: every mapped column that has cells has answers."""
    whole = judged(name, "xml.xlsx", "ignore")  # some rows were not approved in the survey tool
    rows = sheets((EXPORTS / f"{name}.xml.xlsx").read_bytes())
    assert table(whole).height == sum(len(sheet) - 1 for sheet in rows.values())
    for sheet in rows.values():
        for place, header in enumerate(sheet[0]):
            if header in table(whole).columns and header not in ("Shape", "Trace"):  # coordinates: taken out
                filled = sum(bool(row[place]) for row in sheet[1:])
                assert table(whole)[header].drop_nulls().len() == filled, header


@pytest.mark.parametrize("export", OTHERS)
@pytest.mark.parametrize("name", FORMS)
def test_every_export_gives_the_same_responses_or_says_what_it_lost(
    judged: Callable[..., Validated], name: str, export: str
) -> None:
    whole, other = judged(name, "xml.xlsx"), judged(name, export)
    if (loss := LOSSES.get((name, export))) is not None:
        assert other.state == "rejected" and other.responses is None
        assert loss in other.outcome["reasons"][0]
        assert loss in " ".join(other.results.filter(pl.col("outcome") == "failed")["message"])
        return
    lost = ONLY_IN_JSON.get(name, []) if export.endswith(".json") else []
    assert table(other).drop(lost).equals(table(whole).drop(lost))
    for question in lost:
        assert table(whole)[question].null_count() == table(whole).height
        assert table(other)[question].drop_nulls().len() > 0
        said = whole.findings.filter(pl.col("column") == question)
        assert said["reason"].to_list() == [f"no row has an answer to {question}"]


def test_what_the_tables_do_not_have_is_said_of_the_json(judged: Callable[..., Validated]) -> None:
    """A question that was moved into a group, and a count of turns, are columns of their own there."""
    moved = judged("all_geo_types", "api_v2_results.json").findings
    said = moved.filter(pl.col("reason").str.contains("bears the name of the question"))
    assert sorted(said["column"]) == ["geo_group/Shape", "geo_group/Trace"]
    counted = judged("nested_grouped_repeatable", "api_v2_results.json").findings
    counted = counted.filter(pl.col("rule_id") == "structure")
    assert counted["reason"].to_list() == ["the column is not in the questionnaire and was left out"]
    assert table(judged("nested_grouped_repeatable", "api_v2_results.json"))["record"].n_unique() == 4


def test_rows_not_approved_in_kobotoolbox_are_out_with_their_repeats_in_every_export(
    judged: Callable[..., Validated],
) -> None:
    name = "nested_grouped_repeatable"
    for export in ("xml.xlsx", "labels.xlsx", "api_v2_results.json"):
        kept = judged(name, export)
        told = kept.findings.filter(pl.col("reason_id") == "rejected_in_tool")
        assert told.height > 0 and set(told["effect"]) == {"row"}, export
        line = kept.balance
        assert (line["n_rows"] == line["n_accepted"] + line["n_quarantined"] + line["n_refused"]).all()
        assert (
            line["n_quarantined"].sum()
            == judged(name, export, "ignore").balance["n_accepted"].sum() - table(kept).height
        )
