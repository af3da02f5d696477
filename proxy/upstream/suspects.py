"""Endpoints that may be failing just now: they get no request that could not be sent elsewhere afterwards.

A breaker opens when failed requests have made sure of the fault. A GET that fails meanwhile is sent again, a
POST must not be. So from the first sign of a fault POSTs go to peers of the suspect, while GETs find out
whether it fails. The same holds where an ejected endpoint is half-open. A false alarm costs nothing: a peer
serves the POST.
"""

from math import inf
from typing import Final

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.latencies import FAST_S
from proxy.upstream.waiting import waiting_at

SIGN_S: Final = 0.5  # time for which a failure, or silence, is a sign, unless a byte comes earlier
TIMES_USUAL: Final = 2.0  # times its usual time without a byte: a fifth of what makes an endpoint quiet
QUIET_S: Final = TIMES_USUAL * FAST_S  # shorter silence is never a sign


def is_suspect(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether an endpoint fails often, has just failed, or is silent for longer than usual."""
    heard = endpoint.heard
    if endpoint.suspected == inf:
        endpoint.suspected = now  # counts from here: the breaker of its cluster may have held it out so far
    if endpoint.suspected >= heard and now - endpoint.suspected < SIGN_S:
        return True
    if endpoint.failure_rate.is_high(endpoint.requests, now):
        return True
    if endpoint.fell_silent > heard and now - endpoint.fell_silent < SIGN_S:
        return True
    if not endpoint.in_flight or now - heard < QUIET_S or not _is_silent(endpoint, now):
        return False
    endpoint.fell_silent = now
    return True


def outlive(endpoint: LiveEndpoint, now: float) -> None:
    """Have a failure stay a sign though a probe was answered: requests may fail all the same."""
    if now - endpoint.suspected < SIGN_S:
        endpoint.suspected = now


def _is_silent(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether a request waits for longer than its kind usually takes. Unknown kinds tell nothing."""
    heard = endpoint.heard
    return any(
        each.usual_s and now - max(each.since, heard) >= TIMES_USUAL * each.usual_s
        for each in waiting_at(endpoint, now)
    )
