"""Takes answers in as evidence of usual times: a sample of all answers, and every slow one.

A sample is enough for the usual times of a kind, and costs a worker under full load 0.2 % of its time. All
slow answers are noted, because the slowest answer decides how long a request stays at a silent endpoint.
"""

from math import inf
from typing import Final

from proxy.http.request_line import Resource
from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.endpoint import LiveEndpoint, endpoint_of
from proxy.upstream.evidence.kinds import Kind, Kinds
from proxy.upstream.evidence.pauses import Pauses

SAMPLE: Final = 16  # answers in a row: of those that come at the same time, several have to be seen
APART_S: Final = 0.016  # time between two samples of a worker
BUSY_APART_S: Final = 0.128  # where a sample takes less than APART_S: 125 answers in a second say enough
_AVERAGED: Final = 8.0
_MOST_LOOKED_AT: Final = 64
"""Requests in flight at an endpoint; with more, the times of waiting requests teach nothing."""


class Learning:
    """Samples the answers of a worker. One per worker."""

    __slots__ = ("_begun", "_left", "_pauses", "due")

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self.due = -inf  # time from which answers are taken for a sample, monotonic
        self._left = SAMPLE  # answers that the sample still lacks
        self._begun = -inf

    def answered(self, kinds: Kinds, resource: Resource, stream: UpstreamStream, now: float) -> None:
        """Take in that the endpoint has begun to answer, at `now`, the request that the stream serves."""
        endpoint, since = endpoint_of(stream), stream.since
        if endpoint.stalled_at >= since:
            return  # the endpoint had stopped meanwhile: the time says nothing of its work
        is_sample = now >= self.due
        if is_sample:
            self._count(now)
        kind = kinds.of(resource.method, resource.path)
        took_s = now - since - self._pauses.within_s(since, now)
        kind.note(took_s, now, is_sample=is_sample)
        if endpoint.beside_probe > 0:
            endpoint.beside_probe -= 1
        elif not is_sample:
            return
        _note_concurrency(endpoint, stream, kind, took_s, now)

    def _count(self, now: float) -> None:
        """Count an answer of the sample; after the last one find out when the next sample begins."""
        if self._left == SAMPLE:
            self._begun = now
        self._left -= 1
        if not self._left:
            self._left = SAMPLE
            self.due = now + (APART_S if now - self._begun >= APART_S else BUSY_APART_S)


def _note_concurrency(
    endpoint: LiveEndpoint, stream: UpstreamStream, kind: Kind, took_s: float, now: float
) -> None:
    waiting: list[float] = []
    if 1 < endpoint.in_flight <= _MOST_LOOKED_AT:
        # A new connection may be in the queue of a program that serves one connection at a time
        waiting = [
            s.since for s in endpoint.pool.streams() if s.served and s is not stream and s.is_waiting()
        ]
    observed, since = endpoint.observed(), stream.since
    observed.took_s += (took_s - observed.took_s) / _AVERAGED
    least_s = kind.fastest_s(now) - endpoint.limits.times.least_s
    observed.concurrency.answered(since, now, least_s, waiting)
