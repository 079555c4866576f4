"""Sensitive questions: kept under the whole special protocol alone, and otherwise nowhere, gate to estimates."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from lnob_pipeline.estimation.plan import estimate_submission
from lnob_pipeline.harmonisation.compile import harmonise
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import VALIDATION_RESULTS
from lnob_pipeline.validation.feedback_workbook import feedback_workbook
from lnob_pipeline.validation.gate import Validated
from lnob_pipeline.warehouse import connect
from lnob_pipeline_tests.validation.conftest import INSTRUMENT, MANIFEST, good_households, good_persons, merged

Judge = Callable[..., Validated]
Row = dict[str, str]
LOOKED_AT = {"special_protocol": "accept"}
"""What a reviewer decided: no machine can tell whether a protocol was followed."""
PROTOCOL = ("special_protocol", "one_per_hh", "privacy_obtained", "referral_list", "interviewer_trained")
COLUMN = {
    "variable": "partner_slapped",
    "codes": {"zx-year": "last_12_months", "zx-before": "before", "zx-never": "never"},
    "missing": {"refused": ["zx-refused"]},
}
FORM = {"records.person.columns.slapped": COLUMN}


def answered() -> list[Row]:
    """Each respondent answers, one of them with what is no code."""
    texts = ("zx-year", "zx-before", "zx-never", "zx-refused", "zx-unknown")
    return [
        person | {"slapped": texts[number // 2 % 5] if person["respondent"] == "1" else ""}
        for number, person in enumerate(good_persons())
    ]


def protocol(*absent: str) -> dict[str, Any]:
    return {f"ethics.{name}": name not in absent for name in PROTOCOL}


def everything(result: Validated) -> str:
    """All that the stage says, as one text."""
    frames = [result.quarantine, result.results, result.outcome, result.findings, *result.rows.values()]
    frames += [result.responses] if result.responses is not None else []
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(feedback_workbook(result)))
    sheets = [workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names]
    return "\n".join([*(frame.write_csv() for frame in frames), *map(repr, sheets)])


@pytest.mark.parametrize("absent", PROTOCOL)
def test_without_one_part_of_the_protocol_the_answers_are_kept_nowhere(judge: Judge, absent: str) -> None:
    result = judge(
        persons=answered(), instrument=FORM, manifest=protocol(absent), great_expectations=absent == PROTOCOL[0]
    )
    assert result.state == "accepted_with_flags"
    assert result.responses is not None
    assert "slapped" not in result.responses.columns
    assert "zx-" not in everything(result)
    (line,) = result.results.filter(pl.col("rule_id") == "special_protocol").to_dicts()
    assert (line["outcome"], line["severity"], line["column"]) == ("failed", "warning", "slapped")
    assert line["n_failed"] == 40  # the answers of the respondents
    assert "hand in totals" in line["message"]


def test_under_the_whole_protocol_they_are_kept_and_checked(judge: Judge) -> None:
    result = judge(persons=answered(), instrument=FORM, manifest=protocol(), reviews=LOOKED_AT)
    assert result.responses is not None
    kept = result.responses.filter(pl.col("slapped").is_not_null())["slapped"]
    assert kept.filter(kept == "zx-year").len() == 8
    (line,) = result.results.filter(pl.col("rule_id") == "special_protocol").to_dicts()
    assert (line["outcome"], line["severity"]) == ("failed", "warning")  # a person accepted what waited
    unknown = result.quarantine.filter((pl.col("column") == "slapped") & (pl.col("rule_id") == "codes"))
    assert unknown.height == 8


def test_a_form_without_sensitive_questions_is_not_asked_for_a_protocol(judge: Judge) -> None:
    (line,) = judge().results.filter(pl.col("rule_id") == "special_protocol").to_dicts()
    assert line["outcome"] == "not_applicable"
    assert set(judge().results.columns) == set(VALIDATION_RESULTS.schema)


@pytest.mark.parametrize(("absent", "computed"), [((), True), (("referral_list",), False)])
def test_estimates_of_what_was_taken_out_stay_out(judge: Judge, absent: tuple[str, ...], computed: bool) -> None:
    whole = load_mappings(Settings.load().mappings)
    indicator = whole.indicators["16.9.1"]
    (series,) = indicator.series
    assert series.measure is not None
    # Everybody who was not struck, or did not say so, counts as not struck: nobody may count who was not kept.
    missing = dict.fromkeys(("dont_know", "refused", "not_asked"), "not_in_numerator") | {"unmapped": "exclude"}
    share = series.measure.shares[0].model_copy(
        update={"universe": "TRUE", "numerator": "partner_slapped = 'last_12_months'", "missing": missing}
    )
    measure = series.measure.model_copy(update={"unit": "respondent", "weight": "respondent", "shares": [share]})
    changed = indicator.model_copy(update={"series": [series.model_copy(update={"measure": measure})]})
    eligible = {"records.household.columns.eligible": {"variable": "eligible_adults"}}
    form = Instrument.model_validate(merged(INSTRUMENT, FORM | eligible))
    mappings: Mappings = dataclasses.replace(whole, instruments={form.instrument: form}, indicators={"16.9.1": changed})
    manifest = Manifest.model_validate(merged(MANIFEST, protocol(*absent)))
    rows = [row | {"eligible": "1"} for row in good_households()]
    result = judge(rows, answered(), manifest=protocol(*absent), instrument=FORM | eligible, reviews=LOOKED_AT)
    assert result.responses is not None
    with connect(threads=1) as connection:
        found = harmonise(connection, form, result.responses, mappings, 1.0)
        estimates = estimate_submission(
            connection, manifest, found.households, found.persons, 0.0, mappings, Settings.load()
        )
    if computed:
        respondents = found.persons.filter(pl.col("is_respondent") == "yes")
        assert (respondents["partner_slapped"] == "last_12_months").sum() == 8
        assert estimates.filter(pl.col("stratum") == "_T")["n"].to_list() == [32]
        assert estimates["sensitive"].all()
    else:
        assert found.persons["partner_slapped"].null_count() == found.persons.height
        assert estimates.is_empty()
