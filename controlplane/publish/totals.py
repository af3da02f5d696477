"""Counters of all workers in one sum that survives the workers."""

from collections import Counter, defaultdict
from collections.abc import Set
from typing import Self

import msgspec
from msgspec import field

from proxy.model.statistics import DURATION_BOUNDS_S, DurationHistogram, Stats

RequestKey = tuple[str, str, str, str, str, str]
"""listener, route, service, cluster, code class, flag"""

AttemptKey = tuple[str, str, str, str]
"""service, from cluster, to cluster, reason"""

SuppressedKey = tuple[str, str, str]
"""service, cluster, cause"""


class DurationTotal(msgspec.Struct):
    """Request durations of one route and cluster; `buckets` are per bucket, not cumulative."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS_S) + 1))
    sum_s: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0

    def add(self, other: "DurationHistogram | DurationTotal") -> None:
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.sum_s += other.sum_s
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes


class Totals(msgspec.Struct):
    """A sum of counters; gauges are no part of it."""

    requests: Counter[RequestKey] = field(default_factory=Counter)
    durations: defaultdict[tuple[str, str], DurationTotal] = field(
        default_factory=lambda: defaultdict(DurationTotal)
    )
    attempts: Counter[AttemptKey] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    log_lines_dropped: int = 0
    deferred: int = 0
    shed: Counter[tuple[str, str]] = field(default_factory=Counter)  # listener, cause
    pauses: Counter[str] = field(default_factory=Counter)
    http2_connections: Counter[str] = field(default_factory=Counter)
    http2_streams: Counter[str] = field(default_factory=Counter)
    http2_errors: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # listener, scope, code
    handshakes: Counter[tuple[str, str]] = field(default_factory=Counter)  # listener, outcome
    mirrors: Counter[tuple[str, str]] = field(default_factory=Counter)  # route, outcome
    suppressed: Counter[SuppressedKey] = field(default_factory=Counter)

    def add(self, stats: Stats) -> None:
        for r in stats.requests:
            key = (r.listener, r.route, r.service, r.cluster, r.code_class, r.flag)
            self.requests[key] += r.count
        for d in stats.durations:
            self.durations[d.route, d.cluster].add(d)
        for a in stats.attempts:
            self.attempts[a.service, a.from_cluster, a.to_cluster, a.reason] += a.count
        for c in stats.connections:
            self.accepted[c.listener] += c.accepted
            self.http2_connections[c.listener] += c.http2
            self.http2_streams[c.listener] += c.streams
        for e in stats.http2_errors:
            self.http2_errors[e.listener, e.scope, e.code] += e.count
        self.log_lines_dropped += stats.log_lines_dropped
        self.deferred += stats.deferred
        for s in stats.shed:
            self.shed[s.listener, s.cause] += s.count
        for p in stats.pauses:
            self.pauses[p.cause] += p.count
        for h in stats.handshakes:
            self.handshakes[h.listener, h.outcome] += h.count
        for m in stats.mirrors:
            self.mirrors[m.route, m.outcome] += m.count
        for w in stats.suppressed:
            self.suppressed[w.service, w.cluster, w.cause] += w.count

    def copy(self) -> Self:
        """Return an independent copy: the sum with the living workers must not touch the retired part."""
        other = type(self)(
            requests=self.requests.copy(),
            attempts=self.attempts.copy(),
            accepted=self.accepted.copy(),
            log_lines_dropped=self.log_lines_dropped,
            deferred=self.deferred,
            shed=self.shed.copy(),
            pauses=self.pauses.copy(),
            http2_connections=self.http2_connections.copy(),
            http2_streams=self.http2_streams.copy(),
            http2_errors=self.http2_errors.copy(),
            handshakes=self.handshakes.copy(),
            mirrors=self.mirrors.copy(),
            suppressed=self.suppressed.copy(),
        )
        for key, total in self.durations.items():
            other.durations[key].add(total)
        return other

    def kept(self, live: Set[str]) -> Self:
        """Return a copy without routes that are gone, so that years of renamed Ingresses do not pile up."""

        def lives(route: str) -> bool:
            return "/" not in route or route in live

        kept = self.copy()
        kept.requests = Counter({key: count for key, count in self.requests.items() if lives(key[1])})
        kept.mirrors = Counter({key: count for key, count in self.mirrors.items() if lives(key[0])})
        kept.durations = defaultdict(DurationTotal)
        kept.durations.update((key, total) for key, total in self.durations.items() if lives(key[0]))
        return kept
