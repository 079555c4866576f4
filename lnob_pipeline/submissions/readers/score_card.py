"""Community score card workbooks: statements x groups under a merged two-row header, unpivoted; nothing is guessed.

Source of the method: community score card (CARE, World Vision): each group scores the same statements, the provider
scores them separately, an interface meeting agrees on actions. The sheet `scores` of the template:

    | Community | No. | Statement |     Women (merged)    |      Men (merged)     |
    |           |     |           |  Score    |  Comment  |  Score    |  Comment  |

Titles may stand above. A community may be merged down over its statements. A score belongs to the group whose merged
header covers its column: a header that is not merged, or a community that is neither written nor merged, is an error.
The sheet `scale` declares minimum, maximum and better (high or low); the sheet `groups` tells who took part.
"""

from __future__ import annotations

import polars as pl

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers.spreadsheet import Sheet, read_sheets, require_sheets, sheet_table
from lnob_pipeline.submissions.readers.table import ReaderError, SourceTable

FIXED = ["Community", "No.", "Statement"]
UNDER_GROUP = ["Score", "Comment"]
REQUIRED = ("scale", "groups", "scores")
OPTIONAL = ("provider_scores", "interface_meeting", "action_plan")


def read(content: bytes, file: DataFile) -> dict[str, SourceTable]:
    """The tables scale, groups and scores, and provider_scores, interface_meeting, action_plan where they are there.

    scores has the columns meeting, community, no, statement_text, group, participants, score, comment, and one row for
    each statement and group; its row numbers are those of the sheet. scores and groups share the column meeting, which
    is "community / group"; participants comes from the sheet groups. Raises ReaderError.
    """
    sheets = {name.strip().lower(): sheet for name, sheet in read_sheets(content, file.path).items()}
    require_sheets(sheets, REQUIRED, file.path)
    tables = {
        name: sheet_table(sheets[name], file.path)
        for name in ("scale", "groups", *OPTIONAL)
        if name in sheets and sheets[name].height
    }
    if empty := [name for name in ("scale", "groups") if name not in tables]:
        raise ReaderError(file.path, "the sheet {sheets} is empty", "fill in the template", sheets=", ".join(empty))
    _check_scale(tables["scale"])
    tables["groups"] = _with_meeting(tables["groups"])
    return tables | {"scores": _with_participants(_unpivoted(sheets["scores"], file.path), tables["groups"])}


def _check_scale(scale: SourceTable) -> None:
    columns = {"minimum", "maximum", "better"}
    if not columns <= set(scale.frame.columns) or scale.frame.height != 1:
        raise ReaderError(
            scale.file,
            "the scale is not declared",
            "write minimum, maximum and better (high or low) in the first row and their values in the second",
            sheet="scale",
            row=1,
        )


def _with_meeting(groups: SourceTable) -> SourceTable:
    if absent := {"community", "group", "participants"} - set(groups.frame.columns):
        raise ReaderError(
            groups.file,
            "the column {columns} is not there",
            "name it",
            sheet="groups",
            row=1,
            columns=", ".join(sorted(absent)),
        )
    meeting = pl.format("{} / {}", "community", "group").alias("meeting")
    frame = groups.frame.select(meeting, pl.all())
    twice = frame["meeting"].is_duplicated()
    if twice.any():
        row = groups.row_numbers.filter(twice)[0]
        raise ReaderError(groups.file, "a group stands twice", "leave one line a group", sheet="groups", row=row)
    return SourceTable("groups", frame, groups.row_numbers, groups.file, groups.sheet)


def _with_participants(scores: SourceTable, groups: SourceTable) -> SourceTable:
    """How many took part stands beside each score: a score without that is worth little."""
    unknown = ~scores.frame["meeting"].is_in(groups.frame["meeting"].to_list())
    if unknown.any():
        raise ReaderError(
            scores.file,
            "a group of this row has no line in the sheet groups",
            "write community, group and participants there, spelt as here",
            sheet="scores",
            row=scores.row_numbers.filter(unknown)[0],
        )
    people = groups.frame.select("meeting", "participants")
    frame = scores.frame.join(people, on="meeting", how="left", maintain_order="left")
    columns = ["meeting", "community", "no", "statement_text", "group", "participants", "score", "comment"]
    return SourceTable("scores", frame.select(columns), scores.row_numbers, scores.file, scores.sheet)


def _unpivoted(sheet: Sheet, file: str) -> SourceTable:
    header = _header_row(sheet, file)
    groups = _groups(sheet, header, file)
    first = header + 2
    communities = _filled_down(sheet, first, file)
    frames = []
    for group, column in groups:
        frames.append(
            pl.DataFrame(
                {
                    "community": communities,
                    "no": sheet.columns[1][first:],
                    "statement_text": sheet.columns[2][first:],
                    "group": [group] * len(communities),
                    "score": sheet.columns[column][first:],
                    "comment": sheet.columns[column + 1][first:],
                },
                schema=dict.fromkeys(("community", "no", "statement_text", "group", "score", "comment"), pl.String),
            ).with_columns(pl.int_range(first + 1, first + 1 + len(communities), dtype=pl.Int64).alias("row_number"))
        )
    scores = pl.concat(frames).filter(pl.col("no").is_not_null()).sort("row_number", maintain_order=True)
    meeting = pl.format("{} / {}", "community", "group").alias("meeting")
    return SourceTable(
        "scores",
        scores.select(meeting, pl.exclude("row_number")),
        scores["row_number"],
        file,
        "scores",
    )


def _header_row(sheet: Sheet, file: str) -> int:
    for row in range(min(sheet.height, 20)):
        if [(cell or "").strip() for cell in sheet.row(row)[:3]] == FIXED:
            return row
    raise ReaderError(
        file,
        "no row begins with {columns}",
        "start from the template of the score card",
        sheet="scores",
        columns=", ".join(FIXED),
    )


def _groups(sheet: Sheet, header: int, file: str) -> list[tuple[str, int]]:
    """Each group and the column of its scores. Every group is a merged range over Score and Comment."""
    titles, parts = sheet.row(header), [(cell or "").strip() for cell in sheet.row(header + 1)]
    spans = {(top, left): right for top, left, bottom, right in sheet.merged if bottom == top}
    groups: list[tuple[str, int]] = []
    column = 3
    while column < len(titles) and (titles[column] or parts[column]):
        name = (titles[column] or "").strip()
        right = spans.get((header, column))
        if not name or right != column + 1 or parts[column : column + 2] != UNDER_GROUP:
            raise ReaderError(
                file,
                "column {column}: the name of a group is not merged over the two columns Score and Comment",
                "merge the cell with the name of the group over its two columns, as in the template",
                sheet="scores",
                row=header + 1,
                column=column + 1,
            )
        groups.append((name, column))
        column = right + 1
    if not groups:
        raise ReaderError(file, "there is no group", "start from the template", sheet="scores", row=header + 1)
    return groups


def _filled_down(sheet: Sheet, first: int, file: str) -> list[str | None]:
    """The community of each row: as written, or as a cell that is merged downwards says."""
    names = list(sheet.columns[0])
    for top, left, bottom, _ in sheet.merged:
        if left == 0 and top >= first:
            names[top : bottom + 1] = [names[top]] * (bottom + 1 - top)
    for row in range(first, sheet.height):
        if names[row] is None and sheet.columns[1][row] is not None:
            raise ReaderError(
                file,
                "the community is not written",
                "write it in every row, or merge its cell down",
                sheet="scores",
                row=row + 1,
            )
    return names[first:]
