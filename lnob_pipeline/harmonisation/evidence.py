"""Evidence: what score cards, discussions, interviews and policy reviews say of an indicator, as counts and scores.

The unit is a group, a document or a question, never a person: nothing here is a share of a population. A
consolidated score is a judgement of a group (CARE community score card); excerpts are counted as distinct
highlights and documents.
Free text never comes this far: validation leaves it out.
"""

from __future__ import annotations

import duckdb
import polars as pl

from lnob_pipeline.mappings.expressions import literal, quoted
from lnob_pipeline.mappings.models import Instrument, Record
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.tables import CITIZEN_EVIDENCE


def evidence(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, instrument: Instrument, responses: pl.DataFrame
) -> pl.DataFrame:
    """The table CITIZEN_EVIDENCE of one submission; empty for a survey.

    A score record without a column of groups holds the providers' scores of themselves. The area is named only where
    the manifest allows it and all that stands behind a row comes from one first-level area.
    """
    if not instrument.statements or responses.is_empty():
        return CITIZEN_EVIDENCE.empty()
    connection.register("responses", responses)
    statements = pl.DataFrame(
        [(key, item.code, item.indicator) for key, item in instrument.statements.items()],
        schema=["source_statement", "statement", "indicator"],
        orient="row",
    )
    connection.register("statements", statements)
    makers = {"score": _scores, "excerpt": _excerpts, "answer": _answers}
    queries = [
        makers[record.unit](name, record, instrument, responses.columns)
        for name, record in instrument.records.items()
        if record.unit in makers
    ]
    frames = [connection.sql(query).pl() for query in queries]
    connection.unregister("statements")
    connection.unregister("responses")
    areas = manifest.geography.admin1
    only = areas[0] if len(areas) == 1 else None
    scale = instrument.scale
    combined = pl.concat(frames, how="diagonal")
    return (
        pl.concat([CITIZEN_EVIDENCE.empty(), combined.cast(_kinds(combined))], how="diagonal")
        .with_columns(
            submission_id=pl.lit(manifest.submission),
            iso3=pl.lit(manifest.country),
            area=pl.when(manifest.disclosure.place).then(pl.coalesce("area", pl.lit(only, dtype=pl.String))),
            year=pl.lit(manifest.year, dtype=pl.Int32),
            scale_minimum=pl.when(pl.col("score").is_not_null()).then(
                pl.lit(scale.minimum if scale else None, dtype=pl.Float64)
            ),
            scale_maximum=pl.when(pl.col("score").is_not_null()).then(
                pl.lit(scale.maximum if scale else None, dtype=pl.Float64)
            ),
            better=pl.when(pl.col("score").is_not_null()).then(
                pl.lit(scale.better if scale else None, dtype=pl.String)
            ),
            comparability=pl.when(pl.col("evidence_type") == "policy_review").then(pl.lit("E")).otherwise(pl.lit("D")),
        )
        .sort(list(CITIZEN_EVIDENCE.key), nulls_last=True)
    )


def _kinds(frame: pl.DataFrame) -> dict[str, pl.DataType]:
    return {name: CITIZEN_EVIDENCE.schema[name] for name in frame.columns}


def _role(record: Record, role: str, present: list[str]) -> str | None:
    """The SQL of a role's column with its codes applied; None where the record has no such column."""
    for source, column in record.columns.items():
        if column.role == role and source in present:
            text = f"nullif(trim(responses.{quoted(source)}), '')"
            if not column.codes:
                return text
            whens = " ".join(f"WHEN {literal(key)} THEN {literal(code)}" for key, code in column.codes.items())
            return f"CASE {text} {whens} END"
    return None


def _scores(name: str, record: Record, instrument: Instrument, present: list[str]) -> str:
    group, place = _role(record, "group", present), _role(record, "admin1", present) or "NULL::VARCHAR"
    return f"""
        SELECT statements.statement, statements.indicator, {group or "NULL::VARCHAR"} AS marginalised_group,
               {literal("score_card" if group else "provider_score")} AS evidence_type,
               avg(TRY_CAST({_role(record, "score", present)} AS DECIMAL(18, 6))) AS score,
               count(*) AS n_groups,
               CASE WHEN count(DISTINCT {place}) = 1 THEN min({place}) END AS area,
               sum(TRY_CAST({_role(record, "participants", present) or "NULL::VARCHAR"} AS INTEGER)) AS n_participants
        FROM responses JOIN statements ON source_statement = {_role(record, "statement", present)}
        WHERE record = {literal(name)} AND TRY_CAST({_role(record, "score", present)} AS DOUBLE) IS NOT NULL
        GROUP BY ALL"""


def _excerpts(name: str, record: Record, instrument: Instrument, present: list[str]) -> str:
    documents = next(((key, item) for key, item in instrument.records.items() if item.unit == "participant"), None)
    if documents is None:
        raise ValueError(f"instrument {instrument.instrument}: excerpts need a record of unit participant")
    key, described = documents
    return f"""
        WITH documents AS (
            SELECT {_role(described, "document", present)} AS document,
                   any_value({_role(described, "kind", present)}) AS kind,
                   any_value({_role(described, "group", present)}) AS marginalised_group,
                   any_value({_role(described, "admin1", present) or "NULL::VARCHAR"}) AS place,
                   sum(TRY_CAST({_role(described, "participants", present)} AS INTEGER)) AS participants
            FROM responses WHERE record = {literal(key)} GROUP BY 1),
        coded AS (
            SELECT statements.statement, statements.indicator, {_role(record, "document", present)} AS document,
                   count(DISTINCT record_key) AS mentions
            FROM responses JOIN statements ON source_statement = {_role(record, "statement", present)}
            WHERE record = {literal(name)} GROUP BY ALL)
        SELECT statement, indicator, marginalised_group, kind AS evidence_type, 'mentioned' AS finding,
               CASE WHEN count(DISTINCT place) = 1 AND count(place) = count(*) THEN min(place) END AS area,
               count(*) AS n_groups, sum(participants) AS n_participants, sum(mentions) AS n_mentions
        FROM coded JOIN documents USING (document) GROUP BY ALL"""


def _answers(name: str, record: Record, instrument: Instrument, present: list[str]) -> str:
    return f"""
        SELECT statements.statement, statements.indicator,
               {_role(record, "group", present) or "NULL::VARCHAR"} AS marginalised_group,
               'policy_review' AS evidence_type, {_role(record, "answer", present)} AS finding,
               {_role(record, "source", present) or "NULL::VARCHAR"} AS source
        FROM responses JOIN statements ON source_statement = {_role(record, "statement", present)}
        WHERE record = {literal(name)}"""
