"""The breaker of a cluster: when it opens, how long it is held, how its share comes back."""

import pytest

from proxy.upstream.evidence.breaker import STEPS, ClusterBreaker, Phase

ALL = frozenset(range(10))
NONE: frozenset[int] = frozenset()


def fail(breaker: ClusterBreaker, now: float) -> None:
    """Every endpoint is ejected."""
    breaker.look(NONE, ALL, NONE, now)


def levels(breaker: ClusterBreaker, start: float, times: list[float]) -> list[int]:
    found = []
    for after_s in times:
        breaker.look(ALL, ALL, NONE, start + after_s)
        found.append(breaker.step)
    return found


@pytest.mark.parametrize(
    ("count", "failed", "is_open"),
    [
        (1, 1, True),
        (2, 1, False),
        (2, 2, True),
        (10, 2, False),
        (10, 3, True),
        (100, 19, False),
        (100, 20, True),
    ],
)
def test_a_breaker_opens_when_failures_run_across_endpoints(count: int, failed: int, is_open: bool) -> None:
    breaker = ClusterBreaker()
    for endpoint in range(failed):
        breaker.tripped(endpoint, count, NONE, 1.0)
        breaker.tripped(endpoint, count, NONE, 1.0)  # the same one again is nothing new
    assert breaker.is_open is is_open


def test_an_answer_in_between_makes_them_single_failures() -> None:
    breaker = ClusterBreaker()
    for endpoint in range(9):
        breaker.tripped(endpoint, 10, NONE, 1.0)
        breaker.answered()
    assert not breaker.is_open


def test_a_breaker_opens_when_no_endpoint_is_left_but_not_when_there_is_none() -> None:
    breaker = ClusterBreaker()
    breaker.look(NONE, NONE, NONE, 1.0)
    assert not breaker.is_open
    fail(breaker, 2.0)
    assert breaker.is_open


def test_after_a_run_one_that_failed_must_serve_again() -> None:
    breaker = ClusterBreaker()
    for endpoint in range(3):
        breaker.tripped(endpoint, 10, NONE, 1.0)
    breaker.look(ALL - {0, 1, 2}, ALL, NONE, 60.0)
    assert breaker.is_open
    breaker.look(ALL - {0, 1}, ALL, NONE, 60.0)
    assert not breaker.is_open


def test_after_a_run_other_endpoints_are_as_good() -> None:
    breaker = ClusterBreaker()
    for endpoint in range(3):
        breaker.tripped(endpoint, 10, NONE, 1.0)
    breaker.look(ALL - {0, 1, 2}, ALL - {0, 1, 2}, NONE, 60.0)
    assert not breaker.is_open


def test_a_short_absence_is_forgotten_at_once() -> None:
    breaker = ClusterBreaker()
    fail(breaker, 1.0)
    breaker.look(ALL, ALL, NONE, 1.5)
    assert (breaker.phase, breaker.step) == (Phase.CLOSED, STEPS)


@pytest.mark.parametrize(("away_s", "returns_s"), [(4.0, 4.0), (300.0, 10.0)])
def test_after_a_long_one_the_share_grows_step_by_step(away_s: float, returns_s: float) -> None:
    breaker = ClusterBreaker()
    fail(breaker, 1.0)
    back = 1.0 + away_s
    times = [returns_s * part for part in (0.0, 0.1, 0.13, 0.5, 0.9, 0.99)]
    assert levels(breaker, back, times) == [1, 1, 2, 5, 8, 8]
    assert breaker.phase is Phase.RAMPING
    breaker.look(ALL, ALL, NONE, back + returns_s)
    assert breaker.phase is Phase.CLOSED


def flapping(up_s: float, down_s: float, for_s: float) -> tuple[list[float], float]:
    """Return when such a cluster began or ceased to get traffic, and what part of its share it got."""
    breaker = ClusterBreaker()
    switches, part = [], 0.0
    for tick in range(int(for_s * 10)):
        now = tick / 10
        is_up = now % (up_s + down_s) < up_s
        before = breaker.is_open
        breaker.look(ALL if is_up else NONE, ALL, NONE, now)
        if breaker.is_open is not before:
            switches.append(now)
        part += 0.0 if breaker.is_open else 0.1 * breaker.step / STEPS
    return switches, part / for_s


@pytest.mark.parametrize(("up_s", "down_s"), [(2.0, 2.0), (10.0, 10.0), (10.0, 0.3), (0.3, 10.0)])
def test_a_cluster_that_flaps_for_half_an_hour_is_left_alone(up_s: float, down_s: float) -> None:
    switches, part = flapping(up_s, down_s, 1800.0)
    for minute in range(5, 30):  # five minutes have no more than ten, one in 30 s
        window = [at for at in switches if minute * 60.0 <= at < (minute + 5) * 60.0]
        assert len(window) <= 10
    assert part < 0.15


def test_a_cluster_that_stays_up_is_believed_again() -> None:
    breaker = ClusterBreaker()
    now = 0.0
    for _ in range(5):
        fail(breaker, now)
        now += 100.0
        levels(breaker, now, [0.0, 10.0])
        assert breaker.flaps == 0
        now += 61.0 + 10.0


def test_a_cluster_that_fails_again_is_held_for_twice_as_long() -> None:
    breaker = ClusterBreaker()
    held = []
    now = 0.0
    for _ in range(9):
        fail(breaker, now)
        start = now
        while breaker.is_open:
            now += 0.5
            breaker.look(ALL, ALL, NONE, now)
        held.append(now - start)
    assert held == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def pause(breaker: ClusterBreaker, now: float, for_s: float) -> None:
    """No endpoint answers for a while, then all do."""
    for tick in range(int(for_s * 10)):
        breaker.look(NONE, ALL, ALL, now + tick / 10)
        assert breaker.is_open
    breaker.look(ALL, ALL, NONE, now + for_s)


def test_pauses_leave_no_trace() -> None:
    breaker = ClusterBreaker()
    fail(breaker, 0.0)
    breaker.look(ALL, ALL, NONE, 1.0)
    for second in range(10, 3600, 10):
        pause(breaker, float(second), 0.9)
        assert (breaker.phase, breaker.step, breaker.flaps) == (Phase.CLOSED, STEPS, 0)


def test_a_pause_of_some_endpoints_leaves_none_either() -> None:
    breaker = ClusterBreaker()
    fail(breaker, 0.0)
    breaker.look(ALL, ALL, NONE, 1.0)
    some = frozenset({0, 1, 2})
    for endpoint in some:
        breaker.tripped(endpoint, 10, some, 2.0)
    assert breaker.is_open
    breaker.look(ALL - some, ALL, some, 2.1)
    assert breaker.is_open
    breaker.look(ALL, ALL, NONE, 2.2)
    assert (breaker.phase, breaker.flaps) == (Phase.CLOSED, 0)
    breaker.tripped(3, 10, NONE, 2.3)  # those that paused do not count with it
    assert not breaker.is_open


def test_a_share_that_comes_back_does_so_through_a_pause() -> None:
    breaker = ClusterBreaker()
    fail(breaker, 0.0)
    breaker.look(ALL, ALL, NONE, 10.0)
    pause(breaker, 13.0, 0.3)
    assert (breaker.phase, breaker.step) == (Phase.RAMPING, 3)
    assert levels(breaker, 10.0, [5.0, 9.9]) == [5, 8]


@pytest.mark.parametrize("stalling_s", [0.5, 1.9, 100.0])
def test_a_stall_that_lasts_is_held(stalling_s: float) -> None:
    breaker = ClusterBreaker()
    fail(breaker, 0.0)
    breaker.look(ALL, ALL, NONE, 0.5)
    now = 10.0
    while now < 12.5:
        breaker.look(NONE, ALL, ALL if now - 10.0 < stalling_s else NONE, now)
        now += 0.1
    breaker.look(ALL, ALL, NONE, now)
    assert (breaker.phase, breaker.flaps) == (Phase.RAMPING, 1)


def test_a_failure_amid_a_pause_is_one() -> None:
    breaker = ClusterBreaker()
    fail(breaker, 0.0)
    breaker.look(ALL, ALL, NONE, 0.5)
    pause(breaker, 10.0, 0.1)
    breaker.look(NONE, ALL, ALL, 11.0)
    breaker.look(NONE, ALL, ALL - {0}, 11.1)
    breaker.look(ALL, ALL, NONE, 11.2)
    assert (breaker.phase, breaker.flaps) == (Phase.OPEN, 1)
    breaker.look(ALL, ALL, NONE, 12.0)
    assert breaker.phase is Phase.RAMPING


def test_a_cluster_that_stalls_most_of_the_time_is_held_out() -> None:
    breaker = ClusterBreaker()
    part = 0.0
    for tick in range(18000):
        is_up = tick % 20 < 10
        breaker.look(ALL if is_up else NONE, ALL, NONE if is_up else ALL, tick / 10)
        part += 0.0 if breaker.is_open else breaker.step / STEPS
    assert part / 18000 < 0.15
