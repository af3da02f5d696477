"""When a failed attempt may be tried again: a table, and the limits around it.

The question is always the same: can the endpoint have acted on the request? If not, any method may
be sent again. If it can, only a method whose repetition changes nothing (RFC 9110 §9.2.2).
"""

from enum import Enum
from typing import Final

from proxy.model import policies
from proxy.upstream.evidence.failure import Failure


class Suppressed(Enum):
    """Why a failed attempt was the last; the value is the cause in metrics and log.

    A failure that is never followed by another attempt needs no other cause.
    """

    TRIES = "tries"  # the request has had all its attempts
    METHOD = "method"  # an endpoint may have acted on it, and the method may not be repeated
    UPGRADE = "upgrade"  # the same, and the request asks for a tunnel
    GATEWAY = "gateway"  # the same, and the gateway in front of this one repeats the request
    ENDPOINTS = "endpoints"  # no other endpoint may get the request
    CLUSTERS = "clusters"  # another endpoint may, but endpoints of two clusters have seen the request
    BUDGET = "budget"  # the next cluster has had enough repetitions
    DEADLINE = "deadline"  # too little is left of the time for all attempts
    BODY = "body"  # the body is longer than bodies that are kept
    MEMORY = "memory"  # the memory for bodies was used up


class RetryPolicy(Enum):
    ANY_METHOD = "any method"
    IDEMPOTENT = "idempotent methods"
    NEVER = "never"


POLICY: Final[dict[Failure, RetryPolicy]] = {
    Failure.REFUSED: RetryPolicy.ANY_METHOD,
    Failure.UNREACHABLE: RetryPolicy.ANY_METHOD,
    Failure.CONNECT_TIMEOUT: RetryPolicy.ANY_METHOD,
    Failure.TLS_HANDSHAKE: RetryPolicy.ANY_METHOD,
    Failure.TLS_CERTIFICATE: RetryPolicy.ANY_METHOD,
    Failure.OVERFLOW: RetryPolicy.ANY_METHOD,
    Failure.LOCAL: RetryPolicy.ANY_METHOD,
    Failure.HEDGED: RetryPolicy.ANY_METHOD,
    Failure.UNSEEN: RetryPolicy.ANY_METHOD,
    Failure.STALE: RetryPolicy.IDEMPOTENT,
    Failure.RESET: RetryPolicy.IDEMPOTENT,
    Failure.ABORTED: RetryPolicy.IDEMPOTENT,
    Failure.STATUS: RetryPolicy.IDEMPOTENT,
    Failure.STALLED: RetryPolicy.IDEMPOTENT,
    Failure.UNACKNOWLEDGED: RetryPolicy.IDEMPOTENT,
    Failure.TIMEOUT: RetryPolicy.NEVER,
    Failure.MALFORMED: RetryPolicy.NEVER,
}

UNDELIVERED: Final = frozenset(
    failure for failure, policy in POLICY.items() if policy is RetryPolicy.ANY_METHOD
)
"""No endpoint can have acted on a request that failed like this."""

LEFT_BEHIND: Final = frozenset(
    (Failure.STALE, Failure.RESET, Failure.ABORTED, Failure.STALLED, Failure.UNACKNOWLEDGED)
)
"""The endpoint may have acted on the request, but seems dead: the next attempt replaces the failed one."""

ANSWERS: Final[dict[Failure, tuple[int, str, str]]] = {
    Failure.REFUSED: (502, "UF", "No endpoint could be reached."),
    Failure.UNREACHABLE: (502, "UF", "No endpoint could be reached."),
    Failure.CONNECT_TIMEOUT: (502, "UF", "No endpoint could be reached."),
    Failure.TLS_HANDSHAKE: (502, "UF", "No endpoint could be reached by TLS."),
    Failure.TLS_CERTIFICATE: (502, "UF", "No endpoint has a certificate that is trusted, or trusts ours."),
    Failure.OVERFLOW: (503, "UO", "All connections to the service are in use."),
    Failure.LOCAL: (503, "UF", "The gateway is out of connections."),
    Failure.UNSEEN: (502, "UC", "The endpoint closed the connection without an answer."),
    Failure.STALE: (502, "UC", "The endpoint closed the connection without an answer."),
    Failure.RESET: (502, "UC", "The endpoint closed the connection without an answer."),
    Failure.ABORTED: (502, "UC", "The endpoint closed the connection without an answer."),
    Failure.TIMEOUT: (504, "UT", "The endpoint did not answer in time."),
    Failure.UNACKNOWLEDGED: (504, "UT", "The endpoint has stopped answering."),
    Failure.MALFORMED: (502, "UPE", "The endpoint's answer is not valid HTTP."),
}
"""Status, flag and sentence for the client when the last attempt failed.

A STATUS is relayed instead; HEDGED is never the last.
"""

RETRY_STATUSES: Final = frozenset((502, 503, 504))

MAX_ATTEMPTS: Final = 3  # attempts of a request that an endpoint may have seen
MAX_CLUSTERS: Final = 2  # clusters whose endpoints may have seen one request
MAX_CONNECTS: Final = 8  # attempts of a request that no endpoint can have seen: all that help, within reason
REPLAY_BYTES: Final = 65536  # longest body that is kept for another attempt: Pingora's and linkerd's value


class RetryRules:
    """The retry rules of a route, where they differ from this table."""

    __slots__ = ("attempts", "connects", "non_idempotent", "statuses", "try_timeout_s")

    def __init__(self, config: policies.Retry | None) -> None:
        self.attempts = MAX_ATTEMPTS
        self.connects = MAX_CONNECTS
        self.statuses = RETRY_STATUSES
        self.non_idempotent = False  # whether methods like POST may be repeated
        self.try_timeout_s: float | None = None  # limit for the response head of each attempt
        if config is not None:
            self.attempts = config.tries if config.scope is not policies.RetryScope.NONE else 1
            self.connects = max(MAX_CONNECTS, self.attempts) if self.attempts > 1 else 1
            self.statuses = frozenset(config.statuses)
            self.non_idempotent = config.non_idempotent
            self.try_timeout_s = config.try_timeout_s

    def may_retry(self, failure: Failure, *, repeatable: bool, attempts: int) -> bool:
        """Whether attempt number `attempts` having failed, there may be another.

        `repeatable`: also if an endpoint can have acted on the request.
        """
        policy = self._policy(failure)
        if policy is RetryPolicy.ANY_METHOD:
            return attempts < self.connects
        return policy is RetryPolicy.IDEMPOTENT and repeatable and attempts < self.attempts

    def suppressed(self, failure: Failure, *, repeatable: bool) -> Suppressed | None:
        """Return why there may be no other attempt, None for a failure that no attempt ever follows."""
        policy = self._policy(failure)
        if policy is RetryPolicy.NEVER:
            return None
        return Suppressed.TRIES if repeatable or policy is RetryPolicy.ANY_METHOD else Suppressed.METHOD

    def _policy(self, failure: Failure) -> RetryPolicy:
        if failure is Failure.TIMEOUT and self.try_timeout_s is not None:
            return RetryPolicy.IDEMPOTENT
        return POLICY[failure]


BY_DEFAULT: Final = RetryRules(None)
