"""Traffic by cluster: how soon one gets no request, the load of the other, how soon the one is back."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from loadtest.drills.record import Period, Record
from loadtest.drills.wire import SYN

QUIET_WINDOW_S = 0.5
QUIET_SHARE = 0.01
"""Share of the due requests below which a cluster counts as left alone in a window: the rest are probes."""
BACK_SHARE = 0.8
"""Share of its half of the requests from which a cluster counts as back in a window."""
SECOND_S = 1.0


def quiet_at(sent: Sequence[tuple[float, str]], since: float, until: float, rate: int) -> float | None:
    """Return the time from which the cluster gets only probes for a while; None when it always gets more.

    `sent` is in order. A connection attempt and the request on it are one probe.
    """
    permitted = rate * QUIET_WINDOW_S * QUIET_SHARE
    attempts = [time for time, kind in sent if kind == SYN]
    requests = [time for time, kind in sent if kind != SYN]
    for candidate in (since, *(time for time, _ in sent)):
        end = candidate + QUIET_WINDOW_S
        if end > until:
            return None
        counts = (bisect_right(each, end) - bisect_right(each, candidate) for each in (attempts, requests))
        if max(counts) <= permitted:
            return candidate
    return None


def back_at(asked: Sequence[float], since: float, until: float, rate: int) -> float | None:
    """Return the time from which a cluster gets its share for a while; None when it never does."""
    wanted = rate / 2 * QUIET_WINDOW_S * BACK_SHARE
    times = asked[bisect_left(asked, since) : bisect_left(asked, until)]
    for number, time in enumerate(times):
        if bisect_left(times, time + QUIET_WINDOW_S) - number >= wanted:
            return time
    return None


def part(asked: Sequence[float], within: Period, rate: int) -> float:
    """Return how many requests were sent, of those due."""
    count = bisect_left(asked, within.until) - bisect_left(asked, within.since)
    return count / (rate * (within.until - within.since))


def survivor_loads(record: Record) -> list[float]:
    """Return the load of the other cluster for each whole second that is watched, 1.0 being all."""
    asked, watched = record.asked_of_survivor(), record.watched()
    whole = max(1, int(watched.until - watched.since))
    seconds = (watched.since + number for number in range(whole))
    return [part(asked, Period(second, second + SECOND_S), record.rate) for second in seconds]
