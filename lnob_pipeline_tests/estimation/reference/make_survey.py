"""The synthetic survey behind reference.json: `python lnob_pipeline_tests/estimation/reference/make_survey.py`.

Here: its rows, made from a fixed seed. Not here: any estimate (`reference.R`). No row describes a person.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

SURVEY = Path(__file__).with_name("survey.csv")
CLUSTERS = {"A": 5, "B": 3, "C": 4, "D": 2, "E": 4, "F": 3}
"""Clusters sampled in each design stratum."""
REGION = {"A": "north", "B": "north", "C": "south", "D": "south", "E": "east", "F": "east"}
RARE = {("B", 1), ("C", 2), ("C", 4), ("E", 3), ("F", 1), ("F", 2)}
"""Clusters with rows of the group that lies in one or two clusters of a stratum."""
Row = dict[str, str | int | float | None]


def rows() -> list[Row]:
    """One row a person; the same on every machine (only `random()`, whose stream Python keeps)."""
    draw = random.Random(611).random

    def whole(low: int, high: int) -> int:
        return low + int(draw() * (high - low + 1))

    made: list[Row] = []
    for stratum, sampled in CLUSTERS.items():
        clusters_in_population = sampled * whole(2, 5) + whole(0, 3)
        for cluster in range(1, sampled + 1):
            households = whole(2, 5)
            households_in_population = households * whole(2, 6)
            level, lonely = draw(), stratum in ("A", "E") and cluster == 1
            for household in range(1, households + 1):
                for _ in range(whole(1, 4)):
                    income = round(20 + 200 * draw() * (0.5 + level), 2)
                    answer = int(draw() < 0.2 + 0.6 * level)
                    weight = clusters_in_population * households_in_population / sampled / households
                    weight = round(weight * (0.7 + 0.6 * draw()), 3)
                    made.append(
                        {
                            "stratum": stratum,
                            "lonely_stratum": f"{stratum}-1" if lonely else stratum,
                            "cluster": cluster,
                            "household": household,
                            "clusters": clusters_in_population,
                            "lonely_clusters": 4 if lonely else clusters_in_population,
                            "households": households_in_population,
                            "weight": weight,
                            "weight_with_zeros": 0 if draw() < 0.1 else weight,
                            "sex": "F" if draw() < 0.55 else "M",
                            "age": None if draw() < 0.06 else ("0-17", "18-59", "60+")[whole(0, 2)],
                            "region": REGION[stratum],
                            "rare": "yes" if (stratum, cluster) in RARE and draw() < 0.6 else "no",
                            "answer": answer,
                            "answer_with_gaps": None if draw() < 0.12 else answer,
                            "income": None if draw() < 0.08 else income,
                            "food": None if draw() < 0.05 else round(income * (0.2 + 0.5 * draw()), 2),
                        }
                    )
    return made


def main() -> None:
    """Write survey.csv; a missing value is an empty field."""
    made = rows()
    with SURVEY.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(made[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)


if __name__ == "__main__":
    main()
