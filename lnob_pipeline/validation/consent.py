"""Consent, row by row: of a row without it nothing but its number and the reason goes past this module.

Here belongs who agreed to what, and who is refused with whom (the members of a household, the statements of a group):
the interview, sharing the answers, a guardian for a minor, privacy for sensitive questions. Consent for a scope counts
only where the answer means yes: a blank is no. What is done with the rows that consented is in contracts.py, what was
agreed to beyond the interview in scopes.py. Sources: OHCHR, A human-rights-based approach to data (privacy); WHO,
Putting women first (2001).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.answers import known_texts, spelled
from lnob_pipeline.validation.findings import KEY, LABEL, PARENT, ROW, Findings, Rows, nothing
from lnob_pipeline.validation.normalise import number_text, tidy, tidy_text
from lnob_pipeline.validation.privacy import public_file, public_words
from lnob_pipeline.validation.structure import Source, parents_first, sheet_of

REFUSALS = {
    "no_consent": "consent",
    "sharing_refused": "consent",
    "no_guardian_consent": "ethics",
    "no_privacy": "special_protocol",
}
"""Reason why a row is not read -> rule."""


@dataclass(frozen=True)
class Consenting:
    """What came of consent, by record.

    rows: those that consented. refused: row number, reason, and whether it is the row's own refusal or that of the row
    it belongs to. beside: columns of the file that are no answers (ids, times, marks of the survey tool), row for row
    with `rows`; they stay in memory. scopes: scope -> which rows of `rows` agreed to it. without_all: keys of the rows
    above that have refused members, so that their list of members is rightly shorter; in memory only.
    """

    rows: dict[str, Rows]
    refused: dict[str, pl.DataFrame]
    beside: dict[str, pl.DataFrame]
    scopes: dict[str, dict[str, pl.Series]]
    without_all: dict[str, pl.Series]


Reasons = dict[str, pl.Series]
"""Record -> for each row the reason why it is refused, or null."""


def consenting(
    manifest: Manifest,
    instrument: Instrument,
    sources: dict[str, Source],
    found: Findings,
    *,
    guardian_age: int,
    sensitive: Mapping[str, list[str]],
    beside: Mapping[str, list[str]] | None = None,
) -> Consenting | None:
    """Divide the rows; None where consent cannot be established.

    guardian_age: below it a guardian consents. sensitive: record -> its columns that need privacy. beside: record ->
    headers of the file that are kept beside the answers in memory.
    """
    frames = {name: _working(source) for name, source in sources.items()}
    reasons = _refused(manifest, instrument, sources, frames, found)
    if reasons is None:
        return None
    own = _refused_further(manifest, instrument, sources, frames, reasons, guardian_age, sensitive, found)
    if own is None:
        return None
    spread = _spread(own, instrument, frames)
    scopes = _scopes(manifest, instrument, sources, frames, found)
    rows: dict[str, Rows] = {}
    refused: dict[str, pl.DataFrame] = {}
    kept_beside: dict[str, pl.DataFrame] = {}
    without_all: dict[str, pl.Series] = {}
    for name, source in sources.items():
        out = spread[name].is_not_null()
        whole = pl.DataFrame([frames[name][ROW], spread[name].alias("reason"), own[name].is_not_null().alias("own")])
        refused[name] = whole.filter(out)
        agreed = frames[name].filter(~out)
        without_all[name] = frames[name].filter(out)[PARENT].drop_nulls().unique()
        mapped = [header for header, column in source.record.columns.items() if column.exclude is None]
        rows[name] = Rows(
            name,
            source.record,
            public_file(source.file),
            sheet_of(source),
            source.file.date_order,
            agreed.select(ROW, LABEL, KEY, PARENT, *mapped),
            instrument.choices,
            {
                reason: {column: mask.filter(~out) for column, mask in masks.items() if column in mapped}
                for reason, masks in source.answers.faults.items()
            },
            {column: mask.filter(~out) for column, mask in source.answers.not_ticked.items() if column in mapped},
        )
        ids = dict.fromkeys(h for h in (source.record.identity, source.record.key) if h in agreed.columns)
        others = [
            source.table.frame.select(tidy(pl.col(header))).to_series().filter(~out)
            for header in dict.fromkeys((beside or {}).get(name, ()))
            if header not in ids
        ]
        kept_beside[name] = pl.DataFrame([*(agreed[header] for header in ids if header), *others])
    agreed_to = {
        scope: {name: mask.filter(spread[name].is_null()) for name, mask in masks.items()}
        for scope, masks in scopes.items()
    }
    return Consenting(rows, refused, kept_beside, agreed_to, without_all)


def _working(source: Source) -> pl.DataFrame:
    """The table under the instrument's names, tidied, with row number, key and parent key."""
    record, answers = source.record, source.answers.frame
    ids = (record.key, record.identity, record.parent_key)
    used = [name for name in answers.columns if record.columns[name].exclude in (None, "consent") or name in ids]
    row = source.table.row_numbers.cast(pl.Int32).alias(ROW)
    chosen = pl.DataFrame([row, *(answers[name] for name in used)])  # a record may have no column that is used
    count = pl.int_range(1, pl.len() + 1).over(ROW)
    label = pl.when(pl.len().over(ROW) > 1).then(pl.format("{}-{}", ROW, count)).otherwise(pl.col(ROW).cast(pl.String))
    chosen = chosen.with_columns(label.alias(LABEL))
    key = pl.col(record.key) if record.key in chosen.columns else pl.col(LABEL)
    parent = pl.col(record.parent_key) if record.parent_key in chosen.columns else pl.lit(None, dtype=pl.String)
    return chosen.with_columns(key.alias(KEY), parent.alias(PARENT))


def _refused(
    manifest: Manifest,
    instrument: Instrument,
    sources: dict[str, Source],
    frames: dict[str, pl.DataFrame],
    found: Findings,
) -> Reasons | None:
    """For each record which rows are without consent to the interview; None where that cannot be established."""
    nobody = {name: nothing(frame.height) for name, frame in frames.items()}
    per_row_needed = manifest.data_type == "household_survey"
    if manifest.consent.obtained != "per_row":
        if per_row_needed or (manifest.consent.obtained == "not_applicable" and manifest.data_type != "policy_review"):
            found.whole("consent", "no_consent_declared")
            return None
        found.result("consent", 0, 0, expectation="consent_declared", message=f"obtained {manifest.consent.obtained}")
        return nobody
    place = _consent_place(manifest, instrument, sources)
    if place is None:
        found.whole("consent", "no_consent_question", column=public_words([manifest.consent.column or ""]))
        return None
    name, answers = place
    affirmative = {tidy_text(code) for code in manifest.consent.affirmative}
    if instrument.consent is not None:
        affirmative &= {tidy_text(code) for code in instrument.consent.affirmative}
    refused = ~answers.is_in(sorted(affirmative)).fill_null(False)
    n = int(refused.sum())
    if len(answers) and n == len(answers):
        words = public_words(sorted(affirmative))
        found.whole("consent", "nobody_consented", affirmative=words, n_checked=n, n_failed=n)
        return None
    message = f"{n} of {len(answers)} rows without consent; their answers are kept nowhere"
    found.result("consent", len(answers), 0, expectation="consent_given", record=name, message=message)
    return nobody | {name: _because(nobody[name], refused, "no_consent")}


def _refused_further(
    manifest: Manifest,
    instrument: Instrument,
    sources: dict[str, Source],
    frames: dict[str, pl.DataFrame],
    reasons: Reasons,
    guardian_age: int,
    sensitive: Mapping[str, list[str]],
    found: Findings,
) -> Reasons | None:
    """The reasons after sharing, guardians and privacy were looked at; None where a declared column is not there."""
    wanted = {
        "sharing_refused": manifest.consent.share_data_column,
        "no_guardian_consent": manifest.ethics.guardian_consent_column,
        "no_privacy": manifest.ethics.privacy_column if any(sensitive.values()) else None,
    }
    for reason, column in wanted.items():
        if column is None:
            continue
        place = _question(column, instrument, sources)
        if place is None:
            found.whole("consent", "no_scope_question", column=public_words([column]))
            return None
        name, cells = place
        yes = _means_yes(manifest, cells)
        if reason == "sharing_refused":
            refused = {name: ~yes}
        elif reason == "no_guardian_consent":
            refused = _unprotected_minors(name, yes, instrument, sources, frames, guardian_age)
        else:
            refused = _not_private(name, yes, instrument, frames, sensitive)
        before = reasons
        reasons = reasons | {each: _because(reasons[each], mask, reason) for each, mask in refused.items()}
        n = sum(int((reasons[each].is_not_null() & before[each].is_null()).sum()) for each in refused)
        n_checked = sum(len(mask) for mask in refused.values())
        found.result(
            REFUSALS[reason], n_checked, 0, expectation=reason, record=name,
            message=f"{n} of {n_checked} rows refused ({reason}); their answers are kept nowhere",
        )  # fmt: skip
    return reasons


def _because(reasons: pl.Series, mask: pl.Series, reason: str) -> pl.Series:
    """The reasons, with `reason` where `mask` holds and no other stands yet."""
    frame = pl.DataFrame({"r": reasons, "m": mask})
    return frame.select(pl.when(pl.col("m") & pl.col("r").is_null()).then(pl.lit(reason)).otherwise("r")).to_series()


def _means_yes(manifest: Manifest, cells: pl.Series) -> pl.Series:
    """Whether a cell of a column of consent means yes; a blank does not."""
    return cells.is_in([tidy_text(code) for code in manifest.consent.means_yes]).fill_null(False)


def _unprotected_minors(
    name: str,
    guardian: pl.Series,
    instrument: Instrument,
    sources: dict[str, Source],
    frames: dict[str, pl.DataFrame],
    guardian_age: int,
) -> dict[str, pl.Series]:
    """Minors who answered without a guardian's yes, and the household that their answers stand in.

    name, guardian: the record with the guardians' answers, and which of them are yes.
    """
    refused: dict[str, pl.Series] = {}
    roster = any(source.record.unit == "person" for source in sources.values())
    for each, source in sources.items():
        minor = _minor_respondents(source, frames[each], instrument, roster, guardian_age)
        if minor is None:
            continue
        allowed = _answer_for(each, name, guardian, source.record, frames)
        refused[each] = minor & ~allowed
        above = source.record.parent
        if above is not None and refused[each].any():
            keys = frames[each].filter(refused[each])[PARENT].drop_nulls()
            refused[above] = frames[above][KEY].is_in(keys.implode()).fill_null(False)
    return refused


def _minor_respondents(
    source: Source, frame: pl.DataFrame, instrument: Instrument, roster: bool, age: int
) -> pl.Series | None:
    """Who answered for themselves and is below an age; None where a record does not say it.

    In a household with a list of members the respondent is the marked member; without a mark it is everybody.
    """
    columns = source.record.columns
    ages = [header for header, column in columns.items() if column.variable == "age" and header in frame.columns]
    if not ages or source.record.unit not in ("person", "household"):
        return None
    years = frame.select(number_text(pl.col(ages[0])).cast(pl.Float64, strict=False)).to_series()
    codes = [code for kind in columns[ages[0]].missing.values() for code in kind]
    young = (years < age).fill_null(False) & ~frame[ages[0]].is_in(codes).fill_null(False)
    marks = [h for h, column in columns.items() if column.variable == "is_respondent" and h in frame.columns]
    if marks:
        column = columns[marks[0]]
        yes = [*column.positive, *(text for text, code in column.codes.items() if code == "yes")]
        said = frame.select(spelled(pl.col(marks[0]), known_texts(column, instrument.choices))).to_series()
        return young & said.is_in(yes).fill_null(False)
    return None if roster and source.record.unit == "household" else young


def _answer_for(each: str, name: str, yes: pl.Series, record: Record, frames: dict[str, pl.DataFrame]) -> pl.Series:
    """For the rows of a record the answer that stands there, or in the record above; no where it stands elsewhere."""
    if each == name:
        return yes
    if record.parent == name:
        keys = frames[name].filter(yes)[KEY].drop_nulls()
        return frames[each][PARENT].is_in(keys.implode()).fill_null(False)
    return pl.repeat(False, frames[each].height, dtype=pl.Boolean, eager=True)


def _not_private(
    name: str,
    private: pl.Series,
    instrument: Instrument,
    frames: dict[str, pl.DataFrame],
    sensitive: Mapping[str, list[str]],
) -> dict[str, pl.Series]:
    """Rows with an answer to a sensitive question, where nobody says that it was asked in private."""
    refused = {}
    for each, headers in sensitive.items():
        there = [pl.col(header).is_not_null() for header in headers if header in frames[each].columns]
        if there:
            answered = frames[each].select(pl.any_horizontal(there)).to_series()
            refused[each] = answered & ~_answer_for(each, name, private, instrument.records[each], frames)
    return refused


def _scopes(
    manifest: Manifest,
    instrument: Instrument,
    sources: dict[str, Source],
    frames: dict[str, pl.DataFrame],
    found: Findings,
) -> dict[str, dict[str, pl.Series]]:
    """Scope -> record -> which rows agreed to it, for the scopes that are asked row by row, sharing excepted.

    A scope whose column is not in the data was agreed to by nobody. Members follow their household.
    """
    agreed: dict[str, dict[str, pl.Series]] = {}
    for scope, column in manifest.consent.scope_columns.items():
        if scope == "share_data":
            continue
        place = _question(column, instrument, sources)
        masks = {each: pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True) for each, frame in frames.items()}
        if place is None:
            found.whole("consent", "no_scope_column", column=public_words([column]), severity="warning")
        else:
            name, cells = place
            masks[name] = _means_yes(manifest, cells)
            for each in parents_first(instrument):
                if each in frames and each != name:
                    masks[each] = _answer_for(each, name, masks[name], instrument.records[each], frames)
        agreed[scope] = masks
    return agreed


def _consent_place(
    manifest: Manifest, instrument: Instrument, sources: dict[str, Source]
) -> tuple[str, pl.Series] | None:
    """The record with the consent question, and its answers; the manifest and the instrument must mean the same."""
    said = instrument.consent
    if said is None:
        return _question(manifest.consent.column or "", instrument, sources)
    wanted, source = tidy_text(manifest.consent.column or ""), sources.get(said.record)
    if source is None:
        return None
    column = source.record.columns.get(said.column)
    names = {said.column, *(column.aliases if column else ())}
    if wanted not in {tidy_text(name) for name in names}:
        return None
    if said.column in source.answers.frame.columns:
        return said.record, source.answers.frame[said.column]
    header = next((h for h in source.table.frame.columns if tidy_text(h) == wanted == tidy_text(said.column)), None)
    return (said.record, source.table.frame.select(tidy(pl.col(header))).to_series()) if header else None


def _question(wanted: str, instrument: Instrument, sources: dict[str, Source]) -> tuple[str, pl.Series] | None:
    """The record with a question that the manifest names, and its answers; None where no table has it."""
    text = tidy_text(wanted)
    for name in parents_first(instrument):
        source = sources.get(name)
        if source is None:
            continue
        answers = source.answers.frame
        for column, said in source.record.columns.items():
            if column in answers.columns and text in {tidy_text(each) for each in (column, *said.aliases)}:
                return name, answers[column]
        header = next((h for h in source.table.frame.columns if tidy_text(h) == text), None)
        if header is not None:
            return name, source.table.frame.select(tidy(pl.col(header))).to_series()
    return None


def _spread(own: Reasons, instrument: Instrument, frames: dict[str, pl.DataFrame]) -> Reasons:
    """Members of a refused household, and statements of a refused group, are refused with it, for its reason."""
    refused = dict(own)
    for name in parents_first(instrument):
        above = instrument.records[name].parent
        if name in refused and above in refused and refused[above].null_count() < len(refused[above]):
            parents = frames[above].select(KEY).with_columns(refused[above].alias("reason")).drop_nulls()
            joined = frames[name].select(PARENT).join(
                parents.unique(KEY, keep="first", maintain_order=True),
                left_on=PARENT, right_on=KEY, how="left", maintain_order="left",
            )  # fmt: skip
            refused[name] = joined.select(pl.coalesce(refused[name], "reason")).to_series()
    headers = {name: document_column(record) for name, record in instrument.records.items() if name in frames}
    for start, header in headers.items():
        if header is None or own[start].null_count() == len(own[start]):
            continue
        silent = frames[start].select(header).with_columns(own[start].alias("reason")).drop_nulls()
        titles, reason = silent[header].unique(), str(silent["reason"].mode().sort()[0]) if silent.height else ""
        for name, other in headers.items():
            if name != start and other is not None:
                mask = frames[name][other].is_in(titles.implode()).fill_null(False)
                refused[name] = _because(refused[name], mask, reason)
    return refused


def document_column(record: Record) -> str | None:
    """The column with the title of a discussion or an interview; None where the record has none."""
    return next((header for header, column in record.columns.items() if column.role == "document"), None)
