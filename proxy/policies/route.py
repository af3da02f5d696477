"""All policies of one route, compiled. Those that need an endpoint (mirror, retries, fallbacks) are
upstream's.
"""

from proxy.model.actions import Forward
from proxy.model.policies import Policies
from proxy.model.snapshot import Route
from proxy.policies.answers import OwnAnswer, RedirectAnswer, own_answer
from proxy.policies.asked import Asked
from proxy.policies.compiled import Compiled
from proxy.policies.gate import Gate
from proxy.policies.limits import ConcurrencyLimiter, Limiters, RateLimiter
from proxy.routing.match import PathPattern, compile_path

_NONE = Policies()


class RoutePolicies:
    """Groups of policies; each is None where the route has no policy of the kind."""

    __slots__ = ("_pattern", "gate", "request", "response")

    def __init__(self, route: Route, limiters: Limiters, compiled: Compiled | None = None) -> None:
        """`compiled` has the policies that routes share. Raises PolicyError, PatternError."""
        policies = route.policies or _NONE
        compiled = compiled or Compiled()
        action = own_answer(route.action) if not isinstance(route.action, Forward) else None
        self.gate = _gate(route.id, policies, compiled, action, limiters)
        self.request = compiled.request(policies, route.path)
        self.response = compiled.response(policies)
        self._pattern: PathPattern | None = None
        refusals = [limit.refusal for limit in policies.rate_limits]
        if policies.concurrency is not None:
            refusals.append(policies.concurrency.refusal)
        if (
            _has_groups(action)
            or any(_has_groups(own_answer(refusal)) for refusal in refusals)
            or (self.request is not None and self.request.has_groups)
        ):
            self._pattern = compile_path(route.path)

    def look_at(self, asked: Asked) -> None:
        """Note the parts of a request that the templates of this route refer to."""
        if self._pattern is not None:
            asked.groups = self._pattern.groups(asked.plain_path) or self._pattern.groups(asked.path)


def _has_groups(answer: OwnAnswer | None) -> bool:
    return isinstance(answer, RedirectAnswer) and answer.has_groups


def _gate(
    route: str, policies: Policies, compiled: Compiled, action: OwnAnswer | None, limiters: Limiters
) -> Gate | None:
    limiters.keep(route, policies.rate_limits, policies.concurrency)
    access = compiled.access(policies.access) if policies.access is not None else None
    cors = compiled.cors(policies.cors) if policies.cors is not None else None
    rates: list[tuple[RateLimiter, OwnAnswer]] = [
        (limiters.rate(route, limit), own_answer(limit.refusal)) for limit in policies.rate_limits
    ]
    concurrency: tuple[ConcurrencyLimiter, OwnAnswer] | None = None
    to_https = own_answer(policies.to_https) if policies.to_https is not None else None
    limit = policies.concurrency
    if limit is not None:
        concurrency = limiters.concurrency(route, limit), own_answer(limit.refusal)
    if not rates and all(part is None for part in (access, concurrency, cors, to_https, action)):
        return None
    return Gate(access, rates, concurrency, cors, to_https, action)
