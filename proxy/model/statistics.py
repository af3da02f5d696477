"""The statistics of a worker, which the worker reports to the control plane."""

import msgspec

DURATION_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bucket bounds of OpenTelemetry's http.server.request.duration."""


class RequestCount(msgspec.Struct, frozen=True):
    """Finished requests. `flag` is a key of proxy.model.flags.FLAGS, "-" when all went well."""

    listener: str
    route: str
    service: str
    cluster: str
    code_class: str  # "2xx" ...
    flag: str
    count: int


class DurationHistogram(msgspec.Struct, frozen=True):
    """Request durations by route and cluster; `buckets` are per bucket, not cumulative."""

    route: str
    cluster: str
    buckets: tuple[int, ...]  # one more than DURATION_BOUNDS_S: the last is +Inf
    sum_s: float
    request_bytes: int
    response_bytes: int


class AttemptCount(msgspec.Struct, frozen=True):
    """Attempts that failed, with where the request went next ("" when it ended there)."""

    service: str
    from_cluster: str
    to_cluster: str
    reason: str
    count: int


class SuppressedCount(msgspec.Struct, frozen=True):
    """Failed attempts that were the last, by where they were, and why: see `Suppressed`."""

    service: str
    cluster: str
    cause: str
    count: int


class EndpointStats(msgspec.Struct, frozen=True):
    service: str
    cluster: str
    address: str
    port: int
    state: str  # "healthy", "draining", "unhealthy" (fails its checks), "stalled", "ejected", "unreachable"
    in_flight: int
    idle: int
    requests: int
    failures: int
    last_failure: str  # reason of the last failed attempt, "" when there was none


class BreakerStats(msgspec.Struct, frozen=True):
    """The breaker of one service in one cluster, when it is not closed."""

    service: str
    cluster: str
    phase: str  # "open", "ramping"
    ramp: float  # part of its share that the cluster takes, 0 to 1; 0 while the breaker is open
    flaps: int  # times it opened again soon after it had closed


class FailbackStats(msgspec.Struct, frozen=True):
    """A cluster that does not take its whole share of an Ingress yet, by the failback of that."""

    ingress: str
    service: str
    cluster: str
    state: str  # "held" (until it is let back), "delayed", "ramping"
    part: float  # of its share that it takes, 0 to 1
    left_s: float  # until the state ends; 0 when it is held


class ConnectionCount(msgspec.Struct, frozen=True):
    listener: str
    active: int
    accepted: int
    http2: int = 0  # of the accepted, those that speak HTTP/2
    streams: int = 0  # requests on them


class ShedCount(msgspec.Struct, frozen=True):
    """Client connections that were turned away, or closed while idle, to stay within a limit."""

    listener: str
    cause: str
    count: int


class Http2ErrorCount(msgspec.Struct, frozen=True):
    """Streams, or connections, of HTTP/2 that were ended for a fault of the client."""

    listener: str
    scope: str  # "stream" or "connection"
    code: str  # RFC 9113 §7
    count: int


class HandshakeCount(msgspec.Struct, frozen=True):
    """Handshakes of a listener with one `outcome`: the version of TLS, or a cause of failure."""

    listener: str
    outcome: str
    count: int


class PauseCount(msgspec.Struct, frozen=True):
    """How often the worker stopped accepting for a while."""

    cause: str
    count: int


class MirrorCount(msgspec.Struct, frozen=True):
    """The number of copies of a route's requests with one `outcome`.

    "answered"; "failed"; "busy": too many in flight; "too_large": a body that is not kept;
    "no_endpoint"; "cancelled": the client of the original went away.
    """

    route: str
    outcome: str
    count: int


class StatsPart(msgspec.Struct, frozen=True, tag="stats-part"):
    """A part of the next Stats: all at once, 8,000 endpoints are a pause of 6 ms."""

    requests: tuple[RequestCount, ...] = ()
    durations: tuple[DurationHistogram, ...] = ()
    endpoints: tuple[EndpointStats, ...] = ()


class Stats(msgspec.Struct, frozen=True, tag="stats"):
    """Everything a worker counts, since its start. Counters only ever grow.

    On the wire most of it is in the parts before it.
    """

    version: int  # of the snapshot that the worker serves, endpoints included
    requests: tuple[RequestCount, ...]
    durations: tuple[DurationHistogram, ...]
    attempts: tuple[AttemptCount, ...]
    endpoints: tuple[EndpointStats, ...]
    connections: tuple[ConnectionCount, ...]
    loop_lag_s: float  # worst since the last report
    log_lines_dropped: int
    shed: tuple[ShedCount, ...] = ()
    pauses: tuple[PauseCount, ...] = ()
    mirrors: tuple[MirrorCount, ...] = ()
    breakers: tuple[BreakerStats, ...] = ()
    suppressed: tuple[SuppressedCount, ...] = ()
    failbacks: tuple[FailbackStats, ...] = ()
    tasks: int = 0  # of its event loop
    timers: int = 0  # objects on its timer wheel
    handshakes: tuple[HandshakeCount, ...] = ()
    http2_errors: tuple[Http2ErrorCount, ...] = ()
    deferred: int = 0  # how often a connection's input had to wait for a later turn of the loop
