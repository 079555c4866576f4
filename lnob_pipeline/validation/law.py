"""Which law on personal data applies to a hand-in, and what the gate does because of it.

Here belongs reading the register (indicator_mappings/laws.yaml) for one hand-in. The register is no legal advice: a
lawyer confirms each entry, and until then the entry says so.
"""

from __future__ import annotations

from lnob_pipeline.mappings.load import Mappings
from lnob_pipeline.submissions.manifest import Manifest
from lnob_pipeline.validation.findings import Findings

RULE = "applicable_law"
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
