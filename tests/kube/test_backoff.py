"""Delays grow, are capped, and are forgotten only after real health."""

import pytest

from controlplane.kube.backoff import Backoff, BackoffSettings
from tests.support.clock import FakeClock


def test_delays_double_to_the_cap() -> None:
    clock = FakeClock()
    backoff = Backoff(clock=clock.clock)
    assert [backoff.next() for _ in range(8)] == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])


def test_jitter_at_most_doubles_a_delay() -> None:
    backoff = Backoff(clock=FakeClock(chance=0.999).clock)
    assert backoff.next() == pytest.approx(1.6, rel=0.01)


def test_two_healthy_minutes_make_it_start_anew() -> None:
    clock = FakeClock()
    backoff = Backoff(BackoffSettings(jitter=0), clock.clock)
    backoff.next()
    backoff.next()
    clock.now_s += 120
    assert backoff.next() == pytest.approx(3.2)
    clock.now_s += 130
    assert backoff.next() == pytest.approx(0.8)
