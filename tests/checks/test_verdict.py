"""How many results in a row it takes to change a verdict."""

import pytest

from controlplane.checks.verdict import PASSED, CheckOutcome, Result, Verdict
from proxy.model.snapshot import HealthCheck

RESULTS = {
    "+": PASSED,
    "-": Result(CheckOutcome.STATUS, "status 500"),
    "0": Result(CheckOutcome.LOCAL, "too many files"),
}
CHECK = HealthCheck(healthy=2, unhealthy=3)


@pytest.mark.parametrize(
    ("heard", "verdicts"),
    [
        ("+++", "..."),
        ("---", "..F"),
        ("--+--", "....."),
        ("-----", "..FFF"),
        ("---++", "..FF."),
        ("---+-+-", "..FFFFF"),
        ("---++--", "..FF..."),
        ("---++---", "..FF...F"),
        ("--0-", "...F"),
        ("0000", "...."),
        ("---+0+", "..FFF."),
    ],
)
def test_a_verdict_changes_after_so_many_in_a_row(heard: str, verdicts: str) -> None:
    verdict = Verdict(since=0.0)
    seen = ""
    for result in heard:
        before = verdict.failing
        changed = verdict.heard(RESULTS[result], CHECK, 1.0)
        assert changed is (verdict.failing is not before)
        seen += "F" if verdict.failing else "."
    assert seen == verdicts


def test_a_verdict_knows_since_when_and_why() -> None:
    verdict = Verdict(since=1.0)
    for moment, result in enumerate("--+---", 10):
        verdict.heard(RESULTS[result], CHECK, moment)
    assert (verdict.failing, verdict.since, verdict.last_at) == (True, 15, 15)
    for moment in (20, 21, 22):
        verdict.heard(PASSED, CHECK, moment)
    assert (verdict.failing, verdict.since, verdict.last_at) == (False, 21, 22)
    assert verdict.last_cause == "status 500"
    verdict.heard(RESULTS["0"], CHECK, 30)
    assert (verdict.last_at, verdict.last_cause) == (22, "status 500")
