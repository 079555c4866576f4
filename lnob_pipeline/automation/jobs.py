"""Jobs: one submission through stages 1 to 4; the whole from 5 to 7; everything at once for bulk work.

Bulk work (a first run, a changed mapping) is one unpartitioned job that loops over the keys with the same functions as
the assets and logs the events of each key, so that the start of a process is paid once. In a run the executor is
in-process: parallelism is across runs. Concept: https://docs.dagster.io (jobs, asset jobs, reporting asset events).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import dagster as dg

from lnob_pipeline import storage, tables
from lnob_pipeline.automation.checks import key_results
from lnob_pipeline.automation.metadata import UPSTREAM, Input, materialisations
from lnob_pipeline.automation.partitions import add_keys
from lnob_pipeline.automation.resources import PipelineSettings, now
from lnob_pipeline.estimation.checks import check_results as estimation_checks
from lnob_pipeline.gaps.checks import check_results as gap_checks
from lnob_pipeline.harmonisation.checks import check_results as harmonisation_checks
from lnob_pipeline.official.checks import check_results as official_checks
from lnob_pipeline.pipeline import (
    PARTITIONED_STAGES,
    STAGES,
    Step,
    attempt,
    inbox_keys,
    run_estimation,
    run_gaps,
    run_harmonisation,
    run_official,
    run_publication,
    run_status,
    run_submissions,
    run_validation,
)
from lnob_pipeline.publication.checks import check_results as publication_checks
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.checks import check_results as submission_checks
from lnob_pipeline.submissions.checks import status_results as status_checks
from lnob_pipeline.validation.checks import check_results as validation_checks

STATUS = dg.AssetSelection.assets(tables.SUBMISSION_STATUS.name)
"""The one asset of stage 2 that speaks of all submissions: it is made with the whole, not with each of them."""
submission_job = dg.define_asset_job(
    "submission_job",
    selection=dg.AssetSelection.groups(*PARTITIONED_STAGES) - STATUS,
    description="One submission from the inbox to its estimates",
    executor_def=dg.in_process_executor,
)
nightly_job = dg.define_asset_job(
    "nightly_job",
    selection=dg.AssetSelection.groups(*STAGES[4:]) | STATUS,
    description="State of the submissions, official figures, gap table and release",
    executor_def=dg.in_process_executor,
)

Listener = Callable[[Step], None]
listeners: list[Listener] = []
"""Called after each step of whole_job in this process: the command line shows its progress so."""


def _done(context: dg.OpExecutionContext, step: Step, settings: Settings) -> None:
    """Record one step as the assets of its own partition would have been, and tell the listeners.

    Checks are logged in the run: without a run, Dagster 1.13 can record a check of a partition only once.
    """
    if step.changed:
        for event in materialisations(step, _inputs(context.instance, step, settings), settings):
            context.log_event(event)
        for result in _checks(step, settings):
            context.log_event(_evaluation(result, step.key))  # type: ignore[arg-type]
            if step.key is None and not result.passed and result.severity == dg.AssetCheckSeverity.ERROR:
                raise dg.Failure(f"{result.check_name} does not hold of {step.stage}; nothing further is done")
    for problem in step.problems:
        context.log.warning(f"{step.key}: {problem}")
    for listener in listeners:
        listener(step)


def _inputs(instance: dg.DagsterInstance, step: Step, settings: Settings) -> list[Input]:
    """What a step was made from: the sha256 of the file (or `all partitions`), and its last event in the log."""
    found = []
    for table in UPSTREAM.get(step.stage, ()):
        path = settings.lake / table / f"{step.key}.parquet" if step.key else settings.lake / f"{table}.parquet"
        version = storage.sha256_file(path) if path.exists() else "all partitions"
        partitions = [step.key] if step.key else None
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=partitions), limit=1
        ).records
        found.append(Input(table, version, str(records[0].storage_id) if records else "NULL"))
    return found


def _checks(step: Step, settings: Settings) -> Iterable[dg.AssetCheckResult]:
    """The checks of the assets that a step stands for, first those that every table has."""
    yield from key_results(step, settings)
    if step.stage == "submissions":
        yield from submission_checks(step)
    elif step.stage == "validation" and step.key:
        yield from validation_checks(storage.read_table(settings.lake, tables.VALIDATION_RESULTS, step.key))
    elif step.stage == "harmonisation" and step.key and step.outputs:
        yield from harmonisation_checks(settings.lake, step.key)
    elif step.stage == "estimation" and step.outputs:
        yield from estimation_checks(storage.read_table(settings.lake, tables.CITIZEN_ESTIMATES, step.key))
    elif step.stage == "status":
        yield from status_checks(step)
    elif step.stage == "official":
        yield from official_checks(settings.lake)
    elif step.stage == "gaps":
        yield from gap_checks(settings.lake)
    elif step.stage == "publication":
        yield from publication_checks(Path(step.texts["path"]))


def _evaluation(result: dg.AssetCheckResult, key: str | None) -> dg.AssetCheckEvaluation:
    assert result.asset_key is not None and result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        metadata=result.metadata or {},
        severity=result.severity,
        partition=key,
    )


class BulkConfig(dg.Config):
    """Which submissions to run; all of the inbox when none is named."""

    submissions: list[str] = []  # noqa: RUF012 - a Dagster Config is a pydantic model


def _for_each_key(stage: str, run: Callable[..., Step]) -> dg.OpDefinition:
    @dg.op(name=stage, ins={"keys": dg.In(list)}, out=dg.Out(list))
    def each_key(context: dg.OpExecutionContext, settings: PipelineSettings, keys: list) -> list:
        loaded = settings.load()
        for key in keys:
            more = {"now": now()} if stage == "submissions" else {}
            _done(context, attempt(run, loaded, key, **more), loaded)
        return keys

    return each_key


@dg.op(name="inbox", out=dg.Out(list))
def inbox_op(context: dg.OpExecutionContext, settings: PipelineSettings, config: BulkConfig) -> list:
    """The keys of the run; new ones are added to the instance."""
    keys = config.submissions or inbox_keys(settings.load())
    add_keys(context.instance, keys)
    return list(keys)


submissions_op = _for_each_key("submissions", run_submissions)
validation_op = _for_each_key("validation", run_validation)
harmonisation_op = _for_each_key("harmonisation", run_harmonisation)
estimation_op = _for_each_key("estimation", run_estimation)


@dg.op(name="official", ins={"keys": dg.In(list)}, out=dg.Out(list))
def official_op(context: dg.OpExecutionContext, settings: PipelineSettings, keys: list) -> list:
    """The state of the submissions, and stage 5."""
    loaded = settings.load()
    _done(context, run_status(loaded, now()), loaded)
    _done(context, run_official(loaded, now()), loaded)
    return keys


@dg.op(name="gaps", ins={"keys": dg.In(list)}, out=dg.Out(list))
def gaps_op(context: dg.OpExecutionContext, settings: PipelineSettings, keys: list) -> list:
    """Stage 6."""
    loaded = settings.load()
    _done(context, run_gaps(loaded), loaded)
    return keys


@dg.op(name="publication", ins={"keys": dg.In(list)})
def publication_op(context: dg.OpExecutionContext, settings: PipelineSettings, keys: list) -> None:
    """Stage 7."""
    loaded = settings.load()
    _done(context, run_publication(loaded, now()), loaded)


@dg.job(executor_def=dg.in_process_executor, description="Every stage for every submission, in one run (bulk work)")
def whole_job() -> None:
    """From the inbox to the release."""
    publication_op(gaps_op(official_op(estimation_op(harmonisation_op(validation_op(submissions_op(inbox_op())))))))
