"""Failures of an attempt. `retries.rules` has their meaning for the request, `endpoint` for the breaker."""

from enum import Enum


class Failure(Enum):
    """How an attempt failed; the value is the reason in metrics and log."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_HANDSHAKE = "tls_handshake"  # no TLS on that port, or none that both sides accept
    TLS_CERTIFICATE = "tls_certificate"  # the endpoint's is not trusted, or ours not by the endpoint
    OVERFLOW = "overflow"  # the service has as many connections in that cluster as it may have
    LOCAL = "local"  # no descriptor or port left on this side: says nothing about the endpoint
    HEDGED = "hedged"  # another connect, begun later, was answered first
    UNSEEN = "unseen"  # the connection ended, and TCP proves that the request was never delivered
    STALE = "stale"  # a pooled connection ended before any byte of the response
    RESET = "reset"  # a new connection ended before any byte of the response
    ABORTED = "aborted"  # the same, but reset, not closed: a program that aborts, or the kernel of a dead one
    STATUS = "status"  # 502, 503 or 504
    STALLED = "stalled"  # the endpoint answers nothing at all; the request left it, and waits elsewhere
    TIMEOUT = "timeout"  # no response head in time
    UNACKNOWLEDGED = "unacknowledged"  # the endpoint's machine acknowledges nothing
    MALFORMED = "malformed"  # a response that breaks the protocol: a query of death is not spread
