"""Decisions about a request before an endpoint is chosen: refusal, an answer by a policy, or neither."""

from math import ceil

from proxy.policies.access import AccessList
from proxy.policies.answers import OwnAnswer, Refusal
from proxy.policies.asked import Asked
from proxy.policies.cors import CorsPolicy
from proxy.policies.limits import ConcurrencyLimiter, RateLimiter


class Verdict:
    """An answer of our own, its flag (proxy.model.flags), and further field lines."""

    __slots__ = ("answer", "fields", "flag")

    def __init__(self, answer: OwnAnswer, flag: str, fields: bytes = b"") -> None:
        self.answer = answer
        self.flag = flag
        self.fields = fields


FORBIDDEN = Verdict(Refusal(403, "Clients of this address may not come here."), "AD")


class Gate:
    """The gate of one route; every part may be missing. Parts decide in the order of the parameters."""

    __slots__ = ("_access", "_action", "_concurrency", "_cors", "_crowded", "_rates", "_to_https")

    def __init__(
        self,
        access: AccessList | None,
        rates: list[tuple[RateLimiter, OwnAnswer]],
        concurrency: tuple[ConcurrencyLimiter, OwnAnswer] | None,
        cors: CorsPolicy | None,
        to_https: OwnAnswer | None,
        action: OwnAnswer | None,
    ) -> None:
        self._access = access
        self._rates = rates
        self._concurrency = concurrency[0] if concurrency is not None else None
        self._crowded = Verdict(concurrency[1], "CL") if concurrency is not None else None
        self._cors = Verdict(cors, "LR") if cors is not None else None
        self._to_https = Verdict(to_https, "LR") if to_https is not None else None
        self._action = Verdict(action, "LR") if action is not None else None

    def enter(self, asked: Asked, now: float) -> Verdict | None:
        """Return the verdict that answers the request instead of an endpoint, None when the request may go
        on.

        A request that may go on counts as in flight until `leave`.
        """
        if self._access is not None and not self._access.permits(asked.client):
            return FORBIDDEN
        refused = self._over_rate(asked, now)
        if refused is not None:
            return refused
        cors = self._cors
        if cors is not None and isinstance(cors.answer, CorsPolicy) and cors.answer.is_preflight(asked):
            return cors
        if self._to_https is not None and asked.scheme == b"http":
            return self._to_https
        if self._action is not None:
            return self._action
        if self._concurrency is not None and not self._concurrency.enter():
            return self._crowded
        return None

    def leave(self) -> None:
        if self._concurrency is not None:
            self._concurrency.leave()

    def _over_rate(self, asked: Asked, now: float) -> Verdict | None:
        """Take a token of each bucket, or of none."""
        for limiter, answer in self._rates:
            wait_s = limiter.wait_s(asked.client, now)
            if wait_s > 0.0:
                if answer.status not in (429, 503):
                    return Verdict(answer, "RL")
                return Verdict(answer, "RL", b"Retry-After: %d\r\n" % ceil(wait_s))
        for limiter, _ in self._rates:
            limiter.take(asked.client, now)
        return None
