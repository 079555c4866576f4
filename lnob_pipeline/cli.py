"""The command line, `lnob`: what the secretariat and partners do without the Dagster UI.

Here: arguments, progress, tables in the terminal, exit codes. Nothing is computed here. Exit codes: 0 all is
well; 1 an unforeseen error; 2 the command or a setting is wrong; 3 done, but something was not accepted (a hand-in,
a mapping).
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lnob_pipeline import (
    __version__,
    cli_docs,
    cli_feedback,
    cli_form,
    cli_gaps,
    cli_guide,
    cli_map,
    cli_messages,
    cli_official,
    cli_pull,
    cli_release,
    cli_retention,
    cli_review,
)
from lnob_pipeline.mappings.load import MappingError, load_mappings
from lnob_pipeline.settings import Settings

NOT_ACCEPTED = 3
MOST_ROWS = 40

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="From citizen data to SDG gaps. "
    "Exit codes: 0 all is well, 2 wrong command or setting, 3 something was not accepted.",
)
app.add_typer(cli_form.app, name="form")
app.command()(cli_docs.docs)
app.command()(cli_pull.pull)
app.command()(cli_messages.messages)
app.command()(cli_feedback.feedback)
app.command()(cli_gaps.gaps)
app.command()(cli_gaps.explain)
app.command()(cli_guide.template)
app.command()(cli_guide.guide)
app.command()(cli_review.review)
app.command()(cli_retention.retention)
app.add_typer(cli_map.app, name="map")
app.add_typer(cli_official.app, name="official")
app.add_typer(cli_release.app, name="release")
out = Console(width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True, soft_wrap=True)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except MappingError as error:
        for problem in error.problems:
            err.print(problem, markup=False, highlight=False)
        sys.exit(2)
    except (ValueError, OSError) as error:
        err.print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)


def show(rows: pl.DataFrame, title: str) -> None:
    """Print a frame as a table; numbers to the right. Nothing in it is taken for markup."""
    table = Table(title=title, title_justify="left")
    for place, (name, kind) in enumerate(rows.schema.items()):
        table.add_column(
            Text(name), justify="right" if kind.is_numeric() else "left", overflow="fold", no_wrap=place == 0
        )
    for row in rows.rows():
        table.add_row(*("" if cell is None else Text(str(cell)) for cell in row))
    out.print(table)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        progress.add_task("starting", total=total)
        yield progress


def _run(settings: Settings, submissions: list[str]) -> int:
    """Run the whole job in this process, recorded in the Dagster instance, and tell what was done."""
    from lnob_pipeline.automation import jobs
    from lnob_pipeline.automation.instance import open_instance
    from lnob_pipeline.automation.resources import PipelineSettings
    from lnob_pipeline.pipeline import STAGES, Step, inbox_keys

    if not settings.inbox.is_dir():
        raise ValueError(f"the inbox {settings.inbox} is not a folder; set LNOB_INBOX")
    keys = submissions or inbox_keys(settings)
    unknown = sorted(set(keys) - set(inbox_keys(settings)))
    if unknown:
        raise ValueError(f"not in the inbox {settings.inbox}: {', '.join(unknown)}")
    seconds: dict[str, float] = defaultdict(float)
    worked: dict[str, int] = defaultdict(int)
    steps: list[Step] = []
    clock = time.perf_counter()
    with open_instance(settings) as instance, _progress(4 * len(keys) + 3) as progress:

        def listen(step: Step) -> None:
            nonlocal clock
            now = time.perf_counter()
            seconds[step.stage] += now - clock
            worked[step.stage] += step.changed
            clock = now
            steps.append(step)
            progress.update(progress.task_ids[0], advance=1, description=f"{step.stage} {step.key or ''}")

        jobs.listeners.append(listen)
        try:
            clock = time.perf_counter()
            config = {
                "ops": {"inbox": {"config": {"submissions": submissions}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            }
            result = jobs.whole_job.execute_in_process(
                instance=instance, run_config=config, raise_on_error=True, resources={"settings": PipelineSettings()}
            )
        finally:
            jobs.listeners.remove(listen)
    times = [(stage, worked[stage], round(seconds[stage], 1)) for stage in STAGES]
    times.append(("all", sum(worked.values()), round(sum(seconds.values()), 1)))
    show(pl.DataFrame(times, schema=["stage", "steps that did work", "seconds"], orient="row"), "Stages")
    if not any(worked.values()):
        out.print("Nothing has changed since the last run: no stage had work to do.")
    publication = next(step for step in steps if step.stage == "publication")
    _status(settings)
    out.print(f"release {publication.texts['release']}: {'new' if publication.changed else 'as before'}")
    out.print(f"page    {settings.published / 'latest' / 'index.html'}", soft_wrap=True)
    out.print(f"run     {result.run_id} (see it with `make ui`)")
    refused = {step.key for step in steps if step.key and step.problems}
    return NOT_ACCEPTED if refused else 0


@app.command()
def demo() -> None:
    """Run the whole pipeline on the bundled inbox of synthetic submissions with the bundled official figures."""
    if moved := sorted({"LNOB_INBOX", "LNOB_OFFICIAL"} & set(os.environ)):
        raise ValueError(f"the demonstration runs on the bundled data; unset {', '.join(moved)}, or use `lnob run`")
    os.environ["LNOB_OFFICIAL_SOURCE"] = "bundled"
    _run(Settings.load(), [])
    out.print("Two hand-ins of the demonstration are bad on purpose: one is rejected, one is accepted in part.")


@app.command()
def run(
    submissions: Annotated[
        list[str] | None, typer.Argument(help="Submissions to take; all of the inbox if none is named")
    ] = None,
) -> None:
    """Run the pipeline from the inbox to the release, without a Dagster daemon."""
    raise typer.Exit(_run(Settings.load(), submissions or []))


@app.command()
def check(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the hand-in, with its manifest", exists=True, file_okay=False)
    ],
    feedback: Annotated[Path | None, typer.Option(help="Where to put the feedback workbook (.xlsx)")] = None,
) -> None:
    """Check a hand-in as the secretariat would (stages 1 and 2). Nothing is kept."""
    from lnob_pipeline import storage, tables
    from lnob_pipeline.automation.resources import now
    from lnob_pipeline.pipeline import clean_manifest, feedback_path, run_validation
    from lnob_pipeline.submissions.receive import receive

    with tempfile.TemporaryDirectory() as temporary:
        lake = Path(temporary) / "lake"
        settings = Settings.load(lake=lake, sealed=lake / "sealed")
        received = receive(settings, folder, now(), clean_manifest)
        for problem in received.problems:
            out.print(f"- {problem}", markup=False, highlight=False)
        if received.state == "withdrawn":
            out.print("The manifest withdraws the submission; there is nothing to check.")
            raise typer.Exit
        if received.state != "received":
            out.print("The manifest cannot be used yet; mend the lines above.")
            raise typer.Exit(NOT_ACCEPTED)
        step = run_validation(settings, received.submission_id)
        results = storage.read_table(lake, tables.VALIDATION_RESULTS, received.submission_id)
        order = pl.col("severity").replace_strict({"blocking": 0, "review": 1, "warning": 2, "information": 3})
        failed = results.filter(pl.col("outcome") == "failed").sort(order, -pl.col("n_failed"))
        failed = failed.select("severity", "rule_id", "column", "n_failed", "message")
        quarantine = storage.read_table(lake, tables.QUARANTINE, received.submission_id)
        if failed.height:
            show(failed, "What to mend")
        if quarantine.height:
            show(
                quarantine.select(
                    pl.coalesce("sheet", "file").alias("where"), "row_number", "column", "written", "reason", "mend"
                ).head(40),
                "Where",
            )
        if feedback is not None:
            storage.write_bytes(feedback, feedback_path(settings, received.submission_id).read_bytes())
            out.print(f"feedback workbook: {feedback}")
        out.print("In short, as the partner reads it:")
        told = feedback_path(settings, received.submission_id, "txt").read_text("utf-8")
        out.print(told, markup=False, highlight=False, soft_wrap=True)
        numbers = {name: int(value) for name, value in step.numbers.items()}
        out.print(f"{step.texts['state']}: {numbers['n_accepted']} of {numbers['n_rows']} rows are in")
        if step.problems:
            raise typer.Exit(NOT_ACCEPTED)


@app.command()
def status(
    submission: Annotated[str | None, typer.Argument(help="One submission, with all its reasons")] = None,
    fitness: Annotated[bool, typer.Option("--fitness", help="Show its scorecard for official use")] = False,
) -> None:
    """Show the ledger: every submission, its state, and why; of one submission its versions too."""
    from lnob_pipeline.submissions.ledger import status_table, versions

    settings = Settings.load()
    if submission is None:
        if fitness:
            raise ValueError("--fitness shows one submission: lnob status SUBMISSION --fitness")
        _status(settings)
        return
    if fitness:
        _fitness(settings, submission)
        return
    rows = status_table(settings, submission)
    if rows.is_empty():
        raise ValueError(f"{submission} is not in the ledger; `lnob status` lists what is")
    for row in rows.iter_rows(named=True):
        for name, value in row.items():
            lines = str(value).split(" | ") if value is not None else ["-"]
            out.print(
                f"{name:15} {lines[0]}", *(f"\n{'':15} {line}" for line in lines[1:]), markup=False, highlight=False
            )
    history = versions(settings, submission).with_columns(pl.col("version").str.head(12)).drop("reason")
    show(history, "Versions, oldest first")
    _closed_records(settings, submission)


def _closed_records(settings: Settings, submission: str) -> None:
    """For the secretariat: how likely people could be found in the records, and rows that came in twice."""
    from lnob_pipeline import storage, tables
    from lnob_pipeline.pipeline import inbox_keys
    from lnob_pipeline.validation.linkage import handed_in_twice

    risk = storage.read_table(settings.lake, tables.DISCLOSURE_RISK, submission)
    if risk.height:
        measures = risk.drop("submission_id", "version").with_columns(pl.col("value").round(3))
        show(measures, "Risk of disclosure: closed records may not leave")
    country = [key for key in inbox_keys(settings) if key.startswith(submission[:4])]
    twice = handed_in_twice(storage.read_partitions(settings.lake, tables.LINKAGE, country))
    twice = twice.filter(pl.col("submission_id") == submission).drop("submission_id")
    if twice.height:
        show(twice, "Rows that were handed in twice")


def _fitness(settings: Settings, submission: str) -> None:
    """The scorecard of one submission. A score is no sum of the others, and without evidence there is none."""
    from lnob_pipeline import storage, tables

    if not storage.table_path(settings.lake, tables.FITNESS, submission).exists():
        raise ValueError(f"there is no scorecard of {submission}; `lnob status` lists what is there")
    rows = storage.read_table(settings.lake, tables.FITNESS, submission)
    score = pl.when(pl.col("score").is_not_null()).then(pl.format("{} {}", pl.col("score").round(2), "measure"))
    show(
        rows.select("criterion", "kind", "status", score.alias("score"), "evidence"),
        f"Fitness for official use: {submission}",
    )


def _status(settings: Settings) -> None:
    from lnob_pipeline.submissions.ledger import status_table
    from lnob_pipeline.submissions.receive import misplaced
    from lnob_pipeline.submissions.retention import overdue

    reasons = pl.col("reason").fill_null("").str.split(" | ")
    first = reasons.list.first()
    short = pl.when(first.str.len_chars() > 90).then(first.str.head(88) + " …").otherwise(first)
    more = (
        pl.when(reasons.list.len() > 1).then(pl.format(" (and {} more)", reasons.list.len() - 1)).otherwise(pl.lit(""))
    )
    rows = status_table(settings).select(
        "submission_id",
        "state",
        pl.col("n_rows").alias("rows"),
        pl.col("n_accepted").alias("accepted"),
        pl.col("n_quarantined").alias("quarantine"),
        pl.col("n_refused").alias("refused"),
        pl.concat_str(short, more).alias("why"),
    )
    show(rows, "Submissions (all reasons: lnob status SUBMISSION)")
    if late := overdue(settings, datetime.datetime.now(datetime.UTC).date()):
        out.print(f"raw files of {len(late)} submissions have to go: lnob retention", highlight=False)
    for sentence in misplaced(settings):
        out.print(f"not received: {sentence}", markup=False, highlight=False)
    cli_official.tell(settings)


@app.command()
def lint(
    write: Annotated[
        bool, typer.Option("--write", help="Write the JSON Schemas and the inventory of ids anew")
    ] = False,
) -> None:
    """Check the mapping files; every finding says file and line."""
    from lnob_pipeline.mappings.lint import lint as find
    from lnob_pipeline.mappings.lint import notes, stale_schemas, write_inventory, write_schemas

    folder = Settings.load().mappings
    try:
        mappings = load_mappings(folder)
    except MappingError as error:
        for problem in error.problems:
            out.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_ACCEPTED) from None
    if write:
        write_schemas(folder / "schema")
        write_inventory(mappings)
    findings = find(mappings) + stale_schemas(folder)
    for finding in findings:
        out.print(finding, markup=False, highlight=False, soft_wrap=True)
    if findings:
        raise typer.Exit(NOT_ACCEPTED)
    for note in notes(mappings):
        out.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    out.print(
        f"{len(mappings.variables) + len(mappings.derived)} variables, {len(mappings.indicators)} indicators, "
        f"{len(mappings.instruments)} instruments: nothing to mend"
    )


@app.command()
def new(
    country: Annotated[str, typer.Argument(help="ISO 3166-1 alpha-3, for example KEN")],
    slug: Annotated[str, typer.Argument(help="Year and short name, for example 2020-water-survey")],
    data_type: Annotated[
        str, typer.Argument(help="household_survey, score_card, focus_group, interview or policy_review")
    ],
    folder: Annotated[Path, typer.Option(help="Where to make the folder of the submission")] = Path(),
    form: Annotated[Literal["yaml", "xlsx"], typer.Option(help="The form of the manifest")] = "xlsx",
) -> None:
    """Make the folder and the manifest of a new submission, to be filled in."""
    from lnob_pipeline.submissions.workbook import new_submission

    mappings = load_mappings(Settings.load().mappings)
    choices = {
        "groups": {code: group.label for code, group in mappings.groups.items()},
        "instrument": {name: item.title for name, item in mappings.instruments.items()},
    }
    path = new_submission(folder, country, slug, data_type, form, choices=choices)
    out.print(f"{path}: fill it in, put the files beside it, then `lnob check {path.parent}`", soft_wrap=True)


@app.command()
def estimate(
    file: Annotated[Path, typer.Argument(help="Survey: .parquet, or .csv in UTF-8", exists=True, dir_okay=False)],
    design: Annotated[
        Path, typer.Option(help="Design file (YAML): sample, estimands, intervals", exists=True, dir_okay=False)
    ],
    by: Annotated[
        list[str] | None, typer.Option(help="Breakdown: columns crossed by commas; repeat for more. The total is added")
    ] = None,
    cube: Annotated[str | None, typer.Option(help="Columns with commas: every crossing of them, and the total")] = None,
    depth: Annotated[int | None, typer.Option(help="With --cube: cross at most so many columns", min=1)] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="Answer as .parquet, .csv or .json; a table here if not given")
    ] = None,
) -> None:
    """Estimate from any survey with the engine alone: design-based standard errors and intervals (docs/estimation.md).

    The answer is not disclosure controlled.
    """
    from lnob_pipeline.estimation import survey_file

    breakdowns = survey_file.breakdowns(by or [], cube, depth)
    if output is not None:
        survey_file.check_output(output, [file, design])
    answer, notes = survey_file.estimate_file(file, survey_file.read_design_file(design), breakdowns)
    for note in notes:
        err.print(f"note: {note}", markup=False, highlight=False)
    err.print("note: these estimates are not disclosure controlled: small cells can reveal people", highlight=False)
    if output is not None:
        survey_file.write_answer(answer, output)
        out.print(f"{answer.height} estimates: {output}", markup=False, highlight=False, soft_wrap=True)
        return
    show(survey_file.for_reading(answer.head(MOST_ROWS)), "Estimates")
    if answer.height > MOST_ROWS:
        out.print(f"{answer.height - MOST_ROWS} more rows: write them all with --out")


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine (loopback only)")] = 3000) -> None:
    """Open the Dagster UI on this machine with its history kept; the inbox is watched."""
    from lnob_pipeline.automation.instance import WORKSPACE, dagster_home, open_instance
    from lnob_pipeline.automation.partitions import add_keys
    from lnob_pipeline.pipeline import inbox_keys

    settings = Settings.load()
    with open_instance(settings) as instance:
        add_keys(instance, inbox_keys(settings))
    home = dagster_home(settings)
    out.print(f"Dagster UI: http://127.0.0.1:{port} (history in {home}; stop with Ctrl-C)", soft_wrap=True)
    program = shutil.which(
        "dagster", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        raise ValueError("the program dagster is not installed beside lnob; install the package again")
    command = [program, "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    raise typer.Exit(subprocess.call(command, env=os.environ | {"DAGSTER_HOME": str(home)}))


@app.command()
def version() -> None:
    """Show the version."""
    out.print(__version__)
