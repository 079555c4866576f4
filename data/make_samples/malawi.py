"""Malawi 2020: a community score card on health care, with scores of four groups in seven communities."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import xlsxwriter

from data.make_samples import SEED, files

FOLDER = "mwi/mwi-2020-health-score-card"
GROUPS = ("Women", "Men", "Youth", "Persons with disabilities")
LEAN = (0.0, 0.25, -0.1, -0.75)
COMMUNITIES = {
    "Chitsanzo A": "MW-C",
    "Chitsanzo B": "MW-C",
    "Chitsanzo C": "MW-C",
    "Chitsanzo D": "MW-S",
    "Chitsanzo E": "MW-S",
    "Chitsanzo F": "MW-N",
    "Chitsanzo G": "MW-N",
}
STATEMENTS = {
    "H1": ("The health centre is easy to reach", 2.9),
    "H2": ("Everybody can pay what care costs", 3.1),
    "H3": ("Building and equipment are in good condition", 2.6),
    "H4": ("All people are treated equally", 3.0),
    "H5": ("Staff treat people with respect", 3.3),
    "H6": ("All in all we are satisfied with the health centre", 3.0),
    "W1": ("Safe water is near enough to our homes", 2.7),
    "W2": ("Households have a good toilet of their own", 2.5),
    "B1": ("Births in our community are registered", 3.4),
}
COMMENTS = (
    "",
    "",
    "",
    "",
    "The road is cut in the rains",
    "Drugs were out of stock for weeks",
    "Asked to call Chitsanzo 07 on +265888000123",
    "No ramp at the door",
)


def make() -> dict[str, bytes]:
    """The workbook."""
    rng = np.random.default_rng((SEED, 6))
    codes = list(STATEMENTS)
    level = np.array([value for _, value in STATEMENTS.values()])
    place = rng.normal(0, 0.4, len(COMMUNITIES))
    latent = (
        place[:, None, None]
        + level[None, :, None]
        + np.array(LEAN)[None, None, :]
        + rng.normal(0, 0.5, (len(COMMUNITIES), len(codes), 4))
    )
    scores = np.clip(np.round(latent), 1, 5).astype(int)
    provider = np.clip(np.round(level + 0.9 + rng.normal(0, 0.4, len(codes))), 1, 5).astype(int)
    comments = np.array(COMMENTS)[rng.integers(0, len(COMMENTS), scores.shape)]
    people = rng.integers(6, 17, (len(COMMUNITIES), 4))

    def write(book: xlsxwriter.Workbook) -> None:
        _plain(
            book,
            "scale",
            pl.DataFrame({"minimum": [1], "maximum": [5], "better": ["high"], "note": ["1 very bad, 5 very good"]}),
        )
        rows = [
            {
                "community": name,
                "group": group,
                "participants": int(people[c, g]),
                "admin1": admin1,
                "meeting_date": f"2020-02-{10 + c:02d}",
                "facilitator": f"Chitsanzo {c + 1:02d}",
            }
            for c, (name, admin1) in enumerate(COMMUNITIES.items())
            for g, group in enumerate(GROUPS)
        ]
        _plain(book, "groups", pl.DataFrame(rows))
        _scores(book, codes, scores, comments)
        _plain(
            book,
            "provider_scores",
            pl.DataFrame(
                {
                    "facility": ["Health centre"] * len(codes),
                    "no": codes,
                    "statement": [STATEMENTS[code][0] for code in codes],
                    "score": provider.tolist(),
                    "comment": [""] * len(codes),
                }
            ),
        )
        meetings = [
            {
                "community": name,
                "meeting_date": f"2020-03-{2 + c:02d}",
                "people_present": int(people[c].sum() + 6),
                "provider_present": "yes",
            }
            for c, name in enumerate(COMMUNITIES)
        ]
        _plain(book, "interface_meeting", pl.DataFrame(meetings))
        actions = [
            {
                "community": name,
                "statement": codes[int(np.argmin(scores[c].mean(axis=1)))],
                "action": "Agree with the district on a date",
                "responsible": f"Chitsanzo {c + 20:02d}, +26588800{c:04d}",
                "due_date": "2020-09-30",
            }
            for c, name in enumerate(COMMUNITIES)
        ]
        _plain(book, "action_plan", pl.DataFrame(actions))

    return {f"{FOLDER}/score_card.xlsx": files.workbook(write)}


def _plain(book: xlsxwriter.Workbook, name: str, frame: pl.DataFrame) -> None:
    sheet = book.add_worksheet(name)
    sheet.write_row(0, 0, frame.columns)
    for number, row in enumerate(frame.iter_rows(), start=1):
        sheet.write_row(number, 0, row)


def _scores(book: xlsxwriter.Workbook, codes: list[str], scores: np.ndarray, comments: np.ndarray) -> None:
    sheet = book.add_worksheet("scores")
    bold = book.add_format({"bold": True, "align": "center", "valign": "vcenter"})
    sheet.merge_range(0, 0, 0, 10, f"Community score card, {datetime.date(2020, 2, 28):%B %Y}", bold)
    for column, title in enumerate(("Community", "No.", "Statement")):
        sheet.merge_range(2, column, 3, column, title, bold)
    for place, group in enumerate(GROUPS):
        sheet.merge_range(2, 3 + 2 * place, 2, 4 + 2 * place, group, bold)
        sheet.write_row(3, 3 + 2 * place, ["Score", "Comment"], bold)
    for c, name in enumerate(COMMUNITIES):
        top = 4 + c * len(codes)
        sheet.merge_range(top, 0, top + len(codes) - 1, 0, name, bold)
        for s, code in enumerate(codes):
            sheet.write_row(top + s, 1, [code, STATEMENTS[code][0]])
            for g in range(len(GROUPS)):
                if not (c == 4 and s == 8 and g == 2):  # one group did not agree on a score: the cell stays empty
                    sheet.write_number(top + s, 3 + 2 * g, scores[c, s, g])
                if comments[c, s, g]:
                    sheet.write_string(top + s, 4 + 2 * g, comments[c, s, g])
