"""How long stage 2 takes for a large survey, against Great Expectations alone on the same cells, in the same run.

The survey is synthetic: a CSV of households with an id, the consent answer and 16 questions, some cells of each wrong.
Measured for this project: the whole of stage 2 from the bytes of the file (reading, identifiers, consent, the contract
with the row number of every wrong cell, and its own Great Expectations suite). Against it: Great Expectations on a
pandas frame that is already in memory, with the same 16 rules, results COMPLETE and the row number of every wrong cell
(`unexpected_index_column_names`). Both must find the same cells.

Two ratios are printed. The rules: all checks of rows that consented (the contract, duplicates, heaping, conduct) and
the suite, which is more than Great Expectations does on its side. The whole stage: also reading the file in a process
of its own, identifiers, consent, the scorecard and the partner's copy. What Great Expectations takes grows with the
wrong cells, and this project's time hardly does: at few wrong cells the ratios are below the bar. `--wrong` sets their
share. Prints seconds, peaks and the ratios; never fails.
Run with `make bench`, or `python -m benchmarks.validation --rows 1000000 --wrong 0.01`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lnob_pipeline.mappings.expressions import literal, quoted
from lnob_pipeline.mappings.load import Mappings, load_mappings
from lnob_pipeline.mappings.models import Column, Consent, Instrument, Record, Review
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import DataFile, Manifest, parse_manifest
from lnob_pipeline.submissions.readers import child
from lnob_pipeline.validation import expectations, gate
from lnob_pipeline.warehouse import connect

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "submissions" / "ken" / "ken-2019-household-survey"
CODED, NUMBERED = 12, 4
"""Questions with codes and with numbers: 16 rules."""
WRONG = 0.05
"""Share of the cells of a question that are wrong: from here on the pipeline takes the best class from a sample."""


def form(mappings: Mappings) -> Instrument:
    """A form of one record with 12 questions with codes and 4 with numbers that have bounds."""
    household = [item for item in mappings.variables.items() if item[1].unit == "household"]
    design = ("stratum", "cluster", "household_weight", "admin1")
    coded = [name for name, item in household if item.type == "code" and name not in design][:CODED]
    numbered = [
        name
        for name, item in household
        if item.type == "number" and item.minimum is not None and item.maximum is not None and name not in design
    ][:NUMBERED]
    columns = {name: Column(variable=name, codes={code: code for code in mappings.codes(name)}) for name in coded}
    columns |= {name: Column(variable=name) for name in numbered}
    columns |= {"id": Column(exclude="identifier"), "consent": Column(exclude="consent")}
    return Instrument(
        instrument="benchmark",
        title="Sixteen questions",
        version="1",
        data_type="household_survey",
        languages=["en"],
        consent=Consent(record="household", column="consent", affirmative=["yes"]),
        records={"household": Record(table="survey", unit="household", key="id", columns=columns)},
        reviewed=Review(by="benchmark", date=datetime.date(2026, 11, 23), source="made from the question bank"),
    )


def rules(instrument: Instrument, mappings: Mappings) -> dict[str, dict[str, Any]]:
    """What each question may hold: `codes`, or `low` and `high`."""
    found: dict[str, dict[str, Any]] = {}
    for header, column in instrument.records["household"].columns.items():
        if column.variable is None:
            continue
        variable = mappings.variables[column.variable]
        is_number = variable.type == "number"
        found[header] = (
            {"low": variable.minimum, "high": variable.maximum} if is_number else {"codes": list(column.codes)}
        )
    return found


def write_survey(path: Path, rows: int, allowed: dict[str, dict[str, Any]], share: float) -> None:
    """Write the CSV: cells drawn by a hash of row and question, a `share` of them wrong."""
    cells = []
    for number, (header, rule) in enumerate(allowed.items()):
        draw, chance = f"hash(i * 7919 + {number})", f"(hash(i * 1000003 + {number}) % 1000) / 1000"
        if "codes" in rule:
            codes = rule["codes"]
            right = f"list_value({', '.join(map(literal, codes))})[CAST(1 + {draw} % {len(codes)} AS BIGINT)]"
            wrong = "'other_place'"
        else:
            span = int(rule["high"] - rule["low"]) + 1
            right = f"CAST({int(rule['low'])} + CAST({draw} % {span} AS BIGINT) AS VARCHAR)"
            wrong = f"CAST({int(rule['high']) + 7} AS VARCHAR)"
        cells.append(f"CASE WHEN {chance} < {share} THEN {wrong} ELSE {right} END AS {quoted(header)}")
    query = f"SELECT 'h' || i AS id, 'yes' AS consent, {', '.join(cells)} FROM range({rows}) AS rows(i)"
    with connect() as connection:
        connection.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT csv, HEADER)")


def manifest_of(rows: int) -> Manifest:
    """The manifest of a bundled survey, for one CSV and a purposive sample of so many households."""
    whole = parse_manifest((SAMPLE / "submission.yaml").read_bytes(), "submission.yaml")
    return whole.model_copy(
        update={
            "submission": "ken-2019-benchmark",
            "instrument": "benchmark",
            "sampling": whole.sampling.model_copy(
                update={"method": "purposive", "strata": None, "cluster": None, "weight": None}
            ),
            "sample_size": whole.sample_size.model_copy(update={"planned": rows, "achieved": rows}),
            "files": [DataFile(path="survey.csv", role="data", format="csv")],
        }
    )


def run_stage(path: Path, rows: int) -> dict[str, Any]:
    """Stage 2 of this project, from bytes to findings."""
    settings = Settings.load()
    mappings = load_mappings(settings.mappings)
    instrument = form(mappings)
    mappings = replace(mappings, instruments=mappings.instruments | {instrument.instrument: instrument})
    manifest = manifest_of(rows)
    import great_expectations  # noqa: F401, TID251 (both sides import it before the clock starts)

    spent = {"rules": 0.0}
    for module, name in ((gate, "_check"), (expectations, "expect")):
        setattr(module, name, _timed(getattr(module, name), spent))
    start, worked = time.perf_counter(), time.process_time()
    files = [(manifest.files[0], path.read_bytes())]
    checked = gate.validate(manifest, "0" * 64, files, mappings, settings)
    seconds = (time.perf_counter() - start, time.process_time() - worked)
    child._end_with_the_parent()  # the processor time of the process that read the file counts too
    read = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (seconds[0], seconds[1] + read.ru_utime + read.ru_stime)
    cells = checked.findings.filter(checked.findings["effect"] == "cell")
    counts = dict(cells.group_by("column").len().sort("column").rows())
    return _measured(seconds, counts) | spent


def _timed(function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    """The function, which adds the seconds that it takes."""

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent["rules"] += time.perf_counter() - start

    return timed


def run_great_expectations(path: Path, rows: int) -> dict[str, Any]:
    """Great Expectations on pandas, COMPLETE results with the number of every row."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # noqa: TID251
    import great_expectations.expectations as gxe  # noqa: TID251
    import pandas as pd  # noqa: TID251
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: TID251

    mappings = load_mappings(Settings.load().mappings)
    allowed = rules(form(mappings), mappings)
    numbers = [header for header, rule in allowed.items() if "low" in rule]
    frame = pd.read_csv(path, dtype={header: str for header in allowed if header not in numbers}, keep_default_na=False)
    frame["row_number"] = range(2, rows + 2)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    suite = context.suites.add(gx.ExpectationSuite(name="survey"))
    for header, rule in allowed.items():
        suite.add_expectation(
            gxe.ExpectColumnValuesToBeInSet(column=header, value_set=rule["codes"])
            if "codes" in rule
            else gxe.ExpectColumnValuesToBeBetween(column=header, min_value=rule["low"], max_value=rule["high"])
        )
    shape = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row_number"]}
    start, worked = time.perf_counter(), time.process_time()
    batch = (
        context.data_sources.add_pandas("survey")
        .add_dataframe_asset("survey")
        .add_batch_definition_whole_dataframe("survey")
        .get_batch({"dataframe": frame})
    )
    outcome = batch.validate(suite, result_format=shape)
    seconds = (time.perf_counter() - start, time.process_time() - worked)
    found = {
        item.expectation_config.kwargs["column"]: len(item.result["unexpected_index_list"])
        for item in outcome.results
        if item.expectation_config is not None
    }
    return _measured(seconds, {header: n for header, n in sorted(found.items()) if n})


def _measured(seconds: tuple[float, float], counts: dict[str, int]) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"wall": seconds[0], "processor": seconds[1], "peak": peak, "counts": counts}


RUNS = {"stage": run_stage, "great_expectations": run_great_expectations}


def main() -> None:
    """Measure each in a process of its own, in turn; print seconds, peaks and the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--wrong", type=float, default=WRONG, help="share of wrong cells")
    arguments.add_argument("--repeat", type=int, default=2, help="how often each is timed; the best counts")
    arguments.add_argument("--only", choices=list(RUNS), help="measure one of them in this process")
    arguments.add_argument("--file", type=Path)
    chosen = arguments.parse_args()
    if chosen.only:
        print(json.dumps(RUNS[chosen.only](chosen.file, chosen.rows)))
        return
    mappings = load_mappings(Settings.load().mappings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "survey.csv"
        write_survey(path, chosen.rows, rules(form(mappings), mappings), chosen.wrong)
        best: dict[str, dict[str, Any]] = {}
        for _ in range(chosen.repeat):
            for name in RUNS:
                command = [
                    "-m",
                    "benchmarks.validation",
                    "--only",
                    name,
                    "--file",
                    str(path),
                    "--rows",
                    str(chosen.rows),
                ]
                done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
                measured = json.loads(done.stdout.splitlines()[-1])
                if name not in best or measured["wall"] < best[name]["wall"]:
                    best[name] = measured
    stage, other = best["stage"], best["great_expectations"]
    same = stage["counts"] == other["counts"]
    wrong = sum(stage["counts"].values())
    print(f"{chosen.rows:,} rows x {CODED + NUMBERED} rules, {wrong:,} wrong cells; the same found by both: {same}")
    for name, one in (("stage 2, its suite included", stage), ("Great Expectations alone", other)):
        print(f"{name}: {one['wall']:.1f} s, {one['processor']:.1f} s of processors, peak {one['peak']:.1f} GB")
    print(f"of stage 2 the rules, suite included: {stage['rules']:.1f} s")
    print(f"times faster by the clock (bar: 3): the rules {other['wall'] / stage['rules']:.1f}")
    print(f"times faster by the clock: the whole stage, file to findings {other['wall'] / stage['wall']:.1f}")


if __name__ == "__main__":
    main()
