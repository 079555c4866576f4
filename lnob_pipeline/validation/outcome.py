"""The decision on a hand-in, and the tables of the stage made from what was found.

Here belong which rows are in quarantine, the balance (rows in the file = accepted + in quarantine + refused, for each
record), the state, and the frames of stage 2. What is found is in the other modules of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.mappings.models import Instrument
from lnob_pipeline.settings import Settings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import FITNESS, LINKAGE, QUARANTINE, RESPONSES, VALIDATION_OUTCOMES, VALIDATION_RESULTS
from lnob_pipeline.validation.consent import REFUSALS
from lnob_pipeline.validation.copies import Copy
from lnob_pipeline.validation.findings import FINDING, KEY, LABEL, PARENT, ROW, Findings, Result, Rows
from lnob_pipeline.validation.privacy import public_file
from lnob_pipeline.validation.rules import REASONS, RULES
from lnob_pipeline.validation.structure import Source, parents_first, sheet_of

PLAN_SHARE = 0.8
"""Fewer than four in five of the planned units is said."""
STOPPING = ("readable", "structure", "consent")
"""Without these no row is read further."""
STATE_OF = {"blocking": "rejected", "review": "waiting_for_review", "warning": "accepted_with_flags"}
WITHHELD = ("rejected", "waiting_for_review")
"""States in which nothing of the version is passed on."""


@dataclass(frozen=True)
class Validated:
    """What stage 2 says of one version of one submission.

    responses is None when the submission is rejected or waits for a person; quarantine, results and outcome are always
    there. findings holds all that the partner can mend, also what is no row or cell (columns: FINDING); copies holds,
    by record, the partner's rows as they may be shown to it; places: {record: (file, sheet)}. balance: record, n_rows,
    n_accepted, n_quarantined, n_refused. fitness: the scorecard, as the table of that name.
    """

    manifest: Manifest
    responses: pl.DataFrame | None
    quarantine: pl.DataFrame
    results: pl.DataFrame
    outcome: pl.DataFrame
    findings: pl.DataFrame
    balance: pl.DataFrame
    places: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    fitness: pl.DataFrame = field(default_factory=FITNESS.empty)
    linkage: pl.DataFrame = field(default_factory=LINKAGE.empty)

    @property
    def state(self) -> str:
        """accepted, accepted_with_flags, waiting_for_review or rejected."""
        return str(self.outcome["state"][0])

    @property
    def rows(self) -> dict[str, pl.DataFrame]:
        """By record, the partner's rows as they may be shown to it."""
        return {name: copy.frame for name, copy in self.copies.items()}

    @property
    def accepted(self) -> bool:
        """Whether the responses may be promoted."""
        return self.responses is not None


def quarantined(rows: dict[str, Rows], instrument: Instrument, found: Findings) -> dict[str, pl.Series]:
    """For each record which rows are in quarantine: their own faults, and rows that belong to such a row."""
    listed = found.table().filter(pl.col("effect") == "row")
    out: dict[str, pl.Series] = {}
    for name in parents_first(instrument):
        part = rows[name]
        own = listed.filter(pl.col("record") == name)["label"].unique()
        out[name] = part.frame[LABEL].is_in(own.implode())
        parent = part.record.parent
        if parent is not None and out[parent].any():
            keys = rows[parent].frame.filter(out[parent])[KEY]
            waiting = part.frame[PARENT].is_in(keys.implode()).fill_null(False) & ~out[name]
            found.add(part, waiting, _first_rule(listed, parent), "row", "parent_out", column=part.record.parent_key)
            out[name] = out[name] | waiting
            listed = found.table().filter(pl.col("effect") == "row")
    return out


def _first_rule(listed: pl.DataFrame, parent: str) -> str:
    """The rule that most of the parents in quarantine broke."""
    return str(listed.filter(pl.col("record") == parent)["rule_id"].mode().sort()[0])


def balance_of(
    sources: dict[str, Source], rows: dict[str, Rows], refused: dict[str, pl.DataFrame], out: dict[str, pl.Series]
) -> pl.DataFrame:
    """Rows of each record: in the file, accepted, in quarantine, refused. Nothing is checked without consent."""
    lines = []
    for name, source in sources.items():
        n_refused = refused[name].height if name in refused else 0
        quarantined = int(out[name].sum()) if name in out else 0
        n = source.table.frame.height
        accepted = rows[name].frame.height - quarantined if name in rows else 0
        lines.append((name, n, accepted, quarantined if name in rows else n - n_refused, n_refused))
    names = ("record", "n_rows", "n_accepted", "n_quarantined", "n_refused")
    schema = {"record": pl.String(), **dict.fromkeys(names[1:], pl.Int32())}
    return pl.DataFrame(lines, schema=schema, orient="row")


def counts_of(balance: pl.DataFrame, main: str | None) -> tuple[int, int, int, int]:
    """Rows of the main record: in the file, accepted, in quarantine, refused; zeros where it is not there."""
    line = balance.filter(pl.col("record") == main).drop("record").rows() if main else []
    return line[0] if line else (0, 0, 0, 0)


def check_sizes(
    manifest: Manifest, balance: pl.DataFrame, main: str | None, settings: Settings, found: Findings
) -> None:
    """Completeness of the hand-in, and the share in quarantine."""
    n, accepted, quarantined, refused = counts_of(balance, main)
    stopped = found.blocked(*STOPPING)
    if manifest.data_type == "household_survey" and n:
        achieved, planned = manifest.sample_size.achieved, manifest.sample_size.planned
        if achieved not in (n, n - refused):
            found.whole("completeness", "achieved_differs", achieved=achieved, rows=n)
        else:
            found.result("completeness", n, 0, expectation="achieved_as_declared", record=main)
        if n - refused < PLAN_SHARE * planned:
            found.whole("completeness", "far_below_plan", rows=n - refused, planned=planned, n_checked=planned)
        else:
            found.result("completeness", n, 0, expectation="reached_the_plan", record=main)
    if stopped:
        return
    consented = n - refused
    share = quarantined / consented if consented else 0.0
    details: dict[str, Any] = {
        "quarantined": quarantined,
        "n": consented,
        "n_checked": consented,
        "n_failed": quarantined,
    }
    if accepted == 0:
        found.whole(
            "quarantine_share", "nothing_accepted", severity="blocking", n_checked=consented, n_failed=quarantined
        )
    elif share > settings.rejection_share_limit:
        limit = f"{100 * settings.rejection_share_limit:g}"
        found.whole("quarantine_share", "quarantine_high", severity="blocking", limit=limit, **details)
    elif share > settings.quarantine_share_limit:
        limit = f"{100 * settings.quarantine_share_limit:g}"
        found.whole("quarantine_share", "quarantine_high", limit=limit, **details)
    else:
        message = f"{quarantined} of {consented} rows in quarantine"
        found.result(
            "quarantine_share", consented, quarantined, expectation="quarantine_high", outcome="passed", message=message
        )


def assemble(
    manifest: Manifest,
    version: str,
    mappings: Mappings,
    rows: dict[str, Rows],
    refused: dict[str, pl.DataFrame],
    out: dict[str, pl.Series],
    sources: dict[str, Source],
    balance: pl.DataFrame,
    main: str | None,
    found: Findings,
) -> Validated:
    """The frames of the stage."""
    places = {name: (public_file(source.file), sheet_of(source)) for name, source in sources.items()}
    spread = [
        _refused_findings(each.filter("own"), name, places[name]) for name, each in refused.items() if each["own"].any()
    ]
    findings = pl.concat([found.table(), *spread])
    state = state_of(found)
    rejected, withheld = state == "rejected", state in WITHHELD
    n, accepted, quarantined, n_refused = counts_of(balance, main)
    severities = {"rejected": ("blocking",), "waiting_for_review": ("review",)}.get(state, ("warning",))
    reasons = [result for result in found.results if result.outcome == "failed" and result.severity in severities]
    taken = [r.message.split(":")[0] for r in found.results if r.expectation == "taken_out"] if rejected else []
    kinds = [f"{RULES['identifiers'].title}: {', '.join(sorted(set(taken)))}"] if taken else []
    outcome = {
        "submission_id": manifest.submission,
        "version": version,
        "state": state,
        "reasons": " | ".join(dict.fromkeys([*map(_reason, reasons), *kinds])),
        "n_rows": n,
        "n_accepted": 0 if withheld else accepted,
        "n_quarantined": n - n_refused if withheld else quarantined,
        "n_refused": n_refused,
        "quarantine_share": quarantined / (n - n_refused) if n > n_refused else None,
        "citizen_data": manifest.engagement.is_citizen_data,
        "mapping_version": mappings.instrument_version(manifest.instrument),
    }
    identity = pl.lit(manifest.submission).alias("submission_id")
    quarantine = findings.filter(pl.col("effect").is_in(["row", "cell", "refused"])).with_columns(identity)
    results = pl.DataFrame(
        [vars(result) for result in _every_rule(found.results, found.blocked(*STOPPING))],
        schema={name: kind for name, kind in VALIDATION_RESULTS.schema.items() if name != "submission_id"},
    ).with_columns(identity)
    return Validated(
        manifest=manifest,
        responses=None if withheld else _responses(manifest, rows, out),
        quarantine=quarantine.select(list(QUARANTINE.schema)).sort(QUARANTINE.key, nulls_last=True),
        results=results.select(list(VALIDATION_RESULTS.schema)).sort(VALIDATION_RESULTS.key, nulls_last=True),
        outcome=pl.DataFrame([outcome], schema=VALIDATION_OUTCOMES.schema),
        findings=findings,
        balance=balance,
        places=places,
    )


def decided(found: Findings, reviews: Mapping[str, str]) -> Findings:
    """The findings after a reviewer's decisions: what was accepted is a flag, what was rejected stops the hand-in.

    reviews: rule -> accept or reject. Only what waits for a person can be decided so.
    """
    becomes = {rule: {"accept": "warning", "reject": "blocking"}[decision] for rule, decision in reviews.items()}
    results = [
        replace(result, severity=becomes[result.rule_id])
        if result.severity == "review" and result.rule_id in becomes
        else result
        for result in found.results
    ]
    severity = (
        pl.when(pl.col("severity") == "review")
        .then(pl.col("rule_id").replace_strict(becomes, default="review", return_dtype=pl.String))
        .otherwise("severity")
        .alias("severity")
    )
    return Findings([frame.with_columns(severity) for frame in found.frames], results)


def state_of(found: Findings) -> str:
    """The state that the worst failure makes: blocking before what waits for a person, and that before a flag."""
    failed = {result.severity for result in found.results if result.outcome == "failed"}
    return next((state for severity, state in STATE_OF.items() if severity in failed), "accepted")


def _reason(result: Result) -> str:
    """A failed result as a sentence that names its place."""
    place = ", ".join(part for part in (result.record, result.column) if part)
    title = RULES[result.rule_id].title
    return f"{title} ({place}): {result.message}" if place else f"{title}: {result.message}"


def _every_rule(results: list[Result], stopped: bool) -> list[Result]:
    """The results, and one line for each rule that had nothing to look at, or was not reached."""
    answered = {result.rule_id for result in results}
    message = "not looked at, because the hand-in stopped before" if stopped else "nothing to look at in this hand-in"
    absent = [
        Result(rule.rule_id, rule.severity, "not_applicable", "any", message)
        for rule in RULES.values()
        if rule.rule_id not in answered
    ]
    return [*results, *absent]


def _refused_findings(refused: pl.DataFrame, name: str, place: tuple[str, str | None]) -> pl.DataFrame:
    """Refused rows: number, rule and reason, nothing else. Members of a refused household are counted, not listed."""
    constant = {
        "record": name, "file": place[0], "sheet": place[1], "column": None, "effect": "refused", "written": None,
        "severity": "information", "details": "{}",
    }  # fmt: skip
    said: dict[str, pl.Expr] = {
        "row_number": pl.col(ROW),
        "label": pl.col(ROW),
        "reason_id": pl.col("reason"),
        "rule_id": pl.col("reason").replace_strict(REFUSALS),
        "reason": pl.col("reason").replace_strict({reason: REASONS[reason][0] for reason in REFUSALS}),
        "mend": pl.col("reason").replace_strict({reason: REASONS[reason][1] for reason in REFUSALS}),
    }
    return refused.select(
        said.get(column, pl.lit(constant.get(column))).cast(kind).alias(column) for column, kind in FINDING.items()
    )


def _responses(manifest: Manifest, rows: dict[str, Rows], out: dict[str, pl.Series]) -> pl.DataFrame:
    """Accepted rows with their kept text.

    Keys are not those of the source, which could lead back to a person: a key is the record and the number of the first
    row that carries the source's key.
    """
    frames = []
    keys: dict[str, pl.DataFrame] = {}
    for name, part in rows.items():
        first = pl.when(pl.col(KEY).is_null()).then(LABEL).otherwise(pl.col(LABEL).first().over(KEY))
        keys[name] = part.frame.select(KEY, pl.format("{}-{}", pl.lit(name), first).alias("record_key"))
    for name, part in rows.items():
        frame = (
            keys[name]
            .select("record_key")
            .with_columns(
                pl.lit(manifest.submission).alias("submission_id"),
                pl.lit(name).alias("record"),
                part.frame[ROW].alias("row_number"),
                pl.lit(None, dtype=pl.String).alias("parent_key"),
                *(series.alias(header) for header, series in part.kept.items()),
            )
        )
        if part.record.parent is not None:
            parents = keys[part.record.parent].drop_nulls(KEY).unique(KEY)
            links = part.frame.select(PARENT).join(
                parents, left_on=PARENT, right_on=KEY, how="left", maintain_order="left"
            )
            frame = frame.with_columns(links["record_key"].alias("parent_key"))
        frames.append(frame.filter(~out[name]))
    fixed = list(RESPONSES.schema)
    whole = pl.concat(frames, how="diagonal")
    return whole.select(*fixed, *sorted(column for column in whole.columns if column not in fixed))
