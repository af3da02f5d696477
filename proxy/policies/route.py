"""All policies of one route, compiled. What needs an endpoint (mirror, retries, fallbacks) is upstream's."""

from proxy.model.actions import Forward
from proxy.model.policies import Policies
from proxy.model.snapshot import Route
from proxy.policies.access import AccessList
from proxy.policies.answers import OwnAnswer, RedirectAnswer, own_answer
from proxy.policies.asked import Asked
from proxy.policies.changes import Changes
from proxy.policies.cors import CorsPolicy
from proxy.policies.gate import Gate
from proxy.policies.limits import ConcurrencyLimiter, Limiters, RateLimiter
from proxy.policies.requests import RequestChanges
from proxy.policies.responses import ResponseChanges, Rule
from proxy.policies.rewrite import Rewriter
from proxy.routing.match import PathPattern, compile_path

_NONE = Policies()


class RoutePolicies:
    """Groups of policies; each is None where the route has none of the kind."""

    __slots__ = ("_pattern", "gate", "request", "response")

    def __init__(self, route: Route, limiters: Limiters) -> None:
        """Raises PolicyError, PatternError."""
        policies = route.policies or _NONE
        cors = CorsPolicy(policies.cors) if policies.cors is not None else None
        action = own_answer(route.action) if not isinstance(route.action, Forward) else None
        rewriter = Rewriter(policies.rewrite, route.path) if policies.rewrite is not None else None
        self.gate = _gate(route.id, policies, cors, action, limiters)
        self.request = _request(policies, rewriter)
        self.response = _response(policies, cors)
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
        """Note what the templates of this route want to know of a request."""
        if self._pattern is not None:
            asked.groups = self._pattern.groups(asked.plain_path) or self._pattern.groups(asked.path)


def _has_groups(answer: OwnAnswer | None) -> bool:
    return isinstance(answer, RedirectAnswer) and answer.has_groups


def _gate(
    route: str, policies: Policies, cors: CorsPolicy | None, action: OwnAnswer | None, limiters: Limiters
) -> Gate | None:
    limiters.keep(route, policies.rate_limits, policies.concurrency)
    access = AccessList(policies.access) if policies.access is not None else None
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


def _request(policies: Policies, rewriter: Rewriter | None) -> RequestChanges | None:
    changes = Changes(policies.request_headers) if policies.request_headers else None
    return RequestChanges(rewriter, changes) if rewriter is not None or changes is not None else None


def _response(policies: Policies, cors: CorsPolicy | None) -> ResponseChanges | None:
    changes = Changes(policies.response_headers) if policies.response_headers else None
    rules = [Rule(rule) for rule in policies.response_rules]
    if cors is None and changes is None and not rules:
        return None
    return ResponseChanges(cors, changes, rules)
