"""The consequences of an endpoint's silence while requests wait there: suspicion, proof, or nothing.

    quiet        no byte came for longer than requests of some kind usually take: others are preferred
    stuck        a request was in time when the endpoint was last heard, and is late several times over now
    proven       a request is stuck, the probe has had no answer for a while, and the endpoint has shown to
                 work on more requests at a time than can be before the stuck one: the endpoint has stopped
    unreachable  the probe has had no answer for long: new requests avoid the endpoint, sent ones stay

A request that the endpoint may be working on is executed twice when it is sent elsewhere, so silence alone
moves nothing: a slow request, alone or in a pool that it fills, looks exactly like a stopped process.
"""

from math import inf
from typing import Final

QUIET_S: Final = 0.1  # shorter silence is no suspicion
TIMES_USUAL: Final = 10.0  # times that requests of a kind usually take, before silence is a suspicion
UNANSWERED_S: Final = 0.15  # time without an answer to a probe before requests that were sent may move
VOUCHED_S: Final = 0.53  # probes of an endpoint that answers them come twice a second
UNREACHABLE_S: Final = 5.0  # the same for new requests, and after a false alarm for all requests
FALSE_S: Final = 3600.0  # time for which a false alarm is remembered
WORKING_S: Final = 60.0  # time for which an endpoint may go on with a given-up request of an unknown kind

SLOW_S: Final = 0.2
"""Time of an answer, in seconds, from which its kind is slow by nature: times of slow kinds vary more."""

_TIMES_LONGEST: Final = 3.0
_TIMES_LONGEST_SLOW: Final = 10.0
_TIMES_EXPLAINED: Final = 2.0


class Waiting:
    """A request that waits for its answer. Times are monotonic seconds."""

    __slots__ = ("longest_s", "seen_s", "since", "usual_s")

    def __init__(self, since: float, usual_s: float, longest_s: float, seen_s: float = inf) -> None:
        """`usual_s` is 0 and `longest_s` is inf where the history of its kind is too short to tell.

        `seen_s` is the longest answer of a history of any length, inf where there is none.
        """
        self.since = since
        self.usual_s = usual_s
        self.longest_s = longest_s
        self.seen_s = min(seen_s, longest_s)


def quiet_after_s(usual_s: float) -> float:
    """Return after how many silent seconds an endpoint is quiet; its request usually takes `usual_s`."""
    return max(QUIET_S, TIMES_USUAL * usual_s)


def late_after_s(longest_s: float) -> float:
    """Return after how many seconds a request is late several times over: `longest_s` is that of its kind."""
    times = _TIMES_LONGEST if longest_s < SLOW_S else _TIMES_LONGEST_SLOW
    return max(QUIET_S, times * longest_s)


def is_quiet(waiting: list[Waiting], heard: float, now: float) -> bool:
    """Whether a request has waited, with nothing heard, for longer than its kind explains."""
    return any(now - max(each.since, heard) >= quiet_after_s(each.usual_s) for each in waiting)


def may_be_stopped(waiting: list[Waiting], heard: float, vouched: float, now: float) -> bool:
    """Whether an endpoint is half way to a suspicion: requests that leave another endpoint avoid it then.

    An answer to a probe at `vouched` speaks for the endpoint for a while, as far as requests are concerned
    that waited then.
    """
    is_vouched_for = now - vouched < VOUCHED_S
    return any(
        now - max(each.since, heard) >= min(quiet_after_s(each.usual_s), late_after_s(each.longest_s)) / 2.0
        and not (is_vouched_for and each.since < vouched)
        for each in waiting
    )


def is_stuck(request: Waiting, heard: float, now: float) -> bool:
    """Whether a request is late by the silence: a request that was late before, among answers, is slow."""
    late_s = late_after_s(request.longest_s)
    return now - request.since >= late_s and request.since + late_s > heard


def is_proven(waiting: list[Waiting], busy: list[float], heard: float, now: float, shown: int) -> bool:
    """Whether an endpoint that leaves its probe unanswered has stopped.

    `busy` is when the requests were sent, by any worker, that the endpoint may be working on. A stuck request
    with fewer than `shown` - 1 before it was taken up at once, with room for one more beside it.
    """
    for request in waiting:
        if is_stuck(request, heard, now):
            ahead = sum([1 for since in busy if since < request.since])
            if ahead + 2 <= shown:
                return True
    return False


def is_explained(waiting: list[Waiting], asked: float, shown: int, now: float) -> bool:
    """Whether an endpoint that was `asked` by a probe is at work on as many requests as it has shown to take.

    Only a request with a history explains the silence, while it waits for less than twice its longest time.
    """
    at_work = [
        each
        for each in waiting
        if each.since <= asked and now - each.since <= _TIMES_EXPLAINED * each.seen_s < inf
    ]
    return len(at_work) >= shown
