"""The rule of comparability, line by line of its table, and in which order its lines count."""

import pytest

from lnob_pipeline.estimation.comparability import Facts, comparability

LIMIT = 0.05
CASES = [
    (Facts("component", because="no water test"), "C", "component: no water test"),
    (Facts("adapted", because="queuing is not counted"), "C", "adapted definition: queuing is not counted"),
    (Facts("proxy", because="reported, not measured"), "C", "proxy: reported, not measured"),
    (Facts("exact", asked_otherwise=("minutes: one way",)), "C", "adapted question minutes: one way"),
    (
        Facts("exact", answered_by_others=("account",)),
        "C",
        "adapted definition: answered by somebody else: account",
    ),
    (Facts("exact", local_wealth=True), "C", "wealth quintiles within a sample that is not national"),
    (Facts("exact", sampling_method="purposive"), "B", "same definition, purposive sample of named groups"),
    (Facts("exact", sampling_method="open_call"), "B", "same definition, open call, respondents chose themselves"),
    (Facts("exact", quarantine_share=0.06), "B", "same definition, but 6% of the rows are in quarantine"),
    (
        Facts("exact", quarantine_share=0.05),
        "A",
        "same definition, probability sample, representative of the stated area",
    ),
    (Facts("exact"), "A", "same definition, probability sample, representative of the stated area"),
]


@pytest.mark.parametrize(("facts", "letter", "reason"), CASES)
def test_each_line_of_the_table(facts: Facts, letter: str, reason: str) -> None:
    assert comparability(facts, LIMIT) == (letter, reason)


def test_the_first_line_that_holds_decides() -> None:
    everything = Facts(
        "component",
        because="a part",
        asked_otherwise=("x",),
        answered_by_others=("y",),
        local_wealth=True,
        sampling_method="quota",
        quarantine_share=1.0,
    )
    assert comparability(everything, LIMIT) == ("C", "component: a part")
    local = Facts("exact", local_wealth=True, sampling_method="quota", quarantine_share=1.0)
    assert comparability(local, LIMIT)[0] == "C"
    quota = Facts("exact", sampling_method="quota", quarantine_share=1.0)
    assert comparability(quota, LIMIT) == ("B", "same definition, quota sample of named groups")
