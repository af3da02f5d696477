"""Endpoints that may be failing just now: they get no request that could not be sent elsewhere afterwards.

A breaker opens when it is sure, and what it costs to be sure is requests. A GET that is lost to that is sent
again, a POST must not be. So from the first sign of a fault POSTs go to others that serve beside the
suspect, while GETs find out what is the matter; and so they do where an ejected one is let in again. A
false alarm costs nothing: a POST is served by a peer.
"""

from math import inf
from typing import Final

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.health.latencies import FAST_S, FEW
from proxy.upstream.health.waiting import oldest_waiting

SIGN_S: Final = 0.5  # that a failure, or silence, is a sign for, unless something is heard earlier
TIMES_P99: Final = 2.0  # without an answer, nor anything else: a fifth of what makes a stall
QUIET_S: Final = TIMES_P99 * FAST_S  # no less than this is ever a sign


def is_suspect(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether an endpoint fails often, has just failed, or is silent for longer than it usually is."""
    heard = endpoint.heard
    if endpoint.suspected == inf:
        endpoint.suspected = now  # from here: since it was let in its cluster may have been held open
    if endpoint.suspected >= heard and now - endpoint.suspected < SIGN_S:
        return True
    if endpoint.faults.are_many(endpoint.requests, now):
        return True
    if not endpoint.in_flight or now - heard < QUIET_S or not _is_silent(endpoint, now):
        return False
    endpoint.suspected = now
    return True


def _is_silent(endpoint: LiveEndpoint, now: float) -> bool:
    for route, since in oldest_waiting(endpoint).items():
        if endpoint.answers.total < FEW or route.total < FEW:
            continue
        usual_s = max(endpoint.answers.p99(), route.p99())
        if now - max(since, endpoint.heard) >= TIMES_P99 * usual_s:
            return True
    return False
