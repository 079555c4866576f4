"""An outsider with equations of his own: what he can reckon of hidden numbers from a published table, and nothing else.

Written apart from disclosure_audit, of which it uses nothing: unknown whole numbers for every stratum of a hand-in and
series (cases, and those in the numerator), bound by the status that is published, by sums over each dimension and by
groups being part of their total. He is told more than is published: the numerators of all that is shown, and how many
gave no answer to a breakdown question. The control opens what was hidden to protect: then he must find something.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.publication.disclosure import disclose
from lnob_pipeline.settings import Settings
from lnob_pipeline.tables import CITIZEN_EVIDENCE, COMPARISON, STRATUM_DIMENSIONS
from lnob_pipeline_tests.publication.release_factory import HOME, citizen_estimates

KEY = ["submission_id", "series", "stratum"]
PROTECTIVE = "suppressed_to_protect"
Linear = tuple[dict[int, int], float, float]
"""Coefficients by unknown, and the bounds of their sum."""


@pytest.fixture(scope="module")
def truth(mappings: Mappings) -> pl.DataFrame:
    return citizen_estimates(mappings, seed=11, people=260, only=("SG_REG_BRTH", "SP_ACS_BSRVH2O"))


@pytest.fixture(scope="module")
def published(mappings: Mappings, truth: pl.DataFrame) -> pl.DataFrame:
    settings = Settings.load(home=HOME)
    return disclose(truth, COMPARISON.empty(), CITIZEN_EVIDENCE.empty(), mappings, settings).citizen_estimates


def reckoned(published: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """One row a hidden number: KEY, status, and the widths of what it can be: cases, in the numerator, the others."""
    told = {tuple(row[name] for name in KEY): (row["n"], row["n_numerator"]) for row in truth.to_dicts()}
    found = []
    for table in published.partition_by("submission_id", "series", maintain_order=True):
        rows = [row for row in table.to_dicts() if row["status"] != "no_rows"]
        known = [told[tuple(row[name] for name in KEY)] for row in rows]
        lower, upper = np.zeros(2 * len(rows)), np.full(2 * len(rows), 1e5)
        for place, row in enumerate(rows):
            both = [place, place + len(rows)]
            if row["estimate"] is not None:
                lower[both] = upper[both] = known[place]
            elif row["status"] == "suppressed_small_sample":
                lower[place], upper[place] = 1, 24
            else:
                lower[place] = 25
        linear = list(_sums(rows, known))
        matrix = lil_array((len(linear), 2 * len(rows)))
        for line, (terms, _, _) in enumerate(linear):
            for unknown, coefficient in terms.items():
                matrix[line, unknown] = coefficient
        bound = LinearConstraint(matrix.tocsr(), [low for _, low, _ in linear], [high for _, _, high in linear])
        for place, row in enumerate(rows):
            if row["status"].startswith("suppressed"):
                wanted = ({place: 1}, {place + len(rows): 1}, {place: 1, place + len(rows): -1})
                widths = [_width(terms, bound, Bounds(lower, upper)) for terms in wanted]
                found.append((*(row[name] for name in KEY), row["status"], *widths))
    names = [*KEY, "status", "cases", "numerator", "others"]
    return pl.DataFrame(
        found, schema=dict.fromkeys(names[:4], pl.String) | dict.fromkeys(names[4:], pl.Float64), orient="row"
    )


def _sums(rows: list[dict], known: list[tuple[int, int]]) -> list[Linear]:
    size = len(rows)
    linear: list[Linear] = [({place: 1, place + size: -1}, 0, np.inf) for place in range(size)]
    strata = [tuple(row[name] for name in STRATUM_DIMENSIONS) for row in rows]
    for total, whole in enumerate(strata):
        for axis, dimension in enumerate(STRATUM_DIMENSIONS):
            parts = [
                place
                for place, stratum in enumerate(strata)
                if whole[axis] == "_T" != stratum[axis]
                and stratum[:axis] + stratum[axis + 1 :] == whole[:axis] + whole[axis + 1 :]
            ]
            if dimension == "marginalised_group":
                for part in parts:
                    linear += [({total: 1, part: -1}, 0, np.inf), ({total + size: 1, part + size: -1}, 0, np.inf)]
                    linear.append(({total: 1, part: -1, total + size: -1, part + size: 1}, 0, np.inf))
            elif parts:
                for shift, which in ((0, 0), (size, 1)):
                    silent = known[total][which] - sum(known[part][which] for part in parts)
                    linear.append(({total + shift: 1, **{part + shift: -1 for part in parts}}, silent, silent))
    return linear


def _width(terms: dict[int, int], bound: LinearConstraint, bounds: Bounds) -> float:
    ends = []
    for sign in (1, -1):
        wanted = np.zeros(len(bounds.lb))
        for unknown, coefficient in terms.items():
            wanted[unknown] = sign * coefficient
        solved = milp(wanted, constraints=bound, bounds=bounds, integrality=np.ones(len(wanted)))
        assert solved.success, solved.message
        ends.append(sign * solved.fun)
    return float(ends[1] - ends[0])


def test_an_outsider_reckons_no_hidden_number(published: pl.DataFrame, truth: pl.DataFrame) -> None:
    found = reckoned(published, truth)
    assert found["status"].n_unique() >= 3
    exact = pl.any_horizontal(pl.col("numerator", "others") < 0.5)
    narrow = pl.any_horizontal(pl.col("numerator", "others") < 1.5)
    assert found.filter(exact & (pl.col("status") == PROTECTIVE)).rows() == []
    assert found.filter(narrow & (pl.col("status") == "suppressed_small_count")).rows() == []


def test_he_would_if_nothing_were_hidden_to_protect(published: pl.DataFrame, truth: pl.DataFrame) -> None:
    protective = pl.col("status") == PROTECTIVE
    opened = published.join(truth.select(*KEY, shown="estimate"), on=KEY, maintain_order="left").with_columns(
        estimate=pl.when(protective).then("shown").otherwise("estimate"),
        status=pl.when(protective).then(pl.lit("estimated")).otherwise("status"),
    )
    found = reckoned(opened, truth)
    assert found.filter(pl.any_horizontal(pl.col("numerator", "others") < 0.5)).height > 0
