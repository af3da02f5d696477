"""Endpoints that may be failing just now: they get no request that could not be sent elsewhere afterwards.

A breaker opens when it is sure, and what it costs to be sure is requests. A GET that is lost to that is sent
again, a POST must not be. So from the first sign of a fault POSTs go to others that serve beside the
suspect, while GETs find out what is the matter; and so they do where an ejected one is let in again. A
false alarm costs nothing: a POST is served by a peer.
"""

from math import inf
from typing import Final

from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.latencies import FAST_S
from proxy.upstream.waiting import waiting_at

SIGN_S: Final = 0.5  # that a failure, or silence, is a sign for, unless something is heard earlier
TIMES_USUAL: Final = 2.0  # without an answer, nor anything else: a fifth of what makes an endpoint quiet
QUIET_S: Final = TIMES_USUAL * FAST_S  # no less than this is ever a sign


def is_suspect(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether an endpoint fails often, has just failed, or is silent for longer than it usually is."""
    heard = endpoint.heard
    if endpoint.suspected == inf:
        endpoint.suspected = now  # from here: since it was let in its cluster may have been held open
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
    """Have a failure stay a sign though a probe was answered: that tells nothing of how requests fare."""
    if now - endpoint.suspected < SIGN_S:
        endpoint.suspected = now


def _is_silent(endpoint: LiveEndpoint, now: float) -> bool:
    """Whether a request waits for longer than its kind usually takes; one of an unknown kind tells
    nothing."""
    heard = endpoint.heard
    return any(
        each.usual_s and now - max(each.since, heard) >= TIMES_USUAL * each.usual_s
        for each in waiting_at(endpoint, now)
    )
