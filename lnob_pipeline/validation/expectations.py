"""Great Expectations suites, generated from an instrument and the question bank, and run for real.

Here, and only here, great_expectations and pandas are imported, inside the function that needs them: the import costs
seconds. The suite looks at the rows that consented, before single rows and cells go to quarantine, and asks what a
statistician asks of a column: are the answers of the form, are the numbers possible, is it filled, is an id an id. Only
counts leave this module, never an unexpected value. An exception inside Great Expectations is an error of this program
and is raised; it is no failed expectation. Source: Great Expectations 1.24, expectation gallery.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Column, Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.validation.answers import known_texts
from lnob_pipeline.validation.contracts import BREAKDOWN_VARIABLES, MISSING_LIMIT
from lnob_pipeline.validation.findings import KEY, Result, Rows
from lnob_pipeline.validation.rules import RULES

if TYPE_CHECKING:
    import pandas as pd

ALWAYS_FILLED = ("stratum", "cluster", "household_weight")


class ExpectationError(RuntimeError):
    """Great Expectations itself failed: neither passed nor failed can be said. Holds no value of the data."""


def expect(rows: dict[str, Rows], instrument: Instrument, mappings: Mappings, settings: Settings) -> list[Result]:
    """Validate each record against its suite; one result for each expectation. Raises ExpectationError."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: nothing is sent anywhere
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    results: list[Result] = []
    for name, part in rows.items():
        expectations = _suite(part, instrument, mappings, settings)
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[e for _, e in expectations]))
        source = context.data_sources.add_pandas(name)
        batches = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        try:
            outcome = batches.get_batch({"dataframe": _pandas(part)}).validate(suite, result_format="BASIC")
        except Exception as error:
            raise ExpectationError(
                f"record {name}: Great Expectations stopped ({type(error).__name__}); this is a fault of the program "
                "or of its installation, not of the data"
            ) from None
        results.extend(_result(name, part, item) for item in outcome.results)
    return results


def _suite(part: Rows, instrument: Instrument, mappings: Mappings, settings: Settings) -> list[tuple[str | None, Any]]:
    """The expectations of a record with the column each speaks of."""
    import great_expectations.expectations as gxe

    mostly = 1 - settings.unmapped_share_limit
    suite: list[tuple[str | None, Any]] = [
        (None, gxe.ExpectTableRowCountToBeBetween(min_value=1, max_value=settings.maximum_rows))
    ]
    if part.record.key and part.record.unit != "excerpt":
        suite.append((KEY, gxe.ExpectColumnValuesToBeUnique(column=KEY)))
    for header, column in part.record.columns.items():
        if header in part.numbers:
            low, high = _bounds(column, instrument, mappings)
            if low is not None or high is not None:
                between = gxe.ExpectColumnValuesToBeBetween(column=header, min_value=low, max_value=high, mostly=mostly)
                suite.append((header, between))
        elif header in part.kept and column.select == "one" and (codes := _codes(column, instrument)):
            suite.append((header, gxe.ExpectColumnValuesToBeInSet(column=header, value_set=codes, mostly=mostly)))
        if column.variable in ALWAYS_FILLED:
            suite.append((header, gxe.ExpectColumnValuesToNotBeNull(column=header)))
        elif column.variable in BREAKDOWN_VARIABLES:
            suite.append((header, gxe.ExpectColumnValuesToNotBeNull(column=header, mostly=1 - MISSING_LIMIT)))
    return suite


def _codes(column: Column, instrument: Instrument) -> list[str]:
    statements = dict.fromkeys(instrument.statements, "") if column.role == "statement" else None
    return sorted(known_texts(column, extra=statements).values())


def _bounds(column: Column, instrument: Instrument, mappings: Mappings) -> tuple[float | None, float | None]:
    """Lowest and highest possible number in the measure of the source."""
    if column.variable is not None:
        variable = mappings.variables[column.variable]
        bounds = (variable.minimum, variable.maximum)
    elif column.role == "score" and instrument.scale is not None:
        bounds = (instrument.scale.minimum, instrument.scale.maximum)
    else:
        bounds = (1.0, None)
    low, high = (None if bound is None else bound / column.multiply for bound in bounds)
    return low, high


def _pandas(part: Rows) -> pd.DataFrame:
    """Numbers as floats, all else as categories; answers that are missing by a code count as answers here.

    Great Expectations hashes every cell twice, and a category is hashed once. Of keys only their equality is asked, so
    that the number of the category stands for each.
    """
    import pyarrow as pa

    columns = {header: _arrow(part.numbers.get(header, cells)) for header, cells in part.kept.items()}
    frame: pd.DataFrame = pa.table(columns | {KEY: _arrow(part.frame[KEY]).indices}).to_pandas()
    return frame


def _arrow(cells: pl.Series) -> Any:
    plain = cells.to_arrow(compat_level=pl.CompatLevel.oldest())
    return plain.dictionary_encode() if cells.dtype == pl.String else plain


def _result(name: str, part: Rows, item: Any) -> Result:
    """One expectation as a row of validation_results: counts only."""
    expectation, column = item.expectation_config.type, item.expectation_config.kwargs.get("column")
    if item.exception_info and _raised(item.exception_info):
        raise ExpectationError(
            f"record {name}, column {column}: {expectation} raised an exception inside Great Expectations; "
            "nothing can be said about the data"
        )
    checked = int(item.result.get("element_count") or part.frame.height)
    failed = int(item.result.get("unexpected_count") or 0)
    allowed = 1 - float(item.expectation_config.kwargs.get("mostly", 1.0))
    return Result(
        "expectations",
        RULES["expectations"].severity,
        "passed" if item.success else "failed",
        expectation,
        f"{failed} of {checked} unexpected; at most {allowed:.0%} allowed",
        name,
        part.record.key if column == KEY else column,
        checked,
        failed,
        "great_expectations",
    )


def _raised(information: dict[str, Any]) -> bool:
    """Whether an exception is reported, for the expectation or for one of its metrics."""
    if "raised_exception" in information:
        return bool(information["raised_exception"])
    return any(isinstance(part, dict) and part.get("raised_exception") for part in information.values())
