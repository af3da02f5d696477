"""The 99th percentile of answers, known to a quarter."""

import pytest

from proxy.upstream.evidence.latencies import WINDOW, Latencies


def latencies(*took_s: float, times: int = 1) -> Latencies:
    found = Latencies()
    for _ in range(times):
        for each in took_s:
            found.note(each)
    return found


@pytest.mark.parametrize(
    ("known", "low", "high"),
    [
        (latencies(), 0.01, 0.01),
        (latencies(0.001, times=5000), 0.01, 0.01),
        (latencies(0.03, times=200), 0.03, 0.04),
        (latencies(*[0.001] * 199, 0.5), 0.01, 0.01),  # one of 200: not in the 99th percentile
        (latencies(*[0.001] * 49, 0.5, times=10), 0.5, 0.65),  # two of a hundred
        (latencies(*[0.001] * 20, 0.5), 0.01, 0.01),  # one of few may be an accident
        (latencies(*[0.001] * 20, 0.5, 0.5), 0.5, 0.65),
        (latencies(0.001, 0.5), 0.5, 0.65),  # of very few the longest
        (latencies(1000.0, times=9), 60.0, 100.0),
    ],
)
def test_the_99th_percentile_is_known_to_a_quarter(known: Latencies, low: float, high: float) -> None:
    assert low <= known.p99() <= high


def test_old_answers_are_forgotten() -> None:
    known = latencies(2.0, times=200)
    for _ in range(WINDOW * 9):
        known.note(0.001)
    assert known.p99() == 0.01
