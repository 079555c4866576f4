"""Nigeria 2020: coded excerpts of discussions and interviews as Taguette exports them, and a policy review.

Quotes, legal sources and answers are invented: "Synthetic Act A" is no law of any country.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import xlsxwriter

from data.make_samples import SEED, files

DISCUSSIONS = "nga/nga-2020-discussions"
REVIEW = "nga/nga-2020-policy-review"

TAGS = {
    "sdg\\16.9.1\\barrier_cost": ("We were asked for money before the child could be written down", 9),
    "sdg\\16.9.1\\barrier_distance": ("The office is half a day away and it was closed", 8),
    "sdg\\16.9.1\\enabler_health_worker": ("The nurse did the papers when the baby was born", 5),
    "sdg\\1.4.1\\water_queue": ("We queue from before sunrise at one tap", 9),
    "sdg\\1.4.1\\water_cost": ("The vendor doubles the price in the dry season", 7),
    "sdg\\1.4.1\\toilet_shared": ("Four families share one toilet", 5),
    "sdg\\5.3.1\\pressure_poverty": ("When there is no money, a daughter is married early", 6),
    "sdg\\8.10.2\\no_identity_document": ("Without a card the bank sends you away", 7),
    "sdg\\10.3.1\\excluded_for_disability": ("They speak to my sister and not to me in the chair", 7),
    "sdg\\16.6.2\\clinic_respect": ("They shout at us at the clinic", 7),
    "sdg\\16.6.2\\clinic_cost": ("Care is free on paper and not at the counter", 5),
    "sdg\\16.7.2\\not_heard": ("They come before the vote and never after", 8),
}
EXTRA = ("", "", "", "", "", "", " Ask Mallam Misali 03 on +2348000000123.", " Misali 11 said this.")
MEETINGS = [
    ("FGD-01", "focus_group", "Internally displaced persons", 9, 9, "18-35", "NG-BO"),
    ("FGD-02", "focus_group", "Internally displaced persons", 8, 0, "18-60", "NG-BO"),
    ("FGD-03", "focus_group", "Persons with disabilities", 7, 4, "20-65", "NG-KD"),
    ("FGD-04", "focus_group", "Persons with disabilities", 6, 3, "18-50", "NG-LA"),
    ("FGD-05", "focus_group", "Young people", 10, 5, "18-24", "NG-LA"),
    ("FGD-06", "focus_group", "Young people", 9, 4, "18-24", "NG-KD"),
    ("FGD-07", "focus_group", "Pastoralists", 8, 2, "20-70", "NG-KD"),
    ("FGD-08", "focus_group", "Residents of informal settlements", 10, 6, "18-60", "NG-LA"),
    ("FGD-09", "focus_group", "Residents of informal settlements", 9, 5, "18-60", "NG-FC"),
    ("FGD-10", "focus_group", "Women", 8, 8, "25-60", "NG-BO"),
    ("KII-01", "interview", "Key informants", 1, 1, "", "NG-BO"),
    ("KII-02", "interview", "Key informants", 1, 0, "", "NG-BO"),
    ("KII-03", "interview", "Key informants", 1, 1, "", "NG-KD"),
    ("KII-04", "interview", "Key informants", 1, 0, "", "NG-KD"),
    ("KII-05", "interview", "Key informants", 1, 0, "", "NG-LA"),
    ("KII-06", "interview", "Key informants", 1, 1, "", "NG-LA"),
    ("KII-07", "interview", "Key informants", 1, 1, "", "NG-FC"),
    ("KII-08", "interview", "Key informants", 1, 0, "", "NG-FC"),
]
QUESTIONS = [
    ("16.9.1", "Is birth registration free of charge within the first 60 days?", "Yes", "Synthetic Act A, section 3"),
    ("16.9.1", "May a mother register a birth alone?", "Partly", "Synthetic Act A, section 5"),
    ("16.9.1", "Can displaced persons register births where they live now?", "No", "Synthetic Regulation A1, rule 12"),
    ("16.9.1", "Is late registration free of charge?", "No", "Synthetic Act A, section 9"),
    ("1.4.1", "Is access to safe drinking water a right in law?", "Partly", "Synthetic Act B, section 2"),
    ("1.4.1", "Must utilities serve informal settlements?", "No", "Synthetic Act B, section 14"),
    ("1.4.1", "Is there a social tariff for water?", "Partly", "Synthetic Regulation B2, rule 4"),
    (
        "6.2.1b",
        "Do building rules ask for places to wash hands in clinics and schools?",
        "Yes",
        "Synthetic Code C, part 4",
    ),
    (
        "7.1.2",
        "Does a policy lower the price of clean cooking fuel for poor households?",
        "Partly",
        "Synthetic Policy D, chapter 2",
    ),
    ("7.1.2", "Is there a target for clean cooking with a date?", "Yes", "Synthetic Policy D, chapter 1"),
    ("5.3.1", "Is the minimum age of marriage 18 for everybody?", "Partly", "Synthetic Act E, section 21"),
    ("5.3.1", "Are there exceptions with the consent of parents?", "Yes", "Synthetic Act E, section 22"),
    ("5.3.1", "Is child marriage a punishable offence?", "Partly", "Synthetic Act E, section 23"),
    (
        "5.b.1",
        "Can a SIM card be registered without a national identity number?",
        "No",
        "Synthetic Regulation F, rule 7",
    ),
    ("8.10.2", "Can an account be opened without proof of address?", "Partly", "Synthetic Circular G, paragraph 3"),
    ("8.10.2", "Must banks be accessible to persons with disabilities?", "Yes", "Synthetic Circular G, paragraph 8"),
    (
        "8.6.1",
        "Is there a public programme for young people who neither work nor study?",
        "Partly",
        "Synthetic Policy H, chapter 3",
    ),
    (
        "8.6.1",
        "Does the programme set aside places for young persons with disabilities?",
        "No",
        "Synthetic Policy H, chapter 3",
    ),
    ("10.3.1", "Does the law forbid discrimination because of disability?", "Yes", "Synthetic Act I, section 1"),
    ("10.3.1", "Does the law forbid discrimination because of descent?", "Partly", "Synthetic Act I, section 2"),
    ("10.3.1", "Is there a body that hears complaints free of charge?", "Partly", "Synthetic Act I, section 30"),
    ("16.6.2", "Do clinics have to answer complaints within a set time?", "No", "Synthetic Charter J, article 6"),
    ("16.6.2", "Are user fees waived for the poorest?", "Partly", "Synthetic Regulation J1, rule 2"),
    ("16.7.2", "Must local budgets be discussed in public?", "Yes", "Synthetic Act K, section 11"),
    (
        "16.7.2",
        "Are seats kept for marginalised groups in local committees?",
        "Not found",
        "Synthetic Act K, schedule 1",
    ),
]


def make() -> dict[str, bytes]:
    """Highlights, participants and the workbook of the review."""
    rng = np.random.default_rng((SEED, 7))
    tags = list(TAGS)
    weight = np.array([share for _, share in TAGS.values()], dtype=float)
    rows: list[tuple[int, str, str, str]] = []
    for number in range(1, 197):
        document = MEETINGS[int(rng.integers(0, len(MEETINGS)))][0]
        chosen = rng.choice(len(tags), size=2 if rng.random() < 0.18 else 1, replace=False, p=weight / weight.sum())
        content = TAGS[tags[int(chosen[0])]][0] + "." + EXTRA[int(rng.integers(0, len(EXTRA)))]
        rows.extend((number, document, tags[int(tag)], content) for tag in chosen)
    highlights = pl.DataFrame(rows, schema=["id", "document", "tag", "content"], orient="row")
    participants = pl.DataFrame(
        [
            (
                *meeting[:4],
                meeting[4],
                meeting[3] - meeting[4],
                *meeting[5:],
                f"2020-02-{3 + place:02d}",
                f"Misali {place + 1:02d}",
            )
            for place, meeting in enumerate(MEETINGS)
        ],
        schema=[
            "document",
            "kind",
            "group",
            "participants",
            "women",
            "men",
            "age_range",
            "admin1",
            "date",
            "facilitator",
        ],
        orient="row",
    )
    return {
        f"{DISCUSSIONS}/highlights.csv": files.delimited(highlights),
        f"{DISCUSSIONS}/participants.csv": files.delimited(participants),
        f"{REVIEW}/policy_review.xlsx": files.workbook(_review),
    }


def _review(book: xlsxwriter.Workbook) -> None:
    sheet = book.add_worksheet("answers")
    sheet.write_row(0, 0, ["no", "indicator", "question", "answer", "legal_source", "year", "comment", "reviewer"])
    for row, (indicator, question, answer, source) in enumerate(QUESTIONS, start=1):
        comment = "Answer and source are invented" if row % 5 == 0 else ""
        sheet.write_row(
            row, 0, [f"Q{row:02d}", indicator, question, answer, source, 2003 + row % 14, comment, "Misali 21"]
        )
    about = book.add_worksheet("about")
    about.write_column(
        0, 0, ["Synthetic review: no question is answered for a real country.", "Answers: Yes, No, Partly, Not found"]
    )
