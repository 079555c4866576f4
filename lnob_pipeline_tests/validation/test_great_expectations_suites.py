"""Great Expectations for real: counts only, agreement with the contract, and its own exceptions as errors."""

from __future__ import annotations

import importlib
import subprocess
import sys

import polars as pl
import pytest

from lnob_pipeline.validation.expectations import ExpectationError


def expectations(validated):
    return validated.results.filter(pl.col("engine") == "great_expectations")


def test_the_suite_passes_on_good_data_and_says_how_much_it_saw(judge):
    results = expectations(judge(great_expectations=True))
    assert results.filter(pl.col("outcome") != "passed").is_empty()
    assert results.height > 15
    assert set(results["rule_id"]) == {"expectations"}
    water = results.filter(pl.col("column") == "water").row(0, named=True)
    assert (water["expectation"], water["n_checked"], water["n_failed"]) == ("expect_column_values_to_be_in_set", 40, 0)


def test_the_suite_fails_where_more_than_the_limit_is_unexpected_and_shows_no_value(judge, households, persons):
    for i, row in enumerate(households):
        row["water"] = f"w{i}q" if i < 5 else row["water"]
        row["minutes"] = "4321" if i < 4 else row["minutes"]
        row["residence"] = "" if i < 6 else row["residence"]
    households[0]["weight"] = ""
    validated = judge(households, persons, great_expectations=True)
    failed = expectations(validated).filter(pl.col("outcome") == "failed")
    assert dict(failed.select("column", "n_failed").iter_rows()) == {
        "water": 5,
        "minutes": 4,
        "residence": 6,
        "weight": 1,
    }
    text = expectations(validated).write_csv()
    assert "w0q" not in text and "4321" not in text
    assert validated.state == "accepted_with_flags"


def test_an_exception_inside_is_an_error_and_no_failed_expectation(judge, monkeypatch):
    import lnob_pipeline.validation.expectations as module

    def without_a_column(part):
        frame = real(part)
        return frame.drop(columns=["water"]) if "water" in frame.columns else frame

    real = module._pandas
    monkeypatch.setattr(module, "_pandas", without_a_column)
    with pytest.raises(ExpectationError, match="water"):
        judge(great_expectations=True)


def test_a_crash_inside_is_raised_again_without_its_text(judge, monkeypatch):
    batch = importlib.import_module("great_expectations.datasource.fluent.interfaces").Batch

    def burst(*_, **__):
        raise ValueError("cell 'Invented Person'")

    monkeypatch.setattr(batch, "validate", burst)
    with pytest.raises(ExpectationError) as caught:
        judge(great_expectations=True)
    assert "Invented Person" not in str(caught.value) and "ValueError" in str(caught.value)


def test_importing_the_gate_loads_neither_great_expectations_nor_pandas():
    code = (
        "import sys, lnob_pipeline.validation.gate, lnob_pipeline.validation.feedback;"
        "import lnob_pipeline.validation.expectations;"
        "print(sorted({'pandas', 'great_expectations'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
