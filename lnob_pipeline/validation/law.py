"""Which law on personal data applies to a hand-in, and what the gate does because of it.

Here belongs reading the register (indicator_mappings/laws.yaml) for one hand-in. The register is no legal advice: a
lawyer confirms each entry, and until then the entry says so.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.answers import UNMAPPED
from lnob_pipeline.validation.contracts import is_yes
from lnob_pipeline.validation.findings import Findings, Rows

RULE = "applicable_law"
ON_WORD = "guardians_on_word"
"""Expectation of a result: that guardians agreed rests on the word of the manifest."""
ADULT = 18
"""Where the register gives no age: Convention on the Rights of the Child, article 1."""


def check_law(manifest: Manifest, mappings: Mappings, found: Findings) -> int:
    """Say which law applies; return the age below which a guardian consents."""
    law = mappings.laws.get(manifest.country)
    if law is None:
        found.whole(RULE, "no_law_known", severity="information", country=manifest.country, age=ADULT)
        return ADULT
    age = law.guardian_consent_below_age or ADULT
    if not law.confirmed_by_lawyer:
        age = max(age, ADULT)  # a lower age is taken on a lawyer's word only
    later = law.in_force is None or law.in_force > manifest.collection.end
    since = law.in_force.isoformat() if law.in_force else "a day that is not known"
    confirmed = "confirmed by a lawyer" if law.confirmed_by_lawyer else "not confirmed by a lawyer"
    when = f"in force since {since}, after the collection" if later else f"in force since {since}"
    message = f"{law.law} ({law.status}, {when}); guardians consent below {age} years; register {confirmed}"
    found.result(RULE, 1, 0, expectation="law_named", message=message)
    return age


def check_guardians(rows: Rows, roster: bool, manifest: Manifest, age: int, found: Findings) -> None:
    """Minors who answered for themselves, where no column of the data says that a guardian agreed.

    age: below it a guardian consents. Where nobody says that guardians agreed, a person decides before anything is
    used. Where the manifest says so and no row does, that is said, and the scorecard waits for a person.
    """
    ages, marks = rows.columns_of("age"), rows.columns_of("is_respondent")
    if not ages or (roster and not marks) or manifest.ethics.guardian_consent_column is not None:
        return
    respondents = is_yes(rows, marks[0]) if marks else pl.repeat(True, rows.frame.height, eager=True)
    codes = [code for kind in rows.record.columns[ages[0]].missing.values() for code in kind]
    known = respondents & ~rows.kept[ages[0]].is_in([*codes, UNMAPPED]).fill_null(True)
    n = int((known & (rows.numbers[ages[0]] < age).fill_null(False)).sum())
    where: dict[str, Any] = {"file": rows.file, "sheet": rows.sheet, "record": rows.name, "column": ages[0]}
    if n and manifest.ethics.minors_interviewed:
        found.whole(
            "ethics", "guardians_on_word", severity="information", expectation=ON_WORD, n_checked=n, n_failed=0, n=n,
            age=age, **where,
        )  # fmt: skip
    elif n:
        found.whole("ethics", "no_guardian_declared", severity="review", n_checked=n, n_failed=n, n=n, age=age, **where)
