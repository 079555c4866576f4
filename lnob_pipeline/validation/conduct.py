"""How the interviews were conducted: their length, answers that are too alike, and the review in the survey tool.

Here belong checks of the columns that a survey tool adds by itself. They stay in memory: who asked is a number in here,
and is named nowhere. What an interview says is looked at in contracts.py and quality.py. Sources: UN National Quality
Assurance Framework, principle 15; Kuriakose and Robbins (2016), Statistical Journal of the IAOS 32, on answers that
agree too well; KoboToolbox, ODK Central and SurveyCTO on their review states.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.columns import BETWEEN
from lnob_pipeline.validation.findings import Findings, Rows
from lnob_pipeline.validation.normalise import tidy_text

RULE = "conduct"
SHORT = 1 / 3
"""An interview is short below this share of the median (checks of field work, UNHCR and REACH)."""
ENOUGH_INTERVIEWS = 10
"""Fewer interviews give no median and no likeness to speak of."""
ALIKE = 0.9
"""Pairs of interviews that agree in more than this share of their answers are too alike."""
ENOUGH_QUESTIONS = 10
"""Fewer questions with different answers give no likeness to speak of."""
NAMES = {
    "start": ("start", "starttime", "start_time", "started_at"),
    "end": ("end", "endtime", "end_time", "ended_at"),
    "enumerator": (
        "enumerator_id", "enumerator", "enumerator_code", "enumerator_num", "enumerator_name", "interviewer_id",
        "interviewer", "interviewer_code", "interviewer_name", "surveyor_id", "surveyor", "surveyor_name", "enum_id",
        "enum_name", "username", "submitterid", "submittername", "submitted_by",
    ),
    "review": ("validation_status", "validation_status_uid", "reviewstate", "review_status"),
}  # fmt: skip
"""Headers of the survey tools, without the groups of the form before them and in order of choice."""
DESIGN_VARIABLES = (
    "interview_date", "admin1", "location", "stratum", "cluster", "household_weight", "eligible_adults",
    "population_clusters", "is_respondent",
)  # fmt: skip
"""Variables of place and design: that they agree says nothing of the answers."""


def tool_columns(headers: Sequence[str]) -> dict[str, str]:
    """What the survey tool adds -> its header in a table: start, end, enumerator, review, as far as they are there."""
    ends = {BETWEEN.split(tidy_text(header))[-1].strip("_").casefold(): header for header in reversed(headers)}
    found = {}
    for role, names in NAMES.items():
        header = next((ends[name] for name in names if name in ends), None)
        if header is not None:
            found[role] = header
    return found


def substantive(part: Rows) -> list[str]:
    """Columns of a record that answer a question of the bank, without place and design."""
    return [
        header
        for header, column in part.record.columns.items()
        if column.variable is not None and column.variable not in DESIGN_VARIABLES and header in part.kept
    ]


def check_conduct(part: Rows, beside: pl.DataFrame, manifest: Manifest, found: Findings) -> None:
    """All checks of this module on one record. beside: columns of the file, row for row."""
    tool = tool_columns(beside.columns)
    if "start" in tool and "end" in tool:
        check_duration(part, beside[tool["start"]], beside[tool["end"]], found)
    if "enumerator" in tool:
        check_alike(part, beside[tool["enumerator"]], found)
    if "review" in tool and manifest.tool_review != "ignore":
        check_tool_review(part, beside[tool["review"]], manifest, found)


def minutes_between(start: pl.Series, end: pl.Series) -> pl.Series:
    """Minutes from start to end; null where one of them is no date with a time."""
    frame = pl.DataFrame({"start": start, "end": end})
    return frame.select((_time(pl.col("end")) - _time(pl.col("start"))).dt.total_seconds() / 60).to_series()


def _time(cell: pl.Expr) -> pl.Expr:
    """A time as survey tools write it: 2019-05-27T10:12:33.000+03:00, 2019-05-27 10:12:33, May 27, 2019 6:26:24 PM."""
    local = cell.str.extract(r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2})", 1).str.replace("T", " ")
    offset = cell.str.extract_groups(r"([+-])([0-9]{2}):?([0-9]{2})?$")
    shift = offset.struct.field("2").cast(pl.Int64) * 60 + offset.struct.field("3").cast(pl.Int64).fill_null(0)
    signed = pl.when(offset.struct.field("1") == "-").then(-shift).otherwise(shift)
    after_time = cell.str.contains(r":[0-9]{2}(\.[0-9]+)?[+-][0-9]{2}:?([0-9]{2})?$")
    clock = local.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    moved = pl.when(after_time).then(clock - pl.duration(minutes=signed)).otherwise(clock)
    return pl.coalesce(moved, cell.str.to_datetime("%b %d, %Y %I:%M:%S %p", strict=False))


def check_duration(part: Rows, start: pl.Series, end: pl.Series, found: Findings) -> None:
    """Interviews shorter than a third of the median, and those that end before they start."""
    minutes = minutes_between(start, end)
    known = minutes.filter((minutes >= 0).fill_null(False))
    backward = (minutes < 0).fill_null(False)
    n = found.add(part, backward, RULE, "note", "ends_before_start")
    median = known.median()
    if len(known) >= ENOUGH_INTERVIEWS and isinstance(median, float) and median > 0:
        short = (minutes < SHORT * median).fill_null(False) & ~backward
        n += found.add(
            part, short, RULE, "note", "short_interview",
            details={"minutes": f"{SHORT * median:.0f}", "median": f"{median:.0f}"},
        )  # fmt: skip
    checked = len(minutes) - minutes.null_count()
    found.result(RULE, checked, n, expectation="duration", record=part.name)


def check_alike(part: Rows, enumerator: pl.Series, found: Findings) -> None:
    """Interviews of one enumerator that agree in more than nine of ten answers; a person looks at them."""
    likeness = likeness_by_group(part, enumerator)
    if likeness.is_empty():
        return
    alike = likeness.filter(pl.col("likeness") > ALIKE)["group"]
    groups = enumerator.rank("dense")
    mask = groups.is_in(alike.implode()).fill_null(False)
    n = found.add(part, mask, RULE, "note", "answers_alike", severity="review", details={"share": f"{100 * ALIKE:g}"})
    found.result(
        RULE, int(likeness["interviews"].sum()), n, expectation="answers_of_one_enumerator", record=part.name,
        severity="review" if n else "warning",
        message=f"{len(alike)} of {likeness.height} enumerators with interviews that are too alike ({n} interviews)",
    )  # fmt: skip


def likeness_by_group(part: Rows, enumerator: pl.Series) -> pl.DataFrame:
    """For each enumerator (a number) with enough interviews the mean share of pairs that agree, over the questions.

    Pairs of which one has no answer are left out, and questions in which the whole file agrees that well: they could
    not tell one enumerator from another.
    """
    groups = enumerator.rank("dense").cast(pl.Int64)
    empty = pl.DataFrame(schema={"group": pl.Int64(), "likeness": pl.Float64(), "interviews": pl.Int64()})
    sizes = (
        pl.DataFrame({"group": groups}).drop_nulls().group_by("group").agg(pl.len().cast(pl.Int64).alias("interviews"))
    )
    sizes = sizes.filter(pl.col("interviews") >= ENOUGH_INTERVIEWS)
    if sizes.is_empty():
        return empty
    whole = pl.repeat(0, len(groups), dtype=pl.Int64, eager=True)
    by_question = []
    for header in substantive(part):
        cells = part.kept[header]
        overall = agreement(whole, cells)
        if overall.height and overall["agreement"][0] <= ALIKE:
            by_question.append(agreement(groups, cells))
    if len(by_question) < ENOUGH_QUESTIONS:
        return empty
    means = pl.concat(by_question).group_by("group").agg(pl.col("agreement").mean().alias("likeness"))
    return sizes.join(means, on="group").select("group", "likeness", "interviews").sort("group")


def agreement(groups: pl.Series, cells: pl.Series) -> pl.DataFrame:
    """For each group the share of pairs of answers that are the same, where it has two answers or more."""
    frame = pl.DataFrame({"group": groups, "cell": cells}).drop_nulls()
    counts = frame.group_by("group", "cell").agg(pl.len().cast(pl.Float64).alias("n"))
    pairs = counts.group_by("group").agg(
        (pl.col("n") * (pl.col("n") - 1)).sum().alias("same"), pl.col("n").sum().alias("all")
    )
    return pairs.filter(pl.col("all") >= 2).select(
        "group", (pl.col("same") / (pl.col("all") * (pl.col("all") - 1))).alias("agreement")
    )


def tool_state(cell: pl.Expr) -> pl.Expr:
    """rejected, doubtful or approved, as a survey tool or its labels write it; null for anything else."""
    text = cell.str.to_lowercase().str.replace_all(r"[\s-]+", "_")
    return (
        pl.when(text.str.contains(r"not_approved|rejected"))
        .then(pl.lit("rejected"))
        .when(text.str.contains(r"on_hold|has_?issues"))
        .then(pl.lit("doubtful"))
        .when(text.str.contains(r"approved"))
        .then(pl.lit("approved"))
    )


def check_tool_review(part: Rows, review: pl.Series, manifest: Manifest, found: Findings) -> None:
    """Rows that were rejected in the survey tool are out, doubtful ones are flagged; or only approved rows are in."""
    state = pl.DataFrame({"cell": review.cast(pl.String)}).select(tool_state(pl.col("cell"))).to_series()
    if manifest.tool_review == "approved_only":
        out, reason = (state != "approved").fill_null(True), "not_approved_in_tool"
    else:
        out, reason = (state == "rejected").fill_null(False), "rejected_in_tool"
    n = found.add(part, out, RULE, "row", reason)
    n += found.add(part, (state == "doubtful").fill_null(False) & ~out, RULE, "note", "doubtful_in_tool")
    found.result(RULE, len(state) - state.null_count(), n, expectation="review_in_the_survey_tool", record=part.name)
